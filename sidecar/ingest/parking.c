/* SPDX-License-Identifier: Apache-2.0 */
/* parking: frames that wait, and the sessions that they wait for. */
#include <stdlib.h>

#include "ingest/broker_base.h"

enum {
    PARKED_PART = 4,
    NO_MEMORY_MS = 10, /* then the step that ran out of memory is retried */
};

/* A frame that waits: for its sessions to be loaded from disk, for its producer's share of the
 * queue or for room for its results. The producer's later frames wait after it. */
struct parked {
    struct parked *next;
    zmq_msg_t frame;
    struct peer peer;
    size_t bytes; /* of all of it: counts against the queue's mark */
};

/* -- frames that wait -------------------------------------------------------------------------- */

void parking_set_held(struct broker *broker, struct producer *producer, uint64_t first)
{
    struct sender *sender = sender_of(producer);
    if (sender->parking.held == 0 && first != 0)
        broker->parking.held_bytes += sender->parking.bytes;
    else if (sender->parking.held != 0 && first == 0)
        broker->parking.held_bytes -= sender->parking.bytes;
    sender->parking.held = first;
}

/* Frames that wait for their holder to take results may wait for ever. So all of them together get
 * about as much of the queue as one waiting producer may have; otherwise a few such holders would
 * leave nothing to the others. */
static bool is_held_above(const struct broker *broker, const struct producer *producer,
                          uint64_t bytes_max)
{
    return sender_of_const(producer)->parking.held != 0 && broker->parking.held_bytes >= bytes_max;
}

void parking_park(struct broker *broker, struct producer *producer, const struct peer *peer,
                  zmq_msg_t *frame)
{
    struct sender *sender = sender_of(producer);
    uint64_t bytes_max = broker->options->queue_bytes_max / PARKED_PART;
    bool room = sender->parking.bytes < bytes_max && !is_held_above(broker, producer, bytes_max);
    struct parked *parked = room ? malloc(sizeof(*parked)) : NULL;
    if (!parked) { /* not taken: a hole for the client */
        if (!sender->parking.first)
            parking_set_held(broker, producer, 0);
        return;
    }
    *parked = (struct parked){.peer = *peer, .bytes = sizeof(*parked) + zmq_msg_size(frame)};
    zmq_msg_init(&parked->frame);
    zmq_msg_move(&parked->frame, frame);
    broker->queue_bytes += parked->bytes;
    broker->parking.held_bytes += sender->parking.held != 0 ? parked->bytes : 0;
    sender->parking.bytes += parked->bytes;
    if (sender->parking.last) {
        sender->parking.last->next = parked;
    } else {
        sender->parking.first = parked;
        broker->share.waiting++;
    }
    sender->parking.last = parked;
    broker->parking.parked++;
}

static void drop_first_parked(struct broker *broker, struct producer *producer)
{
    struct sender *sender = sender_of(producer);
    struct parked *parked = sender->parking.first;
    sender->parking.first = parked->next;
    if (!sender->parking.first) {
        sender->parking.last = NULL;
        broker->share.waiting--;
    }
    broker->queue_bytes -= parked->bytes;
    broker->parking.held_bytes -= sender->parking.held != 0 ? parked->bytes : 0;
    sender->parking.bytes -= parked->bytes;
    broker->parking.parked--;
    if (!sender->parking.first)
        parking_set_held(broker, producer, 0);
    zmq_msg_close(&parked->frame);
    free(parked);
}

/* -- sessions that come back from disk --------------------------------------------------------- */

/* Memory ran out for what this producer's frame needs: retry in a while. */
static void look_again(struct broker *broker, struct producer *producer)
{
    broker->parking.again_ns =
        broker->options->clock->monotonic_ns() + NO_MEMORY_MS * UINT64_C(1000000);
    parking_wait_over(broker, producer);
}

static void load_session(struct broker *broker, struct producer *producer, struct spn_bytes name,
                         uint64_t hash, uint32_t slot)
{
    struct sender *sender = sender_of(producer);
    struct load *load = load_new(name);
    if (!load) {
        look_again(broker, producer);
        return;
    }
    load->waiting = producer;
    load->hash = hash;
    load->slot = slot;
    struct views views = broker_views(broker);
    views_fill(&views, slot, &load->view);
    sender->parking.loading++;
    broker->parking.hydrating++;
    metrics_add(&broker->options->metrics->hydrations, 1);
    mailbox_put(broker->options->reader, &load->message);
}

/* Marks the sessions of this batch that are in memory as wanted, or clears the mark. */
static void want_sessions(struct broker *broker, bool wanted)
{
    const struct intake *intake = &broker->intake;
    for (uint32_t i = intake->begin; i < intake->end; i++) {
        uint32_t slot = intake->entries[i].kind == WIRE_SKIP ? SLOT_NONE : intake->slots[i];
        if (slot != SLOT_NONE && broker->state->sessions.slots[slot].tracker)
            broker->state->sessions.slots[slot].tracker->wanted = wanted;
    }
}

/* True: the batch has to wait until sessions are loaded from disk. */
bool parking_load(struct broker *broker, struct producer *producer)
{
    struct intake *intake = &broker->intake;
    uint32_t cold_count;
    intake_look_up(intake, producer, broker->parking.cold, &cold_count);
    if (cold_count > 0 || sender_of(producer)->parking.first)
        want_sessions(broker, cold_count > 0);
    for (uint32_t i = 0; i < cold_count; i++) {
        uint32_t at = broker->parking.cold[i];
        struct spn_bytes name = intake->entries[at].session;
        load_session(broker, producer, name, sessions_hash(&broker->state->sessions, name),
                     intake->slots[at]);
    }
    return cold_count > 0;
}

