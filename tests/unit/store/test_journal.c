/* SPDX-License-Identifier: Apache-2.0 */
/* test_journal: what was committed is there, and what is not ours stays as it is.
 *
 * Each test has a directory of its own. Databases of other programs, and damage, are made with LMDB
 * and the file itself. Processes are forked before they open anything.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/journal.h"
#include "until.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

enum { PATH_SIZE = 512, MIB = 1024 * 1024, SKIP = 77 };

/* -- a directory per test ---------------------------------------------------------------------- */

static char dir[PATH_SIZE - 32];

static const char *path_of(const char *file)
{
    static char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s/%s", dir, file);
    return path;
}

static int make_dir(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof(dir), "%s/test_journal.XXXXXX", base ? base : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    static const char *const files[] = {"data.mdb", "lock.mdb", "file"};
    for (size_t i = 0; i < COUNT(files); i++)
        remove(path_of(files[i]));
    return rmdir(dir);
}

static bool exists(const char *file)
{
    return access(path_of(file), F_OK) == 0;
}

/* *ret_size bytes that the caller frees. */
static uint8_t *read_file(const char *file, size_t *ret_size)
{
    struct stat info;
    int fd = open(path_of(file), O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &info), 0);
    uint8_t *bytes = malloc((size_t)info.st_size + 1);
    assert_non_null(bytes);
    assert_int_equal(read(fd, bytes, (size_t)info.st_size), info.st_size);
    close(fd);
    *ret_size = (size_t)info.st_size;
    return bytes;
}

static void write_file(const char *file, const void *bytes, size_t size)
{
    int fd = open(path_of(file), O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
}

/* -- short names ------------------------------------------------------------------------------- */

static struct journal *open_at(const char *at, size_t size_max, bool read_only)
{
    struct journal *journal = NULL;
    struct journal_options options = {.dir = at, .size_max = size_max, .read_only = read_only};
    spn_err err = journal_open(&journal, &options);
    if (err != SPN_OK)
        print_error("open: %d: %s\n", (int)err, journal_detail());
    return journal;
}

static struct journal *open_journal(void)
{
    struct journal *journal = open_at(dir, 64 * MIB, false);
    assert_non_null(journal);
    return journal;
}

static spn_err try_open(const char *at, bool read_only)
{
    struct journal *journal = NULL;
    struct journal_options options = {.dir = at, .size_max = 64 * MIB, .read_only = read_only};
    spn_err err = journal_open(&journal, &options);
    if (err != SPN_OK)
        assert_null(journal);
    journal_close(journal);
    return err;
}

static struct journal_reader *open_reader(struct journal *journal)
{
    struct journal_reader *reader = NULL;
    assert_int_equal(journal_reader_open(&reader, journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    return reader;
}

static void next_snapshot(struct journal_reader *reader)
{
    journal_reader_end(reader);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
}

static struct record_entry event_of(uint64_t position, struct spn_bytes data)
{
    return (struct record_entry){.kind = RECORD_EVENT,
                                 .epoch = 1,
                                 .seq = position,
                                 .id = TEXT("id"),
                                 .data = data,
                                 .data_hash = record_hash(data)};
}

static spn_err append_data(struct journal *journal, uint64_t position, struct spn_bytes data)
{
    struct record_entry entry = event_of(position, data);
    return journal_append(journal, position, &entry);
}

static spn_err append(struct journal *journal, uint64_t position)
{
    return append_data(journal, position, (struct spn_bytes)TEXT("some data"));
}

static void append_commit(struct journal *journal, uint64_t first, uint64_t count)
{
    assert_int_equal(journal_begin(journal), SPN_OK);
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(append(journal, first + i), SPN_OK);
    assert_int_equal(journal_commit(journal), SPN_OK);
}

static struct spn_bytes text(const char *string)
{
    return (struct spn_bytes){string, strlen(string)};
}

static void assert_text(struct spn_bytes bytes, const char *string)
{
    assert_int_equal(bytes.size, strlen(string));
    assert_memory_equal(bytes.data, string, bytes.size);
}

/* -- meta, creation, transactions -------------------------------------------------------------- */

static void a_new_database(void **state)
{
    (void)state;
    uint8_t secret[RECORD_SECRET_SIZE];
    uint8_t database[RECORD_DATABASE_ID_SIZE];
    static const uint8_t zeros[RECORD_SECRET_SIZE];
    uint64_t used_bytes, map_bytes;

    struct journal *journal = open_journal();
    const struct record_meta *meta = journal_meta(journal);
    assert_int_equal(meta->format, RECORD_FORMAT);
    assert_int_equal(meta->checkpoint, 0);
    assert_int_equal(meta->segment, 0);
    assert_int_equal(meta->next_position, 1);
    assert_memory_not_equal(meta->secret, zeros, sizeof(zeros));
    memcpy(secret, meta->secret, sizeof(secret));
    assert_memory_not_equal(meta->database, zeros, sizeof(meta->database));
    memcpy(database, meta->database, sizeof(database));
    journal_usage(journal, &used_bytes, &map_bytes);
    assert_in_range(used_bytes, 1, 64 * 4096);
    assert_int_equal(map_bytes, 64 * MIB);

    struct journal_reader *reader = open_reader(journal);
    assert_int_equal(journal_reader_newest(reader), 0);
    assert_memory_equal(journal_reader_meta(reader), meta, sizeof(*meta));
    journal_reader_close(reader);
    journal_close(journal);

    journal = open_journal();
    assert_memory_equal(journal_meta(journal)->secret, secret, sizeof(secret));
    assert_memory_equal(journal_meta(journal)->database, database, sizeof(database));
    journal_close(journal);
    remove(path_of("data.mdb"));
    journal = open_journal();
    assert_memory_not_equal(journal_meta(journal)->secret, secret, sizeof(secret));
    assert_memory_not_equal(journal_meta(journal)->database, database, sizeof(database));
    journal_close(journal);
}

static void meta_moves_with_the_commit(void **state)
{
    (void)state;
    struct record_meta meta = {
        .format = 99, .checkpoint = 1, .segment = 2, .next_position = 3, .clock_ns = 4, .taken = 5};
    struct journal *journal = open_journal();
    struct record_meta before = *journal_meta(journal);

    assert_int_equal(journal_begin(journal), SPN_OK);
    assert_int_equal(journal_put_meta(journal, &meta), SPN_OK);
    assert_memory_equal(journal_meta(journal), &before, sizeof(before));
    journal_abort(journal);
    assert_memory_equal(journal_meta(journal), &before, sizeof(before));

    assert_int_equal(journal_begin(journal), SPN_OK);
    assert_int_equal(journal_put_meta(journal, &meta), SPN_OK);
    assert_int_equal(journal_commit(journal), SPN_OK);
    meta.format = before.format; /* these four stay */
    meta.taken = before.taken;
    memcpy(meta.secret, before.secret, sizeof(meta.secret));
    memcpy(meta.database, before.database, sizeof(meta.database));
    assert_memory_equal(journal_meta(journal), &meta, sizeof(meta));
    journal_close(journal);

    journal = open_at(dir, 0, true);
    assert_non_null(journal);
    assert_memory_equal(journal_meta(journal), &meta, sizeof(meta));
    journal_close(journal);
}

/* What the quota took stays, whoever writes meta before or after, and is the highest position. */
static void meta_has_what_the_quota_took(void **state)
{
    (void)state;
    struct journal *journal = open_journal();
    const struct record_meta before = *journal_meta(journal);
    assert_int_equal(journal_begin(journal), SPN_OK);
    assert_int_equal(journal_note_taken(journal, 9), SPN_OK);
    journal_abort(journal);
    assert_int_equal(journal_meta(journal)->taken, 0);
    for (uint64_t i = 0; i < 3; i++) {
        struct record_meta meta = before;
        meta.checkpoint = 10 + i;
        assert_int_equal(journal_begin(journal), SPN_OK);
        assert_int_equal(journal_put_meta(journal, &before), SPN_OK);
        assert_int_equal(journal_note_taken(journal, 7 - i), SPN_OK);
        assert_int_equal(journal_put_meta(journal, &meta), SPN_OK);
        assert_int_equal(journal_commit(journal), SPN_OK);
        assert_int_equal(journal_meta(journal)->checkpoint, 10 + i);
        assert_int_equal(journal_meta(journal)->taken, 7);
    }
    journal_close(journal);
    journal = open_at(dir, 0, true);
    assert_int_equal(journal_meta(journal)->taken, 7);
    assert_int_equal(journal_meta(journal)->checkpoint, 12);
    journal_close(journal);
}

static void nothing_to_close(void **state)
{
    (void)state;
    journal_close(NULL);
    journal_reader_close(NULL);
    struct journal *journal = open_journal();
    journal_abort(journal);
    struct journal_reader *reader = NULL;
    assert_int_equal(journal_reader_open(&reader, journal), SPN_OK);
    journal_reader_end(reader);
    journal_reader_close(reader); /* outside a snapshot */
    reader = open_reader(journal);
    journal_reader_close(reader); /* inside one */
    assert_int_equal(journal_begin(journal), SPN_OK);
    journal_close(journal); /* inside a transaction */
}

static void commit_abort_and_snapshots(void **state)
{
    (void)state;
    struct record_entry entry;
    uint64_t position = 0;
    struct journal *journal = open_journal();
    struct journal_reader *reader = open_reader(journal);

    append_commit(journal, 1, 10);
    assert_int_equal(journal_reader_newest(reader), 0);
    assert_int_equal(journal_read_entry(reader, 1, &entry), SPN_E_END);
    next_snapshot(reader);
    assert_int_equal(journal_reader_newest(reader), 10);
    assert_int_equal(journal_read_entry(reader, 10, &entry), SPN_OK);
    assert_int_equal(entry.seq, 10);
    assert_text(entry.data, "some data");
    assert_text(entry.id, "id");
    assert_int_equal(entry.data_hash, record_hash(text("some data")));

    assert_int_equal(journal_begin(journal), SPN_OK);
    assert_int_equal(append(journal, 11), SPN_OK);
    assert_int_equal(journal_get_entry(journal, 11, &entry), SPN_OK);
    assert_int_equal(entry.seq, 11);
    journal_abort(journal);
    assert_int_equal(journal_begin(journal), SPN_OK);
    assert_int_equal(journal_get_entry(journal, 11, &entry), SPN_E_END);
    assert_int_equal(append(journal, 20), SPN_OK); /* holes are allowed */
    assert_int_equal(journal_commit(journal), SPN_OK);

    next_snapshot(reader);
    assert_int_equal(journal_reader_newest(reader), 20);
    assert_int_equal(journal_read_entry(reader, 11, &entry), SPN_E_END);
    assert_int_equal(journal_read_entry_from(reader, 11, &position, &entry), SPN_OK);
    assert_int_equal(position, 20);
    assert_int_equal(journal_read_entry_from(reader, 5, &position, &entry), SPN_OK);
    assert_int_equal(position, 5);
    assert_int_equal(journal_read_entry_from(reader, 0, &position, &entry), SPN_OK);
    assert_int_equal(position, 1);
    assert_int_equal(journal_read_entry_from(reader, 21, &position, &entry), SPN_E_END);
    journal_reader_close(reader);
    journal_close(journal);
}

static void usage_inside_and_outside_a_transaction(void **state)
{
    (void)state;
    static const uint8_t data[100 * 4096];
    uint64_t before, used_bytes, map_bytes;
    struct journal *journal = open_journal();
    journal_usage(journal, &before, &map_bytes);
    for (unsigned aborted = 0; aborted < 2; aborted++) {
        assert_int_equal(journal_begin(journal), SPN_OK);
        assert_int_equal(append_data(journal, 1, (struct spn_bytes){data, sizeof(data)}), SPN_OK);
        journal_usage(journal, &used_bytes, &map_bytes);
        assert_in_range(used_bytes, before + sizeof(data), before + sizeof(data) + 4 * 4096);
        if (aborted == 0) {
            journal_abort(journal);
            journal_usage(journal, &used_bytes, &map_bytes);
            assert_int_equal(used_bytes, before);
        }
    }
    assert_int_equal(journal_commit(journal), SPN_OK);
    journal_usage(journal, &used_bytes, &map_bytes);
    assert_in_range(used_bytes, before + sizeof(data), before + sizeof(data) + 4 * 4096);
    journal_close(journal);
    journal = open_journal();
    journal_usage(journal, &before, &map_bytes);
    assert_in_range(before, used_bytes, used_bytes + 2 * 4096);
    journal_close(journal);
}

/* Reading ahead around scattered entries costs more than it gives (0.24 ms instead of 3.7 ms at
 * p99, cold): the kernel is told so. */
static void the_map_is_not_read_ahead(void **state)
{
    (void)state;
    char line[1024];
    bool ours = false, told = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    if (!maps)
        skip();
    struct journal *journal = open_journal();
    while (fgets(line, sizeof(line), maps)) {
        char *end = line;
        (void)strtoul(line, &end, 16);
        if (*end == '-') /* a mapping's first line, of its addresses */
            ours = strstr(line, "data.mdb") != NULL;
        if (ours && strncmp(line, "VmFlags:", 8) == 0)
            told = strstr(line, " rr") != NULL;
    }
    fclose(maps);
    journal_close(journal);
    assert_true(told);
}

static void counts_what_it_reads(void **state)
{
    (void)state;
    struct record_entry entry;
    uint64_t position;
    struct journal *journal = open_journal();
    append_commit(journal, 1, 10);
    struct journal_reader *reader = open_reader(journal);
    assert_int_equal(journal_reader_reads(reader), 0);
    assert_int_equal(journal_read_entry(reader, 1, &entry), SPN_OK);
    assert_int_equal(journal_read_entry_from(reader, 2, &position, &entry), SPN_OK);
    assert_int_equal(journal_read_entry(reader, 11, &entry), SPN_E_END);
    assert_int_equal(journal_reader_reads(reader), 2);
    journal_reader_close(reader);
    journal_close(journal);
}

static void a_failed_put_poisons_the_transaction(void **state)
{
    (void)state;
    static const uint64_t positions[] = {10, 9, 0};
    struct record_entry entry;
    struct journal *journal = open_journal();
    append_commit(journal, 1, 10);
    for (size_t i = 0; i < COUNT(positions); i++) {
        assert_int_equal(journal_begin(journal), SPN_OK);
        assert_int_equal(append(journal, 11), SPN_OK);
        assert_int_equal(append(journal, positions[i]), SPN_E_INVALID);
        assert_true(strlen(journal_detail()) > 0);
        assert_int_equal(append(journal, 12), SPN_E_INVALID);
        assert_int_equal(journal_get_entry(journal, 1, &entry), SPN_E_INVALID);
        assert_int_equal(journal_commit(journal), SPN_E_INVALID);
    }
    append_commit(journal, 11, 1);
    journal_close(journal);
}

/* Large values go to pages of their own. */
static void entries_of_every_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 1900, 1950, 2000, 2050, 4096, 65536, 16 * MIB};
    static uint8_t data[16 * MIB];
    struct record_entry entry;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    struct journal *journal = open_journal();
    assert_int_equal(journal_begin(journal), SPN_OK);
    for (size_t i = 0; i < COUNT(sizes); i++)
        assert_int_equal(append_data(journal, i + 1, (struct spn_bytes){data, sizes[i]}), SPN_OK);
    assert_int_equal(journal_commit(journal), SPN_OK);
    struct journal_reader *reader = open_reader(journal);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        assert_int_equal(journal_read_entry(reader, i + 1, &entry), SPN_OK);
        assert_int_equal(entry.data.size, sizes[i]);
        assert_memory_equal(entry.data.data, data, sizes[i]);
    }
    journal_reader_close(reader);
    journal_close(journal);
}

