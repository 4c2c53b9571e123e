/* SPDX-License-Identifier: Apache-2.0 */
/* any: random numbers of a test. The same seed gives the same numbers. */
#ifndef SPN_TESTS_ANY_H
#define SPN_TESTS_ANY_H

#include <stdint.h>

static uint64_t any_state; /* set it to the seed, not 0 */

/* A number below this one, which is not 0. */
static inline uint64_t any(uint64_t below)
{
    any_state ^= any_state << 13;
    any_state ^= any_state >> 7;
    any_state ^= any_state << 17;
    return any_state % below;
}

#endif
