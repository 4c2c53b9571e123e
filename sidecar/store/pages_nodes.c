/* SPDX-License-Identifier: Apache-2.0 */
/* pages_nodes: what is left in a page of which any bytes may be damaged.
 *
 * Nodes fill a leaf from `upper` to its end, one after another in the order in which they were
 * written; slots at its front have their places in the order of the keys. So a node is found in two
 * ways, and damage in one of them does not hide it. What lies before `upper` are nodes that were
 * deleted.
 */
#include "store/pages_base.h"

struct leaf {
    const struct pages *pages;
    const uint8_t *page;
    size_t upper;
    pages_take_node *take;
    void *owner;
};

/* The size of the node at this place; 0: there can be none. */
static size_t size_at(const struct leaf *leaf, size_t at)
{
    size_t page_size = leaf->pages->page_size;
    if (at % 2 != 0 || at < leaf->upper || at + NODE_KEY > page_size)
        return 0;
    const uint8_t *node = leaf->page + at;
    size_t key_size = pages_get_u16(node + NODE_KEY_SIZE);
    bool overflow = (pages_get_u16(node + NODE_FLAGS) & HAS_OVERFLOW) != 0;
    uint64_t size = NODE_KEY + key_size + (overflow ? sizeof(uint64_t) : pages_value_size(node));
    size += size & 1;
    return key_size >= 1 && key_size <= PAGES_KEY_MAX && size <= page_size - at ? (size_t)size : 0;
}

/* A large value is given whatever the head of its pages is. data NULL: the file does not have it.
 */
static struct spn_bytes value_of(const struct leaf *leaf, const uint8_t *node)
{
    const struct pages *pages = leaf->pages;
    struct spn_bytes value = {node + NODE_KEY + pages_get_u16(node + NODE_KEY_SIZE),
                              pages_value_size(node)};
    if (!(pages_get_u16(node + NODE_FLAGS) & HAS_OVERFLOW))
        return value;
    uint64_t number = pages_overflow_number(node);
    uint64_t count = pages_overflow_count(pages, node);
    bool there = number >= METAS && number < pages->count && count <= pages->count - number;
    value.data = there ? pages->map + number * pages->page_size + PAGE_HEAD : NULL;
    return value;
}

static bool give(const struct leaf *leaf, size_t at)
{
    const uint8_t *node = leaf->page + at;
    if (size_at(leaf, at) == 0)
        return true;
    struct spn_bytes value = value_of(leaf, node);
    struct spn_bytes key = {node + NODE_KEY, pages_get_u16(node + NODE_KEY_SIZE)};
    return !value.data || leaf->take(leaf->owner, key, value);
}

/* Whether nodes that begin here fill the page to its end. */
static bool fills(const struct leaf *leaf, size_t at)
{
    if (at >= leaf->pages->page_size)
        return false;
    while (at < leaf->pages->page_size) {
        size_t size = size_at(leaf, at);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

static size_t slot_count(const struct leaf *leaf)
{
    size_t lower = pages_get_u16(leaf->page + PAGE_LOWER);
    size_t most = leaf->pages->page_size - PAGE_HEAD;
    size_t bytes = lower >= PAGE_HEAD ? lower - PAGE_HEAD : 0;
    return (bytes < most ? bytes : most) / sizeof(uint16_t);
}

static size_t slot_at(const struct leaf *leaf, size_t i)
{
    return pages_get_u16(leaf->page + PAGE_HEAD + i * sizeof(uint16_t));
}

/* Where the nodes begin, by the slots. */
static size_t lowest_slot(const struct leaf *leaf)
{
    size_t lowest = leaf->pages->page_size;
    for (size_t i = 0; i < slot_count(leaf); i++)
        if (slot_at(leaf, i) < lowest)
            lowest = slot_at(leaf, i);
    return lowest;
}

/* If `upper` and the slots do not agree, that one holds from which nodes fill the page; if neither
 * does, the higher one, so that nothing is taken that was deleted. */
static size_t find_upper(struct leaf *leaf)
{
    size_t upper = pages_get_u16(leaf->page + PAGE_UPPER);
    size_t lowest = lowest_slot(leaf);
    leaf->upper = 0;
    if (upper == lowest || fills(leaf, upper))
        return upper;
    return fills(leaf, lowest) ? lowest : upper > lowest ? upper : lowest;
}

void pages_nodes(const struct pages *pages, const uint8_t *page, pages_take_node *take, void *owner)
{
    struct leaf leaf = {.pages = pages, .page = page, .take = take, .owner = owner};
    size_t at = leaf.upper = find_upper(&leaf);
    bool more = true;
    for (size_t i = 0; i < slot_count(&leaf) && more; i++)
        more = give(&leaf, slot_at(&leaf, i));
    for (size_t size = 1; more && at < pages->page_size && size > 0; at += size) {
        more = give(&leaf, at);
        size = size_at(&leaf, at);
    }
}
