/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_status: each status of the gateway, from the bytes of a request that gets it.
 *
 * The table is the specification: a request, its status, the code of its problem, and words that
 * the answer must have in its head or its body. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "http_client.h"
#include "http_gateway.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S "/v1/sessions/"
#define JSON "Content-Type: application/json\r\n"

struct row {
    const char *method;
    const char *path;
    const char *headers; /* NULL: none */
    const char *body;    /* NULL: none */
    unsigned status;
    const char *code;  /* of the problem; NULL: there is none */
    const char *words; /* in the head or the body */
};

static const struct row rows[] = {
    /* names */
    {"GET", S "a%00b", NULL, NULL, 400, "SPN_E_BAD_SESSION", "control character"},
    {"GET", S "a%0ab", NULL, NULL, 400, "SPN_E_BAD_SESSION", "control character"},
    {"GET", S "a%7fb", NULL, NULL, 400, "SPN_E_BAD_SESSION", "control character"},
    {"GET", S "a%ffb", NULL, NULL, 400, "SPN_E_BAD_SESSION", "UTF-8"},
    {"GET", S "a%c0%afb", NULL, NULL, 400, "SPN_E_BAD_SESSION", "UTF-8"},
    {"GET", S "a%2", NULL, NULL, 400, "SPN_E_BAD_SESSION", "hexadecimal"},
    {"GET", S "a%zz", NULL, NULL, 400, "SPN_E_BAD_SESSION", "hexadecimal"},
    {"GET", S "..", NULL, NULL, 400, "SPN_E_BAD_SESSION", "'..'"},
    {"GET", S "a/../b", NULL, NULL, 400, "SPN_E_BAD_SESSION", "'..'"},
    {"GET", S "a/%2e%2E/b", NULL, NULL, 400, "SPN_E_BAD_SESSION", "'..'"},
    {"GET", S "a%2f..%2fb", NULL, NULL, 400, "SPN_E_BAD_SESSION", "'..'"},
    {"GET", S "a/./b", NULL, NULL, 400, "SPN_E_BAD_SESSION", "'.'"},
    {"GET", S "a//b", NULL, NULL, 400, "SPN_E_BAD_SESSION", "empty"},
    {"GET", S "a/", NULL, NULL, 400, "SPN_E_BAD_SESSION", "empty"},
    {"GET", S, NULL, NULL, 400, "SPN_E_BAD_SESSION", "empty"},
    {"DELETE", S "a%00b", NULL, NULL, 400, "SPN_E_BAD_SESSION", "control character"},
    /* targets */
    {"GET", "*", NULL, NULL, 400, "SPN_E_INVALID", "slash"},
    {"GET", "localhost:80", NULL, NULL, 400, "SPN_E_INVALID", "slash"},
    {"GET", S "x#y", NULL, NULL, 400, "SPN_E_INVALID", "fragment"},
    {"GET", "http://other" S "x", NULL, NULL, 400, "SPN_E_INVALID", "two hosts"},
    {"GET", "http://me@localhost" S "x", NULL, NULL, 400, "SPN_E_INVALID", "a user"},
    {"GET", "/", NULL, NULL, 404, "SPN_E_INVALID", "no such path"},
    {"GET", "/v1/nothing", NULL, NULL, 404, "SPN_E_INVALID", "no such path"},
    {"GET", "/v1%2fsessions", NULL, NULL, 404, "SPN_E_INVALID", "no such path"},
    {"GET", "/healthz", NULL, NULL, 404, "SPN_E_INVALID", "no such path"},
    {"GET", "/metrics", NULL, NULL, 404, "SPN_E_INVALID", "no such path"},
    {"GET", "/problems", NULL, NULL, 200, NULL, "SPN_E_UNKNOWN_SESSION"},
    /* queries */
    {"GET", S "x?from=there", NULL, NULL, 400, "SPN_E_INVALID", "earliest now"},
    {"GET", S "x?from=now&from=now", NULL, NULL, 400, "SPN_E_INVALID", "twice"},
    {"GET", S "x?after=1&last_event_id=2", NULL, NULL, 400, "SPN_E_INVALID", "differ"},
    {"GET", S "x?limit=0", NULL, NULL, 400, "SPN_E_INVALID", "limit"},
    {"GET", S "x?unknown-id=maybe", NULL, NULL, 400, "SPN_E_INVALID", "reset fail"},
    {"GET", S "x?level=replicated", NULL, NULL, 501, "SPN_E_UNSUPPORTED", "upstream"},
    {"GET", "/v1/sessions?prefix=%ff", NULL, NULL, 400, "SPN_E_BAD_PREFIX", "UTF-8"},
    {"POST", S "x?ack=never", NULL, "a", 400, "SPN_E_INVALID", "durable accepted none"},
    /* cursors and ids */
    {"GET", S "open?after=a%00b", NULL, NULL, 400, "SPN_E_BAD_ID", "NUL"},
    {"GET", S "open?after=a%0ab", NULL, NULL, 400, "SPN_E_BAD_ID", "LF"},
    {"GET", S "open?after=nobody&unknown-id=fail", NULL, NULL, 410, "SPN_E_UNKNOWN_ID", "id"},
    {"GET", S "open?unknown-id=fail&after=spn:0123456789abcdef0123456789abcdef:1", NULL, NULL, 410,
     "SPN_E_OTHER_LIFE", "id"},
    {"POST", S "x", "Event-Id: \xff\r\n", "a", 200, NULL, "last_id_base64"},
    /* what is not there */
    {"GET", S "none?wait=0", NULL, NULL, 404, "SPN_E_UNKNOWN_SESSION", "no such session"},
    {"GET", S "none?active=1", NULL, NULL, 204, NULL, NULL},
    {"GET", S "closed?active=1", NULL, NULL, 204, NULL, NULL},
    {"GET", S "none", "Accept: application/json\r\n", NULL, 404, "SPN_E_UNKNOWN_SESSION", ""},
    {"DELETE", S "none", NULL, NULL, 404, "SPN_E_UNKNOWN_SESSION", ""},
    {"PATCH", S "none", JSON, "{\"ttl_ms\":5000}", 404, "SPN_E_UNKNOWN_SESSION", ""},
    /* Accept */
    {"GET", S "open", "Accept: text/html\r\n", NULL, 406, "SPN_E_INVALID", "text/event-stream"},
    {"GET", S "open", "Accept: application/json;q=0\r\n", NULL, 406, "SPN_E_INVALID", ""},
    {"GET", S "open", "Accept: application/json\r\n", NULL, 200, NULL, "\"data\":\"one\""},
    {"GET", S "open", "Accept: application/x-ndjson\r\n", NULL, 200, NULL, "\"data\":\"one\""},
    {"GET", S "open", "Accept: application/json\r\n", NULL, 200, NULL, "\"closed\":false"},
    {"GET", S "closed", "Accept: application/json\r\n", NULL, 200, NULL, "\"closed\":true"},
    {"GET", S "shut", "Accept: application/json\r\n", NULL, 200, NULL, "\"closed\":true"},
    {"GET", S "closed", "Accept: text/html, */*;q=0.1\r\n", NULL, 200, NULL, "data: one"},
    /* methods */
    {"FETCH", S "x", NULL, NULL, 405, "SPN_E_INVALID",
     "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"},
    {"TRACE", S "x", NULL, NULL, 405, "SPN_E_INVALID", "Allow: GET, HEAD"},
    {"POST", "/v1/sessions", NULL, "a", 405, "SPN_E_INVALID", "Allow: GET, OPTIONS\r\n"},
    {"DELETE", "/problems", NULL, NULL, 405, "SPN_E_INVALID", "Allow: GET, OPTIONS\r\n"},
    {"OPTIONS", S "x", NULL, NULL, 204, NULL, "Allow: GET, HEAD, POST"},
    {"OPTIONS", S "x", "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n",
     NULL, 204, NULL, "Access-Control-Allow-Origin: https://app.example\r\n"},
    {"OPTIONS", S "x", "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n",
     NULL, 204, NULL, "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE\r\n"},
    {"OPTIONS", S "x", "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n",
     NULL, 204, NULL, "Idempotency-Key"},
    {"GET", S "open?until=caught-up", "Origin: https://app.example\r\n", NULL, 200, NULL,
     "Access-Control-Expose-Headers: ETag"},
    {"OPTIONS", S "x", "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n",
     NULL, 403, "SPN_E_DENIED", "not listed (--allow-origin)"},
    {"GET", S "open", "Origin: null\r\n", NULL, 403, "SPN_E_DENIED", "not listed"},
    {"GET", S "open", "Sec-Fetch-Site: cross-site\r\n", NULL, 403, "SPN_E_DENIED", "cross-site"},
    {"POST", S "open", "Origin: https://app.example.evil\r\n", "a", 403, "SPN_E_DENIED", ""},
    /* bodies */
    {"POST", S "x", "Content-Type: text\r\n", "a", 415, "SPN_E_INVALID", "media type"},
    {"POST", S "x", "Content-Type: text/plain; charset=latin1\r\n", "a", 415, "SPN_E_INVALID", ""},
    {"POST", S "x", JSON, "{", 400, "SPN_E_INVALID", "JSON"},
    {"POST", S "x", JSON, "[1]", 400, "SPN_E_INVALID", ""},
    {"POST", S "x", JSON, "{\"data\":1}", 400, NULL, "data"},
    {"POST", S "x", JSON, "{\"date\":\"a\"}", 400, "SPN_E_INVALID", "date"},
    {"POST", S "x", NULL, "a\rb", 400, "SPN_E_BAD_DATA", "newlines=lf"},
    {"POST", S "x?newlines=lf", NULL, "a\r\nb", 200, NULL, "\"stored\":1"},
    {"POST", S "x", "Event-Type: sponson-end\r\n", "a", 400, "SPN_E_BAD_TYPE", "sponson-"},
    {"POST", S "x", "Content-Type: text/event-stream\r\nEvent-Id: 1\r\n", "data: a\n\n", 400,
     "SPN_E_INVALID", "Event-Id"},
    {"POST", S "x", "Idempotency-Key: k\r\nEvent-Id: 1\r\n", "a", 400, "SPN_E_BAD_ID", ""},
    {"POST", S "x", "Stream-Closed: maybe\r\n", "a", 400, "SPN_E_INVALID", "Stream-Closed"},
    {"PUT", S "x", JSON, "{\"ttl\":1}", 400, "SPN_E_INVALID", "ttl"},
    {"PUT", S "x", JSON, "[]", 400, "SPN_E_INVALID", "object"},
    /* conditions */
    {"POST", S "x", "If-None-Match: \"a\"\r\n", "a", 400, "SPN_E_INVALID", "If-None-Match"},
    {"POST", S "x", "If-Match: a\r\n", "a", 400, "SPN_E_INVALID", "If-Match"},
    {"POST", S "x", "Sponson-If-Seq: -1\r\n", "a", 400, "SPN_E_INVALID", "Sponson-If-Seq"},
    {"POST", S "open", "If-None-Match: *\r\n", "a", 412, "SPN_E_CONDITION", "Sponson-Seq: 1\r\n"},
    {"POST", S "open", "Sponson-If-Seq: 7\r\n", "a", 412, "SPN_E_CONDITION", "Sponson-Seq: 1\r\n"},
    {"POST", S "open", "If-Match: \"0123456789abcdef0123456789abcdef\"\r\n", "a", 412,
     "SPN_E_OTHER_LIFE", "Sponson-Life: "},
    {"DELETE", S "open", "If-Match: \"0123456789abcdef0123456789abcdef\"\r\n", NULL, 412,
     "SPN_E_OTHER_LIFE", "Sponson-Life: "},
    {"POST", S "closed", NULL, "a", 409, "SPN_E_CLOSED", "Sponson-State: closed\r\n"},
    {"POST", S "closed", "Stream-Closed: true\r\n", "a", 409, "SPN_E_CLOSED", ""},
    {"POST", S "open", "Event-Id: 1\r\n", "two", 409, "SPN_E_INVALID", "another event"},
    {"POST", S "open", JSON, "[{\"id\":\"1\",\"data\":\"two\"},{\"id\":\"1\",\"data\":\"three\"}]",
     409, "SPN_E_INVALID", "another event"},
    {"POST", S "open", "Content-Type: text/event-stream\r\n", "id: 1\ndata: two\n\n", 409,
     "SPN_E_INVALID", "Sponson-Seq: 1\r\n"},
    {"POST", S "open", JSON "If-None-Match: *\r\n", "[{\"data\":\"a\"},{\"data\":\"b\"}]", 412,
     "SPN_E_CONDITION", "Sponson-Seq: 1\r\n"},
    {"POST", S "open", "Content-Type: text/event-stream\r\nSponson-If-Seq: 7\r\n", "data: a\n\n",
     412, "SPN_E_CONDITION", "Sponson-Life: "},
    {"POST", S "closed", "Content-Type: text/event-stream\r\n", "data: a\n\n", 409, "SPN_E_CLOSED",
     "Sponson-State: closed\r\n"},
    {"POST", S "none", "Content-Type: text/event-stream\r\nSponson-If-Seq: 7\r\n", "data: a\n\n",
     404, "SPN_E_UNKNOWN_SESSION", ""},
    {"POST", S "open", "Event-Id: 1\r\n", "one", 200, NULL, "\"duplicates\":1"},
    {"PUT", S "open", JSON, "{\"ttl_ms\":600000}", 409, "SPN_E_CONDITION", "other attributes"},
    {"PUT", S "open", NULL, NULL, 200, NULL, "Sponson-Seq: 1\r\n"},
    {"PUT", S "new", JSON, "{\"ttl_ms\":600000}", 201, NULL, "ETag: \""},
    {"PATCH", S "new", JSON, "{\"idle_close_ms\":60000}", 200, NULL, "Sponson-State: live\r\n"},
    {"PATCH", S "new", JSON "If-Match: \"0123456789abcdef0123456789abcdef\"\r\n",
     "{\"ttl_ms\":1000}", 412, "SPN_E_OTHER_LIFE", "Sponson-Life: "},
    {"PATCH", S "new", JSON "Sponson-If-Seq: 7\r\n", "{\"ttl_ms\":1000}", 412, "SPN_E_CONDITION",
     ""},
    {"PATCH", S "new", JSON "If-None-Match: *\r\n", "{\"ttl_ms\":1000}", 412, "SPN_E_CONDITION",
     ""},
    {"PUT", S "new", JSON "If-Match: \"0123456789abcdef0123456789abcdef\"\r\n", "{\"ttl_ms\":1000}",
     412, "SPN_E_OTHER_LIFE", "Sponson-Life: "},
    {"PUT", S "open", "If-None-Match: *\r\n", NULL, 412, "SPN_E_CONDITION", "Sponson-Seq: 1\r\n"},
    {"PUT", S "open", "Sponson-If-Seq: 7\r\n", NULL, 412, "SPN_E_CONDITION", "Sponson-Seq: 1\r\n"},
    {"PUT", S "open", "Sponson-If-Seq: 1\r\n", NULL, 200, NULL, "Sponson-Seq: 1\r\n"},
    {"HEAD", S "new", NULL, NULL, 200, NULL, "Sponson-Ttl: 600000\r\n"},
    {"HEAD", S "new", NULL, NULL, 200, NULL, "Sponson-Idle-Close: 60000\r\n"},
    {"HEAD", S "open", NULL, NULL, 200, NULL, "Sponson-Last-Id: 1\r\n"},
    {"HEAD", S "none", NULL, NULL, 404, NULL, "application/problem+json"},
    {"POST", S "open?touch", NULL, NULL, 204, NULL, "Sponson-Life: "},
    {"GET", "/v1/sessions?prefix=op", NULL, NULL, 200, NULL, "\"open\""},
    {"GET", "/v1/sessions?limit=1", NULL, NULL, 200, NULL, "\"next\":\"closed\""},
    {"DELETE", S "new", NULL, NULL, 204, NULL, "Sponson-Life: "},
};

