/* SPDX-License-Identifier: Apache-2.0 */
#include "net/router.h"

#include <errno.h>

spn_err router_init(struct router *router, void *socket)
{
    size_t size = sizeof(router->fd);
    *router = (struct router){.socket = socket, .due = true};
    return zmq_getsockopt(socket, ZMQ_FD, &router->fd, &size) == 0 ? SPN_OK : SPN_E_SYSTEM;
}

/* ZeroMQ's I/O thread reports what a peer has taken, and a send reads these reports once in a
 * millisecond only. So a peer that takes everything and answers at once seems to be full (one
 * answer in some thousands was lost). Asking for the socket's events reads them. It searches
 * for a peer with room, so its cost grows with the number of full peers. */
static void read_reports(struct router *router)
{
    int events;
    size_t size = sizeof(events);
    router->sent = false;
    (void)zmq_getsockopt(router->socket, ZMQ_EVENTS, &events, &size);
}

static spn_err send_identity(struct router *router, const struct peer *peer)
{
    if (zmq_send(router->socket, peer->bytes, peer->size, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0) {
        router->sent = true;
        return SPN_OK;
    }
    return errno == EAGAIN ? SPN_E_BACKPRESSURE : SPN_E_UNAVAILABLE;
}

spn_err router_send_address(struct router *router, const struct peer *peer)
{
    if (peer->size == 0)
        return SPN_E_UNAVAILABLE;
    router->due = true;
    spn_err err = send_identity(router, peer);
    if (err != SPN_E_BACKPRESSURE || !router->sent)
        return err;
    read_reports(router);
    return send_identity(router, peer);
}

spn_err router_send_body(struct router *router, const void *bytes, size_t size)
{
    return zmq_send(router->socket, bytes, size, ZMQ_DONTWAIT) < 0 ? SPN_E_UNAVAILABLE : SPN_OK;
}

spn_err router_send(struct router *router, const struct peer *peer, const void *bytes, size_t size)
{
    spn_err err = router_send_address(router, peer);
    return err == SPN_OK ? router_send_body(router, bytes, size) : err;
}

spn_err router_send_message(struct router *router, const struct peer *peer, zmq_msg_t *message)
{
    spn_err err = router_send_address(router, peer);
    if (err == SPN_OK && zmq_msg_send(message, router->socket, ZMQ_DONTWAIT) < 0)
        err = SPN_E_UNAVAILABLE;
    return err;
}

static bool has_more(const struct router *router)
{
    int more = 0;
    size_t size = sizeof(more);
    zmq_getsockopt(router->socket, ZMQ_RCVMORE, &more, &size);
    return more != 0;
}

bool router_receive(struct router *router, struct peer *ret_peer, zmq_msg_t *ret_frame,
                    size_t *ret_frames)
{
    int size = zmq_recv(router->socket, ret_peer->bytes, sizeof(ret_peer->bytes), ZMQ_DONTWAIT);
    router->due = size >= 0 || errno == EINTR;
    if (size < 0)
        return false;
    ret_peer->size = (uint8_t)(size <= PEER_MAX ? size : 0);
    *ret_frames = 0;
    zmq_msg_init(ret_frame);
    for (bool more = has_more(router); more; more = zmq_msg_more(ret_frame) != 0) {
        if (zmq_msg_recv(ret_frame, router->socket, 0) < 0)
            break;
        (*ret_frames)++;
    }
    return true;
}

bool router_has_message(struct router *router)
{
    int events = 0;
    size_t size = sizeof(events);
    if (router->due && zmq_getsockopt(router->socket, ZMQ_EVENTS, &events, &size) == 0)
        router->due = (events & ZMQ_POLLIN) != 0;
    return router->due;
}
