/* SPDX-License-Identifier: Apache-2.0 */
/* metrics: GET /metrics: what the gateway has counted, and what the daemon has.
 *
 * Without the daemon's answer the gateway's own counters come with `sponson_up 0`.
 *
 * Owns     nothing.
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_METRICS_H
#define SPN_HTTP_METRICS_H

#include "http/gateway.h"

void metrics_begin(struct gateway *gateway, struct exchange *exchange);

#endif
