/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/note.h"

#include <assert.h>
#include <string.h>

enum { DS_NOTE_PRODUCER = 1, DS_NOTE_SEQ = 2 };

/* Drawn at random. A note of another form gets another mark. */
static const uint8_t mark[DS_NOTE_MARK_SIZE] = {0x01, 0x5d, 0x47, 0x99, 0x95, 0xc5, 0x1f, 0x48};

/* -- writing ----------------------------------------------------------------------------------- */

static void put_number(uint8_t **at, uint64_t number)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        *(*at)++ = (uint8_t)(number >> shift);
}

static void put_text(uint8_t **at, struct spn_bytes text)
{
    assert(text.size > 0 && text.size <= UINT8_MAX);
    *(*at)++ = (uint8_t)text.size;
    memcpy(*at, text.data, text.size);
    *at += text.size;
}

size_t ds_note_write(const struct ds_note *note, uint8_t ret_bytes[DS_NOTE_SIZE])
{
    uint8_t *at = ret_bytes;
    memcpy(at, mark, sizeof(mark));
    at += sizeof(mark);
    *at++ = (uint8_t)((note->has_producer ? DS_NOTE_PRODUCER : 0) |
                      (note->seq.size > 0 ? DS_NOTE_SEQ : 0));
    if (note->has_producer) {
        put_number(&at, note->producer.epoch);
        put_number(&at, note->producer.seq);
        put_text(&at, note->producer.id);
    }
    if (note->seq.size > 0)
        put_text(&at, note->seq);
    assert(at <= ret_bytes + DS_NOTE_SIZE);
    return (size_t)(at - ret_bytes);
}

/* -- reading ----------------------------------------------------------------------------------- */

struct rest {
    const uint8_t *at;
    size_t size;
};

static bool take_mark(struct rest *rest)
{
    if (rest->size < sizeof(mark) || memcmp(rest->at, mark, sizeof(mark)) != 0)
        return false;
    rest->at += sizeof(mark);
    rest->size -= sizeof(mark);
    return true;
}

static bool take_byte(struct rest *rest, uint8_t *ret_byte)
{
    if (rest->size == 0)
        return false;
    *ret_byte = *rest->at++;
    rest->size--;
    return true;
}

static bool take_number(struct rest *rest, uint64_t *ret_number)
{
    uint64_t number = 0;
    uint8_t byte;
    for (int i = 0; i < 8; i++) {
        if (!take_byte(rest, &byte))
            return false;
        number = number << 8 | byte;
    }
    *ret_number = number;
    return true;
}

static bool take_text(struct rest *rest, size_t max, struct spn_bytes *ret_text)
{
    uint8_t size;
    if (!take_byte(rest, &size) || size == 0 || size > max || size > rest->size)
        return false;
    *ret_text = (struct spn_bytes){rest->at, size};
    rest->at += size;
    rest->size -= size;
    return true;
}

bool ds_note_read(struct spn_bytes bytes, struct ds_note *ret_note)
{
    struct ds_note note = {0};
    struct rest rest = {bytes.data, bytes.size};
    uint8_t flags;
    if (!take_mark(&rest) || !take_byte(&rest, &flags) ||
        (flags & ~(DS_NOTE_PRODUCER | DS_NOTE_SEQ)) != 0)
        return false;
    note.has_producer = (flags & DS_NOTE_PRODUCER) != 0;
    if (note.has_producer &&
        (!take_number(&rest, &note.producer.epoch) || !take_number(&rest, &note.producer.seq) ||
         !take_text(&rest, DS_PRODUCER_ID_MAX, &note.producer.id)))
        return false;
    if ((flags & DS_NOTE_SEQ) != 0 && !take_text(&rest, DS_SEQ_MAX, &note.seq))
        return false;
    if (rest.size > 0)
        return false;
    *ret_note = note;
    return true;
}
