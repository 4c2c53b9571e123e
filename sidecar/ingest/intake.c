/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/intake.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

spn_err intake_init(struct intake *intake, const struct broker_options *options,
                    struct broker_state *state)
{
    *intake = (struct intake){
        .state = state,
        .clock = options->clock,
        .metrics = options->metrics,
        .secret = options->secret,
        .data_max = options->data_max,
    };
    intake->entries = calloc(WIRE_BATCH_EVENTS_MAX, sizeof(*intake->entries));
    intake->slots = calloc(WIRE_BATCH_EVENTS_MAX, sizeof(*intake->slots));
    intake->marks = calloc(INTAKE_MARKS, sizeof(*intake->marks));
    if (endings_init(&intake->endings) == SPN_OK && intake->entries && intake->slots &&
        intake->marks)
        return SPN_OK;
    intake_release(intake);
    return SPN_E_NOMEM;
}

void intake_release(struct intake *intake)
{
    endings_release(&intake->endings);
    free(intake->entries);
    free(intake->slots);
    free(intake->marks);
    intake->entries = NULL;
    intake->slots = NULL;
    intake->marks = NULL;
}

/* -- decode ------------------------------------------------------------------------------------ */

spn_err intake_decode(struct intake *intake, struct wire_in in)
{
    wire_get_batch(&in, &intake->head);
    size_t size = (size_t)(in.end - in.at); /* of the entries */
    struct spn_bytes session = {NULL, 0};
    for (uint32_t i = 0; !in.bad && i < intake->head.count; i++) {
        wire_get_entry(&in, session, &intake->entries[i]);
        session = intake->entries[i].session;
    }
    bool fits = size <= WIRE_BATCH_BYTES_MAX || intake->head.count == 1;
    return wire_in_done(&in) && fits ? SPN_OK : SPN_E_PROTOCOL;
}

bool intake_has_hole(const struct intake *intake, const struct producer *producer)
{
    return intake->head.first > producer->accepted + 1;
}

/* -- look up ----------------------------------------------------------------------------------- */

static bool same_bytes(struct spn_bytes a, struct spn_bytes b)
{
    return a.size == b.size && (a.data == b.data || memcmp(a.data, b.data, a.size) == 0);
}

static spn_err check_entry(const struct intake *intake, const struct wire_entry *entry)
{
    if (!wire_is_stored(entry->kind))
        return SPN_OK;
    bool needs_id = entry->kind == WIRE_EVENT;
    spn_err err = entry->id.size > 0 || !needs_id ? wire_check_id(entry->id) : SPN_E_BAD_ID;
    if (err == SPN_OK)
        err = wire_check_type(entry->type);
    return err == SPN_OK ? wire_check_data(entry->data, intake->data_max) : err;
}

/* Finds one entry's session; true: it is cold. */
static bool look_up_session(struct intake *intake, uint32_t i)
{
    struct sessions *sessions = &intake->state->sessions;
    struct spn_bytes name = intake->entries[i].session;
    intake->slots[i] = SLOT_NONE;
    enum sessions_found found =
        sessions_find(sessions, name, sessions_hash(sessions, name), &intake->slots[i]);
    if (found == SESSIONS_HOT)
        sessions->slots[intake->slots[i]].tracker->recent = true;
    return found == SESSIONS_COLD;
}

/* Each cold session of a batch is asked for once. A small table of marks that a new stamp clears; a
 * collision costs an ask too many. */
static bool first_of_slot(struct intake *intake, uint32_t slot)
{
    struct intake_mark *mark = &intake->marks[slot % INTAKE_MARKS];
    if (mark->stamp == intake->stamp && mark->slot == slot)
        return false;
    *mark = (struct intake_mark){.slot = slot, .stamp = intake->stamp};
    return true;
}

static void refuse_from(struct intake *intake, uint32_t i, spn_err why)
{
    intake->end = i;
    intake->refusal = why;
}

