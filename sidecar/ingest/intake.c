/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/intake.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "index/attributes.h"
#include "ingest/intake_base.h"

spn_err intake_init(struct intake *intake, const struct broker_options *options,
                    struct broker_state *state)
{
    *intake = (struct intake){
        .state = state,
        .clock = options->clock,
        .metrics = options->metrics,
        .random = options->random,
        .secret = options->secret,
        .data_max = options->data_max,
    };
    intake->entries = calloc(WIRE_BATCH_EVENTS_MAX, sizeof(*intake->entries));
    intake->hashes = calloc(WIRE_BATCH_EVENTS_MAX, sizeof(*intake->hashes));
    intake->slots = calloc(WIRE_BATCH_EVENTS_MAX, sizeof(*intake->slots));
    intake->refusals = calloc(WIRE_BATCH_EVENTS_MAX, sizeof(*intake->refusals));
    intake->cold = calloc(WIRE_BATCH_EVENTS_MAX, sizeof(*intake->cold));
    intake->marks = calloc(INTAKE_MARKS, sizeof(*intake->marks));
    intake->lives = calloc(WIRE_BATCH_EVENTS_MAX, sizeof(*intake->lives));
    if (endings_init(&intake->endings) == SPN_OK && intake->entries && intake->hashes &&
        intake->slots && intake->refusals && intake->cold && intake->marks && intake->lives)
        return SPN_OK;
    intake_release(intake);
    return SPN_E_NOMEM;
}

void intake_release(struct intake *intake)
{
    endings_release(&intake->endings);
    free(intake->entries);
    free(intake->hashes);
    free(intake->slots);
    free(intake->refusals);
    free(intake->cold);
    free(intake->marks);
    free(intake->lives);
    free(intake->spare_runs);
    intake->spare_runs = NULL;
    free(intake->nobody.runs);
    intake->nobody = (struct producer){0};
    intake->entries = NULL;
    intake->hashes = NULL;
    intake->slots = NULL;
    intake->refusals = NULL;
    intake->cold = NULL;
    intake->marks = NULL;
    intake->lives = NULL;
}

/* -- decode ------------------------------------------------------------------------------------ */

static bool depends_on_later(const struct wire_entry *entry, uint64_t number)
{
    return (entry->flags & WIRE_FLAG_DEPENDS) != 0 &&
           (entry->depends == 0 || entry->depends >= number);
}

spn_err intake_decode(struct intake *intake, struct wire_in in)
{
    wire_get_batch(&in, &intake->head);
    size_t size = (size_t)(in.end - in.at); /* of the entries */
    struct spn_bytes session = {NULL, 0};
    for (uint32_t i = 0; !in.bad && i < intake->head.count; i++) {
        wire_get_entry(&in, session, &intake->entries[i]);
        session = intake->entries[i].session;
        in.bad |= depends_on_later(&intake->entries[i], intake->head.first + i);
    }
    bool fits = size <= WIRE_BATCH_BYTES_MAX || intake->head.count == 1;
    return wire_in_done(&in) && fits ? SPN_OK : SPN_E_PROTOCOL;
}

/* -- look up ----------------------------------------------------------------------------------- */

static bool same_bytes(struct spn_bytes a, struct spn_bytes b)
{
    return a.size == b.size && (a.data == b.data || memcmp(a.data, b.data, a.size) == 0);
}

/* What only flags give an entry. */
static spn_err check_extra(const struct wire_entry *entry)
{
    spn_err err = wire_check_reason(entry->reason);
    return err == SPN_OK ? wire_check_note(entry->note) : err;
}

static spn_err check_entry(const struct intake *intake, const struct wire_entry *entry)
{
    struct wire_attributes attributes;
    spn_err err = entry->flags != 0 ? check_extra(entry) : SPN_OK;
    if (err == SPN_OK && entry->kind == WIRE_ATTRIBUTES)
        err = attributes_get(entry->data, &attributes);
    if (err != SPN_OK || !wire_is_stored(entry->kind))
        return err;
    bool needs_id = entry->kind == WIRE_EVENT;
    err = entry->id.size > 0 || !needs_id ? wire_check_id(entry->id) : SPN_E_BAD_ID;
    if (err == SPN_OK)
        err = wire_check_type(entry->type);
    return err == SPN_OK ? wire_check_data(entry->data, intake->data_max) : err;
}

