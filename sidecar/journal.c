/* SPDX-License-Identifier: Apache-2.0 */
#include "journal.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* X(name, text, flags). Integer keys are native: a database does not travel between byte orders,
 * which is LMDB's rule anyway. */
#define TABLE_MAP(X)                                                                               \
    X(LOG, "log", MDB_INTEGERKEY)                                                                  \
    X(BLOCKS, "blocks", 0)                                                                         \
    X(SEGMENTS, "segments", MDB_INTEGERKEY)                                                        \
    X(ROWS, "rows", MDB_INTEGERKEY)                                                                \
    X(NAMES, "names", 0)                                                                           \
    X(PRODUCERS, "producers", 0)                                                                   \
    X(META, "meta", 0)

enum table {
#define TABLE_ENUM(name, text, flags) TABLE_##name,
    TABLE_MAP(TABLE_ENUM)
#undef TABLE_ENUM
        TABLES
};

static const struct {
    const char *name;
    unsigned flags;
} tables[TABLES] = {
#define TABLE_ROW(name, text, flags) {text, flags},
    TABLE_MAP(TABLE_ROW)
#undef TABLE_ROW
};

enum {
    FREE_TABLE = 0, /* LMDB's own: the list of free pages */
    MAIN_TABLE = 1, /* LMDB's own: the list of tables */

    FILE_MODE = 0600,
    BLOCK_PREFIX_SIZE = 12, /* segment and epoch */
    BLOCK_KEY_SIZE = 20,
    KEY_SIZE_MAX = 511, /* LMDB's limit */
    DROP_STEP = 1000,   /* blocks deleted in one transaction at open */
};

/* A failed commit shows as EIO also when the disk was full: LMDB reports a short write so. With
 * less than this left, that is what happened. */
static const uint64_t room_bytes_min = 1024 * 1024;

static const char meta_key[] = "sponson";

#define DATA_FILE "data.mdb" /* LMDB's name for it */

/* What a commit makes true: `next` becomes `now` once it has returned. */
struct journal_state {
    struct record_meta meta;
    uint64_t used_bytes;
    uint64_t blocks_written;
    bool leftovers; /* blocks above meta.segment are still there */
};

struct journal {
    MDB_env *env;
    MDB_dbi dbi[TABLES];
    char *dir;
    bool read_only;
    uint64_t map_bytes;

    /* The write transaction. */
    MDB_txn *txn;                /* NULL: none */
    MDB_cursor *cursors[TABLES]; /* opened on first use; LMDB frees them with the transaction */
    spn_err failed; /* the first failure: nothing more is put, and it is not committed */
    struct journal_state now;
    struct journal_state next;
};

struct journal_reader {
    struct journal *journal;
    MDB_txn *txn;
    MDB_txn *probe; /* see begin_snapshot */
    MDB_cursor *cursors[TABLES];
    unsigned renewed; /* bit per table: its cursor belongs to this snapshot */
    bool active;
    struct record_meta meta;
    uint64_t newest;
    uint64_t reads;
};

/* -- errors ------------------------------------------------------------------------------------ */

static _Thread_local char detail[512];

const char *journal_detail(void)
{
    return detail;
}

static bool disk_is_full(const char *dir)
{
    struct statvfs fs;
    return dir && statvfs(dir, &fs) == 0 &&
           (uint64_t)fs.f_bavail * (uint64_t)fs.f_frsize < room_bytes_min;
}

static spn_err code_of(int rc, const char *dir)
{
    switch (rc) {
    case 0:
        return SPN_OK;
    case MDB_NOTFOUND:
        return SPN_E_END;
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG: /* a limit of the process or the filesystem */
        return SPN_E_DISK_FULL;
    case EIO:
        return disk_is_full(dir) ? SPN_E_DISK_FULL : SPN_E_IO;
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INCOMPATIBLE:
        return SPN_E_CORRUPT;
    case MDB_KEYEXIST: /* MDB_APPEND: the key does not ascend */
    case MDB_BAD_VALSIZE:
        return SPN_E_INVALID;
    case MDB_READERS_FULL:
        return SPN_E_IN_USE;
    case ENOMEM:
        return SPN_E_NOMEM;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
    case ENAMETOOLONG:
        return SPN_E_PATH;
    default:
        return rc > 0 ? SPN_E_SYSTEM : SPN_E_IO; /* MDB_PANIC and what should not happen */
    }
}

/* rc: of LMDB, or an errno. Leaves the words in detail and an errno in errno. */
static spn_err fail(int rc, const char *dir, const char *doing)
{
    assert(rc != 0);
    spn_err err = code_of(rc, dir);
    snprintf(detail, sizeof(detail), "%.384s: %.120s", doing, mdb_strerror(rc));
    if (rc > 0)
        errno = rc;
    return err;
}

static spn_err fail_with(spn_err err, const char *doing, const char *what)
{
    snprintf(detail, sizeof(detail), "%.384s: %.120s", doing, what);
    return err;
}

/* -- keys -------------------------------------------------------------------------------------- */

/* Big-endian, so that byte order is numeric order. */
static void put_block_key(uint8_t *key, uint32_t segment, uint64_t epoch, uint64_t seq)
{
    segment = htobe32(segment);
    epoch = htobe64(epoch);
    seq = htobe64(seq);
    memcpy(key, &segment, sizeof(segment));
    memcpy(key + 4, &epoch, sizeof(epoch));
    memcpy(key + BLOCK_PREFIX_SIZE, &seq, sizeof(seq));
}

static uint64_t seq_of_block_key(const void *key)
{
    uint64_t seq;
    memcpy(&seq, (const uint8_t *)key + BLOCK_PREFIX_SIZE, sizeof(seq));
    return be64toh(seq);
}

static uint64_t epoch_of_block_key(const void *key)
{
    uint64_t epoch;
    memcpy(&epoch, (const uint8_t *)key + 4, sizeof(epoch));
    return be64toh(epoch);
}

static uint32_t segment_of_block_key(const void *key)
{
    uint32_t segment;
    memcpy(&segment, key, sizeof(segment));
    return be32toh(segment);
}

