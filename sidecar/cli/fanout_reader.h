/* SPDX-License-Identifier: Apache-2.0 */
/* fanout_reader: a process full of subscribers to one session, each with a connection.
 *
 * It says by a byte when all of them stand, and by another one for each event that all of them have
 * got; when each got it is in memory that both processes see.
 *
 * Owns     the process, which ends with its parent at the latest, and a pipe from it.
 * Units    nanoseconds of the monotonic clock, which all processes of a machine share.
 * Threads  start it before any: nothing may fork once a client is open.
 */
#ifndef SPN_CLI_FANOUT_READER_H
#define SPN_CLI_FANOUT_READER_H

#include <stdatomic.h>
#include <sys/types.h>

#include "sponson.h"

enum { FANOUT_READY = 'r', FANOUT_ROUND = '.', FANOUT_FAILED = '!' };

struct fanout_reader {
    const char *socket_dir; /* these are set before; NULL: the library's search */
    int timeout_ms;
    struct spn_bytes session;
    size_t count;          /* subscribers */
    uint64_t *received_ns; /* one place for each, in memory that is shared */

    pid_t pid;   /* 0: none */
    int told_fd; /* its bytes come from here */
};

/* SPN_E_SYSTEM: see errno. */
spn_err fanout_reader_start(struct fanout_reader *reader) SPN_MUST_USE;
void fanout_reader_stop(struct fanout_reader *reader); /* takes a zeroed one */

/* The next byte. SPN_E_TIMEOUT, also when a signal came. SPN_E_SYSTEM: it failed, and has told why.
 */
spn_err fanout_reader_wait(const struct fanout_reader *reader, int timeout_ms,
                           char expected) SPN_MUST_USE;

#endif
