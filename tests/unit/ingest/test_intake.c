/* SPDX-License-Identifier: Apache-2.0 */
/* test_intake: what becomes of every number of a batch.
 *
 * A row is a producer's batches in order, each as it is sent and what must become of its entries.
 * Beside it runs a plain model of sessions (epoch, seq, bytes, a list of ids), which says what must
 * be in the struct batch that goes to the worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "ingest/sender.h"
#include "ingest/intake.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    STEPS = 6,
    WINDOW = 4,
    DATA_MAX = 100,
    FRAME_MAX = 1024 * 1024,
    TOKEN = 77,
    RUNS_HERE = 16,
    ROUND = 5
};

/* -- the broker's part ------------------------------------------------------------------------- */

static uint64_t passed_ns; /* since the start of a test */

static uint64_t fake_monotonic_ns(void)
{
    return 5000 + passed_ns;
}

static uint64_t fake_wall_ms(void)
{
    return 1767225600123;
}

static const struct clock fake_clock = {.monotonic_ns = fake_monotonic_ns,
                                        .boot_ns = fake_monotonic_ns,
                                        .wall_ms = fake_wall_ms,
                                        .database_base_ns = 100000,
                                        .started_ns = 4000};
static const uint64_t now_ns = 101000;

static const uint8_t secret[RECORD_SECRET_SIZE] = "a secret of the test";
static uint32_t drawn; /* lives */
static bool no_random;

/* No life comes twice. */
static spn_err fake_random(void *bytes, size_t size)
{
    struct spn_life *lives = bytes;
    assert_int_equal(size % sizeof(*lives), 0);
    if (no_random)
        return SPN_E_SYSTEM;
    for (size_t i = 0; i < size / sizeof(*lives); i++) {
        lives[i] = (struct spn_life){{0}};
        drawn++;
        memcpy(lives[i].bytes, &drawn, sizeof(drawn));
    }
    return SPN_OK;
}
static struct metrics metrics;
static struct broker_state broker;
static struct intake intake;
static struct producer *producer;
static uint8_t frame_bytes[FRAME_MAX];

static int set_up(void **state)
{
    (void)state;
    const struct broker_options options = {.clock = &fake_clock,
                                           .metrics = &metrics,
                                           .random = fake_random,
                                           .secret = secret,
                                           .data_max = DATA_MAX};
    drawn = 0;
    passed_ns = 0;
    no_random = false;
    static const uint8_t id[WIRE_PRODUCER_ID_SIZE] = "producer-of-16.";
    allocations_left = UINT32_MAX;
    broker = (struct broker_state){.active = generation_new(1), .next_position = 1001};
    if (!broker.active ||
        producers_init(&broker.producers, sizeof(struct sender), sender_is_idle) != SPN_OK ||
        sessions_init(&broker.sessions, 3, WINDOW) != SPN_OK ||
        spans_init(&broker.spans) != SPN_OK ||
        producers_add(&broker.producers, id, &(struct producer_owner){.kept = true}, &producer) !=
            SPN_OK ||
        producers_give(&broker.producers, producer, TOKEN) != SPN_OK)
        return -1;
    producer->on_disk = true;
    broker.spans.default_ttl_ns = 1000000000;
    memset(&metrics, 0, sizeof(metrics));
    return intake_init(&intake, &options, &broker) == SPN_OK ? 0 : -1;
}

static int set_up_cold(void **state)
{
    static int cold;
    int rc = set_up(state);
    *state = &cold;
    return rc;
}

static int tear_down(void **state)
{
    (void)state;
    intake_release(&intake);
    generation_drop(broker.active);
    sessions_release(&broker.sessions);
    spans_release(&broker.spans);
    producers_release(&broker.producers);
    return 0;
}

/* -- the model --------------------------------------------------------------------------------- */

struct model_session {
    uint64_t epoch;
    uint64_t seq;
    uint64_t bytes;
    uint64_t markers;
    uint64_t id_position;
    uint64_t before; /* epoch of the life before; 0: there was none */
    struct spn_life life;
    struct spn_life life_before;
    uint64_t state_position;
    uint8_t state; /* enum record_state */
    uint32_t duplicates;
    uint32_t conflicts;
    uint64_t attributes_position;
    uint64_t touch_position;
    bool spans; /* of its own */
};

static struct model_session model[128];
static uint64_t model_position;
static uint32_t model_entries; /* of the generation */

#define REASON "error"
#define NOTE "a note"

/* -- batches as text --------------------------------------------------------------------------- */

/* An entry is `session id [=data [:type]]`, a character each but the data. Of what cannot be stored
 * there is a sign for each: session `?`, id `~` (a line feed) and `_` (none), data `^` (a carriage
 * return) and `*` (too large), type `%` (a NUL). A leading `"` says: the session of the event
 * before. `M` before session and id makes a marker of it, with a retry where there is no id; `R`
 * and a session is a reset. `C` and a session closes, `D` deletes it; then may follow which life is
 * meant: `@` the current one, `<` the one before, `>` one that is not there yet. `A` and a session
 * gives it attributes, `T` touches it. What an entry has
 * beside that is in brackets before it: `@`, `<` or `>` as above, `n` the session is new, `s2` its
 * seq is 2, `d3` depends on number 3, `c` closes, `e` closes for another reason, `t` a note. */
struct entry_text {
    uint8_t flags; /* but the life's */
    uint8_t seq;
    uint8_t depends;
    bool other_reason;
    char session[2];
    char id[2];
    char data[DATA_MAX + 2];
    char type[2];
    uint8_t kind; /* enum wire_kind */
    char life;    /* of a close or a delete */
    bool same;
};

static const char *read_session(const char *at, struct entry_text *entry)
{
    entry->same = *at == '"';
    entry->session[0] = *at == '?' ? '\x01' : *at;
    return at + 1;
}

static const char *read_end(const char *at, struct entry_text *entry)
{
    entry->kind = *at == 'C' ? WIRE_CLOSE : WIRE_DELETE;
    at = read_session(at + 1, entry);
    if (*at != ' ' && *at != '\0')
        entry->life = *at++;
    return at;
}

static const char *read_number(const char *at, uint8_t *ret_number)
{
    *ret_number = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        *ret_number = (uint8_t)(10 * *ret_number + (*at - '0'));
    return at;
}

static const char *read_flags(const char *at, struct entry_text *entry)
{
    while (*at != ']') {
        char flag = *at++;
        entry->flags |= flag == 'n'                  ? WIRE_FLAG_NEW
                        : flag == 's'                ? WIRE_FLAG_SEQ
                        : flag == 'd'                ? WIRE_FLAG_DEPENDS
                        : flag == 't'                ? WIRE_FLAG_NOTE
                        : flag == 'c' || flag == 'e' ? WIRE_FLAG_CLOSES
                                                     : 0;
        entry->other_reason |= flag == 'e';
        if (flag == 's')
            at = read_number(at, &entry->seq);
        else if (flag == 'd')
            at = read_number(at, &entry->depends);
        else if (flag == '@' || flag == '<' || flag == '>')
            entry->life = flag;
    }
    return at + 1;
}

static const char *read_entry(const char *at, struct entry_text *ret_entry)
{
    struct entry_text entry = {.kind = WIRE_EVENT};
    while (*at == ' ')
        at++;
    if (*at == '[')
        at = read_flags(at + 1, &entry);
    if (*at == 'A' || *at == 'T') {
        entry.kind = *at == 'A' ? WIRE_ATTRIBUTES : WIRE_TOUCH;
        *ret_entry = entry;
        return read_session(at + 1, ret_entry);
    }
    if (*at == 'C' || *at == 'D') {
        at = read_end(at, &entry);
        *ret_entry = entry;
        return at;
    }
    if (*at == 'R') {
        entry.kind = WIRE_RESET;
        *ret_entry = entry;
        return read_session(at + 1, ret_entry);
    }
    if (*at == 'M') {
        entry.kind = WIRE_MARKER;
        at++;
    }
    at = read_session(at, &entry);
    entry.id[0] = *at == '~' ? '\n' : *at == '_' ? '\0' : *at;
    at++;
    if (*at == '=')
        for (at++; *at != ' ' && *at != ':' && *at != '\0'; at++)
            entry.data[strlen(entry.data)] = *at;
    if (strcmp(entry.data, "^") == 0)
        entry.data[0] = '\r';
    if (strcmp(entry.data, "*") == 0)
        memset(entry.data, 'x', DATA_MAX + 1);
    if (strcmp(entry.data, "+") == 0)
        memset(entry.data, 'x', DATA_MAX);
    if (*at == ':') {
        entry.type[0] = at[1];
        at += 2;
    }
    *ret_entry = entry;
    return at;
}

static struct spn_bytes text(const char *string)
{
    return (struct spn_bytes){string, strlen(string)};
}

static char session_named; /* by the last entry that named one, as the decoder remembers it */

/* Sets the condition. The lives of sessions are known when a batch is put together only as they
 * were before it. */
static void put_life_meant(const struct entry_text *entry, struct wire_entry *to)
{
    const struct model_session *session =
        &model[(unsigned char)(entry->same ? session_named : entry->session[0])];
    if (entry->life == '\0')
        return;
    to->flags |= WIRE_FLAG_LIFE;
    to->life = entry->life == '@'   ? session->life
               : entry->life == '<' ? session->life_before
                                    : (struct spn_life){{0xff}};
}

static uint32_t count_entries(const char *entries)
{
    uint32_t count = 0;
    struct entry_text entry;
    for (const char *at = entries; *at != '\0'; count++)
        at = read_entry(at, &entry);
    return count;
}

static const struct wire_attributes attributes = {.ttl_ms = 3600000,
                                                  .idle_close_ms = 60000,
                                                  .content_type = {"text/plain", 10},
                                                  .note = {"mine", 4}};

static struct spn_bytes attributes_data(void)
{
    static uint8_t bytes[64];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_attributes(&out, &attributes);
    return (struct spn_bytes){bytes, wire_out_size(&out)};
}

static void put_entry(struct wire_out *out, const struct entry_text *from)
{
    struct wire_entry entry = {.kind = from->kind,
                               .flags = from->flags,
                               .seq = from->seq,
                               .depends = from->depends,
                               .note = text(NOTE),
                               .retry_ms = (uint32_t)from->id[0]};
    if (from->kind == WIRE_CLOSE)
        entry.flags |= WIRE_FLAG_CLOSES;
    entry.reason = text(from->other_reason ? "done" : REASON);
    put_life_meant(from, &entry);
    entry.session = from->same ? text("") : text(from->session);
    if (from->kind == WIRE_ATTRIBUTES)
        entry.data = attributes_data();
    if (!wire_is_stored(from->kind)) {
        entry.retry_ms = WIRE_RETRY_NONE;
    } else {
        entry.id = text(from->id);
        entry.data = text(from->data);
        entry.type = from->type[0] == '%' ? (struct spn_bytes){"\0", 1} : text(from->type);
    }
    wire_put_entry(out, &entry);
}

/* A frame's message, and the intake's decoder behind its header. */
static spn_err decode(const struct wire_batch *head, const char *entries, zmq_msg_t *ret_frame)
{
    struct wire_out out = wire_out(frame_bytes, sizeof(frame_bytes));
    struct entry_text entry;
    wire_put_header(&out, WIRE_BATCH, 0);
    wire_put_batch(&out, head);
    for (const char *at = entries; *at != '\0';) {
        at = read_entry(at, &entry);
        put_entry(&out, &entry);
        if (entry.session[0] != '\0' && !entry.same)
            session_named = entry.session[0];
    }
    assert_false(out.bad);
    assert_int_equal(zmq_msg_init_size(ret_frame, wire_out_size(&out)), 0);
    memcpy(zmq_msg_data(ret_frame), frame_bytes, wire_out_size(&out));
    struct wire_in in = wire_in(zmq_msg_data(ret_frame), zmq_msg_size(ret_frame));
    struct wire_header header;
    assert_int_equal(wire_get_header(&in, &header), SPN_OK);
    return intake_decode(&intake, in);
}

static enum intake_taken take(zmq_msg_t *frame, struct batch **ret_batch)
{
    return intake_take(&intake, producer, frame, false, ret_batch);
}

