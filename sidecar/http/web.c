/* SPDX-License-Identifier: Apache-2.0 */
/* How libmicrohttpd 0.9.75 is used: without threads, one daemon for each door, whose epoll
 * descriptors are in ours. A connection that cannot go on is suspended. Suspended ones are not
 * watched by the library, so each connection's socket is in our epoll too, for the moment when the
 * peer leaves.
 */
#include "http/web.h"

#include <assert.h>
#include <microhttpd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/deadline_heap.h"
#include "base/link.h"
#include "http/head_guard.h"
#include "http/refusal.h"

enum {
    DOORS_MAX = 16,
    STREAM_BLOCK = 2048,          /* most bytes that give writes at a time */
    EVENTS_MAX = 64,              /* of one epoll_wait */
    DRAIN_BYTES_MAX = 1024 * 1024 /* read of a body after its answer */
};

#define DRAIN_NS UINT64_C(2000000000)
#define SECOND_NS UINT64_C(1000000000)
#define MS_NS UINT64_C(1000000)

struct door {
    struct web *web;
    struct web_door given;
    struct MHD_Daemon *daemon;
    bool is_due; /* the library has something to do, and does not say so */
};

struct connection {
    struct link link; /* of all */
    struct door *door;
    struct deadline deadline; /* of its head, its body, or what is drained */
    struct exchange *exchange;
    int fd;
    bool is_half_closed; /* the peer sends no more */
    bool is_refused;     /* the library answered, and we in its place */
    uint32_t requests;   /* that began */
    bool is_refusing;    /* we do so now */
    struct head head;    /* follows the raw bytes */
};

struct exchange {
    struct connection *connection;
    struct MHD_Connection *handle;
    const struct exchange_calls *calls;
    void *state;
    const char *method;
    char *target;
    struct out headers; /* of the answer: name NUL value NUL ... */
    struct out body;
    unsigned status; /* of the answer; 0: there is none yet */
    bool is_stream;  /* the answer's body comes from give */
    bool is_suspended;
    bool is_in_call; /* of on_request */
    bool has_begun;
    bool has_finished; /* the request is complete */
    bool is_queued;    /* the library has the answer */
    bool is_draining;  /* the answer was written by ourselves, in the middle of the body */
    bool is_cut;
    bool is_post;
    size_t drained;
    uint32_t number; /* of the connection's requests, from 1 */
};

struct web {
    struct web_options options;
    struct web_counts counts;
    struct door doors[DOORS_MAX];
    size_t doors_count;
    struct link connections;
    struct deadline_heap deadlines;
    int epoll;
    bool is_closing;
};

static const struct exchange_calls no_calls;

/* -- waiting and going on ---------------------------------------------------------------------- */

static uint64_t now_ns(const struct web *web)
{
    return web->options.now_ns();
}

static void set_deadline(struct connection *connection, uint64_t after_ns)
{
    struct web *web = connection->door->web;
    deadline_heap_remove(&web->deadlines, &connection->deadline);
    if (after_ns > 0)
        deadline_heap_insert(&web->deadlines, &connection->deadline, now_ns(web) + after_ns);
}

/* Nothing is read or written until exchange_go_on. A body that we do not read cannot be too slow.
 */
static void suspend(struct exchange *exchange)
{
    if (exchange->is_suspended || exchange->connection->door->web->is_closing)
        return;
    exchange->is_suspended = true;
    set_deadline(exchange->connection, 0);
    MHD_suspend_connection(exchange->handle);
}

void exchange_go_on(struct exchange *exchange)
{
    if (!exchange->is_suspended)
        return;
    exchange->is_suspended = false;
    if (!exchange->has_finished)
        set_deadline(exchange->connection, exchange->connection->door->web->options.body_idle_ns);
    MHD_resume_connection(exchange->handle);
}

void exchange_cut(struct exchange *exchange)
{
    exchange->is_cut = true;
    (void)shutdown(exchange->connection->fd, SHUT_RDWR);
    exchange_go_on(exchange);
}

