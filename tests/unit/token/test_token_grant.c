/* SPDX-License-Identifier: Apache-2.0 */
/* test_token_grant: which rights on which names a grant gives, and until when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "token/grant.h"

static struct spn_bytes text(const char *words)
{
    return (struct spn_bytes){words, strlen(words)};
}

enum { EXPIRES_S = 100 };

struct row {
    const char *name; /* what is granted; one that ends in / is a prefix, and so is "" */
    unsigned rights;
    unsigned asked;
    const char *asked_name;
    uint64_t now_s;
    bool allows;        /* the session asked_name */
    bool allows_prefix; /* all that begin with asked_name */
};

static const struct row rows[] = {
    {"a", GRANT_READ, GRANT_READ, "a", 99, true, false},
    {"a", GRANT_READ, GRANT_READ, "a", 100, false, false},
    {"a", GRANT_READ, GRANT_READ, "a", UINT64_MAX, false, false},
    {"a", GRANT_READ, GRANT_WRITE, "a", 0, false, false},
    {"a", GRANT_READ, GRANT_READ | GRANT_WRITE, "a", 0, false, false},
    {"a", GRANT_READ | GRANT_WRITE, GRANT_READ | GRANT_WRITE, "a", 0, true, false},
    {"a", GRANT_READ, 0, "a", 0, false, false},
    {"a", GRANT_READ, GRANT_READ, "A", 0, false, false},
    {"a", GRANT_READ, GRANT_READ, "ab", 0, false, false},
    {"a", GRANT_READ, GRANT_READ, "", 0, false, false},
    {"ab", GRANT_READ, GRANT_READ, "a", 0, false, false},
    {"a/", GRANT_READ, GRANT_READ, "a/b", 0, true, true},
    {"a/", GRANT_READ, GRANT_READ, "a/", 0, true, true},
    {"a/", GRANT_READ, GRANT_READ, "a", 0, false, false},
    {"a/", GRANT_READ, GRANT_READ, "", 0, false, false},
    {"a/", GRANT_READ, GRANT_READ, "ab/c", 0, false, false},
    {"a/", GRANT_READ, GRANT_READ, "a%2Fb", 0, false, false},
    {"a/", GRANT_READ, GRANT_READ, "A/b", 0, false, false},
    {"a/", GRANT_LIST, GRANT_LIST, "a/b", 99, true, true},
    {"a/", GRANT_LIST, GRANT_LIST, "a/b", 100, false, false},
    {"a/", GRANT_LIST, GRANT_LIST | GRANT_READ, "a/b", 0, false, false},
    {"\xC3\xA9/", GRANT_READ, GRANT_READ, "\xC3\xA9/x", 0, true, true},
    {"\xC3\xA9/", GRANT_READ, GRANT_READ, "e\xCC\x81/x", 0, false, false}, /* decomposed */
    {"", GRANT_DELETE, GRANT_DELETE, "a", 0, true, true},
    {"", GRANT_LIST, GRANT_LIST, "", 0, true, true},
    {"", GRANT_LIST, GRANT_WRITE, "", 0, false, false},
};

static void rights_and_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct grant grant = {.rights = rows[i].rights, .expires_s = EXPIRES_S};
        size_t size = strlen(rows[i].name);
        bool is_prefix = size == 0 || rows[i].name[size - 1] == '/';
        assert_null(is_prefix ? grant_set_prefix(&grant, text(rows[i].name))
                              : grant_set_name(&grant, text(rows[i].name)));
        struct spn_bytes name = text(rows[i].asked_name);
        if (grant_allows(&grant, rows[i].asked, name, rows[i].now_s) != rows[i].allows ||
            grant_allows_prefix(&grant, rows[i].asked, name, rows[i].now_s) !=
                rows[i].allows_prefix)
            fail_msg("row %zu: '%s' for '%s'", i, rows[i].name, rows[i].asked_name);
    }
}

static void name_that_ends_in_a_slash_is_one_session(void **state)
{
    (void)state;
    struct grant grant = {.rights = GRANT_READ, .expires_s = EXPIRES_S};
    assert_null(grant_set_name(&grant, text("a/")));
    assert_true(grant_allows(&grant, GRANT_READ, text("a/"), 0));
    assert_false(grant_allows(&grant, GRANT_READ, text("a/b"), 0));
    assert_false(grant_allows_prefix(&grant, GRANT_READ, text("a/"), 0));
}

static void nothing_is_granted_at_first(void **state)
{
    (void)state;
    struct grant grant = {0};
    assert_false(grant_allows(&grant, GRANT_READ, text(""), 0));
    assert_false(grant_allows(&grant, 0, text(""), 0));
}

static void letters_of_rights(void **state)
{
    (void)state;
    struct grant grant = {0};
    assert_null(grant_set_rights(&grant, text("dlrw")));
    assert_int_equal(grant.rights, GRANT_READ | GRANT_WRITE | GRANT_DELETE | GRANT_LIST);
    static const char *const bad[] = {"", "rr", "rwr", "x", "R", "r w", "r,w", "r\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        grant.rights = 77;
        assert_non_null(grant_set_rights(&grant, text(bad[i])));
        assert_int_equal(grant.rights, 77);
    }
    assert_non_null(grant_set_rights(&grant, (struct spn_bytes){"r\0", 2}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rights_and_names),
        cmocka_unit_test(name_that_ends_in_a_slash_is_one_session),
        cmocka_unit_test(nothing_is_granted_at_first),
        cmocka_unit_test(letters_of_rights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
