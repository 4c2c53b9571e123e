/* SPDX-License-Identifier: Apache-2.0 */
#include "index/segment.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "index/attributes.h"

enum {
    EVENTS_AT_A_TIME = 1024, /* of a session */
    SESSION_WORK = 4,        /* see base/step.h */
    EVENTS_PER_WORK = 16,
};

struct name {
    uint64_t epoch;
    const uint8_t *bytes;
    uint8_t size;
};

/* All that a step changes, so that an aborted transaction is undone by one assignment. */
struct progress {
    enum { GATHER, NAMES, SESSIONS, META, BURY, DONE } phase;
    uint32_t next;    /* in the phase's array */
    uint32_t written; /* events of the next session whose blocks are written already */
    uint64_t rows;
    uint64_t entries;
};

struct segment {
    const struct generation *generation;
    uint32_t number;
    struct progress now;
    struct progress committed;
    uint32_t *order; /* the generation's sessions by epoch */

    struct name *names; /* of sessions opened in the generation */
    uint32_t name_count;
    uint32_t name_room;

    struct record_block_item items[EVENTS_AT_A_TIME]; /* of one session */
};

struct keyed {
    uint64_t epoch;
    uint32_t place;
};

static int by_epoch(const void *a, const void *b)
{
    const struct keyed *left = a;
    const struct keyed *right = b;
    return (left->epoch > right->epoch) - (left->epoch < right->epoch);
}

static int by_name(const void *a, const void *b)
{
    const struct name *left = a;
    const struct name *right = b;
    size_t shorter = left->size < right->size ? left->size : right->size;
    int order = memcmp(left->bytes, right->bytes, shorter);
    return order != 0 ? order : (int)left->size - (int)right->size;
}

static spn_err sort_sessions(struct segment *segment)
{
    uint32_t count = segment->generation->session_count;
    struct keyed *keyed = malloc((count + 1) * sizeof(*keyed));
    segment->order = malloc((count + 1) * sizeof(*segment->order));
    if (!keyed || !segment->order) {
        free(keyed);
        return SPN_E_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++)
        keyed[i] = (struct keyed){.epoch = segment->generation->sessions[i].epoch, .place = i};
    qsort(keyed, count, sizeof(*keyed), by_epoch);
    for (uint32_t i = 0; i < count; i++)
        segment->order[i] = keyed[i].place;
    free(keyed);
    return SPN_OK;
}

spn_err segment_new(struct segment **ret_segment, const struct generation *generation,
                    uint32_t number)
{
    struct segment *segment = calloc(1, sizeof(*segment));
    if (!segment)
        return SPN_E_NOMEM;
    segment->generation = generation;
    segment->number = number;
    spn_err err = sort_sessions(segment);
    if (err != SPN_OK) {
        segment_free(segment);
        return err;
    }
    *ret_segment = segment;
    return SPN_OK;
}

static void free_names(struct segment *segment)
{
    for (uint32_t i = 0; i < segment->name_count; i++)
        free((void *)(uintptr_t)segment->names[i].bytes);
    free(segment->names);
    segment->names = NULL;
    segment->name_count = 0;
}

void segment_free(struct segment *segment)
{
    if (!segment)
        return;
    free_names(segment);
    free(segment->order);
    free(segment);
}

/* -- names ------------------------------------------------------------------------------------- */

static spn_err keep_name(struct segment *segment, uint64_t epoch, struct spn_bytes name)
{
    if (segment->name_count == segment->name_room) {
        uint32_t room = segment->name_room > 0 ? segment->name_room * 2 : 64;
        struct name *names = realloc(segment->names, room * sizeof(*names));
        if (!names)
            return SPN_E_NOMEM;
        segment->names = names;
        segment->name_room = room;
    }
    uint8_t *bytes = malloc(name.size + 1);
    if (!bytes)
        return SPN_E_NOMEM;
    memcpy(bytes, name.data, name.size);
    segment->names[segment->name_count++] =
        (struct name){.epoch = epoch, .bytes = bytes, .size = (uint8_t)name.size};
    return SPN_OK;
}

static bool is_opened_here(const struct generation *generation, uint64_t epoch)
{
    return generation->first_position > 0 && epoch >= generation->first_position;
}

