/* SPDX-License-Identifier: Apache-2.0 */
/* test_protocol: PROTOCOL.md is enough to write a client from, and the sidecar does what it says.
 *
 * A client of raw bytes goes through what the document promises: batches, resends, holes, refusals,
 * fencing, restarts, reading. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "raw.h"
#include "robust.h"
#include "stage.h"

static const char producer_a[] = "raw producer  A."; /* 16 bytes */
static const char producer_b[] = "raw producer  B.";

enum {
    BATCH_MAX = 4096,
    MANY = 700, /* more than an answer of MANY_BYTES takes */
    MANY_BYTES = 16384,
    NAMES_SIZE = 256,
    TEXT_SIZE = 64, /* of a name or an id */
};

/* -- reading what is there --------------------------------------------------------------------- */

struct slice {
    uint8_t verdict;
    uint32_t count;
    uint8_t state;
    char life[RAW_LIFE_SIZE];
    uint64_t seq;
    uint64_t newest;
    uint64_t missing;
    struct raw_in in; /* its items are still to be read */
};

static struct slice fetch(struct raw *raw, uint8_t start, uint32_t bytes_max, const char *life,
                          uint64_t seq, const char *session, const char *id)
{
    struct raw_out out = {NULL, 0, 0};
    raw_put_fetch(&out, start, bytes_max, life, seq);
    raw_put_short(&out, session);
    raw_put_number(&out, strlen(id), 2);
    raw_put(&out, id, strlen(id));
    struct slice slice = {.in = raw_ask(raw, &out, RAW_FETCH, RAW_SLICE)};
    raw_release(&out);
    slice.verdict = (uint8_t)raw_get_number(&slice.in, 1);
    slice.state = (uint8_t)raw_get_number(&slice.in, 1);
    raw_get_zeros(&slice.in, 2);
    slice.count = (uint32_t)raw_get_number(&slice.in, 4);
    memcpy(slice.life, raw_get(&slice.in, RAW_LIFE_SIZE), RAW_LIFE_SIZE);
    slice.seq = raw_get_number(&slice.in, 8);
    slice.newest = raw_get_number(&slice.in, 8);
    slice.missing = raw_get_number(&slice.in, 8);
    return slice;
}

static void end_slice(struct slice *slice)
{
    raw_end(&slice->in);
    raw_drop(&slice->in);
}

/* The next item is the event with this seq and the one that raw_put_event made of this number. */
static void expect_item(struct slice *slice, const char *session, uint64_t seq, uint64_t number)
{
    char id[32];
    char data[320];
    size_t id_size = (size_t)snprintf(id, sizeof(id), "e%llu", (unsigned long long)number);
    size_t data_size =
        (size_t)snprintf(data, sizeof(data), "%s %llu", session, (unsigned long long)number);
    struct raw_in *in = &slice->in;
    assert_int_equal(raw_get_number(in, 8), seq);
    assert_true(raw_get_number(in, 8) > 0);              /* position */
    assert_true(raw_get_number(in, 8) > 1500000000000u); /* wall time: after 2017 */
    assert_int_equal(raw_get_number(in, 1), 1);          /* an event */
    raw_get_zeros(in, 3);                                /* no session, no type, no flags */
    assert_int_equal(raw_get_number(in, 2), id_size);
    raw_get_zeros(in, 2); /* nothing extra */
    assert_int_equal(raw_get_number(in, 4), data_size);
    assert_int_equal(raw_get_number(in, 4), RAW_RETRY_NONE);
    assert_memory_equal(raw_get(in, id_size), id, id_size);
    assert_memory_equal(raw_get(in, data_size), data, data_size);
}

/* The session has exactly the events made of these numbers, in this order; 0 ends the list. */
static void expect_session(struct raw *raw, const char *session, const uint64_t *numbers)
{
    struct slice slice = fetch(raw, 0, 1 << 20, NULL, 0, session, "");
    assert_int_equal(slice.verdict, 0);
    assert_int_equal(slice.missing, 0);
    uint64_t seq = 0;
    for (; *numbers != 0; numbers++)
        expect_item(&slice, session, ++seq, *numbers);
    assert_int_equal(slice.count, seq);
    assert_int_equal(slice.seq, seq);
    assert_int_equal(slice.newest, seq);
    end_slice(&slice);
}

static void expect_counted(struct raw *raw, const char *session, uint64_t count)
{
    uint64_t numbers[32] = {0};
    assert_true(count < 32);
    for (uint64_t i = 0; i < count; i++)
        numbers[i] = i + 1;
    expect_session(raw, session, numbers);
}

/* -- shaking hands ----------------------------------------------------------------------------- */

struct mark {
    uint8_t database[16];
    uint64_t position;
};

static uint64_t hello(struct raw *raw, struct mark *ret_mark)
{
    struct raw_out none = {NULL, 0, 0};
    raw_put_hello(&none);
    struct raw_in in = raw_ask(raw, &none, RAW_HELLO, RAW_WELCOME);
    raw_release(&none);
    uint64_t instance = raw_get_number(&in, 8);
    assert_int_equal(raw_get_number(&in, 8), 0);       /* features */
    assert_int_equal(raw_get_number(&in, 4), 4 << 20); /* largest event data */
    assert_int_equal(raw_get_number(&in, 4), 1 << 20); /* largest batch */
    assert_int_equal(raw_get_number(&in, 4), BATCH_MAX);
    assert_int_equal(raw_get_number(&in, 4), 128 << 10); /* largest frame */
    assert_int_equal(raw_get_number(&in, 4), 128);       /* window */
    assert_int_equal(raw_get_number(&in, 4), 5000);      /* heartbeat */
    assert_int_equal(raw_get_number(&in, 4), 30000);     /* lease */
    memcpy(ret_mark->database, raw_get(&in, sizeof(ret_mark->database)),
           sizeof(ret_mark->database));
    ret_mark->position = raw_get_number(&in, 8);
    size_t size = (size_t)raw_get_number(&in, 1);
    assert_true(size > 0);
    raw_get(&in, size);
    raw_get_zeros(&in, 2); /* no fields */
    raw_end(&in);
    raw_drop(&in);
    return instance;
}

