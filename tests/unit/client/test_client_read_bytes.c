/* SPDX-License-Identifier: Apache-2.0 */
/* test_client_read_bytes: the bound in bytes over all subscriptions of a client.
 *
 * A model: random subscriptions with random events, windows, pauses and takes, against a fake
 * sidecar that sends what it has credit for, and an oracle that adds up both sides. The bytes that
 * are granted or unread never exceed the bound, but for one event of each; what paused ones hold
 * never exceeds it by more than what one of them has; the verdict, every event or the gap in its
 * place, and the end come once, in order; nobody starves, whatever quiet and paused subscriptions
 * hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client.h"
#include "fake_sidecar.h"
#include "subscription.h"

enum {
    WAIT_MS = 5000,
    STREAMS_MAX = 48,
    STEPS = 400,
    SEEDS = 12,
    SIZE_MAX_OF_DATA = 3000,
    SEND_MAX = 8, /* events that the sidecar sends at a time */
    DRAIN_ROUNDS = 1000,
};

/* One subscription, from both sides. */
struct stream {
    spn_subscription *subscription; /* NULL: there is none */
    uint64_t number;
    uint32_t incarnation;
    bool wants_verdict; /* it subscribed again */
    bool quiet;         /* nothing is ever published to it */
    bool paused;
    bool has_verdict; /* was given */
    bool has_end;
    bool is_closed;  /* nothing more is published */
    bool sent_end;   /* in this incarnation */
    size_t size;     /* of each event's data; 0: random ones */
    uint64_t credit; /* as the sidecar knows it */
    uint64_t sent;   /* bytes, in this incarnation */
    uint64_t given;  /* the same */
    uint64_t published_seq;
    uint64_t trimmed_seq; /* up to here nothing is retained */
    uint64_t sent_seq;
    uint64_t given_seq;
    uint64_t passed_over; /* events that others were given since it had one to get */
};

static struct fake fake;
static spn_client *client;
static struct stream streams[STREAMS_MAX];
static size_t stream_count;
static uint64_t bound;
static bool is_tight; /* each event fills the bound, or much of it */
static uint64_t random_state;
static uint64_t most_held;
static uint64_t longest_wait;
static size_t dropped; /* times that a paused one had to drop what it had */
static size_t waited;  /* times that one waited for its part of the bound */
static size_t ended;
static size_t gaps;

static uint64_t roll(uint64_t below)
{
    assert_true(below > 0);
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return below > 0 ? random_state % below : 0;
}

/* -- the oracle -------------------------------------------------------------------------------- */

/* Every stream's events have their sizes from their number and seq. */
static size_t data_size(const struct stream *stream, uint64_t seq)
{
    uint64_t mixed = (stream->number + 1) * 0x9e3779b97f4a7c15u + seq * 0xbf58476d1ce4e5b9u;
    mixed ^= mixed >> 29;
    if (stream->size > 0)
        return stream->size;
    return mixed % 8 == 0 ? 24 + mixed / 8 % SIZE_MAX_OF_DATA : 24 + mixed / 8 % 100;
}

static uint64_t item_size(const struct stream *stream, uint64_t seq)
{
    return fake_items_size(1, data_size(stream, seq));
}

/* Granted or unread; of the event that exceeds the credit only what is within it. */
static uint64_t held_by(const struct stream *stream)
{
    return stream->credit > stream->given ? stream->credit - stream->given : 0;
}

static uint64_t held(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < stream_count; i++)
        sum += streams[i].subscription != NULL ? held_by(&streams[i]) : 0;
    return sum;
}

/* Those that hold a single byte, which lets one event through beside the bound. */
static uint64_t single_bytes(void)
{
    uint64_t count = 0;
    for (size_t i = 0; i < stream_count; i++)
        count += streams[i].subscription != NULL && held_by(&streams[i]) == 1 ? 1 : 0;
    return count;
}

static void check_bound(void)
{
    uint64_t now = held();
    if (now > bound + single_bytes())
        fail_msg("%llu bytes are granted or unread, the bound is %llu", (unsigned long long)now,
                 (unsigned long long)bound);
    most_held = now > most_held ? now : most_held;
    for (size_t i = 0; i < stream_count; i++)
        waited += streams[i].subscription != NULL && !streams[i].paused &&
                          streams[i].given == streams[i].sent &&
                          streams[i].credit <= streams[i].sent
                      ? 1
                      : 0;
}

