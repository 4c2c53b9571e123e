/* SPDX-License-Identifier: Apache-2.0 */
#include "http_client.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <poll.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "http_gateway.h"

enum { PIECE = 65536, NUMBER_DIGITS = 16 };

/* -- a connection ------------------------------------------------------------------------------ */

void http_close(struct http *http)
{
    if (http->fd >= 0)
        close(http->fd);
    free(http->in);
    free(http->body);
    http->fd = -1;
    http->in = http->body = NULL;
    http->in_size = http->body_size = 0;
}

static void close_at_end(void *http)
{
    http_close(http);
}

static struct http *open_with(struct stage *stage, const struct sockaddr *address, socklen_t size)
{
    struct http *http = stage_keep(stage, calloc(1, sizeof(*http)));
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, address, size) != 0)
        fail_msg("cannot connect: %s", strerror(errno));
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    http->stage = stage;
    http->fd = fd;
    stage_at_end(stage, close_at_end, http);
    return http;
}

struct http *http_open(struct stage *stage)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", http_socket(stage));
    return open_with(stage, (struct sockaddr *)&address, sizeof(address));
}

struct http *http_open_tcp(struct stage *stage, unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    return open_with(stage, (struct sockaddr *)&address, sizeof(address));
}

/* Writable, or readable: false: not in time. */
static bool wait_for(int fd, short events, uint64_t due_ns)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    while (!until_over(due_ns))
        if (poll(&poll_fd, 1, until_left_ms(due_ns)) > 0)
            return true;
    return false;
}

