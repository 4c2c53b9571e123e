/* SPDX-License-Identifier: Apache-2.0 */
/* accept_guard: see accept_guard.c. Linked into the executable only. */
#ifndef SPN_ACCEPT_GUARD_H
#define SPN_ACCEPT_GUARD_H

#include <stdatomic.h>

/* Takes the spare descriptor, and as many others as this process may have. Before any socket is
 * bound. refused: counts connections that were turned away; stays the caller's. */
void accept_guard_init(atomic_uint_fast64_t *refused);

#endif
