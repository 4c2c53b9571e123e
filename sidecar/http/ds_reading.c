/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds_reading.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "http/answer.h"
#include "http/ds_answer.h"
#include "http/ds_chunk.h"
#include "http/ds_headers.h"
#include "http/ds_live.h"
#include "http/names.h"
#include "http/word.h"

enum { READ_WINDOW = 64 * 1024 }; /* bytes of events on their way */

enum mode { MODE_CHUNK, MODE_LONG_POLL, MODE_LIVE };

struct reading {
    struct waiter waiter;
    struct taker taker;
    struct link link; /* among the gateway's polls, while it waits */
    struct gateway *gateway;
    struct exchange *exchange;
    spn_question *info;  /* `stream` borrows from its answer */
    spn_question *touch; /* a read keeps a stream with a time to live */
    spn_subscription *subscription;
    struct stream_options options;
    struct ds_stream stream;
    enum mode mode;
    bool has_body;
    bool is_polling;
    struct limits_seat seat; /* while it waits */
    enum ds_offset_kind start;
    struct ds_chunk chunk;
    struct spn_bytes session;
    struct spn_bytes offset; /* data NULL: none */
    struct spn_bytes cursor;
    char bytes[];
};

/* -- answers ----------------------------------------------------------------------------------- */

static void refuse(struct reading *reading, unsigned status, spn_err err, const char *detail)
{
    struct problem problem;
    problem_set(&problem, status, err, "%s", detail);
    answer_problem(reading->exchange, &problem);
}

static void add_cursor(struct reading *reading)
{
    uint32_t random = 0;
    (void)!random_fill(&random, sizeof(random)); /* without it a cursor comes that is one later */
    if (reading->mode != MODE_CHUNK && !reading->chunk.is_closed)
        answer_add_number(reading->exchange, name_STREAM_CURSOR,
                          ds_cursor(clock_wall_ms() / 1000, reading->cursor, random));
}

/* A chunk that is not the newest stays as it is. The others are asked for again, and their tag says
 * whether they have changed; so are all of them where it needs a token to read them. */
static const char *cache_control(const struct reading *reading, bool is_up_to_date)
{
    if (reading->mode != MODE_CHUNK || reading->start == DS_OFFSET_NOW)
        return "no-store";
    return is_up_to_date || reading->gateway->keys != NULL
               ? "private, no-cache"
               : "private, max-age=60, stale-while-revalidate=300";
}

static void answer_body(struct reading *reading)
{
    struct ds_chunk *chunk = &reading->chunk;
    ds_chunk_finish(chunk);
    if (chunk->body.error != 0) {
        answer_err(reading->exchange, SPN_E_NOMEM);
        return;
    }
    ds_answer_add_bytes(reading->exchange, "Content-Type", reading->stream.config.content_type);
    exchange_answer(reading->exchange, 200, chunk->body.data, chunk->body.size);
}

/* Answers with what was read. */
static void answer(struct reading *reading, bool is_up_to_date)
{
    struct exchange *exchange = reading->exchange;
    const struct ds_chunk *chunk = &reading->chunk;
    char tag[DS_CHUNK_TAG_SIZE];
    ds_answer_add_offset(exchange, &reading->stream, chunk->to);
    ds_answer_add_closed(exchange, chunk->is_closed);
    if (is_up_to_date)
        ds_answer_add_up_to_date(exchange);
    add_cursor(reading);
    exchange_add(exchange, "Cache-Control", cache_control(reading, is_up_to_date));
    if (reading->mode == MODE_LONG_POLL && !chunk->has_data) {
        exchange_answer(exchange, 204, NULL, 0);
        return;
    }
    if (reading->start == DS_OFFSET_NOW) {
        answer_body(reading);
        return;
    }
    exchange_add(exchange, name_ETAG, ds_chunk_tag(chunk, &reading->stream, tag));
    if (ds_headers_match(exchange_header(exchange, name_IF_NONE_MATCH), tag))
        exchange_answer(exchange, 304, NULL, 0);
    else
        answer_body(reading);
}

