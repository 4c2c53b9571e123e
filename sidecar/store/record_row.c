/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record_row.h"

#include <assert.h>

#include "store/record_entry.h"
#include "store/record_value.h"

enum {
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
    ROW_ACTIVITY = 64,
    ROW_STATE_POSITION = 72,
    ROW_LIFE = 80,
    ROW_PARTS = 96, /* one byte: which parts follow the name and the last id */
    ROW_NAME = 97,  /* then the last id, then the parts */
    NAME_EPOCH = 4,
};

/* What few rows have, in this order. A part that a row does not have takes no room. */
enum part {
    PART_MARKERS = 1,     /* 8 bytes, not 0 */
    PART_SEQ_BEFORE = 2,  /* 8 bytes, not 0 */
    PART_SPANS = 4,       /* ttl and idle close, 8 bytes each, not both 0 */
    PART_REASON = 8,      /* a size in one byte, then the bytes; not empty */
    PART_ATTRIBUTES = 16, /* no bytes: they have a value of their own */
    PART_ACTIVITY = 32,   /* activity_ms in 8 bytes, where it is not last_ms */
    PART_POSITION = 64,   /* of the attributes, 8 bytes, not 0 */
    PARTS = PART_MARKERS | PART_SEQ_BEFORE | PART_SPANS | PART_REASON | PART_ATTRIBUTES |
            PART_ACTIVITY | PART_POSITION,
};

static_assert((int)NAME_EPOCH + 8 == (int)RECORD_NAME_SIZE, "a name's value");
static_assert((int)ROW_LIFE + (int)sizeof(struct spn_life) == (int)ROW_PARTS, "a row's life");

static unsigned parts_of(const struct record_row *row)
{
    return (row->markers > 0 ? PART_MARKERS : 0) | (row->seq_before > 0 ? PART_SEQ_BEFORE : 0) |
           ((row->ttl_ms | row->idle_close_ms) > 0 ? PART_SPANS : 0) |
           (row->reason.size > 0 ? PART_REASON : 0) | (row->has_attributes ? PART_ATTRIBUTES : 0) |
           (row->activity_ms != row->last_ms ? PART_ACTIVITY : 0) |
           (row->attributes_position > 0 ? PART_POSITION : 0);
}

static size_t parts_size(unsigned parts, size_t reason_size)
{
    size_t size = parts & PART_REASON ? 1 + reason_size : 0;
    size += parts & PART_MARKERS ? 8 : 0;
    size += parts & PART_SEQ_BEFORE ? 8 : 0;
    size += parts & PART_SPANS ? 16 : 0;
    size += parts & PART_ACTIVITY ? 8 : 0;
    return size + (parts & PART_POSITION ? 8 : 0);
}

size_t record_row_size(const struct record_row *row)
{
    return ROW_NAME + row->name.size + row->last_id.size +
           parts_size(parts_of(row), row->reason.size);
}

static uint8_t *put_number(uint8_t *at, bool there, uint64_t number)
{
    if (there)
        put_u64(at, number);
    return at + (there ? 8 : 0);
}

static void put_parts(uint8_t *at, unsigned parts, const struct record_row *row)
{
    at = put_number(at, parts & PART_MARKERS, row->markers);
    at = put_number(at, parts & PART_SEQ_BEFORE, row->seq_before);
    at = put_number(at, parts & PART_SPANS, row->ttl_ms);
    at = put_number(at, parts & PART_SPANS, row->idle_close_ms);
    at = put_number(at, parts & PART_ACTIVITY, row->activity_ms);
    at = put_number(at, parts & PART_POSITION, row->attributes_position);
    if (parts & PART_REASON) {
        *at = (uint8_t)row->reason.size;
        put_bytes(at + 1, row->reason);
    }
}

