/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

#include <time.h>

uint64_t clock_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

struct clock clock_start(uint64_t stored_ns)
{
    return (struct clock){
        .monotonic_ns = clock_monotonic_ns,
        .wall_ms = clock_wall_ms,
        .database_base_ns = stored_ns,
        .started_ns = clock_monotonic_ns(),
    };
}

uint64_t clock_database_ns(const struct clock *clock)
{
    return clock->database_base_ns + (clock->monotonic_ns() - clock->started_ns);
}
