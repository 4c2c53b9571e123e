/* SPDX-License-Identifier: Apache-2.0 */
/* test_ages: what is old goes, and what nobody publishes to, also when it became so while nothing
 * ran. A restart of the machine is a note of another boot in the database, which the test writes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "base/clock.h"
#include "store/journal.h"
#include "raw.h"
#include "robust.h"
#include "stage.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

enum { OK, NOT_FOUND = 3 };
enum { MAP_SIZE = 256 << 20 };

static const char events[] = "id: a\ndata: x\n\nid: b\ndata: y\n\n";

static void record(struct stage *stage)
{
    const char *words[] = {"record", "s", NULL};
    struct outcome done =
        stage_run_words(stage, words, (struct spn_bytes){events, sizeof(events) - 1});
    stage_expect_code(&done, OK);
}

/* What of it a reader still gets, live or from the database. */
static bool is_hidden(struct stage *stage, const char *verb)
{
    struct outcome done = strcmp(verb, "dump") == 0 ? stage_run(stage, "dump", "--format", "sse")
                                                    : stage_run(stage, "replay", "s");
    stage_expect_code(&done, OK);
    return done.output.size == 0;
}

static bool dump_is_empty(void *stage)
{
    return is_hidden(stage, "dump");
}

static bool session_is_gone(void *stage)
{
    return stage_run(stage, "info", "s").code == NOT_FOUND;
}

static void expect_logged(struct stage *stage, const char *words)
{
    if (!strstr(stage_log(stage), words))
        fail_msg("the log does not say: %s", words);
}

/* The machine was started anew since the sidecar stopped, and its wall clock has gone on by so
 * much; or, noted: false, an older version wrote the database, which notes nothing. */
static void restart_machine(struct stage *stage, int64_t away_ms, bool noted)
{
    struct journal *journal;
    const struct journal_options options = {.dir = stage->data_dir, .size_max = MAP_SIZE};
    assert_int_equal(journal_open(&journal, &options), SPN_OK);
    struct record_meta meta = *journal_meta(journal);
    meta.clock_at.boot_id[0] ^= 1;
    meta.clock_at.wall_ms -= (uint64_t)away_ms;
    if (!noted)
        meta.clock_at = (struct clock_moment){0};
    assert_int_equal(journal_begin(journal), SPN_OK);
    assert_int_equal(journal_put_meta(journal, &meta), SPN_OK);
    assert_int_equal(journal_commit(journal), SPN_OK);
    journal_close(journal);
}

/* Ages stood still: with any age, events were served for as long again after each start. */
static void grow_old_while_nothing_runs(struct stage *stage, bool killed)
{
    static const struct stage_daemon options = {
        .more = {"--retention-age", "1500ms", "--row-interval", "86400000"}};
    struct process *daemon = stage_start(stage, &options);
    record(stage);
    if (killed)
        process_kill(daemon);
    else
        assert_int_equal(stage_stop(daemon), 0);
    if (!until_true(until_in(STAGE_WAIT_MS), dump_is_empty, stage))
        fail_msg("dump goes on showing what has become too old");
    stage_start(stage, &options);
    assert_true(is_hidden(stage, "replay"));
    expect_logged(stage, "level=info event=clock by=boot forward_ms=");
}

static void events_grow_old_while_nothing_runs(struct stage *stage)
{
    grow_old_while_nothing_runs(stage, false);
}

static void events_grow_old_after_a_kill(struct stage *stage)
{
    grow_old_while_nothing_runs(stage, true);
}

static void sessions_expire_that_were_idle_while_the_machine_was_off(struct stage *stage)
{
    static const struct stage_daemon options = {.more = {"--session-ttl", "24h"}};
    struct process *daemon = stage_start(stage, &options);
    record(stage);
    assert_int_equal(stage_stop(daemon), 0);
    restart_machine(stage, 25 * HOUR_MS, true);
    daemon = stage_start(stage, &options);
    expect_logged(stage, "level=info event=clock by=wall forward_ms=900");
    if (!until_true(until_in(STAGE_WAIT_MS), session_is_gone, stage))
        fail_msg("the session is still there");
    assert_int_equal(stage_stop(daemon), 0);
}

static void a_wall_clock_alone_counts_within_the_bound(struct stage *stage)
{
    static const struct stage_daemon narrow = {
        .more = {"--retention-age", "2h", "--session-ttl", "0", "--clock-catch-up-max", "1h"}};
    static const struct stage_daemon wide = {
        .more = {"--retention-age", "2h", "--session-ttl", "0"}};
    struct process *daemon = stage_start(stage, &narrow);
    record(stage);
    assert_int_equal(stage_stop(daemon), 0);
    restart_machine(stage, 30 * DAY_MS, true);
    assert_false(is_hidden(stage, "dump")); /* which goes by the same rule */
    daemon = stage_start(stage, &narrow);
    assert_false(is_hidden(stage, "replay"));
    expect_logged(stage, "level=warning event=clock by=wall forward_ms=3600000 not_counted_ms=25");
    assert_int_equal(stage_stop(daemon), 0);
    restart_machine(stage, -30 * DAY_MS, true);
    daemon = stage_start(stage, &wide);
    assert_false(is_hidden(stage, "replay"));
    expect_logged(stage, "level=warning event=clock by=wall forward_ms=0 back_ms=25");
    assert_int_equal(stage_stop(daemon), 0);
    restart_machine(stage, 30 * DAY_MS, true);
    assert_true(is_hidden(stage, "dump"));
    stage_start(stage, &wide);
    assert_true(is_hidden(stage, "replay"));
    expect_logged(stage, "level=warning event=clock by=wall forward_ms=604800000 ");
}

/* Nobody could be heard of meanwhile: who comes back has its numbers still. */
static void producers_are_not_forgotten_for_what_nothing_ran(struct stage *stage)
{
    static const char id[] = "a kept producer.";
    static const struct stage_daemon options = {.more = {"--producer-ttl", "24h"}};
    struct raw raw;
    struct process *daemon = stage_start(stage, &options);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, id).token;
    robust_send_large(&raw, token, 1, "s", 1);
    raw_expect_acks(&raw, token, 1);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
    restart_machine(stage, 5 * DAY_MS, true);
    stage_start(stage, &options);
    raw_open(&raw);
    assert_int_equal(raw_take_producer(&raw, id).durable, 1);
    raw_close(&raw);
}

/* After an orderly stop only rows have wall times. */
static void an_older_database_goes_on_from_its_newest_event(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    record(stage);
    assert_int_equal(stage_stop(daemon), 0);
    restart_machine(stage, 0, false);
    assert_false(is_hidden(stage, "dump"));
    daemon = stage_start(stage, NULL);
    assert_false(is_hidden(stage, "replay"));
    expect_logged(stage, "level=info event=clock by=wall forward_ms=");
    assert_int_equal(stage_stop(daemon), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(events_grow_old_while_nothing_runs),
        STAGE_TEST(events_grow_old_after_a_kill),
        STAGE_TEST(sessions_expire_that_were_idle_while_the_machine_was_off),
        STAGE_TEST(a_wall_clock_alone_counts_within_the_bound),
        STAGE_TEST(producers_are_not_forgotten_for_what_nothing_ran),
        STAGE_TEST(an_older_database_goes_on_from_its_newest_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
