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
static void drop_and_revive(struct spn_subscription *subscription)
{
    sub_drop_frames(subscription);
    if (subscription->ended && subscription->failed == SPN_OK) {
        subscription->ended = false;
        sub_all_of(subscription)->active++;
    }
}

static void give_up_frames(struct spn_subscription *subscription)
{
    drop_and_revive(subscription);
    sub_subscribe_after_pause(subscription);
}

/* The verdict comes once, so it is kept. */
static void drop_unread(struct spn_subscription *subscription)
{
    struct frame *first = subscription->first;
    bool keeps_verdict = first != NULL && first->head.kind == WIRE_VERDICT;
    if (keeps_verdict) {
        subscription->first = first->next;
        if (first->next == NULL)
            subscription->end = &subscription->first;
    }
    drop_and_revive(subscription);
    if (keeps_verdict) {
        first->next = NULL;
        subscription->first = first;
        subscription->end = &first->next;
    }
}

/* What a frame hides was reported with its first item. If its others came again, that would be
 * reported again. */
static bool hides_some(const struct spn_subscription *subscription)
{
    return subscription->log && subscription->opened && subscription->first->head.missing > 0;
}

/* After a failure nothing would come again. */
void sub_bound_paused(struct spn_subscription *subscription)
{
    const struct subscriptions *all = sub_all_of(subscription);
    uint64_t others = all->paused_unread - subscription->paused_unread;
    if (!subscription->paused || subscription->unread == 0 || subscription->failed != SPN_OK ||
        others < all->client->read_bytes_max || hides_some(subscription))
        return;
    drop_unread(subscription);
    if (!subscription->subscribe)
        sub_want_subscribe(subscription, 0);
}

void sub_take_back(struct spn_subscription *subscription)
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

/* The first frame that was not given whole. NULL: there is none. */
static const struct frame *next_frame(const struct spn_subscription *subscription)
{
    const struct frame *first = subscription->first;
    bool is_lent = first != NULL && subscription->opened && subscription->left == 0;
    return is_lent ? first->next : first;
}

bool sub_has_item(const struct spn_subscription *subscription)
{
    return is_caught_up(subscription) || next_frame(subscription) != NULL ||
           (subscription->failed != SPN_OK && !subscription->end_given);
}

size_t sub_ready_bytes(const struct spn_subscription *subscription)
{
    const struct frame *next = next_frame(subscription);
    bool is_large = next != NULL && next->head.kind == WIRE_EVENTS && !is_caught_up(subscription);
    return is_large ? subscription->unread : 0;
}

/* The subscription rejoins the ring after the others, so that none is left waiting. */
bool sub_give(struct spn_subscription *subscription)
{
    sub_take_back(subscription);
    bool gave = give_next(subscription);
    ring_leave(&subscription->ready);
    if (sub_has_item(subscription))
        ring_join(&sub_all_of(subscription)->ready, &subscription->ready);
    return gave;
}
