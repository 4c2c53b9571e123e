/* SPDX-License-Identifier: Apache-2.0 */
/* test_slot_index: every slot that was added is found under its hash until it is removed.
 *
 * The same random run of adds and removes with hashes of several shapes: spread, all alike, alike
 * in the half that chooses the cell, alike in the half that is the tag. A plain array says what
 * must be there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/slot_index.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { SLOTS_MAX = 400, STEPS = 20000 };

/* -- memory that runs out ---------------------------------------------------------------------- */

static bool no_memory;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    return no_memory ? NULL : __real_malloc(size);
}

/* -- shapes of hashes -------------------------------------------------------------------------- */

static uint64_t spread(uint64_t i)
{
    i = (i + 1) * 0x9E3779B97F4A7C15u;
    return i ^ i >> 29;
}

static uint64_t alike(uint64_t i)
{
    (void)i;
    return 0x123456789abcdef0u;
}

static uint64_t same_cell(uint64_t i)
{
    return spread(i) << 32 | 5;
}

static uint64_t same_tag(uint64_t i)
{
    return (uint64_t)7 << 32 | (spread(i) & UINT32_MAX);
}

/* Homes at the end of the cells, so that runs go over it to the start. */
static uint64_t around_the_end(uint64_t i)
{
    return spread(i) << 32 | (UINT32_MAX - i % 7);
}

static uint64_t pairs(uint64_t i)
{
    return spread(i / 2);
}

static uint64_t in_order(uint64_t i)
{
    return i << 32 | i;
}

static const struct shape {
    const char *name;
    uint64_t (*hash)(uint64_t);
} shapes[] = {
    {"spread", spread},
    {"all alike", alike},
    {"one cell", same_cell},
    {"one tag", same_tag},
    {"around the end", around_the_end},
    {"pairs", pairs},
    {"in order", in_order},
};

/* -- the model --------------------------------------------------------------------------------- */

struct model {
    uint64_t hashes[SLOTS_MAX];
    bool there[SLOTS_MAX];
    size_t count;
};

static uint64_t hash_of(const void *owner, uint32_t slot)
{
    const struct model *model = owner;
    assert_true(slot < SLOTS_MAX && model->there[slot]);
    return model->hashes[slot];
}

static uint64_t random_next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

/* Every slot of this hash is met once, and no other that is not there. */
static void check_hash(const struct slot_index *index, const struct model *model, uint64_t hash)
{
    bool seen[SLOTS_MAX] = {false};
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = slot_index_next(index, hash, &cursor)) != SLOT_NONE) {
        assert_true(slot < SLOTS_MAX);
        assert_true(model->there[slot]);
        assert_false(seen[slot]);
        assert_int_equal(model->hashes[slot] >> 32, hash >> 32);
        seen[slot] = true;
    }
    for (size_t i = 0; i < SLOTS_MAX; i++)
        if (model->there[i] && model->hashes[i] == hash)
            assert_true(seen[i]);
}

static void check_all(const struct slot_index *index, const struct model *model)
{
    size_t cells = 0;
    assert_int_equal(index->count, model->count);
    for (size_t i = 0; i <= index->mask; i++)
        cells += index->cells[i].slot != SLOT_NONE;
    assert_int_equal(cells, model->count);
    assert_true(cells * 4 <= (index->mask + 1) * 3);
    for (size_t i = 0; i < SLOTS_MAX; i++)
        check_hash(index, model, model->hashes[i]);
}

static void against_a_scan(void **state)
{
    const struct shape *shape = *state;
    struct model model = {.count = 0};
    struct slot_index index;
    uint64_t random = 88172645463325252u;
    assert_int_equal(slot_index_init(&index, hash_of, &model), SPN_OK);
    for (uint64_t i = 0; i < SLOTS_MAX; i++)
        model.hashes[i] = shape->hash(i);
    for (int step = 0; step < STEPS; step++) {
        uint64_t roll = random_next(&random);
        uint32_t slot = (uint32_t)((roll >> 32) % SLOTS_MAX);
        bool filling = step / 700 % 2 == 0;
        bool add = roll % 4 < (filling ? 3u : 1u);
        if (add && !model.there[slot]) {
            assert_int_equal(slot_index_reserve(&index, 1), SPN_OK);
            slot_index_add(&index, model.hashes[slot], slot);
            model.there[slot] = true;
            model.count++;
        } else if (!add && model.there[slot]) {
            slot_index_remove(&index, model.hashes[slot], slot);
            model.there[slot] = false;
            model.count--;
        }
        if (step % 50 == 0)
            slot_index_shrink(&index);
        check_hash(&index, &model, model.hashes[slot]);
        if (step % 500 == 0)
            check_all(&index, &model);
    }
    check_all(&index, &model);
    slot_index_release(&index);
}

/* -- the rest ---------------------------------------------------------------------------------- */

