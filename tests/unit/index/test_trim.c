/* SPDX-License-Identifier: Apache-2.0 */
/* test_trim: what the rule hides leaves the disk, and nothing else does.
 *
 * A script makes a log with segments. The rig's lists and the rule say which events are retained,
 * and from that which entries of which segments must be gone when all were looked at. Then the same
 * with an aborted transaction and with a crash after every step: what is retained can be read at
 * any time, and in the end the tables are the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log_rig.h"
#include "index/timeline.h"
#include "index/trim.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    SESSIONS = 46,
    OTHERS = 6, /* sessions from it on are those of z */
    SEGMENTS_MAX = 32,
    POSITIONS_MAX = 4096,
    STEP = 3, /* entries or blocks in a transaction */
    STEPS_MAX = 1000
};

/* -- the clock --------------------------------------------------------------------------------- */

static uint64_t now_ns;

static uint64_t fake_monotonic_ns(void)
{
    return now_ns;
}

static const struct clock fake_clock = {.monotonic_ns = fake_monotonic_ns,
                                        .boot_ns = fake_monotonic_ns};

/* -- damage ------------------------------------------------------------------------------------ */

static uint32_t damaged_record; /* number of the segment whose record does not read; 0: none */
static uint32_t damaged_blocks; /* ... whose blocks do not */

spn_err __real_journal_read_segment_after(struct journal_reader *reader, uint32_t after,
                                          uint32_t *ret_number, struct record_segment *ret_segment);
spn_err __wrap_journal_read_segment_after(struct journal_reader *reader, uint32_t after,
                                          uint32_t *ret_number, struct record_segment *ret_segment);
spn_err __real_journal_read_segment_block(struct journal_reader *reader, uint32_t segment,
                                          uint64_t epoch, uint64_t seq, uint64_t *ret_epoch,
                                          struct record_block *ret_block);
spn_err __wrap_journal_read_segment_block(struct journal_reader *reader, uint32_t segment,
                                          uint64_t epoch, uint64_t seq, uint64_t *ret_epoch,
                                          struct record_block *ret_block);

spn_err __wrap_journal_read_segment_after(struct journal_reader *reader, uint32_t after,
                                          uint32_t *ret_number, struct record_segment *ret_segment)
{
    spn_err err = __real_journal_read_segment_after(reader, after, ret_number, ret_segment);
    return err == SPN_OK && *ret_number == damaged_record ? SPN_E_CORRUPT : err;
}

spn_err __wrap_journal_read_segment_block(struct journal_reader *reader, uint32_t segment,
                                          uint64_t epoch, uint64_t seq, uint64_t *ret_epoch,
                                          struct record_block *ret_block)
{
    spn_err err =
        __real_journal_read_segment_block(reader, segment, epoch, seq, ret_epoch, ret_block);
    return segment == damaged_blocks ? SPN_E_CORRUPT : err;
}

spn_err __real_journal_oldest_segment(struct journal *journal, uint32_t *ret_number,
                                      struct record_segment *ret_segment);
spn_err __wrap_journal_oldest_segment(struct journal *journal, uint32_t *ret_number,
                                      struct record_segment *ret_segment);

spn_err __wrap_journal_oldest_segment(struct journal *journal, uint32_t *ret_number,
                                      struct record_segment *ret_segment)
{
    spn_err err = __real_journal_oldest_segment(journal, ret_number, ret_segment);
    return err == SPN_OK && *ret_number == damaged_record ? SPN_E_CORRUPT : err;
}

/* -- scripts ----------------------------------------------------------------------------------- */

static struct rig rig;
static struct trim *trim;

static struct {
    uint64_t first, last;
    uint32_t events;
} segments[SEGMENTS_MAX + 1]; /* by number */
static uint32_t segment_count;

static int release(void **state)
{
    (void)state;
    trim_free(trim);
    trim = NULL;
    damaged_record = damaged_blocks = 0;
    rig_release(&rig);
    return 0;
}

