/* SPDX-License-Identifier: Apache-2.0 */
/* test_hostile: what comes in broken, lying or in excess is answered as PROTOCOL.md says, and harms
 * nobody.
 *
 * Beside every attack a well-behaved client publishes; at the end it has lost nothing. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include "check.h"
#include "event_list.h"
#include "feeder.h"
#include "raw.h"
#include "stage.h"
#include "until.h"

static const char attacker_id[] = "raw attacker id.";

enum {
    FED_AT_A_TIME = 5,
    GARBAGE_FRAMES = 500,
    GARBAGE_SIZE_MAX = 400,
    UNREAD_FRAMES = 20000,
    HUGE_FRAME = 64 << 20,
    DATA_MAX = 4 << 20,
    FILES_MAX = 40, /* the daemon's limit in the test of it */
    CONNECTIONS = 120,
    BATCH_MAX = 4096, /* and so many results that are not plain are kept of a producer */
    HOLDERS = 6,
    HELD_FRAMES = 8,
    CONFLICTS = 6000, /* which need more results than are kept */
    HELD_SIZE = 200 << 10,
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* -- the two clients --------------------------------------------------------------------------- */

struct bout {
    struct stage *stage;
    struct process *daemon;
    struct raw raw;       /* attacks */
    uint64_t token;       /* the attacker has one, like everybody */
    struct feeder feeder; /* behaves well */
    size_t fed;
};

static void begin_with(struct bout *bout, struct stage *stage, const struct stage_daemon *options)
{
    *bout = (struct bout){.stage = stage};
    bout->daemon = stage_start(stage, options);
    raw_open(&bout->raw);
    bout->token = raw_take_producer(&bout->raw, attacker_id).token;
    feeder_open(&bout->feeder);
}

static void begin(struct bout *bout, struct stage *stage)
{
    begin_with(bout, stage, NULL);
}

/* A few events more, which become durable. */
static void feed(struct bout *bout)
{
    char id[32];
    char data[64];
    for (size_t i = 0; i < FED_AT_A_TIME; i++) {
        snprintf(id, sizeof(id), "%zu", ++bout->fed);
        snprintf(data, sizeof(data), "undisturbed %zu", bout->fed);
        feeder_put(&bout->feeder, "victim", id, data);
    }
    assert_int_equal(feeder_settle(&bout->feeder).stored, FED_AT_A_TIME);
}

/* The victim has all it ever sent, the daemon is the one that was started, and stops as it should.
 */
static void end(struct bout *bout)
{
    struct event_list got = EVENT_LIST_INIT;
    feed(bout);
    feeder_close(&bout->feeder);
    raw_close(&bout->raw);
    assert_true(process_runs(bout->daemon));
    struct outcome replay = stage_run(bout->stage, "replay", "victim");
    stage_expect_code(&replay, 0);
    event_list_add_json(&got, replay.output, NULL);
    event_list_expect_whole("victim", &got);
    assert_int_equal(got.count, bout->fed);
    for (size_t i = 0; i < got.count; i++) {
        const char *data = stage_format(bout->stage, "undisturbed %zu", i + 1);
        assert_string_equal(got.items[i].data.data, data);
    }
    event_list_release(&got);
    assert_int_equal(stage_stop(bout->daemon), 0);
}

/* No session but the victim's: nothing of what was attacked with was stored. */
static void expect_nothing_stored(struct bout *bout)
{
    struct outcome dump = stage_run(bout->stage, "dump", "--session", "attack");
    stage_expect_code(&dump, 3);
}

/* -- frames that are no messages --------------------------------------------------------------- */

struct header_row {
    const char *name;
    uint8_t bytes[16];
    size_t size;
    uint32_t code;
    uint64_t request;
    const char *words; /* in the detail */
};

/* Sent to both sockets, and refused on both. */
static void expect_refusal_on_both(struct bout *bout, const struct raw_out *out,
                                   const struct header_row *row)
{
    void *const sockets[] = {bout->raw.ingest, bout->raw.read};
    for (size_t i = 0; i < COUNT(sockets); i++) {
        raw_send_out(sockets[i], out);
        struct raw_error error = raw_expect_error(sockets[i], row->code);
        assert_int_equal(error.request, row->request);
        assert_int_equal(error.token, 0);
        if (!strstr(error.detail, row->words))
            fail_msg("%s: \"%s\" does not say: %s", row->name, error.detail, row->words);
    }
}

