/* SPDX-License-Identifier: Apache-2.0 */
/* test_worker: what the worker commits, when, and what it does when it cannot.
 *
 * The clock is the test's and the worker's sleep too: in place of ppoll it says how long it wants
 * to sleep and waits for the test, so that nothing depends on how fast anything runs. Faults are
 * put in place of the journal's begin and commit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "log_rig.h"
#include "state/producers.h"
#include "commit/worker.h"
#include "mail/batch.h"
#include "mail/settings.h"
#include "mail/mail.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MS 1000000ull
#define NEVER UINT64_MAX

enum {
    FLUSH_MS = 100,
    READ_AGAIN_MS = 100,
    ROUND_FIRST_MS = 1000,  /* after the start all segments are looked at ... */
    ROUND_AFTER_MS = 60000, /* ... and so long after one was written */
    PATIENCE_S = 20,
    BATCHES_MAX = 64,
    SESSIONS = 70,
    FRAME_SIZE = 64
};

/* -- time and sleep ---------------------------------------------------------------------------- */

static atomic_uint_fast64_t now_ns;
static atomic_uint_fast64_t tick_ns;   /* passes with every look at the clock */
static atomic_uint_fast64_t commit_ns; /* passes while a commit runs */
static atomic_uint_fast64_t sleep_ns;  /* how long the worker wants to sleep; NEVER: until woken */
static atomic_bool free_running;       /* its sleep lets the time pass, and nobody waits */
static sem_t asleep;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static uint64_t fake_monotonic_ns(void)
{
    return atomic_fetch_add(&now_ns, atomic_load(&tick_ns));
}

static uint64_t fake_wall_ms(void)
{
    return 1767225600000;
}

static const struct clock fake_clock = {
    .monotonic_ns = fake_monotonic_ns, .boot_ns = fake_monotonic_ns, .wall_ms = fake_wall_ms};

int __real_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask);
int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask);

int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask)
{
    static const struct timespec at_once = {0};
    uint64_t wanted_ns =
        timeout ? (uint64_t)timeout->tv_sec * 1000 * MS + (uint64_t)timeout->tv_nsec : NEVER;
    if (atomic_load(&free_running) && timeout) {
        int ready = __real_ppoll(fds, count, &at_once, mask);
        if (ready == 0)
            atomic_fetch_add(&now_ns, wanted_ns);
        return ready;
    }
    atomic_store(&sleep_ns, wanted_ns);
    sem_post(&asleep);
    int ready = __real_ppoll(fds, count, NULL, mask);
    pthread_mutex_lock(&gate); /* until the test has given all it wants to give */
    pthread_mutex_unlock(&gate);
    return ready;
}

static void wait_until_asleep(void)
{
    struct timespec patience;
    clock_gettime(CLOCK_REALTIME, &patience);
    patience.tv_sec += PATIENCE_S;
    assert_int_equal(sem_timedwait(&asleep, &patience), 0);
}

/* -- faults ------------------------------------------------------------------------------------ */

static atomic_uint begins;          /* attempts so far */
static atomic_uint commits;         /* that succeeded */
static atomic_uint fail_from;       /* the attempt from which on they fail, counted from 1 */
static atomic_uint fail_count;      /* how many of them */
static atomic_uint fail_err;        /* spn_err */
static atomic_bool fail_in_commit;  /* and not in begin */
static atomic_uint checked_readers; /* how often */
static atomic_uint trimmed_beside;  /* commits while a segment was written and trimming went on */

static bool should_fail(unsigned attempt)
{
    unsigned from = atomic_load(&fail_from);
    return from > 0 && attempt >= from && attempt - from < atomic_load(&fail_count);
}

static void note_turns(void);

spn_err __real_journal_begin(struct journal *journal);
spn_err __wrap_journal_begin(struct journal *journal);
spn_err __real_journal_commit(struct journal *journal);
spn_err __wrap_journal_commit(struct journal *journal);
void __real_journal_check_readers(struct journal *journal);
void __wrap_journal_check_readers(struct journal *journal);

spn_err __wrap_journal_begin(struct journal *journal)
{
    unsigned attempt = atomic_fetch_add(&begins, 1) + 1;
    if (should_fail(attempt) && !atomic_load(&fail_in_commit))
        return (spn_err)atomic_load(&fail_err);
    return __real_journal_begin(journal);
}

spn_err __wrap_journal_commit(struct journal *journal)
{
    atomic_fetch_add(&now_ns, atomic_load(&commit_ns));
    if (should_fail(atomic_load(&begins)) && atomic_load(&fail_in_commit)) {
        journal_abort(journal);
        return (spn_err)atomic_load(&fail_err);
    }
    spn_err err = __real_journal_commit(journal);
    atomic_fetch_add(&commits, err == SPN_OK);
    note_turns();
    return err;
}

void __wrap_journal_check_readers(struct journal *journal)
{
    atomic_fetch_add(&checked_readers, 1);
    __real_journal_check_readers(journal);
}

static atomic_bool no_memory; /* for what reads beside the commits */
static atomic_uint refused;   /* how often it was refused */

spn_err __real_journal_reader_begin(struct journal_reader *reader);
spn_err __wrap_journal_reader_begin(struct journal_reader *reader);

spn_err __wrap_journal_reader_begin(struct journal_reader *reader)
{
    if (!atomic_load(&no_memory))
        return __real_journal_reader_begin(reader);
    atomic_fetch_add(&refused, 1);
    return SPN_E_NOMEM;
}

static void fail_next(unsigned count, spn_err err)
{
    atomic_store(&fail_err, (unsigned)err);
    atomic_store(&fail_count, count);
    atomic_store(&fail_from, atomic_load(&begins) + 1);
}

/* -- the worker -------------------------------------------------------------------------------- */

static struct rig rig;
static struct metrics metrics;
static struct mailbox to_worker;
static struct mailbox to_broker;
static struct worker worker;
static bool running;

static struct producer producers[3];
static struct batch *batches[BATCHES_MAX]; /* in the order in which they were made */
static size_t batch_count;
static uint64_t next_position;
static uint64_t quota_bytes;
static uint64_t session_ttl_ns;

static void note_turns(void)
{
    if (worker.segment && metrics_get(&metrics.trimmed) > 0)
        atomic_fetch_add(&trimmed_beside, 1);
}

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig, SESSIONS, 16);
    memset(&metrics, 0, sizeof(metrics));
    memset(producers, 0, sizeof(producers));
    batch_count = 0;
    next_position = 1;
    quota_bytes = UINT64_MAX;
    session_ttl_ns = 0;
    atomic_store(&now_ns, 1000 * MS);
    atomic_store(&tick_ns, 0);
    atomic_store(&commit_ns, 0);
    atomic_store(&free_running, false);
    atomic_store(&fail_from, 0);
    atomic_store(&fail_in_commit, false);
    atomic_store(&trimmed_beside, 0);
    atomic_store(&no_memory, false);
    atomic_store(&refused, 0);
    if (sem_init(&asleep, 0, 0) != 0 || mailbox_init(&to_worker) != SPN_OK)
        return -1;
    return mailbox_init(&to_broker) == SPN_OK ? 0 : -1;
}

