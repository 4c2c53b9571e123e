/* SPDX-License-Identifier: Apache-2.0 */
/* subscription_table: subscriptions by number, their rings, their frames and what they hold. */
#include <stdlib.h>

#include "subscription_base.h"

struct spn_subscription *sub_of_ready(struct ring *link)
{
    return (struct spn_subscription *)(void *)((char *)link -
                                               offsetof(struct spn_subscription, ready));
}

struct spn_subscription *sub_of_pending(struct ring *link)
{
    return (struct spn_subscription *)(void *)((char *)link -
                                               offsetof(struct spn_subscription, pending));
}

struct subscriptions *sub_all_of(const struct spn_subscription *subscription)
{
    return subscription->client->subscriptions;
}

static uint32_t slot_of(uint64_t number)
{
    return (uint32_t)number;
}

struct spn_subscription *sub_find(const struct subscriptions *all, uint64_t number)
{
    uint32_t slot = slot_of(number);
    struct spn_subscription *found = slot < all->count ? all->slots[slot] : NULL;
    return found != NULL && found->number == number ? found : NULL;
}

static spn_err free_slot(struct subscriptions *all, uint32_t *ret_slot)
{
    uint32_t slot = all->free_hint; /* no slot below is free */
    while (slot < all->count && all->slots[slot] != NULL)
        slot++;
    all->free_hint = slot;
    if (slot == all->room) {
        uint32_t room = all->room > 0 ? all->room * 2 : SLOTS_FIRST;
        if (room > SLOTS_MAX)
            return SPN_E_NOMEM;
        struct spn_subscription **slots =
            realloc(all->slots, room * sizeof(struct spn_subscription *));
        if (slots == NULL)
            return SPN_E_NOMEM;
        all->slots = slots;
        all->room = room;
    }
    *ret_slot = slot;
    return SPN_OK;
}

spn_err sub_put_in_slot(struct subscriptions *all, struct spn_subscription *subscription)
{
    uint32_t slot;
    spn_err err = free_slot(all, &slot);
    if (err != SPN_OK)
        return err;
    subscription->number = ((uint64_t)(++all->serial & INT32_MAX) << 32) | slot;
    all->slots[slot] = subscription;
    if (slot == all->count)
        all->count++;
    all->used++;
    all->active++;
    return SPN_OK;
}

void sub_take_from_slot(struct subscriptions *all, const struct spn_subscription *subscription)
{
    uint32_t slot = slot_of(subscription->number);
    all->slots[slot] = NULL;
    all->used--;
    all->active -= subscription->ended ? 0 : 1;
    if (slot < all->free_hint)
        all->free_hint = slot;
}

void sub_account(struct spn_subscription *subscription)
{
    struct subscriptions *all = sub_all_of(subscription);
    bool may_come = !subscription->ended && !subscription->subscribe;
    uint64_t granted = may_come && subscription->credit > subscription->bytes
                           ? subscription->credit - subscription->bytes
                           : 0;
    all->held -= subscription->held;
    all->readable -= subscription->readable;
    all->paused_unread -= subscription->paused_unread;
    subscription->held = granted + subscription->unread;
    subscription->readable = subscription->paused ? 0 : subscription->unread;
    subscription->paused_unread = subscription->unread - subscription->readable;
    all->held += subscription->held;
    all->readable += subscription->readable;
    all->paused_unread += subscription->paused_unread;
}

struct frame *sub_last_frame(const struct spn_subscription *subscription)
{
    if (subscription->first == NULL)
        return NULL;
    return (struct frame *)(void *)((char *)subscription->end - offsetof(struct frame, next));
}

bool sub_next_item(struct spn_subscription *subscription, struct wire_item *ret_item)
{
    wire_get_item(&subscription->items, ret_item);
    bool last = --subscription->left == 0;
    return !subscription->items.bad && last == wire_in_done(&subscription->items);
}

void sub_drop_first(struct spn_subscription *subscription)
{
    struct frame *frame = subscription->first;
    subscription->first = frame->next;
    if (frame->next == NULL)
        subscription->end = &subscription->first;
    subscription->opened = false;
    zmq_msg_close(&frame->message);
    free(frame);
}

void sub_drop_frames(struct spn_subscription *subscription)
{
    while (subscription->first != NULL)
        sub_drop_first(subscription);
    subscription->unread = 0;
    subscription->received = subscription->given;
    sub_account(subscription);
    ring_leave(&subscription->ready);
}
