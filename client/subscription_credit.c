/* SPDX-License-Identifier: Apache-2.0 */
/* subscription_credit: how much the sidecar may send, and the beats that keep the lease. */
#include <assert.h>
#include <string.h>

#include "subscription_base.h"

/* A subscription's share of the bytes is this part of them, divided among all. */
enum { PART = 2, PART_AT_FIRST = 16 };

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Whether what the app can read fills the bound, so that those without credit wait until it is
 * read. What a paused one has, or what is granted and may never come, is not waited for. */
static bool must_wait(const struct subscriptions *all)
{
    return all->readable >= all->client->read_bytes_max;
}

/* How many bytes this subscription may hold now. See subscription.h for the shares. */
static uint64_t window_now(const struct spn_subscription *subscription)
{
    const struct subscriptions *all = sub_all_of(subscription);
    uint64_t bound = all->client->read_bytes_max;
    uint64_t others = all->held - subscription->held;
    uint64_t reserve = least(bound / 2, SLOTS_MAX);
    if (subscription->paused || must_wait(all))
        return 0;
    if (others >= bound || bound - others <= reserve)
        return 1;
    uint64_t part = subscription->bytes > 0 ? PART : PART_AT_FIRST;
    uint64_t share = (bound - reserve) / (part * most(all->active, 1));
    return most(least(least(share, bound - others - reserve), subscription->window), 1);
}

/* The credit that the sidecar should have now. It never falls below the credit that was granted,
 * and stays as it is where there is no room, also if the last event exceeded it. */
static uint64_t credit_due(const struct spn_subscription *subscription)
{
    uint64_t window = window_now(subscription);
    uint64_t room = window > subscription->unread ? window - subscription->unread : 0;
    return room > 0 ? most(subscription->bytes + room, subscription->credit) : subscription->credit;
}

/* Nothing can come, and nothing is left to read: only a grant helps. */
static bool is_dry(const struct spn_subscription *subscription)
{
    return subscription->credit <= subscription->bytes && subscription->unread == 0;
}

/* Whether it holds so much that no grant is due, whatever its window is now: that is never more
 * than its own. Cheaper than to find its window, which is done for each item otherwise. */
static bool has_enough(const struct spn_subscription *subscription)
{
    return subscription->credit > subscription->bytes &&
           subscription->held > subscription->window - subscription->window / 2;
}

void sub_want_grant(struct spn_subscription *subscription)
{
    struct subscriptions *all = sub_all_of(subscription);
    if (has_enough(subscription))
        return;
    if (subscription->ended || subscription->subscribe || subscription->paused)
        return;
    uint64_t more = credit_due(subscription) - subscription->credit;
    if (more > 0 && more >= window_now(subscription) / 2) {
        all->granting += ring_alone(&subscription->pending) ? 1 : 0;
        ring_join(&all->pending, &subscription->pending);
    } else if (is_dry(subscription)) {
        ring_join(&all->waiting, &subscription->pending);
    }
}

void sub_note_read(struct spn_subscription *subscription, size_t size)
{
    subscription->unread -= size;
    sub_account(subscription);
    sub_want_grant(subscription);
}

/* -- what is known ----------------------------------------------------------------------------- */

static void note_known(struct spn_subscription *subscription)
{
    struct subscriptions *all = sub_all_of(subscription);
    all->known += subscription->known ? 0 : 1;
    subscription->known = true;
    subscription->known_from = all->beat_serial;
}

static bool is_expected(const struct spn_subscription *subscription)
{
    return subscription->known && subscription->known_from < sub_all_of(subscription)->beat_serial;
}

void sub_forget_known(struct spn_subscription *subscription)
{
    struct subscriptions *all = sub_all_of(subscription);
    all->expected -= is_expected(subscription) ? 1 : 0;
    all->known -= subscription->known ? 1 : 0;
    subscription->known = false;
}

/* -- ends -------------------------------------------------------------------------------------- */

