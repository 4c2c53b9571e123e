/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_ds_producers: which appends of producers are taken; the newest producers are known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "http/ds/producers.h"
#include "sponson.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void note(struct ds_producers *producers, const char *id, uint64_t epoch, uint64_t seq)
{
    const struct ds_append append = {spn_text(id), epoch, seq};
    assert_true(ds_producers_note(producers, &append));
}

/* "p" has come to seq 4 of epoch 2. */
static const struct judge_row {
    const char *id;
    uint64_t epoch;
    uint64_t seq;
    enum ds_verdict verdict;
    uint64_t expected;
} judge_rows[] = {
    {"p", 2, 5, DS_ACCEPTED, 5}, {"p", 2, 4, DS_DUPLICATE, 5},   {"p", 2, 0, DS_DUPLICATE, 5},
    {"p", 2, 6, DS_GAP, 5},      {"p", 1, 5, DS_STALE_EPOCH, 5}, {"p", 1, 0, DS_STALE_EPOCH, 5},
    {"p", 3, 0, DS_ACCEPTED, 5}, {"p", 3, 5, DS_BAD_START, 5},   {"p", 9, 0, DS_ACCEPTED, 5},
    {"q", 0, 0, DS_ACCEPTED, 0}, {"q", 7, 0, DS_ACCEPTED, 0},    {"q", 0, 1, DS_GAP, 0},
    {"pp", 2, 5, DS_GAP, 0},
};

static void judges(void **state)
{
    (void)state;
    struct ds_producers producers;
    ds_producers_init(&producers);
    note(&producers, "other", 5, 5);
    note(&producers, "p", 2, 4);
    for (size_t i = 0; i < COUNT(judge_rows); i++) {
        const struct judge_row *row = &judge_rows[i];
        const struct ds_append append = {spn_text(row->id), row->epoch, row->seq};
        struct ds_progress progress;
        uint64_t expected;
        if (ds_producers_judge(&producers, &append, &progress, &expected) != row->verdict)
            fail_msg("row %zu", i);
        assert_int_equal(expected, row->expected);
        assert_int_equal(progress.seq, strcmp(row->id, "p") == 0 ? 4 : 0);
        assert_int_equal(progress.epoch, strcmp(row->id, "p") == 0 ? 2 : 0);
    }
    ds_producers_release(&producers);
}

static bool knows(const struct ds_producers *producers, unsigned number)
{
    char id[16];
    struct ds_progress progress;
    (void)snprintf(id, sizeof(id), "p%u", number);
    return ds_producers_find(producers, spn_text(id), &progress);
}

/* All that append once more than there may be, but for the first two, which append again. */
static void the_newest_are_known(void **state)
{
    (void)state;
    enum { MORE = 3 };
    struct ds_producers producers;
    ds_producers_init(&producers);
    for (unsigned i = 0; i < DS_PRODUCERS_MAX + MORE; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "p%u", i);
        note(&producers, id, 0, 0);
        if (i == DS_PRODUCERS_MAX - 1) {
            note(&producers, "p0", 0, 1);
            note(&producers, "p1", 0, 1);
        }
    }
    assert_int_equal(producers.count, DS_PRODUCERS_MAX);
    assert_true(knows(&producers, 0) && knows(&producers, 1));
    for (unsigned i = 2; i < 2 + MORE; i++)
        assert_false(knows(&producers, i));
    assert_true(knows(&producers, 2 + MORE) && knows(&producers, DS_PRODUCERS_MAX + MORE - 1));
    ds_producers_release(&producers);
    assert_int_equal(producers.bytes, 0);
    assert_false(knows(&producers, 0));
    note(&producers, "p0", 0, 0);
    ds_producers_release(&producers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges),
        cmocka_unit_test(the_newest_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
