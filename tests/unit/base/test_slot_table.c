/* SPDX-License-Identifier: Apache-2.0 */
/* test_slot_table: random things come and go, while memory runs out now and then; a plain array
 * says what has which slot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>

#include "base/slot_table.h"

enum { THINGS = 3000, STEPS = 200000, ROOM_MIN = 64 };

static int memory_left; /* calls of realloc that succeed; negative: all of them */
static size_t refused;

void *__real_realloc(void *what, size_t size);
void *__wrap_realloc(void *what, size_t size);

void *__wrap_realloc(void *what, size_t size)
{
    if (memory_left == 0) {
        refused++;
        return NULL;
    }
    memory_left -= memory_left > 0;
    return __real_realloc(what, size);
}

static char things[THINGS];
static uint32_t slots[THINGS]; /* of each thing; UINT32_MAX: it has none */

static uint64_t random_next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static void check(const struct slot_table *table)
{
    uint32_t used = 0;
    for (size_t i = 0; i < THINGS; i++) {
        if (slots[i] == UINT32_MAX)
            continue;
        used++;
        assert_ptr_equal(slot_table_at(table, slots[i]), &things[i]);
    }
    assert_int_equal(slot_table_used(table), used);
    uint32_t found = 0;
    for (uint32_t slot = 0; slot < table->room + 2; slot++)
        found += slot_table_at(table, slot) != NULL;
    assert_int_equal(found, used);
}

static size_t last_thing(const struct slot_table *table, size_t otherwise)
{
    for (uint32_t slot = table->count; slot-- > 0;)
        if (slot_table_at(table, slot))
            return (size_t)((char *)slot_table_at(table, slot) - things);
    return otherwise;
}

static void against_an_array(void **state)
{
    struct slot_table table = {.count = 0};
    uint64_t random = 88172645463325252u;
    uint32_t most = 0;
    size_t shrunk = 0;
    (void)state;
    for (size_t i = 0; i < THINGS; i++)
        slots[i] = UINT32_MAX;
    for (int step = 0; step < STEPS; step++) {
        uint64_t roll = random_next(&random);
        size_t thing = (size_t)(roll >> 32) % THINGS;
        bool filling = step / 20000 % 2 == 0;
        if (!filling && roll >> 16 & 1)
            thing = last_thing(&table, thing);
        bool add = roll % 16 < (filling ? 14u : 1u);
        memory_left = roll >> 8 & 1 ? -1 : (int)(roll >> 9 & 1);
        if (add && slots[thing] == UINT32_MAX) {
            if (slot_table_reserve(&table) == SPN_OK)
                slots[thing] = slot_table_add(&table, &things[thing]);
        } else if (!add && slots[thing] != UINT32_MAX) {
            slot_table_remove(&table, slots[thing]);
            slots[thing] = UINT32_MAX;
        }
        uint32_t room = table.room;
        if (step % 100 == 0)
            slot_table_shrink(&table);
        shrunk += table.room < room;
        most = table.room > most ? table.room : most;
        if (step % 1000 == 0)
            check(&table);
    }
    memory_left = -1;
    check(&table);
    print_message("shrunk %zu times, %zu times without memory\n", shrunk, refused);
    assert_true(most >= 2048);
    assert_true(shrunk >= 5 && refused > 0); /* with and without the memory for less */
    slot_table_release(&table);
}

/* 300,000 that came at once left 6 MiB. One that stays at the end keeps them; the next takes the
 * lowest. */
static void the_end_is_given_back(void **state)
{
    struct slot_table table = {.count = 0};
    (void)state;
    for (uint32_t i = 0; i < THINGS; i++) {
        assert_int_equal(slot_table_reserve(&table), SPN_OK);
        assert_int_equal(slot_table_add(&table, &things[i]), i);
    }
    for (uint32_t i = 5; i < THINGS - 1; i++)
        slot_table_remove(&table, i);
    uint32_t room = table.room;
    slot_table_shrink(&table);
    assert_int_equal(table.room, room);
    slot_table_remove(&table, THINGS - 1);
    slot_table_remove(&table, 2);
    slot_table_shrink(&table);
    assert_int_equal(table.room, ROOM_MIN);
    assert_int_equal(slot_table_used(&table), 4);
    static const uint32_t next[] = {2, 5, 6};
    for (size_t i = 0; i < sizeof(next) / sizeof(next[0]); i++) {
        assert_int_equal(slot_table_reserve(&table), SPN_OK);
        assert_int_equal(slot_table_add(&table, &things[i]), next[i]);
    }
    slot_table_release(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_an_array),
        cmocka_unit_test(the_end_is_given_back),
    };
    memory_left = -1;
    return cmocka_run_group_tests_name("slot_table", tests, NULL, NULL);
}
