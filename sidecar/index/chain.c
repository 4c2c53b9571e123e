/* SPDX-License-Identifier: Apache-2.0 */
#include "index/chain.h"

#include <stdlib.h>
#include <string.h>

/* The segments passed on the walk back, newest first: blocks only point back, so the way forward is
 * this list. Most chains are short; a long one moves to the heap. */
enum { NEAR_MAX = 64 };

struct trail {
    uint32_t near[NEAR_MAX];
    uint32_t *far; /* NULL: near is used */
    size_t count;
    size_t count_max;
};

static uint32_t *trail_segments(struct trail *trail)
{
    return trail->far ? trail->far : trail->near;
}

static spn_err trail_push(struct trail *trail, uint32_t segment)
{
    if (trail->count == trail->count_max) {
        size_t count_max = 2 * trail->count_max;
        uint32_t *far = realloc(trail->far, count_max * sizeof(*far));
        if (!far)
            return SPN_E_NOMEM;
        if (!trail->far)
            memcpy(far, trail->near, sizeof(trail->near));
        trail->far = far;
        trail->count_max = count_max;
    }
    trail_segments(trail)[trail->count++] = segment;
    return SPN_OK;
}

/* Walks back to the block that has seq, or else to the nearest one: the last block with lower seqs
 * or, if older blocks are gone, the oldest block there is. Its segment is on top of the trail.
 * SPN_E_END: the session has no blocks. */
static spn_err walk_back(struct journal_reader *reader, uint64_t epoch, uint32_t segment,
                         uint64_t seq, struct trail *trail, struct record_block *ret_block)
{
    bool found = false;

    while (segment > 0) {
        struct record_block block;
        spn_err err = journal_read_block(reader, segment, epoch, seq, &block);
        bool reached = err == SPN_OK;
        if (err == SPN_E_END) /* all of this segment is newer */
            err = journal_read_block_from(reader, segment, epoch, seq, &block);
        if (err == SPN_E_END)
            break; /* trimmed from here on */
        if (err == SPN_OK && block.segment_before >= segment)
            err = SPN_E_CORRUPT;
        if (err == SPN_OK)
            err = trail_push(trail, segment);
        if (err != SPN_OK)
            return err;
        *ret_block = block;
        found = true;
        if (reached)
            break;
        segment = block.segment_before;
    }
    return found ? SPN_OK : SPN_E_END;
}

static uint64_t seq_after(const struct record_block *block)
{
    return block->first_seq + block->count;
}

/* The session's next block: in the same segment, or the first one of the next segment on the trail.
 * Its seqs need not follow directly: segments are trimmed one by one, so the blocks left of an
 * older segment may end before those left of a newer one begin. */
static spn_err step_forward(struct journal_reader *reader, uint64_t epoch, struct trail *trail,
                            struct record_block *block)
{
    const uint32_t *segments = trail_segments(trail);
    uint64_t seq_next = seq_after(block);

    spn_err err =
        journal_read_block_from(reader, segments[trail->count - 1], epoch, seq_next, block);
    if (err == SPN_E_END && --trail->count > 0)
        err = journal_read_block_from(reader, segments[trail->count - 1], epoch, 0, block);
    if (err == SPN_OK && block->first_seq < seq_next)
        return SPN_E_CORRUPT;
    return err;
}

/* Copies the positions of a block's items from seq on. */
static spn_err take(const struct record_block *block, uint64_t seq, size_t positions_max,
                    uint64_t *positions, size_t *ret_count)
{
    struct record_block_item items[RECORD_BLOCK_ITEMS_MAX];
    size_t count = 0;

    spn_err err = record_get_items(block, items);
    if (err != SPN_OK)
        return err;
    for (uint64_t i = seq - block->first_seq; i < block->count && count < positions_max; i++)
        positions[count++] = items[i].position;
    *ret_count = count;
    return SPN_OK;
}

