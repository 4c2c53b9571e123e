/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_look: numbers and times as a person reads them, cut names, progress, and moments of the
 * past. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "cli/look.h"
#include "cli/progress.h"
#include "cli/since.h"
#include "sponson.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

typedef char *look_call(uint64_t number, char *ret_text);

static const struct {
    look_call *call;
    uint64_t number;
    const char *text;
} numbers[] = {
    {look_bytes, 0, "0 B"},
    {look_bytes, 1023, "1023 B"},
    {look_bytes, 1024, "1.00 KiB"},
    {look_bytes, 1536, "1.50 KiB"},
    {look_bytes, 10235, "10.0 KiB"},
    {look_bytes, 102400, "100 KiB"},
    {look_bytes, 1048575, "1.00 MiB"},
    {look_bytes, UINT64_MAX, "16.0 EiB"},
    {look_short, 999, "999"},
    {look_short, 1000, "1.00 k"},
    {look_short, 999999, "1.00 M"},
    {look_short, 12345678, "12.3 M"},
    {look_count, 0, "0"},
    {look_count, 999, "999"},
    {look_count, 1000, "1,000"},
    {look_count, UINT64_MAX, "18,446,744,073,709,551,615"},
    {look_amount, 9999999, "9,999,999"},
    {look_amount, 10000000, "10.0 M"},
    {look_span, 0, "0 ms"},
    {look_span, 999, "999 ms"},
    {look_span, 1000, "1 s"},
    {look_span, 1550, "1.5 s"},
    {look_span, 59999, "59.9 s"},
    {look_span, MINUTE, "1 min"},
    {look_span, MINUTE + 30 * SECOND, "1 min 30 s"},
    {look_span, 2 * HOUR + 5 * MINUTE + 9, "2 h 5 min"},
    {look_span, 3 * DAY + 4 * HOUR, "3 d 4 h"},
    {look_span, UINT64_MAX, "213503982334 d 14 h"},
};

static void numbers_are_short(void **state)
{
    char text[LOOK_TEXT_SIZE];
    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++)
        assert_string_equal(numbers[i].call(numbers[i].number, text), numbers[i].text);
}

#define NOW (UINT64_C(1764504000000)) /* 2025-11-30T12:00:00Z */

static const struct {
    uint64_t time_ms;
    const char *text;
} ages[] = {
    {NOW + 5, "now"},
    {NOW, "now"},
    {NOW - 999, "now"},
    {NOW - SECOND, "1 s ago"},
    {NOW - 59 * SECOND, "59 s ago"},
    {NOW - 61 * SECOND, "1 min ago"},
    {NOW - 47 * HOUR, "1 d ago"},
    {NOW - 90 * DAY + 1, "89 d ago"},
    {NOW - 90 * DAY, "2025-09-01"},
    {0, "1970-01-01"},
};

static void ages_are_short(void **state)
{
    char text[LOOK_TEXT_SIZE];
    (void)state;
    for (size_t i = 0; i < COUNT(ages); i++)
        assert_string_equal(look_ago(ages[i].time_ms, NOW, text), ages[i].text);
}

static const struct {
    const char *text;
    unsigned width;
    bool right;
    bool utf8;
    const char *put;
} cells[] = {
    {"abc", 5, false, true, "abc  "},
    {"abc", 5, true, true, "  abc"},
    {"abc", 3, false, true, "abc"},
    {"abcd", 3, false, true, "ab\u2026"},
    {"abcd", 3, true, true, "ab\u2026"},
    {"abcdef", 5, false, false, "ab..."},
    {"\u00e4b", 3, false, true, "\u00e4b "},
    {"\u7d42\u7d42", 4, false, true, "\u7d42\u7d42"},
    {"\u7d42\u7d42\u7d42", 4, false, true, "\u7d42\u2026 "},
    {"", 2, false, true, "  "},
    {"a\xff", 3, false, true, "a\xff "},
};