void intake_look_up(struct intake *intake, const struct producer *producer, uint32_t *cold,
                    uint32_t *ret_cold)
{
    const struct wire_batch *head = &intake->head;
    uint64_t had = producer->accepted + 1 - head->first;
    intake->begin = had < head->count ? (uint32_t)had : head->count;
    intake->end = head->count;
    intake->refusal = SPN_OK;
    intake->held = false;
    intake->stamp++;
    *ret_cold = 0;
    const struct wire_entry *before = NULL;
    uint32_t slot_before = SLOT_NONE;
    for (uint32_t i = intake->begin; i < intake->end; i++) {
        const struct wire_entry *entry = &intake->entries[i];
        if (entry->kind == WIRE_SKIP)
            continue;
        bool same = before && same_bytes(before->session, entry->session);
        spn_err err = same ? SPN_OK : wire_check_session(entry->session);
        if (err == SPN_OK)
            err = check_entry(intake, entry);
        if (err != SPN_OK)
            refuse_from(intake, i, err);
        else if (same)
            intake->slots[i] = slot_before;
        else if (look_up_session(intake, i) && first_of_slot(intake, intake->slots[i]))
            cold[(*ret_cold)++] = i;
        slot_before = intake->slots[i];
        before = entry;
    }
}

/* -- accept ------------------------------------------------------------------------------------ */

/* Where one batch is being put together. */
struct taking {
    struct intake *intake;
    struct producer *producer;
    struct batch *batch;
    const uint8_t *frame;
};

static void put_entry(struct taking *taking, const struct batch_entry *entry)
{
    struct broker_state *state = taking->intake->state;
    struct batch *batch = taking->batch;
    if (batch->entry_count == 0)
        batch->first_position = state->next_position;
    batch->entries[batch->entry_count++] = *entry;
    state->next_position++;
    state->active->bytes += RECORD_ENTRY_HEAD + RECORD_ENTRY_OVERHEAD + (size_t)entry->id_size +
                            entry->type_size + entry->data_size;
}

static uint32_t offset_of(const struct taking *taking, struct spn_bytes bytes)
{
    return (uint32_t)((const uint8_t *)bytes.data - taking->frame);
}

/* The first event or marker of a session opens it: an entry with its name, whose position is its
 * epoch. */
static void open_session(struct taking *taking, struct tracker *tracker, uint32_t slot,
                         struct spn_bytes name)
{
    struct broker_state *state = taking->intake->state;
    tracker->epoch = tracker->id_position = state->next_position;
    put_entry(taking, &(struct batch_entry){
                          .epoch = tracker->epoch,
                          .data_hash = record_hash(name),
                          .offset = offset_of(taking, name),
                          .data_size = (uint32_t)name.size,
                          .retry_ms = WIRE_RETRY_NONE,
                          .kind = RECORD_OPEN,
                      });
    generation_reach(state->active, tracker->epoch);
    generation_touch(state->active, &state->sessions.slots[slot], slot, tracker->epoch);
    metrics_add(&taking->intake->metrics->sessions_opened, 1);
}

/* An entry that says no more than what became of the session. */
static void put_end(struct taking *taking, uint32_t slot, uint64_t epoch, enum record_kind kind)
{
    struct broker_state *state = taking->intake->state;
    struct session *session = &state->sessions.slots[slot];
    const struct tracker *tracker = session->tracker;
    struct generation_session *touched = generation_touch(state->active, session, slot, epoch);
    generation_end(state->active, touched, state->next_position,
                   kind == RECORD_CLOSE ? RECORD_CLOSED : RECORD_DELETED);
    put_entry(taking, &(struct batch_entry){
                          .epoch = epoch,
                          .seq = tracker ? tracker->seq : 0,
                          .bytes = tracker ? tracker->bytes : 0,
                          .markers = tracker ? tracker->markers : 0,
                          .data_hash = record_hash((struct spn_bytes){NULL, 0}),
                          .retry_ms = WIRE_RETRY_NONE,
                          .kind = (uint8_t)kind,
                      });
}

/* Where a generation has it that the session was closed: the entry that ends it takes its place. */
static uint64_t closed_position(const struct generation *generation, const struct session *session,
                                uint32_t slot, uint64_t epoch)
{
    const struct generation_session *touched = generation_find(generation, session, slot);
    return touched && touched->epoch == epoch && touched->state == RECORD_CLOSED
               ? touched->state_position
               : 0;
}