static void begin(void)
{
    const struct worker_options options = {.flush_interval_ns = FLUSH_MS * MS,
                                           .journal = rig.journal,
                                           .clock = &fake_clock,
                                           .metrics = &metrics,
                                           .mailbox = &to_worker,
                                           .broker = &to_broker,
                                           .durable = next_position - 1,
                                           .quota_bytes = quota_bytes,
                                           .session_ttl_ns = session_ttl_ns};
    atomic_store(&begins, 0);
    atomic_store(&commits, 0);
    atomic_store(&checked_readers, 0);
    assert_int_equal(worker_start(&worker, &options), SPN_OK);
    running = true;
    wait_until_asleep();
}

static void give(struct message *const *works, size_t count)
{
    pthread_mutex_lock(&gate);
    for (size_t i = 0; i < count; i++)
        mailbox_put(&to_worker, works[i]);
    if (count == 0)
        mailbox_nudge(&to_worker);
    pthread_mutex_unlock(&gate);
}

/* Gives it all at once, and waits until there is nothing left to do but sleep. */
static void submit(struct message *const *works, size_t count)
{
    give(works, count);
    wait_until_asleep();
}

static void submit_one(struct message *work)
{
    submit(&work, 1);
}

static void pass_time(uint64_t ns)
{
    atomic_fetch_add(&now_ns, ns);
    submit(NULL, 0);
}

/* Begun, and past the first round of trimming, which finds nothing to do. */
static void start(void)
{
    begin();
    if (!atomic_load(&free_running)) {
        assert_in_range(atomic_load(&sleep_ns), ROUND_FIRST_MS * MS - 8 * atomic_load(&tick_ns),
                        ROUND_FIRST_MS * MS);
        pass_time(atomic_load(&sleep_ns));
    }
    assert_int_equal(atomic_load(&sleep_ns), NEVER);
    assert_int_equal(atomic_load(&begins), 0);
}

static struct message *take_back(void)
{
    static struct message *taken;
    if (!taken)
        taken = mailbox_take(&to_broker);
    struct message *first = taken;
    if (first)
        taken = first->next;
    return (struct message *)first;
}

static void stop(void)
{
    struct message order = {.kind = MESSAGE_STOP};
    if (!running)
        return;
    struct message *works[] = {&order};
    give(works, 1);
    worker_join(&worker);
    running = false;
    struct message *last = NULL;
    for (struct message *work = take_back(); work; work = take_back())
        last = work;
    assert_ptr_equal(last, &order);
}

/* It ended by itself: what it had in its hands is the test's again. */
static void join_failed(spn_err err)
{
    worker_join(&worker);
    running = false;
    assert_int_equal(atomic_load(&worker.state.fatal), err);
    assert_int_equal(atomic_load(&worker.state.trouble), err);
}

static int tear_down(void **state)
{
    (void)state;
    atomic_store(&fail_from, 0);
    atomic_store(&free_running, true);
    if (running)
        stop();
    for (struct message *work = take_back(); work; work = take_back())
        if (work->kind == MESSAGE_IDLE)
            free(work);
    for (size_t i = 0; i < batch_count; i++) {
        (void)zmq_msg_close(&batches[i]->frame);
        free(batches[i]);
    }
    mailbox_release(&to_worker);
    mailbox_release(&to_broker);
    sem_destroy(&asleep);
    rig_release(&rig);
    return 0;
}

/* -- batches ----------------------------------------------------------------------------------- */

/* `events` events of one session, each with its own data in one frame; the session is the first
 * position there is. */
static struct message *make_batch(size_t producer, uint32_t events, bool waits)
{
    struct batch *batch = calloc(1, sizeof(*batch) + events * sizeof(batch->entries[0]));
    assert_non_null(batch);
    assert_true(batch_count < BATCHES_MAX);
    batches[batch_count++] = batch;
    assert_int_equal(zmq_msg_init_size(&batch->frame, FRAME_SIZE * (events + 1)), 0);
    batch->message.kind = MESSAGE_BATCH;
    batch->bytes = zmq_msg_size(&batch->frame);
    batch->number_count = events;
    batch->waits = waits;
    batch->producer = &producers[producer];
    memset(batch->producer_id, 'p', sizeof(batch->producer_id));
    batch->producer_id[0] = (uint8_t)('0' + producer);
    producers[producer].accepted += events;
    batch->record = (struct record_producer){
        .token = 100 + producer, .number = producers[producer].accepted, .base = 1};
    batch->first_position = events > 0 ? next_position : 0;
    batch->time_ns = 7;
    batch->wall_ms = 8;
    batch->entry_count = events;
    for (uint32_t i = 0; i < events; i++) {
        char *at = (char *)zmq_msg_data(&batch->frame) + (size_t)FRAME_SIZE * i;
        int size = snprintf(at, FRAME_SIZE, "iddelta%llu", (unsigned long long)next_position);
        batch->entries[i] = (struct batch_entry){
            .epoch = 1,
            .seq = next_position,
            .bytes = next_position * 10,
            .data_hash = record_hash((struct spn_bytes){at + 7, (size_t)size - 7}),
            .offset = FRAME_SIZE * i,
            .data_size = (uint32_t)size - 7,
            .retry_ms = 9,
            .id_size = 2,
            .type_size = 5,
            .kind = RECORD_EVENT,
        };
        next_position++;
    }
    return &batch->message;
}

static void check_entry(struct journal_reader *reader, uint64_t position)
{
    struct record_entry entry;
    char data[FRAME_SIZE];
    int size = snprintf(data, sizeof(data), "%llu", (unsigned long long)position);
    assert_int_equal(journal_read_entry(reader, position, &entry), SPN_OK);
    assert_int_equal(entry.kind, RECORD_EVENT);
    assert_int_equal(entry.epoch, 1);
    assert_int_equal(entry.seq, position);
    assert_int_equal(entry.bytes, position * 10);
    assert_int_equal(entry.time_ns, 7);
    assert_int_equal(entry.wall_ms, 8);
    assert_int_equal(entry.retry_ms, 9);
    assert_int_equal(entry.id.size, 2);
    assert_memory_equal(entry.id.data, "id", 2);
    assert_int_equal(entry.type.size, 5);
    assert_memory_equal(entry.type.data, "delta", 5);
    assert_int_equal(entry.data.size, size);
    assert_memory_equal(entry.data.data, data, entry.data.size);
}

/* The log, the producers' table and the mark say that everything up to `last` is on disk. */
static void check_disk(uint64_t last)
{
    struct journal_reader *reader;
    static struct record_run runs[RECORD_RUNS_MAX];
    uint64_t numbers[COUNT(producers)] = {0};
    assert_int_equal(atomic_load(&worker.state.durable), last);
    assert_int_equal(metrics_get(&metrics.durable_position), last);
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    assert_int_equal(journal_reader_newest(reader), last);
    for (uint64_t position = 1; position <= last; position++)
        check_entry(reader, position);
    for (size_t i = 0;
         i < batch_count && batches[i]->first_position + batches[i]->entry_count <= last + 1; i++)
        numbers[batches[i]->producer - producers] = batches[i]->record.number;
    uint8_t id[RECORD_PRODUCER_ID_SIZE] = {0};
    struct record_producer record;
    for (bool first = true; journal_read_producer_after(reader, first, id, runs, &record) == SPN_OK;
         first = false)
        assert_int_equal(record.number, numbers[id[0] - '0']);
    journal_reader_close(reader);
}