static void cells_have_their_width(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cells); i++) {
        struct look look = {.terminal = true, .utf8 = cells[i].utf8, .width = 80};
        struct out out;
        out_init(&out, -1);
        look_put(&out, &look, spn_text(cells[i].text), cells[i].width, cells[i].right);
        out_put(&out, "", 1);
        assert_string_equal(out.data, cells[i].put);
        out_release(&out);
    }
}

static const struct {
    const char *unit;
    uint64_t total;
    uint64_t done;
    int64_t elapsed_ms;
    unsigned width;
    const char *line;
} lines[] = {
    {"events", 0, 1200, 4000, 80, "1,200 events, 300/s"},
    {"events", 4000, 1000, 10000, 80,
     "[#######.......................]  25 % 1,000 of 4,000 events, 100/s, 31 s left"},
    {"events", 4000, 4000, 10000, 80,
     "[##############################] 100 % 4,000 of 4,000 events, 400/s"},
    {"events", 4000, 5000, 10000, 60,
     "[######################] 100 % 4,000 of 4,000 events, 400/s"},
    {NULL, 2048, 1024, 1000, 60, "[####....]  50 % 1.00 KiB of 2.00 KiB, 1.00 KiB/s, 2 s left"},
    {"events", 4000, 1000, 10000, 40, "1,000 of 4,000 events, 100/s, 31 s left"},
    {"events", 4000, 0, 10000, 80, "[..............................]   0 % 0 of 4,000 events, 0/s"},
    {"events", 4000, 0, 0, 20, "0 of 4,000 events, "},
};

static void progress_fits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++) {
        char line[PROGRESS_LINE_SIZE];
        struct progress progress = {
            .look = {.width = lines[i].width}, .unit = lines[i].unit, .total = lines[i].total};
        progress_line(&progress, lines[i].done, lines[i].elapsed_ms, line);
        assert_true(strlen(line) < lines[i].width);
        assert_string_equal(line, lines[i].line);
    }
}

static const struct {
    const char *text;
    uint64_t ms; /* 0: none */
} moments[] = {
    {"10m", NOW - 10 * MINUTE},
    {"90", NOW - 90 * SECOND},
    {"2025-11-30", NOW - 12 * HOUR},
    {"2025-11-30T12:00:00Z", NOW},
    {"2025-11-30 12:00:00.25z", NOW + 250},
    {"2025-11-30T12:00:00.0019Z", NOW + 1},
    {"2025-11-30T13:30:00+01:30", NOW},
    {"2025-11-30T08:00:00-04:00", NOW},
    {"2024-02-29", UINT64_C(1709164800000)},
    {"2025-02-29", 0},
    {"2025-11-31", 0},
    {"2025-13-01", 0},
    {"2025-11-30T12:00", 0},
    {"2025-11-30T12:00:00", 0},
    {"2025-11-30T12:00:00+1:30", 0},
    {"2025-11-30T12:00:00Zx", 0},
    {"2025-11-30T12:00:00+99:00", 0},
    {"1969-12-31", 0},
    {"", 0},
    {"yesterday", 0},
    {"-5m", 0},
};

static void moments_are_read(void **state)
{
    uint64_t ms = 0;
    (void)state;
    for (size_t i = 0; i < COUNT(moments); i++) {
        bool read = since_parse(moments[i].text, NOW, &ms);
        if (read != (moments[i].ms > 0) || (read && ms != moments[i].ms))
            fail_msg("%s: %d %llu", moments[i].text, read, (unsigned long long)ms);
    }
    assert_true(since_parse("100000d", 5, &ms)); /* older than the clock */
    assert_int_equal(ms, 0);
}

/* What follows the first is taken, whatever its time. */
static void since_begins_once(void **state)
{
    struct since since = {.from_ms = 10};
    struct since all = {0};
    (void)state;
    assert_true(since_takes(&all, 0));
    assert_false(since_takes(&since, 9));
    assert_true(since_takes(&since, 10));
    assert_true(since_takes(&since, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_short),      cmocka_unit_test(ages_are_short),
        cmocka_unit_test(cells_have_their_width), cmocka_unit_test(progress_fits),
        cmocka_unit_test(moments_are_read),       cmocka_unit_test(since_begins_once),
    };
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        return EXIT_FAILURE;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
