/* SPDX-License-Identifier: Apache-2.0 */
/* offline: what can be done with a database that no daemon has open.
 *
 * Takes it as a start would, changes it, and leaves it as a stop would: all of it in the index.
 *
 * Borrows  a journal opened for writing.
 * Threads  the caller's.
 */
#ifndef SPN_OFFLINE_H
#define SPN_OFFLINE_H

#include "store/journal.h"
#include "recover/recovery.h"

/* Deletes a session, closed or not, with its name and row; the pages of its events are given back
 * when they are trimmed, by the next daemon. It needs no room but the reserve's. epoch: the life
 * that is meant; 0: whichever is current. SPN_E_UNKNOWN_SESSION, SPN_E_OTHER_EPOCH; SPN_E_CORRUPT,
 * SPN_E_NOMEM, SPN_E_IO, SPN_E_DISK_FULL. *ret_found, also when it fails: what recovery met. */
spn_err offline_delete(struct journal *journal, struct spn_bytes name, uint64_t epoch,
                       struct recovered *ret_found) SPN_MUST_USE;

#endif
