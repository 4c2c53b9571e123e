/* SPDX-License-Identifier: Apache-2.0 */
/* publisher: one producer that publishes and measures its acknowledgements.
 *
 * As fast as it can, or at a rate: then an event is due at a moment that was fixed beforehand, and
 * its time counts from there. One that could not be sent in time because those before it were slow
 * is late, and not left out of the figures.
 *
 * Owns     a client, a producer, a histogram of the time from publishing to acknowledgement.
 * Borrows  what is in struct publisher_load.
 * Units    nanoseconds of the monotonic clock.
 * Threads  each publisher in one of its own; open and close on any.
 */
#ifndef SPN_CLI_PUBLISHER_H
#define SPN_CLI_PUBLISHER_H

#include <stdatomic.h>

#include "sponson.h"

#include "cli/gate.h"
#include "cli/hist.h"
#include "cli/payloads.h"

enum {
    PUBLISHER_NAME_SIZE = 24,  /* of what a session's name begins with */
    PUBLISHER_STAMP_SIZE = 16, /* hexadecimal digits */
};

/* What all of them do; constant while they run, but for `stop`. */
struct publisher_load {
    const char *socket_dir; /* NULL: the library's search */
    int timeout_ms;
    const struct payloads *payloads;
    char name[PUBLISHER_NAME_SIZE]; /* of sessions; a number from 0 follows */
    uint64_t session_count;         /* all of them take turns in them */
    uint64_t publisher_count;
    uint64_t in_flight_max;
    uint64_t rate; /* events per second, of all of them together; 0: as many as go */
    bool stamped;  /* an event's id is the moment that its time counts from */
    spn_level level;
    struct gate *gate;
    const atomic_bool *stop; /* end early */
};

struct publisher {
    const struct publisher_load *load;
    uint64_t index;
    uint64_t count; /* events to publish */
    spn_client *client;
    spn_producer *producer;
    uint64_t published;
    uint64_t ended;
    uint64_t sample_every; /* reading the clock twice for every event would show */
    uint64_t *sent_ns;     /* of the samples in flight, a ring */
    uint64_t sent_count;
    uint64_t warmed_up; /* events before the measurement, which the counters count too */
    struct hist latency;
    struct spn_counters counters;
    uint64_t started_ns;
    uint64_t finished_ns;
    spn_err err; /* why it ended early */
    char detail[256];
};

uint64_t publisher_now_ns(void);

/* The name of a session of the load. */
struct spn_bytes publisher_session(const struct publisher_load *load, uint64_t number,
                                   char ret_name[SPN_GIVEN_ID_MAX]);

/* The moment an event's id was made of; 0 when it is none. */
uint64_t publisher_stamp(struct spn_bytes id);

/* load, index and count are set before. On failure err and detail say why. */
spn_err publisher_open(struct publisher *publisher) SPN_MUST_USE;
void publisher_close(struct publisher *publisher); /* takes a zeroed one */

/* One event in its first session, before the measurement, acknowledged when this returns: opens
 * what is to be open. Its id is no stamp. */
spn_err publisher_warm_up(struct publisher *publisher) SPN_MUST_USE;

/* A thread's main function. argument: struct publisher. Returns NULL; see err. */
void *publisher_run(void *argument);

#endif
