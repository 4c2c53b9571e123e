/* SPDX-License-Identifier: Apache-2.0 */
#include "http/feed.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "http/stream_text.h"

struct feed {
    struct taker taker;
    struct feeds *feeds;
    spn_subscription *subscription;
    struct spn_life life;
    struct feed_ring ring;
    struct link busy;       /* in feeds.busy */
    struct link candidates; /* readers that have not met the ring */
    struct link waiting;    /* members that have everything */
    struct link ready;      /* members that had everything before the newest block */
    unsigned members;       /* these, and those that write */
    unsigned waiting_count;
    uint32_t slot;             /* SLOT_NONE: over, and nobody finds it */
    spn_err why;               /* it is over */
    struct memory_share share; /* of what is to come next */
    bool is_kept;              /* a call is under way: it is not freed */
    size_t session_size;
    char session[];
};

/* -- the table --------------------------------------------------------------------------------- */

/* A life is drawn at random by the sidecar. */
static uint64_t hash_of(const struct spn_life *life)
{
    uint64_t hash;
    _Static_assert(sizeof(*life) >= sizeof(hash), "a life is longer than its hash");
    memcpy(&hash, life, sizeof(hash));
    return hash;
}

static uint64_t hash_of_slot(const void *owner, uint32_t slot)
{
    const struct feeds *feeds = owner;
    const struct feed *feed = slot_table_at(&feeds->table, slot);
    return hash_of(&feed->life);
}

spn_err feeds_init(struct feeds *feeds, struct memory *memory)
{
    *feeds = (struct feeds){.memory = memory};
    link_init(&feeds->busy);
    return slot_index_init(&feeds->index, hash_of_slot, feeds);
}

void feeds_release(struct feeds *feeds)
{
    slot_index_release(&feeds->index);
    slot_table_release(&feeds->table);
}

static struct feed *find(const struct feeds *feeds, struct spn_bytes session,
                         const struct spn_life *life)
{
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = slot_index_next(&feeds->index, hash_of(life), &cursor)) != SLOT_NONE) {
        struct feed *feed = slot_table_at(&feeds->table, slot);
        if (memcmp(&feed->life, life, sizeof(*life)) == 0 && feed->session_size == session.size &&
            memcmp(feed->session, session.data, session.size) == 0)
            return feed;
    }
    return NULL;
}

static void remove_from_table(struct feed *feed)
{
    struct feeds *feeds = feed->feeds;
    if (feed->slot == SLOT_NONE)
        return;
    slot_index_remove(&feeds->index, hash_of(&feed->life), feed->slot);
    slot_table_remove(&feeds->table, feed->slot);
    slot_index_shrink(&feeds->index);
    slot_table_shrink(&feeds->table);
    feed->slot = SLOT_NONE;
}

/* -- members ----------------------------------------------------------------------------------- */

static void set_down(struct feed_member *member)
{
    member->feed->waiting_count -= member->is_waiting;
    member->is_waiting = false;
    link_leave(&member->link);
}

static void let_candidates_go(struct feed *feed)
{
    while (!link_alone(&feed->candidates)) {
        struct feed_member *member = LINK_OWNER(feed->candidates.next, struct feed_member, link);
        link_leave(&member->link);
        member->feed = NULL;
    }
}

/* Then nobody needs the blocks any more. */
static void clear_if_all_wait(struct feed *feed)
{
    if (feed->waiting_count == feed->members)
        feed_ring_clear(&feed->ring);
}

static void free_if_empty(struct feed *feed)
{
    if (feed->is_kept || feed->members > 0)
        return;
    remove_from_table(feed);
    let_candidates_go(feed);
    feed_ring_clear(&feed->ring);
    memory_release(&feed->share);
    spn_unsubscribe(feed->subscription);
    link_leave(&feed->busy);
    free(feed);
}

void feed_leave(struct feed_member *member)
{
    struct feed *feed = member->feed;
    if (feed == NULL)
        return;
    set_down(member);
    member->feed = NULL;
    feed->members -= member->is_member;
    member->is_member = false;
    clear_if_all_wait(feed);
    free_if_empty(feed);
}

static void make_ready(struct feed *feed, struct feed_member *member)
{
    link_join(&feed->ready, &member->link);
    link_join(&feed->feeds->busy, &feed->busy);
}

