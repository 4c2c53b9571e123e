/* SPDX-License-Identifier: Apache-2.0 */
#include "store/journal_base.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/kill_point.h"

enum {
    FILE_MODE = 0600,
    DROP_STEP = 1000, /* blocks deleted in one transaction at open */
    STEPS_PER_CALL = 4096,
};

/* For a file as a whole. Damage inside a file of ours has other words. */
static const char not_ours[] = "not a database of this program";

/* -- opening ----------------------------------------------------------------------------------- */

/* *ret_fresh: there is no database yet. Checked before LMDB opens it: LMDB would create a database
 * or, where it may not, leave a lock file behind. */
static spn_err check_dir(const struct journal_options *options, bool *ret_fresh, bool *ret_short)
{
    struct stat info;
    char path[PATH_MAX];

    if (stat(options->dir, &info) != 0)
        return journal_fail(errno, NULL, options->dir);
    if (!S_ISDIR(info.st_mode))
        return journal_fail(ENOTDIR, NULL, options->dir);
    int size = snprintf(path, sizeof(path), "%s/" JOURNAL_DATA_FILE, options->dir);
    if (size < 0 || (size_t)size >= sizeof(path))
        return journal_fail(ENAMETOOLONG, NULL, options->dir);
    bool there = stat(path, &info) == 0;
    if (!there && (errno != ENOENT || options->read_only))
        return journal_fail(errno, NULL, path);
    *ret_fresh = !there;
    if (there && !S_ISREG(info.st_mode))
        return journal_fail_with(SPN_E_CORRUPT, path, "not a regular file");
    if (there && info.st_size == 0)
        return journal_fail_with(
            SPN_E_CORRUPT, path,
            "empty: it was cut, or never written; remove it to create a new database");
    return there && !options->read_only ? journal_check_size(path, ret_short) : SPN_OK;
}

/* Removes what a failed creation left: it would be taken for another program's file. */
static void remove_unborn(const char *dir)
{
    char path[PATH_MAX];
    int errno_kept = errno;
    snprintf(path, sizeof(path), "%s/" JOURNAL_DATA_FILE, dir);
    (void)unlink(path);
    errno = errno_kept;
}

/* LMDB keeps the lock file open, so its inode is not reused, but does not report which file it is.
 * If no lock file can be made, a reader does without. */
static void note_lock_file(struct journal *journal, const char *dir)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/" JOURNAL_LOCK_FILE, dir);
    (void)file_id_of(AT_FDCWD, path, &journal->lock_file);
}

/* LMDB replaces its map, so nobody may have a page of the old one. */
static int set_map(struct journal *journal, size_t bytes)
{
    MDB_envinfo info;
    int rc = mdb_env_set_mapsize(journal->env, bytes);
    if (rc == 0)
        rc = mdb_env_info(journal->env, &info);
    if (rc == 0)
        journal->map_bytes = info.me_mapsize;
    return rc;
}

/* What the map must have at least. LMDB itself makes it end with the file. Then a file above its
 * quota would have no page for the deletion that makes it smaller. */
static int measure_map(struct journal *journal, size_t reserve, size_t *ret_bytes)
{
    MDB_envinfo info;
    MDB_stat stat;
    int rc = mdb_env_info(journal->env, &info);
    if (rc == 0)
        rc = mdb_env_stat(journal->env, &stat);
    if (rc == 0)
        *ret_bytes = (info.me_last_pgno + 1) * stat.ms_psize + reserve;
    return rc;
}

static int make_reserve(struct journal *journal, const struct journal_options *options)
{
    size_t needed = 0;
    int rc = measure_map(journal, options->reserve, &needed);
    return rc == 0 && needed > journal->map_bytes ? set_map(journal, needed) : rc;
}

static spn_err open_env(struct journal *journal, const struct journal_options *options)
{
    unsigned flags = MDB_NORDAHEAD | MDB_NOTLS | (options->read_only ? MDB_RDONLY : 0);
    MDB_envinfo info;
    int fd = -1;
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
    if (rc == 0)
        rc = mdb_env_get_fd(journal->env, &fd);
    if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH)
        return journal_fail_with(SPN_E_CORRUPT, options->dir, not_ours);
    if (rc != 0)
        return journal_fail(rc, options->dir, options->dir);
    journal->map_bytes = info.me_mapsize;
    rc = options->read_only ? 0 : make_reserve(journal, options);
    if (rc != 0)
        return journal_fail(rc, options->dir, options->dir);
    headroom_init(&journal->headroom, fd, options->headroom_max);
    note_lock_file(journal, options->dir);
    return SPN_OK;
}

static void close_env(struct journal *journal)
{
    pages_close(journal->pages);
    if (journal->env)
        mdb_env_close(journal->env);
}

int journal_begin_or_renew(struct journal *journal, MDB_txn **txn)
{
    return *txn ? mdb_txn_renew(*txn) : mdb_txn_begin(journal->env, NULL, MDB_RDONLY, txn);
}

/* Follows a map that the daemon has made larger than this process has it. Only where nothing else
 * of this process is reading, so not in the daemon, whose own map it is. */
