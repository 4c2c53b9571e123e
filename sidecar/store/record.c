/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Where each field lies. All integers are little-endian. A value in an LMDB page may be only 2-byte
 * aligned, so they are moved with memcpy. The checksum comes first and covers what follows it. */
enum {
    CHECKSUM = 0,

    ENTRY_KIND = 4, /* one byte; then half a byte for each number: how many bytes it has */
    ENTRY_ID_SIZE = 8,
    ENTRY_TYPE_SIZE = 10,
    ENTRY_NUMBERS = 11, /* then id, type and data, which is what remains */
    ENTRY_MORE = 0x80,  /* in the kind: two more numbers follow, with their widths in one byte */
    ENTRY_HEAD_MAX = ENTRY_NUMBERS + 6 * 8 + 1 + 2 * 8,

    ROW_STATE = 4,
    ROW_NAME_SIZE = 5,
    ROW_LAST_ID_SIZE = 6,
    ROW_SEGMENT = 8,
    ROW_SEGMENT_BEFORE = 12,
    ROW_DUPLICATES = 16,
    ROW_CONFLICTS = 20,
    ROW_SEQ = 24,
    ROW_POSITION = 32,
    ROW_BYTES = 40,
    ROW_OPENED = 48,
    ROW_LAST_MS = 56,
    ROW_LAST_NS = 64,
    ROW_STATE_POSITION = 72,
    ROW_NAME = 80, /* then the last id, then the markers where there are any */
    ROW_MARKERS_SIZE = 8,

    NAME_EPOCH = 4,

    PRODUCER_RUN_COUNT = 4,
    PRODUCER_TOKEN = 8,
    PRODUCER_NUMBER = 16,
    PRODUCER_BASE = 24,
    PRODUCER_TIME = 32,
    PRODUCER_RUNS = 40, /* then, in newer records, the owner */

    OWNER_UID = 0,
    OWNER_KEPT = 4,
    OWNER_ZERO = 5,
    OWNER_SIZE = 8,

    RUN_FIRST = 0,
    RUN_COUNT = 8,
    RUN_RESULT = 12,
    RUN_SIZE = 13,

    BLOCK_SEGMENT_BEFORE = 4,
    BLOCK_COUNT = 8,
    BLOCK_POSITION = 12, /* of the first item */
    BLOCK_ITEMS = 20, /* its fingerprint; then a delta and a fingerprint for each of the others */
    FINGERPRINT_SIZE = 4,
    VARINT_SIZE_MAX = 10,

    SEGMENT_EVENTS = 4,
    SEGMENT_FIRST = 8,
    SEGMENT_LAST = 16,

    /* The first 12 bytes are the same in every format, so that an old program can tell a newer
     * database from a foreign one. */
    META_MAGIC = 0,
    META_FORMAT = 8,
    META_CHECKSUM = 12,
    META_CHECKPOINT = 16,
    META_NEXT_POSITION = 24,
    META_CLOCK = 32,
    META_SEGMENT = 40,
    META_SECRET = 48,
    META_RETENTION_EVENTS = 240,
    META_RETENTION_BYTES = 248,
    META_RETENTION_AGE = 256,
    META_NARROWEST_EVENTS = 264,
    META_NARROWEST_BYTES = 272,
    META_NARROWEST_AGE = 280,
    META_NARROWEST_KNOWN = 288, /* 0 in databases that did not keep it */
    META_NOTE = 320,            /* the older ones end here, in zeros */
    META_WALL = 320,
    META_BOOT_TIME = 328,
    META_BOOT_ID = 336,
    META_CATCH_UP = 352,
    META_END = 360,
};

