/* SPDX-License-Identifier: Apache-2.0 */
/* ring: a list that its members can leave without a walk.
 *
 * Intrusive: a link lives in its member's struct, so that joining never allocates. A link outside a
 * ring points to itself.
 *
 * Owns     nothing.
 * Threads  those of its owner.
 */
#ifndef SPN_CLIENT_RING_H
#define SPN_CLIENT_RING_H

#include <stdbool.h>

struct ring {
    struct ring *next;
    struct ring *previous;
};

static inline void ring_init(struct ring *ring)
{
    ring->next = ring->previous = ring;
}

static inline bool ring_alone(const struct ring *ring)
{
    return ring->next == ring;
}

static inline void ring_leave(struct ring *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    ring_init(link);
}

/* Becomes the last of this ring, unless it is in a ring already. */
static inline void ring_join(struct ring *ring, struct ring *link)
{
    if (!ring_alone(link))
        return;
    link->previous = ring->previous;
    link->next = ring;
    ring->previous->next = link;
    ring->previous = link;
}

/* Leaves its ring, if it is in one, and becomes the last of this one. */
static inline void ring_move(struct ring *ring, struct ring *link)
{
    ring_leave(link);
    ring_join(ring, link);
}

#endif
