/* SPDX-License-Identifier: Apache-2.0 */
/* test_share: who waits beside whom.
 *
 * A row is what was heard, in order, and who must wait then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/sender.h"
#include "ingest/share.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MS UINT64_C(1000000)

enum { PRODUCERS = 3, STEPS = 4, QUEUE = 64 * 1024 * 1024, PART = QUEUE / 1024 };

struct step {
    size_t heard;
    uint64_t at_ms; /* 0: there is no further step */
    size_t queued;  /* bytes that it has at the worker, from then on */
};

static const struct row {
    const char *name;
    struct step steps[STEPS];
    uint32_t waiting;
    bool waits[PRODUCERS];
} rows[] = {
    {"one floods alone", {{0, 1, PART}, {0, 2, PART}}, 0, {false}},
    {"two flood", {{0, 1, PART}, {1, 2, PART}, {0, 3, PART}}, 0, {false, false}},
    {"one floods beside one that does not", {{0, 1, PART}, {1, 2, 0}}, 0, {true, false}},
    {"less than a part is free", {{0, 1, PART - 1}, {1, 2, 0}}, 0, {false, false}},
    {"two divide the part",
     {{0, 1, PART / 2}, {2, 1, PART / 2}, {1, 2, 0}},
     2,
     {true, false, true}},
    {"who has little never waits", {{0, 1, 32767}, {1, 2, 0}}, 9, {false, false}},
    {"the modest one was not heard for long",
     {{0, 1, PART}, {1, 2, 0}, {0, 102, PART}},
     0,
     {false, false}},
    {"it was heard just now", {{0, 1, PART}, {1, 2, 0}, {0, 101, PART}}, 0, {true, false}},
    {"it floods by now", {{1, 1, 0}, {0, 2, PART}, {1, 3, PART}}, 0, {false, false}},
    {"it flooded a while ago",
     {{1, 1, PART}, {0, 2, PART}, {1, 200, 0}, {0, 201, PART}},
     0,
     {true, false}},
};

static void run_row(void **state)
{
    const struct row *row = *state;
    struct sender senders[PRODUCERS] = {{.queued = 0}};
    struct share share = {.waiting = row->waiting};
    uint64_t now_ns = 0;
    for (size_t i = 0; i < STEPS && row->steps[i].at_ms > 0; i++) {
        struct sender *heard = &senders[row->steps[i].heard];
        now_ns = row->steps[i].at_ms * MS;
        heard->queued_bytes = row->steps[i].queued;
        share_hear(&share, &heard->producer, now_ns);
    }
    for (size_t i = 0; i < PRODUCERS; i++)
        assert_int_equal(share_is_used_up(&share, &senders[i].producer, QUEUE, now_ns),
                         row->waits[i]);
}

static void one_that_is_gone_is_not_looked_at(void **state)
{
    (void)state;
    struct share share = {.modest = NULL};
    struct sender modest = {.queued = 0};
    struct sender floods = {.queued_bytes = PART};
    share_hear(&share, &modest.producer, MS);
    share_forget(&share, &floods.producer);
    assert_ptr_equal(share.modest, &modest);
    share_forget(&share, &modest.producer);
    assert_null(share.modest);
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(one_that_is_gone_is_not_looked_at),
    };
    struct CMUnitTest tests[COUNT(plain) + COUNT(rows)];
    memcpy(tests, plain, sizeof(plain));
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[COUNT(plain) + i] =
            (struct CMUnitTest){rows[i].name, run_row, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    return _cmocka_run_group_tests("share", tests, COUNT(tests), NULL, NULL);
}
