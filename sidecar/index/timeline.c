/* SPDX-License-Identifier: Apache-2.0 */
#include "index/timeline.h"

#include <string.h>

#include "index/absence.h"
#include "index/chain.h"

enum {
    WINDOW_STEP = 128,    /* entries read at a time, forward or back */
    LOOK_BACK_MAX = 4096, /* after a full window, for markers without an id: some milliseconds */
};

/* Leaves out the events that are not in the snapshot yet. */
static struct view_part durable_part(const struct view_part *part, uint64_t newest)
{
    struct view_part durable = *part;
    if (!part->generation)
        return durable;
    const struct generation_entry *entries = part->generation->entries;
    while (durable.count > 0 && entries[durable.newest].position > newest) {
        durable.newest = entries[durable.newest].previous;
        durable.count--;
    }
    durable.mark = generation_mark_back(part->generation, part->mark, part->count, durable.count);
    if (durable.count == 0)
        durable.generation = NULL;
    return durable;
}

/* The row has the life. A session that has no row yet has the entry that opened it: nothing above
 * the checkpoint is trimmed. */
static spn_err find_life(struct timeline *timeline)
{
    struct record_entry open;
    timeline->life = timeline->row.life;
    timeline->seq_before = timeline->row.seq_before;
    if (timeline->has_row)
        return SPN_OK;
    if (timeline->epoch > journal_reader_newest(timeline->reader))
        return SPN_E_UNKNOWN_SESSION;
    spn_err err = journal_read_entry(timeline->reader, timeline->epoch, &open);
    if (err != SPN_OK)
        return err == SPN_E_END ? SPN_E_CORRUPT : err;
    timeline->life = open.life;
    timeline->seq_before = open.seq;
    return SPN_OK;
}

/* The last event in the index. A row of a segment that is being written is ahead of the index: then
 * the index ends where the valid chain, which starts from the segment before, ends. */
static spn_err index_end(struct timeline *timeline)
{
    const struct record_row *row = &timeline->row;
    timeline->seq_last = timeline->seq_before;
    timeline->position_last = timeline->epoch;
    if (!timeline->has_row)
        return SPN_OK;
    if (timeline->segment == row->segment) {
        timeline->seq_last = row->seq;
        timeline->position_last = row->position;
        return SPN_OK;
    }
    if (timeline->segment == 0)
        return SPN_OK;
    struct record_block block;
    struct record_block_item items[RECORD_BLOCK_ITEMS_MAX];
    spn_err err = journal_read_block(timeline->reader, timeline->segment, timeline->epoch,
                                     UINT64_MAX, &block);
    if (err == SPN_E_END)
        return SPN_OK; /* trimmed: the generation that is being written has them */
    if (err == SPN_OK)
        err = record_get_items(&block, items);
    if (err != SPN_OK)
        return err;
    timeline->seq_last = block.first_seq + block.count - 1;
    timeline->position_last = items[block.count - 1].position;
    return SPN_OK;
}

static spn_err find_end(struct timeline *timeline)
{
    spn_err err = index_end(timeline);
    if (err != SPN_OK)
        return err;
    for (size_t i = 0; i < 2; i++) {
        const struct view_part *part = &timeline->parts[i];
        if (!part->generation || part->first_seq + part->count - 1 <= timeline->seq_last)
            continue; /* the snapshot is newer than the view: the index has all of it */
        timeline->seq_last = part->first_seq + part->count - 1;
        timeline->position_last = part->generation->entries[part->newest].position;
    }
    bool durable = timeline->position_last <= journal_reader_newest(timeline->reader);
    return durable ? SPN_OK : SPN_E_UNKNOWN_SESSION;
}

/* Deleted since the broker gave the view: its data may be gone already. */
static bool is_buried(const struct timeline *timeline)
{
    uint64_t checkpoint = journal_reader_meta(timeline->reader)->checkpoint;
    const struct record_row *row = &timeline->row;
    if (!timeline->has_row)
        return timeline->epoch <= checkpoint;
    return row->state == RECORD_DELETED && row->state_position <= checkpoint;
}

