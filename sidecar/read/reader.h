/* SPDX-License-Identifier: Apache-2.0 */
/* reader: answers requests on read.sock, and reads from disk for the broker.
 *
 * A request that needs more than the disk becomes a question to the broker, and is answered when
 * the question comes back. Answers about events are read from short snapshots, and so contain
 * durable events only.
 *
 * Owns     read.sock, a reader of the journal, the questions that are at the broker.
 * Borrows  the rest of its options.
 * Threads  its own.
 */
#ifndef SPN_READER_H
#define SPN_READER_H

#include <pthread.h>

#include "mail/mail.h"
#include "base/clock.h"
#include "net/connections.h"
#include "net/endpoint.h"
#include "base/metrics.h"
#include "base/pulse.h"
#include "mail/commit_state.h"

struct reader_options {
    void *socket; /* ROUTER, bound, ROUTER_MANDATORY; owned by the reader from reader_start on */
    struct endpoint *endpoint; /* of the socket; bound again on request */
    struct journal *journal;
    struct commit_state *commits; /* durable, checkpoint, trouble; watched */
    struct mailbox *mailbox;      /* the reader's own */
    struct mailbox *broker;
    const struct clock *clock;
    struct metrics *metrics;
    struct pulse *pulse;                   /* NULL: nobody looks */
    atomic_uint *stalled_uid;              /* see net/outbox.h */
    const struct connections *connections; /* for CLIENTS; NULL: nobody is seen */
    const uint8_t *secret;
    const uint8_t *database; /* its id: RECORD_DATABASE_ID_SIZE bytes */
    uint64_t instance;
    const atomic_uint *data_max; /* bytes of an event; a reload may change it */
    uint32_t frame_max;          /* of read.sock */
    uint16_t window_max;
};

struct reader;

/* Starts the thread. SPN_E_NOMEM, SPN_E_SYSTEM, SPN_E_IO. */
spn_err reader_start(struct reader **ret_reader, const struct reader_options *options) SPN_MUST_USE;

/* Ends the thread and frees it. Takes NULL. */
void reader_stop(struct reader *reader);

#endif
