/* SPDX-License-Identifier: Apache-2.0 */
/* test_holders: OPEN and STATE on ingest.sock. While memory runs out, either nothing happened or
 * everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define ALLOCATIONS_CALLOC
#include "allocations.h"
#include "ingest/broker_base.h"

enum { TOKEN = 77, HELD = 7, TRIES_MAX = 20 };

static uint64_t now_ns = 1;

static uint64_t fake_ns(void)
{
    return now_ns;
}

static const struct clock fake_clock = {
    .monotonic_ns = fake_ns, .boot_ns = fake_ns, .wall_ms = fake_ns};
static const uint8_t secret[RECORD_SECRET_SIZE] = "a secret of the test";
static const struct peer one_peer = {.size = 1, .bytes = {7}};
static const uint8_t id[WIRE_PRODUCER_ID_SIZE] = "producer-of-16.";
static struct commit_state commits;
static struct metrics metrics;
static struct mailbox reader;
static struct broker_state state;
static struct broker broker;
static const struct broker_options options = {.clock = &fake_clock,
                                              .metrics = &metrics,
                                              .commits = &commits,
                                              .reader = &reader,
                                              .secret = secret,
                                              .database = (const uint8_t *)"the database id ",
                                              .data_max = 1024,
                                              .queue_events_max = 32,
                                              .queue_bytes_max = 1 << 16,
                                              .generation_bytes_max = 1 << 20,
                                              .producers_max = 100};
static struct producer *producer;

/* The answer that was sent last. */
static struct {
    unsigned count;
    struct wire_header header;
    struct wire_error error;
    struct wire_state state;
    bool full; /* ZeroMQ has no room */
} sent;

spn_err __wrap_router_send(struct router *router, const struct peer *peer, const void *bytes,
                           size_t size);

spn_err __wrap_router_send(struct router *router, const struct peer *peer, const void *bytes,
                           size_t size)
{
    struct wire_in in = wire_in(bytes, size);
    (void)router;
    assert_int_equal(peer->size, 1);
    if (sent.full)
        return SPN_E_BACKPRESSURE;
    sent.count++;
    assert_int_equal(wire_get_header(&in, &sent.header), SPN_OK);
    sent.error = (struct wire_error){0};
    if (sent.header.type == WIRE_ERROR)
        wire_get_error(&in, &sent.error);
    else
        wire_get_state(&in, &sent.state);
    return SPN_OK;
}

static int setup(void **unused)
{
    zmq_msg_t frame;
    (void)unused;
    memset(&sent, 0, sizeof(sent));
    state = (struct broker_state){.active = generation_new(1), .next_position = 1};
    broker = (struct broker){.options = &options, .state = &state};
    if (mailbox_init(&reader) != SPN_OK || sessions_init(&state.sessions, 3, 16) != SPN_OK ||
        producers_init(&state.producers, sizeof(struct sender), sender_is_idle) != SPN_OK ||
        intake_init(&broker.intake, &options, &state) != SPN_OK)
        return -1;
    parking_init(&broker.parking, &broker.share, options.queue_bytes_max);
    freezing_init(&broker.freezing, &options, &state, &broker.handed_over);
    answers_init(&broker.answers, &broker.router, &fake_clock);
    holders_init(&broker);
    if (producers_add(&state.producers, id, &(struct producer_owner){.kept = true}, &producer) !=
            SPN_OK ||
        producers_give(&state.producers, producer, TOKEN) != SPN_OK)
        return -1;
    producer->accepted = 10;
    producer_written(&state.producers, producer);
    assert_int_equal(producer_note(producer, 5, WIRE_CONFLICT, SPN_OK), SPN_OK);
    assert_int_equal(zmq_msg_init_size(&frame, 100), 0);
    parking_park(&broker.parking, producer, &one_peer, &frame);
    parking_set_held(&broker.parking, producer, HELD);
    zmq_msg_close(&frame);
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    allocations_left = UINT32_MAX;
    parking_drop_all(&broker.parking, producer);
    answers_release(&broker.answers);
    intake_release(&broker.intake);
    generation_drop(state.active);
    sessions_release(&state.sessions);
    producers_release(&state.producers);
    mailbox_release(&reader);
    return 0;
}