/* Whether the session is closed, and why: as its row says, or the entry that closed it since. A row
 * may know of events that neither the view nor the finished index has: then it is too early to
 * report that no more events come. */
static spn_err find_close(struct timeline *timeline, uint64_t newest)
{
    struct record_entry close;
    uint64_t position = timeline->view->closed_position;
    if (timeline->row.state == RECORD_CLOSED && timeline->row.seq <= timeline->seq_last) {
        timeline->closed = true;
        timeline->reason = timeline->row.reason;
        return SPN_OK;
    }
    if (position == 0 || position > newest)
        return SPN_OK;
    timeline->closed = true;
    spn_err err = journal_read_entry(timeline->reader, position, &close);
    if (err == SPN_OK)
        timeline->reason = close.reason;
    return err == SPN_E_END ? SPN_OK : err;
}

spn_err timeline_open(struct timeline *timeline, struct journal_reader *reader,
                      const struct view *view)
{
    uint64_t newest = journal_reader_newest(reader);
    while (view && view->ended_position > 0 && view->ended_position <= newest)
        view = view->next;
    if (!view || view->epoch == 0)
        return SPN_E_UNKNOWN_SESSION;
    *timeline = (struct timeline){.reader = reader, .view = view, .epoch = view->epoch};
    for (size_t i = 0; i < 2; i++)
        timeline->parts[i] = durable_part(&view->parts[i], newest);
    spn_err err = journal_read_row(reader, view->epoch, &timeline->row);
    if (err == SPN_OK && timeline->row.state == RECORD_DAMAGED)
        return SPN_E_CORRUPT; /* the session is given up */
    if (err == SPN_OK) {
        timeline->has_row = true;
        timeline->segment = journal_row_segment(reader, &timeline->row);
    } else if (err != SPN_E_END) {
        return err;
    }
    if (is_buried(timeline))
        return SPN_E_UNKNOWN_SESSION;
    err = find_life(timeline);
    if (err == SPN_OK)
        err = find_end(timeline);
    return err == SPN_OK ? find_close(timeline, newest) : err;
}

/* -- retention --------------------------------------------------------------------------------- */

/* What the rule is applied to: the newest event and the clock. */
struct horizon {
    uint64_t last_bytes;
    uint64_t now_ns;
};

static spn_err look_at(const struct timeline *timeline, const struct horizon *horizon,
                       uint64_t position, bool *ret_is)
{
    struct record_entry event;
    *ret_is = false;
    spn_err err = journal_read_entry(timeline->reader, position, &event);
    if (err == SPN_OK)
        *ret_is = retention_keeps(&journal_reader_meta(timeline->reader)->retention, &event,
                                  timeline->seq_last, horizon->last_bytes, horizon->now_ns);
    return err == SPN_E_END ? SPN_OK : err;
}

/* Whether the first event from seq on that the index has is retained; *ret_first is its seq. Events
 * go oldest first: if this holds for one seq, it holds for all later ones, also where the index has
 * holes. */
static spn_err leads_to_retained(const struct timeline *timeline, const struct horizon *horizon,
                                 uint64_t seq, uint64_t *ret_first, bool *ret_is)
{
    uint64_t position;
    size_t count;
    *ret_is = false;
    spn_err err = timeline_positions(timeline, seq, 1, &position, ret_first, &count);
    if (err != SPN_OK || count == 0)
        return err;
    return look_at(timeline, horizon, position, ret_is);
}

/* The first retained event after `gone`, which is not retained: a binary search. */
static spn_err search(const struct timeline *timeline, const struct horizon *horizon, uint64_t gone,
                      uint64_t *ret_seq)
{
    uint64_t leads = timeline->seq_last + 1; /* from here on *ret_seq is first */
    spn_err err = SPN_OK;
    *ret_seq = leads;
    while (err == SPN_OK && leads - gone > 1) {
        uint64_t middle = gone + (leads - gone) / 2;
        uint64_t first;
        bool is;
        err = leads_to_retained(timeline, horizon, middle, &first, &is);
        if (is) {
            leads = middle;
            *ret_seq = first;
        } else {
            gone = first < leads ? first : leads - 1;
        }
    }
    return err;
}

