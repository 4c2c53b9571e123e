/* SPDX-License-Identifier: Apache-2.0 */
#include "store/table_value.h"

#include "store/journal_base.h"

_Static_assert((int)TABLE_VALUE_LOG == (int)TABLE_LOG && (int)TABLE_VALUE_META == (int)TABLE_META &&
                   (int)TABLES == (int)JOURNAL_TABLES,
               "the tables have one order");

uint64_t table_value_number(struct spn_bytes key)
{
    return number_of_key(val(key.data, key.size));
}

static spn_err check_block(struct spn_bytes key, struct spn_bytes value)
{
    struct record_block block;
    struct record_block_item items[RECORD_BLOCK_ITEMS_MAX];
    if (key.size != BLOCK_KEY_SIZE)
        return SPN_E_CORRUPT;
    spn_err err =
        record_get_block(value, segment_of_block_key(key.data), epoch_of_block_key(key.data),
                         seq_of_block_key(key.data), &block);
    if (err == SPN_OK && block.count > RECORD_BLOCK_ITEMS_MAX)
        err = SPN_E_CORRUPT;
    return err == SPN_OK ? record_get_items(&block, items) : err;
}

static spn_err check_producer(struct spn_bytes key, struct spn_bytes value)
{
    struct record_run runs[RECORD_RUNS_MAX];
    struct record_producer producer;
    if (key.size != RECORD_PRODUCER_ID_SIZE)
        return SPN_E_CORRUPT;
    return record_get_producer(value, key.data, runs, &producer);
}

static spn_err check_entry(uint64_t position, struct spn_bytes value)
{
    struct record_entry entry;
    uint64_t end;
    if (record_get_lost(value, position, &end) == SPN_OK)
        return SPN_E_END;
    return record_get_entry(value, position, &entry);
}

static spn_err check_meta(struct spn_bytes key, struct spn_bytes value)
{
    struct record_meta meta;
    bool ours = key.size == sizeof(JOURNAL_META_KEY) &&
                memcmp(key.data, JOURNAL_META_KEY, sizeof(JOURNAL_META_KEY)) == 0;
    return ours ? record_get_meta(value, &meta) : SPN_E_CORRUPT;
}

/* Numbers are eight bytes, so a key of another size is no number. */
static spn_err check_numbered(size_t table, uint64_t number, struct spn_bytes value)
{
    struct record_segment segment;
    struct record_row row;
    struct record_attributes attributes;
    switch (table) {
    case TABLE_LOG:
        return check_entry(number, value);
    case TABLE_SEGMENTS:
        return number > UINT32_MAX ? SPN_E_CORRUPT
                                   : record_get_segment(value, (uint32_t)number, &segment);
    case TABLE_ROWS:
        return record_get_row(value, number, &row);
    default:
        return record_get_attributes(value, number, &attributes);
    }
}

spn_err table_value_check(size_t table, struct spn_bytes key, struct spn_bytes value)
{
    uint64_t epoch;
    if (value.size == PAGES_MARK_SIZE)
        return SPN_E_END;
    switch (table) {
    case TABLE_BLOCKS:
        return check_block(key, value);
    case TABLE_NAMES:
        return record_get_name(value, key, &epoch);
    case TABLE_PRODUCERS:
        return check_producer(key, value);
    case TABLE_META:
        return check_meta(key, value);
    default:
        return key.size == sizeof(uint64_t) ? check_numbered(table, table_value_number(key), value)
                                            : SPN_E_CORRUPT;
    }
}

void table_value_trees(const struct pages_snapshot *snapshot, size_t ret_trees[JOURNAL_TABLES])
{
    for (size_t table = 0; table < TABLES; table++) {
        size_t tree = pages_find(snapshot, journal_tables[table].name);
        bool ours = tree != SIZE_MAX && snapshot->trees[tree].flags == journal_tables[table].flags;
        ret_trees[table] = ours ? tree : SIZE_MAX;
    }
}