static const struct header_row headers[] = {
    {"empty", {0}, 0, RAW_E_PROTOCOL, 0, "it is shorter than a header"},
    {"one byte", "S", 1, RAW_E_PROTOCOL, 0, "it is shorter than a header"},
    {"fifteen bytes", "SPN\3\0\1\0\0\7\0\0\0\0\0\0", 15, RAW_E_PROTOCOL, 0,
     "it is shorter than a header"},
    {"another magic", "SPM\1\0\1\0\0\7\0\0\0\0\0\0", 16, RAW_E_PROTOCOL, 0,
     "it does not begin with SPN"},
    {"magic in small letters", "spn\1\0\1\0\0\7\0\0\0\0\0\0", 16, RAW_E_PROTOCOL, 0,
     "it does not begin with SPN"},
    {"HTTP", "GET / HTTP/1.1\r\n", 16, RAW_E_PROTOCOL, 0, "it does not begin with SPN"},
    {"major version 0", "SPN\0\0\1\0\0\7\0\0\0\0\0\0", 16, RAW_E_VERSION, 7, "version"},
    {"major version 1", "SPN\1\0\1\0\0\7\0\0\0\0\0\0", 16, RAW_E_VERSION, 7, "version"},
    {"major version 2", "SPN\2\0\1\0\0\7\0\0\0\0\0\0", 16, RAW_E_VERSION, 7, "version"},
    {"major version 255", "SPN\377\0\20\0\0\7\0\0\0\0\0\0", 16, RAW_E_VERSION, 7, "version"},
    {"major version 4, type unknown", "SPN\4\0\310\1\1\7\0\0\0\0\0\0", 16, RAW_E_VERSION, 7,
     "version"},
};

static void refuses_bad_headers(struct stage *stage)
{
    struct bout bout;
    begin(&bout, stage);
    for (size_t i = 0; i < COUNT(headers); i++) {
        struct raw_out out = {NULL, 0, 0};
        raw_put(&out, headers[i].bytes, headers[i].size);
        expect_refusal_on_both(&bout, &out, &headers[i]);
        raw_release(&out);
        feed(&bout);
    }
    end(&bout);
}

/* A message of a header alone, of this type, on one socket. */
static void expect_answer_to_type(struct bout *bout, uint8_t type, bool ingest)
{
    void *socket = ingest ? bout->raw.ingest : bout->raw.read;
    unsigned right = raw_sockets(type);
    bool taken = (right & (ingest ? RAW_ON_INGEST : RAW_ON_READ)) != 0;
    struct raw_out out = {NULL, 0, 0};
    raw_put_header(&out, type, 1000 + type);
    raw_send_out(socket, &out);
    raw_release(&out);
    if (taken && (type == RAW_HEALTH || type == RAW_STATS)) {
        struct raw_in in = raw_expect(socket, type + 1); /* they have no body */
        assert_int_equal(in.request, 1000 + type);
        raw_drop(&in);
        return;
    }
    bool denied = right != 0 && !taken;
    struct raw_error error = raw_expect_error(socket, denied ? RAW_E_DENIED : RAW_E_PROTOCOL);
    assert_int_equal(error.request, 1000 + type);
    const char *words = taken ? "it ends within the field at byte 16" : "no request has type ";
    if (denied)
        words = ingest ? "read.sock" : "ingest.sock";
    assert_non_null(strstr(error.detail, words));
}

/* Types that only the sidecar sends, or the other socket takes, or nobody knows. */
static void each_socket_takes_its_own_types(struct stage *stage)
{
    struct bout bout;
    begin(&bout, stage);
    for (unsigned type = 0; type < 256; type++) {
        expect_answer_to_type(&bout, (uint8_t)type, true);
        expect_answer_to_type(&bout, (uint8_t)type, false);
    }
    end(&bout);
}

static uint32_t next_random(uint32_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    return *random;
}

