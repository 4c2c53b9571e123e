/* SPDX-License-Identifier: Apache-2.0 */
/* peer_guard: see peer_guard.c. Linked into the executable only. */
#ifndef SPN_PEER_GUARD_H
#define SPN_PEER_GUARD_H

#include "net/connections.h"

/* Takes the spare descriptor, and as many others as this process may have. Before any socket is
 * bound. news: is kept up to date; stays the caller's. */
void peer_guard_init(struct connections_news *news);

#endif
