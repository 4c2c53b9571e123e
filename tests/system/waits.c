/* SPDX-License-Identifier: Apache-2.0 */
#include "waits.h"

#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

#define SHOWN __attribute__((visibility("default")))

static _Thread_local bool counting;
static _Thread_local unsigned count;

void waits_begin(void)
{
    count = 0;
    counting = true;
}

unsigned waits_end(void)
{
    counting = false;
    return count;
}

static void note(bool may_wait)
{
    count += counting && may_wait;
}

/* A time of NULL waits for ever. */
static bool is_some(const struct timespec *time)
{
    return time == NULL || time->tv_sec != 0 || time->tv_nsec != 0;
}

/* Defines what stands in front of a call: its type, its name, its parameters, its arguments, and
 * whether it may wait. */
#define IN_FRONT(name, parameters, arguments, may_wait)                                            \
    SHOWN int name parameters;                                                                     \
    SHOWN int name parameters                                                                      \
    {                                                                                              \
        static _Atomic(void *) known;                                                              \
        void *at = atomic_load(&known);                                                            \
        if (at == NULL)                                                                            \
            atomic_store(&known, at = dlsym(RTLD_NEXT, #name));                                    \
        int(*real) parameters; /* NOLINT: a declaration has no parentheses */                      \
        *(void **)&real = at;                                                                      \
        note(may_wait);                                                                            \
        return real arguments;                                                                     \
    }

IN_FRONT(poll, (struct pollfd * fds, nfds_t fd_count, int timeout_ms), (fds, fd_count, timeout_ms),
         timeout_ms != 0)
IN_FRONT(__poll_chk, (struct pollfd * fds, nfds_t fd_count, int timeout_ms, size_t size),
         (fds, fd_count, timeout_ms, size), timeout_ms != 0)
IN_FRONT(ppoll,
         (struct pollfd * fds, nfds_t fd_count, const struct timespec *time, const sigset_t *mask),
         (fds, fd_count, time, mask), is_some(time))
IN_FRONT(__ppoll_chk,
         (struct pollfd * fds, nfds_t fd_count, const struct timespec *time, const sigset_t *mask,
          size_t size),
         (fds, fd_count, time, mask, size), is_some(time))
IN_FRONT(epoll_wait, (int fd, struct epoll_event *events, int event_count, int timeout_ms),
         (fd, events, event_count, timeout_ms), timeout_ms != 0)
IN_FRONT(select,
         (int fd_count, fd_set *reads, fd_set *writes, fd_set *errors, struct timeval *time),
         (fd_count, reads, writes, errors, time),
         time == NULL || time->tv_sec != 0 || time->tv_usec != 0)
IN_FRONT(nanosleep, (const struct timespec *time, struct timespec *left), (time, left),
         is_some(time))
IN_FRONT(clock_nanosleep,
         (clockid_t clock, int flags, const struct timespec *time, struct timespec *left),
         (clock, flags, time, left), is_some(time))
IN_FRONT(pthread_cond_wait, (pthread_cond_t * condition, pthread_mutex_t *mutex),
         (condition, mutex), true)
IN_FRONT(pthread_cond_timedwait,
         (pthread_cond_t * condition, pthread_mutex_t *mutex, const struct timespec *until),
         (condition, mutex, until), true)
