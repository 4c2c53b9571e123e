/* SPDX-License-Identifier: Apache-2.0 */
#include "state/tracker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "store/record_entry.h"
#include "store/record_meta.h"

enum {
    CAP_FIRST = 8,
    SCAN_MAX = 128, /* ids: two cache lines, which memchr scans faster than an index is probed */
};

#define PLACE_NONE UINT16_MAX

struct fingerprint fingerprint_of(struct spn_bytes id, const uint8_t *secret)
{
    XXH128_hash_t hash = XXH3_128bits_withSecret(id.data, id.size, secret, RECORD_SECRET_SIZE);
    return (struct fingerprint){.low = hash.low64, .high = (uint8_t)hash.high64};
}

/* The type of an event without a type (HTML standard, 9.2.6). */
static bool is_message(struct spn_bytes type)
{
    static const char message[] = "message";
    return type.size == 0 || (type.size == sizeof(message) - 1 &&
                              memcmp(type.data, message, sizeof(message) - 1) == 0);
}

/* The checksum of an entry is not keyed, so the data is hashed twice: 15 ns for 256 bytes. The
 * factor keeps data and type from being interchangeable (2^64 divided by the golden ratio). */
uint32_t fingerprint_tag(struct spn_bytes data, struct spn_bytes type, const uint8_t *secret)
{
    uint64_t hash = XXH3_64bits_withSecret(data.data, data.size, secret, RECORD_SECRET_SIZE);
    if (!is_message(type))
        hash += 0x9e3779b97f4a7c15u *
                XXH3_64bits_withSecret(type.data, type.size, secret, RECORD_SECRET_SIZE);
    uint32_t tag = (uint32_t)(hash >> 32);
    return tag != TRACKER_MARKER ? tag : 0;
}

uint32_t fingerprint_closing(uint32_t tag, struct spn_bytes reason, const uint8_t *secret)
{
    uint64_t hash = XXH3_64bits_withSecret(reason.data, reason.size, secret, RECORD_SECRET_SIZE);
    uint32_t closing = tag ^ ((uint32_t)(hash >> 32) | 1); /* the tag of the open event differs */
    return closing != TRACKER_MARKER ? closing : 0;
}

uint32_t fingerprint_tag_of(const struct record_entry *entry, const uint8_t *secret)
{
    if (entry->kind == RECORD_MARKER)
        return TRACKER_MARKER;
    uint32_t tag = fingerprint_tag(entry->data, entry->type, secret);
    return entry->closes ? fingerprint_closing(tag, entry->reason, secret) : tag;
}

/* -- the one piece of memory ------------------------------------------------------------------- */

struct window {
    uint8_t *high;
    uint64_t *low;
    uint32_t *tags;
    uint16_t *index; /* NULL: a place is found by scanning high */
    size_t slots;    /* of the index */
};