/* A position, an epoch or a segment's number: LMDB itself requires integer keys to be of one size.
 */
static uint64_t number_of_key(MDB_val key)
{
    uint64_t number = 0;
    if (key.mv_size == sizeof(number))
        memcpy(&number, key.mv_data, sizeof(number));
    return number;
}

/* LMDB takes keys as pointers to non-const and only reads them. */
static MDB_val val(const void *bytes, size_t size)
{
    return (MDB_val){.mv_size = size, .mv_data = (void *)bytes};
}

static struct spn_bytes bytes_of(MDB_val value)
{
    return (struct spn_bytes){value.mv_data, value.mv_size};
}

/* -- writing ----------------------------------------------------------------------------------- */

/* The free list is not counted by walking it: pages of the tables are what is in use. */
static int measure(const struct journal *journal, MDB_txn *txn, uint64_t *ret_used_bytes)
{
    uint64_t pages = 2; /* LMDB's two meta pages */
    MDB_stat stat = {0};

    for (size_t i = 0; i < TABLES + 2; i++) {
        MDB_dbi dbi = i < TABLES ? journal->dbi[i] : (i == TABLES ? MAIN_TABLE : FREE_TABLE);
        int rc = mdb_stat(txn, dbi, &stat);
        if (rc != 0)
            return rc;
        pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    }
    *ret_used_bytes = pages * stat.ms_psize;
    return 0;
}

static spn_err poison(struct journal *journal, int rc, const char *doing)
{
    spn_err err = fail(rc, journal->dir, doing);
    journal->failed = err;
    return err;
}

spn_err journal_begin(struct journal *journal)
{
    assert(!journal->txn && !journal->read_only);
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(journal->env, NULL, 0, &txn);
    if (rc != 0)
        return fail(rc, journal->dir, "begin");
    journal->txn = txn;
    journal->failed = SPN_OK;
    journal->next = journal->now;
    return SPN_OK;
}

static void forget_txn(struct journal *journal)
{
    journal->txn = NULL;
    memset(journal->cursors, 0, sizeof(journal->cursors));
}

void journal_abort(struct journal *journal)
{
    if (!journal->txn)
        return;
    mdb_txn_abort(journal->txn);
    forget_txn(journal);
}

spn_err journal_commit(struct journal *journal)
{
    assert(journal->txn);
    int rc = 0;
    if (journal->failed == SPN_OK)
        rc = measure(journal, journal->txn, &journal->next.used_bytes);
    if (rc != 0)
        (void)poison(journal, rc, "commit");
    if (journal->failed != SPN_OK) {
        journal_abort(journal);
        return journal->failed;
    }
    rc = mdb_txn_commit(journal->txn); /* frees the transaction whatever it returns */
    forget_txn(journal);
    if (rc != 0)
        return fail(rc, journal->dir, "commit");
    journal->now = journal->next;
    return SPN_OK;
}

static int write_cursor(struct journal *journal, enum table table, MDB_cursor **ret_cursor)
{
    if (!journal->cursors[table]) {
        int rc = mdb_cursor_open(journal->txn, journal->dbi[table], &journal->cursors[table]);
        if (rc != 0)
            return rc;
    }
    *ret_cursor = journal->cursors[table];
    return 0;
}

/* Makes room for size bytes under the key: the caller encodes straight into the page. Cursors keep
 * their page between calls, so that keys in order do not descend from the root each time. */
static spn_err put(struct journal *journal, enum table table, MDB_val key, size_t size,
                   unsigned flags, void **ret_at)
{
    MDB_val value = {.mv_size = size, .mv_data = NULL};
    MDB_cursor *cursor = NULL;

    assert(journal->txn);
    if (journal->failed != SPN_OK)
        return journal->failed;
    int rc = write_cursor(journal, table, &cursor);
    if (rc == 0)
        rc = mdb_cursor_put(cursor, &key, &value, flags | MDB_RESERVE);
    if (rc != 0)
        return poison(journal, rc, tables[table].name);
    *ret_at = value.mv_data;
    return SPN_OK;
}

spn_err journal_append(struct journal *journal, uint64_t position, const struct record_entry *entry)
{
    void *at = NULL;
    MDB_val key = val(&position, sizeof(position));
    spn_err err = put(journal, TABLE_LOG, key, record_entry_size(entry), MDB_APPEND, &at);
    if (err == SPN_OK)
        record_put_entry(at, position, entry);
    return err;
}

spn_err journal_put_producer(struct journal *journal, const uint8_t *id,
                             const struct record_producer *producer)
{
    void *at = NULL;
    MDB_val key = val(id, RECORD_PRODUCER_ID_SIZE);
    spn_err err = put(journal, TABLE_PRODUCERS, key, record_producer_size(producer), 0, &at);
    if (err == SPN_OK)
        record_put_producer(at, id, producer);
    return err;
}

spn_err journal_put_name(struct journal *journal, struct spn_bytes name, uint64_t epoch)
{
    void *at = NULL;
    MDB_val key = val(name.data, name.size);
    spn_err err = put(journal, TABLE_NAMES, key, RECORD_NAME_SIZE, 0, &at);
    if (err == SPN_OK)
        record_put_name(at, name, epoch);
    return err;
}

spn_err journal_put_row(struct journal *journal, uint64_t epoch, const struct record_row *row)
{
    void *at = NULL;
    MDB_val key = val(&epoch, sizeof(epoch));
    spn_err err = put(journal, TABLE_ROWS, key, record_row_size(row), 0, &at);
    if (err == SPN_OK)
        record_put_row(at, epoch, row);
    return err;
}

/* Deletes blocks above the newest complete segment, from the end of the table, at most count_max.
 */
static spn_err drop_leftovers(struct journal *journal, size_t count_max, size_t *ret_count)
{
    MDB_cursor *cursor = NULL;
    size_t count = 0;
    MDB_val key = {0}, value = {0};

    int rc = write_cursor(journal, TABLE_BLOCKS, &cursor);
    while (rc == 0 && count < count_max) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
        if (rc == 0 && key.mv_size != BLOCK_KEY_SIZE)
            rc = MDB_CORRUPTED;
        if (rc != 0 || segment_of_block_key(key.mv_data) <= journal->now.meta.segment)
            break;
        rc = mdb_cursor_del(cursor, 0);
        count++;
    }
    if (rc != 0 && rc != MDB_NOTFOUND)
        return poison(journal, rc, "drop unfinished segment");
    if (count < count_max)
        journal->next.leftovers = false;
    *ret_count = count;
    return SPN_OK;
}

