/* SPDX-License-Identifier: Apache-2.0 */
/* bench_latency: one event in flight: how long until it is on disk, and until a subscriber has it?
 *
 * Every producer has a session of its own. One subscriber, with its own connection and thread,
 * reads them all. Both times of an event are measured from the same moment, and both for every
 * event. */
#include "cli/bench.h"

#include "cli/latency_reader.h"

struct latency {
    struct crew crew;
    struct latency_reader reader;
};

static int open_all(struct bench *bench, struct latency *latency)
{
    int exit_code = crew_open(&latency->crew, bench->count);
    if (exit_code != CLI_OK)
        return exit_code;
    spn_err err = latency_reader_open(&latency->reader, &latency->crew.load);
    if (err != SPN_OK)
        return cli_fail("subscriber", err, latency->reader.detail);
    exit_code = crew_warm_up(&latency->crew);
    if (exit_code != CLI_OK)
        return exit_code;
    err = latency_reader_warm_up(&latency->reader);
    return err == SPN_OK ? CLI_OK : cli_fail("subscriber", err, latency->reader.detail);
}

static int run(struct latency *latency)
{
    struct crew_result result;
    pthread_t reader;
    int exit_code = crew_start_thread(&reader, latency_reader_run, &latency->reader);
    if (exit_code != CLI_OK)
        return exit_code;
    exit_code = crew_run(&latency->crew);
    crew_add_up(&latency->crew, &result);
    latency_reader_end(&latency->reader, exit_code == CLI_OK ? result.events : 0);
    pthread_join(reader, NULL);
    if (exit_code == CLI_OK && latency->reader.err != SPN_OK)
        exit_code = cli_fail("subscriber", latency->reader.err, latency->reader.detail);
    return exit_code;
}

static void put_figures(const struct bench *bench, struct bench_report *report,
                        const struct latency *latency)
{
    struct crew_result result;
    crew_add_up(&latency->crew, &result);
    bench_report_latency(report, "ack", &result.latency);
    bench_report_latency(report, "reader", &latency->reader.latency);
    double after = (double)hist_percentile(&latency->reader.latency, 50) -
                   (double)hist_percentile(&result.latency, 50);
    bench_report_figure(report, "reader_after_ack_p50_us", "reader after ack", after / 1000, "us");
    bench_report_count(report, "received", NULL, latency->reader.received);
    bench_put_rate(report, &result);
    bench_report_heading(report, "with");
    bench_put_payload(bench, report);
    bench_report_count(report, "producers", "producers", bench->producers);
    if (bench->rate > 0)
        bench_report_count(report, "rate", "offered per second", bench->rate);
    else
        bench_report_count(report, "in_flight", "in flight per producer", 1);
}

int bench_latency(struct bench *bench, struct bench_report *report)
{
    struct latency latency = {0};
    bench->sessions = bench->producers;
    if (bench->rate == 0)
        bench->in_flight = 1;
    bench_crew(bench, &latency.crew);
    latency.crew.load.stamped = true;
    int exit_code = open_all(bench, &latency);
    if (exit_code == CLI_OK)
        exit_code = run(&latency);
    if (exit_code == CLI_OK)
        put_figures(bench, report, &latency);
    latency_reader_close(&latency.reader);
    crew_close(&latency.crew);
    return exit_code;
}
