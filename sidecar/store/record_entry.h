/* SPDX-License-Identifier: Apache-2.0 */
/* record_entry: the entries of the log.
 *
 * Owns     nothing. Encodes into the caller's memory; decoded bytes point into the value from which
 *          they were read.
 * Units    sizes in bytes; *_ms wall time since 1970, shown only; *_ns the database clock.
 * Errors   every value has a checksum over all its bytes and its key. SPN_E_CORRUPT: a decode found
 *          another checksum or impossible lengths.
 * Threads  pure functions.
 */
#ifndef SPN_RECORD_ENTRY_H
#define SPN_RECORD_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spn_err.h"

enum {
    RECORD_ENTRY_HEAD = 32,     /* of an entry, about: numbers take only the bytes they need */
    RECORD_ENTRY_OVERHEAD = 18, /* beside its value in a page: LMDB's node, key and slot */
};

/* Every change of a session is an entry of the log. */
enum record_kind {
    RECORD_OPEN = 1, /* data: the session's name; its position is the session's epoch */
    RECORD_EVENT = 2,
    RECORD_CLOSE = 3,
    RECORD_DELETE = 4,
    RECORD_EXPIRE = 5,
    RECORD_MARKER = 6,     /* an id, empty for a reset, or a retry, without an event */
    RECORD_ATTRIBUTES = 7, /* data: the whole set, as the protocol lays it out */
    RECORD_TOUCH = 8,      /* activity without an event */
    RECORD_LOST = 32,      /* not a change: a range of positions lost to damage; record_put_lost */
};

/* Whether an entry has a seq of its own: events and markers. */
static inline bool record_is_stored(uint8_t kind)
{
    return kind == RECORD_EVENT || kind == RECORD_MARKER;
}

/* Whether an entry has the life and the name of its session: trimming may have taken the entry that
 * opened it. */
static inline bool record_has_name(uint8_t kind)
{
    return (kind >= RECORD_CLOSE && kind <= RECORD_EXPIRE) || kind == RECORD_ATTRIBUTES ||
           kind == RECORD_TOUCH;
}

/* How far a session has come: the entry that ends it says so, too. */
struct record_extent {
    uint64_t seq;
    uint64_t bytes;
    uint64_t markers;
};

struct record_entry {
    uint8_t kind;     /* enum record_kind */
    bool closes;      /* RECORD_EVENT that closes its session, RECORD_CLOSE always */
    uint64_t epoch;   /* the session: position of its RECORD_OPEN */
    uint64_t seq;     /* number in the session; in RECORD_OPEN the one before the first */
    uint64_t bytes;   /* data bytes of the session up to and with this entry */
    uint64_t markers; /* of the session up to and with this entry */
    /* RECORD_MARKER with only a retry: where to look for the id that stays in force. Up to the
     * row's own position, it is the row's last id; after that, the id of the entry there. In all
     * other entries 0. */
    uint64_t id_position;
    uint64_t time_ns; /* database clock */
    uint64_t wall_ms;
    uint32_t retry_ms;     /* WIRE_RETRY_NONE: none */
    uint64_t data_hash;    /* record_hash of the data; not stored, saves hashing it twice */
    struct spn_life life;  /* RECORD_OPEN, and kinds with a name; zeros: not known */
    struct spn_bytes name; /* kinds with a name: see record_has_name */
    struct spn_bytes id;
    struct spn_bytes type;
    struct spn_bytes data;
    struct spn_bytes reason; /* of what closes */
    struct spn_bytes note;   /* bytes of the app's own, events and markers; may be empty */
};

/* The hash of the data in entries, tags and checksums (XXH3, 64 bits). */
uint64_t record_hash(struct spn_bytes data);

/* The head of an entry's value. Its size depends on the widths of all numbers, so whoever needs the
 * size before there is room for the value encodes the head first, once. */
enum { RECORD_HEAD_MAX = 11 + 6 * 8 + 1 + 1 + 2 * 8 };
struct record_head {
    unsigned parts;
    size_t size;
    uint8_t bytes[RECORD_HEAD_MAX];
};

/* Encodes the head and returns the size of the whole value. */
size_t record_begin_entry(struct record_head *head, uint64_t position,
                          const struct record_entry *entry);
/* Writes the value, of the size that record_begin_entry returned (8-byte aligned or not). Uses
 * entry->data_hash. id, type and data are copied with one memcpy if they follow one another in
 * memory. Members that the kind does not have are left out: a name, a life, a reason, a note. */
void record_end_entry(void *value, const struct record_head *head, uint64_t position,
                      const struct record_entry *entry);

/* The same for who needs only the size, or has room for any value. */
size_t record_entry_size(uint64_t position, const struct record_entry *entry);
void record_put_entry(void *value, uint64_t position, const struct record_entry *entry);
spn_err record_get_entry(struct spn_bytes value, uint64_t position,
                         struct record_entry *ret_entry) SPN_MUST_USE;

/* The epoch in a damaged entry, whatever its checksum is; 0: none. */
uint64_t record_guess_epoch(struct spn_bytes value, uint64_t position);

/* The value that replaces entries that cannot be read any more: from this position on, below `end`,
 * nothing is known of what was there. record_get_lost: SPN_E_END: the value is something else. */
enum { RECORD_LOST_SIZE_MAX = 64 };
size_t record_put_lost(void *value, uint64_t position, uint64_t end);
spn_err record_get_lost(struct spn_bytes value, uint64_t position, uint64_t *ret_end) SPN_MUST_USE;

#endif
