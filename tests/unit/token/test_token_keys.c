/* SPDX-License-Identifier: Apache-2.0 */
/* test_token_keys: the text of a set of keys, what is wrong with one, and which keys are gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "token/keys.h"

/* 32 bytes each; TEXT_X is 33, TEXT_31 is 31. */
#define TEXT_A "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define TEXT_B "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define TEXT_C "AgECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define TEXT_X "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"
#define TEXT_31 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg"
#define TEXT_ZEROS "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define PUBLIC "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define KID_64 "0123456789012345678901234567890123456789012345678901234567890123"

static struct spn_bytes text(const char *words)
{
    return (struct spn_bytes){words, strlen(words)};
}

static struct keys *parse(const char *words)
{
    char why[KEYS_WHY_SIZE] = "";
    struct keys *keys = keys_parse(text(words), why);
    if (!keys)
        fail_msg("%s", why);
    return keys;
}

struct row {
    const char *words;
    const char *kids; /* joined with spaces; NULL: it is refused … */
    const char *why;  /* … for this */
};

static const struct row rows[] = {
    {"k:" TEXT_A, "k", NULL},
    {"k:" TEXT_A "\n", "k", NULL},
    {"k:" TEXT_A "\r\n", "k", NULL},
    {"k:" TEXT_A " \t\n", "k", NULL},
    {"\n\n# a\n#\n  \nk:" TEXT_A "\n\nl-_9:" TEXT_B "\n", "k l-_9", NULL},
    {"k:" TEXT_X, "k", NULL},
    {KID_64 ":" TEXT_A, KID_64, NULL},
    {"e:ed25519:" PUBLIC "\nk:" TEXT_A, "e k", NULL},
    {"", NULL, "there are no keys"},
    {"# k:" TEXT_A, NULL, "there are no keys"},
    {"k", NULL, "line 1: does not begin with a key id of A-Z, a-z, 0-9, - and _, and a colon"},
    {"\n:" TEXT_A, NULL,
     "line 2: does not begin with a key id of A-Z, a-z, 0-9, - and _, and a colon"},
    {" k:" TEXT_A, NULL,
     "line 1: does not begin with a key id of A-Z, a-z, 0-9, - and _, and a colon"},
    {"k.1:" TEXT_A, NULL,
     "line 1: does not begin with a key id of A-Z, a-z, 0-9, - and _, and a colon"},
    {KID_64 "4:" TEXT_A, NULL,
     "line 1: does not begin with a key id of A-Z, a-z, 0-9, - and _, and a colon"},
    {"k:", NULL, "line 1: the key is shorter than 32 bytes"},
    {"k:" TEXT_31, NULL, "line 1: the key is shorter than 32 bytes"},
    {"k:" TEXT_A "=", NULL, "line 1: the key is not base64url without padding, or too long"},
    {"k: " TEXT_A, NULL, "line 1: the key is not base64url without padding, or too long"},
    {"k:" TEXT_A "#", NULL, "line 1: the key is not base64url without padding, or too long"},
    {"k:" TEXT_A ":", NULL, "line 1: the key is not base64url without padding, or too long"},
    {"k:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9", NULL,
     "line 1: the key is not base64url without padding, or too long"},
    {"k:" TEXT_X TEXT_X TEXT_X TEXT_X, NULL,
     "line 1: the key is not base64url without padding, or too long"},
    {"k:" TEXT_ZEROS, NULL, "line 1: the key is not random"},
    {"k:ed25519:" TEXT_ZEROS, NULL, "line 1: the key is not random"},
    {"k:ed25519:" TEXT_X, NULL, "line 1: an ed25519 public key has 32 bytes"},
    {"k:ed25519:" TEXT_31, NULL, "line 1: an ed25519 public key has 32 bytes"},
    {"k:ED25519:" PUBLIC, NULL, "line 1: the key is not base64url without padding, or too long"},
    {"k:hs512:" TEXT_A, NULL, "line 1: the key is not base64url without padding, or too long"},
    {"k:" TEXT_A "\nk:" TEXT_B, NULL, "line 2: this key id is there twice"},
    {"k:" TEXT_A "\nl:" TEXT_A, NULL, "line 2: this key is there twice"},
    {"k:ed25519:" PUBLIC "\nl:" PUBLIC, NULL, "line 2: this key is there twice"},
    {"k:" TEXT_A "\nl:x", NULL, "line 2: the key is not base64url without padding, or too long"},
};

static void check_kids(const struct keys *keys, const char *kids)
{
    struct out all;
    out_init(&all, -1);
    for (size_t i = 0; keys_at(keys, i); i++) {
        out_text(&all, i > 0 ? " " : "");
        out_text(&all, key_kid(keys_at(keys, i)));
    }
    assert_int_equal(all.size, strlen(kids));
    assert_memory_equal(all.data, kids, all.size);
    out_release(&all);
}

static void lines_of_the_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char why[KEYS_WHY_SIZE] = "";
        struct keys *keys = keys_parse(text(rows[i].words), why);
        if ((keys != NULL) != (rows[i].kids != NULL))
            fail_msg("row %zu: %s", i, why);
        if (keys)
            check_kids(keys, rows[i].kids);
        else
            assert_string_equal(why, rows[i].why);
        keys_free(keys);
    }
}

