/* SPDX-License-Identifier: Apache-2.0 */
/* test_endings: what ended and is not on disk, against a plain list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "allocations.h"
#include "state/endings.h"

enum { NAMES = 40, STEPS = 20000, PENDING_MAX = 300 };

/* -- against a list ---------------------------------------------------------------------------- */

struct pending {
    unsigned name;
    uint64_t position;
};

static struct pending list[STEPS];
static size_t list_first, list_count;

static struct spn_bytes name_of(unsigned name)
{
    static char text[16];
    int size = snprintf(text, sizeof(text), "session %u", name);
    return (struct spn_bytes){text, (size_t)size};
}

/* Names share hashes by fours. */
static uint64_t hash_of(unsigned name)
{
    return (name / 4 + 1) * 0x9e3779b97f4a7c15u;
}

static uint64_t oldest_of(unsigned name)
{
    for (size_t i = list_first; i < list_count; i++)
        if (list[i].name == name)
            return list[i].position;
    return 0;
}

static void check_all(const struct endings *endings)
{
    for (unsigned name = 0; name < NAMES; name++) {
        const struct ending *found = endings_find(endings, name_of(name), hash_of(name));
        assert_int_equal(found ? found->position : 0, oldest_of(name));
    }
}

static uint64_t random_next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static void against_a_list(void **state)
{
    (void)state;
    struct endings endings;
    uint64_t random = 88172645463325252u;
    uint64_t position = 0;
    list_first = list_count = 0;
    assert_int_equal(endings_init(&endings), SPN_OK);
    while (list_count < STEPS) {
        uint64_t roll = random_next(&random);
        if (roll % 4 > 0 && list_count - list_first < PENDING_MAX) {
            struct ending *ending;
            unsigned name = (unsigned)(roll >> 32) % NAMES;
            position += 1 + roll % 3;
            assert_int_equal(endings_add(&endings, name_of(name), hash_of(name), position, &ending),
                             SPN_OK);
            assert_int_equal(ending->position, position);
            list[list_count++] = (struct pending){name, position};
        } else if (list_first < list_count) {
            uint64_t durable = list[list_first].position + (roll >> 8) % 40;
            endings_settle(&endings, durable);
            while (list_first < list_count && list[list_first].position <= durable)
                list_first++;
        }
        if (roll % 64 == 0)
            check_all(&endings);
    }
    endings_settle(&endings, UINT64_MAX);
    list_first = list_count;
    check_all(&endings);
    assert_null(endings.first);
    assert_int_equal(slot_table_used(&endings.places), 0); /* nothing leaks */
    endings_release(&endings);
}

static void without_memory(void **state)
{
    (void)state;
    struct endings endings;
    assert_int_equal(endings_init(&endings), SPN_OK);
    list_first = list_count = 0;
    for (unsigned name = 0; name < NAMES; name++) {
        struct ending *ending;
        spn_err err = SPN_E_NOMEM;
        for (unsigned granted = 0; err == SPN_E_NOMEM; granted++) {
            check_all(&endings);
            allocations_left = granted;
            err = endings_add(&endings, name_of(name), hash_of(name), name + 1u, &ending);
            allocations_left = UINT32_MAX;
        }
        assert_int_equal(err, SPN_OK);
        list[list_count++] = (struct pending){name, name + 1u};
    }
    check_all(&endings);
    endings_release(&endings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_a_list),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
