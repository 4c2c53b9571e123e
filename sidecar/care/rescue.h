/* SPDX-License-Identifier: Apache-2.0 */
/* rescue: makes a database of what is left of a damaged one.
 *
 * The old file is read without LMDB and not changed. Events are taken if their checksum holds,
 * their session lives, the quota did not delete the log up to them, and retention keeps them: what
 * a whole database would have shown, as far as it is there. Sessions keep their names, lives and
 * seqs, and events their ids and positions. A replay of a session that has lost events goes on
 * after the hole, as after events that retention deleted.
 *
 * The new database has an id of its own and positions above those of the old one.
 *
 * Errors   care->why has the words. SPN_E_END: there is no old database. SPN_E_CORRUPT: nothing in
 *          it can be read. SPN_E_IN_USE: a daemon uses one of the two. SPN_E_NEWER_FORMAT,
 *          SPN_E_OLDER_FORMAT; those of workshop.h and journal.h.
 * Threads  one.
 */
#ifndef SPN_RESCUE_H
#define SPN_RESCUE_H

#include "care/care.h"

struct rescue_done {
    uint64_t sessions;
    uint64_t events;   /* and markers */
    uint64_t rowless;  /* sessions whose row was lost: made of what the log has of them */
    uint64_t nameless; /* events whose session's name is lost: not salvaged */
    uint64_t missing;  /* events that retention would keep, and that are lost; of known sessions */
    uint64_t damages;  /* damaged places in the old file */
};

/* old: a data directory or a file. dir: of the new database. */
spn_err rescue_run(const char *old, const char *dir, struct care *care,
                   struct rescue_done *ret_done) SPN_MUST_USE;

#endif
