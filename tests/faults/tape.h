/* SPDX-License-Identifier: Apache-2.0 */
/* tape: what libfaults recorded of a daemon's storage calls, in order.
 *
 * Owns     the bytes of the whole file.
 * Lends    takes and the bytes of writes: valid until tape_close.
 * Errors   a file that is not a tape fails the test; a last take that is cut off is left out.
 * Threads  one.
 */
#ifndef SPN_TAPE_H
#define SPN_TAPE_H

#include <stddef.h>

#include "faults.h"

struct tape_take {
    struct faults_take call;
    const uint8_t *bytes; /* of a write */
};

struct tape {
    uint8_t *bytes;
    struct tape_take *takes;
    size_t count;
};

void tape_open(struct tape *ret_tape, const char *path);
void tape_close(struct tape *tape);

#endif
