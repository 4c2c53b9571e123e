/* SPDX-License-Identifier: Apache-2.0 */
/* record_row: a session's row and its name in the index.
 *
 * Owns     nothing. Encodes into the caller's memory; decoded bytes point into the value from which
 *          they were read.
 * Units    sizes in bytes; *_ms wall time since 1970, shown only; *_ns the database clock.
 * Errors   every value has a checksum over all its bytes and its key. SPN_E_CORRUPT: a decode found
 *          another checksum or impossible lengths.
 * Threads  pure functions.
 */
#ifndef SPN_RECORD_ROW_H
#define SPN_RECORD_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spn_err.h"

enum { RECORD_NAME_SIZE = 12 };

/* A session's persisted state as of the checkpoint, stored under its epoch. */
struct record_row {
    struct spn_life life; /* zeros: not known, of a session that was given up */
    uint64_t seq;
    uint64_t seq_before; /* the life's first seq - 1: 0 unless it came from another host */
    uint64_t position;   /* of the newest entry */
    uint64_t bytes;
    uint64_t markers; /* of the seqs 1 .. seq */
    uint64_t opened_ms;
    uint64_t last_ms;
    uint64_t activity_ns; /* database clock of the newest event, close, touch or attributes, ... */
    uint64_t activity_ms; /* ... and the wall time of the same moment */
    uint64_t state_position; /* of the entry that closed or deleted it; 0: it is live */
    uint32_t segment;        /* newest segment with a block of the session; 0: none */
    uint32_t segment_before; /* the one before it: used while `segment` is above meta.segment */
    uint32_t duplicates;
    uint32_t conflicts;
    uint64_t ttl_ms;              /* the session's own; 0: the daemon's */
    uint64_t idle_close_ms;       /* 0: never */
    uint64_t attributes_position; /* of the newest attributes; 0: it never had any */
    bool has_attributes;          /* beside the spans: record_attributes.h */
    uint8_t state;                /* enum record_state */
    struct spn_bytes name;
    struct spn_bytes last_id;
    struct spn_bytes reason; /* why it is closed; may be empty */
};

/* RECORD_DAMAGED: the session's row was lost to damage. This row has its name, so that it can be
 * deleted. */
enum record_state {
    RECORD_LIVE = 0,
    RECORD_CLOSED = 1,
    RECORD_DELETED = 2,
    RECORD_DAMAGED = 3,
};

size_t record_row_size(const struct record_row *row);
void record_put_row(void *value, uint64_t epoch, const struct record_row *row);
spn_err record_get_row(struct spn_bytes value, uint64_t epoch,
                       struct record_row *ret_row) SPN_MUST_USE;

/* The epoch of the newest session with this name: RECORD_NAME_SIZE bytes, stored under the name. */
void record_put_name(void *value, struct spn_bytes name, uint64_t epoch);
spn_err record_get_name(struct spn_bytes value, struct spn_bytes name,
                        uint64_t *ret_epoch) SPN_MUST_USE;

#endif
