/* SPDX-License-Identifier: Apache-2.0 */
/* worker_base: what the worker's files share.
 *
 * worker.c is the loop: it decides what is due, and when. worker_transaction.c is one write
 * transaction, from the first batch to the commit. worker_queue.c holds the worker's pending work.
 * worker_settings.c takes new options while it runs.
 *
 * Threads  the worker's.
 */
#ifndef SPN_WORKER_BASE_H
#define SPN_WORKER_BASE_H

#include "commit/worker.h"
#include "mail/batch.h"
#include "mail/mail.h"
#include "mail/settings.h"

#define MS 1000000ull

enum {
    STEP_MS_MIN = 1, /* of a segment or a walk: how long commits may wait for a step */
    STEP_MS_MAX = 2,
    TRIM_STEP = 1000,
    /* With 1, trimming would only ever look at the newest segment, which hides nothing yet. It
     * would never reach the older ones while segments keep coming. */
    LOOKED_AT_PER_WRITTEN = 2,
    ROUND_AFTER_MS = 60000, /* all segments are checked this long after one was written */
    ROUND_FIRST_MS = 1000,  /* after the start: the retention rule may have changed */
    WALK_FIRST_MS = 1000,   /* after the start: sessions may have become idle meanwhile */
    INTERVAL_MS_MIN = 100,
    SPAN_PARTS = 16, /* walks per session TTL, rounds per maximum age of events */
    BACKOFF_FIRST_MS = 10,
    BACKOFF_MAX_MS = 500,
    READ_AGAIN_MS = 100, /* after memory ran out */
    GATHER_MAX_MS = 2,
    DEADLINES_MAX = 8,
    CHECK_READERS_EVERY_MS = 5000,
    NAMES_PART = 2,        /* of the quota: if names and rows take more, sessions expire early */
    EARLY_AGAIN_MS = 1000, /* or earlier, when a segment was written */
};

/* What a transaction did besides writing batches. */
struct transaction {
    bool segment_done;
    size_t trimmed;
};

/* worker_settings.c */

/* What follows from the quota: at the start, and whenever it changes. */
void worker_follow_quota(struct worker *worker);
/* Takes over the settings that came, and frees them. */
spn_err worker_take_settings(struct worker *worker);
/* Writes the rule of retention that is due, in a transaction of its own. */
spn_err worker_write_rule(struct worker *worker);

/* worker_queue.c */

void worker_take_work(struct worker *worker);

/* Starts to write a generation once all work before it is on disk. Obeys MESSAGE_STOP once there is
 * no other work. */
spn_err worker_take_other_work(struct worker *worker);
void worker_finish_batches(struct worker *worker, const struct message *end);
void worker_finish_segment(struct worker *worker);
void worker_note_waiting(struct worker *worker);
bool worker_has_batches(const struct worker *worker);

/* worker_transaction.c */

/* A step that starts now. It takes as long as a commit, within bounds: a longer one would delay
 * producers that wait for small commits. */
struct step worker_step(const struct worker *worker);

/* Notes how full the database is, for the metrics too. worker->near_quota: the oldest entries must
 * be deleted. The limit is the quota minus a margin for commits. */
void worker_note_usage(struct worker *worker);
bool worker_is_names_full(const struct worker *worker);
void worker_fail(struct worker *worker, spn_err err);
spn_err worker_trouble(const struct worker *worker);
/* Call it where something other than worker_commit shows that the trouble is over. A quota that is
 * still exceeded stays one. */
void worker_end_trouble(struct worker *worker);
void worker_commit(struct worker *worker);

#endif
