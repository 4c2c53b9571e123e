/* SPDX-License-Identifier: Apache-2.0 */
#include "read/subscription.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/link.h"
#include "base/slot_table.h"

#define MS 1000000ull

enum {
    SLICE_BYTES = 256 * 1024, /* one delivery, as a rule */
    SCAN_ENTRIES = 256,
    SCANS_PER_TURN = 8,
    ASKS_MAX = 1024,       /* at the broker; the others wait for their turn */
    RETRIES_PER_TURN = 64, /* of a subscriber's subscriptions that found no room */
    LEASE_LOOK_MS = 1000,
};

enum subscription_state {
    LOCATING, /* its start is not known yet */
    WAITING,  /* for its session to be opened */
    BEHIND,   /* served by slices, while it has credit */
    LIVE,     /* served by the scan */
    ENDING,   /* its end found no room yet */
    STATES,
};

/* What may follow what. Anything may be forgotten.
 *
 *   LOCATING <-> WAITING
 *   LOCATING --> BEHIND <-> LIVE
 *   all but WAITING --> ENDING */
static inline bool may_follow(uint8_t state, uint8_t next)
{
    static const bool table[STATES][STATES] = {
        [LOCATING] = {[WAITING] = true, [BEHIND] = true, [ENDING] = true},
        [WAITING] = {[LOCATING] = true},
        [BEHIND] = {[LIVE] = true, [ENDING] = true},
        [LIVE] = {[BEHIND] = true, [ENDING] = true},
    };
    return table[state][next];
}

/* One client's socket. */
struct subscriber {
    struct outbox_peer *peer;
    uint64_t heard_ns;
    struct link all;
    struct link subscriptions; /* its own */
    struct link blocked;       /* those of them that found no room */
    struct link stalled;       /* in the ring of those that have such */
};

struct subscription {
    struct subscriber *subscriber;
    struct link own;     /* its subscriber's */
    struct link scanned; /* in the ring of those that the scan serves: WAITING, LIVE */
    struct link blocked; /* in its subscriber's ring: it found no room */
    struct link due;     /* in the ring of those that ask, or end, outside of snapshots */
    struct link group;   /* of those that wait for the same name, or follow the same life */
    uint64_t serial;     /* never used twice: tells an ask's answer for a former one apart */
    uint64_t number;
    uint32_t slot;
    uint32_t incarnation;
    uint8_t state;     /* enum subscription_state */
    uint8_t start;     /* enum wire_start, while LOCATING */
    uint8_t otherwise; /* enum wire_otherwise */
    uint8_t ending;    /* ENDING: enum wire_verdict that it ends with; else 0 */
    bool asking;       /* at the broker */
    bool leads;        /* its group: it is the one in by_name, or by_epoch */
    bool indexed; /* in by_epoch, or led by one there: its verdict went out, epoch and next_seq are
                     the cursor */
    uint64_t epoch; /* not indexed: of the start that was asked for, as is next_seq */
    uint64_t next_seq;
    uint64_t missing; /* of its life when its id was not found: the end says so */
    uint64_t credit;
    uint64_t sent;
    uint32_t newest_count; /* items of its newest live delivery, which may still grow ... */
    uint32_t newest_size;  /* ... and their bytes */
    uint8_t *id;           /* of the start; NULL: none, or it is located */
    uint16_t id_size;
    uint8_t name_size;
    uint8_t name[];
};

struct subscriptions {
    struct subscriptions_options options;
    struct slot_table slots;
    struct slot_index by_key;   /* (subscriber, number) */
    struct slot_index by_epoch; /* those that know it: one of each group */
    struct slot_index by_name;  /* WAITING: one of each group */
    struct link subscribers;
    struct link scanned;
    struct link stalled; /* subscribers */
    struct link due;
    uint64_t serial;
    uint64_t position;  /* of the scan; all entries up to it were offered */
    uint64_t looked_ns; /* at leases */
    uint64_t retried_ns;
    size_t asking;
};

/* -- indexes ----------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t value)
{
    return XXH3_64bits(&value, sizeof(value));
}

static uint64_t key_hash(const struct subscriber *subscriber, uint64_t number)
{
    return mix((uint64_t)(uintptr_t)subscriber ^ mix(number));
}

static uint64_t name_hash(struct spn_bytes name)
{
    return XXH3_64bits(name.data, name.size);
}

static struct spn_bytes name_of(const struct subscription *subscription)
{
    return (struct spn_bytes){subscription->name, subscription->name_size};
}

/* NULL: nothing is there. */
static struct subscription *at_slot(const void *owner, uint32_t slot)
{
    return slot_table_at(&((const struct subscriptions *)owner)->slots, slot);
}

static uint64_t key_of(const void *owner, uint32_t slot)
{
    return key_hash(at_slot(owner, slot)->subscriber, at_slot(owner, slot)->number);
}

static uint64_t epoch_of(const void *owner, uint32_t slot)
{
    return mix(at_slot(owner, slot)->epoch);
}

static uint64_t waiting_of(const void *owner, uint32_t slot)
{
    return name_hash(name_of(at_slot(owner, slot)));
}

