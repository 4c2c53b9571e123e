/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_post: what POST stores, what it answers, and when. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "http_client.h"
#include "http_gateway.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S "/v1/sessions/"
#define SSE "Content-Type: text/event-stream\r\n"
#define JSON "Content-Type: application/json\r\n"

static void start(struct stage *stage)
{
    stage_start(stage, NULL);
    http_start_plain(stage);
}

/* -- bodies ------------------------------------------------------------------------------------ */

static void every_body_becomes_its_events(struct stage *stage)
{
    static const struct {
        const char *path, *headers, *body, *words;
    } posts[] = {
        {S "a", NULL, "raw", "\"last_seq\":1"},
        {S "a", "Content-Type: text/plain\r\nEvent-Id: i\r\nEvent-Type: t\r\n", "typed",
         "\"last_id\":\"i\""},
        {S "a", "Idempotency-Key: k\r\n", "once", "\"stored\":1"},
        {S "a", "Idempotency-Key: k\r\n", "once", "\"stored\":0,\"duplicates\":1"},
        {S "a", JSON, "{\"data\":\"object\",\"type\":\"t\"}", "\"stored\":1"},
        {S "a", JSON, "[{\"data\":\"x\"},{\"data\":\"y\"}]", "\"stored\":2"},
        {S "a", JSON "Idempotency-Key: m\r\n", "[{\"data\":\"m\"},{\"data\":\"n\"}]",
         "\"last_id\":\"m-1\""},
        {S "a", JSON "Idempotency-Key: m\r\n", "[{\"data\":\"m\"},{\"data\":\"n\"}]",
         "\"stored\":0,\"duplicates\":2"},
        {S "a", SSE, "id: s\ndata: sse\n\ndata: two\ndata: lines\n\n", "\"stored\":2"},
        {S "a", SSE, "data: whole\n\ndata: half", "\"unfinished\":true"},
        {S "a?newlines=lf", NULL, "a\r\nb", "\"stored\":1"},
    };
    start(stage);
    for (size_t i = 0; i < COUNT(posts); i++) {
        struct http_answer answer =
            http_post(stage, posts[i].path, posts[i].headers, posts[i].body);
        http_expect_words(&answer, posts[i].words);
    }
    struct http *http = http_stream(stage, S "a?until=caught-up", NULL, NULL);
    http_expect_data(http, "raw", "typed", "once", "object", "x", "y", "m", "n", "sse",
                     "two\nlines", "whole", "a\nb");
    http_expect_end(http);
}

/* Each event of an endless body is there before the next is sent. */
static void expect_stored_as_it_comes(struct stage *stage, const char *headers)
{
    start(stage);
    struct http *reader = http_stream(stage, S "live", NULL, NULL);
    struct http *writer = http_open(stage);
    http_send_request(writer, "POST", S "live", headers, NULL);
    for (int i = 0; i < 20; i++) {
        const char *event = stage_format(stage, "data: %d\n\n", i);
        http_send(writer, stage_format(stage, "%zx\r\n%s\r\n", strlen(event), event));
        assert_string_equal(http_next_data(reader).data, stage_format(stage, "%d", i));
    }
    http_send(writer, "0\r\n\r\n");
    struct http_answer answer = http_read(writer);
    http_expect(&answer, 200);
    http_expect_words(&answer, "\"stored\":20");
}

static void an_endless_body_is_stored_as_it_comes(struct stage *stage)
{
    expect_stored_as_it_comes(stage, SSE "Transfer-Encoding: chunked\r\n");
}

/* Also if the last one is to close the session: the close follows by itself. */
static void an_endless_body_that_closes_is_too(struct stage *stage)
{
    expect_stored_as_it_comes(stage, SSE "Transfer-Encoding: chunked\r\nStream-Closed: true\r\n");
    struct http_answer answer = http_do(stage, "POST", S "live", NULL, "late");
    http_expect(&answer, 409);
    assert_int_equal(http_seq(stage, "live"), 20);
}

/* The condition was the first event's, whose result is known by now. */
static void an_endless_body_with_a_condition_is_too(struct stage *stage)
{
    expect_stored_as_it_comes(stage, SSE "Transfer-Encoding: chunked\r\nIf-None-Match: *\r\n");
}

