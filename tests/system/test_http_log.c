/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_log: --access-log has a line for each request, and a token in none. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "http_client.h"
#include "http_gateway.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S "/v1/sessions/"

enum { GOOD, FORGED, EXPIRED, TOKENS };

static const char *make_token(struct stage *stage, const char *keys, const char *span)
{
    struct outcome made = stage_run(stage, "token", "--prefix", "", "--rights", "r,w,d,l", "--for",
                                    span, "--key-file", keys);
    stage_expect_code(&made, 0);
    return stage_format(stage, "%.*s", (int)strcspn(made.out, "\n"), made.out);
}

static const char *make_keys(struct stage *stage, const char *name)
{
    return stage_write_file(stage, name, stage_run(stage, "token", "--new-key", "k1").output);
}

static void ask(struct stage *stage, const char *method, const char *path, const char *headers,
                unsigned status)
{
    struct http *http = http_open(stage);
    bool is_head = strcmp(method, "HEAD") == 0;
    http_send_request(http, method, path, headers, strcmp(method, "POST") == 0 ? "a" : NULL);
    struct http_answer answer = is_head ? http_read_head_only(http) : http_read(http);
    http_expect(&answer, status);
    http_close(http);
}

/* Wherever a token may stand. */
static void send_everywhere(struct stage *stage, const char *token, unsigned status)
{
    static const char *const methods[] = {"POST", "HEAD", "GET", "DELETE"};
    const char *bearer = stage_format(stage, "Authorization: Bearer %s\r\n", token);
    const char *cookie =
        stage_format(stage, "Cookie: sponson-token=%s\r\nOrigin: https://app.example\r\n", token);
    for (size_t i = 0; i < COUNT(methods); i++) {
        bool deletes = i + 1 == COUNT(methods);
        const char *path = deletes ? S "doomed" : S "s?until=caught-up";
        unsigned wanted = status != 0 ? status : deletes ? 404 : 200;
        ask(stage, methods[i], path, bearer, wanted);
        ask(stage, methods[i], path, cookie, wanted);
        ask(stage, methods[i],
            stage_format(stage, "%s%stoken=%s", path, deletes ? "?" : "&", token), NULL, wanted);
    }
    ask(stage, "GET", stage_format(stage, "http://localhost" S "s?until=caught-up&token=%s", token),
        NULL, status != 0 ? status : 200);
}

/* Where no token may stand, and people put one all the same. */
static void send_astray(struct stage *stage, const char *token, const char *other)
{
    const char *bearer = stage_format(stage, "Authorization: Bearer %s\r\n", other);
    ask(stage, "GET", stage_format(stage, S "s?token=%s", token), bearer, 400);
    ask(stage, "GET", stage_format(stage, S "s&token=%s", token), NULL, 401);
    ask(stage, "GET", stage_format(stage, S "s#token=%s", token), NULL, 400);
    ask(stage, "GET", stage_format(stage, "http://%s@localhost" S "s", token), NULL, 400);
    ask(stage, "GET", stage_format(stage, S "s?token=%s&token=%s", token, token), NULL, 400);
    ask(stage, "GET", S "s", stage_format(stage, "X-Token : %s\r\n", token), 400);
    struct http *http = http_open(stage); /* a head without an end */
    http_send(http, stage_format(stage, "GET " S "s?token=%s HTTP/1.1\r\n", token));
    struct http_answer answer = http_read(http);
    http_expect(&answer, 408);
}

static void wait_for_expiry(struct stage *stage, const char *token)
{
    const char *bearer = stage_format(stage, "Authorization: Bearer %s\r\n", token);
    uint64_t due_ns = until_in(STAGE_WAIT_MS);
    while (http_do(stage, "HEAD", S "s", bearer, NULL).status != 401) {
        assert_false(until_over(due_ns));
        until_passed_us(50000);
    }
}

/* Neither whole nor one of its parts after the key's name. */
static void expect_no_token(const char *log, const char *token)
{
    char part[256];
    assert_null(strstr(log, token));
    for (const char *at = strchr(strchr(token, '.') + 1, '.'); at != NULL; at = strchr(at, '.')) {
        size_t size = strcspn(++at, ".");
        assert_in_range(size, 16, sizeof(part) - 1);
        memcpy(part, at, size);
        part[size] = '\0';
        assert_null(strstr(log, part));
    }
}

static void expect_line(const char *log, const char *words)
{
    if (!strstr(log, words))
        fail_msg("no %s in:\n%s", words, log);
}

