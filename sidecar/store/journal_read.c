/* SPDX-License-Identifier: Apache-2.0 */
#include "store/journal_base.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* -- reading ----------------------------------------------------------------------------------- */

/* LMDB reads the number of the newest commit, and then the meta page that belongs to it. If a
 * reader is delayed in between, that page may be two commits newer: it then belongs to a commit
 * that has not returned yet and may not be on disk, but the snapshot has the number of one that has
 * returned. The next snapshot would be an older one (seen with 0.9.24: once in a million snapshots,
 * beside commits that did not wait for the disk). Such a page is written only after the number has
 * moved. So if a second transaction, begun afterwards, still has the same number, the snapshot is
 * the commit with that number. */
static int begin_snapshot(struct journal_reader *reader)
{
    if (reader->journal->map_gone)
        return EIO;
    for (;;) {
        int rc = journal_begin_read(reader->journal, &reader->txn);
        if (rc != 0)
            return rc;
        rc = journal_begin_or_renew(reader->journal, &reader->probe);
        bool same = rc == 0 && mdb_txn_id(reader->probe) == mdb_txn_id(reader->txn);
        if (rc == 0)
            mdb_txn_reset(reader->probe);
        spn_err err = same ? journal_take_pages(reader) : SPN_E_END;
        if (err == SPN_OK)
            return 0;
        if (err == SPN_E_CORRUPT)
            rc = MDB_CORRUPTED;
        mdb_txn_reset(reader->txn);
        if (rc != 0 && rc != MDB_MAP_RESIZED)
            return rc;
    }
}

spn_err journal_reader_open(struct journal_reader **ret_reader, struct journal *journal)
{
    struct journal_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return journal_fail(ENOMEM, NULL, "open reader");
    reader->journal = journal;
    (void)pthread_rwlock_rdlock(&journal->map);
    /* Begun once here, so that the slots in LMDB's reader table are ours from now on. */
    int rc = begin_snapshot(reader);
    for (size_t i = 0; rc == 0 && i < TABLES; i++)
        rc = mdb_cursor_open(reader->txn, journal->dbi[i], &reader->cursors[i]);
    if (rc == 0)
        mdb_txn_reset(reader->txn);
    (void)pthread_rwlock_unlock(&journal->map);
    if (rc != 0) {
        journal_reader_close(reader);
        return journal_fail(rc, journal->dir, "open reader");
    }
    *ret_reader = reader;
    return SPN_OK;
}

static void drop_txn(struct journal_reader *reader)
{
    for (size_t i = 0; i < TABLES; i++) {
        if (reader->cursors[i])
            mdb_cursor_close(reader->cursors[i]);
        reader->cursors[i] = NULL;
    }
    mdb_txn_abort(reader->txn); /* takes NULL */
    reader->txn = NULL;
}

void journal_reader_end(struct journal_reader *reader)
{
    if (!reader->active)
        return;
    if (reader->condemned)
        drop_txn(reader);
    else
        mdb_txn_reset(reader->txn);
    reader->condemned = false;
    reader->active = false;
    (void)pthread_rwlock_unlock(&reader->journal->map);
}

void journal_reader_close(struct journal_reader *reader)
{
    if (!reader)
        return;
    journal_reader_end(reader);
    drop_txn(reader);
    mdb_txn_abort(reader->probe);
    free(reader);
}

/* The table's cursor in this snapshot. */
static int take_cursor(struct journal_reader *reader, enum table table, MDB_cursor **ret_cursor)
{
    MDB_cursor **cursor = &reader->cursors[table];
    int rc = 0;
    if (!*cursor)
        rc = mdb_cursor_open(reader->txn, reader->journal->dbi[table], cursor);
    else if (!(reader->renewed & 1u << table))
        rc = mdb_cursor_renew(reader->txn, *cursor);
    if (rc != 0)
        return rc;
    reader->renewed |= 1u << table;
    *ret_cursor = *cursor;
    return 0;
}

static spn_err seek(struct journal_reader *reader, enum table table, MDB_cursor_op op, MDB_val *key,
                    MDB_val *value)
{
    MDB_cursor *cursor = NULL;

    assert(reader->active);
    spn_err err = journal_trust(reader, table, op, *key);
    if (err != SPN_OK)
        return err;
    int rc = take_cursor(reader, table, &cursor);
    if (rc == 0)
        rc = mdb_cursor_get(cursor, key, value, op);
    if (table == TABLE_LOG)
        reader->log_at = rc == 0 ? number_of_key(*key) : 0;
    if (rc == 0)
        return SPN_OK;
    if (rc == MDB_NOTFOUND)
        return SPN_E_END;
    reader->condemned = true;
    return journal_fail(rc, reader->journal->dir, journal_tables[table].name);
}

