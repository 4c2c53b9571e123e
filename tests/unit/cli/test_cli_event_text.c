/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_event_text: events as lines of JSON and as text/event-stream.
 *
 * What we write by hand, jansson has to read back as the same bytes, with the keys in their order;
 * what goes out as an event stream, the parser has to read back as the same event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/event_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static struct spn_bytes session_of(const char *text)
{
    return (struct spn_bytes){text, strlen(text)};
}

#define LIFE "null"

/* -- golden lines ------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    struct spn_event event;
    const char *line;
} golden[] = {
    {"plain",
     {.position = 2,
      .life = {{0x0f, 0xa0}},
      .seq = 1,
      .id = BYTES("7"),
      .type = BYTES("delta"),
      .data = BYTES("hello"),
      .retry_ms = SPN_RETRY_NONE,
      .time_ms = 1700000000123},
     "{\"position\":2,\"session\":\"s\",\"life\":\"0fa00000000000000000000000000000\",\"seq\":1,"
     "\"id\":\"7\",\"type\":\"delta\","
     "\"data\":\"hello\",\"retry\":null,\"time\":\"2023-11-14T22:13:20.123Z\"}\n"},
    {"nothing in it",
     {.retry_ms = SPN_RETRY_NONE},
     "{\"position\":0,\"session\":\"s\",\"life\":" LIFE ",\"seq\":0,\"id\":\"\",\"type\":\"\","
     "\"data\":\"\",\"retry\":null,\"time\":\"1970-01-01T00:00:00.000Z\"}\n"},
    {"retry of 0 is a value",
     {.data = BYTES("x"), .retry_ms = 0},
     "{\"position\":0,\"session\":\"s\",\"life\":" LIFE ",\"seq\":0,\"id\":\"\",\"type\":\"\","
     "\"data\":\"x\",\"retry\":0,\"time\":\"1970-01-01T00:00:00.000Z\"}\n"},
    {"data that is not UTF-8",
     {.data = BYTES("\xFF\xFE"), .retry_ms = SPN_RETRY_NONE},
     "{\"position\":0,\"session\":\"s\",\"life\":" LIFE ",\"seq\":0,\"id\":\"\",\"type\":\"\","
     "\"data\":\"//4=\",\"retry\":null,\"time\":\"1970-01-01T00:00:00.000Z\","
     "\"encoding\":\"base64\"}\n"},
    {"an id and a type that are not UTF-8",
     {.id = BYTES("\x80"), .type = BYTES("\xC0"), .data = BYTES("d"), .retry_ms = SPN_RETRY_NONE},
     "{\"position\":0,\"session\":\"s\",\"life\":" LIFE
     ",\"seq\":0,\"id\":\"gA==\",\"type\":\"wA==\","
     "\"data\":\"d\",\"retry\":null,\"time\":\"1970-01-01T00:00:00.000Z\","
     "\"id_encoding\":\"base64\",\"type_encoding\":\"base64\"}\n"},
    {"the largest numbers",
     {.position = UINT64_MAX, .seq = UINT64_MAX, .retry_ms = UINT32_MAX - 1, .time_ms = UINT64_MAX},
     "{\"position\":18446744073709551615,\"session\":\"s\",\"life\":" LIFE ","
     "\"seq\":18446744073709551615,\"id\":\"\",\"type\":\"\",\"data\":\"\",\"retry\":4294967294,"
     "\"time\":\"9999-12-31T23:59:59.999Z\"}\n"},
    {"escapes",
     {.data = BYTES("\"\\/\b\f\n\t\x01\x1f\x7f\0\xE2\x80\xA8"), .retry_ms = SPN_RETRY_NONE},
     "{\"position\":0,\"session\":\"s\",\"life\":" LIFE ",\"seq\":0,\"id\":\"\",\"type\":\"\","
     "\"data\":\"\\\"\\\\/\\b\\f\\n\\t\\u0001\\u001f\x7f\\u0000\\u2028\",\"retry\":null,"
     "\"time\":\"1970-01-01T00:00:00.000Z\"}\n"},
    {"line ends of Unicode, and characters that begin like them",
     {.data = BYTES("\xC2\x85\xE2\x80\xA8\xE2\x80\xA9\xC2\x84\xE2\x80\xA7\xE2\x81\xA8"),
      .retry_ms = SPN_RETRY_NONE},
     "{\"position\":0,\"session\":\"s\",\"life\":" LIFE ",\"seq\":0,\"id\":\"\",\"type\":\"\","
     "\"data\":\"\\u0085\\u2028\\u2029\xC2\x84\xE2\x80\xA7\xE2\x81\xA8\",\"retry\":null,"
     "\"time\":\"1970-01-01T00:00:00.000Z\"}\n"},
    {"a marker",
     {.kind = SPN_MARKER, .id = BYTES("c1"), .retry_ms = SPN_RETRY_NONE},
     "{\"position\":0,\"session\":\"s\",\"life\":" LIFE ",\"seq\":0,\"id\":\"c1\",\"type\":\"\","
     "\"data\":null,\"retry\":null,\"time\":\"1970-01-01T00:00:00.000Z\",\"marker\":true}\n"},
    {"a marker with a retry alone",
     {.kind = SPN_MARKER, .retry_ms = 5},
     "{\"position\":0,\"session\":\"s\",\"life\":" LIFE ",\"seq\":0,\"id\":null,\"type\":\"\","
     "\"data\":null,\"retry\":5,\"time\":\"1970-01-01T00:00:00.000Z\",\"marker\":true}\n"},
    {"a reset",
     {.kind = SPN_RESET, .retry_ms = SPN_RETRY_NONE},
     "{\"position\":0,\"session\":\"s\",\"life\":" LIFE ",\"seq\":0,\"id\":\"\",\"type\":\"\","
     "\"data\":null,\"retry\":null,\"time\":\"1970-01-01T00:00:00.000Z\",\"marker\":true}\n"},
};

static void lines_are_as_documented(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(golden); i++) {
        struct out out;
        out_init(&out, -1);
        event_put_json(&out, session_of("s"), &golden[i].event);
        out_put(&out, "", 1);
        if (strcmp(out.data, golden[i].line) != 0)
            fail_msg("%s: %s", golden[i].name, out.data);
        out_release(&out);
    }
}

static void a_session_without_a_name_is_null(void **state)
{
    (void)state;
    struct spn_event event = SPN_EVENT_INIT;
    struct out out;
    out_init(&out, -1);
    event_put_json(&out, (struct spn_bytes){NULL, 0}, &event);
    out_put(&out, "", 1);
    assert_non_null(strstr(out.data, "\"session\":null,"));
    out_release(&out);
}

/* -- reading back ------------------------------------------------------------------------------ */

