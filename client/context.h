/* SPDX-License-Identifier: Apache-2.0 */
/* context: ZeroMQ's, one for all clients of the process.
 *
 * Each context brings a thread of its own that moves the bytes, and one moves more than a sidecar
 * takes. Fifty clients with a context each answer no faster, for the switches between their
 * threads.
 *
 * A child process has none of its parent's threads: it begins anew, and what it took over from its
 * parent stays untouched.
 *
 * Owns     the context, for as long as somebody has it.
 * Threads  any.
 */
#ifndef SPN_CLIENT_CONTEXT_H
#define SPN_CLIENT_CONTEXT_H

#include "spn_err.h"

/* Each context_get is given back by one context_put. SPN_E_NOMEM, SPN_E_SYSTEM (see errno). */
spn_err context_get(void **ret_context) SPN_MUST_USE;
/* The last one waits for sockets that linger. Not in a child process of the one that got it. */
void context_put(void);

#endif