static void answer_head(struct reading *reading)
{
    struct exchange *exchange = reading->exchange;
    const struct ds_stream *stream = &reading->stream;
    ds_answer_add_offset(exchange, stream, stream->tail);
    ds_answer_add_closed(exchange, stream->is_closed);
    if (stream->config.has_ttl)
        answer_add_number(exchange, name_STREAM_TTL, stream->config.ttl_s);
    ds_answer_add_bytes(exchange, name_STREAM_EXPIRES_AT, stream->config.expires);
    ds_answer_add_bytes(exchange, "Content-Type", stream->config.content_type);
    exchange_add(exchange, "Cache-Control", "no-store");
    exchange_answer(exchange, 200, NULL, 0);
}

/* -- reading ----------------------------------------------------------------------------------- */

static spn_err subscribe(struct reading *reading)
{
    const struct spn_subscription_options options = {
        .size = sizeof(options),
        .start = SPN_AFTER_SEQ,
        .window_bytes = READ_WINDOW,
        .after_life = reading->stream.life,
        .after_seq = reading->chunk.from,
    };
    spn_err err =
        spn_subscribe(&reading->subscription, reading->gateway->client, reading->session, &options);
    if (err == SPN_OK)
        spn_subscription_set_context(reading->subscription, &reading->taker);
    return err;
}

static void take_event(struct reading *reading, const struct spn_event *event)
{
    bool is_full = ds_chunk_add(&reading->chunk, event);
    if (event->closes)
        answer(reading, true);
    else if (is_full)
        answer(reading, event->seq >= reading->stream.seq);
}

/* Nothing was there; the newest event that comes is answered together with those that came with it.
 */
static void take_polled(struct reading *reading, const struct spn_event *event)
{
    const struct spn_item *item;
    take_event(reading, event);
    while (!exchange_is_answered(reading->exchange) &&
           spn_subscription_next(reading->subscription, 0, &item) == SPN_OK)
        if (item->kind == SPN_ITEM_EVENT)
            take_event(reading, item->event);
    if (!exchange_is_answered(reading->exchange) && reading->chunk.has_data)
        answer(reading, true);
}

/* Events after the place are gone. A read from the beginning begins with what there is. */
static void take_gap(struct reading *reading)
{
    if (reading->chunk.has_data)
        answer(reading, false);
    else if (reading->start != DS_OFFSET_BEGIN)
        refuse(reading, 410, SPN_E_TRIMMED, "what comes after the offset is no longer retained");
}

/* Not longer than the token is good for. */
static uint64_t poll_ns(const struct reading *reading)
{
    uint64_t most_ns = reading->gateway->options->long_poll_ns;
    uint64_t end_ns = limits_expires_ns(reading->options.expires_s);
    uint64_t now_ns = gateway_now_ns();
    if (end_ns == 0 || end_ns > now_ns + most_ns)
        return most_ns;
    return end_ns > now_ns ? end_ns - now_ns : 1;
}

static void wait_for_data(struct reading *reading)
{
    struct gateway *gateway = reading->gateway;
    reading->is_polling = true;
    gateway->counts.polls++;
    link_join(&gateway->polls, &reading->link);
    if (limits_enter(gateway, &reading->seat, reading->options.session, reading->options.token) !=
        END_PEER)
        refuse(reading, 429, SPN_E_LIMIT, "there are too many streams");
    else
        gateway_wait(gateway, &reading->waiter, poll_ns(reading));
}

static void take_caught_up(struct reading *reading)
{
    ds_chunk_pass(&reading->chunk, reading->stream.tail);
    reading->chunk.is_closed = reading->stream.is_closed;
    bool waits = reading->mode == MODE_LONG_POLL && !reading->chunk.has_data &&
                 !reading->chunk.is_closed && !reading->gateway->is_stopping;
    if (waits)
        wait_for_data(reading);
    else
        answer(reading, true);
}

static void take_end(struct reading *reading, spn_err why)
{
    if (why == SPN_E_CLOSED) {
        ds_chunk_pass(&reading->chunk, reading->stream.tail);
        reading->chunk.is_closed = true;
        answer(reading, true);
    } else if (why == SPN_E_UNKNOWN_SESSION || why == SPN_E_DELETED || why == SPN_E_OTHER_LIFE) {
        ds_answer_absent(reading->exchange);
    } else {
        answer_err(reading->exchange, why);
    }
}

