/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_hist: percentiles against the sorted values themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/hist.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const double percents[] = {0, 0.1, 1, 25, 50, 75, 90, 99, 99.9, 99.99, 100};

static int ascending(const void *left, const void *right)
{
    uint64_t a, b;
    memcpy(&a, left, sizeof(a));
    memcpy(&b, right, sizeof(b));
    return (a > b) - (a < b);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 11 ^ *seed << 23;
}

/* At least the true value, and at most 1/64 above it. */
static void check(const struct hist *hist, uint64_t *values, size_t count)
{
    qsort(values, count, sizeof(*values), ascending);
    assert_int_equal(hist->count, count);
    for (size_t i = 0; i < COUNT(percents); i++) {
        double rank = ceil(percents[i] * (double)count / 100);
        uint64_t expected = values[rank < 1 ? 0 : (size_t)rank - 1];
        uint64_t got = hist_percentile(hist, percents[i]);
        if (got < expected || got - expected > expected / 64)
            fail_msg("p%g of %zu: %llu, not %llu", percents[i], count, (unsigned long long)got,
                     (unsigned long long)expected);
    }
}

static void percentiles_are_those_of_the_values(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (unsigned shift = 0; shift < 64; shift++) {
        struct hist hist = {0};
        uint64_t values[1000];
        size_t count = 1 + shift * 15;
        for (size_t i = 0; i < count; i++) {
            values[i] = next_random(&seed) >> shift;
            hist_add(&hist, values[i]);
        }
        check(&hist, values, count);
    }
}

/* The values at which buckets begin and end. */
static void powers_of_two_are_where_they_belong(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int64_t by = -1; by <= 1; by++) {
            uint64_t value = (UINT64_C(1) << bit) + (uint64_t)by;
            struct hist hist = {0};
            hist_add(&hist, value);
            assert_true(hist_percentile(&hist, 50) == value); /* cut at the maximum: exact */
            hist_add(&hist, UINT64_MAX);
            uint64_t got = hist_percentile(&hist, 50);
            assert_true(got >= value && got - value <= value / 64);
        }
    }
}

static void small_values_are_exact(void **state)
{
    (void)state;
    struct hist hist = {0};
    for (uint64_t value = 0; value < 100; value++)
        hist_add(&hist, value);
    for (unsigned percent = 1; percent <= 64; percent++)
        assert_int_equal(hist_percentile(&hist, percent), percent - 1);
}

static void without_values_it_is_0(void **state)
{
    (void)state;
    struct hist hist = {0};
    assert_int_equal(hist_percentile(&hist, 50), 0);
    assert_int_equal(hist_percentile(&hist, 100), 0);
}

static void merged_is_as_if_added_to_one(void **state)
{
    (void)state;
    struct hist parts[3] = {0};
    struct hist all = {0};
    struct hist merged = {0};
    uint64_t seed = 7;
    for (size_t i = 0; i < 3000; i++) {
        uint64_t value = next_random(&seed) >> i % 60;
        hist_add(&parts[i % 3], value);
        hist_add(&all, value);
    }
    for (size_t i = 0; i < 3; i++)
        hist_merge(&merged, &parts[i]);
    assert_memory_equal(&merged, &all, sizeof(all));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_those_of_the_values),
        cmocka_unit_test(powers_of_two_are_where_they_belong),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(without_values_it_is_0),
        cmocka_unit_test(merged_is_as_if_added_to_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
