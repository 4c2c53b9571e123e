/* SPDX-License-Identifier: Apache-2.0 */
/* test_record: values of the database come back as they went in, and damage does not come back at
 * all.
 *
 * Every row of `cases` is a value. It is decoded at every alignment, with every truncation and with
 * every single bit turned over (samples of those where a value is large). Truncated ones lie in a
 * heap block of their size, so that a sanitizer sees a read beyond it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/record_block.h"
#include "store/record_entry.h"
#include "store/record_meta.h"
#include "store/record_producer.h"
#include "store/record_row.h"
#include "store/retention.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

enum {
    VALUE_MAX = 17 * 1024 * 1024,
    THOROUGH_MAX = 4096, /* larger values: every bit of the first bytes, then samples */
    THOROUGH_HEAD = 16,
    SAMPLES = 61,
};

static const uint8_t producer_id[RECORD_PRODUCER_ID_SIZE] = "0123456789abcde";
static const uint8_t other_id[RECORD_PRODUCER_ID_SIZE] = "0123456789abcdf";
static struct record_run runs_read[RECORD_RUNS_MAX];
static uint8_t filler[16 * 1024 * 1024];

/* -- the values -------------------------------------------------------------------------------- */

enum kind { ENTRY, ROW, NAME, PRODUCER, BLOCK, SEGMENT, META, KINDS };

struct block_of {
    uint32_t segment;
    uint32_t segment_before;
    uint64_t epoch;
    uint64_t first_seq;
    const struct record_block_item *items;
    size_t count;
};

struct value {
    const char *name;
    enum kind kind;
    uint64_t key;
    struct record_entry entry;
    struct record_row row;
    struct spn_bytes session;
    struct record_producer producer;
    struct block_of block;
    struct record_segment segment;
    struct record_meta meta;
};

static struct record_run many_runs[RECORD_RUNS_MAX];
static struct record_block_item many_items[RECORD_BLOCK_ITEMS_MAX];
static const struct record_run runs[] = {
    {7, 1, 1, 0}, {9, UINT32_MAX, 2, 0}, {UINT64_MAX, 3, 3, 0x1234}};
static const struct record_block_item one_item[] = {{42, 0xdeadbeef}};
static const struct record_block_item far_items[] = {
    {0, 0}, {1, UINT32_MAX}, {128, 1}, {16512, 2}, {UINT64_MAX - 1, 3}, {UINT64_MAX, 4},
};

#define LIFE                                                                                       \
    {                                                                                              \
        {                                                                                          \
            0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad,    \
                0xae, 0xaf                                                                         \
        }                                                                                          \
    }

