/* SPDX-License-Identifier: Apache-2.0 */
/* publisher: one producer, or one client with one-shots, which publishes and measures its
 * acknowledgements.
 *
 * It publishes as fast as it can, or at a rate. At a rate each event is due at a scheduled time,
 * and its latency is measured from its scheduled time, even if it was sent late. So an event that
 * was late because earlier ones were slow is not left out of the figures.
 *
 * A publisher of one-shots has one in flight, and publishes as fast as it can. It has no producer.
 *
 * Owns     a client, a producer, a histogram of the time from publishing to acknowledgement.
 * Borrows  the contents of struct publisher_load.
 * Units    nanoseconds of the monotonic clock.
 * Threads  each publisher in a thread of its own; open and close on any.
 */
#ifndef SPN_CLI_PUBLISHER_H
#define SPN_CLI_PUBLISHER_H

#include <stdatomic.h>

#include "sponson.h"

#include "cli/gate.h"
#include "cli/hist.h"
#include "cli/payloads.h"

enum {
    PUBLISHER_NAME_SIZE = 24,  /* of the beginning of a session's name */
    PUBLISHER_STAMP_SIZE = 16, /* hexadecimal digits */
};

/* The settings of all publishers; constant while they run, except `stop`. */
struct publisher_load {
    const char *socket_dir; /* NULL: the library's search */
    int timeout_ms;
    const struct payloads *payloads;
    char name[PUBLISHER_NAME_SIZE]; /* of sessions; a number from 0 follows */
    uint64_t session_count;         /* each publisher uses them in turn */
    uint64_t publisher_count;
    uint64_t in_flight_max;
    uint64_t rate; /* events per second, of all publishers together; 0: no limit */
    bool stamped;  /* an event's id is the moment from which its latency is measured */
    bool one_shot; /* each event is a one-shot, and each publisher has a session of its own */
    spn_level level;
    struct gate *gate;
    const atomic_bool *stop; /* ends the run early */
};

struct publisher {
    const struct publisher_load *load;
    uint64_t index;
    uint64_t count; /* events to publish */
    spn_client *client;
    spn_producer *producer; /* NULL: one-shots */
    uint64_t published;
    uint64_t ended;
    atomic_uint_fast64_t shown; /* the same for other threads, now and then */
    uint64_t sample_every; /* 1 in so many events is timed: reading the clock for all would cost too
                              much */
    uint64_t *sent_ns;     /* of the samples in flight, a ring */
    uint64_t sent_count;
    uint64_t warmed_up; /* events before the measurement; counters includes them */
    struct hist latency;
    struct spn_counters counters; /* of the producer; of one-shots: only `stored` */
    uint64_t started_ns;
    uint64_t finished_ns;
    spn_err err; /* why it ended early */
    char detail[256];
};

uint64_t publisher_now_ns(void);

/* The name of a session of the load. */
struct spn_bytes publisher_session(const struct publisher_load *load, uint64_t number,
                                   char ret_name[SPN_GIVEN_ID_MAX]);

/* The moment in an event's id; 0: the id is no such moment. */
uint64_t publisher_stamp(struct spn_bytes id);

/* The caller has set load, index and count. On failure err and detail have the reason. */
spn_err publisher_open(struct publisher *publisher) SPN_MUST_USE;
void publisher_close(struct publisher *publisher); /* takes a zeroed one */

/* Publishes one event in the publisher's first session, before the measurement, and returns after
 * it was acknowledged, so that everything is open. Its id is no stamp. */
spn_err publisher_warm_up(struct publisher *publisher) SPN_MUST_USE;

/* A thread's main function. argument: struct publisher. Returns NULL; see err. */
void *publisher_run(void *argument);

#endif