static void expect_cold(zmq_msg_t *frame, const uint32_t *firsts, uint32_t count)
{
    struct batch *batch;
    assert_int_equal(take(frame, &batch), INTAKE_COLD);
    assert_null(batch);
    assert_int_equal(intake.cold_count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(intake.cold[i], firsts[i]);
}

/* -- what must come of it ---------------------------------------------------------------------- */

/* The entry that opens a session, if it is not open. */
static void check_open(const struct batch *batch, uint32_t *at, struct model_session *session,
                       char session_name)
{
    const uint8_t *frame = zmq_msg_data((zmq_msg_t *)(uintptr_t)&batch->frame);
    if (session->epoch != 0)
        return;
    const struct batch_entry *open = &batch->entries[(*at)++];
    assert_false(wire_same_life(open->life, session->life_before));
    *session = (struct model_session){.epoch = model_position,
                                      .id_position = model_position,
                                      .before = session->before,
                                      .life = open->life,
                                      .life_before = session->life_before};
    model_position++;
    assert_true(wire_has_life(open->life));
    assert_int_equal(open->kind, RECORD_OPEN);
    assert_int_equal(open->epoch, session->epoch);
    assert_int_equal(open->seq, 0);
    assert_int_equal(open->bytes, 0);
    assert_int_equal(open->id_size + open->type_size, 0);
    assert_int_equal(open->data_size, 1);
    assert_int_equal(frame[open->offset], session_name);
}

/* What must come next in the batch for an entry that is stored. */
static void check_stored(const struct batch *batch, uint32_t *at, const struct entry_text *entry,
                         char session_name)
{
    const uint8_t *frame = zmq_msg_data((zmq_msg_t *)(uintptr_t)&batch->frame);
    struct model_session *session = &model[(unsigned char)session_name];
    check_open(batch, at, session, session_name);
    const struct generation_entry *indexed = &broker.active->entries[model_entries++];
    bool keeps_id = entry->kind == WIRE_MARKER && entry->id[0] == '\0';
    if (!keeps_id)
        session->id_position = model_position;
    session->markers += entry->kind != WIRE_EVENT;
    assert_int_equal(indexed->position, model_position++);
    assert_int_equal(indexed->fingerprint, (uint32_t)fingerprint_of(text(entry->id), secret).low);
    session->seq++;
    session->bytes += strlen(entry->data);
    const struct batch_entry *event = &batch->entries[(*at)++];
    assert_int_equal(event->kind, entry->kind == WIRE_EVENT ? RECORD_EVENT : RECORD_MARKER);
    assert_int_equal(event->markers, session->markers);
    assert_int_equal(event->id_position, keeps_id ? session->id_position : 0);
    assert_int_equal(event->epoch, session->epoch);
    assert_int_equal(event->seq, session->seq);
    assert_int_equal(event->bytes, session->bytes);
    assert_int_equal(event->data_hash, record_hash(text(entry->data)));
    assert_int_equal(event->retry_ms, (uint32_t)entry->id[0]);
    size_t id_size = strlen(entry->id);
    assert_int_equal(event->id_size, id_size);
    assert_int_equal(event->type_size, strlen(entry->type));
    assert_int_equal(event->data_size, strlen(entry->data));
    const uint8_t *bytes = frame + event->offset;
    assert_memory_equal(bytes, entry->id, id_size);
    assert_memory_equal(bytes + id_size, entry->type, event->type_size);
    bytes += id_size + event->type_size;
    bool closes = (entry->flags & WIRE_FLAG_CLOSES) != 0;
    assert_int_equal(event->closes, closes);
    assert_int_equal(event->reason_size, closes ? strlen(REASON) : 0);
    assert_memory_equal(bytes + event->reason_at, REASON, event->reason_size);
    assert_int_equal(event->note_size, entry->flags & WIRE_FLAG_NOTE ? strlen(NOTE) : 0);
    bytes += event->extra_size;
    assert_memory_equal(bytes - event->note_size, NOTE, event->note_size);
    assert_memory_equal(bytes, entry->data, event->data_size);
    if (!closes)
        return;
    session->state = RECORD_CLOSED;
    session->state_position = model_position - 1;
}

/* What must come next for attributes and for a touch that is stored. */
static void check_activity(const struct batch *batch, uint32_t *at, uint8_t kind, char session_name)
{
    const uint8_t *frame = zmq_msg_data((zmq_msg_t *)(uintptr_t)&batch->frame);
    struct model_session *session = &model[(unsigned char)session_name];
    if (kind == RECORD_ATTRIBUTES)
        check_open(batch, at, session, session_name);
    const struct batch_entry *entry = &batch->entries[(*at)++];
    assert_int_equal(entry->kind, kind);
    assert_int_equal(entry->epoch, session->epoch);
    assert_int_equal(entry->seq, session->seq);
    assert_true(wire_same_life(entry->life, session->life));
    assert_int_equal(entry->name_size, 1);
    assert_int_equal(frame[entry->name_offset], session_name);
    struct spn_bytes data = kind == RECORD_ATTRIBUTES ? attributes_data() : text("");
    assert_int_equal(entry->id_size, 0);
    assert_int_equal(entry->data_size, data.size);
    assert_memory_equal(frame + entry->offset + entry->extra_size, data.data, data.size);
    if (kind == RECORD_ATTRIBUTES) {
        session->attributes_position = model_position;
        session->spans = true;
    } else {
        session->touch_position = model_position;
    }
    model_position++;
}

/* What must come next for one that closes or deletes. */
static void check_end(const struct batch *batch, uint32_t *at, uint8_t kind, char session_name)
{
    struct model_session *session = &model[(unsigned char)session_name];
    const struct batch_entry *end = &batch->entries[(*at)++];
    assert_int_equal(end->kind, kind);
    assert_int_equal(end->epoch, session->epoch);
    assert_int_equal(end->seq, session->seq);
    assert_int_equal(end->bytes, session->bytes);
    assert_int_equal(end->id_size + end->data_size, 0);
    assert_true(wire_same_life(end->life, session->life));
    const uint8_t *frame = zmq_msg_data((zmq_msg_t *)(uintptr_t)&batch->frame);
    assert_int_equal(end->name_size, 1);
    assert_int_equal(frame[end->name_offset], session_name);
    assert_int_equal(end->closes, kind == RECORD_CLOSE);
    assert_int_equal(end->reason_size, kind == RECORD_CLOSE ? strlen(REASON) : 0);
    assert_memory_equal(frame + end->offset + end->reason_at, REASON, end->reason_size);
    uint64_t position = model_position++;
    if (kind == RECORD_CLOSE) {
        session->state = RECORD_CLOSED;
        session->state_position = position;
        return;
    }
    *session = (struct model_session){.before = session->epoch,
                                      .life_before = session->life,
                                      .state = RECORD_DELETED,
                                      .state_position = position};
}

static void check_deleted(const struct tracker *tracker, const struct generation_session *touched,
                          const struct model_session *session)
{
    assert_int_equal(tracker->epoch, 0);
    assert_int_equal(tracker->seq, 0);
    assert_int_equal(tracker->bytes, 0);
    assert_int_equal(tracker->count, 0);
    assert_false(tracker->closed);
    assert_int_equal(touched->epoch, session->before);
    assert_int_equal(touched->state, RECORD_DELETED);
    assert_int_equal(touched->state_position, session->state_position);
}

static void check_generation(void)
{
    for (unsigned name = 'a'; name <= 'z'; name++) {
        char string[2] = {(char)name, '\0'};
        uint32_t slot;
        uint64_t hash = sessions_hash(&broker.sessions, text(string));
        if (sessions_find(&broker.sessions, text(string), hash, &slot) != SESSIONS_HOT) {
            assert_int_equal(model[name].epoch, 0);
            continue;
        }
        const struct tracker *tracker = broker.sessions.slots[slot].tracker;
        const struct generation_session *touched =
            generation_find(broker.active, &broker.sessions.slots[slot], slot);
        assert_non_null(touched);
        if (model[name].state == RECORD_DELETED) {
            check_deleted(tracker, touched, &model[name]);
            continue;
        }
        assert_int_equal(tracker->closed, model[name].state == RECORD_CLOSED);
        assert_int_equal(touched->state, model[name].state);
        assert_int_equal(touched->state_position, model[name].state_position);
        assert_int_equal(tracker->epoch, model[name].epoch);
        assert_int_equal(tracker->seq, model[name].seq);
        assert_int_equal(tracker->bytes, model[name].bytes);
        assert_int_equal(tracker->markers, model[name].markers);
        assert_int_equal(tracker->id_position, model[name].id_position);
        assert_int_equal(touched->epoch, model[name].epoch);
        assert_int_equal(touched->count, model[name].seq);
        assert_int_equal(touched->first_seq, model[name].seq > 0 ? 1 : 0);
        assert_int_equal(generation_attributes_of(broker.active, touched),
                         model[name].attributes_position);
        assert_int_equal(touched->touch_position, model[name].touch_position);
        const struct span *span = spans_find(&broker.spans, slot, tracker->epoch);
        assert_int_equal(span && span->idle_ns > 0, model[name].spans);
        if (span) {
            assert_int_equal(span->closed, tracker->closed);
            assert_true(wire_same_life(span->life, tracker->life));
            assert_int_equal(span->name[0], name);
        }
        assert_int_equal(touched->duplicates, model[name].duplicates);
        assert_int_equal(touched->conflicts, model[name].conflicts);
    }
}

/* -- rows -------------------------------------------------------------------------------------- */

/* became: a letter per entry. `s` stored, `a` attributes and `t` a touch in the log, `-` a touch
 * that is not, `d` duplicate, `c` conflict, `x` closed, `D` deleted, `.` had before, `!` refused.
 * Empty: the whole batch leaves a hole. */
struct script_step {
    uint64_t first;
    const char *entries;
    const char *became;
    uint64_t base; /* 0: 1 */
};

#define SEND(number, text, end)                                                                    \
    {                                                                                              \
        .first = (number), .entries = (text), .became = (end)                                      \
    }
#define RAISE(number, text, end, to)                                                               \
    {                                                                                              \
        .first = (number), .entries = (text), .became = (end), .base = (to)                        \
    }
#define REFUSED(number, why)                                                                       \
    {                                                                                              \
        (number), 1, WIRE_REFUSED, (why)                                                           \
    }

static const struct row {
    const char *name;
    struct script_step steps[STEPS];
    struct wire_run runs[RUNS_HERE];
} rows[] = {
    {"new", {SEND(1, "a1=x", "s")}, {{0}}},
    {"without data", {SEND(1, "a1", "s")}, {{0}}},
    {"with a type", {SEND(1, "a1=x:t a2=:t", "ss")}, {{0}}},
    {"several of one session", {SEND(1, "a1=x \"2=y \"3=z", "sss")}, {{0}}},
    {"several sessions", {SEND(1, "a1=x b1=y a2=z c1=u b2=v", "sssss")}, {{0}}},
    {"batch after batch",
     {SEND(1, "a1=x b1=x", "ss"), SEND(3, "a2=x", "s"), SEND(4, "b2=x c1=x a3=x", "sss")},
     {{0}}},
    {"a duplicate", {SEND(1, "a1=x", "s"), SEND(2, "a1=x", "d")}, {{2, 1, WIRE_DUPLICATE, 0}}},
    {"a duplicate within the batch", {SEND(1, "a1=x a1=x", "sd")}, {{2, 1, WIRE_DUPLICATE, 0}}},
    {"the same id in another session", {SEND(1, "a1=x b1=x", "ss")}, {{0}}},
    {"a conflict of data",
     {SEND(1, "a1=x", "s"), SEND(2, "a1=y", "c")},
     {{2, 1, WIRE_CONFLICT, 0}}},
    {"a conflict of type", {SEND(1, "a1=x a1=x:t", "sc")}, {{2, 1, WIRE_CONFLICT, 0}}},
    {"a conflict within the batch",
     {SEND(1, "a1=x a1=y a1=x", "scd")},
     {{2, 1, WIRE_CONFLICT, 0}, {3, 1, WIRE_DUPLICATE, 0}}},
    {"a conflict does not take the place",
     {SEND(1, "a1=x", "s"), SEND(2, "a1=y a1=y a1=x", "ccd")},
     {{2, 2, WIRE_CONFLICT, 0}, {4, 1, WIRE_DUPLICATE, 0}}},
    {"an id that has left the window",
     {SEND(1, "a1 a2 a3 a4 a1 a5 a1", "ssssdss")},
     {{5, 1, WIRE_DUPLICATE, 0}}},
    {"a duplicate does not move up in the window",
     {SEND(1, "a1 a2 a3 a4 a1 a5 a1 a2", "ssssdsss")},
     {{5, 1, WIRE_DUPLICATE, 0}}},
    {"runs of every kind",
     {SEND(1, "a1 a1 a1 a~ a~ a1=y b1 Cc", "sdd!!cs!")},
     {{2, 2, WIRE_DUPLICATE, 0},
      {4, 2, WIRE_REFUSED, SPN_E_BAD_ID},
      {6, 1, WIRE_CONFLICT, 0},
      REFUSED(8, SPN_E_UNKNOWN_SESSION)}},
    {"sent again as it was", {SEND(1, "a1 a2", "ss"), SEND(1, "a1 a2", "..")}, {{0}}},
    {"sent again with more", {SEND(1, "a1 a2", "ss"), SEND(1, "a1 a2 a3", "..s")}, {{0}}},
    {"sent again cut otherwise",
     {SEND(1, "a1 a2 a3", "sss"), SEND(2, "a2", "."), SEND(3, "a3 a4", ".s")},
     {{0}}},
    {"sent again after a duplicate",
     {SEND(1, "a1 a1", "sd"), SEND(1, "a1 a1 a2", "..s")},
     {{2, 1, WIRE_DUPLICATE, 0}}},
    {"what was had is not looked at", {SEND(1, "a1", "s"), SEND(1, "?~=^ a2", ".s")}, {{0}}},
    {"a hole", {SEND(1, "a1", "s"), SEND(3, "a3", ""), SEND(2, "a2", "s")}, {{0}}},
    {"a hole at the start", {SEND(2, "a1", "")}, {{0}}},
    {"a session that cannot be", {SEND(1, "a1 ?1 a2", "s!s")}, {REFUSED(2, SPN_E_BAD_SESSION)}},
    {"an id that cannot be", {SEND(1, "a1 a~ a2", "s!s")}, {REFUSED(2, SPN_E_BAD_ID)}},
    {"no id", {SEND(1, "a1 a_=x a2", "s!s")}, {REFUSED(2, SPN_E_BAD_ID)}},
    {"a type that cannot be", {SEND(1, "a1 a2=x:% a3", "s!s")}, {REFUSED(2, SPN_E_BAD_TYPE)}},
    {"data that cannot be", {SEND(1, "a1 a2=^ a3", "s!s")}, {REFUSED(2, SPN_E_BAD_DATA)}},
    {"data too large", {SEND(1, "a1 a2=* a3", "s!s")}, {REFUSED(2, SPN_E_EVENT_TOO_LARGE)}},
    {"data as large as it may be", {SEND(1, "a1=+", "s")}, {{0}}},
    {"nothing but refused ones, none of which opens a session",
     {SEND(1, "a~ a1=^ a2=*", "!!!"), SEND(4, "a1", "s")},
     {REFUSED(1, SPN_E_BAD_ID), REFUSED(2, SPN_E_BAD_DATA), REFUSED(3, SPN_E_EVENT_TOO_LARGE)}},
    {"all of a session that cannot be, whoever comes after it",
     {SEND(1, "a1 ?1 \"2 ?3 a2", "s!!!s")},
     {{2, 3, WIRE_REFUSED, SPN_E_BAD_SESSION}}},
    {"one reason is one run, and another begins a new one",
     {SEND(1, "a~ b~ a1=^ a1", "!!!s"), SEND(5, "a~", "!")},
     {{1, 2, WIRE_REFUSED, SPN_E_BAD_ID}, REFUSED(3, SPN_E_BAD_DATA), REFUSED(5, SPN_E_BAD_ID)}},
    {"refused in a session that is not checked twice",
     {SEND(1, "a1 \"2 \"~ \"4", "ss!s")},
     {REFUSED(3, SPN_E_BAD_ID)}},
    {"a refused id is not in the window",
     {SEND(1, "a1=^ a1", "!s"), SEND(3, "a1", "d")},
     {REFUSED(1, SPN_E_BAD_DATA), {3, 1, WIRE_DUPLICATE, 0}}},
    {"refused, and sent again",
     {SEND(1, "a~", "!"), SEND(1, "a~ a1", ".s")},
     {REFUSED(1, SPN_E_BAD_ID)}},
    {"refused after what was had",
     {SEND(1, "a1", "s"), SEND(1, "a1 ?1", ".!")},
     {REFUSED(2, SPN_E_BAD_SESSION)}},
    /* markers */
    {"a marker", {SEND(1, "Ma1", "s")}, {{0}}},
    {"a marker opens its session, and an event follows", {SEND(1, "Ma1 a2=x", "ss")}, {{0}}},
    {"a marker twice", {SEND(1, "Ma1 Ma1", "sd")}, {{2, 1, WIRE_DUPLICATE, 0}}},
    {"a marker with an event's id", {SEND(1, "a1=x Ma1", "sd")}, {{2, 1, WIRE_DUPLICATE, 0}}},
    {"an event with a marker's id is stored, once",
     {SEND(1, "Ma1 a1=x a1=x a1=y Ma1", "ssdcd")},
     {{3, 1, WIRE_DUPLICATE, 0}, {4, 1, WIRE_CONFLICT, 0}, {5, 1, WIRE_DUPLICATE, 0}}},
    {"an event that takes a marker's id is the newest of the window",
     {SEND(1, "Ma1 a2 a1=x a3 a4 a1=x", "sssssd")},
     {{6, 1, WIRE_DUPLICATE, 0}}},
    {"a retry alone, in each place", {SEND(1, "Ma_ a1 Ma_ Ma_ Ra Ma_ Ma2 Ma_", "ssssssss")}, {{0}}},
    {"resets are not looked for", {SEND(1, "a1 Ra Ra a2 Ra", "sssss")}, {{0}}},
    {"what has no id leaves the window alone",
     {SEND(1, "a1 Ma_ Ra Ma_ Ra Ma_ a1", "ssssssd")},
     {{7, 1, WIRE_DUPLICATE, 0}}},
    {"a marker's id that cannot be", {SEND(1, "Ma~ Ma1", "!s")}, {REFUSED(1, SPN_E_BAD_ID)}},
    {"a marker for a closed one",
     {SEND(1, "a1 Ca Ma2 Ra Ma_ b1", "sx!!!s")},
     {{3, 3, WIRE_REFUSED, SPN_E_CLOSED}}},
    {"a marker's duplicate for a closed one",
     {SEND(1, "a1 Ca Ma1", "sxd")},
     {{3, 1, WIRE_DUPLICATE, 0}}},
    {"markers of the next life", {SEND(1, "Ma1 Ra Da Ma1 Ma_ a1", "ssDsss")}, {{0}}},
    /* closing */
    {"closed", {SEND(1, "a1=x Ca", "sx")}, {{0}}},
    {"closed in the next batch", {SEND(1, "a1=x", "s"), SEND(2, "Ca", "x")}, {{0}}},
    {"closed by its life", {SEND(1, "a1=x", "s"), SEND(2, "Ca@", "x")}, {{0}}},
    {"closed as the same session", {SEND(1, "a1 C\"", "sx")}, {{0}}},
    {"closed twice", {SEND(1, "a1 Ca", "sx"), SEND(3, "Ca", "d")}, {{3, 1, WIRE_DUPLICATE, 0}}},
    {"closed twice by its life",
     {SEND(1, "a1 Ca", "sx"), SEND(3, "Ca@", "d")},
     {{3, 1, WIRE_DUPLICATE, 0}}},
    {"closed twice in the batch", {SEND(1, "a1 Ca Ca b1", "sxds")}, {{3, 1, WIRE_DUPLICATE, 0}}},
    {"closed with another life",
     {SEND(1, "a1", "s"), SEND(2, "Ca> Ca", "!x")},
     {REFUSED(2, SPN_E_OTHER_LIFE)}},
    {"closed twice, then with another life",
     {SEND(1, "a1 Ca", "sx"), SEND(3, "Ca>", "!")},
     {REFUSED(3, SPN_E_OTHER_LIFE)}},
    {"closed and unknown", {SEND(1, "Ca", "!")}, {REFUSED(1, SPN_E_UNKNOWN_SESSION)}},
    {"closed and unknown, by a life", {SEND(1, "Ca>", "!")}, {REFUSED(1, SPN_E_UNKNOWN_SESSION)}},
    {"closed and unknown in the middle",
     {SEND(1, "b1 Ca b2 a1", "s!ss")},
     {REFUSED(2, SPN_E_UNKNOWN_SESSION)}},
    {"closed and cannot be", {SEND(1, "C?", "!")}, {REFUSED(1, SPN_E_BAD_SESSION)}},
    {"an event for a closed one",
     {SEND(1, "a1 Ca a2 b1 a3", "sx!s!")},
     {REFUSED(3, SPN_E_CLOSED), REFUSED(5, SPN_E_CLOSED)}},
    {"an event for a closed one in the next batch",
     {SEND(1, "a1 Ca", "sx"), SEND(3, "a2 b1", "!s")},
     {REFUSED(3, SPN_E_CLOSED)}},
    {"an event for a closed one, twice",
     {SEND(1, "a1 Ca", "sx"), SEND(3, "a2", "!"), SEND(4, "a2", "!")},
     {{3, 2, WIRE_REFUSED, SPN_E_CLOSED}}},
    {"a duplicate for a closed one", {SEND(1, "a1=x Ca a1=x", "sxd")}, {{3, 1, WIRE_DUPLICATE, 0}}},
    {"a conflict for a closed one", {SEND(1, "a1=x Ca a1=y", "sxc")}, {{3, 1, WIRE_CONFLICT, 0}}},
    {"others go on beside a closed one", {SEND(1, "a1 Ca b1 c1", "sxss")}, {{0}}},
    {"a close sent again", {SEND(1, "a1 Ca", "sx"), SEND(1, "a1 Ca b1", "..s")}, {{0}}},
    /* deleting */
    {"deleted", {SEND(1, "a1=x Da", "sD")}, {{0}}},
    {"deleted in the next batch", {SEND(1, "a1=x", "s"), SEND(2, "Da", "D")}, {{0}}},
    {"deleted by its life", {SEND(1, "a1=x", "s"), SEND(2, "Da@", "D")}, {{0}}},
    {"deleted as the same session", {SEND(1, "a1 D\"", "sD")}, {{0}}},
    {"deleted twice", {SEND(1, "a1 Da Da b1", "sD!s")}, {REFUSED(3, SPN_E_UNKNOWN_SESSION)}},
    {"deleted twice, a batch each",
     {SEND(1, "a1 Da", "sD"), SEND(3, "Da", "!")},
     {REFUSED(3, SPN_E_UNKNOWN_SESSION)}},
    {"deleted with another life",
     {SEND(1, "a1", "s"), SEND(2, "Da> Da", "!D")},
     {REFUSED(2, SPN_E_OTHER_LIFE)}},
    {"deleted and unknown", {SEND(1, "Da", "!")}, {REFUSED(1, SPN_E_UNKNOWN_SESSION)}},
    {"deleted once closed", {SEND(1, "a1 Ca Da", "sxD")}, {{0}}},
    {"closed once deleted", {SEND(1, "a1 Da Ca", "sD!")}, {REFUSED(3, SPN_E_UNKNOWN_SESSION)}},
    {"deleted and opened in one batch", {SEND(1, "a1=x Da a2=y", "sDs")}, {{0}}},
    {"deleted and opened in the next", {SEND(1, "a1=x Da", "sD"), SEND(3, "a2=y", "s")}, {{0}}},
    {"the same id in the next life",
     {SEND(1, "a1=x Da a1=x", "sDs"), SEND(4, "a1=x", "d")},
     {{4, 1, WIRE_DUPLICATE, 0}}},
    {"the same id and other data in the next life", {SEND(1, "a1=x Da a1=y", "sDs")}, {{0}}},
    {"a closed one takes events in the next life", {SEND(1, "a1 Ca Da a1 a2", "sxDss")}, {{0}}},
    {"closed in the next life too", {SEND(1, "a1 Ca Da a1 Ca", "sxDsx")}, {{0}}},
    {"life after life", {SEND(1, "a1 Da a1 a2 Da a1 Da a1", "sDssDsDs")}, {{0}}},
    {"the life before is deleted again",
     {SEND(1, "a1 Da", "sD"), SEND(3, "a1 Da<", "s!")},
     {REFUSED(4, SPN_E_OTHER_LIFE)}},
    {"the life before is closed again",
     {SEND(1, "a1 Da a2", "sDs"), SEND(4, "Ca<", "!")},
     {REFUSED(4, SPN_E_OTHER_LIFE)}},
    {"a delete sent again once there is a new life",
     {SEND(1, "a1 Da a1", "sDs"), SEND(1, "a1 Da a1 a2", "...s")},
     {{0}}},
    {"refused by the state and by the contents",
     {SEND(1, "Ca a~ Ca a1", "!!!s")},
     {REFUSED(1, SPN_E_UNKNOWN_SESSION), REFUSED(2, SPN_E_BAD_ID),
      REFUSED(3, SPN_E_UNKNOWN_SESSION)}},
    {"the contents count before the state",
     {SEND(1, "a1 Ca a2=^", "sx!")},
     {REFUSED(3, SPN_E_BAD_DATA)}},
    /* conditions: what may be, in every state of a session */
    {"new, and is", {SEND(1, "[n]a1", "s")}, {{0}}},
    {"new, and is not",
     {SEND(1, "a1", "s"), SEND(2, "[n]a2 b1", "!s")},
     {REFUSED(2, SPN_E_CONDITION)}},
    {"new, by the entry before", {SEND(1, "a1 [n]a2", "s!")}, {REFUSED(2, SPN_E_CONDITION)}},
    {"new, twice: one wins", {SEND(1, "[n]a1 [n]a2", "s!")}, {REFUSED(2, SPN_E_CONDITION)}},
    {"new, closed is not", {SEND(1, "a1 Ca [n]a2", "sx!")}, {REFUSED(3, SPN_E_CONDITION)}},
    {"new, deleted is", {SEND(1, "a1 Da [n]a2", "sDs")}, {{0}}},
    {"new, deleted is, in the next batch", {SEND(1, "a1 Da", "sD"), SEND(3, "[n]a2", "s")}, {{0}}},
    {"new, a duplicate all the same",
     {SEND(1, "[n]a1=x", "s"), SEND(2, "[n]a1=x", "d")},
     {{2, 1, WIRE_DUPLICATE, 0}}},
    {"new, a conflict all the same",
     {SEND(1, "[n]a1=x [n]a1=y", "sc")},
     {{2, 1, WIRE_CONFLICT, 0}}},
    {"new, a marker", {SEND(1, "[n]Ma1 [n]Ra", "s!")}, {REFUSED(2, SPN_E_CONDITION)}},
    {"new, refused ones open nothing",
     {SEND(1, "[s1]a1 [n]a1", "!s")},
     {REFUSED(1, SPN_E_UNKNOWN_SESSION)}},
    {"new, a close",
     {SEND(1, "[n]Ca a1 [n]Ca", "!s!")},
     {REFUSED(1, SPN_E_UNKNOWN_SESSION), REFUSED(3, SPN_E_CONDITION)}},
    {"new, a delete",
     {SEND(1, "[n]Da a1 [n]Da", "!s!")},
     {REFUSED(1, SPN_E_UNKNOWN_SESSION), REFUSED(3, SPN_E_CONDITION)}},
    {"seq, and is", {SEND(1, "a1", "s"), SEND(2, "[s1]a2 [s2]a3", "ss")}, {{0}}},
    {"seq, lower", {SEND(1, "a1 a2 [s1]a3", "ss!")}, {REFUSED(3, SPN_E_CONDITION)}},
    {"seq, higher", {SEND(1, "a1 [s2]a3", "s!")}, {REFUSED(2, SPN_E_CONDITION)}},
    {"seq, twice: one wins",
     {SEND(1, "a1 [s1]a2 [s1]a3 [s2]a4", "ss!s")},
     {REFUSED(3, SPN_E_CONDITION)}},
    {"seq 0, of an unknown one", {SEND(1, "[s0]a1 [s0]a2", "s!")}, {REFUSED(2, SPN_E_CONDITION)}},
    {"seq 0, deleted", {SEND(1, "a1 Da [s0]a2", "sDs")}, {{0}}},
    {"seq 1, of an unknown one", {SEND(1, "[s1]a1", "!")}, {REFUSED(1, SPN_E_UNKNOWN_SESSION)}},
    {"seq 1, deleted", {SEND(1, "a1 Da [s1]a2", "sD!")}, {REFUSED(3, SPN_E_UNKNOWN_SESSION)}},
    {"seq, closed, and is", {SEND(1, "a1 Ca [s1]a2", "sx!")}, {REFUSED(3, SPN_E_CLOSED)}},
    {"seq, closed, and is not", {SEND(1, "a1 Ca [s0]a2", "sx!")}, {REFUSED(3, SPN_E_CONDITION)}},
    {"seq, a duplicate all the same",
     {SEND(1, "a1=x a2 [s9]a1=x", "ssd")},
     {{3, 1, WIRE_DUPLICATE, 0}}},
    {"seq, counts markers", {SEND(1, "a1 Ma2 [s2]a3", "sss")}, {{0}}},
    {"seq, a close", {SEND(1, "a1 [s0]Ca [s1]Ca", "s!x")}, {REFUSED(2, SPN_E_CONDITION)}},
    {"seq, a close again",
     {SEND(1, "a1 [s1]Ca [s1]Ca [s2]Ca", "sxd!")},
     {{3, 1, WIRE_DUPLICATE, 0}, REFUSED(4, SPN_E_CONDITION)}},
    {"seq 0, a close of an unknown one",
     {SEND(1, "[s0]Ca", "!")},
     {REFUSED(1, SPN_E_UNKNOWN_SESSION)}},
    {"seq, a delete", {SEND(1, "a1 [s0]Da [s1]Da", "s!D")}, {REFUSED(2, SPN_E_CONDITION)}},
    {"life, and is", {SEND(1, "a1", "s"), SEND(2, "[@]a2", "s")}, {{0}}},
    {"life, another", {SEND(1, "a1", "s"), SEND(2, "[>]a2", "!")}, {REFUSED(2, SPN_E_OTHER_LIFE)}},
    {"life, of an unknown one", {SEND(1, "[>]a2", "!")}, {REFUSED(1, SPN_E_UNKNOWN_SESSION)}},
    {"life, the one before",
     {SEND(1, "a1 Da a2", "sDs"), SEND(4, "[<]a3", "!")},
     {REFUSED(4, SPN_E_OTHER_LIFE)}},
    {"life, deleted",
     {SEND(1, "a1", "s"), SEND(2, "Da [@]a2", "D!")},
     {REFUSED(3, SPN_E_UNKNOWN_SESSION)}},
    {"life, closed",
     {SEND(1, "a1 Ca", "sx"), SEND(3, "[@]a2 [>]a2", "!!")},
     {REFUSED(3, SPN_E_CLOSED), REFUSED(4, SPN_E_OTHER_LIFE)}},
    {"life, a duplicate all the same",
     {SEND(1, "a1=x", "s"), SEND(2, "[>]a1=x", "d")},
     {{2, 1, WIRE_DUPLICATE, 0}}},
    {"life and seq",
     {SEND(1, "a1", "s"), SEND(2, "[@s1]a2 [@s1]a3 [>s2]a3", "s!!")},
     {REFUSED(3, SPN_E_CONDITION), REFUSED(4, SPN_E_OTHER_LIFE)}},
    /* what depends on a number */
    {"depends on a stored one", {SEND(1, "a1 [d1]a2", "ss")}, {{0}}},
    {"depends on a refused one",
     {SEND(1, "a~ [d1]a2 a3", "!!s")},
     {REFUSED(1, SPN_E_BAD_ID), REFUSED(2, SPN_E_DEPENDENT)}},
    {"depends on one that depends",
     {SEND(1, "a1 [n]a2 [d2]a3 [d3]a4", "s!!!")},
     {REFUSED(2, SPN_E_CONDITION), {3, 2, WIRE_REFUSED, SPN_E_DEPENDENT}}},
    {"depends on a duplicate and a conflict",
     {SEND(1, "a1=x a1=x a1=y [d2]a2 [d3]a3", "sdcss")},
     {{2, 1, WIRE_DUPLICATE, 0}, {3, 1, WIRE_CONFLICT, 0}}},
    {"depends on a refused one of another batch",
     {SEND(1, "a~ a2", "!s"), SEND(3, "[d2]a3 [d1]a4", "s!")},
     {REFUSED(1, SPN_E_BAD_ID), REFUSED(4, SPN_E_DEPENDENT)}},
    {"depends on what is below the base",
     {SEND(1, "a1", "s"), RAISE(2, "[d1]a2", "!", 2)},
     {REFUSED(2, SPN_E_DEPENDENT)}},
    {"depends, a duplicate all the same",
     {SEND(1, "a1=x a~ [d2]a1=x", "s!d")},
     {REFUSED(2, SPN_E_BAD_ID), {3, 1, WIRE_DUPLICATE, 0}}},
    {"depends before the other conditions",
     {SEND(1, "a~ [d1n]a2 a3 [d1s0]Ca", "!!s!")},
     {REFUSED(1, SPN_E_BAD_ID), REFUSED(2, SPN_E_DEPENDENT), REFUSED(4, SPN_E_DEPENDENT)}},
    {"a close and a delete that depend",
     {SEND(1, "a1 a~ [d2]Ca [d2]Da [d1]Da", "s!!!D")},
     {REFUSED(2, SPN_E_BAD_ID), {3, 2, WIRE_REFUSED, SPN_E_DEPENDENT}}},
    /* an event that closes */
    {"closes with it", {SEND(1, "[c]a1=x", "s")}, {{0}}},
    {"closes after others", {SEND(1, "a1 b1 [c]a2=x b2", "ssss")}, {{0}}},
    {"closes, and then an event", {SEND(1, "[c]a1=x a2", "s!")}, {REFUSED(2, SPN_E_CLOSED)}},
    {"closes, and then a close", {SEND(1, "[c]a1=x Ca", "sd")}, {{2, 1, WIRE_DUPLICATE, 0}}},
    {"closes, and then a delete", {SEND(1, "[c]a1=x Da a1", "sDs")}, {{0}}},
    {"closes twice, the same", {SEND(1, "[c]a1=x [c]a1=x", "sd")}, {{2, 1, WIRE_DUPLICATE, 0}}},
    {"closes, known as one that does not",
     {SEND(1, "a1=x [c]a1=x a2", "scs")},
     {{2, 1, WIRE_CONFLICT, 0}}},
    {"does not close, known as one that does",
     {SEND(1, "[c]a1=x a1=x", "sc")},
     {{2, 1, WIRE_CONFLICT, 0}}},
    {"closes for another reason", {SEND(1, "[c]a1=x [e]a1=x", "sc")}, {{2, 1, WIRE_CONFLICT, 0}}},
    {"closes if it is new", {SEND(1, "[nc]a1=x [n]a2", "s!")}, {REFUSED(2, SPN_E_CONDITION)}},
    {"closes, and is refused", {SEND(1, "a1 [cs0]a2 a3", "s!s")}, {REFUSED(2, SPN_E_CONDITION)}},
    {"closes after a marker of its id", {SEND(1, "Ma1 [c]a1=x", "ss")}, {{0}}},
    /* attributes */
    {"attributes of a live one", {SEND(1, "a1 Aa a2", "sas")}, {{0}}},
    {"attributes open a session", {SEND(1, "Aa a1 Ab", "asa")}, {{0}}},
    {"attributes again", {SEND(1, "Aa", "a"), SEND(2, "Aa Aa", "aa")}, {{0}}},
    {"attributes of a closed one", {SEND(1, "a1 Ca Aa", "sxa")}, {{0}}},
    {"attributes, then a close", {SEND(1, "a1 Aa Ca Aa", "saxa")}, {{0}}},
    {"attributes, then an event that closes", {SEND(1, "Aa [c]a1", "as")}, {{0}}},
    {"attributes of a deleted one", {SEND(1, "Aa Da Aa a1", "aDas")}, {{0}}},
    {"attributes if new", {SEND(1, "[n]Aa [n]Aa", "a!")}, {REFUSED(2, SPN_E_CONDITION)}},
    {"attributes, and then it is not new",
     {SEND(1, "Aa [n]a1 [s0]a1", "a!s")},
     {REFUSED(2, SPN_E_CONDITION)}},
    {"attributes with a seq",
     {SEND(1, "[s1]Aa [s0]Aa a1 [s1]Aa [s0]Aa", "!asa!")},
     {REFUSED(1, SPN_E_UNKNOWN_SESSION), REFUSED(5, SPN_E_CONDITION)}},
    {"attributes with a life",
     {SEND(1, "a1 [>]Aa", "s!"), SEND(3, "[@]Aa", "a")},
     {REFUSED(2, SPN_E_OTHER_LIFE)}},
    {"attributes with a life, unknown",
     {SEND(1, "[>]Aa", "!")},
     {REFUSED(1, SPN_E_UNKNOWN_SESSION)}},
    {"attributes that depend",
     {SEND(1, "a~ [d1]Aa", "!!")},
     {REFUSED(1, SPN_E_BAD_ID), REFUSED(2, SPN_E_DEPENDENT)}},
    {"attributes as the same session", {SEND(1, "a1 A\"", "sa")}, {{0}}},
    /* touches */
    {"a touch", {SEND(1, "a1 Ta", "st")}, {{0}}},
    {"a touch again is not stored", {SEND(1, "a1 Ta Ta", "st-"), SEND(4, "Ta", "-")}, {{0}}},
    {"a touch after attributes is not stored", {SEND(1, "Aa Ta", "a-")}, {{0}}},
    {"a touch of a closed one", {SEND(1, "a1 Ca Ta", "sxt")}, {{0}}},
    {"a touch of an unknown one", {SEND(1, "Ta", "!")}, {REFUSED(1, SPN_E_UNKNOWN_SESSION)}},
    {"a touch of a deleted one",
     {SEND(1, "a1 Ta Da Ta", "stD!")},
     {REFUSED(4, SPN_E_UNKNOWN_SESSION)}},
    {"a touch if new",
     {SEND(1, "[n]Ta a1 [n]Ta", "!s!")},
     {REFUSED(1, SPN_E_UNKNOWN_SESSION), REFUSED(3, SPN_E_CONDITION)}},
    {"a touch with a seq", {SEND(1, "a1 [s0]Ta [s1]Ta", "s!t")}, {REFUSED(2, SPN_E_CONDITION)}},
    {"a touch with a life",
     {SEND(1, "a1 [>]Ta", "s!"), SEND(3, "[@]Ta", "t")},
     {REFUSED(2, SPN_E_OTHER_LIFE)}},
    {"a touch that depends",
     {SEND(1, "a1 a~ [d2]Ta [d1]Ta", "s!!t")},
     {REFUSED(2, SPN_E_BAD_ID), REFUSED(3, SPN_E_DEPENDENT)}},
    /* notes */
    {"with a note", {SEND(1, "[t]a1=x [tc]b1=x [t]Ma2", "sss")}, {{0}}},
    {"a note is not compared",
     {SEND(1, "[t]a1=x a1=x b1=x [t]b1=x", "sdsd")},
     {{2, 1, WIRE_DUPLICATE, 0}, {4, 1, WIRE_DUPLICATE, 0}}},
    /* base */
    {"base moves on", {SEND(1, "a1 a1", "sd"), RAISE(3, "a2", "s", 3)}, {{0}}},
    {"base raised with loss", {SEND(1, "a1", "s"), RAISE(5, "a5", "s", 5)}, {{0}}},
    {"base raised, and still a hole",
     {SEND(1, "a1", "s"), RAISE(7, "a7", "", 5), SEND(5, "a5", "s")},
     {{0}}},
    {"base raised at the start", {RAISE(10, "a1 a2", "ss", 10)}, {{0}}},
};

static void check_results(const struct batch *batch, const struct script_step *step)
{
    char session = '\0';
    uint32_t at = 0;
    uint64_t first_position = model_position;
    uint32_t numbers = 0;
    const char *text_at = step->entries;
    for (size_t i = 0; step->became[i] != '\0'; i++) {
        struct entry_text entry;
        text_at = read_entry(text_at, &entry);
        session = entry.same ? session : entry.session[0];
        if (step->became[i] == 's')
            check_stored(batch, &at, &entry, session);
        else if (step->became[i] == 'a' || step->became[i] == 't')
            check_activity(batch, &at, step->became[i] == 'a' ? RECORD_ATTRIBUTES : RECORD_TOUCH,
                           session);
        else if (step->became[i] == 'x' || step->became[i] == 'D')
            check_end(batch, &at, step->became[i] == 'x' ? RECORD_CLOSE : RECORD_DELETE, session);
        numbers += step->became[i] != '.';
        if (!wire_is_stored(entry.kind))
            continue; /* only repeated events are counted in the row */
        model[(unsigned char)session].duplicates += step->became[i] == 'd';
        model[(unsigned char)session].conflicts += step->became[i] == 'c';
    }
    assert_int_equal(batch != NULL, numbers > 0);
    if (!batch)
        return;
    assert_int_equal(batch->entry_count, at);
    assert_int_equal(batch->number_count, numbers);
    if (at > 0)
        assert_int_equal(batch->first_position, first_position);
}

static void check_record(const struct batch *batch)
{
    assert_int_equal(batch->message.kind, MESSAGE_BATCH);
    assert_ptr_equal(batch->producer, producer);
    assert_memory_equal(batch->producer_id, producer->id, sizeof(producer->id));
    assert_int_equal(batch->time_ns, now_ns);
    assert_int_equal(batch->wall_ms, fake_wall_ms());
    assert_int_equal(batch->record.token, TOKEN);
    assert_int_equal(batch->record.number, producer->accepted);
    assert_int_equal(batch->record.base, producer->base);
    assert_int_equal(batch->record.time_ns, now_ns);
    assert_int_equal(batch->record.run_count, producer->run_count);
    for (size_t i = 0; i < producer->run_count; i++) {
        assert_int_equal(batch->record.runs[i].first, producer->runs[i].first);
        assert_int_equal(batch->record.runs[i].count, producer->runs[i].count);
        assert_int_equal(batch->record.runs[i].result, producer->runs[i].result);
        assert_int_equal(batch->record.runs[i].code, producer->runs[i].code);
    }
    assert_null(batch->opened);
}

static void send_step(const struct script_step *step)
{
    zmq_msg_t frame;
    struct batch *batch;
    uint32_t count = count_entries(step->entries);
    struct wire_batch head = {.token = TOKEN,
                              .first = step->first,
                              .base = step->base > 0 ? step->base : 1,
                              .count = count,
                              .round = ROUND,
                              .level = WIRE_DURABLE};
    assert_int_equal(decode(&head, step->entries, &frame), SPN_OK);
    (void)producer_skip(producer, head.base); /* as the broker does */
    producer_settle(producer, head.base);
    size_t size = zmq_msg_size(&frame);
    enum intake_taken taken = take(&frame, &batch);
    assert_int_equal(taken, step->became[0] == '\0' ? INTAKE_HOLE : INTAKE_TAKEN);
    if (taken == INTAKE_TAKEN) {
        assert_int_equal(intake.begin, strspn(step->became, "."));
        assert_int_equal(intake.end, strlen(step->became));
        check_results(batch, step);
        if (batch) {
            /* The frame, the batch itself and its results: all that waits counts. A number may
             * need two entries. */
            size_t entries = batch->bytes - size - sizeof(*batch) -
                             batch->record.run_count * sizeof(struct record_run);
            assert_int_equal(entries, 2 * sizeof(batch->entries[0]) * (count - intake.begin));
            assert_true(batch->waits);
            assert_int_equal(producer->accepted, step->first + intake.end - 1);
            check_record(batch);
        }
        assert_int_equal(broker.next_position, model_position);
        batch_free(batch);
    }
    check_generation();
    assert_int_equal(broker.active->entry_count, model_entries);
    (void)zmq_msg_close(&frame);
}

static void run_row(void **state)
{
    const struct row *row = *state;
    static struct wire_run runs[WIRE_RUNS_MAX];
    memset(model, 0, sizeof(model));
    model_position = broker.next_position;
    model_entries = 0;
    for (size_t i = 0; i < STEPS && row->steps[i].first > 0; i++)
        send_step(&row->steps[i]);
    size_t count = producer_runs(producer, 1, UINT64_MAX - 1, runs);
    size_t expected = 0;
    while (expected < RUNS_HERE && row->runs[expected].count > 0)
        expected++;
    assert_int_equal(count, expected);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(runs[i].first, row->runs[i].first);
        assert_int_equal(runs[i].count, row->runs[i].count);
        assert_int_equal(runs[i].result, row->runs[i].result);
        assert_int_equal(runs[i].code, row->runs[i].code);
    }
}

