/* SPDX-License-Identifier: Apache-2.0 */
#include "commit/worker.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "store/database_clock.h"
#include "index/generation.h"
#include "base/kill_point.h"

#define MS 1000000ull

enum {
    STEP_MS_MIN = 1, /* of a segment, of a walk: how long commits may wait for it */
    STEP_MS_MAX = 2,
    TRIM_STEP = 1000,
    /* With one alone the look would follow the newest segment, which hides nothing yet, and never
     * come to the older ones while segments keep coming. */
    LOOKED_AT_PER_WRITTEN = 2,
    ROUND_AFTER_MS = 60000, /* all segments are looked at so long after one was written */
    ROUND_FIRST_MS = 1000,  /* after the start: the rule may be another one than before */
    WALK_FIRST_MS = 1000,   /* after the start: much may have become idle while nothing ran */
    INTERVAL_MS_MIN = 100,
    SPAN_PARTS = 16, /* looks in a time to live, in the age that events may have */
    BACKOFF_FIRST_MS = 10,
    BACKOFF_MAX_MS = 500,
    READ_AGAIN_MS = 100, /* after memory ran out */
    GATHER_MAX_MS = 2,
    DEADLINES_MAX = 8,
    CHECK_READERS_EVERY_MS = 5000,
    NAMES_PART = 2,        /* of the quota: names and rows above it expire early near the quota */
    EARLY_AGAIN_MS = 1000, /* if no segment was written by then */
};

/* A change is for the log, too: the broker, who writes it, may be asleep. */
static void note_trouble(struct worker *worker, spn_err err)
{
    if (atomic_exchange_explicit(&worker->state.trouble, (unsigned)err, memory_order_relaxed) !=
        (unsigned)err)
        handoff_nudge(worker->options.back);
}

/* -- taking work ------------------------------------------------------------------------------- */

static struct work *first_work(const struct worker *worker)
{
    return (struct work *)worker->pending;
}

/* It may be what the quota waits for. */
static void note_ends(struct worker *worker)
{
    worker->pending_ends++;
    if (atomic_load_explicit(&worker->state.trouble, memory_order_relaxed) == SPN_E_QUOTA_FULL)
        deadline_heap_remove(&worker->heap, &worker->retry);
}

static void note_batch(struct worker *worker, const struct batch *batch)
{
    worker->pending_bytes += batch->bytes;
    worker->pending_batches++;
    if (batch->waits)
        worker->waited_for = true;
    if (batch->ends)
        note_ends(worker);
}

static void take_work(struct worker *worker)
{
    struct handoff_node *taken = handoff_take(worker->options.queue);
    if (!taken)
        return;
    *worker->pending_end = taken;
    for (struct handoff_node *node = taken; node; node = node->next) {
        struct work *work = (struct work *)node;
        if (work->kind == WORK_BATCH)
            note_batch(worker, (struct batch *)work);
        else
            worker->waited_for = true;
        if (work->kind == WORK_GENERATION)
            note_ends(worker);
        worker->pending_end = &node->next;
    }
}

static struct work *pop_work(struct worker *worker)
{
    struct work *work = first_work(worker);
    worker->pending = work->node.next;
    if (!worker->pending)
        worker->pending_end = &worker->pending;
    return work;
}

/* A generation is written once all work before it is on disk; the order to stop is obeyed once
 * there is nothing else. */
static spn_err take_other_work(struct worker *worker)
{
    while (worker->pending && first_work(worker)->kind != WORK_BATCH && !worker->segment) {
        if (first_work(worker)->kind == WORK_STOP) {
            worker->stop = pop_work(worker);
            worker->stopping = true;
            continue;
        }
        struct generation *generation = (struct generation *)first_work(worker);
        uint32_t number = journal_meta(worker->options.journal)->segment + 1;
        spn_err err = segment_new(&worker->segment, generation, number);
        if (err != SPN_OK)
            return err;
        worker->frozen = (struct generation *)pop_work(worker);
        worker->pending_ends--;
    }
    return SPN_OK;
}

/* -- one transaction --------------------------------------------------------------------------- */

/* What one did beside the batches. */
struct transaction {
    bool segment_done;
    size_t trimmed;
};

