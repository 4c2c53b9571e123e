/* SPDX-License-Identifier: Apache-2.0 */
/* ds_producers: who has appended to a Durable Stream with producer headers, and how far each came.
 *
 * It is made by noting every append of the stream in its order, and so is the same in every gateway
 * that reads the stream. The newest DS_PRODUCERS_MAX producers are known: who appends after as many
 * others as that begins again at 0.
 *
 * Owns     copies of the ids.
 * Threads  belongs to one thread.
 */
#ifndef SPN_HTTP_DS_PRODUCERS_H
#define SPN_HTTP_DS_PRODUCERS_H

#include "base/link.h"
#include "http/ds/note.h"

enum { DS_PRODUCERS_MAX = 16384 };

struct ds_producers {
    void *tree;       /* of tsearch, by id */
    struct link ring; /* the one that appended last is at its end */
    size_t count;
    size_t bytes;
};

/* How far a producer came. */
struct ds_progress {
    uint64_t epoch;
    uint64_t seq;
};

void ds_producers_init(struct ds_producers *producers);
void ds_producers_release(struct ds_producers *producers);

/* False: the producer is not known. */
bool ds_producers_find(const struct ds_producers *producers, struct spn_bytes id,
                       struct ds_progress *ret_progress);
/* An append of the stream. False: no memory. */
bool ds_producers_note(struct ds_producers *producers, const struct ds_append *append);

/* What becomes of an append. */
enum ds_verdict {
    DS_ACCEPTED,
    DS_DUPLICATE,
    DS_STALE_EPOCH, /* *ret_progress has the epoch that holds */
    DS_BAD_START,   /* a new epoch does not begin with seq 0 */
    DS_GAP,         /* after ret_progress->seq others are missing; or, if that producer is not
                       known, from 0 on: *ret_expected says which comes next */
};

/* *ret_progress: how far the producer came before; zeros: it is new. */
enum ds_verdict ds_producers_judge(const struct ds_producers *producers,
                                   const struct ds_append *append, struct ds_progress *ret_progress,
                                   uint64_t *ret_expected);

#endif
