/* SPDX-License-Identifier: Apache-2.0 */
/* parcel: bytes on their way to a peer, sent without a copy.
 *
 * Filled by one thread, let go by ZeroMQ's, or by ours when the peer is gone. What peers do not
 * read is bounded in all: metrics->unsent counts it.
 *
 * Owns     its bytes, until a message takes it over.
 * Threads  one until then.
 */
#ifndef SPN_PARCEL_H
#define SPN_PARCEL_H

#include <stdatomic.h>
#include <zmq.h>

#include "metrics.h"
#include "spn_err.h"

enum { PARCEL_UNSENT_MAX = 64 * 1024 * 1024 }; /* bytes; one message always fits */

struct parcel {
    struct metrics *metrics;
    atomic_size_t size; /* stored last, looked at first: orders filling and freeing */
    uint8_t bytes[];
};

/* Makes room for so many bytes; parcel NULL: a new one. NULL: out of memory, the old one stays. */
struct parcel *parcel_resize(struct parcel *parcel, size_t room);
void parcel_free(struct parcel *parcel); /* takes NULL */

/* A message of its first size bytes, which takes it over, also on failure. SPN_E_BACKPRESSURE: too
 * many bytes wait already; SPN_E_NOMEM. */
spn_err parcel_message(zmq_msg_t *ret_message, struct parcel *parcel, size_t size,
                       struct metrics *metrics) SPN_MUST_USE;

#endif