/* Ends a life by a delete or an expiry: gone for what is decided from here on, there for readers
 * until that is on disk. SPN_E_NOMEM: nothing happened. */
static spn_err end_life(struct taking *taking, uint32_t slot, struct spn_bytes name, uint64_t epoch,
                        enum record_kind kind)
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

/* What an entry says of the id in force: its own, none, or that the one before it stays. */
static void note_id(struct tracker *tracker, const struct wire_entry *from, uint64_t position)
{
    bool stays = from->kind == WIRE_MARKER && from->id.size == 0;
    if (!stays)
        tracker->id_position = position;
}

static void store(struct taking *taking, const struct wire_entry *from, uint32_t slot,
                  struct fingerprint id)
{
    struct broker_state *state = taking->intake->state;
    struct tracker *tracker = state->sessions.slots[slot].tracker;
    if (tracker->epoch == 0)
        open_session(taking, tracker, slot, from->session);
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
    put_entry(taking,
              &(struct batch_entry){
                  .epoch = tracker->epoch,
                  .seq = tracker->seq,
                  .bytes = tracker->bytes,
                  .markers = tracker->markers,
                  .id_position = tracker->id_position != position ? tracker->id_position : 0,
                  .data_hash = record_hash(from->data),
                  .offset = offset_of(taking, from->id),
                  .data_size = (uint32_t)from->data.size,
                  .retry_ms = from->retry_ms,
                  .id_size = (uint16_t)from->id.size,
                  .type_size = (uint8_t)from->type.size,
                  .kind = marker ? RECORD_MARKER : RECORD_EVENT,
              });
    metrics_add(&taking->intake->metrics->bytes_accepted, from->data.size);
}

static spn_err note_repeat(struct taking *taking, uint64_t number, uint32_t slot,
                           enum tracker_verdict verdict)
{
    struct broker_state *state = taking->intake->state;
    bool conflict = verdict == TRACKER_CONFLICT;
    spn_err err =
        producer_note(taking->producer, number, conflict ? WIRE_CONFLICT : WIRE_DUPLICATE);
    if (err != SPN_OK)
        return err;
    struct tracker *tracker = state->sessions.slots[slot].tracker;
    struct generation_session *touched =
        generation_touch(state->active, &state->sessions.slots[slot], slot, tracker->epoch);
    uint32_t add = 1;
    if (conflict)
        touched->conflicts += add;
    else
        touched->duplicates += add;
    metrics_add(
        conflict ? &taking->intake->metrics->conflicts : &taking->intake->metrics->duplicates, 1);
    return SPN_OK;
}

/* An entry of a session that was not there when the batch came: it may be by now. */
static spn_err find_or_add(struct intake *intake, struct spn_bytes name, uint32_t *ret_slot)
{
    struct sessions *sessions = &intake->state->sessions;
    uint64_t hash = sessions_hash(sessions, name);
    if (sessions_find(sessions, name, hash, ret_slot) == SESSIONS_HOT)
        return SPN_OK;
    return sessions_add(sessions, name, hash, ret_slot);
}

/* An id that is empty says nothing about what came before. */
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

/* An event or a marker. */
static spn_err take_stored(struct taking *taking, uint32_t i, uint64_t number)
{
    struct intake *intake = taking->intake;
    const struct wire_entry *entry = &intake->entries[i];
    bool marker = entry->kind != WIRE_EVENT;
    uint32_t slot = intake->slots[i];
    spn_err err = SPN_OK;
    if (slot == SLOT_NONE)
        err = find_or_add(intake, entry->session, &slot);
    if (err != SPN_OK)
        return err;
    struct fingerprint id = fingerprint_of(entry->id, intake->secret);
    uint32_t tag =
        marker ? TRACKER_MARKER : fingerprint_tag(entry->data, entry->type, intake->secret);
    const struct tracker *tracker = intake->state->sessions.slots[slot].tracker;
    if (tracker->damaged)
        return SPN_E_CORRUPT;
    enum tracker_verdict verdict = check_id(tracker, entry, id, tag);
    if (verdict != TRACKER_NEW)
        return note_repeat(taking, number, slot, verdict);
    if (tracker->closed)
        return SPN_E_CLOSED;
    err = remember_id(intake, slot, entry, id, tag);
    if (err == SPN_OK)
        store(taking, entry, slot, id);
    return err;
}