static const struct value values[] = {
    {"an open", ENTRY, .key = 1,
     .entry = {.kind = RECORD_OPEN, .epoch = 1, .life = LIFE, .data = TEXT("chat")}},
    {"an open of a session from elsewhere", ENTRY, .key = 1,
     .entry = {.kind = RECORD_OPEN, .epoch = 1, .seq = 500, .life = LIFE, .data = TEXT("chat")}},
    {"a close", ENTRY, .key = 9,
     .entry = {.kind = RECORD_CLOSE,
               .closes = true,
               .epoch = 1,
               .seq = 7,
               .life = LIFE,
               .name = TEXT("chat"),
               .reason = TEXT("error")}},
    {"a close without a reason, of the longest name", ENTRY, .key = 9,
     .entry = {.kind = RECORD_CLOSE, .closes = true, .life = LIFE, .name = {filler, 255}}},
    {"a delete of a session with markers", ENTRY, .key = 9,
     .entry = {.kind = RECORD_DELETE, .markers = 4, .life = LIFE, .name = TEXT("chat")}},
    {"an expiry of a session whose life is not known", ENTRY, .key = 9,
     .entry = {.kind = RECORD_EXPIRE, .name = TEXT("chat")}},
    {"attributes", ENTRY, .key = 9,
     .entry = {.kind = RECORD_ATTRIBUTES,
               .life = LIFE,
               .name = TEXT("chat"),
               .data = TEXT("sixteen bytes and more")}},
    {"a touch", ENTRY, .key = 9,
     .entry = {.kind = RECORD_TOUCH, .life = LIFE, .name = TEXT("chat")}},
    {"an event that closes, with a note", ENTRY, .key = 9,
     .entry = {.kind = RECORD_EVENT,
               .closes = true,
               .id = TEXT("1"),
               .data = TEXT("last"),
               .reason = {filler, 64},
               .note = {filler, 512}}},
    {"an event that closes without a reason", ENTRY, .key = 9,
     .entry = {.kind = RECORD_EVENT, .closes = true, .id = TEXT("1")}},
    {"a marker with all parts that it can have", ENTRY, .key = 9,
     .entry = {.kind = RECORD_MARKER, .markers = 3, .id_position = 7, .note = TEXT("note")}},
    {"an event with everything", ENTRY, .key = 77,
     .entry = {.kind = RECORD_EVENT,
               .epoch = 3,
               .seq = 5,
               .bytes = 1000,
               .time_ns = 123456789,
               .wall_ms = 1700000000000,
               .retry_ms = 2500,
               .id = TEXT("id-1"),
               .type = TEXT("delta"),
               .data = TEXT("{\"text\":\"hello\"}")}},
    {"a marker with an id", ENTRY, .key = 9,
     .entry = {.kind = RECORD_MARKER, .epoch = 1, .seq = 7, .markers = 3, .id = TEXT("c1")}},
    {"a marker with a retry alone", ENTRY, .key = 9,
     .entry = {.kind = RECORD_MARKER,
               .epoch = 1,
               .seq = 8,
               .markers = 4,
               .id_position = 7,
               .retry_ms = 5}},
    {"a marker far from the id in force", ENTRY, .key = UINT64_MAX,
     .entry = {.kind = RECORD_MARKER, .epoch = 1, .markers = UINT64_MAX, .id_position = 1}},
    {"an event of a session with markers", ENTRY, .key = 300,
     .entry = {.kind = RECORD_EVENT, .epoch = 1, .seq = 9, .markers = 256, .data = TEXT("data")}},
    {"an event with nothing", ENTRY, .key = 2, .entry = {.kind = RECORD_EVENT}},
    {"an event of the largest numbers", ENTRY, .key = UINT64_MAX,
     .entry = {.kind = RECORD_EXPIRE,
               .epoch = UINT64_MAX,
               .seq = UINT64_MAX,
               .bytes = UINT64_MAX,
               .time_ns = UINT64_MAX,
               .wall_ms = UINT64_MAX,
               .retry_ms = UINT32_MAX,
               .data = TEXT("x")}},
    {"an event of a binary id", ENTRY, .key = 9,
     .entry = {.kind = RECORD_EVENT, .id = TEXT("\xff\1")}},
    {"an event with the longest id and type", ENTRY, .key = 10,
     .entry = {.kind = RECORD_EVENT, .id = {filler, 4096}, .type = {filler, 255}}},
    {"an event of 240 hashed bytes", ENTRY, .key = 11,
     .entry = {.kind = RECORD_EVENT, .id = {filler, 180}, .data = {filler, 240}}},
    {"an event of 241 hashed bytes", ENTRY, .key = 12,
     .entry = {.kind = RECORD_EVENT, .id = {filler, 181}, .data = {filler, 241}}},
    {"the largest event", ENTRY, .key = 13,
     .entry = {.kind = RECORD_EVENT,
               .id = {filler, 1024},
               .type = {filler, 255},
               .data = {filler, sizeof(filler)}}},
    {"a row", ROW, .key = 3,
     .row = {.life = LIFE,
             .seq = 9,
             .position = 1234,
             .bytes = 5678,
             .opened_ms = 1700000000000,
             .last_ms = 1700000000001,
             .activity_ns = 42,
             .activity_ms = 1700000000001,
             .segment = 7,
             .segment_before = 6,
             .duplicates = 1,
             .conflicts = 2,
             .state = RECORD_CLOSED,
             .state_position = 1235,
             .name = TEXT("chat-1"),
             .last_id = TEXT("id-9")}},
    {"a row without an id", ROW, .key = 4, .row = {.name = TEXT("x")}},
    {"a row of the longest strings", ROW, .key = 5,
     .row = {.state = RECORD_DELETED,
             .state_position = UINT64_MAX,
             .name = {filler, 255},
             .last_id = {filler, 4096}}},
    {"a row with markers", ROW, .key = 1,
     .row = {.seq = 5, .markers = 2, .name = TEXT("s"), .last_id = TEXT("i")}},
    {"a row with markers, and nothing else", ROW, .key = 1, .row = {.markers = 1}},
    {"a row with all parts", ROW, .key = 1,
     .row = {.life = LIFE,
             .seq = 505,
             .seq_before = 500,
             .markers = 2,
             .ttl_ms = 3600000,
             .idle_close_ms = 60000,
             .last_ms = 1700000000001,
             .activity_ns = 42,
             .activity_ms = 1700000000002,
             .attributes_position = 1300,
             .has_attributes = true,
             .state = RECORD_CLOSED,
             .name = TEXT("chat"),
             .last_id = TEXT("id-9"),
             .reason = {filler, 64}}},
    {"a row that was touched, and has attributes", ROW, .key = 1,
     .row = {.last_ms = 1,
             .activity_ms = 2,
             .attributes_position = 3,
             .has_attributes = true,
             .name = TEXT("chat")}},
    {"a row of a session that was only touched", ROW, .key = 1, .row = {.activity_ms = 2}},
    {"a row with spans alone", ROW, .key = 1, .row = {.ttl_ms = 1, .attributes_position = 3}},
    {"a row with one span", ROW, .key = 1, .row = {.idle_close_ms = 1, .name = TEXT("chat")}},
    {"a name", NAME, .key = 99, .session = TEXT("chat-1")},
    {"the longest name", NAME, .key = UINT64_MAX, .session = {filler, 255}},
    {"a producer", PRODUCER,
     .producer = {.token = 1,
                  .number = 2,
                  .base = 3,
                  .time_ns = 4,
                  .runs = runs,
                  .run_count = 3,
                  .kept = true,
                  .uid = 1000}},
    {"a producer without runs", PRODUCER, .producer = {.token = UINT64_MAX}},
    {"a producer of many runs", PRODUCER,
     .producer = {.token = 1, .runs = many_runs, .run_count = RECORD_RUNS_MAX}},
    {"a block of one", BLOCK, .block = {8, 7, 3, 5, one_item, 1}},
    {"a block of far positions", BLOCK, .block = {UINT32_MAX, 0, 1, 0, far_items, 6}},
    {"the fullest block", BLOCK, .block = {1, 0, 1, 1, many_items, RECORD_BLOCK_ITEMS_MAX}},
    {"a segment", SEGMENT, .key = 8, .segment = {.first = 101, .last = 300, .events = 150}},
    {"a segment of one entry that is no event", SEGMENT, .key = 1,
     .segment = {.first = 1, .last = 1}},
    {"a segment of the largest numbers", SEGMENT, .key = UINT32_MAX - 1,
     .segment = {.first = UINT64_MAX, .last = UINT64_MAX, .events = UINT32_MAX}},
    {"meta", META,
     .meta = {.format = RECORD_FORMAT,
              .secret = {1, 2, 3},
              .database = {4, 5},
              .checkpoint = 10,
              .segment = 20,
              .next_position = 30,
              .clock_ns = 40,
              .clock_at = {.wall_ms = 41, .boot_ns = 42, .boot_id = {43, 44}},
              .catch_up_max_ns = 45,
              .retention = {.events_max = 50, .bytes_max = 60, .age_max_ns = 70},
              .narrowest = {.events_max = 51, .bytes_max = 61, .age_max_ns = 71},
              .taken = 80}},
};

