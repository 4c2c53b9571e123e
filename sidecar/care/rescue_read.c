/* SPDX-License-Identifier: Apache-2.0 */
/* rescue_read: the entries and the sessions of a damaged database. */
#include <stdlib.h>

#include "care/rescue_base.h"

enum { GO_ON_EVERY = 8192 }; /* entries */

/* -- the log, in order ------------------------------------------------------------------------- */

/* Both sorts of entries, merged. */
struct merge {
    struct rescue *rescue;
    rescue_take *take;
    void *owner;
    size_t next; /* of those found */
};

static spn_err give(struct merge *merge, uint64_t position, struct spn_bytes value)
{
    struct rescue *rescue = merge->rescue;
    const struct care *care = rescue->care;
    struct record_entry entry;
    if (++rescue->steps % GO_ON_EVERY == 0 && care->go_on &&
        !care->go_on(care->owner, position, rescue->meta.next_position))
        return care_fail(rescue->care, SPN_E_STOPPING, rescue->old, "interrupted");
    if (record_get_entry(value, position, &entry) != SPN_OK)
        return SPN_OK; /* it marks positions that were lost before */
    return merge->take(merge->owner, position, &entry);
}

static spn_err give_found(struct merge *merge, uint64_t below)
{
    const struct rescue *rescue = merge->rescue;
    spn_err err = SPN_OK;
    for (; err == SPN_OK && merge->next < rescue->found_count &&
           rescue->found[merge->next].position < below;
         merge->next++) {
        const struct found_entry *found = &rescue->found[merge->next];
        if (merge->next == 0 || found[-1].position != found->position)
            err = give(merge, found->position, found->value);
    }
    return err;
}

static spn_err give_reached(void *owner, struct spn_bytes key, struct spn_bytes value)
{
    struct merge *merge = owner;
    const struct rescue *rescue = merge->rescue;
    uint64_t position = table_value_number(key);
    spn_err err = give_found(merge, position);
    while (merge->next < rescue->found_count && rescue->found[merge->next].position == position)
        merge->next++; /* the same once more */
    return err == SPN_OK ? give(merge, position, value) : err;
}

spn_err rescue_each(struct rescue *rescue, rescue_take *take, void *owner)
{
    struct merge merge = {.rescue = rescue, .take = take, .owner = owner};
    spn_err err = pages_rest_reached(rescue->rest, TABLE_VALUE_LOG, give_reached, &merge);
    return err == SPN_OK ? give_found(&merge, UINT64_MAX) : err;
}

static spn_err take_found(void *owner, struct spn_bytes key, struct spn_bytes value)
{
    struct rescue *rescue = owner;
    if (rescue->found_count == rescue->found_room) {
        size_t room = rescue->found_room > 0 ? rescue->found_room * 2 : 64;
        struct found_entry *found = realloc(rescue->found, room * sizeof(*found));
        if (!found)
            return SPN_E_NOMEM;
        rescue->found = found;
        rescue->found_room = room;
    }
    rescue->found[rescue->found_count++] =
        (struct found_entry){.position = table_value_number(key), .value = value};
    return SPN_OK;
}

static int by_position(const void *a, const void *b)
{
    const struct found_entry *left = a;
    const struct found_entry *right = b;
    return (left->position > right->position) - (left->position < right->position);
}

static spn_err find_entries(struct rescue *rescue)
{
    spn_err err = pages_rest_found(rescue->rest, TABLE_VALUE_LOG, take_found, rescue);
    if (rescue->found_count > 1)
        qsort(rescue->found, rescue->found_count, sizeof(*rescue->found), by_position);
    return err;
}

/* -- the tables -------------------------------------------------------------------------------- */

/* None of these ever goes back. The clock is noted at a start and an end only. */
static bool is_newer(const struct record_meta *meta, const struct record_meta *than)
{
    if (meta->clock_ns != than->clock_ns)
        return meta->clock_ns > than->clock_ns;
    if (meta->checkpoint != than->checkpoint)
        return meta->checkpoint > than->checkpoint;
    if (meta->next_position != than->next_position)
        return meta->next_position > than->next_position;
    return meta->taken > than->taken;
}

/* The newest commit's comes first, and stays if another looks as new. */
static spn_err take_meta(void *owner, struct spn_bytes key, struct spn_bytes value)
{
    struct rescue *rescue = owner;
    struct record_meta meta;
    (void)key;
    if (record_get_meta(value, &meta) != SPN_OK)
        return SPN_OK;
    if (!rescue->has_meta || is_newer(&meta, &rescue->meta))
        rescue->meta = meta;
    rescue->has_meta = true;
    return SPN_OK;
}

/* If meta is an earlier one, the newest segment says how far the rows go. */
static spn_err take_segment(void *owner, struct spn_bytes key, struct spn_bytes value)
{
    struct rescue *rescue = owner;
    struct record_segment segment;
    if (record_get_segment(value, (uint32_t)table_value_number(key), &segment) == SPN_OK &&
        segment.last > rescue->meta.checkpoint)
        rescue->meta.checkpoint = segment.last;
    return SPN_OK;
}

