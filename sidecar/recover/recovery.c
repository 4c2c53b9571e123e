/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/recovery.h"

#include "base/kill_point.h"
#include "recover/recovery_base.h"
#include "recover/restore_spans.h"
#include "recover/salvage.h"
#include "index/segment.h"
#include "ingest/sender.h"

enum { SNAPSHOT_ENTRIES_MAX = 65536 };

/* -- the log ----------------------------------------------------------------------------------- */

static uint64_t no_clock(void)
{
    return 0;
}

/* The clock in the meta stays as it is, a pair of moments of one run. The rows keep the times of
 * the entries that are now below the checkpoint. */
static spn_err write_segment(struct recovery *recovery, const struct generation *generation)
{
    struct record_meta meta = *journal_meta(recovery->journal);
    struct segment *segment = NULL;
    bool done;
    if (meta.next_position <= generation->last_position)
        meta.next_position = generation->last_position + 1;
    spn_err err = segment_new(&segment, generation, meta.segment + 1);
    if (err == SPN_OK)
        err = journal_begin(recovery->journal);
    if (err == SPN_OK) {
        struct step all = {.now_ns = no_clock, .until_ns = UINT64_MAX};
        err = segment_step(segment, recovery->journal, &all, &meta, &done);
        KILL_POINT("recovery_segment");
        if (err == SPN_OK)
            err = journal_commit(recovery->journal);
        else
            journal_abort(recovery->journal);
    }
    KILL_POINT_IF(err == SPN_OK, "recovery_committed");
    segment_free(segment);
    return err;
}

/* Writes first a generation that found no room before: segments follow the order of the log. */
static spn_err write_frozen(struct recovery *recovery)
{
    struct broker_state *state = recovery->state;
    if (!state->frozen)
        return SPN_OK;
    spn_err err = write_segment(recovery, state->frozen);
    if (err != SPN_OK)
        return err;
    generation_drop(state->frozen);
    state->frozen = NULL;
    return SPN_OK;
}

/* The active generation is full: writes it as a segment right away. */
static spn_err write_generation(struct recovery *recovery)
{
    struct broker_state *state = recovery->state;
    struct generation *full = state->active;
    spn_err err = write_frozen(recovery);
    if (err != SPN_OK)
        return err;
    struct generation *fresh = generation_new(full->serial + 1);
    if (!fresh)
        return SPN_E_NOMEM;
    err = write_segment(recovery, full);
    if (journal_lacks_room(err)) {
        state->frozen = full; /* the worker tries again */
    } else if (err != SPN_OK) {
        generation_drop(fresh);
        return err;
    } else {
        generation_drop(full);
    }
    state->active = fresh;
    return SPN_OK;
}

/* A position that the log has is not given out again, nor are those that meta excludes: a restored
 * database begins far above its log. */
static void reach(struct broker_state *state, uint64_t position)
{
    if (state->next_position <= position)
        state->next_position = position + 1;
}

/* -- damage above the checkpoint --------------------------------------------------------------- */

static bool met_damage(const struct recovery *recovery)
{
    return recovery->found.lost > 0 || recovery->found.orphans > 0;
}

/* Passes an entry of an unknown session: the entry that opened it was lost. */
static spn_err pass_orphan(struct recovery *recovery)
{
    if (!met_damage(recovery))
        return SPN_E_CORRUPT;
    recovery->found.orphans++;
    return SPN_OK;
}

/* True: the session lacks events before this one. Without damage, the generation itself checks that
 * none is missing. */
static bool lacks_events(struct recovery *recovery, const struct session *session, uint32_t slot,
                         const struct record_entry *entry)
{
    struct record_row row;
    const struct generation_session *touched =
        generation_find(recovery->state->active, session, slot);
    if (!met_damage(recovery))
        return false;
    if (touched && touched->epoch == entry->epoch && touched->count > 0)
        return entry->seq != touched->first_seq + touched->count;
    if (journal_read_row(recovery->reader, entry->epoch, &row) == SPN_OK)
        return row.seq + 1 < entry->seq;
    return entry->seq > (session->tracker ? session->tracker->seq : 0) + 1;
}

