/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

static_assert(WIRE_HEADER_SIZE == 4 + 1 + 1 + 2 + 8, "PROTOCOL.md: header");
static_assert(WIRE_BATCH_HEAD_SIZE == 3 * 8 + 2 * 4 + 8, "PROTOCOL.md: BATCH");
static_assert(WIRE_ENTRY_HEAD_SIZE == 4 + 2 + 2 + 4 + 4, "PROTOCOL.md: entry");
static_assert(WIRE_ACK_HEAD_SIZE == 3 * 8 + 4 + 4 + 8, "PROTOCOL.md: ACK");
static_assert(WIRE_RUN_SIZE == 8 + 4 + 4, "PROTOCOL.md: run");
static_assert(WIRE_SLICE_HEAD_SIZE == 8 + 4 * 8, "PROTOCOL.md: SLICE");
static_assert(WIRE_DELIVER_HEAD_SIZE == 8 + 4 + 4 + 4 + 4 + 4 * 8, "PROTOCOL.md: DELIVER");
static_assert(WIRE_GRANT_SIZE == 8 + 4 + 4 + 8, "PROTOCOL.md: grant");
static_assert(WIRE_ITEM_HEAD_SIZE == 3 * 8 + 4 * 4, "PROTOCOL.md: item");
static_assert(WIRE_SESSION_ROW_SIZE_MAX ==
                  7 * 8 + 2 * 4 + 1 + 3 + 1 + WIRE_SESSION_MAX + 2 + WIRE_ID_MAX,
              "PROTOCOL.md: session row");

static const uint8_t magic[3] = {'S', 'P', 'N'};

/* -- buffers ---------------------------------------------------------------------------------- */

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

static const uint8_t *take(struct wire_in *in, size_t size)
{
    if (in->bad || size > (size_t)(in->end - in->at)) {
        in->bad = true;
        return NULL;
    }
    const uint8_t *at = in->at;
    in->at += size;
    return at;
}

static uint8_t *room(struct wire_out *out, size_t size)
{
    if (out->bad || size > (size_t)(out->end - out->at)) {
        out->bad = true;
        return NULL;
    }
    uint8_t *at = out->at;
    out->at += size;
    return at;
}

static uint8_t get_u8(struct wire_in *in)
{
    const uint8_t *at = take(in, 1);
    return at ? *at : 0;
}

static uint16_t get_u16(struct wire_in *in)
{
    uint16_t value = 0;
    const uint8_t *at = take(in, sizeof(value));
    if (at)
        memcpy(&value, at, sizeof(value));
    return le16toh(value);
}

