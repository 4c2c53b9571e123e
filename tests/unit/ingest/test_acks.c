/* SPDX-License-Identifier: Apache-2.0 */
/* test_acks: what producers are answered, whichever message finds no room.
 *
 * Random numbers become durable while ZeroMQ is full now and then; a plain list says what each
 * producer knows. In the end each knows everything, and nobody ever knew more than was true. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "ingest/acks.h"
#include "ingest/sender.h"

#define MS UINT64_C(1000000)

enum { PRODUCERS = 5, STEPS = 20000, REFUSED_CODE = SPN_E_CLOSED };

static struct acks acks;
static struct router router;
static struct commit_state commits;
static struct metrics metrics;
static struct sender senders[PRODUCERS];
static uint64_t knows[PRODUCERS]; /* as far as it was told */
static bool is_full;
static bool is_gone;
static size_t refused;     /* sends */
static uint8_t newest[64]; /* message, all of it that is looked at */
static size_t sent;

/* -- the fake ---------------------------------------------------------------------------------- */

spn_err __wrap_router_send_address(struct router *to, const struct peer *peer);
spn_err __wrap_router_send_body(struct router *to, const void *bytes, size_t size);
spn_err __wrap_router_send(struct router *to, const struct peer *peer, const void *bytes,
                           size_t size);

static size_t addressed;

spn_err __wrap_router_send_address(struct router *to, const struct peer *peer)
{
    assert_ptr_equal(to, &router);
    addressed = peer->bytes[0];
    refused += is_full || is_gone;
    return is_gone ? SPN_E_UNAVAILABLE : is_full ? SPN_E_BACKPRESSURE : SPN_OK;
}

static void take_ack(struct wire_in *in)
{
    struct wire_ack ack;
    wire_get_ack(in, &ack);
    for (uint32_t i = 0; i < ack.run_count; i++) {
        struct wire_run run;
        wire_get_run(in, &run);
    }
    assert_true(wire_in_done(in));
    assert_int_equal(ack.token, senders[addressed].producer.token);
    assert_int_equal(ack.from, knows[addressed]);
    assert_true(ack.up_to > ack.from && ack.up_to <= senders[addressed].producer.durable);
    knows[addressed] = ack.up_to;
}

spn_err __wrap_router_send_body(struct router *to, const void *bytes, size_t size)
{
    struct wire_in in = wire_in(bytes, size);
    struct wire_header header;
    assert_ptr_equal(to, &router);
    assert_int_equal(wire_get_header(&in, &header), SPN_OK);
    memcpy(newest, bytes, size < sizeof(newest) ? size : sizeof(newest));
    sent++;
    if (header.type == WIRE_ACK)
        take_ack(&in);
    return SPN_OK;
}

spn_err __wrap_router_send(struct router *to, const struct peer *peer, const void *bytes,
                           size_t size)
{
    spn_err err = __wrap_router_send_address(to, peer);
    return err == SPN_OK ? __wrap_router_send_body(to, bytes, size) : err;
}

static int setup(void **state)
{
    (void)state;
    memset(&metrics, 0, sizeof(metrics));
    memset(senders, 0, sizeof(senders));
    memset(knows, 0, sizeof(knows));
    is_full = is_gone = false;
    refused = sent = 0;
    for (size_t i = 0; i < PRODUCERS; i++) {
        senders[i].producer.token = 100 + i;
        senders[i].acks.level = WIRE_DURABLE;
        senders[i].acks.peer = (struct peer){.size = 1, .bytes = {(uint8_t)i}};
    }
    acks_init(&acks, &router, &commits, &metrics);
    return 0;
}

/* -- acknowledgements -------------------------------------------------------------------------- */

static uint64_t random_next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static void each_learns_all_in_the_end(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    uint64_t now_ns = 0;
    for (int step = 0; step < STEPS; step++) {
        uint64_t roll = random_next(&random);
        struct producer *producer = &senders[(roll >> 32) % PRODUCERS].producer;
        is_full = roll % 8 < 3;
        now_ns += (roll >> 8) % 4 * MS;
        if (roll >> 16 & 1) {
            producer->durable = producer->accepted += 1 + (roll >> 20) % 3;
            acks_add(&acks, producer);
        }
        acks_send(&acks, now_ns);
        assert_true(acks_due_ns(&acks) == UINT64_MAX || acks_due_ns(&acks) <= now_ns + 10 * MS);
    }
    assert_true(refused > 1000);
    is_full = false;
    acks_send(&acks, now_ns + 10 * MS);
    for (size_t i = 0; i < PRODUCERS; i++) {
        assert_true(senders[i].producer.durable > 1000);
        assert_int_equal(knows[i], senders[i].producer.durable);
    }
    assert_int_equal(acks_due_ns(&acks), UINT64_MAX);
}