static_assert((int)NAME_EPOCH + 8 == (int)RECORD_NAME_SIZE, "a name's value");
static_assert((int)SEGMENT_LAST + 8 == (int)RECORD_SEGMENT_SIZE, "a segment's value");
static_assert((int)META_SECRET + (int)RECORD_SECRET_SIZE == (int)META_RETENTION_EVENTS, "meta");
static_assert((int)META_END <= (int)RECORD_META_SIZE, "meta");
static_assert((RECORD_BLOCK_SIZE_MAX - BLOCK_ITEMS - FINGERPRINT_SIZE) / (1 + FINGERPRINT_SIZE) +
                      1 ==
                  RECORD_BLOCK_ITEMS_MAX,
              "items of a block");

static const uint8_t magic[8] = {'S', 'P', 'O', 'N', 'S', 'O', 'N', 0};

/* -- integers and checksums -------------------------------------------------------------------- */

static void put_u16(uint8_t *at, uint16_t value)
{
    value = htole16(value);
    memcpy(at, &value, sizeof(value));
}

static void put_u32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof(value));
}

static void put_u64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof(value));
}

static uint16_t get_u16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return le16toh(value);
}

static uint32_t get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

/* memcpy with a NULL source is undefined even for no bytes. */
static uint8_t *put_bytes(uint8_t *at, struct spn_bytes bytes)
{
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

/* A value that strays under another key, or into another table, must not pass there: the key is the
 * seed, mixed with a number of the table's own. */
enum table { OF_ENTRY = 1, OF_ROW, OF_NAME, OF_PRODUCER, OF_BLOCK, OF_META, OF_SEGMENT };

static uint32_t checksum(const uint8_t *bytes, size_t size, enum table table, uint64_t key)
{
    const uint64_t golden = 0x9E3779B97F4A7C15u;
    return (uint32_t)XXH3_64bits_withSeed(bytes, size, key ^ ((uint64_t)table * golden));
}

uint64_t record_hash(struct spn_bytes data)
{
    return XXH3_64bits(data.data, data.size);
}

/* -- entries ----------------------------------------------------------------------------------- */

/* What an entry has numbers for, in this order. They are stored without their leading zeros, which
 * are half of a header otherwise: positions as their distance back, no retry as 0. The last two are
 * there only where one of them is not 0: a session without markers does not pay for them. */
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

static bool behind(struct spn_bytes first, struct spn_bytes second)
{
    return (uintptr_t)first.data + first.size == (uintptr_t)second.data;
}

static void put_strings(uint8_t *at, const struct record_entry *entry)
{
    if (behind(entry->id, entry->type) && behind(entry->type, entry->data)) {
        size_t size = entry->id.size + entry->type.size + entry->data.size;
        put_bytes(at, (struct spn_bytes){entry->id.data, size});
        return;
    }
    at = put_bytes(at, entry->id);
    at = put_bytes(at, entry->type);
    put_bytes(at, entry->data);
}

/* Over header, id and type, and over the data by its hash: so a caller that has hashed the data to
 * look for duplicates need not touch it again. */
static uint32_t entry_checksum(const uint8_t *value, size_t size, uint64_t data_hash,
                               uint64_t position)
{
    return checksum(value + ENTRY_KIND, size - ENTRY_KIND, OF_ENTRY, position ^ data_hash);
}

/* Numbers one after the other; returns where they end. There is room for a whole one behind. */
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

/* Returns its size. */
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

/* Returns where they end, NULL: beyond the value. */
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

/* The same for all that an entry has. */
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

/* Of any kind. */
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

/* -- rows and names ---------------------------------------------------------------------------- */

size_t record_row_size(const struct record_row *row)
{
    return ROW_NAME + row->name.size + row->last_id.size +
           (row->markers > 0 ? ROW_MARKERS_SIZE : 0);
}

void record_put_row(void *value, uint64_t epoch, const struct record_row *row)
{
    uint8_t *at = value;

    assert(row->name.size <= UINT8_MAX && row->last_id.size <= UINT16_MAX);
    at[ROW_STATE] = row->state;
    at[ROW_NAME_SIZE] = (uint8_t)row->name.size;
    put_u16(at + ROW_LAST_ID_SIZE, (uint16_t)row->last_id.size);
    put_u32(at + ROW_SEGMENT, row->segment);
    put_u32(at + ROW_SEGMENT_BEFORE, row->segment_before);
    put_u32(at + ROW_DUPLICATES, row->duplicates);
    put_u32(at + ROW_CONFLICTS, row->conflicts);
    put_u64(at + ROW_SEQ, row->seq);
    put_u64(at + ROW_POSITION, row->position);
    put_u64(at + ROW_BYTES, row->bytes);
    put_u64(at + ROW_OPENED, row->opened_ms);
    put_u64(at + ROW_LAST_MS, row->last_ms);
    put_u64(at + ROW_LAST_NS, row->last_ns);
    put_u64(at + ROW_STATE_POSITION, row->state_position);
    uint8_t *end = put_bytes(put_bytes(at + ROW_NAME, row->name), row->last_id);
    if (row->markers > 0)
        put_u64(end, row->markers);
    put_u32(at + CHECKSUM,
            checksum(at + ROW_STATE, record_row_size(row) - ROW_STATE, OF_ROW, epoch));
}

spn_err record_get_row(struct spn_bytes value, uint64_t epoch, struct record_row *ret_row)
{
    const uint8_t *at = value.data;

    if (value.size < ROW_NAME)
        return SPN_E_CORRUPT;
    size_t name_size = at[ROW_NAME_SIZE];
    size_t last_id_size = get_u16(at + ROW_LAST_ID_SIZE);
    size_t size = ROW_NAME + name_size + last_id_size;
    bool has_markers = size + ROW_MARKERS_SIZE == value.size;
    if (size != value.size && !has_markers)
        return SPN_E_CORRUPT;
    if (get_u32(at + CHECKSUM) != checksum(at + ROW_STATE, value.size - ROW_STATE, OF_ROW, epoch))
        return SPN_E_CORRUPT;
    if (at[ROW_STATE] > RECORD_DAMAGED)
        return SPN_E_CORRUPT;
    *ret_row = (struct record_row){
        .seq = get_u64(at + ROW_SEQ),
        .position = get_u64(at + ROW_POSITION),
        .bytes = get_u64(at + ROW_BYTES),
        .markers = has_markers ? get_u64(at + size) : 0,
        .opened_ms = get_u64(at + ROW_OPENED),
        .last_ms = get_u64(at + ROW_LAST_MS),
        .last_ns = get_u64(at + ROW_LAST_NS),
        .state_position = get_u64(at + ROW_STATE_POSITION),
        .segment = get_u32(at + ROW_SEGMENT),
        .segment_before = get_u32(at + ROW_SEGMENT_BEFORE),
        .duplicates = get_u32(at + ROW_DUPLICATES),
        .conflicts = get_u32(at + ROW_CONFLICTS),
        .state = at[ROW_STATE],
        .name = {at + ROW_NAME, name_size},
        .last_id = {at + ROW_NAME + name_size, last_id_size},
    };
    return SPN_OK;
}

static uint32_t name_checksum(const uint8_t *value, struct spn_bytes name)
{
    return checksum(value + NAME_EPOCH, RECORD_NAME_SIZE - NAME_EPOCH, OF_NAME, record_hash(name));
}

void record_put_name(void *value, struct spn_bytes name, uint64_t epoch)
{
    uint8_t *at = value;

    put_u64(at + NAME_EPOCH, epoch);
    put_u32(at + CHECKSUM, name_checksum(at, name));
}

spn_err record_get_name(struct spn_bytes value, struct spn_bytes name, uint64_t *ret_epoch)
{
    const uint8_t *at = value.data;

    if (value.size != RECORD_NAME_SIZE || get_u32(at + CHECKSUM) != name_checksum(at, name))
        return SPN_E_CORRUPT;
    *ret_epoch = get_u64(at + NAME_EPOCH);
    return SPN_OK;
}

/* -- producers --------------------------------------------------------------------------------- */

void record_database_id(const uint8_t *secret, uint8_t ret_id[RECORD_DATABASE_ID_SIZE])
{
    XXH128_canonical_t id;
    XXH128_canonicalFromHash(&id, XXH3_128bits(secret, RECORD_SECRET_SIZE));
    static_assert(sizeof(id) == RECORD_DATABASE_ID_SIZE, "all of it");
    memcpy(ret_id, id.digest, sizeof(id));
}

size_t record_producer_size(const struct record_producer *producer)
{
    return PRODUCER_RUNS + producer->run_count * RUN_SIZE + OWNER_SIZE;
}

static uint32_t producer_checksum(const uint8_t *value, size_t size, const uint8_t *id)
{
    uint64_t key = record_hash((struct spn_bytes){id, RECORD_PRODUCER_ID_SIZE});
    return checksum(value + PRODUCER_RUN_COUNT, size - PRODUCER_RUN_COUNT, OF_PRODUCER, key);
}

void record_put_producer(void *value, const uint8_t *id, const struct record_producer *producer)
{
    uint8_t *at = value;

    assert(producer->run_count <= RECORD_RUNS_MAX);
    put_u32(at + PRODUCER_RUN_COUNT, (uint32_t)producer->run_count);
    put_u64(at + PRODUCER_TOKEN, producer->token);
    put_u64(at + PRODUCER_NUMBER, producer->number);
    put_u64(at + PRODUCER_BASE, producer->base);
    put_u64(at + PRODUCER_TIME, producer->time_ns);
    for (size_t i = 0; i < producer->run_count; i++) {
        uint8_t *run = at + PRODUCER_RUNS + i * RUN_SIZE;
        put_u64(run + RUN_FIRST, producer->runs[i].first);
        put_u32(run + RUN_COUNT, producer->runs[i].count);
        run[RUN_RESULT] = producer->runs[i].result;
    }
    uint8_t *owner = at + PRODUCER_RUNS + producer->run_count * RUN_SIZE;
    put_u32(owner + OWNER_UID, producer->uid);
    owner[OWNER_KEPT] = producer->kept;
    memset(owner + OWNER_ZERO, 0, OWNER_SIZE - OWNER_ZERO);
    put_u32(at + CHECKSUM, producer_checksum(at, record_producer_size(producer), id));
}

spn_err record_get_producer(struct spn_bytes value, const uint8_t *id, struct record_run *runs,
                            struct record_producer *ret_producer)
{
    const uint8_t *at = value.data;

    if (value.size < PRODUCER_RUNS)
        return SPN_E_CORRUPT;
    size_t run_count = get_u32(at + PRODUCER_RUN_COUNT);
    size_t runs_end = PRODUCER_RUNS + run_count * RUN_SIZE;
    bool owned = value.size == runs_end + OWNER_SIZE;
    if (run_count > RECORD_RUNS_MAX || (!owned && value.size != runs_end))
        return SPN_E_CORRUPT;
    if (get_u32(at + CHECKSUM) != producer_checksum(at, value.size, id))
        return SPN_E_CORRUPT;
    for (size_t i = 0; i < run_count; i++) {
        const uint8_t *run = at + PRODUCER_RUNS + i * RUN_SIZE;
        runs[i] = (struct record_run){
            .first = get_u64(run + RUN_FIRST),
            .count = get_u32(run + RUN_COUNT),
            .result = run[RUN_RESULT],
        };
    }
    *ret_producer = (struct record_producer){
        .token = get_u64(at + PRODUCER_TOKEN),
        .number = get_u64(at + PRODUCER_NUMBER),
        .base = get_u64(at + PRODUCER_BASE),
        .time_ns = get_u64(at + PRODUCER_TIME),
        .runs = runs,
        .run_count = run_count,
        .kept = owned ? at[runs_end + OWNER_KEPT] : true,
        .uid = owned ? get_u32(at + runs_end + OWNER_UID) : UINT32_MAX,
    };
    return SPN_OK;
}

/* -- blocks ------------------------------------------------------------------------------------ */

/* Seven bits a byte, lowest first; the high bit says that more follow. */
static size_t put_varint(uint8_t *at, uint64_t value)
{
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        at[size++] = (uint8_t)(value | 0x80);
    at[size++] = (uint8_t)value;
    return size;
}

/* Returns the size read, or 0 for what put_varint would not have written. */
static size_t get_varint(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned size = 0; at + size < end && size < VARINT_SIZE_MAX; size++) {
        uint64_t bits = at[size] & 0x7f;
        if (size == VARINT_SIZE_MAX - 1 && bits > 1)
            return 0; /* beyond 64 bits */
        value |= bits << (7 * size);
        if (!(at[size] & 0x80)) {
            *ret_value = value;
            return size + 1;
        }
    }
    return 0;
}

