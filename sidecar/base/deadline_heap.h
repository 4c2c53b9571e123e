/* SPDX-License-Identifier: Apache-2.0 */
/* deadline_heap: what is due next?
 *
 * A binary heap of pointers. Intrusive: a node lives in its owner's struct and knows its index, so
 * removing one needs no search. Nodes that are due at the same time leave in insertion order.
 * Coalescing is left to the caller: test deadline_is_set first.
 *
 * Owns     the array of pointers, not the nodes.
 * Units    nanoseconds of whatever clock its owner uses.
 * Threads  one.
 */
#ifndef SPN_DEADLINE_HEAP_H
#define SPN_DEADLINE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#include "spn_err.h"

#define DEADLINE_ABSENT SIZE_MAX

struct deadline {
    uint64_t due_ns;
    uint64_t order; /* set by insert; breaks ties */
    size_t index;   /* DEADLINE_ABSENT while in no heap */
};

struct deadline_heap {
    struct deadline **nodes;
    size_t count;
    size_t room;
    uint64_t order;
};

#define DEADLINE_INIT                                                                              \
    {                                                                                              \
        .index = DEADLINE_ABSENT                                                                   \
    }

/* Makes room for count_max nodes, so that inserting cannot fail. SPN_E_NOMEM. */
spn_err deadline_heap_init(struct deadline_heap *heap, size_t count_max) SPN_MUST_USE;
/* Makes room for more nodes. SPN_E_NOMEM: nothing happened. */
spn_err deadline_heap_reserve(struct deadline_heap *heap, size_t count_max) SPN_MUST_USE;
void deadline_heap_release(struct deadline_heap *heap);

bool deadline_is_set(const struct deadline *deadline);

/* The node must be in no heap, and the heap not full. */
void deadline_heap_insert(struct deadline_heap *heap, struct deadline *deadline, uint64_t due_ns);
void deadline_heap_remove(struct deadline_heap *heap,
                          struct deadline *deadline); /* absent: no-op */

/* The next one, or NULL. */
struct deadline *deadline_heap_first(const struct deadline_heap *heap);

/* Takes the next one out if it is due by now_ns, else NULL. */
struct deadline *deadline_heap_pop(struct deadline_heap *heap, uint64_t now_ns);

#endif
