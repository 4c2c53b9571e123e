/* SPDX-License-Identifier: Apache-2.0 */
/* sessions: session id -> tracker.
 *
 * Every session on disk has a slot of 32 bytes. A hot session also has its tracker in memory. Of a
 * cold session only a hash of the name is here: the reader checks on disk whether it is the
 * requested one, and loads its tracker. When too many sessions are hot, a hand that goes round
 * chooses which to evict (the CLOCK algorithm): lists in order of use would cost three cache lines
 * per event.
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
    uint64_t epoch;          /* of a cold session; a hot one has it in its tracker */
    struct tracker *tracker; /* NULL: the session is cold */
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
    uint32_t free_first; /* unused slots, chained by touched[0] */
    uint32_t free_count;
    uint32_t hand; /* of sessions_evict */
    uint64_t tracker_bytes;
};

/* seed: random; it keys the hash of names. */
spn_err sessions_init(struct sessions *sessions, uint64_t seed, uint16_t window_max) SPN_MUST_USE;
void sessions_release(struct sessions *sessions);

uint64_t sessions_hash(const struct sessions *sessions, struct spn_bytes name);

enum sessions_found { SESSIONS_ABSENT, SESSIONS_HOT, SESSIONS_COLD };

/* SESSIONS_HOT: *ret_slot is the session. SESSIONS_COLD: *ret_slot may be the session; only the
 * disk shows it. SESSIONS_ABSENT: there is no such session. */
enum sessions_found sessions_find(const struct sessions *sessions, struct spn_bytes name,
                                  uint64_t hash, uint32_t *ret_slot);

/* The cold session with this epoch; SLOT_NONE: there is none. */
uint32_t sessions_find_epoch(const struct sessions *sessions, uint64_t hash, uint64_t epoch);

/* Adds a hot session that has no epoch yet. SPN_E_NOMEM. */
spn_err sessions_add(struct sessions *sessions, struct spn_bytes name, uint64_t hash,
                     uint32_t *ret_slot) SPN_MUST_USE;

/* Adds a cold session that is known from disk. SPN_E_NOMEM. */
spn_err sessions_know(struct sessions *sessions, uint64_t hash, uint64_t epoch,
                      uint32_t *ret_slot) SPN_MUST_USE;

/* Gives a cold session its tracker, which the sessions own from then on. */
void sessions_put_tracker(struct sessions *sessions, uint32_t slot, struct tracker *tracker);

/* The session is gone: another session may take its slot. */
void sessions_forget(struct sessions *sessions, uint32_t slot);

/* Looks at the next slots_max slots. Evicts the trackers of sessions that are hot, were not touched
 * since the last round and are not pinned, until hot_max are left. Sessions that were deleted are
 * forgotten. Returns how many trackers were evicted. */
size_t sessions_evict(struct sessions *sessions, uint32_t hot_max, size_t slots_max,
                      bool (*pinned)(const void *owner, uint32_t slot), const void *owner);

/* How many sessions there are. */
uint32_t sessions_known(const struct sessions *sessions);

/* tracker_add for a hot session; it may move the tracker. SPN_E_NOMEM. */
spn_err sessions_remember(struct sessions *sessions, uint32_t slot, struct fingerprint id,
                          uint32_t tag) SPN_MUST_USE;

uint64_t sessions_epoch(const struct sessions *sessions, uint32_t slot);

#endif
