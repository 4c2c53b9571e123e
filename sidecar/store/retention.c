/* SPDX-License-Identifier: Apache-2.0 */
#include "store/retention.h"

#include "store/record_entry.h"

bool retention_keeps(const struct retention *rule, const struct record_entry *event,
                     uint64_t last_seq, uint64_t last_bytes, uint64_t now_ns)
{
    return (rule->events_max == 0 || last_seq - event->seq < rule->events_max) &&
           (rule->bytes_max == 0 || last_bytes - event->bytes < rule->bytes_max) &&
           (rule->age_max_ns == 0 || now_ns < event->time_ns ||
            now_ns - event->time_ns < rule->age_max_ns);
}

/* 0: no limit. */
static uint64_t narrower(uint64_t a, uint64_t b)
{
    return a == 0 || (b > 0 && b < a) ? b : a;
}

void retention_narrow(struct retention *narrowest, const struct retention *rule)
{
    narrowest->events_max = narrower(narrowest->events_max, rule->events_max);
    narrowest->bytes_max = narrower(narrowest->bytes_max, rule->bytes_max);
    narrowest->age_max_ns = narrower(narrowest->age_max_ns, rule->age_max_ns);
}
