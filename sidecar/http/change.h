/* SPDX-License-Identifier: Apache-2.0 */
/* change: what changes a session by one question: POST of one event, close, DELETE, touch, PUT,
 * PATCH.
 *
 * Owns     its questions.
 * Borrows  the gateway and the exchange.
 * Threads  one.
 */
#ifndef SPN_HTTP_CHANGE_H
#define SPN_HTTP_CHANGE_H

#include "http/gateway.h"
#include "http/problem.h"

struct change;

/* Each asks one question, and answers the exchange when its answer is there. The change is the
 * caller's. NULL: the exchange was answered with the problem. */
struct change *change_publish(struct gateway *gateway, struct exchange *exchange,
                              struct spn_bytes session, const struct spn_event *event,
                              const struct spn_publish_options *options, spn_level level);
struct change *change_close(struct gateway *gateway, struct exchange *exchange,
                            struct spn_bytes session, const struct spn_publish_options *options);
struct change *change_delete(struct gateway *gateway, struct exchange *exchange,
                             struct spn_bytes session, const struct spn_publish_options *options);
struct change *change_touch(struct gateway *gateway, struct exchange *exchange,
                            struct spn_bytes session, const struct spn_publish_options *options);

/* Answers with the problem, and with what is known of the session: a loser wants to know what is
 * there. If that cannot be learned, with the problem alone. */
struct change *change_refuse(struct gateway *gateway, struct exchange *exchange,
                             struct spn_bytes session, const struct problem *problem);

/* Once the question has its answer, and it is no refusal, these bytes of JSON are the exchange's,
 * instead of none. They are taken from the caller. */
void change_answer_json(struct change *change, struct out *json);

void change_free(struct change *change); /* gives the question up; takes NULL */

/* The exchange frees the change when it is over. A body is read and ignored. Takes NULL. */
void change_own(struct exchange *exchange, struct change *change);

#endif
