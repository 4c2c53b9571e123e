/* SPDX-License-Identifier: Apache-2.0 */
/* follow: advances subscriptions of the log while they are behind.
 *
 * Each turn is one snapshot, of at most 256 entries and a millisecond. Nothing is held in between,
 * and the broker is not involved: only durable entries are read, the rows have each session as of
 * the checkpoint, and a survey reads what came since. The survey is never more than a second old.
 * Entries that are younger were new a second ago: the rule may hide them a second later.
 *
 * Once it has read the newest entry, a subscription is live, and the scan goes on from there. */
#include "read/subscription_base.h"

enum {
    ENTRIES_PER_TURN = 256,
    UNREPORTED_MAX = 65536, /* positions that were passed, before its client learns of it */
};

#define SURVEY_AGE_NS (1000 * MS)

static struct journal_reader *journal_of(const struct subscriptions *all)
{
    return all->options.source.journal;
}

static uint64_t monotonic_ns(const struct subscriptions *all)
{
    return all->options.source.clock->monotonic_ns();
}

/* -- where it begins --------------------------------------------------------------------------- */

/* Whether the cursor that was requested is one of this log. */
static spn_err place(const struct subscriptions *all, struct subscription *subscription)
{
    const struct record_meta *meta = journal_reader_meta(journal_of(all));
    struct spn_life database;
    memcpy(database.bytes, meta->database, sizeof(database.bytes));
    bool ours = wire_same_life(subscription->life, database);
    subscription->life = database;
    subscription->newest = journal_reader_newest(journal_of(all));
    if (subscription->start == WIRE_NOW)
        subscription->next_seq = subscription->newest + 1;
    bool after = subscription->start == WIRE_AFTER_SEQ;
    return after && (!ours || subscription->next_seq - 1 > subscription->newest)
               ? SPN_E_BAD_POSITION
               : SPN_OK;
}

static spn_err begin(struct subscriptions *all, struct subscription *subscription)
{
    spn_err err = place(all, subscription);
    if (err != SPN_OK)
        return err;
    struct wire_deliver deliver = subscription_delivery(subscription, WIRE_VERDICT);
    struct wire_standing standing = {.life = subscription->life, .newest = subscription->newest};
    err = subscription_deliver_plain(all, subscription->subscriber->peer, &deliver, &standing);
    if (err != SPN_OK)
        return err;
    subscription->reported = subscription->next_seq;
    subscription_set_state(all, subscription, BEHIND);
    return SPN_OK;
}

/* -- turns ------------------------------------------------------------------------------------- */

/* *ret_done: the survey is young enough. */
static spn_err bring_survey(struct subscriptions *all, struct subscription *subscription,
                            uint64_t until_ns, bool *ret_done)
{
    uint64_t now_ns = monotonic_ns(all);
    struct step step = {.now_ns = all->options.source.clock->monotonic_ns, .until_ns = until_ns};
    *ret_done = subscription->as_of_ns > 0 && subscription->as_of_serial == all->survey.serial &&
                now_ns - subscription->as_of_ns < SURVEY_AGE_NS;
    if (*ret_done)
        return SPN_OK;
    spn_err err = survey_read(&all->survey, subscription->next_seq - 1, &step, ret_done);
    if (err == SPN_OK && *ret_done) {
        subscription->as_of_ns = now_ns;
        subscription->as_of_serial = all->survey.serial;
    }
    return err;
}

/* It has read the newest entry of this snapshot. */
static spn_err go_live(struct subscriptions *all, struct subscription *subscription)
{
    spn_err err = subscription_deliver_progress(all, subscription);
    if (err != SPN_OK)
        return err;
    subscription_join_live(all, subscription->next_seq - 1);
    subscription_set_state(all, subscription, LIVE);
    return SPN_OK;
}

/* Damage ends it. The end says how many positions are damaged, so that its client may go on after
 * them. */
static spn_err meet_damage(struct subscription *subscription, uint64_t last)
{
    subscription->missing = last - (subscription->next_seq - 1);
    return SPN_E_CORRUPT;
}

static spn_err take_entry(struct subscriptions *all, struct subscription *subscription,
                          const struct scan *scan, const struct record_entry *entry)
{
    bool stalled;
    spn_err err = follow_take(all, subscription, scan->position, entry, true, &stalled);
    if (err == SPN_OK && stalled)
        subscription_set_state(all, subscription, STALLED);
    return err;
}

