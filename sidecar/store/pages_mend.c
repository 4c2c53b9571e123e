/* SPDX-License-Identifier: Apache-2.0 */
/* pages_mend: replaces a damaged leaf, and corrects counts. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "store/pages_base.h"

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
