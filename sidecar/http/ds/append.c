/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/append.h"

#include "base/clock.h"
#include "base/text.h"
#include "http/answer.h"
#include "http/ds/answer.h"
#include "http/ds/headers.h"
#include "http/ds/learn.h"
#include "http/names.h"
#include "http/word.h"

static struct spn_bytes content_type(const struct ds_writing *writing)
{
    return word_trim(exchange_header(writing->exchange, name_CONTENT_TYPE));
}

/* -- answers ----------------------------------------------------------------------------------- */

static void add_producer(struct ds_writing *writing, uint64_t epoch, uint64_t seq)
{
    answer_add_number(writing->exchange, name_PRODUCER_EPOCH, epoch);
    answer_add_number(writing->exchange, name_PRODUCER_SEQ, seq);
}

/* tail: the seq after which the next read begins. */
static void answer(struct ds_writing *writing, unsigned status, uint64_t tail, bool is_closed)
{
    ds_answer_add_offset(writing->exchange, &writing->stream, tail);
    ds_answer_add_closed(writing->exchange, is_closed);
    exchange_add(writing->exchange, "Cache-Control", "no-store");
    exchange_answer(writing->exchange, status, NULL, 0);
}

/* The event is stored, with this seq. */
static void answer_stored(struct ds_writing *writing, uint64_t seq)
{
    bool only_closes = ds_writing_only_closes(writing);
    bool has_producer = writing->note.has_producer;
    if (has_producer)
        add_producer(writing, writing->note.producer.epoch, writing->note.producer.seq);
    answer(writing, has_producer && !only_closes ? 200 : 204, only_closes ? seq - 1 : seq,
           writing->closes);
}

static void answer_duplicate(struct ds_writing *writing, const struct ds_progress *progress)
{
    add_producer(writing, progress->epoch, progress->seq);
    answer(writing, 204, writing->stream.tail, writing->stream.is_closed);
}

static void refuse_closed(struct ds_writing *writing)
{
    ds_answer_add_offset(writing->exchange, &writing->stream, writing->stream.tail);
    ds_answer_add_closed(writing->exchange, true);
    ds_writing_refuse(writing, 409, SPN_E_CLOSED, "the stream is closed");
}

static void refuse_gap(struct ds_writing *writing, uint64_t expected)
{
    answer_add_number(writing->exchange, name_EXPECTED_SEQ, expected);
    answer_add_number(writing->exchange, name_RECEIVED_SEQ, writing->note.producer.seq);
    ds_writing_refuse(writing, 409, SPN_E_CONDITION,
                      "appends of this producer are missing before this one");
}

/* -- decisions --------------------------------------------------------------------------------- */

/* Whether this is the request that closed the stream. */
static bool is_closer(const struct ds_writing *writing)
{
    const struct ds_state *state = writing->turn.state;
    const struct ds_append *producer = &writing->note.producer;
    return writing->note.has_producer && state->closer_id.size > 0 &&
           word_equals(state->closer_id, producer->id) && state->closer.epoch == producer->epoch &&
           state->closer.seq == producer->seq;
}

static void decide_closed(struct ds_writing *writing)
{
    if (is_closer(writing))
        answer_duplicate(writing, &writing->turn.state->closer);
    else if (writing->closes && writing->body.size == 0 && !writing->note.has_producer)
        answer(writing, 204, writing->stream.tail, true);
    else
        refuse_closed(writing);
}

/* False: the producer's append is not taken, and was answered. */
static bool check_producer(struct ds_writing *writing)
{
    struct ds_progress progress;
    uint64_t expected;
    switch (ds_producers_judge(&writing->turn.state->producers, &writing->note.producer, &progress,
                               &expected)) {
    case DS_ACCEPTED:
        return true;
    case DS_DUPLICATE:
        answer_duplicate(writing, &progress);
        return false;
    case DS_STALE_EPOCH:
        answer_add_number(writing->exchange, name_PRODUCER_EPOCH, progress.epoch);
        ds_writing_refuse(writing, 403, SPN_E_FENCED, "the producer has a later epoch");
        return false;
    case DS_BAD_START:
        ds_writing_refuse(writing, 400, SPN_E_INVALID, "a new epoch begins with Producer-Seq 0");
        return false;
    default:
        refuse_gap(writing, expected);
        return false;
    }
}