/* SPN_E_END: the newest event is gone, so all events are. */
static spn_err look_from(const struct timeline *timeline, uint64_t now_ns,
                         struct horizon *ret_horizon)
{
    struct record_entry newest;
    spn_err err = journal_read_entry(timeline->reader, timeline->position_last, &newest);
    if (err == SPN_OK)
        *ret_horizon = (struct horizon){.last_bytes = newest.bytes, .now_ns = now_ns};
    return err;
}

static spn_err find_retained(const struct timeline *timeline, uint64_t seq_from, uint64_t now_ns,
                             size_t count_max, uint64_t *positions, uint64_t *ret_first,
                             size_t *ret_count)
{
    struct horizon horizon;
    uint64_t first = 0;
    bool is = false;
    spn_err err = look_from(timeline, now_ns, &horizon);
    if (err == SPN_E_END) {
        *ret_first = timeline->seq_last + 1;
        return SPN_OK;
    }
    if (err == SPN_OK)
        err = timeline_positions(timeline, seq_from, count_max, positions, ret_first, ret_count);
    if (err == SPN_OK && *ret_count > 0)
        err = look_at(timeline, &horizon, positions[0], &is);
    if (err != SPN_OK || is)
        return err;
    err = search(timeline, &horizon, *ret_first, ret_first);
    if (err == SPN_OK)
        err = timeline_positions(timeline, *ret_first, count_max, positions, &first, ret_count);
    return err == SPN_OK && *ret_count > 0 && first != *ret_first ? SPN_E_CORRUPT : err;
}

spn_err timeline_read_retained(const struct timeline *timeline, uint64_t seq_from, uint64_t now_ns,
                               size_t count_max, uint64_t *positions, uint64_t *ret_first,
                               size_t *ret_count)
{
    *ret_first = seq_from;
    *ret_count = 0;
    if (seq_from > timeline->seq_last)
        return SPN_OK;
    spn_err err =
        find_retained(timeline, seq_from, now_ns, count_max, positions, ret_first, ret_count);
    if (err == SPN_OK && *ret_first > seq_from)
        err = absence_check(timeline, *ret_first);
    return err;
}

spn_err timeline_retained(const struct timeline *timeline, uint64_t seq_from, uint64_t now_ns,
                          uint64_t *ret_seq)
{
    uint64_t position;
    size_t count;
    return timeline_read_retained(timeline, seq_from, now_ns, 1, &position, ret_seq, &count);
}

static spn_err find_in_part(const struct timeline *timeline, const struct view_part *part,
                            struct spn_bytes id, uint32_t fingerprint, uint64_t *ret_seq)
{
    uint32_t place = part->newest;
    for (uint32_t left = part->count; left > 0; left--) {
        const struct generation_entry *entry = &part->generation->entries[place];
        place = entry->previous;
        if (entry->fingerprint != fingerprint)
            continue;
        struct record_entry found;
        spn_err err = journal_read_entry(timeline->reader, entry->position, &found);
        if (err == SPN_E_END)
            continue;
        if (err != SPN_OK)
            return err;
        if (found.id.size == id.size && memcmp(found.id.data, id.data, id.size) == 0) {
            *ret_seq = found.seq;
            return SPN_OK;
        }
    }
    return SPN_E_UNKNOWN_ID;
}

/* Whether the index has newer events than the view: then it also has all events of the view. */
static bool index_is_ahead(const struct timeline *timeline)
{
    for (size_t i = 0; i < 2; i++) {
        const struct view_part *part = &timeline->parts[i];
        if (part->generation && part->first_seq + part->count > timeline->seq_last)
            return false;
    }
    return true;
}

/* The newest event with this id that is still there. */
static spn_err find_newest(const struct timeline *timeline, struct spn_bytes id,
                           uint32_t fingerprint, uint64_t *ret_seq)
{
    for (size_t i = index_is_ahead(timeline) ? 0 : 2; i > 0; i--) {
        const struct view_part *part = &timeline->parts[i - 1];
        spn_err err = part->generation ? find_in_part(timeline, part, id, fingerprint, ret_seq)
                                       : SPN_E_UNKNOWN_ID;
        if (err != SPN_E_UNKNOWN_ID)
            return err;
    }
    uint64_t position;
    spn_err err = chain_find(timeline->reader, timeline->epoch, timeline->segment, fingerprint, id,
                             ret_seq, &position);
    return err == SPN_E_END ? SPN_E_UNKNOWN_ID : err;
}

