/* SPDX-License-Identifier: Apache-2.0 */
#include "store/journal_base.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* -- writing ----------------------------------------------------------------------------------- */

/* The free list is not walked: the pages of the tables are the pages in use. */
int journal_measure(const struct journal *journal, MDB_txn *txn, struct journal_state *ret_state)
{
    uint64_t pages = 2; /* LMDB's two meta pages */
    uint64_t names = 0;
    MDB_stat stat = {0};

    for (size_t i = 0; i < TABLES + 2; i++) {
        MDB_dbi dbi = i < TABLES ? journal->dbi[i] : (i == TABLES ? MAIN_TABLE : FREE_TABLE);
        int rc = mdb_stat(txn, dbi, &stat);
        if (rc != 0)
            return rc;
        size_t table = stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
        pages += table;
        names += i == TABLE_ROWS || i == TABLE_NAMES || i == TABLE_ATTRIBUTES ? table : 0;
    }
    ret_state->used_bytes = pages * stat.ms_psize;
    ret_state->names_bytes = names * stat.ms_psize;
    return 0;
}

spn_err journal_poison(struct journal *journal, int rc, const char *doing)
{
    spn_err err = journal_fail(rc, journal->dir, doing);
    journal->failed = err;
    return err;
}

spn_err journal_begin(struct journal *journal)
{
    assert(!journal->txn && !journal->read_only);
    MDB_txn *txn = NULL;
    int rc = journal->map_gone ? EIO : mdb_txn_begin(journal->env, NULL, 0, &txn);
    if (rc != 0)
        return journal_fail(rc, journal->dir, "begin");
    journal->txn = txn;
    journal->failed = SPN_OK;
    journal->next = journal->now;
    return SPN_OK;
}

static void forget_txn(struct journal *journal)
{
    journal->txn = NULL;
    memset(journal->cursors, 0, sizeof(journal->cursors));
    memset(journal->getters, 0, sizeof(journal->getters));
}

void journal_abort(struct journal *journal)
{
    if (!journal->txn)
        return;
    mdb_txn_abort(journal->txn);
    forget_txn(journal);
}

static void make_headroom(struct journal *journal)
{
    MDB_envinfo info;
    MDB_stat stat;
    if (mdb_env_info(journal->env, &info) == 0 && mdb_env_stat(journal->env, &stat) == 0)
        headroom_make(&journal->headroom, (info.me_last_pgno + 1) * stat.ms_psize);
}

spn_err journal_commit(struct journal *journal)
{
    assert(journal->txn);
    int rc = 0;
    if (journal->failed == SPN_OK)
        rc = journal_measure(journal, journal->txn, &journal->next);
    if (rc != 0)
        (void)journal_poison(journal, rc, "commit");
    if (journal->failed != SPN_OK) {
        journal_abort(journal);
        return journal->failed;
    }
    make_headroom(journal);
    rc = mdb_txn_commit(journal->txn); /* frees the transaction whatever it returns */
    forget_txn(journal);
    if (rc != 0)
        return journal_fail(rc, journal->dir, "commit");
    journal->now = journal->next;
    return journal_look(journal);
}

static int open_once(struct journal *journal, enum table table, MDB_cursor **cursor)
{
    return *cursor ? 0 : mdb_cursor_open(journal->txn, journal->dbi[table], cursor);
}

static int write_cursor(struct journal *journal, enum table table, MDB_cursor **ret_cursor)
{
    int rc = open_once(journal, table, &journal->cursors[table]);
    *ret_cursor = journal->cursors[table];
    return rc;
}

