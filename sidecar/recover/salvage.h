/* SPDX-License-Identifier: Apache-2.0 */
/* salvage: what is left of sessions whose names or rows damage took.
 *
 * Names and rows say the same twice: a row has its session's name, a name the epoch of its row. So
 * a lost name is written again from the row. A lost row is not: nobody knows where its session
 * stood, nor whether it was closed. Its name gets a row that says so: the session is given up,
 * answers SPN_E_CORRUPT, and can be deleted. What has neither is gone from the index.
 *
 * Borrows  the journal, a reader inside a snapshot.
 * Threads  the caller's, before any other runs.
 */
#ifndef SPN_SALVAGE_H
#define SPN_SALVAGE_H

#include "store/journal.h"

struct salvaged {
    uint64_t *epochs; /* sessions given up; the caller's to free */
    size_t count;
    uint64_t names;   /* written again */
    uint64_t nobodys; /* rows and names that nothing else belongs to */
};

/* damaged: epochs of rows that do not read. clock_ns: of the database; sessions given up were
 * active then. On a full disk nothing is written, and *ret_salvaged is as if it were. */
spn_err salvage_run(struct journal *journal, struct journal_reader *reader, const uint64_t *damaged,
                    size_t damaged_count, uint64_t clock_ns,
                    struct salvaged *ret_salvaged) SPN_MUST_USE;

/* One session whose entries contradict each other, or are lost. In a snapshot. */
spn_err salvage_give_up(struct journal *journal, struct journal_reader *reader, uint64_t epoch,
                        uint64_t clock_ns) SPN_MUST_USE;

#endif
