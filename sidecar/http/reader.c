/* SPDX-License-Identifier: Apache-2.0 */
#include "http/reader.h"

#include <stdlib.h>

#include "http/answer.h"
#include "http/names.h"
#include "http/session_start.h"
#include "http/stream.h"
#include "http/stream_text.h"

struct reader {
    struct stream stream;
    struct session_start start;
    struct reader_request request; /* its bytes are not used after the beginning */
    struct spn_life life;          /* of the verdict */
    bool was_ahead;                /* its cursor was after the newest event */
    bool has_left;                 /* a feed: what comes is a verdict on its own cursor */
};

static struct reader *of(struct stream *stream)
{
    return LINK_OWNER(stream, struct reader, stream);
}

static void add_verdict(struct exchange *exchange, const struct spn_item *verdict)
{
    if (exchange_is_answered(exchange))
        return;
    answer_add_session(exchange, &verdict->life, verdict->newest, verdict->state);
    answer_add_number(exchange, name_MISSING, verdict->missing);
}

static void put_gap(struct reader *reader, uint64_t missing)
{
    stream_text_gap(&reader->stream.text, missing, reader->request.stream.comments);
    reader->stream.gateway->counts.gaps++;
}

static void put_reset(struct reader *reader, spn_err why, uint64_t missing)
{
    stream_text_reset(&reader->stream.text, spn_err_name(why), missing,
                      reader->request.stream.comments);
    reader->stream.gateway->counts.resets++;
}

/* -- items ------------------------------------------------------------------------------------- */

static spn_err subscribe(struct reader *reader, unsigned otherwise)
{
    spn_subscription *subscription;
    spn_err err =
        session_start_subscribe(&reader->start, reader->stream.gateway, &subscription, otherwise);
    if (err == SPN_OK)
        stream_follow(&reader->stream, subscription);
    return err;
}

static void subscribe_again(struct reader *reader, unsigned otherwise)
{
    if (subscribe(reader, otherwise) != SPN_OK)
        stream_end_for(&reader->stream, END_FAILED, spn_err_name(SPN_E_NOMEM));
}

static unsigned if_not_there(const struct reader *reader)
{
    return reader->request.fails_if_unknown_id ? SPN_FAIL : SPN_RESTART;
}

static void count_resume(struct reader *reader, spn_err why)
{
    if (!session_start_has_cursor(&reader->start))
        return;
    stream_has_resumed(&reader->stream, why == SPN_OK             ? RESUME_WHOLE
                                        : why == SPN_E_TRIMMED    ? RESUME_TRIMMED
                                        : why == SPN_E_OTHER_LIFE ? RESUME_OTHER_LIFE
                                        : why == SPN_E_UNKNOWN_ID ? RESUME_UNKNOWN_ID
                                                                  : RESUME_UNKNOWN_SESSION);
}

static void refuse_place(struct reader *reader, spn_err err)
{
    count_resume(reader, err);
    stream_refuse(&reader->stream, 410, err, "no retained event of the session has this id");
}

/* The session begins again, as it does for an id that nobody knows. */
static void take_unknown_place(struct reader *reader)
{
    if (reader->request.fails_if_unknown_id) {
        refuse_place(reader, SPN_E_UNKNOWN_ID);
        return;
    }
    count_resume(reader, SPN_E_UNKNOWN_ID);
    reader->was_ahead = true;
    reader->start.start.kind = START_EARLIEST;
    subscribe_again(reader, SPN_RESTART);
}

static void take_verdict(struct reader *reader, const struct spn_item *item)
{
    struct stream *stream = &reader->stream;
    if (session_start_is_ahead(&reader->start, item)) {
        take_unknown_place(reader);
        return;
    }
    bool is_closed = item->state == SPN_CLOSED;
    bool is_at_end = session_start_has_cursor(&reader->start) && item->why == SPN_OK &&
                     item->seq >= item->newest;
    if (is_closed && (reader->request.active_only || is_at_end)) {
        if (is_at_end)
            stream_has_resumed(stream, RESUME_AT_END);
        stream_answer_nothing(stream);
        return;
    }
    reader->life = item->life;
    add_verdict(stream->exchange, item);
    stream_open(stream);
    stream_text_cursor(&stream->text, &item->life, item->seq, reader->request.primes,
                       reader->request.stream.comments);
    if (item->why == SPN_E_TRIMMED)
        put_gap(reader, item->missing);
    else if (item->why != SPN_OK || reader->was_ahead)
        put_reset(reader, reader->was_ahead ? SPN_E_UNKNOWN_ID : item->why, item->missing);
    if (stream->give_up_ns == 0) /* else it was counted when the session was not there */
        count_resume(reader, item->why);
    stream->give_up_ns = 0;
    stream->phase = STREAM_BEHIND;
}

/* There is no such session. Waits for it, unless the request says that it should not, or did so
 * before. */