/* A body at full speed into a daemon that stands still: the gateway stops reading. */
static void a_full_speed_body_is_slowed_down(struct stage *stage)
{
    enum { EVENT = 1000, MOST = 64 << 20 };
    struct process *daemon = stage_start(stage, NULL);
    struct process *gateway = http_start_plain(stage);
    struct http *writer = http_open(stage);
    char chunk[EVENT + 8];
    size_t sent = 0;
    memset(chunk, 'a', sizeof(chunk));
    static const char head[] = "3e8\r\ndata: ";
    static const char tail[] = "\n\n\r\n";
    memcpy(chunk, head, sizeof(head) - 1);
    memcpy(chunk + 5 + EVENT - 2, tail, sizeof(tail) - 1);
    http_send_request(writer, "POST", S "full", SSE "Transfer-Encoding: chunked\r\n", NULL);
    process_stop(daemon);
    size_t size = 5 + EVENT + 2;
    uint64_t due_ns = until_in(400);
    while (!until_over(due_ns) && sent < MOST) {
        size_t part = sent % size;
        sent += http_send_some(writer, chunk + part, size - part);
    }
    assert_true(sent < MOST / 4);
    process_signal(daemon, SIGCONT);
    for (size_t part = sent % size; part > 0 && part < size;)
        part += http_send_some(writer, chunk + part, size - part);
    http_send(writer, "0\r\n\r\n");
    struct http_answer answer = http_read(writer);
    http_expect(&answer, 200);
    uint64_t events = (sent + size - 1) / size;
    http_expect_words(&answer, stage_format(stage, "\"stored\":%llu", (unsigned long long)events));
    assert_int_equal(http_seq(stage, "full"), events);
    assert_true(process_runs(gateway));
}

/* -- conditions -------------------------------------------------------------------------------- */

static void one_of_fifty_wins(struct stage *stage)
{
    enum { RACERS = 50 };
    struct http *racers[RACERS];
    unsigned won = 0;
    start(stage);
    for (size_t i = 0; i < RACERS; i++)
        racers[i] = http_open(stage);
    for (size_t i = 0; i < RACERS; i++)
        http_send_request(racers[i], "POST", S "race", "If-None-Match: *\r\n", "me");
    for (size_t i = 0; i < RACERS; i++) {
        struct http_answer answer = http_read(racers[i]);
        won += answer.status == 200;
        if (answer.status != 200)
            http_expect(&answer, 412);
        assert_string_equal(http_header(stage, &answer, "Sponson-Seq"), "1");
    }
    assert_int_equal(won, 1);
    assert_int_equal(http_seq(stage, "race"), 1);
}

static void the_last_event_closes(struct stage *stage)
{
    static const char *const names[] = {"raw", "sse", "array"};
    start(stage);
    http_post(stage, S "raw", "Stream-Closed: true\r\n", "z");
    http_post(stage, S "sse", SSE "Stream-Closed: true\r\n", "data: y\n\ndata: z\n\n");
    http_post(stage, S "array", JSON "Stream-Closed: true\r\n",
              "[{\"data\":\"y\"},{\"data\":\"z\"}]");
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *path = stage_format(stage, S "%s", names[i]);
        struct http_answer answer = http_do(stage, "POST", path, NULL, "late");
        http_expect(&answer, 409);
        struct http *http = http_stream(stage, path, NULL, &answer);
        assert_string_equal(http_header(stage, &answer, "Sponson-State"), "closed");
        if (i > 0)
            http_expect_data(http, "y");
        http_expect_data(http, "z");
        http_expect_end(http);
    }
    /* in pieces that come together; and none by a close of its own */
    struct http *pieces = http_open(stage);
    http_send(pieces, "POST " S "pieces HTTP/1.1\r\nHost: a\r\n" SSE "Stream-Closed: true\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n"
                      "9\r\ndata: y\n\n\r\n9\r\ndata: z\n\n\r\n0\r\n\r\n");
    struct http_answer whole = http_read(pieces);
    http_expect(&whole, 200);
    struct http *all = http_stream(stage, "/v1/events?until=caught-up", NULL, NULL);
    struct http_event event;
    while (http_next(all, &event))
        assert_null(strstr(event.data, "\"kind\":\"close\""));
    struct http_answer answer = http_do(stage, "POST", S "empty", "Stream-Closed: true\r\n", NULL);
    assert_true(answer.status == 204 || answer.status == 404);
}

