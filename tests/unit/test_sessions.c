/* SPDX-License-Identifier: Apache-2.0 */
/* test_sessions: a name leads to its session, hot or cold, also where hashes are alike.
 *
 * The hash is an argument, so the tables choose it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"
#include "sessions.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MANY = 5000, WINDOW = 16 };

static struct spn_bytes text(const char *string)
{
    return (struct spn_bytes){string, strlen(string)};
}

/* -- memory that runs out ---------------------------------------------------------------------- */

static unsigned allocations_left = UINT32_MAX;

static bool allocate(void)
{
    if (allocations_left == 0)
        return false;
    allocations_left -= allocations_left < UINT32_MAX;
    return true;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_malloc(size_t size)
{
    return allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_realloc(void *memory, size_t size)
{
    return allocate() ? __real_realloc(memory, size) : NULL;
}

/* -- who is found ------------------------------------------------------------------------------ */

struct put {
    const char *name; /* NULL: cold */
    uint64_t hash;
    uint64_t epoch; /* of a cold one */
};

static const struct row {
    const char *label;
    struct put puts[4]; /* in order: slots 0, 1, ... */
    size_t count;
    const char *name;
    uint64_t hash;
    enum sessions_found found;
    uint32_t slot;
} rows[] = {
    {"none", {{0}}, 0, "a", 7, SESSIONS_ABSENT, 0},
    {"a hot one", {{"a", 7, 0}}, 1, "a", 7, SESSIONS_HOT, 0},
    {"a hot one of another name", {{"a", 7, 0}}, 1, "b", 7, SESSIONS_ABSENT, 0},
    {"a hot one of a longer name", {{"ab", 7, 0}}, 1, "a", 7, SESSIONS_ABSENT, 0},
    {"a hot one of another hash", {{"a", 7, 0}}, 1, "a", 8, SESSIONS_ABSENT, 0},
    {"a hash that agrees in its upper half",
     {{"a", 0x700000001, 0}, {NULL, 0x700000001, 5}},
     2,
     "a",
     0x700000041,
     SESSIONS_ABSENT,
     0},
    {"a cold one", {{NULL, 7, 5}}, 1, "a", 7, SESSIONS_COLD, 0},
    {"a cold one of another hash", {{NULL, 7, 5}}, 1, "a", 9, SESSIONS_ABSENT, 0},
    {"two hot ones of one hash, the first", {{"a", 7, 0}, {"b", 7, 0}}, 2, "a", 7, SESSIONS_HOT, 0},
    {"two hot ones of one hash, the second",
     {{"a", 7, 0}, {"b", 7, 0}},
     2,
     "b",
     7,
     SESSIONS_HOT,
     1},
    {"two hot ones of one hash, neither",
     {{"a", 7, 0}, {"b", 7, 0}},
     2,
     "c",
     7,
     SESSIONS_ABSENT,
     0},
    {"the hot one behind a cold one", {{NULL, 7, 5}, {"a", 7, 0}}, 2, "a", 7, SESSIONS_HOT, 1},
    {"the cold one behind a hot one", {{"a", 7, 0}, {NULL, 7, 5}}, 2, "b", 7, SESSIONS_COLD, 1},
    {"the first of two cold ones", {{NULL, 7, 5}, {NULL, 7, 6}}, 2, "a", 7, SESSIONS_COLD, 0},
    {"the hot one behind two cold ones",
     {{NULL, 7, 5}, {NULL, 7, 6}, {"a", 7, 0}},
     3,
     "a",
     7,
     SESSIONS_HOT,
     2},
};

static uint32_t put(struct sessions *sessions, const struct put *put)
{
    uint32_t slot = SLOT_NONE;
    spn_err err = put->name ? sessions_add(sessions, text(put->name), put->hash, &slot)
                            : sessions_know(sessions, put->hash, put->epoch, &slot);
    assert_int_equal(err, SPN_OK);
    assert_int_equal(sessions->slots[slot].touched[0], SLOT_NONE);
    assert_int_equal(sessions->slots[slot].touched[1], SLOT_NONE);
    assert_int_equal(sessions_epoch(sessions, slot), put->epoch);
    return slot;
}

static void find(void **state)
{
    const struct row *row = *state;
    struct sessions sessions;
    assert_int_equal(sessions_init(&sessions, 1, WINDOW), SPN_OK);
    for (size_t i = 0; i < row->count; i++)
        assert_int_equal(put(&sessions, &row->puts[i]), i);
    uint32_t slot = 99;
    assert_int_equal(sessions_find(&sessions, text(row->name), row->hash, &slot), row->found);
    assert_int_equal(slot, row->found == SESSIONS_ABSENT ? 99 : row->slot);
    sessions_release(&sessions);
}

/* -- epochs and warming ------------------------------------------------------------------------ */

static void warm(void **state)
{
    (void)state;
    struct sessions sessions;
    uint32_t slot;
    assert_int_equal(sessions_init(&sessions, 1, WINDOW), SPN_OK);
    assert_int_equal(put(&sessions, &(struct put){NULL, 7, 5}), 0);
    assert_int_equal(put(&sessions, &(struct put){NULL, 7, 6}), 1);
    assert_int_equal(sessions.hot, 0);
    assert_int_equal(sessions.tracker_bytes, 0);
    assert_int_equal(sessions_find_epoch(&sessions, 7, 5), 0);
    assert_int_equal(sessions_find_epoch(&sessions, 7, 6), 1);
    assert_int_equal(sessions_find_epoch(&sessions, 7, 8), SLOT_NONE);
    assert_int_equal(sessions_find_epoch(&sessions, 8, 5), SLOT_NONE);

    struct tracker *tracker = tracker_new(text("b"), WINDOW);
    assert_non_null(tracker);
    tracker->epoch = 6;
    sessions_warm(&sessions, 1, tracker);
    assert_int_equal(sessions.hot, 1);
    assert_int_equal(sessions.tracker_bytes, tracker_size(tracker));
    assert_int_equal(sessions_find_epoch(&sessions, 7, 6), SLOT_NONE); /* not a cold one any more */
    assert_int_equal(sessions_epoch(&sessions, 1), 6);
    assert_int_equal(sessions_find(&sessions, text("b"), 7, &slot), SESSIONS_HOT);
    assert_int_equal(slot, 1);
    assert_int_equal(sessions_find(&sessions, text("a"), 7, &slot), SESSIONS_COLD);
    assert_int_equal(slot, 0);
    tracker->epoch = 60; /* opened anew */
    assert_int_equal(sessions_epoch(&sessions, 1), 60);
    sessions_release(&sessions);
}

/* A hot session's epoch is its tracker's: none until its first event. */
static void opens_later(void **state)
{
    (void)state;
    struct sessions sessions;
    assert_int_equal(sessions_init(&sessions, 1, WINDOW), SPN_OK);
    uint32_t slot = put(&sessions, &(struct put){"a", 7, 0});
    assert_int_equal(sessions.slots[slot].tracker->window_max, WINDOW);
    sessions.slots[slot].tracker->epoch = 12;
    assert_int_equal(sessions_epoch(&sessions, slot), 12);
    assert_int_equal(sessions_find_epoch(&sessions, 7, 12), SLOT_NONE);
    sessions_release(&sessions);
}

static uint64_t sum_of_sizes(const struct sessions *sessions)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < sessions->count; i++)
        if (sessions->slots[i].tracker)
            sum += tracker_size(sessions->slots[i].tracker);
    return sum;
}

