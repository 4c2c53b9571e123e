/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/own_files.h"

enum { TRY_EVERY_MS = 20, PID_TEXT_MAX = 16 };

static pid_t read_holder(int fd)
{
    char text[PID_TEXT_MAX] = {0};
    if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
        return 0;
    return (pid_t)strtol(text, NULL, 10);
}

static spn_err write_holder(int fd)
{
    char text[PID_TEXT_MAX];
    int size = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)size, 0) != size)
        return SPN_E_SYSTEM;
    return SPN_OK;
}

/* flock has no timeout, so it is retried. */
static spn_err lock(int fd, unsigned wait_ms)
{
    for (unsigned waited = 0;; waited += TRY_EVERY_MS) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return SPN_OK;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return SPN_E_SYSTEM;
        if (waited >= wait_ms)
            return SPN_E_IN_USE;
        struct timespec pause = {.tv_nsec = TRY_EVERY_MS * 1000000l};
        nanosleep(&pause, NULL);
    }
}

/* Does not follow a symbolic link, so that the file it leads to is not overwritten with our pid. */
static int open_own(const char *dir)
{
    int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return -1;
    int fd =
        openat(dir_fd, LOCKFILE_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
    int saved = errno;
    close(dir_fd);
    if (fd >= 0 && own_files_check_open(dir, fd)) {
        saved = EPERM;
        close(fd);
        fd = -1;
    }
    errno = saved;
    return fd;
}

spn_err lockfile_take(struct lockfile *lockfile, const char *dir, unsigned wait_ms,
                      pid_t *ret_holder)
{
    int fd = open_own(dir);
    if (fd < 0)
        return SPN_E_SYSTEM;
    spn_err err = lock(fd, wait_ms);
    if (err == SPN_E_IN_USE)
        *ret_holder = read_holder(fd);
    if (err == SPN_OK)
        err = write_holder(fd);
    if (err != SPN_OK) {
        int saved = errno;
        close(fd);
        errno = saved;
        return err;
    }
    lockfile_release(lockfile);
    lockfile->fd = fd;
    lockfile->dir = dir;
    return SPN_OK;
}

spn_err lockfile_look(struct lockfile *lockfile, bool *ret_renewed)
{
    struct stat locked;
    struct stat there;
    pid_t holder;
    char path[PATH_MAX + 32];
    *ret_renewed = false;
    if (lockfile->fd < 0)
        return SPN_OK;
    snprintf(path, sizeof(path), "%s/" LOCKFILE_NAME, lockfile->dir);
    if (lstat(path, &there) == 0 && fstat(lockfile->fd, &locked) == 0 &&
        there.st_ino == locked.st_ino && there.st_dev == locked.st_dev)
        return SPN_OK;
    spn_err err = lockfile_take(lockfile, lockfile->dir, 0, &holder);
    *ret_renewed = err == SPN_OK;
    return err;
}

void lockfile_release(struct lockfile *lockfile)
{
    if (lockfile->fd >= 0)
        close(lockfile->fd);
    lockfile->fd = -1;
}
