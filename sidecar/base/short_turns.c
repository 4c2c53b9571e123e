/* SPDX-License-Identifier: Apache-2.0 */
#include "base/short_turns.h"

#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's, of its first version. The C library has neither it nor the two calls before 2.41.
 */
struct attributes {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns; /* of a policy that shares: the length of a turn; 0: the kernel's choice */
    uint64_t deadline_ns;
    uint64_t period_ns;
};

static bool shares(const struct attributes *attributes)
{
    return attributes->policy == SCHED_OTHER || attributes->policy == SCHED_BATCH;
}

void short_turns_ask(void)
{
    struct attributes attributes;
    memset(&attributes, 0, sizeof(attributes));
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0 ||
        !shares(&attributes))
        return;
    attributes.runtime_ns = SHORT_TURN_NS;
    (void)syscall(SYS_sched_setattr, 0, &attributes, 0);
}
