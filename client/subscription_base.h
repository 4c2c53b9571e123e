/* SPDX-License-Identifier: Apache-2.0 */
/* subscription_base: a client's subscriptions, and what their files share.
 *
 * subscription.c has the public calls, and follow.c that of the log. subscription_give.c turns what
 * was received into items, follow_give.c the entries of the log. subscription_table.c finds
 * subscriptions by number. subscription_credit.c renews credit and the lease. subscription_take.c
 * takes the messages of the sidecar, as a part of the client's turn.
 *
 * Threads  those of its client.
 */
#ifndef SPN_CLIENT_SUBSCRIPTION_BASE_H
#define SPN_CLIENT_SUBSCRIPTION_BASE_H

#include "ring.h"
#include "subscription.h"

enum {
    SLOTS_FIRST = 16,
    SLOTS_MAX = 1 << 20,
    GRANTS_PER_MESSAGE = 256,
    SUBSCRIBE_MAX =
        WIRE_HEADER_SIZE + 8 + 4 + 4 + 16 + 3 * 8 + 1 + WIRE_SESSION_MAX + 2 + WIRE_ID_MAX,
    SHARED_BYTES = 8192, /* what ZeroMQ reads at a time */
    STANDING_MAX = 8192, /* what may follow the head of a delivery without items */
};

#define LOOK_NS                                                                                    \
    UINT64_C(50000) /* how old the last look at the sockets may be while there are items */
#define REQUEST_MARK                                                                               \
    (UINT64_C(1) << 63) /* of SUBSCRIBE, with the number of the subscription, and of a beat's      \
                        CREDIT, with the beat's serial */

/* A delivery that waits to be read. */
struct frame {
    struct frame *next;
    struct wire_deliver head;
    const uint8_t *rest; /* what follows the head: in `copied`, or in the message */
    uint64_t passed;     /* of the log: the cursor was moved up to here after it; 0: it was not */
    uint64_t hidden;     /* of the log: entries that retention hides, among those passed */
    zmq_msg_t message;   /* empty if the rest was copied */
    uint8_t copied[];
};

/* A delivery as it arrives. */
struct delivered {
    struct wire_deliver head;
    struct wire_in rest;
    struct wire_standing standing; /* of a verdict or an end */
    zmq_msg_t *message;            /* that holds the delivery */
};

struct spn_subscription {
    struct ring ready;   /* in the ring of subscriptions that have an item to give */
    struct ring pending; /* in the ring of those that have something to send, that must pause before
                            a SUBSCRIBE, or that wait for a part of the bytes */
    struct spn_client *client;
    void *context;
    uint64_t number;
    uint32_t incarnation;
    uint8_t asked; /* the app's start */
    uint8_t start; /* of the next SUBSCRIBE, until it is located */
    uint8_t otherwise;
    bool subscribe; /* a SUBSCRIBE is to be sent; else, in pending, a grant */
    bool known;     /* subscribed, and no end received */
    bool located;   /* the verdict was received: the cursor is (life, received) */
    /* It follows the log: its cursor is a position, its session a prefix, its life the database. */
    bool log;
    bool touches;
    uint64_t hidden; /* entries that retention hides, since the item that was given last */
    bool paused;
    bool ended;   /* its end was received, or it failed */
    bool leaving; /* it failed, and an UNSUBSCRIBE is to be sent: it is in pending */
    bool verdict_given;
    bool caught_up; /* that was given too */
    bool end_given;
    spn_err failed;      /* why it ended, when no delivery had an end */
    uint64_t known_from; /* serial of the last beat before it was subscribed */

    struct spn_life life;
    uint64_t newest; /* seq, when it was located */
    uint64_t received;
    uint64_t given;
    uint64_t bytes;  /* received in this incarnation */
    uint64_t credit; /* granted in this incarnation */
    uint64_t unread;
    uint64_t held;          /* what it adds to the held bytes of all, ... */
    uint64_t readable;      /* ... to the readable ones, ... */
    uint64_t paused_unread; /* ... and to those of the paused */
    uint64_t window;
    uint64_t subscribed_ns;
    uint64_t again_ns;    /* no SUBSCRIBE before this time */
    uint64_t pause_ns;    /* the last one between two SUBSCRIBEs; 0: there was none */
    uint64_t pause_given; /* `given` at that time */

