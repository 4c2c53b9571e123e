/* SPDX-License-Identifier: Apache-2.0 */
#include "subscription.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "sized.h"

enum {
    SLOTS_FIRST = 16,
    SLOTS_MAX = 1 << 20,
    GRANTS_PER_MESSAGE = 256,
    SUBSCRIBE_MAX = WIRE_HEADER_SIZE + 8 + 4 + 4 + 3 * 8 + 1 + WIRE_SESSION_MAX + 2 + WIRE_ID_MAX,
    SHARED_BYTES = 8192, /* that ZeroMQ reads at a time */
};

#define LOOK_NS                                                                                    \
    UINT64_C(50000) /* how old the last look at the sockets may be while there are items */
#define REQUEST_MARK (UINT64_C(1) << 63) /* of SUBSCRIBE; the rest is the subscription's number */

/* A delivery that waits to be read. */
struct frame {
    struct frame *next;
    struct wire_deliver head;
    const uint8_t *items; /* in copied, or in the message */
    zmq_msg_t message;    /* empty, when they were copied */
    uint8_t copied[];
};

/* One that came in. */
struct delivered {
    struct wire_deliver head;
    struct wire_in items;
    zmq_msg_t *message; /* that it is in */
};

/* A place in a ring; alone it points to itself. */
struct link {
    struct link *next;
    struct link *previous;
};

struct spn_subscription {
    struct link ready;   /* in the ring of those that have something to give */
    struct link pending; /* in the ring of those that have something to send */
    struct spn_client *client;
    void *context;
    uint64_t number;
    uint32_t incarnation;
    uint8_t start;
    uint8_t otherwise;
    bool subscribe; /* pending: to be subscribed (again); else to be granted */
    bool located;   /* the verdict was received: the cursor is (epoch, received) */
    bool silent;    /* nothing came since the last beat */
    bool ended;     /* its end was received, or it failed */
    bool end_given;
    spn_err failed; /* an end that no delivery told */

    uint64_t epoch;
    uint64_t received;
    uint64_t given;
    uint64_t bytes;  /* received in this incarnation */
    uint64_t credit; /* granted in this incarnation */
    uint64_t unread;
    uint64_t window;
    uint64_t subscribed_ns;
    uint64_t again_ns; /* not to be subscribed before */

    struct frame *first; /* being read */
    struct frame **end;
    struct wire_in items; /* of the first one */
    uint32_t left;        /* items of it */
    bool opened;          /* items and left are set */

    struct spn_bytes session; /* behind the struct */
    struct spn_bytes after;
};

struct subscriptions {
    struct client_part part; /* first: the part is all of them */
    struct spn_client *client;
    struct spn_subscription **slots; /* NULL: free */
    uint32_t count;
    uint32_t room;
    uint32_t used;
    uint32_t active; /* not ended */
    uint32_t serial; /* in numbers, so that none is used twice */
    uint32_t free_hint;
    uint32_t beat_slot; /* where the next beat begins to look */
    bool beat_all;      /* the next beat asks for all of them */
    bool beat_again;    /* grants did not go out: the beat after has those of all */
    bool forgotten; /* an UNSUBSCRIBE did not go out: the sidecar may go on with what it meant */
    uint64_t asked_all_ns;
    bool blocked;
    uint64_t resumed; /* verdicts that the app did not see */
    uint64_t beat_ns;
    uint64_t due_ns; /* of what waits in pending */
    struct link ready;
    struct link pending;
};

/* -- rings ------------------------------------------------------------------------------------- */

static void link_init(struct link *link)
{
    link->next = link->previous = link;
}

static bool link_alone(const struct link *link)
{
    return link->next == link;
}

static void link_leave(struct link *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link_init(link);
}

/* At the end of the ring, unless it is in one already. */
static void link_join(struct link *ring, struct link *link)
{
    if (!link_alone(link))
        return;
    link->next = ring;
    link->previous = ring->previous;
    ring->previous->next = link;
    ring->previous = link;
}

