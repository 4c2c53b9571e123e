/* SPDX-License-Identifier: Apache-2.0 */
/* verb_bench: how fast is this machine with this sidecar? */
#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hist.h"
#include "publisher.h"
#include "temp_daemon.h"
#include "text.h"
#include "wire.h"

enum {
    PUBLISHERS_MAX = 256,
    SESSIONS_MAX = 1000000,
    IN_FLIGHT_MAX = 65536,
    IN_FLIGHT = 16384,
    PROBE_MS = 500,
    SESSION_NAME_SIZE = 32,
};

struct bench {
    struct cli_words words;
    struct cli_common common;
    size_t size;
    size_t sessions;
    uint64_t count;
    size_t producers;
    uint64_t in_flight;
    spn_level level;
    bool json;

    struct temp_daemon daemon;
    char *names;
    struct spn_bytes *name_bytes;
    char *data;
    pthread_barrier_t start;
    atomic_bool stop;
    struct publisher_load load;
    struct publisher *publishers;
    pthread_t *threads;
    uint64_t started_ns;
};

enum {
    KEY_SIZE = CLI_KEY,
    KEY_SESSIONS,
    KEY_COUNT,
    KEY_PRODUCERS,
    KEY_ACK,
    KEY_IN_FLIGHT,
    KEY_JSON,
};

static const struct argp_option options[] = {
    {"size", KEY_SIZE, "BYTES", 0, "data of an event (default: 256)", 0},
    {"sessions", KEY_SESSIONS, "COUNT", 0, "spread over so many sessions (default: 100)", 0},
    {"count", KEY_COUNT, "COUNT", 0, "events in all (default: 1000000)", 0},
    {"producers", KEY_PRODUCERS, "COUNT", 0, "threads, each with a connection (default: 1)", 0},
    {"ack", KEY_ACK, "durable|accepted", 0, "the level waited for (default: durable)", 0},
    {"in-flight", KEY_IN_FLIGHT, "COUNT", 0,
     "unacknowledged events of a producer at most (default: 16384, and 4 MiB); 1: the latency of "
     "one event alone",
     0},
    {"json", KEY_JSON, 0, 0, "one object", 0},
    {0},
};

