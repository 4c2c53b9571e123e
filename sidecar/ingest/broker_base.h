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
#include "ingest/answers.h"
#include "ingest/broker.h"
#include "ingest/freezing.h"
#include "ingest/intake.h"
#include "ingest/parking.h"
#include "ingest/publishing.h"
#include "ingest/report.h"
#include "ingest/report_debug.h"
#include "ingest/sender.h"
#include "ingest/share.h"
#include "ingest/views.h"
#include "mail/load.h"
#include "mail/one_shot.h"
#include "net/router.h"

struct holders {
    struct wire_mark database; /* with the position that was durable at the start */
    uint64_t look_due_ns;      /* when to look for unused producers */
    uint32_t looked_at;        /* producers looked at in this round */
    uint32_t opening;          /* OPENs that wait for a commit */
};

/* What is taken from ingest.sock. */
enum broker_takes {
    TAKES_NOTHING,
    TAKES_REQUESTS, /* and batches are put off */
    TAKES_ALL,
};

struct broker {
    const struct broker_options *options;
    struct broker_state *state;
    struct router router; /* ingest.sock */
    struct acks acks;
    struct answers answers;
    struct share share;
    struct intake intake;
    struct freezing freezing;
    struct parking parking;
    struct publishing publishing;
    struct holders holders;
    struct report report;
    struct report_debug debug;
    struct message_chain handed_over; /* in this turn; the worker gets it in one piece */

    uint64_t queue_events; /* at the worker */
    uint64_t queue_bytes;  /* at the worker; parked frames count as well */
    bool above_mark;
    uint64_t stuck_ns; /* nothing is stored: requests are answered from then on; 0: it is not so */
    enum broker_takes takes; /* as of the last look */
    bool putting_off;        /* since batches were taken last, some were dropped or parked */

    uint64_t spans_again_ns; /* not before this are sessions ended whose spans are over */

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
/* Once batches are taken again, takes up those that were put off: what was parked goes on, and each
 * producer of which some were dropped gets an EXPECT. */
void batches_take_up(struct broker *broker);

/* loading.c */

/* Has the reader load the cold sessions of the decoded batch. */
void loading_begin(struct broker *broker, struct producer *producer);
/* The same for a one-shot, which is taken over. False: out of memory; it was not. */
bool loading_begin_one(struct broker *broker, struct one_shot *one);
/* One of these sessions was loaded. *ret_one: the one-shot that waited for it, with its error; the
 * caller has it go on. NULL: none. An error: the database cannot be read. */
spn_err loading_end(struct broker *broker, struct load *load,
                    struct one_shot **ret_one) SPN_MUST_USE;

/* one_shots.c */

struct one_shot_request {
    const struct peer *peer;
    uint64_t number;
    uint32_t uid;      /* of the process that sent it */
    struct wire_in in; /* after the header */
    zmq_msg_t *frame;
};

/* Takes a PUBLISH. SPN_E_PROTOCOL, SPN_E_INVALID, SPN_E_UNSUPPORTED, SPN_E_NOMEM: it was not
 * answered. */
spn_err one_shots_take(struct broker *broker, const struct one_shot_request *request) SPN_MUST_USE;
/* The session of this one-shot was loaded, or one->err. Takes the one-shot over. */
void one_shots_loaded(struct broker *broker, struct one_shot *one);
/* The batch that has a one-shot is on disk. */
void one_shots_durable(struct broker *broker, struct batch *batch);
/* The reader has looked for its id. Takes the one-shot over. */
void one_shots_found(struct broker *broker, struct one_shot *one);

/* holders.c */

void holders_init(struct broker *broker);
/* The time to live may be shorter now. */
void holders_follow_options(struct broker *broker);
/* Answers a STATE that came on read.sock. */
void holders_answer(struct broker *broker, struct holder_question *question);
/* Take an OPEN, a STATE and a LEAVE of ingest.sock, after the header. uid: of the process that sent
 * it. SPN_E_PROTOCOL: it is invalid, and was not answered. */
spn_err holders_open(struct broker *broker, const struct peer *peer, uint64_t number, uint32_t uid,
                     struct wire_in in) SPN_MUST_USE;
spn_err holders_state(struct broker *broker, const struct peer *peer, uint64_t number,
                      struct wire_in in) SPN_MUST_USE;
spn_err holders_leave(struct broker *broker, struct wire_in in) SPN_MUST_USE;
/* The token that was given with this OPEN is on disk. */
void holders_opened(struct broker *broker, const struct opening *opening,
                    const struct producer *producer);
void holders_forget_left(struct broker *broker);
void holders_forget_unused(struct broker *broker);
uint64_t holders_due_ns(const struct broker *broker); /* UINT64_MAX: never */

#endif