static spn_err append_batch(struct journal *journal, const struct batch *batch)
{
    const uint8_t *frame = zmq_msg_data((zmq_msg_t *)(uintptr_t)&batch->frame);
    for (uint32_t i = 0; i < batch->entry_count; i++) {
        const struct batch_entry *from = &batch->entries[i];
        const uint8_t *at = frame + from->offset;
        struct record_entry entry = {
            .kind = from->kind,
            .epoch = from->epoch,
            .seq = from->seq,
            .bytes = from->bytes,
            .markers = from->markers,
            .id_position = from->id_position,
            .time_ns = batch->time_ns,
            .wall_ms = batch->wall_ms,
            .retry_ms = from->retry_ms,
            .data_hash = from->data_hash,
            .id = {at, from->id_size},
            .type = {at + from->id_size, from->type_size},
            .data = {at + from->id_size + from->type_size, from->data_size},
        };
        spn_err err = journal_append(journal, batch->first_position + i, &entry);
        if (err != SPN_OK)
            return err;
    }
    return SPN_OK;
}

/* The producer's next batch in the same transaction would overwrite the record at once. What
 * expires has no producer. */
static bool is_last_of_producer(const struct batch *batch, const struct handoff_node *end)
{
    const struct handoff_node *next = batch->work.node.next;
    if (!batch->producer)
        return false;
    return next == end || ((const struct work *)next)->kind != WORK_BATCH ||
           ((const struct batch *)next)->producer != batch->producer;
}

/* The pending batches that go into the next transaction; returns the node behind them. */
static struct handoff_node *end_of_commit(const struct worker *worker)
{
    struct handoff_node *node = worker->pending;
    size_t bytes = 0;
    while (node && ((struct work *)node)->kind == WORK_BATCH && bytes < worker->commit_bytes_max) {
        bytes += ((struct batch *)node)->bytes;
        node = node->next;
    }
    return node;
}

static spn_err write_batches(struct worker *worker, const struct handoff_node *end)
{
    for (struct handoff_node *node = worker->pending; node != end; node = node->next) {
        const struct batch *batch = (struct batch *)node;
        spn_err err = append_batch(worker->options.journal, batch);
        if (err == SPN_OK && batch->forgets)
            err = journal_delete_producer(worker->options.journal, batch->producer_id);
        else if (err == SPN_OK && batch->producer && is_last_of_producer(batch, end))
            err = journal_put_producer(worker->options.journal, batch->producer_id, &batch->record);
        if (err != SPN_OK)
            return err;
    }
    return SPN_OK;
}

/* As long as a commit takes, within bounds: who waits for small ones would notice more. */
static uint64_t step_end(const struct worker *worker)
{
    uint64_t step_ns = worker->commit_mean_ns;
    if (step_ns < STEP_MS_MIN * MS)
        step_ns = STEP_MS_MIN * MS;
    if (step_ns > STEP_MS_MAX * MS)
        step_ns = STEP_MS_MAX * MS;
    return worker->options.clock->monotonic_ns() + step_ns;
}

/* Near the quota as much goes as comes, and some more, so that it gets further away from it. */
static size_t trim_count(const struct worker *worker, const struct handoff_node *end)
{
    size_t count = TRIM_STEP;
    for (struct handoff_node *node = worker->pending; node != end; node = node->next)
        count += ((struct batch *)node)->entry_count;
    return count;
}

/* What retention hides and a segment take turns: under full load a segment is always being
 * written. True: it is trimming's. */
static bool take_turns(struct worker *worker)
{
    bool turn =
        trim_need(worker->trim) == TRIM_TO_WRITE && (!worker->segment || worker->segment_stepped);
    worker->segment_stepped = worker->segment && !turn;
    return turn;
}

static spn_err trim(struct worker *worker, const struct handoff_node *end, bool turn,
                    struct transaction *done)
{
    if (worker->near_quota && !worker->trim_stuck) {
        spn_err err = trim_oldest(worker->options.journal, trim_count(worker, end), &done->trimmed);
        worker->trim_stuck = err == SPN_OK && done->trimmed == 0;
        trim_cancel(worker->trim);
        return err;
    }
    return turn ? trim_write(worker->trim, TRIM_STEP, &done->trimmed) : SPN_OK;
}

