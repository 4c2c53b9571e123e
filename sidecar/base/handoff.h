/* SPDX-License-Identifier: Apache-2.0 */
/* handoff: passes nodes from one thread to another, in order, with one wake-up per batch.
 *
 * A lock-free stack that the consumer takes whole and turns around. What is handed over belongs to
 * the consumer from then on. Bounding is the producer's: it knows what it gave and what came back.
 *
 * Owns     an eventfd. Nodes live in their owners' structs: pushing never allocates.
 * Threads  any number push, one takes.
 */
#ifndef SPN_HANDOFF_H
#define SPN_HANDOFF_H

#include <stdatomic.h>

#include "spn_err.h"

struct handoff_node {
    struct handoff_node *next;
};

/* Work of several kinds in one queue. */
struct work {
    struct handoff_node node;
    unsigned kind; /* the queue's own list of them */
};

#ifdef SPONSON_SEED_RACE
/* A plain pointer where an atomic belongs: built by one test only, to see that ThreadSanitizer
 * reports a race in this very queue. */
typedef struct handoff_node *handoff_head;
#else
typedef _Atomic(struct handoff_node *) handoff_head;
#endif

struct handoff {
    handoff_head head; /* newest first */
    int event_fd;
};

/* SPN_E_SYSTEM: see errno. */
spn_err handoff_init(struct handoff *handoff) SPN_MUST_USE;
void handoff_release(struct handoff *handoff);

/* Nodes put in order beforehand, to be handed over at once: the consumer sees all or none of them.
 */
struct handoff_chain {
    struct handoff_node *newest; /* NULL: empty */
    struct handoff_node *oldest;
};

void handoff_chain_add(struct handoff_chain *chain, struct handoff_node *node);

/* Both wake the consumer when it may be asleep. */
void handoff_push(struct handoff *handoff, struct handoff_node *node);
void handoff_push_chain(struct handoff *handoff, struct handoff_chain *chain); /* empties it */

/* Everything pushed so far, oldest first; NULL: nothing. Quiets the eventfd first, so that a push
 * after this call wakes again. */
struct handoff_node *handoff_take(struct handoff *handoff);

/* Wakes the consumer without handing anything over. */
void handoff_nudge(struct handoff *handoff);

#endif
