/* SPDX-License-Identifier: Apache-2.0 */
/* slack: when is memory that a load used returned to the system?
 *
 * Frames, answers and connections are allocated and freed all over the heap. Something small always
 * lies above the free memory, so malloc alone would keep it for ever. So a loop that did something
 * returns the free memory of all threads some time later, and once per such time while it is busy.
 *
 * Owns     nothing: the struct is the caller's.
 * Units    nanoseconds of the monotonic clock.
 * Threads  one loop each.
 */
#ifndef SPN_SLACK_H
#define SPN_SLACK_H

#include <stdbool.h>
#include <stdint.h>

enum { SLACK_MS = 4000 };

struct slack {
    uint64_t due_ns; /* 0: nothing was done since the memory was returned */
};

/* happened: something was done since the last call. Returns when to call again; UINT64_MAX: not
 * before something is done. */
uint64_t slack_tick(struct slack *slack, uint64_t now_ns, bool happened);

#endif
