/* SPDX-License-Identifier: Apache-2.0 */
/* test_idle: the walk over the rows finds the sessions that nobody published to for too long.
 *
 * A script says which sessions there are and how they stand; the clock is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "index/idle.h"
#include "log_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MANY = 2500, TTL_NS = 700, LISTS_MAX = 100 };

static struct rig rig;
static struct idle idle;

/* -- the clock --------------------------------------------------------------------------------- */

static uint64_t now_ns;
static uint64_t tick_ns; /* passes with every look at the clock */

static uint64_t fake_monotonic_ns(void)
{
    now_ns += tick_ns;
    return now_ns;
}

static const struct clock fake_clock = {.monotonic_ns = fake_monotonic_ns,
                                        .boot_ns = fake_monotonic_ns};

/* -- damage ------------------------------------------------------------------------------------ */

static uint64_t damaged_epoch; /* of the row that does not read; 0: none */
static bool damaged_table;     /* not even its keys do */
static unsigned reads;

spn_err __real_journal_read_row_after(struct journal_reader *reader, uint64_t after,
                                      uint64_t *ret_epoch, struct record_row *ret_row);
spn_err __wrap_journal_read_row_after(struct journal_reader *reader, uint64_t after,
                                      uint64_t *ret_epoch, struct record_row *ret_row);

spn_err __wrap_journal_read_row_after(struct journal_reader *reader, uint64_t after,
                                      uint64_t *ret_epoch, struct record_row *ret_row)
{
    assert_true(++reads < 100000); /* it does come to an end */
    if (damaged_table)
        return SPN_E_CORRUPT;
    spn_err err = __real_journal_read_row_after(reader, after, ret_epoch, ret_row);
    return err == SPN_OK && *ret_epoch == damaged_epoch ? SPN_E_CORRUPT : err;
}

/* -- walks ------------------------------------------------------------------------------------- */

static void begin(uint32_t sessions)
{
    now_ns = 0;
    tick_ns = 0;
    damaged_epoch = 0;
    damaged_table = false;
    reads = 0;
    rig_init(&rig, sessions, 4);
}

static int release(void **state)
{
    (void)state;
    if (idle.reader)
        idle_release(&idle);
    rig_release(&rig);
    return 0;
}

static void write_segment(void)
{
    rig_commit(&rig);
    rig_freeze(&rig);
    rig_write_frozen(&rig);
    rig_drop_frozen(&rig);
}

/* a, b, c: an event of the session · .a closed · -a deleted · +a opened · W written as a segment */
static void run_script(const char *script)
{
    begin(4);
    for (const char *at = script; *at != '\0'; at++) {
        if (*at == 'W')
            write_segment();
        else if (*at == '.')
            rig_end(&rig, (uint32_t)(*++at - 'a'), RECORD_CLOSE);
        else if (*at == '-')
            rig_end(&rig, (uint32_t)(*++at - 'a'), RECORD_DELETE);
        else if (*at == '+')
            rig_open_session(&rig, (uint32_t)(*++at - 'a'));
        else
            rig_events(&rig, (uint32_t)(*at - 'a'), 1);
    }
    rig_commit(&rig);
}

/* Entries are 7 ns apart: the time to live is that of a hundred. */
static const struct row {
    const char *name;
    const char *script;
    uint64_t position; /* the newest activity that is just old enough */
    const char *idle;  /* sessions that are found, in order of their opening */
} rows[] = {
    {"none", "", 100, ""},
    {"not in a row yet", "aab", 100, ""},
    {"none is old enough", "abW", 1, ""},
    {"one is just old enough", "abW", 2, "a"}, /* opened at 1, event at 2 */
    {"one is not quite old enough", "abW", 3, "a"},
    {"both are", "abW", 4, "ab"},
    {"an event later", "abWaW", 4, "b"},
    {"an event later, but not in a row yet", "abWa", 4, "ab"},
    {"an event later, and old enough again", "abWaW", 5, "ab"},
    {"only opened", "+aW", 1, "a"},
    {"closing is activity", "a.aW", 2, ""},
    {"closed for long enough", "a.aW", 3, "a"},
    {"closed later", "abW.aW", 4, "b"},
    {"deleted", "abW-aW", 100, "b"},
    {"deleted, and opened anew", "abW-aaW", 100, "ba"},
    {"deleted, and opened anew not long ago", "abW-aaW", 6, "b"},
};