static void expect_back(size_t first, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_ptr_equal(take_back(), &batches[first + i]->message);
    assert_null(take_back());
}

/* The rig's log is on disk already; its generation is for the worker. */
static void fill_generation(void)
{
    for (uint32_t i = 0; i < SESSIONS; i++)
        rig_events(&rig, i, 1 + i % 5);
    rig_events(&rig, 3, 3000);
    rig_commit(&rig);
    rig_freeze(&rig);
    rig.frozen->message.kind = MESSAGE_GENERATION;
    next_position = rig.next_position;
}

static uint64_t oldest_entry(void)
{
    uint64_t position = 0;
    assert_int_equal(__real_journal_begin(rig.journal), SPN_OK); /* the worker sleeps */
    spn_err err = journal_oldest_entry(rig.journal, &position);
    journal_abort(rig.journal);
    assert_true(err == SPN_OK || err == SPN_E_END);
    return position;
}

static uint64_t count_entries(void)
{
    struct journal_reader *reader;
    struct record_entry entry;
    uint64_t count = 0;
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    for (uint64_t at = 0; journal_read_entry_from(reader, at, &at, &entry) == SPN_OK; at++)
        count++;
    journal_reader_close(reader);
    return count;
}

/* -- committing -------------------------------------------------------------------------------- */

/* What is pending when the worker wakes goes into one commit, and comes back in order. */
static void one_commit_for_all(void **state)
{
    (void)state;
    start();
    struct message *works[] = {make_batch(0, 3, true), make_batch(1, 1, true),
                               make_batch(0, 2, false), make_batch(2, 4, true),
                               make_batch(2, 1, true)};
    submit(works, COUNT(works));
    assert_int_equal(atomic_load(&commits), 1);
    assert_int_equal(metrics_get(&metrics.commits), 1);
    assert_int_equal(atomic_load(&sleep_ns), NEVER);
    check_disk(11);
    expect_back(0, 5);
    submit_one(make_batch(1, 2, true));
    assert_int_equal(atomic_load(&commits), 2);
    check_disk(13);
    expect_back(5, 1);
}

/* A batch without events writes the producer's record, and leaves the mark where it is. */
static void a_record_only(void **state)
{
    (void)state;
    start();
    submit_one(make_batch(0, 2, true));
    producers[1].accepted = 50;
    submit_one(make_batch(1, 0, true));
    assert_int_equal(atomic_load(&commits), 2);
    check_disk(2);
    expect_back(0, 2);
}

/* The last record of a producer in a commit is what is on disk, whatever comes between. */
static void more_than_one_commit_holds(void **state)
{
    (void)state;
    static const struct {
        size_t sizes[6]; /* MiB */
        unsigned commits;
    } rows[] = {
        {{1, 1, 1, 1, 1, 1}, 1}, {{3, 3, 3, 3, 3, 3}, 2}, {{8, 1, 1, 1, 1, 1}, 2},
        {{7, 1, 7, 1, 7, 1}, 3}, {{9, 9, 9, 9, 9, 9}, 6}, {{1, 1, 1, 1, 1, 9}, 1},
    };
    start();
    for (size_t r = 0; r < COUNT(rows); r++) {
        struct message *works[6];
        unsigned before = atomic_load(&commits);
        for (size_t i = 0; i < 6; i++) {
            works[i] = make_batch(i % 2, 1, true);
            ((struct batch *)works[i])->bytes = rows[r].sizes[i] << 20; /* as if it were */
        }
        submit(works, 6);
        assert_int_equal(atomic_load(&commits) - before, rows[r].commits);
        check_disk(6 * (r + 1));
        expect_back(6 * r, 6);
    }
}

/* -- the flush interval ------------------------------------------------------------------------ */

static void nobody_waits(void **state)
{
    (void)state;
    start();
    submit_one(make_batch(0, 1, false));
    assert_int_equal(atomic_load(&sleep_ns), FLUSH_MS * MS);
    pass_time(60 * MS);
    assert_int_equal(atomic_load(&sleep_ns), 40 * MS);
    submit_one(make_batch(1, 1, false)); /* does not put it off */
    assert_int_equal(atomic_load(&sleep_ns), 40 * MS);
    pass_time(40 * MS - 1);
    assert_int_equal(atomic_load(&sleep_ns), 1);
    assert_int_equal(atomic_load(&begins), 0);
    assert_null(take_back());
    check_disk(0);
    pass_time(1);
    assert_int_equal(atomic_load(&commits), 1);
    assert_int_equal(atomic_load(&sleep_ns), NEVER);
    check_disk(2);
    expect_back(0, 2);
    submit_one(make_batch(0, 1, false)); /* the interval begins anew */
    assert_int_equal(atomic_load(&sleep_ns), FLUSH_MS * MS);
    assert_int_equal(atomic_load(&commits), 1);
}

static void somebody_waits_after_all(void **state)
{
    (void)state;
    start();
    submit_one(make_batch(0, 1, false));
    submit_one(make_batch(0, 1, true));
    assert_int_equal(atomic_load(&commits), 1);
    assert_int_equal(atomic_load(&sleep_ns), NEVER);
    check_disk(2);
    expect_back(0, 2);
    submit_one(make_batch(0, 1, false)); /* who waited is not waiting any more */
    assert_int_equal(atomic_load(&commits), 1);
    pass_time(FLUSH_MS * MS);
    assert_int_equal(atomic_load(&commits), 2);
    expect_back(2, 1);
}

static void too_much_to_hold(void **state)
{
    (void)state;
    start();
    struct message *work = make_batch(0, 1, false);
    ((struct batch *)work)->bytes = WORKER_COMMIT_BYTES_MAX - 1;
    submit_one(work);
    assert_int_equal(atomic_load(&commits), 0);
    submit_one(make_batch(0, 1, false));
    assert_int_equal(atomic_load(&commits), 1);
    expect_back(0, 2);
    submit_one(make_batch(0, 1, false)); /* what came back does not count any more */
    assert_int_equal(atomic_load(&commits), 1);
}

/* -- gathering --------------------------------------------------------------------------------- */

/* Producers that were answered together and have nothing else under way are waited for, as long
 * as a commit takes on the mean, 2 ms at most, and no longer. */
static void gathers(void **state)
{
    (void)state;
    static const struct {
        uint64_t commit_ms;
        uint64_t wait_ms;
    } rows[] = {{8, 1}, {80, 2}};
    for (size_t r = 0; r < COUNT(rows); r++) {
        atomic_store(&commit_ns, rows[r].commit_ms * MS);
        start();
        struct message *both[] = {make_batch(0, 1, true), make_batch(1, 1, true)};
        ((struct batch *)both[0])->alone = ((struct batch *)both[1])->alone = true;
        submit(both, 2);
        assert_int_equal(atomic_load(&commits), 1);
        struct message *next = make_batch(0, 1, true);
        ((struct batch *)next)->alone = true;
        submit_one(next);
        assert_int_equal(atomic_load(&commits), 1);
        assert_int_equal(atomic_load(&sleep_ns), rows[r].wait_ms * MS);
        submit_one(make_batch(1, 1, true));
        assert_int_equal(atomic_load(&commits), 2);
        assert_int_equal(atomic_load(&sleep_ns), NEVER);
        expect_back(5 * r, 4);
        submit_one(make_batch(0, 1, true)); /* the other one does not come */
        assert_int_equal(atomic_load(&commits), 2);
        pass_time(atomic_load(&sleep_ns));
        assert_int_equal(atomic_load(&commits), 3);
        expect_back(5 * r + 4, 1);
        stop();
    }
}

