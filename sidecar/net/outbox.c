/* SPDX-License-Identifier: Apache-2.0 */
#include "net/outbox.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/file_id.h"
#include "net/peer_uid.h"
#include "wire.h"

#define MS UINT64_C(1000000)

enum {
    BUCKETS = 4096, /* a power of two */
    PACK_FIRST = 512,
    PACK_HEADS = WIRE_HEADER_SIZE + WIRE_DELIVERIES_HEAD_SIZE,
    LOOK_MS = 1000,
    IDLE_MS = 2000, /* how long a peer that has nothing waiting and sends nothing is remembered */
};

struct outbox {
    struct outbox_options options;
    struct user *users;
    struct outbox_peer *buckets[BUCKETS];
    struct link all;
    struct link dirty;
    struct link stuck;
    struct link gone; /* not in all */
    /* What was packed for one peer since the last settle, and is not charged to its account yet: an
     * account is shared with ZeroMQ's thread, and charging it for each item costs more than the
     * item. NULL: nothing is uncharged. */
    struct outbox_peer *packing;
    size_t uncharged;
    uint64_t looked_ns;
    uint64_t retried_ns;
};

static uint64_t now_ns(const struct outbox *outbox)
{
    return outbox->options.clock->monotonic_ns();
}

/* -- users ------------------------------------------------------------------------------------- */

static struct user *take_user(struct outbox *outbox, uid_t uid)
{
    struct user *user = outbox->users;
    while (user && user->uid != uid)
        user = user->next;
    if (!user) {
        user = calloc(1, sizeof(*user));
        if (!user)
            return NULL;
        user->account = account_new(outbox->options.metrics, NULL);
        if (!user->account) {
            free(user);
            return NULL;
        }
        user->uid = uid;
        user->next = outbox->users;
        outbox->users = user;
    }
    user->peers++;
    return user;
}

static void leave_user(struct outbox *outbox, struct user *user)
{
    if (--user->peers > 0)
        return;
    struct user **at = &outbox->users;
    while (*at != user)
        at = &(*at)->next;
    *at = user->next;
    account_let_go(user->account);
    free(user);
}

/* -- accounts ---------------------------------------------------------------------------------- */

static void settle(struct outbox *outbox)
{
    if (outbox->packing)
        account_charge(outbox->packing->account, outbox->uncharged);
    outbox->packing = NULL;
    outbox->uncharged = 0;
}

static size_t held_by(const struct account *account)
{
    return atomic_load_explicit(&account->held, memory_order_relaxed);
}

static size_t held_by_peer(const struct outbox *outbox, const struct outbox_peer *peer)
{
    return held_by(peer->account) + (outbox->packing == peer ? outbox->uncharged : 0);
}

static size_t held_by_user(const struct outbox *outbox, const struct user *user)
{
    bool its = outbox->packing && outbox->packing->user == user;
    return held_by(user->account) + (its ? outbox->uncharged : 0);
}

static size_t held_by_all(const struct outbox *outbox)
{
    return metrics_get(&outbox->options.metrics->unsent) + outbox->uncharged;
}

/* If the peer held nothing, its OUTBOX_STALL_MS start now. */
static void charge(struct outbox *outbox, struct outbox_peer *peer, size_t size)
{
    if (outbox->packing != peer)
        settle(outbox);
    if (held_by_peer(outbox, peer) == 0)
        peer->moved_ns = now_ns(outbox);
    outbox->packing = peer;
    outbox->uncharged += size;
}

/* -- peers ------------------------------------------------------------------------------------- */

static struct outbox_peer **bucket_of(struct outbox *outbox, const struct peer *peer)
{
    return &outbox->buckets[XXH3_64bits(peer->bytes, peer->size) & (BUCKETS - 1)];
}

static struct outbox_peer *find(struct outbox *outbox, const struct peer *peer)
{
    struct outbox_peer *at = *bucket_of(outbox, peer);
    while (at &&
           (at->peer.size != peer->size || memcmp(at->peer.bytes, peer->bytes, peer->size) != 0))
        at = at->next_in_bucket;
    return at;
}