spn_err journal_append_blocks(struct journal *journal, uint32_t segment, uint64_t epoch,
                              uint64_t first_seq, uint32_t segment_before,
                              const struct record_block_item *items, size_t count)
{
    uint8_t value[RECORD_BLOCK_SIZE_MAX];
    uint8_t key[BLOCK_KEY_SIZE];
    spn_err err = SPN_OK;
    size_t dropped = 0;

    assert(journal->txn);
    if (journal->failed == SPN_OK && journal->next.leftovers)
        err = drop_leftovers(journal, SIZE_MAX, &dropped);
    while (err == SPN_OK && count > 0) {
        void *at = NULL;
        size_t size = 0;
        size_t done =
            record_put_block(value, segment, epoch, first_seq, segment_before, items, count, &size);
        put_block_key(key, segment, epoch, first_seq);
        err = put(journal, TABLE_BLOCKS, val(key, sizeof(key)), size, MDB_APPEND, &at);
        if (err == SPN_OK && at)
            memcpy(at, value, size);
        journal->next.blocks_written++;
        items += done;
        first_seq += done;
        count -= done;
    }
    return err;
}

spn_err journal_put_segment(struct journal *journal, uint32_t number,
                            const struct record_segment *segment)
{
    void *at = NULL;
    uint64_t wide = number;
    MDB_val key = val(&wide, sizeof(wide));
    spn_err err = put(journal, TABLE_SEGMENTS, key, RECORD_SEGMENT_SIZE, 0, &at);
    if (err == SPN_OK)
        record_put_segment(at, number, segment);
    return err;
}

spn_err journal_put_meta(struct journal *journal, const struct record_meta *meta)
{
    void *at = NULL;
    struct record_meta next = *meta;
    next.format = journal->now.meta.format;
    memcpy(next.secret, journal->now.meta.secret, sizeof(next.secret));

    MDB_val key = val(meta_key, sizeof(meta_key));
    spn_err err = put(journal, TABLE_META, key, RECORD_META_SIZE, 0, &at);
    if (err != SPN_OK)
        return err;
    record_put_meta(at, &next);
    journal->next.meta = next;
    return SPN_OK;
}

/* Not through the cursors: they stand where the next put will be. */
static spn_err get(struct journal *journal, enum table table, uint64_t number, MDB_val *ret_value)
{
    MDB_val key = val(&number, sizeof(number));

    assert(journal->txn);
    if (journal->failed != SPN_OK)
        return journal->failed;
    int rc = mdb_get(journal->txn, journal->dbi[table], &key, ret_value);
    if (rc != 0)
        return rc == MDB_NOTFOUND ? SPN_E_END : poison(journal, rc, tables[table].name);
    return SPN_OK;
}

spn_err journal_get_row(struct journal *journal, uint64_t epoch, struct record_row *ret_row)
{
    MDB_val value = {0};
    spn_err err = get(journal, TABLE_ROWS, epoch, &value);
    if (err == SPN_OK && record_get_row(bytes_of(value), epoch, ret_row) != SPN_OK)
        return fail_with(SPN_E_CORRUPT, "rows", "a value is damaged");
    return err;
}

spn_err journal_get_entry(struct journal *journal, uint64_t position,
                          struct record_entry *ret_entry)
{
    MDB_val value = {0};
    spn_err err = get(journal, TABLE_LOG, position, &value);
    if (err == SPN_OK && record_get_entry(bytes_of(value), position, ret_entry) != SPN_OK)
        return fail_with(SPN_E_CORRUPT, "log", "a value is damaged");
    return err;
}

/* -- deleting ---------------------------------------------------------------------------------- */

spn_err journal_delete_entries(struct journal *journal, uint64_t from, uint64_t to,
                               bool (*keep)(const void *owner, uint64_t position),
                               const void *owner, size_t count_max, uint64_t *ret_next,
                               size_t *ret_count)
{
    MDB_cursor *cursor = NULL;
    MDB_val key = val(&from, sizeof(from));
    MDB_val value = {0};

    assert(journal->txn);
    *ret_count = 0;
    *ret_next = from;
    if (journal->failed != SPN_OK)
        return journal->failed;
    int rc = mdb_cursor_open(journal->txn, journal->dbi[TABLE_LOG], &cursor);
    if (rc == 0)
        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (rc == 0 && *ret_count < count_max) {
        uint64_t position = number_of_key(key);
        *ret_next = position;
        if (position > to)
            break;
        if (!keep || !keep(owner, position)) {
            rc = mdb_cursor_del(cursor, 0);
            *ret_count += rc == 0 ? 1 : 0;
        }
        *ret_next = position + 1;
        if (rc == 0)
            rc = mdb_cursor_get(cursor, &key, &value,
                                MDB_NEXT); /* after a deletion: what moved up */
    }
    if (rc == MDB_NOTFOUND) {
        *ret_next = to + 1;
        rc = 0;
    }
    if (cursor)
        mdb_cursor_close(cursor);
    return rc == 0 ? SPN_OK : poison(journal, rc, "trim");
}

static spn_err delete_key(struct journal *journal, enum table table, MDB_val key)
{
    assert(journal->txn);
    if (journal->failed != SPN_OK)
        return journal->failed;
    int rc = mdb_del(journal->txn, journal->dbi[table], &key, NULL);
    return rc == 0 || rc == MDB_NOTFOUND ? SPN_OK : poison(journal, rc, tables[table].name);
}

spn_err journal_delete_block(struct journal *journal, uint32_t segment, uint64_t epoch,
                             uint64_t first_seq)
{
    uint8_t key[BLOCK_KEY_SIZE];
    put_block_key(key, segment, epoch, first_seq);
    return delete_key(journal, TABLE_BLOCKS, val(key, sizeof(key)));
}