static void shakes_hands(struct stage *stage)
{
    struct raw raw;
    struct process *daemon = stage_start(stage, NULL);
    raw_open(&raw);
    struct mark mark;
    uint64_t instance = hello(&raw, &mark);
    struct raw_state state = raw_take_producer(&raw, producer_a);
    assert_memory_equal(mark.database, state.database, sizeof(mark.database));
    assert_int_equal(mark.position, state.position);
    assert_int_equal(state.instance, instance);
    assert_int_equal(state.accepted, 0);
    assert_int_equal(state.durable, 0);
    assert_int_equal(state.run_count, 0);
    assert_int_equal(hello(&raw, &mark), instance);
    process_kill(daemon);
    stage_start(stage, NULL);
    raw_reconnect(&raw);
    assert_true(hello(&raw, &mark) != instance);
    raw_close(&raw);
}

/* -- batches ----------------------------------------------------------------------------------- */

static void acknowledges_batches(struct stage *stage)
{
    struct raw raw;
    stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, producer_a).token;
    raw_send_events(&raw, &(struct raw_batch){token, 1, 1, 0, 3, 0}, "s");
    struct raw_ack ack = raw_expect_acks(&raw, token, 3);
    assert_int_equal(ack.level, RAW_DURABLE);
    assert_int_equal(ack.run_count, 0);
    expect_counted(&raw, "s", 3);
    raw_send_events(&raw, &(struct raw_batch){token, 4, 4, 0, 1, 0}, "s");
    ack = raw_expect_acks(&raw, token, 4);
    assert_int_equal(ack.from, 3);
    expect_counted(&raw, "s", 4);
    raw_close(&raw);
}

/* A resend that is cut differently is acknowledged again and stored once. */
static void resends_overlap(struct stage *stage)
{
    struct raw raw;
    stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, producer_a).token;
    raw_send_events(&raw, &(struct raw_batch){token, 1, 1, 0, 3, 0}, "s");
    assert_int_equal(raw_expect_acks(&raw, token, 3).run_count, 0);
    raw_send_events(&raw, &(struct raw_batch){token, 1, 1, 1, 2, 0}, "s");
    assert_int_equal(raw_expect_acks(&raw, token, 3).run_count, 0);
    raw_send_events(&raw, &(struct raw_batch){token, 2, 1, 1, 4, 0}, "s");
    assert_int_equal(raw_expect_acks(&raw, token, 5).run_count, 0);
    raw_send_events(&raw, &(struct raw_batch){token, 3, 3, 1, 3, 0}, "s");
    assert_int_equal(raw_expect_acks(&raw, token, 5).run_count, 0);
    expect_counted(&raw, "s", 5);
    assert_int_equal(robust_counter(&raw, "sponson_events_resent_total"), 2 + 2 + 3);
    raw_close(&raw);
}

/* A batch that has to wait for its session to come back from disk is looked at twice. */
static void resent_numbers_count_once(struct stage *stage)
{
    struct raw raw;
    struct raw_state state;
    uint32_t code = 0;
    struct process *daemon = stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, producer_a).token;
    raw_send_events(&raw, &(struct raw_batch){token, 1, 1, 0, 3, 0}, "s");
    raw_expect_acks(&raw, token, 3);
    assert_int_equal(stage_stop(daemon), 0);
    stage_start(stage, NULL);
    raw_reconnect(&raw);
    assert_true(raw_try_producer(&raw, producer_a, token, &state, &code));
    raw_send_events(&raw, &(struct raw_batch){token, 2, 2, 1, 4, 0}, "s");
    raw_expect_acks(&raw, token, 5);
    assert_int_equal(robust_counter(&raw, "sponson_sessions_loaded_total"), 1);
    assert_int_equal(robust_counter(&raw, "sponson_events_resent_total"), 2);
    assert_int_equal(robust_last_seq(&raw, "s"), 5);
    raw_close(&raw);
}

static void holes_are_asked_for_once(struct stage *stage)
{
    struct raw raw;
    stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, producer_a).token;
    raw_send_events(&raw, &(struct raw_batch){token, 1, 1, 0, 2, 0}, "s");
    raw_expect_acks(&raw, token, 2);
    raw_send_events(&raw, &(struct raw_batch){token, 5, 3, 0, 2, 0}, "s");
    struct raw_hole expect = raw_expect_hole(&raw);
    assert_int_equal(expect.token, token);
    assert_int_equal(expect.number, 3);
    assert_int_equal(expect.round, 0);
    /* What was on its way already is dropped in silence: the next answer is to the new round. */
    raw_send_events(&raw, &(struct raw_batch){token, 7, 3, 0, 2, 0}, "s");
    raw_send_events(&raw, &(struct raw_batch){token, 4, 3, 0, 1, 0}, "s");
    raw_send_events(&raw, &(struct raw_batch){token, 3, 3, 1, 2, 0}, "s");
    raw_expect_acks(&raw, token, 4);
    raw_send_events(&raw, &(struct raw_batch){token, 9, 5, 1, 1, 0}, "s");
    expect = raw_expect_hole(&raw);
    assert_int_equal(expect.number, 5);
    assert_int_equal(expect.round, 1);
    raw_send_events(&raw, &(struct raw_batch){token, 5, 5, 2, 1, 0}, "s");
    raw_expect_acks(&raw, token, 5);
    expect_counted(&raw, "s", 5);
    raw_close(&raw);
}

static void expect_runs(const struct raw_run *runs, uint32_t count, const struct raw_run *wanted,
                        uint32_t wanted_count)
{
    assert_int_equal(count, wanted_count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(runs[i].first, wanted[i].first);
        assert_int_equal(runs[i].count, wanted[i].count);
        assert_int_equal(runs[i].result, wanted[i].result);
        assert_int_equal(runs[i].code, wanted[i].code);
    }
}

/* What is refused is a result of its number; the rest of the batch is taken. */
static void refusals_are_results(struct stage *stage)
{
    struct raw raw;
    struct raw_out out = {NULL, 0, 0};
    stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, producer_a).token;
    raw_put_batch(&out, &(struct raw_batch){token, 1, 1, 0, 7, RAW_DURABLE});
    raw_put_event(&out, "s", 1);
    raw_put_entry(&out, &(struct raw_entry){.session = "s", .id = "e2", .data = "a\rb"});
    raw_put_event(&out, "s", 3);
    raw_put_close(&out, "nobody");
    raw_put_close(&out, "s");
    raw_put_event(&out, "s", 6);
    raw_put_event(&out, "t", 7);
    raw_send_out(raw.ingest, &out);
    struct raw_ack ack = raw_expect_acks(&raw, token, 7);
    static const struct raw_run runs[] = {{2, 1, RAW_REFUSED, RAW_E_BAD_DATA},
                                          {4, 1, RAW_REFUSED, RAW_E_UNKNOWN_SESSION},
                                          {6, 1, RAW_REFUSED, RAW_E_CLOSED}};
    expect_runs(ack.runs, ack.run_count, runs, 3);
    expect_session(&raw, "s", (const uint64_t[]){1, 3, 0});
    expect_session(&raw, "t", (const uint64_t[]){7, 0});
    raw_release(&out);
    raw_close(&raw);
}

