/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint: a bound ROUTER socket at a path.
 *
 * Binding takes over a path that another process serves, without an error: take the lock first.
 *
 * The path can be removed while the socket is bound. Then no client finds it any more, and nobody
 * is notified. endpoint_is_there checks the path, and endpoint_bind_again creates it again.
 * Existing connections go on, since the listener through which they came in stays open.
 *
 * A socket that was handed over (base/handed_over.h) was bound by whoever holds it, who set its
 * rights and will delete its path. None of that is done here. Once its path is gone, the endpoint
 * is bound like any other.
 *
 * Owns     the ZeroMQ socket, which endpoint_close closes.
 * Borrows  the options' strings, and handed_fd.
 * Threads  the one that uses the socket; endpoint_is_there: others too.
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
    gid_t group;     /* (gid_t)-1: unchanged */
    int receive_hwm; /* messages per peer */
    int send_hwm;
    int64_t frame_max; /* bytes; a peer that sends a larger one is disconnected */
    int handed_fd;     /* a listening socket that is bound to the path already; 0: none */
};

struct endpoint {
    struct endpoint_options options;
    void *socket;          /* NULL: not open */
    _Atomic(ino_t) inode;  /* of the path when it was bound; not reused meanwhile */
    unsigned bound;        /* how often */
    atomic_bool is_wanted; /* the path was found gone; the socket's own thread binds again */
    _Atomic(const char *) obstacle; /* why binding again failed, in words; NULL: it did not fail */
};

/* Longest path that fits struct sockaddr_un, without its NUL. */
size_t endpoint_path_max(void);

/* SPN_E_PATH: the path is too long, or something that is not a socket is there. SPN_E_SYSTEM: see
 * errno. After a failure there is nothing to close. */
spn_err endpoint_open(struct endpoint *endpoint, void *context,
                      const struct endpoint_options *options) SPN_MUST_USE;
void endpoint_close(struct endpoint *endpoint); /* not open: does nothing */

/* Whether the path leads to this socket. */
bool endpoint_is_there(const struct endpoint *endpoint);
/* Errors as in endpoint_open. After a failure the socket stays open, and the call may be repeated.
 * Sets obstacle. */
spn_err endpoint_bind_again(struct endpoint *endpoint) SPN_MUST_USE;
/* Binds again if a check found the path gone. If that fails, the next check finds it gone again. */
void endpoint_bind_wanted(struct endpoint *endpoint);

#endif