static struct outbox_peer *add(struct outbox *outbox, const struct peer *peer, uid_t uid)
{
    struct outbox_peer *added = calloc(1, sizeof(*added));
    if (!added)
        return NULL;
    added->user = take_user(outbox, uid);
    added->account =
        added->user ? account_new(outbox->options.metrics, added->user->account) : NULL;
    if (!added->account) {
        if (added->user)
            leave_user(outbox, added->user);
        free(added);
        return NULL;
    }
    struct outbox_peer **bucket = bucket_of(outbox, peer);
    added->peer = *peer;
    added->fd = -1;
    added->end = &added->first;
    added->moved_ns = now_ns(outbox);
    added->next_in_bucket = *bucket;
    *bucket = added;
    link_init(&added->all);
    link_init(&added->dirty);
    link_init(&added->stuck);
    link_join(&outbox->all, &added->all);
    return added;
}

/* Another connection may use the same routing id later; it is another peer. */
static void leave_bucket(struct outbox *outbox, struct outbox_peer *peer)
{
    struct outbox_peer **at = bucket_of(outbox, &peer->peer);
    while (*at != peer)
        at = &(*at)->next_in_bucket;
    *at = peer->next_in_bucket;
}

static void drop_queue(struct outbox *outbox, struct outbox_peer *peer)
{
    settle(outbox);
    while (peer->first) {
        struct outgoing *next = peer->first->next;
        outgoing_free(peer->first);
        peer->first = next;
    }
    peer->end = &peer->first;
    if (peer->pack)
        account_discharge(peer->account, OUTGOING_COST + peer->pack_size);
    outgoing_free(peer->pack);
    peer->pack = NULL;
    peer->pack_size = peer->pack_room = 0;
    peer->pack_count = 0;
    peer->newest_tag = 0;
    link_leave(&peer->dirty);
    link_leave(&peer->stuck);
}

static void set_gone(struct outbox *outbox, struct outbox_peer *peer)
{
    if (peer->gone)
        return;
    peer->gone = true;
    link_leave(&peer->all);
    link_join(&outbox->gone, &peer->all);
    leave_bucket(outbox, peer);
    drop_queue(outbox, peer);
}

static void forget(struct outbox *outbox, struct outbox_peer *peer)
{
    assert(!peer->subscriber);
    if (!peer->gone)
        leave_bucket(outbox, peer);
    drop_queue(outbox, peer);
    link_leave(&peer->all);
    account_let_go(peer->account);
    leave_user(outbox, peer->user);
    free(peer);
}

/* 0: it is no longer a socket's. ZeroMQ may close it meanwhile, and the number may be reused. */
static ino_t inode_of(int fd)
{
    struct file_id found;
    return file_id_of(fd, "", &found) && S_ISSOCK(found.mode) ? found.inode : 0;
}

/* ZeroMQ makes up such an id for one connection and never reuses it. Peers choose the other ids. */
static bool has_made_id(const struct outbox_peer *peer)
{
    return peer->peer.bytes[0] == 0;
}

/* Finds the connection that the message came on, as far as it is known. The message may have waited
 * longer than its connection lasted, and the descriptor may belong to another connection by now. So
 * a peer keeps the connection of its first message. A peer that chose its own id may have connected
 * again with it; then it is another peer. */
static struct outbox_peer *meet_by(struct outbox *outbox, struct outbox_peer *met,
                                   const struct peer *peer, zmq_msg_t *message)
{
    if (met && met->inode != 0 && has_made_id(met))
        return met;
    int fd = zmq_msg_get(message, ZMQ_SRCFD);
    ino_t inode = fd >= 0 ? inode_of(fd) : 0;
    if (met && met->inode != 0 && inode != 0 && inode != met->inode) {
        set_gone(outbox, met);
        met = NULL;
    }
    if (!met)
        met = add(outbox, peer, peer_uid(message));
    if (met && met->inode == 0) {
        met->fd = fd;
        met->inode = inode;
    }
    return met;
}

struct outbox_peer *outbox_meet(struct outbox *outbox, const struct peer *peer, zmq_msg_t *message)
{
    struct outbox_peer *met = find(outbox, peer);
    if (message)
        met = meet_by(outbox, met, peer, message);
    else if (!met)
        met = add(outbox, peer, PEER_NO_UID);
    if (met)
        met->heard_ns = now_ns(outbox);
    return met;
}

