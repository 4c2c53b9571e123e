/* SPDX-License-Identifier: Apache-2.0 */
/* record_meta: the one value that describes the database, with the number of its format.
 *
 * Any change to the bytes of a record_*.c is a new RECORD_FORMAT, and a database with another
 * number is not opened: its user dumps it with the old program and records it with the new one.
 *
 * Owns     nothing. Encodes into the caller's memory; decoded bytes point into the value from which
 *          they were read.
 * Units    sizes in bytes; *_ms wall time since 1970, shown only; *_ns the database clock.
 * Errors   every value has a checksum over all its bytes and its key. SPN_E_CORRUPT: a decode found
 *          another checksum or impossible lengths.
 * Threads  pure functions.
 */
#ifndef SPN_RECORD_META_H
#define SPN_RECORD_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "spn_err.h"
#include "store/retention.h"

enum {
    RECORD_FORMAT = 2,        /* meta.format; a newer one is refused */
    RECORD_SECRET_SIZE = 192, /* keys the fingerprints of this database; random at creation */
    RECORD_DATABASE_ID_SIZE = 16,
};

/* One value, under one key. */
struct record_meta {
    uint32_t format;
    uint8_t secret[RECORD_SECRET_SIZE];
    uint8_t database[RECORD_DATABASE_ID_SIZE]; /* its id: random, drawn when it was made */
    uint64_t checkpoint;                       /* rows and index are complete up to this position */
    uint32_t segment;                          /* the newest complete segment */
    uint64_t next_position; /* lower ones are never given out again; the log's end may be higher */
    uint64_t clock_ns;      /* database clock ... */
    struct clock_moment clock_at; /* ... at this moment */
    uint64_t catch_up_max_ns;     /* how much of the wall clock's difference counts at a start */
    struct retention retention;
    struct retention narrowest; /* of all rules so far: trimming may have used it */
    uint64_t taken;             /* the quota deleted the log up to this position; 0: nothing */
};

/* Sets the rule from now on, and narrows `narrowest` by it. */
void record_set_rule(struct record_meta *meta, const struct retention *rule);

enum { RECORD_META_SIZE = 384 };
void record_put_meta(void *value, const struct record_meta *meta);
/* SPN_E_CORRUPT: not ours, or damaged; SPN_E_NEWER_FORMAT, SPN_E_OLDER_FORMAT. */
spn_err record_get_meta(struct spn_bytes value, struct record_meta *ret_meta) SPN_MUST_USE;

#endif
