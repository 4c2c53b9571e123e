/* SPDX-License-Identifier: Apache-2.0 */
/* subscription_cursor: where a subscription begins, and how it advances while it is behind. */

#include "read/subscription_base.h"

bool subscription_may_ask(const struct subscription *subscription)
{
    return !subscription->asking &&
           (subscription->state == LOCATING || subscription->state == BEHIND);
}

/* Reads the epoch of the name on disk; 0: there is none. */
static spn_err look_up_name(struct subscriptions *all, const struct subscription *subscription,
                            uint64_t *ret_epoch)
{
    struct journal_reader *journal = all->options.source.journal;
    spn_err err = journal_reader_begin(journal);
    *ret_epoch = 0;
    if (err == SPN_OK)
        err = journal_read_name(journal, subscription_name_of(subscription), ret_epoch);
    journal_reader_end(journal);
    return err == SPN_E_END ? SPN_OK : err;
}

/* The verdict for data that cannot be read. */
static uint8_t failure(struct subscriptions *all, spn_err err)
{
    if (err != SPN_E_CORRUPT)
        return WIRE_FAILED;
    mail_note_damage(all->options.metrics, all->options.broker);
    return WIRE_DAMAGED;
}

/* Requests the session's state from the broker. */
static void ask(struct subscriptions *all, struct subscription *subscription)
{
    uint64_t epoch;
    spn_err err = look_up_name(all, subscription, &epoch);
    if (err != SPN_OK) {
        subscription_end(all, subscription, failure(all, err));
        return;
    }
    struct session_question *question = session_question_new(MESSAGE_SUBSCRIPTION, 1);
    if (!question) {
        subscription_block(all, subscription);
        return;
    }
    session_question_name(question, 0, subscription_name_of(subscription));
    question->sessions[0].epoch = epoch;
    question->subscription = subscription->slot;
    question->serial = subscription->serial;
    subscription->asking = true;
    all->asking++;
    mailbox_put(all->options.broker, &question->message);
}

/* Takes the subscription's next step, if there is one. */
static void go_on_with(struct subscriptions *all, struct subscription *subscription)
{
    if (subscription->state == ENDING)
        subscription_end(all, subscription, subscription->ending);
    else if (subscription->log)
        link_join(&all->reading, &subscription->due);
    else if (subscription_may_ask(subscription))
        ask(all, subscription);
}

void subscription_go_on_with_due(struct subscriptions *all)
{
    while (!link_alone(&all->due) && all->asking < ASKS_MAX) {
        struct subscription *subscription = LINK_OWNER(all->due.next, struct subscription, due);
        link_leave(&subscription->due);
        go_on_with(all, subscription);
    }
}

/* The verdict was put into the outbox: sets the cursor. */
static void begin_at(struct subscriptions *all, struct subscription *subscription,
                     const struct timeline *timeline, uint64_t next_seq)
{
    subscription->epoch = timeline->epoch;
    subscription->life = timeline->life;
    subscription->next_seq = next_seq;
    subscription_follow(all, subscription);
    subscription_drop_id(subscription);
    subscription_set_state(all, subscription, BEHIND);
}

/* The id in force after the newest entry. */
static spn_err newest_id(const struct timeline *timeline, struct spn_bytes *ret_id)
{
    struct record_entry entry;
    const struct record_row *row = &timeline->row;
    spn_err err = journal_read_entry(timeline->reader, timeline->position_last, &entry);
    if (err == SPN_OK)
        err = timeline_last_id(timeline, &entry, ret_id);
    if (err == SPN_OK || !timeline->has_row || row->seq != timeline->seq_last)
        return err;
    *ret_id = row->last_id;
    return SPN_OK;
}

static spn_err retained_id(const struct pump *pump, uint64_t seq, struct spn_bytes *ret_id)
{
    struct record_entry entry = {.kind = 0};
    uint64_t position;
    uint64_t first;
    size_t count;
    spn_err err =
        timeline_read_retained(&pump->timeline, seq, pump->now_ns, 1, &position, &first, &count);
    if (err == SPN_OK && (count == 0 || first != seq))
        err = SPN_E_END;
    if (err == SPN_OK)
        err = journal_read_entry(pump->timeline.reader, position, &entry);
    if (err == SPN_OK && entry.id.size == 0 && entry.id_position > 0)
        err = journal_read_entry(pump->timeline.reader, entry.id_position, &entry);
    if (err == SPN_OK)
        *ret_id = entry.id;
    return err;
}

/* The id in force where the cursor stands. Empty: there is none, or it is not retained, or does not
 * read: whoever needs the entry itself learns of the damage. */
