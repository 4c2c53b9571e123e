/* SPDX-License-Identifier: Apache-2.0 */
#include "state/endings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM_FIRST = 64 };

static uint64_t hash_of_place(const void *owner, uint32_t place)
{
    return ((const struct endings *)owner)->places[place]->hash;
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
    free(endings->places);
    free(endings->free_places);
    endings->places = NULL;
    endings->free_places = NULL;
}

static spn_err make_room(struct endings *endings)
{
    if (endings->free_count > 0)
        return SPN_OK;
    uint32_t room = endings->room > 0 ? endings->room * 2 : ROOM_FIRST;
    struct ending **places = realloc(endings->places, room * sizeof(struct ending *));
    if (!places)
        return SPN_E_NOMEM;
    endings->places = places;
    uint32_t *free_places = realloc(endings->free_places, room * sizeof(*free_places));
    if (!free_places)
        return SPN_E_NOMEM;
    endings->free_places = free_places;
    for (uint32_t place = room; place > endings->room; place--)
        free_places[endings->free_count++] = place - 1;
    endings->room = room;
    return SPN_OK;
}

spn_err endings_add(struct endings *endings, struct spn_bytes name, uint64_t hash,
                    uint64_t position, struct ending **ret_ending)
{
    spn_err err = slot_index_reserve(&endings->by_name, 1);
    if (err == SPN_OK)
        err = make_room(endings);
    struct ending *ending = err == SPN_OK ? malloc(sizeof(*ending) + name.size) : NULL;
    if (!ending)
        return SPN_E_NOMEM;
    *ending = (struct ending){.hash = hash, .position = position, .name_size = name.size};
    memcpy(ending->name, name.data, name.size);
    ending->place = endings->free_places[--endings->free_count];
    endings->places[ending->place] = ending;
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
        endings->free_places[endings->free_count++] = settled->place;
        free(settled);
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
        const struct ending *ending = endings->places[place];
        if (ending->name_size == name.size && memcmp(ending->name, name.data, name.size) == 0 &&
            (!oldest || ending->position < oldest->position))
            oldest = ending;
    }
    return oldest;
}
