/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_etag: which headers are conditions, and which are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "http/etag.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define LIFE "0fa000000000000000000000000000ff"

static const struct {
    struct etag_headers headers;
    bool if_new;
    bool has_life;
    bool has_seq;
    uint64_t seq;
    const char *detail; /* of the 400; NULL: it is taken */
} rows[] = {
    {.headers = {{NULL, 0}, {NULL, 0}, {NULL, 0}}},
    {.headers = {.if_none_match = BYTES("*")}, .if_new = true},
    {.headers = {.if_none_match = BYTES(" \t* ")}, .if_new = true},
    {.headers = {.if_match = BYTES("\"" LIFE "\"")}, .has_life = true},
    {.headers = {.if_match = BYTES("\"" LIFE "\" "), .if_seq = BYTES("7")},
     .has_life = true,
     .has_seq = true,
     .seq = 7},
    {.headers = {.if_seq = BYTES("0")}, .has_seq = true},
    {.headers = {.if_seq = BYTES("18446744073709551615")}, .has_seq = true, .seq = UINT64_MAX},

    {.headers = {.if_none_match = BYTES("")}, .detail = "If-None-Match must be *, not ''"},
    {.headers = {.if_none_match = BYTES("\"" LIFE "\"")},
     .detail = "If-None-Match must be *, not '\"" LIFE "\"'"},
    {.headers = {.if_none_match = BYTES("*, *")}, .detail = "If-None-Match must be *, not '*, *'"},
#define NOT_A_TAG                                                                                  \
    "If-Match must be the life of a session in double quotes, as its ETag has it, not "
    {.headers = {.if_match = BYTES("*")}, .detail = NOT_A_TAG "'*'"},
    {.headers = {.if_match = BYTES("")}, .detail = NOT_A_TAG "''"},
    {.headers = {.if_match = BYTES(LIFE)}, .detail = NOT_A_TAG "'" LIFE "'"},
    {.headers = {.if_match = BYTES("W/\"" LIFE "\"")}, .detail = NOT_A_TAG "'W/\"" LIFE "\"'"},
    {.headers = {.if_match = BYTES("\"0FA000000000000000000000000000FF\"")},
     .detail = NOT_A_TAG "'\"0FA000000000000000000000000000FF\"'"},
    {.headers = {.if_match = BYTES("\"00000000000000000000000000000000\"")},
     .detail = NOT_A_TAG "'\"00000000000000000000000000000000\"'"},
    {.headers = {.if_match = BYTES("\"" LIFE "\", \"a\"")},
     .detail = NOT_A_TAG "'\"" LIFE "\", \"a\"'"},
    {.headers = {.if_seq = BYTES("")}, .detail = "Sponson-If-Seq must be a number, not ''"},
    {.headers = {.if_seq = BYTES("-1")}, .detail = "Sponson-If-Seq must be a number, not '-1'"},
    {.headers = {.if_seq = BYTES("1 2")}, .detail = "Sponson-If-Seq must be a number, not '1 2'"},
    {.headers = {.if_seq = BYTES("1\0")},
     .detail = "Sponson-If-Seq must be a number, not '1\\x00'"},
    {.headers = {.if_seq = BYTES("18446744073709551616")},
     .detail = "Sponson-If-Seq must be a number, not '18446744073709551616'"},
    {.headers = {.if_seq = BYTES("000000000000000000007")},
     .detail = "Sponson-If-Seq must be a number, not '000000000000000000007'"},
    {.headers = {.if_seq = BYTES("000000000000000000000000000000000000")},
     .detail = "Sponson-If-Seq must be a number, not '000000000000000000000000000000000000'"},
    {.headers = {.if_none_match = BYTES("*"), .if_match = BYTES("\"" LIFE "\"")},
     .detail = "If-None-Match: * does not go with If-Match: a new session has neither a life nor a "
               "seq"},
    {.headers = {.if_none_match = BYTES("*"), .if_seq = BYTES("0")},
     .detail = "If-None-Match: * does not go with Sponson-If-Seq: a new session has neither a life "
               "nor a seq"},
};

static void headers_are_conditions(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct etag_conditions conditions;
        struct problem problem = {0};
        char tag[ETAG_SIZE];
        bool taken = etag_parse(&rows[i].headers, &conditions, &problem);
        assert_string_equal(problem.detail, rows[i].detail ? rows[i].detail : "");
        assert_int_equal(taken, rows[i].detail == NULL);
        assert_int_equal(problem.status, taken ? 0 : 400);
        if (!taken)
            continue;
        assert_int_equal(conditions.options.size, sizeof(struct spn_publish_options));
        assert_int_equal(conditions.options.if_new, rows[i].if_new);
        assert_int_equal(conditions.options.has_if_seq, rows[i].has_seq);
        assert_int_equal(conditions.options.if_seq, rows[i].seq);
        assert_int_equal(conditions.options.life != NULL, rows[i].has_life);
        if (rows[i].has_life)
            assert_string_equal(etag_format(conditions.options.life, tag), "\"" LIFE "\"");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_conditions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
