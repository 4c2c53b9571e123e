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
#include "subscription.h"
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
    assert_int_equal(spn_client_open(&client, &options, WAIT_MS, NULL, 0), SPN_OK);
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
    struct spn_health health;
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
                                        .incarnation = fake.subscribe.incarnation,
                                        .epoch = EPOCH};
    return stream;
}

static struct stream subscribe_window(size_t window_bytes)
{
    const struct spn_subscription_options options = {.size = sizeof(options),
                                                     .window_bytes = window_bytes};
    return subscribe(&options);
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

/* It was subscribed again, and after this event. */
static void expect_subscribed_after(struct stream *stream, uint64_t seq)
{
    assert_int_equal(fake.subscribe.subscription, stream->head.subscription);
    assert_int_equal(fake.subscribe.incarnation, stream->head.incarnation + 1);
    assert_int_equal(fake.subscribe.start, WIRE_AFTER_SEQ);
    assert_int_equal(fake.subscribe.otherwise, WIRE_FAIL);
    assert_int_equal(fake.subscribe.epoch, EPOCH);
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
    assert_int_equal(item->epoch, EPOCH);
    assert_int_equal(item->event.seq, seq);
    assert_int_equal(item->event.epoch, EPOCH);
    assert_int_equal(item->event.position, 1000 + seq);
    assert_int_equal(item->event.time_ms, 5);
    assert_int_equal(item->event.retry_ms, SPN_RETRY_NONE);
    assert_int_equal(item->event.id.size, 2);
    assert_memory_equal(item->event.id.data, "id", 2);
    assert_int_equal(item->event.type.size, 1);
    assert_int_equal(item->event.data.size, DATA);
    int size = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)seq);
    assert_memory_equal(item->event.data.data, digits, (size_t)size);
}

static void expect_events(const struct stream *stream, uint64_t from, uint64_t to)
{
    struct spn_item item;
    for (uint64_t seq = from; seq <= to; seq++) {
        assert_int_equal(spn_subscription_next(stream->subscription, WAIT_MS, &item), SPN_OK);
        expect_event_item(&item, seq);
    }
}

static void expect_missing(const struct stream *stream, spn_item_kind kind, uint64_t seq,
                           uint64_t missing)
{
    struct spn_item item;
    assert_int_equal(spn_subscription_next(stream->subscription, WAIT_MS, &item), SPN_OK);
    assert_int_equal(item.kind, kind);
    assert_int_equal(item.seq, seq);
    assert_int_equal(item.missing, missing);
    assert_int_equal(item.epoch, EPOCH);
}

static void expect_end(const struct stream *stream, spn_err why)
{
    struct spn_item item;
    assert_int_equal(spn_subscription_next(stream->subscription, WAIT_MS, &item), SPN_OK);
    assert_int_equal(item.kind, SPN_ITEM_END);
    assert_int_equal(item.why, why);
    assert_int_equal(spn_subscription_next(stream->subscription, 0, &item), SPN_E_END);
    assert_int_equal(spn_subscription_next(stream->subscription, 0, &item), SPN_E_END);
}

static void expect_nothing(const struct stream *stream)
{
    struct spn_item item;
    assert_int_equal(spn_subscription_next(stream->subscription, 0, &item), SPN_E_TIMEOUT);
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
    assert_int_equal(fake.subscribe.otherwise, WIRE_FAIL);
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
        {"s", {.size = size, .start = (spn_start)2}, SPN_E_INVALID},
        {"s", {.size = size, .start = (spn_start)4}, SPN_E_INVALID},
        {"s", {.size = size, .otherwise = (spn_otherwise)3}, SPN_E_INVALID},
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
    struct spn_item item;
    spn_subscription *any;
    assert_int_equal(spn_next_of_any(client, -1, &any, &item), SPN_E_END);
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
        {WIRE_OTHER_EPOCH, SPN_E_OTHER_EPOCH},
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

static void refused_subscribe_is_an_end(void **state)
{
    (void)state;
    struct stream stream = subscribe(NULL);
    fake_read_error(&fake, fake.subscribe_request, SPN_E_NOMEM);        /* passes */
    fake_read_error(&fake, fake.subscribe_request + 1, SPN_E_PROTOCOL); /* nobody's */
    step_until_quiet();
    expect_nothing(&stream);
    fake_read_error(&fake, fake.subscribe_request, SPN_E_PROTOCOL);
    expect_end(&stream, SPN_E_PROTOCOL);
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
    struct spn_item item;
    assert_int_equal(spn_subscription_next(other.subscription, WAIT_MS, &item), SPN_OK);
    assert_int_equal(item.kind, SPN_ITEM_GAP);
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
    struct spn_item item, unused;
    spn_subscription *any;
    deliver_events(&one, 1);
    assert_int_equal(spn_subscription_next(one.subscription, WAIT_MS, &item), SPN_OK);
    deliver_events(&one, 1);
    deliver_events(&other, 1);
    assert_int_equal(spn_subscription_next(other.subscription, WAIT_MS, &unused), SPN_OK);
    step_until_quiet();
    assert_int_equal(spn_client_step(client), SPN_OK);
    expect_event_item(&item, 1); /* sanitizers look */
    assert_int_equal(spn_next_of_any(client, WAIT_MS, &any, &item), SPN_OK);
    assert_ptr_equal(any, one.subscription);
    expect_event_item(&item, 2);
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
    assert_int_equal(fake.grant_count, before + 2);
    assert_int_equal(fake.grants[before].incarnation, 2);
    assert_int_equal(fake.grants[fake.grant_count - 1].credit, 5 * ITEM);
}

/* -- what must not pass ------------------------------------------------------------------------ */

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
        {.kind = WIRE_EVENTS, .count = 1, .epoch = 1},          /* of another life */
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
        head.epoch += wrong[i].epoch;
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
        wire_put_item(&out, &(struct wire_item){.seq = 1, .data = {"abc", 3}});
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
        expect_nothing(&stream);
        spn_unsubscribe(stream.subscription);
    }
}

