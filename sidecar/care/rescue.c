/* SPDX-License-Identifier: Apache-2.0 */
#include "care/rescue.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "care/rescue_base.h"
#include "err.h"

static spn_err open_old(struct rescue *rescue, const char *path)
{
    spn_err err = pages_rest_open(&rescue->rest, path);
    if (err == SPN_E_CORRUPT)
        return care_fail(rescue->care, err, path, "nothing in it can be read");
    if (err == SPN_E_SYSTEM || err == SPN_E_END)
        return care_fail(rescue->care, err, path, strerror(errno));
    return err == SPN_OK ? SPN_OK : care_fail(rescue->care, err, path, err_text(err));
}

static void count_damages(struct rescue *rescue)
{
    for (size_t table = 0; table < JOURNAL_TABLES; table++)
        rescue->done.damages += pages_rest_damages(rescue->rest, table);
}

static spn_err run(struct rescue *rescue, const char *path, const char *dir)
{
    spn_err err = open_old(rescue, path);
    if (err != SPN_OK)
        return err;
    count_damages(rescue);
    err = rescued_init(&rescue->rescued);
    if (err == SPN_OK)
        err = rescue_read(rescue);
    if (err == SPN_OK)
        err = rescue_find_holes(rescue);
    if (err == SPN_OK)
        err = rescue_write(rescue, dir);
    if (err != SPN_OK && rescue->care->why[0] == '\0')
        return care_fail(rescue->care, err, path, err_text(err));
    return err;
}

/* Nobody may write to the old database. A directory that cannot be locked, as it is read-only, is
 * taken as it is. */
static spn_err lock_old(struct rescue *rescue, struct lockfile *lock)
{
    char words[CARE_WHY_SIZE / 2];
    pid_t holder = 0;
    if (lockfile_take(lock, rescue->old, 0, &holder) != SPN_E_IN_USE)
        return SPN_OK;
    snprintf(words, sizeof(words), "a sidecar uses it, pid %ld: stop it first", (long)holder);
    return care_fail(rescue->care, SPN_E_IN_USE, rescue->old, words);
}

spn_err rescue_run(const char *old, const char *dir, struct care *care,
                   struct rescue_done *ret_done)
{
    char path[PATH_MAX + 32];
    struct stat info;
    struct lockfile lock = LOCKFILE_INIT;
    struct rescue rescue = {.care = care, .old = old};
    spn_err err = SPN_OK;
    care->why[0] = '\0';
    bool is_dir = stat(old, &info) == 0 && S_ISDIR(info.st_mode);
    snprintf(path, sizeof(path), is_dir ? "%.*s/data.mdb" : "%.*s", PATH_MAX, old);
    if (is_dir)
        err = lock_old(&rescue, &lock);
    if (err == SPN_OK)
        err = run(&rescue, path, dir);
    *ret_done = rescue.done;
    pages_rest_close(rescue.rest);
    rescued_release(&rescue.rescued);
    free(rescue.found);
    free(rescue.holes);
    lockfile_release(&lock);
    return err;
}
