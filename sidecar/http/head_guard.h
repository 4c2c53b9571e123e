/* SPDX-License-Identifier: Apache-2.0 */
/* head_guard: see head_guard.c. Linked into the executable only. */
#ifndef SPN_HTTP_HEAD_GUARD_H
#define SPN_HTTP_HEAD_GUARD_H

#include "http/head.h"

/* Call it before any thread begins. fd_max: descriptors are below it. False: no memory. */
bool head_guard_init(unsigned fd_max);
void head_guard_release(void);

/* Follows what is received on this descriptor with this head, which stays the caller's. False: the
 * descriptor is not below fd_max. */
bool head_guard_watch(int fd, struct head *head);

/* Call it before the descriptor is closed. */
void head_guard_forget(int fd);

#endif
