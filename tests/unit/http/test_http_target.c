/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_target: each target is one route with one name, or it is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "http/target.h"
#include "http/word.h"
#include "wire.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static_assert((int)TARGET_NAME_MAX == (int)WIRE_SESSION_MAX, "as long as the sidecar takes");
static_assert((int)QUERY_PREFIX_MAX == (int)WIRE_SESSION_MAX, "as long as the sidecar takes");

static char *text;

static bool parse(const void *bytes, size_t size, struct target *ret_target,
                  struct problem *ret_problem)
{
    free(text);
    text = malloc(size > 0 ? size : 1);
    assert_non_null(text);
    memcpy(text, bytes, size);
    memset(ret_problem, 0, sizeof(*ret_problem));
    return target_parse(text, size, ret_target, ret_problem);
}

static const struct good_row {
    const char *target;
    enum target_route route;
    struct spn_bytes name;
    const char *authority;
} good_rows[] = {
    {"/v1/sessions/a", TARGET_SESSION, BYTES("a"), ""},
    {"/v1/sessions/a/b.c/...", TARGET_SESSION, BYTES("a/b.c/..."), ""},
    {"/v1/sessions/a%2Fb", TARGET_SESSION, BYTES("a/b"), ""},
    {"/v1/sessions/a+b%20c", TARGET_SESSION, BYTES("a+b c"), ""},
    {"/v1/sessions/%2525", TARGET_SESSION, BYTES("%25"), ""},
    {"/v1/sessions/%252e%252e", TARGET_SESSION, BYTES("%2e%2e"), ""},
    {"/v1/sessions/%C3%A4", TARGET_SESSION, BYTES("\xC3\xA4"), ""},
    {"/v1/sessions/\xC3\xA4", TARGET_SESSION, BYTES("\xC3\xA4"), ""},
    {"/v1/sessions/a%3Fb?c", TARGET_SESSION, BYTES("a?b"), ""},
    {"/v1/sessions/a;b=c", TARGET_SESSION, BYTES("a;b=c"), ""},
    {"/v1/sessions/a%23b", TARGET_SESSION, BYTES("a#b"), ""},
    {"/v1/sessions/a\\b", TARGET_SESSION, BYTES("a\\b"), ""},
    {"/v1/sessions/.a/..b", TARGET_SESSION, BYTES(".a/..b"), ""},
    {"/v1/sessions", TARGET_SESSIONS, BYTES(""), ""},
    {"/v1/sessions?prefix=a", TARGET_SESSIONS, BYTES(""), ""},
    {"/v1/events", TARGET_EVENTS, BYTES(""), ""},
    {"/v1/stream/a/b", TARGET_STREAM, BYTES("a/b"), ""},
    {"/healthz", TARGET_HEALTHZ, BYTES(""), ""},
    {"/readyz", TARGET_READYZ, BYTES(""), ""},
    {"/metrics", TARGET_METRICS, BYTES(""), ""},
    {"/problems", TARGET_PROBLEMS, BYTES(""), ""},
    {"/", TARGET_PAGE, BYTES(""), ""},
    {"/?token=x", TARGET_PAGE, BYTES(""), ""},
    {"http://h:80/v1/sessions/a", TARGET_SESSION, BYTES("a"), "h:80"},
    {"HTTPS://[::1]/", TARGET_PAGE, BYTES(""), "[::1]"},
    {"http://h", TARGET_PAGE, BYTES(""), "h"},
    {"http://h?from=now", TARGET_PAGE, BYTES(""), "h"},
    {"/v1", TARGET_NOWHERE, BYTES(""), ""},
    {"/v1/", TARGET_NOWHERE, BYTES(""), ""},
    {"/v2/sessions/a", TARGET_NOWHERE, BYTES(""), ""},
    {"/v1/session/a", TARGET_NOWHERE, BYTES(""), ""},
    {"/V1/sessions/a", TARGET_NOWHERE, BYTES(""), ""},
    {"/v1/s%65ssions/a", TARGET_NOWHERE, BYTES(""), ""},
    {"/v1/sessions%2Fa", TARGET_NOWHERE, BYTES(""), ""},
    {"//v1/sessions/a", TARGET_NOWHERE, BYTES(""), ""},
    {"/v1//sessions/a", TARGET_NOWHERE, BYTES(""), ""},
    {"/v1/./sessions/a", TARGET_NOWHERE, BYTES(""), ""},
    {"/v1/stream", TARGET_NOWHERE, BYTES(""), ""},
    {"/healthz/", TARGET_NOWHERE, BYTES(""), ""},
    {"//", TARGET_NOWHERE, BYTES(""), ""},
};

