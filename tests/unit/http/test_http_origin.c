/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_origin: which hosts and pages are served, for every method. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "http/origin.h"
#include "http/word.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const char *const origins[] = {"https://app.example", "http://localhost:3000"};
static const char *const hosts[] = {"gate.example", "other.example:8080"};
static const struct origin_rules tcp = {
    .origins = origins,
    .origin_count = COUNT(origins),
    .hosts = hosts,
    .host_count = COUNT(hosts),
    .listen = "192.0.2.1",
};

static struct spn_bytes bytes(const char *text)
{
    return (struct spn_bytes){text, text ? strlen(text) : 0};
}

/* -- hosts ------------------------------------------------------------------------------------- */

static const struct host_row {
    const char *host;
    bool good;
} host_rows[] = {
    {"192.0.2.1", true},
    {"192.0.2.1:8080", true},
    {"localhost", true},
    {"LocalHost:1", true},
    {"gate.example", true},
    {"GATE.example:443", true},
    {"other.example:8080", true},
    {"other.example", false},
    {"other.example:8081", false},
    {"", false},
    {"192.0.2.2", false},
    {"evil.example", false},
    {"localhost.evil.example", false},
    {"evil.localhost", false},
    {"localhost.", false},
    {"localhost:", false},
    {"localhost:80:80", false},
    {"localhost:port", false},
    {"localhost:123456", false},
    {"user@localhost", false},
    {"localhost/", false},
    {"localhost, evil.example", false},
    {"[::1]", false},
    {":80", false},
    {"127.0.0.1", false},
};

static bool check(const struct origin_rules *rules, const struct origin_request *request,
                  unsigned status)
{
    struct problem problem = {0};
    bool good = origin_check(rules, request, &problem);
    assert_int_equal(problem.status, status);
    assert_int_equal(good, status == 0);
    return good;
}

static void host_row(void **state)
{
    const struct host_row *row = *state;
    const struct origin_request request = {.method = BYTES("GET"), .host = bytes(row->host)};
    check(&tcp, &request, row->good ? 0 : 421);
    struct origin_rules unix_socket = tcp;
    unix_socket.listen = NULL;
    check(&unix_socket, &request, 0);
}

static void addresses_of_ipv6(void **state)
{
    (void)state;
    struct origin_rules rules = tcp;
    struct origin_request request = {.method = BYTES("GET"), .host = BYTES("[::1]:80")};
    for (int i = 0; i < 2; i++) {
        rules.listen = i == 0 ? "::1" : "[::1]";
        request.host = bytes("[::1]:80");
        check(&rules, &request, 0);
        request.host = bytes("[::1]");
        check(&rules, &request, 0);
        request.host = bytes("[::2]");
        check(&rules, &request, 421);
        request.host = bytes("::1");
        check(&rules, &request, 421);
        request.host = bytes("[::1");
        check(&rules, &request, 421);
        request.host = bytes("[::1]80");
        check(&rules, &request, 421);
    }
}

static void target_and_host_are_one(void **state)
{
    (void)state;
    struct origin_request request = {.method = BYTES("GET"), .host = BYTES("localhost:80")};
    request.authority = bytes("LOCALHOST:80");
    check(&tcp, &request, 0);
    request.authority = bytes("localhost");
    check(&tcp, &request, 400);
    request.authority = bytes("evil.example");
    check(&tcp, &request, 400);
}

/* -- pages ------------------------------------------------------------------------------------- */

static const struct page_row {
    const char *name;
    const char *origin;
    const char *site;
    bool cookie;
    unsigned reads;  /* status for GET, HEAD, OPTIONS; 0: good */
    unsigned writes; /* for all others */
} page_rows[] = {
    {"no browser", NULL, NULL, false, 0, 0},
    {"listed", "https://app.example", NULL, false, 0, 0},
    {"listed, another site", "https://app.example", "cross-site", false, 0, 0},
    {"listed, with a cookie", "https://app.example", "cross-site", true, 0, 0},
    {"second of the list", "http://localhost:3000", "same-site", true, 0, 0},
    {"not listed", "https://evil.example", NULL, false, 403, 403},
    {"not listed, same site", "https://evil.example", "same-origin", false, 403, 403},
    {"null", "null", NULL, false, 403, 403},
    {"null with a cookie", "null", "cross-site", true, 403, 403},
    {"another port", "https://app.example:444", NULL, false, 403, 403},
    {"default port", "https://app.example:443", NULL, false, 403, 403},
    {"another scheme", "http://app.example", NULL, false, 403, 403},
    {"another case", "https://APP.example", NULL, false, 403, 403},
    {"subdomain", "https://x.app.example", NULL, false, 403, 403},
    {"longer", "https://app.example.evil", NULL, false, 403, 403},
    {"shorter", "https://app.exampl", NULL, false, 403, 403},
    {"with a path", "https://app.example/", NULL, false, 403, 403},
    {"two", "https://app.example https://evil.example", NULL, false, 403, 403},
    {"no origin, another site", NULL, "cross-site", false, 403, 403},
    {"no origin, another site, other case", NULL, "Cross-Site", false, 403, 403},
    {"no origin, same site", NULL, "same-site", false, 0, 0},
    {"no origin, same origin", NULL, "same-origin", false, 0, 0},
    {"no origin, typed in", NULL, "none", false, 0, 0},
    {"no origin, cookie", NULL, NULL, true, 0, 403},
    {"no origin, cookie, same origin", NULL, "same-origin", true, 0, 403},
    {"no origin, cookie, another site", NULL, "cross-site", true, 403, 403},
};