/* -- answers ----------------------------------------------------------------------------------- */

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

static ssize_t on_give(void *context, uint64_t position, char *out, size_t room)
{
    (void)position;
    struct exchange *exchange = context;
    if (exchange->is_cut || exchange->connection->is_half_closed)
        return break_off(exchange, out);
    ssize_t given = exchange->calls->give(exchange, out, room);
    if (given == EXCHANGE_END)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (given == EXCHANGE_CUT)
        return break_off(exchange, out);
    if (given == EXCHANGE_WAIT)
        suspend(exchange);
    return given;
}

static struct MHD_Response *make_response(struct exchange *exchange)
{
    struct MHD_Response *response =
        exchange->is_stream ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK,
                                                                on_give, exchange, NULL)
                            : MHD_create_response_from_buffer(
                                  exchange->body.size, exchange->body.data, MHD_RESPMEM_MUST_COPY);
    const char *header = exchange->headers.data;
    const char *end = header + exchange->headers.size;
    while (response != NULL && header < end) {
        const char *value = header + strlen(header) + 1;
        if (MHD_add_response_header(response, header, value) != MHD_YES) {
            MHD_destroy_response(response);
            return NULL;
        }
        header = value + strlen(value) + 1;
    }
    return response;
}

/* MHD_NO, and with it the end of the connection, if there is no memory. */
static enum MHD_Result queue_answer(struct exchange *exchange)
{
    if (exchange->headers.error != 0 || exchange->body.error != 0)
        return MHD_NO;
    struct MHD_Response *response = make_response(exchange);
    if (response == NULL)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(exchange->handle, exchange->status, response);
    MHD_destroy_response(response);
    exchange->is_queued = result == MHD_YES;
    exchange->has_finished = true;
    set_deadline(exchange->connection, 0);
    out_release(&exchange->headers);
    out_release(&exchange->body);
    return result;
}

/* The library answers only before a body or after it. In its middle the answer is written here.
 * Then the rest is read for a while, since closing a socket with unread bytes would take the answer
 * back. */
