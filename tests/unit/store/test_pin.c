/* SPDX-License-Identifier: Apache-2.0 */
/* test_pin: what holds a commit in place, and refuses to read where nothing can be held. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "store/journal.h"
#include "store/pin.h"

enum { MAP = 1 << 20, PATH_SIZE = 128 };

static bool read_only; /* the filesystem, as far as LMDB's lock file is concerned */

static bool ends_in(const char *path, const char *name)
{
    size_t size = strlen(path);
    return size >= strlen(name) && strcmp(path + size - strlen(name), name) == 0;
}

/* In the place of libc's, for LMDB too. */
__attribute__((visibility("default"))) int open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
    va_end(list);
    if (read_only && (flags & O_ACCMODE) != O_RDONLY && ends_in(path, "lock.mdb")) {
        errno = EROFS;
        return -1;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

struct database {
    char dir[64];
    char data[PATH_SIZE];
    char lock[PATH_SIZE];
};

static void make(struct database *database)
{
    struct journal *journal;
    snprintf(database->dir, sizeof(database->dir), "/tmp/test_pin-XXXXXX");
    assert_non_null(mkdtemp(database->dir));
    snprintf(database->data, PATH_SIZE, "%s/data.mdb", database->dir);
    snprintf(database->lock, PATH_SIZE, "%s/lock.mdb", database->dir);
    const struct journal_options how = {.dir = database->dir, .size_max = MAP};
    assert_int_equal(journal_open(&journal, &how), SPN_OK);
    journal_close(journal);
}

static void drop(const struct database *database)
{
    (void)unlink(database->lock);
    assert_int_equal(unlink(database->data), 0);
    assert_int_equal(rmdir(database->dir), 0);
}

static void expect_refused(const char *path, const char *words)
{
    struct pin *pin = NULL;
    assert_int_equal(pin_open(&pin, path), SPN_E_PATH);
    assert_null(pin);
    if (!strstr(journal_detail(), words))
        fail_msg("\"%s\" is not in: %s", words, journal_detail());
}

static void expect_opens(const char *path)
{
    struct pin *pin;
    assert_int_equal(pin_open(&pin, path), SPN_OK);
    pin_close(pin);
}

static void without_a_lock_file_nothing_is_held(void **state)
{
    struct database database;
    (void)state;
    make(&database);
    expect_opens(database.dir);
    read_only = true;
    expect_refused(database.dir, "read-only filesystem");
    expect_opens(database.data); /* the caller knows that no daemon has it */
    read_only = false;
    drop(&database);
}

/* A link would have LMDB write to what it leads to. */
static void links_are_not_followed(void **state)
{
    struct database database;
    char other[PATH_SIZE];
    (void)state;
    make(&database);
    snprintf(other, sizeof(other), "%s/other", database.dir);
    assert_int_equal(unlink(database.lock), 0);
    assert_int_equal(symlink(other, database.lock), 0);
    expect_refused(database.dir, "lock.mdb: a symbolic link");
    assert_int_equal(access(other, F_OK), -1);
    assert_int_equal(unlink(database.lock), 0);

    assert_int_equal(rename(database.data, other), 0);
    assert_int_equal(symlink(other, database.data), 0);
    expect_refused(database.dir, "data.mdb: a symbolic link");
    assert_int_equal(rename(other, database.data), 0);
    drop(&database);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_lock_file_nothing_is_held),
        cmocka_unit_test(links_are_not_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
