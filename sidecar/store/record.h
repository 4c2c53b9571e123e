/* SPDX-License-Identifier: Apache-2.0 */
/* record: the on-disk format. Structs <-> the values of the database, nothing else.
 *
 * Owns     nothing. Encodes into the caller's memory; decoded bytes point into the value they were
 *          read from.
 * Units    sizes in bytes; *_ms wall time since 1970, shown only; *_ns the database clock.
 * Errors   every value carries a checksum over all its bytes and its key. A decode that meets
 *          another checksum or lengths that lie gives SPN_E_CORRUPT.
 * Threads  pure functions.
 */
#ifndef SPN_RECORD_H
#define SPN_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "spn_err.h"

enum {
    RECORD_FORMAT = 1,          /* meta.format; a newer one is refused */
    RECORD_ENTRY_HEAD = 32,     /* of an entry, about: numbers take the bytes they need */
    RECORD_ENTRY_OVERHEAD = 18, /* beside its value in a page: LMDB's node, key and slot */
    RECORD_SECRET_SIZE = 192,   /* keys the fingerprints of this database; random at creation */
    RECORD_PRODUCER_ID_SIZE = 16,
    RECORD_DATABASE_ID_SIZE = 16,
    RECORD_BLOCK_SIZE_MAX = 1900, /* above ~2,020 LMDB moves a value to whole overflow pages */
    RECORD_BLOCK_ITEMS_MAX = 376, /* as many items as ever fit a block: 5 bytes each */
    RECORD_NAME_SIZE = 12,
    RECORD_SEGMENT_SIZE = 24,
    RECORD_RUNS_MAX = 4096,
};

/* Every change of a session is an entry of the log. */
enum record_kind {
    RECORD_OPEN = 1, /* data: the session's name; its position is the session's epoch */
    RECORD_EVENT = 2,
    RECORD_CLOSE = 3,
    RECORD_DELETE = 4,
    RECORD_EXPIRE = 5,
    RECORD_MARKER = 6, /* an id, empty for a reset, or a retry, without an event */
    RECORD_LOST = 32,  /* no change: positions from here on that damage took; see record_put_lost */
};

/* Whether an entry has a seq of its own: events and markers. */
static inline bool record_is_stored(uint8_t kind)
{
    return kind == RECORD_EVENT || kind == RECORD_MARKER;
}

struct record_entry {
    uint8_t kind;     /* enum record_kind */
    uint64_t epoch;   /* the session: position of its RECORD_OPEN */
    uint64_t seq;     /* number in the session; 0 in RECORD_OPEN */
    uint64_t bytes;   /* data bytes of the session up to and with this entry */
    uint64_t markers; /* of the session up to and with this entry */
    /* RECORD_MARKER with a retry alone: where to look for the id that stays in force. It is that of
     * the entry there, or, up to the row's own position, the row's. Else 0. */
    uint64_t id_position;
    uint64_t time_ns; /* database clock */
    uint64_t wall_ms;
    uint32_t retry_ms;  /* WIRE_RETRY_NONE: none */
    uint64_t data_hash; /* record_hash of the data; not stored, saves hashing it twice */
    struct spn_bytes id;
    struct spn_bytes type;
    struct spn_bytes data;
};

/* The hash of the data that entries, tags and checksums are made with (XXH3, 64 bits). */
uint64_t record_hash(struct spn_bytes data);

size_t record_entry_size(uint64_t position, const struct record_entry *entry);
/* Writes record_entry_size bytes to value (8-byte aligned or not). Uses entry->data_hash.
 * id, type and data are copied with one memcpy when they lie one behind the other. */
void record_put_entry(void *value, uint64_t position, const struct record_entry *entry);
spn_err record_get_entry(struct spn_bytes value, uint64_t position,
                         struct record_entry *ret_entry) SPN_MUST_USE;

/* What an entry that is damaged says of its session, whatever its checksum is; 0: nothing. */
uint64_t record_guess_epoch(struct spn_bytes value, uint64_t position);

/* What is put in the place of entries that cannot be read any more: from this position on, below
 * `end`, nothing is known of what was there. record_get_lost: SPN_E_END: it is something else. */
enum { RECORD_LOST_SIZE_MAX = 64 };
size_t record_put_lost(void *value, uint64_t position, uint64_t end);
spn_err record_get_lost(struct spn_bytes value, uint64_t position, uint64_t *ret_end) SPN_MUST_USE;

/* A session's persisted state as of the checkpoint, under its epoch. */
struct record_row {
    uint64_t seq;
    uint64_t position; /* of the newest entry */
    uint64_t bytes;
    uint64_t markers; /* of the seqs 1 .. seq */
    uint64_t opened_ms;
    uint64_t last_ms;
    uint64_t last_ns;        /* database clock of the newest entry: activity */
    uint64_t state_position; /* of the entry that made it closed or deleted; 0: it is live */
    uint32_t segment;        /* newest segment with a block of it; 0: none */
    uint32_t
        segment_before; /* the one before: what holds while `segment` is above the checkpoint */
    uint32_t duplicates;
    uint32_t conflicts;
    uint8_t state; /* enum record_state */
    struct spn_bytes name;
    struct spn_bytes last_id;
};

/* RECORD_DAMAGED: its row was lost to damage; this one has its name, so that it can be deleted. */
enum record_state {
    RECORD_LIVE = 0,
    RECORD_CLOSED = 1,
    RECORD_DELETED = 2,
    RECORD_DAMAGED = 3,
};