static spn_err step_segment(struct worker *worker, bool *ret_done)
{
    struct record_meta meta = *journal_meta(worker->options.journal);
    uint64_t last = worker->frozen->last_position;
    if (meta.next_position <= last)
        meta.next_position = last + 1;
    database_clock_note(worker->options.clock, &meta);
    uint64_t until_ns = step_end(worker);
    return segment_step(worker->segment, worker->options.journal,
                        worker->options.clock->monotonic_ns, until_ns, &meta, ret_done);
}

/* Each bucket counts what is at most as long, as Prometheus wants it. */
static void count_commit(struct metrics *metrics, uint64_t took_ns)
{
    const struct {
        uint64_t le_ns;
        atomic_uint_fast64_t *bucket;
    } buckets[] = {
        {500000, &metrics->commit_le_500us},   {1 * MS, &metrics->commit_le_1ms},
        {2 * MS, &metrics->commit_le_2ms},     {5 * MS, &metrics->commit_le_5ms},
        {10 * MS, &metrics->commit_le_10ms},   {50 * MS, &metrics->commit_le_50ms},
        {500 * MS, &metrics->commit_le_500ms}, {UINT64_MAX, &metrics->commit_le_inf},
    };
    for (size_t i = 0; i < sizeof(buckets) / sizeof(buckets[0]); i++)
        metrics_add(buckets[i].bucket, took_ns <= buckets[i].le_ns ? 1 : 0);
    metrics_add(&metrics->commits, 1);
    metrics_add(&metrics->commit_ns, took_ns);
}

static spn_err write_transaction(struct worker *worker, const struct handoff_node *end,
                                 struct transaction *done)
{
    struct journal *journal = worker->options.journal;
    bool turn = take_turns(worker);
    spn_err err = journal_begin(journal);
    if (err != SPN_OK)
        return err;
    err = write_batches(worker, end);
    if (err == SPN_OK && worker->segment && !turn)
        err = step_segment(worker, &done->segment_done);
    if (err == SPN_OK)
        err = trim(worker, end, turn, done);
    if (err != SPN_OK) {
        journal_abort(journal);
        return err;
    }
    uint64_t begun_ns = worker->options.clock->monotonic_ns();
    KILL_POINT("before_commit");
    err = journal_commit(journal);
    KILL_POINT_IF(err == SPN_OK, "after_commit");
    uint64_t took_ns = worker->options.clock->monotonic_ns() - begun_ns;
    if (err == SPN_OK)
        count_commit(worker->options.metrics, took_ns);
    worker->commit_mean_ns += took_ns / 8 - worker->commit_mean_ns / 8;
    return err;
}

/* -- after it ---------------------------------------------------------------------------------- */

static void give_back(struct worker *worker, const struct handoff_node *end)
{
    uint64_t durable = 0;
    for (struct handoff_node *node = worker->pending; node != end; node = node->next) {
        const struct batch *batch = (struct batch *)node;
        if (batch->entry_count > 0)
            durable = batch->first_position + batch->entry_count - 1;
    }
    if (durable > 0) {
        atomic_store(&worker->state.durable, durable); /* before looking whether it is watched */
        if (atomic_load(&worker->state.watched))
            handoff_nudge(worker->options.watch);
        metrics_set(&worker->options.metrics->durable_position, durable);
    }
    struct handoff_chain done = {0};
    worker->expected[1] = worker->expected[0];
    worker->expected[0] = 0;
    while (worker->pending != end) {
        struct batch *batch = (struct batch *)pop_work(worker);
        worker->pending_bytes -= batch->bytes;
        worker->pending_batches--;
        worker->pending_ends -= batch->ends ? 1 : 0;
        worker->expected[0] += batch->alone ? 1 : 0;
        handoff_chain_add(&done, &batch->work.node);
    }
    handoff_push_chain(worker->options.back, &done);
}

