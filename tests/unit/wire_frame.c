/* SPDX-License-Identifier: Apache-2.0 */
#include "wire_frame.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct copy {
    struct wire_in in;
    struct wire_out *out;
    char *text; /* NULL: none wanted */
    size_t text_left;
};

/* -- text -------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void say(struct copy *copy, const char *format, ...)
{
    if (!copy->text)
        return;
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(copy->text, copy->text_left, format, arguments);
    va_end(arguments);
    size_t used = size > 0 && (size_t)size < copy->text_left ? (size_t)size : copy->text_left - 1;
    copy->text += used;
    copy->text_left -= used;
}

static void say_u64(struct copy *copy, const char *name, uint64_t value)
{
    say(copy, " %s=%llu", name, (unsigned long long)value);
}

static void say_token(struct copy *copy, uint64_t token)
{
    say(copy, " token=%016llx", (unsigned long long)token);
}

static void say_life(struct copy *copy, struct spn_life life)
{
    say(copy, " life=");
    for (size_t i = 0; i < sizeof(life.bytes); i++)
        say(copy, "%02x", life.bytes[i]);
}

static volatile uint8_t touched;

static void say_bytes(struct copy *copy, const char *name, struct spn_bytes bytes)
{
    const uint8_t *at = bytes.data;
    for (size_t i = 0; i < bytes.size; i++)
        touched = at[i];
    say(copy, " %s=%.*s", name, (int)bytes.size, bytes.size > 0 ? (const char *)at : "");
}

static void say_run(struct copy *copy, const struct wire_run *run)
{
    say(copy, "; run");
    say_u64(copy, "first", run->first);
    say_u64(copy, "count", run->count);
    say_u64(copy, "result", run->result);
    if (run->code != 0)
        say_u64(copy, "code", run->code);
}

static void say_retry(struct copy *copy, uint32_t retry_ms)
{
    if (retry_ms != WIRE_RETRY_NONE)
        say_u64(copy, "retry", retry_ms);
}

/* -- ingest ------------------------------------------------------------------------------------ */

/* Says what the data has, if that is all of it: if it is written again to the same bytes. */
static bool say_attributes(struct copy *copy, struct spn_bytes data)
{
    struct wire_attributes attributes;
    uint8_t bytes[WIRE_ATTRIBUTES_MAX];
    struct wire_in in = wire_in(data.data, data.size);
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    wire_get_attributes(&in, &attributes);
    if (!wire_in_done(&in))
        return false;
    wire_put_attributes(&out, &attributes);
    if (wire_out_size(&out) != data.size || memcmp(bytes, data.data, data.size) != 0)
        return false;
    say_u64(copy, "ttl", attributes.ttl_ms);
    say_u64(copy, "idle_close", attributes.idle_close_ms);
    say_bytes(copy, "content_type", attributes.content_type);
    say_bytes(copy, "note", attributes.note);
    return true;
}

static void say_entry(struct copy *copy, const struct wire_entry *entry)
{
    say_bytes(copy, "session", entry->session);
    say_bytes(copy, "id", entry->id);
    say_bytes(copy, "type", entry->type);
    if (entry->flags & WIRE_FLAG_LIFE)
        say_life(copy, entry->life);
    if (entry->flags & WIRE_FLAG_SEQ)
        say_u64(copy, "seq", entry->seq);
    if (entry->flags & WIRE_FLAG_NEW)
        say(copy, " new");
    if (entry->flags & WIRE_FLAG_CLOSES)
        say_bytes(copy, "closes", entry->reason);
    if (entry->flags & WIRE_FLAG_DEPENDS)
        say_u64(copy, "depends", entry->depends);
    if (entry->flags & WIRE_FLAG_NOTE)
        say_bytes(copy, "note", entry->note);
    if (entry->kind == WIRE_ATTRIBUTES && say_attributes(copy, entry->data))
        return;
    say_bytes(copy, "data", entry->data);
    say_retry(copy, entry->retry_ms);
}

static void say_kind(struct copy *copy, uint8_t kind)
{
    static const char *const kinds[] = {"?",     "event",      "?",     "close", "delete", "marker",
                                        "reset", "attributes", "touch", "open",  "expire"};
    say(copy, "; %s", kinds[kind <= WIRE_ITEM_EXPIRE ? kind : 0]);
}

