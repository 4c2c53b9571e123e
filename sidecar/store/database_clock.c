/* SPDX-License-Identifier: Apache-2.0 */
#include "store/database_clock.h"

#include <string.h>

#define MS UINT64_C(1000000)

/* A wall clock before 2020 was not set. A machine without a battery begins in 1970, and once its
 * clock is set, all the time since then would count. */
#define WALL_SET_MS UINT64_C(1577836800000)

void database_clock_find(struct database_clock_found *found, uint64_t database_ns, uint64_t wall_ms)
{
    if (database_ns > found->database_ns)
        found->database_ns = database_ns;
    if (wall_ms > 0 && (found->wall_ms == 0 || database_ns >= found->paired_ns)) {
        found->paired_ns = database_ns;
        found->wall_ms = wall_ms;
    }
}

/* A boot clock that went back is a different one: that of a container with a time of its own. */
static bool is_same_boot(const struct clock_moment *stored, const struct clock_moment *now)
{
    static const uint8_t unknown[CLOCK_BOOT_ID_SIZE];
    return memcmp(stored->boot_id, unknown, sizeof(unknown)) != 0 &&
           memcmp(stored->boot_id, now->boot_id, sizeof(unknown)) == 0 &&
           stored->boot_ns <= now->boot_ns;
}

static void resume_by_boot(const struct record_meta *meta, const struct clock_moment *now,
                           struct database_clock_resumed *resumed)
{
    uint64_t shows_ns = meta->clock_ns + (now->boot_ns - meta->clock_at.boot_ns);
    resumed->by = CLOCK_BY_BOOT;
    if (shows_ns > resumed->database_ns)
        resumed->forward_ns = shows_ns - resumed->database_ns;
}

static void resume_by_wall(const struct record_meta *meta, const struct database_clock_found *found,
                           const struct clock_moment *now, struct database_clock_resumed *resumed)
{
    uint64_t then_ms = found->wall_ms + (found->database_ns - found->paired_ns) / MS;
    resumed->by = CLOCK_BY_WALL;
    if (now->wall_ms < then_ms) {
        resumed->back_ms = then_ms - now->wall_ms;
        return;
    }
    uint64_t away_ns = (now->wall_ms - then_ms) * MS;
    resumed->forward_ns = away_ns < meta->catch_up_max_ns ? away_ns : meta->catch_up_max_ns;
    resumed->cut_ns = away_ns - resumed->forward_ns;
}

struct database_clock_resumed database_clock_resume(const struct record_meta *meta,
                                                    const struct database_clock_found *found,
                                                    const struct clock_moment *now)
{
    struct database_clock_resumed resumed = {.database_ns = found->database_ns,
                                             .by = CLOCK_BY_NOTHING};
    if (is_same_boot(&meta->clock_at, now))
        resume_by_boot(meta, now, &resumed);
    else if (found->wall_ms >= WALL_SET_MS && now->wall_ms >= WALL_SET_MS)
        resume_by_wall(meta, found, now, &resumed);
    resumed.database_ns += resumed.forward_ns;
    return resumed;
}

struct clock database_clock_start(const struct database_clock_resumed *resumed,
                                  const struct clock_moment *now)
{
    struct clock clock = {
        .monotonic_ns = clock_monotonic_ns,
        .boot_ns = clock_boot_ns,
        .wall_ms = clock_wall_ms,
        .database_base_ns = resumed->database_ns,
        .started_ns = now->boot_ns,
    };
    memcpy(clock.boot_id, now->boot_id, sizeof(clock.boot_id));
    return clock;
}

void database_clock_note(const struct clock *clock, struct record_meta *meta)
{
    meta->clock_at.boot_ns = clock->boot_ns();
    meta->clock_at.wall_ms = clock->wall_ms();
    memcpy(meta->clock_at.boot_id, clock->boot_id, sizeof(clock->boot_id));
    meta->clock_ns = clock->database_base_ns + (meta->clock_at.boot_ns - clock->started_ns);
}
