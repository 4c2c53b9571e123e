/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_wire: requests whose end is not the same for everybody are refused, and nothing that
 * comes after one is run.
 *
 * Each is sent with a request after it, in the same write and in single bytes. That one would open
 * the session `smuggled`; it must not be there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "http_client.h"
#include "http_gateway.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S "/v1/sessions/"
#define POST "POST " S "first HTTP/1.1\r\n"
#define HOST "Host: localhost\r\n"
#define AFTER "PUT " S "smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"

/* The text of a string constant with its NULs. */
#define TEXT(text) text, sizeof(text) - 1

struct row {
    const char *name;
    const char *bytes;
    size_t size;
    unsigned status;   /* of the answer; 0: the connection ends without one */
    const char *words; /* in the answer */
};

static const struct row rows[] = {
    {"two lengths", TEXT(POST HOST "Content-Length: 0\r\nContent-Length: 70\r\n\r\n"), 400, "two"},
    {"two equal lengths", TEXT(POST HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na"), 400,
     "two Content-Length"},
    {"lengths in a list", TEXT(POST HOST "Content-Length: 0, 0\r\n\r\n"), 400, "not a number"},
    {"a length with a sign", TEXT(POST HOST "Content-Length: +1\r\n\r\na"), 400, "not a number"},
    {"a hexadecimal length", TEXT(POST HOST "Content-Length: 0x1\r\n\r\na"), 400, "not a number"},
    {"a negative length", TEXT(POST HOST "Content-Length: -1\r\n\r\n"), 400, "not a number"},
    {"no length", TEXT(POST HOST "Content-Length:\r\n\r\n"), 400, "not a number"},
    {"a length over 2^64", TEXT(POST HOST "Content-Length: 18446744073709551617\r\n\r\na"), 400,
     "2^63"},
    {"both framings",
     TEXT(POST HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400,
     "both"},
    {"both, the other way",
     TEXT(POST HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), 400,
     "both"},
    {"gzip, chunked", TEXT(POST HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 400,
     "chunked"},
    {"identity", TEXT(POST HOST "Transfer-Encoding: identity\r\n\r\n"), 400, "chunked"},
    {"chunked in capitals", TEXT(POST HOST "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n"), 400,
     "chunked"},
    {"xchunked", TEXT(POST HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 400, "chunked"},
    {"chunked with a tab after it", TEXT(POST HOST "Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n"),
     400, "chunked"},
    {"two codings",
     TEXT(POST HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
     400, "two Transfer-Encoding"},
    {"a coding in HTTP/1.0",
     TEXT("POST " S "first HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400,
     "HTTP/1.0"},
    {"a space before the colon", TEXT(POST HOST "Content-Length : 5\r\n\r\nabcde"), 400, "header"},
    {"a space before the name", TEXT(POST HOST " Content-Length: 5\r\n\r\nabcde"), 400,
     "next line"},
    {"no name", TEXT(POST HOST ": 5\r\n\r\n"), 400, "header"},
    {"a name with a NUL", TEXT(POST HOST "Content\0-Length: 5\r\n\r\nabcde"), 400, "NUL"},
    {"a value with a NUL", TEXT(POST HOST "X: a\0b\r\n\r\n"), 400, "NUL"},
    {"a target with a NUL", TEXT("POST " S "a\0b HTTP/1.1\r\n" HOST "\r\n"), 400, "NUL"},
    {"a bare CR in a value", TEXT(POST HOST "X: a\rContent-Length: 5\r\n\r\n"), 400, "CR"},
    {"a bare LF", TEXT(POST HOST "X: a\nContent-Length: 5\r\n\r\n"), 400, "LF"},
    {"a bare LF after the request line", TEXT("POST " S "first HTTP/1.1\n" HOST "\r\n"), 400, "LF"},
    {"a fold", TEXT(POST HOST "X: a\r\n b\r\n\r\n"), 400, "next line"},
    {"two hosts", TEXT(POST HOST HOST "\r\n"), 400, "two Host"},
    {"no host", TEXT(POST "\r\n"), 400, "without a Host"},
    {"two spaces", TEXT("POST  " S "first HTTP/1.1\r\n" HOST "\r\n"), 400, "request line"},
    {"no version", TEXT("POST " S "first\r\n" HOST "\r\n"), 400, "request line"},
    {"HTTP/2.0", TEXT("POST " S "first HTTP/2.0\r\n" HOST "\r\n"), 400, "version"},
    {"HTTP/1.1x", TEXT("POST " S "first HTTP/1.1x\r\n" HOST "\r\n"), 400, "version"},
    {"the preface of h2", TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400, "version"},
    {"a control character", TEXT(POST HOST "X: a\x01\r\n\r\n"), 400, "control"},
    {"a chunk with a sign",
     TEXT(POST HOST "Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n"), 400, "chunk"},
    {"a chunk with 0x", TEXT(POST HOST "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n"),
     400, "chunk"},
    {"a chunk with a space",
     TEXT(POST HOST "Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n"), 400, "chunk"},
    {"a chunk over 2^64",
     TEXT(POST HOST "Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n0\r\n\r\n"), 400,
     "chunk"},
    {"a chunk that ends in LF",
     TEXT(POST HOST "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n"), 400, "LF"},
    {"a chunk that is longer",
     TEXT(POST HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n"), 400, "chunk"},
    {"a length in the trailers",
     TEXT(POST HOST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nContent-Length: 9\r\n\r\n"),
     400, "trailer"},
    {"a record of TLS", TEXT("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n"), 0, ""},
};

static struct http_answer send_row(struct stage *stage, const struct row *row, bool slowly,
                                   bool *ret_answered)
{
    struct http *http = http_open(stage);
    struct http_answer answer = {0, "", {"", 0}};
    for (size_t i = 0; slowly && i < row->size; i++)
        http_send_bytes(http, row->bytes + i, 1);
    if (!slowly) {
        static const char after[] = AFTER;
        enum { SIZE = sizeof(after) - 1 };
        char *all = stage_keep(stage, malloc(row->size + SIZE));
        memcpy(all, row->bytes, row->size);
        memcpy(all + row->size, after, SIZE);
        http_send_bytes(http, all, row->size + SIZE);
    }
    *ret_answered = http_try_begin(http, until_in(STAGE_WAIT_MS), &answer);
    if (*ret_answered)
        answer.body = http_rest(http);
    if (!http_is_closed(http, until_in(STAGE_WAIT_MS)))
        fail_msg("%s: the connection goes on after a fault", row->name);
    http_close(http);
    return answer;
}

static bool check_row(struct stage *stage, const struct row *row, bool slowly)
{
    bool is_answered;
    struct http_answer answer = send_row(stage, row, slowly, &is_answered);
    if (is_answered == (row->status != 0) && answer.status == row->status &&
        strstr(answer.body.data, row->words))
        return true;
    print_error("%s: wanted %u %s, got %s%s\n", row->name, row->status, row->words, answer.head,
                (const char *)answer.body.data);
    return false;
}

static void nothing_is_run_after_a_fault(struct stage *stage)
{
    unsigned wrong = 0;
    stage_start(stage, NULL);
    http_start_plain(stage);
    for (size_t i = 0; i < COUNT(rows); i++)
        wrong += (unsigned)!check_row(stage, &rows[i], false) +
                 (unsigned)!check_row(stage, &rows[i], true);
    assert_int_equal(wrong, 0);
    assert_string_equal(stage_run(stage, "sessions", "--json").out, "");
}

/* What is a request is run, one after the other, also if its bytes come together. */
static void a_pipeline_is_answered_in_order(struct stage *stage)
{
    stage_start(stage, NULL);
    http_start_plain(stage);
    struct http *http = http_open(stage);
    http_send(http, "PUT " S "a HTTP/1.1\r\n" HOST "\r\n"
                    "POST " S "a HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\none"
                    "POST " S "a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                    "1;x=y\r\nt\r\n2\r\nwo\r\n0\r\nX-Trailer: 1\r\n\r\n"
                    "GET " S "a HTTP/1.1\r\n" HOST "Accept: application/json\r\n\r\n"
                    "POST " S "b HTTP/1.1\r\n" HOST
                    "Content-Length: 1\r\nContent-Length: 1\r\n\r\na" AFTER);
    static const unsigned statuses[] = {201, 200, 200, 200, 400};
    for (size_t i = 0; i < COUNT(statuses); i++) {
        struct http_answer answer = http_read(http);
        http_expect(&answer, statuses[i]);
        if (i == 3) {
            assert_non_null(strstr(answer.body.data, "\"data\":\"one\""));
            assert_non_null(strstr(answer.body.data, "\"data\":\"two\""));
        }
    }
    assert_true(http_is_closed(http, until_in(STAGE_WAIT_MS)));
    struct outcome sessions = stage_run(stage, "sessions", "--json");
    assert_non_null(strstr(sessions.out, "\"session\":\"a\""));
    assert_null(strstr(sessions.out, "smuggled"));
    assert_null(strstr(sessions.out, "\"session\":\"b\""));
}

/* Behind a stream and behind a body that is refused in its middle too. */
static void garbage_after_a_request_does_no_harm(struct stage *stage)
{
    struct http_answer answer;
    stage_start(stage, NULL);
    http_start_plain(stage);
    answer = http_do(stage, "POST", S "shut", "Stream-Closed: true\r\n", "one");
    http_expect(&answer, 200);
    struct http *http = http_open(stage);
    http_send(http, "POST " S "shut HTTP/1.1\r\n" HOST "Content-Type: text/event-stream\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\n");
    answer = http_read(http);
    http_expect(&answer, 409);
    http_send(http, "0\r\n\r\n" AFTER);
    assert_true(http_is_closed(http, until_in(STAGE_WAIT_MS)));
    http = http_open(stage);
    http_send(http, "GET " S "shut?until=caught-up HTTP/1.1\r\n" HOST
                    "\r\n\x16\x03garbage\r\n\r\n" AFTER);
    /* The garbage ends the connection, before the stream's answer or after it. */
    if (http_try_begin(http, until_in(STAGE_WAIT_MS), &answer)) {
        http_expect(&answer, 200);
        while (http_more(http, until_in(STAGE_WAIT_MS))) {
        }
        assert_true(http->has_ended || http->is_cut);
    }
    assert_true(http_is_closed(http, until_in(STAGE_WAIT_MS)));
    assert_null(strstr(stage_run(stage, "sessions").out, "smuggled"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(nothing_is_run_after_a_fault),
        STAGE_TEST(a_pipeline_is_answered_in_order),
        STAGE_TEST(garbage_after_a_request_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
