/* SPDX-License-Identifier: Apache-2.0 */
/* transport: two ZeroMQ sockets to one sidecar, and what there is to wait on.
 *
 * ZeroMQ's own descriptors are edge-triggered: after any call that touched a socket they may be
 * silent although messages wait. So there is a descriptor of our own, an epoll over theirs, a timer
 * and an eventfd, and transport_settle, which ends every round of work, makes it tell the truth.
 *
 * To ask a socket costs ZeroMQ several system calls. One that was not touched since it was asked,
 * and whose descriptor is silent, has nothing new to say: transport_look finds that out for all
 * three sockets in one call, and transport_look_again leaves it at those that were touched.
 *
 * A socket takes a message only while its connection stands (ZMQ_IMMEDIATE): nothing piles up for a
 * sidecar that is gone. A connection that broke and came back between two looks is seen too: ZeroMQ
 * says on a third socket, the monitor, when read.sock has shaken hands.
 *
 * Owns     the sockets, three descriptors.
 * Borrows  messages: those sent are ZeroMQ's afterwards.
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
    int events;   /* ZMQ_POLLIN and ZMQ_POLLOUT, as it said last */
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
    bool fresh;        /* read.sock shook hands, and nobody was told yet */
    bool signalled;    /* event_fd is readable */
    uint64_t armed_ns; /* when timer_fd becomes readable */
};

/* The directory to use: socket_dir, or the first of the usual ones that has sockets in it.
 * SPN_E_UNAVAILABLE: none has. SPN_E_SYSTEM: none has, as far as can be seen: one may not be looked
 * into. SPN_E_PATH: a socket's path would be longer than a Unix socket can have. words: what was
 * looked at, for a person, on failure. */
spn_err transport_find(const char *socket_dir, char ret_dir[TRANSPORT_DIR_SIZE], char *words,
                       size_t words_size) SPN_MUST_USE;

/* Why nobody answers there: what a plain connect says. SPN_E_UNAVAILABLE: nobody listens.
 * SPN_E_TIMEOUT: somebody does. SPN_E_PATH: it may not be tried, words says why. */
spn_err transport_probe(const char *dir, char *words, size_t words_size) SPN_MUST_USE;

/* Begins to connect, and goes on trying for as long as it is open. send_hwm: of ingest.sock, in
 * messages; 0: the default. SPN_E_NOMEM, SPN_E_SYSTEM (see errno). */
spn_err transport_open(struct transport *transport, const char *dir, int send_hwm) SPN_MUST_USE;
/* Takes what was only zeroed. What ZeroMQ has taken and not written yet it goes on writing for up
 * to linger_ms; the last client of the process waits for that. */
void transport_close(struct transport *transport, int linger_ms);
/* The same in a child process, where ZeroMQ must not be touched any more. */
void transport_abandon(struct transport *transport);

/* Brings every socket's events up to date; transport_look_again: of those touched since. */
void transport_look(struct transport *transport);
void transport_look_again(struct transport *transport);
/* On SPN_OK the message is gone; on failure it is still the caller's.
 * SPN_E_BACKPRESSURE: not connected, or ZeroMQ's queue is full. */
spn_err transport_send(struct transport_socket *socket, zmq_msg_t *message) SPN_MUST_USE;
/* Into an initialised message. SPN_E_END: nothing is there. */
spn_err transport_receive(struct transport_socket *socket, zmq_msg_t *message) SPN_MUST_USE;
/* Whether read.sock was connected at the last look; *ret_fresh: by another connection than at the
 * last call. A connection counts once ZeroMQ has told of it on both ways, so that it is fresh once.
 */
bool transport_connected(struct transport *transport, bool *ret_fresh);

/* Makes the descriptor readable if ready, or once due_ns has come. */
void transport_settle(struct transport *transport, bool ready, uint64_t due_ns, uint64_t now_ns);
/* Sleeps until a socket may have news or until_ns has come. Only after a look that found none. */
void transport_sleep(struct transport *transport, uint64_t until_ns, uint64_t now_ns);

#endif
