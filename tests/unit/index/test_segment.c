/* SPDX-License-Identifier: Apache-2.0 */
/* test_segment: a generation on disk is what was in it, however often its writing was cut short.
 *
 * Sessions of 0, 1, 5 and 5,000 events and some sixty small ones. Written in one go it is compared
 * with the lists of the rig; then with aborted transactions and crashes between any two steps, as a
 * dump of all tables, with the dump of the first. A segment that a crash left complete but for its
 * burials is not written again: they are made up for, as recovery does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/chain.h"
#include "log_rig.h"
#include "wire.h"
#include "index/segment.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    SESSIONS = 70,
    LARGE = 5000,
    STEPS_MAX = 64,
    OTHERS_MAX = 8,
    NONE = 0,
    FEW = 1,
    FIVE = 2,
    MANY = 3
};

static struct rig the_rig; /* of the test that runs */

static int release(void **state)
{
    (void)state;
    rig_release(&the_rig);
    return 0;
}

/* -- names go to the table in order ------------------------------------------------------------ */

static uint8_t name_before[256];
static size_t name_before_size;

spn_err __real_journal_put_name(struct journal *journal, struct spn_bytes name, uint64_t epoch);
spn_err __wrap_journal_put_name(struct journal *journal, struct spn_bytes name, uint64_t epoch);

spn_err __wrap_journal_put_name(struct journal *journal, struct spn_bytes name, uint64_t epoch)
{
    size_t shorter = name.size < name_before_size ? name.size : name_before_size;
    int order = memcmp(name_before, name.data, shorter);
    assert_true(order < 0 || (order == 0 && name_before_size < name.size));
    memcpy(name_before, name.data, name.size);
    name_before_size = name.size;
    return __real_journal_put_name(journal, name, epoch);
}

spn_err __real_segment_new(struct segment **ret_segment, const struct generation *generation,
                           uint32_t number);
spn_err __wrap_segment_new(struct segment **ret_segment, const struct generation *generation,
                           uint32_t number);

spn_err __wrap_segment_new(struct segment **ret_segment, const struct generation *generation,
                           uint32_t number)
{
    name_before_size = 0;
    return __real_segment_new(ret_segment, generation, number);
}

/* -- what is written --------------------------------------------------------------------------- */

/* Sessions 0 to 63 in the first generation, mixed; later ones are for the second. */
static void fill(struct rig *rig)
{
    rig_open_session(rig, NONE);
    for (uint32_t i = 0; i < LARGE; i++) {
        rig_event(rig, MANY, NULL, NULL);
        if (i % 1000 == 7)
            rig_event(rig, FIVE, NULL, NULL);
        if (i == 2000)
            rig_event(rig, FEW, NULL, NULL);
        if (i % 41 == 0 && i / 41 < 60)
            rig_open_session(rig, 4 + i / 41);
        if (i % 3 == 0)
            rig_events(rig, 4 + i / 3 % 60, i > 4000 && i < 4400);
    }
    rig_commit(rig);
}

static void fill_counted(struct rig *rig)
{
    fill(rig);
    rig_event(rig, FEW, rig->sessions[FEW].events[0].id, rig->sessions[FEW].events[0].data);
    rig_event(rig, FEW, rig->sessions[FEW].events[0].id, "other data");
    rig_event(rig, FEW, rig->sessions[FEW].events[0].id, "other data again");
}

static void fill_again(struct rig *rig)
{
    rig_events(rig, MANY, 800);
    rig_events(rig, FEW, 1);
    for (uint32_t i = 10; i < 30; i++)
        rig_events(rig, i, i % 4);
    for (uint32_t i = 64; i < SESSIONS; i++)
        rig_events(rig, i, i % 3 + 1);
    rig_event(rig, FIVE, rig->sessions[FIVE].events[4].id, rig->sessions[FIVE].events[4].data);
    rig_commit(rig);
}

/* -- steps, with accidents --------------------------------------------------------------------- */

enum accident { ACCIDENT_NONE, ACCIDENT_ABORT, ACCIDENT_CRASH, ACCIDENT_CRASH_INSIDE };

/* Steps of one unit, a transaction each; at step `at` begins what goes wrong, and lasts `length`
 * steps of one transaction. */
struct plan {
    enum accident accident;
    size_t at;
    size_t length;
};

static struct record_meta meta_for(const struct rig *rig)
{
    struct record_meta meta = *journal_meta(rig->journal);
    meta.next_position = rig->next_position;
    meta.clock_ns = 99;
    return meta;
}

static bool one_step(struct rig *rig, struct segment *segment)
{
    struct record_meta meta = meta_for(rig);
    bool done = false;
    assert_int_equal(segment_step(segment, rig->journal, rig_step(true), &meta, &done), SPN_OK);
    return done;
}

