/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions against a fake sidecar, which delivers what the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <stdlib.h>

#include "client.h"
#include "fake_sidecar.h"
#include "subscription_base.h"
#include "transport.h"
#include "until.h"

#define NS_PER_MS UINT64_C(1000000)

enum {
    OTHERS = 8,
    WAIT_MS = 5000,
    EPOCH = 3,
    DATA = 57,
    ITEM = WIRE_ITEM_HEAD_SIZE + 2 + 1 + DATA,
    MANY = 3000,
    UNREAD = 2000,
};

static struct fake fake;
static spn_client *client;

/* What the fake sidecar has delivered of one subscription. */
struct stream {
    spn_subscription *subscription;
    struct wire_deliver head;
};

static int setup(void **state)
{
    (void)state;
    fake_open(&fake);
    const struct spn_client_options options = {.size = sizeof(options), .socket_dir = fake.dir};
    fake_begin(&fake);
    assert_int_equal(client_open(&client, &options, WAIT_MS, fake_now, NULL, 0), SPN_OK);
    fake_end(&fake);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    spn_client_close(client); /* with the subscriptions that are left */
    fake_close(&fake);
    return 0;
}

/* Both sides work until the counter has reached this. */
static void step_until(const unsigned *counter, unsigned count)
{
    uint64_t give_up_ns = client_monotonic_ns() + WAIT_MS * NS_PER_MS;
    while (*counter < count) {
        assert_true(client_monotonic_ns() < give_up_ns);
        assert_int_equal(spn_client_step(client), SPN_OK);
        fake_step(&fake, 1);
    }
}

/* Until all that was said on both sides has arrived. */
static void step_until_quiet(void)
{
    const struct spn_health *health;
    assert_int_equal(spn_client_step(client), SPN_OK); /* sends what is due, before it asks */
    fake_begin(&fake);
    assert_int_equal(spn_get_health(client, WAIT_MS, &health), SPN_OK);
    fake_end(&fake);
}

static struct stream subscribe(const struct spn_subscription_options *options)
{
    struct stream stream = {0};
    unsigned before = fake.subscribes;
    assert_int_equal(spn_subscribe(&stream.subscription, client, spn_text("s"), options), SPN_OK);
    step_until(&fake.subscribes, before + 1);
    stream.head = (struct wire_deliver){.subscription = fake.subscribe.subscription,
                                        .incarnation = fake.subscribe.incarnation};
    return stream;
}

static struct stream subscribe_window(size_t window_bytes)
{
    const struct spn_subscription_options options = {.size = sizeof(options),
                                                     .window_bytes = window_bytes};
    return subscribe(&options);
}

/* The next item; that a subscription has caught up has tests of its own. */
static spn_err next_item(spn_subscription *subscription, int timeout_ms,
                         const struct spn_item **ret_item)
{
    spn_err err;
    while ((err = spn_subscription_next(subscription, timeout_ms, ret_item)) == SPN_OK &&
           (*ret_item)->kind == SPN_ITEM_CAUGHT_UP)
        continue;
    return err;
}

static spn_err next_of_any(spn_client *of, int timeout_ms, spn_subscription **ret_subscription,
                           const struct spn_item **ret_item)
{
    spn_err err;
    while ((err = spn_next_of_any(of, timeout_ms, ret_subscription, ret_item)) == SPN_OK &&
           (*ret_item)->kind == SPN_ITEM_CAUGHT_UP)
        continue;
    return err;
}

/* -- what the sidecar says --------------------------------------------------------------------- */

static void deliver_verdict(struct stream *stream, uint64_t seq, uint64_t missing)
{
    stream->head.kind = WIRE_VERDICT;
    stream->head.verdict = missing > 0 ? WIRE_TRIMMED : WIRE_RESUMED;
    stream->head.seq = seq;
    stream->head.missing = missing;
    stream->head.count = 0;
    fake_deliver(&fake, &stream->head, 0, 0);
    stream->head.missing = 0;
    stream->head.verdict = 0;
}

static void deliver_events(struct stream *stream, uint32_t count)
{
    uint64_t first = stream->head.seq + 1;
    stream->head.kind = WIRE_EVENTS;
    stream->head.count = count;
    stream->head.seq += count;
    stream->head.bytes += fake_items_size(count, DATA);
    fake_deliver(&fake, &stream->head, first, DATA);
    stream->head.count = 0;
}

static void deliver_gap(struct stream *stream, uint64_t missing)
{
    stream->head.kind = WIRE_GAP;
    stream->head.seq += missing;
    stream->head.missing = missing;
    fake_deliver(&fake, &stream->head, 0, 0);
    stream->head.missing = 0;
}

static void deliver_end(struct stream *stream, uint8_t verdict)
{
    stream->head.kind = WIRE_END;
    stream->head.verdict = verdict;
    fake_deliver(&fake, &stream->head, 0, 0);
    stream->head.verdict = 0;
}

static void deliver_refusal(struct stream *stream, spn_err code)
{
    stream->head.code = (uint16_t)code;
    deliver_end(stream, WIRE_REFUSED_VERDICT);
    stream->head.code = 0;
}

/* It was subscribed again, and after this event. */
static void expect_subscribed_after(struct stream *stream, uint64_t seq)
{
    assert_int_equal(fake.subscribe.subscription, stream->head.subscription);
    assert_int_equal(fake.subscribe.incarnation, stream->head.incarnation + 1);
    assert_int_equal(fake.subscribe.start, WIRE_AFTER_SEQ);
    assert_int_equal(fake.subscribe.otherwise, 0);
    assert_memory_equal(&fake.subscribe.life, &fake.life, sizeof(fake.life));
    assert_int_equal(fake.subscribe.seq, seq);
    assert_string_equal(fake.subscribe_session, "s");
    assert_string_equal(fake.subscribe_id, "");
    stream->head.incarnation++;
    stream->head.bytes = 0;
    stream->head.seq = seq;
}

/* -- what the app gets ------------------------------------------------------------------------- */

static void expect_event_item(const struct spn_item *item, uint64_t seq)
{
    char digits[24];
    assert_int_equal(item->kind, SPN_ITEM_EVENT);
    assert_int_equal(item->seq, seq);
    assert_memory_equal(&item->life, &fake.life, sizeof(fake.life));
    assert_int_equal(item->event->seq, seq);
    assert_int_equal(item->event->position, 1000 + seq);
    assert_int_equal(item->event->time_ms, 5);
    assert_int_equal(item->event->retry_ms, SPN_RETRY_NONE);
    assert_int_equal(item->event->id.size, 2);
    assert_memory_equal(item->event->id.data, "id", 2);
    assert_int_equal(item->event->type.size, 1);
    assert_int_equal(item->event->data.size, DATA);
    int size = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)seq);
    assert_memory_equal(item->event->data.data, digits, (size_t)size);
}

static void expect_events(const struct stream *stream, uint64_t from, uint64_t to)
{
    const struct spn_item *item;
    for (uint64_t seq = from; seq <= to; seq++) {
        assert_int_equal(next_item(stream->subscription, WAIT_MS, &item), SPN_OK);
        expect_event_item(item, seq);
    }
}

static void expect_missing(const struct stream *stream, spn_item_kind kind, uint64_t seq,
                           uint64_t missing)
{
    const struct spn_item *item;
    assert_int_equal(next_item(stream->subscription, WAIT_MS, &item), SPN_OK);
    assert_int_equal(item->kind, kind);
    assert_null(item->event);
    assert_int_equal(item->seq, seq);
    assert_int_equal(item->missing, missing);
    assert_memory_equal(&item->life, &fake.life, sizeof(fake.life));
}

static void expect_end(const struct stream *stream, spn_err why)
{
    const struct spn_item *item;
    assert_int_equal(next_item(stream->subscription, WAIT_MS, &item), SPN_OK);
    assert_int_equal(item->kind, SPN_ITEM_END);
    assert_null(item->event);
    assert_int_equal(item->why, why);
    assert_int_equal(next_item(stream->subscription, 0, &item), SPN_E_END);
    assert_int_equal(next_item(stream->subscription, 0, &item), SPN_E_END);
}

static void expect_nothing(const struct stream *stream)
{
    const struct spn_item *item;
    assert_int_equal(next_item(stream->subscription, 0, &item), SPN_E_TIMEOUT);
}

/* Subscribed, the verdict given, at seq 0. */
static struct stream begin(size_t window_bytes)
{
    struct stream stream = subscribe_window(window_bytes);
    deliver_verdict(&stream, 0, 0);
    expect_missing(&stream, SPN_ITEM_VERDICT, 0, 0);
    return stream;
}

/* -- asking ------------------------------------------------------------------------------------ */

