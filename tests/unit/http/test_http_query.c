/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_query: every option has its values, and no others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/query.h"
#include "http/word.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

/* The text lives as long as the query. */
static char *text;

static bool parse(const char *bytes, size_t size, struct query *ret_query,
                  struct problem *ret_problem)
{
    free(text);
    text = malloc(size > 0 ? size : 1);
    assert_non_null(text);
    memcpy(text, bytes, size);
    memset(ret_problem, 0, sizeof(*ret_problem));
    return query_parse(text, size, ret_query, ret_problem);
}

static struct query good(const char *bytes)
{
    struct query query;
    struct problem problem;
    if (!parse(bytes, strlen(bytes), &query, &problem))
        fail_msg("%s: %s", bytes, problem.detail);
    return query;
}

/* -- what is refused --------------------------------------------------------------------------- */

static const struct bad_row {
    const char *name;
    struct spn_bytes text;
    const char *detail; /* part of it */
} bad_rows[] = {
    {"from", BYTES("from=later"), "query parameter from is 'later'; it may be: earliest now"},
    {"from, empty", BYTES("from="), "from is ''"},
    {"from, bare", BYTES("from"), "from is ''"},
    {"from in another case", BYTES("from=NOW"), "from is 'NOW'"},
    {"part of a value", BYTES("from=no"), "from is 'no'"},
    {"two values", BYTES("from=earliest%20now"), "from is 'earliest now'"},
    {"minus is no value", BYTES("touch=-"), "touch is '-'"},
    {"unknown-id", BYTES("unknown-id=x"), "unknown-id is 'x'"},
    {"wait", BYTES("wait=2"), "wait is '2'"},
    {"active", BYTES("active=yes"), "active is 'yes'"},
    {"until", BYTES("until=end"), "until is 'end'"},
    {"level", BYTES("level=none"), "level is 'none'"},
    {"control", BYTES("control=x"), "control is 'x'"},
    {"prime", BYTES("prime=2"), "prime is '2'"},
    {"ack", BYTES("ack=all"), "ack is 'all'"},
    {"newlines", BYTES("newlines=crlf"), "newlines is 'crlf'"},
    {"value with a control character", BYTES("ack=%0A\x01"), "ack is '\\x0a\\x01'"},
    {"choice twice", BYTES("wait=0&wait=0"), "wait is there twice"},
    {"choice twice, escaped", BYTES("wait=0&w%61it=1"), "wait is there twice"},
    {"after twice", BYTES("after=1&after=1"), "after is there twice"},
    {"aliases that differ", BYTES("after=1&lastEventId=2"), "after and lastEventId differ"},
    {"alias that is empty", BYTES("last_event_id=&starting_after=2"),
     "last_event_id and starting_after differ"},
    {"limit 0", BYTES("limit=0"), "limit is '0'; it may be 1 to 1000000"},
    {"limit too large", BYTES("limit=1000001"), "limit is '1000001'"},
    {"limit huge", BYTES("limit=99999999999999999999"), "limit is"},
    {"limit with a sign", BYTES("limit=+1"), "limit is '+1'"},
    {"limit empty", BYTES("limit="), "limit is ''"},
    {"limit with a NUL", BYTES("limit=1%002"), "limit is '1\\x002'"},
    {"limit twice", BYTES("limit=1&limit=1"), "limit is there twice"},
    {"prefix that is not UTF-8", BYTES("prefix=%FF"), "prefix is '\\xff'"},
    {"prefix with a NUL", BYTES("prefix=a%00"), "prefix is 'a\\x00'"},
    {"prefix twice", BYTES("prefix=&prefix="), "prefix is there twice"},
    {"broken escape", BYTES("after=%4"), "after has a % without two hexadecimal digits"},
    {"broken escape in a token", BYTES("token=s3cr3t%"), "token has a %"},
    {"offset twice", BYTES("offset=a&offset=b"), "offset is there twice"},
    {"empty offset twice", BYTES("offset=&offset"), "offset is there twice"},
    {"live twice", BYTES("live=sse&live=sse"), "live is there twice"},
    {"cursor twice", BYTES("cursor=1&cursor=2"), "cursor is there twice"},
    {"token twice", BYTES("token=s3cr3t&token=s3cr3t"), "token is there twice"},
};

static void bad_row(void **state)
{
    const struct bad_row *row = *state;
    struct query query;
    struct problem problem;
    assert_false(parse(row->text.data, row->text.size, &query, &problem));
    assert_int_equal(problem.status, 400);
    assert_string_equal(problem.code,
                        strstr(row->name, "prefix that") || strstr(row->name, "prefix with")
                            ? "SPN_E_BAD_PREFIX"
                            : "SPN_E_INVALID");
    if (strstr(problem.detail, row->detail) == NULL)
        fail_msg("%s", problem.detail);
    assert_null(strstr(problem.detail, "s3cr3t"));
}

/* -- what is taken ----------------------------------------------------------------------------- */

