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
    ROW_LAST_NS = 64,
    ROW_STATE_POSITION = 72,
    ROW_NAME = 80, /* then the last id, then the markers if there are any */
    ROW_MARKERS_SIZE = 8,
    NAME_EPOCH = 4,
};

static_assert((int)NAME_EPOCH + 8 == (int)RECORD_NAME_SIZE, "a name's value");

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
            record_checksum(at + ROW_STATE, record_row_size(row) - ROW_STATE, OF_ROW, epoch));
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
    if (get_u32(at + CHECKSUM) !=
        record_checksum(at + ROW_STATE, value.size - ROW_STATE, OF_ROW, epoch))
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
