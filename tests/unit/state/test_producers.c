/* SPDX-License-Identifier: Apache-2.0 */
/* test_producers: who holds an id, and how its numbers ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define ALLOCATIONS_CALLOC
#include "allocations.h"
#include "state/producers.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { RUNS_HERE = 12, MANY = 300, STEPS = 5000 };

/* -- memory that runs out ---------------------------------------------------------------------- */

static const struct producer *busy; /* something of it is on its way */

static bool is_idle(const struct producer *producer)
{
    return producer != busy;
}

/* -- runs -------------------------------------------------------------------------------------- */

#define D WIRE_DUPLICATE, SPN_OK
#define C WIRE_CONFLICT, SPN_OK
#define R WIRE_REFUSED, SPN_E_CLOSED
#define B WIRE_REFUSED, SPN_E_BAD_ID

struct note {
    uint64_t number;
    enum wire_result result;
    spn_err code;
};

static void assert_runs(const struct record_run *runs, size_t count,
                        const struct record_run *expected)
{
    for (size_t i = 0; i < RUNS_HERE && expected[i].count > 0; i++) {
        assert_true(i < count);
        assert_int_equal(runs[i].first, expected[i].first);
        assert_int_equal(runs[i].count, expected[i].count);
        assert_int_equal(runs[i].result, expected[i].result);
        assert_int_equal(runs[i].code, expected[i].code);
        if (i + 1 == count || expected[i + 1].count == 0)
            assert_int_equal(count, i + 1);
    }
    if (expected[0].count == 0)
        assert_int_equal(count, 0);
}

static const struct note_row {
    const char *name;
    struct note notes[RUNS_HERE];
    struct record_run runs[RUNS_HERE];
} note_rows[] = {
    {"none", {{0}}, {{0}}},
    {"one", {{7, D}}, {{7, 1, D}}},
    {"neighbours of one result are one run", {{7, D}, {8, D}, {9, D}}, {{7, 3, D}}},
    {"neighbours of two results are two", {{7, D}, {8, C}, {9, C}}, {{7, 1, D}, {8, 2, C}}},
    {"a stored number between them", {{7, D}, {9, D}}, {{7, 1, D}, {9, 1, D}}},
    {"back to the first result", {{1, D}, {2, R}, {3, D}}, {{1, 1, D}, {2, 1, R}, {3, 1, D}}},
    {"refused for one reason is one run", {{1, R}, {2, R}}, {{1, 2, R}}},
    {"refused for two is two", {{1, R}, {2, B}, {3, B}}, {{1, 1, R}, {2, 2, B}}},
    {"the first number there is", {{1, R}, {2, R}}, {{1, 2, R}}},
    {"large numbers", {{UINT64_MAX - 3, C}, {UINT64_MAX - 2, C}}, {{UINT64_MAX - 3, 2, C}}},
    {"more than the first room",
     {{1, D}, {3, D}, {5, D}, {7, D}, {9, D}, {11, D}, {13, D}, {15, D}, {17, D}, {19, D}},
     {{1, 1, D},
      {3, 1, D},
      {5, 1, D},
      {7, 1, D},
      {9, 1, D},
      {11, 1, D},
      {13, 1, D},
      {15, 1, D},
      {17, 1, D},
      {19, 1, D}}},
};

static void fill(struct producer *producer, const struct note *notes)
{
    for (size_t i = 0; i < RUNS_HERE && notes[i].number > 0; i++)
        assert_int_equal(producer_note(producer, notes[i].number, notes[i].result, notes[i].code),
                         SPN_OK);
}

static void note(void **state)
{
    const struct note_row *row = *state;
    struct producer producer = {.base = 1};
    fill(&producer, row->notes);
    assert_runs(producer.runs, producer.run_count, row->runs);
    free(producer.runs);
}

/* Of the runs 3-5 duplicate, 6 conflict, 10-12 refused. */
static const struct note clip_notes[RUNS_HERE] = {{3, D},  {4, D},  {5, D}, {6, C},
                                                  {10, R}, {11, R}, {12, R}};

