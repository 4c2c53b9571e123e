/* SPDX-License-Identifier: Apache-2.0 */
/* test_fault_full: a disk that fills up and is freed, again and again, under load.
 *
 * The database is on a tmpfs of 64 MB. In each round a ballast file takes all that is left while
 * producers publish; once the daemon says that it is degraded, sessions are read all the same and
 * nothing is acknowledged; then the ballast goes, and the next acknowledgement must come within a
 * second. In some rounds the daemon is killed and started while the disk is full. At the end every
 * event is there, once and in order. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "crowd.h"
#include "dump.h"
#include "mounts.h"
#include "sponson.h"

enum {
    DISK_MIB = 64,
    ROUNDS = 3,
    ROUNDS_CAMPAIGN = 50,
    RESTART_EVERY = 5, /* in so many rounds, from the second on */
    MEMBERS = 4,
    BEFORE = 40,  /* events of each member in a round, before the disk is full */
    AT_ONCE = 40, /* and so many at a time, until it shows */
    STALL_MS = 60,
    LONG_STALL_MS = 2800, /* in every third round: pauses between attempts are at their longest */
    RESUME_MS = 1000,
    WAIT_MS = 30000,
};

static const struct crowd_plan plan = {
    .members = MEMBERS,
    .without_ids = 1,
    .sessions = 16,
    .event_size = 300,
    .window_events = 256,
};

static size_t rounds_wanted = ROUNDS;

struct full {
    struct stage *stage;
    const char *data_dir;
    const char *ballast;
    struct process *daemon;
    struct crowd crowd;
    spn_client *client;
    uint64_t allowed;

    size_t rounds;
    size_t restarts;
    uint64_t reads;         /* answered while the disk was full */
    uint64_t longest_ns;    /* from room to the next acknowledgement */
    uint64_t acked_in_full; /* commits that found pages to use again */
};

/* -- the disk ---------------------------------------------------------------------------------- */

