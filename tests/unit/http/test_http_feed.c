/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_feed: readers that share a feed get what each would get from a subscription of its own.
 *
 * Beside it runs a model: a session is a number, its events are 1, 2, 3 ... up to that, and readers
 * join, stall, leave and come back at random while events are published, trimmed, and the session
 * is closed. The library's subscriptions are replaced by cursors on the model. In half of the runs
 * the memory has room for one large event, and somebody else has it at times.
 *
 * An argument is the number of the first seed. */
#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/feed.h"

enum {
    READERS = 8,
    STEPS = 400,
    SEEDS = 300,
    SUBSCRIPTIONS_MAX = 4096,
    SIZE_MAX_BYTES = 20000,
    MEMORY = 4 * 30000, /* of which streams have a quarter */
    MOST_BESIDE = SIZE_MAX_BYTES + FEED_BLOCK_ENOUGH,
};

#define SESSION ((struct spn_bytes){"s", 1})

static const struct spn_life life = {{1}};

/* -- the model --------------------------------------------------------------------------------- */

struct fake {
    void *context;
    uint64_t seq;
    bool is_paused;
    bool has_ended;
    bool is_used;
};

static struct fake fakes[SUBSCRIPTIONS_MAX];
static unsigned fakes_begun;
static unsigned fakes_open;
static uint64_t newest;
static uint64_t trimmed; /* events up to this one are gone */
static spn_err over;     /* SPN_E_CLOSED, SPN_E_DELETED; SPN_OK: the session lasts */
static unsigned seed;
static bool stalls_at_random;

static unsigned below(unsigned limit)
{
    return (unsigned)rand_r(&seed) % limit;
}

static struct fake *fake_of(spn_subscription *subscription)
{
    return (struct fake *)(void *)subscription;
}

static spn_subscription *subscribe(uint64_t seq)
{
    assert_true(fakes_begun < SUBSCRIPTIONS_MAX);
    struct fake *fake = &fakes[fakes_begun++];
    *fake = (struct fake){.seq = seq, .is_used = true};
    fakes_open++;
    return (spn_subscription *)(void *)fake;
}

void __wrap_spn_unsubscribe(spn_subscription *subscription);
void __wrap_spn_unsubscribe(spn_subscription *subscription)
{
    if (subscription == NULL)
        return;
    assert_true(fake_of(subscription)->is_used);
    fake_of(subscription)->is_used = false;
    fakes_open--;
}

void __wrap_spn_subscription_set_context(spn_subscription *subscription, void *context);
void __wrap_spn_subscription_set_context(spn_subscription *subscription, void *context)
{
    fake_of(subscription)->context = context;
}

spn_err __wrap_spn_subscription_pause(spn_subscription *subscription, bool paused);
spn_err __wrap_spn_subscription_pause(spn_subscription *subscription, bool paused)
{
    assert_true(fake_of(subscription)->is_used);
    fake_of(subscription)->is_paused = paused;
    return SPN_OK;
}

static size_t size_of(uint64_t seq)
{
    return seq % 7 == 0 ? SIZE_MAX_BYTES : 40;
}

/* An event whose data is its number, and then some. */
static void make_event(uint64_t seq, struct spn_item *item, struct spn_event *event)
{
    static char data[SIZE_MAX_BYTES];
    size_t size = size_of(seq);
    memset(data, '.', sizeof(data));
    int digits = snprintf(data, sizeof(data), "%llu ", (unsigned long long)seq);
    data[digits] = '.';
    *event = (struct spn_event)SPN_EVENT_INIT;
    event->data = (struct spn_bytes){data, size};
    *item = (struct spn_item){.kind = SPN_ITEM_EVENT, .event = event, .seq = seq, .life = life};
}

spn_err __wrap_spn_subscription_next(spn_subscription *subscription, int timeout_ms,
                                     const struct spn_item **ret_item);
spn_err __wrap_spn_subscription_next(spn_subscription *subscription, int timeout_ms,
                                     const struct spn_item **ret_item)
{
    static struct spn_item item;
    static struct spn_event event;
    struct fake *fake = fake_of(subscription);
    assert_true(fake->is_used && timeout_ms == 0);
    *ret_item = &item;
    if (fake->is_paused || fake->has_ended)
        return SPN_E_TIMEOUT;
    if (over == SPN_E_DELETED || (over == SPN_E_CLOSED && fake->seq == newest)) {
        fake->has_ended = true;
        item = (struct spn_item){.kind = SPN_ITEM_END, .why = over, .seq = fake->seq, .life = life};
    } else if (fake->seq < trimmed) {
        item =
            (struct spn_item){.kind = SPN_ITEM_GAP, .missing = trimmed - fake->seq, .life = life};
        item.seq = fake->seq = trimmed;
    } else if (fake->seq < newest) {
        make_event(++fake->seq, &item, &event);
    } else {
        return SPN_E_TIMEOUT;
    }
    return SPN_OK;
}

