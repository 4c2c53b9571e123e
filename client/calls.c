/* SPDX-License-Identifier: Apache-2.0 */
#include "calls.h"

#include <errno.h>
#include <string.h>

#include "err.h"
#include "transport.h"

#define PATIENCE_NS UINT64_C(1000000000)
#define PATIENCE_MAX_NS (8 * PATIENCE_NS)

void calls_add(struct calls *calls, struct call *call)
{
    *call = (struct call){.next = calls->first, .patience_ns = PATIENCE_NS};
    zmq_msg_init(&call->answer);
    calls->first = call;
}

void calls_remove(struct calls *calls, struct call *call)
{
    for (struct call **at = &calls->first; *at != NULL; at = &(*at)->next)
        if (*at == call) {
            *at = call->next;
            zmq_msg_close(&call->answer);
            return;
        }
}

void calls_clear(struct call *call)
{
    zmq_msg_close(&call->answer);
    zmq_msg_init(&call->answer);
    call->request = 0;
    call->again_ns = 0;
    call->patience_ns = PATIENCE_NS;
    call->answered = false;
    call->blocked = false;
}

spn_err calls_ask(struct calls *calls, struct call *call, struct transport_socket *socket,
                  enum wire_type type, const struct wire_out *body, uint64_t now_ns)
{
    size_t body_size = body != NULL ? wire_out_size(body) : 0;
    uint64_t patience_ns = call->patience_ns;
    bool again = call->request != 0 && !call->answered && call->again_ns != 0;
    zmq_msg_t message;

    if (body != NULL && body->bad)
        return SPN_E_INVALID;
    if (zmq_msg_init_size(&message, WIRE_HEADER_SIZE + body_size) != 0)
        return SPN_E_NOMEM;
    struct wire_out out = wire_out(zmq_msg_data(&message), WIRE_HEADER_SIZE);
    wire_put_header(&out, type, ++calls->request);
    if (body_size > 0)
        memcpy(out.end, body->start, body_size);

    calls_clear(call);
    if (again)
        call->patience_ns = patience_ns < PATIENCE_MAX_NS ? patience_ns * 2 : patience_ns;
    spn_err err = transport_send(socket, &message);
    if (err != SPN_OK)
        zmq_msg_close(&message);
    if (err == SPN_E_BACKPRESSURE) {
        call->blocked = true;
        return SPN_OK;
    }
    call->request = calls->request;
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
    for (struct call *call = calls->first; call != NULL; call = call->next)
        if (call->request == header.request && !call->answered) {
            zmq_msg_move(&call->answer, message);
            call->answered = true;
            return true;
        }
    return false;
}

void calls_lost(struct calls *calls)
{
    for (struct call *call = calls->first; call != NULL; call = call->next)
        if (!call->answered)
            call->again_ns = 0;
}

bool calls_blocked(const struct calls *calls)
{
    for (const struct call *call = calls->first; call != NULL; call = call->next)
        if (call->blocked)
            return true;
    return false;
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
