/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench.h"

#include <string.h>

int bench_connect(const struct bench *bench, spn_client **ret_client)
{
    return cli_connect(&bench->common, ret_client);
}

void bench_crew(struct bench *bench, struct crew *crew)
{
    *crew = (struct crew){
        .load =
            {
                .socket_dir = bench->common.socket_dir,
                .timeout_ms = cli_timeout_ms(&bench->common),
                .payloads = &bench->payloads,
                .session_count = bench->sessions,
                .publisher_count = bench->producers,
                .in_flight_max = bench->in_flight,
                .rate = bench->rate,
                .level = bench->level,
                .stop = &bench->stop,
            },
    };
    crew_name(crew);
    memcpy(bench->name, crew->load.name, sizeof(bench->name));
}

void bench_put_rate(struct bench_report *report, const struct crew_result *result)
{
    bench_report_count(report, "events", "events", result->events);
    bench_report_count(report, "stored", NULL, result->stored);
    bench_report_count(report, "resent", NULL, result->resent);
    bench_report_figure(report, "seconds", "seconds", result->seconds, "");
    bench_report_count(report, "events_per_second", "events per second",
                       (uint64_t)((double)result->events / result->seconds));
}

void bench_put_payload(const struct bench *bench, struct bench_report *report)
{
    double mean = (double)bench->payloads.bytes / (double)bench->payloads.count;
    if (bench->file)
        bench_report_text(report, "file", "payloads of", bench->file);
    bench_report_figure(report, "size", "data of an event", mean, "bytes");
}

void bench_put_level(const struct bench *bench, struct bench_report *report)
{
    bench_report_text(report, "ack", "acknowledged when",
                      bench->level == SPN_DURABLE ? "durable" : "accepted");
}
