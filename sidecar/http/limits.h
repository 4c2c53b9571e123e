/* SPDX-License-Identifier: Apache-2.0 */
/* limits: what becomes of a request that goes over a limit of time.
 *
 * Borrows  the gateway.
 * Threads  one.
 */
#ifndef SPN_HTTP_LIMITS_H
#define SPN_HTTP_LIMITS_H

#include "http/gateway.h"

/* For web_options.slow; the context is the gateway. Answers with 408. Events of an event stream
 * that came whole before are published all the same. */
void limits_slow(void *context, struct exchange *exchange, bool is_silent);

#endif
