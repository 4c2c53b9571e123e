/* SPDX-License-Identifier: Apache-2.0 */
/* test_refusals: kill -9 in the middle of a stream in which every twentieth number is refused, at
 * each level: each ticket has exactly one result, and each refusal has its code.
 *
 * One session is closed before the stream begins, and one never exists. So which numbers are
 * refused, and why, is known whatever is lost. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "event_list.h"
#include "sponson.h"
#include "stage.h"

enum {
    SESSIONS = 4,
    KILLS = 6,
    RESULTS = 5000, /* of each life, at most */
    IN_FLIGHT = 3000,
    CHUNK = 50,
    EVERY = 20, /* number is refused */
    WAIT_MS = 20000,
};

struct stream {
    struct stage *stage;
    spn_client *client;
    spn_producer *producer;
    spn_level level;
    uint64_t random;
    uint64_t published; /* tickets */
    uint64_t ended;     /* the last ticket with a result */
    uint64_t wanted;    /* up to where they are to end */
    uint64_t by_result[SPN_LOST + 1];
    uint64_t in_flight; /* tickets without a result, at the kills */
};

static uint64_t random_below(struct stream *stream, uint64_t below)
{
    stream->random ^= stream->random << 13;
    stream->random ^= stream->random >> 7;
    stream->random ^= stream->random << 17;
    return stream->random % below;
}

static spn_err refusal_of(uint64_t ticket)
{
    if (ticket % EVERY != 0)
        return SPN_OK;
    return ticket / EVERY % 2 ? SPN_E_CLOSED : SPN_E_UNKNOWN_SESSION;
}

static int wait_ms(void)
{
    return until_left_ms(until_in(WAIT_MS));
}

static spn_producer *open_producer(spn_client *client, spn_level level)
{
    struct spn_producer_options options = spn_producer_defaults();
    spn_producer *producer;
    options.level = level;
    options.send_timeout_ms = wait_ms();
    assert_int_equal(spn_producer_open(&producer, client, &options, wait_ms()), SPN_OK);
    return producer;
}

/* Another producer does it, so that it is on disk. */
static void close_one(spn_client *client)
{
    struct spn_event event = SPN_EVENT_INIT;
    spn_producer *producer = open_producer(client, SPN_DURABLE);
    assert_int_equal(spn_publish(producer, spn_text("closed"), &event, NULL), SPN_OK);
    assert_int_equal(spn_session_close(producer, spn_text("closed"), 0, NULL), SPN_OK);
    assert_int_equal(spn_producer_close(producer, wait_ms(), NULL), SPN_OK);
}

static void publish_next(struct stream *stream)
{
    char session[16];
    struct spn_event event = SPN_EVENT_INIT;
    uint64_t ticket = ++stream->published;
    uint64_t given = 0;
    spn_err why = refusal_of(ticket);
    event.data = spn_text("some data of an event");
    snprintf(session, sizeof(session), "s%u", (unsigned)(ticket % SESSIONS));
    spn_err err = why == SPN_E_UNKNOWN_SESSION
                      ? spn_session_close(stream->producer, spn_text("nobody"), 0, &given)
                      : spn_publish(stream->producer, spn_text(why == SPN_OK ? session : "closed"),
                                    &event, &given);
    assert_int_equal(err, SPN_OK);
    assert_int_equal(given, ticket);
}

/* At level none only refusals are results, and some may be lost; at the others each ticket has one.
 */
static void take_result(struct stream *stream, const struct spn_ack *ack)
{
    spn_err why = refusal_of(ack->ticket);
    bool good = ack->result == SPN_REFUSED ? why != SPN_OK && ack->code == why
                                           : why == SPN_OK && stream->level != SPN_NONE;
    if (ack->result == SPN_LOST)
        good = good && stream->level == SPN_ACCEPTED;
    else if (ack->result != SPN_REFUSED)
        good = good && ack->result == SPN_STORED;
    if (!good)
        fail_msg("level %d: ticket %llu is %s, %s", (int)stream->level,
                 (unsigned long long)ack->ticket, spn_result_name(ack->result),
                 spn_err_name(ack->code));
    if (stream->level == SPN_NONE)
        assert_true(ack->ticket > stream->ended && ack->ticket <= stream->published);
    else
        assert_int_equal(ack->ticket, stream->ended + 1);
    stream->ended = ack->ticket;
    stream->by_result[ack->result]++;
}

