/* SPDX-License-Identifier: Apache-2.0 */
/* test_database_clock: what the database clock shows after a start, whatever became of the
 * machine's clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "store/database_clock.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define S UINT64_C(1000000000)
#define HOUR_S 3600
#define DAY_S UINT64_C(86400)
#define NOON_S UINT64_C(1700000000) /* of a day that wall clocks may show */
#define WEEK_S (7 * DAY_S)

enum { NO_BOOT, BOOT_A, BOOT_B };

/* In seconds. Meta was written when the database clock was 1,000 and the boot clock 500. */
static const struct row {
    const char *name;
    uint64_t meta_wall_s; /* 0: written by a version that did not note it */
    int meta_boot;
    uint64_t newest_s; /* the highest time among the entries; 0: none above meta's */
    uint64_t newest_wall_s;
    int boot;
    uint64_t boot_s;
    uint64_t wall_s;
    uint64_t shows_s;
    enum database_clock_by by;
    uint64_t cut_s;
    uint64_t back_s;
} rows[] = {
    {"same boot: what nothing ran for counts", NOON_S, BOOT_A, 0, 0, BOOT_A, 509, NOON_S + 9, 1009,
     CLOCK_BY_BOOT, 0, 0},
    {"same boot: the newest entry lies between", NOON_S, BOOT_A, 1004, NOON_S + 4, BOOT_A, 509,
     NOON_S + 9, 1009, CLOCK_BY_BOOT, 0, 0},
    {"same boot: no time passed", NOON_S, BOOT_A, 0, 0, BOOT_A, 500, NOON_S, 1000, CLOCK_BY_BOOT, 0,
     0},
    {"same boot: a month off is exact, and not bounded", NOON_S, BOOT_A, 0, 0, BOOT_A,
     500 + 30 * DAY_S, NOON_S, 1000 + 30 * DAY_S, CLOCK_BY_BOOT, 0, 0},
    {"same boot: the wall went back", NOON_S, BOOT_A, 0, 0, BOOT_A, 509, NOON_S - DAY_S, 1009,
     CLOCK_BY_BOOT, 0, 0},
    {"same boot: the wall is far ahead", NOON_S, BOOT_A, 0, 0, BOOT_A, 509, NOON_S + 900 * DAY_S,
     1009, CLOCK_BY_BOOT, 0, 0},
    {"same boot: never below an entry", NOON_S, BOOT_A, 2000, NOON_S, BOOT_A, 509, NOON_S + 9, 2000,
     CLOCK_BY_BOOT, 0, 0},
    {"a boot clock that went back is another one", NOON_S, BOOT_A, 0, 0, BOOT_A, 499, NOON_S + 9,
     1009, CLOCK_BY_WALL, 0, 0},
    {"other boot: the wall's difference", NOON_S, BOOT_A, 0, 0, BOOT_B, 20, NOON_S + 9, 1009,
     CLOCK_BY_WALL, 0, 0},
    {"other boot: since the newest entry", NOON_S, BOOT_A, 1004, NOON_S + 4, BOOT_B, 20, NOON_S + 9,
     1009, CLOCK_BY_WALL, 0, 0},
    {"other boot: the wall was put right before that entry", NOON_S, BOOT_A, 1004, NOON_S + DAY_S,
     BOOT_B, 20, NOON_S + DAY_S + 5, 1009, CLOCK_BY_WALL, 0, 0},
    {"other boot: a time without a wall is as much later", NOON_S, BOOT_A, 1004, 0, BOOT_B, 20,
     NOON_S + 9, 1009, CLOCK_BY_WALL, 0, 0},
    {"other boot: the wall went back", NOON_S, BOOT_A, 0, 0, BOOT_B, 20, NOON_S - HOUR_S, 1000,
     CLOCK_BY_WALL, 0, HOUR_S},
    {"other boot: the bound", NOON_S, BOOT_A, 0, 0, BOOT_B, 20, NOON_S + WEEK_S, 1000 + WEEK_S,
     CLOCK_BY_WALL, 0, 0},
    {"other boot: the wall is far ahead", NOON_S, BOOT_A, 0, 0, BOOT_B, 20, NOON_S + 900 * DAY_S,
     1000 + WEEK_S, CLOCK_BY_WALL, 893 * DAY_S, 0},
    {"other boot: the wall is not set", NOON_S, BOOT_A, 0, 0, BOOT_B, 20, 20, 1000,
     CLOCK_BY_NOTHING, 0, 0},
    {"other boot: the wall was not set then", 30, BOOT_A, 0, 0, BOOT_B, 20, NOON_S, 1000,
     CLOCK_BY_NOTHING, 0, 0},
    {"a boot that is not known is another one", NOON_S, NO_BOOT, 0, 0, NO_BOOT, 509, NOON_S + 3,
     1003, CLOCK_BY_WALL, 0, 0},
    {"an older database: since the newest entry", 0, NO_BOOT, 1004, NOON_S, BOOT_B, 20, NOON_S + 9,
     1013, CLOCK_BY_WALL, 0, 0},
    {"an older database: its meta is newer than all entries", 0, NO_BOOT, 996, NOON_S, BOOT_B, 20,
     NOON_S + 9, 1005, CLOCK_BY_WALL, 0, 0},
    {"an older database without entries", 0, NO_BOOT, 0, 0, BOOT_B, 20, NOON_S, 1000,
     CLOCK_BY_NOTHING, 0, 0},
};

