/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_race: POSTs with a condition race, through two gateways: each race has one winner.
 *
 * The racers of a race send at once. The condition is that the session is new, or that its newest
 * event has a seq. Bodies differ: of one event, which is asked for by itself, and of several, which
 * go through the gateway's producer. The loser's 412 says what is there; nothing of it is stored.
 *
 * `campaign SEED` is the long form. It fails if no race overlapped: then all was sent before the
 * first was answered. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "http_client.h"
#include "http_gateway.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S "/v1/sessions/"
#define SSE "Content-Type: text/event-stream\r\n"
#define JSON "Content-Type: application/json\r\n"

enum { RACERS = 6, RACES_SHORT = 100, RACES = 1000, LINE_SIZE = 64 };

/* Of each body: how many events it has. %u: the racer's number, in each. */
static const struct {
    const char *headers;
    const char *body;
    unsigned events;
} bodies[] = {
    {"", "%u", 1},
    {JSON, "{\"data\":\"%u\"}", 1},
    {JSON, "[{\"data\":\"%1$u\"},{\"data\":\"%1$u\"}]", 2},
    {SSE, "data: %u\n\n", 1},
    {SSE, "data: %1$u\n\ndata: %1$u\n\ndata: %1$u\n\n", 3},
};

struct racer {
    struct http *http; /* kept from race to race */
    size_t body;
    unsigned number; /* what it writes; never the same twice */
    struct http_answer answer;
};

struct campaign {
    struct stage *stage;
    struct racer racers[RACERS]; /* every other one at each gateway */
    unsigned number;
    unsigned overlapped;
    unsigned losers;
};

static unsigned seed;
static unsigned races = RACES_SHORT;

static unsigned draw(unsigned below)
{
    return (unsigned)rand_r(&seed) % below;
}

static void send_racer(struct campaign *campaign, struct racer *racer, const char *session,
                       const char *condition)
{
    struct stage *stage = campaign->stage;
    racer->body = draw(COUNT(bodies));
    racer->number = campaign->number++;
    char body[LINE_SIZE];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(body, sizeof(body), bodies[racer->body].body, racer->number);
#pragma GCC diagnostic pop
    http_send_request(racer->http, "POST", stage_format(stage, S "%s", session),
                      stage_format(stage, "%s%s", bodies[racer->body].headers, condition), body);
}

static uint64_t number_of(struct stage *stage, const struct http_answer *answer, const char *name)
{
    const char *value = http_header(stage, answer, name);
    assert_non_null(value);
    return strtoull(value, NULL, 10);
}

/* All at once. Returns the winner. */
static const struct racer *run_race(struct campaign *campaign, size_t count, const char *session,
                                    const char *condition)
{
    struct racer *racers = campaign->racers;
    const struct racer *winner = NULL;
    for (size_t i = 0; i < count; i++)
        send_racer(campaign, &racers[i], session, condition);
    bool overlaps = true;
    for (size_t i = 0; i < count; i++)
        overlaps = overlaps && !until_readable(until_in(0), racers[i].http->fd);
    campaign->overlapped += overlaps;
    for (size_t i = 0; i < count; i++) {
        racers[i].answer = http_read(racers[i].http);
        if (racers[i].answer.status != 200) {
            http_expect(&racers[i].answer, 412);
            continue;
        }
        if (winner != NULL)
            fail_msg("%s: two won: %u and %u", condition, winner->number, racers[i].number);
        winner = &racers[i];
    }
    if (winner == NULL)
        fail_msg("%s: nobody won", condition);
    campaign->losers += (unsigned)count - 1;
    return winner;
}

