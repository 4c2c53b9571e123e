/* SPDX-License-Identifier: Apache-2.0 */
/* verify: is everything in a database what was written there?
 *
 * Reads every page in use and every value, without LMDB. A page that passes is one that LMDB wrote,
 * in its place and of this commit: its number is in it, its keys lie between those of its parent,
 * no other place has it, and the list of free pages does not. A value that passes has the checksum
 * of its bytes under its key in its table. So damage that changes what a dump or a replay gives is
 * found. Damage in bytes that are not in use is not looked for.
 *
 * Works beside a daemon: one commit is held while it is read, and no longer.
 *
 * Errors   care->why has the words. SPN_E_END: there is no database. SPN_E_STOPPING: go_on said so.
 *          SPN_E_NEWER_FORMAT, SPN_E_OLDER_FORMAT; those of pin.h.
 * Threads  one.
 */
#ifndef SPN_VERIFY_H
#define SPN_VERIFY_H

#include "care/care.h"

struct verify_found {
    uint64_t values;
    uint64_t bytes;    /* of pages in use */
    uint64_t findings; /* 0: it is whole */
    uint64_t lost;     /* findings of values that were lost, and marked so, at an earlier time */
};

/* path: a data directory, or a file: a backup. tell: called for each finding, with a line of words,
 * when the commit is not held any more. After the first megabyte of words, one line has the number
 * of the others. SPN_OK: everything was read, whatever was found. */
typedef void verify_tell(void *owner, const char *words);
spn_err verify_run(const char *path, verify_tell *tell, void *owner, struct care *care,
                   struct verify_found *ret_found) SPN_MUST_USE;

#endif
