/* SPDX-License-Identifier: Apache-2.0 */
/* recovery: what is on disk becomes the broker's state.
 *
 * Known sessions come from the names, producers from their table. Then the log is read from the
 * checkpoint to its end: sessions opened since come back with their trackers, the others are noted
 * in the generation and hydrated when they are touched. More than a generation holds is written as
 * a segment right away.
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

    /* What damage took. */
    uint64_t given_up;  /* sessions that answer SPN_E_CORRUPT until they are deleted */
    uint64_t names;     /* written again */
    uint64_t nobodys;   /* rows, names and entries that nothing else belongs to */
    uint64_t producers; /* that are forgotten */
    uint64_t lost;      /* positions above the checkpoint that do not read, ... */
    uint64_t lost_from; /* ... and the first of them */
};

/* On success *state is the caller's to release by recovery_release. SPN_E_CORRUPT, SPN_E_NOMEM,
 * SPN_E_IO, SPN_E_DISK_FULL, SPN_E_QUOTA_FULL. */
spn_err recovery_run(struct broker_state *state, struct journal *journal, uint16_t window_max,
                     uint64_t seed, struct recovered *ret_recovered) SPN_MUST_USE;
/* Writes what is above the checkpoint as segments, where no worker does: journal_lacks_room when
 * there is none for it; the next start comes to it. */
spn_err recovery_index(struct broker_state *state, struct journal *journal) SPN_MUST_USE;
void recovery_release(struct broker_state *state);

#endif