static spn_err give_up(struct recovery *recovery, uint64_t epoch)
{
    uint32_t slot = recovery_find_epoch(recovery, epoch);
    spn_err err = epochs_add(&recovery->given_up, epoch);
    if (err == SPN_OK)
        err = salvage_give_up(recovery->journal, recovery->reader, epoch,
                              recovery->found.clock.database_ns);
    if (err != SPN_OK || slot == SLOT_NONE)
        return err;
    recovery->found.given_up++;
    struct spans *spans = &recovery->state->spans;
    spans_remove(spans, spans_find(spans, slot, epoch)); /* its row has none either */
    struct session *session = &recovery->state->sessions.slots[slot];
    if (session->tracker)
        session->tracker->damaged = true;
    return SPN_OK;
}

/* Passes unreadable entries, up to `last`. Their sessions show when a later entry does not follow.
 * The session of a single entry may show in the entry's own head. */
static spn_err pass_damage(struct recovery *recovery, uint64_t from, uint64_t last)
{
    struct recovered *found = &recovery->found;
    uint64_t newest = journal_reader_newest(recovery->reader);
    reach(recovery->state, last); /* also those that may have been after the newest that is left */
    if (last > newest + 1)
        last = newest;
    found->lost_from = found->lost > 0 ? found->lost_from : from;
    found->lost += last - from + 1;
    uint64_t epoch = journal_guess_epoch(recovery->reader, last);
    bool known = epoch != 0 && recovery_find_epoch(recovery, epoch) != SLOT_NONE;
    return known && !epochs_has(&recovery->given_up, epoch) ? give_up(recovery, epoch) : SPN_OK;
}

static spn_err apply_open(struct recovery *recovery, uint64_t position,
                          const struct record_entry *entry)
{
    struct broker_state *state = recovery->state;
    struct sessions *sessions = &state->sessions;
    uint32_t slot;
    if (wire_check_session(entry->data) != SPN_OK)
        return SPN_E_CORRUPT;
    spn_err err = sessions_add(sessions, entry->data, sessions_hash(sessions, entry->data), &slot);
    if (err != SPN_OK)
        return err;
    struct tracker *tracker = sessions->slots[slot].tracker;
    tracker->epoch = tracker->id_position = position;
    tracker->life = entry->life;
    tracker->seq = entry->seq;
    generation_reach(state->active, position);
    generation_touch(state->active, &sessions->slots[slot], slot, position);
    return recovery_put_epoch(recovery, position, slot);
}

/* Applies the entry to the tracker of its session. */
static spn_err remember(struct recovery *recovery, uint32_t slot, uint64_t position,
                        const struct record_entry *entry, struct fingerprint id)
{
    struct sessions *sessions = &recovery->state->sessions;
    uint32_t tag = fingerprint_tag_of(entry, recovery->secret);
    bool new =
        entry->id.size > 0 && tracker_check(sessions->slots[slot].tracker, id, tag) == TRACKER_NEW;
    spn_err err = new ? sessions_remember(sessions, slot, id, tag) : SPN_OK;
    if (err == SPN_OK)
        tracker_follow(sessions->slots[slot].tracker, position, entry);
    return err;
}

