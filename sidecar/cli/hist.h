/* SPDX-License-Identifier: Apache-2.0 */
/* hist: percentiles of many measurements in a fixed amount of memory.
 *
 * Log-linear: values below 64 are counted exactly, and each power of two above is divided into 64
 * equal buckets, so that a percentile is at most 1/64 (1.6 %) above the true value, never below it.
 *
 * Owns     nothing; a hist lives in the caller's memory. All zeros is an empty hist.
 * Units    the caller's.
 * Threads  one hist per thread; hist_merge adds them up.
 */
#ifndef SPN_CLI_HIST_H
#define SPN_CLI_HIST_H

#include <stdint.h>

enum {
    HIST_SUB_BITS = 6,
    HIST_SUBS = 1 << HIST_SUB_BITS,
    HIST_BUCKETS = (64 - HIST_SUB_BITS + 1) * HIST_SUBS,
};

struct hist {
    uint64_t count;
    uint64_t max;
    uint64_t buckets[HIST_BUCKETS];
};

void hist_add(struct hist *hist, uint64_t value);
void hist_merge(struct hist *hist, const struct hist *other);

/* The value that at least `percent` of all values do not exceed: 50 is the median, 100 the maximum.
 * 0 if there are no values. */
uint64_t hist_percentile(const struct hist *hist, double percent);

#endif
