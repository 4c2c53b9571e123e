/* SPDX-License-Identifier: Apache-2.0 */
/* workshop: a database that is made in a directory of its own, and is then in its place at once.
 *
 * The directory is below the data directory, which is locked meanwhile and must have no database.
 *
 * Owns     the lock, and the workshop with what is in it.
 * Errors   care->why has the words. SPN_E_IN_USE: a daemon runs there. SPN_E_PATH: the directory is
 *          not fit, or has a database. SPN_E_SYSTEM: see errno.
 * Threads  one.
 */
#ifndef SPN_WORKSHOP_H
#define SPN_WORKSHOP_H

#include <limits.h>

#include "base/lockfile.h"
#include "care/care.h"

struct workshop {
    const char *dir; /* the caller's */
    struct care *care;
    struct lockfile lock;
    char path[PATH_MAX + 32]; /* of the workshop: a data directory */
};

/* Makes the data directory if it is not there. */
spn_err workshop_begin(struct workshop *workshop, const char *dir, struct care *care) SPN_MUST_USE;
/* Puts the database, which nobody has open, into its place. */
spn_err workshop_finish(struct workshop *workshop) SPN_MUST_USE;
/* Removes what was not put into its place. Takes one that was only zeroed. Keeps errno. */
void workshop_release(struct workshop *workshop);

/* What the positions of the database that is made exceed: all that another copy of it may have
 * given out. */
#define WORKSHOP_POSITIONS (UINT64_C(1) << 40)

#endif
