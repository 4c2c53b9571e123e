/* SPDX-License-Identifier: Apache-2.0 */
#include "read/subscription.h"

#include <stdlib.h>

#include "read/subscription_base.h"

/* -- requests ---------------------------------------------------------------------------------- */

static spn_err check_contents(const struct wire_subscribe *request)
{
    spn_err err = wire_check_session(request->session);
    if (err == SPN_OK && request->start == WIRE_AFTER_ID)
        err = request->id.size > 0 ? wire_check_id(request->id) : SPN_E_BAD_ID;
    return err;
}

static spn_err take_subscribe(struct subscriptions *all, struct outbox_peer *peer,
                              const struct wire_subscribe *request,
                              struct subscription **ret_subscription)
{
    struct subscriber *subscriber = subscription_take_subscriber(all, peer);
    if (!subscriber)
        return SPN_E_NOMEM;
    struct subscription *former = subscription_find(all, subscriber, request->subscription);
    if (former && former->incarnation >= request->incarnation)
        return SPN_E_INVALID;
    if (former)
        subscription_take_out(all, former);
    spn_err err = subscription_add(all, subscriber, request, ret_subscription);
    if (link_alone(&subscriber->subscriptions))
        subscription_drop_subscriber(subscriber);
    return err;
}

/* Sends the end of a subscription that does not exist. False: there is no room for it. The client
 * then learns from ALIVE that one is missing. */
static bool send_end(struct subscriptions *all, struct outbox_peer *peer,
                     const struct wire_deliver *end)
{
    const struct wire_standing unknown = {.newest = 0};
    bool sent = subscription_deliver_plain(all, peer, end, &unknown) == SPN_OK;
    if (!sent)
        metrics_add(&all->options.metrics->answers_dropped, 1);
    return sent;
}

static void refuse(struct subscriptions *all, struct outbox_peer *peer,
                   const struct wire_subscribe *request, spn_err err)
{
    struct wire_deliver end = {.subscription = request->subscription,
                               .incarnation = request->incarnation,
                               .kind = WIRE_END,
                               .verdict = WIRE_REFUSED_VERDICT,
                               .code = (uint16_t)err};
    (void)send_end(all, peer, &end);
}

spn_err subscriptions_subscribe(struct subscriptions *all, struct outbox_peer *peer,
                                struct wire_in in)
{
    struct wire_subscribe request;
    wire_get_subscribe(&in, &request);
    if (!wire_in_done(&in))
        return SPN_E_PROTOCOL;
    if (request.start != WIRE_AFTER_ID)
        request.id.size = 0;
    struct subscription *subscription;
    spn_err err = check_contents(&request);
    if (err == SPN_OK)
        err = take_subscribe(all, peer, &request, &subscription);
    if (err != SPN_OK)
        refuse(all, peer, &request, err);
    return SPN_OK;
}

/* A prefix in the place of the session, a position in that of the seq, a database in that of the
 * life. */
static struct wire_subscribe as_subscribe(const struct wire_follow *follow)
{
    static const uint8_t starts[] = {[WIRE_LOG_EARLIEST] = WIRE_EARLIEST,
                                     [WIRE_LOG_AFTER] = WIRE_AFTER_SEQ,
                                     [WIRE_LOG_NOW] = WIRE_NOW};
    return (struct wire_subscribe){.subscription = follow->subscription,
                                   .incarnation = follow->incarnation,
                                   .start = starts[follow->start],
                                   .life = follow->database,
                                   .seq = follow->position,
                                   .credit = follow->credit,
                                   .session = follow->prefix};
}

spn_err subscriptions_follow(struct subscriptions *all, struct outbox_peer *peer, struct wire_in in)
{
    struct wire_follow follow;
    wire_get_follow(&in, &follow);
    if (!wire_in_done(&in))
        return SPN_E_PROTOCOL;
    struct wire_subscribe request = as_subscribe(&follow);
    struct subscription *subscription;
    spn_err err = wire_check_prefix(follow.prefix);
    if (err == SPN_OK)
        err = take_subscribe(all, peer, &request, &subscription);
    if (err != SPN_OK) {
        refuse(all, peer, &request, err);
        return SPN_OK;
    }
    subscription->log = true;
    subscription->touches = (follow.flags & WIRE_FOLLOW_TOUCHES) != 0;
    return SPN_OK;
}

/* NULL: there is no such subscription. */
static struct subscription *find_granted(const struct subscriptions *all,
                                         const struct outbox_peer *peer,
                                         const struct wire_grant *which)
{
    struct subscription *found = subscription_find(all, peer->subscriber, which->subscription);
    return found && found->incarnation == which->incarnation ? found : NULL;
}

/* Answers a request about a subscription that does not exist. False: there is no room. */
static bool send_gone(struct subscriptions *all, struct outbox_peer *peer,
                      const struct wire_grant *which)
{
    struct wire_deliver gone = {.subscription = which->subscription,
                                .incarnation = which->incarnation,
                                .kind = WIRE_END,
                                .verdict = WIRE_UNSUBSCRIBED};
    return send_end(all, peer, &gone);
}

/* A grant that adds nothing lets a stalled subscription look at its session again: a gap of a
 * session needs no credit. */
