/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions of the log against a fake sidecar, which delivers what the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client.h"
#include "fake_sidecar.h"
#include "subscription_base.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NS_PER_MS UINT64_C(1000000)
#define TEXT(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

enum { WAIT_MS = 5000, REST_MAX = 4096, WINDOW = 1000 };

static const struct spn_life database = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
static const struct spn_life life = {{'l', 'i', 'f', 'e'}};

static struct fake fake;
static spn_client *client;
static spn_subscription *log_of;
static struct wire_deliver head; /* what was delivered last */

static int setup(void **state)
{
    (void)state;
    fake_open(&fake);
    fake.life = database;
    log_of = NULL;
    const struct spn_client_options options = {.size = sizeof(options), .socket_dir = fake.dir};
    fake_begin(&fake);
    assert_int_equal(client_open(&client, &options, WAIT_MS, fake_now, NULL, 0), SPN_OK);
    fake_end(&fake);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    spn_client_close(client);
    fake_close(&fake);
    return 0;
}

/* Both sides work until there were so many FOLLOWs. */
static void step_until_followed(unsigned count)
{
    uint64_t give_up_ns = client_monotonic_ns() + WAIT_MS * NS_PER_MS;
    while (fake.follows < count) {
        assert_true(client_monotonic_ns() < give_up_ns);
        assert_int_equal(spn_client_step(client), SPN_OK);
        fake_step(&fake, 1);
    }
    head = (struct wire_deliver){.subscription = fake.follow.subscription,
                                 .incarnation = fake.follow.incarnation};
}

static void follow(const struct spn_follow_options *options)
{
    assert_int_equal(spn_follow(&log_of, client, options), SPN_OK);
    step_until_followed(fake.follows + 1);
}

/* -- what the sidecar says --------------------------------------------------------------------- */

static void deliver_verdict(uint64_t position, uint64_t newest)
{
    head.kind = WIRE_VERDICT;
    head.seq = position;
    fake_deliver_standing(&fake, &head,
                          &(struct wire_standing){.life = database, .newest = newest});
}

/* One item, with this many hidden ones before it. */
static void deliver_item(const struct wire_item *item, uint64_t hidden, uint64_t up_to)
{
    uint8_t rest[REST_MAX];
    struct wire_out out = wire_out(rest, sizeof(rest));
    wire_put_item(&out, item);
    assert_false(out.bad);
    head.kind = WIRE_EVENTS;
    head.count = 1;
    head.missing = hidden;
    head.seq = up_to;
    head.bytes += wire_out_size(&out);
    fake_deliver_rest(&fake, &head, rest, wire_out_size(&out));
    head.count = 0;
    head.missing = 0;
}

static struct wire_item item_at(uint64_t position)
{
    return (struct wire_item){.seq = 7,
                              .position = position,
                              .time_ms = 5,
                              .entry = {.kind = WIRE_EVENT,
                                        .flags = WIRE_FLAG_LIFE,
                                        .session = TEXT("chat"),
                                        .life = life,
                                        .retry_ms = WIRE_RETRY_NONE,
                                        .id = TEXT("id"),
                                        .data = TEXT("data")}};
}

static void deliver_event(uint64_t position)
{
    struct wire_item item = item_at(position);
    deliver_item(&item, 0, position);
}

static void deliver_gap(uint64_t first, uint64_t last)
{
    uint8_t rest[WIRE_LOG_GAP_SIZE];
    struct wire_out out = wire_out(rest, sizeof(rest));
    wire_put_log_gap(&out, &(struct wire_log_gap){.first = first, .last = last});
    head.kind = WIRE_GAP;
    head.seq = last;
    head.bytes += WIRE_LOG_GAP_CREDIT;
    fake_deliver_rest(&fake, &head, rest, sizeof(rest));
}

static void deliver_progress(uint64_t position, uint64_t hidden)
{
    head.kind = WIRE_EVENTS;
    head.seq = position;
    head.missing = hidden;
    fake_deliver_rest(&fake, &head, "", 0);
    head.missing = 0;
}

static void deliver_end(uint8_t verdict, uint16_t code, uint64_t missing)
{
    head.kind = WIRE_END;
    head.verdict = verdict;
    head.code = code;
    head.missing = missing;
    fake_deliver_standing(&fake, &head, &(struct wire_standing){.life = database, .newest = 1000});
    head.verdict = 0;
    head.code = 0;
    head.missing = 0;
}

