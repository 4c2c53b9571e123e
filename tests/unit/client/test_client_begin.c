/* SPDX-License-Identifier: Apache-2.0 */
/* Clients, producers and replays that open without waiting, and calls with a timeout of 0 that are
 * repeated, against a fake sidecar. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client.h"
#include "fake_sidecar.h"
#include "producer.h"

#define NS_PER_S UINT64_C(1000000000)
#define DEADLINE_NS (10 * NS_PER_S)

static struct fake fake;
static spn_client *client;
static spn_producer *producer;
static spn_replay *replay;

static const struct fake_item items[] = {{1, "a", "one"}, {2, "b", "two"}, {3, "c", "three"}};
enum { ITEMS = sizeof(items) / sizeof(items[0]) };

/* Repeats a call that does not wait, while the fake sidecar works, until it returns something else
 * than "not yet": this. */
#define in_the_end(expected, call)                                                                 \
    do {                                                                                           \
        uint64_t give_up_ns = client_monotonic_ns() + DEADLINE_NS;                                 \
        spn_err got;                                                                               \
        while ((got = (call)) == SPN_E_TIMEOUT || got == SPN_E_UNAVAILABLE) {                      \
            if (client_monotonic_ns() > give_up_ns)                                                \
                fail_msg("not in time: %s", #call);                                                \
            (void)fake_step(&fake, 0);                                                             \
        }                                                                                          \
        assert_int_equal(got, expected);                                                           \
    } while (0)

static int setup(void **state)
{
    (void)state;
    fake_open(&fake);
    fake.items = items;
    fake.item_count = ITEMS;
    fake.slice_items = 2;
    fake.acks = true;
    client = NULL;
    producer = NULL;
    replay = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    spn_err ignored = spn_producer_close(producer, 0, NULL);
    (void)ignored;
    spn_replay_close(replay);
    spn_client_close(client);
    fake_close(&fake);
    return 0;
}

static void begin_client(void)
{
    const struct spn_client_options options = {.size = sizeof(options), .socket_dir = fake.dir};
    assert_int_equal(client_begin(&client, &options, fake_now, NULL, 0), SPN_OK);
}

/* What is sent before the connection was noticed is sent again, as if it had been lost. */
static void begin_connected_client(void)
{
    begin_client();
    in_the_end(SPN_OK, spn_client_ready(client));
    while (!client->transport.read.connected)
        assert_int_equal(spn_client_step(client), SPN_OK);
}

static spn_err publish(uint64_t *ticket)
{
    struct spn_event event = SPN_EVENT_INIT;
    event.data = spn_text("x");
    return spn_publish(producer, spn_text("s"), &event, ticket);
}

static void begin_producer(void)
{
    struct spn_producer_options options = spn_producer_defaults();
    options.send_timeout_ms = 0;
    assert_int_equal(spn_producer_begin(&producer, client, &options), SPN_OK);
}

/* -- before there is a sidecar ----------------------------------------------------------------- */

/* The sidecar reads the one-shot before the client reads the sidecar's limits. */
static void one_shot_before_the_limits_is_sent_whole(void **state)
{
    (void)state;
    spn_question *question;
    struct spn_event event = SPN_EVENT_INIT;
    struct wire_publish sent;
    event.id = spn_text("a1");
    event.data = spn_text("whole");
    fake.holds = true;
    begin_client();
    assert_int_equal(spn_ask_publish(&question, client, spn_text("s"), &event, SPN_DURABLE),
                     SPN_OK);
    for (uint64_t give_up_ns = client_monotonic_ns() + DEADLINE_NS; fake.publishes == 0;) {
        assert_true(client_monotonic_ns() < give_up_ns);
        assert_int_equal(spn_client_step(client), SPN_OK);
        (void)fake_step(&fake, 0);
    }
    assert_int_equal(spn_client_data_max(client), 0);
    struct wire_in in = wire_in(fake.publish, fake.publish_size);
    wire_get_publish(&in, &sent);
    assert_int_equal(sent.entry.data.size, 5);
    assert_memory_equal(sent.entry.data.data, "whole", 5);
}

static void everything_can_be_made_before_there_is_a_sidecar(void **state)
{
    (void)state;
    const struct spn_last *last;
    const struct spn_event *event;
    spn_question *question;
    spn_subscription *subscription;
    const struct spn_ack *ack;
    uint64_t ticket = 77;
    fake_stop(&fake);
    begin_client();
    begin_producer();
    assert_int_equal(spn_ask_last(&question, client, spn_text("s")), SPN_OK);
    assert_int_equal(spn_subscribe(&subscription, client, spn_text("s"), NULL), SPN_OK);
    assert_int_equal(spn_replay_begin(&replay, client, spn_text("s"), spn_text("")), SPN_OK);
    assert_int_equal(spn_client_ready(client), SPN_E_TIMEOUT);
    assert_int_equal(spn_producer_ready(producer), SPN_E_TIMEOUT);
    assert_int_equal(spn_client_data_max(client), 0);
    assert_int_equal(publish(&ticket), SPN_E_BACKPRESSURE);
    assert_int_equal(ticket, 77);
    assert_int_equal(spn_producer_next_ack(producer, 0, &ack), SPN_E_END);
    assert_int_equal(spn_client_step(client), SPN_OK);

    fake_start(&fake);
    in_the_end(SPN_OK, spn_client_ready(client));
    assert_int_equal(spn_client_data_max(client), WIRE_EVENT_DATA_DEFAULT);
    in_the_end(SPN_OK, spn_producer_ready(producer));
    in_the_end(SPN_OK, spn_answer_last(question, &last));
    assert_int_equal(last->seq, 3);
    in_the_end(SPN_OK, spn_replay_next(replay, 0, &event));
    assert_int_equal(event->seq, 1);
    while (fake.subscribes == 0) {
        assert_int_equal(spn_client_step(client), SPN_OK);
        (void)fake_step(&fake, 0);
    }
    assert_int_equal(publish(&ticket), SPN_OK);
    assert_int_equal(ticket, 1);
    in_the_end(SPN_OK, spn_producer_next_ack(producer, 0, &ack));
    assert_int_equal(ack->result, SPN_STORED);
}

/* The sidecar's limit is not known then. */
static void one_shot_can_be_asked_before_there_is_a_sidecar(void **state)
{
    (void)state;
    const struct spn_published *published;
    struct spn_event event = SPN_EVENT_INIT;
    spn_question *question;
    event.id = spn_text("id");
    event.data = spn_text("x");
    fake_stop(&fake);
    begin_client();
    assert_int_equal(spn_ask_publish(&question, client, spn_text("s"), &event, SPN_DURABLE),
                     SPN_OK);
    fake_start(&fake);
    in_the_end(SPN_OK, spn_answer_published(question, &published));
    assert_int_equal(published->result, SPN_STORED);
}

/* By the client's own timers: the app only waits for the descriptor. */
static void sockets_that_appear_are_found(void **state)
{
    (void)state;
    char runtime[] = "/tmp/spn-begin-XXXXXX";
    char link[64];
    assert_non_null(mkdtemp(runtime));
    snprintf(link, sizeof(link), "%s/sponson", runtime);
    unsetenv("SPONSON_SOCKET_DIR");
    setenv("XDG_RUNTIME_DIR", runtime, 1);
    assert_int_equal(spn_client_begin(&client, NULL, NULL, 0), SPN_OK);
    assert_int_equal(spn_client_ready(client), SPN_E_TIMEOUT);
    assert_non_null(strstr(spn_client_detail(client), runtime));
    assert_int_equal(symlink(fake.dir, link), 0);
    struct pollfd fd = {.fd = spn_client_fd(client), .events = POLLIN};
    fake_begin(&fake);
    spn_err err = SPN_E_TIMEOUT;
    while (err == SPN_E_TIMEOUT) {
        assert_int_equal(poll(&fd, 1, 5000), 1);
        assert_int_equal(spn_client_step(client), SPN_OK);
        err = spn_client_ready(client);
    }
    fake_end(&fake);
    assert_int_equal(err, SPN_OK);
    unlink(link);
    rmdir(runtime);
}

static void at_once_does_not_wait_for_a_sidecar(void **state)
{
    (void)state;
    char detail[256] = "";
    const struct spn_client_options options = {
        .size = sizeof(options), .socket_dir = fake.dir, .at_once = true};
    fake_stop(&fake);
    assert_int_equal(spn_client_begin(&client, &options, detail, sizeof(detail)),
                     SPN_E_UNAVAILABLE);
    assert_non_null(strstr(detail, fake.dir));
    assert_null(client);
}

/* -- another sidecar --------------------------------------------------------------------------- */

static void step_until_data_max(uint32_t data_max)
{
    uint64_t give_up_ns = client_monotonic_ns() + DEADLINE_NS;
    while (spn_client_data_max(client) != data_max) {
        assert_true(client_monotonic_ns() < give_up_ns);
        assert_int_equal(spn_client_step(client), SPN_OK);
        (void)fake_step(&fake, 1);
    }
}

/* Without a producer or a subscription no message has the instance: a new connection is enough. */
static void another_sidecar_has_limits_of_its_own(void **state)
{
    (void)state;
    const struct spn_published *published;
    struct spn_event event = SPN_EVENT_INIT;
    event.id = spn_text("id");
    event.data = spn_text("0123456789");
    begin_connected_client();
    in_the_end(SPN_OK, spn_publish_once(client, spn_text("s"), &event, SPN_DURABLE, 0, &published));
    for (uint32_t data_max = 5; data_max <= 10; data_max += 5) {
        fake_stop(&fake);
        fake.instance++;
        fake.data_max = data_max;
        fake_start(&fake);
        step_until_data_max(data_max);
        in_the_end(data_max < 10 ? SPN_E_EVENT_TOO_LARGE : SPN_OK,
                   spn_publish_once(client, spn_text("s"), &event, SPN_DURABLE, 0, &published));
    }
}

/* -- what does not pass ------------------------------------------------------------------------ */

static void another_version_is_final(void **state)
{
    (void)state;
    const struct spn_last *last;
    spn_question *question;
    fake.major = WIRE_MAJOR + 1;
    begin_client();
    begin_producer();
    assert_int_equal(spn_ask_last(&question, client, spn_text("s")), SPN_OK);
    for (int i = 0; i < 2; i++) {
        in_the_end(SPN_E_VERSION, spn_client_ready(client));
        assert_string_equal(spn_client_detail(client), "sidecar: as told");
        assert_int_equal(spn_client_step(client), SPN_E_VERSION);
        assert_int_equal(spn_producer_ready(producer), SPN_E_VERSION);
    }
    in_the_end(SPN_E_VERSION, spn_answer_last(question, &last));
}

static void refused_producer_is_final_and_the_client_goes_on(void **state)
{
    (void)state;
    uint64_t ticket;
    begin_connected_client();
    fake.read_err = SPN_E_LIMIT;
    begin_producer();
    for (int i = 0; i < 2; i++) {
        in_the_end(SPN_E_LIMIT, spn_producer_ready(producer));
        assert_string_equal(spn_client_detail(client), "sidecar: as told");
        assert_int_equal(publish(&ticket), SPN_E_LIMIT);
        assert_int_equal(spn_client_step(client), SPN_E_LIMIT);
    }
    assert_int_equal(fake.opens, 1);
    assert_int_equal(spn_producer_close(producer, 0, NULL), SPN_OK); /* nothing is outstanding */
    producer = NULL;
    assert_int_equal(spn_client_step(client), SPN_OK);
    fake.read_err = SPN_OK;
    begin_producer();
    in_the_end(SPN_OK, spn_producer_ready(producer));
}

static void producer_waits_while_too_many_are_opened(void **state)
{
    (void)state;
    begin_connected_client();
    fake.read_err = SPN_E_BACKPRESSURE;
    fake.err_count = 2;
    begin_producer();
    for (unsigned opens = 1; opens <= 2; opens++) {
        while (fake.opens < opens || producer->call.waits) {
            (void)fake_step(&fake, 0);
            assert_int_equal(spn_producer_ready(producer), SPN_E_TIMEOUT);
        }
        fake_pass(NS_PER_S / 10);
    }
    in_the_end(SPN_OK, spn_producer_ready(producer));
    assert_int_equal(fake.opens, 3);
}

static void publish_waits_for_the_opening_as_for_room(void **state)
{
    (void)state;
    struct spn_producer_options options = spn_producer_defaults();
    uint64_t ticket = 0;
    options.send_timeout_ms = 5000;
    begin_client();
    assert_int_equal(spn_producer_begin(&producer, client, &options), SPN_OK);
    fake_begin(&fake);
    assert_int_equal(publish(&ticket), SPN_OK);
    fake_end(&fake);
    assert_int_equal(ticket, 1);
}

static void latest_only_does_not_wait_for_the_opening(void **state)
{
    (void)state;
    struct spn_producer_options options = spn_producer_defaults();
    uint64_t ticket = 0;
    options.send_timeout_ms = -1;
    options.latest_only = true;
    begin_client();
    assert_int_equal(spn_producer_begin(&producer, client, &options), SPN_OK);
    assert_int_equal(publish(&ticket), SPN_E_BACKPRESSURE);
    in_the_end(SPN_OK, spn_producer_ready(producer));
    assert_int_equal(publish(&ticket), SPN_OK);
}

/* -- replays ----------------------------------------------------------------------------------- */

static void replay_that_began_has_the_verdict_of_its_first_slice(void **state)
{
    (void)state;
    const struct spn_event *event;
    begin_client();
    assert_int_equal(spn_replay_begin(&replay, client, spn_text("s"), spn_text("nobody")), SPN_OK);
    assert_int_equal(spn_replay_next(replay, 0, &event), SPN_E_TIMEOUT);
    for (int i = 0; i < 2; i++) /* the second one was asked anew */
        in_the_end(SPN_E_UNKNOWN_ID, spn_replay_next(replay, 0, &event));
    spn_replay_close(replay);
    replay = NULL;
    assert_int_equal(spn_replay_begin(&replay, client, spn_text(""), spn_text("")),
                     SPN_E_BAD_SESSION);
    assert_int_equal(spn_replay_begin(&replay, client, spn_text("s"), spn_text("\n")),
                     SPN_E_BAD_ID);
    assert_null(replay);
}

static void replay_is_read_to_its_end_without_waiting(void **state)
{
    (void)state;
    const struct spn_event *event;
    begin_client();
    assert_int_equal(spn_replay_begin(&replay, client, spn_text("s"), spn_text("")), SPN_OK);
    for (uint64_t seq = 1; seq <= ITEMS; seq++) {
        in_the_end(SPN_OK, spn_replay_next(replay, 0, &event));
        assert_int_equal(event->seq, seq);
    }
    for (int i = 0; i < 2; i++)
        in_the_end(SPN_E_END, spn_replay_next(replay, 0, &event));
}

static void replay_after_a_cursor_begins_without_waiting(void **state)
{
    (void)state;
    const struct spn_event *event;
    const struct spn_life none = {{0}};
    begin_client();
    assert_int_equal(spn_replay_begin_after(&replay, client, spn_text("s"), &none, 1),
                     SPN_E_INVALID);
    assert_null(replay);
    assert_int_equal(spn_replay_begin_after(&replay, client, spn_text("s"), &fake.life, 1), SPN_OK);
    for (uint64_t seq = 2; seq <= ITEMS; seq++) {
        in_the_end(SPN_OK, spn_replay_next(replay, 0, &event));
        assert_int_equal(event->seq, seq);
    }
    in_the_end(SPN_E_END, spn_replay_next(replay, 0, &event));
}

/* -- calls that wait, with a timeout of 0 ------------------------------------------------------ */

static void repeated_calls_never_succeeded(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c"};
    const struct spn_last *last;
    const struct spn_session_info *info;
    const struct spn_session *session;
    const struct spn_health *health;
    const struct spn_stat *stats;
    struct spn_bytes after = {NULL, 0};
    size_t count;
    fake.names = names;
    fake.name_count = 3;
    fake.page_rows = 1;
    fake.info.life_first_seq = fake.info.first_seq = 1;
    begin_client();
    for (int i = 0; i < 2; i++) {
        in_the_end(SPN_OK, spn_last_event(client, spn_text("s"), 0, &last));
        assert_int_equal(last->seq, 3);
        in_the_end(SPN_OK, spn_get_session(client, spn_text("s"), 0, &info));
        assert_int_equal(info->session->name.size, 1);
        in_the_end(SPN_OK, spn_get_health(client, 0, &health));
        assert_int_equal(health->pid, 42);
        in_the_end(SPN_OK, spn_get_stats(client, 0, &stats, &count));
        assert_int_equal(count, 2);
    }
    for (size_t i = 0; i < 3; i++, after = session->name) {
        in_the_end(SPN_OK, spn_next_session(client, after, spn_text(""), 0, &session));
        assert_memory_equal(session->name.data, names[i], 1);
    }
    in_the_end(SPN_E_END, spn_next_session(client, after, spn_text(""), 0, &session));
}

/* Each asks once, however often it is repeated before there is an answer. */
static void repeated_call_goes_on_with_its_question(void **state)
{
    (void)state;
    const struct spn_last *last;
    begin_connected_client();
    fake.last_names = true;
    for (int i = 0; i < 100; i++)
        assert_int_equal(spn_last_event(client, spn_text("one"), 0, &last), SPN_E_TIMEOUT);
    while (fake.lasts == 0)
        (void)fake_step(&fake, 0);
    in_the_end(SPN_OK, spn_last_event(client, spn_text("one"), 0, &last));
    assert_int_equal(fake.lasts, 1);
    in_the_end(SPN_OK, spn_last_event(client, spn_text("two"), 0, &last));
    assert_int_equal(last->id.size, 3);
    assert_memory_equal(last->id.data, "two", 3);
}

/* What was stored before the call is in its answer. */
static void call_that_waits_asks_anew(void **state)
{
    (void)state;
    const struct spn_last *last;
    begin_connected_client();
    fake.item_count = 1;
    assert_int_equal(spn_last_event(client, spn_text("s"), 0, &last), SPN_E_TIMEOUT);
    while (fake.lasts == 0)
        (void)fake_step(&fake, 0);
    fake.item_count = 3;
    fake_begin(&fake);
    assert_int_equal(spn_last_event(client, spn_text("s"), 5000, &last), SPN_OK);
    fake_end(&fake);
    assert_int_equal(last->seq, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_shot_before_the_limits_is_sent_whole),
        TEST(everything_can_be_made_before_there_is_a_sidecar),
        TEST(one_shot_can_be_asked_before_there_is_a_sidecar),
        TEST(sockets_that_appear_are_found),
        TEST(at_once_does_not_wait_for_a_sidecar),
        TEST(another_sidecar_has_limits_of_its_own),
        TEST(another_version_is_final),
        TEST(refused_producer_is_final_and_the_client_goes_on),
        TEST(producer_waits_while_too_many_are_opened),
        TEST(publish_waits_for_the_opening_as_for_room),
        TEST(latest_only_does_not_wait_for_the_opening),
        TEST(replay_that_began_has_the_verdict_of_its_first_slice),
        TEST(replay_is_read_to_its_end_without_waiting),
        TEST(replay_after_a_cursor_begins_without_waiting),
        TEST(repeated_calls_never_succeeded),
        TEST(repeated_call_goes_on_with_its_question),
        TEST(call_that_waits_asks_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