/* Returns what a decoder found, adds words if it found damage, and counts the value. */
static spn_err looked_at(struct journal_reader *reader, spn_err err, enum table table)
{
    reader->reads++;
    if (err != SPN_OK)
        return journal_fail_with(err, journal_tables[table].name, "a value is damaged");
    return SPN_OK;
}

/* Guesses the newest position if the end of the log cannot be read: what is before it may be all
 * that is left. Not for the daemon's own reads: its database was mended when it started. */
static spn_err guess_newest(struct journal_reader *reader, spn_err err)
{
    if (!reader->journal->read_only || reader->condemned)
        return err;
    uint64_t given = reader->meta.next_position - 1;
    uint64_t lost = journal_met_first(reader);
    reader->newest = reader->newest > given ? reader->newest : given;
    reader->newest = reader->newest > lost ? reader->newest : lost;
    return SPN_OK;
}

static spn_err look_around(struct journal_reader *reader)
{
    MDB_val key = val(JOURNAL_META_KEY, sizeof(JOURNAL_META_KEY));
    MDB_val value = {0};
    spn_err err = seek(reader, TABLE_META, MDB_SET_KEY, &key, &value);
    if (err == SPN_E_END)
        return journal_fail_with(SPN_E_CORRUPT, "meta", "gone");
    if (err != SPN_OK)
        return err;
    /* The journal is open, so its format is ours: another number is damage. */
    err = record_get_meta(bytes_of(value), &reader->meta);
    if (err != SPN_OK && reader->journal->meta_damaged)
        reader->meta = reader->journal->now.meta;
    else if (err != SPN_OK)
        return journal_fail_with(SPN_E_CORRUPT, "meta", "damaged");
    /* Entries up to the checkpoint may have been trimmed, but they were on disk. */
    reader->newest = reader->meta.checkpoint;
    err = seek(reader, TABLE_LOG, MDB_LAST, &key, &value);
    if (err == SPN_OK && number_of_key(key) > reader->newest)
        reader->newest = number_of_key(key);
    if (err == SPN_E_CORRUPT)
        err = guess_newest(reader, err);
    return err == SPN_E_END ? SPN_OK : err;
}

