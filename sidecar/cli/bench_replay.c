/* SPDX-License-Identifier: Apache-2.0 */
/* bench_replay: reads back one session's events, which lie between those of other sessions in the
 * log.
 *
 * All sessions get an event in turn. So the distance in the log between two events of a session is
 * the number of sessions. */
#include "cli/bench.h"

#include <stdlib.h>

enum { ROUNDS = 5 };

struct replays {
    struct bench *bench;
    spn_client *client;
    struct spn_bytes session;
    uint64_t stored; /* events in the session */
    uint64_t events; /* events read in the last round; the others are no longer retained */
    double *per_second;
    uint64_t rounds;
};

/* -- reading ----------------------------------------------------------------------------------- */

static int read_once(struct replays *replays, double *ret_per_second)
{
    int timeout_ms = cli_timeout_ms(&replays->bench->common);
    spn_replay *replay;
    const struct spn_event *event;
    uint64_t events = 0;
    uint64_t started_ns = publisher_now_ns();
    spn_err err = spn_replay_open(&replay, replays->client, replays->session,
                                  (struct spn_bytes){NULL, 0}, timeout_ms);
    if (err != SPN_OK)
        return cli_fail("replay", err, spn_client_detail(replays->client));
    while ((err = spn_replay_next(replay, timeout_ms, &event)) == SPN_OK)
        events++;
    uint64_t finished_ns = publisher_now_ns();
    uint64_t missing = spn_replay_missing(replay);
    spn_replay_close(replay);
    if (err != SPN_E_END)
        return cli_fail("replay", err, spn_client_detail(replays->client));
    if (events == 0 || events + missing != replays->stored) {
        cli_error("replay",
                  "the number of events in the session is not the number that was stored");
        return CLI_FAILURE;
    }
    replays->events = events;
    *ret_per_second = (double)events * 1e9 / (double)(finished_ns - started_ns);
    return CLI_OK;
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static int read_rounds(struct replays *replays, uint64_t rounds)
{
    int exit_code = CLI_OK;
    replays->per_second = calloc(rounds, sizeof(*replays->per_second));
    if (!replays->per_second)
        return cli_fail("memory", SPN_E_NOMEM, NULL);
    while (exit_code == CLI_OK && replays->rounds < rounds &&
           !(replays->rounds > 0 && atomic_load(&replays->bench->stop))) {
        exit_code = read_once(replays, &replays->per_second[replays->rounds]);
        replays->rounds++;
    }
    qsort(replays->per_second, replays->rounds, sizeof(*replays->per_second), ascending);
    return exit_code;
}

/* -- all of it --------------------------------------------------------------------------------- */

static void put_figures(const struct replays *replays, struct bench_report *report,
                        const struct crew *crew)
{
    const struct bench *bench = replays->bench;
    struct crew_result stored;
    crew_add_up(crew, &stored);
    bench_report_count(report, "events_per_second", "events per second",
                       (uint64_t)replays->per_second[replays->rounds / 2]);
    bench_report_count(report, "slowest_per_second", "slowest round",
                       (uint64_t)replays->per_second[0]);
    bench_report_count(report, "fastest_per_second", "fastest round",
                       (uint64_t)replays->per_second[replays->rounds - 1]);
    bench_report_count(report, "rounds", "rounds", replays->rounds);
    bench_report_count(report, "events", "events of the session", replays->events);
    bench_report_count(report, "missing", "no longer retained", replays->stored - replays->events);
    bench_report_heading(report, "with");
    bench_put_payload(bench, report);
    bench_report_count(report, "others", "other sessions", bench->others);
    bench_report_count(report, "events_in_log", "events in all", stored.events);
    bench_report_count(report, "stored_per_second", "stored per second",
                       (uint64_t)((double)stored.events / stored.seconds));
}

static int replay(struct bench *bench, struct bench_report *report, const struct crew *crew)
{
    char name[SPN_GIVEN_ID_MAX];
    struct crew_result stored;
    crew_add_up(crew, &stored);
    struct replays replays = {
        .bench = bench,
        .session = publisher_session(&crew->load, 0, name),
        .stored = (stored.events + bench->others) / (bench->others + 1),
    };
    int exit_code = bench_connect(bench, &replays.client);
    if (exit_code != CLI_OK)
        return exit_code;
    exit_code = read_rounds(&replays, bench->rounds > 0 ? bench->rounds : ROUNDS);
    if (exit_code == CLI_OK)
        put_figures(&replays, report, crew);
    free(replays.per_second);
    spn_client_close(replays.client);
    return exit_code;
}

int bench_replay(struct bench *bench, struct bench_report *report)
{
    struct crew crew;
    bench->sessions = bench->others + 1;
    bench_crew(bench, &crew);
    int exit_code = crew_open(&crew, bench->count * bench->sessions);
    if (exit_code == CLI_OK)
        exit_code = crew_run(&crew);
    if (exit_code == CLI_OK)
        exit_code = replay(bench, report, &crew);
    crew_close(&crew);
    return exit_code;
}
