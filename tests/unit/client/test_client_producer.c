/* SPDX-License-Identifier: Apache-2.0 */
/* The producer against a fake sidecar: what goes over the wire, and what the app is told.
 *
 * Nothing sleeps to synchronise: `until` steps both ends until a condition holds, or fails. Seconds
 * of silence pass at once, by the client's clock. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_sidecar.h"
#include "producer.h"
#include "sponson.h"
#include "transport.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NS_PER_MS UINT64_C(1000000)
#define DEADLINE_NS (10000 * NS_PER_MS)

static struct fake fake;
static spn_client *client;
static spn_producer *producer;

/* -- helpers ----------------------------------------------------------------------------------- */

static void pump(void)
{
    (void)fake_step(&fake, 1);
    spn_err err = spn_client_step(client);
    assert_true(err == SPN_OK || err == SPN_E_FENCED);
}

#define until(condition)                                                                           \
    do {                                                                                           \
        uint64_t give_up_ns = fake_now() + DEADLINE_NS;                                            \
        while (!(condition)) {                                                                     \
            if (fake_now() > give_up_ns)                                                           \
                fail_msg("not in time: %s", #condition);                                           \
            pump();                                                                                \
        }                                                                                          \
    } while (0)

/* The client alone works until it says that. */
static void until_step(spn_err wanted)
{
    uint64_t give_up_ns = fake_now() + DEADLINE_NS;
    while (spn_client_step(client) != wanted)
        assert_true(fake_now() < give_up_ns);
}

/* So long passes, and both ends have had their turns. */
static void pump_for(uint64_t ns)
{
    fake_pass(ns);
    for (int i = 0; i < 3; i++)
        pump();
}

static void open_client(void)
{
    char detail[256];
    const struct spn_client_options options = {.size = sizeof(options), .socket_dir = fake.dir};
    fake_begin(&fake);
    assert_int_equal(client_open(&client, &options, 5000, fake_now, detail, sizeof(detail)),
                     SPN_OK);
    fake_end(&fake);
}

static void open_producer(const struct spn_producer_options *options)
{
    fake_begin(&fake);
    assert_int_equal(spn_producer_open(&producer, client, options, 5000), SPN_OK);
    fake_end(&fake);
}

static void open_both(spn_level level)
{
    struct spn_producer_options options = spn_producer_defaults();
    options.level = level;
    open_client();
    open_producer(&options);
}

static int setup(void **state)
{
    (void)state;
    fake_open(&fake);
    client = NULL;
    producer = NULL;
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

static uint64_t publish_text(const char *text)
{
    struct spn_event event = SPN_EVENT_INIT;
    uint64_t ticket = 0;
    event.data = spn_text(text);
    assert_int_equal(spn_publish(producer, spn_text("s"), &event, &ticket), SPN_OK);
    return ticket;
}

static void publish_numbers(unsigned count)
{
    char text[16];
    for (unsigned i = 0; i < count; i++) {
        snprintf(text, sizeof(text), "%u", i);
        publish_text(text);
    }
}

/* Sends what is gathered, without waiting. */
static void hurry(void)
{
    assert_int_equal(spn_producer_flush(producer, 0), SPN_E_TIMEOUT);
}

static struct wire_batch last_batch(void)
{
    assert_true(fake.batch_count > 0);
    return fake.batches[fake.batch_count - 1].head;
}

static uint64_t received_up_to(void)
{
    uint64_t last = 0;
    for (size_t i = 0; i < fake.batch_count; i++)
        last = fake.batches[i].head.first + fake.batches[i].head.count - 1;
    return last;
}

static void expect_ack(uint64_t ticket, spn_result result, spn_err code)
{
    const struct spn_ack *ack;
    assert_int_equal(spn_producer_next_ack(producer, 0, &ack), SPN_OK);
    assert_int_equal(ack->ticket, ticket);
    assert_int_equal(ack->result, result);
    assert_int_equal(ack->code, code);
}

static uint64_t unacknowledged(void)
{
    return spn_producer_counters(producer)->unacknowledged;
}

/* -- batches and acks -------------------------------------------------------------------------- */

static void lone_event_goes_out_at_once(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    assert_int_equal(publish_text("a"), 1);
    until(fake.batch_count == 1);
    struct wire_batch head = last_batch();
    assert_int_equal(head.token, 7);
    assert_int_equal(head.first, 1);
    assert_int_equal(head.base, 1);
    assert_int_equal(head.count, 1);
    assert_int_equal(head.round, 0);
    assert_int_equal(head.level, WIRE_DURABLE);
    struct wire_entry entry = fake_entry(&fake, 0, 0);
    assert_int_equal(entry.kind, WIRE_EVENT);
    assert_memory_equal(entry.session.data, "s", 1);
    assert_memory_equal(entry.data.data, "a", 1);
    assert_int_equal(entry.retry_ms, WIRE_RETRY_NONE);
    char id[SPN_GIVEN_ID_MAX];
    size_t id_size = spn_given_id(producer, 1, id);
    assert_int_equal(entry.id.size, id_size);
    assert_memory_equal(entry.id.data, id, id_size);
    fake_ack(&fake, 0, 1, WIRE_DURABLE, NULL, 0);
    until(unacknowledged() == 0);
    expect_ack(1, SPN_STORED, SPN_OK);
    const struct spn_ack *ack;
    assert_int_equal(spn_producer_next_ack(producer, 0, &ack), SPN_E_END);
}

static void events_gather_while_an_ack_is_outstanding(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    publish_numbers(101);
    until(fake.batch_count == 1);
    assert_int_equal(last_batch().count, 1);
    fake_ack(&fake, 0, 1, WIRE_DURABLE, NULL, 0);
    until(fake.batch_count == 2);
    assert_int_equal(last_batch().first, 2);
    assert_int_equal(last_batch().count, 100);
    assert_int_equal(last_batch().base, 2);
}

static void full_batch_does_not_wait(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    publish_numbers(1 + DELIVERY_GATHER_EVENTS);
    until(fake.batch_count == 2);
    assert_int_equal(last_batch().count, DELIVERY_GATHER_EVENTS);
}

static void flush_without_time_sends_what_is_gathered(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    publish_numbers(3);
    assert_int_equal(spn_producer_flush(producer, 0), SPN_E_TIMEOUT);
    until(received_up_to() == 3);
    fake_ack(&fake, 0, 3, WIRE_DURABLE, NULL, 0);
    until(unacknowledged() == 0);
    assert_int_equal(spn_producer_flush(producer, 0), SPN_OK);
}

/* -- holes, refusals, restarts ----------------------------------------------------------------- */

/* Ten events sent, the first one acknowledged, and nobody waits for the rest. */
static void send_ten(void)
{
    publish_numbers(10);
    until(fake.batch_count == 1);
    fake_ack(&fake, 0, 1, WIRE_DURABLE, NULL, 0);
    until(received_up_to() == 10);
    fake_drop_batches(&fake);
}

static void hole_is_filled_from_where_it_begins(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    send_ten();
    uint64_t start_ns = fake_now();
    fake_expect(&fake, 4, 0);
    until(received_up_to() == 10);
    assert_true(fake_now() - start_ns < PRODUCER_SILENCE_NS);
    assert_int_equal(fake.batches[0].head.first, 4);
    assert_int_equal(fake.batches[0].head.base, 2);
    assert_int_equal(fake.batches[0].head.round, 1);
    assert_int_equal(spn_producer_counters(producer)->resent, 7);
    struct wire_entry entry = fake_entry(&fake, 0, 0);
    assert_memory_equal(entry.data.data, "3", 1);
}

static void question_of_an_older_round_was_answered(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    send_ten();
    fake_expect(&fake, 4, 0);
    fake_expect(&fake, 2, 0);
    fake_ack(&fake, 1, 2, WIRE_DURABLE, NULL, 0);
    until(unacknowledged() == 8);
    assert_int_equal(producer->delivery.round, 1);
    fake_ack(&fake, 2, 10, WIRE_DURABLE, NULL, 0);
    until(unacknowledged() == 0);
}

static void refused_event_is_not_sent_again(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    publish_numbers(4);
    hurry();
    until(received_up_to() == 4);
    fake_drop_batches(&fake);
    const struct wire_run run = {
        .first = 3, .count = 1, .result = WIRE_REFUSED, .code = SPN_E_CLOSED};
    fake_ack(&fake, 0, 4, WIRE_DURABLE, &run, 1);
    until(unacknowledged() == 0);
    assert_int_equal(fake.batch_count, 0);
    expect_ack(1, SPN_STORED, SPN_OK);
    expect_ack(2, SPN_STORED, SPN_OK);
    expect_ack(3, SPN_REFUSED, SPN_E_CLOSED);
    expect_ack(4, SPN_STORED, SPN_OK);
    assert_int_equal(spn_producer_counters(producer)->refused, 1);
    assert_int_equal(spn_producer_counters(producer)->resent, 0);
    publish_text("next");
    until(received_up_to() == 5);
    assert_int_equal(last_batch().round, 0);
}

/* A sidecar of a later version has reasons that this library does not know. */
static void unknown_reason_is_a_refusal(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    publish_numbers(1);
    until(received_up_to() == 1);
    const struct wire_run run = {
        .first = 1, .count = 1, .result = WIRE_REFUSED, .code = UINT16_MAX};
    fake_ack(&fake, 0, 1, WIRE_DURABLE, &run, 1);
    until(unacknowledged() == 0);
    expect_ack(1, SPN_REFUSED, SPN_E_PROTOCOL);
}

/* The sidecar was killed after it wrote the results and before their acknowledgement arrived. */
static void refusals_outlive_a_restart(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    publish_numbers(6);
    hurry();
    until(received_up_to() == 6);
    fake_drop_batches(&fake);
    fake.token = 8;
    fake.accepted = fake.durable = 4;
    fake.runs[0] =
        (struct wire_run){.first = 1, .count = 2, .result = WIRE_REFUSED, .code = SPN_E_CLOSED};
    fake.runs[1] =
        (struct wire_run){.first = 4, .count = 1, .result = WIRE_REFUSED, .code = SPN_E_OTHER_LIFE};
    fake.run_count = 2;
    fake_error(&fake, 7, SPN_E_STALE_TOKEN, "restarted");
    until(received_up_to() == 6);
    assert_int_equal(fake.batches[0].head.first, 5);
    /* Runs reach below what is known; the first result of a number counts. */
    const struct wire_run again[] = {
        {.first = 1, .count = 2, .result = WIRE_REFUSED, .code = SPN_E_CORRUPT},
        {.first = 4, .count = 2, .result = WIRE_REFUSED, .code = SPN_E_CLOSED}};
    fake_ack(&fake, 0, 6, WIRE_DURABLE, again, 2);
    until(unacknowledged() == 0);
    expect_ack(1, SPN_REFUSED, SPN_E_CLOSED);
    expect_ack(2, SPN_REFUSED, SPN_E_CLOSED);
    expect_ack(3, SPN_STORED, SPN_OK);
    expect_ack(4, SPN_REFUSED, SPN_E_OTHER_LIFE);
    expect_ack(5, SPN_REFUSED, SPN_E_CLOSED);
    expect_ack(6, SPN_STORED, SPN_OK);
    assert_int_equal(spn_producer_counters(producer)->refused, 4);
}

static void restarted_sidecar_gets_the_rest_again(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    publish_numbers(8);
    hurry();
    until(received_up_to() == 8);
    fake_ack(&fake, 0, 2, WIRE_DURABLE, NULL, 0);
    until(unacknowledged() == 6);
    fake_drop_batches(&fake);
    unsigned opens = fake.opens;
    uint64_t start_ns = fake_now();
    fake_error(&fake, fake.token, SPN_E_STALE_TOKEN, "restarted");
    fake.token = 8;
    fake.accepted = fake.durable = 5;
    fake.runs[0] = (struct wire_run){.first = 4, .count = 1, .result = WIRE_DUPLICATE};
    fake.run_count = 1;
    until(received_up_to() == 8);
    assert_true(fake_now() - start_ns < PRODUCER_SILENCE_NS);
    assert_int_equal(fake.opens, opens + 1);
    assert_int_equal(fake.open.token, 7);
    assert_int_equal(fake.open.base, 3);
    assert_int_equal(fake.batches[0].head.token, 8);
    assert_int_equal(fake.batches[0].head.first, 6);
    assert_int_equal(fake.batches[0].head.base, 6);
    assert_int_equal(fake.batches[0].head.round, 1);
    assert_int_equal(unacknowledged(), 3);
    for (uint64_t ticket = 1; ticket <= 5; ticket++)
        expect_ack(ticket, ticket == 4 ? SPN_DUPLICATE : SPN_STORED, SPN_OK);
}

static void nothing_is_sent_while_it_opens_again(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    publish_text("a");
    until(fake.batch_count == 1);
    fake.deaf = true;
    unsigned opens = fake.opens;
    fake_error(&fake, fake.token, SPN_E_STALE_TOKEN, "");
    until(fake.opens == opens + 1);
    publish_numbers(2 * DELIVERY_GATHER_EVENTS);
    assert_int_equal(spn_producer_flush(producer, 0), SPN_E_TIMEOUT);
    fake.deaf = false; /* the first OPEN is lost: it asks again */
    fake_pass(PRODUCER_SILENCE_NS);
    uint64_t due_ns = fake_now();
    until(fake.opens >= opens + 2);
    assert_true(fake_now() - due_ns < PRODUCER_SILENCE_NS);
    assert_int_equal(fake.batch_count, 1);
    until(received_up_to() == 1 + 2 * DELIVERY_GATHER_EVENTS);
}

static void connection_that_comes_back_is_asked_at_once(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    publish_text("a");
    until(fake.batch_count == 1);
    uint64_t start_ns = fake_now();
    fake_stop(&fake);
    while (client->transport.ingest.connected)
        assert_int_equal(spn_client_step(client), SPN_OK);
    fake_start(&fake);
    until(fake.states == 1);
    /* Well before a second of silence, and what was on its way is sent again. */
    assert_true(fake_now() - start_ns < PRODUCER_SILENCE_NS);
    until(fake.batch_count == 2);
    assert_int_equal(last_batch().first, 1);
    assert_int_equal(last_batch().round, 1);
}

static void fenced_producer_stops(void **state)
{
    (void)state;
    struct spn_event event = SPN_EVENT_INIT;
    const struct spn_ack *ack;
    uint64_t left;
    open_both(SPN_DURABLE);
    publish_numbers(3);
    until(fake.batch_count == 1);
    fake_error(&fake, fake.token, SPN_E_FENCED, "somebody else");
    until(spn_client_step(client) == SPN_E_FENCED);
    assert_int_equal(spn_publish(producer, spn_text("s"), &event, NULL), SPN_E_FENCED);
    assert_string_equal(spn_client_detail(client), "sidecar: somebody else");
    assert_int_equal(spn_producer_next_ack(producer, -1, &ack), SPN_E_FENCED);
    assert_int_equal(spn_producer_wait(producer, 1, -1, &ack), SPN_E_FENCED);
    assert_int_equal(spn_producer_flush(producer, -1), SPN_E_FENCED);
    assert_int_equal(spn_producer_close(producer, -1, &left), SPN_E_FENCED);
    assert_int_equal(left, 3);
    producer = NULL;
    assert_int_equal(fake.batch_count, 1);
}

/* What it wanted to send when it failed is not worth waking the app for: it did so for ever. */
static void failed_producer_lets_the_app_sleep(void **state)
{
    (void)state;
    const struct spn_client_options few = {
        .size = sizeof(few), .socket_dir = fake.dir, .send_hwm = 1};
    const struct spn_producer_options options = {.size = sizeof(options), .window_events = 8};
    struct spn_event event = SPN_EVENT_INIT;
    struct pollfd fd = {.events = POLLIN};
    fake_begin(&fake);
    assert_int_equal(client_open(&client, &few, 5000, fake_now, NULL, 0), SPN_OK);
    fake_end(&fake);
    open_producer(&options);
    while (spn_publish(producer, spn_text("s"), &event, NULL) == SPN_OK)
        continue;
    assert_true(producer->blocked);
    fake_error(&fake, fake.token, SPN_E_FENCED, "");
    until_step(SPN_E_FENCED);
    producer->blocked = true; /* also if the socket has taken more before that */
    uint64_t give_up_ns = fake_now() + DEADLINE_NS;
    do {
        assert_true(fake_now() < give_up_ns);
        while (fake_step(&fake, 1))
            fake_drop_batches(&fake);
        assert_int_equal(spn_client_step(client), SPN_E_FENCED);
        fd.fd = spn_client_fd(client);
    } while (client->transport.ingest.port.events == 0 || poll(&fd, 1, 0) != 0);
}

/* Beside a flood of opened producers: it was given up at once. */
static void too_many_openings_pass(void **state)
{
    (void)state;
    open_client();
    fake.read_err = SPN_E_BACKPRESSURE;
    fake.err_count = 2;
    open_producer(NULL);
    assert_int_equal(fake.opens, 3);
}

static void fenced_while_it_opens_again(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    publish_text("a");
    until(fake.batch_count == 1);
    fake.read_err = SPN_E_FENCED;
    fake_error(&fake, fake.token, SPN_E_STALE_TOKEN, "");
    until(spn_client_step(client) == SPN_E_FENCED);
}

static void error_for_another_token_is_not_ours(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    publish_text("a");
    until(fake.batch_count == 1);
    fake_error(&fake, 99, SPN_E_FENCED, "");
    fake_ack(&fake, 0, 1, WIRE_DURABLE, NULL, 0);
    until(unacknowledged() == 0);
    assert_int_equal(spn_client_step(client), SPN_OK);
}

/* -- silence and lost acks --------------------------------------------------------------------- */

static void silence_is_asked_about_and_then_probed(void **state)
{
    (void)state;
    fake.batch_events_max = 100;
    open_both(SPN_DURABLE);
    uint64_t start_ns = fake_now();
    publish_numbers(300);
    hurry();
    until(received_up_to() == 300);
    fake_drop_batches(&fake);
    pump_for(PRODUCER_SILENCE_NS * 9 / 10 - (fake_now() - start_ns));
    assert_int_equal(fake.states, 0);
    fake_pass(PRODUCER_SILENCE_NS / 10);
    until(fake.batch_count == 1);
    assert_true(fake_now() - start_ns >= PRODUCER_SILENCE_NS);
    assert_int_equal(fake.states, 1);
    assert_int_equal(fake.ask.token, 7);
    assert_int_equal(fake.ask.base, 1);
    assert_int_equal(last_batch().first, 1);
    fake_pass(PRODUCER_SILENCE_NS);
    until(fake.states == 2); /* nothing but this batch has come in the meantime */
    assert_int_equal(fake.batch_count, 1);
    assert_int_equal(received_up_to(), 2);
    until(fake.batch_count == 2);
    assert_int_equal(last_batch().first, 1);
    /* These and no others, each time: the rest did get lost. */
    for (uint64_t got = 2, before = 0; got < 300; before = got, got = received_up_to()) {
        fake_ack(&fake, before, got, WIRE_DURABLE, NULL, 0);
        until(received_up_to() > got);
        assert_int_equal(last_batch().first, got + 1);
        assert_true(last_batch().count <= 100);
    }
}

/* Each answer may have a batch sent again: asked without a pause, a sidecar that is slow would be
 * buried in them. */
static void silence_is_asked_about_once_a_second(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    publish_text("x");
    publish_text("y");
    hurry();
    until(received_up_to() == 2);
    fake.accepted = 1; /* and not durable; the other is on its way, for all it knows */
    for (unsigned asked = 1; asked <= 3; asked++) {
        pump_for(PRODUCER_SILENCE_NS * 8 / 10);
        assert_int_equal(fake.states, asked - 1);
        fake_pass(PRODUCER_SILENCE_NS * 2 / 10);
        until(fake.states == asked);
    }
}

/* Or the sidecar would forget it in time. */
static void idle_producer_is_heard_of(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    publish_text("x");
    hurry();
    until(received_up_to() == 1);
    fake_ack(&fake, 0, 1, WIRE_DURABLE, NULL, 0);
    until(unacknowledged() == 0);
    assert_int_equal(fake.states, 0);
    assert_true(producer->beat_ns > fake_now() + PRODUCER_BEAT_NS / 2);
    producer->beat_ns = fake_now(); /* the time has passed */
    until(fake.states == 1);
    until(producer->delivery.need == DELIVERY_NOTHING);
    assert_true(producer->beat_ns > fake_now() + PRODUCER_BEAT_NS / 2);
    assert_int_equal(spn_producer_counters(producer)->resent, 0);
}

static void progress_is_no_silence(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    uint64_t end_ns = fake_now() + PRODUCER_SILENCE_NS * 3 / 2;
    publish_text("x");
    while (fake_now() < end_ns) { /* there is always one in flight */
        fake_pass(PRODUCER_SILENCE_NS / 8);
        uint64_t last = publish_text("x");
        hurry();
        until(received_up_to() == last);
        fake_ack(&fake, last - 2, last - 1, WIRE_DURABLE, NULL, 0);
        until(unacknowledged() == 1);
        fake_drop_batches(&fake);
    }
    assert_int_equal(fake.states, 0);
}

static void slow_sidecar_is_not_sent_everything_again(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    publish_numbers(20);
    hurry();
    until(received_up_to() == 20);
    fake_drop_batches(&fake);
    fake.accepted = 10; /* and 11 ... 20 are on their way, for all it knows */
    fake_pass(PRODUCER_SILENCE_NS);
    until(fake.states == 1);
    fake.accepted = 20;
    fake_pass(PRODUCER_SILENCE_NS);
    until(fake.states == 2);
    fake_ack(&fake, 0, 20, WIRE_DURABLE, NULL, 0);
    until(unacknowledged() == 0);
    assert_int_equal(fake.batch_count, 0);
    assert_int_equal(spn_producer_counters(producer)->resent, 0);
}

static void lost_ack_is_made_up_for_by_the_state(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    publish_numbers(10);
    hurry();
    until(received_up_to() == 10);
    fake.accepted = fake.durable = 8;
    fake.runs[0] = (struct wire_run){.first = 1, .count = 2, .result = WIRE_CONFLICT};
    fake.run_count = 1;
    uint64_t start_ns = fake_now();
    fake_ack(&fake, 6, 8, WIRE_DURABLE, NULL, 0); /* 1 ... 6 were in one that never came */
    until(unacknowledged() == 2);
    assert_int_equal(fake.states, 1);
    assert_true(fake_now() - start_ns < PRODUCER_SILENCE_NS);
    for (uint64_t ticket = 1; ticket <= 8; ticket++)
        expect_ack(ticket, ticket <= 2 ? SPN_CONFLICT : SPN_STORED, SPN_OK);
    fake_ack(&fake, 8, 10, WIRE_DURABLE, NULL, 0);
    until(unacknowledged() == 0);
}

/* The sidecar keeps what runs say until it hears of the base, and takes no more when it has too
 * many of them: who has nothing to send asks for the state, and sends nothing again. */
static void base_was_told_with_the_next_batch_only(void **state)
{
    (void)state;
    enum { STEP = 16, ACKS = DELIVERY_RUNS_UNTOLD_MAX / STEP, ALL = 2 * STEP * ACKS + 100 };
    struct wire_run runs[STEP];
    open_both(SPN_DURABLE);
    publish_numbers(ALL);
    hurry();
    until(fake.batch_count == 1);
    fake_ack(&fake, 0, 1, WIRE_DURABLE, NULL, 0);
    until(received_up_to() == ALL);
    for (uint64_t i = 0, from = 1; i < ACKS; i++, from += 2 * (uint64_t)STEP) {
        assert_int_equal(fake.states, 0);
        for (uint64_t k = 0; k < STEP; k++)
            runs[k] =
                (struct wire_run){.first = from + 1 + 2 * k, .count = 1, .result = WIRE_CONFLICT};
        fake_ack(&fake, from, from + 2 * (uint64_t)STEP, WIRE_DURABLE, runs, STEP);
        until(unacknowledged() == ALL - from - 2 * (uint64_t)STEP);
    }
    fake.accepted = fake.durable = 2 * (uint64_t)STEP * ACKS + 1;
    uint64_t start_ns = fake_now();
    until(fake.states == 1);
    assert_true(fake_now() - start_ns < PRODUCER_SILENCE_NS);
    assert_int_equal(fake.ask.base, fake.durable + 1);
    until(producer->delivery.need == DELIVERY_NOTHING);
    assert_int_equal(spn_producer_counters(producer)->resent, 0);
    assert_int_equal(spn_producer_counters(producer)->conflicts, DELIVERY_RUNS_UNTOLD_MAX);
}

static void acks_that_lie_are_dropped(void **state)
{
    (void)state;
    static const uint8_t garbage[] = "SPN\x02\x00\x02 is no ack";
    const struct wire_run backwards[] = {{.first = 3, .count = 1}, {.first = 1, .count = 1}};
    open_both(SPN_DURABLE);
    publish_numbers(3);
    hurry();
    until(received_up_to() == 3);
    fake_ack(&fake, 0, 4, WIRE_DURABLE, NULL, 0); /* never sent */
    fake_ack(&fake, 0, 3, WIRE_DURABLE, backwards, 2);
    fake_ack(&fake, 0, 3, WIRE_ACCEPTED, NULL, 0); /* not the level asked for */
    fake_send_raw(&fake, garbage, sizeof(garbage));
    fake_send_raw(&fake, "", 1);
    fake_ack(&fake, 0, 1, WIRE_DURABLE, NULL, 0);
    until(unacknowledged() == 2);
    expect_ack(1, SPN_STORED, SPN_OK);
}

/* -- levels ------------------------------------------------------------------------------------ */

static void accepted_events_that_a_restart_loses_are_told(void **state)
{
    (void)state;
    open_both(SPN_ACCEPTED);
    publish_numbers(10);
    hurry();
    until(received_up_to() == 10);
    assert_int_equal(last_batch().level, WIRE_ACCEPTED);
    fake_ack(&fake, 0, 10, WIRE_ACCEPTED, NULL, 0);
    until(unacknowledged() == 0);
    for (uint64_t ticket = 1; ticket <= 7; ticket++)
        expect_ack(ticket, SPN_STORED, SPN_OK);
    publish_text("next");
    until(received_up_to() == 11);
    fake_drop_batches(&fake);
    fake_error(&fake, fake.token, SPN_E_STALE_TOKEN, "");
    fake.accepted = fake.durable = 5;
    until(received_up_to() == 11);
    /* 6 ... 10 are gone: 8, 9, 10 are still told so; for 6 and 7 there is the counter. */
    assert_int_equal(last_batch().first, 11);
    assert_int_equal(last_batch().base, 11);
    struct spn_counters counters = *spn_producer_counters(producer);
    assert_int_equal(counters.lost, 5);
    assert_int_equal(counters.stored, 7);
    for (uint64_t ticket = 8; ticket <= 10; ticket++)
        expect_ack(ticket, SPN_LOST, SPN_E_LOST);

    fake_drop_batches(&fake);
    fake_error(&fake, fake.token, SPN_E_STALE_TOKEN, ""); /* and again: nothing more is lost */
    until(received_up_to() == 11);
    fake_ack(&fake, 10, 11, WIRE_ACCEPTED, NULL, 0);
    until(unacknowledged() == 0);
    assert_int_equal(spn_producer_counters(producer)->lost, 5);
    expect_ack(11, SPN_STORED, SPN_OK);
}

static void idle_client_learns_what_a_restart_lost(void **state)
{
    (void)state;
    open_both(SPN_ACCEPTED);
    publish_numbers(10);
    hurry();
    until(received_up_to() == 10);
    fake.accepted = 10;
    fake.durable = 6;
    fake_ack(&fake, 0, 10, WIRE_ACCEPTED, NULL, 0);
    until(unacknowledged() == 0);
    fake_stop(&fake);
    while (client->transport.ingest.connected)
        assert_int_equal(spn_client_step(client), SPN_OK);
    fake.accepted = 6; /* it knows the token still */
    fake_start(&fake);
    until(spn_producer_counters(producer)->lost == 4);
    for (uint64_t ticket = 1; ticket <= 10; ticket++)
        expect_ack(ticket, ticket <= 6 ? SPN_STORED : SPN_LOST, ticket <= 6 ? SPN_OK : SPN_E_LOST);
}

/* What the app would see if it looked; it does not. */
static bool is_connected(void)
{
    int events = 0;
    size_t size = sizeof(events);
    assert_int_equal(
        zmq_getsockopt(client->transport.ingest.port.socket, ZMQ_EVENTS, &events, &size), 0);
    client->transport.ingest.port.touched = true;
    return (events & ZMQ_POLLOUT) != 0;
}

static void wait_for_connection(bool there)
{
    uint64_t give_up_ns = fake_now() + DEADLINE_NS;
    while (is_connected() != there) {
        assert_true(fake_now() < give_up_ns);
        (void)fake_step(&fake, 1);
    }
}

/* The connection broke and is back before the app looks: it looks as it did before. */
static void loss_between_two_looks_is_told(void **state)
{
    (void)state;
    open_both(SPN_ACCEPTED);
    publish_numbers(10);
    hurry();
    until(received_up_to() == 10);
    fake.accepted = 10;
    fake_ack(&fake, 0, 10, WIRE_ACCEPTED, NULL, 0);
    until(unacknowledged() == 0);
    fake_stop(&fake);
    wait_for_connection(false);
    fake.accepted = fake.durable = 6;
    fake_start(&fake);
    wait_for_connection(true);
    assert_true(client->transport.ingest.connected);
    until(spn_producer_counters(producer)->lost == 4);
    assert_int_equal(fake.states, 1);
}

static void state_that_an_ack_overtook_loses_nothing(void **state)
{
    (void)state;
    open_both(SPN_ACCEPTED);
    publish_numbers(10);
    hurry();
    until(received_up_to() == 10);
    fake.accepted = 4;
    fake_ack(&fake, 2, 4, WIRE_ACCEPTED, NULL, 0); /* an earlier one got lost: it asks */
    until(fake.states == 1);
    fake_ack(&fake, 0, 8, WIRE_ACCEPTED, NULL, 0);
    until(unacknowledged() == 2 && producer->delivery.need == DELIVERY_NOTHING);
    assert_int_equal(spn_producer_counters(producer)->resent, 0);
    fake_ack(&fake, 8, 10, WIRE_ACCEPTED, NULL, 0);
    until(unacknowledged() == 0);
    assert_int_equal(spn_producer_counters(producer)->lost, 0);
    assert_int_equal(spn_producer_counters(producer)->stored, 10);
}

static void level_none_keeps_nothing_and_reports_refusals(void **state)
{
    (void)state;
    const struct spn_ack *ack;
    open_both(SPN_NONE);
    publish_numbers(3);
    assert_int_equal(spn_producer_flush(producer, 1000), SPN_OK);
    assert_int_equal(spn_producer_next_ack(producer, 1000, &ack), SPN_E_END);
    until(received_up_to() == 3);
    assert_int_equal(last_batch().level, WIRE_NONE);
    assert_int_equal(last_batch().base, last_batch().first);
    assert_int_equal(unacknowledged(), 0);
    const struct wire_run run = {
        .first = 2, .count = 1, .result = WIRE_REFUSED, .code = SPN_E_BAD_TYPE};
    fake_ack(&fake, 0, 3, WIRE_NONE, &run, 1);
    until(spn_producer_counters(producer)->refused == 1);
    expect_ack(2, SPN_REFUSED, SPN_E_BAD_TYPE);
    publish_text("after");
    until(received_up_to() == 4);
    assert_int_equal(last_batch().round, 0);
    assert_int_equal(last_batch().base, 4);
}

/* After a restart the sidecar sends refusals again that may have arrived before. */
static void level_none_reports_a_refusal_once(void **state)
{
    (void)state;
    const struct spn_ack *ack;
    open_both(SPN_NONE);
    publish_numbers(5);
    assert_int_equal(spn_producer_flush(producer, 1000), SPN_OK);
    until(received_up_to() == 5);
    const struct wire_run runs[] = {
        {.first = 1, .count = 1, .result = WIRE_DUPLICATE},
        {.first = 2, .count = 1, .result = WIRE_REFUSED, .code = SPN_E_CLOSED},
        {.first = 4, .count = 1, .result = WIRE_REFUSED, .code = SPN_E_OTHER_LIFE}};
    fake_ack(&fake, 0, 3, WIRE_NONE, runs, 2);
    fake_ack(&fake, 0, 5, WIRE_NONE, runs, 3);
    fake_ack(&fake, 1, 5, WIRE_NONE, runs + 1, 2);
    fake_ack(&fake, 5, 9, WIRE_NONE, runs, 1); /* never sent */
    publish_text("last");
    until(received_up_to() == 6);
    const struct wire_run last = {
        .first = 6, .count = 1, .result = WIRE_REFUSED, .code = SPN_E_CLOSED};
    fake_ack(&fake, 5, 6, WIRE_NONE, &last, 1);
    until(spn_producer_counters(producer)->refused == 3);
    expect_ack(2, SPN_REFUSED, SPN_E_CLOSED);
    expect_ack(4, SPN_REFUSED, SPN_E_OTHER_LIFE);
    expect_ack(6, SPN_REFUSED, SPN_E_CLOSED);
    assert_int_equal(spn_producer_next_ack(producer, 0, &ack), SPN_E_END);
    assert_int_equal(spn_producer_counters(producer)->duplicates, 0);
}

/* -- the window -------------------------------------------------------------------------------- */

static void full_window_is_backpressure_after_the_timeout(void **state)
{
    (void)state;
    struct spn_producer_options options = spn_producer_defaults();
    struct spn_event event = SPN_EVENT_INIT;
    uint64_t ticket = 77;
    options.window_events = 10;
    options.send_timeout_ms = 150;
    open_client();
    open_producer(&options);
    publish_numbers(10);
    uint64_t start_ns = fake_now();
    assert_int_equal(spn_publish(producer, spn_text("s"), &event, &ticket), SPN_E_BACKPRESSURE);
    assert_true(fake_now() - start_ns >= 150 * NS_PER_MS);
    assert_int_equal(ticket, 77);
    assert_int_equal(spn_producer_counters(producer)->backpressure, 1);
    assert_int_equal(spn_producer_counters(producer)->taken, 10);
    until(received_up_to() == 10); /* what was gathered went out, without being asked for */
    assert_int_equal(fake.states, 0);
    fake_ack(&fake, 0, 1, WIRE_DURABLE, NULL, 0);
    until(unacknowledged() == 9);
    assert_int_equal(publish_text("room"), 11);
}

static void room_that_comes_in_time_is_taken(void **state)
{
    (void)state;
    struct spn_producer_options options = spn_producer_defaults();
    options.window_events = 2;
    options.send_timeout_ms = 5000;
    open_client();
    open_producer(&options);
    fake.acks = true;
    fake_begin(&fake);
    for (uint64_t ticket = 1; ticket <= 500; ticket++)
        assert_int_equal(publish_text("x"), ticket);
    assert_int_equal(spn_producer_flush(producer, 5000), SPN_OK);
    fake_end(&fake);
    assert_int_equal(spn_producer_counters(producer)->stored, 500);
}

/* A full window tells how many were taken, the sidecar is told how often that was, once, and all
 * that was taken arrives. */
static void full_window_tells_how_many_were_taken(void **state)
{
    (void)state;
    struct spn_producer_options options = spn_producer_defaults();
    struct spn_event events[] = {SPN_EVENT_INIT, SPN_EVENT_INIT, SPN_EVENT_INIT};
    size_t taken = 9;
    uint64_t first = 0;
    options.window_events = 4;
    options.send_timeout_ms = 0;
    open_client();
    open_producer(&options);
    publish_numbers(2);
    assert_int_equal(spn_publish_many(producer, spn_text("s"), events, 3, &taken, &first),
                     SPN_E_BACKPRESSURE);
    assert_int_equal(taken, 2);
    assert_int_equal(first, 3);
    assert_int_equal(spn_publish_many(producer, spn_text("s"), events, 3, &taken, &first),
                     SPN_E_BACKPRESSURE);
    assert_int_equal(taken, 0);
    until(received_up_to() == 4);
    fake_drop_batches(&fake);
    fake_ack(&fake, 0, 4, WIRE_DURABLE, NULL, 0);
    until(unacknowledged() == 0);
    publish_numbers(1);
    until(received_up_to() == 5);
    assert_int_equal(last_batch().backpressure, 2);
    fake_ack(&fake, 4, 5, WIRE_DURABLE, NULL, 0);
    until(unacknowledged() == 0);
    publish_numbers(1);
    until(received_up_to() == 6);
    assert_int_equal(last_batch().backpressure, 0);
    assert_int_equal(spn_producer_counters(producer)->backpressure, 2);
}

static struct wire_entry entry_of(uint64_t number);

/* Events of an app that was built against another header: all that both know is taken, also from an
 * array, whose steps are the app's. */
static const struct size_row {
    const char *name;
    size_t size;     /* of the app's struct */
    uint8_t unknown; /* what is in the last byte of that */
    spn_err err;
} size_rows[] = {
    {"event: of an older header", offsetof(struct spn_event, seq), 0, SPN_OK},
    {"event: of a later header", sizeof(struct spn_event) + 64, 0, SPN_OK},
    {"event: of a later header, with what we do not know", sizeof(struct spn_event) + 64, 1,
     SPN_E_INVALID},
    {"event: too small", offsetof(struct spn_event, retry_ms), 0, SPN_E_INVALID},
    {"event: size not set", 0, 0, SPN_E_INVALID},
};

static void event_of_another_header(void **state)
{
    const struct size_row *row = *state;
    _Alignas(struct spn_event) uint8_t bytes[3 * (sizeof(struct spn_event) + 64)] = {0};
    size_t step = row->size > 0 ? row->size : sizeof(struct spn_event);
    static const char *const ids[] = {"x", "y", "z"};
    for (size_t i = 0; i < 3; i++) {
        struct spn_event event = SPN_EVENT_INIT;
        event.size = row->size;
        event.id = spn_text(ids[i]);
        memcpy(bytes + i * step, &event, step < sizeof(event) ? step : sizeof(event));
        bytes[i * step + step - 1] |= row->unknown;
    }
    size_t taken = 9;
    setup(NULL);
    open_both(SPN_DURABLE);
    const struct spn_event *events = (const struct spn_event *)(const void *)bytes;
    assert_int_equal(spn_publish_many(producer, spn_text("s"), events, 3, &taken, NULL), row->err);
    assert_int_equal(taken, row->err == SPN_OK ? 3 : 0);
    assert_int_equal(spn_publish(producer, spn_text("s"), events, NULL), row->err);
    if (row->err == SPN_OK) {
        hurry();
        until(received_up_to() == 4);
        for (uint64_t number = 1; number <= 3; number++)
            assert_memory_equal(entry_of(number).id.data, ids[number - 1], 1);
    }
    teardown(NULL);
}

/* How long a call waits for room, when nothing makes some but a second of silence. */
static const struct timeout_row {
    const char *name;
    int timeout_ms;
    uint64_t least_ms;
    spn_err err;
} timeout_rows[] = {
    {"send timeout: 0 never waits", 0, 0, SPN_E_BACKPRESSURE},
    {"send timeout: it is waited for", 30, 30, SPN_E_BACKPRESSURE},
    {"send timeout: -1 waits for ever", -1, 0, SPN_OK},
};

static void send_timeout(void **state)
{
    const struct timeout_row *row = *state;
    struct spn_producer_options options = spn_producer_defaults();
    struct spn_event event = SPN_EVENT_INIT;
    setup(NULL);
    assert_int_equal(options.send_timeout_ms, 100);
    options.window_events = 1;
    options.send_timeout_ms = row->timeout_ms;
    open_client();
    open_producer(&options);
    publish_numbers(1);
    until(received_up_to() == 1);
    if (row->err ==
        SPN_OK) { /* the silence of a second ends with a resend, which is acknowledged */
        fake.acks = true;
        fake_begin(&fake);
    }
    uint64_t start_ns = fake_now();
    assert_int_equal(spn_publish(producer, spn_text("s"), &event, NULL), row->err);
    uint64_t took_ns = fake_now() - start_ns;
    if (row->err == SPN_OK)
        fake_end(&fake);
    assert_true(took_ns >= row->least_ms * NS_PER_MS);
    assert_int_equal(spn_producer_counters(producer)->taken, row->err == SPN_OK ? 2 : 1);
    assert_int_equal(spn_producer_counters(producer)->backpressure, row->err != SPN_OK);
    teardown(NULL);
}

/* A state has the instance. A window that is open has room for the events of its time. */
static void limits_follow_the_sidecar(void **state)
{
    (void)state;
    static char data[2000];
    static const struct {
        uint32_t data_max;
        size_t size;
        spn_err err;
    } rows[] = {
        {100, 101, SPN_E_EVENT_TOO_LARGE},
        {100, 100, SPN_OK},
        {2000, 1001, SPN_E_EVENT_TOO_LARGE},
        {2000, 1000, SPN_OK},
    };
    memset(data, 'x', sizeof(data));
    fake.data_max = 1000;
    open_client();
    open_producer(NULL);
    fake.acks = true;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct spn_event event = SPN_EVENT_INIT;
        event.data = (struct spn_bytes){data, rows[i].size};
        fake.data_max = rows[i].data_max;
        fake.instance++;
        fake_pass(PRODUCER_BEAT_NS);
        until(fake.hellos == i + 2 && spn_client_data_max(client) == rows[i].data_max);
        assert_int_equal(spn_publish(producer, spn_text("s"), &event, NULL), rows[i].err);
        until(unacknowledged() == 0);
    }
}

/* The sidecar wants it all again, the two batches that are on their way. */
static void send_again(void)
{
    fake_drop_batches(&fake);
    fake_error(&fake, fake.token, SPN_E_STALE_TOKEN, "restarted");
    fake.token++;
    until(fake.batch_count == 2);
    assert_int_equal(fake.batches[0].head.token, fake.token);
}

/* What the present sidecar would refuse was taken when an earlier one would have stored it. Its
 * frame could be larger than any that is read: then nothing would come of it, nor of what follows
 * it. */
static void event_over_a_lowered_limit_is_sent_in_part(void **state)
{
    (void)state;
    static const size_t limits[] = {2 * WIRE_BATCH_BYTES_MAX, WIRE_BATCH_BYTES_MAX, 3};
    struct spn_event event = SPN_EVENT_INIT;
    size_t size = 2 * WIRE_BATCH_BYTES_MAX;
    char *data = malloc(size);
    assert_non_null(data);
    memset(data, 'x', size);
    open_both(SPN_DURABLE);
    event.id = spn_text("large");
    event.type = spn_text("kind");
    event.data = (struct spn_bytes){data, size};
    event.note = spn_text("a note");
    assert_int_equal(spn_publish(producer, spn_text("s"), &event, NULL), SPN_OK);
    publish_text("small");
    hurry();
    until(received_up_to() == 2);
    for (size_t i = 0; i < COUNT(limits); i++) {
        fake.data_max = (uint32_t)limits[i];
        fake.instance++;
        send_again(); /* the answer to OPEN has the instance, which leads to a HELLO */
        until(spn_client_data_max(client) == limits[i]);
        send_again();
        struct wire_entry entry = fake_entry(&fake, 0, 0);
        assert_int_equal(fake.batches[0].head.first, 1);
        assert_int_equal(fake.batches[0].head.count, 1);
        assert_int_equal(entry.data.size, limits[i] < size ? limits[i] + 1 : size);
        assert_memory_equal(entry.data.data, data, entry.data.size - 1);
        bool in_part = entry.data.size < size; /* never one that may be stored */
        assert_int_equal(((const char *)entry.data.data)[entry.data.size - 1],
                         in_part ? '\r' : 'x');
        assert_memory_equal(entry.id.data, "large", entry.id.size);
        assert_memory_equal(entry.type.data, "kind", entry.type.size);
        assert_memory_equal(entry.note.data, "a note", entry.note.size);
        entry = fake_entry(&fake, 1, 0);
        assert_int_equal(entry.data.size, 5); /* what fits a batch is sent whole */
    }
    free(data);
}

/* The largest entry has all parts of the largest size. The window's memory is a power of two, which
 * hides what is missing unless the limit is just below one. */
static void window_takes_the_largest_entry(void **state)
{
    (void)state;
    static char bytes[1 << 16];
    struct spn_producer_options options = spn_producer_defaults();
    struct spn_publish_options with = {.size = sizeof(with), .closes = true};
    struct spn_event event = SPN_EVENT_INIT;
    memset(bytes, 'x', sizeof(bytes));
    fake.data_max =
        sizeof(bytes) - WIRE_ENTRY_HEAD_SIZE - WIRE_SESSION_MAX - WIRE_ID_MAX - WIRE_TYPE_MAX;
    options.window_bytes = 1000;
    options.send_timeout_ms = 0;
    open_client();
    open_producer(&options);
    event.id = (struct spn_bytes){bytes, WIRE_ID_MAX};
    event.type = (struct spn_bytes){bytes, WIRE_TYPE_MAX};
    event.note = (struct spn_bytes){bytes, WIRE_NOTE_MAX};
    event.data = (struct spn_bytes){bytes, fake.data_max};
    with.reason = (struct spn_bytes){bytes, WIRE_REASON_MAX};
    assert_int_equal(spn_publish_with(producer, (struct spn_bytes){bytes, WIRE_SESSION_MAX}, &event,
                                      &with, NULL),
                     SPN_OK);
}

static void small_window_takes_one_large_event(void **state)
{
    (void)state;
    struct spn_producer_options options = spn_producer_defaults();
    struct spn_event event = SPN_EVENT_INIT;
    size_t size = WIRE_EVENT_DATA_DEFAULT;
    char *data = malloc(size + 1);
    assert_non_null(data);
    memset(data, 'x', size + 1);
    options.window_bytes = 1000;
    options.send_timeout_ms = 0;
    open_client();
    open_producer(&options);
    event.data = (struct spn_bytes){data, size + 1};
    assert_int_equal(spn_client_data_max(client), size);
    assert_int_equal(spn_publish(producer, spn_text("s"), &event, NULL), SPN_E_EVENT_TOO_LARGE);
    assert_non_null(strstr(spn_client_detail(client), "4194305"));
    event.data.size = size;
    assert_int_equal(spn_publish(producer, spn_text("s"), &event, NULL), SPN_OK);
    assert_int_equal(spn_publish(producer, spn_text("s"), &event, NULL), SPN_E_BACKPRESSURE);
    until(received_up_to() == 1);
    struct wire_entry entry = fake_entry(&fake, 0, 0);
    assert_int_equal(entry.data.size, size);
    fake_ack(&fake, 0, 1, WIRE_DURABLE, NULL, 0);
    until(unacknowledged() == 0);
    assert_int_equal(spn_publish(producer, spn_text("s"), &event, NULL), SPN_OK);
    free(data);
}

static void gone_sidecar_is_backpressure_and_ridden_out(void **state)
{
    (void)state;
    struct spn_producer_options options = spn_producer_defaults();
    struct spn_event event = SPN_EVENT_INIT;
    options.window_events = 4;
    options.send_timeout_ms = 0;
    open_client();
    open_producer(&options);
    fake_stop(&fake);
    while (client->transport.ingest.connected)
        assert_int_equal(spn_client_step(client), SPN_OK);
    publish_numbers(4);
    assert_int_equal(spn_publish(producer, spn_text("s"), &event, NULL), SPN_E_BACKPRESSURE);
    fake_start(&fake);
    until(received_up_to() == 4);
    fake_ack(&fake, 0, 4, WIRE_DURABLE, NULL, 0);
    until(unacknowledged() == 0);
}

static void unread_results_are_dropped_oldest_first(void **state)
{
    (void)state;
    struct spn_producer_options options = spn_producer_defaults();
    options.window_events = 4;
    open_client();
    open_producer(&options);
    for (uint64_t ticket = 1; ticket <= 6; ticket++) {
        publish_text("x");
        until(received_up_to() == ticket);
        fake_ack(&fake, ticket - 1, ticket, WIRE_DURABLE, NULL, 0);
        until(unacknowledged() == 0);
    }
    const struct spn_ack *ack;
    assert_int_equal(spn_producer_wait(producer, 2, 0, &ack), SPN_E_INVALID);
    for (uint64_t ticket = 3; ticket <= 6; ticket++)
        expect_ack(ticket, SPN_STORED, SPN_OK);
    assert_int_equal(spn_producer_counters(producer)->stored, 6);
}

/* -- what the app asks ------------------------------------------------------------------------- */

static void waiting_for_one_ticket_leaves_the_others(void **state)
{
    (void)state;
    const struct spn_ack *ack;
    open_both(SPN_DURABLE);
    fake.acks = true;
    publish_numbers(5);
    fake_begin(&fake);
    assert_int_equal(spn_producer_wait(producer, 3, 5000, &ack), SPN_OK);
    assert_int_equal(ack->ticket, 3);
    assert_int_equal(spn_producer_flush(producer, 5000), SPN_OK);
    fake_end(&fake);
    assert_int_equal(spn_producer_wait(producer, 3, 0, &ack), SPN_E_INVALID);
    assert_int_equal(spn_producer_wait(producer, 6, 0, &ack), SPN_E_INVALID);
    assert_int_equal(spn_producer_wait(producer, 0, 0, &ack), SPN_E_INVALID);
    static const uint64_t others[] = {1, 2, 4, 5};
    for (size_t i = 0; i < 4; i++)
        expect_ack(others[i], SPN_STORED, SPN_OK);
}

static void many_at_once(void **state)
{
    (void)state;
    struct spn_event events[] = {SPN_EVENT_INIT, SPN_EVENT_INIT, SPN_EVENT_INIT};
    size_t taken = 9;
    uint64_t first = 0;
    open_both(SPN_DURABLE);
    publish_text("a");
    assert_int_equal(spn_publish_many(producer, spn_text("s"), events, 3, &taken, &first), SPN_OK);
    assert_int_equal(taken, 3);
    assert_int_equal(first, 2);
    events[1].data = spn_text("a\rb");
    assert_int_equal(spn_publish_many(producer, spn_text("s"), events, 3, &taken, &first),
                     SPN_E_BAD_DATA);
    assert_int_equal(taken, 1);
    assert_int_equal(first, 5);
    assert_int_equal(spn_publish_many(producer, spn_text("s"), NULL, 0, &taken, NULL), SPN_OK);
    assert_int_equal(taken, 0);
    assert_int_equal(publish_text("b"), 6);
}

static void contents_are_checked_before_a_ticket_is_used(void **state)
{
    (void)state;
    static char long_id[WIRE_ID_MAX + 1];
    static char long_type[WIRE_TYPE_MAX + 1];
    static char long_session[WIRE_SESSION_MAX + 1];
    memset(long_id, 'i', sizeof(long_id));
    memset(long_type, 't', sizeof(long_type));
    memset(long_session, 's', sizeof(long_session));
    const struct {
        struct spn_bytes session, id, type, data;
        spn_err err;
    } rows[] = {
        {.session = {"", 0}, .err = SPN_E_BAD_SESSION},
        {.session = {long_session, sizeof(long_session)}, .err = SPN_E_BAD_SESSION},
        {.session = {"a\nb", 3}, .err = SPN_E_BAD_SESSION},
        {.session = {"\xff", 1}, .err = SPN_E_BAD_SESSION},
        {.session = {"s", 1}, .id = {long_id, sizeof(long_id)}, .err = SPN_E_BAD_ID},
        {.session = {"s", 1}, .id = {"a\0", 2}, .err = SPN_E_BAD_ID},
        {.session = {"s", 1}, .type = {long_type, sizeof(long_type)}, .err = SPN_E_BAD_TYPE},
        {.session = {"s", 1}, .type = {"\n", 1}, .err = SPN_E_BAD_TYPE},
        {.session = {"s", 1}, .data = {"\r", 1}, .err = SPN_E_BAD_DATA},
        {.session = {long_session, WIRE_SESSION_MAX}, .err = SPN_OK},
        {.session = {"s", 1}, .id = {long_id, WIRE_ID_MAX}, .err = SPN_OK},
        {.session = {"s", 1}, .type = {long_type, WIRE_TYPE_MAX}, .err = SPN_OK},
        {.session = {"s", 1}, .data = {"a\0b\nc", 5}, .err = SPN_OK},
        {.session = {"\0", 1}, .err = SPN_E_BAD_SESSION}, /* as long as one that was good */
    };
    uint64_t next = 1;
    open_both(SPN_DURABLE);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct spn_event event = {.size = sizeof(event),
                                        .id = rows[i].id,
                                        .type = rows[i].type,
                                        .data = rows[i].data,
                                        .retry_ms = 5};
        uint64_t ticket = 0;
        assert_int_equal(spn_publish(producer, rows[i].session, &event, &ticket), rows[i].err);
        assert_int_equal(ticket, rows[i].err == SPN_OK ? next++ : 0);
    }
    assert_int_equal(spn_producer_counters(producer)->taken, next - 1);
}

