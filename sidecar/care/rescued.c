/* SPDX-License-Identifier: Apache-2.0 */
#include "care/rescued.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "index/attributes.h"

static uint64_t hash_of_epoch(uint64_t epoch)
{
    epoch *= UINT64_C(0x9E3779B97F4A7C15);
    return epoch ^ epoch >> 32;
}

static uint64_t hash_of(const void *owner, uint32_t slot)
{
    const struct rescued *rescued = owner;
    return hash_of_epoch(rescued->sessions[slot].epoch);
}

spn_err rescued_init(struct rescued *rescued)
{
    *rescued = (struct rescued){.count = 0};
    return slot_index_init(&rescued->by_epoch, hash_of, rescued);
}

void rescued_release(struct rescued *rescued)
{
    slot_index_release(&rescued->by_epoch);
    free(rescued->sessions);
    *rescued = (struct rescued){.count = 0};
}

struct rescued_session *rescued_find(const struct rescued *rescued, uint64_t epoch)
{
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = slot_index_next(&rescued->by_epoch, hash_of_epoch(epoch), &cursor)) != SLOT_NONE)
        if (rescued->sessions[slot].epoch == epoch)
            return &rescued->sessions[slot];
    return NULL;
}

spn_err rescued_add(struct rescued *rescued, uint64_t epoch, struct rescued_session **ret_session)
{
    *ret_session = rescued_find(rescued, epoch);
    if (*ret_session)
        return SPN_OK;
    spn_err err = slot_index_reserve(&rescued->by_epoch, 1);
    if (err != SPN_OK)
        return err;
    if (rescued->count == rescued->room) {
        size_t room = rescued->room > 0 ? rescued->room * 2 : 64;
        struct rescued_session *sessions = realloc(rescued->sessions, room * sizeof(*sessions));
        if (!sessions)
            return SPN_E_NOMEM;
        rescued->sessions = sessions;
        rescued->room = room;
    }
    struct rescued_session *session = &rescued->sessions[rescued->count];
    *session = (struct rescued_session){.epoch = epoch, .row = {.position = epoch}};
    slot_index_add(&rescued->by_epoch, hash_of_epoch(epoch), (uint32_t)rescued->count++);
    *ret_session = session;
    return SPN_OK;
}

static void note_time(struct rescued *rescued, uint64_t ns, uint64_t ms)
{
    if (ns < rescued->newest_ns)
        return;
    rescued->newest_ns = ns;
    rescued->newest_ms = ms;
}

spn_err rescued_take_row(struct rescued *rescued, uint64_t epoch, const struct record_row *row)
{
    struct rescued_session *session;
    spn_err err = rescued_add(rescued, epoch, &session);
    if (err != SPN_OK || (session->has_row && session->row.position >= row->position))
        return err;
    note_time(rescued, row->activity_ns, row->activity_ms);
    session->row.name = row->name;
    session->row.life = row->life;
    if (row->state == RECORD_DAMAGED) /* it was given up: only its name and life are known */
        return SPN_OK;
    session->row = *row;
    session->has_row = true;
    session->dead = row->state == RECORD_DELETED;
    return SPN_OK;
}

spn_err rescued_take_name(struct rescued *rescued, struct spn_bytes name, uint64_t epoch)
{
    struct rescued_session *session;
    spn_err err = rescued_add(rescued, epoch, &session);
    if (err != SPN_OK)
        return err;
    session->named = true;
    session->row.name = name;
    return SPN_OK;
}

/* -- the log ----------------------------------------------------------------------------------- */

static bool is_known(const struct spn_life *life)
{
    static const struct spn_life unknown;
    return memcmp(life->bytes, unknown.bytes, sizeof(unknown.bytes)) != 0;
}

static void note_activity(struct record_row *row, const struct record_entry *entry)
{
    if (entry->time_ns < row->activity_ns)
        return;
    row->activity_ns = entry->time_ns;
    row->activity_ms = entry->wall_ms;
}