static void refuses_garbage(struct stage *stage)
{
    struct bout bout;
    uint32_t random = 2463534242u;
    uint8_t bytes[GARBAGE_SIZE_MAX];
    begin(&bout, stage);
    for (size_t i = 0; i < GARBAGE_FRAMES; i++) {
        struct raw_out out = {NULL, 0, 0};
        size_t size = next_random(&random) % GARBAGE_SIZE_MAX;
        for (size_t at = 0; at < size; at++)
            bytes[at] = (uint8_t)next_random(&random);
        /* Half of them look like a message at first. */
        if (i % 2 == 0)
            raw_put_header(&out, RAW_BATCH, 0);
        raw_put(&out, bytes, size);
        raw_send_out(bout.raw.ingest, &out);
        raw_expect_error(bout.raw.ingest, RAW_E_PROTOCOL);
        if (i % 50 == 0)
            feed(&bout);
        raw_release(&out);
    }
    end(&bout);
}

/* -- batches that lie -------------------------------------------------------------------------- */

/* Two events, one that is refused and one more event, of a session `attack`. */
static void put_valid_batch(struct raw_out *out, uint64_t token, uint64_t first)
{
    raw_put_batch(out, &(struct raw_batch){token, first, first, 0, 4, RAW_DURABLE});
    raw_put_entry(out,
                  &(struct raw_entry){.session = "attack", .id = "1", .type = "t", .data = "one"});
    raw_put_entry(out, &(struct raw_entry){.id = "2", .data = "two"});
    raw_put_refused(out);
    raw_put_entry(out, &(struct raw_entry){.session = "attack", .id = "3", .data = ""});
}

static void refuses_every_truncation(struct stage *stage)
{
    struct bout bout;
    struct raw_out out = {NULL, 0, 0};
    begin(&bout, stage);
    put_valid_batch(&out, bout.token, 1);
    size_t whole = out.size;
    for (size_t size = 0; size < whole; size++) {
        raw_send(bout.raw.ingest, out.bytes, size);
        raw_expect_error(bout.raw.ingest, RAW_E_PROTOCOL);
    }
    raw_put(&out, "", 1);
    raw_send_out(bout.raw.ingest, &out);
    raw_expect_error(bout.raw.ingest, RAW_E_PROTOCOL);
    expect_nothing_stored(&bout);
    /* None of them used a number up. */
    raw_send(bout.raw.ingest, out.bytes, whole);
    raw_expect_acks(&bout.raw, bout.token, 4);
    raw_release(&out);
    end(&bout);
}

/* One field of the valid batch is written over. Offsets as in PROTOCOL.md; the first entry is at
 * 56, the second at 56 + 16 + 6 + 1 + 1 + 3 = 83, the third at 103, the last entry at 120. */
struct lie {
    const char *name;
    size_t offset;
    size_t size;
    uint64_t value;
};

static const struct lie lies[] = {
    {"zero of the header is not", 6, 2, 1},
    {"first is 0", 24, 8, 0},
    {"base is 0", 32, 8, 0},
    {"base above first", 32, 8, 2},
    {"count is 0", 44, 4, 0},
    {"count too low", 44, 4, 3},
    {"count too high", 44, 4, 5},
    {"count over the limit", 44, 4, 4097},
    {"count as high as can be", 44, 4, UINT32_MAX},
    {"level unknown", 48, 1, 4},
    {"zero of the head is not", 49, 3, 1},
    {"last zero of the head is not", 51, 1, 1},
    {"kind 0", 56, 1, 0},
    {"kind 2, which is free", 56, 1, 2},
    {"kind unknown", 56, 1, 11},
    {"a kind of items only", 56, 1, 9},
    {"attributes with the bytes of an event", 56, 1, 7},
    {"a touch with the bytes of an event", 56, 1, 8},
    {"a marker with the bytes of an event", 56, 1, 5},
    {"a reset with the bytes of an event", 56, 1, 6},
    {"a close with the bytes of an event", 56, 1, 3},
    {"a delete with the bytes of an event", 56, 1, 4},
    {"first entry without a session", 57, 1, 0},
    {"session longer than it is", 57, 1, 7},
    {"session as long as can be", 57, 1, 255},
    {"type longer than it is", 58, 1, 2},
    {"a flag whose part is not there", 59, 1, 1},
    {"a flag unknown", 59, 1, 64},
    {"id longer than it is", 60, 2, 2},
    {"id over the limit", 60, 2, 4097},
    {"id as long as can be", 60, 2, 65535},
    {"extra bytes that are not there", 62, 2, 1},
    {"data longer than it is", 64, 4, 4},
    {"data shorter than it is", 64, 4, 2},
    {"data to the end and one more", 64, 4, 68},
    {"data as long as can be", 64, 4, UINT32_MAX},
    {"data that would wrap around", 64, 4, UINT32_MAX - 15},
    {"last data beyond the frame", 128, 4, 1},
};

