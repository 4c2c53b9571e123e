/* SPDX-License-Identifier: Apache-2.0 */
/* backup: a copy of a database, made while a daemon may go on using it.
 *
 * The copy is one commit, the newest when it began: it has all that was acknowledged before. Each
 * page of a tree is checked on its way, and the copy ends at one that is damaged. Values are copied
 * as they are: verify checks these.
 *
 * While it runs, pages that the daemon frees cannot be used again, so the file may grow. If it has
 * grown too much, the copy ends, and what it has is removed.
 *
 * Units    bytes.
 * Errors   care->why has the words. SPN_E_QUOTA_FULL: the file has grown too much. SPN_E_CORRUPT:
 *          damaged. SPN_E_END: there is no database. SPN_E_STOPPING: go_on said so. SPN_E_SYSTEM,
 *          and those of pin.h.
 * Threads  one, and a watcher of its own.
 */
#ifndef SPN_BACKUP_H
#define SPN_BACKUP_H

#include "care/care.h"

struct backup_options {
    const char *dir;  /* the data directory */
    const char *file; /* to be made: what is there is not replaced */
    bool compact;
    uint64_t growth_max; /* 0: half of the room that the database has */
};

struct backup_done {
    uint64_t bytes;
    uint64_t grown; /* by the file, meanwhile */
};

spn_err backup_make(const struct backup_options *options, struct care *care,
                    struct backup_done *ret_done) SPN_MUST_USE;

#endif