static uint32_t block_checksum(const uint8_t *value, size_t size, uint32_t segment, uint64_t epoch,
                               uint64_t first_seq)
{
    uint8_t key[20];
    put_u32(key, segment);
    put_u64(key + 4, epoch);
    put_u64(key + 12, first_seq);
    return checksum(value + BLOCK_SEGMENT_BEFORE, size - BLOCK_SEGMENT_BEFORE, OF_BLOCK,
                    record_hash((struct spn_bytes){key, sizeof(key)}));
}

size_t record_put_block(void *value, uint32_t segment, uint64_t epoch, uint64_t first_seq,
                        uint32_t segment_before, const struct record_block_item *items,
                        size_t count, size_t *ret_size)
{
    uint8_t *at = value;
    size_t size = BLOCK_ITEMS + FINGERPRINT_SIZE;
    size_t done = 1;

    assert(count > 0);
    put_u64(at + BLOCK_POSITION, items[0].position);
    put_u32(at + BLOCK_ITEMS, items[0].fingerprint);
    for (; done < count; done++) {
        uint8_t delta[VARINT_SIZE_MAX];
        assert(items[done].position > items[done - 1].position);
        size_t delta_size = put_varint(delta, items[done].position - items[done - 1].position);
        if (size + delta_size + FINGERPRINT_SIZE > RECORD_BLOCK_SIZE_MAX)
            break;
        memcpy(at + size, delta, delta_size);
        put_u32(at + size + delta_size, items[done].fingerprint);
        size += delta_size + FINGERPRINT_SIZE;
    }
    put_u32(at + BLOCK_SEGMENT_BEFORE, segment_before);
    put_u32(at + BLOCK_COUNT, (uint32_t)done);
    put_u32(at + CHECKSUM, block_checksum(at, size, segment, epoch, first_seq));
    *ret_size = size;
    return done;
}

