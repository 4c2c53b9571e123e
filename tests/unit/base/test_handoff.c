/* SPDX-License-Identifier: Apache-2.0 */
/* test_handoff: nodes arrive in order, each once, with what was written into them, and the consumer
 * is woken once per batch.
 *
 * The last tests pass a million nodes between threads. What a node carries is plain memory: with
 * ThreadSanitizer they show that the queue orders it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/handoff.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    NODES = 12,
    PASSES = 1000000,
    PUSHERS = 3,
    POOL = 256, /* nodes under way at most, as with the broker's marks */
    PATIENCE_MS = 20000,
};

struct parcel {
    struct handoff_node node; /* first */
    uint32_t from;
    uint64_t number;
    uint64_t check;
};

static uint64_t check_of(uint32_t from, uint64_t number)
{
    return (number + 1) * 0x9E3779B97F4A7C15u ^ from;
}

static bool is_readable(const struct handoff *handoff)
{
    struct pollfd fd = {.fd = handoff->event_fd, .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

/* -- one thread -------------------------------------------------------------------------------- */

/* 'p' pushes the next node, 'c' three of them as a chain, 'e' an empty chain, 't' takes, 'n'
 * nudges. After each: is the consumer woken? */
static const struct row {
    const char *name;
    const char *steps;
    const char *woken;
} rows[] = {
    {"nothing", "t", " "},
    {"one", "pt", "! "},
    {"several in one batch", "pppt", "!!! "},
    {"batch after batch", "pptpt", "!! ! "},
    {"taken twice", "ptt", "!  "},
    {"a push after a take wakes again", "ptptpt", "! ! ! "},
    {"a nudge", "nt", "! "},
    {"a nudge before a push", "npt", "!! "},
    {"a nudge after a take", "ptnt", "! ! "},
    {"a chain", "ct", "! "},
    {"chains and single ones", "pcpct", "!!!! "},
    {"a chain after a take", "ctct", "! ! "},
    {"an empty chain wakes nobody", "et", "  "},
    {"an empty chain among others", "pecet", "!!!! "},
    {"two nudges", "nntpt", "!! ! "},
};

static size_t push_chain(struct handoff *handoff, struct parcel *parcels, size_t count)
{
    struct handoff_chain chain = {0};
    for (size_t i = 0; i < count; i++)
        handoff_chain_add(&chain, &parcels[i].node);
    handoff_push_chain(handoff, &chain);
    assert_null(chain.newest);
    assert_null(chain.oldest);
    return count;
}

static void run_row(void **state)
{
    const struct row *row = *state;
    struct handoff handoff;
    struct parcel parcels[NODES];
    size_t pushed = 0;
    size_t taken = 0;
    assert_int_equal(handoff_init(&handoff), SPN_OK);
    assert_false(is_readable(&handoff));
    for (size_t i = 0; row->steps[i] != '\0'; i++) {
        if (row->steps[i] == 'p')
            handoff_push(&handoff, &parcels[pushed++].node);
        else if (row->steps[i] == 'n')
            handoff_nudge(&handoff);
        else if (row->steps[i] == 'c' || row->steps[i] == 'e')
            pushed += push_chain(&handoff, &parcels[pushed], row->steps[i] == 'c' ? 3 : 0);
        else
            for (struct handoff_node *node = handoff_take(&handoff); node; node = node->next)
                assert_ptr_equal(node, &parcels[taken++].node);
        if (row->steps[i] == 't')
            assert_int_equal(taken, pushed);
        assert_int_equal(is_readable(&handoff), row->woken[i] == '!');
    }
    handoff_release(&handoff);
}

/* The eventfd counts: one for the whole batch. */
static void one_wake_up_per_batch(void **state)
{
    (void)state;
    struct handoff handoff;
    struct parcel parcels[NODES];
    uint64_t count = 0;
    assert_int_equal(handoff_init(&handoff), SPN_OK);
    for (size_t i = 0; i < NODES; i++)
        handoff_push(&handoff, &parcels[i].node);
    assert_int_equal(read(handoff.event_fd, &count, sizeof(count)), sizeof(count));
    assert_int_equal(count, 1);
    size_t taken = 0; /* somebody else has quieted it: the nodes are there all the same */
    for (struct handoff_node *node = handoff_take(&handoff); node; node = node->next)
        taken++;
    assert_int_equal(taken, NODES);
    handoff_release(&handoff);
}

static void released_twice(void **state)
{
    (void)state;
    struct handoff handoff;
    assert_int_equal(handoff_init(&handoff), SPN_OK);
    handoff_release(&handoff);
    assert_int_equal(handoff.event_fd, -1);
    handoff_release(&handoff);
}

/* -- threads ----------------------------------------------------------------------------------- */

struct pusher {
    struct handoff *out;
    struct handoff back;
    uint32_t from;
    uint64_t count;
    struct parcel pool[POOL];
    bool late; /* waited in vain */
};

/* Sleeps until woken, as the daemon's threads do: a wake-up that is lost shows. */
static bool wait_for(const struct handoff *handoff)
{
    struct pollfd fd = {.fd = handoff->event_fd, .events = POLLIN};
    return poll(&fd, 1, PATIENCE_MS) == 1;
}

static struct handoff_node *take_or_wait(struct handoff *handoff, bool *late)
{
    struct handoff_node *node = handoff_take(handoff);
    while (!node && !*late) {
        *late = !wait_for(handoff);
        node = handoff_take(handoff);
    }
    return node;
}

static void *push_all(void *argument)
{
    struct pusher *pusher = argument;
    struct handoff_node *free_nodes = NULL;
    struct handoff_chain chain = {0};
    for (size_t i = 0; i < POOL; i++) {
        pusher->pool[i].node.next = free_nodes;
        free_nodes = &pusher->pool[i].node;
    }
    for (uint64_t number = 0; number < pusher->count && !pusher->late; number++) {
        if (!free_nodes)
            free_nodes = take_or_wait(&pusher->back, &pusher->late);
        struct parcel *parcel = (struct parcel *)free_nodes;
        if (!parcel)
            break;
        free_nodes = free_nodes->next;
        parcel->from = pusher->from;
        parcel->number = number;
        parcel->check = check_of(pusher->from, number);
        handoff_chain_add(&chain, &parcel->node);
        if (number % 7 < 3 || !free_nodes) /* one, or up to five at once */
            handoff_push_chain(pusher->out, &chain);
    }
    handoff_push_chain(pusher->out, &chain);
    return NULL;
}

/* The consumer: here, so that it may assert. Scribbles on what it gives back. */
static void take_all(struct handoff *in, struct pusher *pushers, size_t pusher_count)
{
    uint64_t next[PUSHERS] = {0};
    uint64_t left = 0;
    bool late = false;
    for (size_t i = 0; i < pusher_count; i++)
        left += pushers[i].count;
    while (left > 0) {
        struct handoff_node *node = take_or_wait(in, &late);
        assert_non_null(node);
        while (node) {
            struct parcel *parcel = (struct parcel *)node;
            node = node->next;
            assert_true(parcel->from < pusher_count);
            assert_int_equal(parcel->number, next[parcel->from]);
            assert_int_equal(parcel->check, check_of(parcel->from, parcel->number));
            next[parcel->from]++;
            left--;
            struct handoff *back = &pushers[parcel->from].back;
            parcel->check = 0;
            handoff_push(back, &parcel->node);
        }
    }
    assert_null(handoff_take(in));
}

static void pass(size_t pusher_count)
{
    struct handoff in;
    struct pusher *pushers = calloc(pusher_count, sizeof(*pushers));
    pthread_t threads[PUSHERS];
    assert_non_null(pushers);
    assert_int_equal(handoff_init(&in), SPN_OK);
    for (uint32_t i = 0; i < pusher_count; i++) {
        pushers[i].out = &in;
        pushers[i].from = i;
        pushers[i].count = PASSES / pusher_count;
        assert_int_equal(handoff_init(&pushers[i].back), SPN_OK);
    }
    for (size_t i = 0; i < pusher_count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, push_all, &pushers[i]), 0);
    take_all(&in, pushers, pusher_count);
    for (size_t i = 0; i < pusher_count; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(pushers[i].late);
        handoff_release(&pushers[i].back);
    }
    handoff_release(&in);
    free(pushers);
}

static void one_pusher(void **state)
{
    (void)state;
    pass(1);
}

static void three_pushers(void **state)
{
    (void)state;
    pass(PUSHERS);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 4] = {
        {"one wake-up per batch", one_wake_up_per_batch, NULL, NULL, NULL},
        {"released twice", released_twice, NULL, NULL, NULL},
        {"a million nodes from one thread", one_pusher, NULL, NULL, NULL},
        {"a million nodes from three", three_pushers, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[4 + i] =
            (struct CMUnitTest){rows[i].name, run_row, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    return _cmocka_run_group_tests("handoff", tests, COUNT(tests), NULL, NULL);
}
