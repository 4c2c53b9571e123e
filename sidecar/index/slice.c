/* SPDX-License-Identifier: Apache-2.0 */
#include "index/slice.h"

spn_err slice_find(const struct timeline *timeline, const struct slice_start *start,
                   const uint8_t *secret, uint64_t now_ns, uint64_t *ret_from)
{
    uint64_t after = timeline->seq_before;
    if (start->start == WIRE_NOW) {
        after = timeline->seq_last;
    } else if (start->start == WIRE_AFTER_SEQ) {
        if (!wire_same_life(start->life, timeline->life))
            return SPN_E_OTHER_LIFE;
        /* Only durable events are given out, so no honest cursor is ahead of the end. One before
         * the first seq of a life that came from elsewhere misses nothing. */
        if (start->seq > after)
            after = start->seq < timeline->seq_last ? start->seq : timeline->seq_last;
    } else if (start->start == WIRE_AFTER_ID) {
        spn_err err = start->id.size > 0 ? wire_check_id(start->id) : SPN_E_BAD_ID;
        if (err != SPN_OK)
            return err;
        uint32_t fingerprint = (uint32_t)fingerprint_of(start->id, secret).low;
        err = timeline_find(timeline, start->id, fingerprint, now_ns, &after);
        if (err != SPN_OK)
            return err;
    }
    *ret_from = after + 1;
    return SPN_OK;
}

static uint8_t item_kind(const struct record_entry *entry)
{
    if (entry->kind != RECORD_MARKER)
        return WIRE_EVENT;
    return entry->id.size == 0 && entry->id_position == 0 ? WIRE_RESET : WIRE_MARKER;
}

/* Events and markers of one session: the request names it, and so the items do not. Every member is
 * named: what is left out is cleared at a cost. */
static struct wire_item item_of(uint64_t position, const struct record_entry *entry)
{
    return (struct wire_item){
        .seq = entry->seq,
        .position = position,
        .time_ms = entry->wall_ms,
        .entry = {.kind = item_kind(entry),
                  .session = {NULL, 0},
                  .life = {{0}},
                  .seq = 0,
                  .depends = 0,
                  .flags = (uint8_t)((entry->closes ? WIRE_FLAG_CLOSES : 0) |
                                     (entry->note.size > 0 ? WIRE_FLAG_NOTE : 0)),
                  .retry_ms = entry->retry_ms,
                  .id = entry->id,
                  .type = entry->type,
                  .data = entry->data,
                  .reason = entry->reason,
                  .note = entry->note},
    };
}

size_t slice_entry_size(const struct record_entry *entry)
{
    return WIRE_ITEM_HEAD_SIZE + entry->id.size + entry->type.size + entry->data.size +
           (entry->closes ? 1 + entry->reason.size : 0) +
           (entry->note.size > 0 ? 2 + entry->note.size : 0);
}

spn_err slice_read(struct slice *slice, const struct timeline *timeline, uint64_t from,
                   size_t bytes_max, uint64_t now_ns)
{
    size_t count;
    uint64_t retained;
    spn_err err = timeline_read_retained(timeline, from, now_ns, SLICE_ENTRIES_MAX,
                                         slice->positions, &retained, &count);
    if (err != SPN_OK)
        return err;
    slice->size = 0;
    slice->head = (struct wire_slice){.life = timeline->life,
                                      .state = timeline->closed ? WIRE_SESSION_CLOSED : WIRE_LIVE,
                                      .seq = retained - 1,
                                      .seq_last = timeline->seq_last,
                                      .missing = retained - from,
                                      .verdict = retained > from ? WIRE_TRIMMED : WIRE_RESUMED};
    for (size_t i = 0; i < count; i++) {
        struct record_entry *entry = &slice->entries[i];
        err = journal_read_entry(timeline->reader, slice->positions[i], entry);
        if ((err == SPN_E_END || err == SPN_E_CORRUPT) && i > 0)
            break; /* the next slice reports how many are trimmed, or the damage */
        if (err != SPN_OK)
            return err == SPN_E_END ? SPN_E_CORRUPT : err;
        size_t size = slice_entry_size(entry);
        if (i > 0 && slice->size + size > bytes_max)
            break;
        slice->size += size;
        slice->head.count++;
        slice->head.seq = entry->seq;
    }
    return SPN_OK;
}

void slice_put_entry(struct wire_out *out, uint64_t position, const struct record_entry *entry)
{
    struct wire_item item = item_of(position, entry);
    wire_put_item(out, &item);
}

void slice_put(struct wire_out *out, const struct slice *slice)
{
    for (uint32_t i = 0; i < slice->head.count; i++)
        slice_put_entry(out, slice->positions[i], &slice->entries[i]);
}

bool slice_verdict(spn_err err, uint8_t *ret_verdict)
{
    switch (err) {
    case SPN_E_UNKNOWN_SESSION:
        *ret_verdict = WIRE_UNKNOWN_SESSION;
        return true;
    case SPN_E_UNKNOWN_ID:
        *ret_verdict = WIRE_UNKNOWN_ID;
        return true;
    case SPN_E_OTHER_LIFE:
        *ret_verdict = WIRE_OTHER_LIFE;
        return true;
    case SPN_E_CLOSED:
        *ret_verdict = WIRE_CLOSED;
        return true;
    case SPN_E_DELETED:
        *ret_verdict = WIRE_DELETED;
        return true;
    default:
        return false;
    }
}
