/* SPDX-License-Identifier: Apache-2.0 */
/* record_attributes: what a session's attributes have beside the spans, which are in its row.
 *
 * A value of its own, so that rows stay small: a row is written with each segment that has
 * something of the session, this value only when the attributes change.
 *
 * Owns     nothing. Encodes into the caller's memory; decoded bytes point into the value from which
 *          they were read.
 * Units    sizes in bytes.
 * Errors   SPN_E_CORRUPT: a decode found another checksum or impossible lengths.
 * Threads  pure functions.
 */
#ifndef SPN_RECORD_ATTRIBUTES_H
#define SPN_RECORD_ATTRIBUTES_H

#include <stddef.h>
#include <stdint.h>

#include "spn_err.h"

/* Stored under the epoch; not both are empty. */
struct record_attributes {
    struct spn_bytes content_type; /* up to 255 bytes */
    struct spn_bytes note;         /* the app's own, up to 4,096 bytes */
};

size_t record_attributes_size(const struct record_attributes *attributes);
void record_put_attributes(void *value, uint64_t epoch, const struct record_attributes *attributes);
spn_err record_get_attributes(struct spn_bytes value, uint64_t epoch,
                              struct record_attributes *ret_attributes) SPN_MUST_USE;

#endif
