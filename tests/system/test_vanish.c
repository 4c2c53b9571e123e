/* SPDX-License-Identifier: Apache-2.0 */
/* test_vanish: what the daemon stands on is removed, moved or replaced while it runs.
 *
 * Sockets and locks come back, connections that there are go on; without its database the daemon
 * ends, and acknowledges nothing that nobody will find. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "feeder.h"
#include "stage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const socket_names[] = {"ingest.sock", "read.sock"};

static bool is_there(void *argument)
{
    return access(argument, F_OK) == 0;
}

static void wait_file(const char *path)
{
    if (!until_true(until_in(STAGE_WAIT_MS), is_there, (void *)path))
        fail_msg("%s does not come back", path);
}

static const char *in_dir(struct stage *stage, const char *dir, const char *name)
{
    return stage_format(stage, "%s/%s", dir, name);
}

static struct outcome record_one(struct stage *stage)
{
    const char *words[] = {"record", "s", "--timeout", "5", NULL};
    return stage_run_words(stage, words, (struct spn_bytes){"data: x\n\n", 9});
}

static void expect_served(struct stage *stage)
{
    struct outcome done = record_one(stage);
    stage_expect_code(&done, 0);
}

static void expect_end(struct stage *stage, struct process *daemon, const char *said)
{
    assert_int_equal(process_wait(daemon, until_in(STAGE_WAIT_MS)), 1);
    stage_wait_log(stage, said);
}

/* A commit may find it first, or the look every two seconds. No other is made. */
static void expect_database_gone(struct stage *stage, struct process *daemon)
{
    expect_end(stage, daemon, "code=SPN_E_GONE");
    assert_int_not_equal(access(in_dir(stage, stage->data_dir, "data.mdb"), F_OK), 0);
}

/* -- the database ------------------------------------------------------------------------------ */

static void events_into_a_removed_database_are_not_acknowledged(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    expect_served(stage);
    assert_int_equal(unlink(in_dir(stage, stage->data_dir, "data.mdb")), 0);
    struct outcome done = record_one(stage);
    assert_int_not_equal(done.code, 0);
    expect_database_gone(stage, daemon);
}

static void a_directory_of_data_that_is_moved_ends_the_daemon(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    expect_served(stage);
    const char *elsewhere = stage_path(stage, "elsewhere");
    assert_int_equal(rename(stage->data_dir, elsewhere), 0);
    assert_int_equal(mkdir(stage->data_dir, 0700), 0);
    expect_database_gone(stage, daemon);
    assert_int_equal(rmdir(stage->data_dir), 0);
    assert_int_equal(rename(elsewhere, stage->data_dir), 0);
    daemon = stage_start(stage, NULL);
    struct outcome last = stage_run(stage, "info", "s");
    stage_expect_code(&last, 0);
    assert_int_equal(stage_stop(daemon), 0);
}

/* Readers that come now would not be seen by the writer, and read pages that it uses again. */
static void lmdbs_lock_that_is_removed_ends_the_daemon(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    assert_int_equal(unlink(in_dir(stage, stage->data_dir, "lock.mdb")), 0);
    expect_end(stage, daemon, "SPN_E_GONE");
    daemon = stage_start(stage, NULL);
    expect_served(stage);
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- sockets ----------------------------------------------------------------------------------- */

static void wait_sockets(struct stage *stage)
{
    for (size_t i = 0; i < COUNT(socket_names); i++)
        wait_file(in_dir(stage, stage->socket_dir, socket_names[i]));
}

/* Who was connected before goes on as if nothing was. */
static void sockets_that_are_removed_are_bound_again(struct stage *stage)
{
    struct feeder feeder;
    struct process *daemon = stage_start(stage, NULL);
    feeder_open(&feeder);
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT(socket_names); i++)
            assert_int_equal(unlink(in_dir(stage, stage->socket_dir, socket_names[i])), 0);
        feeder_put(&feeder, "connected", stage_format(stage, "%zu", round), "x");
        assert_int_equal(feeder_settle(&feeder).stored, 1);
        wait_sockets(stage);
        expect_served(stage);
    }
    stage_wait_log(stage, "event=socket_back name=ingest.sock");
    stage_wait_log(stage, "event=socket_back name=read.sock");
    /* The reader's is looked at once in a round: gone in the next one too, it is one fact. */
    assert_int_equal(stage_times_in_log(stage, "event=socket_gone name=ingest.sock"), 3);
    feeder_close(&feeder);
    assert_int_equal(stage_stop(daemon), 0);
}

