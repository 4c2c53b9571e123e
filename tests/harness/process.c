/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "until.h"

enum { SIGNALLED = 128 };

/* What the child's descriptors are made of; -1: none. */
struct ends {
    int input;
    int output;
    int error;
};

/* -- starting ---------------------------------------------------------------------------------- */

static int memory_with(struct spn_bytes bytes)
{
    int fd = memfd_create("input", MFD_CLOEXEC);
    const char *at = bytes.data;
    size_t left = bytes.size;
    while (fd >= 0 && left > 0) {
        ssize_t written = write(fd, at, left);
        if (written <= 0) {
            close(fd);
            return -1;
        }
        at += written;
        left -= (size_t)written;
    }
    if (fd >= 0)
        lseek(fd, 0, SEEK_SET);
    return fd;
}

static void close_if_open(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static bool open_ends(struct ends *ends, const struct process_options *options)
{
    ends->input = options->input_fd > 0 ? fcntl(options->input_fd, F_DUPFD_CLOEXEC, 0)
                                        : memory_with(options->input);
    ends->output = options->output_fd > 0 ? fcntl(options->output_fd, F_DUPFD_CLOEXEC, 0)
                                          : memfd_create("output", MFD_CLOEXEC);
    ends->error = options->error_path
                      ? open(options->error_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)
                      : memfd_create("error", MFD_CLOEXEC);
    return ends->input >= 0 && ends->output >= 0 && ends->error >= 0;
}

/* Between fork and exec: system calls only, since other threads of the test may hold locks. */
_Noreturn static void become(const struct process_options *options, const struct ends *ends,
                             pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(PROCESS_CANNOT_RUN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    /* The ends lie above the numbers that they go to, as the test's own 0, 1 and 2 are open; the
     * one that is handed over may lie on an end's new number, so it goes last, out of harm's way
     * first. */
    int handed = options->handed_fd > 0 ? fcntl(options->handed_fd, F_DUPFD_CLOEXEC, 16) : -1;
    dup2(ends->input, STDIN_FILENO);
    dup2(ends->output, STDOUT_FILENO);
    dup2(ends->error, STDERR_FILENO);
    if (handed >= 0)
        dup2(handed, PROCESS_HANDED_FD);
    if (options->prepare)
        options->prepare();
    execvp(options->argv[0], (char *const *)(uintptr_t)options->argv);
    _exit(PROCESS_CANNOT_RUN);
}

spn_err process_start(struct process *process, const struct process_options *options)
{
    struct ends ends = {-1, -1, -1};
    pid_t parent = getpid();
    *process = (struct process)PROCESS_INIT;
    pid_t pid = open_ends(&ends, options) ? fork() : -1;
    if (pid == 0)
        become(options, &ends, parent);
    int saved = errno;
    close_if_open(&ends.input);
    if (options->error_path)
        close_if_open(&ends.error);
    if (options->output_fd > 0)
        close_if_open(&ends.output);
    if (pid < 0) {
        close_if_open(&ends.output);
        close_if_open(&ends.error);
        errno = saved;
        return SPN_E_SYSTEM;
    }
    process->pid = pid;
    process->pidfd = pidfd_open(pid, 0);
    process->output_fd = ends.output;
    process->error_fd = ends.error;
    if (process->pidfd >= 0)
        return SPN_OK;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    process_release(process);
    return SPN_E_SYSTEM;
}

/* -- ending ------------------------------------------------------------------------------------ */

int process_wait(struct process *process, uint64_t due_ns)
{
    if (process->pidfd < 0)
        return process->code;
    if (!until_readable(due_ns, process->pidfd))
        return PROCESS_NOT_ENDED;
    int status = 0;
    pid_t reaped;
    do
        reaped = waitpid(process->pid, &status, 0);
    while (reaped < 0 && errno == EINTR);
    process->code = WIFEXITED(status) ? WEXITSTATUS(status) : SIGNALLED + WTERMSIG(status);
    close_if_open(&process->pidfd);
    return process->code;
}

bool process_runs(struct process *process)
{
    return process->pidfd >= 0 && process_wait(process, 0) == PROCESS_NOT_ENDED;
}

size_t process_anonymous_bytes(const struct process *process)
{
    char path[64];
    char line[256];
    unsigned long kib = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)process->pid);
    FILE *status = fopen(path, "re");
    assert_non_null(status);
    while (kib == 0 && fgets(line, sizeof(line), status))
        if (strncmp(line, "RssAnon:", 8) == 0)
            kib = strtoul(line + 8, NULL, 10);
    (void)fclose(status);
    assert_true(kib > 0);
    return kib * 1024;
}

void process_signal(const struct process *process, int number)
{
    if (process->pidfd >= 0)
        kill(process->pid, number);
}

void process_stop(const struct process *process)
{
    siginfo_t info;
    process_signal(process, SIGSTOP);
    int err;
    do
        err = waitid(P_PID, (id_t)process->pid, &info, WSTOPPED | WEXITED | WNOWAIT);
    while (err != 0 && errno == EINTR);
    assert_int_equal(err, 0);
    assert_int_equal(info.si_code, CLD_STOPPED);
}

void process_kill(struct process *process)
{
    process_signal(process, SIGKILL);
    process_wait(process, UINT64_MAX / 2);
}

void process_release(struct process *process)
{
    process_kill(process);
    close_if_open(&process->output_fd);
    close_if_open(&process->error_fd);
}

/* -- what it wrote ----------------------------------------------------------------------------- */

static char *contents(int fd, size_t *ret_size)
{
    struct stat status;
    *ret_size = 0;
    if (fd < 0 || fstat(fd, &status) != 0)
        return NULL;
    char *bytes = malloc((size_t)status.st_size + 1);
    ssize_t size = bytes ? pread(fd, bytes, (size_t)status.st_size, 0) : -1;
    if (size < 0) {
        free(bytes);
        return NULL;
    }
    bytes[size] = '\0';
    *ret_size = (size_t)size;
    return bytes;
}

char *process_output(const struct process *process, size_t *ret_size)
{
    return contents(process->output_fd, ret_size);
}

char *process_errors(const struct process *process, size_t *ret_size)
{
    return contents(process->error_fd, ret_size);
}
