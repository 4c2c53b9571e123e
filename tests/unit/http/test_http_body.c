/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_body: what each body of a POST gives, however it is cut into pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <jansson.h>

#include "http/body_run.h"
#define ALLOCATIONS_CALLOC
#include "allocations.h"
#include "any.h"
#include "base/base64.h"
#include "base/json_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

enum { DATA_MAX = 20, JSON_MAX = 400 };

#define SSE .kind = BODY_SSE
#define JSON .kind = BODY_JSON
#define RAW .kind = BODY_RAW
#define LF .newlines_lf = true
#define HOLDS .holds_last = true

static const struct {
    struct body_options options; /* without limits */
    struct spn_bytes body;
    const char *log;
} rows[] = {
    /* text/event-stream */
    {{SSE}, BYTES(""), "end\n"},
    {{SSE}, BYTES("data: a\n\n"), "event id= type= data=a\nend\n"},
    {{SSE},
     BYTES("\xEF\xBB\xBFid: 1\revent: t\rdata: a\rdata:  b\rretry: 5\r\r"),
     "event id=1 type=t data=a\n b retry=5\nend\n"},
    {{SSE},
     BYTES("data: a\r\n\r\n: hi\r\n\r\ndata: b\r\n\r\n"),
     "event id= type= data=a\nevent id= type= data=b\nend\n"},
    {{SSE},
     BYTES("id: 1\n\nid\n\nretry: 7\n\ndata: x\nid:\n\n"),
     "marker id=1 type= data=\nreset id= type= data=\nmarker id= type= data= retry=7\n"
     "event id= type= data=x resets\nend\n"},
    {{SSE}, BYTES(": only\n: comments\n\n"), "end\n"},
    {{SSE}, BYTES("data: a\n\ndata: b\n"), "event id= type= data=a\nend cut\n"},
    {{SSE}, BYTES("data: a\n\n: b"), "event id= type= data=a\nend\n"},
    {{SSE},
     BYTES("data: a\n"),
     "400 SPN_E_INVALID no event in the body: in text/event-stream an event has a line that begins "
     "with data: and ends with a blank line\n"},
    {{SSE},
     BYTES("{\"data\":\"a\"}\n\n"),
     "400 SPN_E_INVALID no event in the body: in text/event-stream an event has a line that begins "
     "with data: and ends with a blank line\n"},
    {{SSE},
     BYTES("data: a\n\nevent: sponson-end\ndata: b\n\ndata: c\n\n"),
     "event id= type= data=a\n400 SPN_E_BAD_TYPE event 1: types that begin with sponson- are the "
     "gateway's own\n"},
    {{SSE}, BYTES("event: sponson\ndata: b\n\n"), "event id= type=sponson data=b\nend\n"},
    {{SSE},
     BYTES("data: 123456789012345678901\n\n"),
     "413 SPN_E_EVENT_TOO_LARGE event 0: the data is over 20 bytes\n"},
    {{SSE},
     BYTES("data: 12345678901234567890\n\n"),
     "event id= type= data=12345678901234567890\nend\n"},
    {{SSE},
     BYTES("event: a\0b\ndata: x\n\n"),
     "400 SPN_E_BAD_TYPE event 0: NUL, CR or LF in the type\n"},

    /* An Idempotency-Key */
    {{SSE, .key = BYTES("k")}, BYTES("data: a\n\n"), "event id=k type= data=a\nend\n"},
    {{SSE, .key = BYTES("k")},
     BYTES("data: a\n\ndata: b\n\ndata: c\n\n"),
     "event id=k-0 type= data=a\nevent id=k-1 type= data=b\nevent id=k-2 type= data=c\nend\n"},
    {{SSE, .key = BYTES("k")},
     BYTES("data: a\n\nid: 1\ndata: b\n\n"),
     "400 SPN_E_BAD_ID event 1 has an id of its own beside the Idempotency-Key\n"},
    {{SSE, .key = BYTES("k")},
     BYTES("data: a\nid:\n\n"),
     "400 SPN_E_BAD_ID event 0 has an id of its own beside the Idempotency-Key\n"},
    {{SSE, .key = BYTES("k")},
     BYTES("retry: 1\n\n"),
     "400 SPN_E_BAD_ID event 0 has no data, and cannot have its id from the Idempotency-Key\n"},
    {{SSE, .key = BYTES("")},
     BYTES(""),
     "400 SPN_E_BAD_ID Idempotency-Key must have 1 to 4074 bytes\n"},
    {{JSON, .key = BYTES("k")}, BYTES("[{\"data\":\"a\"}]"), "event id=k type= data=a\nend\n"},
    {{JSON, .key = BYTES("k")},
     BYTES("[{\"data\":\"a\"},{\"data\":\"b\"}]"),
     "event id=k-0 type= data=a\nevent id=k-1 type= data=b\nend\n"},
    {{JSON, .key = BYTES("k")},
     BYTES("[{\"data\":\"a\"},{\"data\":\"b\",\"id\":\"x\"}]"),
     "400 SPN_E_BAD_ID event 1 has an id of its own beside the Idempotency-Key\n"},
    {{RAW, .key = BYTES("k")}, BYTES("a"), "event id=k type= data=a\nend\n"},
    {{RAW, .key = BYTES("k"), .id = BYTES("i")},
     BYTES("a"),
     "400 SPN_E_BAD_ID both Event-Id and Idempotency-Key\n"},

    /* The last event is known */
    {{SSE, HOLDS},
     BYTES("data: a\n\nid: 1\nevent: t\ndata: b\n\n"),
     "event id= type= data=a\nevent id=1 type=t data=b last\nend\n"},
    {{SSE, HOLDS},
     BYTES("data: a\n\nid: 1\n\n"),
     "event id= type= data=a\nmarker id=1 type= data= last\nend\n"},
    {{SSE, HOLDS, .key = BYTES("k")},
     BYTES("data: a\n\ndata: b\n\n"),
     "event id=k-0 type= data=a\nevent id=k-1 type= data=b last\nend\n"},
    {{SSE, HOLDS},
     BYTES("data: a\n\ndata: b\n\nevent: sponson-x\ndata: c\n\n"),
     "event id= type= data=a\n400 SPN_E_BAD_TYPE event 2: types that begin with sponson- are the "
     "gateway's own\n"},
    {{SSE, HOLDS}, BYTES(""), "end\n"},
    {{JSON, HOLDS},
     BYTES("[{\"data\":\"a\"},{\"data\":\"b\"},{\"data\":\"c\"}]"),
     "event id= type= data=a\nevent id= type= data=b\nevent id= type= data=c last\nend\n"},
    {{RAW, HOLDS}, BYTES("a"), "event id= type= data=a last\nend\n"},

    /* application/json */
    {{JSON}, BYTES(" {\"data\" : \"a\"} \n"), "event id= type= data=a\nend\n"},
    {{JSON}, BYTES("[]"), "end\n"},
    {{JSON},
     BYTES("[ {\"data\":\"\"} , {\"id\":\"1\",\"type\":\"t\",\"data\":\"b\",\"retry\":0}]"),
     "event id= type= data=\nevent id=1 type=t data=b retry=0\nend\n"},
    {{JSON},
     BYTES("{\"data\":\"{\\\"[,}\\\\\",\"id\":null,\"retry\":null}"),
     "event id= type= data={\"[,}\\\nend\n"},
    {{JSON},
     BYTES("{\"data_base64\":\"//4=\",\"id_base64\":\"aWQ=\",\"type_base64\":\"dA==\"}"),
     "event id=id type=t data=\xFF\xFE\nend\n"},
    {{JSON}, BYTES("{\"data_base64\":\"\"}"), "event id= type= data=\nend\n"},
    {{JSON}, BYTES("{\"data\":\"a\\u0000b\"}"), "event id= type= data=a"}, /* ends at the NUL */
    {{JSON, LF},
     BYTES("{\"data\":\"a\\r\\nb\\rc\\n\\r\"}"),
     "event id= type= data=a\nb\nc\n\n\nend\n"},
#define OBJECTS_6                                                                                  \
    "{\"id\":\"1\",\"data\":\"\"},{\"id\":\"1\",\"data\":\"\"},{\"id\":\"1\",\"data\":\"\"},"      \
    "{\"id\":\"1\",\"data\":\"\"},{\"id\":\"1\",\"data\":\"\"},{\"id\":\"1\",\"data\":\"\"},"
#define EVENTS_6                                                                                   \
    "event id=1 type= data=\nevent id=1 type= data=\nevent id=1 type= data=\n"                     \
    "event id=1 type= data=\nevent id=1 type= data=\nevent id=1 type= data=\n"
    {{JSON},
     BYTES("[" OBJECTS_6 OBJECTS_6 OBJECTS_6 "{\"data\":\"\"}]"),
     EVENTS_6 EVENTS_6 EVENTS_6 "event id= type= data=\nend\n"},
    {{JSON}, BYTES(""), "400 SPN_E_INVALID the JSON ends before it is whole\n"},
    {{JSON}, BYTES("{\"data\":\"a\""), "400 SPN_E_INVALID the JSON ends before it is whole\n"},
    {{JSON}, BYTES("[{\"data\":\"a\"}"), "400 SPN_E_INVALID the JSON ends before it is whole\n"},
    {{JSON},
     BYTES("\"data\""),
     "400 SPN_E_INVALID the JSON is neither an object nor an array: it begins with '\"'\n"},
    {{JSON}, BYTES("[1]"), "400 SPN_E_INVALID event 0 is not an object: '1'\n"},
    {{JSON}, BYTES("[{\"data\":\"a\"},]"), "400 SPN_E_INVALID event 1 is not an object: ']'\n"},
    {{JSON}, BYTES("[{\"data\":\"a\"}{"), "400 SPN_E_INVALID not valid JSON: '{' at byte 13\n"},
    {{JSON}, BYTES("{\"data\":\"a\"}x"), "400 SPN_E_INVALID not valid JSON: 'x' at byte 12\n"},
    {{JSON}, BYTES("[[[["), "400 SPN_E_INVALID event 0 is not an object: '['\n"},
    {{JSON},
     BYTES("{\"data\":{}}"),
     "400 SPN_E_INVALID event 0: a value is an object or an array; only texts and numbers are "
     "taken\n"},
    {{JSON},
     BYTES("{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,"
           "\"k\":1,\"l\":1,\"m\":1,\"n\":1,\"o\":1,\"p\":1,"),
     "400 SPN_E_INVALID event 0: more than 16 keys\n"},
    {{JSON},
     BYTES("[{\"data\":\"a\"},{\"data\":\"a\",\"data\":\"b\"}]"),
     "400 SPN_E_INVALID event 1: not valid JSON: 'duplicate object key near '\"data\"''\n"},
    {{JSON},
     BYTES("{\"data\":\"a\",\"Id\":\"b\"}"),
     "400 SPN_E_INVALID event 0: unknown key 'Id'\n"},
    {{JSON}, BYTES("{\"data\":7}"), "400 SPN_E_INVALID event 0: data must be a string\n"},
    {{JSON}, BYTES("{\"data\":null}"), "400 SPN_E_INVALID event 0: data is missing\n"},
    {{JSON}, BYTES("{\"id\":\"1\"}"), "400 SPN_E_INVALID event 0: data is missing\n"},
    {{JSON},
     BYTES("{\"data\":\"a\",\"data_base64\":\"YQ==\"}"),
     "400 SPN_E_INVALID event 0: both data and data_base64\n"},
    {{JSON},
     BYTES("{\"data_base64\":\"YQ\"}"),
     "400 SPN_E_INVALID event 0: data_base64 is not padded base64\n"},
    {{JSON},
     BYTES("{\"data\":\"a\",\"id\":\"\"}"),
     "400 SPN_E_BAD_ID event 0: the id is empty; without an id the event gets one\n"},
    {{JSON},
     BYTES("{\"data\":\"a\",\"id\":\"x\\ny\"}"),
     "400 SPN_E_BAD_ID event 0: NUL, CR or LF in the id\n"},
    {{JSON},
     BYTES("{\"data\":\"a\",\"retry\":-1}"),
     "400 SPN_E_INVALID event 0: retry must be a whole number from 0 to 4294967294\n"},
    {{JSON},
     BYTES("{\"data\":\"a\",\"retry\":4294967295}"),
     "400 SPN_E_INVALID event 0: retry must be a whole number from 0 to 4294967294\n"},
    {{JSON},
     BYTES("{\"data\":\"a\",\"retry\":1.5}"),
     "400 SPN_E_INVALID event 0: retry must be a whole number from 0 to 4294967294\n"},
    {{JSON},
     BYTES("{\"data\":\"a\\rb\"}"),
     "400 SPN_E_BAD_DATA event 0: a CR in the data, which an event stream cannot carry; "
     "newlines=lf turns CRLF and CR into LF\n"},
    {{JSON},
     BYTES("{\"data\":\"123456789012345678901\"}"),
     "413 SPN_E_EVENT_TOO_LARGE event 0: the data is over 20 bytes\n"},
    {{JSON},
     BYTES("[{\"data\":\"a\"},{\"data\":\"b\",\"type\":\"sponson-gap\"}]"),
     "400 SPN_E_BAD_TYPE event 1: types that begin with sponson- are the gateway's own\n"},
    {{JSON, .id = BYTES("1")},
     BYTES(""),
     "400 SPN_E_INVALID Event-Id and Event-Type are for a body that is the data of one event; the "
     "events of this content type have their own\n"},

    /* any other type */
    {{RAW}, BYTES(""), "event id= type= data=\nend\n"},
    {{RAW, .id = BYTES("1"), .type = BYTES("t")},
     BYTES("a\nb"),
     "event id=1 type=t data=a\nb\nend\n"},
    {{RAW, .type = BYTES("")}, BYTES("a"), "event id= type= data=a\nend\n"},
    {{RAW}, BYTES("12345678901234567890"), "event id= type= data=12345678901234567890\nend\n"},
    {{RAW},
     BYTES("123456789012345678901"),
     "413 SPN_E_EVENT_TOO_LARGE the body is over 20 bytes\n"},
    {{RAW},
     BYTES("1234567890123456789\r\r"),
     "400 SPN_E_BAD_DATA the body: a CR in the data, which an event stream cannot carry; "
     "newlines=lf turns CRLF and CR into LF\n"},
    {{RAW},
     BYTES("12345678901234567890\r"),
     "413 SPN_E_EVENT_TOO_LARGE the body is over 20 bytes\n"},
    {{RAW, LF}, BYTES("a\r\nb\rc\n\r\r\nd"), "event id= type= data=a\nb\nc\n\n\nd\nend\n"},
    {{RAW, LF},
     BYTES("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"),
     "event id= type= data=\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\nend\n"},
    {{RAW, LF},
     BYTES("\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r"),
     "413 SPN_E_EVENT_TOO_LARGE the body is over 20 bytes\n"},
    {{RAW, .id = BYTES("")},
     BYTES("a"),
     "400 SPN_E_BAD_ID Event-Id is empty; without it the event gets an id\n"},
    {{RAW, .type = BYTES("sponson-")},
     BYTES("a"),
     "400 SPN_E_BAD_TYPE Event-Id and Event-Type: types that begin with sponson- are the gateway's "
     "own\n"},
};