static bool join_if_met(struct feed *feed, struct feed_member *member)
{
    if (!feed_ring_find(&feed->ring, member->seq, &member->next))
        return false;
    link_leave(&member->link);
    member->is_member = true;
    feed->members++;
    member->calls->joined(member);
    make_ready(feed, member);
    return true;
}

static void let_candidates_join(struct feed *feed)
{
    struct link *next;
    for (struct link *link = feed->candidates.next; link != &feed->candidates; link = next) {
        next = link->next;
        (void)join_if_met(feed, LINK_OWNER(link, struct feed_member, link));
    }
}

static void wake_waiting(struct feed *feed)
{
    while (!link_alone(&feed->waiting)) {
        struct feed_member *member = LINK_OWNER(feed->waiting.next, struct feed_member, link);
        set_down(member);
        make_ready(feed, member);
    }
}

/* -- the subscription -------------------------------------------------------------------------- */

static void end(struct feed *feed, spn_err why)
{
    spn_unsubscribe(feed->subscription);
    feed->subscription = NULL;
    memory_release(&feed->share);
    feed->why = why;
    remove_from_table(feed);
    let_candidates_go(feed);
    wake_waiting(feed);
}

/* Whether the next event is wanted now. */
static bool is_wanted(const struct feed *feed)
{
    return feed->subscription != NULL && !link_alone(&feed->waiting) && link_alone(&feed->ready) &&
           !memory_is_waiting(&feed->share);
}

static void settle(struct feed *feed)
{
    if (!is_wanted(feed) && !memory_is_waiting(&feed->share))
        memory_hold(&feed->share, 0);
    if (feed->subscription != NULL &&
        spn_subscription_pause(feed->subscription, !is_wanted(feed)) != SPN_OK)
        end(feed, SPN_OK);
}

/* Puts an item into the block. False: it cannot be told to all members at once, and the feed is
 * over. */
static bool put_item(struct feed *feed, struct feed_block *block, const struct spn_item *item)
{
    if (item->kind == SPN_ITEM_CAUGHT_UP)
        return true;
    if (item->kind != SPN_ITEM_EVENT || item->seq <= feed->ring.seq) {
        bool has_ended =
            item->kind == SPN_ITEM_END && (item->why == SPN_E_CLOSED || item->why == SPN_E_DELETED);
        end(feed, has_ended ? item->why : SPN_OK);
        return false;
    }
    if (!stream_text_event(&block->text, item->event)) {
        end(feed, SPN_OK);
        return false;
    }
    if (block->events++ == 0)
        block->time_ms = item->event->time_ms;
    block->seq = item->seq;
    return true;
}

/* Makes a block of this item and those that follow at once. */
static void take(struct feed *feed, const struct spn_item *item)
{
    struct feed_block *block = feed_block_new(feed->feeds->memory);
    memory_hold(&feed->share, 0); /* the block is counted in its place */
    if (block == NULL) {
        end(feed, SPN_OK);
        return;
    }
    bool goes_on = put_item(feed, block, item);
    while (goes_on && block->text.size < FEED_BLOCK_ENOUGH &&
           memory_may_take(&feed->share, MEMORY_SMALL + 1) &&
           spn_subscription_next(feed->subscription, 0, &item) == SPN_OK)
        goes_on = put_item(feed, block, item);
    if (block->events == 0) {
        feed_block_release(block);
        return;
    }
    memory_hold(&block->share, block->text.size);
    feed_ring_append(&feed->ring, block);
    let_candidates_join(feed);
    wake_waiting(feed);
}

static void on_item(struct taker *taker, const struct spn_item *item)
{
    struct feed *feed = LINK_OWNER(taker, struct feed, taker);
    take(feed, item);
    settle(feed);
}

static bool may_take(struct taker *taker, size_t bytes)
{
    struct feed *feed = LINK_OWNER(taker, struct feed, taker);
    if (memory_may_take(&feed->share, bytes))
        return true;
    memory_wait(&feed->share, bytes);
    settle(feed);
    return false;
}

static void on_room(struct memory_share *share)
{
    settle(LINK_OWNER(share, struct feed, share));
}

/* -- what readers call ------------------------------------------------------------------------- */

