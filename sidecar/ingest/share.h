/* SPDX-License-Identifier: Apache-2.0 */
/* share: who has to wait so that others do not.
 *
 * Producers that flood would make one that waits for an event or two wait for commits full of
 * theirs. While such a one is heard, they divide a part of the queue among them; what they send
 * beyond waits, and beyond a part of the queue it is left to the producer to send again. Among
 * themselves ZeroMQ hears them in turn.
 *
 * Borrows  the newest producer that does not flood, until share_forget.
 * Units    nanoseconds of the monotonic clock.
 * Threads  pure, but for what it notes of producers: the broker's.
 */
#ifndef SPN_SHARE_H
#define SPN_SHARE_H

#include "state/producers.h"

struct share {                     /* all zero: nobody was heard */
    const struct producer *modest; /* the last one of those who do not flood */
    uint64_t modest_ns;            /* when it was heard; 0: it floods by now */
    uint32_t waiting;              /* the caller's: producers with frames that wait */
};

/* A batch of this producer came. */
void share_hear(struct share *share, struct producer *producer, uint64_t now_ns);
/* What comes from this producer now has to wait until some of what it has queued is done. */
bool share_is_used_up(const struct share *share, const struct producer *producer,
                      size_t queue_bytes_max, uint64_t now_ns);
void share_forget(struct share *share, const struct producer *producer);

#endif