/* -- names, producers, rows -------------------------------------------------------------------- */

static void names_in_byte_order(void **state)
{
    (void)state;
    static char longest[256];
    memset(longest, 'm', 255);
    const char *const put[] = {"b", "a", "\xc3\xa9", "aa", longest, "Z", "a b", "~"};
    const char *const order[] = {"Z", "a", "a b", "aa", "b", longest, "~", "\xc3\xa9"};
    struct spn_bytes name = {0};
    uint64_t epoch;
    char last[256] = "";
    struct journal *journal = open_journal();

    assert_int_equal(journal_begin(journal), SPN_OK);
    for (uint64_t i = 0; i < COUNT(put); i++)
        assert_int_equal(journal_put_name(journal, text(put[i]), i + 1), SPN_OK);
    assert_int_equal(journal_put_name(journal, text("b"), 100), SPN_OK); /* opened anew */
    assert_int_equal(journal_commit(journal), SPN_OK);

    struct journal_reader *reader = open_reader(journal);
    for (size_t i = 0; i < COUNT(order); i++) {
        assert_int_equal(journal_read_name_after(reader, name, &name, &epoch), SPN_OK);
        assert_text(name, order[i]);
        uint64_t same;
        assert_int_equal(journal_read_name(reader, name, &same), SPN_OK);
        assert_int_equal(same, epoch);
        if (strcmp(order[i], "b") == 0)
            assert_int_equal(epoch, 100);
        memcpy(last, name.data, name.size); /* from memory outside the database too */
        name.data = last;
    }
    assert_int_equal(journal_read_name_after(reader, name, &name, &epoch), SPN_E_END);
    assert_int_equal(journal_read_name_after(reader, text("a!"), &name, &epoch), SPN_OK);
    assert_text(name, "aa");
    assert_int_equal(journal_read_name_after(reader, text("\xc3"), &name, &epoch), SPN_OK);
    assert_text(name, "\xc3\xa9");
    assert_int_equal(journal_read_name(reader, text("c"), &epoch), SPN_E_END);
    assert_int_equal(journal_read_name(reader, text(""), &epoch), SPN_E_END);
    static char too_long[600];
    struct spn_bytes over = {too_long, sizeof(too_long)};
    assert_int_equal(journal_read_name(reader, over, &epoch), SPN_E_END);
    assert_int_equal(journal_read_name_after(reader, over, &name, &epoch), SPN_E_INVALID);
    journal_reader_close(reader);
    journal_close(journal);
}

static void producers_in_turn(void **state)
{
    (void)state;
    static struct record_run runs[RECORD_RUNS_MAX], found_runs[RECORD_RUNS_MAX];
    uint8_t id[RECORD_PRODUCER_ID_SIZE] = {0};
    struct record_producer found;
    struct journal *journal = open_journal();

    for (uint32_t i = 0; i < COUNT(runs); i++)
        runs[i] = (struct record_run){i, i, 1, 0};
    struct journal_reader *reader = open_reader(journal);
    assert_int_equal(journal_read_producer_after(reader, true, id, found_runs, &found), SPN_E_END);
    for (unsigned round = 0; round < 2; round++) { /* the second changes size and place */
        assert_int_equal(journal_begin(journal), SPN_OK);
        for (unsigned i = 0; i < 50; i++) {
            size_t run_count = (i * 97 + round * 1000) % COUNT(runs);
            struct record_producer producer = {
                .token = i, .number = round, .runs = runs, .run_count = run_count};
            id[0] = (uint8_t)((i * 7) % 50);
            assert_int_equal(journal_put_producer(journal, id, &producer), SPN_OK);
        }
        assert_int_equal(journal_commit(journal), SPN_OK);
    }
    next_snapshot(reader);
    for (unsigned i = 0; i < 50; i++) {
        spn_err err = journal_read_producer_after(reader, i == 0, id, found_runs, &found);
        assert_int_equal(err, SPN_OK);
        assert_int_equal(id[0], i);
        assert_int_equal(found.token * 7 % 50, i);
        assert_int_equal(found.number, 1);
        assert_int_equal(found.run_count, (found.token * 97 + 1000) % COUNT(runs));
    }
    assert_int_equal(journal_read_producer_after(reader, false, id, found_runs, &found), SPN_E_END);
    assert_int_equal(id[0], 49);
    journal_reader_close(reader);
    journal_close(journal);
}

static void rows_come_back(void **state)
{
    (void)state;
    struct record_row row = {.seq = 5, .name = TEXT("chat"), .last_id = TEXT("id-5")};
    struct record_row found;
    struct journal *journal = open_journal();
    assert_int_equal(journal_begin(journal), SPN_OK);
    assert_int_equal(journal_get_row(journal, 7, &found), SPN_E_END);
    assert_int_equal(journal_put_row(journal, 7, &row), SPN_OK);
    row.seq = 6;
    row.last_id = text("a longer id than before");
    assert_int_equal(journal_put_row(journal, 7, &row), SPN_OK);
    assert_int_equal(journal_put_row(journal, 3, &row), SPN_OK); /* in any order */
    assert_int_equal(journal_get_row(journal, 7, &found), SPN_OK);
    assert_int_equal(found.seq, 6);
    assert_int_equal(journal_commit(journal), SPN_OK);
    struct journal_reader *reader = open_reader(journal);
    assert_int_equal(journal_read_row(reader, 7, &found), SPN_OK);
    assert_int_equal(found.seq, 6);
    assert_text(found.last_id, "a longer id than before");
    assert_text(found.name, "chat");
    assert_int_equal(journal_read_row(reader, 8, &found), SPN_E_END);
    journal_reader_close(reader);
    journal_close(journal);
}

/* -- blocks ------------------------------------------------------------------------------------ */

enum { ITEMS = 1000 };

static void put_blocks(struct journal *journal, uint32_t segment, uint64_t epoch,
                       uint64_t first_seq, size_t count)
{
    static struct record_block_item items[ITEMS];
    for (size_t i = 0; i < count; i++)
        items[i] = (struct record_block_item){first_seq + i, (uint32_t)i};
    assert_int_equal(
        journal_append_blocks(journal, segment, epoch, first_seq, segment - 1, items, count),
        SPN_OK);
}

static void complete_segment(struct journal *journal, uint32_t segment)
{
    struct record_meta meta = *journal_meta(journal);
    meta.segment = segment;
    assert_int_equal(journal_put_meta(journal, &meta), SPN_OK);
}

/* Session 4 has seqs 10 to 1009 in segment 2, in blocks of 376; sessions 2 and 6 stand around it.
 */
static const struct lookup {
    const char *name;
    uint64_t segment;
    uint64_t epoch;
    uint64_t seq;
    spn_err at_err;   /* journal_read_block */
    spn_err from_err; /* journal_read_block_from */
    uint64_t at_first;
    uint64_t from_first;
} lookups[] = {
    {"block of the first seq", 2, 4, 10, SPN_OK, SPN_OK, 10, 10},
    {"block of the second seq", 2, 4, 11, SPN_OK, SPN_OK, 10, 386},
    {"block of a block's last seq", 2, 4, 385, SPN_OK, SPN_OK, 10, 386},
    {"block of a block's first seq", 2, 4, 386, SPN_OK, SPN_OK, 386, 386},
    {"block of the last seq", 2, 4, 1009, SPN_OK, SPN_E_END, 762, 0},
    {"block of a seq too high", 2, 4, 5000, SPN_OK, SPN_E_END, 762, 0},
    {"block of any seq", 2, 4, UINT64_MAX, SPN_OK, SPN_E_END, 762, 0},
    {"block of a seq too low", 2, 4, 9, SPN_E_END, SPN_OK, 0, 10},
    {"block of seq 0", 2, 4, 0, SPN_E_END, SPN_OK, 0, 10},
    {"block of a session before", 2, 3, 10, SPN_E_END, SPN_E_END, 0, 0},
    {"block of a session after", 2, 5, 10, SPN_E_END, SPN_E_END, 0, 0},
    {"block of the first session", 1, 2, 1, SPN_OK, SPN_OK, 1, 1},
    {"block before the first session", 1, 1, 1, SPN_E_END, SPN_E_END, 0, 0},
    {"block behind the last session", 3, 7, 1, SPN_E_END, SPN_E_END, 0, 0},
    {"block of the last session", 3, 6, 1, SPN_OK, SPN_OK, 1, 1},
    {"block of a segment not there", 4, 4, 10, SPN_E_END, SPN_E_END, 0, 0},
    {"block of segment 0", 0, 4, 10, SPN_E_END, SPN_E_END, 0, 0},
};

static void run_lookup(void **state)
{
    const struct lookup *lookup = *state;
    struct record_block block = {0};
    struct journal *journal = open_journal();
    assert_int_equal(journal_begin(journal), SPN_OK);
    put_blocks(journal, 1, 2, 1, 1);
    put_blocks(journal, 2, 2, 2, 5);
    put_blocks(journal, 2, 4, 10, ITEMS);
    put_blocks(journal, 2, 6, 1000, 1);
    put_blocks(journal, 3, 6, 1, 1);
    complete_segment(journal, 3);
    assert_int_equal(journal_commit(journal), SPN_OK);
    struct journal_reader *reader = open_reader(journal);
    assert_int_equal(
        journal_read_block(reader, (uint32_t)lookup->segment, lookup->epoch, lookup->seq, &block),
        lookup->at_err);
    if (lookup->at_err == SPN_OK) {
        assert_int_equal(block.first_seq, lookup->at_first);
        assert_int_equal(block.segment_before, lookup->segment - 1);
    }
    assert_int_equal(journal_read_block_from(reader, (uint32_t)lookup->segment, lookup->epoch,
                                             lookup->seq, &block),
                     lookup->from_err);
    if (lookup->from_err == SPN_OK)
        assert_int_equal(block.first_seq, lookup->from_first);
    assert_int_equal(journal_reader_reads(reader),
                     (lookup->at_err == SPN_OK) + (lookup->from_err == SPN_OK));
    journal_reader_close(reader);
    journal_close(journal);
}

static void a_row_names_the_segment_that_is_complete(void **state)
{
    (void)state;
    static const struct {
        uint32_t segment, before, expected;
    } rows[] = {{5, 3, 5}, {6, 5, 5}, {6, 0, 0}, {1, 0, 1}, {0, 0, 0}};
    struct journal *journal = open_journal();
    assert_int_equal(journal_begin(journal), SPN_OK);
    complete_segment(journal, 5);
    assert_int_equal(journal_commit(journal), SPN_OK);
    struct journal_reader *reader = open_reader(journal);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct record_row row = {.segment = rows[i].segment, .segment_before = rows[i].before};
        assert_int_equal(journal_row_segment(reader, &row), rows[i].expected);
    }
    journal_reader_close(reader);
    journal_close(journal);
}

static bool has_block(struct journal *journal, uint32_t segment, uint64_t epoch)
{
    struct record_block block;
    struct journal_reader *reader = open_reader(journal);
    spn_err err = journal_read_block(reader, segment, epoch, UINT64_MAX, &block);
    journal_reader_close(reader);
    return err == SPN_OK;
}

