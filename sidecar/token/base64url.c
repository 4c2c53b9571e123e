/* SPDX-License-Identifier: Apache-2.0 */
#include "token/base64url.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum { DIGIT_NONE = 64 };

void base64url_write(struct spn_bytes bytes, char *ret_text)
{
    const uint8_t *from = bytes.data;
    unsigned bits = 0;
    unsigned held = 0; /* bits that have no character yet */
    for (size_t i = 0; i < bytes.size; i++) {
        bits = (bits << 8 | from[i]) & 0xFFFF;
        for (held += 8; held >= 6; held -= 6)
            *ret_text++ = digits[bits >> (held - 6) & 63];
    }
    if (held > 0)
        *ret_text = digits[bits << (6 - held) & 63];
}

void base64url_put(struct out *out, struct spn_bytes bytes)
{
    size_t size = BASE64URL_SIZE(bytes.size);
    char *at = size > 0 ? out_reserve(out, size) : NULL;
    if (!at)
        return;
    base64url_write(bytes, at);
    out->size += size;
}

static unsigned digit_of(uint8_t character)
{
    if (character >= 'A' && character <= 'Z')
        return character - 'A';
    if (character >= 'a' && character <= 'z')
        return character - 'a' + 26U;
    if (character >= '0' && character <= '9')
        return character - '0' + 52U;
    return character == '-' ? 62 : character == '_' ? 63 : DIGIT_NONE;
}

bool base64url_read(struct spn_bytes text, uint8_t *ret_bytes, size_t capacity, size_t *ret_size)
{
    const uint8_t *from = text.data;
    unsigned bits = 0;
    unsigned held = 0; /* bits that are no whole byte yet */
    size_t size = 0;
    if (text.size % 4 == 1 || text.size / 4 * 3 + text.size % 4 * 3 / 4 > capacity)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = digit_of(from[i]);
        if (digit == DIGIT_NONE)
            return false;
        bits = (bits << 6 | digit) & 0xFFF;
        held += 6;
        if (held >= 8) {
            held -= 8;
            ret_bytes[size++] = (uint8_t)(bits >> held & 0xFF);
        }
    }
    if ((bits & ((1U << held) - 1)) != 0)
        return false;
    *ret_size = size;
    return true;
}