    struct frame *first; /* being read */
    struct frame **end;
    struct wire_in items;             /* of the first frame */
    uint32_t left;                    /* its items that were not given yet */
    bool opened;                      /* it is being given; items and left are set */
    struct spn_item item;             /* as lent to the app, ... */
    struct spn_event event;           /* ... with its event, ... */
    struct spn_attributes attributes; /* ... or these, of the log */

    struct spn_bytes session; /* its bytes follow the struct */
    struct spn_bytes after;
    struct spn_life after_life;
    uint64_t after_seq;
};

struct subscriptions {
    struct client_part part; /* first: the part stands for all subscriptions */
    struct spn_client *client;
    struct spn_subscription **slots; /* NULL: free */
    uint32_t count;
    uint32_t room;
    uint32_t used;
    uint32_t active; /* not ended */
    uint32_t serial; /* in numbers, so that none is used twice */
    uint32_t free_hint;
    uint32_t paused; /* whose end was not given */
    uint32_t known;
    uint32_t expected;
    uint32_t granting;      /* joined pending for a grant since grants were last sent */
    uint64_t held;          /* credit that is not used, and unread bytes */
    uint64_t readable;      /* unread bytes of those that are not paused, ... */
    uint64_t paused_unread; /* ... and of those that are */
    uint64_t beat_serial;   /* of the last beat */
    uint64_t instance;      /* that answered a beat; 0: none did on this connection */
    bool renewed;           /* the connection came anew after the WELCOME */
    uint32_t missed;        /* beats without an answer, one after the other */
    bool heard;             /* something was received since the last beat; true before the first */
    bool beat_all;          /* the next beat has grants for all */
    bool beat_again;        /* grants were not sent: a later beat has grants for all */
    bool forgotten; /* an UNSUBSCRIBE was not sent: the sidecar may go on with deliveries to it */
    uint64_t asked_all_ns;
    bool blocked;     /* read.sock took no more */
    uint64_t resumed; /* verdicts that the app did not see */
    uint64_t beat_ns;
    uint64_t due_ns; /* of the first SUBSCRIBE in resting, or of what found no memory */
    struct ring ready;
    struct ring pending; /* they have something to send */
    struct ring resting; /* they subscribe again later */
    struct ring waiting; /* for a part of the bytes */
};

struct grants {
    struct subscriptions *all;
    uint64_t request;
    struct wire_out out;
    uint32_t count;
    uint8_t bytes[WIRE_HEADER_SIZE + 4 + GRANTS_PER_MESSAGE * WIRE_GRANT_SIZE];
};

/* subscription_table.c */

struct spn_subscription *sub_of_ready(struct ring *link);
struct spn_subscription *sub_of_pending(struct ring *link);
struct subscriptions *sub_all_of(const struct spn_subscription *subscription);
struct spn_subscription *sub_find(const struct subscriptions *all, uint64_t number);
spn_err sub_put_in_slot(struct subscriptions *all, struct spn_subscription *subscription);
void sub_take_from_slot(struct subscriptions *all, const struct spn_subscription *subscription);
void sub_drop_first(struct spn_subscription *subscription);

/* What was received last and not taken back; NULL: nothing. */
struct frame *sub_last_frame(const struct spn_subscription *subscription);

/* The next item of the first frame. False: it cannot be read, or there are more or fewer than the
 * frame's head counts. */
bool sub_next_item(struct spn_subscription *subscription, struct wire_item *ret_item);

/* Drops everything that was received and not given. */
void sub_drop_frames(struct spn_subscription *subscription);

/* Its credit, bytes or unread bytes have changed, it ended, was paused or goes on. */
void sub_account(struct spn_subscription *subscription);

/* What a delivery counts for credit: its items, or a gap of the log with its head. */
static inline uint32_t sub_counted(const struct spn_subscription *subscription,
                                   const struct wire_deliver *head)
{
    if (head->kind == WIRE_GAP && subscription->log)
        return WIRE_LOG_GAP_CREDIT;
    return head->kind == WIRE_EVENTS ? head->size : 0;
}

