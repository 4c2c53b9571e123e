/* SPDX-License-Identifier: Apache-2.0 */
/* depends: which earlier numbers do entries in the window depend on?
 *
 * The sidecar knows the results of numbers from the base on. So the base stays at or below the
 * lowest number that an entry without a result depends on. Of these pairs only those are kept that
 * can still be the lowest: their numbers and what they depend on both ascend.
 *
 * Owns     the pairs.
 * Threads  those of its owner.
 */
#ifndef SPN_CLIENT_DEPENDS_H
#define SPN_CLIENT_DEPENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The sidecar keeps 4,096 runs of a producer. If an entry depended on a number farther back, they
 * could become full before the entry has its result. */
enum { DEPENDS_DISTANCE_MAX = 2048 };

struct depends {
    struct depends_pair {
        uint64_t number;
        uint64_t on;
    } * pairs;
    size_t head;
    size_t count;
    size_t room;
};

void depends_release(struct depends *depends); /* takes a struct that was only zeroed */

/* Makes room for one more pair. False: out of memory. */
bool depends_reserve(struct depends *depends);
/* Numbers ascend. There must be room. */
void depends_add(struct depends *depends, uint64_t number, uint64_t on);
/* The numbers below base have their results. Returns the base that may be sent to the sidecar. */
uint64_t depends_base(struct depends *depends, uint64_t base);

#endif
