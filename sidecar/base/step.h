/* SPDX-License-Identifier: Apache-2.0 */
/* step: how much of a long job is done at a time, so that others need not wait for all of it.
 *
 * A step ends when its time is over. The clock is read once in STEP_WORK units of work, so the time
 * between two readings is bounded by the work that is counted, not by how many items the job has.
 *
 * Units    of work: a row that is read; a quarter of a block that is read, or of a name or row that
 *          is written; sixteen events that are written.
 */
#ifndef SPN_STEP_H
#define SPN_STEP_H

#include <stdbool.h>
#include <stdint.h>

enum { STEP_WORK = 64 };

struct step {
    uint64_t (*now_ns)(void);
    uint64_t until_ns;
    uint64_t work; /* since the clock was read */
};

/* So much was done. True: it is enough. */
static inline bool step_is_over(struct step *step, uint64_t work)
{
    step->work += work;
    if (step->work < STEP_WORK)
        return false;
    step->work = 0;
    return step->now_ns() >= step->until_ns;
}

#endif
