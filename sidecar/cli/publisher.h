/* SPDX-License-Identifier: Apache-2.0 */
/* publisher: one producer that publishes as fast as it can and measures its acknowledgements.
 *
 * Owns     a client, a producer, a histogram of the time from publishing to acknowledgement.
 * Borrows  what is in struct publisher_load.
 * Units    nanoseconds.
 * Threads  each publisher in one of its own; open and close on any.
 */
#ifndef SPN_CLI_PUBLISHER_H
#define SPN_CLI_PUBLISHER_H

#include <pthread.h>
#include <stdatomic.h>

#include "sponson.h"

#include "hist.h"

/* What all of them do; constant while they run, but for `stop`. */
struct publisher_load {
    const char *socket_dir; /* NULL: the library's search */
    int timeout_ms;
    struct spn_bytes data;
    const struct spn_bytes *sessions;
    size_t session_count;
    size_t publisher_count;
    uint64_t in_flight_max;
    spn_level level;
    pthread_barrier_t *start; /* all of them and whoever takes the time */
    atomic_bool *stop;        /* end early */
};

struct publisher {
    const struct publisher_load *load;
    size_t index;
    uint64_t count; /* events to publish */
    spn_client *client;
    spn_producer *producer;
    uint64_t published;
    uint64_t ended;
    uint64_t sample_every; /* reading the clock twice for every event would show */
    uint64_t *sent_ns;     /* of the samples in flight, a ring */
    uint64_t sent_count;
    struct hist latency;
    struct spn_counters counters;
    uint64_t finished_ns;
    spn_err err; /* why it ended early */
    char detail[256];
};

uint64_t publisher_now_ns(void);

/* load, index and count are set before. On failure err and detail say why. */
spn_err publisher_open(struct publisher *publisher) SPN_MUST_USE;
void publisher_close(struct publisher *publisher); /* takes a zeroed one */

/* A thread's main function. argument: struct publisher. Returns NULL; see err. */
void *publisher_run(void *argument);

#endif
