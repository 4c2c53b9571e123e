/* SPDX-License-Identifier: Apache-2.0 */
/* test_robust: clients that do the allowed at the worst moment, or all at once, get right answers,
 * and the daemon keeps within its bounds.
 *
 * What the disk does to it is test_robust_disk's. Where a moment can be made it is: commits are
 * held up by a disk that is full for a while. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "check.h"
#include "event_list.h"
#include "feeder.h"
#include "raw.h"
#include "robust.h"
#include "stage.h"

static const char first_id[] = "first client id.";
static const char second_id[] = "second clientid.";

#define MIB (1024u * 1024)

enum {
    LARGE = 1000000, /* bytes of data: a slice holds one such event */
    ASK_MS = 10000,
};

/* -- producers --------------------------------------------------------------------------------- */

static void send_open(struct raw *raw, uint64_t request, const char *id16)
{
    struct raw_out out = {NULL, 0, 0};
    robust_put_open(&out, request, id16);
    raw_send_out(raw->ingest, &out);
    raw_release(&out);
}

/* One id is opened by two clients before either is answered: the later one has it, and the other is
 * told so. Were both given the same token, each would be acknowledged what the other sent. */
static void only_one_of_two_openings_holds(struct stage *stage)
{
    struct raw first, second, control;
    struct stage_daemon options = {.prepare = robust_bear_full_disk};
    struct process *daemon = stage_start(stage, &options);
    raw_open(&first);
    raw_open(&second);
    raw_open(&control);
    robust_know_producer(&control, first_id);
    /* What is left of that would be taken for the first's. */
    robust_wait_gauge(&control, "sponson_queue_bytes", 0);
    robust_limit_files(daemon, 0);
    send_open(&first, 5, first_id);
    uint64_t queued = robust_wait_counter(&control, "sponson_queue_bytes", 1);
    send_open(&second, 6, first_id);
    robust_wait_counter(&control, "sponson_queue_bytes", queued + 1);
    robust_wait_status(&control, ROBUST_DEGRADED);
    robust_limit_files(daemon, RLIM_INFINITY);
    assert_int_equal(raw_expect_error(first.ingest, RAW_E_FENCED).request, 5);
    struct raw_in opened = raw_expect(second.ingest, RAW_OPENED);
    assert_int_equal(opened.request, 6);
    struct raw_state state = raw_get_state(&opened);
    raw_send_events(&second, &(struct raw_batch){state.token, 2, 2, 0, 3, 0}, "s");
    assert_int_equal(raw_expect_acks(&second, state.token, 4).run_count, 0);
    assert_true(raw_take_producer(&first, first_id).token != state.token);
    assert_int_equal(robust_status(&control), ROBUST_HEALTHY);
    raw_close(&first);
    raw_close(&second);
    raw_close(&control);
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- level accepted ---------------------------------------------------------------------------- */

enum { ACCEPTED_EVENTS = 10, IDLE_US = 300000 };

/* What is accepted stays in memory while the tests run. */
static const struct stage_daemon holding = {.more = {"--flush-interval", "60000"}};

static void publish_plain(spn_producer *producer, size_t count)
{
    struct spn_event event = SPN_EVENT_INIT;
    event.data = spn_text("x");
    for (size_t i = 0; i < count; i++)
        assert_int_equal(spn_publish(producer, spn_text("s"), &event, NULL), SPN_OK);
}

struct loss_look {
    spn_client *client;
    spn_producer *producer;
};

static bool step_until_lost(void *argument)
{
    const struct loss_look *look = argument;
    assert_int_equal(spn_client_step(look->client), SPN_OK);
    return spn_producer_counters(look->producer)->lost == ACCEPTED_EVENTS;
}

/* Events are accepted; the daemon is killed, and comes back without them. */
static struct process *lose_events(struct stage *stage, spn_client **ret_client,
                                   spn_producer **ret_producer)
{
    struct process *daemon = stage_start(stage, &holding);
    struct spn_producer_options options = spn_producer_defaults();
    options.level = SPN_ACCEPTED;
    int ms = until_left_ms(until_in(ASK_MS));
    assert_int_equal(spn_client_open(ret_client, NULL, ms, NULL, 0), SPN_OK);
    assert_int_equal(spn_producer_open(ret_producer, *ret_client, &options, ms), SPN_OK);
    publish_plain(*ret_producer,
                  1); /* the first one is acknowledged when its producer is on disk */
    assert_int_equal(spn_producer_flush(*ret_producer, ms), SPN_OK);
    publish_plain(*ret_producer, ACCEPTED_EVENTS);
    assert_int_equal(spn_producer_flush(*ret_producer, ms), SPN_OK);
    assert_int_equal(spn_producer_counters(*ret_producer)->lost, 0);
    process_kill(daemon);
    return stage_start(stage, &holding);
}

/* All that was lost is told as lost, and what comes afterwards is not. */
static void expect_loss_told(struct process *daemon, spn_client *client, spn_producer *producer)
{
    int ms = until_left_ms(until_in(ASK_MS));
    publish_plain(producer, 1);
    assert_int_equal(spn_producer_flush(producer, ms), SPN_OK);
    struct spn_counters counters = *spn_producer_counters(producer);
    assert_int_equal(counters.lost, ACCEPTED_EVENTS);
    assert_int_equal(counters.taken, ACCEPTED_EVENTS + 2);
    assert_int_equal(counters.unacknowledged, 0);
    assert_int_equal(spn_producer_close(producer, ms, NULL), SPN_OK);
    spn_client_close(client);
    assert_int_equal(stage_stop(daemon), 0);
}

static void loss_is_told_to_a_client_that_waits(struct stage *stage)
{
    struct loss_look look;
    struct process *daemon = lose_events(stage, &look.client, &look.producer);
    assert_true(until_true(until_in(STAGE_WAIT_MS), step_until_lost, &look));
    expect_loss_told(daemon, look.client, look.producer);
}

/* The connection is back before the app comes to look. */
static void loss_is_told_to_a_client_that_idles(struct stage *stage)
{
    spn_client *client;
    spn_producer *producer;
    struct process *daemon = lose_events(stage, &client, &producer);
    until_passed_us(IDLE_US);
    expect_loss_told(daemon, client, producer);
}

/* The same, and it does nothing but wait: a loss is not told by what is published next. */
static void loss_is_told_without_publishing(struct stage *stage)
{
    struct loss_look look;
    struct process *daemon = lose_events(stage, &look.client, &look.producer);
    until_passed_us(IDLE_US);
    assert_true(until_true(until_in(STAGE_WAIT_MS), step_until_lost, &look));
    expect_loss_told(daemon, look.client, look.producer);
}

/* -- bounds ------------------------------------------------------------------------------------ */

enum { UNREAD_FETCHES = 250, UNREAD_DROPPED_MIN = 150, UNREAD_BYTES_MAX = 100 * MIB };

static void *connect_unreading(struct stage *stage, void *context)
{
    int one = 1;
    int none = 0;
    const char *endpoint = stage_format(stage, "ipc://%s/read.sock", stage->socket_dir);
    void *socket = zmq_socket(context, ZMQ_DEALER);
    assert_non_null(socket);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &one, sizeof(one));
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none));
    assert_int_equal(zmq_connect(socket, endpoint), 0);
    return socket;
}