static const struct clip_row {
    const char *name;
    uint64_t from;
    uint64_t up_to;
    struct record_run runs[RUNS_HERE];
} clip_rows[] = {
    {"all", 1, 100, {{3, 3, D}, {6, 1, C}, {10, 3, R}}},
    {"exactly all", 3, 12, {{3, 3, D}, {6, 1, C}, {10, 3, R}}},
    {"none below", 1, 2, {{0}}},
    {"none above", 13, 20, {{0}}},
    {"none between", 7, 9, {{0}}},
    {"an empty range", 5, 4, {{0}}},
    {"nothing from 1 up to 0", 1, 0, {{0}}},
    {"cut in front", 4, 100, {{4, 2, D}, {6, 1, C}, {10, 3, R}}},
    {"cut behind", 1, 10, {{3, 3, D}, {6, 1, C}, {10, 1, R}}},
    {"cut on both sides of one run", 11, 11, {{11, 1, R}}},
    {"one run and no more", 6, 6, {{6, 1, C}}},
    {"the last of one and the first of the next", 5, 6, {{5, 1, D}, {6, 1, C}}},
};

static void clip(void **state)
{
    const struct clip_row *row = *state;
    struct producer producer = {.base = 1};
    static struct wire_run runs[WIRE_RUNS_MAX];
    struct record_run found[RUNS_HERE];
    fill(&producer, clip_notes);
    size_t count = producer_runs(&producer, row->from, row->up_to, runs);
    assert_true(count < RUNS_HERE);
    for (size_t i = 0; i < count; i++)
        found[i] = (struct record_run){runs[i].first, runs[i].count, runs[i].result, runs[i].code};
    assert_runs(found, count, row->runs);
    free(producer.runs);
}

/* The same runs, accepted up to 12. */
static const struct base_row {
    const char *name;
    uint64_t base;
    uint64_t then_base;
    uint64_t accepted;
    uint64_t lost;
    struct record_run runs[RUNS_HERE];
} base_rows[] = {
    {"not at all", 1, 1, 12, 0, {{3, 3, D}, {6, 1, C}, {10, 3, R}}},
    {"up to the first run", 3, 3, 12, 0, {{3, 3, D}, {6, 1, C}, {10, 3, R}}},
    {"into a run, which stays whole", 5, 5, 12, 0, {{3, 3, D}, {6, 1, C}, {10, 3, R}}},
    {"past a run", 6, 6, 12, 0, {{6, 1, C}, {10, 3, R}}},
    {"between runs", 8, 8, 12, 0, {{10, 3, R}}},
    {"to the last one accepted", 12, 12, 12, 0, {{10, 3, R}}},
    {"to the next one", 13, 13, 12, 0, {{0}}},
    {"one was lost", 14, 14, 13, 1, {{0}}},
    {"many were lost", 1000013, 1000013, 1000012, 1000000, {{0}}},
};

static void raise_base(void **state)
{
    const struct base_row *row = *state;
    struct producer producer = {.base = 1, .accepted = 12, .durable = 9, .acked = 9};
    fill(&producer, clip_notes);
    assert_int_equal(producer_skip(&producer, row->base), row->lost);
    producer_settle(&producer, row->base);
    assert_int_equal(producer.base, row->then_base);
    assert_int_equal(producer.accepted, row->accepted);
    assert_int_equal(producer.durable, 9);
    assert_runs(producer.runs, producer.run_count, row->runs);
    /* Never back, and nothing is lost twice. */
    assert_int_equal(producer_skip(&producer, row->base), 0);
    producer_settle(&producer, row->base);
    assert_int_equal(producer_skip(&producer, 1), 0);
    producer_settle(&producer, 1);
    assert_int_equal(producer.base, row->then_base);
    assert_int_equal(producer.accepted, row->accepted);
    free(producer.runs);
}

/* Of the same runs, with everything up to 14 accepted. */
static const struct accepted_row {
    const char *name;
    uint64_t durable;
    uint64_t end;
} accepted_rows[] = {
    {"nothing before a refusal is durable", 0, 9},
    {"what is before it may be acknowledged", 8, 9},
    {"all before it is durable", 9, 9},
    {"half of the run is durable", 11, 11},
    {"all of the run is durable", 12, 14},
    {"everything is", 14, 14},
};

