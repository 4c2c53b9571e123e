/* SPDX-License-Identifier: Apache-2.0 */
/* test_group_commit: what durability costs, counted from outside: how many events share an
 * fdatasync, by strace, and how much is written besides the log, by looking into the database. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "event_list.h"
#include "feeder.h"
#include "store/journal.h"
#include "stage.h"

enum {
    PRODUCERS = 32,
    EVENTS_EACH = 400,
    EVENTS_EACH_TRACED = 100, /* on a disk that is slow */
    TRIES = 3,                /* noise of the machine passes, what the daemon does stays */
    EVENTS_PER_SYNC_MIN = 8,
    SYNCS_APART = 8, /* of the start and of the end, which are no commits of the worker */

    SESSIONS = 1000,
    EVENTS_PER_SESSION = 400,
    INDEX_PERCENT_MAX = 10,

    ACK_MS = 60000,
    NAME_SIZE = 64,
};

/* -- events per fdatasync ---------------------------------------------------------------------- */

struct waiter {
    pthread_t thread;
    pthread_barrier_t *open; /* passed twice: when all are open, and when all may begin */
    size_t number;
    size_t events;
    size_t stored;
};

static void publish_one_by_one(struct waiter *waiter, spn_producer *producer, const char *session)
{
    char data[2 * NAME_SIZE];
    for (size_t i = 0; i < waiter->events; i++) {
        struct spn_event event = SPN_EVENT_INIT;
        const struct spn_ack *ack;
        snprintf(data, sizeof(data), "%s says %zu", session, i);
        event.data = spn_text(data);
        spn_err err = spn_publish(producer, spn_text(session), &event, NULL);
        if (err == SPN_OK)
            err = spn_producer_next_ack(producer, ACK_MS, &ack);
        if (err != SPN_OK)
            return;
        waiter->stored += ack->result == SPN_STORED;
    }
}

/* A producer that waits for each acknowledgement before it sends the next event. No cmocka in here:
 * its failures jump, which only the main thread may do. */
static void *run_waiter(void *argument)
{
    struct waiter *waiter = argument;
    spn_client *client = NULL;
    spn_producer *producer = NULL;
    char session[NAME_SIZE];
    snprintf(session, sizeof(session), "waiter-%zu", waiter->number);
    spn_err err = spn_client_open(&client, NULL, ACK_MS, NULL, 0);
    if (err == SPN_OK)
        err = spn_producer_open(&producer, client, NULL, ACK_MS);
    pthread_barrier_wait(waiter->open);
    pthread_barrier_wait(waiter->open);
    if (err == SPN_OK)
        publish_one_by_one(waiter, producer, session);
    err = spn_producer_close(producer, 0, NULL);
    (void)err;
    spn_client_close(client);
    return NULL;
}

static size_t commits_counted(struct stage *stage)
{
    return event_stat(stage, "sponson_commits_total");
}

/* Fails unless all was stored. *ret_before: commits until the first event, of the start and of the
 * producers' openings. */
static size_t publish_with_all(struct stage *stage, size_t events_each, size_t *ret_before)
{
    struct waiter waiters[PRODUCERS];
    pthread_barrier_t open;
    size_t stored = 0;
    pthread_barrier_init(&open, NULL, PRODUCERS + 1);
    for (size_t i = 0; i < PRODUCERS; i++) {
        waiters[i] = (struct waiter){.open = &open, .number = i, .events = events_each};
        assert_int_equal(pthread_create(&waiters[i].thread, NULL, run_waiter, &waiters[i]), 0);
    }
    pthread_barrier_wait(&open);
    *ret_before = commits_counted(stage);
    pthread_barrier_wait(&open);
    for (size_t i = 0; i < PRODUCERS; i++) {
        pthread_join(waiters[i].thread, NULL);
        stored += waiters[i].stored;
    }
    pthread_barrier_destroy(&open);
    assert_int_equal(stored, PRODUCERS * events_each);
    return stored;
}

static size_t count_words(const char *text, const char *word)
{
    size_t count = 0;
    for (; (text = strstr(text, word)); text += strlen(word))
        count++;
    return count;
}

static bool can_trace(struct stage *stage)
{
    const char *const words[] = {"strace", "-f", "-o", "/dev/null", "true", NULL};
    struct process_options options = {.argv = words};
    return process_wait(stage_process(stage, &options), until_in(STAGE_WAIT_MS)) == 0;
}

struct trace {
    struct stage *stage;
    const char *path;
};

/* The tracer is nobody's child here: that the daemon's end is in its file says that it has
 * finished. */
static bool is_complete(void *argument)
{
    const struct trace *trace = argument;
    return strstr(stage_read_file(trace->stage, trace->path).data, "exited with") != NULL;
}

/* LeakSanitizer cannot look at a process that is traced. */
static void leave_leaks_alone(void)
{
    const char *options = getenv("ASAN_OPTIONS");
    char more[512];
    snprintf(more, sizeof(more), "%s:detect_leaks=0", options ? options : "");
    setenv("ASAN_OPTIONS", more, 1);
}

static bool are_shared(const char *how, size_t events, size_t syncs)
{
    print_message("%s: %zu events, %zu syncs: %.1f events for each\n", how, events, syncs,
                  (double)events / (double)syncs);
    assert_true(syncs > 0);
    return events >= syncs * EVENTS_PER_SYNC_MIN;
}

