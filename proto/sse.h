/* SPDX-License-Identifier: Apache-2.0 */
/* sse: text/event-stream <-> events, after section 9.2 of the HTML standard.
 *
 * The parser is incremental: feed it what arrived, in pieces of any size, and take one event at a
 * time. The pieces never show: the same stream gives the same events however it was cut. The
 * formatter is its reverse: what sse_format writes, the parser reads back as the same event.
 *
 * A block without data dispatches nothing, and says something all the same when it has an id, which
 * is in force from its blank line on, or a retry. It comes out as a marker, so that whoever stores
 * the stream can resume after it and write it again.
 *
 * Two choices of ours: nothing is decoded, so bytes that are not UTF-8 come out as they came in,
 * where a browser would put U+FFFD (a sidecar must hand on what it was given); and a retry that
 * does not fit 32 bits is ignored. The content type of the stream and the waiting before a
 * reconnect are the caller's business.
 *
 * Owns     inside a parser five buffers (data, type, and three ids: in force, of this block, of
 *          this line), none of them larger than event_size_max + 1. They grow to what the stream
 *          needed so far and are used again for every event.
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

struct sse_event {
    bool marker; /* no event: a block without data. It has an id or a retry, no type and no data */
    /* The id set on this very event; data is NULL when it has none. An empty `id:` field gives
     * size 0 with data that is not NULL: it resets the last event id. */
    struct spn_bytes id;
    /* The last event id in force when the event was dispatched, its own included. The formatter
     * does not look at it. */
    struct spn_bytes last_id;
    struct spn_bytes type; /* the `event:` field; size 0 when absent or empty: means "message" */
    struct spn_bytes data;
    bool has_retry; /* a retry in this block, or in one before it that was too large */
    uint32_t retry_ms;
};

/* -- parser ------------------------------------------------------------------------------------ */

struct sse_text {
    char *data;
    size_t size;
    size_t capacity;
    bool overflow; /* there was more than it may hold; what it holds is of no use */
};

enum { SSE_NAME_SIZE = 6 }; /* one byte more than the longest field name known */

/* On the caller's memory; look at it with the functions below only. */
struct sse_parser {
    size_t event_size_max;

    /* The stream. */
    uint8_t bom_size; /* bytes of a leading BOM seen so far, 3 once that is decided */
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
    bool value_bad; /* an id with a NUL, a retry that is no number of 32 bits */
    struct sse_text line_id;
    uint64_t line_retry;
    bool has_digits;
};

/* event_size_max bounds data, type and id of one event together; that size itself is still let
 * through. At most SIZE_MAX / 4. */
void sse_parser_init(struct sse_parser *parser, size_t event_size_max);
void sse_parser_release(struct sse_parser *parser); /* takes NULL and what was only zeroed */

/* Takes bytes until one event or marker is complete or the input is used up. *ret_used says how
 * many were taken: feed the rest again, until nothing is left. A CR that ends an event dispatches
 * it at once, without waiting for an LF; that LF is then swallowed by the next call.
 *
 * *ret_ready says whether *ret_event was filled; without an event *ret_event is untouched.
 *
 * On failure *ret_ready and *ret_event are untouched, but *ret_used is set all the same, and the
 * parser goes on from there:
 * SPN_E_EVENT_TOO_LARGE  data, type and id of one event are larger than event_size_max. Reported
 *                        once, when its end has come, and the rest of the stream goes on. Its id
 *                        is the last event id in force all the same, as the standard has it for
 *                        every block that ended. Only an id that is too large by itself cannot be
 *                        kept (reported even where the block has no data): then the id before it
 *                        stays in force, so that a client resumes too early, never too late.
 * SPN_E_NOMEM            nothing is lost: feeding the rest tries again. */
spn_err sse_parser_feed(struct sse_parser *parser, const void *bytes, size_t size, size_t *ret_used,
                        bool *ret_ready, struct sse_event *ret_event) SPN_MUST_USE;

/* True when the stream, if it ended here, would lose bytes of an unfinished block: a field without
 * its blank line yet, or a line that may still become a field. At the
 * end of a stream the standard drops these, so there is nothing else to call. */
bool sse_parser_pending(const struct sse_parser *parser);

/* True when what was fed had lines, and none of them was a field that the standard knows or a
 * comment: it is no event stream, but a page or a message of somebody's. The last line counts
 * although it is not ended. */
bool sse_parser_is_foreign(const struct sse_parser *parser);

/* -- formatter --------------------------------------------------------------------------------- */

/* Exactly what sse_format writes for this event. Reads the data once, to count its lines. */
size_t sse_format_size(const struct sse_event *event);

/* Writes id (when set), event (when not empty), retry, one data line for each line of data, and
 * the blank line that dispatches it. There is always a data line, since without one it is no event;
 * and never in a marker, of which only id and retry are looked at.
 *
 * SPN_E_BAD_ID: NUL, CR or LF in the id. SPN_E_BAD_TYPE: the same in the type. SPN_E_BAD_DATA: CR
 * in the data. SPN_E_EVENT_TOO_LARGE: larger than out_size. Nothing is written on failure. How long
 * an id or a type may be is not asked here. */
spn_err sse_format(const struct sse_event *event, void *out, size_t out_size,
                   size_t *ret_size) SPN_MUST_USE;

#endif
