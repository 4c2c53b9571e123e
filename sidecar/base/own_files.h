/* SPDX-License-Identifier: Apache-2.0 */
/* own_files: is what lies in our directories ours?
 *
 * Whoever may write to a directory can put a link in the place of a file that we are about to open,
 * and have us write to what it points to. So a directory of data is used only when nobody else may
 * write to it, and a file in one that is a link, has another name elsewhere, is of another kind or
 * belongs to somebody else is refused by name. Ours is what belongs to the daemon's user, to root
 * or to the owner of the directory, who can replace everything in it anyway.
 *
 * Threads  any.
 */
#ifndef SPN_OWN_FILES_H
#define SPN_OWN_FILES_H

#include <sys/stat.h>
#include <sys/types.h>

/* NULL: what has this name is ours, and of this kind (S_IFREG, S_IFSOCK), or nothing was found:
 * why, who opens it next learns. Else why it is not ours, in words. */
const char *own_files_check(const char *dir, const char *name, mode_t kind);
/* The same of a file that is open. */
const char *own_files_check_open(const char *dir, int fd);

/* NULL: nobody else may put a file into it, or in the place of one of ours. Else why not. */
const char *own_files_check_dir(const char *dir);

#endif
