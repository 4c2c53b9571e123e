/* SPDX-License-Identifier: Apache-2.0 */
/* test_mailbox: nodes arrive in order, each once, with what was written into them, and the consumer
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
#include <string.h>
#include <unistd.h>

#include "base/mailbox.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    NODES = 12,
    PASSES = 1000000,
    PUSHERS = 3,
    POOL = 256, /* nodes under way at most, as with the broker's marks */
    PATIENCE_MS = 20000,
};

struct parcel {
    struct message node; /* first */
    uint32_t from;
    uint64_t number;
    uint64_t check;
};

static uint64_t check_of(uint32_t from, uint64_t number)
{
    return (number + 1) * 0x9E3779B97F4A7C15u ^ from;
}

static bool is_readable(const struct mailbox *mailbox)
{
    struct pollfd fd = {.fd = mailbox->event_fd, .events = POLLIN};
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

static size_t push_chain(struct mailbox *mailbox, struct parcel *parcels, size_t count)
{
    struct message_chain chain = {0};
    for (size_t i = 0; i < count; i++)
        message_chain_add(&chain, &parcels[i].node);
    mailbox_put_chain(mailbox, &chain);
    assert_null(chain.newest);
    assert_null(chain.oldest);
    return count;
}

static void run_row(void **state)
{
    const struct row *row = *state;
    struct mailbox mailbox;
    struct parcel parcels[NODES];
    size_t pushed = 0;
    size_t taken = 0;
    assert_int_equal(mailbox_init(&mailbox), SPN_OK);
    assert_false(is_readable(&mailbox));
    for (size_t i = 0; row->steps[i] != '\0'; i++) {
        if (row->steps[i] == 'p')
            mailbox_put(&mailbox, &parcels[pushed++].node);
        else if (row->steps[i] == 'n')
            mailbox_nudge(&mailbox);
        else if (row->steps[i] == 'c' || row->steps[i] == 'e')
            pushed += push_chain(&mailbox, &parcels[pushed], row->steps[i] == 'c' ? 3 : 0);
        else
            for (struct message *node = mailbox_take(&mailbox); node; node = node->next)
                assert_ptr_equal(node, &parcels[taken++].node);
        if (row->steps[i] == 't')
            assert_int_equal(taken, pushed);
        assert_int_equal(is_readable(&mailbox), row->woken[i] == '!');
    }
    mailbox_release(&mailbox);
}

/* The eventfd counts: one for the whole batch. */
static void one_wake_up_per_batch(void **state)
{
    (void)state;
    struct mailbox mailbox;
    struct parcel parcels[NODES];
    uint64_t count = 0;
    assert_int_equal(mailbox_init(&mailbox), SPN_OK);
    for (size_t i = 0; i < NODES; i++)
        mailbox_put(&mailbox, &parcels[i].node);
    assert_int_equal(read(mailbox.event_fd, &count, sizeof(count)), sizeof(count));
    assert_int_equal(count, 1);
    size_t taken = 0; /* somebody else has quieted it: the nodes are there all the same */
    for (struct message *node = mailbox_take(&mailbox); node; node = node->next)
        taken++;
    assert_int_equal(taken, NODES);
    mailbox_release(&mailbox);
}

static void released_twice(void **state)
{
    (void)state;
    struct mailbox mailbox;
    assert_int_equal(mailbox_init(&mailbox), SPN_OK);
    mailbox_release(&mailbox);
    assert_int_equal(mailbox.event_fd, -1);
    mailbox_release(&mailbox);
}

/* -- threads ----------------------------------------------------------------------------------- */

struct pusher {
    struct mailbox *out;
    struct mailbox back;
    uint32_t from;
    uint64_t count;
    struct parcel pool[POOL];
    bool late; /* waited in vain */
};

/* Sleeps until woken, as the daemon's threads do: a wake-up that is lost shows. */
static bool wait_for(const struct mailbox *mailbox)
{
    struct pollfd fd = {.fd = mailbox->event_fd, .events = POLLIN};
    return poll(&fd, 1, PATIENCE_MS) == 1;
}

static struct message *take_or_wait(struct mailbox *mailbox, bool *late)
{
    struct message *node = mailbox_take(mailbox);
    while (!node && !*late) {
        *late = !wait_for(mailbox);
        node = mailbox_take(mailbox);
    }
    return node;
}

static void *push_all(void *argument)
{
    struct pusher *pusher = argument;
    struct message *free_nodes = NULL;
    struct message_chain chain = {0};
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
        message_chain_add(&chain, &parcel->node);
        if (number % 7 < 3 || !free_nodes) /* one, or up to five at once */
            mailbox_put_chain(pusher->out, &chain);
    }
    mailbox_put_chain(pusher->out, &chain);
    return NULL;
}

/* The consumer: here, so that it may assert. Scribbles on what it gives back. */
static void take_all(struct mailbox *in, struct pusher *pushers, size_t pusher_count)
{
    uint64_t next[PUSHERS] = {0};
    uint64_t left = 0;
    bool late = false;
    for (size_t i = 0; i < pusher_count; i++)
        left += pushers[i].count;
    while (left > 0) {
        struct message *node = take_or_wait(in, &late);
        assert_non_null(node);
        while (node) {
            struct parcel *parcel = (struct parcel *)node;
            node = node->next;
            assert_true(parcel->from < pusher_count);
            assert_int_equal(parcel->number, next[parcel->from]);
            assert_int_equal(parcel->check, check_of(parcel->from, parcel->number));
            next[parcel->from]++;
            left--;
            struct mailbox *back = &pushers[parcel->from].back;
            parcel->check = 0;
            mailbox_put(back, &parcel->node);
        }
    }
    assert_null(mailbox_take(in));
}

static void pass(size_t pusher_count)
{
    struct mailbox in;
    struct pusher *pushers = calloc(pusher_count, sizeof(*pushers));
    pthread_t threads[PUSHERS];
    assert_non_null(pushers);
    assert_int_equal(mailbox_init(&in), SPN_OK);
    for (uint32_t i = 0; i < pusher_count; i++) {
        pushers[i].out = &in;
        pushers[i].from = i;
        pushers[i].count = PASSES / pusher_count;
        assert_int_equal(mailbox_init(&pushers[i].back), SPN_OK);
    }
    for (size_t i = 0; i < pusher_count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, push_all, &pushers[i]), 0);
    take_all(&in, pushers, pusher_count);
    for (size_t i = 0; i < pusher_count; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(pushers[i].late);
        mailbox_release(&pushers[i].back);
    }
    mailbox_release(&in);
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
    static const struct CMUnitTest plain[] = {
        {"one wake-up per batch", one_wake_up_per_batch, NULL, NULL, NULL},
        {"released twice", released_twice, NULL, NULL, NULL},
        {"a million nodes from one thread", one_pusher, NULL, NULL, NULL},
        {"a million nodes from three", three_pushers, NULL, NULL, NULL},
    };
    struct CMUnitTest tests[COUNT(plain) + COUNT(rows)];
    memcpy(tests, plain, sizeof(plain));
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[COUNT(plain) + i] =
            (struct CMUnitTest){rows[i].name, run_row, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    return _cmocka_run_group_tests("mailbox", tests, COUNT(tests), NULL, NULL);
}
