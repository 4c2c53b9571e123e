/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_admin: what operators get: /metrics, the page and its door, and /v1/events, the stream
 * of all sessions. Raw bytes over TCP and over the Unix socket. */
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "metrics_check.h"
#include "stage.h"

enum { ANSWER_MAX = 1024 * 1024, TOKEN_SIZE = 49, PORT_SIZE = 6, SHA_SIZE = 32 };

/* -- the gateway ------------------------------------------------------------------------------- */

/* Starts it with an admin listener, and one more option if that is not NULL. */
static struct process *start_gateway(struct stage *stage, const char *option)
{
    const char *argv[] = {HTTP_PROGRAM,     "--socket",    stage_path(stage, "http.sock"),
                          "--admin-listen", "127.0.0.1:0", "--ready-fd=3",
                          option,           NULL};
    int ready[2];
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    struct process_options start = {
        .argv = argv, .handed_fd = ready[1], .error_path = stage->log_path};
    struct process *gateway = stage_process(stage, &start);
    close(ready[1]);
    assert_true(stage_is_ready(ready[0], until_in(STAGE_WAIT_MS)));
    close(ready[0]);
    return gateway;
}

/* The address that was logged last. */
static void find_page(struct stage *stage, char ret_port[PORT_SIZE], char ret_token[TOKEN_SIZE])
{
    const char *line = NULL;
    for (const char *at = stage_log(stage); (at = strstr(at, "event=page ")) != NULL; at++)
        line = at;
    assert_non_null(line);
    assert_int_equal(sscanf(line, "event=page url=http://127.0.0.1:%5[0-9]/?token=%48[0-9a-f]",
                            ret_port, ret_token),
                     2);
}

static const char *new_token(struct stage *stage)
{
    char port[PORT_SIZE];
    char token[TOKEN_SIZE];
    find_page(stage, port, token);
    return stage_format(stage, "%s", token);
}

/* -- requests ---------------------------------------------------------------------------------- */

static int connect_to(const struct sockaddr *address, socklen_t size)
{
    const struct timeval wait = {.tv_sec = STAGE_WAIT_MS / 1000};
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, address, size), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    return fd;
}

static int open_admin(struct stage *stage)
{
    char port[PORT_SIZE];
    char token[TOKEN_SIZE];
    find_page(stage, port, token);
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                        .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return connect_to((const struct sockaddr *)&address, sizeof(address));
}

static int open_unix(struct stage *stage)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s",
                   stage_path(stage, "http.sock"));
    return connect_to((const struct sockaddr *)&address, sizeof(address));
}