static void own_id_goes_on_where_it_was(void **state)
{
    (void)state;
    static const uint8_t own[SPN_PRODUCER_ID_SIZE] = {0x00, 0x10, 0x83, 0x10, 0x51, 0x87,
                                                      0x20, 0x92, 0x8b, 0xfb, 0xef, 0xbe,
                                                      0xff, 0xff, 0xff, 0xfc};
    struct spn_producer_options options = spn_producer_defaults();
    char id[SPN_GIVEN_ID_MAX];
    options.id = own;
    fake.accepted = fake.durable = 41;
    open_client();
    open_producer(&options);
    assert_memory_equal(fake.open.producer, own, sizeof(own));
    assert_int_equal(fake.open.token, 0);
    assert_int_equal(spn_producer_committed(producer), 41);
    assert_int_equal(publish_text("a"), 42);
    until(fake.batch_count == 1);
    assert_int_equal(last_batch().first, 42);
    assert_int_equal(last_batch().base, 42);
    assert_int_equal(spn_given_id(producer, 42, id), 25);
    assert_string_equal(id, "ABCDEFGHIJKL----_____A-42");
    assert_int_equal(spn_given_id(producer, UINT64_MAX, id), 43);
    assert_string_equal(id + 22, "-18446744073709551615");
}

static void close_tells_what_is_left(void **state)
{
    (void)state;
    uint64_t left = 9;
    open_both(SPN_DURABLE);
    publish_numbers(3);
    assert_int_equal(spn_producer_close(producer, 0, &left), SPN_E_TIMEOUT);
    producer = NULL;
    assert_int_equal(left, 3);
    assert_int_equal(spn_producer_close(NULL, 0, &left), SPN_OK);
    assert_int_equal(left, 0);
}

