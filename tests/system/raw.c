/* SPDX-License-Identifier: Apache-2.0 */
#include "raw.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "check.h"
#include "until.h"

enum { ANSWER_MS = 10000, AGAIN_MS = 1000, HEADER_SIZE = 16 };

unsigned raw_sockets(uint8_t type)
{
    if (type == RAW_HELLO || type == RAW_STATE)
        return RAW_ON_INGEST | RAW_ON_READ;
    if (type == RAW_BATCH || type == RAW_OPEN || type == RAW_LEAVE || type == RAW_PUBLISH)
        return RAW_ON_INGEST;
    return type == RAW_LAST || type == RAW_FETCH || type == RAW_SESSIONS || type == RAW_HEALTH ||
                   type == RAW_STATS || type == RAW_SUBSCRIBE || type == RAW_CREDIT ||
                   type == RAW_UNSUBSCRIBE || type == RAW_INFO || type == RAW_FOLLOW ||
                   type == RAW_CLIENTS
               ? RAW_ON_READ
               : 0;
}

/* -- connections ------------------------------------------------------------------------------- */

static void *connect_to(void *context, const char *name)
{
    char endpoint[256];
    int none = 0;
    int unlimited = 0;
    void *socket = zmq_socket(context, ZMQ_DEALER);
    assert_non_null(socket);
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none));
    zmq_setsockopt(socket, ZMQ_SNDHWM, &unlimited, sizeof(unlimited));
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/%s", getenv("SPONSON_SOCKET_DIR"), name);
    assert_int_equal(zmq_connect(socket, endpoint), 0);
    return socket;
}

static void connect_both(struct raw *raw)
{
    raw->ingest = connect_to(raw->context, "ingest.sock");
    raw->read = connect_to(raw->context, "read.sock");
}

void raw_open(struct raw *raw)
{
    *raw = (struct raw){.context = zmq_ctx_new(), .request = 100};
    assert_non_null(raw->context);
    connect_both(raw);
}

static void disconnect(struct raw *raw)
{
    zmq_close(raw->ingest);
    zmq_close(raw->read);
}

void raw_reconnect(struct raw *raw)
{
    disconnect(raw);
    connect_both(raw);
}

void raw_close(struct raw *raw)
{
    disconnect(raw);
    zmq_ctx_term(raw->context);
    raw->context = NULL;
}

/* -- frames to send ---------------------------------------------------------------------------- */

void raw_release(struct raw_out *out)
{
    free(out->bytes);
    *out = (struct raw_out){NULL, 0, 0};
}

void raw_clear(struct raw_out *out)
{
    out->size = 0;
}

void raw_put(struct raw_out *out, const void *bytes, size_t size)
{
    if (out->room - out->size < size) {
        out->room = (out->size + size) * 2;
        out->bytes = realloc(out->bytes, out->room);
        assert_non_null(out->bytes);
    }
    if (size > 0)
        memcpy(out->bytes + out->size, bytes, size);
    out->size += size;
}

void raw_put_number(struct raw_out *out, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)(number >> (8 * i));
        raw_put(out, &byte, 1);
    }
}

void raw_put_zeros(struct raw_out *out, size_t size)
{
    for (size_t i = 0; i < size; i++)
        raw_put(out, "", 1);
}

void raw_put_short(struct raw_out *out, const char *text)
{
    raw_put_number(out, strlen(text), 1);
    raw_put(out, text, strlen(text));
}

void raw_put_header(struct raw_out *out, uint8_t type, uint64_t request)
{
    raw_put(out, (const uint8_t[]){0x53, 0x50, 0x4e, RAW_MAJOR}, 4);
    raw_put_number(out, 0, 1);
    raw_put_number(out, type, 1);
    raw_put_zeros(out, 2);
    raw_put_number(out, request, 8);
}

void raw_put_hello(struct raw_out *out)
{
    raw_put_zeros(out, 8 + 2);
}

void raw_put_fetch(struct raw_out *out, uint8_t start, uint32_t bytes_max, const void *life,
                   uint64_t seq)
{
    raw_put_number(out, start, 1);
    raw_put_zeros(out, 3);
    raw_put_number(out, bytes_max, 4);
    if (life)
        raw_put(out, life, RAW_LIFE_SIZE);
    else
        raw_put_zeros(out, RAW_LIFE_SIZE);
    raw_put_number(out, seq, 8);
}

void raw_put_batch(struct raw_out *out, const struct raw_batch *batch)
{
    raw_put_header(out, RAW_BATCH, 0);
    raw_put_number(out, batch->token, 8);
    raw_put_number(out, batch->first, 8);
    raw_put_number(out, batch->base, 8);
    raw_put_number(out, batch->round, 4);
    raw_put_number(out, batch->count, 4);
    raw_put_number(out, batch->level, 1);
    raw_put_zeros(out, 3);
    raw_put_zeros(out, 4); /* backpressure */
}

