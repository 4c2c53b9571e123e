/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/offline.h"

#include "index/timeline.h"
#include "ingest/views.h"

/* What is to be deleted. */
struct target {
    uint32_t slot; /* SLOT_NONE: there is no such session */
    uint64_t epoch;
    struct spn_life life; /* zeros: lost to damage */
    struct record_extent extent;
};

/* Reads how far a cold session has come. One that cannot be read may be deleted all the same: of it
 * only the life is read. */
static spn_err read_target(struct journal_reader *reader, const struct view *view,
                           struct spn_bytes name, struct target *target)
{
    const uint8_t *secret = journal_reader_meta(reader)->secret;
    struct tracker *tracker = NULL;
    uint64_t epoch;
    spn_err err =
        timeline_load_tracker(reader, view, name, TRACKER_WINDOW_DEFAULT, secret, &epoch, &tracker);
    if (tracker) {
        target->life = tracker->life;
        target->extent = tracker_extent(tracker);
        tracker_free(tracker);
        return err;
    }
    if (err == SPN_E_CORRUPT)
        err = journal_read_life(reader, target->epoch, &target->life);
    return err == SPN_E_END ? SPN_OK : err;
}

/* Finds a cold session by the epoch that has its name on disk. */
static spn_err find_cold(const struct broker_state *state, struct journal_reader *reader,
                         struct spn_bytes name, struct target *target)
{
    const struct views views = {.state = state, .frozen = state->frozen};
    struct view view;
    spn_err err = journal_read_name(reader, name, &target->epoch);
    if (err == SPN_OK)
        target->slot = sessions_find_epoch(&state->sessions, sessions_hash(&state->sessions, name),
                                           target->epoch);
    if (err != SPN_OK || target->slot == SLOT_NONE)
        return err == SPN_E_END ? SPN_OK : err;
    views_fill(&views, target->slot, &view);
    err = read_target(reader, &view, name, target);
    view_release(&view);
    return err;
}

static spn_err find(const struct broker_state *state, struct journal *journal,
                    struct spn_bytes name, struct target *target)
{
    const struct sessions *sessions = &state->sessions;
    uint64_t hash = sessions_hash(sessions, name);
    struct journal_reader *reader;
    if (sessions_find(sessions, name, hash, &target->slot) == SESSIONS_HOT) {
        const struct tracker *tracker = sessions->slots[target->slot].tracker;
        target->epoch = tracker->epoch;
        target->life = tracker->life;
        target->extent = tracker_extent(tracker);
        return SPN_OK;
    }
    target->slot = SLOT_NONE;
    spn_err err = journal_reader_open(&reader, journal);
    if (err != SPN_OK)
        return err;
    err = journal_reader_begin(reader);
    if (err == SPN_OK)
        err = find_cold(state, reader, name, target);
    journal_reader_end(reader);
    journal_reader_close(reader);
    return err;
}

/* Ends the session as the broker and the worker would. entry: has the name and the times. */
static spn_err end_epoch(struct broker_state *state, struct journal *journal,
                         const struct target *target, struct record_entry *entry)
{
    struct session *session = &state->sessions.slots[target->slot];
    entry->kind = RECORD_DELETE;
    entry->epoch = target->epoch;
    entry->life = target->life;
    entry->seq = target->extent.seq;
    entry->bytes = target->extent.bytes;
    entry->markers = target->extent.markers;
    entry->retry_ms = WIRE_RETRY_NONE;
    entry->data_hash = record_hash((struct spn_bytes){NULL, 0});
    spn_err err = journal_begin(journal);
    if (err == SPN_OK)
        err = journal_append(journal, state->next_position, entry);
    if (err == SPN_OK)
        err = journal_commit(journal);
    journal_abort(journal);
    if (err != SPN_OK)
        return err;
    generation_end(state->active,
                   generation_touch(state->active, session, target->slot, target->epoch),
                   state->next_position, RECORD_DELETED);
    state->next_position++;
    return SPN_OK;
}

spn_err offline_delete(struct journal *journal, struct spn_bytes name, const struct spn_life *life,
                       struct recovered *ret_found)
{
    struct broker_state state;
    struct target target = {.slot = SLOT_NONE};
    struct record_entry entry = {.name = name};
    *ret_found = (struct recovered){0};
    spn_err err = recovery_run(&state, journal, TRACKER_WINDOW_DEFAULT, 0, ret_found);
    if (err != SPN_OK)
        return err;
    struct clock_moment now = clock_now();
    struct database_clock_resumed clock =
        database_clock_resume(journal_meta(journal), &ret_found->clock, &now);
    entry.time_ns = clock.database_ns;
    entry.wall_ms = now.wall_ms;
    err = find(&state, journal, name, &target);
    if (err == SPN_OK && target.slot == SLOT_NONE)
        err = SPN_E_UNKNOWN_SESSION;
    if (err == SPN_OK && life && wire_has_life(target.life) && !wire_same_life(*life, target.life))
        err = SPN_E_OTHER_LIFE;
    if (err == SPN_OK)
        err = end_epoch(&state, journal, &target, &entry);
    if (err == SPN_OK)
        err = recovery_index(&state, journal);
    recovery_release(&state);
    return err;
}
