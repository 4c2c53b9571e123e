/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_text: what the command line makes of words, and how it shows times and odd bytes.
 *
 * Times are compared with the C library's for every day to the year 9999; UTF-8 is checked for
 * every code point, and behind every length of ASCII, where the eight bytes at a time begin and
 * end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

/* -- UTF-8 ------------------------------------------------------------------------------------- */

static const struct {
    struct spn_bytes bytes;
    bool good;
} utf8_cases[] = {
    {BYTES(""), true},
    {{NULL, 0}, true},
    {BYTES("a"), true},
    {BYTES("\0"), true},
    {BYTES("\xC2\x80"), true},
    {BYTES("\xDF\xBF"), true},
    {BYTES("\xE0\xA0\x80"), true},
    {BYTES("\xED\x9F\xBF"), true},
    {BYTES("\xEF\xBF\xBF"), true},
    {BYTES("\xF0\x90\x80\x80"), true},
    {BYTES("\xF4\x8F\xBF\xBF"), true},
    {BYTES("\x80"), false},             /* a continuation alone */
    {BYTES("\xC0\x80"), false},         /* overlong NUL */
    {BYTES("\xC1\xBF"), false},         /* overlong */
    {BYTES("\xE0\x9F\xBF"), false},     /* overlong */
    {BYTES("\xF0\x8F\xBF\xBF"), false}, /* overlong */
    {BYTES("\xED\xA0\x80"), false},     /* U+D800 */
    {BYTES("\xED\xBF\xBF"), false},     /* U+DFFF */
    {BYTES("\xF4\x90\x80\x80"), false}, /* U+110000 */
    {BYTES("\xF5\x80\x80\x80"), false},
    {BYTES("\xFF"), false},
    {BYTES("\xC2"), false}, /* cut */
    {BYTES("\xE2\x82"), false},
    {BYTES("\xF0\x9F\x98"), false},
    {BYTES("\xC2 "), false},
    {BYTES("\xE2\x82 "), false},
};

static bool is_utf8_at(size_t offset, struct spn_bytes bytes)
{
    char *text = malloc(offset + bytes.size + 1); /* of its size: a read beyond it shows */
    assert_non_null(text);
    memset(text, 'a', offset);
    if (bytes.size > 0)
        memcpy(text + offset, bytes.data, bytes.size);
    bool good = text_is_utf8((struct spn_bytes){text, offset + bytes.size});
    free(text);
    return good;
}

static void utf8_cases_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(utf8_cases); i++)
        for (size_t offset = 0; offset < 20; offset++)
            if (is_utf8_at(offset, utf8_cases[i].bytes) != utf8_cases[i].good)
                fail_msg("case %zu behind %zu bytes", i, offset);
}

static size_t encode(uint32_t code, uint8_t *to)
{
    if (code < 0x80)
        to[0] = (uint8_t)code;
    if (code < 0x80)
        return 1;
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t heads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = length - 1; i > 0; i--) {
        to[i] = (uint8_t)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    to[0] = (uint8_t)(heads[length] | code);
    return length;
}

static void every_code_point_is_judged(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x120000; code++) {
        uint8_t bytes[4];
        size_t size = encode(code, bytes);
        bool surrogate = code >= 0xD800 && code < 0xE000;
        bool good = !surrogate && code < 0x110000;
        if (text_is_utf8((struct spn_bytes){bytes, size}) != good)
            fail_msg("U+%04X", (unsigned)code);
    }
}

/* -- time -------------------------------------------------------------------------------------- */

static const struct {
    uint64_t ms;
    const char *text;
} time_cases[] = {
    {0, "1970-01-01T00:00:00.000Z"},
    {1, "1970-01-01T00:00:00.001Z"},
    {951782400000, "2000-02-29T00:00:00.000Z"},
    {4107542399999, "2100-02-28T23:59:59.999Z"},
    {4107542400000, "2100-03-01T00:00:00.000Z"}, /* no leap day in 2100 */
    {1735689599999, "2024-12-31T23:59:59.999Z"},
    {253402300799999, "9999-12-31T23:59:59.999Z"},
    {253402300800000, "9999-12-31T23:59:59.999Z"},
    {UINT64_MAX, "9999-12-31T23:59:59.999Z"},
};

static void times_read_well(void **state)
{
    (void)state;
    char text[TEXT_TIME_SIZE];
    for (size_t i = 0; i < COUNT(time_cases); i++) {
        text_time(time_cases[i].ms, text);
        assert_string_equal(text, time_cases[i].text);
    }
}

static void every_day_is_the_calendars(void **state)
{
    (void)state;
    for (int64_t day = 0; day * 86400 < 253402300800; day++) {
        int64_t of_day = day * 7919 % 86400;
        time_t seconds = (time_t)(day * 86400 + of_day);
        struct tm parts;
        char expected[TEXT_TIME_SIZE];
        char text[TEXT_TIME_SIZE];
        gmtime_r(&seconds, &parts);
        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.042Z", &parts);
        text_time((uint64_t)seconds * 1000 + 42, text);
        if (strcmp(text, expected) != 0)
            fail_msg("%s is not %s", text, expected);
    }
}

/* -- words ------------------------------------------------------------------------------------- */