static void put_lie(struct raw_out *out, const struct lie *lie)
{
    for (size_t i = 0; i < lie->size; i++)
        out->bytes[lie->offset + i] = (uint8_t)(lie->value >> (8 * i));
}

static void refuses_lengths_that_lie(struct stage *stage)
{
    struct bout bout;
    begin(&bout, stage);
    for (size_t i = 0; i < COUNT(lies); i++) {
        struct raw_out out = {NULL, 0, 0};
        put_valid_batch(&out, bout.token, 1);
        put_lie(&out, &lies[i]);
        raw_send_out(bout.raw.ingest, &out);
        struct raw_in in;
        if (!raw_receive(bout.raw.ingest, STAGE_WAIT_MS, &in))
            fail_msg("%s: no answer", lies[i].name);
        raw_get_number(&in, 8);
        if (in.type != RAW_ERROR || raw_get_number(&in, 4) != RAW_E_PROTOCOL)
            fail_msg("%s: answered with type %u", lies[i].name, in.type);
        raw_drop(&in);
        raw_release(&out);
        feed(&bout);
    }
    expect_nothing_stored(&bout);
    end(&bout);
}

/* Every single bit of a valid batch turned over: whatever the answer, nobody else notices. */
static void bears_every_bit_flip(struct stage *stage)
{
    struct bout bout;
    struct raw_out out = {NULL, 0, 0};
    struct raw_in in;
    begin(&bout, stage);
    put_valid_batch(&out, bout.token, 1);
    for (size_t bit = 0; bit < out.size * 8; bit++) {
        out.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        raw_send_out(bout.raw.ingest, &out);
        out.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        while (raw_receive(bout.raw.ingest, 0, &in))
            raw_drop(&in);
    }
    raw_release(&out);
    end(&bout);
}

/* -- messages of several frames ---------------------------------------------------------------- */

static void send_parts(void *socket, const char *const *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_true(zmq_send(socket, parts[i], strlen(parts[i]), i + 1 < count ? ZMQ_SNDMORE : 0) >=
                    0);
}

static void expect_several_refused(void *socket)
{
    struct raw_error error = raw_expect_error(socket, RAW_E_PROTOCOL);
    assert_string_equal(error.detail, "a message is one frame");
}

static void refuses_several_frames(struct stage *stage)
{
    static const char *const two[] = {"a", "b"};
    static const char *const with_delimiter[] = {"", "SPN\2"};
    struct bout bout;
    struct raw_out out = {NULL, 0, 0};
    begin(&bout, stage);
    void *const sockets[] = {bout.raw.ingest, bout.raw.read};
    for (size_t i = 0; i < COUNT(sockets); i++) {
        send_parts(sockets[i], two, COUNT(two));
        expect_several_refused(sockets[i]);
        send_parts(sockets[i], with_delimiter, COUNT(with_delimiter));
        expect_several_refused(sockets[i]);
        feed(&bout);
    }
    /* A valid message with one more frame behind it or before it is none. */
    put_valid_batch(&out, bout.token, 1);
    assert_true(zmq_send(bout.raw.ingest, out.bytes, out.size, ZMQ_SNDMORE) > 0);
    raw_send(bout.raw.ingest, "", 0);
    expect_several_refused(bout.raw.ingest);
    assert_true(zmq_send(bout.raw.ingest, "", 0, ZMQ_SNDMORE) == 0);
    raw_send_out(bout.raw.ingest, &out);
    expect_several_refused(bout.raw.ingest);
    expect_nothing_stored(&bout);
    raw_release(&out);
    end(&bout);
}

/* -- numbers and tokens ------------------------------------------------------------------------ */