/* counts: one transaction's worth and several. */
static void an_unfinished_segment_is_dropped(void **state)
{
    (void)state;
    static const uint64_t counts[] = {1, 999, 1000, 1001, 3500};
    struct journal *journal = open_journal();
    uint32_t segment = 0;
    for (size_t i = 0; i < COUNT(counts); i++) {
        segment++;
        assert_int_equal(journal_begin(journal), SPN_OK);
        for (uint64_t epoch = 1; epoch <= counts[i]; epoch++)
            put_blocks(journal, segment, epoch, 1, 1);
        complete_segment(journal, segment);
        for (uint64_t epoch = 1; epoch <= counts[i]; epoch++)
            put_blocks(journal, segment + 1, epoch, 1, 1);
        assert_int_equal(journal_commit(journal), SPN_OK);
        assert_true(has_block(journal, segment + 1, 1));
        journal_close(journal);
        journal = open_journal();
        for (uint64_t epoch = 1; epoch <= counts[i]; epoch++) {
            assert_true(has_block(journal, segment, epoch));
            assert_false(has_block(journal, segment + 1, epoch));
        }
    }
    journal_close(journal);
}

static void count_call(void *context)
{
    ++*(unsigned *)context;
}

/* Of 4,096 pages that are checked, or steps of a recovery: then the service manager waits on. */
static void an_open_that_takes_long_says_that_it_goes_on(void **state)
{
    enum { PER_CALL = 4096, PAGE_OF_ITS_OWN = 2100 };
    static const uint8_t large[PAGE_OF_ITS_OWN];
    unsigned calls = 0;
    struct journal *journal = open_journal();
    const struct journal_options options = {
        .dir = dir, .size_max = 64 * MIB, .went_on = count_call, .context = &calls};
    (void)state;
    assert_int_equal(journal_begin(journal), SPN_OK);
    for (uint64_t position = 1; position <= PER_CALL; position++)
        assert_int_equal(append_data(journal, position, (struct spn_bytes){large, sizeof(large)}),
                         SPN_OK);
    assert_int_equal(journal_commit(journal), SPN_OK);
    journal_close(journal);
    assert_int_equal(journal_open(&journal, &options), SPN_OK);
    assert_int_equal(calls, 1);
    for (unsigned i = 0; i < 2 * PER_CALL; i++)
        journal_went_on(journal);
    assert_int_equal(calls, 3);
    assert_int_equal(journal_begin(journal), SPN_OK);
    put_blocks(journal, 1, 1, 1, 1);
    assert_int_equal(journal_commit(journal), SPN_OK);
    journal_close(journal);
    calls = 0;
    assert_int_equal(journal_open(&journal, &options), SPN_OK);
    assert_int_equal(calls, 2); /* also for a part of a segment that is dropped */
    journal_close(journal);
}

/* -- what is not ours -------------------------------------------------------------------------- */

static MDB_env *raw_open(MDB_txn **ret_txn)
{
    MDB_env *env = NULL;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 10), 0);
    assert_int_equal(mdb_env_set_mapsize(env, 64 * MIB), 0);
    assert_int_equal(mdb_env_open(env, dir, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, ret_txn), 0);
    return env;
}