/* Slices of a megabyte each, for somebody who does not read one of them. */
static void answers_that_nobody_reads_are_bounded(struct stage *stage)
{
    struct raw raw;
    struct raw_out out = {NULL, 0, 0};
    struct process *daemon = stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, first_id).token;
    for (uint64_t number = 1; number <= 3; number++)
        robust_send_large(&raw, token, number, "large", LARGE);
    raw_expect_acks(&raw, token, 3);
    void *unreading = connect_unreading(stage, raw.context);
    robust_put_fetch(&out, 7, "large", NULL);
    for (size_t i = 0; i < UNREAD_FETCHES; i++)
        raw_send_out(unreading, &out);
    raw_release(&out);
    /* What finds no room is dropped: the rest of them, once the first ones wait. */
    robust_wait_counter(&raw, "sponson_answers_dropped_total", UNREAD_DROPPED_MIN);
    assert_int_equal(robust_last_seq(&raw, "large"), 3);
    if (!until_sanitized()) /* their shadow memory is anonymous too */
        assert_true(process_anonymous_bytes(daemon) < UNREAD_BYTES_MAX);
    zmq_close(unreading);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
}

enum { TURNS = 4096 };

/* A batch whose events go to two sessions in turns, neither of them in memory: each is read from
 * disk once, not once per event. */
