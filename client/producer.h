/* SPDX-License-Identifier: Apache-2.0 */
/* producer: spn_producer_* and spn_publish.
 *
 * It sends the batches that delivery cuts, passes the answers to delivery, and watches the clock
 * for it. It is a part of its client's turn.
 *
 * A turn costs a few system calls. So spn_publish takes a turn only when something is to be sent,
 * or the last look at the sockets is PRODUCER_LOOK_NS old. A fast stream looks once a batch, a slow
 * one at each event, and an acknowledgement is never received much later than possible.
 *
 * Owns     its delivery, its call, its pending entries (only with latest_only).
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
/* An idle producer sends a STATE this often, since the sidecar forgets silent producers. */
#define PRODUCER_BEAT_NS UINT64_C(10000000000)

/* After an error to the first OPEN that will pass. */
#define PRODUCER_OPEN_PAUSE_NS UINT64_C(100000000)
/* After a batch that found no memory. */
#define PRODUCER_SHORT_PAUSE_NS UINT64_C(100000000)

enum { PRODUCER_PREFIX_SIZE = 23 }; /* 22 characters of base64url and a hyphen */

struct spn_producer {
    struct client_part part; /* first: a part is its producer */
    struct spn_client *client;
    struct delivery delivery;
    struct pending pending;
    struct spn_producer_options options; /* without the id */
    bool settled;                        /* open, or failed before that */
    bool open;                           /* its number and its token are known */
    struct call call;
    enum delivery_need asked; /* what the call requests */
    bool blocked;             /* ingest.sock took nothing at the last try */
    uint64_t short_ns;        /* a batch found no memory: when to try again; 0: none did */
    uint64_t heard_ns;        /* last progress, or when events began to be in flight */
    uint64_t beat_ns;         /* when to send a STATE, if nothing else is to be sent until then */
    size_t data_max;          /* its window has room for an event as large as that; 0: not open */
    uint64_t committed;       /* the committed number when it was opened */
    bool kept;                /* the id is the app's own */
    struct spn_ack ack;       /* what spn_producer_next_ack and spn_producer_wait lend */
    struct spn_counters counters; /* what spn_producer_counters lends */
    uint64_t gone_told;
    uint8_t id[WIRE_PRODUCER_ID_SIZE];
    char prefix[PRODUCER_PREFIX_SIZE];

    /* The session id that was checked last: streams repeat it. */
    uint8_t session[WIRE_SESSION_MAX];
    size_t session_size;
};

#endif
