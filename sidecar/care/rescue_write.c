/* SPDX-License-Identifier: Apache-2.0 */
/* rescue_write: the new database: a log of what is kept, and an index of all of it. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "care/rescue_base.h"
#include "state/tracker.h"
#include "wire.h"

enum {
    SEGMENT_ENTRIES = 256 * 1024, /* events of a segment of the index */
    COMMIT_ENTRIES = 16 * 1024,
    COMMIT_BYTES = 16 << 20,
    LOST_ID_SIZE = 32,
};

#define MAP_ROOM (UINT64_C(256) << 20)

struct item {
    uint64_t epoch;
    uint64_t seq;
    struct record_block_item block;
};

struct writer {
    struct rescue *rescue;
    struct journal *journal;
    const uint8_t *secret;
    struct item *items; /* of the segment that is gathered */
    size_t count;
    uint64_t first;   /* position of the segment; 0: none yet */
    uint64_t last;    /* position that is written */
    uint32_t segment; /* the newest that is written */
    size_t hole;      /* the next one */
    uint64_t entries; /* since the last commit, ... */
    uint64_t bytes;   /* ... and their size */
};

static spn_err commit_often(struct writer *writer)
{
    if (writer->entries < COMMIT_ENTRIES && writer->bytes < COMMIT_BYTES)
        return SPN_OK;
    writer->entries = writer->bytes = 0;
    spn_err err = journal_commit(writer->journal);
    return err == SPN_OK ? journal_begin(writer->journal) : err;
}

/* -- segments ---------------------------------------------------------------------------------- */

static int by_session(const void *a, const void *b)
{
    const struct item *left = a;
    const struct item *right = b;
    if (left->epoch != right->epoch)
        return left->epoch > right->epoch ? 1 : -1;
    return (left->seq > right->seq) - (left->seq < right->seq);
}

/* Events with consecutive seqs, from `at` on. */
static size_t run_of(const struct writer *writer, size_t at)
{
    size_t count = 1;
    while (at + count < writer->count && count < RECORD_BLOCK_ITEMS_MAX &&
           writer->items[at + count].epoch == writer->items[at].epoch &&
           writer->items[at + count].seq == writer->items[at].seq + count)
        count++;
    return count;
}

static spn_err put_run(struct writer *writer, size_t at, size_t count)
{
    struct record_block_item items[RECORD_BLOCK_ITEMS_MAX];
    const struct item *first = &writer->items[at];
    struct rescued_session *session = rescued_find(&writer->rescue->rescued, first->epoch);
    for (size_t i = 0; i < count; i++)
        items[i] = first[i].block;
    if (session->segment != writer->segment) {
        session->before = session->segment;
        session->segment = writer->segment;
    }
    return journal_append_blocks(writer->journal, writer->segment, first->epoch, first->seq,
                                 session->before, items, count);
}

static spn_err put_segment(struct writer *writer)
{
    const struct record_segment segment = {
        .first = writer->first, .last = writer->last, .events = (uint32_t)writer->count};
    spn_err err = SPN_OK;
    if (writer->first == 0)
        return SPN_OK;
    writer->segment++;
    if (writer->count > 1)
        qsort(writer->items, writer->count, sizeof(*writer->items), by_session);
    for (size_t at = 0, count; at < writer->count && err == SPN_OK; at += count) {
        count = run_of(writer, at);
        err = put_run(writer, at, count);
    }
    writer->count = 0;
    writer->first = 0;
    return err == SPN_OK ? journal_put_segment(writer->journal, writer->segment, &segment) : err;
}

/* -- the log ----------------------------------------------------------------------------------- */

static void gather(struct writer *writer, uint64_t position, const struct record_entry *entry)
{
    struct fingerprint id = fingerprint_of(entry->id, writer->secret);
    writer->items[writer->count++] =
        (struct item){.epoch = entry->epoch,
                      .seq = entry->seq,
                      .block = {.position = position, .fingerprint = (uint32_t)id.low}};
}