/* A newer event with the same id may be gone already: then this one is hidden too. */
spn_err timeline_find(const struct timeline *timeline, struct spn_bytes id, uint32_t fingerprint,
                      uint64_t now_ns, uint64_t *ret_seq)
{
    uint64_t seq, retained;
    spn_err err = find_newest(timeline, id, fingerprint, &seq);
    if (err == SPN_OK)
        err = timeline_retained(timeline, seq, now_ns, &retained);
    if (err == SPN_OK && retained != seq)
        err = SPN_E_UNKNOWN_ID;
    if (err == SPN_OK)
        *ret_seq = seq;
    return err;
}

spn_err timeline_missing(const struct timeline *timeline, uint64_t now_ns, uint64_t *ret_count)
{
    uint64_t first;
    spn_err err = timeline_retained(timeline, timeline->seq_before + 1, now_ns, &first);
    if (err == SPN_OK)
        *ret_count = first - timeline->seq_before - 1;
    return err;
}

spn_err timeline_last_id(const struct timeline *timeline, const struct record_entry *newest,
                         struct spn_bytes *ret_id)
{
    struct record_entry entry = *newest;
    const struct record_row *row = &timeline->row;
    uint64_t position = newest->id_position;
    spn_err err = SPN_OK;
    if (position > 0 && timeline->has_row && position <= row->position &&
        row->position <= timeline->position_last)
        entry.id = row->last_id;
    else if (position > 0)
        err = journal_read_entry(timeline->reader, position, &entry);
    if (err == SPN_OK)
        *ret_id = entry.id;
    bool ahead = timeline->row.position > timeline->position_last;
    return err == SPN_E_END && !ahead ? SPN_E_CORRUPT : err;
}

/* -- trackers ---------------------------------------------------------------------------------- */

static spn_err remember_entry(const struct timeline *timeline, uint64_t position,
                              const uint8_t *secret, struct tracker **tracker)
{
    struct record_entry entry;
    spn_err err = journal_read_entry(timeline->reader, position, &entry);
    if (err == SPN_E_END || err == SPN_E_CORRUPT)
        return SPN_OK; /* trimmed, or damaged: a hole in the window, not the end of the daemon */
    if (err != SPN_OK)
        return err;
    if (entry.bytes >
        (*tracker)->bytes) /* newer events may have gone by their age; the row has their bytes */
        (*tracker)->bytes = entry.bytes;
    if (entry.markers > (*tracker)->markers)
        (*tracker)->markers = entry.markers;
    struct fingerprint id = fingerprint_of(entry.id, secret);
    uint32_t tag = fingerprint_tag_of(&entry, secret);
    if (entry.id.size == 0 || tracker_check(*tracker, id, tag) != TRACKER_NEW)
        return SPN_OK; /* the id came again after it had left the window: the newer entry counts
                          once the older one is out of reach; both are in reach only if the window
                          was made larger */
    return tracker_add(tracker, id, tag);
}

static spn_err count_ids(const struct timeline *timeline, const uint64_t *positions, size_t count,
                         size_t *ids)
{
    for (size_t i = 0; i < count; i++) {
        struct record_entry entry;
        spn_err err = journal_read_entry(timeline->reader, positions[i], &entry);
        if (err == SPN_OK)
            *ids += entry.id.size > 0;
        else if (err != SPN_E_END && err != SPN_E_CORRUPT)
            return err;
    }
    return SPN_OK;
}

/* The window counts ids, and a marker may have none. So go back until the ids fill it, within a
 * limit. */
