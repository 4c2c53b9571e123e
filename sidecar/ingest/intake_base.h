/* SPDX-License-Identifier: Apache-2.0 */
/* intake_base: what the files about batches do for each other.
 *
 * intake.c decides what becomes of each number of a batch. intake_condition.c compares conditions
 * with sessions. intake_session.c opens and ends sessions. intake_spans.c takes
 * attributes and touches. intake_batch.c makes what goes to the worker.
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
    bool waits; /* a number of it has a result that is sent only when it is durable */
};

/* Returns the entry in the batch. */
static inline struct batch_entry *intake_put_entry(struct taking *taking,
                                                   const struct batch_entry *entry)
{
    struct broker_state *state = taking->intake->state;
    struct batch *batch = taking->batch;
    if (batch->entry_count == 0)
        batch->first_position = state->next_position;
    struct batch_entry *put = &batch->entries[batch->entry_count++];
    *put = *entry;
    state->next_position++;
    state->active->bytes += RECORD_ENTRY_HEAD + RECORD_ENTRY_OVERHEAD + (size_t)entry->id_size +
                            entry->type_size + entry->data_size + entry->reason_size +
                            entry->note_size;
    return put;
}

static inline uint32_t intake_offset_of(const struct taking *taking, struct spn_bytes bytes)
{
    return (uint32_t)((const uint8_t *)bytes.data - taking->frame);
}

/* intake_condition.c */

/* The slot of an entry's session, which is added if *ret_slot is SLOT_NONE. SPN_E_NOMEM. */
spn_err intake_make_slot(struct intake *intake, uint32_t i, uint32_t *ret_slot) SPN_MUST_USE;

/* The slot of an entry's session if it has a tracker by now, else SLOT_NONE. */
uint32_t intake_find(const struct intake *intake, uint32_t i);
struct tracker *intake_tracker(const struct intake *intake,
                               uint32_t slot); /* NULL: there is none */

/* Whether an entry has a condition, or closes its session: its result, whatever it is, is sent only
 * when it is durable. */
bool intake_is_decisive(const struct wire_entry *entry);

/* tracker: of the entry's session; NULL: it has none. SPN_E_CORRUPT: the session was given up, and
 * the entry does not delete it. SPN_E_DEPENDENT, SPN_E_UNKNOWN_SESSION, SPN_E_OTHER_LIFE,
 * SPN_E_CONDITION: that condition does not hold. */
spn_err intake_check_conditions(const struct taking *taking, const struct wire_entry *entry,
                                const struct tracker *tracker) SPN_MUST_USE;

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
/* An event of this session goes into the log, and its tracker is that far: notes the activity. */
void intake_note_event(struct taking *taking, uint32_t slot, const struct tracker *tracker,
                       bool closes);
/* The slot of the session that a close, a delete or a touch names, if its conditions hold. */
spn_err intake_find_meant(const struct taking *taking, uint32_t i, uint32_t *ret_slot);
spn_err intake_take_close(struct taking *taking, uint32_t i, uint64_t number);
spn_err intake_take_delete(struct taking *taking, uint32_t i);

/* intake_spans.c */

spn_err intake_take_touch(struct taking *taking, uint32_t i);
spn_err intake_take_attributes(struct taking *taking, uint32_t i);

#endif