static void raw_close(MDB_env *env, MDB_txn *txn)
{
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void raw_put(MDB_txn *txn, const char *table, unsigned flags, MDB_val key, MDB_val value)
{
    MDB_dbi dbi;
    assert_int_equal(mdb_dbi_open(txn, table, flags | MDB_CREATE, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
}

static MDB_val raw(const char *string)
{
    return (MDB_val){strlen(string), (void *)(uintptr_t)string};
}

static void other_tables(MDB_txn *txn)
{
    raw_put(txn, "users", 0, raw("alice"), raw("1"));
}

static void no_tables(MDB_txn *txn)
{
    raw_put(txn, NULL, 0, raw("alice"), raw("1"));
}

static void key_called_meta(MDB_txn *txn)
{
    raw_put(txn, NULL, 0, raw("meta"), raw("1"));
}

static void other_meta(MDB_txn *txn)
{
    raw_put(txn, "meta", 0, raw("version"), raw("1"));
}

static void other_value(MDB_txn *txn)
{
    raw_put(txn, "meta", 0, (MDB_val){8, "sponson"}, raw("a value of another program"));
}

static void empty_meta(MDB_txn *txn)
{
    MDB_dbi dbi;
    assert_int_equal(mdb_dbi_open(txn, "meta", MDB_CREATE, &dbi), 0);
}

static void integer_keys(MDB_txn *txn)
{
    uint64_t number = 1;
    raw_put(txn, NULL, MDB_INTEGERKEY, (MDB_val){8, &number}, raw("1"));
}

static void duplicate_keys(MDB_txn *txn)
{
    raw_put(txn, NULL, MDB_DUPSORT, raw("a"), raw("1"));
    raw_put(txn, NULL, MDB_DUPSORT, raw("a"), raw("2"));
}

static void one_table_missing(MDB_txn *txn)
{
    MDB_dbi dbi;
    assert_int_equal(mdb_dbi_open(txn, "rows", 0, &dbi), 0);
    assert_int_equal(mdb_drop(txn, dbi, 1), 0);
}

static void one_table_of_other_flags(MDB_txn *txn)
{
    one_table_missing(txn);
    raw_put(txn, "rows", 0, raw("a"), raw("1"));
}

static void meta_missing(MDB_txn *txn)
{
    MDB_dbi dbi;
    MDB_val key = {8, "sponson"};
    assert_int_equal(mdb_dbi_open(txn, "meta", 0, &dbi), 0);
    assert_int_equal(mdb_del(txn, dbi, &key, NULL), 0);
}

static void change_meta(MDB_txn *txn, size_t at, uint8_t byte, size_t size)
{
    uint8_t bytes[1024] = {0};
    MDB_dbi dbi;
    MDB_val key = {8, "sponson"}, value;
    assert_int_equal(mdb_dbi_open(txn, "meta", 0, &dbi), 0);
    assert_int_equal(mdb_get(txn, dbi, &key, &value), 0);
    memcpy(bytes, value.mv_data, value.mv_size);
    bytes[at] = byte;
    value = (MDB_val){size, bytes};
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
}

/* As a program of that format would write it. */
static void put_format(MDB_txn *txn, uint32_t format)
{
    uint8_t value[RECORD_META_SIZE];
    record_put_meta(value, &(struct record_meta){.format = format});
    raw_put(txn, "meta", 0, (MDB_val){8, "sponson"}, (MDB_val){sizeof(value), value});
}

static void newer_format(MDB_txn *txn)
{
    put_format(txn, RECORD_FORMAT + 1);
}

static void damaged_format(MDB_txn *txn)
{
    change_meta(txn, 8, RECORD_FORMAT + 1, RECORD_META_SIZE);
}

static void newer_format_of_other_tables(MDB_txn *txn)
{
    one_table_missing(txn);
    change_meta(txn, 11, 1, 1000);
}

static void format_zero(MDB_txn *txn)
{
    put_format(txn, 0);
}

static void short_meta(MDB_txn *txn)
{
    change_meta(txn, 0, 'S', 100);
}

static void damaged_meta(MDB_txn *txn)
{
    change_meta(txn, 20, 0xff, RECORD_META_SIZE);
}

static const struct foreign {
    const char *name;
    void (*make)(MDB_txn *txn);
    bool ours_first;
    spn_err err;
    bool reads; /* all the same */
} foreigns[] = {
    {"refuses other tables", other_tables, false, SPN_E_CORRUPT, false},
    {"refuses keys without tables", no_tables, false, SPN_E_CORRUPT, false},
    {"refuses a key called meta", key_called_meta, false, SPN_E_CORRUPT, false},
    {"refuses another program's meta", other_meta, false, SPN_E_CORRUPT, false},
    {"refuses another program's value", other_value, false, SPN_E_CORRUPT, false},
    {"refuses an empty meta", empty_meta, false, SPN_E_CORRUPT, false},
    {"refuses integer keys", integer_keys, false, SPN_E_CORRUPT, false},
    {"refuses duplicate keys", duplicate_keys, false, SPN_E_CORRUPT, false},
    {"refuses a missing table", one_table_missing, true, SPN_E_CORRUPT, false},
    {"refuses a table of other flags", one_table_of_other_flags, true, SPN_E_CORRUPT, false},
    {"refuses tables without meta", meta_missing, true, SPN_E_CORRUPT, false},
    {"refuses a newer format", newer_format, true, SPN_E_NEWER_FORMAT, false},
    {"refuses a newer format of other tables", newer_format_of_other_tables, true,
     SPN_E_NEWER_FORMAT, false},
    {"an older format is named, not called damaged", format_zero, true, SPN_E_OLDER_FORMAT, false},
    {"a short meta is for reading only", short_meta, true, SPN_E_CORRUPT, true},
    {"a damaged meta is for reading only", damaged_meta, true, SPN_E_CORRUPT, true},
    {"a damaged number of the format is for reading only", damaged_format, true, SPN_E_CORRUPT,
     true},
};

static void assert_refused_unchanged(spn_err expected, bool reads)
{
    size_t size, size_after;
    uint8_t *before = read_file("data.mdb", &size);
    for (int read_only = 0; read_only < 2; read_only++) {
        errno = 0;
        assert_int_equal(try_open(dir, read_only), read_only && reads ? SPN_OK : expected);
        assert_true(strlen(journal_detail()) > 0);
        uint8_t *after = read_file("data.mdb", &size_after);
        assert_int_equal(size_after, size);
        assert_memory_equal(after, before, size);
        free(after);
    }
    free(before);
}

static void run_foreign(void **state)
{
    const struct foreign *foreign = *state;
    MDB_txn *txn = NULL;
    if (foreign->ours_first)
        journal_close(open_journal());
    MDB_env *env = raw_open(&txn);
    foreign->make(txn);
    raw_close(env, txn);
    assert_refused_unchanged(foreign->err, foreign->reads);
}

/* An environment that nobody has put anything into is nobody's. */
static void an_empty_environment_is_taken(void **state)
{
    (void)state;
    MDB_txn *txn = NULL;
    MDB_env *env = raw_open(&txn);
    raw_close(env, txn);
    assert_int_equal(try_open(dir, true), SPN_E_PATH); /* no database there yet */
    assert_int_equal(try_open(dir, false), SPN_OK);
    assert_int_equal(try_open(dir, true), SPN_OK);
}

static void garbage_files(void **state)
{
    (void)state;
    static uint8_t garbage[64 * 1024];
    static const size_t sizes[] = {1, 100, 4096, 8192, sizeof(garbage)};
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof(garbage); i++)
            garbage[i] = (uint8_t)(round == 0 ? 0 : i * 131 + i / 256);
        for (size_t i = 0; i < COUNT(sizes); i++) {
            write_file("data.mdb", garbage, sizes[i]);
            assert_refused_unchanged(SPN_E_CORRUPT, false);
        }
    }
}

/* -- paths ------------------------------------------------------------------------------------- */

static void paths(void **state)
{
    (void)state;
    char long_path[5000];
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[0] = '/';
    long_path[sizeof(long_path) - 1] = 0;
    write_file("file", "x", 1);
    for (int read_only = 0; read_only < 2; read_only++) {
        assert_int_equal(try_open(path_of("missing"), read_only), SPN_E_PATH);
        assert_int_equal(errno, ENOENT);
        assert_int_equal(try_open(path_of("file"), read_only), SPN_E_PATH);
        assert_int_equal(try_open(path_of("file/below"), read_only), SPN_E_PATH);
        assert_int_equal(try_open(long_path, read_only), SPN_E_PATH);
        assert_int_equal(try_open("", read_only), SPN_E_PATH);
    }
}

static void read_only_leaves_nothing_behind(void **state)
{
    (void)state;
    assert_int_equal(try_open(dir, true), SPN_E_PATH);
    assert_false(exists("lock.mdb"));
    assert_false(exists("data.mdb"));
    write_file("data.mdb", "", 0);
    assert_int_equal(try_open(dir, true), SPN_E_CORRUPT);
    assert_false(exists("lock.mdb"));
}

static void a_file_cut_to_nothing_is_no_new_database(void **state)
{
    (void)state;
    write_file("data.mdb", "", 0);
    assert_int_equal(try_open(dir, false), SPN_E_CORRUPT);
    assert_non_null(strstr(journal_detail(), "empty: it was cut"));
    assert_false(exists("lock.mdb"));
}

/* What an opening finds damaged, it mends: a second one finds nothing. */
static spn_err open_undamaged(void)
{
    static const struct journal_damage none;
    struct journal *journal = NULL;
    const struct journal_options options = {.dir = dir, .size_max = 64 * MIB};
    spn_err err = journal_open(&journal, &options);
    if (err == SPN_OK)
        assert_memory_equal(journal_damage(journal), &none, sizeof(none));
    journal_close(journal);
    return err;
}

/* Cuts it at each page. */
static void expect_cuts_refused(void)
{
    size_t size;
    uint8_t *bytes = read_file("data.mdb", &size);
    size_t refused = 0, cuts = size / 4096 - 2;
    for (size_t left = 2 * 4096; left < size / 4096 * 4096; left += 4096) {
        size_t found;
        write_file("data.mdb", bytes, left);
        spn_err whole = journal_check_whole(dir);
        if (open_undamaged() == SPN_OK) {
            assert_int_equal(whole, SPN_OK);
            continue;
        }
        assert_non_null(strstr(journal_detail(), "cut to "));
        assert_int_equal(whole, SPN_E_CORRUPT);
        assert_int_equal(journal_check_whole(dir), SPN_E_CORRUPT);
        assert_non_null(strstr(journal_detail(), "cut to "));
        uint8_t *after = read_file("data.mdb", &found);
        assert_int_equal(found, left);
        assert_memory_equal(after, bytes, left);
        free(after);
        refused++;
    }
    assert_in_range(refused, cuts - 3, cuts); /* the last pages may be free */
    free(bytes);
}

static void a_cut_file_is_refused_not_touched(void **state)
{
    (void)state;
    struct journal *journal = open_journal();
    append_commit(journal, 1, 1000);
    journal_close(journal);
    expect_cuts_refused();
}

enum { BEFORE_LARGE = 20 };

/* All else is in pages before those of the large value, which earlier commits have left free. */
static void write_large_value_last(void)
{
    static const uint8_t large[100 * 1000];
    struct journal *journal = open_journal();
    for (uint64_t position = 1; position <= BEFORE_LARGE; position++)
        append_commit(journal, position, 1);
    assert_int_equal(journal_begin(journal), SPN_OK);
    assert_int_equal(
        append_data(journal, BEFORE_LARGE + 1, (struct spn_bytes){large, sizeof(large)}), SPN_OK);
    assert_int_equal(journal_commit(journal), SPN_OK);
    journal_close(journal);
}

static void a_file_cut_within_a_large_value_is_refused(void **state)
{
    (void)state;
    write_large_value_last();
    expect_cuts_refused();
}

/* Its first page is there, and the last one would be a SIGBUS. */
static void of_a_cut_large_value_nothing_is_read(void **state)
{
    (void)state;
    size_t size;
    struct record_entry entry;
    write_large_value_last();
    uint8_t *bytes = read_file("data.mdb", &size);
    write_file("data.mdb", bytes, size - 4096);
    free(bytes);
    struct journal *journal = open_at(dir, 64 * MIB, true);
    struct journal_reader *reader = open_reader(journal);
    assert_int_equal(journal_read_entry(reader, BEFORE_LARGE + 1, &entry), SPN_E_CORRUPT);
    journal_reader_close(reader);
    journal_close(journal);
}

/* LMDB wrote no page at the end of the file, since it was free again: here it is a page more than
 * there are. The file is whole. */
static void a_file_may_lack_free_pages_at_its_end(void **state)
{
    enum { META_LAST_AT = 16 + 120 }; /* in each of the two first pages, as LMDB 0.9 has it */
    (void)state;
    size_t size;
    struct journal *journal = open_journal();
    append_commit(journal, 1, 1000);
    journal_close(journal);
    uint8_t *bytes = read_file("data.mdb", &size);
    for (size_t page = 0; page < 2; page++) {
        uint64_t last;
        uint8_t *at = bytes + page * 4096 + META_LAST_AT;
        memcpy(&last, at, sizeof(last));
        assert_in_range(last, 1, size / 4096 - 1);
        last = size / 4096; /* the page after the last one */
        memcpy(at, &last, sizeof(last));
    }
    write_file("data.mdb", bytes, size);
    free(bytes);
    assert_int_equal(journal_check_whole(dir), SPN_OK);
    assert_int_equal(try_open(dir, true), SPN_OK);
    journal = open_journal();
    append_commit(journal, 1001, 1000);
    journal_close(journal);
    assert_int_equal(try_open(dir, false), SPN_OK);
}

/* -- damage ------------------------------------------------------------------------------------ */

/* One byte of a value is turned over in the file; each value has a word that is found there. */
static const char *const words[] = {"EVENT-DATA", "EVENT-ID", "ROW-NAME", "BLOCK"};

static void damage(const char *word)
{
    size_t size, found = 0;
    uint8_t *bytes = read_file("data.mdb", &size);
    for (size_t i = 0; i + strlen(word) <= size; i++)
        if (memcmp(bytes + i, word, strlen(word)) == 0) {
            bytes[i] ^= 1;
            found++;
        }
    assert_int_equal(found, 1);
    write_file("data.mdb", bytes, size);
    free(bytes);
}

static void run_damage(void **state)
{
    const char *word = *state;
    struct record_entry entry = event_of(1, text("EVENT-DATA"));
    struct record_row row = {.name = TEXT("ROW-NAME")};
    struct record_block_item item = {1, 0};
    struct record_block block;
    uint64_t position;
    struct journal *journal = open_journal();

    entry.id = text("EVENT-ID");
    memcpy(&item.position, "BLOCK\0\0", sizeof(item.position));
    assert_int_equal(journal_begin(journal), SPN_OK);
    assert_int_equal(journal_append(journal, 1, &entry), SPN_OK);
    assert_int_equal(journal_put_row(journal, 1, &row), SPN_OK);
    assert_int_equal(journal_append_blocks(journal, 1, 1, 1, 0, &item, 1), SPN_OK);
    complete_segment(journal, 1);
    assert_int_equal(journal_commit(journal), SPN_OK);
    journal_close(journal);
    damage(word);

    journal = open_journal();
    struct journal_reader *reader = open_reader(journal);
    spn_err event = strncmp(word, "EVENT", 5) == 0 ? SPN_E_CORRUPT : SPN_OK;
    assert_int_equal(journal_read_entry(reader, 1, &entry), event);
    assert_int_equal(journal_read_entry_from(reader, 0, &position, &entry), event);
    assert_int_equal(journal_read_row(reader, 1, &row),
                     strcmp(word, "ROW-NAME") == 0 ? SPN_E_CORRUPT : SPN_OK);
    assert_int_equal(journal_read_block(reader, 1, 1, 1, &block),
                     strcmp(word, "BLOCK") == 0 ? SPN_E_CORRUPT : SPN_OK);
    assert_true(strlen(journal_detail()) > 0);
    journal_reader_close(reader);
    journal_close(journal);
}

enum {
    PAGE = 4096,
    PAGE_FLAGS = 10, /* LMDB's places in a page; mdb.c, struct MDB_page and MDB_node */
    PAGE_LEAF = 2,
    PAGE_LOWER = 12, /* where the list of nodes ends */
    PAGE_FIRST_NODE = 16,
    NODE_KEY = 8,
    LEAVES = 3,
};

/* The log's leaf that begins with the lowest position above this one. */
static uint8_t *find_leaf(uint8_t *bytes, size_t size, uint64_t above, uint64_t *ret_first)
{
    uint8_t *found = NULL;
    for (uint8_t *page = bytes; page < bytes + size; page += PAGE) {
        uint16_t node;
        uint64_t first;
        memcpy(&node, page + PAGE_FIRST_NODE, sizeof(node));
        if (page[PAGE_FLAGS] != PAGE_LEAF || node > PAGE - NODE_KEY - sizeof(first) ||
            !memmem(page, PAGE, "some data", 9))
            continue;
        memcpy(&first, page + node + NODE_KEY, sizeof(first));
        if (first <= above || (found && first >= *ret_first))
            continue;
        found = page;
        *ret_first = first;
    }
    assert_non_null(found);
    return found;
}

/* The database's file, with a log of many leaves in it. */
static uint8_t *file_of_a_log(size_t *ret_size)
{
    enum { ENTRIES = 1000 };
    struct journal *journal = open_journal();
    append_commit(journal, 1, ENTRIES);
    journal_close(journal);
    return read_file("data.mdb", ret_size);
}

/* A tree whose pages are not the ones that belong there, as after a disk that did not sync: whoever
 * walks the log gets on, or is told. */
static void a_tree_that_leads_back(void **state)
{
    (void)state;
    size_t size;
    uint64_t first = 0;
    uint8_t *bytes = file_of_a_log(&size);
    const uint8_t *leaf = find_leaf(bytes, size, first, &first);
    for (int i = 1; i < LEAVES; i++) {
        uint8_t *other = find_leaf(bytes, size, first, &first);
        memcpy(other + sizeof(uint64_t), leaf + sizeof(uint64_t), PAGE - sizeof(uint64_t));
    }
    write_file("data.mdb", bytes, size);
    free(bytes);

    struct journal *journal = open_journal();
    struct journal_reader *reader = open_reader(journal);
    struct record_entry entry;
    spn_err err = SPN_OK;
    for (uint64_t next = 1, position = 0; err == SPN_OK; next = position + 1) {
        err = journal_read_entry_from(reader, next, &position, &entry);
        assert_true(err != SPN_OK || position >= next);
    }
    assert_int_equal(err, SPN_E_CORRUPT);
    journal_reader_close(reader);
    journal_close(journal);
}

/* A leaf that lost an entry. LMDB steps from the leaf before it into it and finds nothing wrong;
 * where leaves are checked when they are read, so is this one. */
static void a_step_into_a_damaged_leaf(void **state)
{
    (void)state;
    size_t size;
    uint64_t first = 0;
    uint8_t *bytes = file_of_a_log(&size);
    (void)find_leaf(bytes, size, first, &first);
    uint8_t *second = find_leaf(bytes, size, first, &first);
    second[PAGE_LOWER] = (uint8_t)(second[PAGE_LOWER] - sizeof(uint16_t));
    write_file("data.mdb", bytes, size);
    free(bytes);

    struct journal *journal = open_at(dir, 0, true);
    assert_non_null(journal);
    struct journal_reader *reader = open_reader(journal);
    struct record_entry entry;
    uint64_t position;
    for (uint64_t next = 1; next < first; next++) {
        assert_int_equal(journal_read_entry_from(reader, next, &position, &entry), SPN_OK);
        assert_int_equal(position, next);
    }
    assert_int_equal(journal_read_entry_from(reader, first, &position, &entry), SPN_E_CORRUPT);
    assert_true(position > first);
    journal_reader_close(reader);
    journal_close(journal);
}

/* Keys that this program does not write. */
static void keys_of_a_wrong_size(void **state)
{
    (void)state;
    MDB_txn *txn = NULL;
    uint8_t id[RECORD_PRODUCER_ID_SIZE];
    static struct record_run runs[RECORD_RUNS_MAX];
    struct record_producer producer;
    struct record_block block;
    journal_close(open_journal());
    MDB_env *env = raw_open(&txn);
    raw_put(txn, "producers", 0, raw("short"), raw("x"));
    raw_put(txn, "blocks", 0, raw("\1\1\1\1short"), raw("x"));
    raw_close(env, txn);
    struct journal *journal = open_at(dir, 0, true);
    assert_non_null(journal);
    struct journal_reader *reader = open_reader(journal);
    assert_int_equal(journal_read_producer_after(reader, true, id, runs, &producer), SPN_E_CORRUPT);
    assert_int_equal(journal_read_block(reader, 0x2000000, 1, 1, &block), SPN_E_CORRUPT);
    assert_int_equal(journal_read_block_from(reader, 1, 1, 1, &block), SPN_E_CORRUPT);
    journal_reader_close(reader);
    journal_close(journal);
    assert_int_equal(try_open(dir, false), SPN_E_CORRUPT);
}

/* -- room -------------------------------------------------------------------------------------- */

/* Commits one event each until that fails; returns the first position that is not there. */
static uint64_t fill(struct journal *journal, uint64_t position, size_t data_size, spn_err *ret_err)
{
    static uint8_t data[64 * 1024];
    for (;; position++) {
        spn_err err = journal_begin(journal);
        if (err == SPN_OK)
            err = append_data(journal, position, (struct spn_bytes){data, data_size});
        if (err == SPN_OK)
            err = journal_commit(journal);
        journal_abort(journal);
        if (err != SPN_OK) {
            *ret_err = err;
            return position;
        }
    }
}

int __real_mdb_env_set_mapsize(MDB_env *env, size_t size);
int __wrap_mdb_env_set_mapsize(MDB_env *env, size_t size);

static atomic_uint maps_set;
static bool no_map; /* there are no addresses for it: LMDB has given the old one away by then */

int __wrap_mdb_env_set_mapsize(MDB_env *env, size_t size)
{
    atomic_fetch_add(&maps_set, 1);
    return __real_mdb_env_set_mapsize(env, no_map ? SIZE_MAX / 4 : size);
}

struct resize {
    struct journal *journal;
    atomic_int tid; /* 0: it has not begun */
    unsigned maps_set;
};

static void *resize_it(void *argument)
{
    struct resize *resize = argument;
    atomic_store(&resize->tid, (int)syscall(SYS_gettid));
    assert_int_equal(
        journal_resize(resize->journal, &(struct journal_options){.size_max = 8 * MIB}), SPN_OK);
    return NULL;
}

/* The thread sleeps, or it does not wait for anything. */
static bool has_come_far(void *argument)
{
    struct resize *resize = argument;
    char path[64];
    char state = 'R';
    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", atomic_load(&resize->tid));
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%*d %*s %c", &state) != 1)
        state = 'R';
    if (file)
        (void)fclose(file);
    return state == 'S' || atomic_load(&maps_set) > resize->maps_set;
}

/* A map that is full is made larger, once no snapshot needs the old one; it does not become smaller
 * than the file. */
static void a_map_is_resized(void **state)
{
    (void)state;
    uint64_t used_bytes, map_bytes;
    struct record_entry entry;
    struct resize resize;
    pthread_t thread;
    spn_err err = SPN_OK;
    struct journal *journal = open_at(dir, MIB, false);
    assert_non_null(journal);
    uint64_t position = fill(journal, 1, 10000, &err);
    assert_int_equal(err, SPN_E_QUOTA_FULL);
    struct journal_reader *reader = NULL;
    assert_int_equal(journal_reader_open(&reader, journal), SPN_OK);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    resize = (struct resize){.journal = journal, .maps_set = atomic_load(&maps_set)};
    assert_int_equal(pthread_create(&thread, NULL, resize_it, &resize), 0);
    assert_true(until_true(until_in(10000), has_come_far, &resize));
    for (uint64_t i = 1; i < position; i++)
        assert_int_equal(journal_read_entry(reader, i, &entry), SPN_OK);
    assert_int_equal(atomic_load(&maps_set), resize.maps_set);
    journal_reader_end(reader);
    assert_int_equal(pthread_join(thread, NULL), 0);
    journal_usage(journal, &used_bytes, &map_bytes);
    assert_int_equal(map_bytes, 8 * MIB);
    append_commit(journal, position, 100);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    for (uint64_t i = 1; i < position + 100; i++)
        assert_int_equal(journal_read_entry(reader, i, &entry), SPN_OK);
    journal_reader_end(reader);
    assert_int_equal(journal_resize(journal, &(struct journal_options){.size_max = 4096}), SPN_OK);
    journal_usage(journal, &used_bytes, &map_bytes);
    assert_in_range(map_bytes, used_bytes, 2 * MIB);
    position = fill(journal, position + 100, 10000, &err);
    assert_int_equal(err, SPN_E_QUOTA_FULL);
    assert_int_equal(journal_reader_begin(reader), SPN_OK);
    assert_int_equal(journal_read_entry(reader, position - 1, &entry), SPN_OK);
    journal_reader_close(reader); /* with its snapshot, which holds up nobody any more */
    assert_int_equal(journal_resize(journal, &(struct journal_options){.size_max = 8 * MIB}),
                     SPN_OK);
    journal_close(journal);
}

/* A file that is longer than the map that is asked for is full, and has room all the same: after a
 * resize, and after it was opened. */
static void a_map_below_the_file_has_a_reserve(void **state)
{
    (void)state;
    uint64_t used_bytes, map_bytes;
    struct stat file;
    spn_err err = SPN_OK;
    const struct journal_options small = {.dir = dir, .size_max = 4096, .reserve = MIB};
    struct journal *journal = open_at(dir, 2 * MIB, false);
    assert_non_null(journal);
    uint64_t position = fill(journal, 1, 10000, &err);
    assert_int_equal(err, SPN_E_QUOTA_FULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(stat(path_of("data.mdb"), &file), 0);
        if (i == 0)
            assert_int_equal(journal_resize(journal, &small), SPN_OK);
        else
            assert_int_equal(journal_open(&journal, &small), SPN_OK);
        journal_usage(journal, &used_bytes, &map_bytes);
        assert_in_range(map_bytes, (uint64_t)file.st_size + MIB - 65536,
                        (uint64_t)file.st_size + MIB);
        uint64_t before = position;
        position = fill(journal, position, 10000, &err);
        assert_int_equal(err, SPN_E_QUOTA_FULL);
        assert_in_range(position, before + 50, before + 110);
        journal_close(journal);
    }
}

/* LMDB has given its old map away by then. */
static void a_resize_that_fails(void **state)
{
    (void)state;
    const struct journal_options endless = {.size_max = SIZE_MAX / 4};
    struct journal *journal = open_journal();
    append_commit(journal, 1, 10);
    struct journal_reader *reader = NULL;
    struct journal_reader *late = NULL;
    assert_int_equal(journal_reader_open(&reader, journal), SPN_OK);
    assert_int_equal(journal_resize(journal, &endless), SPN_E_IO);
    assert_int_equal(journal_begin(journal), SPN_E_IO);
    assert_int_equal(journal_reader_begin(reader), SPN_E_IO);
    assert_int_equal(journal_reader_open(&late, journal), SPN_E_IO);
    journal_reader_close(reader);
    journal_close(journal);
    journal = open_journal();
    append_commit(journal, 11, 1);
    journal_close(journal);
}

static void a_full_map(void **state)
{
    (void)state;
    struct record_entry entry;
    uint64_t used_bytes, map_bytes;
    spn_err err = SPN_OK;
    struct journal *journal = open_at(dir, MIB, false);
    assert_non_null(journal);
    uint64_t position = fill(journal, 1, 10000, &err);
    assert_int_equal(err, SPN_E_QUOTA_FULL);
    assert_in_range(position, 50, 110);
    journal_usage(journal, &used_bytes, &map_bytes);
    assert_int_equal(map_bytes, MIB);
    assert_in_range(used_bytes, MIB * 8 / 10, MIB);

    /* The environment goes on: it reads, says so each time, and takes what fits. */
    struct journal_reader *reader = open_reader(journal);
    assert_int_equal(journal_reader_newest(reader), position - 1);
    for (uint64_t i = 1; i < position; i++)
        assert_int_equal(journal_read_entry(reader, i, &entry), SPN_OK);
    journal_reader_close(reader);
    assert_int_equal(fill(journal, position, 10000, &err), position);
    assert_int_equal(err, SPN_E_QUOTA_FULL);
    append_commit(journal, position, 1);

    /* Not committed either where the caller has overlooked it. */
    assert_int_equal(journal_begin(journal), SPN_OK);
    static const uint8_t large[MIB];
    assert_int_equal(append_data(journal, position + 1, (struct spn_bytes){large, sizeof(large)}),
                     SPN_E_QUOTA_FULL);
    assert_int_equal(journal_commit(journal), SPN_E_QUOTA_FULL);
    journal_close(journal);

    journal = open_at(dir, 2 * MIB, false);
    assert_non_null(journal);
    assert_true(fill(journal, position + 1, 10000, &err) > position + 50);
    assert_int_equal(err, SPN_E_QUOTA_FULL);
    journal_close(journal);
}

/* In a child process: cmocka is the parent's. */
#define CHILD_CHECK(condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, journal_detail()); \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static int status_of(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A filesystem of two megabytes that only this process sees, half of it taken by a ballast file. */
static bool mount_small(void)
{
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return false;
    (void)mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (mount("none", dir, "tmpfs", 0, "size=2m") != 0)
        return false;
    static const uint8_t ballast[MIB];
    int fd = open(path_of("file"), O_WRONLY | O_CREAT, 0600);
    bool written = write(fd, ballast, sizeof(ballast)) == sizeof(ballast);
    close(fd);
    return written;
}

static void put_session(struct journal *journal, uint32_t segment, uint64_t epoch)
{
    struct record_block_item item = {epoch, 0};
    CHILD_CHECK(journal_append_blocks(journal, segment, epoch, 1, 0, &item, 1) == SPN_OK);
}

static struct journal_reader *child_reader(struct journal *journal)
{
    struct journal_reader *reader = NULL;
    CHILD_CHECK(journal_reader_open(&reader, journal) == SPN_OK);
    CHILD_CHECK(journal_reader_begin(reader) == SPN_OK);
    return reader;
}

static void give_turn(int fd)
{
    CHILD_CHECK(write(fd, "", 1) == 1);
}

static void take_turn(int fd)
{
    char byte;
    CHILD_CHECK(read(fd, &byte, 1) == 1);
}

static void follow_without_a_map(int in, int out)
{
    take_turn(in);
    struct journal *journal = open_at(dir, 0, true);
    CHILD_CHECK(journal);
    struct journal_reader *reader = child_reader(journal);
    journal_reader_end(reader);
    give_turn(out);
    take_turn(in);
    no_map = true;
    CHILD_CHECK(journal_reader_begin(reader) != SPN_OK);
    CHILD_CHECK(journal_reader_begin(reader) == SPN_E_IO);
    journal_reader_close(reader);
    journal_close(journal);
    _exit(0);
}

/* Another process has made the map larger than this one can. */
static void a_map_that_cannot_be_followed(void **state)
{
    (void)state;
    int to[2], from[2];
    spn_err err = SPN_OK;
    assert_int_equal(pipe(to) | pipe(from), 0);
    pid_t child = fork();
    if (child == 0) {
        close(to[1]); /* so that it ends if this process does */
        close(from[0]);
        follow_without_a_map(to[0], from[1]);
    }
    struct journal *journal = open_at(dir, MIB, false);
    assert_non_null(journal);
    give_turn(to[1]);
    take_turn(from[0]);
    assert_int_equal(journal_resize(journal, &(struct journal_options){.size_max = 4 * MIB}),
                     SPN_OK);
    assert_true(fill(journal, 1, 10000, &err) > 150);
    give_turn(to[1]);
    assert_int_equal(status_of(child), 0);
    journal_close(journal);
    for (int i = 0; i < 2; i++) {
        close(to[i]);
        close(from[i]);
    }
}

/* A segment that a crash left unfinished, and then no room to remove it. */
static uint64_t fill_disk(struct journal *journal)
{
    spn_err err = SPN_OK;
    CHILD_CHECK(journal_begin(journal) == SPN_OK);
    for (uint64_t epoch = 1; epoch < 2000; epoch++)
        put_session(journal, 1, epoch);
    CHILD_CHECK(journal_commit(journal) == SPN_OK);
    uint64_t position = fill(journal, 1, 10000, &err);
    CHILD_CHECK(err == SPN_E_DISK_FULL && position > 10);
    position = fill(journal, position, 0, &err); /* the last pages, for smaller ones */
    CHILD_CHECK(err == SPN_E_DISK_FULL);
    return position;
}

/* The segment is written once there is room. */
static void write_segment(struct journal *journal)
{
    CHILD_CHECK(journal_begin(journal) == SPN_OK);
    for (uint64_t epoch = 500; epoch < 600; epoch++)
        put_session(journal, 1, epoch);
    struct record_meta meta = *journal_meta(journal);
    meta.segment = 1;
    CHILD_CHECK(journal_put_meta(journal, &meta) == SPN_OK);
    CHILD_CHECK(journal_commit(journal) == SPN_OK);
}

static void on_a_full_disk(void)
{
    struct record_entry entry;
    struct record_block block;
    spn_err err = SPN_OK;
    if (!mount_small())
        _exit(SKIP);
    struct journal *journal = open_at(dir, 64 * MIB, false);
    CHILD_CHECK(journal);
    uint64_t position = fill_disk(journal);
    journal_close(journal);

    journal = open_at(dir, 64 * MIB, false);
    CHILD_CHECK(journal);
    struct journal_reader *reader = child_reader(journal);
    for (uint64_t i = 1; i < position; i++)
        CHILD_CHECK(journal_read_entry(reader, i, &entry) == SPN_OK);
    journal_reader_close(reader);

    CHILD_CHECK(remove(path_of("file")) == 0);
    write_segment(journal);
    uint64_t more = fill(journal, position, 10000, &err);
    CHILD_CHECK(err == SPN_E_DISK_FULL && more > position + 50);
    reader = child_reader(journal);
    for (uint64_t epoch = 1; epoch < 2000; epoch++) {
        err = journal_read_block(reader, 1, epoch, 1, &block);
        CHILD_CHECK(err == (epoch >= 500 && epoch < 600 ? SPN_OK : SPN_E_END));
    }
    journal_reader_close(reader);
    journal_close(journal);
    _exit(0);
}

static void a_full_disk(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0)
        on_a_full_disk();
    int status = status_of(child);
    if (status == SKIP)
        skip(); /* may not mount */
    assert_int_equal(status, 0);
}