/* At level none an acknowledgement has refusals and nothing else, and comes only if there are any.
 */
static void level_none_has_refusals_only(struct stage *stage)
{
    struct raw raw;
    struct raw_out out = {NULL, 0, 0};
    stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, producer_a).token;
    for (uint64_t first = 1; first <= 4; first += 3) {
        raw_clear(&out);
        raw_put_batch(&out, &(struct raw_batch){token, first, first, 0, 3, RAW_NONE});
        raw_put_event(&out, "s", first);
        raw_put_event(&out, "s", first); /* a duplicate */
        if (first == 4)
            raw_put_close(&out, "nobody");
        else
            raw_put_event(&out, "s", first + 2);
        raw_send_out(raw.ingest, &out);
    }
    struct raw_ack ack = raw_expect_acks(&raw, token, 6);
    assert_int_equal(ack.level, RAW_NONE);
    assert_int_equal(ack.run_count, 1);
    assert_int_equal(ack.runs[0].first, 6);
    assert_int_equal(ack.runs[0].result, RAW_REFUSED);
    assert_int_equal(ack.runs[0].code, RAW_E_UNKNOWN_SESSION);
    /* The next message is the next refusal's. */
    raw_clear(&out);
    raw_put_batch(&out, &(struct raw_batch){token, 7, 7, 0, 1, RAW_NONE});
    raw_put_event(&out, "s", 7);
    raw_send_out(raw.ingest, &out);
    raw_clear(&out);
    raw_put_batch(&out, &(struct raw_batch){token, 8, 8, 0, 1, RAW_NONE});
    raw_put_close(&out, "nobody");
    raw_send_out(raw.ingest, &out);
    ack = raw_expect_acks(&raw, token, 8);
    assert_int_equal(ack.run_count, 1);
    assert_int_equal(ack.runs[0].first, 8);
    raw_release(&out);
    raw_close(&raw);
}

static struct raw_state ask_state(struct raw *raw, uint64_t token, uint64_t base)
{
    struct raw_out out = {NULL, 0, 0};
    raw_put_number(&out, token, 8);
    raw_put_number(&out, base, 8);
    struct raw_in in = raw_ask(raw, &out, RAW_STATE, RAW_STATE_IS);
    raw_release(&out);
    struct raw_state state = raw_get_state(&in);
    assert_int_equal(state.token, token);
    return state;
}

/* Numbers 1-3 stored, 4-5 duplicates, 6 a conflict, 7 stored. */
static void send_repeats(struct raw *raw, uint64_t token)
{
    struct raw_out out = {NULL, 0, 0};
    raw_put_batch(&out, &(struct raw_batch){token, 1, 1, 0, 7, RAW_DURABLE});
    for (uint64_t i = 1; i <= 3; i++)
        raw_put_event(&out, "s", i);
    raw_put_event(&out, "s", 1);
    raw_put_event(&out, "s", 3);
    raw_put_entry(&out, &(struct raw_entry){.session = "s", .id = "e2", .data = "other"});
    raw_put_event(&out, "s", 4);
    raw_send_out(raw->ingest, &out);
    raw_release(&out);
}

/* 8 and 9 are refused. */
static void send_refused(struct raw *raw, uint64_t token)
{
    struct raw_out out = {NULL, 0, 0};
    raw_put_batch(&out, &(struct raw_batch){token, 8, 1, 0, 2, RAW_DURABLE});
    raw_put_entry(&out, &(struct raw_entry){.session = "s", .id = "\n"});
    raw_put_close(&out, "nobody");
    raw_send_out(raw->ingest, &out);
    raw_release(&out);
}

static void expect_repeats(const struct raw_run *runs, uint32_t count)
{
    static const struct raw_run repeats[] = {{4, 2, RAW_DUPLICATE, 0},
                                             {6, 1, RAW_CONFLICT, 0},
                                             {8, 1, RAW_REFUSED, RAW_E_BAD_ID},
                                             {9, 1, RAW_REFUSED, RAW_E_UNKNOWN_SESSION}};
    expect_runs(runs, count, repeats, 4);
}

static void results_are_told_again(struct stage *stage)
{
    struct raw raw;
    struct process *daemon = stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, producer_a).token;
    send_repeats(&raw, token);
    send_refused(&raw, token);
    struct raw_ack ack = raw_expect_acks(&raw, token, 9);
    expect_repeats(ack.runs, ack.run_count);
    struct raw_state state = ask_state(&raw, token, 1);
    assert_int_equal(state.accepted, 9);
    assert_int_equal(state.durable, 9);
    expect_repeats(state.runs, state.run_count);
    state = ask_state(&raw, token, 5);
    assert_int_equal(state.run_count, 4);
    assert_int_equal(state.runs[0].first, 5);
    assert_int_equal(state.runs[0].count, 1);
    /* And after a kill: they are on disk with the number. */
    process_kill(daemon);
    stage_start(stage, NULL);
    raw_reconnect(&raw);
    uint32_t code = 0;
    if (!raw_try_producer(&raw, producer_a, token, &state, &code))
        fail_msg("OPEN with the token: ERROR %u", code);
    assert_int_equal(state.durable, 9);
    expect_repeats(state.runs, state.run_count);
    expect_counted(&raw, "s", 4);
    raw_close(&raw);
}

