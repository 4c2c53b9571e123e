/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_memory: whatever peers leave unread or unfinished, the gateway's memory has a bound,
 * and others are served meanwhile. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "http_client.h"
#include "http_gateway.h"
#include "metrics_check.h"

#define S "/v1/sessions/"
#define RAW "Content-Type: text/plain\r\n"
#define JSON "Content-Type: application/json\r\n"
#define SSE "Content-Type: text/event-stream\r\n"

#define NS_PER_S UINT64_C(1000000000)

enum {
    MIB = 1024 * 1024,
    MEMORY = 64 * MIB, /* as --memory has it */
    LARGE = 3 * MIB,   /* an event's data */
    UNREAD = 40,       /* peers, of 120 MiB in all */
    BODIES = MEMORY / 2,
    ANSWERS = MEMORY / 4,
    STREAMS = MEMORY / 4,
    /* Beside those: an eighth that waits in the library, one event in each of both and on its way
     * between them, and the program itself. */
    BESIDE = MEMORY / 8 + 4 * LARGE + 16 * MIB,
};

static struct process *gateway;
static unsigned port;

static void start(struct stage *stage, const char *stall)
{
    port = http_free_port();
    stage_start(stage, NULL);
    gateway = http_start(stage, "--memory=64M", stall,
                         stage_format(stage, "--admin-listen=127.0.0.1:%u", port));
}

static double metric(struct stage *stage, const char *name)
{
    struct http *http = http_open_tcp(stage, port);
    http_send_request(http, "GET", "/metrics", NULL, NULL);
    struct http_answer answer = http_read(http);
    http_expect(&answer, 200);
    http_close(http);
    double value = metrics_value(answer.body.data, name);
    assert_true(value >= 0);
    return value;
}

static double held(struct stage *stage)
{
    return metric(stage, "sponson_http_memory_bytes{use=\"bodies\"}") +
           metric(stage, "sponson_http_memory_bytes{use=\"answers\"}") +
           metric(stage, "sponson_http_memory_bytes{use=\"streams\"}");
}

static bool holds_nothing(void *stage)
{
    return held(stage) == 0;
}

static void expect_nothing_held(struct stage *stage)
{
    assert_true(until_true(until_in(STAGE_WAIT_MS), holds_nothing, stage));
}