static void good_row(void **state)
{
    const struct good_row *row = *state;
    struct target target;
    struct problem problem;
    if (!parse(row->target, strlen(row->target), &target, &problem))
        fail_msg("%s", problem.detail);
    assert_int_equal(target.route, row->route);
    assert_true(word_equals(target.name, row->name));
    assert_true(word_is(target.authority, row->authority));
    if (target.name.size > 0)
        assert_int_equal(wire_check_session(target.name), SPN_OK);
}

static const struct bad_row {
    struct spn_bytes target;
    const char *code;
    const char *detail; /* part of it */
} bad_rows[] = {
    {BYTES(""), "SPN_E_INVALID", "does not begin with a slash"},
    {BYTES("*"), "SPN_E_INVALID", "does not begin with a slash"},
    {BYTES("v1/sessions/a"), "SPN_E_INVALID", "does not begin with a slash"},
    {BYTES("h:80"), "SPN_E_INVALID", "does not begin with a slash"},
    {BYTES("ftp://h/"), "SPN_E_INVALID", "does not begin with a slash"},
    {BYTES("http:/h"), "SPN_E_INVALID", "does not begin with a slash"},
    {BYTES("http:///v1"), "SPN_E_INVALID", "names no host"},
    {BYTES("http://?x"), "SPN_E_INVALID", "names no host"},
    {BYTES("http://a@h/"), "SPN_E_INVALID", "or a user"},
    {BYTES("/v1/sessions/a#b"), "SPN_E_INVALID", "fragment"},
    {BYTES("/v1/sessions/a?b#c"), "SPN_E_INVALID", "fragment"},
    {BYTES("/v1/sessions/a b"), "SPN_E_INVALID", "a space"},
    {BYTES("/v1/sessions/a\0b"), "SPN_E_INVALID", "a control character"},
    {BYTES("/\x7F"), "SPN_E_INVALID", "a control character"},
    {BYTES("/v1/sessions/"), "SPN_E_BAD_SESSION", "is empty"},
    {BYTES("/v1/sessions/?a"), "SPN_E_BAD_SESSION", "is empty"},
    {BYTES("/v1/stream/"), "SPN_E_BAD_SESSION", "is empty"},
    {BYTES("/v1/sessions/a/"), "SPN_E_BAD_SESSION", "'a/' has a part"},
    {BYTES("/v1/sessions//a"), "SPN_E_BAD_SESSION", "'/a' has a part"},
    {BYTES("/v1/sessions/a//b"), "SPN_E_BAD_SESSION", "'a//b' has a part"},
    {BYTES("/v1/sessions/a%2F%2Fb"), "SPN_E_BAD_SESSION", "'a//b' has a part"},
    {BYTES("/v1/sessions/%2F"), "SPN_E_BAD_SESSION", "'/' has a part"},
    {BYTES("/v1/sessions/."), "SPN_E_BAD_SESSION", "'.' has a part"},
    {BYTES("/v1/sessions/.."), "SPN_E_BAD_SESSION", "'..' has a part"},
    {BYTES("/v1/sessions/a/../b"), "SPN_E_BAD_SESSION", "'a/../b' has a part"},
    {BYTES("/v1/sessions/a/%2e%2E/b"), "SPN_E_BAD_SESSION", "'a/../b' has a part"},
    {BYTES("/v1/sessions/a%2f.%2E"), "SPN_E_BAD_SESSION", "'a/..' has a part"},
    {BYTES("/v1/sessions/a/%2e"), "SPN_E_BAD_SESSION", "'a/.' has a part"},
    {BYTES("/v1/stream/../sessions/a"), "SPN_E_BAD_SESSION", "has a part"},
    {BYTES("/v1/sessions/a%00b"), "SPN_E_BAD_SESSION", "'a\\x00b' is not UTF-8, or has a control"},
    {BYTES("/v1/sessions/a%0d%0aX"), "SPN_E_BAD_SESSION", "'a\\x0d\\x0aX' is not UTF-8"},
    {BYTES("/v1/sessions/%7F"), "SPN_E_BAD_SESSION", "is not UTF-8"},
    {BYTES("/v1/sessions/%C2%80"), "SPN_E_BAD_SESSION", "is not UTF-8"},
    {BYTES("/v1/sessions/%FF"), "SPN_E_BAD_SESSION", "'\\xff' is not UTF-8"},
    {BYTES("/v1/sessions/%C0%AF"), "SPN_E_BAD_SESSION", "is not UTF-8"},
    {BYTES("/v1/sessions/\xC0\xAE."), "SPN_E_BAD_SESSION", "is not UTF-8"},
    {BYTES("/v1/sessions/%ED%A0%80"), "SPN_E_BAD_SESSION", "is not UTF-8"},
    {BYTES("/v1/sessions/a%"), "SPN_E_BAD_SESSION", "has a % without"},
    {BYTES("/v1/sessions/a%4"), "SPN_E_BAD_SESSION", "has a % without"},
    {BYTES("/v1/sessions/a%zz"), "SPN_E_BAD_SESSION", "has a % without"},
    {BYTES("/v1/sessions/a%u0041"), "SPN_E_BAD_SESSION", "has a % without"},
    {BYTES("/v1/sessions/a?from=x&token=s3cr3t"), "SPN_E_INVALID", "from is 'x'"},
    {BYTES("/?token=s3cr3t#"), "SPN_E_INVALID", "fragment"},
    {BYTES("/nowhere?wait=9"), "SPN_E_INVALID", "wait is '9'"},
};

