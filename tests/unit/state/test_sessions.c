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

#include "allocations.h"
#include "store/record_entry.h"
#include "state/sessions.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MANY = 5000, WINDOW = 16 };

static struct spn_bytes text(const char *string)
{
    return (struct spn_bytes){string, strlen(string)};
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

/* -- epochs and trackers ----------------------------------------------------------------------- */

static void put_tracker(void **state)
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
    sessions_put_tracker(&sessions, 1, tracker);
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

/* -- getting rid of ---------------------------------------------------------------------------- */

static bool is_pinned(const void *owner, uint32_t slot)
{
    const char *letters = owner;
    return letters[slot] == 'p' || letters[slot] == 'P';
}

/* Sessions by slot, before and after. h hot, r hot and recent, p pinned, P pinned and recent, d
 * deleted (hot, without an epoch), D deleted and recent, c cold, - nobody's. */
static const struct evict_row {
    const char *name;
    const char *before;
    uint32_t hot_max;
    size_t slots_max;
    size_t evicted;
    const char *after;
    uint32_t hand; /* where it stands afterwards; it began at 0 */
} evict_rows[] = {
    {"few enough", "hhh", 3, 99, 0, "hhh", 0},
    {"nothing hot", "ccc", 0, 99, 0, "ccc", 0},
    {"one too many", "hhh", 2, 99, 1, "chh", 1},
    {"all", "hhh", 0, 99, 3, "ccc", 0},
    {"the cold ones are passed", "cchh", 1, 99, 1, "ccch", 3},
    {"the recent ones have another round", "rhr", 2, 99, 1, "hcr", 2},
    {"all are recent: the second time round", "rrr", 2, 99, 1, "chh", 1},
    {"all are recent, and all go", "rrr", 0, 99, 3, "ccc", 0},
    {"pinned ones stay", "phph", 0, 4, 2, "pcpc", 0},
    {"pinned ones stay, however often they are looked at", "ppp", 0, 99, 0, "ppp", 0},
    {"pinned and recent ones are not recent any more", "PP", 0, 2, 0, "pp", 0},
    {"so many slots at a time", "hhhh", 0, 2, 2, "cchh", 2},
    {"so many slots, and none goes", "rrrr", 0, 2, 0, "hhrr", 2},
    {"none", "hhhh", 0, 0, 0, "hhhh", 0},
    {"a deleted one is forgotten", "dhh", 2, 99, 1, "-hh", 1},
    {"a deleted one that is recent has another round", "Dhh", 2, 99, 1, "dch", 2},
    {"a deleted one among others", "hdc", 0, 99, 2, "c-c", 2},
    {"nobody's slots are passed", "-h-h", 1, 99, 1, "-c-h", 2},
};

static char slot_letter(const struct sessions *sessions, uint32_t slot, char was)
{
    const struct session *session = &sessions->slots[slot];
    if (!session->tracker)
        return session->epoch == 0 ? '-' : 'c';
    if (session->tracker->epoch == 0)
        return session->tracker->recent ? 'D' : 'd';
    bool pinned = was == 'p' || was == 'P';
    return (char)(session->tracker->recent ? (pinned ? 'P' : 'r') : (pinned ? 'p' : 'h'));
}

static void put_letter(struct sessions *sessions, char letter, uint32_t i)
{
    char name[2] = {(char)('a' + i), '\0'};
    uint64_t hash = sessions_hash(sessions, text(name));
    bool cold = letter == 'c' || letter == '-';
    assert_int_equal(put(sessions, &(struct put){cold ? NULL : name, hash, cold ? 100 + i : 0}), i);
    struct tracker *tracker = sessions->slots[i].tracker;
    if (!tracker)
        return;
    tracker->epoch = letter == 'd' || letter == 'D' ? 0 : 100 + i;
    tracker->recent = letter == 'r' || letter == 'P' || letter == 'D';
}

static void check_counts(const struct sessions *sessions)
{
    uint32_t hot = 0;
    uint32_t known = 0;
    for (uint32_t i = 0; i < sessions->count; i++) {
        hot += sessions->slots[i].tracker != NULL;
        known += sessions->slots[i].tracker != NULL || sessions->slots[i].epoch != 0;
    }
    assert_int_equal(sessions->hot, hot);
    assert_int_equal(sessions_known(sessions), known);
    assert_int_equal(sessions->tracker_bytes, sum_of_sizes(sessions));
}

static void evict(void **state)
{
    const struct evict_row *row = *state;
    struct sessions sessions;
    assert_int_equal(sessions_init(&sessions, 1, WINDOW), SPN_OK);
    for (uint32_t i = 0; row->before[i] != '\0'; i++)
        put_letter(&sessions, row->before[i], i);
    for (uint32_t i = 0; row->before[i] != '\0'; i++)
        if (row->before[i] == '-')
            sessions_forget(&sessions, i);
    assert_int_equal(
        sessions_evict(&sessions, row->hot_max, row->slots_max, is_pinned, row->before),
        row->evicted);
    check_counts(&sessions);
    for (uint32_t i = 0; row->after[i] != '\0'; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        uint64_t hash = sessions_hash(&sessions, text(name));
        uint32_t slot = 99;
        assert_int_equal(slot_letter(&sessions, i, row->before[i]), row->after[i]);
        enum sessions_found found = sessions_find(&sessions, text(name), hash, &slot);
        assert_int_equal(found, row->after[i] == '-'   ? SESSIONS_ABSENT
                                : row->after[i] == 'c' ? SESSIONS_COLD
                                                       : SESSIONS_HOT);
        if (row->after[i] == 'c') /* it keeps its epoch */
            assert_int_equal(sessions_find_epoch(&sessions, hash, 100 + i), i);
    }
    assert_int_equal(sessions.hand, row->hand);
    sessions_release(&sessions);
}

/* Of an evicted session there is what there was of a cold one: it can come back. */
static void evicted_and_back(void **state)
{
    (void)state;
    struct sessions sessions;
    assert_int_equal(sessions_init(&sessions, 1, WINDOW), SPN_OK);
    uint32_t slot = put(&sessions, &(struct put){"a", 7, 0});
    sessions.slots[slot].tracker->epoch = 12;
    sessions.slots[slot].touched[1] = 3;
    sessions.slots[slot].tracker->recent = false;
    assert_int_equal(sessions_evict(&sessions, 0, 1, is_pinned, "h"), 1);
    assert_int_equal(sessions_epoch(&sessions, slot), 12);
    assert_int_equal(sessions.slots[slot].touched[1], 3);
    struct tracker *tracker = tracker_new(text("a"), WINDOW);
    assert_non_null(tracker);
    tracker->epoch = 12;
    sessions_put_tracker(&sessions, slot, tracker);
    assert_true(tracker->recent); /* somebody asked for it */
    assert_int_equal(sessions_evict(&sessions, 0, 1, is_pinned, "h"), 0);
    check_counts(&sessions);
    sessions_release(&sessions);
}

/* A slot becomes another's: nothing of the one before is left, also not its places. */
static void slots_again(void **state)
{
    (void)state;
    struct sessions sessions;
    uint32_t slot;
    assert_int_equal(sessions_init(&sessions, 1, WINDOW), SPN_OK);
    uint32_t a = put(&sessions, &(struct put){"a", 7, 0});
    uint32_t b = put(&sessions, &(struct put){NULL, 7, 5});
    uint32_t c = put(&sessions, &(struct put){"c", 7, 0});
    sessions.slots[a].touched[0] = sessions.slots[b].touched[1] = 1;
    sessions_forget(&sessions, a);
    sessions_forget(&sessions, b);
    assert_int_equal(sessions_known(&sessions), 1);
    assert_int_equal(sessions_find(&sessions, text("a"), 7, &slot), SESSIONS_ABSENT);
    assert_int_equal(sessions_find_epoch(&sessions, 7, 5), SLOT_NONE);
    assert_int_equal(sessions_find(&sessions, text("c"), 7, &slot), SESSIONS_HOT);
    assert_int_equal(slot, c);
    check_counts(&sessions);
    assert_int_equal(put(&sessions, &(struct put){NULL, 9, 6}), b); /* the last one first */
    assert_int_equal(put(&sessions, &(struct put){"d", 7, 0}), a);
    assert_int_equal(put(&sessions, &(struct put){"e", 7, 0}), 3);
    assert_int_equal(sessions.count, 4);
    assert_int_equal(sessions_known(&sessions), 4);
    assert_int_equal(sessions_find(&sessions, text("x"), 9, &slot), SESSIONS_COLD);
    assert_int_equal(slot, b);
    check_counts(&sessions);
    sessions_release(&sessions);
}

/* Come and go for a long time: there are never more slots than there were sessions at once. */
static void come_and_go(void **state)
{
    (void)state;
    enum { ALIVE = 1500, ROUNDS = 6000 };
    static uint32_t slots[ALIVE];
    struct sessions sessions;
    char name[16];
    assert_int_equal(sessions_init(&sessions, 42, WINDOW), SPN_OK);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        (void)snprintf(name, sizeof(name), "s%u", i);
        uint32_t place = i < ALIVE ? i : (i * 7919) % ALIVE;
        if (i >= ALIVE)
            sessions_forget(&sessions, slots[place]);
        uint64_t hash = sessions_hash(&sessions, text(name));
        spn_err err = i % 2 ? sessions_know(&sessions, hash, i, &slots[place])
                            : sessions_add(&sessions, text(name), hash, &slots[place]);
        assert_int_equal(err, SPN_OK);
        uint32_t slot;
        assert_int_equal(sessions_find(&sessions, text(name), hash, &slot),
                         i % 2 ? SESSIONS_COLD : SESSIONS_HOT);
        assert_int_equal(slot, slots[place]);
    }
    assert_int_equal(sessions.count, ALIVE);
    assert_int_equal(sessions_known(&sessions), ALIVE);
    assert_int_equal(sessions.tracker_bytes, sum_of_sizes(&sessions));
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
    static const struct CMUnitTest plain[] = {
        {"put_tracker", put_tracker, NULL, NULL, NULL},
        {"opens later", opens_later, NULL, NULL, NULL},
        {"remember", remember, NULL, NULL, NULL},
        {"evicted and back", evicted_and_back, NULL, NULL, NULL},
        {"slots again", slots_again, NULL, NULL, NULL},
        {"come and go", come_and_go, NULL, NULL, NULL},
        {"many", many, NULL, NULL, NULL},
        {"the hash is keyed", hash_is_keyed, NULL, NULL, NULL},
        {"without memory", without_memory, NULL, NULL, NULL},
    };
    struct CMUnitTest tests[COUNT(plain) + COUNT(rows) + COUNT(evict_rows)];
    memcpy(tests, plain, sizeof(plain));
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[COUNT(plain) + i] =
            (struct CMUnitTest){rows[i].label, find, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    for (size_t i = 0; i < COUNT(evict_rows); i++)
        tests[COUNT(plain) + COUNT(rows) + i] = (struct CMUnitTest){
            evict_rows[i].name, evict, NULL, NULL, (void *)(uintptr_t)&evict_rows[i]};
    return _cmocka_run_group_tests("sessions", tests, COUNT(tests), NULL, NULL);
}
