/* SPDX-License-Identifier: Apache-2.0 */
/* test_client_cursor: lives and cursors as text, there and back; and what is not one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "sponson.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LIFE "000102030405060708090a0b0c0d0eff"

static const struct spn_life life = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255}};

static const struct row {
    const char *name;
    const char *text;
    spn_err err;
    uint64_t seq;
} rows[] = {
    {"a cursor", "spn:" LIFE ":42", SPN_OK, 42},
    {"before the first event", "spn:" LIFE ":0", SPN_OK, 0},
    {"the last seq there is", "spn:" LIFE ":18446744073709551615", SPN_OK, UINT64_MAX},
    {"a seq beyond 64 bits", "spn:" LIFE ":18446744073709551616", SPN_E_INVALID, 0},
    {"a seq far beyond", "spn:" LIFE ":99999999999999999999", SPN_E_INVALID, 0},
    {"a leading zero", "spn:" LIFE ":042", SPN_E_INVALID, 0},
    {"two zeros", "spn:" LIFE ":00", SPN_E_INVALID, 0},
    {"a sign", "spn:" LIFE ":+4", SPN_E_INVALID, 0},
    {"a seq in hexadecimal", "spn:" LIFE ":4a", SPN_E_INVALID, 0},
    {"no seq", "spn:" LIFE ":", SPN_E_INVALID, 0},
    {"no colon", "spn:" LIFE, SPN_E_INVALID, 0},
    {"another colon", "spn:" LIFE "-4", SPN_E_INVALID, 0},
    {"something after it", "spn:" LIFE ":4 ", SPN_E_INVALID, 0},
    {"digits in upper case", "spn:000102030405060708090A0B0C0D0EFF:4", SPN_E_INVALID, 0},
    {"a digit too few", "spn:000102030405060708090a0b0c0d0ef:44", SPN_E_INVALID, 0},
    {"no digit", "spn:g00102030405060708090a0b0c0d0eff:4", SPN_E_INVALID, 0},
    {"another prefix", "spm:" LIFE ":4", SPN_E_INVALID, 0},
    {"nothing", "", SPN_E_INVALID, 0},
    {"an id", "42", SPN_E_INVALID, 0},
};

/* Lies in a block of its size, so that a sanitizer sees a read beyond. */
static void cursor(void **state)
{
    const struct row *row = *state;
    struct spn_life got = {{7}};
    uint64_t seq = 7;
    size_t size = strlen(row->text);
    char *copy = malloc(size + (size == 0));
    assert_non_null(copy);
    memcpy(copy, row->text, size);
    assert_int_equal(spn_cursor_parse((struct spn_bytes){copy, size}, &got, &seq), row->err);
    free(copy);
    if (row->err != SPN_OK) {
        assert_int_equal(seq, 7);
        assert_int_equal(got.bytes[0], 7);
        return;
    }
    assert_int_equal(seq, row->seq);
    assert_memory_equal(&got, &life, sizeof(life));
    char text[SPN_CURSOR_TEXT_SIZE];
    spn_cursor_format(&life, seq, text);
    assert_string_equal(text, row->text);
}

static void life_alone(void **state)
{
    (void)state;
    char text[SPN_LIFE_TEXT_SIZE];
    struct spn_life got;
    spn_life_format(&life, text);
    assert_string_equal(text, LIFE);
    assert_int_equal(spn_life_parse(spn_text(LIFE), &got), SPN_OK);
    assert_memory_equal(&got, &life, sizeof(life));
    assert_int_equal(spn_life_parse(spn_text(LIFE "0"), &got), SPN_E_INVALID);
    assert_int_equal(spn_life_parse(spn_text(""), &got), SPN_E_INVALID);
    assert_int_equal(spn_life_parse(spn_text(LIFE), NULL), SPN_E_INVALID);
    uint64_t seq;
    assert_int_equal(spn_cursor_parse(spn_text(NULL), &got, &seq), SPN_E_INVALID);
    assert_int_equal(spn_cursor_parse(spn_text("spn:" LIFE ":1"), NULL, &seq), SPN_E_INVALID);
    assert_int_equal(spn_cursor_parse(spn_text("spn:" LIFE ":1"), &got, NULL), SPN_E_INVALID);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 1];
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] =
            (struct CMUnitTest){rows[i].name, cursor, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    tests[COUNT(rows)] = (struct CMUnitTest)cmocka_unit_test(life_alone);
    return _cmocka_run_group_tests("cursor", tests, COUNT(tests), NULL, NULL);
}