static uint8_t *encoded; /* of VALUE_MAX */

static size_t encode(const struct value *value)
{
    const struct block_of *block = &value->block;
    struct record_entry entry = value->entry;
    size_t size = 0;

    switch (value->kind) {
    case ENTRY:
        entry.data_hash = record_hash(entry.data);
        record_put_entry(encoded, value->key, &entry);
        return record_entry_size(value->key, &entry);
    case ROW:
        record_put_row(encoded, value->key, &value->row);
        return record_row_size(&value->row);
    case NAME:
        record_put_name(encoded, value->session, value->key);
        return RECORD_NAME_SIZE;
    case PRODUCER:
        record_put_producer(encoded, producer_id, &value->producer);
        return record_producer_size(&value->producer);
    case BLOCK:
        assert_int_equal(record_put_block(encoded, block->segment, block->epoch, block->first_seq,
                                          block->segment_before, block->items, block->count, &size),
                         block->count);
        return size;
    case SEGMENT:
        record_put_segment(encoded, (uint32_t)value->key, &value->segment);
        return RECORD_SEGMENT_SIZE;
    default:
        record_put_meta(encoded, &value->meta);
        return RECORD_META_SIZE;
    }
}

/* Decodes as what `value` is; off: under a key that is not its own by so much. For blocks each bit
 * is a part of the key. */
static spn_err decode_off(const struct value *value, struct spn_bytes bytes, uint64_t off,
                          struct value *ret_value)
{
    const struct block_of *of = &value->block;
    struct record_block block;
    uint64_t epoch;
    spn_err err;

    switch (value->kind) {
    case ENTRY:
        return record_get_entry(bytes, value->key + off, &ret_value->entry);
    case ROW:
        return record_get_row(bytes, value->key + off, &ret_value->row);
    case NAME:
        err = record_get_name(
            bytes, (struct spn_bytes){value->session.data, value->session.size - off}, &epoch);
        if (err == SPN_OK)
            ret_value->key = epoch;
        return err;
    case PRODUCER:
        return record_get_producer(bytes, off ? other_id : producer_id, runs_read,
                                   &ret_value->producer);
    case BLOCK:
        err = record_get_block(bytes, of->segment + (uint32_t)(off & 1), of->epoch + (off >> 1 & 1),
                               of->first_seq + (off >> 2), &block);
        if (err == SPN_OK) {
            static struct record_block_item items[RECORD_BLOCK_ITEMS_MAX];
            err = record_get_items(&block, items);
            ret_value->block = (struct block_of){
                of->segment, block.segment_before, of->epoch, block.first_seq, items, block.count};
        }
        return err;
    case SEGMENT:
        return record_get_segment(bytes, (uint32_t)(value->key + off), &ret_value->segment);
    default:
        return record_get_meta(bytes, &ret_value->meta);
    }
}

static spn_err decode(const struct value *value, struct spn_bytes bytes, struct value *ret_value)
{
    return decode_off(value, bytes, 0, ret_value);
}

static void assert_bytes_equal(struct spn_bytes left, struct spn_bytes right)
{
    assert_int_equal(left.size, right.size);
    if (left.size > 0)
        assert_memory_equal(left.data, right.data, left.size);
}

static void assert_same_entry(const struct record_entry *left, const struct record_entry *right)
{
    assert_int_equal(left->kind, right->kind);
    assert_int_equal(left->epoch, right->epoch);
    assert_int_equal(left->seq, right->seq);
    assert_int_equal(left->bytes, right->bytes);
    assert_int_equal(left->markers, right->markers);
    assert_int_equal(left->id_position, right->id_position);
    assert_int_equal(left->time_ns, right->time_ns);
    assert_int_equal(left->wall_ms, right->wall_ms);
    assert_int_equal(left->retry_ms, right->retry_ms);
    assert_int_equal(left->data_hash, record_hash(right->data));
    assert_int_equal(left->closes, right->closes);
    assert_memory_equal(&left->life, &right->life, sizeof(left->life));
    assert_bytes_equal(left->name, right->name);
    assert_bytes_equal(left->reason, right->reason);
    assert_bytes_equal(left->note, right->note);
    assert_bytes_equal(left->id, right->id);
    assert_bytes_equal(left->type, right->type);
    assert_bytes_equal(left->data, right->data);
}

