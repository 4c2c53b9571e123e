/* SPDX-License-Identifier: Apache-2.0 */
/* lockfile: one daemon per directory.
 *
 * An flock on a file that contains the holder's pid. The kernel releases the lock when the process
 * ends, however it ends. A stale file is harmless and stays where it is.
 */
#ifndef SPN_LOCKFILE_H
#define SPN_LOCKFILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "spn_err.h"

#define LOCKFILE_NAME "sponsond.lock"

struct lockfile {
    int fd;
    const char *dir; /* the caller's */
};

#define LOCKFILE_INIT                                                                              \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* Locks `sponsond.lock` in dir (borrowed). The file must be ours (own_files.h). Waits up to wait_ms
 * for its holder to end. SPN_E_IN_USE: *ret_holder is the holder's pid, 0 if the file does not
 * contain it. SPN_E_SYSTEM: see errno. */
spn_err lockfile_take(struct lockfile *lockfile, const char *dir, unsigned wait_ms,
                      pid_t *ret_holder) SPN_MUST_USE;
/* Checks whether the path still leads to the locked file. If it does not, the file is created and
 * locked again, and *ret_renewed is true. SPN_E_IN_USE: another daemon has locked the file that is
 * there now. SPN_E_SYSTEM: it could not be locked, see errno. After an error the old file stays
 * locked. Not taken: SPN_OK. */
spn_err lockfile_look(struct lockfile *lockfile, bool *ret_renewed) SPN_MUST_USE;
void lockfile_release(struct lockfile *lockfile);

#endif
