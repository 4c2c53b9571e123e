/* SPDX-License-Identifier: Apache-2.0 */
/* pages: are the pages of the database's file what LMDB wrote there?
 *
 * LMDB trusts its pages. It checks only a flag or two of what it reads, and a damaged header can
 * lead it anywhere: 18 of 320 random bits in headers ended a reader by SIGSEGV, and 44 left events
 * out silently. So pages are checked before LMDB reads them. A page that LMDB wrote has its own
 * number in it, its nodes fill it without a gap, and its keys ascend between those of its parent. A
 * page that was damaged, zeroed or put in another's place fails this check.
 *
 * A damaged leaf is mended: another leaf takes its place, with a single value that no decoder
 * accepts, so that LMDB can read, write and delete around it. The old content is lost; in the log,
 * the value records that. A damaged page of another kind is not mended: everything below it would
 * be lost.
 *
 * This is the one place that knows the format of LMDB's file (version 1, of 0.9, 64 bits).
 *
 * Owns     a map of the file, for reading.
 * Borrows  the file's descriptor.
 * Units    keys are bytes; in trees of numbers eight of them, in native order.
 * Errors   SPN_E_CORRUPT; SPN_E_IO and SPN_E_SYSTEM: see errno.
 * Threads  any may call pages_look and pages_snapshot on one object.
 */
#ifndef SPN_PAGES_H
#define SPN_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "spn_err.h"

enum {
    PAGES_TREES_MAX = 16,
    PAGES_KEY_MAX = 511,
    PAGES_MARK_SIZE = 1,
    PAGES_META_SIZE = 152,   /* of what a meta page has */
    PAGES_FREE_FLAGS = 0x08, /* of the tree of free pages, always */
    PAGES_FREE = 0,          /* LMDB's own trees come first */
    PAGES_MAIN = 1,
};

struct pages;

struct pages_key {
    uint16_t size; /* 0: no bound */
    uint8_t bytes[PAGES_KEY_MAX];
};

/* A damaged page, and the keys that may have been below it: from `first` on, below `end`. */
struct pages_damage {
    size_t tree;
    uint64_t page;
    bool leaf;
    struct pages_key first;
    struct pages_key end;
};

struct pages_tree {
    char name[16];
    uint64_t root; /* PAGES_NONE: the tree is empty */
    uint64_t entries;
    uint64_t used; /* pages */
    uint16_t depth;
    uint16_t flags;  /* LMDB's */
    bool numbers;    /* one of them: keys are numbers */
    uint64_t record; /* offset of this tree's record in the file; 0: it is in the meta page */
};
#define PAGES_NONE UINT64_MAX

/* The trees as of one commit. */
struct pages_snapshot {
    uint64_t txnid;
    uint64_t last; /* page */
    size_t count;
    struct pages_tree trees[PAGES_TREES_MAX];
    uint8_t meta[PAGES_META_SIZE]; /* the meta page, as it was read */
};

/* map_size: the most of the file that may ever be read; the file may be shorter. SPN_E_CORRUPT: the
 * first two pages are not those of LMDB, or are not in the map. */
spn_err pages_open(struct pages **ret_pages, int fd, size_t map_size) SPN_MUST_USE;
void pages_close(struct pages *pages); /* takes NULL */
/* Has pages_check call went_on now and then while it makes progress. */
void pages_on_progress(struct pages *pages, void (*went_on)(void *context), void *context);

/* How many bytes the file must have for its newest commit, and for how large a map it was made;
 * both from its meta pages. SPN_E_CORRUPT: the meta pages do not fit together. SPN_E_END: they are
 * not LMDB's. */
spn_err pages_measure(int fd, uint64_t *ret_needed, uint64_t *ret_map) SPN_MUST_USE;

/* The trees as of commit txnid; 0: of the newest commit. SPN_E_END: the commit's meta page was
 * overwritten since. SPN_E_CORRUPT: the list of trees is damaged; *ret_damage (may be NULL) is the
 * damaged page. */
spn_err pages_snapshot(struct pages *pages, uint64_t txnid, struct pages_snapshot *ret_snapshot,
                       struct pages_damage *ret_damage) SPN_MUST_USE;
/* Whether two commits have the same trees. */
bool pages_same_trees(const struct pages_snapshot *a, const struct pages_snapshot *b);
/* SIZE_MAX: no tree has this name. */
size_t pages_find(const struct pages_snapshot *snapshot, const char *name);

