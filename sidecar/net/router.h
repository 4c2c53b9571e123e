/* SPDX-License-Identifier: Apache-2.0 */
/* router: messages of one frame, from and to the peers of a ROUTER socket.
 *
 * ZeroMQ's descriptor is edge-triggered, and each call on the socket may use up the edge. `due`
 * means that there may be a message although the descriptor is silent.
 *
 * Borrows  the socket, which has ROUTER_MANDATORY set.
 * Errors   SPN_E_BACKPRESSURE: ZeroMQ has no room for a message to this peer now.
 *          SPN_E_UNAVAILABLE: the peer is gone, or it is nobody.
 * Threads  the socket's.
 */
#ifndef SPN_ROUTER_H
#define SPN_ROUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <zmq.h>

#include "base/peer.h"
#include "spn_err.h"

struct router {
    void *socket;
    int fd; /* ZeroMQ's */
    bool due;
    bool sent; /* a message, since a peer was last found full: others may have taken some since */
};

/* SPN_E_SYSTEM. */
spn_err router_init(struct router *router, void *socket) SPN_MUST_USE;

/* Sending the address shows whether there is room for a message before it is made. After SPN_OK the
 * body must follow; there is room for it. */
spn_err router_send_address(struct router *router, const struct peer *peer) SPN_MUST_USE;
spn_err router_send_body(struct router *router, const void *bytes, size_t size) SPN_MUST_USE;
/* Sends both. */
spn_err router_send(struct router *router, const struct peer *peer, const void *bytes,
                    size_t size) SPN_MUST_USE;
/* Takes the message over only on success. */
spn_err router_send_message(struct router *router, const struct peer *peer,
                            zmq_msg_t *message) SPN_MUST_USE;

/* False: there is no message, or it is not known yet (then `due` stays set). *ret_frame: the last
 * of the message's *ret_frames frames; the caller closes it. */
bool router_receive(struct router *router, struct peer *ret_peer, zmq_msg_t *ret_frame,
                    size_t *ret_frames);

/* Checks the socket itself when the descriptor may be silent. */
bool router_has_message(struct router *router);

#endif