static void assert_same_row(const struct record_row *left, const struct record_row *right)
{
    assert_memory_equal(&left->life, &right->life, sizeof(left->life));
    assert_int_equal(left->seq, right->seq);
    assert_int_equal(left->seq_before, right->seq_before);
    assert_int_equal(left->ttl_ms, right->ttl_ms);
    assert_int_equal(left->idle_close_ms, right->idle_close_ms);
    assert_bytes_equal(left->reason, right->reason);
    assert_int_equal(left->position, right->position);
    assert_int_equal(left->bytes, right->bytes);
    assert_int_equal(left->markers, right->markers);
    assert_int_equal(left->opened_ms, right->opened_ms);
    assert_int_equal(left->last_ms, right->last_ms);
    assert_int_equal(left->activity_ns, right->activity_ns);
    assert_int_equal(left->activity_ms, right->activity_ms);
    assert_int_equal(left->attributes_position, right->attributes_position);
    assert_int_equal(left->has_attributes, right->has_attributes);
    assert_int_equal(left->segment, right->segment);
    assert_int_equal(left->segment_before, right->segment_before);
    assert_int_equal(left->duplicates, right->duplicates);
    assert_int_equal(left->conflicts, right->conflicts);
    assert_int_equal(left->state, right->state);
    assert_int_equal(left->state_position, right->state_position);
    assert_bytes_equal(left->name, right->name);
    assert_bytes_equal(left->last_id, right->last_id);
}

static void assert_same_producer(const struct record_producer *left,
                                 const struct record_producer *right)
{
    assert_int_equal(left->token, right->token);
    assert_int_equal(left->number, right->number);
    assert_int_equal(left->base, right->base);
    assert_int_equal(left->time_ns, right->time_ns);
    assert_int_equal(left->run_count, right->run_count);
    assert_int_equal(left->kept, right->kept);
    assert_int_equal(left->uid, right->uid);
    for (size_t i = 0; i < right->run_count; i++) {
        assert_int_equal(left->runs[i].first, right->runs[i].first);
        assert_int_equal(left->runs[i].count, right->runs[i].count);
        assert_int_equal(left->runs[i].result, right->runs[i].result);
    }
}

static void assert_same_items(const struct record_block_item *left,
                              const struct record_block_item *right, size_t count)
{
    assert_true(left && right);
    for (size_t i = 0; left && right && i < count; i++) {
        assert_int_equal(left[i].position, right[i].position);
        assert_int_equal(left[i].fingerprint, right[i].fingerprint);
    }
}

static void assert_same(const struct value *left, const struct value *right)
{
    switch (right->kind) {
    case ENTRY:
        assert_same_entry(&left->entry, &right->entry);
        break;
    case ROW:
        assert_same_row(&left->row, &right->row);
        break;
    case NAME:
        assert_int_equal(left->key, right->key);
        break;
    case PRODUCER:
        assert_same_producer(&left->producer, &right->producer);
        break;
    case BLOCK:
        assert_int_equal(left->block.segment_before, right->block.segment_before);
        assert_int_equal(left->block.first_seq, right->block.first_seq);
        assert_int_equal(left->block.count, right->block.count);
        assert_same_items(left->block.items, right->block.items, right->block.count);
        break;
    case SEGMENT:
        assert_int_equal(left->segment.first, right->segment.first);
        assert_int_equal(left->segment.last, right->segment.last);
        assert_int_equal(left->segment.events, right->segment.events);
        break;
    default:
        assert_memory_equal(&left->meta, &right->meta, sizeof(left->meta));
        break;
    }
}

/* -- what every value must stand --------------------------------------------------------------- */

static void round_trip(const struct value *value, size_t size)
{
    for (size_t offset = 0; offset < 8; offset++) {
        struct value found = {0};
        uint8_t *copy = malloc(offset + size);
        assert_non_null(copy);
        memcpy(copy + offset, encoded, size);
        assert_int_equal(decode(value, (struct spn_bytes){copy + offset, size}, &found), SPN_OK);
        assert_same(&found, value);
        free(copy);
    }
}

static void truncate_at(const struct value *value, size_t cut)
{
    struct value found = {0};
    uint8_t *copy = malloc(cut > 0 ? cut : 1);
    assert_non_null(copy);
    memcpy(copy, encoded, cut);
    assert_int_equal(decode(value, (struct spn_bytes){copy, cut}, &found), SPN_E_CORRUPT);
    free(copy);
}

static void truncations(const struct value *value, size_t size)
{
    bool thorough = size <= THOROUGH_MAX;
    for (size_t cut = 0; cut < (thorough ? size : THOROUGH_HEAD); cut++)
        truncate_at(value, cut);
    for (size_t cut = THOROUGH_HEAD; !thorough && cut < size; cut += size / SAMPLES)
        truncate_at(value, cut);
    truncate_at(value, size - 1);
}

static void trailing_byte(const struct value *value, size_t size)
{
    struct value found = {0};
    encoded[size] = 0;
    assert_int_equal(decode(value, (struct spn_bytes){encoded, size + 1}, &found), SPN_E_CORRUPT);
}

