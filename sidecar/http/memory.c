/* SPDX-License-Identifier: Apache-2.0 */
#include "http/memory.h"

#include <assert.h>

void memory_init(struct memory memory[MEMORY_USES], size_t max)
{
#define PART(name, label, part) part,
    static const unsigned parts[] = {MEMORY_MAP(PART)};
#undef PART
    size_t all = 0;
    for (size_t i = 0; i < MEMORY_USES; i++)
        all += parts[i];
    for (size_t i = 0; i < MEMORY_USES; i++) {
        memory[i] = (struct memory){.max = max / all * parts[i]};
        link_init(&memory[i].waiting);
    }
}

void memory_share_init(struct memory_share *share, struct memory *memory,
                       void (*on_room)(struct memory_share *share))
{
    *share = (struct memory_share){.memory = memory, .on_room = on_room};
    link_init(&share->link);
}

void memory_release(struct memory_share *share)
{
    if (share->memory == NULL)
        return;
    link_leave(&share->link);
    memory_hold(share, 0);
}

void memory_hold(struct memory_share *share, size_t size)
{
    size_t counted = size > MEMORY_SMALL ? size : 0;
    struct memory *memory = share->memory;
    assert(memory->used >= share->size);
    memory->used += counted - share->size;
    share->size = counted;
}

static bool fits(const struct memory *memory, const struct memory_share *share, size_t size)
{
    size_t others = memory->used - share->size;
    return size <= MEMORY_SMALL || others == 0 ||
           (others < memory->max && size <= memory->max - others);
}

bool memory_reserve(struct memory_share *share, size_t size)
{
    if (!fits(share->memory, share, size))
        return false;
    memory_hold(share, size);
    return true;
}

bool memory_may_take(const struct memory_share *share, size_t size)
{
    return size <= MEMORY_SMALL || size <= share->size ||
           (link_alone(&share->memory->waiting) && fits(share->memory, share, size));
}

void memory_refuse(struct memory_share *share, struct problem *ret_problem)
{
    share->memory->full++;
    problem_set(ret_problem, 503, SPN_E_BACKPRESSURE,
                "requests hold as much memory as they may: see --memory");
}

/* -- waiting ----------------------------------------------------------------------------------- */

void memory_wait(struct memory_share *share, size_t wanted)
{
    struct memory *memory = share->memory;
    assert(share->on_room != NULL);
    memory_hold(share, 0);
    memory->full += link_alone(&share->link);
    share->wanted = wanted;
    link_join(&memory->waiting, &share->link);
}

bool memory_is_due(const struct memory *memory)
{
    if (link_alone(&memory->waiting))
        return false;
    const struct memory_share *first = LINK_OWNER(memory->waiting.next, struct memory_share, link);
    return fits(memory, first, first->wanted);
}

void memory_turn(struct memory *memory)
{
    while (memory_is_due(memory)) {
        struct memory_share *first = LINK_OWNER(memory->waiting.next, struct memory_share, link);
        link_leave(&first->link);
        memory_hold(first, first->wanted);
        first->on_room(first);
    }
}