spn_err record_get_block(struct spn_bytes value, uint32_t segment, uint64_t epoch,
                         uint64_t first_seq, struct record_block *ret_block)
{
    const uint8_t *at = value.data;

    if (value.size < BLOCK_ITEMS + FINGERPRINT_SIZE || value.size > RECORD_BLOCK_SIZE_MAX)
        return SPN_E_CORRUPT;
    if (get_u32(at + CHECKSUM) != block_checksum(at, value.size, segment, epoch, first_seq))
        return SPN_E_CORRUPT;
    uint32_t count = get_u32(at + BLOCK_COUNT);
    if (count < 1 || count > RECORD_BLOCK_ITEMS_MAX)
        return SPN_E_CORRUPT;
    *ret_block = (struct record_block){
        .first_seq = first_seq,
        .segment_before = get_u32(at + BLOCK_SEGMENT_BEFORE),
        .count = count,
        .value = value,
    };
    return SPN_OK;
}

spn_err record_get_items(const struct record_block *block, struct record_block_item *items)
{
    const uint8_t *value = block->value.data;
    const uint8_t *end = value + block->value.size;
    const uint8_t *at = value + BLOCK_ITEMS;
    uint64_t position = get_u64(value + BLOCK_POSITION);

    for (uint32_t i = 0; i < block->count; i++) {
        uint64_t delta = 0;
        size_t delta_size = i > 0 ? get_varint(at, end, &delta) : 0;
        if (i > 0 && (delta_size == 0 || delta == 0 || position + delta < position))
            return SPN_E_CORRUPT;
        at += delta_size;
        if (end - at < FINGERPRINT_SIZE)
            return SPN_E_CORRUPT;
        position += delta;
        items[i] = (struct record_block_item){position, get_u32(at)};
        at += FINGERPRINT_SIZE;
    }
    return at == end ? SPN_OK : SPN_E_CORRUPT;
}