static size_t size_of(const char *text, size_t given)
{
    if (!text)
        return 0;
    return given > 0 ? given : strlen(text);
}

void raw_put_entry(struct raw_out *out, const struct raw_entry *entry)
{
    size_t session_size = size_of(entry->session, entry->session_size);
    size_t id_size = size_of(entry->id, entry->id_size);
    size_t type_size = size_of(entry->type, 0);
    size_t data_size = size_of(entry->data, entry->data_size);
    bool closes = entry->kind == 3 && entry->flags == 0;
    size_t extra_size = closes ? 1 : entry->extra_size;
    raw_put_number(out, entry->kind > 0 ? entry->kind : 1, 1);
    raw_put_number(out, session_size, 1);
    raw_put_number(out, type_size, 1);
    raw_put_number(out, closes ? 8 : entry->flags, 1);
    raw_put_number(out, id_size, 2);
    raw_put_number(out, extra_size, 2);
    raw_put_number(out, data_size, 4);
    raw_put_number(out, RAW_RETRY_NONE, 4);
    raw_put(out, entry->session, session_size);
    raw_put(out, entry->id, id_size);
    raw_put(out, entry->type, type_size);
    raw_put(out, closes ? "" : entry->extra, extra_size);
    raw_put(out, entry->data, data_size);
}

void raw_put_refused(struct raw_out *out)
{
    raw_put_entry(out, &(struct raw_entry){.id = "\n"});
}

void raw_put_close(struct raw_out *out, const char *session)
{
    raw_put_entry(out, &(struct raw_entry){.kind = 3, .session = session});
}

void raw_put_event(struct raw_out *out, const char *session, uint64_t number)
{
    char id[32];
    char data[320];
    snprintf(id, sizeof(id), "e%llu", (unsigned long long)number);
    snprintf(data, sizeof(data), "%s %llu", session, (unsigned long long)number);
    raw_put_entry(out, &(struct raw_entry){.session = session, .id = id, .data = data});
}

void raw_send(void *socket, const void *bytes, size_t size)
{
    assert_int_equal(zmq_send(socket, bytes, size, 0), size);
}

void raw_send_out(void *socket, const struct raw_out *out)
{
    raw_send(socket, out->bytes, out->size);
}

void raw_send_events(struct raw *raw, const struct raw_batch *batch, const char *session)
{
    struct raw_out out = {NULL, 0, 0};
    struct raw_batch head = *batch;
    head.level = RAW_DURABLE;
    raw_put_batch(&out, &head);
    for (uint32_t i = 0; i < batch->count; i++)
        raw_put_event(&out, session, batch->first + i);
    raw_send_out(raw->ingest, &out);
    raw_release(&out);
}

/* -- frames received --------------------------------------------------------------------------- */

const char *raw_get(struct raw_in *in, size_t size)
{
    if (in->size - in->at < size)
        fail_msg("a frame of type %u ends at %zu, inside a field", in->type, in->size);
    const char *bytes = (const char *)in->bytes + in->at;
    in->at += size;
    return bytes;
}

uint64_t raw_get_number(struct raw_in *in, size_t size)
{
    const uint8_t *bytes = (const uint8_t *)raw_get(in, size);
    uint64_t number = 0;
    for (size_t i = size; i > 0; i--)
        number = number << 8 | bytes[i - 1];
    return number;
}

void raw_get_zeros(struct raw_in *in, size_t size)
{
    for (size_t i = 0; i < size; i++)
        assert_int_equal(raw_get_number(in, 1), 0);
}

void raw_end(const struct raw_in *in)
{
    if (in->at != in->size)
        fail_msg("a frame of type %u has %zu bytes too many", in->type, in->size - in->at);
}

void raw_drop(struct raw_in *in)
{
    free(in->bytes);
    in->bytes = NULL;
}

static void get_header(struct raw_in *in)
{
    assert_memory_equal(raw_get(in, 3), "SPN", 3);
    in->major = (uint8_t)raw_get_number(in, 1);
    in->minor = (uint8_t)raw_get_number(in, 1);
    in->type = (uint8_t)raw_get_number(in, 1);
    raw_get_zeros(in, 2);
    in->request = raw_get_number(in, 8);
    assert_int_equal(in->major, RAW_MAJOR);
}

