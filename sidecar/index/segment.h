/* SPDX-License-Identifier: Apache-2.0 */
/* segment: a frozen generation on its way to disk.
 *
 * However many events a session got in the generation, it costs one row and, as a rule, one block.
 * It is written in steps, between the commits of events:
 *
 *   1. names of the sessions opened in it, in order of the names
 *   2. per session, in order of their epochs: blocks, a few at a time, then the row, once
 *   3. meta: the checkpoint moves
 *   4. names and rows of sessions that were deleted in it go
 *
 * Until step 3 is on disk none of it counts: the next start deletes blocks above meta.segment, and
 * a row also names the segment before and the entry that closed or deleted the session. After step
 * 3, the next start buries the rows of deleted sessions that step 4 did not reach.
 *
 * Owns     its notes on how far it is; borrows the generation, which must stay.
 * Threads  the worker's.
 */
#ifndef SPN_SEGMENT_H
#define SPN_SEGMENT_H

#include <stdbool.h>

#include "base/step.h"
#include "index/generation.h"
#include "store/journal.h"

struct segment;

/* number: one more than the newest complete segment's. SPN_E_NOMEM. */
spn_err segment_new(struct segment **ret_segment, const struct generation *generation,
                    uint32_t number) SPN_MUST_USE;
void segment_free(struct segment *segment); /* takes NULL */

/* Continues inside the journal's transaction until it is done or the step is over. A session with
 * more than 1,024 events takes several. meta: what to store when done; checkpoint and segment are
 * filled in here. */
spn_err segment_step(struct segment *segment, struct journal *journal, struct step *step,
                     const struct record_meta *meta, bool *ret_done) SPN_MUST_USE;

/* Deletes the row of a deleted session, and its name if no later one has it. */
spn_err segment_bury(struct journal *journal, uint64_t epoch) SPN_MUST_USE;

/* The transaction of the steps since the last call was committed, or not: then they are redone. */
void segment_settle(struct segment *segment, bool committed);

/* Rows and index entries written and committed. */
uint64_t segment_rows(const struct segment *segment);
uint64_t segment_entries(const struct segment *segment);

#endif
