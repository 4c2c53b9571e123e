/* SPDX-License-Identifier: Apache-2.0 */
/* test_scan: a log that grows, is trimmed and damaged anywhere, and two scans that read it, beside
 * a plain array that says what is at each position.
 *
 * A scan reports each entry that is there once, in order. What is not there is reported as missing
 * or damaged before anything beyond it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "any.h"
#include "log_rig.h"
#include "read/scan.h"

enum { WINDOW = 16, ROUNDS = 4000, POSITIONS_MAX = 100000, SCANS = 2, SEED = 9 };
enum state { NOT_YET, THERE, GONE, DAMAGED };

static struct rig rig;
static struct journal_reader *reader;
static struct scan scans[SCANS];
static uint8_t states[POSITIONS_MAX];

static struct {
    size_t entries, missing, damaged, ends, behind, back;
} seen;

static uint64_t newest(void)
{
    return rig.next_position - 1;
}

spn_err __real_journal_read_entry_from(struct journal_reader *from, uint64_t position,
                                       uint64_t *ret_position, struct record_entry *ret_entry);
spn_err __wrap_journal_read_entry_from(struct journal_reader *from, uint64_t position,
                                       uint64_t *ret_position, struct record_entry *ret_entry);

/* A run of damaged entries is one, as a damaged page is. */
spn_err __wrap_journal_read_entry_from(struct journal_reader *from, uint64_t position,
                                       uint64_t *ret_position, struct record_entry *ret_entry)
{
    spn_err err = __real_journal_read_entry_from(from, position, ret_position, ret_entry);
    if (err != SPN_OK || states[*ret_position] != DAMAGED)
        return err;
    while (states[*ret_position + 1] == DAMAGED)
        ++*ret_position;
    return SPN_E_CORRUPT;
}

/* -- what happens to the log ------------------------------------------------------------------- */

static void grow(void)
{
    uint64_t before = newest();
    rig_events(&rig, 0, 1 + any(30));
    rig_commit(&rig);
    for (uint64_t at = before + 1; at <= newest(); at++)
        states[at] = any(50) == 0 ? DAMAGED : THERE;
}

static void trim(uint64_t from, uint64_t to)
{
    uint64_t next;
    struct journal_deletion deletion = {.count_max = POSITIONS_MAX, .bytes_max = UINT64_MAX};
    struct record_meta meta = *journal_meta(rig.journal);
    meta.checkpoint = newest(); /* nothing above it is ever trimmed */
    assert_int_equal(journal_begin(rig.journal), SPN_OK);
    assert_int_equal(journal_put_meta(rig.journal, &meta), SPN_OK);
    assert_int_equal(journal_delete_entries(rig.journal, from, to, NULL, NULL, &deletion, &next),
                     SPN_OK);
    assert_int_equal(journal_commit(rig.journal), SPN_OK);
    for (uint64_t at = from; at <= to; at++)
        states[at] = GONE;
}

static void change_something(void)
{
    uint64_t at = 1 + any(newest());
    switch (any(8)) {
    case 0:
        trim(1, at); /* the oldest */
        break;
    case 1:
        trim(at, at + any(newest() - at + 1)); /* in between, or up to the end */
        break;
    case 2:
        trim(newest() - any(5) % newest(), newest()); /* the newest */
        break;
    default:
        grow();
    }
}

/* -- a scan ------------------------------------------------------------------------------------ */

/* The first position after this one where something is there. */
static uint64_t next_there(uint64_t after)
{
    uint64_t at = after + 1;
    while (at <= newest() && states[at] == GONE)
        at++;
    return at;
}

static void check_next(struct scan *scan)
{
    struct record_entry entry;
    uint64_t before = scan->position;
    uint64_t next = next_there(before);
    enum scan_found found = scan_next(scan, &entry);
    if (before == newest()) {
        assert_int_equal(found, SCAN_END);
        assert_int_equal(scan->position, before);
        seen.ends++;
    } else if (next <= newest() && states[next] == DAMAGED) {
        assert_int_equal(found, SCAN_DAMAGED);
        assert_int_equal(states[scan->position], DAMAGED);
        assert_int_not_equal(states[scan->position + 1], DAMAGED);
        seen.damaged++;
    } else if (next > before + 1) {
        assert_int_equal(found, SCAN_MISSING);
        assert_int_equal(scan->position, next - 1);
        seen.missing++;
    } else {
        assert_int_equal(found, SCAN_ENTRY);
        assert_int_equal(scan->position, next);
        assert_int_equal(entry.time_ns, rig_time_ns(next));
        seen.entries++;
    }
}

static void scan_some(struct scan *scan)
{
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    if (any(10) == 0) {
        uint64_t after = any(newest() + 5);
        seen.back += after < scan->position;
        scan_start(scan, after);
        assert_int_equal(scan->position, after < newest() ? after : newest());
    }
    for (uint64_t i = any(60); i > 0; i--)
        check_next(scan);
    seen.behind += scan->position < newest();
    journal_reader_end(reader);
}

static void random_scans(void **state)
{
    (void)state;
    any_state = SEED;
    rig_init(&rig, 1, WINDOW);
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
    for (size_t i = 0; i < SCANS; i++)
        scans[i] = (struct scan){.journal = reader};
    grow();
    for (int i = 0; i < ROUNDS && newest() < POSITIONS_MAX - 100; i++) {
        change_something();
        scan_some(&scans[any(SCANS)]);
    }
    print_message("seed %d: %zu entries, %zu missing, %zu damaged, %zu at the end, %zu not, %zu "
                  "back\n",
                  SEED, seen.entries, seen.missing, seen.damaged, seen.ends, seen.behind,
                  seen.back);
    assert_true(seen.entries > 0 && seen.missing > 0 && seen.damaged > 0 && seen.ends > 0 &&
                seen.behind > 0 && seen.back > 0);
}

static int release(void **state)
{
    (void)state;
    journal_reader_close(reader);
    rig_release(&rig);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(random_scans, release)};
    return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}
