/* SPDX-License-Identifier: Apache-2.0 */
/* Delivery against a model of the sidecar, with everything going wrong at random.
 *
 * The model takes numbers in order as PROTOCOL.md says, and may lose what is on its way, restart
 * and forget what was not durable, refuse events, drop acknowledgements, answer late. Whatever
 * happens: each ticket ends in exactly one result, and at level durable the model took each number
 * once, in order. At level none each refusal is a result once at most. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "delivery.h"

enum { NUMBERS = 3000, QUEUE_MAX = 512, FRAME_MAX = 4096, SEEDS = 25 };

struct frame {
    bool opened; /* of an answer: OPENED, not STATE_IS */
    uint8_t type;
    size_t size;
    uint8_t bytes[FRAME_MAX];
};

struct queue {
    struct frame *frames;
    size_t head;
    size_t count;
};

/* xorshift64: the same walk on every machine. */
static uint64_t random_state;

static uint64_t random_below(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

/* What a restarted sidecar knows of tokens. */
enum memory {
    FORGETS,   /* OPEN gives another one */
    KEEPS,     /* OPEN gives the same one again */
    REMEMBERS, /* it takes batches as if nothing had happened */
};

static struct delivery delivery;
static struct queue to_sidecar; /* batches */
static struct queue to_client;
static struct frame answer; /* of read.sock, on its way when it has a size */

static struct {
    uint64_t token;
    uint64_t accepted;
    uint64_t durable;
    uint64_t acked; /* up to which acks were sent */
    uint32_t round_answered;
    bool stale;                  /* it restarted and knows no token */
    bool answered;               /* this round was answered with EXPECT */
    uint8_t result[NUMBERS + 1]; /* of accepted numbers: enum wire_result */
    uint8_t stored[NUMBERS + 1]; /* times it became durable */
    uint8_t level;
    bool calm;
    enum memory memory;
} model;

static uint8_t seen[NUMBERS + 1]; /* results that the client gave */
static uint8_t seen_result[NUMBERS + 1];

/* -- queues ------------------------------------------------------------------------------------ */

static struct frame *push(struct queue *queue)
{
    assert_true(queue->count < QUEUE_MAX);
    struct frame *frame = &queue->frames[(queue->head + queue->count++) % QUEUE_MAX];
    return frame;
}

static struct frame *pop(struct queue *queue)
{
    struct frame *frame = &queue->frames[queue->head];
    queue->head = (queue->head + 1) % QUEUE_MAX;
    queue->count--;
    return frame;
}

static void finish(struct frame *frame, uint8_t type, const struct wire_out *out)
{
    assert_false(out->bad);
    frame->type = type;
    frame->size = wire_out_size(out);
}

/* -- the model --------------------------------------------------------------------------------- */

/* Every seventh number is refused, for one of two reasons, unless the sea is calm; every fifth is a
 * duplicate. */
static bool is_bad(uint64_t number)
{
    return !model.calm && number % 7 == 3;
}

static uint8_t result_of(uint64_t number)
{
    return is_bad(number) ? WIRE_REFUSED : number % 5 == 1 ? WIRE_DUPLICATE : WIRE_STORED;
}

static spn_err code_of(uint64_t number)
{
    return number % 2 ? SPN_E_CLOSED : SPN_E_UNKNOWN_SESSION;
}

/* At level none, those of refusals. */
static uint32_t put_runs(struct wire_out *out, uint64_t from, uint64_t up_to)
{
    uint32_t count = 0;
    for (uint64_t number = from + 1; number <= up_to; number++) {
        struct wire_run run = {.first = number, .count = 1, .result = model.result[number]};
        if (run.result == WIRE_REFUSED)
            run.code = (uint16_t)code_of(number);
        if (run.result == WIRE_REFUSED || (run.result != WIRE_STORED && model.level != WIRE_NONE)) {
            wire_put_run(out, &run);
            count++;
        }
    }
    return count;
}

/* No refusal is acknowledged before it is durable. */
static uint64_t reached(void)
{
    uint64_t up_to = model.durable;
    while (model.level == WIRE_ACCEPTED && up_to < model.accepted &&
           model.result[up_to + 1] != WIRE_REFUSED)
        up_to++;
    return up_to;
}

static void send_ack(void)
{
    uint64_t up_to = reached();
    if (up_to <= model.acked)
        return;
    struct frame *frame = push(&to_client);
    struct wire_out out = wire_out(frame->bytes, FRAME_MAX);
    out.at += WIRE_ACK_HEAD_SIZE;
    if (up_to > model.acked + 100)
        up_to = model.acked + 100; /* so that it fits a frame */
    struct wire_ack ack = {
        .token = model.token, .from = model.acked, .up_to = up_to, .level = model.level};
    ack.run_count = put_runs(&out, ack.from, up_to);
    struct wire_out head = wire_out(frame->bytes, WIRE_ACK_HEAD_SIZE);
    wire_put_ack(&head, &ack);
    finish(frame, WIRE_ACK, &out);
    model.acked = up_to;
}

static void send_expect(uint64_t number, uint32_t round)
{
    struct frame *frame = push(&to_client);
    struct wire_out out = wire_out(frame->bytes, FRAME_MAX);
    const struct wire_expect expect = {.token = model.token, .number = number, .round = round};
    wire_put_expect(&out, &expect);
    finish(frame, WIRE_EXPECT, &out);
}

static void send_error(uint64_t token, spn_err code)
{
    struct frame *frame = push(&to_client);
    struct wire_out out = wire_out(frame->bytes, FRAME_MAX);
    const struct wire_error error = {.token = token, .code = (uint32_t)code};
    wire_put_error(&out, &error);
    finish(frame, WIRE_ERROR, &out);
}

static void send_state(bool opened, uint64_t base)
{
    struct wire_out out = wire_out(answer.bytes, FRAME_MAX);
    struct wire_state state = {
        .token = model.token, .accepted = model.accepted, .durable = model.durable};
    wire_put_state(&out, &state);
    state.run_count = put_runs(&out, base - 1, model.durable);
    struct wire_out head = wire_out(answer.bytes, FRAME_MAX);
    wire_put_state(&head, &state);
    finish(&answer, opened ? WIRE_OPENED : WIRE_STATE_IS, &out);
    answer.opened = opened;
    model.acked = model.level == WIRE_DURABLE ? model.durable : model.acked;
}

static void take_batch(struct wire_in in)
{
    struct wire_batch batch;
    struct wire_entry entry = {0};
    wire_get_batch(&in, &batch);
    assert_true(batch.base >= 1 && batch.base <= batch.first);
    if (model.stale || batch.token != model.token) {
        send_error(batch.token, SPN_E_STALE_TOKEN);
        return;
    }
    if (model.answered && batch.round <= model.round_answered)
        return; /* it was told to go back */
    model.answered = false;
    if (batch.base > model.accepted + 1) {
        for (uint64_t number = model.accepted + 1; number < batch.base; number++)
            model.result[number] = WIRE_LOST;
        model.accepted = batch.base - 1;
    }
    if (batch.first > model.accepted + 1) {
        send_expect(model.accepted + 1, batch.round);
        model.answered = true;
        model.round_answered = batch.round;
        return;
    }
    for (uint32_t i = 0; i < batch.count; i++) {
        wire_get_entry(&in, entry.session, &entry);
        uint64_t number = batch.first + i;
        if (number <= model.accepted)
            continue;
        model.result[number] = result_of(number);
        model.accepted = number;
    }
    assert_true(wire_in_done(&in));
    if (batch.first + batch.count - 1 <= model.acked)
        model.acked = batch.first - 1; /* known already: acknowledged again */
}

static void commit(void)
{
    for (uint64_t number = model.durable + 1; number <= model.accepted; number++)
        model.stored[number]++;
    model.durable = model.accepted;
}

static void restart(void)
{
    to_sidecar.count = 0;
    to_client.count = 0;
    answer.size = 0;
    model.accepted = model.durable;
    if (model.acked > model.durable)
        model.acked = model.durable;
    if (model.level == WIRE_NONE)
        model.acked = 0; /* it does not know what it sent */
    model.answered = false;
    model.stale = model.memory != REMEMBERS;
}

static bool asked_open(void)
{
    return delivery.need == DELIVERY_OPEN;
}

/* -- the client's owner ------------------------------------------------------------------------ */

static void put_event(void)
{
    static const struct wire_entry entry = {
        .kind = WIRE_EVENT, .session = {"s", 1}, .id = {"i", 1}, .data = {"data", 4}};
    size_t size = wire_entry_size(&entry);
    if (delivery.window.next <= NUMBERS && window_has_room(&delivery.window, size))
        (void)delivery_put(&delivery, &entry, size);
}

static void send_batches(void)
{
    while (delivery_ready(&delivery) && to_sidecar.count < QUEUE_MAX / 2) {
        struct wire_batch batch;
        struct window_cut cut = delivery_cut(&delivery, &batch);
        struct frame *frame = push(&to_sidecar);
        struct wire_out out = wire_out(frame->bytes, FRAME_MAX);
        wire_put_batch(&out, &batch);
        assert_true(cut.size <= FRAME_MAX - WIRE_BATCH_HEAD_SIZE);
        memcpy(out.at, cut.bytes, cut.size);
        out.at += cut.size;
        finish(frame, WIRE_BATCH, &out);
        delivery_sent(&delivery, &batch);
    }
}

static void take_message(void)
{
    struct frame *frame = pop(&to_client);
    struct wire_in in = wire_in(frame->bytes, frame->size);
    struct spn_bytes detail;
    if (delivery_owns(&delivery, frame->type, in))
        assert_int_equal(delivery_take(&delivery, frame->type, in, &detail), SPN_OK);
}

static void take_answer(void)
{
    struct wire_in in = wire_in(answer.bytes, answer.size);
    assert_int_equal(delivery_take_state(&delivery, answer.opened, in), SPN_OK);
    answer.size = 0;
}

static void check_order(void)
{
    assert_int_equal(delivery.failed, SPN_OK);
    assert_int_equal(delivery.window.base, delivery.acked + 1);
    assert_true(delivery.acked < delivery.sent && delivery.sent <= delivery.sent_end);
    assert_true(delivery.sent_end <= delivery.window.next);
}

/* Asks what has to be asked. The answer comes later, overtaking messages and overtaken by them. */
static void ask(bool silent)
{
    if (delivery.need == DELIVERY_NOTHING && silent && delivery_in_flight(&delivery) > 0)
        delivery.need = DELIVERY_STATE;
    if (delivery.need == DELIVERY_STATE && model.stale)
        delivery_take_error(&delivery, SPN_E_STALE_TOKEN);
    if (delivery.need == DELIVERY_NOTHING || (answer.size > 0 && answer.opened == asked_open()))
        return;
    delivery_asked(&delivery);
    if (asked_open()) {
        model.token += model.memory == FORGETS ? 1 : 0;
        model.stale = false;
        model.answered = false;
        commit(); /* it answers when all is durable */
    }
    send_state(asked_open(), delivery.window.base);
}

static void read_results(void)
{
    struct spn_ack ack;
    while (results_next(&delivery.results, &ack)) {
        assert_true(ack.ticket >= 1 && ack.ticket <= NUMBERS);
        seen[ack.ticket]++;
        seen_result[ack.ticket] = (uint8_t)ack.result;
        spn_err code = ack.result == SPN_REFUSED ? code_of(ack.ticket)
                       : ack.result == SPN_LOST  ? SPN_E_LOST
                                                 : SPN_OK;
        assert_int_equal(ack.code, code);
        if (model.level != WIRE_DURABLE && ack.result == SPN_REFUSED)
            assert_true(is_bad(ack.ticket) && ack.ticket <= model.durable);
    }
}

static void act(unsigned trouble)
{
    uint64_t dice = random_below(1000);
    for (uint64_t i = dice % 20; i > 0; i--)
        put_event();
    send_batches();
    if (to_sidecar.count > 0 && dice % 3 != 0) {
        struct frame *frame = pop(&to_sidecar);
        take_batch(wire_in(frame->bytes, frame->size));
    }
    if (dice % 5 == 0 && !model.stale)
        commit();
    if (dice % 4 == 0 && !model.stale)
        send_ack();
    if (to_client.count > 0 && dice % 3 != 1)
        take_message();
    if (dice % 7 == 0)
        delivery_hurry(&delivery);
    if (dice < trouble)
        restart();
    else if (dice < 2 * trouble)
        to_sidecar.count = 0; /* a connection broke */
    else if (dice < 3 * trouble)
        to_client.count = 0;
    ask(trouble > 0 && dice % 50 == 7);
    if (answer.size > 0 && random_below(3) == 0)
        take_answer();
    check_order();
    read_results();
}

/* -- tests ------------------------------------------------------------------------------------- */

static void start(spn_level level, size_t window_events, bool calm, enum memory memory)
{
    const struct delivery_options options = {.level = level,
                                             .window_bytes = 1 << 16,
                                             .window_events = window_events,
                                             .entry_max = 1 << 10,
                                             .batch_bytes_max = 2000,
                                             .batch_events_max = 30};
    memset(&model, 0, sizeof(model));
    model.token = 1;
    model.level = (uint8_t)level;
    model.calm = calm;
    model.memory = memory;
    memset(seen, 0, sizeof(seen));
    to_sidecar.head = to_sidecar.count = to_client.head = to_client.count = 0;
    answer.size = 0;
    const struct wire_state state = {.token = 1};
    assert_int_equal(delivery_init(&delivery, &options, &state), SPN_OK);
}

/* Never more is told than was lost; and nothing is lost in silence when no batch that was sent
 * before the restart can be taken after it. */
static void check_lost(unsigned seed)
{
    uint64_t lost = 0;
    for (uint64_t number = 1; number <= NUMBERS; number++)
        lost += model.result[number] == WIRE_LOST ? 1 : 0;
    uint64_t told = delivery.counters.lost;
    if (told > lost || (model.memory == FORGETS && told < lost))
        fail_msg("seed %u: %llu lost, %llu told", seed, (unsigned long long)lost,
                 (unsigned long long)told);
}

static void check_ends(unsigned seed)
{
    const struct spn_counters *counters = &delivery.counters;
    for (uint64_t number = 1; number <= NUMBERS; number++) {
        if (seen[number] != 1)
            fail_msg("seed %u: %u results for %llu", seed, seen[number],
                     (unsigned long long)number);
        if (model.level == WIRE_DURABLE) {
            assert_int_equal(model.stored[number], 1);
            assert_int_equal(seen_result[number], result_of(number));
        }
    }
    check_lost(seed);
    assert_int_equal(counters->taken, NUMBERS);
    if (model.level == WIRE_DURABLE) {
        assert_int_equal(counters->lost, 0);
        assert_int_equal(counters->stored + counters->duplicates + counters->refused, NUMBERS);
    }
}

static void run(spn_level level, size_t window_events, unsigned trouble, enum memory memory)
{
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        unsigned steps = 0;
        random_state = seed;
        start(level, window_events, trouble == 0, memory);
        while (delivery.window.next <= NUMBERS || delivery.acked < NUMBERS) {
            act(trouble);
            if (++steps > 200000)
                fail_msg("seed %u: no end; acked %llu", seed, (unsigned long long)delivery.acked);
        }
        check_ends(seed);
        assert_true(trouble > 0 || delivery.counters.resent == 0);
        delivery_release(&delivery);
    }
}