/* Finds one entry's session. The name of a hot session was checked when it came first. */
static spn_err look_up_session(struct intake *intake, uint32_t i, bool *ret_cold)
{
    struct sessions *sessions = &intake->state->sessions;
    struct spn_bytes name = intake->entries[i].session;
    intake->hashes[i] = sessions_hash(sessions, name);
    intake->slots[i] = SLOT_NONE;
    enum sessions_found found = sessions_find(sessions, name, intake->hashes[i], &intake->slots[i]);
    *ret_cold = found == SESSIONS_COLD;
    if (found != SESSIONS_HOT)
        return wire_check_session(name);
    struct tracker *tracker = sessions->slots[intake->slots[i]].tracker;
    tracker->recent = true;
    tracker_expect(tracker);
    return SPN_OK;
}

/* Each cold session of a batch is requested once. A small table of marks, which a new stamp clears,
 * has the ones requested; a collision costs one request too many. */
static bool first_of_slot(struct intake *intake, uint32_t slot)
{
    struct intake_mark *mark = &intake->marks[slot % INTAKE_MARKS];
    if (mark->stamp == intake->stamp && mark->slot == slot)
        return false;
    *mark = (struct intake_mark){.slot = slot, .stamp = intake->stamp};
    return true;
}

static void look_up(struct intake *intake, const struct producer *producer)
{
    const struct wire_batch *head = &intake->head;
    uint64_t had = producer->accepted + 1 - head->first;
    intake->begin = had < head->count ? (uint32_t)had : head->count;
    intake->end = head->count;
    intake->held = false;
    intake->stamp++;
    intake->cold_count = 0;
    const struct wire_entry *before = NULL;
    bool is_cold = false;
    spn_err session_err = SPN_OK;
    for (uint32_t i = intake->begin; i < intake->end; i++) {
        const struct wire_entry *entry = &intake->entries[i];
        bool same = before && same_bytes(before->session, entry->session);
        if (same) {
            intake->hashes[i] = intake->hashes[i - 1];
            intake->slots[i] = intake->slots[i - 1];
        } else {
            session_err = look_up_session(intake, i, &is_cold);
        }
        spn_err err = session_err == SPN_OK ? check_entry(intake, entry) : session_err;
        if (err == SPN_OK && is_cold && first_of_slot(intake, intake->slots[i]))
            intake->cold[intake->cold_count++] = i;
        intake->refusals[i] = err;
        before = entry;
    }
}

/* Marks the sessions of this batch that are in memory as wanted, or clears the mark. */
static void want_sessions(struct intake *intake, bool wanted)
{
    struct session *sessions = intake->state->sessions.slots;
    for (uint32_t i = intake->begin; i < intake->end; i++) {
        uint32_t slot = intake->slots[i];
        if (slot != SLOT_NONE && sessions[slot].tracker)
            sessions[slot].tracker->wanted = wanted;
    }
}

/* -- take -------------------------------------------------------------------------------------- */

/* Notes which id is in force after an entry: its own, none, or still the one before. */
static void note_id(struct tracker *tracker, const struct wire_entry *from, uint64_t position)
{
    bool stays = from->kind == WIRE_MARKER && from->id.size == 0;
    if (!stays)
        tracker->id_position = position;
}

/* Where the extra bytes begin in the frame. */
static const uint8_t *extra_of(const struct wire_entry *entry)
{
    return (const uint8_t *)entry->type.data + entry->type.size;
}

/* Adds what an entry has in its extra bytes. Few entries have some. */
static void note_extra(const struct taking *taking, const struct wire_entry *from,
                       struct batch_entry *entry)
{
    entry->extra_size = (uint16_t)((const uint8_t *)from->data.data - extra_of(from));
    entry->closes = (from->flags & WIRE_FLAG_CLOSES) != 0;
    if (entry->closes) {
        entry->reason_at = (uint8_t)((const uint8_t *)from->reason.data - extra_of(from));
        entry->reason_size = (uint8_t)from->reason.size;
    }
    entry->note_size = (uint16_t)from->note.size;
    taking->intake->state->active->bytes += (size_t)entry->reason_size + entry->note_size;
}

/* An event that closes its session is one entry of the log: nobody sees the one without the other.
 */
static void close_with(const struct taking *taking, struct tracker *tracker,
                       struct generation_session *touched, uint64_t position)
{
    tracker->closed = true;
    generation_note_state(touched, position, RECORD_CLOSED);
    metrics_add(&taking->intake->metrics->sessions_closed, 1);
}

