/* SPDX-License-Identifier: Apache-2.0 */
/* rescued: what is known of each session of a damaged database.
 *
 * A row has a session's state as of the checkpoint, and the entries above it follow. Of a session
 * whose row is lost, all entries that are left are taken. A session that has neither a row nor a
 * name, where none of either is lost, was deleted.
 *
 * Owns     its sessions.
 * Borrows  bytes of values: until rescued_release.
 * Errors   SPN_E_NOMEM.
 * Threads  one.
 */
#ifndef SPN_RESCUED_H
#define SPN_RESCUED_H

#include "base/slot_index.h"
#include "store/journal.h"

struct rescued_session {
    uint64_t epoch;
    struct record_row row; /* its bytes are those of values */
    struct record_attributes attributes;
    bool has_row;           /* else it is made of entries */
    bool named;             /* the names have it */
    bool dead;              /* deleted, expired, or of an earlier life of its name */
    uint64_t holes_written; /* markers, in the place of seqs that are lost */
    uint32_t segment;       /* the newest with a block of it; 0: none */
    uint32_t before;        /* the one before that */
    /* Of the newest entry with a seq that was looked at, or written. */
    struct record_entry newest;
    uint64_t position; /* 0: there was none */
};

struct rescued {
    struct rescued_session *sessions;
    size_t count;
    size_t room;
    struct slot_index by_epoch;
    uint64_t checkpoint;
    uint64_t newest_ns; /* the latest moment of the database's clock that was met, ... */
    uint64_t newest_ms; /* ... and the wall clock's of the same */
};

spn_err rescued_init(struct rescued *rescued) SPN_MUST_USE;
void rescued_release(struct rescued *rescued);

/* NULL: there is none. Valid until the next one is added. */
struct rescued_session *rescued_find(const struct rescued *rescued, uint64_t epoch);
/* Makes it if there is none. */
spn_err rescued_add(struct rescued *rescued, uint64_t epoch,
                    struct rescued_session **ret_session) SPN_MUST_USE;

/* Takes a row: the newer of two. */
spn_err rescued_take_row(struct rescued *rescued, uint64_t epoch,
                         const struct record_row *row) SPN_MUST_USE;
spn_err rescued_take_name(struct rescued *rescued, struct spn_bytes name,
                          uint64_t epoch) SPN_MUST_USE;

/* Takes the next entry of the log, in the order of positions. */
void rescued_follow(struct rescued *rescued, struct rescued_session *session, uint64_t position,
                    const struct record_entry *entry);

/* Marks as dead all lives of a name but the newest. */
spn_err rescued_bury_earlier(struct rescued *rescued) SPN_MUST_USE;

#endif