/* -- the sidecar ------------------------------------------------------------------------------- */

static struct stream *stream_of(uint64_t number)
{
    for (size_t i = 0; i < stream_count; i++)
        if (streams[i].number == number && streams[i].subscription != NULL)
            return &streams[i];
    return NULL;
}

static struct stream *subscribing; /* whose SUBSCRIBE is awaited */

/* A paused one that dropped what it had goes on after what the app was given. */
static void note_again(struct stream *stream, const struct wire_subscribe *subscribe)
{
    assert_true(stream->paused);
    assert_int_equal(subscribe->incarnation, stream->incarnation + 1);
    assert_int_equal(subscribe->start, WIRE_AFTER_SEQ);
    assert_int_equal(subscribe->seq, stream->given_seq);
    assert_int_equal(subscribe->credit, 0);
    stream->incarnation = subscribe->incarnation;
    stream->credit = stream->sent = stream->given = 0;
    stream->sent_end = false;
    stream->sent_seq = subscribe->seq;
    stream->wants_verdict = true;
    dropped++;
}

static void note_subscribe(const struct wire_subscribe *subscribe)
{
    struct stream *stream = stream_of(subscribe->subscription);
    if (stream != NULL) {
        note_again(stream, subscribe);
        return;
    }
    assert_non_null(subscribing);
    subscribing->number = subscribe->subscription;
    subscribing->incarnation = 1;
    subscribing->credit = subscribe->credit;
}

static void take_grants(void)
{
    for (size_t i = 0; i < fake.grant_count; i++) {
        struct stream *stream = stream_of(fake.grants[i].subscription);
        if (stream != NULL && fake.grants[i].incarnation == stream->incarnation &&
            fake.grants[i].credit > stream->credit)
            stream->credit = fake.grants[i].credit;
    }
    fake.grant_count = 0;
    check_bound();
}

/* Everything that was said has arrived on both sides. */
static void settle(void)
{
    const struct spn_health *health;
    assert_int_equal(spn_client_step(client), SPN_OK); /* sends what is due, before it asks */
    fake_begin(&fake);
    assert_int_equal(spn_get_health(client, WAIT_MS, &health), SPN_OK);
    fake_end(&fake);
    take_grants();
}

/* A SUBSCRIBE for what arrived and was dropped comes with the second turn. */
static void check_paused(void)
{
    uint64_t paused = 0;
    uint64_t most_of_one = 0;
    settle();
    settle();
    for (size_t i = 0; i < stream_count; i++) {
        bool is_paused = streams[i].subscription != NULL && streams[i].paused;
        uint64_t unread = is_paused ? streams[i].sent - streams[i].given : 0;
        paused += unread;
        most_of_one = unread > most_of_one ? unread : most_of_one;
    }
    assert_true(paused <= bound + most_of_one);
}

static void send_event(struct stream *stream)
{
    uint64_t seq = ++stream->sent_seq;
    stream->sent += item_size(stream, seq);
    fake_deliver(&fake,
                 &(struct wire_deliver){.subscription = stream->number,
                                        .incarnation = stream->incarnation,
                                        .kind = WIRE_EVENTS,
                                        .count = 1,
                                        .seq = seq,
                                        .bytes = stream->sent},
                 seq, data_size(stream, seq));
}

static void send_verdict(struct stream *stream)
{
    stream->wants_verdict = false;
    fake_deliver(&fake,
                 &(struct wire_deliver){.subscription = stream->number,
                                        .incarnation = stream->incarnation,
                                        .kind = WIRE_VERDICT,
                                        .seq = stream->sent_seq},
                 0, 0);
}

static void send_bare(struct stream *stream, struct wire_deliver head)
{
    head.subscription = stream->number;
    head.incarnation = stream->incarnation;
    head.seq = stream->sent_seq;
    head.bytes = stream->sent;
    fake_deliver(&fake, &head, 0, 0);
}

