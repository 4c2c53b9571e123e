/* SPDX-License-Identifier: Apache-2.0 */
/* producer: spn_producer_* and spn_publish.
 *
 * Moves what delivery decides: batches out, answers in, and watches the clock for it. It is a part
 * of its client's turn.
 *
 * A turn costs a few system calls, so spn_publish takes one only when something is to be sent, or
 * the last look at the sockets is PRODUCER_LOOK_NS old: a full stream looks once a batch, a slow
 * one at each event, and an acknowledgement is never picked up much later than it could be.
 *
 * Owns     its delivery, its call, what is pending (only with latest_only).
 * Borrows  the client, which outlives it.
 * Threads  those of its client.
 */
#ifndef SPN_CLIENT_PRODUCER_H
#define SPN_CLIENT_PRODUCER_H

#include "client.h"
#include "delivery.h"
#include "pending.h"

#define PRODUCER_LOOK_NS UINT64_C(50000)
#define PRODUCER_SILENCE_NS UINT64_C(1000000000)
/* So often the sidecar, which forgets producers that it does not hear of, hears of an idle one. */
#define PRODUCER_BEAT_NS UINT64_C(10000000000)

enum { PRODUCER_PREFIX_SIZE = 23 }; /* 22 characters of base64url and a hyphen */

struct spn_producer {
    struct client_part part; /* first: a part is its producer */
    struct spn_client *client;
    struct delivery delivery;
    struct pending pending;
    bool latest_only;
    struct call call;
    enum delivery_need asked; /* what the call is about */
    bool blocked;             /* ingest.sock took nothing at the last try */
    uint64_t heard_ns;        /* last progress, or when there began to be something in flight */
    uint64_t beat_ns;         /* when to be heard of, if there is nothing to send until then */
    uint64_t committed;       /* when it was opened */
    int send_timeout_ms;
    bool kept; /* the id is the app's own */
    uint64_t gone_told;
    uint8_t id[WIRE_PRODUCER_ID_SIZE];
    char prefix[PRODUCER_PREFIX_SIZE];

    /* The session id that was checked last: streams repeat it. */
    uint8_t session[WIRE_SESSION_MAX];
    size_t session_size;
};

#endif
