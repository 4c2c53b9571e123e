/* SPDX-License-Identifier: Apache-2.0 */
/* test_pump: random turns through a session that grows, is frozen, written and trimmed, beside the
 * plain list of its events.
 *
 * While a turn goes on, the rule moves and further events become durable: a turn sees the session
 * as it was when it began. The clock goes on by a random time with each look. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "any.h"
#include "log_rig.h"
#include "read/pump.h"

enum { SESSIONS = 2, MAIN = 0, WINDOW = 16, ROUNDS = 1500, SEED = 20 };

static struct rig rig;
static const struct rig_session *of; /* MAIN */
static struct journal_reader *reader;
static struct slice scratch;
static uint64_t time_ns;
static uint64_t look_ns; /* that each look at the clock takes */
static uint64_t hidden;  /* events that the rule hides from now on */

static struct {
    size_t slices, full, filled, over, ended, trimmed, moved, unknown;
} seen;

static uint64_t fake_monotonic_ns(void)
{
    time_ns += look_ns;
    return time_ns;
}

static const struct clock fake_clock = {.monotonic_ns = fake_monotonic_ns,
                                        .boot_ns = fake_monotonic_ns};

/* -- what happens to the session --------------------------------------------------------------- */

/* What is hidden stays hidden: a wider rule could show it again. */
static void hide(uint64_t count)
{
    hidden += count;
    rig_retain(&rig, (struct retention){.events_max = of->count - hidden});
}

static void add(uint64_t count)
{
    rig_retain(&rig, (struct retention){.events_max = of->count + count - hidden});
    rig_events(&rig, MAIN, count);
}

static void change_something(void)
{
    switch (any(6)) {
    case 0:
    case 1:
    case 2:
        add(1 + any(600));
        break;
    case 3:
        if (!rig.frozen)
            rig_freeze(&rig);
        break;
    case 4:
        if (rig.frozen) {
            rig_write_frozen(&rig);
            rig_drop_frozen(&rig);
        }
        break;
    default:
        hide(any(of->count - hidden));
    }
    rig_commit(&rig);
}

/* -- a turn ------------------------------------------------------------------------------------ */

static void check_slice(const struct slice *slice, uint64_t from, uint64_t first_retained,
                        size_t bytes_max)
{
    uint64_t first = from > first_retained ? from : first_retained;
    size_t size = 0;
    assert_int_equal(slice->head.missing, first - from);
    assert_true(wire_same_life(slice->head.life, of->life));
    assert_int_equal(slice->head.seq, first + slice->head.count - 1);
    for (uint32_t i = 0; i < slice->head.count; i++) {
        const struct rig_event *expected = &of->events[first - 1 + i];
        assert_int_equal(slice->entries[i].seq, first + i);
        assert_int_equal(slice->positions[i], expected->position);
        assert_int_equal(slice->entries[i].id.size, strlen(expected->id));
        assert_memory_equal(slice->entries[i].id.data, expected->id, strlen(expected->id));
        size += slice_entry_size(&slice->entries[i]);
    }
    assert_int_equal(slice->size, size);
    assert_true(slice->head.count <= 1 || size <= bytes_max);
    seen.slices++;
    seen.trimmed += slice->head.missing > 0;
    seen.full += slice->head.count == SLICE_ENTRIES_MAX;
    seen.filled += slice->head.count > 1 && slice->head.count < SLICE_ENTRIES_MAX &&
                   slice->head.seq < slice->head.seq_last;
}

/* Where a client stands: nowhere, at a seq, at an id. */
static uint64_t find_start(struct pump *pump, uint64_t retained)
{
    uint64_t seq = any(of->count + 1);
    struct slice_start start = {.start = WIRE_AFTER_SEQ, .life = of->life, .seq = seq};
    switch (any(3)) {
    case 0:
        start = (struct slice_start){.start = WIRE_EARLIEST};
        seq = 0;
        break;
    case 1:
        if (seq > 0)
            start = (struct slice_start){.start = WIRE_AFTER_ID,
                                         .id = rig_text(of->events[seq - 1].id)};
        break;
    default:
        break;
    }
    spn_err err = pump_find(pump, &start);
    if (start.start == WIRE_AFTER_ID && seq < retained) {
        assert_int_equal(err, SPN_E_UNKNOWN_ID);
        assert_int_equal(pump->next_seq, 1); /* where it was */
        seen.unknown++;
        return 1;
    }
    assert_int_equal(err, SPN_OK);
    assert_int_equal(pump->next_seq, seq + 1);
    return pump->next_seq;
}

