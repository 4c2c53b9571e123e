/* SPDX-License-Identifier: Apache-2.0 */
/* log_walk: the log from a position on, in slices, read beside a running sidecar.
 *
 * A snapshot keeps LMDB from using pages again for as long as it lasts, so none lasts longer than
 * it takes to copy one slice: at most 256 entries looked at, or 1 MiB copied (a larger entry
 * alone). Writing a slice to a slow pipe happens between snapshots. The walk ends at what was the
 * newest entry when it began.
 *
 * Owns     a journal reader, the copy of one slice, and the names of the last few thousand sessions
 *          it met.
 * Borrows  the journal, until log_walk_close.
 * Lends    a slice: until the next call.
 * Threads  one.
 */
#ifndef SPN_CLI_LOG_WALK_H
#define SPN_CLI_LOG_WALK_H

#include "store/journal.h"

struct log_walk;

struct log_item {
    uint64_t position;
    struct spn_bytes session; /* its name; data NULL: there is neither a row nor an open entry */
    struct record_entry entry;
};

/* only: entries of the session with this name; size 0: of all. Copied.
 * from: the first position wanted. LOG_WALK_ABOVE_CHECKPOINT: what rows do not know yet. */
#define LOG_WALK_ABOVE_CHECKPOINT UINT64_MAX
spn_err log_walk_open(struct log_walk **ret_walk, struct journal *journal, struct spn_bytes only,
                      uint64_t from) SPN_MUST_USE;
void log_walk_close(struct log_walk *walk); /* takes NULL */

/* The next slice; it may be empty before the end. SPN_E_END: that was all. SPN_E_CORRUPT: too much
 * in a row is damaged to go on. */
spn_err log_walk_next(struct log_walk *walk, const struct log_item **ret_items,
                      size_t *ret_count) SPN_MUST_USE;

/* Entries left out so far because their checksum does not fit, and the first position of these. */
uint64_t log_walk_damaged(const struct log_walk *walk, uint64_t *ret_first);

/* Whether the database has a row for this name. SPN_E_END: no. */
spn_err log_walk_find(struct log_walk *walk, struct spn_bytes name) SPN_MUST_USE;

#endif
