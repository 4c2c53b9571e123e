/* SPDX-License-Identifier: Apache-2.0 */
/* test_pages: pages that are made to look as LMDB's, and would be read beyond their end. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "store/journal.h"
#include "store/pages_base.h"

enum { PAGE = 4096, MAP = 1 << 20, PATH_SIZE = 128, KEY_SIZE = 3 };

struct rig {
    char dir[64];
    char data[PATH_SIZE];
    int fd;
    struct pages *pages;
    struct pages_snapshot snapshot;
    struct place list; /* of tables */
};

static int set_up(void **state)
{
    static struct rig rig;
    struct journal *journal;
    snprintf(rig.dir, sizeof(rig.dir), "/tmp/test_pages-XXXXXX");
    assert_non_null(mkdtemp(rig.dir));
    snprintf(rig.data, PATH_SIZE, "%s/data.mdb", rig.dir);
    const struct journal_options how = {.dir = rig.dir, .size_max = MAP};
    assert_int_equal(journal_open(&journal, &how), SPN_OK);
    journal_close(journal);
    rig.fd = open(rig.data, O_RDWR | O_CLOEXEC);
    assert_true(rig.fd >= 0);
    assert_int_equal(pages_open(&rig.pages, rig.fd, MAP), SPN_OK);
    assert_int_equal(pages_snapshot(rig.pages, 0, &rig.snapshot, NULL), SPN_OK);
    rig.list = pages_root_of(rig.pages, &rig.snapshot, PAGES_MAIN);
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    char path[PATH_SIZE];
    pages_close(rig->pages);
    close(rig->fd);
    snprintf(path, sizeof(path), "%s/lock.mdb", rig->dir);
    (void)unlink(path);
    (void)unlink(rig->data);
    return rmdir(rig->dir);
}

static void put_u16(uint8_t *at, size_t value)
{
    uint16_t number = (uint16_t)value;
    memcpy(at, &number, sizeof(number));
}

static void write_page(const struct rig *rig, uint64_t number, uint8_t *page)
{
    memcpy(page + PAGE_NUMBER, &number, sizeof(number));
    assert_int_equal(pwrite(rig->fd, page, PAGE, (off_t)(number * PAGE)), PAGE);
}

/* A list of tables with one node at its end, whose value has these bytes in the page. */
static bool is_whole(const struct rig *rig, unsigned flags, const void *value, size_t size)
{
    uint8_t page[PAGE] = {0};
    size_t node_size = (NODE_KEY + KEY_SIZE + size + 1) & ~(size_t)1;
    uint8_t *node = page + PAGE - node_size;
    put_u16(page + PAGE_FLAGS, IS_LEAF);
    put_u16(page + PAGE_LOWER, PAGE_HEAD + sizeof(uint16_t));
    put_u16(page + PAGE_UPPER, PAGE - node_size);
    put_u16(page + PAGE_HEAD, PAGE - node_size);
    put_u16(node + NODE_LOW, DB_SIZE);
    put_u16(node + NODE_FLAGS, flags);
    put_u16(node + NODE_KEY_SIZE, KEY_SIZE);
    memcpy(node + NODE_KEY, "log", KEY_SIZE);
    memcpy(node + NODE_KEY + KEY_SIZE, value, size);
    write_page(rig, rig->list.number, page);
    return pages_is_whole(rig->pages, &rig->snapshot, &rig->list, PAGES_MAIN);
}

/* The record of a tree is read from the node, which has only the number of a page. */
static void a_record_is_in_its_node(void **state)
{
    static const uint8_t record[DB_SIZE];
    const struct rig *rig = *state;
    uint64_t other = rig->list.number == METAS ? METAS + 1 : METAS;
    uint8_t page[PAGE] = {0};
    put_u16(page + PAGE_FLAGS, IS_OVERFLOW);
    page[PAGE_COUNT] = 1;
    write_page(rig, other, page);
    assert_true(is_whole(rig, HAS_TREE, record, sizeof(record)));
    assert_true(is_whole(rig, HAS_OVERFLOW, &other, sizeof(other)));
    assert_false(is_whole(rig, HAS_TREE | HAS_OVERFLOW, &other, sizeof(other)));
}

static void a_map_has_both_meta_pages(void **state)
{
    const struct rig *rig = *state;
    struct pages *pages;
    assert_int_equal(pages_open(&pages, rig->fd, 2 * PAGE - 1), SPN_E_CORRUPT);
    assert_int_equal(pages_open_raw(&pages, rig->fd, PAGE, PAGE), SPN_E_CORRUPT);
    assert_int_equal(pages_open(&pages, rig->fd, 2 * PAGE), SPN_OK);
    pages_close(pages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_record_is_in_its_node, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_map_has_both_meta_pages, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
