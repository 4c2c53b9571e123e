/* SPDX-License-Identifier: Apache-2.0 */
/* test_generation: who was touched in which generation, and what follows what.
 *
 * Nothing is cleared when a generation ends: so most of this is about places that a session still
 * remembers from a generation that is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "index/generation.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { SESSIONS = 60, GENERATIONS = 60, STEPS_PER_GENERATION = 300 };

static struct generation *make(uint32_t serial)
{
    struct generation *generation = generation_new(serial);
    assert_non_null(generation);
    assert_int_equal(generation->serial, serial);
    assert_int_equal(generation->first_position, 0);
    assert_int_equal(generation->last_position, 0);
    assert_int_equal(generation->entry_count, 0);
    assert_int_equal(generation->session_count, 0);
    return generation;
}

static const struct session untouched = {.touched = {SLOT_NONE, SLOT_NONE}};

/* -- touching ---------------------------------------------------------------------------------- */

/* A session is touched in the generations of some serials: in which of them is it then found? */
static const struct touch_row {
    const char *name;
    uint32_t touched_in[4];
    size_t count;
    uint32_t others_before; /* sessions touched in every generation before it */
    uint32_t looked_in;
    bool found;
} touch_rows[] = {
    {"never", {0}, 0, 0, 1, false},
    {"never, among others", {0}, 0, 3, 1, false},
    {"in this one", {1}, 1, 0, 1, true},
    {"in this one, behind others", {1}, 1, 3, 1, true},
    {"in the one before", {1}, 1, 0, 2, false},
    {"in the one before, others in this", {1}, 1, 3, 2, false},
    {"in the one before that, same bit", {1}, 1, 0, 3, false},
    {"in the one before that, somebody else in its place", {1}, 1, 1, 3, false},
    {"in this one and the one before", {1, 2}, 2, 1, 2, true},
    {"in the one before when this one too", {1, 2}, 2, 1, 1, true},
    {"long ago and now", {1, 3}, 2, 2, 3, true},
    {"in the serials around the end of the numbers", {UINT32_MAX, 0}, 2, 1, 0, true},
};

static bool touches(const struct touch_row *row, uint32_t serial)
{
    for (size_t i = 0; i < row->count; i++)
        if (row->touched_in[i] == serial)
            return true;
    return false;
}

static void touch_over_serials(void **state)
{
    const struct touch_row *row = *state;
    struct session others[4];
    struct session session = untouched;
    const uint32_t slot = 77;
    for (size_t i = 0; i < COUNT(others); i++)
        others[i] = untouched;
    uint32_t serial = row->count > 0 ? row->touched_in[0] : row->looked_in;
    uint32_t last = serial + 3;
    struct generation *looked_in = NULL;
    for (; serial != last; serial++) {
        struct generation *generation = make(serial);
        for (uint32_t i = 0; i < row->others_before; i++)
            generation_touch(generation, &others[i], i, 100 + i);
        if (touches(row, serial)) {
            assert_null(generation_find(generation, &session, slot));
            generation_touch(generation, &session, slot, 5);
        }
        if (serial == row->looked_in)
            looked_in = generation;
        /* What is looked in is at most one generation back: two are alive. */
        if (looked_in && generation->serial - looked_in->serial <= 1) {
            const struct generation_session *found = generation_find(looked_in, &session, slot);
            assert_int_equal(found != NULL, row->found);
            if (found) {
                assert_int_equal(found->slot, slot);
                assert_int_equal(found->epoch, 5);
            }
        }
        if (generation != looked_in)
            generation_drop(generation);
    }
    generation_drop(looked_in);
}

/* A record per life of a session: the newest is the one that is found. */
static void another_epoch(void **state)
{
    (void)state;
    struct generation *generation = make(4);
    struct session session = untouched;
    struct generation_session *first = generation_touch(generation, &session, 3, 10);
    assert_int_equal(first->newest, GENERATION_NONE);
    assert_int_equal(first->count, 0);
    assert_ptr_equal(generation_touch(generation, &session, 3, 10), first);
    generation_append(generation, first, 11, 1, 0);
    struct generation_session *second = generation_touch(generation, &session, 3, 12);
    assert_ptr_not_equal(first, second);
    assert_int_equal(second->count, 0);
    assert_ptr_equal(generation_find(generation, &session, 3), second);
    assert_ptr_equal(generation_touch(generation, &session, 3, 12), second);
    assert_int_equal(generation->session_count, 2);
    assert_int_equal(first->count, 1);
    generation_drop(generation);
}

