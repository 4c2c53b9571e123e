/* SPDX-License-Identifier: Apache-2.0 */
/* recovery_tables: sessions and producers as of the checkpoint. */
#include <stdlib.h>
#include <string.h>

#include "index/segment.h"
#include "recover/recovery_base.h"
#include "recover/restore_spans.h"
#include "recover/salvage.h"

enum { BURY_STEP = 1000 };

/* Epochs are positions, which are dense: spread them (a finalizer like MurmurHash3's). */
static uint64_t hash_epoch(uint64_t epoch)
{
    epoch ^= epoch >> 33;
    epoch *= 0xff51afd7ed558ccdu;
    epoch ^= epoch >> 33;
    return epoch;
}

static uint64_t epoch_hash_of_slot(const void *owner, uint32_t slot)
{
    const struct broker_state *state = owner;
    return hash_epoch(sessions_epoch(&state->sessions, slot));
}

spn_err recovery_put_epoch(struct recovery *recovery, uint64_t epoch, uint32_t slot)
{
    spn_err err = slot_index_reserve(&recovery->by_epoch, 1);
    if (err == SPN_OK)
        slot_index_add(&recovery->by_epoch, hash_epoch(epoch), slot);
    return err;
}

uint32_t recovery_find_epoch(const struct recovery *recovery, uint64_t epoch)
{
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = slot_index_next(&recovery->by_epoch, hash_epoch(epoch), &cursor)) != SLOT_NONE)
        if (sessions_epoch(&recovery->state->sessions, slot) == epoch)
            return slot;
    return SLOT_NONE;
}

void recovery_remove_epoch(struct recovery *recovery, uint64_t epoch, uint32_t slot)
{
    slot_index_remove(&recovery->by_epoch, hash_epoch(epoch), slot);
}

spn_err recovery_begin(struct recovery *recovery)
{
    spn_err err = slot_index_init(&recovery->by_epoch, epoch_hash_of_slot, recovery->state);
    return err == SPN_OK ? journal_reader_open(&recovery->reader, recovery->journal) : err;
}

void recovery_end(struct recovery *recovery)
{
    epochs_release(&recovery->dead);
    epochs_release(&recovery->damaged);
    epochs_release(&recovery->given_up);
    journal_reader_close(recovery->reader);
    slot_index_release(&recovery->by_epoch);
}

/* -- rows and names ---------------------------------------------------------------------------- */

/* Ignores new rows and deletions of rows that an unfinished segment wrote: the log has both. */
static spn_err load_row(struct recovery *recovery, uint64_t epoch, const struct record_row *row)
{
    struct sessions *sessions = &recovery->state->sessions;
    uint64_t checkpoint = journal_reader_meta(recovery->reader)->checkpoint;
    uint32_t slot;
    if (epoch > checkpoint)
        return SPN_OK;
    recovery->found.given_up += row->state == RECORD_DAMAGED;
    if (row->state == RECORD_DELETED && row->state_position <= checkpoint)
        return epochs_add(&recovery->dead, epoch);
    if (row->name.size > WIRE_SESSION_MAX)
        return SPN_E_CORRUPT;
    uint64_t hash = sessions_hash(sessions, row->name);
    recovery->rows_sum += row->state == RECORD_DELETED ? 0 : hash_epoch(epoch ^ hash);
    spn_err err = sessions_know(sessions, hash, epoch, &slot);
    if (err == SPN_OK)
        err = recovery_put_epoch(recovery, epoch, slot);
    return err == SPN_OK ? restore_spans_of_row(recovery->state, slot, epoch, row) : err;
}

