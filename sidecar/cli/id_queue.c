/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/id_queue.h"

#include <stdlib.h>
#include <string.h>

struct head {
    uint64_t number;
    uint32_t size;
    uint8_t kind;
};

enum { CAPACITY_MIN = 4096 };

void id_queue_init(struct id_queue *queue)
{
    *queue = (struct id_queue){0};
}

void id_queue_release(struct id_queue *queue)
{
    free(queue->data);
    *queue = (struct id_queue){0};
}

/* Moves the content to the front if that frees at least half, so that at most one byte moves for
 * each byte popped. Otherwise grows the buffer. */
static spn_err make_room(struct id_queue *queue, size_t size)
{
    size_t held = queue->tail - queue->head;
    if (queue->capacity - queue->tail >= size)
        return SPN_OK;
    if (held + size <= queue->capacity && queue->head >= held) {
        memmove(queue->data, queue->data + queue->head, held);
        queue->head = 0;
        queue->tail = held;
        return SPN_OK;
    }
    size_t capacity = queue->capacity ? queue->capacity : CAPACITY_MIN;
    while (capacity - queue->tail < size)
        capacity *= 2;
    char *data = realloc(queue->data, capacity);
    if (!data)
        return SPN_E_NOMEM;
    queue->data = data;
    queue->capacity = capacity;
    return SPN_OK;
}

spn_err id_queue_push(struct id_queue *queue, const struct queued *queued)
{
    struct spn_bytes id = queued->id;
    struct head head = {.number = queued->number, .size = (uint32_t)id.size, .kind = queued->kind};
    spn_err err = make_room(queue, sizeof(head) + id.size);
    if (err != SPN_OK)
        return err;
    memcpy(queue->data + queue->tail, &head, sizeof(head));
    if (id.size > 0)
        memcpy(queue->data + queue->tail + sizeof(head), id.data, id.size);
    queue->tail += sizeof(head) + id.size;
    queue->count++;
    return SPN_OK;
}

bool id_queue_pop(struct id_queue *queue, struct queued *ret_queued)
{
    struct head head;
    if (queue->count == 0)
        return false;
    memcpy(&head, queue->data + queue->head, sizeof(head));
    *ret_queued = (struct queued){
        .number = head.number,
        .kind = head.kind,
        .id = {queue->data + queue->head + sizeof(head), head.size},
    };
    queue->head += sizeof(head) + head.size;
    queue->count--;
    if (queue->count == 0)
        queue->head = queue->tail = 0;
    return true;
}