/* NULL: there is none. */
static struct subscription *find(const struct subscriptions *all,
                                 const struct subscriber *subscriber, uint64_t number)
{
    size_t cursor = 0;
    uint32_t slot;
    while (subscriber && (slot = slot_index_next(&all->by_key, key_hash(subscriber, number),
                                                 &cursor)) != SLOT_NONE) {
        struct subscription *found = at_slot(all, slot);
        if (found->subscriber == subscriber && found->number == number)
            return found;
    }
    return NULL;
}

/* One of those that wait for this name. NULL: nobody does. */
static struct subscription *find_waiting(const struct subscriptions *all, struct spn_bytes name)
{
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = slot_index_next(&all->by_name, name_hash(name), &cursor)) != SLOT_NONE) {
        struct subscription *found = at_slot(all, slot);
        if (found->name_size == name.size && memcmp(found->name, name.data, name.size) == 0)
            return found;
    }
    return NULL;
}

/* One of those that follow this life. NULL: nobody does. */
static struct subscription *find_following(const struct subscriptions *all, uint64_t epoch)
{
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = slot_index_next(&all->by_epoch, mix(epoch), &cursor)) != SLOT_NONE)
        if (at_slot(all, slot)->epoch == epoch)
            return at_slot(all, slot);
    return NULL;
}

/* An index that had all of a group would be searched through for each: 22,000 that waited for one
 * name took seconds to go. leader: any of the group; NULL: it is the first. */
static void join_group(struct slot_index *index, uint64_t hash, struct subscription *leader,
                       struct subscription *subscription)
{
    if (leader) {
        link_join(&leader->group, &subscription->group);
        return;
    }
    slot_index_add(index, hash, subscription->slot);
    subscription->leads = true;
}

static void leave_group(struct slot_index *index, uint64_t hash, struct subscription *subscription)
{
    bool alone = link_alone(&subscription->group);
    struct subscription *next = LINK_OWNER(subscription->group.next, struct subscription, group);
    link_leave(&subscription->group);
    if (!subscription->leads)
        return;
    subscription->leads = false;
    slot_index_remove(index, hash, subscription->slot);
    if (alone)
        return;
    slot_index_add(index, hash, next->slot);
    next->leads = true;
}

/* -- states ------------------------------------------------------------------------------------ */

static void publish_gauges(struct subscriptions *all)
{
    metrics_set(&all->options.metrics->subscriptions, slot_table_used(&all->slots));
    atomic_store(&all->options.commits->watched, !link_alone(&all->scanned));
}

static void enter_state(struct subscriptions *all, struct subscription *subscription)
{
    if (subscription->state == WAITING)
        join_group(&all->by_name, name_hash(name_of(subscription)),
                   find_waiting(all, name_of(subscription)), subscription);
    if (subscription->state == WAITING || subscription->state == LIVE)
        link_join(&all->scanned, &subscription->scanned);
}

static void leave_state(struct subscriptions *all, struct subscription *subscription)
{
    if (subscription->state == WAITING)
        leave_group(&all->by_name, name_hash(name_of(subscription)), subscription);
    link_leave(&subscription->scanned);
}

/* What holds in each state, whatever was sent and whatever failed. */
static void check_state(const struct subscription *subscription)
{
    switch ((enum subscription_state)subscription->state) {
    case LOCATING:
        assert(!subscription->indexed);
        break;
    case WAITING:
        assert(!subscription->indexed && !subscription->asking &&
               link_alone(&subscription->blocked));
        break;
    case BEHIND:
        assert(subscription->indexed && subscription->epoch > 0 && subscription->next_seq > 0);
        break;
    case LIVE:
        assert(subscription->indexed && subscription->epoch > 0 && subscription->next_seq > 0);
        assert(!subscription->asking && link_alone(&subscription->blocked));
        break;
    case ENDING:
        assert(subscription->ending != 0);
        break;
    case STATES:
        assert(false);
    }
}

static void set_state(struct subscriptions *all, struct subscription *subscription,
                      enum subscription_state state)
{
    assert(may_follow(subscription->state, (uint8_t)state));
    leave_state(all, subscription);
    subscription->state = (uint8_t)state;
    enter_state(all, subscription);
    check_state(subscription);
    publish_gauges(all);
}

/* It found no room, or no memory: it goes on when there is some. */
static void block(struct subscriptions *all, struct subscription *subscription)
{
    link_join(&subscription->subscriber->blocked, &subscription->blocked);
    link_join(&all->stalled, &subscription->subscriber->stalled);
}

static void unblock(struct subscription *subscription)
{
    link_leave(&subscription->blocked);
    if (link_alone(&subscription->subscriber->blocked))
        link_leave(&subscription->subscriber->stalled);
}

/* Not inside somebody's snapshot, and not while an index is walked: by the tick. */
static void later(struct subscriptions *all, struct subscription *subscription)
{
    link_join(&all->due, &subscription->due);
}

static void drop_subscriber(struct subscriber *subscriber)
{
    link_leave(&subscriber->all);
    link_leave(&subscriber->stalled);
    subscriber->peer->subscriber = NULL;
    free(subscriber);
}

static void drop_id(struct subscription *subscription)
{
    free(subscription->id);
    subscription->id = NULL;
    subscription->id_size = 0;
}

static void free_subscription(struct subscription *subscription)
{
    drop_id(subscription);
    free(subscription);
}

