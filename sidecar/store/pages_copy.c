/* SPDX-License-Identifier: Apache-2.0 */
/* pages_copy: copies the pages of a snapshot, each of them checked.
 *
 * A page is written after the pages below it, since a compact copy gives them new numbers, which
 * the page has. Both meta pages of the copy name the same trees: there is no earlier commit.
 */
#include "store/pages_base.h"

struct copier {
    const struct pages *pages;
    const struct pages_snapshot *snapshot;
    const struct pages_copy *copy;
    uint64_t next; /* page, of a compact copy */
    struct pages_damage *damage;
};

static spn_err copy_from(struct copier *copier, const struct place *place, size_t tree,
                         uint64_t *ret_number);

static void put_u64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

static uint64_t take_numbers(struct copier *copier, uint64_t number, uint64_t count)
{
    uint64_t taken = copier->copy->compact ? copier->next : number;
    copier->next += count;
    return taken;
}

static spn_err write_page(struct copier *copier, uint64_t number, uint8_t *page)
{
    size_t size = copier->pages->page_size;
    put_u64(page + PAGE_NUMBER, number);
    return copier->copy->write(copier->copy->owner, number * size, page, size);
}

/* The pages of a large value: only the first one has a head. The node gets their new number. */
static spn_err copy_overflow(struct copier *copier, uint8_t *node)
{
    const struct pages *pages = copier->pages;
    const struct pages_copy *copy = copier->copy;
    uint8_t head[PAGE_HEAD];
    uint64_t count = pages_overflow_count(pages, node);
    const uint8_t *page = pages_page_at(pages, copier->snapshot, pages_overflow_number(node));
    uint64_t number = take_numbers(copier, pages_overflow_number(node), count);
    uint64_t at = number * pages->page_size;
    memcpy(head, page, sizeof(head));
    put_u64(head + PAGE_NUMBER, number);
    put_u64(node + NODE_KEY + pages_get_u16(node + NODE_KEY_SIZE), number);
    spn_err err = copy->write(copy->owner, at, head, sizeof(head));
    return err == SPN_OK ? copy->write(copy->owner, at + sizeof(head), page + sizeof(head),
                                       count * pages->page_size - sizeof(head))
                         : err;
}

/* The tree whose record the node at this offset of the list of tables has. */
static spn_err copy_tree(struct copier *copier, uint64_t offset, uint8_t *node)
{
    const struct pages_snapshot *snapshot = copier->snapshot;
    size_t at = NODE_KEY + (size_t)pages_get_u16(node + NODE_KEY_SIZE);
    uint64_t record = offset + at;
    for (size_t tree = PAGES_MAIN + 1; tree < snapshot->count; tree++) {
        if (snapshot->trees[tree].record != record)
            continue;
        struct place root = pages_root_of(copier->pages, snapshot, tree);
        uint64_t number = PAGES_NONE;
        spn_err err = root.number == PAGES_NONE ? SPN_OK : copy_from(copier, &root, tree, &number);
        put_u64(node + at + DB_ROOT, number);
        return err;
    }
    return SPN_E_CORRUPT; /* a table of another program */
}

static spn_err copy_leaf(struct copier *copier, const struct place *leaf, uint8_t *page)
{
    spn_err err = SPN_OK;
    for (size_t i = 0; i < pages_node_count(leaf->page) && err == SPN_OK; i++) {
        size_t at = (size_t)(pages_node_at(leaf->page, i) - leaf->page);
        uint8_t *node = page + at;
        unsigned flags = pages_get_u16(node + NODE_FLAGS);
        if (flags & HAS_OVERFLOW)
            err = copy_overflow(copier, node);
        else if (flags & HAS_TREE)
            err = copy_tree(copier, leaf->number * copier->pages->page_size + at, node);
    }
    return err;
}

static void put_child(uint8_t *node, uint64_t number)
{
    const uint16_t parts[] = {(uint16_t)number, (uint16_t)(number >> 16), (uint16_t)(number >> 32)};
    memcpy(node + NODE_LOW, parts, sizeof(parts));
}

