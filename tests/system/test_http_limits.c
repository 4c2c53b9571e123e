/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_limits: what becomes of those who are too slow or too many. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "http_client.h"
#include "http_gateway.h"
#include "metrics_check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S "/v1/sessions/"
#define SSE "Content-Type: text/event-stream\r\n"
#define JSON "Content-Type: application/json\r\n"

/* -- time and number --------------------------------------------------------------------------- */

/* The peer may be late itself. */
static const char *body_idle(struct stage *stage, int ms)
{
    return stage_format(stage, "--body-idle=%dms", until_patient_ms(ms));
}

static void expect_slow(struct http *http, const char *words)
{
    struct http_answer answer = http_read(http);
    http_expect(&answer, 408);
    http_expect_words(&answer, "\"code\":\"SPN_E_TIMEOUT\"");
    http_expect_words(&answer, words);
    assert_string_equal(http_header(http->stage, &answer, "Connection"), "close");
    assert_string_equal(http_header(http->stage, &answer, "Content-Type"),
                        "application/problem+json");
    assert_true(http_is_closed(http, until_in(STAGE_WAIT_MS)));
}

static void what_is_too_slow_is_cut(struct stage *stage)
{
    stage_start(stage, NULL);
    http_start(stage, "--header-timeout=300ms", "--body-idle=300ms", "--stall=300ms");
    struct http *silent = http_open(stage);
    struct http *head = http_open(stage);
    struct http *body = http_open(stage);
    struct http *idle = http_open(stage);
    http_send(head, "GET " S "x HTTP/1.1\r\nHost: lo");
    http_send_request(body, "POST", S "x", SSE "Content-Length: 1000\r\n", NULL);
    http_send(body, "data: a\n\n");
    http_send_request(idle, "GET", S "x?wait=0", NULL, NULL);
    struct http_answer answer = http_read(idle);
    http_expect(&answer, 404);
    uint64_t due_ns = until_in(STAGE_WAIT_MS);
    assert_true(http_is_closed(silent, due_ns) && http_is_closed(idle, due_ns));
    expect_slow(head, "--header-timeout");
    expect_slow(body, "nothing of the body came");
    assert_int_equal(http_seq(stage, "x"), 1); /* what had come is stored */
}

/* What came while the gateway itself stood still is not late. */
static void a_gateway_that_stood_still_blames_nobody(struct stage *stage)
{
    stage_start(stage, NULL);
    struct process *gateway =
        http_start(stage, "--header-timeout=1s", "--body-idle=1s", "--body-rate=1");
    struct http *head = http_open(stage);
    struct http *body = http_open(stage);
    http_send(head, "GET " S "x?wait=0 HTTP/1.1\r\n");
    http_send_request(body, "POST", S "x", "Transfer-Encoding: chunked\r\n", NULL);
    http_post(stage, S "y", NULL, "a"); /* both are there */
    process_stop(gateway);
    http_send(head, "Host: localhost\r\n\r\n");
    http_send(body, "a\r\n0123456789\r\n");
    until_passed_us(1200000);
    process_signal(gateway, SIGCONT);
    struct http_answer answer = http_read(head);
    http_expect(&answer, 404);
    http_send(body, "0\r\n\r\n");
    answer = http_read(body);
    http_expect(&answer, 200);
}

/* Sends a byte of each now and then until two have their answer. Returns the longest time without
 * one: this program may have been kept from sending. */
static uint64_t send_slowly(struct http *const *slow, size_t count)
{
    uint64_t longest_ns = 0;
    uint64_t last_ns = until_now_ns();
    uint64_t due_ns = until_in(STAGE_WAIT_MS);
    while (!until_readable(until_in(0), slow[0]->fd) || !until_readable(until_in(0), slow[1]->fd)) {
        assert_false(until_over(due_ns));
        for (size_t i = 0; i < count; i++)
            http_send_some(slow[i], "1\r\n \r\n", 6);
        until_passed_us(20000);
        uint64_t now_ns = until_now_ns();
        if (now_ns - last_ns > longest_ns)
            longest_ns = now_ns - last_ns;
        last_ns = now_ns;
    }
    return longest_ns;
}

