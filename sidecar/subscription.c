/* SPDX-License-Identifier: Apache-2.0 */
#include "subscription.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "parcel.h"

#define MS 1000000ull

enum {
    SLICE_BYTES = 256 * 1024, /* one delivery, as a rule */
    SCAN_ENTRIES = 256,
    BLOCKED_RETRY_MS = 10,
    LEASE_LOOK_MS = 1000,
    SLOTS_FIRST = 64,
    HEADS_SIZE = WIRE_HEADER_SIZE + WIRE_DELIVERIES_HEAD_SIZE + WIRE_DELIVER_HEAD_SIZE,
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
static const bool may_follow[STATES][STATES] = {
    [LOCATING] = {[WAITING] = true, [BEHIND] = true, [ENDING] = true},
    [WAITING] = {[LOCATING] = true},
    [BEHIND] = {[LIVE] = true, [ENDING] = true},
    [LIVE] = {[BEHIND] = true, [ENDING] = true},
};

/* One client's socket. */
struct subscriber {
    struct peer peer;
    uint64_t heard_ns;
    size_t count; /* subscriptions */
    struct subscriber *next;
};

struct subscription {
    struct subscriber *subscriber;
    uint64_t serial; /* never used twice: tells an ask's answer for a former one apart */
    uint64_t number;
    uint32_t incarnation;
    uint8_t state;     /* enum subscription_state */
    uint8_t start;     /* enum wire_start, while LOCATING */
    uint8_t otherwise; /* enum wire_otherwise */
    bool asking;       /* at the broker */
    bool blocked;      /* its socket was full */
    bool due;          /* in the list of those that ask once the snapshot is over */
    bool indexed;      /* in by_epoch: its verdict went out, epoch and next_seq are the cursor */
    bool dirty;        /* in the list of those that this scan has something for */
    uint8_t ending;    /* enum wire_verdict that it ends with after what it has; 0: none */
    uint64_t epoch;    /* not indexed: of the start that was asked for, as is next_seq */
    uint64_t next_seq;
    uint64_t credit;
    uint64_t sent;
    struct spn_bytes name; /* in texts */
    struct spn_bytes id;   /* in texts */

    struct parcel *out; /* deliveries of this scan, in one message */
    size_t out_size;
    size_t out_room;
    uint32_t out_count;
    uint32_t next_dirty;
    uint32_t next_due;
    uint8_t texts[]; /* the session's name, then the id */
};

struct subscriptions {
    struct subscriptions_options options;
    struct subscription **slots; /* NULL: free */
    uint32_t count;
    uint32_t room;
    uint32_t used;
    struct slot_index by_key;   /* (subscriber, number) */
    struct slot_index by_epoch; /* those that know it */
    struct slot_index by_name;  /* WAITING */
    struct subscriber *subscribers;
    uint64_t serial;
    uint64_t scanned;   /* position; all entries up to it were offered */
    uint64_t looked_ns; /* at leases */
    size_t live;
    size_t waiting;
    size_t blocked;
    uint64_t retried_ns; /* blocked ones */
    uint32_t dirty;      /* list of slots */
    uint32_t due;        /* the same */
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

static const struct subscription *at_slot(const void *owner, uint32_t slot)
{
    return ((const struct subscriptions *)owner)->slots[slot];
}

static uint64_t key_of(const void *owner, uint32_t slot)
{
    return key_hash(at_slot(owner, slot)->subscriber, at_slot(owner, slot)->number);
}

static uint64_t epoch_of(const void *owner, uint32_t slot)
{
    return mix(at_slot(owner, slot)->epoch);
}

static uint64_t name_of(const void *owner, uint32_t slot)
{
    return name_hash(at_slot(owner, slot)->name);
}

static uint32_t find(const struct subscriptions *all, const struct subscriber *subscriber,
                     uint64_t number)
{
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = slot_index_next(&all->by_key, key_hash(subscriber, number), &cursor)) !=
           SLOT_NONE)
        if (all->slots[slot]->subscriber == subscriber && all->slots[slot]->number == number)
            return slot;
    return SLOT_NONE;
}

/* -- states ------------------------------------------------------------------------------------ */

static void publish_gauges(struct subscriptions *all)
{
    metrics_set(&all->options.metrics->subscriptions, all->used);
    atomic_store(&all->options.worker->watched, all->live + all->waiting > 0);
}

