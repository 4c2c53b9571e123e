/* SPDX-License-Identifier: Apache-2.0 */
/* timeline: one session's durable events and markers in order, wherever they are known.
 *
 * The index on disk has the older ones, the generations have the newer ones. If both have an event,
 * they agree. A timeline is based on one snapshot of the database, taken after the broker gave the
 * view, so that no event falls between the two.
 *
 * What the retention rule hides counts as gone, whether or not it was trimmed yet.
 *
 * Borrows  the reader inside its snapshot, the view; both must outlive it.
 * Threads  the reader's.
 */
#ifndef SPN_TIMELINE_H
#define SPN_TIMELINE_H

#include "store/journal.h"
#include "index/view.h"

struct timeline {
    struct journal_reader *reader;
    const struct view *view; /* of the epoch that holds in this snapshot; borrowed */
    uint64_t epoch;
    struct spn_life life;
    uint64_t seq_before;       /* the life's first seq - 1 */
    struct view_part parts[2]; /* only what is durable in this snapshot; borrowed references */
    uint32_t segment;          /* newest on disk; 0: none */
    uint64_t seq_last;         /* newest durable event; 0: none */
    uint64_t position_last;    /* of that event, or of the entry that opened the session */
    struct record_row row;     /* bytes: valid in the snapshot. All zeros if there is none yet */
    bool has_row;
    bool closed;             /* by a durable entry, ... */
    struct spn_bytes reason; /* ... which gave this reason; valid in the snapshot */
};

/* SPN_E_UNKNOWN_SESSION: nothing of the session is durable. SPN_E_CORRUPT, SPN_E_IO. */
spn_err timeline_open(struct timeline *timeline, struct journal_reader *reader,
                      const struct view *view) SPN_MUST_USE;

/* The first event from seq_from on that is retained now; the seq after the newest: there is none.
 * Costs two values if seq_from itself is retained, else a binary search. SPN_E_CORRUPT: retention
 * did not delete what is missing before it (absence.h). Where an earlier rule kept less, events
 * that it spared by chance, between others that it deleted, may be skipped. */
spn_err timeline_retained(const struct timeline *timeline, uint64_t seq_from, uint64_t now_ns,
                          uint64_t *ret_seq) SPN_MUST_USE;

/* The same, with the positions of that event and the following ones. */
spn_err timeline_read_retained(const struct timeline *timeline, uint64_t seq_from, uint64_t now_ns,
                               size_t count_max, uint64_t *positions, uint64_t *ret_first,
                               size_t *ret_count) SPN_MUST_USE;

/* timeline_positions.c: positions of the events from seq_from on, at most count_max. *ret_first is
 * the seq of the first one, higher than seq_from if the events before it are gone. *ret_count 0:
 * there is none. */
spn_err timeline_positions(const struct timeline *timeline, uint64_t seq_from, size_t count_max,
                           uint64_t *positions, uint64_t *ret_first,
                           size_t *ret_count) SPN_MUST_USE;

/* The newest event with this id, if it is retained now: an event that the rule hides is not found,
 * whether or not it was trimmed yet. fingerprint: low 32 bits. SPN_E_UNKNOWN_ID. */
spn_err timeline_find(const struct timeline *timeline, struct spn_bytes id, uint32_t fingerprint,
                      uint64_t now_ns, uint64_t *ret_seq) SPN_MUST_USE;

/* How many events of this epoch are not retained now. */
spn_err timeline_missing(const struct timeline *timeline, uint64_t now_ns,
                         uint64_t *ret_count) SPN_MUST_USE;

/* The id in force after the newest entry, which the caller has read: its own id, or an earlier one
 * if the entry leaves that in force. Bytes: valid in the snapshot. SPN_E_END: the entry with the id
 * was trimmed; a row that is ahead of the timeline has a later id. */
spn_err timeline_last_id(const struct timeline *timeline, const struct record_entry *newest,
                         struct spn_bytes *ret_id) SPN_MUST_USE;

/* The session's tracker, with its window as it was. The caller owns it. SPN_E_NOMEM. */
spn_err timeline_tracker(const struct timeline *timeline, struct spn_bytes name,
                         uint16_t window_max, const uint8_t *secret,
                         struct tracker **ret_tracker) SPN_MUST_USE;

/* The same for the session of this view and name. *ret_epoch: the epoch that has the name on disk;
 * 0: none has, or it has ended since. *ret_tracker: only if that is the view's epoch. */
spn_err timeline_load_tracker(struct journal_reader *reader, const struct view *view,
                              struct spn_bytes name, uint16_t window_max, const uint8_t *secret,
                              uint64_t *ret_epoch, struct tracker **ret_tracker) SPN_MUST_USE;

#endif
