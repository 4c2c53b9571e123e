/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_options: the table of the options of the gateway. See options_kit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/options.h"
#include "options_kit.h"

static void every_option_refuses_what_is_wrong(void **state)
{
    (void)state;
    options_kit_refuse(options_program());
}

static void the_table_is_right(void **state)
{
    (void)state;
    options_kit_look(options_program(), sizeof(struct http_options));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_refuses_what_is_wrong),
        cmocka_unit_test(the_table_is_right),
    };
    if (!options_kit_begin())
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    options_kit_end();
    return failed;
}