static json_t *read_line(struct out *out)
{
    json_error_t error;
    assert_int_equal(out->error, 0);
    assert_int_equal(out->data[out->size - 1], '\n');
    assert_null(memchr(out->data, '\n', out->size - 1));
    json_t *json = json_loadb(out->data, out->size, JSON_ALLOW_NUL, &error);
    if (!json)
        fail_msg("%s", error.text);
    return json;
}

static void check_string(json_t *json, const char *key, struct spn_bytes bytes)
{
    json_t *value = json_object_get(json, key);
    assert_true(json_is_string(value));
    assert_int_equal(json_string_length(value), bytes.size);
    if (bytes.size > 0)
        assert_memory_equal(json_string_value(value), bytes.data, bytes.size);
}

static void check_reads_back(struct spn_bytes data)
{
    struct spn_event event = SPN_EVENT_INIT;
    struct out out;
    out_init(&out, -1);
    event.data = data;
    event.id = (struct spn_bytes){"\"id\"", 4};
    event.type = (struct spn_bytes){"t\\", 2};
    event_put_json(&out, session_of("s\"\\"), &event);
    json_t *json = read_line(&out);
    check_string(json, "session", session_of("s\"\\"));
    check_string(json, "id", event.id);
    check_string(json, "type", event.type);
    check_string(json, "data", data);
    json_decref(json);
    out_release(&out);
}

/* Around the size of the pieces that strings are escaped in, with what grows most in it. */
static void text_of_every_length_reads_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 7, 8, 9, 4095, 4096, 4097, 8191, 8192, 8193, 100000};
    static const char units[][5] = {"a", "\x01", "\"", "\xC3\xA4", "\xF0\x9F\x98\x80"};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (size_t unit = 0; unit < COUNT(units); unit++) {
            char *text = malloc(sizes[i] + 8);
            assert_non_null(text);
            size_t size = 0;
            while (size < sizes[i]) {
                memcpy(text + size, units[unit], strlen(units[unit]));
                size += strlen(units[unit]);
            }
            check_reads_back((struct spn_bytes){text, size});
            free(text);
        }
    }
}