static const struct generation_session *session_at(const struct segment *segment, uint32_t place)
{
    return &segment->generation->sessions[segment->order[place]];
}

static bool is_dead(const struct segment *segment, uint32_t place)
{
    return session_at(segment, place)->state == RECORD_DELETED;
}

/* Reads the name of the next session from its entry, if it was opened in this generation. This
 * changes nothing on disk: a name stays gathered even if the transaction is aborted. */
static spn_err gather_next(struct segment *segment, struct journal *journal)
{
    const struct generation *generation = segment->generation;
    uint64_t epoch = session_at(segment, segment->now.next)->epoch;
    if (!is_opened_here(generation, epoch) || is_dead(segment, segment->now.next)) {
        segment->now.next++;
        return SPN_OK;
    }
    struct record_entry open;
    spn_err err = journal_get_entry(journal, epoch, &open);
    if (err == SPN_OK && open.data.size > WIRE_SESSION_MAX)
        err = SPN_E_CORRUPT;
    if (err == SPN_OK)
        err = keep_name(segment, epoch, open.data);
    if (err == SPN_OK)
        segment->now.next++;
    return err == SPN_E_END ? SPN_E_CORRUPT : err;
}

static spn_err write_next_name(struct segment *segment, struct journal *journal)
{
    const struct name *name = &segment->names[segment->now.next++];
    return journal_put_name(journal, (struct spn_bytes){name->bytes, name->size}, name->epoch);
}

/* -- sessions ---------------------------------------------------------------------------------- */

/* The session's next events here, in order. Returns how many. */
static size_t fill_items(struct segment *segment, const struct generation_session *touched)
{
    const struct generation *generation = segment->generation;
    uint32_t from = segment->now.written;
    uint32_t left = touched->count - from;
    uint32_t count = left < EVENTS_AT_A_TIME ? left : EVENTS_AT_A_TIME;
    uint32_t place = generation_seek(generation, touched->newest, touched->mark, touched->count,
                                     from + count - 1);
    for (size_t i = count; i > 0; i--) {
        const struct generation_entry *entry = &generation->entries[place];
        segment->items[i - 1] = (struct record_block_item){.position = entry->position,
                                                           .fingerprint = entry->fingerprint};
        place = entry->previous;
    }
    assert(from > 0 || place == GENERATION_NONE);
    return count;
}

/* A copy of a row's bytes: writing moves the pages that they were read from. */
struct row_bytes {
    uint8_t name[WIRE_SESSION_MAX];
    uint8_t reason[WIRE_REASON_MAX];
    uint8_t last_id[WIRE_ID_MAX];
};

static spn_err hold(struct spn_bytes *bytes, uint8_t *memory, size_t size_max)
{
    if (bytes->size > size_max)
        return SPN_E_CORRUPT;
    if (bytes->size > 0)
        memcpy(memory, bytes->data, bytes->size);
    bytes->data = memory;
    return SPN_OK;
}

/* The row has the time of the newest entry by both clocks, to be read as one moment. */
static void note_activity(struct record_row *row, const struct record_entry *entry)
{
    if (entry->time_ns < row->activity_ns)
        return;
    row->activity_ns = entry->time_ns;
    row->activity_ms = entry->wall_ms;
}

/* The row on disk, or the first row of a session that was opened in this generation. */
static spn_err begin_row(struct journal *journal, uint64_t epoch, struct record_row *row,
                         struct row_bytes *bytes)
{
    spn_err err = journal_get_row(journal, epoch, row);
    if (err == SPN_E_END) {
        struct record_entry open;
        err = journal_get_entry(journal, epoch, &open);
        if (err == SPN_OK)
            *row = (struct record_row){
                .life = open.life,
                .seq = open.seq,
                .seq_before = open.seq,
                .position = epoch,
                .opened_ms = open.wall_ms,
                .last_ms = open.wall_ms,
                .activity_ns = open.time_ns,
                .activity_ms = open.wall_ms,
                .name = open.data,
            };
    }
    if (err == SPN_OK)
        err = hold(&row->name, bytes->name, sizeof(bytes->name));
    if (err == SPN_OK)
        err = hold(&row->last_id, bytes->last_id, sizeof(bytes->last_id));
    if (err == SPN_OK)
        err = hold(&row->reason, bytes->reason, sizeof(bytes->reason));
    return err == SPN_E_END ? SPN_E_CORRUPT : err;
}

