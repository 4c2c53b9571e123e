/* SPDX-License-Identifier: Apache-2.0 */
/* manager: stands in for systemd: it holds the notify socket and the listening sockets, hands them
 * over, and hears what the program says.
 *
 * Owns     its sockets, until the stage ends.
 * Errors   what cannot be done fails the test.
 * Threads  the test's main thread.
 */
#ifndef SPN_MANAGER_H
#define SPN_MANAGER_H

#include "stage.h"

enum { MANAGER_FDS_MAX = 8 };

struct manager {
    struct stage *stage;
    int notify_fd;
    int fds[MANAGER_FDS_MAX]; /* that are handed over, in this order */
    size_t count;
    const char *names;    /* $LISTEN_FDNAMES; NULL: not set */
    unsigned watchdog_ms; /* 0: none */
};

void manager_open(struct manager *manager, struct stage *stage);
/* Hands this one over too. It stays the caller's. */
void manager_hand(struct manager *manager, int fd);
/* A Unix socket that listens at the path, and is handed over. */
int manager_listen(struct manager *manager, const char *path);
/* Both sockets of the daemon, where the stage's clients look for them. */
void manager_listen_both(struct manager *manager);

/* Any program, as a service: standard error goes to the stage's log. */
struct process *manager_start(struct manager *manager, const char *const *words);
/* sponsond, or another program that takes its options, on the stage's directories. more: up to four
 * further words, NULL at the end; may be NULL. */
struct process *manager_start_daemon(struct manager *manager, const char *program,
                                     const char *const *more);

/* The next message, until the next call. NULL: none came in time. */
const char *manager_next(struct manager *manager, uint64_t due_ns);
/* Passes over others until one comes that begins so. */
const char *manager_expect(struct manager *manager, const char *begin);
/* Whether one comes that begins so. */
bool manager_hears(struct manager *manager, const char *begin, uint64_t due_ns);
/* Forgets the messages that have come. */
void manager_drain(struct manager *manager);

/* The program ends with this code, and its log has these words. */
void manager_expect_end(struct manager *manager, struct process *process, int code,
                        const char *says);

#endif