static spn_err load_rows(struct recovery *recovery)
{
    uint64_t epoch = 0;
    struct record_row row;
    spn_err err;
    for (;;) {
        uint64_t before = epoch;
        journal_went_on(recovery->journal);
        err = journal_read_row_after(recovery->reader, epoch, &epoch, &row);
        if (err == SPN_OK) {
            database_clock_find(&recovery->found.clock, row.activity_ns, row.activity_ms);
            recovery->attributes_sum += row.has_attributes ? hash_epoch(epoch) : 0;
            err = load_row(recovery, epoch, &row);
        } else if (err == SPN_E_CORRUPT && epoch > before) {
            err = epochs_add(&recovery->damaged, epoch);
        }
        if (err != SPN_OK)
            return err == SPN_E_END ? SPN_OK : err;
    }
}

/* Deletes the rows that a segment left which was complete except for its burials. On a full disk
 * they stay, and the next start tries again. */
static spn_err bury(struct recovery *recovery)
{
    spn_err err = SPN_OK;
    for (size_t i = 0; err == SPN_OK && i < recovery->dead.count; i += BURY_STEP) {
        err = journal_begin(recovery->journal);
        for (size_t k = i; err == SPN_OK && k < i + BURY_STEP && k < recovery->dead.count; k++)
            err = segment_bury(recovery->journal, recovery->dead.list[k]);
        if (err == SPN_OK)
            err = journal_commit(recovery->journal);
        journal_abort(recovery->journal);
    }
    return journal_lacks_room(err) ? SPN_OK : err;
}

/* Checks whether names and rows match. A session that had lost its name would be opened again at
 * seq 1. */
static spn_err compare_names(struct recovery *recovery, bool *ret_same)
{
    struct spn_bytes name = {NULL, 0};
    uint64_t checkpoint = journal_reader_meta(recovery->reader)->checkpoint;
    uint64_t epoch;
    spn_err err;
    while ((err = journal_read_name_after(recovery->reader, name, &name, &epoch)) == SPN_OK) {
        journal_went_on(recovery->journal);
        if (epoch <= checkpoint)
            recovery->names_sum +=
                hash_epoch(epoch ^ sessions_hash(&recovery->state->sessions, name));
    }
    *ret_same = err == SPN_E_END && recovery->names_sum == recovery->rows_sum &&
                recovery->damaged.count == 0;
    return err == SPN_E_END || err == SPN_E_CORRUPT ? SPN_OK : err;
}

static spn_err salvage(struct recovery *recovery)
{
    struct salvaged salvaged;
    bool same;
    spn_err err = compare_names(recovery, &same);
    if (err != SPN_OK || same)
        return err;
    err = salvage_run(recovery->journal, recovery->reader, &recovery->damaged,
                      recovery->found.clock.database_ns, &salvaged);
    if (err != SPN_OK)
        return err;
    recovery->found.names = salvaged.names;
    recovery->found.orphans = salvaged.orphans;
    journal_reader_end(recovery->reader); /* the rows that were written are in the next snapshot */
    err = journal_reader_begin(recovery->reader);
    for (size_t i = 0; i < salvaged.given_up.count && err == SPN_OK; i++) {
        struct record_row row;
        err = journal_read_row(recovery->reader, salvaged.given_up.list[i], &row);
        if (err == SPN_OK)
            err = load_row(recovery, salvaged.given_up.list[i], &row);
        else if (err == SPN_E_END)
            err = SPN_OK; /* there was no room to write the row */
    }
    epochs_release(&salvaged.given_up);
    return err;
}

/* -- attributes -------------------------------------------------------------------------------- */

/* Whether every session's row says that it has these: then none are left over. */
static spn_err compare_attributes(struct recovery *recovery, bool *ret_same)
{
    uint64_t sum = 0;
    uint64_t epoch = 0;
    spn_err err;
    while ((err = journal_read_attributes_after(recovery->reader, epoch, &epoch)) == SPN_OK)
        sum += hash_epoch(epoch);
    *ret_same = sum == recovery->attributes_sum;
    return err == SPN_E_END || err == SPN_E_CORRUPT ? SPN_OK : err;
}