static struct segment *begin_segment(struct rig *rig)
{
    struct segment *segment = NULL;
    assert_int_equal(segment_new(&segment, rig->frozen, journal_meta(rig->journal)->segment + 1),
                     SPN_OK);
    return segment;
}

/* It counts, whatever of its burials is left to do. */
static bool is_complete(const struct rig *rig)
{
    return journal_meta(rig->journal)->checkpoint >= rig->frozen->last_position;
}

static void bury_the_rest(struct rig *rig)
{
    assert_int_equal(journal_begin(rig->journal), SPN_OK);
    for (uint32_t i = 0; i < rig->frozen->session_count; i++) {
        const struct generation_session *touched = &rig->frozen->sessions[i];
        struct record_row row;
        if (touched->state != RECORD_DELETED ||
            journal_get_row(rig->journal, touched->epoch, &row) == SPN_E_END)
            continue;
        assert_int_equal(row.state, RECORD_DELETED); /* that is how recovery finds it */
        assert_int_equal(row.state_position, touched->state_position);
        assert_int_equal(segment_bury(rig->journal, touched->epoch), SPN_OK);
    }
    assert_int_equal(journal_commit(rig->journal), SPN_OK);
}

/* After a crash. NULL: there is nothing to write again. */
static struct segment *resume(struct rig *rig)
{
    rig_close(rig);
    rig_open(rig);
    if (!is_complete(rig))
        return begin_segment(rig);
    bury_the_rest(rig);
    return NULL;
}

/* A transaction of several steps that does not make it. */
static void go_wrong(struct rig *rig, struct segment **segment, const struct plan *plan)
{
    uint64_t rows = segment_rows(*segment);
    uint64_t entries = segment_entries(*segment);
    assert_int_equal(journal_begin(rig->journal), SPN_OK);
    bool done = false;
    for (size_t i = 0; i < plan->length && !done; i++)
        done = one_step(rig, *segment);
    if (plan->accident == ACCIDENT_ABORT) {
        journal_abort(rig->journal);
        segment_settle(*segment, false);
        name_before_size = 0; /* perhaps again from the start */
        assert_int_equal(segment_rows(*segment), rows);
        assert_int_equal(segment_entries(*segment), entries);
        return;
    }
    segment_free(*segment);
    *segment = resume(rig);
}

/* What a segment counts: not the sessions that came and went in it. */
static void check_counters(const struct segment *segment, const struct generation *generation)
{
    uint64_t rows = 0;
    uint64_t entries = 0;
    for (uint32_t i = 0; i < generation->session_count; i++) {
        const struct generation_session *touched = &generation->sessions[i];
        bool unheard_of = touched->state == RECORD_DELETED && generation->first_position > 0 &&
                          touched->epoch >= generation->first_position;
        rows += unheard_of ? 0 : 1;
        entries += unheard_of ? 0 : touched->count;
    }
    assert_int_equal(segment_rows(segment), rows);
    assert_int_equal(segment_entries(segment), entries);
}

/* Returns how many steps it took. */
static size_t write_by_plan(struct rig *rig, const struct plan *plan)
{
    struct segment *segment = begin_segment(rig);
    size_t steps = 0;
    for (bool done = false; !done; steps++) {
        assert_true(steps < STEPS_MAX);
        if (plan->accident == ACCIDENT_CRASH && steps == plan->at) {
            segment_free(segment);
            segment = resume(rig);
        } else if (plan->accident != ACCIDENT_NONE && steps == plan->at) {
            go_wrong(rig, &segment, plan);
        }
        if (!segment)
            return steps;
        assert_int_equal(journal_begin(rig->journal), SPN_OK);
        done = one_step(rig, segment);
        assert_int_equal(journal_commit(rig->journal), SPN_OK);
        segment_settle(segment, true);
    }
    check_counters(segment, rig->frozen);
    segment_free(segment);
    return steps;
}

enum { AT_A_TIME = 1024 }; /* events */

/* A session with many events is written over several steps, its row with the last of them: no step
 * writes more than so many events, whatever the clock says only after it. */
static void a_large_session_was_one_step(void **state)
{
    (void)state;
    struct rig *rig = &the_rig;
    rig_init(rig, SESSIONS, 16);
    rig_events(rig, MANY, LARGE);
    rig_commit(rig);
    rig_freeze(rig);
    struct segment *segment = begin_segment(rig);
    size_t steps = 0;
    for (bool done = false; !done; steps++) {
        uint64_t before = segment_entries(segment);
        uint64_t rows = segment_rows(segment);
        assert_int_equal(journal_begin(rig->journal), SPN_OK);
        done = one_step(rig, segment);
        assert_int_equal(journal_commit(rig->journal), SPN_OK);
        segment_settle(segment, true);
        assert_true(segment_entries(segment) - before < 2 * AT_A_TIME);
        assert_true(rows == segment_rows(segment) || segment_entries(segment) == LARGE);
    }
    assert_int_equal(segment_entries(segment), LARGE);
    assert_int_equal(segment_rows(segment), 1);
    assert_true(steps >= LARGE / (2 * AT_A_TIME));
    segment_free(segment);
}

