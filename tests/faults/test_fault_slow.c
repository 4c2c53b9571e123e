/* SPDX-License-Identifier: Apache-2.0 */
/* test_fault_slow: a slow disk slows producers, and nothing grows.
 *
 * Every sync takes half a second longer while producers publish as fast as they can. The daemon's
 * own memory stays under the sum of its marks (which is stated below, and printed), publish calls
 * wait up to the send timeout or say SPN_E_BACKPRESSURE, and what was acknowledged is there. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "crowd.h"
#include "dump.h"
#include "index/generation.h"
#include "rig.h"
#include "robust.h"
#include "commit/worker.h"

#define MIB (1024u * 1024u)

enum {
    SECONDS = 5,
    SECONDS_CAMPAIGN = 60,
    SYNC_MS = 500,
    LOOK_US = 5000,
    MEMBERS = 8,
    SESSIONS = 64,
    WINDOW_MIB = 16, /* of each: together far more than all marks */
    INGEST_HWM = 4,  /* see sidecar/daemon/main.c */
    QUEUE_MIB = 8,
    BATCH_MIB = 1,            /* the queue's mark is looked at before a batch is taken */
    TRACKER_BYTES = 2 * 1024, /* of a session with a full window */
    SEND_TIMEOUT_MS = 100,
    LATE_MS = 900, /* that a process may come late on a busy machine */
};

static struct crowd_plan plan = {
    .members = MEMBERS,
    .without_ids = 2,
    .sessions = SESSIONS,
    .event_size = 1000,
    .window_bytes = WINDOW_MIB * MIB,
};

static int seconds = SECONDS;

/* The marks, in bytes. */
struct marks {
    size_t idle;        /* before the first producer */
    size_t queue;       /* --queue-bytes, and the batch that goes over it */
    size_t commit;      /* pages of one transaction: at most half empty */
    size_t generations; /* the active one and the frozen one */
    size_t trackers;
    size_t on_the_way; /* in ZeroMQ's queues: so many batches of each connection */
};

static size_t sum(const struct marks *marks)
{
    return marks->idle + marks->queue + marks->commit + marks->generations + marks->trackers +
           marks->on_the_way;
}

static struct marks state_marks(const struct process *daemon)
{
    return (struct marks){
        .idle = process_anonymous_bytes(daemon),
        .queue = (QUEUE_MIB + BATCH_MIB) * MIB,
        .commit = 2 * (WORKER_COMMIT_BYTES_MAX + BATCH_MIB * MIB),
        .generations = 2 * (GENERATION_ENTRIES_MAX * sizeof(struct generation_entry) +
                            SESSIONS * sizeof(struct generation_session)),
        .trackers = SESSIONS * TRACKER_BYTES,
        .on_the_way = MEMBERS * INGEST_HWM * BATCH_MIB * MIB,
    };
}

static void print_marks(const struct marks *marks, size_t most)
{
    print_message("memory of its own: %zu KiB at most, of %zu KiB: idle %zu, queue %zu, commit "
                  "%zu, generations %zu, trackers %zu, on the way %zu\n",
                  most / 1024, sum(marks) / 1024, marks->idle / 1024, marks->queue / 1024,
                  marks->commit / 1024, marks->generations / 1024, marks->trackers / 1024,
                  marks->on_the_way / 1024);
}

/* Looks on for that long; returns the most memory that was seen. */
static size_t watch(const struct process *daemon, struct crowd *crowd)
{
    uint64_t due_ns = until_now_ns() + (uint64_t)seconds * 1000000000u;
    size_t most = 0;
    while (!until_over(due_ns)) {
        size_t now = process_anonymous_bytes(daemon);
        most = now > most ? now : most;
        crowd_check(crowd);
        until_passed_us(LOOK_US);
    }
    return most;
}

struct member_look {
    const struct crowd_member *member;
};

