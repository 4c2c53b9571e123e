/* SPDX-License-Identifier: Apache-2.0 */
/* peer_guard: see peer_guard.c. Linked into the executable only. */
#ifndef SPN_PEER_GUARD_H
#define SPN_PEER_GUARD_H

#include "net/connections.h"

/* Opens the spare descriptor, and raises the limit of descriptors as far as this process may. Call
 * it before any socket is bound. news: is kept up to date; stays the caller's. */
void peer_guard_init(struct connections_news *news);

/* The records of the connections. */
const struct connections *peer_guard_connections(void);

/* Connections to the socket of this name, a constant string, may send frames up to this size. Call
 * it before that is bound; for two sockets at most. */
void peer_guard_limit(const char *name, uint64_t frame_max);

#endif
