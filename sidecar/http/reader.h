/* SPDX-License-Identifier: Apache-2.0 */
/* reader: a session as an event stream: GET with Accept text/event-stream.
 *
 * Owns     each reader.
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_READER_H
#define SPN_HTTP_READER_H

#include "http/gateway.h"
#include "http/start.h"
#include "http/stream.h"

/* What the request asks for. The bytes are copied. */
struct reader_request {
    struct spn_bytes session;
    struct start start;
    bool fails_if_unknown_id; /* 410 instead of a reset */
    bool fails_if_unknown;    /* 404 instead of waiting for the session */
    bool active_only;         /* 204 for a session that is unknown or closed */
    bool until_caught_up;
    bool primes; /* sponson-open, for readers that keep the id of no event without data */
    struct stream_options stream;
};

/* Answers the exchange with the stream, or with the status that says why there is none. */
void reader_begin(struct gateway *gateway, struct exchange *exchange,
                  const struct reader_request *request);

#endif