static size_t round_up_to_8(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

/* At least one more than cap: a search ends at an empty slot. */
static size_t slots_of(size_t cap)
{
    return cap <= SCAN_MAX ? 0 : cap + (cap + 1) / 2;
}

static size_t window_size(size_t cap)
{
    return round_up_to_8(cap) + cap * (sizeof(uint64_t) + sizeof(uint32_t)) +
           slots_of(cap) * sizeof(uint16_t);
}

static struct window window_of(const struct tracker *tracker)
{
    size_t cap = tracker->cap;
    struct window window = {.slots = slots_of(cap)};
    uint8_t *at = (uint8_t *)(uintptr_t)tracker->memory + round_up_to_8(tracker->name_size);
    window.high = at;
    at += round_up_to_8(cap);
    window.low = (uint64_t *)(void *)at;
    at += cap * sizeof(uint64_t);
    window.tags = (uint32_t *)(void *)at;
    at += cap * sizeof(uint32_t);
    if (window.slots > 0)
        window.index = (uint16_t *)(void *)at;
    return window;
}

static struct tracker *allocate(struct spn_bytes name, size_t cap)
{
    struct tracker *tracker =
        malloc(sizeof(*tracker) + round_up_to_8(name.size) + window_size(cap));
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

struct record_extent tracker_extent(const struct tracker *tracker)
{
    return (struct record_extent){
        .seq = tracker->seq, .bytes = tracker->bytes, .markers = tracker->markers};
}

struct spn_bytes tracker_name(const struct tracker *tracker)
{
    return (struct spn_bytes){tracker->memory, tracker->name_size};
}

size_t tracker_size(const struct tracker *tracker)
{
    return sizeof(*tracker) + round_up_to_8(tracker->name_size) + window_size(tracker->cap);
}

void tracker_follow(struct tracker *tracker, uint64_t position, const struct record_entry *entry)
{
    tracker->seq = entry->seq;
    tracker->bytes = entry->bytes;
    tracker->markers = entry->markers;
    tracker->id_position = entry->id_position > 0 ? entry->id_position : position;
}

void tracker_clear(struct tracker *tracker)
{
    struct window window = window_of(tracker);
    tracker->count = 0;
    tracker->next = 0;
    tracker->marked = false;
    for (size_t i = 0; i < window.slots; i++)
        window.index[i] = PLACE_NONE;
}

/* -- the window -------------------------------------------------------------------------------- */

static bool has_at(const struct window *window, uint16_t place, struct fingerprint id)
{
    return window->low[place] == id.low && window->high[place] == id.high;
}

static uint16_t scan(const struct window *window, size_t count, struct fingerprint id)
{
    const uint8_t *end = window->high + count;
    const uint8_t *at = window->high;
    for (; (at = memchr(at, id.high, (size_t)(end - at))) != NULL; at++)
        if (window->low[at - window->high] == id.low)
            return (uint16_t)(at - window->high);
    return PLACE_NONE;
}

static size_t home_of(const struct window *window, uint64_t low)
{
    return (size_t)(((low & UINT32_MAX) * window->slots) >> 32);
}

static size_t next_slot(const struct window *window, size_t slot)
{
    return slot + 1 < window->slots ? slot + 1 : 0;
}

/* The slot of this fingerprint in the index, or the empty slot where it would go. */
static size_t find_slot(const struct window *window, struct fingerprint id)
{
    for (size_t slot = home_of(window, id.low);; slot = next_slot(window, slot)) {
        uint16_t place = window->index[slot];
        if (place == PLACE_NONE || has_at(window, place, id))
            return slot;
    }
}

static uint16_t find(const struct tracker *tracker, const struct window *window,
                     struct fingerprint id)
{
    return window->index ? window->index[find_slot(window, id)] : scan(window, tracker->count, id);
}

void tracker_expect(const struct tracker *tracker)
{
    struct window window = window_of(tracker);
    enum { LINE = 64 };
    if (window.index)
        return;
    for (size_t at = 0; at < tracker->cap; at += LINE)
        __builtin_prefetch(window.high + at);
    __builtin_prefetch(&window.low[tracker->next], 1);
    __builtin_prefetch(&window.tags[tracker->next], 1);
}

enum tracker_verdict tracker_check(const struct tracker *tracker, struct fingerprint id,
                                   uint32_t tag)
{
    struct window window = window_of(tracker);
    uint16_t place = find(tracker, &window, id);
    if (place == PLACE_NONE)
        return TRACKER_NEW;
    if (tag == TRACKER_MARKER)
        return TRACKER_DUPLICATE;
    if (window.tags[place] == TRACKER_MARKER)
        return TRACKER_NEW;
    return window.tags[place] == tag ? TRACKER_DUPLICATE : TRACKER_CONFLICT;
}

/* Distance from a forward to b in the index. */
static size_t forward(const struct window *window, size_t a, size_t b)
{
    return b >= a ? b - a : b + window->slots - a;
}

static struct fingerprint id_at(const struct window *window, uint16_t place)
{
    return (struct fingerprint){.low = window->low[place], .high = window->high[place]};
}

/* Closes the hole by moving back entries that a search would not find across it (Knuth 6.4,
 * algorithm R). */
static void forget(struct window *window, uint16_t place)
{
    size_t hole = find_slot(window, id_at(window, place));
    size_t at = hole;
    for (;;) {
        at = next_slot(window, at);
        uint16_t moved = window->index[at];
        if (moved == PLACE_NONE)
            break;
        size_t home = home_of(window, window->low[moved]);
        if (forward(window, home, at) >= forward(window, hole, at)) {
            window->index[hole] = moved;
            hole = at;
        }
    }
    window->index[hole] = PLACE_NONE;
}

/* Takes an id out of the window. Its place stays, with a fingerprint that no id has. */
static void take_out(const struct tracker *tracker, struct fingerprint id)
{
    struct window window = window_of(tracker);
    uint16_t place = find(tracker, &window, id);
    if (place == PLACE_NONE)
        return;
    if (window.index)
        forget(&window, place);
    window.low[place] = ~id.low;
}

static void insert(struct tracker *tracker, struct fingerprint id, uint32_t tag)
{
    struct window window = window_of(tracker);
    uint16_t place = tracker->next;
    bool full = tracker->count == tracker->cap;
    if (full && window.index)
        forget(&window, place);
    if (!full)
        tracker->count++;
    window.low[place] = id.low;
    window.high[place] = id.high;
    window.tags[place] = tag;
    tracker->marked |= tag == TRACKER_MARKER;
    if (window.index)
        window.index[find_slot(&window, id)] = place;
    tracker->next = (uint16_t)(place + 1 < tracker->cap ? place + 1 : 0);
}

/* Called only while the ring is full and has not wrapped: before it wraps, the window grows. */
static struct tracker *grow(const struct tracker *old)
{
    size_t cap = (size_t)old->cap * 2;
    if (cap > old->window_max)
        cap = old->window_max;
    struct tracker *tracker = allocate(tracker_name(old), cap);
    if (!tracker)
        return NULL;
    tracker->epoch = old->epoch;
    tracker->life = old->life;
    tracker->seq = old->seq;
    tracker->bytes = old->bytes;
    tracker->markers = old->markers;
    tracker->id_position = old->id_position;
    tracker->closed = old->closed;
    tracker->damaged = old->damaged;
    tracker->recent = old->recent;
    tracker->wanted = old->wanted;
    tracker->window_max = old->window_max;
    struct window window = window_of(old);
    for (uint16_t place = 0; place < old->count; place++)
        insert(tracker, id_at(&window, place), window.tags[place]);
    return tracker;
}

spn_err tracker_add(struct tracker **tracker, struct fingerprint id, uint32_t tag)
{
    if ((*tracker)->count == (*tracker)->cap && (*tracker)->cap < (*tracker)->window_max) {
        struct tracker *grown = grow(*tracker);
        if (!grown)
            return SPN_E_NOMEM;
        tracker_free(*tracker);
        *tracker = grown;
    }
    if ((*tracker)->marked)
        take_out(*tracker, id);
    insert(*tracker, id, tag);
    return SPN_OK;
}
