/* SPDX-License-Identifier: Apache-2.0 */
/* timeline_positions: where events are, whether a generation or the index has them. */
#include "index/chain.h"
#include "index/timeline.h"

/* The positions from seq on in this part, which has seq. */
static size_t part_positions(const struct view_part *part, uint64_t seq, size_t count_max,
                             uint64_t *positions)
{
    uint64_t left = part->first_seq + part->count - seq;
    size_t count = left < count_max ? (size_t)left : count_max;
    const struct generation_entry *entries = part->generation->entries;
    uint32_t last = (uint32_t)(seq - part->first_seq + count - 1);
    uint32_t place = generation_seek(part->generation, part->newest, part->mark, part->count, last);
    for (size_t i = count; i > 0; i--) {
        positions[i - 1] = entries[place].position;
        place = entries[place].previous;
    }
    return count;
}

spn_err timeline_positions(const struct timeline *timeline, uint64_t seq_from, size_t count_max,
                           uint64_t *positions, uint64_t *ret_first, size_t *ret_count)
{
    *ret_count = 0;
    *ret_first = seq_from;
    if (seq_from > timeline->seq_last)
        return SPN_OK;
    const struct view_part *next = NULL; /* the oldest part that has seq_from or later ones */
    for (size_t i = 2; i > 0; i--) {
        const struct view_part *part = &timeline->parts[i - 1];
        if (part->generation && seq_from < part->first_seq + part->count)
            next = part;
    }
    if (!next)
        return chain_collect(timeline->reader, timeline->epoch, timeline->segment, seq_from,
                             count_max, positions, ret_first, ret_count);
    if (seq_from < next->first_seq) {
        spn_err err = chain_collect(timeline->reader, timeline->epoch, timeline->segment, seq_from,
                                    count_max, positions, ret_first, ret_count);
        if (err != SPN_OK || *ret_count > 0)
            return err;
        *ret_first = next->first_seq;
    }
    *ret_count = part_positions(next, *ret_first, count_max, positions);
    return SPN_OK;
}
