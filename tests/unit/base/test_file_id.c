/* SPDX-License-Identifier: Apache-2.0 */
/* test_file_id: the same answers as stat's, with statx and where a filter refuses it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_id.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int refusal; /* errno of statx; 0: it works */

int __real_statx(int fd, const char *path, int flags, unsigned mask, struct statx *found);
int __wrap_statx(int fd, const char *path, int flags, unsigned mask, struct statx *found);

int __wrap_statx(int fd, const char *path, int flags, unsigned mask, struct statx *found)
{
    if (refusal == 0)
        return __real_statx(fd, path, flags, mask, found);
    errno = refusal;
    return -1;
}

static const struct row {
    const char *name;
    int refusal;
    bool answered;
} rows[] = {
    {"statx", 0, true},
    {"a filter refuses it", EPERM, true},
    {"a kernel without it", ENOSYS, true},
    {"another failure is one", EIO, false},
};

static void check_same(const struct file_id *id, const struct stat *expected)
{
    assert_int_equal(id->device, expected->st_dev);
    assert_int_equal(id->inode, expected->st_ino);
    assert_int_equal(id->links, expected->st_nlink);
    assert_int_equal(id->mode & S_IFMT, expected->st_mode & S_IFMT);
}

static void follows(void **state)
{
    const struct row *row = *state;
    char path[] = "/tmp/test_file_id-XXXXXX";
    char other[] = "/tmp/test_file_id-XXXXXX";
    int fd = mkstemp(path);
    int other_fd = mkstemp(other);
    struct file_id by_fd, by_path, there;
    struct stat expected;
    assert_true(fd >= 0 && other_fd >= 0);
    assert_int_equal(fstat(fd, &expected), 0);
    refusal = row->refusal;
    assert_int_equal(file_id_of(fd, "", &by_fd), row->answered);
    assert_int_equal(file_id_of(AT_FDCWD, path, &by_path), row->answered);
    if (row->answered) {
        check_same(&by_fd, &expected);
        check_same(&by_path, &expected);
        assert_true(file_id_same(&by_fd, &by_path));
        assert_true(file_id_of(AT_FDCWD, other, &there));
        assert_false(file_id_same(&there, &by_fd));
        assert_int_equal(unlink(path), 0);
        assert_true(file_id_of(fd, "", &by_fd));
        assert_int_equal(by_fd.links, 0);
        assert_false(file_id_of(AT_FDCWD, path, &by_path));
        assert_int_equal(errno, ENOENT);
    }
    refusal = 0;
    (void)unlink(path);
    (void)unlink(other);
    close(fd);
    close(other_fd);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows)];
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = follows, .initial_state = (void *)&rows[i]};
    return _cmocka_run_group_tests("file_id", tests, COUNT(tests), NULL, NULL);
}
