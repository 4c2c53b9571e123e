/* SPDX-License-Identifier: Apache-2.0 */
#include "http/feed_ring.h"

#include <assert.h>
#include <stdlib.h>

struct feed_block *feed_block_new(struct memory *memory)
{
    struct feed_block *block = calloc(1, sizeof(*block));
    if (block == NULL)
        return NULL;
    block->references = 1;
    out_init(&block->text, -1);
    memory_share_init(&block->share, memory, NULL);
    return block;
}

void feed_block_release(struct feed_block *block)
{
    if (block == NULL || --block->references > 0)
        return;
    memory_release(&block->share);
    out_release(&block->text);
    free(block);
}

static struct feed_block **slot_of(struct feed_ring *ring, uint64_t number)
{
    return &ring->blocks[number % FEED_BLOCKS];
}

static void drop_oldest(struct feed_ring *ring)
{
    struct feed_block **slot = slot_of(ring, ring->first++);
    ring->bytes -= (*slot)->text.size;
    ring->first_seq = (*slot)->seq;
    feed_block_release(*slot);
    *slot = NULL;
}

void feed_ring_init(struct feed_ring *ring, uint64_t seq)
{
    *ring = (struct feed_ring){.first_seq = seq, .seq = seq};
}

void feed_ring_append(struct feed_ring *ring, struct feed_block *block)
{
    assert(block->seq > ring->seq);
    while (ring->first < ring->end &&
           (ring->end - ring->first == FEED_BLOCKS || ring->bytes + block->text.size > FEED_BYTES))
        drop_oldest(ring);
    *slot_of(ring, ring->end++) = block;
    ring->bytes += block->text.size;
    ring->seq = block->seq;
}

void feed_ring_clear(struct feed_ring *ring)
{
    while (ring->first < ring->end)
        drop_oldest(ring);
}

bool feed_ring_counts(const struct feed_ring *ring)
{
    for (uint64_t number = ring->first; number < ring->end; number++)
        if (feed_ring_at(ring, number)->share.size > 0)
            return true;
    return false;
}

bool feed_ring_find(const struct feed_ring *ring, uint64_t seq, uint64_t *ret_number)
{
    *ret_number = ring->first;
    if (seq == ring->first_seq)
        return true;
    for (uint64_t number = ring->first; number < ring->end; number++) {
        *ret_number = number + 1;
        if (feed_ring_at(ring, number)->seq == seq)
            return true;
    }
    return false;
}

struct feed_block *feed_ring_at(const struct feed_ring *ring, uint64_t number)
{
    bool is_there = number >= ring->first && number < ring->end;
    return is_there ? ring->blocks[number % FEED_BLOCKS] : NULL;
}
