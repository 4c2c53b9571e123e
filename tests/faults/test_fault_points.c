/* SPDX-License-Identifier: Apache-2.0 */
/* test_fault_points: the daemon dies at named places, over and over.
 *
 * A row is one of the points of sidecar/base/kill_point.h. Under load, a daemon that was told to
 * dies when it comes by the point for the Nth time, N chosen at random, and another one takes its
 * place. For points of recovery it is a daemon on the disk of one that was killed, or that died at
 * another point. At the end every event is there, once and in order, and the index says the same as
 * the log. Where retention hides the older ones so that there is something to trim, those that it
 * keeps are there, and the last daemon trims on.
 *
 * The two points around a segment that recovery itself writes need more than a generation behind
 * the checkpoint: such a disk is made once, and copied for every kill. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "crowd.h"
#include "dump.h"
#include "event_list.h"
#include "index/generation.h"
#include "sponson.h"

enum {
    KILLS = 3,
    KILLS_SANITIZED = 1, /* what a sanitizer looks for does not take luck */
    KILLS_CAMPAIGN = 100,
    KILLED = 128 + SIGKILL,
    DEATH_MS = 60000,
    ACKED_MIN = 200, /* between two kills */
    HITS_FIRST = 20,
    WAIT_MS = 60000,
    SAMPLE_EVERY = 97,
    TRIMMED_MIN = 5000, /* entries, by the daemon after the last kill */
    LUCK_MAX = 20,      /* daemons for one that dies */
    INDEX_EVERY = 5,    /* tails take seconds to be read by the index: so many are */
    TAIL_EACH = 40000,  /* events of each member, every one of another session */
};

struct row {
    const char *point;
    const char *row_interval;
    uint32_t hits_most; /* it dies at one of the first so many */
    bool in_recovery;
    const char *first; /* where the one before it dies; NULL: anywhere */
    uint32_t retained; /* of each session; 0: all */
};

