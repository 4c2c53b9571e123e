/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_pages: reading a database's pages without LMDB, whatever they hold.
 *
 * A database is made through the journal. The input damages it: each 8 bytes of it are an
 * operation, a page, a place in the page, and a value. Then everything that reads pages without
 * LMDB reads it. A walk gives keys in their order, and a copy of pages that pass is whole. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz_check.h"
#include "store/journal.h"
#include "store/pages.h"
#include "store/pages_rest.h"

enum { PAGE = 4096, POSITIONS = 150, OPERATION = 8, MAP = 16 << 20, COMMIT_EVERY = 50 };

static uint8_t *whole;
static size_t size;
static int fd = -1;
static char path[64];

/* -- the database ------------------------------------------------------------------------------ */

static void append(struct journal *journal, uint64_t position)
{
    static char data[6000];
    struct record_entry entry = {.kind = RECORD_EVENT,
                                 .epoch = 1,
                                 .seq = position,
                                 .retry_ms = UINT32_MAX,
                                 .id = {"id", 2},
                                 .data = {data, position % 37 == 0 ? sizeof(data) : 90}};
    entry.data_hash = record_hash(entry.data);
    CHECK(journal_append(journal, position, &entry) == SPN_OK);
}

static void put_session(struct journal *journal, uint64_t epoch)
{
    char name[32];
    int length = snprintf(name, sizeof(name), "session %u", (unsigned)epoch);
    const struct record_row row = {.seq = epoch, .position = epoch, .name = {name, (size_t)length}};
    CHECK(journal_put_row(journal, epoch, &row) == SPN_OK);
    CHECK(journal_put_name(journal, row.name, epoch) == SPN_OK);
}

static void make(struct journal *journal)
{
    for (uint64_t position = 1; position <= POSITIONS; position++) {
        if (position % COMMIT_EVERY == 1)
            CHECK(journal_begin(journal) == SPN_OK);
        append(journal, position);
        put_session(journal, position);
        if (position % COMMIT_EVERY == 0)
            CHECK(journal_commit(journal) == SPN_OK);
    }
}

static void read_whole(const char *dir)
{
    char file[64];
    snprintf(file, sizeof(file), "%s/data.mdb", dir);
    int from = open(file, O_RDONLY | O_CLOEXEC);
    off_t end = lseek(from, 0, SEEK_END);
    CHECK(from >= 0 && end > 0);
    size = (size_t)end;
    whole = malloc(size);
    CHECK(whole && pread(from, whole, size, 0) == end);
    close(from);
    CHECK(unlink(file) == 0);
    snprintf(file, sizeof(file), "%s/lock.mdb", dir);
    CHECK(unlink(file) == 0 && rmdir(dir) == 0);
}

static void begin(void)
{
    char dir[] = "/tmp/fuzz_pages-XXXXXX";
    struct journal *journal;
    CHECK(mkdtemp(dir));
    const struct journal_options how = {.dir = dir, .size_max = MAP};
    CHECK(journal_open(&journal, &how) == SPN_OK);
    make(journal);
    journal_close(journal);
    read_whole(dir);
    fd = memfd_create("pages", MFD_CLOEXEC);
    CHECK(fd >= 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
}

/* -- damage ------------------------------------------------------------------------------------ */

static void operate(uint8_t *bytes, const uint8_t *input)
{
    uint16_t page, other, at;
    memcpy(&page, input + 1, sizeof(page));
    memcpy(&at, input + 3, sizeof(at));
    memcpy(&other, input + 5, sizeof(other));
    uint8_t *to = bytes + page % (size / PAGE) * PAGE;
    const uint8_t *from = bytes + other % (size / PAGE) * PAGE;
    switch (input[0] % 4) {
    case 0:
        to[at % PAGE] = input[7];
        break;
    case 1:
        to[at % PAGE] ^= (uint8_t)(1u << input[7] % 8);
        break;
    case 2:
        memset(to, 0, PAGE);
        break;
    default:
        memmove(to, from, PAGE);
    }
}

/* The first byte may cut the file. */
static void damage(const uint8_t *input, size_t input_size)
{
    uint8_t *bytes = malloc(size);
    CHECK(bytes);
    memcpy(bytes, whole, size);
    size_t left = size - (input[0] < 32 ? (size_t)input[0] * 777 : 0);
    for (size_t at = 1; at + OPERATION <= input_size; at += OPERATION)
        operate(bytes, input + at);
    CHECK(ftruncate(fd, 0) == 0);
    CHECK(pwrite(fd, bytes, left, 0) == (ssize_t)left);
    free(bytes);
}

/* -- reading ----------------------------------------------------------------------------------- */

struct keys {
    uint64_t before;
    uint64_t sum; /* every byte is read */
    bool numbers;
};

static spn_err take(void *owner, uint64_t page, struct spn_bytes key, struct spn_bytes value)
{
    struct keys *keys = owner;
    const uint8_t *bytes = value.data;
    (void)page;
    for (size_t i = 0; i < value.size; i++)
        keys->sum += bytes[i];
    if (keys->numbers) {
        CHECK(table_value_number(key) > keys->before || keys->before == 0);
        keys->before = table_value_number(key);
    }
    return SPN_OK;
}

static void tell(void *owner, const struct pages_damage *found)
{
    (void)owner;
    CHECK(found->tree < PAGES_TREES_MAX);
}

static spn_err write_nothing(void *owner, uint64_t offset, const void *bytes, size_t count)
{
    uint64_t *sum = owner;
    const uint8_t *at = bytes;
    for (size_t i = 0; i < count; i++)
        *sum += at[i] + offset;
    return SPN_OK;
}

static void read_pages(void)
{
    struct pages *pages;
    struct pages_snapshot snapshot;
    struct pages_damage found;
    uint64_t entries[PAGES_TREES_MAX], marks[PAGES_TREES_MAX], copied, sum = 0;
    bool free_whole;
    if (pages_open(&pages, fd, size) != SPN_OK)
        return;
    if (pages_snapshot(pages, 0, &snapshot, &found) == SPN_OK) {
        const struct pages_copy copy = {.compact = true, .write = write_nothing, .owner = &sum};
        (void)pages_check(pages, &snapshot, SIZE_MAX, tell, NULL, entries, marks, &free_whole);
        for (size_t tree = 0; tree < snapshot.count; tree++) {
            struct keys keys = {.numbers = snapshot.trees[tree].numbers};
            const struct pages_walk walk = {.take = take, .tell = tell, .owner = &keys};
            CHECK(pages_walk(pages, &snapshot, tree, &walk) == SPN_OK);
        }
        (void)pages_copy(pages, &snapshot, &copy, &copied, &found);
    }
    pages_close(pages);
}

static spn_err take_rest(void *owner, struct spn_bytes key, struct spn_bytes value)
{
    struct keys *keys = owner;
    return take(keys, 0, key, value);
}

static void read_rest(void)
{
    struct pages_rest *rest;
    if (pages_rest_open(&rest, path) != SPN_OK)
        return;
    for (size_t table = 0; table < JOURNAL_TABLES; table++) {
        struct keys keys = {.before = 0};
        CHECK(pages_rest_reached(rest, table, take_rest, &keys) == SPN_OK);
        CHECK(pages_rest_found(rest, table, take_rest, &keys) == SPN_OK);
    }
    pages_rest_close(rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_size)
{
    if (!whole)
        begin();
    if (input_size < 1)
        return 0;
    damage(input, input_size);
    read_pages();
    read_rest();
    return 0;
}