static void levels_are_kept_apart(struct stage *stage)
{
    struct raw raw;
    struct raw_out out = {NULL, 0, 0};
    stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, producer_a).token;
    raw_put_batch(&out, &(struct raw_batch){token, 1, 1, 0, 1, RAW_ACCEPTED});
    raw_put_event(&out, "s", 1);
    raw_send_out(raw.ingest, &out);
    assert_int_equal(raw_expect_acks(&raw, token, 1).level, RAW_ACCEPTED);
    raw_clear(&out);
    raw_put_batch(&out, &(struct raw_batch){token, 2, 2, 0, 1, RAW_NONE});
    raw_put_event(&out, "s", 2);
    raw_send_out(raw.ingest, &out);
    raw_release(&out);
    /* Nothing is said of it until a batch asks for more. */
    raw_send_events(&raw, &(struct raw_batch){token, 3, 3, 0, 1, 0}, "s");
    assert_int_equal(raw_expect_acks(&raw, token, 3).level, RAW_DURABLE);
    expect_counted(&raw, "s", 3);
    raw_close(&raw);
}

/* Numbers that the client does not hold any more are not waited for. */
static void base_moves_up(struct stage *stage)
{
    struct raw raw;
    stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, producer_a).token;
    raw_send_events(&raw, &(struct raw_batch){token, 10, 10, 0, 2, 0}, "s");
    raw_expect_acks(&raw, token, 11);
    expect_session(&raw, "s", (const uint64_t[]){10, 11, 0});
    assert_int_equal(ask_state(&raw, token, 10).durable, 11);
    raw_close(&raw);
}

/* As many entries as a batch takes, of several sessions, one of them refused. */
static void batches_are_full(struct stage *stage)
{
    struct raw raw;
    struct raw_out out = {NULL, 0, 0};
    char id[16];
    stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, producer_a).token;
    raw_put_batch(&out, &(struct raw_batch){token, 1, 1, 0, BATCH_MAX, RAW_DURABLE});
    raw_put_event(&out, "first", 1);
    raw_put_refused(&out);
    for (int i = 3; i < BATCH_MAX; i++) {
        snprintf(id, sizeof(id), "x%d", i);
        raw_put_entry(&out, &(struct raw_entry){.id = id, .type = "t", .data = ""});
    }
    raw_put_event(&out, "last", BATCH_MAX);
    raw_send_out(raw.ingest, &out);
    struct raw_ack ack = raw_expect_acks(&raw, token, BATCH_MAX);
    assert_int_equal(ack.run_count, 1);
    assert_int_equal(ack.runs[0].first, 2);
    expect_session(&raw, "last", (const uint64_t[]){BATCH_MAX, 0});
    struct slice slice = fetch(&raw, 0, 1 << 20, 0, 0, "first", "");
    assert_int_equal(slice.newest, BATCH_MAX - 2);
    raw_drop(&slice.in);
    raw_release(&out);
    raw_close(&raw);
}

/* -- holders ----------------------------------------------------------------------------------- */

/* Reads the first answer to a batch. True: an ACK, whose number is *ret_up_to. False: the token is
 * stale. */
static bool was_taken(struct raw *raw, uint64_t *ret_up_to)
{
    struct raw_in in;
    assert_true(raw_receive(raw->ingest, STAGE_WAIT_MS, &in));
    bool is_ack = in.type == RAW_ACK;
    raw_get_number(&in, 8);
    if (is_ack) {
        raw_get_number(&in, 8);
        *ret_up_to = raw_get_number(&in, 8);
    } else {
        assert_int_equal(in.type, RAW_ERROR);
        assert_int_equal(raw_get_number(&in, 4), RAW_E_STALE_TOKEN);
    }
    raw_drop(&in);
    return is_ack;
}

/* What a client has to do: send on; when the token is stale, open again with it. */
static uint64_t go_on(struct raw *raw, const struct raw_batch *batch)
{
    uint64_t last = batch->first + batch->count - 1;
    uint64_t up_to = 0;
    struct raw_batch again = *batch;
    raw_send_events(raw, batch, "s");
    if (!was_taken(raw, &up_to)) {
        struct raw_state state;
        uint32_t code = 0;
        if (!raw_try_producer(raw, producer_a, batch->token, &state, &code))
            fail_msg("OPEN with the token: ERROR %u", code);
        again.token = state.token;
        again.round++;
        raw_send_events(raw, &again, "s");
    }
    if (up_to < last)
        raw_expect_acks(raw, again.token, last);
    return again.token;
}

/* The old token is nobody's now: its batches are not taken, and opening with it is refused. */
static void expect_fenced(struct raw *raw, const char *id16, uint64_t token, uint64_t next)
{
    struct raw_state state;
    uint32_t code = 0;
    raw_send_events(raw, &(struct raw_batch){token, next, next, 5, 1, 0}, "s");
    assert_int_equal(raw_expect_error(raw->ingest, RAW_E_STALE_TOKEN).token, token);
    assert_false(raw_try_producer(raw, id16, token, &state, &code));
    assert_int_equal(code, RAW_E_FENCED);
}

static void second_holder_fences_the_first(struct stage *stage)
{
    struct raw first;
    struct raw second;
    struct process *daemon = stage_start(stage, NULL);
    raw_open(&first);
    raw_open(&second);
    uint64_t old = raw_take_producer(&first, producer_a).token;
    raw_send_events(&first, &(struct raw_batch){old, 1, 1, 0, 2, 0}, "s");
    raw_expect_acks(&first, old, 2);
    struct raw_state state = raw_take_producer(&second, producer_a);
    assert_true(state.token != old);
    assert_int_equal(state.durable, 2);
    raw_send_events(&second, &(struct raw_batch){state.token, 3, 3, 0, 1, 0}, "s");
    raw_expect_acks(&second, state.token, 3);
    expect_fenced(&first, producer_a, old, 4);
    /* Fenced is fenced, also after a kill. */
    process_kill(daemon);
    stage_start(stage, NULL);
    raw_reconnect(&first);
    raw_reconnect(&second);
    expect_fenced(&first, producer_a, old, 4);
    go_on(&second, &(struct raw_batch){state.token, 4, 4, 0, 1, 0});
    expect_counted(&second, "s", 4);
    raw_close(&first);
    raw_close(&second);
}