static void refuses_strange_tokens(struct stage *stage)
{
    struct bout bout;
    begin(&bout, stage);
    const uint64_t tokens[] = {0, 1, UINT64_MAX, bout.token + 1, ~bout.token};
    for (size_t i = 0; i < COUNT(tokens); i++) {
        raw_send_events(&bout.raw, &(struct raw_batch){tokens[i], 1, 1, 0, 2, 0}, "attack");
        struct raw_error error = raw_expect_error(bout.raw.ingest, RAW_E_STALE_TOKEN);
        assert_int_equal(error.token, tokens[i]);
        feed(&bout);
    }
    expect_nothing_stored(&bout);
    end(&bout);
}

static void asks_for_numbers_in_order(struct stage *stage)
{
    struct bout bout;
    begin(&bout, stage);
    const uint64_t firsts[] = {2, 100, 1ull << 40, UINT64_MAX - 2};
    for (uint32_t i = 0; i < COUNT(firsts); i++) {
        raw_send_events(&bout.raw, &(struct raw_batch){bout.token, firsts[i], 1, i, 2, 0},
                        "attack");
        struct raw_hole expect = raw_expect_hole(&bout.raw);
        assert_int_equal(expect.token, bout.token);
        assert_int_equal(expect.number, 1);
        assert_int_equal(expect.round, i);
        feed(&bout);
    }
    expect_nothing_stored(&bout);
    end(&bout);
}

/* -- contents ---------------------------------------------------------------------------------- */

static char long_data[DATA_MAX + 1];

struct content_row {
    const char *name;
    struct raw_entry entry;
    uint32_t code;
};

static const struct content_row contents[] = {
    {"session with a tab", {.session = "a\tb", .id = "1", .data = "d"}, RAW_E_BAD_SESSION},
    {"session with a NUL",
     {.session = "a\0b", .session_size = 3, .id = "1", .data = "d"},
     RAW_E_BAD_SESSION},
    {"session with a DEL", {.session = "a\x7f", .id = "1", .data = "d"}, RAW_E_BAD_SESSION},
    {"session with a C1 character",
     {.session = "a\xc2\x85", .id = "1", .data = "d"},
     RAW_E_BAD_SESSION},
    {"session that is no UTF-8", {.session = "a\xff", .id = "1", .data = "d"}, RAW_E_BAD_SESSION},
    {"session of an overlong form",
     {.session = "\xc0\xaf", .id = "1", .data = "d"},
     RAW_E_BAD_SESSION},
    {"session with half a character",
     {.session = "a\xe2\x82", .id = "1", .data = "d"},
     RAW_E_BAD_SESSION},
    {"no id", {.session = "attack", .data = "d"}, RAW_E_BAD_ID},
    {"id with a NUL", {.session = "attack", .id = "a\0b", .id_size = 3, .data = "d"}, RAW_E_BAD_ID},
    {"id with a CR", {.session = "attack", .id = "a\rb", .data = "d"}, RAW_E_BAD_ID},
    {"id with an LF", {.session = "attack", .id = "a\nb", .data = "d"}, RAW_E_BAD_ID},
    {"type with an LF",
     {.session = "attack", .id = "1", .type = "a\nb", .data = "d"},
     RAW_E_BAD_TYPE},
    {"type with a CR", {.session = "attack", .id = "1", .type = "\r", .data = "d"}, RAW_E_BAD_TYPE},
    {"data with a CR", {.session = "attack", .id = "1", .data = "a\rb"}, RAW_E_BAD_DATA},
    {"data over the limit",
     {.session = "attack", .id = "1", .data = long_data, .data_size = DATA_MAX + 1},
     RAW_E_TOO_LARGE},
};

static void expect_content_refused(struct bout *bout, const struct content_row *row,
                                   uint64_t number)
{
    struct raw_out out = {NULL, 0, 0};
    raw_put_batch(&out, &(struct raw_batch){bout->token, number, number, 0, 1, RAW_DURABLE});
    raw_put_entry(&out, &row->entry);
    raw_send_out(bout->raw.ingest, &out);
    struct raw_ack ack = raw_expect_acks(&bout->raw, bout->token, number);
    assert_int_equal(ack.run_count, 1);
    assert_int_equal(ack.runs[0].first, number);
    assert_int_equal(ack.runs[0].result, RAW_REFUSED);
    if (ack.runs[0].code != row->code)
        fail_msg("%s: refused with %u, not %u", row->name, ack.runs[0].code, row->code);
    raw_release(&out);
}

