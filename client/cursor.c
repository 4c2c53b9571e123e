/* SPDX-License-Identifier: Apache-2.0 */
/* cursor: lives and cursors as text. */
#include <stdio.h>
#include <string.h>

#include "sponson.h"

static const char prefix[] = "spn:";

enum {
    PREFIX_SIZE = sizeof(prefix) - 1,
    LIFE_DIGITS = SPN_LIFE_TEXT_SIZE - 1,
};

void spn_life_format(const struct spn_life *life, char ret_text[SPN_LIFE_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof(life->bytes); i++) {
        ret_text[2 * i] = digits[life->bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[life->bytes[i] & 15];
    }
    ret_text[LIFE_DIGITS] = '\0';
}

/* The value of a digit; 16: it is none. */
static unsigned digit(char text)
{
    if (text >= '0' && text <= '9')
        return (unsigned)(text - '0');
    return text >= 'a' && text <= 'f' ? (unsigned)(text - 'a') + 10 : 16;
}

spn_err spn_life_parse(struct spn_bytes text, struct spn_life *ret_life)
{
    struct spn_life life;
    const char *at = text.data;
    if (ret_life == NULL || text.size != LIFE_DIGITS || at == NULL)
        return SPN_E_INVALID;
    for (size_t i = 0; i < sizeof(life.bytes); i++) {
        unsigned high = digit(at[2 * i]);
        unsigned low = digit(at[2 * i + 1]);
        if (high > 15 || low > 15)
            return SPN_E_INVALID;
        life.bytes[i] = (unsigned char)(high << 4 | low);
    }
    *ret_life = life;
    return SPN_OK;
}

void spn_cursor_format(const struct spn_life *life, uint64_t seq,
                       char ret_text[SPN_CURSOR_TEXT_SIZE])
{
    char *at = ret_text;
    memcpy(at, prefix, PREFIX_SIZE);
    spn_life_format(life, at + PREFIX_SIZE);
    at += PREFIX_SIZE + LIFE_DIGITS;
    snprintf(at, (size_t)(ret_text + SPN_CURSOR_TEXT_SIZE - at), ":%llu", (unsigned long long)seq);
}

/* A decimal number without sign, space or leading zeros. */
static spn_err parse_seq(struct spn_bytes text, uint64_t *ret_seq)
{
    const char *at = text.data;
    uint64_t seq = 0;
    if (text.size == 0 || (text.size > 1 && at[0] == '0'))
        return SPN_E_INVALID;
    for (size_t i = 0; i < text.size; i++) {
        unsigned value = digit(at[i]);
        if (value > 9 || seq > (UINT64_MAX - value) / 10)
            return SPN_E_INVALID;
        seq = seq * 10 + value;
    }
    *ret_seq = seq;
    return SPN_OK;
}

spn_err spn_cursor_parse(struct spn_bytes text, struct spn_life *ret_life, uint64_t *ret_seq)
{
    const char *at = text.data;
    struct spn_life life;
    uint64_t seq;
    size_t head = PREFIX_SIZE + LIFE_DIGITS + 1;
    if (ret_life == NULL || ret_seq == NULL || at == NULL || text.size < head ||
        memcmp(at, prefix, PREFIX_SIZE) != 0 || at[head - 1] != ':')
        return SPN_E_INVALID;
    spn_err err = spn_life_parse((struct spn_bytes){at + PREFIX_SIZE, LIFE_DIGITS}, &life);
    if (err == SPN_OK)
        err = parse_seq((struct spn_bytes){at + head, text.size - head}, &seq);
    if (err != SPN_OK)
        return err;
    *ret_life = life;
    *ret_seq = seq;
    return SPN_OK;
}
