/* SPDX-License-Identifier: Apache-2.0 */
/* test_base64: the standard's examples there and back, and text that is not base64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

/* RFC 4648, section 10, and the digits that differ between the alphabets. */
static const struct {
    struct spn_bytes bytes;
    const char *text;
} base64_cases[] = {
    {BYTES(""), ""},
    {BYTES("f"), "Zg=="},
    {BYTES("fo"), "Zm8="},
    {BYTES("foo"), "Zm9v"},
    {BYTES("foob"), "Zm9vYg=="},
    {BYTES("fooba"), "Zm9vYmE="},
    {BYTES("foobar"), "Zm9vYmFy"},
    {BYTES("\xFB\xEF\xBE\xFF\xFF\xFF"), "++++////"},
    {BYTES("\x00\x10\x83\x10\x51\x87\x20\x92\x8B\x30\xD3\x8F\x41\x14\x93\x51\x55\x97\x61\x96\x9B"
           "\x71\xD7\x9F\x82\x18\xA3\x92\x59\xA7\xA2\x9A\xAB\xB2\xDB\xAF\xC3\x1C\xB3\xD3\x5D\xB7"
           "\xE3\x9E\xBB\xF3\xDF\xBF"),
     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"},
};

static void base64_is_the_standards(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(base64_cases); i++) {
        struct out out;
        out_init(&out, -1);
        base64_put(&out, base64_cases[i].bytes);
        out_put(&out, "", 1);
        assert_string_equal(out.data, base64_cases[i].text);
        out.size = 0;
        assert_true(base64_take(
            (struct spn_bytes){base64_cases[i].text, strlen(base64_cases[i].text)}, &out));
        assert_int_equal(out.size, base64_cases[i].bytes.size);
        assert_memory_equal(out.data, base64_cases[i].bytes.data, out.size);
        out_release(&out);
    }
}

static void other_text_is_refused(void **state)
{
    (void)state;
    static const struct spn_bytes cases[] = {
        BYTES("Z"),        BYTES("Zg"),       BYTES("Zg="),   BYTES("Zm9vYg"),
        BYTES("===="),     BYTES("Z==="),     BYTES("Zg=a"),  BYTES("Zg==Zg=="),
        BYTES("Zm8=Zm9v"), BYTES("Zh=="),     BYTES("Zm9="),  BYTES("Zm-_"),
        BYTES("Zm9v\n"),   BYTES(" Zm9v   "), BYTES("Zm9\0"), BYTES("Zm9\xC3"),
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct out out;
        out_init(&out, -1);
        char *text = malloc(cases[i].size); /* of exactly its size */
        assert_non_null(text);
        memcpy(text, cases[i].data, cases[i].size);
        if (base64_take((struct spn_bytes){text, cases[i].size}, &out))
            fail_msg("%s", (const char *)cases[i].data);
        assert_int_equal(out.size, 0);
        free(text);
        out_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_the_standards),
        cmocka_unit_test(other_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
