/* SPDX-License-Identifier: Apache-2.0 */
/* read_whole: the bytes of a small file, from its descriptor.
 *
 * Threads  any.
 */
#ifndef SPN_READ_WHOLE_H
#define SPN_READ_WHOLE_H

#include <stdbool.h>
#include <stddef.h>

/* Reads up to capacity bytes, as many as there are. False: see errno. */
bool read_whole(int fd, char *bytes, size_t capacity, size_t *ret_size);

#endif
