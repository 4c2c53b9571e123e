/* SPDX-License-Identifier: Apache-2.0 */
/* worker_base: what the worker's files do for each other.
 *
 * worker.c is the loop: what is due, and when. worker_transaction.c is one write transaction, from
 * the first batch to the commit. worker_queue.c is the work in the worker's hands.
 *
 * Threads  the worker's.
 */
#ifndef SPN_WORKER_BASE_H
#define SPN_WORKER_BASE_H

#include "commit/worker.h"
#include "mail/batch.h"
#include "mail/mail.h"

#define MS 1000000ull

enum {
    STEP_MS_MIN = 1, /* of a segment, of a walk: how long commits may wait for it */
    STEP_MS_MAX = 2,
    TRIM_STEP = 1000,
    /* With one alone the look would follow the newest segment, which hides nothing yet, and never
     * come to the older ones while segments keep coming. */
    LOOKED_AT_PER_WRITTEN = 2,
    ROUND_AFTER_MS = 60000, /* all segments are looked at so long after one was written */
    ROUND_FIRST_MS = 1000,  /* after the start: the rule may be another one than before */
    WALK_FIRST_MS = 1000,   /* after the start: much may have become idle while nothing ran */
    INTERVAL_MS_MIN = 100,
    SPAN_PARTS = 16, /* looks in a time to live, in the age that events may have */
    BACKOFF_FIRST_MS = 10,
    BACKOFF_MAX_MS = 500,
    READ_AGAIN_MS = 100, /* after memory ran out */
    GATHER_MAX_MS = 2,
    DEADLINES_MAX = 8,
    CHECK_READERS_EVERY_MS = 5000,
    NAMES_PART = 2,        /* of the quota: names and rows above it expire early near the quota */
    EARLY_AGAIN_MS = 1000, /* if no segment was written by then */
};

/* What one did beside the batches. */
struct transaction {
    bool segment_done;
    size_t trimmed;
};

/* worker_queue.c */

void worker_take_work(struct worker *worker);

/* A generation is written once all work before it is on disk; the order to stop is obeyed once
 * there is nothing else. */
spn_err worker_take_other_work(struct worker *worker);
void worker_give_back(struct worker *worker, const struct message *end);
void worker_finish_segment(struct worker *worker);
void worker_note_waiting(struct worker *worker);
bool worker_has_batches(const struct worker *worker);

/* worker_transaction.c */

/* As long as a commit takes, within bounds: who waits for small ones would notice more. */
struct step worker_step(const struct worker *worker);

/* From here on the oldest entries go: a margin of commits below the quota. */
bool worker_is_near_quota(const struct worker *worker, uint64_t used);
bool worker_is_names_full(const struct worker *worker);
void worker_fail(struct worker *worker, spn_err err);
void worker_commit(struct worker *worker);

#endif
