/* SPDX-License-Identifier: Apache-2.0 */
/* ds_reading: GET and HEAD of a Durable Stream: what is known of it, its data in chunks, and the
 * long poll, which waits for data that is not there yet (ds/poll.h).
 *
 * Owns     each request, its questions, its subscription and its chunk.
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_DS_READING_H
#define SPN_HTTP_DS_READING_H

#include "http/gateway.h"
#include "http/query.h"
#include "http/stream.h"

struct ds_reading_request {
    struct spn_bytes session;
    const struct query *query;
    bool has_body; /* GET */
    struct stream_options stream;
};

void ds_reading_begin(struct gateway *gateway, struct exchange *exchange,
                      const struct ds_reading_request *request);

#endif
