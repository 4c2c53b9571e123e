/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_credential: where the token of a request comes from, and the answers without one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sponson.h"

#include "http/credential.h"

struct header {
    bool (*take)(struct credential *, struct spn_bytes, struct problem *);
    const char *value;
};

#define BEARER(value)                                                                              \
    {                                                                                              \
        credential_take_authorization, value                                                       \
    }
#define COOKIE(value)                                                                              \
    {                                                                                              \
        credential_take_cookie, value                                                              \
    }
#define QUERY(value)                                                                               \
    {                                                                                              \
        credential_take_query, value                                                               \
    }

struct row {
    struct header headers[3]; /* in the order in which they are seen */
    const char *token;        /* NULL: there is none, or … */
    const char *detail;       /* … the request is refused for this */
    enum credential_place place;
    bool in_cookie;
};

#define NONE_IN(place) place " has no token"

static const struct row rows[] = {
    {.headers = {{0}}},
    {{BEARER("Bearer a.b")}, "a.b", NULL, CREDENTIAL_BEARER, false},
    {{BEARER("bearer  a.b ")}, "a.b", NULL, CREDENTIAL_BEARER, false},
    {{BEARER("BEARER\ta")}, "a", NULL, CREDENTIAL_BEARER, false},
    {{BEARER("Bearer")}, NULL, NONE_IN("Authorization: Bearer"), 0, false},
    {{BEARER("Bearer ")}, NULL, NONE_IN("Authorization: Bearer"), 0, false},
    {{BEARER("Bearera")}, NULL, NULL, 0, false},
    {{BEARER("Basic YTpi")}, NULL, NULL, 0, false},
    {{BEARER("")}, NULL, NULL, 0, false},
    {{BEARER("Basic YTpi"), COOKIE("sponson-token=a")}, "a", NULL, CREDENTIAL_COOKIE, true},
    {{BEARER("Bearer a"), BEARER("Bearer a")}, "a", NULL, CREDENTIAL_BEARER, false},
    {{BEARER("Bearer a"), BEARER("Bearer b")},
     NULL,
     "two tokens that differ: one in Authorization: Bearer, one in Authorization: Bearer",
     0,
     false},
    {{BEARER("Bearer a, Bearer a")}, "a, Bearer a", NULL, CREDENTIAL_BEARER, false},
    {{COOKIE("sponson-token=a")}, "a", NULL, CREDENTIAL_COOKIE, true},
    {{COOKIE("x=1; sponson-token=a; y=2")}, "a", NULL, CREDENTIAL_COOKIE, true},
    {{COOKIE("x=1;sponson-token=a;")}, "a", NULL, CREDENTIAL_COOKIE, true},
    {{COOKIE(" ;; sponson-token=\"a\" ;")}, "a", NULL, CREDENTIAL_COOKIE, true},
    {{COOKIE("sponson-token=\"")}, "\"", NULL, CREDENTIAL_COOKIE, true},
    {{COOKIE("sponson-token=a=b")}, "a=b", NULL, CREDENTIAL_COOKIE, true},
    {{COOKIE("sponson-token=")}, NULL, NONE_IN("the cookie sponson-token"), 0, false},
    {{COOKIE("sponson-token=\"\"")}, NULL, NONE_IN("the cookie sponson-token"), 0, false},
    {{COOKIE("sponson-token")}, NULL, NULL, 0, false},
    {{COOKIE("Sponson-Token=a")}, NULL, NULL, 0, false},
    {{COOKIE("xsponson-token=a")}, NULL, NULL, 0, false},
    {{COOKIE("sponson-tokens=a")}, NULL, NULL, 0, false},
    {{COOKIE("x=sponson-token=a")}, NULL, NULL, 0, false},
    {{COOKIE("")}, NULL, NULL, 0, false},
    {{COOKIE(";")}, NULL, NULL, 0, false},
    {{COOKIE("sponson-token=a; sponson-token=a")}, "a", NULL, CREDENTIAL_COOKIE, true},
    {{COOKIE("sponson-token=a; sponson-token=b")},
     NULL,
     "two tokens that differ: one in the cookie sponson-token, one in the cookie sponson-token",
     0,
     false},
    {{COOKIE("sponson-token=a"), COOKIE("sponson-token=b")},
     NULL,
     "two tokens that differ: one in the cookie sponson-token, one in the cookie sponson-token",
     0,
     false},
    {{QUERY("a")}, "a", NULL, CREDENTIAL_QUERY, false},
    {{QUERY("")}, NULL, NONE_IN("?token="), 0, false},
    {{QUERY("a"), BEARER("Bearer a")}, "a", NULL, CREDENTIAL_BEARER, false},
    {{QUERY("a"), COOKIE("sponson-token=a")}, "a", NULL, CREDENTIAL_COOKIE, true},
    {{QUERY("a"), COOKIE("sponson-token=a"), BEARER("Bearer a")},
     "a",
     NULL,
     CREDENTIAL_BEARER,
     true},
    {{COOKIE("sponson-token=a"), BEARER("Bearer b")},
     NULL,
     "two tokens that differ: one in the cookie sponson-token, one in Authorization: Bearer",
     0,
     false},
    {{BEARER("Bearer a"), QUERY("ab")},
     NULL,
     "two tokens that differ: one in Authorization: Bearer, one in ?token=",
     0,
     false},
    {{BEARER("Bearer a"), COOKIE("sponson-token=a"), QUERY("b")},
     NULL,
     "two tokens that differ: one in Authorization: Bearer, one in ?token=",
     0,
     false},
};

