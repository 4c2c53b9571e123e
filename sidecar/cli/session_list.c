/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session_list.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cli/log_walk.h"
#include "cli/session_pick.h"
#include "base/slot_index.h"
#include "base/text.h"
#include "index/attributes.h"
#include "wire.h"

enum { PAGE_ROWS = 256 };

/* A session with its texts, from a row or from the log. */
struct known {
    struct spn_session session; /* its texts point into text */
    bool gone;                  /* deleted or expired */
    char *text;                 /* NULL: there are no texts */
};

struct session_list {
    struct journal_reader *reader;
    uint8_t prefix_size;
    char prefix[WIRE_SESSION_MAX];

    /* Sessions touched since the checkpoint: found by epoch while the log is read, later sorted by
     * name.
     */
    struct known *touched;
    size_t touched_count;
    size_t touched_capacity;
    size_t touched_next;
    struct slot_index by_epoch;
    uint64_t damaged;

    struct known page[PAGE_ROWS];
    size_t page_count;
    size_t page_next;
    uint8_t after_size; /* the name of the last row read */
    char after[WIRE_SESSION_MAX];
    bool began;
    bool rows_end;
};

/* -- one session ------------------------------------------------------------------------------- */

static void known_release(struct known *known)
{
    free(known->text);
    *known = (struct known){0};
}

/* Only its name is known. */
static spn_err known_set_damaged(struct known *known, uint64_t epoch, struct spn_bytes name)
{
    known->gone = false;
    known->session = (struct spn_session){.epoch = epoch, .state = SPN_DAMAGED, .name = name};
    return session_keep_texts(&known->session, &known->text);
}

/* What is damaged of the attributes counts as none, as for a sidecar. */
static spn_err read_content_type(struct session_list *list, uint64_t epoch,
                                 struct spn_bytes *ret_type)
{
    struct record_attributes attributes;
    spn_err err = journal_read_attributes(list->reader, epoch, &attributes);
    if (err == SPN_OK)
        *ret_type = attributes.content_type;
    return err == SPN_E_END || err == SPN_E_CORRUPT ? SPN_OK : err;
}

static spn_err known_set_row(struct session_list *list, struct known *known, uint64_t epoch,
                             const struct record_row *row)
{
    if (row->state == RECORD_DAMAGED)
        return known_set_damaged(known, epoch, row->name);
    struct spn_bytes content_type = {NULL, 0};
    spn_err err = row->has_attributes ? read_content_type(list, epoch, &content_type) : SPN_OK;
    if (err != SPN_OK)
        return err;
    known->gone = row->state == RECORD_DELETED;
    known->session = (struct spn_session){
        .name = row->name,
        .last_id = row->last_id,
        .life = row->life,
        .epoch = epoch,
        .seq = row->seq,
        .markers = row->markers,
        .position = row->position,
        .bytes = row->bytes,
        .opened_ms = row->opened_ms,
        .last_ms = row->last_ms,
        .duplicates = row->duplicates,
        .conflicts = row->conflicts,
        .state = row->state == RECORD_CLOSED ? SPN_CLOSED : SPN_LIVE,
        .reason = row->reason,
        .content_type = content_type,
        .ttl_ms = row->ttl_ms,
        .idle_close_ms = row->idle_close_ms,
    };
    return session_keep_texts(&known->session, &known->text);
}

/* Orders by name, then epoch, then position. Of one name, the latest epoch counts, and of that the
 * newer report. */
static int compare_known(const void *left, const void *right)
{
    const struct known *a = left;
    const struct known *b = right;
    int order = text_compare(a->session.name, b->session.name);
    if (order != 0)
        return order;
    if (a->session.epoch != b->session.epoch)
        return a->session.epoch < b->session.epoch ? -1 : 1;
    return (a->session.position > b->session.position) -
           (a->session.position < b->session.position);
}

static bool has_prefix(const struct session_list *list, struct spn_bytes name)
{
    return name.size >= list->prefix_size &&
           memcmp(name.data, list->prefix, list->prefix_size) == 0;
}

/* -- the log above the checkpoint -------------------------------------------------------------- */

static uint64_t hash_of(const void *owner, uint32_t slot)
{
    const struct session_list *list = owner;
    return log_walk_hash(list->touched[slot].session.epoch);
}

static struct known *find_touched(struct session_list *list, uint64_t epoch)
{
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = slot_index_next(&list->by_epoch, log_walk_hash(epoch), &cursor)) != SLOT_NONE)
        if (list->touched[slot].session.epoch == epoch)
            return &list->touched[slot];
    return NULL;
}