static void store(struct taking *taking, const struct wire_entry *from, uint32_t slot,
                  struct fingerprint id)
{
    struct broker_state *state = taking->intake->state;
    struct tracker *tracker = state->sessions.slots[slot].tracker;
    if (tracker->epoch == 0)
        intake_open_session(taking, tracker, slot, from->session);
    bool marker = from->kind != WIRE_EVENT;
    uint64_t position = state->next_position;
    tracker->seq++;
    tracker->bytes += from->data.size;
    tracker->markers += marker;
    note_id(tracker, from, position);
    struct generation_session *touched =
        generation_touch(state->active, &state->sessions.slots[slot], slot, tracker->epoch);
    touched->bytes = tracker->bytes;
    generation_append(state->active, touched, position, tracker->seq, (uint32_t)id.low);
    bool closes = (from->flags & WIRE_FLAG_CLOSES) != 0;
    intake_note_event(taking, slot, tracker, closes);
    if (closes)
        close_with(taking, tracker, touched, position);
    const struct batch_entry entry = {
        .epoch = tracker->epoch,
        .seq = tracker->seq,
        .bytes = tracker->bytes,
        .markers = tracker->markers,
        .id_position = tracker->id_position != position ? tracker->id_position : 0,
        .data_hash = record_hash(from->data),
        .offset = intake_offset_of(taking, from->id),
        .data_size = (uint32_t)from->data.size,
        .retry_ms = from->retry_ms,
        .id_size = (uint16_t)from->id.size,
        .type_size = (uint8_t)from->type.size,
        .kind = marker ? RECORD_MARKER : RECORD_EVENT,
    };
    struct batch_entry *put = intake_put_entry(taking, &entry);
    if (from->flags != 0)
        note_extra(taking, from, put);
    metrics_add(&taking->intake->metrics->bytes_accepted, from->data.size);
}

static spn_err note_repeat(struct taking *taking, uint64_t number, uint32_t slot,
                           enum tracker_verdict verdict)
{
    struct broker_state *state = taking->intake->state;
    bool conflict = verdict == TRACKER_CONFLICT;
    spn_err err =
        producer_note(taking->producer, number, conflict ? WIRE_CONFLICT : WIRE_DUPLICATE, SPN_OK);
    if (err != SPN_OK)
        return err;
    struct tracker *tracker = state->sessions.slots[slot].tracker;
    struct generation_session *touched =
        generation_touch(state->active, &state->sessions.slots[slot], slot, tracker->epoch);
    if (conflict)
        touched->conflicts++;
    else
        touched->duplicates++;
    metrics_add(
        conflict ? &taking->intake->metrics->conflicts : &taking->intake->metrics->duplicates, 1);
    return SPN_OK;
}

/* An empty id says nothing about earlier entries. */
static enum tracker_verdict check_id(const struct tracker *tracker, const struct wire_entry *entry,
                                     struct fingerprint id, uint32_t tag)
{
    return entry->id.size > 0 ? tracker_check(tracker, id, tag) : TRACKER_NEW;
}

static spn_err remember_id(struct intake *intake, uint32_t slot, const struct wire_entry *entry,
                           struct fingerprint id, uint32_t tag)
{
    return entry->id.size > 0 ? sessions_remember(&intake->state->sessions, slot, id, tag) : SPN_OK;
}

/* The tag of an event has whether it closes, and why. */
static uint32_t tag_of(const struct intake *intake, const struct wire_entry *entry)
{
    if (entry->kind != WIRE_EVENT)
        return TRACKER_MARKER;
    uint32_t tag = fingerprint_tag(entry->data, entry->type, intake->secret);
    return (entry->flags & WIRE_FLAG_CLOSES) != 0
               ? fingerprint_closing(tag, entry->reason, intake->secret)
               : tag;
}

/* Takes an event or a marker. Its id is looked up first: what is known is a duplicate or a conflict
 * whatever its conditions are. */
static spn_err take_stored(struct taking *taking, uint32_t i, uint64_t number)
{
    struct intake *intake = taking->intake;
    const struct wire_entry *entry = &intake->entries[i];
    uint32_t slot = intake_find(intake, i);
    const struct tracker *tracker = intake_tracker(intake, slot);
    if (tracker && tracker->damaged)
        return SPN_E_CORRUPT;
    struct fingerprint id = fingerprint_of(entry->id, intake->secret);
    uint32_t tag = tag_of(intake, entry);
    enum tracker_verdict verdict = tracker ? check_id(tracker, entry, id, tag) : TRACKER_NEW;
    if (verdict != TRACKER_NEW)
        return note_repeat(taking, number, slot, verdict);
    spn_err err = intake_check_conditions(taking, entry, tracker);
    if (err == SPN_OK && tracker && tracker->closed)
        err = SPN_E_CLOSED;
    if (err == SPN_OK)
        err = intake_make_slot(intake, i, &slot);
    if (err == SPN_OK)
        err = remember_id(intake, slot, entry, id, tag);
    if (err == SPN_OK)
        store(taking, entry, slot, id);
    return err;
}