static spn_err open_as(const struct wire_open *open)
{
    uint8_t bytes[96];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_open(&out, open);
    assert_false(out.bad);
    return holders_open(&broker, &one_peer, 1, 1000, wire_in(bytes, wire_out_size(&out)));
}

static spn_err ask_state(uint64_t token)
{
    uint8_t bytes[16];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_put_ask(&out, &(struct wire_ask){.token = token, .base = 1});
    return holders_state(&broker, &one_peer, 2, wire_in(bytes, wire_out_size(&out)));
}

static struct wire_open a_new_holder(void)
{
    struct wire_open open = {.base = 1, .kept = true};
    memcpy(open.producer, id, sizeof(id));
    return open;
}

static struct batch *handed_over(void)
{
    struct batch *batch = (struct batch *)broker.handed_over.oldest;
    assert_non_null(batch);
    return batch;
}

/* A holder that knows nothing opens the producer. False: it was answered, by an ERROR. */
static bool open_with(unsigned granted)
{
    struct wire_open open = a_new_holder();
    unsigned before = sent.count;
    allocations_left = granted;
    assert_int_equal(open_as(&open), SPN_OK);
    allocations_left = UINT32_MAX;
    return sent.count == before;
}

static void without_memory_nothing_happens(void **unused)
{
    (void)unused;
    size_t held_bytes = broker.parking.held_bytes;
    unsigned granted = 0;
    assert_true(held_bytes > 0);
    while (!open_with(granted)) {
        assert_int_equal(sent.header.type, WIRE_ERROR);
        assert_int_equal(sent.header.request, 1);
        assert_int_equal(sent.error.code, SPN_E_NOMEM);
        assert_int_equal(producer->token, TOKEN);
        assert_ptr_equal(producers_find_token(&state.producers, TOKEN), producer);
        assert_int_equal(sender_of(producer)->parking.held, HELD);
        assert_int_equal(broker.parking.held_bytes, held_bytes);
        assert_int_equal(broker.holders.opening, 0);
        assert_null(broker.handed_over.newest);
        assert_true(++granted < TRIES_MAX);
    }
    assert_true(granted >= 3); /* the batch, its runs, and what is answered later */
    struct batch *batch = handed_over();
    assert_non_null(batch->opened);
    assert_int_not_equal(producer->token, TOKEN);
    assert_int_equal(batch->opened->token, producer->token);
    assert_int_equal(batch->record.token, producer->token);
    assert_int_equal(batch->record.run_count, 1);
    assert_int_equal(sender_of(producer)->parking.held, 0);
    assert_int_equal(broker.parking.held_bytes, 0);
    assert_int_equal(broker.holders.opening, 1);
    batch_free(batch);
}

/* The answer comes when the token is on disk, and says so to the holder that was first if there is
 * another one by then. */
static void a_token_is_answered_when_it_is_on_disk(void **unused)
{
    (void)unused;
    for (int again = 0; again < 2; again++) {
        assert_true(open_with(UINT32_MAX));
        struct batch *batch = handed_over();
        broker.handed_over = (struct message_chain){0};
        if (again > 0)
            assert_int_equal(producers_give(&state.producers, producer, TOKEN + 1), SPN_OK);
        holders_opened(&broker, batch->opened, producer);
        assert_int_equal(sent.header.request, 1);
        assert_int_equal(sent.header.type, again > 0 ? WIRE_ERROR : WIRE_OPENED);
        assert_int_equal(sent.error.code, again > 0 ? SPN_E_FENCED : SPN_OK);
        if (again == 0)
            assert_int_equal(sent.state.token, producer->token);
        assert_int_equal(broker.holders.opening, 0);
        batch_free(batch);
    }
}

/* A disk that does not get on must not make the broker keep OPENs without end. */
static void openings_are_bounded(void **unused)
{
    (void)unused;
    unsigned waiting = 0;
    while (open_with(UINT32_MAX))
        assert_true(++waiting < 1000);
    assert_int_equal(sent.error.code, SPN_E_BACKPRESSURE);
    assert_int_equal(waiting, 256);
    struct message *message = broker.handed_over.newest;
    while (message) {
        struct message *next = message->next;
        batch_free((struct batch *)message);
        message = next;
    }
}

