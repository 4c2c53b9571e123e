/* SPDX-License-Identifier: Apache-2.0 */
/* query: the options that stand after the `?` of a target.
 *
 * Values are decoded once; `+` is a plus. A key that is not known is ignored with its value. A
 * known one may be there once, and only with a value that it has.
 *
 * Borrows  the text, in which the values are decoded.
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_QUERY_H
#define SPN_HTTP_QUERY_H

#include "http/problem.h"

/* X(field, "key", values): the keys with a fixed set of values. values: separated by spaces, a
 * key's field is the number of the value, from 1; 0: the key is not there. A `-` stands for a key
 * without a value. */
#define QUERY_CHOICE_MAP(X)                                                                        \
    X(from, "from", "earliest now")                                                                \
    X(unknown_id, "unknown-id", "reset fail")                                                      \
    X(wait, "wait", "0 1")                                                                         \
    X(active, "active", "0 1 -")                                                                   \
    X(until, "until", "caught-up")                                                                 \
    X(level, "level", "durable replicated")                                                        \
    X(control, "control", "event comment")                                                         \
    X(prime, "prime", "0 1 -")                                                                     \
    X(stream, "stream", "false true")                                                              \
    X(ack, "ack", "durable accepted none")                                                         \
    X(newlines, "newlines", "strict lf")                                                           \
    X(touch, "touch", "0 1 -")

enum { QUERY_FROM_EARLIEST = 1, QUERY_FROM_NOW };
enum { QUERY_UNKNOWN_RESET = 1, QUERY_UNKNOWN_FAIL };
enum { QUERY_NO = 1, QUERY_YES, QUERY_BARE }; /* wait, active, prime, touch; see query_is_on */
enum { QUERY_UNTIL_CAUGHT_UP = 1 };
enum { QUERY_LEVEL_DURABLE = 1, QUERY_LEVEL_REPLICATED };
enum { QUERY_STREAM_FALSE = 1, QUERY_STREAM_TRUE }; /* as OpenAI's clients ask for a stream */
enum { QUERY_CONTROL_EVENT = 1, QUERY_CONTROL_COMMENT };
enum { QUERY_ACK_DURABLE = 1, QUERY_ACK_ACCEPTED, QUERY_ACK_NONE };
enum { QUERY_NEWLINES_STRICT = 1, QUERY_NEWLINES_LF };

enum { QUERY_PREFIX_MAX = 255, QUERY_LIMIT_MAX = 1000000 };

struct query {
    struct spn_bytes after; /* any bytes; also as last_event_id, lastEventId, starting_after */
    const char *after_key;  /* NULL: none of them is there */
    struct spn_bytes prefix;
    struct spn_bytes token;  /* never in a problem */
    struct spn_bytes offset; /* the next three: of Durable Streams; data NULL: not there */
    struct spn_bytes live;
    struct spn_bytes cursor;
    bool has_prefix;
    bool has_token;
    uint32_t limit; /* 0: not there */
#define QUERY_FIELD(field, key, values) uint8_t field;
    QUERY_CHOICE_MAP(QUERY_FIELD)
#undef QUERY_FIELD
};

/* Whether a choice of QUERY_NO, QUERY_YES and QUERY_BARE is on. */
static inline bool query_is_on(uint8_t choice)
{
    return choice >= QUERY_YES;
}

/* text: after the `?`; decoded in place. */
bool query_parse(char *text, size_t size, struct query *ret_query, struct problem *ret_problem);

#endif