static spn_err take_entry(struct taking *taking, uint32_t i, uint64_t number)
{
    switch (taking->intake->entries[i].kind) {
    case WIRE_CLOSE:
        return intake_take_close(taking, i, number);
    case WIRE_DELETE:
        return intake_take_delete(taking, i);
    case WIRE_TOUCH:
        return intake_take_touch(taking, i);
    case WIRE_ATTRIBUTES:
        return intake_take_attributes(taking, i);
    default:
        return take_stored(taking, i, number);
    }
}

/* Whether the error comes from the session's state. */
static bool is_of_state(spn_err err)
{
    return err == SPN_E_CLOSED || err == SPN_E_UNKNOWN_SESSION || err == SPN_E_OTHER_LIFE ||
           err == SPN_E_CORRUPT || err == SPN_E_CONDITION || err == SPN_E_DEPENDENT;
}

static void count_refusal(struct metrics *metrics, spn_err why)
{
    metrics_add(why == SPN_E_CLOSED            ? &metrics->refused_closed
                : why == SPN_E_UNKNOWN_SESSION ? &metrics->refused_unknown_session
                : why == SPN_E_OTHER_LIFE      ? &metrics->refused_other_epoch
                : why == SPN_E_CONDITION       ? &metrics->refused_condition
                : why == SPN_E_DEPENDENT       ? &metrics->refused_dependent
                : why == SPN_E_CORRUPT         ? &metrics->refused_damaged
                                               : &metrics->refused_contents,
                1);
}

static spn_err refuse(struct taking *taking, uint64_t number, spn_err why)
{
    spn_err err = producer_note(taking->producer, number, WIRE_REFUSED, why);
    if (err != SPN_OK)
        return err;
    taking->waits = true;
    count_refusal(taking->intake->metrics, why);
    return SPN_OK;
}

static spn_err take_number(struct taking *taking, uint32_t i, uint64_t number)
{
    spn_err why = taking->intake->refusals[i];
    if (why != SPN_OK)
        return refuse(taking, number, why);
    spn_err err = take_entry(taking, i, number);
    return is_of_state(err) ? refuse(taking, number, err) : err;
}

static spn_err take_numbers(struct taking *taking)
{
    struct intake *intake = taking->intake;
    for (uint32_t i = intake->begin; i < intake->end; i++) {
        uint64_t number = intake->head.first + i;
        spn_err err = take_number(taking, i, number);
        if (err != SPN_OK) {
            intake->end = i;
            return err;
        }
        taking->producer->accepted = number;
        taking->batch->number_count++;
        if (intake_is_decisive(&intake->entries[i])) {
            producer_withhold(taking->producer, number);
            taking->waits = true;
        }
    }
    return SPN_OK;
}

/* -- batches ----------------------------------------------------------------------------------- */

/* Numbers that are taken must be written with their record. So the memory for it is there before
 * the first is taken. */
static bool has_spare_runs(struct intake *intake)
{
    if (!intake->spare_runs)
        intake->spare_runs = malloc(RECORD_RUNS_MAX * sizeof(*intake->spare_runs));
    return intake->spare_runs != NULL;
}

/* Takes the numbers begin .. end. Returns NULL: nothing is new, or nothing could be taken. */
static struct batch *accept(struct intake *intake, struct producer *producer, zmq_msg_t *frame)
{
    if (intake->begin == intake->end)
        return NULL;
    /* Each event may open its session: two entries each. */
    struct batch *batch =
        intake_new_batch(intake, producer, 2 * (size_t)(intake->end - intake->begin));
    if (!batch || !has_spare_runs(intake) ||
        intake_draw_lives(intake, intake->end - intake->begin) != SPN_OK) {
        batch_free(batch);
        return NULL;
    }
    batch->bytes += zmq_msg_size(frame);
    struct taking taking = {
        .intake = intake, .producer = producer, .batch = batch, .frame = zmq_msg_data(frame)};
    intake->held = take_numbers(&taking) == SPN_E_TOO_MANY;
    if (batch->number_count == 0) {
        batch_free(batch);
        return NULL;
    }
    batch->waits = intake->head.level == WIRE_DURABLE || taking.waits || !producer->on_disk;
    spn_err record_err = intake_write_record(batch, producer, &intake->spare_runs);
    assert(record_err == SPN_OK);
    (void)record_err;
    int copied =
        intake->held ? zmq_msg_copy(&batch->frame, frame) : zmq_msg_move(&batch->frame, frame);
    assert(copied == 0); /* they fail only for an invalid message */
    (void)copied;
    metrics_add(&intake->metrics->events_accepted, batch->number_count);
    return batch;
}

