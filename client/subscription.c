/* SPDX-License-Identifier: Apache-2.0 */
#include "subscription.h"

#include <stdlib.h>
#include <string.h>

#include "sized.h"
#include "subscription_base.h"

/* -- giving ------------------------------------------------------------------------------------ */

/* A subscription that went on from a cursor and finds no session, or another epoch, was reading a
 * session that was deleted.
 */
static spn_err end_reason(const struct spn_subscription *subscription, uint8_t verdict)
{
    if (subscription->located && (verdict == WIRE_UNKNOWN_SESSION || verdict == WIRE_OTHER_EPOCH))
        return SPN_E_DELETED;
    switch ((enum wire_verdict)verdict) {
    case WIRE_UNKNOWN_ID:
        return SPN_E_UNKNOWN_ID;
    case WIRE_UNKNOWN_SESSION:
        return SPN_E_UNKNOWN_SESSION;
    case WIRE_OTHER_EPOCH:
        return SPN_E_OTHER_EPOCH;
    case WIRE_CLOSED:
        return SPN_E_CLOSED;
    case WIRE_DELETED:
        return SPN_E_DELETED;
    case WIRE_DAMAGED:
        return SPN_E_CORRUPT;
    default:
        return SPN_E_IO;
    }
}

static void give_end(struct spn_subscription *subscription, spn_err why, struct spn_item *ret_item)
{
    *ret_item = (struct spn_item){
        .kind = SPN_ITEM_END, .seq = subscription->given, .epoch = subscription->epoch, .why = why};
    subscription->end_given = true;
}

/* For frames other than events: the whole frame is the item. */
static void give_head(struct spn_subscription *subscription, struct spn_item *ret_item)
{
    struct wire_deliver head = subscription->first->head;
    sub_drop_first(subscription);
    if (head.kind == WIRE_END) {
        give_end(subscription, end_reason(subscription, head.verdict), ret_item);
        ret_item->missing = head.missing;
        return;
    }
    subscription->given = head.seq;
    *ret_item = (struct spn_item){.kind = (spn_item_kind)head.kind,
                                  .missing = head.missing,
                                  .seq = head.seq,
                                  .epoch = head.epoch};
}

/* False: the frame's items do not match its head. */
static bool give_event(struct spn_subscription *subscription, struct spn_item *ret_item)
{
    struct wire_item item;
    wire_get_item(&subscription->items, &item);
    bool last = --subscription->left == 0;
    if (subscription->items.bad || item.seq != subscription->given + 1 ||
        last != wire_in_done(&subscription->items))
        return false;
    subscription->given = item.seq;
    *ret_item = (struct spn_item){.kind = SPN_ITEM_EVENT,
                                  .event = {.kind = (spn_event_kind)item.kind,
                                            .id = item.id,
                                            .type = item.type,
                                            .data = item.data,
                                            .retry_ms = item.retry_ms,
                                            .seq = item.seq,
                                            .position = item.position,
                                            .epoch = subscription->epoch,
                                            .time_ms = item.time_ms},
                                  .seq = item.seq,
                                  .epoch = subscription->epoch};
    sub_note_read(subscription, wire_item_size(&item));
    return true;
}

static void open_frame(struct spn_subscription *subscription)
{
    const struct frame *frame = subscription->first;
    subscription->items = wire_in(frame->items, frame->head.size);
    subscription->left = frame->head.count;
    subscription->opened = true;
}

/* An end that was received counts only if everything before it could be read. */
static void give_up_frames(struct spn_subscription *subscription)
{
    sub_drop_frames(subscription);
    if (subscription->ended && subscription->failed == SPN_OK) {
        subscription->ended = false;
        sub_all_of(subscription)->active++;
    }
    sub_subscribe_after_pause(subscription);
}

static bool give_next(struct spn_subscription *subscription, struct spn_item *ret_item)
{
    if (subscription->first == NULL) {
        if (subscription->failed == SPN_OK || subscription->end_given)
            return false;
        give_end(subscription, subscription->failed, ret_item);
        return true;
    }
    if (subscription->first->head.kind != WIRE_EVENTS) {
        give_head(subscription, ret_item);
        return true;
    }
    if (!subscription->opened)
        open_frame(subscription);
    if (give_event(subscription, ret_item))
        return true;
    give_up_frames(subscription);
    return false;
}

