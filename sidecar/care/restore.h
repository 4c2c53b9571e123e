/* SPDX-License-Identifier: Apache-2.0 */
/* restore: makes a database of a backup.
 *
 * The backup is read twice: verify checks every page and every value first, and what it finds ends
 * the restore. Only values that a mended database lost before the backup may be missing.
 *
 * The copy is prepared in a directory of its own below the data directory, and is there at once, or
 * not at all (workshop.h). It is another database than the one it was made of: its id is new, so
 * clients that have seen more of the old one learn that (README.md, "A database that went back").
 * Its positions go on far above those of the copy, so none that the old one has given out since is
 * given again.
 *
 * Errors   care->why has the words. SPN_E_IN_USE: a daemon runs there. SPN_E_PATH: the directory is
 *          not fit, or not empty. SPN_E_CORRUPT, SPN_E_NEWER_FORMAT, SPN_E_OLDER_FORMAT: of the
 *          backup. SPN_E_STOPPING, SPN_E_SYSTEM, and those of journal.h.
 * Threads  one.
 */
#ifndef SPN_RESTORE_H
#define SPN_RESTORE_H

#include "care/care.h"

struct restore_done {
    uint64_t bytes;
    uint64_t newest;        /* position that the backup has */
    uint64_t next_position; /* of the database */
};

spn_err restore_run(const char *file, const char *dir, struct care *care,
                    struct restore_done *ret_done) SPN_MUST_USE;

#endif