static struct body_options with_limits(struct body_options options)
{
    options.data_max = DATA_MAX;
    options.json_max = JSON_MAX;
    return options;
}

static void check_log(struct body_options options, struct spn_bytes body, uint32_t seed,
                      const char *wanted)
{
    struct out log;
    out_init(&log, -1);
    body_run(&options, body, seed, &log, NULL);
    out_put(&log, "", 1);
    assert_int_equal(log.error, 0);
    if (strcmp(log.data, wanted) != 0)
        fail_msg("pieces %u of %.*s: %s", (unsigned)seed, (int)body.size, (const char *)body.data,
                 log.data);
    out_release(&log);
}

static void bodies_give_events(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (uint32_t seed = 0; seed < 20; seed++)
            check_log(with_limits(rows[i].options), rows[i].body, seed, rows[i].log);
}

/* The caller took no event: bytes wait for that. */
static void a_ready_event_is_taken_first(void **state)
{
    (void)state;
    static const char text[] = "data: a\n\ndata: b\n\n";
    struct body_options options = with_limits((struct body_options){SSE});
    const struct spn_event *event;
    struct problem problem = {0};
    size_t used;
    struct body *body = body_open(&options, &problem);
    assert_non_null(body);
    assert_true(body_feed(body, text, sizeof(text) - 1, &used, &problem));
    assert_int_equal(used, 9);
    assert_true(body_feed(body, text + 9, 9, &used, &problem));
    assert_int_equal(used, 0);
    assert_int_equal(body_next(body, &event, &problem), BODY_EVENT);
    assert_memory_equal(event->data.data, "a", 1);
    assert_int_equal(body_next(body, &event, &problem), BODY_NONE);
    assert_true(body_feed(body, text + 9, 9, &used, &problem));
    assert_int_equal(used, 9);
    body_close(body);
}

