/* SPDX-License-Identifier: Apache-2.0 */
/* pulse: does another thread still get anywhere?
 *
 * The thread counts the turns of its loop. A thread that computes for a long time without a turn is
 * in an endless loop. One that waits uses no processor; whether it waits for a slow disk or for
 * what never comes cannot be told from outside, and a slow disk is no reason to end a process. So
 * it is time of the processor that counts, which also does not pass when the machine is busy.
 *
 * Owns     nothing.
 * Units    nanoseconds.
 * Threads  pulse_begin, pulse_turn and pulse_end: the thread itself; pulse_is_stuck: one other.
 */
#ifndef SPN_PULSE_H
#define SPN_PULSE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct pulse {
    const char *name;  /* of the thread, for the log */
    atomic_bool beats; /* it has begun, and not ended */
    clockid_t clock;   /* the thread's own; set before beats */
    atomic_uint_fast64_t turns;
    uint64_t seen_turns; /* as of the last look */
    uint64_t seen_ns;    /* of the thread's clock, when that turn was first seen */
};

/* All three take NULL. name is borrowed. */
void pulse_begin(struct pulse *pulse, const char *name);
static inline void pulse_turn(struct pulse *pulse)
{
    if (!pulse)
        return;
    uint64_t turns = atomic_load_explicit(&pulse->turns, memory_order_relaxed);
    atomic_store_explicit(&pulse->turns, turns + 1, memory_order_relaxed);
}
void pulse_end(struct pulse *pulse);

/* Whether the thread has computed for longer than this since the first look that saw its present
 * turn. A thread that has not begun, or has ended, is not stuck. */
bool pulse_is_stuck(struct pulse *pulse, uint64_t most_ns);

#endif
