/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record_entry.h"

#include <assert.h>

#include "store/record_value.h"

enum {
    ENTRY_KIND = 4, /* one byte; then half a byte for each number: its width in bytes */
    ENTRY_ID_SIZE = 8,
    ENTRY_TYPE_SIZE = 10,
    ENTRY_NUMBERS = 11, /* then id and type; the data is the rest */
    ENTRY_MORE = 0x80,  /* in the kind: two more numbers follow, with their widths in one byte */
    ENTRY_HEAD_MAX = ENTRY_NUMBERS + 6 * 8 + 1 + 2 * 8,
};

uint64_t record_hash(struct spn_bytes data)
{
    return XXH3_64bits(data.data, data.size);
}

/* The numbers of an entry, in this order. They are stored without leading zeros, which would be
 * half of a header otherwise: positions as the distance back, no retry as 0. The last two are
 * stored only if one of them is not 0, so that a session without markers does not pay for them. */
enum number { DISTANCE, SEQ, BYTES, TIME, WALL, RETRY, MARKERS, ID_DISTANCE, NUMBERS };

static void numbers_of(uint64_t position, const struct record_entry *entry, uint64_t *numbers)
{
    numbers[DISTANCE] = position - entry->epoch;
    numbers[SEQ] = entry->seq;
    numbers[BYTES] = entry->bytes;
    numbers[TIME] = entry->time_ns;
    numbers[WALL] = entry->wall_ms;
    numbers[RETRY] = (uint32_t)(entry->retry_ms + 1);
    numbers[MARKERS] = entry->markers;
    numbers[ID_DISTANCE] = entry->id_position > 0 ? position - entry->id_position : 0;
}

static bool has_more(const uint64_t *numbers)
{
    return (numbers[MARKERS] | numbers[ID_DISTANCE]) > 0;
}

static unsigned width_of(uint64_t number)
{
    return (71 - (unsigned)__builtin_clzll(number | 1)) / 8 * (number > 0);
}

static uint64_t low_bytes(uint64_t value, unsigned width)
{
    return width < 8 ? value & ((UINT64_C(1) << 8 * width) - 1) : value;
}

size_t record_entry_size(uint64_t position, const struct record_entry *entry)
{
    uint64_t numbers[NUMBERS];
    size_t size = ENTRY_NUMBERS + entry->id.size + entry->type.size + entry->data.size;
    numbers_of(position, entry, numbers);
    for (size_t i = 0; i < NUMBERS; i++)
        size += width_of(numbers[i]);
    return size + has_more(numbers);
}

static bool are_adjacent(struct spn_bytes first, struct spn_bytes second)
{
    return (uintptr_t)first.data + first.size == (uintptr_t)second.data;
}

static void put_strings(uint8_t *at, const struct record_entry *entry)
{
    if (are_adjacent(entry->id, entry->type) && are_adjacent(entry->type, entry->data)) {
        size_t size = entry->id.size + entry->type.size + entry->data.size;
        put_bytes(at, (struct spn_bytes){entry->id.data, size});
        return;
    }
    at = put_bytes(at, entry->id);
    at = put_bytes(at, entry->type);
    put_bytes(at, entry->data);
}

/* Covers header, id and type, and the data by its hash. So a caller that has hashed the data to
 * look for duplicates need not read it again. */
static uint32_t entry_checksum(const uint8_t *value, size_t size, uint64_t data_hash,
                               uint64_t position)
{
    return record_checksum(value + ENTRY_KIND, size - ENTRY_KIND, OF_ENTRY, position ^ data_hash);
}

/* Writes the numbers one after the other, and returns where they end. There is room for a whole
 * number after each. */
static uint8_t *put_numbers(uint8_t *at, const uint64_t *numbers, unsigned count,
                            uint32_t *ret_widths)
{
    uint32_t widths = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned width = width_of(numbers[i]);
        put_u64(at, numbers[i]);
        at += width;
        widths |= width << (4 * i);
    }
    *ret_widths = widths;
    return at;
}

/* Returns the size of the head. */
static size_t put_head(uint8_t head[ENTRY_HEAD_MAX], uint64_t position,
                       const struct record_entry *entry)
{
    uint64_t numbers[NUMBERS];
    uint32_t widths;
    uint8_t kind = entry->kind;
    numbers_of(position, entry, numbers);
    uint8_t *end = put_numbers(head + ENTRY_NUMBERS, numbers, MARKERS, &widths);
    put_u32(head + ENTRY_KIND, widths << 8);
    if (has_more(numbers)) {
        uint8_t *more = end;
        kind |= ENTRY_MORE;
        end = put_numbers(more + 1, numbers + MARKERS, NUMBERS - MARKERS, &widths);
        *more = (uint8_t)widths;
    }
    head[ENTRY_KIND] = kind;
    put_u16(head + ENTRY_ID_SIZE, (uint16_t)entry->id.size);
    head[ENTRY_TYPE_SIZE] = (uint8_t)entry->type.size;
    return (size_t)(end - head);
}

