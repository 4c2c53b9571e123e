/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_accept: the form of an answer and of a body, as clients and the standard name them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "http/accept.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

#define STREAM ACCEPT_BIT(ACCEPT_EVENT_STREAM)
#define PAGE (ACCEPT_BIT(ACCEPT_JSON) | ACCEPT_BIT(ACCEPT_NDJSON))
#define ALL (STREAM | PAGE)
#define NO ACCEPT_MEDIAS /* 406 */

static const struct accept_row {
    const char *accept;
    unsigned offered;
    enum accept_media media;
} accept_rows[] = {
    {"", ALL, ACCEPT_EVENT_STREAM},
    {"", PAGE, ACCEPT_JSON},
    {" ", ALL, ACCEPT_EVENT_STREAM},
    {"*/*", ALL, ACCEPT_EVENT_STREAM},
    {"text/event-stream", ALL, ACCEPT_EVENT_STREAM},
    {"application/json", ALL, ACCEPT_JSON},
    {"application/x-ndjson", ALL, ACCEPT_NDJSON},
    {"Application/JSON", ALL, ACCEPT_JSON},
    {"application/*", ALL, ACCEPT_JSON},
    {"text/*", ALL, ACCEPT_EVENT_STREAM},
    {"TEXT/*", ALL, ACCEPT_EVENT_STREAM},
    {"application/json, text/event-stream", ALL, ACCEPT_EVENT_STREAM}, /* MCP */
    {"application/json, text/plain, */*", ALL, ACCEPT_JSON},           /* axios */
    {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", ALL, ACCEPT_EVENT_STREAM},
    {"text/event-stream;q=0.5, application/json", ALL, ACCEPT_JSON},
    {"text/event-stream; q=0.5 , application/json;q=0.4", ALL, ACCEPT_EVENT_STREAM},
    {"text/event-stream;q=0, */*", ALL, ACCEPT_JSON},
    {"application/*;q=0, */*", ALL, ACCEPT_EVENT_STREAM},
    {"application/json;q=0, application/*", ALL, ACCEPT_NDJSON},
    {"application/*, application/json;q=0", ALL, ACCEPT_NDJSON},
    {"*/*;q=1, text/event-stream;q=0.2, application/json;q=0.1", ALL, ACCEPT_NDJSON},
    {"application/json;q=0.1, application/json;q=0.9, text/event-stream;q=0.5", ALL, ACCEPT_JSON},
    {"application/json;Q=0.1, application/x-ndjson", ALL, ACCEPT_NDJSON},
    {"application/json;q=0.001", ALL, ACCEPT_JSON},
    {"application/json;q=1.000", ALL, ACCEPT_JSON},
    {"application/json;profile=\"a,b;q=0\", text/html", ALL, ACCEPT_JSON},
    {"application/json;x=\", text/event-stream, \"", ALL, ACCEPT_JSON},
    {"application/json;v=1;q=0, */*;q=0.1", PAGE, ACCEPT_NDJSON},
    {",, application/json ,", ALL, ACCEPT_JSON},
    {"text/event-stream", PAGE, NO},
    {"application/json", STREAM, NO},
    {"text/html", ALL, NO},
    {"*/*;q=0", ALL, NO},
    {"application/json;q=0", ALL, NO},
    {"application/json;q=0.000", ALL, NO},
    {"json", ALL, NO},
    {"*", ALL, NO},
    {"*/json", ALL, NO},
    {"application/json/x", ALL, NO},
    {"application /json", ALL, NO},
    {"application/jso", ALL, NO},
    {"application/json;q=1.001", ALL, NO},
    {"application/json;q=2", ALL, NO},
    {"application/json;q=", ALL, NO},
    {"application/json;q", ALL, NO},
    {"application/json;q=.5", ALL, NO},
    {"application/json;q=0.1234", ALL, NO},
    {"application/json;q=-1", ALL, NO},
    {"application/json;q=1x", ALL, NO},
};

static void accept_row(void **state)
{
    const struct accept_row *row = *state;
    enum accept_media media = ACCEPT_MEDIAS;
    struct problem problem = {0};
    bool chosen = accept_choose((struct spn_bytes){row->accept, strlen(row->accept)}, row->offered,
                                &media, &problem);
    assert_int_equal(media, row->media);
    assert_int_equal(chosen, row->media != ACCEPT_MEDIAS);
    assert_int_equal(problem.status, chosen ? 0 : 406);
    if (!chosen)
        assert_non_null(strstr(problem.detail, row->accept));
}

static void refusal_names_what_there_is(void **state)
{
    (void)state;
    enum accept_media media;
    struct problem problem;
    assert_false(accept_choose((struct spn_bytes)BYTES("a/b"), PAGE, &media, &problem));
    assert_non_null(strstr(problem.detail, "application/json application/x-ndjson"));
    assert_null(strstr(problem.detail, "event-stream"));
}

static const struct body_row {
    const char *type;
    int body; /* -1: 415 */
} body_rows[] = {
    {"", ACCEPT_BODY_RAW},
    {"text/event-stream", ACCEPT_BODY_EVENTS},
    {"Text/Event-Stream ; charset=UTF-8", ACCEPT_BODY_EVENTS},
    {"application/json", ACCEPT_BODY_JSON},
    {"application/json;charset=\"utf-8\"", ACCEPT_BODY_JSON},
    {"application/json; Charset = utf8 ; x=y", ACCEPT_BODY_JSON},
    {"application/json;", ACCEPT_BODY_JSON},
    {"application/json; x=\"; charset=latin1\"", ACCEPT_BODY_JSON},
    {"application/x-ndjson", ACCEPT_BODY_RAW},
    {"application/problem+json", ACCEPT_BODY_RAW},
    {"text/plain", ACCEPT_BODY_RAW},
    {"text/plain; charset=utf-8", ACCEPT_BODY_RAW},
    {"text/plain; charset=iso-8859-1", -1},
    {"text/event-stream; charset=utf-16", -1},
    {"application/json; charset=utf-8; charset=latin1", -1},
    {"application/json; charset", -1},
    {"application/json; charset=", -1},
    {"json", -1},
    {"/json", -1},
    {"application/", -1},
    {"application/json, text/plain", -1},
    {"application json/x", -1},
    {";charset=utf-8", -1},
    {" ", -1},
};

static void body_row(void **state)
{
    const struct body_row *row = *state;
    enum accept_body body = ACCEPT_BODY_RAW;
    struct problem problem = {0};
    bool good = accept_body((struct spn_bytes){row->type, strlen(row->type)}, &body, &problem);
    assert_int_equal(good ? (int)body : -1, row->body);
    assert_int_equal(problem.status, good ? 0 : 415);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(accept_rows) + COUNT(body_rows) + 1];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(accept_rows); i++)
        tests[count++] = (struct CMUnitTest){accept_rows[i].accept, accept_row, NULL, NULL,
                                             (void *)&accept_rows[i]};
    for (size_t i = 0; i < COUNT(body_rows); i++)
        tests[count++] =
            (struct CMUnitTest){body_rows[i].type, body_row, NULL, NULL, (void *)&body_rows[i]};
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(refusal_names_what_there_is);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