/* A thousand pipes that are full are not tried with each turn. */
static void a_full_pipe_is_tried_again_in_time(void **state)
{
    (void)state;
    senders[0].producer.durable = 5;
    is_full = true;
    acks_add(&acks, &senders[0].producer);
    acks_send(&acks, 100 * MS);
    assert_int_equal(refused, 1);
    assert_int_equal(acks_due_ns(&acks), 110 * MS);
    acks_add(&acks, &senders[0].producer);
    acks_send(&acks, 109 * MS);
    assert_int_equal(refused, 1);
    acks_send(&acks, 110 * MS);
    assert_int_equal(refused, 2);
    is_full = false;
    acks_send(&acks, 120 * MS);
    assert_int_equal(knows[0], 5);
    assert_int_equal(metrics_get(&metrics.acks_owed), 2);
}

static void one_that_is_gone_is_not_owed_anything(void **state)
{
    (void)state;
    senders[0].producer.durable = 5;
    is_gone = true;
    acks_add(&acks, &senders[0].producer);
    acks_send(&acks, MS);
    assert_int_equal(acks_due_ns(&acks), UINT64_MAX);
    is_gone = false; /* it comes again, with a batch */
    acks_add(&acks, &senders[0].producer);
    acks_send(&acks, MS);
    assert_int_equal(knows[0], 5);
}

static void levels(void **state)
{
    (void)state;
    static const struct {
        uint8_t level;
        bool on_disk;
        uint64_t told; /* of 9 accepted and 5 durable */
    } rows[] = {{WIRE_NONE, true, 0},
                {WIRE_ACCEPTED, true, 9},
                {WIRE_ACCEPTED, false, 5},
                {WIRE_DURABLE, true, 5}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)setup(NULL);
        senders[0].acks.level = rows[i].level;
        senders[0].producer.on_disk = rows[i].on_disk;
        senders[0].producer.accepted = 9;
        senders[0].producer.durable = rows[i].told == 9 ? 9 : 5; /* what the fake allows */
        acks_add(&acks, &senders[0].producer);
        acks_send(&acks, MS);
        assert_int_equal(knows[0], rows[i].told);
    }
}

/* -- holes and refusals ------------------------------------------------------------------------ */

/* Once in a round; a round whose answer found no room is answered by its next batch. */
static void a_round_is_answered_once(void **state)
{
    (void)state;
    is_full = true;
    acks_hole(&acks, &senders[0].producer, 1);
    assert_int_equal(sent, 0);
    is_full = false;
    acks_hole(&acks, &senders[0].producer, 1);
    acks_hole(&acks, &senders[0].producer, 1);
    assert_int_equal(sent, 1);
    acks_hole(&acks, &senders[0].producer, 2);
    assert_int_equal(sent, 2);
    acks_hole(&acks, &senders[0].producer, 1);
    assert_int_equal(sent, 2);
    assert_int_equal(metrics_get(&metrics.holes), 5);
}

static void a_refusal_answers_its_round(void **state)
{
    (void)state;
    struct wire_refused refusal = {.token = 100, .number = 3, .code = REFUSED_CODE, .round = 4};
    acks_refusal_waits(&senders[0].producer, &refusal);
    acks_hole(&acks, &senders[0].producer, 4);
    assert_int_equal(sent, 0);
    acks_refuse(&acks, &senders[0].producer, &refusal);
    assert_int_equal(sent, 1);
    assert_int_equal(metrics_get(&metrics.refused_closed), 1);
    acks_hole(&acks, &senders[0].producer, 5);
    assert_int_equal(sent, 2);
    refusal.token = 99; /* an earlier holder's */
    acks_refuse(&acks, &senders[0].producer, &refusal);
    assert_int_equal(sent, 2);
}

#define TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_learns_all_in_the_end),
        TEST(a_full_pipe_is_tried_again_in_time),
        TEST(one_that_is_gone_is_not_owed_anything),
        TEST(levels),
        TEST(a_round_is_answered_once),
        TEST(a_refusal_answers_its_round),
    };
    return cmocka_run_group_tests_name("acks", tests, NULL, NULL);
}
