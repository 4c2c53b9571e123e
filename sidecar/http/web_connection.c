/* SPDX-License-Identifier: Apache-2.0 */
#include "http/web_parts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "http/head_guard.h"
#include "http/refusal.h"

/* -- what the library answers by itself -------------------------------------------------------- */

static void refuse(struct connection *connection, unsigned status)
{
    const char *fault = head_fault(&connection->head, connection->head.request);
    struct out out;
    out_init(&out, -1);
    refusal_write(&out, status, fault, connection->door->web->options.header_limit);
    connection->refused = fault != NULL ? 400 : status;
    connection->is_refusing = true;
    if (out.error == 0)
        (void)send(connection->fd, out.data, out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    connection->is_refusing = false;
    connection->door->web->counts.refused += status != 408;
    out_release(&out);
    const struct web_options *options = &connection->door->web->options;
    const struct web_record record = {.method = "", .target = "", .status = connection->refused};
    if (connection->exchange == NULL && options->over != NULL)
        options->over(options->context, &record);
}

/* Its answers come before ours can: to a head that is too large, to a body that is malformed. It
 * closes the connection after them. */
bool connection_replace_answer(struct head *head, const char *bytes, size_t size)
{
    static const char version[] = "HTTP/1.1 ";
    struct connection *connection = LINK_OWNER(head, struct connection, head);
    struct exchange *exchange = connection->exchange;
    if (exchange != NULL)
        stream_body_see_head(exchange, bytes, size);
    if (connection->refused != 0 || (exchange != NULL && exchange->status != 0))
        return connection->refused != 0 && !connection->is_refusing;
    bool has_status =
        size > sizeof(version) + 2 && memcmp(bytes, version, sizeof(version) - 1) == 0;
    unsigned long status = has_status ? strtoul(bytes + sizeof(version) - 1, NULL, 10) : 0;
    if (status < 400)
        return false;
    refuse(connection, (unsigned)status);
    return true;
}

/* A fault in a body, or bytes that libmicrohttpd does not take for a request. */
void connection_on_fault(struct head *head)
{
    struct connection *connection = LINK_OWNER(head, struct connection, head);
    const struct exchange *exchange = connection->exchange;
    if (connection->refused == 0 && (exchange == NULL || exchange->status == 0))
        refuse(connection, 400);
}

/* -- time -------------------------------------------------------------------------------------- */

/* A connection without a request ends without words: what came on it would be taken for the answer
 * to the next request. */
static void end_slow_head(struct connection *connection)
{
    if (connection->exchange != NULL || connection->head.state != HEAD_AT_FIRST)
        refuse(connection, 408);
    if (connection->exchange != NULL)
        exchange_cut(connection->exchange);
    else
        (void)shutdown(connection->fd, SHUT_RDWR);
}

/* The head or the body took too long, or enough was drained. */
void connection_on_deadline(struct connection *connection)
{
    const struct web_options *options = &connection->door->web->options;
    struct exchange *exchange = connection->exchange;
    if (exchange != NULL && exchange->is_draining) {
        exchange_cut(exchange);
        return;
    }
    connection->door->web->counts.timeouts++;
    if (exchange == NULL || !exchange->has_begun)
        end_slow_head(connection);
    else if (exchange->status == 0)
        options->slow(options->context, exchange, exchange->is_suspended ? WEB_HELD : WEB_SILENT);
    else
        exchange_cut(exchange);
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
    connection_set_deadline(connection, web->options.header_ns);
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

void connection_on_change(void *context, struct MHD_Connection *handle, void **ret_connection,
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
    struct exchange *exchange = connection->exchange;
    connection->is_half_closed = true;
    if (exchange != NULL && exchange->is_stream)
        exchange_cut(exchange);
    else if (exchange != NULL && exchange->is_suspended)
        exchange_limit_holding(exchange);
}

void connection_on_event(struct connection *connection, uint32_t events)
{
    if ((events & ~(uint32_t)EPOLLOUT) != 0)
        on_half_close(connection);
    else
        stream_body_on_room(connection);
}