void record_put_entry(void *value, uint64_t position, const struct record_entry *entry)
{
    uint8_t head[ENTRY_HEAD_MAX];
    uint8_t *at = value;

    assert(entry->id.size <= UINT16_MAX && entry->type.size <= UINT8_MAX &&
           entry->data.size <= UINT32_MAX);
    size_t size = put_head(head, position, entry);
    memcpy(at + ENTRY_KIND, head + ENTRY_KIND, size - ENTRY_KIND);
    put_strings(at + size, entry);
    size += entry->id.size + entry->type.size;
    put_u32(at + CHECKSUM, entry_checksum(at, size, entry->data_hash, position));
}

/* Returns where the numbers end; NULL: after the end of the value. */
static const uint8_t *get_numbers(const uint8_t *at, const uint8_t *end, uint32_t widths,
                                  uint64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++, widths >>= 4) {
        unsigned width = widths & 15;
        size_t left = (size_t)(end - at);
        uint8_t last[8] = {0};
        if (width > 8 || width > left)
            return NULL;
        if (left < sizeof(last))
            memcpy(last, at, left);
        numbers[i] = low_bytes(get_u64(left < sizeof(last) ? last : at), width);
        at += width;
    }
    return at;
}

/* The same for all numbers of an entry. */
static const uint8_t *get_all_numbers(struct spn_bytes value, uint64_t *numbers)
{
    const uint8_t *start = value.data;
    const uint8_t *end = start + value.size;
    const uint8_t *at =
        get_numbers(start + ENTRY_NUMBERS, end, get_u32(start + ENTRY_KIND) >> 8, numbers, MARKERS);
    numbers[MARKERS] = numbers[ID_DISTANCE] = 0;
    if (!at || !(start[ENTRY_KIND] & ENTRY_MORE))
        return at;
    return at < end ? get_numbers(at + 1, end, *at, numbers + MARKERS, NUMBERS - MARKERS) : NULL;
}

/* Decodes an entry of any kind. */
static spn_err get_entry(struct spn_bytes value, uint64_t position, struct record_entry *ret_entry)
{
    const uint8_t *at = value.data;
    uint64_t numbers[NUMBERS];

    if (value.size < ENTRY_NUMBERS)
        return SPN_E_CORRUPT;
    const uint8_t *id = get_all_numbers(value, numbers);
    if (!id)
        return SPN_E_CORRUPT;
    size_t id_size = get_u16(at + ENTRY_ID_SIZE);
    size_t type_size = at[ENTRY_TYPE_SIZE];
    size_t head_size = (size_t)(id - at);
    if (head_size + id_size + type_size > value.size || numbers[RETRY] > UINT32_MAX)
        return SPN_E_CORRUPT;
    const uint8_t *type = id + id_size;
    struct spn_bytes data = {type + type_size, value.size - head_size - id_size - type_size};
    uint64_t data_hash = record_hash(data);
    if (get_u32(at + CHECKSUM) !=
        entry_checksum(at, head_size + id_size + type_size, data_hash, position))
        return SPN_E_CORRUPT;
    uint8_t kind = at[ENTRY_KIND] & (ENTRY_MORE - 1);
    uint64_t id_distance = numbers[ID_DISTANCE];
    *ret_entry = (struct record_entry){
        .kind = kind,
        .epoch = position - numbers[DISTANCE],
        .markers = numbers[MARKERS],
        .id_position = id_distance > 0 ? position - id_distance : 0,
        .seq = numbers[SEQ],
        .bytes = numbers[BYTES],
        .time_ns = numbers[TIME],
        .wall_ms = numbers[WALL],
        .retry_ms = (uint32_t)numbers[RETRY] - 1,
        .data_hash = data_hash,
        .id = {id, id_size},
        .type = {type, type_size},
        .data = data,
    };
    return SPN_OK;
}

spn_err record_get_entry(struct spn_bytes value, uint64_t position, struct record_entry *ret_entry)
{
    struct record_entry entry;
    spn_err err = get_entry(value, position, &entry);
    if (err != SPN_OK)
        return err;
    if (entry.kind < RECORD_OPEN || entry.kind > RECORD_MARKER)
        return SPN_E_CORRUPT;
    *ret_entry = entry;
    return SPN_OK;
}

uint64_t record_guess_epoch(struct spn_bytes value, uint64_t position)
{
    uint64_t numbers[NUMBERS];
    if (value.size < ENTRY_NUMBERS || !get_all_numbers(value, numbers) ||
        numbers[DISTANCE] > position)
        return 0;
    return position - numbers[DISTANCE];
}

size_t record_put_lost(void *value, uint64_t position, uint64_t end)
{
    struct record_entry lost = {.kind = RECORD_LOST,
                                .epoch = position,
                                .seq = end,
                                .retry_ms = UINT32_MAX,
                                .data_hash = record_hash((struct spn_bytes){NULL, 0})};
    record_put_entry(value, position, &lost);
    return record_entry_size(position, &lost);
}

spn_err record_get_lost(struct spn_bytes value, uint64_t position, uint64_t *ret_end)
{
    struct record_entry lost;
    if (value.size < ENTRY_NUMBERS || ((const uint8_t *)value.data)[ENTRY_KIND] != RECORD_LOST ||
        get_entry(value, position, &lost) != SPN_OK || lost.seq <= position)
        return SPN_E_END;
    *ret_end = lost.seq;
    return SPN_OK;
}
