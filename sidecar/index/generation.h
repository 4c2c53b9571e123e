/* SPDX-License-Identifier: Apache-2.0 */
/* generation: what the index on disk does not know yet.
 *
 * It has 16 bytes for each entry of the log since the last segment, chained back per session, and
 * one record for each touched session. The broker appends to the active generation. Once frozen, it
 * is handed to the worker, which writes it as a segment. At most two exist at a time, distinguished
 * by the lowest bit of their serial.
 *
 * A session's event is found by seq without a walk over all events after it: every 256th event
 * has a mark, and the marks are chained back like the entries.
 *
 * Nothing is cleared when a generation ends. A session remembers its place, and the place counts
 * only if the record there names the session.
 *
 * Owns     its arrays; address space at once, memory as it fills.
 * Lends    itself: a thread with a reference may read the entries, marks and attributes up to the
 *          newest ones that it was given; they never change. Records of sessions may be read once
 *          the generation is frozen.
 * Threads  the broker appends; references are counted atomically.
 */
#ifndef SPN_GENERATION_H
#define SPN_GENERATION_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/mailbox.h"
#include "store/record_row.h"
#include "state/sessions.h"

enum {
    GENERATION_ENTRIES_MAX = 512 * 1024,
    GENERATION_SESSIONS_MAX = 128 * 1024,
    GENERATION_MARK_EVERY = 256, /* events of a session */
    GENERATION_MARKS_MAX = GENERATION_ENTRIES_MAX / GENERATION_MARK_EVERY,
};

#define GENERATION_NONE UINT32_MAX

struct generation_entry {
    uint64_t position;
    uint32_t previous;    /* entry of the same session in this generation */
    uint32_t fingerprint; /* low 32 bits of the id's */
};

/* Marks are on the events 256, 512, ... of a session, counted from 0 for its first one here. */
struct generation_mark {
    uint32_t entry;
    uint32_t previous; /* mark of the same session */
};

/* An entry with attributes: the whole set. Which one holds depends on what is durable for whoever
 * asks, so all are kept. */
struct generation_attributes {
    uint64_t position;
    uint32_t previous; /* of the same session */
};

struct generation_session {
    uint64_t epoch;
    uint64_t first_seq;      /* of its events here; seqs are consecutive */
    uint64_t bytes;          /* of the session, as of its newest event here */
    uint64_t state_position; /* of the entry that closed or deleted it here; 0: none did */
    uint64_t touch_position; /* of its newest touch here; 0: none */
    uint32_t slot;
    uint32_t newest;     /* entry of its newest event; GENERATION_NONE: opened, no event */
    uint32_t mark;       /* its newest mark; GENERATION_NONE: it has none */
    uint32_t attributes; /* its newest ones; GENERATION_NONE: they were not set here */
    uint32_t count;      /* events */
    uint8_t state;       /* enum record_state, as of the newest entry here */
    uint32_t duplicates; /* since the session was last written */
    uint32_t conflicts;
};

struct generation {
    struct message message; /* on its way to the worker and back */
    atomic_uint references;
    uint32_t serial;
    uint64_t first_position; /* of the log; 0: nothing appended */
    uint64_t last_position;
    uint64_t bytes; /* of the log, about: what these entries take there */
    uint32_t entry_count;
    uint32_t session_count;
    uint32_t mark_count;
    uint32_t attributes_count;
    struct generation_entry *entries;
    struct generation_mark *marks;
    struct generation_attributes *attributes;
    struct generation_session *sessions;
};

/* With one reference. NULL: out of memory. */
struct generation *generation_new(uint32_t serial);
struct generation *generation_keep(struct generation *generation);
void generation_drop(struct generation *generation); /* takes NULL; the last reference frees it */

bool generation_has_room(const struct generation *generation, size_t entries);

/* The session's record here, or NULL. */
struct generation_session *generation_find(const struct generation *generation,
                                           const struct session *session, uint32_t slot);

/* The session's record, made if it is not there. There must be room. */
struct generation_session *generation_touch(struct generation *generation, struct session *session,
                                            uint32_t slot, uint64_t epoch);

/* Notes that an entry that is no event has taken the log to this position. */
void generation_reach(struct generation *generation, uint64_t position);
/* Notes that the entry at this position, which was appended, closes its session. */
void generation_note_state(struct generation_session *touched, uint64_t position,
                           enum record_state state);
/* Notes an entry with attributes, or a touch, of a touched session. There must be room. */
void generation_note_attributes(struct generation *generation, struct generation_session *touched,
                                uint64_t position);
void generation_note_touch(struct generation *generation, struct generation_session *touched,
                           uint64_t position);
/* Notes the entry that closes or deletes a touched session, and is no event. */
void generation_end(struct generation *generation, struct generation_session *touched,
                    uint64_t position, enum record_state state);
/* The position of the session's newest attributes here; 0: there are none. */
uint64_t generation_attributes_of(const struct generation *generation,
                                  const struct generation_session *touched);
/* Appends an event of a touched session. There must be room. */
void generation_append(struct generation *generation, struct generation_session *touched,
                       uint64_t position, uint64_t seq, uint32_t fingerprint);

/* The entry of a session's event; index is counted from 0 for its first event here. newest, mark,
 * count: from the session's record at a time when it had more than index events. */
uint32_t generation_seek(const struct generation *generation, uint32_t newest, uint32_t mark,
                         uint32_t count, uint32_t index);
/* Steps back from mark, the newest one among the session's first `had` events, to the newest one
 * among its first `count` events. */
uint32_t generation_mark_back(const struct generation *generation, uint32_t mark, uint32_t had,
                              uint32_t count);

#endif
