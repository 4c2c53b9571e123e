/* SPDX-License-Identifier: Apache-2.0 */
/* reader: a session as an event stream: GET with Accept text/event-stream.
 *
 * A reader takes an item from its subscription only when its socket can be written. So a reader
 * that is slow slows nobody else down, and needs no more memory than its subscription's window.
 *
 * Owns     each reader, its subscription, and the text of an item that is not written yet.
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_READER_H
#define SPN_HTTP_READER_H

#include "http/gateway.h"
#include "http/start.h"

/* What the request asks for. The bytes are copied. */
struct reader_request {
    struct spn_bytes session;
    struct start start;
    bool fails_if_unknown_id; /* 410 instead of a reset */
    bool fails_if_unknown;    /* 404 instead of waiting for the session */
    bool active_only;         /* 204 for a session that is unknown or closed */
    bool until_caught_up;
    bool primes;        /* sponson-open, for readers that keep the id of no event without data */
    bool comments;      /* events of our own are comments */
    uint64_t expires_s; /* the token's end, in seconds since 1970; 0: none */
    uint64_t key_mark;  /* of the token's key; see keys_have */
};

/* Answers the exchange with the stream, or with the status that says why there is none. */
void reader_begin(struct gateway *gateway, struct exchange *exchange,
                  const struct reader_request *request);

/* Ends all streams properly, each with a time to come back that is drawn for it. */
void reader_end_all(struct gateway *gateway);

/* Ends the streams whose token was signed by a key that is there no more. */
void reader_end_revoked(struct gateway *gateway);

#endif
