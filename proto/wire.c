/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <assert.h>

#include "wire_buffer.h"

static_assert(WIRE_HEADER_SIZE == 4 + 1 + 1 + 2 + 8, "PROTOCOL.md: header");
static_assert(WIRE_BATCH_HEAD_SIZE == 3 * 8 + 2 * 4 + 8, "PROTOCOL.md: BATCH");
static_assert(WIRE_ENTRY_HEAD_SIZE == 4 + 2 + 2 + 4 + 4, "PROTOCOL.md: entry");
static_assert(WIRE_ACK_HEAD_SIZE == 3 * 8 + 4 + 4 + 8, "PROTOCOL.md: ACK");
static_assert(WIRE_RUN_SIZE == 8 + 4 + 4, "PROTOCOL.md: run");

static const uint8_t magic[3] = {'S', 'P', 'N'};

/* -- buffers ----------------------------------------------------------------------------------- */

struct wire_in wire_in(const void *bytes, size_t size)
{
    const uint8_t *start = size > 0 ? bytes : (const uint8_t *)"";
    return (struct wire_in){.at = start, .end = start + size, .bad = false};
}

struct wire_out wire_out(void *bytes, size_t size)
{
    uint8_t *start = bytes;
    return (struct wire_out){.start = start, .at = start, .end = start + size, .bad = false};
}

size_t wire_out_size(const struct wire_out *out)
{
    return (size_t)(out->at - out->start);
}

bool wire_in_done(const struct wire_in *in)
{
    return !in->bad && in->at == in->end;
}

/* -- header ------------------------------------------------------------------------------------ */

spn_err wire_get_header(struct wire_in *in, struct wire_header *ret_header)
{
    struct wire_header header;
    struct spn_bytes start = get_bytes(in, sizeof(magic));
    header.major = get_u8(in);
    header.minor = get_u8(in);
    header.type = get_u8(in);
    uint16_t reserved = get_u16(in);
    header.request = get_u64(in);
    if (in->bad || memcmp(start.data, magic, sizeof(magic)) != 0)
        return SPN_E_PROTOCOL;
    *ret_header = header;
    if (header.major != WIRE_MAJOR)
        return SPN_E_VERSION;
    return reserved == 0 ? SPN_OK : SPN_E_PROTOCOL;
}

void wire_put_header(struct wire_out *out, enum wire_type type, uint64_t request)
{
    put_bytes(out, (struct spn_bytes){magic, sizeof(magic)});
    put_u8(out, WIRE_MAJOR);
    put_u8(out, WIRE_MINOR);
    put_u8(out, (uint8_t)type);
    put_u16(out, 0);
    put_u64(out, request);
}

/* -- ingest ------------------------------------------------------------------------------------ */

void wire_put_batch(struct wire_out *out, const struct wire_batch *batch)
{
    put_u64(out, batch->token);
    put_u64(out, batch->first);
    put_u64(out, batch->base);
    put_u32(out, batch->round);
    put_u32(out, batch->count);
    put_u8(out, batch->level);
    put_zeros(out, 3);
    put_u32(out, batch->backpressure);
}

void wire_get_batch(struct wire_in *in, struct wire_batch *ret_batch)
{
    ret_batch->token = get_u64(in);
    ret_batch->first = get_u64(in);
    ret_batch->base = get_u64(in);
    ret_batch->round = get_u32(in);
    ret_batch->count = get_u32(in);
    ret_batch->level = get_u8(in);
    get_zeros(in, 3);
    ret_batch->backpressure = get_u32(in);
    /* Numbers start at 1 and must not wrap. */
    if (ret_batch->base == 0 || ret_batch->base > ret_batch->first ||
        ret_batch->first > UINT64_MAX - ret_batch->count || ret_batch->count == 0 ||
        ret_batch->count > WIRE_BATCH_EVENTS_MAX || ret_batch->level > WIRE_DURABLE)
        in->bad = true;
}

/* A close or a delete: it is numbered as an event is, and has an epoch in place of data. */
static bool ends_session(uint8_t kind)
{
    return kind == WIRE_CLOSE || kind == WIRE_DELETE;
}

size_t wire_entry_size(const struct wire_entry *entry)
{
    if (ends_session(entry->kind))
        return WIRE_ENTRY_HEAD_SIZE + entry->session.size + WIRE_EPOCH_SIZE;
    return WIRE_ENTRY_HEAD_SIZE + entry->session.size + entry->id.size + entry->type.size +
           entry->data.size;
}

/* True for a marker with a type or data, a marker with neither id nor retry, or a reset with an id.
 */
static bool lies_as_marker(const struct wire_entry *entry)
{
    if (entry->kind != WIRE_MARKER && entry->kind != WIRE_RESET)
        return false;
    if (entry->type.size > 0 || entry->data.size > 0)
        return true;
    return entry->kind == WIRE_RESET ? entry->id.size > 0
                                     : entry->id.size == 0 && entry->retry_ms == WIRE_RETRY_NONE;
}

