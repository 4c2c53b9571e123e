/* SPDX-License-Identifier: Apache-2.0 */
/* short_turns: what the kernel is asked for, and what stays as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/short_turns.h"
#include "kernel.h"

enum { ATTRIBUTES_SIZE = 48, POLICY_AT = 4, NICE_AT = 16, RUNTIME_AT = 24 };

static int faked_policy; /* what the kernel says it is; -1: the truth */
static unsigned sets;

static uint64_t number_at(const uint8_t *attributes, size_t at, size_t size)
{
    uint64_t number = 0;
    memcpy(&number, attributes + at, size);
    return number;
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    va_list arguments;
    va_start(arguments, number);
    int thread = va_arg(arguments, int);
    uint8_t *attributes = va_arg(arguments, uint8_t *);
    unsigned third = va_arg(arguments, unsigned);
    va_end(arguments);
    sets += number == SYS_sched_setattr;
    long rc = __real_syscall(number, thread, attributes, third, 0);
    if (number == SYS_sched_getattr && faked_policy >= 0)
        memcpy(attributes + POLICY_AT, &faked_policy, sizeof(faked_policy));
    return rc;
}

static void read_own(uint8_t *attributes)
{
    memset(attributes, 0, ATTRIBUTES_SIZE);
    assert_int_equal(__real_syscall(SYS_sched_getattr, 0, attributes, ATTRIBUTES_SIZE, 0), 0);
}

static void *ask_and_read(void *attributes)
{
    setpriority(PRIO_PROCESS, 0, 3);
    short_turns_ask();
    read_own(attributes);
    return NULL;
}

/* In a thread of its own, so that the other tests find what the program began with. */
static void asks_and_keeps_the_rest(void **state)
{
    (void)state;
    uint8_t attributes[ATTRIBUTES_SIZE];
    pthread_t thread;
    faked_policy = -1;
    sets = 0;
    assert_int_equal(pthread_create(&thread, NULL, ask_and_read, attributes), 0);
    pthread_join(thread, NULL);
    assert_int_equal(sets, 1);
    assert_int_equal(number_at(attributes, POLICY_AT, 4), SCHED_OTHER);
    assert_int_equal(number_at(attributes, NICE_AT, 4), 3);
    if (kernel_is(6, 12))
        assert_int_equal(number_at(attributes, RUNTIME_AT, 8), SHORT_TURN_NS);
}

static void leaves_real_time_and_idle_alone(void **state)
{
    (void)state;
    static const int policies[] = {SCHED_FIFO, SCHED_RR, SCHED_IDLE};
    sets = 0;
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        faked_policy = policies[i];
        short_turns_ask();
    }
    assert_int_equal(sets, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_and_keeps_the_rest),
        cmocka_unit_test(leaves_real_time_and_idle_alone),
    };
    return cmocka_run_group_tests_name("short_turns", tests, NULL, NULL);
}
