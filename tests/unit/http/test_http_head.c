/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_head: requests with one reading pass, all others are a fault, however the bytes are cut
 * into pieces.
 *
 * Each row is tried whole, byte by byte and cut in two at every place; random connections of good
 * requests and a bad one in random pieces, against what they were made to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "head_rows.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { STREAM_MAX = 1 << 16, STREAMS = 20000, SPLITS = 4, GOOD_MAX = 6 };

static uint8_t stream[STREAM_MAX];
static size_t stream_size;

static void put(const void *bytes, size_t size)
{
    assert_true(stream_size + size <= sizeof(stream));
    memcpy(stream + stream_size, bytes, size);
    stream_size += size;
}

/* -- what is found ----------------------------------------------------------------------------- */

struct outcome {
    enum head_fault fault;
    uint32_t request;
    size_t passed;
};

/* Whether the head is between two requests, where any next one begins. */
static bool is_between(const struct head *head)
{
    return head->state == HEAD_AT_FIRST;
}

/* Each piece lies in memory of exactly its size. */
static void take(struct head *head, size_t from, size_t size, size_t *passed)
{
    uint8_t *piece = malloc(size > 0 ? size : 1);
    assert_non_null(piece);
    memcpy(piece, stream + from, size);
    size_t taken = head_take(head, piece, size);
    free(piece);
    assert_true(taken <= size);
    assert_true(taken == size || head->state == HEAD_CUT);
    *passed += taken;
}

static void check(const struct head *head, size_t passed, const struct outcome *wanted)
{
    assert_string_equal(head_words((enum head_fault)head->fault), head_words(wanted->fault));
    assert_int_equal(head->request, wanted->request);
    assert_int_equal(passed, wanted->passed);
    if (wanted->fault == HEAD_NONE) {
        assert_true(is_between(head));
        assert_null(head_fault(head, UINT32_MAX));
        return;
    }
    assert_int_equal(head->state, HEAD_CUT);
    assert_null(head_fault(head, wanted->request - 1));
    assert_string_equal(head_fault(head, wanted->request), head_words(wanted->fault));
    assert_non_null(head_fault(head, wanted->request + 1));
}

static void check_in_pieces(size_t piece, const struct outcome *wanted)
{
    struct head head = {0};
    size_t passed = 0;
    for (size_t at = 0; at < stream_size; at += piece)
        take(&head, at, stream_size - at < piece ? stream_size - at : piece, &passed);
    check(&head, passed, wanted);
}

static void check_cut_at(size_t cut, const struct outcome *wanted)
{
    struct head head = {0};
    size_t passed = 0;
    take(&head, 0, cut, &passed);
    take(&head, cut, stream_size - cut, &passed);
    check(&head, passed, wanted);
}

static void check_at_random(const struct outcome *wanted)
{
    struct head head = {0};
    size_t passed = 0;
    size_t max = 1 + head_random(60);
    for (size_t at = 0; at < stream_size;) {
        size_t left = stream_size - at;
        size_t size = head_random(max + 1);
        size = size < left ? size : left;
        take(&head, at, size, &passed);
        at += size;
    }
    check(&head, passed, wanted);
}

static void check_all(const struct outcome *wanted)
{
    check_in_pieces(stream_size, wanted);
    check_in_pieces(1, wanted);
    for (size_t cut = 0; cut <= stream_size; cut++)
        check_cut_at(cut, wanted);
}

/* -- tests ------------------------------------------------------------------------------------- */

static void good_row(void **state)
{
    const struct head_good_row *row = *state;
    stream_size = 0;
    put(row->bytes, row->size);
    const struct outcome wanted = {HEAD_NONE, row->requests, row->size};
    check_all(&wanted);
}

static void bad_row(void **state)
{
    const struct head_bad_row *row = *state;
    stream_size = 0;
    put(row->bytes, row->size);
    put(HEAD_SMUGGLED, sizeof(HEAD_SMUGGLED) - 1);
    const struct outcome wanted = {row->fault, 1, row->passed};
    check_all(&wanted);
}

/* A body by length, which may have anything in it. */
static void put_long_body(void)
{
    static const char head[] = HEAD_POST "Content-Length: 1000\r\n\r\n";
    put(head, sizeof(head) - 1);
    for (int i = 0; i < 1000; i++) {
        uint8_t byte = (uint8_t)head_random(256);
        put(&byte, 1);
    }
}

static uint32_t put_good(void)
{
    uint32_t requests = 0;
    for (size_t count = head_random(GOOD_MAX); count > 0; count--) {
        const struct head_good_row *row = &head_good_rows[head_random(COUNT(head_good_rows))];
        if (head_random(8) == 0) {
            put_long_body();
            requests++;
        }
        put(row->bytes, row->size);
        requests += row->requests;
    }
    return requests;
}