static spn_err append(struct writer *writer, uint64_t position, struct record_entry *entry)
{
    spn_err err = writer->count == SEGMENT_ENTRIES ? put_segment(writer) : SPN_OK;
    if (err != SPN_OK)
        return err;
    entry->data_hash = record_hash(entry->data);
    if (writer->first == 0)
        writer->first = position;
    writer->last = position;
    writer->entries++;
    writer->bytes += record_entry_size(position, entry);
    err = journal_append(writer->journal, position, entry);
    if (record_is_stored(entry->kind))
        gather(writer, position, entry);
    return err == SPN_OK ? commit_often(writer) : err;
}

/* The newest entry of a session: its row says the same. */
static void note_newest(struct rescued_session *session, uint64_t position,
                        const struct record_entry *entry)
{
    session->newest = *entry;
    session->position = position;
}

/* A marker in the place of what is lost. The row knows the id of the newest event, so that a reader
 * who had that goes on after it; other markers have ids that no event has. */
static spn_err write_hole(struct writer *writer, const struct hole *hole)
{
    struct rescued_session *session = rescued_find(&writer->rescue->rescued, hole->epoch);
    struct record_entry marker = session->newest;
    bool last = session->has_row && marker.seq + 1 == session->row.seq;
    char id[LOST_ID_SIZE];
    marker.kind = RECORD_MARKER;
    marker.closes = false;
    marker.seq++;
    marker.markers++;
    marker.retry_ms = WIRE_RETRY_NONE;
    int size = snprintf(id, sizeof(id), "lost:%llu", (unsigned long long)marker.seq);
    marker.id = last ? session->row.last_id : (struct spn_bytes){id, (size_t)size};
    marker.id_position = 0;
    marker.type = marker.data = marker.reason = marker.note = (struct spn_bytes){NULL, 0};
    session->holes_written++;
    writer->rescue->done.missing++;
    spn_err err = append(writer, hole->position, &marker);
    note_newest(session, hole->position, &marker);
    return err;
}

static spn_err write_holes(struct writer *writer, uint64_t below)
{
    const struct rescue *rescue = writer->rescue;
    spn_err err = SPN_OK;
    for (; err == SPN_OK && writer->hole < rescue->hole_count &&
           rescue->holes[writer->hole].position < below;
         writer->hole++)
        err = write_hole(writer, &rescue->holes[writer->hole]);
    return err;
}

/* Markers that took the places of events before count, too. */
static spn_err write_stored(struct writer *writer, struct rescued_session *session,
                            uint64_t position, struct record_entry *entry)
{
    entry->markers += session->holes_written;
    spn_err err = append(writer, position, entry);
    note_newest(session, position, entry);
    writer->rescue->done.events++;
    return err;
}

static spn_err write_entry(void *owner, uint64_t position, struct record_entry *entry)
{
    struct writer *writer = owner;
    struct rescue *rescue = writer->rescue;
    struct rescued_session *session = rescued_find(&rescue->rescued, entry->epoch);
    if (!rescue_keeps(rescue, session, position, entry))
        return SPN_OK;
    if (session->row.name.size == 0) {
        rescue->done.nameless += record_is_stored(entry->kind);
        return SPN_OK;
    }
    spn_err err = write_holes(writer, position);
    if (err != SPN_OK)
        return err;
    return record_is_stored(entry->kind) ? write_stored(writer, session, position, entry)
                                         : append(writer, position, entry);
}

/* -- sessions ---------------------------------------------------------------------------------- */

static void count_session(struct rescue *rescue, const struct rescued_session *session)
{
    rescue->done.sessions++;
    rescue->done.rowless += !session->has_row && session->epoch <= rescue->meta.checkpoint;
}

static spn_err write_session(struct writer *writer, struct rescued_session *session)
{
    struct record_row *row = &session->row;
    if (session->dead || row->name.size == 0)
        return SPN_OK;
    count_session(writer->rescue, session);
    if (session->position > 0)
        row->position = session->position;
    row->markers += session->holes_written;
    row->segment = session->segment;
    row->segment_before = session->before;
    row->has_attributes = session->attributes.content_type.size + session->attributes.note.size > 0;
    spn_err err = journal_put_row(writer->journal, session->epoch, row);
    if (err == SPN_OK)
        err = journal_put_name(writer->journal, row->name, session->epoch);
    if (err == SPN_OK && row->has_attributes)
        err = journal_put_attributes(writer->journal, session->epoch, &session->attributes);
    writer->entries++;
    return err == SPN_OK ? commit_often(writer) : err;
}

