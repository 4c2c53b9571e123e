/* SPDX-License-Identifier: Apache-2.0 */
/* ds_offset: the offsets of Durable Streams: places in a stream as text, and the cursors that keep
 * caches from answering the same for ever.
 *
 *     0000000000000007_1f2e3d4c_0000000000000003
 *     └─ epoch         └─ life  └─ seq of the event before
 *
 * The epoch is the place in the daemon's log where the life began: a later life sorts after an
 * earlier one. A database that was restored may give an epoch twice, so the beginning of the life's
 * id is there too.
 *
 * Threads  pure functions.
 */
#ifndef SPN_HTTP_DS_OFFSET_H
#define SPN_HTTP_DS_OFFSET_H

#include <stdbool.h>
#include <stdint.h>

#include "spn_err.h"

enum { DS_OFFSET_SIZE = 16 + 1 + 8 + 1 + 16 + 1 }; /* of the text, with its NUL */

struct ds_offset {
    uint64_t epoch;
    uint32_t life; /* the first four bytes of its id */
    uint64_t seq;
};

enum ds_offset_kind {
    DS_OFFSET_BAD,   /* no offset */
    DS_OFFSET_BEGIN, /* -1 */
    DS_OFFSET_NOW,   /* now */
    DS_OFFSET_AT,
};

uint32_t ds_offset_life(const struct spn_life *life);

char *ds_offset_format(const struct ds_offset *offset, char ret_text[DS_OFFSET_SIZE]);
/* *ret_offset is set with DS_OFFSET_AT only. */
enum ds_offset_kind ds_offset_parse(struct spn_bytes text, struct ds_offset *ret_offset);

/* The cursor of an answer: the number of the interval of 20 s since October 9th 2024, or, if the
 * client has that or a later one, a number after the client's; how far after is up to `random`.
 * client: the text that it sent; what is no number counts as none. */
uint64_t ds_cursor(uint64_t now_s, struct spn_bytes client, uint32_t random);

#endif
