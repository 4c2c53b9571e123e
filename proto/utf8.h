/* SPDX-License-Identifier: Apache-2.0 */
/* utf8: how many bytes a character takes.
 *
 * Inline: names are checked with it for each event.
 *
 * Threads  pure functions.
 */
#ifndef SPN_UTF8_H
#define SPN_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length of the UTF-8 sequence at bytes (RFC 3629, table in section 4), of which there is at least
 * one. 0: there is none: overlong, a surrogate, above U+10FFFF, or cut. */
static inline size_t utf8_length(const uint8_t *bytes, size_t size)
{
    uint8_t first = bytes[0];
    if (first < 0x80)
        return 1;
    size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || size < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((bytes[i] & 0xC0) != 0x80)
            return 0;
    if ((first == 0xE0 && bytes[1] < 0xA0) || (first == 0xED && bytes[1] > 0x9F) ||
        (first == 0xF0 && bytes[1] < 0x90) || (first == 0xF4 && bytes[1] > 0x8F))
        return 0;
    return length;
}

#endif