struct outbox_peer *outbox_next_gone(const struct outbox *outbox, const struct outbox_peer *after)
{
    const struct link *first = after ? &after->all : &outbox->gone;
    for (struct link *link = first->next; link != &outbox->gone; link = link->next) {
        struct outbox_peer *peer = LINK_OWNER(link, struct outbox_peer, all);
        if (peer->subscriber)
            return peer;
    }
    return NULL;
}

struct outbox_peer *outbox_next(const struct outbox *outbox, const struct outbox_peer *after)
{
    const struct link *next = after ? after->all.next : outbox->all.next;
    return next == &outbox->all ? NULL : LINK_OWNER(next, struct outbox_peer, all);
}

size_t outbox_held(const struct outbox *outbox, const struct outbox_peer *peer)
{
    return held_by_peer(outbox, peer);
}

/* -- room -------------------------------------------------------------------------------------- */

static size_t less(size_t from, size_t what)
{
    return what < from ? from - what : 0;
}

bool outbox_has_room(const struct outbox *outbox, const struct outbox_peer *peer, size_t size)
{
    size_t held = held_by_peer(outbox, peer);
    if (held == 0 && size <= OUTBOX_FIRST_MAX)
        return true;
    size_t all_left = less(OUTBOX_BYTES_MAX, held_by_all(outbox));
    if (size > all_left)
        return false;
    /* A message larger than a peer's part need not wait until nothing waits for the peer. */
    if (held == 0 || (held <= OUTBOX_FIRST_MAX && size > OUTBOX_FIRST_MAX))
        return true;
    size_t left = less(all_left, held_by_user(outbox, peer->user));
    return held + size <= left / OUTBOX_PEER_PART;
}

/* -- sending ----------------------------------------------------------------------------------- */

static void append(struct outbox_peer *peer, struct outgoing *outgoing)
{
    *peer->end = outgoing;
    peer->end = &outgoing->next;
}

/* Seals the pack and appends it to the queue as a message. SPN_E_NOMEM: the pack stays open. */
static spn_err close_pack(struct outbox *outbox, struct outbox_peer *peer)
{
    if (!peer->pack)
        return SPN_OK;
    settle(outbox);
    struct wire_out out = wire_out(peer->pack->bytes, PACK_HEADS);
    wire_put_header(&out, WIRE_DELIVER, 0);
    wire_put_deliveries(&out, peer->pack_count);
    assert(!out.bad);
    if (peer->pack_room > 2 * peer->pack_size) {
        struct outgoing *fitting = outgoing_resize(peer->pack, peer->pack_size);
        peer->pack = fitting ? fitting : peer->pack;
        peer->pack_room = fitting ? peer->pack_size : peer->pack_room;
    }
    spn_err err = outgoing_seal(peer->pack, peer->pack_size, peer->account);
    if (err != SPN_OK)
        return err;
    append(peer, peer->pack);
    peer->pack_before = peer->pack_size < OUTBOX_PACK_MAX ? peer->pack_size : OUTBOX_PACK_MAX;
    peer->pack = NULL;
    peer->pack_size = peer->pack_room = 0;
    peer->pack_count = 0;
    peer->newest_tag = 0;
    return SPN_OK;
}

/* A message that was sent belongs to ZeroMQ, whose thread may free it at once. */
static spn_err send_first(struct outbox *outbox, struct outbox_peer *peer)
{
    struct outgoing *outgoing = peer->first;
    struct outgoing *next = outgoing->next;
    zmq_msg_t message;
    outgoing_take_message(outgoing, &message);
    spn_err err = outbox->options.send(outbox->options.socket, &peer->peer, &message);
    if (err != SPN_OK) {
        outgoing_put_back(outgoing, &message);
        return err;
    }
    peer->first = next;
    if (!next)
        peer->end = &peer->first;
    return SPN_OK;
}

/* Sends as much of the queue as ZeroMQ has room for, and then, if the queue is empty, the pack. */
static void send_queue(struct outbox *outbox, struct outbox_peer *peer)
{
    spn_err err = SPN_OK;
    while (err == SPN_OK && (peer->first || peer->pack))
        err = peer->first ? send_first(outbox, peer) : close_pack(outbox, peer);
    if (err == SPN_E_UNAVAILABLE) {
        set_gone(outbox, peer);
        return;
    }
    link_leave(&peer->dirty);
    if (err == SPN_OK)
        link_leave(&peer->stuck);
    else
        link_join(&outbox->stuck, &peer->stuck);
}

