/* SPDX-License-Identifier: Apache-2.0 */
/* test_care: a backup that is made under load has everything that was acknowledged before it began,
 * and is whole; it becomes a database of its own; and it never stops those who publish.
 *
 *     system_care              the normal suite: two backups
 *     system_care campaign     twenty */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "event_list.h"
#include "feeder.h"
#include "stage.h"

enum {
    BEFORE = 300, /* events acknowledged before each backup */
    ROUNDS = 2,
    ROUNDS_CAMPAIGN = 20,
    WAIT_MS = 30000,
    QUOTA_MIB = 256,
    FULL_PERCENT = 90, /* the oldest are deleted from 94 on */
    PART_EVENTS = 400,
    PART_MS = 10000, /* in which a part is durable, on a machine with others */
    TEXT_SIZE = 256,
    PAGE = 4096,
    LAST_PAGE = 136, /* in a meta page */
};

static bool campaign;

/* -- load -------------------------------------------------------------------------------------- */

static struct process *begin_load(struct stage *stage)
{
    return stage_begin_run(stage, "bench", "publish", "--count", "100000000", "--size", "500",
                           "--sessions", "20", "--keep", "--running");
}

static void end_load(struct process *load)
{
    process_kill(load);
}

static void put_many(struct feeder *feeder, uint64_t from, uint64_t count)
{
    char id[32];
    for (uint64_t i = from; i < from + count; i++) {
        snprintf(id, sizeof(id), "e%llu", (unsigned long long)i);
        feeder_put(feeder, "mine", id, "of the test");
    }
    assert_int_equal(feeder_settle(feeder).stored, count);
}

/* -- files ------------------------------------------------------------------------------------- */

static void expect_alone(struct stage *stage, const char *dir, const char *name)
{
    const char *words = stage_format(stage, "ls -A '%s'", dir);
    const char *const argv[] = {"sh", "-c", words, NULL};
    struct process *listing = stage_process(stage, &(struct process_options){.argv = argv});
    struct outcome outcome = stage_end(stage, listing, until_in(WAIT_MS));
    assert_string_equal(outcome.out, name);
}

static void expect_mode(const char *path, mode_t mode)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, mode);
}

static void expect_words(const struct outcome *outcome, int code, const char *words)
{
    stage_expect_code(outcome, code);
    if (!strstr(outcome->err, words))
        fail_msg("\"%s\" is not in: %s", words, outcome->err);
}

/* -- what a backup has ------------------------------------------------------------------------- */

static struct event_list dump(struct stage *stage, const char *dir, const char *session)
{
    struct event_list list = EVENT_LIST_INIT;
    struct outcome outcome = stage_run(stage, "dump", "--data-dir", dir, "--session", session);
    stage_expect_code(&outcome, 0);
    event_list_add_json(&list, outcome.output, session);
    return list;
}

/* Whether a database has the test's events up to this one, and no hole. */
static void expect_up_to(struct stage *stage, const char *dir, uint64_t acknowledged)
{
    struct event_list list = dump(stage, dir, "mine");
    if (list.count < acknowledged)
        fail_msg("%zu of %llu acknowledged events are in the backup", list.count,
                 (unsigned long long)acknowledged);
    event_list_expect_whole("the backup", &list);
    event_list_release(&list);
}

static void try_backup(struct stage *stage, struct feeder *feeder, int round)
{
    const char *file = stage_path(stage, stage_format(stage, "b%d", round));
    const char *dir = stage_path(stage, stage_format(stage, "restored%d", round));
    uint64_t acknowledged = (uint64_t)(round + 1) * BEFORE;
    put_many(feeder, acknowledged - BEFORE, BEFORE);
    struct outcome made = round % 2 == 0 ? stage_run(stage, "backup", file)
                                         : stage_run(stage, "backup", file, "--compact");
    stage_expect_code(&made, 0);
    expect_mode(file, 0600);
    struct outcome checked = stage_run(stage, "verify", file);
    stage_expect_code(&checked, 0);
    assert_string_equal(checked.out, "");
    struct outcome restored = stage_run(stage, "restore", file, "--data-dir", dir);
    stage_expect_code(&restored, 0);
    expect_alone(stage, dir, "data.mdb\nsponsond.lock\n");
    checked = stage_run(stage, "verify", dir);
    stage_expect_code(&checked, 0);
    expect_up_to(stage, dir, acknowledged);
    struct outcome beside = stage_run(stage, "verify");
    stage_expect_code(&beside, 0); /* the daemon's own, while it writes */
    assert_int_equal(unlink(file), 0);
    assert_int_equal(unlink(stage_format(stage, "%s/data.mdb", dir)), 0);
}

