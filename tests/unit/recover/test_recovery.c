/* SPDX-License-Identifier: Apache-2.0 */
/* test_recovery: after a restart the broker's state is what it was.
 *
 * A script makes a log with segments, finished and not. The rig's sessions, which lived through it,
 * say what recovery must find. What it found is then written as a segment, and everything read
 * back from the index. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALLOCATIONS_CALLOC
#include "allocations.h"
#include "log_rig.h"
#include "ingest/sender.h"
#include "recover/recovery.h"
#include "index/segment.h"
#include "index/timeline.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { CLOSED = 3, DELETED = 4, EXPIRED = 5 }; /* what becomes of these sessions */
enum { SESSIONS = 120, WINDOW = 16, SEED = 5, POSITIONS_MAX = 8000, OVERFLOW = 100 };

static struct rig rig;
static struct broker_state broker;
static bool recovered;

static int tear_down(void **state)
{
    (void)state;
    if (recovered)
        recovery_release(&broker);
    recovered = false;
    rig_release(&rig);
    return 0;
}

/* -- a disk that is full ----------------------------------------------------------------------- */

static unsigned failures_left;

spn_err __real_journal_begin(struct journal *journal);
spn_err __wrap_journal_begin(struct journal *journal);

spn_err __wrap_journal_begin(struct journal *journal)
{
    if (failures_left == 0)
        return __real_journal_begin(journal);
    failures_left -= failures_left < UINT32_MAX;
    return SPN_E_DISK_FULL;
}

/* -- scripts ----------------------------------------------------------------------------------- */

/* m some 200 events of sessions, old and new, the first one among them · n openings only · F freeze
 * W write · h write up to the first session's row, and no further · H up to the newest session's ·
 * B write, but for burying · c close a session, d delete one, x let one expire, k delete the closed
 * one; m opens those that are gone anew */
static const char *const scripts[] = {
    "",
    "m",
    "n",
    "mFW",
    "mFWm",
    "mmmm",
    "mFWmFWm",
    "nFWm",
    "mFWnFW",
    "mFWF",
    "mFh",
    "mFhm",
    "mFWmFh",
    "mFWmFhm",
    "mnFWnmFhnm",
    "mFWmFWmFWmFh",
    "mFWnFWmn",
    /* closed: before, at and behind the checkpoint; in a segment that is not finished */
    "mcmFW",
    "mEmFW",
    "mFWE",
    "mFHE",
    "mFWcFW",
    "mFWmcFWm",
    "mFWc",
    "mFWcm",
    "mFWcmFh",
    "mFWcmFH",
    "mFWcmFHm",
    "mFHc",
    /* deleted */
    "mdFW",
    "mFWdFW",
    "mFWmdFW",
    "mFWd",
    "mFWdm",
    "mFWdFWm",
    "mFWdmFW",
    "mFWdmFh",
    "mFWdmFH",
    "mFWdmFHm",
    "mFHd",
    "mFHdm",
    "mdm",
    "mdmdmdm",
    "mFWdmdmdFW",
    "mFWdmdmdmFH",
    /* expired */
    "mxFW",
    "mFWxFW",
    "mFWx",
    "mFWxm",
    "mFWxmFW",
    "mFWxmFH",
    /* closed, and then deleted */
    "mckFW",
    "mFWckFW",
    "mFWck",
    "mFWckm",
    "mFWckmFH",
    "mFWcFWk",
    "mFWcFWkFW",
    "mFWcFWkm",
    /* not buried */
    "mFWdFB",
    "mFWdmFB",
    "mFWdxFBm",
    "mFWxmFBmd",
    "mFWcFWkFB",
    "mFWckmFBmFW",
    "mFWdFBmFWdmFB",
    "mcdxFWmckdxFH",
    "mcdxFWmkdxFBmkdx",
};

static uint32_t session_limit; /* sessions from it on have not been used */

static void mix(void)
{
    static uint64_t random;
    random = random * 6364136223846793005u + 1442695040888963407u + rig.next_position;
    if (session_limit + 25 <= SESSIONS)
        session_limit += 25;
    for (int i = 0; i < 200; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint32_t session = (uint32_t)(random >> 33) % session_limit;
        if (i % 20 == 0)
            session = 0;
        const struct rig_session *of = &rig.sessions[session];
        if (of->closed_position > 0)
            continue;
        if (i % 9 == 0 && of->count > 0) /* a duplicate, or long ago and new */
            rig_event(&rig, session, of->events[(random >> 40) % of->count].id, NULL);
        else
            rig_event(&rig, session, NULL, NULL);
    }
}

static void open_some(void)
{
    for (int i = 0; i < 5 && session_limit < SESSIONS; i++, session_limit++)
        rig_open_session(&rig, session_limit);
}