/* -- storage that fails ------------------------------------------------------------------------ */

/* In front of the C library's, for LMDB too. Calls are counted while a fault is armed. */
static struct {
    unsigned skip;  /* calls that go well first */
    unsigned count; /* and how many fail then */
    int code;       /* errno; 0: half of it is written */
    unsigned fired;
    int directory_code; /* of fsync, which only directories see */
    bool full;          /* what statvfs says once it has fired */
} fault;

static bool fault_now(void)
{
    if (fault.count == 0 || fault.skip > 0) {
        fault.skip -= fault.skip > 0;
        return false;
    }
    fault.count--;
    fault.fired++;
    errno = fault.code;
    return true;
}

/* What was done, in order: w writes, s syncs, m writes through to the disk at once, d syncs a
 * directory. */
static char trace[64];

static void note(char what)
{
    size_t size = strlen(trace);
    bool again = size > 0 && trace[size - 1] == what && what != 'd';
    if (size + 1 < sizeof(trace) && !again)
        trace[size] = what;
}

static char kind_of_write(int fd)
{
    return (fcntl(fd, F_GETFL) & O_DSYNC) != 0 ? 'm' : 'w';
}

#define SHOWN __attribute__((visibility("default")))

SHOWN ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    note(kind_of_write(fd));
    if (fault_now()) {
        if (fault.code != 0)
            return -1;
        size /= 2;
    }
    return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

SHOWN ssize_t writev(int fd, const struct iovec *parts, int count)
{
    note(kind_of_write(fd));
    if (fault_now())
        return fault.code != 0 ? -1 : syscall(SYS_writev, fd, parts, count / 2);
    return syscall(SYS_writev, fd, parts, count);
}

/* Nothing here loses power: it is enough that it was asked for. */
SHOWN int fdatasync(int fd)
{
    (void)fd;
    note('s');
    if (fault_now()) {
        errno = fault.code != 0 ? fault.code : EIO;
        return -1;
    }
    return 0;
}

SHOWN int fsync(int fd)
{
    (void)fd;
    note('d');
    if (fault.directory_code != 0) {
        errno = fault.directory_code;
        return -1;
    }
    return 0;
}

