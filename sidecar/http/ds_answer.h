/* SPDX-License-Identifier: Apache-2.0 */
/* ds_answer: headers of the answers about Durable Streams.
 *
 * Threads  one.
 */
#ifndef SPN_HTTP_DS_ANSWER_H
#define SPN_HTTP_DS_ANSWER_H

#include "http/ds_stream.h"
#include "http/web.h"

/* What every answer has. A page that opens a stream's URL must not take its data for a page of this
 * origin: the data's type is what its writer said. */
void ds_answer_add_safety(struct exchange *exchange);

/* Where the next read begins: after this seq. */
void ds_answer_add_offset(struct exchange *exchange, const struct ds_stream *stream, uint64_t seq);
void ds_answer_add_closed(struct exchange *exchange, bool is_closed);
void ds_answer_add_up_to_date(struct exchange *exchange);

/* A header whose value may have to be left out, as one with a line end. */
void ds_answer_add_bytes(struct exchange *exchange, const char *name, struct spn_bytes value);

/* 404: there is no such stream. */
void ds_answer_absent(struct exchange *exchange);

#endif