static void flip(const struct value *value, size_t size, size_t bit)
{
    const struct value untouched = {0};
    struct value found = {0};
    encoded[bit / 8] ^= (uint8_t)(1u << bit % 8);
    spn_err err = decode(value, (struct spn_bytes){encoded, size}, &found);
    encoded[bit / 8] ^= (uint8_t)(1u << bit % 8);
    if (err != SPN_E_CORRUPT)
        fail_msg("%s: bit %zu: %d", value->name, bit, (int)err);
    assert_memory_equal(&found.entry, &untouched.entry, sizeof(found.entry));
    assert_memory_equal(&found.row, &untouched.row, sizeof(found.row));
    assert_memory_equal(&found.producer, &untouched.producer, sizeof(found.producer));
    assert_memory_equal(&found.segment, &untouched.segment, sizeof(found.segment));
    assert_memory_equal(&found.meta, &untouched.meta, sizeof(found.meta));
}

static void flips(const struct value *value, size_t size)
{
    bool thorough = size <= THOROUGH_MAX;
    for (size_t bit = 0; bit < 8 * (thorough ? size : THOROUGH_HEAD); bit++)
        flip(value, size, bit);
    for (size_t at = THOROUGH_HEAD; !thorough && at < size; at += size / SAMPLES)
        flip(value, size, at * 8 + at % 8);
    flip(value, size, size * 8 - 1);
}

/* Another key, and every other kind of value. */
static void strays(const struct value *value, size_t size)
{
    struct spn_bytes bytes = {encoded, size};
    struct value found = {0};
    for (uint64_t off = 1; value->kind != META && off <= (value->kind == BLOCK ? 7 : 1); off++)
        assert_int_equal(decode_off(value, bytes, off, &found), SPN_E_CORRUPT);
    for (size_t i = 0; i < COUNT(values); i++) {
        struct value other = values[i];
        if (other.kind == value->kind)
            continue;
        other.key = value->key;
        assert_int_equal(decode(&other, bytes, &found), SPN_E_CORRUPT);
    }
}

static void run_value(void **state)
{
    const struct value *value = *state;
    size_t size = encode(value);
    round_trip(value, size);
    truncations(value, size);
    trailing_byte(value, size);
    flips(value, size);
    strays(value, size);
}

/* -- the bytes themselves ---------------------------------------------------------------------- */

#define ZEROS_21 "000000000000000000000000000000000000000000"
#define ZEROS_63 ZEROS_21 ZEROS_21 ZEROS_21
#define SECRET_HEX "010203" ZEROS_63 ZEROS_63 ZEROS_63

/* What databases look like: once a version is out, a change here is a new RECORD_FORMAT. */
static const struct golden {
    const char *name;
    const char *value;
    const char *bytes;
} goldens[] = {
    {"bytes of an event", "an event with everything",
     "96d6f4d7021142260400054a05e80315cd5b070068e5cf8b01c50969642d3164656c74617b227465"
     "7874223a2268656c6c6f227d"},
    {"bytes of an open", "an open",
     "32c6317d810000100000000102a0a1a2a3a4a5a6a7a8a9aaabacadaeaf63686174"},
    {"bytes of a close", "a close",
     "a62c6bea831100100000000807010ea0a1a2a3a4a5a6a7a8a9aaabacadaeaf046368617405657272"
     "6f72"},
    {"bytes of an event with parts", "an event that closes without a reason",
     "c177e3e0820100100100000901080031"},
    {"bytes of a row with parts", "a row with one span",
     "3b17d880000400000000000000000000000000000000000000000000000000000000000000000000"
     "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
     "00000000000000000000000000000000046368617400000000000000000100000000000000"},
    {"bytes of a row", "a row",
     "4ab9f5f801060400070000000600000001000000020000000900000000000000d204000000000000"
     "2e160000000000000068e5cf8b0100000168e5cf8b0100002a00000000000000d304000000000000"
     "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf00636861742d3169642d39"},
    {"bytes of a row with a late touch", "a row that was touched, and has attributes",
     "6afeac8b000400000000000000000000000000000000000000000000000000000000000000000000"
     "00000000000000000000000000000000010000000000000000000000000000000000000000000000"
     "00000000000000000000000000000000706368617402000000000000000300000000000000"},
    {"bytes of a name", "a name", "93b5b3796300000000000000"},
    {"bytes of a producer", "a producer",
     "4706eb30030000000100000000000000020000000000000003000000000000000400000000000000"
     "0700000000000000010000000100000900000000000000ffffffff020000ffffffffffffffff0300"
     "0000033412e803000001000000"},
    {"bytes of a block", "a block of far positions",
     "8bc44817000000000600000000000000000000000000000001ffffffff7f01000000808001020000"
     "00fefefeffffffffffff01030000000104000000"},
    {"bytes of a segment", "a segment", "7ae4810c9600000065000000000000002c01000000000000"},
    {"bytes of meta", "meta",
     "53504f4e534f4e0002000000e33a580d0a000000000000001e000000000000002800000000000000"
     "1400000000000000" SECRET_HEX "32000000000000003c000000000000004600000000000000"
     "33000000000000003d00000000000000470000000000000029000000000000002a00000000000000"
     "2b2c00000000000000000000000000002d00000000000000040500000000000000000000000000005000000000"
     "000000"},
};

