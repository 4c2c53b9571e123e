/* SPDX-License-Identifier: Apache-2.0 */
/* report: what an operator reads in the log while the daemon runs: when trouble begins and ends,
 * and that it stops.
 *
 * Trouble is told at once, its end only after it has been gone for a while: a database at its quota
 * goes in and out of trouble with each segment, and that is one fact, not a hundred lines.
 *
 * Borrows  the worker's atomics.
 * Units    nanoseconds of the monotonic clock.
 * Threads  the broker's, whose loop it is part of.
 */
#ifndef SPN_REPORT_H
#define SPN_REPORT_H

#include <stdint.h>

#include "worker.h"

struct report {
    spn_err told;        /* the trouble that the log knows of; SPN_OK: none */
    uint64_t healthy_ns; /* when to say that it is over; 0: it is not, or there is none */
};

/* Looks at worker->trouble. events_waiting: accepted, and not on disk. */
void report_trouble(struct report *report, const struct worker *worker, uint64_t events_waiting,
                    uint64_t now_ns);
/* When to look again; UINT64_MAX: when the worker nudges. */
uint64_t report_due_ns(const struct report *report);

void report_stopping(uint64_t timeout_ns, uint64_t events_waiting);

#endif