/* -- when it cannot ---------------------------------------------------------------------------- */

/* No room: tried again after 10 ms, 20, 40 ... 500, each less up to a quarter; what comes meanwhile
 * waits too; then it goes on as if nothing had been. */
static void no_room(void **state)
{
    (void)state;
    static const uint64_t longest_ms[] = {10, 20, 40, 80, 160, 320, 500, 500, 500, 500};
    start();
    for (int round = 0; round < 2; round++) {
        unsigned failures = COUNT(longest_ms);
        unsigned before = atomic_load(&begins);
        uint64_t durable = atomic_load(&worker.state.durable);
        atomic_store(&fail_in_commit, round == 1);
        fail_next(failures, round == 0 ? SPN_E_DISK_FULL : SPN_E_NOMEM);
        submit_one(make_batch(0, 1, true));
        for (unsigned i = 0; i < failures; i++) {
            assert_int_equal(atomic_load(&begins) - before, i + 1);
            assert_int_equal(atomic_load(&worker.state.trouble), atomic_load(&fail_err));
            assert_int_equal(atomic_load(&worker.state.durable), durable);
            assert_in_range(atomic_load(&sleep_ns), longest_ms[i] * MS * 3 / 4, longest_ms[i] * MS);
            if (i % 3 == 0)
                submit_one(make_batch(1, 1, true)); /* does not hurry it */
            assert_int_equal(atomic_load(&begins) - before, i + 1);
            pass_time(atomic_load(&sleep_ns));
        }
        assert_int_equal(atomic_load(&worker.state.trouble), SPN_OK);
        assert_int_equal(atomic_load(&worker.state.fatal), SPN_OK);
        assert_int_equal(atomic_load(&sleep_ns), NEVER);
        check_disk(5u * (unsigned)(round + 1));
        expect_back(5u * (unsigned)round, 5);
    }
    assert_int_equal(metrics_get(&metrics.commit_failures), 2 * COUNT(longest_ms));
    assert_int_equal(metrics_get(&metrics.commit_retries), 2 * COUNT(longest_ms));
    assert_int_equal(metrics_get(&metrics.commits), 2);
}

/* Sleeps of the same length would make many sidecars on one disk come back at once. */
static void retries_are_spread(void **state)
{
    (void)state;
    uint64_t first = 0;
    bool differ = false;
    for (uint64_t i = 0; i < 4; i++) {
        atomic_store(&now_ns, 1000 * MS + i * 12345);
        start();
        fail_next(1, SPN_E_DISK_FULL);
        submit_one(make_batch(0, 1, true));
        differ = differ || (first > 0 && first != atomic_load(&sleep_ns));
        first = atomic_load(&sleep_ns);
        pass_time(first);
        expect_back(i, 1);
        stop();
    }
    assert_true(differ);
}

/* A map that is full for good: LMDB says so itself. Reads go on, nothing comes back. */
static void a_full_map(void **state)
{
    (void)state;
    rig_close(&rig);
    struct journal_options options = {.dir = rig.dir, .size_max = 512 * 1024};
    assert_int_equal(journal_open(&rig.journal, &options), SPN_OK);
    start();
    uint64_t durable = 0;
    while (atomic_load(&worker.state.trouble) == SPN_OK) {
        assert_true(batch_count < BATCHES_MAX);
        durable = atomic_load(&worker.state.durable);
        submit_one(make_batch(0, 400, true));
    }
    assert_int_equal(atomic_load(&worker.state.trouble), SPN_E_QUOTA_FULL);
    assert_true(durable > 0);
    for (int i = 0; i < 5; i++) {
        unsigned before = atomic_load(&begins);
        pass_time(atomic_load(&sleep_ns));
        assert_int_equal(atomic_load(&begins), before + 1);
        assert_int_equal(atomic_load(&worker.state.trouble), SPN_E_QUOTA_FULL);
    }
    assert_int_equal(atomic_load(&worker.state.durable), durable);
    check_disk(durable);
    expect_back(0, batch_count - 1);
    fail_next(1, SPN_E_IO); /* or it would not end */
    atomic_fetch_add(&now_ns, 1000 * MS);
    give(NULL, 0);
    join_failed(SPN_E_IO);
}

/* Above the quota nothing is appended, but segments are written, and the oldest entries go; here
 * even when all have gone there is no room. */
static void the_quota(void **state)
{
    (void)state;
    fill_generation();
    uint64_t last = next_position - 1;
    quota_bytes = 1;
    begin(); /* there is nothing yet that may go */
    pass_time(ROUND_FIRST_MS * MS);
    struct message *works[] = {&rig.frozen->message, make_batch(0, 1, true)};
    submit(works, COUNT(works));
    assert_ptr_equal(take_back(), &rig.frozen->message);
    struct message *early =
        take_back(); /* names and rows are left: some may go, and nobody ends them */
    assert_non_null(early);
    assert_int_equal(early->kind, MESSAGE_IDLE);
    assert_true(((struct idle_sessions *)early)->early);
    free(early);
    assert_int_equal(atomic_load(&worker.state.checkpoint), last);
    assert_int_equal(count_entries(), 0);
    assert_true(metrics_get(&metrics.trimmed) >= last);
    unsigned before = atomic_load(&begins);
    for (uint64_t ms = 10; ms <= 80; ms *= 2) {
        assert_int_equal(atomic_load(&worker.state.trouble), SPN_E_QUOTA_FULL);
        assert_in_range(atomic_load(&sleep_ns), ms * MS * 3 / 4, ms * MS);
        pass_time(atomic_load(&sleep_ns));
    }
    assert_int_equal(atomic_load(&begins), before);
    assert_int_equal(atomic_load(&worker.state.durable), last);
    assert_null(take_back());
    fail_next(1, SPN_E_IO);
    worker.options.quota_bytes = UINT64_MAX; /* it sleeps: or it would not end */
    atomic_fetch_add(&now_ns, 1000 * MS);
    give(NULL, 0);
    join_failed(SPN_E_IO);
}

/* The oldest make room for what comes, and no more of them go than that takes. */
static void the_quota_makes_room(void **state)
{
    (void)state;
    fill_generation();
    uint64_t last = next_position - 1;
    uint64_t map;
    rig_write_frozen(&rig);
    rig_drop_frozen(&rig);
    journal_usage(rig.journal, &quota_bytes, &map);
    begin();
    uint64_t left = count_entries();
    assert_in_range(left, last / 3, last * 3 / 4); /* a quarter of the pages, and up to a step */
    submit_one(make_batch(0, 1, true));
    expect_back(0, 1);
    assert_int_equal(atomic_load(&worker.state.trouble), SPN_OK);
    assert_int_equal(atomic_load(&worker.state.durable), last + 1);
    assert_int_equal(count_entries(), left + 1);
    assert_int_equal(oldest_entry(), last - left + 1); /* they went in order */
    assert_int_equal(metrics_get(&metrics.trimmed), last - left);
}