/* -- segments ---------------------------------------------------------------------------------- */

static uint32_t segment_checksum(const uint8_t *value, uint32_t number)
{
    return checksum(value + SEGMENT_EVENTS, RECORD_SEGMENT_SIZE - SEGMENT_EVENTS, OF_SEGMENT,
                    number);
}

void record_put_segment(void *value, uint32_t number, const struct record_segment *segment)
{
    uint8_t *at = value;

    put_u32(at + SEGMENT_EVENTS, segment->events);
    put_u64(at + SEGMENT_FIRST, segment->first);
    put_u64(at + SEGMENT_LAST, segment->last);
    put_u32(at + CHECKSUM, segment_checksum(at, number));
}

spn_err record_get_segment(struct spn_bytes value, uint32_t number,
                           struct record_segment *ret_segment)
{
    const uint8_t *at = value.data;

    if (value.size != RECORD_SEGMENT_SIZE || get_u32(at + CHECKSUM) != segment_checksum(at, number))
        return SPN_E_CORRUPT;
    struct record_segment segment = {
        .first = get_u64(at + SEGMENT_FIRST),
        .last = get_u64(at + SEGMENT_LAST),
        .events = get_u32(at + SEGMENT_EVENTS),
    };
    if (segment.first > segment.last)
        return SPN_E_CORRUPT;
    *ret_segment = segment;
    return SPN_OK;
}

