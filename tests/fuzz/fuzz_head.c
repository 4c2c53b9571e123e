/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_head: does sidecar/http/head find what a naive reader finds, however the bytes are cut?
 *
 * The first byte decides how the stream is cut; the rest is the stream. Checked are:
 *   - the same verdict, state and number of passed bytes whole and in pieces;
 *   - a connection without a fault that ends between two requests has as many of them as the reader
 *     below finds, which looks for whole lines in memory;
 *   - a NUL, a bare CR or a bare LF in a head that passed is a fault.
 */
#include <stdbool.h>
#include <strings.h>

#include "fuzz_request.h"
#include "http/head.h"

/* -- a reader that has everything in memory ---------------------------------------------------- */

struct text {
    const char *bytes;
    size_t size;
};

/* Takes a line off the text. False: none ends with CR LF. */
static bool take_line(struct text *text, struct text *ret_line)
{
    const char *end = text->size > 0 ? memmem(text->bytes, text->size, "\r\n", 2) : NULL;
    if (!end)
        return false;
    *ret_line = (struct text){text->bytes, (size_t)(end - text->bytes)};
    text->size -= ret_line->size + 2;
    text->bytes = end + 2;
    return true;
}

/* What follows the name; NULL: the line has another one. */
static const char *value_of(const struct text *line, const char *name)
{
    size_t length = strlen(name);
    if (line->size <= length || line->bytes[length] != ':' ||
        strncasecmp(line->bytes, name, length) != 0)
        return NULL;
    const char *value = line->bytes + length + 1;
    while (*value == ' ' || *value == '\t')
        value++;
    return value;
}

static void check_line(const struct text *line)
{
    for (size_t i = 0; i < line->size; i++)
        CHECK(line->bytes[i] != '\0' && line->bytes[i] != '\r' && line->bytes[i] != '\n');
}

static void take_lines(struct text *text, int64_t *ret_length, bool *ret_chunked)
{
    struct text line;
    do {
        CHECK(take_line(text, &line));
        check_line(&line);
        const char *length = value_of(&line, "content-length");
        if (length) {
            CHECK(*ret_length == -1 && !*ret_chunked);
            *ret_length = strtoll(length, NULL, 10);
        }
        if (value_of(&line, "transfer-encoding")) {
            CHECK(*ret_length == -1 && !*ret_chunked);
            *ret_chunked = true;
        }
    } while (line.size > 0);
}

static void take_bytes(struct text *text, uint64_t size)
{
    CHECK(size <= text->size);
    text->bytes += size;
    text->size -= (size_t)size;
}

static void take_chunks(struct text *text)
{
    for (uint64_t size = 1; size > 0;) {
        struct text line;
        CHECK(take_line(text, &line));
        check_line(&line);
        size = strtoull(line.bytes, NULL, 16);
        take_bytes(text, size);
        if (size == 0)
            continue;
        CHECK(take_line(text, &line) && line.size == 0);
    }
    int64_t length = -1;
    bool chunked = false;
    take_lines(text, &length, &chunked);
    CHECK(length == -1 && !chunked);
}

static uint32_t count_requests(struct text text)
{
    uint32_t count = 0;
    for (; text.size > 0; count++) {
        struct text line;
        int64_t length = -1;
        bool chunked = false;
        if (text.size > 1 && memcmp(text.bytes, "\r\n", 2) == 0)
            take_bytes(&text, 2);
        CHECK(take_line(&text, &line) && line.size > 0);
        check_line(&line);
        take_lines(&text, &length, &chunked);
        if (chunked)
            take_chunks(&text);
        else if (length > 0)
            take_bytes(&text, (uint64_t)length);
    }
    return count;
}

/* -- pieces ------------------------------------------------------------------------------------ */

static size_t take(struct head *head, const uint8_t *bytes, size_t size)
{
    char *piece = copy_of(bytes, size);
    size_t taken = head_take(head, piece, size);
    free(piece);
    CHECK(taken <= size);
    CHECK(taken == size || head->state == HEAD_CUT);
    CHECK((head->fault != HEAD_NONE) == (head_fault(head, UINT32_MAX) != NULL));
    return taken;
}

static void check_pieces(const uint8_t *bytes, size_t size, uint32_t seed, const struct head *whole,
                         size_t passed)
{
    struct head head = {0};
    size_t by_piece = 0;
    for (size_t at = 0; at < size;) {
        seed = seed * 1664525 + 1013904223;
        size_t piece = 1 + (seed >> 24) % (1 + (seed >> 16) % 40);
        piece = piece < size - at ? piece : size - at;
        by_piece += take(&head, bytes + at, piece);
        at += piece;
    }
    CHECK(by_piece == passed);
    CHECK(head.state == whole->state && head.fault == whole->fault);
    CHECK(head.request == whole->request && head.number == whole->number);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size == 0)
        return 0;
    uint8_t seed = *input++;
    size--;
    struct head head = {0};
    size_t passed = take(&head, input, size);
    check_pieces(input, size, seed, &head, passed);
    if (head.fault != HEAD_NONE || head.state != HEAD_AT_FIRST)
        return 0;
    char *text = copy_of(input, size);
    CHECK(count_requests((struct text){text, size}) == head.request);
    free(text);
    return 0;
}
