/* SPDX-License-Identifier: Apache-2.0 */
/* ds_chunk: a part of a Durable Stream as one body: from a place up to another one.
 *
 * Owns     the body.
 * Threads  belongs to one thread.
 */
#ifndef SPN_HTTP_DS_CHUNK_H
#define SPN_HTTP_DS_CHUNK_H

#include "http/ds/stream.h"

enum {
    DS_CHUNK_BYTES = 256 * 1024, /* a chunk ends after the append that reaches it */
    DS_CHUNK_TAG_SIZE = 2 * DS_OFFSET_SIZE + sizeof("\":::c\""),
};

struct ds_chunk {
    enum ds_form form;
    struct out body; /* of JSON: without the bracket at its end */
    bool has_data;
    bool from_begin; /* it begins with the first append there is */
    uint64_t from;   /* the seq after which it begins ... */
    uint64_t to;     /* ... and that it has come to */
    bool is_closed;  /* the stream, and this is the end of it */
};

void ds_chunk_init(struct ds_chunk *chunk, enum ds_form form, uint64_t from, bool from_begin);
void ds_chunk_release(struct ds_chunk *chunk); /* takes zeros */

/* Adds the next event. True: the chunk has its size. */
bool ds_chunk_add(struct ds_chunk *chunk, const struct spn_event *event);
/* Everything up to this seq was added, or is no longer retained. */
void ds_chunk_pass(struct ds_chunk *chunk, uint64_t seq);
/* Nothing more comes. */
void ds_chunk_finish(struct ds_chunk *chunk);

/* The entity tag. What lies between two places does not change, but the stream may be closed. */
char *ds_chunk_tag(const struct ds_chunk *chunk, const struct ds_stream *stream,
                   char ret_text[DS_CHUNK_TAG_SIZE]);

#endif
