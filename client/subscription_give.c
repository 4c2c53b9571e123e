/* SPDX-License-Identifier: Apache-2.0 */
/* subscription_give: what a subscription received becomes the items that the app gets. */
#include <string.h>

#include "err.h"
#include "event.h"
#include "subscription_base.h"

/* A subscription that went on from a cursor and finds no session, or another life, was reading a
 * session that was deleted. */
static spn_err end_reason(const struct spn_subscription *subscription,
                          const struct wire_deliver *head)
{
    if (subscription->located &&
        (head->verdict == WIRE_UNKNOWN_SESSION || head->verdict == WIRE_OTHER_LIFE))
        return SPN_E_DELETED;
    switch ((enum wire_verdict)head->verdict) {
    case WIRE_UNKNOWN_ID:
        return SPN_E_UNKNOWN_ID;
    case WIRE_UNKNOWN_SESSION:
        return SPN_E_UNKNOWN_SESSION;
    case WIRE_OTHER_LIFE:
        return SPN_E_OTHER_LIFE;
    case WIRE_CLOSED:
        return SPN_E_CLOSED;
    case WIRE_DELETED:
        return SPN_E_DELETED;
    case WIRE_DAMAGED:
        return SPN_E_CORRUPT;
    case WIRE_REFUSED_VERDICT:
        return err_from_wire(head->code) != SPN_OK ? err_from_wire(head->code) : SPN_E_PROTOCOL;
    default:
        return SPN_E_IO;
    }
}

static spn_err verdict_reason(uint8_t verdict)
{
    switch ((enum wire_verdict)verdict) {
    case WIRE_TRIMMED:
        return SPN_E_TRIMMED;
    case WIRE_UNKNOWN_ID:
        return SPN_E_UNKNOWN_ID;
    case WIRE_OTHER_LIFE:
        return SPN_E_OTHER_LIFE;
    default:
        return SPN_OK;
    }
}

/* An item of the log that is of no session. */
static void set_database(struct spn_item *item, struct spn_life database)
{
    memcpy(item->database, database.bytes, sizeof(item->database));
    item->life = (struct spn_life){{0}};
}

static void give_failure(struct spn_subscription *subscription)
{
    subscription->item = (struct spn_item){.kind = SPN_ITEM_END,
                                           .seq = subscription->given,
                                           .life = subscription->life,
                                           .why = subscription->failed};
    if (subscription->log)
        set_database(&subscription->item, subscription->life);
    subscription->end_given = true;
}

static void give_standing(struct spn_item *item, const struct wire_standing *standing)
{
    item->newest = standing->newest;
    item->state = (spn_session_state)standing->state;
    item->reason = standing->reason;
}

static void give_end(struct spn_subscription *subscription, const struct wire_deliver *head,
                     const struct wire_standing *standing)
{
    bool began = subscription->located;
    subscription->item = (struct spn_item){.kind = SPN_ITEM_END,
                                           .seq = began ? subscription->given : head->seq,
                                           .life = began ? subscription->life : standing->life,
                                           .missing = head->missing,
                                           .why = end_reason(subscription, head)};
    give_standing(&subscription->item, standing);
    if (subscription->log)
        set_database(&subscription->item, subscription->item.life);
    subscription->end_given = true;
}

static void give_verdict(struct spn_subscription *subscription, const struct wire_deliver *head,
                         const struct wire_standing *standing)
{
    subscription->item = (struct spn_item){.kind = SPN_ITEM_VERDICT,
                                           .seq = head->seq,
                                           .life = standing->life,
                                           .missing = head->missing,
                                           .why = verdict_reason(head->verdict),
                                           .start = (spn_start)subscription->asked,
                                           .after = subscription->after,
                                           .after_life = subscription->after_life,
                                           .after_seq = subscription->after_seq,
                                           .id = standing->id};
    give_standing(&subscription->item, standing);
    if (subscription->log)
        set_database(&subscription->item, standing->life);
    subscription->given = head->seq;
    subscription->verdict_given = true;
}

/* For frames other than events: the whole frame is the item. The frame stays until the next item,
 * which is when its id and reason are taken back. */
