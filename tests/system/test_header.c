/* SPDX-License-Identifier: Apache-2.0 */
/* test_header: programs that were built against other versions of sponson.h (other_header.c) work
 * with the library of now. */
#include "check.h"
#include "stage.h"
#include "until.h"

enum { ENDS_MS = 60000 };

static void run(struct stage *stage, const char *program)
{
    struct process *daemon = stage_start(stage, NULL);
    struct process_options options = {.argv = (const char *const[]){program, NULL}};
    struct outcome outcome = stage_end(stage, stage_process(stage, &options), until_in(ENDS_MS));
    stage_expect_code(&outcome, 0);
    assert_int_equal(stage_stop(daemon), 0);
}

static void apps_of_an_older_header_were_refused(struct stage *stage)
{
    run(stage, OLDER_HEADER);
}

static void apps_of_a_later_header_were_refused(struct stage *stage)
{
    run(stage, LATER_HEADER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(apps_of_an_older_header_were_refused),
        STAGE_TEST(apps_of_a_later_header_were_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