static void write_segment(void)
{
    assert_true(segment_count < SEGMENTS_MAX);
    rig_commit(&rig);
    rig_freeze(&rig);
    rig_write_frozen(&rig);
    segment_count++;
    segments[segment_count].first = rig.frozen->first_position;
    segments[segment_count].last = rig.frozen->last_position;
    segments[segment_count].events = rig.frozen->entry_count;
    rig_drop_frozen(&rig);
}

static void end_session(char how, uint32_t session)
{
    rig_end(&rig, session, how == '.' ? RECORD_CLOSE : how == '-' ? RECORD_DELETE : RECORD_EXPIRE);
}

/* a12: twelve events of session a · +a opened · .a closed · -a deleted · *a expired · z an event of
 * each of forty others · W what there is becomes a segment */
static void run_script(const char *script)
{
    rig_init(&rig, SESSIONS, 16);
    segment_count = 0;
    for (const char *at = script; *at != '\0';) {
        char step = *at++;
        if (step == 'W') {
            write_segment();
        } else if (step == 'z') {
            for (uint32_t i = OTHERS; i < SESSIONS; i++)
                rig_events(&rig, i, 1);
        } else if (step == '+') {
            rig_open_session(&rig, (uint32_t)(*at++ - 'a'));
        } else if (ispunct((unsigned char)step)) {
            end_session(step, (uint32_t)(*at++ - 'a'));
        } else if (step != ' ') {
            char *end;
            rig_events(&rig, (uint32_t)(step - 'a'), (size_t)strtoul(at, &end, 10));
            at = end;
        }
    }
    rig_commit(&rig);
}

/* -- the model --------------------------------------------------------------------------------- */

static bool is_retained_at(const struct rig_session *of, size_t i, size_t count)
{
    struct record_entry event = {
        .seq = i + 1, .bytes = of->events[i].bytes, .time_ns = rig_time_ns(of->events[i].position)};
    return retention_keeps(&journal_meta(rig.journal)->retention, &event, count,
                           of->events[count - 1].bytes, now_ns);
}

/* As readers see it. */
static bool is_retained(const struct rig_session *of, size_t i)
{
    return is_retained_at(of, i, of->count);
}

/* As trimming sees it: what came since the checkpoint hides nothing yet. */
static bool is_kept(const struct rig_session *of, size_t i)
{
    uint64_t checkpoint = journal_meta(rig.journal)->checkpoint;
    size_t count = of->count;
    while (count > i + 1 && of->events[count - 1].position > checkpoint)
        count--;
    return is_retained_at(of, i, count);
}

static uint32_t live_in(uint32_t segment)
{
    uint32_t live = 0;
    for (uint32_t s = 0; s < SESSIONS; s++)
        for (size_t i = 0; i < rig.sessions[s].count; i++) {
            uint64_t position = rig.sessions[s].events[i].position;
            live += position >= segments[segment].first && position <= segments[segment].last &&
                    is_kept(&rig.sessions[s], i);
        }
    return live;
}

/* A quarter has to be dead, or nothing live. */
static bool is_worthwhile(uint32_t segment)
{
    uint32_t live = live_in(segment);
    uint32_t dead = segments[segment].events - live;
    return live == 0 || (dead > 0 && dead >= segments[segment].events / 4);
}

/* What must be in the log once all was looked at. */
static void expect_log(bool *present)
{
    memset(present, 0, POSITIONS_MAX * sizeof(*present));
    assert_true(rig.next_position < POSITIONS_MAX);
    for (uint64_t position = 1; position < rig.next_position; position++)
        present[position] = true;
    for (uint32_t segment = 1; segment <= segment_count; segment++)
        for (uint64_t position = segments[segment].first;
             is_worthwhile(segment) && position <= segments[segment].last; position++)
            present[position] = false;
    for (uint32_t s = 0; s < SESSIONS; s++)
        for (size_t i = 0; i < rig.sessions[s].count; i++)
            if (is_kept(&rig.sessions[s], i))
                present[rig.sessions[s].events[i].position] = true;
}

/* -- what is there ----------------------------------------------------------------------------- */

static struct journal_reader *open_reader(void)
{
    struct journal_reader *reader = NULL;
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    return reader;
}

