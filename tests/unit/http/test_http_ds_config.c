/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_ds_config: content types, times to live and moments; what attributes keep of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "http/ds/config.h"
#include "http/word.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MINUTE_MS UINT64_C(60000)

static const struct time_row {
    const char *text;
    uint64_t ms; /* UINT64_MAX: it is no time */
} time_rows[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"1970-01-01T00:00:00.5Z", 500},
    {"1970-01-01T00:00:00.123456789Z", 123},
    {"1970-01-01t00:00:01z", 1000},
    {"1970-01-01T01:00:00+01:00", 0},
    {"1969-12-31T23:00:00-01:00", UINT64_MAX}, /* the year is before 1970 */
    {"1970-01-01T00:00:00+00:01", UINT64_MAX}, /* and so is the moment */
    {"1970-01-01T00:00:00-00:01", MINUTE_MS},
    {"2000-02-29T12:00:00Z", UINT64_C(951825600000)},
    {"2000-03-01T00:00:00Z", UINT64_C(951868800000)},
    {"2024-10-09T00:00:00Z", UINT64_C(1728432000000)},
    {"2016-12-31T23:59:60Z", UINT64_C(1483228800000)}, /* a leap second */
    {"9999-12-31T23:59:59.999Z", UINT64_C(253402300799999)},
    {"2001-02-29T00:00:00Z", UINT64_MAX},
    {"1900-02-28T00:00:00Z", UINT64_MAX},
    {"2024-00-09T00:00:00Z", UINT64_MAX},
    {"2024-13-09T00:00:00Z", UINT64_MAX},
    {"2024-10-00T00:00:00Z", UINT64_MAX},
    {"2024-10-32T00:00:00Z", UINT64_MAX},
    {"2024-10-09T24:00:00Z", UINT64_MAX},
    {"2024-10-09T00:60:00Z", UINT64_MAX},
    {"2024-10-09T00:00:61Z", UINT64_MAX},
    {"2024-10-09T00:00:00", UINT64_MAX},
    {"2024-10-09T00:00:00.Z", UINT64_MAX},
    {"2024-10-09T00:00:00+24:00", UINT64_MAX},
    {"2024-10-09T00:00:00+0100", UINT64_MAX},
    {"2024-10-09T00:00:00ZZ", UINT64_MAX},
    {"2024-10-09 00:00:00Z", UINT64_MAX},
    {"2024-10-09", UINT64_MAX},
    {"24-10-09T00:00:00Z", UINT64_MAX},
    {"not-a-timestamp", UINT64_MAX},
    {"", UINT64_MAX},
};

static void times(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(time_rows); i++) {
        uint64_t ms = UINT64_MAX;
        bool is_time = ds_time_parse(spn_text(time_rows[i].text), &ms);
        if (is_time != (time_rows[i].ms != UINT64_MAX) || ms != time_rows[i].ms)
            fail_msg("%s: %ju", time_rows[i].text, (uintmax_t)ms);
    }
}

static const struct number_row {
    const char *text;
    uint64_t max;
    bool is_number;
    uint64_t number;
} number_rows[] = {
    {"0", 0, true, 0},
    {"1", 0, false, 0},
    {"10", 10, true, 10},
    {"11", 10, false, 0},
    {"007", 10, false, 0},
    {"00", 10, false, 0},
    {"+1", 10, false, 0},
    {"-1", 10, false, 0},
    {"1.0", 10, false, 0},
    {"1e1", 10, false, 0},
    {"", 10, false, 0},
    {" 1", 10, false, 0},
    {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
    {"18446744073709551616", UINT64_MAX, false, 0},
};

static void numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(number_rows); i++) {
        uint64_t number = 0;
        if (ds_number_parse(spn_text(number_rows[i].text), number_rows[i].max, &number) !=
            number_rows[i].is_number)
            fail_msg("%s", number_rows[i].text);
        assert_int_equal(number, number_rows[i].number);
    }
}

