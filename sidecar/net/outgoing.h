/* SPDX-License-Identifier: Apache-2.0 */
/* parcel: bytes on their way to a peer, sent without a copy and counted until they are gone.
 *
 * One thread fills a parcel. ZeroMQ's thread frees it, or ours if the peer is gone. While a parcel
 * is on its way, it is charged to an account: its peer's, and so its user's, and in total
 * (metrics->unsent). An account outlives its owner for as long as ZeroMQ has bytes charged to it.
 *
 * Owns     each parcel owns its bytes and a share in its account.
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
}; /* bytes that a parcel costs beside its own: its struct and ZeroMQ's, malloc */

struct account {
    struct metrics *metrics;
    struct account *parent; /* charged with it; NULL: none */
    atomic_size_t held;     /* bytes on their way */
    atomic_size_t taken;    /* bytes that have left since the start, sent or discarded */
    atomic_uint owners;
};

/* NULL: out of memory. parent: the new account takes a share in it; may be NULL. */
struct account *account_new(struct metrics *metrics, struct account *parent);
void account_let_go(struct account *account); /* gives up the owner's share; takes NULL */
/* size more bytes are on their way; size bytes are no longer on their way. */
void account_charge(struct account *account, size_t size);
void account_discharge(struct account *account, size_t size);

struct parcel {
    struct account *account; /* NULL: it is not on its way yet */
    atomic_size_t charged;   /* stored last and loaded first: orders use before freeing */
    struct parcel *next;     /* in a queue */
    zmq_msg_t message;       /* with its bytes, once it is on its way */
    uint8_t bytes[];
};

/* Makes room for so many bytes; parcel NULL: a new one. Returns NULL: out of memory, the old parcel
 * stays. Only before the parcel is on its way. */
struct parcel *parcel_resize(struct parcel *parcel, size_t room);

/* Puts its first size bytes on their way, as its message. The caller charges the account with them
 * and PARCEL_COST; the account is discharged when they are gone. SPN_E_NOMEM: unchanged. */
spn_err parcel_seal(struct parcel *parcel, size_t size, struct account *account) SPN_MUST_USE;

/* *ret_message: its message, to be sent. With that the parcel belongs to ZeroMQ, whose thread may
 * free it at once. A message that could not be sent is put back. */
void parcel_take_message(struct parcel *parcel, zmq_msg_t *ret_message);
void parcel_put_back(struct parcel *parcel, zmq_msg_t *message);

/* Takes NULL, a parcel that is not on its way, and a parcel whose message was not sent. */
void parcel_free(struct parcel *parcel);

#endif
