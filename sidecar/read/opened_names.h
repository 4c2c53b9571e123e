/* SPDX-License-Identifier: Apache-2.0 */
/* opened_names: which names did a generation open, in order?
 *
 * A generation knows its sessions by slot. Their names are only in their opening entries. The list
 * of sessions is requested a page at a time, so the opening entries are read once, not for each
 * page. Sessions that the generation got since then are merged in. Costs 16 bytes and the name for
 * each session.
 *
 * Owns     the names, a reference to the generation.
 * Lends    names: valid until the next opened_names_read or _release.
 * Threads  the reader's.
 */
#ifndef SPN_OPENED_NAMES_H
#define SPN_OPENED_NAMES_H

#include "index/generation.h"
#include "store/journal.h"

enum { OPENED_NAMES_AT_A_TIME = 8192 }; /* records read by one call: some milliseconds */

struct opened_name {
    uint64_t epoch;
    uint32_t at; /* offset of its size byte in texts; the name follows */
};

struct opened_names {
    struct generation *generation; /* NULL: none */
    uint32_t seen;                 /* records that were read */
    struct opened_name *sorted;
    size_t count;
    size_t room;
    uint8_t *texts;
    size_t texts_size;
    size_t texts_room;
};

/* Starts an empty list for this generation. A zeroed struct has no generation. */
void opened_names_begin(struct opened_names *names, struct generation *generation);
void opened_names_release(struct opened_names *names);

/* Goes through the generation's first session_count records, as far as the snapshot has their
 * entries, and reads the names of sessions opened above the checkpoint. SPN_E_END: there are more,
 * call again. SPN_E_NOMEM; errors of reading. */
spn_err opened_names_read(struct opened_names *names, struct journal_reader *reader,
                          uint32_t session_count) SPN_MUST_USE;

struct spn_bytes opened_names_at(const struct opened_names *names, size_t i);
/* The index of the first name that is not less than this one. */
size_t opened_names_seek(const struct opened_names *names, struct spn_bytes name);

/* Compares names as bytes. */
int opened_names_compare(struct spn_bytes a, struct spn_bytes b);

#endif
