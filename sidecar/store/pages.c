/* SPDX-License-Identifier: Apache-2.0 */
#include "store/pages.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/pages_base.h"

static const uint32_t lmdb_magic = 0xBEEFC0DE;

static const uint32_t lmdb_version = 1;

/* -- meta pages -------------------------------------------------------------------------------- */

bool pages_is_meta(const uint8_t *page)
{
    return (pages_get_u16(page + PAGE_FLAGS) & ~TRANSIENT) == IS_META &&
           pages_get_u32(page + META_MAGIC) == lmdb_magic &&
           pages_get_u32(page + META_VERSION) == lmdb_version;
}

bool pages_is_page_size(uint64_t size)
{
    return size >= PAGE_SIZE_MIN && size <= PAGE_SIZE_MAX && (size & (size - 1)) == 0;
}

/* Commits alternate between the two pages: even numbers are on the first, and the other page has
 * the neighbouring number. In a new file both numbers are 0. */
static bool fit_together(const uint8_t *const metas[METAS])
{
    uint64_t first = pages_get_u64(metas[0] + META_TXNID);
    uint64_t second = pages_get_u64(metas[1] + META_TXNID);
    uint64_t apart = first > second ? first - second : second - first;
    if (first == 0 && second == 0)
        return true;
    return apart == 1 && (first & 1) == 0;
}

static const uint8_t *newer(const uint8_t *const metas[METAS])
{
    return metas[pages_get_u64(metas[0] + META_TXNID) < pages_get_u64(metas[1] + META_TXNID)];
}

static bool read_metas(int fd, uint8_t bytes[METAS][META_END], size_t *ret_page_size)
{
    if (pread(fd, bytes[0], META_END, 0) != META_END || !pages_is_meta(bytes[0]))
        return false;
    uint64_t size = pages_get_u32(bytes[0] + META_TREES + DB_PAD);
    if (!pages_is_page_size(size) || pread(fd, bytes[1], META_END, (off_t)size) != META_END ||
        !pages_is_meta(bytes[1]) || pages_get_u32(bytes[1] + META_TREES + DB_PAD) != size)
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
    /* A daemon that commits meanwhile may have written one of them between the two reads. */
    if (!fit_together(metas) && (!read_metas(fd, bytes, &page_size) || !fit_together(metas)))
        return SPN_E_CORRUPT;
    const uint8_t *meta = newer(metas);
    uint64_t last = pages_get_u64(meta + META_LAST);
    if (last >= UINT64_MAX / PAGE_SIZE_MAX)
        return SPN_E_CORRUPT;
    *ret_needed = (last + 1) * page_size;
    *ret_map = pages_get_u64(meta + META_MAP);
    return SPN_OK;
}

/* The file may have grown. If it was cut, nothing after its end may be touched. */
static void look_at_size(struct pages *pages)
{
    struct stat info;
    uint64_t count = fstat(pages->fd, &info) == 0 ? (uint64_t)info.st_size / pages->page_size : 0;
    uint64_t mapped = pages->map_size / pages->page_size;
    pages->count = count < mapped ? count : mapped;
}

