/* SPDX-License-Identifier: Apache-2.0 */
/* database_clock: how the database clock goes on after a start.
 *
 * Units    nanoseconds; wall in milliseconds since 1970, 0: not known.
 * Threads  the caller's, before others run.
 */
#ifndef SPN_DATABASE_CLOCK_H
#define SPN_DATABASE_CLOCK_H

#include "base/clock.h"
#include "store/record_meta.h"

/* The times found in a database: the highest database time, and the newest pair of both clocks. */
struct database_clock_found {
    uint64_t database_ns;
    uint64_t paired_ns;
    uint64_t wall_ms; /* at paired_ns */
};

/* Adds one time that was found, in whatever order. */
void database_clock_find(struct database_clock_found *found, uint64_t database_ns,
                         uint64_t wall_ms);

enum database_clock_by {
    CLOCK_BY_BOOT, /* exact: the machine was not restarted since the stored moment */
    CLOCK_BY_WALL,
    CLOCK_BY_NOTHING, /* a wall clock was not set or not known: the clock goes on where it was */
};

struct database_clock_resumed {
    uint64_t database_ns; /* now */
    enum database_clock_by by;
    uint64_t forward_ns; /* added to the highest time that was found */
    uint64_t cut_ns;     /* the wall clock's difference beyond the bound */
    uint64_t back_ms;    /* how far the wall clock is behind the time that was found */
};

/* Returns what the database clock shows now. meta: when the clock was stored last. Within the same
 * boot, the boot clock's difference is added, whatever was killed meanwhile. Otherwise the wall
 * clock's difference is added, forward only and never more than meta->catch_up_max_ns. The result
 * is never below the times that were found. */
struct database_clock_resumed database_clock_resume(const struct record_meta *meta,
                                                    const struct database_clock_found *found,
                                                    const struct clock_moment *now);

/* The real clocks; the database clock goes on from here. */
struct clock database_clock_start(const struct database_clock_resumed *resumed,
                                  const struct clock_moment *now);
/* Stores the database clock, and the moment at which it was read, in meta. */
void database_clock_note(const struct clock *clock, struct record_meta *meta);

#endif
