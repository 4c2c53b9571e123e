/* SPDX-License-Identifier: Apache-2.0 */
/* bench_oneshot: one one-shot in flight: how long until it is acknowledged?
 *
 * Every client has a session of its own. The first one-shot of each opens the session, and is not
 * measured. */
#include "cli/bench.h"

static void put_figures(const struct bench *bench, struct bench_report *report,
                        const struct crew *crew)
{
    struct crew_result result;
    crew_add_up(crew, &result);
    bench_report_latency(report, "ack", &result.latency);
    bench_put_rate(report, &result);
    bench_report_heading(report, "with");
    bench_put_payload(bench, report);
    bench_report_count(report, "clients", "clients", bench->producers);
    bench_put_level(bench, report);
    bench_report_count(report, "in_flight", "in flight per client", 1);
}

int bench_oneshot(struct bench *bench, struct bench_report *report)
{
    struct crew crew;
    bench->sessions = bench->producers;
    bench->in_flight = 1;
    bench_crew(bench, &crew);
    crew.load.one_shot = true;
    int exit_code = crew_open(&crew, bench->count);
    if (exit_code == CLI_OK)
        exit_code = crew_warm_up(&crew);
    if (exit_code == CLI_OK)
        exit_code = crew_run(&crew);
    if (exit_code == CLI_OK)
        put_figures(bench, report, &crew);
    crew_close(&crew);
    return exit_code;
}
