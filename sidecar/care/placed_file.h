/* SPDX-License-Identifier: Apache-2.0 */
/* placed_file: a file that is there whole, or not at all.
 *
 * It is written under another name in the same directory, reaches the disk, and is then given its
 * name. A file that has the name already is never replaced. Its mode is 0600.
 *
 * Owns     the descriptor, and the file until it has its name.
 * Errors   SPN_E_SYSTEM: see errno; EEXIST: the name is taken.
 * Threads  one.
 */
#ifndef SPN_PLACED_FILE_H
#define SPN_PLACED_FILE_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "spn_err.h"

struct placed_file {
    int dir_fd;
    int fd;
    char name[NAME_MAX + 1];
    char temporary[NAME_MAX + 1];
};

#define PLACED_FILE_INIT                                                                           \
    {                                                                                              \
        .dir_fd = -1, .fd = -1                                                                     \
    }

spn_err placed_file_begin(struct placed_file *file, const char *path) SPN_MUST_USE;
spn_err placed_file_write(const struct placed_file *file, uint64_t offset, const void *bytes,
                          size_t size) SPN_MUST_USE;
/* Sets its size, and waits until it is on disk under its name. */
spn_err placed_file_finish(struct placed_file *file, uint64_t size) SPN_MUST_USE;
/* Removes what has no name yet. Keeps errno. */
void placed_file_release(struct placed_file *file);

/* Gives a file another name in its directory, or in another one on the same filesystem. Never
 * replaces one. */
spn_err placed_file_rename(int from_fd, const char *from, int to_fd, const char *to) SPN_MUST_USE;

#endif
