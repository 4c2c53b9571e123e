/* SPDX-License-Identifier: Apache-2.0 */
/* stream_text: the lines of an event stream that are the gateway's own.
 *
 * With `comments` each of them is a comment: the same line after a colon, and no blank line after
 * it. That is for clients that give their app whatever has a field. The decoder of OpenAI's and
 * similar SDKs dispatches an empty event for a blank line after an id or a retry, and for any blank
 * line once an id has come.
 *
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_STREAM_TEXT_H
#define SPN_HTTP_STREAM_TEXT_H

#include "sponson.h"

#include "base/out.h"

/* How long a browser waits before it comes back; the caller gives it a jitter. */
void stream_text_retry(struct out *out, uint32_t retry_ms, bool comments);

/* Where the stream begins: an id without data, which a browser keeps and dispatches nothing for.
 * primes: an event sponson-open with the place as its id and as its data, for clients that keep
 * the id of an event only. */
void stream_text_begin(struct out *out, const char *place, bool primes, bool comments);
/* The same for a place in a session. */
void stream_text_cursor(struct out *out, const struct spn_life *life, uint64_t seq, bool primes,
                        bool comments);

/* sponson-gap: so many events before the next one are no longer retained. It has no id. */
void stream_text_gap(struct out *out, uint64_t missing, bool comments);

/* sponson-reset: what the client has had is not what comes now. The reason is a word, such as the
 * name of an error. It has no id. */
void stream_text_reset(struct out *out, const char *reason, uint64_t missing, bool comments);

/* sponson-end: the stream ends after it. */
void stream_text_end(struct out *out, const char *reason, bool comments);

/* An event as it was stored. False: no memory. */
bool stream_text_event(struct out *out, const struct spn_event *event);

/* A comment that says that the stream lives. */
void stream_text_heartbeat(struct out *out);

#endif
