/* SPDX-License-Identifier: Apache-2.0 */
/* journal_base: what the files of the journal share; no other file sees it.
 *
 * journal.c opens and closes; journal_check.c finds damage before LMDB reads it, and sees whether
 * the files are still there; journal_write.c has the one write transaction, journal_read.c the
 * snapshots.
 */
#ifndef SPN_JOURNAL_BASE_H
#define SPN_JOURNAL_BASE_H

#include <endian.h>
#include <lmdb.h>
#include <pthread.h>
#include <string.h>

#include "base/file_id.h"
#include "store/headroom.h"
#include "store/journal.h"
#include "store/pages.h"

/* X(name, text, flags). Integer keys are in native byte order: a database cannot move to a machine
 * with another byte order, which is LMDB's rule anyway. */
#define TABLE_MAP(X)                                                                               \
    X(LOG, "log", MDB_INTEGERKEY)                                                                  \
    X(BLOCKS, "blocks", 0)                                                                         \
    X(SEGMENTS, "segments", MDB_INTEGERKEY)                                                        \
    X(ROWS, "rows", MDB_INTEGERKEY)                                                                \
    X(NAMES, "names", 0)                                                                           \
    X(ATTRIBUTES, "attributes", MDB_INTEGERKEY)                                                    \
    X(PRODUCERS, "producers", 0)                                                                   \
    X(META, "meta", 0)

enum table {
#define TABLE_ENUM(name, text, flags) TABLE_##name,
    TABLE_MAP(TABLE_ENUM)
#undef TABLE_ENUM
        TABLES
};

extern const struct journal_table {
    const char *name;
    unsigned flags;
} journal_tables[TABLES];

enum {
    FREE_TABLE = 0, /* LMDB's own: the list of free pages */
    MAIN_TABLE = 1, /* LMDB's own: the list of tables */

    BLOCK_PREFIX_SIZE = 12, /* segment and epoch */
    BLOCK_KEY_SIZE = 20,
    KEY_SIZE_MAX = 511, /* LMDB's limit */
};

#define JOURNAL_META_KEY "sponson"
#define JOURNAL_DATA_FILE "data.mdb" /* LMDB's names for them */
#define JOURNAL_LOCK_FILE "lock.mdb"

/* What a commit changes: `next` becomes `now` once the commit has returned. */
struct journal_state {
    struct record_meta meta;
    uint64_t used_bytes;
    uint64_t names_bytes; /* of used_bytes, in names, rows and attributes */
    uint64_t blocks_written;
    bool leftovers; /* blocks above meta.segment are still there */
};

struct journal {
    MDB_env *env;
    MDB_dbi dbi[TABLES];
    char *dir;
    bool read_only;
    bool is_short;     /* the file ended before its last page, and is checked for that */
    bool meta_damaged; /* its value does not read, and now.meta replaces it; only if read_only */
    void (*went_on)(void *context);
    void *context;
    uint64_t steps; /* of a recovery */
    uint64_t map_bytes;
    bool map_gone;        /* a resize failed; nothing is read or written any more */
    pthread_rwlock_t map; /* each snapshot holds it for reading, a resize for writing */
    struct headroom headroom;
    struct file_id lock_file; /* LMDB's, as of open */

    struct pages *pages;
    size_t trees[TABLES];   /* of each table, in snapshots of pages */
    unsigned careful;       /* bit per table: its pages are checked before each read */
    uint64_t log_unchecked; /* positions up to here were not checked at open */
    struct journal_damage damage;

    /* The write transaction. */
    MDB_txn *txn;                /* NULL: none */
    MDB_cursor *cursors[TABLES]; /* opened on first use; LMDB frees them with the transaction */
    MDB_cursor *getters[TABLES]; /* the same */
    spn_err failed;              /* the first failure: after it nothing is put or committed */
    struct journal_state now;
    struct journal_state next;
};

struct journal_reader {
    struct journal *journal;
    MDB_txn *txn;
    MDB_txn *probe; /* see begin_snapshot */
    MDB_cursor *cursors[TABLES];
    unsigned renewed; /* bit per table: its cursor belongs to this snapshot */
    uint64_t log_at;  /* where the log's cursor stands in this snapshot; 0: not known */
    bool active;
    struct pages_snapshot pages; /* while the journal is careful */
    uint64_t looked_first;       /* positions whose leaf was checked in this snapshot */
    uint64_t looked_last;
    struct pages_damage met; /* the damage that was found last */
    bool condemned; /* LMDB failed in it: the transaction is not used for another snapshot */
    struct record_meta meta;
    uint64_t newest;
    uint64_t reads;
};

