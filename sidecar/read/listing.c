/* SPDX-License-Identifier: Apache-2.0 */
#include "read/listing.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "index/attributes.h"

enum { KEPT_MS = 1000 }; /* that names are kept for the next page */

/* The smallest names so far that fit the request, ascending. One name more than a page holds means
 * that there are more. */
struct page {
    struct spn_bytes after;
    struct spn_bytes prefix;
    size_t count_max;
    size_t count;
    size_t damaged; /* names that no session can have */
    struct {
        struct spn_bytes name; /* valid in the snapshot */
        uint64_t epoch;
    } rows[LISTING_PAGE_MAX + 1];
};

static bool has_prefix(struct spn_bytes name, struct spn_bytes prefix)
{
    return name.size >= prefix.size &&
           (prefix.size == 0 || memcmp(name.data, prefix.data, prefix.size) == 0);
}

/* A name may come twice: from the index on disk and from the log. The later epoch is the valid
 * one. */
static void offer(struct page *page, struct spn_bytes name, uint64_t epoch)
{
    if (name.size > WIRE_SESSION_MAX) {
        page->damaged++; /* its size is damaged: no session has such a name */
        return;
    }
    if (!has_prefix(name, page->prefix) || opened_names_compare(name, page->after) <= 0)
        return;
    size_t at = page->count;
    while (at > 0 && opened_names_compare(name, page->rows[at - 1].name) < 0)
        at--;
    if (at > 0 && opened_names_compare(name, page->rows[at - 1].name) == 0) {
        if (epoch > page->rows[at - 1].epoch)
            page->rows[at - 1].epoch = epoch;
        return;
    }
    if (at > page->count_max)
        return;
    if (page->count <= page->count_max)
        page->count++;
    for (size_t i = page->count - 1; i > at; i--)
        page->rows[i] = page->rows[i - 1];
    page->rows[at].name = name;
    page->rows[at].epoch = epoch;
}

/* The next name. The epoch of a damaged name is 0. */
static spn_err next_name(struct journal_reader *reader, struct spn_bytes after,
                         struct spn_bytes *ret_name, uint64_t *ret_epoch)
{
    *ret_name = (struct spn_bytes){NULL, 0};
    spn_err err = journal_read_name_after(reader, after, ret_name, ret_epoch);
    if (err != SPN_E_CORRUPT || !ret_name->data)
        return err;
    *ret_epoch = 0;
    return SPN_OK;
}

static spn_err offer_names(struct journal_reader *reader, struct page *page)
{
    /* Start right before the prefix if that comes after `after`. */
    struct spn_bytes name = page->after;
    uint64_t epoch = 0;
    if (opened_names_compare(page->prefix, page->after) > 0) {
        name = page->prefix;
        spn_err err = journal_read_name(reader, name, &epoch);
        if (err == SPN_OK || err == SPN_E_CORRUPT)
            offer(page, page->prefix, err == SPN_OK ? epoch : 0);
        else if (err != SPN_E_END)
            return err;
    }
    for (size_t i = 0; i <= page->count_max + page->damaged; i++) {
        spn_err err = next_name(reader, name, &name, &epoch);
        if (err == SPN_E_END || (err == SPN_OK && !has_prefix(name, page->prefix)))
            return SPN_OK;
        if (err != SPN_OK)
            return err;
        offer(page, name, epoch);
    }
    return SPN_OK;
}

static bool is_full(const struct page *page)
{
    return page->count > page->count_max;
}

/* Sessions opened above the snapshot's checkpoint, from where the page begins. */
static void offer_opened(struct page *page, const struct opened_names *names)
{
    bool behind_prefix = opened_names_compare(page->after, page->prefix) < 0;
    size_t i = opened_names_seek(names, behind_prefix ? page->prefix : page->after);
    for (; i < names->count; i++) {
        struct spn_bytes name = opened_names_at(names, i);
        if (opened_names_compare(name, page->after) > 0 && !has_prefix(name, page->prefix))
            return;
        if (is_full(page) && opened_names_compare(name, page->rows[page->count - 1].name) > 0)
            return;
        offer(page, name, names->sorted[i].epoch);
    }
}

/* -- names that are not on disk yet ------------------------------------------------------------ */

/* The names of this generation, as far as they were read. If it has none yet, it gets a free place,
 * or the place of a generation that the broker no longer returns. */
static struct opened_names *names_of(struct listing *listing, const struct view *generations,
                                     struct generation *generation)
{
    struct opened_names *other = NULL;
    for (size_t i = 0; i < LISTING_PARTS; i++) {
        struct generation *known = listing->opened[i].generation;
        if (known == generation)
            return &listing->opened[i];
        if (!known || (known != generations->parts[0].generation &&
                       known != generations->parts[1].generation))
            other = &listing->opened[i];
    }
    assert(other); /* two places, at most two generations */
    opened_names_begin(other, generation);
    return other;
}

