/* SPDX-License-Identifier: Apache-2.0 */
#include "index/absence.h"

#include "index/chain.h"

enum { READ_AT_A_TIME = 128 };

/* The event that may be missing. */
struct suspect {
    uint64_t seq;
    uint64_t position; /* 0: no block and no generation has it */
};

/* The session's bytes, as trimming may have known them: a row can be ahead of the view. */
static spn_err newest_bytes(const struct timeline *timeline, uint64_t *ret_bytes)
{
    struct record_entry newest;
    spn_err err = journal_read_entry(timeline->reader, timeline->position_last, &newest);
    *ret_bytes = timeline->row.bytes;
    if (err == SPN_OK && newest.bytes > *ret_bytes)
        *ret_bytes = newest.bytes;
    return err == SPN_E_END ? SPN_OK : err;
}

static spn_err look_up(const struct timeline *timeline, uint64_t seq, struct suspect *ret_suspect)
{
    uint64_t position, first;
    size_t count;
    *ret_suspect = (struct suspect){.seq = seq};
    spn_err err = timeline_positions(timeline, seq, 1, &position, &first, &count);
    if (err == SPN_OK && count > 0 && first == seq)
        ret_suspect->position = position;
    return err;
}

/* The session's bytes before the next event that is there. The events in between are gone too, even
 * if a block still has them: a block stays until its last event goes. SPN_E_END: there is no next
 * event. */
static spn_err bytes_before_next(const struct timeline *timeline, uint64_t seq, uint64_t *ret_bytes)
{
    uint64_t positions[READ_AT_A_TIME];
    struct record_entry next;
    uint64_t first;
    size_t count;
    spn_err err = timeline_positions(timeline, seq + 1, READ_AT_A_TIME, positions, &first, &count);
    while (err == SPN_OK && count > 0) {
        for (size_t i = 0; i < count; i++) {
            err = journal_read_entry(timeline->reader, positions[i], &next);
            if (err == SPN_OK)
                *ret_bytes = next.bytes - next.data.size;
            if (err != SPN_E_END)
                return err;
        }
        err =
            timeline_positions(timeline, first + count, READ_AT_A_TIME, positions, &first, &count);
    }
    return err == SPN_OK ? SPN_E_END : err;
}

/* An upper bound of the bytes after this event, as far as trimming may have known the session. If
 * the row is ahead, the events after the timeline's newest one are not in the timeline. A damaged
 * entry gives no bound. */
static spn_err bytes_after(const struct timeline *timeline, uint64_t seq, uint64_t *ret_bytes)
{
    bool ahead = timeline->row.seq > timeline->seq_last;
    uint64_t last_bytes;
    uint64_t before_next = 0;
    spn_err err = newest_bytes(timeline, &last_bytes);
    if (err == SPN_OK)
        err = bytes_before_next(timeline, seq, &before_next);
    if (err == SPN_E_END) {
        before_next = ahead ? 0 : last_bytes;
        err = SPN_OK;
    }
    if (err == SPN_OK)
        *ret_bytes = last_bytes - before_next;
    if (err == SPN_E_CORRUPT)
        *ret_bytes = UINT64_MAX;
    return err == SPN_E_CORRUPT ? SPN_OK : err;
}

/* Whether trimming may have deleted it under some rule. */
static spn_err was_hidden(const struct timeline *timeline, uint64_t seq, bool *ret_was)
{
    const struct retention *rule = &journal_reader_meta(timeline->reader)->narrowest;
    uint64_t last = timeline->row.seq > timeline->seq_last ? timeline->row.seq : timeline->seq_last;
    uint64_t bytes;
    *ret_was = rule->age_max_ns > 0 || (rule->events_max > 0 && last - seq >= rule->events_max);
    if (*ret_was || rule->bytes_max == 0)
        return SPN_OK;
    spn_err err = bytes_after(timeline, seq, &bytes);
    *ret_was = err == SPN_OK && bytes >= rule->bytes_max;
    return err;
}

/* Whether the quota deleted entries of this segment. A block whose entries are deleted is deleted
 * by the next look under the rule, or with the whole segment. number 0: there is no segment. */
static spn_err segment_was_taken(const struct timeline *timeline, uint32_t number, bool *ret_was)
{
    struct record_segment segment;
    uint32_t found = number;
    *ret_was = false;
    if (number == 0)
        return SPN_OK;
    spn_err err = journal_read_segment_after(timeline->reader, number - 1, &found, &segment);
    if (err == SPN_E_END || found != number) { /* the segment after it may be damaged */
        *ret_was = true;
        return SPN_OK;
    }
    if (err == SPN_OK)
        *ret_was = segment.first <= journal_reader_meta(timeline->reader)->taken;
    return err;
}

/* The segment that had the event, or the newest of those that may have had it. */
static spn_err find_segment(const struct timeline *timeline, uint64_t seq, uint32_t *ret_number)
{
    *ret_number = timeline->segment;
    spn_err err = chain_segment_before(timeline->reader, timeline->epoch, timeline->segment,
                                       seq + 1, ret_number);
    return err == SPN_E_END ? SPN_OK : err;
}

/* Whether the quota may have deleted it. */
static spn_err was_taken(const struct timeline *timeline, const struct suspect *suspect,
                         bool *ret_was)
{
    uint32_t number;
    *ret_was =
        suspect->position > 0 && suspect->position <= journal_reader_meta(timeline->reader)->taken;
    if (suspect->position > 0)
        return SPN_OK;
    spn_err err = find_segment(timeline, suspect->seq, &number);
    return err == SPN_OK ? segment_was_taken(timeline, number, ret_was) : err;
}

spn_err absence_check(const struct timeline *timeline, uint64_t first)
{
    struct suspect suspect;
    struct record_entry entry;
    bool explained = false;
    spn_err err = look_up(timeline, first - 1, &suspect);
    if (err == SPN_OK && suspect.position > 0) {
        err = journal_read_entry(timeline->reader, suspect.position, &entry);
        explained = err == SPN_OK; /* it is there: the rule hides it */
        err = err == SPN_E_END ? SPN_OK : err;
    }
    if (err == SPN_OK && !explained)
        err = was_hidden(timeline, suspect.seq, &explained);
    if (err == SPN_OK && !explained)
        err = was_taken(timeline, &suspect, &explained);
    return err == SPN_OK && !explained ? SPN_E_CORRUPT : err;
}