/* -- what must be there ------------------------------------------------------------------------ */

static struct journal_reader *open_reader(struct rig *rig)
{
    struct journal_reader *reader = NULL;
    assert_int_equal(journal_reader_open(&reader, rig->journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    return reader;
}

/* The newest event of a session that is not above the checkpoint: how many there are. */
static size_t covered(const struct rig_session *of, uint64_t checkpoint)
{
    size_t count = of->count;
    while (count > 0 && of->events[count - 1].position > checkpoint)
        count--;
    return count;
}

static void check_chain(struct rig *rig, struct journal_reader *reader, uint32_t session)
{
    static uint64_t positions[2 * LARGE];
    const struct rig_session *of = &rig->sessions[session];
    size_t expected = covered(of, journal_reader_meta(reader)->checkpoint);
    struct record_row row;
    uint64_t first;
    size_t count;
    assert_int_equal(journal_read_row(reader, of->epoch, &row), SPN_OK);
    assert_int_equal(chain_collect(reader, of->epoch, journal_row_segment(reader, &row), 1,
                                   2 * LARGE, positions, &first, &count),
                     SPN_OK);
    assert_int_equal(count, expected);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(positions[i], of->events[i].position);
    uint64_t seq, position;
    const char *id = expected > 0 ? of->events[expected / 2].id : "none";
    spn_err err = chain_find(reader, of->epoch, journal_row_segment(reader, &row),
                             (uint32_t)rig_fingerprint(rig, id).low, rig_text(id), &seq, &position);
    assert_int_equal(err, expected > 0 ? SPN_OK : SPN_E_END);
    if (err == SPN_OK)
        assert_int_equal(seq, expected / 2 + 1);
}

static void check_row(struct rig *rig, struct journal_reader *reader, uint32_t session)
{
    const struct rig_session *of = &rig->sessions[session];
    const struct rig_event *newest = of->count > 0 ? &of->events[of->count - 1] : NULL;
    uint64_t position = newest ? newest->position : of->epoch;
    struct record_row row;
    assert_int_equal(journal_read_row(reader, of->epoch, &row), SPN_OK);
    assert_int_equal(row.seq, of->count);
    assert_int_equal(row.position, position);
    assert_int_equal(row.bytes, of->bytes);
    assert_int_equal(row.opened_ms, rig_wall_ms(of->epoch));
    assert_int_equal(row.last_ms, rig_wall_ms(position));
    assert_int_equal(row.activity_ns,
                     rig_time_ns(of->closed_position ? of->closed_position : position));
    assert_int_equal(row.state, of->closed_position ? RECORD_CLOSED : RECORD_LIVE);
    assert_int_equal(row.state_position, of->closed_position);
    assert_true(wire_same_life(row.life, of->life));
    assert_int_equal(row.seq_before, 0);
    assert_int_equal(row.reason.size, of->closed_position ? strlen(RIG_REASON) : 0);
    assert_int_equal(row.name.size, strlen(of->name));
    assert_memory_equal(row.name.data, of->name, row.name.size);
    assert_int_equal(row.last_id.size, newest ? strlen(newest->id) : 0);
    if (newest)
        assert_memory_equal(row.last_id.data, newest->id, row.last_id.size);
}

/* Nothing is left of deleted lives but blocks that were there before. */
static void check_buried(struct journal_reader *reader, const struct rig_session *of)
{
    uint32_t newest = journal_reader_meta(reader)->segment;
    struct record_row row;
    struct record_block block;
    for (size_t i = 0; i < of->dead_count; i++) {
        assert_int_equal(journal_read_row(reader, of->dead[i], &row), SPN_E_END);
        assert_int_equal(journal_read_block(reader, newest, of->dead[i], UINT64_MAX, &block),
                         SPN_E_END);
    }
}

/* The newest segment says what it covers, if it covers anything. */
static void check_segment_record(struct rig *rig, struct journal_reader *reader)
{
    const struct generation *generation = rig->frozen;
    uint32_t newest = journal_reader_meta(reader)->segment;
    struct record_segment segment;
    uint32_t number = 0;
    spn_err err = journal_read_segment_after(reader, newest - 1, &number, &segment);
    if (!generation || generation->last_position == 0) {
        assert_int_equal(err, generation ? SPN_E_END : SPN_OK);
        return;
    }
    assert_int_equal(err, SPN_OK);
    assert_int_equal(number, newest);
    assert_int_equal(segment.first, generation->first_position);
    assert_int_equal(segment.last, generation->last_position);
    assert_int_equal(segment.events, generation->entry_count);
}

static void check_all(struct rig *rig)
{
    struct journal_reader *reader = open_reader(rig);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        const struct rig_session *of = &rig->sessions[i];
        uint64_t epoch = 0;
        spn_err err = journal_read_name(reader, rig_name(rig, i), &epoch);
        assert_int_equal(err, of->epoch > 0 ? SPN_OK : SPN_E_END);
        assert_int_equal(epoch, of->epoch);
        check_buried(reader, of);
        if (of->epoch == 0)
            continue;
        check_row(rig, reader, i);
        check_chain(rig, reader, i);
    }
    check_segment_record(rig, reader);
    journal_reader_close(reader);
}

static struct record_row row_of(struct rig *rig, uint32_t session)
{
    struct journal_reader *reader = open_reader(rig);
    struct record_row row;
    assert_int_equal(journal_read_row(reader, rig->sessions[session].epoch, &row), SPN_OK);
    row.name = row.last_id = (struct spn_bytes){NULL, 0};
    journal_reader_close(reader);
    return row;
}

/* -- tests ------------------------------------------------------------------------------------- */

static void in_one_go(void **state)
{
    (void)state;
    rig_init(&the_rig, SESSIONS, 16);
    fill_counted(&the_rig);
    rig_freeze(&the_rig);
    uint64_t last = the_rig.next_position - 1;
    rig_write_frozen(&the_rig);
    const struct record_meta *meta = journal_meta(the_rig.journal);
    assert_int_equal(meta->checkpoint, last);
    assert_int_equal(meta->segment, 1);
    assert_int_equal(meta->next_position, last + 1);
    assert_int_equal(meta->clock_ns, rig_time_ns(last + 1)); /* as given */
    check_all(&the_rig);
    struct record_row row = row_of(&the_rig, FEW);
    assert_int_equal(row.duplicates, 1);
    assert_int_equal(row.conflicts, 2);
    assert_int_equal(row.segment, 1);
    assert_int_equal(row.segment_before, 0);
    assert_int_equal(row_of(&the_rig, NONE).segment, 0); /* it has no block */
}

static void step_by_step(void **state)
{
    (void)state;
    rig_init(&the_rig, SESSIONS, 16);
    fill_counted(&the_rig);
    rig_freeze(&the_rig);
    size_t steps = write_by_plan(&the_rig, &(struct plan){.accident = ACCIDENT_NONE});
    assert_true(steps > 10); /* it did stop between */
    check_all(&the_rig);
}

/* Every accident at every step: the same tables as without. */
static void accidents(struct rig *rig, enum accident accident, size_t length_max)
{
    rig_save(rig);
    struct plan plan = {.accident = ACCIDENT_NONE};
    size_t steps = write_by_plan(rig, &plan);
    char *expected = rig_dump(rig);
    plan.accident = accident;
    for (plan.length = 1; plan.length <= length_max; plan.length++)
        for (plan.at = 0; plan.at < steps; plan.at++) {
            rig_restore(rig);
            (void)write_by_plan(rig, &plan);
            char *found = rig_dump(rig);
            assert_string_equal(found, expected);
            free(found);
        }
    free(expected);
}

static void aborted(void **state)
{
    (void)state;
    rig_init(&the_rig, SESSIONS, 16);
    fill_counted(&the_rig);
    rig_freeze(&the_rig);
    accidents(&the_rig, ACCIDENT_ABORT, 4);
}

static void aborted_to_the_end(void **state)
{
    (void)state;
    rig_init(&the_rig, SESSIONS, 16);
    fill_counted(&the_rig);
    rig_freeze(&the_rig);
    rig_save(&the_rig);
    (void)write_by_plan(&the_rig, &(struct plan){.accident = ACCIDENT_NONE});
    char *expected = rig_dump(&the_rig);
    for (size_t at = 0; at < 5; at++) {
        rig_restore(&the_rig);
        struct plan plan = {ACCIDENT_ABORT, at, STEPS_MAX};
        (void)write_by_plan(&the_rig, &plan);
        char *found = rig_dump(&the_rig);
        assert_string_equal(found, expected);
        free(found);
    }
    free(expected);
}

/* After a crash the counters since the last segment are gone, as the generation is: so there are
 * none here. */
static void crashed(void **state)
{
    (void)state;
    rig_init(&the_rig, SESSIONS, 16);
    fill(&the_rig);
    rig_freeze(&the_rig);
    accidents(&the_rig, ACCIDENT_CRASH, 1);
}

static void crashed_inside(void **state)
{
    (void)state;
    rig_init(&the_rig, SESSIONS, 16);
    fill(&the_rig);
    rig_freeze(&the_rig);
    accidents(&the_rig, ACCIDENT_CRASH_INSIDE, 2);
}

static void second_segment(struct rig *rig)
{
    fill(rig);
    rig_freeze(rig);
    rig_write_frozen(rig);
    rig_drop_frozen(rig);
    fill_again(rig);
    rig_freeze(rig);
}

static void second_one_chains_to_the_first(void **state)
{
    (void)state;
    rig_init(&the_rig, SESSIONS, 1000);
    second_segment(&the_rig);
    rig_write_frozen(&the_rig);
    assert_int_equal(journal_meta(the_rig.journal)->segment, 2);
    check_all(&the_rig);
    struct record_row row = row_of(&the_rig, MANY);
    assert_int_equal(row.segment, 2);
    assert_int_equal(row.segment_before, 1);
    row = row_of(&the_rig, FIVE); /* only counted */
    assert_int_equal(row.segment, 1);
    assert_int_equal(row.segment_before, 0);
    assert_int_equal(row.duplicates, 1);
    row = row_of(&the_rig, 64); /* opened in it */
    assert_int_equal(row.segment, 2);
    assert_int_equal(row.segment_before, 0);
}

static void second_one_with_accidents(void **state)
{
    (void)state;
    rig_init(&the_rig, SESSIONS, 1000);
    second_segment(&the_rig);
    accidents(&the_rig, ACCIDENT_ABORT, 2);
    the_rig.frozen->sessions[the_rig.sessions[FIVE].session.touched[the_rig.frozen->serial & 1]]
        .duplicates = 0;
    rig_restore(&the_rig);
    accidents(&the_rig, ACCIDENT_CRASH, 1);
}

/* Until its last step is on disk a segment does not count: readers go by the one before. */
static void unfinished_does_not_count(void **state)
{
    (void)state;
    rig_init(&the_rig, SESSIONS, 1000);
    second_segment(&the_rig);
    rig_save(&the_rig);
    for (size_t steps = 1; rig_write_some(&the_rig, steps); steps++) {
        if (is_complete(&the_rig))
            break; /* only burials are left */
        assert_int_equal(journal_meta(the_rig.journal)->segment, 1);
        struct journal_reader *reader = open_reader(&the_rig);
        for (uint32_t i = 0; i < 64; i++)
            check_chain(&the_rig, reader, i);
        journal_reader_close(reader);
        rig_restore(&the_rig);
    }
}

/* -- sessions that end ------------------------------------------------------------------------- */

/* What a session of the first segment, or a new one, goes through in a later generation: o open,
 * e three events, c close, d delete, x expire; F: the next generation. */
static const struct life_row {
    const char *name;
    uint32_t session; /* from 64 on: not opened before */
    const char *script;
} life_rows[] = {
    {"closed", FIVE, "c"},
    {"closed after events", FIVE, "ec"},
    {"closed as soon as it was opened", 64, "oc"},
    {"opened and closed", 64, "oec"},
    {"closed, and later nothing", FIVE, "cF"},
    {"events and closed in different ones", FIVE, "eFc"},
    {"deleted", FIVE, "d"},
    {"deleted after events", FIVE, "ed"},
    {"deleted without ever an event", NONE, "d"},
    {"a large one is deleted", MANY, "d"},
    {"closed and deleted", FIVE, "ecd"},
    {"closed, and deleted in the next", FIVE, "ecFd"},
    {"expired", FIVE, "x"},
    {"closed, and expired in the next", FIVE, "cFx"},
    {"came and went", 64, "oed"},
    {"came and went without an event", 64, "od"},
    {"came, was closed, and went", 64, "oecd"},
    {"came, and went in the next", 64, "oeFd"},
    {"its name is used again at once", FIVE, "doe"},
    {"its name is used again at once after events", FIVE, "edoe"},
    {"its name is used again in the next", FIVE, "edFoe"},
    {"its name is used again in the next but one", FIVE, "edFFoe"},
    {"its name is used again and again", FIVE, "doedoedoe"},
    {"its name is used again, and it is gone", FIVE, "doed"},
    {"its name is used again, and it is gone in the next", FIVE, "doeFd"},
    {"its name is used again and closed", FIVE, "xoec"},
    {"a new name is used again at once", 64, "oedoe"},
    {"a new name is used again in the next", 64, "oedFoe"},
    {"a new name is used again, and it is gone", 64, "oedoed"},
    {"deleted, and another generation is written", FIVE, "edF"},
    {"closed by an event", FIVE, "eE"},
    {"closed by its only event", 64, "E"},
    {"closed by its first event here", FIVE, "E"},
    {"closed by an event, and deleted", FIVE, "EdF"},
    {"closed by an event, and deleted in the next", FIVE, "EFd"},
};

/* Others live on beside it, some of them older. How many decides where a step ends. */
static void events_of_others(struct rig *rig, uint32_t others)
{
    rig_event(rig, MANY, NULL, NULL);
    rig_event(rig, 4, NULL, NULL);
    for (uint32_t i = 20; i < 20 + others; i++)
        rig_events(rig, i, i % 3);
}

/* Up to the next F, or the end. */
static const char *live_on(struct rig *rig, const struct life_row *row, const char *step,
                           uint32_t others)
{
    events_of_others(rig, others);
    for (; *step != '\0' && *step != 'F'; step++) {
        if (*step == 'o')
            rig_open_session(rig, row->session);
        else if (*step == 'e')
            rig_events(rig, row->session, 3);
        else if (*step == 'E')
            rig_closing_event(rig, row->session);
        else
            rig_end(rig, row->session,
                    *step == 'c'   ? RECORD_CLOSE
                    : *step == 'd' ? RECORD_DELETE
                                   : RECORD_EXPIRE);
    }
    rig_commit(rig);
    rig_freeze(rig);
    return *step == 'F' ? step + 1 : NULL;
}

/* In one go, with aborted transactions, and with a crash between any two steps, the one between the
 * checkpoint and the burials among them. */
static void live(const struct life_row *row, uint32_t others)
{
    rig_init(&the_rig, SESSIONS, 16);
    fill(&the_rig);
    rig_freeze(&the_rig);
    rig_write_frozen(&the_rig);
    for (const char *step = row->script; step;) {
        rig_drop_frozen(&the_rig);
        step = live_on(&the_rig, row, step, others);
        accidents(&the_rig, ACCIDENT_ABORT, 2);
        check_all(&the_rig);
        rig_restore(&the_rig);
        accidents(&the_rig, ACCIDENT_CRASH, 1);
        check_all(&the_rig);
    }
    rig_release(&the_rig);
}

static void run_life(void **state)
{
    for (uint32_t others = 0; others < OTHERS_MAX; others++)
        live(*state, others);
}

/* Until the checkpoint moves, what was closed or deleted above it is as it was. */
static void unfinished_end_does_not_count(void **state)
{
    (void)state;
    rig_init(&the_rig, SESSIONS, 16);
    second_segment(&the_rig);
    rig_write_frozen(&the_rig);
    rig_drop_frozen(&the_rig);
    uint64_t epochs[2] = {the_rig.sessions[MANY].epoch, the_rig.sessions[FIVE].epoch};
    rig_end(&the_rig, MANY, RECORD_DELETE);
    rig_end(&the_rig, FIVE, RECORD_CLOSE);
    rig_commit(&the_rig);
    rig_freeze(&the_rig);
    rig_save(&the_rig);
    for (size_t steps = 1; rig_write_some(&the_rig, steps) && !is_complete(&the_rig); steps++) {
        struct journal_reader *reader = open_reader(&the_rig);
        uint64_t checkpoint = journal_reader_meta(reader)->checkpoint;
        for (size_t i = 0; i < 2; i++) {
            struct record_row row;
            assert_int_equal(journal_read_row(reader, epochs[i], &row), SPN_OK);
            assert_true(row.state == RECORD_LIVE || row.state_position > checkpoint);
            assert_int_equal(row.segment, 2);
        }
        journal_reader_close(reader);
        rig_restore(&the_rig);
    }
}

/* A session that was opened, and whose row was written, in a segment that a crash cut short; after
 * the restart it is deleted in the same generation. What is left of the first attempt must not
 * bring it back, also when the second one is cut short before its burials. */
static void deleted_after_an_interrupted_attempt(void **state)
{
    (void)state;
    rig_init(&the_rig, SESSIONS, 16);
    fill(&the_rig);
    rig_freeze(&the_rig);
    rig_write_up_to_row(&the_rig, FIVE);
    rig_close(&the_rig);
    rig_open(&the_rig);
    generation_drop(the_rig.active); /* the log is read again: the same generation goes on */
    the_rig.active = the_rig.frozen;
    the_rig.frozen = NULL;
    rig_end(&the_rig, FIVE, RECORD_DELETE);
    rig_commit(&the_rig);
    rig_freeze(&the_rig);
    struct segment *segment = begin_segment(&the_rig);
    while (!is_complete(&the_rig)) {
        assert_int_equal(journal_begin(the_rig.journal), SPN_OK);
        (void)one_step(&the_rig, segment);
        assert_int_equal(journal_commit(the_rig.journal), SPN_OK);
        segment_settle(segment, true);
    }
    segment_free(segment);
    assert_null(resume(&the_rig));
    check_all(&the_rig);
}

/* The same, wherever the first attempt was cut short: it may have left the name, and no row yet. A
 * name that stayed without a row was taken for a session that damage had hit. */
static void deleted_after_any_interrupted_attempt(void **state)
{
    size_t steps = 1;
    (void)state;
    for (bool cut = true; cut; steps++) {
        rig_init(&the_rig, SESSIONS, 16);
        fill(&the_rig);
        rig_freeze(&the_rig);
        cut = rig_write_some(&the_rig, steps) && !is_complete(&the_rig);
        if (cut) {
            rig_close(&the_rig);
            rig_open(&the_rig);
            generation_drop(the_rig.active);
            the_rig.active = the_rig.frozen;
            the_rig.frozen = NULL;
            rig_end(&the_rig, FIVE, RECORD_DELETE);
            rig_commit(&the_rig);
            rig_freeze(&the_rig);
            rig_write_frozen(&the_rig);
            struct journal_reader *reader = open_reader(&the_rig);
            uint64_t epoch;
            assert_int_equal(journal_read_name(reader, rig_name(&the_rig, FIVE), &epoch),
                             SPN_E_END);
            journal_reader_close(reader);
            check_all(&the_rig);
        }
        rig_release(&the_rig);
    }
    assert_true(steps > 10);
}

static void bury_what_is_not_there(void **state)
{
    (void)state;
    rig_init(&the_rig, SESSIONS, 16);
    fill(&the_rig);
    rig_freeze(&the_rig);
    rig_write_frozen(&the_rig);
    char *before = rig_dump(&the_rig);
    assert_int_equal(journal_begin(the_rig.journal), SPN_OK);
    assert_int_equal(segment_bury(the_rig.journal, the_rig.next_position), SPN_OK);
    assert_int_equal(journal_commit(the_rig.journal), SPN_OK);
    char *after = rig_dump(&the_rig);
    assert_string_equal(after, before);
    free(after);
    free(before);
}

/* -- generations of little --------------------------------------------------------------------- */

/* A generation in which nothing was stored: only duplicates came. It must not take the checkpoint
 * with it, nor look for names in a log that may have been trimmed. */
static void nothing_but_duplicates(void **state)
{
    (void)state;
    rig_init(&the_rig, SESSIONS, 16);
    fill(&the_rig);
    rig_freeze(&the_rig);
    rig_write_frozen(&the_rig);
    rig_drop_frozen(&the_rig);
    uint64_t checkpoint = journal_meta(the_rig.journal)->checkpoint;
    rig_event(&the_rig, FIVE, the_rig.sessions[FIVE].events[4].id,
              the_rig.sessions[FIVE].events[4].data);
    rig_event(&the_rig, NONE + 4, the_rig.sessions[4].events[0].id, "other");
    assert_int_equal(the_rig.active->entry_count, 0);
    rig_freeze(&the_rig);
    (void)write_by_plan(&the_rig, &(struct plan){.accident = ACCIDENT_NONE});
    assert_int_equal(journal_meta(the_rig.journal)->checkpoint, checkpoint);
    assert_int_equal(row_of(&the_rig, FIVE).duplicates, 1);
    assert_int_equal(row_of(&the_rig, NONE + 4).conflicts, 1);
    check_all(&the_rig);
    rig_drop_frozen(&the_rig);
    for (int i = 0; i < 2; i++)
        rig_event(&the_rig, FIVE, the_rig.sessions[FIVE].events[4].id, NULL);
    rig_event(&the_rig, FIVE, the_rig.sessions[FIVE].events[4].id,
              the_rig.sessions[FIVE].events[4].data);
    rig_events(&the_rig, FIVE, 3);
    rig_freeze(&the_rig);
    rig_write_frozen(&the_rig);
    check_all(&the_rig);
    assert_int_equal(row_of(&the_rig, FIVE).duplicates, 2); /* of both */
    assert_int_equal(row_of(&the_rig, FIVE).conflicts, 2);
}

/* The opening of a session that was counted only may be trimmed: its row is what there is. */
static void only_a_row_is_left(void **state)
{
    (void)state;
    rig_init(&the_rig, 1, 16);
    struct rig_session *of = &the_rig.sessions[0];
    struct record_row row = {.seq = 9, .position = 17, .name = rig_name(&the_rig, 0)};
    of->epoch = of->tracker->epoch = 7;
    assert_int_equal(journal_begin(the_rig.journal), SPN_OK);
    assert_int_equal(journal_put_row(the_rig.journal, 7, &row), SPN_OK);
    assert_int_equal(journal_commit(the_rig.journal), SPN_OK);
    generation_touch(the_rig.active, &of->session, 0, 7)->duplicates = 3;
    rig_freeze(&the_rig);
    (void)write_by_plan(&the_rig, &(struct plan){.accident = ACCIDENT_NONE});
    row = row_of(&the_rig, 0);
    assert_int_equal(row.duplicates, 3);
    assert_int_equal(row.seq, 9);
    assert_int_equal(row.position, 17);
}

/* Its idle close comes all the same: a span may not know that the session was given up. */
static void a_session_that_was_given_up_stays_so(void **state)
{
    (void)state;
    rig_init(&the_rig, 1, 16);
    rig_events(&the_rig, 0, 3);
    rig_commit(&the_rig);
    rig_freeze(&the_rig);
    rig_write_frozen(&the_rig);
    rig_drop_frozen(&the_rig);
    struct record_row row = {.state = RECORD_DAMAGED, .name = rig_name(&the_rig, 0)};
    assert_int_equal(journal_begin(the_rig.journal), SPN_OK);
    assert_int_equal(journal_put_row(the_rig.journal, the_rig.sessions[0].epoch, &row), SPN_OK);
    assert_int_equal(journal_commit(the_rig.journal), SPN_OK);
    rig_put_attributes(&the_rig, 0, 1);
    rig_end(&the_rig, 0, RECORD_CLOSE);
    rig_commit(&the_rig);
    rig_freeze(&the_rig);
    rig_write_frozen(&the_rig);
    row = row_of(&the_rig, 0);
    assert_int_equal(row.state, RECORD_DAMAGED);
    assert_int_equal(row.ttl_ms, 0);
}

static void nothing_at_all(void **state)
{
    (void)state;
    rig_init(&the_rig, SESSIONS, 16);
    fill(&the_rig);
    rig_freeze(&the_rig);
    rig_write_frozen(&the_rig);
    rig_drop_frozen(&the_rig);
    uint64_t checkpoint = journal_meta(the_rig.journal)->checkpoint;
    rig_freeze(&the_rig);
    rig_write_frozen(&the_rig);
    assert_int_equal(journal_meta(the_rig.journal)->checkpoint, checkpoint);
    check_all(&the_rig);
}

/* What the log does not have, or has otherwise, is not written as if it were there. */
static const struct corrupt_row {
    const char *name;
    bool has_open;
    size_t name_size;
} corrupt_rows[] = {
    {"the opening is not in the log", false, 0},
    {"the opening has no name that could be one", true, 256},
};

static void corrupt(void **state)
{
    const struct corrupt_row *row = *state;
    char name[512];
    memset(name, 'n', sizeof(name));
    rig_init(&the_rig, 1, 16);
    struct record_entry entry = {.kind = RECORD_OPEN, .epoch = 7, .data = {name, row->name_size}};
    entry.data_hash = record_hash(entry.data);
    assert_int_equal(journal_begin(the_rig.journal), SPN_OK);
    if (row->has_open)
        assert_int_equal(journal_append(the_rig.journal, 7, &entry), SPN_OK);
    assert_int_equal(journal_commit(the_rig.journal), SPN_OK);
    generation_reach(the_rig.active, 7);
    generation_touch(the_rig.active, &the_rig.sessions[0].session, 0, 7);
    rig_freeze(&the_rig);
    struct segment *segment = begin_segment(&the_rig);
    struct record_meta meta = meta_for(&the_rig);
    bool done;
    assert_int_equal(journal_begin(the_rig.journal), SPN_OK);
    assert_int_equal(segment_step(segment, the_rig.journal, rig_step(false), &meta, &done),
                     SPN_E_CORRUPT);
    journal_abort(the_rig.journal);
    segment_settle(segment, false);
    segment_free(segment);
    segment_free(NULL);
}

int main(void)
{
    static const struct CMUnitTest single[] = {
        cmocka_unit_test_teardown(in_one_go, release),
        cmocka_unit_test_teardown(step_by_step, release),
        cmocka_unit_test_teardown(a_large_session_was_one_step, release),
        cmocka_unit_test_teardown(aborted, release),
        cmocka_unit_test_teardown(aborted_to_the_end, release),
        cmocka_unit_test_teardown(crashed, release),
        cmocka_unit_test_teardown(crashed_inside, release),
        cmocka_unit_test_teardown(second_one_chains_to_the_first, release),
        cmocka_unit_test_teardown(second_one_with_accidents, release),
        cmocka_unit_test_teardown(unfinished_does_not_count, release),
        cmocka_unit_test_teardown(unfinished_end_does_not_count, release),
        cmocka_unit_test_teardown(deleted_after_an_interrupted_attempt, release),
        cmocka_unit_test_teardown(deleted_after_any_interrupted_attempt, release),
        cmocka_unit_test_teardown(bury_what_is_not_there, release),
        cmocka_unit_test_teardown(nothing_but_duplicates, release),
        cmocka_unit_test_teardown(a_session_that_was_given_up_stays_so, release),
        cmocka_unit_test_teardown(nothing_at_all, release),
        cmocka_unit_test_teardown(only_a_row_is_left, release),
    };
    static struct CMUnitTest tests[COUNT(single) + COUNT(corrupt_rows) + COUNT(life_rows)];
    size_t count = COUNT(single);
    memcpy(tests, single, sizeof(single));
    for (size_t i = 0; i < COUNT(corrupt_rows); i++)
        tests[count++] = (struct CMUnitTest){corrupt_rows[i].name, corrupt, NULL, release,
                                             (void *)(uintptr_t)&corrupt_rows[i]};
    for (size_t i = 0; i < COUNT(life_rows); i++)
        tests[count++] = (struct CMUnitTest){life_rows[i].name, run_life, NULL, release,
                                             (void *)(uintptr_t)&life_rows[i]};
    return _cmocka_run_group_tests("segment", tests, count, NULL, NULL);
}
