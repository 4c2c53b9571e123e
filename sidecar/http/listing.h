/* SPDX-License-Identifier: Apache-2.0 */
/* listing: GET /v1/sessions: the sessions with a prefix, in byte order of their names, as pages.
 *
 * Owns     its questions.
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_LISTING_H
#define SPN_HTTP_LISTING_H

#include "http/gateway.h"

/* after: the last name of the page before; empty: the first page. limit: most sessions; 0: as many
 * as the sidecar puts into a page. */
void listing_begin(struct gateway *gateway, struct exchange *exchange, struct spn_bytes prefix,
                   struct spn_bytes after, uint32_t limit);

#endif