/* The id in force after the newest entry. An entry that leaves the id as it was names the position
 * of that id. If that position is before this segment, the row already has the id. */
static spn_err advance_last_id(struct journal *journal, uint64_t row_position,
                               const struct record_entry *newest, struct record_row *row,
                               struct row_bytes *bytes)
{
    struct record_entry entry = *newest;
    if (newest->id_position > 0 && newest->id_position <= row_position)
        return SPN_OK;
    spn_err err = SPN_OK;
    if (newest->id_position > 0)
        err = journal_get_entry(journal, newest->id_position, &entry);
    if (err != SPN_OK)
        return err == SPN_E_END ? SPN_E_CORRUPT : err;
    row->last_id = entry.id;
    return hold(&row->last_id, bytes->last_id, sizeof(bytes->last_id));
}

/* The segment before this one that has blocks of the session. A row left by an interrupted attempt
 * at this very segment already names this one. */
static uint32_t segment_before(const struct segment *segment, const struct record_row *row)
{
    return row->segment != segment->number ? row->segment : row->segment_before;
}

/* Takes over what the newest entry with a seq says. */
static spn_err advance_row(struct segment *segment, struct journal *journal,
                           const struct generation_session *touched, struct record_row *row,
                           struct row_bytes *bytes)
{
    struct record_entry newest;
    uint64_t position_before = row->position;
    row->position = segment->generation->entries[touched->newest].position;
    spn_err err = journal_get_entry(journal, row->position, &newest);
    if (err != SPN_OK)
        return err == SPN_E_END ? SPN_E_CORRUPT : err;
    row->seq = newest.seq;
    row->bytes = newest.bytes;
    row->markers = newest.markers;
    row->last_ms = newest.wall_ms;
    note_activity(row, &newest);
    row->segment_before = segment_before(segment, row);
    row->segment = segment->number;
    return advance_last_id(journal, position_before, &newest, row, bytes);
}

/* Takes over what the entry that closed or deleted the session says. Closing counts as activity, so
 * a closed session lives as long as an idle one. */
static spn_err end_row(struct journal *journal, const struct generation_session *touched,
                       struct record_row *row, struct row_bytes *bytes)
{
    struct record_entry ended;
    spn_err err = journal_get_entry(journal, touched->state_position, &ended);
    if (err != SPN_OK)
        return err == SPN_E_END ? SPN_E_CORRUPT : err;
    row->state = touched->state;
    row->state_position = touched->state_position;
    note_activity(row, &ended);
    row->reason = ended.reason;
    return hold(&row->reason, bytes->reason, sizeof(bytes->reason));
}

/* Takes over the attributes: the spans into the row, the rest into a value of its own. */
static spn_err take_attributes(const struct segment *segment, struct journal *journal,
                               const struct generation_session *touched, struct record_row *row)
{
    struct record_entry entry;
    struct wire_attributes attributes;
    uint64_t position = generation_attributes_of(segment->generation, touched);
    spn_err err = journal_get_entry(journal, position, &entry);
    if (err == SPN_OK && attributes_get(entry.data, &attributes) != SPN_OK)
        err = SPN_E_CORRUPT;
    if (err != SPN_OK)
        return err == SPN_E_END ? SPN_E_CORRUPT : err;
    uint8_t bytes[WIRE_CONTENT_TYPE_MAX + WIRE_SESSION_NOTE_MAX]; /* putting moves the pages */
    struct record_attributes stored = {attributes.content_type, attributes.note};
    spn_err held = hold(&stored.content_type, bytes, WIRE_CONTENT_TYPE_MAX);
    if (held == SPN_OK)
        held = hold(&stored.note, bytes + WIRE_CONTENT_TYPE_MAX, WIRE_SESSION_NOTE_MAX);
    if (held != SPN_OK)
        return held;
    row->ttl_ms = attributes.ttl_ms;
    row->idle_close_ms = attributes.idle_close_ms;
    row->attributes_position = position;
    row->has_attributes = stored.content_type.size + stored.note.size > 0;
    note_activity(row, &entry);
    return journal_put_attributes(journal, touched->epoch, &stored);
}