static bool take_all(const struct row *row, struct credential *credential, char *copies[3],
                     struct problem *problem)
{
    for (size_t i = 0; i < 3 && row->headers[i].take; i++) {
        size_t size = strlen(row->headers[i].value);
        copies[i] = malloc(size > 0 ? size : 1);
        assert_non_null(copies[i]);
        memcpy(copies[i], row->headers[i].value, size);
        if (!row->headers[i].take(credential, (struct spn_bytes){copies[i], size}, problem))
            return false;
    }
    return true;
}

static void places(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct credential credential = {0};
        struct problem problem = {0};
        char *copies[3] = {NULL, NULL, NULL};
        bool taken = take_all(&rows[i], &credential, copies, &problem);
        if (taken != !rows[i].detail)
            fail_msg("row %zu: %s", i, taken ? "taken" : problem.detail);
        if (!taken) {
            assert_int_equal(problem.status, 400);
            assert_string_equal(problem.detail, rows[i].detail);
        } else {
            size_t size = rows[i].token ? strlen(rows[i].token) : 0;
            assert_int_equal(credential.place, rows[i].place);
            assert_int_equal(credential.in_cookie, rows[i].in_cookie);
            assert_int_equal(credential.token.size, size);
            if (size > 0)
                assert_memory_equal(credential.token.data, rows[i].token, size);
        }
        for (size_t j = 0; j < 3; j++)
            free(copies[j]);
    }
}

static void check_says_why(void **state)
{
    (void)state;
    char why[KEYS_WHY_SIZE];
    struct problem problem = {0};
    struct credential credential = {0};
    struct grant grant = {.rights = GRANT_LIST, .is_prefix = true, .expires_s = 3600};
    struct grant found = {0};
    struct out out;
    struct keys *keys = keys_parse(spn_text("k:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"), why);
    assert_non_null(keys);
    assert_false(credential_check(&credential, keys, 0, &found, &problem));
    assert_int_equal(problem.status, 401);
    assert_string_equal(
        problem.detail,
        "a token is needed: Authorization: Bearer, the cookie sponson-token, or ?token=");
    out_init(&out, -1);
    assert_true(token_make(keys_signer(keys), &grant, &out));
    assert_true(
        credential_take_query(&credential, (struct spn_bytes){out.data, out.size}, &problem));
    assert_true(credential_check(&credential, keys, 3599, &found, &problem));
    assert_int_equal(found.rights, GRANT_LIST);
    assert_false(credential_check(&credential, keys, 3600, &found, &problem));
    assert_int_equal(problem.status, 401);
    assert_string_equal(problem.code, "SPN_E_DENIED");
    assert_string_equal(problem.detail, "the token in ?token=: it has expired");
    keys_free(keys);
    out_release(&out);
}

/* Time is linear in the size of a header: two million pairs are seen once each. */
static void many_cookies(void **state)
{
    (void)state;
    enum { PAIRS = 2000000 };
    struct credential credential = {0};
    struct problem problem;
    char *value = malloc((size_t)PAIRS * 2);
    assert_non_null(value);
    for (size_t i = 0; i < (size_t)PAIRS * 2; i++)
        value[i] = i % 2 ? ';' : ' ';
    assert_true(credential_take_cookie(&credential, (struct spn_bytes){value, (size_t)PAIRS * 2},
                                       &problem));
    memset(value, ' ', (size_t)PAIRS * 2);
    assert_true(credential_take_cookie(&credential, (struct spn_bytes){value, (size_t)PAIRS * 2},
                                       &problem));
    assert_int_equal(credential.place, CREDENTIAL_NONE);
    free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places),
        cmocka_unit_test(check_says_why),
        cmocka_unit_test(many_cookies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
