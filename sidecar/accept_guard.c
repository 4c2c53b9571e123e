/* SPDX-License-Identifier: Apache-2.0 */
/* accept_guard: keeps the daemon alive at its limit of file descriptors.
 *
 * libzmq 4.3.4 aborts the process when accepting on ipc:// fails with EMFILE (ipc_listener.cpp).
 * The executable's own accept4 goes before the C library's: it holds one descriptor in reserve,
 * accepts with it and closes the connection at once, so that the peer sees a refusal, and says
 * ECONNABORTED, which libzmq takes as "never mind".
 *
 * Owns     the spare descriptor.
 * Threads  libzmq's I/O thread only.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "accept_guard.h"

static int spare_fd = -1;
static atomic_uint_fast64_t *turned_away;

void accept_guard_init(atomic_uint_fast64_t *refused)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    turned_away = refused;
    spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Takes the waiting connection off the queue, or else libzmq would be woken for it without end. */
static int turn_away(int socket)
{
    if (spare_fd >= 0)
        close(spare_fd);
    int fd = (int)syscall(SYS_accept4, socket, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    if (turned_away)
        atomic_fetch_add_explicit(turned_away, 1, memory_order_relaxed);
    spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    errno = ECONNABORTED;
    return -1;
}

__attribute__((visibility("default"))) int accept4(int socket, struct sockaddr *restrict address,
                                                   socklen_t *restrict size, int flags)
{
    int fd = (int)syscall(SYS_accept4, socket, address, size, flags);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        return turn_away(socket);
    return fd;
}