static spn_err feed_new(struct feeds *feeds, struct spn_bytes session, const struct spn_life *life,
                        uint64_t seq, struct feed **ret_feed)
{
    struct feed *feed = calloc(1, sizeof(*feed) + session.size);
    if (feed == NULL)
        return SPN_E_NOMEM;
    spn_err err = slot_table_reserve(&feeds->table);
    if (err == SPN_OK)
        err = slot_index_reserve(&feeds->index, 1);
    if (err != SPN_OK) {
        free(feed);
        return err;
    }
    feed->taker = (struct taker){.on_item = on_item, .may_take = may_take};
    memory_share_init(&feed->share, feeds->memory, on_room);
    feed->feeds = feeds;
    feed->life = *life;
    feed_ring_init(&feed->ring, seq);
    link_init(&feed->busy);
    link_init(&feed->candidates);
    link_init(&feed->waiting);
    link_init(&feed->ready);
    feed->session_size = session.size;
    memcpy(feed->session, session.data, session.size);
    feed->slot = slot_table_add(&feeds->table, feed);
    slot_index_add(&feeds->index, hash_of(life), feed->slot);
    *ret_feed = feed;
    return SPN_OK;
}

void feed_want(struct feeds *feeds, struct feed_member *member, struct spn_bytes session,
               const struct spn_life *life, spn_subscription **subscription)
{
    if (member->is_member)
        return;
    struct feed *feed = member->feed != NULL ? member->feed : find(feeds, session, life);
    if (feed == NULL) {
        if (feed_new(feeds, session, life, member->seq, &feed) != SPN_OK)
            return; /* it goes on by itself */
        feed->subscription = *subscription;
        *subscription = NULL;
        spn_subscription_set_context(feed->subscription, &feed->taker);
    }
    member->feed = feed;
    if (join_if_met(feed, member))
        settle(feed);
    else
        link_join(&feed->candidates, &member->link);
}

bool feed_keeps_for(const struct feed_member *member)
{
    return member->is_member && !member->is_waiting && feed_ring_counts(&member->feed->ring);
}

static enum feed_answer wait_for_block(struct feed_member *member)
{
    struct feed *feed = member->feed;
    member->is_waiting = true;
    feed->waiting_count++;
    assert(feed->waiting_count <= feed->members);
    link_join(&feed->waiting, &member->link);
    clear_if_all_wait(feed);
    settle(feed);
    return FEED_NONE;
}

/* Fetches the next events in the same turn, if nobody else would have to wait for these to be
 * written. */
static void fetch(struct feed *feed)
{
    const struct spn_item *item;
    if (feed->subscription == NULL || !link_alone(&feed->ready) ||
        !memory_may_take(&feed->share, MEMORY_SMALL + 1))
        return; /* what waits is looked at, with its size, when it is given */
    if (spn_subscription_pause(feed->subscription, false) == SPN_OK &&
        spn_subscription_next(feed->subscription, 0, &item) == SPN_OK)
        take(feed, item);
}

enum feed_answer feed_next(struct feed_member *member, struct feed_block **ret_block,
                           spn_err *ret_why)
{
    struct feed *feed = member->feed;
    assert(member->is_member);
    set_down(member);
    if (member->next == feed->ring.end)
        fetch(feed);
    struct feed_block *block = feed_ring_at(&feed->ring, member->next);
    if (block != NULL) {
        member->next++;
        member->seq = block->seq;
        block->references++;
        *ret_block = block;
        settle(feed);
        return FEED_BLOCK;
    }
    if (member->next == feed->ring.end && feed->slot != SLOT_NONE)
        return wait_for_block(member);
    *ret_why = member->next == feed->ring.end ? feed->why : SPN_OK;
    feed_leave(member);
    return FEED_LEAVE;
}

/* -- turns ------------------------------------------------------------------------------------- */

static unsigned serve(struct feed *feed, unsigned most)
{
    unsigned served = 0;
    feed->is_kept = true;
    for (; served < most && !link_alone(&feed->ready); served++) {
        struct feed_member *member = LINK_OWNER(feed->ready.next, struct feed_member, link);
        link_leave(&member->link);
        member->calls->ready(member);
    }
    feed->is_kept = false;
    link_leave(&feed->busy);
    if (!link_alone(&feed->ready))
        link_join(&feed->feeds->busy, &feed->busy); /* at the end: others have their turn */
    settle(feed);
    free_if_empty(feed);
    return served;
}

unsigned feeds_turn(struct feeds *feeds, unsigned most)
{
    unsigned left = most;
    struct link *next; /* whoever becomes busy meanwhile may be left for the next turn */
    for (struct link *link = feeds->busy.next; left > 0 && link != &feeds->busy; link = next) {
        next = link->next;
        left -= serve(LINK_OWNER(link, struct feed, busy), left);
    }
    return most - left;
}
