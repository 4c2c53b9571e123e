/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_histogram: each duration is counted once, in the first bound that it is not above;
 * Prometheus gets the sums of all bounds up to each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/histogram.h"

static const struct row {
    uint64_t took_ms;
    unsigned place;
} rows[] = {
    {0, 0},   {1, 0},   {2, 1},    {3, 2},    {5, 2},      {6, 3},      {100, 6},
    {101, 7}, {500, 7}, {1000, 8}, {1001, 9}, {30000, 10}, {30001, 11}, {UINT64_MAX, 11},
};

static void a_duration_has_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct histogram histogram = {.sum_ms = 0};
        histogram_add(&histogram, rows[i].took_ms, 1);
        for (unsigned place = 0; place < HISTOGRAM_COUNT; place++)
            assert_int_equal(histogram.counts[place], place == rows[i].place);
    }
}

static void the_sum_is_of_all(void **state)
{
    (void)state;
    struct histogram histogram = {.sum_ms = 0};
    histogram_add(&histogram, 7, 3);
    histogram_add(&histogram, 10, 1);
    histogram_add(&histogram, 5, 0);
    assert_int_equal(histogram.sum_ms, 31);
    assert_int_equal(histogram.counts[3], 4);
    assert_int_equal(histogram.counts[2], 0);
}

static void prometheus_gets_sums(void **state)
{
    (void)state;
    struct histogram histogram = {.sum_ms = 0};
    struct out out;
    histogram_add(&histogram, 2, 3);
    histogram_add(&histogram, 60001, 1);
    out_init(&out, -1);
    histogram_put(&out, "t_seconds", "Times.", &histogram);
    out_put(&out, "", 1);
    assert_int_equal(out.error, 0);
    assert_string_equal(out.data, "# HELP t_seconds Times.\n# TYPE t_seconds histogram\n"
                                  "t_seconds_bucket{le=\"0.001\"} 0\n"
                                  "t_seconds_bucket{le=\"0.002\"} 3\n"
                                  "t_seconds_bucket{le=\"0.005\"} 3\n"
                                  "t_seconds_bucket{le=\"0.01\"} 3\n"
                                  "t_seconds_bucket{le=\"0.02\"} 3\n"
                                  "t_seconds_bucket{le=\"0.05\"} 3\n"
                                  "t_seconds_bucket{le=\"0.1\"} 3\n"
                                  "t_seconds_bucket{le=\"0.5\"} 3\n"
                                  "t_seconds_bucket{le=\"1\"} 3\n"
                                  "t_seconds_bucket{le=\"5\"} 3\n"
                                  "t_seconds_bucket{le=\"30\"} 3\n"
                                  "t_seconds_bucket{le=\"+Inf\"} 4\n"
                                  "t_seconds_sum 60.007\nt_seconds_count 4\n");
    out_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_duration_has_its_place),
        cmocka_unit_test(the_sum_is_of_all),
        cmocka_unit_test(prometheus_gets_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
