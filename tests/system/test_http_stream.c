/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_stream: where a stream begins, what it says of gaps, and how it ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "http_client.h"
#include "http_gateway.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S "/v1/sessions/"

static void put(struct stage *stage, const char *session, const char *headers, const char *data)
{
    struct http_answer answer =
        http_do(stage, "POST", stage_format(stage, S "%s", session), headers, data);
    http_expect(&answer, 200);
}

/* Events 1 to count with the ids e1 ... and the data 1 ... */
static void fill(struct stage *stage, const char *session, unsigned count)
{
    for (unsigned i = 1; i <= count; i++)
        put(stage, session, stage_format(stage, "Event-Id: e%u\r\n", i),
            stage_format(stage, "%u", i));
}

static void start(struct stage *stage)
{
    stage_start(stage, NULL);
    http_start_plain(stage);
}

static const char *life_of(struct stage *stage, const char *session)
{
    struct http_answer answer =
        http_do(stage, "HEAD", stage_format(stage, S "%s", session), NULL, NULL);
    http_expect(&answer, 200);
    return http_header(stage, &answer, "Sponson-Life");
}

static void expect_event(struct http *http, const char *type, const char *data)
{
    struct http_event event = http_next_data(http);
    assert_string_equal(event.type, type);
    assert_string_equal(event.data, data);
    if (strncmp(type, "sponson-", 8) == 0)
        assert_string_equal(event.id, strcmp(type, "sponson-open") == 0 ? event.data : "");
}

/* -- the beginning ----------------------------------------------------------------------------- */