/* -- frames that lie --------------------------------------------------------------------------- */

static void every_truncation_is_refused(void **state)
{
    (void)state;
    zmq_msg_t frame;
    struct wire_batch head = {.token = TOKEN, .first = 1, .base = 1, .count = 3};
    assert_int_equal(decode(&head, "a1=x b~ \"2=y:t", &frame), SPN_OK);
    const uint8_t *bytes = zmq_msg_data(&frame);
    size_t size = zmq_msg_size(&frame);
    for (size_t end = WIRE_HEADER_SIZE; end < size; end++) {
        struct wire_in in = wire_in(bytes + WIRE_HEADER_SIZE, end - WIRE_HEADER_SIZE);
        assert_int_equal(intake_decode(&intake, in), SPN_E_PROTOCOL);
    }
    assert_int_equal(producer->accepted, 0);
    (void)zmq_msg_close(&frame);
    head.count = 2;
    assert_int_equal(decode(&head, "a1=x b~ \"2=y:t", &frame), SPN_E_PROTOCOL);
    (void)zmq_msg_close(&frame);
    assert_int_equal(decode(&head, "\"1 a2", &frame), SPN_E_PROTOCOL);
    (void)zmq_msg_close(&frame);
}

/* Only earlier numbers can be depended on. */
static void depends_on_what_is_to_come(void **state)
{
    (void)state;
    static const char *const entries[] = {"a1 [d2]a2", "a1 [d3]a2", "a1 [d0]a2", "[d1]a1"};
    for (size_t i = 0; i < COUNT(entries); i++) {
        zmq_msg_t frame;
        struct wire_batch head = {
            .token = TOKEN, .first = 1, .base = 1, .count = count_entries(entries[i])};
        assert_int_equal(decode(&head, entries[i], &frame), SPN_E_PROTOCOL);
        (void)zmq_msg_close(&frame);
    }
}

