/* SPDX-License-Identifier: Apache-2.0 */
/* test_floods: a producer that floods leaves room for the others, and two of them fill their
 * commits.
 */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "event_list.h"
#include "feeder.h"
#include "stage.h"

enum {
    FLOOD_BATCH = 512,
    FLOOD_SIZE = 256,
    MODEST_EVENTS = 300,
    FLOOD_EVENTS = 200000,
};

static void fill_batch(struct spn_event events[FLOOD_BATCH])
{
    static char data[FLOOD_SIZE];
    memset(data, 'f', sizeof(data));
    for (size_t i = 0; i < FLOOD_BATCH; i++) {
        events[i] = (struct spn_event)SPN_EVENT_INIT;
        events[i].data = (struct spn_bytes){data, sizeof(data)};
    }
}

/* Keeps the window full. */
static void flood_on(struct feeder *flood, const struct spn_event *events)
{
    size_t taken;
    spn_err err =
        spn_publish_many(flood->producer, spn_text("flood"), events, FLOOD_BATCH, &taken, NULL);
    assert_true(err == SPN_OK || err == SPN_E_BACKPRESSURE);
    const struct spn_ack *ack;
    while (spn_producer_next_ack(flood->producer, 0, &ack) == SPN_OK)
        assert_int_equal(ack->result, SPN_STORED);
}

/* How many of the flood's events came into the log before the modest one's last. */
static uint64_t flood_between(struct stage *stage)
{
    struct outcome last = stage_run(stage, "last", "modest", "--json");
    stage_expect_code(&last, 0);
    return event_json_number(last.out, "position");
}

/* One with a single event in flight beside one whose window is always full: what counts is how much
 * of the flood is taken between two of the modest one's events, not how long that takes here. */
static void flood_leaves_room(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    static struct spn_event events[FLOOD_BATCH];
    fill_batch(events);
    struct feeder flood, modest;
    feeder_open(&flood);
    feeder_open(&modest);
    size_t count = until_scaled(MODEST_EVENTS);
    for (size_t i = 0; i < count; i++) {
        struct spn_counters before = *spn_producer_counters(modest.producer);
        feeder_put(&modest, "modest", "", "m");
        assert_int_equal(spn_producer_flush(modest.producer, 0) == SPN_E_FENCED, false);
        while (spn_producer_counters(modest.producer)->stored == before.stored) {
            flood_on(&flood, events);
            assert_int_equal(spn_client_step(modest.client), SPN_OK);
        }
    }
    uint64_t beside = flood_between(stage) - count;
    printf("%zu modest events, %llu of the flood beside them, %llu for each\n", count,
           (unsigned long long)beside, (unsigned long long)(count > 0 ? beside / count : 0));
    assert_true(beside > 0);
    /* Its share at the worker is 64 KiB, about 180 of these; two commits may be on their way. */
    assert_true(beside < 4000 * count);
    feeder_settle(&modest);
    feeder_settle(&flood);
    feeder_close(&modest);
    feeder_close(&flood);
    assert_int_equal(stage_stop(daemon), 0);
}

/* Nobody waits for a single event: then two floods fill their commits. */
static void floods_do_not_hold_each_other(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    static struct spn_event events[FLOOD_BATCH];
    fill_batch(events);
    struct feeder floods[2];
    for (size_t i = 0; i < 2; i++)
        feeder_open(&floods[i]);
    while (spn_producer_counters(floods[1].producer)->stored < until_scaled(FLOOD_EVENTS))
        for (size_t i = 0; i < 2; i++)
            flood_on(&floods[i], events);
    for (size_t i = 0; i < 2; i++) {
        feeder_settle(&floods[i]);
        feeder_close(&floods[i]);
    }
    uint64_t each = event_stat(stage, "sponson_events_per_commit");
    printf("%llu events for each commit\n", (unsigned long long)each);
    if (!until_sanitized()) /* which makes the feeding slower, and not the disk */
        assert_true(each > 600);
    assert_int_equal(stage_stop(daemon), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(flood_leaves_room),
        STAGE_TEST(floods_do_not_hold_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
