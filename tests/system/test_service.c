/* SPDX-License-Identifier: Apache-2.0 */
/* test_service: the daemon and the gateway as services, with a manager that this test is itself.
 *
 * Each state is reported, the watchdog is fed by a loop that turns and by nothing else, sockets
 * that are handed over are used as they are, and what cannot be used is refused with words. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "feeder.h"
#include "manager.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    WATCHDOG_MS = 600,
    SILENCES = 3, /* of the watchdog's time: then it is silence for certain */
    MANY = 20000, /* events that a recovery reads, so that it asks for time */
};

static const char *socket_path(struct stage *stage, const char *name)
{
    return stage_format(stage, "%s/%s", stage->socket_dir, name);
}

static void expect_served(struct stage *stage)
{
    const char *words[] = {"record", "s", NULL};
    struct outcome done = stage_run_words(stage, words, (struct spn_bytes){"data: x\n\n", 9});
    stage_expect_code(&done, 0);
}

/* -- states ------------------------------------------------------------------------------------ */

static void expect_reload(struct manager *manager, struct process *process)
{
    static const char begin[] = "RELOADING=1\nMONOTONIC_USEC=";
    process_signal(process, SIGHUP);
    uint64_t at = strtoull(manager_expect(manager, begin) + sizeof(begin) - 1, NULL, 10);
    assert_in_range(at, until_now_ns() / 1000 - 60000000, until_now_ns() / 1000);
    manager_expect(manager, "READY=1");
    manager_expect(manager, "WATCHDOG=1"); /* and so it goes on */
}

static void the_daemon_reports_each_state(struct stage *stage)
{
    struct manager manager;
    manager_open(&manager, stage);
    manager.watchdog_ms = WATCHDOG_MS;
    struct process *daemon = manager_start_daemon(&manager, stage_sponsond(), NULL);
    manager_expect(&manager, "READY=1");
    expect_served(stage); /* at once */
    manager_expect(&manager, "WATCHDOG=1");
    manager_expect(&manager, "STATUS=sessions: 1, events on disk since the start: 1");
    expect_reload(&manager, daemon);
    process_signal(daemon, SIGTERM);
    manager_expect(&manager, "STOPPING=1");
    assert_int_equal(process_wait(daemon, until_in(STAGE_WAIT_MS)), 0);
    while (manager_next(&manager, 0))
        fail_msg("a message after the last");
}

static void the_gateway_reports_each_state(struct stage *stage)
{
    struct manager manager;
    stage_start(stage, NULL);
    manager_open(&manager, stage);
    manager.watchdog_ms = WATCHDOG_MS;
    manager_listen(&manager, stage_path(stage, "http.sock"));
    const char *words[] = {HTTP_PROGRAM, NULL};
    struct process *gateway = manager_start(&manager, words);
    manager_expect(&manager, "READY=1");
    manager_expect(&manager, "WATCHDOG=1");
    manager_expect(&manager, "STATUS=connections: 0, streams: 0");
    expect_reload(&manager, gateway);
    process_signal(gateway, SIGTERM);
    manager_expect(&manager, "STOPPING=1");
    assert_int_equal(process_wait(gateway, until_in(STAGE_WAIT_MS)), 0);
}

/* A start that waits, or that reads much, asks for time. */
static void a_long_start_asks_for_time(struct stage *stage)
{
    struct manager manager;
    struct feeder feeder;
    const char *wait[] = {"--wait-lock", "30", NULL};
    manager_open(&manager, stage);
    struct process *first = stage_start(stage, NULL);
    feeder_open(&feeder);
    for (unsigned i = 0; i < MANY; i++)
        feeder_put(&feeder, "s", NULL, "x");
    feeder_settle(&feeder);
    feeder_close(&feeder);
    struct process *second = manager_start_daemon(&manager, stage_sponsond(), wait);
    manager_expect(&manager, "EXTEND_TIMEOUT_USEC=90000000");
    process_kill(first);
    manager_expect(&manager, "EXTEND_TIMEOUT_USEC=60000000"); /* of the recovery */
    manager_expect(&manager, "READY=1");
    assert_int_equal(stage_stop(second), 0);
}

/* -- the watchdog ------------------------------------------------------------------------------ */

static void count_feeds(struct manager *manager, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (!manager_hears(manager, "WATCHDOG=1", until_in(WATCHDOG_MS)))
            fail_msg("the watchdog starves");
}

/* A daemon whose thread does not get past this point. */
static struct process *start_stopped(struct manager *manager, struct stage *stage,
                                     const char *point)
{
    manager_open(manager, stage);
    manager->watchdog_ms = WATCHDOG_MS;
    setenv("SPONSON_KILL_POINT", point, 1);
    struct process *daemon = manager_start_daemon(manager, KILLABLE, NULL);
    unsetenv("SPONSON_KILL_POINT");
    manager_expect(manager, "READY=1");
    count_feeds(manager, SILENCES);
    return daemon;
}

/* It has stopped already, or will with the next one. Silence is not waited for more patiently on a
 * machine that is busy. */