/* The most memory that the gateway has had. */
static size_t peak_bytes(struct stage *stage)
{
    char line[256];
    unsigned long kib = 0;
    FILE *file = fopen(stage_format(stage, "/proc/%d/status", (int)gateway->pid), "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtoul(line + 6, NULL, 10);
    assert_int_equal(fclose(file), 0);
    assert_true(kib > 0);
    return kib * 1024;
}

static void expect_bounded(struct stage *stage, const char *what, size_t part)
{
    size_t peak = peak_bytes(stage);
    print_message("%s: the gateway took %zu MiB at most\n", what, peak / MIB);
    if (!until_sanitized())
        assert_in_range(peak, 0, part + BESIDE);
}

static const char *letters(struct stage *stage, size_t size)
{
    char *data = stage_keep(stage, malloc(size + 1));
    memset(data, 'a', size);
    data[size] = '\0';
    return data;
}

static void publish_large(struct stage *stage, unsigned events)
{
    const char *data = letters(stage, LARGE);
    for (unsigned i = 0; i < events; i++)
        http_post(stage, S "large", RAW, data);
    http_post(stage, S "small", RAW, "0");
}

/* Reads all events of the large session. */
static void expect_large(struct http *http, unsigned events)
{
    for (unsigned i = 0; i < events; i++) {
        struct http_event event = http_next_data(http);
        assert_int_equal(strlen(event.data), LARGE);
    }
}

/* -- streams ----------------------------------------------------------------------------------- */

static void unread_streams_are_bounded(struct stage *stage)
{
    enum { EVENTS = 2 };
    struct http *unread[UNREAD];
    start(stage, "--stall=1s");
    publish_large(stage, EVENTS);
    struct http *small = http_stream(stage, S "small", NULL, NULL);
    http_expect_data(small, "0");
    for (size_t i = 0; i < UNREAD; i++) {
        unread[i] = http_open(stage);
        http_send_request(unread[i], "GET", S "large", NULL, NULL);
    }
    /* Among them is one that reads. It gets everything, as those before it are cut. */
    struct http *large = http_stream(stage, S "large", NULL, NULL);
    http_post(stage, S "small", RAW, "1");
    http_expect_data(small, "1");
    assert_true(metric(stage, "sponson_http_memory_full_total{use=\"streams\"}") > 0);
    expect_large(large, EVENTS);
    http_post(stage, S "small", RAW, "2");
    http_expect_data(small, "2");
    http_post(stage, S "large", RAW, letters(stage, LARGE)); /* what is live, too */
    expect_large(large, 1);
    expect_bounded(stage, "unread streams", STREAMS);
    assert_true(metric(stage, "sponson_http_streams_ended_total{reason=\"slow\"}") > 0);
    for (size_t i = 0; i < UNREAD; i++)
        http_close(unread[i]);
    http_close(large);
    expect_nothing_held(stage);
}

/* They had everything, so they share feeds: each session's next event is one block. */
static void unread_feeds_are_bounded(struct stage *stage)
{
    enum { FEEDS = 8 };
    struct http *unread[FEEDS];
    const char *data = letters(stage, LARGE);
    start(stage, "--stall=1h");
    for (size_t i = 0; i < FEEDS; i++) {
        const char *path = stage_format(stage, S "feed/%zu", i);
        http_post(stage, path, RAW, "0");
        unread[i] = http_stream(stage, path, NULL, NULL);
        http_expect_data(unread[i], "0");
    }
    struct http *all = http_stream(stage, "/v1/events?from=now", NULL, NULL);
    for (size_t i = 0; i < FEEDS; i++) {
        http_post(stage, stage_format(stage, S "feed/%zu", i), RAW, data);
        struct http_event event = http_next_data(all);
        assert_true(strlen(event.data) > LARGE);
        double streams = metric(stage, "sponson_http_memory_bytes{use=\"streams\"}");
        assert_true(streams <= STREAMS + LARGE);
    }
    expect_large(unread[FEEDS - 1], 1);
    assert_true(metric(stage, "sponson_http_memory_full_total{use=\"streams\"}") > 0);
    expect_bounded(stage, "unread feeds", STREAMS);
    for (size_t i = 0; i < FEEDS; i++)
        http_close(unread[i]);
    http_close(all);
    expect_nothing_held(stage);
}

/* -- answers ----------------------------------------------------------------------------------- */

static void expect_no_room(struct stage *stage, const struct http_answer *answer)
{
    http_expect(answer, 503);
    http_expect_words(answer, "\"code\":\"SPN_E_BACKPRESSURE\"");
    http_expect_words(answer, "--memory");
    assert_non_null(http_header(stage, answer, "Retry-After"));
}

/* What is not read: pages of sessions, or chunks of Durable Streams. */
static void unread_answers_are_bounded(struct stage *stage, const char *path, const char *headers)
{
    struct http *unread[UNREAD];
    unsigned refused = 0;
    for (size_t i = 0; i < UNREAD; i++) {
        unread[i] = http_open(stage);
        http_send_request(unread[i], "GET", path, headers, NULL);
        assert_true(until_readable(until_in(STAGE_WAIT_MS), unread[i]->fd));
    }
    struct http_answer answer = http_do(stage, "GET", path, headers, NULL);
    expect_no_room(stage, &answer);
    answer = http_do(stage, "GET", S "small", "Accept: application/json\r\n", NULL);
    http_expect(&answer, 200);
    http_post(stage, S "small", RAW, "1");
    for (size_t i = 0; i < UNREAD; i++) {
        answer = http_begin(unread[i]);
        refused += answer.status == 503;
        if (answer.status != 503)
            http_expect(&answer, 200);
    }
    assert_in_range(refused, UNREAD / 2, UNREAD - 3);
    assert_true(metric(stage, "sponson_http_memory_full_total{use=\"answers\"}") == refused + 1);
    expect_bounded(stage, path, ANSWERS);
    struct spn_bytes body = {NULL, 0};
    for (size_t i = 0; i < UNREAD; i++) {
        if (body.data == NULL && unread[i]->framing == HTTP_LENGTH && unread[i]->left > LARGE / 2)
            body = http_rest(unread[i]); /* one that reads gets all of it */
        http_close(unread[i]);
    }
    assert_true(body.size >= LARGE);
    expect_nothing_held(stage);
}

static void unread_pages_are_bounded(struct stage *stage)
{
    start(stage, "--stall=1h");
    publish_large(stage, 1);
    unread_answers_are_bounded(stage, S "large", "Accept: application/json\r\n");
}

static void unread_chunks_are_bounded(struct stage *stage)
{
    start(stage, "--stall=1h");
    http_post(stage, S "small", RAW, "0");
    struct http_answer answer =
        http_do(stage, "PUT", "/v1/stream/large", RAW, letters(stage, LARGE));
    http_expect(&answer, 201);
    unread_answers_are_bounded(stage, "/v1/stream/large?offset=-1", NULL);
}

/* -- bodies ------------------------------------------------------------------------------------ */

static const struct kind {
    const char *path;
    const char *headers;
    const char *begin; /* of the body; the end follows the letters */
    const char *end;
    unsigned stored; /* its status */
    bool is_chunked;
} kinds[] = {
    {S "raw", RAW, "", "", 200, false},
    {S "raw", RAW, "", "", 200, true},
    {S "json", JSON, "{\"data\":\"", "\"}", 200, false},
    {S "json", JSON, "{\"data\":\"", "\"}", 200, true},
    {"/v1/stream/s", RAW, "", "", 204, false},
    {"/v1/stream/s", RAW, "", "", 204, true},
};

/* Sends a body piece by piece, however slowly it is read. */
static void send_body(struct stage *stage, struct http *http, const struct kind *kind,
                      const char *data)
{
    const char *body = stage_format(stage, "%s%s%s", kind->begin, data, kind->end);
    size_t size = strlen(body);
    http_send_request(http, "POST", kind->path,
                      kind->is_chunked
                          ? stage_format(stage, "%sTransfer-Encoding: chunked\r\n", kind->headers)
                          : stage_format(stage, "%sContent-Length: %zu\r\n", kind->headers, size),
                      NULL);
    if (kind->is_chunked)
        http_send(http, stage_format(stage, "%zx\r\n", size));
    http_send_bytes(http, body, size);
    if (kind->is_chunked)
        http_send(http, "\r\n0\r\n\r\n");
}

/* What has no answer is sent again after 1 s, 3, 7, 15 and so on: a copy of all that is held. */
static size_t copies_bytes(uint64_t stopped_ns)
{
    size_t copies = 0;
    for (uint64_t at_ns = NS_PER_S; at_ns <= stopped_ns; at_ns = 2 * at_ns + NS_PER_S)
        copies++;
    return copies * BODIES / 2;
}

static void bodies_are_bounded(struct stage *stage)
{
    uint64_t stopped_ns = 0; /* the longest time */
    struct http *posts[UNREAD];
    const char *data = letters(stage, LARGE);
    port = http_free_port();
    struct process *daemon = stage_start(stage, NULL);
    gateway =
        http_start(stage, "--memory=64M", stage_format(stage, "--admin-listen=127.0.0.1:%u", port));
    struct http_answer answer = http_do(stage, "PUT", "/v1/stream/s", RAW, NULL);
    http_expect(&answer, 201);
    for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
        unsigned stored = 0;
        unsigned refused = 0;
        unsigned limited = 0;
        const char *session = strcmp(kinds[kind].path, "/v1/stream/s") == 0
                                  ? "ds/s"
                                  : kinds[kind].path + sizeof(S) - 1;
        uint64_t before = http_seq(stage, session);
        uint64_t since_ns = until_now_ns();
        process_stop(daemon);
        for (size_t i = 0; i < UNREAD; i++) {
            posts[i] = http_open(stage);
            send_body(stage, posts[i], &kinds[kind], data);
        }
        process_signal(daemon, SIGCONT);
        for (size_t i = 0; i < UNREAD; i++) {
            answer = http_read(posts[i]);
            refused += answer.status == 503;
            stored += answer.status == kinds[kind].stored;
            limited += answer.status == 429;
            if (answer.status == 503)
                expect_no_room(stage, &answer);
            http_send_request(posts[i], "GET", "/problems", NULL, NULL); /* it goes on */
            answer = http_read(posts[i]);
            http_expect(&answer, 200);
            http_close(posts[i]);
        }
        uint64_t passed_ns = until_now_ns() - since_ns;
        stopped_ns = passed_ns > stopped_ns ? passed_ns : stopped_ns;
        print_message("%s: %u of %d are stored, %u refused, %u limited\n", kinds[kind].path, stored,
                      UNREAD, refused, limited);
        assert_in_range(refused, UNREAD / 2, UNREAD - 3);
        assert_int_equal(stored + refused + limited, UNREAD);
        /* Limited: the daemon took no more at once. */
        assert_int_equal(http_seq(stage, session), before + stored);
        expect_nothing_held(stage);
    }
    expect_bounded(stage, "bodies", BODIES + copies_bytes(stopped_ns));
}

