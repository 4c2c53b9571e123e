/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <assert.h>

#include "wire_buffer.h"

static_assert(WIRE_HEADER_SIZE == 4 + 1 + 1 + 2 + 8, "PROTOCOL.md: header");
static_assert(WIRE_BATCH_HEAD_SIZE == 3 * 8 + 2 * 4 + 8, "PROTOCOL.md: BATCH");
static_assert(WIRE_ENTRY_HEAD_SIZE == 4 + 2 + 2 + 4 + 4, "PROTOCOL.md: entry");
static_assert(WIRE_ITEM_HEAD_SIZE == 3 * 8 + WIRE_ENTRY_HEAD_SIZE, "PROTOCOL.md: item");
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
        ret_batch->count > WIRE_BATCH_EVENTS_MAX || ret_batch->level > WIRE_REPLICATED)
        in->bad = true;
}

/* -- entries and items ------------------------------------------------------------------------- */

static bool has_flag(const struct wire_entry *entry, enum wire_flag flag)
{
    return (entry->flags & flag) != 0;
}

static size_t extra_size(const struct wire_entry *entry)
{
    return (has_flag(entry, WIRE_FLAG_LIFE) ? sizeof(entry->life.bytes) : 0) +
           (has_flag(entry, WIRE_FLAG_SEQ) ? sizeof(entry->seq) : 0) +
           (has_flag(entry, WIRE_FLAG_CLOSES) ? 1 + entry->reason.size : 0) +
           (has_flag(entry, WIRE_FLAG_DEPENDS) ? sizeof(entry->depends) : 0) +
           (has_flag(entry, WIRE_FLAG_NOTE) ? 2 + entry->note.size : 0);
}

size_t wire_entry_size(const struct wire_entry *entry)
{
    return WIRE_ENTRY_HEAD_SIZE + entry->session.size + entry->id.size + entry->type.size +
           extra_size(entry) + entry->data.size;
}

void wire_put_publish(struct wire_out *out, const struct wire_publish *publish)
{
    put_u64(out, publish->features);
    put_u8(out, publish->level);
    put_zeros(out, 7);
    wire_put_entry(out, &publish->entry);
}

void wire_get_publish(struct wire_in *in, struct wire_publish *ret_publish)
{
    ret_publish->features = get_u64(in);
    ret_publish->level = get_u8(in);
    get_zeros(in, 7);
    wire_get_entry(in, (struct spn_bytes){NULL, 0}, &ret_publish->entry);
    if (ret_publish->level > WIRE_REPLICATED)
        in->bad = true;
}

void wire_put_published(struct wire_out *out, const struct wire_published *published)
{
    put_u8(out, published->result);
    put_u8(out, published->state);
    put_u16(out, published->code);
    put_zeros(out, 4);
    put_life(out, published->life);
    put_u64(out, published->seq);
    put_u64(out, published->position);
    put_u16(out, (uint16_t)published->id.size);
    put_bytes(out, published->id);
}

void wire_get_published(struct wire_in *in, struct wire_published *ret_published)
{
    ret_published->result = get_u8(in);
    ret_published->state = get_u8(in);
    ret_published->code = get_u16(in);
    get_zeros(in, 4);
    ret_published->life = get_life(in);
    ret_published->seq = get_u64(in);
    ret_published->position = get_u64(in);
    uint16_t id_size = get_u16(in);
    ret_published->id = get_bytes(in, id_size);
    if (ret_published->result > WIRE_REFUSED || ret_published->state > WIRE_SESSION_DAMAGED ||
        (ret_published->result == WIRE_REFUSED) != (ret_published->code != 0) ||
        id_size > WIRE_ID_MAX)
        in->bad = true;
}

size_t wire_item_size(const struct wire_item *item)
{
    return WIRE_ITEM_HEAD_SIZE - WIRE_ENTRY_HEAD_SIZE + wire_entry_size(&item->entry);
}

static void put_extra(struct wire_out *out, const struct wire_entry *entry)
{
    if (has_flag(entry, WIRE_FLAG_LIFE))
        put_life(out, entry->life);
    if (has_flag(entry, WIRE_FLAG_SEQ))
        put_u64(out, entry->seq);
    if (has_flag(entry, WIRE_FLAG_CLOSES))
        put_short(out, entry->reason);
    if (has_flag(entry, WIRE_FLAG_DEPENDS))
        put_u64(out, entry->depends);
    if (has_flag(entry, WIRE_FLAG_NOTE)) {
        put_u16(out, (uint16_t)entry->note.size);
        put_bytes(out, entry->note);
    }
}

