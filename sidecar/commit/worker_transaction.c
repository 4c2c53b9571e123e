/* SPDX-License-Identifier: Apache-2.0 */
/* worker_transaction: one write transaction, and how its result is handled. */

#include "commit/worker_base.h"
#include "base/kill_point.h"
#include "store/database_clock.h"

/* A change is logged. The broker writes the log and may be asleep. */
static void note_trouble(struct worker *worker, spn_err err)
{
    if (atomic_exchange_explicit(&worker->state.trouble, (unsigned)err, memory_order_relaxed) !=
        (unsigned)err)
        mailbox_nudge(worker->options.broker);
}

/* Every member is named: what is left out would be cleared together with the rest, which costs as
 * much as writing the entry. */
static struct record_entry entry_of(const struct batch *batch, const uint8_t *frame,
                                    const struct batch_entry *from)
{
    bool stored = record_is_stored(from->kind);
    bool named = record_has_name(from->kind);
    size_t type_size = stored ? from->type_size : 0;
    const uint8_t *id = frame + from->offset;
    const uint8_t *extra = id + from->id_size + type_size;
    static const struct spn_life none;
    struct spn_bytes data = {extra + from->extra_size, from->data_size};
    return (struct record_entry){
        .kind = from->kind,
        .closes = from->closes,
        .epoch = from->epoch,
        .seq = from->seq,
        .bytes = from->bytes,
        .markers = from->markers,
        .id_position = stored ? from->id_position : 0,
        .time_ns = batch->time_ns,
        .wall_ms = batch->wall_ms,
        .retry_ms = stored ? from->retry_ms : WIRE_RETRY_NONE,
        .data_hash = stored ? from->data_hash : record_hash(data),
        .life = stored ? none : from->life,
        .name = {frame + (named ? from->name_offset : 0), named ? from->name_size : 0},
        .id = {id, from->id_size},
        .type = {id + from->id_size, type_size},
        .data = data,
        .reason = {extra + from->reason_at, from->reason_size},
        .note = {(const uint8_t *)data.data - from->note_size, from->note_size},
    };
}

static spn_err append_batch(struct journal *journal, const struct batch *batch)
{
    const uint8_t *frame = zmq_msg_data((zmq_msg_t *)(uintptr_t)&batch->frame);
    for (uint32_t i = 0; i < batch->entry_count; i++) {
        struct record_entry entry = entry_of(batch, frame, &batch->entries[i]);
        spn_err err = journal_append(journal, batch->first_position + i, &entry);
        if (err != SPN_OK)
            return err;
    }
    return SPN_OK;
}

/* False: the producer's next batch, in the same transaction, would overwrite the record at once. A
 * batch of expiring sessions has no producer. */
static bool is_last_of_producer(const struct batch *batch, const struct message *end)
{
    const struct message *next = batch->message.next;
    if (!batch->producer)
        return false;
    return next == end || next->kind != MESSAGE_BATCH ||
           ((const struct batch *)next)->producer != batch->producer;
}

/* Returns the node after the pending batches that go into the next transaction. */
static struct message *end_of_commit(const struct worker *worker)
{
    struct message *node = worker->pending;
    size_t bytes = 0;
    while (node && node->kind == MESSAGE_BATCH && bytes < worker->commit_bytes_max) {
        bytes += ((struct batch *)node)->bytes;
        node = node->next;
    }
    return node;
}