/* Reads the session's row, if there is one. The log above the checkpoint is applied to it. */
static spn_err read_row(struct session_list *list, uint64_t epoch, struct spn_bytes name,
                        struct known *known)
{
    struct record_row row;
    spn_err err = journal_reader_begin(list->reader);
    if (err != SPN_OK)
        return err;
    err = journal_read_row(list->reader, epoch, &row);
    if (err == SPN_OK)
        err = known_set_row(list, known, epoch, &row);
    else if (err == SPN_E_CORRUPT)
        err = known_set_damaged(known, epoch, name);
    journal_reader_end(list->reader);
    return err == SPN_E_END ? SPN_OK : err;
}

static spn_err add_touched(struct session_list *list, const struct log_item *item,
                           struct known **ret_known)
{
    struct known known = {.session = {.epoch = item->entry.epoch, .life = item->life}};
    spn_err err = slot_index_reserve(&list->by_epoch, 1);
    if (err != SPN_OK)
        return err;
    if (list->touched_count == list->touched_capacity) {
        size_t capacity = list->touched_capacity ? list->touched_capacity * 2 : 64;
        struct known *touched = realloc(list->touched, capacity * sizeof(*touched));
        if (!touched)
            return SPN_E_NOMEM;
        list->touched = touched;
        list->touched_capacity = capacity;
    }
    err = read_row(list, item->entry.epoch, item->session, &known);
    if (err == SPN_OK && !known.text) {
        known.session.name = item->session;
        err = session_keep_texts(&known.session, &known.text);
    }
    if (err != SPN_OK) {
        known_release(&known);
        return err;
    }
    list->touched[list->touched_count] = known;
    slot_index_add(&list->by_epoch, log_walk_hash(item->entry.epoch),
                   (uint32_t)list->touched_count);
    *ret_known = &list->touched[list->touched_count++];
    return SPN_OK;
}

/* Position and time are those of the newest event, or of the opening entry if there is no event. */
static void apply_stored(struct spn_session *session, const struct log_item *item)
{
    const struct record_entry *entry = &item->entry;
    session->position = item->position;
    session->last_ms = entry->wall_ms;
    session->seq = entry->seq;
    session->bytes = entry->bytes;
    session->markers = entry->markers;
    if (record_is_stored(entry->kind) && entry->id_position == 0) /* else the id stays in force */
        session->last_id = entry->id;
}

static void apply_attributes(struct spn_session *session, const struct record_entry *entry)
{
    struct wire_attributes attributes;
    if (attributes_get(entry->data, &attributes) != SPN_OK)
        return;
    session->ttl_ms = attributes.ttl_ms;
    session->idle_close_ms = attributes.idle_close_ms;
    session->content_type = attributes.content_type;
}

/* Entries hold sums, not differences: an entry that the row already includes changes nothing. */
static spn_err apply(void *argument, const struct log_item *item)
{
    struct session_list *list = argument;
    const struct record_entry *entry = &item->entry;
    if (!item->session.data || !has_prefix(list, item->session))
        return SPN_OK;
    struct known *known = find_touched(list, entry->epoch);
    if (!known) {
        spn_err err = add_touched(list, item, &known);
        if (err != SPN_OK)
            return err;
    }
    struct spn_session *session = &known->session;
    if (entry->kind == RECORD_OPEN)
        session->opened_ms = entry->wall_ms;
    if (entry->closes && session->state == SPN_LIVE) { /* a close, or an event that closes */
        session->state = SPN_CLOSED;
        session->reason = entry->reason;
    }
    if (entry->kind == RECORD_DELETE || entry->kind == RECORD_EXPIRE)
        known->gone = true;
    if (entry->kind == RECORD_ATTRIBUTES)
        apply_attributes(session, entry);
    bool counts = entry->kind == RECORD_OPEN || record_is_stored(entry->kind);
    if (counts && item->position > session->position)
        apply_stored(session, item);
    return session_keep_texts(&known->session, &known->text);
}

/* -- rows, page by page ------------------------------------------------------------------------ */

/* The first name may be the prefix itself. Each later name follows the last one. */
static spn_err next_name(struct session_list *list, struct spn_bytes *ret_name, uint64_t *ret_epoch)
{
    struct spn_bytes after = {list->after, list->after_size};
    if (!list->began) {
        list->began = true;
        list->after_size = list->prefix_size;
        memcpy(list->after, list->prefix, list->prefix_size);
        after = (struct spn_bytes){list->after, list->after_size};
        spn_err err =
            after.size > 0 ? journal_read_name(list->reader, after, ret_epoch) : SPN_E_END;
        if (err != SPN_E_END) {
            *ret_name = after;
            return err;
        }
    }
    return journal_read_name_after(list->reader, after, ret_name, ret_epoch);
}

/* A name without a row belongs to a segment that is still being written: the log has the
 * session. */