spn_err journal_delete_segment(struct journal *journal, uint32_t number, size_t count_max,
                               size_t *ret_count)
{
    uint8_t first[BLOCK_KEY_SIZE];
    MDB_cursor *cursor = NULL;
    MDB_val value = {0};
    uint64_t wide = number;
    int rc = 0;

    *ret_count = 0;
    if (journal->failed != SPN_OK)
        return journal->failed;
    put_block_key(first, number, 0, 0);
    rc = mdb_cursor_open(journal->txn, journal->dbi[TABLE_BLOCKS], &cursor);
    while (rc == 0 && *ret_count < count_max) {
        MDB_val key = val(first, sizeof(first));
        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        if (rc == 0 && key.mv_size != BLOCK_KEY_SIZE)
            rc = MDB_CORRUPTED;
        if (rc == 0 && segment_of_block_key(key.mv_data) != number)
            rc = MDB_NOTFOUND;
        if (rc == 0)
            rc = mdb_cursor_del(cursor, 0);
        *ret_count += rc == 0 ? 1 : 0;
    }
    if (cursor)
        mdb_cursor_close(cursor);
    if (rc == 0 || rc == MDB_NOTFOUND)
        return *ret_count < count_max
                   ? delete_key(journal, TABLE_SEGMENTS, val(&wide, sizeof(wide)))
                   : SPN_OK;
    return poison(journal, rc, "drop segment");
}

spn_err journal_delete_producer(struct journal *journal, const uint8_t *id)
{
    return delete_key(journal, TABLE_PRODUCERS, val(id, RECORD_PRODUCER_ID_SIZE));
}

spn_err journal_delete_row(struct journal *journal, uint64_t epoch)
{
    return delete_key(journal, TABLE_ROWS, val(&epoch, sizeof(epoch)));
}

spn_err journal_delete_name(struct journal *journal, struct spn_bytes name, uint64_t epoch)
{
    MDB_val key = val(name.data, name.size);
    MDB_val value = {0};
    uint64_t named;

    assert(journal->txn);
    if (journal->failed != SPN_OK)
        return journal->failed;
    int rc = mdb_get(journal->txn, journal->dbi[TABLE_NAMES], &key, &value);
    if (rc != 0)
        return rc == MDB_NOTFOUND ? SPN_OK : poison(journal, rc, "names");
    if (record_get_name(bytes_of(value), name, &named) != SPN_OK || named != epoch)
        return SPN_OK;
    return delete_key(journal, TABLE_NAMES, key);
}

/* The first key of a table of numbers. */
static spn_err oldest(struct journal *journal, enum table table, uint64_t *ret_number,
                      MDB_val *ret_value)
{
    MDB_cursor *cursor = NULL;
    MDB_val key = {0};

    assert(journal->txn);
    if (journal->failed != SPN_OK)
        return journal->failed;
    int rc = mdb_cursor_open(journal->txn, journal->dbi[table], &cursor);
    if (rc == 0)
        rc = mdb_cursor_get(cursor, &key, ret_value, MDB_FIRST);
    if (rc == 0)
        *ret_number = number_of_key(key);
    if (cursor)
        mdb_cursor_close(cursor);
    if (rc == MDB_NOTFOUND)
        return SPN_E_END;
    return rc == 0 ? SPN_OK : poison(journal, rc, tables[table].name);
}

spn_err journal_oldest_entry(struct journal *journal, uint64_t *ret_position)
{
    MDB_val value = {0};
    return oldest(journal, TABLE_LOG, ret_position, &value);
}

spn_err journal_oldest_segment(struct journal *journal, uint32_t *ret_number,
                               struct record_segment *ret_segment)
{
    MDB_val value = {0};
    uint64_t number = 0;
    spn_err err = oldest(journal, TABLE_SEGMENTS, &number, &value);
    if (err != SPN_OK)
        return err;
    *ret_number = (uint32_t)number;
    if (record_get_segment(bytes_of(value), *ret_number, ret_segment) != SPN_OK)
        return fail_with(SPN_E_CORRUPT, "segments", "a value is damaged");
    return SPN_OK;
}

/* -- the writer's view of itself --------------------------------------------------------------- */

const struct record_meta *journal_meta(const struct journal *journal)
{
    return &journal->now.meta;
}

void journal_usage(struct journal *journal, uint64_t *ret_used_bytes, uint64_t *ret_map_bytes)
{
    uint64_t used_bytes = journal->now.used_bytes;
    if (journal->txn)
        (void)measure(journal, journal->txn, &used_bytes);
    *ret_used_bytes = used_bytes;
    *ret_map_bytes = journal->map_bytes;
}

uint64_t journal_blocks_written(const struct journal *journal)
{
    return journal->now.blocks_written;
}

/* LMDB tells its readers only as text: "pid thread txnid" or "pid thread -" a line. */
static int take_reader(const char *line, void *context)
{
    uint64_t *oldest = context;
    char pid[24], thread[24], txn[24];
    if (sscanf(line, "%23s %23s %23s", pid, thread, txn) != 3)
        return 0;
    char *end;
    unsigned long long id = strtoull(txn, &end, 10);
    if (end != txn && *end == '\0' && id < *oldest)
        *oldest = id;
    return 0;
}

void journal_slack(struct journal *journal, uint64_t *ret_free_bytes, uint64_t *ret_reader_lag)
{
    MDB_envinfo info = {0};
    MDB_stat stat = {0};
    uint64_t oldest = UINT64_MAX;
    (void)mdb_env_info(journal->env, &info);
    (void)mdb_env_stat(journal->env, &stat);
    (void)mdb_reader_list(journal->env, take_reader, &oldest);
    uint64_t file_bytes = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
    uint64_t used_bytes = journal->now.used_bytes;
    *ret_free_bytes = file_bytes > used_bytes ? file_bytes - used_bytes : 0;
    *ret_reader_lag = oldest < info.me_last_txnid ? info.me_last_txnid - oldest : 0;
}

void journal_check_readers(struct journal *journal)
{
    int dead;
    (void)mdb_reader_check(journal->env, &dead);
}

