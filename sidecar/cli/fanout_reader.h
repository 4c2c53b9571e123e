/* SPDX-License-Identifier: Apache-2.0 */
/* fanout_reader: a process full of subscribers to one session, on one or more clients.
 *
 * It sends a byte when all subscriptions are in place, and a byte for each event that all
 * subscribers have received. The time at which each received it is in memory that both processes
 * share.
 *
 * Owns     the process, which ends with its parent at the latest, and a pipe from it.
 * Units    nanoseconds of the monotonic clock, which all processes of a machine share.
 * Threads  start it before any thread: nothing may fork once a client is open.
 */
#ifndef SPN_CLI_FANOUT_READER_H
#define SPN_CLI_FANOUT_READER_H

#include <stdatomic.h>
#include <sys/types.h>

#include "sponson.h"

enum { FANOUT_READY = 'r', FANOUT_ROUND = '.', FANOUT_FAILED = '!' };

struct fanout_reader {
    const char
        *socket_dir; /* set by the caller, as are the next ones; NULL: the library's search */
    int timeout_ms;
    struct spn_bytes session;
    size_t count;          /* subscribers */
    size_t client_count;   /* that they share, each with a connection */
    uint64_t *received_ns; /* one place for each subscriber, in shared memory */

    pid_t pid;   /* 0: none */
    int told_fd; /* the pipe that its bytes come from */
};

/* SPN_E_SYSTEM: see errno. */
spn_err fanout_reader_start(struct fanout_reader *reader) SPN_MUST_USE;
void fanout_reader_stop(struct fanout_reader *reader); /* takes a zeroed one */

/* Waits for the next byte. SPN_E_TIMEOUT, also after a signal. SPN_E_SYSTEM: the process failed,
 * and has printed why. */
spn_err fanout_reader_wait(const struct fanout_reader *reader, int timeout_ms,
                           char expected) SPN_MUST_USE;

#endif