static void asks_for_what_it_was_told(void **state)
{
    (void)state;
    struct stream stream = subscribe(NULL);
    assert_int_equal(fake.subscribe.incarnation, 1);
    assert_int_equal(fake.subscribe.start, WIRE_EARLIEST);
    assert_int_equal(fake.subscribe.otherwise, 0);
    assert_int_equal(fake.subscribe.credit, SUBSCRIPTION_WINDOW_DEFAULT);
    assert_string_equal(fake.subscribe_session, "s");
    expect_nothing(&stream);
    uint64_t number = fake.subscribe.subscription;
    subscribe(&(struct spn_subscription_options){.size = sizeof(struct spn_subscription_options),
                                                 .start = SPN_AFTER_ID,
                                                 .after = spn_text("id-7"),
                                                 .otherwise = SPN_RESTART,
                                                 .window_bytes = 1000});
    assert_int_not_equal(fake.subscribe.subscription, number);
    assert_int_equal(fake.subscribe.start, WIRE_AFTER_ID);
    assert_int_equal(fake.subscribe.otherwise, WIRE_RESTART);
    assert_int_equal(fake.subscribe.credit, 1000);
    assert_string_equal(fake.subscribe_id, "id-7");
    subscribe(&(struct spn_subscription_options){.size = sizeof(struct spn_subscription_options),
                                                 .start = SPN_NOW,
                                                 .after = spn_text("not looked at"),
                                                 .otherwise = SPN_WAIT});
    assert_int_equal(fake.subscribe.start, WIRE_NOW);
    assert_int_equal(fake.subscribe.otherwise, WIRE_WAIT);
    assert_string_equal(fake.subscribe_id, "");
}

static void refuses_nonsense(void **state)
{
    (void)state;
    const size_t size = sizeof(struct spn_subscription_options);
    const struct {
        const char *session;
        struct spn_subscription_options options;
        spn_err err;
    } rows[] = {
        {"", {.size = size}, SPN_E_BAD_SESSION},
        {"\n", {.size = size}, SPN_E_BAD_SESSION},
        {"s", {.size = 0}, SPN_E_INVALID},
        {"s", {.size = size, .start = SPN_AFTER_SEQ}, SPN_E_INVALID}, /* of no life */
        {"s", {.size = size, .start = (spn_start)4}, SPN_E_INVALID},
        {"s", {.size = size, .otherwise = 4}, SPN_E_INVALID},
        {"s", {.size = size, .start = SPN_AFTER_ID}, SPN_E_BAD_ID},
        {"s", {.size = size, .start = SPN_AFTER_ID, .after = {"\n", 1}}, SPN_E_BAD_ID},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        spn_subscription *subscription = NULL;
        assert_int_equal(
            spn_subscribe(&subscription, client, spn_text(rows[i].session), &rows[i].options),
            rows[i].err);
        assert_null(subscription);
    }
    const struct spn_item *item;
    spn_subscription *any;
    assert_int_equal(next_of_any(client, -1, &any, &item), SPN_E_END);
    step_until_quiet();
    assert_int_equal(fake.subscribes, 0);
}

/* -- items ------------------------------------------------------------------------------------- */

static void verdict_events_gap_end(void **state)
{
    (void)state;
    struct stream stream = subscribe(NULL);
    deliver_verdict(&stream, 3, 3);
    deliver_events(&stream, 2);
    deliver_gap(&stream, 10);
    deliver_events(&stream, 1);
    deliver_events(&stream, 3);
    deliver_end(&stream, WIRE_CLOSED);
    expect_missing(&stream, SPN_ITEM_VERDICT, 3, 3);
    expect_events(&stream, 4, 5);
    expect_missing(&stream, SPN_ITEM_GAP, 15, 10);
    expect_events(&stream, 16, 19);
    expect_end(&stream, SPN_E_CLOSED);
    spn_unsubscribe(stream.subscription);
    step_until_quiet();
    assert_int_equal(fake.unsubscribes, 0); /* it knows */
    assert_int_equal(fake.subscribes, 1);
}

static void ends_have_their_reasons(void **state)
{
    (void)state;
    static const struct {
        uint8_t verdict;
        spn_err why;
    } rows[] = {
        {WIRE_UNKNOWN_ID, SPN_E_UNKNOWN_ID},
        {WIRE_UNKNOWN_SESSION, SPN_E_UNKNOWN_SESSION},
        {WIRE_OTHER_LIFE, SPN_E_OTHER_LIFE},
        {WIRE_DELETED, SPN_E_DELETED},
        {WIRE_FAILED, SPN_E_IO},
        {WIRE_DAMAGED, SPN_E_CORRUPT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct stream stream = subscribe(NULL);
        deliver_end(&stream, rows[i].verdict);
        expect_end(&stream, rows[i].why);
        spn_unsubscribe(stream.subscription);
    }
}

/* A refusal that passes is tried again; one that does not is the end. */
static void refused_subscribe_is_an_end(void **state)
{
    (void)state;
    struct stream stream = subscribe(NULL);
    fake_read_error(&fake, fake.subscribe_request + 1, SPN_E_PROTOCOL); /* nobody's */
    deliver_refusal(&stream, SPN_E_NOMEM);
    step_until_quiet();
    expect_nothing(&stream);
    assert_int_equal(fake.subscribes, 1);
    fake_pass(SUBSCRIPTION_AGAIN_NS);
    step_until(&fake.subscribes, 2);
    stream.head.incarnation++;
    deliver_refusal(&stream, SPN_E_LIMIT);
    expect_end(&stream, SPN_E_LIMIT);
    struct stream other = subscribe(NULL);
    fake_read_error(&fake, fake.subscribe_request, SPN_E_PROTOCOL);
    expect_end(&other, SPN_E_PROTOCOL);
}

/* The last of many keeps only its own bytes, not the message; a large one keeps the message. */
static void several_deliveries_in_one_message(void **state)
{
    (void)state;
    struct stream one = begin(0);
    struct stream other = begin(0);
    struct stream large = begin(0);
    struct stream stranger = begin(0);
    spn_unsubscribe(stranger.subscription);
    fake_pack();
    deliver_events(&one, 2);
    deliver_events(&stranger, 1);
    deliver_gap(&other, 3);
    deliver_events(&one, 1);
    deliver_events(&large, 300);
    deliver_events(&other, 1);
    deliver_end(&one, WIRE_CLOSED);
    fake_send_pack(&fake);
    step_until_quiet();
    const struct spn_item *item;
    assert_int_equal(next_item(other.subscription, WAIT_MS, &item), SPN_OK);
    assert_int_equal(item->kind, SPN_ITEM_GAP);
    expect_events(&other, 4, 4);
    expect_events(&large, 1, 300);
    expect_events(&one, 1, 3);
    expect_end(&one, SPN_E_CLOSED);
    expect_nothing(&other);
    expect_nothing(&large);
}

static void event_is_lent_until_the_next_call(void **state)
{
    (void)state;
    struct stream one = begin(0);
    struct stream other = begin(0);
    const struct spn_item *item, *unused;
    spn_subscription *any;
    deliver_events(&one, 1);
    assert_int_equal(next_item(one.subscription, WAIT_MS, &item), SPN_OK);
    deliver_events(&one, 1);
    deliver_events(&other, 1);
    assert_int_equal(next_item(other.subscription, WAIT_MS, &unused), SPN_OK);
    step_until_quiet();
    assert_int_equal(spn_client_step(client), SPN_OK);
    expect_event_item(item, 1); /* sanitizers look */
    assert_int_equal(next_of_any(client, WAIT_MS, &any, &item), SPN_OK);
    assert_ptr_equal(any, one.subscription);
    expect_event_item(item, 2);
}

/* -- credit ------------------------------------------------------------------------------------ */

static void credit_is_granted_by_half_windows(void **state)
{
    (void)state;
    struct stream stream = begin(10 * ITEM);
    assert_int_equal(fake.subscribe.credit, 10 * ITEM);
    deliver_events(&stream, 10);
    expect_events(&stream, 1, 4);
    step_until_quiet();
    assert_int_equal(fake.grant_count, 0);
    expect_events(&stream, 5, 5);
    step_until_quiet();
    assert_int_equal(fake.grant_count, 1);
    assert_int_equal(fake.grants[0].subscription, stream.head.subscription);
    assert_int_equal(fake.grants[0].incarnation, 1);
    assert_int_equal(fake.grants[0].credit, 15 * ITEM);
    expect_events(&stream, 6, 9);
    step_until_quiet();
    assert_int_equal(fake.grant_count, 1);
    expect_events(&stream, 10, 10); /* the last one: nobody calls after it */
    uint64_t give_up_ns = client_monotonic_ns() + 500 * NS_PER_MS; /* before a beat could */
    while (fake.grant_count < 2 && client_monotonic_ns() < give_up_ns)
        fake_step(&fake, 1);
    assert_int_equal(fake.grant_count, 2);
    assert_int_equal(fake.grants[1].credit, 20 * ITEM);
}

/* One event always comes, and then the sidecar has sent more than it was granted. */
static void event_larger_than_the_window(void **state)
{
    (void)state;
    struct stream stream = begin(10);
    deliver_events(&stream, 1);
    expect_events(&stream, 1, 1);
    step_until_quiet();
    assert_int_equal(fake.grant_count, 1);
    assert_int_equal(fake.grants[0].credit, ITEM + 10);
}

/* What waits unread counts against the window of a new incarnation. */
static void unread_is_not_granted_again(void **state)
{
    (void)state;
    struct stream stream = begin(4 * ITEM);
    deliver_events(&stream, 3);
    step_until_quiet();
    stream.head.seq++; /* a hole */
    deliver_events(&stream, 1);
    step_until(&fake.subscribes, 2);
    expect_subscribed_after(&stream, 3);
    assert_int_equal(fake.subscribe.credit, ITEM);
    deliver_verdict(&stream, 3, 0);
    deliver_events(&stream, 1);
    size_t before = fake.grant_count;
    expect_events(&stream, 1, 4);
    step_until_quiet();
    assert_in_range(fake.grant_count, before + 1, before + 2); /* they gather while there is more */
    assert_int_equal(fake.grants[before].incarnation, 2);
    assert_in_range(fake.grants[fake.grant_count - 1].credit, 3 * ITEM, 5 * ITEM);
}

/* A sidecar that ignores the credit. What came within it is given; the last event may exceed it. */
static const struct beyond_row {
    size_t credit;
    uint32_t counts[3]; /* events of its deliveries */
    uint64_t given;
    bool ends;
} beyond_rows[] = {
    {2 * ITEM, {2}, 2, false},          {2 * ITEM, {3}, 0, true},
    {2 * ITEM, {2, 1}, 2, true},        {2 * ITEM - 1, {2}, 2, false},
    {2 * ITEM - 1, {1, 2}, 1, true},    {2 * ITEM - 1, {64}, 0, true},
    {2 * ITEM - 1, {1, 1, 1}, 2, true}, {2 * ITEM + 1, {3}, 3, false},
    {2 * ITEM + 1, {2, 1}, 3, false},   {2 * ITEM + 1, {4}, 0, true},
    {2 * ITEM + 1, {3, 1}, 3, true},    {2 * ITEM + 1, {2, 2}, 2, true},
};

static void more_than_was_granted_ends_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(beyond_rows) / sizeof(beyond_rows[0]); i++) {
        const struct beyond_row *row = &beyond_rows[i];
        unsigned subscribes = fake.subscribes, unsubscribes = fake.unsubscribes;
        struct stream stream = begin(row->credit);
        for (size_t at = 0; at < 3 && row->counts[at] > 0; at++)
            deliver_events(&stream, row->counts[at]);
        step_until_quiet();
        if (row->ends)
            step_until(&fake.unsubscribes, unsubscribes + 1);
        assert_in_range(stream.subscription->unread, 0, 3 * ITEM);
        expect_events(&stream, 1, row->given);
        if (row->ends)
            expect_end(&stream, SPN_E_PROTOCOL);
        else
            expect_nothing(&stream);
        fake_pass(10 * SUBSCRIPTION_PAUSE_MAX_NS);
        step_until_quiet();
        assert_int_equal(fake.subscribes, subscribes + 1);
        spn_unsubscribe(stream.subscription);
        step_until(&fake.unsubscribes, unsubscribes + 1);
        step_until_quiet();
        assert_int_equal(fake.unsubscribes, unsubscribes + 1);
    }
}

