/* SPDX-License-Identifier: Apache-2.0 */
#include "store/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own_files.h"
#include "store/journal_base.h"

struct pin {
    int fd; /* of a file; -1: the environment has it */
    MDB_env *env;
    MDB_txn *txn;
    struct pages *pages;
};

static spn_err fail_env(int rc, const char *path)
{
    spn_err err = journal_fail(rc, NULL, path);
    return err == SPN_E_PATH && errno == ENOENT ? SPN_E_END : err;
}

static spn_err open_pages(struct pin *pin, int fd, size_t map_size, const char *path)
{
    spn_err err = pages_open(&pin->pages, fd, map_size);
    if (err == SPN_E_CORRUPT)
        return journal_fail_with(err, path, "its first two pages are not those of a database");
    return err == SPN_OK ? SPN_OK : journal_fail(errno, NULL, path);
}

/* LMDB opens both files through links, and writes to the lock file. */
static spn_err check_files(const char *path)
{
    static const char *const names[] = {JOURNAL_DATA_FILE, JOURNAL_LOCK_FILE};
    char file[PATH_MAX + 32];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *reason = own_files_check(path, names[i], S_IFREG);
        snprintf(file, sizeof(file), "%.*s/%s", PATH_MAX, path, names[i]);
        if (reason)
            return journal_fail_with(SPN_E_PATH, file, reason);
    }
    return SPN_OK;
}

/* On a read-only filesystem LMDB has no lock file, and so no table of readers: a daemon that can
 * write to the same files elsewhere would not know of this one. */
static spn_err check_slot(const char *path, const MDB_envinfo *info)
{
    return info->me_numreaders > 0
               ? SPN_OK
               : journal_fail_with(SPN_E_PATH, path,
                                   "on a read-only filesystem, where a sidecar cannot be made to "
                                   "wait: if none runs, name the file data.mdb in it");
}

static spn_err open_dir(struct pin *pin, const char *path)
{
    MDB_envinfo info;
    int fd = -1;
    spn_err err = check_files(path);
    if (err != SPN_OK)
        return err;
    int rc = mdb_env_create(&pin->env);
    if (rc == 0)
        rc = mdb_env_open(pin->env, path, MDB_RDONLY | MDB_NOTLS | MDB_NORDAHEAD, 0600);
    if (rc == 0)
        rc = mdb_txn_begin(pin->env, NULL, MDB_RDONLY, &pin->txn);
    if (rc == 0)
        rc = mdb_env_info(pin->env, &info);
    if (rc == 0)
        rc = mdb_env_get_fd(pin->env, &fd);
    if (rc != 0)
        return fail_env(rc, path);
    err = check_slot(path, &info);
    return err == SPN_OK ? open_pages(pin, fd, info.me_mapsize, path) : err;
}

static spn_err open_file(struct pin *pin, const char *path, const struct stat *info)
{
    if (!S_ISREG(info->st_mode))
        return journal_fail_with(SPN_E_PATH, path, "neither a directory nor a regular file");
    if (info->st_size == 0)
        return journal_fail_with(SPN_E_CORRUPT, path, "empty");
    pin->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (pin->fd < 0)
        return journal_fail(errno, NULL, path);
    return open_pages(pin, pin->fd, (size_t)info->st_size, path);
}

spn_err pin_open(struct pin **ret_pin, const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return fail_env(errno, path);
    struct pin *pin = calloc(1, sizeof(*pin));
    if (!pin)
        return journal_fail(ENOMEM, NULL, path);
    pin->fd = -1;
    spn_err err = S_ISDIR(info.st_mode) ? open_dir(pin, path) : open_file(pin, path, &info);
    if (err != SPN_OK) {
        int errno_kept = errno;
        pin_close(pin);
        errno = errno_kept;
        return err;
    }
    *ret_pin = pin;
    return SPN_OK;
}

void pin_close(struct pin *pin)
{
    if (!pin)
        return;
    pages_close(pin->pages);
    mdb_txn_abort(pin->txn); /* takes NULL */
    if (pin->env)
        mdb_env_close(pin->env);
    if (pin->fd >= 0)
        close(pin->fd);
    free(pin);
}

void pin_let_go(struct pin *pin)
{
    if (pin->txn)
        mdb_txn_reset(pin->txn);
}

struct pages *pin_pages(const struct pin *pin)
{
    return pin->pages;
}

int pin_fd(const struct pin *pin)
{
    int fd = pin->fd;
    if (pin->env)
        (void)mdb_env_get_fd(pin->env, &fd);
    return fd;
}

spn_err pin_snapshot(const struct pin *pin, struct pages_snapshot *ret_snapshot,
                     struct pages_damage *ret_damage)
{
    for (;;) {
        uint64_t txnid = pin->txn ? mdb_txn_id(pin->txn) : 0;
        spn_err err = pages_snapshot(pin->pages, txnid, ret_snapshot, ret_damage);
        if (err != SPN_E_END)
            return err;
        mdb_txn_reset(pin->txn); /* two commits since: its meta page has gone */
        int rc = mdb_txn_renew(pin->txn);
        if (rc != 0)
            return journal_fail(rc, NULL, "begin reading");
    }
}
