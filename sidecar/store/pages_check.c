/* SPDX-License-Identifier: Apache-2.0 */
/* pages_check: checks all pages of a snapshot, and the list of free pages. */
#include <stdlib.h>
#include <string.h>

#include "store/pages_base.h"

enum { PAGES_PER_CALL = 4096 };

static void see(struct check *check, uint64_t page)
{
    const struct pages *pages = check->pages;
    if (++check->count % PAGES_PER_CALL == 0 && pages->went_on)
        pages->went_on(pages->context);
    if (page > check->snapshot->last)
        return;
    check->twice = check->twice || (check->seen[page / 8] & 1u << page % 8) != 0;
    check->seen[page / 8] |= (uint8_t)(1u << page % 8);
}

static void see_overflows(struct check *check, const uint8_t *node)
{
    uint64_t number = pages_overflow_number(node);
    uint64_t count = pages_overflow_count(check->pages, node);
    for (uint64_t i = 0; i < count; i++)
        see(check, number + i);
}

static void count_leaf(struct check *check, const struct place *place)
{
    check->entries[check->tree] += pages_node_count(place->page);
    for (size_t i = 0; i < pages_node_count(place->page); i++) {
        const uint8_t *node = pages_node_at(place->page, i);
        check->marks[check->tree] += pages_value_size(node) == PAGES_MARK_SIZE;
        if (pages_get_u16(node + NODE_FLAGS) & HAS_OVERFLOW)
            see_overflows(check, node);
    }
}

static void check_from(struct check *check, const struct place *place)
{
    struct pages_damage damage;
    see(check, place->number);
    if (!pages_is_whole(check->pages, check->snapshot, place, check->tree)) {
        pages_describe(place, check->tree, &damage);
        check->tell(check->owner, &damage);
        return;
    }
    if (place->level == 1) {
        count_leaf(check, place);
        return;
    }
    for (size_t i = 0; i < pages_node_count(place->page); i++) {
        struct place next = pages_below(check->pages, check->snapshot, place, i);
        bool edge = next.first.size == 0 || next.end.size == 0;
        if (next.level == 1 && check->tree == check->sparse && !edge)
            see(check, next.number);
        else
            check_from(check, &next);
    }
}

/* A value is a count, and then as many page numbers, which descend. Marks each page as seen. */
static bool check_free_value(struct check *check, const uint8_t *value, uint64_t size,
                             uint64_t *total)
{
    if (size < sizeof(uint64_t) || size % sizeof(uint64_t) != 0)
        return false;
    uint64_t count = pages_get_u64(value);
    uint64_t before = check->snapshot->last + 1;
    if (count > size / sizeof(uint64_t) - 1)
        return false;
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t page = pages_get_u64(value + i * sizeof(uint64_t));
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
    for (size_t i = 0; i < pages_node_count(leaf->page); i++) {
        const uint8_t *node = pages_node_at(leaf->page, i);
        const uint8_t *value = node + NODE_KEY + pages_get_u16(node + NODE_KEY_SIZE);
        if (pages_get_u16(node + NODE_FLAGS) & HAS_OVERFLOW)
            value = pages_page_at(check->pages, check->snapshot, pages_get_u64(value)) + PAGE_HEAD;
        if (!check_free_value(check, value, pages_value_size(node), total))
            return false;
    }
    return true;
}

static bool check_free_from(struct check *check, const struct place *place, uint64_t *total)
{
    if (!pages_is_whole(check->pages, check->snapshot, place, PAGES_FREE))
        return false;
    see(check, place->number);
    if (place->level == 1) {
        count_leaf(check, place);
        return check_free_leaf(check, place, total);
    }
    for (size_t i = 0; i < pages_node_count(place->page); i++) {
        struct place next = pages_below(check->pages, check->snapshot, place, i);
        if (!check_free_from(check, &next, total))
            return false;
    }
    return true;
}

/* Called after the other trees were checked. */
static bool free_is_whole(struct check *check)
{
    const struct pages_snapshot *snapshot = check->snapshot;
    uint64_t total = METAS;
    check->tree = PAGES_FREE;
    check->twice = false;
    for (size_t tree = 0; tree < snapshot->count; tree++)
        total += snapshot->trees[tree].used;
    struct place root = pages_root_of(check->pages, snapshot, PAGES_FREE);
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
        struct place root = pages_root_of(pages, snapshot, tree);
        check.tree = tree;
        if (root.number != PAGES_NONE)
            check_from(&check, &root);
    }
    spn_err err = check.twice ? SPN_E_CORRUPT : SPN_OK;
    *ret_free_whole = free_is_whole(&check);
    free(check.seen);
    return err;
}

/* -- the end of the file ----------------------------------------------------------------------- */

static bool is_there(const struct pages *pages, const struct pages_snapshot *snapshot,
                     uint64_t number, uint64_t count)
{
    return number > snapshot->last || number + count <= pages->count; /* or it is damage */
}

static bool are_values_there(const struct pages *pages, const struct pages_snapshot *snapshot,
                             const uint8_t *leaf)
{
    for (size_t i = 0; i < pages_node_count(leaf); i++) {
        const uint8_t *node = pages_node_at(leaf, i);
        if (pages_get_u16(node + NODE_FLAGS) & HAS_OVERFLOW &&
            !is_there(pages, snapshot, pages_overflow_number(node),
                      pages_overflow_count(pages, node)))
            return false;
    }
    return true;
}

/* Of this page and those below it. Nothing is looked for below a damaged one. */
static bool are_all_there(const struct pages *pages, const struct pages_snapshot *snapshot,
                          const struct place *place, bool numbers)
{
    if (!is_there(pages, snapshot, place->number, 1))
        return false;
    if (!pages_nodes_are_whole(pages, place, numbers))
        return true;
    if (place->level == 1)
        return are_values_there(pages, snapshot, place->page);
    for (size_t i = 0; i < pages_node_count(place->page); i++) {
        struct place next = pages_below(pages, snapshot, place, i);
        if (!are_all_there(pages, snapshot, &next, numbers))
            return false;
    }
    return true;
}

bool pages_are_there(const struct pages *pages, const struct pages_snapshot *snapshot)
{
    if (snapshot->last < pages->count)
        return true;
    for (size_t tree = 0; tree < snapshot->count; tree++) {
        struct place root = pages_root_of(pages, snapshot, tree);
        if (root.number != PAGES_NONE &&
            !are_all_there(pages, snapshot, &root, snapshot->trees[tree].numbers))
            return false;
    }
    return true;
}
