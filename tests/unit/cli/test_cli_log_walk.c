/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_log_walk: the log in slices, with names, without what is damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/log_walk.h"

enum { MIB = 1024 * 1024, SLICE_MAX = 256 };

#define RETRY_NONE UINT32_MAX

static struct spn_bytes text(const char *bytes)
{
    return (struct spn_bytes){bytes, strlen(bytes)};
}

static const struct spn_bytes all = {NULL, 0};

/* -- a database per test ----------------------------------------------------------------------- */

static char dir[64];
static struct journal *journal;

static void open_journal(void)
{
    struct journal_options options = {.dir = dir, .size_max = 256 * MIB};
    assert_int_equal(journal_open(&journal, &options), SPN_OK);
}

static int make_database(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/test-log-walk-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    open_journal();
    return 0;
}

static const char *path_of(const char *file)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, file);
    return path;
}

static int remove_database(void **state)
{
    (void)state;
    journal_close(journal);
    remove(path_of("data.mdb"));
    remove(path_of("lock.mdb"));
    return rmdir(dir);
}

static void append_bytes(uint64_t position, uint64_t epoch, uint8_t kind, struct spn_bytes data)
{
    struct record_entry entry = {
        .kind = kind,
        .epoch = epoch,
        .seq = kind == RECORD_OPEN ? 0 : position - epoch,
        .wall_ms = 1000 + position,
        .retry_ms = RETRY_NONE,
        .data_hash = record_hash(data),
        .id = text(kind == RECORD_OPEN ? "" : "the id"),
        .type = text("t"),
        .data = data,
    };
    assert_int_equal(journal_append(journal, position, &entry), SPN_OK);
}

static void append(uint64_t position, uint64_t epoch, uint8_t kind, const char *data)
{
    append_bytes(position, epoch, kind, text(data));
}

static void put_row(uint64_t epoch, const char *name)
{
    struct record_row row = {.seq = 1, .position = epoch + 1, .name = text(name)};
    assert_int_equal(journal_put_row(journal, epoch, &row), SPN_OK);
    assert_int_equal(journal_put_name(journal, text(name), epoch), SPN_OK);
}

static void put_checkpoint(uint64_t checkpoint)
{
    struct record_meta meta = *journal_meta(journal);
    meta.checkpoint = checkpoint;
    meta.next_position = checkpoint + 1;
    assert_int_equal(journal_put_meta(journal, &meta), SPN_OK);
}

static struct log_walk *open_walk(struct spn_bytes only, uint64_t from)
{
    struct log_walk *walk;
    assert_int_equal(log_walk_open(&walk, journal, only, from), SPN_OK);
    return walk;
}

/* Every position of the walk, in order; checks what holds for each slice. */
static size_t positions_of(struct log_walk *walk, uint64_t *positions, size_t max)
{
    const struct log_item *items;
    size_t count;
    size_t total = 0;
    spn_err err;
    while ((err = log_walk_next(walk, &items, &count)) == SPN_OK) {
        assert_true(count <= SLICE_MAX);
        for (size_t i = 0; i < count; i++) {
            assert_true(total < max);
            assert_true(total == 0 || positions[total - 1] < items[i].position);
            assert_int_equal(items[i].entry.wall_ms, 1000 + items[i].position);
            positions[total++] = items[i].position;
        }
    }
    assert_int_equal(err, SPN_E_END);
    return total;
}

/* -- tests ------------------------------------------------------------------------------------- */

static void an_empty_log_ends_at_once(void **state)
{
    (void)state;
    const struct log_item *items;
    size_t count;
    struct log_walk *walk = open_walk(all, 1);
    assert_int_equal(log_walk_next(walk, &items, &count), SPN_E_END);
    assert_int_equal(log_walk_next(walk, &items, &count), SPN_E_END);
    log_walk_close(walk);
    log_walk_close(NULL);
}

/* Below the checkpoint a name is in the row, above it in the entry that opened the session. */
static void names_come_from_rows_and_from_the_log(void **state)
{
    (void)state;
    const struct log_item *items;
    size_t count;
    assert_int_equal(journal_begin(journal), SPN_OK);
    append(8, 7, RECORD_EVENT, "old");    /* opened at 7, which is trimmed away */
    append(9, 9, RECORD_OPEN, "new one"); /* no row yet */
    append(10, 9, RECORD_EVENT, "young");
    append(11, 5, RECORD_EVENT, "orphan"); /* neither */
    append(12, 9, RECORD_CLOSE, "");
    append(13, 10, RECORD_EVENT, "lost"); /* its epoch is an entry, but opened nothing */
    put_row(7, "old one");
    assert_int_equal(journal_commit(journal), SPN_OK);

    static const char *const names[] = {"old one", "new one", "new one", NULL, "new one", NULL};
    struct log_walk *walk = open_walk(all, 1);
    assert_int_equal(log_walk_next(walk, &items, &count), SPN_OK);
    assert_int_equal(count, 6);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(items[i].position, 8 + i);
        if (!names[i]) {
            assert_null(items[i].session.data);
            continue;
        }
        assert_int_equal(items[i].session.size, strlen(names[i]));
        assert_memory_equal(items[i].session.data, names[i], strlen(names[i]));
    }
    assert_int_equal(items[2].entry.data.size, 5);
    assert_memory_equal(items[2].entry.data.data, "young", 5);
    assert_memory_equal(items[2].entry.id.data, "the id", 6);
    assert_memory_equal(items[2].entry.type.data, "t", 1);
    assert_int_equal(items[2].entry.seq, 1);
    assert_int_equal(items[2].entry.epoch, 9);
    assert_int_equal(items[2].entry.retry_ms, RETRY_NONE);
    log_walk_close(walk);
}