static struct spn_subscription *of_ready(struct link *link)
{
    return (struct spn_subscription *)(void *)((char *)link -
                                               offsetof(struct spn_subscription, ready));
}

static struct spn_subscription *of_pending(struct link *link)
{
    return (struct spn_subscription *)(void *)((char *)link -
                                               offsetof(struct spn_subscription, pending));
}

/* -- slots ------------------------------------------------------------------------------------- */

static struct subscriptions *all_of(const struct spn_subscription *subscription)
{
    return subscription->client->subscriptions;
}

static uint32_t slot_of(uint64_t number)
{
    return (uint32_t)number;
}

static struct spn_subscription *find(const struct subscriptions *all, uint64_t number)
{
    uint32_t slot = slot_of(number);
    struct spn_subscription *found = slot < all->count ? all->slots[slot] : NULL;
    return found != NULL && found->number == number ? found : NULL;
}

static spn_err free_slot(struct subscriptions *all, uint32_t *ret_slot)
{
    uint32_t slot = all->free_hint; /* none below is free */
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

static spn_err put_in_slot(struct subscriptions *all, struct spn_subscription *subscription)
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

static void take_from_slot(struct subscriptions *all, const struct spn_subscription *subscription)
{
    uint32_t slot = slot_of(subscription->number);
    all->slots[slot] = NULL;
    all->used--;
    all->active -= subscription->ended ? 0 : 1;
    if (slot < all->free_hint)
        all->free_hint = slot;
}

/* -- frames ------------------------------------------------------------------------------------ */

static void drop_first(struct spn_subscription *subscription)
{
    struct frame *frame = subscription->first;
    subscription->first = frame->next;
    if (frame->next == NULL)
        subscription->end = &subscription->first;
    subscription->opened = false;
    zmq_msg_close(&frame->message);
    free(frame);
}

/* All that was received and not given is forgotten. */
static void drop_frames(struct spn_subscription *subscription)
{
    while (subscription->first != NULL)
        drop_first(subscription);
    subscription->unread = 0;
    subscription->received = subscription->given;
    link_leave(&subscription->ready);
}

/* Whether the items are best left where they are. A message is as large as all of its deliveries,
 * and waits for the last of them to be read. And ZeroMQ hands out a small one within the buffer
 * that it read it into, which has 18 KB and would wait with it: an event of a hundred bytes that
 * is not read yet took 8.7 KB. */
static bool is_shared(const struct delivered *delivered)
{
    size_t size = zmq_msg_size(delivered->message);
    return size > SHARED_BYTES && delivered->head.size > size / 2;
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
    frame->items = shared ? delivered->items.at : frame->copied;
    if (!shared && size > 0)
        memcpy(frame->copied, delivered->items.at, size);
    frame->next = NULL;
    frame->head = delivered->head;
    *subscription->end = frame;
    subscription->end = &frame->next;
    link_join(&all_of(subscription)->ready, &subscription->ready);
    return true;
}

/* -- credit ------------------------------------------------------------------------------------ */

/* How far the sidecar may go now. Never less than it may already. */
static uint64_t credit_due(const struct spn_subscription *subscription)
{
    uint64_t room = subscription->unread < subscription->window
                        ? subscription->window - subscription->unread
                        : 0;
    uint64_t credit = subscription->bytes + room;
    return credit > subscription->credit ? credit : subscription->credit;
}

/* Half a window at a time: a grant costs a message, and the sidecar must not run dry. */
static void note_read(struct spn_subscription *subscription, size_t size)
{
    subscription->unread -= size;
    uint64_t more = credit_due(subscription) - subscription->credit;
    if (more > 0 && more >= subscription->window / 2 && !subscription->ended)
        link_join(&all_of(subscription)->pending, &subscription->pending);
}

struct grants {
    struct subscriptions *all;
    struct wire_out out;
    uint32_t count;
    uint8_t bytes[WIRE_HEADER_SIZE + 4 + GRANTS_PER_MESSAGE * WIRE_GRANT_SIZE];
};

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

/* Grants that cannot go out are in the next beat again, or are void after a restart. */
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

/* -- subscribing ------------------------------------------------------------------------------- */

static void want_subscribe(struct spn_subscription *subscription, uint64_t again_ns)
{
    if (subscription->ended)
        return;
    subscription->subscribe = true;
    subscription->again_ns = again_ns;
    link_join(&all_of(subscription)->pending, &subscription->pending);
}

/* The sidecar said something that should not be: again, but not in a circle at full speed. */
static void subscribe_after_pause(struct spn_subscription *subscription)
{
    if (!subscription->subscribe)
        want_subscribe(subscription, subscription->subscribed_ns + SUBSCRIPTION_PAUSE_NS);
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

/* Sends what waits to be sent, oldest first. */
static void send_pending(struct subscriptions *all, uint64_t now_ns)
{
    struct grants grants;
    grants_begin(&grants, all);
    all->blocked = false;
    all->due_ns = TRANSPORT_NEVER;
    struct link *next;
    for (struct link *link = all->pending.next; link != &all->pending && !all->blocked;
         link = next) {
        struct spn_subscription *subscription = of_pending(link);
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
        link_leave(link);
    }
    if (grants.count > 0)
        grants_send(&grants);
}

/* Renews the lease, and lets the sidecar say which subscriptions it does not know. */
static void beat(struct subscriptions *all, uint64_t now_ns)
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

/* -- what comes in ----------------------------------------------------------------------------- */

static void set_ended(struct spn_subscription *subscription)
{
    if (!subscription->ended)
        all_of(subscription)->active--;
    subscription->ended = true;
    link_leave(&subscription->pending);
}

static void fail_subscription(struct spn_subscription *subscription, spn_err err)
{
    subscription->failed = err;
    set_ended(subscription);
    link_join(&all_of(subscription)->ready, &subscription->ready);
}

/* Whether the delivery goes on where the one before it ended. */
static bool fits(const struct spn_subscription *subscription, const struct wire_deliver *head)
{
    if (head->bytes != subscription->bytes + head->size)
        return false;
    switch ((enum wire_delivery)head->kind) {
    case WIRE_VERDICT:
        if (head->verdict > WIRE_TRIMMED)
            return false;
        return !subscription->located || (head->epoch == subscription->epoch &&
                                          head->seq == subscription->received + head->missing);
    case WIRE_EVENTS:
        return subscription->located && head->count > 0 && head->epoch == subscription->epoch &&
               head->seq == subscription->received + head->count;
    case WIRE_GAP:
        return subscription->located && head->epoch == subscription->epoch &&
               head->seq == subscription->received + head->missing;
    case WIRE_END:
        return head->verdict > WIRE_TRIMMED &&
               (head->verdict != WIRE_CLOSED ||
                (subscription->located && head->seq == subscription->received));
    }
    return false;
}

/* The verdict of a later incarnation is not the app's business; what it missed is. */
static void take_fitting(struct spn_subscription *subscription, struct delivered *delivered)
{
    struct wire_deliver *head = &delivered->head;
    if (head->kind == WIRE_VERDICT && subscription->located) {
        head->kind = WIRE_GAP;
        all_of(subscription)->resumed++;
    }
    bool worth = head->kind != WIRE_GAP || head->missing > 0;
    if (worth && !keep_frame(subscription, delivered)) {
        subscribe_after_pause(subscription);
        return;
    }
    if (head->kind == WIRE_VERDICT) {
        subscription->located = true;
        subscription->epoch = head->epoch;
        subscription->given = head->seq;
    }
    if (head->kind == WIRE_END) {
        set_ended(subscription);
        return;
    }
    subscription->received = head->seq;
    subscription->bytes = head->bytes;
    subscription->unread += head->size;
}

/* Where one is not known the others may be unknown as well. Their answers bring us here again. */
static void ask_for_all(struct subscriptions *all)
{
    uint64_t now_ns = transport_now();
    if (now_ns - all->asked_all_ns < SUBSCRIPTION_BEAT_NS)
        return;
    all->asked_all_ns = now_ns;
    all->beat_all = true;
    all->beat_ns = now_ns;
}

static void take_delivery(struct spn_subscription *subscription, struct delivered *delivered)
{
    const struct wire_deliver *head = &delivered->head;
    if (subscription->ended || subscription->subscribe ||
        head->incarnation != subscription->incarnation)
        return;
    subscription->silent = false;
    if (head->kind == WIRE_END && head->verdict == WIRE_UNSUBSCRIBED) {
        ask_for_all(all_of(subscription));
        subscribe_after_pause(subscription);
    } else if (head->kind == WIRE_VERDICT && head->verdict == WIRE_UNKNOWN_SESSION &&
               !subscription->located) {
        subscription->start = WIRE_EARLIEST; /* it waits: all that the session will have is new */
    } else if (fits(subscription, head)) {
        take_fitting(subscription, delivered);
    } else if (head->kind == WIRE_VERDICT && head->verdict <= WIRE_TRIMMED &&
               subscription->located) {
        fail_subscription(subscription, SPN_E_PROTOCOL); /* it would be the same again */
    } else {
        subscribe_after_pause(subscription);
    }
}

/* An ERROR to a SUBSCRIBE. What passes is left to the beat. */
static void take_error(struct subscriptions *all, uint64_t request, struct wire_in *in)
{
    struct wire_error error;
    struct spn_subscription *subscription = find(all, request & ~REQUEST_MARK);
    wire_get_error(in, &error);
    if (!wire_in_done(in) || subscription == NULL || subscription->ended)
        return;
    spn_err err = err_from_wire(error.code);
    if (err != SPN_E_NOMEM && err != SPN_E_STOPPING)
        fail_subscription(subscription, err != SPN_OK ? err : SPN_E_PROTOCOL);
}

static spn_err send_unsubscribe(struct spn_client *client, uint64_t number, uint32_t incarnation)
{
    uint8_t bytes[WIRE_HEADER_SIZE + WIRE_GRANT_SIZE];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_header(&out, WIRE_UNSUBSCRIBE, 0);
    wire_put_grant(&out, &(struct wire_grant){.subscription = number, .incarnation = incarnation});
    return send_bytes(client, &out);
}

/* Of one that is not here any more. */
static void take_stray(struct subscriptions *all, const struct wire_deliver *head)
{
    if (all->forgotten && head->kind != WIRE_END)
        (void)send_unsubscribe(all->client, head->subscription, head->incarnation);
}

/* A message that lies about its lengths is taken up to there: what is missing then is seen by the
 * next delivery, or by nobody, as if it had not been sent. */
static void take_deliveries(struct subscriptions *all, struct wire_in in, zmq_msg_t *message)
{
    struct delivered delivered = {.message = message};
    uint32_t count;
    wire_get_deliveries(&in, &count);
    for (uint32_t i = 0; i < count && !in.bad; i++) {
        wire_get_deliver(&in, &delivered.head, &delivered.items);
        if (in.bad)
            return;
        struct spn_subscription *subscription = find(all, delivered.head.subscription);
        if (subscription != NULL)
            take_delivery(subscription, &delivered);
        else
            take_stray(all, &delivered.head);
    }
}

static bool part_take_answer(struct client_part *part, zmq_msg_t *message)
{
    struct subscriptions *all = (struct subscriptions *)part;
    struct wire_in in = wire_in(zmq_msg_data(message), zmq_msg_size(message));
    struct wire_header header = {0};
    spn_err err = wire_get_header(&in, &header);
    if (header.type == WIRE_ERROR && (err == SPN_OK || err == SPN_E_VERSION) &&
        (header.request & REQUEST_MARK) != 0) {
        take_error(all, header.request, &in);
        return true;
    }
    if (err != SPN_OK || header.type != WIRE_DELIVER)
        return false;
    take_deliveries(all, in, message);
    return true;
}

/* -- a part of the client's turn --------------------------------------------------------------- */

static void part_turn(struct client_part *part, uint64_t now_ns)
{
    struct subscriptions *all = (struct subscriptions *)part;
    if (!all->client->connected) {
        all->blocked = !link_alone(&all->pending);
        all->due_ns = TRANSPORT_NEVER;
        return;
    }
    send_pending(all, now_ns);
    if (all->active > 0 && now_ns >= all->beat_ns)
        beat(all, now_ns);
}

static void part_reconnected(struct client_part *part)
{
    struct subscriptions *all = (struct subscriptions *)part;
    for (uint32_t slot = 0; slot < all->count; slot++)
        if (all->slots[slot] != NULL)
            want_subscribe(all->slots[slot], 0);
}

static uint64_t part_due_ns(const struct client_part *part)
{
    const struct subscriptions *all = (const struct subscriptions *)part;
    if (all->active == 0 || !all->client->connected)
        return TRANSPORT_NEVER;
    return all->beat_ns < all->due_ns ? all->beat_ns : all->due_ns;
}

static bool part_blocked(const struct client_part *part)
{
    (void)part;
    return false;
}

static bool part_read_blocked(const struct client_part *part)
{
    return ((const struct subscriptions *)part)->blocked;
}

static spn_err part_failed(const struct client_part *part)
{
    (void)part;
    return SPN_OK;
}

static const struct client_part_ops part_ops = {
    .take_answer = part_take_answer,
    .turn = part_turn,
    .reconnected = part_reconnected,
    .due_ns = part_due_ns,
    .blocked = part_blocked,
    .read_blocked = part_read_blocked,
    .failed = part_failed,
};

/* -- giving ------------------------------------------------------------------------------------ */

/* Where it went on from is gone, or has another life: either way what it was reading was deleted.
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

/* Anything but events: the whole frame is the item. */
static void give_head(struct spn_subscription *subscription, struct spn_item *ret_item)
{
    struct wire_deliver head = subscription->first->head;
    drop_first(subscription);
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

/* False: the frame's items are not what its head says. */
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
    note_read(subscription, wire_item_size(&item));
    return true;
}

static void open_frame(struct spn_subscription *subscription)
{
    const struct frame *frame = subscription->first;
    subscription->items = wire_in(frame->items, frame->head.size);
    subscription->left = frame->head.count;
    subscription->opened = true;
}

/* An end that was received stays what it is only if all before it could be read. */
static void give_up_frames(struct spn_subscription *subscription)
{
    drop_frames(subscription);
    if (subscription->ended && subscription->failed == SPN_OK) {
        subscription->ended = false;
        all_of(subscription)->active++;
    }
    subscribe_after_pause(subscription);
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
        drop_first(subscription);
}

static bool has_more(const struct spn_subscription *subscription)
{
    const struct frame *first = subscription->first;
    if (first != NULL && subscription->opened && subscription->left == 0)
        first = first->next;
    return first != NULL || (subscription->failed != SPN_OK && !subscription->end_given);
}

/* Behind the others, so that none is left waiting. */
static bool give(struct spn_subscription *subscription, struct spn_item *ret_item)
{
    take_back(subscription);
    bool gave = give_next(subscription, ret_item);
    link_leave(&subscription->ready);
    if (has_more(subscription))
        link_join(&all_of(subscription)->ready, &subscription->ready);
    return gave;
}

/* While there are items the sockets are looked at only now and then, and so they are by an app that
 * does not wait: a look costs more than an item. */
static spn_err glance(struct spn_client *client)
{
    return transport_now() - client->looked_ns >= LOOK_NS ? client_turn(client) : SPN_OK;
}

/* For one that does not wait a look that old is as good as one now. */
static bool is_over(const struct spn_client *client, int timeout_ms)
{
    return timeout_ms == 0 && !client->ready;
}

/* After an item: a grant goes out at once, for the app may come back only when there is more. A
 * failure is the next call's. */
static void send_grants(struct spn_client *client)
{
    const struct subscriptions *all = client->subscriptions;
    bool waiting = all->blocked || all->due_ns != TRANSPORT_NEVER; /* for something else */
    if (!link_alone(&all->pending) && !waiting && client_turn(client) != SPN_OK)
        return;
}

spn_err spn_subscription_next(spn_subscription *subscription, int timeout_ms,
                              struct spn_item *ret_item)
{
    struct spn_client *client = subscription != NULL ? subscription->client : NULL;
    uint64_t deadline_ns = client_deadline(timeout_ms);
    spn_err err = client_check_for(client, ret_item);
    if (err == SPN_OK)
        err = glance(client);
    while (err == SPN_OK) {
        if (give(subscription, ret_item)) {
            send_grants(client);
            return SPN_OK;
        }
        if (subscription->end_given)
            return client_fail(client, SPN_E_END, NULL);
        if (is_over(client, timeout_ms))
            return client_fail(client, SPN_E_TIMEOUT, NULL);
        err = client_turn(client);
        if (err == SPN_OK && link_alone(&subscription->ready))
            err = client_sleep(client, deadline_ns, TRANSPORT_NEVER);
    }
    return err;
}

spn_err spn_next_of_any(spn_client *client, int timeout_ms, spn_subscription **ret_subscription,
                        struct spn_item *ret_item)
{
    uint64_t deadline_ns = client_deadline(timeout_ms);
    spn_err err = client_check_for(client, ret_subscription != NULL ? ret_item : NULL);
    struct subscriptions *all = err == SPN_OK ? client->subscriptions : NULL;
    if (err == SPN_OK && all == NULL)
        return client_fail(client, SPN_E_END, NULL);
    if (err == SPN_OK)
        err = glance(client);
    while (err == SPN_OK) {
        while (!link_alone(&all->ready)) {
            struct spn_subscription *first = of_ready(all->ready.next);
            if (give(first, ret_item)) {
                send_grants(client);
                *ret_subscription = first;
                return SPN_OK;
            }
        }
        if (all->active == 0)
            return client_fail(client, SPN_E_END, NULL);
        if (is_over(client, timeout_ms))
            return client_fail(client, SPN_E_TIMEOUT, NULL);
        err = client_turn(client);
        if (err == SPN_OK && link_alone(&all->ready))
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
    all->part.ops = &part_ops;
    all->client = client;
    all->due_ns = TRANSPORT_NEVER;
    link_init(&all->ready);
    link_init(&all->pending);
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

/* The session and the id behind the struct. */
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
    link_init(&subscription->ready);
    link_init(&subscription->pending);
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
        client->subscriptions->beat_ns = transport_now() + SUBSCRIPTION_BEAT_NS;
    err = put_in_slot(client->subscriptions, subscription);
    if (err != SPN_OK) {
        free(subscription);
        return client_fail(client, err, NULL);
    }
    want_subscribe(subscription, 0);
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
    drop_frames(subscription);
    link_leave(&subscription->pending);
    free(subscription);
}

void spn_unsubscribe(spn_subscription *subscription)
{
    if (subscription == NULL)
        return;
    struct spn_client *client = subscription->client;
    bool alive = !fork_guard_is_child(&client->guard);
    bool known = !subscription->ended && subscription->incarnation > 0;
    take_from_slot(client->subscriptions, subscription);
    if (alive && known &&
        send_unsubscribe(client, subscription->number, subscription->incarnation) != SPN_OK)
        client->subscriptions->forgotten = true;
    free_subscription(subscription);
    if (alive && client_turn(client) != SPN_OK)
        return; /* the next call says so */
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
