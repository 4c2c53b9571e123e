/* SPDX-License-Identifier: Apache-2.0 */
#include "state/endings.h"

#include <stdlib.h>
#include <string.h>

static const struct ending *at_place(const struct endings *endings, uint32_t place)
{
    return slot_table_at(&endings->places, place);
}

static uint64_t hash_of_place(const void *owner, uint32_t place)
{
    return at_place(owner, place)->hash;
}

spn_err endings_init(struct endings *endings)
{
    *endings = (struct endings){.end = &endings->first};
    return slot_index_init(&endings->by_name, hash_of_place, endings);
}

void endings_release(struct endings *endings)
{
    while (endings->first) {
        struct ending *next = endings->first->next;
        free(endings->first);
        endings->first = next;
    }
    slot_index_release(&endings->by_name);
    slot_table_release(&endings->places);
}

spn_err endings_add(struct endings *endings, struct spn_bytes name, uint64_t hash,
                    uint64_t position, struct ending **ret_ending)
{
    spn_err err = slot_index_reserve(&endings->by_name, 1);
    if (err == SPN_OK)
        err = slot_table_reserve(&endings->places);
    struct ending *ending = err == SPN_OK ? malloc(sizeof(*ending) + name.size) : NULL;
    if (!ending)
        return SPN_E_NOMEM;
    *ending = (struct ending){.hash = hash, .position = position, .name_size = name.size};
    memcpy(ending->name, name.data, name.size);
    ending->place = slot_table_add(&endings->places, ending);
    slot_index_add(&endings->by_name, hash, ending->place);
    *endings->end = ending;
    endings->end = &ending->next;
    *ret_ending = ending;
    return SPN_OK;
}

void endings_settle(struct endings *endings, uint64_t durable)
{
    while (endings->first && endings->first->position <= durable) {
        struct ending *settled = endings->first;
        endings->first = settled->next;
        if (!endings->first)
            endings->end = &endings->first;
        slot_index_remove(&endings->by_name, settled->hash, settled->place);
        slot_table_remove(&endings->places, settled->place);
        free(settled);
    }
    if (!endings->first) { /* give back the memory that a million endings at once took */
        slot_table_shrink(&endings->places);
        slot_index_shrink(&endings->by_name);
    }
}

const struct ending *endings_find(const struct endings *endings, struct spn_bytes name,
                                  uint64_t hash)
{
    const struct ending *oldest = NULL;
    size_t cursor = 0;
    uint32_t place;
    while (endings->first &&
           (place = slot_index_next(&endings->by_name, hash, &cursor)) != SLOT_NONE) {
        const struct ending *ending = at_place(endings, place);
        if (ending->name_size == name.size && memcmp(ending->name, name.data, name.size) == 0 &&
            (!oldest || ending->position < oldest->position))
            oldest = ending;
    }
    return oldest;
}
