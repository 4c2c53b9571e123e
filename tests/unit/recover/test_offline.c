/* SPDX-License-Identifier: Apache-2.0 */
/* test_offline: a session is deleted while no daemon has the database open.
 *
 * Wherever recovery finds the session, the entry that ends it has its life and how far it had come.
 * One that was given up is deleted by its life as others are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "log_rig.h"
#include "recover/offline.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct rig rig;

static int tear_down(void **state)
{
    (void)state;
    rig_release(&rig);
    return 0;
}

/* -- what there is ----------------------------------------------------------------------------- */

static void write_segment(void)
{
    rig_freeze(&rig);
    rig_write_frozen(&rig);
    rig_drop_frozen(&rig);
}

/* Puts a row in the place of the session's own, as a start that found damage left it. */
static void give_up(struct spn_life life)
{
    const struct record_row row = {.life = life,
                                   .position = rig.sessions[0].epoch,
                                   .state = RECORD_DAMAGED,
                                   .name = rig_name(&rig, 0)};
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(journal_put_row(rig.journal, rig.sessions[0].epoch, &row), SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
}

/* Retention took the entry that opened the session. */
static void trim_opening(void)
{
    uint64_t epoch = rig.sessions[0].epoch;
    uint64_t next;
    struct journal_deletion deletion = {.count_max = 1, .bytes_max = UINT64_MAX};
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(
        journal_delete_entries(rig.journal, epoch, epoch, NULL, NULL, &deletion, &next), SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
    assert_int_equal(deletion.count, 1);
}

static void lose_row(void)
{
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(journal_delete_row(rig.journal, rig.sessions[0].epoch), SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
}

/* e an event · W written as a segment · G given up · L the same, without a life · o its opening is
 * trimmed · R its row is lost */
static void run_script(const char *script)
{
    rig_init(&rig, 2, 16);
    for (const char *at = script; *at != '\0'; at++) {
        if (*at == 'e')
            rig_events(&rig, 0, 1);
        rig_commit(&rig);
        if (*at == 'W')
            write_segment();
        if (*at == 'G')
            give_up(rig.sessions[0].life);
        if (*at == 'L')
            give_up((struct spn_life){{0}});
        if (*at == 'o')
            trim_opening();
        if (*at == 'R')
            lose_row();
    }
}

/* -- what becomes of it ------------------------------------------------------------------------ */

enum meant { ANY, ITS_OWN, ANOTHER };

static const struct row {
    const char *name;
    const char *script;
    enum meant meant; /* which life is to be deleted */
    spn_err err;
    bool life; /* the entry that ends it has it */
    bool far;  /* the same of seq and bytes */
} rows[] = {
    {"no such session", "", ANY, SPN_E_UNKNOWN_SESSION, false, false},
    {"one of the log alone", "eee", ANY, SPN_OK, true, true},
    {"one of the log alone, by its life", "eee", ITS_OWN, SPN_OK, true, true},
    {"one of the log alone, by another", "eee", ANOTHER, SPN_E_OTHER_LIFE, false, false},
    {"one of a row", "eeeW", ANY, SPN_OK, true, true},
    {"one of a row, by its life", "eeeW", ITS_OWN, SPN_OK, true, true},
    {"one of a row, by another", "eeeW", ANOTHER, SPN_E_OTHER_LIFE, false, false},
    {"one of a row and the log", "eeWe", ANY, SPN_OK, true, true},
    {"one given up", "eWG", ANY, SPN_OK, true, false},
    {"one given up, by its life", "eWG", ITS_OWN, SPN_OK, true, false},
    {"one given up, by another", "eWG", ANOTHER, SPN_E_OTHER_LIFE, false, false},
    {"one without a life in its row", "eWL", ITS_OWN, SPN_OK, true, false},
    {"one without a life in its row, by another", "eWL", ANOTHER, SPN_E_OTHER_LIFE, false, false},
    {"one whose life is lost", "eWLo", ITS_OWN, SPN_OK, false, false},
    {"one whose row is lost", "eWR", ITS_OWN, SPN_OK, true, false},
    {"one whose row is lost, by another", "eWR", ANOTHER, SPN_E_OTHER_LIFE, false, false},
    {"one whose row and life are lost", "eWRo", ITS_OWN, SPN_OK, false, false},
};

static void check_end(const struct row *row, uint64_t position)
{
    const struct rig_session *of = &rig.sessions[0];
    struct journal_reader *reader;
    struct record_entry entry;
    struct record_row left;
    uint64_t epoch;
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    if (row->err == SPN_OK) {
        assert_int_equal(journal_read_entry(reader, position, &entry), SPN_OK);
        assert_int_equal(entry.kind, RECORD_DELETE);
        assert_int_equal(entry.epoch, of->epoch);
        assert_int_equal(entry.seq, row->far ? of->count : 0);
        assert_int_equal(entry.bytes, row->far ? of->bytes : 0);
        assert_int_equal(wire_same_life(entry.life, of->life), row->life);
        assert_int_equal(journal_read_row(reader, of->epoch, &left), SPN_E_END);
        assert_int_equal(journal_read_name(reader, rig_name(&rig, 0), &epoch), SPN_E_END);
    }
    assert_int_equal(journal_reader_newest(reader), row->err == SPN_OK ? position : position - 1);
    journal_reader_end(reader);
    journal_reader_close(reader);
}

static void run(void **state)
{
    const struct row *row = *state;
    struct recovered found;
    run_script(row->script);
    uint64_t position = rig.next_position;
    const struct spn_life another = {{9}};
    struct spn_life life = row->meant == ANOTHER ? another : rig.sessions[0].life;
    assert_int_equal(
        offline_delete(rig.journal, rig_name(&rig, 0), row->meant == ANY ? NULL : &life, &found),
        row->err);
    check_end(row, position);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows)];
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] =
            (struct CMUnitTest){rows[i].name, run, NULL, tear_down, (void *)(uintptr_t)&rows[i]};
    return _cmocka_run_group_tests("offline", tests, COUNT(rows), NULL, NULL);
}