static void finish_segment(struct worker *worker)
{
    struct metrics *metrics = worker->options.metrics;
    KILL_POINT("segment_done");
    metrics_add(&metrics->segments, 1);
    metrics_add(&metrics->rows_written, segment_rows(worker->segment));
    uint64_t blocks = journal_blocks_written(worker->options.journal);
    metrics_add(&metrics->index_writes,
                segment_rows(worker->segment) + blocks - metrics_get(&metrics->blocks_written));
    metrics_set(&metrics->blocks_written, blocks);
    metrics_add(&metrics->index_entries_written, segment_entries(worker->segment));
    uint64_t checkpoint = journal_meta(worker->options.journal)->checkpoint;
    metrics_set(&metrics->checkpoint_position, checkpoint);
    atomic_store_explicit(&worker->state.checkpoint, checkpoint, memory_order_release);
    segment_free(worker->segment);
    worker->segment = NULL;
    worker->trim_stuck = false;
    deadline_heap_remove(&worker->heap, &worker->early_again);
    trim_look(worker->trim, LOOKED_AT_PER_WRITTEN);
    if (!deadline_is_set(&worker->round))
        deadline_heap_insert(&worker->heap, &worker->round,
                             worker->options.clock->monotonic_ns() + ROUND_AFTER_MS * MS);
    handoff_push(worker->options.back, &worker->frozen->work.node);
    worker->frozen = NULL;
}

static void note_waiting(struct worker *worker)
{
    worker->waited_for = false;
    for (struct handoff_node *node = worker->pending; node; node = node->next)
        if (((struct work *)node)->kind != WORK_BATCH || ((struct batch *)node)->waits)
            worker->waited_for = true;
}

/* A process that was killed while it read would hold pages for ever. */
static void look_after_readers(struct worker *worker)
{
    uint64_t now_ns = worker->options.clock->monotonic_ns();
    if (now_ns - worker->readers_checked_ns < CHECK_READERS_EVERY_MS * MS)
        return;
    worker->readers_checked_ns = now_ns;
    journal_check_readers(worker->options.journal);
    uint64_t free_bytes, reader_lag;
    journal_slack(worker->options.journal, &free_bytes, &reader_lag);
    metrics_set(&worker->options.metrics->database_free_bytes, free_bytes);
    metrics_set(&worker->options.metrics->reader_lag, reader_lag);
}

/* From here on the oldest entries go: a margin of commits below the quota. */
static bool is_near_quota(const struct worker *worker, uint64_t used)
{
    uint64_t quota = worker->options.quota_bytes;
    uint64_t margin = quota / 16;
    if (margin < 2 * WORKER_COMMIT_BYTES_MAX)
        margin = 2 * WORKER_COMMIT_BYTES_MAX;
    return used >= quota - (margin < quota / 4 ? margin : quota / 4);
}

static bool is_names_full(const struct worker *worker)
{
    return journal_names_bytes(worker->options.journal) >= worker->options.quota_bytes / NAMES_PART;
}

static void succeed(struct worker *worker, const struct handoff_node *end,
                    const struct transaction *done)
{
    worker->attempts = 0;
    worker->flush_due = false;
    worker->gathered = false;
    deadline_heap_remove(&worker->heap, &worker->flush);
    deadline_heap_remove(&worker->heap, &worker->gather);
    give_back(worker, end);
    note_waiting(worker);
    if (worker->segment)
        segment_settle(worker->segment, true);
    KILL_POINT_IF(worker->segment && !done->segment_done, "segment_step");
    if (done->segment_done)
        finish_segment(worker);
    KILL_POINT_IF(done->trimmed > 0, "trim_step");
    trim_settle(worker->trim, true);
    metrics_add(&worker->options.metrics->trimmed, done->trimmed);
    look_after_readers(worker);
    uint64_t used, map;
    journal_usage(worker->options.journal, &used, &map);
    worker->near_quota = is_near_quota(worker, used);
    worker->names_full = is_names_full(worker);
    metrics_set(&worker->options.metrics->database_used_bytes, used);
    metrics_set(&worker->options.metrics->database_map_bytes, map);
}

/* Doubles from 10 ms to 500 ms, less up to a quarter, so that many sidecars on a disk that filled
 * up do not all come back at once. */
static uint64_t backoff_ns(struct worker *worker)
{
    unsigned doublings = worker->attempts < 6 ? worker->attempts : 6;
    uint64_t ms = (uint64_t)BACKOFF_FIRST_MS << doublings;
    uint64_t ns = (ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS) * MS;
    worker->random ^= worker->random << 13;
    worker->random ^= worker->random >> 7;
    worker->random ^= worker->random << 17;
    return ns - worker->random % (ns / 4);
}

