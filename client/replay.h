/* SPDX-License-Identifier: Apache-2.0 */
/* replay: spn_replay_* and spn_last_event.
 *
 * A replay is a cursor, read slice by slice. While the app reads one slice the next one is already
 * requested, so that reading waits for the sidecar only at the start.
 *
 * Owns     the slice that is being read, and through its call the next one.
 * Borrows  the client, which outlives it.
 * Lends    bytes of an event: until the next call on the same replay.
 * Threads  those of its client.
 */
#ifndef SPN_CLIENT_REPLAY_H
#define SPN_CLIENT_REPLAY_H

#include "client.h"

struct spn_replay {
    struct spn_client *client;
    struct call call;
    zmq_msg_t slice;
    struct wire_in items;
    uint32_t left;  /* items not given yet */
    bool started;   /* a slice was received: the cursor is (epoch, seq) */
    bool caught_up; /* the slice ends at what was durable then */
    uint64_t epoch;
    uint64_t seq;      /* where the slice ends */
    uint64_t seq_next; /* of the next item; 0: any */
    uint64_t missing;
    size_t session_size;
    size_t after_size;
    uint8_t session[WIRE_SESSION_MAX];
    uint8_t after[WIRE_ID_MAX];
};

#endif