/* What rests on a state is answered from disk: the commit comes soon, and nothing from there on is
 * acknowledged before it. */
static const struct decisive_row {
    const char *name;
    const char *entries;
    uint64_t end; /* what may be acknowledged at once */
} decisive_rows[] = {
    {"at once: events", "a1 b1 a2", 3},
    {"at once: a delete", "a1 Da", 2},
    {"from disk: new", "a1 [n]b1 a2", 1},
    {"from disk: a condition that fails", "a1 [n]a2 a3", 1},
    {"from disk: a duplicate", "a1 [n]a1 a3", 1},
    {"from disk: an event that closes", "a1 a2 [c]a3", 2},
    {"from disk: a close", "a1 Ca", 1},
    {"from disk: what depends", "a1 [d1]a2", 1},
    {"from disk: the first", "[s0]a1 a2", 0},
    {"at once: attributes and a touch", "Aa Ta", 2},
};

static void decisive(void **state)
{
    const struct decisive_row *row = *state;
    zmq_msg_t frame;
    struct batch *batch;
    struct wire_batch head = {.token = TOKEN,
                              .first = 1,
                              .base = 1,
                              .count = count_entries(row->entries),
                              .level = WIRE_ACCEPTED};
    assert_int_equal(decode(&head, row->entries, &frame), SPN_OK);
    assert_int_equal(take(&frame, &batch), INTAKE_TAKEN);
    assert_int_equal(batch->waits, row->end < head.count);
    assert_int_equal(producer_accepted_end(producer), row->end);
    batch_free(batch);
    (void)zmq_msg_close(&frame);
}