size_t http_send_some(struct http *http, const void *bytes, size_t size)
{
    ssize_t sent = send(http->fd, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
        return size;
    if (sent < 0 && errno != EAGAIN)
        fail_msg("cannot send: %s", strerror(errno));
    return sent < 0 ? 0 : (size_t)sent;
}

void http_send_bytes(struct http *http, const void *bytes, size_t size)
{
    const char *at = bytes;
    uint64_t due_ns = until_in(STAGE_WAIT_MS);
    while (size > 0) {
        size_t sent = http_send_some(http, at, size);
        at += sent;
        size -= sent;
        if (sent == 0 && !wait_for(http->fd, POLLOUT, due_ns))
            fail_msg("the gateway does not take what is sent");
    }
}

void http_send(struct http *http, const char *text)
{
    http_send_bytes(http, text, strlen(text));
}

void http_finish(struct http *http)
{
    assert_int_equal(shutdown(http->fd, SHUT_WR), 0);
}

/* -- receiving --------------------------------------------------------------------------------- */

static void append(char **bytes, size_t *size, const void *more, size_t more_size)
{
    char *room = realloc(*bytes, *size + more_size + 1);
    if (!room)
        fail_msg("out of memory");
    memcpy(room + *size, more, more_size);
    *bytes = room;
    *size += more_size;
    room[*size] = '\0';
}

static void drop(char *bytes, size_t *size, size_t count)
{
    *size -= count;
    memmove(bytes, bytes + count, *size);
    bytes[*size] = '\0';
}

/* More bytes of the connection. 0: it ended. -1: none until then. */
static ssize_t receive(struct http *http, uint64_t due_ns)
{
    static char piece[PIECE];
    for (;;) {
        ssize_t got = recv(http->fd, piece, sizeof(piece), 0);
        if (got < 0 && errno == EAGAIN) {
            if (!wait_for(http->fd, POLLIN, due_ns))
                return -1;
            continue;
        }
        if (got <= 0) /* a reset is an end too */
            return 0;
        append(&http->in, &http->in_size, piece, (size_t)got);
        return got;
    }
}

/* -- the head of an answer --------------------------------------------------------------------- */

static const char *keep_text(struct stage *stage, const char *bytes, size_t size)
{
    char *text = stage_keep(stage, malloc(size + 1));
    memcpy(text, bytes, size);
    text[size] = '\0';
    return text;
}

/* Each line ends in CR LF, and has a name and a value. */
static void check_head(const char *head)
{
    const char *line = strstr(head, "\r\n") + 2;
    if (strncmp(head, "HTTP/1.1 ", 9) != 0 || !isdigit(head[9]) || strchr(head, '\n') + 1 != line)
        fail_msg("no status line: %s", head);
    for (; *line; line = strstr(line, "\r\n") + 2) {
        size_t name = strcspn(line, ": \r\n");
        if (name == 0 || line[name] != ':' || strcspn(line, "\n") != strcspn(line, "\r") + 1)
            fail_msg("no header: %s", line);
    }
}

const char *http_header(struct stage *stage, const struct http_answer *answer, const char *name)
{
    size_t size = strlen(name);
    for (const char *line = strstr(answer->head, "\r\n") + 2; *line;
         line = strstr(line, "\r\n") + 2) {
        if (strncasecmp(line, name, size) != 0 || line[size] != ':')
            continue;
        const char *value = line + size + 1;
        value += strspn(value, " ");
        return keep_text(stage, value, strcspn(value, "\r"));
    }
    return NULL;
}

static void begin_body(struct http *http, const struct http_answer *answer, bool has_body)
{
    const char *length = http_header(http->stage, answer, "Content-Length");
    const char *coding = http_header(http->stage, answer, "Transfer-Encoding");
    assert_false(length && coding);
    free(http->body);
    http->body = NULL;
    http->body_size = 0;
    append(&http->body, &http->body_size, "", 0);
    http->left = length ? strtoull(length, NULL, 10) : 0;
    http->framing = HTTP_TO_END;
    if (!has_body || answer->status == 204 || answer->status == 304)
        http->framing = HTTP_NO_BODY;
    else if (length)
        http->framing = HTTP_LENGTH;
    else if (coding)
        http->framing = HTTP_CHUNKED;
    if (coding)
        assert_string_equal(coding, "chunked");
    http->is_at_chunk = true;
    http->is_cut = false;
    http->has_ended =
        http->framing == HTTP_NO_BODY || (http->framing == HTTP_LENGTH && http->left == 0);
}

static bool try_begin(struct http *http, uint64_t due_ns, bool has_body, struct http_answer *answer)
{
    char *end;
    while (!http->in || !(end = strstr(http->in, "\r\n\r\n"))) {
        ssize_t got = receive(http, due_ns);
        if (got < 0)
            fail_msg("no answer came in time; so far: %s", http->in ? http->in : "nothing");
        if (got == 0 && http->in_size > 0)
            fail_msg("the connection ended inside an answer: %s", http->in);
        if (got == 0)
            return false;
    }
    size_t size = (size_t)(end - http->in) + 2;
    answer->head = keep_text(http->stage, http->in, size);
    check_head(answer->head);
    answer->status = (unsigned)strtoul(answer->head + 9, NULL, 10);
    answer->body = (struct spn_bytes){"", 0};
    drop(http->in, &http->in_size, size + 2);
    if (answer->status == 100)
        return try_begin(http, due_ns, has_body, answer);
    begin_body(http, answer, has_body);
    return true;
}

bool http_try_begin(struct http *http, uint64_t due_ns, struct http_answer *ret_answer)
{
    return try_begin(http, due_ns, true, ret_answer);
}

struct http_answer http_begin(struct http *http)
{
    struct http_answer answer;
    if (!http_try_begin(http, until_in(STAGE_WAIT_MS), &answer))
        fail_msg("the connection ended without an answer");
    return answer;
}

/* -- its body ---------------------------------------------------------------------------------- */

static void take(struct http *http, size_t size)
{
    append(&http->body, &http->body_size, http->in, size);
    drop(http->in, &http->in_size, size);
}

/* Takes a chunk's line, with the end of the chunk before. False: it is not there yet. */
static bool take_chunk_line(struct http *http)
{
    const char *at = http->in;
    if (!http->is_at_chunk && http->in_size < 2)
        return false;
    if (!http->is_at_chunk && memcmp(at, "\r\n", 2) != 0)
        fail_msg("a chunk is longer than it says");
    at += http->is_at_chunk ? 0 : 2;
    const char *end = strstr(at, "\r\n");
    if (!end)
        return false;
    char *digits_end;
    http->left = strtoull(at, &digits_end, 16);
    if (digits_end != end || end == at || end - at > NUMBER_DIGITS)
        fail_msg("no size of a chunk: %s", at);
    if (http->left == 0 && http->in_size < (size_t)(end - http->in) + 4)
        return false;
    http->has_ended = http->left == 0;
    http->is_at_chunk = false;
    if (http->has_ended && memcmp(end, "\r\n\r\n", 4) != 0)
        fail_msg("the last chunk does not end: %s", end);
    drop(http->in, &http->in_size, (size_t)(end - http->in) + (http->has_ended ? 4 : 2));
    return true;
}

/* Moves what is in to the body. False: there is nothing to move. */
static bool decode(struct http *http)
{
    if (http->has_ended || http->in_size == 0)
        return false;
    if (http->framing == HTTP_CHUNKED && http->left == 0)
        return take_chunk_line(http);
    size_t size = http->in_size;
    if (http->framing != HTTP_TO_END && size > http->left)
        size = (size_t)http->left;
    take(http, size);
    if (http->framing != HTTP_TO_END)
        http->left -= size;
    http->has_ended = http->framing == HTTP_LENGTH && http->left == 0;
    return true;
}

/* More of the body. False: nothing came until then, or it ended. */
bool http_more(struct http *http, uint64_t due_ns)
{
    if (decode(http))
        return true;
    if (http->has_ended || http->is_cut)
        return false;
    ssize_t got = receive(http, due_ns);
    if (got == 0 && http->framing == HTTP_TO_END)
        http->has_ended = true;
    else if (got == 0)
        http->is_cut = true;
    return got > 0;
}

struct spn_bytes http_rest(struct http *http)
{
    uint64_t due_ns = until_in(STAGE_WAIT_MS);
    while (http_more(http, due_ns)) {
    }
    if (!http->has_ended)
        fail_msg("the body %s: %s", http->is_cut ? "is cut" : "does not end", http->body);
    size_t size = http->body_size;
    const char *text = keep_text(http->stage, http->body, size);
    http->body_size = 0;
    return (struct spn_bytes){text, size};
}

struct http_answer http_read(struct http *http)
{
    struct http_answer answer = http_begin(http);
    answer.body = http_rest(http);
    return answer;
}

struct http_answer http_read_head_only(struct http *http)
{
    struct http_answer answer;
    if (!try_begin(http, until_in(STAGE_WAIT_MS), false, &answer))
        fail_msg("the connection ended without an answer");
    return answer;
}

bool http_is_closed(struct http *http, uint64_t due_ns)
{
    if (http->in_size > 0)
        return false;
    return receive(http, due_ns) == 0;
}

bool http_has_left(struct http *http, uint64_t due_ns)
{
    return wait_for(http->fd, POLLRDHUP, due_ns);
}

/* -- requests ---------------------------------------------------------------------------------- */

void http_send_request(struct http *http, const char *method, const char *path, const char *headers,
                       const char *body)
{
    struct stage *stage = http->stage;
    const char *length = body ? stage_format(stage, "Content-Length: %zu\r\n", strlen(body)) : "";
    http_send(http, stage_format(stage, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s%s\r\n%s", method,
                                 path, length, headers ? headers : "", body ? body : ""));
}

struct http_answer http_do(struct stage *stage, const char *method, const char *path,
                           const char *headers, const char *body)
{
    struct http *http = http_open(stage);
    http_send_request(http, method, path, headers, body);
    struct http_answer answer =
        strcmp(method, "HEAD") == 0 ? http_read_head_only(http) : http_read(http);
    http_close(http);
    return answer;
}

struct http_answer http_ask(struct stage *stage, const char *request)
{
    struct http *http = http_open(stage);
    http_send(http, request);
    struct http_answer answer = http_read(http);
    http_close(http);
    return answer;
}

void http_expect(const struct http_answer *answer, unsigned status)
{
    if (answer->status != status)
        fail_msg("status %u, not %u: %s%s", answer->status, status, answer->head,
                 (const char *)answer->body.data);
}

struct http_answer http_post(struct stage *stage, const char *path, const char *headers,
                             const char *body)
{
    struct http_answer answer = http_do(stage, "POST", path, headers, body);
    http_expect(&answer, 200);
    return answer;
}

uint64_t http_seq(struct stage *stage, const char *session)
{
    struct http_answer answer =
        http_do(stage, "HEAD", stage_format(stage, "/v1/sessions/%s", session), NULL, NULL);
    if (answer.status == 404)
        return 0;
    http_expect(&answer, 200);
    return strtoull(http_header(stage, &answer, "Sponson-Seq"), NULL, 10);
}

void http_expect_words(const struct http_answer *answer, const char *words)
{
    if (!strstr(answer->body.data, words))
        fail_msg("no %s in: %s", words, (const char *)answer->body.data);
}