static spn_err drop_attributes(struct recovery *recovery, uint64_t epoch)
{
    static const struct record_attributes none;
    struct record_row row = {.has_attributes = false};
    spn_err err = journal_read_row(recovery->reader, epoch, &row);
    if (err != SPN_OK && err != SPN_E_END)
        return err == SPN_E_CORRUPT ? SPN_OK : err;
    if (row.has_attributes)
        return SPN_OK;
    recovery->found.orphans++;
    return journal_put_attributes(recovery->journal, epoch, &none);
}

/* Deletes the attributes of sessions whose rows damage took. On a full disk they stay, and the next
 * start tries again. */
static spn_err salvage_attributes(struct recovery *recovery)
{
    uint64_t epoch = 0;
    bool same;
    spn_err err = compare_attributes(recovery, &same);
    if (err != SPN_OK || same)
        return err;
    err = journal_begin(recovery->journal);
    while (err == SPN_OK &&
           (err = journal_read_attributes_after(recovery->reader, epoch, &epoch)) == SPN_OK)
        err = drop_attributes(recovery, epoch);
    if (err == SPN_E_END || err == SPN_E_CORRUPT)
        err = journal_commit(recovery->journal);
    journal_abort(recovery->journal);
    return journal_lacks_room(err) ? SPN_OK : err;
}

/* -- producers --------------------------------------------------------------------------------- */

static spn_err load_producer(struct recovery *recovery, const uint8_t *id,
                             const struct record_producer *record)
{
    struct producer *producer;
    const struct producer_owner owner = {.uid = record->uid, .kept = record->kept};
    spn_err err = producers_add(&recovery->state->producers, id, &owner, &producer);
    if (err == SPN_OK && record->token != 0)
        err = producers_give(&recovery->state->producers, producer, record->token);
    if (err != SPN_OK)
        return err;
    producer_written(&recovery->state->producers, producer);
    producer->on_disk = true;
    producer->stale = true;
    producer->heard_ns = record->time_ns;
    producer->accepted = record->number;
    producer->durable = record->number;
    producer->acked = record->base - 1; /* what was sent before is not known */
    producer->base = record->base;
    if (record->run_count > 0) {
        producer->runs = malloc(record->run_count * sizeof(*producer->runs));
        if (!producer->runs)
            return SPN_E_NOMEM;
        memcpy(producer->runs, record->runs, record->run_count * sizeof(*producer->runs));
        producer->run_count = producer->run_room = record->run_count;
    }
    return SPN_OK;
}

static spn_err load_producers(struct recovery *recovery)
{
    struct record_run *runs = malloc(RECORD_RUNS_MAX * sizeof(*runs));
    if (!runs)
        return SPN_E_NOMEM;
    uint8_t id[RECORD_PRODUCER_ID_SIZE] = {0};
    struct record_producer record;
    bool first = true;
    spn_err err;
    for (;;) {
        uint8_t before[RECORD_PRODUCER_ID_SIZE];
        memcpy(before, id, sizeof(before));
        journal_went_on(recovery->journal);
        err = journal_read_producer_after(recovery->reader, first, id, runs, &record);
        if (err == SPN_E_CORRUPT && (first || memcmp(before, id, sizeof(before)) != 0)) {
            recovery->found.producers++;
            first = false;
            continue;
        }
        if (err != SPN_OK)
            break;
        first = false;
        database_clock_find(&recovery->found.clock, record.time_ns, 0);
        err = load_producer(recovery, id, &record);
        if (err != SPN_OK)
            break;
    }
    free(runs);
    return err == SPN_E_END ? SPN_OK : err;
}

spn_err recovery_load_tables(struct recovery *recovery)
{
    spn_err err = journal_reader_begin(recovery->reader);
    if (err == SPN_OK)
        err = load_rows(recovery);
    if (err == SPN_OK)
        err = salvage(recovery);
    if (err == SPN_OK)
        err = salvage_attributes(recovery);
    if (err == SPN_OK)
        err = load_producers(recovery);
    journal_reader_end(recovery->reader);
    return err == SPN_OK ? bury(recovery) : err;
}
