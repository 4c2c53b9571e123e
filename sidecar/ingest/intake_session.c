/* SPDX-License-Identifier: Apache-2.0 */
/* intake_session: opens, closes, deletes and expires sessions. */
#include <string.h>

#include "ingest/intake_base.h"

spn_err intake_draw_lives(struct intake *intake, uint32_t count)
{
    if (intake->life_count >= count)
        return SPN_OK;
    uint32_t wanted = count > INTAKE_LIVES_STEP ? count : INTAKE_LIVES_STEP;
    size_t size = (wanted - intake->life_count) * sizeof(*intake->lives);
    spn_err err = intake->random(intake->lives + intake->life_count, size);
    if (err == SPN_OK)
        intake->life_count = wanted;
    return err;
}

void intake_open_session(struct taking *taking, struct tracker *tracker, uint32_t slot,
                         struct spn_bytes name)
{
    struct intake *intake = taking->intake;
    struct broker_state *state = intake->state;
    tracker->epoch = tracker->id_position = state->next_position;
    tracker->life = intake->lives[--intake->life_count];
    intake_put_entry(taking, &(struct batch_entry){
                                 .epoch = tracker->epoch,
                                 .life = tracker->life,
                                 .offset = intake_offset_of(taking, name),
                                 .data_size = (uint32_t)name.size,
                                 .kind = RECORD_OPEN,
                             });
    generation_reach(state->active, tracker->epoch);
    generation_touch(state->active, &state->sessions.slots[slot], slot, tracker->epoch);
    metrics_add(&intake->metrics->sessions_opened, 1);
}

/* Something of the session goes into the log: its deadlines move. */
static void note_activity(struct taking *taking, uint32_t slot, uint64_t epoch,
                          const struct record_extent *extent, bool closes)
{
    struct span *span = spans_find(&taking->intake->state->spans, slot, epoch);
    if (span && closes)
        span_close(span, extent, taking->batch->time_ns);
    else if (span)
        span_store(span, extent, taking->batch->time_ns);
}

void intake_note_event(struct taking *taking, uint32_t slot, const struct tracker *tracker,
                       bool closes)
{
    if (taking->intake->state->spans.count == 0)
        return;
    struct record_extent extent = tracker_extent(tracker);
    note_activity(taking, slot, tracker->epoch, &extent, closes);
}

/* What ends, or is closed. */
struct end {
    enum record_kind kind;
    uint64_t epoch;
    struct spn_life life;
    struct record_extent extent;
    struct spn_bytes name;   /* in the frame */
    struct spn_bytes reason; /* in the frame; of a close */
};

/* Puts an entry that says only what became of the session, which may be cold. */
static void put_end(struct taking *taking, uint32_t slot, const struct end *end)
{
    struct broker_state *state = taking->intake->state;
    struct session *session = &state->sessions.slots[slot];
    bool closes = end->kind == RECORD_CLOSE;
    struct generation_session *touched = generation_touch(state->active, session, slot, end->epoch);
    if (closes)
        note_activity(taking, slot, end->epoch, &end->extent, true);
    else
        spans_remove(&state->spans, spans_find(&state->spans, slot, end->epoch));
    generation_end(state->active, touched, state->next_position,
                   closes ? RECORD_CLOSED : RECORD_DELETED);
    intake_put_entry(taking, &(struct batch_entry){
                                 .epoch = end->epoch,
                                 .seq = end->extent.seq,
                                 .bytes = end->extent.bytes,
                                 .markers = end->extent.markers,
                                 .life = end->life,
                                 .offset = closes ? intake_offset_of(taking, end->reason) : 0,
                                 .name_offset = intake_offset_of(taking, end->name),
                                 .reason_size = (uint8_t)end->reason.size,
                                 .name_size = (uint8_t)end->name.size,
                                 .closes = closes,
                                 .kind = (uint8_t)end->kind,
                             });
}

/* The position of the entry that closed the session, if this generation has it: the entry that ends
 * the session is about to replace it there. */
static uint64_t closed_position(const struct generation *generation, const struct session *session,
                                uint32_t slot, uint64_t epoch)
{
    const struct generation_session *touched = generation_find(generation, session, slot);
    return touched && touched->epoch == epoch && touched->state == RECORD_CLOSED
               ? touched->state_position
               : 0;
}

/* Ends an epoch by a delete or an expiry. Decisions from here on see it as gone; readers see it
 * until the end is on disk. SPN_E_NOMEM: nothing happened. */
static spn_err end_epoch(struct taking *taking, uint32_t slot, const struct end *end)
{
    struct intake *intake = taking->intake;
    struct broker_state *state = intake->state;
    const struct session *session = &state->sessions.slots[slot];
    struct ending *ending;
    spn_err err =
        endings_add(&intake->endings, end->name, session->hash, state->next_position, &ending);
    if (err != SPN_OK)
        return err;
    ending->closed_position = closed_position(state->active, session, slot, end->epoch);
    put_end(taking, slot, end);
    taking->batch->ends = true;
    ending->epoch = end->epoch;
    ending->session = *session;
    ending->slot = slot;
    return SPN_OK;
}

