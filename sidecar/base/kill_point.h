/* SPDX-License-Identifier: Apache-2.0 */
/* kill_point: places where a test has the daemon die.
 *
 * KILL_POINT("name") is nothing, unless the build defines SPONSON_KILL_POINTS: one daemon that only
 * tests use is built so, what is installed is not. With it, the process kills itself, as kill -9
 * would, when it comes by the Nth time and the environment says SPONSON_KILL_POINT=name:N. A name
 * stands at one place. They are:
 *
 *     before_commit        a transaction is complete and not committed
 *     after_commit         it is committed, and nobody has been told
 *     segment_step         some steps of a segment are committed, and others are not
 *     segment_done         all of them are, and the broker does not know
 *     trim_step            some of what retention hides is deleted
 *     leftovers_step       a start has deleted some of what lies beyond the checkpoint
 *     recovery_tables      rows and producers are read, the log is not
 *     recovery_slice       a part of the log is read
 *     recovery_segment     recovery has written a segment, and has not committed it
 *     recovery_committed   it has
 *     recovery_end         the log is read, and no client was served
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

static inline void kill_point_reach(const char *name)
{
    static atomic_ulong reached; /* of the one that is named, which stands in one file */
    const char *wanted = getenv("SPONSON_KILL_POINT");
    size_t size = strlen(name);
    if (!wanted || strncmp(wanted, name, size) != 0 || wanted[size] != ':')
        return;
    if (atomic_fetch_add(&reached, 1) + 1 == strtoul(wanted + size + 1, NULL, 10))
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
