/* SPDX-License-Identifier: Apache-2.0 */
/* id_queue: number, kind and id of each event and marker in flight, first in, first out.
 *
 * Acknowledgements come in the order in which events were published, so a queue is enough to find
 * the event of each.
 *
 * Owns     one buffer, which grows to the most that was ever in flight at once: the in-flight
 *          window bounds it.
 * Borrows  ids that are pushed: copied.
 * Lends    the id that was popped: valid until the next push.
 * Threads  belongs to one thread.
 */
#ifndef SPN_CLI_ID_QUEUE_H
#define SPN_CLI_ID_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "spn_err.h"

struct queued {
    uint64_t number; /* the caller's */
    uint8_t kind;    /* the caller's */
    struct spn_bytes id;
};

struct id_queue {
    char *data; /* head .. tail: (number, size and kind, id) one after the other */
    size_t head;
    size_t tail;
    size_t capacity;
    size_t count;
};

void id_queue_init(struct id_queue *queue);
void id_queue_release(struct id_queue *queue);

/* The id may be empty. SPN_E_NOMEM: not taken. */
spn_err id_queue_push(struct id_queue *queue, const struct queued *queued) SPN_MUST_USE;

/* False: the queue was empty. */
bool id_queue_pop(struct id_queue *queue, struct queued *ret_queued);

#endif
