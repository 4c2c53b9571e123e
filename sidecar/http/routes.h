/* SPDX-License-Identifier: Apache-2.0 */
/* routes: from the head of a request to the part that answers it, if the request may be answered.
 *
 * The order is that of trust: the raw head, the target, the host and the page it comes from, the
 * token and its rights; then what the request asks for.
 *
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_ROUTES_H
#define SPN_HTTP_ROUTES_H

#include "http/gateway.h"

/* For web_options.begin; the context is the gateway. */
void routes_begin(void *context, struct exchange *exchange);

#endif