/* A byte now and then keeps no connection; but the events of a stream may be rare. */
static void a_body_has_a_least_rate(struct stage *stage)
{
    enum { IDLE_MS = 400, TRIES = 5 };
    static const char *const bodies[] = {"", JSON, SSE};
    struct http *slow[COUNT(bodies)];
    uint64_t idle_ns = (uint64_t)until_patient_ms(IDLE_MS) * 1000000;
    stage_start(stage, NULL);
    http_start(stage, body_idle(stage, IDLE_MS), "--body-rate=1K");
    for (int tries = 0;; tries++) {
        for (size_t i = 0; i < COUNT(bodies); i++) {
            slow[i] = http_open(stage);
            http_send_request(slow[i], "POST", S "slow",
                              stage_format(stage, "%sTransfer-Encoding: chunked\r\n", bodies[i]),
                              NULL);
        }
        if (send_slowly(slow, COUNT(bodies)) < idle_ns / 2 || tries == TRIES)
            break;
        for (size_t i = 0; i < COUNT(bodies); i++)
            http_close(slow[i]);
    }
    expect_slow(slow[0], "--body-rate");
    expect_slow(slow[1], "--body-rate");
    assert_false(until_readable(until_in(0), slow[2]->fd));
    http_send(slow[2], "a\r\n\ndata: a\n\n\r\n0\r\n\r\n");
    struct http_answer answer = http_read(slow[2]);
    http_expect(&answer, 200);
}

/* A body that has its rate may take longer than a span. */
static void a_body_with_its_rate_may_be_long(struct stage *stage)
{
    stage_start(stage, NULL);
    http_start(stage, body_idle(stage, 400), "--body-rate=1");
    http_post(stage, S "long", NULL, "0");
    struct http *body = http_open(stage);
    http_send_request(body, "POST", S "long", "Transfer-Encoding: chunked\r\n", NULL);
    uint64_t end_ns = until_in(1000);
    while (!until_over(end_ns)) {
        http_send(body, "a\r\n0123456789\r\n");
        until_passed_us(30000);
    }
    http_send(body, "0\r\n\r\n");
    struct http_answer answer = http_read(body);
    http_expect(&answer, 200);
}

/* Sends events until the gateway has read none for a while: it holds the body back. */
static void send_until_held(struct http *http)
{
    static const char event[] = "d\r\ndata: 01234\n\n\r\n";
    size_t at = 0;
    uint64_t end_ns = until_in(500);
    while (!until_over(end_ns)) {
        size_t sent = http_send_some(http, event + at, sizeof(event) - 1 - at);
        at = (at + sent) % (sizeof(event) - 1);
        if (sent > 0)
            end_ns = until_in(500);
        else
            until_passed_us(1000);
    }
}

/* While the daemon is behind, a body whose peer sends no more, and may be gone, does not stay. */
static void a_body_that_is_held_is_cut_when_its_peer_ends(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    http_start(stage, "--body-idle=300ms");
    http_post(stage, S "held", NULL, "0");
    process_stop(daemon);
    struct http *http = http_open(stage);
    http_send_request(http, "POST", S "held", SSE "Transfer-Encoding: chunked\r\n", NULL);
    send_until_held(http);
    assert_false(until_readable(until_in(0), http->fd));
    http_finish(http);
    expect_slow(http, "the daemon is behind");
    process_signal(daemon, SIGCONT);
}

/* A peer that does not read its answer does not stay. */
static void an_answer_that_nobody_reads_is_cut(struct stage *stage)
{
    enum { SIZE = 1 << 20 };
    char *data = stage_keep(stage, malloc(SIZE + 1));
    memset(data, 'a', SIZE);
    data[SIZE] = '\0';
    stage_start(stage, NULL);
    http_start(stage, "--header-timeout=500ms", "--body-idle=500ms", "--stall=500ms");
    http_post(stage, S "big", NULL, data);
    struct http *http = http_open(stage);
    http_send_request(http, "GET", S "big", "Accept: application/json\r\n", NULL);
    assert_true(http_has_left(http, until_in(5000)));
    http_close(http);
}