bool raw_receive(void *socket, int ms, struct raw_in *ret_in)
{
    uint64_t due_ns = until_in(ms);
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    int ready;
    do
        ready = zmq_poll(&item, 1, until_left_ms(due_ns));
    while ((ready < 0 && errno == EINTR) || (ready == 0 && !until_over(due_ns)));
    if (ready <= 0)
        return false;
    zmq_msg_t message;
    zmq_msg_init(&message);
    assert_true(zmq_msg_recv(&message, socket, 0) >= 0);
    assert_false(zmq_msg_more(&message));
    struct raw_in in = {.size = zmq_msg_size(&message)};
    in.bytes = malloc(in.size + 1);
    assert_non_null(in.bytes);
    memcpy(in.bytes, zmq_msg_data(&message), in.size);
    zmq_msg_close(&message);
    get_header(&in);
    *ret_in = in;
    return true;
}

static struct raw_in check_type(struct raw_in in, enum raw_type type)
{
    if (in.type == RAW_ERROR && type != RAW_ERROR) {
        raw_get_number(&in, 8);
        fail_msg("ERROR %u instead of a message of type %d", (unsigned)raw_get_number(&in, 4),
                 (int)type);
    }
    if (in.type != (uint8_t)type)
        fail_msg("a message of type %u, not %d", in.type, (int)type);
    return in;
}

struct raw_in raw_expect(void *socket, enum raw_type type)
{
    struct raw_in in;
    if (!raw_receive(socket, ANSWER_MS, &in))
        fail_msg("no answer; a message of type %d was to come", (int)type);
    return check_type(in, type);
}

/* -- whole answers ----------------------------------------------------------------------------- */

static uint32_t get_runs(struct raw_in *in, uint32_t count, struct raw_run *runs, uint32_t at)
{
    uint64_t before = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct raw_run run = {.first = raw_get_number(in, 8),
                              .count = (uint32_t)raw_get_number(in, 4),
                              .result = (uint8_t)raw_get_number(in, 1)};
        raw_get_zeros(in, 1);
        run.code = (uint16_t)raw_get_number(in, 2);
        assert_int_equal(run.code != 0, run.result == RAW_REFUSED);
        assert_true(run.first > before && run.count > 0); /* ascending, without overlap */
        assert_true(run.result >= RAW_DUPLICATE && run.result <= 4);
        before = run.first + run.count - 1;
        assert_true(at < RAW_RUNS_MAX);
        runs[at++] = run;
    }
    return at;
}

/* An answer that meets a full pipe is lost, and whoever misses it asks again: PROTOCOL.md. */
static bool ask_on(struct raw *raw, const struct raw_out *frame, struct raw_in *ret_in)
{
    for (int ms = 0; ms < ANSWER_MS; ms += AGAIN_MS) {
        raw_send_out(raw->read, frame);
        while (raw_receive(raw->read, AGAIN_MS, ret_in)) {
            if (ret_in->request >= raw->request)
                return true;
            raw_drop(ret_in); /* to what was asked twice before */
        }
    }
    return false;
}

struct raw_in raw_ask(struct raw *raw, struct raw_out *out, enum raw_type ask, enum raw_type answer)
{
    struct raw_in in;
    struct raw_out frame = {NULL, 0, 0};
    raw_put_header(&frame, (uint8_t)ask, ++raw->request);
    raw_put(&frame, out->bytes, out->size);
    bool answered = ask_on(raw, &frame, &in);
    raw_release(&frame);
    if (!answered)
        fail_msg("no answer; a message of type %d was to come", (int)answer);
    assert_int_equal(in.request, raw->request);
    return check_type(in, answer);
}

struct raw_state raw_get_state(struct raw_in *in)
{
    struct raw_state state = {
        .token = raw_get_number(in, 8),
        .instance = raw_get_number(in, 8),
        .accepted = raw_get_number(in, 8),
        .durable = raw_get_number(in, 8),
    };
    uint32_t runs = (uint32_t)raw_get_number(in, 4);
    memcpy(state.database, raw_get(in, sizeof(state.database)), sizeof(state.database));
    state.position = raw_get_number(in, 8);
    state.run_count = get_runs(in, runs, state.runs, 0);
    raw_end(in);
    raw_drop(in);
    assert_true(state.token != 0);
    assert_true(state.durable <= state.accepted);
    return state;
}

void raw_put_publish(struct raw_out *out, uint64_t request, uint8_t level,
                     const struct raw_entry *entry)
{
    raw_put_header(out, RAW_PUBLISH, request);
    raw_put_zeros(out, 8); /* features */
    raw_put_number(out, level, 1);
    raw_put_zeros(out, 7);
    raw_put_entry(out, entry);
}