static void two_producers_share_a_client(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    spn_producer *first = producer;
    fake.token = 20;
    open_producer(NULL);
    publish_text("second");
    struct spn_event event = SPN_EVENT_INIT;
    assert_int_equal(spn_publish(first, spn_text("s"), &event, NULL), SPN_OK);
    until(fake.batch_count == 2);
    assert_int_equal(fake.batches[0].head.token, 20);
    assert_int_equal(fake.batches[1].head.token, 7);
    fake_ack(&fake, 0, 1, WIRE_DURABLE, NULL, 0);
    until(unacknowledged() == 0);
    assert_int_equal(spn_producer_counters(first)->unacknowledged, 1);
    assert_int_equal(spn_producer_close(first, 0, NULL), SPN_E_TIMEOUT);
    assert_int_equal(spn_client_step(client), SPN_OK);
}

/* -- ending sessions --------------------------------------------------------------------------- */

typedef spn_err end_call(spn_producer *producer, struct spn_bytes session,
                         const struct spn_life *life, uint64_t *ret_ticket);

/* A close or a delete between two events, and how it ends. */
static const struct end_row {
    const char *name;
    end_call *call;
    unsigned char life; /* the first byte of the one that is meant; 0: the current one */
    uint8_t kind;
    uint8_t run;  /* WIRE_STORED: none is sent */
    spn_err code; /* not SPN_OK: it is refused for this */
    spn_result result;
} end_rows[] = {
    {"close: stored", spn_session_close, 0, WIRE_CLOSE, WIRE_STORED, SPN_OK, SPN_STORED},
    {"close: of one life", spn_session_close, 100, WIRE_CLOSE, WIRE_STORED, SPN_OK, SPN_STORED},
    {"close: closed before", spn_session_close, 0, WIRE_CLOSE, WIRE_DUPLICATE, SPN_OK,
     SPN_DUPLICATE},
    {"close: no such session", spn_session_close, 0, WIRE_CLOSE, WIRE_REFUSED,
     SPN_E_UNKNOWN_SESSION, SPN_REFUSED},
    {"close: another life", spn_session_close, 255, WIRE_CLOSE, WIRE_REFUSED, SPN_E_OTHER_LIFE,
     SPN_REFUSED},
    {"delete: stored", spn_session_delete, 0, WIRE_DELETE, WIRE_STORED, SPN_OK, SPN_STORED},
    {"delete: of one life", spn_session_delete, 5, WIRE_DELETE, WIRE_STORED, SPN_OK, SPN_STORED},
    {"delete: no such session", spn_session_delete, 0, WIRE_DELETE, WIRE_REFUSED,
     SPN_E_UNKNOWN_SESSION, SPN_REFUSED},
    {"delete: another life", spn_session_delete, 7, WIRE_DELETE, WIRE_REFUSED, SPN_E_OTHER_LIFE,
     SPN_REFUSED},
};