/* -- what the app gets ------------------------------------------------------------------------- */

static const struct spn_item *expect(spn_item_kind kind, uint64_t cursor)
{
    const struct spn_item *item;
    spn_err err = spn_subscription_next(log_of, WAIT_MS, &item);
    assert_int_equal(err, SPN_OK);
    assert_int_equal(item->kind, kind);
    assert_int_equal(item->seq, cursor);
    assert_memory_equal(item->database, database.bytes, sizeof(item->database));
    return item;
}

static void expect_event(uint64_t position)
{
    const struct spn_item *item = expect(SPN_ITEM_EVENT, position);
    assert_int_equal(item->event->position, position);
    assert_int_equal(item->session.size, 4);
    assert_memory_equal(item->session.data, "chat", 4);
}

/* It follows again, after this position. */
static void expect_followed_after(uint64_t position, unsigned times)
{
    uint32_t incarnation = head.incarnation;
    step_until_followed(times);
    assert_int_equal(fake.follow.incarnation, incarnation + 1);
    assert_int_equal(fake.follow.start, WIRE_LOG_AFTER);
    assert_memory_equal(&fake.follow.database, &database, sizeof(database));
    assert_int_equal(fake.follow.position, position);
    head.seq = position;
}

static void begins(uint64_t position, uint64_t newest)
{
    follow(NULL);
    deliver_verdict(position, newest);
    const struct spn_item *verdict = expect(SPN_ITEM_VERDICT, position);
    assert_int_equal(verdict->why, SPN_OK);
    assert_int_equal(verdict->newest, newest);
}

/* -- tests ------------------------------------------------------------------------------------- */

static void asks_as_the_app_does(void **state)
{
    (void)state;
    struct spn_follow_options options = {.size = sizeof(options),
                                         .start = SPN_AFTER_POSITION,
                                         .position = 77,
                                         .prefix = spn_text("chat-"),
                                         .touches = true,
                                         .window_bytes = 5000};
    memcpy(options.database, database.bytes, sizeof(options.database));
    follow(&options);
    assert_int_equal(fake.follow.start, WIRE_LOG_AFTER);
    assert_int_equal(fake.follow.flags, WIRE_FOLLOW_TOUCHES);
    assert_int_equal(fake.follow.position, 77);
    assert_memory_equal(&fake.follow.database, &database, sizeof(database));
    assert_int_equal(fake.follow.credit, 5000);
    assert_string_equal(fake.follow_prefix, "chat-");
    deliver_verdict(77, 77);
    const struct spn_item *verdict = expect(SPN_ITEM_VERDICT, 77);
    assert_int_equal(verdict->start, SPN_AFTER_POSITION);
    assert_int_equal(verdict->after_seq, 77);
    assert_false(wire_has_life(verdict->life));
    expect(SPN_ITEM_CAUGHT_UP, 77);
}

static void begins_where_it_is_told(void **state)
{
    (void)state;
    static const struct {
        spn_start start;
        uint8_t wanted;
    } rows[] = {{SPN_EARLIEST, WIRE_LOG_EARLIEST}, {SPN_NOW, WIRE_LOG_NOW}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct spn_follow_options options = {.size = sizeof(options), .start = rows[i].start};
        follow(&options);
        assert_int_equal(fake.follow.start, rows[i].wanted);
        assert_int_equal(fake.follow.flags, 0);
        assert_string_equal(fake.follow_prefix, "");
    }
}

