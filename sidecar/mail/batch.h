/* SPDX-License-Identifier: Apache-2.0 */
/* batch: what the worker writes to the log in one piece: a producer's numbers, or the end of
 * sessions or of a producer.
 *
 * Immutable once it is handed over.
 *
 * Owns     the ZeroMQ message it came in: the bytes of its events are copied once, from there to
 *          the page of the database.
 * Threads  the broker's, then the worker's, then the broker's again.
 */
#ifndef SPN_BATCH_H
#define SPN_BATCH_H

#include <stdbool.h>
#include <zmq.h>

#include "base/mailbox.h"
#include "base/peer.h"
#include "store/record_entry.h"
#include "store/record_producer.h"

/* One entry of the log. Its bytes lie in the frame, one after the other: id, type, extra, data. The
 * extra bytes have the reason at a place of its own, and end with the note. */
struct batch_entry {
    uint64_t epoch;
    uint64_t seq;
    uint64_t bytes;
    uint64_t markers;
    union {
        struct { /* events and markers */
            uint64_t id_position;
            uint64_t data_hash;
        };
        struct spn_life life; /* all others */
    };
    uint32_t offset; /* of the id in the frame */
    uint32_t data_size;
    union {
        uint32_t retry_ms;    /* events and markers; all others have none */
        uint32_t name_offset; /* kinds with a name: of it in the frame */
    };
    uint16_t id_size;
    uint16_t extra_size;
    uint16_t note_size;
    uint8_t reason_at; /* in the extra bytes */
    uint8_t reason_size;
    union {
        uint8_t type_size; /* events */
        uint8_t name_size; /* kinds with a name */
    };
    bool closes;
    uint8_t kind; /* enum record_kind */
};

struct producer;
struct one_shot;

/* An OPEN that waits for its token to be on disk. */
struct opening {
    struct peer peer; /* where it came from ... */
    uint64_t request; /* ... with this number */
    uint64_t token;
    uint64_t base; /* its answer has the results from here on */
};

struct batch {
    struct message message;
    zmq_msg_t frame;
    size_t bytes;          /* counts against the queue's mark */
    uint32_t number_count; /* the producer's numbers in it; counts against the queue's mark */
    bool waits;            /* somebody waits for it: the commit comes soon */
    bool ends;  /* it deletes a session or a producer: it may use the reserve at the quota */
    bool alone; /* its producer had nothing else at the worker: it sends the next batch when this
                   one is acknowledged */

    struct producer *producer; /* the broker's; NULL: the batch has no numbers, see one, forgets */
    bool forgets; /* without a producer: deletes a producer's record; false: expires sessions */
    struct one_shot *one;   /* answered when this batch is on disk; owned, or NULL */
    struct opening *opened; /* answered when this batch is on disk; owned, or NULL */
    uint8_t producer_id[RECORD_PRODUCER_ID_SIZE];
    struct record_producer record; /* what the table says once this is on disk; owns its runs */

    uint64_t first_position; /* of the entries, which are consecutive */
    uint64_t time_ns;
    uint64_t wall_ms;
    uint32_t entry_count;
    struct batch_entry entries[];
};

void batch_free(struct batch *batch); /* takes NULL */

#endif