static spn_err apply_stored(struct recovery *recovery, uint64_t position,
                            const struct record_entry *entry)
{
    struct broker_state *state = recovery->state;
    uint32_t slot = recovery_find_epoch(recovery, entry->epoch);
    if (slot == SLOT_NONE)
        return pass_orphan(recovery);
    if (epochs_has(&recovery->given_up, entry->epoch))
        return SPN_OK;
    struct session *session = &state->sessions.slots[slot];
    if (lacks_events(recovery, session, slot, entry))
        return give_up(recovery, entry->epoch);
    struct fingerprint id = fingerprint_of(entry->id, recovery->secret);
    spn_err err = session->tracker ? remember(recovery, slot, position, entry, id) : SPN_OK;
    if (err != SPN_OK)
        return err;
    struct generation_session *touched =
        generation_touch(state->active, session, slot, entry->epoch);
    if (touched->count > 0 && entry->seq != touched->first_seq + touched->count)
        return SPN_E_CORRUPT;
    touched->bytes = entry->bytes;
    generation_append(state->active, touched, position, entry->seq, (uint32_t)id.low);
    restore_spans_activity(state, slot, entry);
    if (!entry->closes)
        return SPN_OK;
    generation_note_state(touched, position, RECORD_CLOSED);
    if (session->tracker)
        session->tracker->closed = true;
    return SPN_OK;
}

static spn_err apply_end(struct recovery *recovery, uint64_t position,
                         const struct record_entry *entry)
{
    struct broker_state *state = recovery->state;
    uint32_t slot = recovery_find_epoch(recovery, entry->epoch);
    if (slot == SLOT_NONE)
        return pass_orphan(recovery);
    struct session *session = &state->sessions.slots[slot];
    bool closed = entry->kind == RECORD_CLOSE;
    struct generation_session *touched =
        generation_touch(state->active, session, slot, entry->epoch);
    generation_end(state->active, touched, position, closed ? RECORD_CLOSED : RECORD_DELETED);
    restore_spans_activity(state, slot, entry);
    if (closed && session->tracker)
        session->tracker->closed = true;
    if (closed)
        return SPN_OK;
    recovery_remove_epoch(recovery, entry->epoch, slot);
    sessions_forget(&state->sessions, slot);
    return SPN_OK;
}

static bool closed_in(const struct generation *generation, const struct session *session,
                      uint32_t slot, uint64_t epoch)
{
    const struct generation_session *touched =
        generation ? generation_find(generation, session, slot) : NULL;
    return touched && touched->epoch == epoch && touched->state == RECORD_CLOSED;
}

/* Whether an entry closed the session that no row has yet. */
static bool is_closed(const struct broker_state *state, uint32_t slot, uint64_t epoch)
{
    const struct session *session = &state->sessions.slots[slot];
    return closed_in(state->active, session, slot, epoch) ||
           closed_in(state->frozen, session, slot, epoch);
}

/* Attributes and touches: the generation knows where they are. */
static spn_err apply_activity(struct recovery *recovery, uint64_t position,
                              const struct record_entry *entry)
{
    struct broker_state *state = recovery->state;
    uint32_t slot = recovery_find_epoch(recovery, entry->epoch);
    if (slot == SLOT_NONE)
        return pass_orphan(recovery);
    if (epochs_has(&recovery->given_up, entry->epoch))
        return SPN_OK;
    struct generation_session *touched =
        generation_touch(state->active, &state->sessions.slots[slot], slot, entry->epoch);
    if (entry->kind == RECORD_ATTRIBUTES)
        generation_note_attributes(state->active, touched, position);
    else
        generation_note_touch(state->active, touched, position);
    return restore_spans_of_entry(state, recovery->reader, slot, entry,
                                  is_closed(state, slot, entry->epoch));
}

static spn_err apply(struct recovery *recovery, uint64_t position, const struct record_entry *entry)
{
    recovery->found.entries++;
    database_clock_find(&recovery->found.clock, entry->time_ns, entry->wall_ms);
    reach(recovery->state, position);
    recovery->state->active->bytes += record_entry_size(position, entry) + RECORD_ENTRY_OVERHEAD;
    switch (entry->kind) {
    case RECORD_OPEN:
        return apply_open(recovery, position, entry);
    case RECORD_EVENT:
    case RECORD_MARKER:
        return apply_stored(recovery, position, entry);
    case RECORD_CLOSE:
    case RECORD_DELETE:
    case RECORD_EXPIRE:
        return apply_end(recovery, position, entry);
    case RECORD_ATTRIBUTES:
    case RECORD_TOUCH:
        return apply_activity(recovery, position, entry);
    default:
        return SPN_E_CORRUPT;
    }
}