size_t record_row_size(const struct record_row *row);
void record_put_row(void *value, uint64_t epoch, const struct record_row *row);
spn_err record_get_row(struct spn_bytes value, uint64_t epoch,
                       struct record_row *ret_row) SPN_MUST_USE;

/* The epoch of the newest session with this name: RECORD_NAME_SIZE bytes under the name. */
void record_put_name(void *value, struct spn_bytes name, uint64_t epoch);
spn_err record_get_name(struct spn_bytes value, struct spn_bytes name,
                        uint64_t *ret_epoch) SPN_MUST_USE;

/* One result of a producer's numbers, as in the protocol. */
struct record_run {
    uint64_t first;
    uint32_t count;
    uint8_t result; /* enum wire_result */
};

/* Under the producer's 16-byte id, written in the transaction of its events. */
struct record_producer {
    uint64_t token;
    uint64_t number;               /* the last one committed */
    uint64_t base;                 /* lowest number its client still holds */
    uint64_t time_ns;              /* database clock of the last change */
    const struct record_run *runs; /* encode: ascending, of numbers >= base */
    size_t run_count;
    bool kept;    /* its app keeps the id; of older records, which do not say, this is assumed */
    uint32_t uid; /* of who opened it; UINT32_MAX: not known */
};

/* Tells one database from another: one way from its secret, so that copies have the same. */
void record_database_id(const uint8_t *secret, uint8_t ret_id[RECORD_DATABASE_ID_SIZE]);

size_t record_producer_size(const struct record_producer *producer);
void record_put_producer(void *value, const uint8_t *id, const struct record_producer *producer);
/* runs: room for RECORD_RUNS_MAX; ret_producer->runs points to it. */
spn_err record_get_producer(struct spn_bytes value, const uint8_t *id, struct record_run *runs,
                            struct record_producer *ret_producer) SPN_MUST_USE;

/* The part of a segment that one session has: its entries with consecutive seqs. A session with
 * many entries in a generation has several blocks in the segment. */
struct record_block_item {
    uint64_t position;
    uint32_t fingerprint; /* of the event id: low 32 bits */
};

struct record_block {
    uint64_t first_seq;
    uint32_t
        segment_before; /* the segment before this one that has blocks of the session; 0: none */
    uint32_t count;
    struct spn_bytes value; /* decoded: where the items are read from */
};

/* Encodes as many of the items as fit RECORD_BLOCK_SIZE_MAX (at least one); returns how many, and
 * the size in *ret_size. value: RECORD_BLOCK_SIZE_MAX bytes. */
size_t record_put_block(void *value, uint32_t segment, uint64_t epoch, uint64_t first_seq,
                        uint32_t segment_before, const struct record_block_item *items,
                        size_t count, size_t *ret_size);
spn_err record_get_block(struct spn_bytes value, uint32_t segment, uint64_t epoch,
                         uint64_t first_seq, struct record_block *ret_block) SPN_MUST_USE;
/* Unpacks all items of a decoded block; items: room for block->count. SPN_E_CORRUPT. */
spn_err record_get_items(const struct record_block *block,
                         struct record_block_item *items) SPN_MUST_USE;

/* A complete segment: which part of the log it covers, and what of it is left. */
struct record_segment {
    uint64_t first; /* position */
    uint64_t last;
    uint32_t events; /* that were not trimmed when it was last looked at */
};

void record_put_segment(void *value, uint32_t number, const struct record_segment *segment);
spn_err record_get_segment(struct spn_bytes value, uint32_t number,
                           struct record_segment *ret_segment) SPN_MUST_USE;

/* What of a session is kept: a rule, not state. 0: no limit. */
struct record_retention {
    uint64_t events_max; /* the newest so many */
    uint64_t bytes_max;  /* an event goes when the data after it reaches so much */
    uint64_t age_max_ns;
};

/* Whether an event is retained, when its session has come to last_seq and last_bytes. */
bool record_retains(const struct record_retention *rule, const struct record_entry *event,
                    uint64_t last_seq, uint64_t last_bytes, uint64_t now_ns);

/* One value, under one key. */
struct record_meta {
    uint32_t format;
    uint8_t secret[RECORD_SECRET_SIZE];
    uint64_t checkpoint;          /* rows and index are complete up to this position */
    uint32_t segment;             /* the newest complete segment */
    uint64_t next_position;       /* never give a lower one again; the log's end may be higher */
    uint64_t clock_ns;            /* database clock ... */
    struct clock_moment clock_at; /* ... at this moment */
    uint64_t catch_up_max_ns;     /* how much of the wall clock's difference counts at a start */
    struct record_retention retention;
    struct record_retention narrowest; /* of all rules so far: what trimming may have gone by. Of a
                                          database that did not keep it: all but the newest event of
                                          a session may be gone */
};

/* The rule from now on. */
void record_set_rule(struct record_meta *meta, const struct record_retention *rule);

enum { RECORD_META_SIZE = 384 };
void record_put_meta(void *value, const struct record_meta *meta);
/* SPN_E_CORRUPT: not ours, or damaged; SPN_E_NEWER_FORMAT, SPN_E_OLDER_FORMAT. */
spn_err record_get_meta(struct spn_bytes value, struct record_meta *ret_meta) SPN_MUST_USE;

#endif