int journal_begin_read(struct journal *journal, MDB_txn **txn)
{
    int rc = journal_begin_or_renew(journal, txn);
    if (rc != MDB_MAP_RESIZED || !journal->read_only)
        return rc;
    rc = mdb_env_set_mapsize(journal->env, 0);
    if (rc == 0 && journal->pages && journal_open_pages(journal) != SPN_OK)
        rc = MDB_CORRUPTED;
    journal->map_gone = rc != 0;
    return rc == 0 ? journal_begin_or_renew(journal, txn) : rc;
}

/* A reader of what is left goes on without it: no rule hides events, and what the index has is not
 * taken for complete. */
static spn_err do_without_meta(struct journal *journal, struct record_meta *ret_meta)
{
    journal->meta_damaged = true;
    *ret_meta = (struct record_meta){.format = RECORD_FORMAT, .next_position = 1};
    return SPN_OK;
}

static spn_err read_meta(struct journal *journal, MDB_txn *txn, struct record_meta *ret_meta)
{
    MDB_val key = val(JOURNAL_META_KEY, sizeof(JOURNAL_META_KEY));
    MDB_val value = {0};
    int rc = mdb_get(txn, journal->dbi[TABLE_META], &key, &value);
    if (rc == MDB_NOTFOUND)
        return journal_fail_with(SPN_E_CORRUPT, "meta", not_ours);
    if (rc != 0)
        return journal_fail(rc, journal->dir, "meta");
    spn_err err = record_get_meta(bytes_of(value), ret_meta);
    if (err == SPN_E_NEWER_FORMAT)
        return journal_fail_with(err, "meta",
                                 "written by a newer version of this program: use that version");
    if (err == SPN_E_OLDER_FORMAT)
        return journal_fail_with(err, "meta",
                                 "written by an older version of this program: dump it with that "
                                 "version, and record the events again with this one");
    if (err == SPN_E_CORRUPT && journal->read_only)
        return do_without_meta(journal, ret_meta);
    if (err != SPN_OK)
        return journal_fail_with(err, "meta", "damaged, or not written by this program");
    return SPN_OK;
}

bool journal_lacks_meta(const struct journal *journal)
{
    return journal->meta_damaged;
}

/* Opens the tables that must be there, meta first. So another program's database and a newer format
 * are recognised before anything is written. */
static spn_err open_tables(struct journal *journal, MDB_txn *txn)
{
    for (size_t i = TABLES; i-- > 0;) {
        unsigned flags = 0;
        int rc =
            mdb_dbi_open(txn, journal_tables[i].name, journal_tables[i].flags, &journal->dbi[i]);
        if (rc == 0)
            rc = mdb_dbi_flags(txn, journal->dbi[i], &flags);
        if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE ||
            (rc == 0 && flags != journal_tables[i].flags))
            return journal_fail_with(SPN_E_CORRUPT, "tables", not_ours);
        if (rc != 0)
            return journal_fail(rc, journal->dir, journal_tables[i].name);
        if (i == TABLE_META) {
            spn_err err = read_meta(journal, txn, &journal->now.meta);
            if (err != SPN_OK)
                return err;
        }
    }
    return SPN_OK;
}

/* Reads what is there. *ret_empty: nothing is there. */
static spn_err identify(struct journal *journal, bool *ret_empty)
{
    MDB_txn *txn = NULL;
    MDB_stat stat;
    spn_err err = SPN_OK;

    int rc = journal_begin_read(journal, &txn);
    if (rc == 0)
        rc = mdb_stat(txn, MAIN_TABLE, &stat);
    if (rc != 0) {
        err = journal_fail(rc, journal->dir, "open");
        goto cleanup;
    }
    *ret_empty = stat.ms_entries == 0;
    if (*ret_empty)
        goto cleanup;
    err = open_tables(journal, txn);
    if (err != SPN_OK)
        goto cleanup;
    rc = journal_measure(journal, txn, &journal->now);
    if (rc == 0) {
        rc = mdb_txn_commit(txn); /* keeps the handles of the tables */
        txn = NULL;
    }
    if (rc != 0)
        err = journal_fail(rc, journal->dir, "open");
cleanup:
    mdb_txn_abort(txn); /* takes NULL */
    return err;
}

static spn_err create_tables(struct journal *journal)
{
    struct record_meta *meta = &journal->now.meta;

    *meta = (struct record_meta){.format = RECORD_FORMAT, .next_position = 1};
    if (getentropy(meta->secret, sizeof(meta->secret)) != 0 ||
        getentropy(meta->database, sizeof(meta->database)) != 0)
        return journal_fail(errno, NULL, "getentropy");
    spn_err err = journal_begin(journal);
    if (err != SPN_OK)
        return err;
    for (size_t i = 0; i < TABLES; i++) {
        int rc = mdb_dbi_open(journal->txn, journal_tables[i].name,
                              journal_tables[i].flags | MDB_CREATE, &journal->dbi[i]);
        if (rc != 0) {
            err = journal_poison(journal, rc, "create");
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

/* A new file survives a power loss once its directory is synced. Done at every start, since the
 * process that created the database may have died in between. We may have no access to the parent;
 * the directory was there before we were. */
spn_err journal_sync_dirs(const char *dir)
{
    int parent_fd = -1;
    spn_err err = SPN_OK;

    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL)) {
        err = journal_fail(errno, dir, "sync directory");
        goto cleanup;
    }
    parent_fd = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent_fd < 0 && errno == EACCES)
        goto cleanup;
    if (parent_fd < 0 || (fsync(parent_fd) != 0 && errno != EINVAL))
        err = journal_fail(errno, dir, "sync parent directory");
cleanup:
    if (parent_fd >= 0)
        close(parent_fd);
    if (fd >= 0)
        close(fd);
    return err;
}

