/* SPDX-License-Identifier: Apache-2.0 */
/* intake: what becomes of a batch of events.
 *
 * It decides every number of the batch: already had, stored, duplicate, conflict, refused.
 * Trackers, the producer and the active generation move on; what is to be written comes out as a
 * struct batch. It also opens and ends sessions: the first event or marker opens a session, a
 * numbered entry closes or deletes it, and sessions that the worker found idle expire.
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

enum {
    INTAKE_MARKS = 8192,
    INTAKE_DUE_MAX = 256,    /* sessions that end in one batch */
    INTAKE_LIVES_STEP = 256, /* drawn at a time: 4 KiB cost 8 us, single ones 0.3 us each */
};

#define INTAKE_RETRY_NS 100000000ull /* after memory ran out */

struct intake_mark {
    uint32_t slot;
    uint32_t stamp;
};

struct intake {
    struct broker_state *state;
    const struct clock *clock;
    struct metrics *metrics;
    spn_err (*random)(void *bytes, size_t size);
    const uint8_t *secret;
    size_t data_max;
    struct spn_life *lives; /* drawn for sessions that will be opened */
    uint32_t life_count;
    struct endings endings;        /* ends that readers do not see yet */
    struct record_run *spare_runs; /* for a record, if memory runs out after numbers were taken */

    struct producer nobody; /* notes the result of an entry that has no producer */

    /* The batch that was decoded last. */
    struct wire_batch head;
    struct wire_entry *entries;
    uint64_t *hashes;  /* of the names of the entries' sessions, from `begin` on */
    uint32_t *slots;   /* the entries' sessions; SLOT_NONE: not known yet */
    uint32_t begin;    /* the entries before it are known already */
    uint32_t end;      /* the first entry that is not taken */
    spn_err *refusals; /* why the entries' contents are refused; SPN_OK: they are not */
    bool held;         /* entry `end` waits: the producer's runs are full */
    uint32_t *cold;    /* the first entry of each cold session */
    uint32_t cold_count;
    struct intake_mark *marks; /* cold sessions that were noted, with `stamp` */
    uint32_t stamp;
};

enum intake_taken {
    INTAKE_HOLE, /* numbers before the batch did not arrive */
    INTAKE_COLD, /* sessions of it are not in memory: those of the entries in intake->cold */
    INTAKE_TAKEN,
};

spn_err intake_init(struct intake *intake, const struct broker_options *options,
                    struct broker_state *state) SPN_MUST_USE;
void intake_release(struct intake *intake);

/* Reads a BATCH after its header. SPN_E_PROTOCOL: something in it is invalid; nothing happened. */
spn_err intake_decode(struct intake *intake, struct wire_in in) SPN_MUST_USE;

/* Takes the batch that was decoded last: checks its contents, finds its sessions, and decides its
 * numbers begin .. end.
 *
 * A batch with a hole before it or with a cold session is not taken. While one with a cold session
 * waits, its sessions that are in memory are marked as wanted. parked: this batch has waited, so
 * the marks are cleared when it is taken.
 *
 * If it was taken, *ret_batch owns the frame's message; NULL: no number of it was taken, or none is
 * new. A refused number is taken like any other; the producer's record in the batch has the reason.
 * If the producer's runs are full, the batch ends: intake->held is set, *ret_batch has a copy of
 * the message, and the caller keeps the frame, for the rest of it once the base has risen. If
 * memory runs out, the batch ends too: the rest is a hole for the client. */
enum intake_taken intake_take(struct intake *intake, struct producer *producer, zmq_msg_t *frame,
                              bool parked, struct batch **ret_batch) SPN_MUST_USE;

/* Puts the entry of a PUBLISH in the place of a decoded batch. */
void intake_set_one(struct intake *intake, const struct wire_publish *publish);
/* Decides that entry as a number of a producer is decided. INTAKE_HOLE: out of memory, or there is
 * no randomness; nothing happened. If it was taken, *ret_answer has its result, without the id, and
 * *ret_batch owns the frame's message; it has no entry if the result is not stored. */
enum intake_taken intake_take_one(struct intake *intake, zmq_msg_t *frame, bool parked,
                                  struct wire_published *ret_answer,
                                  struct batch **ret_batch) SPN_MUST_USE;

/* A batch without events, which only writes the producer's record. NULL: out of memory. */
struct batch *intake_producer_batch(struct intake *intake, struct producer *producer);
/* Ends the sessions of this list that are unchanged since their rows were written. NULL: there are
 * none, or out of memory (they are found again). There must be room for as many entries. */
struct batch *intake_expire(struct intake *intake, const struct generation *frozen,
                            const struct idle_sessions *idle);
/* Ends the sessions whose spans are over, at most INTAKE_DUE_MAX of them: closes or expires them.
 * NULL: there are none, or out of memory (they come again). There must be room for as many entries.
 */
struct batch *intake_end_due(struct intake *intake);
/* A batch that only deletes the producer's record. NULL: out of memory. */
struct batch *intake_forget_batch(struct intake *intake, const struct producer *producer);

#endif
