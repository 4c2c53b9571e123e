/* SPDX-License-Identifier: Apache-2.0 */
/* freezing: generations, from the first entry until they are in the index, and the trackers that
 * they keep in memory.
 *
 * Owns     the frozen generation, while the worker has it.
 * Borrows  the broker's options and state, its chain for the worker.
 * Threads  the broker's.
 */
#ifndef SPN_FREEZING_H
#define SPN_FREEZING_H

#include "ingest/broker.h"

struct freezing {
    const struct broker_options *options;
    struct broker_state *state;
    struct message_chain *handed_over;
    struct generation *frozen; /* at the worker; NULL: none */
    uint64_t due_ns;           /* when the active one is due; 0: it has nothing yet */
    bool keeps_wanted;         /* while sessions are evicted */
};

/* Hands to the worker what recovery had no room to write. */
void freezing_init(struct freezing *freezing, const struct broker_options *options,
                   struct broker_state *state, struct message_chain *handed_over);

/* Room for the largest batch in the active generation, or in the next one. */
bool freezing_has_room(struct freezing *freezing);
/* The active generation got something, or may have. */
void freezing_note(struct freezing *freezing);
/* The active generation is to be frozen as soon as possible. */
void freezing_hurry(struct freezing *freezing);
bool freezing_is_touched(const struct freezing *freezing);

/* Hands the active generation to the worker. False: the one before is not written yet, or there is
 * no memory for the next one. */
bool freezing_freeze(struct freezing *freezing);
void freezing_freeze_if_due(struct freezing *freezing);
uint64_t freezing_due_ns(const struct freezing *freezing); /* UINT64_MAX: never */
/* The worker has written the frozen generation. */
void freezing_written(struct freezing *freezing);

/* Some trackers in memory could be evicted. */
bool freezing_has_idle(const struct freezing *freezing);
/* Evicts some of them. keeps_wanted: those that a parked frame waits for stay. */
void freezing_evict(struct freezing *freezing, bool keeps_wanted);

#endif