static void bad_options(void **state)
{
    (void)state;
    const struct {
        struct spn_follow_options options;
        spn_err err;
    } rows[] = {
        {{.size = 0}, SPN_E_INVALID},
        {{.size = 8}, SPN_E_INVALID},
        {{.size = sizeof(rows[0].options), .start = SPN_AFTER_ID}, SPN_E_INVALID},
        {{.size = sizeof(rows[0].options), .start = SPN_AFTER_SEQ}, SPN_E_INVALID},
        {{.size = sizeof(rows[0].options), .start = SPN_AFTER_POSITION}, SPN_E_INVALID},
        {{.size = sizeof(rows[0].options), .prefix = TEXT("a\xC3")}, SPN_E_BAD_PREFIX},
        {{.size = sizeof(rows[0].options), .prefix = {NULL, 3}}, SPN_E_INVALID},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(spn_follow(&log_of, client, &rows[i].options), rows[i].err);
    assert_int_equal(spn_follow(NULL, client, NULL), SPN_E_INVALID);
    assert_int_equal(spn_follow(&log_of, NULL, NULL), SPN_E_INVALID);
    struct spn_subscription_options options = {.size = sizeof(options),
                                               .start = SPN_AFTER_POSITION};
    assert_int_equal(spn_subscribe(&log_of, client, spn_text("s"), &options), SPN_E_INVALID);
    assert_null(log_of);
}

static const struct kind {
    const char *name;
    uint8_t wire;
    spn_item_kind kind;
    uint8_t flags;
} kinds[] = {
    {"open", WIRE_ITEM_OPEN, SPN_ITEM_OPEN, 0},
    {"close", WIRE_CLOSE, SPN_ITEM_CLOSE, WIRE_FLAG_CLOSES},
    {"delete", WIRE_DELETE, SPN_ITEM_DELETE, 0},
    {"expire", WIRE_ITEM_EXPIRE, SPN_ITEM_EXPIRE, 0},
    {"touch", WIRE_TOUCH, SPN_ITEM_TOUCH, 0},
    {"attributes", WIRE_ATTRIBUTES, SPN_ITEM_ATTRIBUTES, 0},
    {"marker", WIRE_MARKER, SPN_ITEM_EVENT, 0},
    {"event that closes", WIRE_EVENT, SPN_ITEM_EVENT, WIRE_FLAG_CLOSES | WIRE_FLAG_NOTE},
};

static void item_of_each_kind(void **state)
{
    (void)state;
    uint64_t position = 3;
    begins(2, 1000);
    for (size_t i = 0; i < COUNT(kinds); i++, position += 2) {
        uint8_t attributes[WIRE_ATTRIBUTES_MAX];
        struct wire_out out = wire_out(attributes, sizeof(attributes));
        struct wire_item wire = item_at(position);
        wire_put_attributes(&out, &(struct wire_attributes){.ttl_ms = 9,
                                                            .idle_close_ms = 10,
                                                            .content_type = TEXT("text"),
                                                            .note = TEXT("own")});
        wire.entry.kind = kinds[i].wire;
        wire.entry.flags |= kinds[i].flags;
        wire.entry.reason = (struct spn_bytes)TEXT("error");
        wire.entry.note = (struct spn_bytes)TEXT("note");
        if (kinds[i].kind != SPN_ITEM_EVENT)
            wire.entry.id = wire.entry.data = (struct spn_bytes){NULL, 0};
        if (kinds[i].wire == WIRE_MARKER)
            wire.entry.data.size = 0;
        if (kinds[i].wire == WIRE_ATTRIBUTES)
            wire.entry.data = (struct spn_bytes){attributes, wire_out_size(&out)};
        deliver_item(&wire, i, position);
        const struct spn_item *item = expect(kinds[i].kind, position);
        assert_int_equal(item->missing, i);
        assert_int_equal(item->event->seq, 7);
        assert_int_equal(item->event->position, position);
        assert_int_equal(item->event->time_ms, 5);
        assert_memory_equal(&item->life, &life, sizeof(life));
        assert_memory_equal(&item->event->life, &life, sizeof(life));
        assert_int_equal(item->reason.size, kinds[i].kind == SPN_ITEM_CLOSE ? 5 : 0);
        assert_int_equal(item->attributes != NULL, kinds[i].wire == WIRE_ATTRIBUTES);
        if (item->attributes) {
            assert_int_equal(item->attributes->ttl_ms, 9);
            assert_int_equal(item->attributes->idle_close_ms, 10);
            assert_int_equal(item->attributes->content_type.size, 4);
            assert_memory_equal(item->attributes->note.data, "own", 3);
        }
        if (kinds[i].wire == WIRE_MARKER)
            assert_int_equal(item->event->kind, SPN_MARKER);
        if ((kinds[i].flags & WIRE_FLAG_NOTE) != 0) {
            assert_memory_equal(item->event->note.data, "note", 4);
            assert_true(item->event->closes);
            assert_memory_equal(item->event->reason.data, "error", 5);
        }
    }
}

/* What is hidden, or not for this subscription, moves the cursor of the next item. */
static void passes_what_is_not_for_it(void **state)
{
    (void)state;
    const struct spn_item *item;
    begins(0, 20);
    deliver_progress(9, 4);
    deliver_gap(12, 15);
    item = expect(SPN_ITEM_GAP, 15);
    assert_int_equal(item->first, 12);
    assert_int_equal(item->last, 15);
    assert_int_equal(item->missing, 4);
    fake_pack();
    deliver_event(17);
    deliver_progress(18, 1);
    fake_send_pack(&fake);
    expect_event(17);
    deliver_progress(20, 2);
    item = expect(SPN_ITEM_CAUGHT_UP, 20);
    assert_int_equal(item->missing, 3);
    deliver_progress(25, 0);
    deliver_event(30);
    expect_event(30);
    assert_int_equal(spn_subscription_next(log_of, 0, &item), SPN_E_TIMEOUT);
}

/* Progress behind what was not read yet does not overtake it. */
static void progress_waits_its_turn(void **state)
{
    (void)state;
    const struct spn_item *item;
    follow(NULL);
    deliver_verdict(5, 12);
    fake_pack();
    deliver_event(8);
    deliver_progress(12, 2);
    fake_send_pack(&fake);
    expect(SPN_ITEM_VERDICT, 5);
    expect_event(8);
    item = expect(SPN_ITEM_CAUGHT_UP, 12);
    assert_int_equal(item->missing, 2);
}

/* Progress alone wakes an app that waits for any of its subscriptions. */
static void progress_is_news(void **state)
{
    (void)state;
    spn_subscription *from;
    const struct spn_item *item;
    begins(0, 12);
    deliver_event(8);
    assert_int_equal(spn_next_of_any(client, WAIT_MS, &from, &item), SPN_OK);
    assert_int_equal(item->kind, SPN_ITEM_EVENT);
    deliver_progress(12, 0); /* while the event is lent */
    assert_int_equal(spn_next_of_any(client, WAIT_MS, &from, &item), SPN_OK);
    assert_int_equal(item->kind, SPN_ITEM_CAUGHT_UP);
    assert_int_equal(item->seq, 12);
}

static void progress_alone_is_news(void **state)
{
    (void)state;
    spn_subscription *from;
    const struct spn_item *item;
    begins(0, 12);
    assert_int_equal(spn_next_of_any(client, 0, &from, &item), SPN_E_TIMEOUT);
    deliver_progress(12, 0);
    assert_int_equal(spn_next_of_any(client, WAIT_MS, &from, &item), SPN_OK);
    assert_int_equal(item->kind, SPN_ITEM_CAUGHT_UP);
}

static void subscribe_to_a_session(void)
{
    assert_int_equal(spn_subscribe(&log_of, client, spn_text("s"), NULL), SPN_OK);
    while (fake.subscribes == 0) {
        assert_int_equal(spn_client_step(client), SPN_OK);
        fake_step(&fake, 1);
    }
    head = (struct wire_deliver){.subscription = fake.subscribe.subscription,
                                 .incarnation = fake.subscribe.incarnation};
}

/* A gap of the log is none of a session. */
static void a_session_has_other_gaps(void **state)
{
    (void)state;
    const struct spn_item *item;
    subscribe_to_a_session();
    deliver_verdict(3, 1000);
    assert_int_equal(spn_subscription_next(log_of, WAIT_MS, &item), SPN_OK);
    head.missing = 2;
    deliver_gap(4, 5);
    fake_pass(SUBSCRIPTION_PAUSE_NS);
    assert_int_equal(spn_subscription_next(log_of, 50, &item), SPN_E_TIMEOUT);
}

static void step_until_quiet(void)
{
    const struct spn_health *health;
    assert_int_equal(spn_client_step(client), SPN_OK);
    fake_begin(&fake);
    assert_int_equal(spn_get_health(client, WAIT_MS, &health), SPN_OK);
    fake_end(&fake);
}

/* Two items, with this many hidden ones before the first. */
static void deliver_two(uint64_t first, uint64_t second, uint64_t hidden)
{
    uint8_t rest[REST_MAX];
    struct wire_out out = wire_out(rest, sizeof(rest));
    const struct wire_item items[] = {item_at(first), item_at(second)};
    wire_put_item(&out, &items[0]);
    wire_put_item(&out, &items[1]);
    assert_false(out.bad);
    head.kind = WIRE_EVENTS;
    head.count = 2;
    head.missing = hidden;
    head.seq = second;
    head.bytes += wire_out_size(&out);
    fake_deliver_rest(&fake, &head, rest, wire_out_size(&out));
    head.count = 0;
    head.missing = 0;
}

/* What others have leaves no room for a paused one: what it has is dropped, and requested again
 * after what was given. But not if that were to report hidden entries twice. */
static void paused_one_is_followed_again(void **state)
{
    (void)state;
    static const uint64_t hidden[] = {6, 0};
    begins(0, 1000);
    deliver_event(1);
    step_until_quiet();
    assert_int_equal(spn_subscription_pause(log_of, true), SPN_OK);
    for (size_t i = 0; i < COUNT(hidden); i++) {
        begins(0, 1000);
        deliver_two(10, 20, hidden[i]);
        assert_int_equal(expect(SPN_ITEM_EVENT, 10)->missing, hidden[i]);
        unsigned follows = fake.follows;
        size_t bound = client->read_bytes_max;
        client->read_bytes_max = 1;
        assert_int_equal(spn_subscription_pause(log_of, true), SPN_OK);
        client->read_bytes_max = bound;
        step_until_quiet();
        assert_int_equal(fake.follows - follows, hidden[i] == 0);
        assert_int_equal(spn_subscription_pause(log_of, false), SPN_OK);
        if (hidden[i] == 0) {
            expect_followed_after(10, follows + 1);
            deliver_verdict(10, 1000);
            deliver_two(15, 20, 3);
            assert_int_equal(expect(SPN_ITEM_EVENT, 15)->missing, 3);
        }
        assert_int_equal(expect(SPN_ITEM_EVENT, 20)->missing, 0);
    }
}

static void goes_on_after_a_restart(void **state)
{
    (void)state;
    unsigned follows = fake.follows + 1;
    begins(0, 5);
    deliver_event(3);
    deliver_progress(9, 0);
    expect_event(3);
    expect(SPN_ITEM_CAUGHT_UP, 9);
    fake_stop(&fake);
    fake_start(&fake);
    expect_followed_after(9, follows + 1);
    fake_pack();
    deliver_verdict(9, 40);
    deliver_event(11);
    deliver_event(13);
    fake_send_pack(&fake);
    expect_event(11); /* without another verdict, and without catching up again */
    fake_stop(&fake);
    fake_start(&fake);
    expect_followed_after(13, follows + 2); /* which the app has not read yet */
    deliver_end(WIRE_REFUSED_VERDICT, SPN_E_BAD_POSITION, 0);
    expect_event(13);
    assert_int_equal(expect(SPN_ITEM_END, 13)->why, SPN_E_BAD_POSITION);
}

static const struct end {
    uint8_t verdict;
    uint16_t code;
    spn_err why;
} ends[] = {
    {WIRE_REFUSED_VERDICT, SPN_E_BAD_POSITION, SPN_E_BAD_POSITION},
    {WIRE_REFUSED_VERDICT, SPN_E_BAD_PREFIX, SPN_E_BAD_PREFIX},
    {WIRE_REFUSED_VERDICT, SPN_E_LIMIT, SPN_E_LIMIT},
    {WIRE_DAMAGED, 0, SPN_E_CORRUPT},
    {WIRE_FAILED, 0, SPN_E_IO},
};

static void ends_for_an_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ends); i++) {
        begins(4, 1000);
        deliver_end(ends[i].verdict, ends[i].code, 6);
        const struct spn_item *item = expect(SPN_ITEM_END, 4);
        assert_int_equal(item->why, ends[i].why);
        assert_int_equal(item->missing, 6);
        assert_int_equal(item->newest, 1000);
        assert_int_equal(spn_subscription_next(log_of, 0, &item), SPN_E_END);
        spn_unsubscribe(log_of);
    }
}