/* The entry of a number in the newest batch that has it. */
static struct wire_entry entry_of(uint64_t number)
{
    for (size_t i = fake.batch_count; i-- > 0;) {
        const struct wire_batch *head = &fake.batches[i].head;
        if (number >= head->first && number < head->first + head->count)
            return fake_entry(&fake, i, (size_t)(number - head->first));
    }
    fail_msg("number %llu was not sent", (unsigned long long)number);
    return (struct wire_entry){0};
}

static void expect_end(uint64_t number, const struct end_row *row)
{
    struct wire_entry entry = entry_of(number);
    assert_int_equal(entry.kind, row->kind);
    assert_int_equal(entry.session.size, 1);
    assert_memory_equal(entry.session.data, "s", 1);
    assert_int_equal((entry.flags & WIRE_FLAG_LIFE) != 0, row->life != 0);
    if (row->life != 0)
        assert_true(wire_same_life(entry.life, (struct spn_life){{row->life}}));
}

static void end_of_session(void **state)
{
    const struct end_row *row = *state;
    uint64_t ticket = 0;
    setup(NULL);
    open_both(SPN_DURABLE);
    publish_text("before");
    const struct spn_life life = {{row->life}};
    assert_int_equal(row->call(producer, spn_text("s"), row->life != 0 ? &life : NULL, &ticket),
                     SPN_OK);
    assert_int_equal(ticket, 2);
    assert_int_equal(publish_text("behind"), 3);
    hurry();
    until(received_up_to() == 3);
    expect_end(2, row);
    const struct wire_run run = {
        .first = 2, .count = 1, .result = row->run, .code = (uint16_t)row->code};
    fake_ack(&fake, 0, 3, WIRE_DURABLE, &run, row->run == WIRE_STORED ? 0 : 1);
    until(unacknowledged() == 0);
    expect_ack(1, SPN_STORED, SPN_OK);
    expect_ack(2, row->result, row->code);
    expect_ack(3, SPN_STORED, SPN_OK);
    struct spn_counters counters = *spn_producer_counters(producer);
    assert_int_equal(counters.taken, 3);
    assert_int_equal(counters.stored, row->result == SPN_STORED ? 3 : 2);
    assert_int_equal(counters.duplicates, row->result == SPN_DUPLICATE);
    assert_int_equal(counters.refused, row->result == SPN_REFUSED);
    teardown(NULL);
}

