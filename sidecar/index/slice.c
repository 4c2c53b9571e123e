/* SPDX-License-Identifier: Apache-2.0 */
#include "index/slice.h"

spn_err slice_find(const struct timeline *timeline, const struct slice_start *start,
                   const uint8_t *secret, uint64_t now_ns, uint64_t *ret_from)
{
    uint64_t after = 0;
    if (start->start == WIRE_NOW) {
        after = timeline->seq_last;
    } else if (start->start == WIRE_AFTER_SEQ) {
        if (start->epoch != timeline->epoch)
            return SPN_E_OTHER_EPOCH;
        /* Only durable events are given out, so no honest cursor is ahead of the end. */
        after = start->seq < timeline->seq_last ? start->seq : timeline->seq_last;
    } else if (start->start == WIRE_AFTER_ID) {
        spn_err err = wire_check_id(start->id);
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

size_t slice_entry_size(const struct record_entry *entry)
{
    return WIRE_ITEM_HEAD_SIZE + entry->id.size + entry->type.size + entry->data.size;
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
    slice->head = (struct wire_slice){.epoch = timeline->epoch,
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

static uint8_t item_kind(const struct record_entry *entry)
{
    if (entry->kind != RECORD_MARKER)
        return WIRE_ITEM_EVENT;
    return entry->id.size == 0 && entry->id_position == 0 ? WIRE_ITEM_RESET : WIRE_ITEM_MARKER;
}

void slice_put_entry(struct wire_out *out, uint64_t position, const struct record_entry *entry)
{
    wire_put_item(out, &(struct wire_item){.kind = item_kind(entry),
                                           .seq = entry->seq,
                                           .position = position,
                                           .time_ms = entry->wall_ms,
                                           .retry_ms = entry->retry_ms,
                                           .id = entry->id,
                                           .type = entry->type,
                                           .data = entry->data});
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
    case SPN_E_OTHER_EPOCH:
        *ret_verdict = WIRE_OTHER_EPOCH;
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
