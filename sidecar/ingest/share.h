/* SPDX-License-Identifier: Apache-2.0 */
/* share: who has to wait so that others do not.
 *
 * Producers that flood would make a producer that waits for an event or two wait for commits full
 * of their events. While such a producer sends, the floods divide a part of the queue among them.
 * What they send beyond that waits, and beyond a further part of the queue their producers have to
 * send it again. If all flood, ZeroMQ serves them in turn.
 *
 * Borrows  the newest producer that does not flood, until share_forget.
 * Units    nanoseconds of the monotonic clock.
 * Threads  pure, except for what it notes on producers: the broker's.
 */
#ifndef SPN_SHARE_H
#define SPN_SHARE_H

#include "state/producers.h"

struct share {                     /* all zero: no batch has come yet */
    const struct producer *modest; /* the last producer that did not flood */
    uint64_t modest_ns;            /* when its batch came; 0: it floods by now */
    uint32_t waiting;              /* the caller's: producers with frames that wait */
};

/* A batch came from this producer. */
void share_hear(struct share *share, struct producer *producer, uint64_t now_ns);
/* Frames of this producer have to wait until some of what it has queued is done. */
bool share_is_used_up(const struct share *share, const struct producer *producer,
                      size_t queue_bytes_max, uint64_t now_ns);
void share_forget(struct share *share, const struct producer *producer);

#endif
