/* SPDX-License-Identifier: Apache-2.0 */
/* clock: the clocks of the daemon, and how the database's goes on after a start.
 *
 * monotonic  for timeouts and deadlines. Stands still while the machine sleeps.
 * boot       CLOCK_BOOTTIME: since the machine was started, its sleep included.
 * database   a moment that was stored, and the boot clock since then: never goes back, whatever is
 *            done to the wall clock. Ages are measured with it.
 * wall       shown to people. Decides only how long the machine was off, and that within a bound.
 *
 * Units    nanoseconds; wall in milliseconds since 1970, 0: not known.
 * Threads  reading is free for all; the struct is constant once the daemon runs.
 */
#ifndef SPN_CLOCK_H
#define SPN_CLOCK_H

#include <stdint.h>

#include "record.h"

enum { CLOCK_CATCH_UP_MAX_MS = 7 * 86400000 }; /* by default */

/* Time comes in as function pointers, so that tests move it. */
struct clock {
    uint64_t (*monotonic_ns)(void);
    uint64_t (*boot_ns)(void);
    uint64_t (*wall_ms)(void);
    uint64_t database_base_ns; /* database clock at ... */
    uint64_t started_ns;       /* ... this time of the boot clock */
    uint8_t boot_id[RECORD_BOOT_ID_SIZE];
};

/* What is in a database: the highest database time of all, and the newest pair of both clocks. */
struct clock_found {
    uint64_t database_ns;
    uint64_t paired_ns;
    uint64_t wall_ms; /* at paired_ns */
};

/* One time that was found, in whatever order. */
void clock_find(struct clock_found *found, uint64_t database_ns, uint64_t wall_ms);

enum clock_by {
    CLOCK_BY_BOOT, /* exact: the machine was not restarted since what was stored */
    CLOCK_BY_WALL,
    CLOCK_BY_NOTHING, /* a wall clock was not set, or there was none: it goes on where it was */
};

struct clock_resumed {
    uint64_t database_ns; /* now */
    enum clock_by by;
    uint64_t forward_ns; /* since the highest time that was found */
    uint64_t cut_ns;     /* what the wall clock says beyond the bound */
    uint64_t back_ms;    /* how far the wall clock is behind what was found */
};

/* What the database clock shows now. meta: when it was stored last. Within the same boot it is what
 * the boot clock says, whatever was killed meanwhile. Else the wall clock's difference, forward
 * only and never more than meta->catch_up_max_ns. Never below what was found. */
struct clock_resumed clock_resume(const struct record_meta *meta, const struct clock_found *found,
                                  const struct record_moment *now);

/* The real clocks, the database's going on from here. */
struct clock clock_start(const struct clock_resumed *resumed, const struct record_moment *now);
/* Into meta: the database clock, and when that is. */
void clock_note(const struct clock *clock, struct record_meta *meta);

/* This moment. Where the kernel does not say which boot it is, its id is all zeros. */
struct record_moment clock_now(void);
uint64_t clock_monotonic_ns(void);
uint64_t clock_boot_ns(void);
uint64_t clock_wall_ms(void);
uint64_t clock_database_ns(const struct clock *clock);

#endif