static void expect_silence(struct manager *manager, struct process *daemon)
{
    const uint64_t ms = 1000000;
    manager_hears(manager, "WATCHDOG=1", until_now_ns() + WATCHDOG_MS / 3 * ms);
    if (manager_hears(manager, "WATCHDOG=1", until_now_ns() + SILENCES * WATCHDOG_MS * ms))
        fail_msg("it is fed although the daemon hangs");
    assert_true(process_runs(daemon));
    process_signal(daemon, SIGABRT); /* as the manager does now */
    assert_int_equal(process_wait(daemon, until_in(STAGE_WAIT_MS)), 128 + SIGABRT);
}

/* Its other threads, and ZeroMQ's, go on: none of them feeds it. */
static void a_loop_that_hangs_feeds_no_watchdog(struct stage *stage)
{
    struct manager manager;
    struct process *daemon = start_stopped(&manager, stage, "broker_signal:1:hang");
    process_signal(daemon, SIGHUP);
    expect_silence(&manager, daemon);
}

static void publish_into(struct stage *stage)
{
    const char *words[] = {"record", "s", "--timeout", "1", NULL};
    struct outcome done = stage_run_words(stage, words, (struct spn_bytes){"data: x\n\n", 9});
    assert_int_not_equal(done.code, 0); /* the worker gets nowhere */
}

static void a_worker_in_an_endless_loop_feeds_none_either(struct stage *stage)
{
    struct manager manager;
    struct process *daemon = start_stopped(&manager, stage, "before_commit:1:spin");
    publish_into(stage);
    stage_wait_log(stage, "event=stuck thread=worker");
    manager_drain(&manager);
    expect_silence(&manager, daemon);
}

/* A disk may take its time. */
static void a_worker_that_waits_is_no_reason(struct stage *stage)
{
    struct manager manager;
    struct process *daemon = start_stopped(&manager, stage, "before_commit:1:hang");
    publish_into(stage);
    manager_drain(&manager);
    count_feeds(&manager, 3 * SILENCES); /* for longer than the manager bears */
    process_kill(daemon);
}

/* -- sockets that are handed over -------------------------------------------------------------- */

/* Clients that come before the daemon wait. The sockets are those of the manager, and stay so. */
static void clients_wait_for_a_daemon_that_is_to_come(struct stage *stage)
{
    struct manager manager;
    struct stat before, after;
    manager_open(&manager, stage);
    manager_listen_both(&manager);
    assert_int_equal(chmod(socket_path(stage, "read.sock"), 0640), 0);
    assert_int_equal(stat(socket_path(stage, "read.sock"), &before), 0);
    for (int i = 0; i < 3; i++) {
        struct process *early = stage_begin_run(stage, "health", "--timeout", "15");
        struct process *daemon = manager_start_daemon(&manager, stage_sponsond(), NULL);
        struct outcome health = stage_end(stage, early, until_in(STAGE_WAIT_MS));
        stage_expect_code(&health, 0);
        expect_served(stage);
        process_signal(daemon, i == 1 ? SIGKILL : SIGTERM);
        assert_int_equal(process_wait(daemon, until_in(STAGE_WAIT_MS)), i == 1 ? 137 : 0);
        assert_int_equal(stat(socket_path(stage, "read.sock"), &after), 0);
        assert_int_equal(after.st_ino, before.st_ino);
        assert_int_equal(after.st_mode, before.st_mode);
        assert_int_equal(access(socket_path(stage, "ingest.sock"), F_OK), 0);
    }
}

/* The one that is not handed over is opened. */
static void one_socket_alone_may_be_handed_over(struct stage *stage)
{
    struct manager manager;
    manager_open(&manager, stage);
    manager_listen(&manager, socket_path(stage, "read.sock"));
    manager.names = "read";
    struct process *daemon = manager_start_daemon(&manager, stage_sponsond(), NULL);
    manager_expect(&manager, "READY=1");
    expect_served(stage);
    assert_int_equal(stage_stop(daemon), 0);
    assert_int_equal(access(socket_path(stage, "read.sock"), F_OK), 0);
}

static void expect_both_sockets_serve(struct stage *stage)
{
    struct outcome health = stage_run(stage, "health", "--timeout", "15");
    stage_expect_code(&health, 0);
    expect_served(stage);
}

static bool is_there(void *path)
{
    return access(path, F_OK) == 0;
}

/* Its file was deleted, before the daemon began or while it runs, or another daemon left a file of
 * its own in that place: nobody finds the socket that was handed over. */