/* What went wrong may pass: no room, no memory. Anything else only a restart can judge. */
static bool may_pass(spn_err err)
{
    return journal_lacks_room(err) || err == SPN_E_NOMEM;
}

static void fail(struct worker *worker, spn_err err)
{
    metrics_add(&worker->options.metrics->commit_failures, 1);
    note_trouble(worker, err);
    if (worker->segment)
        segment_settle(worker->segment, false);
    trim_settle(worker->trim, false);
    if (!may_pass(err)) {
        atomic_store_explicit(&worker->state.fatal, (unsigned)err, memory_order_release);
        handoff_nudge(worker->options.back);
        return;
    }
    deadline_heap_remove(&worker->heap, &worker->retry);
    deadline_heap_insert(&worker->heap, &worker->retry,
                         worker->options.clock->monotonic_ns() + backoff_ns(worker));
    worker->attempts++;
    metrics_add(&worker->options.metrics->commit_retries, 1);
}

/* Above the quota only segments are written, and the oldest entries go: there is a reserve for
 * that, and the log may not take it, but for what ends sessions. */
static bool is_over_quota(const struct worker *worker)
{
    uint64_t used, map;
    journal_usage(worker->options.journal, &used, &map);
    return used >= worker->options.quota_bytes;
}

/* What ends sessions waits, and what waits before it, with half of the reserve left. */
static bool may_draw_on_reserve(const struct worker *worker)
{
    uint64_t used, map;
    journal_usage(worker->options.journal, &used, &map);
    uint64_t quota = worker->options.quota_bytes;
    return worker->pending_ends > 0 && map > quota && used < quota + (map - quota) / 2;
}

static bool has_batches(const struct worker *worker)
{
    return worker->pending && first_work(worker)->kind == WORK_BATCH;
}

static void commit(struct worker *worker)
{
    bool over = is_over_quota(worker) && !may_draw_on_reserve(worker);
    if (over && !worker->segment && worker->trim_stuck) {
        fail(worker, SPN_E_QUOTA_FULL);
        return;
    }
    struct handoff_node *end = over ? worker->pending : end_of_commit(worker);
    struct transaction done = {0};
    spn_err err = write_transaction(worker, end, &done);
    if (err != SPN_OK) {
        fail(worker, err);
        return;
    }
    succeed(worker, end, &done);
    bool stuck =
        is_over_quota(worker) && done.trimmed == 0 && (has_batches(worker) || worker->trim_stuck);
    note_trouble(worker, stuck ? SPN_E_QUOTA_FULL : SPN_OK);
}

/* -- the loop ---------------------------------------------------------------------------------- */

static uint64_t interval(uint64_t span_ns)
{
    uint64_t part_ns = span_ns / SPAN_PARTS;
    return part_ns > INTERVAL_MS_MIN * MS ? part_ns : INTERVAL_MS_MIN * MS;
}

static uint64_t walk_interval_ns(const struct worker *worker)
{
    return interval(worker->options.session_ttl_ns);
}

/* Some time after a segment was written; by age events die without one. */
static void begin_round(struct worker *worker, uint64_t now_ns)
{
    uint64_t age_max_ns = journal_meta(worker->options.journal)->retention.age_max_ns;
    trim_look_at_all(worker->trim);
    if (age_max_ns > 0)
        deadline_heap_insert(&worker->heap, &worker->round, now_ns + interval(age_max_ns));
}

static void run_due(struct worker *worker)
{
    uint64_t now_ns = worker->options.clock->monotonic_ns();
    struct deadline *due;
    while ((due = deadline_heap_pop(&worker->heap, now_ns)) != NULL)
        if (due == &worker->flush)
            worker->flush_due = true;
        else if (due == &worker->gather)
            worker->gathered = true;
        else if (due == &worker->round)
            begin_round(worker, now_ns);
        else if (due == &worker->walk)
            worker->walking = true; /* the others need no more than to be over */
}

/* -- reading beside the commits ---------------------------------------------------------------- */