static void nothing_in_an_empty_one(void **state)
{
    (void)state;
    struct slot_index index;
    assert_int_equal(slot_index_init(&index, hash_of, NULL), SPN_OK);
    for (uint64_t i = 0; i < 1000; i++) {
        size_t cursor = 0;
        assert_int_equal(slot_index_next(&index, spread(i), &cursor), SLOT_NONE);
    }
    slot_index_release(&index);
    slot_index_release(&index); /* harmless */
}

/* A reserve is enough for as many adds as it says, and without memory changes nothing. */
static void reserve(void **state)
{
    (void)state;
    static struct model model;
    struct slot_index index;
    no_memory = true;
    assert_int_equal(slot_index_init(&index, hash_of, &model), SPN_E_NOMEM);
    no_memory = false;
    assert_int_equal(slot_index_init(&index, hash_of, &model), SPN_OK);
    for (uint32_t i = 0; i < 40; i++) {
        model.hashes[i] = spread(i);
        model.there[i] = true;
        model.count++;
        assert_int_equal(slot_index_reserve(&index, 1), SPN_OK);
        slot_index_add(&index, model.hashes[i], i);
    }
    struct slot_index before = index;
    no_memory = true;
    assert_int_equal(slot_index_reserve(&index, 300), SPN_E_NOMEM);
    assert_memory_equal(&index, &before, sizeof(index));
    assert_int_equal(slot_index_reserve(&index, 8), SPN_OK); /* 48 of 64 */
    assert_memory_equal(&index, &before, sizeof(index));
    assert_int_equal(slot_index_reserve(&index, 9), SPN_E_NOMEM);
    no_memory = false;
    check_all(&index, &model);

    assert_int_equal(slot_index_reserve(&index, 300), SPN_OK);
    no_memory = true;
    for (uint32_t i = 40; i < 340; i++) {
        model.hashes[i] = spread(i);
        model.there[i] = true;
        model.count++;
        slot_index_add(&index, model.hashes[i], i);
    }
    no_memory = false;
    check_all(&index, &model);
    slot_index_release(&index);
}

/* What 10,000 took is given back when a few are left; without memory for fewer it stays. */
static void shrink(void **state)
{
    (void)state;
    static struct model model;
    struct slot_index index;
    memset(&model, 0, sizeof(model));
    assert_int_equal(slot_index_init(&index, hash_of, &model), SPN_OK);
    assert_int_equal(slot_index_reserve(&index, 10000), SPN_OK);
    for (uint32_t i = 0; i < 40; i++) {
        model.hashes[i] = spread(i);
        model.there[i] = true;
        model.count++;
        slot_index_add(&index, model.hashes[i], i);
    }
    struct slot_index before = index;
    no_memory = true;
    slot_index_shrink(&index);
    no_memory = false;
    assert_memory_equal(&index, &before, sizeof(index));
    slot_index_shrink(&index);
    assert_int_equal(index.mask + 1, 256); /* 40 are more than an eighth of it */
    check_all(&index, &model);
    slot_index_shrink(&index);
    assert_int_equal(index.mask + 1, 256);
    memset(model.there, 0, sizeof(model.there));
    model.count = 0;
    slot_index_clear(&index);
    check_all(&index, &model);
    assert_int_equal(index.count, 0);
    slot_index_release(&index);
}

/* The highest slot there can be is not taken for an empty cell. */
static uint64_t any_hash(const void *owner, uint32_t slot)
{
    (void)owner;
    return spread(slot);
}

static void the_highest_slot(void **state)
{
    (void)state;
    struct slot_index index;
    uint32_t slot = SLOT_NONE - 1;
    assert_int_equal(slot_index_init(&index, any_hash, NULL), SPN_OK);
    slot_index_add(&index, spread(slot), slot);
    size_t cursor = 0;
    assert_int_equal(slot_index_next(&index, spread(slot), &cursor), slot);
    assert_int_equal(slot_index_next(&index, spread(slot), &cursor), SLOT_NONE);
    assert_int_equal(slot_index_reserve(&index, 1000), SPN_OK);
    cursor = 0;
    assert_int_equal(slot_index_next(&index, spread(slot), &cursor), slot);
    slot_index_release(&index);
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        {"nothing in an empty one", nothing_in_an_empty_one, NULL, NULL, NULL},
        {"reserve", reserve, NULL, NULL, NULL},
        {"shrink", shrink, NULL, NULL, NULL},
        {"the highest slot", the_highest_slot, NULL, NULL, NULL},
    };
    struct CMUnitTest tests[COUNT(plain) + COUNT(shapes)];
    memcpy(tests, plain, sizeof(plain));
    for (size_t i = 0; i < COUNT(shapes); i++)
        tests[COUNT(plain) + i] = (struct CMUnitTest){shapes[i].name, against_a_scan, NULL, NULL,
                                                      (void *)(uintptr_t)&shapes[i]};
    return _cmocka_run_group_tests("slot_index", tests, COUNT(tests), NULL, NULL);
}