static void take_results(struct stream *stream)
{
    const struct spn_ack *ack;
    spn_err err;
    while ((err = spn_producer_next_ack(stream->producer, 0, &ack)) == SPN_OK)
        take_result(stream, ack);
    assert_true(err == SPN_E_TIMEOUT || err == SPN_E_END);
}

static void publish(struct stream *stream, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        publish_next(stream);
}

static bool publish_more(void *argument)
{
    struct stream *stream = argument;
    while (stream->ended < stream->wanted) {
        uint64_t before = stream->ended;
        if (spn_producer_counters(stream->producer)->unacknowledged < IN_FLIGHT)
            publish(stream, CHUNK);
        take_results(stream);
        if (stream->ended == before)
            return false; /* for now */
    }
    return true;
}

/* Publishes until so many more tickets have ended, and does not wait for the others. */
static void publish_until(struct stream *stream, uint64_t results)
{
    stream->wanted = stream->ended + results;
    assert_true(until_true(until_in(WAIT_MS), publish_more, stream));
    publish(stream, CHUNK);
}

static bool last_refusal_came(void *argument)
{
    struct stream *stream = argument;
    take_results(stream);
    return stream->ended == stream->published - stream->published % EVERY;
}

/* What a producer of level none sends to a connection that broke is lost. So it sends refused
 * numbers until one arrives. */
static bool refusal_came(void *argument)
{
    struct stream *stream = argument;
    uint64_t before = stream->ended;
    do
        publish_next(stream);
    while (stream->published % EVERY != 0);
    assert_int_equal(spn_producer_flush(stream->producer, wait_ms()), SPN_OK);
    take_results(stream);
    return stream->ended > before;
}

/* Everything has its one result: at level none, each refusal of what was sent to this daemon. */
static void expect_all_ended(struct stream *stream)
{
    if (stream->level == SPN_NONE) {
        assert_true(until_true(until_in(WAIT_MS), refusal_came, stream));
        assert_true(until_true(until_in(WAIT_MS), last_refusal_came, stream));
        uint64_t before = stream->by_result[SPN_REFUSED];
        uint64_t first = stream->published;
        publish(stream, 20 * EVERY);
        assert_int_equal(spn_producer_flush(stream->producer, wait_ms()), SPN_OK);
        assert_true(until_true(until_in(WAIT_MS), last_refusal_came, stream));
        assert_int_equal(stream->by_result[SPN_REFUSED] - before,
                         stream->published / EVERY - first / EVERY);
        return;
    }
    assert_int_equal(spn_producer_flush(stream->producer, wait_ms()), SPN_OK);
    take_results(stream);
    assert_int_equal(stream->ended, stream->published);
    assert_int_equal(stream->by_result[SPN_REFUSED], stream->published / EVERY);
    assert_true(stream->in_flight > 0);
}

/* What was told as stored is there, and nothing else. */
static void expect_stored(struct stream *stream)
{
    uint64_t stored = 0;
    if (stream->level != SPN_DURABLE)
        return;
    for (unsigned i = 0; i < SESSIONS; i++) {
        char session[16];
        snprintf(session, sizeof(session), "s%u", i);
        struct outcome done = stage_run(stream->stage, "info", session, "--json");
        stage_expect_code(&done, 0);
        stored += event_json_number(done.out, "seq");
    }
    assert_int_equal(stored, stream->by_result[SPN_STORED]);
    assert_int_equal(stored, stream->published - stream->published / EVERY);
}

