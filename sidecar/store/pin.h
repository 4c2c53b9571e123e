/* SPDX-License-Identifier: Apache-2.0 */
/* pin: holds a commit of a database in place while its pages are read without LMDB.
 *
 * It is a read transaction of LMDB in which nothing is read: beginning one touches the meta pages
 * alone, so damage cannot lead it anywhere. While it lasts, LMDB does not use pages again that
 * later commits free, and the file may grow.
 *
 * Owns     LMDB's environment, and a map of the file. No other environment of this process may have
 *          the same database.
 * Errors   SPN_E_END: there is no database. SPN_E_CORRUPT: the file cannot be mapped as LMDB's.
 *          SPN_E_PATH: its files are not ours, or it is on a read-only filesystem, where nothing
 *          can be held. SPN_E_IN_USE, and others: as journal_open. journal_detail has the words.
 * Threads  one; pin_let_go: any.
 */
#ifndef SPN_PIN_H
#define SPN_PIN_H

#include "store/pages.h"

struct pin;

/* path: a data directory, or a file that no daemon uses: a backup, or a copy of data.mdb. */
spn_err pin_open(struct pin **ret_pin, const char *path) SPN_MUST_USE;
void pin_close(struct pin *pin); /* takes NULL */

/* Lets the commit go, while another thread may read its pages: these are others' from now on, and
 * what is read of them is worth nothing. Not beside pin_snapshot and pin_close. */
void pin_let_go(struct pin *pin);

/* The pages, and the commit that is held. SPN_E_CORRUPT: the list of tables is damaged: *ret_damage
 * (may be NULL). */
struct pages *pin_pages(const struct pin *pin);
spn_err pin_snapshot(const struct pin *pin, struct pages_snapshot *ret_snapshot,
                     struct pages_damage *ret_damage) SPN_MUST_USE;
/* The descriptor of the file, for its size. */
int pin_fd(const struct pin *pin);

#endif