/* Makes room for size bytes under the key; the caller encodes straight into the page. Cursors keep
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
        return journal_poison(journal, rc, journal_tables[table].name);
    *ret_at = value.mv_data;
    return SPN_OK;
}

spn_err journal_append(struct journal *journal, uint64_t position, const struct record_entry *entry)
{
    void *at = NULL;
    struct record_head head;
    MDB_val key = val(&position, sizeof(position));
    size_t size = record_begin_entry(&head, position, entry);
    spn_err err = put(journal, TABLE_LOG, key, size, MDB_APPEND, &at);
    if (err == SPN_OK)
        record_end_entry(at, &head, position, entry);
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
spn_err journal_drop_leftovers(struct journal *journal, size_t count_max, size_t *ret_count)
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
        return journal_poison(journal, rc, "drop unfinished segment");
    if (count < count_max)
        journal->next.leftovers = false;
    *ret_count = count;
    return SPN_OK;
}

spn_err journal_append_block(struct journal *journal, uint32_t segment, uint64_t epoch,
                             uint64_t first_seq, uint32_t segment_before,
                             const struct record_block_item *items, size_t count, size_t *ret_done)
{
    uint8_t value[RECORD_BLOCK_SIZE_MAX];
    uint8_t key[BLOCK_KEY_SIZE];
    spn_err err = SPN_OK;
    size_t dropped = 0;
    size_t size = 0;
    void *at = NULL;

    assert(journal->txn && count > 0);
    if (journal->failed == SPN_OK && journal->next.leftovers)
        err = journal_drop_leftovers(journal, SIZE_MAX, &dropped);
    if (err != SPN_OK)
        return err;
    size_t done =
        record_put_block(value, segment, epoch, first_seq, segment_before, items, count, &size);
    put_block_key(key, segment, epoch, first_seq);
    err = put(journal, TABLE_BLOCKS, val(key, sizeof(key)), size, MDB_APPEND, &at);
    if (err != SPN_OK || !at)
        return err;
    memcpy(at, value, size);
    journal->next.blocks_written++;
    *ret_done = done;
    return SPN_OK;
}

spn_err journal_append_blocks(struct journal *journal, uint32_t segment, uint64_t epoch,
                              uint64_t first_seq, uint32_t segment_before,
                              const struct record_block_item *items, size_t count)
{
    spn_err err = SPN_OK;
    size_t done = 0;
    for (size_t at = 0; err == SPN_OK && at < count; at += done)
        err = journal_append_block(journal, segment, epoch, first_seq + at, segment_before,
                                   items + at, count - at, &done);
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

static spn_err put_meta(struct journal *journal, const struct record_meta *meta)
{
    void *at = NULL;
    MDB_val key = val(JOURNAL_META_KEY, sizeof(JOURNAL_META_KEY));
    spn_err err = put(journal, TABLE_META, key, RECORD_META_SIZE, 0, &at);
    if (err != SPN_OK)
        return err;
    record_put_meta(at, meta);
    journal->next.meta = *meta;
    return SPN_OK;
}

spn_err journal_put_meta(struct journal *journal, const struct record_meta *meta)
{
    struct record_meta next = *meta;
    next.format = journal->now.meta.format;
    next.taken = journal->next.meta.taken;
    memcpy(next.secret, journal->now.meta.secret, sizeof(next.secret));
    memcpy(next.database, journal->now.meta.database, sizeof(next.database));
    return put_meta(journal, &next);
}

spn_err journal_renew(struct journal *journal, uint64_t next_position)
{
    struct record_meta next = journal->next.meta;
    if (getentropy(next.database, sizeof(next.database)) != 0)
        return journal_fail(errno, NULL, "getentropy");
    next.next_position = next_position;
    return put_meta(journal, &next);
}

spn_err journal_note_taken(struct journal *journal, uint64_t position)
{
    struct record_meta next = journal->next.meta;
    if (position <= next.taken)
        return SPN_OK;
    next.taken = position;
    return put_meta(journal, &next);
}

/* Does not use the cursors that put: they stand where the next put will be. Values that are read in
 * order mostly lie in the page that was read last, so nothing descends from the root. */
static spn_err get(struct journal *journal, enum table table, uint64_t number, MDB_val *ret_value)
{
    MDB_val key = val(&number, sizeof(number));

    assert(journal->txn);
    if (journal->failed != SPN_OK)
        return journal->failed;
    int rc = open_once(journal, table, &journal->getters[table]);
    if (rc == 0)
        rc = mdb_cursor_get(journal->getters[table], &key, ret_value, MDB_SET);
    if (rc != 0)
        return rc == MDB_NOTFOUND ? SPN_E_END
                                  : journal_poison(journal, rc, journal_tables[table].name);
    return SPN_OK;
}

spn_err journal_get_row(struct journal *journal, uint64_t epoch, struct record_row *ret_row)
{
    MDB_val value = {0};
    spn_err err = get(journal, TABLE_ROWS, epoch, &value);
    if (err == SPN_OK && record_get_row(bytes_of(value), epoch, ret_row) != SPN_OK)
        return journal_fail_with(SPN_E_CORRUPT, "rows", "a value is damaged");
    return err;
}

spn_err journal_get_entry(struct journal *journal, uint64_t position,
                          struct record_entry *ret_entry)
{
    MDB_val value = {0};
    spn_err err = get(journal, TABLE_LOG, position, &value);
    if (err == SPN_OK && record_get_entry(bytes_of(value), position, ret_entry) != SPN_OK)
        return journal_fail_with(SPN_E_CORRUPT, "log", "a value is damaged");
    return err;
}

/* -- deleting ---------------------------------------------------------------------------------- */

/* Skipping an entry that stays costs a tenth of deleting one. */
enum { LOOKS_PER_DELETION = 8 };