void sub_set_ended(struct spn_subscription *subscription)
{
    if (!subscription->ended)
        sub_all_of(subscription)->active--;
    subscription->ended = true;
    sub_forget_known(subscription);
    sub_account(subscription);
    ring_leave(&subscription->pending);
}

void sub_fail(struct spn_subscription *subscription, spn_err err)
{
    struct subscriptions *all = sub_all_of(subscription);
    bool subscribed = !subscription->ended && subscription->incarnation > 0;
    subscription->failed = err;
    sub_set_ended(subscription);
    subscription->leaving = subscribed;
    if (subscribed)
        ring_join(&all->pending, &subscription->pending);
    if (!subscription->paused)
        ring_join(&all->ready, &subscription->ready);
}

/* -- messages ---------------------------------------------------------------------------------- */

/* request: of these CREDITs; 0, or a beat's. */
static void grants_begin(struct grants *grants, struct subscriptions *all, uint64_t request)
{
    grants->all = all;
    grants->request = request;
    grants->count = 0;
    grants->out = wire_out(grants->bytes, sizeof(grants->bytes));
    wire_put_header(&grants->out, WIRE_CREDIT, request);
    wire_put_grants(&grants->out, 0);
}

static spn_err send_bytes(struct spn_client *client, const struct wire_out *out)
{
    zmq_msg_t message;
    assert(!out->bad);
    if (zmq_msg_init_size(&message, wire_out_size(out)) != 0)
        return SPN_E_NOMEM;
    memcpy(zmq_msg_data(&message), out->start, wire_out_size(out));
    spn_err err = transport_send(&client->transport.read, &message);
    if (err != SPN_OK)
        zmq_msg_close(&message);
    return err;
}

static void beat_again_soon(struct subscriptions *all)
{
    all->beat_again = true;
    all->beat_ns = least(all->beat_ns, all->client->now_ns() + SUBSCRIPTION_AGAIN_NS);
}

/* Grants that cannot go out are sent again in a later beat, or are void after a restart. */
static void grants_send(struct grants *grants)
{
    struct wire_out head = wire_out(grants->bytes, WIRE_HEADER_SIZE + 4);
    wire_put_header(&head, WIRE_CREDIT, grants->request);
    wire_put_grants(&head, grants->count);
    if (send_bytes(grants->all->client, &grants->out) != SPN_OK)
        beat_again_soon(grants->all);
    grants_begin(grants, grants->all, grants->request);
}

static void grants_add(struct grants *grants, struct spn_subscription *subscription)
{
    subscription->credit = credit_due(subscription);
    sub_account(subscription);
    wire_put_grant(&grants->out, &(struct wire_grant){.subscription = subscription->number,
                                                      .incarnation = subscription->incarnation,
                                                      .credit = subscription->credit});
    if (++grants->count == GRANTS_PER_MESSAGE)
        grants_send(grants);
}

void sub_want_subscribe(struct spn_subscription *subscription, uint64_t again_ns)
{
    if (subscription->ended)
        return;
    struct subscriptions *all = sub_all_of(subscription);
    subscription->subscribe = true;
    subscription->again_ns = again_ns;
    sub_forget_known(subscription);
    sub_account(subscription);
    ring_leave(&subscription->pending);
    ring_join(again_ns > 0 ? &all->resting : &all->pending, &subscription->pending);
    if (again_ns > 0 && again_ns < all->due_ns)
        all->due_ns = again_ns;
}

void sub_subscribe_after_pause(struct spn_subscription *subscription)
{
    if (subscription->subscribe)
        return;
    bool moved = subscription->given > subscription->pause_given;
    subscription->pause_ns = subscription->pause_ns == 0 || moved
                                 ? SUBSCRIPTION_PAUSE_NS
                                 : least(2 * subscription->pause_ns, SUBSCRIPTION_PAUSE_MAX_NS);
    subscription->pause_given = subscription->given;
    sub_want_subscribe(subscription, subscription->subscribed_ns + subscription->pause_ns);
}

