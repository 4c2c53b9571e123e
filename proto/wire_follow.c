/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions on read.sock. */
#include <assert.h>

#include "wire_buffer.h"

static_assert(WIRE_DELIVER_HEAD_SIZE == 8 + 4 + 4 + 4 + 4 + 3 * 8, "PROTOCOL.md: DELIVER");
static_assert(WIRE_GRANT_SIZE == 8 + 4 + 4 + 8, "PROTOCOL.md: grant");

void wire_put_subscribe(struct wire_out *out, const struct wire_subscribe *subscribe)
{
    put_u64(out, subscribe->subscription);
    put_u32(out, subscribe->incarnation);
    put_u8(out, subscribe->start);
    put_u8(out, subscribe->otherwise);
    put_zeros(out, 2);
    put_life(out, subscribe->life);
    put_u64(out, subscribe->seq);
    put_u64(out, subscribe->credit);
    put_u64(out, subscribe->features);
    put_short(out, subscribe->session);
    put_id(out, subscribe->id);
}

void wire_get_subscribe(struct wire_in *in, struct wire_subscribe *ret_subscribe)
{
    ret_subscribe->subscription = get_u64(in);
    ret_subscribe->incarnation = get_u32(in);
    ret_subscribe->start = get_u8(in);
    ret_subscribe->otherwise = get_u8(in);
    get_zeros(in, 2);
    ret_subscribe->life = get_life(in);
    ret_subscribe->seq = get_u64(in);
    ret_subscribe->credit = get_u64(in);
    ret_subscribe->features = get_u64(in);
    ret_subscribe->session = get_short(in);
    ret_subscribe->id = get_id(in);
    if (ret_subscribe->start > WIRE_NOW || ret_subscribe->otherwise > (WIRE_RESTART | WIRE_WAIT))
        in->bad = true;
}

void wire_put_deliveries(struct wire_out *out, uint32_t count)
{
    put_u32(out, count);
    put_zeros(out, 4);
}

void wire_get_deliveries(struct wire_in *in, uint32_t *ret_count)
{
    *ret_count = get_u32(in);
    get_zeros(in, 4);
    if (*ret_count == 0)
        in->bad = true;
}

void wire_put_deliver(struct wire_out *out, const struct wire_deliver *deliver)
{
    put_u64(out, deliver->subscription);
    put_u32(out, deliver->incarnation);
    put_u8(out, deliver->kind);
    put_u8(out, deliver->verdict);
    put_u16(out, deliver->code);
    put_u32(out, deliver->count);
    put_u32(out, deliver->size);
    put_u64(out, deliver->seq);
    put_u64(out, deliver->bytes);
    put_u64(out, deliver->missing);
}

/* What a delivery of this kind cannot have. */
static bool contradicts_itself(const struct wire_deliver *deliver)
{
    bool refused = deliver->kind == WIRE_END && deliver->verdict == WIRE_REFUSED_VERDICT;
    if (deliver->kind > WIRE_END || deliver->verdict > WIRE_REFUSED_VERDICT)
        return true;
    if (deliver->kind == WIRE_GAP && deliver->size != 0 && deliver->size != WIRE_LOG_GAP_SIZE)
        return true;
    return refused != (deliver->code != 0);
}

void wire_get_deliver(struct wire_in *in, struct wire_deliver *ret_deliver,
                      struct wire_in *ret_rest)
{
    ret_deliver->subscription = get_u64(in);
    ret_deliver->incarnation = get_u32(in);
    ret_deliver->kind = get_u8(in);
    ret_deliver->verdict = get_u8(in);
    ret_deliver->code = get_u16(in);
    ret_deliver->count = get_u32(in);
    ret_deliver->size = get_u32(in);
    ret_deliver->seq = get_u64(in);
    ret_deliver->bytes = get_u64(in);
    ret_deliver->missing = get_u64(in);
    if (contradicts_itself(ret_deliver))
        in->bad = true;
    if (!in->bad && ret_deliver->size > (size_t)(in->end - in->at))
        in->bad = true;
    *ret_rest = wire_in(in->at, in->bad ? 0 : ret_deliver->size);
    ret_rest->bad = in->bad;
    in->at += in->bad ? 0 : ret_deliver->size;
}

