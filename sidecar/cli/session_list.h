/* SPDX-License-Identifier: Apache-2.0 */
/* session_list: the sessions of a database, without a sidecar.
 *
 * Rows are complete up to the checkpoint; later changes are in the log above it. So that part of
 * the log is read first, and applied to the rows while they are read in the order of their names.
 * Rows are read in pages, each in a short snapshot.
 *
 * Owns     one record for each session touched since the checkpoint (the sidecar bounds how many),
 *          and one page of rows.
 * Borrows  the journal, until session_list_close.
 * Lends    a session: valid until the next call.
 * Threads  one.
 */
#ifndef SPN_CLI_SESSION_LIST_H
#define SPN_CLI_SESSION_LIST_H

#include "sponson.h"

#include "store/journal.h"

struct session_list;

/* prefix: of the names to list; empty: all. Copied. Reads the log above the checkpoint. */
spn_err session_list_open(struct session_list **ret_list, struct journal *journal,
                          struct spn_bytes prefix) SPN_MUST_USE;
void session_list_close(struct session_list *list); /* takes NULL */

/* Returns the next session, in byte order of names. Its duplicates and conflicts are counted up to
 * the checkpoint: later ones are not in the log. SPN_E_END: there are no more. */
spn_err session_list_next(struct session_list *list, struct spn_session *ret_session) SPN_MUST_USE;

/* The number of damaged entries above the checkpoint that were left out. */
uint64_t session_list_damaged(const struct session_list *list);

#endif
