/* SPDX-License-Identifier: Apache-2.0 */
/* link: a place in a ring, in the struct that is listed. Joining and leaving never allocate.
 *
 * A ring is a link that owns nothing; a link that is in no ring points to itself.
 */
#ifndef SPN_LINK_H
#define SPN_LINK_H

#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *next;
    struct link *previous;
};

/* The struct that a link lies in. */
#define LINK_OWNER(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void link_init(struct link *link)
{
    link->next = link->previous = link;
}

static inline bool link_alone(const struct link *link)
{
    return link->next == link;
}

static inline void link_leave(struct link *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link_init(link);
}

/* At the end of the ring, unless it is in one already. */
static inline void link_join(struct link *ring, struct link *link)
{
    if (!link_alone(link))
        return;
    link->next = ring;
    link->previous = ring->previous;
    ring->previous->next = link;
    ring->previous = link;
}

#endif
