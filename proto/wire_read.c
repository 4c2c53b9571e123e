/* SPDX-License-Identifier: Apache-2.0 */
/* Requests on read.sock and their answers; and LEAVE, which goes to ingest.sock. */
#include <assert.h>

#include "wire_buffer.h"

static_assert(WIRE_SLICE_HEAD_SIZE == 8 + 16 + 3 * 8, "PROTOCOL.md: SLICE");

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

void wire_put_hello(struct wire_out *out, uint64_t features)
{
    put_u64(out, features);
    put_fields(out);
}

void wire_get_hello(struct wire_in *in, uint64_t *ret_features)
{
    *ret_features = get_u64(in);
    get_fields(in);
}

void wire_put_welcome(struct wire_out *out, const struct wire_welcome *welcome)
{
    put_u64(out, welcome->instance);
    put_u64(out, welcome->features);
    put_u32(out, welcome->data_max);
    put_u32(out, welcome->batch_bytes_max);
    put_u32(out, welcome->batch_events_max);
    put_u32(out, welcome->frame_max);
    put_u32(out, welcome->window);
    put_u32(out, welcome->heartbeat_ms);
    put_u32(out, welcome->lease_ms);
    put_mark(out, &welcome->mark);
    put_short(out, welcome->version);
    put_fields(out);
}