/* A client keeps each gap until it is read, so a gap needs credit as an item does. */
static spn_err take_gap(struct subscriptions *all, struct subscription *subscription, uint64_t last)
{
    if (subscription->sent < subscription->credit)
        return subscription_deliver_log_gap(all, subscription, last);
    subscription_set_state(all, subscription, STALLED);
    return SPN_OK;
}

static spn_err take_next(struct subscriptions *all, struct subscription *subscription)
{
    struct scan scan = {.journal = journal_of(all), .position = subscription->next_seq - 1};
    struct record_entry entry;
    switch (scan_next(&scan, &entry)) {
    case SCAN_ENTRY:
        return take_entry(all, subscription, &scan, &entry);
    case SCAN_MISSING:
        return take_gap(all, subscription, scan.position);
    case SCAN_DAMAGED:
        return meet_damage(subscription, scan.position);
    case SCAN_END:
        break;
    }
    return scan.position < journal_reader_newest(scan.journal) ? SPN_E_IO
                                                               : go_live(all, subscription);
}

/* Nothing is read for a client without room. */
static bool has_room(const struct subscriptions *all, const struct subscription *subscription)
{
    uint64_t left =
        subscription->credit > subscription->sent ? subscription->credit - subscription->sent : 0;
    size_t bytes = left < PUMP_BYTES_MAX ? (size_t)left : PUMP_BYTES_MAX;
    return outbox_has_room(all->options.outbox, subscription->subscriber->peer, bytes);
}

/* Reads on, inside a snapshot. */
static spn_err read_on(struct subscriptions *all, struct subscription *subscription,
                       uint64_t until_ns)
{
    bool done;
    spn_err err = bring_survey(all, subscription, until_ns, &done);
    for (int i = 0; err == SPN_OK && done && i < ENTRIES_PER_TURN; i++) {
        if (subscription->state != BEHIND || (i % 16 == 15 && monotonic_ns(all) >= until_ns))
            break;
        err = has_room(all, subscription) ? take_next(all, subscription) : SPN_E_BACKPRESSURE;
    }
    bool far = subscription->next_seq - subscription->reported >= UNREPORTED_MAX;
    return err == SPN_OK && far ? subscription_deliver_progress(all, subscription) : err;
}

static uint8_t verdict_of(struct subscriptions *all, spn_err err)
{
    if (err == SPN_E_BAD_POSITION)
        return WIRE_REFUSED_VERDICT;
    if (err != SPN_E_CORRUPT)
        return WIRE_FAILED;
    mail_note_damage(all->options.metrics, all->options.broker);
    return WIRE_DAMAGED;
}

static void take_turn(struct subscriptions *all, struct subscription *subscription,
                      uint64_t until_ns)
{
    spn_err err = journal_reader_begin(journal_of(all));
    if (err == SPN_OK && subscription->state == LOCATING)
        err = begin(all, subscription);
    if (err == SPN_OK)
        err = read_on(all, subscription, until_ns);
    journal_reader_end(journal_of(all));
    if (err == SPN_E_BACKPRESSURE || err == SPN_E_NOMEM) {
        subscription_block(all, subscription);
    } else if (err == SPN_OK && subscription->state == BEHIND) {
        link_join(&all->reading, &subscription->due);
    } else if (err != SPN_OK &&
               err != SPN_E_UNAVAILABLE) { /* a client that is gone: see the tick */
        subscription->code = (uint16_t)err;
        subscription_end(all, subscription, verdict_of(all, err));
    }
}

/* They take turns until the time is over. Who is next then is first the next time. */
bool subscriptions_read_log(struct subscriptions *all)
{
    if (link_alone(&all->reading))
        return false;
    uint64_t until_ns = monotonic_ns(all) + PUMP_TURN_NS;
    all->followed_ns = monotonic_ns(all);
    do {
        struct subscription *subscription = LINK_OWNER(all->reading.next, struct subscription, due);
        link_leave(&subscription->due);
        take_turn(all, subscription, until_ns);
    } while (!link_alone(&all->reading) && monotonic_ns(all) < until_ns);
    outbox_flush(all->options.outbox);
    return !link_alone(&all->reading);
}
