/* SPDX-License-Identifier: Apache-2.0 */
/* subscription_credit: how much the sidecar may send, and the lease. */
#include <assert.h>
#include <string.h>

#include "subscription_base.h"

/* The credit that the sidecar should have now. It never falls below the credit that was granted. */
static uint64_t credit_due(const struct spn_subscription *subscription)
{
    uint64_t room = subscription->unread < subscription->window
                        ? subscription->window - subscription->unread
                        : 0;
    uint64_t credit = subscription->bytes + room;
    return credit > subscription->credit ? credit : subscription->credit;
}

void sub_note_read(struct spn_subscription *subscription, size_t size)
{
    subscription->unread -= size;
    uint64_t more = credit_due(subscription) - subscription->credit;
    if (more > 0 && more >= subscription->window / 2 && !subscription->ended)
        sub_link_join(&sub_all_of(subscription)->pending, &subscription->pending);
}

static void grants_begin(struct grants *grants, struct subscriptions *all)
{
    grants->all = all;
    grants->count = 0;
    grants->out = wire_out(grants->bytes, sizeof(grants->bytes));
    wire_put_header(&grants->out, WIRE_CREDIT, 0);
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

/* Grants that cannot go out are sent again in a later beat, or are void after a restart. */
static void grants_send(struct grants *grants)
{
    struct wire_out head = wire_out(grants->bytes, WIRE_HEADER_SIZE + 4);
    wire_put_header(&head, WIRE_CREDIT, 0);
    wire_put_grants(&head, grants->count);
    if (send_bytes(grants->all->client, &grants->out) != SPN_OK)
        grants->all->beat_again = true;
    grants_begin(grants, grants->all);
}

static void grants_add(struct grants *grants, struct spn_subscription *subscription)
{
    subscription->credit = credit_due(subscription);
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
    subscription->subscribe = true;
    subscription->again_ns = again_ns;
    sub_link_join(&sub_all_of(subscription)->pending, &subscription->pending);
}

void sub_subscribe_after_pause(struct spn_subscription *subscription)
{
    if (!subscription->subscribe)
        sub_want_subscribe(subscription, subscription->subscribed_ns + SUBSCRIPTION_PAUSE_NS);
}

static spn_err send_subscribe(struct spn_subscription *subscription, uint64_t now_ns)
{
    uint8_t bytes[SUBSCRIBE_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    uint64_t room = subscription->unread < subscription->window
                        ? subscription->window - subscription->unread
                        : 0;
    struct wire_subscribe subscribe = {.subscription = subscription->number,
                                       .incarnation = subscription->incarnation + 1,
                                       .start = subscription->start,
                                       .otherwise = subscription->otherwise,
                                       .credit = room,
                                       .session = subscription->session,
                                       .id = subscription->after};
    if (subscription->located) {
        subscribe.start = WIRE_AFTER_SEQ;
        subscribe.otherwise = WIRE_FAIL;
        subscribe.epoch = subscription->epoch;
        subscribe.seq = subscription->received;
        subscribe.id = (struct spn_bytes){NULL, 0};
    }
    wire_put_header(&out, WIRE_SUBSCRIBE, REQUEST_MARK | subscription->number);
    wire_put_subscribe(&out, &subscribe);
    spn_err err = send_bytes(subscription->client, &out);
    if (err != SPN_OK)
        return err;
    subscription->incarnation++;
    subscription->bytes = 0;
    subscription->credit = room;
    subscription->subscribe = false;
    subscription->silent = false;
    subscription->subscribed_ns = now_ns;
    return SPN_OK;
}

void sub_send_pending(struct subscriptions *all, uint64_t now_ns)
{
    struct grants grants;
    grants_begin(&grants, all);
    all->blocked = false;
    all->due_ns = TRANSPORT_NEVER;
    struct link *next;
    for (struct link *link = all->pending.next; link != &all->pending && !all->blocked;
         link = next) {
        struct spn_subscription *subscription = sub_of_pending(link);
        next = link->next;
        if (!subscription->subscribe) {
            grants_add(&grants, subscription);
        } else if (subscription->again_ns > now_ns) {
            if (subscription->again_ns < all->due_ns)
                all->due_ns = subscription->again_ns;
            continue;
        } else if (send_subscribe(subscription, now_ns) != SPN_OK) {
            all->blocked = true;
            break;
        }
        sub_link_leave(link);
    }
    if (grants.count > 0)
        grants_send(&grants);
}

void sub_beat(struct subscriptions *all, uint64_t now_ns)
{
    struct grants grants;
    uint32_t most = all->beat_all ? all->count : SUBSCRIPTION_BEAT_GRANTS;
    uint32_t asked = 0;
    grants_begin(&grants, all);
    for (uint32_t i = 0; i < all->count && asked < most; i++) {
        uint32_t slot = all->beat_slot < all->count ? all->beat_slot : 0;
        struct spn_subscription *subscription = all->slots[slot];
        all->beat_slot = slot + 1;
        if (subscription == NULL || subscription->ended || subscription->subscribe)
            continue;
        if (subscription->silent || all->beat_all) {
            grants_add(&grants, subscription);
            asked++;
        }
        subscription->silent = true;
    }
    if (grants.count > 0 || asked == 0)
        grants_send(&grants);
    all->beat_all = all->beat_again;
    all->beat_again = false;
    all->beat_ns = now_ns + SUBSCRIPTION_BEAT_NS;
}

void sub_ask_for_all(struct subscriptions *all)
{
    uint64_t now_ns = all->client->now_ns();
    if (now_ns - all->asked_all_ns < SUBSCRIPTION_BEAT_NS)
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
    bool waiting = all->blocked || all->due_ns != TRANSPORT_NEVER; /* for something else */
    if (sub_link_alone(&all->pending) || waiting)
        return;
    spn_err err =
        client_turn(client); /* sends them; a failure comes with the app's next call too */
    (void)err;
}