static spn_level parse_level(const char *text)
{
    char what[CLI_TEXT_SIZE];
    char quoted[TEXT_QUOTED_SIZE];
    if (strcmp(text, "durable") == 0)
        return SPN_DURABLE;
    if (strcmp(text, "accepted") == 0)
        return SPN_ACCEPTED;
    snprintf(what, sizeof(what), "--ack %s", text_quote(spn_text(text), quoted));
    cli_usage(what, "neither durable nor accepted");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct bench *bench = state->input;
    switch (key) {
    case KEY_SIZE:
        bench->size = (size_t)cli_count("--size", arg, 0, WIRE_EVENT_DATA_MAX);
        return 0;
    case KEY_SESSIONS:
        bench->sessions = (size_t)cli_count("--sessions", arg, 1, SESSIONS_MAX);
        return 0;
    case KEY_COUNT:
        bench->count = cli_count("--count", arg, 1, UINT32_MAX);
        return 0;
    case KEY_PRODUCERS:
        bench->producers = (size_t)cli_count("--producers", arg, 1, PUBLISHERS_MAX);
        return 0;
    case KEY_ACK:
        bench->level = parse_level(arg);
        return 0;
    case KEY_IN_FLIGHT:
        bench->in_flight = cli_count("--in-flight", arg, 1, IN_FLIGHT_MAX);
        return 0;
    case KEY_JSON:
        bench->json = true;
        return 0;
    default:
        return cli_parse_rest(key, arg, state, &bench->words, &bench->common);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "publish",
    .doc =
        "Publish events as fast as the sidecar takes them: events per second from the first to the "
        "last acknowledgement, and the time from publishing an event to its acknowledgement (p50, "
        "p99, p99.9, the longest)."
        "\vA sidecar that runs is used, and keeps the events, in sessions named bench-…. When none "
        "runs, one is started in a temporary directory under $TMPDIR or /var/tmp, and removed.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

/* -- signals ----------------------------------------------------------------------------------- */

static atomic_bool *stop_flag; /* of the bench that runs, for the signal handler */

static void note_interrupt(int number)
{
    (void)number;
    atomic_store(stop_flag, true);
}

/* Before a sidecar is started, which nobody else would stop. The second signal of a kind kills. */
static void catch_signals(struct bench *bench)
{
    struct sigaction action = {.sa_handler = note_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    stop_flag = &bench->stop;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* Signals are for the main thread: the others start with them blocked. */
static void mask_signals(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(how, &set, NULL);
}

/* -- which sidecar ----------------------------------------------------------------------------- */

/* A sidecar named on the command line has to be there. */
static int find_sidecar(struct bench *bench)
{
    spn_client *probe;
    struct spn_client_options client = {.size = sizeof(client)};
    if (bench->common.socket_dir)
        return CLI_OK;
    spn_err err = spn_client_open(&probe, &client, PROBE_MS, NULL, 0);
    if (err == SPN_OK) {
        spn_client_close(probe);
        return CLI_OK;
    }
    int exit_code = temp_daemon_start(&bench->daemon);
    if (exit_code == CLI_OK)
        bench->common.socket_dir = bench->daemon.socket_dir;
    return exit_code;
}

/* -- the run ----------------------------------------------------------------------------------- */

/* Names that no run had before: each begins with fresh sessions. */
static int make_load(struct bench *bench)
{
    bench->names = malloc(bench->sessions * SESSION_NAME_SIZE);
    bench->name_bytes = calloc(bench->sessions, sizeof(*bench->name_bytes));
    bench->data = malloc(bench->size + 1);
    bench->publishers = calloc(bench->producers, sizeof(*bench->publishers));
    bench->threads = calloc(bench->producers, sizeof(*bench->threads));
    if (!bench->names || !bench->name_bytes || !bench->data || !bench->publishers ||
        !bench->threads)
        return cli_fail("memory", SPN_E_NOMEM, NULL);
    uint64_t run = publisher_now_ns() ^ (uint64_t)getpid() << 48;
    for (size_t i = 0; i < bench->sessions; i++) {
        char *name = bench->names + i * SESSION_NAME_SIZE;
        int size = snprintf(name, SESSION_NAME_SIZE, "bench-%012llx-%zu",
                            (unsigned long long)(run & UINT64_C(0xffffffffffff)), i);
        bench->name_bytes[i] = (struct spn_bytes){name, (size_t)size};
    }
    memset(bench->data, 'x', bench->size);
    bench->load = (struct publisher_load){
        .socket_dir = bench->common.socket_dir,
        .timeout_ms = cli_timeout_ms(&bench->common),
        .data = {bench->data, bench->size},
        .sessions = bench->name_bytes,
        .session_count = bench->sessions,
        .publisher_count = bench->producers,
        .in_flight_max = bench->in_flight,
        .level = bench->level,
        .start = &bench->start,
        .stop = &bench->stop,
    };
    return CLI_OK;
}

static int open_publishers(struct bench *bench)
{
    for (size_t i = 0; i < bench->producers; i++) {
        struct publisher *publisher = &bench->publishers[i];
        publisher->load = &bench->load;
        publisher->index = i;
        publisher->count = bench->count / bench->producers + (i < bench->count % bench->producers);
        spn_err err = publisher_open(publisher);
        if (err != SPN_OK)
            return cli_fail("sidecar", err, publisher->detail);
    }
    return CLI_OK;
}

/* A thread that cannot be started would leave the others at the barrier: then there is nothing to
 * do but to end. The daemon of our own is stopped all the same. */
static void start_threads(struct bench *bench)
{
    for (size_t i = 0; i < bench->producers; i++) {
        int error = pthread_create(&bench->threads[i], NULL, publisher_run, &bench->publishers[i]);
        if (error != 0) {
            errno = error;
            cli_fail_errno("thread");
            temp_daemon_stop(&bench->daemon);
            exit(CLI_FAILURE);
        }
    }
}

static int publish_all(struct bench *bench)
{
    pthread_barrier_init(&bench->start, NULL, (unsigned)bench->producers + 1);
    mask_signals(SIG_BLOCK);
    start_threads(bench);
    mask_signals(SIG_UNBLOCK);
    pthread_barrier_wait(&bench->start);
    bench->started_ns = publisher_now_ns();
    for (size_t i = 0; i < bench->producers; i++)
        pthread_join(bench->threads[i], NULL);
    pthread_barrier_destroy(&bench->start);
    for (size_t i = 0; i < bench->producers; i++) {
        const struct publisher *publisher = &bench->publishers[i];
        if (publisher->err == SPN_OK)
            continue;
        int exit_code = cli_fail("publish", publisher->err, publisher->detail);
        if (publisher->err == SPN_E_TIMEOUT)
            cli_tell_trouble(publisher->client);
        return exit_code;
    }
    return CLI_OK;
}

/* -- the report -------------------------------------------------------------------------------- */

struct report {
    double seconds;
    uint64_t events;
    uint64_t stored;
    uint64_t resent;
    struct hist latency;
};

static void add_up(const struct bench *bench, struct report *report)
{
    uint64_t finished_ns = bench->started_ns + 1;
    for (size_t i = 0; i < bench->producers; i++) {
        const struct publisher *publisher = &bench->publishers[i];
        if (publisher->finished_ns > finished_ns)
            finished_ns = publisher->finished_ns;
        report->events += publisher->ended;
        report->stored += publisher->counters.stored;
        report->resent += publisher->counters.resent;
        hist_merge(&report->latency, &publisher->latency);
    }
    report->seconds = (double)(finished_ns - bench->started_ns) / 1e9;
}

static double latency_us(const struct report *report, double percent)
{
    return (double)hist_percentile(&report->latency, percent) / 1000;
}

static json_t *report_json(const struct bench *bench, const struct report *report)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:f, s:I, s:f, s:f, s:f, s:f, s:I, s:b}",
                     "events", (json_int_t)report->events, "stored", (json_int_t)report->stored,
                     "size", (json_int_t)bench->size, "sessions", (json_int_t)bench->sessions,
                     "producers", (json_int_t)bench->producers, "ack",
                     bench->level == SPN_DURABLE ? "durable" : "accepted", "in_flight",
                     (json_int_t)bench->in_flight, "seconds", report->seconds, "events_per_second",
                     (json_int_t)((double)report->events / report->seconds), "ack_p50_us",
                     latency_us(report, 50), "ack_p99_us", latency_us(report, 99), "ack_p999_us",
                     latency_us(report, 99.9), "ack_max_us", latency_us(report, 100), "resent",
                     (json_int_t)report->resent, "own_sidecar", bench->daemon.pid > 0);
}

static void put_table(struct out *out, const struct bench *bench, const struct report *report)
{
    char text[1024];
    snprintf(text, sizeof(text),
             "%llu events of %zu bytes, %zu sessions, %zu producers, ack %s, %llu in flight%s\n"
             "  events/s     %12.0f\n"
             "  MB/s         %12.1f\n"
             "  ack p50      %12.1f us\n"
             "  ack p99      %12.1f us\n"
             "  ack p99.9    %12.1f us\n"
             "  ack longest  %12.1f us\n",
             (unsigned long long)report->events, bench->size, bench->sessions, bench->producers,
             bench->level == SPN_DURABLE ? "durable" : "accepted",
             (unsigned long long)bench->in_flight,
             bench->daemon.pid > 0 ? ", a sidecar of its own" : "",
             (double)report->events / report->seconds,
             (double)report->events * (double)bench->size / report->seconds / 1e6,
             latency_us(report, 50), latency_us(report, 99), latency_us(report, 99.9),
             latency_us(report, 100));
    out_text(out, text);
}

static int print_report(const struct bench *bench)
{
    struct out out;
    int exit_code = CLI_OK;
    struct report *report = calloc(1, sizeof(*report));
    if (!report)
        return cli_fail("memory", SPN_E_NOMEM, NULL);
    add_up(bench, report);
    out_init(&out, STDOUT_FILENO);
    if (bench->json)
        exit_code = cli_put_json(&out, report_json(bench, report));
    else
        put_table(&out, bench, report);
    free(report);
    return cli_finish(&out, exit_code);
}

/* -- all of it --------------------------------------------------------------------------------- */

static void release(struct bench *bench)
{
    for (size_t i = 0; bench->publishers && i < bench->producers; i++)
        publisher_close(&bench->publishers[i]);
    temp_daemon_stop(&bench->daemon);
    free(bench->threads);
    free(bench->publishers);
    free(bench->data);
    free(bench->name_bytes);
    free(bench->names);
}

int verb_bench(int argc, char **argv)
{
    struct bench bench = {
        .words = {.count_max = 1},
        .common = {.timeout_ms = -1},
        .size = 256,
        .sessions = 100,
        .count = 1000000,
        .producers = 1,
        .in_flight = IN_FLIGHT,
        .level = SPN_DURABLE,
    };
    char quoted[TEXT_QUOTED_SIZE];
    cli_parse(&argp, argc, argv, &bench);
    if (bench.words.count == 0)
        cli_usage("say what to measure", "publish");
    if (strcmp(bench.words.at[0], "publish") != 0)
        cli_usage(text_quote(spn_text(bench.words.at[0]), quoted), "can measure publish only");
    catch_signals(&bench);
    int exit_code = find_sidecar(&bench);
    if (exit_code == CLI_OK)
        exit_code = make_load(&bench);
    if (exit_code == CLI_OK)
        exit_code = open_publishers(&bench);
    if (exit_code == CLI_OK)
        exit_code = publish_all(&bench);
    if (exit_code == CLI_OK)
        exit_code = print_report(&bench);
    release(&bench);
    return exit_code;
}
