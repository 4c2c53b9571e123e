/* SPDX-License-Identifier: Apache-2.0 */
/* accept_guard: see accept_guard.c. Linked into the executable only. */
#ifndef SPN_ACCEPT_GUARD_H
#define SPN_ACCEPT_GUARD_H

/* Takes the spare descriptor. Before any socket is bound. */
void accept_guard_init(void);

#endif
