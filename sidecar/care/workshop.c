/* SPDX-License-Identifier: Apache-2.0 */
#include "care/workshop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own_files.h"
#include "care/placed_file.h"
#include "store/journal.h"

#define WORKSHOP "restore.tmp"
#define PART ".data.mdb.part-" /* placed_file's */

static spn_err fail_there(struct workshop *workshop, const char *name)
{
    char words[CARE_WHY_SIZE / 2];
    snprintf(words, sizeof(words), "has a %s already: an empty directory is needed", name);
    return care_fail(workshop->care, SPN_E_PATH, workshop->dir, words);
}

/* Only what the daemon or LMDB leaves beside a database may be there. */
static spn_err check_dir(struct workshop *workshop)
{
    char path[PATH_MAX + 32];
    struct stat info;
    if (mkdir(workshop->dir, 0700) != 0 && errno != EEXIST)
        return care_fail_errno(workshop->care, workshop->dir);
    if (stat(workshop->dir, &info) != 0)
        return care_fail_errno(workshop->care, workshop->dir);
    if (!S_ISDIR(info.st_mode))
        return care_fail(workshop->care, SPN_E_PATH, workshop->dir, "not a directory");
    const char *reason = own_files_check_dir(workshop->dir);
    if (reason)
        return care_fail(workshop->care, SPN_E_PATH, workshop->dir, reason);
    snprintf(path, sizeof(path), "%s/data.mdb", workshop->dir);
    return lstat(path, &info) == 0 ? fail_there(workshop, "data.mdb") : SPN_OK;
}

static spn_err take_lock(struct workshop *workshop)
{
    char words[CARE_WHY_SIZE / 2];
    pid_t holder = 0;
    spn_err err = lockfile_take(&workshop->lock, workshop->dir, 0, &holder);
    if (err == SPN_E_IN_USE) {
        snprintf(words, sizeof(words), "a sidecar uses it, pid %ld: stop it first", (long)holder);
        return care_fail(workshop->care, err, workshop->dir, words);
    }
    return err == SPN_OK ? SPN_OK : care_fail_errno(workshop->care, workshop->dir);
}

static bool is_ours(const char *name)
{
    return strcmp(name, "data.mdb") == 0 || strcmp(name, "lock.mdb") == 0 ||
           strncmp(name, PART, strlen(PART)) == 0;
}

/* Takes the descriptor. */
static void remove_files(int fd)
{
    DIR *there = fdopendir(fd);
    if (!there) {
        close(fd);
        return;
    }
    for (struct dirent *file = readdir(there); file; file = readdir(there))
        if (is_ours(file->d_name))
            (void)unlinkat(dirfd(there), file->d_name, 0);
    closedir(there);
}

/* What an interrupted work left, too. A link in its place is not followed. Keeps errno. */
static void clear(const struct workshop *workshop)
{
    int errno_kept = errno;
    int fd = open(workshop->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        remove_files(fd);
    (void)rmdir(workshop->path);
    errno = errno_kept;
}

spn_err workshop_begin(struct workshop *workshop, const char *dir, struct care *care)
{
    *workshop = (struct workshop){.dir = dir, .care = care, .lock = LOCKFILE_INIT};
    snprintf(workshop->path, sizeof(workshop->path), "%.*s/" WORKSHOP, PATH_MAX, dir);
    spn_err err = check_dir(workshop);
    if (err == SPN_OK)
        err = take_lock(workshop);
    if (err != SPN_OK)
        return err;
    err = care_give_to_owner(care, workshop->lock.fd, dir);
    if (err == SPN_OK)
        err = check_dir(workshop); /* again, now that nobody else may make one */
    clear(workshop);
    if (err == SPN_OK && mkdir(workshop->path, 0700) != 0)
        err = care_fail_errno(care, workshop->path);
    return err;
}

/* The file has its owner, and is on disk, before it has its name. */
static spn_err place(struct workshop *workshop, int dir_fd)
{
    struct care *care = workshop->care;
    int fd = openat(dir_fd, WORKSHOP "/data.mdb", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return care_fail_errno(care, workshop->path);
    spn_err err = care_give_to_owner(care, fd, workshop->dir);
    if (err == SPN_OK && fsync(fd) != 0)
        err = care_fail_errno(care, workshop->path);
    close(fd);
    if (err != SPN_OK)
        return err;
    (void)unlinkat(dir_fd, "lock.mdb", 0); /* of a database that was removed */
    if (placed_file_rename(dir_fd, WORKSHOP "/data.mdb", dir_fd, "data.mdb") != SPN_OK)
        return care_fail_errno(care, workshop->dir);
    err = journal_sync_dirs(workshop->dir);
    return err == SPN_OK ? SPN_OK : care_fail_store(care, err, workshop->dir);
}

spn_err workshop_finish(struct workshop *workshop)
{
    int dir_fd = open(workshop->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return care_fail_errno(workshop->care, workshop->dir);
    spn_err err = place(workshop, dir_fd);
    close(dir_fd);
    return err;
}

void workshop_release(struct workshop *workshop)
{
    if (!workshop->dir || workshop->lock.fd < 0)
        return;
    clear(workshop);
    lockfile_release(&workshop->lock);
}
