/* SPDX-License-Identifier: Apache-2.0 */
/* intake_spans: takes attributes and touches.
 *
 * Both move the deadlines of a session. Attributes are always an entry of the log. A touch is one
 * only if the log would know too little after a restart: see spans_touch.
 */
#include "index/attributes.h"
#include "ingest/intake_base.h"

/* Attributes and touches: the frame has their extra bytes before the data. */
static void put_activity(struct taking *taking, const struct wire_entry *from,
                         const struct tracker *tracker, enum record_kind kind)
{
    const uint8_t *extra = (const uint8_t *)from->type.data + from->type.size;
    intake_put_entry(taking, &(struct batch_entry){
                                 .epoch = tracker->epoch,
                                 .seq = tracker->seq,
                                 .bytes = tracker->bytes,
                                 .markers = tracker->markers,
                                 .life = tracker->life,
                                 .offset = intake_offset_of(taking, from->id),
                                 .name_offset = intake_offset_of(taking, from->session),
                                 .data_size = (uint32_t)from->data.size,
                                 .extra_size = (uint16_t)((const uint8_t *)from->data.data - extra),
                                 .name_size = (uint8_t)from->session.size,
                                 .kind = (uint8_t)kind,
                             });
}

/* The session's span, made if there is none. One that is about to be opened has the next position
 * as its epoch, and the life that was drawn last. */
static spn_err make_span(struct taking *taking, uint32_t slot, struct span **ret_span)
{
    struct intake *intake = taking->intake;
    struct broker_state *state = intake->state;
    const struct tracker *tracker = state->sessions.slots[slot].tracker;
    bool opened = tracker->epoch != 0;
    const struct span_session session = {
        .slot = slot,
        .epoch = opened ? tracker->epoch : state->next_position,
        .life = opened ? tracker->life : intake->lives[intake->life_count - 1],
        .extent = tracker_extent(tracker),
        .name = tracker_name(tracker),
    };
    spn_err err = spans_make(&state->spans, &session, taking->batch->time_ns, ret_span);
    if (err == SPN_OK)
        (*ret_span)->closed = tracker->closed;
    return err;
}

static uint64_t ns_of(uint64_t ms)
{
    return ms * 1000000; /* attributes_get has checked that it fits */
}

/* A session without spans of its own has no span here. */
static spn_err set_spans(struct taking *taking, uint32_t slot,
                         const struct wire_attributes *attributes)
{
    struct spans *spans = &taking->intake->state->spans;
    const struct tracker *tracker = intake_tracker(taking->intake, slot);
    struct record_extent extent = tracker_extent(tracker);
    struct span *span = spans_find(spans, slot, tracker->epoch);
    spn_err err = SPN_OK;
    if (!span && (attributes->ttl_ms | attributes->idle_close_ms) > 0)
        err = make_span(taking, slot, &span);
    if (err != SPN_OK || !span)
        return err;
    span_store(span, &extent, taking->batch->time_ns);
    spans_set(spans, span, ns_of(attributes->ttl_ms), ns_of(attributes->idle_close_ms));
    return SPN_OK;
}

/* The session is there, or is opened now. Memory may run out only before anything is put. */
spn_err intake_take_attributes(struct taking *taking, uint32_t i)
{
    struct intake *intake = taking->intake;
    struct broker_state *state = intake->state;
    const struct wire_entry *entry = &intake->entries[i];
    struct wire_attributes attributes;
    uint32_t slot = intake_find(intake, i);
    struct tracker *tracker = intake_tracker(intake, slot);
    spn_err err = intake_check_conditions(taking, entry, tracker);
    if (err == SPN_OK)
        err = attributes_get(entry->data, &attributes);
    if (err == SPN_OK)
        err = intake_make_slot(intake, i, &slot);
    if (err != SPN_OK)
        return err;
    tracker = intake_tracker(intake, slot);
    err = set_spans(taking, slot, &attributes);
    if (err != SPN_OK)
        return err;
    if (tracker->epoch == 0)
        intake_open_session(taking, tracker, slot, entry->session);
    struct generation_session *touched =
        generation_touch(state->active, &state->sessions.slots[slot], slot, tracker->epoch);
    generation_note_attributes(state->active, touched, state->next_position);
    put_activity(taking, entry, tracker, RECORD_ATTRIBUTES);
    return SPN_OK;
}

/* Whether the touch goes into the log. */
static spn_err touch_span(struct taking *taking, uint32_t slot, bool *ret_stored)
{
    struct spans *spans = &taking->intake->state->spans;
    const struct tracker *tracker = intake_tracker(taking->intake, slot);
    struct record_extent extent = tracker_extent(tracker);
    struct span *span = spans_find(spans, slot, tracker->epoch);
    bool first = !span;
    spn_err err = SPN_OK;
    *ret_stored = false;
    if (first && spans->default_ttl_ns == 0)
        return SPN_OK; /* nothing ends this session, so nothing has to be kept from it */
    if (first)
        err = make_span(taking, slot, &span);
    if (err != SPN_OK)
        return err;
    *ret_stored = spans_touch(spans, span, taking->batch->time_ns) || first;
    if (*ret_stored)
        span_store(span, &extent, taking->batch->time_ns);
    return SPN_OK;
}

spn_err intake_take_touch(struct taking *taking, uint32_t i)
{
    struct intake *intake = taking->intake;
    struct broker_state *state = intake->state;
    uint32_t slot;
    bool stored;
    spn_err err = intake_find_meant(taking, i, &slot);
    if (err != SPN_OK)
        return err;
    const struct tracker *tracker = intake_tracker(intake, slot);
    err = touch_span(taking, slot, &stored);
    if (err != SPN_OK || !stored)
        return err;
    struct generation_session *touched =
        generation_touch(state->active, &state->sessions.slots[slot], slot, tracker->epoch);
    generation_note_touch(state->active, touched, state->next_position);
    put_activity(taking, &intake->entries[i], tracker, RECORD_TOUCH);
    return SPN_OK;
}