enum intake_taken intake_take(struct intake *intake, struct producer *producer, zmq_msg_t *frame,
                              bool parked, struct batch **ret_batch)
{
    *ret_batch = NULL;
    if (intake->head.first > producer->accepted + 1)
        return INTAKE_HOLE;
    look_up(intake, producer);
    bool cold = intake->cold_count > 0;
    if (cold || parked)
        want_sessions(intake, cold);
    if (cold)
        return INTAKE_COLD;
    *ret_batch = accept(intake, producer, frame);
    return INTAKE_TAKEN;
}

/* -- an entry without a producer --------------------------------------------------------------- */

void intake_set_one(struct intake *intake, const struct wire_publish *publish)
{
    intake->head = (struct wire_batch){.first = 1, .base = 1, .count = 1, .level = publish->level};
    intake->entries[0] = publish->entry;
}

/* Where its session stands; nothing: there is none. */
static void note_session(const struct intake *intake, struct wire_published *answer)
{
    const struct tracker *tracker = intake_tracker(intake, intake_find(intake, 0));
    if (!tracker)
        return;
    answer->life = tracker->life;
    answer->seq = tracker->seq;
    answer->state = tracker->damaged  ? WIRE_SESSION_DAMAGED
                    : tracker->closed ? WIRE_SESSION_CLOSED
                                      : WIRE_LIVE;
}

static void note_result(struct intake *intake, const struct batch *batch,
                        struct wire_published *answer)
{
    const struct producer *nobody = &intake->nobody;
    const struct record_run *run = nobody->run_count > 0 ? &nobody->runs[0] : NULL;
    bool deletes = intake->entries[0].kind == WIRE_DELETE;
    answer->result = run ? run->result : WIRE_STORED;
    answer->code = run ? run->code : SPN_OK;
    if (answer->result != WIRE_STORED || !deletes)
        note_session(intake, answer); /* a session that was deleted is gone by now */
    if (answer->result == WIRE_STORED && batch->entry_count > 0)
        answer->position = batch->first_position + batch->entry_count - 1;
    else if (answer->result != WIRE_REFUSED && wire_is_stored(intake->entries[0].kind))
        answer->seq = 0; /* of the entry with this id, which is looked for */
}

enum intake_taken intake_take_one(struct intake *intake, zmq_msg_t *frame, bool parked,
                                  struct wire_published *ret_answer, struct batch **ret_batch)
{
    struct producer *nobody = &intake->nobody;
    struct wire_published answer = {.result = WIRE_STORED};
    nobody->accepted = 0;
    nobody->run_count = 0;
    look_up(intake, nobody);
    bool cold = intake->cold_count > 0;
    if (cold || parked)
        want_sessions(intake, cold);
    if (cold)
        return INTAKE_COLD;
    struct batch *batch = intake_new_batch(intake, NULL, 2);
    if (!batch || intake_draw_lives(intake, 1) != SPN_OK) {
        batch_free(batch);
        return INTAKE_HOLE;
    }
    note_session(intake, &answer);
    struct taking taking = {
        .intake = intake, .producer = nobody, .batch = batch, .frame = zmq_msg_data(frame)};
    if (take_number(&taking, 0, 1) != SPN_OK) {
        batch_free(batch);
        return INTAKE_HOLE;
    }
    batch->bytes += zmq_msg_size(frame);
    batch->number_count = 1;
    note_result(intake, batch, &answer);
    int moved = zmq_msg_move(&batch->frame, frame);
    assert(moved == 0); /* it fails only for an invalid message */
    (void)moved;
    metrics_add(&intake->metrics->events_accepted, 1);
    *ret_answer = answer;
    *ret_batch = batch;
    return INTAKE_TAKEN;
}
