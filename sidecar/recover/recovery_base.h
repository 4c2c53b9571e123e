/* SPDX-License-Identifier: Apache-2.0 */
/* recovery_base: what the files about recovery do for each other.
 *
 * recovery_tables.c reads rows, names, attributes and producers, and has salvage.c repair them.
 * recovery.c reads the log above the checkpoint.
 */
#ifndef SPN_RECOVERY_BASE_H
#define SPN_RECOVERY_BASE_H

#include "recover/epochs.h"
#include "recover/recovery.h"

struct recovery {
    struct broker_state *state;
    struct journal *journal;
    struct journal_reader *reader;
    const uint8_t *secret;
    struct slot_index by_epoch;
    struct epochs dead;      /* deleted sessions that still have rows */
    struct epochs damaged;   /* unreadable rows */
    struct epochs given_up;  /* sessions that lack entries above the checkpoint */
    uint64_t rows_sum;       /* of all sessions' epochs with their names, from the rows, ... */
    uint64_t names_sum;      /* ... and from the names: they differ if one of either is missing */
    uint64_t attributes_sum; /* of the epochs of rows that have attributes */
    struct recovered found;
};

/* recovery_tables.c */

spn_err recovery_begin(struct recovery *recovery) SPN_MUST_USE;
void recovery_end(struct recovery *recovery); /* takes an object that was only zeroed */

/* Which slot a session has, by its epoch. SLOT_NONE: there is no such session. */
spn_err recovery_put_epoch(struct recovery *recovery, uint64_t epoch, uint32_t slot) SPN_MUST_USE;
uint32_t recovery_find_epoch(const struct recovery *recovery, uint64_t epoch);
void recovery_remove_epoch(struct recovery *recovery, uint64_t epoch, uint32_t slot);

/* Loads the sessions and the producers as of the checkpoint. */
spn_err recovery_load_tables(struct recovery *recovery) SPN_MUST_USE;

#endif
