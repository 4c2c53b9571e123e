/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/config.h"

#include <string.h>

#include "http/names.h"
#include "http/word.h"

#define MARK "ds1"

static const char octets[] = "application/octet-stream";

enum { CONTENT_TYPE_MAX = 255, SECOND_MS = 1000 };

/* -- content types ----------------------------------------------------------------------------- */

static struct spn_bytes base_type(struct spn_bytes type)
{
    return word_trim(word_cut(&type, ';'));
}

bool ds_media_is_valid(struct spn_bytes type)
{
    struct spn_bytes minor = base_type(type);
    struct spn_bytes major = word_cut(&minor, '/');
    return word_is_token(major) && minor.data != NULL && word_is_token(minor) &&
           word_is_text(type) && type.size <= CONTENT_TYPE_MAX;
}

bool ds_media_same(struct spn_bytes type, struct spn_bytes other)
{
    return word_equals_caseless(base_type(type), base_type(other));
}

enum ds_form ds_media_form(struct spn_bytes type)
{
    static const char text[] = "text/";
    struct spn_bytes base = base_type(type);
    if (word_is_caseless(base, "application/json"))
        return DS_FORM_JSON;
    if (base.size < sizeof(text) - 1)
        return DS_FORM_BYTES;
    base.size = sizeof(text) - 1;
    return word_is_caseless(base, text) ? DS_FORM_TEXT : DS_FORM_BYTES;
}

/* -- values ------------------------------------------------------------------------------------ */

bool ds_number_parse(struct spn_bytes text, uint64_t max, uint64_t *ret_number)
{
    const char *digits = text.data;
    uint64_t number = 0;
    if (text.size == 0 || (text.size > 1 && digits[0] == '0'))
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(digits[i] - '0');
        if (digit > max || number > (max - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return true;
}

/* So many digits, and the byte after them, if there has to be one. */
static bool take_digits(struct spn_bytes *rest, size_t count, char after, unsigned *ret_number)
{
    const char *at = rest->data;
    unsigned number = 0;
    size_t size = count + (after != '\0' ? 1 : 0);
    if (rest->size < size || (after != '\0' && at[count] != after))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        number = number * 10 + (unsigned)(at[i] - '0');
    }
    *rest = (struct spn_bytes){at + size, rest->size - size};
    *ret_number = number;
    return true;
}

static unsigned days_of_month(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && is_leap ? 1U : 0U);
}

/* Days since 1970, which is not after the date. */
static uint64_t days_until(unsigned year, unsigned month, unsigned day)
{
    unsigned before = year - 1;
    uint64_t days = before * UINT64_C(365) + before / 4 - before / 100 + before / 400;
    const uint64_t days_until_1970 = 719162;
    for (unsigned i = 1; i < month; i++)
        days += days_of_month(year, i);
    return days - days_until_1970 + day - 1;
}

static bool take_date(struct spn_bytes *rest, uint64_t *ret_days)
{
    unsigned year;
    unsigned month;
    unsigned day;
    if (!take_digits(rest, 4, '-', &year) || !take_digits(rest, 2, '-', &month) ||
        !take_digits(rest, 2, '\0', &day) || year < 1970 || month < 1 || month > 12 || day < 1 ||
        day > days_of_month(year, month))
        return false;
    *ret_days = days_until(year, month, day);
    return true;
}

/* Milliseconds of a fraction, if there is one; digits after the third are dropped. */
static bool take_fraction(struct spn_bytes *rest, unsigned *ret_ms)
{
    unsigned ms = 0;
    unsigned unit = 100;
    const char *at = rest->data;
    size_t size = 0;
    *ret_ms = 0;
    if (rest->size == 0 || at[0] != '.')
        return true;
    for (size = 1; size < rest->size && at[size] >= '0' && at[size] <= '9'; size++) {
        ms += unit * (unsigned)(at[size] - '0');
        unit /= 10;
    }
    *rest = (struct spn_bytes){at + size, rest->size - size};
    *ret_ms = ms;
    return size > 1;
}

/* Minutes east of UTC. */
static bool take_zone(struct spn_bytes *rest, int *ret_minutes)
{
    unsigned hours;
    unsigned minutes;
    const char *at = rest->data;
    if (rest->size == 1 && (at[0] == 'Z' || at[0] == 'z')) {
        *ret_minutes = 0;
        return true;
    }
    if (rest->size != 6 || (at[0] != '+' && at[0] != '-'))
        return false;
    struct spn_bytes zone = {at + 1, rest->size - 1};
    if (!take_digits(&zone, 2, ':', &hours) || !take_digits(&zone, 2, '\0', &minutes) ||
        hours > 23 || minutes > 59)
        return false;
    int east = (int)(hours * 60 + minutes);
    *ret_minutes = at[0] == '-' ? -east : east;
    return true;
}

bool ds_time_parse(struct spn_bytes text, uint64_t *ret_ms)
{
    struct spn_bytes rest = text;
    uint64_t days;
    unsigned hour;
    unsigned minute;
    unsigned second;
    unsigned ms;
    int east;
    if (text.size > DS_EXPIRES_MAX || !take_date(&rest, &days) || rest.size == 0 ||
        (*(const char *)rest.data | 0x20) != 't')
        return false;
    rest = (struct spn_bytes){(const char *)rest.data + 1, rest.size - 1};
    if (!take_digits(&rest, 2, ':', &hour) || !take_digits(&rest, 2, ':', &minute) ||
        !take_digits(&rest, 2, '\0', &second) || !take_fraction(&rest, &ms) ||
        !take_zone(&rest, &east) || hour > 23 || minute > 59 || second > 60)
        return false;
    int64_t minutes = (int64_t)days * 24 * 60 + hour * 60 + minute - east;
    if (minutes < 0)
        return false;
    *ret_ms = ((uint64_t)minutes * 60 + second) * SECOND_MS + ms;
    return true;
}

