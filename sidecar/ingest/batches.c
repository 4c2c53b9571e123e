/* SPDX-License-Identifier: Apache-2.0 */
/* batches: takes a producer's batches, those that just came and those that had to wait, and hands
 * them over to the worker. */

#include "ingest/broker_base.h"

void batches_hand_over(struct broker *broker, struct batch *batch)
{
    struct sender *sender = batch->producer ? sender_of(batch->producer) : NULL;
    batch->alone = sender ? sender->queued++ == 0 : batch->one != NULL;
    if (sender) {
        sender->queued_bytes += batch->bytes;
        producer_written(&broker->state->producers, batch->producer);
    }
    broker->queue_events += batch->number_count;
    broker->queue_bytes += batch->bytes;
    freezing_note(&broker->freezing);
    message_chain_add(&broker->handed_over, &batch->message);
}

bool batches_must_wait(const struct broker *broker, const struct producer *producer)
{
    return share_is_used_up(&broker->share, producer, broker->options->queue_bytes_max,
                            broker->options->clock->monotonic_ns());
}

/* Notes what the batch says about its sender, whether or not its events are new. */
static void note_sender(struct broker *broker, struct producer *producer, const struct peer *peer)
{
    const struct wire_batch *head = &broker->intake.head;
    sender_of(producer)->acks.peer = *peer;
    producer_heard(&broker->state->producers, producer, clock_database_ns(broker->options->clock));
    sender_of(producer)->acks.level = head->level;
    uint64_t lost = producer_skip(producer, head->base);
    producer_settle(producer, sender_known_end(sender_of(producer), head->base));
    metrics_add(&broker->options->metrics->lost, lost);
    if (head->first <= producer->accepted) {
        if (producer->acked > producer->base - 1)
            producer->acked = producer->base - 1;
        acks_add(&broker->acks, producer);
    }
}

/* Counts the resent numbers of a batch that was taken. */
static void count_resent(struct broker *broker, const struct producer *producer)
{
    if (sender_of_const(producer)->parking.held == broker->intake.head.first)
        return; /* its first part was taken before */
    metrics_add(&broker->options->metrics->resent, broker->intake.begin);
}

/* Takes a decoded batch. True: its frame has to be parked. */
static bool take_decoded(struct broker *broker, struct producer *producer, const struct peer *peer,
                         zmq_msg_t *frame)
{
    struct batch *batch;
    bool parked = sender_of(producer)->parking.first != NULL;
    note_sender(broker, producer, peer);
    switch (intake_take(&broker->intake, producer, frame, parked, &batch)) {
    case INTAKE_HOLE:
        acks_hole(&broker->acks, producer, broker->intake.head.round);
        return false;
    case INTAKE_COLD:
        loading_begin(broker, producer);
        return true;
    case INTAKE_TAKEN:
        break;
    }
    count_resent(broker, producer);
    if (batch)
        batches_hand_over(broker, batch);
    if (sender_of(producer)->acks.level == WIRE_ACCEPTED)
        acks_add(&broker->acks, producer);
    parking_set_held(&broker->parking, producer,
                     broker->intake.held ? broker->intake.head.first : 0);
    return broker->intake.held;
}

/* Takes the parked frames until one has to wait again. */
static void go_on(struct broker *broker, struct producer *producer)
{
    struct parking *parking = &broker->parking;
    const struct peer *peer;
    zmq_msg_t *frame;
    while (sender_of(producer)->parking.loading == 0 &&
           (frame = parking_first(producer, &peer)) != NULL &&
           !batches_must_wait(broker, producer)) {
        if (!freezing_has_room(&broker->freezing)) {
            parking_set_ready(parking, producer);
            return;
        }
        struct wire_in in = wire_in(zmq_msg_data(frame), zmq_msg_size(frame));
        struct wire_header header;
        spn_err err = wire_get_header(&in, &header);
        if (err == SPN_OK)
            err = intake_decode(&broker->intake, in);
        /* A frame whose holder was fenced meanwhile is dropped. */
        bool current = err == SPN_OK && broker->intake.head.token == producer->token;
        bool waits = current && take_decoded(broker, producer, peer, frame);
        if (waits && parking_may_stay(parking, producer))
            return;
        parking_drop_first(parking, producer); /* taken, or a hole for the client */
    }
}

/* Nothing can be stored now, and what waits in ZeroMQ would keep requests waiting as well. So the
 * batch is a hole, which its producer learns of when that is over: it would send it again at once.
 * A producer of level none sends nothing again: its batch waits. */
static void put_off(struct broker *broker, struct producer *producer, const struct peer *peer,
                    zmq_msg_t *frame)
{
    struct sender *sender = sender_of(producer);
    broker->putting_off = true;
    if (broker->intake.head.level == WIRE_NONE && !broker->stopping) {
        parking_park(&broker->parking, producer, peer, frame);
        return;
    }
    metrics_add(&broker->options->metrics->batches_dropped, 1);
    sender->acks.peer = *peer;
    sender->dropped.any = true;
    sender->dropped.round = broker->intake.head.round;
}

void batches_take_up(struct broker *broker)
{
    const struct producers *producers = &broker->state->producers;
    if (!broker->putting_off || broker->takes != TAKES_ALL)
        return;
    broker->putting_off = false;
    for (uint32_t i = 0; i < producers->count; i++) {
        struct sender *sender = sender_of(producers->slots[i]);
        if (sender->parking.first && sender->parking.loading == 0)
            parking_set_ready(&broker->parking, &sender->producer);
        if (sender->dropped.any)
            acks_hole(&broker->acks, &sender->producer, sender->dropped.round);
        sender->dropped.any = false;
    }
}

void batches_take(struct broker *broker, const struct peer *peer, zmq_msg_t *frame,
                  uint64_t request)
{
    metrics_add(&broker->options->metrics->batches, 1);
    uint64_t token = broker->intake.head.token;
    if (broker->intake.head.level > WIRE_DURABLE) {
        answers_error(&broker->answers, peer, request, token, SPN_E_UNSUPPORTED, NULL);
        return;
    }
    struct producer *producer = producers_find_token(&broker->state->producers, token);
    if (producer)
        share_hear(&broker->share, producer, broker->options->clock->monotonic_ns());
    if (!producer || producer->stale) {
        metrics_add(&broker->options->metrics->stale_tokens, 1);
        answers_error(&broker->answers, peer, request, token, SPN_E_STALE_TOKEN, NULL);
        return;
    }
    metrics_add(&broker->options->metrics->backpressure, broker->intake.head.backpressure);
    if (broker->takes != TAKES_ALL) {
        put_off(broker, producer, peer, frame);
        return;
    }
    bool waits = sender_of(producer)->parking.first != NULL;
    if (waits || batches_must_wait(broker, producer) || take_decoded(broker, producer, peer, frame))
        parking_park(&broker->parking, producer, peer, frame);
    uint64_t known_end = sender_known_end(sender_of(producer), broker->intake.head.base);
    if (waits && known_end > producer->base) {
        producer_settle(producer, known_end); /* the frames before it may wait for just that */
        go_on(broker, producer);
    }
}

/* The queue's mark does not stop this: parked frames count against it themselves. */
void batches_go_on(struct broker *broker)
{
    struct parking *parking = &broker->parking;
    uint64_t now_ns = broker->options->clock->monotonic_ns();
    while (parking_has_ready(parking, now_ns) && !broker->stopping &&
           freezing_has_room(&broker->freezing))
        go_on(broker, parking_take_ready(parking));
}
