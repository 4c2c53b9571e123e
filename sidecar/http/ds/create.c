/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/create.h"

#include <string.h>

#include "base/clock.h"
#include "http/answer.h"
#include "http/ds/answer.h"
#include "http/ds/headers.h"
#include "http/ds/writing.h"
#include "http/names.h"
#include "http/word.h"

/* -- answers ----------------------------------------------------------------------------------- */

/* Whether this request opened the life that is there, also if the answer to that was lost. */
static bool is_own(const struct ds_writing *writing)
{
    return word_equals(writing->stream.config.creator, writing->config.creator);
}

/* The URL of the request without its query, which may hold a token. */
static void add_location(struct exchange *exchange)
{
    const char *target = exchange_target(exchange);
    struct spn_bytes path = {target, strcspn(target, "?")};
    struct spn_bytes host = exchange_header(exchange, name_HOST);
    struct out out;
    out_init(&out, -1);
    if (target[0] == '/' && host.size > 0) {
        bool is_https =
            word_is_caseless(word_trim(exchange_header(exchange, name_FORWARDED_PROTO)), "https");
        out_text(&out, is_https ? "https://" : "http://");
        out_put(&out, host.data, host.size);
    }
    out_put(&out, path.data, path.size);
    if (out.error == 0)
        ds_answer_add_bytes(exchange, name_LOCATION, (struct spn_bytes){out.data, out.size});
    out_release(&out);
}

static void answer(struct ds_writing *writing)
{
    struct exchange *exchange = writing->exchange;
    const struct ds_stream *stream = &writing->stream;
    bool is_new = is_own(writing);
    if (is_new)
        add_location(exchange);
    ds_answer_add_bytes(exchange, "Content-Type", stream->config.content_type);
    ds_answer_add_offset(exchange, stream, stream->tail);
    ds_answer_add_closed(exchange, stream->is_closed);
    exchange_add(exchange, "Cache-Control", "no-store");
    exchange_answer(exchange, is_new ? 201 : 200, NULL, 0);
}

/* -- steps ------------------------------------------------------------------------------------- */

static void create(struct ds_writing *writing)
{
    char note[DS_CONFIG_NOTE_SIZE];
    struct spn_attributes attributes;
    const struct spn_publish_options options = {.size = sizeof(options), .if_new = true};
    ds_config_attributes(&writing->config, clock_wall_ms(), note, &attributes);
    ds_writing_asked(writing, spn_ask_set(&writing->change, writing->gateway->client,
                                          writing->session, &attributes, &options));
}

/* What is left of a PUT that did not come to its end, or of a stream that has expired. */
static void remove_rest(struct ds_writing *writing)
{
    const struct spn_publish_options options = {
        .size = sizeof(options),
        .life = &writing->stream.life,
        .has_if_seq = true,
        .if_seq = writing->stream.seq,
    };
    ds_writing_asked(writing, spn_ask_delete_with(&writing->change, writing->gateway->client,
                                                  writing->session, &options));
}

static void compare(struct ds_writing *writing)
{
    const struct ds_stream *stream = &writing->stream;
    if (!is_own(writing) && (!ds_config_same(&stream->config, &writing->config) ||
                             stream->is_closed != writing->closes)) {
        ds_answer_add_closed(writing->exchange, stream->is_closed);
        ds_writing_refuse(writing, 409, SPN_E_CONDITION,
                          "the stream is there, with another content type, expiry or state");
        return;
    }
    answer(writing);
}

static void look(struct ds_writing *writing, enum ds_presence presence)
{
    if (presence == DS_ABSENT)
        create(writing);
    else if (presence == DS_UNFINISHED && is_own(writing))
        ds_writing_publish(writing);
    else if (presence == DS_UNFINISHED || (presence == DS_EXPIRED && !is_own(writing)))
        remove_rest(writing);
    else
        compare(writing);
}

/* Whatever was done, what is there now says what comes next. */
static void done(struct ds_writing *writing, const struct spn_published *published)
{
    if (published->result == SPN_REFUSED)
        ds_writing_again(writing, published->code);
    else
        ds_writing_look(writing);
}

/* -- the request ------------------------------------------------------------------------------- */

static bool check(struct ds_writing *writing)
{
    if (!ds_writing_read_body(writing, writing->config.content_type))
        return false;
    writing->config.begins_with_content = writing->data.size > 0 || writing->closes;
    return true;
}

static const struct ds_writing_calls calls = {.check = check, .look = look, .done = done};

void ds_create_begin(struct gateway *gateway, struct exchange *exchange, struct spn_bytes session)
{
    struct ds_config config;
    struct problem problem;
    const struct ds_config_headers headers = {
        .content_type = exchange_header(exchange, name_CONTENT_TYPE),
        .ttl = exchange_header(exchange, name_STREAM_TTL),
        .expires = exchange_header(exchange, name_STREAM_EXPIRES_AT),
    };
    if (exchange_header(exchange, name_STREAM_FORKED_FROM).data != NULL) {
        problem_set(&problem, 501, SPN_E_UNSUPPORTED, "streams cannot be forked here");
        answer_problem(exchange, &problem);
        return;
    }
    if (!ds_config_parse(&headers, &config, &problem)) {
        answer_problem(exchange, &problem);
        return;
    }
    struct ds_writing *writing = ds_writing_begin(gateway, exchange, session, &calls);
    if (writing == NULL)
        return;
    writing->config = config;
    writing->config.creator = ds_writing_id(writing);
    writing->closes = ds_headers_close(exchange_header(exchange, name_STREAM_CLOSED));
}