/* follow_give.c */

/* What became of the next item of a frame. */
enum sub_given {
    SUB_GIVEN,
    SUB_HOLE,       /* it does not continue what was given: subscribing again may help */
    SUB_UNREADABLE, /* it would come again: it is not of this protocol, or of an unknown kind */
};

/* Fills the subscription's item with the next entry of the log. */
enum sub_given sub_give_entry(struct spn_subscription *subscription);

/* What every item of the log has, beside its kind and what that adds. */
void sub_begin_log_item(struct spn_subscription *subscription, spn_item_kind kind);
void sub_give_log_gap(struct spn_subscription *subscription, const struct frame *frame);

/* Where the cursor stands once this frame has been given. */
uint64_t sub_frame_end(const struct frame *frame);

/* Moves the cursor over entries that are not for it: after what was received, or at once. */
void sub_take_progress(struct spn_subscription *subscription, const struct wire_deliver *head);

/* subscription_give.c */

/* Whether there is an item to give. */
bool sub_has_item(const struct spn_subscription *subscription);

/* The unread bytes, if what would be given next is among them. Else 0. */
size_t sub_ready_bytes(const struct spn_subscription *subscription);

/* Takes back what was lent with the last item. */
void sub_take_back(struct spn_subscription *subscription);

/* If it is paused, and what other paused ones have fills the bound: drops what it has, and
 * subscribes again, so that this comes again once there is credit. */
void sub_bound_paused(struct spn_subscription *subscription);

/* Fills the subscription's item with the next one, and takes back what was lent with the last one.
 * False: there is none. */
bool sub_give(struct spn_subscription *subscription);

/* subscription_credit.c */

/* Its end was received. */
void sub_set_ended(struct spn_subscription *subscription);

/* Ends it with an item of its own, after what was received. An UNSUBSCRIBE is sent. */
void sub_fail(struct spn_subscription *subscription, spn_err err);

/* The sidecar may not have it any more. */
void sub_forget_known(struct spn_subscription *subscription);

/* Grants half a window at a time: a grant costs a message, and the sidecar must not run out of
 * credit. */
void sub_note_read(struct spn_subscription *subscription, size_t size);

/* Requests a grant if there is enough to grant. */
void sub_want_grant(struct spn_subscription *subscription);
void sub_want_subscribe(struct spn_subscription *subscription, uint64_t again_ns);

/* The sidecar sent something unexpected: subscribes again. The pause between two SUBSCRIBEs doubles
 * as long as nothing is given in between. */
void sub_subscribe_after_pause(struct spn_subscription *subscription);

/* Sends what waits to be sent, oldest first. */
void sub_send_pending(struct subscriptions *all, uint64_t now_ns);

/* Renews the lease, and lets the sidecar report subscriptions that it does not know. */
void sub_beat(struct subscriptions *all, uint64_t now_ns);

/* All that are known, and were so at the last beat, are subscribed again. */
void sub_subscribe_all(struct subscriptions *all);

/* If the sidecar does not know one subscription, it may not know the others either. The next beat
 * has grants for all. Their answers lead to this call again. */
void sub_ask_for_all(struct subscriptions *all);
spn_err sub_send_unsubscribe(struct spn_client *client, uint64_t number, uint32_t incarnation);

/* Called after an item: sends grants at once, since the app may not call again until there is more.
 * While there are more items, grants gather; the descriptor is readable until they are sent. The
 * next call reports a failure. */
void sub_send_grants(struct spn_client *client);

/* subscription.c */

/* Makes a subscription, without a SUBSCRIBE. session: or a prefix of the log. */
spn_err sub_make(struct spn_client *client, struct spn_bytes session,
                 const struct spn_subscription_options *options,
                 struct spn_subscription **ret_subscription) SPN_MUST_USE;

/* The first SUBSCRIBE of a new one; frees it on failure. */
spn_err sub_start(struct spn_subscription *subscription) SPN_MUST_USE;

/* subscription_take.c */

extern const struct client_part_ops sub_part_ops;

#endif
