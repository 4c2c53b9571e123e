/* SPDX-License-Identifier: Apache-2.0 */
#include "care/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/lockfile.h"
#include "base/own_files.h"
#include "care/placed_file.h"
#include "store/journal.h"
#include "store/pin.h"

enum {
    GO_ON_EVERY = 1 << 20,
    ROOM = 64 << 20, /* in the map, for the one commit */
};

#define WORKSHOP "restore.tmp"

struct restore {
    const char *file;
    const char *dir;
    struct care *care;
    struct placed_file copy;
    char path[PATH_MAX + 32]; /* of the workshop */
    uint64_t total;
    uint64_t looked;
    struct restore_done done;
};

/* -- the directory ----------------------------------------------------------------------------- */

static spn_err fail_there(struct restore *restore, const char *name)
{
    char words[CARE_WHY_SIZE / 2];
    snprintf(words, sizeof(words), "has a %s already: a backup is restored into an empty directory",
             name);
    return care_fail(restore->care, SPN_E_PATH, restore->dir, words);
}

/* Only what the daemon or LMDB leaves beside a database may be there. */
static spn_err check_dir(struct restore *restore)
{
    char path[PATH_MAX + 32];
    struct stat info;
    if (mkdir(restore->dir, 0700) != 0 && errno != EEXIST)
        return care_fail_errno(restore->care, restore->dir);
    if (stat(restore->dir, &info) != 0)
        return care_fail_errno(restore->care, restore->dir);
    if (!S_ISDIR(info.st_mode))
        return care_fail(restore->care, SPN_E_PATH, restore->dir, "not a directory");
    const char *reason = own_files_check_dir(restore->dir);
    if (reason)
        return care_fail(restore->care, SPN_E_PATH, restore->dir, reason);
    snprintf(path, sizeof(path), "%s/data.mdb", restore->dir);
    return lstat(path, &info) == 0 ? fail_there(restore, "data.mdb") : SPN_OK;
}

static spn_err take_lock(struct restore *restore, struct lockfile *lock)
{
    char words[CARE_WHY_SIZE / 2];
    pid_t holder = 0;
    spn_err err = lockfile_take(lock, restore->dir, 0, &holder);
    if (err == SPN_E_IN_USE) {
        snprintf(words, sizeof(words), "a sidecar uses it, pid %ld: stop it first", (long)holder);
        return care_fail(restore->care, err, restore->dir, words);
    }
    return err == SPN_OK ? SPN_OK : care_fail_errno(restore->care, restore->dir);
}

static void remove_in(const char *dir, const char *name)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    (void)unlink(path);
}

/* What an interrupted restore left, too. Keeps errno. */
static void clear_workshop(const struct restore *restore)
{
    int errno_kept = errno;
    remove_in(restore->path, "data.mdb");
    remove_in(restore->path, "lock.mdb");
    (void)rmdir(restore->path);
    errno = errno_kept;
}

/* -- the copy ---------------------------------------------------------------------------------- */

static spn_err write_part(void *owner, uint64_t offset, const void *bytes, size_t size)
{
    struct restore *restore = owner;
    struct care *care = restore->care;
    if (placed_file_write(&restore->copy, offset, bytes, size) != SPN_OK)
        return care_fail_errno(care, restore->dir);
    restore->done.bytes += size;
    if (restore->done.bytes - restore->looked < GO_ON_EVERY)
        return SPN_OK;
    restore->looked = restore->done.bytes;
    if (care->go_on && !care->go_on(care->owner, restore->done.bytes, restore->total))
        return care_fail(care, SPN_E_STOPPING, restore->dir, "interrupted: nothing restored");
    return SPN_OK;
}

static spn_err copy_pages(struct restore *restore, const struct pin *pin, uint64_t *ret_size)
{
    struct pages_snapshot snapshot;
    struct pages_damage damage = {.tree = PAGES_MAIN};
    const struct pages_copy how = {.write = write_part, .owner = restore};
    restore->care->why[0] = '\0';
    spn_err err = pin_snapshot(pin, &snapshot, &damage);
    for (size_t tree = 0; err == SPN_OK && tree < snapshot.count; tree++)
        restore->total += snapshot.trees[tree].used * pages_size(pin_pages(pin));
    if (err == SPN_OK)
        err = pages_copy(pin_pages(pin), &snapshot, &how, ret_size, &damage);
    if (err == SPN_E_CORRUPT && restore->care->why[0] == '\0')
        return care_fail_page(restore->care, restore->file, "the backup", damage.page);
    return err;
}