/* Its subscriber stays. */
static void take_out(struct subscriptions *all, struct subscription *subscription)
{
    struct subscriber *subscriber = subscription->subscriber;
    unblock(subscription);
    link_leave(&subscription->due);
    link_leave(&subscription->own);
    leave_state(all, subscription);
    if (subscription->indexed)
        leave_group(&all->by_epoch, mix(subscription->epoch), subscription);
    slot_index_remove(&all->by_key, key_hash(subscriber, subscription->number), subscription->slot);
    slot_table_remove(&all->slots, subscription->slot);
    all->asking -= subscription->asking ? 1 : 0;
    subscriber->peer->user->subscriptions--;
    free_subscription(subscription);
    publish_gauges(all);
}

static void forget(struct subscriptions *all, struct subscription *subscription)
{
    struct subscriber *subscriber = subscription->subscriber;
    take_out(all, subscription);
    if (link_alone(&subscriber->subscriptions))
        drop_subscriber(subscriber);
}

/* The client is gone: all that it had. */
static void forget_subscriber(struct subscriptions *all, struct subscriber *subscriber)
{
    struct link *next;
    for (struct link *link = subscriber->subscriptions.next; link != &subscriber->subscriptions;
         link = next) {
        next = link->next;
        take_out(all, LINK_OWNER(link, struct subscription, own));
    }
    drop_subscriber(subscriber);
}

/* -- delivering --------------------------------------------------------------------------------

 * What was put into the outbox is delivered, or its client is gone: only then the cursor moves. */

static void put_head(uint8_t *bytes, const struct wire_deliver *deliver)
{
    struct wire_out out = wire_out(bytes, WIRE_DELIVER_HEAD_SIZE);
    wire_put_deliver(&out, deliver);
    assert(!out.bad);
}

static struct wire_deliver delivery(const struct subscription *subscription,
                                    enum wire_delivery kind)
{
    return (struct wire_deliver){.subscription = subscription->number,
                                 .incarnation = subscription->incarnation,
                                 .kind = (uint8_t)kind,
                                 .epoch = subscription->epoch,
                                 .seq = subscription->next_seq > 0 ? subscription->next_seq - 1 : 0,
                                 .bytes = subscription->sent};
}

/* One without items. */
static spn_err deliver_plain(struct subscriptions *all, struct outbox_peer *peer,
                             const struct wire_deliver *deliver)
{
    uint8_t *bytes;
    spn_err err = outbox_deliver(all->options.outbox, peer, 0, WIRE_DELIVER_HEAD_SIZE, &bytes);
    if (err == SPN_OK)
        put_head(bytes, deliver);
    return err;
}

/* An end that finds no room is kept until there is: the client knows no other way to learn it. */
static void end(struct subscriptions *all, struct subscription *subscription, uint8_t verdict)
{
    struct wire_deliver deliver = delivery(subscription, WIRE_END);
    deliver.verdict = verdict;
    deliver.missing = subscription->missing;
    spn_err err = deliver_plain(all, subscription->subscriber->peer, &deliver);
    if (err == SPN_OK || err == SPN_E_UNAVAILABLE) {
        forget(all, subscription);
        return;
    }
    subscription->ending = verdict;
    if (subscription->state != ENDING)
        set_state(all, subscription, ENDING);
    block(all, subscription);
}

/* Of the database: what the age of an event is told by. */
static uint64_t now_ns(const struct subscriptions *all)
{
    return clock_database_ns(all->options.clock);
}

/* -- behind: slices ---------------------------------------------------------------------------- */

static bool may_ask(const struct subscription *subscription)
{
    return !subscription->asking &&
           (subscription->state == LOCATING ||
            (subscription->state == BEHIND && subscription->sent < subscription->credit));
}

/* The life that the name has on disk; 0: none. */
static spn_err look_up_name(struct subscriptions *all, const struct subscription *subscription,
                            uint64_t *ret_epoch)
{
    struct journal_reader *journal = all->options.journal;
    spn_err err = journal_reader_begin(journal);
    *ret_epoch = 0;
    if (err == SPN_OK)
        err = journal_read_name(journal, name_of(subscription), ret_epoch);
    journal_reader_end(journal);
    return err == SPN_E_END ? SPN_OK : err;
}

/* The broker, who writes the log, may be asleep. */
static void note_damage(struct subscriptions *all)
{
    metrics_count(&all->options.metrics->damaged_reads);
    handoff_nudge(all->options.asks);
}

/* The verdict for what does not read back. */
static uint8_t failure(struct subscriptions *all, spn_err err)
{
    if (err != SPN_E_CORRUPT)
        return WIRE_FAILED;
    note_damage(all);
    return WIRE_DAMAGED;
}

/* Asks the broker where the session stands. */
static void ask(struct subscriptions *all, struct subscription *subscription)
{
    uint64_t epoch;
    spn_err err = look_up_name(all, subscription, &epoch);
    if (err != SPN_OK) {
        end(all, subscription, failure(all, err));
        return;
    }
    struct ask *asked = ask_new(ASK_VIEW, 1);
    if (!asked) {
        block(all, subscription);
        return;
    }
    ask_name(asked, 0, name_of(subscription));
    asked->sessions[0].epoch = epoch;
    asked->type = WIRE_SUBSCRIBE;
    asked->slot = subscription->slot;
    asked->serial = subscription->serial;
    subscription->asking = true;
    all->asking++;
    handoff_push(all->options.asks, &asked->node);
}