static struct body *open_stream(bool holds_last)
{
    struct body_options options = with_limits((struct body_options){SSE, .holds_last = holds_last});
    struct problem problem;
    struct body *body = body_open(&options, &problem);
    assert_non_null(body);
    return body;
}

/* One event, which is ready then. */
static void feed_event(struct body *body, const char *text)
{
    struct problem problem;
    size_t used;
    assert_true(body_feed(body, text, strlen(text), &used, &problem));
    assert_int_equal(used, strlen(text));
}

static void finish(struct body *body)
{
    struct problem problem;
    assert_true(body_finish(body, &problem));
}

static const struct spn_event *take_event(struct body *body, const char *data)
{
    const struct spn_event *event = NULL;
    struct problem problem;
    enum body_found found = body_next(body, &event, &problem);
    assert_int_equal(found, data ? BODY_EVENT : BODY_NONE);
    if (data)
        assert_memory_equal(event->data.data, data, strlen(data));
    return event;
}

/* A publisher without room keeps the event that was given last while the body ends. */
static void a_body_ends_before_its_events_are_taken(void **state)
{
    (void)state;
    struct body *body = open_stream(false);
    feed_event(body, "data: a\n\n");
    (void)take_event(body, "a");
    feed_event(body, "data: b\n\n");
    const struct spn_event *event = take_event(body, "b");
    finish(body);
    assert_memory_equal(event->data.data, "b", 1);
    (void)take_event(body, NULL);
    body_close(body);

    body = open_stream(false);
    feed_event(body, "data: a\n\n");
    finish(body);
    (void)take_event(body, "a");
    (void)take_event(body, NULL);
    body_close(body);

    body = open_stream(true);
    feed_event(body, "data: a\n\n");
    (void)take_event(body, NULL);
    feed_event(body, "data: b\n\n");
    event = take_event(body, "a");
    finish(body);
    assert_memory_equal(event->data.data, "a", 1);
    assert_false(body_is_last(body));
    (void)take_event(body, "b");
    assert_true(body_is_last(body));
    (void)take_event(body, NULL);
    body_close(body);
}

