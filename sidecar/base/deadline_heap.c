/* SPDX-License-Identifier: Apache-2.0 */
#include "base/deadline_heap.h"

#include <assert.h>
#include <stdlib.h>

spn_err deadline_heap_init(struct deadline_heap *heap, size_t count_max)
{
    *heap = (struct deadline_heap){.room = count_max};
    heap->nodes = calloc(count_max, sizeof(struct deadline *));
    return heap->nodes ? SPN_OK : SPN_E_NOMEM;
}

spn_err deadline_heap_reserve(struct deadline_heap *heap, size_t count_max)
{
    if (count_max <= heap->room)
        return SPN_OK;
    size_t room = count_max > 2 * heap->room ? count_max : 2 * heap->room;
    struct deadline **nodes = realloc(heap->nodes, room * sizeof(struct deadline *));
    if (!nodes)
        return SPN_E_NOMEM;
    heap->nodes = nodes;
    heap->room = room;
    return SPN_OK;
}

void deadline_heap_release(struct deadline_heap *heap)
{
    free(heap->nodes);
    *heap = (struct deadline_heap){0};
}

bool deadline_is_set(const struct deadline *deadline)
{
    return deadline->index != DEADLINE_ABSENT;
}

static bool before(const struct deadline *a, const struct deadline *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void place(struct deadline_heap *heap, struct deadline *deadline, size_t index)
{
    heap->nodes[index] = deadline;
    deadline->index = index;
}

static void sift_up(struct deadline_heap *heap, struct deadline *deadline, size_t index)
{
    while (index > 0 && before(deadline, heap->nodes[(index - 1) / 2])) {
        place(heap, heap->nodes[(index - 1) / 2], index);
        index = (index - 1) / 2;
    }
    place(heap, deadline, index);
}

static void sift_down(struct deadline_heap *heap, struct deadline *deadline, size_t index)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && before(heap->nodes[child + 1], heap->nodes[child]))
            child++;
        if (!before(heap->nodes[child], deadline))
            break;
        place(heap, heap->nodes[child], index);
        index = child;
    }
    place(heap, deadline, index);
}

void deadline_heap_insert(struct deadline_heap *heap, struct deadline *deadline, uint64_t due_ns)
{
    assert(!deadline_is_set(deadline) && heap->count < heap->room);
    deadline->due_ns = due_ns;
    deadline->order = heap->order++;
    heap->count++;
    sift_up(heap, deadline, heap->count - 1);
}

void deadline_heap_remove(struct deadline_heap *heap, struct deadline *deadline)
{
    if (!deadline_is_set(deadline))
        return;
    size_t index = deadline->index;
    assert(index < heap->count && heap->nodes[index] == deadline);
    struct deadline *last = heap->nodes[--heap->count];
    deadline->index = DEADLINE_ABSENT;
    if (last == deadline)
        return;
    /* The last node fills the hole and then moves up or down as it must. */
    sift_up(heap, last, index);
    sift_down(heap, last, last->index);
}

struct deadline *deadline_heap_first(const struct deadline_heap *heap)
{
    return heap->count > 0 ? heap->nodes[0] : NULL;
}

struct deadline *deadline_heap_pop(struct deadline_heap *heap, uint64_t now_ns)
{
    struct deadline *first = deadline_heap_first(heap);
    if (!first || first->due_ns > now_ns)
        return NULL;
    deadline_heap_remove(heap, first);
    return first;
}
