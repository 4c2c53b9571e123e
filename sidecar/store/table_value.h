/* SPDX-License-Identifier: Apache-2.0 */
/* table_value: does a value of a table read?
 *
 * For who reads pages without LMDB (pages.h). Tables are numbered as JOURNAL_TABLE_NAMES.
 *
 * Owns     nothing.
 * Threads  pure functions.
 */
#ifndef SPN_TABLE_VALUE_H
#define SPN_TABLE_VALUE_H

#include "store/journal.h"
#include "store/pages.h"

enum {
    TABLE_VALUE_LOG,
    TABLE_VALUE_BLOCKS,
    TABLE_VALUE_SEGMENTS,
    TABLE_VALUE_ROWS,
    TABLE_VALUE_NAMES,
    TABLE_VALUE_ATTRIBUTES,
    TABLE_VALUE_PRODUCERS,
    TABLE_VALUE_META,
};

/* SPN_E_CORRUPT: its checksum is not that of its bytes, its key and its table, or its lengths are
 * impossible. SPN_E_END: it marks values that were lost to damage, and were replaced by it.
 * SPN_E_NEWER_FORMAT, SPN_E_OLDER_FORMAT: of meta. */
spn_err table_value_check(size_t table, struct spn_bytes key, struct spn_bytes value) SPN_MUST_USE;

/* A key of a table of numbers. 0: it has another size. */
uint64_t table_value_number(struct spn_bytes key);

/* The tree of each table; SIZE_MAX: it is not there, or LMDB's flags of it are not ours. */
void table_value_trees(const struct pages_snapshot *snapshot, size_t ret_trees[JOURNAL_TABLES]);

#endif