static spn_err read_opened(struct listing *listing, struct journal_reader *reader,
                           const struct view *generations,
                           const struct opened_names *ret_names[LISTING_PARTS])
{
    spn_err err = SPN_OK;
    for (size_t i = 0; i < LISTING_PARTS && err == SPN_OK; i++) {
        const struct view_part *part = &generations->parts[i];
        ret_names[i] = NULL;
        if (!part->generation)
            continue;
        struct opened_names *names = names_of(listing, generations, part->generation);
        err = opened_names_read(names, reader, part->session_count);
        ret_names[i] = names;
    }
    return err;
}

static spn_err make_page(const struct page *page, const struct generations_question *from,
                         struct session_question **ret_page)
{
    size_t count = page->count < page->count_max ? page->count : page->count_max;
    struct session_question *question = session_question_new(MESSAGE_SESSION, count);
    if (!question)
        return SPN_E_NOMEM;
    if (zmq_msg_copy(&question->frame, (zmq_msg_t *)(uintptr_t)&from->frame) != 0) {
        session_question_free(question);
        return SPN_E_NOMEM;
    }
    question->asker = from->asker;
    question->more = page->count > count;
    for (size_t i = 0; i < count; i++) {
        session_question_name(question, i, page->rows[i].name);
        question->sessions[i].epoch = page->rows[i].epoch;
    }
    *ret_page = question;
    return SPN_OK;
}

/* A SESSIONS request. */
static spn_err get_request(const zmq_msg_t *frame, struct wire_header *ret_header,
                           struct wire_sessions *ret_request)
{
    struct wire_in in = wire_in(zmq_msg_data((zmq_msg_t *)(uintptr_t)frame), zmq_msg_size(frame));
    spn_err err = wire_get_header(&in, ret_header);
    wire_get_sessions(&in, ret_request);
    return err == SPN_OK && wire_in_done(&in) ? SPN_OK : SPN_E_PROTOCOL;
}

spn_err listing_page(struct listing *listing, struct journal_reader *reader,
                     const struct generations_question *generations,
                     struct session_question **ret_page, size_t *ret_damaged)
{
    const struct opened_names *names[LISTING_PARTS];
    struct wire_header header;
    struct wire_sessions request;
    listing->used_ns = listing->clock->monotonic_ns();
    *ret_damaged = 0;
    spn_err err = get_request(&generations->frame, &header, &request);
    if (err == SPN_OK)
        err = read_opened(listing, reader, &generations->view, names);
    if (err != SPN_OK)
        return err;
    struct page page = {.after = request.after, .prefix = request.prefix};
    page.count_max = request.count_max < LISTING_PAGE_MAX ? request.count_max : LISTING_PAGE_MAX;
    err = offer_names(reader, &page);
    for (size_t i = 0; i < LISTING_PARTS && err == SPN_OK; i++)
        if (names[i])
            offer_opened(&page, names[i]);
    *ret_damaged = page.damaged;
    return err == SPN_OK ? make_page(&page, generations, ret_page) : err;
}

long listing_tick(struct listing *listing)
{
    bool any = false;
    for (size_t i = 0; i < LISTING_PARTS; i++)
        any = any || listing->opened[i].generation;
    if (!any)
        return -1;
    if (listing->clock->monotonic_ns() - listing->used_ns < KEPT_MS * UINT64_C(1000000))
        return KEPT_MS;
    listing_release(listing);
    return -1;
}

void listing_init(struct listing *listing, const struct clock *clock)
{
    *listing = (struct listing){.clock = clock};
}

void listing_release(struct listing *listing)
{
    for (size_t i = 0; i < LISTING_PARTS; i++)
        opened_names_release(&listing->opened[i]);
}

/* -- rows -------------------------------------------------------------------------------------- */

spn_err listing_row(struct journal_reader *reader, const struct session_asked *session,
                    struct timeline *ret_timeline, struct wire_session_row *ret_row,
                    struct spn_bytes *ret_note)
{
    struct wire_attributes attributes;
    *ret_row = (struct wire_session_row){.name = session->name};
    spn_err err = timeline_open(ret_timeline, reader, &session->view);
    if (err == SPN_OK)
        err = attributes_read(ret_timeline, &attributes);
    if (err != SPN_OK)
        return err;
    const struct timeline *timeline = ret_timeline;
    *ret_row = (struct wire_session_row){
        .epoch = timeline->epoch,
        .life = timeline->life,
        .seq = timeline->seq_last,
        .position = timeline->position_last,
        .bytes = timeline->row.bytes,
        .markers = timeline->row.markers,
        .opened_ms = timeline->row.opened_ms,
        .last_ms = timeline->row.last_ms,
        .duplicates = timeline->row.duplicates + timeline->view->duplicates,
        .conflicts = timeline->row.conflicts + timeline->view->conflicts,
        .state = timeline->closed ? WIRE_SESSION_CLOSED : WIRE_LIVE,
        .ttl_ms = attributes.ttl_ms,
        .idle_close_ms = attributes.idle_close_ms,
        .content_type = attributes.content_type,
        .reason = timeline->reason,
        .name = session->name,
        .last_id = timeline->row.last_id,
    };
    *ret_note = attributes.note;
    struct record_entry entry;
    err = timeline->has_row ? SPN_OK : journal_read_entry(reader, timeline->epoch, &entry);
    if (err == SPN_OK && !timeline->has_row)
        ret_row->opened_ms = entry.wall_ms;
    if (err == SPN_OK || err == SPN_E_END)
        err = journal_read_entry(reader, timeline->position_last, &entry);
    if (err == SPN_OK) {
        ret_row->bytes = entry.bytes;
        ret_row->markers = entry.markers;
        ret_row->last_ms = entry.wall_ms;
        err = timeline_last_id(timeline, &entry, &ret_row->last_id);
    }
    return err == SPN_E_END ? SPN_OK
                            : err; /* the newest entry was trimmed; the row has its values */
}

