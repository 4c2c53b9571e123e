/* SPDX-License-Identifier: Apache-2.0 */
/* worker: everything that is written to disk, and when.
 *
 * Drains what the broker handed over, appends it to the log, commits once for all of it, gives it
 * back. While one commit runs the next batch gathers. Producers that wait for each acknowledgement
 * come back together: as many as the last commits answered are waited for, at most as long as a
 * commit takes. What nobody waits for may be held up to the flush interval. Beside the commits, a
 * few milliseconds at a time, it writes frozen generations as segments, trims what retention hides
 * and what the quota has no room for, and looks for sessions to expire. A heap of deadlines says
 * what is due: a flush, a commit to try again, a round of trimming, a walk over the rows.
 *
 * Owns     the journal's write transactions; the work in its hands; the heap.
 * Borrows  the journal, the clock, the metrics, the mailboxes.
 * Lends    its state, which any thread reads.
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
#include "index/segment.h"
#include "index/trim.h"

enum {
    WORKER_COMMIT_BYTES_MAX = 8 * 1024 * 1024, /* one transaction; more waits for the next */
};

struct worker_options {
    uint64_t flush_interval_ns;
    struct journal *journal;
    const struct clock *clock;
    struct metrics *metrics;
    struct mailbox *mailbox; /* the worker's own */
    struct mailbox *broker;
    struct mailbox *reader;  /* nudged when something became durable and is watched */
    uint64_t durable;        /* position: what is on disk already */
    uint64_t quota_bytes;    /* of pages in use: above it nothing is appended */
    uint64_t session_ttl_ns; /* idle sessions expire after it; 0: never */
};

struct worker {
    struct worker_options options;
    struct commit_state state;
    pthread_t thread;

    struct message *pending; /* work in order; the first is the next */
    struct message **pending_end;
    size_t pending_bytes;
    size_t pending_batches;
    size_t pending_ends; /* batches that end sessions, and generations: what makes room */
    bool waited_for;     /* somebody waits for something pending */
    bool flush_due;
    bool gathered;      /* long enough */
    size_t expected[2]; /* producers that the last two commits answered */
    uint64_t commit_mean_ns;
    struct generation *frozen; /* being written */
    struct segment *segment;
    bool segment_stepped; /* in the last transaction */
    bool stopping;
    struct message *stop;

    struct deadline_heap heap;
    struct deadline flush;
    struct deadline retry;
    struct deadline gather;
    struct deadline round;  /* of trimming */
    struct deadline walk;   /* over the rows */
    struct deadline reread; /* reading beside the commits waits for memory until then */
    struct trim *trim;
    struct idle idle;
    bool walking;
    struct early early;
    struct deadline early_again; /* while it is set, what was given out has its time */
    bool near_quota;             /* the oldest entries have to go ... */
    bool trim_stuck;             /* ... but none may, until another segment is complete */
    bool names_full;             /* names and rows have more than their part of the quota */
    size_t commit_bytes_max;
    unsigned attempts; /* of the commit that is to be tried again */
    uint64_t random;
    uint64_t readers_checked_ns;
};

/* Starts the thread. SPN_E_NOMEM, SPN_E_SYSTEM. *worker must not move afterwards. */
spn_err worker_start(struct worker *worker, const struct worker_options *options) SPN_MUST_USE;

/* Waits for the thread to end: after MESSAGE_STOP came back, or after fatal was set. */
void worker_join(struct worker *worker);

#endif
