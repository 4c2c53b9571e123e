/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/restore_spans.h"

#include "index/attributes.h"

#define MS 1000000ull

static struct record_extent extent_of(const struct record_entry *entry)
{
    return (struct record_extent){
        .seq = entry->seq, .bytes = entry->bytes, .markers = entry->markers};
}

spn_err restore_spans_of_row(struct broker_state *state, uint32_t slot, uint64_t epoch,
                             const struct record_row *row)
{
    struct span *span;
    const struct span_session session = {
        .slot = slot,
        .epoch = epoch,
        .life = row->life,
        .extent = {.seq = row->seq, .bytes = row->bytes, .markers = row->markers},
        .name = row->name};
    if ((row->ttl_ms | row->idle_close_ms) == 0 || row->state == RECORD_DAMAGED)
        return SPN_OK;
    spn_err err = spans_make(&state->spans, &session, row->activity_ns, &span);
    if (err != SPN_OK)
        return err;
    span->closed = row->state == RECORD_CLOSED;
    spans_set(&state->spans, span, row->ttl_ms * MS, row->idle_close_ms * MS);
    return SPN_OK;
}

void restore_spans_activity(struct broker_state *state, uint32_t slot,
                            const struct record_entry *entry)
{
    struct span *span = spans_find(&state->spans, slot, entry->epoch);
    if (!span)
        return;
    struct record_extent extent = extent_of(entry);
    if (entry->kind == RECORD_DELETE || entry->kind == RECORD_EXPIRE)
        spans_remove(&state->spans, span);
    else if (entry->closes)
        span_close(span, &extent, entry->time_ns);
    else
        span_store(span, &extent, entry->time_ns);
}

/* A session of which the log says nothing above the checkpoint may have been closed before. */
static bool is_closed_on_disk(struct journal_reader *reader, uint64_t epoch)
{
    struct record_row row;
    return journal_read_row(reader, epoch, &row) == SPN_OK && row.state == RECORD_CLOSED;
}

spn_err restore_spans_of_entry(struct broker_state *state, struct journal_reader *reader,
                               uint32_t slot, const struct record_entry *entry, bool closed)
{
    struct spans *spans = &state->spans;
    struct span *span = spans_find(spans, slot, entry->epoch);
    struct wire_attributes attributes;
    struct record_extent extent = extent_of(entry);
    spn_err err = SPN_OK;
    if (span)
        span_store(span, &extent, entry->time_ns);
    if (entry->kind == RECORD_TOUCH)
        return SPN_OK;
    if (attributes_get(entry->data, &attributes) != SPN_OK)
        return SPN_E_CORRUPT;
    if (!span && (attributes.ttl_ms | attributes.idle_close_ms) == 0)
        return SPN_OK;
    const struct span_session session = {.slot = slot,
                                         .epoch = entry->epoch,
                                         .life = entry->life,
                                         .extent = extent,
                                         .name = entry->name};
    if (!span)
        err = spans_make(spans, &session, entry->time_ns, &span);
    if (err != SPN_OK)
        return err;
    span->closed |= closed || is_closed_on_disk(reader, entry->epoch);
    spans_set(spans, span, attributes.ttl_ms * MS, attributes.idle_close_ms * MS);
    return SPN_OK;
}