static spn_err take_touch(struct journal *journal, const struct generation_session *touched,
                          struct record_row *row)
{
    struct record_entry touch;
    spn_err err = journal_get_entry(journal, touched->touch_position, &touch);
    if (err == SPN_OK)
        note_activity(row, &touch);
    return err == SPN_E_END ? SPN_E_CORRUPT : err;
}

/* Writes blocks of the session's next events, as many as fit the array. Events that may not fill a
 * block wait for those after them, so the blocks are the same however often a session is left and
 * returned to. */
static spn_err write_events(struct segment *segment, struct journal *journal,
                            const struct generation_session *touched, const struct record_row *row)
{
    size_t count = fill_items(segment, touched);
    bool last = segment->now.written + count == touched->count;
    spn_err err = SPN_OK;
    for (size_t at = 0;
         err == SPN_OK && at < count && (last || count - at >= RECORD_BLOCK_ITEMS_MAX);) {
        size_t done = 0;
        err = journal_append_block(
            journal, segment->number, touched->epoch, touched->first_seq + segment->now.written,
            segment_before(segment, row), segment->items + at, count - at, &done);
        at += done;
        segment->now.written += (uint32_t)done;
        segment->now.entries += done;
    }
    return err;
}

/* Takes over what the generation says about the session. One that was given up stays so until it is
 * deleted: a close would make it look whole. */
static spn_err write_row(struct segment *segment, struct journal *journal,
                         const struct generation_session *touched, struct record_row *row,
                         struct row_bytes *bytes)
{
    spn_err err = SPN_OK;
    bool deleted = touched->state == RECORD_DELETED;
    bool given_up = row->state == RECORD_DAMAGED;
    if (segment->now.written > 0)
        err = advance_row(segment, journal, touched, row, bytes);
    if (err == SPN_OK && touched->state != RECORD_LIVE && (deleted || !given_up))
        err = end_row(journal, touched, row, bytes);
    bool lives = !deleted && !given_up;
    if (err == SPN_OK && lives && touched->attributes != GENERATION_NONE)
        err = take_attributes(segment, journal, touched, row);
    if (err == SPN_OK && lives && touched->touch_position > 0)
        err = take_touch(journal, touched, row);
    row->duplicates += touched->duplicates;
    row->conflicts += touched->conflicts;
    if (err == SPN_OK)
        err = journal_put_row(journal, touched->epoch, row);
    segment->now.rows++;
    return err;
}

/* A session that was opened and deleted in this generation never enters the index. Deletes what an
 * interrupted attempt left of it: it would count as soon as the checkpoint moves. Names are written
 * first, so a name may be there without a row; then only the entry that opened the session has the
 * name. */
static spn_err forget_attempt(struct journal *journal, uint64_t epoch)
{
    struct record_entry open;
    struct row_bytes bytes;
    spn_err err = journal_get_entry(journal, epoch, &open);
    if (err == SPN_OK)
        err = hold(&open.data, bytes.name, sizeof(bytes.name));
    if (err == SPN_OK)
        err = journal_delete_name(journal, open.data, epoch);
    bool known = err == SPN_OK || err == SPN_E_END || err == SPN_E_CORRUPT;
    return known ? segment_bury(journal, epoch) : err;
}

/* Writes some blocks of the next session, and once all are written, its row. Until then nothing
 * names the blocks: after a crash they are above the newest complete segment, like any others. */
static spn_err write_next_session(struct segment *segment, struct journal *journal)
{
    const struct generation_session *touched = session_at(segment, segment->now.next);
    bool dead = touched->state == RECORD_DELETED;
    struct record_row row = {.seq = 0};
    struct row_bytes bytes;
    spn_err err = SPN_OK;
    if (dead && is_opened_here(segment->generation, touched->epoch)) {
        segment->now.next++;
        return forget_attempt(journal, touched->epoch);
    }
    err = begin_row(journal, touched->epoch, &row, &bytes);
    if (err == SPN_OK && !dead && touched->count > 0)
        err = write_events(segment, journal, touched, &row);
    if (err != SPN_OK || (!dead && segment->now.written < touched->count))
        return err;
    err = write_row(segment, journal, touched, &row, &bytes);
    segment->now.entries += touched->count - segment->now.written; /* those of a deleted session */
    segment->now.next++;
    segment->now.written = 0;
    return err;
}