static const struct media_row {
    const char *type;
    bool is_valid;
    enum ds_form form;
} media_rows[] = {
    {"text/plain", true, DS_FORM_TEXT},
    {"TEXT/html; charset=utf-8", true, DS_FORM_TEXT},
    {"application/json", true, DS_FORM_JSON},
    {"Application/JSON;charset=utf-8", true, DS_FORM_JSON},
    {"application/json5", true, DS_FORM_BYTES},
    {"application/ndjson", true, DS_FORM_BYTES},
    {"textual/x", true, DS_FORM_BYTES},
    {"a/b", true, DS_FORM_BYTES},
    {"", false, DS_FORM_BYTES},
    {"text", false, DS_FORM_BYTES},
    {"text/", false, DS_FORM_TEXT},
    {"/plain", false, DS_FORM_BYTES},
    {"te xt/plain", false, DS_FORM_BYTES},
    {"text/plain/x", false, DS_FORM_TEXT},
    {"text/plain; a=\"\x01\"", false, DS_FORM_TEXT},
};

static void media(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(media_rows); i++) {
        if (ds_media_is_valid(spn_text(media_rows[i].type)) != media_rows[i].is_valid)
            fail_msg("%s", media_rows[i].type);
        if (ds_media_form(spn_text(media_rows[i].type)) != media_rows[i].form)
            fail_msg("%s", media_rows[i].type);
    }
    assert_true(ds_media_same(spn_text("Text/Plain"), spn_text("text/plain ; charset=utf-8")));
    assert_false(ds_media_same(spn_text("text/plain"), spn_text("text/plainer")));
}

/* -- configs ----------------------------------------------------------------------------------- */

static struct spn_bytes value(const char *text)
{
    return text != NULL ? spn_text(text) : (struct spn_bytes){0};
}

static const struct config_row {
    const char *name;
    const char *type; /* NULL: the header is not there */
    const char *ttl;
    const char *expires;
    const char *detail; /* part of it; NULL: taken */
    uint64_t ttl_ms;    /* at the session, at the moment 1,000 */
    const char *note;
} config_rows[] = {
    {"nothing", NULL, NULL, NULL, NULL, 0, "ds1"},
    {"a type", "text/plain", NULL, NULL, NULL, 0, "ds1"},
    {"a time to live", "a/b", "3600", NULL, NULL, 3600000, "ds1 ttl=3600"},
    {"none at all", "a/b", "0", NULL, NULL, 1000, "ds1 ttl=0"},
    {"a moment", "a/b", NULL, "1970-01-01T00:00:03Z", NULL, 2000,
     "ds1 expires=1970-01-01T00:00:03Z"},
    {"a moment that is over", NULL, NULL, "1970-01-01T00:00:01Z", NULL, 1000,
     "ds1 expires=1970-01-01T00:00:01Z"},
    {"no type", "text", NULL, NULL, "Content-Type is 'text'", 0, NULL},
    {"both", NULL, "1", "1970-01-01T00:00:03Z", "exclude each other", 0, NULL},
    {"zero in front", NULL, "00060", NULL, "Stream-TTL is '00060'", 0, NULL},
    {"empty", NULL, "", NULL, "Stream-TTL is ''", 0, NULL},
    {"longer than a session lives", NULL, "9223372036855", NULL, "Stream-TTL is", 0, NULL},
    {"no moment", NULL, NULL, "tomorrow", "Stream-Expires-At is 'tomorrow'", 0, NULL},
};

static void config_row(void **state)
{
    const struct config_row *row = *state;
    const struct ds_config_headers headers = {value(row->type), value(row->ttl),
                                              value(row->expires)};
    struct ds_config config;
    struct problem problem = {0};
    assert_int_equal(ds_config_parse(&headers, &config, &problem), row->detail == NULL);
    if (row->detail != NULL) {
        assert_int_equal(problem.status, 400);
        if (strstr(problem.detail, row->detail) == NULL)
            fail_msg("%s", problem.detail);
        return;
    }
    for (int first = 0; first < 2; first++) {
        char note[DS_CONFIG_NOTE_SIZE];
        struct spn_attributes attributes;
        struct ds_config back;
        config.begins_with_content = first != 0;
        config.creator = first != 0 ? spn_text("0123456789abcdef") : (struct spn_bytes){0};
        ds_config_attributes(&config, 1000, note, &attributes);
        assert_int_equal(attributes.ttl_ms, row->ttl_ms);
        assert_int_equal(attributes.idle_close_ms, 0);
        if (first == 0)
            assert_true(word_is(attributes.note, row->note));
        ds_config_read(attributes.content_type, attributes.note, &back);
        assert_true(ds_config_same(&config, &back));
        assert_int_equal(back.begins_with_content, config.begins_with_content);
        assert_true(word_equals(back.expires, config.expires));
        assert_true(word_equals(back.creator, config.creator));
    }
}