/* The answer to the new holder comes when what the old one had accepted is durable. */
static void opening_waits_for_what_was_accepted(struct stage *stage)
{
    struct raw raw;
    struct raw_out out = {NULL, 0, 0};
    struct stage_daemon options = {.more = {"--flush-interval", "10000"}};
    struct process *daemon = stage_start(stage, &options);
    raw_open(&raw);
    uint64_t old = raw_take_producer(&raw, producer_a).token;
    raw_put_batch(&out, &(struct raw_batch){old, 1, 1, 0, 1, RAW_ACCEPTED});
    raw_put_event(&out, "s", 1);
    raw_send_out(raw.ingest, &out);
    raw_release(&out);
    raw_expect_acks(&raw, old, 1);
    assert_int_equal(raw_take_producer(&raw, producer_a).durable, 1);
    process_kill(daemon);
    stage_start(stage, NULL);
    raw_reconnect(&raw);
    expect_counted(&raw, "s", 1);
    raw_close(&raw);
}

static void producers_do_not_mix(struct stage *stage)
{
    struct raw raw;
    stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t a = raw_take_producer(&raw, producer_a).token;
    uint64_t b = raw_take_producer(&raw, producer_b).token;
    raw_send_events(&raw, &(struct raw_batch){a, 1, 1, 0, 2, 0}, "of a");
    raw_expect_acks(&raw, a, 2);
    raw_send_events(&raw, &(struct raw_batch){b, 1, 1, 0, 3, 0}, "of b");
    raw_expect_acks(&raw, b, 3);
    assert_int_equal(ask_state(&raw, a, 1).durable, 2);
    assert_int_equal(ask_state(&raw, b, 1).durable, 3);
    expect_counted(&raw, "of a", 2);
    expect_counted(&raw, "of b", 3);
    raw_close(&raw);
}

/* -- restarts ---------------------------------------------------------------------------------- */

static void goes_on_after_a_kill(struct stage *stage)
{
    struct raw raw;
    struct process *daemon = stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, producer_a).token;
    raw_send_events(&raw, &(struct raw_batch){token, 1, 1, 0, 5, 0}, "s");
    raw_expect_acks(&raw, token, 5);
    process_kill(daemon);
    daemon = stage_start(stage, NULL);
    raw_reconnect(&raw);
    /* As if the last acknowledgements had been lost with the old sidecar. */
    token = go_on(&raw, &(struct raw_batch){token, 4, 4, 0, 4, 0});
    expect_counted(&raw, "s", 7);
    assert_int_equal(ask_state(&raw, token, 1).durable, 7);
    /* A hole after the restart is asked for as ever. */
    process_kill(daemon);
    stage_start(stage, NULL);
    raw_reconnect(&raw);
    struct raw_state state;
    uint32_t code = 0;
    assert_true(raw_try_producer(&raw, producer_a, token, &state, &code));
    assert_int_equal(state.durable, 7);
    raw_send_events(&raw, &(struct raw_batch){state.token, 10, 8, 4, 1, 0}, "s");
    assert_int_equal(raw_expect_hole(&raw).number, 8);
    raw_send_events(&raw, &(struct raw_batch){state.token, 8, 8, 5, 3, 0}, "s");
    raw_expect_acks(&raw, state.token, 10);
    expect_counted(&raw, "s", 10);
    raw_close(&raw);
}

static void asks_with_a_strange_token(struct stage *stage)
{
    struct raw raw;
    struct raw_out out = {NULL, 0, 0};
    stage_start(stage, NULL);
    raw_open(&raw);
    raw_put_header(&out, RAW_STATE, 77);
    raw_put_number(&out, 12345, 8);
    raw_put_number(&out, 1, 8);
    raw_send_out(raw.read, &out);
    raw_release(&out);
    assert_int_equal(raw_expect_error(raw.read, RAW_E_STALE_TOKEN).request, 77);
    /* A producer that this sidecar has never heard of may hold a token from another life. */
    struct raw_state state;
    uint32_t code = 0;
    assert_true(raw_try_producer(&raw, producer_a, 12345, &state, &code));
    assert_int_equal(state.durable, 0);
    raw_close(&raw);
}

/* -- reading ----------------------------------------------------------------------------------- */

static void fill(struct raw *raw, const char *session, uint32_t count)
{
    uint64_t token = raw_take_producer(raw, producer_b).token;
    raw_send_events(raw, &(struct raw_batch){token, 1, 1, 0, count, 0}, session);
    raw_expect_acks(raw, token, count);
}

static void fetches_in_slices(struct stage *stage)
{
    struct raw raw;
    stage_start(stage, NULL);
    raw_open(&raw);
    fill(&raw, "s", MANY);
    struct slice slice = fetch(&raw, 0, MANY_BYTES, NULL, 0, "s", "");
    uint64_t seq = 0;
    size_t slices = 0;
    for (;;) {
        assert_int_equal(slice.verdict, 0);
        assert_int_equal(slice.newest, MANY);
        for (uint32_t i = 0; i < slice.count; i++, seq++)
            expect_item(&slice, "s", seq + 1, seq + 1);
        assert_int_equal(slice.seq, seq);
        end_slice(&slice);
        slices++;
        if (seq == MANY)
            break;
        assert_true(slice.count > 0);
        slice = fetch(&raw, 2, MANY_BYTES, slice.life, seq, "s", "");
    }
    assert_true(slices > 1);
    /* Caught up: nothing, and the cursor stands at the end. */
    slice = fetch(&raw, 2, MANY_BYTES, slice.life, MANY, "s", "");
    assert_int_equal(slice.count, 0);
    assert_int_equal(slice.seq, MANY);
    end_slice(&slice);
    raw_close(&raw);
}

static void fetches_what_is_asked_for(struct stage *stage)
{
    struct raw raw;
    stage_start(stage, NULL);
    raw_open(&raw);
    fill(&raw, "s", 20);
    struct slice slice = fetch(&raw, 1, 1 << 20, NULL, 0, "s", "e18");
    assert_int_equal(slice.verdict, 0);
    assert_int_equal(slice.count, 2);
    expect_item(&slice, "s", 19, 19);
    expect_item(&slice, "s", 20, 20);
    end_slice(&slice);
    char life[RAW_LIFE_SIZE];
    static const char other[RAW_LIFE_SIZE] = "another life";
    memcpy(life, slice.life, sizeof(life));

    slice = fetch(&raw, 1, 1 << 20, NULL, 0, "s", "e99");
    assert_int_equal(slice.verdict, 2);
    assert_int_equal(slice.count, 0);
    end_slice(&slice);
    slice = fetch(&raw, 0, 1 << 20, NULL, 0, "nobody", "");
    assert_int_equal(slice.verdict, 3);
    end_slice(&slice);
    slice = fetch(&raw, 2, 1 << 20, other, 5, "s", "");
    assert_int_equal(slice.verdict, 4);
    assert_int_equal(slice.state, 0);
    assert_memory_equal(slice.life, life, sizeof(life));
    end_slice(&slice);

    /* However little is asked for, there is one event when there is one. */
    slice = fetch(&raw, 2, 1, life, 5, "s", "");
    assert_int_equal(slice.count, 1);
    expect_item(&slice, "s", 6, 6);
    end_slice(&slice);
    slice = fetch(&raw, 2, 200, life, 5, "s", "");
    assert_true(slice.count > 1 && slice.count < 15);
    raw_drop(&slice.in);
    raw_close(&raw);
}

