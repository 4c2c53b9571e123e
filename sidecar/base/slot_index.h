/* SPDX-License-Identifier: Apache-2.0 */
/* slot_index: from a 64-bit hash to the slots of the owner's array.
 *
 * Open addressing with linear probing, no node per entry: a cell is a tag of the hash and a slot
 * number. The owner has the keys, so the owner decides whether a slot is the one it looks for.
 * Several slots may have the same hash.
 *
 * Owns     its cells (8 bytes each, at most three quarters used).
 * Threads  one.
 */
#ifndef SPN_SLOT_INDEX_H
#define SPN_SLOT_INDEX_H

#include <stdint.h>

#include "spn_err.h"

#define SLOT_NONE UINT32_MAX

struct slot_cell {
    uint32_t tag;  /* upper half of the hash */
    uint32_t slot; /* SLOT_NONE: empty */
};

struct slot_index {
    struct slot_cell *cells;
    size_t mask; /* cells - 1, a power of two minus one */
    size_t count;
    uint64_t (*hash_of)(const void *owner, uint32_t slot); /* on a resize and on a remove */
    const void *owner;
};

/* hash_of returns the hash with which the slot was added. SPN_E_NOMEM. */
spn_err slot_index_init(struct slot_index *index, uint64_t (*hash_of)(const void *, uint32_t),
                        const void *owner) SPN_MUST_USE;
void slot_index_release(struct slot_index *index);

/* Makes room for count more, so that the next count adds cannot fail. SPN_E_NOMEM: unchanged. */
spn_err slot_index_reserve(struct slot_index *index, size_t count) SPN_MUST_USE;
/* Only after a reserve. */
void slot_index_add(struct slot_index *index, uint64_t hash, uint32_t slot);
void slot_index_remove(struct slot_index *index, uint64_t hash, uint32_t slot);
/* Removes all slots. */
void slot_index_clear(struct slot_index *index);
/* Frees cells if at most an eighth of them is used. Not between a reserve and its adds. */
void slot_index_shrink(struct slot_index *index);

/* Walks the slots that may have this hash: start with *cursor = 0, stop at SLOT_NONE. */
uint32_t slot_index_next(const struct slot_index *index, uint64_t hash, size_t *cursor);

#endif