static spn_err take_row(void *owner, struct spn_bytes key, struct spn_bytes value)
{
    struct rescue *rescue = owner;
    struct record_row row;
    uint64_t epoch = table_value_number(key);
    spn_err err = record_get_row(value, epoch, &row);
    return err == SPN_OK ? rescued_take_row(&rescue->rescued, epoch, &row) : err;
}

static spn_err take_name(void *owner, struct spn_bytes key, struct spn_bytes value)
{
    struct rescue *rescue = owner;
    uint64_t epoch;
    spn_err err = record_get_name(value, key, &epoch);
    return err == SPN_OK ? rescued_take_name(&rescue->rescued, key, epoch) : err;
}

/* The newest commit's are reached first. */
static spn_err take_attributes(void *owner, struct spn_bytes key, struct spn_bytes value)
{
    struct rescue *rescue = owner;
    struct record_attributes attributes;
    struct rescued_session *session = rescued_find(&rescue->rescued, table_value_number(key));
    bool known =
        session && session->attributes.content_type.size + session->attributes.note.size > 0;
    if (session && !known && record_get_attributes(value, session->epoch, &attributes) == SPN_OK)
        session->attributes = attributes;
    return SPN_OK;
}

static spn_err read_both(struct rescue *rescue, size_t table, pages_rest_take *take)
{
    spn_err err = pages_rest_reached(rescue->rest, table, take, rescue);
    return err == SPN_OK ? pages_rest_found(rescue->rest, table, take, rescue) : err;
}

static spn_err read_tables(struct rescue *rescue)
{
    static const struct {
        size_t table;
        pages_rest_take *take;
    } all[] = {{TABLE_VALUE_META, take_meta},
               {TABLE_VALUE_SEGMENTS, take_segment},
               {TABLE_VALUE_NAMES, take_name},
               {TABLE_VALUE_ROWS, take_row},
               {TABLE_VALUE_ATTRIBUTES, take_attributes}};
    spn_err err = SPN_OK;
    rescue->meta = (struct record_meta){.format = RECORD_FORMAT, .next_position = 1};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && err == SPN_OK; i++)
        err = read_both(rescue, all[i].table, all[i].take);
    rescue->rescued.checkpoint = rescue->meta.checkpoint;
    rescue->rescued.newest_ns = rescue->meta.clock_ns;
    rescue->rescued.newest_ms = rescue->meta.clock_at.wall_ms;
    return err;
}

/* -- sessions ---------------------------------------------------------------------------------- */

static struct spn_bytes key_of(const uint64_t *number)
{
    return (struct spn_bytes){number, sizeof(*number)};
}

/* A session that has no row below the checkpoint was deleted, unless its row may be lost. */
static bool may_live(const struct rescue *rescue, uint64_t epoch)
{
    return epoch > rescue->meta.checkpoint ||
           pages_rest_lacks(rescue->rest, TABLE_VALUE_ROWS, key_of(&epoch));
}

static spn_err follow(void *owner, uint64_t position, struct record_entry *entry)
{
    struct rescue *rescue = owner;
    struct rescued_session *session = rescued_find(&rescue->rescued, entry->epoch);
    rescue->newest = position;
    if (!session && may_live(rescue, entry->epoch)) {
        spn_err err = rescued_add(&rescue->rescued, entry->epoch, &session);
        if (err != SPN_OK)
            return err;
    }
    if (session)
        rescued_follow(&rescue->rescued, session, position, entry);
    return SPN_OK;
}

/* Of a session without a row, the names know whether it lives, unless its name may be lost. */
static void judge(struct rescue *rescue, struct rescued_session *session)
{
    struct spn_bytes name = session->row.name;
    if (session->has_row || session->dead)
        return;
    bool above = session->epoch > rescue->meta.checkpoint;
    if (!may_live(rescue, session->epoch))
        session->dead = true;
    else if (!above && !session->named && name.size > 0)
        session->dead = !pages_rest_lacks(rescue->rest, TABLE_VALUE_NAMES, name);
}

static spn_err know_sessions(struct rescue *rescue)
{
    spn_err err = rescue_each(rescue, follow, rescue);
    for (size_t i = 0; i < rescue->rescued.count; i++)
        judge(rescue, &rescue->rescued.sessions[i]);
    return err == SPN_OK ? rescued_bury_earlier(&rescue->rescued) : err;
}

bool rescue_keeps(const struct rescue *rescue, const struct rescued_session *session,
                  uint64_t position, const struct record_entry *entry)
{
    if (!session || session->dead || position <= rescue->meta.taken)
        return false;
    return !record_is_stored(entry->kind) ||
           retention_keeps(&rescue->meta.retention, entry, session->row.seq, session->row.bytes,
                           rescue->rescued.newest_ns);
}

/* -- all of it --------------------------------------------------------------------------------- */

spn_err rescue_read(struct rescue *rescue)
{
    spn_err err = read_tables(rescue);
    if (err == SPN_OK)
        err = find_entries(rescue);
    return err == SPN_OK ? know_sessions(rescue) : err;
}