spn_err chain_collect(struct journal_reader *reader, uint64_t epoch, uint32_t segment,
                      uint64_t seq_from, size_t positions_max, uint64_t *positions,
                      uint64_t *ret_first_seq, size_t *ret_count)
{
    struct trail trail = {.count_max = NEAR_MAX};
    struct record_block block;
    uint64_t first_seq = seq_from;
    size_t count = 0;

    spn_err err = walk_back(reader, epoch, segment, seq_from, &trail, &block);
    if (err == SPN_OK && seq_after(&block) <= seq_from)
        err = step_forward(reader, epoch, &trail, &block);
    if (err == SPN_OK && block.first_seq > seq_from)
        first_seq = block.first_seq;
    while (err == SPN_OK && count < positions_max && block.first_seq <= first_seq + count) {
        size_t taken = 0;
        err = take(&block, first_seq + count, positions_max - count, positions + count, &taken);
        count += taken;
        if (err == SPN_OK && count < positions_max)
            err = step_forward(reader, epoch, &trail, &block);
    }
    free(trail.far);
    if (err != SPN_OK && err != SPN_E_END)
        return err;
    *ret_first_seq = first_seq;
    *ret_count = count;
    return SPN_OK;
}

spn_err chain_segment_before(struct journal_reader *reader, uint64_t epoch, uint32_t segment,
                             uint64_t seq, uint32_t *ret_segment)
{
    struct trail trail = {.count_max = NEAR_MAX};
    struct record_block block;
    spn_err err = walk_back(reader, epoch, segment, seq, &trail, &block);
    free(trail.far);
    if (err != SPN_OK)
        return err;
    if (seq < block.first_seq || seq >= seq_after(&block))
        return SPN_E_END;
    *ret_segment = block.segment_before;
    return SPN_OK;
}

/* SPN_E_END: the entry is gone or has another id. */
static spn_err verify(struct journal_reader *reader, uint64_t epoch, uint64_t seq,
                      uint64_t position, struct spn_bytes id)
{
    struct record_entry entry;
    spn_err err = journal_read_entry(reader, position, &entry);
    if (err != SPN_OK)
        return err;
    if (entry.epoch != epoch || entry.seq != seq)
        return SPN_E_CORRUPT;
    if (entry.id.size != id.size || (id.size > 0 && memcmp(entry.id.data, id.data, id.size) != 0))
        return SPN_E_END;
    return SPN_OK;
}

static spn_err find_in_block(struct journal_reader *reader, uint64_t epoch,
                             const struct record_block *block, uint32_t fingerprint,
                             struct spn_bytes id, uint64_t *ret_seq, uint64_t *ret_position)
{
    struct record_block_item items[RECORD_BLOCK_ITEMS_MAX];
    spn_err err = record_get_items(block, items);
    if (err != SPN_OK)
        return err;
    for (uint32_t i = block->count; i-- > 0;) {
        if (items[i].fingerprint != fingerprint)
            continue;
        err = verify(reader, epoch, block->first_seq + i, items[i].position, id);
        if (err == SPN_E_END)
            continue;
        if (err != SPN_OK)
            return err;
        *ret_seq = block->first_seq + i;
        *ret_position = items[i].position;
        return SPN_OK;
    }
    return SPN_E_END;
}

spn_err chain_find(struct journal_reader *reader, uint64_t epoch, uint32_t segment,
                   uint32_t fingerprint, struct spn_bytes id, uint64_t *ret_seq,
                   uint64_t *ret_position)
{
    while (segment > 0) {
        struct record_block block;
        spn_err err = journal_read_block(reader, segment, epoch, UINT64_MAX, &block);
        if (err != SPN_OK)
            return err; /* SPN_E_END: trimmed from here on */
        if (block.segment_before >= segment)
            return SPN_E_CORRUPT;
        uint32_t segment_before = block.segment_before;
        while (err == SPN_OK) {
            err = find_in_block(reader, epoch, &block, fingerprint, id, ret_seq, ret_position);
            if (err != SPN_E_END)
                return err;
            if (block.first_seq == 0)
                break;
            err = journal_read_block(reader, segment, epoch, block.first_seq - 1, &block);
        }
        if (err != SPN_E_END)
            return err;
        segment = segment_before;
    }
    return SPN_E_END;
}
