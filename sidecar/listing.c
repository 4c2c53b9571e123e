/* SPDX-License-Identifier: Apache-2.0 */
#include "listing.h"

#include <stdlib.h>
#include <string.h>

#include "timeline.h"

/* The smallest names so far that fit the request, ascending. One more than a page holds says that
 * there is more. */
struct page {
    struct spn_bytes after;
    struct spn_bytes prefix;
    size_t count_max;
    size_t count;
    struct {
        struct spn_bytes name; /* valid in the snapshot */
        uint64_t epoch;
    } rows[LISTING_PAGE_MAX + 1];
};

static int compare(struct spn_bytes a, struct spn_bytes b)
{
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter > 0 ? memcmp(a.data, b.data, shorter) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static bool has_prefix(struct spn_bytes name, struct spn_bytes prefix)
{
    return name.size >= prefix.size &&
           (prefix.size == 0 || memcmp(name.data, prefix.data, prefix.size) == 0);
}

/* A name may come twice: from disk and from the log. The later epoch is its life. */
static void offer(struct page *page, struct spn_bytes name, uint64_t epoch)
{
    if (!has_prefix(name, page->prefix) || compare(name, page->after) <= 0)
        return;
    size_t at = page->count;
    while (at > 0 && compare(name, page->rows[at - 1].name) < 0)
        at--;
    if (at > 0 && compare(name, page->rows[at - 1].name) == 0) {
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

static spn_err offer_names(struct journal_reader *reader, struct page *page)
{
    /* Start right before the prefix, when that is further on than `after`. */
    struct spn_bytes name = page->after;
    uint64_t epoch;
    if (compare(page->prefix, page->after) > 0) {
        name = page->prefix;
        spn_err err = journal_read_name(reader, name, &epoch);
        if (err == SPN_OK)
            offer(page, page->prefix, epoch);
        else if (err != SPN_E_END)
            return err;
    }
    for (size_t i = 0; i <= page->count_max; i++) {
        spn_err err = journal_read_name_after(reader, name, &name, &epoch);
        if (err == SPN_E_END || (err == SPN_OK && !has_prefix(name, page->prefix)))
            return SPN_OK;
        if (err != SPN_OK)
            return err;
        offer(page, name, epoch);
    }
    return SPN_OK;
}

/* Sessions opened above the snapshot's checkpoint, from their opening entries. */
static spn_err offer_opened(struct journal_reader *reader, struct page *page,
                            const struct view_part *part)
{
    uint64_t checkpoint = journal_reader_meta(reader)->checkpoint;
    for (uint32_t i = 0; i < part->session_count; i++) {
        uint64_t epoch = part->generation->sessions[i].epoch;
        if (epoch <= checkpoint || epoch > journal_reader_newest(reader))
            continue;
        struct record_entry open;
        spn_err err = journal_read_entry(reader, epoch, &open);
        if (err == SPN_E_END)
            continue;
        if (err != SPN_OK)
            return err;
        offer(page, open.data, epoch);
    }
    return SPN_OK;
}

static spn_err make_page(const struct page *page, const struct ask *from, struct ask **ret_page)
{
    size_t count = page->count < page->count_max ? page->count : page->count_max;
    struct ask *ask = ask_new(ASK_VIEW, count);
    if (!ask)
        return SPN_E_NOMEM;
    if (zmq_msg_copy(&ask->frame, (zmq_msg_t *)(uintptr_t)&from->frame) != 0) {
        ask_free(ask);
        return SPN_E_NOMEM;
    }
    ask->peer = from->peer;
    ask->request = from->request;
    ask->type = from->type;
    ask->more = page->count > count;
    for (size_t i = 0; i < count; i++) {
        ask_name(ask, i, page->rows[i].name);
        ask->sessions[i].epoch = page->rows[i].epoch;
    }
    *ret_page = ask;
    return SPN_OK;
}

/* The SESSIONS request in the ask's frame. */
static spn_err get_request(const struct ask *ask, struct wire_header *ret_header,
                           struct wire_sessions *ret_request)
{
    zmq_msg_t *frame = (zmq_msg_t *)(uintptr_t)&ask->frame;
    struct wire_in in = wire_in(zmq_msg_data(frame), zmq_msg_size(frame));
    spn_err err = wire_get_header(&in, ret_header);
    wire_get_sessions(&in, ret_request);
    return err == SPN_OK && wire_in_done(&in) ? SPN_OK : SPN_E_PROTOCOL;
}

spn_err listing_page(struct journal_reader *reader, const struct ask *generations,
                     struct ask **ret_page)
{
    struct wire_header header;
    struct wire_sessions request;
    spn_err err = get_request(generations, &header, &request);
    if (err != SPN_OK)
        return err;
    struct page page = {.after = request.after, .prefix = request.prefix};
    page.count_max = request.count_max < LISTING_PAGE_MAX ? request.count_max : LISTING_PAGE_MAX;
    err = offer_names(reader, &page);
    for (size_t i = 0; i < 2 && err == SPN_OK; i++)
        if (generations->generations.parts[i].generation)
            err = offer_opened(reader, &page, &generations->generations.parts[i]);
    return err == SPN_OK ? make_page(&page, generations, ret_page) : err;
}

/* -- rows -------------------------------------------------------------------------------------- */

spn_err listing_row(struct journal_reader *reader, const struct ask_session *session,
                    struct timeline *ret_timeline, struct wire_session_row *ret_row)
{
    spn_err err = timeline_open(ret_timeline, reader, &session->view);
    if (err != SPN_OK)
        return err;
    const struct timeline *timeline = ret_timeline;
    *ret_row = (struct wire_session_row){
        .epoch = timeline->epoch,
        .seq = timeline->seq_last,
        .position = timeline->position_last,
        .bytes = timeline->row.bytes,
        .markers = timeline->row.markers,
        .opened_ms = timeline->row.opened_ms,
        .last_ms = timeline->row.last_ms,
        .duplicates = timeline->row.duplicates + timeline->view->duplicates,
        .conflicts = timeline->row.conflicts + timeline->view->conflicts,
        .state = timeline->closed ? WIRE_SESSION_CLOSED : WIRE_LIVE,
        .name = session->name,
        .last_id = timeline->row.last_id,
    };
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
    return err == SPN_E_END ? SPN_OK : err; /* trimmed: the row has it */
}

static void put_rows(struct wire_out *out, const struct ask *page, uint32_t count,
                     const struct wire_session_row *rows)
{
    wire_put_header(out, WIRE_SESSIONS_ARE, page->request);
    wire_put_sessions_are(out, &(struct wire_sessions_are){.count = count, .more = page->more});
    for (uint32_t i = 0; i < count; i++)
        wire_put_session_row(out, &rows[i]);
}

spn_err listing_rows(struct journal_reader *reader, const struct ask *page,
                     struct parcel **ret_parcel, size_t *ret_size)
{
    struct wire_session_row *rows = calloc(page->session_count + 1, sizeof(*rows));
    size_t size_max = WIRE_HEADER_SIZE + 8 + page->session_count * WIRE_SESSION_ROW_SIZE_MAX;
    struct parcel *parcel = parcel_resize(NULL, size_max);
    spn_err err = rows && parcel ? SPN_OK : SPN_E_NOMEM;
    uint32_t count = 0;
    for (size_t i = 0; i < page->session_count && err == SPN_OK; i++) {
        struct timeline timeline;
        err = listing_row(reader, &page->sessions[i], &timeline, &rows[count]);
        if (err == SPN_OK)
            count++;
        else if (err == SPN_E_UNKNOWN_SESSION)
            err = SPN_OK; /* gone meanwhile, or not durable yet */
    }
    if (err == SPN_OK && count == 0 && page->more && page->session_count > 0) {
        err = SPN_E_END;
    } else if (err == SPN_OK) {
        struct wire_out out = wire_out(parcel->bytes, size_max);
        put_rows(&out, page, count, rows);
        struct parcel *fitting = parcel_resize(parcel, wire_out_size(&out));
        *ret_size = wire_out_size(&out);
        *ret_parcel = fitting ? fitting : parcel;
        parcel = NULL;
    }
    free(rows);
    parcel_free(parcel);
    return err;
}

spn_err listing_go_on(const struct ask *page, struct ask **ret_generations)
{
    struct wire_header header;
    struct wire_sessions request;
    spn_err err = get_request(page, &header, &request);
    struct ask *ask = err == SPN_OK ? ask_new(ASK_GENERATIONS, 0) : NULL;
    if (!ask)
        return err == SPN_OK ? SPN_E_NOMEM : err;
    uint8_t bytes[WIRE_HEADER_SIZE + 4 + 2 * (1 + WIRE_SESSION_MAX)];
    struct wire_out out = wire_out(bytes, sizeof(bytes));
    request.after = page->sessions[page->session_count - 1].name;
    wire_put_header(&out, WIRE_SESSIONS, header.request);
    wire_put_sessions(&out, &request);
    ask->peer = page->peer;
    ask->request = page->request;
    ask->type = page->type;
    if (zmq_msg_init_size(&ask->frame, wire_out_size(&out)) != 0) {
        zmq_msg_init(&ask->frame);
        ask_free(ask);
        return SPN_E_NOMEM;
    }
    memcpy(zmq_msg_data(&ask->frame), bytes, wire_out_size(&out));
    *ret_generations = ask;
    return SPN_OK;
}