/* Nobody asked for it again: the library does, with the life that the app gave. */
static void end_of_session_is_sent_again(void **state)
{
    (void)state;
    static const struct end_row row = {.kind = WIRE_DELETE, .life = 9};
    const struct spn_life life = {{9}};
    open_both(SPN_DURABLE);
    publish_text("a");
    assert_int_equal(spn_session_delete(producer, spn_text("s"), &life, NULL), SPN_OK);
    hurry();
    until(received_up_to() == 2);
    fake_drop_batches(&fake);
    fake_error(&fake, fake.token, SPN_E_STALE_TOKEN, "restarted");
    fake.token = 8;
    fake.accepted = fake.durable = 1;
    until(received_up_to() == 2);
    assert_int_equal(fake.batches[0].head.first, 2);
    expect_end(2, &row);
    fake_ack(&fake, 1, 2, WIRE_DURABLE, NULL, 0);
    until(unacknowledged() == 0);
}

/* With level none too, of what is not reported the refusal is. */
static void refused_end_of_level_none_is_reported(void **state)
{
    (void)state;
    open_both(SPN_NONE);
    assert_int_equal(spn_session_close(producer, spn_text("s"), 0, NULL), SPN_OK);
    until(received_up_to() == 1);
    const struct wire_run run = {
        .first = 1, .count = 1, .result = WIRE_REFUSED, .code = SPN_E_UNKNOWN_SESSION};
    fake_ack(&fake, 0, 1, WIRE_NONE, &run, 1);
    until(spn_producer_counters(producer)->refused == 1);
    expect_ack(1, SPN_REFUSED, SPN_E_UNKNOWN_SESSION);
}

