/* SPDX-License-Identifier: Apache-2.0 */
/* test_parking: random frames of some producers are parked, held and dropped, while memory runs out
 * now and then; plain arrays say what is parked, and who may go on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "any.h"
#include "ingest/parking.h"
#include "ingest/sender.h"

enum { PRODUCERS = 8, FRAMES_MAX = 512, STEPS = 200000, QUEUE_BYTES = 40000, SEED = 3 };

static bool no_memory;
static size_t refused;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    if (!no_memory)
        return __real_malloc(size);
    refused++;
    return NULL;
}

static struct share share;
static struct parking parking;
static struct sender senders[PRODUCERS];

/* What is expected. */
static struct model {
    uint64_t numbers[FRAMES_MAX]; /* of its frames, oldest first */
    size_t sizes[FRAMES_MAX];
    size_t count;
    size_t bytes;
    bool held;
    bool waits;
} models[PRODUCERS];
static uint64_t again_ns;
static uint64_t now_ns;
static uint64_t next_number = 1;

static struct {
    size_t parked, full, held_full, taken, may_not_stay, not_yet;
} seen;

static size_t held_bytes(void)
{
    size_t bytes = 0;
    for (size_t i = 0; i < PRODUCERS; i++)
        bytes += models[i].held ? models[i].bytes : 0;
    return bytes;
}

static void check(void)
{
    size_t bytes = 0;
    uint32_t waiting = 0;
    for (size_t i = 0; i < PRODUCERS; i++) {
        const struct peer *from;
        zmq_msg_t *first = parking_first(&senders[i].producer, &from);
        assert_int_equal(first != NULL, models[i].count > 0);
        bytes += models[i].bytes;
        waiting += models[i].count > 0;
        if (!first)
            continue;
        assert_memory_equal(zmq_msg_data(first), &models[i].numbers[0], sizeof(uint64_t));
        assert_int_equal(from->bytes[0], i);
    }
    assert_int_equal(parking.bytes, bytes);
    assert_int_equal(parking.held_bytes, held_bytes());
    assert_int_equal(share.waiting, waiting);
}

/* A frame costs its bytes and something beside them. */
static void park(size_t i)
{
    struct model *model = &models[i];
    struct peer peer = {.size = 1, .bytes = {(uint8_t)i}};
    size_t before = parking.bytes;
    size_t size = sizeof(next_number) + any(3000);
    zmq_msg_t frame;
    if (model->count == FRAMES_MAX)
        return;
    assert_int_equal(zmq_msg_init_size(&frame, size), 0);
    memcpy(zmq_msg_data(&frame), &next_number, sizeof(next_number));
    bool full = model->bytes >= QUEUE_BYTES / 4;
    bool held_full = model->held && held_bytes() >= QUEUE_BYTES / 4;
    no_memory = any(20) == 0;
    parking_park(&parking, &senders[i].producer, &peer, &frame);
    if (full || held_full || no_memory) {
        assert_int_equal(parking.bytes, before);
        model->held = model->held && model->count > 0;
        seen.full += full;
        seen.held_full += held_full;
    } else {
        assert_in_range(parking.bytes - before, size, size + 512);
        model->numbers[model->count] = next_number;
        model->sizes[model->count++] = parking.bytes - before;
        model->bytes += parking.bytes - before;
        seen.parked++;
    }
    no_memory = false;
    assert_int_equal(zmq_msg_close(&frame), 0);
    next_number++;
}

static void drop_first(size_t i)
{
    struct model *model = &models[i];
    if (model->count == 0)
        return;
    parking_drop_first(&parking, &senders[i].producer);
    model->bytes -= model->sizes[0];
    model->count--;
    memmove(model->numbers, model->numbers + 1, model->count * sizeof(model->numbers[0]));
    memmove(model->sizes, model->sizes + 1, model->count * sizeof(model->sizes[0]));
    model->held = model->held && model->count > 0;
}

static void drop_all(size_t i)
{
    parking_drop_all(&parking, &senders[i].producer);
    models[i].held = models[i].held && models[i].count == 0; /* nothing was dropped */
    models[i].count = models[i].bytes = 0;
}

static void hold(size_t i)
{
    models[i].held = any(2) == 0;
    parking_set_held(&parking, &senders[i].producer, models[i].held ? 7 : 0);
    bool stays = !models[i].held || held_bytes() < QUEUE_BYTES / 4 / 2 * 3;
    assert_int_equal(parking_may_stay(&parking, &senders[i].producer), stays);
    seen.may_not_stay += !stays;
}

static void wait_over(size_t i)
{
    models[i].waits = true;
    if (any(3) > 0) {
        parking_set_ready(&parking, &senders[i].producer);
        return;
    }
    parking_set_ready_later(&parking, &senders[i].producer, now_ns);
    again_ns = parking_due_ns(&parking);
    assert_in_range(again_ns, now_ns + 1, now_ns + 1000000000);
}

/* Whoever waited, once each, and nobody while memory is waited for. */
static void take_those_that_wait(void)
{
    now_ns += any(4000000);
    bool any_waits = false;
    for (size_t i = 0; i < PRODUCERS; i++)
        any_waits = any_waits || models[i].waits;
    if (now_ns < again_ns) {
        assert_false(parking_has_ready(&parking, now_ns));
        assert_int_equal(parking_due_ns(&parking), again_ns);
        seen.not_yet += any_waits;
        return;
    }
    again_ns = 0;
    assert_int_equal(parking_has_ready(&parking, now_ns), any_waits);
    while (parking_has_ready(&parking, now_ns)) {
        struct producer *producer = parking_take_ready(&parking);
        size_t i = (size_t)(sender_of(producer) - senders);
        assert_true(models[i].waits);
        models[i].waits = false;
        seen.taken++;
    }
    for (size_t i = 0; i < PRODUCERS; i++)
        assert_false(models[i].waits);
    assert_int_equal(parking_due_ns(&parking), UINT64_MAX);
}

static void against_arrays(void **state)
{
    (void)state;
    any_state = SEED;
    parking_init(&parking, &share, QUEUE_BYTES);
    for (int step = 0; step < STEPS; step++) {
        size_t i = any(PRODUCERS);
        switch (any(16)) {
        case 0:
            drop_all(i);
            break;
        case 1:
        case 2:
            hold(i);
            break;
        case 3:
        case 4:
            wait_over(i);
            break;
        case 5:
            take_those_that_wait();
            break;
        case 6:
        case 7:
        case 8:
        case 9:
            drop_first(i);
            break;
        default:
            park(i);
        }
        check();
    }
    for (size_t i = 0; i < PRODUCERS; i++)
        drop_all(i);
    check();
    print_message(
        "seed %d: %zu parked, %zu had no room, %zu none for held ones, %zu no memory, %zu "
        "went on, %zu times not yet, %zu may not stay\n",
        SEED, seen.parked, seen.full, seen.held_full, refused, seen.taken, seen.not_yet,
        seen.may_not_stay);
    assert_true(seen.parked > 0 && seen.full > 0 && seen.held_full > 0 && refused > 0 &&
                seen.taken > 0 && seen.not_yet > 0 && seen.may_not_stay > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_arrays)};
    return cmocka_run_group_tests_name("parking", tests, NULL, NULL);
}
