/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_word: words are compared, cut and decoded as the standards say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "http/word.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const struct decode_row {
    const char *name;
    struct spn_bytes text;
    bool good;
    struct spn_bytes decoded;
} decode_rows[] = {
    {"nothing to decode", BYTES("a+b"), true, BYTES("a+b")},
    {"empty", BYTES(""), true, BYTES("")},
    {"both cases", BYTES("%2f%2F"), true, BYTES("//")},
    {"every part of a byte", BYTES("%00%fF%A0"), true, BYTES("\0\xFF\xA0")},
    {"once only", BYTES("%252F"), true, BYTES("%2F")},
    {"escape at the end", BYTES("ab%41"), true, BYTES("abA")},
    {"only a percent", BYTES("%"), false, BYTES("")},
    {"one digit", BYTES("a%4"), false, BYTES("")},
    {"second is no digit", BYTES("%4g"), false, BYTES("")},
    {"first is no digit", BYTES("%g4"), false, BYTES("")},
    {"sign", BYTES("%+4"), false, BYTES("")},
    {"percent in an escape", BYTES("%4%41"), false, BYTES("")},
};

static void decode_row(void **state)
{
    const struct decode_row *row = *state;
    size_t size = row->text.size;
    char *text = malloc(size > 0 ? size : 1);
    assert_non_null(text);
    memcpy(text, row->text.data, size);
    assert_int_equal(word_decode(text, &size), row->good);
    if (row->good)
        assert_true(word_equals((struct spn_bytes){text, size}, row->decoded));
    free(text);
}

static void every_byte_is_decoded(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++) {
        static const char digits[] = "0123456789abcdef";
        char text[3] = {'%', digits[i >> 4], digits[i & 15]};
        size_t size = sizeof(text);
        assert_true(word_decode(text, &size));
        assert_int_equal(size, 1);
        assert_int_equal((unsigned char)text[0], i);
    }
}

static const struct text_row {
    const char *name;
    struct spn_bytes text;
    bool good;
} text_rows[] = {
    {"ascii", BYTES("a b/c"), true},
    {"utf-8", BYTES("\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"), true},
    {"nul", BYTES("a\0b"), false},
    {"lf", BYTES("a\n"), false},
    {"del", BYTES("\x7F"), false},
    {"u+0080", BYTES("a\xC2\x80"), false},
    {"u+009f",
     BYTES("\xC2\x9F"
           "a"),
     false},
    {"u+00a0", BYTES("\xC2\xA0"), true},
    {"high byte alone", BYTES("\xFF"), false},
    {"cut character", BYTES("a\xC3"), false},
    {"overlong slash", BYTES("\xC0\xAF"), false},
    {"surrogate", BYTES("\xED\xA0\x80"), false},
};

static void text_row(void **state)
{
    const struct text_row *row = *state;
    assert_int_equal(word_is_text(row->text), row->good);
}

static void compares(void **state)
{
    (void)state;
    const struct spn_bytes word = BYTES("Ab");
    const struct spn_bytes none = {NULL, 0};
    assert_true(word_is(word, "Ab"));
    assert_false(word_is(word, "ab"));
    assert_false(word_is(word, "A"));
    assert_false(word_is(word, "Abc"));
    assert_true(word_is_caseless(word, "aB"));
    assert_false(word_is_caseless(word, "aBc"));
    assert_true(word_is(none, ""));
    assert_false(word_is_caseless((struct spn_bytes)BYTES("[@"), "{`"));
}

static void cuts(void **state)
{
    (void)state;
    struct spn_bytes rest = BYTES("a,,\"b,\\\",c\",");
    assert_true(word_is(word_cut(&rest, ','), "a"));
    assert_true(word_is(word_cut(&rest, ','), ""));
    assert_true(word_is(word_cut_unquoted(&rest, ','), "\"b,\\\",c\""));
    assert_non_null(rest.data);
    assert_true(word_is(word_cut(&rest, ','), ""));
    assert_null(rest.data);
    struct spn_bytes open = BYTES("\"a,b\\");
    assert_true(word_is(word_cut_unquoted(&open, ','), "\"a,b\\"));
    assert_null(open.data);
}

static void trims(void **state)
{
    (void)state;
    assert_true(word_is(word_trim((struct spn_bytes)BYTES(" \ta b\t ")), "a b"));
    assert_int_equal(word_trim((struct spn_bytes)BYTES(" \t ")).size, 0);
    assert_int_equal(word_trim((struct spn_bytes){NULL, 0}).size, 0);
}

static void tokens(void **state)
{
    (void)state;
    assert_true(word_is_token((struct spn_bytes)BYTES("a-Z0.9!#$%&'*+^_`|~")));
    assert_false(word_is_token((struct spn_bytes)BYTES("")));
    assert_false(word_is_token((struct spn_bytes)BYTES("a b")));
    assert_false(word_is_token((struct spn_bytes)BYTES("a\0")));
    assert_false(word_is_token((struct spn_bytes)BYTES("a/b")));
    assert_false(word_is_token((struct spn_bytes)BYTES("\xC3\xA4")));
}

int main(void)
{
    struct CMUnitTest tests[COUNT(decode_rows) + COUNT(text_rows) + 5];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(decode_rows); i++)
        tests[count++] = (struct CMUnitTest){decode_rows[i].name, decode_row, NULL, NULL,
                                             (void *)&decode_rows[i]};
    for (size_t i = 0; i < COUNT(text_rows); i++)
        tests[count++] =
            (struct CMUnitTest){text_rows[i].name, text_row, NULL, NULL, (void *)&text_rows[i]};
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(every_byte_is_decoded);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(compares);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(cuts);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(trims);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(tokens);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
