/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slot_table.h"

#include <assert.h>
#include <stdlib.h>

enum { ROOM_MIN = 64 };

void slot_table_release(struct slot_table *table)
{
    free(table->things);
    free(table->free);
    *table = (struct slot_table){.count = 0};
}

/* SPN_E_NOMEM: it could not grow, and has as much room as before. */
static spn_err resize(struct slot_table *table, uint32_t room)
{
    void **things = realloc(table->things, room * sizeof(*things));
    if (things)
        table->things = things;
    uint32_t *free_slots = things ? realloc(table->free, room * sizeof(*free_slots)) : NULL;
    if (free_slots)
        table->free = free_slots;
    else if (room > table->room)
        return SPN_E_NOMEM;
    table->room = room;
    return SPN_OK;
}

spn_err slot_table_reserve(struct slot_table *table)
{
    if (table->free_count > 0 || table->count < table->room)
        return SPN_OK;
    return resize(table, table->room > 0 ? table->room * 2 : ROOM_MIN);
}

uint32_t slot_table_add(struct slot_table *table, void *thing)
{
    assert(thing && (table->free_count > 0 || table->count < table->room));
    uint32_t slot = table->free_count > 0 ? table->free[--table->free_count] : table->count++;
    table->things[slot] = thing;
    return slot;
}

void slot_table_remove(struct slot_table *table, uint32_t slot)
{
    assert(slot_table_at(table, slot));
    table->things[slot] = NULL;
    table->free[table->free_count++] = slot;
}

static uint32_t end_in_use(const struct slot_table *table)
{
    uint32_t end = table->count;
    while (end > 0 && !table->things[end - 1])
        end--;
    return end;
}

void slot_table_shrink(struct slot_table *table)
{
    uint32_t end = end_in_use(table);
    uint32_t room = table->room;
    while (room > ROOM_MIN && end <= room / 4)
        room /= 2;
    if (room == table->room)
        return;
    table->count = end;
    table->free_count = 0;
    while (end-- > 0) /* the lowest slots are reused first */
        if (!table->things[end])
            table->free[table->free_count++] = end;
    (void)resize(table, room);
}