/* What it has to do next, as far as it is its turn. */
static void go_on_with(struct subscriptions *all, struct subscription *subscription)
{
    if (subscription->state == ENDING)
        end(all, subscription, subscription->ending);
    else if (may_ask(subscription))
        ask(all, subscription);
}

/* As many as may ask at a time; each answer brings us here again. */
static void go_on_with_due(struct subscriptions *all)
{
    while (!link_alone(&all->due) && all->asking < ASKS_MAX) {
        struct subscription *subscription = LINK_OWNER(all->due.next, struct subscription, due);
        link_leave(&subscription->due);
        go_on_with(all, subscription);
    }
}

/* Its verdict is on its way. */
static void begin_at(struct subscriptions *all, struct subscription *subscription, uint64_t epoch,
                     uint64_t next_seq)
{
    subscription->epoch = epoch;
    subscription->next_seq = next_seq;
    join_group(&all->by_epoch, mix(epoch), find_following(all, epoch), subscription);
    subscription->indexed = true;
    drop_id(subscription);
    set_state(all, subscription, BEHIND);
}

/* The start is found: the verdict goes out. If it cannot, the start is looked for again as it was
 * asked for, in the life that the session has by then. */
static spn_err deliver_verdict(struct subscriptions *all, struct subscription *subscription,
                               const struct timeline *timeline, uint64_t from)
{
    uint64_t first = from;
    spn_err err = timeline_retained(timeline, from, now_ns(all), &first);
    if (err == SPN_OK)
        err = slot_index_reserve(&all->by_epoch, 1);
    if (err != SPN_OK)
        return err;
    struct wire_deliver deliver = delivery(subscription, WIRE_VERDICT);
    deliver.verdict = first > from ? WIRE_TRIMMED : WIRE_RESUMED;
    deliver.missing = first - from;
    deliver.epoch = timeline->epoch;
    deliver.seq = first - 1;
    err = deliver_plain(all, subscription->subscriber->peer, &deliver);
    if (err == SPN_OK)
        begin_at(all, subscription, timeline->epoch, first);
    return err;
}

static spn_err locate(struct subscriptions *all, struct subscription *subscription,
                      const struct timeline *timeline)
{
    struct slice_start start = {.start = subscription->start,
                                .epoch = subscription->epoch,
                                .seq = subscription->next_seq,
                                .id = {subscription->id, subscription->id_size}};
    uint64_t from = 1;
    spn_err err = slice_find(timeline, &start, all->options.secret, now_ns(all), &from);
    if ((err == SPN_E_UNKNOWN_ID || err == SPN_E_OTHER_EPOCH) &&
        subscription->otherwise == WIRE_RESTART) {
        from = 1;
        err = SPN_OK;
    }
    if (err == SPN_E_UNKNOWN_ID) {
        spn_err counted = timeline_missing(timeline, now_ns(all), &subscription->missing);
        return counted == SPN_OK ? err : counted;
    }
    return err == SPN_OK ? deliver_verdict(all, subscription, timeline, from) : err;
}

static spn_err deliver_gap(struct subscriptions *all, struct subscription *subscription,
                           uint64_t missing)
{
    struct wire_deliver deliver = delivery(subscription, WIRE_GAP);
    deliver.seq += missing;
    deliver.missing = missing;
    spn_err err = deliver_plain(all, subscription->subscriber->peer, &deliver);
    if (err != SPN_OK)
        return err;
    subscription->next_seq += missing;
    metrics_add(&all->options.metrics->gaps, 1);
    return SPN_OK;
}

static spn_err deliver_slice(struct subscriptions *all, struct subscription *subscription,
                             const struct slice *slice)
{
    uint8_t *bytes;
    size_t size = WIRE_DELIVER_HEAD_SIZE + slice->size;
    spn_err err =
        outbox_deliver(all->options.outbox, subscription->subscriber->peer, 0, size, &bytes);
    if (err != SPN_OK)
        return err;
    subscription->next_seq = slice->head.seq + 1;
    subscription->sent += slice->size;
    struct wire_deliver deliver = delivery(subscription, WIRE_EVENTS);
    deliver.count = slice->head.count;
    deliver.size = (uint32_t)slice->size;
    put_head(bytes, &deliver);
    struct wire_out out = wire_out(bytes + WIRE_DELIVER_HEAD_SIZE, slice->size);
    slice_put(&out, slice);
    assert(!out.bad && wire_out_size(&out) == slice->size);
    metrics_add(&all->options.metrics->replayed, slice->head.count);
    return SPN_OK;
}

/* Somebody begins to depend on the scan who knows of nothing beyond horizon: what was committed
 * since the broker answered is in this snapshot, but not in the view. The scan may have passed it
 * already; then it goes back. To the others that is nothing: they know the seq that they want. */
static void join_scan(struct subscriptions *all, uint64_t horizon)
{
    uint64_t newest = journal_reader_newest(all->options.journal);
    if (horizon > newest)
        horizon = newest;
    if (link_alone(&all->scanned) || all->position > horizon)
        all->position = horizon;
}