/* -- settings ---------------------------------------------------------------------------------- */

static struct settings *make_settings(void)
{
    struct settings *settings = calloc(1, sizeof(*settings));
    assert_non_null(settings);
    *settings = (struct settings){
        .message.kind = MESSAGE_SETTINGS,
        .quota_bytes = worker.options.quota_bytes,
        .map_bytes = RIG_MAP_BYTES,
        .session_ttl_ns = worker.options.session_ttl_ns,
        .flush_interval_ns = worker.options.flush_interval_ns,
        .retention = journal_meta(rig.journal)->retention,
    };
    return settings;
}

/* What waits for room gets it at once when the quota is raised, with a larger map. */
static void a_larger_quota_makes_room(void **state)
{
    (void)state;
    uint64_t used, map;
    fill_generation();
    rig_write_frozen(&rig);
    rig_drop_frozen(&rig);
    journal_usage(rig.journal, &used, &map);
    quota_bytes = 1;
    begin();
    pass_time(ROUND_FIRST_MS * MS);
    for (struct message *early = take_back(); early; early = take_back())
        free(early);
    submit_one(make_batch(0, 1, true));
    assert_int_equal(atomic_load(&worker.state.trouble), SPN_E_QUOTA_FULL);
    struct settings *settings = make_settings();
    settings->quota_bytes = 2 * map;
    settings->map_bytes = 3 * map;
    submit_one(&settings->message);
    assert_int_equal(atomic_load(&worker.state.trouble), SPN_OK);
    expect_back(0, 1);
    journal_usage(rig.journal, &used, &map);
    assert_int_equal(map, 3 * RIG_MAP_BYTES);
    assert_int_equal(metrics_get(&metrics.database_map_bytes), map);
}

/* Raised without anything that waits for it: there is no commit that could say that all is well. */
static void a_larger_quota_ends_the_trouble(void **state)
{
    (void)state;
    fill_generation();
    rig_write_frozen(&rig);
    rig_drop_frozen(&rig);
    quota_bytes = 1;
    begin();
    pass_time(ROUND_FIRST_MS * MS);
    assert_int_equal(atomic_load(&worker.state.trouble), SPN_E_QUOTA_FULL);
    struct settings *settings = make_settings();
    settings->quota_bytes = 2;
    submit_one(&settings->message);
    assert_int_equal(atomic_load(&worker.state.trouble), SPN_E_QUOTA_FULL);
    settings = make_settings();
    settings->quota_bytes = RIG_MAP_BYTES / 2;
    unsigned before = atomic_load(&begins);
    submit_one(&settings->message);
    assert_int_equal(atomic_load(&begins), before);
    assert_int_equal(atomic_load(&worker.state.trouble), SPN_OK);
    for (struct message *early = take_back(); early; early = take_back())
        free(early);
}

/* A quota below the file leaves the reserve, so that trimming has pages to work with. */
static void a_smaller_quota_leaves_a_reserve(void **state)
{
    (void)state;
    enum { RESERVE = 1024 * 1024 };
    uint64_t used, map;
    struct stat file;
    char path[PATH_MAX];
    fill_generation();
    rig_write_frozen(&rig);
    rig_drop_frozen(&rig);
    start();
    (void)snprintf(path, sizeof(path), "%s/data.mdb", rig.dir);
    assert_int_equal(stat(path, &file), 0);
    struct settings *settings = make_settings();
    settings->quota_bytes = (uint64_t)file.st_size / 2;
    settings->map_bytes = settings->quota_bytes + RESERVE;
    submit_one(&settings->message);
    journal_usage(rig.journal, &used, &map);
    assert_in_range(map, (uint64_t)file.st_size + RESERVE, (uint64_t)file.st_size + 2 * RESERVE);
    assert_true(used < (uint64_t)file.st_size / 2);
    assert_int_equal(atomic_load(&worker.state.trouble), SPN_OK);
}

/* Nothing is written any more, not even what came together with the settings. */
static void a_map_that_cannot_be(void **state)
{
    (void)state;
    start();
    struct settings *settings = make_settings();
    settings->quota_bytes = SIZE_MAX / 8;
    settings->map_bytes = SIZE_MAX / 4;
    struct message *works[] = {&settings->message, make_batch(0, 1, true)};
    give(works, COUNT(works));
    join_failed(SPN_E_IO);
    assert_int_equal(atomic_load(&begins), 0);
}

/* The rule is in the database at once, and the log is trimmed by it. The same rule is not written
 * again. */
static void another_rule_of_retention(void **state)
{
    (void)state;
    fill_generation();
    uint64_t last = next_position - 1;
    rig_write_frozen(&rig);
    rig_drop_frozen(&rig);
    start();
    struct settings *settings = make_settings();
    settings->retention = (struct retention){.events_max = 1};
    submit_one(&settings->message);
    assert_int_equal(journal_meta(rig.journal)->retention.events_max, 1);
    assert_int_equal(journal_meta(rig.journal)->narrowest.events_max, 1);
    assert_true(count_entries() < last / 2);
    unsigned before = atomic_load(&begins);
    submit_one(&make_settings()->message);
    assert_int_equal(atomic_load(&begins), before);
}

/* A rule that finds no room is tried again, and is not forgotten. */
static void a_rule_that_finds_no_room(void **state)
{
    (void)state;
    start();
    fail_next(1, SPN_E_DISK_FULL);
    struct settings *settings = make_settings();
    settings->retention = (struct retention){.events_max = 7};
    submit_one(&settings->message);
    assert_int_equal(journal_meta(rig.journal)->retention.events_max, 0);
    assert_int_equal(atomic_load(&worker.state.trouble), SPN_E_DISK_FULL);
    pass_time(atomic_load(&sleep_ns));
    assert_int_equal(journal_meta(rig.journal)->retention.events_max, 7);
    assert_int_equal(atomic_load(&worker.state.trouble), SPN_OK);
}

/* Sessions expire again only after a time to live, since touches were not noted. */
static void another_time_to_live(void **state)
{
    (void)state;
    start();
    assert_false(deadline_is_set(&worker.walk));
    struct settings *settings = make_settings();
    settings->session_ttl_ns = 3600 * 1000 * MS;
    submit_one(&settings->message);
    assert_int_equal(atomic_load(&sleep_ns), 3600 * 1000 * MS);
    settings = make_settings();
    settings->session_ttl_ns = 1800 * 1000 * MS;
    submit_one(&settings->message);
    assert_int_equal(atomic_load(&sleep_ns), 1000 * MS);
    settings = make_settings();
    settings->session_ttl_ns = 0;
    submit_one(&settings->message);
    assert_false(deadline_is_set(&worker.walk));
    assert_false(worker.walking);
}

/* How large a batch is in memory does not matter, only what it adds to the database. */
static void a_resend_makes_no_room(void **state)
{
    const size_t *bytes = *state;
    uint64_t used, map;
    fill_generation();
    rig_write_frozen(&rig);
    rig_drop_frozen(&rig);
    journal_usage(rig.journal, &used, &map);
    quota_bytes = 2 * used;
    start();
    uint64_t before = count_entries();
    worker.options.quota_bytes = used / 3 * 4; /* the mark is three quarters of it */
    worker.commit_bytes_max = 1;               /* a commit for each batch */
    struct message *works[] = {make_batch(0, 0, true), make_batch(1, 0, true)};
    for (size_t i = 0; i < COUNT(works); i++)
        batches[i]->bytes = *bytes;
    submit(works, COUNT(works));
    uint64_t deleted = before - count_entries();
    assert_in_range(deleted, 1, 400); /* a sixty-fourth of the quota, and what was above the mark */
    expect_back(0, COUNT(works));
}

