/* SPDX-License-Identifier: Apache-2.0 */
/* test_deadline_heap: what is due leaves in order, whatever came and went before.
 *
 * Tables say what the header promises; a linear scan over the same nodes says what a long random
 * run must give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/deadline_heap.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { NODES_MAX = 300, STEPS = 200000 };

/* -- tables ------------------------------------------------------------------------------------ */

static const struct row {
    const char *name;
    uint64_t due_ns[8];
    size_t count;
    size_t removed[8]; /* indices into due_ns, before the first leaves */
    size_t removed_count;
    uint64_t now_ns;
    size_t leaves[8];
    size_t leaves_count;
} rows[] = {
    {"empty", .now_ns = UINT64_MAX},
    {"one", .due_ns = {5}, .count = 1, .now_ns = 5, .leaves = {0}, .leaves_count = 1},
    {"not due yet", .due_ns = {5}, .count = 1, .now_ns = 4},
    {"sorts by due", .due_ns = {30, 10, 20}, .count = 3, .now_ns = 30, .leaves = {1, 2, 0},
     .leaves_count = 3},
    {"only what is due", .due_ns = {30, 10, 20}, .count = 3, .now_ns = 20, .leaves = {1, 2},
     .leaves_count = 2},
    {"ties keep order", .due_ns = {5, 5, 5, 5, 5}, .count = 5, .now_ns = 5,
     .leaves = {0, 1, 2, 3, 4}, .leaves_count = 5},
    {"ties among others keep order", .due_ns = {9, 5, 1, 5, 0, 5, 9}, .count = 7, .now_ns = 9,
     .leaves = {4, 2, 1, 3, 5, 0, 6}, .leaves_count = 7},
    {"the first removed", .due_ns = {1, 2, 3}, .count = 3, .removed = {0}, .removed_count = 1,
     .now_ns = 9, .leaves = {1, 2}, .leaves_count = 2},
    {"the last removed", .due_ns = {1, 2, 3}, .count = 3, .removed = {2}, .removed_count = 1,
     .now_ns = 9, .leaves = {0, 1}, .leaves_count = 2},
    {"removed twice", .due_ns = {1, 2, 3}, .count = 3, .removed = {1, 1}, .removed_count = 2,
     .now_ns = 9, .leaves = {0, 2}, .leaves_count = 2},
    {"the hole is filled from another branch, and moves up", .due_ns = {1, 10, 2, 11, 12, 3, 4},
     .count = 7, .removed = {3}, .removed_count = 1, .now_ns = 99, .leaves = {0, 2, 5, 6, 1, 4},
     .leaves_count = 6},
    {"ties keep order over a remove", .due_ns = {7, 7, 7, 7, 7, 7}, .count = 6, .removed = {0, 3},
     .removed_count = 2, .now_ns = 7, .leaves = {1, 2, 4, 5}, .leaves_count = 4},
};

static void run_row(void **state)
{
    const struct row *row = *state;
    struct deadline nodes[8];
    struct deadline_heap heap;
    assert_int_equal(deadline_heap_init(&heap, 8), SPN_OK);
    for (size_t i = 0; i < row->count; i++) {
        nodes[i] = (struct deadline)DEADLINE_INIT;
        assert_false(deadline_is_set(&nodes[i]));
        deadline_heap_insert(&heap, &nodes[i], row->due_ns[i]);
        assert_true(deadline_is_set(&nodes[i]));
    }
    for (size_t i = 0; i < row->removed_count; i++) {
        deadline_heap_remove(&heap, &nodes[row->removed[i]]);
        assert_false(deadline_is_set(&nodes[row->removed[i]]));
    }
    for (size_t i = 0; i < row->leaves_count; i++) {
        struct deadline *next = &nodes[row->leaves[i]];
        assert_ptr_equal(deadline_heap_first(&heap), next);
        assert_ptr_equal(deadline_heap_pop(&heap, row->now_ns), next);
        assert_false(deadline_is_set(next));
    }
    assert_null(deadline_heap_pop(&heap, row->now_ns));
    assert_int_equal(heap.count, row->count - row->leaves_count -
                                     (row->removed_count > 1 && row->removed[0] == row->removed[1]
                                          ? 1
                                          : row->removed_count));
    deadline_heap_release(&heap);
}

/* -- against a linear scan --------------------------------------------------------------------- */

static uint64_t random_next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

struct model {
    struct deadline nodes[NODES_MAX];
    bool set[NODES_MAX];
    uint64_t inserted[NODES_MAX]; /* when, to break ties */
    size_t count;
};

static struct deadline *scan(struct model *model)
{
    size_t best = NODES_MAX;
    for (size_t i = 0; i < NODES_MAX; i++) {
        if (!model->set[i])
            continue;
        if (best == NODES_MAX || model->nodes[i].due_ns < model->nodes[best].due_ns ||
            (model->nodes[i].due_ns == model->nodes[best].due_ns &&
             model->inserted[i] < model->inserted[best]))
            best = i;
    }
    return best == NODES_MAX ? NULL : &model->nodes[best];
}

static void take_out(struct model *model, const struct deadline *node)
{
    model->set[node - model->nodes] = false;
    model->count--;
}

static void against_a_scan(void **state)
{
    (void)state;
    static struct model model;
    struct deadline_heap heap;
    uint64_t random = 88172645463325252u;
    assert_int_equal(deadline_heap_init(&heap, NODES_MAX), SPN_OK);
    for (size_t i = 0; i < NODES_MAX; i++)
        model.nodes[i] = (struct deadline)DEADLINE_INIT;

    for (uint64_t step = 0; step < STEPS; step++) {
        uint64_t roll = random_next(&random);
        size_t at = (roll >> 32) % NODES_MAX;
        /* It fills for a while and empties for a while. Few due times, so that there are ties. */
        bool filling = step / 1000 % 2 == 0;
        if (roll % 8 < (filling ? 5u : 2u)) {
            if (!model.set[at]) {
                deadline_heap_insert(&heap, &model.nodes[at], (roll >> 8) % 50);
                model.inserted[at] = step;
                model.set[at] = true;
                model.count++;
            }
        } else if (roll % 8 < 6) {
            deadline_heap_remove(&heap, &model.nodes[at]);
            if (model.set[at])
                take_out(&model, &model.nodes[at]);
        } else {
            uint64_t now_ns = (roll >> 8) % 60;
            struct deadline *first = scan(&model);
            struct deadline *expected = first && first->due_ns <= now_ns ? first : NULL;
            assert_ptr_equal(deadline_heap_pop(&heap, now_ns), expected);
            if (expected)
                take_out(&model, expected);
        }
        assert_int_equal(heap.count, model.count);
        assert_int_equal(deadline_is_set(&model.nodes[at]), model.set[at]);
        if (step % 8 == 0)
            assert_ptr_equal(deadline_heap_first(&heap), scan(&model));
    }
    deadline_heap_release(&heap);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 1];
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] =
            (struct CMUnitTest){rows[i].name, run_row, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    tests[COUNT(rows)] =
        (struct CMUnitTest){"against a linear scan", against_a_scan, NULL, NULL, NULL};
    return _cmocka_run_group_tests("deadline_heap", tests, COUNT(tests), NULL, NULL);
}