/* The frame that the last event came from was lent until now. */
static void take_back(struct spn_subscription *subscription)
{
    if (subscription->first != NULL && subscription->opened && subscription->left == 0)
        sub_drop_first(subscription);
}

static bool has_more(const struct spn_subscription *subscription)
{
    const struct frame *first = subscription->first;
    if (first != NULL && subscription->opened && subscription->left == 0)
        first = first->next;
    return first != NULL || (subscription->failed != SPN_OK && !subscription->end_given);
}

/* The subscription rejoins the ring after the others, so that none is left waiting. */
static bool give(struct spn_subscription *subscription, struct spn_item *ret_item)
{
    take_back(subscription);
    bool gave = give_next(subscription, ret_item);
    sub_link_leave(&subscription->ready);
    if (has_more(subscription))
        sub_link_join(&sub_all_of(subscription)->ready, &subscription->ready);
    return gave;
}

/* While there are items, or if the app does not wait, the sockets are looked at only now and then:
 * a look costs more than an item. */
static spn_err glance(struct spn_client *client)
{
    return client->now_ns() - client->looked_ns >= LOOK_NS ? client_turn(client) : SPN_OK;
}

/* For a call that does not wait, a look of that age is as good as a new one. */
static bool is_over(const struct spn_client *client, int timeout_ms)
{
    return timeout_ms == 0 && !client->ready;
}

spn_err spn_subscription_next(spn_subscription *subscription, int timeout_ms,
                              struct spn_item *ret_item)
{
    struct spn_client *client = subscription != NULL ? subscription->client : NULL;
    uint64_t deadline_ns = client_deadline(client, timeout_ms);
    spn_err err = client_check_for(client, ret_item);
    if (err == SPN_OK)
        err = glance(client);
    while (err == SPN_OK) {
        if (give(subscription, ret_item)) {
            sub_send_grants(client);
            return SPN_OK;
        }
        if (subscription->end_given)
            return client_fail(client, SPN_E_END, NULL);
        if (is_over(client, timeout_ms))
            return client_fail(client, SPN_E_TIMEOUT, NULL);
        err = client_turn(client);
        if (err == SPN_OK && sub_link_alone(&subscription->ready))
            err = client_sleep(client, deadline_ns, TRANSPORT_NEVER);
    }
    return err;
}

spn_err spn_next_of_any(spn_client *client, int timeout_ms, spn_subscription **ret_subscription,
                        struct spn_item *ret_item)
{
    uint64_t deadline_ns = client_deadline(client, timeout_ms);
    spn_err err = client_check_for(client, ret_subscription != NULL ? ret_item : NULL);
    struct subscriptions *all = err == SPN_OK ? client->subscriptions : NULL;
    if (err == SPN_OK && all == NULL)
        return client_fail(client, SPN_E_END, NULL);
    if (err == SPN_OK)
        err = glance(client);
    while (err == SPN_OK) {
        while (!sub_link_alone(&all->ready)) {
            struct spn_subscription *first = sub_of_ready(all->ready.next);
            if (give(first, ret_item)) {
                sub_send_grants(client);
                *ret_subscription = first;
                return SPN_OK;
            }
        }
        if (all->active == 0)
            return client_fail(client, SPN_E_END, NULL);
        if (is_over(client, timeout_ms))
            return client_fail(client, SPN_E_TIMEOUT, NULL);
        err = client_turn(client);
        if (err == SPN_OK && sub_link_alone(&all->ready))
            err = client_sleep(client, deadline_ns, TRANSPORT_NEVER);
    }
    return err;
}

/* -- life -------------------------------------------------------------------------------------- */

static spn_err prepare(struct spn_client *client)
{
    if (client->subscriptions != NULL)
        return SPN_OK;
    struct subscriptions *all = calloc(1, sizeof(*all));
    if (all == NULL)
        return SPN_E_NOMEM;
    all->part.ops = &sub_part_ops;
    all->client = client;
    all->due_ns = TRANSPORT_NEVER;
    sub_link_init(&all->ready);
    sub_link_init(&all->pending);
    client_add(client, &all->part);
    client->subscriptions = all;
    return SPN_OK;
}

static spn_err check_options(struct spn_bytes session,
                             const struct spn_subscription_options *options)
{
    spn_err err = wire_check_session(session);
    if (err != SPN_OK)
        return err;
    if ((unsigned)options->otherwise > SPN_WAIT)
        return SPN_E_INVALID;
    switch (options->start) {
    case SPN_EARLIEST:
    case SPN_NOW:
        return SPN_OK;
    case SPN_AFTER_ID:
        return options->after.size > 0 ? wire_check_id(options->after) : SPN_E_BAD_ID;
    }
    return SPN_E_INVALID;
}

