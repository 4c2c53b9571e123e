/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_admin_key: the token is good once, the cookie as long as the process lives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "http/admin_key.h"

static unsigned char next_byte;
static spn_err fill_result;

static spn_err fill(void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)bytes)[i] = next_byte++;
    return fill_result;
}

static struct admin_key new_key(void)
{
    struct admin_key key = {.token = ""};
    next_byte = 1;
    fill_result = SPN_OK;
    assert_int_equal(admin_key_renew(&key, fill), SPN_OK);
    return key;
}

static struct spn_bytes bytes_of(const char *text)
{
    return (struct spn_bytes){text, strlen(text)};
}

static void a_token_is_good_once(void **state)
{
    (void)state;
    struct admin_key key = new_key();
    char token[ADMIN_KEY_SIZE];
    memcpy(token, key.token, sizeof(token));
    assert_int_equal(strlen(token), 48);
    assert_memory_equal(token, "0102030405", 10);
    assert_false(admin_key_use(&key, (struct spn_bytes){token, 47}));
    assert_false(admin_key_use(&key, (struct spn_bytes){token, 49}));
    assert_false(admin_key_use(&key, (struct spn_bytes){NULL, 0}));
    token[47] ^= 1;
    assert_false(admin_key_use(&key, bytes_of(token)));
    token[47] ^= 1;
    assert_true(admin_key_use(&key, bytes_of(token)));
    assert_false(admin_key_use(&key, bytes_of(token)));
    assert_false(admin_key_use(&key, (struct spn_bytes){key.token, 48}));
}

static void a_new_token_keeps_the_cookie(void **state)
{
    (void)state;
    struct admin_key key = new_key();
    struct admin_key before = key;
    assert_int_equal(admin_key_renew(&key, fill), SPN_OK);
    assert_string_equal(key.cookie, before.cookie);
    assert_string_not_equal(key.token, before.token);
    assert_string_not_equal(key.token, key.cookie);
    assert_false(admin_key_use(&key, bytes_of(before.token)));
    before = key;
    fill_result = SPN_E_SYSTEM;
    assert_int_equal(admin_key_renew(&key, fill), SPN_E_SYSTEM);
    assert_memory_equal(&key, &before, sizeof(key));
}

/* The cookie stands between the two. */
static const struct row {
    const char *before;
    const char *after;
    bool is_in;
} rows[] = {
    {"sponson-admin=", "", true},
    {"a=b; sponson-admin=", "", true},
    {"sponson-admin=old; sponson-admin=", ";c=d", true},
    {";;=; sponson-admin = ", " ;", true},
    {"sponson-admin=", "0", false},
    {"sponson-admin=;", "", false},
    {"sponson-admin;", "", false},
    {"Sponson-Admin=", "", false},
    {"xsponson-admin=", "", false},
    {"a=sponson-admin=", "", false},
    {"", "", false},
};

static void a_cookie_is_found(void **state)
{
    (void)state;
    struct admin_key key = new_key();
    struct admin_key none = {.token = ""};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char header[256];
        (void)snprintf(header, sizeof(header), "%s%s%s", rows[i].before, key.cookie, rows[i].after);
        if (admin_key_is_in(&key, bytes_of(header)) != rows[i].is_in)
            fail_msg("%s", header);
        assert_false(admin_key_is_in(&none, bytes_of(header)));
    }
    assert_false(admin_key_is_in(&key, (struct spn_bytes){NULL, 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_good_once),
        cmocka_unit_test(a_new_token_keeps_the_cookie),
        cmocka_unit_test(a_cookie_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