/* -- opening ----------------------------------------------------------------------------------- */

/* *ret_fresh: there is no database yet. Looked at before LMDB does, which would create one, or
 * where it may not leave a lock file behind. */
static spn_err check_dir(const struct journal_options *options, bool *ret_fresh)
{
    struct stat info;
    char path[PATH_MAX];

    if (stat(options->dir, &info) != 0)
        return fail(errno, NULL, options->dir);
    if (!S_ISDIR(info.st_mode))
        return fail(ENOTDIR, NULL, options->dir);
    int size = snprintf(path, sizeof(path), "%s/" DATA_FILE, options->dir);
    if (size < 0 || (size_t)size >= sizeof(path))
        return fail(ENAMETOOLONG, NULL, options->dir);
    bool there = stat(path, &info) == 0;
    if (!there && (errno != ENOENT || options->read_only))
        return fail(errno, NULL, path);
    if (options->read_only && info.st_size == 0)
        return fail_with(SPN_E_PATH, path, "empty: no database there yet");
    *ret_fresh = !there || info.st_size == 0;
    return SPN_OK;
}

/* What a failed creation has left would be taken for another program's file. */
static void remove_unborn(const char *dir)
{
    char path[PATH_MAX];
    int errno_kept = errno;
    snprintf(path, sizeof(path), "%s/" DATA_FILE, dir);
    (void)unlink(path);
    errno = errno_kept;
}

static spn_err open_env(struct journal *journal, const struct journal_options *options)
{
    unsigned flags = MDB_NORDAHEAD | MDB_NOTLS | (options->read_only ? MDB_RDONLY : 0);
    MDB_envinfo info;
    int dead;

    int rc = mdb_env_create(&journal->env);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(journal->env, TABLES);
    if (rc == 0 && !options->read_only)
        rc = mdb_env_set_mapsize(journal->env, options->size_max);
    if (rc == 0)
        rc = mdb_env_open(journal->env, options->dir, flags, FILE_MODE);
    if (rc == 0)
        rc = mdb_env_info(journal->env, &info);
    if (rc == 0)
        rc = mdb_reader_check(journal->env, &dead);
    if (rc != 0)
        return fail(rc, options->dir, options->dir);
    journal->map_bytes = info.me_mapsize;
    return SPN_OK;
}

static int begin_or_renew(struct journal *journal, MDB_txn **txn)
{
    return *txn ? mdb_txn_renew(*txn) : mdb_txn_begin(journal->env, NULL, MDB_RDONLY, txn);
}

/* A daemon may have made the map larger than this process has it. Only where nothing else of this
 * process is reading, so not in the daemon, whose own map it is. */
static int begin_read(struct journal *journal, MDB_txn **txn)
{
    int rc = begin_or_renew(journal, txn);
    if (rc != MDB_MAP_RESIZED || !journal->read_only)
        return rc;
    rc = mdb_env_set_mapsize(journal->env, 0);
    return rc == 0 ? begin_or_renew(journal, txn) : rc;
}

static spn_err read_meta(const struct journal *journal, MDB_txn *txn, struct record_meta *ret_meta)
{
    MDB_val key = val(meta_key, sizeof(meta_key));
    MDB_val value = {0};
    int rc = mdb_get(txn, journal->dbi[TABLE_META], &key, &value);
    if (rc == MDB_NOTFOUND)
        return fail_with(SPN_E_CORRUPT, "meta", "not a database of this program");
    if (rc != 0)
        return fail(rc, journal->dir, "meta");
    spn_err err = record_get_meta(bytes_of(value), ret_meta);
    if (err == SPN_E_NEWER_FORMAT)
        return fail_with(err, "meta", "written by a newer version of this program");
    if (err != SPN_OK)
        return fail_with(err, "meta", "damaged, or not of this program");
    return SPN_OK;
}

/* Opens the tables that must be there, meta first: what another program left is told from ours, and
 * a newer format from this one, before anything is written. */
static spn_err open_tables(struct journal *journal, MDB_txn *txn)
{
    for (size_t i = TABLES; i-- > 0;) {
        unsigned flags = 0;
        int rc = mdb_dbi_open(txn, tables[i].name, tables[i].flags, &journal->dbi[i]);
        if (rc == 0)
            rc = mdb_dbi_flags(txn, journal->dbi[i], &flags);
        if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE || (rc == 0 && flags != tables[i].flags))
            return fail_with(SPN_E_CORRUPT, "tables", "not a database of this program");
        if (rc != 0)
            return fail(rc, journal->dir, tables[i].name);
        if (i == TABLE_META) {
            spn_err err = read_meta(journal, txn, &journal->now.meta);
            if (err != SPN_OK)
                return err;
        }
    }
    return SPN_OK;
}

/* Reads what is there; *ret_empty says that nothing is. */
static spn_err identify(struct journal *journal, bool *ret_empty)
{
    MDB_txn *txn = NULL;
    MDB_stat stat;
    spn_err err = SPN_OK;

    int rc = begin_read(journal, &txn);
    if (rc == 0)
        rc = mdb_stat(txn, MAIN_TABLE, &stat);
    if (rc != 0) {
        err = fail(rc, journal->dir, "open");
        goto cleanup;
    }
    *ret_empty = stat.ms_entries == 0;
    if (*ret_empty)
        goto cleanup;
    err = open_tables(journal, txn);
    if (err != SPN_OK)
        goto cleanup;
    rc = measure(journal, txn, &journal->now.used_bytes);
    if (rc == 0) {
        rc = mdb_txn_commit(txn); /* keeps the handles of the tables */
        txn = NULL;
    }
    if (rc != 0)
        err = fail(rc, journal->dir, "open");
cleanup:
    mdb_txn_abort(txn); /* takes NULL */
    return err;
}

