/* SPDX-License-Identifier: Apache-2.0 */
/* welcome: the answer to HELLO, which both sockets give.
 *
 * Borrows  what it is filled with.
 * Threads  pure, but for the durable position.
 */
#ifndef SPN_WELCOME_H
#define SPN_WELCOME_H

#include "mail/commit_state.h"
#include "wire.h"

enum { WELCOME_SIZE_MAX = WIRE_HEADER_SIZE + 128 + 256 };

struct welcome {
    uint64_t instance;
    size_t data_max;
    int64_t frame_max; /* of the socket that answers */
    uint32_t window_max;
    const uint8_t *database;
    const struct commit_state *commits;
};

/* Writes the whole message. */
void welcome_put(struct wire_out *out, uint64_t request, const struct welcome *welcome);

#endif
