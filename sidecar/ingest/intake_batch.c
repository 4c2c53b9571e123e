/* SPDX-License-Identifier: Apache-2.0 */
/* intake_batch: makes what goes to the worker: batches with events and batches without. */
#include <stdlib.h>
#include <string.h>

#include "ingest/intake_base.h"

struct batch *intake_new_batch(struct intake *intake, struct producer *producer, size_t entries)
{
    struct batch *batch = malloc(sizeof(*batch) + entries * sizeof(batch->entries[0]));
    if (!batch)
        return NULL;
    *batch = (struct batch){
        .message.kind = MESSAGE_BATCH,
        .bytes = sizeof(*batch) + entries * sizeof(batch->entries[0]),
        .producer = producer,
        .time_ns = clock_database_ns(intake->clock),
        .wall_ms = intake->clock->wall_ms(),
    };
    if (producer)
        memcpy(batch->producer_id, producer->id, sizeof(batch->producer_id));
    zmq_msg_init(&batch->frame);
    return batch;
}

static struct record_run *memory_for_runs(size_t size, struct record_run **spare)
{
    struct record_run *runs = malloc(size);
    if (runs || !spare)
        return runs;
    runs = *spare;
    *spare = NULL;
    return runs;
}

spn_err intake_write_record(struct batch *batch, const struct producer *producer,
                            struct record_run **spare)
{
    size_t size = producer->run_count * sizeof(*producer->runs);
    struct record_run *runs = size > 0 ? memory_for_runs(size, spare) : NULL;
    if (size > 0 && !runs)
        return SPN_E_NOMEM;
    batch->record = (struct record_producer){
        .token = producer->token,
        .number = producer->accepted,
        .base = producer->base,
        .time_ns = batch->time_ns,
        .runs = runs,
        .run_count = producer->run_count,
        .kept = producer->kept,
        .uid = producer->uid,
    };
    if (runs)
        memcpy(runs, producer->runs, size);
    batch->bytes += size;
    return SPN_OK;
}

struct batch *intake_producer_batch(struct intake *intake, struct producer *producer)
{
    struct batch *batch = intake_new_batch(intake, producer, 0);
    if (!batch)
        return NULL;
    batch->waits = true;
    if (intake_write_record(batch, producer, NULL) == SPN_OK)
        return batch;
    batch_free(batch);
    return NULL;
}

struct batch *intake_forget_batch(struct intake *intake, const struct producer *producer)
{
    struct batch *batch = intake_new_batch(intake, NULL, 0);
    if (!batch)
        return NULL;
    batch->forgets = true;
    batch->ends = true;
    memcpy(batch->producer_id, producer->id, sizeof(batch->producer_id));
    return batch;
}