static void refuses_contents(struct stage *stage)
{
    struct bout bout;
    begin(&bout, stage);
    memset(long_data, 'x', sizeof(long_data));
    for (uint32_t i = 0; i < COUNT(contents); i++) {
        expect_content_refused(&bout, &contents[i], i + 1);
        feed(&bout);
    }
    expect_nothing_stored(&bout);
    /* At the limit is within it. */
    struct raw_out out = {NULL, 0, 0};
    uint64_t number = COUNT(contents) + 1;
    raw_put_batch(&out, &(struct raw_batch){bout.token, number, 1, 100, 1, RAW_DURABLE});
    raw_put_entry(&out,
                  &(struct raw_entry){
                      .session = "large", .id = "1", .data = long_data, .data_size = DATA_MAX});
    raw_send_out(bout.raw.ingest, &out);
    raw_expect_acks(&bout.raw, bout.token, number);
    raw_release(&out);
    end(&bout);
}

/* -- asks that lie ----------------------------------------------------------------------------- */

static size_t put_ask(struct raw_out *out, uint8_t type, uint64_t token)
{
    raw_clear(out);
    raw_put_header(out, type, 5);
    if (type == RAW_HELLO)
        raw_put_hello(out);
    if (type == RAW_OPEN)
        raw_put(out, attacker_id, 16);
    if (type == RAW_OPEN || type == RAW_STATE) {
        raw_put_number(out, token, 8);
        raw_put_number(out, 1, 8);
    }
    if (type == RAW_OPEN)
        raw_put_zeros(out, 8 + 24 + 8 + 8); /* a random id; nothing seen yet; no features */
    if (type == RAW_FETCH)
        raw_put_fetch(out, 1, 1000, NULL, 0);
    if (type == RAW_SESSIONS)
        raw_put_number(out, 10, 4);
    if (type == RAW_LAST || type == RAW_FETCH || type == RAW_SESSIONS || type == RAW_INFO)
        raw_put_short(out, "attack");
    if (type == RAW_SESSIONS)
        raw_put_short(out, "at");
    if (type == RAW_FETCH) {
        raw_put_number(out, 2, 2);
        raw_put(out, "id", 2);
    }
    return out->size;
}

/* A whole ask gets its answer, whose type is the next number: so it was the break that was refused.
 * LAST and INFO have an ERROR for a session that is not there. */
static void expect_understood(void *socket, uint8_t type, const void *bytes, size_t size)
{
    raw_send(socket, bytes, size);
    if (type == RAW_LAST || type == RAW_INFO) {
        assert_int_equal(raw_expect_error(socket, RAW_E_UNKNOWN_SESSION).request, 5);
        return;
    }
    struct raw_in in = raw_expect(socket, type + 1);
    assert_int_equal(in.request, 5);
    raw_drop(&in);
}

static void expect_broken_asks_refused(struct bout *bout, uint8_t type, void *socket)
{
    struct raw_out out = {NULL, 0, 0};
    size_t whole = put_ask(&out, type, bout->token);
    for (size_t size = 0; size < whole; size++) {
        raw_send(socket, out.bytes, size);
        assert_int_equal(raw_expect_error(socket, RAW_E_PROTOCOL).request, size < 16 ? 0 : 5);
    }
    raw_put(&out, "", 1);
    raw_send_out(socket, &out);
    raw_expect_error(socket, RAW_E_PROTOCOL);
    expect_understood(socket, type, out.bytes, whole);
    raw_release(&out);
}

static void refuses_broken_asks(struct stage *stage)
{
    static const uint8_t types[] = {RAW_HELLO,    RAW_OPEN,   RAW_STATE, RAW_LAST, RAW_FETCH,
                                    RAW_SESSIONS, RAW_HEALTH, RAW_STATS, RAW_INFO};
    struct bout bout;
    begin(&bout, stage);
    for (size_t i = 0; i < COUNT(types); i++) {
        if ((raw_sockets(types[i]) & RAW_ON_INGEST) != 0)
            expect_broken_asks_refused(&bout, types[i], bout.raw.ingest);
        if ((raw_sockets(types[i]) & RAW_ON_READ) != 0)
            expect_broken_asks_refused(&bout, types[i], bout.raw.read);
        feed(&bout);
    }
    end(&bout);
}

