/* SPDX-License-Identifier: Apache-2.0 */
/* peer: the sender of a message, and the receiver of the answer.
 */
#ifndef SPN_PEER_H
#define SPN_PEER_H

#include <stdint.h>

enum { PEER_MAX = 255 };

/* A routing id: made up by ZeroMQ, or chosen by the peer. */
struct peer {
    uint8_t size; /* 0: nobody */
    uint8_t bytes[PEER_MAX];
};

#endif
