/* SPDX-License-Identifier: Apache-2.0 */
#include "care/backup.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "care/placed_file.h"
#include "store/pin.h"

enum {
    GO_ON_EVERY = 256 * 1024, /* bytes */
    LOOK_EVERY_MS = 10,       /* between two looks at the database's size */
};

struct backup {
    const struct backup_options *options;
    struct care *care;
    struct placed_file file;
    struct pin *pin;
    uint64_t total;
    uint64_t done;
    uint64_t asked;  /* `done` when go_on was called last */
    uint64_t needed; /* by the database when it began */
    uint64_t growth_max;
    atomic_ullong grown;
    atomic_bool over; /* it has grown too much: the commit is not held any more */
    pthread_t watcher;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stopping; /* under the mutex */
};

/* Half of the room is left to the daemon, unless other figures were given; a quarter always. */
static void choose_growth(struct backup *backup)
{
    uint64_t map;
    pages_now(pin_pages(backup->pin), &backup->needed, &map);
    uint64_t room = map > backup->needed ? map - backup->needed : 0;
    uint64_t given = backup->options->growth_max;
    uint64_t most = room / 4 * 3;
    backup->growth_max = given == 0 ? room / 2 : given < most ? given : most;
}

static spn_err fail_grown(struct backup *backup)
{
    char words[300];
    snprintf(words, sizeof(words),
             "given up: the database has grown by %llu bytes meanwhile, and --max-growth allows "
             "%llu; try again when less is written, to a faster disk, or with a larger --quota",
             atomic_load(&backup->grown), (unsigned long long)backup->growth_max);
    return care_fail(backup->care, SPN_E_QUOTA_FULL, backup->options->file, words);
}

/* -- the watcher ------------------------------------------------------------------------------- */

static void look(struct backup *backup)
{
    uint64_t needed, map;
    pages_now(pin_pages(backup->pin), &needed, &map);
    atomic_store(&backup->grown, needed > backup->needed ? needed - backup->needed : 0);
    if (atomic_load(&backup->grown) <= backup->growth_max || atomic_load(&backup->over))
        return;
    atomic_store(&backup->over, true);
    pin_let_go(backup->pin);
}

/* A thread of its own: writing to a slow disk may stand still for long, and the daemon must not
 * stand still with it. */
static void *watch(void *argument)
{
    struct backup *backup = argument;
    struct timespec due;
    pthread_mutex_lock(&backup->mutex);
    while (!backup->stopping) {
        look(backup);
        clock_gettime(CLOCK_MONOTONIC, &due);
        due.tv_nsec += LOOK_EVERY_MS * 1000000l;
        due.tv_sec += due.tv_nsec / 1000000000l;
        due.tv_nsec %= 1000000000l;
        (void)pthread_cond_timedwait(&backup->wake, &backup->mutex, &due);
    }
    pthread_mutex_unlock(&backup->mutex);
    return NULL;
}

static void stop_watching(struct backup *backup)
{
    pthread_mutex_lock(&backup->mutex);
    backup->stopping = true;
    pthread_cond_signal(&backup->wake);
    pthread_mutex_unlock(&backup->mutex);
    (void)pthread_join(backup->watcher, NULL);
}

/* -- the copy ---------------------------------------------------------------------------------- */

static spn_err write_part(void *owner, uint64_t offset, const void *bytes, size_t size)
{
    struct backup *backup = owner;
    struct care *care = backup->care;
    if (atomic_load(&backup->over))
        return fail_grown(backup);
    if (placed_file_write(&backup->file, offset, bytes, size) != SPN_OK)
        return care_fail_errno(care, backup->options->file);
    backup->done += size;
    if (backup->done - backup->asked < GO_ON_EVERY)
        return SPN_OK;
    backup->asked = backup->done;
    if (care->go_on && !care->go_on(care->owner, backup->done, backup->total))
        return care_fail(care, SPN_E_STOPPING, backup->options->file, "interrupted: not made");
    return SPN_OK;
}

static spn_err copy(struct backup *backup, uint64_t *ret_size)
{
    const struct backup_options *options = backup->options;
    struct pages_snapshot snapshot;
    struct pages_damage damage = {.tree = PAGES_MAIN};
    const struct pages_copy how = {
        .compact = options->compact, .write = write_part, .owner = backup};
    spn_err err = pin_snapshot(backup->pin, &snapshot, &damage);
    if (err == SPN_E_CORRUPT)
        return care_fail_page(backup->care, options->dir, "the list of tables", damage.page);
    if (err != SPN_OK)
        return care_fail_store(backup->care, err, options->dir);
    const struct pages *pages = pin_pages(backup->pin);
    backup->total = pages_used_bytes(pages, &snapshot, options->compact);
    choose_growth(backup);
    backup->care->why[0] = '\0';
    if (pthread_create(&backup->watcher, NULL, watch, backup) != 0)
        return care_fail(backup->care, SPN_E_SYSTEM, options->file, "no thread could be made");
    err = pages_copy(pages, &snapshot, &how, ret_size, &damage);
    stop_watching(backup);
    look(backup);
    if (atomic_load(&backup->over))
        return fail_grown(backup);
    if (err == SPN_E_CORRUPT && backup->care->why[0] == '\0')
        return care_fail_page(backup->care, options->dir, "the database", damage.page);
    return err;
}

/* The pages are let go before the copy reaches the disk, which may take long. */
static spn_err make(struct backup *backup, struct backup_done *ret_done)
{
    const struct backup_options *options = backup->options;
    uint64_t size = 0;
    spn_err err = pin_open(&backup->pin, options->dir);
    if (err != SPN_OK)
        return care_fail_store(backup->care, err, options->dir);
    if (placed_file_begin(&backup->file, options->file) != SPN_OK)
        return errno == EEXIST ? care_fail(backup->care, SPN_E_SYSTEM, options->file,
                                           "there already, and not replaced")
                               : care_fail_errno(backup->care, options->file);
    err = copy(backup, &size);
    pin_close(backup->pin);
    backup->pin = NULL;
    if (err == SPN_OK && placed_file_finish(&backup->file, size) != SPN_OK)
        err = care_fail_errno(backup->care, options->file);
    if (err == SPN_OK)
        *ret_done =
            (struct backup_done){.bytes = backup->done, .grown = atomic_load(&backup->grown)};
    return err;
}

spn_err backup_make(const struct backup_options *options, struct care *care,
                    struct backup_done *ret_done)
{
    struct backup backup = {.options = options,
                            .care = care,
                            .file = PLACED_FILE_INIT,
                            .mutex = PTHREAD_MUTEX_INITIALIZER};
    pthread_condattr_t monotonic; /* nobody sets that clock back in the middle of a backup */
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&backup.wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    spn_err err = make(&backup, ret_done);
    (void)pthread_cond_destroy(&backup.wake);
    placed_file_release(&backup.file);
    pin_close(backup.pin);
    return err;
}
