/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ds/chunk.h"

#include <stdio.h>

void ds_chunk_init(struct ds_chunk *chunk, enum ds_form form, uint64_t from, bool from_begin)
{
    *chunk = (struct ds_chunk){.form = form, .from = from, .to = from, .from_begin = from_begin};
    out_init(&chunk->body, -1);
}

void ds_chunk_release(struct ds_chunk *chunk)
{
    out_release(&chunk->body);
}

bool ds_chunk_add(struct ds_chunk *chunk, const struct spn_event *event)
{
    size_t before = chunk->body.size;
    if (chunk->form == DS_FORM_JSON)
        out_text(&chunk->body, chunk->has_data ? "," : "[");
    if (ds_stream_data(chunk->form, event, &chunk->body))
        chunk->has_data = true;
    else
        chunk->body.size = before;
    if (!ds_stream_only_closes(event))
        chunk->to = event->seq;
    chunk->is_closed = event->closes;
    return chunk->body.size >= DS_CHUNK_BYTES;
}

void ds_chunk_pass(struct ds_chunk *chunk, uint64_t seq)
{
    if (chunk->to < seq)
        chunk->to = seq;
}

void ds_chunk_finish(struct ds_chunk *chunk)
{
    if (chunk->form == DS_FORM_JSON)
        out_text(&chunk->body, chunk->has_data ? "]" : "[]");
}

char *ds_chunk_tag(const struct ds_chunk *chunk, const struct ds_stream *stream,
                   char ret_text[DS_CHUNK_TAG_SIZE])
{
    char from[DS_OFFSET_SIZE];
    char to[DS_OFFSET_SIZE];
    ds_stream_offset(stream, chunk->from, from);
    ds_stream_offset(stream, chunk->to, to);
    (void)snprintf(ret_text, DS_CHUNK_TAG_SIZE, "\"%s:%s%s\"", chunk->from_begin ? "-1" : from, to,
                   chunk->is_closed ? ":c" : "");
    return ret_text;
}