/* In one piece: room is looked for once. */
static void put_entry_head(struct wire_out *out, const struct wire_entry *entry)
{
    uint8_t head[WIRE_ENTRY_HEAD_SIZE];
    struct wire_out fields = wire_out(head, sizeof(head));
    put_u8(&fields, entry->kind);
    put_u8(&fields, (uint8_t)entry->session.size);
    put_u8(&fields, (uint8_t)entry->type.size);
    put_u8(&fields, entry->flags);
    put_u16(&fields, (uint16_t)entry->id.size);
    put_u16(&fields, (uint16_t)extra_size(entry));
    put_u32(&fields, (uint32_t)entry->data.size);
    put_u32(&fields, entry->retry_ms);
    put_uint(out, head, sizeof(head));
}

void wire_put_entry(struct wire_out *out, const struct wire_entry *entry)
{
    if (entry->session.size > WIRE_SESSION_MAX || entry->id.size > WIRE_ID_MAX ||
        entry->type.size > WIRE_TYPE_MAX || entry->data.size > WIRE_EVENT_DATA_MAX)
        out->bad = true;
    if (has_flag(entry, WIRE_FLAG_NOTE) && entry->note.size > WIRE_NOTE_MAX)
        out->bad = true;
    put_entry_head(out, entry);
    put_bytes(out, entry->session);
    put_bytes(out, entry->id);
    put_bytes(out, entry->type);
    if (entry->flags != 0)
        put_extra(out, entry);
    put_bytes(out, entry->data);
}

void wire_put_item(struct wire_out *out, const struct wire_item *item)
{
    put_u64(out, item->seq);
    put_u64(out, item->position);
    put_u64(out, item->time_ms);
    wire_put_entry(out, &item->entry);
}

/* Reads the parts of the flags that are known. */
static void get_extra(struct wire_in *in, struct wire_entry *entry)
{
    if (has_flag(entry, WIRE_FLAG_LIFE))
        entry->life = get_life(in);
    if (has_flag(entry, WIRE_FLAG_SEQ))
        entry->seq = get_u64(in);
    if (has_flag(entry, WIRE_FLAG_CLOSES))
        entry->reason = get_short(in);
    if (has_flag(entry, WIRE_FLAG_DEPENDS))
        entry->depends = get_u64(in);
    if (has_flag(entry, WIRE_FLAG_NOTE)) {
        entry->note = get_bytes(in, get_u16(in));
        in->bad |= entry->note.size == 0;
    }
}

/* Numbers of this size together: whether they are there is checked once. Zeros if they are not. */
static struct wire_in get_head(struct wire_in *in, size_t size)
{
    static const uint8_t zeros[WIRE_ITEM_HEAD_SIZE];
    const uint8_t *at = take(in, size);
    at = at ? at : zeros;
    return (struct wire_in){.at = at, .end = at + size};
}

/* Reads what entries and items share. Returns the extra bytes, of which the known parts are read.
 * Its session is empty if it has none of its own. Most entries have no flags: what only flags fill
 * in is not cleared for them, but for sizes. */
static struct wire_in get_parts(struct wire_in *in, struct wire_entry *ret_entry)
{
    struct wire_in head = get_head(in, WIRE_ENTRY_HEAD_SIZE);
    ret_entry->kind = get_u8(&head);
    uint8_t session_size = get_u8(&head);
    uint8_t type_size = get_u8(&head);
    ret_entry->flags = get_u8(&head);
    uint16_t id_size = get_u16(&head);
    uint16_t parts_size = get_u16(&head);
    uint32_t data_size = get_u32(&head);
    ret_entry->retry_ms = get_u32(&head);
    ret_entry->session = get_bytes(in, session_size);
    ret_entry->id = get_bytes(in, id_size);
    ret_entry->type = get_bytes(in, type_size);
    struct spn_bytes parts = get_bytes(in, parts_size);
    struct wire_in extra = wire_in(parts.data, parts.size);
    ret_entry->data = get_bytes(in, data_size);
    ret_entry->reason.size = ret_entry->note.size = 0;
    if (ret_entry->flags != 0)
        get_extra(&extra, ret_entry);
    in->bad |= extra.bad;
    return extra;
}

/* True for a marker with a type or data, a marker with neither id nor retry, or a reset with an id.
 */
