/* SPDX-License-Identifier: Apache-2.0 */
/* test_rescue: if the value of meta is damaged, the newest of earlier ones says what the quota
 * deleted, wherever in the file it is. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "care/rescue.h"
#include "check.h"
#include "store/journal.h"
#include "store/table_value.h"

enum { MAP = 4 << 20, PATH_SIZE = 128, EVENTS = 20, COMMITS_FROM = 3, COMMITS_END = 12 };

struct rig {
    char dir[64];
    char data[PATH_SIZE];
    char lock[PATH_SIZE];
    char made[PATH_SIZE];
};

static void append(struct journal *journal, uint64_t position, struct record_entry *entry)
{
    entry->retry_ms = UINT32_MAX;
    entry->data_hash = record_hash(entry->data);
    assert_int_equal(journal_append(journal, position, entry), SPN_OK);
}

static void set_up(struct rig *rig)
{
    snprintf(rig->dir, sizeof(rig->dir), "/tmp/test_rescue-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    snprintf(rig->data, PATH_SIZE, "%s/data.mdb", rig->dir);
    snprintf(rig->lock, PATH_SIZE, "%s/lock.mdb", rig->dir);
    snprintf(rig->made, PATH_SIZE, "%s/made", rig->dir);
}

/* Each commit changes meta only by what the quota took. */
static void make(const struct rig *rig, uint64_t commits)
{
    struct journal *journal;
    struct record_entry open = {.kind = RECORD_OPEN, .data = {"session", 7}};
    const struct journal_options how = {.dir = rig->dir, .size_max = MAP};
    assert_int_equal(journal_open(&journal, &how), SPN_OK);
    assert_int_equal(journal_begin(journal), SPN_OK);
    append(journal, 1, &open);
    assert_int_equal(journal_put_name(journal, open.data, 1), SPN_OK);
    for (uint64_t seq = 1; seq <= EVENTS; seq++) {
        struct record_entry event = {.kind = RECORD_EVENT, .epoch = 1, .seq = seq};
        append(journal, seq + 1, &event);
    }
    assert_int_equal(journal_commit(journal), SPN_OK);
    for (uint64_t taken = 1; taken <= commits; taken++) {
        assert_int_equal(journal_begin(journal), SPN_OK);
        assert_int_equal(journal_note_taken(journal, taken), SPN_OK);
        assert_int_equal(journal_commit(journal), SPN_OK);
    }
    journal_close(journal);
}

/* Damages the newest value of meta. Returns what the quota took by the newest that is left. */
static uint64_t damage_newest(const struct rig *rig)
{
    static const char magic[] = "SPONSON";
    char *newest = NULL;
    uint64_t taken = 0, before = 0;
    struct stat info;
    int fd = open(rig->data, O_RDWR | O_CLOEXEC);
    assert_int_equal(fstat(fd, &info), 0);
    size_t size = (size_t)info.st_size;
    char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(bytes != MAP_FAILED);
    for (char *at = bytes; at + RECORD_META_SIZE <= bytes + size; at++) {
        struct record_meta meta;
        if (memcmp(at, magic, sizeof(magic) - 1) != 0 ||
            record_get_meta((struct spn_bytes){at, RECORD_META_SIZE}, &meta) != SPN_OK)
            continue;
        before = meta.taken > taken ? taken : meta.taken > before ? meta.taken : before;
        newest = meta.taken >= taken ? at : newest;
        taken = meta.taken > taken ? meta.taken : taken;
    }
    assert_non_null(newest);
    newest[RECORD_META_SIZE - 1] ^= 1;
    munmap(bytes, size);
    close(fd);
    return before;
}

static void tear_down(const struct rig *rig)
{
    static const char *const names[] = {"made/data.mdb", "made/sponsond.lock", "sponsond.lock"};
    char path[PATH_SIZE];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", rig->dir, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(rig->made), 0);
    (void)unlink(rig->data);
    (void)unlink(rig->lock);
    assert_int_equal(rmdir(rig->dir), 0);
}

static void the_newest_meta_that_is_left_counts(void **state)
{
    struct rescue_done done;
    (void)state;
    for (uint64_t commits = COMMITS_FROM; commits < COMMITS_END; commits++) {
        struct care care = {.go_on = NULL};
        struct rig rig;
        set_up(&rig);
        make(&rig, commits);
        uint64_t taken = damage_newest(&rig);
        assert_in_range(taken, 1, commits - 1);
        if (rescue_run(rig.dir, rig.made, &care, &done) != SPN_OK)
            fail_msg("%s", care.why);
        assert_int_equal(done.events, EVENTS + 1 - taken);
        tear_down(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_newest_meta_that_is_left_counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