static void copy_entries(struct copy *copy, uint32_t count)
{
    struct spn_bytes session = {NULL, 0};
    for (uint32_t i = 0; i < count && !copy->in.bad; i++) {
        struct wire_entry entry;
        wire_get_entry(&copy->in, session, &entry);
        say_kind(copy, entry.kind);
        say_entry(copy, &entry);
        struct spn_bytes own = entry.session;
        if (own.data == session.data)
            entry.session = (struct spn_bytes){NULL, 0}; /* the one before it: not said again */
        session = own;
        wire_put_entry(copy->out, &entry);
    }
}

static void copy_batch(struct copy *copy)
{
    struct wire_batch batch;
    wire_get_batch(&copy->in, &batch);
    wire_put_batch(copy->out, &batch);
    say_token(copy, batch.token);
    say_u64(copy, "first", batch.first);
    say_u64(copy, "base", batch.base);
    say_u64(copy, "round", batch.round);
    say_u64(copy, "count", batch.count);
    say_u64(copy, "level", batch.level);
    say_u64(copy, "backpressure", batch.backpressure);
    copy_entries(copy, batch.count);
}

static void copy_publish(struct copy *copy)
{
    struct wire_publish publish;
    wire_get_publish(&copy->in, &publish);
    if (copy->in.bad)
        return;
    wire_put_publish(copy->out, &publish);
    say_u64(copy, "features", publish.features);
    say_u64(copy, "level", publish.level);
    say_kind(copy, publish.entry.kind);
    say_entry(copy, &publish.entry);
}

static void copy_published(struct copy *copy)
{
    struct wire_published published;
    wire_get_published(&copy->in, &published);
    if (copy->in.bad)
        return;
    wire_put_published(copy->out, &published);
    say_u64(copy, "result", published.result);
    say_u64(copy, "state", published.state);
    say_u64(copy, "code", published.code);
    say_life(copy, published.life);
    say_u64(copy, "seq", published.seq);
    say_u64(copy, "position", published.position);
    say_bytes(copy, "id", published.id);
}

static void copy_runs(struct copy *copy, uint32_t count)
{
    for (uint32_t i = 0; i < count && !copy->in.bad; i++) {
        struct wire_run run;
        wire_get_run(&copy->in, &run);
        wire_put_run(copy->out, &run);
        say_run(copy, &run);
    }
}

static void copy_ack(struct copy *copy)
{
    struct wire_ack ack;
    wire_get_ack(&copy->in, &ack);
    wire_put_ack(copy->out, &ack);
    say_token(copy, ack.token);
    say_u64(copy, "from", ack.from);
    say_u64(copy, "up_to", ack.up_to);
    say_u64(copy, "level", ack.level);
    say_u64(copy, "position", ack.position);
    copy_runs(copy, ack.run_count);
}

static void copy_expect(struct copy *copy)
{
    struct wire_expect expect;
    wire_get_expect(&copy->in, &expect);
    wire_put_expect(copy->out, &expect);
    say_token(copy, expect.token);
    say_u64(copy, "number", expect.number);
    say_u64(copy, "round", expect.round);
}

static void copy_error(struct copy *copy)
{
    struct wire_error error;
    wire_get_error(&copy->in, &error);
    wire_put_error(copy->out, &error);
    say_token(copy, error.token);
    say_u64(copy, "code", error.code);
    say_bytes(copy, "detail", error.detail);
}

/* -- read.sock --------------------------------------------------------------------------------- */

static void copy_nothing(struct copy *copy)
{
    (void)copy;
}

static void copy_hello(struct copy *copy)
{
    uint64_t features;
    wire_get_hello(&copy->in, &features);
    wire_put_hello(copy->out, features);
    say_u64(copy, "features", features);
}

static void say_mark(struct copy *copy, const struct wire_mark *mark)
{
    say_bytes(copy, "database", (struct spn_bytes){mark->database, sizeof(mark->database)});
    say_u64(copy, "position", mark->position);
}

static void copy_welcome(struct copy *copy)
{
    struct wire_welcome welcome;
    wire_get_welcome(&copy->in, &welcome);
    wire_put_welcome(copy->out, &welcome);
    say_token(copy, welcome.instance);
    say_u64(copy, "features", welcome.features);
    say_u64(copy, "data_max", welcome.data_max);
    say_u64(copy, "bytes_max", welcome.batch_bytes_max);
    say_u64(copy, "events_max", welcome.batch_events_max);
    say_u64(copy, "frame_max", welcome.frame_max);
    say_u64(copy, "window", welcome.window);
    say_u64(copy, "heartbeat", welcome.heartbeat_ms);
    say_u64(copy, "lease", welcome.lease_ms);
    say_mark(copy, &welcome.mark);
    say_bytes(copy, "version", welcome.version);
}

