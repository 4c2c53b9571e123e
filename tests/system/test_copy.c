/* SPDX-License-Identifier: Apache-2.0 */
/* test_copy: a session piped through `tail --format sse` and `record` into another sidecar is the
 * same there, whatever its events hold that a text/event-stream can carry. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "event_list.h"
#include "sponson.h"
#include "stage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

enum { OPEN_MS = 10000, ID_MAX = 4096, TYPE_MAX = 255, DATA_MAX = 4 * 1024 * 1024 };

static char filler[DATA_MAX];

static const struct row {
    struct spn_bytes id; /* empty: the library gives one */
    struct spn_bytes type;
    struct spn_bytes data;
    uint32_t retry_ms;
} events[] = {
    {TEXT("1"), TEXT("delta"), TEXT("{\"n\":1}"), 1500},
    {TEXT(""), TEXT(""), TEXT("no id of its own"), SPN_RETRY_NONE},
    {TEXT(""), TEXT(""), TEXT("nor this one"), SPN_RETRY_NONE},
    {TEXT("no data"), TEXT("ping"), TEXT(""), SPN_RETRY_NONE},
    {TEXT("nothing else"), TEXT(""), TEXT(""), SPN_RETRY_NONE},
    {TEXT("retry 0"), TEXT(""), TEXT("a"), 0},
    {TEXT("the longest retry"), TEXT(""), TEXT("a"), UINT32_MAX - 1},
    {TEXT("lines"), TEXT(""), TEXT("one\ntwo\n\nfour"), SPN_RETRY_NONE},
    {TEXT("ends with a line"), TEXT(""), TEXT("a\n"), SPN_RETRY_NONE},
    {TEXT("begins with a line"), TEXT(""), TEXT("\na"), SPN_RETRY_NONE},
    {TEXT("a line"), TEXT(""), TEXT("\n"), SPN_RETRY_NONE},
    {TEXT("lines of nothing"), TEXT(""), TEXT("\n\n\n"), SPN_RETRY_NONE},
    {TEXT("one space"), TEXT(""), TEXT(" a"), SPN_RETRY_NONE},
    {TEXT("spaces"), TEXT(""), TEXT("  a \n  b "), SPN_RETRY_NONE},
    {TEXT("colons"), TEXT("a: b"), TEXT(":a\n: b"), SPN_RETRY_NONE},
    {TEXT("a stream"), TEXT(""), TEXT("id: x\nevent: y\nretry: 7\ndata: z\n\ndata: w\n\n"), 3},
    {TEXT("a NUL"), TEXT(""), TEXT("a\0b"), SPN_RETRY_NONE},
    {TEXT("a BOM"), TEXT("\xEF\xBB\xBF"), TEXT("\xEF\xBB\xBF"), SPN_RETRY_NONE},
    {TEXT("not UTF-8 \xFF"), TEXT("\xFE"), TEXT("\xC3\x28"), SPN_RETRY_NONE},
    {TEXT(" id with spaces "), TEXT(" type "), TEXT("a"), SPN_RETRY_NONE},
    {TEXT(": id"), TEXT(": type"), TEXT("a"), SPN_RETRY_NONE},
    {TEXT("type message"), TEXT("message"), TEXT("a"), SPN_RETRY_NONE},
    {TEXT("[{\"topic\":\"eqiad\",\"offset\":-1}]"), TEXT(""), TEXT("a"), SPN_RETRY_NONE},
    {{filler, ID_MAX}, {filler, TYPE_MAX}, {filler, DATA_MAX}, 9},
    {TEXT("the last"), TEXT("done"), TEXT("[DONE]"), SPN_RETRY_NONE},
};

