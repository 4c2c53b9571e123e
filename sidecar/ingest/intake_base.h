/* SPDX-License-Identifier: Apache-2.0 */
/* intake_base: what the files about batches do for each other.
 *
 * intake.c decides what becomes of each number of a batch. intake_session.c opens and ends
 * sessions. intake_batch.c makes what goes to the worker.
 */
#ifndef SPN_INTAKE_BASE_H
#define SPN_INTAKE_BASE_H

#include "ingest/intake.h"

/* The batch that is being put together. */
struct taking {
    struct intake *intake;
    struct producer *producer;
    struct batch *batch;
    const uint8_t *frame;
    bool refused; /* a number of it */
};

static inline void intake_put_entry(struct taking *taking, const struct batch_entry *entry)
{
    struct broker_state *state = taking->intake->state;
    struct batch *batch = taking->batch;
    if (batch->entry_count == 0)
        batch->first_position = state->next_position;
    batch->entries[batch->entry_count++] = *entry;
    state->next_position++;
    state->active->bytes += RECORD_ENTRY_HEAD + RECORD_ENTRY_OVERHEAD + (size_t)entry->id_size +
                            entry->type_size + entry->data_size + entry->reason_size +
                            entry->note_size;
}

static inline uint32_t intake_offset_of(const struct taking *taking, struct spn_bytes bytes)
{
    return (uint32_t)((const uint8_t *)bytes.data - taking->frame);
}

/* intake_batch.c */

/* producer: NULL for a batch without numbers. */
struct batch *intake_new_batch(struct intake *intake, struct producer *producer, size_t entries);

/* Notes what the producers' table will say once this batch is on disk. spare: memory for
 * RECORD_RUNS_MAX runs, taken over if there is no other, and then set to NULL. NULL: there is none.
 * SPN_E_NOMEM: unchanged. */
spn_err intake_write_record(struct batch *batch, const struct producer *producer,
                            struct record_run **spare);

/* intake_session.c */

/* Draws lives for as many sessions as a batch may open. SPN_E_SYSTEM: there is no randomness. */
spn_err intake_draw_lives(struct intake *intake, uint32_t count) SPN_MUST_USE;
/* The first event or marker of a session opens it: an entry with its name, whose position is its
 * epoch. */
void intake_open_session(struct taking *taking, struct tracker *tracker, uint32_t slot,
                         struct spn_bytes name);
spn_err intake_take_close(struct taking *taking, uint32_t i, uint64_t number);
spn_err intake_take_delete(struct taking *taking, uint32_t i);

#endif
