/* SPDX-License-Identifier: Apache-2.0 */
/* process: a program that a test runs.
 *
 * Its input is what the test gives it; what it writes is kept. It is told to die with the test
 * program, however that one ends, and is waited for through a pidfd, with a deadline.
 *
 * Owns     the process: process_release kills what is left of it.
 * Threads  the test's main thread: the kernel ties the child's life to the thread that forked it.
 */
#ifndef SPN_PROCESS_H
#define SPN_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "spn_err.h"

enum {
    PROCESS_HANDED_FD = 3, /* where the child finds options.handed_fd */
    PROCESS_NOT_ENDED = -1,
    PROCESS_CANNOT_RUN = 127, /* exec failed */
};

struct process {
    pid_t pid;     /* stays when it has ended */
    int pidfd;     /* -1: ended and reaped */
    int output_fd; /* memory that holds its standard output; -1: not kept */
    int error_fd;  /* the same for standard error */
    int code;      /* once it has ended: its exit code, or 128 and the signal's number */
};

#define PROCESS_INIT                                                                               \
    {                                                                                              \
        .pidfd = -1, .output_fd = -1, .error_fd = -1, .code = PROCESS_NOT_ENDED                    \
    }

struct process_options {
    const char *const *argv; /* [0]: the program's path, or a name to be found in PATH */
    struct spn_bytes input;  /* standard input, while input_fd is 0 */
    int input_fd;            /* standard input is this; 0: input. The caller's to close */
    int output_fd;           /* standard output is this; 0: kept. The caller's to close */
    int handed_fd;           /* handed over as PROCESS_HANDED_FD; 0: none. The caller's to close */
    const char *error_path;  /* standard error is appended to this file; NULL: kept */
    void (*prepare)(void);   /* runs in the child before exec: system calls only */
};

/* SPN_E_SYSTEM: see errno. That the program cannot be run shows as PROCESS_CANNOT_RUN. */
spn_err process_start(struct process *process, const struct process_options *options) SPN_MUST_USE;

/* Its exit code, or 128 and the signal's number; PROCESS_NOT_ENDED: it runs still. Reaps it. */
int process_wait(struct process *process, uint64_t due_ns);
bool process_runs(struct process *process);

/* Memory that is its own, not that of files that it maps. Fails the test if it does not run. */
size_t process_anonymous_bytes(const struct process *process);

/* By its pid. No-op on one that has ended. */
void process_signal(const struct process *process, int number);
/* Stops it with SIGSTOP, and waits until it stands still: kill returns before that. SIGCONT lets it
 * go on. */
void process_stop(const struct process *process);
void process_kill(struct process *process); /* SIGKILL, and waits until it is gone */

/* What it wrote so far: malloced, with a NUL behind it that *ret_size does not count. NULL: nothing
 * kept, or no memory. */
char *process_output(const struct process *process, size_t *ret_size);
char *process_errors(const struct process *process, size_t *ret_size);

void process_release(struct process *process);

#endif
