/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_wire: does the codec take what it should not, or change what it takes?
 *
 * The input is one frame. Checked are:
 *   - whatever decodes to its end is written again as the same bytes;
 *   - all bytes that it points to are inside the frame (the sanitizer looks);
 *   - cut anywhere, it does not decode;
 *   - the checks of session ids and of prefixes say the same as the reader of UTF-8 below, which is
 * the table of RFC 3629, section 4, character by character.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"
#include "wire.h"
#include "wire_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

enum { SIZE_MAX_HERE = 1 << 20 };

static enum wire_frame_end copy(const uint8_t *input, size_t size, struct wire_out *out)
{
    return wire_frame_copy((struct spn_bytes){input, size}, out, NULL, 0);
}

static void check_copy(const uint8_t *input, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    CHECK(bytes != NULL);
    struct wire_out out = wire_out(bytes, size);
    enum wire_frame_end end = copy(input, size, &out);
    /* An id that is too long can be read in an entry, so that it is refused by its number. What was
     * skipped is not written again. */
    bool skipped = end == WIRE_FRAME_WHOLE && wire_frame_has_skipped(input[5]);
    if (skipped)
        CHECK(!out.bad && wire_out_size(&out) <= size);
    if (end == WIRE_FRAME_WHOLE && !skipped &&
        !(out.bad && (input[5] == WIRE_BATCH || input[5] == WIRE_PUBLISH))) {
        CHECK(!out.bad && wire_out_size(&out) == size);
        bytes[4] = input[4]; /* the minor version is ours when we write */
        CHECK(memcmp(bytes, input, size) == 0);
    }
    if (end == WIRE_FRAME_WHOLE && size > WIRE_HEADER_SIZE) {
        size_t shorter = WIRE_HEADER_SIZE + input[size - 1] % (size - WIRE_HEADER_SIZE);
        uint8_t *cut = malloc(shorter); /* so that the sanitizer sees a read beyond */
        CHECK(cut != NULL);
        memcpy(cut, input, shorter);
        out = wire_out(bytes, size);
        CHECK(copy(cut, shorter, &out) != WIRE_FRAME_WHOLE);
        free(cut);
    }
    free(bytes);
}

/* The first and last second byte that may follow, and how many bytes there are. */
struct utf8_row {
    uint8_t first;
    uint8_t last;
    uint8_t second_first;
    uint8_t second_last;
    uint8_t length;
};

static const struct utf8_row utf8_rows[] = {
    {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

static bool is_tail(const struct utf8_row *row, const uint8_t *at)
{
    for (size_t i = 1; i < row->length; i++) {
        uint8_t low = i == 1 ? row->second_first : 0x80;
        uint8_t high = i == 1 ? row->second_last : 0xbf;
        if (at[i] < low || at[i] > high)
            return false;
    }
    return true;
}

/* Length of the character at the start; 0: there is none. */
static size_t character(const uint8_t *at, size_t size)
{
    for (size_t i = 0; i < sizeof(utf8_rows) / sizeof(utf8_rows[0]); i++) {
        const struct utf8_row *row = &utf8_rows[i];
        if (at[0] >= row->first && at[0] <= row->last)
            return row->length <= size && is_tail(row, at) ? row->length : 0;
    }
    return 0;
}

static bool is_session(const uint8_t *at, size_t size)
{
    if (size < 1 || size > 255)
        return false;
    while (size > 0) {
        size_t length = character(at, size);
        if (length == 0)
            return false;
        unsigned code = length == 1   ? at[0]
                        : length == 2 ? (at[0] & 0x1fu) << 6 | (at[1] & 0x3fu)
                                      : 0x800;
        if (code < 0x20 || (code >= 0x7f && code <= 0x9f))
            return false;
        at += length;
        size -= length;
    }
    return true;
}

static void check_session(const uint8_t *input, size_t size)
{
    bool good = wire_check_session((struct spn_bytes){input, size}) == SPN_OK;
    CHECK(good == is_session(input, size));
}

static bool is_prefix(const uint8_t *at, size_t size)
{
    size_t length = 1;
    for (size_t i = 0; i < size && length > 0; i += length)
        length = character(at + i, size - i);
    return length > 0 && size <= 255;
}

static void check_prefix(const uint8_t *input, size_t size)
{
    bool good = wire_check_prefix((struct spn_bytes){input, size}) == SPN_OK;
    CHECK(good == is_prefix(input, size));
}

static void check_words(const uint8_t *input, size_t size)
{
    char words[WIRE_FAULT_SIZE];
    const char *said = wire_fault_words(input, size, words);
    CHECK(said == NULL || strlen(said) < WIRE_FAULT_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size > SIZE_MAX_HERE)
        return 0;
    check_copy(input, size);
    check_words(input, size);
    check_session(input, size);
    check_prefix(input, size);
    if (size > WIRE_HEADER_SIZE)
        check_session(input + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE);
    return 0;
}