static void accepted_end(void **state)
{
    const struct accepted_row *row = *state;
    struct producer producer = {.base = 1, .accepted = 14, .durable = row->durable};
    fill(&producer, clip_notes);
    assert_int_equal(producer_note(&producer, 14, D), SPN_OK);
    assert_int_equal(producer_accepted_end(&producer), row->end);
    free(producer.runs);
}

/* It is the first of several refusals that counts. */
static void first_refusal_counts(void **state)
{
    (void)state;
    struct producer producer = {.base = 1, .accepted = 9, .durable = 2};
    assert_int_equal(producer_note(&producer, 1, R), SPN_OK);
    assert_int_equal(producer_note(&producer, 4, B), SPN_OK);
    assert_int_equal(producer_note(&producer, 5, C), SPN_OK);
    assert_int_equal(producer_note(&producer, 7, R), SPN_OK);
    assert_int_equal(producer_accepted_end(&producer), 3);
    producer.durable = 4;
    assert_int_equal(producer_accepted_end(&producer), 6);
    producer.durable = 7;
    assert_int_equal(producer_accepted_end(&producer), 9);
    free(producer.runs);
}

/* Results that rest on a state wait for the disk, whatever they are. */
static const struct withheld_row {
    const char *name;
    uint64_t withheld[3];
    uint64_t durable;
    uint64_t end; /* of 9 accepted numbers */
} withheld_rows[] = {
    {"withheld: none", {0}, 2, 9},
    {"withheld: one", {5}, 2, 4},
    {"withheld: the first of several", {5, 6, 8}, 2, 4},
    {"withheld: some are durable", {5, 6, 8}, 5, 5},
    {"withheld: the last is durable", {5, 6, 8}, 8, 9},
    {"withheld: the next one", {5}, 4, 4},
};

static void run_withheld(void **state)
{
    const struct withheld_row *row = *state;
    struct producer producer = {.base = 1, .accepted = 9, .durable = 2};
    for (size_t i = 0; i < COUNT(row->withheld) && row->withheld[i] > 0; i++)
        producer_withhold(&producer, row->withheld[i]);
    producer.durable = row->durable;
    assert_int_equal(producer_accepted_end(&producer), row->end);
    assert_int_equal(producer_note(&producer, 9, R), SPN_OK);
    assert_int_equal(producer_accepted_end(&producer), row->end < 9 ? row->end : 8);
    producer_withhold(&producer, 9); /* after what is durable it begins anew */
    if (row->durable == 8)
        assert_int_equal(producer.withheld_first, 9);
    free(producer.runs);
}

/* What needs one run more waits until the base has risen past one. */
static void runs_above_4096_were_dropped_unread(void **state)
{
    (void)state;
    uint64_t last = RECORD_RUNS_MAX;
    struct producer producer = {.base = 1, .accepted = last};
    static struct wire_run runs[WIRE_RUNS_MAX];
    for (uint64_t number = 1; number <= last; number++)
        assert_int_equal(
            producer_note(&producer, number, number % 2 ? WIRE_DUPLICATE : WIRE_CONFLICT, SPN_OK),
            SPN_OK);
    assert_int_equal(producer_note(&producer, last + 1, C), SPN_OK); /* no new run */
    assert_int_equal(producer_note(&producer, last + 2, D), SPN_E_TOO_MANY);
    producer.accepted = last + 1;
    assert_int_equal(producer.run_count, RECORD_RUNS_MAX);
    assert_int_equal(producer_runs(&producer, 1, UINT64_MAX - 1, runs), RECORD_RUNS_MAX);
    assert_int_equal(runs[0].first, 1);
    assert_int_equal(runs[RECORD_RUNS_MAX - 1].first, last);
    producer_settle(&producer, 2);
    assert_int_equal(producer_note(&producer, last + 2, D), SPN_OK);
    assert_int_equal(producer.runs[0].first, 2);
    assert_int_equal(producer_note(&producer, last + 3, C), SPN_E_TOO_MANY);
    producer_settle(&producer, UINT64_MAX); /* never past what was accepted */
    assert_int_equal(producer.base, last + 2);
    assert_int_equal(producer.accepted, last + 1);
    assert_int_equal(producer.run_count, 1);
    free(producer.runs);
}

