/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_memory: what is held is what was counted, nobody takes what does not fit, and whoever
 * waits is called in turn as soon as it fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "http/memory.h"

enum { KIB = 1024, MAX = 400 * KIB, SHARES = 24, STEPS = 200000 };

static struct memory memory[MEMORY_USES];

static void begin(void)
{
    memory_init(memory, MAX);
}

static struct memory_share share_of(enum memory_use use)
{
    struct memory_share share;
    memory_share_init(&share, &memory[use], NULL);
    return share;
}

#define SHARE(name, use)                                                                           \
    struct memory_share name = share_of(use);                                                      \
    link_init(&(name).link)

static void each_use_has_its_part(void **state)
{
    (void)state;
    begin();
    assert_int_equal(memory[MEMORY_BODIES].max, MAX / 2);
    assert_int_equal(memory[MEMORY_ANSWERS].max, MAX / 4);
    assert_int_equal(memory[MEMORY_STREAMS].max, MAX / 4);
    SHARE(body, MEMORY_BODIES);
    SHARE(answer, MEMORY_ANSWERS);
    assert_true(memory_reserve(&body, MAX / 2));
    assert_true(memory_reserve(&answer, MAX / 4));
    memory_release(&body);
    memory_release(&answer);
    assert_int_equal(memory[MEMORY_BODIES].used + memory[MEMORY_ANSWERS].used, 0);
}

static void what_is_small_is_not_counted(void **state)
{
    (void)state;
    begin();
    SHARE(large, MEMORY_ANSWERS);
    SHARE(small, MEMORY_ANSWERS);
    assert_true(memory_reserve(&large, 2 * MAX));
    assert_true(memory_reserve(&small, MEMORY_SMALL));
    assert_int_equal(memory[MEMORY_ANSWERS].used, 2 * MAX);
    assert_false(memory_reserve(&small, MEMORY_SMALL + 1));
    memory_release(&large);
    assert_true(memory_reserve(&small, MEMORY_SMALL + 1));
    assert_int_equal(memory[MEMORY_ANSWERS].used, MEMORY_SMALL + 1);
    memory_hold(&small, MEMORY_SMALL);
    assert_int_equal(memory[MEMORY_ANSWERS].used, 0);
}

/* Whoever is alone may take anything, and grow. */
static void one_alone_is_never_refused(void **state)
{
    (void)state;
    begin();
    SHARE(first, MEMORY_ANSWERS);
    SHARE(second, MEMORY_ANSWERS);
    assert_true(memory_reserve(&first, MAX));
    assert_true(memory_reserve(&first, 3 * MAX));
    assert_false(memory_reserve(&second, 10 * KIB));
    assert_false(memory_may_take(&second, 10 * KIB));
    assert_true(memory_may_take(&second, 1));
    struct problem problem;
    memory_refuse(&second, &problem);
    assert_int_equal(problem.status, 503);
    assert_string_equal(problem.code, "SPN_E_BACKPRESSURE");
    assert_non_null(strstr(problem.detail, "--memory"));
    assert_int_equal(memory[MEMORY_ANSWERS].full, 1);
    memory_hold(&first, 50 * KIB);
    assert_true(memory_reserve(&second, 50 * KIB));
    assert_false(memory_reserve(&second, 50 * KIB + 1));
    assert_int_equal(memory[MEMORY_ANSWERS].used, 100 * KIB);
}

static void zeros_are_released(void **state)
{
    (void)state;
    struct memory_share zeros = {0};
    memory_release(&zeros);
}

/* -- against an oracle ------------------------------------------------------------------------- */

static struct waiter {
    struct memory_share share;
    size_t size;   /* that it holds */
    size_t wanted; /* 0: it does not wait */
    unsigned turn; /* of those that wait: who came first has the least */
} waiters[SHARES];
static unsigned turns;
static unsigned called;
static unsigned passed; /* calls in a row in which somebody went on waiting */