static bool look_member(void *argument)
{
    const struct member_look *look = argument;
    return atomic_load(&look->member->acked) > 0;
}

static void wait_member(struct crowd *crowd, uint32_t index)
{
    struct member_look look = {&crowd->page->members[index]};
    if (!until_true(until_in(STAGE_WAIT_MS), look_member, &look))
        fail_msg("member %u is not acknowledged anything", index);
}

static void expect_slow_producers(const struct crowd *crowd)
{
    uint64_t longest_ns = 0;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        const struct crowd_member *member = &crowd->page->members[i];
        assert_true(atomic_load(&member->backpressure) > 0);
        assert_true(atomic_load(&member->acked) > 0);
        if (atomic_load(&member->longest_ns) > longest_ns)
            longest_ns = atomic_load(&member->longest_ns);
    }
    print_message("%" PRIu64 " events acknowledged; %" PRIu64 " publish calls ended with "
                  "SPN_E_BACKPRESSURE, the longest call took %" PRIu64 " ms\n",
                  crowd_acked(crowd), crowd_backpressure(crowd), longest_ns / 1000000);
    assert_true(longest_ns / 1000000 >= SEND_TIMEOUT_MS - 10);
    if (!until_sanitized())
        assert_true(longest_ns / 1000000 < SEND_TIMEOUT_MS + (uint64_t)until_patient_ms(LATE_MS));
}

static void expect_everything(struct crowd *crowd)
{
    struct history *history = crowd_history(crowd);
    int code = dump_into(history, crowd->stage->data_dir, crowd->stage->log_path);
    struct history_verdict verdict = history_judge(history);
    assert_int_equal(code, 0);
    history_expect_whole("after the slow disk", &verdict);
    assert_int_equal(verdict.acked, verdict.sent);
    history_free(history);
}

static void run(struct stage *stage, uint64_t delay_ns, const char *what)
{
    const struct faults_rule slow = {.action = FAULTS_DELAY,
                                     .kinds = FAULTS_SYNC,
                                     .first = 1,
                                     .count = FAULTS_FOR_EVER,
                                     .delay_ns = delay_ns};
    struct stage_daemon options = {.more = {"--queue-bytes", "8M"}};
    struct crowd crowd;
    struct rig rig;
    rig_open(&rig, stage);
    rig_under(&rig, &options);
    struct process *daemon = stage_start(stage, &options);
    struct marks marks = state_marks(daemon);
    crowd_open(&crowd, stage, &plan);
    crowd_start_all(&crowd);
    for (uint32_t i = 0; i < MEMBERS; i++) /* an opening needs a commit */
        wait_member(&crowd, i);
    rig_arm(&rig, &slow);
    size_t most = watch(daemon, &crowd);
    print_message("%" PRIu64 " syncs %s\n", rig_hits(&rig), what);
    assert_true(rig_hits(&rig) > 0);
    rig_clear(&rig);
    print_marks(&marks, most);
    expect_slow_producers(&crowd);
    if (!until_sanitized())
        assert_true(most < sum(&marks));
    crowd_stop(&crowd);
    assert_int_equal(stage_stop(daemon), 0);
    expect_everything(&crowd);
    crowd_close(&crowd);
    rig_close(&rig);
}

static void slow_disk_slows_producers(struct stage *stage)
{
    run(stage, SYNC_MS * UINT64_C(1000000), "took half a second longer");
}

/* One sync that does not end while the test looks on: nothing is taken, and nothing grows. */
static void held_disk_stops_producers(struct stage *stage)
{
    run(stage, UINT64_MAX / 4, "did not end");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {STAGE_TEST(slow_disk_slows_producers),
                                       STAGE_TEST(held_disk_stops_producers)};
    if (argc > 1 && strcmp(argv[1], "campaign") == 0)
        seconds = SECONDS_CAMPAIGN;
    if (until_sanitized()) /* members are slower: so that each fills its window */
        plan.window_bytes = MIB;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