/* More than the limit wait at the door, and come in when others leave: at once, not when something
 * else happens to move the gateway. */
static void more_connections_than_allowed_wait(struct stage *stage)
{
    enum { MOST = 10 };
    struct http *held[MOST];
    struct http_event event;
    stage_start(stage, NULL);
    http_start(stage, "--connections=10");
    for (size_t i = 0; i < MOST - 1; i++) {
        held[i] = http_stream(stage, S "x", NULL, NULL);
        assert_true(http_next(held[i], &event));
    }
    held[MOST - 1] = http_stream(stage, S "x", NULL, NULL); /* the tenth is for other requests */
    assert_true(http_next(held[MOST - 1], &event));
    http_expect_end(held[MOST - 1]);
    http_close(held[MOST - 1]);
    http_post(stage, S "y", NULL, "a");
    held[MOST - 1] = http_open(stage);
    http_send(held[MOST - 1], "POST"); /* holds the last place */
    uint64_t waited_ns = 0;
    for (size_t i = 0; i < MOST - 1; i++) {
        struct http *waits = http_open(stage);
        http_send_request(waits, "POST", S "y", NULL, "b");
        assert_false(until_readable(until_now_ns() + 50000000, waits->fd));
        uint64_t left_ns = until_now_ns();
        http_close(held[i]);
        struct http_answer answer = http_read(waits);
        http_expect(&answer, 200);
        waited_ns += until_now_ns() - left_ns;
        held[i] = waits; /* keeps the place */
    }
    /* The gateway has no news for seconds. */
    assert_in_range(waited_ns, 0, (uint64_t)until_patient_ms(2000) * 1000000);
}

/* The tenth is kept too when streams come so fast that none has its answer yet. */
static void streams_without_an_answer_leave_a_tenth(struct stage *stage)
{
    enum { MOST = 10 };
    /* There is no daemon to answer. */
    http_start(stage, "--connections=10", "--verdict-wait=1h", "--header-timeout=1h");
    for (size_t i = 0; i < MOST; i++)
        http_send_request(http_open(stage), "GET", S "x", NULL, NULL);
    struct http_answer answer = http_do(stage, "GET", "/problems", NULL, NULL);
    http_expect(&answer, 200);
}

/* -- readers of a session, of a token ---------------------------------------------------------- */

static double metric(struct stage *stage, unsigned port, const char *name)
{
    struct http *http = http_open_tcp(stage, port);
    http_send_request(http, "GET", "/metrics", NULL, NULL);
    struct http_answer answer = http_read(http);
    http_expect(&answer, 200);
    http_close(http);
    return metrics_value(answer.body.data, name);
}

/* It is answered, with a time to come back, and ends: a browser tries again. */
static void expect_sent_away(struct stage *stage, const char *path, const char *headers)
{
    struct http_answer answer;
    struct http_event event;
    struct http *http = http_stream(stage, path, headers, &answer);
    assert_string_equal(http_header(stage, &answer, "Content-Type"), "text/event-stream");
    assert_true(http_next(http, &event));
    long retry_ms = strtol(event.retry, NULL, 10);
    assert_true(retry_ms >= 1000 && retry_ms <= 3000);
    http_expect_end(http);
    assert_true(http_is_closed(http, until_in(STAGE_WAIT_MS)));
}

static struct http *expect_let_in(struct stage *stage, const char *path, const char *headers)
{
    struct http *http = http_stream(stage, path, headers, NULL);
    http_expect_data(http, "a");
    return http;
}

struct leaving {
    struct stage *stage;
    unsigned port;
    double streams;
};

static bool have_left(void *argument)
{
    const struct leaving *leaving = argument;
    return metric(leaving->stage, leaving->port, "sponson_http_streams{phase=\"live\"}") ==
           leaving->streams;
}