static void what_is_held_may_be_let_go(void **state)
{
    (void)state;
    struct body *body = open_stream(true);
    body_let_go(body); /* not what comes after the pause */
    feed_event(body, "data: a\n\n");
    (void)take_event(body, NULL);
    body_let_go(body);
    (void)take_event(body, "a");
    feed_event(body, "data: b\n\n");
    body_let_go(body); /* it was not taken to be held before the pause */
    (void)take_event(body, "b");
    (void)take_event(body, NULL);
    finish(body);
    (void)take_event(body, NULL);
    body_close(body);
}

/* Its id is not known: the key, or the key with a number. */
static void what_is_held_for_its_id_stays(void **state)
{
    (void)state;
    struct body_options options =
        with_limits((struct body_options){SSE, HOLDS, .key = spn_text("k")});
    struct problem problem;
    struct body *body = body_open(&options, &problem);
    feed_event(body, "data: a\n\n");
    body_let_go(body);
    (void)take_event(body, NULL);
    feed_event(body, "data: b\n\n");
    assert_memory_equal(take_event(body, "a")->id.data, "k-0", 3);
    (void)take_event(body, NULL);
    body_let_go(body);
    assert_memory_equal(take_event(body, "b")->id.data, "k-1", 3);
    body_close(body);
}

