/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/offset.h"

#include <inttypes.h>
#include <stdio.h>

#include "http/word.h"

#define CURSOR_EPOCH_S UINT64_C(1728432000)   /* October 9th 2024, 00:00 UTC */
#define CURSOR_MAX UINT64_C(9007199254740991) /* that JavaScript counts to */

enum {
    EPOCH_DIGITS = 16,
    LIFE_DIGITS = 8,
    SEQ_DIGITS = 16,
    CURSOR_INTERVAL_S = 20,
    CURSOR_JITTER_S = 3600,
};

uint32_t ds_offset_life(const struct spn_life *life)
{
    uint32_t tag = 0;
    for (size_t i = 0; i < sizeof(tag); i++)
        tag = tag << 8 | life->bytes[i];
    return tag;
}

char *ds_offset_format(const struct ds_offset *offset, char ret_text[DS_OFFSET_SIZE])
{
    (void)snprintf(ret_text, DS_OFFSET_SIZE, "%016" PRIx64 "_%08" PRIx32 "_%016" PRIx64,
                   offset->epoch, offset->life, offset->seq);
    return ret_text;
}

/* Takes so many hexadecimal digits in lower case, and what has to come after them. */
static bool take_hex(const char **at, unsigned digits, char after, uint64_t *ret_number)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < digits; i++, (*at)++) {
        char digit = **at;
        if (digit >= '0' && digit <= '9')
            number = number << 4 | (uint64_t)(digit - '0');
        else if (digit >= 'a' && digit <= 'f')
            number = number << 4 | (uint64_t)(digit - 'a' + 10);
        else
            return false;
    }
    *ret_number = number;
    return after == '\0' || *(*at)++ == after;
}

enum ds_offset_kind ds_offset_parse(struct spn_bytes text, struct ds_offset *ret_offset)
{
    struct ds_offset offset;
    uint64_t life;
    const char *at = text.data;
    if (word_is(text, "-1"))
        return DS_OFFSET_BEGIN;
    if (word_is(text, "now"))
        return DS_OFFSET_NOW;
    if (text.size != DS_OFFSET_SIZE - 1 || !take_hex(&at, EPOCH_DIGITS, '_', &offset.epoch) ||
        !take_hex(&at, LIFE_DIGITS, '_', &life) || !take_hex(&at, SEQ_DIGITS, '\0', &offset.seq))
        return DS_OFFSET_BAD;
    offset.life = (uint32_t)life;
    *ret_offset = offset;
    return DS_OFFSET_AT;
}

/* False: it is no number, or one that leaves no room for later ones. */
static bool read_cursor(struct spn_bytes text, uint64_t *ret_cursor)
{
    uint64_t cursor = 0;
    for (size_t i = 0; i < text.size; i++) {
        char digit = ((const char *)text.data)[i];
        if (digit < '0' || digit > '9')
            return false;
        cursor = cursor * 10 + (uint64_t)(digit - '0');
        if (cursor > CURSOR_MAX - CURSOR_JITTER_S)
            return false;
    }
    *ret_cursor = cursor;
    return text.size > 0;
}

uint64_t ds_cursor(uint64_t now_s, struct spn_bytes client, uint32_t random)
{
    uint64_t now = now_s > CURSOR_EPOCH_S ? (now_s - CURSOR_EPOCH_S) / CURSOR_INTERVAL_S : 0;
    uint64_t had;
    if (!read_cursor(client, &had) || had < now)
        return now;
    return had + 1 + random % (CURSOR_JITTER_S / CURSOR_INTERVAL_S);
}
