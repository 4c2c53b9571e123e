/* SPDX-License-Identifier: Apache-2.0 */
/* worker: everything that is written to disk, and when.
 *
 * Takes the batches from the broker, appends them to the log, commits once for all of them, and
 * returns them. While one commit runs, the next batches collect. Producers that wait for each
 * acknowledgement send their next batches together. So the worker waits for as many of them as its
 * last commits answered, at most as long as a commit takes. Batches that nobody waits for may be
 * held up to the flush interval. Between commits, a few milliseconds at a time, the worker writes
 * frozen generations as segments, trims entries that retention hides or that exceed the quota, and
 * looks for sessions to expire. A heap of deadlines says what is due: a flush, a commit to retry, a
 * round of trimming, a walk over the rows.
 *
 * Owns     the journal's write transactions; its pending work; the heap.
 * Borrows  the journal, the clock, the metrics, the mailboxes.
 * Lends    its state, which any thread may read.
 * Units    nanoseconds, bytes, positions of the log.
 * Threads  its own.
 */
#ifndef SPN_WORKER_H
#define SPN_WORKER_H

#include <pthread.h>

#include "base/clock.h"
#include "base/mailbox.h"
#include "mail/commit_state.h"
#include "base/deadline_heap.h"
#include "index/early.h"
#include "index/idle.h"
#include "store/journal.h"
#include "base/metrics.h"
#include "base/pulse.h"
#include "index/segment.h"
#include "index/trim.h"

enum {
    WORKER_COMMIT_BYTES_MAX = 8 * 1024 * 1024, /* of one transaction; the rest waits for the next */
};

struct worker_options {
    uint64_t flush_interval_ns;
    struct journal *journal;
    const struct clock *clock;
    struct metrics *metrics;
    struct mailbox *mailbox; /* the worker's own */
    struct mailbox *broker;
    struct pulse *pulse;     /* NULL: nobody looks */
    struct mailbox *reader;  /* nudged when entries became durable and somebody watches */
    uint64_t durable;        /* durable mark at the start */
    uint64_t quota_bytes;    /* of pages in use; above it nothing is appended */
    uint64_t session_ttl_ns; /* idle sessions expire after this time; 0: never */
};

struct settings;

struct worker {
    struct worker_options options;
    struct commit_state state;
    pthread_t thread;

    struct message *pending; /* work in order; the first is next */
    struct message **pending_end;
    size_t pending_bytes;
    size_t pending_batches;
    size_t pending_ends; /* batches that end sessions, and generations: they make room */
    bool waited_for;     /* somebody waits for pending work */
    bool flush_due;
    bool gathered;      /* the wait for more batches is over */
    size_t expected[2]; /* producers that the last two commits answered */
    uint64_t commit_mean_ns;
    struct generation *frozen; /* being written as a segment */
    struct segment *segment;
    bool segment_stepped; /* the last transaction wrote a step of it */
    bool stopping;
    struct message *stop;

    struct deadline_heap heap;
    struct deadline flush;
    struct deadline retry;
    struct deadline gather;
    struct deadline round;  /* of trimming */
    struct deadline walk;   /* over the rows */
    struct deadline reread; /* no reading between commits until then: memory ran out */
    struct trim *trim;
    struct idle idle;
    bool walking;
    struct early early;
    struct deadline early_again; /* while it is set, the sessions found so far get time to expire */
    bool near_quota;             /* the oldest entries must be deleted ... */
    bool trim_stuck;             /* ... but none may be, until another segment is complete */
    bool names_full;             /* names and rows take more than their part of the quota */
    size_t commit_bytes_max;
    unsigned attempts; /* at the commit that will be retried */
    uint64_t random;
    uint64_t readers_checked_ns;

    struct settings *settings; /* that came and are not in force; owned, or NULL */
    struct retention rule;     /* to be written into the database ... */
    bool rule_due;             /* ... which is so as long as this is set */
};

/* Starts the thread. *worker must not move afterwards. SPN_E_NOMEM, SPN_E_SYSTEM. */
spn_err worker_start(struct worker *worker, const struct worker_options *options) SPN_MUST_USE;

/* Waits for the thread to end: after MESSAGE_STOP came back, or after fatal was set. */
void worker_join(struct worker *worker);

#endif
