/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_doors: where the gateway listens, and who may come in by which door. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "http_client.h"
#include "http_gateway.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S "/v1/sessions/"

static struct http_answer ask_tcp(struct stage *stage, unsigned port, const char *method,
                                  const char *headers)
{
    struct http *http = http_open_tcp(stage, port);
    http_send(http, stage_format(stage, "%s " S "x?wait=0 HTTP/1.1\r\n%s\r\n", method, headers));
    struct http_answer answer = http_read(http);
    http_close(http);
    return answer;
}

static void tcp_needs_a_key_or_the_word(struct stage *stage)
{
    static const struct {
        const char *words[4];
        int code;
        const char *says;
    } rows[] = {
        {{"--listen=127.0.0.1:0"}, 2, "--key-file"},
        {{"--listen=[::1]:0"}, 2, "--key-file"},
        {{"--listen=0.0.0.0:0", "--insecure-loopback"}, 1, "not on loopback"},
        {{"--listen=here", "--insecure-loopback"}, 1, "ADDRESS:PORT"},
        {{"--admin-listen=0.0.0.0:0"}, 1, "not on loopback"},
        {{"--no-socket"}, 1, "nothing to listen on"},
        {{"--socket=/nonexistent/http.sock"}, 1, "its directory does not exist"},
        {{"--key-file=/nowhere/keys"}, 1, "/nowhere/keys"},
        {{"--header-limit=1"}, 2, "header-limit"},
        {{"--heartbeat=0"}, 2, "heartbeat"},
        {{"--allow-origin=https://app.example/"}, 2, "allow-origin"},
        {{"--what"}, 2, "what"},
        {{"more"}, 2, "more"},
    };
    stage_start(stage, NULL);
    const char *socket = stage_format(stage, "--socket=%s", http_socket(stage));
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *const *words = rows[i].words;
        struct outcome outcome = words[1] ? http_run(stage, socket, words[0], words[1])
                                          : http_run(stage, socket, words[0]);
        stage_expect_code(&outcome, rows[i].code);
        if (!strstr(outcome.err, rows[i].says))
            fail_msg("no %s in: %s", rows[i].says, outcome.err);
        if (access(http_socket(stage), F_OK) == 0)
            fail_msg("%s: the socket's file stays", words[0]);
    }
}

static void hosts_and_origins_are_checked_on_tcp(struct stage *stage)
{
    static const struct {
        const char *method, *headers;
        unsigned status;
    } rows[] = {
        {"GET", "Host: 127.0.0.1:%u\r\n", 404},
        {"GET", "Host: localhost\r\n", 404},
        {"GET", "Host: listed.example:1\r\n", 404},
        {"GET", "Host: evil.example\r\n", 421},
        {"GET", "Host: 127.0.0.1.evil.example\r\n", 421},
        {"POST", "Host: evil.example\r\n", 421},
        {"GET", "Host: localhost\r\nOrigin: https://app.example\r\n", 404},
        {"GET", "Host: localhost\r\nOrigin: http://localhost\r\n", 403},
        {"POST", "Host: localhost\r\nOrigin: null\r\n", 403},
        {"POST", "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", 403},
        {"DELETE", "Host: localhost\r\nCookie: sponson-token=v1.a.b.c\r\n", 403},
    };
    unsigned port = http_free_port();
    stage_start(stage, NULL);
    http_start(stage, stage_format(stage, "--listen=127.0.0.1:%u", port), "--insecure-loopback",
               "--allow-origin=https://app.example", "--host=listed.example");
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *headers = strstr(rows[i].headers, "%u")
                                  ? stage_format(stage, "Host: 127.0.0.1:%u\r\n", port)
                                  : rows[i].headers;
        struct http_answer answer = ask_tcp(stage, port, rows[i].method, headers);
        if (answer.status != rows[i].status)
            fail_msg("%s %s: %s%s", rows[i].method, headers, answer.head,
                     (const char *)answer.body.data);
        const char *origin = http_header(stage, &answer, "Access-Control-Allow-Origin");
        assert_true(!origin || strcmp(origin, "https://app.example") == 0);
    }
    assert_string_equal(stage_run(stage, "sessions", "--json").out, "");
}

/* The admin listener has health only; no session is there. */
static void the_admin_door_has_health_and_shows_no_session_unasked(struct stage *stage)
{
    unsigned port = http_free_port();
    struct process *daemon = stage_start(stage, NULL);
    http_start(stage, stage_format(stage, "--admin-listen=127.0.0.1:%u", port));
    static const char *const paths[] = {"/healthz", "/readyz"};
    struct http_answer answer;
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct http *http = http_open_tcp(stage, port);
        http_send_request(http, "GET", paths[i], NULL, NULL);
        answer = http_read(http);
        http_expect(&answer, 200);
    }
    answer = ask_tcp(stage, port, "GET", "Host: localhost\r\n");
    http_expect(&answer, 401); /* the page's cookie is missing */
    process_kill(daemon);
    struct http *http = http_open_tcp(stage, port);
    http_send_request(http, "GET", "/readyz", NULL, NULL);
    answer = http_read(http);
    http_expect(&answer, 200); /* the streams are held: no balancer should cut them */
}

static int listen_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 16), 0);
    return fd;
}