static void every_byte_of_ascii_reads_back(void **state)
{
    (void)state;
    for (int byte = 0; byte < 128; byte++) {
        char text[3] = {'a', (char)byte, 'b'};
        check_reads_back((struct spn_bytes){text, 3});
    }
}

static void keys_are_in_order(void **state)
{
    (void)state;
    static const char *const keys[] = {"position", "session",  "life",        "seq",
                                       "id",       "type",     "data",        "retry",
                                       "time",     "encoding", "id_encoding", "type_encoding"};
    const struct spn_event event = {
        .id = BYTES("\xFF"), .type = BYTES("\xFF"), .data = BYTES("\xFF"), .retry_ms = 5};
    struct out out;
    out_init(&out, -1);
    event_put_json(&out, session_of("s"), &event);
    json_t *json = read_line(&out);
    const char *key;
    json_t *value;
    size_t count = 0;
    json_object_foreach(json, key, value)
    {
        assert_true(count < COUNT(keys));
        assert_string_equal(key, keys[count++]);
    }
    assert_int_equal(count, COUNT(keys));
    json_decref(json);
    out_release(&out);
}

/* -- text/event-stream ------------------------------------------------------------------------- */

static void check_stream(struct spn_bytes data)
{
    struct spn_event event = {
        .size = sizeof(event), .id = BYTES("i d"), .type = BYTES("t"), .data = data, .retry_ms = 1};
    const struct spn_event *read = NULL;
    struct out out;
    spn_sse *sse;
    size_t used;
    out_init(&out, -1);
    out_text(&out, ": before\n");
    assert_int_equal(event_put_sse(&out, &event), SPN_OK);
    assert_int_equal(spn_sse_open(&sse, 4 * 1024 * 1024), SPN_OK);
    assert_int_equal(spn_sse_next(sse, out.data, out.size, &used, &read), SPN_OK);
    assert_int_equal(used, out.size);
    assert_int_equal(read->data.size, data.size);
    if (data.size > 0)
        assert_memory_equal(read->data.data, data.data, data.size);
    assert_int_equal(read->id.size, 3);
    assert_int_equal(read->retry_ms, 1);
    spn_sse_close(sse);
    out_release(&out);
}

static void streams_read_back(void **state)
{
    (void)state;
    static char lines[1000000]; /* all line ends: each takes seven bytes */
    memset(lines, '\n', sizeof(lines));
    check_stream((struct spn_bytes)BYTES(""));
    check_stream((struct spn_bytes)BYTES("one"));
    check_stream((struct spn_bytes)BYTES("\n"));
    check_stream((struct spn_bytes)BYTES(" a\n b\n"));
    check_stream((struct spn_bytes){lines, sizeof(lines)});
}

static void what_a_stream_cannot_carry_is_refused(void **state)
{
    (void)state;
    struct spn_event event = {
        .size = sizeof(event), .data = BYTES("a\rb"), .retry_ms = SPN_RETRY_NONE};
    struct out out;
    out_init(&out, -1);
    out_text(&out, "kept");
    assert_int_equal(event_put_sse(&out, &event), SPN_E_BAD_DATA);
    assert_int_equal(out.size, 4);
    out_release(&out);
}

/* -- entries of the log ------------------------------------------------------------------------ */

#define DATABASE "0102030405060708090a0b0c0d0e0f10"
#define HEAD                                                                                       \
    "{\"position\":9,\"session\":\"s\",\"life\":\"0fa00000000000000000000000000000\",\"seq\":3,"
#define HEAD_WITH_EPOCH                                                                            \
    "{\"position\":9,\"session\":\"s\",\"life\":\"0fa00000000000000000000000000000\","             \
    "\"epoch\":7,\"seq\":3,"
#define TIME "\"time\":\"2023-11-14T22:13:20.123Z\""
#define TAIL ",\"cursor\":\"" DATABASE ":9\"}\n"

static const struct spn_attributes attributes = {
    .ttl_ms = 5, .content_type = BYTES("text"), .note = BYTES("\xff")};