spn_err journal_reader_begin(struct journal_reader *reader)
{
    assert(!reader->active);
    (void)pthread_rwlock_rdlock(&reader->journal->map);
    int rc = begin_snapshot(reader);
    if (rc != 0) {
        (void)pthread_rwlock_unlock(&reader->journal->map);
        return journal_fail(rc, reader->journal->dir, "begin reading");
    }
    reader->active = true;
    reader->renewed = 0;
    reader->log_at = 0;
    spn_err err = look_around(reader);
    if (err != SPN_OK)
        journal_reader_end(reader);
    return err;
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

/* Whether this position, which has no entry, was lost to damage. */
static spn_err ask_lost(struct journal_reader *reader, uint64_t position, uint64_t *ret_end)
{
    MDB_val key = val(&position, sizeof(position));
    MDB_val value = {0};
    uint64_t before = position - 1;
    spn_err err = journal_trust(reader, TABLE_LOG, MDB_SET, val(&before, sizeof(before)));
    if (err == SPN_OK)
        err = seek(reader, TABLE_LOG, MDB_SET_RANGE, &key, &value);
    if (err == SPN_OK)
        err = seek(reader, TABLE_LOG, MDB_PREV, &key, &value);
    else if (err == SPN_E_END)
        err = seek(reader, TABLE_LOG, MDB_LAST, &key, &value);
    if (err == SPN_OK)
        err = record_get_lost(bytes_of(value), number_of_key(key), ret_end);
    if (err != SPN_OK)
        return err;
    return *ret_end > position ? journal_fail_with(SPN_E_CORRUPT, "log", "lost to damage")
                               : SPN_E_END;
}

spn_err journal_read_entry(struct journal_reader *reader, uint64_t position,
                           struct record_entry *ret_entry)
{
    MDB_val key = val(&position, sizeof(position));
    MDB_val value = {0};
    uint64_t end;
    spn_err err = seek(reader, TABLE_LOG, MDB_SET, &key, &value);
    if (err == SPN_E_END)
        return ask_lost(reader, position, &end);
    if (err != SPN_OK)
        return err;
    err = record_get_entry(bytes_of(value), position, ret_entry);
    return looked_at(reader, err, TABLE_LOG);
}

/* The last damaged position at this key: the key itself, or a later one if damage took more. */
static uint64_t last_damaged(uint64_t found, MDB_val value)
{
    uint64_t end = 0;
    return record_get_lost(bytes_of(value), found, &end) == SPN_OK ? end - 1 : found;
}

/* The last position of the damage just found, which may extend to the end of the log. */
static uint64_t last_met(const struct journal_reader *reader, uint64_t position)
{
    uint64_t last = reader->condemned ? position : journal_met_last(reader);
    if (last > reader->newest)
        last = reader->newest;
    return last > position ? last : position;
}

/* How the cursor gets to this position of the log, or to the next one that has an entry. A step
 * costs much less than a search. Where leaves are checked before they are read, a step must not
 * leave the leaf that was checked. */
static MDB_cursor_op way_to(const struct journal_reader *reader, uint64_t position)
{
    bool careful = (reader->journal->careful & 1u << TABLE_LOG) != 0;
    bool checked = position >= reader->looked_first && position <= reader->looked_last;
    bool next = reader->log_at > 0 && reader->log_at + 1 == position;
    return next && (checked || !careful) ? MDB_NEXT : MDB_SET_RANGE;
}

spn_err journal_read_entry_from(struct journal_reader *reader, uint64_t position,
                                uint64_t *ret_position, struct record_entry *ret_entry)
{
    MDB_val key = val(&position, sizeof(position));
    MDB_val value = {0};
    uint64_t end = 0;
    spn_err err = seek(reader, TABLE_LOG, way_to(reader, position), &key, &value);
    if (err == SPN_E_CORRUPT)
        *ret_position = last_met(reader, position);
    if (err != SPN_OK)
        return err;
    uint64_t found = number_of_key(key);
    *ret_position = position;
    if (found < position) /* a damaged tree must not lead a walk in circles */
        return journal_fail_with(SPN_E_CORRUPT, journal_tables[TABLE_LOG].name,
                                 "positions do not ascend");
    if (found > position && ask_lost(reader, position, &end) == SPN_E_CORRUPT) {
        *ret_position = end > position ? end - 1 : position;
        return SPN_E_CORRUPT;
    }
    err = record_get_entry(bytes_of(value), found, ret_entry);
    *ret_position = err == SPN_OK ? found : last_damaged(found, value);
    return looked_at(reader, err, TABLE_LOG);
}

uint64_t journal_guess_epoch(struct journal_reader *reader, uint64_t position)
{
    MDB_val key = val(&position, sizeof(position));
    MDB_val value = {0};
    if (seek(reader, TABLE_LOG, MDB_SET, &key, &value) != SPN_OK)
        return 0;
    return record_guess_epoch(bytes_of(value), position);
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

static bool is_greater(MDB_val key, MDB_val than)
{
    size_t shorter = key.mv_size < than.mv_size ? key.mv_size : than.mv_size;
    int order = memcmp(key.mv_data, than.mv_data, shorter);
    return order > 0 || (order == 0 && key.mv_size > than.mv_size);
}

/* Returns in *key the first key greater than *key. */
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
    if (err == SPN_OK && !is_greater(*key, after)) /* a walk must not go in circles */
        return journal_fail_with(SPN_E_CORRUPT, journal_tables[table].name, "keys do not ascend");
    return err;
}

spn_err journal_read_name_after(struct journal_reader *reader, struct spn_bytes after,
                                struct spn_bytes *ret_name, uint64_t *ret_epoch)
{
    MDB_val key = val(after.data, after.size);
    MDB_val value = {0};
    if (after.size > KEY_SIZE_MAX)
        return journal_fail_with(SPN_E_INVALID, "names", "too long");
    spn_err err = seek_after(reader, TABLE_NAMES, &key, &value);
    if (err != SPN_OK)
        return err;
    *ret_name = bytes_of(key);
    return looked_at(reader, record_get_name(bytes_of(value), *ret_name, ret_epoch), TABLE_NAMES);
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

static bool is_known(const struct spn_life *life)
{
    static const struct spn_life unknown;
    return memcmp(life->bytes, unknown.bytes, sizeof(unknown.bytes)) != 0;
}

spn_err journal_read_life(struct journal_reader *reader, uint64_t epoch, struct spn_life *ret_life)
{
    struct record_row row;
    struct record_entry open = {.kind = 0};
    spn_err err = journal_read_row(reader, epoch, &row);
    if (err == SPN_OK && is_known(&row.life)) {
        *ret_life = row.life;
        return SPN_OK;
    }
    if (err == SPN_OK || err == SPN_E_END || err == SPN_E_CORRUPT)
        err = journal_read_entry(reader, epoch, &open);
    if (err == SPN_OK && open.kind == RECORD_OPEN)
        *ret_life = open.life;
    return (err == SPN_OK && open.kind != RECORD_OPEN) || err == SPN_E_CORRUPT ? SPN_E_END : err;
}

spn_err journal_read_attributes(struct journal_reader *reader, uint64_t epoch,
                                struct record_attributes *ret_attributes)
{
    MDB_val key = val(&epoch, sizeof(epoch));
    MDB_val value = {0};
    spn_err err = seek(reader, TABLE_ATTRIBUTES, MDB_SET, &key, &value);
    if (err != SPN_OK)
        return err;
    err = record_get_attributes(bytes_of(value), epoch, ret_attributes);
    return looked_at(reader, err, TABLE_ATTRIBUTES);
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
    if (err == SPN_OK && number_of_key(key) < from)
        return journal_fail_with(SPN_E_CORRUPT, journal_tables[table].name, "keys do not ascend");
    if (err == SPN_OK)
        *ret_number = number_of_key(key);
    return err;
}

spn_err journal_read_attributes_after(struct journal_reader *reader, uint64_t after,
                                      uint64_t *ret_epoch)
{
    MDB_val value = {0};
    return seek_number_after(reader, TABLE_ATTRIBUTES, after, ret_epoch, &value);
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
    memcpy(id, key.mv_data, RECORD_PRODUCER_ID_SIZE);
    err = record_get_producer(bytes_of(value), id, runs, ret_producer);
    return looked_at(reader, err, TABLE_PRODUCERS);
}

/* -- reading blocks ---------------------------------------------------------------------------- */

uint32_t journal_row_segment(const struct journal_reader *reader, const struct record_row *row)
{
    return row->segment <= reader->meta.segment ? row->segment : row->segment_before;
}

/* The block at the cursor's key, if it belongs to this segment and session. */
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

/* MDB_SET_RANGE for the walk over a segment. The wanted key is mostly the one after the cursor's,
 * which spares LMDB the search in the page. Not for a careful table: the next key may be another
 * than the wanted one, and reading it would meet the damage of its page. */
static spn_err seek_block_onward(struct journal_reader *reader, MDB_val *key, MDB_val *value)
{
    const unsigned bit = 1u << TABLE_BLOCKS;
    MDB_dbi dbi = reader->journal->dbi[TABLE_BLOCKS];
    MDB_cursor *cursor = reader->cursors[TABLE_BLOCKS];
    MDB_val at = {0};
    bool stands = cursor && (reader->renewed & bit) && !(reader->journal->careful & bit) &&
                  mdb_cursor_get(cursor, &at, value, MDB_GET_CURRENT) == 0;
    if (stands && mdb_cmp(reader->txn, dbi, key, &at) > 0 &&
        mdb_cursor_get(cursor, &at, value, MDB_NEXT) == 0 &&
        mdb_cmp(reader->txn, dbi, key, &at) <= 0) {
        *key = at;
        return SPN_OK;
    }
    return seek(reader, TABLE_BLOCKS, MDB_SET_RANGE, key, value);
}

spn_err journal_read_segment_block(struct journal_reader *reader, uint32_t segment, uint64_t epoch,
                                   uint64_t seq, uint64_t *ret_epoch,
                                   struct record_block *ret_block)
{
    uint8_t wanted[BLOCK_KEY_SIZE];
    MDB_val key = val(wanted, sizeof(wanted));
    MDB_val value = {0};

    put_block_key(wanted, segment, epoch, seq);
    spn_err err = seek_block_onward(reader, &key, &value);
    if (err != SPN_OK)
        return err;
    if (key.mv_size != BLOCK_KEY_SIZE)
        return looked_at(reader, SPN_E_CORRUPT, TABLE_BLOCKS);
    if (segment_of_block_key(key.mv_data) != segment)
        return SPN_E_END;
    *ret_epoch = epoch_of_block_key(key.mv_data);
    return take_block(reader, segment, *ret_epoch, key, value, ret_block);
}
