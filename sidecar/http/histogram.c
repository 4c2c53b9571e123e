/* SPDX-License-Identifier: Apache-2.0 */
#include "http/histogram.h"

#include "base/metrics_text.h"

void histogram_add(struct histogram *histogram, uint64_t took_ms, uint64_t count)
{
#define BOUND(bound, text) bound,
    static const uint64_t bounds[] = {HISTOGRAM_BOUND_MAP(BOUND)};
#undef BOUND
    unsigned i = 0;
    while (took_ms > bounds[i])
        i++;
    histogram->counts[i] += count;
    histogram->sum_ms += took_ms * count;
}

void histogram_put(struct out *out, const char *name, const char *help,
                   const struct histogram *histogram)
{
#define BOUND(bound, text) text,
    static const char *const bounds[] = {HISTOGRAM_BOUND_MAP(BOUND)};
#undef BOUND
    metrics_text_histogram(out, name, help,
                           &(struct metrics_text_histogram){.bounds = bounds,
                                                            .counts = histogram->counts,
                                                            .count = HISTOGRAM_COUNT,
                                                            .sum_ms = histogram->sum_ms});
}
