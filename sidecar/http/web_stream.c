/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of streams are written here and not by libmicrohttpd: that copies them into the
 * connection's pool in blocks of 2 KiB, with a walk over all suspended connections and two calls of
 * epoll_ctl for each event. It writes the head of the answer, and is suspended from then on. It
 * goes on when the stream ends, and writes its end. */
#include "http/web_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    CHUNKS_PER_TURN = 8, /* that one stream may write */
    PARTS_MAX = 3,       /* of a chunk: its line, its bytes, the end of that line */
    HEADER_VALUE_MAX = 256,
};

void stream_body_see_head(struct exchange *exchange, const char *bytes, size_t size)
{
    static const char line[] = "\r\nTransfer-Encoding: chunked\r\n";
    if (exchange->is_stream && !exchange->is_ours)
        exchange->is_chunked = memmem(bytes, size, line, sizeof(line) - 1) != NULL;
}

/* -- chunks ------------------------------------------------------------------------------------ */

static void begin_chunk(struct exchange *exchange, size_t size)
{
    struct chunk *chunk = &exchange->chunk;
    *chunk = (struct chunk){.left = size};
    if (!exchange->is_chunked)
        return;
    int head = snprintf(chunk->head, sizeof(chunk->head), "%zx\r\n", size);
    assert(head > 0 && (size_t)head < sizeof(chunk->head));
    chunk->head_size = chunk->head_left = (unsigned char)head;
    chunk->tail_left = 2;
}

static bool has_chunk(const struct chunk *chunk)
{
    return chunk->head_left > 0 || chunk->left > 0 || chunk->tail_left > 0;
}

/* How much of this part is written, of what the socket took. */
static size_t count_part(size_t part_left, size_t *sent)
{
    size_t size = *sent < part_left ? *sent : part_left;
    *sent -= size;
    return size;
}

static void count_sent(struct exchange *exchange, size_t sent)
{
    struct chunk *chunk = &exchange->chunk;
    chunk->head_left = (unsigned char)(chunk->head_left - count_part(chunk->head_left, &sent));
    size_t bytes = count_part(chunk->left, &sent);
    chunk->left -= bytes;
    chunk->tail_left = (unsigned char)(chunk->tail_left - count_part(chunk->tail_left, &sent));
    exchange->bytes += bytes;
    if (bytes > 0)
        exchange->calls->wrote(exchange, bytes);
}