static void follow_open(struct record_row *row, const struct record_entry *entry)
{
    row->life = entry->life;
    row->name = entry->data;
    row->seq_before = entry->seq;
    row->opened_ms = entry->wall_ms;
    row->last_ms = entry->wall_ms;
    if (row->seq < entry->seq)
        row->seq = entry->seq;
}

/* An entry without an id of its own leaves the one before in force; a reset has an empty one. */
static void follow_stored(struct record_row *row, uint64_t position,
                          const struct record_entry *entry)
{
    if (entry->seq < row->seq)
        return;
    row->seq = entry->seq;
    row->position = position;
    row->bytes = entry->bytes;
    row->markers = entry->markers;
    row->last_ms = entry->wall_ms;
    if (entry->id_position == 0)
        row->last_id = entry->id;
}

static void close_row(struct record_row *row, uint64_t position, const struct record_entry *entry)
{
    row->state = RECORD_CLOSED;
    row->state_position = position;
    row->reason = entry->reason;
}

static void follow_attributes(struct rescued_session *session, uint64_t position,
                              const struct record_entry *entry)
{
    struct wire_attributes attributes;
    if (attributes_get(entry->data, &attributes) != SPN_OK)
        return;
    session->row.ttl_ms = attributes.ttl_ms;
    session->row.idle_close_ms = attributes.idle_close_ms;
    session->row.attributes_position = position;
    session->attributes = (struct record_attributes){.content_type = attributes.content_type,
                                                     .note = attributes.note};
}

/* Kinds with a name have it, and the life, for who knows neither. */
static void follow_name(struct record_row *row, const struct record_entry *entry)
{
    if (!record_has_name(entry->kind) || entry->name.size == 0)
        return;
    if (row->name.size == 0)
        row->name = entry->name;
    if (!is_known(&row->life))
        row->life = entry->life;
}

void rescued_follow(struct rescued *rescued, struct rescued_session *session, uint64_t position,
                    const struct record_entry *entry)
{
    struct record_row *row = &session->row;
    note_time(rescued, entry->time_ns, entry->wall_ms);
    if (session->has_row && position <= rescued->checkpoint)
        return;
    follow_name(row, entry);
    note_activity(row, entry);
    if (row->opened_ms == 0)
        row->opened_ms = entry->wall_ms;
    if (entry->kind == RECORD_OPEN)
        follow_open(row, entry);
    else if (record_is_stored(entry->kind))
        follow_stored(row, position, entry);
    else if (entry->kind == RECORD_ATTRIBUTES)
        follow_attributes(session, position, entry);
    if (entry->kind == RECORD_DELETE || entry->kind == RECORD_EXPIRE)
        session->dead = true;
    if (entry->closes || entry->kind == RECORD_CLOSE)
        close_row(row, position, entry);
}

/* -- names ------------------------------------------------------------------------------------- */

static int by_name_and_epoch(const void *a, const void *b)
{
    const struct rescued_session *left = *(struct rescued_session *const *)a;
    const struct rescued_session *right = *(struct rescued_session *const *)b;
    int order = text_compare(left->row.name, right->row.name);
    return order != 0 ? order : (left->epoch > right->epoch) - (left->epoch < right->epoch);
}

spn_err rescued_bury_earlier(struct rescued *rescued)
{
    struct rescued_session **sorted =
        malloc((rescued->count + 1) * sizeof(struct rescued_session *));
    if (!sorted)
        return SPN_E_NOMEM;
    for (size_t i = 0; i < rescued->count; i++)
        sorted[i] = &rescued->sessions[i];
    if (rescued->count > 1)
        qsort(sorted, rescued->count, sizeof(struct rescued_session *), by_name_and_epoch);
    for (size_t i = 1; i < rescued->count; i++)
        if (sorted[i]->row.name.size > 0 &&
            text_compare(sorted[i - 1]->row.name, sorted[i]->row.name) == 0)
            sorted[i - 1]->dead = true;
    free(sorted);
    return SPN_OK;
}