static uint32_t get_u32(struct wire_in *in)
{
    uint32_t value = 0;
    const uint8_t *at = take(in, sizeof(value));
    if (at)
        memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static uint64_t get_u64(struct wire_in *in)
{
    uint64_t value = 0;
    const uint8_t *at = take(in, sizeof(value));
    if (at)
        memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

static struct spn_bytes get_bytes(struct wire_in *in, size_t size)
{
    const uint8_t *at = take(in, size);
    return (struct spn_bytes){.data = at, .size = at ? size : 0};
}

static void put_uint(struct wire_out *out, const void *value, size_t size)
{
    uint8_t *at = room(out, size);
    if (at)
        memcpy(at, value, size);
}

static void put_u8(struct wire_out *out, uint8_t value)
{
    put_uint(out, &value, sizeof(value));
}

static void put_u16(struct wire_out *out, uint16_t value)
{
    value = htole16(value);
    put_uint(out, &value, sizeof(value));
}

static void put_u32(struct wire_out *out, uint32_t value)
{
    value = htole32(value);
    put_uint(out, &value, sizeof(value));
}

static void put_u64(struct wire_out *out, uint64_t value)
{
    value = htole64(value);
    put_uint(out, &value, sizeof(value));
}

static void put_bytes(struct wire_out *out, struct spn_bytes bytes)
{
    uint8_t *at = room(out, bytes.size);
    if (at && bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
}

/* A length of one or two bytes, then the bytes. What is longer than the field can say is bad. */
static void put_short(struct wire_out *out, struct spn_bytes bytes)
{
    if (bytes.size > UINT8_MAX)
        out->bad = true;
    put_u8(out, (uint8_t)bytes.size);
    put_bytes(out, bytes);
}

static struct spn_bytes get_short(struct wire_in *in)
{
    return get_bytes(in, get_u8(in));
}

static void get_zeros(struct wire_in *in, size_t size)
{
    const uint8_t *at = take(in, size);
    for (size_t i = 0; at && i < size; i++)
        if (at[i] != 0)
            in->bad = true;
}

static void put_zeros(struct wire_out *out, size_t size)
{
    uint8_t *at = room(out, size);
    if (at)
        memset(at, 0, size);
}

/* -- checks ------------------------------------------------------------------------------------ */

/* Length of the UTF-8 sequence at bytes (RFC 3629, table in section 4), 0 if there is none. */
static size_t utf8_length(const uint8_t *bytes, size_t size)
{
    uint8_t first = bytes[0];
    if (first < 0x80)
        return 1;
    size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || size < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((bytes[i] & 0xC0) != 0x80)
            return 0;
    if ((first == 0xE0 && bytes[1] < 0xA0) || (first == 0xED && bytes[1] > 0x9F) ||
        (first == 0xF0 && bytes[1] < 0x90) || (first == 0xF4 && bytes[1] > 0x8F))
        return 0; /* overlong, surrogate, or above U+10FFFF */
    return length;
}

static bool is_nowhere(struct spn_bytes bytes)
{
    return bytes.data == NULL && bytes.size > 0;
}

spn_err wire_check_session(struct spn_bytes session)
{
    const uint8_t *bytes = session.data;
    if (is_nowhere(session))
        return SPN_E_INVALID;
    if (session.size == 0 || session.size > WIRE_SESSION_MAX)
        return SPN_E_BAD_SESSION;
    for (size_t i = 0; i < session.size;) {
        size_t length = utf8_length(bytes + i, session.size - i);
        bool c1 = length == 2 && bytes[i] == 0xC2 && bytes[i + 1] < 0xA0;
        if (length == 0 || bytes[i] < 0x20 || bytes[i] == 0x7F || c1)
            return SPN_E_BAD_SESSION;
        i += length;
    }
    return SPN_OK;
}

static bool has_any(struct spn_bytes bytes, const char *set, size_t set_size)
{
    for (size_t i = 0; i < set_size; i++)
        if (bytes.size > 0 && memchr(bytes.data, set[i], bytes.size))
            return true;
    return false;
}

spn_err wire_check_id(struct spn_bytes id)
{
    if (is_nowhere(id))
        return SPN_E_INVALID;
    return id.size > WIRE_ID_MAX || has_any(id, "\0\r\n", 3) ? SPN_E_BAD_ID : SPN_OK;
}

spn_err wire_check_type(struct spn_bytes type)
{
    if (is_nowhere(type))
        return SPN_E_INVALID;
    return type.size > WIRE_TYPE_MAX || has_any(type, "\0\r\n", 3) ? SPN_E_BAD_TYPE : SPN_OK;
}

spn_err wire_check_data(struct spn_bytes data, size_t data_max)
{
    if (is_nowhere(data))
        return SPN_E_INVALID;
    if (data.size > data_max)
        return SPN_E_EVENT_TOO_LARGE;
    return has_any(data, "\r", 1) ? SPN_E_BAD_DATA : SPN_OK;
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
    /* Numbers start at 1 and must not wrap; count is bounded by the bytes that carry it. */
    if (ret_batch->base == 0 || ret_batch->base > ret_batch->first ||
        ret_batch->first > UINT64_MAX - ret_batch->count || ret_batch->count == 0 ||
        ret_batch->count > WIRE_BATCH_EVENTS_MAX || ret_batch->level > WIRE_DURABLE)
        in->bad = true;
}

/* A close or a delete: it is numbered as an event is, and carries an epoch where that has data. */
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

/* A marker has no type and no data, and says something. */
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
    if (!wire_is_stored(ret_entry->kind) && ret_entry->kind != WIRE_SKIP && !ends)
        in->bad = true;
    if (lies_as_marker(ret_entry))
        in->bad = true;
    if (ret_entry->kind != WIRE_SKIP && ret_entry->session.size == 0)
        in->bad = true;
    if (ret_entry->kind == WIRE_SKIP && (session_size | type_size | id_size | data_size) != 0)
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
    put_zeros(out, 3);
}

void wire_get_run(struct wire_in *in, struct wire_run *ret_run)
{
    ret_run->first = get_u64(in);
    ret_run->count = get_u32(in);
    ret_run->result = get_u8(in);
    get_zeros(in, 3);
    if (ret_run->result > WIRE_LOST || ret_run->first > UINT64_MAX - ret_run->count)
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

void wire_put_refused(struct wire_out *out, const struct wire_refused *refused)
{
    put_u64(out, refused->token);
    put_u64(out, refused->number);
    put_u32(out, refused->round);
    put_u32(out, refused->code);
}

void wire_get_refused(struct wire_in *in, struct wire_refused *ret_refused)
{
    ret_refused->token = get_u64(in);
    ret_refused->number = get_u64(in);
    ret_refused->round = get_u32(in);
    ret_refused->code = get_u32(in);
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

/* -- read.sock --------------------------------------------------------------------------------- */

void wire_put_welcome(struct wire_out *out, const struct wire_welcome *welcome)
{
    put_u64(out, welcome->instance);
    put_u32(out, welcome->data_max);
    put_u32(out, welcome->batch_bytes_max);
    put_u32(out, welcome->batch_events_max);
    put_short(out, welcome->version);
}

void wire_get_welcome(struct wire_in *in, struct wire_welcome *ret_welcome)
{
    ret_welcome->instance = get_u64(in);
    ret_welcome->data_max = get_u32(in);
    ret_welcome->batch_bytes_max = get_u32(in);
    ret_welcome->batch_events_max = get_u32(in);
    ret_welcome->version = get_short(in);
    if (ret_welcome->data_max > WIRE_EVENT_DATA_MAX || ret_welcome->batch_events_max == 0)
        in->bad = true;
}

static void put_mark(struct wire_out *out, const struct wire_mark *mark)
{
    put_bytes(out, (struct spn_bytes){mark->database, sizeof(mark->database)});
    put_u64(out, mark->position);
}

static void get_mark(struct wire_in *in, struct wire_mark *ret_mark)
{
    struct spn_bytes database = get_bytes(in, sizeof(ret_mark->database));
    memset(ret_mark->database, 0, sizeof(ret_mark->database));
    if (database.data)
        memcpy(ret_mark->database, database.data, sizeof(ret_mark->database));
    ret_mark->position = get_u64(in);
}

void wire_put_leave(struct wire_out *out, uint64_t token)
{
    put_u64(out, token);
}

void wire_get_leave(struct wire_in *in, uint64_t *ret_token)
{
    *ret_token = get_u64(in);
}

void wire_put_open(struct wire_out *out, const struct wire_open *open)
{
    put_bytes(out, (struct spn_bytes){open->producer, sizeof(open->producer)});
    put_u64(out, open->token);
    put_u64(out, open->base);
    put_u8(out, open->kept);
    put_zeros(out, 7);
    put_mark(out, &open->known);
    put_u64(out, open->instance);
}

void wire_get_open(struct wire_in *in, struct wire_open *ret_open)
{
    struct spn_bytes producer = get_bytes(in, sizeof(ret_open->producer));
    memset(ret_open->producer, 0, sizeof(ret_open->producer));
    if (producer.data)
        memcpy(ret_open->producer, producer.data, sizeof(ret_open->producer));
    ret_open->token = get_u64(in);
    ret_open->base = get_u64(in);
    uint8_t kept = get_u8(in);
    get_zeros(in, 7);
    get_mark(in, &ret_open->known);
    ret_open->instance = get_u64(in);
    ret_open->kept = kept == 1;
    if (ret_open->base == 0 || kept > 1)
        in->bad = true;
}

void wire_put_state(struct wire_out *out, const struct wire_state *state)
{
    put_u64(out, state->token);
    put_u64(out, state->instance);
    put_u64(out, state->accepted);
    put_u64(out, state->durable);
    put_u32(out, state->run_count);
    put_mark(out, &state->mark);
}

void wire_get_state(struct wire_in *in, struct wire_state *ret_state)
{
    ret_state->token = get_u64(in);
    ret_state->instance = get_u64(in);
    ret_state->accepted = get_u64(in);
    ret_state->durable = get_u64(in);
    ret_state->run_count = get_u32(in);
    get_mark(in, &ret_state->mark);
    if (ret_state->durable > ret_state->accepted || ret_state->run_count > WIRE_RUNS_MAX)
        in->bad = true;
}

void wire_put_ask(struct wire_out *out, const struct wire_ask *ask)
{
    put_u64(out, ask->token);
    put_u64(out, ask->base);
}

void wire_get_ask(struct wire_in *in, struct wire_ask *ret_ask)
{
    ret_ask->token = get_u64(in);
    ret_ask->base = get_u64(in);
    if (ret_ask->base == 0)
        in->bad = true;
}

void wire_put_last(struct wire_out *out, struct spn_bytes session)
{
    put_short(out, session);
}

void wire_get_last(struct wire_in *in, struct spn_bytes *ret_session)
{
    *ret_session = get_short(in);
}

static void put_id(struct wire_out *out, struct spn_bytes id)
{
    if (id.size > WIRE_ID_MAX)
        out->bad = true;
    put_u16(out, (uint16_t)id.size);
    put_bytes(out, id);
}

static struct spn_bytes get_id(struct wire_in *in)
{
    uint16_t size = get_u16(in);
    if (size > WIRE_ID_MAX)
        in->bad = true;
    return get_bytes(in, size);
}

void wire_put_last_is(struct wire_out *out, const struct wire_last_is *last)
{
    put_u64(out, last->epoch);
    put_u64(out, last->seq);
    put_u64(out, last->position);
    put_u64(out, last->time_ms);
    put_id(out, last->id);
}

void wire_get_last_is(struct wire_in *in, struct wire_last_is *ret_last)
{
    ret_last->epoch = get_u64(in);
    ret_last->seq = get_u64(in);
    ret_last->position = get_u64(in);
    ret_last->time_ms = get_u64(in);
    ret_last->id = get_id(in);
}

void wire_put_fetch(struct wire_out *out, const struct wire_fetch *fetch)
{
    put_u8(out, fetch->start);
    put_u32(out, fetch->bytes_max);
    put_u64(out, fetch->epoch);
    put_u64(out, fetch->seq);
    put_short(out, fetch->session);
    put_id(out, fetch->id);
}

void wire_get_fetch(struct wire_in *in, struct wire_fetch *ret_fetch)
{
    ret_fetch->start = get_u8(in);
    ret_fetch->bytes_max = get_u32(in);
    ret_fetch->epoch = get_u64(in);
    ret_fetch->seq = get_u64(in);
    ret_fetch->session = get_short(in);
    ret_fetch->id = get_id(in);
    if (ret_fetch->start > WIRE_AFTER_SEQ)
        in->bad = true;
}

void wire_put_slice(struct wire_out *out, const struct wire_slice *slice)
{
    put_u8(out, slice->verdict);
    put_zeros(out, 3);
    put_u32(out, slice->count);
    put_u64(out, slice->epoch);
    put_u64(out, slice->seq);
    put_u64(out, slice->seq_last);
    put_u64(out, slice->missing);
}

void wire_get_slice(struct wire_in *in, struct wire_slice *ret_slice)
{
    ret_slice->verdict = get_u8(in);
    get_zeros(in, 3);
    ret_slice->count = get_u32(in);
    ret_slice->epoch = get_u64(in);
    ret_slice->seq = get_u64(in);
    ret_slice->seq_last = get_u64(in);
    ret_slice->missing = get_u64(in);
    if (ret_slice->verdict > WIRE_OTHER_EPOCH)
        in->bad = true;
}

void wire_put_subscribe(struct wire_out *out, const struct wire_subscribe *subscribe)
{
    put_u64(out, subscribe->subscription);
    put_u32(out, subscribe->incarnation);
    put_u8(out, subscribe->start);
    put_u8(out, subscribe->otherwise);
    put_zeros(out, 2);
    put_u64(out, subscribe->epoch);
    put_u64(out, subscribe->seq);
    put_u64(out, subscribe->credit);
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
    ret_subscribe->epoch = get_u64(in);
    ret_subscribe->seq = get_u64(in);
    ret_subscribe->credit = get_u64(in);
    ret_subscribe->session = get_short(in);
    ret_subscribe->id = get_id(in);
    if (ret_subscribe->start > WIRE_NOW || ret_subscribe->otherwise > WIRE_WAIT)
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
    put_zeros(out, 2);
    put_u32(out, deliver->count);
    put_u32(out, deliver->size);
    put_u64(out, deliver->epoch);
    put_u64(out, deliver->seq);
    put_u64(out, deliver->bytes);
    put_u64(out, deliver->missing);
}

void wire_get_deliver(struct wire_in *in, struct wire_deliver *ret_deliver,
                      struct wire_in *ret_items)
{
    ret_deliver->subscription = get_u64(in);
    ret_deliver->incarnation = get_u32(in);
    ret_deliver->kind = get_u8(in);
    ret_deliver->verdict = get_u8(in);
    get_zeros(in, 2);
    ret_deliver->count = get_u32(in);
    ret_deliver->size = get_u32(in);
    ret_deliver->epoch = get_u64(in);
    ret_deliver->seq = get_u64(in);
    ret_deliver->bytes = get_u64(in);
    ret_deliver->missing = get_u64(in);
    if (ret_deliver->kind > WIRE_END || ret_deliver->verdict > WIRE_DAMAGED)
        in->bad = true;
    if (ret_deliver->size > 0 && ret_deliver->kind != WIRE_EVENTS)
        in->bad = true;
    if (!in->bad && ret_deliver->size > (size_t)(in->end - in->at))
        in->bad = true;
    *ret_items = wire_in(in->at, in->bad ? 0 : ret_deliver->size);
    ret_items->bad = in->bad;
    in->at += in->bad ? 0 : ret_deliver->size;
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

size_t wire_item_size(const struct wire_item *item)
{
    return WIRE_ITEM_HEAD_SIZE + item->id.size + item->type.size + item->data.size;
}

void wire_put_item(struct wire_out *out, const struct wire_item *item)
{
    if (item->id.size > WIRE_ID_MAX || item->type.size > WIRE_TYPE_MAX ||
        item->data.size > WIRE_EVENT_DATA_MAX)
        out->bad = true;
    put_u64(out, item->seq);
    put_u64(out, item->position);
    put_u64(out, item->time_ms);
    put_u32(out, item->retry_ms);
    put_u32(out, (uint32_t)item->data.size);
    put_u16(out, (uint16_t)item->id.size);
    put_u16(out, (uint16_t)item->type.size);
    put_u8(out, item->kind);
    put_zeros(out, 3);
    put_bytes(out, item->id);
    put_bytes(out, item->type);
    put_bytes(out, item->data);
}

void wire_get_item(struct wire_in *in, struct wire_item *ret_item)
{
    ret_item->seq = get_u64(in);
    ret_item->position = get_u64(in);
    ret_item->time_ms = get_u64(in);
    ret_item->retry_ms = get_u32(in);
    uint32_t data_size = get_u32(in);
    uint16_t id_size = get_u16(in);
    uint16_t type_size = get_u16(in);
    ret_item->kind = get_u8(in);
    get_zeros(in, 3);
    if (ret_item->kind > WIRE_ITEM_RESET || id_size > WIRE_ID_MAX || type_size > WIRE_TYPE_MAX ||
        data_size > WIRE_EVENT_DATA_MAX)
        in->bad = true;
    ret_item->id = get_bytes(in, id_size);
    ret_item->type = get_bytes(in, type_size);
    ret_item->data = get_bytes(in, data_size);
}

void wire_put_sessions(struct wire_out *out, const struct wire_sessions *sessions)
{
    put_u32(out, sessions->count_max);
    put_short(out, sessions->after);
    put_short(out, sessions->prefix);
}

void wire_get_sessions(struct wire_in *in, struct wire_sessions *ret_sessions)
{
    ret_sessions->count_max = get_u32(in);
    ret_sessions->after = get_short(in);
    ret_sessions->prefix = get_short(in);
}

void wire_put_sessions_are(struct wire_out *out, const struct wire_sessions_are *sessions)
{
    put_u32(out, sessions->count);
    put_u8(out, sessions->more);
}

void wire_get_sessions_are(struct wire_in *in, struct wire_sessions_are *ret_sessions)
{
    ret_sessions->count = get_u32(in);
    ret_sessions->more = get_u8(in);
}

void wire_put_session_row(struct wire_out *out, const struct wire_session_row *row)
{
    put_u64(out, row->epoch);
    put_u64(out, row->seq);
    put_u64(out, row->position);
    put_u64(out, row->bytes);
    put_u64(out, row->opened_ms);
    put_u64(out, row->last_ms);
    put_u64(out, row->markers);
    put_u32(out, row->duplicates);
    put_u32(out, row->conflicts);
    put_u8(out, row->state);
    put_zeros(out, 3);
    put_short(out, row->name);
    put_id(out, row->last_id);
}

void wire_get_session_row(struct wire_in *in, struct wire_session_row *ret_row)
{
    ret_row->epoch = get_u64(in);
    ret_row->seq = get_u64(in);
    ret_row->position = get_u64(in);
    ret_row->bytes = get_u64(in);
    ret_row->opened_ms = get_u64(in);
    ret_row->last_ms = get_u64(in);
    ret_row->markers = get_u64(in);
    ret_row->duplicates = get_u32(in);
    ret_row->conflicts = get_u32(in);
    ret_row->state = get_u8(in);
    get_zeros(in, 3);
    ret_row->name = get_short(in);
    ret_row->last_id = get_id(in);
    if (ret_row->state > WIRE_SESSION_DAMAGED || ret_row->markers > ret_row->seq)
        in->bad = true;
}

void wire_put_info(struct wire_out *out, struct spn_bytes session)
{
    put_short(out, session);
}

void wire_get_info(struct wire_in *in, struct spn_bytes *ret_session)
{
    *ret_session = get_short(in);
}

void wire_put_info_is(struct wire_out *out, const struct wire_info_is *info)
{
    wire_put_session_row(out, &info->row);
    put_u64(out, info->first_seq);
    put_u64(out, info->markers);
}

void wire_get_info_is(struct wire_in *in, struct wire_info_is *ret_info)
{
    wire_get_session_row(in, &ret_info->row);
    ret_info->first_seq = get_u64(in);
    ret_info->markers = get_u64(in);
    /* Seqs begin at 1, and what is retained begins behind the newest event at the latest: 0 wraps.
     */
    if (ret_info->first_seq - 1 > ret_info->row.seq ||
        ret_info->markers > ret_info->row.seq + 1 - ret_info->first_seq)
        in->bad = true;
}

void wire_put_health(struct wire_out *out, const struct wire_health *health)
{
    put_u8(out, health->status);
    put_u32(out, health->pid);
    put_u64(out, health->instance);
    put_u64(out, health->uptime_ms);
    put_u64(out, health->durable);
    put_u64(out, health->checkpoint);
    put_short(out, health->version);
    put_short(out, health->reason);
}

void wire_get_health(struct wire_in *in, struct wire_health *ret_health)
{
    ret_health->status = get_u8(in);
    ret_health->pid = get_u32(in);
    ret_health->instance = get_u64(in);
    ret_health->uptime_ms = get_u64(in);
    ret_health->durable = get_u64(in);
    ret_health->checkpoint = get_u64(in);
    ret_health->version = get_short(in);
    ret_health->reason = get_short(in);
    if (ret_health->status > WIRE_STOPPING)
        in->bad = true;
}

void wire_put_stats_are(struct wire_out *out, const struct wire_stats_are *stats)
{
    put_u32(out, stats->count);
}

void wire_get_stats_are(struct wire_in *in, struct wire_stats_are *ret_stats)
{
    ret_stats->count = get_u32(in);
}

void wire_put_stat(struct wire_out *out, const struct wire_stat *stat)
{
    put_u64(out, stat->value);
    put_short(out, stat->name);
}

void wire_get_stat(struct wire_in *in, struct wire_stat *ret_stat)
{
    ret_stat->value = get_u64(in);
    ret_stat->name = get_short(in);
}