/* -- readers ----------------------------------------------------------------------------------- */

struct reader {
    struct feed_member member;
    struct taker taker;
    spn_subscription *subscription;
    struct feed_block *block; /* that its socket does not take */
    uint64_t seq;             /* of what it has */
    bool is_stalled;
    bool is_there;
    spn_err why; /* it has the session's end */
};

static struct memory memory[MEMORY_USES];
static struct memory *const streams = &memory[MEMORY_STREAMS];
static struct memory_share other; /* of somebody else */
static struct feeds feeds;
static struct reader readers[READERS];
static unsigned fed;       /* blocks that came from feeds */
static unsigned joined;    /* how often somebody joined one */
static unsigned went_back; /* how often somebody left one and went on by itself */

static uint64_t waits; /* how often a feed waited for memory */

static struct memory *memory_of(size_t max)
{
    memory_init(memory, max);
    memory_share_init(&other, streams, NULL);
    return streams;
}

/* One that is caught up is told so at once. */
static void subscribe_reader(struct reader *reader)
{
    reader->subscription = subscribe(reader->seq);
    fake_of(reader->subscription)->context = &reader->taker;
    if (reader->seq == newest && over == SPN_OK)
        feed_want(&feeds, &reader->member, SESSION, &life, &reader->subscription);
}

static void on_joined(struct feed_member *member)
{
    struct reader *reader = LINK_OWNER(member, struct reader, member);
    joined++;
    __wrap_spn_unsubscribe(reader->subscription);
    reader->subscription = NULL;
}

/* The block is the events after the one that the reader has, each once. */
static void take_block(struct reader *reader, struct feed_block *block)
{
    struct out *text = &block->text;
    unsigned events = 0;
    out_put(text, "", 1);
    text->size--;
    assert_int_equal(text->error, 0);
    for (const char *at = text->data; (at = strstr(at, "data: ")) != NULL; at++, events++)
        assert_int_equal(strtoull(at + 6, NULL, 10), ++reader->seq);
    assert_int_equal(block->share.size, text->size > MEMORY_SMALL ? text->size : 0);
    assert_int_equal(events, block->events);
    assert_int_equal(reader->seq, block->seq);
    assert_int_equal(reader->seq, reader->member.seq);
    fed++;
}

static void go_on(struct reader *reader)
{
    spn_err why = SPN_OK;
    while (reader->is_there && reader->member.is_member && !reader->is_stalled) {
        struct feed_block *block = NULL;
        enum feed_answer answer = feed_next(&reader->member, &block, &why);
        if (answer == FEED_NONE)
            return;
        if (answer == FEED_LEAVE) {
            assert_null(reader->member.feed);
            reader->why = why;
            if (why != SPN_OK)
                return;
            went_back++;
            subscribe_reader(reader);
            return;
        }
        take_block(reader, block);
        reader->block = block;
        reader->is_stalled = stalls_at_random && below(3) == 0;
        if (reader->is_stalled)
            return;
        feed_block_release(reader->block);
        reader->block = NULL;
    }
}

static void on_ready(struct feed_member *member)
{
    go_on(LINK_OWNER(member, struct reader, member));
}

static void on_item(struct taker *taker, const struct spn_item *item)
{
    struct reader *reader = LINK_OWNER(taker, struct reader, taker);
    if (item->kind == SPN_ITEM_END) {
        reader->why = item->why;
        __wrap_spn_unsubscribe(reader->subscription);
        reader->subscription = NULL;
        feed_leave(&reader->member);
        return;
    }
    assert_int_equal(item->seq,
                     item->kind == SPN_ITEM_GAP ? reader->seq + item->missing : reader->seq + 1);
    reader->seq = reader->member.seq = item->seq;
    feed_want(&feeds, &reader->member, SESSION, &life, &reader->subscription);
}

static const struct feed_calls calls = {.joined = on_joined, .ready = on_ready};

