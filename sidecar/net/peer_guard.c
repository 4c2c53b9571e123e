/* SPDX-License-Identifier: Apache-2.0 */
/* peer_guard: protects this process from what libzmq 4.3.4 lets peers do to the process that it
 * serves.
 *
 * The executable's own functions take precedence over the C library's, so libzmq calls these:
 *
 *   accept4   libzmq aborts when accepting on ipc:// fails with EMFILE (ipc_listener.cpp). One
 *             descriptor is held in reserve. With it the connection is accepted and closed at once,
 *             so that the peer sees a refusal. libzmq ignores ECONNABORTED. While there are
 *             descriptors, connections.h decides who may come in.
 *   recv      passes on only bytes that libzmq bears (zmtp.h). A connection that sent anything else
 *             is at its end.
 *   close     forgets a connection with its descriptor, before another connection gets that.
 *   rand      libzmq never seeds it, and derives the ids of connections from it.
 *
 * Other sockets of the process pass through untouched: only descriptors that accept4 returned are
 * known.
 *
 * Owns     the spare descriptor, the records of the connections, and the limits of the sockets.
 * Threads  libzmq's I/O thread; close and rand: any.
 */
#include "net/peer_guard.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* Limit for the incomplete messages of all connections together: eight of the largest with default
 * options. */
#define HELD_MAX (UINT64_C(64) << 20)

#define INTERPOSED __attribute__((visibility("default")))

typedef int (*close_function)(int fd);

static int spare_fd = -1;
static struct connections connections;
static struct connections_news *guard_news;

enum { LIMITS = 2 };

/* Set before its socket is bound; the name last, since the I/O thread may be running by then. */
static struct {
    _Atomic(const char *) name;
    uint64_t frame_max;
} limits[LIMITS];

void peer_guard_init(struct connections_news *news)
{
    struct rlimit limit;
    unsigned fd_max = CONNECTIONS_FD_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max < CONNECTIONS_FD_MAX ? limit.rlim_max : CONNECTIONS_FD_MAX;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        fd_max = (unsigned)limit.rlim_cur;
    }
    guard_news = news;
    connections_init(&connections, fd_max, geteuid(), HELD_MAX);
    spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

const struct connections *peer_guard_connections(void)
{
    return &connections;
}

void peer_guard_limit(const char *name, uint64_t frame_max)
{
    size_t i = 0;
    while (i < LIMITS - 1 && atomic_load_explicit(&limits[i].name, memory_order_relaxed))
        i++;
    limits[i].frame_max = frame_max;
    atomic_store_explicit(&limits[i].name, name, memory_order_release);
}

/* Only the I/O thread counts here. */
static void count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* -- the door ---------------------------------------------------------------------------------- */

static int refuse(enum connections_door door, uid_t uid)
{
    if (guard_news) {
        atomic_store_explicit(&guard_news->door, door, memory_order_relaxed);
        atomic_store_explicit(&guard_news->refused_uid, uid, memory_order_relaxed);
        count(guard_news->refused_count);
    }
    errno = ECONNABORTED;
    return -1;
}

static uid_t uid_of(int fd)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t size = sizeof(peer);
    (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    return peer.uid;
}

/* By the name of the socket that it came in on. */
static uint64_t frame_max_of(int fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNSPEC};
    socklen_t size = sizeof(address) - 1; /* so that the path ends with a NUL */
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 || address.sun_family != AF_UNIX)
        return 0;
    const char *slash = strrchr(address.sun_path, '/');
    for (size_t i = 0; slash && i < LIMITS; i++) {
        const char *name = atomic_load_explicit(&limits[i].name, memory_order_acquire);
        if (name && strcmp(slash + 1, name) == 0)
            return limits[i].frame_max;
    }
    return 0;
}

static void close_plain(int fd)
{
    (void)syscall(SYS_close, fd);
}

/* Takes the waiting connection off the queue. Otherwise libzmq would be woken for it for ever. */
static int turn_away(int socket)
{
    uid_t uid = (uid_t)-1;
    if (spare_fd >= 0)
        close_plain(spare_fd);
    int fd = (int)syscall(SYS_accept4, socket, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        uid = uid_of(fd);
        close_plain(fd);
    }
    spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return refuse(CONNECTIONS_FULL, uid);
}

static void note_entered(uid_t uid)
{
    if (!guard_news)
        return;
    atomic_store_explicit(&guard_news->entered_uid, uid, memory_order_relaxed);
    count(&guard_news->entered);
}

INTERPOSED int accept4(int socket, struct sockaddr *restrict address, socklen_t *restrict size,
                       int flags)
{
    int fd = (int)syscall(SYS_accept4, socket, address, size, flags);
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE ? turn_away(socket) : fd;
    uid_t uid = uid_of(fd);
    enum connections_door door = connections_enter(&connections, fd, uid);
    if (door == CONNECTIONS_OPEN) {
        note_entered(uid);
        connections_limit(&connections, fd, frame_max_of(fd));
        return fd;
    }
    close_plain(fd);
    return refuse(door, uid);
}

INTERPOSED int close(int fd)
{
    static _Atomic(close_function) next;
    close_function found = atomic_load_explicit(&next, memory_order_relaxed);
    if (!found) { /* the C library's, a sanitizer's or a test's */
        void *symbol = dlsym(RTLD_NEXT, "close");
        memcpy(&found, &symbol, sizeof(found));
        atomic_store_explicit(&next, found, memory_order_relaxed);
    }
    if (connections_is_known(&connections, fd)) {
        connections_leave(&connections, fd);
        if (guard_news)
            count(&guard_news->left);
    }
    return found(fd);
}

/* -- what is received -------------------------------------------------------------------------- */

static void note_cut(enum zmtp_verdict verdict, int fd)
{
    atomic_store_explicit(&guard_news->verdict, verdict, memory_order_relaxed);
    atomic_store_explicit(&guard_news->cut_uid, connections_uid(&connections, fd),
                          memory_order_relaxed);
    count(guard_news->cut_count);
}

INTERPOSED ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
    if (connections_is_cut(&connections, fd))
        return 0;
    ssize_t got = syscall(SYS_recvfrom, fd, bytes, size, flags, NULL, NULL);
    if (got <= 0 || (flags & MSG_PEEK) != 0)
        return got;
    int cut_fd = -1;
    enum zmtp_verdict verdict = connections_heard(&connections, fd, bytes, (size_t)got, &cut_fd);
    if (verdict == ZMTP_GOOD)
        return got;
    note_cut(verdict, cut_fd);
    if (cut_fd == fd)
        return 0;
    (void)shutdown(cut_fd, SHUT_RDWR); /* libzmq reads it next, and finds its end */
    return got;
}

INTERPOSED int rand(void)
{
    int number = 0;
    (void)!getrandom(&number, sizeof(number), 0);
    return number & RAND_MAX;
}