static spn_err write_batches(struct worker *worker, const struct message *end)
{
    for (struct message *node = worker->pending; node != end; node = node->next) {
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

/* The database is near its quota from here on. */
static uint64_t quota_mark(const struct worker *worker)
{
    uint64_t quota = worker->options.quota_bytes;
    uint64_t margin = quota / 16;
    if (margin < 2 * WORKER_COMMIT_BYTES_MAX)
        margin = 2 * WORKER_COMMIT_BYTES_MAX;
    return quota - (margin < quota / 4 ? margin : quota / 4);
}

struct step worker_step(const struct worker *worker)
{
    uint64_t step_ns = worker->commit_mean_ns;
    if (step_ns < STEP_MS_MIN * MS)
        step_ns = STEP_MS_MIN * MS;
    if (step_ns > STEP_MS_MAX * MS)
        step_ns = STEP_MS_MAX * MS;
    uint64_t (*now_ns)(void) = worker->options.clock->monotonic_ns;
    return (struct step){.now_ns = now_ns, .until_ns = now_ns() + step_ns};
}

/* Near the quota, more is deleted than was added, so that the database moves away from it; but not
 * much more, however large the events are. What this transaction added is in use already. */
static struct journal_deletion room_to_make(const struct worker *worker, const struct message *end)
{
    uint64_t used, map;
    journal_usage(worker->options.journal, &used, &map);
    uint64_t mark = quota_mark(worker);
    struct journal_deletion room = {
        .count_max = TRIM_STEP,
        .bytes_max = worker->options.quota_bytes / 64 + (used > mark ? used - mark : 0),
    };
    for (struct message *node = worker->pending; node != end; node = node->next)
        room.count_max += ((struct batch *)node)->entry_count;
    return room;
}

/* Trimming by retention and writing a segment take turns, because under full load a segment is
 * always being written. True: it is trimming's turn. */
static bool take_turns(struct worker *worker)
{
    bool turn =
        trim_need(worker->trim) == TRIM_TO_WRITE && (!worker->segment || worker->segment_stepped);
    worker->segment_stepped = worker->segment && !turn;
    return turn;
}

static spn_err trim(struct worker *worker, const struct message *end, bool turn,
                    struct transaction *done)
{
    if (worker->near_quota && !worker->trim_stuck) {
        struct journal_deletion room = room_to_make(worker, end);
        spn_err err = trim_oldest(worker->options.journal, &room);
        done->trimmed = room.count;
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
    struct step step = worker_step(worker);
    return segment_step(worker->segment, worker->options.journal, &step, &meta, ret_done);
}

/* Each bucket counts all commits that took at most its time, as Prometheus requires. */
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

static spn_err write_transaction(struct worker *worker, const struct message *end,
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

/* A process that was killed while reading would hold its pages forever. */
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

spn_err worker_trouble(const struct worker *worker)
{
    return (spn_err)atomic_load_explicit(&worker->state.trouble, memory_order_relaxed);
}

void worker_note_usage(struct worker *worker)
{
    struct metrics *metrics = worker->options.metrics;
    uint64_t used, map;
    journal_usage(worker->options.journal, &used, &map);
    worker->near_quota = used >= quota_mark(worker);
    metrics_set(&metrics->database_used_bytes, used);
    metrics_set(&metrics->database_quota_bytes, worker->options.quota_bytes);
    metrics_set(&metrics->database_map_bytes, map);
}

bool worker_is_names_full(const struct worker *worker)
{
    return journal_names_bytes(worker->options.journal) >= worker->options.quota_bytes / NAMES_PART;
}

static void succeed(struct worker *worker, const struct message *end,
                    const struct transaction *done)
{
    worker->attempts = 0;
    worker->flush_due = false;
    worker->gathered = false;
    deadline_heap_remove(&worker->heap, &worker->flush);
    deadline_heap_remove(&worker->heap, &worker->gather);
    worker_finish_batches(worker, end);
    worker_note_waiting(worker);
    if (worker->segment)
        segment_settle(worker->segment, true);
    KILL_POINT_IF(worker->segment && !done->segment_done, "segment_step");
    if (done->segment_done)
        worker_finish_segment(worker);
    KILL_POINT_IF(done->trimmed > 0, "trim_step");
    trim_settle(worker->trim, true);
    metrics_add(&worker->options.metrics->trimmed, done->trimmed);
    look_after_readers(worker);
    worker_note_usage(worker);
    worker->names_full = worker_is_names_full(worker);
}

/* Doubles from 10 ms to 500 ms, minus a random part of up to a quarter, so that many sidecars on a
 * full disk do not all retry at once. */
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

/* A lack of room or memory may pass. Any other error needs a restart. */
static bool may_pass(spn_err err)
{
    return journal_lacks_room(err) || err == SPN_E_NOMEM;
}

void worker_fail(struct worker *worker, spn_err err)
{
    metrics_add(&worker->options.metrics->commit_failures, 1);
    note_trouble(worker, err);
    if (worker->segment)
        segment_settle(worker->segment, false);
    trim_settle(worker->trim, false);
    if (!may_pass(err)) {
        atomic_store_explicit(&worker->state.fatal, (unsigned)err, memory_order_release);
        mailbox_nudge(worker->options.broker);
        return;
    }
    deadline_heap_remove(&worker->heap, &worker->retry);
    deadline_heap_insert(&worker->heap, &worker->retry,
                         worker->options.clock->monotonic_ns() + backoff_ns(worker));
    worker->attempts++;
    metrics_add(&worker->options.metrics->commit_retries, 1);
}

/* Above the quota, only segments are written and the oldest entries deleted. The map has a reserve
 * for that. The log may use it only for batches that end sessions. */
static bool is_over_quota(const struct worker *worker)
{
    uint64_t used, map;
    journal_usage(worker->options.journal, &used, &map);
    return used >= worker->options.quota_bytes;
}

/* True: a batch that ends sessions, or a generation, is pending, and more than half of the reserve
 * is left. Pending batches before it may then be written, too. */
static bool may_draw_on_reserve(const struct worker *worker)
{
    uint64_t used, map;
    journal_usage(worker->options.journal, &used, &map);
    uint64_t quota = worker->options.quota_bytes;
    return worker->pending_ends > 0 && map > quota && used < quota + (map - quota) / 2;
}

void worker_end_trouble(struct worker *worker)
{
    if (worker_trouble(worker) != SPN_E_QUOTA_FULL || !is_over_quota(worker))
        note_trouble(worker, SPN_OK);
}

void worker_commit(struct worker *worker)
{
    bool over = is_over_quota(worker) && !may_draw_on_reserve(worker);
    if (over && !worker->segment && worker->trim_stuck) {
        worker_fail(worker, SPN_E_QUOTA_FULL);
        return;
    }
    struct message *end = over ? worker->pending : end_of_commit(worker);
    struct transaction done = {0};
    spn_err err = write_transaction(worker, end, &done);
    if (err != SPN_OK) {
        worker_fail(worker, err);
        return;
    }
    succeed(worker, end, &done);
    bool stuck = is_over_quota(worker) && done.trimmed == 0 &&
                 (worker_has_batches(worker) || worker->trim_stuck);
    note_trouble(worker, stuck ? SPN_E_QUOTA_FULL : SPN_OK);
}
