/* SPDX-License-Identifier: Apache-2.0 */
/* pages_base: the format of LMDB's file, and what the files that know it do for each other.
 *
 * pages.c finds pages and reads their contents. pages_whole.c decides whether a page is what LMDB
 * wrote. pages_check.c checks all of them, pages_mend.c replaces one, pages_walk.c gives their
 * values, pages_copy.c copies them.
 */
#ifndef SPN_PAGES_BASE_H
#define SPN_PAGES_BASE_H

#include <string.h>

#include "store/pages.h"

/* Offsets and flags, from mdb.c of LMDB 0.9.24: struct MDB_page, MDB_node, MDB_db, MDB_meta. */
enum {
    PAGE_NUMBER = 0,
    PAGE_FLAGS = 10,
    PAGE_LOWER = 12,
    PAGE_UPPER = 14,
    PAGE_COUNT = 12, /* of an overflow page: the number of pages */
    PAGE_HEAD = 16,

    IS_BRANCH = 0x01,
    IS_LEAF = 0x02,
    IS_OVERFLOW = 0x04,
    IS_META = 0x08,
    TRANSIENT = 0xc010, /* flags that mean nothing on the disk */

    NODE_LOW = 0,  /* low 16 bits of the value's size, or of a page's number */
    NODE_HIGH = 2, /* the next 16 bits */
    NODE_FLAGS = 4,
    NODE_KEY_SIZE = 6,
    NODE_KEY = 8,

    HAS_OVERFLOW = 0x01,
    HAS_TREE = 0x02,

    DB_PAD = 0, /* of the first tree: the size of a page */
    DB_FLAGS = 4,
    DB_DEPTH = 6,
    DB_BRANCHES = 8,
    DB_LEAVES = 16,
    DB_OVERFLOWS = 24,
    DB_ENTRIES = 32,
    DB_ROOT = 40,
    DB_SIZE = 48,
    DB_NUMBERS = 0x08, /* MDB_INTEGERKEY */

    META_MAGIC = PAGE_HEAD,
    META_VERSION = META_MAGIC + 4,
    META_MAP = META_MAGIC + 16,
    META_TREES = META_MAGIC + 24,
    META_LAST = META_TREES + 2 * DB_SIZE,
    META_TXNID = META_LAST + 8,
    META_END = META_TXNID + 8,

    METAS = 2,
    DEPTH_MAX = 32,
    NODES_LEAST = 2, /* of a branch */
    PAGE_SIZE_MIN = 512,
    PAGE_SIZE_MAX = 32768,
};

struct pages {
    int fd;
    size_t page_size;
    const uint8_t *map;
    size_t map_size;
    _Atomic uint64_t count;         /* pages that the file has */
    void (*went_on)(void *context); /* NULL: nobody wants to know */
    void *context;
};

/* A page of a tree, and the keys between which it lies. */
struct place {
    const uint8_t *page;
    uint64_t number;
    unsigned level; /* 1: a leaf */
    struct pages_key first;
    struct pages_key end;
};

struct check {
    const struct pages *pages;
    const struct pages_snapshot *snapshot;
    size_t tree;
    size_t sparse;
    pages_tell *tell;
    void *owner;
    uint64_t *entries;
    uint64_t *marks;
    uint8_t *seen;  /* bit per page */
    uint64_t count; /* of pages that were seen */
    bool twice;     /* a page was seen again */
};

/* -- reading a page ---------------------------------------------------------------------------- */

static inline uint16_t pages_get_u16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint32_t pages_get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint64_t pages_get_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

/* NULL: there is no such page. */
static inline const uint8_t *pages_page_at(const struct pages *pages,
                                           const struct pages_snapshot *snapshot, uint64_t number)
{
    if (number < METAS || number > snapshot->last || number >= pages->count)
        return NULL;
    return pages->map + number * pages->page_size;
}

static inline size_t pages_node_count(const uint8_t *page)
{
    return (size_t)(pages_get_u16(page + PAGE_LOWER) - PAGE_HEAD) / sizeof(uint16_t);
}

static inline const uint8_t *pages_node_at(const uint8_t *page, size_t i)
{
    return page + pages_get_u16(page + PAGE_HEAD + i * sizeof(uint16_t));
}

static inline uint64_t pages_value_size(const uint8_t *node)
{
    return pages_get_u16(node + NODE_LOW) | (uint64_t)pages_get_u16(node + NODE_HIGH) << 16;
}

/* Where a large value has its pages, and how many. */
static inline uint64_t pages_overflow_number(const uint8_t *node)
{
    return pages_get_u64(node + NODE_KEY + pages_get_u16(node + NODE_KEY_SIZE));
}

static inline uint64_t pages_overflow_count(const struct pages *pages, const uint8_t *node)
{
    return (PAGE_HEAD - 1 + pages_value_size(node)) / pages->page_size + 1;
}

/* pages_whole.c */

int pages_compare(bool numbers, const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size);
/* Whether its nodes are what LMDB wrote; the pages of its large values are not looked at. */
bool pages_nodes_are_whole(const struct pages *pages, const struct place *place, bool numbers);
bool pages_is_whole(const struct pages *pages, const struct pages_snapshot *snapshot,
                    const struct place *place, size_t tree);

/* pages_nodes.c: every node that is left in a page, whether or not the page is whole. False ends
 * it. Some are given twice. */
typedef bool pages_take_node(void *owner, struct spn_bytes key, struct spn_bytes value);
void pages_nodes(const struct pages *pages, const uint8_t *page, pages_take_node *take,
                 void *owner);

/* pages.c */

bool pages_is_meta(const uint8_t *page);
bool pages_is_page_size(uint64_t size);
/* pages_open, whatever the meta pages are. */
spn_err pages_open_raw(struct pages **ret_pages, int fd, size_t map_size,
                       size_t page_size) SPN_MUST_USE;

/* The trees that a meta page names, from its bytes. */
spn_err pages_read_meta(const struct pages *pages, const uint8_t *meta,
                        struct pages_snapshot *ret_snapshot, struct pages_damage *ret_damage);
void pages_describe(const struct place *place, size_t tree, struct pages_damage *ret_damage);

/* The i-th page below a whole branch. */
struct place pages_below(const struct pages *pages, const struct pages_snapshot *snapshot,
                         const struct place *branch, size_t i);
struct place pages_root_of(const struct pages *pages, const struct pages_snapshot *snapshot,
                           size_t tree);

#endif