/* However a body ends, what it held is given back. */
static void every_end_gives_back(struct stage *stage)
{
    enum { HELD = 100000 };
    static const char *const types[] = {RAW, JSON, SSE, ""};
    static const char *const begins[] = {"", "{\"data\":\"", "data: ", "{\"note\":\""};
    static const char *const paths[] = {S "x", S "x", S "x", "/v1/stream/y"};
    struct http *bodies[4];
    const char *data = letters(stage, HELD);
    start(stage, "--stall=1h");
    for (unsigned times = 0; times < 3; times++) {
        for (size_t i = 0; i < 4; i++) {
            bodies[i] = http_open(stage);
            http_send_request(bodies[i], "POST", paths[i],
                              stage_format(stage, "%sTransfer-Encoding: chunked\r\n", types[i]),
                              NULL);
            http_send(bodies[i],
                      stage_format(stage, "%x\r\n%s%s\r\n", (unsigned)(HELD + strlen(begins[i])),
                                   begins[i], data));
        }
        double before = 0;
        for (uint64_t end_ns = until_in(STAGE_WAIT_MS); before < 4 * HELD && !until_over(end_ns);)
            before = held(stage);
        assert_true(before >= 4 * HELD);
        for (size_t i = 0; i < 4; i++) {
            if (times == 1)
                http_send(bodies[i], "zz\r\n"); /* no chunk */
            else if (times == 2)
                http_send(bodies[i], "0\r\n\r\n"); /* refused, or an event */
            if (times > 0)
                assert_true(until_readable(until_in(STAGE_WAIT_MS), bodies[i]->fd));
            http_close(bodies[i]);
        }
        expect_nothing_held(stage);
    }
    /* 413, found in the middle. */
    struct http *large = http_open(stage);
    http_send_request(large, "POST", S "x", RAW "Transfer-Encoding: chunked\r\n", NULL);
    http_send(large, "500000\r\n");
    http_send_bytes(large, letters(stage, 0x500000), 0x500000);
    struct http_answer answer = http_read(large);
    http_expect(&answer, 413);
    http_close(large);
    expect_nothing_held(stage);
    process_signal(gateway, SIGTERM);
    assert_int_equal(process_wait(gateway, until_in(STAGE_WAIT_MS)), 0);
}