static void copy_leave(struct copy *copy)
{
    uint64_t token;
    wire_get_leave(&copy->in, &token);
    wire_put_leave(copy->out, token);
    say_token(copy, token);
}

static void copy_open(struct copy *copy)
{
    struct wire_open open;
    wire_get_open(&copy->in, &open);
    wire_put_open(copy->out, &open);
    say_bytes(copy, "producer", (struct spn_bytes){open.producer, sizeof(open.producer)});
    say_token(copy, open.token);
    say_u64(copy, "base", open.base);
    say_u64(copy, "kept", open.kept);
    say_mark(copy, &open.known);
    say_token(copy, open.instance);
    say_u64(copy, "features", open.features);
}

static void copy_state(struct copy *copy)
{
    struct wire_state state;
    wire_get_state(&copy->in, &state);
    wire_put_state(copy->out, &state);
    say_token(copy, state.token);
    say_token(copy, state.instance);
    say_u64(copy, "accepted", state.accepted);
    say_u64(copy, "durable", state.durable);
    say_mark(copy, &state.mark);
    copy_runs(copy, state.run_count);
}

static void copy_ask(struct copy *copy)
{
    struct wire_ask ask;
    wire_get_ask(&copy->in, &ask);
    wire_put_ask(copy->out, &ask);
    say_token(copy, ask.token);
    say_u64(copy, "base", ask.base);
}

static void copy_last(struct copy *copy)
{
    struct spn_bytes session;
    wire_get_last(&copy->in, &session);
    wire_put_last(copy->out, session);
    say_bytes(copy, "session", session);
}

static void copy_last_is(struct copy *copy)
{
    struct wire_last_is last;
    wire_get_last_is(&copy->in, &last);
    wire_put_last_is(copy->out, &last);
    say_life(copy, last.life);
    say_u64(copy, "seq", last.seq);
    say_u64(copy, "position", last.position);
    say_u64(copy, "time", last.time_ms);
    say_u64(copy, "state", last.state);
    say_bytes(copy, "id", last.id);
}

static void copy_fetch(struct copy *copy)
{
    struct wire_fetch fetch;
    wire_get_fetch(&copy->in, &fetch);
    wire_put_fetch(copy->out, &fetch);
    say_u64(copy, "start", fetch.start);
    say_u64(copy, "bytes_max", fetch.bytes_max);
    say_life(copy, fetch.life);
    say_u64(copy, "seq", fetch.seq);
    say_bytes(copy, "session", fetch.session);
    say_bytes(copy, "id", fetch.id);
}

static void copy_items(struct copy *copy, uint32_t count)
{
    for (uint32_t i = 0; i < count && !copy->in.bad; i++) {
        struct wire_item item;
        wire_get_item(&copy->in, &item);
        wire_put_item(copy->out, &item);
        say_kind(copy, item.entry.kind);
        say_u64(copy, "seq", item.seq);
        say_u64(copy, "position", item.position);
        say_u64(copy, "time", item.time_ms);
        say_entry(copy, &item.entry);
    }
}

static void copy_slice(struct copy *copy)
{
    struct wire_slice slice;
    wire_get_slice(&copy->in, &slice);
    wire_put_slice(copy->out, &slice);
    say_u64(copy, "verdict", slice.verdict);
    say_u64(copy, "state", slice.state);
    say_u64(copy, "count", slice.count);
    say_life(copy, slice.life);
    say_u64(copy, "seq", slice.seq);
    say_u64(copy, "seq_last", slice.seq_last);
    say_u64(copy, "missing", slice.missing);
    copy_items(copy, slice.count);
}

static void copy_subscribe(struct copy *copy)
{
    struct wire_subscribe subscribe;
    wire_get_subscribe(&copy->in, &subscribe);
    wire_put_subscribe(copy->out, &subscribe);
    say_u64(copy, "subscription", subscribe.subscription);
    say_u64(copy, "incarnation", subscribe.incarnation);
    say_u64(copy, "start", subscribe.start);
    say_u64(copy, "otherwise", subscribe.otherwise);
    say_life(copy, subscribe.life);
    say_u64(copy, "seq", subscribe.seq);
    say_u64(copy, "credit", subscribe.credit);
    say_u64(copy, "features", subscribe.features);
    say_bytes(copy, "session", subscribe.session);
    say_bytes(copy, "id", subscribe.id);
}