static void send_gap(struct stream *stream)
{
    uint64_t missing = stream->trimmed_seq - stream->sent_seq;
    stream->sent_seq = stream->trimmed_seq;
    send_bare(stream, (struct wire_deliver){.kind = WIRE_GAP, .missing = missing});
}

static void send_end(struct stream *stream)
{
    stream->sent_end = true;
    send_bare(stream, (struct wire_deliver){.kind = WIRE_END, .verdict = WIRE_CLOSED});
}

/* What there is credit for. */
static void serve(struct stream *stream)
{
    if (stream->subscription == NULL)
        return;
    if (stream->wants_verdict)
        send_verdict(stream);
    if (stream->sent_seq < stream->trimmed_seq)
        send_gap(stream);
    for (int i = 0; i < SEND_MAX; i++)
        if (stream->sent_seq < stream->published_seq && stream->sent < stream->credit)
            send_event(stream);
    if (stream->is_closed && stream->sent_seq == stream->published_seq && !stream->sent_end)
        send_end(stream);
}

static void serve_all(void)
{
    for (size_t i = 0; i < stream_count; i++)
        serve(&streams[i]);
    settle();
}

/* -- the app ----------------------------------------------------------------------------------- */

static void open_stream(struct stream *stream)
{
    const struct spn_subscription_options options = {
        .size = sizeof(options), .window_bytes = roll(3) == 0 ? 1 + roll(9000) : 0};
    *stream = (struct stream){.quiet = roll(4) == 0, .size = is_tight ? 500 + roll(2000) : 0};
    subscribing = stream;
    assert_int_equal(spn_subscribe(&stream->subscription, client, spn_text("s"), &options), SPN_OK);
    settle();
    subscribing = NULL;
    spn_subscription_set_context(stream->subscription, stream);
    send_verdict(stream);
}

static void close_stream(struct stream *stream)
{
    spn_unsubscribe(stream->subscription);
    stream->subscription = NULL;
    settle();
}

static void note_turns(const struct stream *given)
{
    for (size_t i = 0; i < stream_count; i++) {
        struct stream *stream = &streams[i];
        bool gets = stream->subscription != NULL && !stream->paused &&
                    stream->given_seq < stream->published_seq && stream != given;
        stream->passed_over = gets ? stream->passed_over + 1 : 0;
        if (stream->passed_over > longest_wait)
            longest_wait = stream->passed_over;
    }
}

static void take_item(struct stream *stream, const struct spn_item *item)
{
    assert_false(stream->paused);
    assert_int_equal(stream->has_verdict, item->kind != SPN_ITEM_VERDICT);
    assert_false(stream->has_end);
    stream->has_verdict = true;
    if (item->kind == SPN_ITEM_GAP) {
        assert_int_equal(item->seq, stream->given_seq + item->missing);
        assert_true(item->seq <= stream->trimmed_seq);
        stream->given_seq = item->seq;
        gaps++;
    } else if (item->kind == SPN_ITEM_END) {
        assert_int_equal(item->why, SPN_E_CLOSED);
        assert_true(stream->is_closed && stream->given_seq == stream->published_seq);
        stream->has_end = true;
        ended++;
    }
    if (item->kind != SPN_ITEM_EVENT)
        return;
    assert_int_equal(item->seq, stream->given_seq + 1);
    stream->given_seq = item->seq;
    assert_int_equal(item->event->data.size, data_size(stream, item->seq));
    stream->given += item_size(stream, item->seq);
    note_turns(stream);
}

/* False: there is nothing to take. */
static bool take_one(void)
{
    spn_subscription *subscription;
    const struct spn_item *item;
    spn_err err = spn_next_of_any(client, 0, &subscription, &item);
    if (err != SPN_OK) {
        assert_true(err == SPN_E_TIMEOUT || err == SPN_E_END);
        return false;
    }
    take_item(spn_subscription_context(subscription), item);
    return true;
}

static void set_paused(struct stream *stream, bool paused)
{
    stream->paused = paused;
    assert_int_equal(spn_subscription_pause(stream->subscription, paused), SPN_OK);
}

static void publish(struct stream *stream)
{
    stream->published_seq += roll(12);
    stream->is_closed = roll(100) == 0;
    uint64_t retained = stream->published_seq - stream->trimmed_seq;
    if (roll(10) == 0)
        stream->trimmed_seq += roll(retained + 1);
}

