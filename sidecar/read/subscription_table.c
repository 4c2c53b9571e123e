/* SPDX-License-Identifier: Apache-2.0 */
/* subscription_table: the subscriptions, their states, and the indexes over them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "read/subscription_base.h"

/* Which state may follow which. A subscription may be forgotten in any state.
 *
 *   LOCATING <-> WAITING
 *   LOCATING --> BEHIND <-> LIVE
 *   LIVE --> STALLED <-> BEHIND
 *   all but WAITING --> ENDING */
static inline bool may_follow(uint8_t state, uint8_t next)
{
    static const bool table[STATES][STATES] = {
        [LOCATING] = {[WAITING] = true, [BEHIND] = true, [ENDING] = true},
        [WAITING] = {[LOCATING] = true},
        [BEHIND] = {[LIVE] = true, [STALLED] = true, [ENDING] = true},
        [STALLED] = {[BEHIND] = true, [ENDING] = true},
        [LIVE] = {[BEHIND] = true, [STALLED] = true, [ENDING] = true},
    };
    return table[state][next];
}

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

struct spn_bytes subscription_name_of(const struct subscription *subscription)
{
    return (struct spn_bytes){subscription->name, subscription->name_size};
}

/* NULL: the slot is free. */
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
    return name_hash(subscription_name_of(at_slot(owner, slot)));
}

struct subscription *subscription_find(const struct subscriptions *all,
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

struct subscription *subscription_find_waiting(const struct subscriptions *all,
                                               struct spn_bytes name)
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

struct subscription *subscription_find_following(const struct subscriptions *all, uint64_t epoch)
{
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = slot_index_next(&all->by_epoch, mix(epoch), &cursor)) != SLOT_NONE)
        if (at_slot(all, slot)->epoch == epoch)
            return at_slot(all, slot);
    return NULL;
}

/* The index has only the leader of each group. With all of a group in it, removing each one would
 * search through all others: 22,000 subscriptions that waited for one name took seconds to remove.
 * leader: any of the group; NULL: this subscription is the first. */
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

static void publish_gauges(struct subscriptions *all)
{
    metrics_set(&all->options.metrics->subscriptions, slot_table_used(&all->slots));
    atomic_store(&all->options.commits->watched, !link_alone(&all->scanned));
}

static void enter_state(struct subscriptions *all, struct subscription *subscription)
{
    if (subscription->state == WAITING)
        join_group(&all->by_name, name_hash(subscription_name_of(subscription)),
                   subscription_find_waiting(all, subscription_name_of(subscription)),
                   subscription);
    if (subscription->state == WAITING || subscription->state == LIVE ||
        (subscription->state == STALLED && !subscription->log))
        link_join(&all->scanned, &subscription->scanned);
    if (subscription->state == LIVE && subscription->log)
        link_join(&all->following, &subscription->group);
}

static void leave_state(struct subscriptions *all, struct subscription *subscription)
{
    if (subscription->state == WAITING)
        leave_group(&all->by_name, name_hash(subscription_name_of(subscription)), subscription);
    if (subscription->log)
        link_leave(&subscription->group);
    link_leave(&subscription->scanned);
}

/* The invariants of each state, whatever was sent and whatever failed. */
static void check_state(const struct subscription *subscription)
{
    bool placed = subscription->log || (subscription->indexed && subscription->epoch > 0);
    switch ((enum subscription_state)subscription->state) {
    case LOCATING:
        assert(!subscription->indexed);
        break;
    case WAITING:
        assert(!subscription->indexed && !subscription->asking &&
               link_alone(&subscription->blocked));
        break;
    case BEHIND:
        assert(placed && subscription->next_seq > 0);
        break;
    case STALLED:
    case LIVE:
        assert(placed && subscription->next_seq > 0);
        assert(!subscription->asking && link_alone(&subscription->blocked));
        break;
    case ENDING:
        assert(subscription->ending != 0);
        break;
    case STATES:
        assert(false);
    }
}

void subscription_set_state(struct subscriptions *all, struct subscription *subscription,
                            enum subscription_state state)
{
    assert(may_follow(subscription->state, (uint8_t)state));
    leave_state(all, subscription);
    subscription->state = (uint8_t)state;
    enter_state(all, subscription);
    check_state(subscription);
    publish_gauges(all);
}

void subscription_block(struct subscriptions *all, struct subscription *subscription)
{
    link_join(&subscription->subscriber->blocked, &subscription->blocked);
    link_join(&all->stalled, &subscription->subscriber->stalled);
}

void subscription_unblock(struct subscription *subscription)
{
    link_leave(&subscription->blocked);
    if (link_alone(&subscription->subscriber->blocked))
        link_leave(&subscription->subscriber->stalled);
}

