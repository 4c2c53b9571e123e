/* SPDX-License-Identifier: Apache-2.0 */
/* fetch: answers to FETCH, and what is probably asked for next.
 *
 * An answer grows slice by slice, each in a snapshot of its own, since a question costs as much as
 * several slices. Whoever got an answer that does not reach the session's end asks for what
 * follows. While the answer is on its way and the reader has nothing else to do, that is read
 * ahead, for one at a time. It is given out like anything else: after the broker said where the
 * session stands, and if the retention rule hides none of it by then.
 *
 * Owns     the answer read ahead, and the view it is read by.
 * Borrows  its options; the journal's reader is its own while it is called.
 * Threads  the reader's.
 */
#ifndef SPN_FETCH_H
#define SPN_FETCH_H

#include "mail/question.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "net/parcel.h"
#include "index/slice.h"

enum { FETCH_BYTES_MAX = 256 * 1024 }; /* of an answer's items; one event always fits */

struct fetch_options {
    struct journal_reader *journal;
    const struct clock *clock;
    struct metrics *metrics;
    const uint8_t *secret;
    struct slice *slice; /* scratch */
};

/* A SLICE that is being put together. */
struct fetch_answer {
    struct parcel *parcel; /* NULL: there is nothing yet */
    struct wire_slice head;
    size_t size; /* of the items */
    size_t room; /* the parcel's for them */
    size_t bytes_max;
};

struct fetch {
    struct fetch_options options;
    struct fetch_answer ahead;
    struct view view;    /* it is read by; epoch 0: nothing more is to be read */
    uint64_t ahead_from; /* seq; 0: there is none */
    uint64_t ahead_ns;   /* since when */
};

void fetch_init(struct fetch *fetch, const struct fetch_options *options);
void fetch_release(struct fetch *fetch);

/* question: answered, with a FETCH in its frame. In a snapshot, which it ends. *ret_parcel:
 * a SLICE of *ret_size bytes; yours. SPN_E_NOMEM: not now. SPN_E_CORRUPT, SPN_E_IO, SPN_E_BAD_ID,
 * SPN_E_PROTOCOL. */
spn_err fetch_answer(struct fetch *fetch, struct session_question *question,
                     struct parcel **ret_parcel, size_t *ret_size) SPN_MUST_USE;

/* Whether there is something to read ahead; then fetch_ahead reads a slice. Outside snapshots. */
bool fetch_wants(const struct fetch *fetch);
void fetch_ahead(struct fetch *fetch);

/* Forgets what nobody came for. Returns in how many ms to call again; -1: never. */
long fetch_tick(struct fetch *fetch);

#endif
