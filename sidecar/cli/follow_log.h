/* SPDX-License-Identifier: Apache-2.0 */
/* follow_log: prints the entries of the log, of all sessions or of those with a prefix.
 *
 * Owns     the client, the subscription and the output, during the call.
 * Borrows  the prefix.
 * Threads  one.
 */
#ifndef SPN_CLI_FOLLOW_LOG_H
#define SPN_CLI_FOLLOW_LOG_H

#include "cli/cli.h"

struct follow_log {
    const struct cli_common *common;
    struct spn_follow_options options;
    bool exit_when_caught_up; /* end after the entry that was newest at the start */
    uint64_t since_ms;        /* begin with what was stored then or later; 0: with the first */
    uint64_t count;           /* events to print; 0: no end */
    enum event_format format;
};

/* Connects, and prints entries to standard output and errors to stderr; returns an exit code. */
int follow_log_run(const struct follow_log *follow);

#endif
