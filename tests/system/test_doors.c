/* SPDX-License-Identifier: Apache-2.0 */
/* test_doors: who opens the sockets and speaks neither the protocol nor ZMTP as libzmq expects it
 * harms nobody: the daemon goes on, its memory stays below its marks, others come in.
 *
 * What is done to it was all done to libzmq 4.3.4 before, with effect. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "doors.h"
#include "feeder.h"
#include "raw.h"
#include "robust.h"
#include "stage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MIB ((size_t)1 << 20)

static const char *const names[] = {"ingest.sock", "read.sock"};

enum {
    PLANTED = 300,       /* identities, on each socket */
    NEWCOMERS = 20,      /* that would be given one of these */
    FRAMES = 2000000,    /* of three bytes: 6 MB, which libzmq keeps in 128 MB */
    GROWTH_MAX = 24,     /* MiB of memory */
    HALF_MESSAGES = 100, /* of 2 MiB but a byte each */
    HALF_SIZE = 2 << 20,
    HELD_MAX = 64, /* MiB: the daemon's mark */
    FILES_MAX = 120,
    FILES_FEW = 45,
    CLIENTS = 30,
    STRANGER = 65533,
    OTHER = 65532,
};

/* An event gets to the disk: the daemon serves. */
static void expect_served(struct stage *stage, const char *session)
{
    const char *words[] = {"record", session, NULL};
    struct outcome done = stage_run_words(stage, words, (struct spn_bytes){"data: x\n\n", 9});
    stage_expect_code(&done, 0);
}

static uint64_t cut_so_far(void)
{
    struct raw raw;
    raw_open(&raw);
    uint64_t count = robust_counter(&raw, "sponson_connections_cut_total");
    raw_close(&raw);
    return count;
}

/* -- identities -------------------------------------------------------------------------------- */

/* As libzmq makes the first identity of a socket, with a generator that nobody seeded. */
static uint32_t guess(void)
{
    uint32_t low = (uint32_t)rand();  /* NOLINT: the very generator that is guessed */
    uint32_t high = (uint32_t)rand(); /* NOLINT */
    return low | high << 31;
}

/* Identities that libzmq would give to the next connections are named by others before. */
static void a_guessed_identity_does_not_end_the_daemon(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    int fds[COUNT(names) * PLANTED];
    size_t count = 0;
    srand(1); /* NOLINT: what libzmq's begins with */
    for (size_t socket = 0; socket < COUNT(names); socket++) {
        uint32_t first = guess();
        for (uint32_t i = 0; i < PLANTED; i++) {
            uint32_t next = first + i;
            uint8_t identity[5] = {0, (uint8_t)(next >> 24), (uint8_t)(next >> 16),
                                   (uint8_t)(next >> 8), (uint8_t)next};
            fds[count++] = doors_enter(stage->socket_dir, names[socket], identity, 5);
        }
    }
    for (size_t i = 0; i < count; i++) {
        assert_true(doors_is_closed(fds[i]));
        close(fds[i]);
    }
    for (size_t i = 0; i < NEWCOMERS; i++)
        expect_served(stage, "newcomer");
    assert_int_equal(cut_so_far(), count);
    assert_int_equal(stage_stop(daemon), 0);
}

/* Of two that name the same identity libzmq takes the second one's first message for one. */
static void an_identity_in_the_first_message_does_not_end_the_daemon(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    for (size_t socket = 0; socket < COUNT(names); socket++) {
        int first = doors_enter(stage->socket_dir, names[socket], "twin", 4);
        int second = doors_enter(stage->socket_dir, names[socket], "twin", 4);
        (void)(doors_send_head(second, 0, 5) && doors_send(second, "\0\1\2\3\4", 5));
        assert_true(doors_is_closed(second));
        close(first);
        close(second);
    }
    expect_served(stage, "newcomer");
    assert_int_equal(cut_so_far(), COUNT(names));
    assert_int_equal(stage_stop(daemon), 0);
}