/* Deliveries that do not go on where the last one ended never reach the app. */
static void send_event_below(void)
{
    deliver_event(10);
}

static void send_event_beyond_its_head(void)
{
    struct wire_item item = item_at(20);
    deliver_item(&item, 0, 19);
}

/* These items, up to this position. */
static void deliver_items(const struct wire_out *items, uint32_t count, uint64_t up_to)
{
    head.kind = WIRE_EVENTS;
    head.count = count;
    head.seq = up_to;
    head.bytes += wire_out_size(items);
    fake_deliver_rest(&fake, &head, items->start, wire_out_size(items));
    head.count = 0;
}

static void send_event_twice(void)
{
    uint8_t rest[REST_MAX];
    struct wire_out out = wire_out(rest, sizeof(rest));
    struct wire_item item = item_at(19);
    wire_put_item(&out, &item);
    wire_put_item(&out, &item);
    deliver_items(&out, 2, 20);
}

static void send_event_without_session(void)
{
    struct wire_item item = item_at(20);
    item.entry.session.size = 0;
    deliver_item(&item, 0, 20);
}

static void send_gap_below(void)
{
    deliver_gap(10, 12);
}

static void send_half_a_gap(void)
{
    head.kind = WIRE_GAP;
    head.seq = 20;
    head.missing = 10;
    fake_deliver_rest(&fake, &head, "", 0);
}