static const char *admin(struct stage *stage, unsigned port)
{
    return stage_format(stage, "--admin-listen=127.0.0.1:%u", port);
}

static void a_session_has_so_many_readers(struct stage *stage)
{
    enum { MOST = 3 };
    struct http *readers[MOST];
    unsigned port = http_free_port();
    stage_start(stage, NULL);
    http_start(stage, "--readers-per-session=3", admin(stage, port));
    http_post(stage, S "full", NULL, "a");
    http_post(stage, S "other", NULL, "a");
    for (size_t i = 0; i < MOST; i++)
        readers[i] = expect_let_in(stage, S "full", NULL);
    for (size_t i = 0; i < MOST; i++)
        expect_sent_away(stage, S "full", NULL);
    expect_sent_away(stage, S "f%75ll", NULL); /* the same name */
    expect_let_in(stage, S "other", NULL);
    for (size_t i = 0; i < MOST + 2; i++)
        http_stream(stage, "/v1/events", NULL, NULL); /* is not of one session */
    struct http_answer answer =
        http_do(stage, "GET", S "full", "Accept: application/json\r\n", NULL);
    http_expect(&answer, 200);
    assert_true(metric(stage, port, "sponson_http_streams_ended_total{reason=\"session_full\"}") ==
                MOST + 1);
    struct leaving leaving = {stage, port, 2 * MOST + 2};
    http_close(readers[1]);
    assert_true(until_true(until_in(STAGE_WAIT_MS), have_left, &leaving));
    expect_let_in(stage, S "full", NULL);
    expect_sent_away(stage, S "full", NULL);
}

/* Wherever it stands in the request, and whatever it is used for. */
static void a_token_has_so_many_readers(struct stage *stage)
{
    unsigned port = http_free_port();
    const char *keys =
        stage_write_file(stage, "keys", stage_run(stage, "token", "--new-key", "k1").output);
    const char *tokens[2];
    for (size_t i = 0; i < COUNT(tokens); i++) {
        struct outcome made = stage_run(stage, "token", "--prefix", "", "--rights", "r,w,l",
                                        "--for", i == 0 ? "1h" : "2h", "--key-file", keys);
        stage_expect_code(&made, 0);
        tokens[i] = stage_format(stage, "%.*s", (int)strcspn(made.out, "\n"), made.out);
    }
    stage_start(stage, NULL);
    http_start(stage, "--readers-per-token=2", "--key-file", keys, admin(stage, port));
    const char *bearer = stage_format(stage, "Authorization: Bearer %s\r\n", tokens[0]);
    const char *query = stage_format(stage, S "b?token=%s", tokens[0]);
    http_post(stage, S "a", bearer, "a");
    http_post(stage, S "b", bearer, "a");
    expect_let_in(stage, S "a", bearer);
    expect_let_in(stage, query, NULL);
    expect_sent_away(stage, S "a", bearer);
    expect_sent_away(stage, query, NULL);
    expect_sent_away(stage, "/v1/events", bearer);
    expect_let_in(stage, S "a", stage_format(stage, "Authorization: Bearer %s\r\n", tokens[1]));
    assert_true(metric(stage, port, "sponson_http_streams_ended_total{reason=\"token_full\"}") ==
                3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(what_is_too_slow_is_cut),
        STAGE_TEST(a_gateway_that_stood_still_blames_nobody),
        STAGE_TEST(a_body_has_a_least_rate),
        STAGE_TEST(a_body_with_its_rate_may_be_long),
        STAGE_TEST(a_body_that_is_held_is_cut_when_its_peer_ends),
        STAGE_TEST(an_answer_that_nobody_reads_is_cut),
        STAGE_TEST(more_connections_than_allowed_wait),
        STAGE_TEST(streams_without_an_answer_leave_a_tenth),
        STAGE_TEST(a_session_has_so_many_readers),
        STAGE_TEST(a_token_has_so_many_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