static void remember(void **state)
{
    (void)state;
    struct sessions sessions;
    assert_int_equal(sessions_init(&sessions, 1, 100), SPN_OK);
    uint32_t a = put(&sessions, &(struct put){"a", 7, 0});
    uint32_t b = put(&sessions, &(struct put){"b", 7, 0});
    for (uint64_t i = 0; i < 300; i++) {
        struct fingerprint id = {.low = i * 0x9E3779B97F4A7C15u, .high = (uint8_t)i};
        assert_int_equal(tracker_check(sessions.slots[a].tracker, id, 3), TRACKER_NEW);
        if (i % 7 == 0) {
            uint64_t before = sessions.tracker_bytes;
            allocations_left = 0;
            spn_err err = sessions_remember(&sessions, a, id, 3);
            allocations_left = UINT32_MAX;
            if (err == SPN_E_NOMEM)
                assert_int_equal(sessions.tracker_bytes, before);
            if (err == SPN_OK)
                continue;
        }
        assert_int_equal(sessions_remember(&sessions, a, id, 3), SPN_OK);
        assert_int_equal(tracker_check(sessions.slots[a].tracker, id, 3), TRACKER_DUPLICATE);
        assert_int_equal(tracker_check(sessions.slots[b].tracker, id, 3), TRACKER_NEW);
        assert_int_equal(sessions.tracker_bytes, sum_of_sizes(&sessions));
    }
    sessions_release(&sessions);
}

