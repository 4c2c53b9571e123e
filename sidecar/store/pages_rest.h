/* SPDX-License-Identifier: Apache-2.0 */
/* pages_rest: the values that are left in a damaged file.
 *
 * A value that the trees still lead to, through whole pages, is *reached*. The others are looked
 * for in pages to which a damaged page led: those that were damaged themselves, of which single
 * values may be whole, and those that neither a tree nor the list of free pages has. A page that is
 * free has values of an earlier time, which were deleted or replaced since, and is not looked at.
 * Where a page has another page's number, it may be that page, put in a wrong place.
 *
 * The value of meta is looked for in all pages: an earlier one has the same rules, or nearly.
 *
 * Only values with the checksum of their bytes, key and table are given; those that are not reached
 * only if their key lies where pages of their table were damaged.
 *
 * If the newest commit's meta page is damaged, the one before it is taken, and what a later commit
 * added to the log is looked for everywhere: positions above all others are never those of an
 * earlier time.
 *
 * Owns     a map of the file, and a few bits for each page.
 * Borrows  the path, during the call.
 * Lends    keys and values: until pages_rest_close.
 * Errors   SPN_E_END: there is no file. SPN_E_CORRUPT: nothing in it is a database.
 *          SPN_E_NEWER_FORMAT, SPN_E_OLDER_FORMAT. SPN_E_SYSTEM: see errno. SPN_E_NOMEM.
 * Threads  one. Nobody may write to the file.
 */
#ifndef SPN_PAGES_REST_H
#define SPN_PAGES_REST_H

#include "store/table_value.h"

struct pages_rest;

spn_err pages_rest_open(struct pages_rest **ret_rest, const char *path) SPN_MUST_USE;
void pages_rest_close(struct pages_rest *rest); /* takes NULL */

typedef spn_err pages_rest_take(void *owner, struct spn_bytes key, struct spn_bytes value);

/* Values of a table that are reached, in the order of their keys. Damaged ones are left out. */
spn_err pages_rest_reached(struct pages_rest *rest, size_t table, pages_rest_take *take,
                           void *owner) SPN_MUST_USE;
/* The others, in no order; some of them twice. */
spn_err pages_rest_found(struct pages_rest *rest, size_t table, pages_rest_take *take,
                         void *owner) SPN_MUST_USE;

/* Whether a value with this key may have been lost. */
bool pages_rest_lacks(const struct pages_rest *rest, size_t table, struct spn_bytes key);
/* Places of a table that are damaged: pages, and values. */
uint64_t pages_rest_damages(const struct pages_rest *rest, size_t table);

#endif
