/* SPDX-License-Identifier: Apache-2.0 */
/* bench: shared by the measurements of `sponson bench`: their table, their settings, the sidecar.
 *
 * A measurement is one function in a file of its own. The sidecar already runs. The function
 * measures, adds its figures to the report and returns an exit code; it prints its own errors.
 *
 * Threads  the main thread; a measurement starts others.
 */
#ifndef SPN_CLI_BENCH_H
#define SPN_CLI_BENCH_H

#include <stdatomic.h>

#include "cli/bench_report.h"
#include "cli/cli.h"
#include "cli/crew.h"
#include "cli/payloads.h"
#include "cli/temp_daemon.h"

/* Options that not all measurements have. */
enum bench_option {
    BENCH_SESSIONS = 1,
    BENCH_PRODUCERS = 2,
    BENCH_ACK = 4,
    BENCH_IN_FLIGHT = 8,
    BENCH_RATE = 16,
    BENCH_OTHERS = 32,
    BENCH_ROUNDS = 64,
    BENCH_SUBSCRIBERS = 128,
    BENCH_PROCESSES = 256,
    BENCH_COUNT = 512,
    BENCH_CLIENTS = 1024,
};

/* X(function, name, options it takes, events or rounds by default, text) */
#define BENCH_MAP(X)                                                                               \
    X(publish, "publish",                                                                          \
      BENCH_COUNT | BENCH_SESSIONS | BENCH_PRODUCERS | BENCH_ACK | BENCH_IN_FLIGHT | BENCH_RATE,   \
      1000000, "events per second and acknowledgement times, at full speed or at a rate")          \
    X(latency, "latency", BENCH_COUNT | BENCH_PRODUCERS | BENCH_RATE, 10000,                       \
      "with one event in flight per producer: time until it is on disk, and until a subscriber "   \
      "has it")                                                                                    \
    X(oneshot, "oneshot", BENCH_COUNT | BENCH_PRODUCERS | BENCH_ACK, 10000,                        \
      "with one one-shot in flight per client: time until it is acknowledged")                     \
    X(replay, "replay", BENCH_COUNT | BENCH_OTHERS | BENCH_ROUNDS, 50000,                          \
      "events per second read back from one session among others")                                 \
    X(fanout, "fanout", BENCH_ROUNDS | BENCH_SUBSCRIBERS | BENCH_CLIENTS | BENCH_PROCESSES, 0,     \
      "time from one event's acknowledgement until the last of its subscribers has it")            \
    X(follow, "follow",                                                                            \
      BENCH_COUNT | BENCH_SESSIONS | BENCH_PRODUCERS | BENCH_ACK | BENCH_IN_FLIGHT | BENCH_RATE,   \
      1000000, "publishing alone and with a follower of the log: what it costs, how late it is")   \
    X(sessions, "sessions", BENCH_COUNT | BENCH_PRODUCERS | BENCH_ACK | BENCH_IN_FLIGHT, 1000000,  \
      "sessions opened per second, by one event each, and memory per session")

struct bench {
    struct cli_words words;
    struct cli_common common;
    unsigned given; /* options on the command line */
    size_t size;
    const char *file; /* NULL: all payloads have `size` bytes */
    uint64_t sessions;
    uint64_t count; /* 0: not given; set once the measurement is known */
    uint64_t producers;
    uint64_t in_flight;
    uint64_t rate;
    uint64_t others;
    uint64_t rounds;
    bool running;                   /* measure the sidecar that runs here */
    bool keep;                      /* keep the sessions */
    char name[PUBLISHER_NAME_SIZE]; /* all its sessions' names begin with it; "": none yet */
    uint64_t subscribers;
    uint64_t clients; /* of the subscribers; 0: one each */
    uint64_t processes;
    spn_level level;
    bool json;

    struct temp_daemon daemon; /* pid 0: the sidecar ran before */
    struct payloads payloads;
    atomic_bool stop;
};

#define BENCH_DECLARE(function, name, options, count, text)                                        \
    int bench_##function(struct bench *bench, struct bench_report *report);
BENCH_MAP(BENCH_DECLARE)
#undef BENCH_DECLARE

/* Makes a crew with the bench's settings; close it with crew_close. */
void bench_crew(struct bench *bench, struct crew *crew);

/* Opens a client of the measured sidecar. Prints what went wrong; returns an exit code. */
int bench_connect(const struct bench *bench, spn_client **ret_client);

/* Add figures that several measurements share. */
void bench_put_rate(struct bench_report *report, const struct crew_result *result);
void bench_put_payload(const struct bench *bench, struct bench_report *report);
void bench_put_level(const struct bench *bench, struct bench_report *report);

#endif
