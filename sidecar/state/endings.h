/* SPDX-License-Identifier: Apache-2.0 */
/* endings: lives of sessions that have ended, and whose end is not on disk yet.
 *
 * The broker decides by the newest state: a session that was deleted or has expired is gone, and
 * the next event for its name opens another life. Readers are to see what is durable, and to them
 * the old life is there until the entry that ends it is on disk. Until then it is found here.
 *
 * Owns     a copy of each name.
 * Lends    an ending: until it is settled.
 * Threads  the broker's.
 */
#ifndef SPN_ENDINGS_H
#define SPN_ENDINGS_H

#include "base/slot_table.h"
#include "state/sessions.h"

struct ending {
    struct ending *next;      /* in the order of the log */
    uint64_t hash;            /* of the name */
    uint64_t epoch;           /* of the life that ends */
    uint64_t position;        /* of the entry that ends it */
    uint64_t closed_position; /* of the entry that closed it before, where a generation had that */
    struct session session;   /* its places in the generations ... */
    uint32_t slot;            /* ... and the slot that they name */
    uint32_t place;           /* here */
    size_t name_size;
    uint8_t name[];
};

struct endings {
    struct slot_table places;
    struct slot_index by_name;
    struct ending *first;
    struct ending **end;
};

spn_err endings_init(struct endings *endings) SPN_MUST_USE;
void endings_release(struct endings *endings); /* takes what was only zeroed */

/* Takes one in, behind all others; the caller fills in what is not named here. SPN_E_NOMEM. */
spn_err endings_add(struct endings *endings, struct spn_bytes name, uint64_t hash,
                    uint64_t position, struct ending **ret_ending) SPN_MUST_USE;

/* Forgets what ended at this position and before: it is on disk. */
void endings_settle(struct endings *endings, uint64_t durable);

/* The oldest one of this name; NULL: none. */
const struct ending *endings_find(const struct endings *endings, struct spn_bytes name,
                                  uint64_t hash);

#endif
