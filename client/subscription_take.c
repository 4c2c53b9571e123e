/* SPDX-License-Identifier: Apache-2.0 */
/* subscription_take: deliveries, errors and answers to beats from the sidecar. */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "subscription_base.h"

/* Whether the items stay in the message instead of being copied. A message is as large as all of
 * its deliveries, and stays in memory until the last of them is read. ZeroMQ lends a small message
 * within the buffer that it was read into. That buffer has 18 KB and would stay too: an unread
 * event of a hundred bytes took 8.7 KB. */
static bool is_shared(const struct delivered *delivered)
{
    size_t size = zmq_msg_size(delivered->message);
    return size > SHARED_BYTES && delivered->head.size > size / 2;
}

static void note_ready(struct spn_subscription *subscription)
{
    if (!subscription->paused)
        ring_join(&sub_all_of(subscription)->ready, &subscription->ready);
}

/* False: no memory. */
static bool keep_frame(struct spn_subscription *subscription, const struct delivered *delivered)
{
    bool shared = is_shared(delivered);
    size_t size = delivered->head.size;
    struct frame *frame = malloc(sizeof(*frame) + (shared ? 0 : size));
    if (frame == NULL)
        return false;
    zmq_msg_init(&frame->message);
    if (shared && zmq_msg_copy(&frame->message, delivered->message) != 0) {
        free(frame);
        return false;
    }
    frame->rest = shared ? delivered->rest.at : frame->copied;
    if (!shared && size > 0)
        memcpy(frame->copied, delivered->rest.at, size);
    frame->next = NULL;
    frame->passed = frame->hidden = 0;
    frame->head = delivered->head;
    *subscription->end = frame;
    subscription->end = &frame->next;
    note_ready(subscription);
    return true;
}

/* A gap of a session after another one that was not given yet adds to it. So a sidecar that needs
 * no credit for gaps does not fill the memory with them. */
static bool add_to_gap(const struct spn_subscription *subscription, const struct wire_deliver *head)
{
    struct frame *last = sub_last_frame(subscription);
    bool given = last != NULL && last == subscription->first && subscription->opened;
    if (head->kind != WIRE_GAP || subscription->log || last == NULL || given ||
        last->head.kind != WIRE_GAP)
        return false;
    last->head.seq = head->seq;
    last->head.missing += head->missing;
    return true;
}

/* Whether a subscription may begin with this verdict. */
static bool may_begin(const struct spn_subscription *subscription, uint8_t verdict)
{
    bool again = (subscription->otherwise & SPN_RESTART) != 0;
    if (verdict == WIRE_UNKNOWN_ID)
        return again && subscription->start == WIRE_AFTER_ID;
    if (verdict == WIRE_OTHER_LIFE)
        return again && subscription->start == WIRE_AFTER_SEQ;
    return verdict <= WIRE_TRIMMED;
}

static bool verdict_fits(const struct spn_subscription *subscription,
                         const struct delivered *delivered)
{
    const struct wire_deliver *head = &delivered->head;
    if (!subscription->located)
        return may_begin(subscription, head->verdict);
    if (subscription->log && head->missing > 0) /* its gaps are of positions */
        return false;
    return head->verdict <= WIRE_TRIMMED &&
           wire_same_life(delivered->standing.life, subscription->life) &&
           head->seq == subscription->received + head->missing;
}

static bool gap_fits(const struct spn_subscription *subscription, const struct delivered *delivered)
{
    const struct wire_deliver *head = &delivered->head;
    struct wire_in in = delivered->rest;
    struct wire_log_gap gap;
    if (!subscription->log)
        return head->size == 0 && head->seq == subscription->received + head->missing;
    wire_get_log_gap(&in, &gap);
    return wire_in_done(&in) && gap.first > subscription->received && gap.last == head->seq;
}

/* Of the log, not every entry is an item, and there may be none. */
static bool events_fit(const struct spn_subscription *subscription, const struct wire_deliver *head)
{
    if (!subscription->log)
        return head->count > 0 && head->seq == subscription->received + head->count;
    return head->seq >= subscription->received &&
           head->seq - subscription->received >= head->count &&
           (head->count > 0 || head->size == 0);
}

/* Whether the delivery goes on where the one before it ended. */
static bool fits(const struct spn_subscription *subscription, const struct delivered *delivered)
{
    const struct wire_deliver *head = &delivered->head;
    if (delivered->rest.bad || head->bytes != subscription->bytes + sub_counted(subscription, head))
        return false;
    switch ((enum wire_delivery)head->kind) {
    case WIRE_VERDICT:
        return verdict_fits(subscription, delivered);
    case WIRE_EVENTS:
        return subscription->located && events_fit(subscription, head);
    case WIRE_GAP:
        return subscription->located && gap_fits(subscription, delivered);
    case WIRE_END:
        return head->verdict > WIRE_TRIMMED &&
               (head->verdict != WIRE_CLOSED ||
                (subscription->located && head->seq == subscription->received));
    }
    return false;
}