static void run_level(struct stage *stage, spn_level level)
{
    struct stream stream = {.stage = stage, .level = level, .random = 88172645463325252u};
    struct process *daemon = stage_start(stage, NULL);
    assert_int_equal(spn_client_open(&stream.client, NULL, wait_ms(), NULL, 0), SPN_OK);
    close_one(stream.client);
    stream.producer = open_producer(stream.client, level);
    for (int i = 0; i < KILLS; i++) {
        publish_until(&stream, 1 + random_below(&stream, until_scaled(RESULTS)));
        stream.in_flight += spn_producer_counters(stream.producer)->unacknowledged;
        process_kill(daemon);
        publish(&stream, random_below(&stream, CHUNK));
        daemon = stage_start(stage, NULL);
    }
    publish_until(&stream, until_scaled(RESULTS));
    expect_all_ended(&stream);
    expect_stored(&stream);
    print_message(
        "level %d: %llu published, %llu in flight at %d kills, %llu stored, %llu refused, "
        "%llu lost\n",
        (int)level, (unsigned long long)stream.published, (unsigned long long)stream.in_flight,
        KILLS, (unsigned long long)stream.by_result[SPN_STORED],
        (unsigned long long)stream.by_result[SPN_REFUSED],
        (unsigned long long)stream.by_result[SPN_LOST]);
    assert_int_equal(spn_producer_close(stream.producer, wait_ms(), NULL), SPN_OK);
    spn_client_close(stream.client);
    assert_int_equal(stage_stop(daemon), 0);
}

static void kills_at_level_durable(struct stage *stage)
{
    run_level(stage, SPN_DURABLE);
}

static void kills_at_level_accepted(struct stage *stage)
{
    run_level(stage, SPN_ACCEPTED);
}

static void kills_at_level_none(struct stage *stage)
{
    run_level(stage, SPN_NONE);
}

/* -- more runs than are kept ------------------------------------------------------------------- */

enum { MANY = 20000 };

struct many {
    spn_producer *producer;
    uint64_t refused;
};

static bool all_came(void *argument)
{
    struct many *many = argument;
    const struct spn_ack *ack;
    while (spn_producer_next_ack(many->producer, 0, &ack) == SPN_OK) {
        assert_int_equal(ack->ticket, many->refused + 1);
        assert_int_equal(ack->result, SPN_REFUSED);
        assert_int_equal(ack->code, ack->ticket % 2 ? SPN_E_CLOSED : SPN_E_UNKNOWN_SESSION);
        many->refused++;
    }
    return many->refused == MANY;
}

/* Each refusal is a run of its own, and all come at once. */
static void more_refusals_than_are_kept(struct stage *stage)
{
    spn_client *client;
    struct spn_event event = SPN_EVENT_INIT;
    struct process *daemon = stage_start(stage, NULL);
    assert_int_equal(spn_client_open(&client, NULL, wait_ms(), NULL, 0), SPN_OK);
    close_one(client);
    for (spn_level level = SPN_NONE; level <= SPN_DURABLE; level++) {
        struct many many = {.producer = open_producer(client, level)};
        for (size_t i = 1; i <= MANY; i++)
            assert_int_equal(i % 2 ? spn_publish(many.producer, spn_text("closed"), &event, NULL)
                                   : spn_session_close(many.producer, spn_text("nobody"), 0, NULL),
                             SPN_OK);
        if (level == SPN_NONE)
            assert_int_equal(spn_producer_flush(many.producer, wait_ms()), SPN_OK);
        else
            assert_int_equal(spn_producer_flush(many.producer, 0), SPN_E_TIMEOUT);
        assert_true(until_true(until_in(WAIT_MS), all_came, &many));
        assert_int_equal(spn_producer_counters(many.producer)->refused, MANY);
        assert_int_equal(spn_producer_close(many.producer, wait_ms(), NULL), SPN_OK);
    }
    spn_client_close(client);
    assert_int_equal(stage_stop(daemon), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(kills_at_level_durable),
        STAGE_TEST(kills_at_level_accepted),
        STAGE_TEST(kills_at_level_none),
        STAGE_TEST(more_refusals_than_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
