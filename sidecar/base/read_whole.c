/* SPDX-License-Identifier: Apache-2.0 */
#include "base/read_whole.h"

#include <errno.h>
#include <unistd.h>

bool read_whole(int fd, char *bytes, size_t capacity, size_t *ret_size)
{
    size_t size = 0;
    while (size < capacity) {
        ssize_t got = read(fd, bytes + size, capacity - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0)
            break;
        size += (size_t)got;
    }
    *ret_size = size;
    return true;
}
