/* SPDX-License-Identifier: Apache-2.0 */
#include "store/headroom.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define MIB (UINT64_C(1) << 20)
#define STEP_MIN (1 * MIB)
#define STEP_MAX (64 * MIB)

enum {
    FILE_PART = 4, /* a step is this part of the file */
    DISK_PART = 8, /* a step takes at most this part of what the disk has left */
};

void headroom_init(struct headroom *headroom, int fd, uint64_t bytes_max)
{
    struct stat status;
    *headroom = (struct headroom){.fd = fd, .bytes_max = bytes_max};
    if (fstat(fd, &status) == 0)
        headroom->bytes = (uint64_t)status.st_size;
    else
        headroom->bytes_max = 0;
}

static uint64_t step_of(uint64_t bytes)
{
    uint64_t step = bytes / FILE_PART / STEP_MIN * STEP_MIN;
    if (step < STEP_MIN)
        return STEP_MIN;
    return step < STEP_MAX ? step : STEP_MAX;
}

static bool has_room(int fd, uint64_t step)
{
    struct statvfs fs;
    return fstatvfs(fd, &fs) == 0 &&
           step <= (uint64_t)fs.f_bavail * (uint64_t)fs.f_frsize / DISK_PART;
}

void headroom_make(struct headroom *headroom, uint64_t used)
{
    if (headroom->bytes < used)
        headroom->bytes = used; /* the file has grown by itself */
    uint64_t step = step_of(headroom->bytes);
    if (headroom->bytes - used > step / 2 || headroom->bytes + step > headroom->bytes_max ||
        !has_room(headroom->fd, step))
        return;
    if (fallocate(headroom->fd, 0, (off_t)headroom->bytes, (off_t)step) == 0)
        headroom->bytes += step;
    else
        headroom->bytes_max = 0; /* this file system does not support it */
}
