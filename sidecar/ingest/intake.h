/* SPDX-License-Identifier: Apache-2.0 */
/* intake: what becomes of a batch of events.
 *
 * Every number of it is decided here: already had, stored, duplicate, conflict, refused. Trackers,
 * the producer and the active generation move on; what is to be written comes out as a struct
 * batch. The life of a session begins and ends here: its first event or marker opens it, a numbered
 * entry closes or deletes it, and what the worker found idle expires.
 *
 * Owns     scratch memory for one decoded batch: nothing is allocated per event; the endings.
 * Borrows  the broker's state.
 * Threads  the broker's.
 */
#ifndef SPN_INTAKE_H
#define SPN_INTAKE_H

#include "ingest/broker.h"
#include "state/endings.h"
#include "index/idle.h"

enum { INTAKE_MARKS = 8192 };

struct intake_mark {
    uint32_t slot;
    uint32_t stamp;
};

struct intake {
    struct broker_state *state;
    const struct clock *clock;
    struct metrics *metrics;
    const uint8_t *secret;
    size_t data_max;
    struct endings endings; /* that readers do not see yet */

    /* The batch that was decoded last. */
    struct wire_batch head;
    struct wire_entry *entries;
    uint32_t *slots;           /* the entries' sessions; SLOT_NONE: not known yet */
    uint32_t begin;            /* entries before it were had already */
    uint32_t end;              /* entries from it on are not taken ... */
    struct intake_mark *marks; /* cold sessions that were noted, under this ... */
    uint32_t stamp;            /* ... stamp */
    spn_err refusal;           /* ... because this one is refused; SPN_OK: all are taken, ... */
    bool held;                 /* ... or this one waits: the producer's runs are full */
};

spn_err intake_init(struct intake *intake, const struct broker_options *options,
                    struct broker_state *state) SPN_MUST_USE;
void intake_release(struct intake *intake);

/* Reads a BATCH behind its header. SPN_E_PROTOCOL: something in it lies; nothing happened. */
spn_err intake_decode(struct intake *intake, struct wire_in in) SPN_MUST_USE;

/* True: the batch leaves a hole behind what the producer has sent so far. */
bool intake_has_hole(const struct intake *intake, const struct producer *producer);

/* Checks contents and finds the sessions of a batch without a hole. Calls nothing back: *ret_cold
 * is how many sessions are in no memory; their first entries are then in cold[]
 * (WIRE_BATCH_EVENTS_MAX). */
void intake_look_up(struct intake *intake, const struct producer *producer, uint32_t *cold,
                    uint32_t *ret_cold);

/* Takes the numbers begin .. end of a batch without cold sessions. On success *ret_batch owns the
 * frame's message, or is NULL when there was nothing new in it. Where a number is refused the batch
 * ends before it, and says so: what the refusal rests on is on disk with it. Where the producer's
 * runs are full it ends too: then intake->held, and the frame stays the caller's, for the rest of
 * it once the base has risen. SPN_E_NOMEM: what was taken before is in *ret_batch all the same (may
 * be NULL), the rest was not taken: a hole for the client. */
spn_err intake_accept(struct intake *intake, struct producer *producer, zmq_msg_t *frame,
                      struct batch **ret_batch) SPN_MUST_USE;

/* A batch without events, which only writes the producer's record. NULL: out of memory. */
struct batch *intake_record_batch(struct intake *intake, struct producer *producer);
/* Ends those of these sessions that are still what they were when their rows were written. NULL:
 * none is, or out of memory (they are found again). Room for as many entries must be. */
struct batch *intake_expire(struct intake *intake, const struct generation *frozen,
                            const struct idle_sessions *idle);
/* A batch that only deletes the producer's record. NULL: out of memory. */
struct batch *intake_forget_batch(struct intake *intake, const struct producer *producer);

#endif