static void end_of_session_that_is_not_taken_uses_no_ticket(void **state)
{
    (void)state;
    static end_call *const calls[] = {spn_session_close, spn_session_delete};
    struct spn_producer_options options = spn_producer_defaults();
    options.window_events = 2;
    options.send_timeout_ms = 0;
    open_client();
    open_producer(&options);
    for (size_t i = 0; i < 2; i++) {
        uint64_t ticket = 77;
        assert_int_equal(calls[i](producer, spn_text(""), 0, &ticket), SPN_E_BAD_SESSION);
        assert_int_equal(calls[i](producer, spn_text("a\nb"), 0, &ticket), SPN_E_BAD_SESSION);
        assert_int_equal(ticket, 77);
    }
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(calls[i](producer, spn_text("s"), 0, NULL), SPN_OK);
    for (size_t i = 0; i < 2; i++) {
        uint64_t ticket = 77;
        assert_int_equal(calls[i](producer, spn_text("s"), 0, &ticket), SPN_E_BACKPRESSURE);
        assert_int_equal(ticket, 77);
    }
    assert_int_equal(spn_producer_counters(producer)->taken, 2);
    assert_int_equal(spn_producer_counters(producer)->backpressure, 2);
}

/* -- event loops ------------------------------------------------------------------------------- */

