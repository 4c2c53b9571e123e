/* SPDX-License-Identifier: Apache-2.0 */
/* histogram: how many times something took at most so long.
 *
 * Units    milliseconds.
 * Threads  one.
 */
#ifndef SPN_HTTP_HISTOGRAM_H
#define SPN_HTTP_HISTOGRAM_H

#include <stdint.h>

#include "base/out.h"

/* X(bound in ms, "the same in seconds") */
#define HISTOGRAM_BOUND_MAP(X)                                                                     \
    X(1, "0.001")                                                                                  \
    X(2, "0.002")                                                                                  \
    X(5, "0.005")                                                                                  \
    X(10, "0.01")                                                                                  \
    X(20, "0.02")                                                                                  \
    X(50, "0.05")                                                                                  \
    X(100, "0.1")                                                                                  \
    X(500, "0.5")                                                                                  \
    X(1000, "1")                                                                                   \
    X(5000, "5")                                                                                   \
    X(30000, "30")                                                                                 \
    X(UINT64_MAX, "+Inf")

#define HISTOGRAM_PLACE(bound, text) HISTOGRAM_TO_##bound,
enum { HISTOGRAM_BOUND_MAP(HISTOGRAM_PLACE) HISTOGRAM_COUNT };
#undef HISTOGRAM_PLACE

struct histogram {
    uint64_t counts[HISTOGRAM_COUNT]; /* above the bound before, up to this one */
    uint64_t sum_ms;
};

/* So many things took so long each. */
void histogram_add(struct histogram *histogram, uint64_t took_ms, uint64_t count);

/* Puts it as a family of Prometheus, in seconds. */
void histogram_put(struct out *out, const char *name, const char *help,
                   const struct histogram *histogram);

#endif
