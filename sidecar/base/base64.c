/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#define COMMON "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

enum { DIGIT_NONE = 64 };

static const char standard[] = COMMON "+/";
static const char url[] = COMMON "-_";

/* -- without padding, in either alphabet ------------------------------------------------------- */

/* Writes the digits of up to three bytes: one more than there are bytes. */
static void write_group(const char *digits, const uint8_t *from, size_t size, char *to)
{
    uint32_t bits = (uint32_t)from[0] << 16;
    if (size > 1)
        bits |= (uint32_t)from[1] << 8;
    if (size > 2)
        bits |= from[2];
    to[0] = digits[bits >> 18];
    to[1] = digits[bits >> 12 & 63];
    if (size > 1)
        to[2] = digits[bits >> 6 & 63];
    if (size > 2)
        to[3] = digits[bits & 63];
}

static void write_all(const char *digits, struct spn_bytes bytes, char *to)
{
    const uint8_t *from = bytes.data;
    for (size_t left = bytes.size; left > 0; left -= left < 3 ? left : 3) {
        write_group(digits, from, left, to);
        from += 3;
        to += 4;
    }
}

static unsigned value_of(const char *digits, char digit)
{
    if (digit >= 'A' && digit <= 'Z')
        return (unsigned)(digit - 'A');
    if (digit >= 'a' && digit <= 'z')
        return (unsigned)(digit - 'a') + 26;
    if (digit >= '0' && digit <= '9')
        return (unsigned)(digit - '0') + 52;
    return digit == digits[62] ? 62 : digit == digits[63] ? 63 : DIGIT_NONE;
}

/* Reads 2 to 4 digits, which stand for one byte less. False: one is no digit, or a bit of the last
 * one belongs to no byte. */
static bool read_group(const char *digits, const char *from, size_t size, uint8_t *to)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        unsigned value = i < size ? value_of(digits, from[i]) : 0;
        if (value == DIGIT_NONE)
            return false;
        bits = bits << 6 | value;
    }
    for (size_t i = 0; i + 1 < size; i++)
        to[i] = (uint8_t)(bits >> (16 - 8 * i));
    return (bits & ((UINT32_C(1) << (4 - size) * 8) - 1)) == 0;
}

static size_t bytes_in(size_t digits)
{
    return digits / 4 * 3 + digits % 4 * 3 / 4;
}

/* *to has room for bytes_in(size). */
static bool read_all(const char *digits, const char *from, size_t size, uint8_t *to)
{
    if (size % 4 == 1)
        return false;
    for (size_t left = size; left > 0; left -= left < 4 ? left : 4) {
        if (!read_group(digits, from, left < 4 ? left : 4, to))
            return false;
        from += 4;
        to += 3;
    }
    return true;
}

/* -- padded ------------------------------------------------------------------------------------ */

void base64_put(struct out *out, struct spn_bytes bytes)
{
    size_t size = (bytes.size + 2) / 3 * 4;
    char *at = out_reserve(out, size);
    if (at == NULL)
        return;
    write_all(standard, bytes, at);
    for (size_t i = BASE64URL_SIZE(bytes.size); i < size; i++)
        at[i] = '=';
    out->size += size;
}

bool base64_take(struct spn_bytes text, struct out *out)
{
    const char *from = text.data;
    size_t size = text.size;
    if (size % 4 != 0)
        return false;
    for (unsigned padding = 0; padding < 2 && size > 0 && from[size - 1] == '='; padding++)
        size--;
    char *at = out_reserve(out, bytes_in(size));
    if (at == NULL)
        return true;
    if (!read_all(standard, from, size, (uint8_t *)at))
        return false;
    out->size += bytes_in(size);
    return true;
}

/* -- for URLs ---------------------------------------------------------------------------------- */

void base64url_write(struct spn_bytes bytes, char *ret_text)
{
    write_all(url, bytes, ret_text);
}

void base64url_put(struct out *out, struct spn_bytes bytes)
{
    size_t size = BASE64URL_SIZE(bytes.size);
    char *at = size > 0 ? out_reserve(out, size) : NULL;
    if (at == NULL)
        return;
    base64url_write(bytes, at);
    out->size += size;
}

bool base64url_read(struct spn_bytes text, uint8_t *ret_bytes, size_t capacity, size_t *ret_size)
{
    size_t size = bytes_in(text.size);
    if (size > capacity || !read_all(url, text.data, text.size, ret_bytes))
        return false;
    *ret_size = size;
    return true;
}
