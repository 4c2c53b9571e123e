/* SPDX-License-Identifier: Apache-2.0 */
/* A latest-only producer against a fake sidecar that acknowledges when it is told to: what is held
 * back, what replaces it, in which order it goes out, and that nothing waits.
 *
 * In scripts a small letter is an event of the session of that name, a capital a close of it. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client.h"
#include "fake_sidecar.h"
#include "producer.h"
#include "sponson.h"
#include "transport.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NS_PER_MS UINT64_C(1000000)
#define DEADLINE_NS (10000 * NS_PER_MS)

enum { MANY = 1000, TEXT_MAX = 64 };

static struct fake fake;
static spn_client *client;
static spn_producer *producer;
static size_t window_bytes; /* 0: the default */
static uint64_t acked;
static uint64_t results; /* tickets from 1 on whose result was read */

/* -- helpers ----------------------------------------------------------------------------------- */

#define until(condition)                                                                           \
    do {                                                                                           \
        uint64_t give_up_ns = client_monotonic_ns() + DEADLINE_NS;                                 \
        while (!(condition)) {                                                                     \
            if (client_monotonic_ns() > give_up_ns)                                                \
                fail_msg("not in time: %s", #condition);                                           \
            (void)fake_step(&fake, 1);                                                             \
            assert_int_equal(spn_client_step(client), SPN_OK);                                     \
        }                                                                                          \
    } while (0)

static void open_latest(spn_level level, size_t window_events)
{
    const struct spn_client_options where = {.size = sizeof(where), .socket_dir = fake.dir};
    struct spn_producer_options options = spn_producer_defaults();
    options.level = level;
    options.window_events = window_events;
    options.window_bytes = window_bytes;
    options.send_timeout_ms = -1; /* a call that waited would never return */
    options.latest_only = true;
    fake_begin(&fake);
    assert_int_equal(spn_client_open(&client, &where, 5000, NULL, 0), SPN_OK);
    assert_int_equal(spn_producer_open(&producer, client, &options, 5000), SPN_OK);
    fake_end(&fake);
}

static int setup(void **state)
{
    (void)state;
    fake_open(&fake);
    client = NULL;
    producer = NULL;
    acked = results = 0;
    window_bytes = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (producer != NULL)
        (void)spn_producer_close(producer, 0, NULL);
    spn_client_close(client);
    fake_close(&fake);
    return 0;
}

static spn_err publish(const char *session, const char *data, uint64_t *ret_ticket)
{
    struct spn_event event = SPN_EVENT_INIT;
    event.data = spn_text(data);
    return spn_publish(producer, spn_text(session), &event, ret_ticket);
}

static struct spn_counters counters(void)
{
    return *spn_producer_counters(producer);
}

static uint64_t received_up_to(void)
{
    if (fake.batch_count == 0)
        return 0;
    struct wire_batch head = fake.batches[fake.batch_count - 1].head;
    return head.first + head.count - 1;
}

/* One stored result for each ticket, in order. */
static void read_results(void)
{
    const struct spn_ack *ack;
    while (spn_producer_next_ack(producer, 0, &ack) == SPN_OK) {
        assert_int_equal(ack->ticket, ++results);
        assert_int_equal(ack->result, SPN_STORED);
    }
}

/* Acknowledges what has come in since; true: nothing is left. */
static bool ack_all(void)
{
    read_results();
    uint64_t last = received_up_to();
    if (last > acked)
        fake_ack(&fake, acked, last, WIRE_DURABLE, NULL, 0);
    acked = last;
    return counters().unacknowledged == 0;
}

static void expect_results(uint64_t tickets)
{
    const struct spn_ack *ack;
    read_results();
    assert_int_equal(results, tickets);
    assert_int_equal(spn_producer_next_ack(producer, 0, &ack), SPN_E_END);
}

/* -- scripts ----------------------------------------------------------------------------------- */

static const struct row {
    const char *name;
    size_t window; /* events */
    const char *script;
    const char *sent; /* letter and place in the script of each, in the order of numbers */
    size_t pending;   /* before the first acknowledgement */
    size_t replaced;
} rows[] = {
    {"room for all: nothing is held", 3, "aaa", "a1a2a3", 0, 0},
    {"one more than there is room for", 3, "aaaa", "a1a2a3a4", 1, 0},
    {"the newest takes the place of the one before", 1, "aaa", "a1a3", 1, 1},
    {"of many the newest", 1, "aaaaaaaa", "a1a8", 1, 6},
    {"each session has one", 1, "abcabcabc", "a1b8c9a7", 3, 5},
    {"the one that waited longest goes first", 1, "abcccb", "a1b6c5", 2, 3},
    {"one that changes keeps its place", 1, "abcbbb", "a1b6c3", 2, 3},
    {"what is in the window is not replaced", 2, "aab", "a1a2b3", 1, 0},
    {"a window of two", 2, "abaabb", "a1b2a4b6", 2, 2},
    {"a close goes behind the pending event", 1, "aaaA", "a1a3A4", 2, 1},
    {"a close replaces nothing", 1, "abA", "a1b2A3", 2, 0},
    {"a close is not replaced", 1, "abAa", "a1b2A3a4", 3, 0},
    {"behind a close only the newest", 1, "aaAaaa", "a1a2A3a6", 3, 2},
    {"two closes both go", 1, "aAA", "a1A2A3", 2, 0},
    {"a close of another session is in nobody's way", 1, "aaBa", "a1a4B3", 2, 1},
};

static void publish_script(const struct row *row)
{
    for (size_t i = 0; row->script[i] != '\0'; i++) {
        const char session[] = {(char)tolower((unsigned char)row->script[i]), '\0'};
        const char data[] = {(char)('1' + i), '\0'};
        uint64_t ticket = 77;
        if (islower((unsigned char)row->script[i]))
            assert_int_equal(publish(session, data, &ticket), SPN_OK);
        else /* its life says which */
            assert_int_equal(spn_session_close(producer, spn_text(session),
                                               &(struct spn_life){{(unsigned char)('1' + i)}},
                                               &ticket),
                             SPN_OK);
        assert_int_equal(ticket, i < row->window ? i + 1 : 0);
    }
}

/* Numbers are consecutive, and an event that waited has the id of its own number. */
static void read_sent(char *out)
{
    uint64_t number = 1;
    for (size_t i = 0; i < fake.batch_count; i++)
        for (uint32_t j = 0; j < fake.batches[i].head.count; j++, number++) {
            char id[SPN_GIVEN_ID_MAX];
            size_t id_size = spn_given_id(producer, number, id);
            struct wire_entry entry = fake_entry(&fake, i, j);
            assert_int_equal(fake.batches[i].head.first + j, number);
            char session = *(const char *)entry.session.data;
            bool closes = entry.kind == WIRE_CLOSE;
            *out++ = closes ? (char)toupper((unsigned char)session) : session;
            *out++ = closes ? (char)entry.life.bytes[0] : *(const char *)entry.data.data;
            assert_int_equal(entry.id.size, closes ? 0 : id_size);
            if (!closes)
                assert_memory_equal(entry.id.data, id, id_size);
        }
    *out = '\0';
}

static void run_row(void **state)
{
    const struct row *row = *state;
    char sent[TEXT_MAX];
    setup(NULL);
    open_latest(SPN_DURABLE, row->window);
    publish_script(row);
    assert_int_equal(counters().pending, row->pending);
    assert_int_equal(counters().replaced, row->replaced);
    assert_int_equal(counters().taken + row->pending + row->replaced, strlen(row->script));
    until(ack_all());
    read_sent(sent);
    assert_string_equal(sent, row->sent);
    expect_results(strlen(row->sent) / 2);
    assert_int_equal(counters().stored, strlen(row->sent) / 2);
    assert_int_equal(counters().backpressure, 0);
    assert_int_equal(counters().pending, 0);
    teardown(NULL);
}

/* -- what no script says ----------------------------------------------------------------------- */

static void publish_many_numbers(const char *session)
{
    char data[16];
    for (unsigned i = 1; i <= MANY; i++) {
        snprintf(data, sizeof(data), "%u", i);
        assert_int_equal(publish(session, data, NULL), SPN_OK);
    }
}

static void of_a_thousand_one_is_pending(void **state)
{
    (void)state;
    open_latest(SPN_DURABLE, 1);
    publish_many_numbers("s");
    assert_int_equal(counters().pending, 1);
    assert_int_equal(counters().replaced, MANY - 2);
    assert_int_equal(counters().unacknowledged, 2);
    assert_int_equal(publish("t", "behind", NULL), SPN_OK);
    until(ack_all());
    assert_int_equal(received_up_to(), 3);
    struct wire_entry entry = fake_entry(&fake, 1, 0);
    assert_memory_equal(entry.data.data, "1000", 4);
    expect_results(3);
}

/* The window has room again before the app publishes: what is pending goes in front. */
static void pending_goes_before_what_comes_later(void **state)
{
    (void)state;
    open_latest(SPN_DURABLE, 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(publish("s", "x", NULL), SPN_OK);
    until(received_up_to() == 2);
    assert_int_equal(counters().pending, 1);
    uint64_t ticket = 77;
    fake_ack(&fake, 0, 2, WIRE_DURABLE, NULL, 0);
    acked = 2;
    until(counters().pending == 0);
    assert_int_equal(publish("s", "later", &ticket), SPN_OK);
    assert_int_equal(ticket, 4);
    until(ack_all());
    expect_results(4);
}

/* Room for a small event is not room for one that came before it. */
static void small_event_does_not_overtake(void **state)
{
    (void)state;
    uint64_t ticket = 77;
    char large[600];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    window_bytes = 1000;
    open_latest(SPN_DURABLE, 100);
    assert_int_equal(publish("a", large, NULL), SPN_OK);
    assert_int_equal(publish("b", large, NULL), SPN_OK);
    assert_int_equal(publish("c", "small", &ticket), SPN_OK);
    assert_int_equal(ticket, 0);
    assert_int_equal(counters().pending, 2);
    until(ack_all());
    struct wire_entry entry = fake_entry(&fake, 1, 0);
    assert_memory_equal(entry.session.data, "b", 1);
    expect_results(3);
}

static void pending_sessions_are_bounded_and_told(void **state)
{
    (void)state;
    enum { BOUND = 65536 };
    char session[16];
    open_latest(SPN_DURABLE, 4);
    for (unsigned i = 0; i < 4 + BOUND; i++) {
        snprintf(session, sizeof(session), "%u", i);
        assert_int_equal(publish(session, "x", NULL), SPN_OK);
    }
    uint64_t ticket = 77;
    assert_int_equal(publish("one more", "x", &ticket), SPN_E_TOO_MANY);
    assert_non_null(strstr(spn_client_detail(client), "65536"));
    assert_int_equal(spn_session_close(producer, spn_text("7"), 0, &ticket), SPN_E_TOO_MANY);
    assert_int_equal(ticket, 77);
    assert_int_equal(publish("7", "newer", NULL), SPN_OK);
    assert_int_equal(counters().pending, BOUND);
    assert_int_equal(counters().replaced, 1);
}

static void flush_waits_for_what_is_pending(void **state)
{
    (void)state;
    open_latest(SPN_DURABLE, 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(publish("s", "x", NULL), SPN_OK);
    assert_int_equal(spn_producer_flush(producer, 0), SPN_E_TIMEOUT);
    until(received_up_to() == 1);
    read_results();
    fake.acks = true;
    fake_ack(&fake, 0, 1, WIRE_DURABLE, NULL, 0);
    fake_begin(&fake);
    assert_int_equal(spn_producer_flush(producer, 5000), SPN_OK);
    fake_end(&fake);
    assert_int_equal(counters().stored, 2);
    assert_int_equal(counters().pending, 0);
}

static void close_counts_what_is_pending(void **state)
{
    (void)state;
    uint64_t left = 0;
    open_latest(SPN_DURABLE, 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(publish("s", "x", NULL), SPN_OK);
    assert_int_equal(spn_producer_close(producer, 0, &left), SPN_E_TIMEOUT);
    producer = NULL;
    assert_int_equal(left, 2);
}

/* A sidecar that is gone is a full window too, also without acknowledgements. */
static void newest_goes_out_when_the_sidecar_is_back(void **state)
{
    (void)state;
    open_latest(SPN_NONE, 1);
    fake_stop(&fake);
    while (client->transport.ingest.connected)
        assert_int_equal(spn_client_step(client), SPN_OK);
    publish_many_numbers("s");
    assert_int_equal(counters().pending, 1);
    fake_start(&fake);
    until(received_up_to() == 2);
    struct wire_entry entry = fake_entry(&fake, fake.batch_count - 1, 0);
    assert_memory_equal(entry.data.data, "1000", 4);
    until(counters().unacknowledged == 0);
}

static void many_at_once(void **state)
{
    (void)state;
    const struct spn_event events[] = {SPN_EVENT_INIT, SPN_EVENT_INIT, SPN_EVENT_INIT};
    size_t taken = 0;
    uint64_t first = 77;
    open_latest(SPN_DURABLE, 4);
    assert_int_equal(spn_publish_many(producer, spn_text("s"), events, 3, &taken, &first), SPN_OK);
    assert_int_equal(taken, 3);
    assert_int_equal(first, 1);
    assert_int_equal(spn_publish_many(producer, spn_text("s"), events, 3, &taken, &first), SPN_OK);
    assert_int_equal(taken, 3);
    assert_int_equal(first, 0); /* some of them were held back */
    assert_int_equal(counters().pending + counters().replaced, 2);
}

/* Sessions of all kinds of names, over and over: each one's newest comes through. */
static void many_sessions_each_have_their_newest(void **state)
{
    (void)state;
    enum { SESSIONS = 300, ROUNDS = 3 };
    char session[16];
    char data[16];
    open_latest(SPN_DURABLE, SESSIONS);
    for (unsigned i = 0; i < SESSIONS; i++)
        assert_int_equal(publish("full", "x", NULL), SPN_OK);
    for (unsigned i = 0; i < SESSIONS * ROUNDS; i++) {
        snprintf(session, sizeof(session), "s%u", i % SESSIONS);
        snprintf(data, sizeof(data), "%u", i);
        assert_int_equal(publish(session, data, NULL), SPN_OK);
    }
    assert_int_equal(counters().pending, SESSIONS);
    until(received_up_to() == SESSIONS);
    fake_drop_batches(&fake);
    fake_ack(&fake, 0, SESSIONS, WIRE_DURABLE, NULL, 0);
    acked = SESSIONS;
    until(received_up_to() == 2 * SESSIONS);
    unsigned at = 0;
    for (size_t i = 0; i < fake.batch_count; i++)
        for (uint32_t j = 0; j < fake.batches[i].head.count; j++, at++) {
            struct wire_entry entry = fake_entry(&fake, i, j);
            int size = snprintf(data, sizeof(data), "%u", SESSIONS * (ROUNDS - 1) + at);
            assert_int_equal(entry.data.size, size);
            assert_memory_equal(entry.data.data, data, (size_t)size);
        }
    until(ack_all());
    assert_int_equal(counters().stored, 2 * SESSIONS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    static const struct CMUnitTest plain[] = {
        TEST(of_a_thousand_one_is_pending),
        TEST(pending_goes_before_what_comes_later),
        TEST(small_event_does_not_overtake),
        TEST(pending_sessions_are_bounded_and_told),
        TEST(flush_waits_for_what_is_pending),
        TEST(close_counts_what_is_pending),
        TEST(newest_goes_out_when_the_sidecar_is_back),
        TEST(many_at_once),
        TEST(many_sessions_each_have_their_newest),
    };
    static struct CMUnitTest tests[COUNT(plain) + COUNT(rows)];
    memcpy(tests, plain, sizeof(plain));
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[COUNT(plain) + i] =
            (struct CMUnitTest){rows[i].name, run_row, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
