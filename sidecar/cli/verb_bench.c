/* SPDX-License-Identifier: Apache-2.0 */
/* verb_bench: how fast is this machine with this sidecar? This file has the options and the choice
 * of the sidecar. The measurements are in bench_*.c. */
#include "cli/bench.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/machine.h"
#include "base/text.h"
#include "wire.h"

enum {
    PRODUCERS_MAX = 1024,
    SESSIONS_MAX = 100000000,
    IN_FLIGHT_MAX = 65536,
    IN_FLIGHT = 16384,
    RATE_MAX = 100000000,
    OTHERS_MAX = 1000000,
    ROUNDS_MAX = 1000000,
    SUBSCRIBERS_MAX = 65536,
    PROCESSES_MAX = 256,
};

/* -- options ----------------------------------------------------------------------------------- */

enum {
    KEY_SIZE = CLI_KEY,
    KEY_FILE,
    KEY_SESSIONS,
    KEY_COUNT,
    KEY_PRODUCERS,
    KEY_ACK,
    KEY_IN_FLIGHT,
    KEY_RATE,
    KEY_OTHERS,
    KEY_ROUNDS,
    KEY_SUBSCRIBERS,
    KEY_CLIENTS,
    KEY_PROCESSES,
    KEY_RUNNING,
    KEY_KEEP,
    KEY_JSON,
};

#define MEASUREMENT_DOC(function, name, options, count, text) {name, 0, 0, OPTION_DOC, text, 1},

/* clang-format off */
static const struct argp_option options[] = {
    {0, 0, 0, 0, "What to measure:", 1},
    BENCH_MAP(MEASUREMENT_DOC)
    {0, 0, 0, 0, "Options:", 2},
    {"size", KEY_SIZE, "BYTES", 0, "size of an event's data (default: 256)", 2},
    {"file", KEY_FILE, "FILE", 0,
     "use the types and data of this recorded text/event-stream instead, repeatedly", 2},
    {"sessions", KEY_SESSIONS, "COUNT", 0, "number of sessions to spread the events over (default: 100)", 2},
    {"count", KEY_COUNT, "COUNT", 0,
     "number of events (default: 1000000; latency, oneshot: 10000; replay: 50000, in the replayed "
     "session)", 2},
    {"producers", KEY_PRODUCERS, "COUNT", 0,
     "number of threads, each with a connection (default: 1); oneshot: without a producer", 2},
    {"ack", KEY_ACK, "durable|accepted", 0, "acknowledgement level to wait for (default: durable)", 2},
    {"in-flight", KEY_IN_FLIGHT, "COUNT", 0,
     "maximum number of unacknowledged events of a producer (default: 16384, and 4 MiB)", 2},
    {"rate", KEY_RATE, "COUNT", 0,
     "events per second, of all producers together (default: as fast as possible); each event's "
     "time is counted from when it is due, however late it is sent", 2},
    {"others", KEY_OTHERS, "COUNT", 0,
     "number of other sessions whose events lie between those of the replayed one in the log "
     "(default: 9)", 2},
    {"rounds", KEY_ROUNDS, "COUNT", 0, "number of rounds (default: replay: 5, fanout: 20)", 2},
    {"subscribers", KEY_SUBSCRIBERS, "COUNT", 0,
     "number of subscribers of the session (default: 1000)", 2},
    {"clients", KEY_CLIENTS, "COUNT", 0,
     "number of clients that the subscribers share, each with a connection (default: as many as "
     "subscribers)", 2},
    {"processes", KEY_PROCESSES, "COUNT", 0, "number of processes that the subscribers run in, at most one per client (default: 4)", 2},
    {"running", KEY_RUNNING, 0, 0,
     "measure the sidecar that is running, and not one of its own; implied by --socket-dir", 2},
    {"keep", KEY_KEEP, 0, 0, "with --running: do not delete the benchmark's sessions", 2},
    {"json", KEY_JSON, 0, 0, "one object", 2},
    {0},
};
/* clang-format on */

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