static void a_socket_of_the_dead_is_replaced(struct stage *stage)
{
    struct stat status;
    const char *path = http_socket(stage);
    stage_start(stage, NULL);
    struct process *gateway = http_start(stage, "--socket-mode=0600");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    const char *socket = stage_format(stage, "--socket=%s", path);
    struct outcome second = http_run(stage, socket);
    stage_expect_code(&second, 1);
    assert_non_null(strstr(second.err, path));
    struct http_answer answer =
        http_do(stage, "PUT", S "x", NULL, NULL); /* the first still serves */
    http_expect(&answer, 201);
    process_kill(gateway);
    gateway = http_start_plain(stage);
    answer = http_do(stage, "PUT", S "x", NULL, NULL);
    http_expect(&answer, 200);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0660);
    process_signal(gateway, SIGTERM);
    assert_int_equal(process_wait(gateway, until_in(STAGE_WAIT_MS)), 0);
    assert_int_not_equal(access(path, F_OK), 0);
    stage_write_file(stage, "http.sock", (struct spn_bytes){"mine", 4});
    second = http_run(stage, socket);
    stage_expect_code(&second, 1); /* a file is no socket */
    assert_int_equal(stage_read_file(stage, path).size, 4);
}

static struct process *start_named(struct stage *stage, int fd, const char *names,
                                   const char *words)
{
    const char *script = stage_format(stage, "LISTEN_PID=$$ LISTEN_FDS=1 %s exec %s %s", names,
                                      http_program(), words);
    const char *argv[] = {"sh", "-c", script, NULL};
    struct process_options options = {.argv = argv, .handed_fd = fd, .error_path = stage->log_path};
    return stage_process(stage, &options);
}

static struct process *start_with_fd(struct stage *stage, int fd, const char *words)
{
    return start_named(stage, fd, "", words);
}

/* Who connects while the gateway is not there waits, and is served by the next one. */
static void a_socket_that_was_handed_over_outlives_the_gateway(struct stage *stage)
{
    stage_start(stage, NULL);
    int fd = listen_unix(http_socket(stage));
    for (int i = 0; i < 3; i++) {
        struct http *http = http_open(stage);
        http_send_request(http, "POST", S "x", NULL, "1");
        struct process *gateway = start_with_fd(stage, fd, "");
        struct http_answer answer = http_read(http);
        http_expect(&answer, 200);
        assert_non_null(strstr(answer.body.data, stage_format(stage, "\"last_seq\":%d,", i + 1)));
        process_signal(gateway, i == 1 ? SIGKILL : SIGTERM);
        assert_int_equal(process_wait(gateway, until_in(STAGE_WAIT_MS)), i == 1 ? 137 : 0);
        assert_int_equal(access(http_socket(stage), F_OK), 0);
        http_close(http);
    }
    close(fd);
}

/* Who hands sockets over says where requests come in; an admin listener may be opened beside. */
static void beside_a_socket_that_was_handed_over_no_other_is_opened(struct stage *stage)
{
    unsigned port = http_free_port();
    stage_start(stage, NULL);
    int fd = listen_unix(http_socket(stage));
    const char *listen =
        stage_format(stage, "--listen=127.0.0.1:%u --insecure-loopback", http_free_port());
    struct process *refused = start_with_fd(stage, fd, listen);
    assert_int_equal(process_wait(refused, until_in(STAGE_WAIT_MS)), 1);
    assert_non_null(strstr(stage_log(stage), "LISTEN_FDS"));
    const char *both = stage_format(stage, "--admin-listen=127.0.0.1:%u", port);
    refused = start_named(stage, fd, "LISTEN_FDNAMES=admin", both);
    assert_int_equal(process_wait(refused, until_in(STAGE_WAIT_MS)), 1);
    assert_non_null(strstr(stage_log(stage), "handed over already"));
    start_with_fd(stage, fd, both);
    struct http_answer answer = http_do(stage, "PUT", S "x", NULL, NULL);
    http_expect(&answer, 201); /* so the other one listens too */
    struct http *http = http_open_tcp(stage, port);
    http_send_request(http, "GET", "/healthz", NULL, NULL);
    answer = http_read(http);
    http_expect(&answer, 200);
    close(fd);
}

/* TCP needs a key, however its socket came. */
static void a_tcp_socket_that_was_handed_over_needs_a_key(struct stage *stage)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    stage_start(stage, NULL);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    struct process *refused = start_with_fd(stage, fd, "");
    assert_int_equal(process_wait(refused, until_in(STAGE_WAIT_MS)), 1);
    assert_non_null(strstr(stage_log(stage), "--key-file"));
    start_with_fd(stage, fd, "--insecure-loopback");
    struct http_answer answer =
        ask_tcp(stage, ntohs(address.sin_port), "GET", "Host: evil.example\r\n");
    http_expect(&answer, 421);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(tcp_needs_a_key_or_the_word),
        STAGE_TEST(hosts_and_origins_are_checked_on_tcp),
        STAGE_TEST(the_admin_door_has_health_and_shows_no_session_unasked),
        STAGE_TEST(a_socket_of_the_dead_is_replaced),
        STAGE_TEST(a_socket_that_was_handed_over_outlives_the_gateway),
        STAGE_TEST(beside_a_socket_that_was_handed_over_no_other_is_opened),
        STAGE_TEST(a_tcp_socket_that_was_handed_over_needs_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
