/* SPDX-License-Identifier: Apache-2.0 */
/* sized: structs that an app passes in and that begin with their size.
 *
 * The app may have been built against another version of the header. Fields that the app knows are
 * taken from it; the other fields get their default. Fields that only the app knows must be zero,
 * since they would be lost. The check for zeros has a bound, since a size that was never set may be
 * any number. A new field begins where the struct of the previous version ended, padding included,
 * since padding is not zero for certain. A new field's default is 0: an older library refuses an
 * app that sets anything else.
 *
 * Threads  pure functions.
 */
#ifndef SPN_CLIENT_SIZED_H
#define SPN_CLIENT_SIZED_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Bytes up to the end of a field: the smallest size that is accepted. */
#define SIZED_THROUGH(type, field) (offsetof(type, field) + sizeof(((type *)0)->field))

/* No version's struct is larger. */
#define SIZED_MAX 1024u

/* Copies *from over the defaults in *to. The first member of *from is its size; *to has our size.
 * False: the size of *from is smaller than size_min or larger than SIZED_MAX, or *from sets a field
 * that we do not know; *to is then unusable. */
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