static void send_other_bytes(void)
{
    head.bytes++;
    deliver_event(20);
}

static void send_progress_back(void)
{
    deliver_progress(9, 0);
}

static void send_bad_attributes(void)
{
    struct wire_item item = item_at(20);
    item.entry.kind = WIRE_ATTRIBUTES;
    item.entry.id.size = 0;
    deliver_item(&item, 0, 20);
}

static const struct lie {
    const char *name;
    void (*send)(void);
} lies[] = {
    {"an event below the cursor", send_event_below},
    {"an event beyond its head", send_event_beyond_its_head},
    {"a gap below the cursor", send_gap_below},
    {"a gap as of a session", send_half_a_gap},
    {"other bytes", send_other_bytes},
    {"progress that goes back", send_progress_back},
};

static void send_unknown_kind(void)
{
    uint8_t rest[REST_MAX];
    struct wire_out out = wire_out(rest, sizeof(rest));
    struct wire_item item = item_at(20);
    wire_put_item(&out, &item);
    rest[WIRE_ITEM_HEAD_SIZE - WIRE_ENTRY_HEAD_SIZE] = WIRE_ITEM_EXPIRE + 1;
    deliver_items(&out, 1, 20);
}

static void send_beyond_credit(void)
{
    uint8_t rest[REST_MAX];
    struct wire_out out = wire_out(rest, sizeof(rest));
    uint32_t count = 0;
    while (wire_out_size(&out) < 2 * WINDOW) {
        struct wire_item item = item_at(20 + count++);
        wire_put_item(&out, &item);
    }
    deliver_items(&out, count, 19 + count);
}

