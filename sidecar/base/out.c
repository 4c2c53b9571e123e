/* SPDX-License-Identifier: Apache-2.0 */
#include "base/out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OUT_CAPACITY_MIN = 4096,
    OUT_SETTLE_SIZE = 64 * 1024,
};

void out_init(struct out *out, int fd)
{
    *out = (struct out){.fd = fd};
}

void out_release(struct out *out)
{
    free(out->data);
    *out = (struct out){.fd = -1};
}

static bool out_grow(struct out *out, size_t size)
{
    size_t capacity = out->capacity ? out->capacity : OUT_CAPACITY_MIN;
    while (capacity - out->size < size)
        capacity *= 2;
    char *data = realloc(out->data, capacity);
    if (!data) {
        out->error = ENOMEM;
        return false;
    }
    out->data = data;
    out->capacity = capacity;
    return true;
}

char *out_reserve(struct out *out, size_t size)
{
    if (out->error)
        return NULL;
    bool room = out->data && out->capacity - out->size >= size;
    if (!room && !out_grow(out, size))
        return NULL;
    return out->data + out->size;
}

void out_put(struct out *out, const void *bytes, size_t size)
{
    char *at = size > 0 ? out_reserve(out, size) : NULL;
    if (!at)
        return;
    memcpy(at, bytes, size);
    out->size += size;
}

void out_text(struct out *out, const char *text)
{
    out_put(out, text, strlen(text));
}

void out_number(struct out *out, uint64_t number)
{
    char digits[20]; /* of UINT64_MAX */
    size_t start = sizeof(digits);
    do {
        digits[--start] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    out_put(out, digits + start, sizeof(digits) - start);
}

bool out_settle(struct out *out)
{
    return out->size < OUT_SETTLE_SIZE ? !out->error : out_flush(out);
}

bool out_flush(struct out *out)
{
    size_t done = 0;
    while (!out->error && out->fd >= 0 && done < out->size) {
        ssize_t written = write(out->fd, out->data + done, out->size - done);
        if (written >= 0)
            done += (size_t)written;
        else if (errno != EINTR)
            out->error = errno;
    }
    if (out->fd >= 0)
        out->size = 0;
    return !out->error;
}
