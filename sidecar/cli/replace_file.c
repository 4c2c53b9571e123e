/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/replace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* rename would put a file in the place of a device or a link. */
static bool is_file_or_nothing(const char *path)
{
    struct stat found;
    if (lstat(path, &found) != 0)
        return errno == ENOENT;
    errno = EEXIST;
    return S_ISREG(found.st_mode);
}

static bool write_all(int fd, struct out *text)
{
    text->fd = fd;
    bool is_written = out_flush(text);
    text->fd = -1;
    errno = text->error;
    return is_written;
}

/* Closes fd in any case. */
static bool fill(int fd, struct out *text, mode_t mode)
{
    bool is_whole = write_all(fd, text) && fchmod(fd, mode) == 0 && fsync(fd) == 0;
    int why = errno;
    if (close(fd) != 0 && is_whole)
        return false;
    errno = why;
    return is_whole;
}

/* The new name is on disk when its directory is. Some filesystems do not sync directories. */
static bool sync_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    char *dir = size == 0 ? strdup(".") : strndup(path, size);
    int fd = dir == NULL ? -1 : open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(dir);
    if (fd < 0)
        return false;
    bool is_synced = fsync(fd) == 0 || errno == EINVAL;
    int why = errno;
    (void)close(fd);
    errno = why;
    return is_synced;
}

static bool write_beside(char *temporary, const char *path, struct out *text, mode_t mode)
{
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return false;
    if (fill(fd, text, mode) && rename(temporary, path) == 0)
        return sync_directory_of(path);
    int why = errno;
    (void)unlink(temporary);
    errno = why;
    return false;
}

bool replace_file(const char *path, struct out *text, mode_t mode)
{
    char *temporary;
    if (!is_file_or_nothing(path))
        return false;
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
        errno = ENOMEM;
        return false;
    }
    bool is_written = write_beside(temporary, path, text, mode);
    int why = errno;
    free(temporary);
    errno = why;
    return is_written;
}