static struct spn_bytes id_at(const struct pump *pump, uint64_t seq)
{
    struct spn_bytes id = {NULL, 0};
    if (seq == 0)
        return id;
    spn_err err = seq == pump->timeline.seq_last ? newest_id(&pump->timeline, &id)
                                                 : retained_id(pump, seq, &id);
    return err == SPN_OK ? id : (struct spn_bytes){NULL, 0};
}

/* The start is found, or the subscription begins again for the reason `again`: sends the verdict.
 * If the verdict finds no room, the requested start is looked up again later, in the life that the
 * session has by then. */
static spn_err deliver_verdict(struct subscriptions *all, struct subscription *subscription,
                               struct pump *pump, uint8_t again)
{
    uint64_t from = pump->next_seq;
    uint64_t first = from;
    spn_err err = timeline_retained(&pump->timeline, from, pump->now_ns, &first);
    if (err == SPN_OK)
        err = slot_index_reserve(&all->by_epoch, 1);
    if (err != SPN_OK)
        return err;
    struct wire_deliver deliver = subscription_delivery(subscription, WIRE_VERDICT);
    deliver.verdict = again != WIRE_RESUMED ? again : first > from ? WIRE_TRIMMED : WIRE_RESUMED;
    deliver.missing = first - from;
    deliver.seq = first - 1;
    struct wire_standing standing = {.life = pump->timeline.life,
                                     .newest = pump->timeline.seq_last,
                                     .state =
                                         pump->timeline.closed ? WIRE_SESSION_CLOSED : WIRE_LIVE,
                                     .reason = pump->timeline.reason,
                                     .id = id_at(pump, first - 1)};
    err = subscription_deliver_plain(all, subscription->subscriber->peer, &deliver, &standing);
    if (err == SPN_OK)
        begin_at(all, subscription, &pump->timeline, first);
    return err;
}

/* It cannot begin: notes the life that there is, for the end. */
static spn_err note_standing(struct subscription *subscription, const struct pump *pump)
{
    spn_err err = timeline_missing(&pump->timeline, pump->now_ns, &subscription->missing);
    if (err != SPN_OK)
        return err;
    subscription->life = pump->timeline.life;
    subscription->newest = pump->timeline.seq_last;
    return pump->timeline.closed ? subscription_note_closed(subscription, pump->timeline.reason)
                                 : SPN_OK;
}

static spn_err locate(struct subscriptions *all, struct subscription *subscription,
                      struct pump *pump)
{
    struct slice_start start = {.start = subscription->start,
                                .life = subscription->life,
                                .seq = subscription->next_seq - 1,
                                .id = {subscription->id, subscription->id_size}};
    uint8_t again = WIRE_RESUMED;
    spn_err err = pump_find(pump, &start);
    bool elsewhere = err == SPN_E_UNKNOWN_ID || err == SPN_E_OTHER_LIFE;
    if (elsewhere && (subscription->otherwise & WIRE_RESTART) != 0) {
        (void)slice_verdict(err, &again);
        err = SPN_OK; /* the cursor is at the first event */
    } else if (elsewhere) {
        spn_err counted = note_standing(subscription, pump);
        return counted == SPN_OK ? err : counted;
    }
    return err == SPN_OK ? deliver_verdict(all, subscription, pump, again) : err;
}

/* Delivers the next slice. It is read only if the outbox has room for it. */
static spn_err deliver_next(struct subscriptions *all, struct subscription *subscription,
                            struct pump *pump)
{
    const struct slice *slice;
    uint64_t left = subscription->credit - subscription->sent;
    size_t bytes_max = left < PUMP_BYTES_MAX ? (size_t)left : PUMP_BYTES_MAX;
    if (!outbox_has_room(all->options.outbox, subscription->subscriber->peer, bytes_max))
        return SPN_E_BACKPRESSURE;
    spn_err err = pump_read(pump, bytes_max, &slice);
    if (err == SPN_OK && slice->head.missing > 0)
        err = subscription_deliver_gap(all, subscription, slice->head.missing);
    if (err == SPN_OK && slice->head.count > 0)
        err = subscription_deliver_slice(all, subscription, slice);
    return err;
}

/* No other subscription waits for a turn. */
static bool is_alone(const struct subscriptions *all)
{
    return all->asking == 0 && link_alone(&all->due);
}

/* A gap needs no credit. */
static spn_err deliver_gap(struct subscriptions *all, struct subscription *subscription,
                           struct pump *pump)
{
    uint64_t first;
    spn_err err = timeline_retained(&pump->timeline, pump->next_seq, pump->now_ns, &first);
    if (err != SPN_OK || first == pump->next_seq)
        return err;
    err = subscription_deliver_gap(all, subscription, first - pump->next_seq);
    if (err == SPN_OK)
        pump->next_seq = first;
    return err;
}

/* Delivers the next slice, and further ones while no other subscription waits. After the last
 * slice, or without credit, the scan takes over. It stands at or before the newest position that
 * the view knew, so that no event and no end is skipped. */