static void answer_now(struct exchange *exchange)
{
    struct out out;
    out_init(&out, -1);
    refusal_write_head(&out, exchange->status, exchange->body.size);
    const char *header = exchange->headers.data;
    const char *end = header + exchange->headers.size;
    while (header < end) {
        const char *value = header + strlen(header) + 1;
        out_text(&out, header);
        out_text(&out, ": ");
        out_text(&out, value);
        out_text(&out, "\r\n");
        header = value + strlen(value) + 1;
    }
    out_text(&out, "\r\n");
    out_put(&out, exchange->body.data, exchange->body.size);
    int fd = exchange->connection->fd;
    if (out.error == 0)
        (void)send(fd, out.data, out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(fd, SHUT_WR);
    out_release(&out);
    exchange->is_draining = true;
    set_deadline(exchange->connection, DRAIN_NS);
}

void exchange_add(struct exchange *exchange, const char *name, const char *value)
{
    assert(exchange->status == 0 && strpbrk(value, "\r\n") == NULL);
    out_put(&exchange->headers, name, strlen(name) + 1);
    out_put(&exchange->headers, value, strlen(value) + 1);
}

void exchange_answer(struct exchange *exchange, unsigned status, const void *body, size_t size)
{
    assert(exchange->status == 0 && status < WEB_STATUS_MAX);
    exchange->status = status;
    out_put(&exchange->body, body, size);
    if (!exchange->is_in_call && !exchange->is_suspended && !exchange->has_finished)
        answer_now(exchange); /* the peer may send nothing more for long */
    exchange_go_on(exchange);
}

void exchange_stream(struct exchange *exchange, unsigned status)
{
    assert(exchange->status == 0 && exchange->calls->give != NULL);
    exchange->status = status;
    exchange->is_stream = true;
    exchange_go_on(exchange);
}

bool exchange_is_answered(const struct exchange *exchange)
{
    return exchange->status != 0;
}

/* -- requests ---------------------------------------------------------------------------------- */

/* The first that is known of a request: its target, in raw bytes. The result comes back in each
 * call. */
static void *on_target(void *context, const char *target, struct MHD_Connection *handle)
{
    (void)context;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *connection = info->socket_context;
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    char *copy = strdup(target);
    if (exchange == NULL || copy == NULL || connection == NULL) {
        free(exchange);
        free(copy);
        return NULL;
    }
    exchange->connection = connection;
    exchange->handle = handle;
    exchange->calls = &no_calls;
    exchange->target = copy;
    exchange->number = ++connection->requests;
    out_init(&exchange->headers, -1);
    out_init(&exchange->body, -1);
    connection->exchange = exchange;
    return exchange;
}

static size_t unescape_nothing(void *context, struct MHD_Connection *handle, char *text)
{
    (void)context;
    (void)handle;
    return strlen(text);
}

static enum MHD_Result drain(struct exchange *exchange, size_t *size)
{
    exchange->drained += *size;
    *size = 0;
    return exchange->drained > DRAIN_BYTES_MAX ? MHD_NO : MHD_YES;
}

static enum MHD_Result take(struct exchange *exchange, const char *bytes, size_t *size)
{
    if (exchange->calls->take == NULL)
        return MHD_NO;
    size_t taken = exchange->calls->take(exchange, bytes, *size);
    assert(taken <= *size);
    *size -= taken;
    if (exchange->status != 0) {
        answer_now(exchange);
        return drain(exchange, size);
    }
    set_deadline(exchange->connection, exchange->connection->door->web->options.body_idle_ns);
    if (*size > 0)
        suspend(exchange);
    return MHD_YES;
}

static void begin(struct exchange *exchange, const char *method)
{
    const struct web_options *options = &exchange->connection->door->web->options;
    exchange->has_begun = true;
    exchange->method = method;
    exchange->is_post = strcmp(method, "POST") == 0;
    set_deadline(exchange->connection, options->body_idle_ns);
    options->begin(options->context, exchange);
}

static enum MHD_Result go_on(struct exchange *exchange, const char *method, const char *bytes,
                             size_t *size)
{
    if (exchange->is_draining)
        return *size > 0 ? drain(exchange, size) : MHD_NO;
    if (!exchange->has_begun) {
        begin(exchange, method);
        if (!exchange_has_body(exchange))
            return MHD_YES; /* the next call comes at once; an answer before it would end the
                               connection */
    } else if (*size > 0 && exchange->status != 0) {
        answer_now(exchange);
        return drain(exchange, size);
    } else if (*size > 0) {
        return take(exchange, bytes, size);
    } else if (!exchange->has_finished) {
        exchange->has_finished = true;
        set_deadline(exchange->connection, 0);
        if (exchange->status == 0 && exchange->calls->finish != NULL)
            exchange->calls->finish(exchange);
    }
    if (exchange->status != 0 && !exchange->has_finished && exchange_has_body(exchange) &&
        exchange_header(exchange, MHD_HTTP_HEADER_EXPECT).data == NULL)
        answer_now(exchange);
    else if (exchange->status != 0)
        return queue_answer(exchange);
    else if (exchange->has_finished)
        suspend(exchange);
    return MHD_YES;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *handle, const char *url,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *size, void **state)
{
    (void)context;
    (void)handle;
    (void)url;
    (void)version;
    struct exchange *exchange = *state;
    if (exchange == NULL || exchange->is_cut)
        return MHD_NO;
    exchange->is_in_call = true;
    enum MHD_Result result = go_on(exchange, method, bytes, size);
    exchange->is_in_call = false;
    return result;
}

/* -- what the library answers by itself -------------------------------------------------------- */

static void refuse(struct connection *connection, unsigned status)
{
    const char *fault = head_fault(&connection->head, connection->head.request);
    struct out out;
    out_init(&out, -1);
    refusal_write(&out, status, fault, connection->door->web->options.header_limit);
    connection->is_refused = connection->is_refusing = true;
    if (out.error == 0)
        (void)send(connection->fd, out.data, out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    connection->is_refusing = false;
    connection->door->web->counts.refused++;
    out_release(&out);
}

/* Its answers come before ours can: to a head that is too large, to a body that is malformed. It
 * closes the connection after them. */
static bool replace_answer(struct head *head, const char *bytes, size_t size)
{
    static const char version[] = "HTTP/1.1 ";
    struct connection *connection = LINK_OWNER(head, struct connection, head);
    const struct exchange *exchange = connection->exchange;
    if (connection->is_refused || (exchange != NULL && exchange->status != 0))
        return connection->is_refused && !connection->is_refusing;
    bool has_status =
        size > sizeof(version) + 2 && memcmp(bytes, version, sizeof(version) - 1) == 0;
    unsigned long status = has_status ? strtoul(bytes + sizeof(version) - 1, NULL, 10) : 0;
    if (status < 400)
        return false;
    refuse(connection, (unsigned)status);
    return true;
}

/* A fault in a body, or bytes that libmicrohttpd does not take for a request. */
static void on_fault(struct head *head)
{
    struct connection *connection = LINK_OWNER(head, struct connection, head);
    const struct exchange *exchange = connection->exchange;
    if (!connection->is_refused && (exchange == NULL || exchange->status == 0))
        refuse(connection, 400);
}

static void on_over(void *context, struct MHD_Connection *handle, void **state,
                    enum MHD_RequestTerminationCode code)
{
    (void)context;
    (void)handle;
    (void)code;
    struct exchange *exchange = *state;
    *state = NULL;
    if (exchange == NULL)
        return;
    if (exchange->calls->over != NULL)
        exchange->calls->over(exchange);
    struct connection *connection = exchange->connection;
    if (exchange->is_post)
        connection->door->web->counts.posts[exchange->status]++;
    connection->exchange = NULL;
    set_deadline(connection, connection->door->web->options.header_ns);
    out_release(&exchange->headers);
    out_release(&exchange->body);
    free(exchange->target);
    free(exchange);
}

/* -- connections ------------------------------------------------------------------------------- */

static struct connection *connection_new(struct door *door, int fd)
{
    struct web *web = door->web;
    struct connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL)
        return NULL;
    *connection = (struct connection){.door = door, .fd = fd, .deadline = DEADLINE_INIT};
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = connection};
    if (deadline_heap_reserve(&web->deadlines, web->counts.open + 1) != SPN_OK ||
        !head_guard_watch(fd, &connection->head) ||
        epoll_ctl(web->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        head_guard_forget(fd);
        free(connection);
        return NULL;
    }
    link_init(&connection->link);
    link_join(&web->connections, &connection->link);
    web->counts.open++;
    web->counts.accepted++;
    set_deadline(connection, web->options.header_ns);
    return connection;
}

static void connection_free(struct connection *connection)
{
    struct web *web = connection->door->web;
    deadline_heap_remove(&web->deadlines, &connection->deadline);
    link_leave(&connection->link);
    head_guard_forget(connection->fd);
    (void)epoll_ctl(web->epoll, EPOLL_CTL_DEL, connection->fd, NULL);
    web->counts.open--;
    free(connection);
}

static void on_connection(void *context, struct MHD_Connection *handle, void **ret_connection,
                          enum MHD_ConnectionNotificationCode code)
{
    struct door *door = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD);
        *ret_connection = connection_new(door, info->connect_fd);
        if (*ret_connection == NULL)
            (void)shutdown(info->connect_fd, SHUT_RDWR);
    } else {
        door->is_due = true; /* see web_due_ns */
        if (*ret_connection != NULL)
            connection_free(*ret_connection);
        *ret_connection = NULL;
    }
}

