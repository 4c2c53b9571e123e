/* SPDX-License-Identifier: Apache-2.0 */
/* feed: what the readers of a session that are caught up share: one subscription, and the text of
 * its newest events, so that the sidecar sends an event once and it is formatted once.
 *
 * A reader becomes a member when its cursor meets the feed's: where a block begins. Until then it
 * goes on by its own subscription, as a candidate. The first member gives its subscription to the
 * feed. The feed takes the next event when a member has everything and no member is ready to take
 * what is there; so the fastest reader sets the pace, and what the daemon is asked for is no more
 * than one reader would. A member that needs a block which is gone, since it is slow, leaves and
 * subscribes from its cursor; so do all when the subscription says anything but an event or its
 * end. Without memory for the next event the feed waits, and its members with it.
 *
 * Owns     the feeds, each with its subscription, its members and its candidates.
 * Borrows  members: they leave before they go; the memory.
 * Threads  one.
 */
#ifndef SPN_HTTP_FEED_H
#define SPN_HTTP_FEED_H

#include "base/link.h"
#include "base/slot_index.h"
#include "base/slot_table.h"
#include "http/feed_ring.h"
#include "http/taker.h"
#include "sponson.h"

struct feed_member; /* a reader's part in it; zeros and link_init: in no feed */

struct feed_calls {
    /* The member goes on by the feed from its seq. */
    void (*joined)(struct feed_member *member);
    /* feed_next will give it something. */
    void (*ready)(struct feed_member *member);
};

struct feeds {
    struct memory *memory;
    struct slot_table table;
    struct slot_index index; /* by life */
    struct link busy;        /* feeds with members that are ready */
};

struct feed_member {
    const struct feed_calls *calls;
    struct feed *feed; /* NULL: none */
    struct link link;  /* among the feed's candidates, or its waiting or ready members */
    uint64_t seq;      /* the reader's cursor; what feed_next gave moves it */
    uint64_t next;     /* number of its next block */
    bool is_member;
    bool is_waiting;
};

enum feed_answer {
    FEED_BLOCK,
    FEED_NONE,  /* `ready` follows */
    FEED_LEAVE, /* it is in no feed any more: it is too far behind, or the feed is over */
};

spn_err feeds_init(struct feeds *feeds, struct memory *memory) SPN_MUST_USE;
void feeds_release(struct feeds *feeds);

/* The reader would go on by a feed. Its subscription has given everything up to member->seq, of
 * this life; it may become the feed's: then *subscription is NULL. Called again whenever its seq
 * has moved, until it has joined. */
void feed_want(struct feeds *feeds, struct feed_member *member, struct spn_bytes session,
               const struct spn_life *life, spn_subscription **subscription);

/* Takes a member, a candidate, or neither. */
void feed_leave(struct feed_member *member);

/* Whether the feed keeps blocks that count, because this member has not taken all of them. */
bool feed_keeps_for(const struct feed_member *member);

/* The member's next block, with a reference for it. FEED_LEAVE: *ret_why is how the session ended,
 * SPN_E_CLOSED or SPN_E_DELETED; SPN_OK: subscribe from the cursor. */
enum feed_answer feed_next(struct feed_member *member, struct feed_block **ret_block,
                           spn_err *ret_why);

/* Calls ready for so many members. Returns for how many. */
unsigned feeds_turn(struct feeds *feeds, unsigned most);
static inline bool feeds_are_due(const struct feeds *feeds)
{
    return !link_alone(&feeds->busy);
}

#endif
