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

#include <stdlib.h>
#include <string.h>

#include "ingest/acks.h"
#include "ingest/sender.h"

#define MS UINT64_C(1000000)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { PRODUCERS = 5, STEPS = 20000, RUNS_HERE = 4 };

static struct acks acks;
static struct router router;
static struct commit_state commits;
static struct metrics metrics;
static struct sender senders[PRODUCERS];
static uint64_t knows[PRODUCERS]; /* as far as it was told */
static bool is_full;
static bool is_gone;
static size_t refused; /* sends */
static size_t sent;
static struct wire_run runs[RUNS_HERE]; /* of the newest acknowledgement */
static uint32_t run_count;

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
    run_count = ack.run_count;
    assert_true(run_count <= RUNS_HERE);
    for (uint32_t i = 0; i < run_count; i++)
        wire_get_run(in, &runs[i]);
    assert_true(wire_in_done(in));
    assert_int_equal(ack.token, senders[addressed].producer.token);
    assert_int_equal(ack.from, knows[addressed]);
    assert_int_equal(ack.level, senders[addressed].acks.level);
    assert_true(ack.up_to > ack.from && ack.up_to <= senders[addressed].producer.accepted);
    if (ack.level != WIRE_ACCEPTED || !senders[addressed].producer.on_disk)
        assert_true(ack.up_to <= senders[addressed].producer.durable);
    knows[addressed] = ack.up_to;
}

spn_err __wrap_router_send_body(struct router *to, const void *bytes, size_t size)
{
    struct wire_in in = wire_in(bytes, size);
    struct wire_header header;
    assert_ptr_equal(to, &router);
    assert_int_equal(wire_get_header(&in, &header), SPN_OK);
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
    for (size_t i = 0; i < PRODUCERS; i++)
        free(senders[i].producer.runs);
    memset(senders, 0, sizeof(senders));
    run_count = 0;
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
    senders[0].producer.accepted = senders[0].producer.durable = 5;
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
    senders[0].producer.accepted = senders[0].producer.durable = 5;
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
        senders[0].producer.durable = 5;
        acks_add(&acks, &senders[0].producer);
        acks_send(&acks, MS);
        assert_int_equal(knows[0], rows[i].told);
    }
}

/* -- holes ------------------------------------------------------------------------------------- */

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

/* -- refusals ---------------------------------------------------------------------------------- */

/* Of 9 accepted numbers one is a duplicate, 3, and one or two are refused. */
static const struct refusal_row {
    const char *name;
    uint8_t level;
    uint64_t durable;
    struct wire_run refusals[2];
    uint64_t told;    /* up to here; 0: nothing is sent */
    const char *runs; /* a letter each: d duplicate, r refused */
} refusal_rows[] = {
    {"none: nothing is refused", WIRE_NONE, 9, {{0}}, 0, ""},
    {"none: not durable", WIRE_NONE, 4, {{5, 1, WIRE_REFUSED, SPN_E_CLOSED}}, 0, ""},
    {"none: durable", WIRE_NONE, 5, {{5, 1, WIRE_REFUSED, SPN_E_CLOSED}}, 5, "r"},
    {"none: of contents, not durable", WIRE_NONE, 4, {{5, 1, WIRE_REFUSED, SPN_E_BAD_ID}}, 0, ""},
    {"none: one is durable, and one is not",
     WIRE_NONE,
     7,
     {{5, 1, WIRE_REFUSED, SPN_E_BAD_ID}, {8, 1, WIRE_REFUSED, SPN_E_BAD_ID}},
     7,
     "r"},
    {"accepted: not durable", WIRE_ACCEPTED, 2, {{5, 1, WIRE_REFUSED, SPN_E_CLOSED}}, 4, "d"},
    {"accepted: of contents, not durable",
     WIRE_ACCEPTED,
     2,
     {{5, 1, WIRE_REFUSED, SPN_E_BAD_DATA}},
     4,
     "d"},
    {"accepted: what it may rest on is durable, and it is not",
     WIRE_ACCEPTED,
     4,
     {{5, 1, WIRE_REFUSED, SPN_E_CLOSED}},
     4,
     "d"},
    {"accepted: durable", WIRE_ACCEPTED, 5, {{5, 1, WIRE_REFUSED, SPN_E_CLOSED}}, 9, "dr"},
    {"accepted: half of a run is durable",
     WIRE_ACCEPTED,
     6,
     {{5, 3, WIRE_REFUSED, SPN_E_CLOSED}},
     6,
     "dr"},
    {"accepted: one is durable, and one is not",
     WIRE_ACCEPTED,
     6,
     {{5, 1, WIRE_REFUSED, SPN_E_CLOSED}, {8, 1, WIRE_REFUSED, SPN_E_CORRUPT}},
     7,
     "dr"},
    {"accepted: the first number", WIRE_ACCEPTED, 0, {{4, 1, WIRE_REFUSED, SPN_E_CLOSED}}, 3, "d"},
    {"durable: not durable", WIRE_DURABLE, 4, {{5, 1, WIRE_REFUSED, SPN_E_CLOSED}}, 4, "d"},
    {"durable: durable", WIRE_DURABLE, 5, {{5, 1, WIRE_REFUSED, SPN_E_CLOSED}}, 5, "dr"},
    {"durable: two codes are two runs",
     WIRE_DURABLE,
     9,
     {{5, 1, WIRE_REFUSED, SPN_E_CLOSED}, {6, 1, WIRE_REFUSED, SPN_E_BAD_ID}},
     9,
     "drr"},
};