/* -- excess ------------------------------------------------------------------------------------ */

/* Frames far beyond everything: their sender is disconnected before they are read into memory. */
static void bears_huge_frames(struct stage *stage)
{
    struct bout bout;
    begin(&bout, stage);
    uint8_t *huge = stage_keep(stage, calloc(1, HUGE_FRAME));
    size_t before = process_anonymous_bytes(bout.daemon);
    raw_send(bout.raw.ingest, huge, HUGE_FRAME);
    raw_send(bout.raw.read, huge, HUGE_FRAME);
    feed(&bout);
    feed(&bout);
    assert_true(process_anonymous_bytes(bout.daemon) < before + HUGE_FRAME / 2);
    end(&bout);
}

/* An attacker that never reads its answers, and then one that hangs up at once. */
static void bears_clients_that_do_not_read(struct stage *stage)
{
    struct bout bout;
    struct raw_out out = {NULL, 0, 0};
    begin(&bout, stage);
    put_ask(&out, RAW_STATS, 0);
    size_t frames = until_scaled(UNREAD_FRAMES);
    for (size_t i = 0; i < frames; i++) {
        raw_send(bout.raw.ingest, "garbage", 7);
        raw_send_out(bout.raw.read, &out);
        if (i % 1000 == 0)
            feed(&bout);
    }
    feed(&bout);
    for (size_t i = 0; i < 50; i++) {
        raw_send(bout.raw.ingest, "garbage", 7);
        raw_send_out(bout.raw.read, &out);
        raw_reconnect(&bout.raw);
    }
    raw_release(&out);
    end(&bout);
}

/* -- below ZeroMQ ------------------------------------------------------------------------------ */

static int connect_plain(struct stage *stage, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/%s", stage->socket_dir, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    /* Nonblocking: a backlog that is full is one of the things to be borne. */
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 && errno != EAGAIN)
        fail_msg("%s: %s", address.sun_path, strerror(errno));
    return fd;
}

static void bears_what_is_not_zeromq(struct stage *stage)
{
    static const char http[] = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    static const char *const names[] = {"ingest.sock", "read.sock"};
    struct bout bout;
    uint32_t random = 88675123u;
    begin(&bout, stage);
    for (size_t i = 0; i < 40; i++) {
        int fd = connect_plain(stage, names[i % 2]);
        for (size_t at = 0; at < 200; at++) {
            uint32_t word = next_random(&random);
            ssize_t sent = i % 4 < 2 ? send(fd, http, sizeof(http) - 1, MSG_NOSIGNAL)
                                     : send(fd, &word, sizeof(word), MSG_NOSIGNAL);
            if (sent < 0)
                break;
        }
        if (i % 10 == 0)
            feed(&bout);
        close(fd);
    }
    end(&bout);
}

static void limit_files(void)
{
    struct rlimit limit = {FILES_MAX, FILES_MAX};
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* More connections than the daemon may have descriptors: those too many are turned away, the client
 * that was there before goes on, and when they are gone new ones are served again. */
static void bears_its_limit_of_files(struct stage *stage)
{
    struct bout bout;
    int fds[CONNECTIONS];
    struct stage_daemon options = {.prepare = limit_files};
    begin_with(&bout, stage, &options);
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < CONNECTIONS; i++)
            fds[i] = connect_plain(stage, i % 2 ? "ingest.sock" : "read.sock");
        feed(&bout);
        assert_true(process_runs(bout.daemon));
        for (size_t i = 0; i < CONNECTIONS; i++)
            close(fds[i]);
        struct outcome health = stage_run(stage, "health", "--wait", "20");
        stage_expect_code(&health, 0);
    }
    struct outcome stats = stage_run(stage, "stats");
    const char *refused = strstr(stats.out, "sponson_connections_refused_total");
    assert_non_null(refused);
    assert_true(strtoull(refused + strlen("sponson_connections_refused_total"), NULL, 10) > 0);
    end(&bout);
}