static void send_gaps_beyond_credit(void)
{
    for (uint64_t at = 20; at < 200; at += 2)
        deliver_gap(at, at);
}

/* What a sidecar would send again ends the subscription, with all that came before. */
static const struct lie final_lies[] = {
    {"an event without a session", send_event_without_session},
    {"attributes that do not read", send_bad_attributes},
    {"an item of an unknown kind", send_unknown_kind},
    {"more events than were granted", send_beyond_credit},
    {"more gaps than were granted", send_gaps_beyond_credit},
};

static void ends_it(void **state)
{
    const struct lie *lie = *state;
    const struct spn_item *item;
    follow(&(struct spn_follow_options){.size = sizeof(struct spn_follow_options),
                                        .window_bytes = WINDOW});
    deliver_verdict(4, 1000);
    expect(SPN_ITEM_VERDICT, 4);
    deliver_event(10);
    expect_event(10);
    unsigned follows = fake.follows;
    lie->send();
    size_t gaps = 0;
    do
        assert_int_equal(spn_subscription_next(log_of, WAIT_MS, &item), SPN_OK);
    while (item->kind == SPN_ITEM_GAP && gaps++ < WINDOW / WIRE_LOG_GAP_CREDIT + 2);
    assert_int_equal(item->kind, SPN_ITEM_END);
    assert_int_equal(item->why, SPN_E_PROTOCOL);
    assert_int_equal(item->seq, gaps > 0 ? 18 + 2 * gaps : 10);
    assert_int_equal(spn_subscription_next(log_of, 0, &item), SPN_E_END);
    fake_pass(10 * SUBSCRIPTION_PAUSE_MAX_NS);
    while (fake.unsubscribes == 0) {
        assert_int_equal(spn_client_step(client), SPN_OK);
        fake_step(&fake, 1);
    }
    assert_int_equal(fake.follows, follows);
    assert_int_equal(fake.unsubscribe.subscription, head.subscription);
}