/* -- journal_base.c ---------------------------------------------------------------------------- */

/* rc: of LMDB, or an errno. Leaves the words in journal_detail and an errno in errno. dir: where to
 * check whether the disk is full; may be NULL. */
spn_err journal_fail(int rc, const char *dir, const char *doing);
spn_err journal_fail_with(spn_err err, const char *doing, const char *what);

/* -- journal.c --------------------------------------------------------------------------------- */

int journal_begin_or_renew(struct journal *journal, MDB_txn **txn);
/* Follows a map that the daemon has made larger than this process has it. Only where nothing else
 * of this process is reading, so not in the daemon, whose own map it is. */
int journal_begin_read(struct journal *journal, MDB_txn **txn);

/* -- journal_check.c --------------------------------------------------------------------------- */

/* Checks the data file before LMDB opens it. *ret_short: it ends before its last page, but not by
 * so much that it was cut for certain; journal_open_pages finds out. */
spn_err journal_check_size(const char *path, bool *ret_short);
/* Call it once LMDB has opened the file, and whenever LMDB has taken another map. Of a short file
 * it checks that the pages that are missing are free. */
spn_err journal_open_pages(struct journal *journal);
/* Checks a database that is ours. A writable one is mended where that is possible. */
spn_err journal_check_pages(struct journal *journal);
/* Takes the pages of the transaction just begun. SPN_E_END: begin again. */
spn_err journal_take_pages(struct journal_reader *reader);
/* Whether LMDB may look for this key. */
spn_err journal_trust(struct journal_reader *reader, enum table table, MDB_cursor_op op,
                      MDB_val key);
/* In the log: the first and the last position of the damage that was found last. */
uint64_t journal_met_first(const struct journal_reader *reader);
uint64_t journal_met_last(const struct journal_reader *reader);

/* -- journal_write.c --------------------------------------------------------------------------- */

/* Fills in the sizes only. */
int journal_measure(const struct journal *journal, MDB_txn *txn, struct journal_state *ret_state);
/* Marks the transaction as failed: nothing more is put, and it is not committed. */
spn_err journal_poison(struct journal *journal, int rc, const char *doing);
/* Deletes blocks above the newest complete segment, from the end of the table, at most
 * count_max. */
spn_err journal_drop_leftovers(struct journal *journal, size_t count_max, size_t *ret_count);

/* -- keys -------------------------------------------------------------------------------------- */

/* Big-endian, so that byte order is numeric order. */
static inline void put_block_key(uint8_t *key, uint32_t segment, uint64_t epoch, uint64_t seq)
{
    segment = htobe32(segment);
    epoch = htobe64(epoch);
    seq = htobe64(seq);
    memcpy(key, &segment, sizeof(segment));
    memcpy(key + 4, &epoch, sizeof(epoch));
    memcpy(key + BLOCK_PREFIX_SIZE, &seq, sizeof(seq));
}

static inline uint64_t seq_of_block_key(const void *key)
{
    uint64_t seq;
    memcpy(&seq, (const uint8_t *)key + BLOCK_PREFIX_SIZE, sizeof(seq));
    return be64toh(seq);
}

static inline uint64_t epoch_of_block_key(const void *key)
{
    uint64_t epoch;
    memcpy(&epoch, (const uint8_t *)key + 4, sizeof(epoch));
    return be64toh(epoch);
}

static inline uint32_t segment_of_block_key(const void *key)
{
    uint32_t segment;
    memcpy(&segment, key, sizeof(segment));
    return be32toh(segment);
}

/* A position, an epoch or a segment's number. LMDB itself requires integer keys of one size. */
static inline uint64_t number_of_key(MDB_val key)
{
    uint64_t number = 0;
    if (key.mv_size == sizeof(number))
        memcpy(&number, key.mv_data, sizeof(number));
    return number;
}

/* LMDB takes keys as pointers to non-const and only reads them. */
static inline MDB_val val(const void *bytes, size_t size)
{
    return (MDB_val){.mv_size = size, .mv_data = (void *)bytes};
}

static inline struct spn_bytes bytes_of(MDB_val value)
{
    return (struct spn_bytes){value.mv_data, value.mv_size};
}

#endif