static const size_t resend_rows[] = {400, 1 << 20};

static const struct fatal_row {
    const char *name;
    spn_err err;
    bool in_commit;
} fatal_rows[] = {
    {"begin fails with EIO", SPN_E_IO, false},
    {"commit fails with EIO", SPN_E_IO, true},
    {"the database is damaged", SPN_E_CORRUPT, false},
    {"a system call fails", SPN_E_SYSTEM, false},
};

/* Only a restart can judge: the worker ends, wakes the broker, and acknowledges nothing. */
static void fatal(void **state)
{
    const struct fatal_row *row = *state;
    start();
    submit_one(make_batch(0, 1, true));
    expect_back(0, 1);
    atomic_store(&fail_in_commit, row->in_commit);
    fail_next(UINT32_MAX, row->err);
    struct message *work = make_batch(0, 1, true);
    give(&work, 1);
    struct pollfd woken = {.fd = to_broker.event_fd, .events = POLLIN};
    assert_int_equal(poll(&woken, 1, PATIENCE_S * 1000), 1);
    join_failed(row->err);
    assert_null(take_back());
    atomic_store(&fail_from, 0);
    check_disk(1);
    assert_int_equal(metrics_get(&metrics.commit_failures), 1);
    assert_int_equal(metrics_get(&metrics.commit_retries), 0);
}

/* The broker may have met what only a restart can judge, too. */
static void ended_by_the_broker(void **state)
{
    (void)state;
    start();
    submit_one(make_batch(0, 1, false));
    atomic_store(&worker.state.fatal, SPN_E_CORRUPT);
    give(NULL, 0);
    worker_join(&worker);
    running = false;
    assert_int_equal(atomic_load(&begins), 0);
    assert_null(take_back());
}

/* -- generations ------------------------------------------------------------------------------- */

/* Without the line of meta: its clock is not the rig's. */
static char *dump_behind_meta(void)
{
    char *text = rig_dump(&rig);
    const char *behind = strchr(text, '\n');
    assert_non_null(behind);
    char *copy = strdup(behind);
    assert_non_null(copy);
    free(text);
    return copy;
}

static void a_generation(void **state)
{
    (void)state;
    fill_generation();
    uint64_t last = next_position - 1;
    rig_save(&rig);
    rig_write_frozen(&rig);
    char *expected = dump_behind_meta();
    rig_restore(&rig);
    start();
    submit_one(&rig.frozen->message);
    assert_ptr_equal(take_back(), &rig.frozen->message);
    assert_null(take_back());
    assert_int_equal(atomic_load(&worker.state.checkpoint), last);
    assert_int_equal(metrics_get(&metrics.checkpoint_position), last);
    assert_int_equal(metrics_get(&metrics.segments), 1);
    assert_int_equal(metrics_get(&metrics.rows_written), SESSIONS);
    assert_int_equal(metrics_get(&metrics.index_entries_written), rig.frozen->entry_count);
    assert_int_equal(journal_meta(rig.journal)->checkpoint, last);
    assert_int_equal(journal_meta(rig.journal)->next_position, last + 1);
    assert_int_equal(journal_meta(rig.journal)->clock_ns, clock_database_ns(&fake_clock));
    char *found = dump_behind_meta();
    assert_string_equal(found, expected);
    free(found);
    free(expected);
}

/* In steps of 2 ms, here of a few sessions: commits fail now and then, the result is the same. */
static void a_generation_with_failures(void **state)
{
    (void)state;
    fill_generation();
    rig_save(&rig);
    rig_write_frozen(&rig);
    char *expected = dump_behind_meta();
    unsigned steps = 2;
    for (unsigned at = 1; at <= steps; at++) {
        rig_restore(&rig);
        atomic_store(&tick_ns, 1 * MS);
        atomic_store(&free_running, true);
        atomic_store(&fail_in_commit, at % 2 == 0);
        start();
        atomic_store(&fail_err, SPN_E_DISK_FULL);
        atomic_store(&fail_count, at % 3 + 1);
        atomic_store(&fail_from, at);
        submit_one(&rig.frozen->message);
        assert_ptr_equal(take_back(), &rig.frozen->message);
        steps = atomic_load(&commits);
        assert_true(steps > 3);
        assert_int_equal(atomic_load(&begins), steps + at % 3 + 1);
        assert_int_equal(metrics_get(&metrics.rows_written), (uint64_t)SESSIONS * at);
        char *found = dump_behind_meta();
        assert_string_equal(found, expected);
        free(found);
        stop();
    }
    free(expected);
}

/* Batches before a generation are on disk before it, and come back before it; those behind it need
 * not wait until it is written. */
static void batches_beside_a_generation(void **state)
{
    (void)state;
    fill_generation();
    uint64_t last = next_position - 1;
    atomic_store(&tick_ns, 1 * MS);
    start();
    struct message *works[] = {make_batch(0, 1, false), &rig.frozen->message,
                               make_batch(0, 1, false), make_batch(1, 1, true)};
    submit(works, COUNT(works));
    assert_ptr_equal(take_back(), works[0]);
    assert_ptr_equal(take_back(), works[2]);
    assert_ptr_equal(take_back(), works[3]);
    assert_ptr_equal(take_back(), works[1]);
    assert_null(take_back());
    assert_int_equal(atomic_load(&worker.state.checkpoint), last);
    assert_int_equal(atomic_load(&worker.state.durable), last + 3);
    assert_int_equal(journal_meta(rig.journal)->next_position, last + 1);
    assert_in_range(atomic_load(&sleep_ns), (ROUND_AFTER_MS - 100) * MS, ROUND_AFTER_MS * MS);
    pass_time(atomic_load(&sleep_ns));
    assert_int_equal(atomic_load(&sleep_ns), NEVER);
}

/* One after the other, though the broker does not hand over two. */
static void two_generations(void **state)
{
    (void)state;
    fill_generation();
    struct generation *first = rig.frozen;
    rig.frozen = NULL;
    rig_events(&rig, 3, 700);
    rig_commit(&rig);
    rig_freeze(&rig);
    rig.frozen->message.kind = MESSAGE_GENERATION;
    next_position = rig.next_position;
    atomic_store(&tick_ns, 1 * MS);
    start();
    struct message *works[] = {&first->message, &rig.frozen->message};
    submit(works, COUNT(works));
    assert_ptr_equal(take_back(), works[0]);
    assert_ptr_equal(take_back(), works[1]);
    assert_null(take_back());
    assert_int_equal(journal_meta(rig.journal)->segment, 2);
    assert_int_equal(atomic_load(&worker.state.checkpoint), rig.frozen->last_position);
    generation_drop(first);
}