/* The bytes of the session and the id follow the struct. */
static struct spn_subscription *make(struct spn_client *client, struct spn_bytes session,
                                     const struct spn_subscription_options *options)
{
    size_t after_size = options->start == SPN_AFTER_ID ? options->after.size : 0;
    struct spn_subscription *subscription =
        calloc(1, sizeof(*subscription) + session.size + after_size);
    if (subscription == NULL)
        return NULL;
    uint8_t *bytes = (uint8_t *)(subscription + 1);
    memcpy(bytes, session.data, session.size);
    if (after_size > 0)
        memcpy(bytes + session.size, options->after.data, after_size);
    subscription->client = client;
    subscription->session = (struct spn_bytes){bytes, session.size};
    subscription->after = (struct spn_bytes){bytes + session.size, after_size};
    subscription->start = (uint8_t)options->start;
    subscription->otherwise = (uint8_t)options->otherwise;
    subscription->window =
        options->window_bytes > 0 ? options->window_bytes : SUBSCRIPTION_WINDOW_DEFAULT;
    subscription->end = &subscription->first;
    sub_link_init(&subscription->ready);
    sub_link_init(&subscription->pending);
    return subscription;
}

spn_err spn_subscribe(spn_subscription **ret_subscription, spn_client *client,
                      struct spn_bytes session, const struct spn_subscription_options *options)
{
    struct spn_subscription_options chosen = {.size = sizeof(chosen)};
    spn_err err = client_check_for(client, ret_subscription);
    if (err != SPN_OK)
        return err;
    if (options != NULL &&
        !sized_take(&chosen, sizeof(chosen),
                    SIZED_THROUGH(struct spn_subscription_options, otherwise), options))
        err = SPN_E_INVALID;
    if (err == SPN_OK)
        err = check_options(session, &chosen);
    if (err == SPN_OK)
        err = prepare(client);
    if (err != SPN_OK)
        return client_fail(client, err, NULL);
    struct spn_subscription *subscription = make(client, session, &chosen);
    if (subscription == NULL)
        return client_fail(client, SPN_E_NOMEM, NULL);
    if (client->subscriptions->active == 0)
        client->subscriptions->beat_ns = client->now_ns() + SUBSCRIPTION_BEAT_NS;
    err = sub_put_in_slot(client->subscriptions, subscription);
    if (err != SPN_OK) {
        free(subscription);
        return client_fail(client, err, NULL);
    }
    sub_want_subscribe(subscription, 0);
    err = client_turn(client);
    if (err != SPN_OK) {
        spn_unsubscribe(subscription);
        return err;
    }
    *ret_subscription = subscription;
    return SPN_OK;
}

void spn_subscription_set_context(spn_subscription *subscription, void *context)
{
    if (subscription != NULL)
        subscription->context = context;
}

void *spn_subscription_context(const spn_subscription *subscription)
{
    return subscription != NULL ? subscription->context : NULL;
}

static void free_subscription(struct spn_subscription *subscription)
{
    sub_drop_frames(subscription);
    sub_link_leave(&subscription->pending);
    free(subscription);
}

void spn_unsubscribe(spn_subscription *subscription)
{
    if (subscription == NULL)
        return;
    struct spn_client *client = subscription->client;
    bool alive = !fork_guard_is_child(&client->guard);
    bool known = !subscription->ended && subscription->incarnation > 0;
    sub_take_from_slot(client->subscriptions, subscription);
    if (alive && known &&
        sub_send_unsubscribe(client, subscription->number, subscription->incarnation) != SPN_OK)
        client->subscriptions->forgotten = true;
    free_subscription(subscription);
    if (alive && client_turn(client) != SPN_OK)
        return; /* the next call reports it */
}

uint64_t subscriptions_resumed(const struct spn_client *client)
{
    return client->subscriptions != NULL ? client->subscriptions->resumed : 0;
}

void subscriptions_free(struct subscriptions *all)
{
    if (all == NULL)
        return;
    for (uint32_t slot = 0; slot < all->count; slot++)
        if (all->slots[slot] != NULL)
            free_subscription(all->slots[slot]);
    client_remove(all->client, &all->part);
    free(all->slots);
    free(all);
}
