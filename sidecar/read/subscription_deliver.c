/* SPDX-License-Identifier: Apache-2.0 */
/* subscription_deliver: deliveries, packed by the outbox.
 *
 * The cursor moves only after a delivery was put into the outbox. It is then delivered, or the
 * client is gone. */
#include <assert.h>

#include "read/subscription_base.h"

static void put_head(uint8_t *bytes, const struct wire_deliver *deliver)
{
    struct wire_out out = wire_out(bytes, WIRE_DELIVER_HEAD_SIZE);
    wire_put_deliver(&out, deliver);
    assert(!out.bad);
}

struct wire_deliver subscription_delivery(const struct subscription *subscription,
                                          enum wire_delivery kind)
{
    return (struct wire_deliver){.subscription = subscription->number,
                                 .incarnation = subscription->incarnation,
                                 .kind = (uint8_t)kind,
                                 .seq = subscription->next_seq - 1,
                                 .bytes = subscription->sent};
}

spn_err subscription_deliver_plain(struct subscriptions *all, struct outbox_peer *peer,
                                   const struct wire_deliver *deliver,
                                   const struct wire_standing *standing)
{
    struct wire_deliver whole = *deliver;
    uint8_t *bytes;
    whole.size = standing ? (uint32_t)wire_standing_size(standing) : 0;
    spn_err err =
        outbox_deliver(all->options.outbox, peer, 0, WIRE_DELIVER_HEAD_SIZE + whole.size, &bytes);
    if (err != SPN_OK)
        return err;
    put_head(bytes, &whole);
    if (standing) {
        struct wire_out out = wire_out(bytes + WIRE_DELIVER_HEAD_SIZE, whole.size);
        wire_put_standing(&out, standing);
        assert(!out.bad && wire_out_size(&out) == whole.size);
    }
    return SPN_OK;
}

void subscription_end(struct subscriptions *all, struct subscription *subscription, uint8_t verdict)
{
    struct wire_deliver deliver = subscription_delivery(subscription, WIRE_END);
    deliver.verdict = verdict;
    deliver.missing = subscription->missing;
    deliver.code = verdict == WIRE_REFUSED_VERDICT ? subscription->code : 0;
    struct wire_standing standing = {.life = subscription->life,
                                     .newest = subscription->newest,
                                     .state =
                                         subscription->closed ? WIRE_SESSION_CLOSED : WIRE_LIVE,
                                     .reason = {subscription->reason, subscription->reason_size}};
    spn_err err =
        subscription_deliver_plain(all, subscription->subscriber->peer, &deliver, &standing);
    if (err == SPN_OK || err == SPN_E_UNAVAILABLE) {
        subscription_forget(all, subscription);
        return;
    }
    subscription->ending = verdict;
    if (subscription->state != ENDING)
        subscription_set_state(all, subscription, ENDING);
    subscription_block(all, subscription);
}

spn_err subscription_deliver_gap(struct subscriptions *all, struct subscription *subscription,
                                 uint64_t missing)
{
    struct wire_deliver deliver = subscription_delivery(subscription, WIRE_GAP);
    deliver.seq += missing;
    deliver.missing = missing;
    spn_err err = subscription_deliver_plain(all, subscription->subscriber->peer, &deliver, NULL);
    if (err != SPN_OK)
        return err;
    subscription->next_seq += missing;
    metrics_add(&all->options.metrics->gaps, 1);
    return SPN_OK;
}

spn_err subscription_deliver_slice(struct subscriptions *all, struct subscription *subscription,
                                   const struct slice *slice)
{
    uint8_t *bytes;
    size_t size = WIRE_DELIVER_HEAD_SIZE + slice->size;
    spn_err err =
        outbox_deliver(all->options.outbox, subscription->subscriber->peer, 0, size, &bytes);
    if (err != SPN_OK)
        return err;
    subscription->next_seq = slice->head.seq + 1;
    subscription->sent += slice->size;
    struct wire_deliver deliver = subscription_delivery(subscription, WIRE_EVENTS);
    deliver.count = slice->head.count;
    deliver.size = (uint32_t)slice->size;
    put_head(bytes, &deliver);
    struct wire_out out = wire_out(bytes + WIRE_DELIVER_HEAD_SIZE, slice->size);
    slice_put(&out, slice);
    assert(!out.bad && wire_out_size(&out) == slice->size);
    metrics_add(&all->options.metrics->replayed, slice->head.count);
    return SPN_OK;
}