static spn_err create_tables(struct journal *journal)
{
    struct record_meta *meta = &journal->now.meta;

    *meta = (struct record_meta){.format = RECORD_FORMAT, .next_position = 1};
    if (getentropy(meta->secret, sizeof(meta->secret)) != 0)
        return fail(errno, NULL, "getentropy");
    spn_err err = journal_begin(journal);
    if (err != SPN_OK)
        return err;
    for (size_t i = 0; i < TABLES; i++) {
        int rc = mdb_dbi_open(journal->txn, tables[i].name, tables[i].flags | MDB_CREATE,
                              &journal->dbi[i]);
        if (rc != 0) {
            err = poison(journal, rc, "create");
            goto cleanup;
        }
    }
    err = journal_put_meta(journal, meta);
    if (err == SPN_OK)
        err = journal_commit(journal);
cleanup:
    journal_abort(journal);
    return err;
}

/* A new file survives a power loss once its directory is synced. Done at every start: the one that
 * created the database may have died in between. The parent may be closed to us; the directory was
 * there before we were. */
static spn_err sync_dirs(const char *dir)
{
    int parent_fd = -1;
    spn_err err = SPN_OK;

    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL)) {
        err = fail(errno, dir, "sync directory");
        goto cleanup;
    }
    parent_fd = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent_fd < 0 && errno == EACCES)
        goto cleanup;
    if (parent_fd < 0 || (fsync(parent_fd) != 0 && errno != EINVAL))
        err = fail(errno, dir, "sync parent directory");
cleanup:
    if (parent_fd >= 0)
        close(parent_fd);
    if (fd >= 0)
        close(fd);
    return err;
}

/* In steps, since deleting needs free pages too. On a full disk even one may not go: then they
 * stay, where no reader looks, until the next segment is written. */
static spn_err drop_unfinished_segment(struct journal *journal)
{
    size_t step = DROP_STEP;
    size_t dropped = 0;

    journal->now.leftovers = true;
    while (journal->now.leftovers) {
        spn_err err = journal_begin(journal);
        if (err == SPN_OK)
            err = drop_leftovers(journal, step, &dropped);
        if (err == SPN_OK && dropped == 0) {
            journal->now.leftovers = false;
            journal_abort(journal); /* nothing to write */
            return SPN_OK;
        }
        if (err == SPN_OK)
            err = journal_commit(journal);
        journal_abort(journal);
        if (err == SPN_E_DISK_FULL && step > 1)
            step /= 2;
        else if (err == SPN_E_DISK_FULL)
            return SPN_OK;
        else if (err != SPN_OK)
            return err;
    }
    return SPN_OK;
}

static spn_err open_database(struct journal *journal)
{
    bool empty = false;
    spn_err err = identify(journal, &empty);
    if (err != SPN_OK)
        return err;
    if (journal->read_only)
        return empty ? fail_with(SPN_E_PATH, journal->dir, "no database there yet") : SPN_OK;
    err = empty ? create_tables(journal) : drop_unfinished_segment(journal);
    if (err != SPN_OK)
        return err;
    return sync_dirs(journal->dir);
}

spn_err journal_open(struct journal **ret_journal, const struct journal_options *options)
{
    struct journal *journal = NULL;
    bool fresh = false;
    spn_err err = check_dir(options, &fresh);
    if (err != SPN_OK)
        goto cleanup;
    journal = calloc(1, sizeof(*journal));
    if (journal)
        journal->dir = strdup(options->dir);
    if (!journal || !journal->dir) {
        err = fail(ENOMEM, NULL, "open");
        goto cleanup;
    }
    journal->read_only = options->read_only;
    err = open_env(journal, options);
    if (err == SPN_OK)
        err = open_database(journal);
    if (err != SPN_OK)
        goto cleanup;
    *ret_journal = journal;
    journal = NULL;
cleanup:
    journal_close(journal);
    if (err != SPN_OK && fresh)
        remove_unborn(options->dir);
    return err;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    journal_abort(journal);
    if (journal->env)
        mdb_env_close(journal->env);
    free(journal->dir);
    free(journal);
}

/* -- reading ----------------------------------------------------------------------------------- */

/* LMDB reads the number of the newest commit, and then the meta page that belongs to it. A reader
 * that is held up in between can find that page two commits on: a commit that has not returned yet,
 * and may not be on disk, with the number of one that has. The snapshot after it would be an older
 * one (seen with 0.9.24: once in a million snapshots, beside commits that did not wait for the
 * disk). Such a page is written only after the number has moved; so if a second transaction, begun
 * afterwards, still has the same number, the snapshot is what it says. */
static int begin_snapshot(struct journal_reader *reader)
{
    for (;;) {
        int rc = begin_read(reader->journal, &reader->txn);
        if (rc != 0)
            return rc;
        rc = begin_or_renew(reader->journal, &reader->probe);
        bool same = rc == 0 && mdb_txn_id(reader->probe) == mdb_txn_id(reader->txn);
        if (rc == 0)
            mdb_txn_reset(reader->probe);
        if (same)
            return 0;
        mdb_txn_reset(reader->txn);
        if (rc != 0 && rc != MDB_MAP_RESIZED)
            return rc;
    }
}

spn_err journal_reader_open(struct journal_reader **ret_reader, struct journal *journal)
{
    struct journal_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return fail(ENOMEM, NULL, "open reader");
    reader->journal = journal;
    /* Begun once here, so that the slots in LMDB's reader table are ours from now on. */
    int rc = begin_snapshot(reader);
    for (size_t i = 0; rc == 0 && i < TABLES; i++)
        rc = mdb_cursor_open(reader->txn, journal->dbi[i], &reader->cursors[i]);
    if (rc != 0) {
        journal_reader_close(reader);
        return fail(rc, journal->dir, "open reader");
    }
    mdb_txn_reset(reader->txn);
    *ret_reader = reader;
    return SPN_OK;
}

void journal_reader_close(struct journal_reader *reader)
{
    if (!reader)
        return;
    for (size_t i = 0; i < TABLES; i++)
        if (reader->cursors[i])
            mdb_cursor_close(reader->cursors[i]);
    mdb_txn_abort(reader->txn); /* takes NULL */
    mdb_txn_abort(reader->probe);
    free(reader);
}

