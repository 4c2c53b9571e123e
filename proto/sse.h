/* SPDX-License-Identifier: Apache-2.0 */
/* sse: text/event-stream <-> events, after section 9.2 of the HTML standard.
 *
 * The parser is incremental: feed it what arrived, in pieces of any size, and take one event at a
 * time. The same stream gives the same events however it was cut into pieces. The formatter is the
 * reverse: the parser reads back what sse_format writes as the same event.
 *
 * A block without data dispatches nothing. If it has an id or a retry it is returned as a marker,
 * so that the stream can be stored, resumed after the marker and written again. The id is in force
 * from the block's blank line on.
 *
 * Two choices of ours. Nothing is decoded: bytes that are not UTF-8 come out unchanged, where a
 * browser would put U+FFFD, because a sidecar must pass on what it was given. A retry above
 * SSE_RETRY_MAX is taken as SSE_RETRY_MAX, because the standard sets no bound and ignores no
 * number; one more is what stands for "no retry" on the wire and on disk. The caller handles the
 * content type of the stream and the wait before a reconnect.
 *
 * Owns     inside a parser five buffers (data, type, and three ids: in force, of this block, of
 *          this line), none of them larger than event_size_max + 1, also while a line or a block
 *          has no end. Nothing is kept of comments and of unknown fields. The buffers are
 *          reused for every event; one of more than 64 KiB is freed by the call after its event.
 * Borrows  the bytes fed: copied before the call returns.
 * Lends    the slices of an event: valid until the next call with that parser.
 * Units    sizes in bytes, retry in milliseconds.
 * Threads  a parser belongs to one thread at a time; the formatter is pure.
 */
#ifndef SPN_PROTO_SSE_H
#define SPN_PROTO_SSE_H

#include <stdbool.h>
#include <stdint.h>

#include "spn_err.h"

#define SSE_RETRY_MAX (UINT32_MAX - 1)

struct sse_event {
    bool marker; /* not an event: a block without data. It has an id or a retry, no type, no data */
    /* The event's own id; data is NULL if it has none. An empty `id:` field gives size 0 with data
     * that is not NULL: it resets the last event id. */
    struct spn_bytes id;
    /* The last event id in force when the event was dispatched, its own included. The formatter
     * ignores it. */
    struct spn_bytes last_id;
    struct spn_bytes type; /* the `event:` field; size 0 if absent or empty: means "message" */
    struct spn_bytes data;
    bool has_retry;    /* a retry in this block, or in an earlier one that was too large */
    uint32_t retry_ms; /* up to SSE_RETRY_MAX */
};

/* -- parser ------------------------------------------------------------------------------------ */

struct sse_text {
    char *data;
    size_t size;
    size_t capacity;
    bool overflow; /* more arrived than it may hold; its contents are useless */
};

enum { SSE_NAME_SIZE = 6 }; /* one byte more than the longest known field name */

/* In the caller's memory; use it only through the functions below. */
struct sse_parser {
    size_t event_size_max;

    /* The stream. */
    uint8_t bom_size; /* bytes of a leading BOM seen so far; 3 once it is decided */
    bool known;       /* a line was a field or a comment */
    bool unknown;     /* a line was neither, and not blank */
    bool after_cr;    /* the last line ended with CR: an LF that follows belongs to it */
    struct sse_text last_id;

    /* The block: the lines up to a blank one. */
    struct sse_text data; /* with an LF after each line */
    struct sse_text type;
    struct sse_text id;
    bool has_id;
    bool has_retry;
    uint32_t retry_ms;

    /* The line. */
    uint8_t part;  /* enum line_part */
    uint8_t field; /* enum line_field */
    uint8_t name_size;
    char name[SSE_NAME_SIZE];
    bool value_bad; /* an id with a NUL, or a retry that is not a number */
    struct sse_text line_id;
    uint64_t line_retry;
    bool has_digits;
};

/* event_size_max bounds data, type and id of one event together; an event of exactly that size is
 * accepted. At most SIZE_MAX / 4. */
void sse_parser_init(struct sse_parser *parser, size_t event_size_max);
void sse_parser_release(struct sse_parser *parser); /* takes NULL, and a struct of zeros */

/* Takes bytes until one event or marker is complete or the input is used up. *ret_used is the
 * number of bytes taken: feed the rest again, until nothing is left. A CR that ends an event
 * dispatches it at once, without waiting for an LF; the next call swallows that LF.
 *
 * *ret_ready says whether *ret_event was filled; without an event *ret_event is unchanged.
 *
 * On failure *ret_ready and *ret_event are unchanged, but *ret_used is set, and the parser
 * continues from there:
 * SPN_E_EVENT_TOO_LARGE  data, type and id of one event are larger than event_size_max. A type
 *                        counts only with data, since without data it is dropped. Reported
 *                        once, at the event's end; then the rest of the stream continues. The
 *                        event's id still becomes the last event id in force, as the standard
 *                        requires for every block that ended. Only an id that is too large by
 *                        itself cannot be kept (reported even if the block has no data). The
 *                        previous id then stays in force, so that a client resumes too early, never
 *                        too late.
 * SPN_E_NOMEM            nothing is lost: feed the rest to try again. */
spn_err sse_parser_feed(struct sse_parser *parser, const void *bytes, size_t size, size_t *ret_used,
                        bool *ret_ready, struct sse_event *ret_event) SPN_MUST_USE;

/* True if the stream would lose bytes of an unfinished block by ending here: a field without its
 * blank line, or a line that may still become a field. At the end of a stream the standard drops
 * these, so there is nothing else to call. */
bool sse_parser_pending(const struct sse_parser *parser);

/* True if the input had lines, and none of them was a comment or a field that the standard knows.
 * Then it is not an event stream, but for example a page or a message from somebody. The last line
 * counts even if it is unfinished. */
bool sse_parser_is_foreign(const struct sse_parser *parser);

/* -- formatter --------------------------------------------------------------------------------- */

/* The exact size of what sse_format writes for this event. Reads the data once, to count its lines.
 */
size_t sse_format_size(const struct sse_event *event);

/* Writes id (if set), event (if not empty), retry, one data line for each line of data, and the
 * blank line that dispatches it. An event always has a data line, because without one it is not an
 * event. A marker never has one: of a marker only id and retry are used.
 *
 * SPN_E_BAD_ID: NUL, CR or LF in the id. SPN_E_BAD_TYPE: the same in the type. SPN_E_BAD_DATA: CR
 * in the data. SPN_E_EVENT_TOO_LARGE: larger than out_size. Nothing is written on failure. The
 * length of an id or a type is not checked here. */
spn_err sse_format(const struct sse_event *event, void *out, size_t out_size,
                   size_t *ret_size) SPN_MUST_USE;

#endif