static void put_rows(struct wire_out *out, const struct session_question *page, uint32_t count,
                     const struct wire_session_row *rows)
{
    wire_put_header(out, WIRE_SESSIONS_ARE, page->asker.request);
    wire_put_sessions_are(out, &(struct wire_sessions_are){.count = count, .more = page->more});
    for (uint32_t i = 0; i < count; i++)
        wire_put_session_row(out, &rows[i]);
}

spn_err listing_rows(struct journal_reader *reader, const struct session_question *page,
                     struct outgoing **ret_outgoing, size_t *ret_size, size_t *ret_damaged)
{
    struct wire_session_row *rows = calloc(page->count + 1, sizeof(*rows));
    size_t size_max = WIRE_HEADER_SIZE + 8 + page->count * WIRE_SESSION_ROW_SIZE_MAX;
    struct outgoing *outgoing = outgoing_resize(NULL, size_max);
    spn_err err = rows && outgoing ? SPN_OK : SPN_E_NOMEM;
    uint32_t count = 0;
    *ret_damaged = 0;
    for (size_t i = 0; i < page->count && err == SPN_OK; i++) {
        struct timeline timeline;
        struct spn_bytes note;
        err = listing_row(reader, &page->sessions[i], &timeline, &rows[count], &note);
        if (err == SPN_E_UNKNOWN_SESSION && page->sessions[i].epoch == 0)
            err = SPN_E_CORRUPT;    /* its name is damaged */
        if (err == SPN_E_CORRUPT) { /* the other sessions are still listed */
            rows[count].state = WIRE_SESSION_DAMAGED;
            rows[count].last_id = (struct spn_bytes){NULL, 0};
            (*ret_damaged)++;
            err = SPN_OK;
        }
        if (err == SPN_OK)
            count++;
        else if (err == SPN_E_UNKNOWN_SESSION)
            err = SPN_OK; /* deleted meanwhile, or not durable yet */
    }
    if (err == SPN_OK && count == 0 && page->more && page->count > 0) {
        err = SPN_E_END;
    } else if (err == SPN_OK) {
        struct wire_out out = wire_out(outgoing->bytes, size_max);
        put_rows(&out, page, count, rows);
        struct outgoing *fitting = outgoing_resize(outgoing, wire_out_size(&out));
        *ret_size = wire_out_size(&out);
        *ret_outgoing = fitting ? fitting : outgoing;
        outgoing = NULL;
    }
    free(rows);
    outgoing_free(outgoing);
    return err;
}

spn_err listing_come_again(struct generations_question *generations,
                           struct generations_question **ret_again)
{
    struct generations_question *again = generations_question_new(&generations->asker);
    if (!again)
        return SPN_E_NOMEM;
    zmq_msg_move(&again->frame, &generations->frame);
    *ret_again = again;
    return SPN_OK;
}

spn_err listing_go_on(const struct session_question *page,
                      struct generations_question **ret_further)
{
    uint8_t bytes[WIRE_HEADER_SIZE + 4 + 2 * (1 + WIRE_SESSION_MAX)];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    struct wire_header header;
    struct wire_sessions request;
    spn_err err = get_request(&page->frame, &header, &request);
    if (err != SPN_OK)
        return err;
    struct generations_question *further = generations_question_new(&page->asker);
    if (!further)
        return SPN_E_NOMEM;
    request.after = page->sessions[page->count - 1].name;
    wire_put_header(&out, WIRE_SESSIONS, header.request);
    wire_put_sessions(&out, &request);
    if (zmq_msg_init_size(&further->frame, wire_out_size(&out)) != 0) {
        zmq_msg_init(&further->frame);
        generations_question_free(further);
        return SPN_E_NOMEM;
    }
    memcpy(zmq_msg_data(&further->frame), bytes, wire_out_size(&out));
    *ret_further = further;
    return SPN_OK;
}
