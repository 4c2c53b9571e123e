/* SPDX-License-Identifier: Apache-2.0 */
/* slot_table: a number for each of the owner's things, for use in a slot_index.
 *
 * Freed numbers are reused.
 *
 * Owns     the table (12 bytes a slot), not the things.
 * Threads  one.
 */
#ifndef SPN_SLOT_TABLE_H
#define SPN_SLOT_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "spn_err.h"

struct slot_table { /* all zero: empty */
    void **things;  /* NULL: free */
    uint32_t *free; /* slots below count that are free: a stack */
    uint32_t free_count;
    uint32_t count;
    uint32_t room;
};

void slot_table_release(struct slot_table *table);

/* Makes room, so that the next add cannot fail. SPN_E_NOMEM. */
spn_err slot_table_reserve(struct slot_table *table) SPN_MUST_USE;
/* Only after a reserve. Returns the slot of this thing, which is not NULL. */
uint32_t slot_table_add(struct slot_table *table, void *thing);
void slot_table_remove(struct slot_table *table, uint32_t slot);

/* Frees the room after the last slot in use, if the slots in use end in the first quarter of the
 * room. Not between a reserve and its add. */
void slot_table_shrink(struct slot_table *table);

/* NULL: the slot is free. */
static inline void *slot_table_at(const struct slot_table *table, uint32_t slot)
{
    return slot < table->count ? table->things[slot] : NULL;
}

static inline uint32_t slot_table_used(const struct slot_table *table)
{
    return table->count - table->free_count;
}

#endif
