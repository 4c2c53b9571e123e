/* SPDX-License-Identifier: Apache-2.0 */
/* broker: takes events in, decides, hands over, acknowledges.
 *
 * One loop of phases. A batch is taken whole: each number gets a result, and a refusal is one of
 * them. The way is number -> session -> tracker -> position. The batch goes to the worker as it is;
 * its acknowledgement is sent when it comes back. Above the queue's high-water mark, or while no
 * generation has room, ingest.sock is not read until the low-water mark. Unused trackers are
 * evicted once all they know is in the index.
 *
 * Owns     producers, sessions and their trackers, the active generation, ingest.sock.
 * Borrows  the rest of its options.
 * Threads  the one that calls broker_run.
 */
#ifndef SPN_BROKER_H
#define SPN_BROKER_H

#include "base/clock.h"
#include "base/metrics.h"
#include "base/notify.h"
#include "base/pulse.h"
#include "index/generation.h"
#include "ingest/watch.h"
#include "mail/batch.h"
#include "mail/commit_state.h"
#include "mail/mail.h"
#include "state/producers.h"
#include "state/sessions.h"
#include "state/spans.h"

struct broker_options {
    void *ingest;  /* ROUTER, bound, ROUTER_MANDATORY */
    int signal_fd; /* readable: a signal to stop */
    struct commit_state *commits;
    struct watch *watch;
    const struct connections_news *connections;
    struct notify *notify; /* the service manager; NULL: none */
    struct pulse *pulses;  /* of the other threads */
    size_t pulse_count;
    struct mailbox *mailbox; /* the broker's own */
    struct mailbox *worker;
    struct mailbox *reader;
    const struct clock *clock;
    struct metrics *metrics;
    spn_err (*random)(void *bytes, size_t size); /* see base/random.h */
    const uint8_t *secret;                       /* of the database: keys fingerprints */
    const uint8_t *database;                     /* its id: RECORD_DATABASE_ID_SIZE bytes */
    uint64_t instance;
    size_t data_max;
    int64_t frame_max; /* of ingest.sock */
    uint32_t queue_events_max;
    size_t queue_bytes_max;
    uint64_t row_interval_ns;
    uint64_t generation_bytes_max; /* of the log: the most that cannot be trimmed yet */
    uint64_t session_ttl_ns;       /* of sessions that have none of their own; 0: never */
    uint64_t producer_ttl_ns; /* producers that send nothing for so long are forgotten; 0: never */
    uint32_t producers_max;   /* an eighth of them is never for the processes of one user alone */
    uint32_t hot_max;         /* trackers in memory, except those that the index lacks */
    uint64_t stop_timeout_ns;
    /* SIGHUP: may change these options, whose owner the caller is. NULL: it changes nothing. */
    void (*reload)(void *context);
    void *reload_context;
};

/* What recovery found, and the broker continues with. */
struct broker_state {
    struct producers producers;
    struct sessions sessions;
    struct spans spans;
    struct generation *active; /* what is above the checkpoint */
    struct generation *frozen; /* what recovery had no room to write; the broker takes it over */
    uint64_t next_position;
    struct message stop; /* the worker may still have it when broker_run has returned */
};

enum broker_end {
    BROKER_DRAINED, /* stopped by a signal; everything is on disk */
    BROKER_LEFT,    /* stopped by a signal; the stop timeout ran out first */
    BROKER_KILLED,  /* a second signal */
    BROKER_FAILED,  /* the worker died: commits->fatal has the error */
    BROKER_LOST,    /* something it depends on was removed or replaced; the log says what */
};

struct broker_left {
    uint64_t numbers; /* events that were accepted and are not on disk */
};

/* Runs until it ends. The caller releases the state's parts. SPN_E_NOMEM, SPN_E_SYSTEM: it did not
 * begin. */
spn_err broker_run(const struct broker_options *options, struct broker_state *state,
                   enum broker_end *ret_end, struct broker_left *ret_left) SPN_MUST_USE;

#endif
