/* SPDX-License-Identifier: Apache-2.0 */
#include "http/histogram.h"

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