static void follows_again(void **state)
{
    const struct lie *lie = *state;
    const struct spn_item *item;
    unsigned follows = fake.follows + 1;
    begins(4, 1000);
    deliver_event(10);
    expect_event(10);
    lie->send();
    fake_pass(SUBSCRIPTION_PAUSE_NS);
    for (int i = 0; i < 3; i++) { /* a frame is opened when the app reads it */
        assert_int_equal(spn_subscription_next(log_of, 20, &item), SPN_E_TIMEOUT);
        fake_pass(SUBSCRIPTION_PAUSE_NS);
    }
    expect_followed_after(10, follows + 1);
    deliver_verdict(10, 1000);
    deliver_event(21);
    expect_event(21);
}

/* An item whose extra bytes end with more than is known here. */
static void deliver_longer_item(const struct wire_item *item, size_t more, uint64_t up_to)
{
    uint8_t rest[REST_MAX];
    struct wire_out out = wire_out(rest, sizeof(rest));
    wire_put_item(&out, item);
    uint8_t *data = out.at - item->entry.data.size;
    uint8_t *extra_size = rest + WIRE_ITEM_HEAD_SIZE - WIRE_ENTRY_HEAD_SIZE + 6;
    memmove(data + more, data, item->entry.data.size);
    memset(data, 0xEE, more);
    size_t extra = extra_size[0] + more; /* both are small */
    extra_size[0] = (uint8_t)(extra & 0xFF);
    extra_size[1] = (uint8_t)(extra >> 8);
    head.kind = WIRE_EVENTS;
    head.count = 1;
    head.seq = up_to;
    head.bytes += wire_out_size(&out) + more;
    fake_deliver_rest(&fake, &head, rest, wire_out_size(&out) + more);
    head.count = 0;
}

/* A later sidecar may have more in the extra bytes of an item. What the app has read is granted
 * again all the same. */
static void read_longer_items(bool of_session)
{
    enum { MORE = 300, EVENTS = 20 };
    const struct spn_item *given;
    if (of_session)
        subscribe_to_a_session();
    else
        follow(NULL);
    deliver_verdict(0, EVENTS);
    assert_int_equal(spn_subscription_next(log_of, WAIT_MS, &given), SPN_OK);
    for (uint64_t at = 1; at <= EVENTS; at++) {
        struct wire_item item = item_at(at);
        item.seq = at;
        if (of_session)
            item.entry.session.size = 0;
        deliver_longer_item(&item, MORE, at);
        assert_int_equal(spn_subscription_next(log_of, WAIT_MS, &given), SPN_OK);
        assert_int_equal(given->kind, SPN_ITEM_EVENT);
        assert_int_equal(given->seq, at);
    }
    assert_int_equal(log_of->bytes, head.bytes);
    assert_int_equal(log_of->unread, 0);
}

static void extra_bytes_that_are_not_known(void **state)
{
    (void)state;
    read_longer_items(false);
}

static void the_same_of_a_session(void **state)
{
    (void)state;
    read_longer_items(true);
}

/* Whatever the head of an end says. */
static void nothing_after_an_end(void **state)
{
    (void)state;
    const struct spn_item *item;
    begins(0, 10);
    deliver_event(1);
    head.seq = 500;
    deliver_end(WIRE_DAMAGED, 0, 1);
    expect_event(1);
    expect(SPN_ITEM_END, 1);
    assert_int_equal(spn_subscription_next(log_of, 0, &item), SPN_E_END);
}

/* The first of two is given, and the second is not the next. */
static void an_event_twice(void **state)
{
    (void)state;
    const struct spn_item *item;
    unsigned follows = fake.follows + 1;
    begins(4, 1000);
    send_event_twice();
    expect_event(19);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(spn_subscription_next(log_of, 20, &item), SPN_E_TIMEOUT);
        fake_pass(SUBSCRIPTION_PAUSE_NS);
    }
    expect_followed_after(19, follows + 1);
}