static void tells_the_last_event(struct stage *stage)
{
    struct raw raw;
    struct raw_out out = {NULL, 0, 0};
    stage_start(stage, NULL);
    raw_open(&raw);
    fill(&raw, "s", 20);
    raw_put_short(&out, "s");
    struct raw_in in = raw_ask(&raw, &out, RAW_LAST, RAW_LAST_IS);
    static const char none[RAW_LIFE_SIZE];
    assert_memory_not_equal(raw_get(&in, RAW_LIFE_SIZE), none, RAW_LIFE_SIZE);
    assert_int_equal(raw_get_number(&in, 8), 20);
    assert_true(raw_get_number(&in, 8) > 0); /* position */
    assert_true(raw_get_number(&in, 8) > 1500000000000u);
    raw_get_zeros(&in, 8); /* live */
    assert_int_equal(raw_get_number(&in, 2), 3);
    assert_memory_equal(raw_get(&in, 3), "e20", 3);
    raw_end(&in);
    raw_drop(&in);
    raw_release(&out);
    raw_close(&raw);
}

/* What a sidecar does not offer is refused by its number, or with the batch: never passed over. */
static void refuses_what_it_does_not_offer(struct stage *stage)
{
    struct raw raw;
    struct raw_out out = {NULL, 0, 0};
    stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, producer_a).token;
    raw_put_batch(&out, &(struct raw_batch){token, 1, 1, 0, 1, 3}); /* replicated */
    raw_put_event(&out, "s", 1);
    raw_send_out(raw.ingest, &out);
    assert_int_equal(raw_expect_error(raw.ingest, RAW_E_UNSUPPORTED).token, token);
    raw_release(&out);
    raw_close(&raw);
}

/* Entries with flags as the document lays them out, and the code that each is refused with. */
static const struct condition_row {
    struct raw_entry entry;
    uint32_t code; /* 0: it is stored */
} condition_rows[] = {
    {{.session = "s", .id = "1", .flags = 4}, 0},  /* NEW */
    {{.session = "s", .id = "2", .flags = 4}, 55}, /* NEW */
    {{.session = "s", .id = "2", .flags = 2, .extra = "\1\0\0\0\0\0\0", .extra_size = 8},
     0}, /* SEQ */
    {{.session = "s", .id = "3", .flags = 2, .extra = "\1\0\0\0\0\0\0", .extra_size = 8}, 55},
    {{.session = "s", .id = "3", .flags = 1, .extra = "0123456789abcdef", .extra_size = 16}, 50},
    {{.session = "s", .id = "3", .flags = 16, .extra = "\4\0\0\0\0\0\0", .extra_size = 8}, 56},
    {{.session = "s", .id = "3", .flags = 32, .extra = "\2\0me", .extra_size = 4}, 0}, /* NOTE */
    {{.session = "s", .id = "4", .flags = 8, .extra = "\4idle", .extra_size = 5}, 38}, /* CLOSES */
    {{.kind = 8, .session = "s"}, 0},                                                  /* touch */
    {{.kind = 8, .session = "nobody"}, RAW_E_UNKNOWN_SESSION},
    {{.kind = 7, .session = "t", .data = "bad"}, 39}, /* attributes */
    {{.session = "s", .id = "4", .flags = 8, .extra = "\4done", .extra_size = 5}, 0},
    {{.session = "s", .id = "5"}, RAW_E_CLOSED},
};

static uint32_t code_of(const struct raw_ack *ack, uint64_t number)
{
    for (uint32_t i = 0; i < ack->run_count; i++)
        if (number >= ack->runs[i].first && number < ack->runs[i].first + ack->runs[i].count)
            return ack->runs[i].result == RAW_REFUSED ? ack->runs[i].code : UINT32_MAX;
    return 0;
}

static void decides_by_conditions(struct stage *stage)
{
    enum { ROWS = sizeof(condition_rows) / sizeof(condition_rows[0]) };
    static const char large[515] = {1, 2}; /* a note of 513 bytes */
    struct raw raw;
    struct raw_out out = {NULL, 0, 0};
    stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, producer_a).token;
    raw_put_batch(&out, &(struct raw_batch){token, 1, 1, 0, ROWS + 1, RAW_DURABLE});
    for (size_t i = 0; i < ROWS; i++)
        raw_put_entry(&out, &condition_rows[i].entry);
    raw_put_entry(
        &out,
        &(struct raw_entry){
            .session = "u", .id = "1", .flags = 32, .extra = large, .extra_size = sizeof(large)});
    raw_send_out(raw.ingest, &out);
    struct raw_ack ack = raw_expect_acks(&raw, token, ROWS + 1);
    for (size_t i = 0; i < ROWS; i++)
        if (code_of(&ack, i + 1) != condition_rows[i].code)
            fail_msg("entry %zu: code %u, should be %u", i + 1, code_of(&ack, i + 1),
                     condition_rows[i].code);
    assert_int_equal(code_of(&ack, ROWS + 1), 37);
    raw_release(&out);
    raw_close(&raw);
}

/* A session as SESSIONS_ARE and INFO_IS show it. */
struct row {
    uint64_t epoch;
    char life[RAW_LIFE_SIZE];
    uint64_t seq;
    uint64_t position;
    uint64_t bytes;
    uint64_t opened_ms;
    uint64_t newest_ms;
    uint64_t markers;
    uint32_t duplicates;
    uint32_t conflicts;
    uint8_t state;
    char reason[TEXT_SIZE];
    char name[TEXT_SIZE];
    char last_id[TEXT_SIZE];
};

static void get_text(struct raw_in *in, size_t size, char ret_text[TEXT_SIZE])
{
    assert_true(size < TEXT_SIZE);
    memcpy(ret_text, raw_get(in, size), size);
    ret_text[size] = '\0';
}