static spn_err copy(struct restore *restore)
{
    char path[PATH_MAX + 64];
    struct pin *pin;
    uint64_t size = 0;
    spn_err err = pin_open(&pin, restore->file);
    if (err != SPN_OK)
        return care_fail_store(restore->care, err, restore->file);
    snprintf(path, sizeof(path), "%s/data.mdb", restore->path);
    clear_workshop(restore);
    if (mkdir(restore->path, 0700) != 0 || placed_file_begin(&restore->copy, path) != SPN_OK) {
        err = care_fail_errno(restore->care, restore->path);
    } else {
        err = copy_pages(restore, pin, &size);
        if (err == SPN_OK && placed_file_finish(&restore->copy, size) != SPN_OK)
            err = care_fail_errno(restore->care, path);
    }
    pin_close(pin);
    return err;
}

/* -- another database -------------------------------------------------------------------------- */

static spn_err newest_position(struct journal *journal, uint64_t *ret_newest)
{
    struct journal_reader *reader;
    spn_err err = journal_reader_open(&reader, journal);
    if (err != SPN_OK)
        return err;
    err = journal_reader_begin(reader);
    if (err == SPN_OK) {
        uint64_t given = journal_reader_meta(reader)->next_position - 1;
        uint64_t newest = journal_reader_newest(reader);
        *ret_newest = newest > given ? newest : given;
    }
    journal_reader_end(reader);
    journal_reader_close(reader);
    return err;
}

static spn_err renew(struct restore *restore)
{
    struct journal *journal;
    struct stat info;
    char path[PATH_MAX + 64];
    snprintf(path, sizeof(path), "%s/data.mdb", restore->path);
    if (stat(path, &info) != 0)
        return care_fail_errno(restore->care, path);
    const struct journal_options how = {.dir = restore->path,
                                        .size_max = (size_t)info.st_size + ROOM};
    spn_err err = journal_open(&journal, &how);
    if (err != SPN_OK)
        return care_fail_store(restore->care, err, restore->file);
    err = newest_position(journal, &restore->done.newest);
    restore->done.next_position = restore->done.newest + 1 + RESTORE_POSITIONS;
    if (err == SPN_OK)
        err = journal_begin(journal);
    if (err == SPN_OK)
        err = journal_renew(journal, restore->done.next_position);
    if (err == SPN_OK)
        err = journal_commit(journal);
    journal_abort(journal);
    journal_close(journal);
    return err == SPN_OK ? SPN_OK : care_fail_store(restore->care, err, restore->dir);
}

/* -- all of it --------------------------------------------------------------------------------- */

static spn_err place(struct restore *restore)
{
    int dir_fd = open(restore->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return care_fail_errno(restore->care, restore->dir);
    remove_in(restore->dir, "lock.mdb"); /* of a database that was removed */
    spn_err err = placed_file_rename(dir_fd, WORKSHOP "/data.mdb", dir_fd, "data.mdb");
    if (err == SPN_OK && fsync(dir_fd) != 0 && errno != EINVAL)
        err = SPN_E_SYSTEM;
    if (err != SPN_OK)
        err = care_fail_errno(restore->care, restore->dir);
    close(dir_fd);
    care_give_to_owner(restore->dir, "data.mdb");
    return err;
}

static spn_err run(struct restore *restore)
{
    spn_err err = copy(restore);
    placed_file_release(&restore->copy);
    if (err == SPN_OK)
        err = renew(restore);
    if (err == SPN_OK)
        err = place(restore);
    clear_workshop(restore);
    return err;
}

spn_err restore_run(const char *file, const char *dir, struct care *care,
                    struct restore_done *ret_done)
{
    struct lockfile lock = LOCKFILE_INIT;
    struct restore restore = {.file = file, .dir = dir, .care = care, .copy = PLACED_FILE_INIT};
    snprintf(restore.path, sizeof(restore.path), "%s/" WORKSHOP, dir);
    spn_err err = check_dir(&restore);
    if (err == SPN_OK)
        err = take_lock(&restore, &lock);
    if (err != SPN_OK)
        return err;
    care_give_to_owner(dir, LOCKFILE_NAME);
    err = check_dir(&restore); /* again, now that nobody else may make one */
    if (err == SPN_OK)
        err = run(&restore);
    lockfile_release(&lock);
    if (err == SPN_OK)
        *ret_done = restore.done;
    return err;
}
