/* SPDX-License-Identifier: Apache-2.0 */
/* scan: reads the log forward, entry after entry, for somebody who follows all of it.
 *
 * Each scan has a position of its own. Entries that were trimmed before the scan reached them, or
 * do not read, are reported as missing: whoever needs them reads them through the index.
 *
 * Borrows  the journal's reader, and its snapshot during scan_next.
 * Lends    entries, until the snapshot ends.
 * Threads  the reader's.
 */
#ifndef SPN_SCAN_H
#define SPN_SCAN_H

#include "store/journal.h"

enum scan_found {
    SCAN_ENTRY,
    SCAN_MISSING, /* entries before the next one are gone */
    SCAN_DAMAGED, /* entries are there, but do not read */
    SCAN_END,     /* there is no more in this snapshot, or the disk does not answer */
};

struct scan {
    struct journal_reader *journal;
    uint64_t position; /* all entries up to it were reported */
};

/* Starts after the entry at this position, or after the newest one of the snapshot if that is
 * earlier. Call it inside a snapshot. */
void scan_start(struct scan *scan, uint64_t after);

/* Reports what comes next, and moves on past it. Call it inside a snapshot. *ret_entry, whose
 * position is scan->position: only for SCAN_ENTRY. */
enum scan_found scan_next(struct scan *scan, struct record_entry *ret_entry);

#endif
