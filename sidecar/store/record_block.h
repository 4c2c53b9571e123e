/* SPDX-License-Identifier: Apache-2.0 */
/* record_block: blocks of positions, and the segments that they make up.
 *
 * Owns     nothing. Encodes into the caller's memory; decoded bytes point into the value from which
 *          they were read.
 * Units    sizes in bytes; *_ms wall time since 1970, shown only; *_ns the database clock.
 * Errors   every value has a checksum over all its bytes and its key. SPN_E_CORRUPT: a decode found
 *          another checksum or impossible lengths.
 * Threads  pure functions.
 */
#ifndef SPN_RECORD_BLOCK_H
#define SPN_RECORD_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spn_err.h"

enum {
    RECORD_BLOCK_SIZE_MAX = 1900, /* above ~2,020 LMDB moves a value to whole overflow pages */
    RECORD_BLOCK_ITEMS_MAX = 376, /* the most items that fit a block: 5 bytes each */
    RECORD_SEGMENT_SIZE = 24,
};

/* One session's part of a segment: its entries with consecutive seqs. A session with many entries
 * in a generation has several blocks in the segment. */
struct record_block_item {
    uint64_t position;
    uint32_t fingerprint; /* of the event id: low 32 bits */
};

struct record_block {
    uint64_t first_seq;
    uint32_t segment_before; /* the newest older segment with blocks of the session; 0: none */
    uint32_t count;
    struct spn_bytes value; /* decoded: contains the items */
};

/* Encodes as many of the items as fit RECORD_BLOCK_SIZE_MAX (at least one). Returns how many, and
 * the size in *ret_size. value: RECORD_BLOCK_SIZE_MAX bytes. */
size_t record_put_block(void *value, uint32_t segment, uint64_t epoch, uint64_t first_seq,
                        uint32_t segment_before, const struct record_block_item *items,
                        size_t count, size_t *ret_size);
spn_err record_get_block(struct spn_bytes value, uint32_t segment, uint64_t epoch,
                         uint64_t first_seq, struct record_block *ret_block) SPN_MUST_USE;
/* Unpacks all items of a decoded block; items: room for block->count. SPN_E_CORRUPT. */
spn_err record_get_items(const struct record_block *block,
                         struct record_block_item *items) SPN_MUST_USE;

/* A complete segment: which part of the log it covers, and how many events of it are left. */
struct record_segment {
    uint64_t first; /* position */
    uint64_t last;
    uint32_t events; /* not trimmed when the segment was last looked at */
};

void record_put_segment(void *value, uint32_t number, const struct record_segment *segment);
spn_err record_get_segment(struct spn_bytes value, uint32_t number,
                           struct record_segment *ret_segment) SPN_MUST_USE;

#endif
