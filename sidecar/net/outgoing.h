/* SPDX-License-Identifier: Apache-2.0 */
/* outgoing: a message to a peer, sent without a copy of its bytes and counted until it is gone.
 *
 * One thread fills it. ZeroMQ's thread frees it, or ours if the peer is gone. From when it is
 * sealed until it is freed, it is charged to an account: its peer's, and so its user's, and in
 * total (metrics->unsent). An account outlives its owner for as long as ZeroMQ has bytes charged to
 * it.
 *
 * Owns     its bytes, and a share in its account.
 * Threads  filled by one; freed by any.
 */
#ifndef SPN_OUTGOING_H
#define SPN_OUTGOING_H

#include <stdatomic.h>
#include <zmq.h>

#include "base/metrics.h"
#include "spn_err.h"

enum {
    OUTGOING_COST = 256, /* bytes beside the message's own: structs, here and in ZeroMQ, malloc */
};

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

struct outgoing {
    struct account *account; /* NULL: not sealed yet */
    atomic_size_t charged;   /* stored last and loaded first: orders use before freeing */
    struct outgoing *next;   /* in a queue */
    zmq_msg_t message;       /* with its bytes, once it is sealed */
    uint8_t bytes[];
};

/* Makes room for so many bytes; outgoing NULL: a new one. Returns NULL: out of memory, the old one
 * stays. Only before it is sealed. */
struct outgoing *outgoing_resize(struct outgoing *outgoing, size_t room);

/* Makes the first size bytes its message. The caller charges the account with them and
 * OUTGOING_COST; the account is discharged when it is freed. SPN_E_NOMEM: unchanged. */
spn_err outgoing_seal(struct outgoing *outgoing, size_t size, struct account *account) SPN_MUST_USE;

/* *ret_message: its message, to be sent. With that outgoing belongs to ZeroMQ, whose thread may
 * free it at once. A message that could not be sent is put back. */
void outgoing_take_message(struct outgoing *outgoing, zmq_msg_t *ret_message);
void outgoing_put_back(struct outgoing *outgoing, zmq_msg_t *message);

/* Takes NULL, one that is not sealed, and one whose message was not sent. */
void outgoing_free(struct outgoing *outgoing);

#endif
