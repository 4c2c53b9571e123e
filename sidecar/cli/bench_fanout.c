/* SPDX-License-Identifier: Apache-2.0 */
/* bench_fanout: one event, many subscribers: how long after the acknowledgement has the last one
 * received the event?
 *
 * The subscribers are in processes of their own, each with a client, or several on each. A round is
 * one event; the next one waits until all have received it. */
#include "cli/bench.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "cli/fanout_reader.h"

enum { ROUNDS = 20, OPEN_MS = 120000 };

struct fanout {
    struct bench *bench;
    struct crew crew; /* one publisher, without a thread of its own */
    char name[SPN_GIVEN_ID_MAX];
    struct spn_bytes session;
    struct fanout_reader *readers;
    size_t reader_count;
    size_t client_count;
    uint64_t *received_ns; /* shared with the readers */
    size_t received_size;
    struct hist ack;  /* from publishing to the acknowledgement */
    struct hist each; /* from the acknowledgement to each subscriber */
    struct hist last; /* and to the last subscriber of a round */
    uint64_t rounds;
};

/* -- the readers ------------------------------------------------------------------------------- */

/* The share of one of the readers. */
static size_t share(const struct fanout *fanout, size_t reader, size_t of_all)
{
    return of_all / fanout->reader_count + (reader < of_all % fanout->reader_count ? 1 : 0);
}

