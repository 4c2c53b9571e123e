/* SPDX-License-Identifier: Apache-2.0 */
#include "care/placed_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MODE = 0600, TEMPORARY_TEXT = 32 };

static spn_err fail(int number)
{
    errno = number;
    return SPN_E_SYSTEM;
}

/* Splits the path, and opens its directory. */
static spn_err open_dir(struct placed_file *file, const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t size = slash ? (size_t)(slash - path) : 0;
    if (strlen(name) > NAME_MAX - TEMPORARY_TEXT || size >= sizeof(dir))
        return fail(ENAMETOOLONG);
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return fail(EISDIR);
    memcpy(dir, path, size);
    dir[size] = '\0';
    snprintf(file->name, sizeof(file->name), "%s", name);
    const char *named = size > 0 ? dir : slash ? "/" : ".";
    file->dir_fd = open(named, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return file->dir_fd >= 0 ? SPN_OK : SPN_E_SYSTEM;
}

spn_err placed_file_begin(struct placed_file *file, const char *path)
{
    struct stat there;
    spn_err err = open_dir(file, path);
    if (err != SPN_OK)
        return err;
    if (fstatat(file->dir_fd, file->name, &there, AT_SYMLINK_NOFOLLOW) == 0)
        return fail(EEXIST);
    char temporary[NAME_MAX + TEMPORARY_TEXT];
    snprintf(temporary, sizeof(temporary), ".%s.part-%ld", file->name, (long)getpid());
    memcpy(file->temporary, temporary, sizeof(file->temporary));
    (void)unlinkat(file->dir_fd, file->temporary, 0); /* of a process that died and had this id */
    int fd = openat(file->dir_fd, file->temporary,
                    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return SPN_E_SYSTEM;
    file->fd = fd;
    return fchmod(fd, FILE_MODE) == 0 ? SPN_OK : SPN_E_SYSTEM;
}

spn_err placed_file_write(const struct placed_file *file, uint64_t offset, const void *bytes,
                          size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t written = pwrite(file->fd, at, size, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? SPN_E_SYSTEM : fail(ENOSPC);
        at += written;
        offset += (uint64_t)written;
        size -= (size_t)written;
    }
    return SPN_OK;
}

/* Some filesystems have no rename that replaces nothing. */
spn_err placed_file_rename(int from_fd, const char *from, int to_fd, const char *to)
{
    if (renameat2(from_fd, from, to_fd, to, RENAME_NOREPLACE) == 0)
        return SPN_OK;
    if (errno != EINVAL && errno != ENOSYS)
        return SPN_E_SYSTEM;
    if (linkat(from_fd, from, to_fd, to, 0) != 0)
        return SPN_E_SYSTEM;
    return unlinkat(from_fd, from, 0) == 0 ? SPN_OK : SPN_E_SYSTEM;
}

spn_err placed_file_finish(struct placed_file *file, uint64_t size)
{
    if (ftruncate(file->fd, (off_t)size) != 0 || fsync(file->fd) != 0)
        return SPN_E_SYSTEM;
    spn_err err = placed_file_rename(file->dir_fd, file->temporary, file->dir_fd, file->name);
    if (err != SPN_OK)
        return err;
    file->temporary[0] = '\0';
    return fsync(file->dir_fd) == 0 || errno == EINVAL ? SPN_OK : SPN_E_SYSTEM;
}

void placed_file_release(struct placed_file *file)
{
    int errno_kept = errno;
    if (file->fd >= 0) {
        close(file->fd);
        if (file->temporary[0])
            (void)unlinkat(file->dir_fd, file->temporary, 0);
    }
    if (file->dir_fd >= 0)
        close(file->dir_fd);
    file->fd = file->dir_fd = -1;
    errno = errno_kept;
}
