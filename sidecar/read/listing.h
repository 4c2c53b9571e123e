/* SPDX-License-Identifier: Apache-2.0 */
/* listing: sessions by name, a page at a time.
 *
 * Two turns with the broker. First the generations: sessions opened since the checkpoint are not
 * among the names on disk; their opening entries are in the log, and are read once for all pages.
 * Then, with the page's names, how far each of them is.
 *
 * Owns     names that were read, for a second.
 * Borrows  the reader inside its snapshot.
 * Threads  the reader's.
 */
#ifndef SPN_LISTING_H
#define SPN_LISTING_H

#include "mail/question.h"
#include "base/clock.h"
#include "read/opened_names.h"
#include "net/parcel.h"
#include "index/timeline.h"

enum {
    LISTING_PAGE_MAX = 128,
    LISTING_PARTS = 2, /* generations: the frozen one, and the active one */
};

/* Names that are not on disk yet, kept from one page to the next. */
struct listing {
    const struct clock *clock;
    struct opened_names opened[LISTING_PARTS];
    uint64_t used_ns;
};

void listing_init(struct listing *listing, const struct clock *clock);
void listing_release(struct listing *listing);
/* Forgets names that no page asked about for a second. Returns in how many ms to call again; -1:
 * never. */
long listing_tick(struct listing *listing);

/* generations: answered, with a SESSIONS request in its frame. *ret_page: the question for the
 * page's sessions. SPN_E_END: there are more names to be read than one turn may take: go on with
 * listing_come_again. SPN_E_PROTOCOL, SPN_E_NOMEM, SPN_E_CORRUPT. */
spn_err listing_page(struct listing *listing, struct journal_reader *reader,
                     const struct generations_question *generations,
                     struct session_question **ret_page) SPN_MUST_USE;
/* The same question again, whose frame it takes. SPN_E_NOMEM. */
spn_err listing_come_again(struct generations_question *generations,
                           struct generations_question **ret_again) SPN_MUST_USE;

/* What a list has of one session, and the timeline it was read from. Bytes: valid in the snapshot.
 * SPN_E_CORRUPT: the row has what could be read, and at least the name. */
spn_err listing_row(struct journal_reader *reader, const struct session_asked *session,
                    struct timeline *ret_timeline, struct wire_session_row *ret_row) SPN_MUST_USE;

/* page: the same, answered. *ret_parcel: a SESSIONS_ARE of *ret_size bytes; yours. *ret_damaged:
 * sessions of which something does not read; they are in the list. SPN_E_END: none of these names
 * is a session any more, but there are more after them: go on with listing_go_on. */
spn_err listing_rows(struct journal_reader *reader, const struct session_question *page,
                     struct parcel **ret_parcel, size_t *ret_size,
                     size_t *ret_damaged) SPN_MUST_USE;

/* For the page's request, from after its last name on: a caller goes on after a row, so that a page
 * without one would be the end of the list to it. SPN_E_NOMEM. */
spn_err listing_go_on(const struct session_question *page,
                      struct generations_question **ret_further) SPN_MUST_USE;

#endif
