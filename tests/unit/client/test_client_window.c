/* SPDX-License-Identifier: Apache-2.0 */
/* The window: a table of what fits, and a random walk beside a plain list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "window.h"

static struct window window;

/* xorshift64: the same walk on every machine. */
static uint64_t random_state;

static uint64_t random_below(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

static void start(size_t bytes_max, size_t events_max, size_t entry_max)
{
    assert_int_equal(window_init(&window, bytes_max, events_max, entry_max, 1), SPN_OK);
}

static int teardown(void **state)
{
    (void)state;
    window_release(&window);
    return 0;
}

/* An entry of this many bytes in all, told apart by its number. */
static struct wire_entry make(uint64_t number, size_t size, char *buffer)
{
    struct wire_entry entry = {.kind = WIRE_EVENT, .session = {"s", 1}, .retry_ms = 1};
    size_t data_size = size - WIRE_ENTRY_HEAD_SIZE - 1;
    memset(buffer, 'a' + (int)(number % 26), data_size);
    entry.data = (struct spn_bytes){buffer, data_size};
    return entry;
}

static bool put(size_t size)
{
    static char buffer[1 << 16];
    struct wire_entry entry = make(window.next, size, buffer);
    if (!window_has_room(&window, size))
        return false;
    window_put(&window, &entry, size);
    return true;
}

/* Reads a cut back and checks that it is what was put under these numbers. */
static void check_cut(uint64_t first, const struct window_cut *cut, const size_t *sizes)
{
    static char buffer[1 << 16];
    struct wire_in in = wire_in(cut->bytes, cut->size);
    struct wire_entry entry = {0};
    for (uint64_t number = first; number < first + cut->count; number++) {
        size_t size = sizes[number];
        struct wire_entry expected = make(number, size, buffer);
        wire_get_entry(&in, entry.session, &entry);
        assert_int_equal(entry.data.size, expected.data.size);
        assert_memory_equal(entry.data.data, expected.data.data, expected.data.size);
    }
    assert_true(wire_in_done(&in));
}

static void one_event_always_fits(void **state)
{
    (void)state;
    start(100, 10, 5000);
    assert_false(window_has_room(&window, 9000));
    assert_true(put(5000));
    assert_false(put(20));
    window_forget(&window, 2);
    assert_true(put(60));
    assert_true(put(40));
    assert_false(put(17)); /* 117 of 100 */
}

static void events_are_bounded(void **state)
{
    (void)state;
    start(1 << 16, 3, 100);
    assert_true(put(20) && put(20) && put(20));
    assert_false(put(20));
    window_forget(&window, 2);
    assert_true(put(20));
    assert_false(put(20));
}

static void limits_are_checked(void **state)
{
    (void)state;
    assert_int_equal(window_init(&window, 0, 1, 1, 1), SPN_E_INVALID);
    assert_int_equal(window_init(&window, 1, 0, 1, 1), SPN_E_INVALID);
    assert_int_equal(window_init(&window, (size_t)WINDOW_BYTES_MAX + 1, 1, 1, 1), SPN_E_INVALID);
    assert_int_equal(window_init(&window, 1, (size_t)WINDOW_EVENTS_MAX + 1, 1, 1), SPN_E_INVALID);
}

static void cut_ends_at_its_limits_and_at_the_turn(void **state)
{
    (void)state;
    start(1024, 64, 100);
    for (int i = 0; i < 10; i++)
        assert_true(put(100));
    assert_int_equal(window_cut(&window, 1, 250, 64).count, 2);
    assert_int_equal(window_cut(&window, 1, 300, 64).count, 3);
    assert_int_equal(window_cut(&window, 1, 10, 64).count, 1); /* at least one */
    assert_int_equal(window_cut(&window, 3, 4096, 4).count, 4);
    assert_int_equal(window_cut(&window, 1, 4096, 64).size, 1000);
    window_forget(&window, 6);
    assert_true(put(100)); /* goes to the start: 24 bytes stay free at the end */
    struct window_cut cut = window_cut(&window, 6, 4096, 64);
    assert_int_equal(cut.count, 5);
    assert_int_equal(cut.size, 500);
    cut = window_cut(&window, 11, 4096, 64);
    assert_int_equal(cut.count, 1);
    assert_int_equal(cut.size, 100);
}

/* A cut may end early only for a reason. */
static void check_reason(uint64_t first, const struct window_cut *cut, size_t bytes_max,
                         uint32_t count_max, const size_t *sizes)
{
    uint64_t end = first + cut->count;
    if (end == window.next || cut->count == count_max || cut->size + sizes[end] > bytes_max)
        return;
    assert_int_equal(window.starts[end & window.starts_mask] & window.bytes_mask, 0);
}

static void walk(size_t bytes_limit)
{
    enum { STEPS = 100000, NUMBERS = STEPS + 2 };
    size_t *sizes = calloc(NUMBERS, sizeof(*sizes));
    assert_non_null(sizes);
    random_state = 1;
    start(bytes_limit, 40, 700);
    for (int step = 0; step < STEPS; step++) {
        size_t size = 17 + random_below(random_below(8) == 0 ? 684 : 100);
        uint64_t held = window.next - window.base;
        size_t bytes = 0;
        for (uint64_t number = window.base; number < window.next; number++)
            bytes += sizes[number];
        sizes[window.next] = size;
        bool taken = put(size);
        assert_true(taken || held > 0);
        assert_false(taken && held > 0 && (held >= 40 || bytes + size > bytes_limit));
        /* It may be full early for what the turn leaves free, never by more than one entry. */
        assert_true(taken || held >= 40 || bytes + size + 700 > bytes_limit);
        if (window.next > window.base) {
            uint64_t first = window.base + random_below(window.next - window.base);
            size_t bytes_max = random_below(4000);
            uint32_t count_max = 1 + (uint32_t)random_below(50);
            struct window_cut cut = window_cut(&window, first, bytes_max, count_max);
            assert_true(cut.count >= 1 && cut.count <= count_max);
            assert_true(cut.count == 1 || cut.size <= bytes_max);
            check_cut(first, &cut, sizes);
            check_reason(first, &cut, bytes_max, count_max, sizes);
        }
        if (!taken || random_below(4) == 0)
            window_forget(&window, window.base + random_below(window.next - window.base + 1));
    }
    free(sizes);
    window_release(&window);
}

static void random_walk(void **state)
{
    (void)state;
    walk(3000);
    walk(4096); /* a power of two: no room to spare in the ring */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_event_always_fits), TEST(events_are_bounded),
        TEST(limits_are_checked),    TEST(cut_ends_at_its_limits_and_at_the_turn),
        TEST(random_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