/* With a quota that gives it room: each backup is made, however slow it is. */
static void a_backup_has_all_that_was_acknowledged(struct stage *stage)
{
    struct feeder feeder;
    stage_start(stage, &(struct stage_daemon){.more = {"--quota", "64G", "--retention-events",
                                                       "10000", "--row-interval", "100"}});
    feeder_open(&feeder);
    struct process *load = begin_load(stage);
    for (int round = 0; round < (campaign ? ROUNDS_CAMPAIGN : ROUNDS); round++)
        try_backup(stage, &feeder, round);
    end_load(load);
    feeder_close(&feeder);
}

/* -- those who publish ------------------------------------------------------------------------- */

static uint64_t used_bytes(struct stage *stage)
{
    return event_stat(stage, "sponson_database_used_bytes");
}

static bool is_nearly_full(void *argument)
{
    return used_bytes(argument) >= (uint64_t)QUOTA_MIB * 1024 * 1024 / 100 * FULL_PERCENT;
}

/* The slowest backup is one whose reader does not move: the file grows until it gives up. */
static void publishing_never_stops(struct stage *stage)
{
    struct feeder feeder;
    const char *file = stage_format(stage, "%s/b", stage_make_dir(stage, "backups"));
    stage_start(stage, &(struct stage_daemon){.more = {"--quota", "256M"}});
    feeder_open(&feeder);
    struct process *load = begin_load(stage);
    assert_true(until_true(until_in(WAIT_MS), is_nearly_full, stage));
    for (int round = 0; round < (campaign ? ROUNDS_CAMPAIGN : ROUNDS); round++) {
        struct process *backup = stage_begin_run(stage, "backup", file);
        for (uint64_t part = 0; part == 0 || process_runs(backup); part++) {
            uint64_t due_ns = until_in(PART_MS);
            put_many(&feeder, (uint64_t)round * 1000000 + part * PART_EVENTS, PART_EVENTS);
            assert_false(until_over(due_ns));
        }
        struct outcome outcome = stage_end(stage, backup, until_in(WAIT_MS));
        if (outcome.code != 0)
            expect_words(&outcome, 1, "the database has grown by");
        (void)unlink(file);
        assert_true(process_runs(load));
    }
    end_load(load);
    feeder_close(&feeder);
    assert_null(strstr(stage_log(stage), "level=error"));
    assert_int_equal(event_stat(stage, "sponson_commit_failures_total"), 0);
}

/* -- what it refuses --------------------------------------------------------------------------- */

static void a_backup_gives_up_when_the_file_grows(struct stage *stage)
{
    const char *dir = stage_make_dir(stage, "backups");
    const char *file = stage_format(stage, "%s/b", dir);
    int code = 0;
    stage_start(stage, &(struct stage_daemon){.more = {"--quota", "256M"}});
    struct process *load = begin_load(stage);
    assert_true(until_true(until_in(WAIT_MS), is_nearly_full, stage));
    for (int tries = 0; code == 0 && tries < 10; tries++) {
        struct outcome outcome = stage_run(stage, "backup", file, "--max-growth", "1");
        code = outcome.code;
        if (code != 0)
            expect_words(&outcome, 1, "and --max-growth allows 1;");
        else
            (void)unlink(file);
    }
    end_load(load);
    assert_int_equal(code, 1);
    expect_alone(stage, dir, "");
}

