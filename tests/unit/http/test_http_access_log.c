/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_access_log: what of a target is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "http/access_log.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void paths_have_no_query_and_no_user(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        const char *path;
    } rows[] = {
        {"/v1/sessions/a", "/v1/sessions/a"},
        {"/v1/sessions/a?token=v1.k.p.m", "/v1/sessions/a"},
        {"/v1/sessions/a?", "/v1/sessions/a"},
        {"/v1/sessions/a#token", "/v1/sessions/a"},
        {"/v1/sessions/a&token=v1.k.p.m", "/v1/sessions/a&"},
        {"/v1/sessions/a%3FToken%3Dv1.k.p.m", "/v1/sessions/a%3F"},
        {"/v1/sessions/a;TOKEN%3dv1.k.p.m", "/v1/sessions/a;"},
        {"/v1/sessions/tokens", "/v1/sessions/tokens"},
        {"http://me:secret@host/v1/sessions/a?b", "/v1/sessions/a"},
        {"http://me:secret@host", ""},
        {"me:secret", ""},
        {"*", ""},
        {"", ""},
        {"/a\" b\x7f\xff\n", "/a\"%20b%7F%FF%0A"},
    };
    char path[ACCESS_LOG_PATH_SIZE];
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_string_equal(access_log_path(rows[i].target, path), rows[i].path);
}

/* A byte that does not fit whole is not begun. */
static void long_paths_are_cut(void **state)
{
    (void)state;
    char target[2 * ACCESS_LOG_PATH_SIZE];
    char path[ACCESS_LOG_PATH_SIZE];
    for (size_t plain = 1; plain < 5; plain++) {
        memset(target, '\xff', sizeof(target));
        memset(target, '/', plain);
        target[sizeof(target) - 1] = '\0';
        size_t size = strlen(access_log_path(target, path));
        assert_true(size < ACCESS_LOG_PATH_SIZE && size + 4 > ACCESS_LOG_PATH_SIZE - 3);
        assert_int_equal((size - plain) % 3, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_have_no_query_and_no_user),
        cmocka_unit_test(long_paths_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
