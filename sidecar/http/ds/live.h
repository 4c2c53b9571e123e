/* SPDX-License-Identifier: Apache-2.0 */
/* ds_live: a Durable Stream as an event stream: GET with live=sse.
 *
 * Each append is an event `data`, followed by an event `control` that says where to go on. The
 * stream ends after about a minute, so that readers that are far apart come together again.
 *
 * Owns     each stream.
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_DS_LIVE_H
#define SPN_HTTP_DS_LIVE_H

#include "http/ds/stream.h"
#include "http/stream.h"

/* The bytes are copied. */
struct ds_live_request {
    struct spn_bytes session;
    struct ds_stream stream;
    uint64_t seq; /* the stream begins after it */
    bool from_begin;
    struct spn_bytes cursor; /* of the client; data NULL: none */
    struct stream_options options;
};

/* False: the exchange was answered, and is still the caller's. */
bool ds_live_begin(struct gateway *gateway, struct exchange *exchange,
                   const struct ds_live_request *request);

#endif
