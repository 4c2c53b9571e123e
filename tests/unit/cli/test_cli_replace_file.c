/* SPDX-License-Identifier: Apache-2.0 */
/* replace_file: the bytes are on disk before the name is, the directory after it; each call that
 * fails leaves the old file, or the new one once it has its name, and nothing beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "cli/replace_file.h"

enum { TAPE_SIZE = 32, MODE = 0640 };

/* A letter for each call. The failing one has a number; 0: none. */
static char tape[TAPE_SIZE];
static size_t fails_at;
static int fails_with;
static size_t write_most;

static bool record(char letter)
{
    size_t count = strlen(tape);
    assert_true(count + 1 < TAPE_SIZE);
    tape[count] = letter;
    tape[count + 1] = '\0';
    errno = fails_with;
    return count + 1 != fails_at;
}

int __real_mkostemp(char *path, int flags);
int __wrap_mkostemp(char *path, int flags);
int __wrap_mkostemp(char *path, int flags)
{
    return record('t') ? __real_mkostemp(path, flags) : -1;
}

ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
    return record('w') ? __real_write(fd, bytes, size < write_most ? size : write_most) : -1;
}

int __real_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode)
{
    return record('m') ? __real_fchmod(fd, mode) : -1;
}

static ino_t directory; /* the file's */

/* d: of its directory; D: of another. */
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    struct stat found;
    assert_int_equal(fstat(fd, &found), 0);
    char kind = !S_ISDIR(found.st_mode) ? 's' : found.st_ino == directory ? 'd' : 'D';
    return record(kind) ? 0 : -1;
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
    return record('r') ? __real_rename(from, to) : -1;
}

/* -- a directory ------------------------------------------------------------------------------- */

struct place {
    char dir[64];
    char path[80];
};

static bool replace(const char *path, const char *text)
{
    struct out out;
    out_init(&out, -1);
    out_text(&out, text);
    bool is_replaced = replace_file(path, &out, MODE);
    int why = errno;
    out_release(&out);
    errno = why;
    return is_replaced;
}

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    assert_non_null(place);
    snprintf(place->dir, sizeof(place->dir), "/tmp/spn-replace-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    snprintf(place->path, sizeof(place->path), "%s/x.prom", place->dir);
    struct stat found;
    assert_int_equal(stat(place->dir, &found), 0);
    directory = found.st_ino;
    umask(077);
    write_most = SIZE_MAX;
    fails_at = 0;
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    (void)unlink(place->path);
    (void)rmdir(place->path);
    int left = rmdir(place->dir);
    free(place);
    return left;
}

static void begin_tape(size_t failing_call)
{
    tape[0] = '\0';
    fails_at = failing_call;
    fails_with = EIO;
}

static void expect_file(const struct place *place, const char *text)
{
    char found[64] = "";
    FILE *file = fopen(place->path, "r");
    assert_non_null(file);
    size_t size = fread(found, 1, sizeof(found) - 1, file);
    fclose(file);
    assert_int_equal(size, strlen(text));
    assert_string_equal(found, text);
}

static unsigned files_in(const char *path)
{
    unsigned count = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* -- tests ------------------------------------------------------------------------------------- */

static void the_name_comes_last(void **state)
{
    const struct place *place = *state;
    struct stat found;
    write_most = 4;
    begin_tape(0);
    assert_true(replace(place->path, "new text"));
    assert_string_equal(tape, "twwmsrd");
    expect_file(place, "new text");
    assert_int_equal(stat(place->path, &found), 0);
    assert_int_equal(found.st_mode & 07777, MODE);
    assert_int_equal(files_in(place->dir), 1);
}

static void a_call_that_fails_leaves_one_whole_file(void **state)
{
    static const char calls[] = "twmsrd";
    const struct place *place = *state;
    for (size_t i = 1; i < sizeof(calls); i++) {
        begin_tape(0);
        assert_true(replace(place->path, "old"));
        begin_tape(i);
        errno = 0;
        assert_false(replace(place->path, "new"));
        assert_int_equal(errno, EIO);
        assert_int_equal(strncmp(tape, calls, i), 0);
        assert_int_equal(tape[i], '\0');
        expect_file(place, calls[i - 1] == 'd' ? "new" : "old");
        assert_int_equal(files_in(place->dir), 1);
    }
}

/* As on filesystems that do not sync directories. */
static void a_directory_need_not_sync(void **state)
{
    const struct place *place = *state;
    begin_tape(strlen("twmsrd"));
    fails_with = EINVAL;
    assert_true(replace(place->path, "new"));
    assert_string_equal(tape, "twmsrd");
    begin_tape(strlen("twms"));
    fails_with = EINVAL;
    assert_false(replace(place->path, "newer"));
    expect_file(place, "new");
}

static void a_file_without_a_directory(void **state)
{
    const struct place *place = *state;
    char before[4096];
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(place->dir), 0);
    begin_tape(0);
    assert_true(replace("x.prom", "here"));
    assert_string_equal(tape, "twmsrd");
    assert_int_equal(chdir(before), 0);
    expect_file(place, "here");
}

static void only_a_file_is_replaced(void **state)
{
    const struct place *place = *state;
    begin_tape(0);
    assert_int_equal(mkdir(place->path, 0700), 0);
    assert_false(replace(place->path, "x"));
    assert_int_equal(errno, EEXIST);
    assert_int_equal(rmdir(place->path), 0);
    assert_int_equal(symlink("/dev/null", place->path), 0);
    assert_false(replace(place->path, "x"));
    assert_int_equal(errno, EEXIST);
    assert_false(replace("/dev/null", "x"));
    assert_int_equal(errno, EEXIST);
    assert_string_equal(tape, "");
    assert_false(replace("/nonexistent/x", "x"));
    assert_int_equal(errno, ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_name_comes_last, setup, teardown),
        cmocka_unit_test_setup_teardown(a_call_that_fails_leaves_one_whole_file, setup, teardown),
        cmocka_unit_test_setup_teardown(a_directory_need_not_sync, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_without_a_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(only_a_file_is_replaced, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
