/* SPDX-License-Identifier: Apache-2.0 */
/* clock: the three clocks of the daemon.
 *
 * monotonic  for timeouts and deadlines.
 * database   time since start on top of what was stored: never goes back, whatever is done to the
 *            wall clock. Ages are measured with it.
 * wall       shown to people, never used to decide.
 *
 * Units    nanoseconds; wall in milliseconds since 1970.
 * Threads  reading is free for all; the struct is constant once the daemon runs.
 */
#ifndef SPN_CLOCK_H
#define SPN_CLOCK_H

#include <stdint.h>

/* Time comes in as function pointers, so that tests move it. */
struct clock {
    uint64_t (*monotonic_ns)(void);
    uint64_t (*wall_ms)(void);
    uint64_t database_base_ns; /* database clock at ... */
    uint64_t started_ns;       /* ... this monotonic time */
};

/* The real clocks. stored_ns: the highest database time found on disk. */
struct clock clock_start(uint64_t stored_ns);

uint64_t clock_monotonic_ns(void);
uint64_t clock_wall_ms(void);
uint64_t clock_database_ns(const struct clock *clock);

#endif
