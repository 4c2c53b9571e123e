/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_once: which headers may come twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/once.h"

static const struct row {
    const char *name;
    const char *headers[4];
    const char *detail; /* of the last one; NULL: it is taken */
} rows[] = {
    {"each once", {"Producer-Id", "Producer-Epoch", "Producer-Seq"}, NULL},
    {"twice", {"Producer-Seq", "Producer-Seq"}, "two Producer-Seq headers"},
    {"twice, in another case", {"Stream-Closed", "stream-closed"}, "two Stream-Closed headers"},
    {"twice, with others between",
     {"Origin", "Event-Id", "Accept", "Origin"},
     "two Origin headers"},
    {"the last name of the list",
     {"sec-fetch-site", "sec-fetch-site"},
     "two Sec-Fetch-Site headers"},
    {"lists", {"Accept", "Accept", "If-None-Match", "If-None-Match"}, NULL},
    {"what nobody reads", {"X-Any", "X-Any"}, NULL},
};

static void run_row(void **state)
{
    const struct row *row = *state;
    struct problem problem = {0};
    uint32_t seen = 0;
    for (size_t i = 0; i < 4 && row->headers[i] != NULL; i++) {
        bool is_last = i == 3 || row->headers[i + 1] == NULL;
        assert_int_equal(once_take(&seen, row->headers[i], &problem),
                         !is_last || row->detail == NULL);
    }
    if (row->detail == NULL)
        return;
    assert_int_equal(problem.status, 400);
    assert_string_equal(problem.detail, row->detail);
}

int main(void)
{
    enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
    struct CMUnitTest tests[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){rows[i].name, run_row, NULL, NULL, (void *)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
