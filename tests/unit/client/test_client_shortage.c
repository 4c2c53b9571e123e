/* SPDX-License-Identifier: Apache-2.0 */
/* A client in a process that has no memory or no descriptors for a while: it tries again by its own
 * timer, and its descriptor is silent until then. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "client.h"
#include "fake_sidecar.h"
#include "producer.h"
#include "subscription_base.h"

#define NS_PER_MS UINT64_C(1000000)

enum {
    WAIT_MS = 5000,
    DESCRIPTORS = 256, /* that this process may have */
    TOO_FEW = 8,       /* for a socket; the client's own three are among them */
    FOR_ONE = 18,      /* socket, and not for another one */
};

static struct fake fake;
static spn_client *client;
static spn_producer *producer;
static bool without_memory; /* for a message */
static int taken[DESCRIPTORS];
static size_t taken_count;
static char runtime_dir[32];
static char dir_link[48];

int __real_zmq_msg_init_size(zmq_msg_t *message, size_t size);
int __wrap_zmq_msg_init_size(zmq_msg_t *message, size_t size);

int __wrap_zmq_msg_init_size(zmq_msg_t *message, size_t size)
{
    return without_memory ? -1 : __real_zmq_msg_init_size(message, size);
}

static void give_back_descriptors(void)
{
    while (taken_count > 0)
        close(taken[--taken_count]);
}

static void take_descriptors_but(size_t free_count)
{
    while ((taken[taken_count] = dup(STDERR_FILENO)) >= 0)
        taken_count++;
    assert_true(taken_count >= free_count);
    while (free_count-- > 0)
        close(taken[--taken_count]);
}

static int setup(void **state)
{
    (void)state;
    const struct rlimit limit = {DESCRIPTORS, DESCRIPTORS};
    setrlimit(RLIMIT_NOFILE, &limit);
    fake_open(&fake);
    client = NULL;
    producer = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    without_memory = false;
    give_back_descriptors();
    spn_err ignored = spn_producer_close(producer, 0, NULL);
    (void)ignored;
    spn_client_close(client);
    fake_close(&fake);
    unlink(dir_link);
    rmdir(runtime_dir);
    return 0;
}

static void begin_client(bool at_once, spn_err expected)
{
    char detail[256] = "";
    const struct spn_client_options options = {
        .size = sizeof(options), .socket_dir = fake.dir, .at_once = at_once};
    assert_int_equal(client_begin(&client, &options, fake_now, detail, sizeof(detail)), expected);
    if (expected != SPN_OK)
        assert_non_null(strstr(detail, "Too many open files"));
}

static void step_both(void)
{
    assert_int_equal(spn_client_step(client), SPN_OK);
    (void)fake_step(&fake, 1);
}

static void step_until_ready(void)
{
    uint64_t give_up_ns = client_monotonic_ns() + WAIT_MS * NS_PER_MS;
    while (spn_client_ready(client) == SPN_E_TIMEOUT) {
        assert_true(client_monotonic_ns() < give_up_ns);
        step_both();
    }
    assert_int_equal(spn_client_ready(client), SPN_OK);
}

static void step_until(const unsigned *counter, unsigned count)
{
    uint64_t give_up_ns = client_monotonic_ns() + WAIT_MS * NS_PER_MS;
    while (*counter < count) {
        assert_true(client_monotonic_ns() < give_up_ns);
        step_both();
    }
}

static void begin_producer(void)
{
    struct spn_producer_options options = spn_producer_defaults();
    options.send_timeout_ms = 0;
    assert_int_equal(spn_producer_begin(&producer, client, &options), SPN_OK);
}

static void step_until_open(void)
{
    uint64_t give_up_ns = client_monotonic_ns() + WAIT_MS * NS_PER_MS;
    while (spn_producer_ready(producer) == SPN_E_TIMEOUT) {
        assert_true(client_monotonic_ns() < give_up_ns);
        step_both();
    }
    assert_int_equal(spn_producer_ready(producer), SPN_OK);
}

/* -- memory ------------------------------------------------------------------------------------ */