static int start_readers(struct fanout *fanout)
{
    const struct bench *bench = fanout->bench;
    size_t first = 0;
    fanout->received_size = bench->subscribers * sizeof(*fanout->received_ns);
    fanout->received_ns = mmap(NULL, fanout->received_size, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (fanout->received_ns == MAP_FAILED) {
        fanout->received_ns = NULL;
        return cli_fail_errno("memory");
    }
    for (size_t i = 0; i < fanout->reader_count; i++) {
        struct fanout_reader *reader = &fanout->readers[i];
        size_t count = share(fanout, i, bench->subscribers);
        *reader = (struct fanout_reader){
            .socket_dir = bench->common.socket_dir,
            .timeout_ms = OPEN_MS,
            .session = fanout->session,
            .count = count,
            .client_count = share(fanout, i, fanout->client_count),
            .received_ns = fanout->received_ns + first,
        };
        first += count;
        if (fanout_reader_start(reader) != SPN_OK)
            return cli_fail_errno("fork");
    }
    return CLI_OK;
}

/* An interrupt ends the measurement after the current round, but it ends the wait for the
 * subscribers at once. */
static spn_err wait_for_one(const struct fanout *fanout, const struct fanout_reader *reader,
                            int timeout_ms, char expected)
{
    uint64_t due_ns = publisher_now_ns() + (uint64_t)timeout_ms * 1000000;
    for (;;) {
        spn_err err = fanout_reader_wait(reader, timeout_ms, expected);
        uint64_t now_ns = publisher_now_ns();
        bool stop = expected == FANOUT_READY && atomic_load(&fanout->bench->stop);
        if (err != SPN_E_TIMEOUT || now_ns >= due_ns || stop)
            return err;
        timeout_ms = (int)((due_ns - now_ns) / 1000000) + 1;
    }
}

/* Waits until all processes have sent this byte. */
static int wait_for_all(const struct fanout *fanout, int timeout_ms, char expected)
{
    for (size_t i = 0; i < fanout->reader_count; i++) {
        spn_err err = wait_for_one(fanout, &fanout->readers[i], timeout_ms, expected);
        if (err != SPN_OK)
            return cli_fail("subscribers", err, NULL);
    }
    return CLI_OK;
}

/* -- rounds ------------------------------------------------------------------------------------ */

static int publish(struct fanout *fanout, uint64_t *ret_acked_ns)
{
    const struct bench *bench = fanout->bench;
    const struct publisher *publisher = &fanout->crew.publishers[0];
    int timeout_ms = cli_timeout_ms(&bench->common);
    uint64_t ticket;
    const struct spn_ack *ack;
    uint64_t started_ns = publisher_now_ns();
    spn_err err = spn_publish(publisher->producer, fanout->session,
                              payloads_at(&bench->payloads, fanout->rounds), &ticket);
    if (err == SPN_OK)
        err = spn_producer_wait(publisher->producer, ticket, timeout_ms, &ack);
    if (err != SPN_OK)
        return cli_fail("publish", err, spn_client_detail(publisher->client));
    *ret_acked_ns = publisher_now_ns();
    hist_add(&fanout->ack, *ret_acked_ns - started_ns);
    return CLI_OK;
}

/* A subscriber may receive the event before the producer has its acknowledgement. Its time is then
 * 0. */
static void note_round(struct fanout *fanout, uint64_t acked_ns)
{
    uint64_t last_ns = 0;
    for (uint64_t i = 0; i < fanout->bench->subscribers; i++) {
        uint64_t at_ns = fanout->received_ns[i];
        uint64_t after_ns = at_ns > acked_ns ? at_ns - acked_ns : 0;
        hist_add(&fanout->each, after_ns);
        last_ns = after_ns > last_ns ? after_ns : last_ns;
    }
    hist_add(&fanout->last, last_ns);
    fanout->rounds++;
}

static int run_rounds(struct fanout *fanout)
{
    struct bench *bench = fanout->bench;
    uint64_t rounds = bench->rounds > 0 ? bench->rounds : ROUNDS;
    uint64_t acked_ns = 0;
    int exit_code = CLI_OK;
    while (exit_code == CLI_OK && fanout->rounds < rounds &&
           !(fanout->rounds > 0 && atomic_load(&bench->stop))) {
        exit_code = publish(fanout, &acked_ns);
        if (exit_code == CLI_OK)
            exit_code = wait_for_all(fanout, cli_timeout_ms(&bench->common), FANOUT_ROUND);
        if (exit_code == CLI_OK)
            note_round(fanout, acked_ns);
    }
    return exit_code;
}

/* -- all of it --------------------------------------------------------------------------------- */

static void put_figures(const struct fanout *fanout, struct bench_report *report)
{
    const struct bench *bench = fanout->bench;
    bench_report_percentile(report, "last_p50_us", "last reader, median", &fanout->last, 50);
    bench_report_percentile(report, "last_max_us", "last reader, longest", &fanout->last, 100);
    bench_report_latency(report, "each", &fanout->each);
    bench_report_percentile(report, "ack_p50_us", "ack p50", &fanout->ack, 50);
    bench_report_count(report, "rounds", "rounds", fanout->rounds);
    bench_report_heading(report, "with");
    bench_put_payload(bench, report);
    bench_report_count(report, "subscribers", "subscribers", bench->subscribers);
    bench_report_count(report, "clients", "on clients", fanout->client_count);
    bench_report_count(report, "processes", "in processes", fanout->reader_count);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The readers are forked before this process opens a client. They wait for the session's first
 * event. */
static int prepare(struct fanout *fanout)
{
    struct bench *bench = fanout->bench;
    fanout->client_count =
        bench->clients > 0 ? least(bench->clients, bench->subscribers) : bench->subscribers;
    fanout->reader_count = least(bench->processes, fanout->client_count);
    fanout->readers = calloc(fanout->reader_count, sizeof(*fanout->readers));
    if (!fanout->readers)
        return cli_fail("memory", SPN_E_NOMEM, NULL);
    bench->sessions = 1;
    bench_crew(bench, &fanout->crew);
    fanout->session = publisher_session(&fanout->crew.load, 0, fanout->name);
    return start_readers(fanout);
}

static int measure(struct fanout *fanout)
{
    int exit_code = crew_open(&fanout->crew, 1);
    if (exit_code == CLI_OK)
        exit_code = crew_warm_up(&fanout->crew);
    if (exit_code == CLI_OK)
        exit_code = wait_for_all(fanout, OPEN_MS, FANOUT_READY);
    if (exit_code == CLI_OK)
        exit_code = run_rounds(fanout);
    return exit_code;
}

static void release(struct fanout *fanout)
{
    for (size_t i = 0; fanout->readers && i < fanout->reader_count; i++)
        fanout_reader_stop(&fanout->readers[i]);
    crew_close(&fanout->crew);
    free(fanout->readers);
    if (fanout->received_ns)
        munmap(fanout->received_ns, fanout->received_size);
}

int bench_fanout(struct bench *bench, struct bench_report *report)
{
    struct fanout fanout = {.bench = bench};
    int exit_code = prepare(&fanout);
    if (exit_code == CLI_OK)
        exit_code = measure(&fanout);
    if (exit_code == CLI_OK)
        put_figures(&fanout, report);
    release(&fanout);
    return exit_code;
}