/* A record of lost positions stays until everything up to them is deleted. */
static bool is_lost(uint64_t position, MDB_val value)
{
    uint64_t end;
    return record_get_lost(bytes_of(value), position, &end) == SPN_OK;
}

spn_err journal_delete_entries(struct journal *journal, uint64_t from, uint64_t to,
                               bool (*keep)(const void *owner, uint64_t position),
                               const void *owner, struct journal_deletion *deletion,
                               uint64_t *ret_next)
{
    MDB_cursor *cursor = NULL;
    MDB_val key = val(&from, sizeof(from));
    MDB_val value = {0};
    size_t looks = deletion->count_max < SIZE_MAX / LOOKS_PER_DELETION
                       ? deletion->count_max * LOOKS_PER_DELETION
                       : SIZE_MAX;

    assert(journal->txn);
    *ret_next = from;
    if (journal->failed != SPN_OK)
        return journal->failed;
    int rc = mdb_cursor_open(journal->txn, journal->dbi[TABLE_LOG], &cursor);
    if (rc == 0)
        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (rc == 0 && !journal_deletion_is_over(deletion) && looks-- > 0) {
        uint64_t position = number_of_key(key);
        *ret_next = position;
        if (position > to)
            break;
        if (!keep || !(is_lost(position, value) || keep(owner, position))) {
            size_t size = value.mv_size;
            rc = mdb_cursor_del(cursor, 0);
            deletion->count += rc == 0 ? 1 : 0;
            deletion->bytes += rc == 0 ? size : 0;
        }
        *ret_next = position + 1;
        if (rc == 0)
            rc = mdb_cursor_get(cursor, &key, &value,
                                MDB_NEXT); /* after a deletion: the one that moved up */
    }
    if (rc == MDB_NOTFOUND) {
        *ret_next = to + 1;
        rc = 0;
    }
    if (cursor)
        mdb_cursor_close(cursor);
    return rc == 0 ? SPN_OK : journal_poison(journal, rc, "trim");
}

static spn_err delete_key(struct journal *journal, enum table table, MDB_val key)
{
    assert(journal->txn);
    if (journal->failed != SPN_OK)
        return journal->failed;
    int rc = mdb_del(journal->txn, journal->dbi[table], &key, NULL);
    return rc == 0 || rc == MDB_NOTFOUND ? SPN_OK
                                         : journal_poison(journal, rc, journal_tables[table].name);
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
    return journal_poison(journal, rc, "drop segment");
}

spn_err journal_delete_producer(struct journal *journal, const uint8_t *id)
{
    return delete_key(journal, TABLE_PRODUCERS, val(id, RECORD_PRODUCER_ID_SIZE));
}

spn_err journal_delete_row(struct journal *journal, uint64_t epoch)
{
    spn_err err = delete_key(journal, TABLE_ATTRIBUTES, val(&epoch, sizeof(epoch)));
    return err == SPN_OK ? delete_key(journal, TABLE_ROWS, val(&epoch, sizeof(epoch))) : err;
}

spn_err journal_put_attributes(struct journal *journal, uint64_t epoch,
                               const struct record_attributes *attributes)
{
    void *at = NULL;
    MDB_val key = val(&epoch, sizeof(epoch));
    if (attributes->content_type.size + attributes->note.size == 0)
        return delete_key(journal, TABLE_ATTRIBUTES, key);
    spn_err err = put(journal, TABLE_ATTRIBUTES, key, record_attributes_size(attributes), 0, &at);
    if (err == SPN_OK)
        record_put_attributes(at, epoch, attributes);
    return err;
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
        return rc == MDB_NOTFOUND ? SPN_OK : journal_poison(journal, rc, "names");
    if (record_get_name(bytes_of(value), name, &named) == SPN_OK && named != epoch)
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
    return rc == 0 ? SPN_OK : journal_poison(journal, rc, journal_tables[table].name);
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
        return journal_fail_with(SPN_E_CORRUPT, "segments", "a value is damaged");
    return SPN_OK;
}

/* -- the writer's view of itself --------------------------------------------------------------- */

const struct record_meta *journal_meta(const struct journal *journal)
{
    return &journal->now.meta;
}

void journal_usage(struct journal *journal, uint64_t *ret_used_bytes, uint64_t *ret_map_bytes)
{
    struct journal_state state = journal->now;
    if (journal->txn)
        (void)journal_measure(journal, journal->txn, &state);
    *ret_used_bytes = state.used_bytes;
    *ret_map_bytes = journal->map_bytes;
}

uint64_t journal_names_bytes(const struct journal *journal)
{
    return journal->now.names_bytes;
}

uint64_t journal_blocks_written(const struct journal *journal)
{
    return journal->now.blocks_written;
}

/* LMDB lists its readers only as text, one a line: "pid thread txnid" or "pid thread -". */
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