/* Gaps need no credit, so they are counted in one item, whatever their number. */
static void gaps_take_no_memory(void **state)
{
    (void)state;
    struct stream stream = begin(0);
    for (unsigned i = 0; i < UNREAD; i++)
        deliver_gap(&stream, 3);
    step_until_quiet();
    assert_null(stream.subscription->first->next->next); /* the verdict is lent */
    deliver_events(&stream, 1);
    deliver_gap(&stream, 1);
    step_until_quiet();
    expect_missing(&stream, SPN_ITEM_GAP, 3 * UNREAD, 3 * UNREAD);
    expect_events(&stream, 3 * UNREAD + 1, 3 * UNREAD + 1);
    expect_missing(&stream, SPN_ITEM_GAP, 3 * UNREAD + 2, 1);
    deliver_gap(&stream, 5);
    step_until_quiet(); /* it comes while the one before is lent */
    expect_missing(&stream, SPN_ITEM_GAP, 3 * UNREAD + 7, 5);
}

/* What follows its head has this size. */
static void deliver_end_of_size(struct stream *stream, size_t size)
{
    static uint8_t rest[STANDING_MAX + 1];
    struct wire_out out = wire_out(rest, sizeof(rest));
    wire_put_standing(&out, &(struct wire_standing){.life = fake.life});
    stream->head.kind = WIRE_END;
    stream->head.verdict = WIRE_DELETED;
    fake_deliver_rest(&fake, &stream->head, rest, size);
}

/* What follows a verdict or an end is not counted for credit, and small. */
static void an_end_of_any_size_is_not_kept(void **state)
{
    (void)state;
    for (size_t size = 8192; size <= 8193; size++) {
        struct stream stream = begin(0);
        deliver_end_of_size(&stream, size);
        expect_end(&stream, size == 8192 ? SPN_E_DELETED : SPN_E_PROTOCOL);
        spn_unsubscribe(stream.subscription);
    }
}

/* An item takes as much credit as its head, or a few bytes of credit would be many deliveries that
 * are kept. */
static void items_without_their_heads_are_not_kept(void **state)
{
    (void)state;
    static const struct {
        uint32_t count;
        uint32_t size;
    } rows[] = {{1, 0}, {1, 1}, {1, WIRE_ITEM_HEAD_SIZE - 1}, {2, 2 * WIRE_ITEM_HEAD_SIZE - 1}};
    static const uint8_t rest[2 * WIRE_ITEM_HEAD_SIZE];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct stream stream = begin(0);
        for (unsigned times = 0; times < UNREAD; times++) {
            stream.head.kind = WIRE_EVENTS;
            stream.head.count = rows[i].count;
            stream.head.seq += rows[i].count;
            stream.head.bytes += rows[i].size;
            fake_deliver_rest(&fake, &stream.head, rest, rows[i].size);
        }
        step_until_quiet();
        assert_null(stream.subscription->first->next); /* the verdict is lent */
        expect_end(&stream, SPN_E_PROTOCOL);
        spn_unsubscribe(stream.subscription);
    }
}

/* -- what must not pass ------------------------------------------------------------------------ */

/* A kind that this version does not know, among events that it does. It would come again. */
static void unknown_kind_ends_it(void **state)
{
    (void)state;
    static const uint8_t unknown[] = {0, 2, 11, 255, WIRE_ITEM_OPEN, WIRE_TOUCH};
    uint8_t bytes[512];
    for (size_t i = 0; i < sizeof(unknown); i++) {
        struct stream stream = begin(0);
        struct wire_out out = wire_out(bytes, sizeof(bytes));
        unsigned before = fake.subscribes;
        deliver_events(&stream, 1);
        for (uint64_t seq = 2; seq <= 4; seq++)
            wire_put_item(&out, &(struct wire_item){.seq = seq,
                                                    .entry = {.kind = WIRE_EVENT,
                                                              .retry_ms = WIRE_RETRY_NONE,
                                                              .id = {"id", 2},
                                                              .data = {"abc", 3}}});
        bytes[WIRE_ITEM_HEAD_SIZE + 5 + WIRE_ITEM_HEAD_SIZE - WIRE_ENTRY_HEAD_SIZE] = unknown[i];
        stream.head.kind = WIRE_EVENTS;
        stream.head.count = 3;
        stream.head.seq = 4;
        stream.head.bytes += wire_out_size(&out);
        fake_deliver_rest(&fake, &stream.head, bytes, wire_out_size(&out));
        stream.head.count = 0;
        deliver_end(&stream, WIRE_CLOSED);
        step_until_quiet();
        expect_events(&stream, 1, 1);
        const struct spn_item *item;
        assert_int_equal(next_item(stream.subscription, 0, &item), SPN_OK);
        assert_int_equal(item->seq, 2);
        expect_end(&stream, SPN_E_PROTOCOL);
        fake_pass(10 * SUBSCRIPTION_PAUSE_MAX_NS);
        step_until_quiet();
        assert_int_equal(fake.subscribes, before);
        spn_unsubscribe(stream.subscription);
    }
}

static void other_incarnations_are_dropped(void **state)
{
    (void)state;
    struct stream stream = begin(0);
    struct stream stranger = stream;
    stranger.head.incarnation = 2;
    deliver_events(&stranger, 1);
    deliver_end(&stranger, WIRE_UNSUBSCRIBED);
    stranger.head.incarnation = 0;
    deliver_end(&stranger, WIRE_DELETED);
    stranger = stream;
    stranger.head.subscription += UINT64_C(1) << 32; /* same slot */
    deliver_end(&stranger, WIRE_DELETED);
    stranger.head.subscription = stream.head.subscription + 1;
    deliver_end(&stranger, WIRE_DELETED);
    stranger.head.subscription = UINT64_MAX;
    deliver_end(&stranger, WIRE_DELETED);
    deliver_events(&stream, 2);
    expect_events(&stream, 1, 2);
    step_until_quiet();
    expect_nothing(&stream);
    assert_int_equal(fake.subscribes, 1);
}

/* A delivery that does not go on where the one before it ended, in each of the ways. */
static void hole_is_filled(void **state)
{
    (void)state;
    static const struct wire_deliver wrong[] = {
        {.kind = WIRE_EVENTS, .seq = 1, .count = 1},            /* one left out */
        {.kind = WIRE_EVENTS, .seq = (uint64_t)-1, .count = 1}, /* one again */
        {.kind = WIRE_EVENTS, .count = 1, .bytes = 1},          /* bytes left out */
        {.kind = WIRE_EVENTS, .count = 0},                      /* of nothing */
        {.kind = WIRE_GAP, .seq = 1},                           /* more than it says */
        {.kind = WIRE_END, .verdict = WIRE_CLOSED, .seq = 1},   /* not all of it */
        {.kind = WIRE_END, .verdict = WIRE_RESUMED},            /* no reason */
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        unsigned before = fake.subscribes + 1;
        struct stream stream = begin(0);
        deliver_events(&stream, 2);
        struct wire_deliver head = stream.head;
        head.kind = wrong[i].kind;
        head.verdict = wrong[i].verdict;
        head.count = wrong[i].count;
        head.seq += wrong[i].seq + wrong[i].count;
        head.bytes += wrong[i].bytes + fake_items_size(wrong[i].count, DATA);
        fake_deliver(&fake, &head, head.seq, DATA);
        step_until(&fake.subscribes, before + 1);
        expect_subscribed_after(&stream, 2);
        deliver_verdict(&stream, 2, 0);
        deliver_events(&stream, 2);
        expect_events(&stream, 1, 4);
        expect_nothing(&stream);
        spn_unsubscribe(stream.subscription);
    }
}

