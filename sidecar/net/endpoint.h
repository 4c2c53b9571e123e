/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint: a bound ROUTER socket at a path.
 *
 * Binding steals a path that another process serves, without an error: take the lock first.
 *
 * A path can be taken away while the socket is bound; then nobody finds it any more, and nobody is
 * told. endpoint_is_there looks, and endpoint_bind_again puts it back: connections that there are
 * go on, since what they came in through stays open.
 *
 * Owns     the ZeroMQ socket, which endpoint_close closes.
 * Borrows  the options' strings.
 * Threads  the one that uses the socket; endpoint_is_there others too.
 */
#ifndef SPN_ENDPOINT_H
#define SPN_ENDPOINT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "spn_err.h"

struct endpoint_options {
    const char *dir;
    const char *name;
    mode_t mode;
    gid_t group;     /* (gid_t)-1: as it is */
    int receive_hwm; /* messages per peer */
    int send_hwm;
    int64_t frame_max; /* bytes; a peer that sends a larger one is disconnected */
};

struct endpoint {
    struct endpoint_options options;
    void *socket;          /* NULL: not open */
    _Atomic(ino_t) inode;  /* of the path, when it was bound; it is not given again meanwhile */
    unsigned bound;        /* times */
    atomic_bool is_wanted; /* whoever looks found that it is gone: for the socket's own thread */
    _Atomic(const char *) obstacle; /* words: why it could not be bound again; NULL: it could */
};

/* Longest path that fits struct sockaddr_un, without its NUL. */
size_t endpoint_path_max(void);

/* SPN_E_PATH: too long, or there is something there that is no socket. SPN_E_SYSTEM: see errno. On
 * failure there is nothing to close. */
spn_err endpoint_open(struct endpoint *endpoint, void *context,
                      const struct endpoint_options *options) SPN_MUST_USE;
void endpoint_close(struct endpoint *endpoint); /* not open: does nothing */

/* The path leads to this socket. */
bool endpoint_is_there(const struct endpoint *endpoint);
/* Errors as endpoint_open; the socket stays, and it may be tried again. Sets obstacle. */
spn_err endpoint_bind_again(struct endpoint *endpoint) SPN_MUST_USE;
/* Binds again where somebody found that it is gone; where that fails, it is looked for again. */
void endpoint_bind_wanted(struct endpoint *endpoint);

#endif