static void give_idle(struct worker *worker, struct idle_sessions *found)
{
    found->work.kind = WORK_IDLE;
    handoff_push(worker->options.back, &found->work.node);
}

static spn_err walk_rows(struct worker *worker)
{
    struct idle_sessions *found;
    bool over;
    spn_err err = idle_walk(&worker->idle, step_end(worker), &found, &over);
    if (err != SPN_OK) /* it goes on from where it was */
        return err;
    if (found)
        give_idle(worker, found);
    worker->walking = !over;
    if (over)
        deadline_heap_insert(&worker->heap, &worker->walk,
                             worker->options.clock->monotonic_ns() + walk_interval_ns(worker));
    return SPN_OK;
}

/* A few at a time: what they give back shows when the segment with their ends is written. */
static bool wants_early(const struct worker *worker)
{
    return worker->near_quota && (worker->trim_stuck || worker->names_full) &&
           !deadline_is_set(&worker->early_again);
}

static spn_err walk_early(struct worker *worker)
{
    struct idle_sessions *found;
    bool over;
    spn_err err = early_walk(&worker->early, step_end(worker), &found, &over);
    if (err == SPN_E_NOMEM)
        over = true; /* another time */
    else if (err != SPN_OK)
        return err;
    else if (found)
        give_idle(worker, found);
    if (over || found)
        deadline_heap_insert(&worker->heap, &worker->early_again,
                             worker->options.clock->monotonic_ns() + EARLY_AGAIN_MS * MS);
    return SPN_OK;
}

static bool has_reading(const struct worker *worker)
{
    return !worker->stopping && !deadline_is_set(&worker->reread) &&
           (worker->walking || wants_early(worker) || trim_need(worker->trim) == TRIM_TO_READ);
}

static void read_on(struct worker *worker)
{
    if (!has_reading(worker))
        return;
    spn_err err = worker->walking       ? walk_rows(worker)
                  : wants_early(worker) ? walk_early(worker)
                                        : trim_read(worker->trim, step_end(worker));
    if (err == SPN_E_NOMEM) /* nobody waits for it: not at once, and commits go on */
        deadline_heap_insert(&worker->heap, &worker->reread,
                             worker->options.clock->monotonic_ns() + READ_AGAIN_MS * MS);
    else if (err != SPN_OK)
        fail(worker, err);
}

/* Producers with one batch in flight each answer an acknowledgement with their next batch.
 * Committing the first of them alone would make the others wait for two commits. */
static bool should_gather(struct worker *worker)
{
    size_t expected =
        worker->expected[0] > worker->expected[1] ? worker->expected[0] : worker->expected[1];
    if (worker->gathered || worker->pending_batches >= expected)
        return false;
    if (!deadline_is_set(&worker->gather)) {
        uint64_t wait_ns = worker->commit_mean_ns < GATHER_MAX_MS * MS ? worker->commit_mean_ns
                                                                       : GATHER_MAX_MS * MS;
        deadline_heap_insert(&worker->heap, &worker->gather,
                             worker->options.clock->monotonic_ns() + wait_ns);
    }
    return true;
}

/* True: commit now. False: nothing to do, or not yet; a deadline says when. */
static bool wants_commit(struct worker *worker)
{
    if (deadline_is_set(&worker->retry))
        return false;
    if (worker->segment || (worker->near_quota && !worker->trim_stuck) ||
        trim_need(worker->trim) == TRIM_TO_WRITE)
        return true;
    if (!has_batches(worker))
        return false;
    if (worker->flush_due || worker->pending_bytes >= worker->commit_bytes_max)
        return true;
    if (worker->waited_for || atomic_load_explicit(&worker->state.watched, memory_order_relaxed))
        return !should_gather(worker);
    if (!deadline_is_set(&worker->flush))
        deadline_heap_insert(&worker->heap, &worker->flush,
                             worker->options.clock->monotonic_ns() +
                                 worker->options.flush_interval_ns);
    return false;
}

