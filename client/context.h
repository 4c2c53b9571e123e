/* SPDX-License-Identifier: Apache-2.0 */
/* context: the ZeroMQ context, one for all clients of the process.
 *
 * Each context has its own thread that moves the bytes, and one thread moves more than a sidecar
 * takes. Fifty clients with a context each are no faster, because of the switches between their
 * threads.
 *
 * A child process has none of its parent's threads. It creates a new context and leaves the
 * inherited one untouched.
 *
 * Owns     the context, as long as it has users.
 * Threads  any.
 */
#ifndef SPN_CLIENT_CONTEXT_H
#define SPN_CLIENT_CONTEXT_H

#include "spn_err.h"

/* Each context_get needs one context_put. SPN_E_NOMEM, SPN_E_SYSTEM (see errno). */
spn_err context_get(void **ret_context) SPN_MUST_USE;
/* The last call waits for sockets that linger. Not to be called in a child of the process that got
 * the context. */
void context_put(void);

#endif
