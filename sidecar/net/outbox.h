/* SPDX-License-Identifier: Apache-2.0 */
/* outbox: what the peers of read.sock have to get, in order, and how much of it may wait.
 *
 * ZeroMQ bounds what waits for a peer in messages, memory is used in bytes. So each peer has a
 * queue before ZeroMQ's, and what lies in either is counted together. Nobody may hold more than
 * what is left to the others: a user no more than is free, a peer an eighth of what is free to its
 * user. So however many do not read, the next one finds room. What found none is refused to whoever
 * has it, before anything changes; what found room is sent, or its peer is gone.
 *
 *   held          bytes queued, packed, and with ZeroMQ; one message always fits into nothing
 *   user's held   <= OUTBOX_BYTES_MAX - all held
 *   peer's held   <= (OUTBOX_BYTES_MAX - all held - its user's held) / OUTBOX_PEER_PART
 *
 * Deliveries are packed: those between two flushes travel in one message, up to OUTBOX_PACK_MAX.
 *
 * A peer that takes nothing of what waits for it for OUTBOX_STALL_MS is cut: its connection is shut
 * down, so that ZeroMQ throws away what it holds. A client connects again when it goes on. One
 * whose connection is gone is forgotten within a second or two, though nothing is sent to it; but
 * not one that was first heard when another had its descriptor already.
 *
 * Owns     peers, their queues, their users.
 * Borrows  the socket.
 * Lends    peers: until outbox_tick, those with a subscriber until that lets go.
 * Threads  one; ZeroMQ's gives back what was sent.
 */
#ifndef SPN_OUTBOX_H
#define SPN_OUTBOX_H

#include <sys/types.h>

#include "base/clock.h"
#include "base/link.h"
#include "net/parcel.h"
#include "base/peer.h"

enum {
    OUTBOX_BYTES_MAX = 64 * 1024 * 1024,
    OUTBOX_PEER_PART = 8, /* so that ten that do not read leave the next one 700 KB, not 2 */
    OUTBOX_FIRST_MAX = 256 * 1024 + 4096, /* this much always fits into nothing */
    OUTBOX_PACK_MAX = 128 * 1024,         /* a larger delivery has a message of its own */
    OUTBOX_STALL_MS = 30000,
    OUTBOX_RETRY_MS = 10,
};

struct outbox;
struct subscriber;

/* What the peers of one user have. */
struct user {
    struct user *next;
    struct account *account;
    uid_t uid;
    size_t peers;
    size_t subscriptions;
};

struct outbox_peer {
    struct peer peer;
    struct user *user;
    struct subscriber *subscriber; /* subscription.c's; NULL: it has none */
    struct account *account;
    bool gone; /* its connection is; nothing can be sent to it any more */

    struct parcel *first; /* queue; what was sent is not in it any more */
    struct parcel **end;
    struct parcel *pack; /* the message that deliveries are put into; NULL: none */
    size_t pack_size;
    size_t pack_room;
    uint32_t pack_count; /* deliveries */
    size_t newest_at;    /* its newest delivery */
    uint64_t newest_tag; /* whose that is; 0: nobody's */

    int fd;      /* of its connection; it may be another's by now */
    ino_t inode; /* of its connection; 0: that was gone when it was first heard of */
    uint64_t heard_ns;
    uint64_t moved_ns; /* when it last took something, or had nothing to take */
    size_t taken;      /* as of then */

    struct outbox_peer *next_in_bucket;
    struct link all;
    struct link dirty; /* in the ring of those with a pack to be sent */
    struct link stuck; /* in the ring of those that ZeroMQ had no room for */
};

struct outbox_options {
    /* Sends a message, and takes it over only then. SPN_E_BACKPRESSURE: ZeroMQ has no room for it
     * now; SPN_E_UNAVAILABLE: the peer is gone. */
    spn_err (*send)(void *socket, const struct peer *peer, zmq_msg_t *message);
    void *socket;
    const struct clock *clock;
    struct metrics *metrics;
    atomic_uint *stalled_uid; /* whose connection was cut last; may be NULL */
};

spn_err outbox_new(struct outbox **ret_outbox, const struct outbox_options *options) SPN_MUST_USE;
void outbox_free(struct outbox *outbox); /* takes NULL */

/* The peer that a message came from, which was heard with it. message: NULL: it is not at hand.
 * NULL: out of memory. */
struct outbox_peer *outbox_meet(struct outbox *outbox, const struct peer *peer, zmq_msg_t *message);

bool outbox_has_room(const struct outbox *outbox, const struct outbox_peer *peer, size_t size);

/* Queues a message of the parcel's first size bytes and takes it over, also on failure.
 * SPN_E_BACKPRESSURE, SPN_E_NOMEM, SPN_E_UNAVAILABLE: it will not be sent. */
spn_err outbox_put(struct outbox *outbox, struct outbox_peer *peer, struct parcel *parcel,
                   size_t size) SPN_MUST_USE;

/* *ret_bytes: so many, to be filled with one delivery before the next call. tag: whose it is. The
 * same errors. */
spn_err outbox_deliver(struct outbox *outbox, struct outbox_peer *peer, uint64_t tag, size_t size,
                       uint8_t **ret_bytes) SPN_MUST_USE;
/* More of the peer's newest delivery, if that has this tag and can still grow. *ret_head: where it
 * begins. False: it cannot. */
bool outbox_extend(struct outbox *outbox, struct outbox_peer *peer, uint64_t tag, size_t size,
                   uint8_t **ret_head, uint8_t **ret_bytes);

/* Sends what was packed. */
void outbox_flush(struct outbox *outbox);

/* The next one with a subscriber whose connection is gone; NULL: there is none. after: the one
 * before it, since the last outbox_tick; NULL: the first is asked for. */
struct outbox_peer *outbox_next_gone(const struct outbox *outbox, const struct outbox_peer *after);

/* What is due: peers that ZeroMQ had no room for, peers that take nothing. Returns in how many ms
 * to call again; -1: never. */
long outbox_tick(struct outbox *outbox);

#endif