SHOWN int statvfs(const char *path, struct statvfs *ret_fs)
{
    struct statfs fs;
    if (statfs(path, &fs) != 0)
        return -1;
    *ret_fs = (struct statvfs){.f_frsize = (unsigned long)fs.f_frsize, .f_bavail = fs.f_bavail};
    if (fault.fired > 0)
        ret_fs->f_bavail = (fault.full ? 800000 : 2000000) / ret_fs->f_frsize;
    return 0;
}

static const struct faulty {
    const char *name;
    int code;
    bool full;
    spn_err err;
} faulties[] = {
    {"storage gives EIO", EIO, false, SPN_E_IO},
    {"storage gives EIO on a full disk", EIO, true, SPN_E_DISK_FULL},
    {"storage gives ENOSPC", ENOSPC, false, SPN_E_DISK_FULL},
    {"storage gives EDQUOT", EDQUOT, false, SPN_E_DISK_FULL},
    {"storage gives EFBIG", EFBIG, false, SPN_E_DISK_FULL},
    {"storage writes the half", 0, false, SPN_E_IO},
    {"storage writes the half on a full disk", 0, true, SPN_E_DISK_FULL},
    {"storage gives EBADF", EBADF, false, SPN_E_SYSTEM},
};

static void arm(const struct faulty *faulty, unsigned skip, unsigned count)
{
    fault.skip = skip;
    fault.count = count;
    fault.code = faulty->code;
    fault.full = faulty->full;
    fault.fired = 0;
}

/* Returns whether it fired. */
static bool disarm(void)
{
    bool fired = fault.fired > 0;
    fault.count = 0;
    fault.fired = 0;
    return fired;
}

static spn_err commit_much(struct journal *journal, uint64_t first)
{
    static uint8_t data[6000];
    struct record_row row = {.name = TEXT("chat")};
    struct record_meta meta = *journal_meta(journal);
    meta.clock_ns++;
    spn_err err = journal_begin(journal);
    for (uint64_t i = 0; err == SPN_OK && i < 10; i++)
        err = append_data(journal, first + i, (struct spn_bytes){data, i % 2 ? 100 : sizeof(data)});
    if (err == SPN_OK)
        err = journal_put_row(journal, first, &row);
    if (err == SPN_OK)
        err = journal_put_meta(journal, &meta);
    if (err == SPN_OK)
        err = journal_commit(journal);
    journal_abort(journal);
    return err;
}

static void assert_holds(struct journal *journal, uint64_t newest)
{
    struct record_entry entry;
    struct journal_reader *reader = open_reader(journal);
    assert_int_equal(journal_reader_newest(reader), newest);
    for (uint64_t i = 1; i <= newest; i++)
        assert_int_equal(journal_read_entry(reader, i, &entry), SPN_OK);
    journal_reader_close(reader);
}

/* Durable means: data, then a sync, then the meta page through to the disk; and a new file's name.
 */
static void a_commit_is_synced_before_it_returns(void **state)
{
    (void)state;
    memset(trace, 0, sizeof(trace));
    struct journal *journal = open_journal();
    assert_string_equal(trace, "wsmdd"); /* the directory and its parent */
    memset(trace, 0, sizeof(trace));
    append_commit(journal, 1, 1000);
    assert_string_equal(trace, "wsm");
    memset(trace, 0, sizeof(trace));
    append_commit(journal, 1001, 1);
    assert_string_equal(trace, "wsm");
    journal_close(journal);
}

/* Of a commit, each call in turn: it is on disk, or it is not at all. */
static void run_faulty_commit(void **state)
{
    const struct faulty *faulty = *state;
    unsigned skip = 0;
    for (bool fired = true; fired; skip++) {
        struct journal *journal = open_journal();
        uint64_t newest = 10;
        assert_int_equal(commit_much(journal, 1), SPN_OK);
        arm(faulty, skip, 1);
        spn_err err = commit_much(journal, 11);
        fired = disarm();
        assert_int_equal(err, fired ? faulty->err : SPN_OK);
        assert_int_equal(journal_meta(journal)->clock_ns, fired ? 1 : 2);
        if (fired) {
            assert_true(strlen(journal_detail()) > 0);
            /* Tried again from memory. Where the meta page failed there is only a restart. */
            err = commit_much(journal, 11);
            assert_true(err == SPN_OK || err == SPN_E_IO);
        }
        newest += err == SPN_OK ? 10 : 0;
        journal_close(journal);
        journal = open_journal();
        assert_holds(journal, newest);
        journal_close(journal);
        remove(path_of("data.mdb"));
    }
    assert_in_range(skip, 4, 100);
}

/* A creation that fails leaves nothing that stands in the way of the next. */
static void run_faulty_creation(void **state)
{
    const struct faulty *faulty = *state;
    unsigned skip = 0;
    for (bool fired = true; fired; skip++) {
        arm(faulty, skip, 1);
        spn_err err = try_open(dir, false);
        fired = disarm();
        /* LMDB itself takes half of its first pages for a full disk */
        if (fired && faulty->code == 0)
            assert_true(err == SPN_E_DISK_FULL || err == faulty->err);
        else
            assert_int_equal(err, fired ? faulty->err : SPN_OK);
        assert_int_equal(exists("data.mdb"), !fired);
        assert_int_equal(try_open(dir, false), SPN_OK);
        remove(path_of("data.mdb"));
    }
    assert_in_range(skip, 4, 100);
}

/* But a database that is there is not taken away, however it fails. */
static void a_failed_open_removes_nothing(void **state)
{
    (void)state;
    size_t size, size_after;
    struct journal *journal = open_journal();
    append_commit(journal, 1, 10);
    journal_close(journal);
    uint8_t *before = read_file("data.mdb", &size);
    fault.directory_code = EIO;
    assert_int_equal(try_open(dir, false), SPN_E_IO);
    fault.directory_code = 0;
    uint8_t *after = read_file("data.mdb", &size_after);
    assert_int_equal(size_after, size);
    assert_memory_equal(after, before, size);
    free(before);
    free(after);
}

static void directories_that_cannot_be_synced(void **state)
{
    (void)state;
    fault.directory_code = EIO;
    spn_err err = try_open(dir, false);
    fault.directory_code = EINVAL; /* some filesystems have no such thing */
    spn_err tolerated = try_open(dir, false);
    fault.directory_code = 0;
    assert_int_equal(err, SPN_E_IO);
    assert_int_equal(tolerated, SPN_OK);
}

static void leave_unfinished_segment(uint64_t epochs)
{
    struct journal *journal = open_journal();
    assert_int_equal(journal_begin(journal), SPN_OK);
    for (uint64_t epoch = 1; epoch <= epochs; epoch++)
        put_blocks(journal, 1, epoch, 1, 1);
    assert_int_equal(journal_commit(journal), SPN_OK);
    journal_close(journal);
}

/* Deleting needs room. Where there is a little, smaller steps do. */
static void an_unfinished_segment_on_a_full_disk(void **state)
{
    (void)state;
    const struct faulty full = {.code = ENOSPC};
    leave_unfinished_segment(2000);
    arm(&full, 0, 3);
    struct journal *journal = open_journal();
    assert_int_equal(fault.fired, 3);
    disarm();
    assert_false(has_block(journal, 1, 1));
    journal_close(journal);
}

/* Where there is none they stay: the database opens, and the segment that is written next takes
 * their place. */
static void an_unfinished_segment_that_stays(void **state)
{
    (void)state;
    const struct faulty full = {.code = ENOSPC};
    leave_unfinished_segment(2000);
    arm(&full, 0, UINT_MAX);
    struct journal *journal = open_journal();
    assert_in_range(fault.fired, 10, 12);
    disarm();
    assert_true(has_block(journal, 1, 1));
    for (unsigned aborted = 0; aborted < 2; aborted++) {
        assert_int_equal(journal_begin(journal), SPN_OK);
        put_blocks(journal, 1, 7, 1, 1);
        put_blocks(journal, 1, 8, 1, 1);
        complete_segment(journal, 1);
        if (aborted == 0)
            journal_abort(journal);
        else
            assert_int_equal(journal_commit(journal), SPN_OK);
    }
    for (uint64_t epoch = 1; epoch <= 2000; epoch++)
        assert_int_equal(has_block(journal, 1, epoch), epoch == 7 || epoch == 8);
    assert_int_equal(journal_begin(journal), SPN_OK);
    put_blocks(journal, 2, 1, 1, 1);
    assert_int_equal(journal_commit(journal), SPN_OK);
    assert_true(has_block(journal, 1, 7));
    journal_close(journal);
}

static void an_unfinished_segment_on_a_broken_disk(void **state)
{
    (void)state;
    const struct faulty broken = {.code = EIO};
    leave_unfinished_segment(10);
    arm(&broken, 0, 1);
    spn_err err = try_open(dir, false);
    disarm();
    assert_int_equal(err, SPN_E_IO);
}

/* Linked with -Wl,--wrap=calloc: here memory runs out when told. */
static unsigned allocations_until_failure; /* 0: none fails */

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    if (allocations_until_failure > 0 && --allocations_until_failure == 0)
        return NULL;
    return __real_calloc(count, size);
}

static void memory_runs_out(void **state)
{
    (void)state;
    struct journal_reader *reader = NULL;
    allocations_until_failure = 1;
    assert_int_equal(try_open(dir, false), SPN_E_NOMEM);
    struct journal *journal = open_journal();
    allocations_until_failure = 1;
    assert_int_equal(journal_reader_open(&reader, journal), SPN_E_NOMEM);
    assert_null(reader);
    journal_close(journal);
}

/* -- processes and threads --------------------------------------------------------------------- */

enum command { OPEN, COMMIT, GROW, HANG, LOOK, SNAPSHOT };

struct helper {
    pid_t pid;
    int commands; /* written by the test */
    int answers;
};

/* What the other process does. Positions go on where the database ends. */
static uint64_t obey(struct journal **journal, enum command command)
{
    static uint64_t position = 1;
    static uint8_t data[64 * 1024];
    uint64_t count = command == COMMIT ? 10 : 200;

    if (command == OPEN || command == GROW) {
        journal_close(*journal);
        *journal = open_at(dir, command == OPEN ? 4 * MIB : 64 * MIB, false);
        CHILD_CHECK(*journal);
    }
    if (command == LOOK || command == SNAPSHOT) {
        *journal = open_at(dir, 0, true);
        CHILD_CHECK(*journal);
    }
    if (command == SNAPSHOT)
        (void)child_reader(*journal); /* held until this process is killed */
    if (command == OPEN || command == LOOK || command == SNAPSHOT)
        return 0;
    CHILD_CHECK(journal_begin(*journal) == SPN_OK);
    for (uint64_t i = 0; i < count; i++) {
        size_t size = command == COMMIT ? 100 : sizeof(data);
        CHILD_CHECK(append_data(*journal, position++, (struct spn_bytes){data, size}) == SPN_OK);
    }
    if (command != HANG)
        CHILD_CHECK(journal_commit(*journal) == SPN_OK);
    return position - 1;
}

static void serve(int commands, int answers)
{
    struct journal *journal = NULL;
    uint8_t command;
    while (read(commands, &command, 1) == 1) {
        uint64_t answer = obey(&journal, command);
        CHILD_CHECK(write(answers, &answer, sizeof(answer)) == sizeof(answer));
    }
    _exit(0);
}

static struct helper start(void)
{
    int commands[2], answers[2];
    assert_int_equal(pipe(commands), 0);
    assert_int_equal(pipe(answers), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(commands[1]);
        close(answers[0]);
        serve(commands[0], answers[1]);
    }
    close(commands[0]);
    close(answers[1]);
    return (struct helper){pid, commands[1], answers[0]};
}

static uint64_t tell(const struct helper *helper, enum command command)
{
    uint8_t byte = (uint8_t)command;
    uint64_t answer = 0;
    assert_int_equal(write(helper->commands, &byte, 1), 1);
    assert_int_equal(read(helper->answers, &answer, sizeof(answer)), sizeof(answer));
    return answer;
}

static void kill_helper(const struct helper *helper)
{
    kill(helper->pid, SIGKILL);
    assert_int_equal(status_of(helper->pid), 128 + SIGKILL);
    close(helper->commands);
    close(helper->answers);
}

static void assert_reads_up_to(struct journal_reader *reader, uint64_t newest)
{
    struct record_entry entry;
    uint64_t position = 0;
    assert_int_equal(journal_reader_newest(reader), newest);
    for (uint64_t i = 1; i <= newest; i++) {
        assert_int_equal(journal_read_entry_from(reader, position + 1, &position, &entry), SPN_OK);
        assert_int_equal(position, i);
    }
    assert_int_equal(journal_read_entry_from(reader, position + 1, &position, &entry), SPN_E_END);
}

static void read_only_beside_a_writer(void **state)
{
    (void)state;
    struct helper writer = start();
    tell(&writer, OPEN);
    struct journal *journal = open_at(dir, 0, true);
    assert_non_null(journal);
    struct journal_reader *reader = open_reader(journal);
    assert_reads_up_to(reader, 0);
    for (size_t i = 0; i < 5; i++) {
        uint64_t newest = tell(&writer, COMMIT);
        next_snapshot(reader);
        assert_reads_up_to(reader, newest);
    }
    /* The writer comes back with a larger map, and writes beyond the one that we have. */
    uint64_t newest = tell(&writer, GROW);
    next_snapshot(reader);
    assert_reads_up_to(reader, newest);

    /* It is killed inside a transaction. */
    tell(&writer, HANG);
    kill_helper(&writer);
    next_snapshot(reader);
    assert_reads_up_to(reader, newest);
    journal_reader_close(reader);
    journal_close(journal);

    journal = open_at(dir, 0, true);
    assert_non_null(journal);
    reader = open_reader(journal);
    assert_reads_up_to(reader, newest);
    journal_reader_close(reader);
    journal_close(journal);
    journal = open_journal();
    append_commit(journal, newest + 1, 1);
    journal_close(journal);
}