/* A reader that left is of no use any more. Who only ended its request still waits for the answer.
 */
static void on_half_close(struct connection *connection)
{
    connection->is_half_closed = true;
    if (connection->exchange != NULL && connection->exchange->is_stream)
        exchange_cut(connection->exchange);
}

/* The head or the body took too long, or enough was drained. */
static void on_deadline(struct connection *connection)
{
    if (connection->exchange == NULL || !connection->exchange->is_draining)
        connection->door->web->counts.timeouts++;
    if (connection->exchange != NULL)
        exchange_cut(connection->exchange);
    else
        (void)shutdown(connection->fd, SHUT_RDWR);
}

/* -- the web ----------------------------------------------------------------------------------- */

/* The library's own timeout, in whole seconds: after it a connection ends on which nothing was sent
 * or received, unless it is suspended. Our deadlines come before it, but for answers that are not
 * read. */
static unsigned timeout_s(const struct web_options *options)
{
    uint64_t most_ns = options->stall_ns;
    if (options->header_ns > most_ns)
        most_ns = options->header_ns;
    if (options->body_idle_ns > most_ns)
        most_ns = options->body_idle_ns;
    return (unsigned)(most_ns / SECOND_NS) + 1;
}

static spn_err open_door(struct web *web, struct door *door)
{
    const struct web_options *options = &web->options;
    door->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, NULL,
        MHD_OPTION_LISTEN_SOCKET, door->given.fd, MHD_OPTION_CONNECTION_LIMIT,
        options->connections_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT, options->header_limit,
        MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)1024, MHD_OPTION_CONNECTION_TIMEOUT,
        timeout_s(options), MHD_OPTION_URI_LOG_CALLBACK, on_target, NULL,
        MHD_OPTION_UNESCAPE_CALLBACK, unescape_nothing, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_over,
        NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, door, MHD_OPTION_END);
    if (door->daemon == NULL)
        return SPN_E_SYSTEM;
    int fd = MHD_get_daemon_info(door->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    return epoll_ctl(web->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? SPN_OK : SPN_E_SYSTEM;
}

spn_err web_open(struct web **ret_web, const struct web_options *options,
                 const struct web_door *doors, size_t doors_count)
{
    assert(doors_count <= DOORS_MAX);
    struct web *web = calloc(1, sizeof(*web));
    if (web == NULL)
        return SPN_E_NOMEM;
    web->options = *options;
    link_init(&web->connections);
    head_guard_call(replace_answer, on_fault);
    web->epoll = epoll_create1(EPOLL_CLOEXEC);
    spn_err err = web->epoll < 0 ? SPN_E_SYSTEM : deadline_heap_init(&web->deadlines, 16);
    for (size_t i = 0; err == SPN_OK && i < doors_count; i++) {
        struct door *door = &web->doors[web->doors_count++];
        *door = (struct door){.web = web, .given = doors[i]};
        err = open_door(web, door);
    }
    if (err != SPN_OK)
        web_close(web);
    else
        *ret_web = web;
    return err;
}

void web_close(struct web *web)
{
    if (web == NULL)
        return;
    web->is_closing = true;
    for (struct link *link = web->connections.next; link != &web->connections; link = link->next) {
        struct connection *connection = LINK_OWNER(link, struct connection, link);
        if (connection->exchange != NULL)
            exchange_cut(connection->exchange);
    }
    for (size_t i = 0; i < web->doors_count; i++) {
        struct MHD_Daemon *daemon = web->doors[i].daemon;
        if (daemon == NULL)
            continue;
        (void)MHD_run(daemon); /* a daemon may not be stopped while a connection is suspended */
        MHD_stop_daemon(daemon);
    }
    deadline_heap_release(&web->deadlines);
    if (web->epoll >= 0)
        (void)close(web->epoll);
    free(web);
}

int web_fd(const struct web *web)
{
    return web->epoll;
}

/* At its limit the library does not watch the listening socket. A run frees connections at its end,
 * and only the next one watches the socket again: it is due, or who waits at the door would wait
 * until something else happens. */
uint64_t web_due_ns(const struct web *web)
{
    const struct deadline *first = deadline_heap_first(&web->deadlines);
    uint64_t due_ns = first ? first->due_ns : UINT64_MAX;
    for (size_t i = 0; i < web->doors_count; i++) {
        MHD_UNSIGNED_LONG_LONG wait_ms;
        if (web->doors[i].is_due)
            return 0;
        if (MHD_get_timeout(web->doors[i].daemon, &wait_ms) != MHD_YES)
            continue;
        uint64_t end_ns = wait_ms == 0 ? 0 : now_ns(web) + wait_ms * MS_NS;
        if (end_ns < due_ns)
            due_ns = end_ns;
    }
    return due_ns;
}

/* The peers that left come first: connections are freed only by MHD_run. */
void web_turn(struct web *web)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(web->epoll, events, EVENTS_MAX, 0);
    for (int i = 0; i < count; i++)
        if (events[i].data.ptr != NULL)
            on_half_close(events[i].data.ptr);
    struct deadline *due;
    while ((due = deadline_heap_pop(&web->deadlines, now_ns(web))) != NULL)
        on_deadline(LINK_OWNER(due, struct connection, deadline));
    for (size_t i = 0; i < web->doors_count; i++) {
        web->doors[i].is_due = false;
        (void)MHD_run(web->doors[i].daemon);
    }
}