static void wait_for_work(struct worker *worker)
{
    const struct deadline *next = deadline_heap_first(&worker->heap);
    struct timespec wait = {0};
    if (next) {
        uint64_t now_ns = worker->options.clock->monotonic_ns();
        uint64_t wait_ns = next->due_ns > now_ns ? next->due_ns - now_ns : 0;
        wait.tv_sec = (time_t)(wait_ns / 1000000000u);
        wait.tv_nsec = (long)(wait_ns % 1000000000u);
    }
    struct pollfd queue = {.fd = worker->options.queue->event_fd, .events = POLLIN};
    /* A signal or a spurious wake-up only makes the loop turn once more. */
    int ready = ppoll(&queue, 1, next ? &wait : NULL, NULL);
    (void)ready;
}

static bool is_done(const struct worker *worker)
{
    return (worker->stopping && !worker->pending && !worker->segment) ||
           atomic_load_explicit(&worker->state.fatal, memory_order_relaxed) != SPN_OK;
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    (void)prctl(PR_SET_NAME, "spn-worker");
    while (!is_done(worker)) {
        take_work(worker);
        spn_err err = deadline_is_set(&worker->retry) ? SPN_OK : take_other_work(worker);
        if (err != SPN_OK)
            fail(worker, err);
        run_due(worker);
        read_on(worker);
        if (wants_commit(worker))
            commit(worker);
        else if (!is_done(worker) && !has_reading(worker))
            wait_for_work(worker);
    }
    if (worker->stop)
        handoff_push(worker->options.back, &worker->stop->node);
    return NULL;
}

static void release(struct worker *worker)
{
    trim_free(worker->trim);
    idle_release(&worker->idle);
    early_release(&worker->early);
    deadline_heap_release(&worker->heap);
}

static spn_err prepare(struct worker *worker)
{
    const struct worker_options *options = &worker->options;
    uint64_t now_ns = options->clock->monotonic_ns();
    uint64_t used, map;
    journal_usage(options->journal, &used, &map);
    worker->near_quota = is_near_quota(worker, used);
    worker->commit_bytes_max = WORKER_COMMIT_BYTES_MAX;
    if (worker->commit_bytes_max > options->quota_bytes / 16)
        worker->commit_bytes_max = options->quota_bytes / 16;
    spn_err err = deadline_heap_init(&worker->heap, DEADLINES_MAX);
    if (err == SPN_OK)
        err = trim_new(&worker->trim, options->journal, options->clock);
    if (err == SPN_OK)
        err = idle_init(&worker->idle, options->journal, options->clock, options->session_ttl_ns);
    if (err == SPN_OK)
        err = early_init(&worker->early, options->journal, options->clock);
    worker->names_full = is_names_full(worker);
    if (err != SPN_OK)
        return err;
    deadline_heap_insert(&worker->heap, &worker->round, now_ns + ROUND_FIRST_MS * MS);
    uint64_t walk_ns = walk_interval_ns(worker);
    if (options->session_ttl_ns > 0)
        deadline_heap_insert(&worker->heap, &worker->walk,
                             now_ns +
                                 (walk_ns < WALK_FIRST_MS * MS ? walk_ns : WALK_FIRST_MS * MS));
    return SPN_OK;
}

spn_err worker_start(struct worker *worker, const struct worker_options *options)
{
    *worker = (struct worker){
        .options = *options,
        .flush = DEADLINE_INIT,
        .retry = DEADLINE_INIT,
        .gather = DEADLINE_INIT,
        .round = DEADLINE_INIT,
        .walk = DEADLINE_INIT,
        .early_again = DEADLINE_INIT,
        .reread = DEADLINE_INIT,
        .random = options->clock->monotonic_ns() | 1,
    };
    worker->pending_end = &worker->pending;
    uint64_t checkpoint = journal_meta(options->journal)->checkpoint;
    atomic_init(&worker->state.durable, options->durable);
    atomic_init(&worker->state.checkpoint, checkpoint);
    atomic_init(&worker->state.watched, false);
    metrics_set(&options->metrics->durable_position, options->durable);
    metrics_set(&options->metrics->checkpoint_position, checkpoint);
    spn_err err = prepare(worker);
    if (err == SPN_OK && pthread_create(&worker->thread, NULL, run, worker) != 0)
        err = SPN_E_SYSTEM;
    if (err != SPN_OK)
        release(worker);
    return err;
}

void worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
    segment_free(worker->segment);
    release(worker);
}