/* The turn ends with the first look at the clock that is too late, and no earlier. */
static bool is_over(const struct pump *pump)
{
    bool expected = time_ns + look_ns >= pump->until_ns;
    bool over = pump_is_over(pump);
    assert_int_equal(over, expected);
    seen.over += over;
    return over;
}

static struct pump_source source_of_turn(void)
{
    return (struct pump_source){.journal = reader,
                                .clock = &fake_clock,
                                .secret = journal_meta(rig.journal)->secret,
                                .slice = &scratch};
}

static void take_turn(void)
{
    const struct pump_source source = source_of_turn();
    struct view view = {0};
    struct pump pump;
    const struct slice *slice;
    uint64_t count = of->count;
    uint64_t retained = hidden + 1;
    rig_view(&rig, MAIN, &view);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    uint64_t began_ns = time_ns;
    look_ns = any(2) == 0 ? 1000 : any(PUMP_TURN_NS);
    assert_int_equal(pump_begin(&pump, &source, &view), SPN_OK);
    assert_in_range(pump.until_ns, began_ns + PUMP_TURN_NS, time_ns + PUMP_TURN_NS);
    uint64_t from = find_start(&pump, retained);
    while (!pump_is_at_end(&pump)) {
        size_t bytes_max = 1 + any(30000);
        if (any(8) == 0) {
            change_something();
            seen.moved++;
        }
        assert_int_equal(pump_read(&pump, bytes_max, &slice), SPN_OK);
        check_slice(slice, from, retained, bytes_max);
        assert_true(slice->head.count > 0);
        assert_int_equal(slice->head.seq_last, count);
        from = slice->head.seq + 1;
        assert_int_equal(pump.next_seq, from);
        if (is_over(&pump))
            break;
    }
    assert_int_equal(pump_is_at_end(&pump), from > count);
    seen.ended += pump_is_at_end(&pump);
    journal_reader_end(reader);
    view_release(&view);
}

static void start(void)
{
    any_state = SEED;
    hidden = 0;
    rig_init(&rig, SESSIONS, WINDOW);
    of = &rig.sessions[MAIN];
    assert_int_equal(journal_reader_open(&reader, rig.journal), SPN_OK);
}

static int release(void **state)
{
    (void)state;
    journal_reader_close(reader);
    rig_release(&rig);
    return 0;
}

static void random_turns(void **state)
{
    (void)state;
    start();
    rig_events(&rig, MAIN, 10);
    rig_commit(&rig);
    for (int i = 0; i < ROUNDS; i++) {
        change_something();
        take_turn();
    }
    print_message("seed %d: %zu slices (%zu full, %zu filled, %zu with a gap), %zu turns over, "
                  "%zu at the end, %zu changes in a turn, %zu ids not found\n",
                  SEED, seen.slices, seen.full, seen.filled, seen.trimmed, seen.over, seen.ended,
                  seen.moved, seen.unknown);
    assert_true(seen.full > 0 && seen.filled > 0 && seen.trimmed > 0 && seen.over > 0 &&
                seen.ended > 0 && seen.moved > 0 && seen.unknown > 0);
}

/* All events are too old from the next look at the clock on. */
static void events_that_grow_too_old_in_a_turn(void **state)
{
    struct view view = {0};
    struct pump pump;
    const struct slice *slice;
    (void)state;
    start();
    rig_events(&rig, MAIN, 1000);
    rig_commit(&rig);
    time_ns = rig_time_ns(of->events[999].position);
    look_ns = PUMP_TURN_NS / 4;
    rig_retain(&rig, (struct retention){.age_max_ns = time_ns + look_ns + 1 -
                                                      rig_time_ns(of->events[0].position)});
    const struct pump_source source = source_of_turn();
    rig_view(&rig, MAIN, &view);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    assert_int_equal(pump_begin(&pump, &source, &view), SPN_OK);
    for (uint64_t from = 1; from <= 500 && !pump_is_over(&pump); from = slice->head.seq + 1) {
        assert_int_equal(pump_read(&pump, 100000, &slice), SPN_OK);
        check_slice(slice, from, 1, 100000);
        assert_int_equal(slice->head.count, SLICE_ENTRIES_MAX);
    }
    assert_int_equal(pump.next_seq, 2 * SLICE_ENTRIES_MAX + 1);
    journal_reader_end(reader);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    assert_int_equal(pump_begin(&pump, &source, &view), SPN_OK);
    assert_int_equal(pump_read(&pump, 100000, &slice), SPN_OK);
    assert_int_equal(slice->head.missing, 1000); /* a new turn sees that they are too old */
    journal_reader_end(reader);
    view_release(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(random_turns, release),
        cmocka_unit_test_teardown(events_that_grow_too_old_in_a_turn, release),
    };
    return cmocka_run_group_tests_name("pump", tests, NULL, NULL);
}