static void open_reader(struct reader *reader)
{
    *reader = (struct reader){
        .member = {.calls = &calls}, .taker = {.on_item = on_item}, .is_there = true};
    link_init(&reader->member.link);
    reader->seq = newest == trimmed ? newest : trimmed + below((unsigned)(newest - trimmed + 1));
    reader->member.seq = reader->seq;
    subscribe_reader(reader);
}

static void close_reader(struct reader *reader)
{
    feed_leave(&reader->member);
    __wrap_spn_unsubscribe(reader->subscription);
    feed_block_release(reader->block);
    memset(reader, 0, sizeof(*reader));
}

/* Its socket takes something again. */
static void unstall(struct reader *reader)
{
    reader->is_stalled = false;
    feed_block_release(reader->block);
    reader->block = NULL;
    go_on(reader);
}

/* -- the run ----------------------------------------------------------------------------------- */

static bool takes_next(struct fake *fake)
{
    struct taker *taker = fake->context;
    bool has_event =
        !fake->is_paused && over != SPN_E_DELETED && fake->seq >= trimmed && fake->seq < newest;
    size_t size = has_event ? size_of(fake->seq + 1) : 0;
    return fake->is_paused || taker->may_take == NULL || taker->may_take(taker, size);
}

/* As the gateway does: what may be given is given, to whoever it belongs. True: there was some. */
static bool give_items(unsigned most)
{
    bool has_given = false;
    for (unsigned i = 0; i < fakes_begun && most > 0; i++) {
        const struct spn_item *item;
        spn_subscription *subscription = (spn_subscription *)(void *)&fakes[i];
        struct taker *taker = fakes[i].context;
        if (!fakes[i].is_used || !takes_next(&fakes[i]) ||
            __wrap_spn_subscription_next(subscription, 0, &item) != SPN_OK)
            continue;
        taker->on_item(taker, item);
        has_given = true;
        most--;
    }
    return has_given;
}

static void step(void)
{
    struct reader *reader = &readers[below(READERS)];
    switch (below(14)) {
    case 0:
    case 1:
    case 2:
        newest += over == SPN_OK ? below(6) : 0;
        break;
    case 3:
        if (!reader->is_there)
            open_reader(reader);
        break;
    case 4:
        if (reader->is_there && below(4) == 0)
            close_reader(reader);
        break;
    case 5:
        if (reader->is_stalled)
            unstall(reader);
        break;
    case 6:
        if (below(20) == 0)
            trimmed = newest;
        break;
    case 7:
    case 8:
        feeds_turn(&feeds, 1 + below(4));
        break;
    case 9:
        (void)memory_reserve(&other, below(4) > 0 ? SIZE_MAX_BYTES : 0);
        break;
    case 10:
        memory_turn(streams);
        break;
    default:
        (void)give_items(1 + below(4));
        break;
    }
    /* What is taken where there is room for some is one event beside it at most. */
    assert_true(streams->used <= streams->max || streams->used - streams->max <= MOST_BESIDE);
}

static void run_to_the_end(void)
{
    bool goes_on = true;
    while (goes_on) {
        goes_on = give_items(100) || feeds_are_due(&feeds) || memory_is_due(streams);
        memory_turn(streams);
        feeds_turn(&feeds, 100);
        for (unsigned i = 0; i < READERS; i++) {
            if (!readers[i].is_stalled)
                continue;
            if (below(2) == 0)
                unstall(&readers[i]);
            else
                close_reader(&readers[i]);
            goes_on = true;
        }
    }
}

/* And by one subscription, as long as the session lasts. */
static void check_all_have_everything(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < READERS; i++) {
        if (!readers[i].is_there)
            continue;
        count++;
        assert_int_equal(readers[i].why, over);
        assert_int_equal(readers[i].member.is_member, over == SPN_OK);
        if (over != SPN_E_DELETED)
            assert_int_equal(readers[i].seq, newest);
    }
    assert_int_equal(fakes_open, count > 0 && over == SPN_OK);
    assert_int_equal(streams->used, 0);
}

