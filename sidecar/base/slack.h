/* SPDX-License-Identifier: Apache-2.0 */
/* slack: when does memory that a load took go back to the system?
 *
 * Frames, answers and connections are allocated and freed all over the heap, and something small
 * always lies above what is free: malloc alone keeps it for ever. So a loop that did something
 * gives back what is free, all threads', some time later, and while it is busy once in that time.
 *
 * Owns     nothing: a struct of the caller's.
 * Units    nanoseconds of the monotonic clock.
 * Threads  one loop each.
 */
#ifndef SPN_SLACK_H
#define SPN_SLACK_H

#include <stdbool.h>
#include <stdint.h>

enum { SLACK_MS = 4000 };

struct slack {
    uint64_t due_ns; /* 0: nothing was done since */
};

/* happened: something was done since the last call. Returns when to call again; UINT64_MAX: not
 * before something is done. */
uint64_t slack_tick(struct slack *slack, uint64_t now_ns, bool happened);

#endif