static void copy_follow(struct copy *copy)
{
    struct wire_follow follow;
    wire_get_follow(&copy->in, &follow);
    wire_put_follow(copy->out, &follow);
    say_u64(copy, "subscription", follow.subscription);
    say_u64(copy, "incarnation", follow.incarnation);
    say_u64(copy, "start", follow.start);
    say_u64(copy, "flags", follow.flags);
    say_life(copy, follow.database);
    say_u64(copy, "position", follow.position);
    say_u64(copy, "credit", follow.credit);
    say_u64(copy, "features", follow.features);
    say_bytes(copy, "prefix", follow.prefix);
}

static void copy_log_gap(struct copy *copy)
{
    struct wire_log_gap gap;
    wire_get_log_gap(&copy->in, &gap);
    wire_put_log_gap(copy->out, &gap);
    say_u64(copy, "first", gap.first);
    say_u64(copy, "last", gap.last);
}

static void copy_standing(struct copy *copy)
{
    struct wire_standing standing;
    const uint8_t *start = copy->in.at;
    wire_get_standing(&copy->in, &standing);
    wire_put_standing(copy->out, &standing);
    if (copy->in.bad)
        return;
    for (const uint8_t *at = start + wire_standing_size(&standing); at < copy->in.end; at++)
        if (copy->out->at < copy->out->end)
            *copy->out->at++ = *at; /* what a later version may have put there */
    say_life(copy, standing.life);
    say_u64(copy, "newest", standing.newest);
    say_u64(copy, "state", standing.state);
    say_bytes(copy, "reason", standing.reason);
    say_bytes(copy, "id", standing.id);
}

static void copy_deliver(struct copy *copy)
{
    struct wire_deliver deliver;
    struct wire_in items;
    struct wire_in frame;
    wire_get_deliver(&copy->in, &deliver, &items);
    wire_put_deliver(copy->out, &deliver);
    say(copy, "; delivery");
    say_u64(copy, "subscription", deliver.subscription);
    say_u64(copy, "incarnation", deliver.incarnation);
    say_u64(copy, "kind", deliver.kind);
    say_u64(copy, "verdict", deliver.verdict);
    say_u64(copy, "code", deliver.code);
    say_u64(copy, "count", deliver.count);
    say_u64(copy, "size", deliver.size);
    say_u64(copy, "seq", deliver.seq);
    say_u64(copy, "bytes", deliver.bytes);
    say_u64(copy, "missing", deliver.missing);
    frame = copy->in;
    copy->in = items;
    if (deliver.kind == WIRE_VERDICT || deliver.kind == WIRE_END)
        copy_standing(copy);
    else if (deliver.kind == WIRE_GAP && deliver.size > 0)
        copy_log_gap(copy);
    else
        copy_items(copy, deliver.count);
    frame.bad = frame.bad || !wire_in_done(&copy->in);
    copy->in = frame;
}

static void copy_delivers(struct copy *copy)
{
    uint32_t count;
    wire_get_deliveries(&copy->in, &count);
    wire_put_deliveries(copy->out, count);
    say_u64(copy, "count", count);
    for (uint32_t i = 0; i < count && !copy->in.bad; i++)
        copy_deliver(copy);
}

static void copy_grant(struct copy *copy)
{
    struct wire_grant grant;
    wire_get_grant(&copy->in, &grant);
    wire_put_grant(copy->out, &grant);
    say_u64(copy, "subscription", grant.subscription);
    say_u64(copy, "incarnation", grant.incarnation);
    say_u64(copy, "credit", grant.credit);
}

static void copy_credit(struct copy *copy)
{
    uint32_t count;
    wire_get_grants(&copy->in, &count);
    wire_put_grants(copy->out, count);
    say_u64(copy, "count", count);
    for (uint32_t i = 0; i < count && !copy->in.bad; i++) {
        say(copy, "; grant");
        copy_grant(copy);
    }
}

static void copy_alive(struct copy *copy)
{
    struct wire_alive alive;
    wire_get_alive(&copy->in, &alive);
    wire_put_alive(copy->out, &alive);
    say_token(copy, alive.instance);
    say_u64(copy, "subscriptions", alive.subscriptions);
}

