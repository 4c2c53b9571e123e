/* SPDX-License-Identifier: Apache-2.0 */
/* ds_stream: a Durable Stream as its session has it: where it ends, whether it is closed, what it
 * was created with.
 *
 * A stream that is closed with its last append is closed by that event. One that is closed without
 * data is closed by an event that is empty and whose id begins with DS_STREAM_CLOSED: its seq is no
 * offset, so closing moves the end of no stream. (Not its note says so, since of a session's newest
 * event only the id is in what the daemon answers about the session.)
 *
 * Lends    the config's texts: they are in the answer that it was read from.
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_DS_STREAM_H
#define SPN_HTTP_DS_STREAM_H

#include "http/ds/config.h"
#include "http/ds/offset.h"

#define DS_STREAM_CLOSED "ds:closed:"

struct ds_stream {
    struct spn_life life;
    uint64_t epoch;
    uint64_t first; /* the oldest seq that is retained */
    uint64_t seq;   /* of the newest event */
    uint64_t tail;  /* the same, without the event that only closes */
    bool is_closed;
    uint64_t ttl_ms; /* these two as the session has them */
    uint64_t idle_close_ms;
    struct ds_config config;
};

enum ds_presence {
    DS_THERE,
    DS_ABSENT,     /* there is no such session */
    DS_UNFINISHED, /* the content that it begins with is not stored yet */
    DS_EXPIRED,
};

/* info NULL: DS_ABSENT, and *ret_stream is unchanged. */
enum ds_presence ds_stream_read(const struct spn_session_info *info, uint64_t now_ms,
                                struct ds_stream *ret_stream);

/* The offset after the event with this seq. */
char *ds_stream_offset(const struct ds_stream *stream, uint64_t seq, char ret_text[DS_OFFSET_SIZE]);

/* Where a read begins: after *ret_seq. start: not DS_OFFSET_BAD; place: with DS_OFFSET_AT. False:
 * see the problem. */
bool ds_stream_begin(const struct ds_stream *stream, enum ds_offset_kind start,
                     const struct ds_offset *place, uint64_t *ret_seq, struct problem *ret_problem);

/* Whether the event closes its stream and is no part of it. */
bool ds_stream_only_closes(const struct spn_event *event);

/* Appends the data of an event of a stream. False: it has none that is the stream's: another
 * program published what is no JSON, or it only closes. */
bool ds_stream_data(enum ds_form form, const struct spn_event *event, struct out *out);

#endif
