/* SPDX-License-Identifier: Apache-2.0 */
/* limits: what becomes of a request that goes over a limit of time or number.
 *
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_LIMITS_H
#define SPN_HTTP_LIMITS_H

#include "http/stream.h"

/* Whether streams and long polls leave too little of the connections to all other requests. */
bool limits_are_too_many(const struct gateway *gateway);

/* Counts the stream for its connection, its session and its token. END_PEER: it may stay. Otherwise
 * which of them has too many; it is not counted for the last two then. */
enum counts_end limits_enter(struct stream *stream);
/* Its session and its token may have another in its place. */
void limits_leave(struct stream *stream);

/* For web_options.slow; the context is the gateway. Answers with 408. Events of an event stream
 * that came whole before are published all the same. */
void limits_slow(void *context, struct exchange *exchange, bool is_silent);

#endif
