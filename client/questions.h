/* SPDX-License-Identifier: Apache-2.0 */
/* questions: requests that do not block, any number of them.
 *
 *   queued --sent--> on the wire --answer--> answered --taken--> taken
 *
 * A question waits in the queue until fewer than QUESTIONS_SENT_MAX are on the wire; the oldest
 * goes first. On the wire it is sent again as calls.h has it. An answer that will not last (the
 * sidecar is stopping) puts it off for a moment. It is answered once, with an answer or with an
 * error.
 *
 * A question that is closed on the wire stays there, without an owner, until its answer comes or
 * its patience ends. So the sidecar never has more requests to answer than QUESTIONS_SENT_MAX,
 * however fast questions are asked and closed.
 *
 * The app's own questions come from spn_ask_*. Others belong to the library, which waits for them:
 * those are not counted, and spn_next_answered does not return them.
 *
 * Owns     questions, with their requests and answers.
 * Lends    an answer: until its question is closed.
 * Units    nanoseconds of the client's clock.
 * Threads  those of its client.
 */
#ifndef SPN_CLIENT_QUESTIONS_H
#define SPN_CLIENT_QUESTIONS_H

#include "calls.h"
#include "client_part.h"
#include "ring.h"
#include "sponson.h"

enum {
    QUESTIONS_SENT_MAX = 100, /* on each socket; PROTOCOL.md has it too */
    QUESTIONS_MAX_DEFAULT = 10000,
};

enum question_state { QUESTION_QUEUED, QUESTION_SENT, QUESTION_ANSWERED, QUESTION_TAKEN };

struct spn_question {
    struct call call; /* first: a call of this kind is its question */
    struct ring place;
    struct spn_client *client;
    void *context;
    void *made; /* what is lent to the app; see answers.c */
    enum question_state state;
    enum wire_type type;
    enum wire_type answer;
    enum transport_name socket;
    bool by_app;
    bool closed; /* by its owner */
    size_t body_size;
    uint8_t body[];
};

/* The questions of one socket. */
struct questions_lane {
    struct ring queued;
    size_t sent;  /* how many are on the wire */
    bool blocked; /* the socket took nothing at the last try */
};

struct questions {
    struct client_part part; /* first: the part stands for all questions */
    struct spn_client *client;
    struct questions_lane lanes[TRANSPORT_NAMES];
    struct ring by_state[QUESTION_TAKEN + 1]; /* without the queued. Answered: only the app's;
                                                 others are with the taken */
    size_t asked;                             /* by the app, and not closed */
    size_t asked_max;                         /* more are SPN_E_TOO_MANY */
    size_t unanswered;                        /* of those */
    uint64_t due_ns; /* when the first on the wire is sent again, or earlier */
};

void questions_init(struct questions *all, struct spn_client *client, size_t asked_max);
/* Closes every question, also those that the app still has. Takes a struct that was only zeroed. */
void questions_release(struct questions *all);

/* What is asked: a message of this type with this body (NULL: none), and the type of its answer. */
struct question_request {
    enum wire_type type;
    enum wire_type answer;
    const struct wire_out *body;
};

/* Queues a question of the library. SPN_E_NOMEM, SPN_E_INVALID: the body does not fit. */
spn_err question_new(spn_question **ret_question, struct spn_client *client,
                     const struct question_request *request) SPN_MUST_USE;
/* The same for the app, and sends the question if that is possible now.
 * SPN_E_TOO_MANY. SPN_E_SYSTEM: from the client's turn. */
spn_err question_ask(spn_question **ret_question, struct spn_client *client,
                     const struct question_request *request) SPN_MUST_USE;
/* Whether this is what the question asks. */
bool question_is(const spn_question *question, const struct question_request *request);

/* It is sent again at once, on the socket that is the right one now. */
void question_restart(spn_question *question);
/* Waits for an answer of either kind. SPN_E_TIMEOUT, SPN_E_UNAVAILABLE, SPN_E_PATH: the question
 * goes on. */
spn_err question_wait(spn_question *question, uint64_t deadline_ns) SPN_MUST_USE;
/* Opens the answer, which is then taken: *ret_in stands at its body. SPN_E_TIMEOUT: there is none
 * yet. Else the code of the sidecar's ERROR, with its text in spn_client_detail. */
spn_err question_read(spn_question *question, struct wire_in *ret_in) SPN_MUST_USE;
/* The same for a call of the app, which may look at the sockets first. SPN_E_INVALID: there is no
 * question, it is of another type, or filled, the place for the answer, is NULL. */
spn_err question_open(spn_question *question, enum wire_type type, const void *filled,
                      struct wire_in *ret_in) SPN_MUST_USE;
/* Room for what is lent to the app. The answer of a question is made once, or again into the same
 * room. NULL: out of memory, which is recorded. */
void *question_room(spn_question *question, size_t size);
/* The answer cannot be read: records that, and returns SPN_E_PROTOCOL. */
spn_err question_bad_answer(spn_question *question) SPN_MUST_USE;

#endif