void web_quiesce(struct web *web)
{
    for (size_t i = 0; i < web->doors_count; i++)
        (void)MHD_quiesce_daemon(web->doors[i].daemon);
}

const struct web_counts *web_counts(const struct web *web)
{
    return &web->counts;
}

/* -- what a request says ----------------------------------------------------------------------- */

void exchange_set(struct exchange *exchange, const struct exchange_calls *calls, void *state)
{
    exchange->calls = calls;
    exchange->state = state;
}

void *exchange_state(const struct exchange *exchange)
{
    return exchange->state;
}

const struct web_door *exchange_door(const struct exchange *exchange)
{
    return &exchange->connection->door->given;
}

const char *exchange_method(const struct exchange *exchange)
{
    return exchange->method;
}

const char *exchange_target(const struct exchange *exchange)
{
    return exchange->target;
}

struct spn_bytes exchange_header(const struct exchange *exchange, const char *name)
{
    const char *value = NULL;
    size_t size = 0;
    if (MHD_lookup_connection_value_n(exchange->handle, MHD_HEADER_KIND, name, strlen(name), &value,
                                      &size) != MHD_YES)
        return (struct spn_bytes){NULL, 0};
    return (struct spn_bytes){value, size};
}

struct visit {
    bool (*each)(void *context, const char *name, struct spn_bytes value);
    void *context;
    bool is_stopped;
};