static void longest_run(void **state)
{
    (void)state;
    struct producer producer = {.base = 1};
    assert_int_equal(producer_note(&producer, 1, D), SPN_OK);
    producer.runs[0].count = UINT32_MAX - 1;
    assert_int_equal(producer_note(&producer, UINT32_MAX, D), SPN_OK);
    assert_int_equal(producer.run_count, 1);
    assert_int_equal(producer.runs[0].count, UINT32_MAX);
    assert_int_equal(producer_note(&producer, 1ull + UINT32_MAX, D), SPN_OK);
    assert_int_equal(producer.run_count, 2);
    assert_int_equal(producer.runs[1].first, 1ull + UINT32_MAX);
    free(producer.runs);
}

static void note_without_memory(void **state)
{
    (void)state;
    struct producer producer = {.base = 1};
    for (uint64_t number = 1; number < 200; number += 2) {
        size_t count = producer.run_count;
        allocations_left = 0;
        spn_err err = producer_note(&producer, number, D);
        allocations_left = UINT32_MAX;
        if (err == SPN_E_NOMEM) {
            assert_int_equal(producer.run_count, count);
            assert_int_equal(producer_note(&producer, number, D), SPN_OK);
        }
        assert_int_equal(producer.run_count, count + 1);
    }
    free(producer.runs);
}

/* -- ids and tokens ---------------------------------------------------------------------------- */

static const struct producer_owner owner = {.uid = 1000};

static const uint8_t *id_of(uint32_t i)
{
    static uint8_t id[WIRE_PRODUCER_ID_SIZE];
    memset(id, 'i', sizeof(id));
    memcpy(id + 12, &i, sizeof(i)); /* alike but at the end */
    return id;
}

static void a_new_one(void **state)
{
    (void)state;
    struct producers producers;
    struct producer *producer = NULL;
    assert_int_equal(producers_init(&producers, sizeof(struct producer), is_idle), SPN_OK);
    assert_null(producers_find_id(&producers, id_of(1)));
    assert_int_equal(producers_add(&producers, id_of(1), &owner, &producer), SPN_OK);
    assert_ptr_equal(producers_find_id(&producers, id_of(1)), producer);
    assert_null(producers_find_id(&producers, id_of(2)));
    assert_memory_equal(producer->id, id_of(1), WIRE_PRODUCER_ID_SIZE);
    assert_int_equal(producer->token, 0);
    assert_int_equal(producer->accepted, 0);
    assert_int_equal(producer->durable, 0);
    assert_int_equal(producer->base, 1);
    assert_null(producers_find_token(&producers, 0)); /* nobody's token */
    producers_release(&producers);
}

/* A new token fences the old one, and its rounds and its connection are forgotten. */
static void give(void **state)
{
    (void)state;
    struct producers producers;
    struct producer *one, *two;
    assert_int_equal(producers_init(&producers, sizeof(struct producer), is_idle), SPN_OK);
    assert_int_equal(producers_add(&producers, id_of(1), &owner, &one), SPN_OK);
    assert_int_equal(producers_add(&producers, id_of(2), &owner, &two), SPN_OK);
    assert_int_equal(producers_give(&producers, one, 10), SPN_OK);
    assert_int_equal(producers_give(&producers, two, 20), SPN_OK);
    assert_ptr_equal(producers_find_token(&producers, 10), one);
    assert_ptr_equal(producers_find_token(&producers, 20), two);
    one->accepted = 5;
    one->stale = true;
    assert_int_equal(producers_give(&producers, one, 11), SPN_OK);
    assert_null(producers_find_token(&producers, 10));
    assert_ptr_equal(producers_find_token(&producers, 11), one);
    assert_int_equal(one->token, 11);
    assert_int_equal(one->accepted, 5);
    assert_false(one->stale);
    assert_ptr_equal(producers_find_token(&producers, 20), two);
    producers_release(&producers);
}

