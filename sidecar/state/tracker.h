/* SPDX-License-Identifier: Apache-2.0 */
/* tracker: what did this session get lately?
 *
 * One session's state in memory: how far it is, and a window of its most recent ids. It is one
 * piece of memory that grows with the window:
 *
 *   struct tracker | name | high[cap] u8 | low[cap] u64 | tags[cap] u32 | index[slots] u16
 *
 * low and high are a 72-bit fingerprint of the id; the tag is 32 bits of what is compared: its type
 * and data, whether it closes its session, and why. They form a ring in order of arrival. A window
 * of up to 128 ids is searched by scanning every `high`, which is two cache lines. The kilobyte of
 * `low` is read for one in two of the ids that are not in the window. A larger window has an index:
 * a hash table of ring places, cap * 3/2 slots, with linear probing. So a check and an add take
 * O(1) for any window.
 *
 * An id that came with a marker has a tag that no event has. Another marker with that id is a
 * duplicate, and so is a marker with the id of an event. An event with that id is new and takes the
 * marker's place.
 *
 * Fingerprints and tags are keyed with the database's secret, so collisions cannot be made from
 * outside. With honest ids one event in 2^65 (window 128) is taken for another, and one conflict in
 * 2^32 for a duplicate.
 *
 * Owns     itself.
 * Threads  one at a time; the reader builds it when a session is loaded, then it is the broker's.
 */
#ifndef SPN_TRACKER_H
#define SPN_TRACKER_H

#include <stdbool.h>
#include <stdint.h>

#include "spn_err.h"
#include "store/record_entry.h"

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

/* Distinguishes contents: data and type; no type counts as "message". Never TRACKER_MARKER. */
uint32_t fingerprint_tag(struct spn_bytes data, struct spn_bytes type, const uint8_t *secret);

/* The tag of an event that closes its session with this reason; tag: of its data and type. Never
 * TRACKER_MARKER. */
uint32_t fingerprint_closing(uint32_t tag, struct spn_bytes reason, const uint8_t *secret);

/* The tag of an entry of the log that has a seq. */
uint32_t fingerprint_tag_of(const struct record_entry *entry, const uint8_t *secret);

struct tracker {
    uint64_t epoch;       /* 0: no session of this name exists; the next event opens one */
    uint64_t seq;         /* of the newest event; 0: none yet */
    uint64_t bytes;       /* of all data ever stored in this epoch */
    uint64_t markers;     /* among the seqs 1 .. seq */
    uint64_t id_position; /* see record_entry; of the last entry that says which id is in force */
    struct spn_life life; /* zeros: none, or not known */
    uint16_t window_max;
    uint16_t cap;   /* of the ring at present */
    uint16_t count; /* ids in the ring */
    uint16_t next;  /* place of the next id */
    uint8_t name_size;
    bool closed;  /* nothing more is stored in this epoch */
    bool damaged; /* the same, and nothing is sent to readers: it can only be deleted */
    bool recent;  /* touched since sessions_evict last passed it */
    bool wanted;  /* by a parked frame; the broker sets it */
    bool marked;  /* the window may have the id of a marker */
    _Alignas(8) uint8_t memory[];
};

enum tracker_verdict { TRACKER_NEW, TRACKER_DUPLICATE, TRACKER_CONFLICT };

/* NULL: out of memory. window_max: 1 to TRACKER_WINDOW_MAX. */
struct tracker *tracker_new(struct spn_bytes name, uint16_t window_max);
void tracker_free(struct tracker *tracker); /* takes NULL */

struct spn_bytes tracker_name(const struct tracker *tracker);
struct record_extent tracker_extent(const struct tracker *tracker);
size_t tracker_size(const struct tracker *tracker);

/* Prefetches what the next check and add read, so that they need not wait for it. */
void tracker_expect(const struct tracker *tracker);

enum tracker_verdict tracker_check(const struct tracker *tracker, struct fingerprint id,
                                   uint32_t tag);

/* Puts an id that tracker_check returned as new into the window. A full window drops its oldest id.
 * If a marker had the id, the event has it from then on, as the newest. Growing moves the tracker:
 * *tracker is the new one. SPN_E_NOMEM: nothing happened. */
spn_err tracker_add(struct tracker **tracker, struct fingerprint id, uint32_t tag) SPN_MUST_USE;

/* Takes over what the session's newest entry, which is at this position, says about it: how far it
 * is, and where to find the id in force. */
void tracker_follow(struct tracker *tracker, uint64_t position, const struct record_entry *entry);

/* Empties the window for the next epoch. */
void tracker_clear(struct tracker *tracker);

#endif
