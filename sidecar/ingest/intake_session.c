/* SPDX-License-Identifier: Apache-2.0 */
/* intake_session: opens, closes, deletes and expires sessions. */

#include "ingest/intake_base.h"

void intake_open_session(struct taking *taking, struct tracker *tracker, uint32_t slot,
                         struct spn_bytes name)
{
    struct broker_state *state = taking->intake->state;
    tracker->epoch = tracker->id_position = state->next_position;
    intake_put_entry(taking, &(struct batch_entry){
                                 .epoch = tracker->epoch,
                                 .data_hash = record_hash(name),
                                 .offset = intake_offset_of(taking, name),
                                 .data_size = (uint32_t)name.size,
                                 .retry_ms = WIRE_RETRY_NONE,
                                 .kind = RECORD_OPEN,
                             });
    generation_reach(state->active, tracker->epoch);
    generation_touch(state->active, &state->sessions.slots[slot], slot, tracker->epoch);
    metrics_add(&taking->intake->metrics->sessions_opened, 1);
}

/* Puts an entry that says only what became of the session. */
static void put_end(struct taking *taking, uint32_t slot, uint64_t epoch, enum record_kind kind)
{
    struct broker_state *state = taking->intake->state;
    struct session *session = &state->sessions.slots[slot];
    const struct tracker *tracker = session->tracker;
    struct generation_session *touched = generation_touch(state->active, session, slot, epoch);
    generation_end(state->active, touched, state->next_position,
                   kind == RECORD_CLOSE ? RECORD_CLOSED : RECORD_DELETED);
    intake_put_entry(taking, &(struct batch_entry){
                                 .epoch = epoch,
                                 .seq = tracker ? tracker->seq : 0,
                                 .bytes = tracker ? tracker->bytes : 0,
                                 .markers = tracker ? tracker->markers : 0,
                                 .data_hash = record_hash((struct spn_bytes){NULL, 0}),
                                 .retry_ms = WIRE_RETRY_NONE,
                                 .kind = (uint8_t)kind,
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
static spn_err end_epoch(struct taking *taking, uint32_t slot, struct spn_bytes name,
                         uint64_t epoch, enum record_kind kind)
{
    struct intake *intake = taking->intake;
    struct broker_state *state = intake->state;
    const struct session *session = &state->sessions.slots[slot];
    struct ending *ending;
    spn_err err = endings_add(&intake->endings, name, session->hash, state->next_position, &ending);
    if (err != SPN_OK)
        return err;
    ending->closed_position = closed_position(state->active, session, slot, epoch);
    put_end(taking, slot, epoch, kind);
    taking->batch->ends = true;
    ending->epoch = epoch;
    ending->session = *session;
    ending->slot = slot;
    return SPN_OK;
}

/* The slot of the session that a close or a delete names. */
static spn_err find_meant(struct intake *intake, uint32_t i, uint32_t *ret_slot)
{
    struct sessions *sessions = &intake->state->sessions;
    const struct wire_entry *entry = &intake->entries[i];
    uint32_t slot = intake->slots[i];
    if (slot == SLOT_NONE &&
        sessions_find(sessions, entry->session, sessions_hash(sessions, entry->session), &slot) !=
            SESSIONS_HOT)
        return SPN_E_UNKNOWN_SESSION;
    uint64_t epoch = sessions->slots[slot].tracker->epoch;
    if (epoch == 0)
        return SPN_E_UNKNOWN_SESSION;
    if (entry->epoch != 0 && entry->epoch != epoch)
        return SPN_E_OTHER_EPOCH;
    *ret_slot = slot;
    return SPN_OK;
}

spn_err intake_take_close(struct taking *taking, uint32_t i, uint64_t number)
{
    uint32_t slot;
    spn_err err = find_meant(taking->intake, i, &slot);
    if (err != SPN_OK)
        return err;
    struct tracker *tracker = taking->intake->state->sessions.slots[slot].tracker;
    if (tracker->damaged)
        return SPN_E_CORRUPT;
    if (tracker->closed)
        return producer_note(taking->producer, number, WIRE_DUPLICATE, SPN_OK);
    tracker->closed = true;
    put_end(taking, slot, tracker->epoch, RECORD_CLOSE);
    metrics_add(&taking->intake->metrics->sessions_closed, 1);
    return SPN_OK;
}

spn_err intake_take_delete(struct taking *taking, uint32_t i)
{
    uint32_t slot;
    spn_err err = find_meant(taking->intake, i, &slot);
    if (err != SPN_OK)
        return err;
    struct tracker *tracker = taking->intake->state->sessions.slots[slot].tracker;
    err = end_epoch(taking, slot, tracker_name(tracker), tracker->epoch, RECORD_DELETE);
    if (err != SPN_OK)
        return err;
    tracker_clear(tracker);
    tracker->epoch = tracker->seq = tracker->bytes = 0;
    tracker->markers = tracker->id_position = 0;
    tracker->closed = tracker->damaged = false;
    metrics_add(&taking->intake->metrics->sessions_deleted, 1);
    return SPN_OK;
}

/* The slot of an idle session that has not been touched since; SLOT_NONE: it was touched or is
 * gone. */
static uint32_t find_idle(const struct intake *intake, const struct generation *frozen,
                          const struct idle_session *idle)
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
    bool touched = generation_find(state->active, session, slot) ||
                   (frozen && generation_find(frozen, session, slot));
    return touched ? SLOT_NONE : slot;
}

struct batch *intake_expire(struct intake *intake, const struct generation *frozen,
                            const struct idle_sessions *idle)
{
    struct batch *batch = intake_new_batch(intake, NULL, idle->count);
    if (!batch)
        return NULL;
    struct taking taking = {.intake = intake, .batch = batch};
    for (size_t i = 0; i < idle->count; i++) {
        uint32_t slot = find_idle(intake, frozen, &idle->sessions[i]);
        if (slot == SLOT_NONE)
            continue;
        struct spn_bytes name = {idle->sessions[i].name, idle->sessions[i].name_size};
        if (end_epoch(&taking, slot, name, idle->sessions[i].epoch, RECORD_EXPIRE) != SPN_OK)
            continue; /* the next walk finds it again */
        sessions_forget(&intake->state->sessions, slot);
    }
    metrics_add(&intake->metrics->sessions_expired, batch->entry_count);
    if (batch->entry_count > 0)
        return batch;
    batch_free(batch);
    return NULL;
}