static uint64_t random_next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static void many(void **state)
{
    (void)state;
    struct producers producers;
    struct producer *all[MANY];
    uint64_t tokens[MANY] = {0};
    uint64_t random = 88172645463325252u;
    assert_int_equal(producers_init(&producers, sizeof(struct producer), is_idle), SPN_OK);
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(producers_add(&producers, id_of(i), &owner, &all[i]), SPN_OK);
    for (int step = 0; step < STEPS; step++) {
        uint64_t token = random_next(&random);
        size_t at = random_next(&random) % MANY;
        uint64_t before = tokens[at];
        assert_int_equal(producers_give(&producers, all[at], token), SPN_OK);
        tokens[at] = token;
        if (before != 0)
            assert_null(producers_find_token(&producers, before));
    }
    size_t held = 0;
    for (uint32_t i = 0; i < MANY; i++)
        held += tokens[i] != 0;
    assert_int_equal(producers.by_token.count, held); /* old ones take no room */
    for (uint32_t i = 0; i < MANY; i++) {             /* where they were, and under their tokens */
        assert_ptr_equal(producers_find_id(&producers, id_of(i)), all[i]);
        if (tokens[i] != 0)
            assert_ptr_equal(producers_find_token(&producers, tokens[i]), all[i]);
    }
    producers_release(&producers);
}

static void without_memory(void **state)
{
    (void)state;
    struct producers producers;
    allocations_left = 0;
    assert_int_equal(producers_init(&producers, sizeof(struct producer), is_idle), SPN_E_NOMEM);
    producers_release(&producers);
    allocations_left = 1;
    assert_int_equal(producers_init(&producers, sizeof(struct producer), is_idle), SPN_E_NOMEM);
    producers_release(&producers);
    allocations_left = UINT32_MAX;
    assert_int_equal(producers_init(&producers, sizeof(struct producer), is_idle), SPN_OK);
    for (uint32_t i = 0; i < MANY; i++) {
        struct producer *producer;
        spn_err err = SPN_E_NOMEM;
        for (unsigned granted = 0; err == SPN_E_NOMEM; granted++) {
            assert_null(producers_find_id(&producers, id_of(i)));
            allocations_left = granted;
            err = producers_add(&producers, id_of(i), &owner, &producer);
            allocations_left = UINT32_MAX;
        }
        assert_int_equal(err, SPN_OK);
        assert_int_equal(producers.count, i + 1);
        allocations_left = 0;
        err = producers_give(&producers, producer, 1000 + i);
        allocations_left = UINT32_MAX;
        if (err == SPN_E_NOMEM) {
            assert_int_equal(producer->token, 0);
            assert_int_equal(producers_give(&producers, producer, 1000 + i), SPN_OK);
        }
        assert_ptr_equal(producers_find_token(&producers, 1000 + i), producer);
    }
    producers_release(&producers);
}

/* -- who goes for a new one -------------------------------------------------------------------- */

enum { PEOPLE = 8 };

#define HOUR PRODUCERS_UNHEARD_NS

static void open_people(struct producers *producers, struct producer **people)
{
    assert_int_equal(producers_init(producers, sizeof(struct producer), is_idle), SPN_OK);
    for (uint32_t i = 0; i < PEOPLE; i++) {
        const struct producer_owner of = {.uid = 1000 + i % 2, .kept = i < 2};
        assert_int_equal(producers_add(producers, id_of(i), &of, &people[i]), SPN_OK);
        producer_heard(producers, people[i], HOUR + i);
    }
}

/* First what was never written, kept or not; then random ids that have ended or are not heard of;
 * kept ones never. */
