/* SPDX-License-Identifier: Apache-2.0 */
/* idle: which sessions were not published to for too long?
 *
 * Each row has the time of the session's last activity. The rows are walked in order, a little at a
 * time: there is no timer per session, and no write per event. Only the broker knows what happened
 * after a row was written, so the broker decides.
 *
 * Owns     a reader of the journal, and its place in the walk.
 * Threads  the worker's.
 */
#ifndef SPN_IDLE_H
#define SPN_IDLE_H

#include "base/clock.h"
#include "base/step.h"
#include "base/mailbox.h"
#include "store/journal.h"
#include "wire.h"

/* A session without activity for its whole time to live, by its row. */
struct idle_session {
    uint64_t epoch;
    struct spn_life life;
    struct record_extent extent;
    uint8_t name_size;
    uint8_t name[WIRE_SESSION_MAX];
};

enum { IDLE_SESSIONS_MAX = 1024 };

struct idle_sessions {
    struct message message;
    bool early; /* they expire before their time, since the quota is full */
    size_t count;
    struct idle_session sessions[IDLE_SESSIONS_MAX];
};

struct idle {
    struct journal_reader *reader;
    const struct clock *clock;
    uint64_t ttl_ns; /* 0: sessions do not expire */
    uint64_t epoch;  /* the last one looked at */
};

/* Puts a session into a list that has room. */
void idle_note(struct idle_sessions *found, uint64_t epoch, const struct record_row *row);

spn_err idle_init(struct idle *idle, struct journal *journal, const struct clock *clock,
                  uint64_t ttl_ns) SPN_MUST_USE;
void idle_release(struct idle *idle);

/* Continues until the step is over, the list is full, or the walk is over; the next walk
 * then begins anew. *ret_found: malloced, or NULL if there are none. Damaged rows are skipped.
 * SPN_E_NOMEM, SPN_E_IO. */
spn_err idle_walk(struct idle *idle, struct step *step, struct idle_sessions **ret_found,
                  bool *ret_over) SPN_MUST_USE;

#endif