/* Whether LMDB may look for the key, or for the first key that is not lower: the pages on the way,
 * and their contents, are whole. *ret_last: the last key of that leaf (size 0: the tree is empty).
 * SPN_E_CORRUPT: *ret_damage is the page that is not whole. */
spn_err pages_look(const struct pages *pages, const struct pages_snapshot *snapshot, size_t tree,
                   const void *key, size_t key_size, struct pages_key *ret_last,
                   struct pages_damage *ret_damage) SPN_MUST_USE;

/* Checks all pages of all trees. Of the leaves of one tree, `sparse` (SIZE_MAX: of none), it checks
 * only the first and the last. Calls tell for each damaged page. ret_entries: how many entries the
 * leaves of each tree have. ret_marks: how many of these have a value of PAGES_MARK_SIZE, which
 * only mending writes. *ret_free_whole: the list of free pages is whole, and has no page that a
 * tree has too, where LMDB would write. SPN_E_CORRUPT: a page is in two places. SPN_E_NOMEM. */
typedef void pages_tell(void *owner, const struct pages_damage *damage);
spn_err pages_check(const struct pages *pages, const struct pages_snapshot *snapshot, size_t sparse,
                    pages_tell *tell, void *owner, uint64_t ret_entries[PAGES_TREES_MAX],
                    uint64_t ret_marks[PAGES_TREES_MAX], bool *ret_free_whole) SPN_MUST_USE;

/* How large the file is that the newest commit needs, and the map for which it was made: both may
 * grow while a snapshot is read. Costs nothing. */
void pages_now(const struct pages *pages, uint64_t *ret_needed, uint64_t *ret_map);
size_t pages_size(const struct pages *pages); /* of one page */
/* How many bytes of the file are in use; compact: without those of the list of free pages. */
uint64_t pages_used_bytes(const struct pages *pages, const struct pages_snapshot *snapshot,
                          bool compact);

/* -- every value, without LMDB (pages_walk.c) -------------------------------------------------- */

struct pages_walk {
    /* A value of a whole leaf. Valid as long as the snapshot. Another result than SPN_OK ends the
     * walk. */
    spn_err (*take)(void *owner, uint64_t page, struct spn_bytes key, struct spn_bytes value);
    pages_tell *tell; /* of a damaged page: nothing below it is given; may be NULL */
    void *owner;
    uint8_t *seen; /* a bit for each page up to snapshot->last, set for those that it met, with the
                    * pages of large values; may be NULL */
};

/* Gives all values of a tree in the order of their keys. */
spn_err pages_walk(const struct pages *pages, const struct pages_snapshot *snapshot, size_t tree,
                   const struct pages_walk *walk) SPN_MUST_USE;

/* The list of free pages has those that each commit freed, under its number: the highest of these
 * numbers. A commit that freed something has its own there. 0: the list is empty, or damaged. */
uint64_t pages_freed_last(const struct pages *pages, const struct pages_snapshot *snapshot);

/* -- copying a snapshot (pages_copy.c) --------------------------------------------------------- */

struct pages_copy {
    bool compact; /* without free pages: all pages get new places; else each stays in its own */
    /* Writes `size` bytes at this offset. Another result than SPN_OK ends the copy. */
    spn_err (*write)(void *owner, uint64_t offset, const void *bytes, size_t size);
    void *owner;
};

/* Copies the pages that are in use, each of them checked, and then two meta pages. Free pages are
 * not written. *ret_size: that the copy must have. SPN_E_CORRUPT: *ret_damage is the page that is
 * not whole. */
spn_err pages_copy(const struct pages *pages, const struct pages_snapshot *snapshot,
                   const struct pages_copy *copy, uint64_t *ret_size,
                   struct pages_damage *ret_damage) SPN_MUST_USE;

/* Whether the file has all pages of all trees. LMDB does not write a page that is free again when
 * its transaction ends, and the file may end before such pages. Reads all pages, unless the file
 * has the last one. */
bool pages_are_there(const struct pages *pages, const struct pages_snapshot *snapshot);

/* Replaces a damaged leaf by one with this single value. Takes effect at once. */
spn_err pages_mend(const struct pages *pages, const struct pages_damage *damage,
                   const struct pages_key *key, struct spn_bytes value) SPN_MUST_USE;
/* Corrects the number of entries that the file records for a tree. */
spn_err pages_mend_count(const struct pages *pages, const struct pages_tree *tree,
                         uint64_t entries) SPN_MUST_USE;
/* Empties the list of free pages: they are not used again. */
spn_err pages_mend_free(const struct pages *pages,
                        const struct pages_snapshot *snapshot) SPN_MUST_USE;

#endif
