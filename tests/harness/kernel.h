/* SPDX-License-Identifier: Apache-2.0 */
/* kernel: what may be expected of the kernel that the tests run on. */
#ifndef SPN_KERNEL_H
#define SPN_KERNEL_H

#include <stdbool.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "check.h"

/* Whether it is at least of this version. */
static inline bool kernel_is(int major, int minor)
{
    struct utsname system;
    assert_int_equal(uname(&system), 0);
    char *at = system.release;
    long its_major = strtol(at, &at, 10);
    assert_int_equal(*at, '.');
    long its_minor = strtol(at + 1, NULL, 10);
    return its_major > major || (its_major == major && its_minor >= minor);
}

#endif