static void run_golden(void **state)
{
    const struct golden *golden = *state;
    char text[2 * RECORD_META_SIZE + 1] = "";
    for (size_t i = 0; i < COUNT(values); i++) {
        if (strcmp(values[i].name, golden->value) != 0)
            continue;
        size_t size = encode(&values[i]);
        /* meta ends in zeros */
        size = values[i].kind == META ? 352 : size;
        for (size_t at = 0; at < size; at++)
            snprintf(text + 2 * at, 3, "%02x", encoded[at]);
    }
    assert_string_equal(text, golden->bytes);
}

/* -- meta rules ------------------------------------------------------------------------------- */

static void the_narrowest_rule_is_kept(void **state)
{
    (void)state;
    struct record_meta meta = {0};
    record_set_rule(&meta, &(struct retention){.events_max = 9, .bytes_max = 100});
    record_set_rule(&meta, &(struct retention){.events_max = 50, .age_max_ns = 7});
    assert_int_equal(meta.retention.events_max, 50);
    assert_int_equal(meta.retention.bytes_max, 0);
    assert_int_equal(meta.narrowest.events_max, 9);
    assert_int_equal(meta.narrowest.bytes_max, 100);
    assert_int_equal(meta.narrowest.age_max_ns, 7);
}

/* -- entries ----------------------------------------------------------------------------------- */

/* From a batch id, type and data come in one piece, and from elsewhere they do not. */
static void strings_together_or_apart(void **state)
{
    (void)state;
    static const char together[] = "identtypesome data";
    static const char type[] = "type";
    uint8_t first[128], second[128];
    struct record_entry entry = {.kind = RECORD_EVENT,
                                 .id = {together, 5},
                                 .type = {together + 5, 4},
                                 .data = {together + 9, 9}};
    entry.data_hash = record_hash(entry.data);
    record_put_entry(first, 5, &entry);
    entry.type.data = type;
    record_put_entry(second, 5, &entry);
    size_t size = record_entry_size(5, &entry);
    assert_memory_equal(first, second, size);
    assert_memory_equal(first + size - (sizeof(together) - 1), together, sizeof(together) - 1);
}

/* A number takes as many bytes as it has. */
static void numbers_of_every_width(void **state)
{
    (void)state;
    const uint64_t position = UINT64_C(1) << 40;
    uint8_t value[128];
    struct record_entry nothing = {.kind = RECORD_EVENT,
                                   .epoch = position,
                                   .retry_ms = UINT32_MAX,
                                   .data_hash = record_hash((struct spn_bytes){0})};
    size_t least = record_entry_size(position, &nothing);
    for (unsigned bits = 1; bits <= 64; bits++) {
        uint64_t number = UINT64_MAX >> (64 - bits);
        struct record_entry entry = nothing, found = {0};
        entry.epoch = position - number;
        entry.seq = entry.bytes = entry.time_ns = entry.wall_ms = number;
        size_t size = record_entry_size(position, &entry);
        assert_int_equal(size, least + 5u * ((bits + 7) / 8));
        record_put_entry(value, position, &entry);
        assert_int_equal(record_get_entry((struct spn_bytes){value, size}, position, &found),
                         SPN_OK);
        assert_same_entry(&found, &entry);
        for (size_t less = 0; less < size; less++)
            assert_int_equal(record_get_entry((struct spn_bytes){value, less}, position, &found),
                             SPN_E_CORRUPT);
    }
}

static void kinds_and_states_not_known(void **state)
{
    (void)state;
    static const uint8_t kinds[] = {0, RECORD_TOUCH + 1, 127};
    uint8_t value[128];
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct record_entry entry = {.kind = kinds[i],
                                     .data_hash = record_hash((struct spn_bytes){0})};
        record_put_entry(value, 1, &entry);
        assert_int_equal(
            record_get_entry((struct spn_bytes){value, record_entry_size(1, &entry)}, 1, &entry),
            SPN_E_CORRUPT);
    }
    struct record_row row = {.state = RECORD_DAMAGED + 1};
    record_put_row(value, 1, &row);
    assert_int_equal(record_get_row((struct spn_bytes){value, record_row_size(&row)}, 1, &row),
                     SPN_E_CORRUPT);
}

/* The hash is the caller's word for the data: a wrong one is found when it is read. */
static void hash_of_other_data(void **state)
{
    (void)state;
    uint8_t value[128];
    struct record_entry entry = {.kind = RECORD_EVENT, .data = TEXT("data"), .data_hash = 1};
    record_put_entry(value, 1, &entry);
    assert_int_equal(
        record_get_entry((struct spn_bytes){value, record_entry_size(1, &entry)}, 1, &entry),
        SPN_E_CORRUPT);
}

