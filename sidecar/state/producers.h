/* SPDX-License-Identifier: Apache-2.0 */
/* producers: who holds a producer id, and how far did its numbers get?
 *
 * There are only so many. Which one goes for a new one is told by two lists: those of which nothing
 * is on its way to disk yet, in the order in which they were opened, and those with a random id, in
 * the order in which they were heard of. An id that an app keeps is in neither once it is on disk.
 *
 * Owns     every producer known, and the results of its newest numbers.
 * Lends    struct producer: its address stays until it is removed.
 * Threads  the broker's (recovery fills it before the broker runs). The worker gets copies.
 */
#ifndef SPN_PRODUCERS_H
#define SPN_PRODUCERS_H

#include <stdbool.h>

#include "base/peer.h"
#include "store/record_producer.h"
#include "base/slot_index.h"
#include "wire.h"

enum { PRODUCERS_LOOK_MAX = 256 };

#define PRODUCERS_UNHEARD_NS (3600 * 1000000000ull)

struct parked; /* a frame that waits for sessions to come back from disk: ingest/broker.c */

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
    uint32_t hydrating;            /* sessions of the first parked frame that are on their way */
    bool waiting;                  /* in the list of those whose parked frames may go on ... */
    struct producer *next_waiting; /* ... which is linked by this */
    uint64_t flooded_ns;           /* when it had much at the worker, by the monotonic clock */
    struct parked *parked_first;
    struct parked *parked_last;

    uint32_t uid; /* of who opened it; UINT32_MAX: not known */
    bool kept;    /* the app keeps its id; else it is random */
    bool written; /* its record is on disk, or on its way ... */
    bool on_disk; /* ... no more: before that a kill forgets it, and with it what was accepted */
    bool left;    /* its holder has ended */
    struct producer_list *list; /* NULL: in none */
    struct producer *before;    /* there */
    struct producer *after;
};

struct producer_list {
    struct producer *first;
    struct producer *last;
};

/* How many producers the processes of one user have. */
struct producer_share {
    uint32_t uid;
    uint32_t count;
};

struct producers {
    struct producer **slots;
    uint32_t count;
    uint32_t room;
    struct slot_index by_id;
    struct slot_index by_token;
    struct producer_list unwritten;
    struct producer_list random;
    struct producer_share *shares; /* those with a count of 0 are given to others */
    size_t share_count;
};

/* Who asks for an id. */
struct producer_owner {
    uint32_t uid; /* UINT32_MAX: not known */
    bool kept;
};

spn_err producers_init(struct producers *producers) SPN_MUST_USE;
void producers_release(struct producers *producers);

/* NULL: none. */
struct producer *producers_find_id(const struct producers *producers, const uint8_t *id);
struct producer *producers_find_token(const struct producers *producers, uint64_t token);

/* A new one without a holder. SPN_E_NOMEM. */
spn_err producers_add(struct producers *producers, const uint8_t *id,
                      const struct producer_owner *owner,
                      struct producer **ret_producer) SPN_MUST_USE;

/* How many this user has. */
uint32_t producers_of(const struct producers *producers, uint32_t uid);

/* Its record is on its way to disk. */
void producer_written(struct producers *producers, struct producer *producer);
/* Its holder was heard of, at this time of the database clock. */
void producer_heard(struct producers *producers, struct producer *producer, uint64_t now_ns);
/* Its holder has ended: with a random id it goes before the others. */
void producer_leave(struct producers *producers, struct producer *producer);

/* Nothing of it is on its way anywhere: it may be removed. Numbers that were skipped over are
 * accepted and in no batch: whoever skips some and sends nothing else has none on the way. Frames
 * that wait for its holder to take results are where they were when they came: nothing of them is
 * accepted that is not on disk. */
bool producer_is_idle(const struct producer *producer);

/* Which idle one goes for a new one, of this user's or, with UINT32_MAX, of all: the first that was
 * never written; else the first random one whose holder has ended or was not heard of for
 * PRODUCERS_UNHEARD_NS. Looks at PRODUCERS_LOOK_MAX of each. NULL: none. */
struct producer *producers_expendable(const struct producers *producers, uint32_t uid,
                                      uint64_t now_ns);

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
