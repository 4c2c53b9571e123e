/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record_block.h"

#include <assert.h>

#include "store/record_entry.h"
#include "store/record_value.h"

enum {
    BLOCK_SEGMENT_BEFORE = 4,
    BLOCK_COUNT = 8,
    BLOCK_POSITION = 12, /* of the first item */
    BLOCK_ITEMS = 20,    /* its fingerprint; then a delta and a fingerprint for each other item */
    FINGERPRINT_SIZE = 4,
    VARINT_SIZE_MAX = 10,
    SEGMENT_EVENTS = 4,
    SEGMENT_FIRST = 8,
    SEGMENT_LAST = 16,
};

static_assert((int)SEGMENT_LAST + 8 == (int)RECORD_SEGMENT_SIZE, "a segment's value");
static_assert((RECORD_BLOCK_SIZE_MAX - BLOCK_ITEMS - FINGERPRINT_SIZE) / (1 + FINGERPRINT_SIZE) +
                      1 ==
                  RECORD_BLOCK_ITEMS_MAX,
              "items of a block");

/* Seven bits a byte, lowest first; the high bit means that more bytes follow. */
static size_t put_varint(uint8_t *at, uint64_t value)
{
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        at[size++] = (uint8_t)(value | 0x80);
    at[size++] = (uint8_t)value;
    return size;
}

/* Returns the size read; 0: the number is cut off, or has more than 64 bits. */
static size_t get_varint(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned size = 0; at + size < end && size < VARINT_SIZE_MAX; size++) {
        uint64_t bits = at[size] & 0x7f;
        if (size == VARINT_SIZE_MAX - 1 && bits > 1)
            return 0; /* more than 64 bits */
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
    return record_checksum(value + BLOCK_SEGMENT_BEFORE, size - BLOCK_SEGMENT_BEFORE, OF_BLOCK,
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
    return record_checksum(value + SEGMENT_EVENTS, RECORD_SEGMENT_SIZE - SEGMENT_EVENTS, OF_SEGMENT,
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
