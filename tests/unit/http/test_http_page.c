/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_page: pages of events and of sessions, and the answers of a POST, byte by byte; all of
 * it is JSON that jansson reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <string.h>

#include "http/answer_json.h"
#include "http/page.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define LIFE "0fa00000000000000000000000000000"
#define TIME_MS 1700000000123
#define TIME "\"2023-11-14T22:13:20.123Z\""

static const struct spn_life life = {{0x0f, 0xa0}};

/* Each line is JSON on its own. */
static void check(struct out *out, const char *wanted)
{
    out_put(out, "", 1);
    assert_int_equal(out->error, 0);
    assert_string_equal(out->data, wanted);
    for (const char *line = out->data; *line != '\0';) {
        const char *end = strchr(line, '\n');
        assert_non_null(end);
        json_t *json = json_loadb(line, (size_t)(end - line), JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(json);
        json_decref(json);
        line = end + 1;
    }
    out_release(out);
}

/* -- events ------------------------------------------------------------------------------------ */

static const struct spn_event events[] = {
    {.kind = SPN_EVENT,
     .id = BYTES("7"),
     .data = BYTES("a\n\"\xE2\x80\xA8"),
     .retry_ms = SPN_RETRY_NONE,
     .seq = 7,
     .time_ms = TIME_MS},
    {.kind = SPN_EVENT,
     .id = BYTES("\xFF"),
     .type = BYTES("\xFE"),
     .data = BYTES("\xFF\xFE"),
     .retry_ms = 0,
     .seq = 8,
     .time_ms = TIME_MS},
    {.kind = SPN_MARKER, .retry_ms = 5, .seq = 9, .time_ms = TIME_MS},
    {.kind = SPN_MARKER, .id = BYTES("m"), .retry_ms = SPN_RETRY_NONE, .seq = 10},
    {.kind = SPN_RESET, .retry_ms = SPN_RETRY_NONE, .seq = UINT64_MAX, .time_ms = TIME_MS},
};

#define EVENT_0                                                                                    \
    "{\"id\":\"7\",\"type\":\"message\",\"data\":\"a\\n\\\"\\u2028\",\"seq\":7,\"time\":" TIME "}"
#define EVENT_1                                                                                    \
    "{\"id_base64\":\"/w==\",\"type_base64\":\"/g==\",\"data_base64\":\"//4=\",\"retry\":0,"       \
    "\"seq\":8,\"time\":" TIME "}"
#define EVENT_2 "{\"id\":null,\"marker\":true,\"retry\":5,\"seq\":9,\"time\":" TIME "}"
#define EVENT_3 "{\"id\":\"m\",\"marker\":true,\"seq\":10,\"time\":null}"
#define EVENT_4 "{\"id\":\"\",\"marker\":true,\"seq\":18446744073709551615,\"time\":" TIME "}"

static void put_events(struct out *out, enum page_format format, size_t count,
                       const struct page_end *end)
{
    struct page page;
    out_init(out, -1);
    page_begin(&page, out, format, "events");
    for (size_t i = 0; i < count; i++)
        page_event(&page, &events[i]);
    page_end_events(&page, end);
}

static void events_are_written(void **state)
{
    (void)state;
    struct out out;
    put_events(&out, PAGE_LINES, COUNT(events), &(struct page_end){.life = life, .seq = 10});
    out.size -= strlen("{\"next\":\"spn:" LIFE ":10\",\"closed\":false,\"missing\":0}\n");
    out_put(&out, "", 1);
    assert_string_equal(out.data, EVENT_0 "\n" EVENT_1 "\n" EVENT_2 "\n" EVENT_3 "\n" EVENT_4 "\n");
    out_release(&out);
}

static void pages_are_written(void **state)
{
    (void)state;
    struct out out;
    put_events(&out, PAGE_JSON, 2,
               &(struct page_end){
                   .life = life, .seq = 8, .closed = true, .reason = BYTES("done"), .missing = 6});
    check(&out, "{\"events\":[" EVENT_0 "," EVENT_1 "],\"next\":\"spn:" LIFE
                ":8\",\"closed\":true,\"reason\":\"done\",\"missing\":6}\n");
    put_events(&out, PAGE_LINES, 2, &(struct page_end){.life = life, .seq = 8});
    check(&out,
          EVENT_0 "\n" EVENT_1 "\n{\"next\":\"spn:" LIFE ":8\",\"closed\":false,\"missing\":0}\n");
    put_events(&out, PAGE_JSON, 0, &(struct page_end){.seq = 0});
    check(&out, "{\"events\":[],\"next\":null,\"closed\":false,\"missing\":0}\n");
    put_events(&out, PAGE_LINES, 0, &(struct page_end){.seq = 0});
    check(&out, "{\"next\":null,\"closed\":false,\"missing\":0}\n");
}

/* -- sessions ---------------------------------------------------------------------------------- */

static const struct spn_session sessions[] = {
    {.name = BYTES("chat/\"1\""),
     .last_id = BYTES("7"),
     .life = {{0x0f, 0xa0}},
     .epoch = 3,
     .seq = 7,
     .markers = 1,
     .bytes = 100,
     .opened_ms = TIME_MS,
     .last_ms = TIME_MS,
     .state = SPN_CLOSED,
     .reason = BYTES("done"),
     .content_type = BYTES("text/plain"),
     .ttl_ms = 5,
     .idle_close_ms = 6},
    {.name = BYTES("gone"), .state = SPN_DAMAGED},
};

static void sessions_are_written(void **state)
{
    (void)state;
    struct page page;
    struct out out;
    out_init(&out, -1);
    page_begin(&page, &out, PAGE_JSON, "sessions");
    page_session(&page, &sessions[0]);
    page_session(&page, &sessions[1]);
    page_end_sessions(&page, sessions[1].name);
    check(&out,
          "{\"sessions\":[{\"session\":\"chat/\\\"1\\\"\",\"state\":\"closed\",\"life\":\"" LIFE
          "\",\"seq\":7,\"markers\":1,\"bytes\":100,\"last_event_id\":\"7\",\"opened\":" TIME
          ",\"last\":" TIME ",\"reason\":\"done\",\"content_type\":\"text/plain\",\"ttl_ms\":5,"
          "\"idle_close_ms\":6},{\"session\":\"gone\",\"state\":\"damaged\",\"life\":null,"
          "\"seq\":null,\"markers\":null,\"bytes\":null,\"last_event_id\":null,\"opened\":null,"
          "\"last\":null,\"content_type\":null,\"ttl_ms\":null,\"idle_close_ms\":null}],"
          "\"next\":\"gone\"}\n");
    out_init(&out, -1);
    page_begin(&page, &out, PAGE_JSON, "sessions");
    page_end_sessions(&page, (struct spn_bytes){NULL, 0});
    check(&out, "{\"sessions\":[],\"next\":null}\n");
}

/* -- answers ----------------------------------------------------------------------------------- */

static void answers_count(void **state)
{
    (void)state;
    struct answer_json answer;
    struct out out;
    out_init(&out, -1);
    answer_json_init(&answer, SPN_DURABLE);
    answer_json_count(&answer, 0, SPN_STORED, SPN_OK, (struct spn_bytes)BYTES("a-long-one"));
    answer_json_count(&answer, 1, SPN_DUPLICATE, SPN_OK, (struct spn_bytes)BYTES("b"));
    answer_json_count(&answer, 2, SPN_REFUSED, SPN_E_CLOSED, (struct spn_bytes)BYTES("c"));
    answer_json_count(&answer, 3, SPN_CONFLICT, SPN_OK, (struct spn_bytes)BYTES("d"));
    answer_json_count(&answer, 4, SPN_LOST, SPN_E_LOST, (struct spn_bytes){NULL, 0});
    answer.last_seq = 7;
    answer.life = life;
    answer.is_cut = true;
    answer_json_write(&answer, &out);
    check(&out, "{\"stored\":1,\"duplicates\":1,\"conflicts\":1,\"refused\":1,\"lost\":1,"
                "\"last_id\":\"b\",\"last_seq\":7,\"life\":\"" LIFE "\",\"refusals\":["
                "{\"event\":2,\"result\":\"refused\",\"code\":\"SPN_E_CLOSED\"},"
                "{\"event\":3,\"result\":\"conflict\"},"
                "{\"event\":4,\"result\":\"lost\",\"code\":\"SPN_E_LOST\"}],"
                "\"unfinished\":true}\n");
    answer_json_release(&answer);
}

/* What is not known to be on disk is not called stored. */
static void answers_say_what_is_known(void **state)
{
    (void)state;
    static const struct {
        spn_level level;
        const char *wanted;
    } cases[] = {
        {SPN_NONE, "{\"sent\":0,\"duplicates\":0,\"conflicts\":0,\"refused\":0,\"lost\":0,"
                   "\"last_id\":null,\"life\":null}\n"},
        {SPN_ACCEPTED, "{\"accepted\":0,\"duplicates\":0,\"conflicts\":0,\"refused\":0,\"lost\":0,"
                       "\"last_id\":null,\"life\":null}\n"},
        {SPN_DURABLE, "{\"stored\":0,\"duplicates\":0,\"conflicts\":0,\"refused\":0,\"lost\":0,"
                      "\"last_id\":null,\"life\":null}\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct answer_json answer;
        struct out out;
        out_init(&out, -1);
        answer_json_init(&answer, cases[i].level);
        answer_json_write(&answer, &out);
        check(&out, cases[i].wanted);
        answer_json_release(&answer);
    }
}

static void refusals_are_bounded(void **state)
{
    (void)state;
    struct answer_json answer;
    struct out out;
    out_init(&out, -1);
    answer_json_init(&answer, SPN_DURABLE);
    for (uint64_t i = 0; i < 100000; i++)
        answer_json_count(&answer, i, SPN_REFUSED, SPN_E_CLOSED, (struct spn_bytes){NULL, 0});
    answer_json_write(&answer, &out);
    json_t *json = json_loadb(out.data, out.size, 0, NULL);
    assert_non_null(json);
    assert_int_equal(json_array_size(json_object_get(json, "refusals")), ANSWER_REFUSALS_MAX);
    assert_int_equal(json_integer_value(json_object_get(json, "refusals_omitted")), 99984);
    assert_int_equal(json_integer_value(json_object_get(json, "refused")), 100000);
    json_decref(json);
    answer_json_release(&answer);
    out_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_written),        cmocka_unit_test(pages_are_written),
        cmocka_unit_test(sessions_are_written),      cmocka_unit_test(answers_count),
        cmocka_unit_test(answers_say_what_is_known), cmocka_unit_test(refusals_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
