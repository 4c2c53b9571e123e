/* SPDX-License-Identifier: Apache-2.0 */
/* chain: where are a session's entries on disk?
 *
 * A session's blocks form a chain from its newest segment back to its oldest: every block names the
 * segment before its own. Inside a segment the blocks ascend by seq. Segments are trimmed one by
 * one, in any order, so seqs may be missing between two blocks. A segment that has lost all blocks
 * of the session ends the chain: the blocks of older segments are out of reach, and hidden by
 * retention.
 *
 * Owns     nothing beyond a call.
 * Borrows  the reader, inside a snapshot.
 * Errors   SPN_E_CORRUPT: a block or entry is damaged, or the chain contradicts itself.
 * Threads  the reader's.
 */
#ifndef SPN_CHAIN_H
#define SPN_CHAIN_H

#include <stddef.h>

#include "store/journal.h"

/* The positions of the first events from seq_from on that are in blocks: consecutive events, up to
 * the first one that is in no block, at most positions_max. segment: from journal_row_segment.
 *
 * *ret_first_seq is the seq of positions[0]. It is greater than seq_from if blocks were trimmed and
 * equal to it otherwise, also when *ret_count is 0 (no block has an event: look in the
 * generations). Costs one value per segment from the newest back to the one with seq_from, and then
 * one per block. On failure positions may have been written to.
 */
spn_err chain_collect(struct journal_reader *reader, uint64_t epoch, uint32_t segment,
                      uint64_t seq_from, size_t positions_max, uint64_t *positions,
                      uint64_t *ret_first_seq, size_t *ret_count) SPN_MUST_USE;

/* Finds the block that has seq, and returns the segment before it that has blocks of the session;
 * 0: there is none. SPN_E_END: no block has seq. */
spn_err chain_segment_before(struct journal_reader *reader, uint64_t epoch, uint32_t segment,
                             uint64_t seq, uint32_t *ret_segment) SPN_MUST_USE;

/* The newest event in blocks that has this id. fingerprint: the low 32 bits of the id's; each item
 * that matches it costs one log entry to verify. A trimmed event counts as not there. SPN_E_END:
 * there is none. */
spn_err chain_find(struct journal_reader *reader, uint64_t epoch, uint32_t segment,
                   uint32_t fingerprint, struct spn_bytes id, uint64_t *ret_seq,
                   uint64_t *ret_position) SPN_MUST_USE;

#endif
