/* SPDX-License-Identifier: Apache-2.0 */
/* retention: which of a session's events are kept.
 *
 * A rule, not state: an event that it hides is gone for readers, whether or not it was trimmed yet.
 *
 * Threads  pure functions.
 */
#ifndef SPN_RETENTION_H
#define SPN_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

struct record_entry;

/* Which of a session's events are kept: a rule, not state. 0: no limit. */
struct retention {
    uint64_t events_max; /* this many of the newest events */
    uint64_t bytes_max;  /* an event goes when the data after it reaches this many bytes */
    uint64_t age_max_ns;
};

/* Whether an event is retained when its session has reached last_seq and last_bytes. */
bool retention_keeps(const struct retention *rule, const struct record_entry *event,
                     uint64_t last_seq, uint64_t last_bytes, uint64_t now_ns);

/* Narrows *narrowest, the narrowest rule so far, by this rule. */
void retention_narrow(struct retention *narrowest, const struct retention *rule);

#endif