/* The losers know what the winner has written, and that is all. Returns the session's seq now. */
static uint64_t check_race(struct campaign *campaign, size_t count, const struct racer *winner,
                           uint64_t before)
{
    struct stage *stage = campaign->stage;
    uint64_t after = before + bodies[winner->body].events;
    const char *life = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct http_answer *answer = &campaign->racers[i].answer;
        if (answer->status != 412)
            continue;
        assert_in_range(number_of(stage, answer, "Sponson-Seq"), before + 1, after);
        assert_string_equal(http_header(stage, answer, "Sponson-State"), "live");
        assert_non_null(strstr(answer->body.data, "\"code\":\"SPN_E_CONDITION\""));
        const char *its_life = http_header(stage, answer, "Sponson-Life");
        assert_non_null(its_life);
        assert_true(life == NULL || strcmp(life, its_life) == 0);
        life = its_life;
    }
    return after;
}

/* The next events of the session are the winner's. */
static void expect_events(struct http *reader, const struct racer *winner)
{
    char number[LINE_SIZE];
    (void)snprintf(number, sizeof(number), "%u", winner->number);
    for (unsigned i = 0; i < bodies[winner->body].events; i++)
        assert_string_equal(http_next_data(reader).data, number);
}

static size_t draw_racers(struct campaign *campaign)
{
    size_t count = 2 + draw(RACERS - 1);
    for (size_t i = RACERS - 1; i > 0; i--) {
        size_t other = draw((unsigned)i + 1);
        struct http *http = campaign->racers[i].http;
        campaign->racers[i].http = campaign->racers[other].http;
        campaign->racers[other].http = http;
    }
    return count;
}

static void race_to_be_new(struct campaign *campaign, unsigned race)
{
    size_t count = draw_racers(campaign);
    const char *session = stage_format(campaign->stage, "new%u", race);
    const struct racer *winner = run_race(campaign, count, session, "If-None-Match: *\r\n");
    uint64_t seq = check_race(campaign, count, winner, 0);
    struct http *reader =
        http_stream(campaign->stage, stage_format(campaign->stage, S "%s?until=caught-up", session),
                    NULL, NULL);
    expect_events(reader, winner);
    http_expect_end(reader);
    http_close(reader);
    assert_int_equal(http_seq(campaign->stage, session), seq);
}

static uint64_t race_to_be_next(struct campaign *campaign, struct http *reader, uint64_t seq)
{
    size_t count = draw_racers(campaign);
    const char *condition =
        stage_format(campaign->stage, "Sponson-If-Seq: %llu\r\n", (unsigned long long)seq);
    const struct racer *winner = run_race(campaign, count, "next", condition);
    expect_events(reader, winner);
    return check_race(campaign, count, winner, seq);
}

static void each_race_has_one_winner(struct stage *stage)
{
    struct campaign *campaign = stage_keep(stage, calloc(1, sizeof(*campaign)));
    unsigned port = http_free_port();
    print_message("seed %u\n", seed);
    campaign->stage = stage;
    stage_start(stage, NULL);
    http_start_plain(stage);
    http_start_words(stage,
                     (const char *const[]){stage_format(stage, "--listen=127.0.0.1:%u", port),
                                           "--insecure-loopback", NULL},
                     stage_path(stage, "second.sock"));
    for (size_t i = 0; i < RACERS; i++)
        campaign->racers[i].http = i % 2 == 0 ? http_open(stage) : http_open_tcp(stage, port);
    http_post(stage, S "next", NULL, "first");
    struct http *reader = http_stream(stage, S "next?from=now", NULL, NULL);
    uint64_t seq = 1;
    uint64_t start_ns = until_now_ns();
    for (unsigned race = 0; race < races; race++) {
        if (draw(2) == 0)
            race_to_be_new(campaign, race);
        else
            seq = race_to_be_next(campaign, reader, seq);
    }
    assert_int_equal(http_seq(stage, "next"), seq);
    print_message("%u races in %.1f s: %u overlapped; %u losers\n", races,
                  (double)(until_now_ns() - start_ns) / 1e9, campaign->overlapped,
                  campaign->losers);
    assert_true(campaign->overlapped > 0);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "campaign") == 0)
        races = RACES;
    seed = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : (unsigned)time(NULL);
    const struct CMUnitTest tests[] = {STAGE_TEST(each_race_has_one_winner)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
