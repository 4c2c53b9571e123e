/* SPDX-License-Identifier: Apache-2.0 */
/* test_backup: a backup that stands still, as on a disk that does not answer, lets the database go
 * before it has grown by more than was allowed. One that is interrupted leaves nothing behind, and
 * neither does a restore. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "care/backup.h"
#include "care/restore.h"
#include "check.h"
#include "store/journal.h"

enum {
    MIB = 1 << 20,
    MAP = 256 * MIB,
    AT_FIRST = 1000, /* entries */
    PART = 50,       /* of a commit */
    COMMITS = 400,   /* 80 MB */
    GROWTH_MAX = 4 * MIB,
    SLACK = 8 * MIB, /* that is written between two looks of the watcher */
    DATA = 4000,
};

struct writer {
    char dir[64];
    int to_child[2];
    int from_child[2];
    pid_t pid;
    bool asked;
    off_t grown; /* size of the file once all was written */
};

/* -- the child, which writes ------------------------------------------------------------------- */

static void must(spn_err err)
{
    if (err != SPN_OK)
        _exit(1);
}

static void append(struct journal *journal, uint64_t position)
{
    static const char data[DATA];
    struct record_entry entry = {.kind = RECORD_EVENT,
                                 .epoch = 1,
                                 .seq = position,
                                 .retry_ms = UINT32_MAX,
                                 .data = {data, sizeof(data)}};
    entry.data_hash = record_hash(entry.data);
    must(journal_append(journal, position, &entry));
}

/* Deletes as much as it appends, so that the file grows only if pages cannot be used again. */
static void write_part(struct journal *journal, uint64_t *next)
{
    struct journal_deletion deletion = {.count_max = PART, .bytes_max = UINT64_MAX};
    uint64_t after;
    must(journal_begin(journal));
    for (int i = 0; i < PART; i++)
        append(journal, (*next)++);
    if (*next > AT_FIRST)
        must(journal_delete_entries(journal, 1, *next, NULL, NULL, &deletion, &after));
    must(journal_commit(journal));
}

static void run_child(const struct writer *writer)
{
    struct journal *journal;
    uint64_t next = 1;
    char byte = 'r';
    const struct journal_options how = {.dir = writer->dir, .size_max = MAP};
    must(journal_open(&journal, &how));
    while (next <= AT_FIRST)
        write_part(journal, &next);
    while (write(writer->from_child[1], &byte, 1) == 1 && read(writer->to_child[0], &byte, 1) == 1)
        for (int i = 0; i < COMMITS; i++)
            write_part(journal, &next);
    _exit(0);
}

/* -- the test ---------------------------------------------------------------------------------- */

static void begin(struct writer *writer)
{
    char byte;
    snprintf(writer->dir, sizeof(writer->dir), "/tmp/test_backup-XXXXXX");
    assert_non_null(mkdtemp(writer->dir));
    assert_int_equal(pipe(writer->to_child), 0);
    assert_int_equal(pipe(writer->from_child), 0);
    writer->pid = fork();
    assert_true(writer->pid >= 0);
    if (writer->pid == 0) {
        close(writer->to_child[1]);
        run_child(writer);
    }
    close(writer->to_child[0]);
    close(writer->from_child[1]);
    assert_int_equal(read(writer->from_child[0], &byte, 1), 1);
}

static void end(struct writer *writer)
{
    char path[128];
    int status;
    close(writer->to_child[1]);
    close(writer->from_child[0]);
    assert_int_equal(waitpid(writer->pid, &status, 0), writer->pid);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s.mdb", writer->dir, i == 0 ? "data" : "lock");
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(writer->dir), 0); /* and so nothing of the backup was left there */
}

static off_t file_size(const struct writer *writer)
{
    char path[128];
    struct stat info;
    snprintf(path, sizeof(path), "%s/data.mdb", writer->dir);
    assert_int_equal(stat(path, &info), 0);
    return info.st_size;
}

/* Stands still until the other has written everything. */
static bool stand_still(void *owner, uint64_t done, uint64_t total)
{
    struct writer *writer = owner;
    char byte = 'w';
    assert_true(done <= total);
    if (writer->asked)
        return true;
    writer->asked = true;
    assert_int_equal(write(writer->to_child[1], &byte, 1), 1);
    assert_int_equal(read(writer->from_child[0], &byte, 1), 1);
    writer->grown = file_size(writer);
    return true;
}

static void a_backup_that_stands_still_lets_go(void **state)
{
    struct writer writer = {.asked = false};
    struct backup_done done;
    char file[128];
    (void)state;
    begin(&writer);
    off_t before = file_size(&writer);
    snprintf(file, sizeof(file), "%s/backup", writer.dir);
    struct care care = {.go_on = stand_still, .owner = &writer};
    const struct backup_options how = {.dir = writer.dir, .file = file, .growth_max = GROWTH_MAX};
    assert_int_equal(backup_make(&how, &care, &done), SPN_E_QUOTA_FULL);
    assert_non_null(strstr(care.why, "the database has grown by"));
    assert_true(writer.asked);
    assert_true(writer.grown > before + GROWTH_MAX);
    assert_true(writer.grown < before + GROWTH_MAX + SLACK);
    end(&writer);
}

static bool stop(void *owner, uint64_t done, uint64_t total)
{
    unsigned *asked = owner;
    assert_true(done <= total);
    ++*asked;
    return false;
}

static void what_is_interrupted_leaves_nothing(void **state)
{
    struct writer writer = {.asked = false};
    struct backup_done done;
    struct restore_done restored;
    unsigned asked = 0;
    char file[128], to[128], lock[160];
    (void)state;
    begin(&writer);
    snprintf(file, sizeof(file), "%s/backup", writer.dir);
    snprintf(to, sizeof(to), "%s/restored", writer.dir);
    struct care stops = {.go_on = stop, .owner = &asked};
    struct care goes_on = {.go_on = NULL};
    const struct backup_options how = {.dir = writer.dir, .file = file};
    assert_int_equal(backup_make(&how, &stops, &done), SPN_E_STOPPING);
    assert_non_null(strstr(stops.why, "interrupted"));
    assert_int_not_equal(access(file, F_OK), 0);
    assert_int_equal(backup_make(&how, &goes_on, &done), SPN_OK);
    assert_int_equal(mkdir(to, 0700), 0);
    assert_int_equal(restore_run(file, to, &stops, &restored), SPN_E_STOPPING);
    assert_non_null(strstr(stops.why, "interrupted"));
    assert_int_equal(asked, 2);
    snprintf(lock, sizeof(lock), "%s/sponsond.lock", to);
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(rmdir(to), 0);
    assert_int_equal(unlink(file), 0);
    end(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backup_that_stands_still_lets_go),
        cmocka_unit_test(what_is_interrupted_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
