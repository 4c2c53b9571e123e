/* SPDX-License-Identifier: Apache-2.0 */
/* retained: which events of the log does the sidecar still give out?
 *
 * The rule is in the database; how far each session has come, its row says, and the log above the
 * checkpoint, which is read first. Deleted and expired sessions have no row, or one that says so.
 * Age is told by the clock that a sidecar would have that started now.
 *
 * Owns     a journal reader, and 40 bytes for every session it was asked about.
 * Borrows  the journal, until retained_close.
 * Threads  one.
 */
#ifndef SPN_CLI_RETAINED_H
#define SPN_CLI_RETAINED_H

#include "store/journal.h"

struct retained;

enum retained_answer {
    RETAINED_YES,
    RETAINED_NO,      /* the rule hides it */
    RETAINED_DELETED, /* its session is no more */
    RETAINED_UNKNOWN, /* its session's row is damaged: it may be any of these */
};

spn_err retained_open(struct retained **ret_retained, struct journal *journal) SPN_MUST_USE;
void retained_close(struct retained *retained); /* takes NULL */

/* Of an entry that is no event: of its session. */
spn_err retained_ask(struct retained *retained, const struct record_entry *event,
                     enum retained_answer *ret_answer) SPN_MUST_USE;

#endif
