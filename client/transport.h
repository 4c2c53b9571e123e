/* SPDX-License-Identifier: Apache-2.0 */
/* transport: up to two ZeroMQ sockets to one sidecar, and a descriptor to wait on.
 *
 * ingest.sock and read.sock may have different rights. So each is opened when it is first used, and
 * a client that only reads or only writes never opens the other one.
 *
 * ZeroMQ's own descriptors are edge-triggered: after any call that touched a socket they may be
 * silent although messages wait. So there is a descriptor of our own: an epoll over ZeroMQ's
 * descriptors, a timer and an eventfd. transport_settle ends every turn and makes that descriptor
 * readable if there is something to do.
 *
 * Reading a socket's events costs ZeroMQ several system calls. The events have not changed if the
 * socket was not touched since they were read and its descriptor is silent. transport_look checks
 * the descriptors of all sockets in one call. transport_look_again considers only the sockets that
 * were touched.
 *
 * A socket takes a message only while it is connected, so nothing piles up for a sidecar that is
 * gone. ZeroMQ reports each handshake and each end of a connection on a further socket, the
 * monitor. So a full socket is not taken for a broken connection, and a connection that broke and
 * came back between two looks is noticed too.
 *
 * Owns     the sockets, three descriptors.
 * Borrows  messages: once sent, they belong to ZeroMQ.
 * Units    nanoseconds of its client's clock.
 * Threads  one.
 */
#ifndef SPN_CLIENT_TRANSPORT_H
#define SPN_CLIENT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

#include "spn_err.h"

#define TRANSPORT_NEVER UINT64_MAX

enum { TRANSPORT_DIR_SIZE = 4096 };

enum transport_name { TRANSPORT_READ, TRANSPORT_INGEST };
enum { TRANSPORT_NAMES = 2 };

/* A socket of ZeroMQ's. */
struct transport_port {
    void *socket; /* NULL: it is not open */
    int fd;
    int events;   /* ZMQ_POLLIN and ZMQ_POLLOUT, as last read */
    bool touched; /* since then */
};

struct transport_socket {
    struct transport_port port;
    struct transport_port monitor;
    bool wanted;    /* it is opened once the directory is known */
    bool connected; /* as of the last transport_is_fresh */
};

struct transport {
    void *context;
    struct transport_socket ingest;
    struct transport_socket read;
    const char *dir; /* where the sockets are; NULL: not known yet */
    int send_hwm;    /* of ingest.sock */
    int epoll_fd;
    int timer_fd;
    int event_fd;
    bool signalled;    /* event_fd is readable */
    uint64_t armed_ns; /* when timer_fd becomes readable */
};

/* The directory to use: socket_dir, else $SPONSON_SOCKET_DIR, else the first of the usual ones that
 * has sockets in it.
 * SPN_E_UNAVAILABLE: none has sockets. SPN_E_SYSTEM: none was found, but a directory may not be
 * searched. SPN_E_PATH: a socket's path would be longer than a Unix socket can have. words: on
 * failure, a text for a person about what was tried. */
spn_err transport_find(const char *socket_dir, char ret_dir[TRANSPORT_DIR_SIZE], char *words,
                       size_t words_size) SPN_MUST_USE;

/* Why there is no answer on this socket: the result of a plain connect. SPN_E_UNAVAILABLE: nobody
 * listens. SPN_E_TIMEOUT: somebody listens. SPN_E_PATH: connecting is not possible; words has the
 * reason. */
spn_err transport_probe(const char *dir, enum transport_name name, char *words,
                        size_t words_size) SPN_MUST_USE;
/* SPN_E_PATH: this process may not use this socket; words has the reason. */
spn_err transport_check(const char *dir, enum transport_name name, char *words,
                        size_t words_size) SPN_MUST_USE;
/* The socket for a first contact: read.sock, unless this process may only use ingest.sock. */
enum transport_name transport_first(const char *dir);

/* Creates the descriptor, and no socket yet. send_hwm: of ingest.sock, in messages; 0: the default.
 * SPN_E_NOMEM, SPN_E_SYSTEM (see errno). */
spn_err transport_open(struct transport *transport, int send_hwm) SPN_MUST_USE;
/* Where the sockets are: opens those that are wanted. dir: borrowed. Once, or again with the same
 * one after a failure. Errors as below. */
spn_err transport_connect(struct transport *transport, const char *dir) SPN_MUST_USE;
/* Opens this socket if it is not open, or once the directory is known. It connects, and keeps
 * trying while it is open. SPN_E_NOMEM, SPN_E_SYSTEM (see errno): it is not open. */
spn_err transport_use(struct transport *transport, enum transport_name name) SPN_MUST_USE;
static inline struct transport_socket *transport_socket(struct transport *transport,
                                                        enum transport_name name)
{
    return name == TRANSPORT_READ ? &transport->read : &transport->ingest;
}
/* Takes a struct that was only zeroed. ZeroMQ has up to linger_ms to write what it has taken and
 * not written yet; the last client of the process waits for that. */
void transport_close(struct transport *transport, int linger_ms);
/* The same in a child process, where ZeroMQ must not be touched any more. */
void transport_abandon(struct transport *transport);

/* Updates the events of every socket; transport_look_again: only of those touched since then. */
void transport_look(struct transport *transport);
void transport_look_again(struct transport *transport);
/* On SPN_OK the message is gone; on failure it is still the caller's.
 * SPN_E_BACKPRESSURE: not connected, or ZeroMQ's queue is full. */
spn_err transport_send(struct transport_socket *socket, zmq_msg_t *message) SPN_MUST_USE;
/* Receives into an initialised message. SPN_E_END: there is none. */
spn_err transport_receive(struct transport_port *port, zmq_msg_t *message) SPN_MUST_USE;
/* Brings socket->connected up to date. Returns whether there was a handshake since the last call:
 * messages that were on their way may be lost. */
bool transport_is_fresh(struct transport_socket *socket);
/* The socket takes a message. */
static inline bool transport_has_room(const struct transport_socket *socket)
{
    return socket->connected && (socket->port.events & ZMQ_POLLOUT) != 0;
}
/* There is something to receive. */
static inline bool transport_has_news(const struct transport_socket *socket)
{
    return ((socket->port.events | socket->monitor.events) & ZMQ_POLLIN) != 0;
}

/* Makes the descriptor readable if ready, or once due_ns has come. */
void transport_settle(struct transport *transport, bool ready, uint64_t due_ns, uint64_t now_ns);
/* Sleeps until a socket may have news or until_ns has come. Only after a look that found no
 * news. */
void transport_sleep(struct transport *transport, uint64_t until_ns, uint64_t now_ns);

#endif