static void random_connections(void **state)
{
    (void)state;
    for (int i = 0; i < STREAMS; i++) {
        stream_size = 0;
        uint32_t requests = put_good();
        struct outcome wanted = {HEAD_NONE, requests, stream_size};
        if (head_random(2) == 0) {
            const struct head_bad_row *row = &head_bad_rows[head_random(COUNT(head_bad_rows))];
            wanted = (struct outcome){row->fault, requests + 1, stream_size + row->passed};
            put(row->bytes, row->size);
            put(HEAD_SMUGGLED, sizeof(HEAD_SMUGGLED) - 1);
        }
        for (int split = 0; split < SPLITS; split++)
            check_at_random(&wanted);
    }
}

/* Bytes that were not made to be anything: whole and in pieces they are the same. */
static void random_bytes(void **state)
{
    static const char letters[] =
        "\r\n\r\n\r\n\0 \t:;,GETHost:Content-Length:Transfer-Encoding:chunked"
        "HTTP/1.1 09afxX\x01\x7F\xFF";
    (void)state;
    for (int i = 0; i < STREAMS; i++) {
        struct head head = {0};
        size_t passed = 0;
        stream_size = 0;
        put(HEAD_CHUNKED, head_random(sizeof(HEAD_CHUNKED)));
        for (size_t size = head_random(100); size > 0; size--)
            put(&letters[head_random(sizeof(letters) - 1)], 1);
        take(&head, 0, stream_size, &passed);
        for (int split = 0; split < SPLITS; split++) {
            struct head pieces = {0};
            size_t by_piece = 0;
            for (size_t at = 0, size; at < stream_size; at += size) {
                size = 1 + head_random(stream_size - at);
                take(&pieces, at, size, &by_piece);
            }
            assert_int_equal(by_piece, passed);
            assert_int_equal(pieces.state, head.state);
            assert_int_equal(pieces.fault, head.fault);
            assert_int_equal(pieces.request, head.request);
        }
    }
}

static void put_extension(size_t size)
{
    static const char before[] = HEAD_CHUNKED "1;";
    stream_size = 0;
    put(before, sizeof(before) - 1);
    for (size_t i = 0; i < size; i++)
        put("x", 1);
    put("\r\na\r\n0\r\n\r\n", 10);
}

static void extensions_are_bounded(void **state)
{
    (void)state;
    put_extension(HEAD_EXTENSION_MAX);
    const struct outcome good = {HEAD_NONE, 1, stream_size};
    check_all(&good);
    put_extension(HEAD_EXTENSION_MAX + 1);
    const struct outcome bad = {HEAD_CHUNK_LINE, 1, stream_size - 11};
    check_all(&bad);
}

/* A name or value of any length costs nothing, and is nothing that it only begins like. */
static void long_words(void **state)
{
    (void)state;
    stream_size = 0;
    put(HEAD_GET "Host", sizeof(HEAD_GET "Host") - 1);
    for (int i = 0; i < 1024; i++)
        put("x", 1);
    put(": ", 2);
    for (int i = 0; i < 4096; i++)
        put("y", 1);
    put("\r\n\r\n", 4);
    const struct outcome wanted = {HEAD_NONE, 1, stream_size};
    check_in_pieces(stream_size, &wanted);
    check_in_pieces(1, &wanted);
}

static void huge_length(void **state)
{
    static const char huge[] = HEAD_POST "Content-Length: 9223372036854775807\r\n\r\n";
    (void)state;
    struct head head = {0};
    assert_int_equal(head_take(&head, huge, sizeof(huge) - 1), sizeof(huge) - 1);
    assert_null(head_fault(&head, 1));
    assert_int_equal(head_take(&head, "\0\n\r", 3), 3);
    assert_int_equal(head.number, INT64_MAX - 3);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(head_good_rows) + COUNT(head_bad_rows) + 5];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(head_good_rows); i++)
        tests[count++] = (struct CMUnitTest){head_good_rows[i].name, good_row, NULL, NULL,
                                             (void *)&head_good_rows[i]};
    for (size_t i = 0; i < COUNT(head_bad_rows); i++)
        tests[count++] = (struct CMUnitTest){head_bad_rows[i].name, bad_row, NULL, NULL,
                                             (void *)&head_bad_rows[i]};
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(random_connections);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(random_bytes);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(extensions_are_bounded);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(long_words);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(huge_length);
    assert_int_equal(count, COUNT(tests));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