/* -- appending --------------------------------------------------------------------------------- */

struct appended {
    uint64_t position;
    uint64_t seq;
    uint32_t session;
    uint32_t fingerprint;
};

/* Sessions in the order of their events; an entry that is no event comes before some of them. */
static const struct chain_row {
    const char *name;
    const char *events; /* 'a' is session 0 */
    const char *opens;  /* '+': an opening before this event */
} chain_rows[] = {
    {"one event", "a", " "},
    {"one session", "aaaa", "+   "},
    {"by turns", "abababab", "++      "},
    {"one among many", "abcadaea", "+++ + + "},
    {"opened only at the end", "aab", "  +"},
};

static void chains(void **state)
{
    const struct chain_row *row = *state;
    struct generation *generation = make(1);
    struct session sessions[5];
    struct appended list[16];
    size_t counts[5] = {0};
    uint64_t position = 40;
    for (size_t i = 0; i < COUNT(sessions); i++)
        sessions[i] = untouched;
    size_t count = strlen(row->events);
    for (size_t i = 0; i < count; i++) {
        uint32_t s = (uint32_t)(row->events[i] - 'a');
        if (row->opens[i] == '+')
            generation_reach(generation, position++);
        list[i] = (struct appended){.position = position,
                                    .seq = 100 * s + 1 + counts[s]++,
                                    .session = s,
                                    .fingerprint = (uint32_t)(i * 1000)};
        generation_append(generation, generation_touch(generation, &sessions[s], s, s + 1),
                          position++, list[i].seq, list[i].fingerprint);
        assert_int_equal(generation->last_position, position - 1);
    }
    assert_int_equal(generation->first_position, 40);
    assert_int_equal(generation->entry_count, count);
    for (uint32_t s = 0; s < COUNT(sessions); s++) {
        const struct generation_session *touched = generation_find(generation, &sessions[s], s);
        assert_int_equal(touched != NULL, counts[s] > 0);
        if (!touched)
            continue;
        assert_int_equal(touched->count, counts[s]);
        assert_int_equal(touched->first_seq, 100 * s + 1);
        uint32_t place = touched->newest;
        for (size_t i = count; i > 0; i--) {
            if (list[i - 1].session != s)
                continue;
            assert_true(place < generation->entry_count);
            assert_int_equal(generation->entries[place].position, list[i - 1].position);
            assert_int_equal(generation->entries[place].fingerprint, list[i - 1].fingerprint);
            place = generation->entries[place].previous;
        }
        assert_int_equal(place, GENERATION_NONE);
    }
    generation_drop(generation);
}

/* -- by number --------------------------------------------------------------------------------- */

/* Three sessions by turns, as often as their weights say. What a record said when a session had so
 * many events leads to each of them, also when the session has grown since, and so does what is
 * made of it for fewer. */
enum { BY_NUMBER = 3, EVENTS_BY_NUMBER = 1600 };

static const uint32_t told_at[] = {1, 2, 255, 256, 257, 258, 300, 512, 513, 514, 769, 1100};

static void check_told(const struct generation *generation, const uint32_t *entries,
                       struct generation_session told)
{
    uint32_t newest = entries[told.count - 1];
    assert_int_equal(told.mark == GENERATION_NONE, told.count <= GENERATION_MARK_EVERY);
    for (uint32_t i = 0; i < told.count; i++)
        assert_int_equal(generation_seek(generation, newest, told.mark, told.count, i), entries[i]);
    for (uint32_t fewer = 1; fewer <= told.count; fewer += 51) {
        uint32_t mark = generation_mark_back(generation, told.mark, told.count, fewer);
        assert_int_equal(mark == GENERATION_NONE, fewer <= GENERATION_MARK_EVERY);
        assert_int_equal(generation_seek(generation, entries[fewer - 1], mark, fewer, fewer / 2),
                         entries[fewer / 2]);
    }
}

