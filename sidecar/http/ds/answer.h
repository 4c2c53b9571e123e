/* SPDX-License-Identifier: Apache-2.0 */
/* ds_answer: the answers about Durable Streams, and their headers.
 *
 * Threads  one.
 */
#ifndef SPN_HTTP_DS_ANSWER_H
#define SPN_HTTP_DS_ANSWER_H

#include "http/ds/chunk.h"
#include "http/web.h"

/* What every answer has. A page that opens a stream's URL must not take its data for a page of this
 * origin: the data's type is what its writer said. */
void ds_answer_add_safety(struct exchange *exchange);

/* Where the next read begins: after this seq. */
void ds_answer_add_offset(struct exchange *exchange, const struct ds_stream *stream, uint64_t seq);
void ds_answer_add_closed(struct exchange *exchange, bool is_closed);

/* The cursor after the client's, of which data NULL is none. */
uint64_t ds_answer_cursor(struct spn_bytes client);

/* A header whose value may have to be left out, as one with a line end. */
void ds_answer_add_bytes(struct exchange *exchange, const char *name, struct spn_bytes value);

/* What is known of the stream, to a HEAD. */
void ds_answer_head(struct exchange *exchange, const struct ds_stream *stream);

/* A part of a stream, as the answer to a GET. */
struct ds_answer_part {
    const struct ds_stream *stream;
    struct ds_chunk *chunk; /* is finished by the answer */
    bool is_up_to_date;
    bool polls;    /* it is a long poll */
    bool from_now; /* it begins at the end of the stream, wherever that is */
    bool needs_token;
    struct spn_bytes cursor; /* the client's; data NULL: none */
};

void ds_answer_part(struct exchange *exchange, const struct ds_answer_part *part);

/* 404: there is no such stream. */
void ds_answer_absent(struct exchange *exchange);

#endif