static void send_request(struct stage *stage, int fd, const char *line, const char *headers,
                         const char *body)
{
    const char *text = stage_format(stage,
                                    "%s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                                    "Content-Length: %zu\r\n%s\r\n%s",
                                    line, strlen(body), headers, body);
    if (body[0] == '\0')
        text = stage_format(stage, "%s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n%s\r\n",
                            line, headers);
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Reads until there is `until`, or to the end if that is NULL. Fails the test if it does not come.
 * What is read stays as it came, chunks and all. */
static char *read_until(struct stage *stage, int fd, const char *until)
{
    char *text = stage_keep(stage, calloc(1, ANSWER_MAX));
    size_t size = 0;
    while (until == NULL || strstr(text, until) == NULL) {
        ssize_t got = recv(fd, text + size, ANSWER_MAX - 1 - size, 0);
        if (got == 0 && until == NULL)
            return text;
        if (got <= 0)
            fail_msg("%s did not come, but: %s", until ? until : "the end", text);
        size += (size_t)got;
    }
    return text;
}

/* A whole answer. fd is closed. */
static char *ask(struct stage *stage, int fd, const char *line, const char *headers,
                 const char *body)
{
    send_request(stage, fd, line, headers, body);
    char *answer = read_until(stage, fd, NULL);
    close(fd);
    return answer;
}

static char *get_admin(struct stage *stage, const char *path, const char *headers)
{
    return ask(stage, open_admin(stage), stage_format(stage, "GET %s", path), headers, "");
}

static char *get_unix(struct stage *stage, const char *path, const char *headers)
{
    return ask(stage, open_unix(stage), stage_format(stage, "GET %s", path), headers, "");
}

static void publish(struct stage *stage, const char *session, const char *id, const char *data)
{
    char *answer =
        ask(stage, open_unix(stage), stage_format(stage, "POST /v1/sessions/%s", session),
            stage_format(stage, "Event-Id: %s\r\nContent-Type: text/plain\r\n", id), data);
    if (strstr(answer, " 200 ") == NULL)
        fail_msg("%s", answer);
}

static void expect_status(const char *answer, unsigned status)
{
    if (strlen(answer) < 12 || strtoul(answer + 9, NULL, 10) != status)
        fail_msg("%u was wanted: %s", status, answer);
}

static void expect_text(const char *answer, const char *text)
{
    if (strstr(answer, text) == NULL)
        fail_msg("%s is missing in: %s", text, answer);
}

static const char *body_of(const char *answer)
{
    const char *body = strstr(answer, "\r\n\r\n");
    assert_non_null(body);
    return body + 4;
}

static const char *cookie_of(struct stage *stage, const char *answer)
{
    const char *cookie = strstr(answer, "Set-Cookie: ");
    assert_non_null(cookie);
    cookie += strlen("Set-Cookie: ");
    return stage_format(stage, "Cookie: %.*s\r\n", (int)strcspn(cookie, ";"), cookie);
}

static const char *log_in(struct stage *stage)
{
    char *answer = get_admin(stage, stage_format(stage, "/?token=%s", new_token(stage)), "");
    expect_status(answer, 303);
    return cookie_of(stage, answer);
}

/* -- metrics ----------------------------------------------------------------------------------- */

static const char *metrics(struct stage *stage)
{
    char *answer = get_admin(stage, "/metrics", "");
    expect_status(answer, 200);
    expect_text(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    const char *why = metrics_check(body_of(answer));
    if (why)
        fail_msg("%s, in: %s", why, answer);
    return body_of(answer);
}

static void expect_metric(struct stage *stage, const char *text, const char *name, double value)
{
    double is = metrics_value(text, name);
    if (!(is >= value && is <= value))
        fail_msg("%s is %s, not %s", name, stage_format(stage, "%g", is),
                 stage_format(stage, "%g", value));
}

static void there_is_a_family_of_each_kind(struct stage *stage)
{
    static const char *const names[] = {
        "sponson_up",
        "sponson_http_connections",
        "sponson_http_connections_total",
        "sponson_http_streams{phase=\"waiting\"}",
        "sponson_http_streams_opened_total",
        "sponson_http_streams_ended_total{reason=\"slow\"}",
        "sponson_http_events_written_total",
        "sponson_http_bytes_written_total",
        "sponson_http_delivery_seconds_bucket{le=\"+Inf\"}",
        "sponson_http_delivery_seconds_sum",
        "sponson_http_delivery_seconds_count",
        "sponson_http_resumes_total{result=\"whole\"}",
        "sponson_http_gaps_total",
        "sponson_http_posts_total{status=\"none\"}",
        "sponson_http_denials_total{reason=\"token\"}",
        "sponson_commit_seconds_sum",
        "sponson_commit_seconds_count",
        "sponson_events_durable_total",
    };
    stage_start(stage, NULL);
    start_gateway(stage, NULL);
    publish(stage, "s", "1", "x");
    const char *text = metrics(stage);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (metrics_value(text, names[i]) < 0)
            fail_msg("%s is not there", names[i]);
    expect_metric(stage, text, "sponson_up", 1);
    expect_metric(stage, text, "sponson_events_durable_total", 1);
    assert_true(metrics_value(text, "sponson_commit_seconds_sum") > 0);
    assert_true(metrics_value(text, "sponson_commit_nanoseconds_total") < 0);
}

static void what_happens_is_counted(struct stage *stage)
{
    stage_start(stage, NULL);
    start_gateway(stage, NULL);
    int follower = open_unix(stage);
    int waiting = open_unix(stage);
    publish(stage, "s", "1", "x");
    send_request(stage, follower, "GET /v1/sessions/s", "", "");
    (void)read_until(stage, follower, "data: x");
    publish(stage, "s", "2", "yy");
    (void)read_until(stage, follower, "data: yy");
    send_request(stage, waiting, "GET /v1/sessions/other", "", "");
    (void)read_until(stage, waiting, "retry:");
    expect_status(ask(stage, open_unix(stage), "POST /v1/sessions/%00", "", "x"), 400);
    (void)get_unix(stage, "/v1/sessions/s?until=caught-up&after=1", "");
    (void)get_unix(stage, "/v1/sessions/s?until=caught-up&after=never", "");
    expect_status(get_unix(stage, "/v1/sessions/s?unknown-id=fail&after=never", ""), 410);
    expect_status(get_admin(stage, "/v1/sessions", "Origin: http://evil.example\r\n"), 403);
    expect_status(get_admin(stage, "/v1/sessions", ""), 401);
    const char *text = metrics(stage);
    expect_metric(stage, text, "sponson_http_posts_total{status=\"200\"}", 2);
    expect_metric(stage, text, "sponson_http_posts_total{status=\"400\"}", 1);
    expect_metric(stage, text, "sponson_http_events_published_total", 2);
    expect_metric(stage, text, "sponson_http_streams{phase=\"live\"}", 1);
    expect_metric(stage, text, "sponson_http_streams{phase=\"waiting\"}", 1);
    expect_metric(stage, text, "sponson_http_streams_opened_total", 4);
    expect_metric(stage, text, "sponson_http_streams_ended_total{reason=\"caught_up\"}", 2);
    expect_metric(stage, text, "sponson_http_resumes_total{result=\"whole\"}", 1);
    expect_metric(stage, text, "sponson_http_resumes_total{result=\"unknown_id\"}", 2);
    expect_metric(stage, text, "sponson_http_resets_total", 1);
    expect_metric(stage, text, "sponson_http_delivery_seconds_count", 1);
    expect_metric(stage, text, "sponson_http_events_written_total", 5);
    expect_metric(stage, text, "sponson_http_denials_total{reason=\"origin\"}", 1);
    expect_metric(stage, text, "sponson_http_denials_total{reason=\"admin\"}", 1);
    close(waiting);
    close(follower);
}

/* One event that closes its session is asked for by itself, not through the producer. */
static void a_stream_ends_with_its_session(struct stage *stage)
{
    stage_start(stage, NULL);
    start_gateway(stage, NULL);
    char *answer = ask(stage, open_unix(stage), "POST /v1/sessions/s",
                       "Event-Id: 1\r\nContent-Type: text/plain\r\nStream-Closed: true\r\n", "x");
    expect_status(answer, 200);
    expect_text(get_unix(stage, "/v1/sessions/s", ""), "data: x");
    expect_status(get_unix(stage, "/v1/sessions/s?after=1", ""), 204);
    expect_text(get_unix(stage, "/v1/events?until=caught-up", ""), "\"closes\":true");
    const char *text = metrics(stage);
    expect_metric(stage, text, "sponson_http_streams_ended_total{reason=\"closed\"}", 1);
    expect_metric(stage, text, "sponson_http_resumes_total{result=\"at_end\"}", 1);
}

struct looking {
    struct stage *stage;
    const char *name;
    double value;
};

static bool has_value(void *argument)
{
    const struct looking *looking = argument;
    double is = metrics_value(metrics(looking->stage), looking->name);
    return is >= looking->value && is <= looking->value;
}

static void wait_for_value(struct stage *stage, const char *name, double value)
{
    struct looking looking = {stage, name, value};
    if (!until_true(until_in(STAGE_WAIT_MS), has_value, &looking))
        fail_msg("%s: %s", name, metrics(stage));
}

/* Also how a stream ends when its client leaves. */
static void without_the_daemon_there_are_our_own(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    start_gateway(stage, NULL);
    wait_for_value(stage, "sponson_up", 1);
    int follower = open_unix(stage);
    send_request(stage, follower, "GET /v1/events", "", "");
    (void)read_until(stage, follower, "id: ");
    process_kill(daemon);
    wait_for_value(stage, "sponson_up", 0);
    const char *text = metrics(stage);
    assert_true(metrics_value(text, "sponson_commits_total") < 0);
    expect_metric(stage, text, "sponson_http_streams{phase=\"live\"}", 1);
    close(follower);
    wait_for_value(stage, "sponson_http_streams_ended_total{reason=\"peer\"}", 1);
    stage_start(stage, NULL);
    wait_for_value(stage, "sponson_up", 1);
}

/* It is behind, then it is cut, and nothing that was meant for it is kept for it. */
static void who_does_not_read_is_behind(struct stage *stage)
{
    enum { SIZE = 1024 * 1024, EVENTS = 4 };
    stage_start(stage, NULL);
    start_gateway(stage, "--stall=3s");
    int follower = open_unix(stage);
    publish(stage, "s", "0", "x");
    send_request(stage, follower, "GET /v1/sessions/s", "", "");
    (void)read_until(stage, follower, "data: x");
    wait_for_value(stage, "sponson_http_streams{phase=\"live\"}", 1);
    char *data = stage_keep(stage, malloc(SIZE + 1));
    memset(data, 'd', SIZE);
    data[SIZE] = '\0';
    for (int i = 1; i <= EVENTS; i++)
        publish(stage, "s", stage_format(stage, "%d", i), data);
    wait_for_value(stage, "sponson_http_streams{phase=\"behind\"}", 1);
    wait_for_value(stage, "sponson_http_streams_ended_total{reason=\"slow\"}", 1);
    const char *text = metrics(stage);
    expect_metric(stage, text, "sponson_http_streams{phase=\"behind\"}", 0);
    expect_metric(stage, text, "sponson_http_events_written_total", 1);
    assert_true(metrics_value(text, "sponson_http_bytes_written_total") < SIZE);
    close(follower);
}

static void promtool_reads_it(struct stage *stage)
{
    const char *const argv[] = {"promtool", "check", "metrics", NULL};
    stage_start(stage, NULL);
    start_gateway(stage, NULL);
    publish(stage, "s", "1", "x");
    const char *text = metrics(stage);
    const struct process_options options = {.argv = argv, .input = {text, strlen(text)}};
    struct outcome outcome =
        stage_end(stage, stage_process(stage, &options), until_in(STAGE_WAIT_MS));
    if (outcome.code == PROCESS_CANNOT_RUN) {
        print_message("promtool is not installed (Debian's package prometheus): not checked\n");
        skip();
    }
    stage_expect_code(&outcome, 0);
    assert_string_equal(outcome.err, "");
}

/* -- the page ---------------------------------------------------------------------------------- */

static void the_token_is_good_once(struct stage *stage)
{
    static const char mark[] = "; Path=/; HttpOnly; SameSite=Strict\r\n";
    stage_start(stage, NULL);
    struct process *gateway = start_gateway(stage, NULL);
    const char *token = new_token(stage);
    expect_status(get_admin(stage, "/", ""), 401);
    expect_status(get_admin(stage, "/?token=", ""), 403);
    expect_status(get_admin(stage, "/?token=000000000000000000000000000000000000000000000000", ""),
                  403);
    char *answer = get_admin(stage, stage_format(stage, "/?token=%s", token), "");
    expect_status(answer, 303);
    expect_text(answer, "Location: /\r\n");
    expect_text(answer, mark);
    const char *cookie = cookie_of(stage, answer);
    expect_status(get_admin(stage, "/", cookie), 200);
    expect_status(get_admin(stage, "/", ""), 401);
    expect_status(get_admin(stage, stage_format(stage, "/?token=%s", token), ""), 403);
    process_signal(gateway, SIGHUP);
    uint64_t due_ns = until_in(STAGE_WAIT_MS);
    while (strcmp(new_token(stage), token) == 0 && !until_over(due_ns))
        until_passed_us(1000);
    expect_status(get_admin(stage, "/", cookie), 200);
    assert_string_equal(log_in(stage), cookie);
}

static void the_admin_listener_only_reads(struct stage *stage)
{
    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE", "HEAD"};
    stage_start(stage, NULL);
    start_gateway(stage, NULL);
    publish(stage, "s", "1", "seen");
    const char *cookie = log_in(stage);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        expect_status(ask(stage, open_admin(stage),
                          stage_format(stage, "%s /v1/sessions/s", methods[i]), cookie, ""),
                      405);
    static const char *const paths[] = {"/v1/sessions", "/v1/sessions/s?until=caught-up",
                                        "/v1/events?until=caught-up"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        expect_status(get_admin(stage, paths[i], ""), 401);
        expect_status(get_admin(stage, paths[i], "Cookie: sponson-admin=0\r\n"), 401);
        expect_status(get_admin(stage, paths[i], cookie), 200);
        expect_status(get_admin(stage, paths[i],
                                stage_format(stage, "%sOrigin: http://127.0.0.1:1\r\n", cookie)),
                      403);
        expect_status(get_admin(stage, paths[i],
                                stage_format(stage, "%sSec-Fetch-Site: same-site\r\n", cookie)),
                      403);
    }
    expect_text(get_admin(stage, "/v1/sessions/s?until=caught-up", cookie), "data: seen");
    expect_status(get_admin(stage, "/v1/nothing", cookie), 404);
    expect_status(get_unix(stage, "/", ""), 404);
    expect_status(get_unix(stage, "/metrics", ""), 404);
}

/* 'sha256-…' of what stands between <tag> and </tag>. */
static const char *hash_of(struct stage *stage, const char *page, const char *tag)
{
    unsigned char hash[SHA_SIZE];
    char text[64];
    const char *open = stage_format(stage, "<%s>", tag);
    const char *begin = strstr(page, open);
    const char *end = strstr(page, stage_format(stage, "</%s>", tag));
    assert_true(begin != NULL && end > begin);
    begin += strlen(open);
    assert_int_equal(EVP_Digest(begin, (size_t)(end - begin), hash, NULL, EVP_sha256(), NULL), 1);
    assert_int_equal(EVP_EncodeBlock((unsigned char *)text, hash, sizeof(hash)), 44);
    return stage_format(stage, "'sha256-%s'", text);
}

static void the_policy_is_that_of_the_page(struct stage *stage)
{
    stage_start(stage, NULL);
    start_gateway(stage, NULL);
    const char *answer = get_admin(stage, "/", log_in(stage));
    expect_status(answer, 200);
    expect_text(answer, stage_format(stage,
                                     "Content-Security-Policy: default-src 'none'; "
                                     "connect-src 'self'; script-src %s; style-src %s; "
                                     "base-uri 'none'; form-action 'none'; "
                                     "frame-ancestors 'none'\r\n",
                                     hash_of(stage, body_of(answer), "script"),
                                     hash_of(stage, body_of(answer), "style")));
    expect_text(answer, "Referrer-Policy: no-referrer\r\n");
    expect_text(answer, "X-Content-Type-Options: nosniff\r\n");
    expect_text(answer, "Cache-Control: no-store\r\n");
    assert_null(strstr(answer, "innerHTML"));
}

/* -- all sessions ------------------------------------------------------------------------------ */

/* The database's id, and its digits. */
static const char *database_of(struct stage *stage)
{
    const char *id = strstr(get_unix(stage, "/v1/events?until=caught-up", ""), "\nid: ");
    assert_non_null(id);
    return stage_format(stage, "%.32s", id + strlen("\nid: "));
}

static void all_sessions_are_one_stream(struct stage *stage)
{
    stage_start(stage, NULL);
    start_gateway(stage, NULL);
    publish(stage, "a/1", "x", "first");
    publish(stage, "b/1", "y", "second");
    publish(stage, "a/2", "z", "third");
    char *answer = get_unix(stage, "/v1/events?prefix=a/&until=caught-up", "");
    expect_status(answer, 200);
    expect_text(answer, "Content-Type: text/event-stream\r\n");
    expect_text(answer, "\"session\":\"a/1\"");
    expect_text(answer, "\"kind\":\"open\"");
    expect_text(answer, "\"kind\":\"event\",\"id\":\"x\",\"type\":\"message\",\"data\":\"first\"");
    expect_text(strstr(answer, "first"), "third");
    assert_null(strstr(answer, "second"));
    const char *database = database_of(stage);
    const char *after = stage_format(stage, "Last-Event-ID: %s:4\r\n", database);
    answer = get_unix(stage, "/v1/events?until=caught-up", after);
    expect_text(answer, stage_format(stage, "\nid: %s:4\n\n", database));
    expect_text(answer, "third");
    assert_null(strstr(answer, "second"));
    assert_null(strstr(answer, "sponson-"));
    answer = get_unix(stage, "/v1/events?from=now&until=caught-up", "");
    expect_text(answer, stage_format(stage, "\nid: %s:6\n\n", database));
    assert_null(strstr(answer, "\ndata: "));
}

static void another_database_is_a_reset(struct stage *stage)
{
    static const char other[] = "Last-Event-ID: 00000000000000000000000000000001:4\r\n";
    stage_start(stage, NULL);
    start_gateway(stage, NULL);
    publish(stage, "a", "x", "first");
    char *answer = get_unix(stage, "/v1/events?until=caught-up", other);
    expect_status(answer, 200);
    expect_text(answer, "event: sponson-reset\ndata: {\"reason\":\"SPN_E_BAD_POSITION\"");
    expect_text(strstr(answer, "sponson-reset"), "first");
    expect_text(get_unix(stage, "/v1/events?until=caught-up&control=comment", other),
                "\n: event: sponson-reset\n");
    expect_status(get_unix(stage, "/v1/events?unknown-id=fail", other), 410);
    const char *ahead = stage_format(stage, "Last-Event-ID: %s:99\r\n", database_of(stage));
    expect_text(get_unix(stage, "/v1/events?until=caught-up", ahead), "sponson-reset");
    expect_status(get_unix(stage, "/v1/events", "Last-Event-ID: 7\r\n"), 400);
    expect_status(get_unix(stage, "/v1/events?after=spn:1:2", ""), 400);
    expect_status(get_unix(stage, "/v1/events?level=replicated", ""), 501);
    expect_status(get_unix(stage, "/v1/events", "Accept: application/json\r\n"), 406);
    expect_status(ask(stage, open_unix(stage), "POST /v1/events", "", ""), 405);
}

/* The stream is held while the daemon is gone, and goes on without a gap or a second time. */
static void a_stream_outlives_the_daemon(struct stage *stage)
{
    struct process *daemon = stage_start(stage, NULL);
    start_gateway(stage, NULL);
    publish(stage, "a", "1", "before");
    int follower = open_unix(stage);
    send_request(stage, follower, "GET /v1/events?prefix=a", "", "");
    expect_text(read_until(stage, follower, "before"), "\"kind\":\"open\"");
    process_kill(daemon);
    int held = open_unix(stage);
    send_request(stage, held, "GET /v1/events?prefix=a&from=earliest", "", "");
    expect_status(read_until(stage, held, "retry: "), 200);
    stage_start(stage, NULL);
    publish(stage, "a", "2", "after");
    char *answer = read_until(stage, follower, "after");
    assert_null(strstr(answer, "before"));
    assert_null(strstr(answer, "sponson-"));
    expect_text(read_until(stage, held, "after"), "before");
    close(held);
    close(follower);
}

static void trimmed_positions_are_a_gap(struct stage *stage)
{
    struct stage_daemon few = {.more = {"--retention-events", "2"}};
    stage_start(stage, &few);
    start_gateway(stage, NULL);
    for (int i = 0; i < 20; i++)
        publish(stage, "a", stage_format(stage, "%d", i), stage_format(stage, "data-%d", i));
    char *answer = get_unix(stage, "/v1/events?until=caught-up", "");
    expect_text(answer, "event: sponson-gap\ndata: {\"reason\":\"trimmed\",\"missing\":");
    assert_null(strstr(answer, "data-3"));
    expect_text(strstr(answer, "sponson-gap"), "data-19");
}

static const char *token_of(struct stage *stage, const char *key_file, const char *prefix,
                            const char *rights)
{
    struct outcome made =
        stage_run(stage, "token", "--key-file", key_file, "--prefix", prefix, "--rights", rights);
    stage_expect_code(&made, 0);
    return stage_format(stage, "Authorization: Bearer %.*s\r\n", (int)strcspn(made.out, "\n"),
                        made.out);
}

static void it_needs_both_rights_on_the_prefix(struct stage *stage)
{
    struct outcome made = stage_run(stage, "token", "--new-key", "k1");
    stage_expect_code(&made, 0);
    const char *key_file = stage_write_file(stage, "keys", made.output);
    assert_int_equal(chmod(key_file, 0600), 0);
    stage_start(stage, NULL);
    start_gateway(stage, stage_format(stage, "--key-file=%s", key_file));
    static const char path[] = "/v1/events?prefix=a/b&until=caught-up";
    expect_status(get_unix(stage, path, ""), 401);
    expect_status(get_unix(stage, path, token_of(stage, key_file, "a/", "r")), 403);
    expect_status(get_unix(stage, path, token_of(stage, key_file, "a/", "l")), 403);
    expect_status(get_unix(stage, path, token_of(stage, key_file, "b/", "r,l")), 403);
    expect_status(
        get_unix(stage, "/v1/events?until=caught-up", token_of(stage, key_file, "a/", "r,l")), 403);
    expect_status(get_unix(stage, path, token_of(stage, key_file, "a/", "r,l")), 200);
    const char *text = metrics(stage);
    expect_metric(stage, text, "sponson_http_denials_total{reason=\"token\"}", 1);
    expect_metric(stage, text, "sponson_http_denials_total{reason=\"rights\"}", 4);
    assert_null(strstr(text, "v1.k1."));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(there_is_a_family_of_each_kind),
        STAGE_TEST(what_happens_is_counted),
        STAGE_TEST(a_stream_ends_with_its_session),
        STAGE_TEST(without_the_daemon_there_are_our_own),
        STAGE_TEST(who_does_not_read_is_behind),
        STAGE_TEST(promtool_reads_it),
        STAGE_TEST(the_token_is_good_once),
        STAGE_TEST(the_admin_listener_only_reads),
        STAGE_TEST(the_policy_is_that_of_the_page),
        STAGE_TEST(all_sessions_are_one_stream),
        STAGE_TEST(another_database_is_a_reset),
        STAGE_TEST(a_stream_outlives_the_daemon),
        STAGE_TEST(trimmed_positions_are_a_gap),
        STAGE_TEST(it_needs_both_rights_on_the_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
