/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record_attributes.h"

#include <assert.h>

#include "store/record_value.h"

enum {
    ATTRIBUTES_NOTE_SIZE = 4,
    ATTRIBUTES_TYPE_SIZE = 6,
    ATTRIBUTES_TYPE = 7, /* then the note */
};

size_t record_attributes_size(const struct record_attributes *attributes)
{
    return ATTRIBUTES_TYPE + attributes->content_type.size + attributes->note.size;
}

static uint32_t checksum_of(const uint8_t *value, size_t size, uint64_t epoch)
{
    return record_checksum(value + ATTRIBUTES_NOTE_SIZE, size - ATTRIBUTES_NOTE_SIZE, OF_ATTRIBUTES,
                           epoch);
}

void record_put_attributes(void *value, uint64_t epoch, const struct record_attributes *attributes)
{
    uint8_t *at = value;
    assert(attributes->content_type.size <= UINT8_MAX && attributes->note.size <= UINT16_MAX);
    put_u16(at + ATTRIBUTES_NOTE_SIZE, (uint16_t)attributes->note.size);
    at[ATTRIBUTES_TYPE_SIZE] = (uint8_t)attributes->content_type.size;
    (void)put_bytes(put_bytes(at + ATTRIBUTES_TYPE, attributes->content_type), attributes->note);
    put_u32(at + CHECKSUM, checksum_of(at, record_attributes_size(attributes), epoch));
}

spn_err record_get_attributes(struct spn_bytes value, uint64_t epoch,
                              struct record_attributes *ret_attributes)
{
    const uint8_t *at = value.data;
    if (value.size < ATTRIBUTES_TYPE)
        return SPN_E_CORRUPT;
    size_t note_size = get_u16(at + ATTRIBUTES_NOTE_SIZE);
    size_t type_size = at[ATTRIBUTES_TYPE_SIZE];
    if (value.size != ATTRIBUTES_TYPE + type_size + note_size ||
        get_u32(at + CHECKSUM) != checksum_of(at, value.size, epoch))
        return SPN_E_CORRUPT;
    ret_attributes->content_type = (struct spn_bytes){at + ATTRIBUTES_TYPE, type_size};
    ret_attributes->note = (struct spn_bytes){at + ATTRIBUTES_TYPE + type_size, note_size};
    return SPN_OK;
}
