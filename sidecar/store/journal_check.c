/* SPDX-License-Identifier: Apache-2.0 */
#include "store/journal_base.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    DAMAGES_MAX = 4096, /* leaves that are mended; if there are more, a copy serves better */
    /* Positions that a lost last leaf may have had: LMDB puts no more entries into a page. */
    LEAF_POSITIONS_MAX = 256,
    UNWRITTEN_MAX = 1 << 20, /* bytes of free pages that a file may lack at its end */
};

/* A log of up to this many pages is checked as a whole at the start, which takes 0.1 s. A larger
 * log is checked leaf by leaf when it is read: as a whole it takes a second for each gigabyte, if
 * the disk is fast. */
static const uint64_t log_pages_max = 65536;

/* -- before LMDB opens the file ---------------------------------------------------------------- */

/* The file's size, and that which its newest commit needs; *ret_needed 0: it is not LMDB's. */
static spn_err measure(int fd, const char *path, uint64_t *ret_size, uint64_t *ret_needed)
{
    struct stat info;
    uint64_t map;
    *ret_size = *ret_needed = 0;
    /* The size is read second: a daemon that goes on meanwhile makes the file longer first. */
    spn_err err = pages_measure(fd, ret_needed, &map);
    if (fstat(fd, &info) != 0)
        return journal_fail(errno, NULL, path);
    *ret_size = (uint64_t)info.st_size;
    if (err == SPN_OK || err == SPN_E_END)
        return SPN_OK; /* what is not LMDB's it reports itself */
    return journal_fail_with(err, path, "its first two pages do not fit together: damaged");
}

static spn_err fail_cut(const char *path, uint64_t size, uint64_t needed)
{
    char why[160];
    snprintf(why, sizeof(why), "cut to %llu of %llu bytes: put a whole copy in its place",
             (unsigned long long)size, (unsigned long long)needed);
    return journal_fail_with(SPN_E_CORRUPT, path, why);
}

spn_err journal_check_size(const char *path, bool *ret_short)
{
    uint64_t size, needed;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *ret_short = false;
    if (fd < 0)
        return journal_fail(errno, NULL, path);
    spn_err err = measure(fd, path, &size, &needed);
    close(fd);
    if (err != SPN_OK || size >= needed)
        return err;
    *ret_short = true;
    return needed - size > UNWRITTEN_MAX ? fail_cut(path, size, needed) : SPN_OK;
}

/* -- once LMDB has opened it ------------------------------------------------------------------- */

/* Takes a snapshot whose pages stay as they are while txn goes on. If the list of tables is
 * damaged, it has no others than LMDB's own. */
static int take_snapshot(const struct journal *journal, MDB_txn *txn,
                         struct pages_snapshot *snapshot)
{
    spn_err err;
    *snapshot = (struct pages_snapshot){.count = 0};
    do {
        mdb_txn_reset(txn);
        int rc = mdb_txn_renew(txn);
        if (rc != 0)
            return rc;
        err = pages_snapshot(journal->pages, mdb_txn_id(txn), snapshot, NULL);
    } while (err == SPN_E_END);
    return 0;
}

/* If a file ends before a page that is in use, the first access there is a SIGBUS. */
static spn_err check_end(const struct journal *journal, int fd)
{
    char path[PATH_MAX];
    uint64_t size, needed;
    struct pages_snapshot snapshot;
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(journal->env, NULL, MDB_RDONLY, &txn);
    if (rc == 0)
        rc = take_snapshot(journal, txn, &snapshot);
    bool whole = rc == 0 && pages_are_there(journal->pages, &snapshot);
    mdb_txn_abort(txn); /* takes NULL */
    if (rc != 0)
        return journal_fail(rc, journal->dir, "open");
    if (whole)
        return SPN_OK;
    snprintf(path, sizeof(path), "%s/" JOURNAL_DATA_FILE, journal->dir);
    spn_err err = measure(fd, path, &size, &needed);
    return err == SPN_OK ? fail_cut(path, size, needed) : err;
}

