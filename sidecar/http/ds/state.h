/* SPDX-License-Identifier: Apache-2.0 */
/* ds_state: what the gateway has read of Durable Streams, and who waits to change them.
 *
 * All of it is in the streams' events too, and is read from there again: nothing is lost with the
 * gateway, and what is here may be dropped at any time. Requests that change a stream take turns,
 * since each is decided by what the one before it left.
 *
 * Owns     the states. Each stays while somebody is in its turn; of the others, the newest ones
 * that fit into DS_STATES_MAX and DS_STATES_BYTES_MAX stay. Threads  belongs to one thread.
 */
#ifndef SPN_HTTP_DS_STATE_H
#define SPN_HTTP_DS_STATE_H

#include "http/ds/producers.h"
#include "sponson.h"

enum { DS_STATES_MAX = 1024, DS_STATES_BYTES_MAX = 32 * 1024 * 1024 };

struct ds_states {
    void *tree;       /* of tsearch, by session */
    struct link idle; /* nobody is in their turn; the one that was used last is at the end */
    size_t count;     /* of the idle ones */
    size_t bytes;
};

struct ds_state {
    struct spn_bytes session; /* first: what is looked for is one without the rest */
    struct link idle;
    struct link turns; /* of those who wait; the first has its turn */
    bool is_calling;
    size_t bytes;         /* as they are counted while it is idle */
    struct spn_life life; /* that it was read of */
    uint64_t seq;         /* of the event up to which it was read */
    struct ds_producers producers;
    struct spn_bytes last_seq;  /* the newest Stream-Seq; size 0: none */
    struct spn_bytes closer_id; /* of the producer that closed the stream; size 0: none */
    struct ds_progress closer;
    char seq_bytes[DS_SEQ_MAX];
    char closer_bytes[DS_PRODUCER_ID_MAX];
    char name[];
};

/* Somebody who waits for a turn. */
struct ds_turn {
    struct link link;
    struct ds_state *state; /* NULL: it does not wait */
    void (*begin)(struct ds_turn *turn);
};

void ds_states_init(struct ds_states *states);
void ds_states_release(struct ds_states *states); /* nobody waits any more */

/* turn->begin is called when all before it have left; that may be in this call. False: no memory.
 */
bool ds_turn_join(struct ds_states *states, struct ds_turn *turn, struct spn_bytes session);
/* The next one begins. A turn that does not wait may leave. */
void ds_turn_leave(struct ds_states *states, struct ds_turn *turn);

/* Forgets what was read of another life. */
void ds_state_set_life(struct ds_state *state, const struct spn_life *life);
void ds_state_forget(struct ds_state *state);

/* Notes the next event of the stream after state->seq. False: no memory; the state is forgotten. */
bool ds_state_note(struct ds_state *state, const struct spn_event *event);

#endif
