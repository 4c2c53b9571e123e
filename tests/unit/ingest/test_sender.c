/* SPDX-License-Identifier: Apache-2.0 */
/* test_sender: which producers may be removed, which results a holder knows, and what another
 * holder begins with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/sender.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct parked *const some = (struct parked *)1;

static const struct row {
    const char *name;
    struct sender sender;
    bool idle;
} rows[] = {
    {"nothing on its way", {.queued = 0}, true},
    {"a batch at the worker", {.queued = 1}, false},
    {"an acknowledgement that is due", {.acks.due = true}, false},
    {"a parked frame", {.parking.first = some}, false},
    {"a parked frame that waits for its holder", {.parking = {.first = some, .held = 3}}, true},
    {"a session that is being loaded", {.parking.loading = 1}, false},
    {"a frame that may go on", {.parking.ready = true}, false},
    {"skipped numbers, which are in no batch", {.producer = {.accepted = 9, .durable = 2}}, true},
};

static void says_whether_it_may_go(void **state)
{
    const struct row *row = *state;
    assert_int_equal(sender_is_idle(&row->sender.producer), row->idle);
}

static void another_holder_begins_anew(void **state)
{
    (void)state;
    struct sender sender = {.producer = {.accepted = 9},
                            .acks = {.peer.size = 5, .round = 3, .round_answered = true},
                            .parking.held = 4};
    sender_begin(&sender);
    assert_false(sender.acks.round_answered);
    assert_int_equal(sender.acks.peer.size, 0);
    assert_int_equal(sender.parking.held, 0);
    assert_int_equal(sender.producer.accepted, 9);
}

/* At level none a base says nothing about results: what was not sent yet stays. */
static void level_none_knows_what_was_sent_to_it(void **state)
{
    (void)state;
    static const struct {
        uint8_t level;
        uint64_t acked;
        uint64_t base;
        uint64_t known_end;
    } known[] = {
        {WIRE_NONE, 4, 9, 5}, {WIRE_NONE, 8, 9, 9},     {WIRE_NONE, 20, 9, 9},
        {WIRE_NONE, 0, 1, 1}, {WIRE_ACCEPTED, 4, 9, 9}, {WIRE_DURABLE, 4, 9, 9},
    };
    for (size_t i = 0; i < COUNT(known); i++) {
        struct sender sender = {.producer.acked = known[i].acked, .acks.level = known[i].level};
        assert_int_equal(sender_known_end(&sender, known[i].base), known[i].known_end);
    }
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(level_none_knows_what_was_sent_to_it),
        cmocka_unit_test(another_holder_begins_anew),
    };
    struct CMUnitTest tests[COUNT(plain) + COUNT(rows)];
    memcpy(tests, plain, sizeof(plain));
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[COUNT(plain) + i] = (struct CMUnitTest){.name = rows[i].name,
                                                      .test_func = says_whether_it_may_go,
                                                      .initial_state = (void *)(uintptr_t)&rows[i]};
    return _cmocka_run_group_tests("sender", tests, COUNT(tests), NULL, NULL);
}