static void a_directory_of_sockets_that_is_made_anew_gets_them(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    expect_served(stage);
    assert_int_equal(rename(stage->socket_dir, stage_path(stage, "elsewhere")), 0);
    stage_wait_log(stage, "event=socket_gone name=read.sock");
    stage_wait_log(stage, "event=lock_gone");
    assert_int_equal(mkdir(stage->socket_dir, 0750), 0);
    wait_sockets(stage);
    wait_file(in_dir(stage, stage->socket_dir, "sponsond.lock"));
    expect_served(stage);
    assert_int_equal(stage_stop(daemon), 0);
}

static const char somebodys[] = "somebody's\n";

/* A file of somebody else's, moved into the place of this socket. */
static const char *block(struct stage *stage, const char *name)
{
    const char *path = in_dir(stage, stage->socket_dir, name);
    const char *file =
        stage_write_file(stage, "file", (struct spn_bytes){somebodys, sizeof(somebodys) - 1});
    assert_int_equal(rename(file, path), 0);
    stage_wait_log(stage, stage_format(stage, "event=socket_blocked name=%s", name));
    return path;
}

static void unblock(struct stage *stage, const char *path)
{
    assert_int_equal(unlink(path), 0);
    wait_sockets(stage);
    expect_served(stage);
}

static void a_file_that_came_in_place_of_a_socket_is_not_deleted(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    const char *path = block(stage, "read.sock");
    assert_non_null(strstr(stage_log(stage), "event=socket_gone name=read.sock"));
    assert_string_equal((const char *)stage_read_file(stage, path).data, somebodys);
    unblock(stage, path);
    assert_int_equal(stage_stop(daemon), 0);
}

/* Who has the other socket learns why nobody can publish. */
static void a_blocked_ingest_socket_is_no_good_health(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    const char *path = block(stage, "ingest.sock");
    struct outcome health = stage_run(stage, "health");
    stage_expect_code(&health, 1);
    assert_non_null(strstr(health.out, "another file is in the place of ingest.sock"));
    unblock(stage, path);
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- locks ------------------------------------------------------------------------------------- */

static void a_lock_that_is_removed_is_taken_again(struct stage *stage)
{
    const char *const dirs[] = {stage->data_dir, stage->socket_dir};
    struct process *daemon = stage_start(stage, NULL);
    for (size_t i = 0; i < COUNT(dirs); i++)
        assert_int_equal(unlink(in_dir(stage, dirs[i], "sponsond.lock")), 0);
    for (size_t i = 0; i < COUNT(dirs); i++)
        stage_wait_log(stage, stage_format(stage, "event=lock_gone dir=\"%s\"", dirs[i]));
    int ready_fd;
    struct process *second = stage_begin(stage, NULL, &ready_fd);
    assert_int_equal(process_wait(second, until_in(STAGE_WAIT_MS)), 1);
    stage_wait_log(stage, stage_format(stage, "event=already_running pid=%ld", (long)daemon->pid));
    expect_served(stage);
    assert_int_equal(stage_stop(daemon), 0);
}

static void a_lock_that_another_has_taken_ends_the_daemon(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    const char *path = in_dir(stage, stage->data_dir, "sponsond.lock");
    const char *other = in_dir(stage, stage->data_dir, "other");
    int fd = open(other, O_CREAT | O_RDWR | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(rename(other, path), 0);
    expect_end(stage, daemon, "another daemon has taken it");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(events_into_a_removed_database_are_not_acknowledged),
        STAGE_TEST(a_directory_of_data_that_is_moved_ends_the_daemon),
        STAGE_TEST(lmdbs_lock_that_is_removed_ends_the_daemon),
        STAGE_TEST(sockets_that_are_removed_are_bound_again),
        STAGE_TEST(a_directory_of_sockets_that_is_made_anew_gets_them),
        STAGE_TEST(a_file_that_came_in_place_of_a_socket_is_not_deleted),
        STAGE_TEST(a_blocked_ingest_socket_is_no_good_health),
        STAGE_TEST(a_lock_that_is_removed_is_taken_again),
        STAGE_TEST(a_lock_that_another_has_taken_ends_the_daemon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