static bool fd_is_readable(int wait_ms)
{
    struct pollfd item = {.fd = spn_client_fd(client), .events = POLLIN};
    int count;
    do
        count = poll(&item, 1, wait_ms);
    while (count < 0 && errno == EINTR);
    return count == 1;
}

/* The client is touched only when poll says so; the sidecar acknowledges what comes. */
static void drive_by_poll(uint64_t results)
{
    uint64_t give_up_ns = fake_now() + DEADLINE_NS;
    struct spn_ack ack;
    while (results > 0) {
        (void)fake_step(&fake, 0);
        assert_true(fake_now() < give_up_ns);
        if (!fd_is_readable(1))
            continue;
        assert_int_equal(spn_client_step(client), SPN_OK);
        while (results_next(&producer->delivery.results, &ack)) /* no turn hides in this one */
            results--;
    }
}

static void poll_drives_two_events_to_disk(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    fake.acks = true;
    for (int round = 0; round < 200; round++) {
        fake_drop_batches(&fake);
        publish_text("one");
        if (round % 2 == 1) { /* the ack is there before the second one is published */
            while (fake.batch_count == 0)
                (void)fake_step(&fake, 10);
            assert_true(fd_is_readable(5000));
        }
        publish_text("two");
        drive_by_poll(2);
        while (fd_is_readable(0)) /* then it falls silent */
            assert_int_equal(spn_client_step(client), SPN_OK);
        assert_int_equal(unacknowledged(), 0);
    }
}

/* A step takes a bounded number of messages, and ZeroMQ's descriptor says nothing of the rest. */
static void poll_sees_what_a_step_left(void **state)
{
    (void)state;
    enum { ROUNDS = 20, EVENTS = 900 };
    open_both(SPN_DURABLE);
    for (uint64_t done = 0; done < ROUNDS * EVENTS; done += EVENTS) {
        publish_numbers(EVENTS);
        hurry();
        until(received_up_to() == done + EVENTS);
        fake_drop_batches(&fake);
        for (uint64_t number = done + 1; number <= done + EVENTS; number++)
            fake_ack(&fake, number - 1, number, WIRE_DURABLE, NULL, 0);
        drive_by_poll(EVENTS);
    }
}

static void poll_sees_what_another_call_took_in(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    fake.acks = true;
    publish_text("a");
    while (fd_is_readable(0)) /* what was left of the opening */
        assert_int_equal(spn_client_step(client), SPN_OK);
    while (fake.batch_count == 0)
        (void)fake_step(&fake, 10);
    assert_true(fd_is_readable(5000));
    assert_int_equal(spn_producer_flush(producer, 0), SPN_OK); /* takes the ack in */
    assert_true(fd_is_readable(0));
    assert_int_equal(spn_client_step(client), SPN_OK);
    while (fd_is_readable(0))
        assert_int_equal(spn_client_step(client), SPN_OK);
    expect_ack(1, SPN_STORED, SPN_OK);
}

static void poll_sees_the_timer(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    uint64_t start_ns = fake_now();
    publish_text("a");
    while (fake.states == 0) {
        (void)fake_step(&fake, 0);
        assert_true(fake_now() - start_ns < DEADLINE_NS);
        if (fd_is_readable(10))
            assert_int_equal(spn_client_step(client), SPN_OK);
    }
    assert_true(fake_now() - start_ns >= PRODUCER_SILENCE_NS);
}

static void poll_sees_the_sidecar_come_back(void **state)
{
    (void)state;
    open_both(SPN_DURABLE);
    fake_stop(&fake);
    while (client->transport.ingest.connected) {
        assert_true(fd_is_readable(5000));
        assert_int_equal(spn_client_step(client), SPN_OK);
    }
    publish_numbers(2);
    fake.acks = true;
    fake_start(&fake);
    drive_by_poll(2);
}

/* -- refusals at the door ---------------------------------------------------------------------- */

static spn_err try_open(const char *dir, int timeout_ms, char *detail, size_t detail_size)
{
    const struct spn_client_options options = {.size = sizeof(options), .socket_dir = dir};
    return spn_client_open(&client, &options, timeout_ms, detail, detail_size);
}

static void no_sidecar_is_unavailable(void **state)
{
    (void)state;
    char detail[256] = "";
    fake_stop(&fake);
    uint64_t start_ns = fake_now();
    assert_int_equal(try_open(fake.dir, 100, detail, sizeof(detail)), SPN_E_UNAVAILABLE);
    assert_true(fake_now() - start_ns >= 100 * NS_PER_MS);
    assert_non_null(strstr(detail, fake.dir));
    assert_int_equal(try_open("/nowhere", 0, detail, 4), SPN_E_UNAVAILABLE);
    assert_int_equal(strlen(detail), 3);
    assert_null(client);
}

/* Somebody is there: another thing than nobody. */
static void deaf_sidecar_times_out(void **state)
{
    (void)state;
    char detail[256] = "";
    fake.deaf = true;
    assert_int_equal(try_open(fake.dir, 50, detail, sizeof(detail)), SPN_E_TIMEOUT);
}

/* One that is not waited for is told of before the time is over. */
static void at_once_does_not_wait_for_a_start(void **state)
{
    (void)state;
    struct spn_client_options options = {
        .size = sizeof(options), .socket_dir = fake.dir, .at_once = true};
    fake_begin(&fake);
    assert_int_equal(spn_client_open(&client, &options, 60000, NULL, 0), SPN_OK);
    fake_end(&fake);
    spn_client_close(client);
    client = NULL;
    fake_stop(&fake);
    uint64_t start_ns = fake_now();
    assert_int_equal(spn_client_open(&client, &options, 60000, NULL, 0), SPN_E_UNAVAILABLE);
    options.socket_dir = "/nowhere";
    assert_int_equal(spn_client_open(&client, &options, 60000, NULL, 0), SPN_E_UNAVAILABLE);
    assert_true(fake_now() - start_ns < 30000 * NS_PER_MS);
}

