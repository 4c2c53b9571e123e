/* SPDX-License-Identifier: Apache-2.0 */
/* test_token: every token of tests/data/tokens.json is taken with its grant, or refused with its
 * words; and a changed one is never taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sponson.h"

#include "token/token.h"

struct vectors {
    json_t *json;
    struct keys *keys;
    uint64_t now_s;
};

static int setup(void **state)
{
    static struct vectors vectors;
    char why[KEYS_WHY_SIZE] = "";
    json_error_t error;
    vectors.json = json_load_file(TOKENS_JSON, JSON_ALLOW_NUL, &error);
    *state = &vectors;
    if (!vectors.json) {
        (void)fprintf(stderr, "%s: %s\n", TOKENS_JSON, error.text);
        return -1;
    }
    vectors.now_s = (uint64_t)json_integer_value(json_object_get(vectors.json, "now"));
    vectors.keys =
        keys_parse(spn_text(json_string_value(json_object_get(vectors.json, "keys"))), why);
    if (!vectors.keys)
        (void)fprintf(stderr, "keys: %s\n", why);
    return vectors.keys ? 0 : -1;
}

static int teardown(void **state)
{
    struct vectors *vectors = *state;
    json_decref(vectors->json);
    keys_free(vectors->keys);
    return 0;
}

static struct spn_bytes bytes_at(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return (struct spn_bytes){json_string_value(value), json_string_length(value)};
}

/* From memory of its exact size, so that the sanitizer sees a read beyond it. */
static const char *check(const struct vectors *vectors, uint64_t now_s, struct spn_bytes text,
                         struct grant *ret_grant)
{
    char *copy = text.size > 0 ? malloc(text.size) : NULL;
    assert_true(copy != NULL || text.size == 0);
    if (copy)
        memcpy(copy, text.data, text.size);
    const char *why =
        token_check(vectors->keys, now_s, (struct spn_bytes){copy, text.size}, ret_grant);
    free(copy);
    return why;
}

static unsigned rights_of(struct spn_bytes letters)
{
    struct grant grant = {0};
    assert_null(grant_set_rights(&grant, letters));
    return grant.rights;
}

static void assert_grant(const struct grant *grant, const json_t *row)
{
    bool is_prefix = json_object_get(row, "p") != NULL;
    struct spn_bytes name = bytes_at(row, is_prefix ? "p" : "n");
    assert_int_equal(grant->is_prefix, is_prefix);
    assert_int_equal(grant->name_size, name.size);
    assert_memory_equal(grant->name, name.data, name.size);
    assert_int_equal(grant->rights, rights_of(bytes_at(row, "rights")));
    assert_int_equal(grant->expires_s, json_integer_value(json_object_get(row, "exp")));
}

static void good_ones_are_taken(void **state)
{
    const struct vectors *vectors = *state;
    const json_t *rows = json_object_get(vectors->json, "good");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        struct grant grant = {0};
        const char *why = check(vectors, vectors->now_s, bytes_at(row, "token"), &grant);
        if (why)
            fail_msg("%s: %s", json_string_value(json_object_get(row, "name")), why);
        assert_grant(&grant, row);
        assert_true(keys_have(vectors->keys, grant.key_mark));
        assert_null(check(vectors, grant.expires_s - 1, bytes_at(row, "token"), &grant));
        assert_string_equal(check(vectors, grant.expires_s, bytes_at(row, "token"), &grant),
                            "it has expired");
    }
    assert_true(json_array_size(rows) > 20);
}

static void bad_ones_are_refused(void **state)
{
    const struct vectors *vectors = *state;
    const json_t *rows = json_object_get(vectors->json, "bad");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *name = json_string_value(json_object_get(row, "name"));
        struct grant grant = {.rights = 77};
        const char *why = check(vectors, vectors->now_s, bytes_at(row, "token"), &grant);
        if (!why || strcmp(why, json_string_value(json_object_get(row, "why"))) != 0)
            fail_msg("%s: %s", name, why ? why : "taken");
        assert_int_equal(grant.rights, 77);
    }
    assert_true(json_array_size(rows) > 140);
}

static void made_ones_are_those_of_the_table(void **state)
{
    const struct vectors *vectors = *state;
    const json_t *row;
    const json_t *rows = json_object_get(vectors->json, "good");
    size_t made = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        struct grant grant = {0};
        struct out out;
        row = json_array_get(rows, i);
        struct spn_bytes token = bytes_at(row, "token");
        assert_null(check(vectors, vectors->now_s, token, &grant));
        if (strcmp(json_string_value(json_object_get(row, "kind")), "session") != 0)
            continue;
        const char *line = json_string_value(json_object_get(row, "line"));
        struct spn_bytes kid = {line, strcspn(line, ":")};
        out_init(&out, -1);
        assert_true(token_make(keys_find(vectors->keys, kid), &grant, &out));
        /* Rights are written in one order, whatever the order in the row. */
        if (strcmp(json_string_value(json_object_get(row, "rights")), "lw") != 0) {
            assert_int_equal(out.size, token.size);
            assert_memory_equal(out.data, token.data, token.size);
        }
        struct grant again = {0};
        assert_null(check(vectors, vectors->now_s, (struct spn_bytes){out.data, out.size}, &again));
        assert_grant(&again, row);
        out_release(&out);
        made++;
    }
    assert_true(made > 8);
}

/* One character, one by one: a token has one text. */
static void no_change_is_taken(void **state)
{
    const struct vectors *vectors = *state;
    static const char others[] = "AQgw09-_=+/. \n\x00\xFF";
    const json_t *rows = json_object_get(vectors->json, "good");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        struct grant grant;
        struct spn_bytes token = bytes_at(json_array_get(rows, i), "token");
        char *copy = malloc(token.size);
        assert_non_null(copy);
        memcpy(copy, token.data, token.size);
        for (size_t at = 0; at < token.size; at++) {
            char was = copy[at];
            copy[at] = others[(at + i) % (sizeof(others) - 1)];
            if (copy[at] != was)
                assert_non_null(token_check(vectors->keys, vectors->now_s,
                                            (struct spn_bytes){copy, token.size}, &grant));
            copy[at] = was;
            assert_non_null(check(vectors, vectors->now_s, (struct spn_bytes){copy, at}, &grant));
        }
        free(copy);
    }
}

static void public_keys_make_none(void **state)
{
    const struct vectors *vectors = *state;
    struct grant grant = {.rights = GRANT_READ, .name_size = 1, .name = "a", .expires_s = 1};
    struct out out;
    out_init(&out, -1);
    assert_false(token_make(keys_find(vectors->keys, spn_text("e1")), &grant, &out));
    out_release(&out);
}

static void same_is_byte_by_byte(void **state)
{
    (void)state;
    assert_true(token_is_same(spn_text("ab"), spn_text("ab")));
    assert_true(token_is_same(spn_text(""), (struct spn_bytes){NULL, 0}));
    assert_false(token_is_same(spn_text("ab"), spn_text("aB")));
    assert_false(token_is_same(spn_text("ab"), spn_text("abc")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones_are_taken),
        cmocka_unit_test(bad_ones_are_refused),
        cmocka_unit_test(made_ones_are_those_of_the_table),
        cmocka_unit_test(no_change_is_taken),
        cmocka_unit_test(public_keys_make_none),
        cmocka_unit_test(same_is_byte_by_byte),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