void record_put_row(void *value, uint64_t epoch, const struct record_row *row)
{
    uint8_t *at = value;
    unsigned parts = parts_of(row);

    assert(row->name.size <= UINT8_MAX && row->last_id.size <= UINT16_MAX &&
           row->reason.size <= UINT8_MAX);
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
    put_u64(at + ROW_ACTIVITY, row->activity_ns);
    put_u64(at + ROW_STATE_POSITION, row->state_position);
    memcpy(at + ROW_LIFE, row->life.bytes, sizeof(row->life.bytes));
    at[ROW_PARTS] = (uint8_t)parts;
    put_parts(put_bytes(put_bytes(at + ROW_NAME, row->name), row->last_id), parts, row);
    put_u32(at + CHECKSUM,
            record_checksum(at + ROW_STATE, record_row_size(row) - ROW_STATE, OF_ROW, epoch));
}

static const uint8_t *get_number(const uint8_t *at, bool there, uint64_t *number)
{
    if (there)
        *number = get_u64(at);
    return at + (there ? 8 : 0);
}

/* Reads the parts, which are the rest of the value. */
static spn_err get_parts(const uint8_t *at, size_t size, unsigned parts, struct record_row *row)
{
    size_t fixed = parts_size(parts, 0);
    row->has_attributes = (parts & PART_ATTRIBUTES) != 0;
    row->activity_ms = row->last_ms;
    if (size < fixed || (parts & ~(unsigned)PARTS) != 0)
        return SPN_E_CORRUPT;
    at = get_number(at, parts & PART_MARKERS, &row->markers);
    at = get_number(at, parts & PART_SEQ_BEFORE, &row->seq_before);
    at = get_number(at, parts & PART_SPANS, &row->ttl_ms);
    at = get_number(at, parts & PART_SPANS, &row->idle_close_ms);
    at = get_number(at, parts & PART_ACTIVITY, &row->activity_ms);
    at = get_number(at, parts & PART_POSITION, &row->attributes_position);
    if (parts & PART_REASON)
        row->reason = (struct spn_bytes){at + 1, *at};
    return size == fixed + row->reason.size && parts_of(row) == parts ? SPN_OK : SPN_E_CORRUPT;
}

spn_err record_get_row(struct spn_bytes value, uint64_t epoch, struct record_row *ret_row)
{
    const uint8_t *at = value.data;

    if (value.size < ROW_NAME)
        return SPN_E_CORRUPT;
    size_t name_size = at[ROW_NAME_SIZE];
    size_t last_id_size = get_u16(at + ROW_LAST_ID_SIZE);
    size_t size = ROW_NAME + name_size + last_id_size;
    if (size > value.size ||
        get_u32(at + CHECKSUM) !=
            record_checksum(at + ROW_STATE, value.size - ROW_STATE, OF_ROW, epoch))
        return SPN_E_CORRUPT;
    struct record_row row = {
        .seq = get_u64(at + ROW_SEQ),
        .position = get_u64(at + ROW_POSITION),
        .bytes = get_u64(at + ROW_BYTES),
        .opened_ms = get_u64(at + ROW_OPENED),
        .last_ms = get_u64(at + ROW_LAST_MS),
        .activity_ns = get_u64(at + ROW_ACTIVITY),
        .state_position = get_u64(at + ROW_STATE_POSITION),
        .segment = get_u32(at + ROW_SEGMENT),
        .segment_before = get_u32(at + ROW_SEGMENT_BEFORE),
        .duplicates = get_u32(at + ROW_DUPLICATES),
        .conflicts = get_u32(at + ROW_CONFLICTS),
        .state = at[ROW_STATE],
        .name = {at + ROW_NAME, name_size},
        .last_id = {at + ROW_NAME + name_size, last_id_size},
    };
    memcpy(row.life.bytes, at + ROW_LIFE, sizeof(row.life.bytes));
    if (get_parts(at + size, value.size - size, at[ROW_PARTS], &row) != SPN_OK ||
        row.state > RECORD_DAMAGED)
        return SPN_E_CORRUPT;
    *ret_row = row;
    return SPN_OK;
}

static uint32_t name_checksum(const uint8_t *value, struct spn_bytes name)
{
    return record_checksum(value + NAME_EPOCH, RECORD_NAME_SIZE - NAME_EPOCH, OF_NAME,
                           record_hash(name));
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
