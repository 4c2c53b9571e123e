/* SPDX-License-Identifier: Apache-2.0 */
/* test_survey: surveys from any position of a log that grows, beside the plain lists of what was
 * written.
 *
 * Whatever lies above both the position and the checkpoint must be known. What else is known must
 * be true, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "any.h"
#include "log_rig.h"
#include "read/survey.h"

enum { SESSIONS = 40, WINDOW = 16, ROUNDS = 3000, SEED = 5 };

static struct rig rig;
static struct journal_reader *reader;
static struct survey survey;
static uint64_t died_at[SESSIONS][RIG_LIVES_MAX];

static struct {
    size_t known, gone, below, cut_short, restarts;
} seen;

static uint64_t newest(void)
{
    return rig.next_position - 1;
}

static uint64_t standing(void)
{
    return 1;
}

/* -- what happens ------------------------------------------------------------------------------ */

static void end_some(void)
{
    uint32_t session = (uint32_t)any(SESSIONS);
    struct rig_session *of = &rig.sessions[session];
    if (of->epoch == 0 || of->dead_count == RIG_LIVES_MAX)
        return;
    died_at[session][of->dead_count] = rig.next_position;
    rig_end(&rig, session, any(2) == 0 ? RECORD_DELETE : RECORD_EXPIRE);
}

static void index_some(void)
{
    rig_freeze(&rig);
    rig_write_frozen(&rig);
    rig_drop_frozen(&rig);
}

static void change_something(void)
{
    switch (any(40)) {
    case 0:
        end_some();
        break;
    case 1:
        index_some();
        break;
    default:
        rig_events(&rig, (uint32_t)any(SESSIONS), 1 + any(6));
    }
    rig_commit(&rig);
}

/* -- what is known ----------------------------------------------------------------------------- */

/* A session that is there. */
static void compare_live(const struct rig_session *of, uint64_t above)
{
    const struct surveyed *found = survey_find(&survey, of->epoch);
    const struct rig_event *last = of->count > 0 ? &of->events[of->count - 1] : NULL;
    if (last && last->position > above) {
        assert_non_null(found);
        assert_int_equal(found->seq, of->count);
        assert_int_equal(found->bytes, last->bytes);
        seen.known++;
    }
    if (!found || !of->events)
        return;
    assert_false(found->gone);
    assert_in_range(found->seq, 1, of->count);
    assert_int_equal(found->bytes, of->events[found->seq - 1].bytes);
    seen.below += last && last->position <= above;
}

static void compare(uint64_t above)
{
    for (uint32_t i = 0; i < SESSIONS; i++) {
        const struct rig_session *of = &rig.sessions[i];
        if (of->epoch > 0)
            compare_live(of, above);
        for (size_t life = 0; life < of->dead_count; life++) {
            const struct surveyed *found = survey_find(&survey, of->dead[life]);
            assert_true(!found || found->gone || died_at[i][life] > survey.scan.position);
            if (died_at[i][life] <= above)
                continue;
            assert_true(found && found->gone);
            seen.gone++;
        }
    }
}

static void look(uint64_t after)
{
    bool done = false;
    uint64_t from = survey.after;
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    uint64_t checkpoint = journal_reader_meta(reader)->checkpoint;
    while (!done) {
        struct step step = {.now_ns = standing, .until_ns = any(2) == 0 ? 0 : UINT64_MAX};
        assert_int_equal(survey_read(&survey, after, &step, &done), SPN_OK);
        seen.cut_short += !done;
    }
    seen.restarts += survey.after < from;
    compare(after > checkpoint ? after : checkpoint);
    journal_reader_end(reader);
}

static void knows_what_lies_above(void **state)
{
    (void)state;
    any_state = SEED;
    rig_init(&rig, SESSIONS, WINDOW);
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(survey_init(&survey, reader), SPN_OK);
    for (int round = 0; round < ROUNDS; round++) {
        change_something();
        if (any(10) == 0)
            look(any(2) == 0 ? newest() - any(newest()) : newest() - any(20) % newest());
        if (any(200) == 0)
            survey_clear(&survey);
    }
    assert_true(seen.known > 100 && seen.gone > 10 && seen.below > 10);
    assert_true(seen.cut_short > 10 && seen.restarts > 10);
    survey_release(&survey);
    journal_reader_close(reader);
    rig_release(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(knows_what_lies_above)};
    return cmocka_run_group_tests_name("survey", tests, NULL, NULL);
}
