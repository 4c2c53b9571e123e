/* SPDX-License-Identifier: Apache-2.0 */
/* memory: a bound in bytes on what requests hold: bodies that are gathered, answers that wait for
 * their peer, texts of streams.
 *
 * Each use has its own part of the bound, so that none takes the memory of another. A request has a
 * share, which counts what it holds; whoever holds little is not counted. What is about to come is
 * asked for by its size before it is taken; what it took in the end may be more. So all hold at
 * most the bound, and what the newest of them became beyond its size. Whoever is the only one to
 * hold anything may take anything: the largest event and the largest body are always possible.
 *
 * A stream for which there is no room waits in a ring, first come, first served. It holds nothing
 * while it waits, so those who wait never wait for each other. It is called when its bytes fit, and
 * has them from then on, so that those after it see what is left.
 *
 * Owns     nothing: part of the gateway's struct; the ring of those who wait.
 * Borrows  shares: memory_release comes before they go.
 * Units    bytes.
 * Threads  one.
 */
#ifndef SPN_HTTP_MEMORY_H
#define SPN_HTTP_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/link.h"
#include "http/problem.h"

enum { MEMORY_SMALL = 8 * 1024 }; /* of one request are not counted */

/* X(name, "label", part): how many of the parts of the bound it has. */
#define MEMORY_MAP(X)                                                                              \
    X(BODIES, "bodies", 2) /* of requests, until their events are stored */                        \
    X(ANSWERS, "answers", 1)                                                                       \
    X(STREAMS, "streams", 1)

#define MEMORY_ENUM(name, label, part) MEMORY_##name,
enum memory_use { MEMORY_MAP(MEMORY_ENUM) MEMORY_USES };
#undef MEMORY_ENUM

struct memory {
    size_t max;
    size_t used;
    uint64_t full; /* times that somebody was refused, or had to wait */
    struct link waiting;
};

struct memory_share {
    struct memory *memory;
    size_t size; /* that is counted */
    size_t wanted;
    struct link link; /* among those who wait */
    void (*on_room)(struct memory_share *share);
};

/* Divides the bound. */
void memory_init(struct memory memory[MEMORY_USES], size_t max);

/* on_room: NULL: it never waits. */
void memory_share_init(struct memory_share *share, struct memory *memory,
                       void (*on_room)(struct memory_share *share));
void memory_release(struct memory_share *share); /* takes zeros */

/* The share holds so much now, whatever the bound is. */
void memory_hold(struct memory_share *share, size_t size);

/* The share is to hold so much, if that fits, or if nobody else holds anything. */
bool memory_reserve(struct memory_share *share, size_t size);

/* For one that waits: whether it may take so much now. It may if it has it already, and else if
 * that fits and nobody else waits. */
bool memory_may_take(const struct memory_share *share, size_t size);

/* Counts a refusal, and describes it: 503, with the name of the option. */
void memory_refuse(struct memory_share *share, struct problem *ret_problem);

/* The share gives back what it holds. on_room follows, once, when it holds so much as is wanted. */
void memory_wait(struct memory_share *share, size_t wanted);
static inline bool memory_is_waiting(const struct memory_share *share)
{
    return !link_alone(&share->link);
}

/* Whether memory_turn has somebody to call. */
bool memory_is_due(const struct memory *memory);
/* Calls those whose bytes fit. */
void memory_turn(struct memory *memory);

#endif