static struct row get_row(struct raw_in *in)
{
    struct row row = {0};
    size_t end = raw_get_number(in, 2) + in->at;
    row.epoch = raw_get_number(in, 8);
    memcpy(row.life, raw_get(in, RAW_LIFE_SIZE), RAW_LIFE_SIZE);
    row.seq = raw_get_number(in, 8);
    row.position = raw_get_number(in, 8);
    row.bytes = raw_get_number(in, 8);
    row.opened_ms = raw_get_number(in, 8);
    row.newest_ms = raw_get_number(in, 8);
    row.markers = raw_get_number(in, 8);
    row.duplicates = (uint32_t)raw_get_number(in, 4);
    row.conflicts = (uint32_t)raw_get_number(in, 4);
    row.state = (uint8_t)raw_get_number(in, 1);
    raw_get_zeros(in, 3);
    raw_get_zeros(in, 8 + 8); /* no spans of its own */
    get_text(in, (size_t)raw_get_number(in, 1), row.reason);
    raw_get_zeros(in, 1); /* no content type */
    get_text(in, (size_t)raw_get_number(in, 1), row.name);
    get_text(in, (size_t)raw_get_number(in, 2), row.last_id);
    assert_int_equal(in->at, end);
    return row;
}

struct info {
    struct row row;
    uint64_t first;   /* seq of the oldest retained entry */
    uint64_t markers; /* retained */
};

static struct info ask_info(struct raw *raw, const char *session)
{
    struct raw_out out = {NULL, 0, 0};
    raw_put_short(&out, session);
    struct raw_in in = raw_ask(raw, &out, RAW_INFO, RAW_INFO_IS);
    raw_release(&out);
    struct info info = {.row = get_row(&in)};
    info.first = raw_get_number(&in, 8);
    info.markers = raw_get_number(&in, 8);
    assert_int_equal(raw_get_number(&in, 8), 1); /* the first seq of the life */
    raw_get_zeros(&in, 2);                       /* no note */
    raw_end(&in);
    raw_drop(&in);
    return info;
}

/* All but what only the sidecar knows: epoch, life, position and times. */
static void expect_published(const struct info *got, const struct info *sent)
{
    assert_int_equal(got->row.seq, sent->row.seq);
    assert_int_equal(got->row.bytes, sent->row.bytes);
    assert_int_equal(got->row.markers, sent->row.markers);
    assert_int_equal(got->row.duplicates, sent->row.duplicates);
    assert_int_equal(got->row.conflicts, sent->row.conflicts);
    assert_int_equal(got->row.state, sent->row.state);
    assert_string_equal(got->row.reason, sent->row.reason);
    assert_string_equal(got->row.name, sent->row.name);
    assert_string_equal(got->row.last_id, sent->row.last_id);
    assert_int_equal(got->first, sent->first);
    assert_int_equal(got->markers, sent->markers);
}

/* The row's life, position and newest time are those of the newest entry in a slice. */
static void expect_newest(struct raw *raw, const struct row *row)
{
    struct slice slice = fetch(raw, 2, 1, row->life, row->seq - 1, row->name, "");
    assert_int_equal(slice.verdict, 0);
    assert_memory_equal(slice.life, row->life, RAW_LIFE_SIZE);
    assert_int_equal(slice.state, row->state);
    assert_int_equal(slice.newest, row->seq);
    assert_int_equal(slice.count, 1);
    assert_int_equal(raw_get_number(&slice.in, 8), row->seq);
    assert_int_equal(raw_get_number(&slice.in, 8), row->position);
    assert_int_equal(raw_get_number(&slice.in, 8), row->newest_ms);
    raw_drop(&slice.in);
}

/* Numbers 8-10: three markers; 11: an event; 12: the close of the session, whatever its life. */
static void send_markers_and_close(struct raw *raw, uint64_t token)
{
    static const char *const ids[] = {"m8", "m9", "m10"};
    struct raw_out out = {NULL, 0, 0};
    raw_put_batch(&out, &(struct raw_batch){token, 8, 8, 0, 5, RAW_DURABLE});
    for (size_t i = 0; i < 3; i++)
        raw_put_entry(&out, &(struct raw_entry){.kind = 5, .session = "s", .id = ids[i]});
    raw_put_event(&out, "s", 11);
    raw_put_entry(&out,
                  &(struct raw_entry){
                      .kind = 3, .session = "s", .flags = 8, .extra = "\4done", .extra_size = 5});
    raw_send_out(raw->ingest, &out);
    raw_release(&out);
}

static struct info expect_live(struct raw *raw, uint64_t token)
{
    send_repeats(raw, token);
    raw_expect_acks(raw, token, 7);
    struct info sent = {.first = 2};
    sent.row = (struct row){.seq = 4, .bytes = 4 * 3, .name = "s", .last_id = "e4"};
    sent.row.duplicates = 2;
    sent.row.conflicts = 1;
    struct info got = ask_info(raw, "s");
    expect_published(&got, &sent);
    expect_newest(raw, &got.row);
    return got;
}

static struct info expect_closed(struct raw *raw, uint64_t token)
{
    send_markers_and_close(raw, token);
    assert_int_equal(raw_expect_acks(raw, token, 12).run_count, 0);
    struct info sent = {.first = 6, .markers = 2};
    sent.row = (struct row){.seq = 8, .bytes = 4 * 3 + 4, .name = "s", .last_id = "e11"};
    sent.row.markers = 3;
    sent.row.duplicates = 2;
    sent.row.conflicts = 1;
    sent.row.state = 1;
    memcpy(sent.row.reason, "done", 5);
    struct info got = ask_info(raw, "s");
    expect_published(&got, &sent);
    expect_newest(raw, &got.row);
    return got;
}

static void tells_what_is_known_of_a_session(struct stage *stage)
{
    struct raw raw;
    struct stage_daemon options = {.more = {"--retention-events", "3"}};
    stage_start(stage, &options);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, producer_a).token;
    struct row live = expect_live(&raw, token).row;
    assert_true(live.opened_ms > 1500000000000u);
    assert_true(live.opened_ms <= live.newest_ms);
    until_passed_us(5000); /* between the opening and what is newest then */
    struct row closed = expect_closed(&raw, token).row;
    assert_int_equal(closed.epoch, live.epoch);
    assert_memory_equal(closed.life, live.life, RAW_LIFE_SIZE);
    assert_int_equal(closed.opened_ms, live.opened_ms);
    assert_true(closed.newest_ms > closed.opened_ms);
    raw_close(&raw);
}

