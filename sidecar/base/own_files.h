/* SPDX-License-Identifier: Apache-2.0 */
/* own_files: do the files in our directories belong to us?
 *
 * Whoever may write to a directory can put a link in the place of a file that we are about to open,
 * and so make us write to the file that the link leads to. So a data directory is used only if
 * nobody else may write to it. A file in it is refused by name if it is a link, has another name
 * elsewhere, is of another kind or belongs to somebody else. A file is ours if it belongs to the
 * daemon's user, to root or to the owner of the directory, who can replace everything in it anyway.
 *
 * Threads  any.
 */
#ifndef SPN_OWN_FILES_H
#define SPN_OWN_FILES_H

#include <sys/stat.h>
#include <sys/types.h>

/* NULL: the file with this name is ours and of this kind (S_IFREG, S_IFSOCK), or no file was found;
 * the caller that opens it next learns why. Otherwise: why it is not ours, in words. */
const char *own_files_check(const char *dir, const char *name, mode_t kind);
/* The same for an open file. */
const char *own_files_check_open(const char *dir, int fd);

/* NULL: nobody else may create a file in it or replace one of ours. Otherwise: why not. */
const char *own_files_check_dir(const char *dir);

#endif
