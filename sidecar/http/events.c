/* SPDX-License-Identifier: Apache-2.0 */
#include "http/events.h"

#include <stdlib.h>
#include <string.h>

#include "http/answer.h"
#include "http/stream_text.h"

struct events {
    struct stream stream;
    struct events_request request;
    char prefix[]; /* request.prefix points to it */
};

static struct events *of(struct stream *stream)
{
    return LINK_OWNER(stream, struct events, stream);
}

static spn_err follow(struct events *events)
{
    const struct events_request *request = &events->request;
    struct spn_follow_options options = {
        .size = sizeof(options),
        .start = request->start,
        .position = request->place.position,
        .prefix = request->prefix,
        .window_bytes = events->stream.gateway->options->window_bytes,
    };
    spn_subscription *subscription;
    memcpy(options.database, request->place.database, sizeof(options.database));
    spn_err err = spn_follow(&subscription, events->stream.gateway->client, &options);
    if (err == SPN_OK)
        stream_follow(&events->stream, subscription);
    return err;
}

static void follow_again(struct events *events)
{
    spn_err err = follow(events);
    if (err != SPN_OK)
        stream_end_for(&events->stream, END_FAILED, spn_err_name(err));
}

static void put_gap(struct events *events, uint64_t missing)
{
    if (missing == 0)
        return;
    stream_text_gap(&events->stream.text, missing, events->request.stream.comments);
    events->stream.gateway->counts.gaps++;
}

/* -- items ------------------------------------------------------------------------------------- */

static void take_verdict(struct events *events, const struct spn_item *item)
{
    struct stream *stream = &events->stream;
    const struct events_place place = events_place_of(item);
    char text[EVENTS_PLACE_SIZE];
    events_place_format(&place, text);
    stream_open(stream);
    stream_text_begin(&stream->text, text, events->request.primes, events->request.stream.comments);
    put_gap(events, item->missing);
    if (events->request.start == SPN_AFTER_POSITION && stream->phase == STREAM_WAITING)
        stream_has_resumed(stream, item->missing > 0 ? RESUME_TRIMMED : RESUME_WHOLE);
    stream->phase = STREAM_BEHIND;
}

/* The position is not of this log: it has another database, or an older copy of it. That may also
 * come to be while the stream lasts. */
static void begin_again(struct events *events)
{
    struct stream *stream = &events->stream;
    if (stream->phase == STREAM_WAITING)
        stream_has_resumed(stream, RESUME_OTHER_DATABASE);
    if (events->request.fails_if_unknown) {
        stream_refuse(stream, 410, SPN_E_BAD_POSITION, "the place is not of this log");
        return;
    }
    stream_open(stream);
    stream_text_reset(&stream->text, spn_err_name(SPN_E_BAD_POSITION), 0,
                      events->request.stream.comments);
    stream->gateway->counts.resets++;
    events->request.start = SPN_EARLIEST;
    stream->phase = STREAM_WAITING;
    follow_again(events);
}

/* What is damaged is a gap, and the log goes on after it. */
static void pass_damage(struct events *events, const struct spn_item *item)
{
    struct stream *stream = &events->stream;
    stream_open(stream);
    put_gap(events, item->missing);
    events->request.start = SPN_AFTER_POSITION;
    events->request.place = events_place_of(item);
    events->request.place.position += item->missing;
    stream->phase = STREAM_BEHIND;
    follow_again(events);
}

static void take_end(struct events *events, const struct spn_item *item)
{
    bool can_begin =
        events->request.start == SPN_AFTER_POSITION || events->stream.phase != STREAM_WAITING;
    if (item->why == SPN_E_BAD_POSITION && can_begin)
        begin_again(events);
    else if (item->why == SPN_E_CORRUPT && item->missing > 0)
        pass_damage(events, item);
    else
        stream_end_for(&events->stream, END_FAILED, spn_err_name(item->why));
}

static void take_entry(struct stream *stream, const struct spn_item *item)
{
    put_gap(of(stream), item->missing);
    events_text_item(&stream->text, item);
    stream_has_event(stream, item->event->time_ms);
}

static void take(struct stream *stream, const struct spn_item *item)
{
    struct events *events = of(stream);
    switch (item->kind) {
    case SPN_ITEM_VERDICT:
        take_verdict(events, item);
        break;
    case SPN_ITEM_GAP:
        put_gap(events, item->last - item->first + 1);
        break;
    case SPN_ITEM_CAUGHT_UP:
        stream->phase = STREAM_LIVE;
        if (events->request.until_caught_up)
            stream_end(stream, END_CAUGHT_UP);
        break;
    case SPN_ITEM_END:
        take_end(events, item);
        break;
    default:
        if (item->event != NULL)
            take_entry(stream, item);
        break;
    }
}

/* -- begin and end ----------------------------------------------------------------------------- */

static void over(struct stream *stream)
{
    free(of(stream));
}

static const struct stream_calls calls = {.take = take, .over = over};

void events_begin(struct gateway *gateway, struct exchange *exchange,
                  const struct events_request *request)
{
    struct events *events = calloc(1, sizeof(*events) + request->prefix.size);
    if (events == NULL) {
        answer_err(exchange, SPN_E_NOMEM);
        return;
    }
    events->request = *request;
    events->request.prefix.data = events->prefix;
    if (request->prefix.size > 0)
        memcpy(events->prefix, request->prefix.data, request->prefix.size);
    if (!stream_begin(&events->stream, gateway, exchange, &calls, &request->stream))
        return;
    spn_err err = follow(events);
    if (err != SPN_OK)
        stream_refuse(&events->stream, problem_status(err), err, spn_err_text(err));
}