static const struct entry_row {
    const char *name;
    struct spn_item item;
    const char *middle;
    struct spn_event event;
} entries[] = {
    {"open", {.kind = SPN_ITEM_OPEN}, "\"kind\":\"open\"," TIME, {0}},
    {"delete", {.kind = SPN_ITEM_DELETE}, "\"kind\":\"delete\"," TIME, {0}},
    {"expire", {.kind = SPN_ITEM_EXPIRE}, "\"kind\":\"expire\"," TIME, {0}},
    {"touch", {.kind = SPN_ITEM_TOUCH}, "\"kind\":\"touch\"," TIME, {0}},
    {"close",
     {.kind = SPN_ITEM_CLOSE, .reason = BYTES("error")},
     "\"kind\":\"close\"," TIME ",\"reason\":\"error\"",
     {0}},
    {"attributes",
     {.kind = SPN_ITEM_ATTRIBUTES, .attributes = &attributes},
     "\"kind\":\"attributes\"," TIME ",\"ttl_ms\":5,\"idle_close_ms\":0,"
     "\"content_type\":\"text\",\"note\":\"/w==\",\"note_encoding\":\"base64\"",
     {0}},
    {"event that closes",
     {.kind = SPN_ITEM_EVENT},
     "\"kind\":\"event\",\"id\":\"7\",\"type\":\"\",\"data\":\"x\",\"retry\":null," TIME
     ",\"note\":\"n\",\"closes\":true,\"reason\":\"\"",
     {.id = BYTES("7"), .data = BYTES("x"), .closes = true, .note = BYTES("n")}},
    {"marker",
     {.kind = SPN_ITEM_EVENT},
     "\"kind\":\"marker\",\"id\":\"7\",\"type\":\"\",\"data\":null,\"retry\":null," TIME
     ",\"marker\":true",
     {.kind = SPN_MARKER, .id = BYTES("7")}},
    {"reset",
     {.kind = SPN_ITEM_EVENT},
     "\"kind\":\"reset\",\"id\":\"\",\"type\":\"\",\"data\":null,\"retry\":null," TIME
     ",\"marker\":true",
     {.kind = SPN_RESET}},
};

static void expect_line(const struct entry_row *row, const struct spn_item *item, uint64_t epoch,
                        const char *cursor, const char *wanted)
{
    struct out out;
    out_init(&out, -1);
    entry_put_json(&out, item, epoch, cursor);
    if (out.size != strlen(wanted) || memcmp(out.data, wanted, out.size) != 0)
        fail_msg("%s: %.*s", row->name, (int)out.size, out.data);
    out_release(&out);
}

static void entries_are_as_documented(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(entries); i++) {
        struct spn_item item = entries[i].item;
        struct spn_event event = entries[i].event;
        char wanted[1024];
        item.event = &event;
        item.seq = event.position = 9;
        item.session = session_of("s");
        event.seq = 3;
        event.life = (struct spn_life){{0x0f, 0xa0}};
        event.time_ms = 1700000000123;
        event.retry_ms = SPN_RETRY_NONE;
        snprintf(wanted, sizeof(wanted), HEAD "%s" TAIL, entries[i].middle);
        expect_line(&entries[i], &item, 0, DATABASE ":9", wanted);
        snprintf(wanted, sizeof(wanted), HEAD_WITH_EPOCH "%s}\n", entries[i].middle);
        expect_line(&entries[i], &item, 7, NULL, wanted);
    }
}

static void a_cursor_of_the_log_reads_back(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
        uint64_t position;
    } rows[] = {
        {DATABASE ":9", true, 9},
        {DATABASE ":0", true, 0},
        {DATABASE ":18446744073709551615", true, UINT64_MAX},
        {DATABASE ":18446744073709551616", false, 0},
        {DATABASE ":", false, 0},
        {DATABASE, false, 0},
        {DATABASE "-9", false, 0},
        {DATABASE ":-9", false, 0},
        {DATABASE ":9 ", false, 0},
        {"spn:" DATABASE ":9", false, 0},
        {"0102030405060708090a0b0c0d0e0fXX:9", false, 0},
        {"", false, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        unsigned char database[SPN_DATABASE_ID_SIZE];
        char text[LOG_CURSOR_TEXT_SIZE];
        uint64_t position = 77;
        assert_int_equal(log_cursor_parse(rows[i].text, database, &position), rows[i].good);
        if (!rows[i].good)
            continue;
        assert_int_equal(position, rows[i].position);
        log_cursor_format(database, position, text);
        assert_string_equal(text, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_as_documented),
        cmocka_unit_test(a_session_without_a_name_is_null),
        cmocka_unit_test(text_of_every_length_reads_back),
        cmocka_unit_test(every_byte_of_ascii_reads_back),
        cmocka_unit_test(keys_are_in_order),
        cmocka_unit_test(streams_read_back),
        cmocka_unit_test(what_a_stream_cannot_carry_is_refused),
        cmocka_unit_test(entries_are_as_documented),
        cmocka_unit_test(a_cursor_of_the_log_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