static void fill_disk(struct full *full)
{
    static const char zeros[65536];
    int fd = open(full->ballast, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (size_t size = sizeof(zeros); size >= 1;) {
        ssize_t written = write(fd, zeros, size);
        if (written < 0 && errno != ENOSPC)
            fail_msg("%s: %s", full->ballast, strerror(errno));
        if (written < (ssize_t)size)
            size /= 2;
    }
    close(fd);
}

static void free_disk(struct full *full)
{
    assert_int_equal(unlink(full->ballast), 0);
}

/* -- the daemon -------------------------------------------------------------------------------- */

static void start(struct full *full)
{
    struct stage_daemon options = {.data_dir = full->data_dir,
                                   .more = {STAGE_KEEP_ALL, "--row-interval", "200"}};
    full->daemon = stage_start(full->stage, &options);
}

static bool look_degraded(void *argument)
{
    struct full *full = argument;
    const struct spn_health *health;
    fill_disk(full); /* what a commit gave back to the filesystem, if any */
    full->allowed += AT_ONCE;
    crowd_allow(&full->crowd, full->allowed);
    crowd_check(&full->crowd);
    assert_true(process_runs(full->daemon));
    assert_int_equal(spn_get_health(full->client, WAIT_MS, &health), SPN_OK);
    if (health->status != SPN_DEGRADED)
        return false;
    assert_string_equal(health->reason, "no room left on the disk");
    return true;
}

static void wait_degraded(struct full *full)
{
    if (!until_true(until_in(WAIT_MS), look_degraded, full))
        fail_msg("round %zu: the daemon does not notice a full disk", full->rounds);
}

/* Every session has its last id, and one is read to its end. */
static void read_sessions(struct full *full)
{
    spn_replay *replay;
    const struct spn_event *event;
    const struct spn_last *last;
    char name[CROWD_NAME_SIZE];
    spn_err err;
    uint64_t seq = 0;
    for (uint32_t i = 0; i < plan.sessions; i++) {
        snprintf(name, sizeof(name), "s%u", i);
        assert_int_equal(spn_last_event(full->client, spn_text(name), WAIT_MS, &last), SPN_OK);
        full->reads++;
    }
    assert_int_equal(spn_replay_open(&replay, full->client, spn_text(name),
                                     (struct spn_bytes){NULL, 0}, WAIT_MS),
                     SPN_OK);
    while ((err = spn_replay_next(replay, WAIT_MS, &event)) == SPN_OK)
        assert_int_equal(event->seq, ++seq);
    assert_int_equal(err, SPN_E_END);
    assert_true(seq >= last->seq);
    full->reads++;
    spn_replay_close(replay);
}

/* -- a round ----------------------------------------------------------------------------------- */

struct resume_look {
    struct full *full;
    uint64_t acked;
};

static bool look_resumed(void *argument)
{
    const struct resume_look *look = argument;
    return crowd_acked(&look->full->crowd) > look->acked;
}

static void expect_resume(struct full *full)
{
    struct resume_look look = {full, crowd_acked(&full->crowd)};
    uint64_t freed_ns = until_now_ns();
    free_disk(full);
    if (!until_true(until_in(RESUME_MS), look_resumed, &look))
        fail_msg("round %zu: no acknowledgement %d ms after there was room", full->rounds,
                 RESUME_MS);
    uint64_t took_ns = until_now_ns() - freed_ns;
    if (took_ns > full->longest_ns)
        full->longest_ns = took_ns;
}

static void restart_in_full(struct full *full)
{
    process_kill(full->daemon);
    process_release(full->daemon);
    start(full);
    full->restarts++;
    wait_degraded(full);
}

/* Commits may still find free pages in the file; soon there are none. */
static void expect_stall(struct full *full)
{
    uint64_t acked = crowd_acked(&full->crowd);
    uint64_t due_ns = until_in(WAIT_MS);
    for (;;) {
        until_passed_us((full->rounds % 3 == 2 ? LONG_STALL_MS : STALL_MS) * 1000);
        uint64_t now = crowd_acked(&full->crowd);
        if (now == acked)
            return;
        full->acked_in_full += now - acked;
        acked = now;
        wait_degraded(full);
        assert_false(until_over(due_ns));
    }
}

static void run_round(struct full *full)
{
    full->allowed += BEFORE;
    crowd_allow(&full->crowd, full->allowed);
    uint64_t acked = crowd_acked(&full->crowd);
    crowd_wait_acked(&full->crowd, acked + BEFORE, WAIT_MS);
    fill_disk(full);
    wait_degraded(full);
    if (full->rounds % RESTART_EVERY == 1)
        restart_in_full(full);
    expect_stall(full);
    read_sessions(full);
    expect_resume(full);
    crowd_wait_acked(&full->crowd, full->allowed * MEMBERS, WAIT_MS);
    full->rounds++;
}

static void expect_everything(struct full *full)
{
    struct history *history = crowd_history(&full->crowd);
    int code = dump_into(history, full->data_dir, full->stage->log_path);
    struct history_verdict verdict = history_judge(history);
    assert_int_equal(code, 0);
    history_expect_whole("after all rounds", &verdict);
    print_message("the disk was full %zu times, %zu times a daemon was started on it; %" PRIu64
                  " reads served meanwhile; %" PRIu64 " acknowledged from pages used again; "
                  "resumed within %" PRIu64 " ms; %" PRIu64 " events, %" PRIu64
                  " acknowledged, none lost\n",
                  full->rounds, full->restarts, full->reads, full->acked_in_full,
                  full->longest_ns / 1000000, verdict.stored, verdict.acked);
    assert_int_equal(verdict.stored, verdict.sent);
    assert_int_equal(verdict.acked, verdict.sent);
    assert_true(full->rounds > 0 && full->restarts > 0 && full->reads > 0);
    history_free(history);
}

static void full_disk_loses_nothing(struct stage *stage)
{
    struct full full = {.stage = stage, .data_dir = mounts_tmpfs(stage, "small", DISK_MIB)};
    full.ballast = stage_format(stage, "%s/ballast", full.data_dir);
    start(&full);
    crowd_open(&full.crowd, stage, &plan);
    crowd_allow(&full.crowd, 0);
    crowd_start_all(&full.crowd);
    assert_int_equal(spn_client_open(&full.client, NULL, WAIT_MS, NULL, 0), SPN_OK);
    while (full.rounds < rounds_wanted)
        run_round(&full);
    crowd_stop(&full.crowd);
    spn_client_close(full.client);
    assert_int_equal(stage_stop(full.daemon), 0);
    expect_everything(&full);
    crowd_close(&full.crowd);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {MOUNTS_TEST(full_disk_loses_nothing)};
    const char *why;
    if (!mounts_allowed(MOUNTS_TMPFS, &why)) {
        printf("skipped: %s\n", why);
        return MOUNTS_SKIPPED;
    }
    if (argc > 1 && strcmp(argv[1], "campaign") == 0)
        rounds_wanted = ROUNDS_CAMPAIGN;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