/* Adds an item to the newest delivery, or to a new one, and moves the cursor. The caller fills in
 * the item: size bytes at *ret_item. */
static spn_err add_item(struct subscriptions *all, struct subscription *subscription, size_t size,
                        uint64_t next_seq, uint8_t **ret_item)
{
    struct outbox *outbox = all->options.outbox;
    struct outbox_peer *peer = subscription->subscriber->peer;
    uint8_t *head;
    bool goes_on =
        subscription->hidden == 0; /* `missing` lie before the first item of a delivery */
    if (!goes_on || !outbox_extend(outbox, peer, subscription->serial, size, &head, ret_item)) {
        spn_err err = outbox_deliver(outbox, peer, subscription->serial,
                                     WIRE_DELIVER_HEAD_SIZE + size, &head);
        if (err != SPN_OK)
            return err;
        *ret_item = head + WIRE_DELIVER_HEAD_SIZE;
        subscription->newest_count = 0;
        subscription->newest_size = 0;
        subscription->newest_missing = subscription->hidden;
    }
    subscription->newest_count++;
    subscription->newest_size += (uint32_t)size;
    subscription->hidden = 0;
    subscription->next_seq = subscription->reported = next_seq;
    subscription->sent += size;
    struct wire_deliver deliver = subscription_delivery(subscription, WIRE_EVENTS);
    deliver.count = subscription->newest_count;
    deliver.size = subscription->newest_size;
    deliver.missing = subscription->newest_missing;
    put_head(head, &deliver);
    return SPN_OK;
}

spn_err subscription_deliver_live(struct subscriptions *all, struct subscription *subscription,
                                  uint64_t position, const struct record_entry *entry)
{
    uint8_t *item;
    size_t size = slice_entry_size(entry);
    spn_err err = add_item(all, subscription, size, entry->seq + 1, &item);
    if (err != SPN_OK)
        return err;
    struct wire_out out = wire_out(item, size);
    slice_put_entry(&out, position, entry);
    assert(!out.bad);
    metrics_add(&all->options.metrics->live, 1);
    return SPN_OK;
}

spn_err subscription_deliver_item(struct subscriptions *all, struct subscription *subscription,
                                  const struct wire_item *item)
{
    uint8_t *bytes;
    size_t size = wire_item_size(item);
    bool live = subscription->state == LIVE;
    spn_err err = add_item(all, subscription, size, item->position + 1, &bytes);
    if (err != SPN_OK)
        return err;
    struct wire_out out = wire_out(bytes, size);
    wire_put_item(&out, item);
    assert(!out.bad && wire_out_size(&out) == size);
    metrics_add(live ? &all->options.metrics->live : &all->options.metrics->replayed, 1);
    return SPN_OK;
}

spn_err subscription_deliver_log_gap(struct subscriptions *all, struct subscription *subscription,
                                     uint64_t last)
{
    uint8_t *bytes;
    struct wire_log_gap gap = {.first = subscription->next_seq, .last = last};
    spn_err err = outbox_deliver(all->options.outbox, subscription->subscriber->peer, 0,
                                 WIRE_LOG_GAP_CREDIT, &bytes);
    if (err != SPN_OK)
        return err;
    subscription->next_seq = subscription->reported = last + 1;
    subscription->sent += WIRE_LOG_GAP_CREDIT;
    struct wire_deliver deliver = subscription_delivery(subscription, WIRE_GAP);
    deliver.size = WIRE_LOG_GAP_SIZE;
    put_head(bytes, &deliver);
    struct wire_out out = wire_out(bytes + WIRE_DELIVER_HEAD_SIZE, WIRE_LOG_GAP_SIZE);
    wire_put_log_gap(&out, &gap);
    assert(!out.bad);
    metrics_add(&all->options.metrics->gaps, 1);
    return SPN_OK;
}

spn_err subscription_deliver_progress(struct subscriptions *all, struct subscription *subscription)
{
    if (subscription->reported == subscription->next_seq)
        return SPN_OK;
    struct wire_deliver deliver = subscription_delivery(subscription, WIRE_EVENTS);
    deliver.missing = subscription->hidden;
    spn_err err = subscription_deliver_plain(all, subscription->subscriber->peer, &deliver, NULL);
    if (err != SPN_OK)
        return err;
    subscription->hidden = 0;
    subscription->reported = subscription->next_seq;
    return SPN_OK;
}