static bool is_readable_within(int timeout_ms)
{
    struct pollfd fd = {.fd = spn_client_fd(client), .events = POLLIN};
    return poll(&fd, 1, timeout_ms) > 0;
}

/* The next steps find no memory. The descriptor waits for their timer, not for the socket. */
static void expect_rest(void)
{
    int steps = 0;
    for (int i = 0; i < 50; i++)
        if (is_readable_within(1)) {
            assert_int_equal(spn_client_step(client), SPN_OK);
            steps++;
        }
    assert_in_range(steps, 0, 6);
    /* All of them pause as long as that; later timers are of other things. */
    assert_in_range(client->due_ns, 0, client->now_ns() + SUBSCRIPTION_PAUSE_NS);
    without_memory = false;
    assert_true(is_readable_within(WAIT_MS));
}

static void subscribes_once_there_is_memory(void **state)
{
    (void)state;
    spn_subscription *subscription;
    begin_client(false, SPN_OK);
    step_until_ready();
    without_memory = true;
    assert_int_equal(spn_subscribe(&subscription, client, spn_text("s"), NULL), SPN_OK);
    expect_rest();
    step_until(&fake.subscribes, 1);
}

/* Its only subscription, which a verdict that is too large has ended. There is no memory to send
 * that. */
static spn_subscription *fail_without_memory(void)
{
    static uint8_t rest[10000];
    struct wire_out out = wire_out(rest, sizeof(rest));
    spn_subscription *subscription;
    begin_client(false, SPN_OK);
    step_until_ready();
    assert_int_equal(spn_subscribe(&subscription, client, spn_text("s"), NULL), SPN_OK);
    step_until(&fake.subscribes, 1);
    wire_put_standing(&out, &(struct wire_standing){.life = fake.life});
    struct wire_deliver head = {.subscription = fake.subscribe.subscription,
                                .incarnation = fake.subscribe.incarnation,
                                .kind = WIRE_VERDICT};
    fake_deliver_rest(&fake, &head, rest, sizeof(rest));
    without_memory = true;
    while (!subscription->leaving)
        assert_int_equal(spn_client_step(client), SPN_OK);
    return subscription;
}

static void leaves_once_there_is_memory(void **state)
{
    (void)state;
    spn_subscription *subscription = fail_without_memory();
    assert_in_range(client->due_ns, 0, client->now_ns() + SUBSCRIPTION_PAUSE_NS);
    /* It leaves all the same. */
    assert_int_equal(spn_subscription_pause(subscription, true), SPN_OK);
    without_memory = false;
    step_until(&fake.unsubscribes, 1);
}

static void leaves_when_it_is_closed(void **state)
{
    (void)state;
    spn_subscription *subscription = fail_without_memory();
    without_memory = false;
    spn_unsubscribe(subscription);
    step_until(&fake.unsubscribes, 1);
}

static void publishes_once_there_is_memory(void **state)
{
    (void)state;
    struct spn_event event = SPN_EVENT_INIT;
    uint64_t ticket;
    begin_client(false, SPN_OK);
    step_until_ready();
    begin_producer();
    step_until_open();
    without_memory = true;
    event.data = spn_text("x");
    assert_int_equal(spn_publish(producer, spn_text("s"), &event, &ticket), SPN_OK);
    expect_rest();
    while (fake.batch_count == 0)
        step_both();
}

static void asks_once_there_is_memory(void **state)
{
    (void)state;
    spn_question *question;
    begin_client(false, SPN_OK);
    step_until_ready();
    without_memory = true;
    assert_int_equal(spn_ask_last(&question, client, spn_text("s")), SPN_OK);
    expect_rest();
    step_until(&fake.lasts, 1);
}

/* -- descriptors ------------------------------------------------------------------------------- */

static void expect_no_descriptors(void)
{
    for (int i = 0; i < 3; i++) {
        fake_pass(1000 * NS_PER_MS);
        assert_int_equal(spn_client_step(client), SPN_OK); /* it is not final */
        assert_int_equal(spn_client_ready(client), SPN_E_TIMEOUT);
        assert_non_null(strstr(spn_client_detail(client), "Too many open files"));
    }
}

