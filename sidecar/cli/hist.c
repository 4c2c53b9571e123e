/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/hist.h"

#include <math.h>
#include <stddef.h>

static size_t bucket_of(uint64_t value)
{
    if (value < HIST_SUBS)
        return (size_t)value;
    unsigned exponent = 63 - (unsigned)__builtin_clzll(value);
    unsigned shift = exponent - HIST_SUB_BITS;
    return (shift + 1) * HIST_SUBS + (size_t)(value >> shift) - HIST_SUBS;
}

/* The highest value that falls into the bucket. */
static uint64_t bucket_top(size_t bucket)
{
    if (bucket < HIST_SUBS)
        return bucket;
    unsigned shift = (unsigned)(bucket / HIST_SUBS) - 1;
    uint64_t first = (uint64_t)(HIST_SUBS + bucket % HIST_SUBS) << shift;
    return first + ((UINT64_C(1) << shift) - 1);
}

void hist_add(struct hist *hist, uint64_t value)
{
    hist->count++;
    if (value > hist->max)
        hist->max = value;
    hist->buckets[bucket_of(value)]++;
}

void hist_merge(struct hist *hist, const struct hist *other)
{
    hist->count += other->count;
    if (other->max > hist->max)
        hist->max = other->max;
    for (size_t i = 0; i < HIST_BUCKETS; i++)
        hist->buckets[i] += other->buckets[i];
}

uint64_t hist_percentile(const struct hist *hist, double percent)
{
    double rank = ceil(percent * (double)hist->count / 100);
    uint64_t wanted = rank < 1 ? 1 : (uint64_t)rank;
    uint64_t seen = 0;
    for (size_t i = 0; i < HIST_BUCKETS; i++) {
        seen += hist->buckets[i];
        if (seen >= wanted)
            return bucket_top(i) < hist->max ? bucket_top(i) : hist->max;
    }
    return hist->max;
}
