/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/temp_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

enum {
    PROGRAM_SIZE = 4096,
    READY_FD = 3,
    READY_MS = 30000,
    STOP_MS = 10000,
    STOP_POLL_MS = 10,
};

/* -- the directory ----------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *found, int kind, struct FTW *walk)
{
    (void)found;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void remove_dir(const struct temp_daemon *daemon)
{
    if (nftw(daemon->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        cli_fail_errno(daemon->dir);
}

static int make_dir(struct temp_daemon *daemon)
{
    const char *base = getenv("TMPDIR");
    if (!base || !*base || strlen(base) > TEMP_DAEMON_PATH_SIZE / 2)
        base = "/var/tmp";
    int size = snprintf(daemon->dir, sizeof(daemon->dir) - 16, "%s/sponson-bench-XXXXXX", base);
    if (!mkdtemp(daemon->dir))
        return cli_fail_errno(base);
    snprintf(daemon->data_dir, sizeof(daemon->data_dir), "%.*s/data", size, daemon->dir);
    snprintf(daemon->socket_dir, sizeof(daemon->socket_dir), "%.*s/run", size, daemon->dir);
    snprintf(daemon->log, sizeof(daemon->log), "%.*s/log", size, daemon->dir);
    if (mkdir(daemon->data_dir, 0700) == 0 && mkdir(daemon->socket_dir, 0750) == 0)
        return CLI_OK;
    int exit_code = cli_fail_errno(daemon->dir);
    remove_dir(daemon);
    return exit_code;
}

/* -- the process ------------------------------------------------------------------------------- */

/* Looks in our own directory, as in a build tree, then in the sbin next to our bin, then in
 * PATH. */
static void find_program(char program[PROGRAM_SIZE])
{
    static const char *const places[] = {"sponsond", "../sbin/sponsond"};
    char self[PROGRAM_SIZE - 32];
    ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash = NULL;
    if (size > 0) {
        self[size] = '\0';
        slash = strrchr(self, '/');
    }
    for (size_t i = 0; slash && i < 2; i++) {
        snprintf(program, PROGRAM_SIZE, "%.*s/%s", (int)(slash - self), self, places[i]);
        if (access(program, X_OK) == 0)
            return;
    }
    snprintf(program, PROGRAM_SIZE, "sponsond");
}

/* Starts it in a process group of its own, so that Ctrl-C at the terminal reaches only us. Returns
 * an errno. */
static int spawn(struct temp_daemon *daemon, const char *program, int ready_fd)
{
    extern char **environ;
    char ready[] = "--ready-fd=3";
    char data_dir[TEMP_DAEMON_PATH_SIZE + 16];
    char socket_dir[TEMP_DAEMON_PATH_SIZE + 16];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    snprintf(data_dir, sizeof(data_dir), "--data-dir=%s", daemon->data_dir);
    snprintf(socket_dir, sizeof(socket_dir), "--socket-dir=%s", daemon->socket_dir);
    char *argv[] = {(char[]){"sponsond"},    data_dir, socket_dir, ready,
                    (char[]){"--no-config"}, NULL};

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, daemon->log,
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, ready_fd, READY_FD);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    int error = posix_spawnp(&daemon->pid, program, &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error;
}

/* True: it has reported that it serves. False: it died, or took too long. */
static bool wait_ready(int fd)
{
    char byte;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int count;
    do
        count = poll(&ready, 1, READY_MS);
    while (count < 0 && errno == EINTR);
    return count == 1 && read(fd, &byte, 1) == 1;
}

static void print_log(const struct temp_daemon *daemon)
{
    char text[4096];
    int fd = open(daemon->log, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, text, sizeof(text)) : 0;
    if (size > 0)
        fwrite(text, 1, (size_t)size, stderr);
    if (fd >= 0)
        close(fd);
}

static int start_in_dir(struct temp_daemon *daemon)
{
    char program[PROGRAM_SIZE];
    int fds[2];
    find_program(program);
    if (pipe2(fds, O_CLOEXEC) != 0)
        return cli_fail_errno("pipe");
    int error = spawn(daemon, program, fds[1]);
    close(fds[1]);
    bool ready = error == 0 && wait_ready(fds[0]);
    close(fds[0]);
    if (ready)
        return CLI_OK;
    if (error == 0) {
        print_log(daemon);
        cli_error(program, "did not start");
        return CLI_FAILURE;
    }
    daemon->pid = 0;
    errno = error;
    return cli_fail_errno(program);
}

int temp_daemon_start(struct temp_daemon *daemon)
{
    *daemon = (struct temp_daemon){0};
    int exit_code = make_dir(daemon);
    if (exit_code != CLI_OK) {
        daemon->dir[0] = '\0';
        return exit_code;
    }
    exit_code = start_in_dir(daemon);
    if (exit_code != CLI_OK)
        temp_daemon_stop(daemon);
    return exit_code;
}

static bool has_ended(pid_t pid, int wait_ms)
{
    const struct timespec pause = {.tv_nsec = STOP_POLL_MS * 1000000L};
    for (int waited = 0; waited <= wait_ms; waited += STOP_POLL_MS) {
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

void temp_daemon_stop(struct temp_daemon *daemon)
{
    if (daemon->pid > 0) {
        kill(daemon->pid, SIGTERM);
        if (!has_ended(daemon->pid, STOP_MS)) {
            kill(daemon->pid, SIGKILL);
            waitpid(daemon->pid, NULL, 0);
        }
    }
    if (daemon->dir[0])
        remove_dir(daemon);
    *daemon = (struct temp_daemon){0};
}