/* The head is right and the items are not: what was given counts. */
static void hole_between_items_is_filled(void **state)
{
    (void)state;
    struct stream stream = begin(0);
    deliver_events(&stream, 2);
    stream.head.kind = WIRE_EVENTS;
    stream.head.count = 2;
    stream.head.seq = 4;
    stream.head.bytes += fake_items_size(2, DATA);
    fake_deliver(&fake, &stream.head, 4, DATA); /* 4 and 5 */
    deliver_end(&stream, WIRE_CLOSED);
    step_until_quiet();
    expect_events(&stream, 1, 2);
    expect_nothing(&stream);
    step_until(&fake.subscribes, 2);
    expect_subscribed_after(&stream, 2);
    deliver_verdict(&stream, 2, 0);
    deliver_events(&stream, 2);
    deliver_end(&stream, WIRE_CLOSED);
    expect_events(&stream, 3, 4);
    expect_end(&stream, SPN_E_CLOSED);
}

/* A sidecar that says where it is in a past that was given already. */
static void cursor_does_not_go_back(void **state)
{
    (void)state;
    struct stream stream = begin(0);
    deliver_events(&stream, 2);
    expect_events(&stream, 1, 2);
    deliver_end(&stream, WIRE_UNSUBSCRIBED);
    step_until(&fake.subscribes, 2);
    expect_subscribed_after(&stream, 2);
    deliver_verdict(&stream, 1, 0);
    expect_end(&stream, SPN_E_PROTOCOL);
}

/* A sidecar that says that the same cursor is another life's. */
static void life_stays_the_same(void **state)
{
    (void)state;
    struct stream stream = begin(0);
    deliver_events(&stream, 2);
    expect_events(&stream, 1, 2);
    deliver_end(&stream, WIRE_UNSUBSCRIBED);
    step_until(&fake.subscribes, 2);
    expect_subscribed_after(&stream, 2);
    fake.life.bytes[9] = 1;
    deliver_verdict(&stream, 2, 0);
    fake.life.bytes[9] = 0;
    expect_end(&stream, SPN_E_PROTOCOL);
}

static void no_truncation_passes(void **state)
{
    (void)state;
    uint8_t bytes[512];
    for (size_t cut = 0;; cut++) {
        struct stream stream = begin(0);
        struct wire_out out = wire_out(bytes, sizeof(bytes));
        wire_put_header(&out, WIRE_DELIVER, 0);
        wire_put_deliveries(&out, 1);
        stream.head.kind = WIRE_EVENTS;
        stream.head.count = 1;
        stream.head.size = WIRE_ITEM_HEAD_SIZE + 3;
        stream.head.seq = 1;
        stream.head.bytes = stream.head.size;
        wire_put_deliver(&out, &stream.head);
        wire_put_item(
            &out, &(struct wire_item){.seq = 1, .entry = {.kind = WIRE_EVENT, .data = {"abc", 3}}});
        size_t size = wire_out_size(&out);
        if (cut == size)
            break;
        fake_read_raw(&fake, bytes, cut);
        stream.head.bytes -= size - cut; /* the head tells the same lie */
        stream.head.size -= (uint32_t)(size - cut);
        if (cut > WIRE_HEADER_SIZE + WIRE_DELIVERIES_HEAD_SIZE + WIRE_DELIVER_HEAD_SIZE) {
            out.at = bytes + WIRE_HEADER_SIZE + WIRE_DELIVERIES_HEAD_SIZE;
            wire_put_deliver(&out, &stream.head);
            fake_read_raw(&fake, bytes, cut);
        }
        step_until_quiet();
        if (cut > WIRE_HEADER_SIZE + WIRE_DELIVERIES_HEAD_SIZE + WIRE_DELIVER_HEAD_SIZE)
            expect_end(&stream, SPN_E_PROTOCOL);
        else
            expect_nothing(&stream);
        spn_unsubscribe(stream.subscription);
    }
}

/* -- restarts ---------------------------------------------------------------------------------- */

static void restart(void)
{
    fake_stop(&fake);
    while (client->transport.read.connected)
        assert_int_equal(spn_client_step(client), SPN_OK);
    fake_start(&fake);
}

static void restart_goes_on_after_the_last_event(void **state)
{
    (void)state;
    struct stream stream = subscribe(&(struct spn_subscription_options){
        .size = sizeof(struct spn_subscription_options), .otherwise = SPN_WAIT});
    deliver_verdict(&stream, 0, 0);
    deliver_events(&stream, 3);
    step_until_quiet();
    expect_missing(&stream, SPN_ITEM_VERDICT, 0, 0);
    expect_events(&stream, 1, 2);
    restart();
    uint64_t start_ns = client_monotonic_ns();
    step_until(&fake.subscribes, 2);
    assert_true(client_monotonic_ns() - start_ns < 900 * NS_PER_MS); /* no beat was waited for */
    expect_subscribed_after(&stream, 3); /* which was received, not given */
    deliver_verdict(&stream, 3, 0);
    deliver_events(&stream, 1);
    expect_events(&stream, 3, 4);
    restart();
    step_until(&fake.subscribes, 3);
    expect_subscribed_after(&stream, 4);
    deliver_verdict(&stream, 9, 5); /* trimmed meanwhile: a gap, not another verdict */
    deliver_events(&stream, 1);
    expect_missing(&stream, SPN_ITEM_GAP, 9, 5);
    expect_events(&stream, 10, 10);
    expect_nothing(&stream);
}

static void restart_before_the_verdict_asks_the_same(void **state)
{
    (void)state;
    struct stream stream = subscribe(
        &(struct spn_subscription_options){.size = sizeof(struct spn_subscription_options),
                                           .start = SPN_AFTER_ID,
                                           .after = spn_text("id-7"),
                                           .otherwise = SPN_WAIT});
    restart();
    step_until(&fake.subscribes, 2);
    assert_int_equal(fake.subscribe.incarnation, 2);
    assert_int_equal(fake.subscribe.start, WIRE_AFTER_ID);
    assert_int_equal(fake.subscribe.otherwise, WIRE_WAIT);
    assert_string_equal(fake.subscribe_id, "id-7");
    stream.head.incarnation = 2;
    deliver_verdict(&stream, 7, 0);
    expect_missing(&stream, SPN_ITEM_VERDICT, 7, 0);
}

/* What is stored before the library could subscribe again is not older than "now" was. */
static void restart_while_waiting_asks_for_all(void **state)
{
    (void)state;
    struct stream stream = subscribe(&(struct spn_subscription_options){
        .size = sizeof(struct spn_subscription_options), .start = SPN_NOW, .otherwise = SPN_WAIT});
    stream.head.kind = WIRE_VERDICT;
    stream.head.verdict = WIRE_UNKNOWN_SESSION;
    fake_deliver_standing(&fake, &stream.head, &(struct wire_standing){.newest = 0});
    stream.head.verdict = 0;
    step_until_quiet();
    expect_nothing(&stream);
    restart();
    step_until(&fake.subscribes, 2);
    assert_int_equal(fake.subscribe.start, WIRE_EARLIEST);
    assert_int_equal(fake.subscribe.otherwise, WIRE_WAIT);
    stream.head.incarnation = 2;
    deliver_verdict(&stream, 0, 0);
    deliver_events(&stream, 1);
    expect_missing(&stream, SPN_ITEM_VERDICT, 0, 0);
    expect_events(&stream, 1, 1);
}

static void ended_one_is_not_subscribed_again(void **state)
{
    (void)state;
    struct stream stream = begin(0);
    deliver_events(&stream, 1);
    deliver_end(&stream, WIRE_CLOSED);
    step_until_quiet();
    restart();
    step_until_quiet();
    assert_int_equal(fake.subscribes, 1);
    expect_events(&stream, 1, 1);
    expect_end(&stream, SPN_E_CLOSED);
}

/* The connection came back before anybody looked: the sidecar's word has to do. */
static void unknown_one_is_subscribed_again(void **state)
{
    (void)state;
    struct stream first = begin(0);
    struct stream others[OTHERS];
    for (size_t i = 0; i < OTHERS; i++)
        others[i] = begin(0);
    unsigned before = fake.subscribes;
    deliver_events(&first, 1);
    deliver_end(&first, WIRE_UNSUBSCRIBED);
    step_until(&fake.subscribes, before + 1);
    expect_subscribed_after(&first, 1);
    step_until(&fake.credits, 1); /* the others are asked for at once, and in one message */
    assert_int_equal(fake.grant_count, OTHERS);
    for (size_t i = 0; i < OTHERS; i++) {
        assert_int_equal(fake.grants[i].subscription, others[i].head.subscription);
        deliver_end(&others[i], WIRE_UNSUBSCRIBED);
    }
    step_until(&fake.subscribes, before + 1 + OTHERS);
    expect_subscribed_after(&others[OTHERS - 1], 0);
    deliver_verdict(&first, 1, 0);
    deliver_events(&first, 1);
    expect_events(&first, 1, 2);
    assert_int_equal(fake.credits, 1);
}