/* -- limits ------------------------------------------------------------------------------------ */

/* Feeds the bytes again and again; returns how many were taken until the body was refused. */
static size_t feed_for_ever(const struct body_options *options, struct spn_bytes start,
                            struct spn_bytes again, struct problem *ret_problem)
{
    struct body *body = body_open(options, ret_problem);
    size_t used;
    size_t taken = 0;
    assert_non_null(body);
    if (body_feed(body, start.data, start.size, &used, ret_problem)) {
        do
            taken += again.size;
        while (taken < 4 * 1024 * 1024 &&
               body_feed(body, again.data, again.size, &used, ret_problem));
    }
    struct problem same;
    if (ret_problem->status != 0) {
        assert_false(body_feed(body, "x", 1, &used, &same)); /* it stays refused */
        assert_string_equal(same.detail, ret_problem->detail);
        const struct spn_event *event;
        assert_int_equal(body_next(body, &event, &same), BODY_BAD);
    }
    body_close(body);
    return taken;
}

static void what_has_no_end_is_refused(void **state)
{
    (void)state;
    static const struct {
        struct body_options options;
        struct spn_bytes start;
        struct spn_bytes again;
        const char *detail; /* NULL: it goes on */
    } cases[] = {
        {{SSE},
         BYTES(":"),
         BYTES("xxxxxxxxxxxxxxxx"),
         "event 0: a line without an end, over 8212 bytes"},
        {{SSE},
         BYTES("data"),
         BYTES("xxxxxxxxxxxxxxxx"),
         "event 0: a line without an end, over 8212 bytes"},
        {{SSE},
         BYTES("data: "),
         BYTES("xxxxxxxxxxxxxxxx"),
         "event 0: a line without an end, over 8212 bytes"},
        {{SSE},
         BYTES("id: "),
         BYTES("xxxxxxxxxxxxxxxx"),
         "event 0: a line without an end, over 8212 bytes"},
        {{SSE},
         BYTES(""),
         BYTES("data: x\n"),
         "event 0: an event without an end, over 65704 bytes"},
        {{SSE},
         BYTES(""),
         BYTES("retry: 1\r\n"),
         "event 0: an event without an end, over 65704 bytes"},
        {{SSE},
         BYTES(""),
         BYTES("foreign\n"),
         "event 0: an event without an end, over 65704 bytes"},
        {{SSE}, BYTES(""), BYTES(": ping\n"), NULL},
        {{SSE}, BYTES("data: x\n"), BYTES(": ping\n"), NULL},
        {{SSE}, BYTES(""), BYTES("\n\r\n\r"), NULL},
        {{JSON}, BYTES(""), BYTES("          "), "the JSON is over 400 bytes: see --body-limit"},
        {{JSON},
         BYTES("[{\"data\":\""),
         BYTES("xxxxxxxxxx"),
         "the JSON is over 400 bytes: see --body-limit"},
        {{JSON},
         BYTES("[{\"data\":\"x\"}"),
         BYTES(",{\"data\":\"x\"}"),
         "the JSON is over 400 bytes: see --body-limit"},
        {{RAW}, BYTES(""), BYTES("xxxxxxxxxx"), "the body is over 20 bytes"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct problem problem = {0};
        struct body_options options = with_limits(cases[i].options);
        size_t taken = feed_for_ever(&options, cases[i].start, cases[i].again, &problem);
        if (!cases[i].detail) {
            assert_int_equal(problem.status, 0);
            continue;
        }
        assert_int_equal(problem.status, 413);
        assert_string_equal(problem.detail, cases[i].detail);
        assert_true(taken < 90000);
    }
}

/* As many bytes are taken as may come, and no length is refused that could be right. */
static void a_length_is_refused_like_the_bytes(void **state)
{
    (void)state;
    static const struct {
        struct body_options options;
        const char *detail; /* NULL: it may be right */
    } cases[] = {
        {{RAW, .length = DATA_MAX}, NULL},
        {{RAW, .length = DATA_MAX + 1}, "the body is over 20 bytes"},
        {{RAW, LF, .length = 2 * DATA_MAX + 1}, NULL},
        {{RAW, LF, .length = 2 * DATA_MAX + 2}, "the body is over 20 bytes"},
        {{RAW, .length = UINT64_MAX}, "the body is over 20 bytes"},
        {{JSON, .length = JSON_MAX}, NULL},
        {{JSON, LF, .length = JSON_MAX + 1}, "the JSON is over 400 bytes: see --body-limit"},
        {{SSE, .length = UINT64_MAX}, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct problem problem = {0};
        struct body_options options = with_limits(cases[i].options);
        struct body *body = body_open(&options, &problem);
        assert_int_equal(problem.status, cases[i].detail ? 413 : 0);
        assert_int_equal(body == NULL, cases[i].detail != NULL);
        if (cases[i].detail)
            assert_string_equal(problem.detail, cases[i].detail);
        body_close(body);
    }
}

/* An error before the limit is what is wrong, also when all bytes come at once. */
static void the_first_error_counts(void **state)
{
    (void)state;
    struct out body;
    out_init(&body, -1);
    out_text(&body, "[1");
    for (int i = 0; i < JSON_MAX; i++)
        out_text(&body, " ");
    for (uint32_t seed = 0; seed < 5; seed++)
        check_log(with_limits((struct body_options){JSON}),
                  (struct spn_bytes){body.data, body.size}, seed,
                  "400 SPN_E_INVALID event 0 is not an object: '1'\n");
    out_release(&body);
}

/* The longest block that an event of the largest data can have is taken. */
static void the_largest_event_is_taken_in_its_longest_form(void **state)
{
    (void)state;
    struct body_options options = {SSE, .data_max = 100000};
    struct out body;
    struct out log;
    out_init(&body, -1);
    out_init(&log, -1);
    for (int i = 0; i < 100001; i++)
        out_text(&body, "data: \r\n");
    out_text(&body, "\r\n");
    body_run(&options, (struct spn_bytes){body.data, body.size}, 0, &log, NULL);
    out_put(&log, "", 1);
    assert_memory_equal(log.data, "event id= type= data=\n\n", 23);
    assert_string_equal(log.data + log.size - 5 - 1, "\nend\n");
    out_release(&body);
    out_release(&log);
}

/* -- the model --------------------------------------------------------------------------------- */

struct made {
    char bytes[64];
    size_t size;
};

struct model {
    struct made id;
    struct made type;
    struct made data;
    uint32_t retry_ms;
};

/* Bytes of a hard alphabet. in_line: without NUL and line ends. text: UTF-8. */
static struct made make(size_t max, bool in_line, bool text)
{
    static const char hard[] = "a:\" \\{}[],/\t\x01\x7F\n\0\xFF\xC3";
    struct made made = {.size = any(max + 1)};
    for (size_t i = 0; i < made.size; i++) {
        size_t count = sizeof(hard) - 1;
        if (text)
            count -= 2;
        made.bytes[i] = hard[any(in_line ? 14 : count)];
        if (in_line && !text && any(6) == 0)
            made.bytes[i] = '\xFF';
    }
    return made;
}

static struct spn_bytes bytes_of(const struct made *made)
{
    return (struct spn_bytes){made->bytes, made->size};
}

static const char *line_end(void)
{
    static const char *const ends[] = {"\n", "\r", "\r\n"};
    return ends[any(3)];
}

static void put_sse(struct out *out, const struct model *model)
{
    const char *end = line_end();
    if (any(4) == 0) {
        out_text(out, ": comment");
        out_text(out, end);
    }
    if (model->id.size > 0) {
        body_run_bytes(out, "id: ", bytes_of(&model->id));
        out_text(out, end);
    }
    if (model->type.size > 0) {
        body_run_bytes(out, "event: ", bytes_of(&model->type));
        out_text(out, end);
    }
    if (model->retry_ms != SPN_RETRY_NONE) {
        out_text(out, "retry: ");
        out_number(out, model->retry_ms);
        out_text(out, end);
    }
    out_text(out, "data: ");
    for (size_t i = 0; i < model->data.size; i++) {
        if (model->data.bytes[i] != '\n') {
            out_put(out, &model->data.bytes[i], 1);
            continue;
        }
        out_text(out, end);
        out_text(out, "data: ");
    }
    out_text(out, end);
    out_text(out, end);
}

static void put_spaces(struct out *out)
{
    out_put(out, " \t\r\n  ", any(5));
}

static void put_member(struct out *out, const char *plain, const char *encoded,
                       const struct made *made, bool encode)
{
    out_text(out, encode ? encoded : plain);
    put_spaces(out);
    if (!encode) {
        json_put_string(out, bytes_of(made));
    } else {
        out_text(out, "\"");
        base64_put(out, bytes_of(made));
        out_text(out, "\"");
    }
    put_spaces(out);
}

static void put_json(struct out *out, const struct model *model, bool encode)
{
    out_text(out, "{");
    put_spaces(out);
    put_member(out, "\"data\":", "\"data_base64\":", &model->data, encode);
    if (model->id.size > 0)
        put_member(out, ",\"id\":", ",\"id_base64\":", &model->id, encode);
    if (model->type.size > 0)
        put_member(out, ",\"type\":", ",\"type_base64\":", &model->type, encode);
    if (model->retry_ms != SPN_RETRY_NONE) {
        out_text(out, ",\"retry\": ");
        out_number(out, model->retry_ms);
    }
    out_text(out, "}");
}

static void put_wanted(struct out *wanted, const struct model *model, const char *id, bool is_last)
{
    out_text(wanted, "event id=");
    out_text(wanted, id);
    out_put(wanted, model->id.bytes, model->id.size);
    body_run_bytes(wanted, " type=", bytes_of(&model->type));
    body_run_bytes(wanted, " data=", bytes_of(&model->data));
    if (model->retry_ms != SPN_RETRY_NONE) {
        out_text(wanted, " retry=");
        out_number(wanted, model->retry_ms);
    }
    out_text(wanted, is_last ? " last\n" : "\n");
}

/* One body of random events in the form of its kind, and the log that it should give. */
static void make_body(const struct body_options *options, struct out *body, struct out *wanted)
{
    bool is_raw = options->kind == BODY_RAW;
    bool is_json = options->kind == BODY_JSON;
    uint64_t count = is_raw ? 1 : any(6) + (options->kind == BODY_SSE);
    bool is_array = count != 1 || any(2) == 0;
    if (is_json && is_array)
        out_text(body, "[");
    for (uint64_t i = 0; i < count; i++) {
        bool encode = any(3) == 0;
        bool text = is_json && !encode;
        bool plain = is_raw || options->key.data;
        char id[32] = "";
        struct model model = {.data = make(40, false, text), .retry_ms = SPN_RETRY_NONE};
        if (!is_raw)
            model.type = make(10, true, text);
        if (!plain)
            model.id = make(10, true, text);
        if (!is_raw && any(4) == 0)
            model.retry_ms = (uint32_t)any(100000);
        if (options->key.data && count == 1)
            (void)snprintf(id, sizeof(id), "key");
        else if (options->key.data)
            (void)snprintf(id, sizeof(id), "key-%u", (unsigned)i);
        if (is_json && i > 0)
            out_text(body, ",");
        if (is_json) {
            put_spaces(body);
            put_json(body, &model, encode);
            put_spaces(body);
        } else if (is_raw) {
            out_put(body, model.data.bytes, model.data.size);
        } else {
            put_sse(body, &model);
        }
        put_wanted(wanted, &model, id, options->holds_last && i + 1 == count);
    }
    if (is_json && is_array)
        out_text(body, "]");
    out_text(wanted, "end\n");
}

static void every_split_gives_the_same_events(void **state)
{
    (void)state;
    any_state = 12;
    for (unsigned i = 0; i < 6000; i++) {
        static const struct spn_bytes keys[] = {{NULL, 0}, BYTES("key")};
        struct body_options options = {
            .kind = (enum body_kind)(i % 3),
            .data_max = 64,
            .json_max = 1024 * 1024,
            .holds_last = any(2) == 0,
            .key = keys[any(2)],
        };
        struct out body;
        struct out wanted;
        out_init(&body, -1);
        out_init(&wanted, -1);
        make_body(&options, &body, &wanted);
        for (uint32_t seed = 0; seed < 6; seed++) {
            struct out log;
            out_init(&log, -1);
            body_run(&options, (struct spn_bytes){body.data, body.size},
                     seed < 2 ? seed : (uint32_t)any(UINT32_MAX - 2) + 2, &log, NULL);
            if (log.size != wanted.size || memcmp(log.data, wanted.data, log.size) != 0) {
                (void)fwrite(body.data, 1, body.size, stderr);
                (void)fwrite("\n--\n", 1, 4, stderr);
                (void)fwrite(log.data, 1, log.size, stderr);
                (void)fwrite("--\n", 1, 3, stderr);
                (void)fwrite(wanted.data, 1, wanted.size, stderr);
                fail_msg("body %u, pieces %u", i, (unsigned)seed);
            }
            out_release(&log);
        }
        out_release(&body);
        out_release(&wanted);
    }
}

/* -- memory ------------------------------------------------------------------------------------ */

/* False: the body was refused. */
static bool run_in_memory(const struct body_options *options, struct spn_bytes bytes,
                          struct problem *problem, uint64_t *ret_count)
{
    const struct spn_event *event;
    enum body_found found = BODY_EVENT;
    const char *from = bytes.data;
    size_t used = 0;
    struct body *body = body_open(options, problem);
    bool good = body != NULL;
    *ret_count = 0;
    for (size_t at = 0; good && at < bytes.size; at += used) {
        good = body_feed(body, from + at, bytes.size - at, &used, problem);
        while (good && (found = body_next(body, &event, problem)) == BODY_EVENT)
            ++*ret_count;
        good = good && found != BODY_BAD;
    }
    good = good && body_finish(body, problem);
    while (good && (found = body_next(body, &event, problem)) == BODY_EVENT)
        ++*ret_count;
    good = good && found == BODY_NONE;
    body_close(body);
    return good;
}

static void *json_malloc(size_t size)
{
    void *memory = malloc(size);
    if (!memory)
        errno = ENOMEM;
    return memory;
}

static void memory_that_runs_out_refuses(void **state)
{
    (void)state;
    static const struct {
        struct body_options options;
        struct spn_bytes body;
        uint64_t count;
    } cases[] = {
        {{SSE, HOLDS, .key = BYTES("k")}, BYTES("event: a\ndata: x\n\nretry: 1\ndata: y\n\n"), 2},
        {{JSON, HOLDS, LF},
         BYTES("[{\"data\":\"a\\r\",\"retry\":1},{\"data_base64\":\"YWI=\",\"id\":\"i\"}]"),
         2},
        {{RAW, LF, .id = BYTES("i")}, BYTES("a\r\n"), 1},
    };
    json_set_alloc_funcs(json_malloc, free);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct body_options options = with_limits(cases[i].options);
        bool good = false;
        for (unsigned left = 0; !good; left++) {
            struct problem problem = {0};
            uint64_t count;
            allocations_left = left;
            good = run_in_memory(&options, cases[i].body, &problem, &count);
            allocations_left = UINT32_MAX;
            assert_int_equal(problem.status, good ? 0 : 503);
            if (good)
                assert_int_equal(count, cases[i].count);
            assert_true(left < 1000);
        }
    }
    json_set_alloc_funcs(malloc, free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_give_events),
        cmocka_unit_test(a_ready_event_is_taken_first),
        cmocka_unit_test(a_body_ends_before_its_events_are_taken),
        cmocka_unit_test(what_is_held_may_be_let_go),
        cmocka_unit_test(what_is_held_for_its_id_stays),
        cmocka_unit_test(what_has_no_end_is_refused),
        cmocka_unit_test(a_length_is_refused_like_the_bytes),
        cmocka_unit_test(the_first_error_counts),
        cmocka_unit_test(the_largest_event_is_taken_in_its_longest_form),
        cmocka_unit_test(every_split_gives_the_same_events),
        cmocka_unit_test(memory_that_runs_out_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
