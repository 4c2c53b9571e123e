/* SPDX-License-Identifier: Apache-2.0 */
/* test_base64url: bytes have one text each, and no other text is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/base64.h"

struct row {
    const char *bytes;
    const char *text;
};

/* RFC 4648, section 10, and the two characters that differ from base64. */
static const struct row rows[] = {
    {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
    {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xFB\xFF\xFE", "-__-"},
};

static void both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct out out;
        uint8_t bytes[8];
        size_t size = 99;
        size_t bytes_size = strlen(rows[i].bytes);
        out_init(&out, -1);
        base64url_put(&out, (struct spn_bytes){rows[i].bytes, bytes_size});
        assert_int_equal(out.size, strlen(rows[i].text));
        assert_int_equal(out.size, BASE64URL_SIZE(bytes_size));
        if (out.size > 0)
            assert_memory_equal(out.data, rows[i].text, out.size);
        out_release(&out);
        struct spn_bytes text = {rows[i].text, strlen(rows[i].text)};
        assert_true(base64url_read(text, bytes, bytes_size, &size));
        assert_int_equal(size, bytes_size);
        assert_memory_equal(bytes, rows[i].bytes, size);
        if (bytes_size > 0)
            assert_false(base64url_read(text, bytes, bytes_size - 1, &size));
    }
}

static void others_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "A",    "AAAAA", "Zg=",  "Zg==", "Zm8=", "Zh",   "Zv",    "Zm9", "Zm-",  "Zm9v=",
        "-__+", "-_/-",  "Zm 9", " Zg",  "Zg ",  "Zg\n", "Zm9v.", "=",   "====", "Z\xC3\xA9",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t bytes[8];
        size_t size = 99;
        assert_false(base64url_read((struct spn_bytes){bad[i], strlen(bad[i])}, bytes,
                                    sizeof(bytes), &size));
        assert_int_equal(size, 99);
    }
    uint8_t bytes[8];
    size_t size;
    assert_false(base64url_read((struct spn_bytes){"Z\0", 2}, bytes, sizeof(bytes), &size));
}

/* Of all texts of two characters those are taken that some byte has. */
static void one_text_a_byte(void **state)
{
    (void)state;
    size_t taken = 0;
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            const uint8_t text[] = {(uint8_t)first, (uint8_t)second};
            uint8_t byte;
            char again[2];
            size_t size;
            if (!base64url_read((struct spn_bytes){text, 2}, &byte, 1, &size))
                continue;
            base64url_write((struct spn_bytes){&byte, 1}, again);
            assert_memory_equal(again, text, 2);
            taken++;
        }
    assert_int_equal(taken, 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(one_text_a_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
