/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "log_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index/segment.h"
#include "wire.h"

/* -- the directory ----------------------------------------------------------------------------- */

static void make_path(char *path, const struct rig *rig, const char *file)
{
    int size = snprintf(path, RIG_PATH_MAX + 16, "%s/%s", rig->dir, file);
    assert_true(size > 0 && size < RIG_PATH_MAX + 16);
}

/* Syncing costs nothing in memory, and nothing here is about power loss. */
static void make_dir(struct rig *rig)
{
    const char *base = getenv("TMPDIR");
    if (!base)
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    int size = snprintf(rig->dir, sizeof(rig->dir), "%s/log_rig.XXXXXX", base);
    assert_true(size > 0 && (size_t)size < sizeof(rig->dir));
    assert_non_null(mkdtemp(rig->dir));
}

static void remove_dir(const struct rig *rig)
{
    static const char *const files[] = {"data.mdb", "lock.mdb", "saved"};
    char path[RIG_PATH_MAX + 16];
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        make_path(path, rig, files[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(rig->dir), 0);
}

static void copy_file(const struct rig *rig, const char *from, const char *to)
{
    char path[RIG_PATH_MAX + 16];
    struct stat info;
    make_path(path, rig, from);
    int in = open(path, O_RDONLY | O_CLOEXEC);
    make_path(path, rig, to);
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(in >= 0 && out >= 0);
    assert_int_equal(fstat(in, &info), 0);
    for (off_t left = info.st_size; left > 0;) {
        ssize_t sent = sendfile(out, in, NULL, (size_t)left);
        assert_true(sent > 0);
        left -= sent;
    }
    assert_int_equal(close(in), 0);
    assert_int_equal(close(out), 0);
}

void rig_open(struct rig *rig)
{
    assert_null(rig->journal);
    struct journal_options options = {.dir = rig->dir, .size_max = RIG_MAP_BYTES};
    spn_err err = journal_open(&rig->journal, &options);
    if (err != SPN_OK)
        print_error("open: %d: %s\n", (int)err, journal_detail());
    assert_int_equal(err, SPN_OK);
}

void rig_close(struct rig *rig)
{
    journal_close(rig->journal);
    rig->journal = NULL;
    rig->writing = false;
}

void rig_save(struct rig *rig)
{
    assert_false(rig->writing);
    rig_close(rig);
    copy_file(rig, "data.mdb", "saved");
    rig_open(rig);
}

void rig_restore(struct rig *rig)
{
    rig_close(rig);
    copy_file(rig, "saved", "data.mdb");
    rig_open(rig);
}

/* -- the rig ----------------------------------------------------------------------------------- */

/* "z0", "y1", ... "z26". Of every seven one is longer, and the next is how that one begins. */
static void make_name(char *name, uint32_t i)
{
    uint32_t number = i % 7 == 4 ? i - 1 : i;
    int size = snprintf(name, RIG_TEXT_MAX, "%c%u%s", 'z' - (int)(number % 26), number,
                        i % 7 == 3 ? "-and-longer" : "");
    assert_true(size > 0 && size < RIG_TEXT_MAX);
}

void rig_init(struct rig *rig, uint32_t session_count, uint16_t window_max)
{
    *rig = (struct rig){.session_count = session_count, .next_position = 1};
    make_dir(rig);
    rig_open(rig);
    rig->active = generation_new(1);
    rig->sessions = calloc(session_count, sizeof(*rig->sessions));
    assert_true(rig->active && rig->sessions);
    for (uint32_t i = 0; i < session_count; i++) {
        struct rig_session *session = &rig->sessions[i];
        make_name(session->name, i);
        session->session.touched[0] = session->session.touched[1] = SLOT_NONE;
        session->tracker = tracker_new(rig_text(session->name), window_max);
        assert_non_null(session->tracker);
    }
}

void rig_release(struct rig *rig)
{
    if (rig->dir[0] == '\0')
        return;
    rig_close(rig);
    for (uint32_t i = 0; i < rig->session_count; i++) {
        tracker_free(rig->sessions[i].tracker);
        free(rig->sessions[i].events);
    }
    free(rig->sessions);
    generation_drop(rig->active);
    generation_drop(rig->frozen);
    remove_dir(rig);
    *rig = (struct rig){.dir = ""};
}

struct spn_bytes rig_text(const char *text)
{
    return (struct spn_bytes){text, strlen(text)};
}

struct spn_bytes rig_name(const struct rig *rig, uint32_t session)
{
    return rig_text(rig->sessions[session].name);
}

struct fingerprint rig_fingerprint(const struct rig *rig, const char *id)
{
    return fingerprint_of(rig_text(id), journal_meta(rig->journal)->secret);
}

uint32_t rig_tag(const struct rig *rig, const char *data)
{
    return fingerprint_tag(rig_text(data), (struct spn_bytes){NULL, 0},
                           journal_meta(rig->journal)->secret);
}

uint64_t rig_time_ns(uint64_t position)
{
    return 1000000 + position * 7;
}

uint64_t rig_wall_ms(uint64_t position)
{
    return 1767225600000 + position * 3;
}

/* -- the log ----------------------------------------------------------------------------------- */

static void append(struct rig *rig, struct record_entry *entry)
{
    for (uint32_t i = 0; i < rig->session_count; i++)
        if (rig->sessions[i].epoch == entry->epoch)
            rig->sessions[i].activity_position = rig->next_position;
    if (rig->lagging)
        return;
    if (!rig->writing)
        assert_int_equal(journal_begin(rig->journal), SPN_OK);
    rig->writing = true;
    entry->data_hash = record_hash(entry->data);
    entry->time_ns = rig->now_ns ? rig->now_ns() : rig_time_ns(rig->next_position);
    entry->wall_ms = rig_wall_ms(rig->next_position);
    assert_int_equal(journal_append(rig->journal, rig->next_position, entry), SPN_OK);
}

struct spn_life rig_life(uint64_t epoch)
{
    struct spn_life life = {{'l', 'i', 'f', 'e'}};
    memcpy(life.bytes + 8, &epoch, sizeof(epoch));
    return life;
}

void rig_open_session(struct rig *rig, uint32_t session)
{
    struct rig_session *of = &rig->sessions[session];
    assert_int_equal(of->epoch, 0);
    of->epoch = of->tracker->epoch = rig->next_position;
    of->life = of->tracker->life = rig_life(of->epoch);
    of->durable = !rig->lagging;
    append(rig, &(struct record_entry){.kind = RECORD_OPEN,
                                       .epoch = of->epoch,
                                       .life = of->life,
                                       .seq = of->seq_before,
                                       .retry_ms = WIRE_RETRY_NONE,
                                       .data = rig_text(of->name)});
    generation_reach(rig->active, rig->next_position);
    generation_touch(rig->active, &of->session, session, of->epoch);
    rig->next_position++;
}

static struct rig_event *new_event(struct rig_session *of)
{
    if (of->count == of->room) {
        of->room = of->room > 0 ? 2 * of->room : 8;
        of->events = realloc(of->events, of->room * sizeof(*of->events));
        assert_non_null(of->events);
    }
    return &of->events[of->count++];
}

static void store(struct rig *rig, uint32_t session, const char *id, const char *data, bool closes)
{
    struct rig_session *of = &rig->sessions[session];
    struct rig_event *event = new_event(of);
    *event = (struct rig_event){.position = rig->next_position, .durable = !rig->lagging};
    memcpy(event->id, id, strlen(id));
    memcpy(event->data, data, strlen(data));
    of->bytes += strlen(data);
    event->bytes = of->bytes;
    uint64_t seq = of->seq_before + of->count;
    of->tracker->seq = seq;
    of->tracker->bytes = of->bytes;
    append(rig, &(struct record_entry){.kind = RECORD_EVENT,
                                       .closes = closes,
                                       .reason = rig_text(closes ? RIG_REASON : ""),
                                       .epoch = of->epoch,
                                       .seq = seq,
                                       .bytes = of->bytes,
                                       .retry_ms = WIRE_RETRY_NONE,
                                       .id = rig_text(id),
                                       .data = rig_text(data)});
    struct generation_session *touched =
        generation_touch(rig->active, &of->session, session, of->epoch);
    touched->bytes = of->bytes;
    generation_append(rig->active, touched, rig->next_position, seq,
                      (uint32_t)rig_fingerprint(rig, id).low);
    if (closes) {
        generation_note_state(touched, rig->next_position, RECORD_CLOSED);
        of->closed_position = rig->next_position;
        of->tracker->closed = true;
    }
    rig->next_position++;
}

void rig_event(struct rig *rig, uint32_t session, const char *id, const char *data)
{
    struct rig_session *of = &rig->sessions[session];
    char made_up[2][RIG_TEXT_MAX];
    if (of->epoch == 0)
        rig_open_session(rig, session);
    (void)snprintf(made_up[0], RIG_TEXT_MAX, "i%llu", (unsigned long long)rig->next_position);
    (void)snprintf(made_up[1], RIG_TEXT_MAX, "data %llu", (unsigned long long)rig->next_position);
    id = id ? id : made_up[0];
    data = data ? data : made_up[1];
    struct fingerprint print = rig_fingerprint(rig, id);
    uint32_t tag = rig_tag(rig, data);
    enum tracker_verdict verdict = tracker_check(of->tracker, print, tag);
    if (verdict == TRACKER_NEW) {
        assert_int_equal(tracker_add(&of->tracker, print, tag), SPN_OK);
        store(rig, session, id, data, false);
        return;
    }
    struct generation_session *touched =
        generation_touch(rig->active, &of->session, session, of->epoch);
    touched->duplicates += verdict == TRACKER_DUPLICATE;
    touched->conflicts += verdict == TRACKER_CONFLICT;
}

/* The numbers 1, 2, 3 ... with spans, a content type and a note, each of them there or not. */
struct wire_attributes rig_attributes_of(uint32_t number)
{
    static char type[WIRE_CONTENT_TYPE_MAX];
    static char note[WIRE_SESSION_NOTE_MAX];
    memset(type, 't', sizeof(type));
    memset(note, 'n', sizeof(note));
    type[0] = (char)('a' + number % 26);
    note[0] = (char)('A' + number % 26);
    return (struct wire_attributes){
        .ttl_ms = number & 1 ? 1000000 + number : 0,
        .idle_close_ms = number & 2 ? number : 0,
        .content_type = {type, number & 4 ? number % WIRE_CONTENT_TYPE_MAX + 1 : 0},
        .note = {note, number & 8 ? 1 + 97 * number % WIRE_SESSION_NOTE_MAX : 0},
    };
}

static void put_activity(struct rig *rig, uint32_t session, enum record_kind kind,
                         struct spn_bytes data)
{
    struct rig_session *of = &rig->sessions[session];
    append(rig, &(struct record_entry){.kind = (uint8_t)kind,
                                       .epoch = of->epoch,
                                       .life = of->life,
                                       .name = rig_text(of->name),
                                       .seq = of->count,
                                       .bytes = of->bytes,
                                       .retry_ms = WIRE_RETRY_NONE,
                                       .data = data});
    struct generation_session *touched =
        generation_touch(rig->active, &of->session, session, of->epoch);
    if (kind == RECORD_TOUCH)
        generation_note_touch(rig->active, touched, rig->next_position);
    else
        generation_note_attributes(rig->active, touched, rig->next_position);
    rig->next_position++;
}

void rig_put_attributes(struct rig *rig, uint32_t session, uint32_t number)
{
    uint8_t bytes[WIRE_ATTRIBUTES_MAX];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    struct wire_attributes attributes = rig_attributes_of(number);
    if (rig->sessions[session].epoch == 0)
        rig_open_session(rig, session);
    wire_put_attributes(&out, &attributes);
    assert_false(out.bad);
    put_activity(rig, session, RECORD_ATTRIBUTES, (struct spn_bytes){bytes, wire_out_size(&out)});
    rig->sessions[session].attributes = number;
}

void rig_touch(struct rig *rig, uint32_t session)
{
    put_activity(rig, session, RECORD_TOUCH, (struct spn_bytes){NULL, 0});
}

void rig_closing_event(struct rig *rig, uint32_t session)
{
    struct rig_session *of = &rig->sessions[session];
    char id[RIG_TEXT_MAX];
    const uint8_t *secret = journal_meta(rig->journal)->secret;
    (void)snprintf(id, sizeof(id), "close%llu", (unsigned long long)rig->next_position);
    if (of->epoch == 0)
        rig_open_session(rig, session);
    uint32_t tag = fingerprint_closing(rig_tag(rig, "the end"), rig_text(RIG_REASON), secret);
    assert_int_equal(tracker_add(&of->tracker, rig_fingerprint(rig, id), tag), SPN_OK);
    store(rig, session, id, "the end", true);
}

void rig_events(struct rig *rig, uint32_t session, size_t count)
{
    for (size_t i = 0; i < count; i++)
        rig_event(rig, session, NULL, NULL);
}

static void forget_life(struct rig_session *of)
{
    assert_true(of->dead_count < RIG_LIVES_MAX);
    of->dead[of->dead_count++] = of->epoch;
    of->epoch = of->bytes = of->closed_position = 0;
    of->attributes = 0;
    of->count = 0;
    of->durable = false;
    tracker_clear(of->tracker);
    of->life = of->tracker->life = (struct spn_life){{0}};
    of->tracker->epoch = of->tracker->seq = of->tracker->bytes = 0;
    of->tracker->closed = false;
}

void rig_end(struct rig *rig, uint32_t session, enum record_kind kind)
{
    struct rig_session *of = &rig->sessions[session];
    assert_int_not_equal(of->epoch, 0);
    bool closes = kind == RECORD_CLOSE;
    append(rig, &(struct record_entry){.kind = (uint8_t)kind,
                                       .closes = closes,
                                       .epoch = of->epoch,
                                       .life = of->life,
                                       .name = rig_text(of->name),
                                       .reason = rig_text(closes ? RIG_REASON : ""),
                                       .seq = of->seq_before + of->count,
                                       .bytes = of->bytes,
                                       .retry_ms = WIRE_RETRY_NONE});
    struct generation_session *touched =
        generation_touch(rig->active, &of->session, session, of->epoch);
    generation_end(rig->active, touched, rig->next_position,
                   kind == RECORD_CLOSE ? RECORD_CLOSED : RECORD_DELETED);
    if (kind == RECORD_CLOSE) {
        of->closed_position = rig->next_position;
        of->tracker->closed = true;
    } else {
        forget_life(of);
    }
    rig->next_position++;
}

void rig_note(struct rig *rig, uint32_t session, enum record_kind kind, struct spn_bytes data)
{
    const struct rig_session *of = &rig->sessions[session];
    assert_int_not_equal(of->epoch, 0);
    append(rig, &(struct record_entry){.kind = (uint8_t)kind,
                                       .epoch = of->epoch,
                                       .life = of->life,
                                       .name = rig_text(of->name),
                                       .seq = of->seq_before + of->count,
                                       .bytes = of->bytes,
                                       .retry_ms = WIRE_RETRY_NONE,
                                       .data = data});
    generation_reach(rig->active, rig->next_position);
    rig->next_position++;
}

void rig_retain(struct rig *rig, struct retention rule)
{
    rig_commit(rig);
    struct record_meta meta = *journal_meta(rig->journal);
    record_set_rule(&meta, &rule);
    assert_int_equal(journal_begin(rig->journal), SPN_OK);
    assert_int_equal(journal_put_meta(rig->journal, &meta), SPN_OK);
    assert_int_equal(journal_commit(rig->journal), SPN_OK);
}

void rig_commit(struct rig *rig)
{
    if (rig->writing)
        assert_int_equal(journal_commit(rig->journal), SPN_OK);
    rig->writing = false;
}

/* -- generations ------------------------------------------------------------------------------- */

void rig_freeze(struct rig *rig)
{
    assert_null(rig->frozen);
    rig->frozen = rig->active;
    rig->active = generation_new(rig->frozen->serial + 1);
    assert_non_null(rig->active);
}

void rig_drop_frozen(struct rig *rig)
{
    generation_drop(rig->frozen);
    rig->frozen = NULL;
}

static struct record_meta meta_for(const struct rig *rig)
{
    struct record_meta meta = *journal_meta(rig->journal);
    meta.next_position = rig->next_position;
    meta.clock_ns = rig_time_ns(rig->next_position);
    return meta;
}

static uint64_t standing_clock(void)
{
    return 1;
}

struct step *rig_step(bool short_one)
{
    static struct step step;
    step = (struct step){.now_ns = standing_clock, .until_ns = short_one ? 0 : UINT64_MAX};
    return &step;
}

void rig_write_frozen(struct rig *rig)
{
    struct segment *segment;
    struct record_meta meta = meta_for(rig);
    bool done = false;
    rig_commit(rig);
    assert_int_equal(segment_new(&segment, rig->frozen, meta.segment + 1), SPN_OK);
    assert_int_equal(journal_begin(rig->journal), SPN_OK);
    assert_int_equal(segment_step(segment, rig->journal, rig_step(false), &meta, &done), SPN_OK);
    assert_true(done);
    assert_int_equal(journal_commit(rig->journal), SPN_OK);
    segment_settle(segment, true);
    segment_free(segment);
}

/* One step in a transaction of its own; true: it was the last. */
static bool write_step(struct rig *rig, struct segment *segment)
{
    struct record_meta meta = meta_for(rig);
    bool done = false;
    assert_int_equal(journal_begin(rig->journal), SPN_OK);
    assert_int_equal(segment_step(segment, rig->journal, rig_step(true), &meta, &done), SPN_OK);
    assert_int_equal(journal_commit(rig->journal), SPN_OK);
    segment_settle(segment, true);
    return done;
}

bool rig_write_some(struct rig *rig, size_t steps)
{
    struct segment *segment;
    bool done = false;
    rig_commit(rig);
    assert_int_equal(segment_new(&segment, rig->frozen, journal_meta(rig->journal)->segment + 1),
                     SPN_OK);
    for (size_t i = 0; i < steps && !done; i++)
        done = write_step(rig, segment);
    segment_free(segment);
    return !done;
}

static uint32_t segment_of_row(struct rig *rig, uint64_t epoch)
{
    struct record_row row = {.segment = 0};
    assert_int_equal(journal_begin(rig->journal), SPN_OK);
    spn_err err = journal_get_row(rig->journal, epoch, &row);
    assert_true(err == SPN_OK || err == SPN_E_END);
    journal_abort(rig->journal);
    return row.segment;
}

void rig_write_up_to_row(struct rig *rig, uint32_t session)
{
    struct segment *segment;
    uint32_t number = journal_meta(rig->journal)->segment + 1;
    rig_commit(rig);
    assert_int_equal(segment_new(&segment, rig->frozen, number), SPN_OK);
    while (segment_of_row(rig, rig->sessions[session].epoch) != number)
        assert_false(write_step(rig, segment));
    segment_free(segment);
}

void rig_view(struct rig *rig, uint32_t session, struct view *ret_view)
{
    const struct rig_session *of = &rig->sessions[session];
    struct generation *generations[2] = {rig->frozen, rig->active};
    *ret_view = (struct view){.epoch = of->epoch};
    if (of->epoch == 0)
        return;
    for (size_t i = 0; i < 2; i++) {
        if (!generations[i])
            continue;
        const struct generation_session *touched =
            generation_find(generations[i], &of->session, session);
        if (!touched || touched->epoch != of->epoch)
            continue;
        if (touched->state != RECORD_LIVE)
            ret_view->closed_position = touched->state_position;
        if (touched->count == 0 && touched->attributes == GENERATION_NONE)
            continue;
        ret_view->parts[i] = (struct view_part){.generation = generation_keep(generations[i]),
                                                .first_seq = touched->first_seq,
                                                .newest = touched->newest,
                                                .mark = touched->mark,
                                                .count = touched->count,
                                                .attributes = touched->attributes};
    }
}

/* -- everything that is on disk ---------------------------------------------------------------- */

static void dump_names(FILE *to, struct journal_reader *reader)
{
    struct spn_bytes name = {NULL, 0};
    uint64_t epoch;
    while (journal_read_name_after(reader, name, &name, &epoch) == SPN_OK)
        (void)fprintf(to, "name %.*s: %llu\n", (int)name.size, (const char *)name.data,
                      (unsigned long long)epoch);
}

static void dump_rows(FILE *to, struct journal_reader *reader)
{
    struct record_row row;
    uint64_t epoch = 0;
    while (journal_read_row_after(reader, epoch, &epoch, &row) == SPN_OK) {
        const uint64_t numbers[] = {
            epoch,         row.seq,     row.position,       row.bytes,
            row.opened_ms, row.last_ms, row.activity_ns,    row.duplicates,
            row.conflicts, row.state,   row.state_position, row.segment_before,
            row.segment,
        };
        (void)fprintf(to, "row %.*s last=%.*s reason=%.*s life=", (int)row.name.size,
                      (const char *)row.name.data, (int)row.last_id.size,
                      (const char *)row.last_id.data, (int)row.reason.size,
                      (const char *)row.reason.data);
        for (size_t i = 0; i < sizeof(row.life.bytes); i++)
            (void)fprintf(to, "%02x", row.life.bytes[i]);
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
            (void)fprintf(to, " %llu", (unsigned long long)numbers[i]);
        (void)fprintf(to, "\n");
    }
}

static void dump_attributes(FILE *to, struct journal_reader *reader)
{
    struct record_row row;
    struct record_attributes of;
    uint64_t epoch = 0;
    while (journal_read_row_after(reader, epoch, &epoch, &row) == SPN_OK)
        if (row.has_attributes && journal_read_attributes(reader, epoch, &of) == SPN_OK)
            (void)fprintf(to, "attributes %llu %llu %llu %.*s %.*s\n", (unsigned long long)epoch,
                          (unsigned long long)row.ttl_ms, (unsigned long long)row.idle_close_ms,
                          (int)of.content_type.size, (const char *)of.content_type.data,
                          (int)of.note.size, (const char *)of.note.data);
}

static void dump_blocks(FILE *to, struct journal_reader *reader, uint32_t segment)
{
    struct record_block block;
    uint64_t epoch = 0;
    uint64_t seq = 0;
    while (journal_read_segment_block(reader, segment, epoch, seq, &epoch, &block) == SPN_OK) {
        (void)fprintf(to, "block %u %llu %llu: before %u, %u items, %llx\n", segment,
                      (unsigned long long)epoch, (unsigned long long)block.first_seq,
                      block.segment_before, block.count,
                      (unsigned long long)record_hash(block.value));
        seq = block.first_seq + 1;
    }
}

static void dump_segments(FILE *to, struct journal_reader *reader)
{
    struct record_segment segment;
    uint32_t number = 0;
    while (journal_read_segment_after(reader, number, &number, &segment) == SPN_OK)
        (void)fprintf(to, "segment %u %llu %llu: %u events\n", number,
                      (unsigned long long)segment.first, (unsigned long long)segment.last,
                      segment.events);
}

char *rig_dump(struct rig *rig)
{
    struct journal_reader *reader;
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    assert_non_null(to);
    assert_int_equal(journal_reader_open(&reader, rig->journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    const struct record_meta *meta = journal_reader_meta(reader);
    (void)fprintf(to, "meta %llu %u %llu %llu\n", (unsigned long long)meta->checkpoint,
                  meta->segment, (unsigned long long)meta->next_position,
                  (unsigned long long)meta->clock_ns);
    dump_names(to, reader);
    dump_rows(to, reader);
    dump_attributes(to, reader);
    for (uint32_t segment = 1; segment <= meta->segment + 1; segment++)
        dump_blocks(to, reader, segment);
    dump_segments(to, reader);
    journal_reader_end(reader);
    journal_reader_close(reader);
    assert_int_equal(fclose(to), 0);
    return text;
}