void wire_get_welcome(struct wire_in *in, struct wire_welcome *ret_welcome)
{
    ret_welcome->instance = get_u64(in);
    ret_welcome->features = get_u64(in);
    ret_welcome->data_max = get_u32(in);
    ret_welcome->batch_bytes_max = get_u32(in);
    ret_welcome->batch_events_max = get_u32(in);
    ret_welcome->frame_max = get_u32(in);
    ret_welcome->window = get_u32(in);
    ret_welcome->heartbeat_ms = get_u32(in);
    ret_welcome->lease_ms = get_u32(in);
    get_mark(in, &ret_welcome->mark);
    ret_welcome->version = get_short(in);
    get_fields(in);
    if (ret_welcome->data_max > WIRE_EVENT_DATA_MAX || ret_welcome->batch_events_max == 0)
        in->bad = true;
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
    put_u64(out, open->features);
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
    ret_open->features = get_u64(in);
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

void wire_put_last_is(struct wire_out *out, const struct wire_last_is *last)
{
    put_life(out, last->life);
    put_u64(out, last->seq);
    put_u64(out, last->position);
    put_u64(out, last->time_ms);
    put_u8(out, last->state);
    put_zeros(out, 7);
    put_id(out, last->id);
}

void wire_get_last_is(struct wire_in *in, struct wire_last_is *ret_last)
{
    ret_last->life = get_life(in);
    ret_last->seq = get_u64(in);
    ret_last->position = get_u64(in);
    ret_last->time_ms = get_u64(in);
    ret_last->state = get_u8(in);
    get_zeros(in, 7);
    ret_last->id = get_id(in);
    if (ret_last->state > WIRE_SESSION_DAMAGED)
        in->bad = true;
}

void wire_put_fetch(struct wire_out *out, const struct wire_fetch *fetch)
{
    put_u8(out, fetch->start);
    put_zeros(out, 3);
    put_u32(out, fetch->bytes_max);
    put_life(out, fetch->life);
    put_u64(out, fetch->seq);
    put_short(out, fetch->session);
    put_id(out, fetch->id);
}

void wire_get_fetch(struct wire_in *in, struct wire_fetch *ret_fetch)
{
    ret_fetch->start = get_u8(in);
    get_zeros(in, 3);
    ret_fetch->bytes_max = get_u32(in);
    ret_fetch->life = get_life(in);
    ret_fetch->seq = get_u64(in);
    ret_fetch->session = get_short(in);
    ret_fetch->id = get_id(in);
    if (ret_fetch->start > WIRE_AFTER_SEQ)
        in->bad = true;
}

void wire_put_slice(struct wire_out *out, const struct wire_slice *slice)
{
    put_u8(out, slice->verdict);
    put_u8(out, slice->state);
    put_zeros(out, 2);
    put_u32(out, slice->count);
    put_life(out, slice->life);
    put_u64(out, slice->seq);
    put_u64(out, slice->seq_last);
    put_u64(out, slice->missing);
}

void wire_get_slice(struct wire_in *in, struct wire_slice *ret_slice)
{
    ret_slice->verdict = get_u8(in);
    ret_slice->state = get_u8(in);
    get_zeros(in, 2);
    ret_slice->count = get_u32(in);
    ret_slice->life = get_life(in);
    ret_slice->seq = get_u64(in);
    ret_slice->seq_last = get_u64(in);
    ret_slice->missing = get_u64(in);
    if (ret_slice->verdict > WIRE_OTHER_LIFE || ret_slice->state > WIRE_SESSION_DAMAGED)
        in->bad = true;
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
    if (ret_sessions->count_max == 0)
        in->bad = true;
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

static size_t row_size(const struct wire_session_row *row)
{
    return 9 * sizeof(uint64_t) + sizeof(row->life.bytes) + 2 * sizeof(uint32_t) + 4 + 3 +
           row->reason.size + row->content_type.size + row->name.size + 2 + row->last_id.size;
}

void wire_put_session_row(struct wire_out *out, const struct wire_session_row *row)
{
    put_u16(out, (uint16_t)row_size(row));
    put_u64(out, row->epoch);
    put_life(out, row->life);
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
    put_u64(out, row->ttl_ms);
    put_u64(out, row->idle_close_ms);
    put_short(out, row->reason);
    put_short(out, row->content_type);
    put_short(out, row->name);
    put_id(out, row->last_id);
}

/* What is beyond the known fields is skipped. */
void wire_get_session_row(struct wire_in *in, struct wire_session_row *ret_row)
{
    struct spn_bytes whole = get_bytes(in, get_u16(in));
    struct wire_in row = wire_in(whole.data, whole.size);
    ret_row->epoch = get_u64(&row);
    ret_row->life = get_life(&row);
    ret_row->seq = get_u64(&row);
    ret_row->position = get_u64(&row);
    ret_row->bytes = get_u64(&row);
    ret_row->opened_ms = get_u64(&row);
    ret_row->last_ms = get_u64(&row);
    ret_row->markers = get_u64(&row);
    ret_row->duplicates = get_u32(&row);
    ret_row->conflicts = get_u32(&row);
    ret_row->state = get_u8(&row);
    get_zeros(&row, 3);
    ret_row->ttl_ms = get_u64(&row);
    ret_row->idle_close_ms = get_u64(&row);
    ret_row->reason = get_short(&row);
    ret_row->content_type = get_short(&row);
    ret_row->name = get_short(&row);
    ret_row->last_id = get_id(&row);
    if (row.bad || ret_row->state > WIRE_SESSION_DAMAGED || ret_row->markers > ret_row->seq)
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
    put_u64(out, info->life_first_seq);
    if (info->note.size > WIRE_SESSION_NOTE_MAX)
        out->bad = true;
    put_u16(out, (uint16_t)info->note.size);
    put_bytes(out, info->note);
}

void wire_get_info_is(struct wire_in *in, struct wire_info_is *ret_info)
{
    wire_get_session_row(in, &ret_info->row);
    ret_info->first_seq = get_u64(in);
    ret_info->markers = get_u64(in);
    ret_info->life_first_seq = get_u64(in);
    ret_info->note = get_bytes(in, get_u16(in));
    /* Seqs begin at 1. The first retained seq is at most one after the newest event's. A first_seq
     * of 0 wraps, and is bad too. */
    if (ret_info->life_first_seq == 0 || ret_info->first_seq < ret_info->life_first_seq ||
        ret_info->first_seq - 1 > ret_info->row.seq ||
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

void wire_put_clients(struct wire_out *out, const struct wire_clients *clients)
{
    put_u32(out, clients->after);
    put_u32(out, clients->count_max);
}

void wire_get_clients(struct wire_in *in, struct wire_clients *ret_clients)
{
    ret_clients->after = get_u32(in);
    ret_clients->count_max = get_u32(in);
    if (ret_clients->count_max == 0)
        in->bad = true;
}

void wire_put_clients_are(struct wire_out *out, const struct wire_clients_are *clients)
{
    put_u32(out, clients->count);
    put_u32(out, clients->next);
    put_u32(out, clients->hidden);
}

void wire_get_clients_are(struct wire_in *in, struct wire_clients_are *ret_clients)
{
    ret_clients->count = get_u32(in);
    ret_clients->next = get_u32(in);
    ret_clients->hidden = get_u32(in);
}

void wire_put_client(struct wire_out *out, const struct wire_client *client)
{
    put_u32(out, client->number);
    put_u32(out, client->pid);
    put_u32(out, client->uid);
    put_u8(out, client->socket);
    put_zeros(out, 3);
    put_u32(out, client->subscriptions);
    put_u32(out, client->behind);
    put_u64(out, client->lag);
    put_u64(out, client->waiting);
    put_short(out, client->program);
}

void wire_get_client(struct wire_in *in, struct wire_client *ret_client)
{
    ret_client->number = get_u32(in);
    ret_client->pid = get_u32(in);
    ret_client->uid = get_u32(in);
    ret_client->socket = get_u8(in);
    get_zeros(in, 3);
    ret_client->subscriptions = get_u32(in);
    ret_client->behind = get_u32(in);
    ret_client->lag = get_u64(in);
    ret_client->waiting = get_u64(in);
    ret_client->program = get_short(in);
    if (ret_client->number == 0 || ret_client->behind > ret_client->subscriptions ||
        (ret_client->socket != WIRE_INGEST && ret_client->socket != WIRE_READ))
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