static void count_state(struct subscriptions *all, uint32_t slot, bool in)
{
    const struct subscription *subscription = all->slots[slot];
    if (subscription->state == WAITING && in)
        slot_index_add(&all->by_name, name_hash(subscription->name), slot);
    else if (subscription->state == WAITING)
        slot_index_remove(&all->by_name, name_hash(subscription->name), slot);
    size_t *count = subscription->state == WAITING ? &all->waiting
                    : subscription->state == LIVE  ? &all->live
                                                   : NULL;
    if (count)
        *count = in ? *count + 1 : *count - 1;
}

/* What holds in each state, whatever was sent and whatever failed. */
static void check_state(const struct subscription *subscription)
{
    switch ((enum subscription_state)subscription->state) {
    case LOCATING:
        assert(!subscription->indexed);
        break;
    case WAITING:
        assert(!subscription->indexed && !subscription->asking && !subscription->blocked);
        break;
    case BEHIND:
        assert(subscription->indexed && subscription->epoch > 0 && subscription->next_seq > 0);
        break;
    case LIVE:
        assert(subscription->indexed && subscription->epoch > 0 && subscription->next_seq > 0);
        assert(!subscription->asking && !subscription->blocked && subscription->ending == 0);
        break;
    case ENDING:
        assert(subscription->ending != 0);
        break;
    case STATES:
        assert(false);
    }
}

static void set_state(struct subscriptions *all, uint32_t slot, enum subscription_state state)
{
    struct subscription *subscription = all->slots[slot];
    assert(may_follow[subscription->state][state]);
    count_state(all, slot, false);
    subscription->state = (uint8_t)state;
    count_state(all, slot, true);
    check_state(subscription);
    publish_gauges(all);
}

static void set_blocked(struct subscriptions *all, struct subscription *subscription, bool blocked)
{
    if (blocked != subscription->blocked)
        all->blocked = blocked ? all->blocked + 1 : all->blocked - 1;
    subscription->blocked = blocked;
}

static void drop_subscriber(struct subscriptions *all, struct subscriber *subscriber)
{
    struct subscriber **at = &all->subscribers;
    while (*at != subscriber)
        at = &(*at)->next;
    *at = subscriber->next;
    free(subscriber);
}

static void unlink_due(struct subscriptions *all, uint32_t slot)
{
    uint32_t *at = &all->due;
    while (*at != slot)
        at = &all->slots[*at]->next_due;
    *at = all->slots[slot]->next_due;
}

static void forget(struct subscriptions *all, uint32_t slot)
{
    struct subscription *subscription = all->slots[slot];
    if (subscription->due)
        unlink_due(all, slot);
    struct subscriber *subscriber = subscription->subscriber;
    set_blocked(all, subscription, false);
    count_state(all, slot, false);
    if (subscription->indexed)
        slot_index_remove(&all->by_epoch, mix(subscription->epoch), slot);
    slot_index_remove(&all->by_key, key_hash(subscriber, subscription->number), slot);
    all->slots[slot] = NULL;
    all->used--;
    parcel_free(subscription->out);
    free(subscription);
    if (--subscriber->count == 0)
        drop_subscriber(all, subscriber);
    publish_gauges(all);
}

/* The client is gone: all that it had. */
static void forget_subscriber(struct subscriptions *all, const struct subscriber *subscriber)
{
    size_t left = subscriber->count;
    for (uint32_t slot = 0; slot < all->count && left > 0; slot++)
        if (all->slots[slot] && all->slots[slot]->subscriber == subscriber) {
            left--;
            forget(all, slot);
        }
}

/* -- sending ----------------------------------------------------------------------------------- */

static void put_heads(uint8_t *bytes, const struct wire_deliver *deliver)
{
    struct wire_out out = wire_out(bytes, HEADS_SIZE);
    wire_put_header(&out, WIRE_DELIVER, 0);
    wire_put_deliveries(&out, 1);
    wire_put_deliver(&out, deliver);
    assert(!out.bad);
}

