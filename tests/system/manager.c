/* SPDX-License-Identifier: Apache-2.0 */
#include "manager.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"

enum { AWAY = 64 }; /* where descriptors are put first, so that none lands on another */

static const struct manager
    *starting; /* for the child: the function that it calls has no argument */

/* -- sockets ----------------------------------------------------------------------------------- */

static void close_fd(void *argument)
{
    close((int)(intptr_t)argument);
}

static int bind_unix(struct stage *stage, const char *path, int kind)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, kind | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    stage_at_end(stage, close_fd, (void *)(intptr_t)fd);
    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

void manager_open(struct manager *manager, struct stage *stage)
{
    *manager = (struct manager){.stage = stage};
    manager->notify_fd = bind_unix(stage, stage_path(stage, "notify"), SOCK_DGRAM);
}

void manager_hand(struct manager *manager, int fd)
{
    assert_true(manager->count < MANAGER_FDS_MAX);
    manager->fds[manager->count++] = fd;
}

int manager_listen(struct manager *manager, const char *path)
{
    int fd = bind_unix(manager->stage, path, SOCK_STREAM);
    assert_int_equal(listen(fd, SOMAXCONN), 0);
    manager_hand(manager, fd);
    return fd;
}

void manager_listen_both(struct manager *manager)
{
    struct stage *stage = manager->stage;
    manager_listen(manager, stage_format(stage, "%s/ingest.sock", stage->socket_dir));
    manager_listen(manager, stage_format(stage, "%s/read.sock", stage->socket_dir));
}

/* -- programs ---------------------------------------------------------------------------------- */

/* In the child: system calls only. */
static void hand_over(void)
{
    int away[MANAGER_FDS_MAX];
    for (size_t i = 0; i < starting->count; i++)
        away[i] = fcntl(starting->fds[i], F_DUPFD_CLOEXEC, AWAY);
    for (size_t i = 0; i < starting->count; i++)
        dup2(away[i], PROCESS_HANDED_FD + (int)i);
}

static void set_environment(const struct manager *manager)
{
    struct stage *stage = manager->stage;
    setenv("NOTIFY_SOCKET", stage_path(stage, "notify"), 1);
    setenv("LISTEN_FDS", stage_format(stage, "%zu", manager->count), 1);
    if (manager->names)
        setenv("LISTEN_FDNAMES", manager->names, 1);
    if (manager->watchdog_ms > 0)
        setenv("WATCHDOG_USEC", stage_format(stage, "%u000", manager->watchdog_ms), 1);
}

static void clear_environment(void)
{
    static const char *const names[] = {"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_FDNAMES",
                                        "WATCHDOG_USEC"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
}

/* Only the process itself knows its pid in time. */
struct process *manager_start(struct manager *manager, const char *const *words)
{
    const char *argv[STAGE_WORDS_MAX] = {"sh", "-c", "LISTEN_PID=$$ WATCHDOG_PID=$$ exec \"$@\"",
                                         "sh"};
    for (size_t i = 0; words[i]; i++) {
        assert_true(i + 5 < STAGE_WORDS_MAX);
        argv[i + 4] = words[i];
    }
    const struct process_options options = {
        .argv = argv, .error_path = manager->stage->log_path, .prepare = hand_over};
    starting = manager;
    set_environment(manager);
    struct process *process = stage_process(manager->stage, &options);
    clear_environment();
    return process;
}

struct process *manager_start_daemon(struct manager *manager, const char *program,
                                     const char *const *more)
{
    const struct stage *stage = manager->stage;
    const char *words[STAGE_WORDS_MAX] = {program, "--data-dir", stage->data_dir, "--socket-dir",
                                          stage->socket_dir};
    for (size_t i = 0; more && more[i]; i++)
        words[i + 5] = more[i];
    return manager_start(manager, words);
}

void manager_expect_end(struct manager *manager, struct process *process, int code,
                        const char *says)
{
    int ended = process_wait(process, until_in(STAGE_WAIT_MS));
    if (ended != code)
        fail_msg("exit code %d, not %d", ended, code);
    if (!strstr(stage_log(manager->stage), says))
        fail_msg("the log does not say: %s", says);
}

/* -- messages ---------------------------------------------------------------------------------- */

const char *manager_next(struct manager *manager, uint64_t due_ns)
{
    static char text[1024];
    if (!until_readable(due_ns, manager->notify_fd))
        return NULL;
    ssize_t size = recv(manager->notify_fd, text, sizeof(text) - 1, 0);
    assert_true(size >= 0);
    text[size] = '\0';
    return text;
}

bool manager_hears(struct manager *manager, const char *begin, uint64_t due_ns)
{
    const char *message;
    while ((message = manager_next(manager, due_ns)) != NULL)
        if (strncmp(message, begin, strlen(begin)) == 0)
            return true;
    return false;
}

const char *manager_expect(struct manager *manager, const char *begin)
{
    uint64_t due_ns = until_in(STAGE_WAIT_MS);
    const char *message;
    while ((message = manager_next(manager, due_ns)) != NULL)
        if (strncmp(message, begin, strlen(begin)) == 0)
            return message;
    fail_msg("no message that begins with %s", begin);
    return NULL;
}

void manager_drain(struct manager *manager)
{
    while (manager_next(manager, 0))
        ;
}