/* Two lives of one name, other sessions between them, and a name that only begins alike. */
static void only_one_session_is_given(void **state)
{
    (void)state;
    uint64_t positions[16];
    assert_int_equal(journal_begin(journal), SPN_OK);
    append(1, 1, RECORD_OPEN, "a");
    append(2, 2, RECORD_OPEN, "ab");
    append(3, 1, RECORD_EVENT, "x");
    append(4, 2, RECORD_EVENT, "x");
    append(5, 1, RECORD_DELETE, "");
    append(6, 6, RECORD_OPEN, "a");
    append(7, 6, RECORD_EVENT, "x");
    put_row(1, "a");
    assert_int_equal(journal_commit(journal), SPN_OK);

    struct log_walk *walk = open_walk(text("a"), 1);
    assert_int_equal(positions_of(walk, positions, 16), 5);
    static const uint64_t expected[] = {1, 3, 5, 6, 7};
    assert_memory_equal(positions, expected, sizeof(expected));
    assert_int_equal(log_walk_find(walk, text("a")), SPN_OK);
    assert_int_equal(log_walk_find(walk, text("ab")), SPN_E_END); /* only in the log so far */
    log_walk_close(walk);

    walk = open_walk(text("nobody"), 1);
    assert_int_equal(positions_of(walk, positions, 16), 0);
    log_walk_close(walk);
}

/* More sessions than names are kept, taking turns: each entry still has the right one. */
static void many_sessions_keep_their_names(void **state)
{
    (void)state;
    enum { SESSIONS = 20000 };
    char name[32];
    const struct log_item *items;
    size_t count;
    size_t total = 0;
    assert_int_equal(journal_begin(journal), SPN_OK);
    for (uint64_t i = 1; i <= SESSIONS; i++) {
        snprintf(name, sizeof(name), "session %d", (int)i);
        append(i, i, RECORD_OPEN, name);
    }
    for (uint64_t i = 1; i <= SESSIONS; i++)
        append(SESSIONS + i, i, RECORD_EVENT, "x");
    assert_int_equal(journal_commit(journal), SPN_OK);
    struct log_walk *walk = open_walk(all, 1);
    while (log_walk_next(walk, &items, &count) == SPN_OK) {
        for (size_t i = 0; i < count; i++, total++) {
            snprintf(name, sizeof(name), "session %d", (int)items[i].entry.epoch);
            assert_int_equal(items[i].session.size, strlen(name));
            assert_memory_equal(items[i].session.data, name, strlen(name));
        }
    }
    assert_int_equal(total, 2 * SESSIONS);
    log_walk_close(walk);
}

/* Entries that fill a slice by their bytes, and one that is larger than any slice. */
static void large_entries_arrive_whole(void **state)
{
    (void)state;
    static char data[3 * MIB];
    static const size_t sizes[] = {MIB / 2, MIB / 2, MIB / 2, 3 * MIB, 10, MIB - 20, 3 * MIB, 1};
    const struct log_item *items;
    size_t count;
    uint64_t next = 2;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 7 + i / 256);
    assert_int_equal(journal_begin(journal), SPN_OK);
    append(1, 1, RECORD_OPEN, "s");
    for (uint64_t i = 0; i < 8; i++)
        append_bytes(2 + i, 1, RECORD_EVENT, (struct spn_bytes){data, sizes[i]});
    assert_int_equal(journal_commit(journal), SPN_OK);
    struct log_walk *walk = open_walk(all, 2);
    while (log_walk_next(walk, &items, &count) == SPN_OK) {
        size_t bytes = 0;
        for (size_t i = 0; i < count; i++, next++) {
            assert_int_equal(items[i].position, next);
            assert_int_equal(items[i].entry.data.size, sizes[next - 2]);
            assert_memory_equal(items[i].entry.data.data, data, sizes[next - 2]);
            bytes += items[i].entry.data.size;
        }
        assert_true(count <= 1 || bytes <= 3 * MIB);
    }
    assert_int_equal(next, 10);
    log_walk_close(walk);
}