static void check_found(const struct idle_sessions *found, const char *expected)
{
    if (expected[0] == '\0') {
        assert_null(found);
        return;
    }
    assert_non_null(found);
    assert_int_equal(found->count, strlen(expected));
    for (size_t i = 0; i < found->count; i++) {
        const struct rig_session *of = &rig.sessions[expected[i] - 'a'];
        const struct idle_session *session = &found->sessions[i];
        assert_int_equal(session->epoch, of->epoch);
        assert_true(wire_same_life(session->life, of->life));
        uint64_t seq = session->extent.seq; /* as far as it is in a row */
        assert_in_range(seq, of->count > 1, of->count);
        assert_int_equal(session->extent.bytes, seq > 0 ? of->events[seq - 1].bytes : 0);
        assert_int_equal(session->name_size, strlen(of->name));
        assert_memory_equal(session->name, of->name, session->name_size);
    }
}

/* The second walk begins anew and finds the same. */
static void run(void **state)
{
    const struct row *row = *state;
    run_script(row->script);
    now_ns = rig_time_ns(row->position) + TTL_NS;
    assert_int_equal(idle_init(&idle, rig.journal, &fake_clock, TTL_NS), SPN_OK);
    for (int walk = 0; walk < 2; walk++) {
        struct idle_sessions *found;
        bool over = false;
        assert_int_equal(
            idle_walk(&idle, &(struct step){fake_monotonic_ns, UINT64_MAX, 0}, &found, &over),
            SPN_OK);
        assert_true(over);
        check_found(found, row->idle);
        free(found);
    }
}

/* -- a little at a time ------------------------------------------------------------------------ */

/* A session's time may lie ahead of the clock: then it is not idle. */
static void clock_behind(void **state)
{
    (void)state;
    run_script("abW");
    now_ns = 5;
    struct idle_sessions *found;
    bool over = false;
    assert_int_equal(idle_init(&idle, rig.journal, &fake_clock, TTL_NS), SPN_OK);
    assert_int_equal(
        idle_walk(&idle, &(struct step){fake_monotonic_ns, UINT64_MAX, 0}, &found, &over), SPN_OK);
    assert_null(found);
    assert_true(over);
}

/* All of many, each once, in lists that are not larger than they may be. */
static void check_many(uint64_t until_ns, size_t lists_min, size_t lists_max)
{
    size_t lists = 0;
    uint32_t next = 0;
    for (bool over = false; !over; lists++) {
        struct idle_sessions *found;
        assert_true(lists < LISTS_MAX);
        assert_int_equal(
            idle_walk(&idle, &(struct step){fake_monotonic_ns, until_ns, 0}, &found, &over),
            SPN_OK);
        for (size_t i = 0; found && i < found->count; i++)
            assert_int_equal(found->sessions[i].epoch, rig.sessions[next++].epoch);
        free(found);
    }
    assert_int_equal(next, MANY);
    assert_in_range(lists, lists_min, lists_max);
}

static void many(void **state)
{
    (void)state;
    begin(MANY);
    for (uint32_t i = 0; i < MANY; i++)
        rig_open_session(&rig, i);
    write_segment();
    now_ns = rig_time_ns(rig.next_position) + TTL_NS;
    assert_int_equal(idle_init(&idle, rig.journal, &fake_clock, TTL_NS), SPN_OK);
    check_many(UINT64_MAX, MANY / IDLE_SESSIONS_MAX + 1, MANY / IDLE_SESSIONS_MAX + 1);
    check_many(0, MANY / 64, MANY / 64 + 2); /* the time is up at every look */
    check_many(UINT64_MAX, MANY / IDLE_SESSIONS_MAX + 1, MANY / IDLE_SESSIONS_MAX + 1);
}

