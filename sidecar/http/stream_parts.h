/* SPDX-License-Identifier: Apache-2.0 */
/* stream_parts: what the files of the stream share; nobody else includes this.
 *
 *     stream.c        its begin, its time and its end
 *     stream_write.c  from items and blocks to the socket
 *
 * Owns     nothing: see stream.h.
 * Threads  one.
 */
#ifndef SPN_HTTP_STREAM_PARTS_H
#define SPN_HTTP_STREAM_PARTS_H

#include "http/stream.h"

/* There is text, or the stream is to end. */
bool stream_must_write(const struct stream *stream);
/* If so, nothing more is taken until it is written. */
void stream_settle(struct stream *stream);

/* Drops what is not written yet, at the end. */
void stream_release_text(struct stream *stream);

extern const struct feed_calls stream_feed_calls;

/* As memory_share.on_room, taker.may_take, taker.on_item, exchange_calls.give and
 * exchange_calls.wrote. */
void stream_on_room(struct memory_share *share);
bool stream_may_take(struct taker *taker, size_t bytes);
void stream_on_item(struct taker *taker, const struct spn_item *item);
ssize_t stream_give(struct exchange *exchange, const char **ret_bytes);
void stream_wrote(struct exchange *exchange, size_t size);

#endif
