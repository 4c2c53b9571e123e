/* SPDX-License-Identifier: Apache-2.0 */
/* acks: what producers are answered on ingest.sock.
 *
 * Acknowledgements wait in a list until the turn is over, so that one message says all that became
 * true in it. One that met a full pipe is owed, and tried again a little later. Everything else is
 * lost when the pipe is full: its producer asks again when it does not get on.
 *
 * Borrows  the router, the state of commits, the counters; the producers in its lists.
 * Threads  the broker's.
 */
#ifndef SPN_ACKS_H
#define SPN_ACKS_H

#include "base/metrics.h"
#include "mail/commit_state.h"
#include "net/router.h"
#include "state/producers.h"
#include "wire.h"

struct acks {
    struct router *router;
    const struct commit_state *commits;
    struct metrics *metrics;
    struct producer *due_first; /* whose newest numbers are not acknowledged yet */
    struct producer **due_end;
    struct producer *owed_first; /* those that met a full pipe, until it is tried again */
    struct producer **owed_end;
    uint64_t owed_due_ns;
};

/* *acks must not move afterwards. */
void acks_init(struct acks *acks, struct router *router, const struct commit_state *commits,
               struct metrics *metrics);

/* The producer gets an acknowledgement with the next acks_send, if there is anything new. */
void acks_add(struct acks *acks, struct producer *producer);
void acks_send(struct acks *acks, uint64_t now_ns);
/* When to call acks_send again, though nothing was added; UINT64_MAX: never. */
uint64_t acks_due_ns(const struct acks *acks);

/* The producer's newest batch left a hole: once in each round it is told which number is wanted. */
void acks_hole(struct acks *acks, struct producer *producer, uint32_t round);

/* A refusal is on its way to disk: it answers its round. */
void acks_refusal_waits(struct producer *producer, const struct wire_refused *refused);
/* It is on disk. */
void acks_refuse(struct acks *acks, const struct producer *producer,
                 const struct wire_refused *refused);

void acks_error(struct acks *acks, const struct peer *peer, uint64_t request, uint64_t token,
                spn_err err, const char *detail);

#endif