/* Returns what the socket took; -1: errno. */
static ssize_t send_chunk(const struct exchange *exchange, const char *bytes)
{
    static const char tail[] = "\r\n";
    const struct chunk *chunk = &exchange->chunk;
    struct iovec parts[PARTS_MAX];
    const struct iovec all[PARTS_MAX] = {
        {(char *)(uintptr_t)chunk->head + chunk->head_size - chunk->head_left, chunk->head_left},
        {(char *)(uintptr_t)bytes, chunk->left},
        {(char *)(uintptr_t)tail + sizeof(tail) - 1 - chunk->tail_left, chunk->tail_left},
    };
    struct msghdr message = {.msg_iov = parts};
    for (size_t i = 0; i < PARTS_MAX; i++)
        if (all[i].iov_len > 0)
            parts[message.msg_iovlen++] = all[i];
    return sendmsg(exchange->connection->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* -- writing ----------------------------------------------------------------------------------- */

/* False: it cannot. */
static bool watch_room(struct connection *connection, bool watch)
{
    uint32_t events = watch ? EPOLLRDHUP | EPOLLOUT | EPOLLET : EPOLLRDHUP | EPOLLET;
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (connection->waits_for_room == watch)
        return true;
    connection->waits_for_room = watch;
    return epoll_ctl(connection->door->web->epoll, EPOLL_CTL_MOD, connection->fd, &event) == 0;
}

/* stream_body_on_room follows, at once if there is room. */
static void wait_for_room(struct exchange *exchange)
{
    if (!watch_room(exchange->connection, true))
        exchange->ending = EXCHANGE_CUT;
}

/* Writes one chunk, or what is left of one. False: it cannot go on. */
static bool write_one(struct exchange *exchange)
{
    const char *bytes = NULL;
    struct chunk *chunk = &exchange->chunk;
    if (!has_chunk(chunk) || chunk->left > 0) {
        ssize_t given = exchange->calls->give(exchange, &bytes);
        if (given == EXCHANGE_WAIT)
            return false;
        if (given < 0) {
            exchange->ending = (int)given;
            return false;
        }
        if (!has_chunk(chunk))
            begin_chunk(exchange, (size_t)given);
        assert((size_t)given >= chunk->left);
    }
    ssize_t sent = send_chunk(exchange, bytes);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        exchange->ending = EXCHANGE_CUT;
        return false;
    }
    if (sent > 0)
        count_sent(exchange, (size_t)sent);
    if (has_chunk(chunk))
        wait_for_room(exchange);
    return !has_chunk(chunk);
}

/* As far as the socket takes it, and the others need not wait. */
static void write_some(struct exchange *exchange)
{
    int chunks = 0;
    exchange->is_writing = true;
    while (chunks < CHUNKS_PER_TURN && write_one(exchange))
        chunks++;
    if (chunks == CHUNKS_PER_TURN)
        wait_for_room(exchange); /* which is there, so it is called in the next turn */
    exchange->is_writing = false;
}

/* Writes more of the body. True: it has ended, and the library goes on. */
static bool go_on_writing(struct exchange *exchange)
{
    if (!exchange->is_cut && exchange->ending == 0 && !exchange->is_writing)
        write_some(exchange);
    return exchange->is_cut || exchange->ending != 0;
}

/* -- waiting and going on ---------------------------------------------------------------------- */

void connection_set_deadline(struct connection *connection, uint64_t after_ns)
{
    struct web *web = connection->door->web;
    deadline_heap_remove(&web->deadlines, &connection->deadline);
    if (after_ns > 0)
        deadline_heap_insert(&web->deadlines, &connection->deadline,
                             web->options.now_ns() + after_ns);
}

void exchange_await_body(struct exchange *exchange)
{
    const struct web_options *options = &exchange->connection->door->web->options;
    exchange->span_ns = options->now_ns();
    exchange->span_bytes = 0;
    connection_set_deadline(exchange->connection, options->body_idle_ns);
}

void exchange_limit_holding(struct exchange *exchange)
{
    struct connection *connection = exchange->connection;
    bool is_limited = connection->is_half_closed && !exchange->has_finished;
    connection_set_deadline(connection,
                            is_limited ? connection->door->web->options.body_idle_ns : 0);
}

void exchange_suspend(struct exchange *exchange)
{
    if (exchange->is_suspended || exchange->connection->door->web->is_closing)
        return;
    exchange->is_suspended = true;
    exchange_limit_holding(exchange);
    MHD_suspend_connection(exchange->handle);
}

void exchange_go_on(struct exchange *exchange)
{
    if (!exchange->is_suspended || (exchange->is_ours && !go_on_writing(exchange)))
        return;
    exchange->is_suspended = false;
    if (!exchange->has_finished)
        exchange_await_body(exchange);
    MHD_resume_connection(exchange->handle);
}

void exchange_cut(struct exchange *exchange)
{
    exchange->is_cut = true;
    (void)shutdown(exchange->connection->fd, SHUT_RDWR);
    exchange_go_on(exchange);
}

void stream_body_on_room(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;
    (void)watch_room(connection, false); /* else it is called too often */
    if (exchange != NULL && exchange->is_ours)
        exchange_go_on(exchange);
}

/* -- what the library calls -------------------------------------------------------------------- */

/* Ends the connection in the middle of an answer: the byte cannot be sent. After
 * MHD_CONTENT_READER_END_WITH_ERROR the library would keep the connection, and its place, for as
 * long as an older one is idle. */
static ssize_t break_off(struct exchange *exchange, char *out)
{
    if (!exchange->is_cut)
        exchange_cut(exchange);
    *out = '\0';
    return 1;
}

struct header_pair {
    char name[64];
    char value[HEADER_VALUE_MAX];
    bool is_found;
};

/* The library looks at Connection again, when the answer has ended. */
static enum MHD_Result find_header(void *context, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    (void)kind;
    struct header_pair *pair = context;
    pair->is_found = strcasecmp(name, MHD_HTTP_HEADER_CONNECTION) != 0 &&
                     strlen(name) < sizeof(pair->name) && strlen(value) < sizeof(pair->value);
    if (!pair->is_found)
        return MHD_YES;
    memcpy(pair->name, name, strlen(name) + 1);
    memcpy(pair->value, value, strlen(value) + 1);
    return MHD_NO;
}

/* The library keeps a copy of each header for as long as the answer lasts: 1.3 KB of a stream that
 * is idle. They are in the head, which is written. */
static void forget_headers(struct exchange *exchange)
{
    struct header_pair pair = {.is_found = true};
    while (pair.is_found) {
        pair.is_found = false;
        (void)MHD_get_response_headers(exchange->response, find_header, &pair);
        if (pair.is_found &&
            MHD_del_response_header(exchange->response, pair.name, pair.value) != MHD_YES)
            return;
    }
}

/* The head is written; later: the stream has ended. */
ssize_t stream_body_on_give(void *context, uint64_t position, char *out, size_t room)
{
    (void)position;
    (void)room;
    struct exchange *exchange = context;
    if (exchange->is_cut || exchange->connection->is_half_closed)
        return break_off(exchange, out);
    if (!exchange->is_ours)
        forget_headers(exchange);
    exchange->is_ours = true;
    if (!go_on_writing(exchange)) {
        exchange_suspend(exchange);
        return 0;
    }
    return exchange->ending == EXCHANGE_END ? MHD_CONTENT_READER_END_OF_STREAM
                                            : break_off(exchange, out);
}
