/* SPDX-License-Identifier: Apache-2.0 */
/* page: events of a session, or sessions, as one JSON text or as lines of JSON.
 *
 *     {"events":[{"id":"7","type":"message","data":"hello","seq":7,"time":"2025-..."}],
 *      "next":"spn:<life>:7","closed":false,"missing":0}
 *
 * As lines each event has its line, and the last line is what stands after the array. id, type and
 * data that are not UTF-8 are base64, as id_base64, type_base64, data_base64. An event's retry is
 * there if it has one. A marker has `"marker":true` and no type and data; its id is null if it
 * leaves the id in force, and "" if it resets it.
 *
 * Borrows  the out until the end.
 * Threads  belongs to one thread.
 */
#ifndef SPN_HTTP_PAGE_H
#define SPN_HTTP_PAGE_H

#include "sponson.h"

#include "base/out.h"

enum page_format { PAGE_JSON, PAGE_LINES };

struct page {
    struct out *out;
    enum page_format format;
    bool has_items;
};

/* items: the array's name, "events" or "sessions". */
void page_begin(struct page *page, struct out *out, enum page_format format, const char *items);

void page_event(struct page *page, const struct spn_event *event);

/* A session of the list. Its keys are those of `sponson sessions --json`; numbers that are not
 * known, of a session that was given up, are null. */
void page_session(struct page *page, const struct spn_session *session);

struct page_end {
    struct spn_life life; /* with seq the cursor of the next page; zeros: null */
    uint64_t seq;
    bool closed;             /* and nothing comes after this page */
    struct spn_bytes reason; /* why it is closed; left out if empty */
    uint64_t missing;        /* events before this page's that are no longer retained */
};

void page_end_events(struct page *page, const struct page_end *end);

/* next: the name to go on after; empty: there are no more. */
void page_end_sessions(struct page *page, struct spn_bytes next);

#endif
