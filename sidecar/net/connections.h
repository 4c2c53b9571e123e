/* SPDX-License-Identifier: Apache-2.0 */
/* connections: who is connected, and may another one come in?
 *
 * A record for each descriptor that a connection was accepted on. The kernel gives out the lowest
 * free descriptor, so the number of a new one says how many are in use at least:
 *
 *   0 … three quarters    everybody's
 *   … all but 16          a uid that has more than half of the connections gets no more
 *   the last 16           of uid 0 and of the daemon's own: so `sponson health` finds a way in,
 *                         which at the door nobody can tell from other clients
 *
 * Uid 0 and the daemon's own may kill it, and have no share to keep to.
 *
 * Of messages that have not arrived to their end libzmq holds what is there; all of them together
 * are held to connections_held_max, and beyond it the connection goes whose message began first:
 * one that is being sent is soon over, one that never ends gets old.
 *
 * Owns     the records.
 * Threads  libzmq's I/O thread; connections_is_known others too.
 */
#ifndef SPN_CONNECTIONS_H
#define SPN_CONNECTIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "net/zmtp.h"

enum {
    CONNECTIONS_KEPT = 16,        /* descriptors for uid 0 and the daemon's own */
    CONNECTIONS_FD_MAX = 1 << 20, /* higher ones are not used */
    CONNECTIONS_PER_PAGE = 64,    /* records that are allocated together */
    CONNECTIONS_UIDS_MAX = 1024,  /* that are counted; further ones have no share to keep to */
};

/* X(verdict, words for the log) */
#define CONNECTIONS_DOOR_MAP(X)                                                                    \
    X(OPEN, "open")                                                                                \
    X(FULL, "no descriptors left but those that are kept for uid 0 and the daemon's own")          \
    X(SHARE, "its uid has more than half of the connections, and few descriptors are left")        \
    X(NOMEM, "out of memory")

enum connections_door {
#define CONNECTIONS_DOOR_ENUM(name, words) CONNECTIONS_##name,
    CONNECTIONS_DOOR_MAP(CONNECTIONS_DOOR_ENUM)
#undef CONNECTIONS_DOOR_ENUM
        CONNECTIONS_DOORS
};

struct connection {
    atomic_bool known; /* the descriptor is a connection's */
    bool cut;          /* it hears nothing more */
    uid_t uid;
    uint64_t messages; /* that it has sent */
    uint64_t began;    /* the one that is on its way, in order of their beginnings; 0: none */
    uint64_t held;     /* bytes of it */
    struct zmtp zmtp;
};

struct connections_of_uid {
    uid_t uid;
    unsigned count;
};

struct connections {
    unsigned fd_max; /* descriptors that the process may have */
    uid_t own_uid;
    uint64_t held_max;
    _Atomic(struct connection *) pages[CONNECTIONS_FD_MAX / CONNECTIONS_PER_PAGE];
    unsigned count;
    struct connections_of_uid uids[CONNECTIONS_UIDS_MAX];
    unsigned uid_count;
    uint64_t held; /* bytes, of all */
    uint64_t messages_begun;
};

/* What the log says of those that were turned away or cut: the newest of each. */
struct connections_news {
    atomic_uint_fast64_t *refused_count; /* the metrics' */
    atomic_uint_fast64_t *cut_count;
    atomic_uint_fast64_t *stalled_count; /* were cut because they took nothing (outbox.h) */
    atomic_uint door;
    atomic_uint refused_uid;
    atomic_uint verdict;
    atomic_uint cut_uid;
    atomic_uint stalled_uid;
};

void connections_init(struct connections *connections, unsigned fd_max, uid_t own_uid,
                      uint64_t held_max);
void connections_release(struct connections *connections);

/* May the peer of this uid have this descriptor, which it was accepted on? CONNECTIONS_OPEN: it is
 * known from now on. */
enum connections_door connections_enter(struct connections *connections, int fd, uid_t uid);
bool connections_is_known(const struct connections *connections, int fd);
/* The descriptor is about to be closed; one that is not known is passed over. */
void connections_leave(struct connections *connections, int fd);

/* Of one that is known. */
uid_t connections_uid(const struct connections *connections, int fd);

/* Nothing that this peer sends is heard any more. Not known: false. */
bool connections_is_cut(const struct connections *connections, int fd);
/* It has sent this. What is not ZMTP_GOOD cuts a connection: *ret_cut_fd, which is another one when
 * the verdict is ZMTP_HELD. A descriptor that is not known is passed over. */
enum zmtp_verdict connections_heard(struct connections *connections, int fd, const void *bytes,
                                    size_t size, int *ret_cut_fd);

const char *connections_door_words(enum connections_door door);

#endif
