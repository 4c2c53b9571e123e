/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slot_index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS_MIN = 64 };

static struct slot_cell *cells_new(size_t count)
{
    struct slot_cell *cells = malloc(count * sizeof(*cells));
    for (size_t i = 0; cells && i < count; i++)
        cells[i].slot = SLOT_NONE;
    return cells;
}

static uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

spn_err slot_index_init(struct slot_index *index, uint64_t (*hash_of)(const void *, uint32_t),
                        const void *owner)
{
    *index = (struct slot_index){.mask = CELLS_MIN - 1, .hash_of = hash_of, .owner = owner};
    index->cells = cells_new(CELLS_MIN);
    return index->cells ? SPN_OK : SPN_E_NOMEM;
}

void slot_index_release(struct slot_index *index)
{
    free(index->cells);
    index->cells = NULL;
}

static void put(struct slot_index *index, uint64_t hash, uint32_t slot)
{
    size_t at = hash & index->mask;
    while (index->cells[at].slot != SLOT_NONE)
        at = (at + 1) & index->mask;
    index->cells[at] = (struct slot_cell){.tag = tag_of(hash), .slot = slot};
}

static spn_err resize(struct slot_index *index, size_t cells)
{
    struct slot_index other = *index;
    other.cells = cells_new(cells);
    if (!other.cells)
        return SPN_E_NOMEM;
    other.mask = cells - 1;
    for (size_t i = 0; i <= index->mask; i++)
        if (index->cells[i].slot != SLOT_NONE)
            put(&other, index->hash_of(index->owner, index->cells[i].slot), index->cells[i].slot);
    free(index->cells);
    *index = other;
    return SPN_OK;
}

spn_err slot_index_reserve(struct slot_index *index, size_t count)
{
    size_t cells = index->mask + 1;
    while ((index->count + count) * 4 > cells * 3)
        cells *= 2;
    return cells == index->mask + 1 ? SPN_OK : resize(index, cells);
}

void slot_index_clear(struct slot_index *index)
{
    for (size_t i = 0; index->count > 0 && i <= index->mask; i++)
        index->cells[i].slot = SLOT_NONE;
    index->count = 0;
}

void slot_index_shrink(struct slot_index *index)
{
    size_t cells = index->mask + 1;
    while (cells > CELLS_MIN && index->count * 8 <= cells)
        cells /= 2;
    if (cells < index->mask + 1)
        (void)resize(index, cells); /* without memory for the smaller array it keeps the old one */
}

void slot_index_add(struct slot_index *index, uint64_t hash, uint32_t slot)
{
    assert((index->count + 1) * 4 <= (index->mask + 1) * 3);
    put(index, hash, slot);
    index->count++;
}

/* Closes the hole: moves back each cell that a search would no longer find across the hole (Knuth
 * 6.4, algorithm R). */
static void close_hole(struct slot_index *index, size_t hole)
{
    for (size_t at = (hole + 1) & index->mask; index->cells[at].slot != SLOT_NONE;
         at = (at + 1) & index->mask) {
        size_t home = index->hash_of(index->owner, index->cells[at].slot) & index->mask;
        if (((at - home) & index->mask) >= ((at - hole) & index->mask)) {
            index->cells[hole] = index->cells[at];
            hole = at;
        }
    }
    index->cells[hole].slot = SLOT_NONE;
}

void slot_index_remove(struct slot_index *index, uint64_t hash, uint32_t slot)
{
    size_t at = hash & index->mask;
    while (index->cells[at].slot != slot) {
        assert(index->cells[at].slot != SLOT_NONE);
        at = (at + 1) & index->mask;
    }
    close_hole(index, at);
    index->count--;
}

uint32_t slot_index_next(const struct slot_index *index, uint64_t hash, size_t *cursor)
{
    for (;; (*cursor)++) {
        const struct slot_cell *cell = &index->cells[(hash + *cursor) & index->mask];
        if (cell->slot == SLOT_NONE)
            return SLOT_NONE;
        if (cell->tag == tag_of(hash)) {
            (*cursor)++;
            return cell->slot;
        }
    }
}