static spn_err find_window(const struct timeline *timeline, uint16_t window_max, uint64_t *ret_seq)
{
    uint64_t seq = timeline->seq_last + 1;
    size_t ids = 0;
    spn_err err = SPN_OK;
    uint64_t begin = timeline->seq_before + 1;
    for (size_t looked = 0; err == SPN_OK && seq > begin && ids < window_max &&
                            looked < window_max + (size_t)LOOK_BACK_MAX;
         looked += WINDOW_STEP) {
        uint64_t positions[WINDOW_STEP];
        uint64_t from = seq > begin + WINDOW_STEP ? seq - WINDOW_STEP : begin;
        uint64_t first;
        size_t count;
        err = timeline_positions(timeline, from, (size_t)(seq - from), positions, &first, &count);
        if (err == SPN_OK)
            err = count_ids(timeline, positions, count, &ids);
        seq = from;
    }
    *ret_seq = seq;
    return err;
}

static spn_err fill_window(const struct timeline *timeline, uint16_t window_max,
                           const uint8_t *secret, struct tracker **tracker)
{
    uint64_t begin = timeline->seq_before + 1;
    uint64_t seq = timeline->seq_last >= window_max ? timeline->seq_last - window_max + 1 : begin;
    if (seq < begin)
        seq = begin;
    if ((*tracker)->markers > 0) {
        spn_err err = find_window(timeline, window_max, &seq);
        if (err != SPN_OK)
            return err;
    }
    while (seq <= timeline->seq_last) {
        uint64_t positions[WINDOW_STEP];
        uint64_t first;
        size_t count;
        spn_err err = timeline_positions(timeline, seq, WINDOW_STEP, positions, &first, &count);
        if (err == SPN_OK && (count == 0 || first > seq))
            err = absence_check(timeline, count > 0 ? first : timeline->seq_last + 1);
        for (size_t i = 0; err == SPN_OK && i < count; i++)
            err = remember_entry(timeline, positions[i], secret, tracker);
        if (err != SPN_OK || count == 0)
            return err;
        seq = first + count;
    }
    return SPN_OK;
}

/* Takes over what the newest entry says, or the row if that entry is gone. */
static spn_err follow_newest(const struct timeline *timeline, struct tracker *tracker)
{
    struct record_entry newest;
    tracker->seq = timeline->seq_last;
    if (timeline->row.seq <= timeline->seq_last) { /* the row is not ahead of the view */
        tracker->bytes = timeline->row.bytes;
        tracker->markers = timeline->row.markers;
    }
    tracker->id_position = timeline->position_last;
    spn_err err = journal_read_entry(timeline->reader, timeline->position_last, &newest);
    if (err == SPN_OK && record_is_stored(newest.kind))
        tracker_follow(tracker, timeline->position_last, &newest);
    return err == SPN_E_END || err == SPN_E_CORRUPT ? SPN_OK : err;
}

spn_err timeline_tracker(const struct timeline *timeline, struct spn_bytes name,
                         uint16_t window_max, const uint8_t *secret, struct tracker **ret_tracker)
{
    struct tracker *tracker = tracker_new(name, window_max);
    if (!tracker)
        return SPN_E_NOMEM;
    tracker->epoch = timeline->epoch;
    tracker->life = timeline->life;
    tracker->closed = timeline->closed;
    spn_err err = follow_newest(timeline, tracker);
    if (err == SPN_OK)
        err = fill_window(timeline, window_max, secret, &tracker);
    if (err == SPN_OK)
        *ret_tracker = tracker;
    else
        tracker_free(tracker);
    return err;
}

spn_err timeline_load_tracker(struct journal_reader *reader, const struct view *view,
                              struct spn_bytes name, uint16_t window_max, const uint8_t *secret,
                              uint64_t *ret_epoch, struct tracker **ret_tracker)
{
    struct timeline timeline = {.reader = reader};
    uint64_t epoch;
    spn_err err = journal_read_name(reader, name, &epoch);
    if (err == SPN_E_END)
        epoch = 0;
    else if (err != SPN_OK)
        return err;
    *ret_epoch = epoch;
    if (epoch == 0 || epoch != view->epoch)
        return SPN_OK;
    err = timeline_open(&timeline, reader, view);
    if (err == SPN_E_UNKNOWN_SESSION && is_buried(&timeline)) {
        *ret_epoch = 0; /* the session has expired since: its name stays until it is buried */
        return SPN_OK;
    }
    return err == SPN_OK ? timeline_tracker(&timeline, name, window_max, secret, ret_tracker) : err;
}