enum { CHURNS = 60 };

/* Rewrites rows that fill two pages; returns the file's size. */
static off_t churn(struct journal *journal)
{
    static uint8_t name[255], last_id[1024];
    struct record_row row = {.name = {name, sizeof(name)}, .last_id = {last_id, sizeof(last_id)}};
    for (unsigned i = 0; i < CHURNS; i++) {
        assert_int_equal(journal_begin(journal), SPN_OK);
        for (uint64_t epoch = 0; epoch < 5; epoch++)
            assert_int_equal(journal_put_row(journal, epoch, &row), SPN_OK);
        assert_int_equal(journal_commit(journal), SPN_OK);
    }
    struct stat info;
    assert_int_equal(stat(path_of("data.mdb"), &info), 0);
    return info.st_size;
}

static void dead_readers_are_cleared(void **state)
{
    (void)state;
    for (unsigned at_open = 0; at_open < 2; at_open++) {
        struct helper other = start();
        struct helper alive = start(); /* without it LMDB would begin with a new lock file */
        struct journal *journal = open_journal();
        tell(&alive, LOOK);
        (void)churn(journal);
        off_t before = churn(journal);
        tell(&other, SNAPSHOT);
        kill_helper(&other);
        off_t held = churn(journal);
        assert_true(held > before + CHURNS * 4096);
        if (at_open) {
            journal_close(journal);
            journal = open_journal();
        } else {
            journal_check_readers(journal);
        }
        assert_int_equal(churn(journal), held);
        journal_close(journal);
        kill_helper(&alive);
        remove(path_of("data.mdb"));
        remove(path_of("lock.mdb"));
    }
}

/* Outside a snapshot a reader keeps its place, so that the daemon's cannot be taken. */
static void readers_are_bounded(void **state)
{
    (void)state;
    struct journal_reader *readers[200] = {0};
    size_t count = 0;
    spn_err err = SPN_OK;
    struct journal *journal = open_journal();
    while (err == SPN_OK && count < COUNT(readers)) {
        err = journal_reader_open(&readers[count], journal);
        count += err == SPN_OK;
    }
    assert_int_equal(err, SPN_E_IN_USE);
    assert_in_range(count, 60, 70);
    assert_int_equal(journal_reader_begin(readers[0]), SPN_OK);
    journal_reader_end(readers[0]);
    for (size_t i = 0; i < count; i++)
        journal_reader_close(readers[i]);
    readers[0] = open_reader(journal);
    journal_reader_close(readers[0]);
    journal_close(journal);
}

/* In a database that is open, the format is known: another number is damage. */
static void another_format_in_service_is_damage(void **state)
{
    (void)state;
    struct journal *journal = open_journal();
    struct journal_reader *reader = open_reader(journal);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        MDB_txn *txn;
        MDB_env *env = raw_open(&txn);
        change_meta(txn, 11, 1, RECORD_META_SIZE - 1);
        raw_close(env, txn);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    journal_reader_end(reader);
    assert_int_equal(journal_reader_begin(reader), SPN_E_CORRUPT);
    journal_reader_close(reader);
    journal_close(journal);
}

enum { WATCHERS = 4, COMMITS = 500 };

struct watched {
    struct journal *journal;
    atomic_bool done;
    spn_err err;
};

/* Commits are of ten: no snapshot ends in between, and none is older than the one before. */
static void *watch(void *argument)
{
    struct watched *watched = argument;
    struct journal_reader *reader = NULL;
    struct record_entry entry;
    uint64_t last = 0;
    spn_err err = journal_reader_open(&reader, watched->journal);
    for (bool done = false; err == SPN_OK && !done;) {
        done = watched->done;
        err = journal_reader_begin(reader);
        if (err != SPN_OK)
            break;
        uint64_t newest = journal_reader_newest(reader);
        if (newest % 10 != 0 || newest < last)
            err = SPN_E_INVALID;
        for (uint64_t position = last; err == SPN_OK && position < newest;)
            err = journal_read_entry(reader, ++position, &entry);
        last = newest;
        journal_reader_end(reader);
    }
    journal_reader_close(reader);
    if (err == SPN_OK && last != 10 * COMMITS)
        err = SPN_E_END;
    watched->err = err;
    return NULL;
}

/* More threads than processors, so that readers are held up anywhere. */
static void readers_in_other_threads(void **state)
{
    (void)state;
    struct journal *journal = open_journal();
    struct watched watched[WATCHERS] = {0};
    pthread_t threads[WATCHERS];
    for (size_t i = 0; i < WATCHERS; i++) {
        watched[i].journal = journal;
        assert_int_equal(pthread_create(&threads[i], NULL, watch, &watched[i]), 0);
    }
    for (uint64_t i = 0; i < COMMITS; i++)
        append_commit(journal, 10 * i + 1, 10);
    for (size_t i = 0; i < WATCHERS; i++)
        watched[i].done = true;
    for (size_t i = 0; i < WATCHERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(watched[i].err, SPN_OK);
    }
    journal_close(journal);
}

/* -- deleting ---------------------------------------------------------------------------------- */

/* The log has positions 1 to `last`. */
enum { ENTRY_SIZE = 25 }; /* of one that append writes; the first has a byte less */

static const struct delete_row {
    const char *name;
    uint64_t last, from, to;
    uint64_t keep; /* multiples of it; 0: none */
    size_t count_max;
    uint64_t next;
    size_t count;
    uint64_t left;      /* entries */
    uint64_t bytes_max; /* 0: no limit */
} delete_rows[] = {
    {"nothing is there", 0, 1, 9, 0, 99, 10, 0, 0, 0},
    {"all of it", 9, 1, 9, 0, 99, 10, 9, 0, 0},
    {"from the middle", 9, 4, 9, 0, 99, 10, 6, 3, 0},
    {"up to the middle", 9, 1, 5, 0, 99, 6, 5, 4, 0},
    {"in the middle", 9, 4, 5, 0, 99, 6, 2, 7, 0},
    {"one entry", 9, 4, 4, 0, 99, 5, 1, 8, 0},
    {"behind the end", 9, 20, 30, 0, 99, 31, 0, 9, 0},
    {"as many as there are", 9, 1, 9, 0, 9, 10, 9, 0, 0},
    {"fewer than there are", 9, 1, 9, 0, 4, 5, 4, 5, 0},
    {"none", 9, 1, 9, 0, 0, 1, 0, 9, 0},
    {"every third stays", 9, 1, 9, 3, 99, 10, 6, 3, 0},
    {"all stay", 9, 1, 9, 1, 99, 10, 0, 9, 0},
    {"those that stay do not count", 9, 1, 9, 3, 4, 6, 4, 5, 0},
    {"over many pages", 5000, 1, 5000, 0, 9999, 5001, 5000, 0, 0},
    {"over many pages, every tenth stays", 5000, 1, 5000, 10, 9999, 5001, 4500, 500, 0},
    {"over many pages, a thousand", 5000, 1, 4999, 10, 1000, 1112, 1000, 4000, 0},
    {"bytes end it with the entry that reaches them", 9, 1, 9, 0, 99, 2, 1, 8, 1},
    {"bytes end it in the middle", 9, 1, 9, 0, 99, 4, 3, 6, 2 * ENTRY_SIZE + 1},
    {"bytes are no more than enough", 9, 1, 9, 0, 99, 3, 2, 7, 2 * ENTRY_SIZE - 1},
    {"more bytes than there are", 9, 1, 9, 0, 99, 10, 9, 0, 10 * ENTRY_SIZE},
};

static bool keep_multiples(const void *owner, uint64_t position)
{
    return position % *(const uint64_t *)owner == 0;
}

static uint64_t count_log(struct journal *journal)
{
    struct journal_reader *reader = open_reader(journal);
    struct record_entry entry;
    uint64_t count = 0;
    for (uint64_t at = 0; journal_read_entry_from(reader, at, &at, &entry) == SPN_OK; at++)
        count++;
    journal_reader_close(reader);
    return count;
}

static void run_delete(void **state)
{
    const struct delete_row *row = *state;
    struct journal *journal = open_journal();
    uint64_t next = 0;
    append_commit(journal, 1, row->last);
    for (int commit = 0; commit < 2; commit++) { /* first it comes to nothing */
        assert_int_equal(journal_begin(journal), SPN_OK);
        struct journal_deletion deletion = {.count_max = row->count_max,
                                            .bytes_max =
                                                row->bytes_max > 0 ? row->bytes_max : UINT64_MAX};
        assert_int_equal(journal_delete_entries(journal, row->from, row->to,
                                                row->keep ? keep_multiples : NULL, &row->keep,
                                                &deletion, &next),
                         SPN_OK);
        assert_int_equal(deletion.count, row->count);
        assert_in_range(deletion.bytes, row->count * (ENTRY_SIZE - 1),
                        row->count * (ENTRY_SIZE + 2));
        assert_int_equal(next, row->next);
        /* The log goes on as if nothing had been. */
        assert_int_equal(append(journal, row->last + 1), SPN_OK);
        if (commit)
            assert_int_equal(journal_commit(journal), SPN_OK);
        journal_abort(journal);
        assert_int_equal(count_log(journal), commit ? row->left + 1 : row->last);
    }
    struct journal_reader *reader = open_reader(journal);
    for (uint64_t position = row->from; position < next && position <= row->last; position++) {
        struct record_entry entry;
        bool stays = row->keep > 0 && position % row->keep == 0;
        assert_int_equal(journal_read_entry(reader, position, &entry), stays ? SPN_OK : SPN_E_END);
    }
    assert_int_equal(journal_reader_newest(reader), row->last + 1);
    journal_reader_close(reader);
    journal_close(journal);
}

/* A call passes a bounded number of entries that stay, and says where it came to. */
static void a_deletion_walked_over_all_that_stays(void **state)
{
    (void)state;
    enum { ALL = 1000, COUNT_MAX = 10, LOOKS = 8 * COUNT_MAX };
    const uint64_t keep = 1; /* all of them */
    struct journal *journal = open_journal();
    uint64_t next = 1;
    append_commit(journal, 1, ALL);
    assert_int_equal(journal_begin(journal), SPN_OK);
    for (uint64_t calls = 1; next <= ALL; calls++) {
        struct journal_deletion deletion = {.count_max = COUNT_MAX, .bytes_max = UINT64_MAX};
        assert_int_equal(
            journal_delete_entries(journal, next, ALL, keep_multiples, &keep, &deletion, &next),
            SPN_OK);
        assert_int_equal(deletion.count, 0);
        assert_int_equal(next, calls * LOOKS < ALL ? calls * LOOKS + 1 : ALL + 1);
    }
    journal_abort(journal);
    journal_close(journal);
}

static spn_err delete_all(struct journal *journal, uint64_t from, uint64_t to)
{
    struct journal_deletion all = {.count_max = SIZE_MAX, .bytes_max = UINT64_MAX};
    uint64_t next;
    return journal_delete_entries(journal, from, to, NULL, NULL, &all, &next);
}

/* What came to disk is durable, also when it was trimmed. */
static void newest_of_a_trimmed_log(void **state)
{
    (void)state;
    struct journal *journal = open_journal();
    append_commit(journal, 1, 9);
    struct record_meta meta = {.checkpoint = 7, .next_position = 8};
    assert_int_equal(journal_begin(journal), SPN_OK);
    assert_int_equal(journal_put_meta(journal, &meta), SPN_OK);
    assert_int_equal(delete_all(journal, 1, 7), SPN_OK);
    assert_int_equal(journal_commit(journal), SPN_OK);
    struct journal_reader *reader = open_reader(journal);
    assert_int_equal(journal_reader_newest(reader), 9);
    assert_int_equal(journal_begin(journal), SPN_OK);
    assert_int_equal(delete_all(journal, 1, 9), SPN_OK);
    assert_int_equal(journal_commit(journal), SPN_OK);
    next_snapshot(reader);
    assert_int_equal(journal_reader_newest(reader), 7); /* as far as anybody can tell */
    journal_reader_close(reader);
    journal_close(journal);
}

static void oldest(void **state)
{
    (void)state;
    struct journal *journal = open_journal();
    struct record_segment segment;
    uint64_t position = 99;
    uint32_t number = 99;
    assert_int_equal(journal_begin(journal), SPN_OK);
    assert_int_equal(journal_oldest_entry(journal, &position), SPN_E_END);
    assert_int_equal(journal_oldest_segment(journal, &number, &segment), SPN_E_END);
    for (uint32_t i = 300; i > 200; i -= 7) /* in order of numbers, whatever was put first */
        assert_int_equal(
            journal_put_segment(journal, i,
                                &(struct record_segment){.first = i, .last = 2 * i, .events = 3}),
            SPN_OK);
    for (uint64_t i = 250; i < 300; i++)
        assert_int_equal(append(journal, i), SPN_OK);
    assert_int_equal(journal_oldest_entry(journal, &position), SPN_OK); /* its own view */
    assert_int_equal(position, 250);
    assert_int_equal(journal_oldest_segment(journal, &number, &segment), SPN_OK);
    assert_int_equal(number, 202);
    assert_int_equal(segment.first, 202);
    assert_int_equal(segment.last, 404);
    assert_int_equal(segment.events, 3);
    journal_abort(journal);
    journal_close(journal);
}

