/* SPDX-License-Identifier: Apache-2.0 */
/* start: where does a reader begin?
 *
 * The header Last-Event-ID wins over `?after=`, and both over `?from=`: a browser that connects
 * again sends the header, with the same URL as at first.
 *
 * Borrows  the bytes.
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_START_H
#define SPN_HTTP_START_H

#include "http/query.h"

enum { START_ID_MAX = 4096 }; /* bytes of an event's id */

/* A cursor with a life that no session has. */
#define START_ABSENT_TEXT "spn:00000000000000000000000000000000:0"

enum start_kind {
    START_EARLIEST,
    START_NOW,
    START_ID,     /* after the event with this id */
    START_CURSOR, /* the same; and if no event has this id, after the event of the cursor */
    START_ABSENT, /* the same; and if no event has this id: the reader has waited for the session,
                     which was not there and is not sent to wait again. It begins with the first
                     event */
};

struct start {
    enum start_kind kind;
    struct spn_bytes id;  /* START_ID, START_CURSOR */
    struct spn_life life; /* START_CURSOR; not all zeros */
    uint64_t seq;         /* START_CURSOR; 0: before the first event */
};

/* last_event_id: of the header; size 0: it is not there or empty. 400: the id is one that no event
 * can have. */
bool start_choose(struct spn_bytes last_event_id, const struct query *query,
                  struct start *ret_start, struct problem *ret_problem);

#endif
