/* SPDX-License-Identifier: Apache-2.0 */
/* neighbours: a modest producer and readers, and how long they wait.
 *
 * In each turn an event is published and acknowledged, and comes out of a subscription; now and
 * then a shelf of older events is replayed, and somebody new comes and takes a producer. The waits
 * are kept by kind, as long as one looks.
 *
 * Owns     its clients.
 * Errors   whoever does not get what is due fails the test, with the name of the place.
 * Threads  one.
 */
#ifndef SPN_NEIGHBOURS_H
#define SPN_NEIGHBOURS_H

#include "sponson.h"

enum neighbours_kind {
    NEIGHBOURS_PUBLISH, /* up to its acknowledgement */
    NEIGHBOURS_DELIVER, /* ... up to its delivery */
    NEIGHBOURS_REPLAY,  /* of the shelf */
    NEIGHBOURS_VISIT,   /* a new client, and a producer of it */
    NEIGHBOURS_KINDS,
};

enum { NEIGHBOURS_WAITS_MAX = 4096 };

struct neighbours {
    const char *place; /* what happens beside them; for messages */
    spn_client *client;
    spn_producer *producer;
    spn_subscription *subscription;
    uint64_t published;
    uint64_t turns;
    size_t counts[NEIGHBOURS_KINDS];
    uint64_t waits_ns[NEIGHBOURS_KINDS][NEIGHBOURS_WAITS_MAX];
};

extern const char *const neighbours_names[NEIGHBOURS_KINDS];

void neighbours_open(struct neighbours *neighbours, const char *place);
/* All that was published is there, once and in order. */
void neighbours_close(struct neighbours *neighbours);

/* Forgets the waits so far. */
void neighbours_look(struct neighbours *neighbours);
void neighbours_turn(struct neighbours *neighbours);
/* The 99th percentile; 0: none so far. */
uint64_t neighbours_p99_ns(struct neighbours *neighbours, enum neighbours_kind kind);

#endif