/* Options that not every measurement takes. */
static const struct {
    int key;
    const char *option;
    enum bench_option bit;
    size_t offset; /* of the field, a uint64_t; 0: no such field */
    uint64_t max;
} counts[] = {
    {KEY_SESSIONS, "--sessions", BENCH_SESSIONS, offsetof(struct bench, sessions), SESSIONS_MAX},
    {KEY_COUNT, "--count", BENCH_COUNT, offsetof(struct bench, count), UINT32_MAX},
    {KEY_PRODUCERS, "--producers", BENCH_PRODUCERS, offsetof(struct bench, producers),
     PRODUCERS_MAX},
    {KEY_IN_FLIGHT, "--in-flight", BENCH_IN_FLIGHT, offsetof(struct bench, in_flight),
     IN_FLIGHT_MAX},
    {KEY_RATE, "--rate", BENCH_RATE, offsetof(struct bench, rate), RATE_MAX},
    {KEY_ROUNDS, "--rounds", BENCH_ROUNDS, offsetof(struct bench, rounds), ROUNDS_MAX},
    {KEY_SUBSCRIBERS, "--subscribers", BENCH_SUBSCRIBERS, offsetof(struct bench, subscribers),
     SUBSCRIBERS_MAX},
    {KEY_CLIENTS, "--clients", BENCH_CLIENTS, offsetof(struct bench, clients), SUBSCRIBERS_MAX},
    {KEY_PROCESSES, "--processes", BENCH_PROCESSES, offsetof(struct bench, processes),
     PROCESSES_MAX},
    {KEY_OTHERS, "--others", BENCH_OTHERS, offsetof(struct bench, others), OTHERS_MAX},
    {KEY_ACK, "--ack", BENCH_ACK, 0, 0},
};

#define COUNTS (sizeof(counts) / sizeof(counts[0]))

