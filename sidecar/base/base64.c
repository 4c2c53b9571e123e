/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#include <string.h>

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void put_base64_group(char *to, const uint8_t *from, size_t size)
{
    uint32_t bits = (uint32_t)from[0] << 16;
    if (size > 1)
        bits |= (uint32_t)from[1] << 8;
    if (size > 2)
        bits |= from[2];
    to[0] = base64_digits[bits >> 18];
    to[1] = base64_digits[bits >> 12 & 63];
    to[2] = size > 1 ? base64_digits[bits >> 6 & 63] : '=';
    to[3] = size > 2 ? base64_digits[bits & 63] : '=';
}

void base64_put(struct out *out, struct spn_bytes bytes)
{
    const uint8_t *from = bytes.data;
    size_t groups = (bytes.size + 2) / 3;
    char *at = out_reserve(out, groups * 4);
    for (size_t i = 0; at && i < groups; i++)
        put_base64_group(at + i * 4, from + i * 3, bytes.size - i * 3);
    if (at)
        out->size += groups * 4;
}

/* The value of a digit; 64: it is none. */
static unsigned digit_value(char digit)
{
    if (digit >= 'A' && digit <= 'Z')
        return (unsigned)(digit - 'A');
    if (digit >= 'a' && digit <= 'z')
        return (unsigned)(digit - 'a') + 26;
    if (digit >= '0' && digit <= '9')
        return (unsigned)(digit - '0') + 52;
    return digit == '+' ? 62 : digit == '/' ? 63 : 64;
}

/* How many digits at the end stand for nothing. */
static size_t padding_of(const char *text, size_t size)
{
    if (size == 0 || text[size - 1] != '=')
        return 0;
    return text[size - 2] == '=' ? 2 : 1;
}

/* Three bytes of four digits; false: one is no digit. The last `padding` ones are padding, and the
 * bits that fall to it are zero. */
static bool take_group(char *to, const char *from, size_t padding)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        unsigned value = i < 4 - padding ? digit_value(from[i]) : 0;
        if (value > 63)
            return false;
        bits = bits << 6 | value;
    }
    to[0] = (char)(bits >> 16);
    to[1] = (char)(bits >> 8 & 255);
    to[2] = (char)(bits & 255);
    return (bits & ((UINT32_C(1) << padding * 8) - 1)) == 0;
}

bool base64_take(struct spn_bytes text, struct out *out)
{
    const char *from = text.data;
    if (text.size % 4 != 0)
        return false;
    size_t padding = padding_of(from, text.size);
    size_t groups = text.size / 4;
    char *at = out_reserve(out, groups * 3);
    for (size_t i = 0; at && i < groups; i++)
        if (!take_group(at + i * 3, from + i * 4, i + 1 == groups ? padding : 0))
            return false;
    if (at)
        out->size += groups * 3 - padding;
    return true;
}
