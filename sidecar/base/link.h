/* SPDX-License-Identifier: Apache-2.0 */
/* link: a node of a ring, embedded in the listed struct. Joining and leaving never allocate.
 *
 * The head of a ring is a link in no listed struct. A link that is in no ring points to itself.
 */
#ifndef SPN_LINK_H
#define SPN_LINK_H

#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *next;
    struct link *previous;
};

/* The struct that contains the link. */
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

/* Adds the link at the end of the ring, unless it is in a ring already. */
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