static void calm_sea(void **state)
{
    (void)state;
    run(SPN_DURABLE, 200, 0, FORGETS);
}

static void durable_through_all_trouble(void **state)
{
    (void)state;
    for (enum memory memory = FORGETS; memory <= REMEMBERS; memory++) {
        run(SPN_DURABLE, 200, 20, memory);
        run(SPN_DURABLE, 3, 20, memory);
    }
}

static void accepted_through_all_trouble(void **state)
{
    (void)state;
    for (enum memory memory = FORGETS; memory <= REMEMBERS; memory++)
        run(SPN_ACCEPTED, 200, 20, memory);
}

/* Everything has gone out: what is still on its way arrives. */
static void settle(void)
{
    while (to_sidecar.count > 0 || reached() > model.acked || to_client.count > 0) {
        if (to_sidecar.count > 0) {
            struct frame *frame = pop(&to_sidecar);
            take_batch(wire_in(frame->bytes, frame->size));
        }
        commit();
        send_ack();
        while (to_client.count > 0)
            take_message();
    }
    read_results();
}

/* In trouble refusals may be lost with a connection. Otherwise all of them arrive; nothing else is
 * a result. */
static void level_none(unsigned trouble)
{
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        random_state = seed;
        start(SPN_NONE, 200, false, REMEMBERS);
        while (delivery.window.next <= NUMBERS || delivery.acked < NUMBERS)
            act(trouble);
        settle();
        for (uint64_t number = 1; number <= NUMBERS; number++) {
            bool refused = number <= model.durable && model.result[number] == WIRE_REFUSED;
            if (seen[number] > refused || (trouble == 0 && seen[number] < refused))
                fail_msg("seed %u: %u results for %llu", seed, seen[number],
                         (unsigned long long)number);
            assert_true(seen[number] == 0 || seen_result[number] == SPN_REFUSED);
        }
        delivery_release(&delivery);
    }
}

