/* SPDX-License-Identifier: Apache-2.0 */
/* bench_sessions: every event opens a session: how many per second, and how much memory does one
 * cost the sidecar? Memory is measured only if the sidecar is our own, because then nobody else
 * makes it grow. */
#include "cli/bench.h"

#include "cli/machine.h"

static void put_memory(struct bench_report *report, const struct crew_result *result,
                       uint64_t before, uint64_t after)
{
    double grown = after > before ? (double)(after - before) : 0;
    double sessions = result->events > 0 ? (double)result->events : 1;
    bench_report_count(report, "rss_anon_before_bytes", NULL, before);
    bench_report_count(report, "rss_anon_after_bytes", NULL, after);
    bench_report_figure(report, "rss_anon_per_session_bytes", "memory per session",
                        grown / sessions, "bytes");
}

static void put_figures(const struct bench *bench, struct bench_report *report,
                        const struct crew *crew, uint64_t before)
{
    struct crew_result result;
    uint64_t after = 0;
    crew_add_up(crew, &result);
    bench_report_count(report, "sessions_per_second", "sessions per second",
                       (uint64_t)((double)result.events / result.seconds));
    bench_put_rate(report, &result);
    bench_report_latency(report, "ack", &result.latency);
    if (before > 0 && machine_rss_anon(bench->daemon.pid, &after))
        put_memory(report, &result, before, after);
    bench_report_heading(report, "with");
    bench_put_payload(bench, report);
    bench_report_count(report, "producers", "producers", bench->producers);
}

int bench_sessions(struct bench *bench, struct bench_report *report)
{
    struct crew crew;
    uint64_t before = 0;
    bench->sessions = bench->count;
    bench_crew(bench, &crew);
    int exit_code = crew_open(&crew, bench->count);
    if (exit_code == CLI_OK && bench->daemon.pid > 0)
        (void)machine_rss_anon(bench->daemon.pid, &before);
    if (exit_code == CLI_OK)
        exit_code = crew_run(&crew);
    if (exit_code == CLI_OK)
        put_figures(bench, report, &crew, before);
    crew_close(&crew);
    return exit_code;
}
