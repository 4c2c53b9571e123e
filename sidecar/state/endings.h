/* SPDX-License-Identifier: Apache-2.0 */
/* endings: epochs of sessions that have ended, and whose end is not on disk yet.
 *
 * The broker decides by the newest state: a session that was deleted or has expired is gone, and
 * the next event for its name opens a new epoch. Readers see what is durable: to them the old epoch
 * exists until the entry that ends it is on disk. Until then they find it here.
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
    uint64_t epoch;           /* of the epoch that ends */
    uint64_t position;        /* of the entry that ends it */
    uint64_t closed_position; /* of the entry that closed it before, if a generation had that */
    struct session session;   /* its places in the generations ... */
    uint32_t slot;            /* ... and the slot that they name */
    uint32_t place;           /* in `places` */
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
void endings_release(struct endings *endings); /* takes an object that was only zeroed */

/* Adds one after all others; the caller fills in what is not named here. SPN_E_NOMEM. */
spn_err endings_add(struct endings *endings, struct spn_bytes name, uint64_t hash,
                    uint64_t position, struct ending **ret_ending) SPN_MUST_USE;

/* Forgets the endings at this position and before: they are on disk. */
void endings_settle(struct endings *endings, uint64_t durable);

/* The oldest ending of this name; NULL: there is none. */
const struct ending *endings_find(const struct endings *endings, struct spn_bytes name,
                                  uint64_t hash);

#endif
