/* SPDX-License-Identifier: Apache-2.0 */
/* out: bytes on their way to a file descriptor.
 *
 * Needs one write(2) per 64 KiB instead of one per line. An error is kept in the struct, so that
 * callers need not check every call. With fd -1 nothing is written: the bytes stay in the buffer.
 *
 * Owns     its buffer.
 * Borrows  the descriptor.
 * Units    sizes in bytes.
 * Threads  belongs to one thread.
 */
#ifndef SPN_BASE_OUT_H
#define SPN_BASE_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "spn_err.h"

struct out {
    int fd;
    char *data;
    size_t size;
    size_t capacity;
    int error; /* errno of the first failure; after it everything is dropped. 0: none */
};

void out_init(struct out *out, int fd);
void out_release(struct out *out); /* drops bytes that were not flushed */

/* Returns room for size more bytes. The caller writes them there and adds them to out->size. NULL:
 * no memory. */
char *out_reserve(struct out *out, size_t size);

void out_put(struct out *out, const void *bytes, size_t size);
void out_text(struct out *out, const char *text);
void out_number(struct out *out, uint64_t number);

/* out_settle writes everything when there is enough of it, out_flush at once. False: see
 * out->error. */
bool out_settle(struct out *out);
bool out_flush(struct out *out);

#endif