static void producers_at_the_limit_go_in_order(void **state)
{
    (void)state;
    struct producers producers;
    struct producer *people[PEOPLE];
    uint64_t now_ns = 3 * HOUR;
    open_people(&producers, people);
    assert_int_equal(producers_of(&producers, 1000), PEOPLE / 2);
    assert_int_equal(producers_of(&producers, 1001), PEOPLE / 2);
    assert_int_equal(producers_of(&producers, 1002), 0);
    assert_ptr_equal(producers_expendable(&producers, UINT32_MAX, now_ns), people[0]);
    assert_ptr_equal(producers_expendable(&producers, 1001, now_ns), people[1]);
    assert_null(producers_expendable(&producers, 1002, now_ns));
    for (uint32_t i = 0; i < PEOPLE; i++)
        producer_written(&producers, people[i]);
    assert_ptr_equal(producers_expendable(&producers, UINT32_MAX, now_ns), people[2]);
    assert_ptr_equal(producers_expendable(&producers, 1001, now_ns), people[3]);
    busy = people[2]; /* something of it is on its way */
    assert_ptr_equal(producers_expendable(&producers, UINT32_MAX, now_ns), people[3]);
    for (uint32_t i = 2; i < PEOPLE; i++)
        producer_heard(&producers, people[i], now_ns - 1);
    assert_null(producers_expendable(&producers, UINT32_MAX, now_ns));
    producer_leave(&producers, people[6]);
    producer_leave(&producers, people[0]); /* kept: for nothing */
    assert_ptr_equal(producers_expendable(&producers, UINT32_MAX, now_ns), people[6]);
    assert_null(producers_expendable(&producers, 1001, now_ns));
    producer_heard(&producers, people[6], now_ns); /* it goes on */
    assert_null(producers_expendable(&producers, UINT32_MAX, now_ns));
    for (uint32_t i = 0; i < PEOPLE; i++)
        producers_remove(&producers, people[i]);
    assert_null(producers.unwritten.first);
    assert_null(producers.random.first);
    assert_null(producers.random.last);
    assert_int_equal(producers_of(&producers, 1000), 0);
    producers_release(&producers);
}

/* -- all of them ------------------------------------------------------------------------------- */

static const struct CMUnitTest plain[] = {
    {"producers at the limit go in order", producers_at_the_limit_go_in_order, NULL, NULL, NULL},
    {"the first of several refusals counts", first_refusal_counts, NULL, NULL, NULL},
    {"runs above 4,096 were dropped unread", runs_above_4096_were_dropped_unread, NULL, NULL, NULL},
    {"the longest run", longest_run, NULL, NULL, NULL},
    {"a note without memory", note_without_memory, NULL, NULL, NULL},
    {"a new one", a_new_one, NULL, NULL, NULL},
    {"give", give, NULL, NULL, NULL},
    {"many", many, NULL, NULL, NULL},
    {"without memory", without_memory, NULL, NULL, NULL},
};

static struct CMUnitTest tests[COUNT(plain) + COUNT(note_rows) + COUNT(clip_rows) +
                               COUNT(base_rows) + COUNT(accepted_rows) + COUNT(withheld_rows)];

static void add_rows(void)
{
    memcpy(tests, plain, sizeof(plain));
    size_t at = COUNT(plain);
    for (size_t i = 0; i < COUNT(note_rows); i++)
        tests[at++] = (struct CMUnitTest){note_rows[i].name, note, NULL, NULL,
                                          (void *)(uintptr_t)&note_rows[i]};
    for (size_t i = 0; i < COUNT(clip_rows); i++)
        tests[at++] = (struct CMUnitTest){clip_rows[i].name, clip, NULL, NULL,
                                          (void *)(uintptr_t)&clip_rows[i]};
    for (size_t i = 0; i < COUNT(base_rows); i++)
        tests[at++] = (struct CMUnitTest){base_rows[i].name, raise_base, NULL, NULL,
                                          (void *)(uintptr_t)&base_rows[i]};
    for (size_t i = 0; i < COUNT(withheld_rows); i++)
        tests[at++] = (struct CMUnitTest){withheld_rows[i].name, run_withheld, NULL, NULL,
                                          (void *)&withheld_rows[i]};
    for (size_t i = 0; i < COUNT(accepted_rows); i++)
        tests[at++] = (struct CMUnitTest){accepted_rows[i].name, accepted_end, NULL, NULL,
                                          (void *)(uintptr_t)&accepted_rows[i]};
}

int main(void)
{
    add_rows();
    return _cmocka_run_group_tests("producers", tests, COUNT(tests), NULL, NULL);
}