/* The session with the highest epoch that has an event in the frozen generation. */
static uint32_t newest_touched(void)
{
    uint32_t newest = 0;
    for (uint32_t i = 0; i < SESSIONS; i++) {
        const struct rig_session *of = &rig.sessions[i];
        const struct generation_session *touched = generation_find(rig.frozen, &of->session, i);
        if (touched && touched->epoch == of->epoch && touched->count > 0 &&
            of->epoch > rig.sessions[newest].epoch)
            newest = i;
    }
    return newest;
}

/* Rows and names of the deleted as they were, with the word that they are. */
static void put_back(const struct generation_session *dead, struct record_row row)
{
    struct journal_reader *reader;
    uint64_t epoch;
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    bool named = journal_read_name(reader, row.name, &epoch) == SPN_OK;
    journal_reader_close(reader);
    row.state = RECORD_DELETED;
    row.state_position = dead->state_position;
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(journal_put_row(rig.journal, dead->epoch, &row), SPN_OK);
    if (!named)
        assert_int_equal(journal_put_name(rig.journal, row.name, dead->epoch), SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
}

/* As a crash leaves it that comes between the checkpoint and the burials. */
static void write_without_burials(void)
{
    static struct record_row saved[GENERATION_SESSIONS_MAX / 1024];
    const struct generation *generation = rig.frozen;
    assert_true(generation->session_count <= COUNT(saved));
    rig_commit(&rig);
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    for (uint32_t i = 0; i < generation->session_count; i++) {
        saved[i] = (struct record_row){.seq = 0};
        if (generation->sessions[i].state == RECORD_DELETED &&
            journal_get_row(rig.journal, generation->sessions[i].epoch, &saved[i]) == SPN_OK) {
            saved[i].name = rig_name(&rig, generation->sessions[i].slot);
            saved[i].last_id = rig_text("id");
        }
    }
    journal_abort(rig.journal);
    rig_write_frozen(&rig);
    for (uint32_t i = 0; i < generation->session_count; i++)
        if (saved[i].name.size > 0)
            put_back(&generation->sessions[i], saved[i]);
}

/* c, d, x, k, and E: closed by an event. */
static void end_one(char how)
{
    static const enum record_kind kinds[] = {
        ['c'] = RECORD_CLOSE, ['d'] = RECORD_DELETE, ['k'] = RECORD_DELETE, ['x'] = RECORD_EXPIRE};
    uint32_t session = how == 'd' ? DELETED : how == 'x' ? EXPIRED : CLOSED;
    if (rig.sessions[session].epoch == 0) /* the mix has not come to it */
        rig_event(&rig, session, NULL, NULL);
    if (how == 'E' && rig.sessions[session].closed_position == 0)
        rig_closing_event(&rig, session);
    else if (how != 'E' && (how != 'c' || rig.sessions[session].closed_position == 0))
        rig_end(&rig, session, kinds[(unsigned char)how]);
}

static void write_frozen(char how)
{
    if (how == 'h')
        rig_write_up_to_row(&rig, 0);
    else if (how == 'H')
        rig_write_up_to_row(&rig, newest_touched());
    else if (how == 'B')
        write_without_burials();
    else
        rig_write_frozen(&rig);
    rig_drop_frozen(&rig);
}

static void run_script(const char *script)
{
    session_limit = 0;
    rig_init(&rig, SESSIONS, WINDOW);
    for (const char *step = script; *step != '\0'; step++) {
        if (*step == 'm')
            mix();
        else if (*step == 'n')
            open_some();
        else if (*step == 'F')
            rig_freeze(&rig);
        else if (strchr("cdxkE", *step))
            end_one(*step);
        else
            write_frozen(*step);
    }
    rig_commit(&rig);
    rig_close(&rig);
    rig_open(&rig);
}

static struct recovered recover(void)
{
    struct recovered found = {.entries = UINT64_MAX};
    assert_int_equal(recovery_run(&broker, rig.journal, WINDOW, SEED, &found), SPN_OK);
    recovered = true;
    return found;
}

/* -- what must be found ------------------------------------------------------------------------ */

static uint32_t tag_of(const struct rig_session *of, const struct rig_event *event)
{
    uint32_t tag = rig_tag(&rig, event->data);
    bool closes = event->position == of->closed_position;
    const uint8_t *secret = journal_meta(rig.journal)->secret;
    return closes ? fingerprint_closing(tag, rig_text(RIG_REASON), secret) : tag;
}

static void check_tracker(const struct rig_session *of, const struct tracker *tracker)
{
    assert_int_equal(tracker->epoch, of->epoch);
    assert_true(wire_same_life(tracker->life, of->life));
    assert_int_equal(tracker->seq, of->count);
    assert_int_equal(tracker->bytes, of->bytes);
    assert_int_equal(tracker->closed, of->closed_position > 0);
    assert_int_equal(tracker->window_max, WINDOW);
    assert_int_equal(tracker->count, of->tracker->count);
    for (size_t i = 0; i < of->count; i++) {
        struct fingerprint id = rig_fingerprint(&rig, of->events[i].id);
        assert_int_equal(tracker_check(tracker, id, tag_of(of, &of->events[i])),
                         tracker_check(of->tracker, id, tag_of(of, &of->events[i])));
    }
}

static uint64_t checkpoint(void)
{
    return journal_meta(rig.journal)->checkpoint;
}

static size_t covered(const struct rig_session *of)
{
    size_t count = of->count;
    while (count > 0 && of->events[count - 1].position > checkpoint())
        count--;
    return count;
}

static void check_generation(const struct rig_session *of, uint32_t slot)
{
    const struct generation_session *touched =
        generation_find(broker.active, &broker.sessions.slots[slot], slot);
    size_t known = covered(of);
    bool closed = of->closed_position > checkpoint();
    if (known == of->count && of->epoch <= checkpoint() && !closed) {
        assert_null(touched);
        return;
    }
    assert_non_null(touched);
    assert_int_equal(touched->epoch, of->epoch);
    assert_int_equal(touched->count, of->count - known);
    assert_int_equal(touched->state, closed ? RECORD_CLOSED : RECORD_LIVE);
    assert_int_equal(touched->state_position, closed ? of->closed_position : 0);
    assert_int_equal(touched->duplicates, 0);
    if (touched->count > 0)
        assert_int_equal(touched->first_seq, known + 1);
    uint32_t place = touched->newest;
    for (size_t i = of->count; i > known; i--) {
        const struct generation_entry *entry = &broker.active->entries[place];
        assert_int_equal(entry->position, of->events[i - 1].position);
        assert_int_equal(entry->fingerprint,
                         (uint32_t)rig_fingerprint(&rig, of->events[i - 1].id).low);
        place = entry->previous;
    }
    assert_int_equal(place, GENERATION_NONE);
}

static void check_sessions(void)
{
    uint32_t opened = 0;
    for (uint32_t i = 0; i < SESSIONS; i++) {
        const struct rig_session *of = &rig.sessions[i];
        uint64_t hash = sessions_hash(&broker.sessions, rig_name(&rig, i));
        uint32_t slot = SLOT_NONE;
        enum sessions_found found = sessions_find(&broker.sessions, rig_name(&rig, i), hash, &slot);
        for (size_t k = 0; k < of->dead_count; k++)
            assert_int_equal(sessions_find_epoch(&broker.sessions, hash, of->dead[k]), SLOT_NONE);
        if (of->epoch == 0) {
            assert_int_equal(found, SESSIONS_ABSENT);
            continue;
        }
        opened++;
        assert_int_equal(found, of->epoch > checkpoint() ? SESSIONS_HOT : SESSIONS_COLD);
        assert_int_equal(sessions_epoch(&broker.sessions, slot), of->epoch);
        if (found == SESSIONS_HOT)
            check_tracker(of, broker.sessions.slots[slot].tracker);
        check_generation(of, slot);
    }
    assert_int_equal(sessions_known(&broker.sessions), opened);
}

/* What the log above the checkpoint says of the lives that ended: it has to be written yet. */
static void check_ended(void)
{
    uint32_t dead = 0;
    uint32_t expected = 0;
    for (uint32_t i = 0; i < broker.active->session_count; i++)
        dead += broker.active->sessions[i].state == RECORD_DELETED;
    struct journal_reader *reader;
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    for (uint64_t at = checkpoint() + 1;; at++) {
        struct record_entry entry;
        if (journal_read_entry_from(reader, at, &at, &entry) != SPN_OK)
            break;
        expected += entry.kind == RECORD_DELETE || entry.kind == RECORD_EXPIRE;
    }
    journal_reader_close(reader);
    assert_int_equal(dead, expected);
}

/* Rows and names on disk are of lives that go on, or that end above the checkpoint. */
static void check_buried(void)
{
    struct journal_reader *reader;
    struct record_row row;
    struct spn_bytes name = {NULL, 0};
    uint64_t epoch = 0;
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    while (journal_read_row_after(reader, epoch, &epoch, &row) == SPN_OK)
        assert_true(row.state != RECORD_DELETED || row.state_position > checkpoint());
    while (journal_read_name_after(reader, name, &name, &epoch) == SPN_OK)
        if (epoch <= checkpoint())
            assert_int_equal(journal_read_row(reader, epoch, &row), SPN_OK);
    journal_reader_close(reader);
}

static void check_log(const struct recovered *found)
{
    uint64_t last = rig.next_position - 1;
    assert_int_equal(broker.next_position, rig.next_position);
    assert_int_equal(found->entries, last - checkpoint());
    assert_int_equal(broker.active->last_position, last > checkpoint() ? last : 0);
    assert_int_equal(broker.active->first_position, last > checkpoint() ? checkpoint() + 1 : 0);
    uint64_t clock_ns = journal_meta(rig.journal)->clock_ns;
    if (last > checkpoint() && rig_time_ns(last) > clock_ns)
        clock_ns = rig_time_ns(last);
    assert_int_equal(found->clock.database_ns, clock_ns);
}

/* -- and written again ------------------------------------------------------------------------- */

static void write_recovered(void)
{
    generation_drop(rig.active);
    rig.active = generation_keep(broker.active);
    rig_freeze(&rig);
    rig_write_frozen(&rig);
    rig_drop_frozen(&rig);
    assert_int_equal(checkpoint(), rig.next_position - 1);
}

static void check_index(void)
{
    static uint64_t positions[POSITIONS_MAX];
    struct journal_reader *reader;
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        const struct rig_session *of = &rig.sessions[i];
        struct view view = {.epoch = of->epoch};
        struct timeline timeline;
        uint64_t first;
        size_t count;
        if (of->epoch == 0)
            continue;
        assert_int_equal(timeline_open(&timeline, reader, &view), SPN_OK);
        assert_int_equal(timeline.seq_last, of->count);
        assert_int_equal(timeline_positions(&timeline, 1, POSITIONS_MAX, positions, &first, &count),
                         SPN_OK);
        assert_int_equal(count, of->count);
        for (size_t j = 0; j < count; j++)
            assert_int_equal(positions[j], of->events[j].position);
    }
    journal_reader_close(reader);
}

