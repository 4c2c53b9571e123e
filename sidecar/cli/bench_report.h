/* SPDX-License-Identifier: Apache-2.0 */
/* bench_report: a measurement's figures, as a table for people or one JSON object for programs.
 *
 * Each figure is added once and appears in both, in the order of adding. A figure without a label
 * is for programs only.
 *
 * Owns     the lines so far and a JSON object. An error (no memory) is reported at the end.
 * Threads  one.
 */
#ifndef SPN_CLI_BENCH_REPORT_H
#define SPN_CLI_BENCH_REPORT_H

#include <jansson.h>

#include "cli/hist.h"
#include "base/out.h"

struct bench_report {
    struct out lines;
    json_t *json;
};

void bench_report_init(struct bench_report *report);
void bench_report_release(struct bench_report *report);

/* Adds a heading, to the table only. */
void bench_report_heading(struct bench_report *report, const char *text);

void bench_report_text(struct bench_report *report, const char *key, const char *label,
                       const char *value);
void bench_report_flag(struct bench_report *report, const char *key, bool value);
void bench_report_count(struct bench_report *report, const char *key, const char *label,
                        uint64_t value);
void bench_report_figure(struct bench_report *report, const char *key, const char *label,
                         double value, const char *unit);

/* A percentile of nanoseconds, as microseconds. */
void bench_report_percentile(struct bench_report *report, const char *key, const char *label,
                             const struct hist *hist, double percent);
/* p50, p99, p99.9 and the longest: NAME_p50_us and so on. */
void bench_report_latency(struct bench_report *report, const char *name, const struct hist *hist);

/* Returns an exit code. */
int bench_report_print(struct bench_report *report, bool json);

#endif
