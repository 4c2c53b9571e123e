/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_text.h"

#include <string.h>

/* 0: not escaped; 'l': may begin a line end; 'u': \u00NN; else the letter after the backslash (RFC
 * 8259, section 7). */
static const char escapes[256] = {
    ['\0'] = 'u', [1] = 'u',    [2] = 'u',    [3] = 'u',     [4] = 'u',    [5] = 'u',
    [6] = 'u',    [7] = 'u',    ['\b'] = 'b', ['\t'] = 't',  ['\n'] = 'n', [11] = 'u',
    ['\f'] = 'f', ['\r'] = 'r', [14] = 'u',   [15] = 'u',    [16] = 'u',   [17] = 'u',
    [18] = 'u',   [19] = 'u',   [20] = 'u',   [21] = 'u',    [22] = 'u',   [23] = 'u',
    [24] = 'u',   [25] = 'u',   [26] = 'u',   [27] = 'u',    [28] = 'u',   [29] = 'u',
    [30] = 'u',   [31] = 'u',   ['"'] = '"',  ['\\'] = '\\', [0xC2] = 'l', [0xE2] = 'l',
};

enum {
    ESCAPED_SIZE_MAX = 6, /* \u00NN, of one byte */
    PIECE_SIZE = 4096, /* room is reserved for the worst case of a piece, not of 16 MiB at once */
};

/* The line ends of Unicode that are not ASCII, which JSON allows unescaped: NEL, line separator,
 * paragraph separator. Returns the size and the escape; 0: another character. */
static size_t line_end(const uint8_t *from, size_t left, const char **ret_escape)
{
    static const struct {
        const char *bytes;
        const char *escape;
    } ends[] = {{"\xC2\x85", "\\u0085"}, {"\xE2\x80\xA8", "\\u2028"}, {"\xE2\x80\xA9", "\\u2029"}};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        size_t size = strlen(ends[i].bytes);
        *ret_escape = ends[i].escape;
        if (left >= size && memcmp(from, ends[i].bytes, size) == 0)
            return size;
    }
    return 0;
}

/* Pieces end between characters. */
static size_t piece_size(const uint8_t *from, size_t left)
{
    if (left <= PIECE_SIZE)
        return left;
    size_t size = PIECE_SIZE;
    while (size > PIECE_SIZE - 4 && (from[size] & 0xC0) == 0x80)
        size--;
    return size;
}

static char *put_escaped(char *to, const uint8_t *from, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        char escape = escapes[from[i]];
        if (escape == 'l') {
            const char *escaped;
            size_t end = line_end(from + i, size - i, &escaped);
            if (end > 0) {
                to = mempcpy(to, escaped, ESCAPED_SIZE_MAX);
                i += end - 1;
                continue;
            }
            escape = 0;
        }
        if (escape == 0) {
            *to++ = (char)from[i];
            continue;
        }
        *to++ = '\\';
        *to++ = escape;
        if (escape == 'u') {
            *to++ = '0';
            *to++ = '0';
            *to++ = hex[from[i] >> 4];
            *to++ = hex[from[i] & 15];
        }
    }
    return to;
}

void json_put_string(struct out *out, struct spn_bytes bytes)
{
    const uint8_t *from = bytes.data;
    size_t left = bytes.size;
    out_put(out, "\"", 1);
    while (left > 0) {
        size_t size = piece_size(from, left);
        char *at = out_reserve(out, size * ESCAPED_SIZE_MAX);
        if (!at)
            return;
        out->size += (size_t)(put_escaped(at, from, size) - at);
        from += size;
        left -= size;
    }
    out_put(out, "\"", 1);
}

void json_put_line(struct out *out, struct spn_bytes json)
{
    const uint8_t *from = json.data;
    size_t begin = 0;
    for (size_t at = 0; at < json.size; at++) {
        const char *escaped;
        size_t end = escapes[from[at]] == 'l' ? line_end(from + at, json.size - at, &escaped) : 0;
        if (end == 0)
            continue;
        out_put(out, from + begin, at - begin);
        out_put(out, escaped, ESCAPED_SIZE_MAX);
        begin = at + end;
        at = begin - 1;
    }
    out_put(out, from + begin, json.size - begin);
    out_put(out, "\n", 1);
}