static bool lies_as_marker(const struct wire_entry *entry)
{
    if (entry->type.size > 0 || entry->data.size > 0)
        return true;
    return entry->kind == WIRE_RESET ? entry->id.size > 0
                                     : entry->id.size == 0 && entry->retry_ms == WIRE_RETRY_NONE;
}

/* True if it has nothing but a session, flags and, if data is allowed, data. */
static bool is_bare(const struct wire_entry *entry, bool data_allowed)
{
    return entry->id.size == 0 && entry->type.size == 0 && entry->retry_ms == WIRE_RETRY_NONE &&
           (data_allowed || entry->data.size == 0);
}

/* Whether a kind that an entry and an item may have goes with what the entry has. */
static bool is_sound(const struct wire_entry *entry)
{
    bool closes = has_flag(entry, WIRE_FLAG_CLOSES);
    bool note = has_flag(entry, WIRE_FLAG_NOTE);
    switch (entry->kind) {
    case WIRE_EVENT:
        return true;
    case WIRE_MARKER:
    case WIRE_RESET:
        return !closes && !lies_as_marker(entry);
    case WIRE_CLOSE:
        return closes && !note && is_bare(entry, false);
    case WIRE_DELETE:
    case WIRE_TOUCH:
        return !closes && !note && is_bare(entry, false);
    case WIRE_ATTRIBUTES:
        return !closes && !note && is_bare(entry, true);
    default:
        return false;
    }
}

void wire_get_entry(struct wire_in *in, struct spn_bytes session, struct wire_entry *ret_entry)
{
    struct wire_in extra = get_parts(in, ret_entry);
    if (ret_entry->session.size == 0)
        ret_entry->session = session;
    bool excluded = has_flag(ret_entry, WIRE_FLAG_NEW) &&
                    (ret_entry->flags & (WIRE_FLAG_LIFE | WIRE_FLAG_SEQ)) != 0;
    bool no_life = has_flag(ret_entry, WIRE_FLAG_LIFE) && !wire_has_life(ret_entry->life);
    if (!is_sound(ret_entry) || excluded || no_life || (ret_entry->flags & ~WIRE_FLAGS) != 0 ||
        !wire_in_done(&extra) || ret_entry->session.size == 0)
        in->bad = true;
}

static bool is_sound_item(const struct wire_entry *entry)
{
    if (entry->id.size > WIRE_ID_MAX || entry->data.size > WIRE_EVENT_DATA_MAX)
        return false;
    if (entry->kind == WIRE_ITEM_OPEN || entry->kind == WIRE_ITEM_EXPIRE)
        return (entry->flags & (WIRE_FLAG_CLOSES | WIRE_FLAG_NOTE)) == 0 && is_bare(entry, false);
    return is_sound(entry);
}

void wire_get_item(struct wire_in *in, struct wire_item *ret_item)
{
    struct wire_in head = get_head(in, WIRE_ITEM_HEAD_SIZE - WIRE_ENTRY_HEAD_SIZE);
    ret_item->seq = get_u64(&head);
    ret_item->position = get_u64(&head);
    ret_item->time_ms = get_u64(&head);
    (void)get_parts(in, &ret_item->entry);
    if ((ret_item->entry.flags & WIRE_FLAGS & ~WIRE_FLAGS_OF_ITEMS) != 0 ||
        !is_sound_item(&ret_item->entry))
        in->bad = true;
    ret_item->entry.flags &= WIRE_FLAGS_OF_ITEMS;
}

void wire_put_attributes(struct wire_out *out, const struct wire_attributes *attributes)
{
    put_u64(out, attributes->ttl_ms);
    put_u64(out, attributes->idle_close_ms);
    put_short(out, attributes->content_type);
    if (attributes->note.size > WIRE_SESSION_NOTE_MAX)
        out->bad = true;
    put_u16(out, (uint16_t)attributes->note.size);
    put_bytes(out, attributes->note);
    put_fields(out);
}

void wire_get_attributes(struct wire_in *in, struct wire_attributes *ret_attributes)
{
    ret_attributes->ttl_ms = get_u64(in);
    ret_attributes->idle_close_ms = get_u64(in);
    ret_attributes->content_type = get_short(in);
    ret_attributes->note = get_bytes(in, get_u16(in));
    get_fields(in);
    if (ret_attributes->note.size > WIRE_SESSION_NOTE_MAX)
        in->bad = true;
}

/* -- answers on ingest.sock -------------------------------------------------------------------- */

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