static void give_head(struct spn_subscription *subscription)
{
    const struct frame *frame = subscription->first;
    struct wire_in in = wire_in(frame->rest, frame->head.size);
    struct wire_standing standing = {.newest = 0};
    if (frame->head.kind != WIRE_GAP)
        wire_get_standing(&in, &standing); /* was checked when it arrived */
    subscription->opened = true;
    subscription->left = 0;
    if (frame->head.kind == WIRE_END) {
        give_end(subscription, &frame->head, &standing);
    } else if (frame->head.kind == WIRE_VERDICT) {
        give_verdict(subscription, &frame->head, &standing);
    } else if (subscription->log) {
        sub_give_log_gap(subscription, frame);
    } else {
        subscription->given = frame->head.seq;
        subscription->item = (struct spn_item){.kind = SPN_ITEM_GAP,
                                               .seq = frame->head.seq,
                                               .life = subscription->life,
                                               .missing = frame->head.missing};
    }
}

static enum sub_given give_event(struct spn_subscription *subscription)
{
    struct wire_item item;
    const uint8_t *start = subscription->items.at;
    if (!sub_next_item(subscription, &item) || !item_is_readable(&item))
        return SUB_UNREADABLE;
    if (item.seq != subscription->given + 1)
        return SUB_HOLE;
    subscription->given = item.seq;
    subscription->event = item_event(&item, subscription->life);
    subscription->item = (struct spn_item){.kind = SPN_ITEM_EVENT,
                                           .event = &subscription->event,
                                           .seq = item.seq,
                                           .life = subscription->life};
    sub_note_read(subscription, (size_t)(subscription->items.at - start));
    return SUB_GIVEN;
}

static bool is_caught_up(const struct spn_subscription *subscription)
{
    const struct frame *first = subscription->first;
    bool lent = first != NULL && subscription->opened && subscription->left == 0;
    uint64_t given = subscription->log && lent ? sub_frame_end(first) : subscription->given;
    return subscription->verdict_given && !subscription->caught_up && !subscription->end_given &&
           given >= subscription->newest;
}

static void give_caught_up(struct spn_subscription *subscription)
{
    if (subscription->log)
        sub_begin_log_item(subscription, SPN_ITEM_CAUGHT_UP);
    else
        subscription->item = (struct spn_item){
            .kind = SPN_ITEM_CAUGHT_UP, .seq = subscription->given, .life = subscription->life};
    subscription->caught_up = true;
}

static void open_frame(struct spn_subscription *subscription)
{
    const struct frame *frame = subscription->first;
    subscription->items = wire_in(frame->rest, frame->head.size);
    subscription->left = frame->head.count;
    subscription->hidden += subscription->log ? frame->head.missing : 0;
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

/* What was given last was lent until now. */
static void take_back(struct spn_subscription *subscription)
{
    const struct frame *first = subscription->first;
    if (first == NULL || !subscription->opened || subscription->left > 0)
        return;
    if (subscription->log) {
        subscription->given = sub_frame_end(first);
        subscription->hidden += first->hidden;
    }
    sub_drop_first(subscription);
}

static bool give_next(struct spn_subscription *subscription)
{
    if (is_caught_up(subscription)) {
        give_caught_up(subscription);
        return true;
    }
    if (subscription->first == NULL) {
        if (subscription->failed == SPN_OK || subscription->end_given)
            return false;
        give_failure(subscription);
        return true;
    }
    if (subscription->first->head.kind != WIRE_EVENTS) {
        give_head(subscription);
        return true;
    }
    if (!subscription->opened)
        open_frame(subscription);
    switch (subscription->log ? sub_give_entry(subscription) : give_event(subscription)) {
    case SUB_GIVEN:
        return true;
    case SUB_HOLE:
        give_up_frames(subscription);
        return false;
    case SUB_UNREADABLE:
        break;
    }
    sub_drop_frames(subscription);
    sub_fail(subscription, SPN_E_PROTOCOL);
    give_failure(subscription);
    return true;
}

bool sub_has_item(const struct spn_subscription *subscription)
{
    const struct frame *first = subscription->first;
    if (is_caught_up(subscription))
        return true;
    if (first != NULL && subscription->opened && subscription->left == 0)
        first = first->next;
    return first != NULL || (subscription->failed != SPN_OK && !subscription->end_given);
}

/* The subscription rejoins the ring after the others, so that none is left waiting. */
bool sub_give(struct spn_subscription *subscription)
{
    take_back(subscription);
    bool gave = give_next(subscription);
    ring_leave(&subscription->ready);
    if (sub_has_item(subscription))
        ring_join(&sub_all_of(subscription)->ready, &subscription->ready);
    return gave;
}
