/* SPDX-License-Identifier: Apache-2.0 */
#include "subscription.h"

#include <stdlib.h>
#include <string.h>

#include "event.h"
#include "sized.h"
#include "subscription_base.h"

/* -- items ------------------------------------------------------------------------------------- */

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

/* A paused subscription has nothing to give, and nobody can let it go on while this call waits. */
static spn_err without_item(struct spn_subscription *subscription, int timeout_ms)
{
    if (subscription->end_given)
        return client_fail(subscription->client, SPN_E_END, NULL);
    if (subscription->paused || is_over(subscription->client, timeout_ms))
        return client_not_yet(subscription->client, TRANSPORT_READ);
    return SPN_OK;
}

/* Waits for an item. The wait begins here, so an item that is there costs no look at the clock. */
static spn_err wait_for_item(struct spn_client *client, const struct ring *ready, int timeout_ms,
                             struct client_wait *wait)
{
    spn_err err = client_turn(client);
    return err == SPN_OK && ring_alone(ready)
               ? client_sleep_on(client, TRANSPORT_READ, timeout_ms, wait)
               : err;
}

spn_err spn_subscription_next(spn_subscription *subscription, int timeout_ms,
                              const struct spn_item **ret_item)
{
    struct spn_client *client = subscription != NULL ? subscription->client : NULL;
    struct client_wait wait = {0};
    spn_err err = client_check_for(client, ret_item);
    if (err == SPN_OK)
        err = glance(client);
    while (err == SPN_OK) {
        if (!subscription->paused && sub_give(subscription)) {
            sub_send_grants(client);
            *ret_item = &subscription->item;
            return SPN_OK;
        }
        err = without_item(subscription, timeout_ms);
        if (err == SPN_OK)
            err = wait_for_item(client, &subscription->ready, timeout_ms, &wait);
    }
    return err;
}

/* The next subscription that gives an item, or has one if `gives` is false. NULL: there is none. */
static struct spn_subscription *find_any(struct subscriptions *all, bool gives)
{
    while (!ring_alone(&all->ready)) {
        struct spn_subscription *first = sub_of_ready(all->ready.next);
        if (gives ? sub_give(first) : sub_has_item(first))
            return first;
        if (!sub_has_item(first))
            ring_leave(&first->ready);
    }
    return NULL;
}

static spn_err wait_for_any(spn_client *client, int timeout_ms, bool gives,
                            spn_subscription **ret_subscription)
{
    struct client_wait wait = {0};
    struct subscriptions *all = client->subscriptions;
    if (all == NULL)
        return client_fail(client, SPN_E_END, NULL);
    spn_err err = glance(client);
    while (err == SPN_OK) {
        *ret_subscription = find_any(all, gives);
        if (*ret_subscription != NULL)
            return SPN_OK;
        if (all->active == 0 && all->paused == 0)
            return client_fail(client, SPN_E_END, NULL);
        if (is_over(client, timeout_ms))
            return client_not_yet(client, TRANSPORT_READ);
        err = wait_for_item(client, &all->ready, timeout_ms, &wait);
    }
    return err;
}

spn_err spn_next_of_any(spn_client *client, int timeout_ms, spn_subscription **ret_subscription,
                        const struct spn_item **ret_item)
{
    spn_subscription *found = NULL;
    spn_err err = client_check_for(client, ret_subscription != NULL ? ret_item : NULL);
    if (err == SPN_OK)
        err = wait_for_any(client, timeout_ms, true, &found);
    if (err != SPN_OK)
        return err;
    sub_send_grants(client);
    *ret_subscription = found;
    *ret_item = &found->item;
    return SPN_OK;
}

spn_err spn_next_ready(spn_client *client, spn_subscription **ret_subscription, size_t *ret_bytes)
{
    spn_subscription *found = NULL;
    spn_err err = client_check_for(client, ret_subscription != NULL ? ret_bytes : NULL);
    if (err == SPN_OK)
        err = wait_for_any(client, 0, false, &found);
    if (err != SPN_OK)
        return err;
    *ret_subscription = found;
    *ret_bytes = sub_ready_bytes(found);
    return SPN_OK;
}

/* A SUBSCRIBE that is to be sent goes out all the same, without credit. */
static void pause_it(struct spn_subscription *subscription)
{
    struct subscriptions *all = sub_all_of(subscription);
    all->paused += subscription->end_given ? 0 : 1;
    sub_take_back(subscription);
    sub_bound_paused(subscription);
    ring_leave(&subscription->ready);
    if (!subscription->subscribe && !subscription->leaving)
        ring_leave(&subscription->pending);
}

static void go_on(struct spn_subscription *subscription)
{
    struct subscriptions *all = sub_all_of(subscription);
    all->paused -= subscription->end_given ? 0 : 1;
    if (sub_has_item(subscription)) {
        ring_join(&all->ready, &subscription->ready);
        subscription->client->news = true; /* a loop that trusts the descriptor learns of it */
    }
    sub_want_grant(subscription);
}