/* -- beats ------------------------------------------------------------------------------------- */

/* A beat is due, goes out, and is answered unless the sidecar is mute. */
static void beat(void)
{
    unsigned before = fake.credits;
    fake_pass(CLIENT_HEARTBEAT_NS);
    step_until(&fake.credits, before + 1);
    step_until_quiet();
}

/* The lease is renewed by the descriptor alone, without a grant. */
static void beats_when_nothing_happens(void **state)
{
    (void)state;
    struct stream stream = begin(500);
    struct pollfd fd = {.fd = spn_client_fd(client), .events = POLLIN};
    fake.alive = 1;
    step_until_quiet();
    assert_int_equal(spn_client_step(client), SPN_OK);
    assert_int_equal(fake.credits, 0);
    fake_pass(CLIENT_HEARTBEAT_NS - NS_PER_MS);
    assert_int_equal(spn_client_step(client), SPN_OK); /* arms its timer anew */
    uint64_t give_up_ns = client_monotonic_ns() + WAIT_MS * NS_PER_MS;
    unsigned steps = 0;
    while (fake.credits == 0) {
        assert_true(client_monotonic_ns() < give_up_ns);
        if (poll(&fd, 1, 10) > 0) {
            assert_int_equal(spn_client_step(client), SPN_OK);
            steps++;
        }
        fake_step(&fake, 0);
    }
    assert_true(steps <= 6); /* and it slept */
    assert_int_equal(fake.grant_count, 0);
    beat();
    assert_int_equal(fake.credits, 2);
    assert_int_equal(fake.subscribes, 1);
    spn_unsubscribe(stream.subscription);
    step_until(&fake.unsubscribes, 1);
    assert_int_equal(fake.unsubscribe.subscription, stream.head.subscription);
    assert_int_equal(fake.unsubscribe.incarnation, 1);
    assert_int_equal(fake.unsubscribe.credit, 0);
    fake_pass(2 * CLIENT_HEARTBEAT_NS);
    step_until_quiet();
    assert_int_equal(fake.credits, 2); /* there is no subscription to keep */
}

static void no_answer_twice_subscribes_all_again(void **state)
{
    (void)state;
    struct stream first = begin(0);
    struct stream second = begin(0);
    deliver_events(&first, 2);
    step_until_quiet();
    beat();
    fake.mute = true;
    beat();
    beat();
    assert_int_equal(fake.subscribes, 2); /* one was missed */
    beat();
    step_until(&fake.subscribes, 4);
    expect_subscribed_after(&second, 0);
    beat();
    beat();
    beat();
    assert_int_equal(fake.subscribes, 4); /* once */
    first.head.incarnation++;
    first.head.bytes = 0;
    deliver_verdict(&first, 2, 0);
    deliver_verdict(&second, 0, 0);
    deliver_events(&first, 1);
    fake.mute = false;
    step_until_quiet();
    expect_events(&first, 1, 3); /* and no second verdict */
    expect_nothing(&second);
    assert_int_equal(subscriptions_resumed(client), 2);
}

/* The app steps again when it is due, and that is the next beat. */
static void what_a_beat_subscribes_is_sent_in_its_turn(void **state)
{
    (void)state;
    (void)begin(0);
    beat();
    fake.mute = true;
    beat();
    beat();
    assert_int_equal(fake.subscribes, 1);
    fake_pass(CLIENT_HEARTBEAT_NS);
    assert_int_equal(spn_client_step(client), SPN_OK);
    uint64_t give_up_ns = client_monotonic_ns() + UINT64_C(5000000000);
    while (fake.subscribes < 2) {
        assert_true(client_monotonic_ns() < give_up_ns);
        fake_step(&fake, 10);
    }
}

/* A sidecar that sends events is there, however busy. */
static void events_count_as_an_answer(void **state)
{
    (void)state;
    struct stream stream = begin(0);
    fake.mute = true;
    for (unsigned i = 0; i < 6; i++) {
        beat();
        deliver_events(&stream, 1);
        step_until_quiet();
    }
    assert_int_equal(fake.subscribes, 1);
}

static void another_instance_subscribes_all_again(void **state)
{
    (void)state;
    struct stream stream = begin(0);
    deliver_events(&stream, 2);
    step_until_quiet();
    beat();
    beat();
    assert_int_equal(fake.subscribes, 1);
    fake.instance++; /* the connection broke and came back, and nobody saw it */
    beat();
    step_until(&fake.subscribes, 2);
    expect_subscribed_after(&stream, 2);
    beat();
    assert_int_equal(fake.subscribes, 2);
}

static void another_instance_shows_at_the_first_beat(void **state)
{
    (void)state;
    struct stream stream = begin(0);
    deliver_events(&stream, 2);
    step_until_quiet();
    fake.instance++; /* after the WELCOME, and nobody saw it */
    beat();
    step_until(&fake.subscribes, 2);
    expect_subscribed_after(&stream, 2);
    beat();
    assert_int_equal(fake.subscribes, 2);
}

/* A new connection has subscribed all again already, and another instance is no news. */
static void a_new_connection_expects_no_instance(void **state)
{
    (void)state;
    struct stream stream = begin(0);
    deliver_events(&stream, 2);
    step_until_quiet();
    fake_stop(&fake);
    fake_start(&fake);
    step_until(&fake.subscribes, 2);
    expect_subscribed_after(&stream, 2);
    beat();
    beat();
    assert_int_equal(fake.subscribes, 2);
}

static void another_instance_has_limits_of_its_own(void **state)
{
    (void)state;
    (void)begin(0);
    beat();
    assert_int_equal(fake.hellos, 1);
    assert_int_equal(spn_client_data_max(client), WIRE_EVENT_DATA_DEFAULT);
    fake.instance++;
    fake.data_max = 100;
    beat();
    step_until(&fake.hellos, 2);
    step_until_quiet();
    assert_int_equal(spn_client_data_max(client), 100);
    beat();
    beat();
    assert_int_equal(fake.hellos, 2);
}

/* The limits of before hold, and the next message of that instance leads to another HELLO. */
static void limits_stay_if_hello_fails(void **state)
{
    (void)state;
    (void)begin(0);
    fake.instance++;
    fake.data_max = 0;
    fake.hello_err = SPN_E_IO;
    beat();
    step_until(&fake.hellos, 2);
    step_until_quiet();
    assert_int_equal(spn_client_data_max(client), WIRE_EVENT_DATA_DEFAULT);
    fake.hello_err = SPN_OK;
    fake.data_max = 100;
    beat();
    step_until(&fake.hellos, 3);
    step_until_quiet();
    assert_int_equal(spn_client_data_max(client), 100);
}

/* The sidecar's heartbeat counts, also if another one makes it shorter while a beat is due. */
static void beats_as_often_as_welcome_has_it(void **state)
{
    (void)state;
    (void)begin(0);
    fake.instance++;
    fake.heartbeat_ms = 200;
    beat();
    step_until(&fake.hellos, 2);
    step_until_quiet();
    unsigned before = fake.credits;
    uint64_t start_ns = fake_now();
    for (unsigned i = 1; i <= 3; i++) {
        fake_pass(200 * NS_PER_MS);
        step_until(&fake.credits, before + i);
    }
    assert_true(fake_now() - start_ns < CLIENT_HEARTBEAT_NS - 1000 * NS_PER_MS);
}

static void fewer_than_it_has_are_asked_for(void **state)
{
    (void)state;
    struct stream streams[3] = {begin(0), begin(0), begin(0)};
    deliver_events(&streams[1], 4);
    step_until_quiet();
    fake.alive = 3;
    beat();
    assert_int_equal(fake.grant_count, 0);
    fake.alive = 2;
    beat();
    step_until(&fake.credits, 3); /* at once, with grants for all */
    assert_int_equal(fake.grant_count, 3);
    fake.alive = 2;
    deliver_end(&streams[1], WIRE_UNSUBSCRIBED);
    step_until(&fake.subscribes, 4);
    expect_subscribed_after(&streams[1], 4);
    fake.alive = 3;
    size_t grants = fake.grant_count;
    fake_pass(SUBSCRIPTION_AGAIN_NS);
    step_until_quiet();
    beat();
    beat();
    assert_int_equal(fake.subscribes, 4);
    assert_true(fake.grant_count <= grants + 3);
}

/* What ends or is unsubscribed while the beat is on its way is not missed; what is subscribed then
 * is not expected. */
