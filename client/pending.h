/* SPDX-License-Identifier: Apache-2.0 */
/* pending: what a latest-only producer holds back while its window is full.
 *
 *     oldest                              newest
 *     [ a 7 ] -> [ b close ] -> [ b 2 ] -> [ c 40 ]
 *
 * One queue in the order of arrival, and a hash of sessions beside it. An event takes the place of
 * its session's newest entry when that is an event too, and keeps that one's place in the queue: a
 * session with many events does not push itself back, and waits no longer than the others. A marker
 * takes the place of a marker, and waits behind an event until the next one takes the place of
 * both. A close or a delete is never replaced, so that what comes before and behind it stays there.
 *
 * Entries have no numbers yet, and events without an id have none until they get their number.
 *
 * Owns     the entries and their bytes; at most count_max of them with bytes_max bytes in all, but
 *          one of any size.
 * Borrows  the bytes of an entry: copied before the call returns.
 * Lends    the first entry: valid until the next call that changes something.
 * Units    bytes, as an entry has them on the wire.
 * Threads  those of its owner.
 */
#ifndef SPN_CLIENT_PENDING_H
#define SPN_CLIENT_PENDING_H

#include <stdbool.h>

#include "wire.h"

struct pending_entry;

struct pending {
    struct pending_entry *first; /* the oldest */
    struct pending_entry *last;
    struct pending_entry **buckets; /* by session; in each the newest is first */
    size_t bucket_count;            /* a power of two, or 0 */
    size_t count;
    size_t count_max;
    size_t bytes;
    size_t bytes_max;
    uint64_t seed; /* of the hash */
};

void pending_init(struct pending *pending, size_t count_max, size_t bytes_max, uint64_t seed);
void pending_release(struct pending *pending); /* takes what was only zeroed */

/* Takes an entry in; *ret_replaced: in place of how many. SPN_E_TOO_MANY, SPN_E_NOMEM: it was not
 * taken, and all is as it was. */
spn_err pending_put(struct pending *pending, const struct wire_entry *entry,
                    unsigned *ret_replaced) SPN_MUST_USE;

/* The oldest; NULL: there is none. */
const struct wire_entry *pending_first(const struct pending *pending);
void pending_drop_first(struct pending *pending);

#endif