/* One that has no positions leaves the checkpoint where it is. */
static void a_generation_of_duplicates(void **state)
{
    (void)state;
    fill_generation();
    uint64_t last = next_position - 1;
    start();
    submit_one(&rig.frozen->message);
    assert_ptr_equal(take_back(), &rig.frozen->message);
    rig_drop_frozen(&rig);
    const struct rig_event *event = &rig.sessions[5].events[0];
    rig_event(&rig, 5, event->id, event->data);
    assert_int_equal(rig.active->entry_count, 0);
    rig_freeze(&rig);
    rig.frozen->message.kind = MESSAGE_GENERATION;
    submit_one(&rig.frozen->message);
    assert_ptr_equal(take_back(), &rig.frozen->message);
    assert_int_equal(atomic_load(&worker.state.checkpoint), last);
    assert_int_equal(metrics_get(&metrics.checkpoint_position), last);
    assert_int_equal(journal_meta(rig.journal)->checkpoint, last);
    assert_int_equal(journal_meta(rig.journal)->segment, 2);
}

/* -- trimming ---------------------------------------------------------------------------------- */

/* Two events are kept of each session, and nothing that is no event. */
static uint64_t retained(void)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < SESSIONS; i++)
        count += rig.sessions[i].count < 2 ? rig.sessions[i].count : 2;
    return count;
}

/* The rule may be another one than before: a second after the start everything is looked at. */
static void trims_after_the_start(void **state)
{
    (void)state;
    fill_generation();
    uint64_t last = next_position - 1;
    rig_write_frozen(&rig);
    rig_retain(&rig, (struct retention){.events_max = 2});
    begin();
    pass_time(ROUND_FIRST_MS * MS - 1);
    assert_int_equal(count_entries(), last);
    pass_time(1);
    assert_int_equal(count_entries(), retained());
    assert_int_equal(metrics_get(&metrics.trimmed), last - retained());
    assert_int_equal(atomic_load(&sleep_ns), NEVER);
}

/* One segment written, and looked at; and all of them a minute later. */
static void trims_after_a_segment(void **state)
{
    (void)state;
    fill_generation();
    uint64_t last = next_position - 1;
    rig_retain(&rig, (struct retention){.events_max = 2});
    start();
    submit_one(&rig.frozen->message);
    assert_ptr_equal(take_back(), &rig.frozen->message);
    assert_int_equal(count_entries(), retained());
    assert_int_equal(metrics_get(&metrics.trimmed), last - retained());
    assert_int_equal(atomic_load(&sleep_ns), ROUND_AFTER_MS * MS);
    pass_time(ROUND_AFTER_MS * MS);
    assert_int_equal(count_entries(), retained());
    assert_int_equal(atomic_load(&sleep_ns), NEVER);
}

/* Each hides what the one before it has: no round has to come. */
static void segments_that_keep_coming_draw_no_look_away_from_the_older_ones(void **state)
{
    (void)state;
    rig_retain(&rig, (struct retention){.events_max = 2});
    start();
    for (int i = 0; i < 4; i++) {
        for (uint32_t session = 0; session < SESSIONS; session++)
            rig_events(&rig, session, 2);
        rig_commit(&rig);
        rig_freeze(&rig);
        rig.frozen->message.kind = MESSAGE_GENERATION;
        submit_one(&rig.frozen->message);
        assert_ptr_equal(take_back(), &rig.frozen->message);
        rig_drop_frozen(&rig);
        /* The first has nothing that is hidden: its openings stay too. */
        assert_int_equal(count_entries(), i == 0 ? 3 * SESSIONS : 2 * SESSIONS);
    }
}

/* A segment that takes long does not hold it up, nor it the segment. */
static void trims_beside_a_segment(void **state)
{
    (void)state;
    fill_generation();
    rig_write_frozen(&rig);
    rig_drop_frozen(&rig);
    rig_retain(&rig, (struct retention){.events_max = 2});
    for (uint32_t i = 0; i < SESSIONS; i++)
        rig_events(&rig, i, 20);
    rig_commit(&rig);
    rig_freeze(&rig);
    rig.frozen->message.kind = MESSAGE_GENERATION;
    next_position = rig.next_position;
    uint64_t last = next_position - 1;
    begin();
    atomic_store(&tick_ns, MS / 4); /* a step is short */
    atomic_fetch_add(&now_ns, ROUND_FIRST_MS * MS);
    submit_one(&rig.frozen->message);
    assert_ptr_equal(take_back(), &rig.frozen->message);
    assert_int_equal(atomic_load(&worker.state.checkpoint), last);
    assert_true(atomic_load(&trimmed_beside) > 0);
    pass_time(atomic_load(&sleep_ns)); /* what the second segment hides of the first is seen then */
    assert_int_equal(count_entries(), retained());
    assert_int_equal(metrics_get(&metrics.trimmed), last - retained());
}

static void trims_with_failures(void **state)
{
    (void)state;
    fill_generation();
    uint64_t last = next_position - 1;
    rig_write_frozen(&rig);
    rig_retain(&rig, (struct retention){.events_max = 2});
    begin();
    for (unsigned at = 0; at < 3; at++) {
        atomic_store(&fail_in_commit, at % 2 == 0);
        fail_next(1, SPN_E_DISK_FULL);
        pass_time(at == 0 ? ROUND_FIRST_MS * MS : atomic_load(&sleep_ns));
        assert_int_equal(count_entries(), last); /* it was the first step each time */
        assert_int_equal(atomic_load(&worker.state.trouble), SPN_E_DISK_FULL);
    }
    pass_time(atomic_load(&sleep_ns));
    assert_int_equal(count_entries(), retained());
    assert_int_equal(metrics_get(&metrics.trimmed), last - retained());
    assert_int_equal(atomic_load(&worker.state.trouble), SPN_OK);
}

/* Reading beside the commits is tried again a little later, and no loop turns until then. */
static void without_memory_the_loop_turned_and_turned(void **state)
{
    (void)state;
    fill_generation();
    uint64_t last = next_position - 1;
    rig_write_frozen(&rig);
    rig_retain(&rig, (struct retention){.events_max = 2});
    session_ttl_ns = 160000 * MS;
    begin();
    atomic_store(&no_memory, true);
    pass_time(ROUND_FIRST_MS * MS); /* asleep again: else nobody would wake us */
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(atomic_load(&sleep_ns), READ_AGAIN_MS * MS);
        assert_int_equal(atomic_load(&refused), 1 + i);
        pass_time(READ_AGAIN_MS * MS);
    }
    atomic_store(&no_memory, false);
    assert_int_equal(count_entries(), last);
    pass_time(READ_AGAIN_MS * MS);
    assert_int_equal(count_entries(), retained());
    pass_time(atomic_load(&sleep_ns)); /* to the walk over the rows */
    atomic_store(&no_memory, true);
    atomic_store(&refused, 0);
    while (atomic_load(&refused) == 0)
        pass_time(atomic_load(&sleep_ns));
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(atomic_load(&sleep_ns), READ_AGAIN_MS * MS);
        assert_int_equal(atomic_load(&refused), 1 + i);
        pass_time(READ_AGAIN_MS * MS);
    }
    atomic_store(&no_memory, false);
    pass_time(READ_AGAIN_MS * MS);
    assert_int_not_equal(atomic_load(&sleep_ns), READ_AGAIN_MS * MS);
}