/* -- contents of entries ----------------------------------------------------------------------- */

static const char large_note[WIRE_NOTE_MAX];

/* Each number is refused by itself, and what is before it is taken. */
static const struct contents_row {
    const char *name;
    struct wire_entry entry;
    spn_err refusal;
} contents_rows[] = {
    {"attributes that are none",
     {.kind = WIRE_ATTRIBUTES, .data = {"data", 4}},
     SPN_E_BAD_ATTRIBUTES},
    {"a close with a bad reason",
     {.kind = WIRE_CLOSE, .flags = WIRE_FLAG_CLOSES, .reason = {"a\n", 2}},
     SPN_E_BAD_REASON},
    {"a close with the sidecar's own reason",
     {.kind = WIRE_CLOSE, .flags = WIRE_FLAG_CLOSES, .reason = {"idle", 4}},
     SPN_E_BAD_REASON},
    {"an event with the sidecar's own reason",
     {.kind = WIRE_EVENT, .flags = WIRE_FLAG_CLOSES, .reason = {"idle", 4}},
     SPN_E_BAD_REASON},
    {"an event with the largest note",
     {.kind = WIRE_EVENT, .flags = WIRE_FLAG_NOTE, .note = {large_note, WIRE_NOTE_MAX}},
     SPN_OK},
    {"a marker with a note", {.kind = WIRE_MARKER, .flags = WIRE_FLAG_NOTE}, SPN_OK},
    {"a close with a reason", {.kind = WIRE_CLOSE, .flags = WIRE_FLAG_CLOSES}, SPN_OK},
};

static void contents_of_an_entry(void **state)
{
    const struct contents_row *row = *state;
    struct wire_batch head = {.token = TOKEN, .first = 1, .base = 1, .count = 2};
    struct wire_entry event = {.kind = WIRE_EVENT, .session = text("a"), .id = text("1")};
    struct wire_entry entry = row->entry;
    bool bare = entry.kind != WIRE_EVENT && entry.kind != WIRE_MARKER;
    entry.session = text("a");
    entry.id = text(bare ? "" : "2");
    entry.retry_ms = WIRE_RETRY_NONE;
    entry.life = (struct spn_life){{1}};
    if (entry.note.size == 0)
        entry.note = text("note");
    struct wire_out out = wire_out(frame_bytes, sizeof(frame_bytes));
    wire_put_header(&out, WIRE_BATCH, 0);
    wire_put_batch(&out, &head);
    wire_put_entry(&out, &event);
    wire_put_entry(&out, &entry);
    assert_false(out.bad);
    zmq_msg_t frame;
    struct batch *batch;
    assert_int_equal(zmq_msg_init_size(&frame, wire_out_size(&out)), 0);
    memcpy(zmq_msg_data(&frame), frame_bytes, wire_out_size(&out));
    struct wire_in in = wire_in((uint8_t *)zmq_msg_data(&frame) + WIRE_HEADER_SIZE,
                                wire_out_size(&out) - WIRE_HEADER_SIZE);
    assert_int_equal(intake_decode(&intake, in), SPN_OK);
    assert_int_equal(take(&frame, &batch), INTAKE_TAKEN);
    assert_int_equal(intake.refusals[0], SPN_OK);
    assert_int_equal(intake.refusals[1], row->refusal);
    assert_int_equal(producer->accepted, 2);
    assert_int_equal(producer->run_count, row->refusal != SPN_OK);
    if (row->refusal != SPN_OK) {
        assert_int_equal(producer->runs[0].first, 2);
        assert_int_equal(producer->runs[0].result, WIRE_REFUSED);
        assert_int_equal(producer->runs[0].code, row->refusal);
    }
    batch_free(batch);
    (void)zmq_msg_close(&frame);
}

/* -- spans that are over ----------------------------------------------------------------------- */

#define MINUTE_NS 60000000000ull

static void take_all(uint64_t first, const char *entries)
{
    zmq_msg_t frame;
    struct batch *batch;
    struct wire_batch head = {
        .token = TOKEN, .first = first, .base = 1, .count = count_entries(entries)};
    assert_int_equal(decode(&head, entries, &frame), SPN_OK);
    assert_int_equal(take(&frame, &batch), INTAKE_TAKEN);
    assert_int_equal(intake.end, head.count);
    batch_free(batch);
    (void)zmq_msg_close(&frame);
}

/* One session ends, as the entry says, which has how far the session had come. */
static void expect_ended(uint8_t kind, const char *name, struct record_extent extent)
{
    struct batch *batch = intake_end_due(&intake);
    assert_non_null(batch);
    assert_int_equal(batch->entry_count, 1);
    assert_int_equal(batch->ends, kind == RECORD_EXPIRE); /* a close makes no room */
    assert_null(batch->producer);
    const struct batch_entry *entry = &batch->entries[0];
    const uint8_t *frame = zmq_msg_data(&batch->frame);
    assert_int_equal(entry->kind, kind);
    assert_int_equal(entry->name_size, strlen(name));
    assert_memory_equal(frame + entry->name_offset, name, entry->name_size);
    assert_true(wire_has_life(entry->life));
    assert_int_equal(entry->seq, extent.seq);
    assert_int_equal(entry->bytes, extent.bytes);
    assert_int_equal(entry->markers, extent.markers);
    assert_int_equal(entry->closes, kind == RECORD_CLOSE);
    assert_int_equal(entry->reason_size, kind == RECORD_CLOSE ? 4 : 0);
    assert_memory_equal(frame + entry->offset + entry->reason_at, "idle", entry->reason_size);
    assert_int_equal(batch->time_ns, now_ns + passed_ns);
    batch_free(batch);
    assert_null(intake_end_due(&intake));
}

static const struct tracker *tracker_of_a(void)
{
    uint32_t slot;
    struct spn_bytes name = text("a");
    if (sessions_find(&broker.sessions, name, sessions_hash(&broker.sessions, name), &slot) !=
        SESSIONS_HOT)
        return NULL;
    return broker.sessions.slots[slot].tracker;
}

static bool nothing_pinned(const void *owner, uint32_t slot)
{
    (void)owner;
    (void)slot;
    return false;
}

static void a_session_ends_by_itself(void **state)
{
    bool cold = *state != NULL; /* as its tracker is by then */
    static const struct record_extent extent = {.seq = 3, .bytes = 5, .markers = 1};
    take_all(1, "Aa");
    passed_ns = MINUTE_NS - 1;
    assert_null(intake_end_due(&intake));
    take_all(2,
             "a1=xyz Ma2 a3=zz Ta"); /* an event moves it, and so does a touch that is not stored */
    passed_ns += MINUTE_NS - 1;
    assert_null(intake_end_due(&intake));
    take_all(6, "Ta");
    passed_ns += MINUTE_NS - 1;
    assert_null(intake_end_due(&intake));
    take_all(7, "Aa"); /* attributes move it, too */
    passed_ns += MINUTE_NS - 1;
    assert_null(intake_end_due(&intake));
    for (int i = 0; cold && i < 2; i++)
        (void)sessions_evict(&broker.sessions, 0, 100, nothing_pinned, NULL);
    assert_int_equal(tracker_of_a() == NULL, cold);
    passed_ns += 1;
    expect_ended(RECORD_CLOSE, "a", extent);
    if (!cold)
        assert_true(tracker_of_a()->closed);
    passed_ns += 60 * MINUTE_NS - 1;
    assert_null(intake_end_due(&intake));
    passed_ns += 1;
    expect_ended(RECORD_EXPIRE, "a", extent);
    assert_int_equal(sessions_known(&broker.sessions), 0);
    assert_int_equal(broker.spans.count, 0);
    assert_int_equal(metrics_get(&metrics.sessions_closed_idle), 1);
    assert_int_equal(metrics_get(&metrics.sessions_expired), 1);
}