static void states_are_answered(void **unused)
{
    (void)unused;
    assert_int_equal(ask_state(TOKEN), SPN_OK);
    assert_int_equal(sent.header.type, WIRE_STATE_IS);
    assert_int_equal(sent.header.request, 2);
    assert_int_equal(sent.state.accepted, 10);
    assert_int_equal(ask_state(TOKEN + 5), SPN_OK);
    assert_int_equal(sent.header.type, WIRE_ERROR);
    assert_int_equal(sent.error.code, SPN_E_STALE_TOKEN);
}

/* A peer that takes nothing for a moment gets its answers a little later. */
static void an_answer_that_meets_a_full_pipe_is_kept(void **unused)
{
    (void)unused;
    sent.full = true;
    assert_int_equal(ask_state(TOKEN), SPN_OK);
    assert_int_equal(ask_state(TOKEN + 5), SPN_OK);
    assert_int_equal(sent.count, 0);
    assert_true(answers_due_ns(&broker.answers) > now_ns);
    now_ns = answers_due_ns(&broker.answers);
    answers_retry(&broker.answers);
    sent.full = false;
    now_ns = answers_due_ns(&broker.answers);
    answers_retry(&broker.answers);
    assert_int_equal(sent.count, 2);
    assert_int_equal(sent.header.type, WIRE_ERROR); /* in order */
    assert_int_equal(answers_due_ns(&broker.answers), UINT64_MAX);
    assert_int_equal(broker.answers.kept_bytes, 0);
}

static void kept_answers_are_bounded(void **unused)
{
    (void)unused;
    sent.full = true;
    for (int i = 0; i < 100000; i++)
        assert_int_equal(ask_state(TOKEN), SPN_OK);
    assert_true(broker.answers.kept_bytes > ANSWERS_KEPT_BYTES_MAX / 2);
    assert_true(broker.answers.kept_bytes <= ANSWERS_KEPT_BYTES_MAX);
    now_ns += (uint64_t)ANSWERS_KEPT_MS * 1000000u;
    answers_retry(&broker.answers);
    assert_int_equal(broker.answers.kept_bytes, 0); /* their clients have repeated the requests */
}

static void what_is_no_open_is_not_answered(void **unused)
{
    (void)unused;
    uint8_t bytes[96] = {0};
    for (size_t size = 0; size < sizeof(bytes); size++) {
        assert_int_equal(holders_open(&broker, &one_peer, 1, 0, wire_in(bytes, size)),
                         SPN_E_PROTOCOL);
        if (size != 16)
            assert_int_equal(holders_state(&broker, &one_peer, 1, wire_in(bytes, size)),
                             SPN_E_PROTOCOL);
    }
    assert_int_equal(sent.count, 0);
}

/* Producers are looked for once in a sixteenth of their time to live. */
static void a_time_to_live_that_changes(void **unused)
{
    (void)unused;
    const uint64_t hour_ns = UINT64_C(3600) * 1000000000;
    struct broker_options changed = options;
    broker.options = &changed;
    changed.producer_ttl_ns = 16 * hour_ns;
    holders_init(&broker);
    assert_int_equal(holders_due_ns(&broker), now_ns + hour_ns);
    changed.producer_ttl_ns = 8 * hour_ns;
    holders_follow_options(&broker);
    assert_int_equal(holders_due_ns(&broker), now_ns + hour_ns / 2);
    changed.producer_ttl_ns = 32 * hour_ns; /* one more look does no harm */
    holders_follow_options(&broker);
    assert_int_equal(holders_due_ns(&broker), now_ns + hour_ns / 2);
    changed.producer_ttl_ns = 0;
    holders_follow_options(&broker);
    assert_int_equal(holders_due_ns(&broker), UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_memory_nothing_happens, setup, teardown),
        cmocka_unit_test_setup_teardown(a_token_is_answered_when_it_is_on_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(openings_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(states_are_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_that_meets_a_full_pipe_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(kept_answers_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_open_is_not_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(a_time_to_live_that_changes, setup, teardown),
    };
    return cmocka_run_group_tests_name("holders", tests, NULL, NULL);
}
