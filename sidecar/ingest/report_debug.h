/* SPDX-License-Identifier: Apache-2.0 */
/* report_debug: what the log has at level debug: clients that come and go, and what was refused.
 *
 * Of producers there is a line for each, but only a few in a second; the next one has how many were
 * left out. Connections and refusals are counted for a second, and are one line of each kind.
 *
 * Borrows  the metrics and the news of connections.
 * Units    nanoseconds of the monotonic clock.
 * Threads  the broker's, whose loop it is part of.
 */
#ifndef SPN_REPORT_DEBUG_H
#define SPN_REPORT_DEBUG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/metrics.h"
#include "net/connections.h"
#include "store/record_producer.h"

enum { REPORT_REFUSALS = 9 }; /* kinds of them */

struct report_debug {
    bool counts; /* the debug level is on, and the next ones are as of the last line */
    uint64_t next_ns;
    uint64_t refused[REPORT_REFUSALS];
    uint64_t entered;
    uint64_t left;
    struct log_rate producers;
};

/* event: producer_opened, producer_refused or producer_left. why: SPN_OK, or why it was refused. */
void report_producer(struct report_debug *debug, const char *event,
                     const uint8_t id[RECORD_PRODUCER_ID_SIZE], uint32_t uid, spn_err why,
                     uint64_t now_ns);

/* Looks at the counters, once in a second at most. */
void report_counts(struct report_debug *debug, const struct metrics *metrics,
                   const struct connections_news *news, uint64_t now_ns);

#endif
