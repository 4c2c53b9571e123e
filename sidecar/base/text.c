/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

/* -- UTF-8 ------------------------------------------------------------------------------------- */

/* Whether the next eight bytes are ASCII, as most text is. */
static bool is_ascii_word(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return (word & UINT64_C(0x8080808080808080)) == 0;
}

bool text_is_utf8(struct spn_bytes bytes)
{
    const uint8_t *at = bytes.data;
    size_t left = bytes.size;
    while (left > 0) {
        size_t length = left >= 8 && is_ascii_word(at) ? 8 : utf8_length(at, left);
        if (length == 0)
            return false;
        at += length;
        left -= length;
    }
    return true;
}

/* -- time -------------------------------------------------------------------------------------- */

/* So that it fits in nanoseconds: SPN_SPAN_MS_MAX of sponson.h. */
#define SPAN_MAX_MS (UINT64_MAX / 2 / 1000000)
#define WAIT_MAX_MS (UINT64_C(366) * 86400000)
#define TIME_MAX_MS UINT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

struct date {
    unsigned year;
    unsigned month;
    unsigned day;
};

/* Days since 1970 in the proleptic Gregorian calendar. gmtime_r and strftime do the same, but cost
 * as much as the rest of an event's line. Years begin in March here, so that leap days come
 * last. */
static struct date date_of(uint64_t days)
{
    uint64_t since_era = days + 719468; /* from 0000-03-01 */
    uint64_t era = since_era / 146097;  /* 400 years */
    unsigned day_of_era = (unsigned)(since_era % 146097);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned from_march = (5 * day_of_year + 2) / 153;
    struct date date = {
        .year = (unsigned)era * 400 + year_of_era,
        .month = from_march < 10 ? from_march + 3 : from_march - 9,
        .day = day_of_year - (153 * from_march + 2) / 5 + 1,
    };
    date.year += date.month <= 2;
    return date;
}

/* Ends with the separator; returns the place after it. */
static char *put_digits(char *at, unsigned value, int count, char separator)
{
    for (int i = count - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    at[count] = separator;
    return at + count + 1;
}

void text_time(uint64_t time_ms, char ret_text[TEXT_TIME_SIZE])
{
    if (time_ms > TIME_MAX_MS)
        time_ms = TIME_MAX_MS;
    unsigned of_day = (unsigned)(time_ms % 86400000);
    struct date date = date_of(time_ms / 86400000);
    char *at = ret_text;
    at = put_digits(at, date.year, 4, '-');
    at = put_digits(at, date.month, 2, '-');
    at = put_digits(at, date.day, 2, 'T');
    at = put_digits(at, of_day / 3600000, 2, ':');
    at = put_digits(at, of_day / 60000 % 60, 2, ':');
    at = put_digits(at, of_day / 1000 % 60, 2, '.');
    at = put_digits(at, of_day % 1000, 3, 'Z');
    *at = '\0';
}

/* -- words ------------------------------------------------------------------------------------- */

static bool is_c1(const uint8_t *bytes, size_t length)
{
    return length == 2 && bytes[0] == 0xC2 && bytes[1] < 0xA0;
}

char *text_quote(struct spn_bytes bytes, char ret_text[TEXT_QUOTED_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    static const char cut[] = "...'";
    const uint8_t *from = bytes.data;
    char *at = ret_text;
    char *end = ret_text + TEXT_QUOTED_SIZE - sizeof(cut);
    *at++ = '\'';
    for (size_t i = 0; i < bytes.size;) {
        size_t length = utf8_length(from + i, bytes.size - i);
        bool plain = length > 0 && from[i] >= 0x20 && from[i] != 0x7F && !is_c1(from + i, length);
        size_t needed = plain ? length : 4;
        if ((size_t)(end - at) < needed) {
            memcpy(at, cut, sizeof(cut));
            return ret_text;
        }
        if (!plain) {
            const char escaped[] = {'\\', 'x', hex[from[i] >> 4], hex[from[i] & 15]};
            memcpy(at, escaped, sizeof(escaped));
            length = 1;
        }
        for (size_t j = 0; plain && j < length; j++)
            at[j] = (char)from[i + j];
        at += needed;
        i += length;
    }
    memcpy(at, "'", 2);
    return ret_text;
}

/* too_large: the error if it is over max_ms. */
static const char *parse_time(const char *text, uint64_t max_ms, const char *too_large,
                              uint64_t *ret_ms)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"ms", 1}, {"s", 1e3}, {"", 1e3}, {"m", 6e4}, {"h", 36e5}, {"d", 864e5}};
    char *end;
    double value = strtod(text, &end);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (end == text || strcmp(end, units[i].unit) != 0 || !(value > 0))
            continue;
        double ms = ceil(value * units[i].ms);
        if (ms > (double)max_ms)
            return too_large;
        *ret_ms = (uint64_t)ms;
        return NULL;
    }
    return "not a time above 0, such as 90, 1.5, 500ms, 30m, 12h or 7d";
}

const char *text_span(const char *text, uint64_t *ret_ms)
{
    return parse_time(text, SPAN_MAX_MS, "too large, some 290 years at most", ret_ms);
}

const char *text_wait(const char *text, int *ret_ms)
{
    uint64_t ms = 0;
    const char *why = parse_time(text, WAIT_MAX_MS, "too large, a year at most", &ms);
    if (!why)
        *ret_ms = ms < INT32_MAX ? (int)ms : INT32_MAX;
    return why;
}

bool text_count(const char *text, uint64_t min, uint64_t max, uint64_t *ret_count)
{
    uint64_t count = 0;
    if (*text == '\0')
        return false;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9')
            return false;
        uint64_t digit = (uint64_t)(*at - '0');
        if (count > (UINT64_MAX - digit) / 10)
            return false;
        count = count * 10 + digit;
    }
    if (count < min || count > max)
        return false;
    *ret_count = count;
    return true;
}

int text_compare(struct spn_bytes a, struct spn_bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size > 0 ? memcmp(a.data, b.data, size) : 0;
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}