static void run_refusal(void **state)
{
    const struct refusal_row *row = *state;
    (void)setup(NULL);
    struct producer *producer = &senders[0].producer;
    senders[0].acks.level = row->level;
    producer->base = 1;
    producer->on_disk = true;
    producer->accepted = 9;
    producer->durable = row->durable;
    assert_int_equal(producer_note(producer, 3, WIRE_DUPLICATE, SPN_OK), SPN_OK);
    for (size_t i = 0; i < 2; i++)
        for (uint32_t j = 0; j < row->refusals[i].count; j++)
            assert_int_equal(producer_note(producer, row->refusals[i].first + j, WIRE_REFUSED,
                                           (spn_err)row->refusals[i].code),
                             SPN_OK);
    acks_add(&acks, producer);
    acks_send(&acks, MS);
    assert_int_equal(knows[0], row->told);
    assert_int_equal(sent, row->told > 0);
    assert_int_equal(run_count, strlen(row->runs));
    size_t refusal = 0;
    for (uint32_t i = 0; i < run_count; i++) {
        bool is_refused = row->runs[i] == 'r';
        assert_int_equal(runs[i].result, is_refused ? WIRE_REFUSED : WIRE_DUPLICATE);
        assert_int_equal(runs[i].code, is_refused ? row->refusals[refusal].code : 0);
        refusal += is_refused;
    }
}

/* What is left of a batch after its refusal is acknowledged once that is durable. */
static void the_rest_follows_when_the_refusal_is_durable(void **state)
{
    (void)state;
    struct producer *producer = &senders[0].producer;
    senders[0].acks.level = WIRE_ACCEPTED;
    producer->base = 1;
    producer->on_disk = true;
    producer->accepted = 9;
    assert_int_equal(producer_note(producer, 5, WIRE_REFUSED, SPN_E_CLOSED), SPN_OK);
    acks_add(&acks, producer);
    acks_send(&acks, MS);
    assert_int_equal(knows[0], 4);
    acks_add(&acks, producer); /* another batch of its events came */
    acks_send(&acks, MS);
    assert_int_equal(sent, 1);
    producer->durable = 9;
    acks_add(&acks, producer);
    acks_send(&acks, MS);
    assert_int_equal(knows[0], 9);
    assert_int_equal(run_count, 1);
}

/* It keeps nothing, and may not read: its next numbers do not wait for that. */
static void level_none_is_not_owed_anything(void **state)
{
    (void)state;
    struct producer *producer = &senders[0].producer;
    for (int i = 0; i < 2; i++) {
        (void)setup(NULL);
        senders[0].acks.level = WIRE_NONE;
        producer->base = 1;
        producer->accepted = producer->durable = 5;
        assert_int_equal(producer_note(producer, 5, WIRE_REFUSED, SPN_E_CLOSED), SPN_OK);
        is_full = i == 0;
        is_gone = i == 1;
        acks_add(&acks, producer);
        acks_send(&acks, MS);
        assert_int_equal(refused, 1);
        assert_int_equal(acks_due_ns(&acks), UINT64_MAX);
        assert_int_equal(producer->acked, 5);
    }
}

#define TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
    static const struct CMUnitTest plain[] = {
        TEST(each_learns_all_in_the_end),
        TEST(a_full_pipe_is_tried_again_in_time),
        TEST(one_that_is_gone_is_not_owed_anything),
        TEST(levels),
        TEST(a_round_is_answered_once),
        TEST(the_rest_follows_when_the_refusal_is_durable),
        TEST(level_none_is_not_owed_anything),
    };
    static struct CMUnitTest tests[COUNT(plain) + COUNT(refusal_rows)];
    memcpy(tests, plain, sizeof(plain));
    for (size_t i = 0; i < COUNT(refusal_rows); i++)
        tests[COUNT(plain) + i] = (struct CMUnitTest){refusal_rows[i].name, run_refusal, NULL, NULL,
                                                      (void *)(uintptr_t)&refusal_rows[i]};
    return cmocka_run_group_tests_name("acks", tests, NULL, NULL);
}
