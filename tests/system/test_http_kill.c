/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_kill: daemon and gateway are killed in turn while requests publish and readers follow.
 *
 * Each round sends posts at once and kills in their middle. A post without a good answer is sent
 * again with the same id; a reader that lost its stream comes back with the id that it saw last.
 * In the end each reader has seen each event once, in the session's order. No stream may end when
 * the daemon does.
 *
 * An argument is the seed. The test fails if the kills hit nothing. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "http_client.h"
#include "http_gateway.h"

#define PATH "/v1/sessions/s"

enum { ROUNDS = 10, POSTS = 30, READERS = 3, EVENTS = ROUNDS * POSTS, DELAY_US_MAX = 4000 };

struct reader {
    struct http *http;
    unsigned seen[EVENTS]; /* in the order in which they came */
    unsigned count;
    bool is_orphaned; /* its gateway was killed; it may have read on from its socket */
};

struct campaign {
    struct stage *stage;
    struct process *daemon;
    struct process *gateway;
    struct reader readers[READERS];
    unsigned in_flight; /* posts that a kill found without an answer */
    unsigned again;     /* posts that were sent again */
    unsigned resumed;   /* streams */
};

static unsigned seed;

static void send_post(struct campaign *campaign, struct http **at, unsigned number)
{
    *at = http_open(campaign->stage);
    http_send_request(*at, "POST", PATH, stage_format(campaign->stage, "Event-Id: %u\r\n", number),
                      "event");
}

static void kill_one(struct campaign *campaign, bool is_gateway, struct http *const *posts)
{
    until_passed_us((unsigned)rand_r(&seed) % DELAY_US_MAX);
    process_kill(is_gateway ? campaign->gateway : campaign->daemon);
    for (unsigned i = 0; i < POSTS; i++)
        campaign->in_flight += !until_readable(until_in(0), posts[i]->fd);
    if (is_gateway)
        campaign->gateway = http_start_plain(campaign->stage);
    else
        campaign->daemon = stage_start(campaign->stage, NULL);
}

static void finish_post(struct campaign *campaign, struct http *http, unsigned number)
{
    struct http_answer answer;
    for (unsigned tries = 0; tries < 10; tries++) {
        if (http_try_begin(http, until_in(STAGE_WAIT_MS), &answer) && answer.status < 500) {
            http_rest(http);
            http_expect(&answer, 200);
            http_close(http);
            return;
        }
        http_close(http);
        campaign->again++;
        send_post(campaign, &http, number);
    }
    fail_msg("event %u is not taken", number);
}

static void follow(struct campaign *campaign, struct reader *reader, unsigned count)
{
    struct http_event event;
    while (reader->count < count) {
        if (!http_next(reader->http, &event)) {
            if (!reader->is_orphaned)
                fail_msg("a stream ended with the daemon");
            const char *last = reader->count == 0
                                   ? NULL
                                   : stage_format(campaign->stage, "Last-Event-ID: %u\r\n",
                                                  reader->seen[reader->count - 1]);
            http_close(reader->http);
            reader->http = http_stream(campaign->stage, PATH, last, NULL);
            reader->is_orphaned = false;
            campaign->resumed++;
        } else if (event.has_data) {
            if (event.type[0] != '\0')
                fail_msg("%s: %s", event.type, event.data);
            reader->seen[reader->count++] = (unsigned)strtoul(event.id, NULL, 10);
        }
    }
}

static void run_round(struct campaign *campaign, unsigned round)
{
    struct http *posts[POSTS];
    bool is_gateway = round % 2 == 1;
    for (unsigned i = 0; i < POSTS; i++)
        send_post(campaign, &posts[i], round * POSTS + i);
    kill_one(campaign, is_gateway, posts);
    for (unsigned i = 0; i < READERS; i++)
        campaign->readers[i].is_orphaned |= is_gateway;
    for (unsigned i = 0; i < POSTS; i++)
        finish_post(campaign, posts[i], round * POSTS + i);
    for (unsigned i = 0; i < READERS; i++)
        follow(campaign, &campaign->readers[i], (round + 1) * POSTS);
}

/* Each once; the same order for all of them. */
static void check_readers(struct campaign *campaign)
{
    static struct reader whole;
    whole = (struct reader){.http = http_stream(campaign->stage, PATH, NULL, NULL)};
    follow(campaign, &whole, EVENTS);
    bool found[EVENTS] = {false};
    for (unsigned i = 0; i < EVENTS; i++) {
        assert_in_range(whole.seen[i], 0, EVENTS - 1);
        assert_false(found[whole.seen[i]]);
        found[whole.seen[i]] = true;
    }
    for (unsigned i = 0; i < READERS; i++)
        assert_memory_equal(campaign->readers[i].seen, whole.seen, sizeof(whole.seen));
}

static void every_event_once_through_kills(struct stage *stage)
{
    struct campaign *campaign = stage_keep(stage, calloc(1, sizeof(*campaign)));
    print_message("seed %u\n", seed);
    campaign->stage = stage;
    campaign->daemon = stage_start(stage, NULL);
    campaign->gateway = http_start_plain(stage);
    for (unsigned i = 0; i < READERS; i++)
        campaign->readers[i].http = http_stream(stage, PATH, NULL, NULL);
    for (unsigned round = 0; round < ROUNDS; round++)
        run_round(campaign, round);
    check_readers(campaign);
    print_message("%u kills each; %u posts in flight, %u sent again, %u streams resumed\n",
                  ROUNDS / 2, campaign->in_flight, campaign->again, campaign->resumed);
    assert_true(campaign->in_flight > 0 && campaign->again > 0 && campaign->resumed > 0);
}

/* A daemon that is not there yet, or not any more: streams wait, posts too. */
static void streams_outlive_the_daemon(struct stage *stage)
{
    const char *patience = stage_format(stage, "--publish-timeout=%dms", until_patient_ms(1000));
    http_start(stage, "--heartbeat=100ms", "--ask-timeout=300ms", patience);
    struct http_event event;
    struct http *early = http_stream(stage, PATH, NULL, NULL); /* after --verdict-wait */
    struct http_answer answer = http_do(stage, "POST", PATH, NULL, "a");
    http_expect(&answer, 503);
    assert_string_equal(http_header(stage, &answer, "Retry-After"), "1");
    answer = http_do(stage, "GET", PATH, "Accept: application/json\r\n", NULL);
    http_expect(&answer, 503);
    assert_true(http_next(early, &event) && event.retry[0] != '\0');
    struct process *daemon = stage_start(stage, NULL);
    answer = http_do(stage, "POST", PATH, "Event-Id: 1\r\n", "one");
    http_expect(&answer, 200);
    http_expect_data(early, "one");
    process_kill(daemon);
    for (unsigned beats = 0; beats < 3; beats += event.comment != NULL)
        assert_true(http_next(early, &event) && !event.has_data);
    stage_start(stage, NULL);
    answer = http_do(stage, "POST", PATH, "Event-Id: 2\r\n", "two");
    http_expect(&answer, 200);
    http_expect_data(early, "two");
}

int main(int argc, char **argv)
{
    seed = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : (unsigned)time(NULL);
    const struct CMUnitTest tests[] = {
        STAGE_TEST(streams_outlive_the_daemon),
        STAGE_TEST(every_event_once_through_kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