static spn_err read_next_row(struct session_list *list)
{
    struct spn_bytes name;
    struct record_row row;
    uint64_t epoch;
    spn_err err = next_name(list, &name, &epoch);
    if (err == SPN_OK && !has_prefix(list, name))
        err = SPN_E_END;
    if (err != SPN_OK)
        return err;
    assert(name.size <= sizeof(list->after));
    list->after_size = (uint8_t)name.size;
    memmove(list->after, name.data, name.size);
    err = journal_read_row(list->reader, epoch, &row);
    if (err == SPN_E_END)
        return SPN_OK;
    struct known *known = &list->page[list->page_count];
    if (err == SPN_OK)
        err = known_set_row(list, known, epoch, &row);
    else if (err == SPN_E_CORRUPT)
        err = known_set_damaged(known, epoch, name);
    list->page_count += err == SPN_OK;
    return err;
}

static spn_err read_page(struct session_list *list)
{
    list->page_count = 0;
    list->page_next = 0;
    spn_err err = journal_reader_begin(list->reader);
    if (err != SPN_OK)
        return err;
    for (size_t i = 0; i < PAGE_ROWS && err == SPN_OK; i++)
        err = read_next_row(list);
    journal_reader_end(list->reader);
    list->rows_end = err == SPN_E_END;
    return err == SPN_E_END ? SPN_OK : err;
}

/* -- both together ----------------------------------------------------------------------------- */

/* The next row; NULL: there are no more. */
static spn_err peek_row(struct session_list *list, struct known **ret_known)
{
    while (list->page_next == list->page_count && !list->rows_end) {
        spn_err err = read_page(list);
        if (err != SPN_OK)
            return err;
    }
    bool some = list->page_next < list->page_count;
    *ret_known = some ? &list->page[list->page_next] : NULL;
    return SPN_OK;
}

static bool same_name(const struct known *a, const struct known *b)
{
    return text_compare(a->session.name, b->session.name) == 0;
}

/* The next touched session, with the latest epoch of its name; NULL: there are no more. */
static struct known *peek_touched(struct session_list *list)
{
    struct known *all = list->touched;
    while (list->touched_next + 1 < list->touched_count &&
           same_name(&all[list->touched_next], &all[list->touched_next + 1]))
        list->touched_next++;
    return list->touched_next < list->touched_count ? &all[list->touched_next] : NULL;
}

spn_err session_list_next(struct session_list *list, struct spn_session *ret_session)
{
    struct known *best;
    do {
        struct known *row;
        spn_err err = peek_row(list, &row);
        if (err != SPN_OK)
            return err;
        struct known *touched = peek_touched(list);
        if (!row && !touched)
            return SPN_E_END;
        int order = !row       ? 1
                    : !touched ? -1
                               : text_compare(row->session.name, touched->session.name);
        list->page_next += order <= 0;
        list->touched_next += order >= 0;
        best = order < 0 ? row : touched;
        if (order == 0 && compare_known(row, touched) > 0)
            best = row;
    } while (best->gone);
    *ret_session = best->session;
    if (ret_session->state == SPN_DAMAGED) /* the log does not have all of it */
        *ret_session = (struct spn_session){.name = best->session.name, .state = SPN_DAMAGED};
    return SPN_OK;
}

/* -- open and close ---------------------------------------------------------------------------- */

spn_err session_list_open(struct session_list **ret_list, struct journal *journal,
                          struct spn_bytes prefix)
{
    struct session_list *list = calloc(1, sizeof(*list));
    if (!list)
        return SPN_E_NOMEM;
    assert(prefix.size <= sizeof(list->prefix));
    list->prefix_size = (uint8_t)prefix.size;
    if (prefix.size > 0)
        memcpy(list->prefix, prefix.data, prefix.size);
    spn_err err = slot_index_init(&list->by_epoch, hash_of, list);
    if (err == SPN_OK)
        err = journal_reader_open(&list->reader, journal);
    if (err == SPN_OK)
        err = log_walk_above_checkpoint(journal, apply, list, &list->damaged);
    if (err != SPN_OK) {
        session_list_close(list);
        return err;
    }
    if (list->touched_count > 0)
        qsort(list->touched, list->touched_count, sizeof(*list->touched), compare_known);
    *ret_list = list;
    return SPN_OK;
}

void session_list_close(struct session_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->touched_count; i++)
        known_release(&list->touched[i]);
    for (size_t i = 0; i < PAGE_ROWS; i++)
        known_release(&list->page[i]);
    free(list->touched);
    slot_index_release(&list->by_epoch);
    journal_reader_close(list->reader);
    free(list);
}

uint64_t session_list_damaged(const struct session_list *list)
{
    return list->damaged;
}