/* What the next slice may have, if there is room for it: it is not read for nothing. */
static spn_err deliver_next(struct subscriptions *all, struct subscription *subscription,
                            const struct timeline *timeline)
{
    struct slice *slice = all->options.slice;
    uint64_t left = subscription->credit - subscription->sent;
    size_t bytes_max = left < SLICE_BYTES ? (size_t)left : SLICE_BYTES;
    if (!outbox_has_room(all->options.outbox, subscription->subscriber->peer, bytes_max))
        return SPN_E_BACKPRESSURE;
    spn_err err = slice_read(slice, timeline, subscription->next_seq, bytes_max, now_ns(all));
    if (err == SPN_OK && slice->head.missing > 0)
        err = deliver_gap(all, subscription, slice->head.missing);
    if (err == SPN_OK && slice->head.count > 0)
        err = deliver_slice(all, subscription, slice);
    return err;
}

/* The next slice. When that was the last there is, the scan takes over: it stands at or before what
 * the view knew, so that nothing can fall between. */
static spn_err advance(struct subscriptions *all, struct subscription *subscription,
                       const struct timeline *timeline, uint64_t horizon)
{
    spn_err err = SPN_OK;
    if (subscription->next_seq <= timeline->seq_last && subscription->sent < subscription->credit)
        err = deliver_next(all, subscription, timeline);
    if (err != SPN_OK || subscription->next_seq <= timeline->seq_last)
        return err;
    if (timeline->closed)
        return SPN_E_CLOSED;
    join_scan(all, horizon);
    set_state(all, subscription, LIVE);
    return SPN_OK;
}

/* The verdict says that it waits: a client that knows wants the earliest after a restart. */
static spn_err wait_for_session(struct subscriptions *all, struct subscription *subscription,
                                uint64_t horizon)
{
    spn_err err = slot_index_reserve(&all->by_name, 1);
    if (err != SPN_OK)
        return err;
    struct wire_deliver deliver = delivery(subscription, WIRE_VERDICT);
    deliver.verdict = WIRE_UNKNOWN_SESSION;
    err = deliver_plain(all, subscription->subscriber->peer, &deliver);
    if (err != SPN_OK)
        return err;
    join_scan(all, horizon);
    subscription->start = WIRE_EARLIEST;
    drop_id(subscription);
    set_state(all, subscription, WAITING);
    return SPN_OK;
}

static bool is_to_wait(const struct subscription *subscription, spn_err err)
{
    return err == SPN_E_UNKNOWN_SESSION && subscription->otherwise == WIRE_WAIT &&
           subscription->state == LOCATING;
}

static spn_err go_on(struct subscriptions *all, struct subscription *subscription,
                     const struct ask *answered)
{
    struct timeline timeline;
    spn_err err = timeline_open(&timeline, all->options.journal, &answered->sessions[0].view);
    if (err == SPN_OK && subscription->state == LOCATING)
        err = locate(all, subscription, &timeline);
    else if ((err == SPN_E_UNKNOWN_SESSION && subscription->state == BEHIND) ||
             (err == SPN_OK && timeline.epoch != subscription->epoch))
        err = SPN_E_DELETED; /* the name has no life, or another one by now */
    if (err == SPN_OK)
        err = advance(all, subscription, &timeline, answered->horizon);
    if (is_to_wait(subscription, err))
        err = wait_for_session(all, subscription, answered->horizon);
    return err;
}

void subscriptions_answer(struct subscriptions *all, const struct ask *answered)
{
    struct subscription *subscription = slot_table_at(&all->slots, answered->slot);
    uint8_t verdict = WIRE_FAILED;
    if (!subscription || subscription->serial != answered->serial)
        return; /* it is gone */
    subscription->asking = false;
    all->asking--;
    unblock(subscription);
    spn_err err = answered->err;
    if (err == SPN_OK)
        err = go_on(all, subscription, answered);
    if (err == SPN_OK) {
        later(all, subscription); /* on, while it is behind and has credit */
    } else if (err == SPN_E_BACKPRESSURE || err == SPN_E_NOMEM) {
        block(all, subscription);
    } else if (err != SPN_E_UNAVAILABLE) { /* else its subscriber is gone, and the tick sees it */
        if (!slice_verdict(err, &verdict))
            verdict = failure(all, err);
        end(all, subscription, verdict);
    }
}

/* -- live: the scan ---------------------------------------------------------------------------- */

/* The scan cannot serve it. What ended its session it finds out when it asks. */
static void fall_behind(struct subscriptions *all, struct subscription *subscription)
{
    set_state(all, subscription, BEHIND);
    later(all, subscription);
}

