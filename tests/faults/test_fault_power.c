/* SPDX-License-Identifier: Apache-2.0 */
/* test_fault_power: the power goes, again and again, under load.
 *
 * The database is on an ext4 filesystem of its own, in an image on a loop device. Cutting the power
 * is a call to the filesystem after which it writes nothing any more, not even its journal: what
 * was not synced is gone when the image is mounted again. The daemon, whose commits fail from then
 * on, has to end with an error; producers ride it out. At the end every acknowledged event is
 * there, and each event once and in order.
 *
 * That such a cut loses what is not synced is shown with a daemon whose syncs do nothing. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "check.h"
#include "crowd.h"
#include "dump.h"
#include "mounts.h"
#include "rig.h"

enum {
    DISK_MIB = 1024, /* sparse */
    CUTS = 5,
    CUTS_CAMPAIGN = 60,
    ACKED_MIN = 50,      /* in the life that ends */
    LIFE_MAX_US = 60000, /* after that */
    ACKED_LYING = 2000,
    WAIT_MS = 30000,
    END_MS = 10000,
};

static const struct crowd_plan plan = {
    .members = 4,
    .without_ids = 1,
    .sessions = 64,
    .event_size = 200,
    .window_events = 1024,
};

static size_t cuts_wanted = CUTS;

struct power {
    struct stage *stage;
    const char *data_dir;
    struct process *daemon;
    struct crowd crowd;
    size_t cuts;
    uint64_t in_flight; /* sum over the cuts */
    size_t in_flight_cuts;
};

static void expect_end(struct power *power)
{
    int code = process_wait(power->daemon, until_in(END_MS));
    if (code != 1)
        fail_msg("cut %zu: exit code %d of a daemon whose disk is gone", power->cuts, code);
    if (!strstr(stage_log(power->stage), "event=storage_failed code=SPN_E_"))
        fail_msg("cut %zu: it did not say why it ended", power->cuts);
    process_release(power->daemon);
}

static void cut(struct power *power)
{
    uint16_t random = 0;
    uint64_t acked = crowd_acked(&power->crowd);
    crowd_wait_acked(&power->crowd, acked + ACKED_MIN, WAIT_MS);
    assert_int_equal(getrandom(&random, sizeof(random), 0), sizeof(random));
    until_passed_us(random % LIFE_MAX_US);
    uint64_t in_flight = crowd_taken(&power->crowd) - crowd_acked(&power->crowd);
    mounts_cut_power(power->data_dir);
    power->cuts++;
    power->in_flight += in_flight;
    power->in_flight_cuts += in_flight > 0;
    expect_end(power);
    mounts_again(power->stage, power->data_dir);
}

static void start(struct power *power)
{
    /* In some lives the index is written all the time. */
    struct stage_daemon options = {
        .data_dir = power->data_dir,
        .more = {STAGE_KEEP_ALL, "--row-interval", power->cuts % 2 ? "20" : "60000"},
    };
    power->daemon = stage_start(power->stage, &options);
}

static void expect_everything(struct power *power)
{
    struct history *history = crowd_history(&power->crowd);
    int code = dump_into(history, power->data_dir, power->stage->log_path);
    struct history_verdict verdict = history_judge(history);
    assert_int_equal(code, 0);
    history_expect_whole("after all cuts", &verdict);
    print_message("the power was cut %zu times, %zu times with events in flight (%" PRIu64
                  " on average); %" PRIu64 " events, %" PRIu64 " acknowledged, none lost\n",
                  power->cuts, power->in_flight_cuts,
                  power->in_flight_cuts ? power->in_flight / power->in_flight_cuts : 0,
                  verdict.stored, verdict.acked);
    assert_int_equal(verdict.stored, verdict.sent);
    assert_int_equal(verdict.acked, verdict.sent);
    assert_int_equal(power->in_flight_cuts, power->cuts);
    history_free(history);
}

static void power_cuts_lose_nothing(struct stage *stage)
{
    struct power power = {.stage = stage, .data_dir = mounts_ext4(stage, "disk", DISK_MIB)};
    crowd_open(&power.crowd, stage, &plan);
    start(&power);
    crowd_start_all(&power.crowd);
    while (power.cuts < cuts_wanted) {
        cut(&power);
        start(&power);
    }
    crowd_stop(&power.crowd);
    assert_int_equal(stage_stop(power.daemon), 0);
    expect_everything(&power);
    crowd_close(&power.crowd);
}

/* The database is damaged, or events are not there: the history says so. */
static void cut_without_syncs_is_found_out(struct stage *stage)
{
    static const struct faults_rule lying = {
        .action = FAULTS_SKIP, .kinds = FAULTS_ALL, .first = 1, .count = FAULTS_FOR_EVER};
    struct power power = {.stage = stage, .data_dir = mounts_ext4(stage, "disk", DISK_MIB)};
    struct stage_daemon options = {.data_dir = power.data_dir, .more = {STAGE_KEEP_ALL}};
    struct rig rig;
    rig_open(&rig, stage);
    rig_arm(&rig, &lying);
    rig_under(&rig, &options);
    crowd_open(&power.crowd, stage, &plan);
    power.daemon = stage_start(stage, &options);
    crowd_start_all(&power.crowd);
    crowd_wait_acked(&power.crowd, ACKED_LYING, WAIT_MS);
    mounts_cut_power(power.data_dir);
    process_kill(power.daemon);
    process_release(power.daemon);
    mounts_again(stage, power.data_dir);
    struct history *history = crowd_history(&power.crowd);
    int code = dump_into(history, power.data_dir, stage->log_path);
    struct history_verdict verdict = history_judge(history);
    print_message("a disk that does not sync: the dump ends with %d, %" PRIu64 " of %" PRIu64
                  " acknowledged events are lost\n",
                  code, verdict.lost, crowd_acked(&power.crowd));
    assert_true(rig_hits(&rig) > 0 && verdict.lost > 0);
    history_free(history);
    crowd_close(&power.crowd);
    rig_close(&rig);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        MOUNTS_TEST(power_cuts_lose_nothing),
        MOUNTS_TEST(cut_without_syncs_is_found_out),
    };
    const char *why;
    if (!mounts_allowed(MOUNTS_EXT4, &why)) {
        printf("skipped: %s\n", why);
        return MOUNTS_SKIPPED;
    }
    if (argc > 1 && strcmp(argv[1], "campaign") == 0)
        cuts_wanted = CUTS_CAMPAIGN;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
