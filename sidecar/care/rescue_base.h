/* SPDX-License-Identifier: Apache-2.0 */
/* rescue_base: what the files of rescue do for each other.
 *
 * rescue_read.c reads the damaged database, rescue_holes.c finds what is missing in it,
 * rescue_write.c writes the new one.
 */
#ifndef SPN_RESCUE_BASE_H
#define SPN_RESCUE_BASE_H

#include "care/rescue.h"
#include "care/rescued.h"
#include "care/workshop.h"
#include "store/pages_rest.h"

/* An entry of the log that no tree leads to. */
struct found_entry {
    uint64_t position;
    struct spn_bytes value;
};

/* A place in the log for a seq that is lost. */
struct hole {
    uint64_t position;
    uint64_t epoch;
};

struct rescue {
    struct care *care;
    const char *old;
    struct pages_rest *rest;
    struct record_meta meta; /* of the old database, or as much as is known */
    bool has_meta;           /* one was read */
    struct rescued rescued;
    struct found_entry *found; /* by position */
    size_t found_count;
    size_t found_room;
    struct hole *holes; /* by position */
    size_t hole_count;
    size_t hole_room;
    uint64_t newest; /* position that is left */
    uint64_t steps;
    struct rescue_done done;
};

/* rescue_read.c */

/* Reads the tables, and finds out which sessions live. */
spn_err rescue_read(struct rescue *rescue) SPN_MUST_USE;
/* Hands every entry that is left to `take`, in the order of positions. */
typedef spn_err rescue_take(void *owner, uint64_t position, struct record_entry *entry);
spn_err rescue_each(struct rescue *rescue, rescue_take *take, void *owner) SPN_MUST_USE;

/* Whether an entry goes into the new database. */
bool rescue_keeps(const struct rescue *rescue, const struct rescued_session *session,
                  uint64_t position, const struct record_entry *entry);

/* rescue_holes.c: finds places for what is lost between the events of a session. A reader takes a
 * missing event for one that retention deleted with all before it, so markers are written there. */
spn_err rescue_find_holes(struct rescue *rescue) SPN_MUST_USE;

/* rescue_write.c: makes the new database in the workshop. */
spn_err rescue_write(struct rescue *rescue, const char *dir) SPN_MUST_USE;

#endif
