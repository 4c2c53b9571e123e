/* SPDX-License-Identifier: Apache-2.0 */
/* test_fault_ends: a session that is deleted, closed or expires does so for readers when that is on
 * disk, and not before.
 *
 * A commit is held in its sync: the broker has accepted the end, and the disk does not have it.
 * Whoever reads meanwhile sees what a kill would bring back; then the kill comes, and it is there.
 */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "event_list.h"
#include "rig.h"
#include "sponson.h"

enum { EVENTS = 3, ASK_MS = 20000 };

struct ends {
    struct stage *stage;
    struct rig rig;
    struct process *daemon;
    spn_client *client;
    spn_producer *producer;
};

static const struct faults_rule held = {.action = FAULTS_DELAY,
                                        .kinds = FAULTS_SYNC,
                                        .first = 1,
                                        .count = FAULTS_FOR_EVER,
                                        .delay_ns = UINT64_MAX / 4};

static void publish(struct ends *ends, const char *session, const char *data)
{
    struct spn_event event = SPN_EVENT_INIT;
    event.data = spn_text(data);
    assert_int_equal(spn_publish(ends->producer, spn_text(session), &event, NULL), SPN_OK);
}

/* A daemon with a session of a few events; more: up to two words of its command line. */
static void begin(struct ends *ends, struct stage *stage, const char *row_interval,
                  const char *option, const char *value)
{
    struct stage_daemon options = {.more = {"--row-interval", row_interval, option, value}};
    *ends = (struct ends){.stage = stage};
    rig_open(&ends->rig, stage);
    rig_under(&ends->rig, &options);
    ends->daemon = stage_start(stage, &options);
    int ms = until_left_ms(until_in(ASK_MS));
    assert_int_equal(spn_client_open(&ends->client, NULL, ms, NULL, 0), SPN_OK);
    assert_int_equal(spn_producer_open(&ends->producer, ends->client, NULL, ms), SPN_OK);
    for (int i = 1; i <= EVENTS; i++)
        publish(ends, "s", stage_format(stage, "event %d", i));
    assert_int_equal(spn_producer_flush(ends->producer, ms), SPN_OK);
}

static void end(struct ends *ends)
{
    (void)spn_producer_close(ends->producer, 0, NULL);
    spn_client_close(ends->client);
    rig_close(&ends->rig);
}

/* All that readers are given says that the session is there as it was. */
static void expect_old_life(struct ends *ends)
{
    struct outcome info = stage_run(ends->stage, "info", "s", "--json");
    stage_expect_code(&info, 0);
    assert_int_equal(event_json_number(info.out, "seq"), EVENTS);
    assert_non_null(strstr(info.out, "\"live\""));
    struct outcome last = stage_run(ends->stage, "last", "s", "--json");
    stage_expect_code(&last, 0);
    assert_int_equal(event_json_number(last.out, "seq"), EVENTS);
    struct outcome list = stage_run(ends->stage, "sessions", "--json");
    stage_expect_code(&list, 0);
    assert_int_equal(event_json_number(list.out, "seq"), EVENTS);
    struct outcome replay = stage_run(ends->stage, "replay", "s");
    stage_expect_code(&replay, 0);
    assert_non_null(strstr(replay.out, "event 1"));
    assert_non_null(strstr(replay.out, "event 3"));
    assert_null(strstr(replay.out, "next life"));
}

static void expect_gone(struct stage *stage)
{
    struct outcome info = stage_run(stage, "info", "s");
    assert_int_not_equal(info.code, 0);
    struct outcome list = stage_run(stage, "sessions", "--json");
    stage_expect_code(&list, 0);
    assert_null(strstr(list.out, "\"s\""));
}

/* The daemon is killed while the commit is held, and started again without faults. */
static void kill_and_start(struct ends *ends)
{
    process_kill(ends->daemon);
    rig_clear(&ends->rig);
    ends->daemon = stage_start(ends->stage, NULL);
}

