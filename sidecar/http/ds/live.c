/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/live.h"

#include <stdlib.h>

#include "http/answer.h"
#include "http/ds/answer.h"
#include "http/names.h"

#define AGE_NS UINT64_C(60000000000)

enum { KEPT = 4 * 1024 /* bytes of data for which an idle stream keeps its memory */ };

struct live {
    struct stream stream;
    struct ds_stream place; /* without its config */
    enum ds_form form;
    bool from_begin;
    bool is_closed; /* at the verdict: the end follows at once */
    bool said_up_to_date;
    bool said_closed;
    uint64_t at;     /* the seq that the reader has come to */
    uint64_t newest; /* at the verdict */
    uint64_t cursor; /* the last one; 0: none */
    struct out data;
};

static struct live *of(struct stream *stream)
{
    return LINK_OWNER(stream, struct live, stream);
}

static void open(struct stream *stream)
{
    struct exchange *exchange = stream->exchange;
    exchange_add(exchange, "Content-Type", "text/event-stream");
    exchange_add(exchange, "Cache-Control", "no-cache, no-store");
    exchange_add(exchange, "X-Accel-Buffering", "no");
    if (of(stream)->form == DS_FORM_BYTES)
        exchange_add(exchange, name_STREAM_DATA_ENCODING, "base64");
}

static void put_control(struct live *live, bool is_up_to_date, bool is_closed)
{
    char offset[DS_OFFSET_SIZE];
    uint64_t now = ds_answer_cursor((struct spn_bytes){0});
    if (now > live->cursor)
        live->cursor = now;
    const struct ds_control control = {
        .offset = ds_stream_offset(&live->place, live->at, offset),
        .cursor = live->cursor,
        .is_up_to_date = is_up_to_date,
        .is_closed = is_closed,
    };
    ds_text_control(&live->stream.text, &control);
    live->said_up_to_date = is_up_to_date;
    live->said_closed = is_closed;
}

/* Everything up to the stream's end, as it was at the beginning, was given or is no longer
 * retained.
 */
static void pass(struct live *live)
{
    if (live->at < live->place.tail)
        live->at = live->place.tail;
}

/* -- items ------------------------------------------------------------------------------------- */

static void take_event(struct live *live, const struct spn_event *event)
{
    struct stream *stream = &live->stream;
    live->data.size = 0;
    bool has_data = ds_stream_data(live->form, event, &live->data);
    if (live->data.error != 0)
        stream->text.error = live->data.error;
    if (!ds_stream_only_closes(event))
        live->at = event->seq;
    if (!has_data && !event->closes)
        return;
    if (has_data) {
        ds_text_data(&stream->text, live->form,
                     (struct spn_bytes){live->data.data, live->data.size});
        stream_has_event(stream, event->time_ms);
    }
    if (live->data.capacity > KEPT)
        out_release(&live->data);
    put_control(live, stream->phase == STREAM_LIVE || event->seq >= live->newest, event->closes);
}

static void take_verdict(struct live *live, const struct spn_item *item)
{
    struct stream *stream = &live->stream;
    if (item->why == SPN_E_TRIMMED && !live->from_begin) {
        stream_refuse(stream, 410, SPN_E_TRIMMED,
                      "what comes after the offset is no longer retained");
        return;
    }
    live->newest = item->newest;
    live->is_closed = item->state == SPN_CLOSED;
    stream_open(stream);
    stream->phase = STREAM_BEHIND;
}

/* What comes next does not follow what the reader has: its next request is answered with why. */
static void take_gap(struct live *live)
{
    if (live->at > 0 || !live->from_begin)
        stream_end(&live->stream, END_FAILED);
}

static void take_end(struct live *live, spn_err why)
{
    struct stream *stream = &live->stream;
    if (why == SPN_E_CLOSED) {
        stream_open(stream);
        pass(live);
        if (!live->said_closed)
            put_control(live, true, true);
        stream_end(stream, END_CLOSED);
    } else if (why == SPN_E_DELETED || why == SPN_E_UNKNOWN_SESSION || why == SPN_E_OTHER_LIFE) {
        if (exchange_is_answered(stream->exchange))
            stream_end(stream, END_DELETED);
        else
            stream_refuse(stream, 404, SPN_E_UNKNOWN_SESSION, "there is no such stream");
    } else {
        stream_refuse(stream, problem_status(why), why, spn_err_text(why));
    }
}

static void take(struct stream *stream, const struct spn_item *item)
{
    struct live *live = of(stream);
    switch (item->kind) {
    case SPN_ITEM_VERDICT:
        take_verdict(live, item);
        break;
    case SPN_ITEM_EVENT:
        take_event(live, item->event);
        break;
    case SPN_ITEM_GAP:
        take_gap(live);
        break;
    case SPN_ITEM_CAUGHT_UP:
        stream->phase = STREAM_LIVE;
        pass(live);
        if (!live->said_up_to_date && !live->is_closed)
            put_control(live, true, false);
        break;
    case SPN_ITEM_END:
        take_end(live, item->why);
        break;
    default:
        break;
    }
}

/* -- begin and end ----------------------------------------------------------------------------- */

static void over(struct stream *stream)
{
    struct live *live = of(stream);
    out_release(&live->data);
    free(live);
}

static const struct stream_calls calls = {.open = open, .take = take, .over = over};

bool ds_live_begin(struct gateway *gateway, struct exchange *exchange,
                   const struct ds_live_request *request)
{
    struct live *live = calloc(1, sizeof(*live));
    if (live == NULL) {
        answer_err(exchange, SPN_E_NOMEM);
        return false;
    }
    struct stream_options options = request->options;
    options.comments = true;
    options.refuses = true;
    options.age_ns = AGE_NS;
    live->place = request->stream;
    live->place.config = (struct ds_config){0};
    live->form = ds_media_form(request->stream.config.content_type);
    live->from_begin = request->from_begin;
    live->at = request->seq;
    live->cursor = ds_answer_cursor(request->cursor);
    out_init(&live->data, -1);
    if (!stream_begin(&live->stream, gateway, exchange, &calls, &options))
        return true;
    const struct spn_subscription_options start = {
        .size = sizeof(start),
        .start = SPN_AFTER_SEQ,
        .window_bytes = gateway->options->window_bytes,
        .after_life = request->stream.life,
        .after_seq = request->seq,
    };
    spn_subscription *subscription;
    spn_err err = spn_subscribe(&subscription, gateway->client, request->session, &start);
    if (err == SPN_OK)
        stream_follow(&live->stream, subscription);
    else
        stream_refuse(&live->stream, problem_status(err), err, spn_err_text(err));
    return true;
}