static void no_line_has_a_token(struct stage *stage)
{
    const char *keys = make_keys(stage, "keys");
    const char *tokens[TOKENS] = {
        [GOOD] = make_token(stage, keys, "1h"),
        [FORGED] = make_token(stage, make_keys(stage, "other"), "1h"),
        [EXPIRED] = make_token(stage, keys, "1s"),
    };
    stage_start(stage, NULL);
    struct process *gateway =
        http_start(stage, "--access-log", "--key-file", keys,
                   stage_format(stage, "--header-timeout=%dms", until_patient_ms(300)),
                   "--allow-origin=https://app.example");
    send_everywhere(stage, tokens[GOOD], 0);
    send_everywhere(stage, tokens[FORGED], 401);
    wait_for_expiry(stage, tokens[EXPIRED]);
    send_everywhere(stage, tokens[EXPIRED], 401);
    for (size_t i = 0; i < TOKENS; i++)
        send_astray(stage, tokens[i], tokens[(i + 1) % TOKENS]);
    process_signal(gateway, SIGTERM);
    assert_int_equal(process_wait(gateway, until_in(STAGE_WAIT_MS)), 0);
    const char *log = stage_log(stage);
    for (size_t i = 0; i < TOKENS; i++)
        expect_no_token(log, tokens[i]);
    expect_line(log, "method=\"POST\" path=\"" S "s\" status=200 bytes=");
    expect_line(log, "method=\"HEAD\" path=\"" S "s\" status=200 bytes=0 ms=");
    expect_line(log, "method=\"DELETE\" path=\"" S "doomed\" status=404 bytes=");
    expect_line(log, "method=\"GET\" path=\"" S "s\" status=401 bytes=");
    expect_line(log, "method=\"GET\" path=\"" S "s&\" status=401 bytes=");
    expect_line(log, "status=408 bytes=");
}

static size_t lines(const char *log, const char *words)
{
    size_t count = 0;
    for (const char *at = log; (at = strstr(at, words)) != NULL; at++)
        count++;
    return count;
}

/* One for each request, with what became of it. */
static void each_request_has_a_line(struct stage *stage)
{
    stage_start(stage, NULL);
    struct process *gateway = http_start(stage, "--access-log");
    struct http *http = http_open(stage); /* one connection */
    for (int i = 0; i < 3; i++) {
        http_send_request(http, "POST", S "s", NULL, "abc");
        http_read(http);
    }
    http_send_request(http, "GET", S "s?until=caught-up&prime=0", NULL, NULL);
    struct http_answer answer = http_read(http);
    size_t stream = answer.body.size;
    struct http *leaves = http_stream(stage, S "s", NULL, NULL);
    http_expect_data(leaves, "abc");
    http_close(leaves);
    leaves = http_open(stage);
    http_send_request(leaves, "POST", S "left",
                      "Content-Type: text/event-stream\r\nContent-Length: 100\r\n", NULL);
    http_send(leaves, "data: a\n\n");
    http_expect_data(http_stream(stage, S "left", NULL, NULL), "a"); /* it has begun */
    http_close(leaves);
    struct http *garbage = http_open(stage);
    http_send(garbage, "\"\x01 gar\"bage\r\n\r\n");
    http_read(garbage);
    process_signal(gateway, SIGTERM);
    assert_int_equal(process_wait(gateway, until_in(STAGE_WAIT_MS)), 0);
    const char *log = stage_log(stage);
    assert_int_equal(lines(log, "event=access "), 8);
    assert_int_equal(lines(log, "method=\"POST\" path=\"" S "s\" status=200 "), 3);
    expect_line(log, stage_format(
                         stage, "method=\"GET\" path=\"" S "s\" status=200 bytes=%zu ms=", stream));
    assert_int_equal(lines(log, "method=\"GET\" path=\"" S "s\" status=200 "), 2);
    expect_line(log, "method=\"POST\" path=\"" S "left\" status=0 bytes=0 ms=");
    expect_line(log, " status=400 ");
}

static void without_the_option_there_is_none(struct stage *stage)
{
    stage_start(stage, NULL);
    struct process *gateway = http_start_plain(stage);
    http_post(stage, S "s", NULL, "a");
    process_signal(gateway, SIGTERM);
    assert_int_equal(process_wait(gateway, until_in(STAGE_WAIT_MS)), 0);
    assert_null(strstr(stage_log(stage), "event=access"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(no_line_has_a_token),
        STAGE_TEST(each_request_has_a_line),
        STAGE_TEST(without_the_option_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
