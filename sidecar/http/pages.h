/* SPDX-License-Identifier: Apache-2.0 */
/* pages: GET of a session as JSON: events after a cursor, up to the newest or to a limit.
 *
 * Owns     each request's subscription and text.
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_PAGES_H
#define SPN_HTTP_PAGES_H

#include "http/gateway.h"
#include "http/start.h"

enum {
    PAGES_LIMIT_DEFAULT = 1000,
    PAGES_BYTES_MAX = 16 * 1024 * 1024, /* a page ends after the event that reaches it */
};

struct pages_request {
    struct spn_bytes session;
    struct start start;
    uint32_t limit; /* most events; 0: the default */
    bool as_lines;
};

void pages_begin(struct gateway *gateway, struct exchange *exchange,
                 const struct pages_request *request);

#endif