static void on_item(struct taker *taker, const struct spn_item *item)
{
    struct reading *reading = LINK_OWNER(taker, struct reading, taker);
    if (exchange_is_answered(reading->exchange))
        return;
    if (item->kind == SPN_ITEM_VERDICT) {
        if (item->why == SPN_E_TRIMMED)
            take_gap(reading);
    } else if (item->kind == SPN_ITEM_EVENT) {
        if (reading->is_polling)
            take_polled(reading, item->event);
        else
            take_event(reading, item->event);
    } else if (item->kind == SPN_ITEM_GAP) {
        take_gap(reading);
    } else if (item->kind == SPN_ITEM_CAUGHT_UP) {
        take_caught_up(reading);
    } else if (item->kind == SPN_ITEM_END) {
        take_end(reading, item->why);
    }
}

/* -- the stream -------------------------------------------------------------------------------- */

static void reading_free(struct reading *reading)
{
    gateway_wait(reading->gateway, &reading->waiter, 0);
    link_leave(&reading->link);
    reading->gateway->counts.polls -= reading->is_polling;
    limits_leave(reading->gateway, &reading->seat);
    spn_unsubscribe(reading->subscription);
    spn_question_close(reading->info);
    spn_question_close(reading->touch);
    ds_chunk_release(&reading->chunk);
    free(reading);
}

/* What there is to read is known. */
static void read_stream(struct reading *reading)
{
    if (reading->mode == MODE_LIVE) {
        const struct ds_live_request request = {
            .session = reading->session,
            .stream = reading->stream,
            .seq = reading->chunk.from,
            .from_begin = reading->start == DS_OFFSET_BEGIN,
            .cursor = reading->cursor,
            .options = reading->options,
        };
        if (ds_live_begin(reading->gateway, reading->exchange, &request))
            reading_free(reading);
        return;
    }
    if (reading->mode == MODE_CHUNK && reading->chunk.from >= reading->stream.tail) {
        reading->chunk.is_closed = reading->stream.is_closed;
        answer(reading, true);
        return;
    }
    spn_err err = subscribe(reading);
    if (err != SPN_OK)
        answer_err(reading->exchange, err);
}

/* A read is what keeps a stream with a time to live, so it does not begin before that is known. */
static void touch(struct reading *reading)
{
    const struct spn_publish_options options = {.size = sizeof(options),
                                                .life = &reading->stream.life};
    spn_err err =
        spn_ask_touch(&reading->touch, reading->gateway->client, reading->session, &options);
    if (err != SPN_OK)
        answer_err(reading->exchange, err);
    else
        spn_question_set_context(reading->touch, &reading->waiter);
}

static void take_stream(struct reading *reading)
{
    struct problem problem;
    uint64_t from;
    if (!reading->has_body) {
        answer_head(reading);
    } else if (!ds_stream_begin(&reading->stream, reading->offset, &from, &problem)) {
        answer_problem(reading->exchange, &problem);
    } else {
        ds_chunk_init(&reading->chunk, ds_media_form(reading->stream.config.content_type), from,
                      reading->start == DS_OFFSET_BEGIN);
        if (reading->stream.config.has_ttl)
            touch(reading);
        else
            read_stream(reading);
    }
}

static void take_info(struct reading *reading)
{
    const struct spn_session_info *info = NULL;
    spn_err err = spn_answer_session(reading->info, &info);
    if (err != SPN_OK && err != SPN_E_UNKNOWN_SESSION)
        answer_err(reading->exchange, err);
    else if (ds_stream_read(err == SPN_OK ? info : NULL, clock_wall_ms(), &reading->stream) ==
             DS_THERE)
        take_stream(reading);
    else
        ds_answer_absent(reading->exchange);
}

static void take_touch(struct reading *reading)
{
    const struct spn_published *published;
    spn_err err = spn_answer_published(reading->touch, &published);
    if (err != SPN_OK)
        answer_err(reading->exchange, err);
    else if (published->result == SPN_REFUSED)
        take_end(reading, published->code);
    else
        read_stream(reading);
}

static void on_answer(struct waiter *waiter, spn_question *question)
{
    struct reading *reading = LINK_OWNER(waiter, struct reading, waiter);
    if (exchange_is_answered(reading->exchange))
        return;
    if (question == reading->info)
        take_info(reading);
    else
        take_touch(reading);
}