static void publish_all(const char *session)
{
    spn_client *client;
    spn_producer *producer;
    const struct spn_ack *ack;
    assert_int_equal(spn_client_open(&client, NULL, OPEN_MS, NULL, 0), SPN_OK);
    assert_int_equal(spn_producer_open(&producer, client, NULL, OPEN_MS), SPN_OK);
    for (size_t i = 0; i < COUNT(events); i++) {
        const struct spn_event event = {.size = sizeof(event),
                                        .id = events[i].id,
                                        .type = events[i].type,
                                        .data = events[i].data,
                                        .retry_ms = events[i].retry_ms};
        assert_int_equal(spn_publish(producer, spn_text(session), &event, NULL), SPN_OK);
        assert_int_equal(spn_producer_next_ack(producer, OPEN_MS, &ack), SPN_OK);
        if (ack->result != SPN_STORED)
            fail_msg("row %zu is %s", i, spn_result_name(ack->result));
    }
    assert_int_equal(spn_producer_close(producer, OPEN_MS, NULL), SPN_OK);
    spn_client_close(client);
}

/* What the first sidecar was given, by its own account. */
static void expect_rows(const struct event_list *got)
{
    assert_int_equal(got->count, COUNT(events));
    for (size_t i = 0; i < COUNT(events); i++) {
        int64_t retry = events[i].retry_ms == SPN_RETRY_NONE ? -1 : (int64_t)events[i].retry_ms;
        bool same_id = events[i].id.size == 0 ? got->items[i].id.size > 0
                                              : event_bytes_same(got->items[i].id, events[i].id);
        if (!same_id || !event_bytes_same(got->items[i].type, events[i].type) ||
            !event_bytes_same(got->items[i].data, events[i].data) ||
            got->items[i].retry_ms != retry)
            fail_msg("row %zu is not what was published", i);
    }
}

static void a_copy_is_the_same(struct stage *stage)
{
    stage_start(stage, NULL);
    const char *other_data = stage_make_dir(stage, "data2");
    const char *other_run = stage_make_dir(stage, "run2");
    stage_start(stage, &(struct stage_daemon){.data_dir = other_data, .socket_dir = other_run});
    publish_all("s");
    const char *pipeline = stage_format(stage,
                                        "'%s' tail s --earliest --exit-when-caught-up --format sse"
                                        " | '%s' record s --socket-dir '%s'",
                                        stage_sponson(), stage_sponson(), other_run);
    const char *const words[] = {"sh", "-c", pipeline, NULL};
    struct process *both = stage_process(stage, &(struct process_options){.argv = words});
    struct outcome copied = stage_end(stage, both, until_in(STAGE_WAIT_MS));
    stage_expect_code(&copied, 0);
    assert_string_equal(copied.err, "");
    assert_int_equal(event_json_number(copied.out, "stored"), COUNT(events));

    struct outcome first = stage_run(stage, "replay", "s");
    struct outcome second = stage_run(stage, "replay", "s", "--socket-dir", other_run);
    struct event_list wanted = EVENT_LIST_INIT, got = EVENT_LIST_INIT;
    event_list_add_json(&wanted, first.output, NULL);
    event_list_add_json(&got, second.output, NULL);
    expect_rows(&wanted);
    event_list_expect_same("the copy", &got, &wanted);

    /* And a reader that was in the middle of the one goes on from there in the other. */
    size_t middle = wanted.count / 2;
    struct event_list rest = EVENT_LIST_INIT;
    const char *id = stage_format(stage, "%.*s", (int)wanted.items[middle].id.size,
                                  (const char *)wanted.items[middle].id.data);
    struct outcome after =
        stage_run(stage, "replay", "s", "--after", id, "--socket-dir", other_run);
    stage_expect_code(&after, 0);
    event_list_add_json(&rest, after.output, NULL);
    assert_int_equal(rest.count, wanted.count - middle - 1);
    for (size_t i = 0; i < rest.count; i++)
        assert_true(event_bytes_same(rest.items[i].id, wanted.items[middle + 1 + i].id));
    event_list_release(&rest);
    event_list_release(&wanted);
    event_list_release(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_copy_is_the_same),
    };
    memset(filler, 'x', sizeof(filler));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