static void delete_was_seen_before_it_was_on_disk(struct stage *stage)
{
    struct ends ends;
    begin(&ends, stage, "3600000", NULL, NULL);
    rig_arm(&ends.rig, &held);
    struct process *deleting = stage_begin_run(stage, "delete", "s", "--yes");
    rig_wait_held(&ends.rig);
    expect_old_life(&ends);
    publish(&ends, "s", "next life"); /* opens another life, which is no more on disk */
    assert_int_equal(spn_producer_flush(ends.producer, 0), SPN_E_TIMEOUT);
    expect_old_life(&ends);
    process_kill(deleting);
    kill_and_start(&ends);
    struct outcome replay = stage_run(stage, "replay", "s");
    assert_non_null(strstr(replay.out, "event 3")); /* the life that was deleted in vain */
    assert_int_equal(spn_producer_flush(ends.producer, until_left_ms(until_in(ASK_MS))), SPN_OK);
    replay = stage_run(stage, "replay", "s");
    assert_non_null(strstr(replay.out, "event 3"));
    assert_non_null(strstr(replay.out, "next life")); /* sent again, into that one */
    end(&ends);
}

/* Held for a while only: then it is gone, and the next life is there. */
static void delete_that_gets_there_is_seen(struct stage *stage)
{
    struct ends ends;
    begin(&ends, stage, "3600000", NULL, NULL);
    rig_arm(&ends.rig, &held);
    struct process *deleting = stage_begin_run(stage, "delete", "s", "--yes");
    rig_wait_held(&ends.rig);
    expect_old_life(&ends);
    rig_clear(&ends.rig);
    struct outcome done = stage_end(stage, deleting, until_in(STAGE_WAIT_MS));
    stage_expect_code(&done, 0);
    expect_gone(stage);
    publish(&ends, "s", "next life");
    assert_int_equal(spn_producer_flush(ends.producer, until_left_ms(until_in(ASK_MS))), SPN_OK);
    struct outcome replay = stage_run(stage, "replay", "s");
    stage_expect_code(&replay, 0);
    assert_non_null(strstr(replay.out, "next life"));
    assert_null(strstr(replay.out, "event 3"));
    end(&ends);
}

static void close_was_seen_before_it_was_on_disk(struct stage *stage)
{
    struct ends ends;
    begin(&ends, stage, "3600000", NULL, NULL);
    rig_arm(&ends.rig, &held);
    struct process *closing = stage_begin_run(stage, "close", "s");
    rig_wait_held(&ends.rig);
    expect_old_life(&ends);
    process_kill(closing);
    kill_and_start(&ends);
    expect_old_life(&ends);
    end(&ends);
}

struct count_look {
    struct stage *stage;
    const char *name;
};

static bool has_counted(void *argument)
{
    const struct count_look *look = argument;
    struct outcome stats = stage_run(look->stage, "stats", "--json");
    return stats.code == 0 && event_json_number(stats.out, look->name) > 0;
}

static void expiry_was_seen_before_it_was_on_disk(struct stage *stage)
{
    struct ends ends;
    begin(&ends, stage, "20", "--session-ttl", "2s");
    assert_true(until_true(until_in(STAGE_WAIT_MS), has_counted,
                           &(struct count_look){stage, "sponson_segments_total"}));
    rig_arm(&ends.rig, &held);
    assert_true(until_true(until_in(STAGE_WAIT_MS), has_counted,
                           &(struct count_look){stage, "sponson_sessions_expired_total"}));
    rig_wait_held(&ends.rig);
    expect_old_life(&ends);
    kill_and_start(&ends);
    expect_old_life(&ends);
    end(&ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(delete_was_seen_before_it_was_on_disk),
        STAGE_TEST(delete_that_gets_there_is_seen),
        STAGE_TEST(close_was_seen_before_it_was_on_disk),
        STAGE_TEST(expiry_was_seen_before_it_was_on_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