static uint32_t random_state;

static uint32_t roll(uint32_t below)
{
    random_state = random_state * 1664525U + 1013904223U;
    return (random_state >> 8) % below;
}

static size_t counted(size_t size)
{
    return size > MEMORY_SMALL ? size : 0;
}

static size_t held(void)
{
    size_t sum = 0;
    for (size_t i = 0; i < SHARES; i++)
        sum += counted(waiters[i].size);
    return sum;
}

static struct waiter *first_waiting(void)
{
    struct waiter *first = NULL;
    for (size_t i = 0; i < SHARES; i++)
        if (waiters[i].wanted > 0 && (first == NULL || waiters[i].turn < first->turn))
            first = &waiters[i];
    return first;
}

static bool fits(const struct waiter *waiter, size_t size)
{
    size_t others = held() - counted(waiter->size);
    return size <= MEMORY_SMALL || others == 0 || others + size <= memory[MEMORY_STREAMS].max;
}

static void on_room(struct memory_share *share)
{
    struct waiter *waiter = LINK_OWNER(share, struct waiter, share);
    assert_ptr_equal(waiter, first_waiting());
    assert_true(fits(waiter, waiter->wanted));
    waiter->size = waiter->wanted;
    waiter->wanted = 0;
    called++;
}

static void act(struct waiter *waiter)
{
    size_t size = 1 + roll(60 * KIB);
    switch (roll(4)) {
    case 0: /* it gives back some, or all, and waits no more */
        memory_release(&waiter->share);
        waiter->size = waiter->wanted = 0;
        break;
    case 1: /* it became larger than it was thought to be */
        if (waiter->wanted > 0 || waiter->size == 0)
            break;
        waiter->size += size / 8;
        memory_hold(&waiter->share, waiter->size);
        break;
    default:
        if (waiter->wanted > 0)
            break;
        bool may = memory_may_take(&waiter->share, size);
        bool has_it = size <= MEMORY_SMALL || size <= counted(waiter->size);
        assert_int_equal(may, has_it || (first_waiting() == NULL && fits(waiter, size)));
        if (may) {
            waiter->size = size;
            memory_hold(&waiter->share, size);
        } else {
            waiter->size = 0; /* who waits holds nothing */
            waiter->wanted = size;
            waiter->turn = ++turns;
            memory_wait(&waiter->share, size);
            assert_true(memory_is_waiting(&waiter->share));
        }
        break;
    }
}

static void random_shares_are_those_of_the_oracle(void **state)
{
    (void)state;
    begin();
    random_state = 1;
    for (size_t i = 0; i < SHARES; i++)
        memory_share_init(&waiters[i].share, &memory[MEMORY_STREAMS], on_room);
    for (unsigned step = 0; step < STEPS; step++) {
        act(&waiters[roll(SHARES)]);
        assert_int_equal(memory[MEMORY_STREAMS].used, held());
        const struct waiter *first = first_waiting();
        assert_int_equal(memory_is_due(&memory[MEMORY_STREAMS]),
                         first != NULL && fits(first, first->wanted));
        if (roll(3) > 0)
            continue;
        memory_turn(&memory[MEMORY_STREAMS]);
        first = first_waiting();
        assert_true(first == NULL || !fits(first, first->wanted));
        passed += first != NULL;
        assert_int_equal(memory[MEMORY_STREAMS].used, held());
    }
    assert_true(called > STEPS / 100 && passed > STEPS / 100);
    for (size_t i = 0; i < SHARES; i++)
        memory_release(&waiters[i].share);
    assert_int_equal(memory[MEMORY_STREAMS].used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_use_has_its_part),
        cmocka_unit_test(what_is_small_is_not_counted),
        cmocka_unit_test(one_alone_is_never_refused),
        cmocka_unit_test(zeros_are_released),
        cmocka_unit_test(random_shares_are_those_of_the_oracle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
