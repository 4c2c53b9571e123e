/* SPDX-License-Identifier: Apache-2.0 */
#include "tracker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "record.h"

enum { CAP_FIRST = 8 };

#define PLACE_NONE UINT16_MAX

struct fingerprint fingerprint_of(struct spn_bytes id, const uint8_t *secret)
{
    XXH128_hash_t hash = XXH3_128bits_withSecret(id.data, id.size, secret, RECORD_SECRET_SIZE);
    return (struct fingerprint){.low = hash.low64, .high = (uint8_t)hash.high64};
}

uint16_t fingerprint_tag(uint64_t data_hash, struct spn_bytes type)
{
    uint64_t hash =
        type.size > 0 ? XXH3_64bits_withSeed(type.data, type.size, data_hash) : data_hash;
    return (uint16_t)(hash >> 48);
}

/* -- the one piece of memory ------------------------------------------------------------------- */

struct window {
    uint64_t *low;
    uint16_t *tags;
    uint8_t *index; /* places of two bytes in a ring of more than 128, of one in a smaller one */
    bool wide;
    uint8_t *high;
    size_t slots;
};

/* One more than cap at least: a search ends at an empty slot. */
static size_t slots_of(size_t cap)
{
    return cap + (cap + 1) / 2;
}

static bool is_wide(size_t cap)
{
    return cap > 128;
}

static size_t window_size(size_t cap)
{
    return cap * (sizeof(uint64_t) + sizeof(uint16_t) + 1) + slots_of(cap) * (is_wide(cap) ? 2 : 1);
}

/* The ring begins at a multiple of 8. */
static size_t name_room(size_t name_size)
{
    return (name_size + 7) & ~(size_t)7;
}

static struct window window_of(const struct tracker *tracker)
{
    size_t cap = tracker->cap;
    struct window window = {.slots = slots_of(cap)};
    uint8_t *at = (uint8_t *)(uintptr_t)tracker->memory + name_room(tracker->name_size);
    window.low = (uint64_t *)(void *)at;
    at += cap * sizeof(uint64_t);
    window.tags = (uint16_t *)(void *)at;
    at += cap * sizeof(uint16_t);
    window.wide = is_wide(cap);
    window.index = at;
    at += window.slots * (is_wide(cap) ? 2 : 1);
    window.high = at;
    return window;
}

static uint16_t place_at(const struct window *window, size_t slot)
{
    if (!window->wide)
        return window->index[slot] == UINT8_MAX ? PLACE_NONE : window->index[slot];
    uint16_t place;
    memcpy(&place, window->index + slot * sizeof(place), sizeof(place));
    return place;
}

static void set_place(struct window *window, size_t slot, uint16_t place)
{
    if (window->wide)
        memcpy(window->index + slot * sizeof(place), &place, sizeof(place));
    else
        window->index[slot] = place == PLACE_NONE ? UINT8_MAX : (uint8_t)place;
}

static size_t home_of(const struct window *window, struct fingerprint id)
{
    if (!window->wide)
        return (id.high * window->slots) >> 8;
    return (size_t)(((id.low & UINT32_MAX) * window->slots) >> 32);
}

static struct tracker *allocate(struct spn_bytes name, size_t cap)
{
    struct tracker *tracker = malloc(sizeof(*tracker) + name_room(name.size) + window_size(cap));
    if (!tracker)
        return NULL;
    *tracker = (struct tracker){.cap = (uint16_t)cap, .name_size = (uint8_t)name.size};
    memcpy(tracker->memory, name.data, name.size);
    tracker_clear(tracker);
    return tracker;
}

struct tracker *tracker_new(struct spn_bytes name, uint16_t window_max)
{
    assert(name.size > 0 && name.size <= UINT8_MAX);
    assert(window_max > 0 && window_max <= TRACKER_WINDOW_MAX);
    struct tracker *tracker = allocate(name, window_max < CAP_FIRST ? window_max : CAP_FIRST);
    if (tracker)
        tracker->window_max = window_max;
    return tracker;
}

void tracker_free(struct tracker *tracker)
{
    free(tracker);
}

struct spn_bytes tracker_name(const struct tracker *tracker)
{
    return (struct spn_bytes){tracker->memory, tracker->name_size};
}