static void put_entry_head(struct wire_out *out, const struct wire_entry *entry)
{
    put_u8(out, entry->kind);
    put_u8(out, (uint8_t)entry->session.size);
    put_u8(out, (uint8_t)entry->type.size);
    put_u8(out, 0);
    put_u16(out, (uint16_t)entry->id.size);
    put_u16(out, 0);
    put_u32(out, (uint32_t)entry->data.size);
    put_u32(out, entry->retry_ms);
}

static void put_end_of_session(struct wire_out *out, const struct wire_entry *entry)
{
    struct wire_entry head = {.kind = entry->kind,
                              .session = entry->session,
                              .data = {NULL, WIRE_EPOCH_SIZE},
                              .retry_ms = WIRE_RETRY_NONE};
    if (entry->session.size > WIRE_SESSION_MAX)
        out->bad = true;
    put_entry_head(out, &head);
    put_bytes(out, entry->session);
    put_u64(out, entry->epoch);
}

void wire_put_entry(struct wire_out *out, const struct wire_entry *entry)
{
    if (ends_session(entry->kind)) {
        put_end_of_session(out, entry);
        return;
    }
    if (entry->session.size > WIRE_SESSION_MAX || entry->id.size > WIRE_ID_MAX ||
        entry->type.size > WIRE_TYPE_MAX || entry->data.size > WIRE_EVENT_DATA_MAX)
        out->bad = true;
    put_entry_head(out, entry);
    put_bytes(out, entry->session);
    put_bytes(out, entry->id);
    put_bytes(out, entry->type);
    put_bytes(out, entry->data);
}

void wire_get_entry(struct wire_in *in, struct spn_bytes session, struct wire_entry *ret_entry)
{
    ret_entry->kind = get_u8(in);
    uint8_t session_size = get_u8(in);
    uint8_t type_size = get_u8(in);
    get_zeros(in, 1);
    uint16_t id_size = get_u16(in);
    get_zeros(in, 2);
    uint32_t data_size = get_u32(in);
    ret_entry->retry_ms = get_u32(in);
    struct spn_bytes own = get_bytes(in, session_size);
    ret_entry->session = session_size > 0 ? own : session;
    ret_entry->id = get_bytes(in, id_size);
    ret_entry->type = get_bytes(in, type_size);
    bool ends = ends_session(ret_entry->kind);
    ret_entry->epoch = ends ? get_u64(in) : 0;
    ret_entry->data = get_bytes(in, ends ? 0 : data_size);
    if (!wire_is_stored(ret_entry->kind) && !ends)
        in->bad = true;
    if (lies_as_marker(ret_entry))
        in->bad = true;
    if (ret_entry->session.size == 0)
        in->bad = true;
    if (ends && ((type_size | id_size) != 0 || data_size != WIRE_EPOCH_SIZE ||
                 ret_entry->retry_ms != WIRE_RETRY_NONE))
        in->bad = true;
}

void wire_put_run(struct wire_out *out, const struct wire_run *run)
{
    put_u64(out, run->first);
    put_u32(out, run->count);
    put_u8(out, run->result);
    put_zeros(out, 1);
    put_u16(out, run->code);
}

void wire_get_run(struct wire_in *in, struct wire_run *ret_run)
{
    ret_run->first = get_u64(in);
    ret_run->count = get_u32(in);
    ret_run->result = get_u8(in);
    get_zeros(in, 1);
    ret_run->code = get_u16(in);
    if (ret_run->result > WIRE_LOST || ret_run->first > UINT64_MAX - ret_run->count ||
        (ret_run->result == WIRE_REFUSED) != (ret_run->code != 0))
        in->bad = true;
}

void wire_put_ack(struct wire_out *out, const struct wire_ack *ack)
{
    put_u64(out, ack->token);
    put_u64(out, ack->from);
    put_u64(out, ack->up_to);
    put_u32(out, ack->run_count);
    put_u8(out, ack->level);
    put_zeros(out, 3);
    put_u64(out, ack->position);
}

void wire_get_ack(struct wire_in *in, struct wire_ack *ret_ack)
{
    ret_ack->token = get_u64(in);
    ret_ack->from = get_u64(in);
    ret_ack->up_to = get_u64(in);
    ret_ack->run_count = get_u32(in);
    ret_ack->level = get_u8(in);
    get_zeros(in, 3);
    ret_ack->position = get_u64(in);
    if (ret_ack->from > ret_ack->up_to || ret_ack->run_count > WIRE_RUNS_MAX ||
        ret_ack->level > WIRE_DURABLE)
        in->bad = true;
}

void wire_put_expect(struct wire_out *out, const struct wire_expect *expect)
{
    put_u64(out, expect->token);
    put_u64(out, expect->number);
    put_u32(out, expect->round);
    put_zeros(out, 4);
}

void wire_get_expect(struct wire_in *in, struct wire_expect *ret_expect)
{
    ret_expect->token = get_u64(in);
    ret_expect->number = get_u64(in);
    ret_expect->round = get_u32(in);
    get_zeros(in, 4);
}

void wire_put_error(struct wire_out *out, const struct wire_error *error)
{
    put_u64(out, error->token);
    put_u32(out, error->code);
    put_short(out, error->detail);
}

void wire_get_error(struct wire_in *in, struct wire_error *ret_error)
{
    ret_error->token = get_u64(in);
    ret_error->code = get_u32(in);
    ret_error->detail = get_short(in);
}
