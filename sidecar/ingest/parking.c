/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/parking.h"

#include <stdlib.h>

#include "ingest/sender.h"

enum {
    PARKED_PART = 4,   /* of the queue */
    NO_MEMORY_MS = 10, /* then the step that ran out of memory is retried */
};

struct parked {
    struct parked *next;
    zmq_msg_t frame;
    struct peer peer;
    size_t bytes; /* of all of it: counts against the queue's mark */
};

void parking_limit(struct parking *parking, size_t queue_bytes_max)
{
    parking->part_bytes_max = queue_bytes_max / PARKED_PART;
}

void parking_init(struct parking *parking, struct share *share, size_t queue_bytes_max)
{
    *parking = (struct parking){.share = share};
    parking_limit(parking, queue_bytes_max);
}

/* -- frames ------------------------------------------------------------------------------------ */

void parking_set_held(struct parking *parking, struct producer *producer, uint64_t first)
{
    struct sender *sender = sender_of(producer);
    if (sender->parking.held == 0 && first != 0)
        parking->held_bytes += sender->parking.bytes;
    else if (sender->parking.held != 0 && first == 0)
        parking->held_bytes -= sender->parking.bytes;
    sender->parking.held = first;
}

static bool is_held_above(const struct parking *parking, const struct producer *producer,
                          size_t bytes_max)
{
    return sender_of_const(producer)->parking.held != 0 && parking->held_bytes >= bytes_max;
}

bool parking_may_stay(const struct parking *parking, const struct producer *producer)
{
    return !is_held_above(parking, producer, parking->part_bytes_max / 2 * 3);
}

void parking_park(struct parking *parking, struct producer *producer, const struct peer *peer,
                  zmq_msg_t *frame)
{
    struct sender *sender = sender_of(producer);
    size_t bytes_max = parking->part_bytes_max;
    bool room = sender->parking.bytes < bytes_max && !is_held_above(parking, producer, bytes_max);
    struct parked *parked = room ? malloc(sizeof(*parked)) : NULL;
    if (!parked) { /* not taken: a hole for the client */
        if (!sender->parking.first)
            parking_set_held(parking, producer, 0);
        return;
    }
    *parked = (struct parked){.peer = *peer, .bytes = sizeof(*parked) + zmq_msg_size(frame)};
    zmq_msg_init(&parked->frame);
    zmq_msg_move(&parked->frame, frame);
    parking->bytes += parked->bytes;
    parking->held_bytes += sender->parking.held != 0 ? parked->bytes : 0;
    sender->parking.bytes += parked->bytes;
    if (sender->parking.last) {
        sender->parking.last->next = parked;
    } else {
        sender->parking.first = parked;
        parking->share->waiting++;
    }
    sender->parking.last = parked;
}

zmq_msg_t *parking_first(const struct producer *producer, const struct peer **ret_peer)
{
    struct parked *parked = sender_of_const(producer)->parking.first;
    if (!parked)
        return NULL;
    *ret_peer = &parked->peer;
    return &parked->frame;
}

void parking_drop_first(struct parking *parking, struct producer *producer)
{
    struct sender *sender = sender_of(producer);
    struct parked *parked = sender->parking.first;
    sender->parking.first = parked->next;
    if (!sender->parking.first) {
        sender->parking.last = NULL;
        parking->share->waiting--;
    }
    parking->bytes -= parked->bytes;
    parking->held_bytes -= sender->parking.held != 0 ? parked->bytes : 0;
    sender->parking.bytes -= parked->bytes;
    if (!sender->parking.first)
        parking_set_held(parking, producer, 0);
    zmq_msg_close(&parked->frame);
    free(parked);
}

void parking_drop_all(struct parking *parking, struct producer *producer)
{
    while (sender_of(producer)->parking.first)
        parking_drop_first(parking, producer);
}

/* -- producers whose frames may go on ---------------------------------------------------------- */

void parking_set_ready(struct parking *parking, struct producer *producer)
{
    struct sender *sender = sender_of(producer);
    if (sender->parking.ready)
        return;
    sender->parking.ready = true;
    sender->parking.next = parking->ready;
    parking->ready = sender;
}

void parking_set_ready_later(struct parking *parking, struct producer *producer, uint64_t now_ns)
{
    parking->again_ns = now_ns + NO_MEMORY_MS * UINT64_C(1000000);
    parking_set_ready(parking, producer);
}

bool parking_has_ready(struct parking *parking, uint64_t now_ns)
{
    if (now_ns < parking->again_ns)
        return false;
    parking->again_ns = 0;
    return parking->ready != NULL;
}

struct producer *parking_take_ready(struct parking *parking)
{
    struct sender *sender = parking->ready;
    parking->ready = sender->parking.next;
    sender->parking.ready = false;
    return &sender->producer;
}

uint64_t parking_due_ns(const struct parking *parking)
{
    return parking->again_ns > 0 ? parking->again_ns : UINT64_MAX;
}
