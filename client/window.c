/* SPDX-License-Identifier: Apache-2.0 */
#include "window.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Fields of an encoded entry that are read again (PROTOCOL.md, "BATCH"). */
enum {
    ENTRY_SESSION = 1,
    ENTRY_TYPE = 2,
    ENTRY_ID = 4,
    ENTRY_EXTRA = 6,
    ENTRY_DATA = 8,
};

static size_t power_of_two(size_t at_least)
{
    size_t power = 64;
    while (power < at_least)
        power *= 2;
    return power;
}

spn_err window_init(struct window *window, size_t bytes_max, size_t events_max, size_t entry_max,
                    uint64_t first)
{
    *window = (struct window){.base = first, .next = first};
    if (bytes_max > WINDOW_BYTES_MAX || events_max > WINDOW_EVENTS_MAX || bytes_max == 0 ||
        events_max == 0 || entry_max > WINDOW_BYTES_MAX)
        return SPN_E_INVALID;
    size_t bytes = power_of_two(bytes_max > entry_max ? bytes_max : entry_max);
    size_t starts = power_of_two(events_max);
    window->bytes = malloc(bytes);
    window->starts = malloc(starts * sizeof(*window->starts));
    if (window->bytes == NULL || window->starts == NULL) {
        window_release(window);
        return SPN_E_NOMEM;
    }
    window->bytes_mask = (uint32_t)(bytes - 1);
    window->starts_mask = (uint32_t)(starts - 1);
    window->bytes_max = (uint32_t)bytes_max;
    window->events_max = (uint32_t)events_max;
    return SPN_OK;
}

void window_release(struct window *window)
{
    free(window->bytes);
    free(window->starts);
    *window = (struct window){0};
}

static uint32_t start_of(const struct window *window, uint64_t number)
{
    return window->starts[number & window->starts_mask];
}

static uint8_t *entry_at(const struct window *window, uint64_t number)
{
    return window->bytes + (start_of(window, number) & window->bytes_mask);
}

static size_t encoded_size(const uint8_t *entry)
{
    size_t id = entry[ENTRY_ID] | (size_t)entry[ENTRY_ID + 1] << 8;
    size_t extra = entry[ENTRY_EXTRA] | (size_t)entry[ENTRY_EXTRA + 1] << 8;
    size_t data = 0;
    for (size_t i = 0; i < 4; i++)
        data |= (size_t)entry[ENTRY_DATA + i] << (8 * i);
    return WIRE_ENTRY_HEAD_SIZE + (size_t)entry[ENTRY_SESSION] + entry[ENTRY_TYPE] + id + extra +
           data;
}

/* An entry ends where the next one starts, unless the next one went to the ring's start. */
static uint32_t end_of(const struct window *window, uint64_t number)
{
    if (number + 1 == window->next)
        return window->tail;
    uint32_t next = start_of(window, number + 1);
    if ((next & window->bytes_mask) != 0)
        return next;
    return start_of(window, number) + (uint32_t)encoded_size(entry_at(window, number));
}

/* Bytes left free at the ring's end, because an entry must lie in one piece. */
static uint32_t padding_before(const struct window *window, size_t entry_size)
{
    uint32_t at = window->tail & window->bytes_mask;
    uint32_t left = window->bytes_mask + 1 - at;
    return at != 0 && entry_size > left ? left : 0;
}

bool window_has_room(const struct window *window, size_t entry_size)
{
    if (window->base == window->next)
        return entry_size <= (size_t)window->bytes_mask + 1;
    uint32_t used = window->tail - window->head;
    size_t needed = used + padding_before(window, entry_size) + entry_size;
    return window->next - window->base < window->events_max && needed <= window->bytes_max;
}

void window_put(struct window *window, const struct wire_entry *entry, size_t entry_size)
{
    assert(window_has_room(window, entry_size));
    if (window->base == window->next)
        window->head = window->tail = 0; /* nothing is held: reuse memory that is in the cache */
    window->tail += padding_before(window, entry_size);
    struct wire_out out = wire_out(window->bytes + (window->tail & window->bytes_mask), entry_size);
    wire_put_entry(&out, entry);
    assert(!out.bad && wire_out_size(&out) == entry_size);
    window->starts[window->next & window->starts_mask] = window->tail;
    window->tail += (uint32_t)entry_size;
    window->next++;
}

struct window_cut window_cut(const struct window *window, uint64_t first, size_t bytes_max,
                             uint32_t count_max)
{
    assert(first >= window->base && first < window->next);
    uint32_t start = start_of(window, first);
    uint64_t end = first + 1;
    while (end < window->next && end - first < count_max &&
           (start_of(window, end) & window->bytes_mask) != 0 &&
           end_of(window, end) - start <= bytes_max)
        end++;
    return (struct window_cut){.bytes = entry_at(window, first),
                               .size = end_of(window, end - 1) - start,
                               .count = (uint32_t)(end - first)};
}

size_t window_bytes_from(const struct window *window, uint64_t first)
{
    return first < window->next ? window->tail - start_of(window, first) : 0;
}

void window_forget(struct window *window, uint64_t base)
{
    assert(base >= window->base && base <= window->next);
    window->base = base;
    window->head = base < window->next ? start_of(window, base) : window->tail;
}