static spn_err seek(struct journal_reader *reader, enum table table, MDB_cursor_op op, MDB_val *key,
                    MDB_val *value)
{
    MDB_cursor *cursor = reader->cursors[table];
    int rc = 0;

    assert(reader->active);
    if (!(reader->renewed & 1u << table))
        rc = mdb_cursor_renew(reader->txn, cursor);
    if (rc == 0) {
        reader->renewed |= 1u << table;
        rc = mdb_cursor_get(cursor, key, value, op);
    }
    if (rc != 0)
        return rc == MDB_NOTFOUND ? SPN_E_END : fail(rc, reader->journal->dir, tables[table].name);
    return SPN_OK;
}

/* What a decoder found, with words where it found damage. Counts the value. */
static spn_err looked_at(struct journal_reader *reader, spn_err err, enum table table)
{
    reader->reads++;
    if (err != SPN_OK)
        return fail_with(err, tables[table].name, "a value is damaged");
    return SPN_OK;
}

static spn_err look_around(struct journal_reader *reader)
{
    MDB_val key = val(meta_key, sizeof(meta_key));
    MDB_val value = {0};
    spn_err err = seek(reader, TABLE_META, MDB_SET_KEY, &key, &value);
    if (err == SPN_E_END)
        return fail_with(SPN_E_CORRUPT, "meta", "gone");
    if (err != SPN_OK)
        return err;
    err = record_get_meta(bytes_of(value), &reader->meta);
    if (err != SPN_OK)
        return fail_with(err, "meta", "damaged");
    /* What was there may have been trimmed: it was on disk all the same. */
    reader->newest = reader->meta.checkpoint;
    err = seek(reader, TABLE_LOG, MDB_LAST, &key, &value);
    if (err == SPN_OK && number_of_key(key) > reader->newest)
        reader->newest = number_of_key(key);
    return err == SPN_E_END ? SPN_OK : err;
}

spn_err journal_reader_begin(struct journal_reader *reader)
{
    assert(!reader->active);
    int rc = begin_snapshot(reader);
    if (rc != 0)
        return fail(rc, reader->journal->dir, "begin reading");
    reader->active = true;
    reader->renewed = 0;
    spn_err err = look_around(reader);
    if (err != SPN_OK)
        journal_reader_end(reader);
    return err;
}

void journal_reader_end(struct journal_reader *reader)
{
    if (!reader->active)
        return;
    mdb_txn_reset(reader->txn);
    reader->active = false;
}

const struct record_meta *journal_reader_meta(const struct journal_reader *reader)
{
    return &reader->meta;
}

uint64_t journal_reader_newest(const struct journal_reader *reader)
{
    return reader->newest;
}

uint64_t journal_reader_reads(const struct journal_reader *reader)
{
    return reader->reads;
}

spn_err journal_read_entry(struct journal_reader *reader, uint64_t position,
                           struct record_entry *ret_entry)
{
    MDB_val key = val(&position, sizeof(position));
    MDB_val value = {0};
    spn_err err = seek(reader, TABLE_LOG, MDB_SET, &key, &value);
    if (err != SPN_OK)
        return err;
    err = record_get_entry(bytes_of(value), position, ret_entry);
    return looked_at(reader, err, TABLE_LOG);
}

spn_err journal_read_entry_from(struct journal_reader *reader, uint64_t position,
                                uint64_t *ret_position, struct record_entry *ret_entry)
{
    MDB_val key = val(&position, sizeof(position));
    MDB_val value = {0};
    spn_err err = seek(reader, TABLE_LOG, MDB_SET_RANGE, &key, &value);
    if (err != SPN_OK)
        return err;
    uint64_t found = number_of_key(key);
    if (found < position) /* a damaged tree must not lead a walk in circles */
        return fail_with(SPN_E_CORRUPT, tables[TABLE_LOG].name, "positions do not ascend");
    err = looked_at(reader, record_get_entry(bytes_of(value), found, ret_entry), TABLE_LOG);
    if (err == SPN_OK)
        *ret_position = found;
    return err;
}

spn_err journal_read_name(struct journal_reader *reader, struct spn_bytes name, uint64_t *ret_epoch)
{
    MDB_val key = val(name.data, name.size);
    MDB_val value = {0};
    if (name.size < 1 || name.size > KEY_SIZE_MAX)
        return SPN_E_END;
    spn_err err = seek(reader, TABLE_NAMES, MDB_SET, &key, &value);
    if (err != SPN_OK)
        return err;
    err = record_get_name(bytes_of(value), name, ret_epoch);
    return looked_at(reader, err, TABLE_NAMES);
}

/* The first key greater than *key, which is returned in its place. */
static spn_err seek_after(struct journal_reader *reader, enum table table, MDB_val *key,
                          MDB_val *value)
{
    MDB_val after = *key;
    if (after.mv_size == 0)
        return seek(reader, table, MDB_FIRST, key, value);
    spn_err err = seek(reader, table, MDB_SET_RANGE, key, value);
    if (err == SPN_OK && key->mv_size == after.mv_size &&
        memcmp(key->mv_data, after.mv_data, after.mv_size) == 0)
        err = seek(reader, table, MDB_NEXT, key, value);
    return err;
}

spn_err journal_read_name_after(struct journal_reader *reader, struct spn_bytes after,
                                struct spn_bytes *ret_name, uint64_t *ret_epoch)
{
    MDB_val key = val(after.data, after.size);
    MDB_val value = {0};
    if (after.size > KEY_SIZE_MAX)
        return fail_with(SPN_E_INVALID, "names", "too long");
    spn_err err = seek_after(reader, TABLE_NAMES, &key, &value);
    if (err != SPN_OK)
        return err;
    err =
        looked_at(reader, record_get_name(bytes_of(value), bytes_of(key), ret_epoch), TABLE_NAMES);
    if (err == SPN_OK)
        *ret_name = bytes_of(key);
    return err;
}

spn_err journal_read_row(struct journal_reader *reader, uint64_t epoch, struct record_row *ret_row)
{
    MDB_val key = val(&epoch, sizeof(epoch));
    MDB_val value = {0};
    spn_err err = seek(reader, TABLE_ROWS, MDB_SET, &key, &value);
    if (err != SPN_OK)
        return err;
    return looked_at(reader, record_get_row(bytes_of(value), epoch, ret_row), TABLE_ROWS);
}

