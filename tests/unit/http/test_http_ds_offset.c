/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_ds_offset: offsets sort as places do, and cursors only grow; what a query asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "http/ds/query.h"
#include "http/word.h"
#include "sponson.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void places_come_back_and_sort(void **state)
{
    (void)state;
    static const struct ds_offset offsets[] = {
        {1, 0xffffffff, 0},   {1, 0xffffffff, 1}, {1, 0xffffffff, 9}, {1, 0xffffffff, 10},
        {1, 0xffffffff, 255}, {2, 0, 0},          {2, 0, UINT64_MAX}, {10, 7, 3},
        {16, 0, 0},           {1u << 31, 1, 1},   {UINT64_MAX, 0, 1}, {UINT64_MAX, 0, UINT64_MAX},
    };
    char before[DS_OFFSET_SIZE] = "";
    for (size_t i = 0; i < COUNT(offsets); i++) {
        char text[DS_OFFSET_SIZE];
        struct ds_offset back;
        ds_offset_format(&offsets[i], text);
        assert_int_equal(strlen(text), DS_OFFSET_SIZE - 1);
        assert_true(strcmp(before, text) < 0);
        assert_int_equal(ds_offset_parse(spn_text(text), &back), DS_OFFSET_AT);
        assert_int_equal(back.epoch, offsets[i].epoch);
        assert_int_equal(back.life, offsets[i].life);
        assert_int_equal(back.seq, offsets[i].seq);
        strcpy(before, text);
    }
}

static void the_life_is_its_first_bytes(void **state)
{
    (void)state;
    const struct spn_life life = {{0x12, 0x34, 0xab, 0xff, 9}};
    assert_int_equal(ds_offset_life(&life), 0x1234abff);
}

static const struct parse_row {
    const char *text;
    enum ds_offset_kind kind;
} parse_rows[] = {
    {"-1", DS_OFFSET_BEGIN},
    {"now", DS_OFFSET_NOW},
    {"", DS_OFFSET_BAD},
    {"NOW", DS_OFFSET_BAD},
    {"-2", DS_OFFSET_BAD},
    {"0", DS_OFFSET_BAD},
    {"0,1", DS_OFFSET_BAD},
    {"0000000000000001_00000002_0000000000000003", DS_OFFSET_AT},
    {"0000000000000001_00000002_000000000000000", DS_OFFSET_BAD},
    {"0000000000000001_00000002_00000000000000030", DS_OFFSET_BAD},
    {"0000000000000001-00000002_0000000000000003", DS_OFFSET_BAD},
    {"0000000000000001_00000002-0000000000000003", DS_OFFSET_BAD},
    {"000000000000000A_00000002_0000000000000003", DS_OFFSET_BAD},
    {"000000000000000g_00000002_0000000000000003", DS_OFFSET_BAD},
    {" 000000000000001_00000002_0000000000000003", DS_OFFSET_BAD},
};

static void parses(void **state)
{
    (void)state;
    struct ds_offset offset;
    for (size_t i = 0; i < COUNT(parse_rows); i++)
        if (ds_offset_parse(spn_text(parse_rows[i].text), &offset) != parse_rows[i].kind)
            fail_msg("%s", parse_rows[i].text);
}

static const struct cursor_row {
    const char *client; /* NULL: none */
    uint64_t now_s;
    uint32_t random;
    uint64_t cursor;
} cursor_rows[] = {
    {NULL, 1728432000, 0, 0},
    {NULL, 1728432019, 0, 0},
    {NULL, 1728432020, 0, 1},
    {NULL, 0, 5, 0}, /* before the first interval */
    {"0", 1728432020, 0, 1},
    {"1", 1728432020, 0, 2},
    {"1", 1728432020, 179, 181},
    {"1", 1728432020, 180, 2},
    {"77", 1728432020, 3, 81},
    {"9007199254737391", 1728432020, 0, 9007199254737392},
    {"9007199254737392", 1728432020, 0, 1}, /* it would leave no room */
    {"99999999999999999999999", 1728432020, 0, 1},
    {"", 1728432020, 0, 1},
    {"-5", 1728432020, 0, 1},
    {"5x", 1728432020, 0, 1},
};

static void cursors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cursor_rows); i++) {
        const struct cursor_row *row = &cursor_rows[i];
        struct spn_bytes client = {0};
        if (row->client != NULL)
            client = spn_text(row->client);
        assert_int_equal(ds_cursor(row->now_s, client, row->random), row->cursor);
    }
}

/* -- queries ----------------------------------------------------------------------------------- */

static const struct query_row {
    const char *offset; /* NULL: not there; so for the next */
    const char *live;
    enum ds_mode mode;
    enum ds_offset_kind start;
    const char *detail; /* part of it; NULL: taken */
} query_rows[] = {
    {NULL, NULL, DS_MODE_CHUNK, DS_OFFSET_BEGIN, NULL},
    {"-1", NULL, DS_MODE_CHUNK, DS_OFFSET_BEGIN, NULL},
    {"now", "long-poll", DS_MODE_POLL, DS_OFFSET_NOW, NULL},
    {"0000000000000008_09000000_0000000000000005", "sse", DS_MODE_LIVE, DS_OFFSET_AT, NULL},
    {"", NULL, 0, 0, "offset is ''"},
    {"5", "sse", 0, 0, "offset is '5'"},
    {NULL, "sse", 0, 0, "needs the query parameter offset"},
    {"-1", "", 0, 0, "live is ''"},
    {"-1", "SSE", 0, 0, "live is 'SSE'"},
};

static void queries(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(query_rows); i++) {
        const struct query_row *row = &query_rows[i];
        struct query query = {0};
        struct ds_query parsed = {0};
        struct problem problem = {0};
        if (row->offset != NULL)
            query.offset = spn_text(row->offset);
        if (row->live != NULL)
            query.live = spn_text(row->live);
        assert_int_equal(ds_query_parse(&query, &parsed, &problem), row->detail == NULL);
        if (row->detail != NULL && strstr(problem.detail, row->detail) == NULL)
            fail_msg("%s", problem.detail);
        assert_int_equal(problem.status, row->detail == NULL ? 0 : 400);
        assert_true(parsed.mode == row->mode && parsed.start == row->start);
        if (row->start == DS_OFFSET_AT)
            assert_int_equal(parsed.place.seq, 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_come_back_and_sort),
        cmocka_unit_test(the_life_is_its_first_bytes),
        cmocka_unit_test(parses),
        cmocka_unit_test(cursors),
        cmocka_unit_test(queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
