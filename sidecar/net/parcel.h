/* SPDX-License-Identifier: Apache-2.0 */
/* parcel: bytes on their way to a peer, sent without a copy and counted until they are gone.
 *
 * Filled by one thread, let go by ZeroMQ's, or by ours when the peer is gone. While it is on its
 * way it is charged to an account: its peer's, and so its user's, and in all (metrics->unsent). An
 * account outlives its owner for as long as ZeroMQ has something of it.
 *
 * Owns     a parcel its bytes and a share in its account.
 * Threads  filled by one; freed by any.
 */
#ifndef SPN_PARCEL_H
#define SPN_PARCEL_H

#include <stdatomic.h>
#include <zmq.h>

#include "base/metrics.h"
#include "spn_err.h"

enum {
    PARCEL_COST = 256
}; /* bytes that one takes beside its own: its struct and ZeroMQ's, malloc */

struct account {
    struct metrics *metrics;
    struct account *parent; /* charged with it; NULL: none */
    atomic_size_t held;     /* bytes on their way */
    atomic_size_t taken;    /* bytes that left ever since, whether sent or thrown away */
    atomic_uint owners;
};

/* NULL: out of memory. parent: it takes a share in it. */
struct account *account_new(struct metrics *metrics, struct account *parent);
void account_let_go(struct account *account); /* of the owner's share; takes NULL */
/* So many bytes more are on their way; so many are not any longer. */
void account_charge(struct account *account, size_t size);
void account_discharge(struct account *account, size_t size);

struct parcel {
    struct account *account; /* NULL: it is not on its way yet */
    atomic_size_t charged;   /* stored last, looked at first: orders use and freeing */
    struct parcel *next;     /* in a queue */
    zmq_msg_t message;       /* of its bytes, once it is on its way */
    uint8_t bytes[];
};

/* Makes room for so many bytes; parcel NULL: a new one. NULL: out of memory, the old one stays.
 * Only before it is on its way. */
struct parcel *parcel_resize(struct parcel *parcel, size_t room);

/* Its first size bytes are on their way from now on, as its message. The account was charged for
 * them and PARCEL_COST, and is discharged when they are gone. SPN_E_NOMEM: unchanged. */
spn_err parcel_seal(struct parcel *parcel, size_t size, struct account *account) SPN_MUST_USE;

/* *ret_message: its message, to be sent: the parcel is ZeroMQ's with that, and may be freed by its
 * thread at once. What could not be sent is put back. */
void parcel_take_message(struct parcel *parcel, zmq_msg_t *ret_message);
void parcel_put_back(struct parcel *parcel, zmq_msg_t *message);

/* Takes NULL, one that is not on its way, and one whose message was not sent. */
void parcel_free(struct parcel *parcel);

#endif