/* Nor is there a close of its own for it. */
static void a_last_event_that_is_refused_closes_nothing(struct stage *stage)
{
    start(stage);
    http_post(stage, S "a", "Event-Id: 1\r\n", "x");
    struct http *writer = http_open(stage);
    http_send_request(writer, "POST", S "a",
                      SSE "Transfer-Encoding: chunked\r\nStream-Closed: true\r\n", NULL);
    http_send(writer, "f\r\nid: 1\ndata: y\n\n\r\n");
    assert_int_equal(http_seq(stage, "a"), 1); /* meanwhile the body pauses */
    http_send(writer, "0\r\n\r\n");
    struct http_answer answer = http_read(writer);
    http_expect(&answer, 409);
    http_post(stage, S "a", NULL, "z");
}

/* A marker cannot close the session itself: at no level is the close forgotten. */
static void a_last_marker_closes_at_every_level(struct stage *stage)
{
    static const char *const levels[] = {"durable", "accepted", "none"};
    start(stage);
    for (size_t i = 0; i < COUNT(levels); i++) {
        const char *path = stage_format(stage, S "%s?ack=%s", levels[i], levels[i]);
        struct http_answer answer =
            http_do(stage, "POST", path, SSE "Stream-Closed: true\r\n", "data: y\n\nid: z\n\n");
        http_expect(&answer, i < 2 ? 200 : 204);
        answer = http_do(stage, "POST", path, NULL, "late");
        http_expect(&answer, i < 2 ? 409 : 202);
        assert_int_equal(http_seq(stage, levels[i]), 2); /* the event and the marker */
    }
}

static void levels_are_answered_as_they_say(struct stage *stage)
{
    start(stage);
    struct http_answer answer = http_post(stage, S "a?ack=accepted", NULL, "1");
    http_expect_words(&answer, "{\"accepted\":1");
    answer = http_do(stage, "POST", S "a?ack=none", NULL, "2");
    http_expect(&answer, 202);
    assert_int_equal(answer.body.size, 0);
    struct http *http = http_stream(stage, S "a", NULL, NULL);
    http_expect_data(http, "1", "2");
}

/* However many events: nobody waits for the disk. What was only accepted is gone with the daemon.
 */
static void accepted_is_answered_before_the_disk(struct stage *stage)
{
    static const struct {
        const char *session, *headers, *body;
    } posts[] = {
        {"one", NULL, "a"},
        {"array", JSON, "[{\"data\":\"a\"},{\"data\":\"b\"}]"},
        {"sse", SSE, "data: a\n\ndata: b\n\n"},
    };
    const struct stage_daemon holding = {.more = {"--flush-interval", "60000"}};
    struct process *daemon = stage_start(stage, &holding);
    http_start_plain(stage);
    http_post(stage, S "before?ack=accepted", SSE, "data: a\n\n"); /* opens the producer */
    http_post(stage, S "before", NULL, "b");
    for (size_t i = 0; i < COUNT(posts); i++) {
        const char *path = stage_format(stage, S "%s?ack=accepted", posts[i].session);
        struct http_answer answer = http_post(stage, path, posts[i].headers, posts[i].body);
        http_expect_words(&answer, stage_format(stage, "{\"accepted\":%d", i == 0 ? 1 : 2));
    }
    process_kill(daemon);
    stage_start(stage, NULL);
    assert_int_equal(http_seq(stage, "before"), 2);
    for (size_t i = 0; i < COUNT(posts); i++)
        assert_int_equal(http_seq(stage, posts[i].session), 0);
}

/* -- answers before the end -------------------------------------------------------------------- */