static void act(void)
{
    struct stream *stream = &streams[roll(stream_count)];
    bool there = stream->subscription != NULL;
    switch (roll(8)) {
    case 0:
        if (!there)
            open_stream(stream);
        else if (roll(4) == 0)
            close_stream(stream);
        break;
    case 1:
        if (there)
            set_paused(stream, roll(is_tight ? 4 : 2) > 0);
        break;
    case 2:
    case 3:
        for (uint64_t left = roll(30); left > 0 && take_one(); left--)
            continue;
        break;
    case 4:
        serve_all();
        break;
    default:
        if (there && !stream->quiet && !stream->is_closed)
            publish(stream);
        break;
    }
    if (roll(4) == 0)
        check_paused();
    else
        settle();
}

/* All of what was published is given to those that are not paused, although the quiet ones keep
 * their credit, and the paused ones what they have. */
static void drain_unpaused(void)
{
    bool all = false;
    longest_wait = 0;
    for (int round = 0; !all && round < DRAIN_ROUNDS; round++) {
        serve_all();
        while (take_one())
            continue;
        settle();
        all = true;
        for (size_t i = 0; i < stream_count; i++)
            all = all && (streams[i].subscription == NULL || streams[i].paused ||
                          (streams[i].given_seq == streams[i].published_seq &&
                           streams[i].has_end == streams[i].is_closed));
    }
    assert_true(all);
}

static void drain(void)
{
    for (size_t i = 0; i < stream_count; i++)
        if (streams[i].subscription != NULL && streams[i].paused)
            set_paused(&streams[i], false);
    drain_unpaused();
}

static void begin(uint64_t seed, uint64_t bytes_max, size_t count)
{
    random_state = seed * 0x9e3779b97f4a7c15u;
    bound = bytes_max;
    stream_count = count;
    memset(streams, 0, sizeof(streams));
    most_held = longest_wait = 0;
    waited = dropped = ended = gaps = 0;
    fake_open(&fake);
    fake.subscribed = note_subscribe;
    const struct spn_client_options options = {
        .size = sizeof(options), .socket_dir = fake.dir, .read_bytes_max = bound};
    fake_begin(&fake);
    assert_int_equal(client_open(&client, &options, WAIT_MS, fake_now, NULL, 0), SPN_OK);
    fake_end(&fake);
}

static void end(void)
{
    spn_client_close(client);
    fake_close(&fake);
}

static void run_model(uint64_t seed)
{
    is_tight = seed > SEEDS / 2;
    begin(seed, SUBSCRIPTIONS_BYTES_LEAST + (is_tight ? 0 : seed * 7919 % 6000),
          2 + seed * 31 % (STREAMS_MAX - 2));
    for (size_t i = 0; i < stream_count; i++)
        open_stream(&streams[i]);
    for (int i = 0; i < STEPS; i++)
        act();
    drain_unpaused();
    drain();
    print_message("seed %llu: %zu subscriptions, a bound of %llu: %llu held at most, %zu waited, "
                  "passed over %llu times at most, %zu dropped\n",
                  (unsigned long long)seed, stream_count, (unsigned long long)bound,
                  (unsigned long long)most_held, waited, (unsigned long long)longest_wait, dropped);
    is_tight = false;
    assert_true(longest_wait <= stream_count + bound / 32);
    end();
}

static void bound_is_kept(void **state)
{
    (void)state;
    size_t waits = 0;
    size_t drops = 0;
    size_t ends = 0;
    size_t all_gaps = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run_model(seed);
        waits += waited;
        drops += dropped;
        ends += ended;
        all_gaps += gaps;
    }
    print_message("%zu times one waited, %zu times one dropped, %zu ends, %zu gaps\n", waits, drops,
                  ends, all_gaps);
    assert_true(waits > 100 && drops > 20 && ends > 3 && all_gaps > 20);
}