/* The slot of the session that a close or a delete means. */
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

static spn_err take_close(struct taking *taking, uint32_t i, uint64_t number)
{
    uint32_t slot;
    spn_err err = find_meant(taking->intake, i, &slot);
    if (err != SPN_OK)
        return err;
    struct tracker *tracker = taking->intake->state->sessions.slots[slot].tracker;
    if (tracker->damaged)
        return SPN_E_CORRUPT;
    if (tracker->closed)
        return producer_note(taking->producer, number, WIRE_DUPLICATE);
    tracker->closed = true;
    put_end(taking, slot, tracker->epoch, RECORD_CLOSE);
    metrics_add(&taking->intake->metrics->sessions_closed, 1);
    return SPN_OK;
}

static spn_err take_delete(struct taking *taking, uint32_t i)
{
    uint32_t slot;
    spn_err err = find_meant(taking->intake, i, &slot);
    if (err != SPN_OK)
        return err;
    struct tracker *tracker = taking->intake->state->sessions.slots[slot].tracker;
    err = end_life(taking, slot, tracker_name(tracker), tracker->epoch, RECORD_DELETE);
    if (err != SPN_OK)
        return err;
    tracker_clear(tracker);
    tracker->epoch = tracker->seq = tracker->bytes = 0;
    tracker->markers = tracker->id_position = 0;
    tracker->closed = tracker->damaged = false;
    metrics_add(&taking->intake->metrics->sessions_deleted, 1);
    return SPN_OK;
}

static spn_err take_number(struct taking *taking, uint32_t i, uint64_t number)
{
    switch (taking->intake->entries[i].kind) {
    case WIRE_EVENT:
    case WIRE_MARKER:
    case WIRE_RESET:
        return take_stored(taking, i, number);
    case WIRE_CLOSE:
        return take_close(taking, i, number);
    case WIRE_DELETE:
        return take_delete(taking, i);
    default:
        return producer_note(taking->producer, number, WIRE_REFUSED_RESULT);
    }
}

/* What rests on the session's state. */
static bool is_refusal(spn_err err)
{
    return err == SPN_E_CLOSED || err == SPN_E_UNKNOWN_SESSION || err == SPN_E_OTHER_EPOCH ||
           err == SPN_E_CORRUPT;
}

static spn_err take_numbers(struct taking *taking)
{
    struct intake *intake = taking->intake;
    for (uint32_t i = intake->begin; i < intake->end; i++) {
        uint64_t number = intake->head.first + i;
        spn_err err = take_number(taking, i, number);
        if (is_refusal(err)) {
            refuse_from(intake, i, err);
            return SPN_OK;
        }
        if (err == SPN_E_TOO_MANY) {
            refuse_from(intake, i, SPN_OK);
            intake->held = true;
            return SPN_OK;
        }
        if (err != SPN_OK)
            return err;
        taking->producer->accepted = number;
        taking->batch->number_count++;
    }
    return SPN_OK;
}

/* -- batches ----------------------------------------------------------------------------------- */

/* producer: NULL for one without numbers. */
static struct batch *new_batch(struct intake *intake, struct producer *producer, size_t entries)
{
    struct batch *batch = malloc(sizeof(*batch) + entries * sizeof(batch->entries[0]));
    if (!batch)
        return NULL;
    *batch = (struct batch){
        .work.kind = WORK_BATCH,
        .bytes = sizeof(*batch) + entries * sizeof(batch->entries[0]),
        .producer = producer,
        .time_ns = clock_database_ns(intake->clock),
        .wall_ms = intake->clock->wall_ms(),
    };
    if (producer)
        memcpy(batch->producer_id, producer->id, sizeof(batch->producer_id));
    zmq_msg_init(&batch->frame);
    return batch;
}