static spn_err copy_branch(struct copier *copier, const struct place *branch, size_t tree,
                           uint8_t *page)
{
    spn_err err = SPN_OK;
    for (size_t i = 0; i < pages_node_count(branch->page) && err == SPN_OK; i++) {
        struct place next = pages_below(copier->pages, copier->snapshot, branch, i);
        uint64_t number = next.number;
        err = copy_from(copier, &next, tree, &number);
        put_child(page + (pages_node_at(branch->page, i) - branch->page), number);
    }
    return err;
}

/* Whoever holds the commit may let it go meanwhile, and make nothing of the copy. So what is
 * checked is what is read. */
static spn_err copy_from(struct copier *copier, const struct place *there, size_t tree,
                         uint64_t *ret_number)
{
    uint8_t page[PAGE_SIZE_MAX], original[PAGE_SIZE_MAX];
    struct place place = *there;
    bool whole = there->page != NULL;
    if (whole) {
        memcpy(original, there->page, copier->pages->page_size);
        place.page = original;
        whole = pages_is_whole(copier->pages, copier->snapshot, &place, tree);
    }
    if (!whole) {
        pages_describe(&place, tree, copier->damage);
        return SPN_E_CORRUPT;
    }
    size_t lower = pages_get_u16(original + PAGE_LOWER);
    memcpy(page, original, copier->pages->page_size);
    memset(page + lower, 0, pages_get_u16(page + PAGE_UPPER) - lower); /* of what was deleted */
    spn_err err = place.level == 1 ? copy_leaf(copier, &place, page)
                                   : copy_branch(copier, &place, tree, page);
    if (err != SPN_OK)
        return err;
    *ret_number = take_numbers(copier, place.number, 1);
    return write_page(copier, *ret_number, page);
}

/* The free pages that the copy has: none, if it is compact. */
static spn_err copy_free(struct copier *copier, uint8_t *meta)
{
    struct place root = pages_root_of(copier->pages, copier->snapshot, PAGES_FREE);
    uint64_t number;
    if (!copier->copy->compact)
        return root.number == PAGES_NONE ? SPN_OK : copy_from(copier, &root, PAGES_FREE, &number);
    memset(meta + META_TREES + DB_DEPTH, 0, DB_SIZE - DB_DEPTH);
    put_u64(meta + META_TREES + DB_ROOT, PAGES_NONE);
    return SPN_OK;
}

static spn_err write_metas(struct copier *copier, const uint8_t *meta)
{
    uint64_t txnid = copier->snapshot->txnid;
    spn_err err = SPN_OK;
    for (uint64_t i = 0; i < METAS && err == SPN_OK; i++) {
        uint8_t page[PAGE_SIZE_MAX] = {0};
        bool newest = txnid % METAS == i;
        memcpy(page, meta, META_END);
        put_u64(page + META_TXNID, newest || txnid == 0 ? txnid : txnid - 1);
        err = write_page(copier, i, page);
    }
    return err;
}

spn_err pages_copy(const struct pages *pages, const struct pages_snapshot *snapshot,
                   const struct pages_copy *copy, uint64_t *ret_size,
                   struct pages_damage *ret_damage)
{
    struct copier copier = {
        .pages = pages, .snapshot = snapshot, .copy = copy, .next = METAS, .damage = ret_damage};
    uint8_t meta[META_END];
    struct place root = pages_root_of(pages, snapshot, PAGES_MAIN);
    uint64_t number = PAGES_NONE;
    memcpy(meta, snapshot->meta, sizeof(meta));
    spn_err err =
        root.number == PAGES_NONE ? SPN_OK : copy_from(&copier, &root, PAGES_MAIN, &number);
    if (err == SPN_OK)
        err = copy_free(&copier, meta);
    uint64_t last = copy->compact ? copier.next - 1 : snapshot->last;
    put_u64(meta + META_TREES + DB_SIZE + DB_ROOT, number);
    put_u64(meta + META_LAST, last);
    *ret_size = (last + 1) * pages->page_size;
    return err == SPN_OK ? write_metas(&copier, meta) : err;
}