/* One event more, in the same delivery as the one before it, if that is the outbox's newest. */
static spn_err deliver_live(struct subscriptions *all, struct subscription *subscription,
                            uint64_t position, const struct record_entry *entry)
{
    struct outbox *outbox = all->options.outbox;
    struct outbox_peer *peer = subscription->subscriber->peer;
    uint8_t *head;
    uint8_t *item;
    size_t size = slice_entry_size(entry);
    if (!outbox_extend(outbox, peer, subscription->serial, size, &head, &item)) {
        spn_err err = outbox_deliver(outbox, peer, subscription->serial,
                                     WIRE_DELIVER_HEAD_SIZE + size, &head);
        if (err != SPN_OK)
            return err;
        item = head + WIRE_DELIVER_HEAD_SIZE;
        subscription->newest_count = 0;
        subscription->newest_size = 0;
    }
    subscription->newest_count++;
    subscription->newest_size += (uint32_t)size;
    subscription->next_seq = entry->seq + 1;
    subscription->sent += size;
    struct wire_deliver deliver = delivery(subscription, WIRE_EVENTS);
    deliver.count = subscription->newest_count;
    deliver.size = subscription->newest_size;
    put_head(head, &deliver);
    struct wire_out out = wire_out(item, size);
    slice_put_entry(&out, position, entry);
    assert(!out.bad);
    metrics_add(&all->options.metrics->live, 1);
    return SPN_OK;
}

/* What lies below the cursor was delivered by a slice. What lies above it says that something
 * between did not come this way: the slices have it. */
static void offer_event(struct subscriptions *all, struct subscription *subscription,
                        uint64_t position, const struct record_entry *entry)
{
    if (subscription->state != LIVE || entry->seq < subscription->next_seq)
        return;
    bool next = entry->seq == subscription->next_seq;
    bool credit = subscription->sent < subscription->credit;
    if (next && credit && deliver_live(all, subscription, position, entry) == SPN_OK)
        return;
    metrics_add(&all->options.metrics->credit_stalls, next && !credit ? 1 : 0);
    fall_behind(all, subscription);
}

/* The session was closed or deleted. Whoever is behind finds out when it asks. */
static void offer_end(struct subscriptions *all, struct subscription *subscription,
                      const struct record_entry *entry)
{
    if (subscription->state != LIVE)
        return;
    subscription->ending = entry->kind == RECORD_CLOSE ? WIRE_CLOSED : WIRE_DELETED;
    set_state(all, subscription, ENDING);
    later(all, subscription);
}

/* Sessions that somebody waits for are opened by an entry with their name. */
static void offer_open(struct subscriptions *all, const struct record_entry *entry)
{
    struct subscription *subscription;
    while ((subscription = find_waiting(all, entry->data)) != NULL) {
        set_state(all, subscription, LOCATING);
        later(all, subscription);
    }
}

static void offer(struct subscriptions *all, uint64_t position, const struct record_entry *entry)
{
    if (entry->kind == RECORD_OPEN) {
        offer_open(all, entry);
        return;
    }
    struct subscription *first = find_following(all, entry->epoch);
    struct subscription *at = first;
    while (at) {
        struct subscription *next = LINK_OWNER(at->group.next, struct subscription, group);
        if (record_is_stored(entry->kind))
            offer_event(all, at, position, entry);
        else
            offer_end(all, at, entry);
        at = next == first ? NULL : next;
    }
}

/* Entries were trimmed before the scan came to them, or are damaged. Whoever depends on it finds
 * out from the index what it missed. */
static void pass_hole(struct subscriptions *all, uint64_t position)
{
    all->position = position - 1;
    while (!link_alone(&all->scanned)) {
        struct subscription *subscription =
            LINK_OWNER(all->scanned.next, struct subscription, scanned);
        if (subscription->state == LIVE) {
            fall_behind(all, subscription);
        } else {
            set_state(all, subscription, LOCATING);
            later(all, subscription);
        }
    }
}

/* The session that has the damaged entry is not known; each finds out for itself. */
static void pass_damage(struct subscriptions *all, uint64_t position)
{
    note_damage(all);
    pass_hole(all, position + 1);
}

/* One short snapshot, which ends where damage is met; true: there is more. */
static bool scan_slice(struct subscriptions *all)
{
    struct journal_reader *journal = all->options.journal;
    struct record_entry entry;
    uint64_t position;
    int count = 0;
    spn_err err = journal_reader_begin(journal);
    while (err == SPN_OK && count < SCAN_ENTRIES) {
        err = journal_read_entry_from(journal, all->position + 1, &position, &entry);
        if (err == SPN_E_END && journal_reader_newest(journal) > all->position)
            pass_hole(all, journal_reader_newest(journal) + 1);
        if (err == SPN_E_CORRUPT)
            pass_damage(all, position);
        if (err != SPN_OK)
            break;
        if (position > all->position + 1)
            pass_hole(all, position);
        offer(all, position, &entry);
        all->position = position;
        count++;
    }
    journal_reader_end(journal);
    outbox_flush(all->options.outbox);
    return count == SCAN_ENTRIES || err == SPN_E_CORRUPT;
}

bool subscriptions_scan(struct subscriptions *all)
{
    int scans = 0;
    while (!link_alone(&all->scanned) &&
           atomic_load(&all->options.commits->durable) > all->position) {
        if (scans++ == SCANS_PER_TURN)
            return true;
        if (!scan_slice(all))
            break;
    }
    return false;
}

/* -- requests ---------------------------------------------------------------------------------- */

