/* SPDX-License-Identifier: Apache-2.0 */
/* feed_ring: the newest events of a session as text, for readers that are close to its end.
 *
 * A block is the text of one event or several. Blocks have numbers that ascend by one. The oldest
 * go when there are too many: whoever still writes one keeps it.
 *
 * Owns     a reference to each of its blocks.
 * Borrows  the memory that blocks are counted in.
 * Threads  one.
 */
#ifndef SPN_HTTP_FEED_RING_H
#define SPN_HTTP_FEED_RING_H

#include "base/out.h"
#include "http/memory.h"

enum {
    FEED_BLOCKS = 16,             /* at most so many, ... */
    FEED_BYTES = 64 * 1024,       /* ... and so many bytes of text, but at least one block */
    FEED_BLOCK_ENOUGH = 8 * 1024, /* bytes of text, after which a block takes no more events */
};

struct feed_block {
    unsigned references;
    unsigned events;
    uint64_t time_ms; /* of the first event */
    uint64_t seq;     /* of the last event */
    struct out text;
    struct memory_share share;
};

struct feed_ring {
    struct feed_block *blocks[FEED_BLOCKS]; /* by their numbers */
    uint64_t first;                         /* number of the oldest */
    uint64_t end;                           /* number of the next one */
    uint64_t first_seq;                     /* the oldest block begins after this seq */
    uint64_t seq;                           /* of the last event */
    size_t bytes;
};

/* With one reference. NULL: no memory. */
struct feed_block *feed_block_new(struct memory *memory);
void feed_block_release(struct feed_block *block); /* takes NULL */

/* The first block begins after this seq. */
void feed_ring_init(struct feed_ring *ring, uint64_t seq);
/* Takes the reference. The block has a seq that is greater than the ring's. */
void feed_ring_append(struct feed_ring *ring, struct feed_block *block);
/* Drops all blocks: every reader has them. */
void feed_ring_clear(struct feed_ring *ring);

/* Whether a block is so large that it is counted. */
bool feed_ring_counts(const struct feed_ring *ring);

/* The number of the block that begins right after this seq; it may be the next one. False: none
 * does. */
bool feed_ring_find(const struct feed_ring *ring, uint64_t seq, uint64_t *ret_number);
/* NULL: it is gone, or not there yet. */
struct feed_block *feed_ring_at(const struct feed_ring *ring, uint64_t number);

#endif