static void run(void **state)
{
    run_script(*state);
    struct recovered found = recover();
    check_sessions();
    check_ended();
    check_buried();
    check_log(&found);
    if (broker.active->first_position == 0)
        return;
    write_recovered();
    check_index();
    recovery_release(&broker);
    found = recover();
    check_sessions();
    check_buried();
    check_log(&found);
    assert_int_equal(broker.active->session_count, 0);
}

/* -- producers --------------------------------------------------------------------------------- */

static const struct record_run some_runs[] = {
    {3, 2, WIRE_DUPLICATE, 0}, {6, 1, WIRE_CONFLICT, 0},  {7, 1, WIRE_DUPLICATE, 0},
    {8, 1, WIRE_CONFLICT, 0},  {9, 1, WIRE_LOST, 0},      {10, 3, WIRE_REFUSED, SPN_E_CLOSED},
    {13, 1, WIRE_LOST, 0},     {14, 1, WIRE_CONFLICT, 0}, {15, 1, WIRE_LOST, 0},
    {16, 1, WIRE_CONFLICT, 0}, {17, 1, WIRE_LOST, 0},     {18, 1, WIRE_CONFLICT, 0},
};

static const struct {
    uint8_t id[WIRE_PRODUCER_ID_SIZE];
    struct record_producer record;
} stored[] = {
    {"first.producer.",
     {.token = 11,
      .number = 20,
      .base = 2,
      .time_ns = 70,
      .runs = some_runs,
      .run_count = COUNT(some_runs)}},
    {"second.producer", {.token = 12, .number = 0, .base = 1, .time_ns = 90}},
    {"third.producer.",
     {.token = 13,
      .number = UINT64_MAX / 2,
      .base = 7,
      .time_ns = 80,
      .runs = some_runs + 1,
      .run_count = 1}},
};

