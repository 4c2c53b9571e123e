/* SPDX-License-Identifier: Apache-2.0 */
/* mended: logs the damage that was found and repaired when a database was opened.
 *
 * These lines are written by the daemon's start, and by a command that opens the database to change
 * it. Repaired damage is not visible to the next program that opens the database. README.md
 * explains the keys.
 *
 * Borrows  its arguments, during the call.
 * Threads  the caller's.
 */
#ifndef SPN_MENDED_H
#define SPN_MENDED_H

#include "store/journal.h"
#include "recover/recovery.h"

/* Logs damaged pages that were found before LMDB opened the database, one line per table. */
void mended_log_pages(const struct journal_damage *damage);

/* Logs how the damage affected sessions and producers. */
void mended_log_recovered(const struct recovered *found);

#endif
