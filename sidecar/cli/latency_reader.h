/* SPDX-License-Identifier: Apache-2.0 */
/* latency_reader: a subscriber to all of a crew's sessions, or to the log, which measures how late
 * events reach it.
 *
 * An event's id is the moment from which its latency is measured. Each publisher's first event is a
 * warm-up without such an id. When all warm-ups have arrived, the subscriptions are in place. Those
 * to sessions need as many publishers as there are sessions.
 *
 * Owns     a client, its subscriptions, a histogram.
 * Borrows  the load.
 * Units    nanoseconds.
 * Threads  latency_reader_run has a thread of its own; the other calls are for the thread that
 *          opened it.
 */
#ifndef SPN_CLI_LATENCY_READER_H
#define SPN_CLI_LATENCY_READER_H

#include "cli/publisher.h"

struct latency_reader {
    const struct publisher_load *load;
    bool follows; /* the log; set before it is opened */
    spn_client *client;
    spn_subscription **subscriptions;
    uint64_t count; /* of subscriptions: one per session, or of the log */
    struct hist latency;
    uint64_t received;         /* events that were measured */
    atomic_uint_fast64_t last; /* ends after so many events; UINT64_MAX: not known yet */
    spn_err err;
    char detail[256];
};

/* On failure err and detail have the reason. */
spn_err latency_reader_open(struct latency_reader *reader,
                            const struct publisher_load *load) SPN_MUST_USE;
void latency_reader_close(struct latency_reader *reader); /* takes a zeroed one */

/* Returns after every publisher's warm-up has arrived. */
spn_err latency_reader_warm_up(struct latency_reader *reader) SPN_MUST_USE;

/* A thread's main function. argument: struct latency_reader. Returns NULL; see err. */
void *latency_reader_run(void *argument);

/* From any thread: sets how many events were published in all. */
void latency_reader_end(struct latency_reader *reader, uint64_t events);

#endif