static enum MHD_Result visit_one(void *context, enum MHD_ValueKind kind, const char *name,
                                 size_t name_size, const char *value, size_t value_size)
{
    (void)kind;
    (void)name_size;
    struct visit *visit = context;
    visit->is_stopped = !visit->each(visit->context, name, (struct spn_bytes){value, value_size});
    return visit->is_stopped ? MHD_NO : MHD_YES;
}

bool exchange_each_header(const struct exchange *exchange,
                          bool (*each)(void *context, const char *name, struct spn_bytes value),
                          void *context)
{
    struct visit visit = {.each = each, .context = context};
    (void)MHD_get_connection_values_n(exchange->handle, MHD_HEADER_KIND, visit_one, &visit);
    return !visit.is_stopped;
}

const char *exchange_fault(const struct exchange *exchange)
{
    return head_fault(&exchange->connection->head, exchange->number);
}

bool exchange_has_body(const struct exchange *exchange)
{
    struct spn_bytes length = exchange_header(exchange, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return exchange_header(exchange, MHD_HTTP_HEADER_TRANSFER_ENCODING).data != NULL ||
           (length.data != NULL && strspn(length.data, "0") != length.size);
}

size_t exchange_ignore(struct exchange *exchange, const void *bytes, size_t size)
{
    (void)exchange;
    (void)bytes;
    return size;
}
