/* SPDX-License-Identifier: Apache-2.0 */
/* test_router: when a peer is full, with ZeroMQ itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "net/router.h"

enum {
    HWM = 2,
    ROUNDS = 3000,
    SENDS_MAX = 100000, /* more than any buffer between them holds */
    BODY = 1024,
};

static void *context, *bound, *dealer;
static struct router router;
static struct peer peer;

static size_t looks; /* at the socket's events, by the router */

int __real_zmq_getsockopt(void *socket, int option, void *value, size_t *size);
int __wrap_zmq_getsockopt(void *socket, int option, void *value, size_t *size);

int __wrap_zmq_getsockopt(void *socket, int option, void *value, size_t *size)
{
    looks += option == ZMQ_EVENTS;
    return __real_zmq_getsockopt(socket, option, value, size);
}

static void set(void *socket, int option, int value)
{
    assert_int_equal(zmq_setsockopt(socket, option, &value, sizeof(value)), 0);
}

/* The peer is known by a message of its own. */
static int setup(void **state)
{
    zmq_msg_t frame;
    size_t frames = 0;
    char address[256];
    size_t size = sizeof(address);
    (void)state;
    context = zmq_ctx_new();
    bound = zmq_socket(context, ZMQ_ROUTER);
    dealer = zmq_socket(context, ZMQ_DEALER);
    set(bound, ZMQ_ROUTER_MANDATORY, 1);
    set(bound, ZMQ_SNDHWM, HWM);
    set(dealer, ZMQ_RCVHWM, HWM);
    set(bound, ZMQ_LINGER, 0);
    set(dealer, ZMQ_LINGER, 0);
    assert_int_equal(zmq_bind(bound, "ipc://*"), 0);
    assert_int_equal(zmq_getsockopt(bound, ZMQ_LAST_ENDPOINT, address, &size), 0);
    assert_int_equal(zmq_connect(dealer, address), 0);
    assert_int_equal(zmq_send(dealer, "x", 1, 0), 1);
    assert_int_equal(router_init(&router, bound), SPN_OK);
    zmq_pollitem_t item = {.socket = bound, .events = ZMQ_POLLIN};
    assert_int_equal(zmq_poll(&item, 1, 10000), 1);
    assert_true(router_receive(&router, &peer, &frame, &frames));
    assert_int_equal(frames, 1);
    zmq_msg_close(&frame);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    zmq_close(dealer);
    zmq_close(bound);
    zmq_ctx_term(context);
    return 0;
}

static void who_takes_everything_is_never_full(void **state)
{
    uint8_t body[BODY] = {0};
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(router_send(&router, &peer, body, 1), SPN_OK);
        assert_int_equal(zmq_recv(dealer, body, sizeof(body), 0), 1);
    }
}

static void who_takes_nothing_is_full_in_the_end(void **state)
{
    static const uint8_t body[BODY];
    spn_err err = SPN_OK;
    (void)state;
    for (int i = 0; i < SENDS_MAX && err == SPN_OK; i++)
        err = router_send(&router, &peer, body, sizeof(body));
    assert_int_equal(err, SPN_E_BACKPRESSURE);
}

/* A look takes as long as there are full peers: with 4,000 of them, a round of the retries took
 * 0.5 s. */
static void a_round_over_full_peers_looks_once(void **state)
{
    who_takes_nothing_is_full_in_the_end(state);
    looks = 0;
    for (int i = 0; i < ROUNDS; i++)
        assert_int_equal(router_send(&router, &peer, "x", 1), SPN_E_BACKPRESSURE);
    assert_true(looks <= 1);
}

static void who_is_not_there_is_unavailable(void **state)
{
    const struct peer nobody = {.size = 0};
    const struct peer stranger = {.size = 3, .bytes = "abc"};
    (void)state;
    assert_int_equal(router_send(&router, &nobody, "x", 1), SPN_E_UNAVAILABLE);
    assert_int_equal(router_send(&router, &stranger, "x", 1), SPN_E_UNAVAILABLE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(who_takes_everything_is_never_full),
        TEST(who_takes_nothing_is_full_in_the_end),
        TEST(a_round_over_full_peers_looks_once),
        TEST(who_is_not_there_is_unavailable),
    };
    return cmocka_run_group_tests_name("router", tests, NULL, NULL);
}