static void run_row(void **state)
{
    const struct row *row = *state;
    struct record_meta meta = {
        .clock_ns = 1000 * S,
        .clock_at = {.wall_ms = row->meta_wall_s * 1000,
                     .boot_ns = row->meta_boot == NO_BOOT ? 0 : 500 * S},
        .catch_up_max_ns = WEEK_S * S,
    };
    struct clock_moment now = {.wall_ms = row->wall_s * 1000, .boot_ns = row->boot_s * S};
    meta.clock_at.boot_id[3] = (uint8_t)row->meta_boot;
    now.boot_id[3] = (uint8_t)row->boot;
    struct database_clock_found found = {0};
    for (int i = 0; i < 2; i++) { /* in whatever order it is found */
        found = (struct database_clock_found){0};
        if (i == 0)
            database_clock_find(&found, meta.clock_ns, meta.clock_at.wall_ms);
        database_clock_find(&found, row->newest_s * S, row->newest_wall_s * 1000);
        if (i == 1)
            database_clock_find(&found, meta.clock_ns, meta.clock_at.wall_ms);
        struct database_clock_resumed resumed = database_clock_resume(&meta, &found, &now);
        assert_int_equal(resumed.database_ns, row->shows_s * S);
        assert_int_equal(resumed.by, row->by);
        assert_int_equal(resumed.database_ns - resumed.forward_ns, found.database_ns);
        assert_int_equal(resumed.cut_ns, row->cut_s * S);
        assert_int_equal(resumed.back_ms, row->back_s * 1000);
    }
}

/* -- while it runs ----------------------------------------------------------------------------- */

static uint64_t fake_monotonic;
static uint64_t fake_boot;
static uint64_t fake_wall;

static uint64_t fake_monotonic_ns(void)
{
    return fake_monotonic;
}

static uint64_t fake_boot_ns(void)
{
    return fake_boot;
}

static uint64_t fake_wall_ms(void)
{
    return fake_wall;
}

static const struct clock fake_clock = {
    .monotonic_ns = fake_monotonic_ns,
    .boot_ns = fake_boot_ns,
    .wall_ms = fake_wall_ms,
    .database_base_ns = 1000 * S,
    .started_ns = 500 * S,
    .boot_id = {BOOT_A},
};

static void ages_grow_while_the_machine_sleeps(void **state)
{
    (void)state;
    fake_monotonic = 100 * S;
    fake_boot = 510 * S;
    assert_int_equal(clock_database_ns(&fake_clock), 1010 * S);
    fake_boot += HOUR_S * S; /* asleep: the monotonic clock stands still */
    assert_int_equal(clock_database_ns(&fake_clock), (1010 + HOUR_S) * S);
    fake_wall = 5; /* the wall clock does not matter */
    assert_int_equal(clock_database_ns(&fake_clock), (1010 + HOUR_S) * S);
}

/* Noted at whatever moment of a boot, it is the same clock that goes on. */
static void a_note_of_any_moment_will_do(void **state)
{
    (void)state;
    fake_wall = NOON_S * 1000;
    for (uint64_t noted_s = 500; noted_s < 600; noted_s += 33) {
        struct record_meta meta = {.catch_up_max_ns = 0};
        struct database_clock_found found = {0};
        fake_boot = noted_s * S;
        database_clock_note(&fake_clock, &meta);
        assert_int_equal(meta.clock_ns, clock_database_ns(&fake_clock));
        assert_int_equal(meta.clock_at.wall_ms, fake_wall);
        database_clock_find(&found, meta.clock_ns, meta.clock_at.wall_ms);
        struct clock_moment now = {.boot_ns = 900 * S, .boot_id = {BOOT_A}};
        struct database_clock_resumed resumed = database_clock_resume(&meta, &found, &now);
        assert_int_equal(resumed.by, CLOCK_BY_BOOT);
        struct clock clock = database_clock_start(&resumed, &now);
        fake_boot = 900 * S;
        assert_int_equal(clock.database_base_ns, clock_database_ns(&fake_clock));
        assert_int_equal(clock.started_ns, fake_boot);
        assert_memory_equal(clock.boot_id, fake_clock.boot_id, sizeof(clock.boot_id));
    }
}

static void the_real_clocks(void **state)
{
    (void)state;
    static const uint8_t unknown[CLOCK_BOOT_ID_SIZE];
    uint64_t monotonic_ns = clock_monotonic_ns();
    struct clock_moment first = clock_now();
    struct clock_moment second = clock_now();
    assert_true(first.boot_ns >= monotonic_ns);
    assert_true(second.boot_ns >= first.boot_ns);
    assert_true(first.wall_ms > NOON_S * 1000);
    assert_memory_equal(first.boot_id, second.boot_id, sizeof(unknown));
    assert_memory_not_equal(first.boot_id, unknown, sizeof(unknown));
}

int main(void)
{
    static const struct CMUnitTest single[] = {
        cmocka_unit_test(ages_grow_while_the_machine_sleeps),
        cmocka_unit_test(a_note_of_any_moment_will_do),
        cmocka_unit_test(the_real_clocks),
    };
    struct CMUnitTest tests[COUNT(single) + COUNT(rows)];
    memcpy(tests, single, sizeof(single));
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[COUNT(single) + i] =
            (struct CMUnitTest){rows[i].name, run_row, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    return _cmocka_run_group_tests("clock", tests, COUNT(tests), NULL, NULL);
}
