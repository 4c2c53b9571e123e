/* SPDX-License-Identifier: Apache-2.0 */
/* producers: who holds a producer id, and how far did its numbers get?
 *
 * The number of producers is limited. Two lists decide which producer is removed for a new one.
 * `unwritten` has the producers of which nothing is on its way to disk yet, in the order in which
 * they were opened. `random` has the others that have a random id, in the order of their last
 * messages. A producer whose id the app keeps is in neither list once its record is on its way to
 * disk.
 *
 * Owns     every known producer, and the results of its newest numbers.
 * Lends    struct producer: its address stays until it is removed.
 * Threads  the broker's (recovery fills it before the broker runs). The worker gets copies.
 */
#ifndef SPN_PRODUCERS_H
#define SPN_PRODUCERS_H

#include <stdbool.h>

#include "store/record_producer.h"
#include "base/slot_index.h"
#include "wire.h"

enum { PRODUCERS_LOOK_MAX = 256 };

#define PRODUCERS_UNHEARD_NS (3600 * 1000000000ull)

/* Whoever owns the table may keep more of each producer: see producers_init. */
struct producer {
    uint8_t id[WIRE_PRODUCER_ID_SIZE];
    uint64_t token;    /* of its holder; 0: nobody has ever opened it */
    uint64_t accepted; /* numbers up to here were taken, in order */
    uint64_t durable;  /* numbers up to here are committed; <= accepted */
    uint64_t acked;    /* the next acknowledgement to the holder begins after this number */
    uint64_t base;     /* lowest number that the holder still keeps */
    bool stale; /* its token is from before this start: the holder must open again, and so learns
                   what was accepted and is lost */
    uint64_t heard_ns; /* database clock: its holder's newest batch or request */

    uint64_t withheld_first; /* results between these two are not acknowledged before ... */
    uint64_t withheld_last;  /* ... they are durable; 0: there are none */

    struct record_run *runs; /* numbers that were not stored, ascending */
    size_t run_count;
    size_t run_room;

    uint32_t uid; /* user that opened it; UINT32_MAX: not known */
    bool kept;    /* the app keeps its id; false: the id is random */
    bool written; /* its record is on disk, or on its way ... */
    bool on_disk; /* ... on disk: before that a kill forgets it, and with it what was accepted */
    bool left;    /* its holder has ended */
    struct producer_list *list; /* NULL: in no list */
    struct producer *before;    /* in that list */
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
    size_t producer_size;
    bool (*is_idle)(const struct producer *);
    struct producer **slots;
    uint32_t count;
    uint32_t room;
    struct slot_index by_id;
    struct slot_index by_token;
    struct producer_list unwritten;
    struct producer_list random;
    struct producer_share *shares; /* one with a count of 0 is reused for another user */
    size_t share_count;
};

/* Who opens an id. */
struct producer_owner {
    uint32_t uid; /* UINT32_MAX: not known */
    bool kept;
};

/* producer_size: bytes for each producer, with a struct producer first and the owner's own, zeroed,
 * after it. is_idle: nothing of this producer is on its way, so it may be removed. */
spn_err producers_init(struct producers *producers, size_t producer_size,
                       bool (*is_idle)(const struct producer *)) SPN_MUST_USE;
void producers_release(struct producers *producers);

/* NULL: there is none. */
struct producer *producers_find_id(const struct producers *producers, const uint8_t *id);
struct producer *producers_find_token(const struct producers *producers, uint64_t token);

/* Adds a producer without a holder. SPN_E_NOMEM. */
spn_err producers_add(struct producers *producers, const uint8_t *id,
                      const struct producer_owner *owner,
                      struct producer **ret_producer) SPN_MUST_USE;

/* How many producers this user has. */
uint32_t producers_of(const struct producers *producers, uint32_t uid);

/* Its record is on its way to disk. */
void producer_written(struct producers *producers, struct producer *producer);
/* Its holder sent something, at this time of the database clock. */
void producer_heard(struct producers *producers, struct producer *producer, uint64_t now_ns);
/* Its holder has ended: a producer with a random id is removed before the others. */
void producer_leave(struct producers *producers, struct producer *producer);

/* Which idle producer to remove for a new one: one of this user's or, with UINT32_MAX, of all. The
 * first choice is the first producer that was never written. The second is the first one with a
 * random id whose holder has ended or has sent nothing for PRODUCERS_UNHEARD_NS. Looks at
 * PRODUCERS_LOOK_MAX of each list. NULL: there is none. */
struct producer *producers_expendable(const struct producers *producers, uint32_t uid,
                                      uint64_t now_ns);

/* Takes the producer out of the table and frees it: nothing may refer to it any more. */
void producers_remove(struct producers *producers, struct producer *producer);

/* Gives the producer to the holder with this token, which is not 0 and not in use. SPN_E_NOMEM. */
spn_err producers_give(struct producers *producers, struct producer *producer,
                       uint64_t token) SPN_MUST_USE;

/* The holder sends nothing below base any more. Numbers between accepted and base are skipped and
 * counted as lost: returns how many. */
uint64_t producer_skip(struct producer *producer, uint64_t base);

/* The holder knows how all numbers below base ended: their runs go. No number is skipped. */
void producer_settle(struct producer *producer, uint64_t base);

/* Notes how a number ended; numbers ascend. A stored number needs no note. code: why it was
 * refused; with another result SPN_OK. SPN_E_TOO_MANY: there are RECORD_RUNS_MAX runs and this
 * number needs another one, so it has to wait until the base rises. SPN_E_NOMEM. */
spn_err producer_note(struct producer *producer, uint64_t number, enum wire_result result,
                      spn_err code) SPN_MUST_USE;

/* Whether this number was refused, or is below the base, so that nobody knows. */
bool producer_may_have_refused(const struct producer *producer, uint64_t number);

/* The result of this number, whatever it is, is not acknowledged before it is durable. Numbers
 * ascend. */
void producer_withhold(struct producer *producer, uint64_t number);

/* The highest number that may be acknowledged as accepted. No refusal is acknowledged before it is
 * durable. Its reason may be a state that is not durable yet, of this producer or another one. */
uint64_t producer_accepted_end(const struct producer *producer);

/* Copies the runs of the numbers from .. up_to; returns how many (at most WIRE_RUNS_MAX). */
size_t producer_runs(const struct producer *producer, uint64_t from, uint64_t up_to,
                     struct wire_run *ret_runs);

#endif