static void level_none_has_each_refusal_once(void **state)
{
    (void)state;
    level_none(0);
    level_none(20);
}

/* -- a sidecar that does not read -------------------------------------------------------------- */

enum { WINDOW = 200, SILENCES = 3 };

/* A full window goes out, the first event alone as after a pause; then nothing is heard. */
static void fall_silent(void)
{
    start(SPN_DURABLE, WINDOW, true, FORGETS);
    for (int i = 0; i < WINDOW; i++) {
        put_event();
        send_batches();
    }
    delivery_hurry(&delivery);
    send_batches();
    assert_true(to_sidecar.count > 2);
    assert_int_equal(delivery.sent, WINDOW + 1);
}

static void ask_in_silence(void)
{
    ask(true);
    take_answer();
    send_batches();
}

/* It reads on, a batch and a commit at a time, and is asked when there is no more to read. */
static void read_on(void)
{
    for (int steps = 0; delivery.acked < WINDOW; steps++) {
        assert_true(steps < 2 * WINDOW);
        if (to_sidecar.count == 0) {
            ask_in_silence();
            continue; /* the first answer may only say that it took something */
        }
        struct frame *frame = pop(&to_sidecar);
        take_batch(wire_in(frame->bytes, frame->size));
        commit();
        send_ack();
        while (to_client.count > 0)
            take_message();
        send_batches();
        check_order();
    }
    for (uint64_t number = 1; number <= WINDOW; number++)
        assert_int_equal(model.stored[number], 1);
}

