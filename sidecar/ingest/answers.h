/* SPDX-License-Identifier: Apache-2.0 */
/* answers: answers to requests on ingest.sock, and errors.
 *
 * ZeroMQ has room for a few messages to each peer, and one commit may answer many requests of one
 * peer. So an answer that meets a full pipe is kept for a while and tried again. What is kept is
 * bounded, and a client that does not read loses its answers: it repeats its requests.
 *
 * Owns     copies of the answers that are kept.
 * Borrows  the router, the clock.
 * Threads  the broker's.
 */
#ifndef SPN_ANSWERS_H
#define SPN_ANSWERS_H

#include "base/clock.h"
#include "net/router.h"
#include "wire.h"

enum {
    ANSWERS_KEPT_BYTES_MAX = 4 * 1024 * 1024, /* of all peers */
    ANSWERS_KEPT_MS = 1000,                   /* then a client repeats its request */
    ANSWERS_RETRY_MS = 2,
};

struct kept_answer;

struct answers {
    struct router *router;
    const struct clock *clock;
    struct kept_answer *first;
    struct kept_answer **end;
    size_t kept_bytes;
    uint64_t due_ns; /* of the next try */
};

/* *answers must not move afterwards. */
void answers_init(struct answers *answers, struct router *router, const struct clock *clock);
void answers_release(struct answers *answers); /* takes an object that was only zeroed */

/* Sends a whole message. Without room now and without memory for a copy, it is lost. */
void answers_send(struct answers *answers, const struct peer *peer, const struct wire_out *out);
/* detail: NULL: the code's own text. */
void answers_error(struct answers *answers, const struct peer *peer, uint64_t request,
                   uint64_t token, spn_err err, const char *detail);

/* Tries those that are kept again, if it is time. */
void answers_retry(struct answers *answers);
/* When to call answers_retry; UINT64_MAX: never. */
uint64_t answers_due_ns(const struct answers *answers);

#endif