static void by_number(void **state)
{
    (void)state;
    static const uint32_t turns[] = {0, 1, 0, 2, 0, 1};
    static uint32_t entries[BY_NUMBER][EVENTS_BY_NUMBER];
    struct generation_session told[BY_NUMBER][COUNT(told_at)];
    struct generation *generation = make(1);
    struct session sessions[BY_NUMBER] = {untouched, untouched, untouched};
    size_t tellings[BY_NUMBER] = {0};
    uint64_t position = 1;
    for (uint32_t turn = 0; turn < 2 * EVENTS_BY_NUMBER; turn++, position++) {
        uint32_t s = turns[turn % COUNT(turns)];
        struct generation_session *touched = generation_touch(generation, &sessions[s], s, 10 + s);
        entries[s][touched->count] = generation->entry_count;
        generation_append(generation, touched, position, touched->count + 1, 0);
        if (tellings[s] < COUNT(told_at) && touched->count == told_at[tellings[s]])
            told[s][tellings[s]++] = *touched;
    }
    assert_int_equal(tellings[0], COUNT(told_at));
    for (uint32_t s = 0; s < BY_NUMBER; s++)
        for (size_t i = 0; i < tellings[s]; i++)
            check_told(generation, entries[s], told[s][i]);
    generation_drop(generation);
}

/* -- room and references ----------------------------------------------------------------------- */

static const struct room_row {
    const char *name;
    uint32_t entries;
    uint32_t sessions;
    size_t wanted;
    bool has;
} room_rows[] = {
    {"empty", 0, 0, 4096, true},
    {"empty, as many sessions as there may be", 0, 0, GENERATION_SESSIONS_MAX, true},
    {"empty, one more", 0, 0, GENERATION_SESSIONS_MAX + 1, false},
    {"entries up to the last", GENERATION_ENTRIES_MAX - 10, 0, 10, true},
    {"entries, one too many", GENERATION_ENTRIES_MAX - 10, 0, 11, false},
    {"sessions up to the last", 0, GENERATION_SESSIONS_MAX - 10, 10, true},
    {"sessions, one too many", 0, GENERATION_SESSIONS_MAX - 10, 11, false},
    {"full of entries", GENERATION_ENTRIES_MAX, 0, 1, false},
    {"full of sessions", 0, GENERATION_SESSIONS_MAX, 1, false},
    {"full, nothing wanted", GENERATION_ENTRIES_MAX, GENERATION_SESSIONS_MAX, 0, true},
};

static void room(void **state)
{
    const struct room_row *row = *state;
    struct generation *generation = make(1);
    generation->entry_count = row->entries;
    generation->session_count = row->sessions;
    assert_int_equal(generation_has_room(generation, row->wanted), row->has);
    generation_drop(generation);
}

/* Both arrays can be filled to the end. */
static void filled_up(void **state)
{
    (void)state;
    struct generation *generation = make(1);
    struct session *sessions = calloc(GENERATION_SESSIONS_MAX, sizeof(*sessions));
    assert_non_null(sessions);
    for (uint32_t i = 0; i < GENERATION_SESSIONS_MAX; i++) {
        assert_true(generation_has_room(generation, 1));
        generation_touch(generation, &sessions[i], i, i + 1);
    }
    assert_false(generation_has_room(generation, 1));
    for (uint32_t i = 0; i < GENERATION_ENTRIES_MAX; i++) {
        uint32_t s = i % GENERATION_SESSIONS_MAX;
        struct generation_session *touched = generation_find(generation, &sessions[s], s);
        assert_non_null(touched);
        generation_append(generation, touched, i + 1, i / GENERATION_SESSIONS_MAX + 1, i);
    }
    assert_int_equal(generation->entries[GENERATION_ENTRIES_MAX - 1].previous,
                     GENERATION_ENTRIES_MAX - 1 - GENERATION_SESSIONS_MAX);
    free(sessions);
    generation_drop(generation);
}

/* The sanitizer says if the last drop does not free, or an earlier one does. */
static void references(void **state)
{
    (void)state;
    struct generation *generation = make(9);
    assert_ptr_equal(generation_keep(generation), generation);
    assert_ptr_equal(generation_keep(generation), generation);
    generation_drop(generation);
    generation_reach(generation, 1);
    generation_drop(generation);
    generation_reach(generation, 2);
    assert_int_equal(generation->last_position, 2);
    generation_drop(generation);
    generation_drop(NULL);
}