spn_err intake_find_meant(const struct taking *taking, uint32_t i, uint32_t *ret_slot)
{
    uint32_t slot = intake_find(taking->intake, i);
    const struct tracker *tracker = intake_tracker(taking->intake, slot);
    spn_err err = intake_check_conditions(taking, &taking->intake->entries[i], tracker);
    if (err == SPN_OK && (!tracker || tracker->epoch == 0))
        err = SPN_E_UNKNOWN_SESSION;
    if (err == SPN_OK)
        *ret_slot = slot;
    return err;
}

spn_err intake_take_close(struct taking *taking, uint32_t i, uint64_t number)
{
    uint32_t slot;
    spn_err err = intake_find_meant(taking, i, &slot);
    if (err != SPN_OK)
        return err;
    struct tracker *tracker = taking->intake->state->sessions.slots[slot].tracker;
    if (tracker->closed)
        return producer_note(taking->producer, number, WIRE_DUPLICATE, SPN_OK);
    tracker->closed = true;
    const struct wire_entry *entry = &taking->intake->entries[i];
    put_end(taking, slot,
            &(struct end){.kind = RECORD_CLOSE,
                          .epoch = tracker->epoch,
                          .life = tracker->life,
                          .extent = tracker_extent(tracker),
                          .name = entry->session,
                          .reason = entry->reason});
    metrics_add(&taking->intake->metrics->sessions_closed, 1);
    return SPN_OK;
}

spn_err intake_take_delete(struct taking *taking, uint32_t i)
{
    uint32_t slot;
    spn_err err = intake_find_meant(taking, i, &slot);
    if (err != SPN_OK)
        return err;
    struct tracker *tracker = taking->intake->state->sessions.slots[slot].tracker;
    err = end_epoch(taking, slot,
                    &(struct end){.kind = RECORD_DELETE,
                                  .epoch = tracker->epoch,
                                  .life = tracker->life,
                                  .extent = tracker_extent(tracker),
                                  .name = taking->intake->entries[i].session});
    if (err != SPN_OK)
        return err;
    tracker_clear(tracker);
    tracker->life = (struct spn_life){{0}};
    tracker->epoch = tracker->seq = tracker->bytes = 0;
    tracker->markers = tracker->id_position = 0;
    tracker->closed = tracker->damaged = false;
    metrics_add(&taking->intake->metrics->sessions_deleted, 1);
    return SPN_OK;
}

/* The slot of an idle session that got nothing since; SLOT_NONE: it did, was touched, or is gone. A
 * touch does not keep a session from the quota. */
static uint32_t find_idle(const struct intake *intake, const struct generation *frozen,
                          const struct idle_session *idle, bool early, uint64_t now_ns)
{
    const struct broker_state *state = intake->state;
    const struct sessions *sessions = &state->sessions;
    struct spn_bytes name = {idle->name, idle->name_size};
    uint64_t hash = sessions_hash(sessions, name);
    uint32_t slot = SLOT_NONE;
    if (sessions_find(sessions, name, hash, &slot) != SESSIONS_HOT)
        slot = sessions_find_epoch(sessions, hash, idle->epoch);
    if (slot == SLOT_NONE || sessions_epoch(sessions, slot) != idle->epoch)
        return SLOT_NONE;
    const struct session *session = &sessions->slots[slot];
    const struct span *span = spans_find(&state->spans, slot, idle->epoch);
    bool kept = !early && span && spans_keep(&state->spans, span, now_ns);
    bool touched = generation_find(state->active, session, slot) ||
                   (frozen && generation_find(frozen, session, slot));
    return touched || kept ? SLOT_NONE : slot;
}

/* Gives the batch a frame with room for the names of all these sessions. */
static spn_err make_room_for_names(struct batch *batch, const struct idle_sessions *idle)
{
    size_t size = 0;
    zmq_msg_t frame;
    for (size_t i = 0; i < idle->count; i++)
        size += idle->sessions[i].name_size;
    if (zmq_msg_init_size(&frame, size) != 0)
        return SPN_E_NOMEM;
    zmq_msg_move(&batch->frame, &frame);
    zmq_msg_close(&frame);
    batch->bytes += size;
    return SPN_OK;
}

static void expire(struct taking *taking, uint32_t slot, const struct idle_session *idle,
                   uint8_t *name)
{
    memcpy(name, idle->name, idle->name_size);
    const struct end end = {.kind = RECORD_EXPIRE,
                            .epoch = idle->epoch,
                            .life = idle->life,
                            .extent = idle->extent,
                            .name = {name, idle->name_size}};
    if (end_epoch(taking, slot, &end) == SPN_OK) /* else the next walk finds it again */
        sessions_forget(&taking->intake->state->sessions, slot);
}

