/* SPDX-License-Identifier: Apache-2.0 */
/* test_backpressure: a sidecar that does not get on holds its producers up, in bounded room, and
 * what was taken arrives; a latest-only producer is not held up and its newest arrives first.
 *
 * Held is the worker, by a disk that is full. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "raw.h"
#include "robust.h"
#include "sponson.h"
#include "stage.h"

enum { ASK_MS = 10000, MANY = 1000, SOME = 200, FILL_MAX = 100000, DATA = 16000 };

#define NS_PER_MS UINT64_C(1000000)

static const char timeouts[] = "sponson_backpressure_timeouts_total";

/* -- helpers ----------------------------------------------------------------------------------- */

struct app {
    spn_client *client;
    spn_producer *producer;
};

static struct app open_app(int send_hwm, const struct spn_producer_options *options)
{
    struct app app;
    const struct spn_client_options where = {.size = sizeof(where), .send_hwm = send_hwm};
    int ms = until_left_ms(until_in(ASK_MS));
    assert_int_equal(spn_client_open(&app.client, &where, ms, NULL, 0), SPN_OK);
    assert_int_equal(spn_producer_open(&app.producer, app.client, options, ms), SPN_OK);
    return app;
}

static void close_app(struct app *app)
{
    int ms = until_left_ms(until_in(ASK_MS));
    assert_int_equal(spn_producer_close(app->producer, ms, NULL), SPN_OK);
    spn_client_close(app->client);
}

static spn_err publish(struct app *app, const char *session, unsigned number)
{
    static char data[DATA];
    char id[16];
    struct spn_event event = SPN_EVENT_INIT;
    memset(data, 'd', sizeof(data));
    snprintf(id, sizeof(id), "%u", number);
    event.id = spn_text(id);
    event.data = (struct spn_bytes){data, sizeof(data)};
    return spn_publish(app->producer, spn_text(session), &event, NULL);
}

/* The session's events: their ids are these numbers, and no others. Gives the last one's position.
 */
static uint64_t expect_ids(struct app *app, const char *session, const unsigned *ids, size_t count)
{
    spn_replay *replay;
    const struct spn_event *event;
    uint64_t position = 0;
    int ms = until_left_ms(until_in(ASK_MS));
    assert_int_equal(spn_replay_open(&replay, app->client, spn_text(session), spn_text(""), ms),
                     SPN_OK);
    for (size_t i = 0; i < count; i++) {
        char id[16];
        int size = snprintf(id, sizeof(id), "%u", ids[i]);
        assert_int_equal(spn_replay_next(replay, ms, &event), SPN_OK);
        assert_int_equal(event->id.size, size);
        assert_memory_equal(event->id.data, id, (size_t)size);
        position = event->position;
    }
    assert_int_equal(spn_replay_next(replay, ms, &event), SPN_E_END);
    spn_replay_close(replay);
    return position;
}

/* -- latest only ------------------------------------------------------------------------------- */

/* A thousand events while the worker is held: it gets the first and the newest, and the newest
 * before what another session published behind it. */