static void a_session_is_brought_back_once(struct stage *stage)
{
    struct raw raw;
    struct raw_out out = {NULL, 0, 0};
    char id[32];
    struct process *daemon = stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, first_id).token;
    raw_send_events(&raw, &(struct raw_batch){token, 1, 1, 0, 200, 0}, "A");
    raw_send_events(&raw, &(struct raw_batch){token, 201, 1, 0, 200, 0}, "B");
    raw_expect_acks(&raw, token, 400);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);

    daemon = stage_start(stage, NULL);
    raw_open(&raw);
    token = raw_take_producer(&raw, second_id).token;
    raw_put_batch(&out, &(struct raw_batch){token, 1, 1, 0, TURNS, RAW_DURABLE});
    for (int i = 0; i < TURNS; i++) {
        snprintf(id, sizeof(id), "n%d", i);
        raw_put_entry(&out,
                      &(struct raw_entry){.session = i % 2 ? "A" : "B", .id = id, .data = "x"});
    }
    raw_send_out(raw.ingest, &out);
    raw_release(&out);
    assert_int_equal(raw_expect_acks(&raw, token, TURNS).run_count, 0);
    assert_int_equal(robust_counter(&raw, "sponson_sessions_loaded_total"), 2);
    assert_int_equal(robust_last_seq(&raw, "A"), 200 + TURNS / 2);
    assert_int_equal(robust_last_seq(&raw, "B"), 200 + TURNS / 2);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
}

enum { RUN_BATCHES = 200, RUNS = 3968, QUEUE_BYTES = 2 * MIB, RUN_SIZE = 16 };

/* Every second number is a duplicate of the one before it: a run of its own. */
static void put_runs(struct raw_out *out, uint64_t token, uint64_t first, uint32_t count,
                     uint8_t level)
{
    raw_clear(out);
    raw_put_batch(out, &(struct raw_batch){token, first, 1, 0, count, level});
    for (uint64_t number = first; number < first + count; number++)
        raw_put_event(out, "s", number - (number % 2 == 0));
}

/* A batch carries all results that its producer still has to be told. Those count: a queue of many
 * small batches of such a producer ends at its mark. */
static void results_count_against_the_queue(struct stage *stage)
{
    struct stage_daemon options = {
        .more = {"--flush-interval", "60000", "--queue-bytes", "2097152"}};
    struct raw raw, control;
    struct raw_out out = {NULL, 0, 0};
    struct process *daemon = stage_start(stage, &options);
    raw_open(&raw);
    raw_open(&control);
    uint64_t token = raw_take_producer(&raw, first_id).token;
    uint64_t next = 1;
    for (; next < 2 * RUNS; next += RUNS) {
        put_runs(&out, token, next, RUNS, RAW_DURABLE);
        raw_send_out(raw.ingest, &out);
    }
    robust_wait_counter(&control, "sponson_events_durable_total", 2 * RUNS);
    uint64_t marks = robust_counter(&control, "sponson_queue_high_water_total");
    for (size_t i = 0; i < RUN_BATCHES; i++, next++) {
        put_runs(&out, token, next, 1, RAW_NONE);
        raw_send_out(raw.ingest, &out);
    }
    robust_wait_counter(&control, "sponson_queue_high_water_total", marks + 1);
    uint64_t bytes = robust_wait_counter(&control, "sponson_queue_bytes", QUEUE_BYTES);
    assert_true(bytes < QUEUE_BYTES + 2 * RUNS * RUN_SIZE);
    assert_true(robust_counter(&control, "sponson_queue_events") <=
                QUEUE_BYTES / (RUNS * RUN_SIZE) + 1);
    raw_release(&out);
    raw_close(&raw);
    raw_close(&control);
    process_kill(daemon);
}

/* -- one directory for everything -------------------------------------------------------------- */