static spn_err send_message(struct subscriptions *all, const struct peer *peer, zmq_msg_t *message)
{
    spn_err err = all->options.send(all->options.socket, peer, message);
    if (err != SPN_OK)
        zmq_msg_close(message);
    return err;
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
static spn_err send_plain(struct subscriptions *all, const struct peer *peer,
                          const struct wire_deliver *deliver)
{
    zmq_msg_t message;
    if (zmq_msg_init_size(&message, HEADS_SIZE) != 0)
        return SPN_E_NOMEM;
    put_heads(zmq_msg_data(&message), deliver);
    return send_message(all, peer, &message);
}

/* One with items of this size, which lie in the parcel behind the room for the heads. */
static spn_err send_items(struct subscriptions *all, struct subscription *subscription,
                          struct parcel *parcel, size_t size, const struct wire_deliver *deliver)
{
    zmq_msg_t message;
    put_heads(parcel->bytes, deliver);
    spn_err err = parcel_message(&message, parcel, HEADS_SIZE + size, all->options.metrics);
    if (err == SPN_OK)
        err = send_message(all, &subscription->subscriber->peer, &message);
    if (err != SPN_OK)
        return err;
    subscription->sent += size;
    subscription->next_seq = deliver->seq + 1;
    return SPN_OK;
}

/* An end that finds no room is kept until there is: the client knows no other way to learn it. */
static void end(struct subscriptions *all, uint32_t slot, uint8_t verdict)
{
    struct subscription *subscription = all->slots[slot];
    struct wire_deliver deliver = delivery(subscription, WIRE_END);
    deliver.verdict = verdict;
    spn_err err = send_plain(all, &subscription->subscriber->peer, &deliver);
    if (err == SPN_OK || err == SPN_E_UNAVAILABLE) {
        forget(all, slot);
        return;
    }
    subscription->ending = verdict;
    if (subscription->state != ENDING)
        set_state(all, slot, ENDING);
    set_blocked(all, subscription, true);
}

/* The scan cannot serve it. What ended its session it finds out when it asks. */
static void fall_behind(struct subscriptions *all, uint32_t slot)
{
    all->slots[slot]->ending = 0;
    set_state(all, slot, BEHIND);
}

/* What became of a delivery decides how it goes on; false: the subscription is gone. */
static bool settle(struct subscriptions *all, uint32_t slot, spn_err err)
{
    struct subscription *subscription = all->slots[slot];
    if (err == SPN_E_UNAVAILABLE) {
        forget_subscriber(all, subscription->subscriber);
        return false;
    }
    if (err != SPN_OK) {
        if (subscription->state == LIVE)
            fall_behind(all, slot);
        set_blocked(all, subscription, true);
    }
    return true;
}

/* Of the database: what the age of an event is told by. */
static uint64_t now_ns(const struct subscriptions *all)
{
    return clock_database_ns(all->options.clock);
}

/* -- behind: slices ---------------------------------------------------------------------------- */

static bool may_ask(const struct subscription *subscription)
{
    return subscription && !subscription->asking &&
           (subscription->state == LOCATING ||
            (subscription->state == BEHIND && subscription->sent < subscription->credit));
}

/* Asks the broker where the session stands, unless it is being asked or nothing could be sent. */
static void ask(struct subscriptions *all, uint32_t slot)
{
    struct subscription *subscription = all->slots[slot];
    if (subscription->state == ENDING)
        end(all, slot, subscription->ending);
    if (!may_ask(all->slots[slot]))
        return;
    struct ask *asked = ask_new(ASK_VIEW, 1);
    if (!asked) {
        set_blocked(all, subscription, true); /* tried again by the tick */
        return;
    }
    ask_name(asked, 0, subscription->name);
    uint64_t epoch = 0;
    spn_err err = journal_reader_begin(all->options.journal);
    if (err == SPN_OK)
        err = journal_read_name(all->options.journal, subscription->name, &epoch);
    journal_reader_end(all->options.journal);
    if (err != SPN_OK && err != SPN_E_END) {
        ask_free(asked);
        end(all, slot, WIRE_FAILED);
        return;
    }
    asked->sessions[0].epoch = err == SPN_OK ? epoch : 0;
    asked->type = WIRE_SUBSCRIBE;
    asked->slot = slot;
    asked->serial = subscription->serial;
    subscription->asking = true;
    handoff_push(all->options.asks, &asked->node);
}

/* Asking reads the names on disk: not inside somebody's snapshot. */
static void ask_later(struct subscriptions *all, uint32_t slot)
{
    if (all->slots[slot]->due)
        return;
    all->slots[slot]->due = true;
    all->slots[slot]->next_due = all->due;
    all->due = slot;
}

static void ask_due(struct subscriptions *all)
{
    while (all->due != SLOT_NONE) {
        uint32_t slot = all->due;
        all->due = all->slots[slot]->next_due;
        all->slots[slot]->due = false;
        ask(all, slot);
    }
}

/* Its verdict went out, or is in the client's queue for good. */
static void begin_at(struct subscriptions *all, uint32_t slot, uint64_t epoch, uint64_t next_seq)
{
    struct subscription *subscription = all->slots[slot];
    subscription->epoch = epoch;
    subscription->next_seq = next_seq;
    slot_index_add(&all->by_epoch, mix(epoch), slot);
    subscription->indexed = true;
    set_state(all, slot, BEHIND);
}

/* The start is found: the verdict goes out. If it cannot, the start is looked for again as it was
 * asked for, in the life that the session has by then. */
static spn_err send_verdict(struct subscriptions *all, uint32_t slot,
                            const struct timeline *timeline, uint64_t from)
{
    const struct subscription *subscription = all->slots[slot];
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
    err = send_plain(all, &subscription->subscriber->peer, &deliver);
    if (err == SPN_OK)
        begin_at(all, slot, timeline->epoch, first);
    return err;
}

static spn_err locate(struct subscriptions *all, uint32_t slot, const struct timeline *timeline)
{
    struct subscription *subscription = all->slots[slot];
    struct slice_start start = {.start = subscription->start,
                                .epoch = subscription->epoch,
                                .seq = subscription->next_seq,
                                .id = subscription->id};
    uint64_t from = 1;
    spn_err err = slice_find(timeline, &start, all->options.secret, &from);
    if ((err == SPN_E_UNKNOWN_ID || err == SPN_E_OTHER_EPOCH) &&
        subscription->otherwise == WIRE_RESTART) {
        from = 1;
        err = SPN_OK;
    }
    return err == SPN_OK ? send_verdict(all, slot, timeline, from) : err;
}

static spn_err send_gap(struct subscriptions *all, struct subscription *subscription,
                        uint64_t missing)
{
    struct wire_deliver deliver = delivery(subscription, WIRE_GAP);
    deliver.seq += missing;
    deliver.missing = missing;
    spn_err err = send_plain(all, &subscription->subscriber->peer, &deliver);
    if (err == SPN_OK)
        subscription->next_seq += missing;
    metrics_add(&all->options.metrics->gaps, err == SPN_OK ? 1 : 0);
    return err;
}

static spn_err send_slice(struct subscriptions *all, struct subscription *subscription,
                          const struct slice *slice)
{
    struct parcel *parcel = parcel_resize(NULL, HEADS_SIZE + slice->size);
    if (!parcel)
        return SPN_E_NOMEM;
    struct wire_out out = wire_out(parcel->bytes + HEADS_SIZE, slice->size);
    slice_put(&out, slice);
    assert(!out.bad && wire_out_size(&out) == slice->size);
    struct wire_deliver deliver = delivery(subscription, WIRE_EVENTS);
    deliver.count = slice->head.count;
    deliver.seq = slice->head.seq;
    deliver.size = (uint32_t)slice->size;
    deliver.bytes += slice->size;
    spn_err err = send_items(all, subscription, parcel, slice->size, &deliver);
    metrics_add(&all->options.metrics->replayed, err == SPN_OK ? slice->head.count : 0);
    return err;
}

/* Somebody begins to depend on the scan who knows of nothing beyond horizon: what was committed
 * since the broker answered is in this snapshot, but not in the view. The scan may have passed it
 * already; then it goes back. To the others that is nothing: they know the seq that they want. */
static void join_scan(struct subscriptions *all, uint64_t horizon)
{
    uint64_t newest = journal_reader_newest(all->options.journal);
    if (horizon > newest)
        horizon = newest;
    if (all->live + all->waiting == 0 || all->scanned > horizon)
        all->scanned = horizon;
}

/* The next slice. When that was the last there is, the scan takes over: it stands at or before what
 * the view knew, so that nothing can fall between. */
static spn_err advance(struct subscriptions *all, uint32_t slot, const struct timeline *timeline,
                       uint64_t horizon)
{
    struct subscription *subscription = all->slots[slot];
    struct slice *slice = all->options.slice;
    spn_err err = SPN_OK;
    if (subscription->next_seq <= timeline->seq_last && subscription->sent < subscription->credit) {
        uint64_t left = subscription->credit - subscription->sent;
        err = slice_read(slice, timeline, subscription->next_seq,
                         left < SLICE_BYTES ? (size_t)left : SLICE_BYTES, now_ns(all));
        if (err == SPN_OK && slice->head.missing > 0)
            err = send_gap(all, subscription, slice->head.missing);
        if (err == SPN_OK && slice->head.count > 0)
            err = send_slice(all, subscription, slice);
    }
    if (err != SPN_OK || subscription->next_seq <= timeline->seq_last)
        return err;
    if (timeline->closed)
        return SPN_E_CLOSED;
    join_scan(all, horizon);
    set_state(all, slot, LIVE);
    return SPN_OK;
}

/* The verdict says that it waits: a client that knows wants the earliest after a restart. */
static spn_err wait_for_session(struct subscriptions *all, uint32_t slot, uint64_t horizon)
{
    struct subscription *subscription = all->slots[slot];
    spn_err err = slot_index_reserve(&all->by_name, 1);
    if (err != SPN_OK)
        return err;
    struct wire_deliver deliver = delivery(subscription, WIRE_VERDICT);
    deliver.verdict = WIRE_UNKNOWN_SESSION;
    err = send_plain(all, &subscription->subscriber->peer, &deliver);
    if (err != SPN_OK)
        return err;
    join_scan(all, horizon);
    subscription->start = WIRE_EARLIEST;
    set_state(all, slot, WAITING);
    return SPN_OK;
}

static bool is_to_wait(const struct subscription *subscription, spn_err err)
{
    return err == SPN_E_UNKNOWN_SESSION && subscription->otherwise == WIRE_WAIT &&
           subscription->state == LOCATING;
}

static spn_err go_on(struct subscriptions *all, uint32_t slot, const struct ask *answered)
{
    const struct subscription *subscription = all->slots[slot];
    struct timeline timeline;
    spn_err err = timeline_open(&timeline, all->options.journal, &answered->sessions[0].view);
    if (err == SPN_OK && subscription->state == LOCATING)
        err = locate(all, slot, &timeline);
    else if ((err == SPN_E_UNKNOWN_SESSION && subscription->state == BEHIND) ||
             (err == SPN_OK && timeline.epoch != subscription->epoch))
        err = SPN_E_DELETED; /* the name has no life, or another one by now */
    return err == SPN_OK ? advance(all, slot, &timeline, answered->horizon) : err;
}

void subscriptions_answer(struct subscriptions *all, const struct ask *answered)
{
    uint32_t slot = answered->slot;
    struct subscription *subscription = slot < all->count ? all->slots[slot] : NULL;
    if (!subscription || subscription->serial != answered->serial)
        return; /* it is gone */
    subscription->asking = false;
    set_blocked(all, subscription, false);
    spn_err err = answered->err;
    uint8_t verdict = WIRE_FAILED;
    if (err == SPN_OK)
        err = go_on(all, slot, answered);
    if (is_to_wait(subscription, err))
        err = wait_for_session(all, slot, answered->horizon);
    if (err == SPN_OK) {
        ask_later(all, slot); /* on, while it is behind and has credit */
    } else if (err == SPN_E_BACKPRESSURE || err == SPN_E_UNAVAILABLE || err == SPN_E_NOMEM) {
        (void)settle(all, slot, err);
    } else {
        (void)slice_verdict(err, &verdict);
        end(all, slot, verdict);
    }
}

/* -- live: the scan ---------------------------------------------------------------------------- */

/* Room for one more item in the message being put together, behind the heads. */
static bool out_room(struct subscription *subscription, size_t size)
{
    if (subscription->out_size == 0)
        subscription->out_size = HEADS_SIZE;
    if (subscription->out_size + size <= subscription->out_room)
        return true;
    size_t room = 2 * (subscription->out_size + size);
    struct parcel *out = parcel_resize(subscription->out, room);
    if (!out)
        return false;
    subscription->out = out;
    subscription->out_room = room;
    return true;
}

static void make_dirty(struct subscriptions *all, uint32_t slot)
{
    struct subscription *subscription = all->slots[slot];
    if (subscription->dirty)
        return;
    subscription->dirty = true;
    subscription->next_dirty = all->dirty;
    all->dirty = slot;
}

/* One event more in the message being put together. False: no credit, or no memory. */
static bool gather(struct subscription *subscription, uint64_t position,
                   const struct record_entry *entry)
{
    size_t size = slice_entry_size(entry);
    size_t gathered = subscription->out_size > 0 ? subscription->out_size - HEADS_SIZE : 0;
    if (subscription->sent + gathered >= subscription->credit || !out_room(subscription, size))
        return false;
    struct wire_out out = wire_out(subscription->out->bytes + subscription->out_size, size);
    slice_put_entry(&out, position, entry);
    assert(!out.bad);
    subscription->out_count++;
    subscription->out_size += size;
    return true;
}

/* What lies below the cursor was delivered by a slice. What lies above it says that something
 * between did not come this way: the slices have it. */
static void offer_event(struct subscriptions *all, uint32_t slot, uint64_t position,
                        const struct record_entry *entry)
{
    struct subscription *subscription = all->slots[slot];
    uint64_t wanted = subscription->next_seq + subscription->out_count;
    if (subscription->state != LIVE || entry->seq < wanted)
        return;
    if (entry->seq > wanted || !gather(subscription, position, entry)) {
        metrics_add(&all->options.metrics->credit_stalls, entry->seq == wanted ? 1 : 0);
        fall_behind(all, slot);
        ask_later(all, slot);
        return;
    }
    make_dirty(all, slot);
}

/* The session was closed or deleted. Whoever is behind finds out when it asks. */
static void offer_end(struct subscriptions *all, uint32_t slot, const struct record_entry *entry)
{
    struct subscription *subscription = all->slots[slot];
    if (subscription->state != LIVE)
        return;
    subscription->ending = entry->kind == RECORD_CLOSE ? WIRE_CLOSED : WIRE_DELETED;
    make_dirty(all, slot);
}

/* Hands the message that was put together to ZeroMQ as it is. */
static spn_err send_out(struct subscriptions *all, struct subscription *subscription)
{
    size_t items = subscription->out_size - HEADS_SIZE;
    struct wire_deliver deliver = delivery(subscription, WIRE_EVENTS);
    deliver.count = subscription->out_count;
    deliver.seq += subscription->out_count;
    deliver.size = (uint32_t)items;
    deliver.bytes += items;
    struct parcel *out = subscription->out;
    subscription->out = NULL;
    subscription->out_size = subscription->out_room = 0;
    subscription->out_count = 0;
    spn_err err = send_items(all, subscription, out, items, &deliver);
    metrics_add(&all->options.metrics->live, err == SPN_OK ? deliver.count : 0);
    return err;
}

static void flush_dirty(struct subscriptions *all)
{
    while (all->dirty != SLOT_NONE) {
        uint32_t slot = all->dirty;
        struct subscription *subscription = all->slots[slot];
        if (!subscription) {
            assert(false); /* nothing is forgotten between offering and flushing but below */
            return;
        }
        all->dirty = subscription->next_dirty;
        subscription->dirty = false;
        spn_err err = subscription->out_count > 0 ? send_out(all, subscription) : SPN_OK;
        if (err == SPN_OK && subscription->state == LIVE && subscription->ending != 0) {
            end(all, slot, subscription->ending);
        } else if (err == SPN_E_UNAVAILABLE) {
            /* Its subscriber may have others in the list: they stay until the lease is out. */
            subscription->subscriber->heard_ns = 0;
            if (subscription->state == LIVE)
                fall_behind(all, slot);
        } else {
            (void)settle(all, slot, err);
        }
    }
}

/* Sessions that somebody waits for are opened by an entry with their name. */
static void offer_open(struct subscriptions *all, const struct record_entry *entry)
{
    size_t cursor = 0;
    uint32_t slot;
    uint64_t hash = name_hash(entry->data);
    while (all->waiting > 0 &&
           (slot = slot_index_next(&all->by_name, hash, &cursor)) != SLOT_NONE) {
        struct spn_bytes name = all->slots[slot]->name;
        if (name.size != entry->data.size || memcmp(name.data, entry->data.data, name.size) != 0)
            continue;
        set_state(all, slot, LOCATING);
        ask_later(all, slot);
        cursor = 0;
    }
}

static void offer(struct subscriptions *all, uint64_t position, const struct record_entry *entry)
{
    if (entry->kind == RECORD_OPEN) {
        offer_open(all, entry);
        return;
    }
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = slot_index_next(&all->by_epoch, mix(entry->epoch), &cursor)) != SLOT_NONE) {
        if (all->slots[slot]->epoch != entry->epoch)
            continue;
        if (entry->kind == RECORD_EVENT)
            offer_event(all, slot, position, entry);
        else
            offer_end(all, slot, entry);
    }
}