/* However long it is silent, what waits for it is not sent again. */
static void slow_is_not_deaf(void **state)
{
    (void)state;
    fall_silent();
    for (int i = 0; i < SILENCES; i++)
        ask_in_silence();
    read_on();
    assert_in_range(delivery.counters.resent, 1, 2 * SILENCES);
    assert_int_equal(delivery.counters.stored + delivery.counters.duplicates, WINDOW);
    delivery_release(&delivery);
}

/* What got lost is sent again, and little else. */
static void what_is_lost_is_sent_again(void **state)
{
    (void)state;
    for (size_t arrive = 0; arrive < 4; arrive++) {
        fall_silent();
        uint64_t arrived = 0;
        for (size_t i = 0; i < arrive; i++) {
            struct frame *frame = pop(&to_sidecar);
            take_batch(wire_in(frame->bytes, frame->size));
            arrived = model.accepted;
        }
        to_sidecar.count = 0;
        read_on();
        assert_in_range(delivery.counters.resent, WINDOW - arrived, WINDOW - arrived + 2);
        delivery_release(&delivery);
    }
}

static int setup(void **state)
{
    (void)state;
    to_sidecar.frames = calloc(QUEUE_MAX, sizeof(struct frame));
    to_client.frames = calloc(QUEUE_MAX, sizeof(struct frame));
    return to_sidecar.frames && to_client.frames ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    free(to_sidecar.frames);
    free(to_client.frames);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calm_sea),
        cmocka_unit_test(durable_through_all_trouble),
        cmocka_unit_test(accepted_through_all_trouble),
        cmocka_unit_test(level_none_has_each_refusal_once),
        cmocka_unit_test(slow_is_not_deaf),
        cmocka_unit_test(what_is_lost_is_sent_again),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
