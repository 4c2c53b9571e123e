/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_start: a reader begins after the id or cursor that it names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "http/start.h"
#include "http/word.h"
#include "sponson.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

#define LIFE "00112233445566778899aabbccddeeff"
#define ZEROS "00000000000000000000000000000000"

static const struct row {
    const char *name;
    struct spn_bytes header;
    struct spn_bytes after;
    uint8_t from;
    enum start_kind kind;
    struct spn_bytes id;
    uint64_t seq;
} rows[] = {
    {"nothing", BYTES(""), BYTES(""), 0, START_EARLIEST, BYTES(""), 0},
    {"earliest", BYTES(""), BYTES(""), QUERY_FROM_EARLIEST, START_EARLIEST, BYTES(""), 0},
    {"now", BYTES(""), BYTES(""), QUERY_FROM_NOW, START_NOW, BYTES(""), 0},
    {"header", BYTES("a"), BYTES(""), 0, START_ID, BYTES("a"), 0},
    {"query", BYTES(""), BYTES("a"), 0, START_ID, BYTES("a"), 0},
    {"header wins", BYTES("a"), BYTES("b"), 0, START_ID, BYTES("a"), 0},
    {"header wins over now", BYTES("a"), BYTES(""), QUERY_FROM_NOW, START_ID, BYTES("a"), 0},
    {"query wins over now", BYTES(""), BYTES("a"), QUERY_FROM_NOW, START_ID, BYTES("a"), 0},
    {"id that is not UTF-8", BYTES("\xFF"), BYTES(""), 0, START_ID, BYTES("\xFF"), 0},
    {"id with spaces", BYTES(""), BYTES(" a\t"), 0, START_ID, BYTES(" a\t"), 0},
    {"cursor", BYTES("spn:" LIFE ":7"), BYTES(""), 0, START_CURSOR, BYTES("spn:" LIFE ":7"), 7},
    {"cursor in the query", BYTES(""), BYTES("spn:" LIFE ":0"), 0, START_CURSOR,
     BYTES("spn:" LIFE ":0"), 0},
    {"largest seq", BYTES("spn:" LIFE ":18446744073709551615"), BYTES(""), 0, START_CURSOR,
     BYTES("spn:" LIFE ":18446744073709551615"), UINT64_MAX},
    {"header is an id and the query a cursor", BYTES("a"), BYTES("spn:" LIFE ":7"), 0, START_ID,
     BYTES("a"), 0},
    {"seq too large", BYTES("spn:" LIFE ":18446744073709551616"), BYTES(""), 0, START_ID,
     BYTES("spn:" LIFE ":18446744073709551616"), 0},
    {"no life", BYTES("spn:" ZEROS ":7"), BYTES(""), 0, START_ID, BYTES("spn:" ZEROS ":7"), 0},
    {"the session was not there", BYTES("spn:" ZEROS ":0"), BYTES(""), 0, START_ABSENT,
     BYTES("spn:" ZEROS ":0"), 0},
    {"the session was not there, in the query", BYTES(""), BYTES("spn:" ZEROS ":0"), 0,
     START_ABSENT, BYTES("spn:" ZEROS ":0"), 0},
    {"only the prefix", BYTES("spn:"), BYTES(""), 0, START_ID, BYTES("spn:"), 0},
    {"short life", BYTES("spn:0011:7"), BYTES(""), 0, START_ID, BYTES("spn:0011:7"), 0},
    {"no seq", BYTES("spn:" LIFE ":"), BYTES(""), 0, START_ID, BYTES("spn:" LIFE ":"), 0},
    {"zeros before a seq", BYTES("spn:" LIFE ":07"), BYTES(""), 0, START_ID,
     BYTES("spn:" LIFE ":07"), 0},
    {"space after a seq", BYTES("spn:" LIFE ":7 "), BYTES(""), 0, START_ID,
     BYTES("spn:" LIFE ":7 "), 0},
    {"upper case", BYTES("SPN:" LIFE ":7"), BYTES(""), 0, START_ID, BYTES("SPN:" LIFE ":7"), 0},
};

static struct query query_of(struct spn_bytes after, uint8_t from)
{
    return (struct query){
        .after = after, .after_key = after.size > 0 ? "starting_after" : NULL, .from = from};
}

static void good_row(void **state)
{
    const struct row *row = *state;
    static const struct spn_life none;
    struct spn_life life;
    assert_int_equal(spn_life_parse((struct spn_bytes)BYTES(LIFE), &life), SPN_OK);
    struct query query = query_of(row->after, row->from);
    struct start start;
    struct problem problem;
    assert_true(start_choose(row->header, &query, &start, &problem));
    assert_int_equal(start.kind, row->kind);
    assert_true(word_equals(start.id, row->id));
    assert_int_equal(start.seq, row->seq);
    if (row->kind == START_CURSOR)
        assert_memory_equal(&start.life, &life, sizeof(life));
    else
        assert_memory_equal(&start.life, &none, sizeof(none));
}

static void check_refused(struct spn_bytes header, struct spn_bytes after, const char *detail)
{
    struct query query = query_of(after, 0);
    struct start start;
    struct problem problem = {0};
    assert_false(start_choose(header, &query, &start, &problem));
    assert_int_equal(problem.status, 400);
    assert_string_equal(problem.code, "SPN_E_BAD_ID");
    assert_non_null(strstr(problem.detail, detail));
}

static void bad_ids(void **state)
{
    (void)state;
    static const struct spn_bytes bad[] = {BYTES("a\0"), BYTES("\r"), BYTES("a\nb")};
    const struct spn_bytes none = {NULL, 0};
    for (size_t i = 0; i < COUNT(bad); i++) {
        check_refused(bad[i], none, "Last-Event-ID has a NUL, CR or LF");
        check_refused(none, bad[i], "starting_after has a NUL, CR or LF");
        check_refused(bad[i], (struct spn_bytes)BYTES("good"), "Last-Event-ID has");
    }
}

static void ids_are_bounded(void **state)
{
    (void)state;
    static char id[START_ID_MAX + 1];
    memset(id, 'a', sizeof(id));
    const struct spn_bytes none = {NULL, 0};
    struct query query = query_of(none, 0);
    struct start start;
    struct problem problem;
    assert_true(start_choose((struct spn_bytes){id, START_ID_MAX}, &query, &start, &problem));
    assert_int_equal(start.id.size, START_ID_MAX);
    check_refused((struct spn_bytes){id, sizeof(id)}, none, "Last-Event-ID has 4097 bytes");
    check_refused(none, (struct spn_bytes){id, sizeof(id)}, "starting_after has 4097 bytes");
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 2];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[count++] = (struct CMUnitTest){rows[i].name, good_row, NULL, NULL, (void *)&rows[i]};
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(bad_ids);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(ids_are_bounded);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
