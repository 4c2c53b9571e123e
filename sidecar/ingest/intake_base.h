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

/* intake_batch.c */

void intake_put_entry(struct taking *taking, const struct batch_entry *entry);
uint32_t intake_offset_of(const struct taking *taking, struct spn_bytes bytes);

/* producer: NULL for a batch without numbers. */
struct batch *intake_new_batch(struct intake *intake, struct producer *producer, size_t entries);

/* Notes what the producers' table will say once this batch is on disk. spare: memory for
 * RECORD_RUNS_MAX runs, taken over if there is no other, and then set to NULL. NULL: there is none.
 * SPN_E_NOMEM: unchanged. */
spn_err intake_write_record(struct batch *batch, const struct producer *producer,
                            struct record_run **spare);

/* intake_session.c */

/* The first event or marker of a session opens it: an entry with its name, whose position is its
 * epoch. */
void intake_open_session(struct taking *taking, struct tracker *tracker, uint32_t slot,
                         struct spn_bytes name);
spn_err intake_take_close(struct taking *taking, uint32_t i, uint64_t number);
spn_err intake_take_delete(struct taking *taking, uint32_t i);

#endif