static spn_err advance(struct subscriptions *all, struct subscription *subscription,
                       struct pump *pump, uint64_t horizon)
{
    spn_err err = SPN_OK;
    pump->next_seq = subscription->next_seq;
    while (err == SPN_OK && !pump_is_at_end(pump) && subscription->sent < subscription->credit) {
        err = deliver_next(all, subscription, pump);
        if (!is_alone(all) || pump_is_over(pump))
            break;
    }
    bool credit = subscription->sent < subscription->credit;
    if (err == SPN_OK && !credit && !pump_is_at_end(pump))
        err = deliver_gap(all, subscription, pump);
    if (err != SPN_OK || (credit && !pump_is_at_end(pump)))
        return err;
    subscription->newest = pump->timeline.seq_last;
    if (pump->timeline.closed)
        err = subscription_note_closed(subscription, pump->timeline.reason);
    if (err != SPN_OK)
        return err;
    if (pump->timeline.closed && pump_is_at_end(pump))
        return SPN_E_CLOSED;
    subscription_join_live(all, horizon);
    subscription_set_state(all, subscription, pump_is_at_end(pump) ? LIVE : STALLED);
    return SPN_OK;
}

/* The verdict reports that the subscription waits. A client that has this verdict starts at the
 * earliest event after a restart. */
static spn_err wait_for_session(struct subscriptions *all, struct subscription *subscription,
                                uint64_t horizon)
{
    spn_err err = slot_index_reserve(&all->by_name, 1);
    if (err != SPN_OK)
        return err;
    struct wire_deliver deliver = subscription_delivery(subscription, WIRE_VERDICT);
    deliver.verdict = WIRE_UNKNOWN_SESSION;
    deliver.seq = 0;
    err = subscription_deliver_plain(all, subscription->subscriber->peer, &deliver,
                                     &(struct wire_standing){.newest = 0});
    if (err != SPN_OK)
        return err;
    subscription_join_live(all, horizon);
    subscription->start = WIRE_EARLIEST;
    subscription->life = (struct spn_life){{0}};
    subscription->next_seq = 1;
    subscription_drop_id(subscription);
    subscription_set_state(all, subscription, WAITING);
    return SPN_OK;
}

static bool is_to_wait(const struct subscription *subscription, spn_err err)
{
    return err == SPN_E_UNKNOWN_SESSION && (subscription->otherwise & WIRE_WAIT) != 0 &&
           subscription->state == LOCATING;
}

static spn_err go_on(struct subscriptions *all, struct subscription *subscription,
                     const struct session_question *answered)
{
    struct pump pump;
    spn_err err = pump_begin(&pump, &all->options.source, &answered->sessions[0].view);
    if (err == SPN_OK && subscription->state == LOCATING)
        err = locate(all, subscription, &pump);
    else if ((err == SPN_E_UNKNOWN_SESSION && subscription->state == BEHIND) ||
             (err == SPN_OK && pump.timeline.epoch != subscription->epoch))
        err = SPN_E_DELETED; /* the session is gone, or has another epoch by now */
    if (err == SPN_OK)
        err = advance(all, subscription, &pump, answered->horizon);
    if (is_to_wait(subscription, err))
        err = wait_for_session(all, subscription, answered->horizon);
    return err;
}

/* The life of a subscription that did not begin is only the requested one. */
static void forget_standing(struct subscription *subscription)
{
    subscription->newest = 0;
    subscription->closed = false;
    subscription->reason_size = 0;
    if (subscription->state == LOCATING)
        subscription->life = (struct spn_life){{0}};
}

void subscriptions_answer(struct subscriptions *all, const struct session_question *answered,
                          spn_err err)
{
    struct subscription *subscription = slot_table_at(&all->slots, answered->subscription);
    uint8_t verdict = WIRE_FAILED;
    if (!subscription || subscription->serial != answered->serial)
        return; /* the subscription is gone */
    subscription->asking = false;
    all->asking--;
    subscription_unblock(subscription);
    if (err == SPN_OK)
        err = go_on(all, subscription, answered);
    if (err == SPN_OK) {
        subscription_later(all, subscription); /* continues while it is behind and has credit */
    } else if (err == SPN_E_BACKPRESSURE || err == SPN_E_NOMEM) {
        subscription_block(all, subscription);
    } else if (err !=
               SPN_E_UNAVAILABLE) { /* otherwise its client is gone, and the tick sees that */
        if (!slice_verdict(err, &verdict))
            verdict = failure(all, err);
        if (verdict != WIRE_CLOSED && verdict != WIRE_UNKNOWN_ID && verdict != WIRE_OTHER_LIFE)
            forget_standing(subscription);
        subscription_end(all, subscription, verdict);
    }
}