struct raw_published raw_expect_published(struct raw *raw)
{
    struct raw_in in = raw_expect(raw->ingest, RAW_PUBLISHED);
    struct raw_published published = {.request = in.request};
    published.result = (uint8_t)raw_get_number(&in, 1);
    published.state = (uint8_t)raw_get_number(&in, 1);
    published.code = (uint16_t)raw_get_number(&in, 2);
    raw_get_zeros(&in, 4);
    memcpy(published.life, raw_get(&in, sizeof(published.life)), sizeof(published.life));
    published.seq = raw_get_number(&in, 8);
    published.position = raw_get_number(&in, 8);
    size_t size = (size_t)raw_get_number(&in, 2);
    assert_true(size < sizeof(published.id));
    memcpy(published.id, raw_get(&in, size), size);
    raw_end(&in);
    raw_drop(&in);
    assert_true(published.result <= RAW_REFUSED);
    assert_int_equal(published.code != 0, published.result == RAW_REFUSED);
    return published;
}

bool raw_try_producer(struct raw *raw, const char *id16, uint64_t token,
                      struct raw_state *ret_state, uint32_t *ret_code)
{
    struct raw_out out = {NULL, 0, 0};
    struct raw_in in;
    raw_put_header(&out, RAW_OPEN, ++raw->request);
    raw_put(&out, id16, 16);
    raw_put_number(&out, token, 8);
    raw_put_number(&out, 1, 8);
    raw_put_number(&out, raw->random_ids ? 0 : 1, 1);
    raw_put_zeros(&out, 7 + 16 + 8 + 8 + 8); /* nothing seen yet; no features */
    raw_send_out(raw->ingest, &out);
    raw_release(&out);
    bool came = raw_receive(raw->ingest, ANSWER_MS, &in);
    for (; came && in.request == 0; came = raw_receive(raw->ingest, ANSWER_MS, &in))
        raw_drop(&in);
    if (!came)
        fail_msg("no answer to OPEN");
    assert_int_equal(in.request, raw->request);
    if (in.type == RAW_OPENED) {
        *ret_state = raw_get_state(&in);
        return true;
    }
    assert_int_equal(in.type, RAW_ERROR);
    assert_int_equal(raw_get_number(&in, 8), 0);
    *ret_code = (uint32_t)raw_get_number(&in, 4);
    raw_drop(&in);
    return false;
}

struct raw_state raw_take_producer(struct raw *raw, const char *id16)
{
    struct raw_state state;
    uint32_t code = 0;
    if (!raw_try_producer(raw, id16, 0, &state, &code))
        fail_msg("OPEN: ERROR %u", code);
    return state;
}

struct raw_ack raw_expect_acks(struct raw *raw, uint64_t token, uint64_t up_to)
{
    struct raw_ack ack = {0};
    uint32_t runs = 0;
    do {
        struct raw_in in = raw_expect(raw->ingest, RAW_ACK);
        assert_int_equal(in.request, 0);
        ack.token = raw_get_number(&in, 8);
        ack.from = raw_get_number(&in, 8);
        ack.up_to = raw_get_number(&in, 8);
        uint32_t count = (uint32_t)raw_get_number(&in, 4);
        ack.level = (uint8_t)raw_get_number(&in, 1);
        raw_get_zeros(&in, 3);
        ack.position = raw_get_number(&in, 8);
        runs = get_runs(&in, count, ack.runs, runs);
        raw_end(&in);
        raw_drop(&in);
        assert_int_equal(ack.token, token);
        assert_true(ack.from <= ack.up_to);
    } while (ack.up_to < up_to);
    assert_int_equal(ack.up_to, up_to);
    ack.run_count = runs;
    return ack;
}

struct raw_hole raw_expect_hole(struct raw *raw)
{
    struct raw_in in = raw_expect(raw->ingest, RAW_EXPECT);
    assert_int_equal(in.request, 0);
    struct raw_hole hole = {
        .token = raw_get_number(&in, 8),
        .number = raw_get_number(&in, 8),
        .round = (uint32_t)raw_get_number(&in, 4),
    };
    raw_get_zeros(&in, 4);
    raw_end(&in);
    raw_drop(&in);
    return hole;
}

struct raw_error raw_expect_error(void *socket, uint32_t code)
{
    struct raw_in in = raw_expect(socket, RAW_ERROR);
    struct raw_error error = {
        .request = in.request,
        .token = raw_get_number(&in, 8),
        .code = (uint32_t)raw_get_number(&in, 4),
    };
    size_t size = (size_t)raw_get_number(&in, 1);
    const char *detail = raw_get(&in, size);
    raw_end(&in);
    if (error.code != code)
        fail_msg("ERROR %u (%.*s), not %u", error.code, (int)size, detail, code);
    memcpy(error.detail, detail, size);
    assert_true(size > 0); /* words for a person */
    raw_drop(&in);
    return error;
}
