/* SPDX-License-Identifier: Apache-2.0 */
/* attributes: what holds of a session beside its events: its spans, content type and note.
 *
 * The newest entry of the log with attributes has the whole set. Until a segment has put it into
 * the session's row and value on disk, a generation knows its position. The row has the position of
 * its own: whichever is higher holds, so no reader gets older ones than it got before.
 *
 * Lends    bytes: valid in the snapshot.
 * Threads  pure functions.
 */
#ifndef SPN_ATTRIBUTES_H
#define SPN_ATTRIBUTES_H

#include "index/timeline.h"
#include "wire.h"

enum { ATTRIBUTES_DATA_MAX = 2 * WIRE_ATTRIBUTES_MAX }; /* fields of later versions included */

/* Reads and checks the data of an entry. SPN_E_BAD_ATTRIBUTES: it is too large, its content type is
 * not text, or a span is too long for a clock in nanoseconds. */
spn_err attributes_get(struct spn_bytes data, struct wire_attributes *ret_attributes) SPN_MUST_USE;

/* The attributes that hold in the timeline's snapshot. A damaged value counts as none, since the
 * session can be read without it. */
spn_err attributes_read(const struct timeline *timeline,
                        struct wire_attributes *ret_attributes) SPN_MUST_USE;

#endif