static spn_err fail_page(const struct journal *journal, const struct pages_damage *damage)
{
    char why[120];
    (void)journal;
    snprintf(why, sizeof(why), "page %llu of the %s, and what is below it, cannot be read",
             (unsigned long long)damage->page,
             damage->tree == PAGES_MAIN ? "list of tables" : "index of a table");
    return journal_fail_with(SPN_E_CORRUPT, "damaged", why);
}

spn_err journal_open_pages(struct journal *journal)
{
    MDB_envinfo info;
    struct pages_snapshot snapshot;
    struct pages_damage damage;
    int fd = -1;
    int rc = mdb_env_info(journal->env, &info);
    if (rc == 0)
        rc = mdb_env_get_fd(journal->env, &fd);
    if (rc != 0)
        return journal_fail(rc, journal->dir, "open");
    pages_close(journal->pages);
    journal->pages = NULL;
    spn_err err = pages_open(&journal->pages, fd, info.me_mapsize);
    if (err != SPN_OK)
        return journal_fail_with(err, journal->dir, "its pages cannot be checked");
    pages_on_progress(journal->pages, journal->went_on, journal->context);
    if (journal->is_short)
        err = check_end(journal, fd);
    if (err != SPN_OK)
        return err;
    err = pages_snapshot(journal->pages, 0, &snapshot, &damage);
    return err == SPN_E_CORRUPT ? fail_page(journal, &damage) : err;
}

/* -- at the start ------------------------------------------------------------------------------ */

struct findings {
    struct pages_damage *damages; /* leaves */
    size_t count;
    bool beyond; /* cannot be mended: `worst` is not a leaf, or is one leaf too many */
    struct pages_damage worst;
};

static void note(void *owner, const struct pages_damage *damage)
{
    struct findings *findings = owner;
    struct pages_damage *damages = NULL;
    if (damage->leaf && damage->tree != PAGES_MAIN && findings->count < DAMAGES_MAX)
        damages = realloc(findings->damages, (findings->count + 1) * sizeof(*damages));
    if (!damages) {
        findings->beyond = true;
        findings->worst = *damage;
        return;
    }
    findings->damages = damages;
    damages[findings->count++] = *damage;
}

/* SIZE_MAX: not a table of ours. */
static size_t table_of(const struct journal *journal, size_t tree)
{
    for (size_t table = 0; table < TABLES; table++)
        if (journal->trees[table] == tree)
            return table;
    return SIZE_MAX;
}

static uint64_t number_of(const struct pages_key *key)
{
    uint64_t number;
    memcpy(&number, key->bytes, sizeof(number));
    return number;
}

/* The lowest key that the leaf may have had: its parent's, or one below all keys of the table. */
static struct pages_key mending_key(size_t table, const struct pages_damage *damage)
{
    static const uint8_t sizes[TABLES] = {
        [TABLE_LOG] = 8,        [TABLE_BLOCKS] = BLOCK_KEY_SIZE,
        [TABLE_ROWS] = 8,       [TABLE_PRODUCERS] = RECORD_PRODUCER_ID_SIZE,
        [TABLE_ATTRIBUTES] = 8, [TABLE_NAMES] = 1,
        [TABLE_SEGMENTS] = 8,   [TABLE_META] = 1};
    struct pages_key key = damage->first;
    if (key.size > 0)
        return key;
    memset(key.bytes, 0, sizeof(key.bytes));
    key.size = sizes[table];
    key.bytes[0] = (journal_tables[table].flags & MDB_INTEGERKEY) || table == TABLE_NAMES;
    return key;
}

/* The last leaf may have had positions above those that meta knows to be given. */
static uint64_t end_of_last(const struct journal *journal, uint64_t first)
{
    uint64_t next = journal->now.meta.next_position;
    return (first > next ? first : next) + LEAF_POSITIONS_MAX;
}

