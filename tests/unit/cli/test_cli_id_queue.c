/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_id_queue: what goes in comes out, in order, in memory that stays bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/id_queue.h"

enum { ID_MAX = 1024, STEPS = 200000, IN_FLIGHT_MAX = 500 };

/* The id that belongs to a number: of any size, the empty one included, and like no other's. */
static struct spn_bytes id_of(uint64_t number, char *room)
{
    size_t size = (size_t)(number * 2654435761u % (ID_MAX + 1));
    if (number % 5 == 0)
        size = 0;
    for (size_t i = 0; i < size; i++)
        room[i] = (char)(number * 31 + i);
    return (struct spn_bytes){room, size};
}

static void check_pop(struct id_queue *queue, uint64_t expected)
{
    char room[ID_MAX];
    struct queued queued;
    assert_true(id_queue_pop(queue, &queued));
    assert_int_equal(queued.number, expected);
    assert_int_equal(queued.kind, expected % 3);
    struct spn_bytes wanted = id_of(expected, room);
    assert_int_equal(queued.id.size, wanted.size);
    if (wanted.size > 0)
        assert_memory_equal(queued.id.data, wanted.data, wanted.size);
}

static void push(struct id_queue *queue, uint64_t number)
{
    char room[ID_MAX];
    const struct queued queued = {
        .number = number, .kind = (uint8_t)(number % 3), .id = id_of(number, room)};
    assert_int_equal(id_queue_push(queue, &queued), SPN_OK);
}

static void ids_come_out_in_order(void **state)
{
    (void)state;
    struct id_queue queue;
    uint64_t pushed = 0;
    uint64_t popped = 0;
    unsigned seed = 3;
    id_queue_init(&queue);
    for (size_t i = 0; i < STEPS; i++) {
        seed = seed * 1103515245 + 12345;
        bool fills = i / 5000 % 2 == 0; /* runs nearly full for a while, then nearly empty */
        bool fill = (seed >> 16) % 100 < (fills ? 60u : 40u);
        if (fill && pushed - popped < IN_FLIGHT_MAX) {
            push(&queue, ++pushed);
        } else if (pushed > popped) {
            check_pop(&queue, ++popped);
        }
        assert_int_equal(queue.count, pushed - popped);
    }
    assert_true(queue.capacity <= 4 * IN_FLIGHT_MAX * (ID_MAX + 16));
    while (popped < pushed)
        check_pop(&queue, ++popped);
    id_queue_release(&queue);
}

/* One always in flight: the queue is never empty and must not creep through memory. */
static void a_queue_that_never_empties_stays_small(void **state)
{
    (void)state;
    struct id_queue queue;
    id_queue_init(&queue);
    for (uint64_t number = 1; number <= STEPS; number++) {
        push(&queue, number);
        if (number > 1)
            check_pop(&queue, number - 1);
    }
    assert_true(queue.capacity <= 16 * (ID_MAX + 16));
    id_queue_release(&queue);
}

static void an_empty_one_says_so(void **state)
{
    (void)state;
    struct id_queue queue;
    struct queued queued = {.number = 42};
    id_queue_init(&queue);
    assert_false(id_queue_pop(&queue, &queued));
    assert_int_equal(id_queue_push(&queue, &(struct queued){.number = 1}), SPN_OK);
    assert_true(id_queue_pop(&queue, &queued));
    assert_int_equal(queued.id.size, 0);
    assert_false(id_queue_pop(&queue, &queued));
    assert_int_equal(queued.number, 1);
    id_queue_release(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_come_out_in_order),
        cmocka_unit_test(a_queue_that_never_empties_stays_small),
        cmocka_unit_test(an_empty_one_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
