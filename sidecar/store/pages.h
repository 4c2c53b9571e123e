/* SPDX-License-Identifier: Apache-2.0 */
/* pages: are the pages of the database's file what LMDB wrote there?
 *
 * LMDB believes its pages. It looks at a flag or two of what it reads, and a damaged header takes
 * it anywhere: 18 of 320 random bits in headers ended a reader by SIGSEGV, and 44 left events out
 * without a word. So pages are looked at before LMDB is let near them. A page that LMDB wrote names
 * its own number, its nodes fill it without a gap, and its keys ascend between those of its parent:
 * one that was damaged, zeroed or put in another's place does not.
 *
 * A damaged leaf is mended by another one with a single value that no decoder takes, so that LMDB
 * can read, write and delete around it; what was in it is lost, and for the log the value says so.
 * A damaged page of another kind is not: everything below it would be lost.
 *
 * This is the one place that knows the format of LMDB's file (version 1, of 0.9, 64 bits).
 *
 * Owns     a map of the file, for reading.
 * Borrows  the file's descriptor.
 * Units    keys are bytes; in trees of numbers eight of them, in native order.
 * Errors   SPN_E_CORRUPT; SPN_E_IO and SPN_E_SYSTEM: see errno.
 * Threads  pages_look on one object may be called by any.
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
    PAGES_FREE = 0, /* LMDB's own trees come first */
    PAGES_MAIN = 1,
};

struct pages;

struct pages_key {
    uint16_t size; /* 0: there is no such bound */
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
    uint64_t root; /* PAGES_NONE: it is empty */
    uint64_t entries;
    uint64_t used; /* pages */
    uint16_t depth;
    bool numbers;
    uint64_t record; /* where the file has this tree's record; 0: in the meta page */
};
#define PAGES_NONE UINT64_MAX

/* The trees as of one commit. */
struct pages_snapshot {
    uint64_t txnid;
    uint64_t last; /* page */
    size_t count;
    struct pages_tree trees[PAGES_TREES_MAX];
};

/* map_size: as much of the file as may ever be looked at; it may be shorter. */
spn_err pages_open(struct pages **ret_pages, int fd, size_t map_size) SPN_MUST_USE;
void pages_close(struct pages *pages); /* takes NULL */

/* How many bytes the file must have for its newest commit, as its meta pages say, and for how large
 * a map it was made. SPN_E_CORRUPT: these do not fit together. SPN_E_END: they are not LMDB's. */
spn_err pages_measure(int fd, uint64_t *ret_needed, uint64_t *ret_map) SPN_MUST_USE;

/* txnid 0: of the newest commit. SPN_E_END: its meta page was written over since.
 * SPN_E_CORRUPT: the list of trees is damaged: *ret_damage, which may be NULL, says where. */
spn_err pages_snapshot(struct pages *pages, uint64_t txnid, struct pages_snapshot *ret_snapshot,
                       struct pages_damage *ret_damage) SPN_MUST_USE;
/* SIZE_MAX: there is none of this name. */
size_t pages_find(const struct pages_snapshot *snapshot, const char *name);

/* Whether LMDB may look for the key, or for the first one that is not lower: the pages on the way,
 * and what they hold, are whole. *ret_last: the last key of that leaf (size 0: the tree is empty).
 * SPN_E_CORRUPT: *ret_damage says which page is not. */
spn_err pages_look(const struct pages *pages, const struct pages_snapshot *snapshot, size_t tree,
                   const void *key, size_t key_size, struct pages_key *ret_last,
                   struct pages_damage *ret_damage) SPN_MUST_USE;

/* Looks at all pages of all trees; of one of them, `sparse` (SIZE_MAX: of none), at the first and
 * the last leaf only. Calls tell for each damaged one. ret_entries: how many the leaves have;
 * ret_marks: those of them with a value of PAGES_MARK_SIZE, which only mending writes.
 * *ret_free_whole: the list of free pages is whole, and has none that a tree has too, where LMDB
 * would write. SPN_E_CORRUPT: a page is in two places. SPN_E_NOMEM. */
typedef void pages_tell(void *owner, const struct pages_damage *damage);
spn_err pages_check(const struct pages *pages, const struct pages_snapshot *snapshot, size_t sparse,
                    pages_tell *tell, void *owner, uint64_t ret_entries[PAGES_TREES_MAX],
                    uint64_t ret_marks[PAGES_TREES_MAX], bool *ret_free_whole) SPN_MUST_USE;

/* Puts a leaf with this one value in the place of a damaged one. Takes effect at once. */
spn_err pages_mend(const struct pages *pages, const struct pages_damage *damage,
                   const struct pages_key *key, struct spn_bytes value) SPN_MUST_USE;
/* Corrects what the file says of a tree: how many entries it has. */
spn_err pages_mend_count(const struct pages *pages, const struct pages_tree *tree,
                         uint64_t entries) SPN_MUST_USE;
/* Forgets the list of free pages: they are not used again. */
spn_err pages_mend_free(const struct pages *pages,
                        const struct pages_snapshot *snapshot) SPN_MUST_USE;

#endif
