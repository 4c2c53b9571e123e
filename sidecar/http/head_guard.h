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

/* What may take the place of bytes that libmicrohttpd sends on a descriptor with this head. True:
 * it did, and they are not sent. */
typedef bool (*head_guard_replace)(struct head *head, const char *bytes, size_t size);
/* Called when a fault has cut a connection, before libmicrohttpd sees its end. */
typedef void (*head_guard_cut)(struct head *head);
void head_guard_call(head_guard_replace replace, head_guard_cut cut);

/* Call it before the descriptor is closed. */
void head_guard_forget(int fd);

#endif