static void a_close_ends_the_idle_span(void **state)
{
    (void)state;
    take_all(1, "Aa Ab Ca [c]b1");
    passed_ns = 2 * MINUTE_NS;
    assert_null(intake_end_due(&intake));
    take_all(5, "Da Tb");
    passed_ns = 60 * MINUTE_NS;
    assert_null(intake_end_due(&intake));
    passed_ns += 2 * MINUTE_NS; /* the touch of a closed session moves its time to live */
    expect_ended(RECORD_EXPIRE, "b", (struct record_extent){.seq = 1});
}

/* Nothing ends without memory for it, and all does with it. */
static void no_memory_to_end_a_session(void **state)
{
    (void)state;
    take_all(1, "Aa");
    passed_ns = MINUTE_NS;
    allocations_left = 0;
    assert_null(intake_end_due(&intake));
    allocations_left = UINT32_MAX;
    assert_null(intake_end_due(&intake)); /* not at once again */
    passed_ns += INTAKE_RETRY_NS;
    expect_ended(RECORD_CLOSE, "a", (struct record_extent){.seq = 0});
}

/* More than one batch has of them, with the longest names. */
static void no_memory_to_end_many(void **state)
{
    enum { MANY = 2 * INTAKE_DUE_MAX };
    static char letters[WIRE_SESSION_MAX];
    struct spn_bytes name = {letters, sizeof(letters)};
    size_t ended = 0;
    struct batch *batch;
    (void)state;
    memset(letters, 'n', sizeof(letters));
    for (uint64_t i = 0; i < MANY; i++) {
        struct span_session session = {.epoch = 1 + i, .life = {{1}}, .name = name};
        struct span *span;
        memcpy(letters, &i, sizeof(i));
        uint64_t hash = sessions_hash(&broker.sessions, name);
        assert_int_equal(sessions_know(&broker.sessions, hash, session.epoch, &session.slot),
                         SPN_OK);
        assert_int_equal(spans_make(&broker.spans, &session, now_ns, &span), SPN_OK);
        spans_set(&broker.spans, span, MINUTE_NS, 0);
    }
    passed_ns = MINUTE_NS;
    allocations_left = 1; /* the batch */
    assert_null(intake_end_due(&intake));
    allocations_left = UINT32_MAX;
    assert_int_equal(broker.spans.count, MANY);
    passed_ns += INTAKE_RETRY_NS;
    while ((batch = intake_end_due(&intake)) != NULL) {
        ended += batch->entry_count;
        batch_free(batch);
    }
    assert_int_equal(ended, MANY);
    assert_int_equal(sessions_known(&broker.sessions), 0);
}

/* A touch that is not in the log keeps a session from the walk over the rows. */
static void a_touch_keeps_a_session(void **state)
{
    (void)state;
    static struct idle_sessions idle = {.count = 1, .sessions = {{.name_size = 1, .name = "a"}}};
    broker.spans.default_ttl_ns = MINUTE_NS;
    take_all(1, "a1 Ta Ta");
    idle.sessions[0].epoch = tracker_of_a()->epoch;
    generation_drop(broker.active); /* it was written */
    broker.active = generation_new(2);
    passed_ns = MINUTE_NS - 1;
    assert_null(intake_expire(&intake, NULL, &idle));
    take_all(4, "Ta"); /* stored */
    generation_drop(broker.active);
    broker.active = generation_new(3);
    passed_ns += MINUTE_NS / 8;
    take_all(5, "Ta"); /* not stored */
    passed_ns += MINUTE_NS - 1;
    assert_null(intake_expire(&intake, NULL, &idle));
    passed_ns += 1;
    struct batch *batch = intake_expire(&intake, NULL, &idle);
    assert_non_null(batch);
    assert_int_equal(batch->entries[0].kind, RECORD_EXPIRE);
    batch_free(batch);
}

/* Without randomness nothing is taken, as without memory. */
static void no_life_can_be_drawn(void **state)
{
    (void)state;
    zmq_msg_t frame;
    struct batch *batch;
    struct wire_batch head = {.token = TOKEN, .first = 1, .base = 1, .count = 2};
    no_random = true;
    assert_int_equal(decode(&head, "a1 b1", &frame), SPN_OK);
    assert_int_equal(take(&frame, &batch), INTAKE_TAKEN);
    assert_null(batch);
    assert_int_equal(producer->accepted, 0);
    no_random = false;
    assert_int_equal(take(&frame, &batch), INTAKE_TAKEN);
    assert_int_equal(producer->accepted, 2);
    batch_free(batch);
    (void)zmq_msg_close(&frame);
}

/* However many sessions a batch opens, each has a life that no other has. */
static void lives_are_drawn_for_whole_batches(void **state)
{
    (void)state;
    struct spn_life seen[2 * INTAKE_LIVES_STEP];
    size_t count = 0;
    for (uint64_t first = 1; count < COUNT(seen); first += 100) {
        struct wire_batch head = {.token = TOKEN, .first = first, .base = 1, .count = 100};
        struct wire_out out = wire_out(frame_bytes, sizeof(frame_bytes));
        wire_put_header(&out, WIRE_BATCH, 0);
        wire_put_batch(&out, &head);
        for (uint64_t i = first; i < first + 100; i++) {
            char name[24];
            (void)snprintf(name, sizeof(name), "%llu", (unsigned long long)i);
            wire_put_entry(&out, &(struct wire_entry){
                                     .kind = WIRE_EVENT, .session = text(name), .id = text("1")});
        }
        assert_false(out.bad);
        zmq_msg_t frame;
        struct batch *batch;
        assert_int_equal(zmq_msg_init_size(&frame, wire_out_size(&out)), 0);
        memcpy(zmq_msg_data(&frame), frame_bytes, wire_out_size(&out));
        struct wire_in in = wire_in((uint8_t *)zmq_msg_data(&frame) + WIRE_HEADER_SIZE,
                                    wire_out_size(&out) - WIRE_HEADER_SIZE);
        assert_int_equal(intake_decode(&intake, in), SPN_OK);
        assert_int_equal(take(&frame, &batch), INTAKE_TAKEN);
        for (uint32_t i = 0; i < batch->entry_count && count < COUNT(seen); i += 2) {
            assert_int_equal(batch->entries[i].kind, RECORD_OPEN);
            for (size_t j = 0; j < count; j++)
                assert_false(wire_same_life(batch->entries[i].life, seen[j]));
            seen[count++] = batch->entries[i].life;
        }
        batch_free(batch);
        (void)zmq_msg_close(&frame);
    }
}

/* The bytes of the entries, heads included, are bounded; a single one may have more. */
static const struct bytes_row {
    const char *name;
    uint32_t count;
    size_t bytes;
    spn_err err;
} bytes_rows[] = {
    {"as many bytes as a batch may have", 2, WIRE_BATCH_BYTES_MAX, SPN_OK},
    {"a byte more", 2, WIRE_BATCH_BYTES_MAX + 1, SPN_E_PROTOCOL},
    {"a byte more in one entry", 1, WIRE_BATCH_BYTES_MAX + 1, SPN_OK},
    {"many more in one entry", 1, 3 * WIRE_BATCH_BYTES_MAX, SPN_OK},
};

static void bytes_of_a_batch(void **state)
{
    const struct bytes_row *row = *state;
    size_t size = WIRE_BATCH_HEAD_SIZE + row->bytes;
    uint8_t *bytes = calloc(1, size);
    assert_non_null(bytes);
    struct wire_out out = wire_out(bytes, size);
    struct wire_batch head = {.token = TOKEN, .first = 1, .base = 1, .count = row->count};
    struct wire_entry small = {.kind = WIRE_EVENT, .session = text("a"), .id = text("1")};
    struct wire_entry large = small;
    size_t left = row->bytes;
    wire_put_batch(&out, &head);
    for (uint32_t i = 1; i < row->count; i++) {
        wire_put_entry(&out, &small);
        left -= wire_entry_size(&small);
    }
    large.data = (struct spn_bytes){calloc(1, left), left - wire_entry_size(&large)};
    assert_non_null(large.data.data);
    wire_put_entry(&out, &large);
    assert_false(out.bad);
    assert_int_equal(wire_out_size(&out), size);
    assert_int_equal(intake_decode(&intake, wire_in(bytes, size)), row->err);
    free((void *)(uintptr_t)large.data.data);
    free(bytes);
}

/* -- more results than a producer's record has room for ---------------------------------------- */

static struct batch *accept_what_fits(zmq_msg_t *frame)
{
    struct batch *batch;
    assert_int_equal(take(frame, &batch), INTAKE_TAKEN);
    return batch;
}

/* A batch ends where the runs are full, and the rest of it is taken once the base has risen. */
static void results_above_4096_runs_were_dropped(void **state)
{
    (void)state;
    zmq_msg_t frame;
    producer->accepted = 2 * RECORD_RUNS_MAX - 2;
    for (uint64_t number = 1; number < 2 * RECORD_RUNS_MAX - 2; number += 2)
        assert_int_equal(producer_note(producer, number, WIRE_CONFLICT, SPN_OK), SPN_OK);
    uint64_t first = producer->accepted + 1;
    struct wire_batch head = {
        .token = TOKEN, .first = first, .base = 1, .count = 6, .level = WIRE_DURABLE};
    assert_int_equal(decode(&head, "a1=x a1=y a2 a2=y a2=z a3=^", &frame), SPN_OK);
    struct batch *batch = accept_what_fits(&frame);
    assert_true(intake.held);
    assert_int_equal(batch->number_count,
                     3); /* stored, the last run that there is room for, stored */
    assert_int_equal(batch->record.run_count, RECORD_RUNS_MAX);
    assert_int_equal(zmq_msg_size(&batch->frame), zmq_msg_size(&frame));
    assert_int_equal(producer->accepted, first + 2);
    batch_free(batch);
    assert_null(accept_what_fits(&frame)); /* nothing more fits */
    assert_true(intake.held);
    assert_int_equal(producer->accepted, first + 2);
    producer_settle(producer, 3);
    batch = accept_what_fits(&frame);
    assert_true(intake.held);
    assert_int_equal(batch->number_count, 2); /* two conflicts: one run */
    batch_free(batch);
    assert_null(accept_what_fits(&frame)); /* a refusal needs a run too */
    assert_true(intake.held);
    producer_settle(producer, 5);
    batch = accept_what_fits(&frame);
    assert_false(intake.held);
    assert_int_equal(batch->number_count, 1);
    assert_int_equal(batch->record.runs[RECORD_RUNS_MAX - 1].first, first + 5);
    assert_int_equal(batch->record.runs[RECORD_RUNS_MAX - 1].code, SPN_E_BAD_DATA);
    assert_int_equal(batch->record.run_count, RECORD_RUNS_MAX);
    assert_int_equal(zmq_msg_size(&frame), 0);
    batch_free(batch);
    (void)zmq_msg_close(&frame);
}

/* -- sessions that are not in memory ----------------------------------------------------------- */

/* Of a session that was there before. */
static struct spn_life life_of(uint64_t epoch)
{
    struct spn_life life = {{0xee}};
    memcpy(life.bytes + 8, &epoch, sizeof(epoch));
    return life;
}

static uint32_t know(const char *name, uint64_t epoch)
{
    uint32_t slot;
    uint64_t hash = sessions_hash(&broker.sessions, text(name));
    assert_int_equal(sessions_know(&broker.sessions, hash, epoch, &slot), SPN_OK);
    return slot;
}

/* Back from disk with 40 events; id: one that its window knows, or NULL. */
static void put_tracker(uint32_t slot, const char *name, uint64_t epoch, const char *id)
{
    struct tracker *tracker = tracker_new(text(name), WINDOW);
    uint32_t tag = fingerprint_tag(text(""), text(""), secret);
    assert_non_null(tracker);
    tracker->epoch = epoch;
    tracker->life = life_of(epoch);
    tracker->seq = 40;
    tracker->bytes = 4000;
    if (id)
        assert_int_equal(tracker_add(&tracker, fingerprint_of(text(id), secret), tag), SPN_OK);
    sessions_put_tracker(&broker.sessions, slot, tracker);
}

static void cold_sessions(void **state)
{
    (void)state;
    zmq_msg_t frame;
    struct batch *batch;
    uint32_t slot_b = know("b", 500);
    uint32_t slot_d = know("d", 600);
    struct wire_batch head = {.token = TOKEN, .first = 1, .base = 1, .count = 7};
    assert_int_equal(decode(&head, "a1 b1 \"2 \"~ \"3 c1 d1", &frame), SPN_OK);
    expect_cold(&frame, (const uint32_t[]){1, 6}, 2);
    assert_int_equal(intake.slots[1], slot_b);
    assert_int_equal(intake.slots[6], slot_d);

    put_tracker(slot_b, "b", 500, "2");
    put_tracker(slot_d, "d", 600, NULL);
    assert_int_equal(take(&frame, &batch), INTAKE_TAKEN);
    assert_int_equal(producer->accepted, 7);
    /* a opened, a1, b1, b3, c opened, c1, d1: nothing opens a session that there is. */
    static const struct {
        uint8_t kind;
        uint64_t epoch;
        uint64_t seq;
    } stored[] = {{RECORD_OPEN, 1001, 0},  {RECORD_EVENT, 1001, 1}, {RECORD_EVENT, 500, 41},
                  {RECORD_EVENT, 500, 42}, {RECORD_OPEN, 1005, 0},  {RECORD_EVENT, 1005, 1},
                  {RECORD_EVENT, 600, 41}};
    assert_int_equal(batch->entry_count, COUNT(stored));
    for (size_t i = 0; i < COUNT(stored); i++) {
        assert_int_equal(batch->entries[i].kind, stored[i].kind);
        assert_int_equal(batch->entries[i].epoch, stored[i].epoch);
        assert_int_equal(batch->entries[i].seq, stored[i].seq);
    }
    assert_int_equal(batch->record.run_count, 2);
    batch_free(batch);
    (void)zmq_msg_close(&frame);
}

