/* SPDX-License-Identifier: Apache-2.0 */
/* broker_base: the broker's state, and what its files do for each other.
 *
 * broker.c is the loop: it takes frames, hands batches to the worker and takes them back. parking.c
 * keeps frames that wait. holders.c opens and forgets producers. Modules that need less than all of
 * this have a header of their own: acks, share, freezing, views, intake.
 *
 * Threads  the broker's.
 */
#ifndef SPN_BROKER_BASE_H
#define SPN_BROKER_BASE_H

#include "base/slack.h"
#include "ingest/acks.h"
#include "ingest/broker.h"
#include "ingest/freezing.h"
#include "ingest/intake.h"
#include "ingest/report.h"
#include "ingest/sender.h"
#include "ingest/share.h"
#include "ingest/views.h"
#include "mail/load.h"
#include "net/router.h"

struct parking {
    uint32_t *cold;         /* scratch for intake_look_up */
    size_t parked;          /* frames */
    uint64_t held_bytes;    /* parked by producers whose results have no room */
    struct sender *waiting; /* with parked frames that may go on */
    uint64_t again_ns;      /* they wait until then, since memory ran out; 0: they do not */
    size_t hydrating;       /* loads at the reader */
};

struct holders {
    struct wire_mark database; /* with the position that was durable at the start */
    uint64_t look_due_ns;      /* when to look for unused producers */
    uint32_t looked_at;        /* producers looked at in this round */
};

struct broker {
    const struct broker_options *options;
    struct broker_state *state;
    struct router router; /* ingest.sock */
    struct acks acks;
    struct share share;
    struct intake intake;
    struct freezing freezing;
    struct parking parking;
    struct holders holders;
    struct report report;
    struct message_chain handed_over; /* in this turn; the worker gets it in one piece */

    uint64_t queue_events; /* at the worker, or parked */
    uint64_t queue_bytes;
    bool above_mark;

    struct slack slack;
    uint64_t slack_due_ns;

    bool stopping;
    bool stop_handed;
    uint64_t stop_by_ns;
    bool ended;
    enum broker_end end;
};

static inline struct views broker_views(const struct broker *broker)
{
    return (struct views){broker->state, broker->freezing.frozen};
}

/* broker.c */

/* Hands the batch to the worker, with this turn. */
void broker_hand_over(struct broker *broker, struct batch *batch);
/* Takes a decoded batch of this producer. True: its frame has to be parked. */
bool broker_take_batch(struct broker *broker, struct producer *producer, const struct peer *peer,
                       zmq_msg_t *frame);
/* This producer's frames wait, so that others need not (share.h). */
bool broker_must_wait(const struct broker *broker, const struct producer *producer);
/* Ends the daemon, for this reason. */
void broker_fail(struct broker *broker, spn_err err);

/* parking.c */

spn_err parking_init(struct broker *broker) SPN_MUST_USE;
void parking_release(struct broker *broker);
/* Takes the frame over. If there is no room for it, it is not taken: a hole for the client. */
void parking_park(struct broker *broker, struct producer *producer, const struct peer *peer,
                  zmq_msg_t *frame);
void parking_drop(struct broker *broker, struct producer *producer); /* all of its frames */
/* first: of the batch whose rest waits for room for its results; 0: none waits. */
void parking_set_held(struct broker *broker, struct producer *producer, uint64_t first);
/* Looks up the sessions of the decoded batch. True: some have to be loaded from disk first. */
bool parking_load(struct broker *broker, struct producer *producer);
/* One of these sessions was loaded. */
void parking_take_loaded(struct broker *broker, struct load *load);
/* Its frames may go on, with the next parking_go_on_waiting. */
void parking_wait_over(struct broker *broker, struct producer *producer);
void parking_go_on(struct broker *broker, struct producer *producer);
void parking_go_on_waiting(struct broker *broker);
uint64_t parking_due_ns(const struct broker *broker); /* UINT64_MAX: when something happens */

/* holders.c */

void holders_init(struct broker *broker);
/* Answers an OPEN or a STATE. */
void holders_answer(struct broker *broker, struct holder_question *question);
/* The token that was given with this OPEN is on disk. */
void holders_opened(struct broker *broker, struct holder_question *question,
                    const struct producer *producer);
/* Takes a LEAVE. SPN_E_PROTOCOL. */
spn_err holders_leave(struct broker *broker, struct wire_in in) SPN_MUST_USE;
void holders_forget_left(struct broker *broker);
void holders_forget_unused(struct broker *broker);
uint64_t holders_due_ns(const struct broker *broker); /* UINT64_MAX: never */

#endif