/* Entries were trimmed before the scan came to them. Whoever depends on it finds out from the index
 * what it missed. */
static void pass_hole(struct subscriptions *all, uint64_t position)
{
    all->scanned = position - 1;
    for (uint32_t slot = 0; slot < all->count; slot++) {
        if (!all->slots[slot])
            continue;
        uint8_t state = all->slots[slot]->state;
        if (state != LIVE && state != WAITING)
            continue;
        if (state == LIVE)
            fall_behind(all, slot);
        else
            set_state(all, slot, LOCATING);
        ask_later(all, slot);
    }
}

/* One short snapshot; true: there is more. */
static bool scan_slice(struct subscriptions *all)
{
    struct journal_reader *journal = all->options.journal;
    struct record_entry entry;
    uint64_t position;
    int count = 0;
    spn_err err = journal_reader_begin(journal);
    while (err == SPN_OK && count < SCAN_ENTRIES) {
        err = journal_read_entry_from(journal, all->scanned + 1, &position, &entry);
        if (err == SPN_E_END && journal_reader_newest(journal) > all->scanned)
            pass_hole(all, journal_reader_newest(journal) + 1);
        if (err != SPN_OK)
            break;
        if (position > all->scanned + 1)
            pass_hole(all, position);
        offer(all, position, &entry);
        all->scanned = position;
        count++;
    }
    journal_reader_end(journal);
    flush_dirty(all);
    return count == SCAN_ENTRIES;
}

