/* SPDX-License-Identifier: Apache-2.0 */
/* connections: who is connected, and may another connection come in?
 *
 * There is a record for each descriptor on which a connection was accepted. The kernel gives out
 * the lowest free descriptor, so at least as many descriptors are in use as the number of a new
 * one:
 *
 *   0 … three quarters    for everybody
 *   … all but 16          a uid that has more than half of the connections gets no more
 *   the last 16           for uid 0 and the daemon's own uid, so that `sponson health` can connect:
 *                         at accept nobody can tell it from other clients
 *
 * Uid 0 and the daemon's own uid may kill the daemon anyway, so they have no share to keep to.
 *
 * libzmq holds the bytes of messages that have not arrived completely. All these bytes together are
 * limited to held_max. Above it, the connection whose message began first is cut: a message that is
 * being sent is soon complete, one that never ends grows old.
 *
 * Owns     the records.
 * Threads  libzmq's I/O thread; connections_is_known and connections_next: others too.
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
    CONNECTIONS_UIDS_MAX = 1024,  /* that are counted; further uids have no share to keep to */
};

/* X(verdict, words for the log) */
#define CONNECTIONS_DOOR_MAP(X)                                                                    \
    X(OPEN, "open")                                                                                \
    X(FULL, "no descriptors left except those reserved for uid 0 and the daemon's own uid")        \
    X(SHARE, "its uid has more than half of the connections, and few descriptors are left")        \
    X(NOMEM, "out of memory")

enum connections_door {
#define CONNECTIONS_DOOR_ENUM(name, words) CONNECTIONS_##name,
    CONNECTIONS_DOOR_MAP(CONNECTIONS_DOOR_ENUM)
#undef CONNECTIONS_DOOR_ENUM
        CONNECTIONS_DOORS
};

struct connection {
    atomic_bool known; /* the descriptor belongs to a connection */
    bool cut;          /* nothing more is received from it */
    uid_t uid;
    uint64_t messages; /* that it has sent completely */
    uint64_t began;    /* number of the message under way, in the order of beginning; 0: none */
    uint64_t held;     /* bytes of the message under way */
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

/* What the log reports of connections: how many came and went, and of those that were refused or
 * cut the newest of each. */
struct connections_news {
    atomic_uint_fast64_t entered;
    atomic_uint_fast64_t left;
    atomic_uint entered_uid;
    atomic_uint_fast64_t *refused_count; /* the metrics' */
    atomic_uint_fast64_t *cut_count;
    atomic_uint_fast64_t *stalled_count; /* cut because they took nothing (outbox.h) */
    atomic_uint door;
    atomic_uint refused_uid;
    atomic_uint verdict;
    atomic_uint cut_uid;
    atomic_uint stalled_uid;
};

void connections_init(struct connections *connections, unsigned fd_max, uid_t own_uid,
                      uint64_t held_max);
void connections_release(struct connections *connections);

/* May the peer with this uid keep the descriptor on which it was accepted? CONNECTIONS_OPEN: the
 * connection is known from now on. */
enum connections_door connections_enter(struct connections *connections, int fd, uid_t uid);
/* The largest frame that this peer may send. The descriptor must be known. */
void connections_limit(struct connections *connections, int fd, uint64_t frame_max);
bool connections_is_known(const struct connections *connections, int fd);
/* The lowest descriptor above `after` that is known; -1: there is none. Costs a look at each page
 * of records. */
int connections_next(const struct connections *connections, int after);
/* Called before the descriptor is closed. A descriptor that is not known is ignored. */
void connections_leave(struct connections *connections, int fd);

/* The descriptor must be known. */
uid_t connections_uid(const struct connections *connections, int fd);

/* Whether nothing more is received from this peer. Not known: false. */
bool connections_is_cut(const struct connections *connections, int fd);
/* Follows bytes that the peer has sent. Every verdict but ZMTP_GOOD cuts a connection, *ret_cut_fd;
 * with ZMTP_HELD that may be another one. A descriptor that is not known is ignored. */
enum zmtp_verdict connections_heard(struct connections *connections, int fd, const void *bytes,
                                    size_t size, int *ret_cut_fd);

const char *connections_door_words(enum connections_door door);

#endif
