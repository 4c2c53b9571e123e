/* SPDX-License-Identifier: Apache-2.0 */
#include "http/web_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { DRAIN_BYTES_MAX = 1024 * 1024 }; /* read of a body after its answer */

static const struct exchange_calls no_calls;

/* -- requests ---------------------------------------------------------------------------------- */

/* The first that is known of a request: its target, in raw bytes. The result comes back in each
 * call. */
void *exchange_on_target(void *context, const char *target, struct MHD_Connection *handle)
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
    exchange->began_ns = connection->door->web->options.now_ns();
    exchange->number = ++connection->requests;
    out_init(&exchange->headers, -1);
    out_init(&exchange->body, -1);
    connection->exchange = exchange;
    return exchange;
}

size_t exchange_unescape_nothing(void *context, struct MHD_Connection *handle, char *text)
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

/* Whether the body has its rate, whenever a span has passed. The time in which we did not read is
 * not in it: see exchange_await_body. */
static bool is_fast_enough(struct exchange *exchange, size_t bytes)
{
    const struct web_options *options = &exchange->connection->door->web->options;
    exchange->span_bytes += bytes;
    if (exchange->is_endless)
        return true;
    uint64_t passed_ns = options->now_ns() - exchange->span_ns;
    if (passed_ns < options->body_idle_ns)
        return true;
    if ((double)exchange->span_bytes * 1e9 < (double)options->body_rate * (double)passed_ns)
        return false;
    exchange->span_ns += passed_ns;
    exchange->span_bytes = 0;
    return true;
}

static enum MHD_Result take(struct exchange *exchange, const char *bytes, size_t *size)
{
    if (exchange->calls->take == NULL)
        return MHD_NO;
    size_t taken = exchange->calls->take(exchange, bytes, *size);
    assert(taken <= *size);
    *size -= taken;
    const struct web_options *options = &exchange->connection->door->web->options;
    if (exchange->status == 0 && !is_fast_enough(exchange, taken)) {
        exchange->connection->door->web->counts.timeouts++;
        options->slow(options->context, exchange, WEB_SLOW);
    }
    if (exchange->status != 0) {
        exchange_answer_now(exchange);
        return drain(exchange, size);
    }
    connection_set_deadline(exchange->connection,
                            exchange->connection->door->web->options.body_idle_ns);
    if (*size > 0)
        exchange_suspend(exchange);
    return MHD_YES;
}

static void begin(struct exchange *exchange, const char *method)
{
    const struct web_options *options = &exchange->connection->door->web->options;
    exchange->has_begun = true;
    exchange->method = method;
    exchange->is_post = strcmp(method, "POST") == 0;
    exchange_await_body(exchange);
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
        exchange_answer_now(exchange);
        return drain(exchange, size);
    } else if (*size > 0) {
        return take(exchange, bytes, size);
    } else if (!exchange->has_finished) {
        exchange->has_finished = true;
        connection_set_deadline(exchange->connection, 0);
        if (exchange->status == 0 && exchange->calls->finish != NULL)
            exchange->calls->finish(exchange);
    }
    if (exchange->status != 0 && !exchange->has_finished && exchange_has_body(exchange) &&
        exchange_header(exchange, MHD_HTTP_HEADER_EXPECT).data == NULL)
        exchange_answer_now(exchange);
    else if (exchange->status != 0)
        return exchange_queue_answer(exchange);
    else if (exchange->has_finished)
        exchange_suspend(exchange);
    return MHD_YES;
}

enum MHD_Result exchange_on_request(void *context, struct MHD_Connection *handle, const char *url,
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

static void count_over(const struct exchange *exchange)
{
    struct web *web = exchange->connection->door->web;
    unsigned status = exchange->status != 0 ? exchange->status : exchange->connection->refused;
    bool is_head = exchange->method != NULL && strcmp(exchange->method, MHD_HTTP_METHOD_HEAD) == 0;
    if (exchange->is_post)
        web->counts.posts[status]++;
    if (web->options.over == NULL)
        return;
    const struct web_record record = {
        .method = exchange->method != NULL ? exchange->method : "",
        .target = exchange->target,
        .status = status,
        .bytes = is_head ? 0 : exchange->bytes,
        .duration_ns = web->options.now_ns() - exchange->began_ns,
    };
    web->options.over(web->options.context, &record);
}

void exchange_on_over(void *context, struct MHD_Connection *handle, void **state,
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
    count_over(exchange);
    connection->exchange = NULL;
    connection_set_deadline(connection, connection->door->web->options.header_ns);
    out_release(&exchange->headers);
    out_release(&exchange->body);
    free(exchange->target);
    free(exchange);
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

void exchange_is_endless(struct exchange *exchange)
{
    exchange->is_endless = true;
}

/* The head was looked at: it is a number. */
uint64_t exchange_length(const struct exchange *exchange)
{
    struct spn_bytes length = exchange_header(exchange, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return length.data != NULL ? strtoull(length.data, NULL, 10) : 0;
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