static void descriptors_are_waited_for(void **state)
{
    (void)state;
    spn_subscription *subscription;
    take_descriptors_but(TOO_FEW);
    begin_client(false, SPN_OK);
    expect_no_descriptors();
    begin_producer();
    assert_int_equal(spn_subscribe(&subscription, client, spn_text("s"), NULL), SPN_OK);
    give_back_descriptors();
    step_until_ready();
    step_until_open();
    step_until(&fake.subscribes, 1);
}

static void descriptors_are_waited_for_by_a_timer(void **state)
{
    (void)state;
    take_descriptors_but(TOO_FEW);
    begin_client(false, SPN_OK);
    expect_no_descriptors();
    give_back_descriptors();
    fake_begin(&fake);
    spn_err err = SPN_E_TIMEOUT;
    while (err == SPN_E_TIMEOUT) {
        assert_true(is_readable_within(WAIT_MS));
        assert_int_equal(spn_client_step(client), SPN_OK);
        err = spn_client_ready(client);
    }
    fake_end(&fake);
    assert_int_equal(err, SPN_OK);
}

static void at_once_does_not_wait_for_descriptors(void **state)
{
    (void)state;
    take_descriptors_but(TOO_FEW);
    begin_client(true, SPN_E_SYSTEM);
    assert_null(client);
}

static void open_waits_for_descriptors_until_its_timeout(void **state)
{
    (void)state;
    char detail[256] = "";
    const struct spn_client_options options = {.size = sizeof(options), .socket_dir = fake.dir};
    take_descriptors_but(TOO_FEW);
    assert_int_equal(spn_client_open(&client, &options, 100, detail, sizeof(detail)), SPN_E_SYSTEM);
    assert_non_null(strstr(detail, "Too many open files"));
    assert_null(client);
}

/* Where it looks for sockets there are none until dir_link is made. */
static void begin_client_without_sockets(void)
{
    strcpy(runtime_dir, "/tmp/spn-shortage-XXXXXX");
    assert_non_null(mkdtemp(runtime_dir));
    snprintf(dir_link, sizeof(dir_link), "%s/sponson", runtime_dir);
    unsetenv("SPONSON_SOCKET_DIR");
    setenv("XDG_RUNTIME_DIR", runtime_dir, 1);
    assert_int_equal(client_begin(&client, NULL, fake_now, NULL, 0), SPN_OK);
}

/* A directory of sockets that appears later is found as usual, and its sockets wait. */
static void sockets_that_are_found_wait_for_descriptors(void **state)
{
    (void)state;
    begin_client_without_sockets();
    take_descriptors_but(TOO_FEW);
    assert_int_equal(symlink(fake.dir, dir_link), 0);
    expect_no_descriptors();
    give_back_descriptors();
    step_until_ready();
}

/* The handshake is done on one socket, while there are too few for the other one. */
static void second_socket_waits_for_descriptors(void **state)
{
    (void)state;
    begin_client_without_sockets();
    begin_producer();
    take_descriptors_but(FOR_ONE);
    assert_int_equal(symlink(fake.dir, dir_link), 0);
    fake_pass(1000 * NS_PER_MS);
    step_until_ready();
    assert_true(client_is_short(client));
    assert_int_equal(spn_producer_ready(producer), SPN_E_TIMEOUT);
    give_back_descriptors();
    fake_pass(1000 * NS_PER_MS);
    step_until_open();
    assert_false(client_is_short(client));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(subscribes_once_there_is_memory),
        TEST(leaves_once_there_is_memory),
        TEST(leaves_when_it_is_closed),
        TEST(publishes_once_there_is_memory),
        TEST(asks_once_there_is_memory),
        TEST(descriptors_are_waited_for),
        TEST(descriptors_are_waited_for_by_a_timer),
        TEST(at_once_does_not_wait_for_descriptors),
        TEST(open_waits_for_descriptors_until_its_timeout),
        TEST(sockets_that_are_found_wait_for_descriptors),
        TEST(second_socket_waits_for_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
