/* SPDX-License-Identifier: Apache-2.0 */
/* client_part: what takes part in a client's turn: all questions, all subscriptions, each producer.
 *
 * Owns     nothing: a part lives in its owner's struct.
 * Threads  those of its client.
 */
#ifndef SPN_CLIENT_CLIENT_PART_H
#define SPN_CLIENT_CLIENT_PART_H

#include <zmq.h>

#include "transport.h"
#include "wire.h"

struct client_part;

struct client_part_ops {
    /* A message of this socket that no call waited for; true: it was for this part alone, which may
     * have moved the message. NULL: the part gets no such messages. */
    bool (*take)(struct client_part *part, enum transport_name name, zmq_msg_t *message);
    void (*turn)(struct client_part *part, uint64_t now_ns);
    /* The connection broke and came back: messages that were on their way may be lost. NULL: it
     * has none. */
    void (*reconnected)(struct client_part *part, enum transport_name name);
    uint64_t (*due_ns)(const struct client_part *part);
    /* The socket took nothing. NULL: never. */
    bool (*blocked)(const struct client_part *part, enum transport_name name);
    spn_err (*failed)(const struct client_part *part); /* a lasting failure, or SPN_OK */
};

struct client_part {
    struct client_part *next;
    const struct client_part_ops *ops;
};

#endif