void subscription_later(struct subscriptions *all, struct subscription *subscription)
{
    link_join(&all->due, &subscription->due);
}

void subscription_drop_subscriber(struct subscriber *subscriber)
{
    link_leave(&subscriber->all);
    link_leave(&subscriber->stalled);
    subscriber->peer->subscriber = NULL;
    free(subscriber);
}

void subscription_drop_id(struct subscription *subscription)
{
    free(subscription->id);
    subscription->id = NULL;
    subscription->id_size = 0;
}

spn_err subscription_note_closed(struct subscription *subscription, struct spn_bytes reason)
{
    uint8_t *bytes = NULL;
    if (reason.size > 0) {
        bytes = malloc(reason.size);
        if (!bytes)
            return SPN_E_NOMEM;
        memcpy(bytes, reason.data, reason.size);
    }
    free(subscription->reason);
    subscription->closed = true;
    subscription->reason = bytes;
    subscription->reason_size = (uint8_t)reason.size;
    return SPN_OK;
}

static void free_subscription(struct subscription *subscription)
{
    free(subscription->reason);
    subscription_drop_id(subscription);
    free(subscription);
}

void subscription_take_out(struct subscriptions *all, struct subscription *subscription)
{
    struct subscriber *subscriber = subscription->subscriber;
    subscription_unblock(subscription);
    link_leave(&subscription->due);
    link_leave(&subscription->own);
    leave_state(all, subscription);
    if (subscription->indexed)
        leave_group(&all->by_epoch, mix(subscription->epoch), subscription);
    slot_index_remove(&all->by_key, key_hash(subscriber, subscription->number), subscription->slot);
    slot_table_remove(&all->slots, subscription->slot);
    all->asking -= subscription->asking ? 1 : 0;
    subscriber->peer->user->subscriptions--;
    subscriber->count--;
    free_subscription(subscription);
    publish_gauges(all);
}

void subscription_forget(struct subscriptions *all, struct subscription *subscription)
{
    struct subscriber *subscriber = subscription->subscriber;
    subscription_take_out(all, subscription);
    if (link_alone(&subscriber->subscriptions))
        subscription_drop_subscriber(subscriber);
}

void subscription_forget_subscriber(struct subscriptions *all, struct subscriber *subscriber)
{
    struct link *next;
    for (struct link *link = subscriber->subscriptions.next; link != &subscriber->subscriptions;
         link = next) {
        next = link->next;
        subscription_take_out(all, LINK_OWNER(link, struct subscription, own));
    }
    subscription_drop_subscriber(subscriber);
}

struct subscriber *subscription_take_subscriber(struct subscriptions *all, struct outbox_peer *peer)
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
    subscriber->heard_ns = all->options.source.clock->monotonic_ns();
    return subscriber;
}

/* Reserves a slot for one subscription. A user may have at most as many as are left for all
 * others. */
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
        .life = from->life,
        .next_seq = from->start == WIRE_AFTER_SEQ ? from->seq + 1 : 1,
        .credit = from->credit,
        .id = id,
        .id_size = (uint16_t)from->id.size,
        .name_size = (uint8_t)from->session.size,
    };
    if (from->session.size > 0)
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

spn_err subscription_add(struct subscriptions *all, struct subscriber *subscriber,
                         const struct wire_subscribe *from, struct subscription **ret_subscription)
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
    subscriber->count++;
    slot_index_add(&all->by_key, key_hash(subscriber, subscription->number), subscription->slot);
    publish_gauges(all);
    subscription_later(all, subscription);
    *ret_subscription = subscription;
    return SPN_OK;
}

void subscription_give_back(struct subscriptions *all)
{
    slot_table_shrink(&all->slots);
    slot_index_shrink(&all->by_key);
    slot_index_shrink(&all->by_epoch);
    slot_index_shrink(&all->by_name);
}

void subscription_follow(struct subscriptions *all, struct subscription *subscription)
{
    uint64_t epoch = subscription->epoch;
    join_group(&all->by_epoch, mix(epoch), subscription_find_following(all, epoch), subscription);
    subscription->indexed = true;
}

spn_err subscription_table_init(struct subscriptions *all)
{
    spn_err err = slot_index_init(&all->by_key, key_of, all);
    if (err == SPN_OK)
        err = slot_index_init(&all->by_epoch, epoch_of, all);
    if (err == SPN_OK)
        err = slot_index_init(&all->by_name, waiting_of, all);
    return err;
}

void subscription_table_release(struct subscriptions *all)
{
    slot_index_release(&all->by_key);
    slot_index_release(&all->by_epoch);
    slot_index_release(&all->by_name);
    slot_table_release(&all->slots);
}