static bool check_body(struct ds_writing *writing)
{
    const struct ds_config *config = &writing->stream.config;
    if (writing->body.size == 0)
        return true;
    if (!ds_media_same(content_type(writing), config->content_type)) {
        ds_writing_refuse(writing, 409, SPN_E_CONDITION,
                          "the stream has another content type than the body");
        return false;
    }
    if (!ds_writing_read_body(writing, config->content_type))
        return false;
    if (writing->data.size > 0)
        return true;
    ds_writing_refuse(writing, 400, SPN_E_BAD_DATA, "the array in the body is empty");
    return false;
}

static bool check_seq(struct ds_writing *writing)
{
    struct spn_bytes last = writing->turn.state->last_seq;
    if (writing->note.seq.size == 0 || last.size == 0 || text_compare(writing->note.seq, last) > 0)
        return true;
    ds_writing_refuse(writing, 409, SPN_E_CONDITION,
                      "Stream-Seq is not greater than that of the newest append with one");
    return false;
}

/* Before the append, which begins the time to live again. */
static void shorten_life(struct ds_writing *writing)
{
    char note[DS_CONFIG_NOTE_SIZE];
    struct spn_attributes attributes;
    const struct ds_stream *stream = &writing->stream;
    const struct spn_publish_options options = {.size = sizeof(options), .life = &stream->life};
    ds_config_attributes(&stream->config, clock_wall_ms(), note, &attributes);
    attributes.idle_close_ms = stream->idle_close_ms;
    ds_writing_asked(writing, spn_ask_set(&writing->change, writing->gateway->client,
                                          writing->session, &attributes, &options));
}

static void append(struct ds_writing *writing)
{
    const struct ds_stream *stream = &writing->stream;
    if (ds_config_outlives(&stream->config, stream->ttl_ms, clock_wall_ms()))
        shorten_life(writing);
    else
        ds_writing_publish(writing);
}

/* What the decision rests on is known. */
static void know(struct ds_writing *writing)
{
    if (writing->found > 0)
        answer_stored(writing, writing->found);
    else if (writing->stream.is_closed)
        decide_closed(writing);
    else if (check_body(writing) && (!writing->note.has_producer || check_producer(writing)) &&
             check_seq(writing))
        append(writing);
}

static void look(struct ds_writing *writing, enum ds_presence presence)
{
    if (presence != DS_THERE || ds_writing_is_gone(writing, presence))
        ds_answer_absent(writing->exchange);
    else
        ds_learn_begin(writing);
}

static void done(struct ds_writing *writing, const struct spn_published *published)
{
    if (published->result == SPN_REFUSED) {
        ds_writing_again(writing, published->code);
    } else if (!writing->is_publishing) {
        ds_writing_look(writing); /* its life is shorter now */
    } else if (published->result == SPN_CONFLICT) {
        answer_err(writing->exchange, SPN_E_PROTOCOL); /* nobody else has the id */
    } else {
        writing->gateway->counts.published += published->result == SPN_STORED;
        answer_stored(writing, published->seq > 0 ? published->seq : writing->stream.seq + 1);
    }
}

/* -- the request ------------------------------------------------------------------------------- */

static bool check(struct ds_writing *writing)
{
    if (writing->body.size == 0 && !writing->closes)
        ds_writing_refuse(writing, 400, SPN_E_BAD_DATA,
                          "the body is empty, and the request does not close the stream");
    else if (writing->body.size > 0 && !ds_media_is_valid(content_type(writing)))
        ds_writing_refuse(writing, 400, SPN_E_INVALID, "Content-Type is missing or no media type");
    return !exchange_is_answered(writing->exchange);
}

static const struct ds_writing_calls calls = {
    .check = check, .look = look, .know = know, .done = done};

void ds_append_begin(struct gateway *gateway, struct exchange *exchange, struct spn_bytes session)
{
    struct ds_note note;
    struct problem problem;
    const struct ds_append_headers headers = {
        .producer_id = exchange_header(exchange, name_PRODUCER_ID),
        .producer_epoch = exchange_header(exchange, name_PRODUCER_EPOCH),
        .producer_seq = exchange_header(exchange, name_PRODUCER_SEQ),
        .seq = exchange_header(exchange, name_STREAM_SEQ),
    };
    if (!ds_append_parse(&headers, &note, &problem)) {
        answer_problem(exchange, &problem);
        return;
    }
    struct ds_writing *writing = ds_writing_begin(gateway, exchange, session, &calls);
    if (writing == NULL)
        return;
    writing->note = note;
    writing->closes = ds_headers_close(exchange_header(exchange, name_STREAM_CLOSED));
}