/* It would not end otherwise, while the sidecar writes. */
static void what_comes_later_is_left_out(void **state)
{
    (void)state;
    const struct log_item *items;
    size_t count;
    uint64_t positions[2048];
    assert_int_equal(journal_begin(journal), SPN_OK);
    append(1, 1, RECORD_OPEN, "s");
    for (uint64_t i = 2; i <= 1000; i++)
        append(i, 1, RECORD_EVENT, "x");
    assert_int_equal(journal_commit(journal), SPN_OK);
    struct log_walk *walk = open_walk(all, 1);
    assert_int_equal(log_walk_next(walk, &items, &count), SPN_OK);
    assert_int_equal(count, SLICE_MAX);
    assert_int_equal(journal_begin(journal), SPN_OK); /* no snapshot is open: it may write */
    append(1001, 1, RECORD_EVENT, "x");
    assert_int_equal(journal_commit(journal), SPN_OK);
    assert_int_equal(positions_of(walk, positions, 2048), 1000 - SLICE_MAX);
    assert_int_equal(positions[1000 - SLICE_MAX - 1], 1000);
    log_walk_close(walk);
}

static void it_can_begin_above_the_checkpoint(void **state)
{
    (void)state;
    uint64_t positions[16];
    assert_int_equal(journal_begin(journal), SPN_OK);
    append(1, 1, RECORD_OPEN, "s");
    for (uint64_t i = 2; i <= 6; i++)
        append(i, 1, RECORD_EVENT, "x");
    put_row(1, "s");
    put_checkpoint(4);
    assert_int_equal(journal_commit(journal), SPN_OK);
    struct log_walk *walk = open_walk(all, LOG_WALK_ABOVE_CHECKPOINT);
    assert_int_equal(positions_of(walk, positions, 16), 2);
    assert_int_equal(positions[0], 5);
    log_walk_close(walk);
}

struct taken {
    size_t count;
    uint64_t fails_at; /* 0: never */
};

static spn_err take(void *context, const struct log_item *item)
{
    struct taken *taken = context;
    taken->count++;
    return item->position == taken->fails_at ? SPN_E_NOMEM : SPN_OK;
}

/* More than a slice of them: what fails in the first one is not lost with the next. */
static void what_takes_them_may_fail(void **state)
{
    (void)state;
    uint64_t damaged;
    assert_int_equal(journal_begin(journal), SPN_OK);
    append(1, 1, RECORD_OPEN, "s");
    for (uint64_t i = 2; i <= 1000; i++)
        append(i, 1, RECORD_EVENT, "x");
    put_checkpoint(4);
    assert_int_equal(journal_commit(journal), SPN_OK);
    struct taken all_of_them = {0};
    assert_int_equal(log_walk_above_checkpoint(journal, take, &all_of_them, &damaged), SPN_OK);
    assert_int_equal(all_of_them.count, 996);
    assert_int_equal(damaged, 0);
    struct taken some = {.fails_at = 7};
    assert_int_equal(log_walk_above_checkpoint(journal, take, &some, &damaged), SPN_E_NOMEM);
    assert_int_equal(some.count, 3);
}

/* Turns a byte of this text in the file over. The text must be in it once. */
static void damage(const char *needle)
{
    size_t size = strlen(needle);
    FILE *file = fopen(path_of("data.mdb"), "r+");
    assert_non_null(file);
    static char bytes[4 * MIB];
    size_t read = fread(bytes, 1, sizeof(bytes), file);
    char *found = memmem(bytes, read, needle, size);
    assert_non_null(found);
    assert_null(memmem(found + 1, read - (size_t)(found + 1 - bytes), needle, size));
    fseek(file, found - bytes, SEEK_SET);
    fputc(found[0] ^ 1, file);
    fclose(file);
}

static void what_is_damaged_is_left_out_and_counted(void **state)
{
    (void)state;
    uint64_t positions[2048];
    uint64_t first;
    char data[32];
    assert_int_equal(journal_begin(journal), SPN_OK);
    append(1, 1, RECORD_OPEN, "s");
    for (uint64_t i = 2; i <= 1000; i++) {
        snprintf(data, sizeof(data), "<%d>", (int)i);
        append(i, 1, RECORD_EVENT, data);
    }
    assert_int_equal(journal_commit(journal), SPN_OK);
    journal_close(journal);
    damage("<17>");
    damage("<18>");
    damage("<1000>");
    open_journal();

    struct log_walk *walk = open_walk(all, 1);
    assert_int_equal(positions_of(walk, positions, 2048), 997);
    assert_int_equal(positions[15], 16);
    assert_int_equal(positions[16], 19);
    assert_int_equal(positions[996], 999);
    assert_int_equal(log_walk_damaged(walk, &first), 3);
    assert_int_equal(first, 17);
    log_walk_close(walk);
}

int main(void)
{
#define WALK_TEST(test) cmocka_unit_test_setup_teardown(test, make_database, remove_database)
    const struct CMUnitTest tests[] = {
        WALK_TEST(an_empty_log_ends_at_once),
        WALK_TEST(names_come_from_rows_and_from_the_log),
        WALK_TEST(only_one_session_is_given),
        WALK_TEST(many_sessions_keep_their_names),
        WALK_TEST(large_entries_arrive_whole),
        WALK_TEST(what_comes_later_is_left_out),
        WALK_TEST(it_can_begin_above_the_checkpoint),
        WALK_TEST(what_takes_them_may_fail),
        WALK_TEST(what_is_damaged_is_left_out_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