static void run(unsigned first)
{
    seed = first;
    memset(readers, 0, sizeof(readers));
    fakes_begun = fakes_open = 0;
    newest = trimmed = 0;
    over = SPN_OK;
    assert_int_equal(feeds_init(&feeds, memory_of(first % 2 == 0 ? SIZE_MAX : MEMORY)), SPN_OK);
    for (unsigned i = 0; i < STEPS; i++)
        step();
    memory_release(&other);
    run_to_the_end();
    newest++; /* whoever was left by a feed whose last member went finds another one */
    run_to_the_end();
    check_all_have_everything();
    newest += 3;
    over = first % 3 == 0 ? SPN_E_DELETED : first % 3 == 1 ? SPN_E_CLOSED : SPN_OK;
    run_to_the_end();
    check_all_have_everything();
    for (unsigned i = 0; i < READERS; i++)
        if (readers[i].is_there)
            close_reader(&readers[i]);
    assert_int_equal(fakes_open, 0);
    assert_int_equal(slot_table_used(&feeds.table), 0);
    feeds_release(&feeds);
    waits += streams->full;
}

static unsigned first_seed = 1;

static void readers_of_a_feed_get_everything_once(void **state)
{
    (void)state;
    stalls_at_random = true;
    for (unsigned i = 0; i < SEEDS; i++)
        run(first_seed + i);
    print_message("%u blocks fed, joined %u times, went back %u times, waited %" PRIu64 " times\n",
                  fed, joined, went_back, waits);
    assert_true(fed > 1000 && joined > 1000 && went_back > 100 && waits > 50);
}

/* The first reader that has everything is asked for more, and no other subscription is there. */
static void readers_that_are_caught_up_share_one_subscription(void **state)
{
    (void)state;
    memset(readers, 0, sizeof(readers));
    fakes_begun = fakes_open = 0;
    newest = trimmed = 5;
    over = SPN_OK;
    assert_int_equal(feeds_init(&feeds, memory_of(SIZE_MAX)), SPN_OK);
    for (unsigned i = 0; i < READERS; i++)
        open_reader(&readers[i]);
    assert_int_equal(fakes_open, 1);
    assert_true(fakes[0].is_paused); /* nobody has asked yet */
    feeds_turn(&feeds, READERS);
    assert_false(fakes[0].is_paused);
    newest++; /* whoever is served last gets it too */
    assert_true(give_items(1));
    for (unsigned i = 0; i < READERS; i++)
        feeds_turn(&feeds, 1);
    assert_int_equal(fakes_open, 1);
    assert_false(feeds_are_due(&feeds));
    readers[0].is_stalled = true; /* one does not hold up the others */
    newest += 40;
    while (give_items(1) || feeds_are_due(&feeds))
        feeds_turn(&feeds, READERS);
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(readers[i].seq, i == 0 ? 6 : newest);
    unstall(&readers[0]); /* too far behind */
    assert_false(readers[0].member.is_member);
    assert_int_equal(fakes_open, 2);
    for (unsigned i = 0; i < READERS; i++)
        close_reader(&readers[i]);
    assert_int_equal(fakes_open, 0);
    feeds_release(&feeds);
}

/* As many as there may be, and as many bytes; one block may be larger than that. */
static void a_ring_is_bounded(void **state)
{
    (void)state;
    struct feed_ring ring;
    uint64_t number;
    feed_ring_init(&ring, 10);
    for (uint64_t seq = 11; seq < 200; seq++) {
        struct feed_block *block = feed_block_new(memory_of(SIZE_MAX));
        assert_non_null(out_reserve(&block->text, 100000));
        block->text.size = seq < 100 ? 10 : seq < 150 ? FEED_BYTES / 4 : 100000;
        block->seq = seq;
        feed_ring_append(&ring, block);
        uint64_t count = seq < 100 ? FEED_BLOCKS : seq < 150 ? 4 : 1;
        if (seq % 50 > 40)
            assert_int_equal(ring.end - ring.first, count);
        assert_true(ring.bytes <= FEED_BYTES || ring.end - ring.first == 1);
    }
    assert_true(feed_ring_find(&ring, 198, &number));
    assert_int_equal(feed_ring_at(&ring, number)->seq, 199);
    assert_true(feed_ring_find(&ring, 199, &number));
    assert_null(feed_ring_at(&ring, number));
    assert_false(feed_ring_find(&ring, 197, &number));
    feed_ring_clear(&ring);
    assert_int_equal(ring.bytes, 0);
    assert_true(feed_ring_find(&ring, 199, &number));
    assert_int_equal(number, ring.end);
    assert_false(feed_ring_find(&ring, 198, &number));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_is_bounded),
        cmocka_unit_test(readers_that_are_caught_up_share_one_subscription),
        cmocka_unit_test(readers_of_a_feed_get_everything_once),
    };
    if (argc > 1)
        first_seed = (unsigned)strtoul(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