/* -- what a client asks for -------------------------------------------------------------------- */

bool ds_config_parse(const struct ds_config_headers *headers, struct ds_config *ret_config,
                     struct problem *ret_problem)
{
    struct spn_bytes type = word_trim(headers->content_type);
    struct ds_config config = {
        .content_type = type.size > 0 ? type : spn_text(octets),
        .has_ttl = headers->ttl.data != NULL,
        .expires = word_trim(headers->expires),
    };
    struct spn_bytes ttl = word_trim(headers->ttl);
    if (!ds_media_is_valid(config.content_type))
        return problem_header(ret_problem, name_CONTENT_TYPE, type, "that is no media type");
    if (config.has_ttl && headers->expires.data != NULL)
        return problem_set(ret_problem, 400, SPN_E_INVALID, "%s and %s exclude each other",
                           name_STREAM_TTL, name_STREAM_EXPIRES_AT);
    if (config.has_ttl && !ds_number_parse(ttl, SPN_SPAN_MS_MAX / SECOND_MS, &config.ttl_s))
        return problem_header(ret_problem, name_STREAM_TTL, ttl,
                              "it has to be a number of seconds");
    if (headers->expires.data != NULL && !ds_time_parse(config.expires, &config.expires_ms))
        return problem_header(ret_problem, name_STREAM_EXPIRES_AT, config.expires,
                              "it has to be a time (RFC 3339)");
    *ret_config = config;
    return true;
}

bool ds_config_same(const struct ds_config *config, const struct ds_config *other)
{
    return ds_media_same(config->content_type, other->content_type) &&
           config->has_ttl == other->has_ttl && config->ttl_s == other->ttl_s &&
           (config->expires.size > 0) == (other->expires.size > 0) &&
           config->expires_ms == other->expires_ms;
}

/* -- attributes -------------------------------------------------------------------------------- */

/* A stream that expires at a moment lives at least up to it: its time to live begins now, or with
 * what comes later. A second is the least, so that a stream is there when its creation is answered.
 */
static uint64_t ttl_ms(const struct ds_config *config, uint64_t now_ms)
{
    uint64_t ms = config->ttl_s * SECOND_MS;
    if (!config->has_ttl && config->expires.size == 0)
        return 0; /* the daemon's default */
    if (!config->has_ttl)
        ms = config->expires_ms > now_ms ? config->expires_ms - now_ms : 0;
    if (ms < SECOND_MS)
        return SECOND_MS;
    return ms < SPN_SPAN_MS_MAX ? ms : SPN_SPAN_MS_MAX;
}

bool ds_config_outlives(const struct ds_config *config, uint64_t ttl, uint64_t now_ms)
{
    uint64_t left_ms = ttl_ms(config, now_ms);
    uint64_t spare_ms = left_ms / 8 > SECOND_MS ? left_ms / 8 : SECOND_MS;
    return config->expires.size > 0 && ttl > left_ms + spare_ms;
}

void ds_config_attributes(const struct ds_config *config, uint64_t now_ms,
                          char note[DS_CONFIG_NOTE_SIZE], struct spn_attributes *ret_attributes)
{
    struct out out;
    out_init(&out, -1);
    out_text(&out, MARK);
    if (config->begins_with_content)
        out_text(&out, " first");
    if (config->has_ttl) {
        out_text(&out, " ttl=");
        out_number(&out, config->ttl_s);
    }
    if (config->expires.size > 0) {
        out_text(&out, " expires=");
        out_put(&out, config->expires.data, config->expires.size);
    }
    if (config->creator.size > 0) {
        out_text(&out, " by=");
        out_put(&out, config->creator.data, config->creator.size);
    }
    size_t size = out.error == 0 && out.size < DS_CONFIG_NOTE_SIZE ? out.size : 0;
    if (size > 0)
        memcpy(note, out.data, size);
    out_release(&out);
    *ret_attributes = (struct spn_attributes){
        .size = sizeof(*ret_attributes),
        .ttl_ms = ttl_ms(config, now_ms),
        .content_type = config->content_type,
        .note = {note, size},
    };
}

/* The value, if the word is `key=value`. */
static bool value_of(struct spn_bytes word, const char *key, struct spn_bytes *ret_value)
{
    struct spn_bytes value = word;
    if (!word_is(word_cut(&value, '='), key) || value.data == NULL)
        return false;
    *ret_value = value;
    return true;
}

void ds_config_read(struct spn_bytes content_type, struct spn_bytes note,
                    struct ds_config *ret_config)
{
    struct spn_bytes left = note;
    struct spn_bytes value;
    *ret_config =
        (struct ds_config){.content_type = content_type.size > 0 ? content_type : spn_text(octets)};
    if (note.size == 0 || !word_is(word_cut(&left, ' '), MARK))
        return;
    while (left.data != NULL) {
        struct spn_bytes word = word_cut(&left, ' ');
        if (word_is(word, "first"))
            ret_config->begins_with_content = true;
        else if (value_of(word, "ttl", &value))
            ret_config->has_ttl = ds_number_parse(value, SPN_SPAN_MS_MAX, &ret_config->ttl_s);
        else if (value_of(word, "by", &value))
            ret_config->creator = value;
        else if (value_of(word, "expires", &value) && ds_time_parse(value, &ret_config->expires_ms))
            ret_config->expires = value;
    }
}