static void a_socket_whose_path_is_gone_is_replaced(struct stage *stage)
{
    struct manager manager;
    const char *ingest = socket_path(stage, "ingest.sock");
    manager_open(&manager, stage);
    manager_listen_both(&manager);
    assert_int_equal(unlink(socket_path(stage, "read.sock")), 0);
    struct process *daemon = manager_start_daemon(&manager, stage_sponsond(), NULL);
    manager_expect(&manager, "READY=1");
    expect_both_sockets_serve(stage);
    assert_int_equal(unlink(ingest), 0);
    assert_true(until_true(until_in(STAGE_WAIT_MS), is_there, (void *)(uintptr_t)ingest));
    expect_both_sockets_serve(stage);
    process_kill(daemon); /* leaves two files that nobody listens at */
    daemon = manager_start_daemon(&manager, stage_sponsond(), NULL);
    manager_expect(&manager, "READY=1");
    expect_both_sockets_serve(stage);
    assert_int_equal(stage_stop(daemon), 0);
    assert_non_null(strstr(stage_log(stage), "event=socket_gone name=read.sock"));
}

static int tcp_socket(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static int unix_socket(const char *path, int kind, bool listens)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, kind | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    unlink(path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    if (listens)
        assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void expect_refused(struct stage *stage, int fd, const char *names, const char *says)
{
    struct manager manager = {.stage = stage, .notify_fd = -1, .names = names};
    manager_hand(&manager, fd);
    struct process *daemon = manager_start_daemon(&manager, stage_sponsond(), NULL);
    manager_expect_end(&manager, daemon, 1, says);
    close(fd);
}

static void what_cannot_be_used_is_refused_with_words(struct stage *stage)
{
    const char *read = socket_path(stage, "read.sock");
    const char *elsewhere = stage_make_dir(stage, "elsewhere");
    expect_refused(stage, tcp_socket(), "read", "has no path");
    expect_refused(stage, unix_socket(read, SOCK_DGRAM, false), NULL, "datagram");
    expect_refused(stage, unix_socket(read, SOCK_SEQPACKET, true), NULL, "not a stream socket");
    expect_refused(stage, unix_socket(read, SOCK_STREAM, false), NULL, "does not listen");
    expect_refused(stage, unix_socket(read, SOCK_STREAM, true), "ingest", "the other socket");
    expect_refused(stage, unix_socket(read, SOCK_STREAM, true), "a:b", "2 names");
    expect_refused(stage, unix_socket(socket_path(stage, "http.sock"), SOCK_STREAM, true), NULL,
                   "is neither ingest.sock nor read.sock");
    expect_refused(stage,
                   unix_socket(stage_format(stage, "%s/read.sock", elsewhere), SOCK_STREAM, true),
                   NULL, "is not in the directory of the sockets");
    struct manager twice = {.stage = stage};
    int fd = unix_socket(read, SOCK_STREAM, true);
    manager_hand(&twice, fd);
    manager_hand(&twice, fd);
    struct process *daemon = manager_start_daemon(&twice, stage_sponsond(), NULL);
    manager_expect_end(&twice, daemon, 1, "was handed over twice");
    close(fd);
}

/* socket() of TCP fails, as RestrictAddressFamilies=AF_UNIX has it. Runs in the child. */
static void lose_network(void)
{
    static struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    static const struct sock_fprog program = {.len = COUNT(filter), .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(PROCESS_CANNOT_RUN);
}

static void without_a_network_the_gateway_says_where_tcp_comes_from(struct stage *stage)
{
    const char *const options[] = {"--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"};
    for (size_t i = 0; i < COUNT(options); i++) {
        const char *const argv[] = {HTTP_PROGRAM, "--no-socket", "--insecure-loopback", options[i],
                                    NULL};
        struct process *gateway =
            stage_process(stage, &(struct process_options){.argv = argv, .prepare = lose_network});
        struct outcome refused = stage_end(stage, gateway, until_in(STAGE_WAIT_MS));
        stage_expect_code(&refused, 1);
        assert_non_null(strstr(refused.err, "this service has no network: TCP comes only through"));
    }
}

/* TCP is the .socket unit's to open. */
static void the_gateway_opens_no_tcp_beside_what_is_handed_over(struct stage *stage)
{
    struct manager manager;
    manager_open(&manager, stage);
    manager_listen(&manager, stage_path(stage, "http.sock"));
    const char *words[] = {HTTP_PROGRAM, "--listen=127.0.0.1:0", "--insecure-loopback", NULL};
    struct process *gateway = manager_start(&manager, words);
    manager_expect_end(&manager, gateway, 1, "TCP comes only through ListenStream=127.0.0.1:PORT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(the_daemon_reports_each_state),
        STAGE_TEST(the_gateway_reports_each_state),
        STAGE_TEST(a_long_start_asks_for_time),
        STAGE_TEST(a_loop_that_hangs_feeds_no_watchdog),
        STAGE_TEST(a_worker_in_an_endless_loop_feeds_none_either),
        STAGE_TEST(a_worker_that_waits_is_no_reason),
        STAGE_TEST(clients_wait_for_a_daemon_that_is_to_come),
        STAGE_TEST(one_socket_alone_may_be_handed_over),
        STAGE_TEST(a_socket_whose_path_is_gone_is_replaced),
        STAGE_TEST(what_cannot_be_used_is_refused_with_words),
        STAGE_TEST(the_gateway_opens_no_tcp_beside_what_is_handed_over),
        STAGE_TEST(without_a_network_the_gateway_says_where_tcp_comes_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