static size_t events_each(size_t plain)
{
    return until_sanitized() ? plain / 4 : plain;
}

/* What strace counted, less what there was before the first event. It also makes each sync take
 * 10 ms, as on a disk that turns: however slow the machine is, the producers are quicker. The
 * daemon's own counter has to agree, so that it can be believed where nobody traces. */
static void producers_share_syncs(struct stage *stage)
{
    if (!can_trace(stage)) {
        print_message("skipped: strace is not here, or may not trace\n");
        skip();
    }
    struct trace trace = {stage, stage_path(stage, "trace")};
    /* -D: the daemon stays our child, and the tracer watches from aside. */
    struct stage_daemon options = {
        .under = {"strace", "-D", "-f", "-o", trace.path, "-e", "trace=fdatasync,fsync,msync", "-e",
                  "inject=fdatasync,fsync,msync:delay_enter=10000"},
        .prepare = leave_leaks_alone,
    };
    struct process *daemon = stage_start(stage, &options);
    size_t before = 0;
    size_t stored = publish_with_all(stage, events_each(EVENTS_EACH_TRACED), &before);
    size_t commits = commits_counted(stage);
    assert_int_equal(stage_stop(daemon), 0);
    assert_true(until_true(until_in(STAGE_WAIT_MS), is_complete, &trace));
    const char *calls = stage_read_file(stage, trace.path).data;
    size_t syncs = count_words(calls, "fdatasync(") + count_words(calls, " fsync(") +
                   count_words(calls, "msync(");
    assert_true(syncs >= commits && syncs <= commits + SYNCS_APART);
    assert_true(are_shared("traced", stored, syncs - before));
}

/* At full speed: a tracer slows the daemon down, and that alone makes groups larger. */
static void producers_share_commits(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    bool shared = false;
    for (int i = 0; i < TRIES && !shared; i++) {
        size_t before = 0;
        size_t stored = publish_with_all(stage, events_each(EVENTS_EACH), &before);
        shared = are_shared("untraced", stored, commits_counted(stage) - before);
    }
    assert_true(shared);
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- written besides the log ------------------------------------------------------------------- */

struct written {
    size_t events;
    size_t blocks;
    size_t rows; /* one for every session in every segment that has it */
    size_t index_entries;
};

static void count_blocks(struct journal_reader *reader, uint64_t epoch, struct written *written)
{
    uint32_t newest = journal_reader_meta(reader)->segment;
    for (uint32_t segment = 1; segment <= newest; segment++) {
        struct record_block block;
        uint64_t seq = 0;
        size_t before = written->blocks;
        while (journal_read_block_from(reader, segment, epoch, seq, &block) == SPN_OK) {
            written->blocks++;
            written->index_entries += block.count;
            seq = block.first_seq + 1;
        }
        written->rows += written->blocks > before;
    }
}

static void count_sessions(struct journal_reader *reader, struct written *written)
{
    char after[256];
    struct spn_bytes name = {NULL, 0};
    uint64_t epoch;
    while (journal_read_name_after(reader, name, &name, &epoch) == SPN_OK) {
        struct record_row row;
        assert_int_equal(journal_read_row(reader, epoch, &row), SPN_OK);
        written->events += row.seq;
        count_blocks(reader, epoch, written);
        memcpy(after, name.data, name.size);
        name.data = after;
    }
}

static struct written look_into(const char *data_dir)
{
    struct written written = {0};
    struct journal *journal;
    struct journal_reader *reader;
    struct journal_options options = {.dir = data_dir, .read_only = true};
    assert_int_equal(journal_open(&journal, &options), SPN_OK);
    assert_int_equal(journal_reader_open(&reader, journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    count_sessions(reader, &written);
    journal_reader_end(reader);
    journal_reader_close(reader);
    journal_close(journal);
    return written;
}

static void index_is_small(struct stage *stage)
{
    char session[NAME_SIZE];
    char id[NAME_SIZE];
    struct feeder feeder;
    size_t each = until_scaled(EVENTS_PER_SESSION);
    struct process *daemon = stage_start(stage, NULL);
    uint64_t begun_ns = until_now_ns();
    feeder_open(&feeder);
    for (size_t i = 0; i < each; i++) {
        snprintf(id, sizeof(id), "%zu", i);
        for (size_t at = 0; at < SESSIONS; at++) {
            snprintf(session, sizeof(session), "session-%zu", at);
            feeder_put(&feeder, session, id, "a few words of a sentence that never ends");
        }
    }
    struct spn_counters done = feeder_settle(&feeder);
    assert_int_equal(done.stored, SESSIONS * each);
    double seconds = (double)(until_now_ns() - begun_ns) / 1e9;
    feeder_close(&feeder);
    assert_int_equal(stage_stop(daemon), 0);

    struct written written = look_into(stage->data_dir);
    double percent = 100.0 * (double)(written.blocks + written.rows) / (double)written.events;
    print_message("%zu events in %.1f s; %zu blocks and %zu rows: %.2f %%\n", written.events,
                  seconds, written.blocks, written.rows, percent);
    assert_int_equal(written.events, SESSIONS * each);
    assert_int_equal(written.index_entries, written.events);
    assert_true(written.rows >= SESSIONS);
    assert_true(percent <= INDEX_PERCENT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(producers_share_syncs),
        STAGE_TEST(producers_share_commits),
        STAGE_TEST(index_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