/* Sockets that were full are tried again a little later. */
static void ask_blocked(struct subscriptions *all)
{
    uint64_t now_ns = all->options.clock->monotonic_ns();
    if (now_ns - all->retried_ns < BLOCKED_RETRY_MS * MS)
        return;
    all->retried_ns = now_ns;
    for (uint32_t slot = 0; slot < all->count && all->blocked > 0; slot++)
        if (all->slots[slot] && all->slots[slot]->blocked) {
            set_blocked(all, all->slots[slot], false);
            ask(all, slot);
        }
}

void subscriptions_scan(struct subscriptions *all)
{
    while (all->live + all->waiting > 0 &&
           atomic_load(&all->options.worker->durable) > all->scanned && scan_slice(all))
        ;
}

/* -- requests ---------------------------------------------------------------------------------- */

static struct subscriber *find_subscriber(struct subscriptions *all, const struct peer *peer)
{
    for (struct subscriber *at = all->subscribers; at; at = at->next)
        if (at->peer.size == peer->size && memcmp(at->peer.bytes, peer->bytes, peer->size) == 0)
            return at;
    return NULL;
}

static struct subscriber *take_subscriber(struct subscriptions *all, const struct peer *peer)
{
    struct subscriber *subscriber = find_subscriber(all, peer);
    if (!subscriber) {
        subscriber = calloc(1, sizeof(*subscriber));
        if (!subscriber)
            return NULL;
        subscriber->peer = *peer;
        subscriber->next = all->subscribers;
        all->subscribers = subscriber;
    }
    subscriber->heard_ns = all->options.clock->monotonic_ns();
    return subscriber;
}