static void beat_counts_what_it_should(void **state)
{
    (void)state;
    struct stream streams[3] = {begin(0), begin(0), begin(0)};
    fake.deaf = true; /* health is not answered: this test steps by hand */
    fake.mute = true;
    fake_pass(CLIENT_HEARTBEAT_NS);
    step_until(&fake.credits, 1);
    deliver_end(&streams[0], WIRE_DELETED);
    spn_unsubscribe(streams[1].subscription);
    step_until(&fake.unsubscribes, 1);
    struct stream late = subscribe(NULL);
    fake_alive(&fake, fake.credit_request, 1);
    fake_alive(&fake, fake.credit_request + 1, 0); /* to another question */
    deliver_events(&streams[2], 1);
    expect_events(&streams[2], 1, 1);
    expect_nothing(&late);
    fake_pass(SUBSCRIPTION_AGAIN_NS);
    assert_int_equal(spn_client_step(client), SPN_OK); /* sends what is due */
    subscribe(NULL);                                   /* and that has arrived */
    assert_int_equal(fake.grant_count, 0);
    assert_int_equal(fake.subscribes, 5);
    fake_alive(&fake, fake.credit_request, 0); /* now one is missed */
    step_until(&fake.credits, 2);
    assert_int_equal(fake.grant_count, 3);
}

/* -- verdicts ---------------------------------------------------------------------------------- */

static const struct spn_life other_life = {{7, 7}};

/* What the sidecar may say to a SUBSCRIBE, and what the app gets for it. */
static void verdict_says_what_happened(void **state)
{
    (void)state;
    static const struct {
        spn_start start;
        unsigned otherwise;
        uint8_t kind;
        uint8_t verdict;
        uint64_t missing;
        spn_item_kind item;
        spn_err why;
    } rows[] = {
        {SPN_EARLIEST, 0, WIRE_VERDICT, WIRE_RESUMED, 0, SPN_ITEM_VERDICT, SPN_OK},
        {SPN_EARLIEST, 0, WIRE_VERDICT, WIRE_TRIMMED, 4, SPN_ITEM_VERDICT, SPN_E_TRIMMED},
        {SPN_AFTER_ID, 0, WIRE_VERDICT, WIRE_RESUMED, 0, SPN_ITEM_VERDICT, SPN_OK},
        {SPN_AFTER_ID, SPN_RESTART, WIRE_VERDICT, WIRE_UNKNOWN_ID, 4, SPN_ITEM_VERDICT,
         SPN_E_UNKNOWN_ID},
        {SPN_AFTER_ID, SPN_RESTART | SPN_WAIT, WIRE_VERDICT, WIRE_UNKNOWN_ID, 0, SPN_ITEM_VERDICT,
         SPN_E_UNKNOWN_ID},
        {SPN_AFTER_ID, SPN_WAIT, WIRE_END, WIRE_UNKNOWN_ID, 4, SPN_ITEM_END, SPN_E_UNKNOWN_ID},
        {SPN_AFTER_SEQ, 0, WIRE_VERDICT, WIRE_TRIMMED, 2, SPN_ITEM_VERDICT, SPN_E_TRIMMED},
        {SPN_AFTER_SEQ, SPN_RESTART, WIRE_VERDICT, WIRE_OTHER_LIFE, 1, SPN_ITEM_VERDICT,
         SPN_E_OTHER_LIFE},
        {SPN_AFTER_SEQ, 0, WIRE_END, WIRE_OTHER_LIFE, 1, SPN_ITEM_END, SPN_E_OTHER_LIFE},
        {SPN_AFTER_SEQ, SPN_WAIT, WIRE_END, WIRE_OTHER_LIFE, 1, SPN_ITEM_END, SPN_E_OTHER_LIFE},
        {SPN_NOW, SPN_RESTART, WIRE_END, WIRE_UNKNOWN_SESSION, 0, SPN_ITEM_END,
         SPN_E_UNKNOWN_SESSION},
        {SPN_NOW, 0, WIRE_VERDICT, WIRE_RESUMED, 0, SPN_ITEM_VERDICT, SPN_OK},
    };
    const struct wire_standing standing = {.life = other_life,
                                           .newest = 9,
                                           .state = WIRE_SESSION_CLOSED,
                                           .reason = {"done", 4},
                                           .id = {"id-9", 4}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct stream stream = subscribe(
            &(struct spn_subscription_options){.size = sizeof(struct spn_subscription_options),
                                               .start = rows[i].start,
                                               .otherwise = rows[i].otherwise,
                                               .after = spn_text("id-3"),
                                               .after_life = {{1, 2, 3}},
                                               .after_seq = 3});
        bool by_seq = rows[i].start == SPN_AFTER_SEQ;
        assert_int_equal(fake.subscribe.start, rows[i].start);
        assert_int_equal(fake.subscribe.otherwise, rows[i].otherwise);
        assert_int_equal(fake.subscribe.seq, by_seq ? 3 : 0);
        assert_int_equal(fake.subscribe.life.bytes[1], by_seq ? 2 : 0);
        assert_int_equal(fake.subscribe.features, 0);
        stream.head.kind = rows[i].kind;
        stream.head.verdict = rows[i].verdict;
        stream.head.seq = 5;
        stream.head.missing = rows[i].missing;
        fake_deliver_standing(&fake, &stream.head, &standing);
        const struct spn_item *item;
        assert_int_equal(next_item(stream.subscription, WAIT_MS, &item), SPN_OK);
        step_until_quiet(); /* it stays as it is */
        assert_int_equal(item->kind, rows[i].item);
        assert_int_equal(item->why, rows[i].why);
        assert_int_equal(item->missing, rows[i].missing);
        assert_int_equal(item->seq, 5);
        assert_int_equal(item->newest, 9);
        assert_int_equal(item->state, SPN_CLOSED);
        assert_memory_equal(&item->life, &other_life, sizeof(other_life));
        assert_int_equal(item->reason.size, 4);
        assert_memory_equal(item->reason.data, "done", 4);
        if (item->kind == SPN_ITEM_VERDICT) {
            assert_int_equal(item->id.size, 4);
            assert_memory_equal(item->id.data, "id-9", 4);
            assert_int_equal(item->start, rows[i].start);
            assert_int_equal(item->after.size, rows[i].start == SPN_AFTER_ID ? 4 : 0);
            assert_int_equal(item->after_seq, by_seq ? 3 : 0);
            assert_int_equal(item->after_life.bytes[2], by_seq ? 3 : 0);
        }
        spn_unsubscribe(stream.subscription);
    }
}