/* -- restarts ---------------------------------------------------------------------------------- */

static void restart(void)
{
    fake_stop(&fake);
    while (client->connected)
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
    stream.head.epoch = 0;
    fake_deliver(&fake, &stream.head, 0, 0);
    step_until_quiet();
    expect_nothing(&stream);
    restart();
    step_until(&fake.subscribes, 2);
    assert_int_equal(fake.subscribe.start, WIRE_EARLIEST);
    assert_int_equal(fake.subscribe.otherwise, WIRE_WAIT);
    stream.head.incarnation = 2;
    stream.head.epoch = EPOCH;
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

/* Silence for a second: the lease is renewed, and the sidecar can say that it knows nothing. */
static void beats_when_nothing_happens(void **state)
{
    (void)state;
    struct stream stream = begin(500);
    struct pollfd fd = {.fd = spn_client_fd(client), .events = POLLIN};
    uint64_t give_up_ns = client_monotonic_ns() + 4000 * NS_PER_MS;
    unsigned steps = 0;
    while (fake.grant_count == 0) { /* an event loop that trusts the descriptor */
        assert_true(client_monotonic_ns() < give_up_ns);
        if (poll(&fd, 1, 10) > 0) {
            assert_int_equal(spn_client_step(client), SPN_OK);
            steps++;
        }
        fake_step(&fake, 0);
    }
    assert_true(fake.credits <= 2); /* the first may have found it active */
    assert_true(steps <= 6);        /* and it slept */
    assert_int_equal(fake.grants[0].subscription, stream.head.subscription);
    assert_int_equal(fake.grants[0].incarnation, 1);
    assert_int_equal(fake.grants[0].credit, 500);
    spn_unsubscribe(stream.subscription);
    step_until(&fake.unsubscribes, 1);
    assert_int_equal(fake.unsubscribe.subscription, stream.head.subscription);
    assert_int_equal(fake.unsubscribe.incarnation, 1);
    assert_int_equal(fake.unsubscribe.credit, 0);
}

/* -- many -------------------------------------------------------------------------------------- */

static void any_takes_turns(void **state)
{
    (void)state;
    struct stream streams[3];
    struct spn_item item;
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
        assert_int_equal(spn_next_of_any(client, 0, &any, &item), SPN_OK);
        uint64_t *count = spn_subscription_context(any);
        expect_event_item(&item, ++*count);
    }
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(given[i], 10);
    for (size_t i = 0; i < 90; i++)
        assert_int_equal(spn_next_of_any(client, 0, &any, &item), SPN_OK);
    assert_int_equal(spn_next_of_any(client, 0, &any, &item), SPN_E_TIMEOUT);
    spn_unsubscribe(streams[1].subscription);
    deliver_end(&streams[0], WIRE_CLOSED);
    deliver_end(&streams[1], WIRE_CLOSED); /* on its way when it was given up */
    deliver_end(&streams[2], WIRE_CLOSED);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(spn_next_of_any(client, WAIT_MS, &any, &item), SPN_OK);
        assert_int_equal(item.kind, SPN_ITEM_END);
        assert_ptr_equal(any, streams[2 * i].subscription);
    }
    assert_int_equal(spn_next_of_any(client, -1, &any, &item), SPN_E_END);
}

static void thousands_on_one_socket(void **state)
{
    (void)state;
    static struct stream streams[MANY];
    struct spn_item item;
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
        assert_int_equal(spn_next_of_any(client, WAIT_MS, &any, &item), SPN_OK);
        struct stream *stream = spn_subscription_context(any);
        assert_int_equal(item.seq, stream - streams);
    }
    assert_int_equal(spn_next_of_any(client, 0, &any, &item), SPN_E_TIMEOUT);
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
    struct spn_item item;
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
        assert_int_equal(spn_subscription_next(stream.subscription, 0, &item), SPN_OK);
        assert_int_equal(item.seq, seq);
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
        TEST(hole_is_filled),
        TEST(hole_between_items_is_filled),
        TEST(cursor_does_not_go_back),
        TEST(several_deliveries_in_one_message),
        TEST(no_truncation_passes),
        TEST(restart_goes_on_after_the_last_event),
        TEST(restart_before_the_verdict_asks_the_same),
        TEST(restart_while_waiting_asks_for_all),
        TEST(ended_one_is_not_subscribed_again),
        TEST(unknown_one_is_subscribed_again),
        TEST(beats_when_nothing_happens),
        TEST(any_takes_turns),
        TEST(thousands_on_one_socket),
        TEST(what_is_not_read_takes_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
