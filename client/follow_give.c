/* SPDX-License-Identifier: Apache-2.0 */
/* follow_give: what a subscription of the log received becomes the items that the app gets.
 *
 *   given     the position up to which everything was given, or is not for this subscription
 *   hidden    entries up to there that retention hides, since the item that was given last
 *
 * A delivery without items only moves the cursor. It waits with the frame that was received before
 * it, so that the cursor of an item is never ahead of what was given. */
#include <string.h>

#include "event.h"
#include "subscription_base.h"

uint64_t sub_frame_end(const struct frame *frame)
{
    return frame->passed > frame->head.seq ? frame->passed : frame->head.seq;
}

void sub_take_progress(struct spn_subscription *subscription, const struct wire_deliver *head)
{
    struct frame *last = sub_last_frame(subscription);
    subscription->received = head->seq;
    if (last == NULL) {
        subscription->given = head->seq;
        subscription->hidden += head->missing;
        return;
    }
    last->passed = head->seq;
    last->hidden += head->missing;
}

void sub_begin_log_item(struct spn_subscription *subscription, spn_item_kind kind)
{
    struct spn_item *item = &subscription->item;
    *item = (struct spn_item){
        .kind = kind, .seq = subscription->given, .missing = subscription->hidden};
    memcpy(item->database, subscription->life.bytes, sizeof(item->database));
    subscription->hidden = 0;
}

void sub_give_log_gap(struct spn_subscription *subscription, const struct frame *frame)
{
    struct wire_in in = wire_in(frame->rest, frame->head.size);
    struct wire_log_gap gap;
    wire_get_log_gap(&in, &gap); /* was checked when it arrived */
    subscription->given = frame->head.seq;
    sub_begin_log_item(subscription, SPN_ITEM_GAP);
    subscription->item.first = gap.first;
    subscription->item.last = gap.last;
    sub_note_read(subscription, WIRE_LOG_GAP_CREDIT);
}

static spn_item_kind kind_of(uint8_t kind)
{
    switch ((enum wire_kind)kind) {
    case WIRE_ITEM_OPEN:
        return SPN_ITEM_OPEN;
    case WIRE_CLOSE:
        return SPN_ITEM_CLOSE;
    case WIRE_DELETE:
        return SPN_ITEM_DELETE;
    case WIRE_ITEM_EXPIRE:
        return SPN_ITEM_EXPIRE;
    case WIRE_ATTRIBUTES:
        return SPN_ITEM_ATTRIBUTES;
    case WIRE_TOUCH:
        return SPN_ITEM_TOUCH;
    default:
        return SPN_ITEM_EVENT;
    }
}

static void give_attributes(struct spn_subscription *subscription,
                            const struct wire_attributes *attributes)
{
    subscription->attributes = (struct spn_attributes){.size = sizeof(subscription->attributes),
                                                       .ttl_ms = attributes->ttl_ms,
                                                       .idle_close_ms = attributes->idle_close_ms,
                                                       .content_type = attributes->content_type,
                                                       .note = attributes->note};
    subscription->item.attributes = &subscription->attributes;
}

/* False: the item has attributes that cannot be read. */
static bool get_attributes(const struct wire_entry *entry, struct wire_attributes *ret_attributes)
{
    struct wire_in in = wire_in(entry->data.data, entry->data.size);
    if (entry->kind != WIRE_ATTRIBUTES)
        return true;
    wire_get_attributes(&in, ret_attributes);
    return wire_in_done(&in);
}

/* Whether an item at this position goes on where the cursor stands, within its frame. */
static bool is_next(const struct spn_subscription *subscription, uint64_t position)
{
    return position > subscription->given && position <= subscription->first->head.seq;
}

enum sub_given sub_give_entry(struct spn_subscription *subscription)
{
    struct wire_item item;
    struct wire_attributes attributes;
    const uint8_t *start = subscription->items.at;
    if (!sub_next_item(subscription, &item) || item.entry.session.size == 0 ||
        !get_attributes(&item.entry, &attributes))
        return SUB_UNREADABLE;
    if (!is_next(subscription, item.position))
        return SUB_HOLE;
    subscription->given = item.position;
    struct spn_item *given = &subscription->item;
    sub_begin_log_item(subscription, kind_of(item.entry.kind));
    given->session = item.entry.session;
    given->life = item.entry.life;
    if (given->kind == SPN_ITEM_CLOSE)
        given->reason = item.entry.reason;
    subscription->event = item_event(&item, item.entry.life);
    given->event = &subscription->event;
    if (given->kind == SPN_ITEM_ATTRIBUTES)
        give_attributes(subscription, &attributes);
    sub_note_read(subscription, (size_t)(subscription->items.at - start));
    return SUB_GIVEN;
}
