/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_share: endless bodies at full speed leave single POSTs their time.
 *
 * 50 connections post one event after the other, each as soon as the one before is answered. In
 * every other phase 10 more send event streams as fast as they are read. Phases come in pairs; of
 * each kind the latencies of all pairs are taken together. The p99 with the streams is at most
 * three times that without, which is only asserted in the form `long`. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "http_client.h"
#include "http_gateway.h"

#define S "/v1/sessions/"

enum {
    SINGLES = 50,
    FLOODS = 10,
    EVENT_SIZE = 512,
    CHUNK_SIZE = 32 * 1024,
    LATENCIES_MAX = 1000000,
    RATIO_MAX = 3,
};

static int pairs = 5;
static int phase_ms = 4000;

struct single {
    struct http *http;
    uint64_t sent_ns;
};

struct flood {
    struct http *http;
    size_t at; /* of the chunk */
};

struct latencies {
    uint32_t *us;
    size_t count;
};

struct share {
    struct stage *stage;
    struct single singles[SINGLES];
    struct flood floods[FLOODS];
    char *chunk; /* a whole number of events in one chunk */
    size_t chunk_size;
    uint64_t flooded; /* bytes */
};

static void make_chunk(struct share *share)
{
    static const char head[] = "data: ";
    size_t events = CHUNK_SIZE / EVENT_SIZE;
    char *at = share->chunk = stage_keep(share->stage, malloc(CHUNK_SIZE + 64));
    at += sprintf(at, "%zx\r\n", events * EVENT_SIZE);
    for (size_t i = 0; i < events; i++) {
        memset(at, 'a', EVENT_SIZE);
        memcpy(at, head, sizeof(head) - 1);
        at[EVENT_SIZE - 2] = at[EVENT_SIZE - 1] = '\n';
        at += EVENT_SIZE;
    }
    *at++ = '\r';
    *at++ = '\n';
    share->chunk_size = (size_t)(at - share->chunk);
}

static void send_single(struct share *share, size_t number)
{
    struct single *single = &share->singles[number];
    single->sent_ns = until_now_ns();
    http_send_request(single->http, "POST", stage_format(share->stage, S "single%zu", number), NULL,
                      "an event");
}

static void take_single(struct share *share, size_t number, struct latencies *latencies)
{
    struct single *single = &share->singles[number];
    struct http_answer answer = http_read(single->http);
    http_expect(&answer, 200);
    if (latencies->count < LATENCIES_MAX)
        latencies->us[latencies->count++] = (uint32_t)((until_now_ns() - single->sent_ns) / 1000);
}

static void begin_flood(struct share *share, size_t number)
{
    struct flood *flood = &share->floods[number];
    *flood = (struct flood){.http = http_open(share->stage)};
    http_send_request(flood->http, "POST", stage_format(share->stage, S "flood%zu", number),
                      "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n", NULL);
}

static void feed_flood(struct share *share, struct flood *flood)
{
    size_t sent =
        http_send_some(flood->http, share->chunk + flood->at, share->chunk_size - flood->at);
    flood->at = (flood->at + sent) % share->chunk_size;
    share->flooded += sent;
}

static void end_flood(struct share *share, struct flood *flood)
{
    if (flood->at > 0)
        http_send_bytes(flood->http, share->chunk + flood->at, share->chunk_size - flood->at);
    http_send(flood->http, "0\r\n\r\n");
    struct http_answer answer = http_read(flood->http);
    http_expect(&answer, 200);
    http_expect_words(&answer, "\"refused\":0,");
    http_close(flood->http);
}

/* Until the phase ends; then what is under way is read to its end. */
static void run_phase(struct share *share, bool floods, struct latencies *latencies)
{
    struct pollfd fds[SINGLES + FLOODS];
    size_t count = SINGLES + (floods ? FLOODS : 0);
    uint64_t end_ns = until_now_ns() + (uint64_t)phase_ms * 1000000;
    for (size_t i = 0; i < SINGLES; i++) {
        send_single(share, i);
        fds[i] = (struct pollfd){.fd = share->singles[i].http->fd, .events = POLLIN};
    }
    for (size_t i = 0; i < count - SINGLES; i++) {
        begin_flood(share, i);
        fds[SINGLES + i] = (struct pollfd){.fd = share->floods[i].http->fd, .events = POLLOUT};
    }
    while (until_now_ns() < end_ns) {
        assert_true(poll(fds, (nfds_t)count, STAGE_WAIT_MS) > 0);
        for (size_t i = 0; i < SINGLES; i++) {
            if (fds[i].revents == 0)
                continue;
            take_single(share, i, latencies);
            send_single(share, i);
        }
        for (size_t i = SINGLES; i < count; i++)
            if (fds[i].revents != 0)
                feed_flood(share, &share->floods[i - SINGLES]);
    }
    for (size_t i = 0; i < SINGLES; i++)
        take_single(share, i, latencies);
    for (size_t i = 0; i < count - SINGLES; i++)
        end_flood(share, &share->floods[i]);
}

static int compare(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *)one;
    uint32_t b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

/* Returns the p99 in microseconds. */
static uint32_t report(const char *name, struct latencies *latencies)
{
    assert_true(latencies->count > 100);
    qsort(latencies->us, latencies->count, sizeof(latencies->us[0]), compare);
    uint32_t p50 = latencies->us[latencies->count / 2];
    uint32_t p99 = latencies->us[latencies->count * 99 / 100];
    print_message("%s: %.0f posts/s, p50 %.1f ms, p99 %.1f ms, most %.1f ms\n", name,
                  (double)latencies->count * 1e3 / ((double)pairs * phase_ms), p50 / 1e3, p99 / 1e3,
                  latencies->us[latencies->count - 1] / 1e3);
    return p99;
}

static void streams_leave_single_posts_their_time(struct stage *stage)
{
    struct share *share = stage_keep(stage, calloc(1, sizeof(*share)));
    struct latencies alone = {stage_keep(stage, calloc(LATENCIES_MAX, sizeof(uint32_t))), 0};
    struct latencies beside = {stage_keep(stage, calloc(LATENCIES_MAX, sizeof(uint32_t))), 0};
    share->stage = stage;
    make_chunk(share);
    stage_start(stage, NULL);
    http_start_plain(stage);
    for (size_t i = 0; i < SINGLES; i++)
        share->singles[i].http = http_open(stage);
    for (int pair = 0; pair < pairs; pair++) {
        run_phase(share, pair % 2 == 1, pair % 2 == 1 ? &beside : &alone);
        run_phase(share, pair % 2 == 0, pair % 2 == 0 ? &beside : &alone);
    }
    uint32_t alone_us = report("alone", &alone);
    uint32_t beside_us = report("beside 10 streams", &beside);
    double seconds = (double)pairs * phase_ms / 1e3;
    print_message("the streams: %.1f MB/s; p99 %.2f times\n",
                  (double)share->flooded / 1e6 / seconds, (double)beside_us / alone_us);
    assert_true(share->flooded > CHUNK_SIZE);
    if (pairs > 1)
        assert_true(beside_us <= RATIO_MAX * alone_us);
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "long") != 0) {
        pairs = 1;
        phase_ms = 300;
    }
    const struct CMUnitTest tests[] = {STAGE_TEST(streams_leave_single_posts_their_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
