/* SPDX-License-Identifier: Apache-2.0 */
/* temp_daemon: a temporary sidecar, removed without a trace when it is no longer needed.
 *
 * Owns     the process and a temporary directory with its data, sockets and log. The directory is
 *          under $TMPDIR or /var/tmp and not /tmp, which is often memory: durable would mean
 *          nothing there.
 * Threads  start it before any thread: nothing may fork once a client is open.
 */
#ifndef SPN_CLI_TEMP_DAEMON_H
#define SPN_CLI_TEMP_DAEMON_H

#include <sys/types.h>

enum { TEMP_DAEMON_PATH_SIZE = 256 };

struct temp_daemon {
    pid_t pid; /* 0: none */
    char dir[TEMP_DAEMON_PATH_SIZE];
    char data_dir[TEMP_DAEMON_PATH_SIZE];
    char socket_dir[TEMP_DAEMON_PATH_SIZE];
    char log[TEMP_DAEMON_PATH_SIZE];
};

/* Returns when the sidecar serves. Prints what went wrong; returns an exit code. After a failure
 * nothing is left. */
int temp_daemon_start(struct temp_daemon *daemon);

/* Ends the process and removes the directory. Takes a zeroed one. */
void temp_daemon_stop(struct temp_daemon *daemon);

#endif
