/* SPDX-License-Identifier: Apache-2.0 */
/* test_verify: findings are given when the commit is not held any more, since whoever takes them
 * may take any time; and there is an end to them. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "care/verify.h"
#include "check.h"
#include "store/journal.h"
#include "store/pages_base.h"

enum { MAP = 64 << 20, PAGE = 4096, PATH_SIZE = 128, MANY = 30000 };

static const char payload[] = "of the test";

struct rig {
    char dir[64];
    char data[PATH_SIZE];
    uint64_t told;
    char last[400];
};

/* In one commit. */
static void append(const struct rig *rig, uint64_t first, uint64_t count)
{
    struct journal *journal;
    struct record_entry entry = {.kind = RECORD_EVENT,
                                 .epoch = 1,
                                 .retry_ms = UINT32_MAX,
                                 .data = {payload, sizeof(payload) - 1}};
    entry.data_hash = record_hash(entry.data);
    const struct journal_options how = {.dir = rig->dir, .size_max = MAP};
    assert_int_equal(journal_open(&journal, &how), SPN_OK);
    assert_int_equal(journal_begin(journal), SPN_OK);
    for (entry.seq = first; entry.seq < first + count; entry.seq++)
        assert_int_equal(journal_append(journal, entry.seq, &entry), SPN_OK);
    assert_int_equal(journal_commit(journal), SPN_OK);
    journal_close(journal);
}

static void make(struct rig *rig, uint64_t count)
{
    snprintf(rig->dir, sizeof(rig->dir), "/tmp/test_verify-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    snprintf(rig->data, PATH_SIZE, "%s/data.mdb", rig->dir);
    append(rig, 1, count);
}

static void drop(const struct rig *rig)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s/lock.mdb", rig->dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(rig->data), 0);
    assert_int_equal(rmdir(rig->dir), 0);
}

static void damage_all(const struct rig *rig)
{
    struct stat info;
    int fd = open(rig->data, O_RDWR | O_CLOEXEC);
    assert_int_equal(fstat(fd, &info), 0);
    size_t size = (size_t)info.st_size;
    char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(bytes != MAP_FAILED);
    char *found = memmem(bytes, size, payload, strlen(payload));
    assert_non_null(found);
    for (; found; found = memmem(found, size - (size_t)(found - bytes), payload, strlen(payload)))
        *found ^= 1;
    munmap(bytes, size);
    close(fd);
}

/* As long as the commit is held, the file is mapped. */
static bool is_held(const struct rig *rig)
{
    char line[512];
    bool held = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps))
        held = held || strstr(line, rig->data);
    (void)fclose(maps);
    return held;
}

static void take(void *owner, const char *words)
{
    struct rig *rig = owner;
    if (rig->told++ == 0)
        assert_false(is_held(rig));
    snprintf(rig->last, sizeof(rig->last), "%s", words);
}

static struct verify_found verify(struct rig *rig)
{
    struct care care = {.go_on = NULL};
    struct verify_found found;
    assert_int_equal(verify_run(rig->dir, take, rig, &care, &found), SPN_OK);
    return found;
}

static void findings_come_when_nothing_is_held(void **state)
{
    struct rig rig = {.told = 0};
    (void)state;
    make(&rig, 3);
    damage_all(&rig);
    assert_int_equal(verify(&rig).findings, 3);
    assert_int_equal(rig.told, 3);
    assert_non_null(strstr(rig.last, "the value of position 3 does not read"));
    drop(&rig);
}

static void the_last_ones_are_counted(void **state)
{
    struct rig rig = {.told = 0};
    char words[64];
    (void)state;
    make(&rig, MANY);
    damage_all(&rig);
    assert_int_equal(verify(&rig).findings, MANY);
    assert_in_range(rig.told, MANY / 4, MANY - 1);
    snprintf(words, sizeof(words), "and %llu more", (unsigned long long)(MANY - (rig.told - 1)));
    assert_string_equal(rig.last, words);
    drop(&rig);
}

/* The newest commit says that it is the one before the last: then the last is the newest. The list
 * of free pages knows better. */
static void the_number_of_a_commit_is_damaged(void **state)
{
    struct rig rig = {.told = 0};
    uint64_t numbers[METAS];
    char words[96];
    (void)state;
    make(&rig, 1);
    for (uint64_t position = 2; position <= 4; position++)
        append(&rig, position, 1);
    assert_int_equal(verify(&rig).findings, 0);
    int fd = open(rig.data, O_RDWR | O_CLOEXEC);
    for (int i = 0; i < METAS; i++)
        assert_int_equal(pread(fd, &numbers[i], sizeof(numbers[i]), i * PAGE + META_TXNID),
                         sizeof(numbers[i]));
    int newest = numbers[1] > numbers[0];
    uint64_t damaged = numbers[newest] - METAS;
    assert_int_equal(pwrite(fd, &damaged, sizeof(damaged), newest * PAGE + META_TXNID),
                     sizeof(damaged));
    close(fd);
    assert_int_equal(verify(&rig).findings, 1);
    snprintf(words, sizeof(words), "the number of a commit is damaged: %llu has pages of %llu",
             (unsigned long long)damaged, (unsigned long long)numbers[newest]);
    assert_string_equal(rig.last, words);
    drop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_number_of_a_commit_is_damaged),
        cmocka_unit_test(findings_come_when_nothing_is_held),
        cmocka_unit_test(the_last_ones_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
