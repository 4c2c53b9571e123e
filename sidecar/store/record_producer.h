/* SPDX-License-Identifier: Apache-2.0 */
/* record_producer: how far a producer got, and the results of its newest numbers.
 *
 * Owns     nothing. Encodes into the caller's memory; decoded bytes point into the value from which
 *          they were read.
 * Units    sizes in bytes; *_ms wall time since 1970, shown only; *_ns the database clock.
 * Errors   every value has a checksum over all its bytes and its key. SPN_E_CORRUPT: a decode found
 *          another checksum or impossible lengths.
 * Threads  pure functions.
 */
#ifndef SPN_RECORD_PRODUCER_H
#define SPN_RECORD_PRODUCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spn_err.h"

enum {
    RECORD_PRODUCER_ID_SIZE = 16,
    RECORD_RUNS_MAX = 4096,
};

/* One result for a run of a producer's numbers, as in the protocol. */
struct record_run {
    uint64_t first;
    uint32_t count;
    uint8_t result; /* enum wire_result */
    uint16_t code;  /* spn_err: why it was refused; else 0 */
};

/* Stored under the producer's 16-byte id, in the transaction of its events. */
struct record_producer {
    uint64_t token;
    uint64_t number;               /* the last one committed */
    uint64_t base;                 /* lowest number its client still holds */
    uint64_t time_ns;              /* database clock of the last change */
    const struct record_run *runs; /* encode: ascending, of numbers >= base */
    size_t run_count;
    bool kept;    /* its app keeps the id */
    uint32_t uid; /* of the user that opened it; UINT32_MAX: not known */
};

size_t record_producer_size(const struct record_producer *producer);
void record_put_producer(void *value, const uint8_t *id, const struct record_producer *producer);
/* runs: room for RECORD_RUNS_MAX; ret_producer->runs points to it. */
spn_err record_get_producer(struct spn_bytes value, const uint8_t *id, struct record_run *runs,
                            struct record_producer *ret_producer) SPN_MUST_USE;

#endif
