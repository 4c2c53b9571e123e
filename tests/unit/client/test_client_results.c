/* SPDX-License-Identifier: Apache-2.0 */
/* Results: runs beside a plain array that says the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "results.h"

static struct results results;

/* xorshift64: the same walk on every machine. */
static uint64_t random_state;

static uint64_t random_below(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

static int teardown(void **state)
{
    (void)state;
    results_release(&results);
    return 0;
}

static void million_stored_take_one_run(void **state)
{
    (void)state;
    struct spn_ack ack;
    results_init(&results, 2000000);
    for (uint64_t i = 0; i < 1000; i++)
        results_add(&results, 1 + i * 1000, 1000, SPN_STORED, SPN_OK);
    assert_int_equal(results.count, 1);
    assert_int_equal(results.unread, 1000000);
    assert_true(results_take(&results, 1000000, &ack));
    assert_true(results_take(&results, 1, &ack));
    assert_int_equal(results.count, 1);
    assert_true(results_take(&results, 500, &ack));
    assert_int_equal(results.count, 2);
    assert_false(results_take(&results, 500, &ack));
    assert_true(results_next(&results, &ack));
    assert_int_equal(ack.ticket, 2);
}

static void oldest_are_dropped(void **state)
{
    (void)state;
    struct spn_ack ack;
    results_init(&results, 10);
    results_add(&results, 1, 4, SPN_STORED, SPN_OK);
    results_add(&results, 5, 4, SPN_DUPLICATE, SPN_OK);
    results_add(&results, 9, 8, SPN_STORED, SPN_OK);
    assert_int_equal(results.unread, 10);
    assert_true(results_next(&results, &ack));
    assert_int_equal(ack.ticket, 7);
    results_add(&results, 17, 100, SPN_CONFLICT, SPN_OK);
    assert_true(results_next(&results, &ack));
    assert_int_equal(ack.ticket, 107);
    assert_int_equal(ack.result, SPN_CONFLICT);
}

enum { TICKETS = 4000, UNREAD_MAX = 300 };

struct model {
    bool here[TICKETS];
    spn_result result[TICKETS];
    uint64_t end;
    uint64_t low; /* below, all are gone */
};

static void model_add(struct model *model, uint64_t count, spn_result result)
{
    uint64_t unread = 0;
    for (uint64_t i = 0; i < count; i++, model->end++) {
        model->here[model->end] = true;
        model->result[model->end] = result;
    }
    for (uint64_t ticket = model->end; ticket-- > 0;)
        if (model->here[ticket] && ++unread > UNREAD_MAX)
            model->here[ticket] = false;
}

static uint64_t model_low(struct model *model)
{
    while (model->low < model->end && !model->here[model->low])
        model->low++;
    return model->low;
}

static void model_lose(struct model *model, uint64_t first, uint64_t last, uint64_t *by_result)
{
    for (uint64_t ticket = first; ticket <= last; ticket++)
        if (model->here[ticket]) {
            by_result[model->result[ticket]]++;
            model->result[ticket] = SPN_LOST;
        }
}

static void act(struct model *model)
{
    struct spn_ack ack = {0};
    uint64_t ticket = random_below(model->end);
    switch (random_below(4)) {
    case 0:
        if (results_next(&results, &ack)) {
            assert_int_equal(ack.ticket, model_low(model));
            assert_int_equal(ack.result, model->result[ack.ticket]);
            model->here[ack.ticket] = false;
        } else {
            assert_int_equal(model_low(model), model->end);
        }
        break;
    case 1:
    case 2:
        assert_int_equal(results_take(&results, ticket, &ack), model->here[ticket]);
        if (model->here[ticket])
            assert_int_equal(ack.result, model->result[ticket]);
        model->here[ticket] = false;
        break;
    default: {
        uint64_t lost[SPN_LOST + 1] = {0};
        uint64_t expected[SPN_LOST + 1] = {0};
        uint64_t last = ticket + random_below(50);
        last = last < model->end ? last : model->end - 1;
        results_lose(&results, ticket, last, lost);
        model_lose(model, ticket, last, expected);
        assert_memory_equal(lost, expected, sizeof(lost));
    }
    }
}

static void random_walk(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 50; seed++) {
        struct model *model = calloc(1, sizeof(*model));
        assert_non_null(model);
        model->end = 1;
        random_state = seed;
        results_init(&results, UNREAD_MAX);
        while (model->end < TICKETS - 400) {
            uint64_t count = 1 + random_below(random_below(50) == 0 ? 350 : 20);
            spn_result result = (spn_result)random_below(4);
            results_add(&results, model->end, count, result, SPN_OK);
            model_add(model, count, result);
            for (uint64_t i = random_below(10); i > 0; i--)
                act(model);
        }
        free(model);
        results_release(&results);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        TEST(million_stored_take_one_run),
        TEST(oldest_are_dropped),
        TEST(random_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
