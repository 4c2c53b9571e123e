/* SPDX-License-Identifier: Apache-2.0 */
/* kill_point: places where a test makes the daemon die, or a thread of it hang.
 *
 * KILL_POINT("name") does nothing, unless the build defines SPONSON_KILL_POINTS. One daemon that
 * only tests use is built with it; the installed one is not. With it, the process kills itself, as
 * kill -9 would, when it reaches the place for the Nth time and the environment contains
 * SPONSON_KILL_POINT=name:N. With name:N:hang the thread that reaches it goes no further, and the
 * others do; with name:N:spin it computes meanwhile. Each name stands at one place. The names are:
 *
 *     broker_signal        the broker's loop has a signal, and has not acted on it
 *     before_commit        a transaction is complete but not committed
 *     after_commit         it is committed, but nobody has been notified
 *     segment_step         some steps of a segment are committed, others are not
 *     segment_done         all steps are committed, but the broker does not know
 *     trim_step            some of what retention hides is deleted
 *     leftovers_step       a start has deleted some of what lies beyond the checkpoint
 *     recovery_tables      rows and producers are read, the log is not
 *     recovery_part        a part of the log is read
 *     recovery_segment     recovery has written a segment, but has not committed it
 *     recovery_committed   recovery has committed the segment
 *     recovery_end         the log is read, but no client has been served
 *
 * Threads  any.
 */
#ifndef SPN_KILL_POINT_H
#define SPN_KILL_POINT_H

#ifdef SPONSON_KILL_POINTS

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void kill_point_reach(const char *name)
{
    static atomic_ulong reached; /* counts the named point only; each name stands in one file */
    const char *wanted = getenv("SPONSON_KILL_POINT");
    size_t size = strlen(name);
    if (!wanted || strncmp(wanted, name, size) != 0 || wanted[size] != ':')
        return;
    char *rest = NULL;
    if (atomic_fetch_add(&reached, 1) + 1 != strtoul(wanted + size + 1, &rest, 10))
        return;
    while (strcmp(rest, ":hang") == 0)
        (void)pause();
    while (strcmp(rest, ":spin") == 0)
        continue;
    (void)raise(SIGKILL);
}

#define KILL_POINT(name) kill_point_reach(name)
#define KILL_POINT_IF(condition, name)                                                             \
    do {                                                                                           \
        if (condition)                                                                             \
            kill_point_reach(name);                                                                \
    } while (0)

#else

#define KILL_POINT(name) ((void)0)
#define KILL_POINT_IF(condition, name) ((void)0)

#endif

#endif
