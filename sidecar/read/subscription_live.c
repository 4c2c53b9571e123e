/* SPDX-License-Identifier: Apache-2.0 */
/* subscription_scan: one pass over the log, for all subscriptions that have caught up. */

#include "read/subscription_base.h"

void subscription_join_scan(struct subscriptions *all, uint64_t horizon)
{
    uint64_t newest = journal_reader_newest(all->options.source.journal);
    if (horizon > newest)
        horizon = newest;
    if (link_alone(&all->scanned) || all->position > horizon)
        all->position = horizon;
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
    if (subscription->state != LIVE || entry->seq < subscription->next_seq)
        return;
    bool next = entry->seq == subscription->next_seq;
    bool credit = subscription->sent < subscription->credit;
    if (next && credit && subscription_deliver_live(all, subscription, position, entry) == SPN_OK)
        return;
    metrics_add(&all->options.metrics->credit_stalls, next && !credit ? 1 : 0);
    fall_behind(all, subscription);
}

/* The session was closed or deleted. Subscriptions that are behind learn so from the broker's
 * answer. */
static void offer_end(struct subscriptions *all, struct subscription *subscription,
                      const struct record_entry *entry)
{
    if (subscription->state != LIVE)
        return;
    subscription->ending = entry->kind == RECORD_CLOSE ? WIRE_CLOSED : WIRE_DELETED;
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

static void offer(struct subscriptions *all, uint64_t position, const struct record_entry *entry)
{
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
        else
            offer_end(all, at, entry);
        at = next == first ? NULL : next;
    }
}

/* Entries were trimmed before the scan reached them, or are damaged. The subscriptions that it
 * serves read from the index what they missed. */
static void pass_hole(struct subscriptions *all, uint64_t position)
{
    all->position = position - 1;
    while (!link_alone(&all->scanned)) {
        struct subscription *subscription =
            LINK_OWNER(all->scanned.next, struct subscription, scanned);
        if (subscription->state == LIVE) {
            fall_behind(all, subscription);
        } else {
            subscription_set_state(all, subscription, LOCATING);
            subscription_later(all, subscription);
        }
    }
}

/* It is not known which session the damaged entry belongs to. Each subscription finds out for
 * itself. */
static void pass_damage(struct subscriptions *all, uint64_t position)
{
    subscription_note_damage(all);
    pass_hole(all, position + 1);
}

/* Scans in one short snapshot, which ends at damage. True: there is more. */
static bool scan_slice(struct subscriptions *all)
{
    struct journal_reader *journal = all->options.source.journal;
    struct record_entry entry;
    uint64_t position;
    int count = 0;
    spn_err err = journal_reader_begin(journal);
    while (err == SPN_OK && count < SCAN_ENTRIES) {
        err = journal_read_entry_from(journal, all->position + 1, &position, &entry);
        if (err == SPN_E_END && journal_reader_newest(journal) > all->position)
            pass_hole(all, journal_reader_newest(journal) + 1);
        if (err == SPN_E_CORRUPT)
            pass_damage(all, position);
        if (err != SPN_OK)
            break;
        if (position > all->position + 1)
            pass_hole(all, position);
        offer(all, position, &entry);
        all->position = position;
        count++;
    }
    journal_reader_end(journal);
    outbox_flush(all->options.outbox);
    return count == SCAN_ENTRIES || err == SPN_E_CORRUPT;
}

bool subscriptions_scan(struct subscriptions *all)
{
    int scans = 0;
    while (!link_alone(&all->scanned) &&
           atomic_load(&all->options.commits->durable) > all->position) {
        if (scans++ == SCANS_PER_TURN)
            return true;
        if (!scan_slice(all))
            break;
    }
    return false;
}