static const struct row rows[] = {
    {"before_commit", "60000", 30, false, NULL, 0},
    {"after_commit", "60000", 30, false, NULL, 0},
    {"segment_step", "100", 20, false, NULL, 0},
    {"segment_done", "1", 8, false, NULL, 0},
    {"trim_step", "20", 20, false, NULL, 2},
    {"leftovers_step", "100", 1, true, "segment_step", 0},
    {"recovery_tables", "60000", 1, true, NULL, 0},
    {"recovery_part", "60000", 1, true, NULL, 0},
    {"recovery_end", "60000", 1, true, NULL, 0},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Many sessions, so that a segment takes more than one step; some with an event that is retained
 * for ever, so that trimming has something to leave. */
static const struct crowd_plan plan = {
    .members = 4,
    .without_ids = 1,
    .sessions = 20000,
    .lone_every = 64,
    .event_size = 60,
    .window_events = 512,
};

static bool campaign;

struct points {
    struct stage *stage;
    const struct row *row;
    const char *data_dir;
    struct process *daemon;
    struct crowd crowd;
    size_t kills;
    size_t with_in_flight; /* kills that met events in flight */
    size_t spared;         /* daemons that did not come by the point */
};

/* -- daemons ----------------------------------------------------------------------------------- */

static uint32_t choose(uint32_t most)
{
    uint32_t random = 0;
    assert_int_equal(getrandom(&random, sizeof(random), 0), sizeof(random));
    return 1 + random % most;
}

static struct stage_daemon options_of(struct points *points)
{
    const struct row *row = points->row;
    return (struct stage_daemon){
        .data_dir = points->data_dir,
        .more = {"--retention-events", stage_format(points->stage, "%u", row ? row->retained : 0),
                 "--retention-bytes", "0", "--quota", "64G", "--row-interval",
                 row ? row->row_interval : "60000"},
    };
}

/* One that dies there; it may do so before it is ready. */
static struct process *begin_killable(struct points *points, const char *point, uint32_t hit,
                                      int *ret_ready_fd)
{
    struct stage_daemon options = options_of(points);
    options.under[0] = "env";
    options.under[1] = stage_format(points->stage, "SPONSON_KILL_POINT=%s:%u", point, hit);
    setenv("SPONSON_TEST_SPONSOND", POINTS_SPONSOND, 1);
    struct process *daemon = stage_begin(points->stage, &options, ret_ready_fd);
    unsetenv("SPONSON_TEST_SPONSOND");
    return daemon;
}

static struct process *start_plain(struct points *points)
{
    struct stage_daemon options = options_of(points);
    return stage_start(points->stage, &options);
}

static void expect_kill(struct points *points, struct process *daemon, const char *point)
{
    int code = process_wait(daemon, until_in(DEATH_MS));
    if (code != KILLED)
        fail_msg("%s, kill %zu: the daemon ended with %d", point, points->kills, code);
    process_release(daemon);
    points->kills++;
}

/* -- looking ----------------------------------------------------------------------------------- */

/* What the index says of every session, and of some of them all events. retained: as in a row. */
static uint64_t count_by_index(uint32_t retained)
{
    spn_client *client;
    const struct spn_session *session;
    const struct spn_event *event;
    char name[256] = "";
    uint64_t events = 0;
    uint64_t sessions = 0;
    assert_int_equal(spn_client_open(&client, NULL, WAIT_MS, NULL, 0), SPN_OK);
    while (spn_next_session(client, spn_text(name), spn_text(""), WAIT_MS, &session) == SPN_OK) {
        snprintf(name, sizeof(name), "%.*s", (int)session->name.size,
                 (const char *)session->name.data);
        uint64_t last = session->seq;
        uint64_t seq = retained > 0 && last > retained ? last - retained : 0;
        spn_replay *replay;
        events += last;
        if (sessions++ % SAMPLE_EVERY != 0)
            continue;
        assert_int_equal(spn_replay_open(&replay, client, spn_text(name), spn_text(""), WAIT_MS),
                         SPN_OK);
        while (spn_replay_next(replay, WAIT_MS, &event) == SPN_OK)
            assert_int_equal(event->seq, ++seq);
        assert_int_equal(seq, last);
        spn_replay_close(replay);
    }
    spn_client_close(client);
    return events;
}

/* by_index: what the index counts, hidden or not; 0: it was not asked. */
static struct history_verdict expect_whole(struct points *points, struct history *history,
                                           const char *point, uint64_t by_index)
{
    assert_int_equal(stage_stop(points->daemon), 0);
    process_release(points->daemon);
    int code = dump_into(history, points->data_dir, points->stage->log_path);
    struct history_verdict verdict = history_judge(history);
    assert_int_equal(code, 0);
    history_expect_whole(point, &verdict);
    if (by_index > 0)
        assert_int_equal(by_index,
                         points->row && points->row->retained > 0 ? verdict.sent : verdict.stored);
    return verdict;
}

/* -- under load -------------------------------------------------------------------------------- */

static void note_in_flight(struct points *points)
{
    points->with_in_flight += crowd_taken(&points->crowd) > crowd_acked(&points->crowd);
}

static void kill_under_load(struct points *points)
{
    const struct row *row = points->row;
    int ready_fd;
    struct process *daemon = begin_killable(points, row->point, choose(row->hits_most), &ready_fd);
    expect_kill(points, daemon, row->point);
    note_in_flight(points);
}

static void live_and_die(struct points *points)
{
    const struct row *row = points->row;
    if (row->first) {
        /* Where it was too early for what the next one needs, it was so for how slow all is. */
        uint32_t most = HITS_FIRST * (1 + (uint32_t)points->spared);
        struct process *daemon = begin_killable(points, row->first, choose(most), NULL);
        assert_int_equal(process_wait(daemon, until_in(DEATH_MS)), KILLED);
        process_release(daemon);
        return;
    }
    uint64_t acked = crowd_acked(&points->crowd);
    struct process *daemon = start_plain(points);
    crowd_wait_acked(&points->crowd, acked + ACKED_MIN, WAIT_MS);
    process_kill(daemon);
    process_release(daemon);
}

/* A life under load, then one that dies while it recovers: if the first has left what takes it by
 * the point. */
static void kill_in_recovery(struct points *points)
{
    const struct row *row = points->row;
    int ready_fd;
    live_and_die(points);
    struct process *daemon = begin_killable(points, row->point, choose(row->hits_most), &ready_fd);
    if (stage_is_ready(ready_fd, until_in(DEATH_MS))) {
        process_kill(daemon);
        process_release(daemon);
        points->spared++;
        return;
    }
    expect_kill(points, daemon, row->point);
    note_in_flight(points);
}

static bool look_trimmed(void *argument)
{
    struct outcome stats = stage_run(argument, "stats", "--json");
    return event_json_number(stats.out, "sponson_entries_trimmed_total") >= TRIMMED_MIN;
}

/* While they publish on. */
static void expect_trimming(struct points *points)
{
    if (points->row->retained > 0 && !until_true(until_in(WAIT_MS), look_trimmed, points->stage))
        fail_msg("%s: nothing is trimmed any more", points->row->point);
}

static void run_row(struct stage *stage, const struct row *row)
{
    struct points points = {.stage = stage, .row = row, .data_dir = stage->data_dir};
    crowd_open(&points.crowd, stage, &plan);
    crowd_start_all(&points.crowd);
    size_t few = until_sanitized() ? KILLS_SANITIZED : KILLS;
    size_t wanted = campaign ? KILLS_CAMPAIGN : few;
    while (points.kills < wanted || (points.with_in_flight == 0 && points.kills < LUCK_MAX)) {
        if (row->in_recovery)
            kill_in_recovery(&points);
        else
            kill_under_load(&points);
        crowd_check(&points.crowd);
        if (points.spared > LUCK_MAX * wanted)
            fail_msg("%s: %zu daemons did not come by", row->point, points.spared);
    }
    points.daemon = start_plain(&points);
    expect_trimming(&points);
    crowd_stop(&points.crowd);
    struct history *history = crowd_history(&points.crowd);
    history_retains(history, row->retained);
    struct history_verdict verdict =
        expect_whole(&points, history, row->point, count_by_index(row->retained));
    print_message("%s: %zu kills, %zu with events in flight, %zu daemons spared; %" PRIu64
                  " events, %" PRIu64 " acknowledged, %" PRIu64 " retained, none lost\n",
                  row->point, points.kills, points.with_in_flight, points.spared, verdict.sent,
                  verdict.acked, verdict.stored);
    assert_int_equal(verdict.acked, verdict.sent);
    assert_true(points.kills >= wanted);
    assert_true(points.with_in_flight > 0);
    history_free(history);
    crowd_close(&points.crowd);
}

/* -- more than a generation to recover --------------------------------------------------------- */

static const struct crowd_plan tail_plan = {
    .members = 4,
    .without_ids = 1,
    .sessions = 5 * TAIL_EACH,
    .event_size = 40,
};

static void make_tail(struct points *points)
{
    struct stage_daemon options = {.data_dir = points->data_dir,
                                   .more = {STAGE_KEEP_ALL, "--row-interval", "86400000"}};
    crowd_open(&points->crowd, points->stage, &tail_plan);
    crowd_allow(&points->crowd, TAIL_EACH);
    struct process *daemon = stage_start(points->stage, &options);
    crowd_start_all(&points->crowd);
    crowd_wait_acked(&points->crowd, TAIL_EACH * (uint64_t)tail_plan.members, WAIT_MS);
    process_kill(daemon);
    process_release(daemon);
    for (uint32_t i = 0; i < tail_plan.members; i++)
        crowd_kill(&points->crowd, i);
}

static void copy_database(const char *from_dir, const char *to_dir, struct stage *stage)
{
    const char *from_path = stage_format(stage, "%s/data.mdb", from_dir);
    const char *to_path = stage_format(stage, "%s/data.mdb", to_dir);
    struct stat status = {.st_size = 0};
    int from = open(from_path, O_RDONLY | O_CLOEXEC);
    int to = open(to_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(from >= 0 && to >= 0 && fstat(from, &status) == 0);
    for (off_t left = status.st_size; left > 0;) {
        ssize_t size = sendfile(to, from, NULL, (size_t)left);
        assert_true(size > 0);
        left -= size;
    }
    close(from);
    close(to);
}

/* Dies around the commit of the segment; then it starts, and everything is there. */
static void kill_around_segment(struct points *points, const char *point, const char *tail_dir)
{
    int ready_fd;
    struct history *history = crowd_history(&points->crowd);
    copy_database(tail_dir, points->data_dir, points->stage);
    struct process *daemon = begin_killable(points, point, 1, &ready_fd);
    expect_kill(points, daemon, point);
    assert_false(stage_is_ready(ready_fd, 0));
    points->daemon = start_plain(points);
    uint64_t by_index = points->kills % INDEX_EVERY == 1 ? count_by_index(0) : 0;
    struct history_verdict verdict = expect_whole(points, history, point, by_index);
    assert_int_equal(verdict.stored, verdict.sent);
    assert_true(verdict.stored > GENERATION_SESSIONS_MAX);
    history_free(history);
}

static void recovery_dies_around_its_own_segment(struct stage *stage)
{
    static const char *const names[] = {"recovery_segment", "recovery_committed"};
    struct points points = {.stage = stage, .data_dir = stage->data_dir};
    size_t wanted = campaign ? KILLS_CAMPAIGN : 1;
    make_tail(&points);
    points.data_dir = stage_make_dir(stage, "copy");
    for (size_t i = 0; i < 2; i++) {
        size_t before = points.kills;
        while (points.kills < before + wanted)
            kill_around_segment(&points, names[i], stage->data_dir);
        print_message("%s: %zu kills with %d sessions to recover, none lost\n", names[i],
                      points.kills - before, TAIL_EACH * (int)tail_plan.members);
        assert_int_equal(points.kills - before, wanted);
    }
    crowd_close(&points.crowd);
}

#define ROW_TEST(number)                                                                           \
    static void row_##number(struct stage *stage)                                                  \
    {                                                                                              \
        run_row(stage, &rows[number]);                                                             \
    }
ROW_TEST(0)
ROW_TEST(1)
ROW_TEST(2)
ROW_TEST(3)
ROW_TEST(4)
ROW_TEST(5)
ROW_TEST(6)
ROW_TEST(7)
ROW_TEST(8)

int main(int argc, char **argv)
{
    struct CMUnitTest tests[] = {
        STAGE_TEST(row_0), STAGE_TEST(row_1),
        STAGE_TEST(row_2), STAGE_TEST(row_3),
        STAGE_TEST(row_4), STAGE_TEST(row_5),
        STAGE_TEST(row_6), STAGE_TEST(row_7),
        STAGE_TEST(row_8), STAGE_TEST(recovery_dies_around_its_own_segment),
    };
    static_assert(sizeof(tests) / sizeof(tests[0]) == ROWS + 1, "a test for every row");
    for (size_t i = 0; i < ROWS; i++)
        tests[i].name = rows[i].point;
    campaign = argc > 1 && strcmp(argv[1], "campaign") == 0;
    if (argc > 2)
        cmocka_set_test_filter(argv[2]); /* one point */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
