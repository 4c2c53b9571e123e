/* SPDX-License-Identifier: Apache-2.0 */
/* pending: the entries that a latest-only producer holds back while its window is full.
 *
 *     oldest                              newest
 *     [ a 7 ] -> [ b close ] -> [ b 2 ] -> [ c 40 ]
 *
 * There is one queue in the order of arrival, and a hash of sessions beside it. If the newest entry
 * of a session is an event, the session's next event replaces it and keeps its place in the queue.
 * So a session with many events does not push itself back, and waits no longer than the others. A
 * marker replaces a marker. After an event a marker waits until the next event replaces both. A
 * close or a delete is never replaced, so entries before it stay before it and entries after it
 * stay after it.
 *
 * Entries have no numbers yet. An event without an id gets its id together with its number.
 *
 * Owns     the entries and their bytes; at most count_max of them with bytes_max bytes in all. An
 *          entry that is alone may have any size.
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
void pending_release(struct pending *pending); /* takes a struct that was only zeroed */

/* Adds an entry; *ret_replaced: how many entries it replaced. SPN_E_TOO_MANY, SPN_E_NOMEM: it was
 * not added, and nothing changed. */
spn_err pending_put(struct pending *pending, const struct wire_entry *entry,
                    unsigned *ret_replaced) SPN_MUST_USE;

/* The oldest; NULL: there is none. */
struct wire_entry *pending_first(const struct pending *pending);
void pending_drop_first(struct pending *pending);

#endif