static void prepare(struct stage *stage)
{
    static const struct row first[] = {
        {"POST", S "open", "Event-Id: 1\r\n", "one", 200, NULL, NULL},
        {"POST", S "closed", "Stream-Closed: true\r\n", "one", 200, NULL, NULL},
        {"POST", S "shut", NULL, "one", 200, NULL, NULL},
        {"POST", S "shut", "Stream-Closed: true\r\n", NULL, 204, NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(first); i++) {
        struct http_answer answer =
            http_do(stage, first[i].method, first[i].path, first[i].headers, first[i].body);
        http_expect(&answer, first[i].status);
    }
}

/* All that is wrong with one row, and the next is looked at all the same. */
static bool check_row(struct stage *stage, const struct row *row)
{
    struct http *http = http_open(stage);
    http_send_request(http, row->method, row->path, row->headers, row->body);
    bool is_head = strcmp(row->method, "HEAD") == 0;
    struct http_answer answer = is_head ? http_read_head_only(http) : http_read(http);
    http_close(http);
    const char *body = answer.body.data;
    const char *code = row->code ? stage_format(stage, "\"code\":\"%s\"", row->code) : "";
    const char *type = http_header(stage, &answer, "Content-Type");
    bool is_problem = answer.status >= 400 && !is_head;
    bool has_words = !row->words || strstr(answer.head, row->words) || strstr(body, row->words);
    bool is_typed =
        !is_problem || (type && strcmp(type, "application/problem+json") == 0 &&
                        strstr(body, stage_format(stage, "\"status\":%u,", answer.status)));
    if (answer.status == row->status && strstr(body, code) && has_words && is_typed)
        return true;
    print_error("%s %s %s\n  wanted %u %s %s\n  got %s%s\n", row->method, row->path,
                row->headers ? row->headers : "", row->status, row->code ? row->code : "",
                row->words ? row->words : "", answer.head, body);
    return false;
}

static void each_request_has_its_status(struct stage *stage)
{
    unsigned wrong = 0;
    stage_start(stage, NULL);
    http_start(stage, "--allow-origin=https://app.example");
    prepare(stage);
    for (size_t i = 0; i < COUNT(rows); i++)
        wrong += (unsigned)!check_row(stage, &rows[i]);
    assert_int_equal(wrong, 0);
}

/* A browser asks for leave before each of its requests: that costs it no connection. */
static void an_answer_at_once_keeps_the_connection(struct stage *stage)
{
    static const struct row asked[] = {
        {"OPTIONS", S "x", NULL, NULL, 204, NULL, NULL},
        {"GET", "/nowhere", NULL, NULL, 404, NULL, NULL},
        {"GET", S "x", "Origin: null\r\n", NULL, 403, NULL, NULL},
        {"POST", S "x", NULL, "a", 200, NULL, NULL},
    };
    stage_start(stage, NULL);
    http_start_plain(stage);
    struct http *http = http_open(stage);
    for (size_t i = 0; i < COUNT(asked); i++) {
        http_send_request(http, asked[i].method, asked[i].path, asked[i].headers, asked[i].body);
        struct http_answer answer = http_read(http);
        http_expect(&answer, asked[i].status);
    }
}

/* -- too large --------------------------------------------------------------------------------- */

static const char *letters(struct stage *stage, size_t count)
{
    char *text = stage_keep(stage, malloc(count + 1));
    memset(text, 'a', count);
    text[count] = '\0';
    return text;
}

static void expect_problem(const struct http_answer *answer, unsigned status, const char *words)
{
    http_expect(answer, status);
    assert_non_null(strstr(answer->head, "application/problem+json"));
    if (!strstr(answer->body.data, words))
        fail_msg("no %s in: %s", words, (const char *)answer->body.data);
}

static void what_is_too_large_names_the_option(struct stage *stage)
{
    static const size_t targets[] = {5000, 40000};
    struct http_answer answer;
    stage_start(stage, NULL);
    http_start(stage, "--body-limit=10K");
    for (size_t i = 0; i < COUNT(targets); i++) {
        answer = http_do(stage, "GET", stage_format(stage, S "%s", letters(stage, targets[i])),
                         NULL, NULL);
        expect_problem(&answer, 414, "--header-limit");
        answer = http_do(stage, "GET", S "x",
                         stage_format(stage, "X-Long: %s\r\n", letters(stage, targets[i])), NULL);
        expect_problem(&answer, 431, "--header-limit");
    }
    answer = http_do(stage, "POST", S "x", JSON,
                     stage_format(stage, "{\"data\":\"%s\"}", letters(stage, 11000)));
    expect_problem(&answer, 413, "--body-limit");
    answer = http_do(stage, "POST", S "x", NULL, letters(stage, 9000000));
    expect_problem(&answer, 413, "bytes");
    answer = http_do(stage, "PUT", S "x", JSON, letters(stage, 200000));
    expect_problem(&answer, 413, "bytes");
    assert_string_equal(stage_run(stage, "sessions", "--json").out, "");
}

/* The length alone is refused: nothing of the body is waited for. */
static void a_length_that_is_too_large_is_refused_at_once(struct stage *stage)
{
    static const struct {
        const char *method, *path, *headers, *words;
    } asked[] = {
        {"POST", S "x", "Content-Length: 9000000\r\n", "bytes"},
        {"POST", S "x", "Content-Length: 9000000\r\nExpect: 100-continue\r\n", "bytes"},
        {"POST", S "x?newlines=lf", "Content-Length: 18000000\r\n", "bytes"},
        {"POST", S "x", JSON "Content-Length: 10241\r\n", "--body-limit"},
        {"PUT", S "x", JSON "Content-Length: 200000\r\n", "bytes"},
        {"PATCH", S "x", JSON "Content-Length: 9223372036854775807\r\n", "bytes"},
    };
    stage_start(stage, NULL);
    http_start(stage, "--body-limit=10K");
    for (size_t i = 0; i < COUNT(asked); i++) {
        struct http *http = http_open(stage);
        http_send_request(http, asked[i].method, asked[i].path, asked[i].headers, NULL);
        struct http_answer answer = http_read(http);
        expect_problem(&answer, 413, asked[i].words);
        assert_true(http_is_closed(http, until_in(STAGE_WAIT_MS)));
    }
    struct http *endless = http_open(stage); /* an event stream may have any length */
    http_send_request(endless, "POST", S "x",
                      "Content-Type: text/event-stream\r\nContent-Length: 9000000000\r\n", NULL);
    http_send(endless, "data: a\n\n");
    http_expect_data(http_stream(stage, S "x", NULL, NULL), "a");
}

/* -- keys -------------------------------------------------------------------------------------- */

static const char *token(struct stage *stage, const char *session, const char *rights,
                         const char *keys)
{
    struct outcome made =
        stage_run(stage, "token", session, "--rights", rights, "--for", "1h", "--key-file", keys);
    stage_expect_code(&made, 0);
    return stage_format(stage, "%.*s", (int)strcspn(made.out, "\n"), made.out);
}

static void tokens_say_who_may(struct stage *stage)
{
    struct outcome key = stage_run(stage, "token", "--new-key", "k1");
    const char *keys = stage_write_file(stage, "keys", key.output);
    const char *other_keys =
        stage_write_file(stage, "other", stage_run(stage, "token", "--new-key", "k1").output);
    stage_start(stage, NULL);
    http_start(stage, "--key-file", keys, "--allow-origin=https://app.example");
    const char *reads = token(stage, "mine", "r", keys);
    const char *all = token(stage, "mine", "r,w,d", keys);
    const char *forged = token(stage, "mine", "r,w,d", other_keys);
    const struct {
        const char *method, *path, *headers;
        unsigned status;
    } asked[] = {
        {"POST", S "mine", NULL, 401},
        {"POST", S "mine", "Authorization: Basic YTpi\r\n", 401},
        {"POST", S "mine", stage_format(stage, "Authorization: Bearer %s\r\n", forged), 401},
        {"POST", S "mine", stage_format(stage, "Authorization: Bearer %sx\r\n", all), 401},
        {"POST", S "mine", stage_format(stage, "Authorization: Bearer %s\r\n", reads), 403},
        {"POST", S "other", stage_format(stage, "Authorization: Bearer %s\r\n", all), 403},
        {"POST", S "mine%2f", stage_format(stage, "Authorization: Bearer %s\r\n", all), 400},
        {"POST", S "mine", stage_format(stage, "Cookie: sponson-token=%s\r\n", all), 403},
        {"POST", stage_format(stage, S "mine?token=%s", reads),
         stage_format(stage, "Authorization: Bearer %s\r\n", all), 400},
        {"GET", "/v1/sessions", stage_format(stage, "Authorization: Bearer %s\r\n", all), 403},
        {"OPTIONS", S "mine", "Origin: https://app.example\r\n", 204},
        {"POST", S "%6dine", stage_format(stage, "Authorization: bearer %s\r\n", all), 200},
        {"POST", stage_format(stage, S "mine?token=%s", all), NULL, 200},
        {"HEAD", stage_format(stage, S "mine?token=%s", reads), NULL, 200},
        {"DELETE", stage_format(stage, S "mine?token=%s", reads), NULL, 403},
        {"DELETE", stage_format(stage, S "mine?token=%s", all), NULL, 204},
    };
    for (size_t i = 0; i < COUNT(asked); i++) {
        const char *body = strcmp(asked[i].method, "POST") == 0 ? "a" : NULL;
        struct http_answer answer =
            http_do(stage, asked[i].method, asked[i].path, asked[i].headers, body);
        if (answer.status != asked[i].status)
            fail_msg("%zu: %s %s: %s%s", i, asked[i].method, asked[i].path, answer.head,
                     (const char *)answer.body.data);
        assert_true(answer.status != 401 ||
                    strcmp(http_header(stage, &answer, "WWW-Authenticate"), "Bearer") == 0);
        const char *const secrets[] = {reads, all, forged};
        for (size_t j = 0; j < COUNT(secrets); j++)
            assert_null(strstr(answer.body.data, secrets[j]));
    }
    const char *log = stage_log(stage);
    assert_null(strstr(log, all));
    assert_null(strstr(log, reads));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(what_is_too_large_names_the_option),
        STAGE_TEST(a_length_that_is_too_large_is_refused_at_once),
        STAGE_TEST(tokens_say_who_may),
        STAGE_TEST(an_answer_at_once_keeps_the_connection),
        STAGE_TEST(each_request_has_its_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