/* -- blocks ------------------------------------------------------------------------------------ */

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Cut into blocks and put together again. */
static void random_items_come_back(void **state)
{
    (void)state;
    static struct record_block_item items[5000], found[RECORD_BLOCK_ITEMS_MAX];
    uint8_t value[RECORD_BLOCK_SIZE_MAX];

    for (unsigned bits = 1; bits < 48; bits++) {
        uint64_t position = next_random() >> (64 - bits);
        for (size_t i = 0; i < COUNT(items); i++) {
            items[i] = (struct record_block_item){position, (uint32_t)next_random()};
            position += 1 + (next_random() >> (64 - bits));
        }
        for (size_t done = 0; done < COUNT(items);) {
            size_t size = 0;
            struct record_block block;
            size_t count =
                record_put_block(value, 2, 3, done, 1, items + done, COUNT(items) - done, &size);
            assert_in_range(count, 1, RECORD_BLOCK_ITEMS_MAX);
            /* full, but for less than the longest item */
            if (done + count < COUNT(items))
                assert_in_range(size, RECORD_BLOCK_SIZE_MAX - 13, RECORD_BLOCK_SIZE_MAX);
            assert_int_equal(record_get_block((struct spn_bytes){value, size}, 2, 3, done, &block),
                             SPN_OK);
            assert_int_equal(block.count, count);
            assert_int_equal(record_get_items(&block, found), SPN_OK);
            assert_same_items(found, items + done, count);
            done += count;
        }
    }
}

static void more_items_than_fit(void **state)
{
    (void)state;
    static struct record_block_item items[RECORD_BLOCK_ITEMS_MAX + 1];
    uint8_t value[RECORD_BLOCK_SIZE_MAX];
    size_t size = 0;
    for (size_t i = 0; i < COUNT(items); i++)
        items[i].position = i;
    assert_int_equal(record_put_block(value, 1, 1, 1, 0, items, COUNT(items), &size),
                     RECORD_BLOCK_ITEMS_MAX);
    assert_in_range(size, RECORD_BLOCK_SIZE_MAX - 4, RECORD_BLOCK_SIZE_MAX);
}

/* Items whose checksum is right, written by a program that is wrong. Behind checksum, segment
 * before, count and first position come the first fingerprint, then deltas and fingerprints. */
#define BLOCK_HEAD "CCCCSSSSNNNN"
#define FIRST_AT_2 "\2\0\0\0\0\0\0\0"
#define FIRST_AT_END "\xff\xff\xff\xff\xff\xff\xff\xff"

static const struct lie {
    const char *name;
    uint32_t count;
    spn_err err;
    struct spn_bytes value;
} lies[] = {
    {"one item", 1, SPN_OK, TEXT(BLOCK_HEAD FIRST_AT_2 "ffff")},
    {"two items", 2, SPN_OK, TEXT(BLOCK_HEAD FIRST_AT_2 "ffff\1ffff")},
    {"fewer items than counted", 3, SPN_E_CORRUPT, TEXT(BLOCK_HEAD FIRST_AT_2 "ffff\1ffff")},
    {"more items than counted", 1, SPN_E_CORRUPT, TEXT(BLOCK_HEAD FIRST_AT_2 "ffff\1ffff")},
    {"a cut fingerprint", 2, SPN_E_CORRUPT, TEXT(BLOCK_HEAD FIRST_AT_2 "ffff\1fff")},
    {"no first fingerprint", 1, SPN_E_CORRUPT, TEXT(BLOCK_HEAD FIRST_AT_2)},
    {"a cut delta", 2, SPN_E_CORRUPT, TEXT(BLOCK_HEAD FIRST_AT_2 "ffff\x81")},
    {"the same position twice", 2, SPN_E_CORRUPT, TEXT(BLOCK_HEAD FIRST_AT_2 "ffff\0ffff")},
    {"a position beyond 64 bits", 2, SPN_E_CORRUPT, TEXT(BLOCK_HEAD FIRST_AT_END "ffff\1ffff")},
    {"the largest delta", 2, SPN_OK,
     TEXT(BLOCK_HEAD "\0\0\0\0\0\0\0\0"
                     "ffff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1ffff")},
    {"a delta of 65 bits", 2, SPN_E_CORRUPT,
     TEXT(BLOCK_HEAD FIRST_AT_2 "ffff\xff\xff\xff\xff\xff\xff\xff\xff\xff\2ffff")},
    {"a delta of eleven bytes", 2, SPN_E_CORRUPT,
     TEXT(BLOCK_HEAD FIRST_AT_2 "ffff\x81\x80\x80\x80\x80\x80\x80\x80\x80\x80\0ffff")},
};

static void run_lie(void **state)
{
    const struct lie *lie = *state;
    struct record_block_item items[RECORD_BLOCK_ITEMS_MAX];
    uint8_t *copy = malloc(lie->value.size);
    assert_non_null(copy);
    memcpy(copy, lie->value.data, lie->value.size);
    struct record_block block = {.count = lie->count, .value = {copy, lie->value.size}};
    assert_int_equal(record_get_items(&block, items), lie->err);
    free(copy);
}

/* -- segments ---------------------------------------------------------------------------------- */

static void segment_that_ends_before_it_begins(void **state)
{
    (void)state;
    uint8_t value[RECORD_SEGMENT_SIZE];
    struct record_segment segment = {.first = 11, .last = 10};
    record_put_segment(value, 3, &segment);
    assert_int_equal(record_get_segment((struct spn_bytes){value, sizeof(value)}, 3, &segment),
                     SPN_E_CORRUPT);
}

/* -- retention --------------------------------------------------------------------------------- */

