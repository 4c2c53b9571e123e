/* SPDX-License-Identifier: Apache-2.0 */
#include "http/places.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t hash_of_slot(const void *owner, uint32_t slot)
{
    const struct place *place = slot_table_at(&((const struct places *)owner)->table, slot);
    return place->hash;
}

spn_err places_init(struct places *places, spn_err (*fill)(void *bytes, size_t size))
{
    *places = (struct places){0};
    spn_err err = fill(places->secret, sizeof(places->secret));
    return err != SPN_OK ? err : slot_index_init(&places->index, hash_of_slot, places);
}

void places_release(struct places *places)
{
    for (uint32_t slot = 0; slot < places->table.count; slot++)
        free(slot_table_at(&places->table, slot));
    slot_table_release(&places->table);
    slot_index_release(&places->index);
}

static struct place *find(const struct places *places, struct spn_bytes name, uint64_t hash)
{
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = slot_index_next(&places->index, hash, &cursor)) != SLOT_NONE) {
        struct place *place = slot_table_at(&places->table, slot);
        if (place->size == name.size && memcmp(place->name, name.data, name.size) == 0)
            return place;
    }
    return NULL;
}

static struct place *place_new(struct places *places, struct spn_bytes name, uint64_t hash)
{
    if (slot_table_reserve(&places->table) != SPN_OK ||
        slot_index_reserve(&places->index, 1) != SPN_OK)
        return NULL;
    struct place *place = malloc(sizeof(*place) + name.size);
    if (place == NULL)
        return NULL;
    *place = (struct place){.hash = hash, .size = name.size};
    memcpy(place->name, name.data, name.size);
    place->slot = slot_table_add(&places->table, place);
    slot_index_add(&places->index, hash, place->slot);
    return place;
}

struct place *places_enter(struct places *places, struct spn_bytes name)
{
    uint64_t hash =
        XXH3_64bits_withSecret(name.data, name.size, places->secret, sizeof(places->secret));
    struct place *place = find(places, name, hash);
    if (place == NULL)
        place = place_new(places, name, hash);
    if (place != NULL)
        place->count++;
    return place;
}

void places_leave(struct places *places, struct place *place)
{
    if (place == NULL || --place->count > 0)
        return;
    slot_index_remove(&places->index, place->hash, place->slot);
    slot_table_remove(&places->table, place->slot);
    slot_index_shrink(&places->index);
    slot_table_shrink(&places->table);
    free(place);
}