/* -- against a table of who was touched -------------------------------------------------------- */

static uint64_t random_next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

struct alive {
    struct generation *generation;
    bool touched[SESSIONS];
    uint64_t epoch[SESSIONS];
    uint32_t events[SESSIONS];
};

static void check_alive(const struct alive *alive, const struct session *sessions)
{
    for (uint32_t s = 0; s < SESSIONS && alive->generation; s++) {
        const struct generation_session *found =
            generation_find(alive->generation, &sessions[s], s);
        assert_int_equal(found != NULL, alive->touched[s]);
        if (!found)
            continue;
        assert_int_equal(found->epoch, alive->epoch[s]);
        assert_int_equal(found->count, alive->events[s]);
    }
}

static void random_steps(struct alive *active, struct session *sessions, uint64_t *random,
                         uint64_t *position)
{
    uint32_t lowest = (uint32_t)(random_next(random) % SESSIONS); /* some are never touched here */
    for (int i = 0; i < STEPS_PER_GENERATION; i++) {
        uint64_t roll = random_next(random);
        uint32_t s = lowest + (uint32_t)(roll >> 32) % (SESSIONS - lowest);
        if (!active->touched[s] || roll % 50 == 0) {
            active->touched[s] = true;
            active->epoch[s] = *position;
            active->events[s] = 0;
        }
        struct generation_session *touched =
            generation_touch(active->generation, &sessions[s], s, active->epoch[s]);
        if (roll % 3 == 0)
            continue; /* a duplicate: touched, and no event */
        generation_append(active->generation, touched, *position, active->events[s] + 1, 0);
        active->events[s]++;
        (*position)++;
    }
}

static void against_a_table(void **state)
{
    (void)state;
    struct session sessions[SESSIONS];
    struct alive frozen = {0};
    uint64_t random = 88172645463325252u;
    uint64_t position = 1;
    for (size_t i = 0; i < SESSIONS; i++)
        sessions[i] = untouched;
    for (uint32_t serial = 1; serial <= GENERATIONS; serial++) {
        struct alive active = {.generation = make(serial)};
        check_alive(&active, sessions);
        check_alive(&frozen, sessions);
        random_steps(&active, sessions, &random, &position);
        check_alive(&active, sessions);
        check_alive(&frozen, sessions);
        generation_drop(frozen.generation);
        frozen = active;
    }
    generation_drop(frozen.generation);
}

/* -- all of them ------------------------------------------------------------------------------- */

static const struct CMUnitTest plain[] = {
    {"another epoch", another_epoch, NULL, NULL, NULL},
    {"by number", by_number, NULL, NULL, NULL},
    {"filled up", filled_up, NULL, NULL, NULL},
    {"references", references, NULL, NULL, NULL},
    {"against a table", against_a_table, NULL, NULL, NULL},
};

static struct CMUnitTest
    tests[COUNT(plain) + COUNT(touch_rows) + COUNT(chain_rows) + COUNT(room_rows)];

static void add_rows(void)
{
    memcpy(tests, plain, sizeof(plain));
    size_t at = COUNT(plain);
    for (size_t i = 0; i < COUNT(touch_rows); i++)
        tests[at++] = (struct CMUnitTest){touch_rows[i].name, touch_over_serials, NULL, NULL,
                                          (void *)(uintptr_t)&touch_rows[i]};
    for (size_t i = 0; i < COUNT(chain_rows); i++)
        tests[at++] = (struct CMUnitTest){chain_rows[i].name, chains, NULL, NULL,
                                          (void *)(uintptr_t)&chain_rows[i]};
    for (size_t i = 0; i < COUNT(room_rows); i++)
        tests[at++] = (struct CMUnitTest){room_rows[i].name, room, NULL, NULL,
                                          (void *)(uintptr_t)&room_rows[i]};
}

int main(void)
{
    add_rows();
    return _cmocka_run_group_tests("generation", tests, COUNT(tests), NULL, NULL);
}
