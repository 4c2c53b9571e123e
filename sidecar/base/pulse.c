/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pulse.h"

#include <pthread.h>

void pulse_begin(struct pulse *pulse, const char *name)
{
    if (!pulse)
        return;
    pulse->name = name;
    if (pthread_getcpuclockid(pthread_self(), &pulse->clock) == 0)
        atomic_store_explicit(&pulse->beats, true, memory_order_release);
}

void pulse_end(struct pulse *pulse)
{
    if (pulse)
        atomic_store_explicit(&pulse->beats, false, memory_order_release);
}

bool pulse_is_stuck(struct pulse *pulse, uint64_t most_ns)
{
    struct timespec now;
    if (!atomic_load_explicit(&pulse->beats, memory_order_acquire) ||
        clock_gettime(pulse->clock, &now) != 0)
        return false;
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    uint64_t turns = atomic_load_explicit(&pulse->turns, memory_order_relaxed);
    if (turns != pulse->seen_turns || pulse->seen_ns == 0) {
        pulse->seen_turns = turns;
        pulse->seen_ns = now_ns;
        return false;
    }
    return now_ns - pulse->seen_ns > most_ns;
}
