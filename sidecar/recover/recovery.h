/* SPDX-License-Identifier: Apache-2.0 */
/* recovery: reads the broker's state from disk.
 *
 * Sessions come from their rows, producers from their table. Then the log is read from the
 * checkpoint to its end. Sessions opened since the checkpoint get their trackers back. The events
 * of the others go into the generation, and their trackers are loaded when they are needed. A full
 * generation is written as a segment right away.
 *
 * Threads  the caller's, before any other runs.
 */
#ifndef SPN_RECOVERY_H
#define SPN_RECOVERY_H

#include "ingest/broker.h"
#include "store/database_clock.h"
#include "store/journal.h"

struct recovered {
    uint64_t entries; /* read from the log */
    struct database_clock_found clock;

    /* What was lost to damage. */
    uint64_t given_up;  /* sessions that return SPN_E_CORRUPT until they are deleted */
    uint64_t names;     /* written again */
    uint64_t orphans;   /* rows, names, attributes and entries without the rest of their session */
    uint64_t producers; /* forgotten */
    uint64_t lost;      /* unreadable positions above the checkpoint, ... */
    uint64_t lost_from; /* ... and the first of them */
};

/* On success the caller must release *state with recovery_release. SPN_E_CORRUPT, SPN_E_NOMEM,
 * SPN_E_IO, SPN_E_DISK_FULL, SPN_E_QUOTA_FULL. */
spn_err recovery_run(struct broker_state *state, struct journal *journal, uint16_t window_max,
                     uint64_t seed, struct recovered *ret_recovered) SPN_MUST_USE;
/* Writes everything above the checkpoint as segments, where no worker does. If there is no room,
 * journal_lacks_room is true of the result, and the next start tries again. */
spn_err recovery_index(struct broker_state *state, struct journal *journal) SPN_MUST_USE;
void recovery_release(struct broker_state *state);

#endif