static void grant(struct subscriptions *all, struct subscription *subscription,
                  const struct wire_grant *grant)
{
    if (grant->credit > subscription->credit)
        subscription->credit = grant->credit;
    if (subscription->state == STALLED)
        subscription_set_state(all, subscription, BEHIND);
    if (subscription_may_ask(subscription) && link_alone(&subscription->blocked))
        subscription_later(all, subscription);
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
        peer->subscriber->heard_ns = all->options.source.clock->monotonic_ns();
    bool has_room = true;
    wire_get_grants(&in, &count);
    for (uint32_t i = 0; i < count; i++) {
        wire_get_grant(&in, &one);
        struct subscription *subscription = find_granted(all, peer, &one);
        if (subscription)
            grant(all, subscription, &one);
        else if (has_room) /* of 4,096 ends, the first that finds no room is enough */
            has_room = send_gone(all, peer, &one);
    }
    return has_room ? SPN_OK : SPN_E_BACKPRESSURE;
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
        subscription_forget(all, subscription);
    else
        (void)send_gone(all, peer, &which);
    return SPN_OK;
}

uint32_t subscriptions_of_peer(const struct outbox_peer *peer)
{
    return peer->subscriber ? peer->subscriber->count : 0;
}

/* -- time -------------------------------------------------------------------------------------- */

static void forget_gone(struct subscriptions *all)
{
    struct outbox_peer *peer = NULL;
    while ((peer = outbox_next_gone(all->options.outbox, peer)) != NULL)
        subscription_forget_subscriber(all, peer->subscriber);
}

static void look_at_leases(struct subscriptions *all, uint64_t now)
{
    struct link *next;
    all->looked_ns = now;
    for (struct link *link = all->subscribers.next; link != &all->subscribers; link = next) {
        struct subscriber *subscriber = LINK_OWNER(link, struct subscriber, all);
        next = link->next;
        if (now - subscriber->heard_ns > LEASE_MS * MS)
            subscription_forget_subscriber(all, subscriber);
    }
}

/* Unblocks some subscriptions of a subscriber that has room again. */
static void retry_some(struct subscriptions *all, struct subscriber *subscriber)
{
    for (int i = 0; i < RETRIES_PER_TURN && !link_alone(&subscriber->blocked); i++) {
        struct subscription *subscription =
            LINK_OWNER(subscriber->blocked.next, struct subscription, blocked);
        subscription_unblock(subscription);
        subscription_later(all, subscription);
    }
}

/* Checks each subscriber that had no room, not each of its subscriptions. */
static void retry_blocked(struct subscriptions *all, uint64_t now)
{
    struct link *next;
    all->retried_ns = now;
    for (struct link *link = all->stalled.next; link != &all->stalled; link = next) {
        struct subscriber *subscriber = LINK_OWNER(link, struct subscriber, stalled);
        next = link->next;
        if (outbox_has_room(all->options.outbox, subscriber->peer, PUMP_BYTES_MAX))
            retry_some(all, subscriber);
    }
}

/* Live ones that got nothing lately learn how far the log was read for them, so that they go on
 * from there. */
static void report_progress(struct subscriptions *all)
{
    for (struct link *link = all->following.next; link != &all->following; link = link->next)
        if (subscription_deliver_progress(all, LINK_OWNER(link, struct subscription, group)) !=
            SPN_OK)
            continue; /* the next one has another client, or comes in a second */
}

/* What the log is followed with takes some megabytes. */
static void look_at_followers(struct subscriptions *all, uint64_t now)
{
    report_progress(all);
    if (!link_alone(&all->following))
        all->followed_ns = now;
    if (now - all->followed_ns < FOLLOWED_MS * MS)
        return;
    survey_clear(&all->survey);
    session_cache_release(&all->cache);
}

long subscriptions_tick(struct subscriptions *all)
{
    uint64_t now = all->options.source.clock->monotonic_ns();
    forget_gone(all);
    if (!link_alone(&all->stalled) && now - all->retried_ns >= OUTBOX_RETRY_MS * MS)
        retry_blocked(all, now);
    bool looks = now - all->looked_ns >= LEASE_LOOK_MS * MS;
    if (looks) {
        look_at_leases(all, now);
        look_at_followers(all, now);
    }
    if (looks || link_alone(&all->subscribers))
        subscription_give_back(all);
    subscription_go_on_with_due(all);
    if (!link_alone(&all->reading))
        return 0;
    if (!link_alone(&all->stalled))
        return OUTBOX_RETRY_MS;
    return link_alone(&all->subscribers) ? -1 : LEASE_LOOK_MS;
}

/* -- new and free ------------------------------------------------------------------------------ */

spn_err subscriptions_new(struct subscriptions **ret_subscriptions,
                          const struct subscriptions_options *options)
{
    struct subscriptions *all = calloc(1, sizeof(*all));
    if (!all)
        return SPN_E_NOMEM;
    all->options = *options;
    all->scan.journal = options->source.journal;
    link_init(&all->subscribers);
    link_init(&all->scanned);
    link_init(&all->stalled);
    link_init(&all->due);
    link_init(&all->reading);
    link_init(&all->following);
    session_cache_init(&all->cache, options->source.journal);
    spn_err err = survey_init(&all->survey, options->source.journal);
    if (err == SPN_OK)
        err = subscription_table_init(all);
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
        subscription_forget_subscriber(all, LINK_OWNER(link, struct subscriber, all));
    }
    subscription_table_release(all);
    session_cache_release(&all->cache);
    survey_release(&all->survey);
    free(all);
}
