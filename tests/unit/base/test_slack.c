/* SPDX-License-Identifier: Apache-2.0 */
/* slack: when memory is given back, and when there is nothing to wake up for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slack.h"

#define MS 1000000ull
#define SPAN (SLACK_MS * MS)

static unsigned given_back;

int __wrap_malloc_trim(size_t pad);
int __wrap_malloc_trim(size_t pad)
{
    assert_int_equal(pad, 0);
    given_back++;
    return 1;
}

/* What a load took stays for ever, if nothing is done after it. */
static void gives_back_after_the_last_thing(void **state)
{
    (void)state;
    struct slack slack = {0};
    given_back = 0;
    assert_int_equal(slack_tick(&slack, 100 * MS, true), 100 * MS + SPAN);
    assert_int_equal(slack_tick(&slack, 100 * MS + SPAN - 1, false), 100 * MS + SPAN);
    assert_int_equal(given_back, 0);
    assert_int_equal(slack_tick(&slack, 100 * MS + SPAN, false), UINT64_MAX);
    assert_int_equal(given_back, 1);
    assert_int_equal(slack_tick(&slack, 100 * SPAN, false), UINT64_MAX);
    assert_int_equal(given_back, 1);
}

static void gives_back_once_in_a_while_under_load(void **state)
{
    (void)state;
    struct slack slack = {0};
    given_back = 0;
    for (uint64_t ms = 1; ms <= 10 * SLACK_MS; ms++)
        assert_true(slack_tick(&slack, ms * MS, true) > ms * MS);
    assert_int_equal(given_back, 9);
}

static void has_nothing_to_do_before_anything_happens(void **state)
{
    (void)state;
    struct slack slack = {0};
    given_back = 0;
    assert_int_equal(slack_tick(&slack, 100 * MS, false), UINT64_MAX);
    assert_int_equal(given_back, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_back_after_the_last_thing),
        cmocka_unit_test(gives_back_once_in_a_while_under_load),
        cmocka_unit_test(has_nothing_to_do_before_anything_happens),
    };
    return cmocka_run_group_tests_name("slack", tests, NULL, NULL);
}