static spn_err free_slot(struct subscriptions *all, uint32_t *ret_slot)
{
    if (all->used < all->count)
        for (uint32_t slot = 0; slot < all->count; slot++)
            if (!all->slots[slot]) {
                *ret_slot = slot;
                return SPN_OK;
            }
    if (all->count == all->room) {
        uint32_t room = all->room > 0 ? all->room * 2 : SLOTS_FIRST;
        if (room > SUBSCRIPTIONS_MAX)
            return SPN_E_NOMEM;
        struct subscription **slots = realloc(all->slots, room * sizeof(struct subscription *));
        if (!slots)
            return SPN_E_NOMEM;
        all->slots = slots;
        all->room = room;
    }
    *ret_slot = all->count;
    return SPN_OK;
}

static struct subscription *make(struct subscriptions *all, const struct wire_subscribe *from)
{
    struct subscription *subscription =
        malloc(sizeof(*subscription) + from->session.size + from->id.size);
    if (!subscription)
        return NULL;
    *subscription = (struct subscription){
        .serial = ++all->serial,
        .number = from->subscription,
        .incarnation = from->incarnation,
        .start = from->start,
        .otherwise = from->otherwise,
        .epoch = from->epoch,
        .next_seq = from->seq,
        .credit = from->credit,
        .name = {subscription->texts, from->session.size},
        .id = {subscription->texts + from->session.size, from->id.size},
    };
    memcpy(subscription->texts, from->session.data, from->session.size);
    if (from->id.size > 0)
        memcpy(subscription->texts + from->session.size, from->id.data, from->id.size);
    return subscription;
}