static const struct {
    struct spn_bytes bytes;
    const char *text;
} quote_cases[] = {
    {BYTES(""), "''"},
    {{NULL, 0}, "''"},
    {BYTES("abc"), "'abc'"},
    {BYTES("a\nb"), "'a\\x0ab'"},
    {BYTES("\x1b[2J"), "'\\x1b[2J'"},
    {BYTES("\x7f"), "'\\x7f'"},
    {BYTES("\xC3\xA4"), "'\xC3\xA4'"},
    {BYTES("\xC2\x9B"), "'\\xc2\\x9b'"}, /* U+009B begins terminal commands, too */
    {BYTES("\xFF\x00z"), "'\\xff\\x00z'"},
};

static void odd_bytes_are_shown_on_one_line(void **state)
{
    (void)state;
    char text[TEXT_QUOTED_SIZE];
    for (size_t i = 0; i < COUNT(quote_cases); i++)
        assert_string_equal(text_quote(quote_cases[i].bytes, text), quote_cases[i].text);
}

/* Whatever the length: it ends with a quote, fits, and is cut between characters. */
static void long_bytes_are_cut(void **state)
{
    (void)state;
    static const char *const units[] = {"a", "\x01", "\xC3\xA4", "\xF0\x9F\x98\x80"};
    for (size_t unit = 0; unit < COUNT(units); unit++) {
        char bytes[1024];
        size_t size = 0;
        for (; size + 4 <= sizeof(bytes); size += strlen(units[unit])) {
            char *text = malloc(TEXT_QUOTED_SIZE);
            assert_non_null(text);
            text_quote((struct spn_bytes){bytes, size}, text);
            size_t length = strlen(text);
            assert_true(length < TEXT_QUOTED_SIZE);
            assert_int_equal(text[length - 1], '\'');
            assert_true(text_is_utf8((struct spn_bytes){text, length}));
            free(text);
            memcpy(bytes + size, units[unit], strlen(units[unit]));
        }
    }
}

static const struct {
    const char *text;
    const char *why; /* it begins with this; NULL: it is good */
    int ms;
} seconds_cases[] = {
    {"1", NULL, 1000},
    {"0.5", NULL, 500},
    {"0.0001", NULL, 1},
    {"1e3", NULL, 1000000},
    {"250ms", NULL, 250},
    {"0.5ms", NULL, 1},
    {"90s", NULL, 90000},
    {"1.5m", NULL, 90000},
    {"2h", NULL, 7200000},
    {"1d", NULL, 86400000},
    {"366d", NULL, INT32_MAX},
    {"367d", "too large, a year", 0},
    {"1 m", "not a time", 0},
    {"m", "not a time", 0},
    {"31536000", NULL, INT32_MAX}, /* more than milliseconds can say: the most they can */
    {"0", "not a time", 0},
    {"-1", "not a time", 0},
    {"", "not a time", 0},
    {"x", "not a time", 0},
    {"1x", "not a time", 0},
    {"nan", "not a time", 0},
    {"inf", "too large", 0},
    {"1e30", "too large", 0},
    {"99999999999999999999", "too large", 0},
};

static void seconds_are_numbers_above_zero(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(seconds_cases); i++) {
        int ms = -7;
        const char *wanted = seconds_cases[i].why;
        const char *why = text_wait(seconds_cases[i].text, &ms);
        bool same = wanted ? why && strncmp(why, wanted, strlen(wanted)) == 0 : !why;
        if (!same || ms != (wanted ? -7 : seconds_cases[i].ms))
            fail_msg("%s: %d, %s", seconds_cases[i].text, ms, why ? why : "good");
    }
}

static const struct {
    const char *text;
    uint64_t min;
    uint64_t max;
    bool good;
    uint64_t count;
} count_cases[] = {
    {"0", 0, 9, true, 0},
    {"9", 0, 9, true, 9},
    {"007", 0, 9, true, 7},
    {"10", 0, 9, false, 0},
    {"0", 1, 9, false, 0},
    {"", 0, 9, false, 0},
    {"-1", 0, 9, false, 0},
    {"+1", 0, 9, false, 0},
    {" 1", 0, 9, false, 0},
    {"1 ", 0, 9, false, 0},
    {"99999999999999999999999", 0, UINT64_MAX, false, 0},
    {"18446744073709551615", 0, UINT64_MAX, true, UINT64_MAX},
    {"18446744073709551616", 0, UINT64_MAX, false, 0},
    {"18446744073709551620", 0, UINT64_MAX, false, 0},
    {"1844674407370955160", 0, UINT64_MAX, true, 1844674407370955160},
};

static void counts_are_digits_in_a_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(count_cases); i++) {
        uint64_t count = 0;
        bool good = text_count(count_cases[i].text, count_cases[i].min, count_cases[i].max, &count);
        if (good != count_cases[i].good || count != count_cases[i].count)
            fail_msg("%s", count_cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_cases_hold),
        cmocka_unit_test(every_code_point_is_judged),
        cmocka_unit_test(times_read_well),
        cmocka_unit_test(every_day_is_the_calendars),
        cmocka_unit_test(odd_bytes_are_shown_on_one_line),
        cmocka_unit_test(long_bytes_are_cut),
        cmocka_unit_test(seconds_are_numbers_above_zero),
        cmocka_unit_test(counts_are_digits_in_a_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