/* Segments and rows in turn: the number after which, what is found; 0: nothing. */
static const struct after_row {
    const char *name;
    uint64_t after, found;
} after_rows[] = {
    {"the first", 0, 3},         {"before the first", 2, 3},      {"after the first", 3, 255},
    {"between", 100, 255},       {"over a byte's end", 255, 256}, {"after the last", 70000, 0},
    {"far behind", 1u << 31, 0}, {"the largest", UINT32_MAX, 0},
};

static void run_after(void **state)
{
    const struct after_row *row = *state;
    static const uint32_t numbers[] = {3, 255, 256, 70000};
    struct journal *journal = open_journal();
    assert_int_equal(journal_begin(journal), SPN_OK);
    for (size_t i = 0; i < COUNT(numbers); i++) {
        struct record_segment segment = {.first = numbers[i], .last = numbers[i]};
        struct record_row of = {.seq = numbers[i], .name = TEXT("n")};
        assert_int_equal(journal_put_segment(journal, numbers[i], &segment), SPN_OK);
        assert_int_equal(journal_put_row(journal, numbers[i], &of), SPN_OK);
    }
    assert_int_equal(journal_commit(journal), SPN_OK);
    struct journal_reader *reader = open_reader(journal);
    struct record_segment segment = {0};
    struct record_row of = {0};
    uint32_t number = 0;
    uint64_t epoch = 0;
    spn_err expected = row->found > 0 ? SPN_OK : SPN_E_END;
    assert_int_equal(journal_read_segment_after(reader, (uint32_t)row->after, &number, &segment),
                     expected);
    assert_int_equal(number, row->found);
    assert_int_equal(segment.first, row->found);
    assert_int_equal(journal_read_row_after(reader, row->after, &epoch, &of), expected);
    assert_int_equal(epoch, row->found);
    assert_int_equal(of.seq, row->found);
    assert_int_equal(journal_read_row_after(reader, UINT64_MAX, &epoch, &of), SPN_E_END);
    journal_reader_close(reader);
    journal_close(journal);
}

/* Segments 4, 5 and 6 of two sessions with two blocks each. */
static struct journal *with_blocks(void)
{
    static struct record_block_item items[500];
    struct journal *journal = open_journal();
    for (uint32_t i = 0; i < COUNT(items); i++)
        items[i] = (struct record_block_item){.position = 1000 + i, .fingerprint = i};
    assert_int_equal(journal_begin(journal), SPN_OK);
    for (uint32_t segment = 4; segment < 7; segment++) {
        for (uint64_t epoch = 7; epoch < 9; epoch++)
            assert_int_equal(
                journal_append_blocks(journal, segment, epoch, 1, 0, items, COUNT(items)), SPN_OK);
        assert_int_equal(
            journal_put_segment(journal, segment, &(struct record_segment){.first = 1, .last = 2}),
            SPN_OK);
    }
    struct record_meta meta = {.segment = 6};
    assert_int_equal(journal_put_meta(journal, &meta), SPN_OK);
    assert_int_equal(journal_commit(journal), SPN_OK);
    return journal;
}

/* A segment's blocks as "epoch:first_seq "; with a + where its record is still there. */
static void list_blocks(struct journal *journal, uint32_t segment, char *text, size_t size)
{
    struct journal_reader *reader = open_reader(journal);
    struct record_segment record;
    struct record_block block;
    uint32_t number = 0;
    uint64_t epoch = 0;
    uint64_t seq = 0;
    size_t used = 0;
    text[0] = '\0';
    while (journal_read_segment_block(reader, segment, epoch, seq, &epoch, &block) == SPN_OK) {
        int more = snprintf(text + used, size - used, "%llu:%llu ", (unsigned long long)epoch,
                            (unsigned long long)block.first_seq);
        assert_true(more > 0 && used + (size_t)more < size);
        used += (size_t)more;
        seq = block.first_seq + 1;
    }
    spn_err err = journal_read_segment_after(reader, segment - 1, &number, &record);
    if (err == SPN_OK && number == segment)
        (void)snprintf(text + used, size - used, "+");
    journal_reader_close(reader);
}

static void assert_blocks(struct journal *journal, uint32_t segment, const char *expected)
{
    char found[256];
    list_blocks(journal, segment, found, sizeof(found));
    assert_string_equal(found, expected);
}

#define WHOLE "7:1 7:377 8:1 8:377 +"

static void blocks_of_a_segment(void **state)
{
    (void)state;
    struct journal *journal = with_blocks();
    assert_blocks(journal, 3, "");
    for (uint32_t segment = 4; segment < 7; segment++)
        assert_blocks(journal, segment, WHOLE);
    assert_blocks(journal, 7, "");
    struct journal_reader *reader = open_reader(journal);
    struct record_block block;
    uint64_t epoch;
    assert_int_equal(journal_read_segment_block(reader, 5, 7, 2, &epoch, &block), SPN_OK);
    assert_int_equal(epoch, 7);
    assert_int_equal(block.first_seq, 377);
    assert_int_equal(journal_read_segment_block(reader, 5, 7, 378, &epoch, &block), SPN_OK);
    assert_int_equal(epoch, 8);
    assert_int_equal(journal_read_segment_block(reader, 5, 8, 378, &epoch, &block), SPN_E_END);
    journal_reader_close(reader);
    journal_close(journal);
}

static void delete_one_block(void **state)
{
    (void)state;
    struct journal *journal = with_blocks();
    assert_int_equal(journal_begin(journal), SPN_OK);
    assert_int_equal(journal_delete_block(journal, 5, 7, 377), SPN_OK);
    assert_int_equal(journal_delete_block(journal, 5, 7, 376), SPN_OK); /* not there */
    assert_int_equal(journal_delete_block(journal, 9, 7, 1), SPN_OK);
    assert_int_equal(journal_commit(journal), SPN_OK);
    assert_blocks(journal, 4, WHOLE);
    assert_blocks(journal, 5, "7:1 8:1 8:377 +");
    assert_blocks(journal, 6, WHOLE);
    journal_close(journal);
}

/* So many blocks at a time; what is left after each, and how many went. */
static const struct drop_row {
    const char *name;
    size_t count_max;
    struct {
        size_t count;
        const char *left;
    } steps[6];
} drop_rows[] = {
    {"a segment at once", 99, {{4, ""}, {0, ""}}},
    {"one block at a time",
     1,
     {{1, "7:377 8:1 8:377 +"}, {1, "8:1 8:377 +"}, {1, "8:377 +"}, {1, "+"}, {0, ""}, {0, ""}}},
    {"two blocks at a time", 2, {{2, "8:1 8:377 +"}, {2, "+"}, {0, ""}}},
    {"three blocks at a time", 3, {{3, "8:377 +"}, {1, ""}, {0, ""}}},
    {"as many blocks as there are", 4, {{4, "+"}, {0, ""}}},
};

static void run_drop(void **state)
{
    const struct drop_row *row = *state;
    struct journal *journal = with_blocks();
    for (size_t i = 0; i < COUNT(row->steps) && row->steps[i].left; i++) {
        size_t count = 99;
        assert_int_equal(journal_begin(journal), SPN_OK);
        assert_int_equal(journal_delete_segment(journal, 5, row->count_max, &count), SPN_OK);
        assert_int_equal(count, row->steps[i].count);
        assert_int_equal(journal_commit(journal), SPN_OK);
        assert_blocks(journal, 5, row->steps[i].left);
        assert_blocks(journal, 4, WHOLE);
        assert_blocks(journal, 6, WHOLE);
    }
    journal_close(journal);
}

static void delete_rows_and_names(void **state)
{
    (void)state;
    struct journal *journal = open_journal();
    struct record_row row = {.name = TEXT("name")};
    uint64_t epoch = 0;
    assert_int_equal(journal_begin(journal), SPN_OK);
    assert_int_equal(journal_put_row(journal, 5, &row), SPN_OK);
    assert_int_equal(journal_put_row(journal, 6, &row), SPN_OK);
    assert_int_equal(journal_put_name(journal, text("name"), 6), SPN_OK);
    assert_int_equal(journal_put_name(journal, text("nam"), 5), SPN_OK);
    assert_int_equal(journal_delete_row(journal, 5), SPN_OK);
    assert_int_equal(journal_delete_row(journal, 4), SPN_OK);                /* not there */
    assert_int_equal(journal_delete_name(journal, text("name"), 5), SPN_OK); /* another's by now */
    assert_int_equal(journal_delete_name(journal, text("other"), 5), SPN_OK);
    assert_int_equal(journal_delete_name(journal, text("nam"), 5), SPN_OK);
    assert_int_equal(journal_commit(journal), SPN_OK);
    struct journal_reader *reader = open_reader(journal);
    assert_int_equal(journal_read_row(reader, 5, &row), SPN_E_END);
    assert_int_equal(journal_read_row(reader, 6, &row), SPN_OK);
    assert_int_equal(journal_read_name(reader, text("name"), &epoch), SPN_OK);
    assert_int_equal(epoch, 6);
    assert_int_equal(journal_read_name(reader, text("nam"), &epoch), SPN_E_END);
    journal_reader_close(reader);
    journal_close(journal);
}

/* -- all of them ------------------------------------------------------------------------------- */

static struct CMUnitTest tests[192];
static size_t test_count;

static void add(const char *name, CMUnitTestFunction function, const void *row)
{
    tests[test_count++] =
        (struct CMUnitTest){name, function, make_dir, remove_dir, (void *)(uintptr_t)row};
}

#define ADD(function) add(#function, function, NULL)

int main(void)
{
    ADD(a_new_database);
    ADD(meta_moves_with_the_commit);
    ADD(meta_has_what_the_quota_took);
    ADD(nothing_to_close);
    ADD(commit_abort_and_snapshots);
    ADD(usage_inside_and_outside_a_transaction);
    ADD(the_map_is_not_read_ahead);
    ADD(counts_what_it_reads);
    ADD(a_failed_put_poisons_the_transaction);
    ADD(entries_of_every_size);
    ADD(names_in_byte_order);
    ADD(producers_in_turn);
    ADD(rows_come_back);
    for (size_t i = 0; i < COUNT(lookups); i++)
        add(lookups[i].name, run_lookup, &lookups[i]);
    ADD(a_row_names_the_segment_that_is_complete);
    ADD(an_unfinished_segment_is_dropped);
    ADD(an_open_that_takes_long_says_that_it_goes_on);
    for (size_t i = 0; i < COUNT(foreigns); i++)
        add(foreigns[i].name, run_foreign, &foreigns[i]);
    ADD(an_empty_environment_is_taken);
    ADD(a_file_cut_to_nothing_is_no_new_database);
    ADD(a_cut_file_is_refused_not_touched);
    ADD(a_file_cut_within_a_large_value_is_refused);
    ADD(of_a_cut_large_value_nothing_is_read);
    ADD(a_file_may_lack_free_pages_at_its_end);
    ADD(garbage_files);
    ADD(paths);
    ADD(read_only_leaves_nothing_behind);
    for (size_t i = 0; i < COUNT(words); i++)
        add(words[i], run_damage, words[i]);
    ADD(a_tree_that_leads_back);
    ADD(a_step_into_a_damaged_leaf);
    ADD(keys_of_a_wrong_size);
    ADD(a_full_map);
    ADD(a_map_is_resized);
    ADD(a_map_below_the_file_has_a_reserve);
    ADD(a_resize_that_fails);
    ADD(a_map_that_cannot_be_followed);
    ADD(a_full_disk);
    ADD(a_commit_is_synced_before_it_returns);
    for (size_t i = 0; i < COUNT(faulties); i++)
        add(faulties[i].name, run_faulty_commit, &faulties[i]);
    for (size_t i = 0; i < COUNT(faulties); i++)
        add(faulties[i].name, run_faulty_creation, &faulties[i]);
    ADD(a_failed_open_removes_nothing);
    ADD(directories_that_cannot_be_synced);
    ADD(an_unfinished_segment_on_a_full_disk);
    ADD(an_unfinished_segment_that_stays);
    ADD(an_unfinished_segment_on_a_broken_disk);
    ADD(memory_runs_out);
    for (size_t i = 0; i < COUNT(delete_rows); i++)
        add(delete_rows[i].name, run_delete, &delete_rows[i]);
    for (size_t i = 0; i < COUNT(after_rows); i++)
        add(after_rows[i].name, run_after, &after_rows[i]);
    for (size_t i = 0; i < COUNT(drop_rows); i++)
        add(drop_rows[i].name, run_drop, &drop_rows[i]);
    ADD(a_deletion_walked_over_all_that_stays);
    ADD(newest_of_a_trimmed_log);
    ADD(oldest);
    ADD(blocks_of_a_segment);
    ADD(delete_one_block);
    ADD(delete_rows_and_names);
    ADD(read_only_beside_a_writer);
    ADD(dead_readers_are_cleared);
    ADD(readers_are_bounded);
    ADD(another_format_in_service_is_damage);
    ADD(readers_in_other_threads);
    return _cmocka_run_group_tests("journal", tests, test_count, NULL, NULL);
}
