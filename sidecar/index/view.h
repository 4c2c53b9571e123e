/* SPDX-License-Identifier: Apache-2.0 */
/* view: what the generations in memory know of a session beyond its row on disk.
 *
 * The broker fills it in; a reader of the index uses it with a snapshot of the database.
 *
 * Owns     references to generations.
 * Threads  one at a time.
 */
#ifndef SPN_VIEW_H
#define SPN_VIEW_H

#include "index/generation.h"

/* A session's events and attributes in one generation, at the time of the request. */
struct view_part {
    struct generation *generation; /* a reference; NULL: nothing there */
    uint64_t first_seq;
    uint32_t newest; /* entry */
    uint32_t mark;   /* the newest of these events; GENERATION_NONE: they have none */
    uint32_t count;
    uint32_t attributes;    /* the newest ones; GENERATION_NONE: they were not set here */
    uint32_t session_count; /* how many of the generation's sessions may be read */
};

/* What the broker knows about one epoch of a session beyond its row. The first view of a name is
 * the epoch that is durable at the time of the request. If the end of that epoch is on its way to
 * disk, the view of the next epoch follows. A snapshot of the disk shows its reader which of the
 * two holds. */
struct view {
    uint64_t epoch;          /* 0: there is no such session */
    uint64_t ended_position; /* of the entry that ends it; 0: none */
    const struct view *next; /* the next epoch; NULL: none is known */
    uint32_t duplicates;     /* counted since the row was written */
    uint32_t conflicts;
    uint64_t closed_position;  /* of the entry that closed it, if a generation has that; 0: none */
    struct view_part parts[2]; /* older, newer */
};

/* Lets go of the references. */
static inline void view_release(struct view *view)
{
    for (size_t i = 0; i < 2; i++) {
        generation_drop(view->parts[i].generation);
        view->parts[i].generation = NULL;
    }
}

#endif