/* Whether each item has its head at least, so that none is for nothing, and there was credit for
 * each: only the last one may exceed it. What follows the head of anything else is small. */
static bool is_granted(const struct spn_subscription *subscription,
                       const struct delivered *delivered)
{
    const struct wire_deliver *head = &delivered->head;
    struct wire_in in = delivered->rest;
    if (head->kind == WIRE_EVENTS && head->size / WIRE_ITEM_HEAD_SIZE < head->count)
        return false;
    if (sub_counted(subscription, head) == 0)
        return head->size <= STANDING_MAX;
    if (head->bytes <= subscription->credit)
        return true;
    uint64_t left =
        subscription->credit > subscription->bytes ? subscription->credit - subscription->bytes : 0;
    if (head->kind == WIRE_GAP)
        return left > 0;
    while (!wire_in_done(&in)) {
        struct wire_item item;
        if ((uint64_t)(in.at - delivered->rest.at) >= left)
            return false;
        wire_get_item(&in, &item);
        if (in.bad)
            return false;
    }
    return true;
}

static void begin_at(struct spn_subscription *subscription, const struct delivered *delivered)
{
    subscription->located = true;
    subscription->life = delivered->standing.life;
    subscription->newest = delivered->standing.newest;
    subscription->given = delivered->head.seq;
}

/* The app does not get the verdict of a later incarnation. It gets a gap if events were missed. */
static void take_fitting(struct spn_subscription *subscription, struct delivered *delivered)
{
    struct wire_deliver *head = &delivered->head;
    uint32_t counted = sub_counted(subscription, head);
    if (head->kind == WIRE_VERDICT && subscription->located) {
        head->kind = WIRE_GAP;
        head->size = 0;
        sub_all_of(subscription)->resumed++;
    }
    if (head->kind == WIRE_EVENTS && head->count == 0) {
        sub_take_progress(subscription, head);
        if (sub_has_item(subscription))
            note_ready(subscription);
        return;
    }
    bool worth = head->kind != WIRE_GAP || head->missing > 0 || head->size > 0;
    if (worth && !add_to_gap(subscription, head) && !keep_frame(subscription, delivered)) {
        sub_subscribe_after_pause(subscription);
        return;
    }
    if (head->kind == WIRE_END) {
        sub_set_ended(subscription);
        return;
    }
    if (head->kind == WIRE_VERDICT)
        begin_at(subscription, delivered);
    subscription->received = head->seq;
    subscription->bytes = head->bytes;
    subscription->unread += counted;
    sub_account(subscription);
    sub_bound_paused(subscription);
}

static bool is_refused_for_now(const struct wire_deliver *head)
{
    return head->kind == WIRE_END && head->verdict == WIRE_REFUSED_VERDICT &&
           (head->code == SPN_E_NOMEM || head->code == SPN_E_STOPPING);
}

static void take_delivery(struct spn_subscription *subscription, struct delivered *delivered)
{
    const struct wire_deliver *head = &delivered->head;
    if (subscription->ended || subscription->subscribe ||
        head->incarnation != subscription->incarnation)
        return;
    if (head->kind == WIRE_VERDICT || head->kind == WIRE_END) {
        struct wire_in in = delivered->rest;
        wire_get_standing(&in, &delivered->standing);
        delivered->rest.bad = in.bad;
    }
    if (head->kind == WIRE_END && head->verdict == WIRE_UNSUBSCRIBED) {
        sub_ask_for_all(sub_all_of(subscription));
        sub_subscribe_after_pause(subscription);
    } else if (is_refused_for_now(head)) {
        sub_want_subscribe(subscription, subscription->subscribed_ns + SUBSCRIPTION_AGAIN_NS);
    } else if (head->kind == WIRE_VERDICT && head->verdict == WIRE_UNKNOWN_SESSION &&
               !subscription->located) {
        subscription->start = WIRE_EARLIEST; /* it waits: everything in the session will be new */
    } else if (fits(subscription, delivered)) {
        if (is_granted(subscription, delivered))
            take_fitting(subscription, delivered);
        else
            sub_fail(subscription, SPN_E_PROTOCOL);
    } else if (head->kind == WIRE_VERDICT && subscription->located) {
        sub_fail(subscription, SPN_E_PROTOCOL); /* subscribing again would give the same */
    } else {
        sub_subscribe_after_pause(subscription);
    }
}

/* An ERROR to a SUBSCRIBE: the sidecar could not read it. */
static void take_error(struct subscriptions *all, uint64_t request, struct wire_in *in)
{
    struct wire_error error;
    struct spn_subscription *subscription = sub_find(all, request & ~REQUEST_MARK);
    wire_get_error(in, &error);
    if (!wire_in_done(in) || subscription == NULL || subscription->ended)
        return;
    spn_err err = err_from_wire(error.code);
    sub_fail(subscription, err != SPN_OK ? err : SPN_E_PROTOCOL);
}

