/* SPDX-License-Identifier: Apache-2.0 */
/* mended: the lines of the log about damage that was found, and mended, when a database was opened.
 *
 * The daemon's start writes them, and so does a command that opens the database to change it: what
 * is mended looks whole to whoever opens it next. README.md has what the keys mean.
 *
 * Borrows  what it is given, for the call.
 * Threads  the caller's.
 */
#ifndef SPN_MENDED_H
#define SPN_MENDED_H

#include "store/journal.h"
#include "recover/recovery.h"

/* What was found damaged before LMDB was let near it, a line for each table. */
void mended_log_pages(const struct journal_damage *damage);

/* What it meant for sessions and producers. */
void mended_log_recovered(const struct recovered *found);

#endif
