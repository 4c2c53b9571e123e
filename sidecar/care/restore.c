/* SPDX-License-Identifier: Apache-2.0 */
#include "care/restore.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "care/placed_file.h"
#include "care/verify.h"
#include "care/workshop.h"
#include "store/journal.h"
#include "store/pin.h"

enum {
    GO_ON_EVERY = 1 << 20,
    ROOM = 64 << 20, /* in the map, for the one commit */
};

struct restore {
    const char *file;
    const char *dir;
    struct care *care;
    struct placed_file copy;
    struct workshop workshop;
    uint64_t checked; /* bytes */
    uint64_t total;   /* to be copied */
    uint64_t looked;
    char finding[CARE_WHY_SIZE / 4]; /* the first one */
    struct restore_done done;
};

/* -- is the backup whole ----------------------------------------------------------------------- */

static void keep_first(void *owner, const char *words)
{
    struct restore *restore = owner;
    if (restore->finding[0] == '\0')
        snprintf(restore->finding, sizeof(restore->finding), "%s", words);
}

/* The copy is as long again. */
static bool go_on_check(void *owner, uint64_t done, uint64_t total)
{
    const struct care *care = ((struct restore *)owner)->care;
    return !care->go_on || care->go_on(care->owner, done, 2 * total);
}

static spn_err fail_damaged(struct restore *restore, const char *words)
{
    char why[CARE_WHY_SIZE / 2];
    snprintf(why, sizeof(why),
             "damaged: %.160s: `sponson verify` lists the damage, `sponson salvage` saves the rest",
             words);
    return care_fail(restore->care, SPN_E_CORRUPT, restore->file, why);
}

/* The marks of a database that was mended are part of what was backed up. */
static spn_err check(struct restore *restore)
{
    struct verify_found found;
    struct care care = {.go_on = go_on_check, .owner = restore};
    spn_err err = verify_run(restore->file, keep_first, restore, &care, &found);
    restore->checked = found.bytes;
    if (err == SPN_OK)
        return found.findings > found.lost ? fail_damaged(restore, restore->finding) : SPN_OK;
    memcpy(restore->care->why, care.why, sizeof(care.why));
    return err;
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
    if (care->go_on && !care->go_on(care->owner, restore->checked + restore->done.bytes,
                                    restore->checked + restore->total))
        return care_fail(care, SPN_E_STOPPING, restore->dir, "interrupted: nothing restored");
    return SPN_OK;
}

/* A size that is wrong would make the database as large. */
static spn_err check_size(struct restore *restore, const struct pin *pin)
{
    struct stat info;
    uint64_t needed, map;
    if (fstat(pin_fd(pin), &info) != 0)
        return care_fail_errno(restore->care, restore->file);
    pages_now(pin_pages(pin), &needed, &map);
    return needed <= (uint64_t)info.st_size ? SPN_OK : fail_damaged(restore, "its end is missing");
}

static spn_err copy_pages(struct restore *restore, const struct pin *pin, uint64_t *ret_size)
{
    struct pages_snapshot snapshot;
    struct pages_damage damage = {.tree = PAGES_MAIN};
    const struct pages_copy how = {.write = write_part, .owner = restore};
    restore->care->why[0] = '\0';
    spn_err err = check_size(restore, pin);
    if (err == SPN_OK)
        err = pin_snapshot(pin, &snapshot, &damage);
    if (err == SPN_OK)
        restore->total = pages_used_bytes(pin_pages(pin), &snapshot, false);
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
    snprintf(path, sizeof(path), "%s/data.mdb", restore->workshop.path);
    if (placed_file_begin(&restore->copy, path) != SPN_OK) {
        err = care_fail_errno(restore->care, restore->workshop.path);
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

/* Opening it has mended what was damaged, so that would be missing without a word. */
static spn_err check_mended(struct restore *restore, const struct journal *journal)
{
    const struct journal_damage *damage = journal_damage(journal);
    bool any = damage->lost_from > 0 || damage->free_list;
    for (size_t i = 0; i < JOURNAL_TABLES; i++)
        any = any || damage->leaves[i] > 0 || damage->miscounted[i];
    return any ? fail_damaged(restore, "values are missing") : SPN_OK;
}

static spn_err renew(struct restore *restore)
{
    struct journal *journal;
    struct stat info;
    char path[PATH_MAX + 64];
    snprintf(path, sizeof(path), "%s/data.mdb", restore->workshop.path);
    if (stat(path, &info) != 0)
        return care_fail_errno(restore->care, path);
    const struct journal_options how = {.dir = restore->workshop.path,
                                        .size_max = (size_t)info.st_size + ROOM};
    spn_err err = journal_open(&journal, &how);
    if (err != SPN_OK)
        return care_fail_store(restore->care, err, restore->file);
    err = check_mended(restore, journal);
    if (err != SPN_OK)
        goto cleanup;
    err = newest_position(journal, &restore->done.newest);
    restore->done.next_position = restore->done.newest + 1 + WORKSHOP_POSITIONS;
    if (err == SPN_OK)
        err = journal_begin(journal);
    if (err == SPN_OK)
        err = journal_renew(journal, restore->done.next_position);
    if (err == SPN_OK)
        err = journal_commit(journal);
    if (err != SPN_OK)
        err = care_fail_store(restore->care, err, restore->dir);
cleanup:
    journal_abort(journal);
    journal_close(journal);
    return err;
}

/* -- all of it --------------------------------------------------------------------------------- */

static spn_err run(struct restore *restore)
{
    spn_err err = check(restore);
    if (err == SPN_OK)
        err = copy(restore);
    placed_file_release(&restore->copy);
    if (err == SPN_OK)
        err = renew(restore);
    return err == SPN_OK ? workshop_finish(&restore->workshop) : err;
}

spn_err restore_run(const char *file, const char *dir, struct care *care,
                    struct restore_done *ret_done)
{
    struct restore restore = {.file = file, .dir = dir, .care = care, .copy = PLACED_FILE_INIT};
    spn_err err = workshop_begin(&restore.workshop, dir, care);
    if (err == SPN_OK)
        err = run(&restore);
    workshop_release(&restore.workshop);
    if (err == SPN_OK)
        *ret_done = restore.done;
    return err;
}