size_t tracker_size(const struct tracker *tracker)
{
    return sizeof(*tracker) + name_room(tracker->name_size) + window_size(tracker->cap);
}

void tracker_clear(struct tracker *tracker)
{
    struct window window = window_of(tracker);
    tracker->count = 0;
    tracker->next = 0;
    for (size_t i = 0; i < window.slots; i++)
        set_place(&window, i, PLACE_NONE);
}

/* -- the window -------------------------------------------------------------------------------- */

static struct fingerprint id_at(const struct window *window, uint16_t place)
{
    return (struct fingerprint){.low = window->low[place], .high = window->high[place]};
}

static size_t next_slot(const struct window *window, size_t slot)
{
    return slot + 1 < window->slots ? slot + 1 : 0;
}

/* The slot of this fingerprint, or the empty one where it would go. */
static size_t find_slot(const struct window *window, struct fingerprint id)
{
    for (size_t slot = home_of(window, id);; slot = next_slot(window, slot)) {
        uint16_t place = place_at(window, slot);
        if (place == PLACE_NONE || (window->high[place] == id.high && window->low[place] == id.low))
            return slot;
    }
}

enum tracker_verdict tracker_check(const struct tracker *tracker, struct fingerprint id,
                                   uint16_t tag)
{
    struct window window = window_of(tracker);
    uint16_t place = place_at(&window, find_slot(&window, id));
    if (place == PLACE_NONE)
        return TRACKER_NEW;
    return window.tags[place] == tag ? TRACKER_DUPLICATE : TRACKER_CONFLICT;
}

/* Distance from a to b going forward in the index. */
static size_t forward(const struct window *window, size_t a, size_t b)
{
    return b >= a ? b - a : b + window->slots - a;
}

/* Closes the hole by moving back what would not be found over it (Knuth 6.4, algorithm R). */
static void forget(struct window *window, uint16_t place)
{
    size_t hole = find_slot(window, id_at(window, place));
    size_t at = hole;
    for (;;) {
        at = next_slot(window, at);
        uint16_t moved = place_at(window, at);
        if (moved == PLACE_NONE)
            break;
        size_t home = home_of(window, id_at(window, moved));
        if (forward(window, home, at) >= forward(window, hole, at)) {
            set_place(window, hole, moved);
            hole = at;
        }
    }
    set_place(window, hole, PLACE_NONE);
}

static void insert(struct tracker *tracker, struct fingerprint id, uint16_t tag)
{
    struct window window = window_of(tracker);
    uint16_t place = tracker->next;
    if (tracker->count == tracker->cap)
        forget(&window, place);
    else
        tracker->count++;
    window.low[place] = id.low;
    window.high[place] = id.high;
    window.tags[place] = tag;
    set_place(&window, find_slot(&window, id), place);
    tracker->next = (uint16_t)(place + 1 < tracker->cap ? place + 1 : 0);
}

/* Only ever called while the ring is full and has not wrapped: before that the window grows. */
static struct tracker *grow(const struct tracker *old)
{
    size_t cap = (size_t)old->cap * 2;
    if (cap > old->window_max)
        cap = old->window_max;
    struct tracker *tracker = allocate(tracker_name(old), cap);
    if (!tracker)
        return NULL;
    tracker->epoch = old->epoch;
    tracker->seq = old->seq;
    tracker->bytes = old->bytes;
    tracker->closed = old->closed;
    tracker->recent = old->recent;
    tracker->wanted = old->wanted;
    tracker->window_max = old->window_max;
    struct window window = window_of(old);
    for (uint16_t place = 0; place < old->count; place++)
        insert(tracker, id_at(&window, place), window.tags[place]);
    return tracker;
}

spn_err tracker_add(struct tracker **tracker, struct fingerprint id, uint16_t tag)
{
    if ((*tracker)->count == (*tracker)->cap && (*tracker)->cap < (*tracker)->window_max) {
        struct tracker *grown = grow(*tracker);
        if (!grown)
            return SPN_E_NOMEM;
        tracker_free(*tracker);
        *tracker = grown;
    }
    insert(*tracker, id, tag);
    return SPN_OK;
}
