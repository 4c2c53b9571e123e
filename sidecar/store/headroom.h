/* SPDX-License-Identifier: Apache-2.0 */
/* headroom: room in the database's file, made before it is needed.
 *
 * A commit that makes the file longer has the file system look for room page by page, and waits for
 * what it notes about that: with room made beforehand in one piece, full speed is 10 % faster. A
 * quarter of the file's size at a time, so that a small database stays small; never of a disk that
 * is nearly full, whose last room is for events.
 *
 * Nothing of the database changes: LMDB looks at no page beyond the last that it has written.
 *
 * Borrows  the file's descriptor.
 * Units    bytes.
 * Threads  the one that commits.
 */
#ifndef SPN_HEADROOM_H
#define SPN_HEADROOM_H

#include <stdbool.h>
#include <stdint.h>

struct headroom {
    int fd;
    uint64_t bytes_max; /* of the file: beyond it no room is made; 0: none is made at all */
    uint64_t bytes;     /* of the file, as far as it has room */
};

void headroom_init(struct headroom *headroom, int fd, uint64_t bytes_max);

/* Before the file grows beyond `used` bytes. What cannot be had is done without. */
void headroom_make(struct headroom *headroom, uint64_t used);

#endif