static void copy_sessions(struct copy *copy)
{
    struct wire_sessions sessions;
    wire_get_sessions(&copy->in, &sessions);
    wire_put_sessions(copy->out, &sessions);
    say_u64(copy, "count_max", sessions.count_max);
    say_bytes(copy, "after", sessions.after);
    say_bytes(copy, "prefix", sessions.prefix);
}

static void say_row(struct copy *copy, const struct wire_session_row *row)
{
    say_u64(copy, "epoch", row->epoch);
    say_life(copy, row->life);
    say_u64(copy, "seq", row->seq);
    say_u64(copy, "position", row->position);
    say_u64(copy, "bytes", row->bytes);
    say_u64(copy, "opened", row->opened_ms);
    say_u64(copy, "last", row->last_ms);
    say_u64(copy, "markers", row->markers);
    say_u64(copy, "duplicates", row->duplicates);
    say_u64(copy, "conflicts", row->conflicts);
    say_u64(copy, "state", row->state);
    say_u64(copy, "ttl", row->ttl_ms);
    say_u64(copy, "idle_close", row->idle_close_ms);
    say_bytes(copy, "reason", row->reason);
    say_bytes(copy, "content_type", row->content_type);
    say_bytes(copy, "name", row->name);
    say_bytes(copy, "last_id", row->last_id);
}

static void copy_row(struct copy *copy)
{
    struct wire_session_row row;
    wire_get_session_row(&copy->in, &row);
    wire_put_session_row(copy->out, &row);
    say(copy, "; row");
    say_row(copy, &row);
}

static void copy_info(struct copy *copy)
{
    struct spn_bytes session;
    wire_get_info(&copy->in, &session);
    wire_put_info(copy->out, session);
    say_bytes(copy, "session", session);
}

static void copy_info_is(struct copy *copy)
{
    struct wire_info_is info;
    wire_get_info_is(&copy->in, &info);
    wire_put_info_is(copy->out, &info);
    say_row(copy, &info.row);
    say_u64(copy, "first_seq", info.first_seq);
    say_u64(copy, "retained_markers", info.markers);
    say_u64(copy, "life_first_seq", info.life_first_seq);
    say_bytes(copy, "note", info.note);
}

static void copy_sessions_are(struct copy *copy)
{
    struct wire_sessions_are sessions;
    wire_get_sessions_are(&copy->in, &sessions);
    wire_put_sessions_are(copy->out, &sessions);
    say_u64(copy, "more", sessions.more);
    for (uint32_t i = 0; i < sessions.count && !copy->in.bad; i++)
        copy_row(copy);
}

static void copy_health(struct copy *copy)
{
    struct wire_health health;
    wire_get_health(&copy->in, &health);
    wire_put_health(copy->out, &health);
    say_u64(copy, "status", health.status);
    say_u64(copy, "pid", health.pid);
    say_token(copy, health.instance);
    say_u64(copy, "uptime", health.uptime_ms);
    say_u64(copy, "durable", health.durable);
    say_u64(copy, "checkpoint", health.checkpoint);
    say_bytes(copy, "version", health.version);
    say_bytes(copy, "reason", health.reason);
}

static void copy_stats_are(struct copy *copy)
{
    struct wire_stats_are stats;
    wire_get_stats_are(&copy->in, &stats);
    wire_put_stats_are(copy->out, &stats);
    for (uint32_t i = 0; i < stats.count && !copy->in.bad; i++) {
        struct wire_stat stat;
        wire_get_stat(&copy->in, &stat);
        wire_put_stat(copy->out, &stat);
        say(copy, "; stat");
        say_u64(copy, "value", stat.value);
        say_bytes(copy, "name", stat.name);
    }
}

static void copy_clients(struct copy *copy)
{
    struct wire_clients clients;
    wire_get_clients(&copy->in, &clients);
    wire_put_clients(copy->out, &clients);
    say_u64(copy, "after", clients.after);
    say_u64(copy, "count_max", clients.count_max);
}

static void copy_clients_are(struct copy *copy)
{
    struct wire_clients_are clients;
    wire_get_clients_are(&copy->in, &clients);
    wire_put_clients_are(copy->out, &clients);
    say_u64(copy, "next", clients.next);
    say_u64(copy, "hidden", clients.hidden);
    for (uint32_t i = 0; i < clients.count && !copy->in.bad; i++) {
        struct wire_client client;
        wire_get_client(&copy->in, &client);
        wire_put_client(copy->out, &client);
        say(copy, "; client");
        say_u64(copy, "number", client.number);
        say_u64(copy, "pid", client.pid);
        say_u64(copy, "uid", client.uid);
        say_u64(copy, "socket", client.socket);
        say_u64(copy, "subscriptions", client.subscriptions);
        say_u64(copy, "behind", client.behind);
        say_u64(copy, "lag", client.lag);
        say_u64(copy, "waiting", client.waiting);
        say_bytes(copy, "program", client.program);
    }
}

