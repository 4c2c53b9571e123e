/* SPDX-License-Identifier: Apache-2.0 */
/* sessions: session id -> tracker.
 *
 * Every session on disk has a slot of 32 bytes; a hot one has its tracker in memory too. Of a cold
 * one only a hash of its name is here: whether it is really the one asked for, the reader finds out
 * on disk, and brings its tracker back. Which one goes when there are too many hot ones is decided
 * by a hand that goes round (the CLOCK algorithm): lists in order of use would cost three cache
 * lines per event.
 *
 * Owns     slots and trackers.
 * Threads  the broker's (recovery fills it before the broker runs).
 */
#ifndef SPN_SESSIONS_H
#define SPN_SESSIONS_H

#include "base/slot_index.h"
#include "state/tracker.h"

struct session {
    uint64_t hash;
    uint64_t epoch;          /* of a cold one; a hot one's is in its tracker */
    struct tracker *tracker; /* NULL: cold */
    uint32_t touched[2]; /* place in a generation, by its serial's lowest bit: index/generation.h */
};

struct sessions {
    struct session *slots;
    uint32_t count;
    uint32_t room;
    struct slot_index by_name;
    uint64_t seed;
    uint16_t window_max;
    uint32_t hot;
    uint32_t free_first; /* slots that nobody has, chained by touched[0] */
    uint32_t free_count;
    uint32_t hand; /* of sessions_evict */
    uint64_t tracker_bytes;
};

/* seed: random, keys the hash of names. */
spn_err sessions_init(struct sessions *sessions, uint64_t seed, uint16_t window_max) SPN_MUST_USE;
void sessions_release(struct sessions *sessions);

uint64_t sessions_hash(const struct sessions *sessions, struct spn_bytes name);

enum sessions_found { SESSIONS_ABSENT, SESSIONS_HOT, SESSIONS_COLD };

/* SESSIONS_HOT: *ret_slot is it. SESSIONS_COLD: *ret_slot is one that may be it: ask the disk.
 * SESSIONS_ABSENT: there is no such session. */
enum sessions_found sessions_find(const struct sessions *sessions, struct spn_bytes name,
                                  uint64_t hash, uint32_t *ret_slot);

/* The cold session with this epoch; SLOT_NONE: none. */
uint32_t sessions_find_epoch(const struct sessions *sessions, uint64_t hash, uint64_t epoch);

/* A hot session that has no epoch yet. SPN_E_NOMEM. */
spn_err sessions_add(struct sessions *sessions, struct spn_bytes name, uint64_t hash,
                     uint32_t *ret_slot) SPN_MUST_USE;

/* A cold one that is known from disk. SPN_E_NOMEM. */
spn_err sessions_know(struct sessions *sessions, uint64_t hash, uint64_t epoch,
                      uint32_t *ret_slot) SPN_MUST_USE;

/* Gives a cold session its tracker, which is the sessions' from then on. */
void sessions_warm(struct sessions *sessions, uint32_t slot, struct tracker *tracker);

/* The session is gone: its slot may become another's. */
void sessions_forget(struct sessions *sessions, uint32_t slot);

/* Looks at the next slots_max slots, and takes the tracker of those that are hot, were not touched
 * since the last time round, and are not pinned: until hot_max are left. Sessions that were deleted
 * are forgotten. Returns how many went. */
size_t sessions_evict(struct sessions *sessions, uint32_t hot_max, size_t slots_max,
                      bool (*pinned)(const void *owner, uint32_t slot), const void *owner);

/* How many there are. */
uint32_t sessions_known(const struct sessions *sessions);

/* tracker_add on a hot session, which may move its tracker. SPN_E_NOMEM. */
spn_err sessions_remember(struct sessions *sessions, uint32_t slot, struct fingerprint id,
                          uint32_t tag) SPN_MUST_USE;

uint64_t sessions_epoch(const struct sessions *sessions, uint32_t slot);

#endif