static void of_a_thousand_the_newest_arrives(struct stage *stage)
{
    static const unsigned first_and_newest[] = {1, MANY};
    static const unsigned one[] = {1};
    struct process *daemon =
        stage_start(stage, &(struct stage_daemon){.prepare = robust_bear_full_disk});
    struct spn_producer_options options = spn_producer_defaults();
    options.latest_only = true;
    options.window_events = 1;
    options.send_timeout_ms = -1; /* a call that waited would never return */
    struct app app = open_app(0, &options);
    robust_limit_files(daemon, 0);
    for (unsigned number = 1; number <= MANY; number++)
        assert_int_equal(publish(&app, "s", number), SPN_OK);
    struct spn_counters counters = *spn_producer_counters(app.producer);
    assert_int_equal(counters.pending, 1);
    assert_int_equal(counters.replaced, MANY - 2);
    assert_int_equal(counters.taken, 1);
    assert_int_equal(publish(&app, "t", 1), SPN_OK);
    robust_limit_files(daemon, RLIM_INFINITY);
    assert_int_equal(spn_producer_flush(app.producer, until_left_ms(until_in(ASK_MS))), SPN_OK);
    counters = *spn_producer_counters(app.producer);
    assert_int_equal(counters.stored, 3);
    assert_int_equal(counters.pending, 0);
    assert_true(expect_ids(&app, "s", first_and_newest, 2) < expect_ids(&app, "t", one, 1));
    close_app(&app);
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- the reference case ------------------------------------------------------------------------ */

/* Every bound is one: the window, ZeroMQ's high-water marks, the queue to the disk. */
static const struct stage_daemon narrow = {
    .more = {"--ingest-hwm", "1", "--read-hwm", "1", "--queue-events", "1"},
    .prepare = robust_bear_full_disk};

struct attempt {
    struct app *app;
    unsigned number;
    unsigned failures;
};

static bool publish_again(void *argument)
{
    struct attempt *attempt = argument;
    spn_err err = publish(attempt->app, "s", attempt->number);
    assert_true(err == SPN_OK || err == SPN_E_BACKPRESSURE);
    attempt->failures += err != SPN_OK;
    return err == SPN_OK;
}

/* Publishes until a call fails; how many went in before. */
static unsigned fill(struct app *app, uint64_t *ret_failed_ns)
{
    for (unsigned number = 1; number <= FILL_MAX; number++) {
        uint64_t start_ns = until_now_ns();
        spn_err err = publish(app, "s", number);
        *ret_failed_ns = until_now_ns() - start_ns;
        if (err != SPN_OK) {
            assert_int_equal(err, SPN_E_BACKPRESSURE);
            return number - 1;
        }
    }
    fail_msg("%d events went in, and there is room still", FILL_MAX);
    return 0;
}

/* All that went in comes out; no other event does. */
static void expect_all(struct app *app, unsigned count)
{
    unsigned *ids = calloc(count, sizeof(*ids));
    assert_non_null(ids);
    for (unsigned i = 0; i < count; i++)
        ids[i] = i + 1;
    (void)expect_ids(app, "s", ids, count);
    free(ids);
}

/* What an operator sees of them. */
static void expect_marks(struct raw *control, bool above)
{
    assert_int_equal(robust_counter(control, "sponson_queue_events_max"), 1);
    assert_int_equal(robust_counter(control, "sponson_ingest_hwm"), 1);
    assert_int_equal(robust_counter(control, "sponson_read_hwm"), 1);
    robust_wait_gauge(control, "sponson_queue_above_mark", above);
    robust_wait_gauge(control, "sponson_queue_events", above);
}

static void hold_and_let_go(struct stage *stage, spn_level level)
{
    struct raw control;
    struct process *daemon = stage_start(stage, &narrow);
    struct spn_producer_options options = spn_producer_defaults();
    uint64_t failed_ns = 0;
    options.level = level;
    options.window_events = 1;
    struct app app = open_app(1, &options);
    raw_open(&control);
    robust_limit_files(daemon, 0);
    unsigned taken = fill(&app, &failed_ns);
    print_message("level %d: %u events of %d bytes fill it, the next is refused after %llu ms\n",
                  (int)level, taken, DATA, (unsigned long long)(failed_ns / NS_PER_MS));
    assert_true(taken >= 1);
    assert_true(failed_ns >= 90 * NS_PER_MS);
    expect_marks(&control, true);

    robust_limit_files(daemon, RLIM_INFINITY);
    struct attempt attempt = {.app = &app, .number = taken + 1};
    assert_true(until_true(until_in(STAGE_WAIT_MS), publish_again, &attempt));
    int ms = until_left_ms(until_in(ASK_MS));
    assert_int_equal(spn_producer_flush(app.producer, ms), SPN_OK);
    robust_wait_counter(&control, "sponson_events_durable_total", taken + 1);
    expect_all(&app, taken + 1);
    struct spn_counters counters = *spn_producer_counters(app.producer);
    assert_int_equal(counters.taken, taken + 1);
    assert_int_equal(counters.backpressure, 1 + attempt.failures);
    assert_int_equal(robust_counter(&control, timeouts), counters.backpressure);
    expect_marks(&control, false);
    raw_close(&control);
    close_app(&app);
    assert_int_equal(stage_stop(daemon), 0);
}

static void full_window_is_told_after_the_timeout(struct stage *stage)
{
    hold_and_let_go(stage, SPN_DURABLE);
}

static void full_memory_is_told_after_the_timeout(struct stage *stage)
{
    hold_and_let_go(stage, SPN_ACCEPTED);
}

/* Without acknowledgements only the queues on the way have an end. */
static void full_queues_are_told_after_the_timeout(struct stage *stage)
{
    hold_and_let_go(stage, SPN_NONE);
}

/* A batch that cannot be taken kept everything after it from being read, for as long as the disk
 * was full. It is dropped after a second, and its producer is sent back when the disk takes
 * something. */
static void requests_are_answered_while_nothing_is_stored(struct stage *stage)
{
    struct raw raw, control;
    struct process *daemon = stage_start(stage, &narrow);
    raw_open(&raw);
    raw_open(&control);
    struct raw_batch batch = {.token = raw_take_producer(&raw, "sixteen bytes id").token,
                              .first = 1,
                              .base = 1,
                              .count = 1};
    robust_limit_files(daemon, 0);
    raw_send_events(&raw, &batch, "s");
    robust_wait_gauge(&control, "sponson_queue_above_mark", 1);
    batch.first = 2;
    raw_send_events(&raw, &batch, "s");
    robust_wait_counter(&control, "sponson_batches_dropped_total", 1);
    raw_take_producer(&control, "another id of 16");

    robust_limit_files(daemon, RLIM_INFINITY);
    raw_expect_acks(&raw, batch.token, 1);
    struct raw_hole back = raw_expect_hole(&raw);
    assert_int_equal(back.number, 2);
    batch.round = back.round + 1;
    raw_send_events(&raw, &batch, "s");
    raw_expect_acks(&raw, batch.token, 2);
    raw_close(&control);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- narrow, but not held ---------------------------------------------------------------------- */

static void all_gets_through_where_every_bound_is_one(struct stage *stage)
{
    struct process *daemon = stage_start(stage, &narrow);
    struct spn_producer_options options = spn_producer_defaults();
    options.window_events = 1;
    options.send_timeout_ms = -1;
    struct app app = open_app(1, &options);
    for (unsigned number = 1; number <= SOME; number++)
        assert_int_equal(publish(&app, "s", number), SPN_OK);
    assert_int_equal(spn_producer_flush(app.producer, until_left_ms(until_in(ASK_MS))), SPN_OK);
    assert_int_equal(spn_producer_counters(app.producer)->stored, SOME);
    expect_all(&app, SOME);
    close_app(&app);
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- memory ------------------------------------------------------------------------------------ */

/* Each arrives alone, so that ZeroMQ reads each into a buffer of its own. */
static void small_batches_that_wait_take_what_is_counted(struct stage *stage)
{
    struct raw raw, control;
    struct process *daemon =
        stage_start(stage, &(struct stage_daemon){.prepare = robust_bear_full_disk});
    raw_open(&raw);
    raw_open(&control);
    struct raw_batch batch = {.token = raw_take_producer(&raw, "sixteen bytes id").token,
                              .first = 1,
                              .base = 1,
                              .count = 1};
    robust_limit_files(daemon, 0);
    size_t before = process_anonymous_bytes(daemon);
    for (; batch.first <= 2 * MANY; batch.first++) {
        raw_send_events(&raw, &batch, "s");
        robust_wait_counter(&control, "sponson_batches_total", batch.first);
    }
    robust_wait_gauge(&control, "sponson_queue_events", 2 * MANY);
    size_t after = process_anonymous_bytes(daemon);
    uint64_t counted = robust_counter(&control, "sponson_queue_bytes");
    print_message("%d batches: from %zu to %zu bytes, and %llu are counted\n", 2 * MANY, before,
                  after, (unsigned long long)counted);
    if (!until_sanitized()) /* they keep what is freed */
        assert_true(after < before + 8 * counted);
    robust_limit_files(daemon, RLIM_INFINITY);
    (void)raw_expect_acks(&raw, batch.token, 2 * MANY);
    raw_close(&control);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
}

static void marks_that_cannot_be_are_refused(struct stage *stage)
{
    static const char *const options[] = {"--ingest-hwm", "--read-hwm"};
    static const char *const values[] = {"0", "-1", "1048577", "many"};
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 4; j++) {
            const char *const argv[] = {stage_sponsond(), options[i], values[j], NULL};
            const struct process_options how = {.argv = argv};
            struct process *process = stage_process(stage, &how);
            assert_int_equal(process_wait(process, until_in(STAGE_WAIT_MS)), 2);
        }
    const struct spn_client_options where = {.size = sizeof(where), .send_hwm = -1};
    spn_client *client = NULL;
    assert_int_equal(spn_client_open(&client, &where, 0, NULL, 0), SPN_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(of_a_thousand_the_newest_arrives),
        STAGE_TEST(full_window_is_told_after_the_timeout),
        STAGE_TEST(full_memory_is_told_after_the_timeout),
        STAGE_TEST(full_queues_are_told_after_the_timeout),
        STAGE_TEST(requests_are_answered_while_nothing_is_stored),
        STAGE_TEST(all_gets_through_where_every_bound_is_one),
        STAGE_TEST(small_batches_that_wait_take_what_is_counted),
        STAGE_TEST(marks_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
