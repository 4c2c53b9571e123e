/* SPDX-License-Identifier: Apache-2.0 */
/* log_walk: reads the log from a position on, in slices, while a sidecar may be running.
 *
 * While a snapshot is open, LMDB cannot reuse pages. So a snapshot lasts only as long as it takes
 * to copy one slice: at most 256 entries read, or 1 MiB copied (a larger entry alone). A slice is
 * written to a slow pipe between snapshots. The walk ends at the entry that was the newest when it
 * began.
 *
 * Owns     a journal reader, the copy of one slice, and the names of the last few thousand sessions
 *          that it found.
 * Borrows  the journal, until log_walk_close.
 * Lends    a slice: valid until the next call.
 * Threads  one.
 */
#ifndef SPN_CLI_LOG_WALK_H
#define SPN_CLI_LOG_WALK_H

#include "store/journal.h"

struct log_walk;

struct log_item {
    uint64_t position;
    struct spn_bytes session; /* its name; data NULL: it has neither a row nor an opening entry */
    struct spn_life life;     /* the session's; zeros: not known */
    struct record_entry entry;
};

/* only: only entries of sessions with this name; size 0: all entries. Copied. from: the first
 * position. LOG_WALK_ABOVE_CHECKPOINT: the entries that rows do not include yet. */
#define LOG_WALK_ABOVE_CHECKPOINT UINT64_MAX
spn_err log_walk_open(struct log_walk **ret_walk, struct journal *journal, struct spn_bytes only,
                      uint64_t from) SPN_MUST_USE;
void log_walk_close(struct log_walk *walk); /* takes NULL */

/* Reads the next slice, which may be empty before the end. SPN_E_END: there are no more.
 * SPN_E_CORRUPT: too many damaged places in a row to continue. */
spn_err log_walk_next(struct log_walk *walk, const struct log_item **ret_items,
                      size_t *ret_count) SPN_MUST_USE;

/* The number of damaged entries left out so far, and the first position of these. */
uint64_t log_walk_damaged(const struct log_walk *walk, uint64_t *ret_first);

/* How far the walk is, and the last position that it will come to. 0 before the first slice. */
uint64_t log_walk_position(const struct log_walk *walk, uint64_t *ret_last);

/* SPN_OK: the database has this name. SPN_E_END: it does not. */
spn_err log_walk_find(struct log_walk *walk, struct spn_bytes name) SPN_MUST_USE;

/* Hands each entry that rows do not include yet to `take`, in order, until that fails.
 * *ret_damaged: how many were left out. */
typedef spn_err log_walk_take(void *context, const struct log_item *item);
spn_err log_walk_above_checkpoint(struct journal *journal, log_walk_take *take, void *context,
                                  uint64_t *ret_damaged) SPN_MUST_USE;

/* For tables of sessions by their epochs. */
static inline uint64_t log_walk_hash(uint64_t epoch)
{
    epoch *= UINT64_C(0x9E3779B97F4A7C15);
    return epoch ^ epoch >> 32;
}

#endif