/* LAST and INFO of no session are answered alike. */
static const struct {
    uint8_t ask;
    const char *session;
    uint32_t code;
} nobodies[] = {
    {RAW_LAST, "nobody", RAW_E_UNKNOWN_SESSION}, {RAW_INFO, "nobody", RAW_E_UNKNOWN_SESSION},
    {RAW_LAST, "", RAW_E_BAD_SESSION},           {RAW_INFO, "", RAW_E_BAD_SESSION},
    {RAW_LAST, "s\t", RAW_E_BAD_SESSION},        {RAW_INFO, "s\t", RAW_E_BAD_SESSION},
};

static void tells_nothing_of_no_session(struct stage *stage)
{
    struct raw raw;
    stage_start(stage, NULL);
    raw_open(&raw);
    fill(&raw, "s", 1);
    for (size_t i = 0; i < sizeof(nobodies) / sizeof(nobodies[0]); i++) {
        struct raw_out out = {NULL, 0, 0};
        raw_put_header(&out, nobodies[i].ask, 9 + i);
        raw_put_short(&out, nobodies[i].session);
        raw_send_out(raw.read, &out);
        assert_int_equal(raw_expect_error(raw.read, nobodies[i].code).request, 9 + i);
        raw_release(&out);
    }
    raw_close(&raw);
}

/* One page; returns whether there are more. The names are appended to `names`, a space behind each.
 */
static bool list_page(struct raw *raw, uint32_t count_max, char after[TEXT_SIZE],
                      const char *prefix, char *names)
{
    struct raw_out out = {NULL, 0, 0};
    raw_put_number(&out, count_max, 4);
    raw_put_short(&out, after);
    raw_put_short(&out, prefix);
    struct raw_in in = raw_ask(raw, &out, RAW_SESSIONS, RAW_SESSIONS_ARE);
    raw_release(&out);
    uint64_t count = raw_get_number(&in, 4);
    bool more = raw_get_number(&in, 1) != 0;
    assert_true(count <= count_max);
    for (uint64_t i = 0; i < count; i++) {
        struct row row = get_row(&in);
        assert_int_equal(row.seq, 1);
        assert_int_equal(row.markers, 0);
        assert_int_equal(row.state, 0);
        snprintf(after, TEXT_SIZE, "%s", row.name);
        size_t used = strlen(names);
        snprintf(names + used, NAMES_SIZE - used, "%s ", after);
    }
    raw_end(&in);
    raw_drop(&in);
    return more;
}

static void lists_sessions(struct stage *stage)
{
    static const char *const sessions[] = {"b/2", "a", "b/1", "c", "b/10", "b"};
    struct raw raw;
    stage_start(stage, NULL);
    raw_open(&raw);
    uint64_t token = raw_take_producer(&raw, producer_a).token;
    for (uint64_t i = 0; i < 6; i++) {
        raw_send_events(&raw, &(struct raw_batch){token, i + 1, i + 1, 0, 1, 0}, sessions[i]);
        raw_expect_acks(&raw, token, i + 1);
    }
    char after[TEXT_SIZE] = "";
    char names[NAMES_SIZE] = "";
    assert_false(list_page(&raw, 100, after, "", names));
    assert_string_equal(names, "a b b/1 b/10 b/2 c ");
    after[0] = names[0] = '\0';
    assert_true(list_page(&raw, 2, after, "b", names));
    assert_string_equal(names, "b b/1 ");
    while (list_page(&raw, 1, after, "b", names))
        continue;
    assert_string_equal(names, "b b/1 b/10 b/2 ");
    raw_close(&raw);
}

static void tells_health_and_stats(struct stage *stage)
{
    struct raw raw;
    struct raw_out none = {NULL, 0, 0};
    struct process *daemon = stage_start(stage, NULL);
    raw_open(&raw);
    struct mark mark;
    uint64_t instance = hello(&raw, &mark);
    struct raw_in in = raw_ask(&raw, &none, RAW_HEALTH, RAW_HEALTH_IS);
    assert_int_equal(raw_get_number(&in, 1), 0);
    assert_int_equal(raw_get_number(&in, 4), daemon->pid);
    assert_int_equal(raw_get_number(&in, 8), instance);
    raw_get(&in, 3 * 8);
    raw_get(&in, (size_t)raw_get_number(&in, 1));
    assert_int_equal(raw_get_number(&in, 1), 0); /* no reason */
    raw_end(&in);
    raw_drop(&in);
    in = raw_ask(&raw, &none, RAW_STATS, RAW_STATS_ARE);
    uint64_t count = raw_get_number(&in, 4);
    assert_true(count > 10);
    for (uint64_t i = 0; i < count; i++) {
        raw_get(&in, 8);
        raw_get(&in, (size_t)raw_get_number(&in, 1));
    }
    raw_end(&in);
    raw_drop(&in);
    raw_close(&raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(shakes_hands),
        STAGE_TEST(acknowledges_batches),
        STAGE_TEST(resends_overlap),
        STAGE_TEST(resent_numbers_count_once),
        STAGE_TEST(holes_are_asked_for_once),
        STAGE_TEST(refusals_are_results),
        STAGE_TEST(level_none_has_refusals_only),
        STAGE_TEST(results_are_told_again),
        STAGE_TEST(levels_are_kept_apart),
        STAGE_TEST(base_moves_up),
        STAGE_TEST(batches_are_full),
        STAGE_TEST(second_holder_fences_the_first),
        STAGE_TEST(opening_waits_for_what_was_accepted),
        STAGE_TEST(producers_do_not_mix),
        STAGE_TEST(goes_on_after_a_kill),
        STAGE_TEST(asks_with_a_strange_token),
        STAGE_TEST(fetches_in_slices),
        STAGE_TEST(fetches_what_is_asked_for),
        STAGE_TEST(refuses_what_it_does_not_offer),
        STAGE_TEST(decides_by_conditions),
        STAGE_TEST(tells_the_last_event),
        STAGE_TEST(tells_what_is_known_of_a_session),
        STAGE_TEST(tells_nothing_of_no_session),
        STAGE_TEST(lists_sessions),
        STAGE_TEST(tells_health_and_stats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
