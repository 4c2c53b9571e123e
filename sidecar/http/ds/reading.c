/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/reading.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "http/answer.h"
#include "http/ds/answer.h"
#include "http/ds/chunk.h"
#include "http/ds/live.h"
#include "http/ds/poll.h"
#include "http/ds/query.h"

enum { READ_WINDOW = 64 * 1024 }; /* bytes of events on their way */

struct reading {
    struct waiter waiter;
    struct taker taker;
    struct ds_poll poll;
    struct gateway *gateway;
    struct exchange *exchange;
    spn_question *info;  /* `stream` borrows from its answer */
    spn_question *touch; /* a read keeps a stream with a time to live */
    spn_subscription *subscription;
    struct stream_options options;
    struct ds_stream stream;
    struct ds_query query;
    bool has_body;
    struct ds_chunk chunk;
    struct memory_share share;
    struct spn_bytes session;
    struct spn_bytes cursor;
    char bytes[];
};

/* -- reading ----------------------------------------------------------------------------------- */

static void refuse(struct reading *reading, unsigned status, spn_err err, const char *detail)
{
    struct problem problem;
    problem_set(&problem, status, err, "%s", detail);
    answer_problem(reading->exchange, &problem);
}

/* Answers with what was read. */
static void answer(struct reading *reading, bool is_up_to_date)
{
    const struct ds_answer_part part = {
        .stream = &reading->stream,
        .chunk = &reading->chunk,
        .is_up_to_date = is_up_to_date,
        .polls = reading->query.mode == DS_MODE_POLL,
        .from_now = reading->query.start == DS_OFFSET_NOW,
        .needs_token = reading->gateway->keys != NULL,
        .cursor = reading->cursor,
    };
    ds_answer_part(reading->exchange, &part);
}

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
    struct ds_chunk *chunk = &reading->chunk;
    if (!memory_reserve(&reading->share, chunk->body.size + event->data.size)) {
        ds_chunk_release(chunk);
        memory_hold(&reading->share, 0);
        answer_no_room(reading->exchange, &reading->share);
        return;
    }
    bool is_full = ds_chunk_add(chunk, event);
    memory_hold(&reading->share, chunk->body.size);
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
    else if (reading->query.start != DS_OFFSET_BEGIN)
        refuse(reading, 410, SPN_E_TRIMMED, "what comes after the offset is no longer retained");
}

static void wait_for_data(struct reading *reading)
{
    struct gateway *gateway = reading->gateway;
    if (ds_poll_wait(gateway, &reading->poll, &reading->options))
        gateway_wait(gateway, &reading->waiter, ds_poll_ns(gateway, &reading->options));
    else
        refuse(reading, 429, SPN_E_LIMIT, "there are too many streams");
}

static void take_caught_up(struct reading *reading)
{
    ds_chunk_pass(&reading->chunk, reading->stream.tail);
    reading->chunk.is_closed = reading->stream.is_closed;
    bool waits = reading->query.mode == DS_MODE_POLL && !reading->chunk.has_data &&
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

static bool is_polling(const struct reading *reading)
{
    return reading->poll.gateway != NULL;
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
        if (is_polling(reading))
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
    ds_poll_leave(&reading->poll);
    spn_unsubscribe(reading->subscription);
    spn_question_close(reading->info);
    spn_question_close(reading->touch);
    ds_chunk_release(&reading->chunk);
    memory_release(&reading->share);
    free(reading);
}

/* What there is to read is known. */
static void read_stream(struct reading *reading)
{
    if (reading->query.mode == DS_MODE_LIVE) {
        const struct ds_live_request request = {
            .session = reading->session,
            .stream = reading->stream,
            .seq = reading->chunk.from,
            .from_begin = reading->query.start == DS_OFFSET_BEGIN,
            .cursor = reading->cursor,
            .options = reading->options,
        };
        if (ds_live_begin(reading->gateway, reading->exchange, &request))
            reading_free(reading);
        return;
    }
    if (reading->query.mode == DS_MODE_CHUNK && reading->chunk.from >= reading->stream.tail) {
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
        ds_answer_head(reading->exchange, &reading->stream);
    } else if (!ds_stream_begin(&reading->stream, reading->query.start, &reading->query.place,
                                &from, &problem)) {
        answer_problem(reading->exchange, &problem);
    } else {
        ds_chunk_init(&reading->chunk, ds_media_form(reading->stream.config.content_type), from,
                      reading->query.start == DS_OFFSET_BEGIN);
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
    if (is_polling(reading))
        answer(reading, true);
    else
        answer_err(reading->exchange, SPN_E_UNAVAILABLE);
}

/* -- the request ------------------------------------------------------------------------------- */

/* There is nothing new. */
static void end_poll(struct ds_poll *poll)
{
    struct reading *reading = LINK_OWNER(poll, struct reading, poll);
    if (!exchange_is_answered(reading->exchange))
        answer(reading, true);
}

static void over(struct exchange *exchange)
{
    reading_free(exchange_state(exchange));
}

static const struct exchange_calls calls = {.take = exchange_ignore, .over = over};

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
    size_t size = request->session.size + query->cursor.size + request->stream.token.size;
    struct reading *reading = calloc(1, sizeof(*reading) + size);
    if (reading == NULL)
        return NULL;
    char *at = reading->bytes;
    reading->waiter =
        (struct waiter){.deadline = DEADLINE_INIT, .on_due = on_due, .on_answer = on_answer};
    reading->taker.on_item = on_item;
    reading->gateway = gateway;
    reading->exchange = exchange;
    memory_share_init(&reading->share, &gateway->memory[MEMORY_ANSWERS], NULL);
    reading->options = request->stream;
    reading->has_body = request->has_body;
    reading->session = keep(&at, request->session);
    reading->cursor = keep(&at, query->cursor);
    reading->options.session = reading->session;
    reading->options.token = keep(&at, request->stream.token);
    reading->poll.end = end_poll;
    return reading;
}

void ds_reading_begin(struct gateway *gateway, struct exchange *exchange,
                      const struct ds_reading_request *request)
{
    struct problem problem;
    struct ds_query query = {.start = DS_OFFSET_BEGIN};
    if (request->has_body && !ds_query_parse(request->query, &query, &problem)) {
        answer_problem(exchange, &problem);
        return;
    }
    struct reading *reading = reading_new(gateway, exchange, request);
    if (reading == NULL) {
        answer_err(exchange, SPN_E_NOMEM);
        return;
    }
    reading->query = query;
    exchange_set(exchange, &calls, reading);
    spn_err err = spn_ask_session(&reading->info, gateway->client, reading->session);
    if (err != SPN_OK) {
        answer_err(exchange, err);
        return;
    }
    spn_question_set_context(reading->info, &reading->waiter);
    gateway_wait(gateway, &reading->waiter, gateway->options->ask_ns);
}
