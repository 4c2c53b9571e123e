/* SPDX-License-Identifier: Apache-2.0 */
/* fetch: answers to FETCH, and reading ahead for the request that probably follows.
 *
 * An answer has several slices, because a question to the broker costs as much as reading some of
 * them. A client whose answer does not reach the session's end will
 * request the events that follow. While the answer is on its way and the reader has nothing else to
 * do, fetch reads these events ahead, for one answer at a time. They are sent under the usual
 * conditions: after the broker has returned the state of the session, and if the retention rule
 * hides none of them by then.
 *
 * Owns     the answer read ahead, and the view it is read through.
 * Borrows  its options.
 * Threads  the reader's.
 */
#ifndef SPN_FETCH_H
#define SPN_FETCH_H

#include "mail/question.h"
#include "base/metrics.h"
#include "net/outgoing.h"
#include "read/pump.h"

struct fetch_options {
    struct pump_source source;
    struct metrics *metrics;
};

/* A SLICE that is being put together. */
struct fetch_answer {
    struct outgoing *outgoing; /* NULL: there are no items yet */
    struct wire_slice head;
    size_t size; /* of the items */
    size_t room; /* for items, in outgoing */
    size_t bytes_max;
};

struct fetch {
    struct fetch_options options;
    struct fetch_answer ahead;
    struct view view;    /* for reading ahead; epoch 0: there is nothing more to read */
    uint64_t ahead_from; /* seq; 0: nothing is read ahead */
    uint64_t ahead_ns;   /* when reading ahead was planned */
};

void fetch_init(struct fetch *fetch, const struct fetch_options *options);
void fetch_release(struct fetch *fetch);

/* question: answered by the broker, with a FETCH in its frame. Call it inside a snapshot.
 * *ret_outgoing: a SLICE of *ret_size bytes; yours. SPN_E_NOMEM: not now. SPN_E_CORRUPT, SPN_E_IO,
 * SPN_E_BAD_ID, SPN_E_PROTOCOL. */
spn_err fetch_answer(struct fetch *fetch, struct session_question *question,
                     struct outgoing **ret_outgoing, size_t *ret_size) SPN_MUST_USE;

/* True: there is something to read ahead. Then fetch_ahead reads one slice. Call it outside
 * snapshots. */
bool fetch_wants(const struct fetch *fetch);
void fetch_ahead(struct fetch *fetch);

/* Drops read-ahead that nobody requested in time. Returns in how many ms to call again; -1:
 * never. */
long fetch_tick(struct fetch *fetch);

#endif