/* Replaces a leaf of the log by a value that marks the positions it may have had as lost. */
static spn_err mend_log(struct journal *journal, const struct pages_damage *damage,
                        const struct pages_key *key)
{
    uint8_t value[RECORD_LOST_SIZE_MAX];
    uint64_t first = number_of(key);
    uint64_t end = damage->end.size > 0 ? number_of(&damage->end) : end_of_last(journal, first);
    size_t size = record_put_lost(value, first, end);
    journal->damage.lost_from = journal->damage.lost_from > 0 ? journal->damage.lost_from : first;
    journal->damage.lost_to = end - 1;
    return pages_mend(journal->pages, damage, key, (struct spn_bytes){value, size});
}

static spn_err mend(struct journal *journal, const struct pages_damage *damage)
{
    size_t table = table_of(journal, damage->tree);
    if (table == SIZE_MAX || table == TABLE_META)
        return fail_page(journal, damage);
    journal->damage.leaves[table]++;
    struct pages_key key = mending_key(table, damage);
    if (table == TABLE_LOG)
        return mend_log(journal, damage, &key);
    return pages_mend(journal->pages, damage, &key, (struct spn_bytes){"", PAGES_MARK_SIZE});
}

/* Compares the number of values with LMDB's count, since a leaf of an earlier time looks whole. */
static spn_err compare_counts(struct journal *journal, const struct pages_snapshot *snapshot,
                              const uint64_t *entries)
{
    spn_err err = SPN_OK;
    for (size_t table = 0; table < TABLES && err == SPN_OK; table++) {
        const struct pages_tree *tree = &snapshot->trees[journal->trees[table]];
        uint64_t left = entries[journal->trees[table]];
        uint64_t found = left + journal->damage.leaves[table]; /* a mended leaf has one value */
        if (table == TABLE_LOG && journal->log_unchecked > 0)
            continue;
        journal->damage.missing[table] = tree->entries > left ? tree->entries - left : 0;
        journal->damage.miscounted[table] = tree->entries != left;
        if (tree->entries != found)
            err = pages_mend_count(journal->pages, tree, found);
    }
    return err;
}

static spn_err mend_all(struct journal *journal, const struct pages_snapshot *snapshot,
                        const struct findings *findings, const uint64_t *entries, bool free_whole)
{
    spn_err err = SPN_OK;
    for (size_t i = 0; i < findings->count && err == SPN_OK; i++)
        err = mend(journal, &findings->damages[i]);
    if (err == SPN_OK)
        err = compare_counts(journal, snapshot, entries);
    if (err == SPN_OK && !free_whole) {
        journal->damage.free_list = true;
        err = pages_mend_free(journal->pages, snapshot);
    }
    return err;
}

static bool find_trees(struct journal *journal, const struct pages_snapshot *snapshot)
{
    for (size_t table = 0; table < TABLES; table++) {
        journal->trees[table] = pages_find(snapshot, journal_tables[table].name);
        if (journal->trees[table] == SIZE_MAX)
            return false;
    }
    return true;
}

spn_err journal_check_pages(struct journal *journal)
{
    struct findings findings = {.count = 0};
    struct pages_snapshot snapshot;
    uint64_t entries[PAGES_TREES_MAX];
    uint64_t marks[PAGES_TREES_MAX];
    bool free_whole;
    spn_err err = pages_snapshot(journal->pages, 0, &snapshot, NULL);
    if (err != SPN_OK || !find_trees(journal, &snapshot))
        return journal_fail_with(SPN_E_CORRUPT, "tables", "damaged");
    if (journal->read_only) {
        journal->careful = (1u << TABLES) - 1;
        return SPN_OK; /* each page is checked when it is read */
    }
    size_t log = journal->trees[TABLE_LOG];
    bool large = snapshot.trees[log].used > log_pages_max;
    if (large) {
        journal->careful = 1u << TABLE_LOG;
        journal->log_unchecked = journal->now.meta.next_position;
    }
    err = pages_check(journal->pages, &snapshot, large ? log : SIZE_MAX, note, &findings, entries,
                      marks, &free_whole);
    if (err == SPN_E_CORRUPT)
        err = journal_fail_with(err, "damaged", "two places of the index have the same page");
    else if (err == SPN_OK && findings.beyond)
        err = fail_page(journal, &findings.worst);
    if (err == SPN_OK)
        err = mend_all(journal, &snapshot, &findings, entries, free_whole);
    free(findings.damages);
    journal->damage.blocks_lost = marks[journal->trees[TABLE_BLOCKS]] > 0 ||
                                  journal->damage.leaves[TABLE_BLOCKS] > 0 ||
                                  journal->damage.miscounted[TABLE_BLOCKS];
    return err;
}