/* They are counted in what may be unread, and granted again once they were read. */
static void gaps_are_granted_again(void **state)
{
    (void)state;
    enum { GAPS = WINDOW / WIRE_LOG_GAP_CREDIT + 1 };
    follow(&(struct spn_follow_options){.size = sizeof(struct spn_follow_options),
                                        .window_bytes = WINDOW});
    deliver_verdict(0, 1000);
    expect(SPN_ITEM_VERDICT, 0);
    assert_int_equal(fake.follow.credit, WINDOW);
    for (uint64_t at = 2; at <= 2 * GAPS; at += 2)
        deliver_gap(at, at);
    for (uint64_t at = 2; at <= 2 * GAPS; at += 2) {
        const struct spn_item *item = expect(SPN_ITEM_GAP, at);
        assert_int_equal(item->first, at);
        assert_int_equal(item->last, at);
    }
    assert_int_equal(log_of->bytes, GAPS * WIRE_LOG_GAP_CREDIT);
    assert_int_equal(log_of->unread, 0);
    while (fake.grant_count == 0) {
        assert_int_equal(spn_client_step(client), SPN_OK);
        fake_step(&fake, 1);
    }
    assert_true(fake.grants[fake.grant_count - 1].credit > GAPS * WIRE_LOG_GAP_CREDIT);
}

/* Progress that goes back. Returns how long it rests before it follows again, which it then does.
 */
static uint64_t rest_after_a_lie(void)
{
    deliver_progress(3, 0);
    while (!log_of->subscribe)
        assert_int_equal(spn_client_step(client), SPN_OK);
    uint64_t pause_ns = log_of->again_ns - log_of->subscribed_ns;
    fake_pass(pause_ns);
    step_until_followed(fake.follows + 1);
    return pause_ns;
}

/* A sidecar whose deliveries never fit is not asked ten times a second. */
static void pauses_longer_and_longer(void **state)
{
    (void)state;
    static const uint64_t pauses_ms[] = {100, 200, 400, 800, 1600, 3200, 6400, 6400};
    begins(4, 1000);
    for (size_t i = 0; i < COUNT(pauses_ms); i++) {
        assert_int_equal(rest_after_a_lie(), pauses_ms[i] * NS_PER_MS);
        deliver_verdict(4, 1000);
    }
    deliver_event(20); /* it begins anew once something was given */
    expect_event(20);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(rest_after_a_lie(), pauses_ms[i] * NS_PER_MS);
        deliver_verdict(20, 1000);
    }
}

int main(void)
{
    enum { LIES = COUNT(lies), FINAL = COUNT(final_lies), OTHERS = 17 };
    struct CMUnitTest tests[LIES + FINAL + OTHERS] = {
        cmocka_unit_test_setup_teardown(asks_as_the_app_does, setup, teardown),
        cmocka_unit_test_setup_teardown(begins_where_it_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_options, setup, teardown),
        cmocka_unit_test_setup_teardown(item_of_each_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(passes_what_is_not_for_it, setup, teardown),
        cmocka_unit_test_setup_teardown(progress_waits_its_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(extra_bytes_that_are_not_known, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_of_a_session, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_after_an_end, setup, teardown),
        cmocka_unit_test_setup_teardown(an_event_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(gaps_are_granted_again, setup, teardown),
        cmocka_unit_test_setup_teardown(pauses_longer_and_longer, setup, teardown),
        cmocka_unit_test_setup_teardown(progress_is_news, setup, teardown),
        cmocka_unit_test_setup_teardown(progress_alone_is_news, setup, teardown),
        cmocka_unit_test_setup_teardown(a_session_has_other_gaps, setup, teardown),
        cmocka_unit_test_setup_teardown(paused_one_is_followed_again, setup, teardown),
        cmocka_unit_test_setup_teardown(goes_on_after_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(ends_for_an_error, setup, teardown),
    };
    for (size_t i = 0; i < LIES; i++)
        tests[OTHERS + i] =
            (struct CMUnitTest){lies[i].name, follows_again, setup, teardown, (void *)&lies[i]};
    for (size_t i = 0; i < FINAL; i++)
        tests[OTHERS + LIES + i] = (struct CMUnitTest){final_lies[i].name, ends_it, setup, teardown,
                                                       (void *)&final_lies[i]};
    return cmocka_run_group_tests_name("client_follow", tests, NULL, NULL);
}