/* -- many -------------------------------------------------------------------------------------- */

static void many(void **state)
{
    (void)state;
    struct sessions sessions;
    char name[16];
    assert_int_equal(sessions_init(&sessions, 42, WINDOW), SPN_OK);
    for (uint32_t i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "s%u", i);
        uint64_t hash = sessions_hash(&sessions, text(name));
        struct put one = {i % 3 ? name : NULL, hash, i % 3 ? 0 : i + 1};
        assert_int_equal(put(&sessions, &one), i);
    }
    assert_int_equal(sessions.count, MANY);
    assert_int_equal(sessions.hot, MANY - (MANY + 2) / 3);
    assert_int_equal(sessions.tracker_bytes, sum_of_sizes(&sessions));
    for (uint32_t i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "s%u", i);
        uint64_t hash = sessions_hash(&sessions, text(name));
        uint32_t slot;
        assert_int_equal(sessions_find(&sessions, text(name), hash, &slot),
                         i % 3 ? SESSIONS_HOT : SESSIONS_COLD);
        assert_int_equal(slot, i);
        if (i % 3 == 0)
            assert_int_equal(sessions_find_epoch(&sessions, hash, i + 1), i);
        (void)snprintf(name, sizeof(name), "t%u", i);
        assert_int_equal(
            sessions_find(&sessions, text(name), sessions_hash(&sessions, text(name)), &slot),
            SESSIONS_ABSENT);
    }
    sessions_release(&sessions);
}

static void hash_is_keyed(void **state)
{
    (void)state;
    struct sessions one = {.seed = 1};
    struct sessions two = {.seed = 2};
    assert_int_equal(sessions_hash(&one, text("a")), sessions_hash(&one, text("a")));
    assert_int_not_equal(sessions_hash(&one, text("a")), sessions_hash(&one, text("b")));
    assert_int_not_equal(sessions_hash(&one, text("a")), sessions_hash(&two, text("a")));
}

/* Fails at the first, second, ... allocation: nothing is there then, and the next try succeeds. */
static void without_memory(void **state)
{
    (void)state;
    for (int cold = 0; cold < 2; cold++) {
        struct sessions sessions;
        assert_int_equal(sessions_init(&sessions, 42, WINDOW), SPN_OK);
        for (uint32_t i = 0; i < 3000; i++) {
            char name[16];
            uint32_t slot;
            (void)snprintf(name, sizeof(name), "s%u", i);
            uint64_t hash = sessions_hash(&sessions, text(name));
            spn_err err = SPN_E_NOMEM;
            for (unsigned granted = 0; err == SPN_E_NOMEM; granted++) {
                assert_int_equal(sessions.count, i);
                assert_int_equal(sessions_find(&sessions, text(name), hash, &slot),
                                 SESSIONS_ABSENT);
                allocations_left = granted;
                err = cold ? sessions_know(&sessions, hash, i + 1, &slot)
                           : sessions_add(&sessions, text(name), hash, &slot);
                allocations_left = UINT32_MAX;
            }
            assert_int_equal(err, SPN_OK);
            assert_int_equal(slot, i);
        }
        assert_int_equal(sessions.tracker_bytes, sum_of_sizes(&sessions));
        sessions_release(&sessions);
    }
    struct sessions sessions;
    allocations_left = 0;
    assert_int_equal(sessions_init(&sessions, 42, WINDOW), SPN_E_NOMEM);
    allocations_left = UINT32_MAX;
    sessions_release(&sessions); /* half-built */
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 6] = {
        {"warm", warm, NULL, NULL, NULL},
        {"opens later", opens_later, NULL, NULL, NULL},
        {"remember", remember, NULL, NULL, NULL},
        {"many", many, NULL, NULL, NULL},
        {"the hash is keyed", hash_is_keyed, NULL, NULL, NULL},
        {"without memory", without_memory, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[6 + i] =
            (struct CMUnitTest){rows[i].label, find, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    return _cmocka_run_group_tests("sessions", tests, COUNT(tests), NULL, NULL);
}
