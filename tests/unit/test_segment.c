/* SPDX-License-Identifier: Apache-2.0 */
/* test_segment: a generation on disk is what was in it, however often its writing was cut short.
 *
 * Sessions of 0, 1, 5 and 5,000 events and some sixty small ones. Written in one go it is compared
 * with the lists of the rig; then with aborted transactions and crashes between any two steps, as a
 * dump of all tables, with the dump of the first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain.h"
#include "log_rig.h"
#include "segment.h"

enum { SESSIONS = 70, LARGE = 5000, STEPS_MAX = 64, NONE = 0, FEW = 1, FIVE = 2, MANY = 3 };

static struct rig the_rig; /* of the test that runs */

static int release(void **state)
{
    (void)state;
    rig_release(&the_rig);
    return 0;
}

/* -- names go to the table in order ----------------------------------------------------------- */

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

static uint64_t standing_clock(void)
{
    return 1;
}

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
    assert_int_equal(segment_step(segment, rig->journal, standing_clock, 0, &meta, &done), SPN_OK);
    return done;
}

static struct segment *begin_segment(struct rig *rig)
{
    struct segment *segment = NULL;
    assert_int_equal(segment_new(&segment, rig->frozen, journal_meta(rig->journal)->segment + 1),
                     SPN_OK);
    return segment;
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
    rig_close(rig);
    rig_open(rig);
    *segment = begin_segment(rig);
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
            rig_close(rig);
            rig_open(rig);
            segment = begin_segment(rig);
        } else if (plan->accident != ACCIDENT_NONE && steps == plan->at) {
            go_wrong(rig, &segment, plan);
        }
        assert_int_equal(journal_begin(rig->journal), SPN_OK);
        done = one_step(rig, segment);
        assert_int_equal(journal_commit(rig->journal), SPN_OK);
        segment_settle(segment, true);
    }
    uint64_t entries = rig->frozen->entry_count;
    assert_int_equal(segment_rows(segment), rig->frozen->session_count);
    assert_int_equal(segment_entries(segment), entries);
    segment_free(segment);
    return steps;
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
    assert_int_equal(row.last_ns, rig_time_ns(position));
    assert_int_equal(row.state, RECORD_LIVE);
    assert_int_equal(row.name.size, strlen(of->name));
    assert_memory_equal(row.name.data, of->name, row.name.size);
    assert_int_equal(row.last_id.size, newest ? strlen(newest->id) : 0);
    if (newest)
        assert_memory_equal(row.last_id.data, newest->id, row.last_id.size);
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
        if (of->epoch == 0)
            continue;
        check_row(rig, reader, i);
        check_chain(rig, reader, i);
    }
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
        assert_int_equal(journal_meta(the_rig.journal)->segment, 1);
        struct journal_reader *reader = open_reader(&the_rig);
        for (uint32_t i = 0; i < 64; i++)
            check_chain(&the_rig, reader, i);
        journal_reader_close(reader);
        rig_restore(&the_rig);
    }
}

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
    assert_int_equal(
        segment_step(segment, the_rig.journal, standing_clock, UINT64_MAX, &meta, &done),
        SPN_E_CORRUPT);
    journal_abort(the_rig.journal);
    segment_settle(segment, false);
    segment_free(segment);
    segment_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(in_one_go, release),
        cmocka_unit_test_teardown(step_by_step, release),
        cmocka_unit_test_teardown(aborted, release),
        cmocka_unit_test_teardown(aborted_to_the_end, release),
        cmocka_unit_test_teardown(crashed, release),
        cmocka_unit_test_teardown(crashed_inside, release),
        cmocka_unit_test_teardown(second_one_chains_to_the_first, release),
        cmocka_unit_test_teardown(second_one_with_accidents, release),
        cmocka_unit_test_teardown(unfinished_does_not_count, release),
        cmocka_unit_test_teardown(nothing_but_duplicates, release),
        cmocka_unit_test_teardown(nothing_at_all, release),
        cmocka_unit_test_teardown(only_a_row_is_left, release),
        {corrupt_rows[0].name, corrupt, NULL, release, (void *)(uintptr_t)&corrupt_rows[0]},
        {corrupt_rows[1].name, corrupt, NULL, release, (void *)(uintptr_t)&corrupt_rows[1]},
    };
    return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