static void check_log(void)
{
    static bool expected[POSITIONS_MAX];
    struct journal_reader *reader = open_reader();
    expect_log(expected);
    for (uint64_t position = 1; position < rig.next_position; position++) {
        struct record_entry entry;
        spn_err err = journal_read_entry(reader, position, &entry);
        assert_int_equal(err, expected[position] ? SPN_OK : SPN_E_END);
    }
    journal_reader_close(reader);
}

/* Records of segments, and in their blocks something that is retained. */
static void check_segments(void)
{
    struct journal_reader *reader = open_reader();
    for (uint32_t segment = 1; segment <= segment_count; segment++) {
        struct record_segment record;
        struct record_block block;
        uint32_t number = 0;
        uint64_t epoch;
        uint32_t live = live_in(segment);
        spn_err err = journal_read_segment_after(reader, segment - 1, &number, &record);
        bool there = err == SPN_OK && number == segment;
        assert_int_equal(there, live > 0);
        if (there)
            assert_int_equal(record.events,
                             is_worthwhile(segment) ? live : segments[segment].events);
        err = journal_read_segment_block(reader, segment, 0, 0, &epoch, &block);
        assert_int_equal(err, live > 0 ? SPN_OK : SPN_E_END);
    }
    journal_reader_close(reader);
}

/* All from seq on, slice by slice. */
static void check_rest(const struct timeline *timeline, const struct rig_session *of, uint64_t seq)
{
    static uint64_t positions[POSITIONS_MAX];
    while (seq <= of->count) {
        uint64_t first;
        size_t count;
        struct record_entry entry;
        assert_int_equal(
            timeline_positions(timeline, seq, POSITIONS_MAX, positions, &first, &count), SPN_OK);
        assert_int_equal(first, seq);
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++, seq++) {
            assert_int_equal(positions[i], of->events[seq - 1].position);
            assert_int_equal(journal_read_entry(timeline->reader, positions[i], &entry), SPN_OK);
        }
    }
}

static void check_session(struct journal_reader *reader, uint32_t session)
{
    const struct rig_session *of = &rig.sessions[session];
    struct view view;
    struct timeline timeline;
    uint64_t seq;
    uint64_t expected = 1;
    while (expected <= of->count && !is_retained(of, expected - 1))
        expected++;
    rig_view(&rig, session, &view);
    assert_int_equal(timeline_open(&timeline, reader, &view), SPN_OK);
    assert_int_equal(timeline.seq_last, of->count);
    assert_int_equal(timeline_retained(&timeline, 1, now_ns, &seq), SPN_OK);
    assert_int_equal(seq, expected);
    check_rest(&timeline, of, seq);
    view_release(&view);
}

/* Everything that is retained can be read, and nothing else is offered. */
static void check_readable(void)
{
    struct journal_reader *reader = open_reader();
    for (uint32_t i = 0; i < SESSIONS; i++)
        if (rig.sessions[i].epoch > 0)
            check_session(reader, i);
    journal_reader_close(reader);
}

/* -- trimming ---------------------------------------------------------------------------------- */

static void open_trim(void)
{
    assert_int_equal(trim_new(&trim, rig.journal, &fake_clock), SPN_OK);
    trim_look_at_all(trim);
}

static void crash(void)
{
    trim_free(trim);
    trim = NULL;
    rig_close(&rig);
    rig_open(&rig);
    open_trim();
}

/* One thing after the other, a little at a time; true: there was something to do. */
static bool one_step(bool commit)
{
    size_t trimmed;
    enum trim_need need = trim_need(trim);
    if (need == TRIM_NOTHING)
        return false;
    if (need == TRIM_TO_READ) {
        assert_int_equal(trim_read(trim, rig_step(true)), SPN_OK);
        return true;
    }
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(trim_write(trim, STEP, &trimmed), SPN_OK);
    assert_true(trimmed <= STEP);
    if (commit)
        assert_int_equal(journal_commit(rig.journal), SPN_OK);
    journal_abort(rig.journal);
    trim_settle(trim, commit);
    return true;
}

/* At step `at` goes wrong what may. Returns how many steps it took. */
enum accident { NONE, ABORTED, CRASHED };