void parking_wait_over(struct broker *broker, struct producer *producer)
{
    struct sender *sender = sender_of(producer);
    if (sender->parking.waits)
        return;
    sender->parking.waits = true;
    sender->parking.next = broker->parking.waiting;
    broker->parking.waiting = sender;
}

/* Takes the answer: the session's tracker, or that another epoch has the name (0: none has). */
static void warm(struct broker *broker, struct load *load)
{
    struct sessions *sessions = &broker->state->sessions;
    uint32_t slot;
    if (sessions_find(sessions, load->name, load->hash, &slot) == SESSIONS_HOT)
        return; /* loaded already, for another producer's frame */
    slot = load->epoch != 0 ? sessions_find_epoch(sessions, load->hash, load->epoch) : SLOT_NONE;
    if (slot != SLOT_NONE && load->tracker) {
        load->tracker->wanted = true;
        sessions_warm(sessions, slot, load->tracker);
        load->tracker = NULL;
    } else if (slot != SLOT_NONE) {
        load_session(broker, load->waiting, load->name, load->hash, slot);
    } else if (sessions_add(sessions, load->name, load->hash, &slot) != SPN_OK) {
        look_again(broker, load->waiting);
    }
}

/* The state of the session cannot be read: it takes nothing more until it is deleted. */
static void give_up(struct broker *broker, struct load *load)
{
    struct metrics *metrics = broker->options->metrics;
    if (load->epoch != load->view.epoch)
        return; /* its name cannot be read: nobody knows which session it is */
    load->tracker = tracker_new(load->name, broker->state->sessions.window_max);
    load->err = load->tracker ? SPN_OK : SPN_E_NOMEM;
    if (!load->tracker)
        return;
    load->tracker->epoch = load->epoch;
    load->tracker->damaged = true;
    metrics_add(&metrics->sessions_damaged, 1);
    metrics_count(&metrics->damaged_reads);
}

void parking_take_loaded(struct broker *broker, struct load *load)
{
    struct producer *producer = load->waiting;
    if (load->err == SPN_E_CORRUPT)
        give_up(broker, load);
    if (load->err == SPN_OK)
        warm(broker, load);
    else if (load->err == SPN_E_NOMEM)
        look_again(broker, producer);
    broker->parking.hydrating--;
    if (--sender_of(producer)->parking.loading == 0)
        parking_wait_over(broker, producer);
    if (load->err != SPN_OK && load->err != SPN_E_NOMEM)
        broker_fail(broker, load->err); /* the database cannot be read: only a restart can judge */
    load_free(load);
}

/* -- going on ---------------------------------------------------------------------------------- */

/* Takes the parked frames until one has to wait again. A frame that then waits for room for its
 * results stays only if such frames are within one and a half times their limit: it was parked for
 * another reason. */
void parking_go_on(struct broker *broker, struct producer *producer)
{
    struct sender *sender = sender_of(producer);
    uint64_t held_max = broker->options->queue_bytes_max / PARKED_PART / 2 * 3;
    while (sender->parking.first && sender->parking.loading == 0 &&
           !broker_must_wait(broker, producer)) {
        if (!freezing_has_room(&broker->freezing)) {
            parking_wait_over(broker, producer);
            return;
        }
        struct parked *parked = sender->parking.first;
        struct wire_in in = wire_in(zmq_msg_data(&parked->frame), zmq_msg_size(&parked->frame));
        struct wire_header header;
        spn_err err = wire_get_header(&in, &header);
        if (err == SPN_OK)
            err = intake_decode(&broker->intake, in);
        /* A frame whose holder was fenced meanwhile is dropped. */
        bool current = err == SPN_OK && broker->intake.head.token == producer->token;
        bool waits = current && broker_take_batch(broker, producer, &parked->peer, &parked->frame);
        if (waits && !is_held_above(broker, producer, held_max))
            return;
        drop_first_parked(broker, producer); /* taken, or a hole for the client */
    }
}

/* The queue's mark does not stop this: parked frames count against it themselves. */
void parking_go_on_waiting(struct broker *broker)
{
    struct parking *parking = &broker->parking;
    if (parking->again_ns > 0 && broker->options->clock->monotonic_ns() < parking->again_ns)
        return;
    parking->again_ns = 0;
    while (parking->waiting && parking->again_ns == 0 && !broker->stopping &&
           freezing_has_room(&broker->freezing)) {
        struct sender *sender = parking->waiting;
        parking->waiting = sender->parking.next;
        sender->parking.waits = false;
        parking_go_on(broker, &sender->producer);
    }
}

uint64_t parking_due_ns(const struct broker *broker)
{
    return broker->parking.again_ns > 0 && !broker->stopping ? broker->parking.again_ns
                                                             : UINT64_MAX;
}

void parking_drop(struct broker *broker, struct producer *producer)
{
    while (sender_of(producer)->parking.first)
        drop_first_parked(broker, producer);
}

spn_err parking_init(struct broker *broker)
{
    broker->parking.cold = calloc(WIRE_BATCH_EVENTS_MAX, sizeof(*broker->parking.cold));
    return broker->parking.cold ? SPN_OK : SPN_E_NOMEM;
}

void parking_release(struct broker *broker)
{
    struct producers *producers = &broker->state->producers;
    for (uint32_t i = 0; i < producers->count; i++)
        parking_drop(broker, producers->slots[i]);
    free(broker->parking.cold);
}
