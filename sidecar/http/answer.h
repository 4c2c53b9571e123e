/* SPDX-License-Identifier: Apache-2.0 */
/* answer: the answers that several requests give: problems, and the headers about a session.
 *
 * Owns     nothing.
 * Threads  one.
 */
#ifndef SPN_HTTP_ANSWER_H
#define SPN_HTTP_ANSWER_H

#include "http/memory.h"
#include "http/problem.h"
#include "http/web.h"
#include "sponson.h"

/* Answers with the problem as JSON. */
void answer_problem(struct exchange *exchange, const struct problem *problem);

/* The same for an error, with its own words. */
void answer_err(struct exchange *exchange, spn_err err);

/* There is no memory for what the request holds: counts it, and answers with 503. */
void answer_no_room(struct exchange *exchange, struct memory_share *share);

/* Headers of an event stream. */
void answer_add_stream_headers(struct exchange *exchange);

/* Headers about a session: its life, its newest seq, its state. A life of zeros: none. */
void answer_add_session(struct exchange *exchange, const struct spn_life *life, uint64_t seq,
                        spn_session_state state);
/* The last id, percent-encoded; a header that says that it was left out if it is too long. */
void answer_add_last_id(struct exchange *exchange, struct spn_bytes id);
void answer_add_number(struct exchange *exchange, const char *name, uint64_t number);

#endif
