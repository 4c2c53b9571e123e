/* SPDX-License-Identifier: Apache-2.0 */
/* bench_publish: events per second, and how long each waits for its acknowledgement. */
#include "cli/bench.h"

static void put_load(const struct bench *bench, struct bench_report *report)
{
    bench_report_count(report, "sessions", "sessions", bench->sessions);
    bench_report_count(report, "producers", "producers", bench->producers);
    bench_put_level(bench, report);
    bench_report_count(report, "in_flight", "in flight at most", bench->in_flight);
    if (bench->rate > 0)
        bench_report_count(report, "rate", "offered per second", bench->rate);
}

static void put_figures(const struct bench *bench, struct bench_report *report,
                        const struct crew *crew)
{
    struct crew_result result;
    crew_add_up(crew, &result);
    double mean = (double)bench->payloads.bytes / (double)bench->payloads.count;
    bench_put_rate(report, &result);
    bench_report_figure(report, "megabytes_per_second", "MB of data per second",
                        (double)result.events * mean / result.seconds / 1e6, "");
    bench_report_latency(report, "ack", &result.latency);
}

int bench_publish(struct bench *bench, struct bench_report *report)
{
    struct crew crew;
    bench_crew(bench, &crew);
    int exit_code = crew_open(&crew, bench->count);
    if (exit_code == CLI_OK)
        exit_code = crew_run(&crew);
    if (exit_code == CLI_OK) {
        put_figures(bench, report, &crew);
        bench_report_heading(report, "with");
        bench_put_payload(bench, report);
        put_load(bench, report);
    }
    crew_close(&crew);
    return exit_code;
}
