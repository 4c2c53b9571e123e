/* SPDX-License-Identifier: Apache-2.0 */
#include "calls.h"

#include <errno.h>
#include <string.h>

#include "err.h"
#include "transport.h"

#define PATIENCE_NS UINT64_C(1000000000)
#define PATIENCE_MAX_NS (8 * PATIENCE_NS)

void calls_init(struct call *call, bool repeats, void (*notify)(struct call *call))
{
    *call = (struct call){.repeats = repeats, .notify = notify, .patience_ns = PATIENCE_NS};
    zmq_msg_init(&call->answer);
}

static struct call **bucket_of(struct calls *calls, uint64_t request)
{
    return &calls->buckets[request % CALLS_BUCKETS];
}

static void await(struct calls *calls, struct call *call, uint64_t request)
{
    struct call **bucket = bucket_of(calls, request);
    call->request = request;
    call->waits = true;
    call->next = *bucket;
    *bucket = call;
}

static void stop_waiting(struct calls *calls, struct call *call)
{
    if (!call->waits)
        return;
    struct call **at = bucket_of(calls, call->request);
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    call->waits = false;
}

void calls_remove(struct calls *calls, struct call *call)
{
    stop_waiting(calls, call);
    zmq_msg_close(&call->answer);
}

static void drop_answer(struct call *call)
{
    zmq_msg_close(&call->answer);
    zmq_msg_init(&call->answer);
    call->answered = false;
}

void calls_clear(struct calls *calls, struct call *call)
{
    stop_waiting(calls, call);
    drop_answer(call);
    call->request = 0;
    call->again_ns = 0;
    call->patience_ns = PATIENCE_NS;
    call->copies = 0;
    call->blocked = false;
}

void calls_put_off(struct call *call, uint64_t again_ns)
{
    drop_answer(call);
    if (call->copies == 1)
        call->copies = 0;
    call->again_ns = again_ns;
}

static spn_err make(zmq_msg_t *message, enum wire_type type, uint64_t request,
                    const struct wire_out *body)
{
    size_t body_size = body != NULL ? wire_out_size(body) : 0;
    if (zmq_msg_init_size(message, WIRE_HEADER_SIZE + body_size) != 0)
        return SPN_E_NOMEM;
    struct wire_out out = wire_out(zmq_msg_data(message), WIRE_HEADER_SIZE);
    wire_put_header(&out, type, request);
    if (body_size > 0)
        memcpy(out.end, body->start, body_size);
    return SPN_OK;
}

spn_err calls_ask(struct calls *calls, struct call *call, struct transport_socket *socket,
                  enum wire_type type, const struct wire_out *body, uint64_t now_ns)
{
    bool again = call->waits && call->again_ns != 0; /* 0: it was lost, and is as good as new */
    uint64_t patience_ns = again ? call->patience_ns : PATIENCE_NS;
    zmq_msg_t message;

    if (body != NULL && body->bad)
        return SPN_E_INVALID;
    uint64_t request = call->repeats && call->request != 0 ? call->request : ++calls->request;
    spn_err err = make(&message, type, request, body);
    if (err != SPN_OK)
        return err;
    if (!call->repeats)
        calls_clear(calls, call);
    err = transport_send(socket, &message);
    if (err != SPN_OK)
        zmq_msg_close(&message);
    call->blocked = err == SPN_E_BACKPRESSURE;
    if (call->blocked)
        return SPN_OK;
    if (err == SPN_OK && call->repeats)
        call->copies++;
    if (err == SPN_OK && !call->waits)
        await(calls, call, request);
    call->patience_ns = again && patience_ns < PATIENCE_MAX_NS ? patience_ns * 2 : patience_ns;
    call->again_ns = now_ns + call->patience_ns;
    return err;
}

bool calls_due(const struct call *call, uint64_t now_ns)
{
    return !call->answered && now_ns >= call->again_ns;
}

bool calls_take(struct calls *calls, zmq_msg_t *message)
{
    struct wire_in in = wire_in(zmq_msg_data(message), zmq_msg_size(message));
    struct wire_header header;
    spn_err err = wire_get_header(&in, &header);
    if ((err != SPN_OK && err != SPN_E_VERSION) || header.request == 0)
        return false;
    struct call *call = *bucket_of(calls, header.request);
    while (call != NULL && call->request != header.request)
        call = call->next;
    if (call == NULL)
        return false;
    stop_waiting(calls, call);
    zmq_msg_move(&call->answer, message);
    call->answered = true;
    call->blocked = false;
    if (call->notify != NULL)
        call->notify(call);
    return true;
}

void calls_lost(struct call *call)
{
    if (!call->answered)
        call->again_ns = 0;
}

spn_err calls_read(struct call *call, enum wire_type type, struct wire_in *ret_in,
                   struct spn_bytes *ret_detail)
{
    struct wire_in in = wire_in(zmq_msg_data(&call->answer), zmq_msg_size(&call->answer));
    struct wire_header header;
    struct wire_error error;
    *ret_detail = (struct spn_bytes){0};
    spn_err err = wire_get_header(&in, &header);
    if (err == SPN_OK && header.type == (uint8_t)type) {
        *ret_in = in;
        return SPN_OK;
    }
    if ((err != SPN_OK && err != SPN_E_VERSION) || header.type != WIRE_ERROR)
        return err != SPN_OK ? err : SPN_E_PROTOCOL;
    wire_get_error(&in, &error); /* its layout is the same in every version */
    if (!wire_in_done(&in))
        return SPN_E_PROTOCOL;
    *ret_detail = error.detail;
    if (err == SPN_OK)
        err = err_from_wire(error.code);
    return err != SPN_OK ? err : SPN_E_PROTOCOL;
}

bool calls_will_pass(const struct call *call, spn_err err)
{
    bool lacks_room = err == SPN_E_LIMIT || err == SPN_E_NOMEM;
    return err == SPN_E_STOPPING || err == SPN_E_BACKPRESSURE || (lacks_room && call->copies > 1);
}