/* It goes on behind sessions that are gone meanwhile, and meets those that are new. */
static void change_on_the_way(void **state)
{
    (void)state;
    begin(200);
    for (uint32_t i = 0; i < 150; i++)
        rig_open_session(&rig, i);
    write_segment();
    now_ns = rig_time_ns(10000) + TTL_NS;
    assert_int_equal(idle_init(&idle, rig.journal, &fake_clock, TTL_NS), SPN_OK);
    struct idle_sessions *found;
    bool over;
    assert_int_equal(idle_walk(&idle, &(struct step){fake_monotonic_ns, 0, 0}, &found, &over),
                     SPN_OK);
    assert_false(over);
    assert_int_equal(found->count, 64);
    free(found);
    rig_end(&rig, 63, RECORD_EXPIRE); /* where it stands, and what is next */
    rig_end(&rig, 64, RECORD_EXPIRE);
    rig_open_session(&rig, 150);
    write_segment();
    size_t count = 0;
    while (!over) {
        assert_int_equal(idle_walk(&idle, &(struct step){fake_monotonic_ns, 0, 0}, &found, &over),
                         SPN_OK);
        if (found && count == 0)
            assert_int_equal(found->sessions[0].epoch, rig.sessions[65].epoch);
        count += found ? found->count : 0;
        free(found);
    }
    assert_int_equal(count, 86);
}

/* Rows of sessions that were deleted stay until they are buried. */
static void states(void **state)
{
    (void)state;
    static const uint8_t by_epoch[] = {RECORD_DELETED, RECORD_LIVE, RECORD_CLOSED, RECORD_DELETED};
    begin(1);
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    for (uint64_t i = 0; i < COUNT(by_epoch); i++) {
        struct record_row row = {.state = by_epoch[i], .name = rig_text("name")};
        assert_int_equal(journal_put_row(rig.journal, i + 1, &row), SPN_OK);
    }
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
    now_ns = TTL_NS;
    struct idle_sessions *found;
    bool over = false;
    assert_int_equal(idle_init(&idle, rig.journal, &fake_clock, TTL_NS), SPN_OK);
    assert_int_equal(
        idle_walk(&idle, &(struct step){fake_monotonic_ns, UINT64_MAX, 0}, &found, &over), SPN_OK);
    assert_non_null(found);
    assert_int_equal(found->count, 2);
    assert_int_equal(found->sessions[0].epoch, 2);
    assert_int_equal(found->sessions[1].epoch, 3);
    free(found);
}

/* -- what does not read back ------------------------------------------------------------------- */

static void damaged_row(void **state)
{
    (void)state;
    for (uint32_t damaged = 0; damaged < 3; damaged++) {
        static const char *const expected[] = {"bc", "ac", "ab"};
        run_script("abcW");
        damaged_epoch = rig.sessions[damaged].epoch;
        now_ns = rig_time_ns(100) + TTL_NS;
        struct idle_sessions *found;
        bool over = false;
        assert_int_equal(idle_init(&idle, rig.journal, &fake_clock, TTL_NS), SPN_OK);
        assert_int_equal(
            idle_walk(&idle, &(struct step){fake_monotonic_ns, UINT64_MAX, 0}, &found, &over),
            SPN_OK);
        assert_true(over);
        check_found(found, expected[damaged]);
        free(found);
        (void)release(NULL);
    }
}

/* Where there is no next row to go on to, that is said. */
static void damaged_pages(void **state)
{
    (void)state;
    run_script("abcW");
    damaged_table = true;
    struct idle_sessions *found;
    bool over = false;
    assert_int_equal(idle_init(&idle, rig.journal, &fake_clock, TTL_NS), SPN_OK);
    assert_int_equal(
        idle_walk(&idle, &(struct step){fake_monotonic_ns, UINT64_MAX, 0}, &found, &over),
        SPN_E_CORRUPT);
    assert_null(found);
}

int main(void)
{
    static const struct CMUnitTest single[] = {
        cmocka_unit_test_teardown(clock_behind, release),
        cmocka_unit_test_teardown(states, release),
        cmocka_unit_test_teardown(many, release),
        cmocka_unit_test_teardown(change_on_the_way, release),
        cmocka_unit_test_teardown(damaged_row, release),
        cmocka_unit_test_teardown(damaged_pages, release),
    };
    static struct CMUnitTest tests[COUNT(single) + COUNT(rows)];
    size_t count = COUNT(single);
    memcpy(tests, single, sizeof(single));
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[count++] =
            (struct CMUnitTest){rows[i].name, run, NULL, release, (void *)(uintptr_t)&rows[i]};
    return _cmocka_run_group_tests("idle", tests, count, NULL, NULL);
}
