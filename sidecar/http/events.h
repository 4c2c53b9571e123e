/* SPDX-License-Identifier: Apache-2.0 */
/* events: GET /v1/events: what happens to all sessions with a prefix, as one event stream.
 *
 * Owns     each stream.
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_EVENTS_H
#define SPN_HTTP_EVENTS_H

#include "http/events_text.h"
#include "http/stream.h"

/* What the request asks for. The bytes are copied. */
struct events_request {
    struct spn_bytes prefix;
    spn_start start;
    struct events_place place; /* with SPN_AFTER_POSITION */
    bool fails_if_unknown;     /* 410 for a place that is not of this log, instead of a reset */
    bool until_caught_up;
    bool primes;
    struct stream_options stream;
};

void events_begin(struct gateway *gateway, struct exchange *exchange,
                  const struct events_request *request);

#endif
