/* SPDX-License-Identifier: Apache-2.0 */
/* acks: what producers get on ingest.sock without a request: acknowledgements and holes.
 *
 * Acknowledgements wait in a list until the next acks_send, so that one message reports all results
 * since the last one. A refusal is sent when it is durable, at every level. At level none an
 * acknowledgement has refusals only, and is not sent if there are none. An acknowledgement that met
 * a full pipe is owed, and retried a little later. Everything else is lost if the pipe is
 * full: its producer asks again when it makes no progress.
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

struct sender;

struct acks {
    struct router *router;
    const struct commit_state *commits;
    struct metrics *metrics;
    struct sender *due_first; /* producers whose newest numbers are not acknowledged yet */
    struct sender **due_end;
    struct sender *owed_first; /* producers that met a full pipe, until the retry */
    struct sender **owed_end;
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

/* The producer's newest batch left a hole: once a round it gets the number that is expected. */
void acks_hole(struct acks *acks, struct producer *producer, uint32_t round);

#endif