/* A delivery to a subscription that does not exist any more. */
static void take_stray(struct subscriptions *all, const struct wire_deliver *head)
{
    if (all->forgotten && head->kind != WIRE_END)
        (void)sub_send_unsubscribe(all->client, head->subscription, head->incarnation);
}

/* Whether the subscriptions were made with another sidecar. A new connection has subscribed them
 * again, with an instance that is not known. */
static bool is_other(const struct subscriptions *all, uint64_t instance)
{
    uint64_t before = all->instance;
    if (before == 0 && !all->renewed)
        before = all->client->instance;
    return before != 0 && instance != before;
}

/* The answer to a beat. */
static void take_alive(struct subscriptions *all, uint64_t request, struct wire_in in)
{
    struct wire_alive alive;
    wire_get_alive(&in, &alive);
    if (!wire_in_done(&in) || request != (REQUEST_MARK | all->beat_serial))
        return;
    bool other = is_other(all, alive.instance);
    all->instance = alive.instance;
    client_note_instance(all->client, TRANSPORT_READ, alive.instance);
    if (other)
        sub_subscribe_all(all);
    else if (alive.subscriptions < all->expected)
        sub_ask_for_all(all);
}

/* If a length in the message is wrong, the deliveries before it are taken. The next delivery then
 * shows that something is missing. If there is none, it is as if the rest had not been sent. */
static void take_deliveries(struct subscriptions *all, struct wire_in in, zmq_msg_t *message)
{
    struct delivered delivered = {.message = message};
    uint32_t count;
    wire_get_deliveries(&in, &count);
    for (uint32_t i = 0; i < count && !in.bad; i++) {
        wire_get_deliver(&in, &delivered.head, &delivered.rest);
        if (in.bad)
            return;
        struct spn_subscription *subscription = sub_find(all, delivered.head.subscription);
        if (subscription != NULL)
            take_delivery(subscription, &delivered);
        else
            take_stray(all, &delivered.head);
    }
}

static bool part_take(struct client_part *part, enum transport_name name, zmq_msg_t *message)
{
    struct subscriptions *all = (struct subscriptions *)part;
    struct wire_in in = wire_in(zmq_msg_data(message), zmq_msg_size(message));
    struct wire_header header = {0};
    if (name != TRANSPORT_READ)
        return false;
    spn_err err = wire_get_header(&in, &header);
    if (header.type == WIRE_ERROR && (err == SPN_OK || err == SPN_E_VERSION) &&
        (header.request & REQUEST_MARK) != 0) {
        take_error(all, header.request, &in);
        return true;
    }
    if (err != SPN_OK || (header.type != WIRE_DELIVER && header.type != WIRE_ALIVE))
        return false;
    all->heard = true;
    if (header.type == WIRE_ALIVE)
        take_alive(all, header.request, in);
    else
        take_deliveries(all, in, message);
    return true;
}

static void part_turn(struct client_part *part, uint64_t now_ns)
{
    struct subscriptions *all = (struct subscriptions *)part;
    if (!all->client->transport.read.connected) {
        all->blocked = !ring_alone(&all->pending);
        return;
    }
    uint64_t latest_ns = now_ns + all->client->heartbeat_ns; /* it may have become shorter */
    all->beat_ns = client_earlier(all->beat_ns, latest_ns);
    if (all->active > 0 && now_ns >= all->beat_ns)
        sub_beat(all, now_ns); /* may want to subscribe all again */
    sub_send_pending(all, now_ns);
}

static void part_reconnected(struct client_part *part, enum transport_name name)
{
    struct subscriptions *all = (struct subscriptions *)part;
    if (name != TRANSPORT_READ)
        return;
    all->instance = 0;
    all->renewed = all->client->welcomed;
    all->missed = 0;
    all->heard = true;
    for (uint32_t slot = 0; slot < all->count; slot++)
        if (all->slots[slot] != NULL)
            sub_want_subscribe(all->slots[slot], 0);
}

static uint64_t part_due_ns(const struct client_part *part)
{
    const struct subscriptions *all = (const struct subscriptions *)part;
    if (!all->client->transport.read.connected)
        return TRANSPORT_NEVER;
    return all->active > 0 ? client_earlier(all->beat_ns, all->due_ns) : all->due_ns;
}

static bool part_blocked(const struct client_part *part, enum transport_name name)
{
    return name == TRANSPORT_READ && ((const struct subscriptions *)part)->blocked;
}

static spn_err part_failed(const struct client_part *part)
{
    (void)part;
    return SPN_OK;
}

const struct client_part_ops sub_part_ops = {
    .take = part_take,
    .turn = part_turn,
    .reconnected = part_reconnected,
    .due_ns = part_due_ns,
    .blocked = part_blocked,
    .failed = part_failed,
};
