/* SPDX-License-Identifier: Apache-2.0 */
/* journal_base: the tables, and the errors of LMDB in our words. */
#include "store/journal_base.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>

/* A commit fails with EIO also when the disk was full, since LMDB reports a short write as EIO. If
 * less than this is left, the disk was full. */
static const uint64_t room_bytes_min = 1024 * 1024;

const struct journal_table journal_tables[TABLES] = {
#define TABLE_ROW(name, text, flags) {text, flags},
    TABLE_MAP(TABLE_ROW)
#undef TABLE_ROW
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
    case MDB_MAP_FULL: /* the map is as large as the quota and its reserve */
        return SPN_E_QUOTA_FULL;
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
    case MDB_BAD_TXN: /* LMDB condemns a transaction after damage: later calls fail this way */
        return SPN_E_CORRUPT;
    case MDB_KEYEXIST: /* MDB_APPEND: the key does not ascend */
    case MDB_BAD_VALSIZE:
        return SPN_E_INVALID;
    case MDB_READERS_FULL:
    case EAGAIN: /* LMDB locks by process id: a process of another namespace has the same one */
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

bool journal_lacks_room(spn_err err)
{
    return err == SPN_E_DISK_FULL || err == SPN_E_QUOTA_FULL;
}

/* In containers, unrelated processes can have the same id. */
static const char same_pid[] =
    "a process in another container has it open with the same process id, by which LMDB locks: "
    "wait until it has ended, or start with another process id";

/* rc: of LMDB, or an errno. Leaves the words in detail and an errno in errno. */
spn_err journal_fail(int rc, const char *dir, const char *doing)
{
    assert(rc != 0);
    spn_err err = code_of(rc, dir);
    const char *why = rc == EAGAIN ? same_pid : mdb_strerror(rc);
    snprintf(detail, sizeof(detail), "%.344s: %.160s", doing, why);
    if (rc > 0)
        errno = rc;
    return err;
}

spn_err journal_fail_with(spn_err err, const char *doing, const char *what)
{
    snprintf(detail, sizeof(detail), "%.384s: %.120s", doing, what);
    return err;
}