/* While a batch waits, its other sessions must not be evicted. */
static void wanted_while_it_waits(void **state)
{
    (void)state;
    zmq_msg_t frame;
    struct batch *batch;
    uint32_t slot_a = know("a", 500);
    uint32_t slot_b = know("b", 501);
    put_tracker(slot_a, "a", 500, "2");
    struct wire_batch head = {.token = TOKEN, .first = 1, .base = 1, .count = 3};
    assert_int_equal(decode(&head, "a1 b1 ?1", &frame), SPN_OK);
    expect_cold(&frame, (const uint32_t[]){1}, 1);
    assert_true(broker.sessions.slots[slot_a].tracker->wanted);
    put_tracker(slot_b, "b", 501, NULL);
    broker.sessions.slots[slot_b].tracker->wanted = true;
    assert_int_equal(intake_take(&intake, producer, &frame, true, &batch), INTAKE_TAKEN);
    assert_false(broker.sessions.slots[slot_a].tracker->wanted);
    assert_false(broker.sessions.slots[slot_b].tracker->wanted);
    batch_free(batch);
    (void)zmq_msg_close(&frame);
}

/* Each is asked for once, wherever it stands in the batch. */
static void cold_by_turns(void **state)
{
    (void)state;
    static const uint32_t firsts[] = {0, 1, 3};
    zmq_msg_t frame;
    know("a", 500);
    know("b", 501);
    know("c", 502);
    struct wire_batch head = {.token = TOKEN, .first = 1, .base = 1, .count = 7};
    assert_int_equal(decode(&head, "a1 b1 a2 c1 b2 a3 c2", &frame), SPN_OK);
    for (int again = 0; again < 2; again++)
        expect_cold(&frame, firsts, COUNT(firsts));
    (void)zmq_msg_close(&frame);
}

/* Two whose marks collide are two all the same. */
static void cold_and_alike(void **state)
{
    (void)state;
    uint32_t slot;
    zmq_msg_t frame;
    know("a", 500);
    for (uint64_t i = 1; i < INTAKE_MARKS; i++)
        assert_int_equal(sessions_know(&broker.sessions, i << 32, 500 + i, &slot), SPN_OK);
    assert_int_equal(know("b", 5) % INTAKE_MARKS, 0);
    struct wire_batch head = {.token = TOKEN, .first = 1, .base = 1, .count = 2};
    assert_int_equal(decode(&head, "a1 b1", &frame), SPN_OK);
    expect_cold(&frame, (const uint32_t[]){0, 1}, 2);
    (void)zmq_msg_close(&frame);
}

/* Contents that are refused need no disk; the next entry of the same session does. */
static void refused_in_a_cold_one(void **state)
{
    (void)state;
    zmq_msg_t frame;
    struct batch *batch;
    know("b", 500);
    struct wire_batch head = {.token = TOKEN, .first = 1, .base = 1, .count = 3};
    assert_int_equal(decode(&head, "a1 b~ a2", &frame), SPN_OK);
    assert_int_equal(take(&frame, &batch), INTAKE_TAKEN);
    assert_int_equal(batch->number_count, 3);
    batch_free(batch);
    (void)zmq_msg_close(&frame);
    head.first = 4;
    assert_int_equal(decode(&head, "b~ \"2 b3", &frame), SPN_OK);
    expect_cold(&frame, (const uint32_t[]){1}, 1);
    (void)zmq_msg_close(&frame);
}

/* -- levels, records, memory ------------------------------------------------------------------- */

static void who_waits(void **state)
{
    (void)state;
    for (unsigned level = WIRE_NONE; level <= WIRE_DURABLE; level++) {
        zmq_msg_t frame;
        struct batch *batch;
        struct wire_batch head = {
            .token = TOKEN, .first = level + 1, .base = 1, .count = 1, .level = (uint8_t)level};
        assert_int_equal(decode(&head, "a1", &frame), SPN_OK);
        assert_int_equal(take(&frame, &batch), INTAKE_TAKEN);
        assert_int_equal(batch->waits, level == WIRE_DURABLE);
        batch_free(batch);
        (void)zmq_msg_close(&frame);
    }
}

/* A refusal is waited for at every level, whatever its reason. */
static void who_is_refused_waits(void **state)
{
    (void)state;
    for (unsigned level = WIRE_NONE; level <= WIRE_DURABLE; level++) {
        zmq_msg_t frame;
        struct batch *batch;
        struct wire_batch head = {
            .token = TOKEN, .first = level + 1, .base = 1, .count = 1, .level = (uint8_t)level};
        assert_int_equal(decode(&head, level == WIRE_NONE ? "a~" : "Ca", &frame), SPN_OK);
        assert_int_equal(take(&frame, &batch), INTAKE_TAKEN);
        assert_non_null(batch);
        assert_true(batch->waits);
        assert_int_equal(batch->entry_count, 0);
        assert_int_equal(batch->number_count, 1);
        assert_int_equal(batch->record.number, level + 1);
        batch_free(batch);
        (void)zmq_msg_close(&frame);
    }
}

static void refusals_are_counted_by_reason(void **state)
{
    (void)state;
    zmq_msg_t frame;
    struct batch *batch;
    struct wire_batch head = {.token = TOKEN, .first = 1, .base = 1, .count = 9};
    memset(model, 0, sizeof(model));
    assert_int_equal(decode(&head, "a1 Cb a2=^ ?1 Ca a3 a4 Ca> a1", &frame), SPN_OK);
    assert_int_equal(take(&frame, &batch), INTAKE_TAKEN);
    assert_int_equal(metrics_get(&metrics.refused_contents), 2);
    assert_int_equal(metrics_get(&metrics.refused_unknown_session), 1);
    assert_int_equal(metrics_get(&metrics.refused_closed), 2);
    assert_int_equal(metrics_get(&metrics.refused_other_epoch), 1);
    assert_int_equal(metrics_get(&metrics.duplicates), 1);
    assert_int_equal(metrics_get(&metrics.events_accepted), 9);
    batch_free(batch);
    (void)zmq_msg_close(&frame);
}

enum damage { WHOLE, GIVEN_UP, LIFE_LOST };

/* A session that comes back from disk as a closed one, or is deleted as soon as it is back. */
static const struct cold_end_row {
    const char *name;
    const char *entries;
    bool closed;
    spn_err refusal;
    uint8_t kind; /* of the first entry; 0: none */
    enum damage damage;
} cold_end_rows[] = {
    {"a cold one is closed", "Ca", false, SPN_OK, RECORD_CLOSE, WHOLE},
    {"a cold one is closed by its life", "Ca@", false, SPN_OK, RECORD_CLOSE, WHOLE},
    {"a cold one is closed by another", "Ca>", false, SPN_E_OTHER_LIFE, 0, WHOLE},
    {"a cold one was closed already", "Ca", true, SPN_OK, 0, WHOLE},
    {"an event for a cold closed one", "a1", true, SPN_E_CLOSED, 0, WHOLE},
    {"a duplicate for a cold closed one", "a2", true, SPN_OK, 0, WHOLE},
    {"a cold one is deleted", "Da", false, SPN_OK, RECORD_DELETE, WHOLE},
    {"a cold closed one is deleted", "Da", true, SPN_OK, RECORD_DELETE, WHOLE},
    {"a cold one is deleted by another", "Da<", false, SPN_E_OTHER_LIFE, 0, WHOLE},
    {"one given up is deleted by its life", "Da@", false, SPN_OK, RECORD_DELETE, GIVEN_UP},
    {"one given up is deleted by another", "Da>", false, SPN_E_OTHER_LIFE, 0, GIVEN_UP},
    {"one without a life is deleted by its life", "Da@", false, SPN_OK, RECORD_DELETE, LIFE_LOST},
    {"one given up is deleted at a seq", "[s40]Da", false, SPN_E_CORRUPT, 0, GIVEN_UP},
    {"one given up is closed by its life", "Ca@", false, SPN_E_CORRUPT, 0, GIVEN_UP},
    {"one given up is closed by another", "Ca>", false, SPN_E_CORRUPT, 0, GIVEN_UP},
    {"one without a life is closed by its life", "Ca@", false, SPN_E_CORRUPT, 0, LIFE_LOST},
    {"one given up is touched by another life", "[>]Ta", false, SPN_E_CORRUPT, 0, GIVEN_UP},
    {"one without a life is touched by its life", "[@]Ta", false, SPN_E_CORRUPT, 0, LIFE_LOST},
    {"one given up gets attributes as a new one", "[n]Aa", false, SPN_E_CORRUPT, 0, GIVEN_UP},
    {"one without a life gets attributes", "[@]Aa", false, SPN_E_CORRUPT, 0, LIFE_LOST},
    {"an event for one given up, by another life", "[>]a1", false, SPN_E_CORRUPT, 0, GIVEN_UP},
};

static void cold_end(void **state)
{
    const struct cold_end_row *row = *state;
    zmq_msg_t frame;
    struct batch *batch;
    uint32_t slot = know("a", 500);
    memset(model, 0, sizeof(model));
    model['a'] = (struct model_session){
        .epoch = 500, .before = 400, .life = life_of(500), .life_before = life_of(400)};
    struct wire_batch head = {.token = TOKEN, .first = 1, .base = 1, .count = 1};
    assert_int_equal(decode(&head, row->entries, &frame), SPN_OK);
    expect_cold(&frame, (const uint32_t[]){0}, 1); /* also for those it must be known */
    put_tracker(slot, "a", 500, "2");
    struct tracker *tracker = broker.sessions.slots[slot].tracker;
    tracker->closed = row->closed;
    tracker->damaged = row->damage != WHOLE;
    if (row->damage == LIFE_LOST)
        tracker->life = (struct spn_life){{0}};
    assert_int_equal(take(&frame, &batch), INTAKE_TAKEN);
    assert_int_equal(producer->run_count > 0 ? producer->runs[0].code : SPN_OK, row->refusal);
    assert_int_equal(batch->entry_count, row->kind != 0);
    if (row->kind != 0) {
        assert_int_equal(batch->entries[0].kind, row->kind);
        assert_int_equal(batch->entries[0].epoch, 500);
        assert_int_equal(batch->entries[0].seq, 40);
        assert_int_equal(batch->entries[0].bytes, 4000);
    }
    batch_free(batch);
    (void)zmq_msg_close(&frame);
}

/* What was given up takes nothing but a delete; the rest of the batch does not suffer. */
static void damaged_one(void **state)
{
    (void)state;
    zmq_msg_t frame;
    struct batch *batch;
    put_tracker(know("a", 500), "a", 500, NULL);
    broker.sessions.slots[0].tracker->damaged = true;
    struct wire_batch head = {.token = TOKEN, .first = 1, .base = 1, .count = 6};
    assert_int_equal(decode(&head, "b1 a1 Ca Da a1 b2", &frame), SPN_OK);
    assert_int_equal(take(&frame, &batch), INTAKE_TAKEN);
    assert_int_equal(batch->number_count, 6);
    assert_int_equal(producer->run_count, 1);
    assert_int_equal(producer->runs[0].first, 2);
    assert_int_equal(producer->runs[0].count, 2);
    assert_int_equal(producer->runs[0].result, WIRE_REFUSED);
    assert_int_equal(producer->runs[0].code, SPN_E_CORRUPT);
    assert_int_equal(metrics_get(&metrics.refused_damaged), 2);
    batch_free(batch);
    (void)zmq_msg_close(&frame);
}

/* -- sessions that expire ---------------------------------------------------------------------- */

enum touched_in { NOWHERE, ACTIVE, FROZEN, BOTH, BEFORE };

/* Session `a` as it is when the worker says that a life of epoch 500 was idle too long. */
static const struct expire_row {
    const char *name;
    enum sessions_found found;
    uint64_t epoch; /* that it has by now */
    enum touched_in touched;
    bool expires;
} expire_rows[] = {
    {"a cold one expires", SESSIONS_COLD, 500, NOWHERE, true},
    {"a hot one expires", SESSIONS_HOT, 500, NOWHERE, true},
    {"a hot one touched before both generations expires", SESSIONS_HOT, 500, BEFORE, true},
    {"a cold one touched before both generations expires", SESSIONS_COLD, 500, BEFORE, true},
    {"a hot one in the active generation stays", SESSIONS_HOT, 500, ACTIVE, false},
    {"a hot one in the frozen generation stays", SESSIONS_HOT, 500, FROZEN, false},
    {"a hot one in both stays", SESSIONS_HOT, 500, BOTH, false},
    {"a cold one in the active generation stays", SESSIONS_COLD, 500, ACTIVE, false},
    {"a cold one in the frozen generation stays", SESSIONS_COLD, 500, FROZEN, false},
    {"a hot one in its next life stays", SESSIONS_HOT, 900, NOWHERE, false},
    {"a cold one in its next life stays", SESSIONS_COLD, 900, NOWHERE, false},
    {"one that was deleted meanwhile", SESSIONS_HOT, 0, NOWHERE, false},
    {"one that is not there any more", SESSIONS_ABSENT, 0, NOWHERE, false},
};

