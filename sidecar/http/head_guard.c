/* SPDX-License-Identifier: Apache-2.0 */
/* head_guard: lets libmicrohttpd 0.9.75 receive only bytes that head.h has followed, and send only
 * what is ours: what it answers by itself to a head that it cannot take is HTML.
 *
 * The executable's own functions take precedence over the C library's, so libmicrohttpd calls this
 * recv, this send and this sendmsg. It receives from connections with nothing else; read is for its
 * eventfd. A connection that is cut is at its end.
 *
 * Other sockets of the process, such as libzmq's, pass through untouched: only descriptors that
 * head_guard_watch names are known.
 *
 * Owns     the table from descriptors to heads.
 * Borrows  the heads, until they are forgotten.
 * Threads  recv: any. The others, and recv on a watched descriptor: the gateway's.
 */
#include "http/head_guard.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INTERPOSED __attribute__((visibility("default")))

typedef _Atomic(struct head *) head_slot;

static head_slot *heads; /* by descriptor */
static unsigned head_count;
static head_guard_replace replace; /* NULL: everything is sent */
static head_guard_cut on_cut;      /* NULL: nobody wants to know */

bool head_guard_init(unsigned fd_max)
{
    head_slot *table = calloc(fd_max, sizeof(*table)); /* pages that are never used cost nothing */
    if (!table)
        return false;
    heads = table;
    head_count = fd_max;
    return true;
}

void head_guard_release(void)
{
    free((void *)heads);
    heads = NULL;
    head_count = 0;
}

static head_slot *slot_of(int fd)
{
    return fd >= 0 && (unsigned)fd < head_count ? &heads[fd] : NULL;
}

bool head_guard_watch(int fd, struct head *head)
{
    head_slot *slot = slot_of(fd);
    if (slot)
        atomic_store_explicit(slot, head, memory_order_release);
    return slot != NULL;
}

void head_guard_forget(int fd)
{
    (void)head_guard_watch(fd, NULL);
}

void head_guard_call(head_guard_replace replace_with, head_guard_cut cut)
{
    replace = replace_with;
    on_cut = cut;
}

static struct head *head_of(int fd)
{
    head_slot *slot = slot_of(fd);
    return slot ? atomic_load_explicit(slot, memory_order_acquire) : NULL;
}

INTERPOSED ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    struct head *head = head_of(fd);
    if (head && replace && replace(head, bytes, size))
        return (ssize_t)size;
    return syscall(SYS_sendto, fd, bytes, size, flags, NULL, 0);
}

INTERPOSED ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct head *head = head_of(fd);
    bool is_ours = !head || !replace || message->msg_iovlen == 0 ||
                   !replace(head, message->msg_iov[0].iov_base, message->msg_iov[0].iov_len);
    if (is_ours)
        return syscall(SYS_sendmsg, fd, message, flags);
    size_t size = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        size += message->msg_iov[i].iov_len;
    return (ssize_t)size;
}

static ssize_t end(struct head *head)
{
    if (on_cut)
        on_cut(head);
    return 0;
}

INTERPOSED ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
    struct head *head = head_of(fd);
    if (head && head->state == HEAD_CUT)
        return end(head);
    ssize_t got = syscall(SYS_recvfrom, fd, bytes, size, flags, NULL, NULL);
    if (!head || got <= 0 || (flags & MSG_PEEK) != 0)
        return got;
    size_t taken = head_take(head, bytes, (size_t)got);
    if (head->state == HEAD_CUT)
        (void)shutdown(fd, SHUT_RD); /* so that libmicrohttpd comes again, and sees the end */
    return taken > 0 ? (ssize_t)taken : end(head);
}