spn_err spn_subscription_pause(spn_subscription *subscription, bool paused)
{
    spn_err err = client_check(subscription != NULL ? subscription->client : NULL);
    if (err != SPN_OK || subscription->paused == paused)
        return err;
    subscription->paused = paused;
    sub_account(subscription);
    if (paused)
        pause_it(subscription);
    else
        go_on(subscription);
    return client_turn(subscription->client);
}

/* -- life -------------------------------------------------------------------------------------- */

static spn_err prepare(struct spn_client *client)
{
    if (client->subscriptions != NULL)
        return SPN_OK;
    spn_err err = client_use(client, TRANSPORT_READ);
    if (err != SPN_OK)
        return err;
    struct subscriptions *all = calloc(1, sizeof(*all));
    if (all == NULL)
        return client_fail(client, SPN_E_NOMEM, NULL);
    all->part.ops = &sub_part_ops;
    all->client = client;
    all->due_ns = TRANSPORT_NEVER;
    all->heard = true;
    ring_init(&all->ready);
    ring_init(&all->pending);
    ring_init(&all->resting);
    ring_init(&all->waiting);
    client_add(client, &all->part);
    client->subscriptions = all;
    return SPN_OK;
}

static bool is_some_life(struct spn_life life)
{
    return !wire_same_life(life, (struct spn_life){{0}});
}

static spn_err check_options(struct spn_bytes session,
                             const struct spn_subscription_options *options)
{
    spn_err err = wire_check_session(session);
    if (err != SPN_OK)
        return err;
    if (options->otherwise > (SPN_RESTART | SPN_WAIT))
        return SPN_E_INVALID;
    switch (options->start) {
    case SPN_EARLIEST:
    case SPN_NOW:
        return SPN_OK;
    case SPN_AFTER_ID:
        return options->after.size > 0 ? wire_check_id(options->after) : SPN_E_BAD_ID;
    case SPN_AFTER_SEQ:
        return is_some_life(options->after_life) ? SPN_OK : SPN_E_INVALID;
    case SPN_AFTER_POSITION: /* of spn_follow */
        break;
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
    if (session.size > 0)
        memcpy(bytes, session.data, session.size);
    if (after_size > 0)
        memcpy(bytes + session.size, options->after.data, after_size);
    subscription->client = client;
    subscription->session = (struct spn_bytes){bytes, session.size};
    subscription->after = (struct spn_bytes){bytes + session.size, after_size};
    if (options->start == SPN_AFTER_SEQ) {
        subscription->after_life = options->after_life;
        subscription->after_seq = options->after_seq;
    }
    subscription->asked = subscription->start = (uint8_t)options->start;
    subscription->otherwise = (uint8_t)options->otherwise;
    subscription->window =
        options->window_bytes > 0 ? options->window_bytes : SUBSCRIPTION_WINDOW_DEFAULT;
    subscription->end = &subscription->first;
    ring_init(&subscription->ready);
    ring_init(&subscription->pending);
    return subscription;
}

spn_err sub_make(struct spn_client *client, struct spn_bytes session,
                 const struct spn_subscription_options *options,
                 struct spn_subscription **ret_subscription)
{
    spn_err err = prepare(client);
    if (err != SPN_OK)
        return err;
    struct spn_subscription *subscription = make(client, session, options);
    if (client->subscriptions->active == 0)
        client->subscriptions->beat_ns = client->now_ns() + client->heartbeat_ns;
    err = subscription != NULL ? sub_put_in_slot(client->subscriptions, subscription) : SPN_E_NOMEM;
    if (err != SPN_OK) {
        free(subscription);
        client_fail(client, err, NULL);
        return err;
    }
    *ret_subscription = subscription;
    return SPN_OK;
}

spn_err sub_start(struct spn_subscription *subscription)
{
    sub_want_subscribe(subscription, 0);
    spn_err err = client_turn(subscription->client);
    if (err != SPN_OK)
        spn_unsubscribe(subscription);
    return err;
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
    if (err != SPN_OK)
        return client_fail(client, err, NULL);
    struct spn_subscription *subscription;
    err = sub_make(client, session, &chosen, &subscription);
    if (err != SPN_OK)
        return err;
    err = sub_start(subscription);
    if (err == SPN_OK)
        *ret_subscription = subscription;
    return err;
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
    struct subscriptions *all = sub_all_of(subscription);
    all->paused -= subscription->paused && !subscription->end_given ? 1 : 0;
    sub_drop_frames(subscription);
    sub_forget_known(subscription);
    ring_leave(&subscription->pending);
    all->held -= subscription->held;
    all->readable -= subscription->readable;
    all->paused_unread -= subscription->paused_unread;
    free(subscription);
}

void spn_unsubscribe(spn_subscription *subscription)
{
    if (subscription == NULL)
        return;
    struct spn_client *client = subscription->client;
    bool alive = !fork_guard_is_child(&client->guard);
    bool subscribed =
        (!subscription->ended || subscription->leaving) && subscription->incarnation > 0;
    sub_take_from_slot(client->subscriptions, subscription);
    if (alive && subscribed &&
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