/* What a plain connect says: a file that is no socket refuses like a socket that nobody serves. */
static void probe_tells_why_nobody_answers(void **state)
{
    (void)state;
    const struct {
        const char *dir;
        spn_err err;
        const char *words;
    } rows[] = {
        {fake.dir, SPN_E_TIMEOUT, ""},
        {"/nowhere", SPN_E_UNAVAILABLE, ""},
        {"/dev/null", SPN_E_PATH, "/dev/null/read.sock: Not a directory"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char words[256] = "";
        assert_int_equal(transport_probe(rows[i].dir, TRANSPORT_READ, words, sizeof(words)),
                         rows[i].err);
        assert_string_equal(words, rows[i].words);
    }
    fake_stop(&fake); /* its socket's file may stay */
    char words[256] = "";
    assert_int_equal(transport_probe(fake.dir, TRANSPORT_READ, words, sizeof(words)),
                     SPN_E_UNAVAILABLE);
}

static void other_version_is_told(void **state)
{
    (void)state;
    char detail[256] = "";
    fake.major = WIRE_MAJOR + 1;
    fake_begin(&fake);
    assert_int_equal(try_open(fake.dir, 5000, detail, sizeof(detail)), SPN_E_VERSION);
    fake_end(&fake);
    assert_string_equal(detail, "sidecar: as told");
}

static void long_path_is_refused_with_its_length(void **state)
{
    (void)state;
    char dir[200];
    char detail[512] = "";
    memset(dir, 'd', sizeof(dir));
    dir[0] = '/';
    dir[96] = '\0'; /* with "/ingest.sock" one byte more than the 107 that fit */
    assert_int_equal(try_open(dir, 0, detail, sizeof(detail)), SPN_E_PATH);
    assert_non_null(strstr(detail, "108"));
    assert_non_null(strstr(detail, "107"));
    dir[95] = '\0';
    assert_int_equal(try_open(dir, 0, detail, sizeof(detail)), SPN_E_UNAVAILABLE);
}

static void environment_names_the_directory(void **state)
{
    (void)state;
    char detail[256] = "";
    const struct spn_client_options options = {.size = sizeof(options)};
    setenv("SPONSON_SOCKET_DIR", "/nowhere", 1);
    setenv("XDG_RUNTIME_DIR", "/no-runtime", 1);
    assert_int_equal(spn_client_open(&client, NULL, 0, detail, sizeof(detail)), SPN_E_UNAVAILABLE);
    assert_string_equal(detail, "no sidecar is answering in /nowhere"); /* and nowhere else */
    setenv("SPONSON_SOCKET_DIR", fake.dir, 1);
    fake_begin(&fake);
    assert_int_equal(spn_client_open(&client, &options, 5000, NULL, 0), SPN_OK);
    fake_end(&fake);
    unsetenv("SPONSON_SOCKET_DIR");
    unsetenv("XDG_RUNTIME_DIR");
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    struct spn_producer_options options = spn_producer_defaults();
    const struct spn_client_options unset = {.socket_dir = fake.dir};
    assert_int_equal(spn_client_open(&client, &unset, 0, NULL, 0), SPN_E_INVALID);
    open_client();
    options.size = 0;
    assert_int_equal(spn_producer_open(&producer, client, &options, 0), SPN_E_INVALID);
    options = spn_producer_defaults();
    options.window_bytes = (size_t)WINDOW_BYTES_MAX + 1;
    assert_int_equal(spn_producer_open(&producer, client, &options, 0), SPN_E_INVALID);
    options = spn_producer_defaults();
    options.level = (spn_level)3;
    assert_int_equal(spn_producer_open(&producer, client, &options, 0), SPN_E_INVALID);
    assert_int_equal(spn_producer_open(&producer, client, NULL, 20), SPN_E_TIMEOUT);
    fake_stop(&fake);
    while (client->transport.ingest.connected)
        assert_int_equal(spn_client_step(client), SPN_OK);
    assert_int_equal(spn_producer_open(&producer, client, NULL, 20), SPN_E_UNAVAILABLE);
}

/* Runs in the child; its exit code is the number of the check that failed. */
static int use_after_fork(void)
{
    struct spn_event event = SPN_EVENT_INIT;
    const struct spn_ack *ack;
    const struct spn_last *last;
    const struct spn_session_info *info;
    if (spn_publish(producer, spn_text("s"), &event, NULL) != SPN_E_FORKED)
        return 1;
    if (spn_client_step(client) != SPN_E_FORKED)
        return 2;
    if (spn_producer_next_ack(producer, -1, &ack) != SPN_E_FORKED)
        return 3;
    if (spn_last_event(client, spn_text("s"), -1, &last) != SPN_E_FORKED)
        return 4;
    if (spn_session_close(producer, spn_text("s"), 0, NULL) != SPN_E_FORKED)
        return 6;
    if (spn_get_session(client, spn_text("s"), -1, &info) != SPN_E_FORKED)
        return 7;
    if (spn_producer_close(producer, -1, NULL) != SPN_E_FORKED)
        return 5;
    spn_client_close(client); /* must neither hang nor disturb the parent */
    return 0;
}

static void child_process_is_told(void **state)
{
    (void)state;
    int status = -1;
    open_both(SPN_DURABLE);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(use_after_fork());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    publish_text("still here");
    until(fake.batch_count == 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    static const struct CMUnitTest plain[] = {
        TEST(lone_event_goes_out_at_once),
        TEST(events_gather_while_an_ack_is_outstanding),
        TEST(too_many_openings_pass),
        TEST(full_batch_does_not_wait),
        TEST(flush_without_time_sends_what_is_gathered),
        TEST(hole_is_filled_from_where_it_begins),
        TEST(question_of_an_older_round_was_answered),
        TEST(refused_event_is_not_sent_again),
        TEST(unknown_reason_is_a_refusal),
        TEST(refusals_outlive_a_restart),
        TEST(restarted_sidecar_gets_the_rest_again),
        TEST(nothing_is_sent_while_it_opens_again),
        TEST(connection_that_comes_back_is_asked_at_once),
        TEST(fenced_producer_stops),
        TEST(failed_producer_lets_the_app_sleep),
        TEST(fenced_while_it_opens_again),
        TEST(error_for_another_token_is_not_ours),
        TEST(silence_is_asked_about_and_then_probed),
        TEST(silence_is_asked_about_once_a_second),
        TEST(idle_producer_is_heard_of),
        TEST(progress_is_no_silence),
        TEST(slow_sidecar_is_not_sent_everything_again),
        TEST(lost_ack_is_made_up_for_by_the_state),
        TEST(base_was_told_with_the_next_batch_only),
        TEST(acks_that_lie_are_dropped),
        TEST(accepted_events_that_a_restart_loses_are_told),
        TEST(idle_client_learns_what_a_restart_lost),
        TEST(loss_between_two_looks_is_told),
        TEST(state_that_an_ack_overtook_loses_nothing),
        TEST(level_none_keeps_nothing_and_reports_refusals),
        TEST(level_none_reports_a_refusal_once),
        TEST(full_window_is_backpressure_after_the_timeout),
        TEST(room_that_comes_in_time_is_taken),
        TEST(full_window_tells_how_many_were_taken),
        TEST(limits_follow_the_sidecar),
        TEST(event_over_a_lowered_limit_is_sent_in_part),
        TEST(window_takes_the_largest_entry),
        TEST(small_window_takes_one_large_event),
        TEST(gone_sidecar_is_backpressure_and_ridden_out),
        TEST(unread_results_are_dropped_oldest_first),
        TEST(waiting_for_one_ticket_leaves_the_others),
        TEST(many_at_once),
        TEST(contents_are_checked_before_a_ticket_is_used),
        TEST(own_id_goes_on_where_it_was),
        TEST(close_tells_what_is_left),
        TEST(two_producers_share_a_client),
        TEST(end_of_session_is_sent_again),
        TEST(refused_end_of_level_none_is_reported),
        TEST(end_of_session_that_is_not_taken_uses_no_ticket),
        TEST(poll_drives_two_events_to_disk),
        TEST(poll_sees_what_a_step_left),
        TEST(poll_sees_what_another_call_took_in),
        TEST(poll_sees_the_timer),
        TEST(poll_sees_the_sidecar_come_back),
        TEST(no_sidecar_is_unavailable),
        TEST(deaf_sidecar_times_out),
        TEST(at_once_does_not_wait_for_a_start),
        TEST(probe_tells_why_nobody_answers),
        TEST(other_version_is_told),
        TEST(long_path_is_refused_with_its_length),
        TEST(environment_names_the_directory),
        TEST(bad_options_are_refused),
        TEST(child_process_is_told),
    };
    enum { ROWS = COUNT(end_rows) + COUNT(timeout_rows) };
    static struct CMUnitTest tests[COUNT(plain) + ROWS + COUNT(size_rows)];
    for (size_t i = 0; i < COUNT(size_rows); i++)
        tests[COUNT(plain) + ROWS + i] =
            (struct CMUnitTest){size_rows[i].name, event_of_another_header, NULL, NULL,
                                (void *)(uintptr_t)&size_rows[i]};
    memcpy(tests, plain, sizeof(plain));
    for (size_t i = 0; i < COUNT(end_rows); i++)
        tests[COUNT(plain) + i] = (struct CMUnitTest){end_rows[i].name, end_of_session, NULL, NULL,
                                                      (void *)(uintptr_t)&end_rows[i]};
    for (size_t i = 0; i < COUNT(timeout_rows); i++)
        tests[COUNT(plain) + COUNT(end_rows) + i] = (struct CMUnitTest){
            timeout_rows[i].name, send_timeout, NULL, NULL, (void *)(uintptr_t)&timeout_rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
