/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/since.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

/* The part of a second: ".5" is 500 ms. Further digits are ignored. Returns the place after it. */
static const char *get_fraction(const char *at, uint64_t *ret_ms)
{
    uint64_t unit = 100;
    *ret_ms = 0;
    if (*at != '.' || !isdigit((unsigned char)at[1]))
        return at;
    for (at++; isdigit((unsigned char)*at); at++) {
        *ret_ms += (uint64_t)(*at - '0') * unit;
        unit /= 10;
    }
    return at;
}

/* Two digits below `end`. */
static bool get_two(const char *at, int64_t end, int64_t *ret_number)
{
    if (!isdigit((unsigned char)at[0]) || !isdigit((unsigned char)at[1]))
        return false;
    *ret_number = (at[0] - '0') * 10 + (at[1] - '0');
    return *ret_number < end;
}

/* The zone at the end of a time, in seconds east: "Z" or "+02:00". */
static bool get_zone(const char *at, int64_t *ret_s)
{
    int64_t hours = 0;
    int64_t minutes = 0;
    *ret_s = 0;
    if (strcmp(at, "Z") == 0 || strcmp(at, "z") == 0)
        return true;
    if ((*at != '+' && *at != '-') || strlen(at) != strlen("+00:00") || at[3] != ':' ||
        !get_two(at + 1, 24, &hours) || !get_two(at + 4, 60, &minutes))
        return false;
    *ret_s = (*at == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

static bool parse_date(const char *text, uint64_t *ret_ms)
{
    struct tm date = {0};
    uint64_t fraction_ms = 0;
    int64_t zone_s = 0;
    const char *at = strptime(text, "%Y-%m-%d", &date);
    if (!at)
        return false;
    int day = date.tm_mday;
    if (*at != '\0') {
        at = strptime(at, *at == ' ' ? " %H:%M:%S" : "T%H:%M:%S", &date);
        if (!at || !get_zone(get_fraction(at, &fraction_ms), &zone_s))
            return false;
    }
    int64_t seconds = timegm(&date) - zone_s;
    if (seconds < 0 || date.tm_mday != day) /* the day is none of that month */
        return false;
    *ret_ms = (uint64_t)seconds * 1000 + fraction_ms;
    return true;
}

bool since_parse(const char *text, uint64_t now_ms, uint64_t *ret_ms)
{
    uint64_t ago_ms;
    if (parse_date(text, ret_ms))
        return true;
    if (text_span(text, &ago_ms))
        return false;
    *ret_ms = ago_ms < now_ms ? now_ms - ago_ms : 0;
    return true;
}

bool since_takes(struct since *since, uint64_t time_ms)
{
    since->begun = since->begun || time_ms >= since->from_ms;
    return since->begun;
}