/* -- retention --------------------------------------------------------------------------------- */

bool record_retains(const struct record_retention *rule, const struct record_entry *event,
                    uint64_t last_seq, uint64_t last_bytes, uint64_t now_ns)
{
    return (rule->events_max == 0 || last_seq - event->seq < rule->events_max) &&
           (rule->bytes_max == 0 || last_bytes - event->bytes < rule->bytes_max) &&
           (rule->age_max_ns == 0 || now_ns < event->time_ns ||
            now_ns - event->time_ns < rule->age_max_ns);
}

/* 0: no limit. */
static uint64_t narrower(uint64_t a, uint64_t b)
{
    return a == 0 || (b > 0 && b < a) ? b : a;
}

void record_set_rule(struct record_meta *meta, const struct record_retention *rule)
{
    struct record_retention *narrowest = &meta->narrowest;
    meta->retention = *rule;
    narrowest->events_max = narrower(narrowest->events_max, rule->events_max);
    narrowest->bytes_max = narrower(narrowest->bytes_max, rule->bytes_max);
    narrowest->age_max_ns = narrower(narrowest->age_max_ns, rule->age_max_ns);
}

/* -- meta -------------------------------------------------------------------------------------- */

static uint32_t meta_checksum(const uint8_t *value, size_t size)
{
    return checksum(value + META_CHECKPOINT, size - META_CHECKPOINT, OF_META,
                    get_u32(value + META_FORMAT));
}

