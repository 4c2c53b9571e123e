/* SPDX-License-Identifier: Apache-2.0 */
/* publishing: how many one-shots wait for their answer, and how much memory they take.
 *
 * A one-shot has no window: a client may send any number of them. So all that wait are bounded by
 * number and bytes, and those of one user have half of that at most. While batches are not taken,
 * only those that end sessions are, since they may make room, and few of them.
 *
 * Threads  the broker's.
 */
#ifndef SPN_PUBLISHING_H
#define SPN_PUBLISHING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spn_err.h"

enum {
    PUBLISHING_COUNT_MAX = 4096,
    PUBLISHING_USERS_MAX = 64,           /* users with one-shots that wait, at the same time */
    PUBLISHING_PART = 4,                 /* of the queue's bytes, for all that wait */
    PUBLISHING_ENDS_BYTES_MAX = 1 << 20, /* while batches are not taken */
};

struct publishing_sum {
    uint32_t uid;
    uint32_t count; /* 0: this place is free */
    size_t bytes;
};

struct publishing {
    size_t bytes_max;
    struct publishing_sum all;
    struct publishing_sum users[PUBLISHING_USERS_MAX];
};

static inline void publishing_limit(struct publishing *publishing, size_t queue_bytes_max)
{
    publishing->bytes_max = queue_bytes_max / PUBLISHING_PART;
}

/* Counts one more. SPN_E_LIMIT: the user has as many as it may; SPN_E_BACKPRESSURE: all together
 * are as many as may be. *ret_words: why. */
spn_err publishing_add(struct publishing *publishing, uint32_t uid, size_t bytes,
                       const char **ret_words) SPN_MUST_USE;
void publishing_remove(struct publishing *publishing, uint32_t uid, size_t bytes);

#endif
