/* SPDX-License-Identifier: Apache-2.0 */
#include "http/web_parts.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>

#include "http/refusal.h"

#define DRAIN_NS UINT64_C(2000000000)

/* -- answers ----------------------------------------------------------------------------------- */

static struct MHD_Response *make_response(struct exchange *exchange)
{
    struct MHD_Response *response =
        exchange->is_stream ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1,
                                                                stream_body_on_give, exchange, NULL)
                            : MHD_create_response_from_buffer(
                                  exchange->body.size, exchange->body.data, MHD_RESPMEM_MUST_FREE);
    if (response != NULL && !exchange->is_stream)
        exchange->body.data = NULL; /* it is the library's, which frees it */
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

enum MHD_Result exchange_queue_answer(struct exchange *exchange)
{
    if (exchange->headers.error != 0 || exchange->body.error != 0)
        return MHD_NO;
    struct MHD_Response *response = make_response(exchange);
    if (response == NULL)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(exchange->handle, exchange->status, response);
    exchange->response = response; /* the library keeps it until the exchange is over */
    MHD_destroy_response(response);
    exchange->is_queued = result == MHD_YES;
    exchange->bytes = exchange->body.size;
    exchange->has_finished = true;
    connection_set_deadline(exchange->connection, 0);
    out_release(&exchange->headers);
    out_release(&exchange->body);
    return result;
}

/* The library answers only before a body or after it. In its middle the answer is written here.
 * Then the rest is read for a while, since closing a socket with unread bytes would take the answer
 * back. */
void exchange_answer_now(struct exchange *exchange)
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
    exchange->bytes = exchange->body.size;
    exchange->is_draining = true;
    connection_set_deadline(exchange->connection, DRAIN_NS);
}

void exchange_add(struct exchange *exchange, const char *name, const char *value)
{
    assert(exchange->status == 0 && strpbrk(value, "\r\n") == NULL);
    out_put(&exchange->headers, name, strlen(name) + 1);
    out_put(&exchange->headers, value, strlen(value) + 1);
}

void exchange_answer(struct exchange *exchange, unsigned status, const void *body, size_t size)
{
    struct out copy;
    out_init(&copy, -1);
    out_put(&copy, body, size);
    exchange_answer_out(exchange, status, &copy);
}

void exchange_answer_out(struct exchange *exchange, unsigned status, struct out *body)
{
    assert(exchange->status == 0 && status < WEB_STATUS_MAX);
    exchange->status = status;
    out_release(&exchange->body);
    exchange->body = *body;
    out_init(body, -1);
    if (!exchange->is_in_call && !exchange->is_suspended && !exchange->has_finished)
        exchange_answer_now(exchange); /* the peer may send nothing more for long */
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