/* Of the log. `start` has the numbers of FOLLOW. */
static void put_follow(const struct spn_subscription *subscription, uint64_t credit,
                       struct wire_out *out)
{
    bool located = subscription->located;
    struct wire_follow follow = {
        .subscription = subscription->number,
        .incarnation = subscription->incarnation + 1,
        .start = located ? WIRE_LOG_AFTER : subscription->start,
        .flags = subscription->touches ? WIRE_FOLLOW_TOUCHES : 0,
        .database = located ? subscription->life : subscription->after_life,
        .position = located ? subscription->received : subscription->after_seq,
        .credit = credit,
        .prefix = subscription->session,
    };
    wire_put_header(out, WIRE_FOLLOW, REQUEST_MARK | subscription->number);
    wire_put_follow(out, &follow);
}

static void put_subscribe(const struct spn_subscription *subscription, uint64_t credit,
                          struct wire_out *out)
{
    struct wire_subscribe subscribe = {.subscription = subscription->number,
                                       .incarnation = subscription->incarnation + 1,
                                       .start = subscription->start,
                                       .otherwise = subscription->otherwise,
                                       .credit = credit,
                                       .life = subscription->after_life,
                                       .seq = subscription->after_seq,
                                       .session = subscription->session,
                                       .id = subscription->after};
    if (subscription->located) {
        subscribe.start = WIRE_AFTER_SEQ;
        subscribe.otherwise = 0;
        subscribe.life = subscription->life;
        subscribe.seq = subscription->received;
        subscribe.id = (struct spn_bytes){NULL, 0};
    }
    wire_put_header(out, WIRE_SUBSCRIBE, REQUEST_MARK | subscription->number);
    wire_put_subscribe(out, &subscribe);
}

