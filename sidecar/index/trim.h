/* SPDX-License-Identifier: Apache-2.0 */
/* trim: deletes from disk what retention hides.
 *
 * There are two ways. Under the quota the oldest entries of any session go, and blocks once a
 * segment has no entry left. Under the rule a segment is looked at: its blocks and the rows show
 * which of its events are still retained. If at least a quarter is not, all its entries but the
 * retained events are deleted in the order of the log, and then the blocks that have no event left.
 * Entries that are no events are not needed once the segment is complete. Nothing above the
 * checkpoint is ever deleted.
 *
 * A trim that a crash interrupts is found again: what it deleted was hidden before, and what it
 * left is still hidden.
 *
 * Owns     a reader of the journal, and its notes on one segment.
 * Threads  the worker's.
 */
#ifndef SPN_TRIM_H
#define SPN_TRIM_H

#include "base/clock.h"
#include "base/step.h"
#include "store/journal.h"

struct trim;

spn_err trim_new(struct trim **ret_trim, struct journal *journal,
                 const struct clock *clock) SPN_MUST_USE;
void trim_free(struct trim *trim); /* takes NULL */

/* Adds so many segments to be looked at, one after another; after the newest it begins with the
 * oldest again. */
void trim_look(struct trim *trim, size_t segments);
/* Looks at every segment once; does nothing while one is being looked at. */
void trim_look_at_all(struct trim *trim);
/* Forgets the segment that is being looked at: trim_oldest may have dropped it. */
void trim_cancel(struct trim *trim);

enum trim_need { TRIM_NOTHING, TRIM_TO_READ, TRIM_TO_WRITE };
enum trim_need trim_need(const struct trim *trim);

/* TRIM_TO_READ: continues until the step is over, outside of a transaction. A segment
 * that does not read back is skipped. SPN_E_NOMEM: the segment becomes the next one again. */
spn_err trim_read(struct trim *trim, struct step *step) SPN_MUST_USE;

/* TRIM_TO_WRITE: deletes at most count_max entries or blocks, inside the journal's transaction, and
 * passes at most eight times as many entries that stay. */
spn_err trim_write(struct trim *trim, size_t count_max, size_t *ret_trimmed) SPN_MUST_USE;
/* That transaction was committed, or not: then the step is repeated. If there was no step since the
 * last call, nothing happens. */
void trim_settle(struct trim *trim, bool committed);

/* Inside the journal's transaction: deletes the oldest entries and blocks until the deletion is
 * over. Blocks count as entries without bytes. deletion->count 0: nothing may be deleted. */
spn_err trim_oldest(struct journal *journal, struct journal_deletion *deletion) SPN_MUST_USE;

#endif