/* The session has come to seq 10 and 1,000 bytes; it is 5,000 ns. */
static const struct retains_row {
    const char *name;
    struct retention rule;
    uint64_t seq, bytes, time_ns; /* of the event */
    bool retains;
} retains_rows[] = {
    {"no rule keeps the oldest", {0, 0, 0}, 1, 1, 0, true},
    {"as many events", {4, 0, 0}, 7, 0, 0, true},
    {"one event too many", {4, 0, 0}, 6, 0, 0, false},
    {"one event, and it is the newest", {1, 0, 0}, 10, 0, 0, true},
    {"one event, and it is the one before", {1, 0, 0}, 9, 0, 0, false},
    {"fewer bytes behind it", {0, 300, 0}, 1, 701, 0, true},
    {"as many bytes behind it", {0, 300, 0}, 1, 700, 0, false},
    {"the newest is larger than the bytes", {0, 1, 0}, 10, 1000, 0, true},
    {"younger", {0, 0, 100}, 1, 0, 4901, true},
    {"as old", {0, 0, 100}, 1, 0, 4900, false},
    {"the newest is as old", {0, 0, 100}, 10, 1000, 4900, false},
    {"it comes from a clock that was ahead", {0, 0, 100}, 1, 0, 9000, true},
    {"all three keep it", {4, 300, 100}, 7, 701, 4901, true},
    {"all but the count", {4, 300, 100}, 6, 701, 4901, false},
    {"all but the bytes", {4, 300, 100}, 7, 700, 4901, false},
    {"all but the age", {4, 300, 100}, 7, 701, 4900, false},
};

static void run_retains(void **state)
{
    const struct retains_row *row = *state;
    struct record_entry event = {.seq = row->seq, .bytes = row->bytes, .time_ns = row->time_ns};
    assert_int_equal(retention_keeps(&row->rule, &event, 10, 1000, 5000), row->retains);
}

/* -- meta -------------------------------------------------------------------------------------- */

static void newer_meta_is_told_from_a_foreign_one(void **state)
{
    (void)state;
    static const uint8_t zeros[RECORD_META_SIZE];
    struct record_meta meta = {.format = RECORD_FORMAT + 1}, found = {0};
    uint8_t value[RECORD_META_SIZE + 100] = {0};

    record_put_meta(value, &meta);
    assert_int_equal(record_get_meta((struct spn_bytes){value, RECORD_META_SIZE}, &found),
                     SPN_E_NEWER_FORMAT);
    /* of whatever size, and with a checksum of whatever kind */
    memset(value + 12, 0xa5, sizeof(value) - 12);
    assert_int_equal(record_get_meta((struct spn_bytes){value, 12}, &found), SPN_E_NEWER_FORMAT);
    assert_int_equal(record_get_meta((struct spn_bytes){value, sizeof(value)}, &found),
                     SPN_E_NEWER_FORMAT);
    assert_int_equal(record_get_meta((struct spn_bytes){value, 11}, &found), SPN_E_CORRUPT);
    meta.format = RECORD_FORMAT - 1;
    record_put_meta(value, &meta);
    assert_int_equal(record_get_meta((struct spn_bytes){value, RECORD_META_SIZE}, &found),
                     SPN_E_OLDER_FORMAT);
    assert_int_equal(record_get_meta((struct spn_bytes){value, 12}, &found), SPN_E_OLDER_FORMAT);
    assert_int_equal(record_get_meta((struct spn_bytes){zeros, sizeof(zeros)}, &found),
                     SPN_E_CORRUPT);
}

/* -- all of them ------------------------------------------------------------------------------- */

static int fill(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(filler); i++)
        filler[i] = (uint8_t)(i * 31 + i / 251);
    for (uint32_t i = 0; i < COUNT(many_runs); i++)
        many_runs[i] = (struct record_run){10 * i, i, (uint8_t)(i % 5), (uint16_t)(i * 7)};
    for (uint32_t i = 0; i < COUNT(many_items); i++)
        many_items[i] = (struct record_block_item){100 + i, i * 2654435761u};
    encoded = malloc(VALUE_MAX);
    return encoded ? 0 : -1;
}

static int empty(void **state)
{
    (void)state;
    free(encoded);
    return 0;
}

static struct CMUnitTest tests[160];
static size_t test_count;

static void add(const char *name, CMUnitTestFunction function, const void *row)
{
    tests[test_count++] = (struct CMUnitTest){name, function, NULL, NULL, (void *)(uintptr_t)row};
}

int main(void)
{
    static const struct CMUnitTest single[] = {
        cmocka_unit_test(the_narrowest_rule_is_kept),
        cmocka_unit_test(strings_together_or_apart),
        cmocka_unit_test(numbers_of_every_width),
        cmocka_unit_test(kinds_and_states_not_known),
        cmocka_unit_test(hash_of_other_data),
        cmocka_unit_test(random_items_come_back),
        cmocka_unit_test(more_items_than_fit),
        cmocka_unit_test(segment_that_ends_before_it_begins),
        cmocka_unit_test(newer_meta_is_told_from_a_foreign_one),
    };
    for (size_t i = 0; i < COUNT(values); i++)
        add(values[i].name, run_value, &values[i]);
    for (size_t i = 0; i < COUNT(goldens); i++)
        add(goldens[i].name, run_golden, &goldens[i]);
    for (size_t i = 0; i < COUNT(lies); i++)
        add(lies[i].name, run_lie, &lies[i]);
    for (size_t i = 0; i < COUNT(retains_rows); i++)
        add(retains_rows[i].name, run_retains, &retains_rows[i]);
    memcpy(tests + test_count, single, sizeof(single));
    test_count += COUNT(single);
    return _cmocka_run_group_tests("record", tests, test_count, fill, empty);
}