static void a_closed_session_answers_in_the_middle(struct stage *stage)
{
    start(stage);
    struct http *writer = http_open(stage);
    http_send_request(writer, "POST", S "shut", SSE "Transfer-Encoding: chunked\r\n", NULL);
    http_send(writer, "9\r\ndata: a\n\n\r\n");
    struct http *reader = http_stream(stage, S "shut", NULL, NULL);
    http_expect_data(reader, "a");
    struct http_answer answer = http_do(stage, "POST", S "shut", "Stream-Closed: true\r\n", NULL);
    http_expect(&answer, 204);
    http_send(writer, "9\r\ndata: b\n\n\r\n");
    answer = http_read(writer);
    http_expect(&answer, 200);
    http_expect_words(&answer, "\"stored\":1,");
    http_expect_words(&answer, "\"refused\":1,");
    http_expect_words(&answer, "\"code\":\"SPN_E_CLOSED\"");
    http_expect_words(&answer, "\"unfinished\":true");
    assert_true(http_is_closed(writer, until_in(STAGE_WAIT_MS)));
    assert_int_equal(http_seq(stage, "shut"), 1);
}

/* What is wrong in a body is answered while the rest of it is still on its way. */
static void a_bad_body_is_answered_in_the_middle(struct stage *stage)
{
    start(stage);
    struct http *writer = http_open(stage);
    http_send_request(writer, "POST", S "bad", JSON "Content-Length: 100000\r\n", NULL);
    http_send(writer, "[{\"data\":[]}");
    struct http_answer answer = http_read(writer);
    http_expect(&answer, 400);
    for (size_t i = 0; i < 5000; i++)
        http_send(writer, "0123456789012345");
    assert_true(http_is_closed(writer, until_in(STAGE_WAIT_MS)));
    assert_int_equal(http_seq(stage, "bad"), 0);
}

/* -- the end ----------------------------------------------------------------------------------- */

static void a_stop_answers_what_is_under_way(struct stage *stage)
{
    struct http_event event;
    stage_start(stage, NULL);
    struct process *gateway = http_start_plain(stage);
    struct http *endless = http_open(stage);
    struct http *reader = http_stream(stage, S "s", NULL, NULL);
    http_send_request(endless, "POST", S "s", SSE "Transfer-Encoding: chunked\r\n", NULL);
    http_send(endless, "9\r\ndata: a\n\n\r\n");
    http_expect_data(reader, "a");
    struct http *finite = http_open(stage);
    http_send_request(finite, "POST", S "f", "Content-Length: 2\r\n", NULL);
    http_send(finite, "x");
    http_post(stage, S "other", NULL, "a"); /* which was begun later, so the other is there */
    process_signal(gateway, SIGTERM);
    struct http_answer answer = http_read(endless);
    http_expect(&answer, 200);
    http_expect_words(&answer, "\"stored\":1,");
    http_expect_words(&answer, "\"unfinished\":true");
    http_send(finite, "y");
    answer = http_read(finite);
    http_expect(&answer, 200);
    http_expect_words(&answer, "\"stored\":1");
    const char *retry = NULL;
    while (http_next(reader, &event))
        retry = event.retry;
    assert_true(reader->has_ended);
    assert_true(retry && strtol(retry, NULL, 10) >= 1000 && strtol(retry, NULL, 10) <= 3000);
    assert_int_equal(process_wait(gateway, until_in(STAGE_WAIT_MS)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(every_body_becomes_its_events),
        STAGE_TEST(an_endless_body_is_stored_as_it_comes),
        STAGE_TEST(an_endless_body_that_closes_is_too),
        STAGE_TEST(an_endless_body_with_a_condition_is_too),
        STAGE_TEST(a_full_speed_body_is_slowed_down),
        STAGE_TEST(one_of_fifty_wins),
        STAGE_TEST(the_last_event_closes),
        STAGE_TEST(a_last_event_that_is_refused_closes_nothing),
        STAGE_TEST(a_last_marker_closes_at_every_level),
        STAGE_TEST(levels_are_answered_as_they_say),
        STAGE_TEST(accepted_is_answered_before_the_disk),
        STAGE_TEST(a_closed_session_answers_in_the_middle),
        STAGE_TEST(a_bad_body_is_answered_in_the_middle),
        STAGE_TEST(a_stop_answers_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
