/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/answer.h"

#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "http/answer.h"
#include "http/ds/headers.h"
#include "http/names.h"

enum { VALUE_MAX = 511 };

static const char yes[] = "true";

void ds_answer_add_safety(struct exchange *exchange)
{
    exchange_add(exchange, "X-Content-Type-Options", "nosniff");
    exchange_add(exchange, "Cross-Origin-Resource-Policy", "cross-origin");
    exchange_add(exchange, "Content-Security-Policy", "default-src 'none'; sandbox");
    exchange_add(exchange, "Referrer-Policy", "no-referrer");
}

void ds_answer_add_offset(struct exchange *exchange, const struct ds_stream *stream, uint64_t seq)
{
    char text[DS_OFFSET_SIZE];
    exchange_add(exchange, name_STREAM_NEXT_OFFSET, ds_stream_offset(stream, seq, text));
}

void ds_answer_add_closed(struct exchange *exchange, bool is_closed)
{
    if (is_closed)
        exchange_add(exchange, name_STREAM_CLOSED, yes);
}

void ds_answer_add_bytes(struct exchange *exchange, const char *name, struct spn_bytes value)
{
    char text[VALUE_MAX + 1];
    if (value.size == 0 || value.size > VALUE_MAX)
        return;
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    if (strlen(text) == value.size && strpbrk(text, "\r\n") == NULL)
        exchange_add(exchange, name, text);
}

uint64_t ds_answer_cursor(struct spn_bytes client)
{
    uint32_t random = 0;
    if (client.size > 0)
        (void)!random_fill(&random, sizeof(random)); /* without it the cursor is one later */
    return ds_cursor(clock_wall_ms() / 1000, client, random);
}

void ds_answer_head(struct exchange *exchange, const struct ds_stream *stream)
{
    ds_answer_add_offset(exchange, stream, stream->tail);
    ds_answer_add_closed(exchange, stream->is_closed);
    if (stream->config.has_ttl)
        answer_add_number(exchange, name_STREAM_TTL, stream->config.ttl_s);
    ds_answer_add_bytes(exchange, name_STREAM_EXPIRES_AT, stream->config.expires);
    ds_answer_add_bytes(exchange, "Content-Type", stream->config.content_type);
    exchange_add(exchange, "Cache-Control", "no-store");
    exchange_answer(exchange, 200, NULL, 0);
}

/* -- parts ------------------------------------------------------------------------------------- */

/* A part that is not the newest stays as it is. The others are asked for again, and their tag says
 * whether they have changed; so are all of them where it needs a token to read them. */
static const char *cache_control(const struct ds_answer_part *part)
{
    if (part->polls || part->from_now)
        return "no-store";
    return part->is_up_to_date || part->needs_token
               ? "private, no-cache"
               : "private, max-age=60, stale-while-revalidate=300";
}

static void answer_body(struct exchange *exchange, const struct ds_answer_part *part)
{
    struct ds_chunk *chunk = part->chunk;
    ds_chunk_finish(chunk);
    if (chunk->body.error != 0) {
        answer_err(exchange, SPN_E_NOMEM);
        return;
    }
    ds_answer_add_bytes(exchange, "Content-Type", part->stream->config.content_type);
    exchange_answer_out(exchange, 200, &chunk->body);
}

void ds_answer_part(struct exchange *exchange, const struct ds_answer_part *part)
{
    const struct ds_chunk *chunk = part->chunk;
    char tag[DS_CHUNK_TAG_SIZE];
    ds_answer_add_offset(exchange, part->stream, chunk->to);
    ds_answer_add_closed(exchange, chunk->is_closed);
    if (part->is_up_to_date)
        exchange_add(exchange, name_STREAM_UP_TO_DATE, yes);
    if (part->polls && !chunk->is_closed)
        answer_add_number(exchange, name_STREAM_CURSOR, ds_answer_cursor(part->cursor));
    exchange_add(exchange, "Cache-Control", cache_control(part));
    if (part->polls && !chunk->has_data) {
        exchange_answer(exchange, 204, NULL, 0);
        return;
    }
    if (part->from_now) {
        answer_body(exchange, part);
        return;
    }
    exchange_add(exchange, name_ETAG, ds_chunk_tag(chunk, part->stream, tag));
    if (ds_headers_match(exchange_header(exchange, name_IF_NONE_MATCH), tag))
        exchange_answer(exchange, 304, NULL, 0);
    else
        answer_body(exchange, part);
}

/* -- there is none ----------------------------------------------------------------------------- */

void ds_answer_absent(struct exchange *exchange)
{
    struct problem problem;
    problem_set(&problem, 404, SPN_E_UNKNOWN_SESSION, "there is no such stream");
    answer_problem(exchange, &problem);
}