static void touch(struct generation *generation, uint32_t slot, uint64_t epoch)
{
    (void)generation_touch(generation, &broker.sessions.slots[slot], slot, epoch);
}

static void put_session(const struct expire_row *row, struct generation *frozen)
{
    if (row->found == SESSIONS_ABSENT)
        return;
    uint32_t slot = know("a", row->epoch);
    if (row->found == SESSIONS_HOT)
        put_tracker(slot, "a", row->epoch, NULL);
    if (row->touched == ACTIVE || row->touched == BOTH)
        touch(broker.active, slot, row->epoch);
    if (row->touched == FROZEN || row->touched == BOTH)
        touch(frozen, slot, row->epoch);
    /* A place that has been another's since. */
    if (row->touched == BEFORE) {
        touch(broker.active, slot, row->epoch);
        broker.active->sessions[0].slot = slot + 1;
    }
}

static struct idle_sessions *new_idle(const char *const *names, const uint64_t *epochs,
                                      size_t count)
{
    struct idle_sessions *idle = calloc(1, sizeof(*idle));
    assert_non_null(idle);
    idle->count = count;
    for (size_t i = 0; i < count; i++) {
        idle->sessions[i].epoch = epochs[i];
        idle->sessions[i].life = life_of(epochs[i]);
        idle->sessions[i].extent = (struct record_extent){.seq = 40, .bytes = 4000, .markers = 2};
        idle->sessions[i].name_size = (uint8_t)strlen(names[i]);
        memcpy(idle->sessions[i].name, names[i], strlen(names[i]));
    }
    return idle;
}

static void check_expired(const struct batch *batch)
{
    assert_non_null(batch);
    assert_null(batch->producer);
    assert_int_equal(batch->number_count, 0);
    assert_false(batch->waits);
    assert_int_equal(batch->time_ns, now_ns);
    assert_int_equal(batch->first_position, 1001);
    assert_int_equal(batch->entry_count, 1);
    assert_int_equal(batch->entries[0].kind, RECORD_EXPIRE);
    assert_int_equal(batch->entries[0].epoch, 500);
    assert_int_equal(batch->entries[0].seq, 40);
    assert_int_equal(batch->entries[0].bytes, 4000);
    assert_int_equal(batch->entries[0].markers, 2);
    assert_int_equal(batch->entries[0].id_size, 0);
    assert_int_equal(batch->entries[0].data_size, 0);
    assert_true(wire_same_life(batch->entries[0].life, life_of(500)));
    const uint8_t *frame = zmq_msg_data((zmq_msg_t *)(uintptr_t)&batch->frame);
    assert_int_equal(batch->entries[0].name_size, 1);
    assert_int_equal(frame[batch->entries[0].name_offset], 'a');
    uint32_t place = broker.active->session_count - 1;
    assert_int_equal(broker.active->sessions[place].epoch, 500);
    assert_int_equal(broker.active->sessions[place].state, RECORD_DELETED);
    assert_int_equal(broker.active->sessions[place].state_position, 1001);
}

static void expire(void **state)
{
    const struct expire_row *row = *state;
    struct generation *frozen = generation_new(broker.active->serial + 1);
    assert_non_null(frozen);
    put_session(row, frozen);
    uint32_t known = sessions_known(&broker.sessions);
    struct idle_sessions *idle = new_idle((const char *const[]){"a"}, (const uint64_t[]){500}, 1);
    struct batch *batch = intake_expire(&intake, frozen, idle);
    uint32_t slot;
    uint64_t hash = sessions_hash(&broker.sessions, text("a"));
    if (row->expires)
        check_expired(batch);
    else
        assert_null(batch);
    assert_int_equal(sessions_find(&broker.sessions, text("a"), hash, &slot),
                     row->expires ? SESSIONS_ABSENT : row->found);
    assert_int_equal(sessions_known(&broker.sessions), known - row->expires);
    assert_int_equal(broker.next_position, 1001 + row->expires);
    assert_int_equal(metrics_get(&metrics.sessions_expired), row->expires);
    batch_free(batch);
    free(idle);
    generation_drop(frozen);
}

/* Of several, also of one hash, each is decided by itself; what expired is opened anew. */
static void expire_several(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c", "d", "a"};
    static const uint64_t epochs[] = {500, 501, 502, 503, 499};
    uint32_t slots[4];
    uint32_t slot;
    for (uint32_t i = 0; i < 4; i++)
        slots[i] = know(names[i], epochs[i]);
    uint64_t hash = sessions_hash(&broker.sessions, text("a"));
    assert_int_equal(sessions_know(&broker.sessions, hash, 600, &slot), SPN_OK);
    touch(broker.active, slots[1], 501);
    put_tracker(slots[2], "c", 502, NULL);
    struct idle_sessions *idle = new_idle(names, epochs, COUNT(names));
    struct batch *batch = intake_expire(&intake, NULL, idle);
    assert_non_null(batch);
    assert_int_equal(batch->entry_count, 3);
    assert_int_equal(batch->entries[0].epoch, 500);
    assert_int_equal(batch->entries[1].epoch, 502);
    assert_int_equal(batch->entries[2].epoch, 503);
    assert_int_equal(sessions_known(&broker.sessions), 2);
    assert_int_equal(sessions_find_epoch(&broker.sessions, hash, 600), slot);
    batch_free(batch);
    assert_null(intake_expire(&intake, NULL, idle)); /* they are gone */
    free(idle);
    memset(model, 0, sizeof(model));
    model_position = 1004;
    model_entries = 0;
    send_step(&(struct script_step){.first = 1, .entries = "c1=x c2=y", .became = "ss"});
}

static void expire_without_memory(void **state)
{
    (void)state;
    know("a", 500);
    struct idle_sessions *idle = new_idle((const char *const[]){"a"}, (const uint64_t[]){500}, 1);
    allocations_left = 0;
    assert_null(intake_expire(&intake, NULL, idle));
    allocations_left = UINT32_MAX;
    assert_int_equal(broker.next_position, 1001);
    struct batch *batch = intake_expire(&intake, NULL, idle); /* it is found again */
    assert_non_null(batch);
    batch_free(batch);
    free(idle);
}

static void record_batch(void **state)
{
    (void)state;
    producer->accepted = 9;
    producer->base = 4;
    assert_int_equal(producer_note(producer, 5, WIRE_CONFLICT, SPN_OK), SPN_OK);
    struct batch *batch = intake_producer_batch(&intake, producer);
    assert_non_null(batch);
    assert_int_equal(batch->entry_count, 0);
    assert_int_equal(batch->number_count, 0);
    assert_true(batch->waits);
    check_record(batch);
    batch_free(batch);
    for (unsigned granted = 0; granted < 2; granted++) {
        allocations_left = granted;
        assert_null(intake_producer_batch(&intake, producer));
        allocations_left = UINT32_MAX;
    }
    batch_free(NULL);
}

/* Whichever allocation fails: what is in the batch was taken, the rest comes again, and in the end
 * every event was stored once. */
static void without_memory(void **state)
{
    (void)state;
    enum { EVENTS = 60 };
    char entries[EVENTS * 4 + 1] = "";
    for (int i = 0; i < EVENTS; i++)
        (void)snprintf(entries + 3 * i, 4, "%c%c ", 'a' + i % 13, '0' + i / 13 % 10);
    entries[3 * EVENTS - 1] = '\0';
    bool failed_once = false;
    uint64_t stored = 0;
    for (unsigned granted = 0; producer->accepted < EVENTS; granted++) {
        zmq_msg_t frame;
        struct batch *batch = (struct batch *)&frame;
        uint64_t before = producer->accepted;
        struct wire_batch head = {.token = TOKEN, .first = 1, .base = 1, .count = EVENTS};
        assert_int_equal(decode(&head, entries, &frame), SPN_OK);
        allocations_left = granted % 9;
        assert_int_equal(take(&frame, &batch), INTAKE_TAKEN);
        bool failed = allocations_left == 0;
        allocations_left = UINT32_MAX;
        failed_once = failed_once || failed;
        assert_true(failed || producer->accepted == EVENTS);
        if (batch) {
            assert_int_equal(batch->number_count, producer->accepted - before);
            assert_int_equal(batch->record.number, producer->accepted);
            for (uint32_t i = 0; i < batch->entry_count; i++)
                stored += batch->entries[i].kind == RECORD_EVENT;
        } else {
            assert_int_equal(producer->accepted, before);
        }
        batch_free(batch);
        (void)zmq_msg_close(&frame);
    }
    assert_true(failed_once);
    assert_int_equal(stored, EVENTS);
    assert_int_equal(producer->run_count, 0); /* none was a duplicate */
    assert_int_equal(broker.next_position, 1001 + EVENTS + 13);
}

/* The same with numbers whose results must be written: an id comes twice. Memory may run out when
 * all numbers are taken. */
static void without_memory_for_the_record(void **state)
{
    (void)state;
    bool with_spare = false;
    for (unsigned i = 0; i < 48; i++) {
        zmq_msg_t frame;
        struct batch *batch = NULL;
        uint64_t first = producer->accepted + 1;
        struct wire_batch head = {.token = TOKEN, .first = first, .base = 1, .count = 2};
        assert_int_equal(decode(&head, "a1=x a1=x", &frame), SPN_OK);
        allocations_left = i / 2 % 12; /* each number twice: the second time the spare is used */
        assert_int_equal(take(&frame, &batch), INTAKE_TAKEN);
        with_spare = with_spare || (batch && allocations_left == 0 && !intake.spare_runs);
        bool failed = allocations_left == 0;
        allocations_left = UINT32_MAX;
        assert_true(batch || (failed && producer->accepted < first));
        if (batch)
            check_record(batch);
        batch_free(batch);
        (void)zmq_msg_close(&frame);
    }
    assert_true(with_spare);
}

static void largest_batch(void **state)
{
    (void)state;
    static char entries[WIRE_BATCH_EVENTS_MAX * 5 + 1];
    static char became[WIRE_BATCH_EVENTS_MAX + 1];
    for (int i = 0; i < WIRE_BATCH_EVENTS_MAX; i++) {
        (void)snprintf(entries + 5 * i, 6, "%c%c=x ", 'a' + i % 26, 'A' + i / 26 % 20);
        became[i] = 's';
    }
    entries[5 * WIRE_BATCH_EVENTS_MAX - 1] = '\0';
    memset(model, 0, sizeof(model));
    model_position = broker.next_position;
    model_entries = 0;
    send_step(&(struct script_step){.first = 1, .entries = entries, .became = became});
}

/* -- all of them ------------------------------------------------------------------------------- */

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test_setup_teardown(every_truncation_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cold_sessions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wanted_while_it_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cold_by_turns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cold_and_alike, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused_in_a_cold_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_refused_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusals_are_counted_by_reason, set_up, tear_down),
        cmocka_unit_test_setup_teardown(results_above_4096_runs_were_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(depends_on_what_is_to_come, set_up, tear_down),
        {"a session ends by itself", a_session_ends_by_itself, set_up, tear_down, NULL},
        {"a cold session ends by itself", a_session_ends_by_itself, set_up_cold, tear_down, NULL},
        cmocka_unit_test_setup_teardown(a_close_ends_the_idle_span, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_memory_to_end_a_session, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_memory_to_end_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_touch_keeps_a_session, set_up, tear_down),
        cmocka_unit_test_setup_teardown(expire_several, set_up, tear_down),
        cmocka_unit_test_setup_teardown(expire_without_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(record_batch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_for_the_record, set_up, tear_down),
        cmocka_unit_test_setup_teardown(largest_batch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_life_can_be_drawn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lives_are_drawn_for_whole_batches, set_up, tear_down),
    };
    struct CMUnitTest tests[COUNT(plain) + COUNT(rows) + COUNT(bytes_rows) + COUNT(cold_end_rows) +
                            COUNT(expire_rows) + COUNT(contents_rows) + COUNT(decisive_rows)];
    memcpy(tests, plain, sizeof(plain));
    size_t count = COUNT(plain);
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[count++] = (struct CMUnitTest){rows[i].name, run_row, set_up, tear_down,
                                             (void *)(uintptr_t)&rows[i]};
    for (size_t i = 0; i < COUNT(bytes_rows); i++)
        tests[count++] = (struct CMUnitTest){bytes_rows[i].name, bytes_of_a_batch, set_up,
                                             tear_down, (void *)(uintptr_t)&bytes_rows[i]};
    for (size_t i = 0; i < COUNT(cold_end_rows); i++)
        tests[count++] = (struct CMUnitTest){cold_end_rows[i].name, cold_end, set_up, tear_down,
                                             (void *)(uintptr_t)&cold_end_rows[i]};
    for (size_t i = 0; i < COUNT(expire_rows); i++)
        tests[count++] = (struct CMUnitTest){expire_rows[i].name, expire, set_up, tear_down,
                                             (void *)(uintptr_t)&expire_rows[i]};
    for (size_t i = 0; i < COUNT(decisive_rows); i++)
        tests[count++] = (struct CMUnitTest){decisive_rows[i].name, decisive, set_up, tear_down,
                                             (void *)(uintptr_t)&decisive_rows[i]};
    for (size_t i = 0; i < COUNT(contents_rows); i++)
        tests[count++] = (struct CMUnitTest){contents_rows[i].name, contents_of_an_entry, set_up,
                                             tear_down, (void *)(uintptr_t)&contents_rows[i]};
    return _cmocka_run_group_tests("intake", tests, count, NULL, NULL);
}