static void nothing_is_replaced(struct stage *stage)
{
    const char *dir = stage_make_dir(stage, "backups");
    const char *file = stage_format(stage, "%s/b", dir);
    const char *there = stage_write_file(stage, "there", spn_text("mine"));
    struct feeder feeder;
    struct process *daemon = stage_start(stage, NULL);
    feeder_open(&feeder);
    put_many(&feeder, 1, 10);
    feeder_close(&feeder);

    struct outcome outcome = stage_run(stage, "backup", there);
    expect_words(&outcome, 1, "there already, and not replaced");
    assert_string_equal(stage_read_file(stage, there).data, "mine");
    outcome = stage_run(stage, "backup", stage_path(stage, "none/b"));
    expect_words(&outcome, 1, "No such file or directory");
    outcome = stage_run(stage, "backup", file);
    stage_expect_code(&outcome, 0);

    outcome = stage_run(stage, "restore", file);
    expect_words(&outcome, 1, "has a data.mdb already");
    const char *locked = stage_path(stage, "locked");
    outcome = stage_run(stage, "restore", stage_path(stage, "nothing"), "--data-dir", locked);
    expect_words(&outcome, 3, "No such file or directory");
    expect_alone(stage, locked, "sponsond.lock\n");
    outcome = stage_run(stage, "restore", there, "--data-dir", locked);
    expect_words(&outcome, 1, "not those of a database");
    expect_alone(stage, locked, "sponsond.lock\n");
    assert_int_equal(unlink(stage_format(stage, "%s/data.mdb", stage->data_dir)), 0);
    outcome = stage_run(stage, "restore", file);
    expect_words(&outcome, 1, "a sidecar uses it");
    process_kill(daemon);
    outcome = stage_run(stage, "restore", file);
    stage_expect_code(&outcome, 0);
    expect_up_to(stage, stage->data_dir, 10);
    outcome = stage_run(stage, "verify", stage_path(stage, "nothing"));
    stage_expect_code(&outcome, 3);
    outcome = stage_run(stage, "backup", file, "--data-dir", stage_path(stage, "nothing"));
    stage_expect_code(&outcome, 3);
}

/* Whoever may write to the directory can put a link in the workshop's place. What a work left that
 * was killed is removed. */
static void a_workshop_is_no_link(struct stage *stage)
{
    const char *file = stage_path(stage, "b");
    const char *dir = stage_make_dir(stage, "restored");
    const char *elsewhere = stage_make_dir(stage, "elsewhere");
    const char *workshop = stage_format(stage, "%s/restore.tmp", dir);
    struct process *daemon = stage_start(stage, NULL);
    struct outcome outcome = stage_run(stage, "backup", file);
    stage_expect_code(&outcome, 0);
    assert_int_equal(stage_stop(daemon), 0);
    stage_write_file(stage, "elsewhere/data.mdb", spn_text("mine"));
    assert_int_equal(symlink(elsewhere, workshop), 0);
    outcome = stage_run(stage, "restore", file, "--data-dir", dir);
    expect_words(&outcome, 1, "File exists");
    expect_alone(stage, elsewhere, "data.mdb\n");
    assert_int_equal(unlink(workshop), 0);

    stage_make_dir(stage, "restored/restore.tmp");
    stage_write_file(stage, "restored/restore.tmp/.data.mdb.part-1", spn_text("half"));
    outcome = stage_run(stage, "restore", file, "--data-dir", dir);
    stage_expect_code(&outcome, 0);
    expect_alone(stage, dir, "data.mdb\nsponsond.lock\n");
}

