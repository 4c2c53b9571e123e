/* SPDX-License-Identifier: Apache-2.0 */
/* broker_base: the broker's state, and what its files do for each other.
 *
 * broker.c is the loop. batches.c takes batches and hands them to the worker. loading.c brings
 * sessions back from disk. holders.c opens and forgets producers. Modules that need less than all
 * of this have a header of their own: acks, share, parking, freezing, views, intake.
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
#include "ingest/parking.h"
#include "ingest/report.h"
#include "ingest/sender.h"
#include "ingest/share.h"
#include "ingest/views.h"
#include "mail/load.h"
#include "net/router.h"

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

    uint64_t queue_events; /* at the worker */
    uint64_t queue_bytes;  /* at the worker; parked frames count as well */
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

/* batches.c */

/* Hands the batch to the worker, with this turn. */
void batches_hand_over(struct broker *broker, struct batch *batch);
/* This producer's frames wait, so that others need not (share.h). */
bool batches_must_wait(const struct broker *broker, const struct producer *producer);
/* Takes the BATCH that was decoded last. */
void batches_take(struct broker *broker, const struct peer *peer, zmq_msg_t *frame,
                  uint64_t request);
/* Takes the parked frames that may go on. */
void batches_go_on(struct broker *broker);

/* loading.c */

/* Has the reader load the cold sessions of the decoded batch. */
void loading_begin(struct broker *broker, struct producer *producer);
/* One of these sessions was loaded. An error: the database cannot be read. */
spn_err loading_end(struct broker *broker, struct load *load) SPN_MUST_USE;

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
