/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/offline.h"

/* Reads the epoch and the life of the session that has this name on disk. A damaged row tells no
 * life. SPN_E_END: there is none. */
static spn_err read_session(struct journal_reader *reader, struct spn_bytes name,
                            uint64_t *ret_epoch, struct spn_life *ret_life)
{
    struct record_row row;
    spn_err err = journal_read_name(reader, name, ret_epoch);
    if (err == SPN_OK && journal_read_row(reader, *ret_epoch, &row) == SPN_OK)
        *ret_life = row.life;
    return err;
}

/* Finds the slot of the session that has this name now; SLOT_NONE: there is none. */
static spn_err find(const struct broker_state *state, struct journal *journal,
                    struct spn_bytes name, uint32_t *ret_slot, struct spn_life *ret_life)
{
    const struct sessions *sessions = &state->sessions;
    uint64_t hash = sessions_hash(sessions, name);
    if (sessions_find(sessions, name, hash, ret_slot) == SESSIONS_HOT) {
        *ret_life = sessions->slots[*ret_slot].tracker->life;
        return SPN_OK;
    }
    struct journal_reader *reader;
    uint64_t epoch = 0;
    spn_err err = journal_reader_open(&reader, journal);
    if (err != SPN_OK)
        return err;
    err = journal_reader_begin(reader);
    if (err == SPN_OK)
        err = read_session(reader, name, &epoch, ret_life);
    journal_reader_end(reader);
    journal_reader_close(reader);
    *ret_slot = err == SPN_OK ? sessions_find_epoch(sessions, hash, epoch) : SLOT_NONE;
    return err == SPN_E_END ? SPN_OK : err;
}

/* Ends the session as the broker and the worker would. entry: has the name, the life and the times.
 */
static spn_err end_epoch(struct broker_state *state, struct journal *journal, uint32_t slot,
                         struct record_entry *entry)
{
    struct session *session = &state->sessions.slots[slot];
    uint64_t epoch = sessions_epoch(&state->sessions, slot);
    entry->kind = RECORD_DELETE;
    entry->epoch = epoch;
    entry->seq = session->tracker ? session->tracker->seq : 0;
    entry->bytes = session->tracker ? session->tracker->bytes : 0;
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
    generation_end(state->active, generation_touch(state->active, session, slot, epoch),
                   state->next_position, RECORD_DELETED);
    state->next_position++;
    return SPN_OK;
}

spn_err offline_delete(struct journal *journal, struct spn_bytes name, const struct spn_life *life,
                       struct recovered *ret_found)
{
    struct broker_state state;
    uint32_t slot = SLOT_NONE;
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
    err = find(&state, journal, name, &slot, &entry.life);
    if (err == SPN_OK && slot == SLOT_NONE)
        err = SPN_E_UNKNOWN_SESSION;
    if (err == SPN_OK && life && !wire_same_life(*life, entry.life))
        err = SPN_E_OTHER_LIFE;
    if (err == SPN_OK)
        err = end_epoch(&state, journal, slot, &entry);
    if (err == SPN_OK)
        err = recovery_index(&state, journal);
    recovery_release(&state);
    return err;
}
