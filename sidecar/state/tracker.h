/* SPDX-License-Identifier: Apache-2.0 */
/* tracker: what did this session get lately?
 *
 * One session's state in memory: how far it is, and a window of its most recent ids. One piece of
 * memory that grows with the window:
 *
 *   struct tracker | name | high[cap] u8 | low[cap] u64 | tags[cap] u32 | index[slots] u16
 *
 * low and high are a 72-bit fingerprint of the id, the tag 32 bits of its type and data. They form
 * a ring in order of arrival. A window of up to 128 ids is searched by looking at every `high`,
 * which is two cache lines; the kilobyte of `low` is looked at for one id in two that are not
 * there. A larger window has an index: a hash table of ring places, cap * 3/2 slots, with linear
 * probing. So a check and an add take O(1), whatever the window.
 *
 * An id that came with a marker has a tag that no event has: another marker with it is a duplicate,
 * and so is one with the id of an event, but an event with it is new and takes its place.
 *
 * Fingerprints and tags are keyed with the database's secret: what collides cannot be made from
 * outside. One in 2^65 events of honest ones (window 128) is taken for another, and one conflict in
 * 2^32 for a duplicate.
 *
 * Owns     itself.
 * Threads  one at a time; built by the reader when a session comes back, then the broker's.
 */
#ifndef SPN_TRACKER_H
#define SPN_TRACKER_H

#include <stdbool.h>
#include <stdint.h>

#include "spn_err.h"

enum {
    TRACKER_WINDOW_DEFAULT = 128,
    TRACKER_WINDOW_MAX = 16384,
};

struct fingerprint {
    uint64_t low;
    uint8_t high;
};

/* secret: RECORD_SECRET_SIZE random bytes of the database. */
struct fingerprint fingerprint_of(struct spn_bytes id, const uint8_t *secret);
/* The tag of an id without an event. */
#define TRACKER_MARKER UINT32_MAX

/* Tells contents apart: data and type, where none is "message". Never TRACKER_MARKER. */
uint32_t fingerprint_tag(struct spn_bytes data, struct spn_bytes type, const uint8_t *secret);

struct record_entry;

/* The tag of an entry of the log that has a seq. */
uint32_t fingerprint_tag_of(const struct record_entry *entry, const uint8_t *secret);

struct tracker {
    uint64_t epoch;       /* 0: no session of this name exists; the next event opens one */
    uint64_t seq;         /* of the newest event; 0: none yet */
    uint64_t bytes;       /* of all data ever stored in this epoch */
    uint64_t markers;     /* of the seqs 1 .. seq */
    uint64_t id_position; /* see record_entry, of the last entry that says what id is in force */
    uint16_t window_max;
    uint16_t cap;   /* of the ring now */
    uint16_t count; /* ids in the ring */
    uint16_t next;  /* place that the next id takes */
    uint8_t name_size;
    bool closed;  /* nothing more is stored in this epoch */
    bool damaged; /* the same, and nothing is given out: it can only be deleted */
    bool recent;  /* touched since sessions_evict last came by */
    bool wanted;  /* by a frame that is parked: the broker's note */
    bool marked;  /* an id of the window may be a marker's */
    _Alignas(8) uint8_t memory[];
};

enum tracker_verdict { TRACKER_NEW, TRACKER_DUPLICATE, TRACKER_CONFLICT };

/* NULL: out of memory. window_max: 1 to TRACKER_WINDOW_MAX. */
struct tracker *tracker_new(struct spn_bytes name, uint16_t window_max);
void tracker_free(struct tracker *tracker); /* takes NULL */

struct spn_bytes tracker_name(const struct tracker *tracker);
size_t tracker_size(const struct tracker *tracker);

/* Fetches what the next check and add look at, so that they need not wait for it. */
void tracker_expect(const struct tracker *tracker);

enum tracker_verdict tracker_check(const struct tracker *tracker, struct fingerprint id,
                                   uint32_t tag);

/* Puts an id that tracker_check called new into the window; the oldest leaves a full one. Where a
 * marker had it, the event has it from then on, and is the newest. Growing
 * moves the tracker: *tracker is the new one. SPN_E_NOMEM: nothing happened. */
spn_err tracker_add(struct tracker **tracker, struct fingerprint id, uint32_t tag) SPN_MUST_USE;

/* Takes over what the newest entry of the session, at this position, says of it: how far it is, and
 * where the id in force is to be found. */
void tracker_follow(struct tracker *tracker, uint64_t position, const struct record_entry *entry);

/* An empty window for the next epoch. */
void tracker_clear(struct tracker *tracker);

#endif