static struct ds_config config_of(const char *type, const char *ttl, const char *expires)
{
    const struct ds_config_headers headers = {value(type), value(ttl), value(expires)};
    struct ds_config config;
    struct problem problem;
    assert_true(ds_config_parse(&headers, &config, &problem));
    return config;
}

/* A stream of a time to live is not meant, nor one that is there for ever. */
static void what_outlives_its_moment(void **state)
{
    (void)state;
    const struct ds_config lasting = config_of("a/b", NULL, NULL);
    const struct ds_config brief = config_of("a/b", "1", NULL);
    const struct ds_config dated = config_of("a/b", NULL, "1970-01-01T00:00:20Z");
    assert_false(ds_config_outlives(&lasting, 1000000, 0));
    assert_false(ds_config_outlives(&brief, 1000000, 0));
    assert_false(ds_config_outlives(&dated, 20000, 0));
    assert_false(ds_config_outlives(&dated, 18000, 4000)); /* 16 s are left, and an eighth */
    assert_true(ds_config_outlives(&dated, 18001, 4000));
    assert_false(ds_config_outlives(&dated, 3000, 18000)); /* a second is spared at least */
    assert_true(ds_config_outlives(&dated, 3001, 18000));
    assert_false(ds_config_outlives(&dated, 2000, 30000)); /* and is left at least */
    assert_true(ds_config_outlives(&dated, 2001, 30000));
}

static void what_differs(void **state)
{
    (void)state;
    struct ds_config config = config_of("text/plain", NULL, "2030-01-01T00:00:00Z");
    struct ds_config same =
        config_of("TEXT/plain;charset=utf-8", NULL, "2030-01-01T01:00:00+01:00");
    struct ds_config none = config_of("text/plain", NULL, NULL);
    struct ds_config zero = config_of("text/plain", "0", NULL);
    struct ds_config some = config_of("text/plain", "1", NULL);
    struct ds_config type = config_of("text/html", NULL, NULL);
    struct ds_config moment = config_of("text/plain", NULL, "2030-01-01T00:00:01Z");
    assert_true(ds_config_same(&config, &same));
    assert_false(ds_config_same(&config, &none));
    assert_false(ds_config_same(&config, &moment));
    assert_false(ds_config_same(&none, &zero));
    assert_false(ds_config_same(&zero, &some));
    assert_false(ds_config_same(&none, &type));
}

static void notes_of_others(void **state)
{
    (void)state;
    static const char *const others[] = {"", "x", "ds2 first", "ds1first", "{\"ttl\":1}"};
    for (size_t i = 0; i < COUNT(others); i++) {
        struct ds_config config;
        ds_config_read(spn_text(""), spn_text(others[i]), &config);
        assert_true(word_is(config.content_type, "application/octet-stream"));
        assert_false(config.begins_with_content || config.has_ttl || config.expires.size > 0);
    }
}

int main(void)
{
    static struct CMUnitTest tests[5 + COUNT(config_rows)] = {
        cmocka_unit_test(times),           cmocka_unit_test(numbers),
        cmocka_unit_test(media),           cmocka_unit_test(what_differs),
        cmocka_unit_test(notes_of_others), cmocka_unit_test(what_outlives_its_moment),
    };
    for (size_t i = 0; i < COUNT(config_rows); i++)
        tests[5 + i] = (struct CMUnitTest){config_rows[i].name, config_row, NULL, NULL,
                                           (void *)(uintptr_t)&config_rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
