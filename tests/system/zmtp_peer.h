/* SPDX-License-Identifier: Apache-2.0 */
/* zmtp_peer: ZeroMQ's protocol (ZMTP 3.1) by hand, for peers that do not keep to it.
 *
 * A peer is a Unix socket and nothing else: what is sent is what the caller put together, and what
 * comes is thrown away or counted.
 *
 * Owns     nothing: descriptors are the caller's to close.
 * Errors   false or -1: the connection is gone, or there was no room for it in time.
 * Threads  any.
 */
#ifndef SPN_ZMTP_PEER_H
#define SPN_ZMTP_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "spn_err.h"

enum { ZMTP_MORE = 1, ZMTP_LONG = 2, ZMTP_COMMAND = 4 };

enum { ZMTP_GREETING_SIZE = 64, ZMTP_HEAD_MAX = 9 };

/* To the socket of this name in $SPONSON_SOCKET_DIR; nonblocking. -1: nobody takes it now. */
int zmtp_connect(const char *name);

extern const uint8_t zmtp_greeting[ZMTP_GREETING_SIZE];
/* The greeting, and READY as a DEALER of this identity; empty: none. */
bool zmtp_greet(int fd, struct spn_bytes identity);
/* ... and waits for the other half. Whoever sends a message before that is cut by libzmq, now and
 * then: it takes it for a part of the handshake. */
bool zmtp_shake_hands(int fd);

/* Writes the head of a frame that says this size, whatever comes after it; returns its length. */
size_t zmtp_put_head(uint8_t head[ZMTP_HEAD_MAX], uint8_t flags, uint64_t size);
bool zmtp_send_frame(int fd, uint8_t flags, const void *bytes, size_t size);
/* All of it, waiting a while for room. */
bool zmtp_send(int fd, const void *bytes, size_t size);
bool zmtp_has_room(int fd);

/* Takes what is there, at most `most` bytes. 0: nothing. -1: it was cut. */
ssize_t zmtp_drain(int fd, size_t most);

#endif
