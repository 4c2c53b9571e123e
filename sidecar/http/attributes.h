/* SPDX-License-Identifier: Apache-2.0 */
/* attributes: PUT and PATCH of a session: what holds of it beside its events.
 *
 * PUT opens a session with attributes: 201. One that is there already has the same attributes: 200;
 * others: 409. PATCH changes some of those that are there.
 *
 * Owns     each request, its body and its question.
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_ATTRIBUTES_H
#define SPN_HTTP_ATTRIBUTES_H

#include "http/gateway.h"

void attributes_begin(struct gateway *gateway, struct exchange *exchange, struct spn_bytes session,
                      const struct spn_publish_options *conditions, bool patches);

#endif
