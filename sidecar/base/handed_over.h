/* SPDX-License-Identifier: Apache-2.0 */
/* handed_over: the sockets that whoever started this process opened for it, as systemd does it.
 *
 * $LISTEN_FDS says how many, from descriptor 3 on; $LISTEN_FDNAMES has their names, with colons
 * between them; $LISTEN_PID is the process that they are for. A socket that is handed over listens
 * before the program runs and after it has ended, so clients wait instead of failing.
 *
 * Not libsystemd: see notify.h.
 *
 * Owns     a copy of the names. The descriptors are the caller's.
 * Threads  one; the environment must not change meanwhile.
 */
#ifndef SPN_HANDED_OVER_H
#define SPN_HANDED_OVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

#include "spn_err.h"

enum { HANDED_OVER_FIRST = 3, HANDED_OVER_MAX = 64, HANDED_OVER_WHY_MAX = 160 };

struct handed_over {
    size_t count;
    const char *names[HANDED_OVER_MAX]; /* "unknown" without $LISTEN_FDNAMES */
    char *text;                         /* where the names are */
};

/* Takes all that are for this process, and keeps them from its children. Nothing was handed over:
 * count is 0. SPN_E_INVALID: the variables contradict each other or the descriptors, ret_why has
 * words. SPN_E_NOMEM. */
spn_err handed_over_take(struct handed_over *ret_handed,
                         char ret_why[HANDED_OVER_WHY_MAX]) SPN_MUST_USE;
void handed_over_release(struct handed_over *handed);

/* NULL: the descriptor is a stream socket that listens. Otherwise what it is, in words. */
const char *handed_over_fault(int fd);

/* The path of a Unix socket; "": it has none, such as one with an abstract name or of TCP. */
void handed_over_path(int fd, char ret_path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1]);

#endif
