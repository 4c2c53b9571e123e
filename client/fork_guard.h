/* SPDX-License-Identifier: Apache-2.0 */
/* fork_guard: are we still in the process that made this?
 *
 * ZeroMQ sockets must not be used in a child process. Calling getpid for each event would cost a
 * system call. Instead a page holds a mark, and the kernel zeroes that page in a child
 * (MADV_WIPEONFORK, Linux 4.14). Without such a page, getpid is called.
 *
 * Owns     one page per guard.
 */
#ifndef SPN_CLIENT_FORK_GUARD_H
#define SPN_CLIENT_FORK_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "spn_err.h"

struct fork_guard {
    volatile unsigned char *page; /* NULL: the kernel has no MADV_WIPEONFORK */
    size_t page_size;
    pid_t pid;
};

void fork_guard_init(struct fork_guard *guard);
void fork_guard_release(struct fork_guard *guard); /* takes a struct that was only zeroed */
bool fork_guard_is_child(const struct fork_guard *guard);

#endif