/* By turns an event and a refused one: each of these is a result of its own. */
static void send_results(struct raw *raw, struct raw_batch head)
{
    struct raw_out out = {NULL, 0, 0};
    raw_put_batch(&out, &head);
    for (uint64_t number = head.first; number < head.first + head.count; number++) {
        if (number % 2 == 0)
            raw_put_refused(&out);
        else
            raw_put_event(&out, "attack", number);
    }
    raw_send_out(raw->ingest, &out);
    raw_release(&out);
}

/* As many results as are kept, one batch that needs another, and frames that wait for that. */
static void wait_for_base(struct raw *raw, uint64_t token)
{
    static char data[HELD_SIZE];
    struct raw_batch head = {.token = token, .first = 1, .base = 1, .count = BATCH_MAX};
    head.level = RAW_NONE;
    for (int i = 0; i < 3; i++, head.first += BATCH_MAX)
        send_results(raw, head);
    memset(data, 'x', sizeof(data));
    head.count = 1;
    for (int i = 0; i < HELD_FRAMES; i++, head.first++) {
        struct raw_out out = {NULL, 0, 0};
        raw_put_batch(&out, &head);
        raw_put_entry(&out,
                      &(struct raw_entry){
                          .session = "attack", .id = "x", .data = data, .data_size = sizeof(data)});
        raw_send_out(raw->ingest, &out);
        raw_release(&out);
    }
}

/* Each id twice, with other data. */
static void expect_conflicts_told(struct stage *stage)
{
    const char *words[] = {"record", "conflicts", NULL};
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    for (int i = 0; i < CONFLICTS; i++)
        fprintf(file, "id: %d\ndata: x\n\nid: %d\ndata: y\n\n", i, i);
    assert_int_equal(fclose(file), 0);
    stage_keep(stage, text);
    struct outcome done = stage_run_words(stage, words, (struct spn_bytes){text, size});
    stage_expect_code(&done, 1);
    assert_int_equal(event_json_number(done.out, "stored"), CONFLICTS);
    assert_int_equal(event_json_number(done.out, "conflicts"), CONFLICTS);
}

/* All but the one who behaves well. */
static bool holders_are_forgotten(void *argument)
{
    struct bout *bout = argument;
    feed(bout);
    return event_stat(bout->stage, "sponson_producers") == 1;
}

/* Producers that take no results have frames that wait for them to, and were counted against the
 * queue's mark for ever: a few of them, and nobody was heard any more. Nor were they ever
 * forgotten. */
static void results_that_nobody_takes_stopped_everybody(struct stage *stage)
{
    struct bout bout;
    char id[] = "results holder 0";
    struct stage_daemon options = {.more = {"--queue-bytes", "4M", "--producer-ttl", "3s"}};
    begin_with(&bout, stage, &options);
    for (int i = 0; i < HOLDERS; i++) {
        id[sizeof(id) - 2] = (char)('0' + i);
        wait_for_base(&bout.raw, raw_take_producer(&bout.raw, id).token);
        feed(&bout);
    }
    raw_reconnect(&bout.raw); /* they are gone */
    feed(&bout);
    expect_conflicts_told(stage);
    assert_true(until_true(until_in(STAGE_WAIT_MS), holders_are_forgotten, &bout));
    end(&bout);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(results_that_nobody_takes_stopped_everybody),
        STAGE_TEST(refuses_bad_headers),
        STAGE_TEST(each_socket_takes_its_own_types),
        STAGE_TEST(refuses_garbage),
        STAGE_TEST(refuses_every_truncation),
        STAGE_TEST(refuses_lengths_that_lie),
        STAGE_TEST(bears_every_bit_flip),
        STAGE_TEST(refuses_several_frames),
        STAGE_TEST(refuses_strange_tokens),
        STAGE_TEST(asks_for_numbers_in_order),
        STAGE_TEST(refuses_contents),
        STAGE_TEST(refuses_broken_asks),
        STAGE_TEST(bears_huge_frames),
        STAGE_TEST(bears_clients_that_do_not_read),
        STAGE_TEST(bears_what_is_not_zeromq),
        STAGE_TEST(bears_its_limit_of_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