struct batch *intake_expire(struct intake *intake, const struct generation *frozen,
                            const struct idle_sessions *idle)
{
    struct batch *batch = intake_new_batch(intake, NULL, idle->count);
    if (!batch || make_room_for_names(batch, idle) != SPN_OK) {
        batch_free(batch);
        return NULL;
    }
    uint8_t *name = zmq_msg_data(&batch->frame);
    struct taking taking = {.intake = intake, .batch = batch, .frame = name};
    for (size_t i = 0; i < idle->count; i++) {
        uint32_t slot = find_idle(intake, frozen, &idle->sessions[i], idle->early, batch->time_ns);
        if (slot == SLOT_NONE)
            continue;
        expire(&taking, slot, &idle->sessions[i], name);
        name += idle->sessions[i].name_size;
    }
    metrics_add(&intake->metrics->sessions_expired, batch->entry_count);
    if (batch->entry_count > 0)
        return batch;
    batch_free(batch);
    return NULL;
}

/* -- spans that are over ----------------------------------------------------------------------- */

static const struct spn_bytes idle_reason = {WIRE_REASON_IDLE, sizeof(WIRE_REASON_IDLE) - 1};

static void close_idle(struct taking *taking, struct span *span, struct spn_bytes name,
                       struct spn_bytes reason)
{
    struct broker_state *state = taking->intake->state;
    struct tracker *tracker = state->sessions.slots[span->slot].tracker;
    if (tracker)
        tracker->closed = true;
    put_end(taking, span->slot,
            &(struct end){.kind = RECORD_CLOSE,
                          .epoch = span->epoch,
                          .life = span->life,
                          .extent = span->extent,
                          .name = name,
                          .reason = reason});
    spans_rearm(&state->spans, span);
    metrics_add(&taking->intake->metrics->sessions_closed_idle, 1);
    metrics_add(&taking->intake->metrics->sessions_closed, 1);
}

/* False: out of memory, and the session is as it was. */
static bool expire_span(struct taking *taking, const struct span *span, struct spn_bytes name)
{
    uint32_t slot = span->slot;
    const struct end end = {.kind = RECORD_EXPIRE,
                            .epoch = span->epoch,
                            .life = span->life,
                            .extent = span->extent,
                            .name = name};
    if (end_epoch(taking, slot, &end) != SPN_OK)
        return false;
    sessions_forget(&taking->intake->state->sessions, slot);
    metrics_add(&taking->intake->metrics->sessions_expired, 1);
    return true;
}

/* Ends one session; the frame has the reason first, then the names. */
static bool end_span(struct taking *taking, struct span *span, enum span_end how, uint8_t *at)
{
    const struct spn_bytes reason = {taking->frame, idle_reason.size};
    const struct spn_bytes name = {at, span->name_size};
    memcpy(at, span->name, span->name_size);
    if (how == SPAN_EXPIRE)
        return expire_span(taking, span, name);
    close_idle(taking, span, name, reason);
    return true;
}

struct batch *intake_end_due(struct intake *intake)
{
    struct spans *spans = &intake->state->spans;
    uint64_t now_ns = clock_database_ns(intake->clock);
    struct span *span;
    enum span_end how;
    if (spans_due_ns(spans) > now_ns || !(span = spans_next(spans, now_ns, &how)))
        return NULL;
    struct batch *batch = intake_new_batch(intake, NULL, INTAKE_DUE_MAX);
    zmq_msg_t frame;
    if (!batch || zmq_msg_init_size(&frame, idle_reason.size +
                                                (size_t)INTAKE_DUE_MAX * WIRE_SESSION_MAX) != 0) {
        spans_retry(spans, span, now_ns + INTAKE_RETRY_NS);
        batch_free(batch);
        return NULL;
    }
    zmq_msg_move(&batch->frame, &frame);
    zmq_msg_close(&frame);
    batch->bytes += zmq_msg_size(&batch->frame);
    uint8_t *at = zmq_msg_data(&batch->frame);
    struct taking taking = {.intake = intake, .batch = batch, .frame = at};
    memcpy(at, idle_reason.data, idle_reason.size);
    at += idle_reason.size;
    while (span) {
        size_t size = span->name_size;
        if (end_span(&taking, span, how, at))
            at += size; /* else the next name takes the place: any number of them may fail */
        else
            spans_retry(spans, span, now_ns + INTAKE_RETRY_NS);
        span = batch->entry_count < INTAKE_DUE_MAX ? spans_next(spans, now_ns, &how) : NULL;
    }
    if (batch->entry_count > 0)
        return batch;
    batch_free(batch);
    return NULL;
}