static spn_err add(struct subscriptions *all, struct subscriber *subscriber,
                   const struct wire_subscribe *from)
{
    uint32_t slot;
    spn_err err = slot_index_reserve(&all->by_key, 1);
    if (err == SPN_OK)
        err = free_slot(all, &slot);
    if (err != SPN_OK)
        return err;
    struct subscription *subscription = make(all, from);
    if (!subscription)
        return SPN_E_NOMEM;
    subscription->subscriber = subscriber;
    all->slots[slot] = subscription;
    if (slot == all->count)
        all->count++;
    all->used++;
    subscriber->count++;
    slot_index_add(&all->by_key, key_hash(subscriber, subscription->number), slot);
    publish_gauges(all);
    ask(all, slot);
    return SPN_OK;
}

spn_err subscriptions_subscribe(struct subscriptions *all, const struct peer *peer,
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
    struct subscriber *subscriber = take_subscriber(all, peer);
    if (!subscriber)
        return SPN_E_NOMEM;
    uint32_t slot = find(all, subscriber, request.subscription);
    if (slot != SLOT_NONE && all->slots[slot]->incarnation >= request.incarnation)
        return SPN_E_INVALID;
    subscriber->count++; /* stays while one replaces the other */
    if (slot != SLOT_NONE)
        forget(all, slot);
    err = add(all, subscriber, &request);
    if (--subscriber->count == 0)
        drop_subscriber(all, subscriber);
    return err;
}

