/* SPDX-License-Identifier: Apache-2.0 */
/* lockfile: one daemon per directory.
 *
 * An flock on a file with the holder's pid in it. The kernel drops it when the process ends,
 * however it ends: a stale file is harmless, and is left where it is.
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

/* Takes `sponsond.lock` in dir (borrowed), which must be ours (own_files.h), waiting up to wait_ms
 * for its holder to end. SPN_E_IN_USE: *ret_holder is the holder's pid, 0 if the file does not say.
 * SPN_E_SYSTEM: see errno. */
spn_err lockfile_take(struct lockfile *lockfile, const char *dir, unsigned wait_ms,
                      pid_t *ret_holder) SPN_MUST_USE;
/* Does its path still lead to the file that is locked? Where it does not it is made and locked
 * anew, *ret_renewed says so. SPN_E_IN_USE: another daemon has locked what is there now.
 * SPN_E_SYSTEM: neither, see errno; the old file stays locked. Not taken: SPN_OK. */
spn_err lockfile_look(struct lockfile *lockfile, bool *ret_renewed) SPN_MUST_USE;
void lockfile_release(struct lockfile *lockfile);

#endif