/* -- all of them ------------------------------------------------------------------------------- */

static const struct {
    enum wire_type type;
    const char *name;
    void (*copy_body)(struct copy *);
} bodies[] = {
    {WIRE_BATCH, "BATCH", copy_batch},
    {WIRE_ACK, "ACK", copy_ack},
    {WIRE_EXPECT, "EXPECT", copy_expect},
    {WIRE_ERROR, "ERROR", copy_error},
    {WIRE_HELLO, "HELLO", copy_hello},
    {WIRE_WELCOME, "WELCOME", copy_welcome},
    {WIRE_LEAVE, "LEAVE", copy_leave},
    {WIRE_OPEN, "OPEN", copy_open},
    {WIRE_OPENED, "OPENED", copy_state},
    {WIRE_STATE, "STATE", copy_ask},
    {WIRE_STATE_IS, "STATE_IS", copy_state},
    {WIRE_LAST, "LAST", copy_last},
    {WIRE_LAST_IS, "LAST_IS", copy_last_is},
    {WIRE_FETCH, "FETCH", copy_fetch},
    {WIRE_SLICE, "SLICE", copy_slice},
    {WIRE_SESSIONS, "SESSIONS", copy_sessions},
    {WIRE_SESSIONS_ARE, "SESSIONS_ARE", copy_sessions_are},
    {WIRE_HEALTH, "HEALTH", copy_nothing},
    {WIRE_HEALTH_IS, "HEALTH_IS", copy_health},
    {WIRE_STATS, "STATS", copy_nothing},
    {WIRE_STATS_ARE, "STATS_ARE", copy_stats_are},
    {WIRE_SUBSCRIBE, "SUBSCRIBE", copy_subscribe},
    {WIRE_DELIVER, "DELIVER", copy_delivers},
    {WIRE_CREDIT, "CREDIT", copy_credit},
    {WIRE_UNSUBSCRIBE, "UNSUBSCRIBE", copy_grant},
    {WIRE_ALIVE, "ALIVE", copy_alive},
    {WIRE_FOLLOW, "FOLLOW", copy_follow},
    {WIRE_INFO, "INFO", copy_info},
    {WIRE_INFO_IS, "INFO_IS", copy_info_is},
    {WIRE_CLIENTS, "CLIENTS", copy_clients},
    {WIRE_CLIENTS_ARE, "CLIENTS_ARE", copy_clients_are},
    {WIRE_PUBLISH, "PUBLISH", copy_publish},
    {WIRE_PUBLISHED, "PUBLISHED", copy_published},
};

enum {
#define WIRE_TYPE_COUNT(name, number) COUNTED_##name,
    WIRE_TYPE_MAP(WIRE_TYPE_COUNT)
#undef WIRE_TYPE_COUNT
        TYPE_COUNT
};
static_assert(sizeof(bodies) / sizeof(bodies[0]) == TYPE_COUNT, "every message is here");

enum wire_frame_end wire_frame_copy(struct spn_bytes frame, struct wire_out *out, char *text,
                                    size_t text_size)
{
    struct copy copy = {.in = wire_in(frame.data, frame.size), .out = out};
    copy.text = text;
    copy.text_left = text_size;
    struct wire_header header;
    if (wire_get_header(&copy.in, &header) != SPN_OK)
        return WIRE_FRAME_UNREAD;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        if ((uint8_t)bodies[i].type != header.type)
            continue;
        wire_put_header(out, bodies[i].type, header.request);
        say(&copy, "%s", bodies[i].name);
        say_u64(&copy, "request", header.request);
        bodies[i].copy_body(&copy);
        return wire_in_done(&copy.in) ? WIRE_FRAME_WHOLE : WIRE_FRAME_LIES;
    }
    return WIRE_FRAME_TYPE;
}

bool wire_frame_has_skipped(uint8_t type)
{
    return type == WIRE_HELLO || type == WIRE_WELCOME || type == WIRE_SLICE ||
           type == WIRE_SESSIONS_ARE || type == WIRE_INFO_IS || type == WIRE_DELIVER;
}
