/* SPDX-License-Identifier: Apache-2.0 */
/* worker_queue: the worker's pending work, in order. */

#include <stdlib.h>

#include "commit/worker_base.h"
#include "base/kill_point.h"

/* This may free the room that a full quota waits for, so retry at once. */
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

static void note_work(struct worker *worker, struct message *work)
{
    if (work->kind == MESSAGE_BATCH)
        note_batch(worker, (struct batch *)work);
    else
        worker->waited_for = true;
    if (work->kind == MESSAGE_GENERATION)
        note_ends(worker);
    work->next = NULL;
    *worker->pending_end = work;
    worker->pending_end = &work->next;
}

/* Settings do not wait for the work before them; the newest are all of them. */
static void note_settings(struct worker *worker, struct message *message)
{
    free(worker->settings);
    worker->settings = (struct settings *)message;
}

void worker_take_work(struct worker *worker)
{
    struct message *next;
    for (struct message *work = mailbox_take(worker->options.mailbox); work; work = next) {
        next = work->next;
        if (work->kind == MESSAGE_SETTINGS)
            note_settings(worker, work);
        else
            note_work(worker, work);
    }
}

static struct message *pop_work(struct worker *worker)
{
    struct message *work = worker->pending;
    worker->pending = work->next;
    if (!worker->pending)
        worker->pending_end = &worker->pending;
    return work;
}

spn_err worker_take_other_work(struct worker *worker)
{
    while (worker->pending && worker->pending->kind != MESSAGE_BATCH && !worker->segment) {
        if (worker->pending->kind == MESSAGE_STOP) {
            worker->stop = pop_work(worker);
            worker->stopping = true;
            continue;
        }
        struct generation *generation = (struct generation *)worker->pending;
        uint32_t number = journal_meta(worker->options.journal)->segment + 1;
        spn_err err = segment_new(&worker->segment, generation, number);
        if (err != SPN_OK)
            return err;
        worker->frozen = (struct generation *)pop_work(worker);
        worker->pending_ends--;
    }
    return SPN_OK;
}

void worker_finish_batches(struct worker *worker, const struct message *end)
{
    uint64_t durable = 0;
    for (struct message *node = worker->pending; node != end; node = node->next) {
        const struct batch *batch = (struct batch *)node;
        if (batch->entry_count > 0)
            durable = batch->first_position + batch->entry_count - 1;
    }
    if (durable > 0) {
        atomic_store(&worker->state.durable, durable); /* before reading watched */
        if (atomic_load(&worker->state.watched))
            mailbox_nudge(worker->options.reader);
        metrics_set(&worker->options.metrics->durable_position, durable);
    }
    struct message_chain done = {0};
    worker->expected[1] = worker->expected[0];
    worker->expected[0] = 0;
    while (worker->pending != end) {
        struct batch *batch = (struct batch *)pop_work(worker);
        worker->pending_bytes -= batch->bytes;
        worker->pending_batches--;
        worker->pending_ends -= batch->ends ? 1 : 0;
        worker->expected[0] += batch->alone ? 1 : 0;
        message_chain_add(&done, &batch->message);
    }
    mailbox_put_chain(worker->options.broker, &done);
}

void worker_finish_segment(struct worker *worker)
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
    mailbox_put(worker->options.broker, &worker->frozen->message);
    worker->frozen = NULL;
}

void worker_note_waiting(struct worker *worker)
{
    worker->waited_for = false;
    for (struct message *node = worker->pending; node; node = node->next)
        if (node->kind != MESSAGE_BATCH || ((struct batch *)node)->waits)
            worker->waited_for = true;
}

bool worker_has_batches(const struct worker *worker)
{
    return worker->pending && worker->pending->kind == MESSAGE_BATCH;
}
