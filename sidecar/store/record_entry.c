/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record_entry.h"

#include <assert.h>

#include "store/record_value.h"

enum {
    ENTRY_KIND = 4, /* one byte; then half a byte for each number: its width in bytes */
    ENTRY_ID_SIZE = 8,
    ENTRY_TYPE_SIZE = 10,
    ENTRY_NUMBERS = 11, /* then the parts, id and type; the data is the rest */
    ENTRY_MORE = 0x80,  /* in the kind: there are parts, and which is in one byte before them */
};

static_assert((int)RECORD_HEAD_MAX == (int)ENTRY_NUMBERS + 6 * 8 + 1 + 1 + 2 * 8, "a head");

/* What an entry has beyond the fields that all have, in this order. A part that an entry does not
 * have takes no room. */
enum part {
    PART_NUMBERS = 1, /* the widths of two more numbers in one byte, then the numbers */
    PART_LIFE = 2,    /* 16 bytes */
    PART_NAME = 4,    /* a size in one byte, then the bytes */
    PART_REASON = 8,  /* the same */
    PART_NOTE = 16,   /* the same with a size in two bytes; never empty */
    PARTS = PART_NUMBERS | PART_LIFE | PART_NAME | PART_REASON | PART_NOTE,
};

uint64_t record_hash(struct spn_bytes data)
{
    return XXH3_64bits(data.data, data.size);
}

/* The numbers of an entry, in this order. They are stored without leading zeros, which would be
 * half of a header otherwise: positions as the distance back, no retry as 0. The last two are a
 * part, stored only if one of them is not 0, so that a session without markers does not pay for
 * them. */
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

/* What an entry has beyond its fields. Events come first: most entries are. */
static inline unsigned parts_of(uint8_t kind, bool closes, bool note, const uint64_t *numbers)
{
    unsigned parts = (numbers[MARKERS] | numbers[ID_DISTANCE]) > 0 ? PART_NUMBERS : 0;
    if (record_is_stored(kind))
        return parts | (closes ? PART_REASON : 0) | (note ? PART_NOTE : 0);
    if (kind == RECORD_OPEN)
        return parts | PART_LIFE;
    if (record_has_name(kind))
        return parts | PART_LIFE | PART_NAME | (kind == RECORD_CLOSE ? PART_REASON : 0);
    return parts;
}

static inline unsigned parts_of_entry(const struct record_entry *entry, const uint64_t *numbers)
{
    return parts_of(entry->kind, entry->closes, entry->note.size > 0, numbers);
}

static unsigned width_of(uint64_t number)
{
    return (71 - (unsigned)__builtin_clzll(number | 1)) / 8 * (number > 0);
}

static uint64_t low_bytes(uint64_t value, unsigned width)
{
    return width < 8 ? value & ((UINT64_C(1) << 8 * width) - 1) : value;
}