static error_t parse_count(int key, char *arg, struct bench *bench)
{
    for (size_t i = 0; i < COUNTS; i++) {
        if (counts[i].key != key)
            continue;
        uint64_t min = key == KEY_OTHERS ? 0 : 1;
        uint64_t value = cli_count(counts[i].option, arg, min, counts[i].max);
        memcpy((char *)bench + counts[i].offset, &value, sizeof(value));
        bench->given |= counts[i].bit;
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct bench *bench = state->input;
    switch (key) {
    case KEY_SIZE:
        bench->size = (size_t)cli_count("--size", arg, 0, WIRE_EVENT_DATA_MAX);
        return 0;
    case KEY_FILE:
        bench->file = arg;
        return 0;
    case KEY_ACK:
        bench->level = parse_level(arg);
        bench->given |= BENCH_ACK;
        return 0;
    case KEY_RUNNING:
        bench->running = true;
        return 0;
    case KEY_KEEP:
        bench->keep = true;
        return 0;
    case KEY_JSON:
        bench->json = true;
        return 0;
    default:
        if (key > CLI_KEY && parse_count(key, arg, bench) == 0)
            return 0;
        return cli_parse_rest(key, arg, state, &bench->words, &bench->common);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "publish|latency|oneshot|replay|fanout|follow|sessions",
    .doc =
        "Measure the sidecar on this machine."
        "\vA sidecar is started for it in a temporary directory under $TMPDIR or /var/tmp, and "
        "removed afterwards with all that it stored. With --running or --socket-dir, the sidecar "
        "that is running is measured; the benchmark's sessions, named bench-…, are deleted from it "
        "afterwards.\n\nTimes are acknowledgement times: from publishing an "
        "event until it is on disk and the producer has its acknowledgement. Percentiles are at "
        "most 1.6 % above the true value.",
    .children = (const struct argp_child[]){{&cli_common_argp, 0, "Sidecar:", 10}, {0}},
};

/* -- what is measured -------------------------------------------------------------------------- */

struct measurement {
    const char *name;
    int (*run)(struct bench *bench, struct bench_report *report);
    unsigned options;
    uint64_t count;
};

static const struct measurement measurements[] = {
#define MEASUREMENT_ROW(function, name, options, count, text)                                      \
    {name, bench_##function, (unsigned)(options), count},
    BENCH_MAP(MEASUREMENT_ROW)
#undef MEASUREMENT_ROW
};

#define MEASUREMENTS (sizeof(measurements) / sizeof(measurements[0]))

static const struct measurement *find_measurement(const char *name)
{
    char quoted[TEXT_QUOTED_SIZE];
    for (size_t i = 0; i < MEASUREMENTS; i++)
        if (strcmp(measurements[i].name, name) == 0)
            return &measurements[i];
    cli_usage(text_quote(spn_text(name), quoted),
              "must be publish, latency, oneshot, replay, fanout, follow or sessions");
}

/* Refuses options without effect: the figure would not be the requested one. */
static void check_options(struct bench *bench, const struct measurement *measurement)
{
    char why[CLI_TEXT_SIZE];
    for (size_t i = 0; i < COUNTS; i++) {
        if ((bench->given & counts[i].bit & ~measurement->options) == 0)
            continue;
        snprintf(why, sizeof(why), "%s does not take it", measurement->name);
        cli_usage(counts[i].option, why);
    }
    if (bench->count == 0)
        bench->count = measurement->count;
}

/* -- signals ----------------------------------------------------------------------------------- */

static atomic_bool *stop_flag; /* of the running bench, for the signal handler */

static void note_interrupt(int number)
{
    (void)number;
    atomic_store(stop_flag, true);
}

/* Call it before starting a sidecar, which nobody else would stop. The second signal of a kind
 * kills. */
static void catch_signals(struct bench *bench)
{
    struct sigaction action = {.sa_handler = note_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    stop_flag = &bench->stop;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* Each connection takes a dozen descriptors on our side and two at the sidecar. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* -- which sidecar ----------------------------------------------------------------------------- */

/* A load never goes to a sidecar in use, unless that is asked for. */
static int find_sidecar(struct bench *bench)
{
    if (bench->running || bench->common.socket_dir)
        return CLI_OK;
    int exit_code = temp_daemon_start(&bench->daemon);
    if (exit_code == CLI_OK)
        bench->common.socket_dir = bench->daemon.socket_dir;
    return exit_code;
}

static int make_payloads(struct bench *bench)
{
    spn_err err = bench->file ? payloads_read(&bench->payloads, bench->file)
                              : payloads_make(&bench->payloads, bench->size);
    if (err == SPN_OK)
        return CLI_OK;
    if (err == SPN_E_SYSTEM)
        return cli_fail_errno(bench->file);
    return cli_fail(bench->file ? bench->file : "memory", err,
                    err == SPN_E_END ? "contains no event" : NULL);
}

/* -- machine and sidecar ----------------------------------------------------------------------- */

static int put_surroundings(const struct bench *bench, struct bench_report *report)
{
    struct machine machine;
    const struct spn_health *health;
    spn_client *client;
    int exit_code = bench_connect(bench, &client);
    if (exit_code != CLI_OK)
        return exit_code;
    spn_err err = spn_get_health(client, cli_timeout_ms(&bench->common), &health);
    if (err == SPN_OK) {
        machine_look(&machine);
        bench_report_heading(report, "on");
        bench_report_text(report, "cpu", "processor", machine.cpu);
        bench_report_count(report, "cores", "cores", (uint64_t)machine.cores);
        bench_report_text(report, "kernel", "kernel", machine.kernel);
        bench_report_text(report, "sidecar_version", "sidecar", health->version);
        bench_report_count(report, "event_data_max_bytes", "largest event",
                           spn_client_data_max(client));
        bench_report_flag(report, "own_sidecar", bench->daemon.pid > 0);
        bench_report_text(report, "sidecar_of", "which",
                          bench->daemon.pid > 0 ? "started for the benchmark, default settings"
                                                : "already running");
    } else {
        exit_code = cli_fail("sidecar", err, spn_client_detail(client));
    }
    spn_client_close(client);
    return exit_code;
}

static int measure(struct bench *bench, const struct measurement *measurement)
{
    struct bench_report report;
    bench_report_init(&report);
    bench_report_text(&report, "measured", NULL, measurement->name);
    bench_report_heading(&report, measurement->name);
    int exit_code = measurement->run(bench, &report);
    if (exit_code == CLI_OK)
        exit_code = put_surroundings(bench, &report);
    if (exit_code == CLI_OK)
        exit_code = bench_report_print(&report, bench->json);
    bench_report_release(&report);
    return exit_code;
}

/* -- cleaning up ------------------------------------------------------------------------------- */

static spn_err delete_sessions(spn_client *client, spn_producer *producer, const char *prefix,
                               int timeout_ms)
{
    char name[SPN_GIVEN_ID_MAX];
    struct spn_bytes after = {name, 0};
    const struct spn_session *session;
    spn_err err;
    while ((err = spn_next_session(client, after, spn_text(prefix), timeout_ms, &session)) ==
           SPN_OK) {
        if (session->name.size > sizeof(name))
            break;
        memcpy(name, session->name.data, session->name.size);
        after.size = session->name.size;
        err = spn_session_delete(producer, after, &session->life, NULL);
        if (err != SPN_OK)
            return err;
    }
    return err == SPN_E_END ? spn_producer_flush(producer, timeout_ms) : err;
}

/* Leaves a sidecar that is not our own as it was found. */
static int clean_up(const struct bench *bench)
{
    struct spn_producer_options chosen = spn_producer_defaults();
    spn_client *client;
    spn_producer *producer = NULL;
    int timeout_ms = cli_timeout_ms(&bench->common);
    if (bench->keep || bench->daemon.pid > 0 || bench->name[0] == '\0')
        return CLI_OK;
    int exit_code = bench_connect(bench, &client);
    if (exit_code != CLI_OK)
        return exit_code;
    chosen.send_timeout_ms = timeout_ms;
    spn_err err = spn_producer_open(&producer, client, &chosen, timeout_ms);
    if (err == SPN_OK)
        err = delete_sessions(client, producer, bench->name, timeout_ms);
    if (err != SPN_OK)
        exit_code = cli_fail_client("deleting the sessions of the bench", client, err);
    err = spn_producer_close(producer, 0, NULL);
    (void)err;
    spn_client_close(client);
    return exit_code;
}

int verb_bench(int argc, char **argv)
{
    struct bench bench = {
        .words = {.count_max = 1},
        .common = {.timeout_ms = -1},
        .size = 256,
        .sessions = 100,
        .producers = 1,
        .in_flight = IN_FLIGHT,
        .others = 9,
        .subscribers = 1000,
        .processes = 4,
        .level = SPN_DURABLE,
    };
    cli_parse(&argp, argc, argv, &bench);
    if (bench.words.count == 0)
        cli_usage("choose what to measure",
                  "publish, latency, oneshot, replay, fanout, follow or sessions");
    const struct measurement *measurement = find_measurement(bench.words.at[0]);
    check_options(&bench, measurement);
    if (bench.keep && !bench.running && !bench.common.socket_dir)
        cli_usage("--keep", "needs --running or --socket-dir");
    catch_signals(&bench);
    raise_descriptor_limit();
    int exit_code = make_payloads(&bench);
    if (exit_code == CLI_OK)
        exit_code = find_sidecar(&bench);
    if (exit_code == CLI_OK)
        exit_code = measure(&bench, measurement);
    int cleaned = clean_up(&bench);
    if (exit_code == CLI_OK)
        exit_code = cleaned;
    temp_daemon_stop(&bench.daemon);
    payloads_release(&bench.payloads);
    return exit_code;
}
