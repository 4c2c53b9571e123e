/* SPDX-License-Identifier: Apache-2.0 */
/* test_fault_calls: the Nth storage call of a script fails, for every N.
 *
 * The script starts a daemon on an empty directory, publishes 200 events in groups, waits for each
 * group, and stops the daemon; writing the index falls in between. A row says how a call fails. The
 * daemon may live on, having noticed, or end with exit code 1 and a line that says why: then the
 * script starts it again and goes on, with the same client. Nothing that was acknowledged may be
 * missing at any death, and at the end there are 200 events, once and in order.
 *
 * The long version tries every N, the short one every so manieth from a random one on. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "check.h"
#include "dump.h"
#include "rig.h"
#include "sponson.h"

enum {
    EVENTS = 200,
    GROUP = 10,
    STRIDE = 15,
    STARTS_MAX = 8,
    OPEN_MS = 20000,
    LOOK_MS = 20, /* between two looks whether the daemon is alive */
    SCRIPT_MS = 30000,
    NOTICE_MS = 3000,
};

struct row {
    const char *name;
    int error;
    uint64_t count; /* of calls that fail */
    bool late;      /* the call is made all the same */
};

static const struct row rows[] = {
    {"EIO, once", EIO, 1, false},
    {"ENOSPC, once", ENOSPC, 1, false},
    {"ENOSPC, several calls in a row", ENOSPC, 4, false},
    {"EIO, though the call was made", EIO, 1, true},
    {"ENOSPC, though the call was made", ENOSPC, 1, true},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

struct script {
    struct stage *stage;
    const struct row *row;
    struct rig rig;
    const char *data_dir;
    const char *log_path;
    size_t log_read;
    struct process *daemon; /* NULL: none runs */
    spn_client *client;
    spn_producer *producer;
    struct history *history;
    uint64_t first; /* the call that fails */
    uint64_t acked;
    uint64_t due_ns;
    int deaths;
};

/* What became of a row's runs. */
struct tally {
    size_t runs;
    size_t deaths;    /* the daemon ended with a line */
    size_t recovered; /* it went on */
};

static size_t stride = STRIDE;

/* -- deaths ------------------------------------------------------------------------------------ */

static void expect_acked(struct script *script, const char *when)
{
    char what[96];
    history_forget(script->history);
    for (uint64_t number = 1; number <= script->acked; number++)
        history_acked(script->history, 0, number, HISTORY_STORED);
    snprintf(what, sizeof(what), "%s, call %" PRIu64 ", %s", script->row->name, script->first,
             when);
    int code = dump_into(script->history, script->data_dir, script->stage->log_path);
    if (code != 0 && script->acked > 0)
        fail_msg("%s: the dump ends with %d", what, code);
    struct history_verdict verdict = history_judge(script->history);
    history_expect_whole(what, &verdict);
}

/* What daemons have said since the last death. */
static const char *look_at_log(const struct script *script, size_t *ret_size)
{
    struct spn_bytes log = stage_read_file(script->stage, script->log_path);
    const char *news = (const char *)log.data + script->log_read;
    *ret_size = log.size;
    return news;
}

static const char *read_log(struct script *script)
{
    return look_at_log(script, &script->log_read);
}

/* The daemon has ended by itself: only because of the fault, and not without a word. */
static void note_death(struct script *script)
{
    const char *news = read_log(script);
    int code = script->daemon->code;
    bool says_why = strstr(news, "level=error event=storage_failed code=SPN_E_") ||
                    strstr(news, "level=error event=database code=SPN_E_") ||
                    strstr(news, "level=error event=recovery code=SPN_E_") ||
                    strstr(news, "level=error event=start code=SPN_E_");
    if (code != 1 || !says_why || rig_hits(&script->rig) == 0)
        fail_msg("%s, call %" PRIu64 ": exit code %d, %" PRIu64 " faults, and it said: %s",
                 script->row->name, script->first, code, rig_hits(&script->rig), news);
    script->deaths++;
    process_release(script->daemon);
    script->daemon = NULL;
    expect_acked(script, "after a death");
}

static void start(struct script *script)
{
    struct stage_daemon options = {.data_dir = script->data_dir,
                                   .error_path = script->log_path,
                                   .more = {"--row-interval", "15"}};
    rig_under(&script->rig, &options);
    for (int i = 0; i < STARTS_MAX; i++) {
        int ready_fd;
        script->daemon = stage_begin(script->stage, &options, &ready_fd);
        if (stage_is_ready(ready_fd, until_in(OPEN_MS)))
            return;
        assert_int_not_equal(process_wait(script->daemon, until_in(OPEN_MS)), PROCESS_NOT_ENDED);
        note_death(script);
    }
    fail_msg("%s, call %" PRIu64 ": it does not start any more", script->row->name, script->first);
}

static void keep_alive(struct script *script)
{
    if (process_runs(script->daemon))
        return;
    note_death(script);
    start(script);
}

/* -- the script -------------------------------------------------------------------------------- */

static void publish(struct script *script, uint64_t number)
{
    char data[120], id[24];
    struct spn_event event = SPN_EVENT_INIT;
    snprintf(id, sizeof(id), "e%d", (int)number);
    event.id = spn_text(id);
    event.data.data = data;
    event.data.size = history_put_data(data, sizeof(data), 0, number);
    assert_int_equal(
        spn_publish(script->producer, spn_text(number % 2 ? "odd" : "even"), &event, NULL), SPN_OK);
}

static void take_acks(struct script *script, uint64_t up_to)
{
    while (script->acked < up_to) {
        const struct spn_ack *ack;
        spn_err err = spn_producer_next_ack(script->producer, LOOK_MS, &ack);
        if (err == SPN_OK) {
            assert_int_equal(ack->ticket, ++script->acked);
            assert_int_equal(ack->result, SPN_STORED);
            continue;
        }
        assert_int_equal(err, SPN_E_TIMEOUT);
        keep_alive(script);
        if (until_over(script->due_ns))
            fail_msg("%s, call %" PRIu64 ": no acknowledgement of event %" PRIu64,
                     script->row->name, script->first, script->acked + 1);
    }
}

static void open_producer(struct script *script)
{
    char detail[256] = "";
    if (spn_client_open(&script->client, NULL, OPEN_MS, detail, sizeof(detail)) != SPN_OK)
        fail_msg("client: %s", detail);
    spn_err err;
    while ((err = spn_producer_open(&script->producer, script->client, NULL, LOOK_MS)) != SPN_OK) {
        assert_true(err == SPN_E_TIMEOUT || err == SPN_E_UNAVAILABLE);
        keep_alive(script);
        assert_false(until_over(script->due_ns));
    }
}

/* The fault was noticed: the daemon counts it, says so, or has ended. */
static bool look_noticed(void *argument)
{
    struct script *script = argument;
    const struct spn_stat *stats;
    size_t count;
    keep_alive(script);
    if (script->deaths > 0)
        return true;
    /* The commits before the first of the worker's have lines of their own. */
    size_t size;
    const char *log = look_at_log(script, &size);
    if (strstr(log, "event=retention") || strstr(log, "event=clock_note"))
        return true;
    if (spn_get_stats(script->client, LOOK_MS, &stats, &count) != SPN_OK)
        return false; /* it may be about to end */
    for (size_t i = 0; i < count; i++)
        if (strcmp(stats[i].name, "sponson_commit_failures_total") == 0)
            return stats[i].value > 0;
    return false;
}

/* A fault in the index's commits may come after everything is acknowledged. */
static void expect_noticed(struct script *script)
{
    if (rig_hits(&script->rig) > 0 && !until_true(until_in(NOTICE_MS), look_noticed, script))
        fail_msg("%s, call %" PRIu64 ": it went on as if nothing had happened", script->row->name,
                 script->first);
}

/* Its last commits may be what fails. */
static void stop(struct script *script)
{
    process_signal(script->daemon, SIGTERM);
    int code = process_wait(script->daemon, until_in(STAGE_WAIT_MS));
    assert_int_not_equal(code, PROCESS_NOT_ENDED);
    if (code != 0)
        note_death(script);
    else
        process_release(script->daemon);
}

static void tell_sent(struct script *script)
{
    char id[24];
    script->history = history_new(1);
    for (uint64_t number = 1; number <= EVENTS; number++) {
        snprintf(id, sizeof(id), "e%d", (int)number);
        history_sent(script->history, 0, number, number % 2 ? "odd" : "even", id);
    }
}

static void run_script(struct script *script)
{
    start(script);
    open_producer(script);
    for (uint64_t number = 1; number <= EVENTS; number++) {
        publish(script, number);
        if (number % GROUP == 0)
            take_acks(script, number);
    }
    expect_noticed(script);
    assert_int_equal(spn_producer_close(script->producer, 0, NULL), SPN_OK);
    spn_client_close(script->client);
    stop(script);
    expect_acked(script, "at the end");
    assert_int_equal(script->acked, EVENTS);
}

/* False: the script has fewer calls than that. */
static bool run_with_fault(struct stage *stage, const struct row *row, uint64_t first,
                           struct tally *tally)
{
    const struct faults_rule rule = {.action = FAULTS_FAIL,
                                     .kinds = FAULTS_ALL,
                                     .first = first,
                                     .count = row->count,
                                     .error = row->error,
                                     .late = row->late};
    struct script script = {
        .stage = stage,
        .row = row,
        .first = first,
        .data_dir = stage_make_dir(stage, stage_format(stage, "data-%d", (int)first)),
        .log_path = stage_path(stage, stage_format(stage, "log-%d", (int)first)),
        .due_ns = until_in(SCRIPT_MS)};
    rig_open(&script.rig, stage);
    rig_arm(&script.rig, &rule);
    tell_sent(&script);
    run_script(&script);
    bool hit = rig_hits(&script.rig) > 0;
    tally->runs += hit;
    tally->deaths += script.deaths > 0;
    tally->recovered += hit && script.deaths == 0;
    history_free(script.history);
    rig_close(&script.rig);
    return hit;
}

static void every_call_fails(struct stage *stage, const struct row *row)
{
    struct tally tally = {0};
    uint16_t random = 0;
    assert_int_equal(getrandom(&random, sizeof(random), 0), sizeof(random));
    uint64_t first = 1 + random % stride;
    while (run_with_fault(stage, row, first, &tally))
        first += stride;
    print_message("%s: %zu runs, every %zu. call up to %" PRIu64
                  ": %zu ended the daemon, %zu it recovered from\n",
                  row->name, tally.runs, stride, first - stride, tally.deaths, tally.recovered);
    assert_true(tally.runs > 0 && first > EVENTS / GROUP);
}

#define ROW_TEST(number)                                                                           \
    static void row_##number(struct stage *stage)                                                  \
    {                                                                                              \
        every_call_fails(stage, &rows[number]);                                                    \
    }
ROW_TEST(0)
ROW_TEST(1)
ROW_TEST(2)
ROW_TEST(3)
ROW_TEST(4)

int main(int argc, char **argv)
{
    struct CMUnitTest tests[] = {
        STAGE_TEST(row_0), STAGE_TEST(row_1), STAGE_TEST(row_2),
        STAGE_TEST(row_3), STAGE_TEST(row_4),
    };
    static_assert(sizeof(tests) / sizeof(tests[0]) == ROWS, "a test for every row");
    for (size_t i = 0; i < ROWS; i++)
        tests[i].name = rows[i].name;
    if (argc > 1 && strcmp(argv[1], "campaign") == 0)
        stride = 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
