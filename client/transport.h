/* SPDX-License-Identifier: Apache-2.0 */
/* transport: two ZeroMQ sockets to one sidecar, and a descriptor to wait on.
 *
 * ZeroMQ's own descriptors are edge-triggered: after any call that touched a socket they may be
 * silent although messages wait. So there is a descriptor of our own: an epoll over ZeroMQ's
 * descriptors, a timer and an eventfd. transport_settle ends every turn and makes that descriptor
 * readable if there is something to do.
 *
 * Reading a socket's events costs ZeroMQ several system calls. The events have not changed if the
 * socket was not touched since they were read and its descriptor is silent. transport_look checks
 * the descriptors of all three sockets in one call. transport_look_again considers only the sockets
 * that were touched.
 *
 * A socket takes a message only while it is connected (ZMQ_IMMEDIATE), so nothing piles up for a
 * sidecar that is gone. A connection that broke and came back between two looks is noticed too:
 * ZeroMQ reports each handshake of read.sock on a third socket, the monitor.
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

struct transport_socket {
    void *socket;
    int fd;
    int events;   /* ZMQ_POLLIN and ZMQ_POLLOUT, as last read */
    bool touched; /* since then */
};

struct transport {
    void *context;
    struct transport_socket ingest;
    struct transport_socket read;
    struct transport_socket monitor; /* of read */
    int epoll_fd;
    int timer_fd;
    int event_fd;
    bool fresh;        /* read.sock shook hands; transport_connected has not returned that yet */
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

/* Why there is no answer: the result of a plain connect. SPN_E_UNAVAILABLE: nobody listens.
 * SPN_E_TIMEOUT: somebody listens. SPN_E_PATH: connecting is not possible; words has the
 * reason. */
spn_err transport_probe(const char *dir, char *words, size_t words_size) SPN_MUST_USE;

/* Creates the sockets and the descriptor. send_hwm: of ingest.sock, in messages; 0: the default.
 * SPN_E_NOMEM, SPN_E_SYSTEM (see errno). */
spn_err transport_open(struct transport *transport, int send_hwm) SPN_MUST_USE;
/* Starts to connect, and keeps trying while the transport is open. Once only. SPN_E_SYSTEM. */
spn_err transport_connect(struct transport *transport, const char *dir) SPN_MUST_USE;
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
spn_err transport_receive(struct transport_socket *socket, zmq_msg_t *message) SPN_MUST_USE;
/* Whether read.sock was connected at the last look; *ret_fresh: by another connection than at the
 * last call. A connection is fresh when both read.sock and the monitor show it, so that it is fresh
 * exactly once.
 */
bool transport_connected(struct transport *transport, bool *ret_fresh);

/* Makes the descriptor readable if ready, or once due_ns has come. */
void transport_settle(struct transport *transport, bool ready, uint64_t due_ns, uint64_t now_ns);
/* Sleeps until a socket may have news or until_ns has come. Only after a look that found no
 * news. */
void transport_sleep(struct transport *transport, uint64_t until_ns, uint64_t now_ns);

#endif
