/* SPDX-License-Identifier: Apache-2.0 */
/* ack_log: a file that says which events are on disk for certain.
 *
 * A line "number id" for each event, in the order in which they became durable. Lines gather and are
 * handed to the kernel with one write(2) before the recorder waits again: killed at any moment, it
 * leaves no line that is not true, and none missing that it had acted upon. The file is only appended to.
 *
 * Owns     the descriptor and the lines not written yet.
 * Threads  one.
 */
#ifndef SPN_CLI_ACK_LOG_H
#define SPN_CLI_ACK_LOG_H

#include "out.h"

struct ack_log {
    struct out out; /* fd -1: there is none, and everything is dropped */
};

/* path NULL: no log. A last line that was cut is ended first. SPN_E_SYSTEM: see errno. */
spn_err ack_log_open(struct ack_log *log, const char *path) SPN_MUST_USE;
void ack_log_close(struct ack_log *log);

void ack_log_add(struct ack_log *log, uint64_t number, struct spn_bytes id);

/* SPN_E_SYSTEM: see errno. */
spn_err ack_log_write(struct ack_log *log) SPN_MUST_USE;

#endif
