/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_events_text: places in the log, there and back, and each kind of entry as an event
 * whose data is JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <string.h>

#include "http/events_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define DATABASE "0123456789abcdef0123456789abcdef"
#define LIFE "0fa00000000000000000000000000000"
#define TIME_MS 1700000000123
#define TIME "\"2023-11-14T22:13:20.123Z\""
#define LINES(position, members)                                                                   \
    "id: " DATABASE ":" position "\ndata: {\"session\":\"a/b\",\"life\":\"" LIFE "\"," members     \
    ",\"time\":" TIME "}\n\n"

/* -- places ------------------------------------------------------------------------------------ */

static const struct place_row {
    const char *text;
    bool is_place;
    uint64_t position;
} place_rows[] = {
    {DATABASE ":0", true, 0},
    {DATABASE ":42", true, 42},
    {DATABASE ":18446744073709551615", true, UINT64_MAX},
    {DATABASE ":18446744073709551616", false, 0},
    {DATABASE ":184467440737095516150", false, 0},
    {DATABASE ":", false, 0},
    {DATABASE, false, 0},
    {DATABASE "0:1", false, 0},
    {DATABASE ":-1", false, 0},
    {DATABASE ":1 ", false, 0},
    {DATABASE ": 1", false, 0},
    {DATABASE ":0x1", false, 0},
    {"0123456789ABCDEF0123456789abcdef:1", false, 0},
    {"0123456789abcdeg0123456789abcdef:1", false, 0},
    {"0123456789abcdef0123456789abcde:11", false, 0},
    {"spn:" DATABASE ":1", false, 0},
    {":1", false, 0},
    {"", false, 0},
};

static void places_are_parsed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(place_rows); i++) {
        const struct place_row *row = &place_rows[i];
        struct events_place place = {.position = 7};
        char text[EVENTS_PLACE_SIZE];
        bool is_place =
            events_place_parse((struct spn_bytes){row->text, strlen(row->text)}, &place);
        if (is_place != row->is_place)
            fail_msg("%s", row->text);
        assert_int_equal(place.position, is_place ? row->position : 7);
        if (!is_place)
            continue;
        events_place_format(&place, text);
        assert_string_equal(text, row->text);
    }
    struct events_place place;
    assert_false(events_place_parse((struct spn_bytes)BYTES(DATABASE ":1\0"), &place));
    assert_false(events_place_parse((struct spn_bytes){NULL, 0}, &place));
}

/* -- items ------------------------------------------------------------------------------------- */

static const struct spn_attributes attributes = {
    .size = sizeof(attributes), .ttl_ms = 5000, .content_type = BYTES("text/x")};

static const struct item_row {
    spn_item_kind kind;
    struct spn_event event;
    const struct spn_attributes *attributes;
    struct spn_bytes reason;
    const char *wanted;
} item_rows[] = {
    {SPN_ITEM_EVENT,
     {.id = BYTES("7"), .data = BYTES("x\ny"), .retry_ms = SPN_RETRY_NONE, .seq = 3},
     NULL,
     {NULL, 0},
     LINES("9", "\"seq\":3,\"kind\":\"event\",\"id\":\"7\",\"type\":\"message\","
                "\"data\":\"x\\ny\"")},
    {SPN_ITEM_EVENT,
     {.id = BYTES("\xff"), .type = BYTES("t"), .data = BYTES("\xfe"), .retry_ms = 5, .seq = 3},
     NULL,
     {NULL, 0},
     LINES("9", "\"seq\":3,\"kind\":\"event\",\"id_base64\":\"/w==\",\"retry\":5,\"type\":\"t\","
                "\"data_base64\":\"/g==\"")},
    {SPN_ITEM_EVENT,
     {.id = BYTES("7"), .retry_ms = SPN_RETRY_NONE, .closes = true, .reason = BYTES("done")},
     NULL,
     {NULL, 0},
     LINES("9", "\"seq\":0,\"kind\":\"event\",\"id\":\"7\",\"type\":\"message\",\"data\":\"\","
                "\"closes\":true,\"reason\":\"done\"")},
    {SPN_ITEM_EVENT,
     {.kind = SPN_MARKER, .id = BYTES("m"), .retry_ms = SPN_RETRY_NONE},
     NULL,
     {NULL, 0},
     LINES("9", "\"seq\":0,\"kind\":\"marker\",\"id\":\"m\"")},
    {SPN_ITEM_EVENT,
     {.kind = SPN_MARKER, .retry_ms = 9},
     NULL,
     {NULL, 0},
     LINES("9", "\"seq\":0,\"kind\":\"marker\",\"id\":null,\"retry\":9")},
    {SPN_ITEM_EVENT,
     {.kind = SPN_RESET, .retry_ms = SPN_RETRY_NONE},
     NULL,
     {NULL, 0},
     LINES("9", "\"seq\":0,\"kind\":\"reset\",\"id\":\"\"")},
    {SPN_ITEM_OPEN, {.seq = 0}, NULL, {NULL, 0}, LINES("9", "\"seq\":0,\"kind\":\"open\"")},
    {SPN_ITEM_CLOSE,
     {.seq = 4},
     NULL,
     BYTES("idle"),
     LINES("9", "\"seq\":4,\"kind\":\"close\",\"closes\":true,\"reason\":\"idle\"")},
    {SPN_ITEM_DELETE, {.seq = 4}, NULL, {NULL, 0}, LINES("9", "\"seq\":4,\"kind\":\"delete\"")},
    {SPN_ITEM_EXPIRE, {.seq = 4}, NULL, {NULL, 0}, LINES("9", "\"seq\":4,\"kind\":\"expire\"")},
    {SPN_ITEM_TOUCH, {.seq = 4}, NULL, {NULL, 0}, LINES("9", "\"seq\":4,\"kind\":\"touch\"")},
    {SPN_ITEM_ATTRIBUTES,
     {.seq = 4},
     &attributes,
     {NULL, 0},
     LINES("9", "\"seq\":4,\"kind\":\"attributes\",\"ttl_ms\":5000,\"idle_close_ms\":null,"
                "\"content_type\":\"text/x\"")},
};

/* The data of the only event in the text. */
static void check_json(const struct out *out)
{
    const char *line = strstr(out->data, "\ndata: ");
    assert_non_null(line);
    line += strlen("\ndata: ");
    json_t *json = json_loadb(line, strcspn(line, "\n"), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    json_decref(json);
}

static void each_kind_is_an_event(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(item_rows); i++) {
        const struct item_row *row = &item_rows[i];
        struct spn_event event = row->event;
        struct events_place place;
        struct out out;
        assert_true(events_place_parse((struct spn_bytes)BYTES(DATABASE ":9"), &place));
        event.size = sizeof(event);
        event.time_ms = TIME_MS;
        struct spn_item item = {.kind = row->kind,
                                .event = &event,
                                .seq = place.position,
                                .life = {{0x0f, 0xa0}},
                                .session = BYTES("a/b"),
                                .attributes = row->attributes,
                                .reason = row->reason};
        memcpy(item.database, place.database, sizeof(item.database));
        out_init(&out, -1);
        events_text_item(&out, &item);
        out_put(&out, "", 1);
        assert_int_equal(out.error, 0);
        assert_string_equal(out.data, row->wanted);
        check_json(&out);
        out_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_parsed),
        cmocka_unit_test(each_kind_is_an_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