/* An event that waits for the daemon is held until it is taken, also if its body pauses then. */
static void event_that_was_taken_is_given_back(struct stage *stage)
{
    enum { EVENTS_MAX = 40 };
    const char *data = letters(stage, LARGE);
    port = http_free_port();
    struct process *daemon = stage_start(stage, NULL);
    gateway = http_start(stage, "--memory=64M", "--body-idle=1h",
                         stage_format(stage, "--admin-listen=127.0.0.1:%u", port));
    process_stop(daemon);
    struct http *body = http_open(stage);
    http_send_request(body, "POST", S "x", SSE "Transfer-Encoding: chunked\r\n", NULL);
    double bytes = 0;
    for (unsigned i = 0; i < EVENTS_MAX && bytes < LARGE; i++) {
        http_send(body, stage_format(stage, "%x\r\ndata: ", (unsigned)(LARGE + 8)));
        http_send_bytes(body, data, LARGE);
        http_send(body, "\n\n\r\n");
        do
            bytes = held(stage);
        while (bytes > 0 && bytes < LARGE);
    }
    assert_true(held(stage) >= LARGE);
    process_signal(daemon, SIGCONT);
    expect_nothing_held(stage);
    http_send(body, "0\r\n\r\n");
    struct http_answer answer = http_read(body);
    http_expect(&answer, 200);
}

