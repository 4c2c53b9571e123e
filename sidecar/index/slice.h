/* SPDX-License-Identifier: Apache-2.0 */
/* slice: some events of a session, read from disk and ready to be sent.
 *
 * At most 256 at a time, so that a snapshot stays short.
 *
 * Lends    entries: valid in the snapshot that they were read in.
 * Threads  the reader's.
 */
#ifndef SPN_SLICE_H
#define SPN_SLICE_H

#include "index/timeline.h"
#include "wire.h"

enum { SLICE_ENTRIES_MAX = 256 };

struct slice {
    struct wire_slice head;
    size_t size; /* of the items, encoded */
    uint64_t positions[SLICE_ENTRIES_MAX];
    struct record_entry entries[SLICE_ENTRIES_MAX];
};

/* Where to begin. */
struct slice_start {
    uint8_t start;        /* enum wire_start */
    struct spn_life life; /* WIRE_AFTER_SEQ */
    uint64_t seq;         /* WIRE_AFTER_SEQ */
    struct spn_bytes id;
};

/* The first seq that is wanted. SPN_E_OTHER_LIFE, SPN_E_BAD_ID. SPN_E_UNKNOWN_ID: no retained
 * event has the id. now_ns: of the database clock. */
spn_err slice_find(const struct timeline *timeline, const struct slice_start *start,
                   const uint8_t *secret, uint64_t now_ns, uint64_t *ret_from) SPN_MUST_USE;

/* Reads from this seq on: at least one event if one is retained, then as many as bytes_max allows.
 * now_ns: of the database clock. */
spn_err slice_read(struct slice *slice, const struct timeline *timeline, uint64_t from,
                   size_t bytes_max, uint64_t now_ns) SPN_MUST_USE;

/* Appends one event as an item; slice_put appends all events of a slice. */
void slice_put_entry(struct wire_out *out, uint64_t position, const struct record_entry *entry);
void slice_put(struct wire_out *out, const struct slice *slice);
size_t slice_entry_size(const struct record_entry *entry);

/* The verdict that says why reading cannot go on; false: it is another failure. */
bool slice_verdict(spn_err err, uint8_t *ret_verdict);

#endif
