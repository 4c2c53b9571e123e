/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/retained.h"

#include <stdlib.h>

#include "store/database_clock.h"
#include "cli/log_walk.h"
#include "base/slot_index.h"

/* How far a session has come. */
struct life {
    uint64_t epoch;
    uint64_t seq;
    uint64_t bytes;
    bool gone;
    bool unknown; /* its row is damaged, or the session was given up */
};

struct retained {
    struct journal_reader *reader;
    struct record_meta
        meta; /* as of before the log was read: rows are complete up to its checkpoint */
    struct database_clock_found found;
    uint64_t now_ns; /* of the database's clock, as for a sidecar that starts now */
    struct life *lives;
    size_t count;
    size_t room;
    struct slot_index by_epoch;
};

static uint64_t hash_of(const void *owner, uint32_t slot)
{
    const struct retained *retained = owner;
    return log_walk_hash(retained->lives[slot].epoch);
}

static struct life *find(const struct retained *retained, uint64_t epoch)
{
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = slot_index_next(&retained->by_epoch, log_walk_hash(epoch), &cursor)) !=
           SLOT_NONE)
        if (retained->lives[slot].epoch == epoch)
            return &retained->lives[slot];
    return NULL;
}

static spn_err read_row(struct retained *retained, struct life *life)
{
    struct record_row row;
    spn_err err = journal_reader_begin(retained->reader);
    if (err != SPN_OK)
        return err;
    err = journal_read_row(retained->reader, life->epoch, &row);
    if (err == SPN_OK) {
        life->seq = row.seq;
        life->bytes = row.bytes;
        life->gone = row.state == RECORD_DELETED;
    }
    journal_reader_end(retained->reader);
    life->gone = life->gone || (err == SPN_E_END && life->epoch <= retained->meta.checkpoint);
    life->unknown = err == SPN_E_CORRUPT || (err == SPN_OK && row.state == RECORD_DAMAGED);
    return err == SPN_E_END || err == SPN_E_CORRUPT ? SPN_OK : err;
}

/* Finds the session with this epoch; the first time, reads it from its row. */
static spn_err know(struct retained *retained, uint64_t epoch, struct life **ret_life)
{
    struct life life = {.epoch = epoch};
    *ret_life = find(retained, epoch);
    if (*ret_life)
        return SPN_OK;
    spn_err err = slot_index_reserve(&retained->by_epoch, 1);
    if (err == SPN_OK)
        err = read_row(retained, &life);
    if (err != SPN_OK)
        return err;
    if (retained->count == retained->room) {
        size_t room = retained->room > 0 ? retained->room * 2 : 64;
        struct life *lives = realloc(retained->lives, room * sizeof(*lives));
        if (!lives)
            return SPN_E_NOMEM;
        retained->lives = lives;
        retained->room = room;
    }
    retained->lives[retained->count] = life;
    slot_index_add(&retained->by_epoch, log_walk_hash(epoch), (uint32_t)retained->count);
    *ret_life = &retained->lives[retained->count++];
    return SPN_OK;
}

static spn_err apply(void *argument, const struct log_item *item)
{
    struct retained *retained = argument;
    const struct record_entry *entry = &item->entry;
    struct life *life;
    spn_err err = know(retained, entry->epoch, &life);
    if (err != SPN_OK)
        return err;
    database_clock_find(&retained->found, entry->time_ns, entry->wall_ms);
    if (entry->kind == RECORD_DELETE || entry->kind == RECORD_EXPIRE)
        life->gone = true;
    if (record_is_stored(entry->kind) && entry->seq > life->seq) {
        life->seq = entry->seq;
        life->bytes = entry->bytes;
    }
    return SPN_OK;
}

static spn_err read_meta(struct retained *retained)
{
    spn_err err = journal_reader_begin(retained->reader);
    if (err != SPN_OK)
        return err;
    const struct record_meta *meta = journal_reader_meta(retained->reader);
    retained->meta = *meta;
    database_clock_find(&retained->found, meta->clock_ns, meta->clock_at.wall_ms);
    journal_reader_end(retained->reader);
    return SPN_OK;
}

static void tell_time(struct retained *retained)
{
    struct clock_moment now = clock_now();
    retained->now_ns = database_clock_resume(&retained->meta, &retained->found, &now).database_ns;
}

spn_err retained_open(struct retained **ret_retained, struct journal *journal)
{
    uint64_t damaged; /* the walk that prints the log reports it */
    struct retained *retained = calloc(1, sizeof(*retained));
    if (!retained)
        return SPN_E_NOMEM;
    spn_err err = slot_index_init(&retained->by_epoch, hash_of, retained);
    if (err == SPN_OK)
        err = journal_reader_open(&retained->reader, journal);
    if (err == SPN_OK)
        err = read_meta(retained);
    if (err == SPN_OK)
        err = log_walk_above_checkpoint(journal, apply, retained, &damaged);
    if (err != SPN_OK) {
        retained_close(retained);
        return err;
    }
    tell_time(retained);
    *ret_retained = retained;
    return SPN_OK;
}

void retained_close(struct retained *retained)
{
    if (!retained)
        return;
    journal_reader_close(retained->reader);
    slot_index_release(&retained->by_epoch);
    free(retained->lives);
    free(retained);
}

spn_err retained_ask(struct retained *retained, const struct record_entry *event,
                     enum retained_answer *ret_answer)
{
    struct life *life;
    spn_err err = know(retained, event->epoch, &life);
    if (err != SPN_OK)
        return err;
    *ret_answer = RETAINED_YES;
    bool stored = record_is_stored(event->kind);
    if (stored && event->seq > life->seq) { /* it was added while the log was read */
        life->seq = event->seq;
        life->bytes = event->bytes;
    }
    if (life->gone)
        *ret_answer = RETAINED_DELETED;
    else if (life->unknown)
        *ret_answer = RETAINED_UNKNOWN;
    else if (stored && !retention_keeps(&retained->meta.retention, event, life->seq, life->bytes,
                                        retained->now_ns))
        *ret_answer = RETAINED_NO;
    return SPN_OK;
}