static void damage(const char *path, off_t at)
{
    uint8_t byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* Where the first event of the test is. */
static off_t place_of_payload(struct stage *stage, const char *path)
{
    struct spn_bytes file = stage_read_file(stage, path);
    const char *found = memmem(file.data, file.size, "of the test", strlen("of the test"));
    assert_non_null(found);
    return found - (const char *)file.data;
}

/* Puts the page at this place of one file into another. */
static void copy_page(const char *from, const char *to, off_t at)
{
    char page[PAGE];
    int from_fd = open(from, O_RDONLY | O_CLOEXEC);
    int to_fd = open(to, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pread(from_fd, page, PAGE, at / PAGE * PAGE), PAGE);
    assert_int_equal(pwrite(to_fd, page, PAGE, at / PAGE * PAGE), PAGE);
    close(from_fd);
    close(to_fd);
}

static void expect_not_restored(struct stage *stage, const char *file, const char *words)
{
    const char *dir = stage_path(stage, "restored");
    struct outcome outcome = stage_run(stage, "verify", file);
    stage_expect_code(&outcome, 1);
    if (!strstr(outcome.out, words))
        fail_msg("\"%s\" is not in: %s", words, outcome.out);
    outcome = stage_run(stage, "restore", file, "--data-dir", dir);
    expect_words(&outcome, 1, words);
    expect_words(&outcome, 1, "`sponson salvage` saves the rest");
    expect_alone(stage, dir, "sponsond.lock\n");
}

static void make_backup(struct stage *stage, const char *file)
{
    struct outcome outcome = stage_run(stage, "backup", file, "--compact");
    stage_expect_code(&outcome, 0);
}

/* The log is one page, and the same one in all compact copies. A page's flags are at its 10th byte.
 * Page 2 of a compact copy is in use. */
static void a_damaged_backup_is_not_restored(struct stage *stage)
{
    const char *earlier = stage_path(stage, "b1");
    const char *flags = stage_path(stage, "b2");
    const char *payload = stage_path(stage, "b3");
    const char *stale = stage_path(stage, "b4");
    const char *cut = stage_path(stage, "b5");
    struct feeder feeder;
    struct stat info;
    stage_start(stage, NULL);
    feeder_open(&feeder);
    put_many(&feeder, 1, 5);
    make_backup(stage, earlier);
    put_many(&feeder, 6, 5);
    make_backup(stage, flags);
    make_backup(stage, payload);
    make_backup(stage, stale);
    make_backup(stage, cut);
    feeder_close(&feeder);

    damage(flags, 2 * PAGE + 10);
    expect_not_restored(stage, flags, "page 2 is damaged");
    damage(payload, place_of_payload(stage, payload));
    expect_not_restored(stage, payload, "the value of position");
    off_t at = place_of_payload(stage, stale);
    assert_int_equal(place_of_payload(stage, earlier) / PAGE, at / PAGE);
    copy_page(earlier, stale, at);
    expect_not_restored(stage, stale, "were counted");
    assert_int_equal(stat(cut, &info), 0);
    assert_int_equal(truncate(cut, info.st_size - PAGE), 0);
    expect_not_restored(stage, cut, "is damaged");
}

/* The number of the last page, in both meta pages, is much too high. */
static void a_size_that_is_wrong_is_not_restored(struct stage *stage)
{
    const char *file = stage_path(stage, "b");
    const char *dir = stage_path(stage, "restored");
    stage_start(stage, NULL);
    make_backup(stage, file);
    damage(file, LAST_PAGE + 3);
    damage(file, PAGE + LAST_PAGE + 3);
    struct outcome outcome = stage_run(stage, "restore", file, "--data-dir", dir);
    expect_words(&outcome, 1, "its end is missing");
    expect_alone(stage, dir, "sponsond.lock\n");
}

/* The value of meta: what it begins with, the number of the format, and a checksum that each format
 * has elsewhere or otherwise. */
static void make_newer(struct stage *stage, const char *path)
{
    static const char magic[] = "SPONSON";
    struct spn_bytes file = stage_read_file(stage, path);
    const char *bytes = file.data;
    bool found = false;
    for (size_t i = 0; i + sizeof(magic) + 16 < file.size; i++) {
        if (memcmp(bytes + i, magic, sizeof(magic)) != 0)
            continue;
        damage(path, (off_t)(i + 8));  /* format 3 */
        damage(path, (off_t)(i + 12)); /* the checksum */
        found = true;
    }
    assert_true(found);
}

static void another_format_is_refused_by_name(struct stage *stage)
{
    const char *file = stage_path(stage, "b");
    const char *dir = stage_path(stage, "other");
    struct feeder feeder;
    struct process *daemon = stage_start(stage, NULL);
    feeder_open(&feeder);
    put_many(&feeder, 1, 10);
    feeder_close(&feeder);
    struct outcome outcome = stage_run(stage, "backup", file);
    stage_expect_code(&outcome, 0);
    assert_int_equal(stage_stop(daemon), 0);
    outcome = stage_run(stage, "upgrade");
    stage_expect_code(&outcome, 0);
    assert_string_equal(outcome.out, "format 2, which is this version's: nothing to do\n");
    outcome = stage_run(stage, "upgrade", "--data-dir", stage_path(stage, "nothing"));
    stage_expect_code(&outcome, 3);

    make_newer(stage, stage_format(stage, "%s/data.mdb", stage->data_dir));
    make_newer(stage, file);
    outcome = stage_run(stage, "upgrade");
    expect_words(&outcome, 1, "written by a newer version");
    outcome = stage_run(stage, "verify");
    expect_words(&outcome, 1, "newer format");
    outcome = stage_run(stage, "restore", file, "--data-dir", dir);
    expect_words(&outcome, 1, "newer format");
    outcome = stage_run(stage, "salvage", stage->data_dir, dir);
    expect_words(&outcome, 1, "newer format");
    expect_alone(stage, dir, "sponsond.lock\n");
}

/* -- after a restore of an older copy ---------------------------------------------------------- */

static void stop_and_take(struct stage *stage, struct process *daemon, const char *file)
{
    struct outcome outcome;
    assert_int_equal(stage_stop(daemon), 0);
    assert_int_equal(unlink(stage_format(stage, "%s/data.mdb", stage->data_dir)), 0);
    outcome = stage_run(stage, "restore", file);
    stage_expect_code(&outcome, 0);
}

static uint64_t newest_position(struct stage *stage)
{
    struct event_list list = dump(stage, stage->data_dir, "mine");
    assert_true(list.count > 0);
    uint64_t newest = list.items[list.count - 1].position;
    event_list_release(&list);
    return newest;
}

static void a_database_that_went_back_says_so(struct stage *stage)
{
    const char *file = stage_path(stage, "b");
    struct feeder feeder;
    struct process *daemon = stage_start(stage, NULL);
    feeder_open(&feeder);
    put_many(&feeder, 1, 100);
    struct outcome outcome = stage_run(stage, "backup", file);
    stage_expect_code(&outcome, 0);
    put_many(&feeder, 101, 100);
    uint64_t newest = newest_position(stage);
    stop_and_take(stage, daemon, file);

    stage_start(stage, NULL);
    char id[] = "after";
    feeder_put(&feeder, "mine", id, "a restore");
    assert_int_equal(spn_producer_flush(feeder.producer, WAIT_MS), SPN_OK);
    assert_true(newest_position(stage) > newest);
    assert_int_equal(event_stat(stage, "sponson_holders_ahead_total"), 1);
    assert_int_equal(event_stat(stage, "sponson_events_lost_total"), 100);
    assert_non_null(strstr(stage_log(stage), "event=other_database"));
    const struct spn_counters *counters = spn_producer_counters(feeder.producer);
    assert_int_equal(counters->lost, 100);
    feeder_close(&feeder);
}

int main(int argc, char **argv)
{
    campaign = argc > 1 && strcmp(argv[1], "campaign") == 0;
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_backup_has_all_that_was_acknowledged),
        STAGE_TEST(publishing_never_stops),
        STAGE_TEST(a_backup_gives_up_when_the_file_grows),
        STAGE_TEST(nothing_is_replaced),
        STAGE_TEST(a_workshop_is_no_link),
        STAGE_TEST(a_damaged_backup_is_not_restored),
        STAGE_TEST(a_size_that_is_wrong_is_not_restored),
        STAGE_TEST(another_format_is_refused_by_name),
        STAGE_TEST(a_database_that_went_back_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