static struct subscriber *take_subscriber(struct subscriptions *all, struct outbox_peer *peer)
{
    struct subscriber *subscriber = peer->subscriber;
    if (!subscriber) {
        subscriber = calloc(1, sizeof(*subscriber));
        if (!subscriber)
            return NULL;
        subscriber->peer = peer;
        link_init(&subscriber->all);
        link_init(&subscriber->subscriptions);
        link_init(&subscriber->blocked);
        link_init(&subscriber->stalled);
        link_join(&all->subscribers, &subscriber->all);
        peer->subscriber = subscriber;
    }
    subscriber->heard_ns = all->options.clock->monotonic_ns();
    return subscriber;
}

/* A slot that will be taken. A user may have no more than what is left to the others. */
static spn_err reserve_slot(struct subscriptions *all, const struct user *user)
{
    if (user->subscriptions >= SUBSCRIPTIONS_MAX - slot_table_used(&all->slots))
        return SPN_E_LIMIT;
    return slot_table_reserve(&all->slots);
}

static struct subscription *make(struct subscriptions *all, const struct wire_subscribe *from)
{
    struct subscription *subscription = malloc(sizeof(*subscription) + from->session.size);
    uint8_t *id = from->id.size > 0 ? malloc(from->id.size) : NULL;
    if (!subscription || (from->id.size > 0 && !id)) {
        free(subscription);
        free(id);
        return NULL;
    }
    *subscription = (struct subscription){
        .serial = ++all->serial,
        .number = from->subscription,
        .incarnation = from->incarnation,
        .start = from->start,
        .otherwise = from->otherwise,
        .epoch = from->epoch,
        .next_seq = from->seq,
        .credit = from->credit,
        .id = id,
        .id_size = (uint16_t)from->id.size,
        .name_size = (uint8_t)from->session.size,
    };
    memcpy(subscription->name, from->session.data, from->session.size);
    if (id)
        memcpy(id, from->id.data, from->id.size);
    link_init(&subscription->own);
    link_init(&subscription->scanned);
    link_init(&subscription->blocked);
    link_init(&subscription->due);
    link_init(&subscription->group);
    return subscription;
}

static spn_err add(struct subscriptions *all, struct subscriber *subscriber,
                   const struct wire_subscribe *from)
{
    spn_err err = slot_index_reserve(&all->by_key, 1);
    if (err == SPN_OK)
        err = reserve_slot(all, subscriber->peer->user);
    if (err != SPN_OK)
        return err;
    struct subscription *subscription = make(all, from);
    if (!subscription)
        return SPN_E_NOMEM;
    subscription->subscriber = subscriber;
    subscription->slot = slot_table_add(&all->slots, subscription);
    link_join(&subscriber->subscriptions, &subscription->own);
    subscriber->peer->user->subscriptions++;
    slot_index_add(&all->by_key, key_hash(subscriber, subscription->number), subscription->slot);
    publish_gauges(all);
    later(all, subscription);
    return SPN_OK;
}

spn_err subscriptions_subscribe(struct subscriptions *all, struct outbox_peer *peer,
                                struct wire_in in)
{
    struct wire_subscribe request;
    wire_get_subscribe(&in, &request);
    if (!wire_in_done(&in))
        return SPN_E_PROTOCOL;
    spn_err err = wire_check_session(request.session);
    if (err == SPN_OK && request.start == WIRE_AFTER_ID)
        err = request.id.size > 0 ? wire_check_id(request.id) : SPN_E_BAD_ID;
    if (err != SPN_OK)
        return err;
    if (request.start != WIRE_AFTER_ID)
        request.id.size = 0;
    struct subscriber *subscriber = take_subscriber(all, peer);
    if (!subscriber)
        return SPN_E_NOMEM;
    struct subscription *former = find(all, subscriber, request.subscription);
    if (former && former->incarnation >= request.incarnation)
        return SPN_E_INVALID;
    if (former)
        take_out(all, former);
    err = add(all, subscriber, &request);
    if (link_alone(&subscriber->subscriptions))
        drop_subscriber(subscriber);
    return err;
}

/* NULL: there is no such one. */
static struct subscription *find_granted(const struct subscriptions *all,
                                         const struct outbox_peer *peer,
                                         const struct wire_grant *which)
{
    struct subscription *found = find(all, peer->subscriber, which->subscription);
    return found && found->incarnation == which->incarnation ? found : NULL;
}

/* That there is none. False: there is no room for that; its client reads nothing, and will ask
 * again. */
static bool tell_gone(struct subscriptions *all, struct outbox_peer *peer,
                      const struct wire_grant *which)
{
    struct wire_deliver gone = {.subscription = which->subscription,
                                .incarnation = which->incarnation,
                                .kind = WIRE_END,
                                .verdict = WIRE_UNSUBSCRIBED};
    bool told = deliver_plain(all, peer, &gone) == SPN_OK;
    if (!told)
        metrics_add(&all->options.metrics->answers_dropped, 1);
    return told;
}

static void grant(struct subscriptions *all, struct subscription *subscription,
                  const struct wire_grant *grant)
{
    if (grant->credit > subscription->credit)
        subscription->credit = grant->credit;
    if (may_ask(subscription) && link_alone(&subscription->blocked))
        later(all, subscription);
}

