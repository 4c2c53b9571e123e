/* SPDX-License-Identifier: Apache-2.0 */
/* salvage: repairs sessions whose names or rows are damaged.
 *
 * Names and rows hold the same facts twice: a row has its session's name, a name the epoch of its
 * row. So a lost name is written again from the row. A lost row cannot be: nothing else shows the
 * session's state, nor whether it was closed. So its name gets a row that marks the session as
 * given up: it returns SPN_E_CORRUPT, and can be deleted. A session that has lost both is gone from
 * the index.
 *
 * Borrows  the journal, a reader inside a snapshot.
 * Threads  the caller's, before any other runs.
 */
#ifndef SPN_SALVAGE_H
#define SPN_SALVAGE_H

#include "recover/epochs.h"
#include "store/journal.h"

struct salvaged {
    struct epochs given_up; /* the caller releases it */
    uint64_t names;         /* written again */
    uint64_t orphans;       /* rows and names without anything else of their session */
};

/* damaged: epochs of unreadable rows. clock_ns: of the database; the last activity of sessions that
 * are given up. On a full disk nothing is written, and *ret_salvaged is the same as if it had
 * been. */
spn_err salvage_run(struct journal *journal, struct journal_reader *reader,
                    const struct epochs *damaged, uint64_t clock_ns,
                    struct salvaged *ret_salvaged) SPN_MUST_USE;

/* Gives up one session whose entries contradict each other, or are lost. Call it in a snapshot. */
spn_err salvage_give_up(struct journal *journal, struct journal_reader *reader, uint64_t epoch,
                        uint64_t clock_ns) SPN_MUST_USE;

#endif
