/* SPDX-License-Identifier: Apache-2.0 */
#include "index/attributes.h"

static const uint64_t span_max_ms = UINT64_MAX / 1000000 / 2;

spn_err attributes_get(struct spn_bytes data, struct wire_attributes *ret_attributes)
{
    struct wire_attributes attributes;
    struct wire_in in = wire_in(data.data, data.size);
    wire_get_attributes(&in, &attributes);
    if (!wire_in_done(&in) || data.size > ATTRIBUTES_DATA_MAX || attributes.ttl_ms > span_max_ms ||
        attributes.idle_close_ms > span_max_ms)
        return SPN_E_BAD_ATTRIBUTES;
    bool has_type = attributes.content_type.size > 0; /* the rules for it are those for a name */
    if (has_type && wire_check_session(attributes.content_type) != SPN_OK)
        return SPN_E_BAD_ATTRIBUTES;
    *ret_attributes = attributes;
    return SPN_OK;
}

/* The position of the newest attributes of this part that are in the snapshot; 0: there are none.
 */
static uint64_t newest_in(const struct view_part *part, uint64_t newest)
{
    if (!part->generation)
        return 0;
    const struct generation_attributes *all = part->generation->attributes;
    uint32_t place = part->attributes;
    while (place != GENERATION_NONE && all[place].position > newest)
        place = all[place].previous;
    return place != GENERATION_NONE ? all[place].position : 0;
}

/* The position of the newest durable entry with attributes that the view knows; 0: there is none.
 */
static uint64_t newest_of(const struct timeline *timeline)
{
    const struct view_part *parts = timeline->view->parts;
    uint64_t newest = journal_reader_newest(timeline->reader);
    uint64_t position = newest_in(&parts[1], newest);
    return position > 0 ? position : newest_in(&parts[0], newest);
}

static spn_err read_row(const struct timeline *timeline, struct wire_attributes *ret_attributes)
{
    struct record_attributes stored = {.note = {NULL, 0}};
    const struct record_row *row = &timeline->row;
    spn_err err = SPN_OK;
    if (row->has_attributes)
        err = journal_read_attributes(timeline->reader, timeline->epoch, &stored);
    if (err != SPN_OK && err != SPN_E_END && err != SPN_E_CORRUPT)
        return err;
    *ret_attributes = (struct wire_attributes){.ttl_ms = row->ttl_ms,
                                               .idle_close_ms = row->idle_close_ms,
                                               .content_type = stored.content_type,
                                               .note = stored.note};
    return SPN_OK;
}

spn_err attributes_read(const struct timeline *timeline, struct wire_attributes *ret_attributes)
{
    struct record_entry entry;
    uint64_t position = newest_of(timeline);
    spn_err err = SPN_E_END;
    if (position > timeline->row.attributes_position)
        err = journal_read_entry(timeline->reader, position, &entry);
    if (err == SPN_OK && attributes_get(entry.data, ret_attributes) == SPN_OK)
        return SPN_OK;
    /* The row has these or newer ones; or the entry is damaged. */
    return err == SPN_OK || err == SPN_E_END || err == SPN_E_CORRUPT
               ? read_row(timeline, ret_attributes)
               : err;
}
