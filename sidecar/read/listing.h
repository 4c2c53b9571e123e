/* SPDX-License-Identifier: Apache-2.0 */
/* listing: sessions by name, a page at a time.
 *
 * A page takes two questions to the broker. The first returns the generations: sessions opened
 * since the checkpoint are not among the names on disk. Their opening entries are in the log and
 * are read once for all pages. The second has the page's names and returns how far each session is.
 *
 * Owns     names that were read, until they are unused for a second.
 * Borrows  the reader inside its snapshot.
 * Threads  the reader's.
 */
#ifndef SPN_LISTING_H
#define SPN_LISTING_H

#include "mail/question.h"
#include "base/clock.h"
#include "read/opened_names.h"
#include "net/outgoing.h"
#include "index/timeline.h"

enum {
    LISTING_PAGE_MAX = 128,
    LISTING_PARTS = 2, /* generations: the frozen one, and the active one */
};

/* Names that are not in the index on disk yet, kept from one page to the next. */
struct listing {
    const struct clock *clock;
    struct opened_names opened[LISTING_PARTS];
    uint64_t used_ns;
};

void listing_init(struct listing *listing, const struct clock *clock);
void listing_release(struct listing *listing);
/* Drops names that no page needed for a second. Returns in how many ms to call again; -1: never. */
long listing_tick(struct listing *listing);

/* generations: answered by the broker, with a SESSIONS request in its frame. *ret_page: the
 * question for the page's sessions. SPN_E_END: there are more names to read than one turn may take;
 * continue with listing_come_again. *ret_damaged: names that are left out, because they are too
 * long to be a session's. SPN_E_PROTOCOL, SPN_E_NOMEM, SPN_E_CORRUPT. */
spn_err listing_page(struct listing *listing, struct journal_reader *reader,
                     const struct generations_question *generations,
                     struct session_question **ret_page, size_t *ret_damaged) SPN_MUST_USE;
/* Makes the same question again, and takes over the frame of the old one. SPN_E_NOMEM. */
spn_err listing_come_again(struct generations_question *generations,
                           struct generations_question **ret_again) SPN_MUST_USE;

/* Reads the row that a list shows for one session. *ret_timeline: the timeline it was read from.
 * Bytes: valid in the snapshot. SPN_E_CORRUPT: the row has the fields that could be read, at least
 * the name. */
spn_err listing_row(struct journal_reader *reader, const struct session_asked *session,
                    struct timeline *ret_timeline, struct wire_session_row *ret_row,
                    struct spn_bytes *ret_note) SPN_MUST_USE;

/* page: the question from listing_page, answered by the broker. *ret_outgoing: a SESSIONS_ARE of
 * *ret_size bytes; yours. *ret_damaged: the number of sessions with unreadable data; they are in
 * the list. SPN_E_END: none of these names is a session any more, but there are more names after
 * them; continue with listing_go_on. */
spn_err listing_rows(struct journal_reader *reader, const struct session_question *page,
                     struct outgoing **ret_outgoing, size_t *ret_size,
                     size_t *ret_damaged) SPN_MUST_USE;

/* Makes the question for the names after the page's last one. It is needed because a client
 * continues after the last row of a page, and so takes a page without rows for the end of the list.
 * SPN_E_NOMEM. */
spn_err listing_go_on(const struct session_question *page,
                      struct generations_question **ret_further) SPN_MUST_USE;

#endif