/* SLOT_NONE: there is no such one, and its client was told. */
static uint32_t find_or_tell(struct subscriptions *all, const struct peer *peer,
                             const struct wire_grant *which)
{
    struct subscriber *subscriber = find_subscriber(all, peer);
    uint32_t slot = subscriber ? find(all, subscriber, which->subscription) : SLOT_NONE;
    if (slot != SLOT_NONE && all->slots[slot]->incarnation == which->incarnation)
        return slot;
    struct wire_deliver gone = {.subscription = which->subscription,
                                .incarnation = which->incarnation,
                                .kind = WIRE_END,
                                .verdict = WIRE_UNSUBSCRIBED};
    (void)send_plain(all, peer, &gone);
    return SLOT_NONE;
}

static void grant(struct subscriptions *all, const struct peer *peer,
                  const struct wire_grant *grant)
{
    uint32_t slot = find_or_tell(all, peer, grant);
    if (slot == SLOT_NONE)
        return;
    if (grant->credit > all->slots[slot]->credit)
        all->slots[slot]->credit = grant->credit;
    ask(all, slot);
}

spn_err subscriptions_credit(struct subscriptions *all, const struct peer *peer, struct wire_in in)
{
    struct wire_in look = in;
    struct wire_grant one;
    uint32_t count;
    wire_get_grants(&look, &count);
    for (uint32_t i = 0; !look.bad && i < count; i++)
        wire_get_grant(&look, &one);
    if (!wire_in_done(&look))
        return SPN_E_PROTOCOL;
    struct subscriber *subscriber = find_subscriber(all, peer);
    if (subscriber)
        subscriber->heard_ns = all->options.clock->monotonic_ns();
    wire_get_grants(&in, &count);
    for (uint32_t i = 0; i < count; i++) {
        wire_get_grant(&in, &one);
        grant(all, peer, &one);
    }
    return SPN_OK;
}

spn_err subscriptions_unsubscribe(struct subscriptions *all, const struct peer *peer,
                                  struct wire_in in)
{
    struct wire_grant which;
    wire_get_grant(&in, &which);
    if (!wire_in_done(&in) || which.credit != 0)
        return SPN_E_PROTOCOL;
    uint32_t slot = find_or_tell(all, peer, &which);
    if (slot != SLOT_NONE)
        forget(all, slot);
    return SPN_OK;
}

/* -- time -------------------------------------------------------------------------------------- */

static void look_at_leases(struct subscriptions *all, uint64_t now_ns)
{
    struct subscriber *subscriber = all->subscribers;
    while (subscriber) {
        struct subscriber *next = subscriber->next;
        if (now_ns - subscriber->heard_ns > LEASE_MS * MS)
            forget_subscriber(all, subscriber);
        subscriber = next;
    }
}

long subscriptions_tick(struct subscriptions *all)
{
    ask_due(all);
    if (all->blocked > 0)
        ask_blocked(all);
    if (!all->subscribers)
        return -1;
    uint64_t now_ns = all->options.clock->monotonic_ns();
    if (now_ns - all->looked_ns >= LEASE_LOOK_MS * MS) {
        all->looked_ns = now_ns;
        look_at_leases(all, now_ns);
    }
    return all->blocked > 0 ? BLOCKED_RETRY_MS : LEASE_LOOK_MS;
}

/* -- life -------------------------------------------------------------------------------------- */

spn_err subscriptions_new(struct subscriptions **ret_subscriptions,
                          const struct subscriptions_options *options)
{
    struct subscriptions *all = calloc(1, sizeof(*all));
    if (!all)
        return SPN_E_NOMEM;
    all->options = *options;
    all->dirty = SLOT_NONE;
    all->due = SLOT_NONE;
    spn_err err = slot_index_init(&all->by_key, key_of, all);
    if (err == SPN_OK)
        err = slot_index_init(&all->by_epoch, epoch_of, all);
    if (err == SPN_OK)
        err = slot_index_init(&all->by_name, name_of, all);
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
    for (uint32_t slot = 0; slot < all->count; slot++)
        if (all->slots[slot])
            forget(all, slot);
    slot_index_release(&all->by_key);
    slot_index_release(&all->by_epoch);
    slot_index_release(&all->by_name);
    free(all->slots);
    free(all);
}