static size_t trim_all(enum accident accident, size_t at)
{
    size_t steps = 0;
    open_trim();
    for (bool more = true; more; steps++) {
        assert_true(steps < STEPS_MAX);
        if (accident == CRASHED && steps == at)
            crash();
        more = one_step(!(accident == ABORTED && steps == at));
        if (accident != NONE && steps == at)
            check_readable();
    }
    trim_free(trim);
    trim = NULL;
    return steps;
}

/* -- by the rule ------------------------------------------------------------------------------- */

#define EVENTS(n)                                                                                  \
    {                                                                                              \
        .events_max = (n)                                                                          \
    }
#define BYTES(n)                                                                                   \
    {                                                                                              \
        .bytes_max = (n)                                                                           \
    }
#define LAST_POSITIONS(n)                                                                          \
    {                                                                                              \
        .age_max_ns = 7 * (n)                                                                      \
    } /* as the rig's entries are 7 ns apart */

static const struct row {
    const char *name;
    const char *script;
    struct retention rule;
} rows[] = {
    {"no rule", "a9 b9 W a9 W", EVENTS(0)},
    {"nothing to trim", "a5 b5 W", EVENTS(5)},
    {"no segment", "a9 b9", EVENTS(2)},
    {"nothing at all", "", EVENTS(2)},
    {"the oldest events", "a9 b9 W", EVENTS(3)},
    {"a segment, and what is above it", "a9 W a9", EVENTS(12)},
    {"nothing above the checkpoint", "a3 W a9", EVENTS(2)},
    {"a segment goes whole", "a9 W a9 W", EVENTS(3)},
    {"several segments go whole", "a9 W a9 W a9 W a9 W", EVENTS(3)},
    {"one session is short, one is long", "a2 b30 W b30 W b30 W", EVENTS(5)},
    {"one event survives in each segment", "a1 z W b1 z W c1 z W z W", EVENTS(1)},
    {"less than a quarter is dead", "a8 W a1 W", EVENTS(8)},
    {"a quarter is dead", "a8 W a2 W", EVENTS(8)},
    {"all but one are dead", "a8 W a7 W", EVENTS(8)},
    {"all are dead", "a8 W a8 W", EVENTS(8)},
    {"many blocks", "z z W z W", EVENTS(2)},
    {"many blocks go", "z z W z z W z W", EVENTS(1)},
    {"blocks of one session, several in a segment", "a900 b10 W a100 W", EVENTS(120)},
    {"by bytes", "a9 b9 W a9 W", BYTES(40)},
    {"by bytes, down to the newest", "a9 b9 W a9 W", BYTES(1)},
    {"by bytes that nobody has", "a9 b9 W a9 W", BYTES(100000)},
    {"by age", "a9 b9 W a9 W", LAST_POSITIONS(14)},
    {"by age, all of a session", "a9 W b9 W", LAST_POSITIONS(8)},
    {"by age, all there is", "a9 W b9 W", LAST_POSITIONS(0 + 1)},
    {"by all three",
     "a9 b9 W a9 b2 W a3 W",
     {.events_max = 11, .bytes_max = 60, .age_max_ns = 7 * 30}},
    {"one deleted session", "a9 b9 W -a b1 W", EVENTS(0)},
    {"a session that came and went", "a9 -a b9 W", EVENTS(0)},
    {"a session that came and went, and nothing else", "a9 -a W", EVENTS(0)},
    {"all sessions are deleted", "a9 b9 W -a *b W", EVENTS(0)},
    {"a name used again", "a9 W -a a9 W", EVENTS(0)},
    {"a name used again at once", "a9 -a a9 W", EVENTS(4)},
    {"a closed session stays", "a9 W .a b9 W", EVENTS(0)},
    {"a closed session is trimmed as others", "a9 .a b9 W", EVENTS(3)},
    {"a session without events", "+a b9 W b9 W", EVENTS(3)},
    {"a segment without events", "+a W b9 W", EVENTS(0)},
    {"a segment of a close", "a9 W .a W", EVENTS(0)},
    {"beside a deleted one few live", "a30 b1 W -a W b1 W", EVENTS(0)},
};

