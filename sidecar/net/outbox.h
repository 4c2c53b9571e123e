/* SPDX-License-Identifier: Apache-2.0 */
/* outbox: the queues of messages for the peers of read.sock, and how much may wait in them.
 *
 * ZeroMQ limits what waits for a peer in messages, but memory is used in bytes. So each peer has a
 * queue before ZeroMQ's queue, and the bytes in both are counted together. Nobody may hold more
 * than is left to the others: a user no more than is free, a peer no more than an eighth of what is
 * free to its user. So the next peer finds room, however many peers do not read. A message without
 * room is refused to the caller before anything changes. A message with room is sent, unless its
 * peer is gone.
 *
 *   held          bytes queued, packed, and with ZeroMQ; when it is 0, one message always fits
 *   user's held   <= OUTBOX_BYTES_MAX - all held
 *   peer's held   <= (OUTBOX_BYTES_MAX - all held - its user's held) / OUTBOX_PEER_PART
 *
 * Deliveries are packed: those between two flushes travel in one message, up to OUTBOX_PACK_MAX.
 *
 * A peer for which something waits is cut if it takes nothing during OUTBOX_STALL_MS: its
 * connection is shut down, so that ZeroMQ discards what it holds. The client connects again when it
 * goes on. A peer whose connection is gone is forgotten within a second or two, even if nothing is
 * sent to it. The exception is a peer whose first message was received when another connection had
 * its descriptor already.
 *
 * Owns     peers, their queues, their users.
 * Borrows  the socket.
 * Lends    peers: until outbox_tick; a peer with a subscriber until the subscriber lets go.
 * Threads  one; ZeroMQ's thread gives back what was sent.
 */
#ifndef SPN_OUTBOX_H
#define SPN_OUTBOX_H

#include <sys/types.h>

#include "base/clock.h"
#include "base/link.h"
#include "net/outgoing.h"
#include "base/peer.h"

enum {
    OUTBOX_BYTES_MAX = 64 * 1024 * 1024,
    OUTBOX_PEER_PART = 8, /* so that ten peers that do not read leave the next one 700 KB, not 2 */
    OUTBOX_FIRST_MAX = 256 * 1024 + 4096, /* always fits when nothing is held */
    OUTBOX_PACK_MAX = 128 * 1024,         /* a larger delivery is a message of its own */
    OUTBOX_STALL_MS = 30000,
    OUTBOX_RETRY_MS = 10,
};

struct outbox;
struct subscriber;

/* The peers of one user together. */
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
    bool gone; /* its connection is gone; nothing can be sent to it any more */

    struct outgoing *first; /* queue, without what was sent already */
    struct outgoing **end;
    struct outgoing *pack; /* the message that deliveries are put into; NULL: none */
    size_t pack_size;
    size_t pack_room;
    size_t pack_before;  /* size of the pack before, which the next one may reach too */
    uint32_t pack_count; /* deliveries */
    size_t newest_at;    /* offset of the newest delivery */
    uint64_t newest_tag; /* the newest delivery's tag; 0: none */

    int fd;      /* of its connection; may belong to another connection by now */
    ino_t inode; /* of its connection; 0: it was gone when the first message was received */
    uint64_t heard_ns;
    uint64_t moved_ns; /* when it last took something, or had nothing to take */
    size_t taken;      /* account->taken at that time */

    struct outbox_peer *next_in_bucket;
    struct link all;
    struct link dirty; /* in the ring of peers with a pack to send */
    struct link stuck; /* in the ring of peers for which ZeroMQ had no room */
};

struct outbox_options {
    /* Sends a message. Takes it over only on success. SPN_E_BACKPRESSURE: ZeroMQ has no room for it
     * now. SPN_E_UNAVAILABLE: the peer is gone. */
    spn_err (*send)(void *socket, const struct peer *peer, zmq_msg_t *message);
    void *socket;
    const struct clock *clock;
    struct metrics *metrics;
    atomic_uint *stalled_uid; /* uid of the connection that was cut last; may be NULL */
};

spn_err outbox_new(struct outbox **ret_outbox, const struct outbox_options *options) SPN_MUST_USE;
void outbox_free(struct outbox *outbox); /* takes NULL */

/* Returns the peer that a message came from, and notes the time. message NULL: the message is not
 * at hand. Returns NULL: out of memory. */
struct outbox_peer *outbox_meet(struct outbox *outbox, const struct peer *peer, zmq_msg_t *message);

bool outbox_has_room(const struct outbox *outbox, const struct outbox_peer *peer, size_t size);

/* Queues the first size bytes as a message. Takes outgoing over, also on failure.
 * SPN_E_BACKPRESSURE, SPN_E_NOMEM, SPN_E_UNAVAILABLE: the message will not be sent. */
spn_err outbox_put(struct outbox *outbox, struct outbox_peer *peer, struct outgoing *outgoing,
                   size_t size) SPN_MUST_USE;

/* *ret_bytes: size bytes, which the caller fills with one delivery before the next call. tag: whose
 * delivery it is. Errors as in outbox_put. */
spn_err outbox_deliver(struct outbox *outbox, struct outbox_peer *peer, uint64_t tag, size_t size,
                       uint8_t **ret_bytes) SPN_MUST_USE;
/* Adds size bytes to the peer's newest delivery, if that has this tag and can still grow.
 * *ret_bytes: the added bytes. *ret_head: where the delivery begins. False: nothing was added. */
bool outbox_extend(struct outbox *outbox, struct outbox_peer *peer, uint64_t tag, size_t size,
                   uint8_t **ret_head, uint8_t **ret_bytes);

/* Sends the packed deliveries. */
void outbox_flush(struct outbox *outbox);

/* The next peer with a subscriber whose connection is gone; NULL: there is none. after: the peer
 * returned before, since the last outbox_tick; NULL: start with the first. */
struct outbox_peer *outbox_next_gone(const struct outbox *outbox, const struct outbox_peer *after);

/* The next peer whose connection is there, in no order; NULL: there is none. after: the one before,
 * since the last outbox_tick; NULL: start with the first. */
struct outbox_peer *outbox_next(const struct outbox *outbox, const struct outbox_peer *after);
/* Bytes on their way to this peer. */
size_t outbox_held(const struct outbox *outbox, const struct outbox_peer *peer);

/* Does what is due: retries peers for which ZeroMQ had no room, and cuts peers that take nothing.
 * Returns in how many ms to call again; -1: never. */
long outbox_tick(struct outbox *outbox);

#endif
