/* SPDX-License-Identifier: Apache-2.0 */
/* follow_entry: which entries of the log a subscription gets, and as which items.
 *
 * Touches are left out unless requested, and so is every session whose name does not begin with the
 * prefix. What `sponson dump` does not print without --all is hidden: events that the retention
 * rule hides, and everything of sessions that are gone but the entry that ended them. A live
 * subscription reads an entry when it is new: then the rule hides nothing. */
#include "read/subscription_base.h"

enum decision { LEFT_OUT, HIDDEN, DELIVERED };

static bool ends_session(const struct record_entry *entry)
{
    return entry->kind == RECORD_DELETE || entry->kind == RECORD_EXPIRE;
}

/* A name that is not known is empty, and begins with the empty prefix alone. */
static bool has_prefix(const struct subscription *subscription, struct spn_bytes name)
{
    struct spn_bytes prefix = subscription_name_of(subscription);
    return prefix.size == 0 ||
           (name.size >= prefix.size && memcmp(name.data, prefix.data, prefix.size) == 0);
}

/* The rule, with the newest event of the session that is known. */
static bool rule_hides(const struct subscriptions *all, const struct record_entry *entry,
                       const struct cached_session *session, const struct surveyed *newer)
{
    uint64_t seq = entry->seq;
    uint64_t bytes = entry->bytes;
    if (session->seq > seq) {
        seq = session->seq;
        bytes = session->bytes;
    }
    if (newer && newer->seq > seq) {
        seq = newer->seq;
        bytes = newer->bytes;
    }
    return !retention_keeps(&journal_reader_meta(all->options.source.journal)->retention, entry,
                            seq, bytes, clock_database_ns(all->options.source.clock));
}

static bool is_hidden(const struct subscriptions *all, const struct record_entry *entry,
                      const struct cached_session *session, bool behind)
{
    const struct surveyed *newer = behind ? survey_find(&all->survey, entry->epoch) : NULL;
    if (session->gone || session->given_up || (newer && newer->gone))
        return true;
    return behind && record_is_stored(entry->kind) && rule_hides(all, entry, session, newer);
}

/* What of an entry is delivered, and whose it is. */
struct verdict {
    enum decision decision;
    struct spn_bytes name;
    struct spn_life life;
};

static struct verdict whose(enum decision decision, struct spn_bytes name, struct spn_life life)
{
    return (struct verdict){.decision = decision, .name = name, .life = life};
}

static spn_err decide(struct subscriptions *all, const struct subscription *subscription,
                      const struct record_entry *entry, bool behind, struct verdict *ret_verdict)
{
    const struct cached_session *session;
    if (ends_session(entry)) { /* it has all that is needed, and the session may be gone */
        bool wanted = has_prefix(subscription, entry->name);
        *ret_verdict = whose(wanted ? DELIVERED : LEFT_OUT, entry->name, entry->life);
        return SPN_OK;
    }
    *ret_verdict = (struct verdict){.decision = LEFT_OUT};
    if (entry->kind == RECORD_TOUCH && !subscription->touches)
        return SPN_OK;
    spn_err err = session_cache_find(&all->cache, entry->epoch, behind, &session);
    if (err != SPN_OK || !has_prefix(subscription, cached_name(session)))
        return err;
    bool hidden = is_hidden(all, entry, session, behind);
    *ret_verdict = whose(hidden ? HIDDEN : DELIVERED, cached_name(session), session->life);
    return SPN_OK;
}

static uint8_t kind_of(const struct record_entry *entry)
{
    static const uint8_t kinds[] = {
        [RECORD_OPEN] = WIRE_ITEM_OPEN,        [RECORD_EVENT] = WIRE_EVENT,
        [RECORD_CLOSE] = WIRE_CLOSE,           [RECORD_DELETE] = WIRE_DELETE,
        [RECORD_EXPIRE] = WIRE_ITEM_EXPIRE,    [RECORD_MARKER] = WIRE_MARKER,
        [RECORD_ATTRIBUTES] = WIRE_ATTRIBUTES, [RECORD_TOUCH] = WIRE_TOUCH,
    };
    bool resets = entry->kind == RECORD_MARKER && entry->id.size == 0 && entry->id_position == 0;
    return resets ? WIRE_RESET : kinds[entry->kind];
}

/* The name that an opening has as its data is the item's session. */
static struct wire_item item_of(uint64_t position, const struct record_entry *entry,
                                const struct verdict *verdict)
{
    unsigned flags = WIRE_FLAG_LIFE | (entry->closes ? WIRE_FLAG_CLOSES : 0) |
                     (entry->note.size > 0 ? WIRE_FLAG_NOTE : 0);
    return (struct wire_item){
        .seq = entry->seq,
        .position = position,
        .time_ms = entry->wall_ms,
        .entry = {.kind = kind_of(entry),
                  .flags = (uint8_t)flags,
                  .session = verdict->name,
                  .life = verdict->life,
                  .retry_ms = entry->retry_ms,
                  .id = entry->id,
                  .type = entry->type,
                  .data = entry->kind == RECORD_OPEN ? (struct spn_bytes){NULL, 0} : entry->data,
                  .reason = entry->reason,
                  .note = entry->note},
    };
}

spn_err follow_take(struct subscriptions *all, struct subscription *subscription, uint64_t position,
                    const struct record_entry *entry, bool behind, bool *ret_stalled)
{
    struct verdict verdict;
    *ret_stalled = false;
    spn_err err = decide(all, subscription, entry, behind, &verdict);
    if (err != SPN_OK)
        return err;
    if (verdict.decision == DELIVERED && subscription->sent >= subscription->credit) {
        *ret_stalled = true;
        return SPN_OK;
    }
    if (verdict.decision == DELIVERED) {
        struct wire_item item = item_of(position, entry, &verdict);
        return subscription_deliver_item(all, subscription, &item);
    }
    subscription->hidden += verdict.decision == HIDDEN ? 1 : 0;
    subscription->next_seq = position + 1;
    return SPN_OK;
}