/* A verdict that its SUBSCRIBE cannot have is asked for again. */
static void verdict_must_fit_what_was_asked(void **state)
{
    (void)state;
    static const struct {
        spn_start start;
        unsigned otherwise;
        uint8_t verdict;
    } rows[] = {
        {SPN_EARLIEST, SPN_RESTART, WIRE_UNKNOWN_ID}, {SPN_EARLIEST, SPN_RESTART, WIRE_OTHER_LIFE},
        {SPN_AFTER_ID, 0, WIRE_UNKNOWN_ID},           {SPN_AFTER_ID, SPN_RESTART, WIRE_OTHER_LIFE},
        {SPN_AFTER_SEQ, 0, WIRE_OTHER_LIFE},          {SPN_AFTER_SEQ, SPN_RESTART, WIRE_UNKNOWN_ID},
        {SPN_NOW, SPN_RESTART, WIRE_CLOSED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct stream stream = subscribe(
            &(struct spn_subscription_options){.size = sizeof(struct spn_subscription_options),
                                               .start = rows[i].start,
                                               .otherwise = rows[i].otherwise,
                                               .after = spn_text("id-3"),
                                               .after_life = {{1}}});
        unsigned before = fake.subscribes;
        stream.head.kind = WIRE_VERDICT;
        stream.head.verdict = rows[i].verdict;
        fake_deliver(&fake, &stream.head, 0, 0);
        step_until_quiet();
        expect_nothing(&stream);
        fake_pass(SUBSCRIPTION_PAUSE_NS);
        step_until(&fake.subscribes, before + 1);
        assert_int_equal(fake.subscribe.start, rows[i].start);
        spn_unsubscribe(stream.subscription);
    }
}

static void another_life_after_a_restart_is_the_end(void **state)
{
    (void)state;
    static const uint8_t verdicts[] = {WIRE_OTHER_LIFE, WIRE_UNKNOWN_SESSION};
    for (size_t i = 0; i < 2; i++) {
        unsigned before = fake.subscribes;
        struct stream stream = begin(0);
        deliver_events(&stream, 2);
        expect_events(&stream, 1, 2);
        restart();
        step_until(&fake.subscribes, before + 2);
        expect_subscribed_after(&stream, 2);
        stream.head.kind = WIRE_END;
        stream.head.verdict = verdicts[i];
        stream.head.missing = 5;
        fake_deliver_standing(&fake, &stream.head, &(struct wire_standing){.life = other_life});
        const struct spn_item *item;
        assert_int_equal(next_item(stream.subscription, WAIT_MS, &item), SPN_OK);
        assert_int_equal(item->kind, SPN_ITEM_END);
        assert_int_equal(item->why, SPN_E_DELETED);
        assert_int_equal(item->seq, 2); /* where it stands, in the life that it read */
        assert_memory_equal(&item->life, &fake.life, sizeof(fake.life));
        spn_unsubscribe(stream.subscription);
    }
}

/* -- caught up --------------------------------------------------------------------------------- */

/* v: the verdict at seq 0, with 3 as the newest seq; V: with 0; e: an event; g: a gap of two; c, d:
 * the end; r: a restart, and a verdict that nothing is missing; R: one that two are; u: the sidecar
 * has forgotten it, and a verdict. The items: the same letters, and C; a restart gives nothing, or
 * a gap. */
static const struct caught_row {
    const char *script;
    const char *items;
} caught_rows[] = {
    {"V", "vC"},         {"Vc", "vCc"},           {"Vee", "vCee"},     {"v", "v"},
    {"vee", "vee"},      {"veee", "veeeC"},       {"veeee", "veeeCe"}, {"vgg", "vggC"},
    {"veg", "vegC"},     {"veegc", "veegCc"},     {"veeec", "veeeCc"}, {"veed", "veed"},
    {"vd", "vd"},        {"veeed", "veeeCd"},     {"Vd", "vCd"},       {"Vrere", "vCee"},
    {"verere", "veeeC"}, {"veeerere", "veeeCee"}, {"veR", "vegC"},     {"VR", "vCg"},
    {"veueue", "veeeC"}, {"veeeu", "veeeC"},      {"vrrree", "vee"},
};

static void deliver_letter(struct stream *stream, char letter)
{
    switch (letter) {
    case 'v':
    case 'V':
        stream->head.kind = WIRE_VERDICT;
        fake_deliver_standing(
            &fake, &stream->head,
            &(struct wire_standing){.life = fake.life, .newest = letter == 'v' ? 3 : 0});
        break;
    case 'e':
        deliver_events(stream, 1);
        break;
    case 'g':
        deliver_gap(stream, 2);
        break;
    case 'c':
        deliver_end(stream, WIRE_CLOSED);
        break;
    case 'd':
        deliver_end(stream, WIRE_DELETED);
        break;
    default:
        step_until_quiet();
        unsigned before = fake.subscribes;
        if (letter == 'u')
            deliver_end(stream, WIRE_UNSUBSCRIBED);
        else
            restart();
        fake_pass(SUBSCRIPTION_AGAIN_NS);
        step_until(&fake.subscribes, before + 1);
        expect_subscribed_after(stream, stream->head.seq);
        uint64_t missing = letter == 'R' ? 2 : 0;
        deliver_verdict(stream, stream->head.seq + missing, missing);
        break;
    }
}

static char letter_of(const struct spn_item *item)
{
    static const char letters[] = "vegdC";
    bool closed = item->kind == SPN_ITEM_END && item->why == SPN_E_CLOSED;
    return closed ? 'c' : letters[item->kind];
}

/* Gaps one after the other are one, if the app reads none of them in between. */
static void expect_letters(const char *items, const char *wanted, bool at_once)
{
    for (char last = '\0'; *wanted != '\0'; last = *wanted++)
        if (at_once || last != 'g' || *wanted != 'g')
            assert_int_equal(*items++, *wanted);
    assert_int_equal(*items, '\0');
}

static void play(const struct caught_row *row, bool at_once)
{
    struct stream stream = subscribe(NULL);
    char items[32] = "";
    size_t count = 0;
    const struct spn_item *item;
    for (const char *at = row->script; *at != '\0'; at++) {
        deliver_letter(&stream, *at);
        step_until_quiet();
        while ((at_once || at[1] == '\0') &&
               spn_subscription_next(stream.subscription, 0, &item) == SPN_OK)
            items[count++] = letter_of(item);
    }
    items[count] = '\0';
    expect_letters(items, row->items, at_once);
    spn_unsubscribe(stream.subscription);
}

static void caught_up_comes_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(caught_rows) / sizeof(caught_rows[0]); i++) {
        print_message("%s\n", caught_rows[i].script);
        play(&caught_rows[i], true);
        play(&caught_rows[i], false);
    }
}

/* -- pausing ----------------------------------------------------------------------------------- */

static bool is_readable(void)
{
    struct pollfd fd = {.fd = spn_client_fd(client), .events = POLLIN};
    return poll(&fd, 1, 0) > 0;
}

static void set_paused(const struct stream *stream, bool paused)
{
    assert_int_equal(spn_subscription_pause(stream->subscription, paused), SPN_OK);
}

static void paused_one_gives_nothing(void **state)
{
    (void)state;
    struct stream paused = begin(10 * ITEM);
    struct stream other = begin(0);
    spn_subscription *any;
    const struct spn_item *item;
    deliver_events(&paused, 4);
    expect_events(&paused, 1, 1);
    set_paused(&paused, true);
    set_paused(&paused, true);
    deliver_events(&paused, 6);
    deliver_events(&other, 1);
    step_until_quiet();
    assert_int_equal(next_of_any(client, 0, &any, &item), SPN_OK);
    assert_ptr_equal(any, other.subscription);
    assert_int_equal(next_of_any(client, 0, &any, &item), SPN_E_TIMEOUT);
    assert_int_equal(next_item(paused.subscription, -1, &item), SPN_E_TIMEOUT); /* does not wait */
    assert_int_equal(spn_client_step(client), SPN_OK);
    assert_false(is_readable());
    assert_int_equal(fake.grant_count, 0);
    beat(); /* the lease is kept */
    assert_int_equal(fake.grant_count, 0);
    assert_int_equal(spn_client_step(client), SPN_OK);
    assert_false(is_readable());
    set_paused(&paused, false);
    assert_true(is_readable());
    for (uint64_t seq = 2; seq <= 10; seq++) {
        assert_int_equal(next_of_any(client, 0, &any, &item), SPN_OK);
        assert_ptr_equal(any, paused.subscription);
        expect_event_item(item, seq);
    }
    step_until_quiet();
    assert_true(fake.grant_count > 0);
    assert_int_equal(fake.grants[fake.grant_count - 1].subscription, paused.head.subscription);
}

static void expect_ready(const struct stream *stream, size_t bytes)
{
    spn_subscription *any = NULL;
    size_t has = 0;
    assert_int_equal(spn_next_ready(client, &any, &has), SPN_OK);
    assert_ptr_equal(any, stream->subscription);
    assert_int_equal(has, bytes);
}

/* An app that has no room for what is ready pauses it, and finds the next. */
static void ready_one_is_found_and_not_taken(void **state)
{
    (void)state;
    struct stream large = begin(10 * ITEM);
    struct stream small = begin(10 * ITEM);
    spn_subscription *any = NULL;
    size_t bytes = 0;
    const struct spn_item *item;
    expect_ready(&large, 0);
    assert_int_equal(next_of_any(client, 0, &any, &item), SPN_E_TIMEOUT); /* they have caught up */
    assert_int_equal(spn_next_ready(client, &any, &bytes), SPN_E_TIMEOUT);
    deliver_events(&large, 2);
    step_until_quiet();
    deliver_events(&small, 1);
    step_until_quiet();
    expect_ready(&large, 2 * ITEM);
    expect_ready(&large, 2 * ITEM);
    set_paused(&large, true);
    expect_ready(&small, ITEM);
    expect_events(&small, 1, 1);
    assert_int_equal(spn_next_ready(client, &any, &bytes), SPN_E_TIMEOUT);
    set_paused(&large, false);
    expect_events(&large, 1, 1);
    expect_ready(&large, ITEM);
    expect_events(&large, 2, 2);
}

/* What is not among the bytes does not wait for them. */
static void ready_one_has_no_bytes_before_its_events(void **state)
{
    (void)state;
    struct stream stream = subscribe(NULL);
    const struct spn_item *item;
    deliver_verdict(&stream, 0, 0);
    deliver_events(&stream, 2);
    step_until_quiet();
    expect_ready(&stream, 0);
    assert_int_equal(spn_subscription_next(stream.subscription, 0, &item), SPN_OK);
    assert_int_equal(item->kind, SPN_ITEM_VERDICT);
    expect_ready(&stream, 0);
    assert_int_equal(spn_subscription_next(stream.subscription, 0, &item), SPN_OK);
    assert_int_equal(item->kind, SPN_ITEM_CAUGHT_UP);
    expect_ready(&stream, 2 * ITEM);
    expect_events(&stream, 1, 2);
    deliver_gap(&stream, 1);
    step_until_quiet();
    deliver_events(&stream, 1);
    step_until_quiet();
    expect_ready(&stream, 0);
    expect_missing(&stream, SPN_ITEM_GAP, 3, 1);
    expect_ready(&stream, ITEM);
    expect_events(&stream, 4, 4);
    deliver_end(&stream, WIRE_DELETED);
    step_until_quiet();
    expect_ready(&stream, 0);
}

/* Gap, caught up and end wait too. */
static void end_of_a_paused_one_waits(void **state)
{
    (void)state;
    struct stream stream = subscribe(NULL);
    spn_subscription *any;
    const struct spn_item *item;
    set_paused(&stream, true);
    deliver_verdict(&stream, 0, 0);
    deliver_events(&stream, 1);
    deliver_gap(&stream, 2);
    deliver_end(&stream, WIRE_CLOSED);
    step_until_quiet();
    assert_int_equal(spn_client_step(client), SPN_OK);
    assert_false(is_readable());
    assert_int_equal(next_of_any(client, 0, &any, &item), SPN_E_TIMEOUT); /* not the end */
    fake_pass(2 * CLIENT_HEARTBEAT_NS);
    step_until_quiet();
    assert_int_equal(fake.credits, 0); /* nothing is left to keep */
    set_paused(&stream, false);
    assert_true(is_readable());
    expect_missing(&stream, SPN_ITEM_VERDICT, 0, 0);
    expect_events(&stream, 1, 1);
    expect_missing(&stream, SPN_ITEM_GAP, 3, 2);
    expect_end(&stream, SPN_E_CLOSED);
    set_paused(&stream, true);
    assert_int_equal(next_of_any(client, -1, &any, &item), SPN_E_END);
}

