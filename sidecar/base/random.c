/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <errno.h>
#include <stdint.h>
#include <sys/random.h>

/* A call may return less than it was asked for, but never less than 256 bytes of what there is. */
spn_err random_fill(void *bytes, size_t size)
{
    uint8_t *at = bytes;
    while (size > 0) {
        ssize_t drawn = getrandom(at, size, 0);
        if (drawn < 0 && errno != EINTR)
            return SPN_E_SYSTEM;
        if (drawn > 0) {
            at += drawn;
            size -= (size_t)drawn;
        }
    }
    return SPN_OK;
}