/* -- while it is read -------------------------------------------------------------------------- */

/* SPN_E_END: the pages belong to another commit by now; take another snapshot. */
spn_err journal_take_pages(struct journal_reader *reader)
{
    const struct journal *journal = reader->journal;
    if (!journal->careful)
        return SPN_OK;
    spn_err err = pages_snapshot(journal->pages, mdb_txn_id(reader->txn), &reader->pages, NULL);
    reader->looked_first = 1;
    reader->looked_last = 0;
    return err;
}

static bool is_looked_at(const struct journal_reader *reader, enum table table, MDB_val key)
{
    uint64_t number = number_of_key(key);
    return table == TABLE_LOG && number >= reader->looked_first && number <= reader->looked_last;
}

spn_err journal_trust(struct journal_reader *reader, enum table table, MDB_cursor_op op,
                      MDB_val key)
{
    static const uint64_t highest = UINT64_MAX;
    const struct journal *journal = reader->journal;
    struct pages_key last;
    if (!(journal->careful & 1u << table) || op == MDB_NEXT || op == MDB_PREV || op == MDB_FIRST)
        return SPN_OK;
    if (op == MDB_LAST)
        key = val(&highest, sizeof(highest));
    if (is_looked_at(reader, table, key))
        return SPN_OK;
    spn_err err = pages_look(journal->pages, &reader->pages, journal->trees[table], key.mv_data,
                             key.mv_size, &last, &reader->met);
    if (err != SPN_OK) {
        char why[80];
        snprintf(why, sizeof(why), "page %llu is damaged", (unsigned long long)reader->met.page);
        return journal_fail_with(err, journal_tables[table].name, why);
    }
    if (table == TABLE_LOG && last.size > 0) {
        reader->looked_first = number_of_key(key);
        reader->looked_last = number_of(&last);
    }
    return SPN_OK;
}

uint64_t journal_met_first(const struct journal_reader *reader)
{
    return reader->met.first.size > 0 ? number_of(&reader->met.first) : 1;
}

uint64_t journal_met_last(const struct journal_reader *reader)
{
    return reader->met.end.size > 0 ? number_of(&reader->met.end) - 1 : UINT64_MAX;
}

/* -- is it still there ------------------------------------------------------------------------- */

/* Looks by name, as the next start will. If the path cannot be looked at, that proves nothing. */
static bool leads_to(const char *dir, const char *name, const struct file_id *open_file)
{
    char path[PATH_MAX];
    struct file_id there;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (!file_id_of(AT_FDCWD, path, &there))
        return errno != ENOENT && errno != ENOTDIR;
    return file_id_same(&there, open_file);
}

spn_err journal_look(const struct journal *journal)
{
    struct file_id data;
    if (!file_id_of(journal->headroom.fd, "", &data))
        return SPN_OK;
    if (data.links > 0 && leads_to(journal->dir, JOURNAL_DATA_FILE, &data) &&
        leads_to(journal->dir, JOURNAL_LOCK_FILE, &journal->lock_file))
        return SPN_OK;
    return journal_fail_with(SPN_E_GONE, journal->dir, "removed or replaced while in use");
}
