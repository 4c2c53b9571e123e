/* SPDX-License-Identifier: Apache-2.0 */
#include "read/pump.h"

spn_err pump_begin(struct pump *pump, const struct pump_source *source, const struct view *view)
{
    *pump = (struct pump){.source = source,
                          .now_ns = clock_database_ns(source->clock),
                          .until_ns = source->clock->monotonic_ns() + PUMP_TURN_NS};
    spn_err err = timeline_open(&pump->timeline, source->journal, view);
    pump->next_seq = pump->timeline.seq_before + 1;
    return err;
}

spn_err pump_find(struct pump *pump, const struct slice_start *start)
{
    return slice_find(&pump->timeline, start, pump->source->secret, pump->now_ns, &pump->next_seq);
}

spn_err pump_read(struct pump *pump, size_t bytes_max, const struct slice **ret_slice)
{
    struct slice *slice = pump->source->slice;
    spn_err err = slice_read(slice, &pump->timeline, pump->next_seq, bytes_max, pump->now_ns);
    if (err != SPN_OK)
        return err;
    pump->next_seq = slice->head.seq + 1;
    *ret_slice = slice;
    return SPN_OK;
}

bool pump_is_at_end(const struct pump *pump)
{
    return pump->next_seq > pump->timeline.seq_last;
}

bool pump_is_over(const struct pump *pump)
{
    return pump->source->clock->monotonic_ns() >= pump->until_ns;
}