static void tell_progress(const struct journal *journal)
{
    if (journal->went_on)
        journal->went_on(journal->context);
}

/* Works in steps, since deleting needs free pages too. On a full disk even one block may be too
 * many. Then the blocks stay, where no reader looks, until the next segment is written. */
static spn_err drop_unfinished_segment(struct journal *journal)
{
    size_t step = DROP_STEP;
    size_t dropped = 0;

    journal->now.leftovers = true;
    while (journal->now.leftovers) {
        spn_err err = journal_begin(journal);
        if (err == SPN_OK)
            err = journal_drop_leftovers(journal, step, &dropped);
        if (err == SPN_OK && dropped == 0) {
            journal->now.leftovers = false;
            journal_abort(journal); /* nothing to write */
            return SPN_OK;
        }
        if (err == SPN_OK)
            err = journal_commit(journal);
        KILL_POINT_IF(err == SPN_OK, "leftovers_step");
        journal_abort(journal);
        tell_progress(journal);
        if (journal_lacks_room(err) && step > 1)
            step /= 2;
        else if (journal_lacks_room(err))
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
    if (journal->read_only && empty)
        return journal_fail_with(SPN_E_PATH, journal->dir, "no database there yet");
    if (!empty)
        err = journal_check_pages(journal);
    if (err != SPN_OK || journal->read_only)
        return err;
    err = empty ? create_tables(journal) : drop_unfinished_segment(journal);
    if (err != SPN_OK)
        return err;
    return journal_sync_dirs(journal->dir);
}

spn_err journal_open(struct journal **ret_journal, const struct journal_options *options)
{
    struct journal *journal = NULL;
    bool fresh = false;
    bool is_short = false;
    spn_err err = check_dir(options, &fresh, &is_short);
    if (err != SPN_OK)
        goto cleanup;
    journal = calloc(1, sizeof(*journal));
    if (journal) {
        (void)pthread_rwlock_init(&journal->map, NULL);
        journal->dir = strdup(options->dir);
    }
    if (!journal || !journal->dir) {
        err = journal_fail(ENOMEM, NULL, "open");
        goto cleanup;
    }
    journal->read_only = options->read_only;
    journal->went_on = options->went_on;
    journal->context = options->context;
    journal->is_short = is_short;
    err = open_env(journal, options);
    if (err == SPN_OK)
        err = journal_open_pages(journal);
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

void journal_went_on(struct journal *journal)
{
    if (++journal->steps % STEPS_PER_CALL == 0)
        tell_progress(journal);
}

spn_err journal_check_whole(const char *dir)
{
    char path[PATH_MAX];
    const struct journal_options options = {.dir = dir, .read_only = true};
    struct journal journal = {.dir = (char *)dir, .read_only = true};
    snprintf(path, sizeof(path), "%s/" JOURNAL_DATA_FILE, dir);
    spn_err err = journal_check_size(path, &journal.is_short);
    if (err != SPN_OK || !journal.is_short)
        return err;
    err = open_env(&journal, &options);
    if (err == SPN_OK)
        err = journal_open_pages(&journal);
    close_env(&journal);
    return err;
}

static spn_err resize(struct journal *journal, const struct journal_options *options)
{
    size_t needed = 0;
    int rc = measure_map(journal, options->reserve, &needed);
    if (rc == 0)
        rc = set_map(journal, needed > options->size_max ? needed : options->size_max);
    return rc == 0 ? journal_open_pages(journal) : journal_fail(rc, journal->dir, "resize");
}

spn_err journal_resize(struct journal *journal, const struct journal_options *options)
{
    assert(!journal->txn && !journal->read_only);
    (void)pthread_rwlock_wrlock(&journal->map);
    spn_err err = resize(journal, options);
    journal->map_gone = err != SPN_OK;
    (void)pthread_rwlock_unlock(&journal->map);
    if (err == SPN_E_NOMEM) /* not what may pass */
        err = SPN_E_IO;
    if (journal->headroom.bytes_max > 0) /* 0: no room can be made */
        journal->headroom.bytes_max = options->headroom_max;
    return err;
}

const struct journal_damage *journal_damage(const struct journal *journal)
{
    return &journal->damage;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    journal_abort(journal);
    close_env(journal);
    (void)pthread_rwlock_destroy(&journal->map);
    free(journal->dir);
    free(journal);
}
