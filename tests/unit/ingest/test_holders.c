/* SPDX-License-Identifier: Apache-2.0 */
/* test_holders: a new holder while memory runs out. Either nothing happened, or everything. */
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

static uint64_t fake_ns(void)
{
    return 1;
}

static const struct clock fake_clock = {
    .monotonic_ns = fake_ns, .boot_ns = fake_ns, .wall_ms = fake_ns};
static const uint8_t secret[RECORD_SECRET_SIZE] = "a secret of the test";
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

static int setup(void **unused)
{
    const struct peer peer = {.size = 1, .bytes = {7}};
    zmq_msg_t frame;
    (void)unused;
    state = (struct broker_state){.active = generation_new(1), .next_position = 1};
    broker = (struct broker){.options = &options, .state = &state};
    if (mailbox_init(&reader) != SPN_OK || sessions_init(&state.sessions, 3, 16) != SPN_OK ||
        producers_init(&state.producers, sizeof(struct sender), sender_is_idle) != SPN_OK ||
        intake_init(&broker.intake, &options, &state) != SPN_OK)
        return -1;
    parking_init(&broker.parking, &broker.share, options.queue_bytes_max);
    freezing_init(&broker.freezing, &options, &state, &broker.handed_over);
    holders_init(&broker);
    if (producers_add(&state.producers, id, &(struct producer_owner){.kept = true}, &producer) !=
            SPN_OK ||
        producers_give(&state.producers, producer, TOKEN) != SPN_OK)
        return -1;
    producer->accepted = 10;
    producer_written(&state.producers, producer);
    assert_int_equal(producer_note(producer, 5, WIRE_CONFLICT, SPN_OK), SPN_OK);
    assert_int_equal(zmq_msg_init_size(&frame, 100), 0);
    parking_park(&broker.parking, producer, &peer, &frame);
    parking_set_held(&broker.parking, producer, HELD);
    zmq_msg_close(&frame);
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    allocations_left = UINT32_MAX;
    parking_drop_all(&broker.parking, producer);
    intake_release(&broker.intake);
    generation_drop(state.active);
    sessions_release(&state.sessions);
    producers_release(&state.producers);
    mailbox_release(&reader);
    return 0;
}

/* A holder that knows nothing opens the producer. */
static spn_err open_with(unsigned granted, struct holder_question **ret_question)
{
    struct holder_question *question =
        holder_question_new(&(struct asker){.type = WIRE_OPEN, .request = 1});
    assert_non_null(question);
    memcpy(question->producer_id, id, sizeof(id));
    allocations_left = granted;
    holders_answer(&broker, question);
    allocations_left = UINT32_MAX;
    *ret_question = question;
    return mailbox_take(&reader) ? question->err : SPN_OK;
}

static void without_memory_nothing_happens(void **unused)
{
    (void)unused;
    struct holder_question *question;
    size_t held_bytes = broker.parking.held_bytes;
    unsigned granted = 0;
    assert_true(held_bytes > 0);
    while (open_with(granted, &question) != SPN_OK) {
        assert_int_equal(question->err, SPN_E_NOMEM);
        assert_int_equal(producer->token, TOKEN);
        assert_ptr_equal(producers_find_token(&state.producers, TOKEN), producer);
        assert_int_equal(sender_of(producer)->parking.held, HELD);
        assert_int_equal(broker.parking.held_bytes, held_bytes);
        assert_null(broker.handed_over.newest);
        holder_question_free(question);
        assert_true(++granted < TRIES_MAX);
    }
    assert_true(granted >= 2); /* the batch, and its runs */
    struct batch *batch = (struct batch *)broker.handed_over.oldest;
    assert_non_null(batch);
    assert_ptr_equal(batch->opened, question);
    assert_int_not_equal(producer->token, TOKEN);
    assert_int_equal(question->token, producer->token);
    assert_int_equal(batch->record.token, producer->token);
    assert_int_equal(batch->record.run_count, 1);
    assert_int_equal(sender_of(producer)->parking.held, 0);
    assert_int_equal(broker.parking.held_bytes, 0);
    holder_question_free(question);
    batch_free(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_memory_nothing_happens, setup, teardown),
    };
    return cmocka_run_group_tests_name("holders", tests, NULL, NULL);
}
