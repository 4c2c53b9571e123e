/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_text: counters as Prometheus reads them (text exposition format 0.0.4).
 *
 * The values of a family follow its HELP and TYPE, all together. Its type follows from its name:
 * one that ends in `_total` is a counter, any other a gauge.
 *
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_METRICS_TEXT_H
#define SPN_HTTP_METRICS_TEXT_H

#include "sponson.h"

#include "base/out.h"
#include "http/histogram.h"

#define METRICS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Begins a family. */
void metrics_text_family(struct out *out, const char *name, const char *help);

/* A value of the family. label: a name, with its value; NULL: none. Both need no escapes. */
void metrics_text_value(struct out *out, const char *name, const char *label, const char *is,
                        uint64_t value);

/* A family with one value. */
void metrics_text_one(struct out *out, const char *name, const char *help, uint64_t value);

/* A family in seconds. */
void metrics_text_histogram(struct out *out, const char *name, const char *help,
                            const struct histogram *histogram);

/* The daemon's counters, in the daemon's order. What is new to this version has a general help. The
 * nanoseconds of all commits become the sum of their histogram. */
void metrics_text_daemon(struct out *out, const struct spn_stat *stats, size_t count);

#endif
