/* SPDX-License-Identifier: Apache-2.0 */
/* replay: spn_replay_*.
 *
 * A replay is a cursor, read slice by slice. While the app reads one slice the next one is already
 * requested, so that reading waits for the sidecar only at the start.
 *
 * Owns     two questions: the one whose answer is the slice that is being read, and the next.
 * Borrows  the client, which outlives it.
 * Lends    bytes of an event: until the next call on the same replay.
 * Threads  those of its client.
 */
#ifndef SPN_CLIENT_REPLAY_H
#define SPN_CLIENT_REPLAY_H

#include "client.h"

struct spn_replay {
    struct spn_client *client;
    spn_question *question; /* for the next slice; NULL: it was not asked for */
    spn_question *slice;    /* its answer is being read */
    struct wire_in items;
    struct spn_event event; /* the one that is lent */
    uint32_t left;          /* items not given yet */
    bool has_cursor;        /* (life, seq): the app gave it, or a slice did */
    bool started;           /* a slice was received */
    bool caught_up;         /* the slice ends at what was durable then */
    struct spn_life life;
    uint64_t seq;      /* where the slice ends */
    uint64_t seq_next; /* of the next item; 0: any */
    uint64_t missing;
    size_t session_size;
    size_t after_size;
    uint8_t session[WIRE_SESSION_MAX];
    uint8_t after[WIRE_ID_MAX];
};

#endif
