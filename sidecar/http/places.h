/* SPDX-License-Identifier: Apache-2.0 */
/* places: how many streams each session has, or each token.
 *
 * A name has a place while somebody is in it. Names are those of clients, so they are found by a
 * hash whose secret is drawn at the start.
 *
 * Owns     the places, and copies of their names.
 * Threads  one.
 */
#ifndef SPN_HTTP_PLACES_H
#define SPN_HTTP_PLACES_H

#include "base/slot_index.h"
#include "base/slot_table.h"
#include "spn_err.h"

enum { PLACES_SECRET_SIZE = 192 };

struct place {
    uint64_t hash;
    uint32_t slot;
    unsigned count; /* how many are in it */
    size_t size;
    char name[];
};

struct places {
    struct slot_table table;
    struct slot_index index;
    uint8_t secret[PLACES_SECRET_SIZE];
};

/* fill: as random_fill. SPN_E_NOMEM, and what fill returns. Release it all the same. */
spn_err places_init(struct places *places, spn_err (*fill)(void *bytes, size_t size)) SPN_MUST_USE;
void places_release(struct places *places); /* takes zeros */

/* One more is in the place of this name. NULL: there is no memory. */
struct place *places_enter(struct places *places, struct spn_bytes name);
void places_leave(struct places *places, struct place *place); /* takes NULL */

#endif
