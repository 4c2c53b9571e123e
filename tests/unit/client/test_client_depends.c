/* SPDX-License-Identifier: Apache-2.0 */
/* test_client_depends: the base is the lowest number that anything without a result needs, compared
 * with a plain list of all pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "depends.h"

enum { STEPS = 20000, PAIRS_MAX = STEPS };

static uint64_t random_state = 7;

static uint64_t any(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % below;
}

static void the_base_is_the_lowest(void **state)
{
    (void)state;
    static struct depends_pair list[PAIRS_MAX];
    struct depends depends = {.count = 0};
    size_t count = 0;
    uint64_t next = 1;
    uint64_t base = 1;
    for (int i = 0; i < STEPS; i++) {
        if (any(3) > 0) {
            uint64_t number = next++;
            if (number > 1 && any(2) == 0) {
                uint64_t back = 1 + any(number - 1 < 40 ? number - 1 : 40);
                assert_true(depends_reserve(&depends));
                depends_add(&depends, number, number - back);
                list[count++] = (struct depends_pair){number, number - back};
            }
        } else {
            base += any(next - base + 1);
        }
        uint64_t lowest = base;
        for (size_t k = 0; k < count; k++)
            if (list[k].number >= base && list[k].on < lowest)
                lowest = list[k].on;
        assert_int_equal(depends_base(&depends, base), lowest);
        assert_true(depends.count <= next - base);
    }
    depends_release(&depends);
    depends_release(&depends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_base_is_the_lowest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