static spn_err write_producer(void *owner, struct spn_bytes key, struct spn_bytes value)
{
    struct writer *writer = owner;
    struct record_run runs[RECORD_RUNS_MAX];
    struct record_producer producer;
    spn_err err = record_get_producer(value, key.data, runs, &producer);
    writer->entries++;
    if (err == SPN_OK)
        err = journal_put_producer(writer->journal, key.data, &producer);
    return err == SPN_OK ? commit_often(writer) : err;
}

/* -- meta -------------------------------------------------------------------------------------- */

/* What is missing in a session must have been deleted for some reason: the narrowest rule is one
 * that may have hidden any event, as an age is lost with its event. */
static void choose_meta(const struct writer *writer, struct record_meta *meta)
{
    const struct rescue *rescue = writer->rescue;
    uint64_t given = rescue->meta.next_position - 1;
    uint64_t newest = rescue->newest > given ? rescue->newest : given;
    newest = writer->last > newest ? writer->last : newest;
    *meta = rescue->meta;
    meta->checkpoint = newest;
    meta->segment = writer->segment;
    meta->next_position = newest + 1 + WORKSHOP_POSITIONS;
    if (meta->clock_ns < rescue->rescued.newest_ns) {
        meta->clock_ns = rescue->rescued.newest_ns;
        meta->clock_at.wall_ms = rescue->rescued.newest_ms;
    }
    meta->narrowest.age_max_ns = 1;
}

static spn_err write_meta(struct writer *writer)
{
    struct record_meta meta;
    choose_meta(writer, &meta);
    spn_err err = journal_put_meta(writer->journal, &meta);
    return err == SPN_OK ? journal_note_taken(writer->journal, meta.taken) : err;
}

/* -- all of it --------------------------------------------------------------------------------- */

static spn_err write_all(struct writer *writer)
{
    struct rescue *rescue = writer->rescue;
    spn_err err = journal_begin(writer->journal);
    if (err == SPN_OK)
        err = rescue_each(rescue, write_entry, writer);
    if (err == SPN_OK)
        err = write_holes(writer, UINT64_MAX);
    if (err == SPN_OK)
        err = put_segment(writer);
    for (size_t i = 0; i < rescue->rescued.count && err == SPN_OK; i++)
        err = write_session(writer, &rescue->rescued.sessions[i]);
    if (err == SPN_OK)
        err = pages_rest_reached(rescue->rest, TABLE_VALUE_PRODUCERS, write_producer, writer);
    if (err == SPN_OK)
        err = pages_rest_found(rescue->rest, TABLE_VALUE_PRODUCERS, write_producer, writer);
    if (err == SPN_OK)
        err = write_meta(writer);
    if (err == SPN_OK)
        err = journal_commit(writer->journal);
    journal_abort(writer->journal);
    return err;
}

static spn_err write_in(struct rescue *rescue, const struct workshop *workshop)
{
    struct writer writer = {.rescue = rescue};
    struct stat info = {.st_size = 0};
    char path[PATH_MAX + 32];
    snprintf(path, sizeof(path), "%.*s/data.mdb", PATH_MAX, rescue->old);
    if (stat(path, &info) != 0)
        (void)stat(rescue->old, &info);
    const struct journal_options how = {.dir = workshop->path,
                                        .size_max = (size_t)info.st_size * 2 + MAP_ROOM};
    writer.items = malloc(SEGMENT_ENTRIES * sizeof(*writer.items));
    spn_err err = writer.items ? journal_open(&writer.journal, &how) : SPN_E_NOMEM;
    if (err == SPN_OK) {
        writer.secret = journal_meta(writer.journal)->secret;
        err = write_all(&writer);
    }
    if (err != SPN_OK && rescue->care->why[0] == '\0')
        err = care_fail_store(rescue->care, err, workshop->dir);
    journal_close(writer.journal);
    free(writer.items);
    return err;
}

spn_err rescue_write(struct rescue *rescue, const char *dir)
{
    struct workshop workshop;
    spn_err err = workshop_begin(&workshop, dir, rescue->care);
    if (err == SPN_OK)
        err = write_in(rescue, &workshop);
    if (err == SPN_OK)
        err = workshop_finish(&workshop);
    workshop_release(&workshop);
    return err;
}