/* The first key above `after` in a table of numbers. */
static spn_err seek_number_after(struct journal_reader *reader, enum table table, uint64_t after,
                                 uint64_t *ret_number, MDB_val *ret_value)
{
    uint64_t from = after + 1;
    MDB_val key = val(&from, sizeof(from));
    if (from == 0)
        return SPN_E_END;
    spn_err err = seek(reader, table, MDB_SET_RANGE, &key, ret_value);
    if (err == SPN_OK)
        *ret_number = number_of_key(key);
    return err;
}

spn_err journal_read_row_after(struct journal_reader *reader, uint64_t after, uint64_t *ret_epoch,
                               struct record_row *ret_row)
{
    MDB_val value = {0};
    spn_err err = seek_number_after(reader, TABLE_ROWS, after, ret_epoch, &value);
    if (err != SPN_OK)
        return err;
    return looked_at(reader, record_get_row(bytes_of(value), *ret_epoch, ret_row), TABLE_ROWS);
}

spn_err journal_read_segment_after(struct journal_reader *reader, uint32_t after,
                                   uint32_t *ret_number, struct record_segment *ret_segment)
{
    MDB_val value = {0};
    uint64_t number = 0;
    spn_err err = seek_number_after(reader, TABLE_SEGMENTS, after, &number, &value);
    if (err != SPN_OK)
        return err;
    *ret_number = (uint32_t)number;
    return looked_at(reader, record_get_segment(bytes_of(value), *ret_number, ret_segment),
                     TABLE_SEGMENTS);
}

spn_err journal_read_producer_after(struct journal_reader *reader, bool first, uint8_t *id,
                                    struct record_run *runs, struct record_producer *ret_producer)
{
    MDB_val key = val(id, first ? 0 : RECORD_PRODUCER_ID_SIZE);
    MDB_val value = {0};
    spn_err err = seek_after(reader, TABLE_PRODUCERS, &key, &value);
    if (err != SPN_OK)
        return err;
    if (key.mv_size != RECORD_PRODUCER_ID_SIZE)
        return looked_at(reader, SPN_E_CORRUPT, TABLE_PRODUCERS);
    err = record_get_producer(bytes_of(value), key.mv_data, runs, ret_producer);
    if (err == SPN_OK)
        memcpy(id, key.mv_data, RECORD_PRODUCER_ID_SIZE);
    return looked_at(reader, err, TABLE_PRODUCERS);
}

/* -- reading blocks ---------------------------------------------------------------------------- */

uint32_t journal_row_segment(const struct journal_reader *reader, const struct record_row *row)
{
    return row->segment <= reader->meta.segment ? row->segment : row->segment_before;
}

/* The block under the key that a cursor came to, if it belongs to the same segment and session. */
static spn_err take_block(struct journal_reader *reader, uint32_t segment, uint64_t epoch,
                          MDB_val key, MDB_val value, struct record_block *ret_block)
{
    uint8_t prefix[BLOCK_KEY_SIZE];

    put_block_key(prefix, segment, epoch, 0);
    if (key.mv_size != BLOCK_KEY_SIZE)
        return looked_at(reader, SPN_E_CORRUPT, TABLE_BLOCKS);
    if (memcmp(key.mv_data, prefix, BLOCK_PREFIX_SIZE) != 0)
        return SPN_E_END;
    spn_err err =
        record_get_block(bytes_of(value), segment, epoch, seq_of_block_key(key.mv_data), ret_block);
    return looked_at(reader, err, TABLE_BLOCKS);
}

spn_err journal_read_block(struct journal_reader *reader, uint32_t segment, uint64_t epoch,
                           uint64_t seq, struct record_block *ret_block)
{
    uint8_t wanted[BLOCK_KEY_SIZE];
    MDB_val key = val(wanted, sizeof(wanted));
    MDB_val value = {0};

    put_block_key(wanted, segment, epoch, seq);
    spn_err err = seek(reader, TABLE_BLOCKS, MDB_SET_RANGE, &key, &value);
    if (err == SPN_E_END)
        err = seek(reader, TABLE_BLOCKS, MDB_LAST, &key, &value);
    else if (err == SPN_OK &&
             !(key.mv_size == BLOCK_KEY_SIZE && memcmp(key.mv_data, wanted, BLOCK_KEY_SIZE) == 0))
        err = seek(reader, TABLE_BLOCKS, MDB_PREV, &key, &value);
    if (err != SPN_OK)
        return err;
    return take_block(reader, segment, epoch, key, value, ret_block);
}

spn_err journal_read_block_from(struct journal_reader *reader, uint32_t segment, uint64_t epoch,
                                uint64_t seq, struct record_block *ret_block)
{
    uint8_t wanted[BLOCK_KEY_SIZE];
    MDB_val key = val(wanted, sizeof(wanted));
    MDB_val value = {0};

    put_block_key(wanted, segment, epoch, seq);
    spn_err err = seek(reader, TABLE_BLOCKS, MDB_SET_RANGE, &key, &value);
    if (err != SPN_OK)
        return err;
    return take_block(reader, segment, epoch, key, value, ret_block);
}

spn_err journal_read_segment_block(struct journal_reader *reader, uint32_t segment, uint64_t epoch,
                                   uint64_t seq, uint64_t *ret_epoch,
                                   struct record_block *ret_block)
{
    uint8_t wanted[BLOCK_KEY_SIZE];
    MDB_val key = val(wanted, sizeof(wanted));
    MDB_val value = {0};

    put_block_key(wanted, segment, epoch, seq);
    spn_err err = seek(reader, TABLE_BLOCKS, MDB_SET_RANGE, &key, &value);
    if (err != SPN_OK)
        return err;
    if (key.mv_size != BLOCK_KEY_SIZE)
        return looked_at(reader, SPN_E_CORRUPT, TABLE_BLOCKS);
    if (segment_of_block_key(key.mv_data) != segment)
        return SPN_E_END;
    *ret_epoch = epoch_of_block_key(key.mv_data);
    return take_block(reader, segment, *ret_epoch, key, value, ret_block);
}