/* By age events die without a segment being written: a sixteenth of it passes between two looks. */
static void trims_by_age(void **state)
{
    (void)state;
    const uint64_t age_ns = 16000 * MS;
    fill_generation();
    uint64_t last = next_position - 1;
    rig_write_frozen(&rig);
    rig_retain(&rig, (struct retention){.age_max_ns = age_ns});
    begin();
    pass_time(ROUND_FIRST_MS * MS);
    for (int i = 0; i < 15; i++) {
        assert_int_equal(count_entries(), last);
        assert_int_equal(atomic_load(&sleep_ns), age_ns / 16);
        pass_time(age_ns / 16);
    }
    assert_int_equal(count_entries(), 0);
}

/* -- sessions that are idle -------------------------------------------------------------------- */

/* Looked for sixteen times in a time to live; the broker is told of each. */
static void finds_the_idle(void **state)
{
    (void)state;
    fill_generation();
    rig_write_frozen(&rig);
    session_ttl_ns = 3200 * MS;
    begin();
    assert_int_equal(atomic_load(&sleep_ns), session_ttl_ns / 16);
    struct idle_sessions *found = NULL;
    for (unsigned i = 0; i < 16 && !found; i++) {
        assert_true(atomic_load(&now_ns) < session_ttl_ns + rig_time_ns(next_position));
        pass_time(atomic_load(&sleep_ns));
        found = (struct idle_sessions *)take_back();
    }
    assert_non_null(found);
    assert_int_equal(found->message.kind, MESSAGE_IDLE);
    assert_int_equal(found->count, SESSIONS);
    for (uint32_t i = 0; i < SESSIONS; i++) /* they were opened in this order */
        assert_int_equal(found->sessions[i].epoch, rig.sessions[i].epoch);
    free(found);
    assert_null(take_back());
    pass_time(session_ttl_ns / 16); /* nobody did anything about it: they are found again */
    found = (struct idle_sessions *)take_back();
    assert_non_null(found);
    free(found);
    atomic_store(&tick_ns, 3 * MS); /* so slow that the walk takes two steps */
    pass_time(session_ttl_ns / 16);
    size_t count = 0;
    size_t lists = 0;
    while ((found = (struct idle_sessions *)take_back()) != NULL) {
        lists++;
        count += found->count;
        free(found);
    }
    assert_int_equal(lists, 2);
    assert_int_equal(count, SESSIONS);
}

/* What expires belongs to no producer: no record is written, also not for one whose id is zeros. */
static void without_a_producer(void **state)
{
    (void)state;
    static struct record_run runs[RECORD_RUNS_MAX];
    struct journal_reader *reader;
    uint8_t id[RECORD_PRODUCER_ID_SIZE] = {0};
    struct record_producer record;
    start();
    struct batch *batch = (struct batch *)make_batch(0, 2, true);
    batch->producer = NULL;
    batch->number_count = 0;
    memset(batch->producer_id, 0, sizeof(batch->producer_id));
    batch->record = (struct record_producer){.token = 0};
    submit_one(&batch->message);
    expect_back(0, 1);
    assert_int_equal(atomic_load(&worker.state.durable), 2);
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    check_entry(reader, 1);
    check_entry(reader, 2);
    assert_int_equal(journal_read_producer_after(reader, true, id, runs, &record), SPN_E_END);
    journal_reader_close(reader);
}

/* -- the end ----------------------------------------------------------------------------------- */

/* Everything before the order is done first, though nobody waits and a commit fails. */
static void stops_last(void **state)
{
    (void)state;
    fill_generation();
    struct message order = {.kind = MESSAGE_STOP};
    start();
    fail_next(3, SPN_E_DISK_FULL);
    struct message *works[] = {make_batch(0, 1, false), make_batch(1, 2, false),
                               &rig.frozen->message, &order};
    give(works, COUNT(works));
    for (int i = 0; i < 3; i++) {
        wait_until_asleep();
        atomic_fetch_add(&now_ns, atomic_load(&sleep_ns));
        give(NULL, 0);
    }
    worker_join(&worker);
    running = false;
    for (size_t i = 0; i < COUNT(works); i++)
        assert_ptr_equal(take_back(), works[i]);
    assert_null(take_back());
    assert_int_equal(atomic_load(&worker.state.fatal), SPN_OK);
    assert_int_equal(atomic_load(&worker.state.durable), next_position - 1);
    assert_int_equal(atomic_load(&worker.state.checkpoint), rig.frozen->last_position);
}

static void stops_at_once(void **state)
{
    (void)state;
    start();
    stop();
    assert_int_equal(atomic_load(&begins), 0);
}

/* -- readers that died ------------------------------------------------------------------------- */

static void looks_after_readers(void **state)
{
    (void)state;
    atomic_store(&now_ns, 100000 * MS);
    start();
    submit_one(make_batch(0, 1, true));
    unsigned before = atomic_load(&checked_readers);
    submit_one(make_batch(0, 1, true));
    assert_int_equal(atomic_load(&checked_readers), before);
    atomic_fetch_add(&now_ns, 4999 * MS);
    submit_one(make_batch(0, 1, true));
    assert_int_equal(atomic_load(&checked_readers), before);
    atomic_fetch_add(&now_ns, 1 * MS);
    submit_one(make_batch(0, 1, true));
    assert_int_equal(atomic_load(&checked_readers), before + 1);
    expect_back(0, 4);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
#define FATAL(i)                                                                                   \
    {                                                                                              \
        fatal_rows[i].name, fatal, set_up, tear_down, (void *)(uintptr_t)&fatal_rows[i]            \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_commit_for_all),
        TEST(a_record_only),
        TEST(more_than_one_commit_holds),
        TEST(nobody_waits),
        TEST(somebody_waits_after_all),
        TEST(too_much_to_hold),
        TEST(gathers),
        TEST(no_room),
        TEST(retries_are_spread),
        TEST(a_full_map),
        TEST(the_quota),
        TEST(the_quota_makes_room),
        TEST(a_larger_quota_makes_room),
        TEST(a_larger_quota_ends_the_trouble),
        TEST(a_smaller_quota_leaves_a_reserve),
        TEST(a_map_that_cannot_be),
        TEST(another_rule_of_retention),
        TEST(a_rule_that_finds_no_room),
        TEST(another_time_to_live),
        {"a resend of 400 bytes makes no room", a_resend_makes_no_room, set_up, tear_down,
         (void *)(uintptr_t)&resend_rows[0]},
        {"a resend of 1 MiB makes no room", a_resend_makes_no_room, set_up, tear_down,
         (void *)(uintptr_t)&resend_rows[1]},
        FATAL(0),
        FATAL(1),
        FATAL(2),
        FATAL(3),
        TEST(ended_by_the_broker),
        TEST(a_generation),
        TEST(a_generation_with_failures),
        TEST(batches_beside_a_generation),
        TEST(two_generations),
        TEST(a_generation_of_duplicates),
        TEST(trims_after_the_start),
        TEST(trims_after_a_segment),
        TEST(segments_that_keep_coming_draw_no_look_away_from_the_older_ones),
        TEST(trims_beside_a_segment),
        TEST(trims_with_failures),
        TEST(without_memory_the_loop_turned_and_turned),
        TEST(trims_by_age),
        TEST(finds_the_idle),
        TEST(without_a_producer),
        TEST(stops_last),
        TEST(stops_at_once),
        TEST(looks_after_readers),
    };
    return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
