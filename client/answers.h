/* SPDX-License-Identifier: Apache-2.0 */
/* answers: spn_ask_* and spn_answer_*: what can be asked, and what comes of the answers.
 *
 * An answer's bytes stay in its message. What an app gets besides them (a struct, texts with a NUL)
 * is made at the first spn_answer_*, and kept with the question.
 *
 * Owns     nothing: questions own what is made here.
 * Lends    an answer: until its question is closed; a row of a list until the next row.
 * Threads  those of its client.
 */
#ifndef SPN_CLIENT_ANSWERS_H
#define SPN_CLIENT_ANSWERS_H

#include "questions.h"

enum { ASK_BODY_MAX = 4 + 2 * (1 + WIRE_SESSION_MAX) };

/* A request and its body. */
struct ask {
    struct question_request request; /* its body is `out` */
    struct wire_out out;
    uint8_t bytes[ASK_BODY_MAX];
};

/* type: WIRE_LAST or WIRE_INFO. SPN_E_BAD_SESSION, SPN_E_INVALID. */
spn_err ask_of_session(struct ask *ask, enum wire_type type, struct spn_bytes session) SPN_MUST_USE;
/* A page of the list. SPN_E_BAD_SESSION, SPN_E_INVALID. */
spn_err ask_of_sessions(struct ask *ask, struct spn_bytes after,
                        struct spn_bytes prefix) SPN_MUST_USE;
/* type: WIRE_HEALTH or WIRE_STATS. */
void ask_of_sidecar(struct ask *ask, enum wire_type type);

#endif