static void data_and_sockets_may_share_a_directory(struct stage *stage)
{
    struct stage_daemon options = {.data_dir = stage->data_dir, .socket_dir = stage->data_dir};
    setenv("SPONSON_SOCKET_DIR", stage->data_dir, 1);
    for (uint64_t start = 1; start <= 2; start++) {
        struct feeder feeder;
        char id[32];
        struct process *daemon = stage_start(stage, &options);
        snprintf(id, sizeof(id), "%llu", (unsigned long long)start);
        feeder_open(&feeder);
        feeder_put(&feeder, "s", id, "x");
        assert_int_equal(feeder_settle(&feeder).stored, 1);
        feeder_close(&feeder);
        /* It is locked all the same. */
        struct process *other = stage_begin(stage, &options, NULL);
        assert_int_equal(process_wait(other, until_in(STAGE_WAIT_MS)), 1);
        struct outcome replay = stage_run(stage, "replay", "s");
        stage_expect_code(&replay, 0);
        struct event_list got = EVENT_LIST_INIT;
        event_list_add_json(&got, replay.output, NULL);
        event_list_expect_whole("s", &got);
        assert_int_equal(got.count, start);
        event_list_release(&got);
        assert_int_equal(stage_stop(daemon), 0);
    }
}

/* -- reading while segments are written -------------------------------------------------------- */

enum {
    SEGMENTS = 60,
    HELD_UP = 100,
    OTHERS = 60,           /* events of other sessions per round ... */
    MANY_OTHERS = 3000,    /* ... or so many, for a segment that takes its time */
    OTHER_SESSIONS = 6000, /* that they go to */
    BEHIND = 100,
    /* A slice of its own, which keeps the daemon's reader busy. So many, and one of "s" after each,
     * are within what one peer may leave unread. */
    HUGE_EVENT = 384 * 1024,
    FETCHES = 15,
};

struct churn {
    struct feeder feeder;
    spn_client *reader;
    struct raw raw;     /* fetches */
    struct raw control; /* looks at counters */
    uint64_t events;    /* of the session "s" */
};

/* Some events, and among them the next one of "s", k1, k2 and so on. */
static void publish_round(struct churn *churn, size_t others)
{
    char id[32];
    char session[32];
    snprintf(id, sizeof(id), "k%llu", (unsigned long long)++churn->events);
    for (size_t i = 0; i < others; i++) {
        if (i == others / 2)
            feeder_put(&churn->feeder, "s", id, "x");
        size_t other = (size_t)churn->events * others + i;
        snprintf(session, sizeof(session), "o%zu", other % OTHER_SESSIONS);
        feeder_put(&churn->feeder, session, id, "y");
    }
}

static void send_fetch(struct churn *churn, const char *session, const char *after)
{
    struct raw_out out = {NULL, 0, 0};
    robust_put_fetch(&out, 9, session, after);
    raw_send_out(churn->raw.read, &out);
    raw_release(&out);
}

static struct process *begin_churn(struct churn *churn, struct stage *stage)
{
    struct stage_daemon options = {.more = {"--row-interval", "5"}};
    struct process *daemon = stage_start(stage, &options);
    int ms = until_left_ms(until_in(ASK_MS));
    *churn = (struct churn){.events = 0};
    raw_open(&churn->raw);
    raw_open(&churn->control);
    uint64_t token = raw_take_producer(&churn->raw, first_id).token;
    robust_send_large(&churn->raw, token, 1, "large", HUGE_EVENT);
    raw_expect_acks(&churn->raw, token, 1);
    assert_int_equal(spn_client_open(&churn->reader, NULL, ms, NULL, 0), SPN_OK);
    feeder_open(&churn->feeder);
    publish_round(churn, OTHERS);
    feeder_settle(&churn->feeder);
    return daemon;
}

static void end_churn(struct churn *churn, struct process *daemon)
{
    feeder_settle(&churn->feeder);
    feeder_close(&churn->feeder);
    spn_client_close(churn->reader);
    raw_close(&churn->control);
    raw_close(&churn->raw);
    assert_int_equal(stage_stop(daemon), 0);
}

/* How many events of "s" are known to be on disk, while every round is of the same size. */
static uint64_t durable_of_s(const struct churn *churn)
{
    struct spn_counters counters = *spn_producer_counters(churn->feeder.producer);
    return (counters.taken - counters.unacknowledged + OTHERS / 2) / (OTHERS + 1);
}