static void check_producer(size_t i)
{
    const struct record_producer *record = &stored[i].record;
    const struct producer *producer = producers_find_id(&broker.producers, stored[i].id);
    assert_non_null(producer);
    assert_int_equal(producer->token, record->token);
    assert_ptr_equal(producers_find_token(&broker.producers, record->token), producer);
    assert_int_equal(producer->accepted, record->number);
    assert_int_equal(producer->durable, record->number);
    assert_int_equal(producer->acked, record->base - 1);
    assert_int_equal(producer->base, record->base);
    assert_int_equal(sender_of_const(producer)->acks.peer.size, 0);
    assert_false(sender_of_const(producer)->acks.round_answered);
    assert_true(producer->stale); /* until its holder opens again */
    assert_int_equal(producer->run_count, record->run_count);
    for (size_t j = 0; j < record->run_count; j++) {
        assert_int_equal(producer->runs[j].first, record->runs[j].first);
        assert_int_equal(producer->runs[j].count, record->runs[j].count);
        assert_int_equal(producer->runs[j].result, record->runs[j].result);
    }
}

static void put_producers(void)
{
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    for (size_t i = 0; i < COUNT(stored); i++)
        assert_int_equal(journal_put_producer(rig.journal, stored[i].id, &stored[i].record),
                         SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
}

static void producers_come_back(void **state)
{
    (void)state;
    rig_init(&rig, 1, WINDOW);
    put_producers();
    rig_close(&rig);
    rig_open(&rig);
    struct recovered found = recover();
    assert_int_equal(broker.producers.count, COUNT(stored));
    for (size_t i = 0; i < COUNT(stored); i++)
        check_producer(i);
    assert_int_equal(found.clock.database_ns, 90);
    assert_int_equal(found.entries, 0);
    assert_int_equal(broker.next_position, 1);
    /* Their runs go on. */
    struct producer *producer = producers_find_id(&broker.producers, stored[0].id);
    for (uint64_t number = 21; number < 68; number += 2)
        assert_int_equal(producer_note(producer, number, WIRE_DUPLICATE, SPN_OK), SPN_OK);
    assert_int_equal(producer->run_count, COUNT(some_runs) + 24);
}

/* -- another window ---------------------------------------------------------------------------- */

/* With a larger window than before an id may be in reach twice: the window has it once. */
static void larger_window(void **state)
{
    (void)state;
    static const char *const ids[] = {"a", "b", "c", "d", "e"};
    rig_init(&rig, 1, 4);
    for (size_t i = 0; i < 13; i++)
        rig_event(&rig, 0, ids[i % COUNT(ids)], NULL);
    rig_commit(&rig);
    assert_int_equal(rig.sessions[0].count, 13);
    (void)recover();
    const struct tracker *tracker = broker.sessions.slots[0].tracker;
    assert_non_null(tracker);
    assert_int_equal(tracker->window_max, WINDOW);
    assert_int_equal(tracker->count, COUNT(ids));
    assert_int_equal(tracker->seq, 13);
    for (size_t i = 0; i < COUNT(ids); i++)
        assert_int_not_equal(tracker_check(tracker, rig_fingerprint(&rig, ids[i]), 0), TRACKER_NEW);
}

/* -- more than a generation -------------------------------------------------------------------- */

static void append_open(uint64_t position)
{
    char name[RIG_TEXT_MAX];
    (void)snprintf(name, sizeof(name), "%llu", (unsigned long long)position * 2654435761u);
    struct record_entry open = {.kind = RECORD_OPEN,
                                .epoch = position,
                                .retry_ms = WIRE_RETRY_NONE,
                                .data = rig_text(name)};
    open.data_hash = record_hash(open.data);
    assert_int_equal(journal_append(rig.journal, position, &open), SPN_OK);
}

/* What does not fit a generation is a segment at once. Where the disk has no room it waits for the
 * worker, as long as it is one; and it goes first when there is room again. */
static const struct overflow_row {
    const char *name;
    uint64_t generations; /* full ones, and some entries more */
    unsigned failures;    /* transactions that find no room */
    spn_err err;
    uint32_t segments;
    bool frozen;
} overflow_rows[] = {
    {"more than a generation", 1, 0, SPN_OK, 1, false},
    {"more than a generation, and no room", 1, 1, SPN_OK, 0, true},
    {"more than two generations, and room only for the second", 2, 1, SPN_OK, 2, false},
    {"more than two generations, and no room", 2, UINT32_MAX, SPN_E_DISK_FULL, 0, false},
};

static void check_overflow(const struct overflow_row *row, uint64_t last)
{
    uint64_t in_segments = (uint64_t)row->segments * GENERATION_SESSIONS_MAX;
    assert_int_equal(journal_meta(rig.journal)->segment, row->segments);
    assert_int_equal(checkpoint(), in_segments);
    assert_int_equal(journal_meta(rig.journal)->next_position, in_segments + 1);
    assert_int_equal(broker.active->session_count, OVERFLOW);
    assert_int_equal(broker.active->first_position, last - OVERFLOW + 1);
    assert_int_equal(broker.active->last_position, last);
    assert_int_equal(broker.next_position, last + 1);
    assert_int_equal(broker.sessions.count, last);
    assert_int_equal(broker.frozen != NULL, row->frozen);
    if (!broker.frozen)
        return;
    assert_int_equal(broker.frozen->session_count, GENERATION_SESSIONS_MAX);
    assert_int_equal(broker.frozen->first_position, 1);
    assert_int_equal(broker.frozen->last_position, GENERATION_SESSIONS_MAX);
    assert_int_not_equal(broker.frozen->serial & 1, broker.active->serial & 1);
}

static void overflow(void **state)
{
    const struct overflow_row *row = *state;
    const uint64_t last = row->generations * GENERATION_SESSIONS_MAX + OVERFLOW;
    struct recovered found = {.entries = 0};
    rig_init(&rig, 1, WINDOW);
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    for (uint64_t position = 1; position <= last; position++)
        append_open(position);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
    failures_left = row->failures;
    spn_err err = recovery_run(&broker, rig.journal, WINDOW, SEED, &found);
    failures_left = 0;
    recovered = err == SPN_OK;
    assert_int_equal(err, row->err);
    if (err == SPN_OK) {
        assert_int_equal(found.entries, last);
        assert_int_equal(broker.sessions.hot, last);
        check_overflow(row, last);
        recovery_release(&broker);
    }
    recovered = false;
    if (!row->frozen)
        return;
    rig_close(&rig); /* once more, with room */
    rig_open(&rig);
    found = recover();
    assert_int_equal(found.entries, last);
    check_overflow(&overflow_rows[0], last);
}

/* -- logs that cannot be ----------------------------------------------------------------------- */

static const struct corrupt_row {
    const char *name;
    struct record_entry entries[4]; /* kind 0: no more; epoch as it is, seq as it is */
    spn_err err;
} corrupt_rows[] = {
    {"none of these",
     {{.kind = RECORD_OPEN, .epoch = 1, .data = {"a", 1}},
      {.kind = RECORD_EVENT, .epoch = 1, .seq = 1, .id = {"1", 1}},
      {.kind = RECORD_EVENT, .epoch = 1, .seq = 2, .id = {"2", 1}}},
     SPN_OK},
    {"an event of no session",
     {{.kind = RECORD_EVENT, .epoch = 1, .seq = 1, .id = {"1", 1}}},
     SPN_E_CORRUPT},
    {"an event of another epoch",
     {{.kind = RECORD_OPEN, .epoch = 1, .data = {"a", 1}},
      {.kind = RECORD_EVENT, .epoch = 2, .seq = 1, .id = {"1", 1}}},
     SPN_E_CORRUPT},
    {"a hole in the seqs",
     {{.kind = RECORD_OPEN, .epoch = 1, .data = {"a", 1}},
      {.kind = RECORD_EVENT, .epoch = 1, .seq = 1, .id = {"1", 1}},
      {.kind = RECORD_EVENT, .epoch = 1, .seq = 3, .id = {"3", 1}}},
     SPN_E_CORRUPT},
    {"a seq twice",
     {{.kind = RECORD_OPEN, .epoch = 1, .data = {"a", 1}},
      {.kind = RECORD_EVENT, .epoch = 1, .seq = 1, .id = {"1", 1}},
      {.kind = RECORD_EVENT, .epoch = 1, .seq = 1, .id = {"2", 1}}},
     SPN_E_CORRUPT},
    {"a name that cannot be",
     {{.kind = RECORD_OPEN, .epoch = 1, .data = {"\n", 1}}},
     SPN_E_CORRUPT},
    {"a close of no session", {{.kind = RECORD_CLOSE, .epoch = 1}}, SPN_E_CORRUPT},
    {"a delete of no session", {{.kind = RECORD_DELETE, .epoch = 1}}, SPN_E_CORRUPT},
    {"a session expires twice",
     {{.kind = RECORD_OPEN, .epoch = 1, .data = {"a", 1}},
      {.kind = RECORD_EXPIRE, .epoch = 1},
      {.kind = RECORD_EXPIRE, .epoch = 1}},
     SPN_E_CORRUPT},
    {"an event of a session that was deleted",
     {{.kind = RECORD_OPEN, .epoch = 1, .data = {"a", 1}},
      {.kind = RECORD_DELETE, .epoch = 1},
      {.kind = RECORD_EVENT, .epoch = 1, .seq = 1, .id = {"1", 1}}},
     SPN_E_CORRUPT},
    {"no name", {{.kind = RECORD_OPEN, .epoch = 1, .data = {"", 0}}}, SPN_E_CORRUPT},
};

static void corrupt(void **state)
{
    const struct corrupt_row *row = *state;
    struct recovered found;
    rig_init(&rig, 1, WINDOW);
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    for (uint64_t i = 0; row->entries[i].kind != 0; i++) {
        struct record_entry entry = row->entries[i];
        entry.data_hash = record_hash(entry.data);
        assert_int_equal(journal_append(rig.journal, i + 1, &entry), SPN_OK);
    }
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
    assert_int_equal(recovery_run(&broker, rig.journal, WINDOW, SEED, &found), row->err);
    recovered = row->err == SPN_OK;
}

/* -- closed a generation ago ------------------------------------------------------------------- */

/* Attributes with an idle close, of a session that is closed: nothing closes it again. */
static const uint8_t idle_attributes[8 + 8 + 1 + 2 + 2] = {[8] = 1};

static void append_of_first(uint64_t position, enum record_kind kind, struct spn_bytes data)
{
    struct record_entry entry = {.kind = (uint8_t)kind,
                                 .closes = kind == RECORD_CLOSE,
                                 .epoch = 1,
                                 .retry_ms = WIRE_RETRY_NONE,
                                 .data_hash = record_hash(data),
                                 .name = rig_text("first"),
                                 .data = data};
    assert_int_equal(journal_append(rig.journal, position, &entry), SPN_OK);
}

static void close_long_ago(unsigned failures)
{
    uint64_t position = 1;
    rig_init(&rig, 1, WINDOW);
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    append_open(position++);
    append_of_first(position++, RECORD_CLOSE, rig_text(""));
    while (position <= GENERATION_SESSIONS_MAX + OVERFLOW)
        append_open(position++);
    append_of_first(position, RECORD_ATTRIBUTES,
                    (struct spn_bytes){idle_attributes, sizeof(idle_attributes)});
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
    failures_left = failures;
    (void)recover();
    failures_left = 0;
    const struct span *span = spans_find(&broker.spans, 0, 1);
    assert_non_null(span);
    assert_true(span->closed);
    assert_int_equal(broker.frozen != NULL, failures > 0);
}

static void closed_in_a_segment(void **state)
{
    (void)state;
    close_long_ago(0);
}

static void closed_where_there_was_no_room(void **state)
{
    (void)state;
    close_long_ago(1);
}

/* -- attributes of a row that damage took ------------------------------------------------------ */

enum { LOST = 1 }; /* this session's row */

static const struct lost_row {
    const char *name;
    bool row, session_name; /* lost, too */
    uint64_t given_up, orphans;
} lost_rows[] = {
    {"attributes stay with their row", false, false, 0, 0},
    {"attributes of a session whose row is lost", true, false, 1, 0},
    {"attributes of a session whose row and name are lost", true, true, 0, 1},
};

/* Takes the row away, and leaves the attributes. */
static void lose_row(void)
{
    static const struct record_attributes left = {.note = {"left", 4}};
    uint64_t epoch = rig.sessions[LOST].epoch;
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(journal_delete_row(rig.journal, epoch), SPN_OK);
    assert_int_equal(journal_put_attributes(rig.journal, epoch, &left), SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
}

static void lose_name(void)
{
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(
        journal_delete_name(rig.journal, rig_name(&rig, LOST), rig.sessions[LOST].epoch), SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
}

/* Which sessions have attributes on disk, in the order of their epochs. */
static void expect_attributes(bool lost)
{
    struct journal_reader *reader;
    struct record_attributes of;
    uint64_t epoch = 0;
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    for (uint32_t i = 0; i < rig.session_count; i++) {
        if (i == LOST && lost)
            continue;
        assert_int_equal(journal_read_attributes_after(reader, epoch, &epoch), SPN_OK);
        assert_int_equal(epoch, rig.sessions[i].epoch);
        assert_int_equal(journal_read_attributes(reader, epoch, &of), SPN_OK);
    }
    assert_int_equal(journal_read_attributes_after(reader, epoch, &epoch), SPN_E_END);
    journal_reader_close(reader);
}

static void attributes_go_with_their_row(void **state)
{
    const struct lost_row *row = *state;
    rig_init(&rig, 3, WINDOW);
    for (uint32_t i = 0; i < rig.session_count; i++)
        rig_put_attributes(&rig, i, 15);
    rig_freeze(&rig);
    rig_write_frozen(&rig);
    if (row->row)
        lose_row();
    if (row->session_name)
        lose_name();
    failures_left = row->session_name; /* once without room: it is tried again */
    for (int again = 0; again < 3; again++) {
        struct recovered found = recover();
        assert_int_equal(found.given_up, row->given_up);
        int decides = row->session_name ? 1 : 0; /* the first time with room */
        assert_int_equal(found.orphans, again == decides ? row->orphans : 0);
        recovery_release(&broker);
        recovered = false;
    }
    expect_attributes(row->row);
}

static bool has_span(uint32_t session)
{
    struct spn_bytes name = rig_name(&rig, session);
    uint64_t epoch = rig.sessions[session].epoch;
    uint64_t hash = sessions_hash(&broker.sessions, name);
    uint32_t slot;
    if (sessions_find(&broker.sessions, name, hash, &slot) != SESSIONS_HOT)
        slot = sessions_find_epoch(&broker.sessions, hash, epoch);
    assert_int_not_equal(slot, SLOT_NONE);
    return spans_find(&broker.spans, slot, epoch) != NULL;
}

/* Its row has no attributes any more: no span closes or deletes it either. */
static void what_is_given_up_has_no_spans(void **state)
{
    enum { GIVEN_UP = 0, WHOLE = 2 };
    struct journal_deletion deletion = {.count_max = 1, .bytes_max = UINT64_MAX};
    uint64_t next;
    (void)state;
    rig_init(&rig, 3, WINDOW);
    for (uint32_t i = 0; i < rig.session_count; i++)
        rig_put_attributes(&rig, i, 15);
    rig_freeze(&rig);
    rig_write_frozen(&rig);
    lose_row();
    lose_name();
    uint64_t first = rig.next_position;
    rig_events(&rig, GIVEN_UP, 2);
    rig_commit(&rig);
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(
        journal_delete_entries(rig.journal, first, first, NULL, NULL, &deletion, &next), SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
    assert_int_equal(recover().given_up, 1);
    assert_false(has_span(GIVEN_UP));
    assert_true(has_span(WHOLE));
}

/* -- the end of the log is lost ---------------------------------------------------------------- */

enum { LOG_EVENTS = 400, FAR = 1 << 20, PAGE = 4096, PAGE_FLAGS = 10 };

/* Damages the leaf that has this text, and no other. */
static void damage_leaf(const char *text)
{
    static uint8_t page[PAGE];
    char path[RIG_PATH_MAX + 16];
    size_t damaged = 0;
    snprintf(path, sizeof(path), "%s/data.mdb", rig.dir);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (off_t at = 0; pread(fd, page, PAGE, at) == PAGE; at += PAGE) {
        if (!memmem(page, PAGE, text, strlen(text)))
            continue;
        page[PAGE_FLAGS] ^= 1;
        assert_int_equal(pwrite(fd, page, PAGE, at), PAGE);
        damaged++;
    }
    close(fd);
    assert_int_equal(damaged, 1);
}

/* Clients have seen the positions that are lost: they are not given to others. */
static void lose_the_end(void)
{
    rig_commit(&rig);
    rig_close(&rig);
    damage_leaf(rig.sessions[0].events[rig.sessions[0].count - 1].data);
    rig_open(&rig);
    (void)recover();
    assert_true(journal_damage(rig.journal)->lost_to >= rig.next_position - 1);
    assert_true(broker.next_position > journal_damage(rig.journal)->lost_to);
    assert_true(broker.next_position <= rig.next_position + LOG_EVENTS);
}

static void positions_are_given_once(void **state)
{
    (void)state;
    rig_init(&rig, 1, WINDOW);
    rig_events(&rig, 0, LOG_EVENTS);
    lose_the_end();
}

static void positions_above_a_segment_are_given_once(void **state)
{
    (void)state;
    rig_init(&rig, 1, WINDOW);
    rig_events(&rig, 0, LOG_EVENTS);
    rig_freeze(&rig);
    rig_write_frozen(&rig);
    rig_events(&rig, 0, LOG_EVENTS);
    lose_the_end();
}

/* One leaf has positions from before a restore, and those far above that came after it. */
static void positions_after_a_restore_are_given_once(void **state)
{
    (void)state;
    rig_init(&rig, 1, WINDOW);
    rig_events(&rig, 0, 3);
    rig_commit(&rig);
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(journal_renew(rig.journal, FAR), SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
    rig.next_position = FAR;
    rig_events(&rig, 0, 3);
    lose_the_end();
}

/* -- without memory ---------------------------------------------------------------------------- */

static void without_memory(void **state)
{
    (void)state;
    run_script("mFWmn");
    put_producers();
    spn_err err = SPN_E_NOMEM;
    unsigned granted = 0;
    for (; err == SPN_E_NOMEM; granted++) {
        struct recovered found;
        allocations_left = granted;
        err = recovery_run(&broker, rig.journal, WINDOW, SEED, &found);
        allocations_left = UINT32_MAX;
    }
    assert_int_equal(err, SPN_OK);
    assert_true(granted > 20);
    recovered = true;
    check_sessions();
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test_teardown(larger_window, tear_down),
        cmocka_unit_test_teardown(producers_come_back, tear_down),
        cmocka_unit_test_teardown(closed_in_a_segment, tear_down),
        cmocka_unit_test_teardown(closed_where_there_was_no_room, tear_down),
        cmocka_unit_test_teardown(what_is_given_up_has_no_spans, tear_down),
        cmocka_unit_test_teardown(positions_are_given_once, tear_down),
        cmocka_unit_test_teardown(positions_above_a_segment_are_given_once, tear_down),
        cmocka_unit_test_teardown(positions_after_a_restore_are_given_once, tear_down),
        cmocka_unit_test_teardown(without_memory, tear_down),
    };
    struct CMUnitTest tests[COUNT(plain) + COUNT(scripts) + COUNT(overflow_rows) +
                            COUNT(corrupt_rows) + COUNT(lost_rows)];
    memcpy(tests, plain, sizeof(plain));
    size_t count = COUNT(plain);
    for (size_t i = 0; i < COUNT(scripts); i++)
        tests[count++] =
            (struct CMUnitTest){scripts[i], run, NULL, tear_down, (void *)(uintptr_t)scripts[i]};
    for (size_t i = 0; i < COUNT(overflow_rows); i++)
        tests[count++] = (struct CMUnitTest){overflow_rows[i].name, overflow, NULL, tear_down,
                                             (void *)(uintptr_t)&overflow_rows[i]};
    for (size_t i = 0; i < COUNT(corrupt_rows); i++)
        tests[count++] = (struct CMUnitTest){corrupt_rows[i].name, corrupt, NULL, tear_down,
                                             (void *)(uintptr_t)&corrupt_rows[i]};
    for (size_t i = 0; i < COUNT(lost_rows); i++)
        tests[count++] = (struct CMUnitTest){lost_rows[i].name, attributes_go_with_their_row, NULL,
                                             tear_down, (void *)(uintptr_t)&lost_rows[i]};
    return _cmocka_run_group_tests("recovery", tests, count, NULL, NULL);
}
