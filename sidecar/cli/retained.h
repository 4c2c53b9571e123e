/* SPDX-License-Identifier: Apache-2.0 */
/* retained: which events of the log does the sidecar still deliver?
 *
 * The rule is in the database. How far each session has come is in its row and in the log above the
 * checkpoint, which is read first. Deleted and expired sessions have no row, or one that is marked
 * so. Age is measured by the clock that a sidecar would have if it started now.
 *
 * Owns     a journal reader, and 40 bytes for every session that was looked up.
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
    RETAINED_DELETED, /* its session is gone */
    RETAINED_UNKNOWN, /* its session's row is damaged: it may be any of the above */
};

spn_err retained_open(struct retained **ret_retained, struct journal *journal) SPN_MUST_USE;
void retained_close(struct retained *retained); /* takes NULL */

/* For an entry that is not an event, the answer is about its session. */
spn_err retained_ask(struct retained *retained, const struct record_entry *event,
                     enum retained_answer *ret_answer) SPN_MUST_USE;

#endif