static void the_first_lines_prime_a_browser(struct stage *stage)
{
    struct http_answer answer;
    struct http_event event;
    start(stage);
    fill(stage, "s", 2);
    struct http *http = http_stream(stage, S "s", NULL, &answer);
    assert_string_equal(http_header(stage, &answer, "Cache-Control"), "no-store");
    assert_string_equal(http_header(stage, &answer, "X-Accel-Buffering"), "no");
    assert_string_equal(http_header(stage, &answer, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(http_header(stage, &answer, "Referrer-Policy"), "no-referrer");
    assert_string_equal(http_header(stage, &answer, "Vary"), "Origin, Accept");
    assert_string_equal(http_header(stage, &answer, "Sponson-Seq"), "2");
    assert_true(http_next(http, &event));
    long retry_ms = strtol(event.retry, NULL, 10);
    assert_true(retry_ms >= 1000 && retry_ms <= 3000 && !event.has_data);
    assert_true(http_next(http, &event));
    assert_string_equal(event.id, stage_format(stage, "spn:%s:0", life_of(stage, "s")));
    assert_false(event.has_data);
    event = http_next_data(http);
    assert_string_equal(event.id, "e1");
    assert_string_equal(event.data, "1");
}

/* Where it begins: query, header, and the data that come first; then the live event. */
static void a_stream_begins_where_it_should(struct stage *stage)
{
    start(stage);
    fill(stage, "s", 3);
    const char *life = life_of(stage, "s");
    const char *cursor = stage_format(stage, "spn:%s:2", life);
    const struct {
        const char *query, *headers, *first;
    } starts[] = {
        {"", NULL, "1"},
        {"?from=earliest", NULL, "1"},
        {"?from=now", NULL, "4"},
        {"?after=e1", NULL, "2"},
        {"?last_event_id=e1", NULL, "2"},
        {"?lastEventId=e1", NULL, "2"},
        {"?starting_after=e3", NULL, "4"},
        {"?after=e1", "Last-Event-ID: e2\r\n", "3"},
        {stage_format(stage, "?after=%s", cursor), NULL, "3"},
        {"", stage_format(stage, "Last-Event-ID: %s\r\n", cursor), "3"},
        {"?from=now", "Last-Event-ID: e2\r\n", "3"},
    };
    struct http *streams[COUNT(starts)];
    for (size_t i = 0; i < COUNT(starts); i++) {
        struct http_event event;
        streams[i] = http_stream(stage, stage_format(stage, S "s%s", starts[i].query),
                                 starts[i].headers, NULL);
        assert_true(http_next(streams[i], &event) && http_next(streams[i], &event));
    }
    put(stage, "s", NULL, "4");
    for (size_t i = 0; i < COUNT(starts); i++)
        for (long next = strtol(starts[i].first, NULL, 10); next <= 4; next++)
            assert_string_equal(http_next_data(streams[i]).data, stage_format(stage, "%ld", next));
}

/* Who asks with an id that is not there is told, and gets everything. */
static void a_reset_says_why(struct stage *stage)
{
    start(stage);
    fill(stage, "s", 2);
    const char *old = stage_format(stage, "?after=spn:%s:1", life_of(stage, "s"));
    struct http_answer answer = http_do(stage, "DELETE", S "s", NULL, NULL);
    http_expect(&answer, 204);
    fill(stage, "s", 2);
    const char *above = stage_format(stage, "?after=spn:%s:3", life_of(stage, "s"));
    const struct {
        const char *query, *reason;
    } resets[] = {{old, "SPN_E_OTHER_LIFE"}, {above, NULL}, {"?after=nobody", "SPN_E_UNKNOWN_ID"}};
    for (size_t i = 0; i < COUNT(resets); i++) {
        struct http *http =
            http_stream(stage, stage_format(stage, S "s%s", resets[i].query), NULL, NULL);
        struct http_event event = http_next_data(http);
        assert_string_equal(event.type, "sponson-reset");
        assert_string_equal(event.id, "");
        if (resets[i].reason && !strstr(event.data, resets[i].reason))
            fail_msg("reset: %s", event.data);
        http_expect_data(http, "1", "2");
    }
}

/* Received and missing are all that was stored. */
static void what_was_trimmed_is_a_gap(struct stage *stage)
{
    const struct stage_daemon options = {.more = {"--retention-events", "5"}};
    stage_start(stage, &options);
    http_start_plain(stage);
    fill(stage, "s", 1);
    const char *after =
        stage_format(stage, S "s?until=caught-up&after=spn:%s:1", life_of(stage, "s"));
    for (unsigned i = 2; i <= 20; i++)
        put(stage, "s", NULL, stage_format(stage, "%u", i));
    struct http *http = http_stream(stage, after, NULL, NULL);
    expect_event(http, "sponson-gap", "{\"reason\":\"trimmed\",\"missing\":14}");
    http_expect_data(http, "16", "17", "18", "19", "20");
    http_expect_end(http);
}

/* -- sessions that come and go ----------------------------------------------------------------- */

static void an_unknown_session_is_waited_for(struct stage *stage)
{
    struct http_event event;
    stage_start(stage, NULL);
    http_start(stage, "--wait-unknown=300ms");
    struct http *waits = http_stream(stage, S "s", NULL, NULL);
    struct http *cursor = http_stream(stage, S "s", "Last-Event-ID: e1\r\n", NULL);
    struct http *never = http_stream(stage, S "never", NULL, NULL);
    struct http *ends = http_stream(stage, S "s", NULL, NULL);
    assert_true(http_next(waits, &event));
    expect_event(cursor, "sponson-reset", "{\"reason\":\"SPN_E_UNKNOWN_SESSION\",\"missing\":0}");
    fill(stage, "s", 1);
    http_expect_data(waits, "1");
    http_expect_data(cursor, "1");
    http_expect_data(ends, "1");
    put(stage, "s", "Stream-Closed: true\r\n", "last");
    http_expect_data(waits, "last");
    http_expect_end(waits);
    http_expect_data(ends, "last");
    http_expect_end(ends);
    expect_event(never, "sponson-end", "{\"reason\":\"unknown\"}");
    http_expect_end(never);
}

#define ABSENT "spn:00000000000000000000000000000000:0"
#define COMES_BACK "Last-Event-ID: " ABSENT "\r\n"

static void expect_status(struct stage *stage, const char *path, const char *headers,
                          unsigned status)
{
    struct http_answer answer = http_do(stage, "GET", path, headers, NULL);
    http_expect(&answer, status);
}

/* The id of a reader's last block before its end. It dispatches nothing. */
static const char *last_id(struct http *http, const char *reason)
{
    struct http_event event;
    const char *id = "";
    while (http_next(http, &event) && !event.has_data)
        id = event.id[0] != '\0' ? event.id : id;
    assert_string_equal(event.type, "sponson-end");
    assert_string_equal(event.data, reason);
    http_expect_end(http);
    return id;
}

/* A reader of a session that is gone is stopped when it has waited once, and only then. */
static void a_session_that_is_gone_stops_its_readers(struct stage *stage)
{
    static const char unknown[] = "{\"reason\":\"unknown\"}";
    static const char reset[] = "{\"reason\":\"SPN_E_UNKNOWN_SESSION\",\"missing\":0}";
    stage_start(stage, NULL);
    http_start(stage, "--wait-unknown=100ms");
    struct http *had = http_stream(stage, S "gone", "Last-Event-ID: e1\r\n", NULL);
    struct http *had_in_query = http_stream(
        stage, S "gone?prime=1&after=spn:0123456789abcdef0123456789abcdef:3", NULL, NULL);
    struct http *had_nothing = http_stream(stage, S "gone", NULL, NULL);
    expect_event(had, "sponson-reset", reset);
    assert_string_equal(last_id(had, unknown), ABSENT);
    expect_event(had_in_query, "sponson-reset", reset);
    expect_event(had_in_query, "sponson-open", ABSENT);
    assert_string_equal(last_id(had_in_query, unknown), "");
    assert_string_equal(last_id(had_nothing, unknown), "");
    expect_status(stage, S "gone", COMES_BACK, 204);
    expect_status(stage, S "gone?after=" ABSENT, NULL, 204);
    expect_status(stage, S "gone?wait=0", COMES_BACK, 404);
    had = http_stream(stage, S "gone", "Last-Event-ID: e1\r\n", NULL); /* was cut while it waited */
    expect_event(had, "sponson-reset", reset);
}

/* Then it begins with the first event, without another reset. */
static void a_session_that_came_in_time_goes_on(struct stage *stage)
{
    start(stage);
    fill(stage, "s", 2);
    struct http *http = http_stream(stage, S "s?until=caught-up", COMES_BACK, NULL);
    http_expect_data(http, "1", "2");
    http_expect_end(http);
    http = http_stream(stage, S "s?until=caught-up&unknown-id=fail", COMES_BACK, NULL);
    http_expect_data(http, "1", "2");
    http_expect_end(http);
    put(stage, "s", "Event-Id: " ABSENT "\r\n", "3"); /* an id that is stored so wins */
    fill(stage, "s", 3);
    http = http_stream(stage, S "s?until=caught-up", COMES_BACK, NULL);
    http_expect_data(http, "3");
    http_expect_end(http);
}

/* 204 stops a browser: only once it has everything. */
static void a_closed_session_is_read_to_its_end(struct stage *stage)
{
    start(stage);
    put(stage, "s", "Event-Id: e1\r\n", "1");
    put(stage, "s", "Event-Id: e2\r\nStream-Closed: true\r\n", "2");
    const char *end = stage_format(stage, S "s?after=spn:%s:2", life_of(stage, "s"));
    struct http *http = http_stream(stage, S "s", NULL, NULL);
    http_expect_data(http, "1", "2");
    http_expect_end(http);
    http = http_stream(stage, S "s", "Last-Event-ID: e1\r\n", NULL);
    http_expect_data(http, "2");
    http_expect_end(http);
    struct http_answer answer = http_do(stage, "GET", S "s", "Last-Event-ID: e2\r\n", NULL);
    http_expect(&answer, 204);
    answer = http_do(stage, "GET", end, NULL, NULL);
    http_expect(&answer, 204);
}

static void a_deleted_session_ends(struct stage *stage)
{
    start(stage);
    fill(stage, "s", 1);
    struct http *http = http_stream(stage, S "s", NULL, NULL);
    http_expect_data(http, "1");
    struct http_answer answer = http_do(stage, "DELETE", S "s", NULL, NULL);
    http_expect(&answer, 204);
    expect_event(http, "sponson-end", "{\"reason\":\"deleted\"}");
    http_expect_end(http);
}

/* -- forms ------------------------------------------------------------------------------------- */

static void options_change_the_form(struct stage *stage)
{
    struct http_event event;
    start(stage);
    fill(stage, "s", 1);
    struct http *http = http_stream(stage, S "s?prime=1&until=caught-up", NULL, NULL);
    const char *cursor = stage_format(stage, "spn:%s:0", life_of(stage, "s"));
    expect_event(http, "sponson-open", cursor);
    http_expect_data(http, "1");
    http_expect_end(http);
    http = http_stream(stage, S "s?control=comment&until=caught-up&after=nobody", NULL, NULL);
    unsigned comments = 0;
    while (http_next(http, &event) && !event.has_data)
        comments += event.comment != NULL;
    assert_true(comments >= 4); /* retry, id, event, data */
    assert_string_equal(event.id, "e1");
    http_expect_end(http);
}

/* As OpenAI's clients ask: they accept JSON alone, and take every event for the app's. */
static void stream_true_outweighs_accept(struct stage *stage)
{
    struct http_event event;
    const char *json = "Accept: application/json\r\n";
    start(stage);
    fill(stage, "s", 1);
    struct http *http =
        http_stream(stage, S "s?stream=true&until=caught-up&after=nobody", json, NULL);
    do
        assert_true(http_next(http, &event));
    while (event.comment != NULL);
    assert_string_equal(event.id, "e1");
    http_expect_end(http);
    http = http_stream(stage, S "s?stream=true&control=event&until=caught-up&after=e1", json, NULL);
    assert_true(http_next(http, &event) && event.comment == NULL);
    http_expect_end(http);
    struct http_answer answer = http_do(stage, "GET", S "s?stream=false", json, NULL);
    http_expect(&answer, 200);
    assert_non_null(strstr(http_header(stage, &answer, "Content-Type"), "json"));
}

/* nginx speaks it to what is behind it. */
static void http_1_0_has_no_chunks(struct stage *stage)
{
    start(stage);
    fill(stage, "s", 1);
    struct http *http = http_open(stage);
    http_send(http, "GET " S "s?until=caught-up HTTP/1.0\r\n\r\n");
    struct http_answer answer = http_begin(http);
    http_expect(&answer, 200);
    assert_null(http_header(stage, &answer, "Transfer-Encoding"));
    assert_null(http_header(stage, &answer, "Content-Length"));
    http_expect_data(http, "1");
    http_expect_end(http);
}

/* A socket that is full cuts the answer anywhere; then it goes on there, whatever frames it. */
static void framing_survives_a_full_socket(struct stage *stage)
{
    enum { BIGS = 12, BIG = 100000 };
    static const char *const requests[] = {
        "GET " S "s HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET " S "s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "GET " S "s HTTP/1.0\r\n\r\n",
    };
    struct http *readers[COUNT(requests)];
    struct http_event event;
    char *big = stage_keep(stage, calloc(1, BIG + 1));
    memset(big, 'x', BIG);
    stage_start(stage, NULL);
    http_start(stage, "--heartbeat=600s", "--stall=600s"); /* nothing else makes it go on */
    fill(stage, "s", 1);
    for (size_t i = 0; i < COUNT(requests); i++) {
        readers[i] = http_open(stage);
        http_send(readers[i], requests[i]);
        struct http_answer answer = http_begin(readers[i]);
        http_expect(&answer, 200);
        while (http_next(readers[i], &event) && strcmp(event.data, "1") != 0)
            continue;
    }
    for (unsigned i = 0; i < BIGS; i++) {
        big[0] = (char)('a' + i);
        put(stage, "s", i + 1 == BIGS ? "Stream-Closed: true\r\n" : NULL, big);
    }
    for (size_t i = 0; i < COUNT(requests); i++) {
        for (unsigned j = 0; j < BIGS; j++) {
            event = http_next_data(readers[i]);
            assert_int_equal(strlen(event.data), BIG);
            assert_int_equal(event.data[0], 'a' + j);
        }
        http_expect_end(readers[i]);
    }
}

/* A reader with a body, which means nothing, is answered all the same. */
static void a_body_of_a_get_is_passed_over(struct stage *stage)
{
    start(stage);
    fill(stage, "s", 1);
    struct http_answer answer = http_do(stage, "GET", S "s?until=caught-up", NULL, "body");
    http_expect(&answer, 200);
    assert_non_null(strstr(answer.body.data, "data: 1\n\n"));
    answer = http_do(stage, "GET", S "none?wait=0", NULL, "body");
    http_expect(&answer, 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(the_first_lines_prime_a_browser),
        STAGE_TEST(a_stream_begins_where_it_should),
        STAGE_TEST(a_reset_says_why),
        STAGE_TEST(what_was_trimmed_is_a_gap),
        STAGE_TEST(an_unknown_session_is_waited_for),
        STAGE_TEST(a_session_that_is_gone_stops_its_readers),
        STAGE_TEST(a_session_that_came_in_time_goes_on),
        STAGE_TEST(a_closed_session_is_read_to_its_end),
        STAGE_TEST(a_deleted_session_ends),
        STAGE_TEST(options_change_the_form),
        STAGE_TEST(stream_true_outweighs_accept),
        STAGE_TEST(http_1_0_has_no_chunks),
        STAGE_TEST(framing_survives_a_full_socket),
        STAGE_TEST(a_body_of_a_get_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
