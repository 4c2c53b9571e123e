/* SPDX-License-Identifier: Apache-2.0 */
/* out: bytes on their way to a file descriptor.
 *
 * One write(2) per 64 KiB instead of one per line. What went wrong is kept until somebody asks, so
 * that those who print need not look at every call. With fd -1 nothing is written: the bytes stay.
 *
 * Owns     its buffer. Borrows the descriptor.
 * Units    sizes in bytes.
 * Threads  belongs to one thread.
 */
#ifndef SPN_CLI_OUT_H
#define SPN_CLI_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "spn_err.h"

struct out {
    int fd;
    char *data;
    size_t size;
    size_t capacity;
    int error; /* errno of the first failure; from then on everything is dropped. 0: none */
};

void out_init(struct out *out, int fd);
void out_release(struct out *out); /* drops what was not flushed */

/* Room for size more bytes, to be written there and then added to out->size. NULL: no memory. */
char *out_reserve(struct out *out, size_t size);

void out_put(struct out *out, const void *bytes, size_t size);
void out_text(struct out *out, const char *text);
void out_number(struct out *out, uint64_t number);

/* Writes everything out when there is enough of it, or at once. False: see out->error. */
bool out_settle(struct out *out);
bool out_flush(struct out *out);

#endif
