/* SPDX-License-Identifier: Apache-2.0 */
/* clock: the clocks of the daemon.
 *
 * monotonic  for timeouts and deadlines. Stands still while the machine sleeps.
 * boot       CLOCK_BOOTTIME: time since the machine was started, its sleep included.
 * database   a stored moment, plus the time that the boot clock has counted since. Never goes back,
 *            whatever is done to the wall clock. Ages are measured with it.
 * wall       shown to people. Otherwise it only decides how long the machine was off, within a
 * bound.
 *
 * Units    nanoseconds; wall in milliseconds since 1970, 0: not known.
 * Threads  any thread may read; the struct is constant once the daemon runs.
 */
#ifndef SPN_CLOCK_H
#define SPN_CLOCK_H

#include <stdint.h>

enum { CLOCK_BOOT_ID_SIZE = 16 };

/* A moment on the clocks that outlive the process. All zeros: not known, as in older databases. */
struct clock_moment {
    uint64_t wall_ms;
    uint64_t boot_ns; /* since the machine was started, its sleep included */
    uint8_t boot_id[CLOCK_BOOT_ID_SIZE];
};

/* The clocks are function pointers, so that tests can move time. */
struct clock {
    uint64_t (*monotonic_ns)(void);
    uint64_t (*boot_ns)(void);
    uint64_t (*wall_ms)(void);
    uint64_t database_base_ns; /* database clock at ... */
    uint64_t started_ns;       /* ... this time of the boot clock */
    uint8_t boot_id[CLOCK_BOOT_ID_SIZE];
};

/* The current moment. Its boot_id is all zeros if the kernel does not provide one. */
struct clock_moment clock_now(void);
uint64_t clock_monotonic_ns(void);
uint64_t clock_boot_ns(void);
uint64_t clock_wall_ms(void);
uint64_t clock_database_ns(const struct clock *clock);

#endif
