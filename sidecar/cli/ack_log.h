/* SPDX-License-Identifier: Apache-2.0 */
/* ack_log: a file that says which events are on disk for certain.
 *
 * A line "number id" for each event, in the order in which they became durable; a line counts once
 * its line end is there. Lines gather and are handed to the kernel before the recorder waits again,
 * so that one that is killed has told all that it acted upon.
 *
 * A kill can end a write(2) between two pages of the file and cut a line there (seen in a test that
 * kills recorders). So lines are written in pieces that stay within a page; only a line that lies
 * across two can still be cut (300 recorders killed: none was). The next run takes away such a
 * beginning.
 *
 * Owns     the descriptor and the lines not written yet.
 * Threads  one.
 */
#ifndef SPN_CLI_ACK_LOG_H
#define SPN_CLI_ACK_LOG_H

#include <stdint.h>

#include "cli/out.h"

struct ack_log {
    int fd; /* -1: there is none, and everything is dropped */
    uint64_t size;
    struct out lines;
};

/* path NULL: no log. Goes on at the end of a file that is there. A last line without an end is
 * taken away when it may be one of ours, and else ended. SPN_E_SYSTEM: see errno. */
spn_err ack_log_open(struct ack_log *log, const char *path) SPN_MUST_USE;
void ack_log_close(struct ack_log *log);

void ack_log_add(struct ack_log *log, uint64_t number, struct spn_bytes id);

/* SPN_E_SYSTEM: see errno. */
spn_err ack_log_write(struct ack_log *log) SPN_MUST_USE;

#endif
