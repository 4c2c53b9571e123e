/* SPDX-License-Identifier: Apache-2.0 */
#include "store/pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where things lie; mdb.c of LMDB 0.9.24: struct MDB_page, MDB_node, MDB_db, MDB_meta. */
enum {
    PAGE_NUMBER = 0,
    PAGE_FLAGS = 10,
    PAGE_LOWER = 12,
    PAGE_UPPER = 14,
    PAGE_COUNT = 12, /* of an overflow page: how many there are */
    PAGE_HEAD = 16,

    IS_BRANCH = 0x01,
    IS_LEAF = 0x02,
    IS_OVERFLOW = 0x04,
    IS_META = 0x08,
    TRANSIENT = 0xc010, /* flags that mean nothing on the disk */

    NODE_LOW = 0,  /* of the size of the value, or of the number of a page */
    NODE_HIGH = 2, /* the same */
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

static const uint32_t lmdb_magic = 0xBEEFC0DE;
static const uint32_t lmdb_version = 1;

struct pages {
    int fd;
    size_t page_size;
    const uint8_t *map;
    size_t map_size;
    _Atomic uint64_t count; /* of pages that the file has */
};

static uint16_t get_u16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint32_t get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

/* -- meta pages -------------------------------------------------------------------------------- */

static bool is_meta(const uint8_t *page)
{
    return (get_u16(page + PAGE_FLAGS) & ~TRANSIENT) == IS_META &&
           get_u32(page + META_MAGIC) == lmdb_magic && get_u32(page + META_VERSION) == lmdb_version;
}

static bool is_page_size(uint64_t size)
{
    return size >= PAGE_SIZE_MIN && size <= PAGE_SIZE_MAX && (size & (size - 1)) == 0;
}

/* Commits take turns: an even number is on the first page, and the other page has the one before;
 * the first two say 0. */
static bool fit_together(const uint8_t *const metas[METAS])
{
    uint64_t first = get_u64(metas[0] + META_TXNID);
    uint64_t second = get_u64(metas[1] + META_TXNID);
    uint64_t apart = first > second ? first - second : second - first;
    if (first == 0 && second == 0)
        return true;
    return apart == 1 && (first & 1) == 0;
}

static const uint8_t *newer(const uint8_t *const metas[METAS])
{
    return metas[get_u64(metas[0] + META_TXNID) < get_u64(metas[1] + META_TXNID)];
}

static bool read_metas(int fd, uint8_t bytes[METAS][META_END], size_t *ret_page_size)
{
    if (pread(fd, bytes[0], META_END, 0) != META_END || !is_meta(bytes[0]))
        return false;
    uint64_t size = get_u32(bytes[0] + META_TREES + DB_PAD);
    if (!is_page_size(size) || pread(fd, bytes[1], META_END, (off_t)size) != META_END ||
        !is_meta(bytes[1]) || get_u32(bytes[1] + META_TREES + DB_PAD) != size)
        return false;
    *ret_page_size = size;
    return true;
}

spn_err pages_measure(int fd, uint64_t *ret_needed, uint64_t *ret_map)
{
    uint8_t bytes[METAS][META_END];
    const uint8_t *const metas[METAS] = {bytes[0], bytes[1]};
    size_t page_size;
    if (!read_metas(fd, bytes, &page_size))
        return SPN_E_END;
    /* A daemon that commits meanwhile may have written one of them in between. */
    if (!fit_together(metas) && (!read_metas(fd, bytes, &page_size) || !fit_together(metas)))
        return SPN_E_CORRUPT;
    const uint8_t *meta = newer(metas);
    uint64_t last = get_u64(meta + META_LAST);
    if (last >= UINT64_MAX / PAGE_SIZE_MAX)
        return SPN_E_CORRUPT;
    *ret_needed = (last + 1) * page_size;
    *ret_map = get_u64(meta + META_MAP);
    return SPN_OK;
}

/* The file may have grown. Where it was cut, its end must not be touched. */
static void look_at_size(struct pages *pages)
{
    struct stat info;
    uint64_t count = fstat(pages->fd, &info) == 0 ? (uint64_t)info.st_size / pages->page_size : 0;
    uint64_t mapped = pages->map_size / pages->page_size;
    pages->count = count < mapped ? count : mapped;
}

spn_err pages_open(struct pages **ret_pages, int fd, size_t map_size)
{
    uint8_t bytes[METAS][META_END];
    struct pages *pages = calloc(1, sizeof(*pages));
    if (!pages)
        return SPN_E_NOMEM;
    pages->fd = fd;
    if (!read_metas(fd, bytes, &pages->page_size)) {
        free(pages);
        return SPN_E_CORRUPT;
    }
    void *map = mmap(NULL, map_size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        free(pages);
        return SPN_E_SYSTEM;
    }
    pages->map = map;
    pages->map_size = map_size;
    look_at_size(pages);
    *ret_pages = pages;
    return SPN_OK;
}

void pages_close(struct pages *pages)
{
    if (!pages)
        return;
    munmap((void *)(uintptr_t)pages->map, pages->map_size);
    free(pages);
}

/* NULL: there is no such page. */
static const uint8_t *page_at(const struct pages *pages, const struct pages_snapshot *snapshot,
                              uint64_t number)
{
    if (number < METAS || number > snapshot->last || number >= pages->count)
        return NULL;
    return pages->map + number * pages->page_size;
}

/* -- keys -------------------------------------------------------------------------------------- */

static int compare(bool numbers, const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    if (numbers) {
        uint64_t left = get_u64(a), right = get_u64(b);
        return (left > right) - (left < right);
    }
    size_t shorter = a_size < b_size ? a_size : b_size;
    int order = memcmp(a, b, shorter);
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

static void set_key(struct pages_key *key, const uint8_t *bytes, size_t size)
{
    key->size = (uint16_t)size;
    if (size > 0)
        memcpy(key->bytes, bytes, size);
}

/* -- one page ---------------------------------------------------------------------------------- */

/* A page of a tree, and the keys between which it lies. */
struct place {
    const uint8_t *page;
    uint64_t number;
    unsigned level; /* 1: a leaf */
    struct pages_key first;
    struct pages_key end;
};

static size_t node_count(const uint8_t *page)
{
    return (size_t)(get_u16(page + PAGE_LOWER) - PAGE_HEAD) / sizeof(uint16_t);
}

static const uint8_t *node_at(const uint8_t *page, size_t i)
{
    return page + get_u16(page + PAGE_HEAD + i * sizeof(uint16_t));
}

static uint64_t value_size(const uint8_t *node)
{
    return get_u16(node + NODE_LOW) | (uint64_t)get_u16(node + NODE_HIGH) << 16;
}

static uint64_t child_of(const uint8_t *node)
{
    return value_size(node) | (uint64_t)get_u16(node + NODE_FLAGS) << 32;
}

/* As it lies in the page: with the value, with the number of its overflow page, or with neither. */
static uint64_t node_size(const uint8_t *node, bool leaf)
{
    uint64_t size = NODE_KEY + get_u16(node + NODE_KEY_SIZE);
    if (leaf)
        size += get_u16(node + NODE_FLAGS) & HAS_OVERFLOW ? sizeof(uint64_t) : value_size(node);
    return size + (size & 1);
}

static bool head_is_whole(const struct pages *pages, const struct place *place)
{
    const uint8_t *page = place->page;
    unsigned wanted = place->level == 1 ? IS_LEAF : IS_BRANCH;
    unsigned lower = get_u16(page + PAGE_LOWER);
    unsigned upper = get_u16(page + PAGE_UPPER);
    return get_u64(page + PAGE_NUMBER) == place->number &&
           (get_u16(page + PAGE_FLAGS) & ~(unsigned)TRANSIENT) == wanted &&
           lower >= PAGE_HEAD + sizeof(uint16_t) && (lower & 1) == 0 && lower <= upper &&
           upper <= pages->page_size && (place->level == 1 || node_count(page) >= NODES_LEAST);
}

/* Its nodes are within it and fill it without a gap. */
static bool nodes_fill(const struct pages *pages, const struct place *place)
{
    const uint8_t *page = place->page;
    size_t upper = get_u16(page + PAGE_UPPER);
    uint64_t filled = 0;
    for (size_t i = 0; i < node_count(page); i++) {
        size_t at = get_u16(page + PAGE_HEAD + i * sizeof(uint16_t));
        if (at < upper || at > pages->page_size - NODE_KEY)
            return false;
        uint64_t size = node_size(page + at, place->level == 1);
        if (size > pages->page_size - at)
            return false;
        filled += size;
    }
    return filled == pages->page_size - upper;
}

static bool keys_ascend(const struct place *place, bool numbers)
{
    const uint8_t *before = place->first.bytes;
    size_t before_size = place->first.size;
    bool bounded = before_size > 0; /* by one that it may equal */
    for (size_t i = place->level == 1 ? 0 : 1; i < node_count(place->page); i++) {
        const uint8_t *node = node_at(place->page, i);
        size_t size = get_u16(node + NODE_KEY_SIZE);
        if (size < 1 || size > PAGES_KEY_MAX || (numbers && size != sizeof(uint64_t)))
            return false;
        int order =
            before_size > 0 ? compare(numbers, node + NODE_KEY, size, before, before_size) : 1;
        if (order < 0 || (order == 0 && !bounded))
            return false;
        before = node + NODE_KEY;
        before_size = size;
        bounded = false;
    }
    return place->end.size == 0 || before_size == 0 ||
           compare(numbers, before, before_size, place->end.bytes, place->end.size) < 0;
}

/* The pages of a large value. */
static bool overflow_is_whole(const struct pages *pages, const struct pages_snapshot *snapshot,
                              const uint8_t *node)
{
    uint64_t number = get_u64(node + NODE_KEY + get_u16(node + NODE_KEY_SIZE));
    uint64_t count = (PAGE_HEAD - 1 + value_size(node)) / pages->page_size + 1;
    const uint8_t *page = page_at(pages, snapshot, number);
    return page && count <= snapshot->last - number + 1 && get_u64(page + PAGE_NUMBER) == number &&
           (get_u16(page + PAGE_FLAGS) & ~(unsigned)TRANSIENT) == IS_OVERFLOW &&
           get_u32(page + PAGE_COUNT) == count;
}

static bool values_are_whole(const struct pages *pages, const struct pages_snapshot *snapshot,
                             const struct place *place, size_t tree)
{
    unsigned allowed = tree == PAGES_MAIN ? HAS_TREE | HAS_OVERFLOW : HAS_OVERFLOW;
    for (size_t i = 0; i < node_count(place->page); i++) {
        const uint8_t *node = node_at(place->page, i);
        unsigned flags = get_u16(node + NODE_FLAGS);
        if ((flags & ~allowed) != 0 || (flags & HAS_TREE && value_size(node) != DB_SIZE))
            return false;
        if (flags & HAS_OVERFLOW && !overflow_is_whole(pages, snapshot, node))
            return false;
    }
    return true;
}

static bool is_whole(const struct pages *pages, const struct pages_snapshot *snapshot,
                     const struct place *place, size_t tree)
{
    return place->page && head_is_whole(pages, place) && nodes_fill(pages, place) &&
           keys_ascend(place, snapshot->trees[tree].numbers) &&
           (place->level > 1 || values_are_whole(pages, snapshot, place, tree));
}

static void tell(const struct place *place, size_t tree, struct pages_damage *ret_damage)
{
    *ret_damage = (struct pages_damage){.tree = tree,
                                        .page = place->number,
                                        .leaf = place->level == 1,
                                        .first = place->first,
                                        .end = place->end};
}

/* The i-th page below a whole branch. */
static struct place below(const struct pages *pages, const struct pages_snapshot *snapshot,
                          const struct place *branch, size_t i)
{
    const uint8_t *node = node_at(branch->page, i);
    struct place place = {.number = child_of(node),
                          .level = branch->level - 1,
                          .first = branch->first,
                          .end = branch->end};
    place.page = page_at(pages, snapshot, place.number);
    if (i > 0)
        set_key(&place.first, node + NODE_KEY, get_u16(node + NODE_KEY_SIZE));
    if (i + 1 < node_count(branch->page)) {
        const uint8_t *next = node_at(branch->page, i + 1);
        set_key(&place.end, next + NODE_KEY, get_u16(next + NODE_KEY_SIZE));
    }
    return place;
}

static struct place root_of(const struct pages *pages, const struct pages_snapshot *snapshot,
                            size_t tree)
{
    const struct pages_tree *of = &snapshot->trees[tree];
    return (struct place){
        .page = page_at(pages, snapshot, of->root), .number = of->root, .level = of->depth};
}

/* -- the trees --------------------------------------------------------------------------------- */

static bool read_tree(const uint8_t *db, struct pages_tree *tree)
{
    *tree = (struct pages_tree){
        .root = get_u64(db + DB_ROOT),
        .entries = get_u64(db + DB_ENTRIES),
        .used = get_u64(db + DB_BRANCHES) + get_u64(db + DB_LEAVES) + get_u64(db + DB_OVERFLOWS),
        .depth = get_u16(db + DB_DEPTH),
        .numbers = (get_u16(db + DB_FLAGS) & DB_NUMBERS) != 0,
    };
    return tree->root == PAGES_NONE ? tree->depth == 0
                                    : tree->depth >= 1 && tree->depth <= DEPTH_MAX;
}

/* Of a list of trees that is one leaf, as ours is. */
static bool list_trees(const struct pages *pages, struct pages_snapshot *snapshot,
                       const struct place *list)
{
    for (size_t i = 0; i < node_count(list->page); i++) {
        const uint8_t *node = node_at(list->page, i);
        size_t size = get_u16(node + NODE_KEY_SIZE);
        struct pages_tree tree;
        const uint8_t *db = node + NODE_KEY + size;
        if (!(get_u16(node + NODE_FLAGS) & HAS_TREE) || size >= sizeof(tree.name))
            continue; /* none of ours */
        if (!read_tree(db, &tree) || snapshot->count == PAGES_TREES_MAX)
            return false;
        memcpy(tree.name, node + NODE_KEY, size);
        tree.record = (uint64_t)(db - pages->map);
        snapshot->trees[snapshot->count++] = tree;
    }
    return true;
}

spn_err pages_snapshot(struct pages *pages, uint64_t txnid, struct pages_snapshot *ret_snapshot,
                       struct pages_damage *ret_damage)
{
    const uint8_t *const metas[METAS] = {pages->map, pages->map + pages->page_size};
    const uint8_t *meta = txnid == 0 ? newer(metas) : metas[txnid % METAS];
    uint8_t copy[META_END];
    memcpy(copy, meta, sizeof(copy));
    struct pages_snapshot snapshot = {
        .txnid = get_u64(copy + META_TXNID), .last = get_u64(copy + META_LAST), .count = 2};
    if (txnid != 0 && snapshot.txnid != txnid)
        return SPN_E_END;
    if (snapshot.last >= pages->count)
        look_at_size(pages);
    if (!is_meta(copy) || !read_tree(copy + META_TREES, &snapshot.trees[PAGES_FREE]) ||
        !read_tree(copy + META_TREES + DB_SIZE, &snapshot.trees[PAGES_MAIN]))
        return SPN_E_CORRUPT;
    snapshot.trees[PAGES_FREE].numbers = true;
    struct place list = root_of(pages, &snapshot, PAGES_MAIN);
    bool none = list.number == PAGES_NONE || list.level > 1; /* or another program's */
    bool whole = none || (is_whole(pages, &snapshot, &list, PAGES_MAIN) &&
                          list_trees(pages, &snapshot, &list));
    if (!whole && ret_damage)
        tell(&list, PAGES_MAIN, ret_damage);
    /* What was read is of this commit only if it is still there. */
    if (txnid != 0 && get_u64(meta + META_TXNID) != txnid)
        return SPN_E_END;
    *ret_snapshot = snapshot;
    return whole ? SPN_OK : SPN_E_CORRUPT;
}

size_t pages_find(const struct pages_snapshot *snapshot, const char *name)
{
    for (size_t i = PAGES_MAIN + 1; i < snapshot->count; i++)
        if (strcmp(snapshot->trees[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

/* -- looking ----------------------------------------------------------------------------------- */

/* The last node with a key that is not above this one; the first has no key. */
static size_t node_for(const struct place *branch, bool numbers, const uint8_t *key, size_t size)
{
    size_t low = 0;
    size_t high = node_count(branch->page);
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        const uint8_t *node = node_at(branch->page, middle);
        if (compare(numbers, node + NODE_KEY, get_u16(node + NODE_KEY_SIZE), key, size) <= 0)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static spn_err look(const struct pages *pages, const struct pages_snapshot *snapshot, size_t tree,
                    const uint8_t *key, size_t key_size, struct place *place,
                    struct pages_damage *ret_damage)
{
    *place = root_of(pages, snapshot, tree);
    if (place->number == PAGES_NONE)
        return SPN_E_END;
    for (;;) {
        if (!is_whole(pages, snapshot, place, tree)) {
            tell(place, tree, ret_damage);
            return SPN_E_CORRUPT;
        }
        if (place->level == 1)
            return SPN_OK;
        size_t i = node_for(place, snapshot->trees[tree].numbers, key, key_size);
        *place = below(pages, snapshot, place, i);
    }
}

static void take_last(const struct place *leaf, struct pages_key *ret_last)
{
    const uint8_t *node = node_at(leaf->page, node_count(leaf->page) - 1);
    set_key(ret_last, node + NODE_KEY, get_u16(node + NODE_KEY_SIZE));
}

spn_err pages_look(const struct pages *pages, const struct pages_snapshot *snapshot, size_t tree,
                   const void *key, size_t key_size, struct pages_key *ret_last,
                   struct pages_damage *ret_damage)
{
    bool numbers = snapshot->trees[tree].numbers;
    struct place place;
    ret_last->size = 0;
    spn_err err = look(pages, snapshot, tree, key, key_size, &place, ret_damage);
    if (err != SPN_OK)
        return err == SPN_E_END ? SPN_OK : err;
    take_last(&place, ret_last);
    if (place.end.size == 0 ||
        compare(numbers, ret_last->bytes, ret_last->size, key, key_size) >= 0)
        return SPN_OK;
    /* The first key that is not lower is in the next leaf. */
    struct pages_key next = place.end;
    err = look(pages, snapshot, tree, next.bytes, next.size, &place, ret_damage);
    if (err == SPN_OK)
        take_last(&place, ret_last);
    return err;
}

/* -- checking ---------------------------------------------------------------------------------- */

struct check {
    const struct pages *pages;
    const struct pages_snapshot *snapshot;
    size_t tree;
    size_t sparse;
    pages_tell *tell;
    void *owner;
    uint64_t *entries;
    uint64_t *marks;
    uint8_t *seen; /* bit per page */
    bool twice;    /* a page was seen again */
};

static void see(struct check *check, uint64_t page)
{
    if (page > check->snapshot->last)
        return;
    check->twice = check->twice || (check->seen[page / 8] & 1u << page % 8) != 0;
    check->seen[page / 8] |= (uint8_t)(1u << page % 8);
}

static void see_overflows(struct check *check, const uint8_t *node)
{
    uint64_t number = get_u64(node + NODE_KEY + get_u16(node + NODE_KEY_SIZE));
    uint64_t count = (PAGE_HEAD - 1 + value_size(node)) / check->pages->page_size + 1;
    for (uint64_t i = 0; i < count; i++)
        see(check, number + i);
}

static void count_leaf(struct check *check, const struct place *place)
{
    check->entries[check->tree] += node_count(place->page);
    for (size_t i = 0; i < node_count(place->page); i++) {
        const uint8_t *node = node_at(place->page, i);
        check->marks[check->tree] += value_size(node) == PAGES_MARK_SIZE;
        if (get_u16(node + NODE_FLAGS) & HAS_OVERFLOW)
            see_overflows(check, node);
    }
}

static void check_from(struct check *check, const struct place *place)
{
    struct pages_damage damage;
    see(check, place->number);
    if (!is_whole(check->pages, check->snapshot, place, check->tree)) {
        tell(place, check->tree, &damage);
        check->tell(check->owner, &damage);
        return;
    }
    if (place->level == 1) {
        count_leaf(check, place);
        return;
    }
    for (size_t i = 0; i < node_count(place->page); i++) {
        struct place next = below(check->pages, check->snapshot, place, i);
        bool edge = next.first.size == 0 || next.end.size == 0;
        if (next.level == 1 && check->tree == check->sparse && !edge)
            see(check, next.number);
        else
            check_from(check, &next);
    }
}

/* -- the list of free pages -------------------------------------------------------------------- */

/* A value: a count and as many numbers, which descend. Each is seen. */
static bool check_free_value(struct check *check, const uint8_t *value, uint64_t size,
                             uint64_t *total)
{
    if (size < sizeof(uint64_t) || size % sizeof(uint64_t) != 0)
        return false;
    uint64_t count = get_u64(value);
    uint64_t before = check->snapshot->last + 1;
    if (count > size / sizeof(uint64_t) - 1)
        return false;
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t page = get_u64(value + i * sizeof(uint64_t));
        if (page < METAS || page >= before)
            return false;
        see(check, page);
        before = page;
    }
    *total += count;
    return true;
}

static bool check_free_leaf(struct check *check, const struct place *leaf, uint64_t *total)
{
    for (size_t i = 0; i < node_count(leaf->page); i++) {
        const uint8_t *node = node_at(leaf->page, i);
        const uint8_t *value = node + NODE_KEY + get_u16(node + NODE_KEY_SIZE);
        if (get_u16(node + NODE_FLAGS) & HAS_OVERFLOW)
            value = page_at(check->pages, check->snapshot, get_u64(value)) + PAGE_HEAD;
        if (!check_free_value(check, value, value_size(node), total))
            return false;
    }
    return true;
}

static bool check_free_from(struct check *check, const struct place *place, uint64_t *total)
{
    if (!is_whole(check->pages, check->snapshot, place, PAGES_FREE))
        return false;
    see(check, place->number);
    if (place->level == 1) {
        count_leaf(check, place);
        return check_free_leaf(check, place, total);
    }
    for (size_t i = 0; i < node_count(place->page); i++) {
        struct place next = below(check->pages, check->snapshot, place, i);
        if (!check_free_from(check, &next, total))
            return false;
    }
    return true;
}

/* After the other trees were looked at. */
static bool free_is_whole(struct check *check)
{
    const struct pages_snapshot *snapshot = check->snapshot;
    uint64_t total = METAS;
    check->tree = PAGES_FREE;
    check->twice = false;
    for (size_t tree = 0; tree < snapshot->count; tree++)
        total += snapshot->trees[tree].used;
    struct place root = root_of(check->pages, snapshot, PAGES_FREE);
    if (root.number != PAGES_NONE && !check_free_from(check, &root, &total))
        return false;
    return !check->twice && total <= snapshot->last + 1;
}

spn_err pages_check(const struct pages *pages, const struct pages_snapshot *snapshot, size_t sparse,
                    pages_tell *tell_damage, void *owner, uint64_t ret_entries[PAGES_TREES_MAX],
                    uint64_t ret_marks[PAGES_TREES_MAX], bool *ret_free_whole)
{
    struct check check = {.pages = pages,
                          .snapshot = snapshot,
                          .sparse = sparse,
                          .tell = tell_damage,
                          .owner = owner,
                          .entries = ret_entries,
                          .marks = ret_marks};
    memset(ret_entries, 0, PAGES_TREES_MAX * sizeof(*ret_entries));
    memset(ret_marks, 0, PAGES_TREES_MAX * sizeof(*ret_marks));
    check.seen = calloc(snapshot->last / 8 + 1, 1);
    if (!check.seen)
        return SPN_E_NOMEM;
    for (size_t tree = PAGES_MAIN; tree < snapshot->count; tree++) {
        struct place root = root_of(pages, snapshot, tree);
        check.tree = tree;
        if (root.number != PAGES_NONE)
            check_from(&check, &root);
    }
    spn_err err = check.twice ? SPN_E_CORRUPT : SPN_OK;
    *ret_free_whole = free_is_whole(&check);
    free(check.seen);
    return err;
}

/* -- mending ----------------------------------------------------------------------------------- */

static spn_err write_at(const struct pages *pages, const void *bytes, size_t size, uint64_t offset)
{
    ssize_t written = pwrite(pages->fd, bytes, size, (off_t)offset);
    if (written != (ssize_t)size)
        return written < 0 && errno != EIO ? SPN_E_SYSTEM : SPN_E_IO;
    return fdatasync(pages->fd) == 0 ? SPN_OK : SPN_E_IO;
}

static void put_u16(uint8_t *at, size_t value)
{
    uint16_t narrow = (uint16_t)value;
    memcpy(at, &narrow, sizeof(narrow));
}

spn_err pages_mend(const struct pages *pages, const struct pages_damage *damage,
                   const struct pages_key *key, struct spn_bytes value)
{
    uint8_t page[PAGE_SIZE_MAX] = {0};
    size_t size = NODE_KEY + key->size + value.size;
    size_t upper = pages->page_size - size - (size & 1);
    uint8_t *node = page + upper;
    memcpy(page + PAGE_NUMBER, &damage->page, sizeof(damage->page));
    put_u16(page + PAGE_FLAGS, IS_LEAF);
    put_u16(page + PAGE_LOWER, PAGE_HEAD + sizeof(uint16_t));
    put_u16(page + PAGE_UPPER, upper);
    put_u16(page + PAGE_HEAD, upper);
    put_u16(node + NODE_LOW, value.size);
    put_u16(node + NODE_KEY_SIZE, key->size);
    memcpy(node + NODE_KEY, key->bytes, key->size);
    memcpy(node + NODE_KEY + key->size, value.data, value.size);
    return write_at(pages, page, pages->page_size, damage->page * pages->page_size);
}

spn_err pages_mend_count(const struct pages *pages, const struct pages_tree *tree, uint64_t entries)
{
    return write_at(pages, &entries, sizeof(entries), tree->record + DB_ENTRIES);
}

spn_err pages_mend_free(const struct pages *pages, const struct pages_snapshot *snapshot)
{
    uint8_t empty[DB_SIZE - DB_DEPTH] = {0};
    const uint64_t none = PAGES_NONE;
    uint64_t at = (snapshot->txnid % METAS) * pages->page_size + META_TREES + DB_DEPTH;
    memcpy(empty + DB_ROOT - DB_DEPTH, &none, sizeof(none));
    return write_at(pages, empty, sizeof(empty), at);
}