void record_put_meta(void *value, const struct record_meta *meta)
{
    uint8_t *at = value;

    memset(at, 0, RECORD_META_SIZE);
    memcpy(at + META_MAGIC, magic, sizeof(magic));
    put_u32(at + META_FORMAT, meta->format);
    put_u64(at + META_CHECKPOINT, meta->checkpoint);
    put_u64(at + META_NEXT_POSITION, meta->next_position);
    put_u64(at + META_CLOCK, meta->clock_ns);
    put_u32(at + META_SEGMENT, meta->segment);
    memcpy(at + META_SECRET, meta->secret, RECORD_SECRET_SIZE);
    put_u64(at + META_RETENTION_EVENTS, meta->retention.events_max);
    put_u64(at + META_RETENTION_BYTES, meta->retention.bytes_max);
    put_u64(at + META_RETENTION_AGE, meta->retention.age_max_ns);
    put_u64(at + META_NARROWEST_EVENTS, meta->narrowest.events_max);
    put_u64(at + META_NARROWEST_BYTES, meta->narrowest.bytes_max);
    put_u64(at + META_NARROWEST_AGE, meta->narrowest.age_max_ns);
    put_u32(at + META_NARROWEST_KNOWN, 1);
    put_u64(at + META_WALL, meta->clock_at.wall_ms);
    put_u64(at + META_BOOT_TIME, meta->clock_at.boot_ns);
    memcpy(at + META_BOOT_ID, meta->clock_at.boot_id, CLOCK_BOOT_ID_SIZE);
    put_u64(at + META_CATCH_UP, meta->catch_up_max_ns);
    put_u32(at + META_CHECKSUM, meta_checksum(at, RECORD_META_SIZE));
}

static void get_note(const uint8_t *at, struct record_meta *meta)
{
    meta->clock_at.wall_ms = get_u64(at + META_WALL);
    meta->clock_at.boot_ns = get_u64(at + META_BOOT_TIME);
    memcpy(meta->clock_at.boot_id, at + META_BOOT_ID, CLOCK_BOOT_ID_SIZE);
    meta->catch_up_max_ns = get_u64(at + META_CATCH_UP);
}

spn_err record_get_meta(struct spn_bytes value, struct record_meta *ret_meta)
{
    const uint8_t *at = value.data;

    if (value.size < META_CHECKSUM || memcmp(at + META_MAGIC, magic, sizeof(magic)) != 0)
        return SPN_E_CORRUPT;
    if (get_u32(at + META_FORMAT) > RECORD_FORMAT)
        return SPN_E_NEWER_FORMAT;
    if (get_u32(at + META_FORMAT) < RECORD_FORMAT)
        return SPN_E_OLDER_FORMAT;
    if (value.size != RECORD_META_SIZE && value.size != META_NOTE)
        return SPN_E_CORRUPT;
    if (get_u32(at + META_CHECKSUM) != meta_checksum(at, value.size))
        return SPN_E_CORRUPT;

    struct record_meta meta = {
        .format = RECORD_FORMAT,
        .checkpoint = get_u64(at + META_CHECKPOINT),
        .next_position = get_u64(at + META_NEXT_POSITION),
        .clock_ns = get_u64(at + META_CLOCK),
        .segment = get_u32(at + META_SEGMENT),
        .retention = {.events_max = get_u64(at + META_RETENTION_EVENTS),
                      .bytes_max = get_u64(at + META_RETENTION_BYTES),
                      .age_max_ns = get_u64(at + META_RETENTION_AGE)},
        .narrowest = {.events_max = 1, .bytes_max = 1, .age_max_ns = 1},
    };
    if (get_u32(at + META_NARROWEST_KNOWN) != 0)
        meta.narrowest =
            (struct record_retention){.events_max = get_u64(at + META_NARROWEST_EVENTS),
                                      .bytes_max = get_u64(at + META_NARROWEST_BYTES),
                                      .age_max_ns = get_u64(at + META_NARROWEST_AGE)};
    memcpy(meta.secret, at + META_SECRET, RECORD_SECRET_SIZE);
    if (value.size > META_NOTE)
        get_note(at, &meta);
    *ret_meta = meta;
    return SPN_OK;
}