/* If ZeroMQ had no room, the tick tries again. Until then deliveries go on being packed. */
static void send_unless_stuck(struct outbox *outbox, struct outbox_peer *peer)
{
    if (link_alone(&peer->stuck))
        send_queue(outbox, peer);
}

void outbox_flush(struct outbox *outbox)
{
    settle(outbox);
    while (!link_alone(&outbox->dirty)) {
        struct outbox_peer *peer = LINK_OWNER(outbox->dirty.next, struct outbox_peer, dirty);
        link_leave(&peer->dirty);
        send_unless_stuck(outbox, peer);
    }
}

static spn_err check_room(const struct outbox *outbox, const struct outbox_peer *peer, size_t size)
{
    if (peer->gone)
        return SPN_E_UNAVAILABLE;
    return outbox_has_room(outbox, peer, size) ? SPN_OK : SPN_E_BACKPRESSURE;
}

spn_err outbox_put(struct outbox *outbox, struct outbox_peer *peer, struct outgoing *outgoing,
                   size_t size)
{
    spn_err err = check_room(outbox, peer, size);
    if (err == SPN_OK)
        err = close_pack(outbox, peer);
    if (err == SPN_OK)
        err = outgoing_seal(outgoing, size, peer->account);
    if (err != SPN_OK) {
        outgoing_free(outgoing);
        return err;
    }
    charge(outbox, peer, OUTGOING_COST + size);
    settle(outbox);
    append(peer, outgoing);
    send_unless_stuck(outbox, peer);
    return peer->gone ? SPN_E_UNAVAILABLE : SPN_OK;
}

/* -- packing ----------------------------------------------------------------------------------- */

/* Makes room in the pack for size more bytes. */
static spn_err grow_pack(struct outbox_peer *peer, size_t size)
{
    size_t need = (peer->pack ? peer->pack_size : (size_t)PACK_HEADS) + size;
    if (peer->pack && need <= peer->pack_room)
        return SPN_OK;
    size_t room = peer->pack ? peer->pack_room * 2 : peer->pack_before;
    room = room > PACK_FIRST ? room : PACK_FIRST;
    room = need > room ? need : room;
    struct outgoing *pack = outgoing_resize(peer->pack, room);
    if (!pack)
        return SPN_E_NOMEM;
    peer->pack = pack;
    peer->pack_room = room;
    return SPN_OK;
}

static uint8_t *take_from_pack(struct outbox *outbox, struct outbox_peer *peer, size_t size)
{
    size_t heads = peer->pack_size == 0 ? (size_t)PACK_HEADS : 0;
    charge(outbox, peer, heads > 0 ? OUTGOING_COST + heads + size : size);
    uint8_t *bytes = peer->pack->bytes + peer->pack_size + heads;
    peer->pack_size += heads + size;
    link_join(&outbox->dirty, &peer->dirty);
    return bytes;
}

spn_err outbox_deliver(struct outbox *outbox, struct outbox_peer *peer, uint64_t tag, size_t size,
                       uint8_t **ret_bytes)
{
    spn_err err = check_room(outbox, peer, PACK_HEADS + size);
    if (err == SPN_OK && peer->pack && peer->pack_size + size > OUTBOX_PACK_MAX) {
        err = close_pack(outbox, peer);
        send_unless_stuck(outbox, peer);
        if (peer->gone)
            return SPN_E_UNAVAILABLE;
    }
    if (err == SPN_OK)
        err = grow_pack(peer, size);
    if (err != SPN_OK)
        return err;
    *ret_bytes = take_from_pack(outbox, peer, size);
    peer->pack_count++;
    peer->newest_tag = tag;
    peer->newest_at = (size_t)(*ret_bytes - peer->pack->bytes);
    return SPN_OK;
}

bool outbox_extend(struct outbox *outbox, struct outbox_peer *peer, uint64_t tag, size_t size,
                   uint8_t **ret_head, uint8_t **ret_bytes)
{
    if (!peer->pack || peer->newest_tag != tag || peer->pack_size + size > OUTBOX_PACK_MAX ||
        check_room(outbox, peer, size) != SPN_OK || grow_pack(peer, size) != SPN_OK)
        return false;
    *ret_bytes = take_from_pack(outbox, peer, size);
    *ret_head = peer->pack->bytes + peer->newest_at;
    return true;
}

