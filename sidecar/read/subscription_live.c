/* SPDX-License-Identifier: Apache-2.0 */
/* subscription_live: one pass over the log, for all subscriptions that have caught up. */

#include "read/subscription_base.h"

void subscription_join_live(struct subscriptions *all, uint64_t horizon)
{
    if (link_alone(&all->scanned) || all->scan.position > horizon)
        scan_start(&all->scan, horizon);
}

/* The scan cannot serve this subscription. If its session has ended, it learns so from the broker's
 * answer. */
static void fall_behind(struct subscriptions *all, struct subscription *subscription)
{
    subscription_set_state(all, subscription, BEHIND);
    subscription_later(all, subscription);
}

/* Events below the cursor were delivered by a slice. An event above it means that the scan did not
 * offer the events between: the slices have them. */
static void offer_event(struct subscriptions *all, struct subscription *subscription,
                        uint64_t position, const struct record_entry *entry)
{
    if (subscription->state == STALLED && entry->seq > subscription->newest)
        subscription->newest = entry->seq;
    if (subscription->state != LIVE || entry->seq < subscription->next_seq)
        return;
    bool next = entry->seq == subscription->next_seq;
    if (subscription->sent >= subscription->credit) {
        metrics_add(&all->options.metrics->credit_stalls, 1);
        subscription->newest = entry->seq;
        subscription_set_state(all, subscription, STALLED);
    } else if (!next || subscription_deliver_live(all, subscription, position, entry) != SPN_OK) {
        fall_behind(all, subscription);
    }
}

/* The session was closed or deleted. Subscriptions that are behind learn so from the broker's
 * answer. One that is stalled has events to get before the end of a closed session. */
static void offer_end(struct subscriptions *all, struct subscription *subscription,
                      const struct record_entry *entry)
{
    bool closed = entry->closes;
    if (!closed && entry->kind != RECORD_DELETE && entry->kind != RECORD_EXPIRE)
        return;
    if (subscription->state != LIVE && (subscription->state != STALLED || closed))
        return;
    if (closed && subscription_note_closed(subscription, entry->reason) != SPN_OK) {
        fall_behind(all, subscription);
        return;
    }
    subscription->ending = closed ? WIRE_CLOSED : WIRE_DELETED;
    subscription->newest = closed ? subscription->next_seq - 1 : 0;
    subscription_set_state(all, subscription, ENDING);
    subscription_later(all, subscription);
}

/* The entry that opens a session has its name, which subscriptions may be waiting for. */
static void offer_open(struct subscriptions *all, const struct record_entry *entry)
{
    struct subscription *subscription;
    while ((subscription = subscription_find_waiting(all, entry->data)) != NULL) {
        subscription_set_state(all, subscription, LOCATING);
        subscription_later(all, subscription);
    }
}

/* A subscription of the log does not get this entry now. Nothing hid this entry, or a later one,
 * before it was written: up to then, all is known that the subscription needs. The scan may be late
 * itself, so this may be long ago. */
static void note_as_of(const struct subscriptions *all, struct subscription *subscription,
                       const struct record_entry *entry)
{
    const struct clock *clock = all->options.source.clock;
    uint64_t now_ns = clock->monotonic_ns();
    uint64_t database_ns = clock_database_ns(clock);
    uint64_t age_ns = database_ns > entry->time_ns ? database_ns - entry->time_ns : 0;
    subscription->as_of_ns = now_ns > age_ns ? now_ns - age_ns : 0;
    subscription->as_of_serial = all->survey.serial;
}

/* Entries below the cursor were delivered before. The scan did not offer those between the cursor
 * and an entry above it: they are older than this entry. */
static void offer_log(struct subscriptions *all, struct subscription *subscription,
                      uint64_t position, const struct record_entry *entry)
{
    bool stalled;
    if (position < subscription->next_seq)
        return;
    if (position > subscription->next_seq) {
        fall_behind(all, subscription);
        return;
    }
    spn_err err = follow_take(all, subscription, position, entry, false, &stalled);
    if (err == SPN_OK && !stalled)
        return;
    note_as_of(all, subscription, entry);
    if (err != SPN_OK) {
        fall_behind(all, subscription);
        return;
    }
    metrics_add(&all->options.metrics->credit_stalls, 1);
    subscription_set_state(all, subscription, STALLED);
}

static void offer_to_all(struct subscriptions *all, uint64_t position,
                         const struct record_entry *entry)
{
    struct link *next;
    for (struct link *link = all->following.next; link != &all->following; link = next) {
        next = link->next;
        offer_log(all, LINK_OWNER(link, struct subscription, group), position, entry);
    }
}

static void offer(struct subscriptions *all, uint64_t position, const struct record_entry *entry)
{
    offer_to_all(all, position, entry);
    if (entry->kind == RECORD_OPEN) {
        offer_open(all, entry);
        return;
    }
    struct subscription *first = subscription_find_following(all, entry->epoch);
    struct subscription *at = first;
    while (at) {
        struct subscription *next = LINK_OWNER(at->group.next, struct subscription, group);
        if (record_is_stored(entry->kind))
            offer_event(all, at, position, entry);
        offer_end(all, at, entry);
        at = next == first ? NULL : next;
    }
}

/* Entries are missing, and it is not known of which sessions. The subscriptions that the scan
 * serves read from the index what they missed. */
static void fall_behind_all(struct subscriptions *all)
{
    while (!link_alone(&all->scanned)) {
        struct subscription *subscription =
            LINK_OWNER(all->scanned.next, struct subscription, scanned);
        if (subscription->state != WAITING) {
            fall_behind(all, subscription);
        } else {
            subscription_set_state(all, subscription, LOCATING);
            subscription_later(all, subscription);
        }
    }
}

/* Takes what the scan found. False: there is no more. */
static bool take_next(struct subscriptions *all)
{
    struct record_entry entry;
    switch (scan_next(&all->scan, &entry)) {
    case SCAN_ENTRY:
        offer(all, all->scan.position, &entry);
        return true;
    case SCAN_DAMAGED:
        mail_note_damage(all->options.metrics, all->options.broker);
        fall_behind_all(all);
        return true;
    case SCAN_MISSING:
        fall_behind_all(all);
        return true;
    case SCAN_END:
        break;
    }
    return false;
}

/* Scans in one short snapshot. True: there is more. If no snapshot begins, each subscription gets
 * its verdict from the question that it makes when it is behind. */
static bool scan_some(struct subscriptions *all)
{
    struct journal_reader *journal = all->options.source.journal;
    int count = 0;
    spn_err err = journal_reader_begin(journal);
    if (err == SPN_OK)
        while (count < SCAN_ENTRIES && !link_alone(&all->scanned) && take_next(all))
            count++;
    journal_reader_end(journal);
    if (err != SPN_OK && err != SPN_E_NOMEM)
        fall_behind_all(all);
    outbox_flush(all->options.outbox);
    return count == SCAN_ENTRIES;
}

bool subscriptions_scan(struct subscriptions *all)
{
    int scans = 0;
    while (!link_alone(&all->scanned) &&
           atomic_load(&all->options.commits->durable) > all->scan.position) {
        if (scans++ == SCANS_PER_TURN)
            return true;
        if (!scan_some(all))
            break;
    }
    return false;
}
