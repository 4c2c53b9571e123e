/* SPDX-License-Identifier: Apache-2.0 */
/* offline: changes to a database that no daemon has open.
 *
 * Loads the database as a start would, changes it, and leaves it as a stop would: everything is in
 * the index.
 *
 * Borrows  a journal opened for writing.
 * Threads  the caller's.
 */
#ifndef SPN_OFFLINE_H
#define SPN_OFFLINE_H

#include "store/journal.h"
#include "recover/recovery.h"

/* Deletes a session, closed or not, with its name and row. The next daemon trims its events, which
 * frees their pages. Deleting needs no room except in the reserve. life: the one to delete; NULL:
 * the current one. *ret_found: what recovery found; set on failure, too. SPN_E_UNKNOWN_SESSION,
 * SPN_E_OTHER_LIFE; SPN_E_CORRUPT, SPN_E_NOMEM, SPN_E_IO, SPN_E_DISK_FULL. */
spn_err offline_delete(struct journal *journal, struct spn_bytes name, const struct spn_life *life,
                       struct recovered *ret_found) SPN_MUST_USE;

#endif
