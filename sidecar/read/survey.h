/* SPDX-License-Identifier: Apache-2.0 */
/* survey: how far has each session come above the checkpoint?
 *
 * Whether retention keeps an event depends on the newest event of its session, and on whether the
 * session still exists. The rows have both as of the checkpoint. A survey reads the log above it.
 * Its answers are those of one moment: the snapshot in which it was last read to the end.
 *
 * Owns     some 50 bytes for each session that it met. There are no more than two generations have.
 * Borrows  the journal's reader, and its snapshot during survey_read.
 * Threads  the reader's.
 */
#ifndef SPN_SURVEY_H
#define SPN_SURVEY_H

#include "base/slot_index.h"
#include "base/step.h"
#include "read/scan.h"

struct surveyed {
    uint64_t epoch;
    uint64_t seq;   /* of its newest event; 0: none was met */
    uint64_t bytes; /* of the session, as of that event */
    bool gone;      /* deleted or expired */
};

struct survey {
    struct scan scan; /* entries from `after` up to its position were read */
    uint64_t after;
    bool reading;    /* the last survey_read did not reach the end */
    uint32_t serial; /* of its beginnings: what was known before the last one is forgotten */
    struct surveyed *sessions;
    size_t count;
    size_t room;
    struct slot_index by_epoch;
};

/* SPN_E_NOMEM. */
spn_err survey_init(struct survey *survey, struct journal_reader *journal) SPN_MUST_USE;
void survey_release(struct survey *survey);

/* Reads on in this snapshot until all entries after this position, or after the checkpoint if that
 * is higher, are noted, or the step is over: *ret_done. Damaged entries are passed over.
 * SPN_E_NOMEM, SPN_E_IO: call it again. */
spn_err survey_read(struct survey *survey, uint64_t after, struct step *step,
                    bool *ret_done) SPN_MUST_USE;

/* Forgets everything, and frees most of the memory. */
void survey_clear(struct survey *survey);

/* NULL: no event and no end of this session was met. Valid until the next survey_read. */
const struct surveyed *survey_find(const struct survey *survey, uint64_t epoch);

#endif
