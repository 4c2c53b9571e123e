/* SPDX-License-Identifier: Apache-2.0 */
/* follow: prints a session's events: those that exist, or each as it comes.
 *
 * `replay` and `tail` share all of this except their options: a subscription from a start on,
 * through restarts of the sidecar. Output is flushed before waiting for more events, so that a pipe
 * gets each event at once.
 *
 * Owns     the client, the subscription and the output, during the call.
 * Borrows  session and after.
 * Threads  one.
 */
#ifndef SPN_CLI_FOLLOW_H
#define SPN_CLI_FOLLOW_H

#include "cli/cli.h"

struct follow {
    const struct cli_common *common;
    struct spn_bytes session;
    struct spn_bytes after;   /* begin after this event id or cursor; size 0: see earliest */
    bool earliest;            /* begin with the earliest retained event; else with new ones */
    bool exit_when_caught_up; /* end after the event that was newest at the start */
    uint64_t since_ms;        /* begin with what was stored then or later; 0: with the first */
    uint64_t count;           /* events to print; 0: no end */
    enum event_format format;
};

/* The help of --format, for both verbs. */
#define FOLLOW_FORMAT_HELP                                                                         \
    "jsonl (default): one object per line, as for an event in `sponson dump`, without epoch and "  \
    "kind; sse: text/event-stream"

/* Connects, and prints events to standard output and errors to stderr; returns an exit code. */
int follow_run(const struct follow *follow);

#endif