static spn_err send_subscribe(struct spn_subscription *subscription, uint64_t now_ns)
{
    uint8_t bytes[SUBSCRIBE_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    subscription->bytes = subscription->credit = 0;
    uint64_t room = credit_due(subscription);
    if (subscription->log)
        put_follow(subscription, room, &out);
    else
        put_subscribe(subscription, room, &out);
    spn_err err = send_bytes(subscription->client, &out);
    if (err != SPN_OK)
        return err;
    subscription->incarnation++;
    subscription->credit = room;
    subscription->subscribe = false;
    subscription->subscribed_ns = now_ns;
    note_known(subscription);
    sub_account(subscription);
    return SPN_OK;
}

/* Moves those whose pause is over. A look at all of them only when the first one is due. */
static void wake_resting(struct subscriptions *all, uint64_t now_ns)
{
    if (now_ns < all->due_ns)
        return;
    all->due_ns = TRANSPORT_NEVER;
    struct ring *next;
    for (struct ring *link = all->resting.next; link != &all->resting; link = next) {
        struct spn_subscription *subscription = sub_of_pending(link);
        next = link->next;
        if (subscription->again_ns > now_ns) {
            all->due_ns = least(all->due_ns, subscription->again_ns);
            continue;
        }
        ring_leave(link);
        ring_join(&all->pending, link);
    }
}

/* First come, first served, and before those that have read something. */
static void grant_waiting(struct subscriptions *all, struct grants *grants)
{
    while (!must_wait(all) && !ring_alone(&all->waiting)) {
        struct spn_subscription *first = sub_of_pending(all->waiting.next);
        ring_leave(&first->pending);
        grants_add(grants, first);
    }
}

/* What one pending subscription has to send. On failure it stays pending. */
static spn_err send_of(struct spn_subscription *subscription, struct grants *grants,
                       uint64_t now_ns)
{
    spn_err err = SPN_OK;
    if (subscription->leaving)
        err = sub_send_unsubscribe(subscription->client, subscription->number,
                                   subscription->incarnation);
    else if (subscription->subscribe)
        err = send_subscribe(subscription, now_ns);
    if (err != SPN_OK)
        return err;
    ring_leave(&subscription->pending);
    if (subscription->leaving)
        subscription->leaving = false;
    else if (credit_due(subscription) > subscription->credit)
        grants_add(grants, subscription);
    else if (is_dry(subscription) && !subscription->paused)
        ring_join(&grants->all->waiting, &subscription->pending);
    return SPN_OK;
}

/* A socket that is full shows by itself when it takes more. Memory does not: then it waits. */
static void note_not_sent(struct subscriptions *all, spn_err err, uint64_t now_ns)
{
    if (err == SPN_E_BACKPRESSURE)
        all->blocked = true;
    else
        all->due_ns = least(all->due_ns, now_ns + SUBSCRIPTION_PAUSE_NS);
}

void sub_send_pending(struct subscriptions *all, uint64_t now_ns)
{
    struct grants grants;
    wake_resting(all, now_ns);
    all->blocked = false;
    all->granting = 0;
    if (ring_alone(&all->pending) && ring_alone(&all->waiting))
        return;
    grants_begin(&grants, all, 0);
    grant_waiting(all, &grants);
    spn_err err = SPN_OK;
    while (!ring_alone(&all->pending) && err == SPN_OK)
        err = send_of(sub_of_pending(all->pending.next), &grants, now_ns);
    if (err != SPN_OK)
        note_not_sent(all, err, now_ns);
    if (grants.count > 0)
        grants_send(&grants);
}

/* -- beats ------------------------------------------------------------------------------------- */

void sub_subscribe_all(struct subscriptions *all)
{
    for (uint32_t slot = 0; slot < all->count; slot++)
        if (all->slots[slot] != NULL && is_expected(all->slots[slot]))
            sub_want_subscribe(all->slots[slot], 0);
}

/* A sidecar that sends anything else is there. Subscribing again while nothing comes back would
 * only fill the socket, so that is done once. */
static void note_missed(struct subscriptions *all)
{
    all->missed = all->heard ? 0 : all->missed + 1;
    all->heard = false;
    if (all->missed == SUBSCRIPTION_MISSED_MAX)
        sub_subscribe_all(all);
}

static void add_known(struct grants *grants)
{
    const struct subscriptions *all = grants->all;
    for (uint32_t slot = 0; slot < all->count; slot++)
        if (all->slots[slot] != NULL && all->slots[slot]->known)
            grants_add(grants, all->slots[slot]);
}

void sub_beat(struct subscriptions *all, uint64_t now_ns)
{
    struct grants grants;
    note_missed(all);
    all->beat_serial++;
    all->expected = all->known;
    all->beat_ns = now_ns + all->client->heartbeat_ns;
    bool of_all = all->beat_all || all->beat_again;
    all->beat_all = all->beat_again = false;
    grants_begin(&grants, all, REQUEST_MARK | all->beat_serial);
    if (of_all)
        add_known(&grants);
    grants_send(&grants);
}

void sub_ask_for_all(struct subscriptions *all)
{
    uint64_t now_ns = all->client->now_ns();
    if (now_ns - all->asked_all_ns < SUBSCRIPTION_AGAIN_NS)
        return;
    all->asked_all_ns = now_ns;
    all->beat_all = true;
    all->beat_ns = now_ns;
}

spn_err sub_send_unsubscribe(struct spn_client *client, uint64_t number, uint32_t incarnation)
{
    uint8_t bytes[WIRE_HEADER_SIZE + WIRE_GRANT_SIZE];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_UNSUBSCRIBE, 0);
    wire_put_grant(&out, &(struct wire_grant){.subscription = number, .incarnation = incarnation});
    return send_bytes(client, &out);
}

void sub_send_grants(struct spn_client *client)
{
    const struct subscriptions *all = client->subscriptions;
    bool waking = !ring_alone(&all->waiting) && !must_wait(all);
    if ((ring_alone(&all->pending) && !waking) || all->blocked)
        return;
    if (!ring_alone(&all->ready) && all->granting < GRANTS_PER_MESSAGE) {
        transport_settle(&client->transport, true, client->due_ns, client->looked_ns);
        return;
    }
    spn_err err =
        client_turn(client); /* sends them; a failure comes with the app's next call too */
    (void)err;
}
