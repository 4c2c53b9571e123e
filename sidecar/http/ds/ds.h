/* SPDX-License-Identifier: Apache-2.0 */
/* ds: the methods of a Durable Stream, which is the session of its name after DS_PREFIX.
 *
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_DS_H
#define SPN_HTTP_DS_H

#include "http/stream.h"
#include "http/target.h"

#define DS_PREFIX "ds/"
#define DS_METHODS "GET, HEAD, POST, PUT, DELETE, OPTIONS" /* for the header Allow */

/* Whether the session is a stream. */
bool ds_has(struct spn_bytes session);

/* The session of the stream's name, which has up to TARGET_STREAM_MAX bytes. */
struct spn_bytes ds_session(struct spn_bytes name, char room[TARGET_NAME_MAX]);

/* Adds what every answer has, to errors too. */
void ds_begin(struct exchange *exchange);

/* The right that a method needs, of GRANT_READ and so on; 0: there is no such method. */
unsigned ds_right(const char *method);

struct ds_request {
    struct spn_bytes session;
    const char *method; /* one that needs a right */
    const struct query *query;
    struct stream_options stream;
};

/* Answers a request that has the right. */
void ds_answer(struct gateway *gateway, struct exchange *exchange,
               const struct ds_request *request);

#endif