spn_err pages_open_raw(struct pages **ret_pages, int fd, size_t map_size, size_t page_size)
{
    if (map_size / page_size < METAS)
        return SPN_E_CORRUPT;
    struct pages *pages = calloc(1, sizeof(*pages));
    if (!pages)
        return SPN_E_NOMEM;
    pages->fd = fd;
    pages->page_size = page_size;
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

spn_err pages_open(struct pages **ret_pages, int fd, size_t map_size)
{
    uint8_t bytes[METAS][META_END];
    size_t page_size;
    return read_metas(fd, bytes, &page_size) ? pages_open_raw(ret_pages, fd, map_size, page_size)
                                             : SPN_E_CORRUPT;
}

void pages_close(struct pages *pages)
{
    if (!pages)
        return;
    munmap((void *)(uintptr_t)pages->map, pages->map_size);
    free(pages);
}

void pages_on_progress(struct pages *pages, void (*went_on)(void *context), void *context)
{
    pages->went_on = went_on;
    pages->context = context;
}

/* -- keys -------------------------------------------------------------------------------------- */

static void set_key(struct pages_key *key, const uint8_t *bytes, size_t size)
{
    key->size = (uint16_t)size;
    if (size > 0)
        memcpy(key->bytes, bytes, size);
}

static uint64_t child_of(const uint8_t *node)
{
    return pages_value_size(node) | (uint64_t)pages_get_u16(node + NODE_FLAGS) << 32;
}

void pages_describe(const struct place *place, size_t tree, struct pages_damage *ret_damage)
{
    *ret_damage = (struct pages_damage){.tree = tree,
                                        .page = place->number,
                                        .leaf = place->level == 1,
                                        .first = place->first,
                                        .end = place->end};
}

struct place pages_below(const struct pages *pages, const struct pages_snapshot *snapshot,
                         const struct place *branch, size_t i)
{
    const uint8_t *node = pages_node_at(branch->page, i);
    struct place place = {.number = child_of(node),
                          .level = branch->level - 1,
                          .first = branch->first,
                          .end = branch->end};
    place.page = pages_page_at(pages, snapshot, place.number);
    if (i > 0)
        set_key(&place.first, node + NODE_KEY, pages_get_u16(node + NODE_KEY_SIZE));
    if (i + 1 < pages_node_count(branch->page)) {
        const uint8_t *next = pages_node_at(branch->page, i + 1);
        set_key(&place.end, next + NODE_KEY, pages_get_u16(next + NODE_KEY_SIZE));
    }
    return place;
}

struct place pages_root_of(const struct pages *pages, const struct pages_snapshot *snapshot,
                           size_t tree)
{
    const struct pages_tree *of = &snapshot->trees[tree];
    return (struct place){
        .page = pages_page_at(pages, snapshot, of->root), .number = of->root, .level = of->depth};
}

/* -- the trees --------------------------------------------------------------------------------- */

static bool read_tree(const uint8_t *db, struct pages_tree *tree)
{
    *tree = (struct pages_tree){
        .root = pages_get_u64(db + DB_ROOT),
        .entries = pages_get_u64(db + DB_ENTRIES),
        .used = pages_get_u64(db + DB_BRANCHES) + pages_get_u64(db + DB_LEAVES) +
                pages_get_u64(db + DB_OVERFLOWS),
        .depth = pages_get_u16(db + DB_DEPTH),
        .flags = pages_get_u16(db + DB_FLAGS),
        .numbers = (pages_get_u16(db + DB_FLAGS) & DB_NUMBERS) != 0,
    };
    bool whole =
        tree->root == PAGES_NONE ? tree->depth == 0 : tree->depth >= 1 && tree->depth <= DEPTH_MAX;
    if (!whole)
        tree->root = PAGES_NONE; /* nobody follows it */
    return whole;
}

/* Reads a list of trees that is one leaf, as ours is. */
static bool list_trees(const struct pages *pages, struct pages_snapshot *snapshot,
                       const struct place *list)
{
    assert(list->page);
    for (size_t i = 0; i < pages_node_count(list->page); i++) {
        const uint8_t *node = pages_node_at(list->page, i);
        size_t size = pages_get_u16(node + NODE_KEY_SIZE);
        struct pages_tree tree;
        const uint8_t *db = node + NODE_KEY + size;
        if (!(pages_get_u16(node + NODE_FLAGS) & HAS_TREE) || size >= sizeof(tree.name))
            continue; /* not one of ours */
        if (!read_tree(db, &tree) || snapshot->count == PAGES_TREES_MAX)
            return false;
        memcpy(tree.name, node + NODE_KEY, size);
        tree.record = (uint64_t)(db - pages->map);
        snapshot->trees[snapshot->count++] = tree;
    }
    return true;
}

spn_err pages_read_meta(const struct pages *pages, const uint8_t *meta,
                        struct pages_snapshot *ret_snapshot, struct pages_damage *ret_damage)
{
    struct pages_snapshot *snapshot = ret_snapshot;
    *snapshot = (struct pages_snapshot){.txnid = pages_get_u64(meta + META_TXNID),
                                        .last = pages_get_u64(meta + META_LAST),
                                        .count = 2};
    memcpy(snapshot->meta, meta, sizeof(snapshot->meta));
    if (!pages_is_meta(meta) || !read_tree(meta + META_TREES, &snapshot->trees[PAGES_FREE]) ||
        !read_tree(meta + META_TREES + DB_SIZE, &snapshot->trees[PAGES_MAIN]))
        return SPN_E_CORRUPT;
    snapshot->trees[PAGES_FREE].numbers = true;
    struct place list = pages_root_of(pages, snapshot, PAGES_MAIN);
    bool none = list.number == PAGES_NONE || list.level > 1; /* or another program's */
    bool whole = none || (pages_is_whole(pages, snapshot, &list, PAGES_MAIN) &&
                          list_trees(pages, snapshot, &list));
    if (!whole && ret_damage)
        pages_describe(&list, PAGES_MAIN, ret_damage);
    return whole ? SPN_OK : SPN_E_CORRUPT;
}

spn_err pages_snapshot(struct pages *pages, uint64_t txnid, struct pages_snapshot *ret_snapshot,
                       struct pages_damage *ret_damage)
{
    const uint8_t *const metas[METAS] = {pages->map, pages->map + pages->page_size};
    const uint8_t *meta = txnid == 0 ? newer(metas) : metas[txnid % METAS];
    uint8_t copy[META_END];
    struct pages_snapshot snapshot;
    memcpy(copy, meta, sizeof(copy));
    if (txnid != 0 && pages_get_u64(copy + META_TXNID) != txnid)
        return SPN_E_END;
    if (pages_get_u64(copy + META_LAST) >= pages->count)
        look_at_size(pages);
    spn_err err = pages_read_meta(pages, copy, &snapshot, ret_damage);
    /* The copy is of this commit only if the meta page still has its number. */
    if (txnid != 0 && pages_get_u64(meta + META_TXNID) != txnid)
        return SPN_E_END;
    *ret_snapshot = snapshot;
    return err;
}

void pages_now(const struct pages *pages, uint64_t *ret_needed, uint64_t *ret_map)
{
    const uint8_t *const metas[METAS] = {pages->map, pages->map + pages->page_size};
    const uint8_t *meta = newer(metas);
    *ret_needed = (pages_get_u64(meta + META_LAST) + 1) * pages->page_size;
    *ret_map = pages_get_u64(meta + META_MAP);
}

size_t pages_size(const struct pages *pages)
{
    return pages->page_size;
}

uint64_t pages_used_bytes(const struct pages *pages, const struct pages_snapshot *snapshot,
                          bool compact)
{
    uint64_t used = METAS;
    for (size_t tree = compact ? PAGES_MAIN : PAGES_FREE; tree < snapshot->count; tree++)
        used += snapshot->trees[tree].used;
    return used * pages->page_size;
}

bool pages_same_trees(const struct pages_snapshot *a, const struct pages_snapshot *b)
{
    return memcmp(a->meta + META_TREES, b->meta + META_TREES, META_TXNID - META_TREES) == 0;
}

size_t pages_find(const struct pages_snapshot *snapshot, const char *name)
{
    for (size_t i = PAGES_MAIN + 1; i < snapshot->count; i++)
        if (strcmp(snapshot->trees[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

/* -- looking ----------------------------------------------------------------------------------- */

/* The last node whose key is not above this key. The first node has no key. */
static size_t node_for(const struct place *branch, bool numbers, const uint8_t *key, size_t size)
{
    size_t low = 0;
    size_t high = pages_node_count(branch->page);
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        const uint8_t *node = pages_node_at(branch->page, middle);
        if (pages_compare(numbers, node + NODE_KEY, pages_get_u16(node + NODE_KEY_SIZE), key,
                          size) <= 0)
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
    *place = pages_root_of(pages, snapshot, tree);
    if (place->number == PAGES_NONE)
        return SPN_E_END;
    for (;;) {
        if (!pages_is_whole(pages, snapshot, place, tree)) {
            pages_describe(place, tree, ret_damage);
            return SPN_E_CORRUPT;
        }
        assert(place->page);
        if (place->level == 1)
            return SPN_OK;
        size_t i = node_for(place, snapshot->trees[tree].numbers, key, key_size);
        *place = pages_below(pages, snapshot, place, i);
    }
}

static void take_last(const struct place *leaf, struct pages_key *ret_last)
{
    const uint8_t *node = pages_node_at(leaf->page, pages_node_count(leaf->page) - 1);
    set_key(ret_last, node + NODE_KEY, pages_get_u16(node + NODE_KEY_SIZE));
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
        pages_compare(numbers, ret_last->bytes, ret_last->size, key, key_size) >= 0)
        return SPN_OK;
    /* The first key that is not lower is in the next leaf. */
    struct pages_key next = place.end;
    err = look(pages, snapshot, tree, next.bytes, next.size, &place, ret_damage);
    if (err == SPN_OK)
        take_last(&place, ret_last);
    return err;
}
