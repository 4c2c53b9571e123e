/* SPDX-License-Identifier: Apache-2.0 */
/* test_pulse: only a thread that computes without a turn is stuck. */
#include "check.h"

#include <pthread.h>
#include <time.h>

#include "base/pulse.h"

#define MS UINT64_C(1000000)
#define MOST (10 * MS)

static uint64_t cpu_ns; /* of the thread that beats */
static int clock_fault;

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    clockid_t own;
    assert_int_equal(pthread_getcpuclockid(pthread_self(), &own), 0);
    assert_int_equal(clock, own);
    *now = (struct timespec){.tv_sec = (time_t)(cpu_ns / (1000 * MS)),
                             .tv_nsec = (long)(cpu_ns % (1000 * MS))};
    return clock_fault;
}

static bool computes(struct pulse *pulse, uint64_t ns)
{
    cpu_ns += ns;
    return pulse_is_stuck(pulse, MOST);
}

static void a_thread_that_turns_is_never_stuck(void **state)
{
    struct pulse pulse = {.name = NULL};
    (void)state;
    cpu_ns = 1000 * MS;
    pulse_begin(&pulse, "t");
    assert_string_equal(pulse.name, "t");
    for (int i = 0; i < 100; i++) {
        pulse_turn(&pulse);
        assert_false(computes(&pulse, 100 * MS));
    }
}

/* However often it is looked at, and beyond any number of looks while it waits. */
static void one_that_waits_is_not_and_one_that_computes_is(void **state)
{
    struct pulse pulse = {.name = NULL};
    (void)state;
    cpu_ns = 7 * MS;
    pulse_begin(&pulse, "t");
    for (int i = 0; i < 100; i++)
        assert_false(computes(&pulse, 0));
    assert_false(computes(&pulse, MOST));
    assert_true(computes(&pulse, 1));
    assert_true(computes(&pulse, 0));
    pulse_turn(&pulse); /* it came back */
    assert_false(computes(&pulse, 0));
    assert_false(computes(&pulse, MOST));
    assert_true(computes(&pulse, 1));
}

static void one_that_is_not_there_is_not(void **state)
{
    struct pulse pulse = {.name = NULL};
    (void)state;
    cpu_ns = MS;
    assert_false(computes(&pulse, 0));
    assert_false(computes(&pulse, 100 * MS));
    pulse_begin(&pulse, "t");
    assert_false(computes(&pulse, 0));
    pulse_end(&pulse);
    assert_false(computes(&pulse, 100 * MS));
    pulse_begin(&pulse, "t");
    clock_fault = -1; /* of a thread that is gone */
    assert_false(computes(&pulse, 100 * MS));
    clock_fault = 0;
    pulse_begin(NULL, "t");
    pulse_turn(NULL);
    pulse_end(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_turns_is_never_stuck),
        cmocka_unit_test(one_that_waits_is_not_and_one_that_computes_is),
        cmocka_unit_test(one_that_is_not_there_is_not),
    };
    return cmocka_run_group_tests_name("pulse", tests, NULL, NULL);
}
