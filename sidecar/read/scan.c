/* SPDX-License-Identifier: Apache-2.0 */
#include "read/scan.h"

void scan_start(struct scan *scan, uint64_t after)
{
    uint64_t newest = journal_reader_newest(scan->journal);
    scan->position = after < newest ? after : newest;
}

enum scan_found scan_next(struct scan *scan, struct record_entry *ret_entry)
{
    uint64_t position;
    uint64_t newest = journal_reader_newest(scan->journal);
    spn_err err = journal_read_entry_from(scan->journal, scan->position + 1, &position, ret_entry);
    if (err == SPN_E_CORRUPT) {
        scan->position = position;
        return SCAN_DAMAGED;
    }
    if (err == SPN_E_END && newest > scan->position) {
        scan->position = newest;
        return SCAN_MISSING;
    }
    if (err != SPN_OK)
        return SCAN_END;
    if (position > scan->position + 1) {
        scan->position = position - 1;
        return SCAN_MISSING;
    }
    scan->position = position;
    return SCAN_ENTRY;
}
