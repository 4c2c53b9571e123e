/* SPDX-License-Identifier: Apache-2.0 */
/* pages_walk: every value of a tree, read without LMDB. */
#include "store/pages_base.h"

/* What the walk carries down. */
struct walker {
    const struct pages *pages;
    const struct pages_snapshot *snapshot;
    size_t tree;
    const struct pages_walk *walk;
};

static void see(const struct walker *walker, uint64_t page, uint64_t count)
{
    uint8_t *seen = walker->walk->seen;
    for (uint64_t i = page; seen && i < page + count && i <= walker->snapshot->last; i++)
        seen[i / 8] |= (uint8_t)(1u << i % 8);
}

static spn_err take_leaf(const struct walker *walker, const struct place *leaf)
{
    const struct pages_walk *walk = walker->walk;
    spn_err err = SPN_OK;
    for (size_t i = 0; i < pages_node_count(leaf->page) && err == SPN_OK; i++) {
        const uint8_t *node = pages_node_at(leaf->page, i);
        struct spn_bytes key = {node + NODE_KEY, pages_get_u16(node + NODE_KEY_SIZE)};
        struct spn_bytes value = {node + NODE_KEY + key.size, pages_value_size(node)};
        if (pages_get_u16(node + NODE_FLAGS) & HAS_OVERFLOW) {
            uint64_t number = pages_overflow_number(node);
            see(walker, number, pages_overflow_count(walker->pages, node));
            value.data = pages_page_at(walker->pages, walker->snapshot, number) + (size_t)PAGE_HEAD;
        }
        err = walk->take(walk->owner, leaf->number, key, value);
    }
    return err;
}

static spn_err walk_from(const struct walker *walker, const struct place *place)
{
    struct pages_damage damage;
    spn_err err = SPN_OK;
    see(walker, place->number, 1);
    if (!pages_is_whole(walker->pages, walker->snapshot, place, walker->tree)) {
        pages_describe(place, walker->tree, &damage);
        if (walker->walk->tell)
            walker->walk->tell(walker->walk->owner, &damage);
        return SPN_OK;
    }
    if (place->level == 1)
        return take_leaf(walker, place);
    for (size_t i = 0; i < pages_node_count(place->page) && err == SPN_OK; i++) {
        struct place next = pages_below(walker->pages, walker->snapshot, place, i);
        err = walk_from(walker, &next);
    }
    return err;
}

spn_err pages_walk(const struct pages *pages, const struct pages_snapshot *snapshot, size_t tree,
                   const struct pages_walk *walk)
{
    const struct walker walker = {.pages = pages, .snapshot = snapshot, .tree = tree, .walk = walk};
    struct place root = pages_root_of(pages, snapshot, tree);
    return root.number == PAGES_NONE ? SPN_OK : walk_from(&walker, &root);
}

static spn_err take_freed(void *owner, uint64_t page, struct spn_bytes key, struct spn_bytes value)
{
    uint64_t *last = owner;
    uint64_t number = pages_get_u64(key.data);
    (void)page;
    (void)value;
    *last = number > *last ? number : *last;
    return SPN_OK;
}

uint64_t pages_freed_last(const struct pages *pages, const struct pages_snapshot *snapshot)
{
    uint64_t last = 0;
    const struct pages_walk walk = {.take = take_freed, .owner = &last};
    spn_err err = pages_walk(pages, snapshot, PAGES_FREE, &walk);
    return err == SPN_OK ? last : 0;
}