static void a_nul_is_refused(void **state)
{
    (void)state;
    char why[KEYS_WHY_SIZE];
    static const char words[] = "k\0:" TEXT_A;
    assert_null(keys_parse((struct spn_bytes){words, sizeof(words) - 1}, why));
    static const char after[] = "k:" TEXT_A "\0";
    assert_null(keys_parse((struct spn_bytes){after, sizeof(after) - 1}, why));
}

/* `count` keys that differ, the first is_public of them public. Which bytes a public key has is not
 * checked before it is used. */
static struct keys *parse_many(size_t count, size_t public_count, char why[KEYS_WHY_SIZE])
{
    struct out words;
    out_init(&words, -1);
    for (size_t i = 0; i < count; i++) {
        char line[80];
        (void)snprintf(line, sizeof(line), "k%zu:%s%02zu%s\n", i,
                       i < public_count ? "ed25519:" : "", i, &TEXT_A[2]);
        out_text(&words, line);
    }
    struct keys *keys = keys_parse((struct spn_bytes){words.data, words.size}, why);
    out_release(&words);
    return keys;
}

static void numbers_are_bounded(void **state)
{
    (void)state;
    char why[KEYS_WHY_SIZE] = "";
    struct keys *keys = parse_many(KEYS_MAX, KEYS_PUBLIC_MAX, why);
    assert_non_null(keys);
    assert_int_equal(keys_count(keys), KEYS_MAX);
    assert_null(keys_at(keys, KEYS_MAX));
    keys_free(keys);
    assert_null(parse_many(KEYS_MAX + 1, 0, why));
    assert_string_equal(why, "line 33: more than 32 keys");
    assert_null(parse_many(KEYS_PUBLIC_MAX + 1, KEYS_PUBLIC_MAX + 1, why));
    assert_string_equal(why, "line 9: more than 8 public keys");
}

static void keys_are_found(void **state)
{
    (void)state;
    struct keys *keys = parse("e:ed25519:" PUBLIC "\nk:" TEXT_A "\nk2:" TEXT_B);
    assert_string_equal(key_kid(keys_find(keys, text("k2"))), "k2");
    assert_string_equal(key_kid(keys_signer(keys)), "k");
    assert_true(key_is_public(keys_find(keys, text("e"))));
    assert_null(keys_find(keys, text("k3")));
    assert_null(keys_find(keys, text("")));
    assert_null(keys_find(keys, (struct spn_bytes){"k\0", 2}));
    keys_free(keys);
    keys = parse("e:ed25519:" PUBLIC);
    assert_null(keys_signer(keys));
    keys_free(keys);
}

/* A key is gone if its kid is, if its bytes changed, or if it proves something else now. */
static void a_mark_names_a_key_that_is_unchanged(void **state)
{
    (void)state;
    struct keys *before =
        parse("stays:" TEXT_A "\ngoes:" TEXT_B "\nchanges:" TEXT_C "\nkind:" PUBLIC);
    struct keys *now =
        parse("new:" TEXT_X "\nkind:ed25519:" PUBLIC "\nchanges:" TEXT_B "\nstays:" TEXT_A);
    assert_false(keys_have(now, key_mark(keys_find(before, text("goes")))));
    assert_false(keys_have(now, key_mark(keys_find(before, text("kind")))));
    assert_true(keys_have(now, key_mark(keys_find(before, text("stays")))));
    assert_false(keys_have(now, key_mark(keys_find(before, text("changes")))));
    keys_free(before);
    keys_free(now);
}

static void new_ones_are_taken_and_differ(void **state)
{
    (void)state;
    struct out out;
    out_init(&out, -1);
    assert_int_equal(key_put_new(text("a"), &out), SPN_OK);
    assert_int_equal(key_put_new(text(KID_64), &out), SPN_OK);
    char why[KEYS_WHY_SIZE] = "";
    struct keys *keys = keys_parse((struct spn_bytes){out.data, out.size}, why);
    assert_non_null(keys);
    check_kids(keys, "a " KID_64);
    keys_free(keys);
    assert_int_equal(key_put_new(text(""), &out), SPN_E_INVALID);
    assert_int_equal(key_put_new(text("a.b"), &out), SPN_E_INVALID);
    assert_int_equal(key_put_new(text(KID_64 "4"), &out), SPN_E_INVALID);
    out_release(&out);
}

/* Which MAC it is, the vectors say: see test_token. */
static void a_secret_signs(void **state)
{
    (void)state;
    struct keys *keys = parse("k:" TEXT_A "\ne:ed25519:" PUBLIC);
    uint8_t mac[KEY_MAC_SIZE];
    const struct key *key = keys_signer(keys);
    assert_true(key_sign(key, text("a"), mac));
    assert_false(key_sign(keys_find(keys, text("e")), text("a"), mac));
    assert_false(key_proves(key, text("a"), text("")));
    assert_false(key_proves(keys_find(keys, text("e")), text("a"), text("")));
    keys_free(keys);
    keys_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_the_text),
        cmocka_unit_test(a_nul_is_refused),
        cmocka_unit_test(numbers_are_bounded),
        cmocka_unit_test(keys_are_found),
        cmocka_unit_test(a_mark_names_a_key_that_is_unchanged),
        cmocka_unit_test(new_ones_are_taken_and_differ),
        cmocka_unit_test(a_secret_signs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