static void take_absence(struct reader *reader)
{
    struct stream *stream = &reader->stream;
    if (reader->request.active_only) {
        stream_answer_nothing(stream);
        return;
    }
    if (reader->request.fails_if_unknown) {
        stream_refuse(stream, 404, SPN_E_UNKNOWN_SESSION, "there is no such session");
        return;
    }
    if (reader->start.start.kind == START_ABSENT) {
        count_resume(reader, SPN_E_UNKNOWN_SESSION);
        stream_answer_nothing(stream);
        return;
    }
    stream_open(stream);
    if (session_start_has_cursor(&reader->start))
        put_reset(reader, SPN_E_UNKNOWN_SESSION, 0);
    count_resume(reader, SPN_E_UNKNOWN_SESSION);
    stream_give_up_after(stream, stream->gateway->options->wait_unknown_ns);
    subscribe_again(reader, SPN_WAIT);
}

/* A reader that had something of a session that is gone comes back with this, and is stopped. One
 * that had nothing of it waits again: the session may be still to come. */
static void give_up(struct stream *stream)
{
    const struct reader *reader = of(stream);
    if (session_start_has_cursor(&reader->start))
        stream_text_begin(&stream->text, START_ABSENT_TEXT, reader->request.primes,
                          reader->request.stream.comments);
}

static void take_end(struct reader *reader, const struct spn_item *item)
{
    struct stream *stream = &reader->stream;
    if (reader->has_left && item->why == SPN_E_UNKNOWN_SESSION) {
        stream_end_for(stream, END_DELETED, "deleted");
        return;
    }
    if (session_start_again(&reader->start, item->why)) {
        subscribe_again(reader, if_not_there(reader));
        return;
    }
    switch (item->why) {
    case SPN_E_UNKNOWN_SESSION:
        take_absence(reader);
        break;
    case SPN_E_UNKNOWN_ID:
    case SPN_E_OTHER_LIFE:
        refuse_place(reader, item->why);
        break;
    case SPN_E_CLOSED:
        stream_end(stream, END_CLOSED);
        break;
    case SPN_E_DELETED:
        stream_end_for(stream, END_DELETED, "deleted");
        break;
    default: /* a limit, or damage: who comes back later may be luckier */
        stream_end_for(stream, END_FAILED, spn_err_name(item->why));
        break;
    }
}

static void take_event(struct stream *stream, const struct spn_event *event)
{
    if (stream_text_event(&stream->text, event))
        stream_has_event(stream, event->time_ms);
    else
        stream_end_for(stream, END_FAILED, spn_err_name(SPN_E_NOMEM));
}

/* -- feeds ------------------------------------------------------------------------------------- */

static void share(struct reader *reader, uint64_t seq)
{
    if (reader->stream.phase == STREAM_LIVE)
        stream_share(&reader->stream, reader->start.session, &reader->life, seq);
}

/* The stream has events up to its member's seq. */
static void left(struct stream *stream, spn_err why)
{
    struct reader *reader = of(stream);
    struct spn_item end = {.kind = SPN_ITEM_END, .why = why};
    if (why != SPN_OK) {
        take_end(reader, &end);
        return;
    }
    reader->start.start =
        (struct start){.kind = START_CURSOR, .life = reader->life, .seq = stream->member.seq};
    reader->has_left = true;
    stream->phase = STREAM_BEHIND;
    subscribe_again(reader, SPN_RESTART);
}

/* After it has left a feed: it goes on, or what is missing is said. */
static void take_verdict_again(struct reader *reader, const struct spn_item *item)
{
    bool is_ahead = session_start_is_ahead(&reader->start, item);
    reader->has_left = false;
    if (is_ahead) {
        take_unknown_place(reader);
        return;
    }
    reader->life = item->life;
    if (item->why == SPN_E_TRIMMED)
        put_gap(reader, item->missing);
    else if (item->why != SPN_OK)
        put_reset(reader, item->why, item->missing);
}

static void take(struct stream *stream, const struct spn_item *item)
{
    struct reader *reader = of(stream);
    switch (item->kind) {
    case SPN_ITEM_VERDICT:
        if (reader->has_left)
            take_verdict_again(reader, item);
        else
            take_verdict(reader, item);
        break;
    case SPN_ITEM_EVENT:
        take_event(stream, item->event);
        share(reader, item->seq);
        break;
    case SPN_ITEM_GAP:
        put_gap(reader, item->missing);
        share(reader, item->seq);
        break;
    case SPN_ITEM_CAUGHT_UP:
        stream->phase = STREAM_LIVE;
        if (reader->request.until_caught_up)
            stream_end(stream, END_CAUGHT_UP);
        share(reader, item->seq);
        break;
    case SPN_ITEM_END:
        take_end(reader, item);
        break;
    default:
        break;
    }
}

/* -- begin and end ----------------------------------------------------------------------------- */

static void over(struct stream *stream)
{
    struct reader *reader = of(stream);
    session_start_release(&reader->start);
    free(reader);
}

static const struct stream_calls calls = {
    .take = take, .give_up = give_up, .left = left, .over = over};

void reader_begin(struct gateway *gateway, struct exchange *exchange,
                  const struct reader_request *request)
{
    struct reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL) {
        answer_err(exchange, SPN_E_NOMEM);
        return;
    }
    reader->request = *request;
    if (!stream_begin(&reader->stream, gateway, exchange, &calls, &request->stream))
        return;
    spn_err err = session_start_keep(&reader->start, request->session, &request->start);
    if (err == SPN_OK)
        err = subscribe(reader, if_not_there(reader));
    if (err != SPN_OK)
        stream_refuse(&reader->stream, problem_status(err), err, spn_err_text(err));
}
