/* SPDX-License-Identifier: Apache-2.0 */
/* pump: reads a session from a start or a cursor on, slice after slice.
 *
 * FETCH and subscriptions that are behind read through it. A turn of a pump has one snapshot and
 * one time, so that the retention rule hides the same events from all its slices. A turn ends after
 * PUMP_TURN_NS, because other requests wait.
 *
 * Borrows  its source; the view and the caller's snapshot, during one turn.
 * Lends    a slice, until the next one is read.
 * Threads  the reader's.
 */
#ifndef SPN_PUMP_H
#define SPN_PUMP_H

#include "base/clock.h"
#include "index/slice.h"

enum {
    PUMP_TURN_NS = 1000000,
    PUMP_BYTES_MAX = 256 * 1024, /* of the items of a message; one event always fits */
};

struct pump_source {
    struct journal_reader *journal;
    const struct clock *clock;
    const uint8_t *secret;
    struct slice *slice; /* scratch */
};

struct pump {
    const struct pump_source *source;
    struct timeline timeline;
    uint64_t next_seq; /* the cursor: pump_find sets it, or the caller */
    uint64_t now_ns;   /* of the database clock, when the turn began */
    uint64_t until_ns; /* when the turn ends */
};

/* Begins a turn. Call it inside a snapshot that began after the broker gave the view.
 * SPN_E_UNKNOWN_SESSION, SPN_E_CORRUPT, SPN_E_IO. */
spn_err pump_begin(struct pump *pump, const struct pump_source *source,
                   const struct view *view) SPN_MUST_USE;

/* Sets the cursor to the first event that is wanted. Errors as in slice_find; then the cursor
 * stays. */
spn_err pump_find(struct pump *pump, const struct slice_start *start) SPN_MUST_USE;

/* Reads the next slice, and moves the cursor to the event after it. Errors as in slice_read. */
spn_err pump_read(struct pump *pump, size_t bytes_max, const struct slice **ret_slice) SPN_MUST_USE;

/* The session has no event from the cursor on. */
bool pump_is_at_end(const struct pump *pump);

bool pump_is_over(const struct pump *pump);

#endif
