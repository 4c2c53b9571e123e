/* SPDX-License-Identifier: Apache-2.0 */
/* session_cache: which session does an entry of the log belong to?
 *
 * An event has only its session's epoch. The name and the life are in the session's row or, until
 * the index has the session, in the entry that opened it. Both never change for an epoch; what else
 * a row has is as of a checkpoint.
 *
 * Owns     its places: about 350 bytes for each of the sessions that were looked up last.
 * Borrows  the journal's reader, and its snapshot during a call.
 * Lends    a session, until the next call.
 * Threads  the reader's.
 */
#ifndef SPN_SESSION_CACHE_H
#define SPN_SESSION_CACHE_H

#include "store/journal.h"
#include "wire.h"

enum { SESSION_CACHE_PLACES = 4096 }; /* a power of two */

struct cached_session {
    uint64_t epoch;      /* 0: the place is free */
    uint64_t checkpoint; /* the row is as of this one */
    bool gone;           /* deleted as of the row, or buried: then no more is known of it */
    bool given_up;       /* its row was lost to damage */
    uint64_t seq;        /* of its newest event as of the row; 0: none */
    uint64_t bytes;      /* of the session, as of the row */
    struct spn_life life;
    uint8_t name_size;
    uint8_t name[WIRE_SESSION_MAX];
};

struct session_cache {
    struct journal_reader *journal;
    struct cached_session *places; /* NULL: nothing was looked up yet */
};

void session_cache_init(struct session_cache *cache, struct journal_reader *journal);
void session_cache_release(struct session_cache *cache); /* it may be used again */

/* Looks a session up inside a snapshot. fresh: its row is as of this snapshot's checkpoint; else
 * only name and life are needed. SPN_E_NOMEM, SPN_E_IO. */
spn_err session_cache_find(struct session_cache *cache, uint64_t epoch, bool fresh,
                           const struct cached_session **ret_session) SPN_MUST_USE;

static inline struct spn_bytes cached_name(const struct cached_session *session)
{
    return (struct spn_bytes){session->name, session->name_size};
}

#endif