/* What the producers' table will say once this batch is on disk. */
static spn_err write_record(struct batch *batch, const struct producer *producer)
{
    batch->record = (struct record_producer){
        .token = producer->token,
        .number = producer->accepted,
        .base = producer->base,
        .time_ns = batch->time_ns,
        .run_count = producer->run_count,
        .kept = producer->kept,
        .uid = producer->uid,
    };
    if (producer->run_count == 0)
        return SPN_OK;
    size_t size = producer->run_count * sizeof(*producer->runs);
    struct record_run *runs = malloc(size);
    if (!runs)
        return SPN_E_NOMEM;
    memcpy(runs, producer->runs, size);
    batch->record.runs = runs;
    batch->bytes += size;
    return SPN_OK;
}

spn_err intake_accept(struct intake *intake, struct producer *producer, zmq_msg_t *frame,
                      struct batch **ret_batch)
{
    assert(producer);
    *ret_batch = NULL;
    if (intake->begin == intake->end && intake->refusal == SPN_OK)
        return SPN_OK;
    /* Each event may open its session: two entries. */
    struct batch *batch = new_batch(intake, producer, 2 * (size_t)(intake->end - intake->begin));
    if (!batch)
        return SPN_E_NOMEM;
    batch->bytes += zmq_msg_size(frame);
    struct taking taking = {intake, producer, batch, zmq_msg_data(frame)};
    spn_err err = take_numbers(&taking);
    if (intake->held && batch->number_count == 0) {
        intake_free_batch(batch);
        return SPN_OK;
    }
    if (err == SPN_OK && intake->refusal != SPN_OK)
        batch->refused = (struct wire_refused){.token = producer->token,
                                               .number = intake->head.first + intake->end,
                                               .round = intake->head.round,
                                               .code = (uint32_t)intake->refusal};
    batch->waits =
        intake->head.level == WIRE_DURABLE || batch->refused.code != SPN_OK || !producer->on_disk;
    spn_err record_err = write_record(batch, producer);
    /* Taken is taken: without memory for its record the daemon cannot keep its word. */
    if (record_err != SPN_OK)
        abort();
    if (!intake->held)
        zmq_msg_move(&batch->frame, frame);
    else if (zmq_msg_copy(&batch->frame, frame) != 0)
        abort(); /* it fails for what is no message only */
    metrics_add(&intake->metrics->events_accepted, batch->number_count);
    *ret_batch = batch;
    return err;
}

struct batch *intake_record_batch(struct intake *intake, struct producer *producer)
{
    struct batch *batch = new_batch(intake, producer, 0);
    if (!batch)
        return NULL;
    batch->waits = true;
    if (write_record(batch, producer) == SPN_OK)
        return batch;
    intake_free_batch(batch);
    return NULL;
}

struct batch *intake_forget_batch(struct intake *intake, const struct producer *producer)
{
    struct batch *batch = new_batch(intake, NULL, 0);
    if (!batch)
        return NULL;
    batch->forgets = true;
    batch->ends = true;
    memcpy(batch->producer_id, producer->id, sizeof(batch->producer_id));
    return batch;
}

/* -- expiry ------------------------------------------------------------------------------------ */

/* The slot of an idle session that has not been touched since; SLOT_NONE: it is not that one. */
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
    struct batch *batch = new_batch(intake, NULL, idle->count);
    if (!batch)
        return NULL;
    struct taking taking = {.intake = intake, .batch = batch};
    for (size_t i = 0; i < idle->count; i++) {
        uint32_t slot = find_idle(intake, frozen, &idle->sessions[i]);
        if (slot == SLOT_NONE)
            continue;
        struct spn_bytes name = {idle->sessions[i].name, idle->sessions[i].name_size};
        if (end_life(&taking, slot, name, idle->sessions[i].epoch, RECORD_EXPIRE) != SPN_OK)
            continue; /* found again */
        sessions_forget(&intake->state->sessions, slot);
    }
    metrics_add(&intake->metrics->sessions_expired, batch->entry_count);
    if (batch->entry_count > 0)
        return batch;
    intake_free_batch(batch);
    return NULL;
}

void intake_free_batch(struct batch *batch)
{
    if (!batch)
        return;
    zmq_msg_close(&batch->frame);
    free((void *)(uintptr_t)batch->record.runs);
    free(batch);
}
