/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_text: counters as Prometheus reads them (text exposition format 0.0.4).
 *
 * The values of a family follow its HELP and TYPE, all together. Its type follows from its name:
 * one that ends in `_total` is a counter, any other a gauge. The gateway's /metrics and `sponson
 * stats --prometheus` both come from here, so the daemon's counters are the same in both.
 *
 * Threads  pure functions.
 */
#ifndef SPN_METRICS_TEXT_H
#define SPN_METRICS_TEXT_H

#include "base/out.h"

#define METRICS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum { METRICS_TEXT_NAME_SIZE = 128 };

/* Begins a family. */
void metrics_text_family(struct out *out, const char *name, const char *help);

/* A value of the family. label: a name, with its value; NULL: none. Both need no escapes. */
void metrics_text_value(struct out *out, const char *name, const char *label, const char *is,
                        uint64_t value);

/* A family with one value. */
void metrics_text_one(struct out *out, const char *name, const char *help, uint64_t value);

struct metrics_text_histogram {
    const char *const *bounds; /* in seconds; the last one is "+Inf" */
    const uint64_t *counts;    /* above the bound before, up to this one */
    size_t count;
    uint64_t sum_ms;
};

/* A family in seconds. */
void metrics_text_histogram(struct out *out, const char *name, const char *help,
                            const struct metrics_text_histogram *histogram);

/* The daemon's counters, one after the other, in the daemon's order. */
struct metrics_text_daemon {
    struct out *out;
    uint64_t commits_ns;
    char family[METRICS_TEXT_NAME_SIZE]; /* the one that is being written */
};

/* Begins with sponson_up. is_up: the daemon answered, and its counters follow. */
void metrics_text_daemon_begin(struct metrics_text_daemon *daemon, struct out *out, bool is_up);

/* One that this version does not know gets a general help. The nanoseconds of all commits become
 * the sum of their histogram. A name that Prometheus could not read is left out with its value. */
void metrics_text_daemon_put(struct metrics_text_daemon *daemon, const char *name, uint64_t value);

#endif