static void on_due(struct waiter *waiter)
{
    struct reading *reading = LINK_OWNER(waiter, struct reading, waiter);
    if (exchange_is_answered(reading->exchange))
        return;
    if (reading->is_polling)
        answer(reading, true);
    else
        answer_err(reading->exchange, SPN_E_UNAVAILABLE);
}

static bool is_revoked(const struct reading *reading)
{
    uint64_t mark = reading->options.key_mark;
    return mark != 0 && !keys_have(reading->gateway->keys, mark);
}

static void end_polls(struct gateway *gateway, bool only_revoked)
{
    for (struct link *link = gateway->polls.next; link != &gateway->polls; link = link->next) {
        struct reading *reading = LINK_OWNER(link, struct reading, link);
        if (!exchange_is_answered(reading->exchange) && (!only_revoked || is_revoked(reading)))
            answer(reading, true);
    }
}

void ds_reading_end_all(struct gateway *gateway)
{
    end_polls(gateway, false);
}

void ds_reading_end_revoked(struct gateway *gateway)
{
    end_polls(gateway, true);
}

/* -- the request ------------------------------------------------------------------------------- */

static void over(struct exchange *exchange)
{
    reading_free(exchange_state(exchange));
}

static const struct exchange_calls calls = {.take = exchange_ignore, .over = over};

static bool choose_mode(const struct query *query, enum mode *ret_mode, struct problem *ret_problem)
{
    char quoted[TEXT_QUOTED_SIZE];
    *ret_mode = MODE_CHUNK;
    if (query->live.data == NULL)
        return true;
    if (word_is(query->live, "long-poll"))
        *ret_mode = MODE_LONG_POLL;
    else if (word_is(query->live, "sse"))
        *ret_mode = MODE_LIVE;
    else
        return problem_set(ret_problem, 400, SPN_E_INVALID,
                           "query parameter live is %s; it may be: long-poll sse",
                           text_quote(query->live, quoted));
    return query->offset.data != NULL ||
           problem_set(ret_problem, 400, SPN_E_INVALID,
                       "query parameter live needs the query parameter offset");
}

static struct spn_bytes keep(char **at, struct spn_bytes bytes)
{
    if (bytes.data == NULL)
        return bytes;
    struct spn_bytes kept = {*at, bytes.size};
    memcpy(*at, bytes.data, bytes.size);
    *at += bytes.size;
    return kept;
}

static struct reading *reading_new(struct gateway *gateway, struct exchange *exchange,
                                   const struct ds_reading_request *request)
{
    const struct query *query = request->query;
    struct ds_offset place;
    size_t size = request->session.size + query->offset.size + query->cursor.size +
                  request->stream.token.size;
    struct reading *reading = calloc(1, sizeof(*reading) + size);
    if (reading == NULL)
        return NULL;
    char *at = reading->bytes;
    reading->waiter =
        (struct waiter){.deadline = DEADLINE_INIT, .on_due = on_due, .on_answer = on_answer};
    reading->taker.on_item = on_item;
    reading->gateway = gateway;
    reading->exchange = exchange;
    reading->options = request->stream;
    reading->has_body = request->has_body;
    reading->session = keep(&at, request->session);
    reading->offset = keep(&at, query->offset);
    reading->cursor = keep(&at, query->cursor);
    reading->options.session = reading->session;
    reading->options.token = keep(&at, request->stream.token);
    reading->start =
        query->offset.data != NULL ? ds_offset_parse(query->offset, &place) : DS_OFFSET_BEGIN;
    link_init(&reading->link);
    return reading;
}

void ds_reading_begin(struct gateway *gateway, struct exchange *exchange,
                      const struct ds_reading_request *request)
{
    struct problem problem;
    enum mode mode = MODE_CHUNK;
    if (request->has_body && !choose_mode(request->query, &mode, &problem)) {
        answer_problem(exchange, &problem);
        return;
    }
    struct reading *reading = reading_new(gateway, exchange, request);
    if (reading == NULL) {
        answer_err(exchange, SPN_E_NOMEM);
        return;
    }
    reading->mode = mode;
    exchange_set(exchange, &calls, reading);
    spn_err err = spn_ask_session(&reading->info, gateway->client, reading->session);
    if (err != SPN_OK) {
        answer_err(exchange, err);
        return;
    }
    spn_question_set_context(reading->info, &reading->waiter);
    gateway_wait(gateway, &reading->waiter, gateway->options->ask_ns);
}