/* More of them than the bound has bytes to share out: each gets one event at a time. */
static void too_many_for_the_bound_take_turns(void **state)
{
    (void)state;
    begin(1, SUBSCRIPTIONS_BYTES_LEAST, STREAMS_MAX);
    for (size_t i = 0; i < stream_count; i++) {
        open_stream(&streams[i]);
        streams[i].quiet = i < stream_count / 2;
        streams[i].published_seq = streams[i].quiet ? 0 : 20;
        assert_true(streams[i].credit > 0); /* a quiet one does not take it all */
    }
    drain();
    assert_true(longest_wait <= 2 * stream_count);
    end();
}

/* Unread bytes fill the bound: the others wait until they are read. A paused one's are not read, so
 * the others go on beside the bound, one event each at a time. */
static void others_wait_for_what_is_unread(void **state)
{
    (void)state;
    begin(1, SUBSCRIPTIONS_BYTES_LEAST, 4);
    open_stream(&streams[0]);
    streams[0].size = 2000;
    streams[0].published_seq = 1;
    serve_all();
    for (size_t i = 1; i < stream_count; i++) {
        open_stream(&streams[i]);
        assert_int_equal(streams[i].credit, 0);
    }
    set_paused(&streams[0], true);
    while (take_one()) /* verdicts */
        continue;
    settle();
    for (size_t i = 1; i < stream_count; i++) {
        assert_int_equal(streams[i].credit, 1);
        streams[i].published_seq = 20;
    }
    drain_unpaused();
    for (size_t i = 1; i < stream_count; i++)
        assert_int_equal(streams[i].credit, streams[i].sent + 1);
    set_paused(&streams[0], false);
    while (take_one()) /* its event */
        continue;
    settle();
    for (size_t i = 1; i < stream_count; i++) {
        streams[i].published_seq++;
        serve(&streams[i]);
    }
    drain();
    for (size_t i = 1; i < stream_count; i++)
        assert_true(streams[i].credit > streams[i].sent + 1);
    end();
}

/* What all of them leave unread when they are paused, one after the other, is the bound and one
 * event in all, and what was dropped for that comes again. */
static void pauses_do_not_pile_up(void **state)
{
    (void)state;
    begin(1, SUBSCRIPTIONS_BYTES_LEAST, STREAMS_MAX);
    for (size_t i = 0; i < stream_count; i++) {
        open_stream(&streams[i]);
        streams[i].size = 600;
    }
    settle();
    while (take_one()) /* verdicts */
        continue;
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < stream_count; i++) {
            set_paused(&streams[i], false);
            streams[i].published_seq += 5;
            settle();
            serve_all();
            set_paused(&streams[i], true);
            check_paused();
        }
    for (size_t i = 0; i < stream_count; i++)
        assert_true(streams[i].sent - streams[i].given <= SUBSCRIPTIONS_BYTES_LEAST);
    assert_true(dropped >= stream_count);
    drain();
    end();
}

/* Nor does what was never read: the verdict is kept, since it comes once. */
static void what_was_never_read_does_not_pile_up(void **state)
{
    (void)state;
    begin(1, SUBSCRIPTIONS_BYTES_LEAST, STREAMS_MAX);
    for (size_t i = 0; i < stream_count; i++) {
        open_stream(&streams[i]);
        streams[i].size = 2000;
        streams[i].published_seq = 1;
        streams[i].is_closed = i % 2 == 0;
        serve_all();
        set_paused(&streams[i], true);
        check_paused();
    }
    assert_true(dropped >= stream_count - 2);
    drain();
    for (size_t i = 0; i < stream_count; i++)
        assert_true(streams[i].has_verdict);
    end();
}

static void bounds_of_the_bound(void **state)
{
    (void)state;
    spn_client *none = NULL;
    char detail[256];
    struct spn_client_options options = {
        .size = sizeof(options), .at_once = true, .read_bytes_max = SUBSCRIPTIONS_BYTES_LEAST - 1};
    assert_int_equal(spn_client_open(&none, &options, 0, detail, sizeof(detail)), SPN_E_INVALID);
    assert_non_null(strstr(detail, "read_bytes_max"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_of_the_bound),
        cmocka_unit_test(too_many_for_the_bound_take_turns),
        cmocka_unit_test(others_wait_for_what_is_unread),
        cmocka_unit_test(pauses_do_not_pile_up),
        cmocka_unit_test(what_was_never_read_does_not_pile_up),
        cmocka_unit_test(bound_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