/* -- time -------------------------------------------------------------------------------------- */

/* The descriptor may have been closed meanwhile and belong to another connection. A copy keeps what
 * it refers to, and its inode shows which connection that is. False: no descriptor is left for a
 * copy. */
static bool shut_down(const struct outbox *outbox, const struct outbox_peer *peer)
{
    int copy = peer->inode != 0 ? fcntl(peer->fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (copy < 0)
        return peer->inode == 0 || errno == EBADF;
    if (inode_of(copy) == peer->inode && shutdown(copy, SHUT_RDWR) == 0) {
        metrics_add(&outbox->options.metrics->stalled_cut, 1);
        if (outbox->options.stalled_uid)
            atomic_store_explicit(outbox->options.stalled_uid, peer->user->uid,
                                  memory_order_relaxed);
    }
    close(copy);
    return true;
}

/* Whether the peer's connection is still there, as far as it is known. ZeroMQ reports a lost
 * connection only to a sender. */
static bool is_connected(const struct outbox_peer *peer)
{
    return peer->fd < 0 || (peer->inode != 0 && inode_of(peer->fd) == peer->inode);
}

static void look_at(struct outbox *outbox, struct outbox_peer *peer, uint64_t now)
{
    size_t held = held_by_peer(outbox, peer);
    size_t taken = atomic_load_explicit(&peer->account->taken, memory_order_relaxed);
    if (held == 0 || taken != peer->taken)
        peer->moved_ns = now;
    peer->taken = taken;
    if ((now - peer->moved_ns > OUTBOX_STALL_MS * MS && shut_down(outbox, peer)) ||
        (held == 0 && !is_connected(peer)))
        set_gone(outbox, peer);
    else if (!peer->subscriber && held == 0 && now - peer->heard_ns > IDLE_MS * MS)
        forget(outbox, peer);
}

static void look(struct outbox *outbox, uint64_t now)
{
    struct link *next;
    outbox->looked_ns = now;
    for (struct link *link = outbox->all.next; link != &outbox->all; link = next) {
        next = link->next;
        look_at(outbox, LINK_OWNER(link, struct outbox_peer, all), now);
    }
}

/* Forgets the peers in this ring that have no subscriber. */
static void forget_ring(struct outbox *outbox, struct link *ring)
{
    struct link *next;
    for (struct link *link = ring->next; link != ring; link = next) {
        struct outbox_peer *peer = LINK_OWNER(link, struct outbox_peer, all);
        next = link->next;
        if (!peer->subscriber)
            forget(outbox, peer);
    }
}

/* Tries each peer that is stuck now once. A peer that stays stuck goes to the end of the ring. */
static void retry(struct outbox *outbox, uint64_t now)
{
    struct link *last = outbox->stuck.previous;
    struct link *link;
    outbox->retried_ns = now;
    do {
        link = outbox->stuck.next;
        struct outbox_peer *peer = LINK_OWNER(link, struct outbox_peer, stuck);
        link_leave(link);
        send_queue(outbox, peer);
    } while (link != last);
}

long outbox_tick(struct outbox *outbox)
{
    uint64_t now = now_ns(outbox);
    if (!link_alone(&outbox->stuck) && now - outbox->retried_ns >= OUTBOX_RETRY_MS * MS)
        retry(outbox, now);
    if (now - outbox->looked_ns >= LOOK_MS * MS)
        look(outbox, now);
    forget_ring(outbox, &outbox->gone);
    if (!link_alone(&outbox->stuck))
        return OUTBOX_RETRY_MS;
    return link_alone(&outbox->all) ? -1 : LOOK_MS;
}

/* -- life -------------------------------------------------------------------------------------- */

spn_err outbox_new(struct outbox **ret_outbox, const struct outbox_options *options)
{
    struct outbox *outbox = calloc(1, sizeof(*outbox));
    if (!outbox)
        return SPN_E_NOMEM;
    outbox->options = *options;
    link_init(&outbox->all);
    link_init(&outbox->dirty);
    link_init(&outbox->stuck);
    link_init(&outbox->gone);
    *ret_outbox = outbox;
    return SPN_OK;
}

void outbox_free(struct outbox *outbox)
{
    if (!outbox)
        return;
    forget_ring(outbox, &outbox->all);
    forget_ring(outbox, &outbox->gone);
    free(outbox);
}
