/* SPDX-License-Identifier: Apache-2.0 */
/* headroom: how far the file is made longer, and when it is left as it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>

#include "store/headroom.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MIB (UINT64_C(1) << 20)
#define PLENTY (UINT64_C(1) << 40)

static uint64_t disk_left;
static unsigned calls;
static bool refuses;

int __wrap_fstatvfs(int fd, struct statvfs *ret_fs);
int __wrap_fstatvfs(int fd, struct statvfs *ret_fs)
{
    (void)fd;
    *ret_fs = (struct statvfs){.f_bavail = disk_left / 4096, .f_frsize = 4096};
    return 0;
}

/* The file only gets its size: some of these would not fit in memory. */
int __wrap_fallocate(int fd, int mode, off_t offset, off_t size);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t size)
{
    calls++;
    assert_int_equal(mode, 0);
    if (!refuses)
        return ftruncate(fd, offset + size);
    errno = EOPNOTSUPP;
    return -1;
}

static int open_file(uint64_t size)
{
    char path[] = "/tmp/spn-headroom-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    return fd;
}

static uint64_t size_of(int fd)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    return (uint64_t)status.st_size;
}

static const struct row {
    const char *name;
    uint64_t file;
    uint64_t used;
    uint64_t bytes_max;
    uint64_t disk_left;
    uint64_t becomes;
} rows[] = {
    {"a new one", 0, 0, PLENTY, PLENTY, MIB},
    {"a small one", 3 * MIB, 3 * MIB, PLENTY, PLENTY, 4 * MIB},
    {"a quarter of its size", 40 * MIB, 40 * MIB, PLENTY, PLENTY, 50 * MIB},
    {"a large one", 1000 * MIB, 1000 * MIB, PLENTY, PLENTY, 1064 * MIB},
    {"room is left", 1000 * MIB, 900 * MIB, PLENTY, PLENTY, 1000 * MIB},
    {"half of a step is left", 1000 * MIB, 968 * MIB, PLENTY, PLENTY, 1064 * MIB},
    {"more than half is left", 1000 * MIB, 967 * MIB, PLENTY, PLENTY, 1000 * MIB},
    {"used beyond what it was", 40 * MIB, 80 * MIB, PLENTY, PLENTY, 100 * MIB},
    {"up to the maximum", 40 * MIB, 40 * MIB, 50 * MIB, PLENTY, 50 * MIB},
    {"not beyond the maximum", 40 * MIB, 40 * MIB, 50 * MIB - 1, PLENTY, 40 * MIB},
    {"none wanted", 40 * MIB, 40 * MIB, 0, PLENTY, 40 * MIB},
    {"a disk that has enough", 40 * MIB, 40 * MIB, PLENTY, 80 * MIB, 50 * MIB},
    {"a disk that is nearly full", 40 * MIB, 40 * MIB, PLENTY, 80 * MIB - 4096, 40 * MIB},
};

static void run_row(void **state)
{
    const struct row *row = *state;
    struct headroom headroom;
    int fd = open_file(row->file);
    disk_left = row->disk_left;
    headroom_init(&headroom, fd, row->bytes_max);
    headroom_make(&headroom, row->used);
    assert_int_equal(size_of(fd), row->becomes);
    unsigned before = calls;
    headroom_make(&headroom, row->used); /* it knows what it has */
    assert_int_equal(calls, before);
    close(fd);
}

/* Asked once, not with each commit. */
static void file_system_that_cannot(void **state)
{
    (void)state;
    struct headroom headroom;
    int fd = open_file(0);
    disk_left = PLENTY;
    refuses = true;
    headroom_init(&headroom, fd, PLENTY);
    unsigned before = calls;
    for (uint64_t used = 0; used < 100 * MIB; used += MIB)
        headroom_make(&headroom, used);
    assert_int_equal(calls, before + 1);
    assert_int_equal(size_of(fd), 0);
    refuses = false;
    close(fd);
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        {"a file system that cannot", file_system_that_cannot, NULL, NULL, NULL},
    };
    struct CMUnitTest tests[COUNT(plain) + COUNT(rows)];
    memcpy(tests, plain, sizeof(plain));
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[COUNT(plain) + i] =
            (struct CMUnitTest){rows[i].name, run_row, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    return _cmocka_run_group_tests("headroom", tests, COUNT(tests), NULL, NULL);
}
