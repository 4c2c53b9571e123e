/* SPDX-License-Identifier: Apache-2.0 */
/* follow: prints a session's events, as far as there are some or as they come.
 *
 * What `replay` and `tail` have in common, which is all but their options: a subscription from a
 * start on, through restarts of the sidecar. What has been printed is written out before waiting
 * for more, so that a pipe sees each event at once.
 *
 * Owns     the client, the subscription and the output, for the time of the call.
 * Borrows  session and after.
 * Threads  one.
 */
#ifndef SPN_CLI_FOLLOW_H
#define SPN_CLI_FOLLOW_H

#include "cli/cli.h"

struct follow {
    const struct cli_common *common;
    struct spn_bytes session;
    struct spn_bytes after;   /* begin behind this event id; size 0: see earliest */
    bool earliest;            /* begin with the earliest that is retained; else with what comes */
    bool exit_when_caught_up; /* end behind the newest event of when it began */
    uint64_t count;           /* events to print; 0: no end */
    enum event_format format;
};

/* What --format means, for both. */
#define FOLLOW_FORMAT_HELP                                                                         \
    "jsonl: an object a line, as `sponson dump` prints them (default); sse: text/event-stream"

/* Connects, prints to standard output, says what went wrong; returns an exit code. */
int follow_run(const struct follow *follow);

#endif
