/* SPDX-License-Identifier: Apache-2.0 */
/* limits: what becomes of a request that goes over a limit of time or number.
 *
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_LIMITS_H
#define SPN_HTTP_LIMITS_H

#include "http/gateway.h"

/* Whom a stream, or a long poll, is counted for. */
struct limits_seat {
    struct place *session; /* NULL: there is no limit, or it is of no session */
    struct place *token;   /* NULL: there is no limit, or none was needed */
};

/* Counts for the session and the token, of which size 0 is none; the caller is counted among the
 * gateway's streams or polls already. END_PEER: it may stay. Otherwise which of connections,
 * session and token has too many; the seat is empty then. */
enum counts_end limits_enter(struct gateway *gateway, struct limits_seat *seat,
                             struct spn_bytes session, struct spn_bytes token);
/* Session and token may have another in its place. Takes zeros. */
void limits_leave(struct gateway *gateway, struct limits_seat *seat);

/* When a token ends, of which the end is known in seconds since 1970, on the monotonic clock; 0:
 * never, which is 0 too. */
uint64_t limits_expires_ns(uint64_t expires_s);

/* For web_options.slow; the context is the gateway. Answers with 408. Events of an event stream
 * that came whole before are published all the same. */
void limits_slow(void *context, struct exchange *exchange, enum web_slow why);

#endif