/* Long before --stall, since others wait for what they hold. */
static void holders_are_cut_while_others_wait(struct stage *stage)
{
    enum { HOLDERS = 8 };
    struct http *unread[HOLDERS];
    start(stage, "--stall=1h");
    publish_large(stage, 1);
    for (size_t i = 0; i < HOLDERS; i++) {
        unread[i] = http_open(stage);
        http_send_request(unread[i], "GET", S "large", NULL, NULL);
        assert_true(until_readable(until_in(STAGE_WAIT_MS), unread[i]->fd));
    }
    struct http *large = http_stream(stage, S "large", NULL, NULL);
    expect_large(large, 1);
    assert_true(metric(stage, "sponson_http_streams_ended_total{reason=\"slow\"}") > 0);
    for (size_t i = 0; i < HOLDERS; i++)
        http_close(unread[i]);
    http_close(large);
    expect_nothing_held(stage);
}

/* It has little itself. But it is a member of a feed, which keeps its newest block for it. */
static void member_that_keeps_blocks_is_cut(struct stage *stage)
{
    enum { SMALL = 7000, SMALLS = 100 /* more than a socket takes */ };
    const char *small = letters(stage, SMALL);
    const char *large = letters(stage, LARGE);
    port = http_free_port();
    stage_start(stage, NULL);
    gateway = http_start(stage, "--memory=16M", "--stall=1h", "--heartbeat=1h",
                         stage_format(stage, "--admin-listen=127.0.0.1:%u", port));
    http_post(stage, S "large", RAW, "0");
    struct http *unread = http_stream(stage, S "large", NULL, NULL);
    struct http *reader = http_stream(stage, S "large", NULL, NULL);
    http_expect_data(unread, "0");
    http_expect_data(reader, "0");
    for (size_t i = 0; i < SMALLS; i++) {
        http_post(stage, S "large", RAW, small);
        http_expect_data(reader, small);
    }
    assert_true(held(stage) == 0);
    for (size_t i = 0; i < 2; i++) {
        assert_true(metric(stage, "sponson_http_streams_ended_total{reason=\"slow\"}") == 0);
        http_post(stage, S "large", RAW, large);
        expect_large(reader, 1);
    }
    assert_true(metric(stage, "sponson_http_streams_ended_total{reason=\"slow\"}") == 1);
    http_close(unread);
    http_close(reader);
    expect_nothing_held(stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(unread_streams_are_bounded),
        STAGE_TEST(unread_feeds_are_bounded),
        STAGE_TEST(unread_pages_are_bounded),
        STAGE_TEST(unread_chunks_are_bounded),
        STAGE_TEST(bodies_are_bounded),
        STAGE_TEST(every_end_gives_back),
        STAGE_TEST(event_that_was_taken_is_given_back),
        STAGE_TEST(holders_are_cut_while_others_wait),
        STAGE_TEST(member_that_keeps_blocks_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