static bool has_room(const struct recovery *recovery)
{
    return generation_has_room(recovery->state->active, 1);
}

/* Reads a part of the log in one snapshot. With a new snapshot for each part, segments that are
 * written between them can reuse pages, and their rows can be read. */
static spn_err read_part(struct recovery *recovery, uint64_t *next, bool *ret_end)
{
    spn_err err = journal_reader_begin(recovery->reader);
    for (int i = 0; err == SPN_OK && has_room(recovery) && i < SNAPSHOT_ENTRIES_MAX; i++) {
        struct record_entry entry;
        uint64_t position;
        journal_went_on(recovery->journal);
        err = journal_read_entry_from(recovery->reader, *next, &position, &entry);
        if (err == SPN_OK)
            err = apply(recovery, position, &entry);
        else if (err == SPN_E_CORRUPT)
            err = pass_damage(recovery, *next, position);
        if (err == SPN_OK)
            *next = position + 1;
    }
    journal_reader_end(recovery->reader);
    KILL_POINT("recovery_part");
    if (err == SPN_E_END) {
        *ret_end = true;
        err = SPN_OK;
    }
    return err;
}

static spn_err read_log(struct recovery *recovery)
{
    KILL_POINT("recovery_tables");
    uint64_t next = journal_meta(recovery->journal)->checkpoint + 1;
    bool end = false;
    spn_err err = SPN_OK;
    while (err == SPN_OK && !end) {
        if (!has_room(recovery))
            err = write_generation(recovery);
        if (err == SPN_OK)
            err = read_part(recovery, &next, &end);
    }
    return err;
}

static spn_err init_state(struct broker_state *state, uint16_t window_max, uint64_t seed)
{
    *state = (struct broker_state){0};
    spn_err err = producers_init(&state->producers, sizeof(struct sender), sender_is_idle);
    if (err == SPN_OK)
        err = sessions_init(&state->sessions, seed, window_max);
    if (err == SPN_OK)
        err = spans_init(&state->spans);
    if (err == SPN_OK) {
        state->active = generation_new(1);
        err = state->active ? SPN_OK : SPN_E_NOMEM;
    }
    return err;
}

spn_err recovery_run(struct broker_state *state, struct journal *journal, uint16_t window_max,
                     uint64_t seed, struct recovered *ret_recovered)
{
    const struct record_meta *meta = journal_meta(journal);
    struct recovery recovery = {.state = state, .journal = journal, .secret = meta->secret};
    database_clock_find(&recovery.found.clock, meta->clock_ns, meta->clock_at.wall_ms);
    spn_err err = init_state(state, window_max, seed);
    state->next_position = meta->next_position > 0 ? meta->next_position : 1;
    if (err == SPN_OK)
        err = recovery_begin(&recovery);
    if (err == SPN_OK)
        err = recovery_load_tables(&recovery);
    if (err == SPN_OK)
        err = read_log(&recovery);
    KILL_POINT("recovery_end");
    recovery_end(&recovery);
    if (err == SPN_OK)
        *ret_recovered = recovery.found;
    else
        recovery_release(state);
    return err;
}

spn_err recovery_index(struct broker_state *state, struct journal *journal)
{
    struct recovery recovery = {.state = state, .journal = journal};
    spn_err err = write_frozen(&recovery);
    return err == SPN_OK ? write_segment(&recovery, state->active) : err;
}

void recovery_release(struct broker_state *state)
{
    producers_release(&state->producers);
    sessions_release(&state->sessions);
    spans_release(&state->spans);
    generation_drop(state->active);
    generation_drop(state->frozen);
    state->active = NULL;
    state->frozen = NULL;
}