/* From a hundred events back: all that were on disk when it was asked for are there, in order. */
static void expect_whole_replay(struct churn *churn)
{
    uint64_t durable = durable_of_s(churn);
    uint64_t after = durable > BEHIND ? durable - BEHIND : 1;
    char id[32];
    spn_replay *replay;
    const struct spn_event *event;
    int ms = until_left_ms(until_in(ASK_MS));
    snprintf(id, sizeof(id), "k%llu", (unsigned long long)after);
    spn_err err = spn_replay_open(&replay, churn->reader, spn_text("s"), spn_text(id), ms);
    if (err != SPN_OK)
        fail_msg("replay after %s: %s: %s", id, spn_err_name(err),
                 spn_client_detail(churn->reader));
    while ((err = spn_replay_next(replay, ms, &event)) == SPN_OK) {
        snprintf(id, sizeof(id), "k%llu", (unsigned long long)++after);
        assert_int_equal(event->seq, after);
        assert_int_equal(event->id.size, strlen(id));
        assert_memory_equal(event->id.data, id, event->id.size);
    }
    if (err != SPN_E_END)
        fail_msg("replay behind %s: %s: %s", id, spn_err_name(err),
                 spn_client_detail(churn->reader));
    assert_true(after >= durable);
    spn_replay_close(replay);
}

static void replays_are_whole_while_segments_are_written(struct stage *stage)
{
    struct churn churn;
    struct process *daemon = begin_churn(&churn, stage);
    uint64_t due_ns = until_in(STAGE_WAIT_MS);
    while (robust_counter(&churn.control, "sponson_segments_total") < until_scaled(SEGMENTS)) {
        assert_false(until_over(due_ns));
        publish_round(&churn, OTHERS);
        expect_whole_replay(&churn);
    }
    end_churn(&churn, daemon);
}

/* A slice of "s" after the event number `after`, which was on disk when it was asked for: what
 * comes next, or word that this was the newest. */
static void expect_whole_slice(struct churn *churn, uint64_t after)
{
    struct raw_in in = raw_expect(churn->raw.read, RAW_SLICE);
    assert_int_equal(raw_get_number(&in, 1), 0); /* resumed */
    assert_int_equal(raw_get_number(&in, 1), 0); /* live */
    raw_get_zeros(&in, 2);
    uint64_t count = raw_get_number(&in, 4);
    (void)raw_get(&in, RAW_LIFE_SIZE);
    uint64_t seq = raw_get_number(&in, 8);
    uint64_t newest = raw_get_number(&in, 8);
    assert_int_equal(seq, after + count);
    assert_true(count > 0 ? seq <= newest : seq == newest);
    assert_int_equal(raw_get_number(&in, 8), 0); /* missing */
    if (count > 0)
        assert_int_equal(raw_get_number(&in, 8), after + 1);
    raw_drop(&in);
}

/* The broker says where "s" stands; while the reader is not done with the large slices the session
 * gets one event more, and a segment with it is begun. Then the reader looks at the disk, which
 * knows more than it was told: rows that are ahead of the index. */
static void hold_reader_up(struct churn *churn)
{
    uint64_t durable = robust_counter(&churn->control, "sponson_durable_position");
    robust_wait_counter(&churn->control, "sponson_checkpoint_position", durable);
    uint64_t newest = churn->events;
    char id[32];
    snprintf(id, sizeof(id), "k%llu", (unsigned long long)newest);
    for (size_t i = 0; i < FETCHES; i++) {
        send_fetch(churn, "large", NULL);
        send_fetch(churn, "s", id);
    }
    publish_round(churn, MANY_OTHERS);
    feeder_settle(&churn->feeder);
    for (size_t i = 0; i < FETCHES; i++) {
        struct raw_in large = raw_expect(churn->raw.read, RAW_SLICE);
        raw_drop(&large);
        expect_whole_slice(churn, newest);
    }
}

static void slices_are_whole_when_the_reader_is_held_up(struct stage *stage)
{
    struct churn churn;
    struct process *daemon = begin_churn(&churn, stage);
    for (size_t left = until_scaled(HELD_UP); left > 0; left--)
        hold_reader_up(&churn);
    end_churn(&churn, daemon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(only_one_of_two_openings_holds),
        STAGE_TEST(loss_is_told_to_a_client_that_waits),
        STAGE_TEST(loss_is_told_to_a_client_that_idles),
        STAGE_TEST(loss_is_told_without_publishing),
        STAGE_TEST(answers_that_nobody_reads_are_bounded),
        STAGE_TEST(a_session_is_brought_back_once),
        STAGE_TEST(results_count_against_the_queue),
        STAGE_TEST(data_and_sockets_may_share_a_directory),
        STAGE_TEST(replays_are_whole_while_segments_are_written),
        STAGE_TEST(slices_are_whole_when_the_reader_is_held_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