size_t wire_standing_size(const struct wire_standing *standing)
{
    return 16 + 8 + 1 + 7 + 1 + standing->reason.size + 2 + standing->id.size;
}

void wire_put_standing(struct wire_out *out, const struct wire_standing *standing)
{
    if (standing->reason.size > WIRE_REASON_MAX)
        out->bad = true;
    put_life(out, standing->life);
    put_u64(out, standing->newest);
    put_u8(out, standing->state);
    put_zeros(out, 7);
    put_short(out, standing->reason);
    put_id(out, standing->id);
}

void wire_get_standing(struct wire_in *in, struct wire_standing *ret_standing)
{
    ret_standing->life = get_life(in);
    ret_standing->newest = get_u64(in);
    ret_standing->state = get_u8(in);
    get_zeros(in, 7);
    ret_standing->reason = get_short(in);
    ret_standing->id = get_id(in);
    if (ret_standing->state > WIRE_SESSION_DAMAGED || ret_standing->reason.size > WIRE_REASON_MAX)
        in->bad = true;
    if (!in->bad)
        in->at = in->end;
}

void wire_put_log_gap(struct wire_out *out, const struct wire_log_gap *gap)
{
    put_u64(out, gap->first);
    put_u64(out, gap->last);
}

void wire_get_log_gap(struct wire_in *in, struct wire_log_gap *ret_gap)
{
    ret_gap->first = get_u64(in);
    ret_gap->last = get_u64(in);
    if (ret_gap->first == 0 || ret_gap->first > ret_gap->last)
        in->bad = true;
}

void wire_put_follow(struct wire_out *out, const struct wire_follow *follow)
{
    put_u64(out, follow->subscription);
    put_u32(out, follow->incarnation);
    put_u8(out, follow->start);
    put_u8(out, follow->flags);
    put_zeros(out, 2);
    put_life(out, follow->database);
    put_u64(out, follow->position);
    put_u64(out, follow->credit);
    put_u64(out, follow->features);
    put_short(out, follow->prefix);
}

void wire_get_follow(struct wire_in *in, struct wire_follow *ret_follow)
{
    ret_follow->subscription = get_u64(in);
    ret_follow->incarnation = get_u32(in);
    ret_follow->start = get_u8(in);
    ret_follow->flags = get_u8(in);
    get_zeros(in, 2);
    ret_follow->database = get_life(in);
    ret_follow->position = get_u64(in);
    ret_follow->credit = get_u64(in);
    ret_follow->features = get_u64(in);
    ret_follow->prefix = get_short(in);
    if (ret_follow->start > WIRE_LOG_NOW || ret_follow->flags > WIRE_FOLLOW_TOUCHES)
        in->bad = true;
}

void wire_put_alive(struct wire_out *out, const struct wire_alive *alive)
{
    put_u64(out, alive->instance);
    put_u32(out, alive->subscriptions);
    put_zeros(out, 4);
}

void wire_get_alive(struct wire_in *in, struct wire_alive *ret_alive)
{
    ret_alive->instance = get_u64(in);
    ret_alive->subscriptions = get_u32(in);
    get_zeros(in, 4);
}

void wire_put_grants(struct wire_out *out, uint32_t count)
{
    put_u32(out, count);
}

void wire_get_grants(struct wire_in *in, uint32_t *ret_count)
{
    *ret_count = get_u32(in);
    if (*ret_count > WIRE_GRANTS_MAX)
        in->bad = true;
}

void wire_put_grant(struct wire_out *out, const struct wire_grant *grant)
{
    put_u64(out, grant->subscription);
    put_u32(out, grant->incarnation);
    put_zeros(out, 4);
    put_u64(out, grant->credit);
}

void wire_get_grant(struct wire_in *in, struct wire_grant *ret_grant)
{
    ret_grant->subscription = get_u64(in);
    ret_grant->incarnation = get_u32(in);
    get_zeros(in, 4);
    ret_grant->credit = get_u64(in);
}
