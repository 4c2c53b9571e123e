/* SPDX-License-Identifier: Apache-2.0 */
/* test_options: the table of the options of the daemon. See options_kit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/options.h"
#include "options_kit.h"

static void every_option_refuses_what_is_wrong(void **state)
{
    (void)state;
    options_kit_refuse(options_program());
}

static void the_table_is_right(void **state)
{
    (void)state;
    options_kit_look(options_program(), sizeof(struct options));
}

/* A quarter of the quota bounds it. */
static void an_event_has_at_most_a_quarter_of_the_quota(void **state)
{
    (void)state;
    struct options options = {.quota_bytes = 1 << 24, .event_data_max = 1 << 22};
    assert_int_equal(options_event_data(&options), 1 << 22);
    options.event_data_max++;
    assert_int_equal(options_event_data(&options), 1 << 22);
    options.quota_bytes = UINT64_C(1) << 46;
    assert_int_equal(options_event_data(&options), (1 << 22) + 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_refuses_what_is_wrong),
        cmocka_unit_test(the_table_is_right),
        cmocka_unit_test(an_event_has_at_most_a_quarter_of_the_quota),
    };
    if (!options_kit_begin())
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    options_kit_end();
    return failed;
}
