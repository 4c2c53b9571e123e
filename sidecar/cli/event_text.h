/* SPDX-License-Identifier: Apache-2.0 */
/* event_text: an event as a line of JSON, or as text/event-stream.
 *
 * The JSON lines are written by hand. jansson takes 3.5 to 5 us for one line, this code a tenth of
 * that: a dump of 1,000,000 events takes one second instead of five. A test reads the lines back
 * with jansson.
 *
 * Borrows  the event, during the call.
 * Threads  pure functions on the caller's memory.
 */
#ifndef SPN_CLI_EVENT_TEXT_H
#define SPN_CLI_EVENT_TEXT_H

#include "sponson.h"

#include "base/out.h"

enum event_format { EVENT_JSONL, EVENT_SSE };

/* One line: position, session, life (null: not known), seq, id, type, data, retry (null: none),
 * time. Keys are always in this order. Bytes that are not UTF-8 become base64
 * (RFC 4648, padded), marked by a key after the others: "encoding" for data, "id_encoding" and
 * "type_encoding". type is
 * "" for an event without an `event:` field, which means "message". A session with data NULL has no
 * known name: null. A marker has data null, and after the others the key "marker" with true. Its id
 * is null if it leaves the id in force unchanged, and "" if it resets it. The line ends of Unicode
 * other than LF (U+0085, U+2028, U+2029) are escaped: a program that splits at them still gets
 * whole lines. */
void event_put_json(struct out *out, struct spn_bytes session, const struct spn_event *event);

/* One line: an entry of the log, as an item of spn_follow. Keys: position, session, life, epoch (0:
 * left out), seq, kind; those of an event as above, otherwise time; then what the kind has, and
 * last the cursor (NULL: left out). */
void entry_put_json(struct out *out, const struct spn_item *item, uint64_t epoch,
                    const char *cursor);

/* A cursor of the log as text is `<database>:<position>`. The size includes the NUL. */
#define LOG_CURSOR_TEXT_SIZE (SPN_LIFE_TEXT_SIZE + 21)
void log_cursor_format(const unsigned char *database, uint64_t position,
                       char ret_text[LOG_CURSOR_TEXT_SIZE]);
/* False: it is not such a text. */
bool log_cursor_parse(const char *text, unsigned char *ret_database, uint64_t *ret_position);

/* Includes the blank line. SPN_E_BAD_ID, SPN_E_BAD_TYPE, SPN_E_BAD_DATA: an event stream cannot
 * carry the event, and nothing is written. SPN_E_NOMEM. */
spn_err event_put_sse(struct out *out, const struct spn_event *event) SPN_MUST_USE;

/* A comment (HTML standard, 9.2.5): parsers skip it, people see which session's events follow.
 * last: the session of the last comment, a text; none is put for the same one. */
enum { EVENT_SESSION_SIZE = 256 };
void event_put_session(struct out *out, char last[EVENT_SESSION_SIZE], struct spn_bytes session);

#endif
