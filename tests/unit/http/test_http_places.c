/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_places: each name has its own count, whatever comes and goes around it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "http/places.h"

enum { NAMES = 300, STEPS = 20000, MOST = 8 };

static spn_err fill(void *bytes, size_t size)
{
    memset(bytes, 7, size);
    return SPN_OK;
}

static spn_err fill_fails(void *bytes, size_t size)
{
    (void)bytes;
    (void)size;
    return SPN_E_SYSTEM;
}

/* Against counts in an array. Some names are the beginnings of others. */
static void counts_are_those_of_the_names(void **state)
{
    (void)state;
    static struct place *entered[NAMES][MOST];
    static unsigned counts[NAMES];
    struct places places;
    uint32_t random = 1;
    assert_int_equal(places_init(&places, fill), SPN_OK);
    for (unsigned step = 0; step < STEPS; step++) {
        random = random * 1664525 + 1013904223;
        unsigned number = (random >> 16) % NAMES;
        unsigned *count = &counts[number];
        /* For a while all come, for a while all leave. */
        bool comes = (random >> 8) % 8 < (step / 2000 % 2 == 0 ? 6u : 2u);
        char name[8];
        int size = snprintf(name, sizeof(name), "%u", number);
        if (comes && *count < MOST) {
            struct place *place = places_enter(&places, (struct spn_bytes){name, (size_t)size});
            assert_non_null(place);
            entered[number][(*count)++] = place;
            assert_int_equal(place->count, *count);
        } else if (!comes && *count > 0) {
            places_leave(&places, entered[number][--(*count)]);
        }
    }
    unsigned used = 0;
    for (unsigned number = 0; number < NAMES; number++) {
        used += counts[number] > 0;
        for (unsigned i = 0; i < counts[number]; i++)
            assert_ptr_equal(entered[number][i], entered[number][0]);
    }
    assert_int_equal(slot_table_used(&places.table), used);
    places_release(&places);
}

static void nobody_is_in_no_place(void **state)
{
    (void)state;
    struct places places = {0};
    places_release(&places);
    assert_int_equal(places_init(&places, fill_fails), SPN_E_SYSTEM);
    places_leave(&places, NULL);
    places_release(&places);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_those_of_the_names),
        cmocka_unit_test(nobody_is_in_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
