/* SPDX-License-Identifier: Apache-2.0 */
/* bench_follow: what does a follower of the log cost those who publish, and how late is it?
 *
 * The same load is published twice, first alone and then with a follower, which has its own
 * connection and thread and gets every event. How late an event is there is measured from the
 * moment when it was published, or was due. */
#include "cli/bench.h"

#include "cli/latency_reader.h"

struct follow {
    struct crew alone;
    struct crew crew;
    struct latency_reader reader;
};

static void make_crew(struct bench *bench, struct crew *crew)
{
    bench_crew(bench, crew);
    crew->load.stamped = true;
}

static int run_alone(struct bench *bench, struct crew *crew)
{
    make_crew(bench, crew);
    int exit_code = crew_open(crew, bench->count);
    if (exit_code == CLI_OK)
        exit_code = crew_warm_up(crew);
    return exit_code == CLI_OK ? crew_run(crew) : exit_code;
}

static int open_all(struct bench *bench, struct follow *follow)
{
    make_crew(bench, &follow->crew);
    follow->reader.follows = true;
    int exit_code = crew_open(&follow->crew, bench->count);
    if (exit_code != CLI_OK)
        return exit_code;
    spn_err err = latency_reader_open(&follow->reader, &follow->crew.load);
    if (err != SPN_OK)
        return cli_fail("follower", err, follow->reader.detail);
    exit_code = crew_warm_up(&follow->crew);
    if (exit_code != CLI_OK)
        return exit_code;
    err = latency_reader_warm_up(&follow->reader);
    return err == SPN_OK ? CLI_OK : cli_fail("follower", err, follow->reader.detail);
}

static int run_followed(struct follow *follow)
{
    struct crew_result result;
    pthread_t reader;
    int exit_code = crew_start_thread(&reader, latency_reader_run, &follow->reader);
    if (exit_code != CLI_OK)
        return exit_code;
    exit_code = crew_run(&follow->crew);
    crew_add_up(&follow->crew, &result);
    latency_reader_end(&follow->reader, exit_code == CLI_OK ? result.events : 0);
    pthread_join(reader, NULL);
    if (exit_code == CLI_OK && follow->reader.err != SPN_OK)
        exit_code = cli_fail("follower", follow->reader.err, follow->reader.detail);
    return exit_code;
}

static double rate_of(const struct crew *crew)
{
    struct crew_result result;
    crew_add_up(crew, &result);
    return (double)result.events / result.seconds;
}

static void put_figures(const struct bench *bench, struct bench_report *report,
                        const struct follow *follow)
{
    struct crew_result result;
    double alone = rate_of(&follow->alone);
    crew_add_up(&follow->crew, &result);
    bench_put_rate(report, &result);
    bench_report_count(report, "alone_per_second", "alone", (uint64_t)alone);
    bench_report_figure(report, "of_alone_percent", "with, of alone",
                        100 * rate_of(&follow->crew) / alone, "%");
    bench_report_latency(report, "ack", &result.latency);
    bench_report_latency(report, "follower", &follow->reader.latency);
    bench_report_count(report, "received", NULL, follow->reader.received);
    bench_report_heading(report, "with");
    bench_put_payload(bench, report);
    bench_report_count(report, "sessions", "sessions", bench->sessions);
    bench_report_count(report, "producers", "producers", bench->producers);
    bench_report_count(report, "in_flight", "in flight at most", bench->in_flight);
    if (bench->rate > 0)
        bench_report_count(report, "rate", "offered per second", bench->rate);
}

int bench_follow(struct bench *bench, struct bench_report *report)
{
    struct follow follow = {0};
    int exit_code = run_alone(bench, &follow.alone);
    if (exit_code == CLI_OK)
        exit_code = open_all(bench, &follow);
    if (exit_code == CLI_OK)
        exit_code = run_followed(&follow);
    if (exit_code == CLI_OK)
        put_figures(bench, report, &follow);
    latency_reader_close(&follow.reader);
    crew_close(&follow.crew);
    crew_close(&follow.alone);
    return exit_code;
}