static void page_row(void **state)
{
    const struct page_row *row = *state;
    static const char *const reads[] = {"GET", "HEAD", "OPTIONS"};
    static const char *const writes[] = {"POST", "PUT", "PATCH", "DELETE", "get", "QUERY", ""};
    struct origin_request request = {
        .host = BYTES("localhost"),
        .origin = bytes(row->origin),
        .fetch_site = bytes(row->site),
        .has_cookie = row->cookie,
    };
    struct origin_rules unix_socket = tcp;
    unix_socket.listen = NULL;
    for (size_t i = 0; i < COUNT(reads); i++) {
        request.method = bytes(reads[i]);
        check(&tcp, &request, row->reads);
        check(&unix_socket, &request, row->reads);
    }
    for (size_t i = 0; i < COUNT(writes); i++) {
        request.method = bytes(writes[i]);
        check(&tcp, &request, row->writes);
        check(&unix_socket, &request, row->writes);
    }
}

static void nothing_is_listed(void **state)
{
    (void)state;
    static const struct origin_rules none = {.listen = "::1"};
    struct origin_request request = {
        .method = BYTES("GET"), .host = BYTES("localhost"), .origin = BYTES("http://localhost")};
    check(&none, &request, 403);
    struct origin_header headers[ORIGIN_HEADERS_MAX];
    assert_int_equal(origin_headers(&none, request.origin, false, headers), 1);
}

/* -- answers ----------------------------------------------------------------------------------- */

static const char *value_of(const struct origin_header *headers, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(headers[i].name, name) == 0)
            return headers[i].value;
    return NULL;
}

static void headers_of_an_answer(void **state)
{
    (void)state;
    struct origin_header headers[ORIGIN_HEADERS_MAX];
    size_t count = origin_headers(&tcp, bytes("https://app.example"), false, headers);
    assert_int_equal(count, 4);
    assert_string_equal(value_of(headers, count, "Vary"), "Origin, Accept");
    const char *origin = value_of(headers, count, "Access-Control-Allow-Origin");
    assert_ptr_equal(origin, origins[0]); /* of the list, not of the request */
    assert_string_equal(value_of(headers, count, "Access-Control-Allow-Credentials"), "true");
    assert_string_equal(value_of(headers, count, "Access-Control-Expose-Headers"),
                        "ETag, Location, Retry-After, Sponson-Seq, Sponson-Epoch, Sponson-Life, "
                        "Sponson-State, Sponson-Ttl, Sponson-Idle-Close, Sponson-Missing, "
                        "Sponson-Last-Id, Sponson-Last-Id-Omitted, Producer-Expected-Seq, "
                        "Producer-Received-Seq, Stream-Cursor, Stream-Next-Offset, "
                        "Stream-Up-To-Date, Stream-SSE-Data-Encoding, Producer-Epoch, "
                        "Producer-Seq, Stream-Closed, Stream-Expires-At, Stream-TTL");
}

static void headers_of_a_preflight(void **state)
{
    (void)state;
    struct origin_header headers[ORIGIN_HEADERS_MAX];
    size_t count = origin_headers(&tcp, bytes("http://localhost:3000"), true, headers);
    assert_int_equal(count, ORIGIN_HEADERS_MAX);
    assert_string_equal(value_of(headers, count, "Access-Control-Allow-Methods"),
                        "GET, HEAD, POST, PUT, PATCH, DELETE");
    assert_string_equal(value_of(headers, count, "Access-Control-Allow-Headers"),
                        "Accept, Authorization, Cache-Control, Content-Type, Event-Id, Event-Type, "
                        "Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Producer-Id, "
                        "Producer-Epoch, Producer-Seq, Sponson-If-Seq, Stream-Closed, "
                        "Stream-Expires-At, Stream-Seq, Stream-TTL");
    assert_non_null(value_of(headers, count, "Access-Control-Max-Age"));
    assert_string_equal(value_of(headers, count, "Vary"), "Origin");
}

static void others_get_no_headers(void **state)
{
    (void)state;
    static const char *const others[] = {"", "null", "*", "https://evil.example",
                                         "https://app.example.evil"};
    struct origin_header headers[ORIGIN_HEADERS_MAX];
    for (size_t i = 0; i < COUNT(others); i++)
        for (int preflight = 0; preflight < 2; preflight++) {
            assert_int_equal(origin_headers(&tcp, bytes(others[i]), preflight, headers), 1);
            assert_string_equal(headers[0].name, "Vary");
        }
}

static void options_are_checked(void **state)
{
    (void)state;
    static const char *const good[] = {"https://a.example", "http://localhost:3000",
                                       "http://[::1]:80", "capacitor://localhost",
                                       "chrome-extension://abc"};
    static const char *const bad[] = {"",
                                      "*",
                                      "null",
                                      "a.example",
                                      "https://",
                                      "https:/a",
                                      "https://a/",
                                      "https://a/b",
                                      "https://A.b",
                                      "https://a?",
                                      "https://a#b",
                                      "https://u@a",
                                      "https://a b",
                                      "https://\xC3\xA4",
                                      "https://a,https://b"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(origin_is_valid(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++)
        if (origin_is_valid(bad[i]))
            fail_msg("%s", bad[i]);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(host_rows) + COUNT(page_rows) + 7];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(host_rows); i++)
        tests[count++] =
            (struct CMUnitTest){host_rows[i].host, host_row, NULL, NULL, (void *)&host_rows[i]};
    for (size_t i = 0; i < COUNT(page_rows); i++)
        tests[count++] =
            (struct CMUnitTest){page_rows[i].name, page_row, NULL, NULL, (void *)&page_rows[i]};
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(addresses_of_ipv6);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(target_and_host_are_one);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(nothing_is_listed);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(headers_of_an_answer);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(headers_of_a_preflight);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(others_get_no_headers);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(options_are_checked);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
