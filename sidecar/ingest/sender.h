/* SPDX-License-Identifier: Apache-2.0 */
/* sender: what the broker keeps of a producer beside what the table has: where its holder is, and
 * what of it is on its way. Each part is the field of one file.
 *
 * Threads  the broker's.
 */
#ifndef SPN_SENDER_H
#define SPN_SENDER_H

#include "base/peer.h"
#include "state/producers.h"

struct parked; /* see parking.c */

struct sender {
    struct producer producer; /* first: the table allocates so much for each */
    uint32_t queued;          /* batches at the worker */
    size_t queued_bytes;      /* their bytes */

    struct {
        bool any;       /* batches of it were dropped since it got its last EXPECT ... */
        uint32_t round; /* ... of this round, the newest */
    } dropped;          /* batches.c */

    struct {                 /* acks.c */
        struct peer peer;    /* where its newest batch came from */
        uint8_t level;       /* enum wire_level, as in its newest batch */
        uint32_t round;      /* newest round that a hole was answered in ... */
        bool round_answered; /* ... if there was one */
        bool due;            /* in the list of those to be acknowledged ... */
        struct sender *next; /* ... which is linked by this */
    } acks;

    struct { /* parking.c; loading: loading.c */
        struct parked *first;
        struct parked *last;
        size_t bytes;
        uint64_t held; /* first number of the batch whose rest waits for room for runs; 0: none */
        uint32_t loading;    /* sessions of the first parked frame that are on their way */
        bool ready;          /* in the list of those whose parked frames may go on ... */
        struct sender *next; /* ... which is linked by this */
    } parking;

    uint64_t flooded_ns; /* share.c: when it had much at the worker, by the monotonic clock */
};

static inline struct sender *sender_of(struct producer *producer)
{
    return (struct sender *)producer;
}

static inline const struct sender *sender_of_const(const struct producer *producer)
{
    return (const struct sender *)producer;
}

/* It has another holder. */
static inline void sender_begin(struct sender *sender)
{
    sender->dropped.any = false;
    sender->acks.round_answered = false;
    sender->acks.peer.size = 0;
    sender->parking.held = 0;
}

/* The results below this number may go, after a message of the holder with this base. A holder of
 * level none keeps nothing, so its base shows only what it will not send. Its refusals are kept
 * until they were sent to it. */
static inline uint64_t sender_known_end(const struct sender *sender, uint64_t base)
{
    uint64_t sent_end = sender->producer.acked + 1;
    return sender->acks.level == WIRE_NONE && base > sent_end ? sent_end : base;
}

/* Nothing of it is on its way anywhere, so it may be removed. Skipped numbers are accepted but are
 * in no batch: a producer that skips some and sends nothing else has none on the way. Frames that
 * wait for the holder to take results do not count: nothing of them is accepted that is not on
 * disk. */
static inline bool sender_is_idle(const struct producer *producer)
{
    const struct sender *sender = sender_of_const(producer);
    return sender->queued == 0 && (!sender->parking.first || sender->parking.held != 0) &&
           !sender->parking.ready && !sender->acks.due && sender->parking.loading == 0;
}

#endif
