/* SPDX-License-Identifier: Apache-2.0 */
/* database_clock: how the database's clock goes on after a start.
 *
 * Units    nanoseconds; wall in milliseconds since 1970, 0: not known.
 * Threads  the caller's, before others run.
 */
#ifndef SPN_DATABASE_CLOCK_H
#define SPN_DATABASE_CLOCK_H

#include "base/clock.h"
#include "store/record_meta.h"

enum { CLOCK_CATCH_UP_MAX_MS = 7 * 86400000 }; /* by default */

/* What is in a database: the highest database time of all, and the newest pair of both clocks. */
struct database_clock_found {
    uint64_t database_ns;
    uint64_t paired_ns;
    uint64_t wall_ms; /* at paired_ns */
};

/* One time that was found, in whatever order. */
void database_clock_find(struct database_clock_found *found, uint64_t database_ns,
                         uint64_t wall_ms);

enum database_clock_by {
    CLOCK_BY_BOOT, /* exact: the machine was not restarted since what was stored */
    CLOCK_BY_WALL,
    CLOCK_BY_NOTHING, /* a wall clock was not set, or there was none: it goes on where it was */
};

struct database_clock_resumed {
    uint64_t database_ns; /* now */
    enum database_clock_by by;
    uint64_t forward_ns; /* since the highest time that was found */
    uint64_t cut_ns;     /* what the wall clock says beyond the bound */
    uint64_t back_ms;    /* how far the wall clock is behind what was found */
};

/* What the database clock shows now. meta: when it was stored last. Within the same boot it is what
 * the boot clock says, whatever was killed meanwhile. Else the wall clock's difference, forward
 * only and never more than meta->catch_up_max_ns. Never below what was found. */
struct database_clock_resumed database_clock_resume(const struct record_meta *meta,
                                                    const struct database_clock_found *found,
                                                    const struct clock_moment *now);

/* The real clocks, the database's going on from here. */
struct clock database_clock_start(const struct database_clock_resumed *resumed,
                                  const struct clock_moment *now);
/* Into meta: the database clock, and when that is. */
void database_clock_note(const struct clock *clock, struct record_meta *meta);

#endif
