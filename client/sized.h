/* SPDX-License-Identifier: Apache-2.0 */
/* sized: structs that an app passes in, which begin with their size.
 *
 * The app may have been built against another version of the header. What it knows comes from it,
 * the rest is the default; what only it knows must be zero, since it would be lost. Looking for
 * that has a bound: a size that nobody set may be any number. A new field begins where the struct
 * of the version before ended, padding included: what lies in padding is not zero for certain. Its
 * default is 0: a library from before it refuses an app that sets anything else.
 *
 * Threads  pure functions.
 */
#ifndef SPN_CLIENT_SIZED_H
#define SPN_CLIENT_SIZED_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Up to the end of a field: the smallest size that is taken. */
#define SIZED_THROUGH(type, field) (offsetof(type, field) + sizeof(((type *)0)->field))

/* No version's struct is larger. */
#define SIZED_MAX 1024u

/* from, of the size that its first member says, over the defaults in to, of our size. False: that
 * is smaller than size_min or larger than SIZED_MAX, or it has something that we do not know; to is
 * then of no use. */
static inline bool sized_take(void *to, size_t size, size_t size_min, const void *from)
{
    size_t given;
    memcpy(&given, from, sizeof(given));
    if (given < size_min || given > SIZED_MAX)
        return false;
    memcpy(to, from, given < size ? given : size);
    memcpy(to, &size, sizeof(size));
    for (size_t i = size; i < given; i++)
        if (((const unsigned char *)from)[i] != 0)
            return false;
    return true;
}

#endif