static void failure_of_a_paused_one_waits(void **state)
{
    (void)state;
    struct stream stream = begin(0);
    spn_subscription *any;
    const struct spn_item *item;
    set_paused(&stream, true);
    deliver_end_of_size(&stream, STANDING_MAX + 1);
    step_until(&fake.unsubscribes, 1);
    assert_int_equal(next_of_any(client, 0, &any, &item), SPN_E_TIMEOUT);
    set_paused(&stream, false);
    expect_end(&stream, SPN_E_PROTOCOL);
}

static void paused_one_is_unsubscribed(void **state)
{
    (void)state;
    struct stream streams[3];
    for (size_t i = 0; i < 3; i++) {
        streams[i] = begin(0);
        deliver_events(&streams[i], 3);
        if (i == 1)
            deliver_end(&streams[i], WIRE_DELETED);
        step_until_quiet();
        set_paused(&streams[i], true);
    }
    spn_subscription *any;
    const struct spn_item *item;
    spn_unsubscribe(streams[0].subscription);
    spn_unsubscribe(streams[1].subscription);
    step_until_quiet();
    assert_int_equal(fake.unsubscribes, 1);
    assert_int_equal(next_of_any(client, 0, &any, &item), SPN_E_TIMEOUT);
    spn_unsubscribe(streams[2].subscription);
    assert_int_equal(next_of_any(client, -1, &any, &item), SPN_E_END);
}

/* It keeps its place, and is subscribed again without credit. */
static void paused_one_over_a_restart(void **state)
{
    (void)state;
    struct stream stream = begin(10 * ITEM);
    deliver_events(&stream, 3);
    step_until_quiet();
    set_paused(&stream, true);
    restart();
    step_until(&fake.subscribes, 2);
    expect_subscribed_after(&stream, 3);
    assert_int_equal(fake.subscribe.credit, 0);
    deliver_verdict(&stream, 3, 0);
    step_until_quiet();
    assert_int_equal(fake.grant_count, 0);
    set_paused(&stream, false);
    step_until(&fake.credits, 1);
    assert_int_equal(fake.grants[0].credit, 7 * ITEM); /* three are unread */
    expect_events(&stream, 1, 3);
}

/* -- many -------------------------------------------------------------------------------------- */

static void any_takes_turns(void **state)
{
    (void)state;
    struct stream streams[3];
    const struct spn_item *item;
    spn_subscription *any;
    uint64_t given[3] = {0};
    for (size_t i = 0; i < 3; i++) {
        streams[i] = begin(0);
        assert_null(spn_subscription_context(streams[i].subscription));
        spn_subscription_set_context(streams[i].subscription, &given[i]);
        deliver_events(&streams[i], i == 0 ? 100 : 10);
    }
    step_until_quiet();
    for (size_t i = 0; i < 30; i++) {
        assert_int_equal(next_of_any(client, 0, &any, &item), SPN_OK);
        uint64_t *count = spn_subscription_context(any);
        expect_event_item(item, ++*count);
    }
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(given[i], 10);
    for (size_t i = 0; i < 90; i++)
        assert_int_equal(next_of_any(client, 0, &any, &item), SPN_OK);
    assert_int_equal(next_of_any(client, 0, &any, &item), SPN_E_TIMEOUT);
    spn_unsubscribe(streams[1].subscription);
    deliver_end(&streams[0], WIRE_CLOSED);
    deliver_end(&streams[1], WIRE_CLOSED); /* on its way when it was given up */
    deliver_end(&streams[2], WIRE_CLOSED);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(next_of_any(client, WAIT_MS, &any, &item), SPN_OK);
        assert_int_equal(item->kind, SPN_ITEM_END);
        assert_ptr_equal(any, streams[2 * i].subscription);
    }
    assert_int_equal(next_of_any(client, -1, &any, &item), SPN_E_END);
}

static void thousands_on_one_socket(void **state)
{
    (void)state;
    static struct stream streams[MANY];
    const struct spn_item *item;
    spn_subscription *any;
    for (size_t i = 0; i < MANY; i++) {
        streams[i] = subscribe(NULL);
        spn_subscription_set_context(streams[i].subscription, &streams[i]);
    }
    for (size_t i = 0; i < MANY; i += 3) { /* slots are used again, numbers are not */
        spn_unsubscribe(streams[i].subscription);
        uint64_t number = streams[i].head.subscription;
        streams[i] = subscribe(NULL);
        assert_int_not_equal(streams[i].head.subscription, number);
        assert_true((uint32_t)streams[i].head.subscription < MANY);
        spn_subscription_set_context(streams[i].subscription, &streams[i]);
    }
    unsigned before = fake.subscribes;
    restart();
    step_until(&fake.subscribes, before + MANY);
    step_until_quiet();
    assert_int_equal(fake.subscribes, before + MANY); /* each once */
    for (size_t i = 0; i < MANY; i++) {
        streams[i].head.incarnation++;
        deliver_verdict(&streams[i], i, 0);
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(next_of_any(client, WAIT_MS, &any, &item), SPN_OK);
        struct stream *stream = spn_subscription_context(any);
        assert_int_equal(item->seq, stream - streams);
    }
    assert_int_equal(next_of_any(client, 0, &any, &item), SPN_E_TIMEOUT);
}

static size_t anonymous_bytes(void)
{
    char line[256];
    unsigned long kib = 0;
    FILE *status = fopen("/proc/self/status", "re");
    assert_non_null(status);
    while (kib == 0 && fgets(line, sizeof(line), status) != NULL)
        if (strncmp(line, "RssAnon:", 8) == 0)
            kib = strtoul(line + 8, NULL, 10);
    fclose(status);
    assert_true(kib > 0);
    return kib * 1024;
}

/* Each comes alone, so that ZeroMQ reads each into a buffer of its own. */
static void what_is_not_read_takes_little_memory(void **state)
{
    (void)state;
    struct stream stream = subscribe(NULL);
    const struct spn_item *item;
    deliver_verdict(&stream, 0, 0);
    step_until_quiet();
    size_t before = anonymous_bytes();
    for (size_t i = 0; i < UNREAD; i++) {
        deliver_events(&stream, 1);
        step_until_quiet();
    }
    size_t after = anonymous_bytes(); /* less, if what earlier tests freed went back meanwhile */
    print_message("%d events of %d bytes: from %zu to %zu bytes\n", UNREAD, ITEM, before, after);
    if (!until_sanitized()) /* they keep what is freed */
        assert_true(after < before + (size_t)UNREAD * 3 * 1024);
    for (uint64_t seq = 0; seq <= UNREAD; seq++) {
        assert_int_equal(next_item(stream.subscription, 0, &item), SPN_OK);
        assert_int_equal(item->seq, seq);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(asks_for_what_it_was_told),
        TEST(refuses_nonsense),
        TEST(verdict_events_gap_end),
        TEST(ends_have_their_reasons),
        TEST(refused_subscribe_is_an_end),
        TEST(event_is_lent_until_the_next_call),
        TEST(credit_is_granted_by_half_windows),
        TEST(event_larger_than_the_window),
        TEST(unread_is_not_granted_again),
        TEST(other_incarnations_are_dropped),
        TEST(more_than_was_granted_ends_it),
        TEST(gaps_take_no_memory),
        TEST(an_end_of_any_size_is_not_kept),
        TEST(items_without_their_heads_are_not_kept),
        TEST(unknown_kind_ends_it),
        TEST(hole_is_filled),
        TEST(hole_between_items_is_filled),
        TEST(cursor_does_not_go_back),
        TEST(life_stays_the_same),
        TEST(several_deliveries_in_one_message),
        TEST(no_truncation_passes),
        TEST(restart_goes_on_after_the_last_event),
        TEST(restart_before_the_verdict_asks_the_same),
        TEST(restart_while_waiting_asks_for_all),
        TEST(ended_one_is_not_subscribed_again),
        TEST(unknown_one_is_subscribed_again),
        TEST(beats_when_nothing_happens),
        TEST(no_answer_twice_subscribes_all_again),
        TEST(what_a_beat_subscribes_is_sent_in_its_turn),
        TEST(events_count_as_an_answer),
        TEST(another_instance_subscribes_all_again),
        TEST(another_instance_shows_at_the_first_beat),
        TEST(a_new_connection_expects_no_instance),
        TEST(another_instance_has_limits_of_its_own),
        TEST(limits_stay_if_hello_fails),
        TEST(beats_as_often_as_welcome_has_it),
        TEST(fewer_than_it_has_are_asked_for),
        TEST(beat_counts_what_it_should),
        TEST(verdict_says_what_happened),
        TEST(verdict_must_fit_what_was_asked),
        TEST(another_life_after_a_restart_is_the_end),
        TEST(caught_up_comes_once),
        TEST(paused_one_gives_nothing),
        TEST(ready_one_is_found_and_not_taken),
        TEST(ready_one_has_no_bytes_before_its_events),
        TEST(end_of_a_paused_one_waits),
        TEST(failure_of_a_paused_one_waits),
        TEST(paused_one_is_unsubscribed),
        TEST(paused_one_over_a_restart),
        TEST(any_takes_turns),
        TEST(thousands_on_one_socket),
        TEST(what_is_not_read_takes_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
