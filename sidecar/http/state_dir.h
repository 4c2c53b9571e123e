/* SPDX-License-Identifier: Apache-2.0 */
/* state_dir: what the gateway keeps across its restarts: the id of its producers.
 *
 *     DIR/producer   the id in 32 hexadecimal digits, and a line end
 *
 * The file is locked as long as the gateway runs, so that no other gateway has the same id: each
 * would fence the other.
 *
 * Owns     the file's descriptor.
 * Threads  one.
 */
#ifndef SPN_HTTP_STATE_DIR_H
#define SPN_HTTP_STATE_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STATE_DIR_ID_SIZE = 16 };

struct state_dir {
    int fd; /* -1: none is open */
    uint8_t id[STATE_DIR_ID_SIZE];
};

/* Reads the id, or draws one and writes it. False: ret_why says why not; nothing is open. */
bool state_dir_open(struct state_dir *ret_state, const char *dir, char *ret_why, size_t why_size);
void state_dir_close(struct state_dir *state); /* takes one that is not open */

#endif