/* Nobody would know why such a peer is cut off again and again. */
static void a_frame_that_is_too_large_is_counted(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    for (size_t socket = 0; socket < COUNT(names); socket++) {
        int fd = doors_enter(stage->socket_dir, names[socket], NULL, 0);
        assert_true(doors_send_head(fd, 0, UINT64_C(1) << 32));
        assert_true(doors_is_closed(fd));
        close(fd);
        assert_int_equal(cut_so_far(), socket + 1);
    }
    int fd = doors_enter(stage->socket_dir, "read.sock", NULL, 0);
    assert_true(doors_send_head(fd, 0, 128 * 1024 + 1));
    assert_true(doors_is_closed(fd));
    close(fd);
    assert_int_equal(cut_so_far(), COUNT(names) + 1);
    expect_served(stage, "newcomer");
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- what never ends --------------------------------------------------------------------------- */

static void expect_growth(const struct process *daemon, size_t before, size_t mib_max)
{
    size_t now = process_anonymous_bytes(daemon);
    if (!until_sanitized() && now > before + mib_max * MIB)
        fail_msg("%zu MiB before, %zu MiB now", before / MIB, now / MIB);
}

static void a_message_that_never_ends_is_cut(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    static uint8_t frames[3 * 1000];
    for (size_t i = 0; i < sizeof(frames); i++)
        frames[i] = i % 3 < 2; /* flags 1: more; size 1 */
    expect_served(stage, "before");
    size_t before = process_anonymous_bytes(daemon);
    for (size_t socket = 0; socket < COUNT(names); socket++) {
        int fd = doors_enter(stage->socket_dir, names[socket], NULL, 0);
        size_t sent = 0;
        while (sent < FRAMES && doors_send(fd, frames, sizeof(frames)))
            sent += sizeof(frames) / 3;
        expect_growth(daemon, before, GROWTH_MAX);
        assert_true(doors_is_closed(fd));
        close(fd);
        expect_served(stage, "after");
    }
    assert_int_equal(cut_so_far(), COUNT(names));
    assert_int_equal(stage_stop(daemon), 0);
}

/* Halves of messages that never get to their end: those that began first go, and somebody who sends
 * whole messages meanwhile loses none. */
static void halves_of_messages_are_held_to_a_mark(struct stage *stage)
{
    static uint8_t half[HALF_SIZE - 1];
    struct process *daemon = stage_start(stage, NULL);
    struct feeder feeder;
    int fds[HALF_MESSAGES];
    feeder_open(&feeder);
    feeder_put(&feeder, "modest", "first", "x");
    assert_int_equal(feeder_settle(&feeder).stored, 1);
    size_t before = process_anonymous_bytes(daemon);
    for (size_t i = 0; i < HALF_MESSAGES; i++) {
        char id[32];
        snprintf(id, sizeof(id), "%zu", i);
        fds[i] = doors_enter(stage->socket_dir, "ingest.sock", NULL, 0);
        assert_true(doors_send_head(fds[i], 0, HALF_SIZE));
        assert_true(doors_send(fds[i], half, sizeof(half)));
        feeder_put(&feeder, "modest", id, "x");
        assert_int_equal(feeder_settle(&feeder).stored, 1);
        expect_growth(daemon, before, HELD_MAX + GROWTH_MAX);
    }
    assert_true(doors_is_closed(fds[0]));
    assert_in_range(cut_so_far(), HALF_MESSAGES - HELD_MAX * MIB / HALF_SIZE - 1, HALF_MESSAGES);
    for (size_t i = 0; i < HALF_MESSAGES; i++)
        close(fds[i]);
    feeder_close(&feeder);
    assert_int_equal(stage_stop(daemon), 0);
}

static void older_versions_of_zmtp_are_refused(struct stage *stage)
{
    static const struct {
        const char *bytes;
        size_t size;
    } greetings[] = {
        {"\1\0\1\0", 4},                          /* ZMTP 1 */
        {"\377\0\0\0\0\0\0\0\1\177\0\5", 12},     /* ZMTP 1, as a later one says it */
        {"\377\0\0\0\0\0\0\0\1\177\1\5\0\0", 14}, /* ZMTP 2 */
        {"GET /events HTTP/1.1\r\nHost: localhost\r\n", 39},
    };
    struct process *daemon = stage_start(stage, NULL);
    for (size_t i = 0; i < COUNT(greetings) * COUNT(names); i++) {
        int fd = doors_connect(stage->socket_dir, names[i % 2]);
        (void)doors_send(fd, greetings[i / 2].bytes, greetings[i / 2].size);
        assert_true(doors_is_closed(fd));
        close(fd);
    }
    expect_served(stage, "after");
    assert_int_equal(cut_so_far(), COUNT(greetings) * COUNT(names));
    assert_int_equal(stage_stop(daemon), 0);
}

/* -- descriptors ------------------------------------------------------------------------------- */

static void limit_files(void)
{
    struct rlimit limit = {FILES_MAX, FILES_MAX};
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* A program of this uid that opens as many connections as it may and keeps them, until its end. */
static pid_t start_hog(struct stage *stage, uid_t uid)
{
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (setgroups(0, NULL) != 0 || setgid(uid) != 0 || setuid(uid) != 0)
            _exit(1);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* which setuid takes back */
        for (size_t i = 0; i < 2 * FILES_MAX; i++)
            (void)doors_connect(stage->socket_dir, names[i % 2]);
        (void)!write(ready[1], &byte, 1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void stop_hog(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* A connection of this uid that is served: the daemon sends its greeting. */
static bool is_let_in(struct stage *stage, uid_t uid)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (setgroups(0, NULL) != 0 || setgid(uid) != 0 || setuid(uid) != 0)
            _exit(2);
        int fd = doors_connect(stage->socket_dir, "read.sock");
        char byte;
        struct pollfd item = {.fd = fd, .events = POLLIN};
        _exit(poll(&item, 1, STAGE_WAIT_MS) == 1 && recv(fd, &byte, 1, 0) == 1 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
    return WEXITSTATUS(status) == 0;
}

static struct process *start_open_to_all(struct stage *stage)
{
    struct stage_daemon options = {.prepare = limit_files, .more = {"--socket-mode", "0666"}};
    assert_int_equal(chmod(stage->dir, 0711), 0);
    assert_int_equal(chmod(stage->socket_dir, 0711), 0);
    return stage_start(stage, &options);
}

/* Somebody holds all connections that he gets: health answers at once, another uid comes in, and
 * after two of these the daemon's own still does. */
static void health_answers_when_others_hold_all_descriptors(struct stage *stage)
{
    if (geteuid() != 0)
        skip();
    struct process *daemon = start_open_to_all(stage);
    pid_t hog = start_hog(stage, STRANGER);
    assert_true(is_let_in(stage, OTHER));
    struct outcome health = stage_run(stage, "health");
    stage_expect_code(&health, 0);
    pid_t second = start_hog(stage, OTHER);
    assert_false(is_let_in(stage, STRANGER));
    health = stage_run(stage, "health");
    stage_expect_code(&health, 0);
    expect_served(stage, "own");
    struct outcome stats = stage_run(stage, "stats");
    const char *refused = strstr(stats.out, "sponson_connections_refused_total");
    assert_non_null(refused);
    assert_true(strtoull(refused + strlen("sponson_connections_refused_total"), NULL, 10) > 0);
    stop_hog(hog);
    stop_hog(second);
    assert_int_equal(stage_stop(daemon), 0);
}

static void limit_files_more(void)
{
    struct rlimit limit = {FILES_FEW, FILES_FEW};
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Clients that were connected find a daemon that has no descriptors for all of them: each of their
 * sockets comes again ten times a second at most. The one that counts came in first. */
static void refused_clients_do_not_come_again_without_a_pause(struct stage *stage)
{
    struct stage_daemon options = {.prepare = limit_files_more};
    struct feeder feeders[CLIENTS];
    struct raw raw;
    struct process *daemon = stage_start(stage, NULL);
    for (size_t i = 0; i < CLIENTS; i++)
        feeder_open(&feeders[i]);
    assert_int_equal(stage_stop(daemon), 0);
    daemon = stage_start(stage, &options);
    raw_open(&raw);
    uint64_t before = robust_wait_counter(&raw, "sponson_connections_refused_total", 1);
    uint64_t begun_ns = until_now_ns();
    until_passed_us(2000000);
    uint64_t refused = robust_counter(&raw, "sponson_connections_refused_total") - before;
    uint64_t tenths = (until_now_ns() - begun_ns) / 100000000u + 1;
    assert_in_range(refused, 1, 2 * CLIENTS * tenths);
    raw_close(&raw);
    assert_int_equal(stage_stop(daemon), 0);
    for (size_t i = 0; i < CLIENTS; i++)
        feeder_close(&feeders[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_guessed_identity_does_not_end_the_daemon),
        STAGE_TEST(an_identity_in_the_first_message_does_not_end_the_daemon),
        STAGE_TEST(a_frame_that_is_too_large_is_counted),
        STAGE_TEST(a_message_that_never_ends_is_cut),
        STAGE_TEST(halves_of_messages_are_held_to_a_mark),
        STAGE_TEST(older_versions_of_zmtp_are_refused),
        STAGE_TEST(refused_clients_do_not_come_again_without_a_pause),
        STAGE_TEST(health_answers_when_others_hold_all_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