static void bad_row(void **state)
{
    const struct bad_row *row = *state;
    struct target target;
    struct problem problem;
    assert_false(parse(row->target.data, row->target.size, &target, &problem));
    assert_int_equal(problem.status, 400);
    assert_string_equal(problem.code, row->code);
    if (strstr(problem.detail, row->detail) == NULL)
        fail_msg("%s", problem.detail);
    assert_null(strstr(problem.detail, "s3cr3t"));
}

static void check_length(const char *prefix, size_t max)
{
    char bytes[512];
    struct target target;
    struct problem problem;
    size_t before = strlen(prefix);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = i < before ? prefix[i] : 'a';
    assert_true(parse(bytes, before + max, &target, &problem));
    assert_int_equal(target.name.size, max);
    assert_false(parse(bytes, before + max + 1, &target, &problem));
    assert_string_equal(problem.code, "SPN_E_BAD_SESSION");
    assert_non_null(strstr(problem.detail, "too long"));
}

static void names_are_bounded(void **state)
{
    (void)state;
    check_length("/v1/sessions/", TARGET_NAME_MAX);
    check_length("/v1/stream/", TARGET_STREAM_MAX);
}

static void query_comes_along(void **state)
{
    (void)state;
    static const char bytes[] = "/v1/sessions/a?after=b?c&from=now";
    struct target target;
    struct problem problem;
    assert_true(parse(bytes, sizeof(bytes) - 1, &target, &problem));
    assert_true(word_is(target.query.after, "b?c"));
    assert_int_equal(target.query.from, QUERY_FROM_NOW);
}

/* What the sidecar does not take is refused here already, for every byte and pair of bytes. */
static void names_are_those_of_the_sidecar(void **state)
{
    (void)state;
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < 1u << 16; i++) {
        unsigned char name[3] = {'a', (unsigned char)(i >> 8), (unsigned char)i};
        char bytes[32] = "/v1/sessions/a%xx%xx";
        char *at = strchr(bytes, '%');
        for (size_t j = 0; j < 2; j++) {
            at[1 + 3 * j] = digits[name[1 + j] >> 4];
            at[2 + 3 * j] = digits[name[1 + j] & 15];
        }
        struct target target;
        struct problem problem;
        bool taken = parse(bytes, strlen(bytes), &target, &problem);
        bool slash = name[2] == '/' || (name[1] == '/' && name[2] == '.');
        assert_int_equal(taken,
                         !slash && wire_check_session((struct spn_bytes){name, 3}) == SPN_OK);
    }
}

static int release(void **state)
{
    (void)state;
    free(text);
    return 0;
}

int main(void)
{
    struct CMUnitTest tests[COUNT(good_rows) + COUNT(bad_rows) + 3];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(good_rows); i++)
        tests[count++] =
            (struct CMUnitTest){good_rows[i].target, good_row, NULL, NULL, (void *)&good_rows[i]};
    for (size_t i = 0; i < COUNT(bad_rows); i++)
        tests[count++] =
            (struct CMUnitTest){bad_rows[i].target.data, bad_row, NULL, NULL, (void *)&bad_rows[i]};
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(names_are_bounded);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(query_comes_along);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(names_are_those_of_the_sidecar);
    return cmocka_run_group_tests(tests, NULL, release);
}
