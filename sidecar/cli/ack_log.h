/* SPDX-License-Identifier: Apache-2.0 */
/* ack_log: a file that lists the events that are on disk for certain.
 *
 * A line "number id" for each event, in the order in which they became durable. A line counts once
 * its line end is there. Lines are collected and written before the recorder waits again, so that
 * the file of a killed recorder has every acknowledgement that it acted on.
 *
 * A kill can end a write(2) between two pages of the file and cut a line there (seen in a test that
 * kills recorders). So lines are written in pieces that stay within a page. Only a line that
 * crosses a page boundary can still be cut (300 recorders killed: none was). The next run removes a
 * cut line.
 *
 * Owns     the descriptor, and the lines that are not written yet.
 * Threads  one.
 */
#ifndef SPN_CLI_ACK_LOG_H
#define SPN_CLI_ACK_LOG_H

#include <stdint.h>

#include "base/out.h"

struct ack_log {
    int fd; /* -1: there is no file, and everything is dropped */
    uint64_t size;
    struct out lines;
};

/* path NULL: no log. Appends to an existing file. A last line without a line end is removed if it
 * may be one of ours; otherwise it gets a line end. SPN_E_SYSTEM: see errno. */
spn_err ack_log_open(struct ack_log *log, const char *path) SPN_MUST_USE;
void ack_log_close(struct ack_log *log);

void ack_log_add(struct ack_log *log, uint64_t number, struct spn_bytes id);

/* SPN_E_SYSTEM: see errno. */
spn_err ack_log_write(struct ack_log *log) SPN_MUST_USE;

#endif