static void nothing(void **state)
{
    (void)state;
    static const char *const empty[] = {
        "",    "&",   "&&",      "=",        "=&=",      "unknown=1&other",
        "%=1", "x=%", "AFTER=1", "after%=1", "from+=now"};
    static const struct query none;
    for (size_t i = 0; i < COUNT(empty); i++) {
        struct query query = good(empty[i]);
        assert_memory_equal(&query, &none, sizeof(query));
    }
}

static void every_choice(void **state)
{
    (void)state;
    assert_int_equal(good("from=earliest").from, QUERY_FROM_EARLIEST);
    assert_int_equal(good("from=now").from, QUERY_FROM_NOW);
    assert_int_equal(good("unknown-id=reset").unknown_id, QUERY_UNKNOWN_RESET);
    assert_int_equal(good("unknown-id=fail").unknown_id, QUERY_UNKNOWN_FAIL);
    assert_int_equal(good("wait=0").wait, QUERY_NO);
    assert_int_equal(good("wait=1").wait, QUERY_YES);
    assert_int_equal(good("active=1").active, QUERY_YES);
    assert_int_equal(good("until=caught-up").until, QUERY_UNTIL_CAUGHT_UP);
    assert_int_equal(good("level=durable").level, QUERY_LEVEL_DURABLE);
    assert_int_equal(good("level=replicated").level, QUERY_LEVEL_REPLICATED);
    assert_int_equal(good("control=event").control, QUERY_CONTROL_EVENT);
    assert_int_equal(good("control=comment").control, QUERY_CONTROL_COMMENT);
    assert_int_equal(good("stream=false").stream, QUERY_STREAM_FALSE);
    assert_int_equal(good("stream=true").stream, QUERY_STREAM_TRUE);
    assert_int_equal(good("ack=durable").ack, QUERY_ACK_DURABLE);
    assert_int_equal(good("ack=accepted").ack, QUERY_ACK_ACCEPTED);
    assert_int_equal(good("ack=none").ack, QUERY_ACK_NONE);
    assert_int_equal(good("newlines=strict").newlines, QUERY_NEWLINES_STRICT);
    assert_int_equal(good("newlines=lf").newlines, QUERY_NEWLINES_LF);
    assert_true(query_is_on(good("touch").touch) && query_is_on(good("touch=").touch));
    assert_true(query_is_on(good("touch=1").touch) && query_is_on(good("prime=1").prime));
    assert_false(query_is_on(good("touch=0").touch) || query_is_on(good("").touch));
    assert_int_equal(good("fr%6Fm=n%6fw").from, QUERY_FROM_NOW);
}

static void values(void **state)
{
    (void)state;
    static const char *const keys[] = {"after", "last_event_id", "lastEventId", "starting_after"};
    for (size_t i = 0; i < COUNT(keys); i++) {
        char bytes[64];
        (void)snprintf(bytes, sizeof(bytes), "%s=a%%20b+c%%0A%%ff=d?/", keys[i]);
        struct query query = good(bytes);
        assert_string_equal(query.after_key, keys[i]);
        assert_true(word_is(query.after, "a b+c\n\xFF=d?/"));
    }
    assert_true(word_is(good("after=a&lastEventId=%61&starting_after=a").after, "a"));
    struct query empty = good("after=");
    assert_non_null(empty.after_key);
    assert_int_equal(empty.after.size, 0);
    struct query rest = good("prefix=a%2Fb&limit=1000000&token=v1.a.b&x=1");
    assert_true(rest.has_prefix && word_is(rest.prefix, "a/b"));
    assert_true(rest.has_token && word_is(rest.token, "v1.a.b"));
    assert_int_equal(rest.limit, QUERY_LIMIT_MAX);
    struct query stream = good("offset=1_2%2e&live=sse&cursor=7");
    assert_true(word_is(stream.offset, "1_2.") && word_is(stream.live, "sse"));
    assert_true(word_is(stream.cursor, "7"));
    assert_true(good("offset").offset.data != NULL && good("offset=").offset.size == 0);
    assert_int_equal(good("limit=001").limit, 1);
    assert_true(good("prefix=").has_prefix);
}

static void prefix_is_bounded(void **state)
{
    (void)state;
    char bytes[7 + QUERY_PREFIX_MAX + 1] = "prefix=";
    struct query query;
    struct problem problem;
    memset(bytes + 7, 'a', sizeof(bytes) - 7);
    assert_true(parse(bytes, sizeof(bytes) - 1, &query, &problem));
    assert_int_equal(query.prefix.size, QUERY_PREFIX_MAX);
    assert_false(parse(bytes, sizeof(bytes), &query, &problem));
    assert_string_equal(problem.code, "SPN_E_BAD_PREFIX");
}

static int release(void **state)
{
    (void)state;
    free(text);
    return 0;
}

int main(void)
{
    struct CMUnitTest tests[COUNT(bad_rows) + 4];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(bad_rows); i++)
        tests[count++] =
            (struct CMUnitTest){bad_rows[i].name, bad_row, NULL, NULL, (void *)&bad_rows[i]};
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(nothing);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(every_choice);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(values);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(prefix_is_bounded);
    return cmocka_run_group_tests(tests, NULL, release);
}