/* Without the numbers among them. */
static size_t parts_size(unsigned parts, const struct record_entry *entry)
{
    return (parts & PART_LIFE ? sizeof(entry->life) : 0) +
           (parts & PART_NAME ? 1 + entry->name.size : 0) +
           (parts & PART_REASON ? 1 + entry->reason.size : 0) +
           (parts & PART_NOTE ? 2 + entry->note.size : 0);
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

/* The head ends with the numbers, those among the parts included. */
size_t record_begin_entry(struct record_head *ret_head, uint64_t position,
                          const struct record_entry *entry)
{
    uint64_t numbers[NUMBERS];
    uint32_t widths;
    uint8_t *head = ret_head->bytes;
    numbers_of(position, entry, numbers);
    unsigned parts = parts_of_entry(entry, numbers);
    uint8_t *end = put_numbers(head + ENTRY_NUMBERS, numbers, MARKERS, &widths);
    put_u32(head + ENTRY_KIND, widths << 8);
    if (parts > 0)
        *end++ = (uint8_t)parts;
    if (parts & PART_NUMBERS) {
        uint8_t *at = end;
        end = put_numbers(at + 1, numbers + MARKERS, NUMBERS - MARKERS, &widths);
        *at = (uint8_t)widths;
    }
    head[ENTRY_KIND] = (uint8_t)(entry->kind | (parts > 0 ? ENTRY_MORE : 0));
    put_u16(head + ENTRY_ID_SIZE, (uint16_t)entry->id.size);
    head[ENTRY_TYPE_SIZE] = (uint8_t)entry->type.size;
    ret_head->parts = parts;
    ret_head->size = (size_t)(end - head);
    return ret_head->size + parts_size(parts, entry) + entry->id.size + entry->type.size +
           entry->data.size;
}

size_t record_entry_size(uint64_t position, const struct record_entry *entry)
{
    struct record_head head;
    return record_begin_entry(&head, position, entry);
}

/* All parts but the numbers. */
static void put_parts(uint8_t *at, unsigned parts, const struct record_entry *entry)
{
    if (parts & PART_LIFE)
        at = put_bytes(at, (struct spn_bytes){entry->life.bytes, sizeof(entry->life.bytes)});
    if (parts & PART_NAME) {
        *at = (uint8_t)entry->name.size;
        at = put_bytes(at + 1, entry->name);
    }
    if (parts & PART_REASON) {
        *at = (uint8_t)entry->reason.size;
        at = put_bytes(at + 1, entry->reason);
    }
    if (parts & PART_NOTE) {
        put_u16(at, (uint16_t)entry->note.size);
        put_bytes(at + 2, entry->note);
    }
}

void record_end_entry(void *value, const struct record_head *head, uint64_t position,
                      const struct record_entry *entry)
{
    uint8_t *at = value;
    size_t size = head->size;

    assert(entry->id.size <= UINT16_MAX && entry->type.size <= UINT8_MAX &&
           entry->data.size <= UINT32_MAX && entry->name.size <= UINT8_MAX &&
           entry->reason.size <= UINT8_MAX && entry->note.size <= UINT16_MAX);
    memcpy(at + ENTRY_KIND, head->bytes + ENTRY_KIND, size - ENTRY_KIND);
    if (head->parts > PART_NUMBERS) {
        put_parts(at + size, head->parts, entry);
        size += parts_size(head->parts, entry);
    }
    put_strings(at + size, entry);
    size += entry->id.size + entry->type.size;
    put_u32(at + CHECKSUM, entry_checksum(at, size, entry->data_hash, position));
}

void record_put_entry(void *value, uint64_t position, const struct record_entry *entry)
{
    struct record_head head;
    record_begin_entry(&head, position, entry);
    record_end_entry(value, &head, position, entry);
}

/* Most values are so long that there is room for a whole number after each. */
static const uint8_t *get_numbers_within(const uint8_t *at, uint32_t widths, uint64_t *numbers,
                                         size_t count)
{
    for (size_t i = 0; i < count; i++, widths >>= 4) {
        unsigned width = widths & 15;
        if (width > 8)
            return NULL;
        numbers[i] = low_bytes(get_u64(at), width);
        at += width;
    }
    return at;
}

/* Returns where the numbers end; NULL: after the end of the value. */
static const uint8_t *get_numbers(const uint8_t *at, const uint8_t *end, uint32_t widths,
                                  uint64_t *numbers, size_t count)
{
    if ((size_t)(end - at) >= 8 * count)
        return get_numbers_within(at, widths, numbers, count);
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

/* The numbers of an entry but for those among the parts. */
static const uint8_t *get_first_numbers(struct spn_bytes value, uint64_t *numbers)
{
    const uint8_t *start = value.data;
    numbers[MARKERS] = numbers[ID_DISTANCE] = 0;
    return get_numbers(start + ENTRY_NUMBERS, start + value.size, get_u32(start + ENTRY_KIND) >> 8,
                       numbers, MARKERS);
}

/* A size of one or two bytes, then the bytes. Returns where they end; NULL: after the end. */
static const uint8_t *get_part(const uint8_t *at, const uint8_t *end, size_t width,
                               struct spn_bytes *ret_part)
{
    if (!at || width > (size_t)(end - at))
        return NULL;
    size_t size = width == 1 ? *at : get_u16(at);
    at += width;
    if (size > (size_t)(end - at))
        return NULL;
    *ret_part = (struct spn_bytes){at, size};
    return at + size;
}

/* The parts that are not numbers. */
struct parts {
    unsigned which; /* enum part, all of them */
    struct spn_life life;
    struct spn_bytes name;
    struct spn_bytes reason;
    struct spn_bytes note;
};

/* Reads the parts. Returns where they end; NULL: after the end of the value, or unknown ones. */
static const uint8_t *get_parts(const uint8_t *at, const uint8_t *end, uint64_t *numbers,
                                struct parts *parts)
{
    if (at == end)
        return NULL;
    unsigned which = *at++;
    if (which == 0 || (which & ~(unsigned)PARTS) != 0)
        return NULL;
    if (which & PART_NUMBERS)
        at = at < end ? get_numbers(at + 1, end, *at, numbers + MARKERS, NUMBERS - MARKERS) : NULL;
    if (at && which & PART_LIFE) {
        if (sizeof(parts->life.bytes) > (size_t)(end - at))
            return NULL;
        memcpy(parts->life.bytes, at, sizeof(parts->life.bytes));
        at += sizeof(parts->life.bytes);
    }
    if (which & PART_NAME)
        at = get_part(at, end, 1, &parts->name);
    if (which & PART_REASON)
        at = get_part(at, end, 1, &parts->reason);
    if (which & PART_NOTE)
        at = get_part(at, end, 2, &parts->note);
    parts->which = which;
    return at;
}

/* Reads the numbers and the parts. Returns where they end; NULL: the value is damaged. */
static const uint8_t *get_head(struct spn_bytes value, uint64_t *numbers, struct parts *parts)
{
    const uint8_t *start = value.data;
    uint8_t kind = start[ENTRY_KIND] & (ENTRY_MORE - 1);
    const uint8_t *at = get_first_numbers(value, numbers);
    if (at && start[ENTRY_KIND] & ENTRY_MORE)
        at = get_parts(at, start + value.size, numbers, parts);
    if (!at)
        return NULL;
    bool closes = (parts->which & PART_REASON) != 0;
    return parts->which == parts_of(kind, closes, parts->note.size > 0, numbers) ? at : NULL;
}

/* Decodes an entry of one of these kinds. */
static spn_err get_entry(struct spn_bytes value, uint64_t position, uint8_t first_kind,
                         uint8_t last_kind, struct record_entry *ret_entry)
{
    const uint8_t *at = value.data;
    uint64_t numbers[NUMBERS];
    struct parts parts = {.which = 0};

    if (value.size < ENTRY_NUMBERS)
        return SPN_E_CORRUPT;
    const uint8_t *id = get_head(value, numbers, &parts);
    uint8_t kind = at[ENTRY_KIND] & (ENTRY_MORE - 1);
    if (!id || kind < first_kind || kind > last_kind)
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
    uint64_t id_distance = numbers[ID_DISTANCE];
    *ret_entry = (struct record_entry){
        .kind = kind,
        .closes = (parts.which & PART_REASON) != 0,
        .epoch = position - numbers[DISTANCE],
        .markers = numbers[MARKERS],
        .id_position = id_distance > 0 ? position - id_distance : 0,
        .seq = numbers[SEQ],
        .bytes = numbers[BYTES],
        .time_ns = numbers[TIME],
        .wall_ms = numbers[WALL],
        .retry_ms = (uint32_t)numbers[RETRY] - 1,
        .data_hash = data_hash,
        .life = parts.life,
        .name = parts.name,
        .id = {id, id_size},
        .type = {type, type_size},
        .data = data,
        .reason = parts.reason,
        .note = parts.note,
    };
    return SPN_OK;
}

spn_err record_get_entry(struct spn_bytes value, uint64_t position, struct record_entry *ret_entry)
{
    return get_entry(value, position, RECORD_OPEN, RECORD_TOUCH, ret_entry);
}

uint64_t record_guess_epoch(struct spn_bytes value, uint64_t position)
{
    uint64_t numbers[NUMBERS];
    if (value.size < ENTRY_NUMBERS || !get_first_numbers(value, numbers) ||
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
    if (get_entry(value, position, RECORD_LOST, RECORD_LOST, &lost) != SPN_OK ||
        lost.seq <= position)
        return SPN_E_END;
    *ret_end = lost.seq;
    return SPN_OK;
}
