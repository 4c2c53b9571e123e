/* SPDX-License-Identifier: Apache-2.0 */
/* mounts: filesystems of a test's own, where the system lets it have them.
 *
 * The test program gets a mount namespace of its own, so that nobody else sees what it mounts, and
 * nothing stays when it dies.
 *
 * Owns     what it mounted, until mounts_teardown.
 * Errors   whether mounting is permitted is said by mounts_allowed; after that, what cannot be done
 *          fails the test.
 * Threads  the test's main thread.
 */
#ifndef SPN_MOUNTS_H
#define SPN_MOUNTS_H

#include "stage.h"

/* What a test program ends with that could not do its work; ctest shows it as skipped. */
enum { MOUNTS_SKIPPED = 77 };

enum mounts_kind {
    MOUNTS_TMPFS = 1,
    MOUNTS_EXT4 = 2, /* an image on a loop device, made by mkfs.ext4 */
};

/* Tries it, in its own namespace. False: *ret_why says what is not permitted or not there. */
bool mounts_allowed(enum mounts_kind kind, const char **ret_why);

/* A row of a table like STAGE_TEST. What is mounted goes away before the stage does. */
#define MOUNTS_TEST(function)                                                                      \
    {                                                                                              \
#function, stage_run_test, stage_setup, mounts_teardown, (void *)(uintptr_t)(function)     \
    }
int mounts_teardown(void **state);

/* Makes the directory of that name on the stage and mounts a filesystem of this size there. */
const char *mounts_tmpfs(struct stage *stage, const char *name, unsigned size_mib);
const char *mounts_ext4(struct stage *stage, const char *name, unsigned size_mib);

/* The power goes: what the ext4 filesystem has not written will never be. Then the same image,
 * mounted again; processes must not use it any more. */
void mounts_cut_power(const char *path);
void mounts_again(struct stage *stage, const char *path);

#endif
