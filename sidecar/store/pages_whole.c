/* SPDX-License-Identifier: Apache-2.0 */
/* pages_whole: is a page what LMDB wrote? */
#include <string.h>

#include "store/pages_base.h"

int pages_compare(bool numbers, const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    if (numbers) {
        uint64_t left = pages_get_u64(a), right = pages_get_u64(b);
        return (left > right) - (left < right);
    }
    size_t shorter = a_size < b_size ? a_size : b_size;
    int order = memcmp(a, b, shorter);
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* Its size in the page: with the value, with the number of its overflow page, or with neither. */
static uint64_t node_size(const uint8_t *node, bool leaf)
{
    uint64_t size = NODE_KEY + pages_get_u16(node + NODE_KEY_SIZE);
    if (leaf)
        size += pages_get_u16(node + NODE_FLAGS) & HAS_OVERFLOW ? sizeof(uint64_t)
                                                                : pages_value_size(node);
    return size + (size & 1);
}

static bool head_is_whole(const struct pages *pages, const struct place *place)
{
    const uint8_t *page = place->page;
    unsigned wanted = place->level == 1 ? IS_LEAF : IS_BRANCH;
    unsigned lower = pages_get_u16(page + PAGE_LOWER);
    unsigned upper = pages_get_u16(page + PAGE_UPPER);
    return pages_get_u64(page + PAGE_NUMBER) == place->number &&
           (pages_get_u16(page + PAGE_FLAGS) & ~(unsigned)TRANSIENT) == wanted &&
           lower >= PAGE_HEAD + sizeof(uint16_t) && (lower & 1) == 0 && lower <= upper &&
           upper <= pages->page_size &&
           (place->level == 1 || pages_node_count(page) >= NODES_LEAST);
}

/* Whether its nodes are within it and fill it without a gap. */
static bool nodes_fill(const struct pages *pages, const struct place *place)
{
    const uint8_t *page = place->page;
    size_t upper = pages_get_u16(page + PAGE_UPPER);
    uint64_t filled = 0;
    for (size_t i = 0; i < pages_node_count(page); i++) {
        size_t at = pages_get_u16(page + PAGE_HEAD + i * sizeof(uint16_t));
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
    bool bounded = before_size > 0; /* the first key may equal its bound */
    for (size_t i = place->level == 1 ? 0 : 1; i < pages_node_count(place->page); i++) {
        const uint8_t *node = pages_node_at(place->page, i);
        size_t size = pages_get_u16(node + NODE_KEY_SIZE);
        if (size < 1 || size > PAGES_KEY_MAX || (numbers && size != sizeof(uint64_t)))
            return false;
        int order = before_size > 0
                        ? pages_compare(numbers, node + NODE_KEY, size, before, before_size)
                        : 1;
        if (order < 0 || (order == 0 && !bounded))
            return false;
        before = node + NODE_KEY;
        before_size = size;
        bounded = false;
    }
    return place->end.size == 0 || before_size == 0 ||
           pages_compare(numbers, before, before_size, place->end.bytes, place->end.size) < 0;
}

/* Checks the pages of a large value. */
static bool overflow_is_whole(const struct pages *pages, const struct pages_snapshot *snapshot,
                              const uint8_t *node)
{
    uint64_t number = pages_overflow_number(node);
    uint64_t count = pages_overflow_count(pages, node);
    const uint8_t *page = pages_page_at(pages, snapshot, number);
    return page && count <= snapshot->last - number + 1 &&
           pages_get_u64(page + PAGE_NUMBER) == number &&
           (pages_get_u16(page + PAGE_FLAGS) & ~(unsigned)TRANSIENT) == IS_OVERFLOW &&
           pages_get_u32(page + PAGE_COUNT) == count && number + count <= pages->count;
}

/* The record of a tree is in its node, never in pages of its own. */
static bool flags_are_whole(unsigned flags, const uint8_t *node, size_t tree)
{
    if (flags == HAS_TREE)
        return tree == PAGES_MAIN && pages_value_size(node) == DB_SIZE;
    return (flags & ~(unsigned)HAS_OVERFLOW) == 0;
}

static bool values_are_whole(const struct pages *pages, const struct pages_snapshot *snapshot,
                             const struct place *place, size_t tree)
{
    for (size_t i = 0; i < pages_node_count(place->page); i++) {
        const uint8_t *node = pages_node_at(place->page, i);
        unsigned flags = pages_get_u16(node + NODE_FLAGS);
        if (!flags_are_whole(flags, node, tree))
            return false;
        if (flags & HAS_OVERFLOW && !overflow_is_whole(pages, snapshot, node))
            return false;
    }
    return true;
}

bool pages_nodes_are_whole(const struct pages *pages, const struct place *place, bool numbers)
{
    return place->page && head_is_whole(pages, place) && nodes_fill(pages, place) &&
           keys_ascend(place, numbers);
}

bool pages_is_whole(const struct pages *pages, const struct pages_snapshot *snapshot,
                    const struct place *place, size_t tree)
{
    return pages_nodes_are_whole(pages, place, snapshot->trees[tree].numbers) &&
           (place->level > 1 || values_are_whole(pages, snapshot, place, tree));
}