spn_err subscriptions_credit(struct subscriptions *all, struct outbox_peer *peer, struct wire_in in)
{
    struct wire_in look = in;
    struct wire_grant one;
    uint32_t count;
    wire_get_grants(&look, &count);
    for (uint32_t i = 0; !look.bad && i < count; i++)
        wire_get_grant(&look, &one);
    if (!wire_in_done(&look))
        return SPN_E_PROTOCOL;
    if (peer->subscriber)
        peer->subscriber->heard_ns = all->options.clock->monotonic_ns();
    bool has_room = true;
    wire_get_grants(&in, &count);
    for (uint32_t i = 0; i < count; i++) {
        wire_get_grant(&in, &one);
        struct subscription *subscription = find_granted(all, peer, &one);
        if (subscription)
            grant(all, subscription, &one);
        else if (has_room) /* of 4,096 that found none the first is enough */
            has_room = tell_gone(all, peer, &one);
    }
    return SPN_OK;
}

spn_err subscriptions_unsubscribe(struct subscriptions *all, struct outbox_peer *peer,
                                  struct wire_in in)
{
    struct wire_grant which;
    wire_get_grant(&in, &which);
    if (!wire_in_done(&in) || which.credit != 0)
        return SPN_E_PROTOCOL;
    struct subscription *subscription = find_granted(all, peer, &which);
    if (subscription)
        forget(all, subscription);
    else
        (void)tell_gone(all, peer, &which);
    return SPN_OK;
}

/* -- time -------------------------------------------------------------------------------------- */

static void forget_gone(struct subscriptions *all)
{
    struct outbox_peer *peer = NULL;
    while ((peer = outbox_next_gone(all->options.outbox, peer)) != NULL)
        forget_subscriber(all, peer->subscriber);
}

static void look_at_leases(struct subscriptions *all, uint64_t now)
{
    struct link *next;
    all->looked_ns = now;
    for (struct link *link = all->subscribers.next; link != &all->subscribers; link = next) {
        struct subscriber *subscriber = LINK_OWNER(link, struct subscriber, all);
        next = link->next;
        if (now - subscriber->heard_ns > LEASE_MS * MS)
            forget_subscriber(all, subscriber);
    }
}

/* What many subscriptions took, when few are left. */
static void give_back(struct subscriptions *all)
{
    slot_table_shrink(&all->slots);
    slot_index_shrink(&all->by_key);
    slot_index_shrink(&all->by_epoch);
    slot_index_shrink(&all->by_name);
}

/* Some of those of one that has room again. */
static void retry_some(struct subscriptions *all, struct subscriber *subscriber)
{
    for (int i = 0; i < RETRIES_PER_TURN && !link_alone(&subscriber->blocked); i++) {
        struct subscription *subscription =
            LINK_OWNER(subscriber->blocked.next, struct subscription, blocked);
        unblock(subscription);
        later(all, subscription);
    }
}

/* A look at each subscriber that had no room, not at what it has. */
static void retry_blocked(struct subscriptions *all, uint64_t now)
{
    struct link *next;
    all->retried_ns = now;
    for (struct link *link = all->stalled.next; link != &all->stalled; link = next) {
        struct subscriber *subscriber = LINK_OWNER(link, struct subscriber, stalled);
        next = link->next;
        if (outbox_has_room(all->options.outbox, subscriber->peer, SLICE_BYTES))
            retry_some(all, subscriber);
    }
}

long subscriptions_tick(struct subscriptions *all)
{
    uint64_t now = all->options.clock->monotonic_ns();
    forget_gone(all);
    if (!link_alone(&all->stalled) && now - all->retried_ns >= OUTBOX_RETRY_MS * MS)
        retry_blocked(all, now);
    bool looks = now - all->looked_ns >= LEASE_LOOK_MS * MS;
    if (looks)
        look_at_leases(all, now);
    if (looks || link_alone(&all->subscribers))
        give_back(all);
    go_on_with_due(all);
    if (!link_alone(&all->stalled))
        return OUTBOX_RETRY_MS;
    return link_alone(&all->subscribers) ? -1 : LEASE_LOOK_MS;
}

/* -- life -------------------------------------------------------------------------------------- */

spn_err subscriptions_new(struct subscriptions **ret_subscriptions,
                          const struct subscriptions_options *options)
{
    struct subscriptions *all = calloc(1, sizeof(*all));
    if (!all)
        return SPN_E_NOMEM;
    all->options = *options;
    link_init(&all->subscribers);
    link_init(&all->scanned);
    link_init(&all->stalled);
    link_init(&all->due);
    spn_err err = slot_index_init(&all->by_key, key_of, all);
    if (err == SPN_OK)
        err = slot_index_init(&all->by_epoch, epoch_of, all);
    if (err == SPN_OK)
        err = slot_index_init(&all->by_name, waiting_of, all);
    if (err != SPN_OK) {
        subscriptions_free(all);
        return err;
    }
    *ret_subscriptions = all;
    return SPN_OK;
}

void subscriptions_free(struct subscriptions *all)
{
    if (!all)
        return;
    struct link *next;
    for (struct link *link = all->subscribers.next; link != &all->subscribers; link = next) {
        next = link->next;
        forget_subscriber(all, LINK_OWNER(link, struct subscriber, all));
    }
    slot_index_release(&all->by_key);
    slot_index_release(&all->by_epoch);
    slot_index_release(&all->by_name);
    slot_table_release(&all->slots);
    free(all);
}
