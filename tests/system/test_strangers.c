/* SPDX-License-Identifier: Apache-2.0 */
/* test_strangers: what lies in the daemon's directories and is not its own is neither followed nor
 * written over nor deleted: the daemon does not start, and names it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "stage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char treasure[] = "not to be written over\n";

enum { STRANGER = 65533 };

static const char *in_dir(struct stage *stage, const char *dir, const char *name)
{
    return stage_format(stage, "%s/%s", dir, name);
}

/* It does not start, and says of this file (or directory) why. */
static void expect_refused(struct stage *stage, const char *path, const char *why)
{
    int ready_fd;
    struct process *daemon = stage_begin(stage, NULL, &ready_fd);
    assert_false(stage_is_ready(ready_fd, until_in(STAGE_WAIT_MS)));
    assert_int_equal(process_wait(daemon, until_in(STAGE_WAIT_MS)), 1);
    const char *log = stage_log(stage);
    if (!strstr(log, path) || !strstr(log, why))
        fail_msg("the log does not say \"%s\" of %s: %s", why, path, log);
}

static void expect_starts(struct stage *stage)
{
    assert_int_equal(stage_stop(stage_start(stage, NULL)), 0);
}

static const char *put_treasure(struct stage *stage)
{
    return stage_write_file(stage, "treasure", (struct spn_bytes){treasure, strlen(treasure)});
}

static void expect_treasure(struct stage *stage, const char *path)
{
    assert_string_equal((const char *)stage_read_file(stage, path).data, treasure);
}

/* -- links ------------------------------------------------------------------------------------- */

static void expect_link_refused(struct stage *stage, const char *dir, const char *name)
{
    const char *target = put_treasure(stage);
    const char *path = in_dir(stage, dir, name);
    assert_int_equal(symlink(target, path), 0);
    expect_refused(stage, path, "a symbolic link");
    expect_treasure(stage, target);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(link(target, path), 0);
    expect_refused(stage, path, "another name");
    expect_treasure(stage, target);
    assert_int_equal(unlink(path), 0);
    expect_starts(stage);
}

static void a_link_in_place_of_a_lock_is_not_followed(struct stage *stage)
{
    expect_link_refused(stage, stage->data_dir, "sponsond.lock");
}

static void a_link_in_place_of_the_sockets_lock_is_not_followed(struct stage *stage)
{
    expect_link_refused(stage, stage->socket_dir, "sponsond.lock");
}

static void a_link_in_place_of_a_database_is_not_followed(struct stage *stage)
{
    expect_link_refused(stage, stage->data_dir, "data.mdb");
}

static void a_link_in_place_of_lmdbs_lock_is_not_followed(struct stage *stage)
{
    expect_link_refused(stage, stage->data_dir, "lock.mdb");
}

/* A link that leads nowhere would have made the file that it names. */
static void a_link_to_nothing_makes_nothing(struct stage *stage)
{
    const char *target = stage_path(stage, "made");
    const char *path = in_dir(stage, stage->data_dir, "sponsond.lock");
    assert_int_equal(symlink(target, path), 0);
    expect_refused(stage, path, "a symbolic link");
    assert_int_not_equal(access(target, F_OK), 0);
}

static void dump_does_not_write_through_a_link(struct stage *stage)
{
    const char *target = put_treasure(stage);
    const char *path = in_dir(stage, stage->data_dir, "lock.mdb");
    expect_starts(stage);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(target, path), 0);
    struct outcome dump = stage_run(stage, "dump", "--data-dir", stage->data_dir);
    stage_expect_code(&dump, 1);
    assert_non_null(strstr(dump.err, "lock.mdb: a symbolic link"));
    expect_treasure(stage, target);
}

/* -- files in place of sockets ----------------------------------------------------------------- */

static void a_file_in_place_of_a_socket_is_not_deleted(struct stage *stage)
{
    static const char *const names[] = {"ingest.sock", "read.sock"};
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *path = in_dir(stage, stage->socket_dir, names[i]);
        const char *file = put_treasure(stage);
        assert_int_equal(rename(file, path), 0);
        expect_refused(stage, path, "not a socket");
        expect_treasure(stage, path);
        assert_int_equal(unlink(path), 0);
    }
    expect_starts(stage);
}

static void a_socket_that_was_left_behind_is_replaced(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    process_kill(daemon);
    assert_int_equal(access(in_dir(stage, stage->socket_dir, "ingest.sock"), F_OK), 0);
    expect_starts(stage);
}

static void a_lock_that_is_no_file_is_refused(struct stage *stage)
{
    const char *path = in_dir(stage, stage->data_dir, "sponsond.lock");
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refused(stage, path, "not a regular file");
}

static void another_users_lock_is_refused(struct stage *stage)
{
    if (geteuid() != 0)
        skip();
    const char *path = in_dir(stage, stage->data_dir, "sponsond.lock");
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(fchown(fd, STRANGER, STRANGER), 0);
    close(fd);
    expect_refused(stage, path, "another user");
}

/* -- directories ------------------------------------------------------------------------------- */

static void data_that_others_may_write_to_are_refused(struct stage *stage)
{
    static const struct {
        mode_t mode;
        const char *why;
    } rows[] = {
        {0777, "everybody may write to it (chmod o-w)"},
        {01777, "everybody may write to it (chmod o-w)"},
        {0770, "its group may write to it (chmod g-w)"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(chmod(stage->data_dir, rows[i].mode), 0);
        expect_refused(stage, stage->data_dir, rows[i].why);
    }
    assert_int_equal(chmod(stage->data_dir, 0755), 0);
    expect_starts(stage);
}

/* Sockets that others may take away are warned of; of a directory such as /tmp they cannot. */
static void sockets_that_others_may_replace_are_warned_of(struct stage *stage)
{
    static const char warning[] = "level=warning event=socket_dir";
    assert_int_equal(chmod(stage->socket_dir, 01777), 0);
    expect_starts(stage);
    assert_null(strstr(stage_log(stage), warning));
    assert_int_equal(chmod(stage->socket_dir, 0777), 0);
    expect_starts(stage);
    assert_non_null(strstr(stage_log(stage), warning));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_link_in_place_of_a_lock_is_not_followed),
        STAGE_TEST(a_link_in_place_of_the_sockets_lock_is_not_followed),
        STAGE_TEST(a_link_in_place_of_a_database_is_not_followed),
        STAGE_TEST(a_link_in_place_of_lmdbs_lock_is_not_followed),
        STAGE_TEST(a_link_to_nothing_makes_nothing),
        STAGE_TEST(dump_does_not_write_through_a_link),
        STAGE_TEST(a_file_in_place_of_a_socket_is_not_deleted),
        STAGE_TEST(a_socket_that_was_left_behind_is_replaced),
        STAGE_TEST(a_lock_that_is_no_file_is_refused),
        STAGE_TEST(another_users_lock_is_refused),
        STAGE_TEST(data_that_others_may_write_to_are_refused),
        STAGE_TEST(sockets_that_others_may_replace_are_warned_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