static void prepare(const struct row *row)
{
    run_script(row->script);
    now_ns = rig_time_ns(rig.next_position - 1) + 7;
    rig_retain(&rig, row->rule);
}

static void check_all(void)
{
    check_log();
    check_segments();
    check_readable();
}

static void run(void **state)
{
    prepare(*state);
    rig_save(&rig);
    size_t steps = trim_all(NONE, 0);
    check_all();
    char *expected = rig_dump(&rig);
    for (enum accident accident = ABORTED; accident <= CRASHED; accident++)
        for (size_t at = 0; at < steps; at += 1 + steps / 25) {
            rig_restore(&rig);
            (void)trim_all(accident, at);
            char *found = rig_dump(&rig);
            assert_string_equal(found, expected);
            free(found);
            check_log();
        }
    free(expected);
}

/* What an unfinished segment leaves in the row of a session that was deleted. */
static void mark_deleted(uint64_t epoch, uint64_t position)
{
    struct record_row row;
    char name[RIG_TEXT_MAX];
    char id[RIG_TEXT_MAX];
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(journal_get_row(rig.journal, epoch, &row), SPN_OK);
    memcpy(name, row.name.data, row.name.size); /* writing moves pages */
    memcpy(id, row.last_id.data, row.last_id.size);
    row.name.data = name;
    row.last_id.data = id;
    row.state = RECORD_DELETED;
    row.state_position = position;
    assert_int_equal(journal_put_row(rig.journal, epoch, &row), SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
}

/* Until the checkpoint is behind it a deletion hides nothing on disk, also when a segment that was
 * not finished has left word of it. */
static void deleted_above_the_checkpoint(void **state)
{
    (void)state;
    prepare(&(struct row){"", "a9 b9 W -a b1", EVENTS(0)});
    for (int unfinished = 0; unfinished < 2; unfinished++) {
        (void)trim_all(NONE, 0);
        struct journal_reader *reader = open_reader();
        for (uint64_t position = 1; position < rig.next_position; position++) {
            struct record_entry entry;
            assert_int_equal(journal_read_entry(reader, position, &entry), SPN_OK);
        }
        journal_reader_close(reader);
        mark_deleted(rig.sessions[0].dead[0], journal_meta(rig.journal)->checkpoint + 1);
    }
}

/* Once more finds nothing more; nor after a restart. */
static void twice(void **state)
{
    (void)state;
    prepare(&(struct row){"", "a9 b9 z W a9 z W -b W", EVENTS(3)});
    (void)trim_all(NONE, 0);
    char *expected = rig_dump(&rig);
    for (int i = 0; i < 2; i++) {
        (void)trim_all(NONE, 0);
        check_all();
        char *found = rig_dump(&rig);
        assert_string_equal(found, expected);
        free(found);
        rig_close(&rig);
        rig_open(&rig);
    }
    free(expected);
}

/* What was not worth it becomes so; what is trimmed is counted anew. */
static void over_time(void **state)
{
    (void)state;
    run_script("a16 W");
    rig_retain(&rig, (struct retention){.events_max = 16});
    for (int i = 0; i < 20; i++) {
        rig_events(&rig, 0, 1);
        now_ns = rig_time_ns(rig.next_position);
        write_segment();
        static bool before[POSITIONS_MAX];
        expect_log(before);
        (void)trim_all(NONE, 0);
        struct journal_reader *reader = open_reader();
        struct record_segment record;
        uint32_t number = 0;
        spn_err err = journal_read_segment_after(reader, 0, &number, &record);
        assert_int_equal(err, SPN_OK);
        if (number == 1) /* the model counts from what is left */
            segments[1].events = record.events;
        journal_reader_close(reader);
        check_readable();
    }
    struct journal_reader *reader = open_reader();
    struct record_entry entry;
    uint64_t position;
    assert_int_equal(journal_read_entry_from(reader, 1, &position, &entry), SPN_OK);
    assert_int_equal(position, rig.sessions[0].events[20].position); /* sixteen are left */
    journal_reader_close(reader);
}

/* -- which segment is next --------------------------------------------------------------------- */

/* The numbers of the segments that are still whole, as digits. */
static void check_whole(const char *numbers)
{
    struct journal_reader *reader = open_reader();
    for (uint32_t segment = 1; segment <= segment_count; segment++) {
        struct record_entry entry;
        spn_err err = journal_read_entry(reader, segments[segment].first, &entry);
        bool whole = strchr(numbers, (int)('0' + segment)) != NULL;
        assert_int_equal(err, whole ? SPN_OK : SPN_E_END);
    }
    journal_reader_close(reader);
}

static void go_on(void)
{
    for (size_t steps = 0; one_step(true); steps++)
        assert_true(steps < STEPS_MAX);
}

/* One after another, behind the newest the oldest again. */
static void by_turns(void **state)
{
    (void)state;
    prepare(&(struct row){"", "a9 W a9 W a9 W a9 W", EVENTS(0)});
    assert_int_equal(trim_new(&trim, rig.journal, &fake_clock), SPN_OK);
    assert_int_equal(trim_need(trim), TRIM_NOTHING);
    trim_look(trim, 2);
    go_on(); /* 1 and 2, where there is nothing to do yet */
    check_whole("1234");
    rig_retain(&rig, (struct retention){.events_max = 2});
    trim_look(trim, 1);
    go_on();
    check_whole("124");
    trim_look(trim, 2);
    go_on();
    check_whole("2");
    trim_look(trim, 1);
    go_on();
    check_whole("");
    trim_look(trim, 3);
    go_on();
    assert_int_equal(trim_need(trim), TRIM_NOTHING);
    check_readable();
}

/* A round is begun with the oldest, and not while a segment is being looked at. */
static void rounds(void **state)
{
    (void)state;
    prepare(&(struct row){"", "z W z W z W", EVENTS(1)});
    assert_int_equal(trim_new(&trim, rig.journal, &fake_clock), SPN_OK);
    trim_look(trim, 1);
    assert_int_equal(trim_read(trim, rig_step(true)), SPN_OK); /* inside the first */
    trim_look_at_all(trim);
    go_on();
    check_whole("23");
    trim_look_at_all(trim);
    go_on();
    check_whole("3");
    assert_int_equal(trim_need(trim), TRIM_NOTHING);
}

/* Settling undoes the last step too, after which there is nothing more to write; and where nothing
 * was written it does nothing. */
static void the_last_step_was_not_undone(void **state)
{
    (void)state;
    size_t trimmed;
    prepare(&(struct row){"", "a9 b9 W a9 W", EVENTS(3)});
    open_trim();
    assert_int_equal(trim_read(trim, rig_step(true)), SPN_OK);
    trim_settle(trim, false); /* another's transaction */
    for (;;) {
        while (trim_need(trim) == TRIM_TO_READ)
            assert_int_equal(trim_read(trim, rig_step(true)), SPN_OK);
        if (trim_need(trim) == TRIM_NOTHING)
            break;
        assert_int_equal(journal_begin(rig.journal), SPN_OK);
        assert_int_equal(trim_write(trim, STEP, &trimmed), SPN_OK);
        journal_abort(rig.journal);
        trim_settle(trim, false);
        assert_int_equal(trim_need(trim), TRIM_TO_WRITE); /* the same again, twice */
        trim_settle(trim, false);
        assert_int_equal(trim_need(trim), TRIM_TO_WRITE);
        assert_true(one_step(true));
    }
    check_all();
}

/* The quota has taken the segment that was looked at. */
static void cancelled(void **state)
{
    (void)state;
    prepare(&(struct row){"", "a9 b9 W a9 W", EVENTS(3)});
    open_trim();
    while (trim_need(trim) != TRIM_TO_WRITE)
        assert_true(one_step(true));
    assert_true(one_step(true));
    trim_cancel(trim);
    assert_int_not_equal(trim_need(trim), TRIM_TO_WRITE);
    go_on(); /* the rest of the round */
    trim_look_at_all(trim);
    go_on();
    check_all();
}

/* -- what does not read back ------------------------------------------------------------------- */

static const struct damage_row {
    const char *name;
    uint32_t record;
    uint32_t blocks;
    const char *script;
    const char *whole;
} damage_rows[] = {
    {"the record of the first segment", 1, 0, "a9 W a9 W a9 W", "1"},
    {"the record of the second segment", 2, 0, "a9 W a9 W a9 W", "2"},
    {"the record of the newest segment", 3, 0, "a9 W a9 W a9 W", "3"},
    {"the record of the only segment", 1, 0, "a9 W", "1"},
    {"the blocks of the first segment", 0, 1, "a9 W a9 W a9 W", "1"},
    {"the blocks of the only segment", 0, 1, "a9 W", "1"},
};

/* It is passed over, whether all are looked at or so many; and the looking comes to an end. */
static void damaged(void **state)
{
    const struct damage_row *row = *state;
    for (int by_count = 0; by_count < 2; by_count++) {
        prepare(&(struct row){"", row->script, EVENTS(3)});
        damaged_record = row->record;
        damaged_blocks = row->blocks;
        assert_int_equal(trim_new(&trim, rig.journal, &fake_clock), SPN_OK);
        if (by_count)
            trim_look(trim, segment_count);
        else
            trim_look_at_all(trim);
        go_on();
        assert_int_equal(trim_need(trim), TRIM_NOTHING);
        damaged_record = damaged_blocks = 0;
        check_whole(row->whole);
        (void)release(NULL);
    }
}

/* -- the quota --------------------------------------------------------------------------------- */

static uint64_t front(void)
{
    uint64_t position = 0;
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    spn_err err = journal_oldest_entry(rig.journal, &position);
    journal_abort(rig.journal);
    return err == SPN_OK ? position : rig.next_position;
}

static size_t drop(size_t count_max, bool commit)
{
    struct journal_deletion deletion = {.count_max = count_max, .bytes_max = UINT64_MAX};
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(trim_oldest(rig.journal, &deletion), SPN_OK);
    if (commit)
        assert_int_equal(journal_commit(rig.journal), SPN_OK);
    journal_abort(rig.journal);
    assert_true(journal_meta(rig.journal)->taken < front()); /* also where nothing was committed */
    return deletion.count;
}

/* What is behind the front can be read as before. */
static void check_behind(uint64_t from)
{
    struct journal_reader *reader = open_reader();
    for (uint32_t i = 0; i < SESSIONS; i++) {
        const struct rig_session *of = &rig.sessions[i];
        struct view view;
        struct timeline timeline;
        uint64_t seq;
        uint64_t expected = 1;
        if (of->epoch == 0)
            continue;
        while (expected <= of->count && of->events[expected - 1].position < from)
            expected++;
        rig_view(&rig, i, &view);
        assert_int_equal(timeline_open(&timeline, reader, &view), SPN_OK);
        assert_int_equal(timeline_retained(&timeline, 1, now_ns, &seq), SPN_OK);
        assert_int_equal(seq, expected);
        assert_int_equal(timeline.seq_last, of->count);
        view_release(&view);
    }
    journal_reader_close(reader);
}

static const struct quota_row {
    const char *name;
    const char *script;
    size_t count_max;
} quota_rows[] = {
    {"one by one", "a9 b9 W a9 W b3", 1},           {"some at a time", "a9 b9 z W a9 z W b9", 7},
    {"all at once", "a9 b9 z W a9 z W b9", 100000}, {"many blocks", "z z W z W", 11},
    {"nothing above the checkpoint", "a9 b9", 5},   {"nothing is left", "a9 b9 W z W", 50},
    {"a segment without events", "+a W b9 W", 2},   {"deleted sessions", "a9 b9 W -a W b9", 4},
};

static void quota(void **state)
{
    const struct quota_row *row = *state;
    prepare(&(struct row){"", row->script, EVENTS(0)});
    uint64_t checkpoint = journal_meta(rig.journal)->checkpoint;
    uint64_t before = front();
    for (size_t steps = 0;; steps++) {
        assert_true(steps < STEPS_MAX);
        size_t count = drop(row->count_max, steps % 3 != 1);
        assert_true(count <= row->count_max);
        uint64_t now = front();
        assert_true(now >= before && now - before <= count);
        if (steps % 3 == 1)
            assert_int_equal(now, before); /* it was aborted */
        check_behind(now);
        before = now;
        if (count == 0)
            break;
        if (steps % 4 == 2) {
            rig_close(&rig);
            rig_open(&rig);
        }
    }
    assert_int_equal(before, checkpoint + 1);
    segment_count = 0; /* none is left */
    struct journal_reader *reader = open_reader();
    struct record_segment record;
    uint32_t number;
    assert_int_equal(journal_read_segment_after(reader, 0, &number, &record), SPN_E_END);
    journal_reader_close(reader);
}

/* The entries of a segment whose record is damaged go with those of the next one. */
static void a_damaged_record_ended_what_the_quota_takes(void **state)
{
    (void)state;
    for (uint32_t number = 1; number <= 3; number++) {
        uint32_t number_left;
        struct record_segment record_left;
        prepare(&(struct row){"", "a9 b9 W a9 W b9 W a3", EVENTS(0)});
        damaged_record = number;
        for (size_t steps = 0; drop(4, steps % 3 != 1) > 0; steps++)
            assert_true(steps < STEPS_MAX);
        damaged_record = 0;
        /* Nobody says how far the last segment went. */
        uint64_t left = number < 3 ? journal_meta(rig.journal)->checkpoint + 1
                                   : rig.sessions[1].events[9].position;
        assert_int_equal(front(), left);
        assert_int_equal(journal_begin(rig.journal), SPN_OK);
        assert_int_equal(journal_oldest_segment(rig.journal, &number_left, &record_left),
                         SPN_E_END);
        journal_abort(rig.journal);
        (void)release(NULL);
    }
}

/* What the quota has begun the rule goes on with. */
static void quota_and_rule(void **state)
{
    (void)state;
    for (size_t count = 0; count < 60; count++) {
        prepare(&(struct row){"", "a9 b9 W a9 c9 W b1 W", EVENTS(8)});
        if (count > 0)
            (void)drop(count, true);
        uint64_t from = front();
        (void)trim_all(NONE, 0);
        struct journal_reader *reader = open_reader();
        for (uint32_t i = 0; i < 3; i++)
            for (size_t k = 0; k < rig.sessions[i].count; k++) {
                struct record_entry entry;
                uint64_t position = rig.sessions[i].events[k].position;
                if (position >= from && is_retained(&rig.sessions[i], k))
                    assert_int_equal(journal_read_entry(reader, position, &entry), SPN_OK);
            }
        journal_reader_close(reader);
        (void)release(NULL);
    }
}

int main(void)
{
    static const struct CMUnitTest single[] = {
        cmocka_unit_test_teardown(deleted_above_the_checkpoint, release),
        cmocka_unit_test_teardown(twice, release),
        cmocka_unit_test_teardown(over_time, release),
        cmocka_unit_test_teardown(by_turns, release),
        cmocka_unit_test_teardown(rounds, release),
        cmocka_unit_test_teardown(the_last_step_was_not_undone, release),
        cmocka_unit_test_teardown(cancelled, release),
        cmocka_unit_test_teardown(a_damaged_record_ended_what_the_quota_takes, release),
        cmocka_unit_test_teardown(quota_and_rule, release),
    };
    static struct CMUnitTest
        tests[COUNT(single) + COUNT(rows) + COUNT(damage_rows) + COUNT(quota_rows)];
    size_t count = COUNT(single);
    memcpy(tests, single, sizeof(single));
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[count++] =
            (struct CMUnitTest){rows[i].name, run, NULL, release, (void *)(uintptr_t)&rows[i]};
    for (size_t i = 0; i < COUNT(damage_rows); i++)
        tests[count++] = (struct CMUnitTest){damage_rows[i].name, damaged, NULL, release,
                                             (void *)(uintptr_t)&damage_rows[i]};
    for (size_t i = 0; i < COUNT(quota_rows); i++)
        tests[count++] = (struct CMUnitTest){quota_rows[i].name, quota, NULL, release,
                                             (void *)(uintptr_t)&quota_rows[i]};
    return _cmocka_run_group_tests("trim", tests, count, NULL, NULL);
}
