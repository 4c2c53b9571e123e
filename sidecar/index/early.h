/* SPDX-License-Identifier: Apache-2.0 */
/* early: which sessions expire early when names and rows fill the quota?
 *
 * Near the quota the oldest events are deleted. But an idle session keeps its name and its row
 * until its time to live is over, and enough idle sessions leave no room for anything. Then the
 * sessions that got nothing for the longest time expire early. All rows are looked at once, the
 * sessions idle for longest are remembered, and they are given out a few at a time. As with idle.c
 * the broker decides.
 *
 * Owns     a reader of the journal, and what it remembers.
 * Threads  the worker's.
 */
#ifndef SPN_EARLY_H
#define SPN_EARLY_H

#include "base/clock.h"
#include "base/step.h"
#include "index/idle.h"
#include "store/journal.h"

struct early_session;

struct early {
    struct journal_reader *reader;
    const struct clock *clock;
    struct early_session *oldest; /* during the look a heap, newest first; then ascending */
    size_t count;
    size_t next;    /* to be given out, once all rows were looked at */
    uint64_t rows;  /* looked at so far */
    uint64_t epoch; /* the last one looked at */
    bool looked;    /* all rows were looked at */
};

spn_err early_init(struct early *early, struct journal *journal,
                   const struct clock *clock) SPN_MUST_USE;
void early_release(struct early *early);

/* Continues until the step is over. *ret_found: malloced, the next few sessions to
 * expire, at most a sixteenth of all; or NULL. *ret_over: there are no sessions at all.
 * SPN_E_NOMEM, SPN_E_IO. */
spn_err early_walk(struct early *early, struct step *step, struct idle_sessions **ret_found,
                   bool *ret_over) SPN_MUST_USE;

#endif
