/* SPDX-License-Identifier: Apache-2.0 */
/* producers: who holds a producer id, and how far did its numbers get?
 *
 * Owns     every producer known, and the results of its newest numbers.
 * Lends    struct producer: its address stays until it is removed.
 * Threads  the broker's (recovery fills it before the broker runs). The worker gets copies.
 */
#ifndef SPN_PRODUCERS_H
#define SPN_PRODUCERS_H

#include <stdbool.h>

#include "record.h"
#include "slot_index.h"
#include "wire.h"

enum { PEER_MAX = 255 };

/* Where answers go: a routing id that ZeroMQ made up. */
struct peer {
    uint8_t size; /* 0: nobody */
    uint8_t bytes[PEER_MAX];
};

struct parked; /* a frame that waits for sessions to come back from disk: broker.c */

struct producer {
    uint8_t id[WIRE_PRODUCER_ID_SIZE];
    uint64_t token;      /* of its holder; 0: nobody has ever opened it */
    uint64_t accepted;   /* numbers up to here were taken, in order */
    uint64_t durable;    /* numbers up to here are committed; <= accepted */
    uint64_t acked;      /* numbers up to here were told to the holder */
    uint64_t base;       /* lowest number that the holder still keeps */
    uint8_t level;       /* enum wire_level, as in its newest batch */
    uint32_t round;      /* newest round that a hole or a refusal was answered in ... */
    bool round_answered; /* ... if there was one */
    bool stale;          /* its token is from before the start: the holder has to open again, and so
                            learns what was accepted and is lost */
    struct peer peer;    /* where its newest batch came from */
    uint64_t heard_ns;   /* database clock: its holder's newest batch or question */

    struct record_run *runs; /* numbers that were not stored, ascending */
    size_t run_count;
    size_t run_room;
    uint64_t held; /* first number of the batch whose rest waits for room for runs; 0: none does */

    uint32_t queued; /* batches at the worker */
    size_t queued_bytes;
    size_t parked_bytes;
    bool ack_due; /* in the list of those to be told */
    struct producer *next_due;
    uint32_t hydrating;  /* sessions of the first parked frame that are on their way */
    bool waiting;        /* in the list of those whose parked frames may go on */
    uint64_t flooded_ns; /* when it had much at the worker, by the monotonic clock */
    struct parked *parked_first;
    struct parked *parked_last;
};

struct producers {
    struct producer **slots;
    uint32_t count;
    uint32_t room;
    struct slot_index by_id;
    struct slot_index by_token;
};

spn_err producers_init(struct producers *producers) SPN_MUST_USE;
void producers_release(struct producers *producers);

/* NULL: none. */
struct producer *producers_find_id(const struct producers *producers, const uint8_t *id);
struct producer *producers_find_token(const struct producers *producers, uint64_t token);

/* A new one without a holder. SPN_E_NOMEM. */
spn_err producers_add(struct producers *producers, const uint8_t *id,
                      struct producer **ret_producer) SPN_MUST_USE;

/* Takes the producer out of the table and frees it: nothing may refer to it any more. */
void producers_remove(struct producers *producers, struct producer *producer);

/* Gives the producer to the holder of this token, which is not 0 and not in use. SPN_E_NOMEM. */
spn_err producers_give(struct producers *producers, struct producer *producer,
                       uint64_t token) SPN_MUST_USE;

/* The holder keeps nothing below base any more. Numbers between accepted and base are skipped over:
 * returns how many, that is, how many were lost. */
uint64_t producer_raise_base(struct producer *producer, uint64_t base);

/* The holder knows how all below base ended: their runs go. Nothing is skipped over. */
void producer_settle(struct producer *producer, uint64_t base);

/* Notes how a number ended; numbers ascend. Stored ones need no note. SPN_E_TOO_MANY: there are
 * RECORD_RUNS_MAX runs, and this number needs another one: it has to wait until the base rises.
 * SPN_E_NOMEM. */
spn_err producer_note(struct producer *producer, uint64_t number,
                      enum wire_result result) SPN_MUST_USE;

/* Copies the runs of the numbers from .. up_to; returns how many (at most WIRE_RUNS_MAX). */
size_t producer_runs(const struct producer *producer, uint64_t from, uint64_t up_to,
                     struct wire_run *ret_runs);

#endif
