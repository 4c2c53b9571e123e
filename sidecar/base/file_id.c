/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_id.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* For containers whose system call filter does not know statx and returns EPERM. */
static bool ask_with_times(int fd, const char *path, struct file_id *ret_id)
{
    struct stat found;
    if (fstatat(fd, path, &found, AT_EMPTY_PATH) != 0)
        return false;
    *ret_id = (struct file_id){.device = found.st_dev,
                               .inode = found.st_ino,
                               .links = (uint32_t)found.st_nlink,
                               .mode = found.st_mode};
    return true;
}

bool file_id_of(int fd, const char *path, struct file_id *ret_id)
{
    struct statx found;
    if (statx(fd, path, AT_EMPTY_PATH, STATX_TYPE | STATX_INO | STATX_NLINK, &found) != 0)
        return (errno == EPERM || errno == ENOSYS) && ask_with_times(fd, path, ret_id);
    *ret_id = (struct file_id){.device = makedev(found.stx_dev_major, found.stx_dev_minor),
                               .inode = found.stx_ino,
                               .links = found.stx_nlink,
                               .mode = found.stx_mode};
    return true;
}