/* -- burying ----------------------------------------------------------------------------------- */

static spn_err bury_next(struct segment *segment, struct journal *journal)
{
    uint32_t place = segment->now.next++;
    uint64_t epoch = session_at(segment, place)->epoch;
    return is_dead(segment, place) ? segment_bury(journal, epoch) : SPN_OK;
}

spn_err segment_bury(struct journal *journal, uint64_t epoch)
{
    struct record_row row = {.seq = 0};
    struct row_bytes bytes;
    spn_err err = journal_get_row(journal, epoch, &row);
    if (err == SPN_E_END)
        return SPN_OK;
    if (err == SPN_OK)
        err = hold(&row.name, bytes.name, sizeof(bytes.name));
    if (err == SPN_OK)
        err = journal_delete_name(journal, row.name, epoch);
    return err == SPN_OK ? journal_delete_row(journal, epoch) : err;
}

/* -- steps ------------------------------------------------------------------------------------- */

static spn_err write_meta(struct segment *segment, struct journal *journal,
                          const struct record_meta *meta)
{
    struct record_meta moved = *meta;
    /* A generation of duplicates only has no positions: it leaves the checkpoint where it is. */
    const struct generation *generation = segment->generation;
    spn_err err = SPN_OK;
    if (generation->last_position > 0) {
        struct record_segment covers = {.first = generation->first_position,
                                        .last = generation->last_position,
                                        .events = generation->entry_count};
        moved.checkpoint = covers.last;
        err = journal_put_segment(journal, segment->number, &covers);
    }
    moved.segment = segment->number;
    segment->now.next++;
    return err == SPN_OK ? journal_put_meta(journal, &moved) : err;
}

static uint32_t phase_size(const struct segment *segment)
{
    switch (segment->now.phase) {
    case GATHER:
    case SESSIONS:
    case BURY:
        return segment->generation->session_count;
    case NAMES:
        return segment->name_count;
    case META:
        return 1;
    case DONE:
        break;
    }
    return 0;
}

static void end_phase(struct segment *segment)
{
    if (segment->now.phase == GATHER && segment->name_count > 0)
        qsort(segment->names, segment->name_count, sizeof(*segment->names), by_name);
    segment->now.phase++;
    segment->now.next = 0;
}

static spn_err do_next(struct segment *segment, struct journal *journal,
                       const struct record_meta *meta)
{
    switch (segment->now.phase) {
    case GATHER:
        return gather_next(segment, journal);
    case NAMES:
        return write_next_name(segment, journal);
    case SESSIONS:
        return write_next_session(segment, journal);
    case META:
        return write_meta(segment, journal, meta);
    case BURY:
        return bury_next(segment, journal);
    case DONE:
        break;
    }
    return SPN_OK;
}

spn_err segment_step(struct segment *segment, struct journal *journal, struct step *step,
                     const struct record_meta *meta, bool *ret_done)
{
    bool over = false;
    while (segment->now.phase != DONE && !over) {
        if (segment->now.next >= phase_size(segment)) {
            end_phase(segment);
            continue;
        }
        uint64_t entries = segment->now.entries;
        spn_err err = do_next(segment, journal, meta);
        if (err != SPN_OK)
            return err;
        over =
            step_is_over(step, SESSION_WORK + (segment->now.entries - entries) / EVENTS_PER_WORK);
    }
    *ret_done = segment->now.phase == DONE;
    return SPN_OK;
}

void segment_settle(struct segment *segment, bool committed)
{
    if (committed)
        segment->committed = segment->now;
    else if (segment->committed.phase == GATHER && segment->now.phase > GATHER)
        segment->now = (struct progress){.phase = NAMES}; /* the names stay gathered */
    else if (segment->now.phase > GATHER)
        segment->now = segment->committed;
}

uint64_t segment_rows(const struct segment *segment)
{
    return segment->committed.rows;
}

uint64_t segment_entries(const struct segment *segment)
{
    return segment->committed.entries;
}
